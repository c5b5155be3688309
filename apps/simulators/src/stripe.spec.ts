import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import Stripe from 'stripe';
import { DEVELOPMENT, type RunningSimulators, startSimulators } from './simulators.js';

const HOUR = 3600;

let simulators: RunningSimulators;
let stripe: Stripe;
let service: Server;
/** Each test has an address of its own, so that what was still on its way from the one before does not count. */
let tests = 0;
let delivered: { headers: IncomingHttpHeaders; body: string }[] = [];
let answerWith: (delivery: number) => number;

beforeAll(async () => {
  service = createServer((request, response) => {
    let body = '';
    request.on('data', (part) => (body += String(part)));
    request.on('end', () => {
      if (!request.url?.startsWith(`/${tests}/`)) return void response.end();
      delivered.push({ headers: request.headers, body });
      response.writeHead(answerWith(delivered.length)).end();
    });
  });
  await new Promise<void>((resolve) => service.listen(0, '127.0.0.1', resolve));
  simulators = await startSimulators();
  stripe = new Stripe(DEVELOPMENT.stripeApiKey, {
    host: '127.0.0.1',
    port: simulators.port,
    protocol: 'http',
    maxNetworkRetries: 0,
    telemetry: false,
    timeout: 2000,
  });
});

afterAll(async () => {
  await simulators.close();
  service.closeAllConnections();
  service.close();
});

beforeEach(async () => {
  await control('/reset', {});
  tests += 1;
  await control('/webhooks', { target: `http://127.0.0.1:${(service.address() as AddressInfo).port}/${tests}` });
  delivered = [];
  answerWith = () => 200;
});

async function control<Answer>(path: string, body: object): Promise<Answer> {
  const response = await fetch(`${simulators.url}/control${path}`, { method: 'POST', body: JSON.stringify(body) });
  const answer = (await response.json()) as Answer;
  if (!response.ok) throw new Error(JSON.stringify(answer));
  return answer;
}

async function pay(more: object = {}): Promise<{ paymentId: string; chargeId: string }> {
  return control('/payments', { provider: 'stripe', amount: 5000, currency: 'USD', ...more });
}

async function refundsInTheBooks(): Promise<{ id: string; amount: number; idempotencyKey: string | null }[]> {
  const response = await fetch(`${simulators.url}/control/books`);
  const { payments } = (await response.json()) as {
    payments: { refunds: { id: string; amount: number; idempotencyKey: string | null }[] }[];
  };
  return payments.flatMap(({ refunds }) => refunds);
}

async function refusal(call: Promise<unknown>): Promise<Stripe.errors.StripeError> {
  const error = await call.then(
    () => null,
    (refused: unknown) => refused,
  );
  if (!(error instanceof Stripe.errors.StripeError)) throw new Error('Stripe did not refuse');
  return error;
}

async function events(count: number): Promise<Stripe.Event[]> {
  for (let waited = 0; waited < 4000 && delivered.length < count; waited += 10)
    await new Promise((resolve) => setTimeout(resolve, 10));
  return delivered.map(({ body, headers }) =>
    stripe.webhooks.constructEvent(body, headers['stripe-signature'] ?? '', DEVELOPMENT.stripeWebhookSecret),
  );
}

