/*
 * The plain peer: loops that take the next refund of an account, call, and after a 429 try again, ever later and by chance a
 * little earlier or later than the others, as docs.stripe.com/rate-limits says. Each account has loops of its own, so that a slow
 * one holds up none but itself.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { JobRunner, TooMany } from '../operations/job.js';
import { type Account, done, take, type Waiting } from './naive-queue.js';

const loops = 8;
const [firstPauseMs, longestPauseMs] = [500, 8_000];

const accounts = JSON.parse(process.env['ACCOUNTS'] ?? '[]') as readonly Account[];
const pool = new pg.Pool({ connectionString: process.env['DATABASE_URL'], max: 16 });
const runner = new JobRunner(process.env['PROVIDER_URL'] ?? '');

await Promise.all(accounts.flatMap((account) => Array.from({ length: loops }, () => workOff(account))));
await pool.end();

async function workOff(account: Account): Promise<void> {
  for (let waiting = await take(pool, account); waiting !== null; waiting = await take(pool, account)) {
    await done(pool, waiting, await send(waiting, account));
  }
}

async function send(waiting: Waiting, { apiKey }: Account): Promise<string> {
  for (let tries = 0; ; tries += 1) {
    try {
      return await runner.call(waiting, apiKey);
    } catch (error) {
      if (!(error instanceof TooMany)) throw error;
      await sleep(Math.min(longestPauseMs, firstPauseMs * 2 ** tries) * (0.5 + Math.random() / 2));
    }
  }
}
