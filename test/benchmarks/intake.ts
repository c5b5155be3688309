/*
 * Intake: commands per second from a filled topic to committed refunds.
 *
 * Ours is the worker as it ships, with all that it does besides: it seals the log and relays it to Kafka while it takes commands in. The
 * provider is a port that takes connections and never answers, so sends begin (128 at most) and cost next to nothing. The payments were read
 * before, so each command is decided as it comes. The peer is in naive/, the floor in floor.ts.
 *
 * The clock starts when the first commands are seen committed, which are not counted, so that neither pays for its start. It stops when the
 * last are, and with ours when the log is sealed too.
 */
import { createServer, type AddressInfo, type Socket } from 'node:net';
import type { Kafka } from 'kafkajs';
import type { Child } from '../../scripts/child.js';
import { topics } from '#contracts/topics';
import { type Command, commandsFor, expectedOf, fill, seedPayments } from './commands.js';
import { cpuMsOf, cpuMsOfAll, isCounted } from './cpu.js';
import { atLeast, figure, type Result } from './figures.js';
import { floorRound } from './floor.js';
import { faultsOf } from './ledger.js';
import type { RoundDatabase, Stage } from './stage.js';

export const naiveTopic = 'naive.refunds.commands.v1';
/** The peer takes a part of the commands: its rate is what counts, and it has little to gain from more of them. */
const naiveShare = 16;

export interface IntakeSettings {
  readonly pairs: number;
  /** Of one round of ours, and of the floor's. */
  readonly commands: number;
}

export async function intake(stage: Stage, { pairs, commands: count }: IntakeSettings): Promise<Result> {
  const paymentCount = Math.ceil(count / 2);
  const commands = commandsFor(count, paymentCount);
  const fewer = commands.slice(0, Math.ceil(count / naiveShare));
  const kafka = stage.kafka();
  await fill(kafka, topics.refundCommands, commands);
  await fill(kafka, naiveTopic, fewer);

  const rates = { ours: [] as number[], naive: [] as number[], floor: [] as number[] };
  const cpu = { ours: [] as number[], naive: [] as number[] };
  for (let pair = 1; pair <= pairs; pair += 1) {
    const round = async (who: keyof typeof rates, measure: (database: RoundDatabase) => Promise<number>) => {
      const database = await stage.database();
      await seedPayments(database.client, paymentCount);
      const rate = await measure(database);
      await database.drop();
      rates[who].push(rate);
      console.error(`intake, pair ${pair} of ${pairs}: ${who} ${rate.toFixed(0)} commands/s`);
    };
    const timed = (who: keyof typeof cpu, measure: (database: RoundDatabase) => Promise<Measured>) =>
      round(who, async (database) => {
        const { rate, cpuMs } = await measure(database);
        cpu[who].push(cpuMs);
        return rate;
      });
    const rounds = [
      () => timed('ours', (database) => oursRound(stage, database, commands)),
      () => timed('naive', (database) => naiveRound(stage, kafka, database, fewer, `naive-${pair}`)),
    ];
    // In turn first, so that whatever the machine does slowly harms both alike.
    for (const each of pair % 2 === 0 ? rounds.toReversed() : rounds) await each();
    await round('floor', (database) => floorRound(database, commands));
  }

  const figures = { ours: figure(rates.ours), naive: figure(rates.naive), floor: figure(rates.floor) };
  const ratio = (peer: 'naive' | 'floor') => figures.ours.median / figures[peer].median;
  const paired = (peer: 'naive' | 'floor') => figure(rates.ours.map((rate, pair) => rate / (rates[peer][pair] ?? Number.NaN)));
  return {
    name: 'intake',
    unit: 'commands per second, from topic to committed',
    figures,
    ratios: { naive: ratio('naive'), floor: ratio('floor') },
    pairedRatios: { naive: paired('naive'), floor: paired('floor') },
    targets: [
      atLeast(ratio('floor'), 0.6, 'ours / floor'),
      atLeast(ratio('naive'), 15, 'ours / naive'),
      atLeast(figures.ours.median, 5_000, 'commands per second'),
    ],
    notes: [
      `${commands.length} commands a round in 8 partitions over ${paymentCount} payments, zipf; the peer took ${fewer.length}`,
      'after each round the ledger was checked: refunds, room, events, outcomes, sends, offsets',
      'ours also seals the log and relays it to Kafka meanwhile; the peer does neither',
      'the floor is bare SQL of the same rows: no Kafka, no decisions',
      'Kafka, PostgreSQL and the measuring process share the machine',
      ...(isCounted ? [cpuNote(cpu)] : []),
    ],
  };
}

export interface Measured {
  /** Commands per second. */
  readonly rate: number;
  /** Of a core, for a command: the process and its database server. */
  readonly cpuMs: number;
}

