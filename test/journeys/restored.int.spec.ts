/*
 * The database is put back to a copy, as after a standby took over without the last of what was committed, or after a restore. What was sent
 * since is known to the providers alone. Sending is paused before anything goes out, until a sweep has seen all there is.
 */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, it, jest } from '@jest/globals';
import { commandId, refundIdOf } from '#application/names';
import { describeWithDatabase, describeWithKafka } from '../environment.js';
import { System } from './system.js';

// Each waits for real processes; how long says nothing.
jest.setTimeout(180_000);

interface Pause {
  readonly scope: { readonly provider: string | null; readonly account: string | null };
  readonly by: string;
  readonly reason: string;
  readonly automatic: boolean;
}

const providers = ['stripe', 'zamp'] as const;
const amount = 500;

describeWithDatabase('A database that was put back to a copy', () => {
  describeWithKafka('with a real Kafka', () => {
    let system: System;
    beforeAll(async () => {
      system = await System.start();
    }, 120_000);
    afterAll(() => system.stop(), 60_000);

    const paused = async () => (await system.call<{ paused: Pause[] }>('GET', '/v1/sending')).body.paused;
    const byProvider = (all: readonly Pause[]) =>
      all.map(({ scope }) => String(scope.provider)).sort((a, b) => a.localeCompare(b));

    /** Asks for a refund at each provider over Kafka; the ids it gets. */
    async function ask(): Promise<string[]> {
      const asked: string[] = [];
      for (const provider of providers) {
        const { paymentId } = await system.pay({ provider, amount: 10_000 });
        const id = randomUUID();
        asked.push(refundIdOf(commandId('default', 'kafka', '/journey', id)));
        await system.send([{ id, data: { provider, paymentId, amount, currency: 'USD' } }]);
      }
      return asked;
    }

    it('sends nothing before a sweep has seen what went out, and then nothing twice (F30)', async () => {
      for (const id of await ask()) await system.refundThatIs('succeeded', id);
      await system.stopParts();
      await system.snapshot();
      await system.startParts();
      const forgotten = await ask();
      for (const id of forgotten) await system.refundThatIs('succeeded', id);
      await system.stopParts();
      await system.restore();

      // The sweep cannot get through for a while: time enough to see that everything waits for it.
      await system.startParts(false);
      await system.control('faults', { provider: 'stripe', call: 'refunds.list', fault: 'status_500', times: 6 });
      const before = (await system.books()).payments.flatMap(({ refunds }) => refunds);
      system.startPart('worker');
      await system.until('sending is paused', async () => byProvider(await paused()).join() === 'stripe,zamp');
      expect(await paused()).toMatchObject([
        { by: 'the restore watch', automatic: true, reason: expect.stringContaining('older than it was') },
        { by: 'the restore watch', automatic: true },
      ]);
      const later = await ask();
      for (const id of later) {
        expect(await system.refundThatIs('approved', id)).toMatchObject({ warnings: ['sending_paused'] });
      }
      expect((await system.books()).payments.flatMap(({ refunds }) => refunds)).toHaveLength(before.length);

      // Stripe can be listed; of Zamp a person has to say so.
      await system.until('what can be listed goes on', async () => byProvider(await paused()).join() === 'zamp', 120_000);
      const [forgottenAtStripe = '', forgottenAtZamp = ''] = forgotten;
      const [laterAtStripe = '', laterAtZamp = ''] = later;
      for (const id of [forgottenAtStripe, laterAtStripe]) await system.refundThatIs('succeeded', id);
      expect(await system.refundOf(laterAtZamp)).toMatchObject({ status: 'approved' });
      const resumed = await system.call('PUT', '/v1/sending', {
        provider: 'zamp',
        account: 'default',
        paused: false,
        reason: 'looked through at Zamp',
      });
      expect(resumed.status).toBe(200);
      await system.refundThatIs('succeeded', laterAtZamp);
      // Zamp neither lists refunds nor answers a key twice: nobody can know, so nothing more is sent.
      expect(await system.refundThatIs('outcome_unknown', forgottenAtZamp)).toMatchObject({ attention: 'outcome_unknown' });

      const { payments } = await system.books();
      expect(payments.filter(({ refunds }) => refunds.length > 0)).toHaveLength(6);
      for (const { refunds } of payments) expect(refunds.map((refund) => refund.amount)).toEqual([amount]);
    });
  });
});
