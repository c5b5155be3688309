/*
 * What PostgreSQL could do at best: the same operations in the same table, claimed in batches of 50 with SKIP LOCKED and marked
 * as done, by two statements through bare pg. No call, no limits, no refund, no events.
 */
import pg from 'pg';
import type { RoundDatabase } from '../stage.js';

const batchSize = 50;
/** Of one, two, four and eight, eight were fastest on two cores. */
const connections = 8;

const claim = `
  update provider_operation o set lease_until = now() + interval '30 seconds', fence = fence + 1, tries = tries + 1,
    first_sent_at = now(), last_sent_at = now()
  from (
    select id from provider_operation
    where account = 'default' and provider = 'stripe' and kind = 'refund.send' and priority = 10 and head and state = 'open'
      and run_at <= now() and lease_until is null
    order by run_at limit ${batchSize} for update skip locked
  ) due where o.id = due.id returning o.id`;
const finish = `
  update provider_operation set state = 'done', lease_until = null, done_at = now(), result = 'succeeded'
  where id = any($1::uuid[])`;

/** Operations per second. */
export async function floorRound({ url, client }: RoundDatabase, count: number): Promise<number> {
  const clients = Array.from({ length: connections }, () => new pg.Client({ connectionString: url }));
  for (const each of clients) each.on('error', () => undefined); // The query says so too.
  await Promise.all(clients.map((each) => each.connect()));
  const started = performance.now();
  await Promise.all(clients.map(workOff));
  const seconds = (performance.now() - started) / 1000;
  await Promise.all(clients.map((each) => each.end()));
  const { rows } = await client.query<{ done: string }>(
    `select count(*) as done from provider_operation where state = 'done' and fence = 1`,
  );
  if (Number(rows[0]?.done) !== count) throw new Error(`the floor did ${rows[0]?.done} of ${count} operations once`);
  return count / seconds;
}

async function workOff(client: pg.Client): Promise<void> {
  for (;;) {
    const { rows } = await client.query<{ id: string }>({ name: 'claim', text: claim });
    if (rows.length === 0) return;
    await client.query({ name: 'finish', text: finish, values: [rows.map(({ id }) => id)] });
  }
}
