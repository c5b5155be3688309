import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { CallContext, CallTrace } from '#domain/ports/refund-provider';
import {
  cutShort,
  drip,
  hangUp,
  json,
  reset,
  ScriptedServer,
  silence,
  text,
  type Reply,
} from '../../../test/fakes/scripted-server.js';
import { ZampRefunds } from './zamp-refunds.js';
import { requestSignature } from './zamp-wire.js';

const now = new Date('2026-11-01T10:00:00.000Z');
const order = {
  refundId: 'rf_1',
  attempt: 1,
  payment: 'ps_1',
  money: { amount: 1999n, currency: 'AED' },
  reason: 'fraudulent',
  blockCustomer: true,
  repeated: false,
};
const refund = {
  id: 'zr_1',
  merchant_id: 'm_1',
  payment_session_id: 'ps_1',
  reference_id: 'rf_1',
  amount: 19.99,
  currency_code: 'AED',
  remarks: '',
  status: 'initiated',
  failure_code: '',
  created_at: '2026-11-01T09:00:00.12345678Z',
};
const session = {
  id: 'ps_1',
  merchant_id: 'm_1',
  reference_id: 'order-7',
  status: 'succeeded',
  failure_code: '',
  amount: 100,
  source_currency: 'AED',
  risk_score: 'lowRisk',
};

let server: ScriptedServer;
let zamp: ZampRefunds;
beforeAll(async () => {
  server = await ScriptedServer.start();
  zamp = new ZampRefunds({
    account: 'default',
    merchantId: 'm_1',
    apiKey: 'zamp_test_key',
    secret: 'zamp_test_secret',
    apiBase: `${server.url}/zamp/`,
    webhookAddresses: [],
  });
});
afterAll(() => server.close());

function context(deadlineMs = 5_000): CallContext & { readonly traces: CallTrace[] } {
  const traces: CallTrace[] = [];
  return { deadline: AbortSignal.timeout(deadlineMs), now, trace: (trace) => traces.push(trace), traces };
}

