/*
 * The commands of a round, the payments they are about, and what must have become of them: worked out here by a few lines of their own, so
 * that the ledger check does not believe the rules of either side.
 */
import type { Kafka } from 'kafkajs';
import type pg from 'pg';

export const source = '/benchmark';
export const partitions = 8;

export interface Command {
  readonly id: string;
  readonly paymentId: string;
  readonly amount: number;
  readonly currency: string;
}

export interface Expected extends Command {
  readonly isAdmitted: boolean;
}

/** Of each payment. */
const usuallyCaptured = 1_000_000;
const duplicateShare = 0.02;
const wrongCurrencyShare = 0.005;

/** Always the same ones. Few payments get most of the commands, as in a shop where one batch of goods was bad; some come twice. */
export function commandsFor(count: number, payments: number): Command[] {
  const random = generator(20_251_122);
  const byRank: number[] = [];
  for (let rank = 1, sum = 0; rank <= payments; rank += 1) byRank.push((sum += 1 / rank));
  const total = byRank.at(-1) ?? 1;
  const commands: Command[] = [];
  while (commands.length < count) {
    const earlier = commands[Math.floor(random() * commands.length)];
    if (earlier !== undefined && random() < duplicateShare) {
      commands.push(earlier);
      continue;
    }
    const paymentId = paymentName(rankOf(byRank, random() * total));
    const currency = random() < wrongCurrencyShare ? 'EUR' : 'USD';
    commands.push({ id: `command-${commands.length}`, paymentId, amount: 100 + Math.floor(random() * 900), currency });
  }
  return commands;
}

/** What must come of them, each command once, where each payment's commands are decided in their order. */
export function expectedOf(commands: readonly Command[], captured = usuallyCaptured): Map<string, Expected> {
  const left = new Map<string, number>();
  const expected = new Map<string, Expected>();
  for (const command of commands) {
    if (expected.has(command.id)) continue;
    const room = left.get(command.paymentId) ?? captured;
    const isAdmitted = command.currency === 'USD' && command.amount <= room;
    if (isAdmitted) left.set(command.paymentId, room - command.amount);
    expected.set(command.id, { ...command, isAdmitted });
  }
  return expected;
}

/** Payments that were read already, so that a command is decided as it comes: what the provider is slow at is not what is measured. */
export async function seedPayments(client: pg.Client, count: number, captured = usuallyCaptured): Promise<void> {
  const names = Array.from({ length: count }, (_, rank) => paymentName(rank));
  // Read in an hour's time: facts stay fresh on the slowest machine.
  await client.query(
    `with made as (
       insert into payment (key, account, provider, name, settled, aliases, currency, captured, reserved, refunded, disputed, lost, basis, read_at, waiting, sequence, version)
       select gen_random_uuid(), 'default', 'stripe', name, true, '[]', 'USD', $2, 0, 0, 0, 0, 'provider', service_now() + interval '1 hour', 0, 0, 1
       from unnest($1::text[]) as given (name)
       returning key, account, provider, name
     )
     insert into payment_alias (payment_key, account, provider, name) select * from made`,
    [names, captured],
  );
  await client.query('vacuum analyze');
  await client.query('checkpoint');
}

/** Makes the topic and fills it. A payment's commands are in one partition, in order. */
export async function fill(kafka: Kafka, topic: string, commands: readonly Command[]): Promise<void> {
  const admin = kafka.admin();
  await admin.connect();
  await admin.createTopics({ topics: [{ topic, numPartitions: partitions }], waitForLeaders: true });
  await admin.disconnect();
  // A batch that is tried again would stand there twice, and make the round a different one.
  const producer = kafka.producer({ idempotent: true, maxInFlightRequests: 1 });
  await producer.connect();
  for (let at = 0; at < commands.length; at += 2_000) {
    const messages = commands.slice(at, at + 2_000).map(({ id, paymentId, amount, currency }) => ({
      key: `default:stripe:${paymentId}`,
      value: JSON.stringify({ provider: 'stripe', paymentId, amount, currency }),
      headers: {
        ce_specversion: '1.0',
        ce_id: id,
        ce_source: source,
        ce_type: 'redress.RequestRefund.v1',
        'content-type': 'application/json',
      },
    }));
    await producer.send({ topic, acks: -1, messages });
  }
  await producer.disconnect();
}

export const paymentName = (rank: number) => `pi_bench${String(rank).padStart(8, '0')}`;

/** The first rank whose share of all reaches `at`. */
function rankOf(byRank: readonly number[], at: number): number {
  let [low, high] = [0, byRank.length - 1];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((byRank[middle] ?? 0) < at) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Mulberry32: the same numbers on every machine. */
export function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
