/* The plain peer's table of refunds, which is its queue as well. */
import type pg from 'pg';
import type { Job } from '../operations/job.js';

export interface Account {
  readonly account: string;
  readonly apiKey: string;
  readonly perSecond: number;
}

export interface Waiting extends Job {
  readonly number: string;
}

const createTable = `
  create table naive_refund (
    number bigint generated always as identity primary key, id text not null, account text not null, payment text not null,
    amount bigint not null, status text not null, provider_refund text
  )`;
const createIndex = `create index naive_refund_next on naive_refund (account, number) where status = 'approved'`;
const insert = `
  insert into naive_refund (id, account, payment, amount, status)
  select 'rf_' || replace(gen_random_uuid()::text, '-', ''), $1, 'pi_' || $1 || n, 700, 'approved'
  from generate_series(1, $2::int) as n`;
const takeNext = `
  update naive_refund r set status = 'sending' from (
    select number from naive_refund where account = $1 and status = 'approved' order by number limit 1 for update skip locked
  ) next where r.number = next.number returning r.number, r.id as refund, r.payment, r.amount::int as amount`;

export async function fillNaive(client: pg.Client, { account }: Account, count: number): Promise<void> {
  await client.query(insert, [account, count]);
}

export async function makeNaive(client: pg.Client): Promise<void> {
  await client.query(createTable);
  await client.query(createIndex);
}

export async function take(pool: pg.Pool, { account }: Account): Promise<Waiting | null> {
  const { rows } = await pool.query<Waiting>({ name: 'take', text: takeNext, values: [account] });
  return rows[0] ?? null;
}

export async function done(pool: pg.Pool, { number }: Waiting, providerRefund: string): Promise<void> {
  await pool.query(`update naive_refund set status = 'succeeded', provider_refund = $2 where number = $1`, [
    number,
    providerRefund,
  ]);
}

export async function naiveOutcomes(client: pg.Client): Promise<number> {
  const { rows } = await client.query<{ count: string }>(`select count(*) as count from naive_refund where status = 'succeeded'`);
  return Number(rows[0]?.count);
}

export async function naiveRefunds(client: pg.Client): Promise<Set<string>> {
  const { rows } = await client.query<{ id: string }>('select id from naive_refund');
  return new Set(rows.map(({ id }) => id));
}
