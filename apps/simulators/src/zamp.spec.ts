import { createHash } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { DEVELOPMENT, type RunningSimulators, startSimulators } from './simulators.js';
import { zampCallbackSignature, zampRequestSignature } from './zamp.js';
import { parseExactly, toMajor, toMinor, WrittenNumber } from './zamp-decimals.js';

type Answer = { status: number; text: string; body: { data?: Record<string, unknown>; code?: string; message?: string } };
type Callback = { signature: string; body: { transaction_type: string; transaction_id: string; data: Record<string, unknown> } };

let simulators: RunningSimulators;
let service: Server;
/** Each test has an address of its own, so that what was still on its way from the one before does not count. */
let tests = 0;
let callbacks: Callback[] = [];

beforeAll(async () => {
  service = createServer((request, response) => {
    let body = '';
    request.on('data', (part) => (body += String(part)));
    request.on('end', () => {
      if (!request.url?.startsWith(`/${tests}/`)) return void response.end();
      callbacks.push({ signature: String(request.headers['x-zamp-signature']), body: JSON.parse(body) as Callback['body'] });
      response.end();
    });
  });
  await new Promise<void>((resolve) => service.listen(0, '127.0.0.1', resolve));
  simulators = await startSimulators();
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
  callbacks = [];
});

const signed = {
  'x-zamp-merchantid': DEVELOPMENT.zamp.merchantId,
  'x-zamp-signature': zampRequestSignature(DEVELOPMENT.zamp),
};

async function zamp(method: string, path: string, body?: string, headers: Record<string, string> = signed): Promise<Answer> {
  const response = await fetch(`${simulators.url}/zamp/payments/v1${path}`, {
    method,
    headers: { 'content-type': 'application/json', ...headers },
    ...(body !== undefined && { body }),
  });
  const text = await response.text();
  return { status: response.status, text, body: JSON.parse(text) as Answer['body'] };
}

async function refund(fields: Record<string, unknown>, key?: string): Promise<Answer> {
  return zamp('POST', '/refunds', JSON.stringify(fields), {
    ...signed,
    ...(key !== undefined && { 'x-zamp-idempotency-key': key }),
  });
}

async function control<Body>(path: string, body: object): Promise<Body> {
  const response = await fetch(`${simulators.url}/control${path}`, { method: 'POST', body: JSON.stringify(body) });
  const answer = (await response.json()) as Body;
  if (!response.ok) throw new Error(JSON.stringify(answer));
  return answer;
}

async function session(more: object = {}): Promise<string> {
  const body = { provider: 'zamp', amount: 1999, currency: 'AED', refundDelayMs: 100_000, ...more };
  return (await control<{ paymentId: string }>('/payments', body)).paymentId;
}

async function refundsInTheBooks(): Promise<unknown[]> {
  const response = await fetch(`${simulators.url}/control/books`);
  const { payments } = (await response.json()) as { payments: { refunds: unknown[] }[] };
  return payments.flatMap(({ refunds }) => refunds);
}

async function until(done: () => boolean): Promise<void> {
  for (let waited = 0; waited < 4000 && !done(); waited += 10) await new Promise((resolve) => setTimeout(resolve, 10));
}

describe('Zamp signatures', () => {
  it('of a request are one constant over key and secret', () => {
    const account = { merchantId: 'm', apiKey: 'zamp_test_key', secret: 'zamp_test_secret' };
    expect(zampRequestSignature(account)).toBe('3Zg484H1xgTCIFDsolycpgdU63o+etaQSXuU5ueKGUY=');
  });

  it.each([
    ['rf_demo_0001,succeeded', '3APzqCGa8wW7RCFOEGDmXGkPye+/4A06eGRaCKxaHQw='],
    ['ps_demo_0001,initiated', 'ylbDmfs79PuND8KonWUIeMTgMgAgNKO3Q0klv0r/IUQ='],
  ])('of a callback cover id and status: %s', (message, signature) => {
    expect(zampCallbackSignature('zamp_test_secret', message)).toBe(signature);
  });
});