/** What it costs says as much as how fast it is, and a busy machine disturbs it less. */
function cpuNote(cpu: { readonly ours: readonly number[]; readonly naive: readonly number[] }): string {
  const [mine, theirs] = [figure(cpu.ours).median, figure(cpu.naive).median];
  return (
    `of a core, process and database server took ${mine.toFixed(2)} ms for a command of ours, ${theirs.toFixed(2)} ms for one of the peer: ` +
    `${(theirs / mine).toFixed(1)} times as much`
  );
}

export async function oursRound(
  stage: Stage,
  database: RoundDatabase,
  commands: readonly Command[],
  expected = expectedOf(commands),
): Promise<Measured> {
  const { client } = database;
  const provider = await silentProvider();
  const worker = stage.process('ours', 'apps/worker/src/main.js', {
    DATABASE_URL: database.url,
    KAFKA_BROKERS: stage.brokers,
    STRIPE_API_KEY: 'sk_test_benchmark',
    STRIPE_WEBHOOK_SECRET: 'whsec_benchmark',
    STRIPE_API_BASE: provider.url,
  });
  try {
    const measured = await measure(stage, 'ours', worker, commands.length, async () => {
      const { rows } = await client.query<{ taken: string }>(
        'select coalesce(sum(next_offset), 0) as taken from partition_offset',
      );
      const taken = Number(rows[0]?.taken);
      if (taken < commands.length) return taken;
      const sealed = await client.query('select from event_seal where position = (select count(*) from event)');
      return sealed.rowCount === 1 ? taken : taken - 1;
    });
    refuse('ours', await faultsOf(client, expected));
    await stage.until(
      'all is sealed and relayed',
      'ours',
      async () => {
        const { rows } = await client.query<{ left: string }>(
          `select (select count(*) from event) - (select position from event_seal) + (
           select coalesce(sum(least(p.entries, p.position - c.position)), 0) from event_position p join topic_cursor c on c.topic = p.topic and p.position > c.position
         ) as left`,
        );
        return rows[0]?.left === '0';
      },
      120_000,
    );
    return measured;
  } finally {
    provider.close();
    await worker.stop(30_000);
  }
}

export async function naiveRound(
  stage: Stage,
  kafka: Kafka,
  { client, url }: RoundDatabase,
  commands: readonly Command[],
  group: string,
  expected = expectedOf(commands),
): Promise<Measured> {
  // So that its `save` need not look first whether a row with the new id is there.
  for (const table of ['refund', 'provider_operation'])
    await client.query(`alter table ${table} alter id set default gen_random_uuid()`);
  const peer = stage.process('naive', 'test/benchmarks/naive/main.js', {
    DATABASE_URL: url,
    KAFKA_BROKERS: stage.brokers,
    TOPIC: naiveTopic,
    GROUP: group,
    KAFKAJS_NO_PARTITIONER_WARNING: '1',
  });
  try {
    const measured = await measure(stage, 'naive', peer, expected.size, async () => {
      const { rows } = await client.query<{ taken: string }>('select count(*) as taken from command');
      return Number(rows[0]?.taken);
    });
    refuse('naive', await faultsOf(client, expected));
    await offsetsAre(stage, kafka, `${group}-server`, commands.length);
    return measured;
  } finally {
    await peer.stop(10_000);
  }
}

/** Nest's transport tells Kafka its offsets once a batch has ended. */
async function offsetsAre(stage: Stage, kafka: Kafka, groupId: string, all: number): Promise<void> {
  const admin = kafka.admin();
  await admin.connect();
  const areStored = async () => {
    const [stored] = await admin.fetchOffsets({ groupId, topics: [naiveTopic] });
    return stored?.partitions.reduce((sum, { offset }) => sum + Math.max(0, Number(offset)), 0) === all;
  };
  try {
    await stage.until('the offsets are stored', 'naive', areStored, 30_000, 500);
  } finally {
    await admin.disconnect();
  }
}

/** From the first sight of something done to the sight of all done. */
async function measure(stage: Stage, who: string, child: Child, all: number, done: () => Promise<number>): Promise<Measured> {
  const used = () => (isCounted ? cpuMsOf(child.pid) + cpuMsOfAll(stage.server) : Number.NaN);
  let begun = 0;
  let [start, end, usedBefore] = [0, 0, 0];
  await stage.until(
    `all ${all} commands are committed`,
    who,
    async () => {
      const now = await done();
      end = performance.now();
      if (begun === 0 && now > 0) [begun, start, usedBefore] = [now, end, used()];
      return now >= all;
    },
    600_000,
  );
  return { rate: (1000 * (all - begun)) / (end - start), cpuMs: (used() - usedBefore) / (all - begun) };
}

/** A fast round with wrong books counts as nothing. */
function refuse(who: string, faults: readonly string[]): void {
  if (faults.length > 0) throw new Error(`${who} left ${faults.length} faults in the books: ${faults.slice(0, 5).join('; ')}`);
}

/** Takes connections and says nothing. */
async function silentProvider(): Promise<{ readonly url: string; close(): void }> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined).on('close', () => sockets.delete(socket));
    socket.resume();
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const close = () => {
    server.close();
    for (const socket of sockets) socket.destroy();
  };
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, close };
}
