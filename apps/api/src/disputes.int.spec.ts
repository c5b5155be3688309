import { createHash } from 'node:crypto';
import { connect } from 'node:net';
import { afterAll, beforeAll, expect, it, jest } from '@jest/globals';
import { brokenPdf, pdf, png } from '../../../test/documents.js';
import { describeWithDatabase } from '../../../test/environment.js';
import { runningApi, type RunningApi } from '../../../test/running-api.js';
import { DEVELOPMENT } from '../../simulators/src/simulators.js';

jest.setTimeout(60_000);

let api: RunningApi;
let count = 0;
const fresh = () => `key-${(count += 1)}`;
const begin = () => beforeAll(async () => void (api = await runningApi()));
const end = () => afterAll(() => api?.close());

const evidenceOf = (id: string) => api.get(`/v1/disputes/${id}/evidence`);
const versionOf = async (id: string) => Number((await evidenceOf(id)).body['version']);
const edit = (id: string, body: unknown, ifMatch: string | null, key?: string) =>
  api.call('PATCH', `/v1/disputes/${id}/evidence`, {
    body,
    headers: ifMatch === null ? {} : { 'if-match': ifMatch },
    ...(key === undefined ? {} : { key }),
  });
const write = async (id: string, body: unknown) => edit(id, body, `"${await versionOf(id)}"`);
interface Sent {
  readonly field?: string;
  readonly name?: string;
  readonly type?: string;
  readonly key?: string;
  readonly ifMatch?: string;
}
const upload = (id: string, bytes: Buffer, { field = 'receipt', name = 'receipt.pdf', type, key, ifMatch }: Sent = {}) => {
  const form = new FormData();
  form.set('field', field);
  form.set('file', new Blob([new Uint8Array(bytes)], { type: type ?? 'application/pdf' }), name);
  const headers = ifMatch === undefined ? {} : { 'if-match': ifMatch };
  return send(id, form, { headers, ...(key === undefined ? {} : { key }) });
};
const send = (id: string, form: FormData, more: { key?: string; headers?: Record<string, string> } = {}) =>
  api.call('POST', `/v1/disputes/${id}/evidence/files`, { raw: form, ...more });
const to = (id: string, what: string, body?: object, key?: string) =>
  api.post(`/v1/disputes/${id}/${what}`, body, key === undefined ? {} : { key });
const filesOf = (body: Readonly<Record<string, unknown>>) => body['files'] as { id: string; field: string; name: string }[];
const fileOf = (body: Readonly<Record<string, unknown>>) => filesOf(body)[0]?.id ?? 'none';

describeWithDatabase('Disputes over HTTP', () => {
  begin();
  end();

  it('are shown by our id and by the provider’s, with their payment and its balance', async () => {
    const { id, disputeId, paymentId } = await api.dispute({ reason: 'product_not_received', networkReasonCode: '13.1' });
    const shown = await api.get(`/v1/disputes/${id}`);
    expect(shown).toMatchObject({
      status: 200,
      body: {
        id,
        providerDisputeId: disputeId,
        paymentId,
        stage: 'chargeback',
        status: 'needs_response',
        money: 'withdrawn',
        reason: 'product_not_received',
        networkReasonCode: '13.1',
        amount: 10_000,
        decision: null,
      },
    });
    expect((await api.get(`/v1/disputes/${disputeId}`)).text).toBe(shown.text);
    expect((await api.get(`/v1/payments/stripe/${paymentId}`)).body).toMatchObject({
      disputed: 10_000,
      available: 0,
      disputes: [{ id }],
      fraudWarnings: [],
      warnings: ['payment_disputed'],
    });
  });

  it('are told apart by account, and one that nobody has is a 404', async () => {
    const { id } = await api.dispute();
    for (const path of [id, `${id}/history`, `${id}/evidence`, `${id}/evidence/files/ef_1`]) {
      expect(await api.get(`/v1/disputes/${path}?account=default`)).toMatchObject({ status: path.endsWith('ef_1') ? 404 : 200 });
      const elsewhere = await api.get(`/v1/disputes/${path}?account=other`);
      expect(elsewhere).toMatchObject({ status: 404, body: { code: 'dispute_not_found' } });
    }
    for (const unknown of [`dp_${'0'.repeat(32)}`, 'dp_x', 'du_nobody', 'x%00']) {
      expect(await api.get(`/v1/disputes/${unknown}`)).toMatchObject({ status: 404, body: { code: 'dispute_not_found' } });
      expect(await api.get(`/v1/disputes/${unknown}/history`)).toMatchObject({ status: 404 });
      expect(await edit(unknown, {}, '1')).toMatchObject({ status: 404 });
      expect(await upload(unknown, pdf())).toMatchObject({ status: 404 });
      for (const [what, body] of Object.entries(bodies)) expect(await to(unknown, what, body)).toMatchObject({ status: 404 });
    }
  });

  it('a refund of what is disputed is refused by its code, also where only the dispute made the payment known', async () => {
    const { paymentId } = await api.dispute();
    const order = { provider: 'stripe', paymentId, amount: 100, currency: 'USD' };
    const asked = await api.post('/v1/refunds', order, { key: fresh() });
    await api.work();
    const code =
      asked.status === 202
        ? ((await api.get(`/v1/refunds/${String(asked.body['id'])}`)).body['rejection'] as { code: string } | null)?.code
        : asked.body['code'];
    expect(code).toBe('payment_disputed');
  });

  it('an inquiry lets its payment be refunded, with a warning', async () => {
    const { id, paymentId } = await api.dispute({ stage: 'inquiry' });
    expect((await api.get(`/v1/disputes/${id}`)).body).toMatchObject({ stage: 'inquiry', money: 'none', refundable: true });
    const order = { provider: 'stripe', paymentId, amount: 100, currency: 'USD' };
    const { body } = await api.post('/v1/refunds', order, { key: fresh() });
    await api.work();
    expect((await api.get(`/v1/refunds/${String(body['id'])}`)).body).toMatchObject({
      status: 'succeeded',
      warnings: ['open_inquiry'],
    });
    expect((await api.get(`/v1/payments/stripe/${paymentId}`)).body).toMatchObject({ warnings: ['open_inquiry'] });
    const preview = await api.post('/v1/refunds/preview', order);
    expect(preview.body).toMatchObject({ wouldBe: 'admitted', warnings: ['open_inquiry'] });
  });
});

