/*
 * Refunds that were approved and wait to be sent, as the intake leaves them: a payment each, which was read before, and the open
 * operation that sends it. And what must have become of them.
 */
import type pg from 'pg';

export interface Approved {
  /** Part of the payments' names, of letters and digits; no other payment of the database may have it. */
  readonly prefix: string;
  readonly count: number;
  readonly account?: string;
}

const amount = 700;

/** The facts were read in an hour's time: they stay fresh on the slowest machine. */
const insert = `
  with made as materialized (
    select gen_random_uuid() as payment, gen_random_uuid() as refund, 'pi_' || $1 || lpad(n::text, 8, '0') as name,
      'command-' || n as command, service_now() as now
    from generate_series(1, $2::int) as n
  ), named as (
    select *, 'rf_' || replace(refund::text, '-', '') as id from made
  ), payments as (
    insert into payment (key, account, provider, name, settled, aliases, currency, captured, reserved, refunded, disputed, lost,
      basis, read_at, waiting, sequence, version)
    select payment, $3, 'stripe', name, true, '[]', 'USD', 1000000, $4::bigint, 0, 0, 0, 'provider', now + interval '1 hour',
      0, 0, 1 from named
  ), aliases as (
    insert into payment_alias (payment_key, account, provider, name) select payment, $3, 'stripe', name from named
  ), refunds as (
    insert into refund (id, payment_key, named_payment, amount, command, account, provider, status, currency, holds,
      block_customer, metadata, origin, attempt, outcome, told, version, created_at, updated_at)
    select refund, payment, name, $4::bigint,
      jsonb_build_object('door', 'kafka', 'source', '/benchmark', 'id', command, 'digest', repeat('x', 43), 'repeats', 0),
      $3, 'stripe', 'approved', 'USD', 'reserved', false, '{}', 'command', 1, 'accepted', true, 2, now, now
    from named
  )
  insert into provider_operation (id, target, refund_id, payment_key, lane, head, key, account, provider, kind, attempt, tries,
    run_at, priority, state, again, fence, created_at)
  select gen_random_uuid(), id, refund, payment, 'refunds:' || payment, true, 'refund:' || id || ':1', $3, 'stripe',
    'refund.send', 1, 0, now, 10, 'open', false, 0, now
  from named`;

export async function approve(client: pg.Client, { prefix, count, account = 'default' }: Approved): Promise<void> {
  await client.query(insert, [prefix, count, account, amount]);
}

/** Nothing of what was made before is left to do for the server. */
export async function settle(client: pg.Client): Promise<void> {
  await client.query('vacuum analyze');
  await client.query('checkpoint');
}

/** The ids of all refunds that were to be sent, by which the provider's book names them. */
export async function sentRefunds(client: pg.Client): Promise<Set<string>> {
  const { rows } = await client.query<{ target: string }>(`select target from provider_operation where kind = 'refund.send'`);
  return new Set(rows.map(({ target }) => target));
}

/** How many have their outcome. */
export async function outcomes(client: pg.Client): Promise<number> {
  const { rows } = await client.query<{ count: string }>('select count(*) as count from provider_refund');
  return Number(rows[0]?.count);
}

const checks = {
  'refunds did not succeed': `select count(*) as count from refund where status <> 'succeeded' or holds <> 'refunded'`,
  'sends are not done': `select count(*) as count from provider_operation where kind = 'refund.send' and state <> 'done'`,
  'refunds were not told once of their submission and once of their success': `
    select count(*) as count from refund left join (
      select subject, count(*) filter (where type = 'redress.refund.submitted.v1') as submitted,
        count(*) filter (where type = 'redress.refund.succeeded.v1') as succeeded, count(*) as events
      from event where topic = 'refunds.events.v1' group by subject
    ) told on told.subject = 'rf_' || replace(refund.id::text, '-', '')
    where (submitted, succeeded, events) is distinct from (1, 1, 2)`,
  'payments have not given back what they held': `
    select count(*) as count from payment where reserved <> 0 or refunded <> ${amount}
      or sequence <> (select count(*) from event where event.payment_key = payment.key and event.sequence is not null)`,
  'refunds have not one refund at the provider': `
    select count(*) as count from refund left join (
      select refund_id, count(*) as made from provider_refund group by refund_id
    ) of on of.refund_id = refund.id
    where made is distinct from 1`,
};

/** What is wrong in our books once all was sent, or nothing. */
export async function faultsOfBooks(client: pg.Client): Promise<string[]> {
  const faults: string[] = [];
  for (const [what, statement] of Object.entries(checks)) {
    const { rows } = await client.query<{ count: string }>(statement);
    if (rows[0]?.count !== '0') faults.push(`${rows[0]?.count} ${what}`);
  }
  return faults;
}
