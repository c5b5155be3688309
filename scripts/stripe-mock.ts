import { execFile, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';

const MODULE = 'github.com/stripe/stripe-mock';
const VERSION = 'v0.203.0';
const DOWNLOAD_TIMEOUT_MS = 120_000;
const BUILD_TIMEOUT_MS = 600_000;
const START_TIMEOUT_MS = 30_000;

export type RunningStripeMock = { port: number; stop(): Promise<void> };

export type StripeMock = {
  /** Stripe's own OpenAPI document, as the module carries it. */
  openApiPath: string;
  /** Builds the binary if no earlier run has (a minute), and starts it on a free port. */
  start(): Promise<RunningStripeMock>;
};

const run = promisify(execFile);

/**
 * Stripe's own stand-in, github.com/stripe/stripe-mock: a second opinion on what Stripe sends and accepts, written by
 * Stripe. Needs Go and its module proxy once; afterwards Go's module cache has the source, and the user's cache directory
 * the binary. Where Go cannot be had the answer says why, and the caller says so loudly.
 */
export async function stripeMock(): Promise<StripeMock | { missing: string }> {
  let directory: string;
  try {
    const { stdout } = await run('go', ['mod', 'download', '-json', `${MODULE}@${VERSION}`], { timeout: DOWNLOAD_TIMEOUT_MS });
    directory = (JSON.parse(stdout) as { Dir: string }).Dir;
  } catch (error) {
    const {
      code,
      stdout = '',
      stderr = '',
      message,
    } = error as { code?: unknown; stdout?: string; stderr?: string; message: string };
    if (code === 'ENOENT') return { missing: 'Go is not installed (https://go.dev/dl)' };
    // With -json, Go's reason stands in what it prints.
    const [, reason] = /"Error": "(.*)"/.exec(stdout) ?? [];
    return { missing: `Go could not fetch ${MODULE}@${VERSION}: ${reason ?? (stderr.trim() || message)}` };
  }
  return {
    openApiPath: join(directory, 'embedded', 'openapi', 'spec3.json'),
    start: async () => launch(await binary()),
  };
}

/** The binary, built if it is not there. Two builds at once each make their own, and the last one to finish stays. */
async function binary(): Promise<string> {
  const cache = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'redress');
  const built = join(cache, `stripe-mock-${VERSION}`);
  if (existsSync(built)) return built;
  await mkdir(cache, { recursive: true });
  const workshop = await mkdtemp(join(cache, 'build-'));
  try {
    const env = { ...process.env, GOBIN: workshop };
    await run('go', ['install', `${MODULE}@${VERSION}`], { env, timeout: BUILD_TIMEOUT_MS });
    await rename(join(workshop, 'stripe-mock'), built);
  } finally {
    await rm(workshop, { recursive: true, force: true });
  }
  return built;
}

async function launch(path: string): Promise<RunningStripeMock> {
  const child = spawn(path, ['-http-addr', '127.0.0.1:0'], { stdio: ['ignore', 'pipe', 'ignore'] });
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  const port = await new Promise<number>((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error('stripe-mock did not start in time')), START_TIMEOUT_MS);
    child.once('error', reject);
    child.once('exit', (code) => reject(new Error(`stripe-mock ended with ${code} before it listened`)));
    createInterface({ input: child.stdout }).on('line', (line) => {
      const [, found] = /Listening for HTTP at address: .*:(\d+)$/.exec(line) ?? [];
      if (found === undefined) return;
      clearTimeout(timer);
      resolve(Number(found));
    });
  }).catch((error: unknown) => {
    child.kill();
    throw error;
  });
  return {
    port,
    stop: async () => {
      child.kill();
      await ended;
    },
  };
}
