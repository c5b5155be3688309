/*
 * Who may import whom; docs/ and the README draw the picture. test/architecture/rules.spec.ts plants a violation of each rule and sees it fire.
 *
 * Paths are those of the sources: `conditionNames` below makes `#domain/money` lead to libs/domain/src/money.ts. Without it imports would end
 * in dist/, and no rule about libs/ would ever fire.
 */

/** What ships. A specification may import what it needs. */
const code = (path) => ({ path, pathNot: '[.]spec[.]ts$' });

/** The named npm packages, wherever npm put them. */
const packages = (...names) => `(^|/)node_modules/(${names.join('|')})/`;

/** Every rule is an error. */
const rule = (name, comment, from, to) => ({ name, comment, severity: 'error', from, to });

module.exports = {
  forbidden: [
    rule('domain-is-pure', 'The rules of money depend on nothing: no framework, no I/O, no clock.', code('^libs/domain/'), {
      pathNot: '^libs/domain/',
    }),
    rule(
      'application-knows-the-domain-and-contracts',
      'Use cases reach the world through ports. Hashes and derived ids are computation, not I/O.',
      code('^libs/application/'),
      { pathNot: ['^libs/(application|domain|contracts)/', '^(node:)?crypto$', packages('uuid')] },
    ),
    rule(
      'contracts-stand-alone',
      'Other services install the messages; what these import, they install as well.',
      code('^libs/contracts/'),
      {
        pathNot: [
          '^libs/contracts/',
          packages('class-validator', 'class-transformer', 'class-validator-jsonschema', 'reflect-metadata'),
        ],
      },
    ),
    rule(
      'adapters-are-strangers',
      'Each adapter can be replaced without a look at the others.',
      code('^libs/(stripe|zamp|persistence|messaging)/'),
      { path: '^libs/', pathNot: '^libs/($1|domain|application|contracts)/' },
    ),
    rule('nothing-below-an-app-imports-one', 'Apps wire; nothing is wired to them.', code('^libs/'), { path: '^apps/' }),
    rule(
      'apps-are-strangers',
      'Processes meet in the database, on Kafka and over HTTP. What api and worker have in common lies beside them.',
      code('^apps/([^/]+)/'),
      {
        path: '^apps/[^/]+/',
        pathNot: '^apps/$1/',
      },
    ),
    rule(
      'simulators-and-console-stand-alone',
      "A stand-in that shares our code shares our mistakes; the console is the api's caller like any other.",
      code('^apps/(simulators|console)/'),
      { path: ['^libs/', '^apps/[^/]+[.]ts$'] },
    ),
    rule('what-ships-leaves-tests-and-scripts-behind', 'An image holds apps and libs only.', code('^(apps|libs)/'), {
      path: '^(test|scripts)/',
    }),
    rule('what-ships-needs-no-development-package', 'An image is installed without them.', code('^(apps|libs)/'), {
      dependencyTypes: ['npm-dev', 'npm-optional', 'npm-no-pkg', 'npm-unknown'],
    }),
    rule('nobody-imports-a-spec', 'Importing one runs its tests.', {}, { path: '[.]spec[.]ts$' }),
    rule('no-circles', 'What imports itself through others cannot be read, nor loaded, in order.', {}, { circular: true }),
    rule('no-unresolved', 'An import that leads nowhere satisfies every other rule.', {}, { couldNotResolve: true }),
  ],
  options: {
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    doNotFollow: { path: 'node_modules' },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['source', 'node', 'import', 'default'] },
  },
};
