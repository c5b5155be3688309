import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { evidenceNames, fileFields, textFields } from '#domain/dispute/evidence';
import type { CallContext, CallTrace } from '#domain/ports/refund-provider';
import { StripeDisputes } from '#stripe/stripe-disputes';
import { StripeRefunds } from '#stripe/stripe-refunds';
import { stripeMock, type RunningStripeMock } from '../../scripts/stripe-mock.js';
import { pdf } from '../documents.js';

const mock = await stripeMock();
if ('missing' in mock) {
  console.warn(`NOT RUN: whether Stripe's own stand-in accepts our requests. ${mock.missing}`);
  if (process.env['CI'] === 'true') throw new Error(mock.missing);
}

/** Newer than the document that it checks against: docs.stripe.com/changelog/endive/2026-10-28. */
const isOfAppeal = new Set<string>(['appeal', 'appealSupportingFiles']);

/** stripe-mock checks each request against Stripe's OpenAPI document: names and types of parameters, what can be expanded. */
('missing' in mock ? describe.skip : describe)("Stripe's own stand-in accepts", () => {
  let running: RunningStripeMock;
  let stripe: StripeRefunds;
  let disputes: StripeDisputes;
  const traces: CallTrace[] = [];
  const call = (): CallContext => ({
    deadline: AbortSignal.timeout(10_000),
    now: new Date(),
    trace: (trace) => traces.push(trace),
  });
  beforeAll(async () => {
    if ('missing' in mock) return;
    running = await mock.start();
    const account = {
      account: 'default',
      apiKey: 'sk_test_123',
      webhookSecrets: ['whsec_x'],
      apiBase: `http://127.0.0.1:${running.port}`,
    };
    stripe = new StripeRefunds(account);
    disputes = new StripeDisputes(account);
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

  const said = { customerPurchaseIp: '203.0.113.7', customerAccountId: 'ann', productDescription: 'Two chairs' };
  const shippingAddress = { city: 'Linz', country: 'AT', line1: 'Hauptplatz 1', line2: 'Tür 2', postalCode: '4020', state: 'OÖ' };
  const evidence = {
    providerDisputeId: 'du_123',
    content: {
      ...Object.fromEntries(textFields.map((name) => [name, `The ${name}.`])),
      enhancedEvidence: {
        visaCompellingEvidence3: {
          disputedTransaction: { ...said, shippingAddress, merchandiseOrServices: 'merchandise' },
          priorUndisputedTransactions: [
            { ...said, charge: 'ch_1' },
            { ...said, charge: 'ch_2' },
          ],
        },
        visaCompliance: { feeAcknowledged: true },
        mastercardCompliance: { feeAcknowledged: false },
      },
    },
    files: fileFields.map((place) => ({ place, providerFileId: 'file_123' })),
    emptied: [],
    submissions: 0,
    stage: 'chargeback',
  } as const;

  it('reading a dispute, and listing them', async () => {
    await expect(disputes.readDispute('du_123', call())).resolves.toMatchObject({ kind: 'found' });
    await expect(disputes.listDisputes(new Date(0), null, call())).resolves.toMatchObject({ kind: 'page' });
  });

  it('reading an early fraud warning', async () => {
    await expect(disputes.readWarning('issfr_123', call())).resolves.toMatchObject({ kind: 'found' });
  });

  it('evidence in every field and file that we know', async () => {
    await expect(disputes.stage(evidence, 'dispute:1:stage', call())).resolves.toMatchObject({ kind: 'taken' });
    expect(traces.at(-1)).toMatchObject({ call: 'POST /v1/disputes/du_123', httpStatus: 200, result: 'answered' });
  });

  it('evidence that is to be held no more', async () => {
    const emptied = evidenceNames.filter((name) => !isOfAppeal.has(name));
    const order = { ...evidence, content: {}, files: [], emptied };
    await expect(disputes.stage(order, 'dispute:1:empty', call())).resolves.toMatchObject({ kind: 'taken' });
  });

  it('a document', async () => {
    const document = { name: 'receipt.pdf', type: 'application/pdf', bytes: pdf() } as const;
    await expect(disputes.upload(document, 'file:1', call())).resolves.toMatchObject({ kind: 'uploaded' });
    expect(traces.at(-1)).toMatchObject({ call: 'POST /v1/files', httpStatus: 200, result: 'answered' });
  });

  it('the end of a dispute, one way or the other, unless it is no longer open', async () => {
    const order = { ...evidence, content: { uncategorizedText: 'The parcel came.' }, files: [] };
    const ends = [disputes.submit(order, 'dispute:1:submit', call()), disputes.accept(order, 'dispute:1:accept', call())];
    for (const answer of await Promise.all(ends)) expect(['taken', 'overtaken']).toContain(answer.kind);
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
