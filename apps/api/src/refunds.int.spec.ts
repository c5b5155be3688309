import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { describeWithDatabase } from '../../../test/environment.js';
import { runningApi, type RunningApi } from '../../../test/running-api.js';

let api: RunningApi;
let count = 0;
const order = (paymentId: string, more: object = {}) => ({
  provider: 'stripe',
  paymentId,
  amount: 1050,
  currency: 'USD',
  ...more,
});
const fresh = () => `key-${(count += 1)}`;
const ask = (body: object, key = fresh()) => api.post('/v1/refunds', body, { key });

describeWithDatabase('A refund asked for over HTTP', () => {
  beforeAll(async () => {
    api = await runningApi();
  }, 60_000);
  afterAll(() => api?.close());

  it('is taken on at once and followed to its end', async () => {
    const { paymentId, chargeId } = await api.pay();
    const taken = await ask(order(chargeId, { reference: 'RMA-7', note: 'box was empty', metadata: { orderId: '42' } }));
    expect(taken).toMatchObject({
      status: 202,
      body: { status: 'requested', note: 'box was empty', metadata: { orderId: '42' } },
    });
    expect(taken.headers.get('location')).toBe(`/v1/refunds/${String(taken.body['id'])}`);

    await api.work();
    const ended = await api.get(`/v1/refunds/${String(taken.body['id'])}`);
    expect(ended).toMatchObject({ status: 200, body: { status: 'succeeded', paymentId, reference: 'RMA-7', attempts: 1 } });
    const payment = await api.get(`/v1/payments/stripe/${chargeId}`);
    expect(payment.body).toMatchObject({
      paymentId,
      refunded: 1050,
      available: 8950,
      basis: 'provider',
      refunds: [{ id: taken.body['id'] }],
    });
  });

  it('twice under one key is one refund, answered with the same bytes', async () => {
    const { paymentId } = await api.pay();
    const [first, second] = [await ask(order(paymentId), 'twice'), await ask(order(paymentId), 'twice')];
    expect(second).toMatchObject({ status: first.status, text: first.text });
    expect([first, second].map(({ headers }) => headers.get('idempotent-replayed'))).toEqual([null, 'true']);
    expect(second.headers.get('location')).toBe(first.headers.get('location'));
    await api.work();
    expect((await ask(order(paymentId), 'twice')).text).toBe(first.text);
  });

  it('fifty times at once under one key is one refund', async () => {
    const { paymentId } = await api.pay();
    const answers = await Promise.all(Array.from({ length: 50 }, () => ask(order(paymentId), 'fifty')));
    expect(new Set(answers.map(({ status, text }) => `${status} ${text}`)).size).toBe(1);
    expect(answers.filter(({ headers }) => headers.get('idempotent-replayed') === null)).toHaveLength(1);
    await api.work();
    expect((await api.get(`/v1/payments/stripe/${paymentId}`)).body).toMatchObject({ refunded: 1050, refunds: { length: 1 } });
  });

  it('with other content under a used key is refused', async () => {
    const { paymentId } = await api.pay();
    const { body } = await ask(order(paymentId), 'reused');
    expect(await ask(order(paymentId, { amount: 1 }), 'reused')).toMatchObject({
      status: 409,
      body: { code: 'idempotency_key_reused' },
    });
    expect(await api.post(`/v1/refunds/${String(body['id'])}/cancel`, undefined, { key: 'reused' })).toMatchObject({
      status: 409,
      body: { code: 'idempotency_key_reused' },
    });
  });

  it('needs a key of visible characters', async () => {
    expect(await api.post('/v1/refunds', order('pi_x'))).toMatchObject({
      status: 400,
      body: { code: 'idempotency_key_missing' },
    });
    for (const key of ['two words', 'x'.repeat(256)]) {
      expect(await ask(order('pi_x'), key)).toMatchObject({ status: 400, body: { errors: [{ path: 'Idempotency-Key' }] } });
    }
  });

  it('is refused at once where the reason is known, and the refusal too is repeated', async () => {
    const { paymentId } = await api.pay({ amount: 1000 });
    await ask(order(paymentId, { amount: 400, reference: 'R-1' }));
    await api.work();
    const tooMuch = await ask(order(paymentId, { amount: 601 }), 'too-much');
    expect(tooMuch).toMatchObject({
      status: 422,
      body: { code: 'amount_exceeds_available', refundId: expect.stringMatching(/^rf_/) },
    });
    const again = await ask(order(paymentId, { amount: 601 }), 'too-much');
    expect(again).toMatchObject({ status: 422, text: tooMuch.text });
    expect(again.headers.get('idempotent-replayed')).toBe('true');
    expect(await ask(order(paymentId, { amount: 1, reference: 'R-1' }))).toMatchObject({
      status: 409,
      body: { code: 'reference_already_used' },
    });
    expect(await ask(order(paymentId, { currency: 'EUR' }))).toMatchObject({ status: 422, body: { code: 'currency_mismatch' } });
    expect(await ask(order(paymentId, { account: 'elsewhere' }))).toMatchObject({
      status: 422,
      body: { code: 'unknown_account' },
    });
  });

  it('for parts of one payment never exceeds it, however many ask at once', async () => {
    const { paymentId, chargeId } = await api.pay({ amount: 1000 });
    const answers = await Promise.all(
      Array.from({ length: 60 }, (_, index) => ask(order(index % 2 === 0 ? paymentId : chargeId, { amount: 100 }))),
    );
    await api.work();
    const ends = await Promise.all(answers.map(({ body }) => api.get(`/v1/refunds/${String(body['id'] ?? body['refundId'])}`)));
    expect(ends.filter(({ body }) => String(body['status']) === 'succeeded')).toHaveLength(10);
    expect((await api.get(`/v1/payments/stripe/${paymentId}`)).body).toMatchObject({ refunded: 1000, available: 0 });
  });

  it.each([
    ['a field is missing', { provider: 'stripe' }, 'paymentId'],
    ['a field is unknown', order('pi_1', { colour: 'red' }), 'colour'],
    ['an amount stands alone', { provider: 'stripe', paymentId: 'pi_1', amount: 5 }, 'amount'],
    ['an amount is null', order('pi_1', { amount: null }), 'amount'],
    ['a currency is in lower case', order('pi_1', { currency: 'usd' }), 'currency'],
    ['metadata is not text', order('pi_1', { metadata: { a: 1 } }), 'metadata.a'],
  ])('is refused by name where %s', async (_, body, path) => {
    expect(await ask(body)).toMatchObject({ status: 400, body: { code: 'validation_failed', errors: [{ path }] } });
  });

  it.each([
    ['9007199254740993', 'amount'],
    ['10.5', 'amount'],
    ['1e400', 'amount'],
  ])('is refused where its amount is %s', async (amount, path) => {
    const raw = `{"provider":"stripe","paymentId":"pi_1","currency":"USD","amount":${amount}}`;
    const answer = await api.call('POST', '/v1/refunds', { raw, key: fresh(), headers: { 'content-type': 'application/json' } });
    expect(answer).toMatchObject({ status: 400, body: { errors: [{ path }] } });
  });
});

