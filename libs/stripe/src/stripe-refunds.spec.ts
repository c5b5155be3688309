import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { CallContext, CallTrace } from '#domain/ports/refund-provider';
import { json, ScriptedServer } from '../../../test/fakes/scripted-server.js';
import { isLive } from './stripe-client.js';
import { StripeRefunds } from './stripe-refunds.js';

const now = new Date('2026-11-01T10:00:00.000Z');
const order = {
  refundId: 'rf_1',
  attempt: 2,
  payment: 'pi_1',
  money: { amount: 1050n, currency: 'USD' },
  reason: null,
  blockCustomer: false,
  repeated: false,
};
const refund = {
  id: 're_1',
  object: 'refund',
  amount: 1050,
  currency: 'usd',
  status: 'succeeded',
  metadata: { redress_refund: 'rf_1', redress_attempt: '2' },
  payment_intent: 'pi_1',
  charge: 'ch_1',
};
const list = (data: unknown[], more = false) => ({ object: 'list', data, has_more: more, url: '/v1/refunds' });
const charge = {
  id: 'ch_1',
  object: 'charge',
  amount: 10000,
  amount_captured: 10000,
  currency: 'usd',
  captured: true,
  created: 1_790_000_000,
  status: 'succeeded',
  payment_intent: 'pi_1',
  transfer_data: null,
  refunds: list([refund]),
};
const intent = { id: 'pi_1', object: 'payment_intent', status: 'succeeded', currency: 'usd', latest_charge: charge };
const refusal = (error: object) => ({ error: { type: 'invalid_request_error', message: 'No.', ...error } });

let server: ScriptedServer;
let stripe: StripeRefunds;
beforeAll(async () => {
  server = await ScriptedServer.start();
  stripe = new StripeRefunds({
    account: 'default',
    apiKey: 'sk_test_secret',
    webhookSecrets: ['whsec_x'],
    apiBase: server.url,
  });
});
afterAll(() => server.close());

const traces: CallTrace[] = [];
const call = (): CallContext => ({ deadline: AbortSignal.timeout(5_000), now, trace: (trace) => traces.push(trace) });
const sent = () => Object.fromEntries(new URLSearchParams(server.requests[0]?.body));

describe("A refund's status at Stripe", () => {
  it.each([
    ['pending', 'pending'],
    ['requires_action', 'requires_action'],
    ['succeeded', 'succeeded'],
    ['failed', 'failed'],
    ['canceled', 'canceled'],
    ['postponed', 'unclear'],
    [null, 'unclear'],
  ])('%p means %s', async (status, says) => {
    server.answers(json(200, { ...refund, status, pending_reason: 'processing', failure_reason: 'declined' }));
    await expect(stripe.send(order, 'k', call())).resolves.toEqual({
      kind: 'report',
      report: {
        says,
        attempt: 2,
        providerRefundId: 're_1',
        providerStatus: status,
        amount: 1050n,
        currency: 'USD',
        pendingReason: 'processing',
        failureCode: 'declined',
        bankReference: null,
        refusal: null,
        at: now,
        ...(status === 'requires_action' ? { actionRequired: { what: 'customer_must_act', until: null } } : {}),
      },
    });
  });

  it('is for a person when its amount cannot be read', async () => {
    server.answers(json(200, { ...refund, amount: 1050, currency: 'isk' }));
    await expect(stripe.read('re_1', call())).resolves.toMatchObject({ refund: { report: { says: 'unclear', amount: null } } });
  });

  it.each([
    ['card', { type: 'card', card: { type: 'refund', reference: '74999', reference_status: 'available' } }, '74999'],
    ['bank transfer', { type: 'eu_bank_transfer', eu_bank_transfer: { reference: 'EU1' } }, 'EU1'],
    ['card whose reference is not there yet', { type: 'card', card: { type: 'refund', reference_status: 'pending' } }, null],
    ['card reversal', { type: 'card', card: { type: 'reversal' } }, null],
    ['method without any', { type: 'grabpay', grabpay: {} }, null],
    ['method that is not told', null, null],
  ])("has the bank's reference of a %s", async (_method, destination_details, reference) => {
    server.answers(json(200, { ...refund, destination_details }));
    await expect(stripe.read('re_1', call())).resolves.toMatchObject({ refund: { report: { bankReference: reference } } });
  });
});

