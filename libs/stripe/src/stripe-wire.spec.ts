import https from 'node:https';
import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals';
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
import { StripeClient } from './stripe-client.js';
import { StripeDisputes } from './stripe-disputes.js';
import { StripeRefunds } from './stripe-refunds.js';

const now = new Date('2026-11-01T10:00:00.000Z');
const order = {
  refundId: 'rf_1',
  attempt: 1,
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
  metadata: { redress_refund: 'rf_1', redress_attempt: '1' },
  payment_intent: 'pi_1',
  charge: 'ch_1',
};

let server: ScriptedServer;
let stripe: StripeRefunds;
beforeAll(async () => {
  server = await ScriptedServer.start();
  stripe = new StripeRefunds({
    account: 'default',
    apiKey: 'sk_test_secret',
    webhookSecrets: ['whsec_x'],
    apiBase: `${server.url}/stripe/`,
  });
});
afterAll(() => server.close());

function context(deadlineMs: number): CallContext & { readonly traces: CallTrace[] } {
  const traces: CallTrace[] = [];
  return { deadline: AbortSignal.timeout(deadlineMs), now, trace: (trace) => traces.push(trace), traces };
}

describe('A call to Stripe', () => {
  it('is one POST under our key, with our id in it and nothing about this machine', async () => {
    server.answers(json(200, refund, { 'request-id': 'req_1' }));
    const call = context(5_000);
    await stripe.send(order, 'refund:rf_1:1', call);

    expect(server.requests).toHaveLength(1);
    const [request] = server.requests;
    expect(request).toMatchObject({ method: 'POST', path: '/stripe/v1/refunds' });
    expect(Object.fromEntries(new URLSearchParams(request?.body))).toEqual({
      payment_intent: 'pi_1',
      amount: '1050',
      'metadata[redress_refund]': 'rf_1',
      'metadata[redress_attempt]': '1',
    });
    expect(request?.headers).toMatchObject({ 'idempotency-key': 'refund:rf_1:1', authorization: 'Bearer sk_test_secret' });
    expect(request?.headers).not.toHaveProperty('x-stripe-client-telemetry');
    expect(String(request?.headers['x-stripe-client-user-agent'])).not.toMatch(/platform|telemetry_id/);
    expect(call.traces).toMatchObject([{ call: 'POST /v1/refunds', httpStatus: 200, requestId: 'req_1', result: 'answered' }]);
    expect(JSON.stringify(call.traces)).not.toContain('sk_test');
    for (const { startedAt, endedAt } of call.traces) expect(endedAt.getTime()).toBeGreaterThanOrEqual(startedAt.getTime());
  });

  const lost: [string, Reply, string][] = [
    ['the connection is closed', hangUp, 'connection_lost'],
    ['the connection is reset', reset, 'connection_lost'],
    ['the answer breaks off', cutShort(200, JSON.stringify(refund)), 'connection_lost'],
    ['the answer is no JSON (F24)', text(200, '<html>hello</html>'), 'unreadable'],
    ['the answer is half of the JSON (F24)', text(200, JSON.stringify(refund).slice(0, 60)), 'unreadable'],
    ['the answer is JSON of something else', json(200, { ok: true }), 'unreadable'],
    ['the answer is not an object', json(200, null), 'unreadable'],
    ['a gateway answers 502 with JSON of its own', json(502, { message: 'bad gateway' }), 'unreadable'],
    ['a gateway answers 429 with a page', text(429, 'slow down'), 'unreadable'],
    ['it is sent elsewhere', json(307, {}, { location: '/elsewhere' }), 'unreadable'],
    ['Stripe answers 500', json(500, { error: { type: 'api_error', message: 'oops' } }), 'answered'],
    [
      'Stripe answers 500 and asks for a retry',
      json(500, { error: { type: 'api_error' } }, { 'stripe-should-retry': 'true' }),
      'answered',
    ],
  ];
  it.each(lost)('is one request, and its outcome unknown, when %s', async (_when, reply, result) => {
    server.answers(reply);
    const call = context(5_000);
    const answer = await stripe.send(order, 'refund:rf_1:1', call);
    expect(answer).toMatchObject({ kind: 'report', report: { says: 'unknown', attempt: 1, providerRefundId: null, at: now } });
    expect(server.requests).toHaveLength(1);
    expect(call.traces).toMatchObject([{ call: 'POST /v1/refunds', result }]);
  });

  it.each([
    [{ code: 'rate_limit' }, { 'stripe-rate-limited-reason': 'endpoint-rate' }, 'answered'],
    [{}, {}, 'answered'],
    [{ code: 'lock_timeout' }, {}, 'locked'],
    [{ code: 'lock_timeout' }, { 'stripe-rate-limited-reason': 'resource-specific' }, 'answered'],
  ])('tells a 429 of the limiter from one of a lock: %j with %j was %s', async (error, headers, result) => {
    server.answers(json(429, { error: { type: 'invalid_request_error', message: 'Not now.', ...error } }, headers));
    const call = context(5_000);
    await stripe.read('re_1', call);
    expect(call.traces).toMatchObject([{ httpStatus: 429, result }]);
  });

  it.each([
    ['sends nothing', silence],
    ['sends a byte now and then for ever', drip(20)],
  ])('ends at its deadline, and its socket with it, when Stripe %s', async (_what, reply) => {
    server.answers(reply);
    const call = context(150);
    const begun = performance.now();
    const answer = await stripe.send(order, 'refund:rf_1:1', call);
    expect(performance.now() - begun).toBeLessThan(1_000);
    expect(answer).toMatchObject({ kind: 'report', report: { says: 'unknown' } });
    expect(call.traces).toMatchObject([{ httpStatus: null, result: 'deadline' }]);
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(server.requests.map(({ socket }) => socket.destroyed)).toEqual([true]);
  });

  it('is not made at all once its deadline is over', async () => {
    server.answers(json(200, refund));
    const answer = await stripe.send(order, 'refund:rf_1:1', { ...context(1_000), deadline: AbortSignal.abort() });
    expect(answer).toMatchObject({ kind: 'report', report: { says: 'unknown' } });
    expect(server.requests).toHaveLength(0);
  });

  it('shares connections with the calls before and beside it, and keeps their traces apart', async () => {
    server.answers((response, request) => json(200, { ...refund, id: request.path.split('/').at(-1) })(response, request));
    const ids = Array.from({ length: 200 }, (_, index) => `re_${index}`);
    const traces = new Map<string, CallTrace[]>();
    const read = async (id: string) => {
      const call = context(5_000);
      await stripe.read(id, call);
      traces.set(id, call.traces);
    };
    for (let from = 0; from < ids.length; from += 20) await Promise.all(ids.slice(from, from + 20).map(read));
    expect(server.connections.size).toBeLessThanOrEqual(20);
    for (const id of ids) expect(traces.get(id)).toMatchObject([{ call: `GET /v1/refunds/${id}` }]);
  });
});