describeWithDatabase('A preview', () => {
  beforeAll(async () => {
    api = await runningApi();
  }, 60_000);
  afterAll(() => api?.close());
  const preview = (body: object) => api.post('/v1/refunds/preview', body);

  it('says what would happen and leaves nothing behind', async () => {
    const { paymentId, chargeId } = await api.pay({ amount: 1000 });
    const { paymentId: unheard } = await api.pay();
    await ask(order(paymentId, { amount: 400, reference: 'seen' }));
    await api.work();
    const before = await api.contents();

    expect((await preview(order(unheard))).body).toMatchObject({ wouldBe: 'payment_is_read_first', amount: 1050, payment: null });
    expect((await preview(order(chargeId, { amount: 600 }))).body).toMatchObject({
      wouldBe: 'admitted',
      amount: 600,
      availableAfter: 0,
      rejection: null,
      payment: { paymentId, available: 600 },
    });
    expect((await preview({ provider: 'stripe', paymentId })).body).toMatchObject({
      wouldBe: 'admitted',
      amount: 600,
      currency: 'USD',
    });
    expect((await preview(order(paymentId, { amount: 601 }))).body).toMatchObject({
      wouldBe: 'rejected',
      availableAfter: null,
      rejection: { code: 'amount_exceeds_available' },
    });
    expect((await preview(order(paymentId, { reference: 'seen' }))).body).toMatchObject({
      rejection: { code: 'reference_already_used' },
    });
    expect((await preview(order(paymentId, { account: 'elsewhere' }))).body).toMatchObject({
      rejection: { code: 'unknown_account' },
    });
    expect(await preview({ provider: 'stripe' })).toMatchObject({ status: 400 });
    expect(await api.contents()).toBe(before);
  });

  it('keeps its word when nothing changes in between', async () => {
    const { paymentId } = await api.pay({ amount: 1000 });
    await ask(order(paymentId, { amount: 400 }));
    await api.work();
    for (const amount of [601, 600, 1]) {
      const { body: foretold } = await preview(order(paymentId, { amount }));
      const { body } = await ask(order(paymentId, { amount }));
      const { rejection } = foretold as { rejection: { code: string } | null };
      expect(rejection?.code ?? 'approved').toBe(body['code'] ?? body['status']);
    }
  });
});

