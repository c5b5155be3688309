/* Events as a busy day leaves them in the log, and what must have come of them on Kafka. */
import { setTimeout as sleep } from 'node:timers/promises';
import { type Kafka, type Admin, type EachBatchPayload } from 'kafkajs';
import type pg from 'pg';
import { topics } from '#contracts/topics';

export const topic = topics.refundEvents;
export const partitions = 16;
/** As many as a batch of commands makes. */
const perTransaction = 1_000;
/** Each payment has so many events in a round. */
export const perPayment = 10;

/** The numbered event as JSON, as long as those of ours. */
const data = `json_build_object('refund', json_build_object(
    'id', 'rf_' || md5(n::text), 'account', 'default', 'provider', 'stripe', 'paymentId', 'pi_bench' || lpad(payment::text, 8, '0'),
    'status', 'approved', 'attention', null, 'amount', 100 + n % 900, 'currency', 'USD', 'reason', null, 'reference', null,
    'origin', 'command', 'providerRefundId', null, 'providerStatus', null, 'pendingReason', null, 'failureCode', null,
    'bankReference', null, 'actionRequired', null, 'attempts', 1, 'warnings', '[]'::json, 'rejection', null, 'version', 2,
    'createdAt', '2026-01-01T00:00:00.000Z', 'updatedAt', '2026-01-01T00:00:00.000Z', 'finalAt', null
  ), 'previousStatus', 'requested')::text`;

/** Events nobody has sealed yet, each payment's numbered from 1, in transactions' blocks. */
export async function fillLog(client: pg.Client, events: number): Promise<void> {
  for (let first = 0; first < events; first += perTransaction) {
    const last = Math.min(first + perTransaction, events) - 1;
    await client.query(
      `with block as materialized (select nextval('event_block') << 20 as start)
       insert into event (ordinal, id, topic, type, account, key, subject, payment_key, sequence, time, correlation_id, causation_id, data)
       select start + n - ${first} + 1, 'evt_' || md5('e' || n), '${topic}', 'redress.refund.approved.v1', 'default',
         'default:stripe:pi_bench' || lpad(payment::text, 8, '0'), 'rf_' || md5(n::text), md5('p' || payment)::uuid, n / ${events / perPayment} + 1, now(),
         'command-' || n, 'command-' || n, ${data}
       from block, generate_series(${first}, ${last}) n, lateral (select n % ${events / perPayment} as payment) of`,
    );
  }
  await client.query('vacuum analyze event');
  await client.query('checkpoint');
}

/** Where the topic ends now, by partition; the topic is made when it is not there. */
export async function endsOf(kafka: Kafka): Promise<Map<number, bigint>> {
  const admin: Admin = kafka.admin();
  await admin.connect();
  try {
    const isNew = await admin.createTopics({ topics: [{ topic, numPartitions: partitions }], waitForLeaders: true });
    // A broker that has just become the leader may not know it yet, and kafkajs does not ask again.
    if (isNew) await sleep(2_000);
    const ends = await admin.fetchTopicOffsets(topic);
    return new Map(ends.map(({ partition, high }) => [partition, BigInt(high)]));
  } finally {
    await admin.disconnect();
  }
}

/** What is wrong with what stands behind `from`, for who reads committed records: each event once, a payment's in their order. */
export async function faultsOnTopic(kafka: Kafka, from: ReadonlyMap<number, bigint>, events: number): Promise<string[]> {
  const to = await endsOf(kafka);
  const faults: string[] = [];
  const next = new Map<string, number>();
  let seen = 0;
  const waiting = new Set(
    [...to].filter(([partition, end]) => end > (from.get(partition) ?? 0n)).map(([partition]) => partition),
  );
  const consumer = kafka.consumer({ groupId: `ledger-${Date.now()}`, maxWaitTimeInMs: 100 });
  const done = Promise.withResolvers<void>();
  const read = ({ batch }: EachBatchPayload) => {
    for (const { key, headers, offset } of batch.messages) {
      if (BigInt(offset) < (from.get(batch.partition) ?? 0n)) continue;
      seen += 1;
      const sequence = Number(String(headers?.['ce_sequence']));
      const expected = next.get(String(key)) ?? 1;
      if (sequence !== expected) faults.push(`${String(key)} has ${sequence} where ${expected} should be`);
      next.set(String(key), sequence + 1);
    }
    // Markers of transactions are no records: the end is near enough when all that there is has been handed over.
    if (BigInt(batch.lastOffset()) + 2n >= (to.get(batch.partition) ?? 0n)) waiting.delete(batch.partition);
    if (waiting.size === 0) done.resolve();
    return Promise.resolve();
  };
  try {
    await consumer.connect();
    await consumer.subscribe({ topic, fromBeginning: true });
    await consumer.run({ eachBatch: read });
    for (const [partition, offset] of from) consumer.seek({ topic, partition, offset: offset.toString() });
    const late = setTimeout(() => done.resolve(), 60_000);
    await done.promise;
    clearTimeout(late);
  } finally {
    await consumer.disconnect();
  }
  if (seen !== events) faults.unshift(`${seen} records of ${events} events`);
  return faults;
}