/** The simulator's id of a warning; it comes a moment after the payment. */
async function warningOf(paymentId: string): Promise<string> {
  for (let tries = 0; tries < 100; tries += 1) {
    const listed = await fetch(`${api.simulators}/stripe/v1/radar/early_fraud_warnings?payment_intent=${paymentId}`, {
      headers: { authorization: `Bearer ${DEVELOPMENT.stripeApiKey}` },
    });
    const { data } = (await listed.json()) as { data: { id: string }[] };
    const [warning] = data;
    if (warning !== undefined) return warning.id;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`nobody warned of ${paymentId}`);
}

describeWithDatabase("A bank's warning of fraud", () => {
  begin();
  end();

  it('stands on its payment with whether to refund at once, by what disputes have cost', async () => {
    const { paymentId } = await api.pay({ amount: 1_600, paymentMethod: 'pm_card_createIssuerFraudRecord' });
    const warningId = await warningOf(paymentId);
    const warn = async () => {
      await api.notify('radar.early_fraud_warning.created', { id: warningId, object: 'radar.early_fraud_warning' });
      await api.work();
      return (await api.get(`/v1/payments/stripe/${paymentId}`)).body;
    };
    const warned = { providerWarningId: warningId, paymentId, actionable: true, fraudType: 'unauthorized_use_of_card' };
    expect(await warn()).toMatchObject({
      fraudWarnings: [{ ...warned, refundHint: { verdict: 'unknown', disputeFee: null, upTo: null } }],
    });

    // What is left of it is known once it was read; what a dispute costs, once there was one.
    await api.post('/v1/refunds', { provider: 'stripe', paymentId, amount: 50, currency: 'USD' }, { key: fresh() });
    await api.work();
    await api.dispute();
    expect(await warn()).toMatchObject({
      available: 1_550,
      fraudWarnings: [{ ...warned, refundHint: { verdict: 'borderline', disputeFee: 1_500, upTo: 2_025 } }],
    });
    await api.dispute({ paymentId });
    expect(await warn()).toMatchObject({ disputes: { length: 1 }, fraudWarnings: [{ actionable: false, refundHint: null }] });
  });
});

const bodies = {
  submit: { confirm: true, version: 1 },
  accept: { confirm: true },
  'let-pass': { reason: 'Less than an answer costs' },
  sync: {},
  acknowledge: { reason: 'Seen' },
};

describeWithDatabase('The list of disputes', () => {
  begin();
  end();

  it('is in order of deadlines, read page by page, and narrowed by filters', async () => {
    const day = 86_400;
    const opened = [];
    for (const dueInSeconds of [9 * day, 2 * day, 5 * day])
      opened.push(await api.dispute({ dueInSeconds, reason: 'fraudulent' }));
    const lost = await api.dispute({ status: 'lost', reason: 'duplicate' });
    const inquiry = await api.dispute({ stage: 'inquiry', dueInSeconds: 7 * day, reason: 'general' });
    const [late, soon, middle] = opened.map(({ id }) => id);
    const order = [soon, middle, inquiry.id, late, lost.id];
    const listed = async (query: string) => (await api.get(`/v1/disputes?${query}`)).data.map(({ id }) => String(id));

    expect(await listed('')).toEqual(order);
    const seen: string[] = [];
    for (let cursor = ''; ;) {
      const page = await api.get(`/v1/disputes?limit=2${cursor === '' ? '' : `&cursor=${cursor}`}`);
      seen.push(...page.data.map(({ id }) => String(id)));
      if (page.body['nextCursor'] === null) break;
      cursor = String(page.body['nextCursor']);
    }
    expect(seen).toEqual(order);
    expect(await listed('status=lost')).toEqual([lost.id]);
    expect(await listed('stage=inquiry')).toEqual([inquiry.id]);
    expect(await listed('reason=duplicate')).toEqual([lost.id]);
    expect(await listed('attention=deadline_missed')).toEqual([]);
    expect(await listed(`dueBefore=${new Date(Date.now() + 3 * day * 1_000).toISOString()}`)).toEqual([soon]);
    expect(await listed('account=other')).toEqual([]);
    expect(await listed('account=default&status=needs_response&reason=general')).toEqual([inquiry.id]);
    for (const q of [lost.id, lost.disputeId, lost.paymentId]) expect(await listed(`q=${q}`)).toEqual([lost.id]);
    expect(await listed(`paymentId=${lost.paymentId}`)).toEqual([lost.id]);
  });

  it.each([
    ['limit=0', 'limit'],
    ['cursor=abc', 'cursor'],
    ['cursor=cmVmdW5kcy40Mg', 'cursor'],
    ['status=open', 'status'],
    ['stage=chargebacks', 'stage'],
    ['dueBefore=tomorrow', 'dueBefore'],
    ['dueBefore=2026-02-31T00:00:00Z', 'dueBefore'],
    ['dueBefore=2026-02-01', 'dueBefore'],
    ['paymentId=a:b', 'paymentId'],
    ['colour=red', 'colour'],
  ])('refuses %s by name', async (query, path) => {
    const answer = await api.get(`/v1/disputes?${query}`);
    expect(answer).toMatchObject({ status: 400, body: { code: 'validation_failed', errors: [{ path }] } });
  });

  it('is counted in the metrics, with what is at risk', async () => {
    const { text } = await api.get('/metrics');
    expect(text).toContain('redress_backlog{of="disputes_open"} 4');
    expect(text).toContain('redress_backlog{of="disputes_due_soon"} 1');
    expect(text).toContain('redress_backlog{of="disputes_with_attention"} 0');
    const amount = (of: string) => `redress_disputed_amount{provider="stripe",account="default",currency="USD",of="${of}"}`;
    expect(text).toContain(`${amount('open')} 30000`);
    expect(text).toContain(`${amount('undecided')} 10000`);
  });
});

