import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** How a child ended: its exit code, or the signal that ended it. */
export type Ending = { readonly code: number | null; readonly signal: NodeJS.Signals | null };

/** A program that runs as long as we do. */
export type Child = {
  readonly pid: number;
  /** Resolves when the program has ended, however it ended. */
  readonly ended: Promise<Ending>;
  /** Asks it to end, and makes it end when it has not done so in time. */
  stop(graceMs: number): Promise<Ending>;
};

export type ChildOptions = {
  readonly log: string;
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
  readonly uid?: number;
  readonly gid?: number;
};

/** All that run now, so that whoever ends in the middle of a start can end them too. */
export const running = new Set<Child>();

// The shell becomes the program, and leaves a watcher beside it that sees our end of the pipe close: also when we are killed with -9.
const asChildOfOurs = `(
  read -r _ <&3; kill $$
  n=0; while kill -0 $$ && [ $n -lt 100 ]; do sleep 0.1; n=$((n + 1)); done
  kill -9 -$$
) >/dev/null 2>&1 & exec 3<&-; exec "$@"`;

/**
 * Starts a program in a process group of its own, so that Ctrl-C in the terminal reaches only us and we choose the order in which things end.
 * It never outlives us. Its output goes to the log file.
 */
export function startChild(command: string, args: readonly string[], options: ChildOptions): Child {
  const log = openSync(options.log, 'a');
  const { uid, gid, cwd } = options;
  const child = spawn('/bin/sh', ['-c', asChildOfOurs, 'sh', command, ...args], {
    detached: true,
    stdio: ['ignore', log, log, 'pipe'],
    env: options.env ?? process.env,
    ...(cwd === undefined ? {} : { cwd }),
    ...(uid === undefined ? {} : { uid }),
    ...(gid === undefined ? {} : { gid }),
  });
  closeSync(log);
  const { pid } = child;
  if (pid === undefined) throw new Error(`cannot start ${command}`);
  const ended = endOf(child).then((ending) => {
    signalTo(-pid, 'SIGKILL'); // What is left of the group: the watcher.
    running.delete(started);
    return ending;
  });
  const started: Child = {
    pid,
    ended,
    async stop(graceMs) {
      signalTo(pid, 'SIGTERM');
      const inTime = await Promise.race([ended, sleep(graceMs, undefined, { ref: false })]);
      if (inTime !== undefined) return inTime;
      signalTo(-pid, 'SIGKILL');
      return ended;
    },
  };
  running.add(started);
  return started;
}

/** Resolves when the process has ended; a program that could not be started at all counts as ended with 127, as in a shell. */
export function endOf(child: ChildProcess): Promise<Ending> {
  return new Promise((resolve) => {
    child.once('exit', (code, signal) => resolve({ code, signal }));
    child.once('error', () => resolve({ code: 127, signal: null }));
  });
}

/** What a program printed, once it has ended. */
export type Output = Ending & { readonly stdout: string; readonly stderr: string };

/** Runs a short program to its end and keeps what it prints. */
export async function run(
  command: string,
  args: readonly string[],
  options: { cwd?: string; uid?: number; gid?: number; env?: NodeJS.ProcessEnv } = {},
): Promise<Output> {
  const child = spawn(command, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
  const printed = { stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => (printed.stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (printed.stderr += text));
  const closed = new Promise((resolve) => child.once('close', resolve));
  const ending = await endOf(child);
  if (child.pid !== undefined) await closed;
  return { ...ending, ...printed };
}

/** Sends a signal, and does not mind when nobody is there any more. */
export function signalTo(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    process.kill(pid, signal);
    return true;
  } catch {
    return false;
  }
}

/** A port on 127.0.0.1 that nobody listens on. With 0, any; with a number, that one, or undefined when it is taken. */
export function freePort(port: number): Promise<number | undefined> {
  const server = createServer();
  return new Promise((resolve) => {
    server.once('error', () => resolve(undefined));
    server.listen(port, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : undefined));
    });
  });
}

/** The port asked for, or any for 0; a taken one ends the start with the name of the variable that moves it. */
export async function portFor(variable: string, port: number): Promise<number> {
  const free = await freePort(port);
  if (free === undefined)
    throw new Obstacle(`port ${port} is taken by another program: set ${variable} to another one, or to 0 for any`);
  return free;
}

/** Something a person can put right, told in one line; everything else is our bug and keeps its stack. */
export class Obstacle extends Error {
  override readonly name = 'Obstacle';
}

/** The last lines of a log, for a message about what went wrong. */
export function lastLines(file: string, count: number): string {
  try {
    return readFileSync(file, 'utf8').trimEnd().split('\n').slice(-count).join('\n');
  } catch {
    return '';
  }
}

/** Of all a program printed, the one line that tells a person why it failed: a full disk before all else, then the last that bears the sign. */
export function lineThatSaysWhy(output: string, sign: RegExp): string {
  const lines = output.split('\n').filter((line) => line.trim() !== '');
  const said = lines.find((line) => line.includes('No space left')) ?? lines.findLast((line) => sign.test(line)) ?? lines.at(-1);
  return said?.trim() ?? 'it does not say why';
}

/** What to print about an error that ends a script: one line for what a person can put right, the whole stack for a bug of ours. */
export function inOneLine(error: unknown): string {
  if (!Error.isError(error)) return String(error);
  const isDisk = 'code' in error && ['ENOSPC', 'EROFS', 'EACCES', 'EDQUOT'].includes(String(error.code));
  return error instanceof Obstacle || isDisk ? error.message : (error.stack ?? error.message);
}