describe('A refund is ordered from Stripe', () => {
  it.each([
    ['pi_1', { payment_intent: 'pi_1' }],
    ['ch_1', { charge: 'ch_1' }],
    ['py_1', { charge: 'py_1' }],
  ])('of %s by its own kind of name', async (payment, names) => {
    server.answers(json(200, refund));
    await stripe.send({ ...order, payment }, 'k', call());
    expect(sent()).toEqual({
      ...names,
      amount: '1050',
      'metadata[redress_refund]': 'rf_1',
      'metadata[redress_attempt]': '2',
    });
  });

  it.each([
    ['requested_by_customer', false, 'requested_by_customer'],
    ['duplicate', false, 'duplicate'],
    ['fraudulent', false, undefined],
    ['fraudulent', true, 'fraudulent'],
    ['other', true, undefined],
    [null, false, undefined],
  ])('for the reason %p, with the customer to be blocked: %p, as %p', async (reason, blockCustomer, told) => {
    server.answers(json(200, refund));
    await stripe.send({ ...order, reason, blockCustomer }, 'k', call());
    expect(sent()['reason']).toBe(told);
  });

  it('not at all when Stripe cannot carry the amount', async () => {
    server.answers(json(200, refund));
    const money = { amount: 10005n, currency: 'KWD' };
    expect(stripe.canCarry(money)).toMatchObject({ ok: false, error: { code: 'amount_not_representable' } });
    await expect(stripe.send({ ...order, money }, 'k', call())).resolves.toMatchObject({ report: { says: 'refused' } });
    expect(server.requests).toHaveLength(0);
  });
});

describe('What a refusal of Stripe proves about a refund', () => {
  it.each([
    [400, { code: 'charge_already_refunded' }, 'nothing_left_to_refund', false],
    [400, { param: 'amount' }, 'amount_exceeds_available', false],
    [400, { code: 'charge_disputed' }, 'payment_disputed', false],
    [400, { code: 'refund_disputed_payment' }, 'payment_disputed', false],
    [404, { code: 'resource_missing', param: 'id' }, 'payment_not_found', false],
    [404, { code: 'resource_missing', param: 'payment_intent' }, 'payment_not_found', false],
    [400, { code: 'resource_missing', param: 'charge' }, 'payment_not_found', false],
    [400, {}, 'payment_not_refundable', true],
    [400, { code: 'charge_not_refundable' }, 'payment_not_refundable', true],
    [400, { code: 'amount_too_large', param: 'amount' }, 'amount_not_representable', true],
    [400, { code: 'amount_too_small', param: 'amount' }, 'amount_not_representable', true],
    [400, { code: 'parameter_invalid_integer', param: 'amount' }, 'amount_not_representable', true],
    [400, { code: 'balance_insufficient' }, 'provider_refused', true],
    [400, { code: 'never_heard_of' }, 'provider_refused', true],
    [400, { code: 'parameter_unknown', param: 'hat' }, 'provider_refused', true],
    [402, { type: 'card_error', code: 'card_declined' }, 'provider_refused', true],
  ])('%p %p: nothing was sent (%s), to be looked at: %p', async (status, error, code, attention) => {
    server.answers(json(status, refusal(error)));
    const answer = await stripe.send(order, 'k', call());
    expect(answer).toMatchObject({ kind: 'report', report: { says: 'refused', attempt: 2, refusal: { code, attention } } });
    expect(server.requests).toHaveLength(1);
  });

  it.each([
    [409, { type: 'idempotency_error', code: 'idempotency_key_in_use' }, null],
    [409, { type: 'invalid_request_error' }, null],
    [429, { code: 'rate_limit' }, 'rate'],
    [429, {}, 'rate'],
    [429, { code: 'lock_timeout' }, 'lock'],
    [400, { code: 'lock_timeout' }, 'lock'],
    [429, { code: 'never_heard_of' }, null],
    [400, { code: 'rate_limit' }, null],
  ])('%p %p: the same again, later (limit: %p)', async (status, error, limit) => {
    server.answers(json(status, refusal(error)));
    await expect(stripe.send(order, 'k', call())).resolves.toMatchObject({ kind: 'later', limit });
    await expect(stripe.read('re_1', call())).resolves.toMatchObject({ kind: 'later', limit });
    expect(server.requests).toHaveLength(2);
  });

  it.each([
    [401, {}],
    [403, { code: 'more_permissions_required' }],
    [400, { code: 'livemode_mismatch' }],
    [400, { code: 'testmode_charges_only' }],
    [400, { code: 'secret_key_required' }],
    [400, { code: 'account_invalid' }],
    [404, {}],
  ])('%p %p: it waits until a person has mended the account, and no key is shown', async (status, error) => {
    server.answers(json(status, refusal({ message: status === 401 ? 'Invalid API Key: sk_test_***et' : 'No.', ...error })));
    const answer = await stripe.send(order, 'k', call());
    expect(answer).toMatchObject({ kind: 'parked' });
    expect(JSON.stringify(answer, (_, value: unknown) => (typeof value === 'bigint' ? String(value) : value))).not.toContain(
      'sk_',
    );
  });

  it.each([
    [400, { type: 'idempotency_error' }],
    [400, { type: 'api_error' }],
    [424, { type: 'api_error' }],
    [418, {}],
    [500, { type: 'api_error' }],
    [503, { code: 'charge_already_refunded' }],
    [200, {}],
  ])('%p %p: nothing, the money may have moved', async (status, error) => {
    server.answers(json(status, refusal(error)));
    await expect(stripe.send(order, 'k', call())).resolves.toMatchObject({
      kind: 'report',
      report: { says: 'unknown', refusal: null },
    });
  });

  it('nothing, when the answer is a success without a refund', async () => {
    server.answers(json(200, { object: 'charge', id: 'ch_1' }));
    await expect(stripe.send(order, 'k', call())).resolves.toMatchObject({ kind: 'report', report: { says: 'unknown' } });
  });
});