describe('Zamp decimals', () => {
  it.each([
    [1, '0.01'],
    [10, '0.1'],
    [1000, '10'],
    [1050, '10.5'],
    [1999, '19.99'],
    [Number.MAX_SAFE_INTEGER, '90071992547409.91'],
  ])('write %d as %s and read it back, to the cent', (minor, text) => {
    expect(JSON.stringify({ amount: toMajor(minor) })).toBe(`{"amount":${text}}`);
    expect(toMinor(text)).toBe(minor);
    expect(parseExactly(text)).toEqual(new WrittenNumber(text));
  });

  it.each(['0', '0.00', '-1', '1.005', '12.340000000000001', '1e3', '90071992547409.92'])(
    'do not take %s for an amount',
    (text) => {
      expect(toMinor(text)).toBeNull();
    },
  );

  it.each([
    ['10.00', 1000],
    ['19.990', 1999],
    ['7.0', 700],
  ])('do not mind zeros at the end: %s', (text, minor) => {
    expect(toMinor(text)).toBe(minor);
  });
});

describe('A Zamp refund', () => {
  it('is answered in major units, without the session, and with a reference that is not the one sent', async () => {
    const sessionId = await session();
    const { status, body, text } = await refund({
      payment_session_id: sessionId,
      amount: 19.99,
      reference_id: 'rf_1',
      remarks: 'sorry',
    });
    expect(status).toBe(200);
    expect(text).toContain('"amount":19.99,');
    expect(body.data).toMatchObject({ currency_code: 'AED', remarks: 'sorry', status: 'initiated', failure_code: '' });
    expect(body.data).not.toHaveProperty('payment_session_id');
    expect(body.data?.['reference_id']).not.toBe('rf_1');
    expect(body.data?.['created_at']).toMatch(/^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{9}Z$/);
  });

  it('is read with its session and with the reference that was sent', async () => {
    const sessionId = await session();
    const { body } = await refund({ payment_session_id: sessionId, amount: 5, reference_id: 'rf_1' });
    const read = await zamp('GET', `/refunds/${String(body.data?.['id'])}`);
    expect(read.body.data).toMatchObject({
      payment_session_id: sessionId,
      reference_id: 'rf_1',
      amount: 5,
      merchant_id: 'merchant_simulated',
    });
  });

  it('goes on its way by itself, each step announced with a signature over id and status', async () => {
    const { body } = await refund({ payment_session_id: await session({ refundDelayMs: 20 }), amount: 5, reference_id: 'rf_1' });
    const id = String(body.data?.['id']);
    await until(() => callbacks.length === 3);
    expect(callbacks.map(({ body: { data } }) => data['status'])).toEqual(['initiated', 'in_process', 'succeeded']);
    for (const { signature, body: callback } of callbacks) {
      expect(callback).toMatchObject({
        transaction_type: 'refund',
        transaction_id: id,
        data: { id, reference_id: 'rf_1', amount: 5 },
      });
      const message = `${id},${String(callback.data['status'])}`;
      expect(signature).toBe(createHash('sha256').update(`${message}:${DEVELOPMENT.zamp.secret}`).digest('base64'));
    }
  });

  it('fails when the tester says so, and stays failed', async () => {
    const { body } = await refund({ payment_session_id: await session({ refundDelayMs: 100 }), amount: 5 });
    const id = String(body.data?.['id']);
    await control(`/refunds/${id}`, { status: 'failed', failureReason: 'WALLET_GONE' });
    await new Promise((resolve) => setTimeout(resolve, 150));
    expect((await zamp('GET', `/refunds/${id}`)).body.data).toMatchObject({ status: 'failed', failure_code: 'WALLET_GONE' });
  });

  it('has no ceiling: Zamp documents none, so only our own guard stands', async () => {
    const sessionId = await session();
    for (let time = 0; time < 2; time++)
      expect(await refund({ payment_session_id: sessionId, amount: 19.99 })).toMatchObject({ status: 200 });
    expect(await refundsInTheBooks()).toHaveLength(2);
  });
});

