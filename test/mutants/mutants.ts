/*
 * npm run mutants [-- --part refund]: Stryker changes the money core in every way it knows, a part at a time, and the specs beside each part
 * must find at least nine of ten changes. It is installed beside the build, from the lockfile here: nobody else needs it. What survived is
 * printed, and once every part was run on the code as it stands, the score goes into docs/reliability.md.
 */
import { spawn } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { between } from '../reliability/fault-table.js';
import { type MutationReport, scoresOf, survivorsOf, tableOf } from './scores.js';

const atLeast = 90;
const parts: Readonly<Record<string, { readonly mutate: string; readonly specs: string }>> = {
  money: { mutate: 'libs/domain/src/money.ts', specs: 'money.spec.js' },
  payment: { mutate: 'libs/domain/src/payment/payment.ts', specs: 'payment/*.spec.js' },
  refund: { mutate: 'libs/domain/src/refund/refund.ts', specs: 'refund/*.spec.js' },
  dispute: { mutate: 'libs/domain/src/dispute/dispute.ts', specs: 'dispute/dispute.spec.js' },
};
const { values } = parseArgs({ options: { part: { type: 'string' } } });
const chosen = values.part === undefined ? Object.keys(parts) : [values.part];
const source = join('test', 'mutants', 'stryker');
const folder = join('.redress', 'stryker');

mkdirSync(folder, { recursive: true });
for (const file of ['package.json', 'package-lock.json']) cpSync(join(source, file), join(folder, file));
await done('npm', ['ci', '--prefix', folder, '--ignore-scripts', '--no-audit', '--no-fund', '--legacy-peer-deps', '--silent']);
for (const part of chosen) await run(part);

const now = Object.entries(parts).map(([part, { mutate }]) => ({ part, mutate, report: reportOf(part) }));
const ofThisCode = now.filter(({ mutate, report }) => report?.files[mutate]?.source === readFileSync(mutate, 'utf8'));
const files = Object.assign({}, ...ofThisCode.map(({ report }) => report?.files)) as MutationReport['files'];
const scores = scoresOf({ files });
for (const line of survivorsOf({ files })) console.log(line);
console.log(tableOf(scores));
if (ofThisCode.length === now.length) {
  const document = join('docs', 'reliability.md');
  writeFileSync(document, between(readFileSync(document, 'utf8'), 'stryker', tableOf(scores)));
}
process.exitCode = scores.percent >= atLeast ? 0 : 1;
if (scores.percent < atLeast) console.error(`${scores.percent} % of the changes were found; at least ${atLeast} % should be`);

async function run(part: string): Promise<void> {
  const of = parts[part];
  if (of === undefined) throw new Error(`--part is one of ${Object.keys(parts).join(', ')}, not ${part}`);
  const config = JSON.parse(readFileSync(join(source, 'config.json'), 'utf8')) as { jest: { config: object } };
  const jest = { ...config.jest, config: { ...config.jest.config, testMatch: [`**/domain/src/${of.specs}`] } };
  const jsonReporter = { fileName: join(folder, `${part}.json`) };
  const file = join(folder, `${part}.config.json`);
  writeFileSync(file, JSON.stringify({ ...config, mutate: [of.mutate], jest, jsonReporter }));
  const stryker = join(folder, 'node_modules', '@stryker-mutator', 'core', 'bin', 'stryker.js');
  await done(process.execPath, [stryker, 'run', file, '--concurrency', String(availableParallelism())]);
}

function reportOf(part: string): MutationReport | null {
  const file = join(folder, `${part}.json`);
  return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as MutationReport) : null;
}

function done(command: string, args: readonly string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: 'inherit' });
    child.once('error', reject);
    child.once('close', (code) => (code === 0 ? resolve() : reject(new Error(`${command} ${args[0]} ended with ${code}`))));
  });
}
