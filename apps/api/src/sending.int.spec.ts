import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { topics } from '#contracts/topics';
import { PostgresBook } from '#persistence/postgres-book';
import { Wake } from '#application/wake';
import { describeWithDatabase } from '../../../test/environment.js';
import { runningApi, type RunningApi } from '../../../test/running-api.js';

let api: RunningApi;
let count = 0;
const fresh = () => `key-${(count += 1)}`;
const put = (body: object) => api.call('PUT', '/v1/sending', { body });
const paused = async () => (await api.get('/v1/sending')).body['paused'];
const refund = async (id: unknown) => (await api.get(`/v1/refunds/${String(id)}`)).body;
const attention = async () => (await api.get('/v1/attention')).data;

/** Asks for a refund of a payment of its own and returns its id. */
async function ask(more: object = {}): Promise<string> {
  const { paymentId } = await api.pay();
  const body = { provider: 'stripe', paymentId, amount: 1050, currency: 'USD', ...more };
  return String((await api.post('/v1/refunds', body, { key: fresh() })).body['id']);
}

/** Until somebody stands before the switch's lock. */
async function somebodyWaits(): Promise<void> {
  const waiting = `select 1 from pg_locks join pg_database on pg_database.oid = database
    where locktype = 'advisory' and not granted and datname = current_database()`;
  while (((await api.source.query(waiting)) as object[]).length === 0);
}

describeWithDatabase('The switch over HTTP', () => {
  beforeAll(async () => {
    api = await runningApi({ BREAKER_SENDS_PER_HOUR: '4', BREAKER_AMOUNT_PER_HOUR: 'USD:100000' });
  }, 60_000);
  afterAll(() => api?.close());

  it('pauses and resumes, and says what is paused, by whom and why', async () => {
    expect(await api.get('/v1/sending')).toMatchObject({ status: 200, body: { paused: [] } });
    const order = { provider: 'stripe', account: 'default', paused: true, reason: 'a drill' };
    const first = await put(order);
    const shown = { scope: { provider: 'stripe', account: 'default' }, reason: 'a drill', by: 'admin', automatic: false };
    expect(first).toMatchObject({ status: 200, body: { paused: [{ ...shown, since: expect.any(String) as unknown }] } });
    expect((await put(order)).body).toEqual(first.body);
    await put({ paused: true, reason: 'everything' });
    expect(await paused()).toMatchObject([shown, { scope: { provider: null, account: null } }]);
    expect((await put({ paused: false, reason: 'over' })).body).toEqual(first.body);
    expect((await put({ ...order, paused: false })).body).toEqual({ paused: [] });
    expect((await put({ ...order, paused: false })).body).toEqual({ paused: [] });
  });

  it.each([
    ['nothing', {}, ['paused', 'reason']],
    ['no reason', { paused: true }, ['reason']],
    ['an empty reason', { paused: true, reason: '' }, ['reason']],
    ['a word for yes', { paused: 'yes', reason: 'x' }, ['paused']],
    ['an account of no provider', { account: 'eu', paused: true, reason: 'x' }, ['account']],
    ['another provider', { provider: 'paypal', paused: true, reason: 'x' }, ['provider']],
    ['a field too many', { paused: true, reason: 'x', until: 'monday' }, ['until']],
  ])('refuses %s by name', async (_, body, paths) => {
    const answer = await put(body);
    expect(answer).toMatchObject({ status: 400, body: { code: 'validation_failed' } });
    const errors = answer.body['errors'] as { path: string }[];
    expect(errors.map(({ path }) => path).sort()).toEqual(paths);
    expect(await paused()).toEqual([]);
  });

  it('keeps a refund waiting and says so where one looks', async () => {
    await put({ provider: 'stripe', paused: true, reason: 'a drill' });
    const id = await ask();
    await api.work();
    const waiting = await refund(id);
    expect(waiting).toMatchObject({ status: 'approved', warnings: ['sending_paused'] });
    expect((await api.get('/v1/refunds')).data[0]).toMatchObject({ id, warnings: ['sending_paused'] });
    expect((await api.get(`/v1/payments/stripe/${String(waiting['paymentId'])}`)).body['refunds']).toMatchObject([
      { id, warnings: ['sending_paused'] },
    ]);
    await put({ provider: 'stripe', paused: false, reason: 'over' });
    await api.work();
    expect(await refund(id)).toMatchObject({ status: 'succeeded', warnings: [] });
  });

  it('lets nothing begin once it has answered: it waits for whoever is just beginning', async () => {
    const beginning = api.source.createQueryRunner();
    await beginning.startTransaction();
    await beginning.query('select pg_advisory_xact_lock_shared(7291640313)');
    const answer = put({ paused: true, reason: 'a drill' });
    await somebodyWaits();
    expect(await paused()).toEqual([]);
    await beginning.commitTransaction();
    await beginning.release();
    expect(await answer).toMatchObject({ status: 200, body: { paused: [{}] } });
    await put({ paused: false, reason: 'over' });
  });

  it('is looked at once more when a send begins: what was claimed while it was being thrown is handed back', async () => {
    const id = await ask();
    const throwing = api.source.createQueryRunner();
    await throwing.startTransaction();
    await throwing.query('select pg_advisory_xact_lock(7291640313)');
    const working = api.work();
    await somebodyWaits();
    const pause = `insert into sending_pause (id, reason, by, since, automatic) values (gen_random_uuid(), 'a drill', 'admin', now(), false)`;
    await throwing.query(pause);
    await throwing.commitTransaction();
    await throwing.release();
    await working;
    expect(await refund(id)).toMatchObject({ status: 'approved', warnings: ['sending_paused'] });
    const operation = (await api.source.query(`select state, tries, lease_until from provider_operation where refund_id = $1`, [
      id.replace('rf_', ''),
    ])) as object[];
    expect(operation).toEqual([{ state: 'open', tries: 0, lease_until: null }]);
    await put({ paused: false, reason: 'over' });
    await api.work();
    expect(await refund(id)).toMatchObject({ status: 'succeeded' });
  });

  it('is thrown by the breaker at its bound: a person finds the figures, and lets it go on', async () => {
    await put({ paused: true, reason: 'a new hour' });
    await put({ paused: false, reason: 'a new hour' });
    const ids = await Promise.all(Array.from({ length: 6 }, () => ask()));
    await api.work();
    const waiting = async () => {
      const all = await Promise.all(ids.map(refund));
      return all.filter(({ status }) => status === 'approved').length;
    };
    expect(await waiting()).toBe(2);
    const [item] = (await attention()).filter(({ kind }) => kind === 'pause');
    const why = expect.stringMatching(/^Refund rf_\w+ would make 5 sends since .*, and the bound is 4 an hour\.$/) as unknown;
    const pause = { scope: { provider: 'stripe', account: 'default' }, automatic: true, by: 'the breaker', reason: why };
    expect(item).toMatchObject({ kind: 'pause', why, pause });
    expect(await paused()).toMatchObject([pause]);

    // In a person's own name it is a decision, and no longer asks for one.
    await put({ provider: 'stripe', account: 'default', paused: true, reason: 'looking into it' });
    expect((await attention()).filter(({ kind }) => kind === 'pause')).toEqual([]);
    await api.work();
    expect(await waiting()).toBe(2);
    await put({ provider: 'stripe', account: 'default', paused: false, reason: 'a sale that went wrong' });
    await api.work();
    expect(await waiting()).toBe(0);
    const kept: unknown = await api.source.query(
      'select by, ended_by, end_reason from sending_pause where reason like $1 or by <> $2 order by ended_at',
      ['looking%', 'admin'],
    );
    expect(kept).toEqual([
      { by: 'the breaker', ended_by: 'admin', end_reason: 'looking into it' },
      { by: 'admin', ended_by: 'admin', end_reason: 'a sale that went wrong' },
    ]);
  });

  it('is thrown by a sum as well', async () => {
    await put({ paused: true, reason: 'a new hour' });
    await put({ paused: false, reason: 'a new hour' });
    const { paymentId } = await api.pay({ amount: 100_001 });
    const id = await ask({ paymentId, amount: 100_001 });
    await api.work();
    expect(await refund(id)).toMatchObject({ status: 'approved', warnings: ['sending_paused'] });
    expect(await paused()).toMatchObject([{ reason: expect.stringContaining('100001 USD in minor units') as unknown }]);
    // One that is too large by itself is taken back, or the bound is raised.
    expect((await api.post(`/v1/refunds/${id}/cancel`)).status).toBe(200);
    await put({ provider: 'stripe', account: 'default', paused: false, reason: 'taken back' });
    const other = await ask();
    await api.work();
    expect(await refund(other)).toMatchObject({ status: 'succeeded' });
  });
});

