import { execFile } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';

/*
 * A rule that never fires looks just like a rule that is kept. So here every rule of .dependency-cruiser.cjs and every one that
 * .oxlintrc.json names is broken on purpose, in a small tree of its own under the real configuration, and must be the one that complains.
 */

const root = process.cwd();
const bin = join(root, 'node_modules', '.bin');

describe('An architecture rule', () => {
  /** For each rule: a file that must not be there, and what it imports. */
  const planted: Readonly<Record<string, readonly (readonly [file: string, imports: string])[]>> = {
    'domain-is-pure': [
      ['libs/domain/src/reads-a-file.ts', 'node:fs'],
      ['libs/domain/src/uses-nest.ts', '@nestjs/common'],
      ['libs/domain/src/knows-a-use-case.ts', '#application/target'],
      ['libs/domain/src/knows-a-message.ts', '#contracts/target'],
    ],
    'application-knows-the-domain-and-contracts': [
      ['libs/application/src/uses-nest.ts', '@nestjs/common'],
      ['libs/application/src/knows-a-table.ts', '#persistence/target'],
      ['libs/application/src/opens-a-socket.ts', 'node:net'],
    ],
    'contracts-stand-alone': [
      ['libs/contracts/src/knows-the-domain.ts', '#domain/target'],
      ['libs/contracts/src/uses-swagger.ts', '@nestjs/swagger'],
    ],
    'adapters-are-strangers': [
      ['libs/stripe/src/knows-zamp.ts', '#zamp/target'],
      ['libs/messaging/src/knows-a-table.ts', '#persistence/target'],
    ],
    'nothing-below-an-app-imports-one': [
      ['libs/application/src/knows-the-api.ts', '../../../apps/api/src/target.js'],
      ['libs/zamp/src/knows-the-worker.ts', '../../../apps/worker/src/target.js'],
    ],
    'apps-are-strangers': [
      ['apps/api/src/knows-the-worker.ts', '../../worker/src/target.js'],
      ['apps/simulators/src/knows-the-api.ts', '../../api/src/target.js'],
    ],
    'simulators-and-console-stand-alone': [
      ['apps/simulators/src/knows-the-domain.ts', '#domain/target'],
      ['apps/simulators/src/knows-a-setting.ts', '../../target.js'],
      ['apps/console/src/knows-a-message.ts', '#contracts/target'],
    ],
    'what-ships-leaves-tests-and-scripts-behind': [['apps/api/src/knows-a-fake.ts', '../../../test/fakes/target.js']],
    'what-ships-needs-no-development-package': [['apps/worker/src/uses-a-test-tool.ts', 'fast-check']],
    'nobody-imports-a-spec': [['libs/domain/src/imports-a-spec.ts', './target.spec.js']],
    'no-circles': [['libs/domain/src/one.ts', './other.js']],
    'no-unresolved': [['libs/stripe/src/imports-nothing.ts', './there-is-no-such-file.js']],
  };
  const allowed = [
    ['libs/application/src/may-know-the-domain.ts', '#domain/target'],
    ['libs/application/src/may-derive-ids.ts', 'uuid'],
    ['libs/application/src/may-hash.ts', 'node:crypto'],
    ['libs/stripe/src/may-know-a-port.ts', '#application/target'],
    ['libs/contracts/src/may-validate.ts', 'class-validator'],
    ['apps/api/src/may-wire.ts', '#zamp/target'],
    ['apps/worker/src/may-share-settings.ts', '../../target.js'],
    ['libs/domain/src/may-draw-examples.spec.ts', 'fast-check'],
  ] as const;

  let seen: Violation[];
  let tree: string;

  beforeAll(async () => {
    const targets = ['domain', 'application', 'contracts', 'persistence', 'messaging', 'stripe', 'zamp'].map(
      (lib) => `libs/${lib}/src/target.ts`,
    );
    targets.push(
      'apps/target.ts',
      'apps/api/src/target.ts',
      'apps/worker/src/target.ts',
      'test/fakes/target.ts',
      'libs/domain/src/target.spec.ts',
    );
    tree = plantTree({
      ...Object.fromEntries(targets.map((file) => [file, 'export const target = 1;\n'])),
      ...Object.fromEntries(
        [...Object.values(planted).flat(), ...allowed].map(([file, imports]) => [file, `import '${imports}';\n`]),
      ),
      'libs/domain/src/other.ts': "import './one.js';\n",
    });
    seen = await dependencyViolations(tree);
  }, 60_000);
  afterAll(() => rmSync(tree, { recursive: true }));

  const rules = (createRequire(import.meta.url)(join(root, '.dependency-cruiser.cjs')) as { forbidden: { name: string }[] })
    .forbidden;
  it.each(rules.map(({ name }) => name))('fires when it is broken: %s', (name) => {
    const files = (planted[name] ?? []).map(([file]) => file);
    expect(files).not.toEqual([]);
    expect(seen.filter(({ rule }) => rule.name === name).map(({ from }) => from)).toEqual(expect.arrayContaining(files));
  });

  it('stays silent about what is allowed', () => {
    expect(seen.filter(({ from }) => allowed.some(([file]) => file === from))).toEqual([]);
  });

  it('is kept by every file of ours', async () => {
    expect((await dependencyViolations(root)).map(({ rule, from, to }) => `${from} -> ${to}: ${rule.name}`)).toEqual([]);
  }, 60_000);
});