describe('One account', () => {
  const account = {
    account: 'default',
    apiKey: 'sk_live_secret',
    webhookSecrets: ['whsec_x'],
    apiBase: 'https://api.stripe.com',
  };
  const document = { name: 'receipt.pdf', type: 'application/pdf', bytes: Buffer.from('%PDF-') } as const;
  afterEach(() => void jest.restoreAllMocks());

  it('has files taken at their own host by Stripe, and everything else at the usual one', async () => {
    // Nothing leaves this machine: where each request was to go is all that is looked at.
    const asked: unknown[] = [];
    jest.spyOn(https, 'request').mockImplementation((to) => {
      const { host, port, path } = to as https.RequestOptions;
      asked.push([host, port, path]);
      throw new Error('not now');
    });
    const disputes = new StripeDisputes(account);
    await expect(disputes.upload(document, 'k', context(5_000))).resolves.toMatchObject({ kind: 'unknown' });
    await expect(disputes.readDispute('du_1', context(5_000))).resolves.toMatchObject({ kind: 'unread' });
    expect(asked).toEqual([
      ['files.stripe.com', 443, '/v1/files'],
      ['api.stripe.com', 443, '/v1/disputes/du_1'],
    ]);
  });

  it('has files taken by a stand-in where that takes everything', async () => {
    server.answers(json(200, { object: 'file', id: 'file_1' }));
    const disputes = new StripeDisputes({ ...account, apiBase: `${server.url}/stripe/` });
    await disputes.upload(document, 'k', context(5_000));
    expect(server.requests).toMatchObject([{ method: 'POST', path: '/stripe/v1/files' }]);
  });

  it('has the same connections and limits for its refunds and its disputes', async () => {
    const here = { ...account, apiBase: server.url, limits: { perSecond: 7 } };
    const client = new StripeClient(here);
    const [refunds, disputes] = [new StripeRefunds(here, client), new StripeDisputes(here, client)];
    expect(refunds.limits).toBe(client.limits);
    expect([refunds.account, disputes.account]).toEqual(['default', 'default']);
    server.answers(json(200, refund));
    await refunds.read('re_1', context(5_000));
    const [first] = server.requests.map(({ socket }) => socket);
    await disputes.readDispute('du_1', context(5_000));
    expect(server.requests[1]?.socket).toBe(first);
  });
});
