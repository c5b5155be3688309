/*
 * What a job of a peer does, whichever queue it stands in: it calls the provider over a connection that is kept open, and then
 * one transaction marks its refund as done and stores the outcome. That is one statement, so the transaction costs one round
 * trip. Run again, it changes nothing.
 */
import { Agent, request } from 'node:http';
import type pg from 'pg';

/** What stands in the queue. */
export interface Job {
  readonly refund: string;
  readonly payment: string;
  readonly amount: number;
}

export const queue = 'send';

const createTables = `
  create table peer_refund (
    id text primary key, payment text not null, amount bigint not null, status text not null,
    created_at timestamptz not null, updated_at timestamptz
  );
  create table peer_outcome (
    number bigint generated always as identity primary key, refund text not null, provider_refund text not null,
    at timestamptz not null
  )`;
const insertRefunds = `
  insert into peer_refund (id, payment, amount, status, created_at)
  select 'rf_' || replace(gen_random_uuid()::text, '-', ''), 'pi_' || $1 || lpad(n::text, 8, '0'), 700, 'approved', now()
  from generate_series(1, $2::int) as n returning id as refund, payment, amount::int as amount`;
const markDone = `
  with done as (
    update peer_refund set status = 'succeeded', updated_at = now() where id = $1 and status = 'approved' returning id
  )
  insert into peer_outcome (refund, provider_refund, at) select id, $2, now() from done`;

export async function makeTables(client: pg.Client): Promise<void> {
  await client.query(createTables);
}

export async function makeJobs(client: pg.Client, prefix: string, count: number): Promise<Job[]> {
  return (await client.query<Job>(insertRefunds, [prefix, count])).rows;
}

export async function peerOutcomes(client: pg.Client): Promise<number> {
  const { rows } = await client.query<{ count: string }>('select count(*) as count from peer_outcome');
  return Number(rows[0]?.count);
}

export async function peerRefunds(client: pg.Client): Promise<Set<string>> {
  const { rows } = await client.query<{ id: string }>('select id from peer_refund');
  return new Set(rows.map(({ id }) => id));
}

/** What is wrong in a peer's books once all was sent, or nothing. */
export async function faultsOfPeer(client: pg.Client): Promise<string[]> {
  const { rows } = await client.query<{ count: string }>(
    `select count(*) as count from peer_refund left join (
       select refund, count(*) as outcomes from peer_outcome group by refund
     ) told on told.refund = id
     where status <> 'succeeded' or outcomes is distinct from 1`,
  );
  return rows[0]?.count === '0' ? [] : [`${rows[0]?.count} refunds are not done, or have not one outcome`];
}

export class JobRunner {
  private readonly agent = new Agent({ keepAlive: true });
  private readonly url: URL;

  constructor(providerUrl: string) {
    this.url = new URL('/v1/refunds', providerUrl);
  }

  async run(pool: pg.Pool, job: Job): Promise<void> {
    await this.markDone(pool, job, await this.call(job));
  }

  async markDone(on: pg.Pool | pg.PoolClient, { refund }: Job, made: string): Promise<void> {
    await on.query({ name: 'mark-done', text: markDone, values: [refund, made] });
  }

  /** The id of the provider's refund. */
  call({ refund, payment, amount }: Job, apiKey = 'sk_test_benchmark'): Promise<string> {
    const form = new URLSearchParams({
      payment_intent: payment,
      amount: String(amount),
      'metadata[redress_refund]': refund,
      'metadata[redress_attempt]': '1',
    });
    const body = form.toString();
    const headers = {
      authorization: `Bearer ${apiKey}`,
      'content-type': 'application/x-www-form-urlencoded',
      'content-length': Buffer.byteLength(body),
      'idempotency-key': `refund:${refund}:1`,
    };
    return new Promise((resolve, reject) => {
      const sent = request(this.url, { method: 'POST', agent: this.agent, headers }, (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (part: string) => (text += part));
        response.on('error', reject).on('end', () => {
          if (response.statusCode === 429) return reject(new TooMany());
          const { id, status } = JSON.parse(text) as { readonly id?: string; readonly status?: string };
          if (response.statusCode === 200 && id !== undefined && status === 'succeeded') resolve(id);
          else reject(new Error(`the provider answered ${response.statusCode}: ${text}`));
        });
      });
      sent.on('error', reject);
      sent.end(body);
    });
  }
}

/** The provider's limiter has turned the call away. */
export class TooMany extends Error {}