describe('A call to Zamp', () => {
  it('is one POST with the exact amount as a number, our reference, our key, and no free text', async () => {
    server.answers(json(200, { data: refund }, { 'x-request-id': 'z-7' }));
    const call = context();
    await zamp.send(order, 'refund:rf_1:1', call);
    expect(server.requests).toHaveLength(1);
    const [request] = server.requests;
    expect(request).toMatchObject({ method: 'POST', path: '/zamp/payments/v1/refunds' });
    expect(request?.body).toBe('{"payment_session_id":"ps_1","amount":19.99,"reference_id":"rf_1"}');
    expect(request?.headers).toMatchObject({
      'x-zamp-merchantid': 'm_1',
      'x-zamp-idempotency-key': 'refund:rf_1:1',
      'content-type': 'application/json',
      'x-zamp-signature': '3Zg484H1xgTCIFDsolycpgdU63o+etaQSXuU5ueKGUY=',
    });
    expect(call.traces).toMatchObject([
      { call: 'POST /payments/v1/refunds', httpStatus: 200, requestId: 'z-7', result: 'answered' },
    ]);
    expect(JSON.stringify(call.traces)).not.toMatch(/3Zg484|zamp_test/);
    expect(JSON.stringify(zamp)).not.toMatch(/3Zg484|zamp_test/);
  });

  it("is signed with Zamp's constant", () => {
    expect(requestSignature('zamp_test_key', 'zamp_test_secret')).toBe('3Zg484H1xgTCIFDsolycpgdU63o+etaQSXuU5ueKGUY=');
  });

  it.each([
    ['AED', 1999n, '19.99'],
    ['USD', 1000n, '10.00'],
    ['USD', 5n, '0.05'],
    ['SAR', 999_999_999_999_999n, '9999999999999.99'],
    ['JPY', 500n, '500'],
    ['KWD', 10005n, '10.005'],
  ])('carries %s %p as %s, and takes it back as the same', async (currency, amount, written) => {
    server.answers(text(200, `{"data":{"id":"zr_1","status":"initiated","amount":${written},"currency_code":"${currency}"}}`));
    const money = { amount, currency };
    expect(zamp.canCarry(money)).toEqual({ ok: true, value: money });
    await expect(zamp.send({ ...order, money }, 'k', context())).resolves.toMatchObject({ report: { amount, currency } });
    expect(server.requests[0]?.body).toContain(`"amount":${written},`);
  });

  it.each([
    ['nothing', 0n, 'AED'],
    ['sixteen digits, which a float64 may not keep', 10n ** 15n, 'AED'],
    ['a currency without known minor units', 100n, 'XXY'],
  ])('is not made for %s', async (_what, amount, currency) => {
    server.answers(json(200, { data: refund }));
    const money = { amount, currency };
    expect(zamp.canCarry(money)).toMatchObject({ ok: false, error: { code: 'amount_not_representable' } });
    await expect(zamp.send({ ...order, money }, 'k', context())).resolves.toMatchObject({ report: { says: 'refused' } });
    expect(server.requests).toHaveLength(0);
  });

  const lost: [string, Reply, string][] = [
    ['the connection is closed', hangUp, 'connection_lost'],
    ['the connection is reset', reset, 'connection_lost'],
    ['the answer breaks off', cutShort(200, JSON.stringify({ data: refund })), 'connection_lost'],
    ['the answer is no JSON', text(200, '<html>hello</html>'), 'unreadable'],
    ['the answer is half of the JSON', text(200, JSON.stringify({ data: refund }).slice(0, 40)), 'unreadable'],
    ['the answer is not wrapped as Zamp does', json(200, refund), 'unreadable'],
    ['the answer has no body', text(204, ''), 'unreadable'],
    ['the answer has no id', json(200, { data: { ...refund, id: '' } }), 'answered'],
    ['the answer has no status', json(200, { data: { ...refund, status: undefined } }), 'answered'],
    ["the answer has the session's id in place of the refund's", json(200, { data: { ...refund, id: 'ps_1' } }), 'answered'],
    ['it is sent elsewhere', json(307, { code: 'MOVED' }, { location: '/elsewhere' }), 'status_307'],
    ['Zamp answers 500', json(500, { code: 'INTERNAL', message: 'oops' }), 'status_500'],
    ['a gateway answers 503', json(503, { code: 'VALIDATION_FAILED', message: 'oops' }), 'status_503'],
    ['a refusal has no code', json(400, { message: 'no' }), 'status_400'],
  ];
  it.each(lost)('is one request, and its outcome unknown, when %s', async (_when, reply, result) => {
    server.answers(reply);
    const call = context();
    await expect(zamp.send(order, 'k', call)).resolves.toMatchObject({
      report: { says: 'unknown', attempt: 1, providerRefundId: null, at: now },
    });
    expect(server.requests).toHaveLength(1);
    expect(call.traces).toMatchObject([{ result }]);
  });

  it.each([
    ['sends nothing', silence],
    ['sends a byte now and then for ever', drip(20)],
  ])('ends at its deadline, and its socket with it, when Zamp %s', async (_what, reply) => {
    server.answers(reply);
    const call = context(150);
    const begun = performance.now();
    await expect(zamp.send(order, 'k', call)).resolves.toMatchObject({ report: { says: 'unknown' } });
    expect(performance.now() - begun).toBeLessThan(1_000);
    expect(call.traces).toMatchObject([{ httpStatus: null, result: 'deadline' }]);
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(server.requests.map(({ socket }) => socket.destroyed)).toEqual([true]);
  });
});

describe("A refund's status at Zamp", () => {
  it.each([
    ['initiated', 'pending'],
    ['in_process', 'pending'],
    ['succeeded', 'succeeded'],
    ['failed', 'failed'],
    ['cancelled', 'unclear'],
  ])('%s means %s', async (status, says) => {
    server.answers(json(200, { data: { ...refund, status } }));
    await expect(zamp.read('zr_1', context())).resolves.toEqual({
      kind: 'found',
      payment: 'ps_1',
      refund: {
        refundId: 'rf_1',
        report: {
          says,
          attempt: 1,
          providerRefundId: 'zr_1',
          providerStatus: status,
          amount: 1999n,
          currency: 'AED',
          pendingReason: null,
          failureCode: null,
          bankReference: null,
          refusal: null,
          at: now,
        },
      },
    });
  });

  it("is told with Zamp's own word for a failure, and an empty one is none", async () => {
    server.answers(json(200, { data: { ...refund, status: 'failed', failure_code: 'NEVER_HEARD_OF' } }));
    await expect(zamp.read('zr_1', context())).resolves.toMatchObject({ refund: { report: { failureCode: 'NEVER_HEARD_OF' } } });
  });

  it('is for a person when its amount is finer than the currency', async () => {
    server.answers(text(200, '{"data":{"id":"zr_1","status":"succeeded","amount":19.999,"currency_code":"AED"}}'));
    await expect(zamp.read('zr_1', context())).resolves.toMatchObject({ refund: { report: { says: 'unclear', amount: null } } });
  });

  it('is told with the currency that Zamp names, also when it is not the one that was meant', async () => {
    server.answers(json(200, { data: { ...refund, currency_code: 'USD' } }));
    await expect(zamp.send(order, 'k', context())).resolves.toMatchObject({ report: { amount: 1999n, currency: 'USD' } });
  });
});

