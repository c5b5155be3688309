/* Puts jobs into the queues of peers, in each one's own way, before its process starts. */
import { peer } from '../peers.js';
import { type Job, queue } from './job.js';

interface GraphileWorker {
  makeWorkerUtils(options: { readonly connectionString: string }): Promise<{
    migrate(): Promise<void>;
    addJobs(jobs: readonly { readonly identifier: string; readonly payload: Job }[]): Promise<unknown>;
    release(): Promise<void>;
  }>;
}

interface PgBossModule {
  readonly PgBoss: new (options: Readonly<Record<string, unknown>>) => {
    start(): Promise<unknown>;
    stop(): Promise<void>;
    createQueue(name: string, options: Readonly<Record<string, unknown>>): Promise<void>;
    insert(name: string, jobs: readonly { readonly data: Job }[]): Promise<unknown>;
  };
}

/** A queue of a peer's that is ready to take jobs. */
export interface Queue {
  add(jobs: readonly Job[]): Promise<void>;
  close(): Promise<void>;
}

const atOnce = 1_000;

export async function graphileQueue(connectionString: string): Promise<Queue> {
  const { makeWorkerUtils } = await peer<GraphileWorker>('graphile-worker');
  const utils = await makeWorkerUtils({ connectionString });
  await utils.migrate();
  return {
    add: (jobs) => inPortions(jobs, (some) => utils.addJobs(some.map((payload) => ({ identifier: queue, payload })))),
    close: () => utils.release(),
  };
}

export async function bossQueue(connectionString: string, options: Readonly<Record<string, unknown>> = {}): Promise<Queue> {
  const { PgBoss } = await peer<PgBossModule>('pg-boss');
  const boss = new PgBoss({ connectionString, supervise: false, schedule: false });
  await boss.start();
  await boss.createQueue(queue, options);
  return {
    add: (jobs) =>
      inPortions(jobs, (some) =>
        boss.insert(
          queue,
          some.map((data) => ({ data })),
        ),
      ),
    close: () => boss.stop(),
  };
}

async function inPortions(jobs: readonly Job[], add: (some: readonly Job[]) => Promise<unknown>): Promise<void> {
  for (let from = 0; from < jobs.length; from += atOnce) await add(jobs.slice(from, from + atOnce));
}