describeWithDatabase('What is done to a refund', () => {
  beforeAll(async () => {
    api = await runningApi();
  }, 60_000);
  afterAll(() => api?.close());

  it('answers with the refund, or says why its status does not allow it', async () => {
    const { paymentId } = await api.pay();
    const { body } = await ask(order(paymentId));
    const to = (what: string, more?: object) => api.post(`/v1/refunds/${String(body['id'])}/${what}`, more);
    expect(await to('approve')).toMatchObject({ status: 409, body: { code: 'not_awaiting_approval', refundId: body['id'] } });
    expect(await to('retry')).toMatchObject({ status: 409, body: { code: 'not_retryable' } });
    expect(await to('resolve', { outcome: 'succeeded', reason: 'seen' })).toMatchObject({
      status: 409,
      body: { code: 'not_resolvable' },
    });
    expect(await to('reject')).toMatchObject({ status: 400, body: { errors: [{ path: 'reason' }] } });
    expect(await to('cancel', { refundId: body['id'] })).toMatchObject({ status: 400, body: { errors: [{ path: 'refundId' }] } });
    expect(await to('sync')).toMatchObject({ status: 200, body: { id: body['id'] } });
    expect(await to('cancel')).toMatchObject({ status: 200, body: { status: 'canceled' } });
    expect(await to('cancel')).toMatchObject({ status: 409, body: { code: 'not_cancelable' } });
  });

  it('is answered once per key', async () => {
    const { body } = await ask(order((await api.pay()).paymentId));
    const cancel = () => api.post(`/v1/refunds/${String(body['id'])}/cancel`, undefined, { key: 'cancel-once' });
    const [first, second] = [await cancel(), await cancel()];
    expect(second).toMatchObject({ status: 200, text: first.text });
    expect(second.headers.get('idempotent-replayed')).toBe('true');
  });

  it('is a 404 for a refund that is not there, or is in another account', async () => {
    const { body } = await ask(order((await api.pay()).paymentId));
    const unknown = `rf_${'0'.repeat(32)}`;
    for (const path of [unknown, 'rf_x', 'x', `${String(body['id'])}?account=other`]) {
      const [id, query = ''] = path.split('?');
      const answer = await api.post(`/v1/refunds/${id}/cancel${query === '' ? '' : `?${query}`}`);
      expect(answer).toMatchObject({ status: 404, body: { code: 'refund_not_found' } });
    }
    expect(await api.get(`/v1/refunds/${unknown}`)).toMatchObject({ status: 404 });
    expect(await api.get(`/v1/refunds/${unknown}/history`)).toMatchObject({ status: 404 });
    expect(await api.get('/v1/payments/stripe/pi_nobody')).toMatchObject({ status: 404 });
    expect(await api.get('/v1/payments/paypal/pi_nobody')).toMatchObject({ status: 404 });
  });

  it('is told whole, from the command to the last event', async () => {
    const { body } = await ask(order((await api.pay()).paymentId));
    await api.work();
    const story = await api.get(`/v1/refunds/${String(body['id'])}/history`);
    const entries = story.data;
    const ofKind = (kind: string) => entries.filter((entry) => String(entry['kind']) === kind);
    expect(entries[0]).toMatchObject({ kind: 'command', source: 'admin', door: 'http' });
    expect(ofKind('decision')[0]).toMatchObject({ summary: 'approved: 1050 USD' });
    expect(ofKind('operation')).toContainEqual(expect.objectContaining({ key: `refund:${String(body['id'])}:1` }));
    expect(ofKind('call')).toContainEqual(
      expect.objectContaining({
        key: `refund:${String(body['id'])}:1`,
        httpStatus: 200,
        requestId: expect.stringMatching(/^req_/),
      }),
    );
    expect(ofKind('event').at(-1)).toMatchObject({ topic: 'refunds.events.v1', position: expect.any(Number) });
    expect(entries.map(({ at }) => String(at))).toEqual(entries.map(({ at }) => String(at)).toSorted());
  });
});