describe('An answer that Stripe has given before', () => {
  const replayed = json(200, refund, { 'idempotent-replayed': 'true' });

  it('is read back, because the refund may have gone on since', async () => {
    server.answers(replayed, json(200, { ...refund, status: 'failed', failure_reason: 'expired_or_canceled_card' }));
    const answer = await stripe.send({ ...order, repeated: true }, 'k', call());
    expect(answer).toMatchObject({
      report: { says: 'failed', failureCode: 'expired_or_canceled_card', providerRefundId: 're_1' },
    });
    expect(server.requests.map(({ path }) => path)).toEqual(['/v1/refunds', '/v1/refunds/re_1']);
  });

  it('still proves that the refund is there when it cannot be read back', async () => {
    server.answers(replayed, json(404, refusal({ code: 'resource_missing', param: 'id' })));
    await expect(stripe.send({ ...order, repeated: true }, 'k', call())).resolves.toMatchObject({
      report: { says: 'succeeded', providerRefundId: 're_1' },
    });
  });
});

describe('A refusal of a call that was made before', () => {
  const repeated = { ...order, repeated: true };
  const nothingLeft = json(400, refusal({ code: 'charge_already_refunded' }));

  it('gives way to the refund that the first call made', async () => {
    const older = { ...refund, id: 're_0', metadata: { redress_refund: 'rf_1', redress_attempt: '1' }, status: 'failed' };
    server.answers(nothingLeft, json(200, list([older], true)), json(200, list([refund])));
    const answer = await stripe.send(repeated, 'k', call());
    expect(answer).toMatchObject({ report: { says: 'succeeded', attempt: 2, providerRefundId: 're_1' } });
    expect(server.requests.map(({ path }) => path)).toEqual([
      '/v1/refunds',
      '/v1/refunds?payment_intent=pi_1&limit=100',
      '/v1/refunds?payment_intent=pi_1&limit=100&starting_after=re_0',
    ]);
  });

  it('stands when the complete list has no such refund', async () => {
    const others = [
      { ...refund, metadata: {} },
      { ...refund, metadata: { redress_refund: 'rf_1', redress_attempt: '1' } },
    ];
    server.answers(nothingLeft, json(200, list(others)));
    await expect(stripe.send(repeated, 'k', call())).resolves.toMatchObject({
      report: { says: 'refused', refusal: { code: 'nothing_left_to_refund' } },
    });
  });

  it('proves nothing where there is no such payment: the wrong account may have been asked', async () => {
    server.answers(json(404, refusal({ code: 'resource_missing', param: 'payment_intent' })));
    await expect(stripe.send(repeated, 'k', call())).resolves.toMatchObject({ report: { says: 'unknown' } });
  });

  it.each([
    ['cannot be had', json(500, refusal({ type: 'api_error' }))],
    ['does not end', json(200, list([], true))],
    ['holds something that is no refund', json(200, list([{ object: 'charge' }]))],
  ])('proves nothing when the list %s', async (_why, reply) => {
    server.answers(nothingLeft, reply);
    await expect(stripe.send(repeated, 'k', call())).resolves.toMatchObject({ report: { says: 'unknown' } });
  });
});