describe('A refund through stripe-node', () => {
  it('sends part of a payment back, and then the rest where no amount is named', async () => {
    const { paymentId, chargeId } = await pay();
    const first = await stripe.refunds.create({
      payment_intent: paymentId,
      amount: 1200,
      reason: 'duplicate',
      metadata: { ours: 'rf_1' },
    });
    expect(first).toMatchObject({
      amount: 1200,
      currency: 'usd',
      status: 'succeeded',
      charge: chargeId,
      payment_intent: paymentId,
    });
    expect(first).toMatchObject({ reason: 'duplicate', metadata: { ours: 'rf_1' } });
    expect(await stripe.refunds.create({ charge: chargeId })).toMatchObject({ amount: 3800 });
    expect(await stripe.charges.retrieve(chargeId)).toMatchObject({ amount_refunded: 5000, refunded: true });
  });

  it('is found again by its id, by its payment and by its charge, newest first and page by page', async () => {
    const { paymentId, chargeId } = await pay();
    await stripe.refunds.create({ payment_intent: (await pay()).paymentId });
    const made: string[] = [];
    for (let part = 0; part < 5; part++)
      made.unshift((await stripe.refunds.create({ payment_intent: paymentId, amount: 10 })).id);
    const [newest = '', second = '', third = '', fourth = ''] = made;
    expect(await stripe.refunds.retrieve(newest)).toMatchObject({ id: newest });
    const ids = async (params: Stripe.RefundListParams) => (await stripe.refunds.list(params)).data.map(({ id }) => id);
    expect(await ids({ payment_intent: paymentId, limit: 2 })).toEqual([newest, second]);
    expect(await ids({ charge: chargeId, limit: 2, starting_after: second })).toEqual([third, fourth]);
    expect(await ids({ charge: chargeId, limit: 2, ending_before: fourth })).toEqual([second, third]);
    expect(await stripe.refunds.list({ payment_intent: paymentId, limit: 2 }).autoPagingToArray({ limit: 100 })).toHaveLength(5);
    expect(await stripe.refunds.list({ limit: 100 }).autoPagingToArray({ limit: 100 })).toHaveLength(6);
  });

  it('is listed by when it was made', async () => {
    const { paymentId } = await pay();
    const early = await stripe.refunds.create({ payment_intent: paymentId, amount: 10 });
    await control('/clock', { advanceSeconds: HOUR });
    const late = await stripe.refunds.create({ payment_intent: paymentId, amount: 10 });
    expect((await stripe.refunds.list({ created: { gte: late.created } })).data.map(({ id }) => id)).toEqual([late.id]);
    expect((await stripe.refunds.list({ created: { lt: late.created } })).data.map(({ id }) => id)).toEqual([early.id]);
  });

  it('has metadata that can be changed, name by name, and unset', async () => {
    const { paymentId } = await pay();
    const { id } = await stripe.refunds.create({ payment_intent: paymentId, metadata: { a: '1', b: '2' } });
    expect((await stripe.refunds.update(id, { metadata: { a: '', c: '3' } })).metadata).toEqual({ b: '2', c: '3' });
    expect((await stripe.refunds.update(id, { metadata: '' })).metadata).toEqual({});
  });

  it('can be canceled only while the customer has to act', async () => {
    const { paymentId } = await pay();
    const { id } = await stripe.refunds.create({ payment_intent: paymentId });
    expect(await refusal(stripe.refunds.cancel(id))).toMatchObject({ statusCode: 400, code: undefined });
    await control(`/refunds/${id}`, { status: 'requires_action' });
    expect(await stripe.refunds.retrieve(id)).toMatchObject({ next_action: { type: 'display_details' } });
    expect(await stripe.refunds.cancel(id)).toMatchObject({ status: 'canceled', failure_reason: 'merchant_request' });
  });

  it('can be read with what it belongs to', async () => {
    const { paymentId } = await pay();
    await stripe.refunds.create({ payment_intent: paymentId, amount: 100 });
    const expand = ['latest_charge.refunds', 'latest_charge.balance_transaction'];
    const intent = await stripe.paymentIntents.retrieve(paymentId, { expand });
    expect(intent.latest_charge).toMatchObject({
      refunds: { data: [{ amount: 100 }] },
      balance_transaction: { amount: 5000, net: 4825 },
    });
  });
});

describe('A refusal', () => {
  it.each([
    ['an unknown charge', { charge: 'ch_unknown' }, { statusCode: 404, code: 'resource_missing', param: 'id' }],
    ['neither payment nor charge', {}, { statusCode: 400, code: undefined }],
    ['an amount of nothing', { amount: 0 }, { statusCode: 400, code: 'parameter_invalid_integer', param: 'amount' }],
    ['a fraction', { amount: 1.5 }, { statusCode: 400, code: 'parameter_invalid_integer', param: 'amount' }],
    ['more than there is', { amount: 5001 }, { statusCode: 400, code: undefined, param: 'amount' }],
    ['a parameter nobody knows', { surprise: 1 }, { statusCode: 400, code: 'parameter_unknown', param: 'surprise' }],
    ['a reason nobody knows', { reason: 'whim' }, { statusCode: 400, code: undefined, param: 'reason' }],
  ])('names what is wrong: %s', async (_, wrong, expected) => {
    const { paymentId } = await pay();
    const params = Object.keys(wrong).some((name) => name !== 'charge') ? { payment_intent: paymentId, ...wrong } : wrong;
    expect(await refusal(stripe.refunds.create(params as Stripe.RefundCreateParams))).toMatchObject(expected);
    expect(await refundsInTheBooks()).toEqual([]);
  });

  it('says that nothing is left, and says it differently when only too much was asked', async () => {
    const { paymentId } = await pay();
    await stripe.refunds.create({ payment_intent: paymentId, amount: 4000 });
    expect(await refusal(stripe.refunds.create({ payment_intent: paymentId, amount: 1001 }))).toMatchObject({
      param: 'amount',
      code: undefined,
    });
    await stripe.refunds.create({ payment_intent: paymentId });
    expect(await refusal(stripe.refunds.create({ payment_intent: paymentId }))).toMatchObject({
      code: 'charge_already_refunded',
    });
  });

  it('meets a payment that was never captured, and a key that is not ours', async () => {
    const { paymentId } = await pay({ status: 'requires_capture' });
    expect(await refusal(stripe.refunds.create({ payment_intent: paymentId }))).toMatchObject({
      statusCode: 400,
      code: undefined,
    });
    const stranger = refusal(stripe.refunds.create({ payment_intent: paymentId }, { apiKey: 'sk_test_other' }));
    expect(await stranger).toMatchObject({ statusCode: 401, type: 'StripeAuthenticationError' });
  });

  it.each([
    ['ISK', 1050],
    ['KWD', 10_005],
  ])('meets an amount that %s does not have', async (currency, amount) => {
    const { paymentId } = await pay({ currency, amount: 100_000 });
    expect(await refusal(stripe.refunds.create({ payment_intent: paymentId, amount }))).toMatchObject({ param: 'amount' });
  });
});

