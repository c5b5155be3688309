/*
 * Makes a fresh clone ready, and costs half a second when it is. Runs on the Node that the person has, 18 or newer, with nothing installed.
 *
 * Redress wants Node 24. On Linux and Windows npm brings it as an optional package of this project, so nobody has to install it: `npm run`
 * puts node_modules/.bin first in PATH. That is why every script looks like `npm run setup && npm run build && npm run …:built`: a shell
 * that has once found the old `node` goes on using it, while each `npm run` looks again.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

process.chdir(dirname(dirname(fileURLToPath(import.meta.url))));
if (!isInstalled()) install();
linkNode();
refuseOldNode();

/** Compares the lockfile with npm's own record of what it installed, which lacks other platforms' optional packages. */
function isInstalled() {
  const wanted = packagesIn('package-lock.json');
  const installed = packagesIn(join('node_modules', '.package-lock.json'));
  const same = (path) => wanted[path]?.integrity === installed[path]?.integrity;
  const needed = Object.keys(wanted).filter((path) => path !== '' && !wanted[path].optional);
  return Object.keys(installed).length > 0 && Object.keys(installed).every(same) && needed.every(same);
}

function packagesIn(file) {
  return existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')).packages : {};
}

function install() {
  console.error('Installing packages (about a minute, once) ...');
  // The person's own Node, by full path: the one in node_modules is about to be deleted. Engine warnings about the old Node would be noise.
  const npm = process.env.npm_execpath;
  const [command, ...args] = npm ? [process.env.npm_node_execpath ?? process.execPath, npm] : ['npm'];
  const { status } = spawnSync(command, [...args, 'ci', '--include=dev', '--include=optional', '--loglevel=error'], {
    stdio: 'inherit',
  });
  if (status !== 0) stop('npm ci did not succeed; what it printed says why.', status ?? 1);
}

/** npm 10 makes no link when several packages offer the same command, as the Node packages do. */
function linkNode() {
  const ours = join(`node-${process.platform}-${process.arch}`, 'bin', 'node');
  const link = join('node_modules', '.bin', 'node');
  if (!existsSync(join('node_modules', ours)) || existsSync(link)) return;
  mkdirSync(dirname(link), { recursive: true });
  symlinkSync(join('..', ours), link);
}

/** Asks the Node that the next `npm run` will find. */
function refuseOldNode() {
  const { stdout, error } = spawnSync('node', ['-p', 'process.versions.node'], {
    encoding: 'utf8',
    env: { ...process.env, PATH: pathOfNpmRun() },
  });
  const version = error ? 'none' : stdout.trim();
  if (Number.parseInt(version, 10) >= 24) return;
  stop(
    `Redress needs Node 24, and npm has none for ${process.platform}-${process.arch}: install it from https://nodejs.org (found: ${version}).`,
    1,
  );
}

function pathOfNpmRun() {
  return [join(process.cwd(), 'node_modules', '.bin'), process.env.PATH ?? ''].join(process.platform === 'win32' ? ';' : ':');
}

function stop(sentence, status) {
  console.error(sentence);
  process.exit(status);
}