describe('A refund is read from Stripe', () => {
  it.each([
    ['ours, by the metadata', { redress_refund: 'rf_1', redress_attempt: '3' }, 'rf_1', 3],
    ['made by somebody else', {}, null, 1],
    ['made by somebody else, with no metadata at all', null, null, 1],
    ['not taken for ours when it names no attempt', { redress_refund: 'rf_1' }, null, 1],
    ['not taken for ours when its attempt is no number', { redress_refund: 'rf_1', redress_attempt: 'two' }, null, 1],
    ['not taken for ours when its attempt is none', { redress_refund: 'rf_1', redress_attempt: '0' }, null, 1],
  ])('and is %s', async (_what, metadata, refundId, attempt) => {
    server.answers(json(200, { ...refund, metadata }));
    await expect(stripe.read('re_1', call())).resolves.toMatchObject({
      kind: 'found',
      payment: 'pi_1',
      refund: { refundId, report: { attempt, providerRefundId: 're_1', at: now } },
    });
  });

  it.each([
    [404, { code: 'resource_missing' }, 'absent'],
    [404, {}, 'parked'],
    [429, { code: 'rate_limit' }, 'later'],
    [401, {}, 'parked'],
    [500, { type: 'api_error' }, 'unread'],
    [400, { code: 'never_heard_of' }, 'unread'],
  ])('%p %p: %s', async (status, error, kind) => {
    server.answers(json(status, refusal(error)));
    await expect(stripe.read('re_1', call())).resolves.toMatchObject({ kind });
    await expect(stripe.readPayment('pi_1', call())).resolves.toMatchObject({ kind });
  });

  it.each(['', '..', '../charges', 're_1?expand[]=charge', 're 1'])('and %p is nothing that Stripe could have', async (name) => {
    server.answers(json(200, refund));
    await expect(stripe.read(name, call())).resolves.toEqual({ kind: 'absent', at: now });
    await expect(stripe.readPayment(name, call())).resolves.toEqual({ kind: 'absent', at: now });
    expect(server.requests).toHaveLength(0);
  });
});