describeWithDatabase('Evidence', () => {
  begin();
  end();

  it('begins empty, says what is missing, and grows by edits of single fields', async () => {
    const { id } = await api.dispute({ reason: 'product_not_received', networkReasonCode: '13.1' });
    const first = await evidenceOf(id);
    expect(first).toMatchObject({
      status: 200,
      body: { disputeId: id, evidence: {}, files: [], packets: [], stagedVersion: 0, staged: [] },
    });
    expect(first.headers.get('etag')).toBe(`"${String(first.body['version'])}"`);
    const version = Number(first.body['version']);
    const { score: before } = first.body['score'] as { score: number };

    const second = await edit(id, { customerName: 'Ann Other', productDescription: 'Two chairs' }, `"${version}"`);
    expect(second).toMatchObject({
      status: 200,
      body: {
        version: version + 1,
        evidence: { customerName: 'Ann Other', productDescription: 'Two chairs' },
        changes: [{ version: version + 1, fields: ['customerName', 'productDescription'], by: 'admin' }],
      },
    });
    expect(second.headers.get('etag')).toBe(`"${version + 1}"`);
    expect((second.body['score'] as { score: number }).score).toBeGreaterThan(before);

    const third = await edit(id, { customerName: null, uncategorizedText: 'See https://example.com' }, String(version + 1));
    expect(third.body['evidence']).toEqual({ productDescription: 'Two chairs', uncategorizedText: 'See https://example.com' });
    expect(third.body['findings']).toContainEqual(
      expect.objectContaining({ code: 'text_link', severity: 'warning', path: 'uncategorizedText' }),
    );
    const nested = { enhancedEvidence: { visaCompliance: { feeAcknowledged: true } }, customerName: 'Ann' };
    const fourth = await edit(id, nested, `W/"${version + 2}"`);
    expect(fourth.body['evidence']).toMatchObject(nested);
    const same = await edit(id, nested, `"${version + 3}"`);
    expect(same.body['version']).toBe(version + 3);
    const fifth = await edit(id, { enhancedEvidence: { visaCompliance: null } }, '*');
    expect(fifth.body['evidence']).not.toHaveProperty('enhancedEvidence');

    await api.work();
    expect((await evidenceOf(id)).body).toMatchObject({ stagedVersion: version + 4 });
    expect((await evidenceOf(id)).body['staged']).toEqual(
      expect.arrayContaining(['customerName', 'productDescription', 'uncategorizedText']),
    );
  });

  it('needs the version that was looked at, and tells whoever comes late who changed what', async () => {
    const { id } = await api.dispute();
    expect(await edit(id, { customerName: 'Ann' }, null)).toMatchObject({ status: 428, body: { code: 'if_match_missing' } });
    const seen = await versionOf(id);
    await edit(id, { customerName: 'Ann' }, `"${seen}"`);
    const key = fresh();
    const late = await edit(id, { customerName: 'Bob' }, `"${seen}"`, key);
    expect(late).toMatchObject({ status: 412, body: { code: 'evidence_changed', disputeId: id } });
    expect(late.body['detail']).toMatch(/admin changed customerName in version/);
    expect(await edit(id, { customerName: 'Bob' }, `"${seen + 1}"`, key)).toMatchObject({ status: 200 });
    for (const wrong of ['abc', '"1", "2"', '-1', '""', '1.5']) {
      const answer = await edit(id, { customerName: 'Bob' }, wrong);
      expect(answer).toMatchObject({ status: 400, body: { code: 'validation_failed', errors: [{ path: 'If-Match' }] } });
    }
    expect(await upload(id, pdf(), { ifMatch: `"${seen}"` })).toMatchObject({ status: 412, body: { code: 'evidence_changed' } });
  });

  it('edited twice under one key is edited once, and answered with the same bytes', async () => {
    const { id } = await api.dispute();
    const [version, key] = [await versionOf(id), fresh()];
    const first = await edit(id, { customerName: 'Ann' }, `"${version}"`, key);
    await write(id, { customerName: 'Carol' });
    const second = await edit(id, { customerName: 'Ann' }, `"${version}"`, key);
    expect(second).toMatchObject({ status: 200, text: first.text });
    expect([first, second].map(({ headers }) => headers.get('idempotent-replayed'))).toEqual([null, 'true']);
    expect((await evidenceOf(id)).body['evidence']).toEqual({ customerName: 'Carol' });
    expect(await edit(id, { customerName: 'Bob' }, `"${version}"`, key)).toMatchObject({
      status: 409,
      body: { code: 'idempotency_key_reused' },
    });
    const { id: other } = await api.dispute();
    expect(await edit(other, { customerName: 'Ann' }, `"${version}"`, key)).toMatchObject({ status: 409 });
  });

  it('by twenty people at once loses no edit', async () => {
    const { id } = await api.dispute();
    const version = await versionOf(id);
    const texts = Array.from({ length: 20 }, (_, index) => `Text ${index}`);
    const answers = await Promise.all(texts.map((uncategorizedText) => edit(id, { uncategorizedText }, `"${version}"`)));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
    expect(answers.filter(({ status }) => status === 412)).toHaveLength(19);
    expect(await versionOf(id)).toBe(version + 1);
  });

  it.each<[string, unknown, string]>([
    ['an unknown field', { colour: 'red' }, 'colour'],
    ['a file among the texts', { receipt: 'file_1' }, 'receipt'],
    ['a text too long', { uncategorizedText: 'x'.repeat(20_001) }, 'uncategorizedText'],
    ['a short text too long', { customerName: 'x'.repeat(5_001) }, 'customerName'],
    ['text that is none', { customerName: 7 }, 'customerName'],
    ['an unknown programme', { enhancedEvidence: { amex: true } }, 'enhancedEvidence.amex'],
    ['an appeal without a reason', { appeal: { card: {} } }, 'appeal.card.reasonForFiling'],
    ['a body that is a list', [], 'body'],
  ])('refuses %s by its path', async (_, body, path) => {
    const { id } = await api.dispute();
    const answer = await edit(id, body, '*');
    expect(answer).toMatchObject({ status: 400, body: { code: 'validation_failed', errors: [{ path }] } });
    expect((await evidenceOf(id)).body).toMatchObject({ evidence: {} });
  });

  it('of a case that takes none now is refused by why', async () => {
    const [lost, unknown, accepted] = [
      await api.dispute({ status: 'lost' }),
      await api.dispute({ status: 'on_the_moon' }),
      await api.dispute(),
    ];
    await to(accepted.id, 'accept', { confirm: true });
    const refusals = [
      [lost.id, 'dispute_not_open'],
      [unknown.id, 'dispute_not_answerable'],
      [accepted.id, 'already_accepted'],
    ] as const;
    for (const [id, code] of refusals) {
      const before = (await evidenceOf(id)).text;
      expect(await edit(id, { customerName: 'Ann' }, '*')).toMatchObject({ status: 409, body: { code, disputeId: id } });
      expect(await upload(id, pdf())).toMatchObject({ status: 409, body: { code } });
      expect(await api.call('DELETE', `/v1/disputes/${id}/evidence/files/ef_1`)).toMatchObject({ status: 409, body: { code } });
      expect((await evidenceOf(id)).text).toBe(before);
    }
  });
});

