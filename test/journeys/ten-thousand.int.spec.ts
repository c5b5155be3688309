import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { describeWithDatabase, describeWithKafka } from '../environment.js';
import { problemsOf } from '../message-schemas.js';
import { System, type Seen } from './system.js';

const count = 10_000;

describeWithDatabase('Ten thousand commands for payments that nobody has heard of', () => {
  describeWithKafka('over Kafka', () => {
    let system: System;
    beforeAll(async () => {
      system = await System.start();
    }, 120_000);
    afterAll(() => system.stop(), 60_000);

    it('each have one outcome, one refund at the provider, and their events; and a batch of them is one transaction', async () => {
      const made = (await system.control('payments', { provider: 'stripe', amount: 10_000, currency: 'USD', count })) as {
        payments: { paymentId: string }[];
      };
      const commands = made.payments.map(({ paymentId }, index) => ({
        id: `command-${index}`,
        key: paymentId,
        data: { provider: 'stripe', paymentId, amount: 100, currency: 'USD' },
      }));
      await system.send(commands);
      await system.until('all are done', async () => (await ended(system)) === count, 240_000);

      const books = await system.books();
      expect(books.payments.filter(({ refunds }) => refunds.length === 1 && refunds[0]?.amount === 100)).toHaveLength(count);
      expect(books.payments.flatMap(({ refunds }) => refunds)).toHaveLength(count);

      const outcomes = await system.seen(['refunds.outcomes.v1'], (seen) => seen.length >= count, 120_000);
      const accepted = outcomes.filter(({ headers }) => headers['ce_type'] === 'redress.command.accepted.v1');
      expect(accepted).toHaveLength(count);
      expect(new Set(accepted.map(({ data }) => data['commandId'])).size).toBe(count);

      const events = await system.seen(['refunds.events.v1'], (seen) => seen.length >= 4 * count, 120_000);
      const perPayment = Map.groupBy(events, ({ key }) => key);
      expect(perPayment.size).toBe(count);
      const stories = new Set([...perPayment.values()].map((story) => story.map(typeOf).join(' ')));
      expect([...stories]).toEqual(['requested approved submitted succeeded']);
      expect(new Set([...perPayment.values()].map((story) => story.map(({ headers }) => headers['ce_sequence']).join()))).toEqual(
        new Set(['1,2,3,4']),
      );
      expect(events.slice(0, 500).flatMap(({ headers, data }) => problemsOf(headers['ce_type'] ?? '', data))).toEqual([]);

      // Rows that were inserted by one transaction carry its number. Far fewer transactions took the commands in than there were commands.
      const [{ transactions }] = (await system.query<{ transactions: string }>(
        `select count(distinct xmin::text) as transactions from event where type = 'redress.refund.requested.v1'`,
      )) as [{ transactions: string }];
      expect(Number(transactions)).toBeLessThan(count / 20);
    }, 600_000);
  });
});

async function ended(system: System): Promise<number> {
  const [row] = await system.query<{ done: string }>(`select count(*) as done from refund where status = 'succeeded'`);
  return Number(row?.done ?? 0);
}

const typeOf = ({ headers }: Seen) => /^redress\.refund\.(\w+)\.v1$/.exec(headers['ce_type'] ?? '')?.[1];