describeWithDatabase('What a person does about', () => {
  beforeAll(async () => {
    api = await runningApi({ STRIPE_API_KEY: 'sk_test_wrong' });
  }, 60_000);
  afterAll(() => api?.close());

  it('what a bad key has parked: all of it is taken up at once', async () => {
    await ask();
    await ask();
    await api.work();
    const parked = async () => (await attention()).filter(({ kind }) => kind === 'operation').length;
    expect(await parked()).toBe(2);
    const resume = (body: object, key: string) => api.post('/v1/attention/operations/resume', body, { key });
    expect(await resume({ provider: 'zamp' }, fresh())).toMatchObject({ status: 200, body: { resumed: 0 } });
    const first = await resume({ provider: 'stripe' }, 'resume-1');
    expect(first).toMatchObject({ status: 200, body: { resumed: 2 } });
    expect(await parked()).toBe(0);
    const again = await resume({ provider: 'stripe' }, 'resume-1');
    expect(again.body).toEqual(first.body);
    expect(again.headers.get('idempotent-replayed')).toBe('true');
    expect(await resume({}, 'resume-1')).toMatchObject({ status: 409, body: { code: 'idempotency_key_reused' } });
    expect(await resume({ account: 'eu' }, fresh())).toMatchObject({ status: 400, body: { errors: [{ path: 'account' }] } });
    await api.work();
    expect(await parked()).toBe(2);
  });

  it('a refund that has only to be looked at, and no other', async () => {
    const id = await ask();
    const acknowledge = (body: object = { reason: 'paid by transfer' }, key = fresh()) =>
      api.post(`/v1/refunds/${id}/acknowledge`, body, { key });
    expect(await acknowledge()).toMatchObject({ status: 409, body: { code: 'not_acknowledgeable', refundId: id } });
    const set = (why: string | null) =>
      api.source.query('update refund set attention = $2 where id = $1', [id.replace('rf_', ''), why]);
    await set('contradiction');
    expect(await acknowledge()).toMatchObject({ status: 409, body: { code: 'not_acknowledgeable' } });
    await set('late_reversal');
    expect(await acknowledge({})).toMatchObject({ status: 400, body: { errors: [{ path: 'reason' }] } });
    const done = await acknowledge({ reason: 'paid by transfer' }, 'ack-1');
    expect(done).toMatchObject({ status: 200, body: { id, attention: null } });
    expect((await acknowledge({ reason: 'paid by transfer' }, 'ack-1')).headers.get('idempotent-replayed')).toBe('true');
    expect(
      (await attention()).filter((item) => item['kind'] === 'refund' && (item['refund'] as { id: string }).id === id),
    ).toEqual([]);
    await api.work();
    const { data } = await api.get(`/v1/refunds/${id}/history`);
    expect(data.map(({ summary }) => summary)).toContain('AcknowledgeRefund from admin over HTTP');
    expect(data.map(({ summary }) => summary)).toContain('redress.refund.attention_cleared.v1');
    expect(JSON.stringify(data)).not.toContain('paid by transfer');
  });

  async function letter(value: string): Promise<string> {
    const record = { topic: topics.refundCommands, partition: 2, offset: 5n, key: null, code: 'internal', detail: 'a bug' };
    const own = { ce_id: fresh(), ce_source: '/shop', ce_type: 'redress.RequestRefund.v1', ce_specversion: '1.0' };
    const headers = Object.fromEntries(Object.entries(own).map(([name, text]) => [name, Buffer.from(text)]));
    return new PostgresBook(api.source, new Unheard()).transact({}, (set) =>
      set.addDeadLetter({ ...record, headers, value: Buffer.from(value) }, `${topics.refundCommands}.dlq`),
    );
  }
  const waiting = async () => (await attention()).filter(({ kind }) => kind === 'dead_letter').map((item) => item['deadLetter']);

  it('a dead letter: it goes again, by the same road, once', async () => {
    const { paymentId } = await api.pay();
    const id = await letter(JSON.stringify({ provider: 'stripe', paymentId, amount: 700, currency: 'USD' }));
    expect(await waiting()).toMatchObject([{ id, end: null }]);
    const [first, ...others] = await Promise.all(
      Array.from({ length: 8 }, () => api.post(`/v1/dead-letters/${id}/redrive`, undefined, { key: fresh() })),
    );
    expect(first).toMatchObject({ status: 200, body: { id, end: 'accepted', endedBy: 'admin' } });
    for (const other of others) expect(other.body).toEqual(first?.body);
    expect(await waiting()).toEqual([]);
    expect((await api.get('/v1/dead-letters')).data).toMatchObject([{ id, end: 'accepted' }]);
    const { refunds } = (await api.get(`/v1/payments/stripe/${paymentId}`)).body as { refunds: { id: string }[] };
    expect(refunds.map((each) => each.id)).toEqual([first?.body['refundId']]);
  });

  it('a dead letter that still cannot be read: it stays, until it is dismissed for a reason', async () => {
    const id = await letter('{"provider":"stripe"');
    const redrive = () => api.post(`/v1/dead-letters/${id}/redrive`);
    const dismiss = (body: object) => api.post(`/v1/dead-letters/${id}/dismiss`, body, { key: fresh() });
    expect(await redrive()).toMatchObject({
      status: 422,
      body: { code: 'not_redrivable', detail: expect.stringMatching(/^not_json: /) as unknown },
    });
    expect(await waiting()).toMatchObject([{ id }]);
    expect(await dismiss({})).toMatchObject({ status: 400, body: { errors: [{ path: 'reason' }] } });
    expect(await dismiss({ reason: 'the shop has sent it anew' })).toMatchObject({
      status: 200,
      body: { end: 'dismissed', endDetail: 'the shop has sent it anew', endedAt: expect.any(String) as unknown },
    });
    expect(await waiting()).toEqual([]);
    expect(await redrive()).toMatchObject({ status: 422 });
  });

  it.each(['no-id', '00000000-0000-4000-8000-000000000000'])('a dead letter %s that is none is told so', async (id) => {
    expect(await api.post(`/v1/dead-letters/${id}/redrive`)).toMatchObject({ status: 404, body: { code: 'not_found' } });
    expect(await api.post(`/v1/dead-letters/${id}/dismiss`, { reason: 'x' })).toMatchObject({ status: 404 });
  });
});

/** What is made here is looked at by the specs themselves. */
class Unheard extends Wake {
  override ring(): void {}
  override on(): () => void {
    return () => undefined;
  }
}