describeWithDatabase('The list of refunds', () => {
  beforeAll(async () => {
    api = await runningApi();
  }, 60_000);
  afterAll(() => api?.close());

  it('is read page by page, newest first, and narrowed by filters', async () => {
    const { paymentId, chargeId } = await api.pay();
    const ids: string[] = [];
    for (let part = 1; part <= 5; part += 1)
      ids.unshift(String((await ask(order(paymentId, { amount: part, reference: `L-${part}` }), `list-${part}`)).body['id']));
    const { paymentId: other } = await api.pay();
    const elsewhere = String((await ask(order(other))).body['id']);
    await api.work();
    const listed = async (query: string) => (await api.get(`/v1/refunds?${query}`)).data.map(({ id }) => String(id));

    const seen: string[] = [];
    for (let cursor = ''; ;) {
      const page = await api.get(`/v1/refunds?paymentId=${chargeId}&limit=2${cursor === '' ? '' : `&cursor=${cursor}`}`);
      seen.push(...page.data.map(({ id }) => String(id)));
      if (page.body['nextCursor'] === null) break;
      cursor = String(page.body['nextCursor']);
    }
    expect(seen).toEqual(ids);
    expect(await listed(`paymentId=${paymentId}`)).toEqual(ids);
    expect(await listed('status=succeeded')).toEqual([elsewhere, ...ids]);
    expect(await listed('status=failed')).toEqual([]);
    expect(await listed('attention=late_reversal')).toEqual([]);
    expect(await listed('provider=zamp')).toEqual([]);
    expect(await listed('account=other')).toEqual([]);
    expect(await listed('createdBefore=2020-01-01T00:00:00Z')).toEqual([]);
    expect(await listed('createdAfter=2020-01-01T00:00:00Z&limit=1')).toEqual([elsewhere]);
    for (const q of [elsewhere, other]) expect(await listed(`q=${q}`)).toEqual([elsewhere]);
    for (const q of ['L-3', 'list-3']) expect(await listed(`q=${q}`)).toEqual([ids[2]]);
    const { body } = await api.get(`/v1/refunds/${elsewhere}`);
    expect(await listed(`q=${String(body['providerRefundId'])}`)).toEqual([elsewhere]);
  });

  it.each([
    ['limit=0', 'limit'],
    ['limit=101', 'limit'],
    ['limit=ten', 'limit'],
    ['limit=1&limit=2', 'limit'],
    ['cursor=abc', 'cursor'],
    ['cursor=ZXZlbnRzLjA', 'cursor'],
    ['status=lost', 'status'],
    ['createdAfter=yesterday', 'createdAfter'],
    ['createdAfter=2026-02-30T99:00:00Z', 'createdAfter'],
    ['createdBefore=2026-02-31T00:00:00Z', 'createdBefore'],
    ['colour=red', 'colour'],
  ])('refuses %s by name', async (query, path) => {
    expect(await api.get(`/v1/refunds?${query}`)).toMatchObject({
      status: 400,
      body: { code: 'validation_failed', errors: [{ path }] },
    });
  });
});
