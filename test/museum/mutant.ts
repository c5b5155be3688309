/* What a mutant is, and how it is put into the code. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import ts from 'typescript';

/** The smallest change to our code that brings back what has hurt others. */
export interface Mutant {
  readonly name: string;
  /** The incident, by number, or the trap, by its sign: see `exhibits.ts`. */
  readonly brings: number | `${'S' | 'Z' | 'K'}${number}`;
  /** What would happen. */
  readonly then: string;
  readonly file: string;
  /** Text that stands exactly once in the file, and what takes its place. */
  readonly find: string;
  readonly put: string;
  /** What is expected to find it, the cheapest first; without `.ts`. */
  readonly specs: readonly string[];
  /** What these specs run on, where that is more than memory. */
  readonly needs?: 'PostgreSQL' | 'Kafka';
  /** The simulation finds it as well, within so many seeds. */
  readonly seeds?: number;
}

/** The file with the mutant in it; throws when it does not fit any more. */
export function mutated({ name, file, find, put }: Mutant): string {
  const source = readFileSync(file, 'utf8');
  const found = source.split(find).length - 1;
  if (found !== 1) throw new Error(`mutant ${name} no longer fits: its text stands ${found} times in ${file}`);
  if (find === put) throw new Error(`mutant ${name} changes nothing`);
  return source.replace(find, () => put);
}

/** The same as JavaScript, as `tsc -b` would have written it. */
export function compiled(mutant: Mutant): string {
  const { config } = ts.readConfigFile('tsconfig.json', (file) => readFileSync(file, 'utf8')) as {
    config: { compilerOptions: object };
  };
  const { options } = ts.convertCompilerOptionsFromJson(config.compilerOptions, '.');
  const { outputText, diagnostics = [] } = ts.transpileModule(mutated(mutant), {
    // Whether a file is ESM stands in package.json, which is not looked at here.
    compilerOptions: { ...options, module: ts.ModuleKind.ESNext, sourceMap: false, composite: false, declaration: false },
    fileName: mutant.file,
    reportDiagnostics: true,
  });
  if (diagnostics.length > 0) {
    const [first] = diagnostics.map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, ' '));
    throw new Error(`mutant ${mutant.name} is no TypeScript: ${first}`);
  }
  return outputText;
}

export const builtFile = (source: string): string => `dist/${source.replace(/\.ts$/, '.js')}`;

/** Tells whether a mutant is still the one that was run. */
export const printOf = ({ file, find, put, specs, seeds = 0 }: Mutant): string =>
  createHash('sha256')
    .update(JSON.stringify([file, find, put, specs, seeds]))
    .digest('hex')
    .slice(0, 12);
