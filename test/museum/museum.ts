/*
 * npm run museum [-- --mutant id]: applies each mutant to a copy of what was compiled, and has the tests or the simulation find it. One that
 * nothing finds fails the run. With all of them the table in docs/reliability.md is written.
 */
import { spawn } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import ts from 'typescript';
import { between } from '../reliability/fault-table.js';
import { incidents, mutants, type Mutant } from './mutants.js';

const RELIABILITY = 'docs/reliability.md';
const { values } = parseArgs({ options: { mutant: { type: 'string' } } });
const chosen = mutants.filter(({ id }) => values.mutant === undefined || id === values.mutant);
if (chosen.length === 0) {
  console.error(`there is no mutant "${values.mutant}"; there are ${mutants.map(({ id }) => id).join(', ')}`);
  process.exit(1);
}

const rows: string[][] = [];
const survivors: string[] = [];
const healthy = await run(null, { seeds: 20 });
if (healthy !== null) {
  console.error('the simulation finds something wrong without any mutant');
  process.exit(1);
}
for (const mutant of chosen) {
  const found = await run(mutant, mutant.foundBy);
  console.log(`${found === null ? 'SURVIVED' : 'killed  '}  ${mutant.id}: ${found ?? mutant.what}`);
  if (found === null) survivors.push(mutant.id);
  const number = mutant.incident === null ? '' : String(mutant.incident);
  const where = mutant.incident === null ? 'a trap of the provider' : (incidents[mutant.incident] ?? '');
  rows.push([number, where, mutant.what, `\`${mutant.file.split('/').at(-1)}\``, found ?? 'nothing']);
}
if (survivors.length > 0) {
  console.error(`nothing finds ${survivors.join(', ')}`);
  process.exitCode = 1;
} else if (values.mutant === undefined) {
  const lines = [['', 'incident', 'what was broken', 'in', 'found by'], ['---', '---', '---', '---', '---'], ...rows];
  const table = lines.map((cells) => `| ${cells.join(' | ')} |`).join('\n');
  writeFileSync(RELIABILITY, between(readFileSync(RELIABILITY, 'utf8'), 'museum', table));
  console.log(`${rows.length} mutants, all found; the table is in ${RELIABILITY}`);
}

/** What finds it, in words; null where nothing does. */
async function run(mutant: Mutant | null, foundBy: Mutant['foundBy']): Promise<string | null> {
  const folder = mkdtempSync(join(tmpdir(), 'redress-museum-'));
  try {
    for (const name of ['dist', 'package.json', 'jest.config.json']) cpSync(name, join(folder, name), { recursive: true });
    for (const name of ['node_modules', 'libs', 'apps', 'docs']) symlinkSync(join(process.cwd(), name), join(folder, name));
    for (const change of mutant === null ? [] : [mutant, ...(mutant.and === undefined ? [] : [mutant.and])])
      apply(change, folder);
    if ('specs' in foundBy) {
      const jest = join('node_modules', 'jest', 'bin', 'jest.js');
      const { code } = await ended(['--experimental-vm-modules', jest, '--bail', '--silent', foundBy.specs], folder);
      return code === 0 ? null : `tests: ${foundBy.specs.replaceAll('|', ' or ')}`;
    }
    const { code, printed } = await ended(
      [join('dist', 'test', 'simulation', 'simulate.js'), '--seeds', String(foundBy.seeds)],
      folder,
    );
    const seed = /^Seed (\d+) is wrong/m.exec(printed)?.[1];
    if (code !== 0 && seed === undefined) throw new Error(`the simulation broke: ${printed.slice(-2_000)}`);
    return seed === undefined ? null : `the simulation, seed ${seed}`;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Puts the broken module where the sound one is. */
function apply({ file, from, to }: Pick<Mutant, 'file' | 'from' | 'to'>, folder: string): void {
  const source = readFileSync(file, 'utf8');
  if (source.split(from).length !== 2) throw new Error(`"${from.trim()}" does not stand once in ${file}`);
  const { config } = ts.readConfigFile('tsconfig.json', (path) => readFileSync(path, 'utf8')) as {
    config: { compilerOptions: object };
  };
  const { options } = ts.convertCompilerOptionsFromJson(config.compilerOptions, '.');
  const { outputText } = ts.transpileModule(
    source.replace(from, () => to),
    {
      compilerOptions: { ...options, module: ts.ModuleKind.ESNext, sourceMap: false },
    },
  );
  writeFileSync(join(folder, 'dist', file.replace(/\.ts$/, '.js')), outputText);
}

function ended(args: readonly string[], cwd: string): Promise<{ code: number | null; printed: string }> {
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', ...args], { cwd });
  let printed = '';
  child.stdout.on('data', (text: Buffer) => (printed += text.toString()));
  child.stderr.on('data', (text: Buffer) => (printed += text.toString()));
  return new Promise((resolve) => child.on('exit', (code) => resolve({ code, printed })));
}
