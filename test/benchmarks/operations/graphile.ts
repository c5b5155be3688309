/*
 * Peer: graphile-worker 0.18. Both ways are those of its performance page, worker.graphile.org/docs/performance: "without
 * batching", which is its default but for the jobs at once (of those the default is one), and "with batching", with the figures
 * of its fastest run.
 */
import type pg from 'pg';
import { peer } from '../peers.js';
import { type Job, JobRunner, queue } from './job.js';

interface GraphileWorker {
  run(options: {
    readonly preset: { readonly worker: Readonly<Record<string, unknown>> };
    readonly taskList: Readonly<
      Record<
        string,
        (
          payload: unknown,
          helpers: { withPgClient(work: (client: pg.PoolClient) => Promise<void>): Promise<void> },
        ) => Promise<void>
      >
    >;
  }): Promise<{ readonly promise: Promise<void> }>;
}

const batching = { localQueue: { size: 500 }, completeJobBatchDelay: 0, failJobBatchDelay: 0 };

const runner = new JobRunner(process.env['PROVIDER_URL'] ?? '');
const { run } = await peer<GraphileWorker>('graphile-worker');
const { promise } = await run({
  preset: {
    worker: {
      connectionString: process.env['DATABASE_URL'],
      concurrentJobs: 24,
      maxPoolSize: 25,
      ...(process.env['BATCHING'] === 'true' ? batching : {}),
    },
  },
  taskList: {
    [queue]: async (payload, { withPgClient }) => {
      const job = payload as Job;
      const made = await runner.call(job);
      await withPgClient((client) => runner.markDone(client, job, made));
    },
  },
});
await promise;
