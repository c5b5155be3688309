/*
 * Operations: from the claim of a refund's send to its outcome, per second, with a provider that answers at once.
 *
 * Ours is the worker as it ships, over a backlog of approved refunds: it claims, commits the beginning of each send, calls
 * through Stripe's library, stores answers with their events, seals the log and relays it to Kafka, and its leases are fenced.
 * Its limits are set so high that they hold up nothing. Peers are queues with a lean job (operations/job.ts) in a process each,
 * the floor is in operations/floor.ts.
 *
 * The clock starts when the first outcomes are seen, which are not counted, and stops when the last is: nobody pays for its
 * start.
 */
import { isCounted } from './cpu.js';
import { atLeast, figure, type Figure, type Result } from './figures.js';
import { approve, faultsOfBooks, outcomes, sentRefunds, settle } from './operations/approved.js';
import { floorRound } from './operations/floor.js';
import { inTurn, type Rounds } from './operations/in-turn.js';
import { faultsOfPeer, makeJobs, makeTables, peerOutcomes, peerRefunds } from './operations/job.js';
import { measure, type Measured } from './operations/measure.js';
import { faultsOfCalls, type Provider, startProvider } from './operations/provider.js';
import { bossQueue, graphileQueue, type Queue } from './operations/queues.js';
import { installPeers } from './peers.js';
import type { RoundDatabase, Stage } from './stage.js';

export interface OperationsSettings {
  readonly pairs: number;
  /** Of one round. */
  readonly operations: number;
}

const peers = {
  graphile: { script: 'graphile', env: {}, queue: graphileQueue },
  'graphile-batched': { script: 'graphile', env: { BATCHING: 'true' }, queue: graphileQueue },
  'pg-boss': { script: 'pg-boss', env: {}, queue: bossQueue },
} as const;
type Peer = keyof typeof peers;
type Contender = 'ours' | 'instant' | 'floor' | Peer;

export async function operations(stage: Stage, { pairs, operations: count }: OperationsSettings): Promise<Result> {
  await installPeers();
  const provider = await startProvider(stage);
  const of = (peer: Peer) => () => onDatabase(stage, (database) => peerRound(stage, provider, database, peer, count));
  const rounds = await inTurn<Contender, Measured>(
    pairs,
    {
      ours: () => onDatabase(stage, (database) => ours(stage, provider, database, 'ours', count)),
      graphile: of('graphile'),
      'graphile-batched': of('graphile-batched'),
      'pg-boss': of('pg-boss'),
      floor: () => onDatabase(stage, (database) => floor(database, count)),
      instant: () => onDatabase(stage, (database) => ours(stage, provider, database, 'instant', count)),
    },
    (pair, who, { rate }) => console.error(`operations, pair ${pair} of ${pairs}: ${who} ${rate.toFixed(0)} operations/s`),
  );
  await provider.stop();

  const rates = (who: Contender) => rounds[who].map(({ rate }) => rate);
  const compared = ['graphile', 'graphile-batched', 'pg-boss', 'floor'] as const;
  const per = <T>(value: (who: (typeof compared)[number]) => T) =>
    Object.fromEntries(compared.map((who) => [who, value(who)])) as Record<(typeof compared)[number], T>;
  const mine = figure(rates('ours'));
  const ratios = per((who) => mine.median / figure(rates(who)).median);
  return {
    name: 'operations',
    unit: 'operations per second, from claim to outcome',
    figures: { ours: mine, ...per((who) => figure(rates(who))) },
    ratios,
    pairedRatios: per((who): Figure => figure(mine.rounds.map((rate, pair) => rate / (rates(who)[pair] ?? Number.NaN)))),
    targets: [atLeast(ratios.floor, 0.4, 'ours / floor'), atLeast(ratios['graphile-batched'], 1, 'ours / graphile-batched')],
    notes: [
      `${count} operations a round, each of a payment of its own; the provider is a process that answers at once`,
      'after each round the ledger was checked: one outcome for each, one call with each key; with ours events and payments too',
      'ours also stores each call and two events, seals the log and relays it, and its leases are fenced; peers do none of it',
      `ours without the provider's library and HTTP, its port answering at once: ${told(figure(rates('instant')))} operations/s`,
      'generator, provider, Kafka, PostgreSQL and the measuring process share the machine',
      ...(isCounted ? [cpuNote(rounds)] : []),
    ],
  };
}