describeWithDatabase('A file of evidence', () => {
  let id = '';
  begin();
  beforeAll(async () => void ({ id } = await api.dispute()));
  end();
  const bytesAt = (fileId: string) =>
    fetch(`${api.url}/v1/disputes/${id}/evidence/files/${fileId}`, {
      headers: { authorization: 'Bearer a-key-for-this-spec-alone' },
    });

  it('is kept, handed to the provider, read back and taken out', async () => {
    const document = pdf(3);
    const taken = await upload(id, document);
    const fileId = fileOf(taken.body);
    expect(taken).toMatchObject({
      status: 201,
      body: {
        files: [
          {
            id: expect.stringMatching(/^ef_[0-9a-f]{32}$/),
            field: 'receipt',
            name: 'receipt.pdf',
            type: 'application/pdf',
            size: document.length,
            pages: 3,
            digest: createHash('sha256').update(document).digest('hex'),
            providerFileId: null,
            by: 'admin',
          },
        ],
      },
    });
    expect(taken.headers.get('location')).toBe(`/v1/disputes/${id}/evidence/files/${fileId}`);
    await api.work();
    expect(filesOf((await evidenceOf(id)).body)).toMatchObject([{ id: fileId, providerFileId: expect.stringMatching(/^file_/) }]);

    const read = await bytesAt(fileId);
    expect(Buffer.from(await read.arrayBuffer()).equals(document)).toBe(true);
    expect(Object.fromEntries(read.headers)).toMatchObject({
      'content-type': 'application/pdf',
      'content-disposition': `attachment; filename="receipt.pdf"; filename*=UTF-8''receipt.pdf`,
      'x-content-type-options': 'nosniff',
      'content-security-policy': "default-src 'none'; sandbox",
      'cache-control': 'private, no-store',
    });

    const removed = await api.call('DELETE', `/v1/disputes/${id}/evidence/files/${fileId}`);
    expect(removed).toMatchObject({ status: 200, body: { files: [] } });
    expect((await bytesAt(fileId)).status).toBe(200);
    expect(await api.call('DELETE', `/v1/disputes/${id}/evidence/files/${fileId}`)).toMatchObject({
      status: 404,
      body: { code: 'evidence_file_not_found' },
    });
    expect(await api.get(`/v1/disputes/${id}/evidence/files/ef_${'0'.repeat(32)}`)).toMatchObject({
      status: 404,
      body: { code: 'evidence_file_not_found' },
    });
    const { id: other } = await api.dispute();
    expect(await api.get(`/v1/disputes/${other}/evidence/files/${fileId}`)).toMatchObject({ status: 404 });
  });

  it('gives way to the next one in its field, but for the files of an appeal', async () => {
    const { id: dispute } = await api.dispute();
    await upload(dispute, pdf(1), { name: 'one.pdf' });
    const second = await upload(dispute, pdf(2), { name: 'two.pdf' });
    expect(filesOf(second.body)).toMatchObject([{ name: 'two.pdf' }]);
    await upload(dispute, pdf(3), { field: 'appealSupportingFiles', name: 'three.pdf' });
    const { body } = await upload(dispute, pdf(4), { field: 'appealSupportingFiles', name: 'four.pdf' });
    expect(filesOf(body).map(({ name }) => name)).toEqual(['two.pdf', 'three.pdf', 'four.pdf']);

    const collection = `/v1/disputes/${dispute}/evidence/files`;
    const both = await api.call('DELETE', `${collection}?field=appealSupportingFiles`);
    expect(both).toMatchObject({ status: 400, body: { errors: [{ path: 'id' }] } });
    for (const query of ['', `?id=${fileOf(body)}&field=receipt`]) {
      expect(await api.call('DELETE', `${collection}${query}`)).toMatchObject({
        status: 400,
        body: { errors: [{ path: 'id' }] },
      });
    }
    expect((await api.call('DELETE', `${collection}?field=receipt`)).body).toMatchObject({ files: { length: 2 } });
    expect(await api.call('DELETE', `${collection}?field=receipt`)).toMatchObject({
      status: 404,
      body: { code: 'evidence_file_not_found' },
    });
    const [{ id: three } = { id: '' }] = filesOf((await evidenceOf(dispute)).body);
    expect((await api.call('DELETE', `${collection}?id=${three}`)).body).toMatchObject({ files: [{ name: 'four.pdf' }] });
  });

  it('is what its content says, whatever it is called', async () => {
    const jpeg = Buffer.concat([
      Buffer.from([0xff, 0xd8, 0xff, 0xe0, 0, 16]),
      Buffer.from('JFIF\0'),
      Buffer.alloc(9),
      Buffer.from([0xff, 0xd9]),
    ]);
    const lying = [
      [png(), 'letter.pdf', 'application/pdf', 'image/png'],
      [pdf(), 'photo.jpg', 'image/jpeg', 'application/pdf'],
      [jpeg, 'run.exe', 'application/octet-stream', 'image/jpeg'],
    ] as const;
    for (const [bytes, name, type, found] of lying) {
      const { body } = await upload(id, bytes, { field: 'uncategorizedFile', name, type });
      expect(filesOf(body)).toMatchObject([{ name, type: found }]);
    }
  });

  it('has a name that can be shown, whatever it came with', async () => {
    const names = [
      ['../../etc/passwd', 'passwd'],
      ['Rechnung für "Öl".pdf', 'Rechnung für "Öl".pdf'],
      ['a\u202egpj.pdf', 'agpj.pdf'],
      [`${'x'.repeat(300)}.pdf`, `${'x'.repeat(251)}.pdf`],
    ] as const;
    for (const [given, shown] of names) {
      const { body } = await upload(id, pdf(), { field: 'uncategorizedFile', name: given });
      const [{ id: fileId, name } = { id: '', name: '' }] = filesOf(body);
      expect(name).toBe(shown);
      expect((await bytesAt(fileId)).headers.get('content-disposition')).toMatch(
        /^attachment; filename="[ !#-~]+"; filename\*=UTF-8''\S+$/,
      );
    }
  });

  it('sent twice under one key is one file', async () => {
    const { id: dispute } = await api.dispute();
    const key = fresh();
    const [first, second] = [await upload(dispute, pdf(2), { key }), await upload(dispute, pdf(2), { key })];
    expect(second).toMatchObject({ status: 201, text: first.text });
    expect(second.headers.get('idempotent-replayed')).toBe('true');
    expect(second.headers.get('location')).toBe(first.headers.get('location'));
    expect(await upload(dispute, pdf(3), { key })).toMatchObject({ status: 409, body: { code: 'idempotency_key_reused' } });
    expect((await evidenceOf(dispute)).body).toMatchObject({ files: { length: 1 } });
  });

  const encrypted = () => {
    const id16 = '<00112233445566778899aabbccddeeff>';
    const locked = `/Encrypt << /Filter /Standard /V 1 /R 2 /P -4 /O <${'ab'.repeat(32)}> /U <${'cd'.repeat(32)}> >> /ID [${id16} ${id16}] /Root`;
    return Buffer.from(pdf(1).toString('latin1').replace('/Root', locked), 'latin1');
  };

  it.each<[string, () => Buffer, number, string]>([
    ['nothing', () => Buffer.alloc(0), 422, 'evidence_file_unreadable'],
    ['text', () => Buffer.from('Dear bank,'), 415, 'evidence_file_type'],
    ['a web page', () => Buffer.from('<!doctype html><script>alert(1)</script>'), 415, 'evidence_file_type'],
    ['a GIF', () => Buffer.from('GIF89a\x01\0\x01\0\0\0\0;', 'latin1'), 415, 'evidence_file_type'],
    ['a broken PDF', brokenPdf, 422, 'evidence_file_unreadable'],
    ['a PDF cut in half', () => pdf(30).subarray(0, 1_500), 422, 'evidence_file_unreadable'],
    ['a PDF with a password', encrypted, 422, 'evidence_file_unreadable'],
    ['a picture cut in half', () => png().subarray(0, 40), 422, 'evidence_file_unreadable'],
    ['a PDF of 50 pages', () => pdf(50), 422, 'evidence_file_pages'],
    ['a PDF of 51 pages', () => pdf(51), 422, 'evidence_file_pages'],
    ['a byte more than 5 MB', () => Buffer.concat([pdf(1, 4_000_000), Buffer.alloc(1_000_100)]), 413, 'evidence_file_too_big'],
    ['eight megabytes', () => Buffer.alloc(8_000_000), 413, 'evidence_file_too_big'],
  ])('that is %s is refused, and nothing is kept of it', async (_, bytes, status, code) => {
    const before = await api.contents();
    expect(await upload(id, bytes(), { field: 'refundPolicy' })).toMatchObject({ status, body: { code } });
    expect(await api.contents()).toBe(before);
  });

  it('takes 49 pages, and nearly five megabytes', async () => {
    expect(await upload(id, pdf(49), { field: 'refundPolicy' })).toMatchObject({ status: 201 });
    expect(await upload(id, pdf(1, 4_900_000), { field: 'refundPolicy' })).toMatchObject({ status: 201 });
  });

  const form = (parts: readonly (readonly [string, string | Blob, string?])[]) => {
    const made = new FormData();
    for (const [name, value, filename] of parts) {
      if (typeof value === 'string') made.append(name, value);
      else made.append(name, value, filename);
    }
    return made;
  };
  const blob = () => new Blob([new Uint8Array(pdf())], { type: 'application/pdf' });
  it.each<[string, () => FormData, string, string | null]>([
    ['without a file', () => form([['field', 'receipt']]), 'evidence_file_missing', null],
    [
      'with two files',
      () =>
        form([
          ['field', 'receipt'],
          ['file', blob(), 'a.pdf'],
          ['file', blob(), 'b.pdf'],
        ]),
      'evidence_file_missing',
      null,
    ],
    ['without a field', () => form([['file', blob(), 'a.pdf']]), 'validation_failed', 'field'],
    [
      'with a field that evidence does not have',
      () =>
        form([
          ['field', 'selfie'],
          ['file', blob(), 'a.pdf'],
        ]),
      'validation_failed',
      'field',
    ],
    [
      'with its field twice',
      () =>
        form([
          ['field', 'receipt'],
          ['field', 'receipt'],
          ['file', blob(), 'a.pdf'],
        ]),
      'validation_failed',
      'field',
    ],
    [
      'with a file that is text',
      () =>
        form([
          ['field', 'receipt'],
          ['file', 'hello'],
        ]),
      'validation_failed',
      'file',
    ],
    [
      'with an unknown part',
      () =>
        form([
          ['field', 'receipt'],
          ['colour', 'red'],
          ['file', blob(), 'a.pdf'],
        ]),
      'validation_failed',
      'colour',
    ],
    [
      'with an unknown file',
      () =>
        form([
          ['field', 'receipt'],
          ['image', blob(), 'a.pdf'],
        ]),
      'validation_failed',
      'image',
    ],
    [
      'with too many parts',
      () => form(Array.from({ length: 30 }, (_, part) => [`p${part}`, 'x'] as const)),
      'validation_failed',
      'body',
    ],
    [
      'with a forbidden name',
      () =>
        form([
          ['__proto__', 'x'],
          ['file', blob(), 'a.pdf'],
        ]),
      'validation_failed',
      'body',
    ],
  ])('in a form %s is refused', async (_, made, code, path) => {
    const errors = path === null ? {} : { errors: expect.arrayContaining([expect.objectContaining({ path })]) };
    expect(await send(id, made())).toMatchObject({ status: 400, body: { code, ...errors } });
  });

  it('in no form is refused, and a form where none is taken', async () => {
    const path = `/v1/disputes/${id}/evidence/files`;
    const json = await api.post(path, { field: 'receipt' });
    expect(json).toMatchObject({ status: 415, body: { code: 'unsupported_media_type' } });
    const headers = { 'content-type': 'multipart/form-data' };
    expect(await api.call('POST', path, { raw: 'x', headers })).toMatchObject({
      status: 400,
      body: { errors: [{ path: 'body' }] },
    });
    for (const other of [`/v1/disputes/${id}/sync`, '/v1/refunds']) {
      const answer = await api.call('POST', other, { raw: form([['a', 'b']]), key: fresh() });
      expect(answer).toMatchObject({ status: 415, body: { code: 'unsupported_media_type' } });
    }
  });

  it('whose upload breaks off leaves nothing behind', async () => {
    const before = await api.contents();
    const head =
      '--xyz\r\ncontent-disposition: form-data; name="field"\r\n\r\nreceipt\r\n--xyz\r\ncontent-disposition: form-data; name="file"; filename="a.pdf"\r\ncontent-type: application/pdf\r\n\r\n';
    const headers = { 'content-type': 'multipart/form-data; boundary=xyz' };
    const raw = `${head}${pdf(2).toString('latin1')}`;
    expect(await api.call('POST', `/v1/disputes/${id}/evidence/files`, { raw, headers })).toMatchObject({
      status: 400,
      body: { code: 'upload_broken_off' },
    });

    const socket = connect(Number(new URL(api.url).port), '127.0.0.1');
    socket.write(
      `POST /v1/disputes/${id}/evidence/files HTTP/1.1\r\nhost: x\r\nauthorization: Bearer a-key-for-this-spec-alone\r\n` +
        `content-type: multipart/form-data; boundary=xyz\r\ncontent-length: 100000\r\n\r\n${head}%PDF-1.4`,
    );
    await new Promise((resolve) => setTimeout(resolve, 100));
    socket.destroy();
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(await api.contents()).toBe(before);
    expect(await upload(id, pdf(), { field: 'receipt' })).toMatchObject({ status: 201 });
  });
});

