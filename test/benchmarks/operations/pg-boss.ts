/*
 * Peer: pg-boss 12, pgboss.io/api/workers. Batches with their jobs side by side, several workers, and no pause while batches come
 * full; whoever fetches one job every two seconds, as by default, is no contender. Completed jobs are kept, as by default.
 */
import pg from 'pg';
import { peer } from '../peers.js';
import { type Job, JobRunner, queue } from './job.js';

interface PgBossModule {
  readonly PgBoss: new (options: Readonly<Record<string, unknown>>) => {
    on(event: 'error', listener: (error: Error) => void): void;
    start(): Promise<unknown>;
    stop(): Promise<void>;
    work(
      name: string,
      options: Readonly<Record<string, unknown>>,
      handler: (jobs: readonly { readonly data: Job }[]) => Promise<void>,
    ): Promise<string>;
  };
}

const connectionString = process.env['DATABASE_URL'];
const runner = new JobRunner(process.env['PROVIDER_URL'] ?? '');
const pool = new pg.Pool({ connectionString, max: 16 });
const { PgBoss } = await peer<PgBossModule>('pg-boss');
// Looks as often as it can for jobs whose heartbeat is lost; by default it does so once a minute.
const watching = process.env['WATCHFUL'] === 'true' ? { superviseIntervalSeconds: 1, monitorIntervalSeconds: 1 } : {};
const boss = new PgBoss({ connectionString, ...watching });
boss.on('error', (error) => console.error(error));
await boss.start();
const options = { batchSize: 50, localConcurrency: 4, burstWhenBatchFull: true, pollingIntervalSeconds: 0.5 };
await boss.work(queue, options, async (jobs) => {
  await Promise.all(jobs.map(({ data }) => runner.run(pool, data)));
});
process.once('SIGTERM', () => void boss.stop().then(() => process.exit(0)));
