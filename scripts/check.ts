/*
 * npm run check: what every change must pass, in under a minute on two cores. A line per part with its time; what failed is shown whole.
 *
 * Node runs this file as it stands, without a build, so that a type error is one of the things it reports.
 */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';

type Part = { readonly name: string; readonly tool: string; readonly args: readonly string[] };

const folders = ['apps', 'libs', 'test', 'scripts'].filter((folder) => existsSync(folder));
const bin = (name: string) => join('node_modules', '.bin', name);

const types: Part = { name: 'types', tool: bin('tsc'), args: ['-b'] };
const withoutBuild: readonly Part[] = [
  { name: 'format', tool: bin('prettier'), args: ['--check', '--log-level=warn', '.'] },
  { name: 'lint', tool: bin('oxlint'), args: ['--disable-nested-config', ...folders] },
  { name: 'architecture', tool: bin('depcruise'), args: ['--config', '.dependency-cruiser.cjs', ...folders] },
];
const onTheBuild: readonly Part[] = [
  {
    name: 'unit tests',
    tool: bin('jest'),
    // The rules of architecture are run beside this; that each of them fires is shown by the tests as a whole.
    args: ['--maxWorkers=2', '--testPathIgnorePatterns', '\\.int\\.spec\\.js$', '/dist/test/(journeys|architecture)/'],
  },
  { name: 'generated files', tool: join('dist', 'scripts', 'generate.js'), args: ['--check'] },
];

const [built, ...rest] = await Promise.all([buildAndTest(), ...withoutBuild.map(passes)]);
process.exitCode = [built, ...rest].every(Boolean) ? 0 : 1;

async function buildAndTest(): Promise<boolean> {
  if (!(await passes(types))) return false;
  await passes({ name: 'deleted files', tool: join('dist', 'scripts', 'forget-deleted.js'), args: [] });
  const passed = await Promise.all(onTheBuild.map(passes));
  return passed.every(Boolean);
}

async function passes({ name, tool, args }: Part): Promise<boolean> {
  const started = performance.now();
  const node = ['--experimental-vm-modules', '--disable-warning=ExperimentalWarning', tool, ...args];
  const child = spawn(process.execPath, node, { stdio: ['ignore', 'pipe', 'pipe'] });
  let printed = '';
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text: string) => (printed += text));
  const code = await new Promise((resolve) => child.once('close', resolve));
  const seconds = ((performance.now() - started) / 1000).toFixed(1).padStart(5);
  console.log(`${code === 0 ? 'ok    ' : 'FAILED'} ${seconds} s  ${name}`);
  if (code !== 0) console.log(`\n${printed.trim()}\n`);
  return code === 0;
}