const told = ({ median, min, max }: Figure) => `${median.toFixed(0)} (${min.toFixed(0)} to ${max.toFixed(0)})`;

/** What it costs says as much as how fast it is, and a busy machine disturbs it less. */
function cpuNote(rounds: Rounds<Contender, Measured>): string {
  const cost = (who: Contender) => {
    const [process, server] = [
      figure(rounds[who].map((each) => each.processMs)),
      figure(rounds[who].map((each) => each.serverMs)),
    ];
    return `${who} ${process.median.toFixed(2)} + ${server.median.toFixed(2)}`;
  };
  const counted = ['ours', 'instant', 'graphile', 'graphile-batched', 'pg-boss'] as const;
  return `ms of a core for an operation, process + database server: ${counted.map(cost).join(', ')}`;
}

async function onDatabase<T>(stage: Stage, round: (database: RoundDatabase) => Promise<T>): Promise<T> {
  const database = await stage.database();
  const came = await round(database);
  await database.drop();
  return came;
}

async function ours(
  stage: Stage,
  provider: Provider,
  { client, url }: RoundDatabase,
  who: 'ours' | 'instant',
  count: number,
): Promise<Measured> {
  await approve(client, { prefix: 'bench', count });
  await settle(client);
  await provider.begin();
  const worker = stage.process(who, who === 'ours' ? 'apps/worker/src/main.js' : 'test/benchmarks/operations/instant.js', {
    DATABASE_URL: url,
    KAFKA_BROKERS: stage.brokers,
    STRIPE_API_KEY: 'sk_test_benchmark',
    STRIPE_WEBHOOK_SECRET: 'whsec_benchmark',
    STRIPE_API_BASE: provider.url,
    STRIPE_CALLS_PER_SECOND: '100000',
    STRIPE_CALLS_PER_SECOND_AND_ENDPOINT: '100000',
  });
  try {
    const measured = await measure(stage, who, worker, count, () => outcomes(client));
    await stage.until('all is sealed and relayed', who, () => isRelayed(client), 120_000);
    const called = who === 'ours' ? faultsOfCalls(await provider.calls(), await sentRefunds(client)) : [];
    refuse(who, [...(await faultsOfBooks(client)), ...called]);
    return measured;
  } finally {
    await worker.stop(30_000);
  }
}

async function isRelayed(client: RoundDatabase['client']): Promise<boolean> {
  const { rows } = await client.query<{ left: string }>(
    `select (select count(*) from event) - (select position from event_seal) + (
       select coalesce(sum(p.entries), 0) from event_position p join topic_cursor c on c.topic = p.topic and p.position > c.position
     ) as left`,
  );
  return rows[0]?.left === '0';
}

async function peerRound(
  stage: Stage,
  provider: Provider,
  { client, url }: RoundDatabase,
  who: Peer,
  count: number,
): Promise<Measured> {
  const { script, env, queue } = peers[who];
  await makeTables(client);
  await fill(await queue(url), await makeJobs(client, 'bench', count));
  await settle(client);
  await provider.begin();
  const process = stage.process(who, `test/benchmarks/operations/${script}.js`, {
    DATABASE_URL: url,
    PROVIDER_URL: provider.url,
    ...env,
  });
  try {
    const measured = await measure(stage, who, process, count, () => peerOutcomes(client));
    refuse(who, [...(await faultsOfPeer(client)), ...faultsOfCalls(await provider.calls(), await peerRefunds(client))]);
    return measured;
  } finally {
    await process.stop(10_000);
  }
}

async function fill(queue: Queue, jobs: Parameters<Queue['add']>[0]): Promise<void> {
  await queue.add(jobs);
  await queue.close();
}

async function floor(database: RoundDatabase, count: number): Promise<Measured> {
  await approve(database.client, { prefix: 'bench', count });
  await settle(database.client);
  return { rate: await floorRound(database, count), processMs: Number.NaN, serverMs: Number.NaN };
}

/** A fast round with wrong books counts as nothing. */
function refuse(who: string, faults: readonly string[]): void {
  if (faults.length > 0) throw new Error(`${who} left ${faults.length} faults in the books: ${faults.slice(0, 5).join('; ')}`);
}
