/* What is measured beside ours and comes from others: installed beside the build, from the lockfile in peers/, when a benchmark wants it. */
import { cpSync, mkdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Obstacle, startChild } from '../../scripts/child.js';

const source = join('test', 'benchmarks', 'peers');
const folder = join('.redress', 'peers');

/** Takes what is there already when it is as the lockfile wants it. */
export async function installPeers(): Promise<void> {
  mkdirSync(folder, { recursive: true });
  for (const file of ['package.json', 'package-lock.json']) cpSync(join(source, file), join(folder, file));
  console.error('Installing the peers ...');
  const log = join(folder, 'install.log');
  // Their peers, such as Nest and stripe, are ours: Node finds them further up.
  const options = ['--ignore-scripts', '--no-audit', '--no-fund', '--legacy-peer-deps'];
  const { code } = await startChild('npm', ['install', '--prefix', folder, ...options], { log }).ended;
  if (code !== 0) throw new Error(`the peers could not be installed: see ${log}`);
}

/** A peer's package, as whoever uses it describes it. */
export async function peer<T>(name: string): Promise<T> {
  const require = createRequire(join(process.cwd(), folder, 'package.json'));
  try {
    return (await import(pathToFileURL(require.resolve(name)).href)) as T;
  } catch (error) {
    throw new Obstacle(`${name} is not installed beside the build; npm run bench does that (${String(error)})`);
  }
}