describe('A payment is read from Stripe', () => {
  const facts = {
    name: 'pi_1',
    aliases: ['ch_1'],
    currency: 'USD',
    captured: 10000n,
    basis: 'provider',
    paidAt: new Date('2026-09-21T14:13:20Z'),
    refusal: null,
    at: now,
  };

  it('by its PaymentIntent, with its refunds, in one call', async () => {
    server.answers(json(200, intent));
    await expect(stripe.readPayment('pi_1', call())).resolves.toMatchObject({
      kind: 'found',
      facts,
      refunds: [{ refundId: 'rf_1' }],
    });
    expect(server.requests.map(({ path }) => decodeURIComponent(path))).toEqual([
      '/v1/payment_intents/pi_1?expand[0]=latest_charge.refunds',
    ]);
  });

  it('by its charge, which tells the PaymentIntent it belongs to', async () => {
    server.answers(json(200, charge));
    await expect(stripe.readPayment('ch_1', call())).resolves.toMatchObject({ kind: 'found', facts });
    expect(stripe.isOwnName('pi_1')).toBe(true);
    expect(stripe.isOwnName('ch_1')).toBe(false);
    expect(stripe.isOwnName('pi_1_secret_2')).toBe(false);
  });

  it('by its charge, when there is nothing but the charge', async () => {
    server.answers(json(200, { ...charge, payment_intent: null }));
    await expect(stripe.readPayment('ch_1', call())).resolves.toMatchObject({ facts: { name: 'ch_1', aliases: [] } });
  });

  it('by its charge, and cannot be refunded when that was authorised and never captured', async () => {
    server.answers(json(200, { ...charge, payment_intent: null, captured: false, amount_captured: 0 }));
    const facts = { captured: 0n, paidAt: null, refusal: { code: 'payment_not_captured' } };
    await expect(stripe.readPayment('ch_1', call())).resolves.toMatchObject({ kind: 'found', facts });
  });

  it('with all of its refunds, however many pages and whatever their status', async () => {
    const refunds = Array.from({ length: 230 }, (_, n) => ({ ...refund, id: `re_${n}`, status: n % 2 ? 'failed' : 'succeeded' }));
    const first = { ...charge, refunds: list(refunds.slice(0, 10), true) };
    server.answers(
      json(200, { ...intent, latest_charge: first }),
      json(200, list(refunds.slice(10, 110), true)),
      json(200, list(refunds.slice(110, 210), true)),
      json(200, list(refunds.slice(210))),
    );
    const answer = await stripe.readPayment('pi_1', call());
    expect(answer.kind === 'found' && answer.refunds.map(({ report }) => report.providerRefundId)).toEqual(
      refunds.map(({ id }) => id),
    );
    expect(server.requests.slice(1).map(({ path }) => path)).toEqual(
      [9, 109, 209].map((n) => `/v1/refunds?payment_intent=pi_1&limit=100&starting_after=re_${n}`),
    );
  });

  it('and is not known at all when a page of its refunds is missing', async () => {
    server.answers(
      json(200, { ...intent, latest_charge: { ...charge, refunds: list([refund], true) } }),
      json(500, refusal({ type: 'api_error' })),
    );
    await expect(stripe.readPayment('pi_1', call())).resolves.toMatchObject({ kind: 'unread' });
  });

  it.each([
    [
      'not captured',
      { ...intent, status: 'requires_capture', latest_charge: { ...charge, captured: false, amount_captured: 0 } },
      'payment_not_captured',
    ],
    ['not paid', { ...intent, status: 'requires_payment_method', latest_charge: null }, 'payment_not_captured'],
    [
      'still under way',
      { ...intent, status: 'processing', latest_charge: { ...charge, status: 'pending' } },
      'payment_not_captured',
    ],
    ['canceled', { ...intent, status: 'canceled', latest_charge: null }, 'payment_not_refundable'],
    [
      'failed',
      {
        ...intent,
        status: 'requires_payment_method',
        latest_charge: { ...charge, status: 'failed', captured: false, amount_captured: 0 },
      },
      'payment_not_refundable',
    ],
    [
      'split with a connected account',
      { ...intent, latest_charge: { ...charge, transfer_data: { destination: 'acct_1' } } },
      'payment_not_refundable',
    ],
    [
      'in a currency whose units are not known',
      { ...intent, latest_charge: { ...charge, currency: 'xxy', refunds: list([]) } },
      'amount_not_representable',
    ],
  ])('and cannot be refunded when it is %s', async (_what, body, code) => {
    server.answers(json(200, body));
    await expect(stripe.readPayment('pi_1', call())).resolves.toMatchObject({ kind: 'found', facts: { refusal: { code } } });
  });

  it.each([
    ['was not captured', { captured: false }],
    ['has failed', { status: 'failed' }],
    ['has no day', { created: null }],
    ['has a day that is none', { created: 1_790_000_000_000 }],
  ])('and is paid at no time that is known where its charge %s', async (_what, change) => {
    server.answers(json(200, { ...intent, latest_charge: { ...charge, ...change } }));
    await expect(stripe.readPayment('pi_1', call())).resolves.toMatchObject({ kind: 'found', facts: { paidAt: null } });
  });

  it('with what was captured, not what was authorised', async () => {
    server.answers(json(200, { ...intent, latest_charge: { ...charge, amount_captured: 700, refunds: list([]) } }));
    await expect(stripe.readPayment('pi_1', call())).resolves.toMatchObject({ facts: { captured: 700n, refusal: null } });
  });

  const dispute = {
    id: 'du_1',
    object: 'dispute',
    amount: 10000,
    currency: 'usd',
    status: 'needs_response',
    payment_intent: 'pi_1',
    charge: 'ch_1',
    created: 1_790_000_000,
    balance_transactions: [],
    evidence_details: { due_by: 1_790_500_000, submission_count: 0 },
    is_charge_refundable: false,
  };
  const disputed = { ...charge, disputed: true };

  it('with all of its disputes, however many pages, once it was ever disputed', async () => {
    const page = (ids: string[], more: boolean) => {
      const disputes = ids.map((id) => ({ ...dispute, id }));
      return json(200, list(disputes, more));
    };
    server.answers(json(200, { ...intent, latest_charge: disputed }), page(['du_3', 'du_2'], true), page(['du_1'], false));
    const context = call();
    const before = traces.length;
    const answer = await stripe.readPayment('pi_1', context);
    // Whether it can be refunded is what its disputes say, not the charge.
    expect(answer).toMatchObject({ kind: 'found', facts: { captured: 10000n, refusal: null }, refunds: [{ refundId: 'rf_1' }] });
    expect(answer.kind === 'found' && answer.disputes?.map(({ providerDisputeId }) => providerDisputeId)).toEqual([
      'du_3',
      'du_2',
      'du_1',
    ]);
    expect(server.requests.slice(1).map(({ path }) => path)).toEqual([
      '/v1/disputes?payment_intent=pi_1&limit=100',
      '/v1/disputes?payment_intent=pi_1&limit=100&starting_after=du_2',
    ]);
    expect(traces.slice(before)).toHaveLength(3);
  });

  it('with the disputes of its charge, when there is nothing but the charge', async () => {
    server.answers(json(200, { ...disputed, payment_intent: null }), json(200, list([])));
    await expect(stripe.readPayment('ch_1', call())).resolves.toMatchObject({ kind: 'found', disputes: [] });
    expect(server.requests[1]?.path).toBe('/v1/disputes?charge=ch_1&limit=100');
  });

  it('without a call for disputes when there never was one', async () => {
    server.answers(json(200, intent));
    await expect(stripe.readPayment('pi_1', call())).resolves.not.toHaveProperty('disputes');
    expect(server.requests).toHaveLength(1);
  });

  it.each([
    ['is missing', json(500, refusal({ type: 'api_error' })), 'unread'],
    ['holds something else', json(200, list([{ object: 'charge' }])), 'unread'],
    ['is no list', json(200, intent), 'unread'],
    ['comes too soon', json(429, refusal({ code: 'rate_limit' })), 'later'],
  ])('and is not known at all when a page of its disputes %s', async (_what, reply, kind) => {
    server.answers(json(200, { ...intent, latest_charge: disputed }), reply);
    await expect(stripe.readPayment('pi_1', call())).resolves.toMatchObject({ kind });
  });

  it.each([
    ['another object', { object: 'customer', id: 'cus_1' }],
    ['a charge that was not sent along', { ...intent, latest_charge: 'ch_1' }],
    ['no currency', { ...intent, currency: undefined, latest_charge: null }],
  ])('and is not known when the answer has %s', async (_what, body) => {
    server.answers(json(200, body));
    await expect(stripe.readPayment('pi_1', call())).resolves.toMatchObject({ kind: 'unread' });
  });
});

describe("A key's mode", () => {
  it('is told by its beginning, and other keys are none', () => {
    expect(isLive('sk_live_x')).toEqual({ ok: true, value: true });
    expect(isLive('rk_test_x')).toEqual({ ok: true, value: false });
    expect(isLive('pk_live_x')).toMatchObject({ ok: false });
  });
});
