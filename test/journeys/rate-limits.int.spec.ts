import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { describeWithDatabase, describeWithKafka } from '../environment.js';
import { System } from './system.js';

const count = 600;
const few = 5;
const [perSecond, perEndpointPerSecond] = [100, 25];

interface Call {
  readonly call: string;
  readonly http_status: number;
  readonly result: string;
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

    it('use the limit up, break it hardly ever, fail no refund for it, and hold nobody else up', async () => {
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
      expect(told.map(({ type, told: times }) => `${type.split('.')[2]} ${times}`)).toEqual(
        ['approved', 'requested', 'submitted', 'succeeded'].map((type) => `${type} ${count + few}`),
      );

      const calls = await system.query<Call>(
        'select call, http_status, result, started_at from provider_call order by started_at',
      );
      const limited = calls.filter(({ http_status: status }) => status === 429);
      expect(limited.length).toBeLessThanOrEqual(calls.length / 100);

      const sends = calls.filter(({ call, http_status: status }) => call === 'POST /v1/refunds' && status === 200);
      const [first, last] = [sends[0]?.started_at.getTime() ?? 0, sends.at(-1)?.started_at.getTime() ?? 0];
      const goodput = ((sends.length - 1) * 1_000) / (last - first);
      console.info(
        `${goodput.toFixed(2)} refunds a second of ${perEndpointPerSecond} allowed, ${limited.length} calls turned away`,
      );
      expect(goodput).toBeGreaterThanOrEqual(0.96 * perEndpointPerSecond);

      // By the order of events: when the last of the few was done, most of the backlog still waited.
      const [before] = await system.query<{ done: string }>(
        `select count(*) as done from event e join refund r on e.subject = 'rf_' || replace(r.id::text, '-', '')
         where e.type = 'redress.refund.succeeded.v1' and r.provider = 'stripe' and e.ordinal < (
           select max(e.ordinal) from event e join refund r on e.subject = 'rf_' || replace(r.id::text, '-', '')
           where e.type = 'redress.refund.succeeded.v1' and r.provider = 'zamp')`,
      );
      console.info(`${before?.done} of ${count} were done before the ${few} that came behind them`);
      expect(Number(before?.done)).toBeLessThan(count / 2);
    }, 240_000);
  });
});

async function countOf(system: System, which: string): Promise<number> {
  const [row] = await system.query<{ count: string }>(`select count(*) as count from refund where ${which}`);
  return Number(row?.count ?? 0);
}
