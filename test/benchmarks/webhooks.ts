/*
 * Webhooks: deliveries per second from a provider's request to its answer, which says that the delivery is stored.
 *
 * Ours is the api as it ships. No worker runs beside it: what is measured is the door, and what becomes of a delivery behind it waits for the
 * provider. The peers are in webhooks/, each in a process of its own, and so is the floor; all are posted to by this process.
 *
 * The first deliveries, a tenth of a round of ours, are not counted, so that nobody pays for the start; they are checked like the others.
 */
import { type Child, portFor } from '../../scripts/child.js';
import { cpuMsOf, cpuMsOfAll, isCounted } from './cpu.js';
import { atLeast, type Figure, figure, type Result } from './figures.js';
import { installPeers } from './peers.js';
import type { RoundDatabase, Stage } from './stage.js';
import { Connections } from './webhooks/connections.js';
import { type Delivery, deliveriesFor, requestOf, secret } from './webhooks/deliveries.js';
import { deliveriesAreStored, eventsAreStored, refundsAreStored, repeatsAreKnown } from './webhooks/ledger.js';

const connections = 50;

export interface WebhooksSettings {
  readonly pairs: number;
  /** Of one round of ours, and of the floor's. */
  readonly deliveries: number;
}

/** One who takes deliveries. */
interface Contender {
  readonly script: string;
  /** Slow ones take fewer: the rate is what counts, and they have little to gain from more. */
  readonly share: number;
  /** How it answers a GET once it is ready. */
  readonly ready: { readonly path: string; readonly status: number };
  readonly faults: (database: RoundDatabase, sent: readonly Delivery[]) => Promise<string[]>;
}

const contenders = {
  ours: {
    script: 'apps/api/src/main.js',
    share: 1,
    ready: { path: '/health/ready', status: 200 },
    faults: async (database, sent) => [
      ...(await deliveriesAreStored(database.client, sent)),
      ...(await repeatsAreKnown(database, sent)),
    ],
  },
  'sync-engine': {
    script: 'test/benchmarks/webhooks/sync-engine.js',
    share: 1 / 4,
    ready: { path: '/', status: 400 }, // It takes everything for a webhook, and this has no signature.
    faults: ({ client }, sent) => refundsAreStored(client, sent),
  },
  naive: {
    script: 'test/benchmarks/webhooks/naive.js',
    share: 1 / 8,
    ready: { path: '/', status: 404 },
    faults: ({ client }, sent) => eventsAreStored(client, sent),
  },
  floor: {
    script: 'test/benchmarks/webhooks/floor.js',
    share: 1,
    ready: { path: '/', status: 400 },
    faults: ({ client }, sent) => deliveriesAreStored(client, sent),
  },
} as const satisfies Readonly<Record<string, Contender>>;

type Name = keyof typeof contenders;
const names = Object.keys(contenders) as Name[];

export async function webhooks(stage: Stage, { pairs, deliveries: count }: WebhooksSettings): Promise<Result> {
  await installPeers();
  const all = deliveriesFor(count);
  const uncounted = Math.ceil(count / 10);
  const rounds: Record<Name, Measured[]> = { ours: [], 'sync-engine': [], naive: [], floor: [] };
  for (let pair = 1; pair <= pairs; pair += 1) {
    // In turn first, so that whatever the machine does slowly harms all alike.
    for (const name of pair % 2 === 0 ? names.toReversed() : names) {
      const counted = Math.ceil((count - uncounted) * contenders[name].share);
      const measured = await round(stage, name, all.slice(0, uncounted + counted), uncounted);
      rounds[name].push(measured);
      console.error(`webhooks, pair ${pair} of ${pairs}: ${name} ${measured.rate.toFixed(0)} deliveries/s`);
    }
  }

  const of = (name: Name, what: keyof Measured) => figure(rounds[name].map((each) => each[what]));
  const figures = Object.fromEntries(names.map((name) => [name, of(name, 'rate')]));
  const paired = (peer: Name) => figure(rounds.ours.map(({ rate }, pair) => rate / (rounds[peer][pair]?.rate ?? Number.NaN)));
  const peers = names.filter((name) => name !== 'ours');
  const ratio = (peer: Name) => of('ours', 'rate').median / of(peer, 'rate').median;
  return {
    name: 'webhooks',
    unit: 'deliveries per second, from request to answer',
    figures,
    ratios: Object.fromEntries(peers.map((peer) => [peer, ratio(peer)])),
    pairedRatios: Object.fromEntries(peers.map((peer) => [peer, paired(peer)])),
    targets: [atLeast(ratio('floor'), 1, 'ours / floor'), atLeast(ratio('sync-engine'), 3, 'ours / sync-engine')],
    notes: [
      `${count} deliveries a round over ${connections} connections, one in five a repeat; ` +
        `the sync engine took a quarter of them, the plain peer an eighth; bodies of ${all[0]?.body.length} bytes`,
      `answer times in ms, p50 and p99: ${names.map((name) => `${name} ${told(of(name, 'p50'))} and ${told(of(name, 'p99'))}`).join(', ')}`,
      'after each round the ledger was checked: every event is stored as it was sent, once or, where repeats are kept, as often as it came',
      'no worker runs: ours and the floor keep each delivery, the plain peer each event, the sync engine the refund that it is about',
      'the sender, PostgreSQL and an idle Kafka share the machine',
      ...(isCounted ? [`CPU of a core per delivery, ${names.map((name) => cpuNote(name, rounds[name])).join('; ')}`] : []),
    ],
  };
}