describe('A lint rule', () => {
  /** For each rule: code that must not pass. */
  const planted: Readonly<Record<string, string>> = {
    eqeqeq: 'export const same = (a: number, b: number) => a == b;',
    'import/no-default-export': 'export default 1;',
    'jest/no-focused-tests': "import { it } from '@jest/globals';\nit.only('runs alone', () => undefined);",
    'no-empty': 'export function swallow(work: () => void) { try { work(); } catch {} }',
    'no-param-reassign': 'export function next(n: number) { n = n + 1; return n; }',
    'no-var': 'export var old = 1;',
    'prefer-const': 'let never = 1;\nexport const now = never;',
    'typescript/await-thenable': 'export async function wait() { await 1; }',
    'typescript/ban-ts-comment': '// @ts-ignore\nexport const wrong: number = "text";',
    'typescript/no-explicit-any': 'export const anything: any = 1;',
    'typescript/no-floating-promises': 'export function start(work: () => Promise<void>) { work(); }',
    'typescript/no-misused-promises': 'export function start(work: () => Promise<void>) { [1].forEach(work); }',
    'typescript/no-non-null-assertion': 'export const first = (list: string[]) => list[0]!;',
    'typescript/no-unsafe-argument': 'export const parsed = Number.parseInt(JSON.parse("1"));',
    'typescript/no-unsafe-assignment': 'export const parsed = JSON.parse("1");',
    'typescript/no-unsafe-call': 'export const parsed: unknown = JSON.parse("1")();',
    'typescript/no-unsafe-member-access': 'export const parsed: unknown = JSON.parse("{}").amount;',
    'typescript/no-unsafe-return': 'export function parsed(): string { return JSON.parse("1"); }',
    'typescript/only-throw-error': 'export function fail() { throw { code: 1 }; }',
    'typescript/prefer-promise-reject-errors': 'export const fail = () => Promise.reject("no");',
    'typescript/return-await':
      'export async function safe(work: () => Promise<number>) { try { return work(); } catch { return 0; } }',
    'typescript/switch-exhaustiveness-check':
      "export function say(a: 'x' | 'y') { switch (a) { case 'x': return 1; } return 0; }",
  };
  const fileOf = (rule: string) => `libs/domain/src/${rule.replace('/', '-')}.ts`;

  let seen: Finding[];
  let tree: string;

  beforeAll(async () => {
    tree = plantTree(Object.fromEntries(Object.entries(planted).map(([rule, text]) => [fileOf(rule), `${text}\n`])));
    seen = await lintFindings(tree);
  }, 60_000);
  afterAll(() => rmSync(tree, { recursive: true }));

  const { rules } = JSON.parse(readFileSync(join(root, '.oxlintrc.json'), 'utf8')) as { rules: Record<string, unknown> };
  it.each(Object.keys(rules).filter((name) => rules[name] !== 'off'))('fires when it is broken: %s', (name) => {
    const code = name.split('/').at(-1) ?? name;
    const found = seen.filter(({ filename }) => filename.endsWith(fileOf(name))).map((finding) => finding.code);
    expect(found).toEqual(expect.arrayContaining([expect.stringContaining(`(${code})`)]));
  });

  it('is kept by every file of ours', async () => {
    expect((await lintFindings(root)).map(({ filename, code }) => `${filename}: ${code}`)).toEqual([]);
  }, 60_000);
});

/** A tree with the real configuration and nothing else but these files. */
function plantTree(files: Readonly<Record<string, string>>): string {
  const tree = mkdtempSync(join(tmpdir(), 'redress-rules-'));
  for (const name of ['.dependency-cruiser.cjs', '.oxlintrc.json', 'package.json', 'tsconfig.json'])
    copyFileSync(join(root, name), join(tree, name));
  symlinkSync(resolve(root, 'node_modules'), join(tree, 'node_modules'));
  for (const [file, text] of Object.entries(files)) {
    mkdirSync(dirname(join(tree, file)), { recursive: true });
    writeFileSync(join(tree, file), text);
  }
  return tree;
}

type Violation = { readonly rule: { readonly name: string }; readonly from: string; readonly to: string };

async function dependencyViolations(tree: string): Promise<Violation[]> {
  const output = await outputOf(
    'depcruise',
    ['--config', '.dependency-cruiser.cjs', '--output-type', 'json', ...foldersOf(tree)],
    tree,
  );
  return (JSON.parse(output) as { summary: { violations: Violation[] } }).summary.violations;
}

type Finding = { readonly code: string; readonly filename: string };

async function lintFindings(tree: string): Promise<Finding[]> {
  const output = await outputOf('oxlint', ['--disable-nested-config', '--format', 'json', ...foldersOf(tree)], tree);
  return (JSON.parse(output) as { diagnostics: Finding[] }).diagnostics;
}

function foldersOf(tree: string): string[] {
  return ['apps', 'libs', 'test', 'scripts'].filter((folder) => existsSync(join(tree, folder)));
}

/** Both tools end with 1 when they find something, which here is what we want to read. */
function outputOf(tool: string, args: readonly string[], cwd: string): Promise<string> {
  return new Promise((resolved, rejected) => {
    execFile(process.execPath, [join(bin, tool), ...args], { cwd, maxBuffer: 64 << 20 }, (_, stdout, stderr) => {
      if (stdout.startsWith('{')) resolved(stdout);
      else rejected(new Error(`${tool} says:\n${stdout}${stderr}`));
    });
  });
}