describeWithDatabase('What is decided about a dispute', () => {
  begin();
  end();

  it('to submit it goes out once, as it was looked at, and is shown as it was sent', async () => {
    const { id, disputeId } = await api.dispute();
    await write(id, { uncategorizedText: 'winning_evidence' });
    await upload(id, pdf(2));
    const version = await versionOf(id);
    const key = fresh();
    const submitted = await to(id, 'submit', { confirm: true, version }, key);
    expect(submitted).toMatchObject({
      status: 200,
      body: { id, decision: { kind: 'submit', state: 'recorded', by: 'admin', version } },
    });
    const again = await to(id, 'submit', { confirm: true, version }, key);
    expect(again).toMatchObject({ status: 200, text: submitted.text });
    expect(again.headers.get('idempotent-replayed')).toBe('true');
    expect(await to(id, 'submit', { confirm: true, version })).toMatchObject({
      status: 409,
      body: { code: 'already_submitted', disputeId: id },
    });
    expect(await edit(id, { customerName: 'Ann' }, '*')).toMatchObject({ status: 409, body: { code: 'already_submitted' } });
    await api.work();
    await api.notify('charge.dispute.updated', { id: disputeId, object: 'dispute' });
    await api.work();
    expect((await api.get(`/v1/disputes/${id}`)).body).toMatchObject({
      submissions: 1,
      decision: { kind: 'submit', state: 'done' },
    });
    expect((await evidenceOf(id)).body['packets']).toMatchObject([
      {
        round: 1,
        version,
        evidence: { uncategorizedText: 'winning_evidence' },
        files: [{ field: 'receipt' }],
        submittedAt: expect.any(String),
      },
    ]);

    const story = (await api.get(`/v1/disputes/${id}/history`)).data;
    const ofKind = (kind: string) =>
      story.filter((entry) => String(entry['kind']) === kind).map((entry) => String(entry['summary']));
    expect(ofKind('command')).toEqual(
      expect.arrayContaining([
        'EditEvidence from admin over HTTP: uncategorizedText',
        'AddEvidenceFile from admin over HTTP: receipt',
        'SubmitEvidence from admin over HTTP',
        'SubmitEvidence from admin over HTTP, refused: already_submitted',
      ]),
    );
    expect(ofKind('decision')).toEqual([`submit version ${version} of the evidence, decided by admin`]);
    expect(ofKind('operation').some((summary) => summary.startsWith('dispute.submit of'))).toBe(true);
    expect(ofKind('call').length).toBeGreaterThan(0);
    expect(ofKind('webhook').length).toBeGreaterThan(0);
    expect(ofKind('event')[0]).toMatch(/^redress\.dispute\.opened\.v1: the bank questions 10000 USD .*an answer is due by/);
    expect(ofKind('event')).toEqual(
      expect.arrayContaining([expect.stringMatching(/evidence_submitted\.v1.*the provider has the answer/)]),
    );
    expect(story.map(({ at }) => String(at))).toEqual(story.map(({ at }) => String(at)).toSorted());
    expect(JSON.stringify(story)).not.toContain('winning_evidence');
  });

  it('cannot be taken back, so it is confirmed; and nothing is submitted that was not looked at', async () => {
    const { id } = await api.dispute();
    const version = await versionOf(id);
    for (const body of [{ version }, { confirm: false, version }]) {
      expect(await to(id, 'submit', body)).toMatchObject({ status: 400, body: { code: 'confirmation_missing' } });
    }
    for (const body of [undefined, {}, { confirm: false }]) {
      expect(await to(id, 'accept', body)).toMatchObject({ status: 400, body: { code: 'confirmation_missing' } });
    }
    expect(await to(id, 'submit', { confirm: 'true', version })).toMatchObject({
      status: 400,
      body: { errors: [{ path: 'confirm' }] },
    });
    expect(await to(id, 'submit', { confirm: true })).toMatchObject({ status: 400, body: { errors: [{ path: 'version' }] } });
    expect(await to(id, 'submit', {})).toMatchObject({ status: 400, body: { code: 'validation_failed' } });
    expect(await to(id, 'submit', { confirm: true, version })).toMatchObject({ status: 409, body: { code: 'evidence_empty' } });
    await write(id, { uncategorizedText: 'Ours.' });
    const stale = await to(id, 'submit', { confirm: true, version });
    expect(stale).toMatchObject({
      status: 412,
      body: { code: 'evidence_changed', detail: expect.stringContaining('admin changed uncategorizedText') },
    });
    await write(id, { appeal: { card: { reasonForFiling: 'Too early.' } } });
    const refused = await to(id, 'submit', { confirm: true, version: version + 2 });
    expect(refused).toMatchObject({ status: 422, body: { code: 'evidence_refused', detail: expect.stringContaining('appeal') } });
    expect((await api.get(`/v1/disputes/${id}`)).body).toMatchObject({ decision: null });
  });

  it('to let it pass has a reason, and can be changed until the deadline', async () => {
    const { id } = await api.dispute();
    for (const body of [undefined, { reason: '' }, { reason: ' \t\n\u00a0' }]) {
      const refused = { status: 400, body: { code: 'validation_failed', errors: [{ path: 'reason' }] } };
      expect(await to(id, 'let-pass', body)).toMatchObject(refused);
    }
    const passed = await to(id, 'let-pass', { reason: 'Less than an answer costs' });
    expect(passed).toMatchObject({ status: 200, body: { decision: { kind: 'let_pass', state: 'done', by: 'admin' } } });
    expect(passed.text).not.toContain('Less than');
    const story = (await api.get(`/v1/disputes/${id}/history`)).data.map((entry) => String(entry['summary']));
    expect(story).toContain('let the deadline pass, decided by admin: Less than an answer costs');
    expect(await write(id, { customerName: 'Ann' })).toMatchObject({ status: 200 });
    expect(await to(id, 'accept', { confirm: true, reason: 'After all' })).toMatchObject({
      status: 200,
      body: { decision: { kind: 'accept' } },
    });
    expect(await to(id, 'accept', { confirm: true })).toMatchObject({ status: 409, body: { code: 'already_accepted' } });
    await api.work();
    expect((await api.get(`/v1/disputes/${id}`)).body).toMatchObject({
      status: 'lost',
      decision: { kind: 'accept', state: 'done' },
    });
    expect(await to(id, 'accept', { confirm: true })).toMatchObject({ status: 409 });
    expect(await to(id, 'let-pass', { reason: 'x' })).toMatchObject({ status: 409 });
  });

  it('on a case that is over, or that nobody understands, is refused', async () => {
    const { id } = await api.dispute({ status: 'lost' });
    const strange = await api.dispute({ status: 'on_the_moon' });
    for (const [what, body] of [
      ['submit', bodies.submit],
      ['accept', bodies.accept],
      ['let-pass', bodies['let-pass']],
    ] as const) {
      expect(await to(id, what, body)).toMatchObject({ status: 409, body: { code: 'dispute_not_open', disputeId: id } });
      expect(await to(strange.id, what, body)).toMatchObject({ status: 409, body: { code: 'dispute_not_answerable' } });
    }
    expect(await to(id, 'acknowledge', { reason: 'Seen' })).toMatchObject({ status: 409, body: { code: 'not_acknowledgeable' } });
    expect(await to(id, 'acknowledge')).toMatchObject({ status: 400, body: { errors: [{ path: 'reason' }] } });
    expect(await to(id, 'sync', { disputeId: id })).toMatchObject({ status: 400, body: { errors: [{ path: 'disputeId' }] } });
    expect(await to(id, 'sync')).toMatchObject({ status: 200, body: { id } });

    const queue = await api.get('/v1/attention');
    expect(queue.data).toContainEqual(
      expect.objectContaining({
        kind: 'dispute',
        why: 'unknown_provider_status',
        dispute: expect.objectContaining({ id: strange.id }),
      }),
    );
    expect(await to(strange.id, 'acknowledge', { reason: 'Asked' })).toMatchObject({ status: 200, body: { attention: null } });
    const left = (await api.get('/v1/attention')).data.map((item) => (item['dispute'] as { id: string } | undefined)?.id);
    expect(left).not.toContain(strange.id);
  });

  it('after the provider’s deadline is refused', async () => {
    const { id, disputeId } = await api.dispute();
    await write(id, { uncategorizedText: 'Late.' });
    await api.source.query(`update dispute set due_by = service_now() - interval '1 second' where provider_dispute_id = $1`, [
      disputeId,
    ]);
    const version = await versionOf(id);
    for (const [what, body] of [
      ['submit', { confirm: true, version }],
      ['accept', bodies.accept],
      ['let-pass', bodies['let-pass']],
    ] as const) {
      expect(await to(id, what, body)).toMatchObject({ status: 409, body: { code: 'deadline_passed' } });
    }
  });

  it('by two people at once is decided once', async () => {
    const { id } = await api.dispute();
    await write(id, { uncategorizedText: 'Ours.' });
    const version = await versionOf(id);
    const answers = await Promise.all(Array.from({ length: 20 }, () => to(id, 'submit', { confirm: true, version })));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
    expect(new Set(answers.filter(({ status }) => status !== 200).map(({ body }) => body['code']))).toEqual(
      new Set(['already_submitted']),
    );
  });
});

