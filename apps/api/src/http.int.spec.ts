import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { describeWithDatabase } from '../../../test/environment.js';
import { runningApi, type RunningApi } from '../../../test/running-api.js';

describeWithDatabase('The HTTP door', () => {
  let api: RunningApi;
  beforeAll(async () => {
    api = await runningApi();
  }, 60_000);
  afterAll(() => api?.close());
  const json = { 'content-type': 'application/json' };

  it.each([
    ['an address that nobody has', 'GET', '/v1/nothing', {}, 404, 'not_found'],
    ['a method that the address does not take', 'DELETE', '/v1/refunds', {}, 405, 'method_not_allowed'],
    ['a path that cannot be decoded', 'GET', '/v1/refunds/%zz', {}, 400, 'bad_request'],
    ['a payment whose name is none', 'GET', '/v1/payments/stripe/pi%00', {}, 404, 'not_found'],
    ['an id that no id is as long as', 'GET', `/v1/refunds/${'x'.repeat(400)}`, {}, 404, 'not_found'],
    ['a body that is no JSON', 'POST', '/v1/refunds', { raw: '{"a":', headers: json }, 400, 'not_json'],
    ['a body that is nothing', 'POST', '/v1/refunds', { raw: '', headers: json }, 400, 'not_json'],
    [
      'a body of another kind',
      'POST',
      '/v1/refunds',
      { raw: 'a=1', headers: { 'content-type': 'text/plain' } },
      415,
      'unsupported_media_type',
    ],
    ['a body without a kind', 'POST', '/v1/refunds', { raw: new Uint8Array([123, 125]) }, 415, 'unsupported_media_type'],
    ['a body too large', 'POST', '/v1/refunds', { raw: 'x'.repeat(256 * 1024 + 1), headers: json }, 413, 'body_too_large'],
  ] as const)('answers %s as problem+json', async (_, method, path, more, status, code) => {
    const answer = await api.call(method, path, { ...more, key: 'k' });
    expect(answer).toMatchObject({ status, body: { status, code, title: expect.any(String), type: expect.any(String) } });
    expect(answer.headers.get('content-type')).toBe('application/problem+json');
    expect(answer.headers.get('x-request-id')).toMatch(/^[\w-]{36}$/);
  });

  it('says which methods an address takes', async () => {
    expect((await api.call('PUT', '/v1/refunds/rf_1/cancel')).headers.get('allow')).toBe('POST');
  });

  it('answers what is no HTTP, and closes', async () => {
    const socket = connect(Number(new URL(api.url).port), '127.0.0.1');
    socket.write('NONSENSE\r\n\r\n');
    expect(await text(socket)).toMatch(/^HTTP\/1\.1 400 [\s\S]*application\/problem\+json[\s\S]*"code":"bad_request"/);
  });

  it('keeps a request id that the caller gave, unless it could not stand in a header or a log', async () => {
    const given = (id: string) =>
      api.get('/health/live', { headers: { 'x-request-id': id } }).then(({ headers }) => headers.get('x-request-id'));
    expect(await given('mine-1')).toBe('mine-1');
    expect(await given('two words')).toMatch(/^[\w-]{36}$/);
  });

  it.each(['', 'Bearer', 'Bearer wrong', 'Basic YTpi', 'a-key-for-this-spec-alone'])(
    'refuses the authorization "%s"',
    async (authorization) => {
      for (const path of ['/v1/refunds', '/v1/events/stream', '/v1/attention']) {
        const answer = await api.get(path, { headers: { authorization } });
        expect(answer).toMatchObject({ status: 401, body: { code: 'unauthorized' } });
        expect(answer.headers.get('www-authenticate')).toBe('Bearer');
      }
    },
  );

  it('shows health, metrics and its documents to everybody', async () => {
    for (const path of [
      '/health/live',
      '/health/ready',
      '/metrics',
      '/docs',
      '/docs/problems',
      '/openapi.json',
      '/asyncapi.json',
    ]) {
      expect(await api.get(path, { headers: { authorization: '' } })).toMatchObject({ status: 200 });
    }
    await api.get('/v1/refunds/rf_1');
    const { text: metrics } = await api.get('/metrics');
    expect(metrics).toContain('redress_database_up 1');
    expect(metrics).toContain('redress_backlog{of="operations_due"} 0');
    expect(metrics).toContain('redress_provider_calls_turned_away_total');
    expect(metrics).toMatch(
      /redress_http_request_duration_seconds_count\{method="GET",route="\/v1\/refunds\/:id",status="404"\} 1/,
    );
  });

  it('has no clock to move where that is not allowed', async () => {
    expect(await api.post('/control/clock', { advanceSeconds: 1 })).toMatchObject({ status: 404 });
  });
});

describeWithDatabase('Where the clock may be moved', () => {
  it('it goes ahead for all, and never back', async () => {
    const api = await runningApi({ MOVABLE_CLOCK: 'true' });
    try {
      const first = await api.post('/control/clock', { advanceSeconds: 86_400 });
      expect(Date.parse(String(first.body['now'])) - Date.now()).toBeGreaterThan(86_000_000);
      expect(await api.post('/control/clock', { advanceSeconds: -1 })).toMatchObject({ status: 400 });
      const { body } = await api.post('/v1/refunds', { provider: 'stripe', paymentId: 'pi_1' }, { key: 'later' });
      expect(Date.parse(String(body['createdAt'])) - Date.now()).toBeGreaterThan(86_000_000);
    } finally {
      await api.close();
    }
  }, 60_000);
});

describeWithDatabase('Without its database', () => {
  it('the api lives, is not ready, and asks callers to come back', async () => {
    const api = await runningApi();
    try {
      await api.loseDatabase();
      expect(await api.get('/health/live')).toMatchObject({ status: 200 });
      const calls = [
        api.get('/health/ready'),
        api.get('/v1/refunds'),
        api.get('/v1/events'),
        api.post('/v1/refunds', { provider: 'stripe', paymentId: 'pi_1' }, { key: 'away' }),
      ];
      for (const answer of await Promise.all(calls)) {
        expect(answer).toMatchObject({ status: 503, body: { code: 'unavailable' } });
        expect(answer.headers.get('retry-after')).toMatch(/^\d+$/);
        expect(answer.text).not.toMatch(/postgres|sql|spec_|terminat/i);
      }
      expect((await api.get('/metrics')).text).toContain('redress_database_up 0');
    } finally {
      await api.close();
    }
  }, 60_000);
});