describe('What an error of Zamp proves about a refund', () => {
  const errors: [number, string, string, string][] = [
    [400, 'VALIDATION_FAILED', 'refused', 'unknown'],
    [400, 'INVALID_PARAMETERS', 'refused', 'unknown'],
    [404, 'RECORD_NOT_FOUND', 'refused', 'unknown'],
    [400, 'INSUFFICIENT_BALANCE', 'refused', 'unknown'],
    [400, 'AMOUNT_NOT_WITHIN_LIMITS', 'refused', 'unknown'],
    [400, 'IDEMPOTENCY_FAILURE', 'spent', 'spent'],
    [400, 'ALREADY_PROCESSED', 'spent', 'spent'],
    [400, 'NEVER_HEARD_OF', 'unknown', 'unknown'],
    [404, 'NEVER_HEARD_OF', 'unknown', 'unknown'],
    [422, 'VALIDATION_FAILED', 'unknown', 'unknown'],
    [400, 'MERCHANT_ID_HEADER_NOT_FOUND', 'parked', 'parked'],
    [401, 'MERCHANT_ID_HEADER_NOT_FOUND', 'parked', 'parked'],
    [401, 'MISSING_TOKEN', 'parked', 'parked'],
    [401, 'INVALID_TOKEN', 'parked', 'parked'],
    [401, 'NEVER_HEARD_OF', 'parked', 'parked'],
    [403, 'KYB_NOT_INITIATED', 'parked', 'parked'],
    [403, 'KYB_PENDING', 'parked', 'parked'],
    [403, 'ACCESS_FORBIDDEN', 'parked', 'parked'],
    [400, 'FAILED_TO_GET_MERCHANT_CONFIG', 'later', 'parked'],
    [429, 'TOO_MANY', 'later', 'later'],
  ];
  it.each(errors)('%p %s: %s, and %s when the call was made before', async (status, code, first, again) => {
    server.answers(json(status, { code, message: 'No.' }));
    const said = async (repeated: boolean) => {
      const answer = await zamp.send({ ...order, repeated }, 'k', context());
      return answer.kind === 'report' ? answer.report.says : answer.kind;
    };
    expect([await said(false), await said(true)]).toEqual([first, again]);
    expect(server.requests).toHaveLength(2);
  });

  it('of too many calls proves nothing about its key, since nobody has documented it', async () => {
    server.answers(json(429, { code: 'TOO_MANY', message: 'No.' }));
    await expect(zamp.send(order, 'k', context())).resolves.toMatchObject({ kind: 'later', limit: null });
    await expect(zamp.read('zr_1', context())).resolves.toMatchObject({ kind: 'later', limit: null });
  });

  it('is told with our code and the words of Zamp, and looked at by a person', async () => {
    server.answers(json(404, { code: 'RECORD_NOT_FOUND', message: 'no session' }));
    await expect(zamp.send(order, 'k', context())).resolves.toMatchObject({
      report: { refusal: { code: 'payment_not_found', detail: '404 RECORD_NOT_FOUND: no session', attention: true } },
    });
  });
});

describe('An attempt at Zamp', () => {
  it('is named in the reference, from the second on with its number, and known again by it', async () => {
    server.answers(
      json(200, { data: { ...refund, reference_id: 'ps_1' } }),
      json(200, { data: { ...refund, reference_id: 'rf_1:2' } }),
    );
    // In the answer to a POST the reference may be the session's.
    await expect(zamp.send({ ...order, attempt: 2 }, 'k', context())).resolves.toMatchObject({ report: { attempt: 2 } });
    expect(server.requests[0]?.body).toContain('"reference_id":"rf_1:2"');
    await expect(zamp.read('zr_1', context())).resolves.toMatchObject({ refund: { refundId: 'rf_1', report: { attempt: 2 } } });
  });

  it.each(['order-7', '', 'rf_1:0', 'rf_1:x', 'rf_', 7, null])('is not ours by the reference %p', async (reference_id) => {
    server.answers(json(200, { data: { ...refund, reference_id } }));
    await expect(zamp.read('zr_1', context())).resolves.toMatchObject({ refund: { refundId: null, report: { attempt: 1 } } });
  });
});

