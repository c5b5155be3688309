/*
 * A copy of the built service in a folder of its own, in which one file at a time is replaced; the working tree is never touched. Sources,
 * documents and packages are only linked, since specs read them.
 */
import { spawn } from 'node:child_process';
import { cpSync, existsSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { builtFile, compiled, type Mutant } from './mutant.js';

/** What a run of specs or stories came to. `broken`: it did not come to a judgement, which is no proof of anything. */
export type Verdict =
  { readonly is: 'passed' } | { readonly is: 'found'; readonly by: string } | { readonly is: 'broken'; readonly why: string };

interface JestResult {
  readonly success: boolean;
  readonly testResults: readonly {
    readonly message: string;
    readonly assertionResults: readonly { readonly status: string; readonly fullName: string }[];
  }[];
}

export class Workshop {
  constructor(
    private readonly folder: string,
    /** Where the parts are that some specs run on. */
    private readonly env: Readonly<Record<string, string>>,
  ) {
    for (const each of ['package.json', 'jest.config.json', 'dist']) cpSync(each, join(folder, each), { recursive: true });
    for (const each of ['node_modules', 'libs', 'apps', 'test', 'scripts', 'docs', 'tsconfig.json', '.dependency-cruiser.cjs']) {
      if (existsSync(each)) symlinkSync(resolve(each), join(folder, each));
    }
  }

  /** Runs what is expected to find the mutant while it is in. */
  async with<T>(mutant: Mutant, work: () => Promise<T>): Promise<T> {
    const file = builtFile(mutant.file);
    writeFileSync(join(this.folder, file), compiled(mutant));
    try {
      return await work();
    } finally {
      cpSync(file, join(this.folder, file));
    }
  }

  /** The first test of the specs that fails. */
  async test(specs: readonly string[]): Promise<Verdict> {
    const result = join(this.folder, 'result.json');
    rmSync(result, { force: true });
    const patterns = specs.map((spec) => `/dist/${spec}\\.js$`);
    const jest = ['--experimental-vm-modules', '--disable-warning=ExperimentalWarning', 'node_modules/jest/bin/jest.js'];
    const args = [...jest, '--runInBand', '--forceExit', '--json', `--outputFile=${result}`, ...patterns];
    const { output, late } = await this.run(args, 1_800_000);
    if (late) return { is: 'broken', why: 'the specs did not end' };
    if (!existsSync(result)) return { is: 'broken', why: output.slice(-2_000) };
    const { success, testResults } = JSON.parse(readFileSync(result, 'utf8')) as JestResult;
    const tests = testResults.flatMap(({ assertionResults }) => assertionResults);
    const failed = tests.find(({ status }) => status === 'failed');
    if (failed !== undefined) return { is: 'found', by: failed.fullName };
    if (!success)
      return {
        is: 'broken',
        why: testResults
          .map(({ message }) => message)
          .join('\n')
          .slice(0, 2_000),
      };
    return tests.some(({ status }) => status === 'passed') ? { is: 'passed' } : { is: 'broken', why: 'not one test ran' };
  }

  /** The first seed whose story is wrong. */
  async tell(seeds: number): Promise<Verdict> {
    const { code, output, late } = await this.run(['dist/test/museum/hunt.js', String(seeds)], 1_800_000);
    if (late) return { is: 'broken', why: 'the stories did not end' };
    const last = output.trim().split('\n').at(-1) ?? '';
    if (code !== 0 || last === '') return { is: 'broken', why: output.slice(-2_000) };
    return last === 'nothing' ? { is: 'passed' } : { is: 'found', by: last };
  }

  private run(args: readonly string[], atMostMs: number): Promise<{ code: number | null; output: string; late: boolean }> {
    return new Promise((done) => {
      const env = { ...process.env, ...this.env, CI: '', NODE_OPTIONS: '' };
      const child = spawn(process.execPath, args, { cwd: this.folder, env, stdio: ['ignore', 'pipe', 'pipe'] });
      let [output, late] = ['', false];
      for (const stream of [child.stdout, child.stderr])
        stream.setEncoding('utf8').on('data', (text: string) => (output += text));
      const timer = setTimeout(() => {
        late = true;
        child.kill('SIGKILL');
      }, atMostMs);
      child.once('close', (code) => {
        clearTimeout(timer);
        done({ code, output, late });
      });
    });
  }
}