interface Measured {
  /** Deliveries per second. */
  readonly rate: number;
  readonly p50: number;
  readonly p99: number;
  /** Of a core, in milliseconds for a delivery. */
  readonly processMs: number;
  readonly databaseMs: number;
  readonly senderMs: number;
}

async function round(stage: Stage, name: Name, deliveries: readonly Delivery[], uncounted: number): Promise<Measured> {
  const { script, ready, faults }: Contender = contenders[name];
  const database = await stage.database();
  const port = await portFor('PORT', 0);
  const child = stage.process(name, script, {
    DATABASE_URL: database.url,
    KAFKA_BROKERS: stage.brokers,
    REDRESS_DIR: stage.folder,
    ADMIN_KEY: 'benchmark-admin-key',
    STRIPE_API_KEY: 'sk_test_benchmark',
    STRIPE_WEBHOOK_SECRET: secret,
    PORT: String(port),
  });
  try {
    const isReady = async () => (await fetch(`http://127.0.0.1:${port}${ready.path}`).catch(() => null))?.status === ready.status;
    await stage.until('it is ready', name, isReady, 60_000);
    await database.client.query('checkpoint');
    const measured = await measure(stage, child, port, deliveries.map(requestOf), uncounted);
    const found = await faults(database, deliveries);
    if (found.length > 0) throw new Error(`${name} left ${found.length} faults: ${found.slice(0, 5).join('; ')}`);
    return measured;
  } finally {
    await child.stop(10_000);
    await database.drop();
  }
}

async function measure(
  stage: Stage,
  child: Child,
  port: number,
  requests: readonly Buffer[],
  uncounted: number,
): Promise<Measured> {
  const counted = requests.length - uncounted;
  const used = () => {
    const { user, system } = process.cpuUsage();
    if (!isCounted) return [Number.NaN, Number.NaN, Number.NaN] as const;
    return [cpuMsOf(child.pid), cpuMsOfAll(stage.server), (user + system) / 1000] as const;
  };
  const opened = await Connections.open(port, connections);
  try {
    await opened.send(requests.slice(0, uncounted));
    const before = used();
    const { seconds, answerMs } = await opened.send(requests.slice(uncounted));
    const after = used();
    const each = (part: 0 | 1 | 2) => (after[part] - before[part]) / counted;
    const sorted = answerMs.toSorted();
    const percentile = (part: number) => sorted[Math.floor(part * (counted - 1))] ?? Number.NaN;
    const [processMs, databaseMs, senderMs] = [each(0), each(1), each(2)];
    return { rate: counted / seconds, p50: percentile(0.5), p99: percentile(0.99), processMs, databaseMs, senderMs };
  } finally {
    opened.close();
  }
}

function cpuNote(name: Name, rounds: readonly Measured[]): string {
  const median = (what: keyof Measured) => figure(rounds.map((each) => each[what])).median.toFixed(3);
  return `${name}: process ${median('processMs')} ms, database ${median('databaseMs')}, sender ${median('senderMs')}`;
}

const told = ({ median }: Figure) => median.toFixed(1);