describe('A refund is read from Zamp', () => {
  it.each([
    ['404 RECORD_NOT_FOUND', json(404, { code: 'RECORD_NOT_FOUND' }), 'absent'],
    ['404 of somebody else', text(404, 'nothing here'), 'unread'],
    ['401', json(401, { code: 'INVALID_TOKEN' }), 'parked'],
    ['429', json(429, { code: 'TOO_MANY' }), 'later'],
    ['500', json(500, { code: 'INTERNAL' }), 'unread'],
    ['400', json(400, { code: 'VALIDATION_FAILED' }), 'unread'],
    ['another object', json(200, { data: { ...session, id: 'another' } }), 'unread'],
  ])('%s: %#', async (_what, reply, kind) => {
    server.answers(reply);
    await expect(zamp.read('zr_1', context())).resolves.toMatchObject({ kind });
  });

  it('is not there for us when the answer has another merchant, and that is said', async () => {
    server.answers(json(200, { data: { ...refund, id: 'zr_1', merchant_id: 'm_2' } }));
    const foreign = 'the refund is of another merchant';
    await expect(zamp.read('zr_1', context())).resolves.toMatchObject({ kind: 'absent', foreign });
  });

  it('also where the merchant is written with a prefix, or not told', async () => {
    server.answers(
      json(200, { data: { ...refund, merchant_id: 'zamp-m_1' } }),
      json(200, { data: { ...refund, merchant_id: undefined } }),
    );
    await expect(zamp.read('zr_1', context())).resolves.toMatchObject({ kind: 'found' });
    await expect(zamp.read('zr_1', context())).resolves.toMatchObject({ kind: 'found' });
  });

  it.each(['', '..', '../payment-sessions', 'a b', 'zr_1?x'])('and %p is nothing that Zamp could have', async (name) => {
    server.answers(json(200, { data: refund }));
    await expect(zamp.read(name, context())).resolves.toEqual({ kind: 'absent', at: now });
    await expect(zamp.readPayment(name, context())).resolves.toEqual({ kind: 'absent', at: now });
    expect(server.requests).toHaveLength(0);
  });
});

describe('A session is read from Zamp', () => {
  it('and rests on our own records, since Zamp lists no refunds', async () => {
    server.answers(json(200, { data: session }));
    const facts = {
      name: 'ps_1',
      aliases: [],
      currency: 'AED',
      captured: 10000n,
      basis: 'records',
      paidAt: null,
      refusal: null,
      at: now,
    };
    await expect(zamp.readPayment('ps_1', context())).resolves.toEqual({ kind: 'found', facts, refunds: [] });
    expect(server.requests[0]).toMatchObject({ method: 'GET', path: '/zamp/payments/v1/payment-sessions/ps_1' });
    expect(server.requests[0]?.headers).not.toHaveProperty('x-zamp-idempotency-key');
    expect(zamp.isOwnName('ps_1')).toBe(true);
  });

  it.each([
    ['initiated', '', 'payment_not_captured', 'nothing has been paid'],
    ['in_process', '', 'payment_not_captured', 'nothing has been paid'],
    ['failed', 'PAYMENT_TIMEOUT', 'payment_not_refundable', 'Zamp returns'],
    ['failed', 'PAYMENT_AMOUNT_MISMATCH', 'payment_not_refundable', 'Zamp returns'],
    ['failed', 'USER_HIGH_RISK', 'payment_not_refundable', 'Zamp returns'],
    ['failed', 'PAYMENT_SESSION_EXPIRED', 'payment_not_refundable', 'Zamp returns'],
    ['failed', 'INTERNAL_ERROR', 'payment_not_refundable', 'INTERNAL_ERROR'],
    ['cancelled', 'PAYMENT_SESSION_CANCELLED', 'payment_not_refundable', 'cancelled'],
    ['suspended', '', 'payment_not_refundable', 'suspended'],
  ])('and cannot be refunded when it is %s %s', async (status, failure_code, code, words) => {
    server.answers(json(200, { data: { ...session, status, failure_code } }));
    await expect(zamp.readPayment('ps_1', context())).resolves.toMatchObject({
      kind: 'found',
      facts: { captured: 0n, refusal: { code, detail: expect.stringContaining(words) } },
    });
  });

  it('and cannot be refunded when its amount is in no currency we can count', async () => {
    server.answers(json(200, { data: { ...session, source_currency: 'USDT' } }));
    await expect(zamp.readPayment('ps_1', context())).resolves.toMatchObject({
      facts: { refusal: { code: 'payment_not_refundable' } },
    });
  });

  it.each([
    ['another session', { ...session, id: 'ps_2' }],
    ['no amount', { ...session, amount: undefined }],
  ])('and is not known when the answer has %s', async (_what, data) => {
    server.answers(json(200, { data }));
    await expect(zamp.readPayment('ps_1', context())).resolves.toMatchObject({ kind: 'unread' });
  });

  it('and is not there for us when the answer has another merchant, which is said', async () => {
    server.answers(json(200, { data: { ...session, merchant_id: 'other' } }));
    const foreign = 'the session is of another merchant';
    await expect(zamp.readPayment('ps_1', context())).resolves.toMatchObject({ kind: 'absent', foreign });
  });
});
