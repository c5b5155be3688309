/*
 * npm run mutants [-- --mutate libs/domain/src/money.ts]: Stryker changes the money core in every way it knows, and the core's tests must
 * find at least nine of ten changes. It is installed beside the build, from the lockfile here: nobody else needs it. What
 * survived is printed, and a whole run puts its score into docs/reliability.md.
 */
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { spawn } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { between } from '../reliability/fault-table.js';
import { scoresOf, survivorsOf, tableOf, type MutationReport } from './scores.js';

const atLeast = 90;
const { values } = parseArgs({ options: { mutate: { type: 'string' } } });
const source = join('test', 'mutants', 'stryker');
const folder = join('.redress', 'stryker');

mkdirSync(folder, { recursive: true });
for (const file of ['package.json', 'package-lock.json']) cpSync(join(source, file), join(folder, file));
await done('npm', ['ci', '--prefix', folder, '--ignore-scripts', '--no-audit', '--no-fund', '--legacy-peer-deps', '--silent']);
const stryker = join(folder, 'node_modules', '@stryker-mutator', 'core', 'bin', 'stryker.js');
const some = values.mutate === undefined ? [] : ['--mutate', values.mutate];
await done(process.execPath, [
  stryker,
  'run',
  join(source, 'config.json'),
  '--concurrency',
  String(availableParallelism()),
  ...some,
]);

const report = JSON.parse(readFileSync(join(folder, 'mutants.json'), 'utf8')) as MutationReport;
const scores = scoresOf(report);
for (const line of survivorsOf(report)) console.log(line);
console.log(tableOf(scores));
if (values.mutate === undefined) {
  const document = join('docs', 'reliability.md');
  writeFileSync(document, between(readFileSync(document, 'utf8'), 'stryker', tableOf(scores)));
}
process.exitCode = scores.percent >= atLeast ? 0 : 1;
if (scores.percent < atLeast) console.error(`${scores.percent} % of the changes were found; at least ${atLeast} % should be`);

function done(command: string, args: readonly string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: 'inherit' });
    child.once('error', reject);
    child.once('close', (code) => (code === 0 ? resolve() : reject(new Error(`${command} ${args[0]} ended with ${code}`))));
  });
}