describe('An idempotency key', () => {
  it('gives the same answer again, and says that it does', async () => {
    const { paymentId } = await pay();
    const create = () => stripe.refunds.create({ payment_intent: paymentId, amount: 10 }, { idempotencyKey: 'once' });
    const first = await create();
    const again = await create();
    expect(again.id).toBe(first.id);
    expect(first.lastResponse.headers['idempotent-replayed']).toBeUndefined();
    expect(again.lastResponse.headers).toMatchObject({
      'idempotent-replayed': 'true',
      'original-request': first.lastResponse.requestId,
    });
    expect(await refundsInTheBooks()).toMatchObject([{ id: first.id, idempotencyKey: 'once' }]);
  });

  it('is refused with other parameters', async () => {
    const { paymentId } = await pay();
    await stripe.refunds.create({ payment_intent: paymentId, amount: 10 }, { idempotencyKey: 'once' });
    const other = refusal(stripe.refunds.create({ payment_intent: paymentId, amount: 11 }, { idempotencyKey: 'once' }));
    expect(await other).toMatchObject({ statusCode: 400, type: 'StripeIdempotencyError' });
  });

  it('is a new request after a day', async () => {
    const { paymentId } = await pay();
    const create = () => stripe.refunds.create({ payment_intent: paymentId, amount: 10 }, { idempotencyKey: 'once' });
    await create();
    await control('/clock', { advanceSeconds: 23 * HOUR });
    await create();
    expect(await refundsInTheBooks()).toHaveLength(1);
    await control('/clock', { advanceSeconds: HOUR });
    await create();
    expect(await refundsInTheBooks()).toHaveLength(2);
  });

  it('keeps a refusal of the endpoint, so that it is replayed although things have changed since', async () => {
    const { paymentId } = await pay();
    const all = await stripe.refunds.create({ payment_intent: paymentId });
    const create = () => stripe.refunds.create({ payment_intent: paymentId, amount: 10 }, { idempotencyKey: 'once' });
    expect(await refusal(create())).toMatchObject({ code: 'charge_already_refunded' });
    await control(`/refunds/${all.id}`, { status: 'failed' });
    const again = await refusal(create());
    expect(again).toMatchObject({ code: 'charge_already_refunded', headers: { 'idempotent-replayed': 'true' } });
  });

  it.each(['status_429', 'lock_timeout', 'status_500'])('keeps nothing of %s', async (fault) => {
    const { paymentId } = await pay();
    await control('/faults', { provider: 'stripe', call: 'refunds.create', fault, times: 1 });
    const create = () => stripe.refunds.create({ payment_intent: paymentId, amount: 10 }, { idempotencyKey: 'once' });
    await refusal(create());
    expect(await refundsInTheBooks()).toEqual([]);
    expect(await create()).toMatchObject({ amount: 10 });
  });

  it('keeps nothing of parameters that were refused before the endpoint ran', async () => {
    const { paymentId } = await pay();
    await refusal(stripe.refunds.create({ payment_intent: paymentId, amount: 0 }, { idempotencyKey: 'once' }));
    expect(await stripe.refunds.create({ payment_intent: paymentId, amount: 10 }, { idempotencyKey: 'once' })).toMatchObject({
      amount: 10,
    });
  });

  it('keeps a 500 for ever, although the refund was made', async () => {
    const { paymentId } = await pay();
    await control('/faults', { provider: 'stripe', call: 'refunds.create', fault: 'status_500_saved', times: 1 });
    const create = () => stripe.refunds.create({ payment_intent: paymentId, amount: 10 }, { idempotencyKey: 'once' });
    expect(await refusal(create())).toMatchObject({ statusCode: 500 });
    expect(await refusal(create())).toMatchObject({ statusCode: 500, headers: { 'idempotent-replayed': 'true' } });
    expect((await stripe.refunds.list({ payment_intent: paymentId })).data).toHaveLength(1);
  });

  it('is in use while the first request runs, and so is the payment', async () => {
    const { paymentId } = await pay();
    await control('/faults', { provider: 'stripe', call: 'refunds.create', fault: 'delay', delayMs: 300, times: 1 });
    const slow = stripe.refunds.create({ payment_intent: paymentId, amount: 10 }, { idempotencyKey: 'once' });
    await new Promise((resolve) => setTimeout(resolve, 100));
    const meanwhile = refusal(stripe.refunds.create({ payment_intent: paymentId, amount: 10 }, { idempotencyKey: 'once' }));
    expect(await meanwhile).toMatchObject({ statusCode: 409, code: 'idempotency_key_in_use', type: 'StripeAPIError' });
    const other = refusal(stripe.refunds.create({ payment_intent: paymentId, amount: 10 }, { idempotencyKey: 'twice' }));
    expect(await other).toMatchObject({ statusCode: 429, code: 'lock_timeout', type: 'StripeRateLimitError' });
    expect(await slow).toMatchObject({ amount: 10 });
  });

  it('brings back the refund whose answer was lost on the way', async () => {
    const { paymentId } = await pay();
    await control('/faults', { provider: 'stripe', call: 'refunds.create', fault: 'drop_answer', times: 2 });
    const create = () => stripe.refunds.create({ payment_intent: paymentId, amount: 10 }, { idempotencyKey: 'once' });
    // The library itself tries once more after a closed connection, hence two faults for one failure.
    expect(await refusal(create())).toMatchObject({ type: 'StripeConnectionError' });
    const found = await create();
    expect(await refundsInTheBooks()).toMatchObject([{ id: found.id }]);
  });

  it('has done nothing when the connection closed before the work', async () => {
    const { paymentId } = await pay();
    await control('/faults', { provider: 'stripe', call: 'refunds.create', fault: 'close_socket', times: 2 });
    expect(await refusal(stripe.refunds.create({ payment_intent: paymentId }))).toMatchObject({ type: 'StripeConnectionError' });
    expect(await refundsInTheBooks()).toEqual([]);
  });

  it('is answered in drips for as long as a tester likes', async () => {
    const { paymentId } = await pay();
    await control('/faults', { provider: 'stripe', call: 'refunds.create', fault: 'drip', delayMs: 700, times: 1 });
    const began = performance.now();
    expect(await stripe.refunds.create({ payment_intent: paymentId, amount: 10 })).toMatchObject({ amount: 10 });
    expect(performance.now() - began).toBeGreaterThan(600);
  });
});