describeWithDatabase('Earlier payments that the evidence of a dispute rests on', () => {
  begin();
  end();
  const same = { customerAccountId: 'a-1', customerPurchaseIp: '203.0.113.7', productDescription: 'A chair' };
  const fraud = () => api.dispute({ reason: 'fraudulent', networkReasonCode: '10.4' });
  const daysAgo = async (...all: readonly number[]) =>
    Promise.all(all.map(async (days) => (await api.pay({ daysAgo: days })).chargeId));
  const name = (id: string, charges: readonly string[]) =>
    write(id, {
      enhancedEvidence: {
        visaCompellingEvidence3: {
          disputedTransaction: { ...same, merchandiseOrServices: 'merchandise' },
          priorUndisputedTransactions: charges.map((charge) => ({ ...same, charge })),
        },
      },
    });
  const findings = (body: Readonly<Record<string, unknown>>) => (body['findings'] as { code: string }[]).map(({ code }) => code);

  it('are read at the provider once they are named, and keep an answer back that names one 100 days older', async () => {
    const { id } = await fraud();
    const named = await name(id, await daysAgo(100, 200));
    expect(named).toMatchObject({ status: 200 });
    expect(findings(named.body)).toEqual(['prior_charge_date_unknown', 'prior_charge_date_unknown']);
    await api.work();
    const shown = (await evidenceOf(id)).body;
    expect(shown).toMatchObject({
      findings: [
        {
          code: 'prior_charge_outside_window',
          severity: 'error',
          path: 'enhancedEvidence.visaCompellingEvidence3.priorUndisputedTransactions.0.charge',
        },
      ],
    });
    expect(await to(id, 'submit', { confirm: true, version: shown['version'] })).toMatchObject({
      status: 422,
      body: { code: 'evidence_refused', detail: expect.stringContaining('It is 100.0 days older.') },
    });
  });

  it('let an answer go out that names two of 200 and 300 days before', async () => {
    const { id } = await fraud();
    await name(id, await daysAgo(200, 300));
    await api.work();
    const shown = (await evidenceOf(id)).body;
    expect(shown['findings']).toEqual([]);
    expect(await to(id, 'submit', { confirm: true, version: shown['version'] })).toMatchObject({ status: 200 });
    await api.work();
    expect((await api.get(`/v1/disputes/${id}`)).body).toMatchObject({ status: 'under_review', decision: { state: 'done' } });
  });

  it('are told of at once where they are known already, and stay a warning where nobody knows them', async () => {
    const { id } = await fraud();
    const charges = await daysAgo(100, 200);
    await name(id, charges);
    await api.work();
    const { id: another } = await fraud();
    const known = await name(another, charges);
    expect(findings(known.body)).toEqual(['prior_charge_outside_window']);
    await name(another, [charges[1] ?? '', 'ch_nobodys']);
    await api.work();
    expect(findings((await evidenceOf(another)).body)).toEqual(['prior_charge_date_unknown']);
  });
});
