/*
 * Idle: what an api and a worker cost that are ready and have nothing to do, as parts of one core. Kafka and PostgreSQL are there and connected;
 * their own cost is not counted. In the same minute beside them: a Nest application with nothing in it, and a stock kafkajs consumer.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { relayed } from '../../apps/worker/src/worker.module.js';
import { type Child, Obstacle, portFor } from '../../scripts/child.js';
import { cpuMsOf, isCounted } from './cpu.js';
import { atMost, figure, type Result } from './figures.js';
import type { RoundDatabase, Stage } from './stage.js';

/** Percent of one core for both. */
const most = 3;
const windows = 6;
/** What a start leaves behind, compiling and collecting, is over by then. */
const settleMs = 15_000;

export async function idle(stage: Stage, { seconds }: { readonly seconds: number }): Promise<Result> {
  if (!isCounted) throw new Obstacle('idle reads what a process has used from /proc, which only Linux has');
  const database = await stage.database();
  const [port, bare] = [await portFor('PORT', 0), await portFor('PORT', 0)];
  const service = {
    DATABASE_URL: database.url,
    KAFKA_BROKERS: stage.brokers,
    REDRESS_DIR: stage.folder,
    ADMIN_KEY: 'benchmark-admin-key',
    STRIPE_API_KEY: 'sk_test_benchmark',
    STRIPE_WEBHOOK_SECRET: 'whsec_benchmark',
    STRIPE_API_BASE: 'http://127.0.0.1:9', // Nobody listens there, and nobody is called.
    PORT: String(port),
  };
  const parts = {
    worker: stage.process('worker', 'apps/worker/src/main.js', service),
    api: stage.process('api', 'apps/api/src/main.js', service),
    bare: stage.process('bare', 'test/benchmarks/idle/bare.js', { PORT: String(bare) }),
  };
  const others: Child[] = [];
  try {
    const answers = async (url: string) => (await fetch(url).catch(() => null))?.status === 200;
    await stage.until('the api is ready', 'api', () => answers(`http://127.0.0.1:${port}/health/ready`), 60_000);
    await stage.until('the bare application answers', 'bare', () => answers(`http://127.0.0.1:${bare}/`), 60_000);
    await stage.until('the worker relays every topic', 'worker', () => isRelaying(database), 60_000, 200);
    // Its topics are there now.
    const kafkajs = stage.process('kafkajs', 'test/benchmarks/idle/stock-consumer.js', { KAFKA_BROKERS: stage.brokers });
    others.push(kafkajs);
    const processes = { ...parts, kafkajs };
    await sleep(settleMs);

    const used = {
      ours: [] as number[],
      api: [] as number[],
      worker: [] as number[],
      bare: [] as number[],
      kafkajs: [] as number[],
    };
    const transactionsBefore = await transactions(database);
    const began = performance.now();
    for (let window = 1; window <= windows; window += 1) {
      const before = cpuOf(processes);
      const from = performance.now();
      await sleep((1000 * seconds) / windows);
      const elapsedMs = performance.now() - from;
      const after = cpuOf(processes);
      const percent = (name: keyof typeof processes) => (100 * (after[name] - before[name])) / elapsedMs;
      for (const name of ['api', 'worker', 'bare', 'kafkajs'] as const) used[name].push(percent(name));
      used.ours.push(percent('api') + percent('worker'));
      console.error(`idle, part ${window} of ${windows}: api and worker ${used.ours.at(-1)?.toFixed(2)} % of one core`);
    }
    const perSecond = ((await transactions(database)) - transactionsBefore) / ((performance.now() - began) / 1000);

    const figures = Object.fromEntries(Object.entries(used).map(([name, rounds]) => [name, figure(rounds)]));
    const mean = used.ours.reduce((sum, each) => sum + each, 0) / windows;
    const of = (peer: 'bare' | 'kafkajs') => used[peer].reduce((sum, each) => sum + each, 0) / windows;
    // A peer that used no whole tick says nothing.
    const peers = (['bare', 'kafkajs'] as const).filter((peer) => of(peer) > 0);
    return {
      name: 'idle',
      unit: `percent of one core, over ${windows} parts of ${seconds / windows} s`,
      figures,
      ratios: Object.fromEntries(peers.map((peer) => [peer, mean / of(peer)])),
      targets: [atMost(mean, most, 'percent of a core of api and worker together')],
      notes: [
        `mean over all parts: ${mean.toFixed(2)} %; ratios are of means`,
        `transactions per second at the database, both processes: ${perSecond.toFixed(1)}`,
        'bare: a Nest application on Fastify with one empty route. kafkajs: one stock consumer of the same topic, its idle timer included',
      ],
    };
  } finally {
    await Promise.all([...Object.values(parts), ...others].map((child) => child.stop(30_000)));
    await database.drop();
  }
}

/** Whether a worker has its turn at every topic: the last thing that one does as it starts. */
export async function isRelaying({ client }: RoundDatabase): Promise<boolean> {
  const { rows } = await client.query<{ held: number }>(
    'select count(*)::int as held from topic_cursor where holder is not null',
  );
  return rows[0]?.held === relayed.length;
}

function cpuOf<Name extends string>(processes: Readonly<Record<Name, Child>>): Record<Name, number> {
  const used = {} as Record<Name, number>;
  for (const [name, { pid }] of Object.entries(processes) as [Name, Child][]) used[name] = cpuMsOf(pid);
  return used;
}

async function transactions({ client }: RoundDatabase): Promise<number> {
  const { rows } = await client.query<{ done: string }>(
    'select xact_commit + xact_rollback as done from pg_stat_database where datname = current_database()',
  );
  return Number(rows[0]?.done);
}
