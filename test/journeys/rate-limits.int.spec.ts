import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { describeWithDatabase, describeWithKafka } from '../environment.js';
import { System } from './system.js';

const count = 600;
const begun = 50;
const few = 5;
const [perSecond, perEndpointPerSecond] = [100, 25];

interface Call {
  readonly call: string;
  readonly http_status: number;
  readonly started_at: Date;
}

describeWithDatabase('Four workers before a provider that enforces its limits', () => {
  describeWithKafka('with a backlog of refunds', () => {
    let system: System;
    beforeAll(async () => {
      system = await System.start({
        workers: 4,
        env: {
          STRIPE_CALLS_PER_SECOND: String(perSecond),
          STRIPE_CALLS_PER_SECOND_AND_ENDPOINT: String(perEndpointPerSecond),
        },
      });
      await system.control('limits', { provider: 'stripe', perSecond, perEndpointPerSecond });
    }, 120_000);
    afterAll(() => system.stop(), 60_000);

    it('use the limit up, break it hardly ever, fail no refund for it, and hold nobody else up (F24)', async () => {
      const made = (await system.control('payments', { provider: 'stripe', amount: 10_000, currency: 'USD', count })) as {
        payments: { paymentId: string }[];
      };
      await system.send(
        made.payments.map(({ paymentId }, index) => ({
          id: `command-${index}`,
          key: paymentId,
          data: { provider: 'stripe', paymentId, amount: 100, currency: 'USD' },
        })),
      );
      await system.until('the backlog is taken in', async () => (await countOf(system, 'true')) === count);

      // Somebody else's few refunds come in behind all of it.
      for (let each = 0; each < few; each += 1) {
        const { paymentId } = await system.pay({ provider: 'zamp', amount: 5_000, currency: 'AED' });
        expect((await system.refund({ provider: 'zamp', paymentId, amount: 1_999, currency: 'AED' })).status).toBe(202);
      }
      await system.until('all are done', async () => (await countOf(system, `status = 'succeeded'`)) === count + few, 120_000);

      const books = await system.books();
      const refunds = books.payments.filter(({ provider }) => provider === 'stripe').flatMap((payment) => payment.refunds);
      expect(refunds).toHaveLength(count);
      const told = await system.query<{ type: string; told: string }>(
        `select type, count(*) as told from event where topic = 'refunds.events.v1' group by type order by type`,
      );
      const each = (type: string) => `${type} ${count + few}`;
      // Zamp takes a while, if its callback is not faster than its answer; nothing failed, was rejected or became unknown.
      const [waited, others] = [
        told.filter(({ type }) => type.includes('.pending.')),
        told.filter(({ type }) => !type.includes('.pending.')),
      ];
      expect(others.map(({ type, told: times }) => `${type.split('.')[2]} ${times}`)).toEqual(
        ['approved', 'requested', 'submitted', 'succeeded'].map(each),
      );
      expect(Number(waited[0]?.told ?? 0)).toBeLessThanOrEqual(few);

      const calls = await system.query<Call>('select call, http_status, started_at from provider_call order by started_at');
      const limited = calls.filter(({ http_status: status }) => status === 429);
      expect(limited.length).toBeLessThanOrEqual(calls.length / 100);

      const at = calls.flatMap(({ call, http_status: status, started_at }) =>
        call === 'POST /v1/refunds' && status === 200 ? [started_at.getTime()] : [],
      );
      const between = (from: number, to: number) => ((to - from) * 1_000) / ((at[to] ?? 0) - (at[from] ?? 0));
      // A machine that is busy with others starts slowly; from then on nothing that is allowed should be missed.
      const goodput = between(begun, count - 1);
      console.info(
        `${between(0, count - 1).toFixed(2)} refunds a second, ${goodput.toFixed(2)} after the first ${begun}, ` +
          `${perEndpointPerSecond} allowed; ${limited.length} of ${calls.length} calls turned away`,
      );
      // Alone on its machine it is 0.96 and more; beside other stories the machine is what limits.
      expect(goodput).toBeGreaterThanOrEqual(0.8 * perEndpointPerSecond);

      // How much of the backlog went first, from when each of the few was asked for until it was sent.
      const waits = await system.query<{ before: string }>(
        `select (select count(*) from provider_call c where c.call = 'POST /v1/refunds' and c.started_at between r.created_at and o.last_sent_at) as before
         from refund r join provider_operation o on o.refund_id = r.id and o.kind = 'refund.send' where r.provider = 'zamp'`,
      );
      console.info(`${waits.map(({ before }) => before).join(', ')} of ${count} went before each of the ${few} that came behind`);
      expect(waits).toHaveLength(few);
      expect(Math.max(...waits.map(({ before }) => Number(before)))).toBeLessThan(count / 4);
    }, 240_000);
  });
});

async function countOf(system: System, which: string): Promise<number> {
  const [row] = await system.query<{ count: string }>(`select count(*) as count from refund where ${which}`);
  return Number(row?.count ?? 0);
}
