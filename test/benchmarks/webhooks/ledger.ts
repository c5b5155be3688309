/* What is stored after a round, against what was sent: every delivery was answered, so every event must be there, as it came. */
import { createHash } from 'node:crypto';
import type pg from 'pg';
import { Wake } from '#application/wake';
import { dataSource } from '#persistence/database';
import { PostgresDeliveries } from '#persistence/postgres-deliveries';
import type { RoundDatabase } from '../stage.js';
import type { Delivery } from './deliveries.js';

/** A row for each delivery, repeats too. */
export async function deliveriesAreStored(client: pg.Client, sent: readonly Delivery[]): Promise<string[]> {
  const stored = await client.query<Stored>(
    `select notice_id as id, encode(sha256(body), 'hex') as digest, count(*)::int as times from webhook_delivery group by 1, 2`,
  );
  return differences(stored.rows, sent, (times) => times);
}

/** A row for each event, however often it came. */
export async function eventsAreStored(client: pg.Client, sent: readonly Delivery[]): Promise<string[]> {
  const stored = await client.query<Stored>(
    `select id, encode(sha256(body), 'hex') as digest, count(*)::int as times from webhook group by 1, 2`,
  );
  return differences(stored.rows, sent, () => 1);
}

/** The worker's own claim, which goes through them in their order: of each event all but the first must count as repeats. */
export async function repeatsAreKnown({ url }: RoundDatabase, sent: readonly Delivery[]): Promise<string[]> {
  const source = await dataSource({ url, connections: 1 }).initialize();
  try {
    const deliveries = new PostgresDeliveries(source, new NoBells());
    const faults: string[] = [];
    const seen = new Set<string>();
    let claimed = 0;
    for (;;) {
      const part = await deliveries.claim(200, 600_000);
      if (part.length === 0) break;
      claimed += part.length;
      for (const { noticeId, repeated } of part) {
        if (repeated !== seen.has(noticeId)) faults.push(`${noticeId} is ${repeated ? 'taken for' : 'not known as'} a repeat`);
        seen.add(noticeId);
      }
    }
    if (claimed !== sent.length) faults.push(`${claimed} of ${sent.length} deliveries wait for the worker`);
    return faults;
  } finally {
    await source.destroy();
  }
}

/** The sync engine keeps the refunds that events are about, each in its newest state. */
export async function refundsAreStored(client: pg.Client, sent: readonly Delivery[]): Promise<string[]> {
  const stored = await client.query<{ id: string; amount: number; status: string }>(
    'select id, amount, status from stripe.refunds',
  );
  const expected = new Map(sent.map(({ refundId, amount }) => [refundId, amount]));
  const wrong = stored.rows.filter(({ id, amount, status }) => expected.get(id) !== amount || status !== 'succeeded');
  const faults = wrong.map(({ id, amount, status }) => `${id} is ${amount}, ${status}`);
  return stored.rows.length === expected.size
    ? faults
    : [`${stored.rows.length} of ${expected.size} refunds are there`, ...faults];
}

/** Nobody waits for anything here. */
class NoBells extends Wake {
  override ring(): void {}
  override on(): () => void {
    return () => undefined;
  }
}

interface Stored {
  readonly id: string;
  readonly digest: string;
  readonly times: number;
}

function differences(stored: readonly Stored[], sent: readonly Delivery[], wanted: (times: number) => number): string[] {
  const expected = Map.groupBy(sent, ({ eventId }) => eventId);
  const faults = stored.flatMap(({ id, digest, times }) => {
    const of = expected.get(id) ?? [];
    const body = of[0]?.body ?? '';
    if (times !== wanted(of.length)) return [`${id} is there ${times} times and was sent ${of.length} times`];
    return digest === createHash('sha256').update(body).digest('hex') ? [] : [`${id} is not as it was sent`];
  });
  const seen = new Set(stored.map(({ id }) => id));
  return [...faults, ...[...expected.keys()].filter((id) => !seen.has(id)).map((id) => `${id} is not there`)];
}