describe('A Zamp idempotency key', () => {
  it('is refused the second time, without the first answer', async () => {
    const sessionId = await session();
    expect(await refund({ payment_session_id: sessionId, amount: 5 }, 'once')).toMatchObject({ status: 200 });
    const again = await refund({ payment_session_id: sessionId, amount: 5 }, 'once');
    expect(again).toMatchObject({ status: 400, body: { code: 'IDEMPOTENCY_FAILURE' } });
    expect(again.body).not.toHaveProperty('data');
    expect(await refundsInTheBooks()).toHaveLength(1);
  });

  it('protects nothing when it is left out', async () => {
    const sessionId = await session();
    for (let time = 0; time < 2; time++) await refund({ payment_session_id: sessionId, amount: 5 });
    expect(await refundsInTheBooks()).toHaveLength(2);
  });

  it('is used up by a refund whose answer was lost, and by one that is still under way', async () => {
    const sessionId = await session();
    await control('/faults', { provider: 'zamp', call: 'refunds.create', fault: 'drop_answer', times: 1 });
    await expect(refund({ payment_session_id: sessionId, amount: 5 }, 'lost')).rejects.toThrow('fetch failed');
    expect(await refund({ payment_session_id: sessionId, amount: 5 }, 'lost')).toMatchObject({
      body: { code: 'IDEMPOTENCY_FAILURE' },
    });
    await control('/faults', { provider: 'zamp', call: 'refunds.create', fault: 'delay', delayMs: 200, times: 1 });
    const slow = refund({ payment_session_id: sessionId, amount: 5 }, 'slow');
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(await refund({ payment_session_id: sessionId, amount: 5 }, 'slow')).toMatchObject({
      body: { code: 'IDEMPOTENCY_FAILURE' },
    });
    expect(await slow).toMatchObject({ status: 200 });
  });

  it('is not used up by a request that was refused, or by a 500 from in front of the work', async () => {
    const sessionId = await session();
    expect(await refund({ payment_session_id: 'unknown', amount: 5 }, 'once')).toMatchObject({ status: 404 });
    await control('/faults', { provider: 'zamp', call: 'refunds.create', fault: 'status_500', times: 1 });
    expect(await refund({ payment_session_id: sessionId, amount: 5 }, 'once')).toMatchObject({ status: 500 });
    expect(await refund({ payment_session_id: sessionId, amount: 5 }, 'once')).toMatchObject({ status: 200 });
  });
});

describe('Zamp refuses', () => {
  it.each([
    ['no merchant', { 'x-zamp-signature': signed['x-zamp-signature'] }, 400, 'MERCHANT_ID_HEADER_NOT_FOUND'],
    ['no signature', { 'x-zamp-merchantid': signed['x-zamp-merchantid'] }, 401, 'MISSING_TOKEN'],
    ['another merchant', { ...signed, 'x-zamp-merchantid': 'someone' }, 401, 'MERCHANT_ID_HEADER_NOT_FOUND'],
    ['a wrong signature', { ...signed, 'x-zamp-signature': 'x' }, 401, 'INVALID_TOKEN'],
  ])('a request with %s', async (_, headers, status, code) => {
    expect(await zamp('GET', '/refunds/any', undefined, headers)).toMatchObject({ status, body: { code } });
  });

  it.each([
    ['no JSON', '{'],
    ['no object', '[]'],
    ['no session', '{"amount": 1}'],
    ['an amount as text', '{"payment_session_id": "x", "amount": "1"}'],
    ['a negative amount', '{"payment_session_id": "x", "amount": -1}'],
    ['a third decimal', '{"payment_session_id": "x", "amount": 1.005}'],
    ['a reference that is no text', '{"payment_session_id": "x", "amount": 1, "reference_id": 7}'],
  ])('a refund with %s', async (_, body) => {
    expect(await zamp('POST', '/refunds', body)).toMatchObject({ status: 400, body: { code: 'VALIDATION_FAILED' } });
  });

  it('what does not exist', async () => {
    for (const path of ['/refunds/unknown', '/payment-sessions/unknown', '/refunds'])
      expect(await zamp('GET', path)).toMatchObject({ status: 404, body: { code: 'RECORD_NOT_FOUND' } });
  });
});

describe('A Zamp payment session', () => {
  it('is read in major units, with the currency under its other name', async () => {
    const { text, body } = await zamp('GET', `/payment-sessions/${await session()}`);
    expect(text).toContain('"amount":19.99,');
    expect(body.data).toMatchObject({ source_currency: 'AED', status: 'succeeded', failure_code: '', risk_score: 'lowRisk' });
  });

  it('can have ended otherwise', async () => {
    const failed = await session({ status: 'failed', failureCode: 'USER_HIGH_RISK' });
    expect((await zamp('GET', `/payment-sessions/${failed}`)).body.data).toMatchObject({
      status: 'failed',
      failure_code: 'USER_HIGH_RISK',
    });
    const cancelled = await session({ status: 'cancelled' });
    expect((await zamp('GET', `/payment-sessions/${cancelled}`)).body.data).toMatchObject({
      failure_code: 'PAYMENT_SESSION_CANCELLED',
    });
  });
});
