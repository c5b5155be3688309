/* Reads each place by itself, for the checker: own SQL, Kafka with a plain client from the beginning, the feed page by page. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Kafka, logLevel } from 'kafkajs';
import pg from 'pg';
import type { Action, Evidence, Kept, LoggedEvent } from './evidence.js';
import type { Rig } from './rig.js';

const told = [
  'refunds.commands.v1.dlq',
  'disputes.commands.v1.dlq',
  'refunds.outcomes.v1',
  'refunds.events.v1',
  'disputes.outcomes.v1',
  'disputes.events.v1',
  'payments.refundability.v1',
];

export async function gather(rig: Rig, history: readonly Action[]): Promise<Evidence> {
  const books = (await rig.books()) as Evidence['books'];
  const [database, topics, feed, attention] = await Promise.all([
    readDatabase(rig.places.database),
    readTopics(rig.places.brokers),
    readFeed(rig),
    readAttention(rig),
  ]);
  return { history, books, database, topics, feed, attention };
}

async function readDatabase(url: string): Promise<Evidence['database']> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  const all = async <T extends pg.QueryResultRow>(statement: string) => (await client.query<T>(statement)).rows;
  try {
    await client.query('begin isolation level repeatable read read only');
    const refundId = (column: string) => `'rf_' || replace(${column}::text, '-', '')`;
    type Database = Evidence['database'];
    const [counted] = await all<{ unsealed: number; halted: number }>(
      `select (select count(*) from event)::int - (select coalesce(sum(entries), 0) from event_position)::int as unsealed,
              (select count(*)::int from partition_halt) as halted`,
    );
    return {
      refunds: await all<Database['refunds'][number]>(
        `select ${refundId('r.id')} as id, r.provider, r.named_payment as payment, r.status, r.attention, r.amount::float8 as amount, r.origin,
                r.command ->> 'door' as door, r.command ->> 'id' as key, r.provider_refund_id,
                array(select p.id from provider_refund p where p.refund_id = r.id) as known
         from refund r order by r.ordinal`,
      ),
      payments: await all<Database['payments'][number]>(
        `select provider, name, read_at is not null as read, captured::float8 as captured, reserved::float8 as reserved, refunded::float8 as refunded from payment`,
      ),
      disputes: await all<Database['disputes'][number]>(
        `select provider_dispute_id as id, 'dp_' || replace(id::text, '-', '') as ours, provider_status, attention from dispute order by ordinal`,
      ),
      events: await all<LoggedEvent>(
        `select e.id, e.topic, e.type, e.key, e.sequence::float8 as sequence
         from event_position p join event e on e.ordinal > p.ordinal - p.entries and e.ordinal <= p.ordinal order by e.ordinal - p.ordinal + p.position`,
      ),
      unsealed: counted?.unsealed ?? 0,
      halted: counted?.halted ?? 0,
      deliveries: await all<Database['deliveries'][number]>(
        'select notice_id as notice, disposition, detail from webhook_delivery',
      ),
      operations: await all<Database['operations'][number]>(
        `select id::text as id, kind, state from provider_operation
         where state in ('open', 'parked') and kind not in ('refunds.list', 'disputes.list') and run_at < service_now() + interval '1 minute'`,
      ),
    };
  } finally {
    await client.end();
  }
}

async function readTopics(brokers: string): Promise<Record<string, Kept[]>> {
  const kafka = new Kafka({ brokers: brokers.split(','), clientId: 'checker', logLevel: logLevel.NOTHING });
  const admin = kafka.admin();
  const consumer = kafka.consumer({
    groupId: `checker-${process.pid}-${Date.now()}`,
    readUncommitted: false,
    maxWaitTimeInMs: 200,
  });
  const kept: Record<string, Kept[]> = Object.fromEntries(told.map((topic) => [topic, []]));
  const left = new Map<string, number>();
  await admin.connect();
  try {
    for (const topic of told) {
      for (const { partition, low, high } of await admin.fetchTopicOffsets(topic)) {
        if (Number(high) > Number(low)) left.set(`${topic} ${partition}`, Number(high));
      }
    }
    await consumer.connect();
    await consumer.subscribe({ topics: told, fromBeginning: true });
    await consumer.run({
      partitionsConsumedConcurrently: 1,
      eachBatch: ({ batch }) => {
        for (const { key, headers = {}, value, offset } of batch.messages) {
          const data = read(value);
          const { ce_id: id, ce_type: type, ce_sequence: sequence } = headers;
          kept[batch.topic]?.push({
            partition: batch.partition,
            offset: Number(offset),
            key: key?.toString() ?? null,
            id: String(id),
            type: String(type),
            sequence: sequence === undefined ? null : Number(sequence.toString()),
            ...(data.commandId === undefined ? {} : { commandId: data.commandId }),
            ...(data.code === undefined ? {} : { code: data.code }),
          });
        }
        // Behind the last record stand transaction markers, which nobody sees.
        const name = `${batch.topic} ${batch.partition}`;
        if (Number(batch.lastOffset()) + 1 >= (left.get(name) ?? 0)) left.delete(name);
        return Promise.resolve();
      },
    });
    // Of a partition that ends in markers no further batch may come: what does not move for a while has been read.
    for (let quiet = 0, count = -1; left.size > 0 && quiet < 60; await sleep(100)) {
      const now = Object.values(kept).reduce((sum, records) => sum + records.length, 0);
      quiet = now === count && now > 0 ? quiet + 1 : 0;
      count = now;
    }
  } finally {
    await Promise.all([consumer.disconnect(), admin.disconnect()]);
  }
  for (const records of Object.values(kept)) records.sort((a, b) => a.partition - b.partition || a.offset - b.offset);
  return kept;
}

async function readFeed(rig: Rig): Promise<{ id: string; sequence: number | null }[]> {
  const found: { id: string; sequence: number | null }[] = [];
  for (let after = ''; ;) {
    const { body } = await rig.call('GET', `/v1/events?limit=100${after === '' ? '' : `&after=${after}`}`);
    const data = body['data'] as { id: string; sequence?: string }[];
    for (const { id, sequence } of data) found.push({ id, sequence: sequence === undefined ? null : Number(sequence) });
    after = String(body['nextCursor']);
    if (data.length < 100) return found;
  }
}

async function readAttention(rig: Rig): Promise<string[]> {
  const ids: string[] = [];
  for (let cursor: string | null = ''; cursor !== null;) {
    const { body } = await rig.call('GET', `/v1/attention?limit=100${cursor === '' ? '' : `&cursor=${cursor}`}`);
    for (const item of body['data'] as Record<string, { id?: string } | undefined>[]) {
      for (const kind of ['refund', 'dispute', 'operation', 'deadLetter']) {
        const id = item[kind]?.id;
        if (id !== undefined) ids.push(id);
      }
    }
    cursor = body['nextCursor'] as string | null;
  }
  return ids;
}

/** Dead letters are what they were. */
function read(value: Buffer | null): { commandId?: string; code?: string } {
  try {
    return JSON.parse(value?.toString() ?? '{}') as { commandId?: string; code?: string };
  } catch {
    return {};
  }
}
