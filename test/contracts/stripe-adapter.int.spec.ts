import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { CallContext, CallTrace } from '#domain/ports/refund-provider';
import { StripeRefunds } from '#stripe/stripe-refunds';
import { stripeMock, type RunningStripeMock } from '../../scripts/stripe-mock.js';

const mock = await stripeMock();
if ('missing' in mock) {
  console.warn(`NOT RUN: whether Stripe's own stand-in accepts our requests. ${mock.missing}`);
  if (process.env['CI'] === 'true') throw new Error(mock.missing);
}

/** stripe-mock checks each request against Stripe's OpenAPI document: names and types of parameters, what can be expanded. */
('missing' in mock ? describe.skip : describe)("Stripe's own stand-in accepts", () => {
  let running: RunningStripeMock;
  let stripe: StripeRefunds;
  const traces: CallTrace[] = [];
  const call = (): CallContext => ({
    deadline: AbortSignal.timeout(10_000),
    now: new Date(),
    trace: (trace) => traces.push(trace),
  });
  beforeAll(async () => {
    if ('missing' in mock) return;
    running = await mock.start();
    stripe = new StripeRefunds({
      account: 'default',
      apiKey: 'sk_test_123',
      webhookSecrets: ['whsec_x'],
      apiBase: `http://127.0.0.1:${running.port}`,
    });
  }, 600_000);
  afterAll(() => running?.stop());

  const order = {
    refundId: 'rf_1',
    attempt: 1,
    money: { amount: 1050n, currency: 'USD' },
    reason: 'fraudulent',
    blockCustomer: true,
    repeated: false,
  };

  it.each(['pi_123', 'ch_123'])('an order to refund %s', async (payment) => {
    const answer = await stripe.send({ ...order, payment }, 'refund:rf_1:1', call());
    expect(answer).toMatchObject({ kind: 'report', report: { providerRefundId: expect.any(String) } });
    expect(traces.at(-1)).toMatchObject({ call: 'POST /v1/refunds', httpStatus: 200, result: 'answered' });
  });

  it('reading a refund', async () => {
    await expect(stripe.read('re_123', call())).resolves.toMatchObject({ kind: 'found' });
  });

  it.each([
    ['pi_123', 'GET /v1/payment_intents/pi_123'],
    ['ch_123', 'GET /v1/charges/ch_123'],
  ])('reading the payment %s with what is expanded in it', async (payment, request) => {
    const begun = traces.length;
    await stripe.readPayment(payment, call());
    expect(traces.slice(begun)).toMatchObject([{ call: request, httpStatus: 200, result: 'answered' }]);
  });

  it('and refuses what Stripe does not have, so that its word means something', async () => {
    const response = await fetch(`http://127.0.0.1:${running.port}/v1/refunds`, {
      method: 'POST',
      body: new URLSearchParams({ amount: '1', hat: 'red' }),
      headers: { authorization: 'Bearer sk_test_123' },
    });
    expect(response.status).toBe(400);
  });
});
