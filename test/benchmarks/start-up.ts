/*
 * Start-up: how long a new process takes until it serves. The api until it says that it is ready, the worker until it has its turn at every
 * topic, and beside them a Nest application with one empty route until that answers. Database, Kafka and its topics are there already, and the
 * files have been read before; what V8 compiled before is not kept for anybody.
 */
import { portFor } from '../../scripts/child.js';
import { cpuMsOf, isCounted } from './cpu.js';
import { atMost, figure, type Result } from './figures.js';
import { isRelaying } from './idle.js';
import type { RoundDatabase, Stage } from './stage.js';

const most = 2;

const scripts = {
  api: 'apps/api/src/main.js',
  worker: 'apps/worker/src/main.js',
  bare: 'test/benchmarks/idle/bare.js',
} as const;
type Name = keyof typeof scripts;
const names = Object.keys(scripts) as Name[];

interface Measured {
  readonly ms: number;
  /** Of a core, until then. */
  readonly cpuMs: number;
}

export async function startUp(stage: Stage, { pairs }: { readonly pairs: number }): Promise<Result> {
  const database = await stage.database();
  try {
    // Brings the files into memory, and the topics into being.
    for (const name of names) await start(stage, database, name);
    const rounds: Record<Name, Measured[]> = { api: [], worker: [], bare: [] };
    for (let pair = 1; pair <= pairs; pair += 1) {
      for (const name of pair % 2 === 0 ? names.toReversed() : names) rounds[name].push(await start(stage, database, name));
      const seen = names.map((name) => `${name} ${rounds[name].at(-1)?.ms.toFixed(0)} ms`);
      console.error(`start-up, pair ${pair} of ${pairs}: ${seen.join(', ')}`);
    }

    const times = (name: Name) => rounds[name].map(({ ms }) => ms);
    const paired = (mine: readonly number[]) => figure(mine.map((ms, pair) => ms / (times('bare')[pair] ?? Number.NaN)));
    // A deployment waits for both.
    const later = times('api').map((ms, pair) => Math.max(ms, times('worker')[pair] ?? Number.NaN));
    const figures = {
      ours: figure(later),
      api: figure(times('api')),
      worker: figure(times('worker')),
      bare: figure(times('bare')),
    };
    const ratio = (name: 'ours' | 'api' | 'worker') => figures[name].median / figures.bare.median;
    const cpu = (name: Name) => `${name} ${figure(rounds[name].map(({ cpuMs }) => cpuMs)).median.toFixed(0)} ms`;
    return {
      name: 'start-up',
      unit: 'milliseconds from start to ready',
      figures,
      ratios: { bare: ratio('ours') },
      pairedRatios: { bare: paired(later) },
      targets: [atMost(ratio('api'), most, 'api / bare'), atMost(ratio('worker'), most, 'worker / bare')],
      notes: [
        'ours is the later of api and worker in each pair; each was started alone',
        `by pairs: api / bare ${spread(paired(times('api')))}, worker / bare ${spread(paired(times('worker')))}`,
        'bare: a Nest application on Fastify with one empty route, and no database',
        ...(isCounted ? [`CPU of a core until ready, median: ${names.map(cpu).join(', ')}`] : []),
      ],
    };
  } finally {
    await database.drop();
  }
}

async function start(stage: Stage, database: RoundDatabase, name: Name): Promise<Measured> {
  const port = await portFor('PORT', 0);
  const answers = async (path: string) => (await fetch(`http://127.0.0.1:${port}${path}`).catch(() => null))?.status === 200;
  const isReady: Record<Name, () => Promise<boolean>> = {
    api: () => answers('/health/ready'),
    worker: () => isRelaying(database),
    bare: () => answers('/'),
  };
  const begun = performance.now();
  const child = stage.process(name, scripts[name], {
    DATABASE_URL: database.url,
    KAFKA_BROKERS: stage.brokers,
    REDRESS_DIR: stage.folder,
    ADMIN_KEY: 'benchmark-admin-key',
    STRIPE_API_KEY: 'sk_test_benchmark',
    STRIPE_WEBHOOK_SECRET: 'whsec_benchmark',
    STRIPE_API_BASE: 'http://127.0.0.1:9', // Nobody listens there, and nobody is called.
    PORT: String(port),
  });
  try {
    await stage.until('it is ready', name, isReady[name], 60_000, 10);
    return { ms: performance.now() - begun, cpuMs: isCounted ? cpuMsOf(child.pid) : Number.NaN };
  } finally {
    await child.stop(30_000);
    // A worker that ends this early leaves turns behind, and the next one would seem to be ready before it began.
    await database.client.query('update topic_cursor set holder = null, lease_until = null');
  }
}

const spread = ({ median, min, max }: ReturnType<typeof figure>) =>
  `${median.toFixed(2)} (${min.toFixed(2)} to ${max.toFixed(2)})`;