describe('The limits', () => {
  it('answer 429 above what one endpoint may have, with the reason, and let other endpoints pass', async () => {
    const { paymentId } = await pay();
    await control('/limits', { provider: 'stripe', perEndpointPerSecond: 3 });
    const burst = Array.from({ length: 12 }, () => stripe.refunds.create({ payment_intent: paymentId, amount: 10 }));
    const outcomes = await Promise.allSettled(burst);
    // Three at once, and one more with each third of a second that the machine takes for them.
    const made = outcomes.filter(({ status }) => status === 'fulfilled').length;
    expect(made).toBeGreaterThanOrEqual(3);
    const refused = outcomes.find((outcome) => outcome.status === 'rejected');
    expect(refused?.reason).toMatchObject({
      statusCode: 429,
      code: 'rate_limit',
      headers: { 'stripe-rate-limited-reason': 'endpoint-rate' },
    });
    expect((await stripe.refunds.list({ payment_intent: paymentId })).data).toHaveLength(made);
  });
});

describe('Webhooks', () => {
  it('tell of a refund with a signature that stripe-node accepts, and with the key of the call that caused it', async () => {
    const { paymentId } = await pay();
    const refund = await stripe.refunds.create({ payment_intent: paymentId, amount: 10 }, { idempotencyKey: 'once' });
    const [created, charge] = (await events(2)).sort((a, b) => b.type.localeCompare(a.type));
    expect(created).toMatchObject({
      type: 'refund.created',
      api_version: '2026-10-28.endive',
      data: { object: { id: refund.id } },
    });
    expect(created?.request).toEqual({ id: refund.lastResponse.requestId, idempotency_key: 'once' });
    expect(charge).toMatchObject({ type: 'charge.refunded', data: { object: { object: 'charge', amount_refunded: 10 } } });
    expect(() =>
      stripe.webhooks.constructEvent(delivered[0]?.body ?? '', delivered[0]?.headers['stripe-signature'] ?? '', 'other'),
    ).toThrow(/signature/);
  });

  it('tell of a refund that the bank sends back', async () => {
    const { paymentId, chargeId } = await pay({ paymentMethod: 'pm_card_refundFail', refundDelayMs: 10 });
    const refund = await stripe.refunds.create({ payment_intent: paymentId });
    expect(refund.status).toBe('succeeded');
    const told = await events(4);
    expect(told.map(({ type }) => type).sort()).toEqual(['charge.refunded', 'refund.created', 'refund.failed', 'refund.updated']);
    const updated = told.find(({ type }) => type === 'refund.updated');
    expect(updated?.data.previous_attributes).toEqual({ status: 'succeeded' });
    expect(updated?.request).toEqual({ id: null, idempotency_key: null });
    const failed = await stripe.refunds.retrieve(refund.id, { expand: ['failure_balance_transaction'] });
    expect(failed).toMatchObject({ status: 'failed', failure_balance_transaction: { amount: 5000, type: 'refund_failure' } });
    expect(await stripe.charges.retrieve(chargeId)).toMatchObject({ amount_refunded: 0, refunded: false });
  });

  it('tell of a refund that was pending at first', async () => {
    const { paymentId } = await pay({ paymentMethod: 'pm_card_pendingRefund', refundDelayMs: 10 });
    const refund = await stripe.refunds.create({ payment_intent: paymentId });
    expect(refund).toMatchObject({ status: 'pending', pending_reason: 'processing' });
    await events(3);
    expect(await stripe.refunds.retrieve(refund.id)).toMatchObject({ status: 'succeeded' });
  });

  it('tell of what somebody did in the dashboard, and of the reference of the bank, by the old name too', async () => {
    const { paymentId } = await pay();
    const { refundId } = await control<{ refundId: string }>('/dashboard-refunds', { paymentId, amount: 3000 });
    expect((await events(2))[0]?.request?.idempotency_key).toBeNull();
    await control(`/refunds/${refundId}`, { reference: '7412' });
    const types = (await events(4)).slice(2).map(({ type }) => type);
    expect(types.sort()).toEqual(['charge.refund.updated', 'refund.updated']);
    expect(await stripe.refunds.retrieve(refundId)).toMatchObject({
      metadata: {},
      destination_details: { card: { reference: '7412', reference_status: 'available' } },
    });
  });

  it('come again, newly signed, until somebody takes them', async () => {
    answerWith = (delivery) => (delivery <= 2 ? 503 : 200);
    await stripe.refunds.create({ payment_intent: (await pay()).paymentId });
    await events(4);
    const signatures = new Set(delivered.map(({ headers }) => headers['stripe-signature']));
    expect(delivered).toHaveLength(4);
    expect(signatures.size).toBe(4);
  });

  it.each([
    ['lose', 1],
    ['double', 3],
    ['delay', 2],
    ['reorder', 2],
    ['before_answer', 2],
  ])('can go wrong: %s', async (webhook, count) => {
    const { paymentId } = await pay();
    await control('/faults', { provider: 'stripe', webhook, times: 1, delayMs: 300 });
    await stripe.refunds.create({ payment_intent: paymentId, amount: 10 });
    if (webhook === 'before_answer') expect(delivered.length).toBeGreaterThanOrEqual(1);
    const types = (await events(count)).map(({ type }) => type);
    expect(types).toHaveLength(count);
    if (webhook === 'lose') expect(types).toEqual(['charge.refunded']);
    if (webhook === 'double') expect(types.filter((type) => type === 'refund.created')).toHaveLength(2);
    if (webhook === 'delay' || webhook === 'reorder') expect(types).toEqual(['charge.refunded', 'refund.created']);
  });

  it('can be read again for thirty days, also those that nobody received', async () => {
    const { paymentId } = await pay();
    await control('/faults', { provider: 'stripe', webhook: 'lose', times: 2 });
    const refund = await stripe.refunds.create({ payment_intent: paymentId });
    const list = async () => (await stripe.events.list({ type: 'refund.created', delivery_success: false })).data;
    expect(await list()).toMatchObject([{ type: 'refund.created', data: { object: { id: refund.id } } }]);
    await control('/clock', { advanceSeconds: 31 * 24 * HOUR });
    expect(await list()).toEqual([]);
  });
});
