import { afterAll, beforeAll, expect, it, jest } from '@jest/globals';
import type { Refund } from '#contracts/refund-events';
import { describeWithDatabase, describeWithKafka } from '../environment.js';
import { System } from './system.js';

// Each waits for real processes; how long says nothing.
jest.setTimeout(120_000);

interface Balance {
  readonly captured: number;
  readonly reserved: number;
  readonly refunded: number;
  readonly available: number;
  readonly refunds: readonly Refund[];
}

describeWithDatabase('What banks do later, and what others do at the provider', () => {
  describeWithKafka('through the running system', () => {
    let system: System;
    beforeAll(async () => {
      system = await System.start();
    }, 120_000);
    afterAll(() => system.stop(), 60_000);

    const balanceOf = async (paymentId: string) => (await system.call<Balance>('GET', `/v1/payments/stripe/${paymentId}`)).body;
    const untilAvailable = (paymentId: string, available: number) =>
      system.until(`${available} of ${paymentId} is available`, async () => (await balanceOf(paymentId)).available === available);
    const refundOn = async (payment: object, amount: number, currency = 'USD') => {
      const { paymentId } = await system.pay({ provider: 'stripe', currency, ...payment });
      const asked = await system.refund({ provider: 'stripe', paymentId, amount, currency });
      expect(asked.status).toBe(202);
      return { paymentId, id: asked.body.id };
    };
    const historyOf = async (id: string) =>
      (await system.call<{ data: { kind: string; summary: string }[] }>('GET', `/v1/refunds/${id}/history`)).body.data;

    it('a refund from the dashboard counts as soon as its webhook comes, also on a payment we had never seen (F28)', async () => {
      const { paymentId: unseen } = await system.pay({ provider: 'stripe', amount: 10_000 });
      const { paymentId: known, id } = await refundOn({ amount: 10_000 }, 1_000);
      await system.refundThatIs('succeeded', id);
      for (const paymentId of [unseen, known]) await system.control('dashboard-refunds', { paymentId, amount: 3_000 });
      await untilAvailable(unseen, 7_000);
      await untilAvailable(known, 6_000);
      const { refunds } = await balanceOf(unseen);
      expect(refunds).toMatchObject([{ origin: 'discovered', amount: 3_000, status: 'succeeded', attempts: 0 }]);
    });

    it('a refund from the dashboard whose webhook is lost counts from the next sweep on (F28)', async () => {
      const { paymentId } = await system.pay({ provider: 'stripe', amount: 10_000 });
      await system.control('faults', { provider: 'stripe', webhook: 'lose', times: 4 });
      await system.control('dashboard-refunds', { paymentId, amount: 3_000 });
      const missing = await system.call('GET', `/v1/payments/stripe/${paymentId}`);
      expect(missing.status).toBe(404);
      await system.control('clock', { advanceSeconds: 16 * 60 });
      await untilAvailable(paymentId, 7_000);
    });

    it('a refund that the bank returns is reversed, its room is free again, and a person is told (F25)', async () => {
      const { paymentId, id } = await refundOn({ amount: 10_000, paymentMethod: 'pm_card_refundFail' }, 4_000);
      const reversed = await system.refundThatIs('reversed', id);
      expect(reversed).toMatchObject({ attention: 'late_reversal', failureCode: expect.any(String) });
      expect(await balanceOf(paymentId)).toMatchObject({ refunded: 0, reserved: 0, available: 10_000 });
      const queue = await system.call<{ data: { kind: string; refund?: Refund }[] }>('GET', '/v1/attention?limit=100');
      expect(queue.body.data.some(({ refund }) => refund?.id === id)).toBe(true);

      const again = await system.call<Refund>('POST', `/v1/refunds/${id}/retry`, {});
      expect(again.status).toBe(200);
      await system.until('the second attempt is out', async () => (await system.refundOf(id)).attempts === 2);
    });

    it('a refund of weeks ago that comes back without a webhook is seen by the sweep (F25)', async () => {
      const { id } = await refundOn({ amount: 10_000 }, 2_000);
      const { providerRefundId } = await system.refundThatIs('succeeded', id);
      await system.control('clock', { advanceSeconds: 12 * 24 * 3_600 });
      // One that is under way when the clock goes on would have read too early, and is not due again for a day.
      await system.until('no sweep is due', async () => {
        const due = `select 1 from provider_operation where kind = 'refunds.list' and (run_at <= service_now() or lease_until is not null)`;
        return (await system.query(due)).length === 0;
      });
      await system.control('faults', { provider: 'stripe', webhook: 'lose', times: 4 });
      await system.control(`refunds/${providerRefundId}`, { status: 'failed', failureReason: 'lost_or_stolen_card' });
      await system.control('clock', { advanceSeconds: 25 * 3_600 });
      expect(await system.refundThatIs('reversed', id)).toMatchObject({
        attention: 'late_reversal',
        failureCode: 'lost_or_stolen_card',
      });
    });

    it('every later word of the bank has its event, and its place in the story', async () => {
      const { id } = await refundOn({ amount: 10_000, paymentMethod: 'pm_card_pendingRefund', refundDelayMs: 3_600_000 }, 1_000);
      const { providerRefundId } = await system.refundThatIs('pending', id);
      const bankSays = (status: string, more: object = {}) => system.control(`refunds/${providerRefundId}`, { status, ...more });
      await bankSays('requires_action');
      await system.refundThatIs('requires_action', id);
      await bankSays('succeeded');
      await system.refundThatIs('succeeded', id);
      await bankSays('failed', { failureReason: 'declined' });
      await system.refundThatIs('reversed', id);
      const told = (await historyOf(id)).filter(({ kind }) => kind === 'event').map(({ summary }) => summary);
      expect(told.map((summary) => summary.replace(/ \(\w+ to \w+\)/, ''))).toEqual([
        'redress.refund.requested.v1',
        'redress.refund.approved.v1',
        'redress.refund.submitted.v1',
        expect.stringMatching(/^redress\.refund\.pending\.v1: the provider has it/),
        expect.stringMatching(/^redress\.refund\.requires_action\.v1: the provider waits for the customer/),
        expect.stringMatching(/^redress\.refund\.succeeded\.v1: the money is on its way/),
        expect.stringMatching(/^redress\.refund\.reversed\.v1: the bank sent the money back to us.*\(declined\)/),
        'redress.refund.attention_needed.v1: a person must look (late_reversal)',
      ]);
    });

    it.each([
      { currency: 'USD', captured: 10_000, amount: 1_050, booked: 1_050 },
      { currency: 'JPY', captured: 10_000, amount: 1_050, booked: 1_050 },
      { currency: 'KWD', captured: 10_000, amount: 1_050, booked: 1_050 },
      // Two digits at Stripe, none in ISO; UGX as ISK, see docs/decisions.
      { currency: 'ISK', captured: 1_000_000, amount: 1_050, booked: 105_000 },
      { currency: 'UGX', captured: 1_000_000, amount: 1_050, booked: 105_000 },
      // None at Stripe, two in ISO.
      { currency: 'MGA', captured: 10_000, amount: 105_000, booked: 1_050 },
    ])('$amount $currency reach Stripe in its own units', async ({ currency, captured, amount, booked }) => {
      const { paymentId, id } = await refundOn({ amount: captured }, amount, currency);
      expect(await system.refundThatIs('succeeded', id)).toMatchObject({ amount, currency });
      const { payments } = await system.books();
      expect(payments.find((payment) => payment.paymentId === paymentId)?.refunds).toMatchObject([{ amount: booked }]);
    });

    it('19.99 AED reach Zamp to the fils', async () => {
      const { paymentId } = await system.pay({ provider: 'zamp', amount: 2_000, currency: 'AED' });
      const asked = await system.refund({ provider: 'zamp', paymentId, amount: 1_999, currency: 'AED' });
      await system.refundThatIs('succeeded', asked.body.id);
      const { payments } = await system.books();
      expect(payments.find((payment) => payment.paymentId === paymentId)?.refunds).toMatchObject([{ amount: 1_999 }]);
    });

    it.each([
      { what: '10.005 KWD', currency: 'KWD', amount: 10_005, status: 422, code: 'amount_not_representable' },
      { what: '10.50 MGA', currency: 'MGA', amount: 1_050, status: 422, code: 'amount_not_representable' },
      { what: '10.50 ISK', currency: 'ISK', amount: 10.5, status: 400, code: 'validation_failed' },
    ])('$what are refused before anything is promised', async ({ currency, amount, status, code }) => {
      const { paymentId } = await system.pay({ provider: 'stripe', amount: 1_000_000, currency });
      const asked = await system.refund({ provider: 'stripe', paymentId, amount, currency });
      expect(asked).toMatchObject({ status, body: { code } });
    });
  });
});
