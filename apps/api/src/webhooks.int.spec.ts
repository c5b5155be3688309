import { createHash, createHmac } from 'node:crypto';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { describeWithDatabase } from '../../../test/environment.js';
import { runningApi, type RunningApi } from '../../../test/running-api.js';

describeWithDatabase('A webhook', () => {
  let api: RunningApi;
  beforeAll(async () => {
    api = await runningApi();
  }, 60_000);
  afterAll(() => api?.close());

  const waits = { paymentMethod: 'pm_card_pendingRefund' };
  let count = 0;
  const event = (type: string, object: object) =>
    JSON.stringify({
      id: `evt_${(count += 1)}`,
      object: 'event',
      type,
      livemode: false,
      created: Math.floor(Date.now() / 1000),
      data: { object },
    });
  const signed = (body: string, time = Math.floor(Date.now() / 1000), secret = 'whsec_simulated') =>
    `t=${time},v1=${createHmac('sha256', secret).update(`${time}.${body}`).digest('hex')}`;
  const deliver = (raw: string, signature = signed(raw), path = '/webhooks/stripe') =>
    api.call('POST', path, {
      raw,
      headers: { authorization: '', 'content-type': 'application/json; charset=utf-8', 'stripe-signature': signature },
    });
  const newest = async () => (await api.get('/v1/webhooks?limit=1')).data[0];

  it('from Stripe is stored before it is answered, and gets a disposition later', async () => {
    const body = event('balance.available', { id: 'bal_1' });
    expect(await deliver(body)).toMatchObject({ status: 200, body: { received: true } });
    const kept = await newest();
    expect(kept).toMatchObject({
      provider: 'stripe',
      type: 'balance.available',
      disposition: null,
      from: '127.0.0.1',
      handledAt: null,
    });
    expect((await api.get(`/v1/webhooks/${String(kept?.['id'])}`)).body).toMatchObject({ body });
    await api.work();
    expect(await newest()).toMatchObject({ disposition: 'unknown', handledAt: expect.any(String) });
  });

  it('moves its refund, and stands in its story', async () => {
    const { paymentId } = await api.pay({ paymentMethod: 'pm_card_pendingRefund' });
    const asked = { provider: 'stripe', paymentId, amount: 100, currency: 'USD' };
    const { body } = await api.post('/v1/refunds', asked, { key: 'followed' });
    await api.work();
    const { body: pending } = await api.get(`/v1/refunds/${String(body['id'])}`);
    expect(pending).toMatchObject({ status: 'pending' });
    const id = String(pending['providerRefundId']);
    await fetch(`${api.simulators}/control/refunds/${id}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ status: 'succeeded' }),
    });
    await deliver(
      event('refund.updated', {
        id,
        object: 'refund',
        status: 'succeeded',
        amount: 100,
        currency: 'usd',
        payment_intent: paymentId,
      }),
    );
    await api.work();
    expect((await api.get(`/v1/refunds/${String(body['id'])}`)).body).toMatchObject({ status: 'succeeded' });
    const story = await api.get(`/v1/refunds/${String(body['id'])}/history`);
    expect(story.data).toContainEqual(
      expect.objectContaining({ kind: 'webhook', disposition: 'applied', noticeId: expect.any(String) }),
    );
  });

  it.each<[string, Record<string, unknown>, Record<string, string>, RegExp]>([
    [
      'it waits for our balance',
      {},
      { status: 'pending', pendingReason: 'insufficient_funds' },
      /pending\.v1.*\(insufficient_funds\)/,
    ],
    ['its reason for waiting changes', waits, { pendingReason: 'charge_pending' }, /pending\.v1.*\(charge_pending\)/],
    [
      'the customer must act',
      waits,
      { status: 'requires_action' },
      /requires_action\.v1 .*\(customer_must_give_bank_details\), until 20/,
    ],
    ['it fails', waits, { status: 'failed', failureReason: 'declined' }, /failed\.v1 \(pending to failed\).*\(declined\)/],
    ['it is canceled', waits, { status: 'canceled' }, /canceled\.v1 \(pending to canceled\).*\(merchant_request\)/],
    [
      'it comes back',
      {},
      { status: 'failed', failureReason: 'declined' },
      /reversed\.v1 \(succeeded to reversed\).*\(declined\)/,
    ],
    [
      'it comes back, which a person must hear',
      {},
      { status: 'failed' },
      /attention_needed\.v1 .*a person must look \(late_reversal\)/,
    ],
    ['its reference comes', {}, { reference: '74208' }, /reference_updated\.v1: .*finds it by 74208/],
  ])('of what a bank says later has its event and its words in the story: %s', async (_, payment, later, words) => {
    const start = later['status'] === 'pending' ? waits : payment;
    const { paymentId } = await api.pay({ refundDelayMs: 3_600_000, ...start });
    const asked = { provider: 'stripe', paymentId, amount: 100, currency: 'USD' };
    const { body } = await api.post('/v1/refunds', asked, { key: paymentId });
    const id = String(body['id']);
    await api.work();
    const there = String((await api.get(`/v1/refunds/${id}`)).body['providerRefundId']);
    const said = { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(later) };
    expect((await fetch(`${api.simulators}/control/refunds/${there}`, said)).status).toBe(200);
    await deliver(event('refund.updated', { id: there, object: 'refund' }));
    await api.work();
    const story = (await api.get(`/v1/refunds/${id}/history`)).data.map(({ summary }) => String(summary));
    expect(story).toContainEqual(expect.stringMatching(words));
    expect(story).toContainEqual(expect.stringMatching(/stripe sent refund\.updated; applied: read at the provider: \w+/));
  });

  it('of the other mode is foreign, and says why', async () => {
    const body = event('balance.available', { id: 'bal_9' }).replace('"livemode":false', '"livemode":true');
    await deliver(body);
    await api.work();
    expect(await newest()).toMatchObject({ disposition: 'foreign', detail: 'it is from live mode, this account is not' });
  });

  it('that comes twice is a duplicate the second time, also when both come at once', async () => {
    const body = event('balance.available', { id: 'bal_2' });
    await Promise.all([deliver(body), deliver(body), deliver(body)]);
    await api.work();
    const { data } = await api.get('/v1/webhooks?limit=3');
    expect(data.map(({ disposition }) => String(disposition))).toEqual(['duplicate', 'duplicate', 'unknown']);
    expect((await api.get('/v1/webhooks?disposition=duplicate&provider=stripe')).data).toHaveLength(2);
  });

  it.each([
    ['forged', (body: string) => signed(body, undefined, 'whsec_other')],
    ['too old', (body: string) => signed(body, Math.floor(Date.now() / 1000) - 3600)],
    ['unsigned', () => ''],
  ])('that is %s is refused, and only its digest is kept', async (_, signature) => {
    const body = event('refund.updated', { id: 're_1', secret: 'of a shopper' });
    expect(await deliver(body, signature(body))).toMatchObject({ status: 400, body: { code: 'webhook_refused' } });
    const kept = await newest();
    const digest = createHash('sha256').update(body).digest('hex');
    expect(kept).toMatchObject({ disposition: 'rejected', digest, noticeId: null, handledAt: expect.any(String) });
    expect((await api.get(`/v1/webhooks/${String(kept?.['id'])}`)).body).toMatchObject({ body: null });
    expect(await api.post(`/v1/webhooks/${String(kept?.['id'])}/replay`)).toMatchObject({
      status: 409,
      body: { code: 'not_replayable' },
    });
  });

  it('is handled once more when a person says so', async () => {
    await deliver(event('balance.available', { id: 'bal_3' }));
    await api.work();
    const kept = await newest();
    expect(await api.post(`/v1/webhooks/${String(kept?.['id'])}/replay`)).toMatchObject({
      status: 202,
      body: { disposition: null },
    });
    await api.work();
    expect(await newest()).toMatchObject({ id: kept?.['id'], disposition: 'unknown' });
    for (const id of ['x', '00000000-0000-4000-8000-000000000000']) {
      expect(await api.get(`/v1/webhooks/${id}`)).toMatchObject({ status: 404 });
      expect(await api.post(`/v1/webhooks/${id}/replay`)).toMatchObject({ status: 404 });
    }
  });

  it('from Zamp is read by its own rules', async () => {
    const body = JSON.stringify({
      transaction_type: 'refund',
      transaction_id: 'zr_1',
      data: { id: 'zr_1', status: 'completed' },
    });
    const signature = createHash('sha256').update('zr_1,completed:zamp_secret_simulated').digest('base64');
    const send = (given: string) =>
      api.call('POST', '/webhooks/zamp/default', {
        raw: body,
        headers: { authorization: '', 'content-type': 'application/json', 'x-zamp-signature': given },
      });
    expect(await send(signature)).toMatchObject({ status: 200 });
    expect(await send(`A${signature.slice(1)}`)).toMatchObject({ status: 400 });
  });

  it('for an account that nobody configured goes nowhere', async () => {
    const body = event('balance.available', { id: 'bal_4' });
    expect(await deliver(body, signed(body), '/webhooks/stripe/other')).toMatchObject({
      status: 404,
      body: { code: 'not_found' },
    });
  });
});

describeWithDatabase('What needs a person', () => {
  it('is one list, newest first, read page by page', async () => {
    const api = await runningApi();
    try {
      for (let index = 0; index < 3; index += 1) {
        await api.source.query(
          `insert into dead_letter (id, topic, partition, "offset", headers, code, detail, at)
           values (gen_random_uuid(), 'refunds.commands.v1', 0, $1, '{}', 'not_json', 'The body is not JSON.', service_now())`,
          [index],
        );
      }
      const { paymentId } = await api.pay();
      const { body } = await api.post(
        '/v1/refunds',
        { provider: 'stripe', paymentId, amount: 100, currency: 'USD' },
        { key: 'looked-at' },
      );
      await api.work();
      await api.source.query(`update refund set attention = 'late_reversal', updated_at = service_now()`);
      const kinds: string[] = [];
      for (let cursor = ''; ;) {
        const page = await api.get(`/v1/attention?limit=2${cursor}`);
        kinds.push(...page.data.map(({ kind, why }) => `${String(kind)} ${String(why)}`));
        if (page.body['nextCursor'] === null) break;
        cursor = `&cursor=${String(page.body['nextCursor'])}`;
      }
      expect(kinds).toEqual(['refund late_reversal', ...Array.from({ length: 3 }, () => 'dead_letter not_json')]);
      expect((await api.get('/v1/attention')).data[0]).toMatchObject({ refund: { id: body['id'] } });
      expect((await api.get('/v1/dead-letters?limit=2')).body).toMatchObject({ data: [{ offset: 2 }, { offset: 1 }] });
      expect(await api.get('/v1/attention?cursor=x')).toMatchObject({ status: 400 });
    } finally {
      await api.close();
    }
  }, 60_000);
});
