/*
 * What PostgreSQL could do at best: the rows of an intake, made before the clock starts, stored by set-based statements in batches of a
 * hundred through bare pg, four connections at once. No Kafka, no reading of bodies, no decision, no look for repeats, no sealing, no relay.
 */
import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { type Command, partitions, source } from './commands.js';
import type { RoundDatabase } from './stage.js';

const batchSize = 100;
const connections = 4;

const insertRefunds = `
  insert into refund (id, payment_key, named_payment, amount, command, account, provider, status, currency, holds, block_customer, metadata,
    origin, attempt, outcome, told, version, created_at, updated_at)
  select given.*, 'default', 'stripe', 'approved', 'USD', 'reserved', false, '{}', 'command', 1, 'accepted', true, 2, now(), now()
  from unnest($1::uuid[], $2::uuid[], $3::text[], $4::bigint[], $5::jsonb[]) as given`;
const insertOperations = `
  insert into provider_operation (id, target, refund_id, payment_key, lane, head, key, account, provider, kind, attempt, tries, run_at, priority,
    state, again, fence, created_at)
  select given.*, 'default', 'stripe', 'refund.send', 1, 0, now(), 10, 'open', false, 0, now()
  from unnest($1::uuid[], $2::text[], $3::uuid[], $4::uuid[], $5::text[], $6::boolean[], $7::text[]) as given`;
const insertEvents = `
  insert into event (id, topic, type, key, subject, payment_key, sequence, causation_id, data, account, time)
  select given.*, 'default', now()
  from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::uuid[], $7::bigint[], $8::text[], $9::text[]) as given`;
const lockPayments = `select * from payment where key = any($1::uuid[]) order by key for update`;
const changePayments = `
  update payment set reserved = reserved + given.amount, sequence = payment.sequence + given.events, version = version + 1
  from unnest($1::uuid[], $2::bigint[], $3::bigint[]) as given (key, amount, events) where payment.key = given.key`;
const moveOffset = `
  insert into partition_offset (cluster, group_id, topic, partition, next_offset) values ('floor', 'floor', 'floor', $1, $2)
  on conflict (cluster, group_id, topic, partition) do update set next_offset = excluded.next_offset`;

type Step = readonly [statement: string, values: readonly unknown[]];

/** Commands per second. */
export async function floorRound(database: RoundDatabase, commands: readonly Command[]): Promise<number> {
  await database.client.query('update payment set captured = 1e12'); // Here all are admitted.
  const keys = await paymentKeys(database.client);
  const lists = Array.from({ length: partitions }, (_, partition) =>
    prepare(
      commands.filter(({ paymentId }) => Number(paymentId.slice(-6)) % partitions === partition),
      keys,
      partition,
    ),
  );
  const clients = Array.from({ length: connections }, () => new pg.Client({ connectionString: database.url }));
  for (const client of clients) client.on('error', () => undefined); // The query says so too.
  await Promise.all(clients.map((client) => client.connect()));
  const started = performance.now();
  await Promise.all(clients.map((client) => storeAll(client, lists)));
  const seconds = (performance.now() - started) / 1000;
  await Promise.all(clients.map((client) => client.end()));
  const { rows } = await database.client.query<{ stored: string }>('select count(*) as stored from refund');
  if (Number(rows[0]?.stored) !== commands.length)
    throw new Error(`the floor stored ${rows[0]?.stored} of ${commands.length} refunds`);
  return commands.length / seconds;
}

async function storeAll(client: pg.Client, lists: Step[][][]): Promise<void> {
  for (let batches = lists.pop(); batches !== undefined; batches = lists.pop()) {
    for (const batch of batches) {
      await client.query('begin');
      for (const [text, values] of batch) await client.query({ name: text.slice(0, 40).trim(), text, values: [...values] });
      await client.query('commit');
    }
  }
}

async function paymentKeys(client: pg.Client): Promise<Map<string, string>> {
  const { rows } = await client.query<{ name: string; key: string }>('select name, key from payment');
  return new Map(rows.map(({ name, key }) => [name, key]));
}

function prepare(commands: readonly Command[], keys: ReadonlyMap<string, string>, partition: number): Step[][] {
  const sequences = new Map<string, number>();
  const batches: Step[][] = [];
  for (let at = 0; at < commands.length; at += batchSize) {
    const rows = commands.slice(at, at + batchSize).map((command) => {
      const payment = keys.get(command.paymentId) ?? '';
      const sequence = sequences.get(payment) ?? 0;
      sequences.set(payment, sequence + 2);
      return rowsOf(command, payment, sequence);
    });
    const all = rows.map(({ refund }) => refund);
    const touched = [...Map.groupBy(rows, ({ refund }) => refund[1])];
    batches.push([
      [moveOffset, [partition, at + rows.length]],
      [lockPayments, [touched.map(([key]) => key)]],
      [
        changePayments,
        [
          touched.map(([key]) => key),
          touched.map(([, of]) => of.reduce((sum, { refund }) => sum + refund[3], 0)),
          touched.map(([, of]) => 2 * of.length),
        ],
      ],
      [insertRefunds, columns(all)],
      [insertOperations, columns(rows.map(({ operation }) => operation))],
      [insertEvents, columns(rows.flatMap(({ events }) => events))],
    ]);
  }
  return batches;
}

function rowsOf({ id: commandId, paymentId, amount }: Command, payment: string, sequence: number) {
  const id = randomUUID();
  const target = `rf_${id.replaceAll('-', '')}`;
  const key = `default:stripe:${paymentId}`;
  const origin = JSON.stringify({ door: 'kafka', source, id: commandId, digest: 'x'.repeat(43), repeats: 0 });
  const summary = { id: target, account: 'default', provider: 'stripe', paymentId, status: 'approved', amount, currency: 'USD' };
  const data = JSON.stringify({ refund: { ...summary, rest: 'x'.repeat(450) }, previousStatus: null });
  const event = (topic: string, type: string, of: string | null, number: number | null, text: string) =>
    [`evt_${randomUUID()}`, topic, type, key, target, of, number, commandId, text] as const;
  return {
    refund: [id, payment, paymentId, amount, origin] as const,
    operation: [randomUUID(), target, id, payment, `refunds:${payment}`, sequence === 0, `refund:${target}:1`] as const,
    events: [
      event('refunds.events.v1', 'redress.refund.requested.v1', payment, sequence + 1, data),
      event('refunds.events.v1', 'redress.refund.approved.v1', payment, sequence + 2, data),
      event('refunds.outcomes.v1', 'redress.command.accepted.v1', null, null, JSON.stringify({ commandId, refundId: target })),
    ],
  };
}

function columns(rows: readonly (readonly unknown[])[]): unknown[][] {
  return (rows[0] ?? []).map((_, column) => rows.map((row) => row[column]));
}
