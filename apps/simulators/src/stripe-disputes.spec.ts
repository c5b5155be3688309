import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { deflateSync } from 'node:zlib';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import Stripe from 'stripe';
import { DEVELOPMENT, type RunningSimulators, startSimulators } from './simulators.js';

const DAY = 86_400;

type Packet = {
  stage: string;
  by: string;
  idempotencyKey: string | null;
  evidence: Record<string, unknown>;
  files: { field: string; id: string; sha256: string; name: string; size: number }[];
};
type Booked = { id: string; status: string; submissions: number; staged: number; closes: number; packets: Packet[] };

let simulators: RunningSimulators;
let stripe: Stripe;
let service: Server;
/** Each test has an address of its own, so that what was still on its way from the one before does not count. */
let tests = 0;
let delivered: Stripe.Event[] = [];

beforeAll(async () => {
  service = createServer((request, response) => {
    let body = '';
    request.on('data', (part) => (body += String(part)));
    request.on('end', () => {
      if (request.url?.startsWith(`/${tests}/`)) delivered.push(JSON.parse(body) as Stripe.Event);
      response.end();
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
    timeout: 5000,
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
});

async function control<Answer>(path: string, body: object): Promise<Answer> {
  const response = await fetch(`${simulators.url}/control${path}`, { method: 'POST', body: JSON.stringify(body) });
  const answer = (await response.json()) as Answer;
  if (!response.ok) throw new Error(JSON.stringify(answer));
  return answer;
}

async function pay(more: object = {}): Promise<{ paymentId: string; chargeId: string }> {
  return control('/payments', { provider: 'stripe', amount: 10_000, currency: 'USD', ...more });
}

/** A payment in dispute. Decisions come at once in the time that the test moves. */
async function dispute(more: object = {}): Promise<{ id: string; paymentId: string; chargeId: string }> {
  const payment = await pay();
  const { disputeId } = await control<{ disputeId: string }>('/disputes', { paymentId: payment.paymentId, ...more });
  return { id: disputeId, ...payment };
}

async function next(id: string, body: object): Promise<void> {
  await control(`/disputes/${id}`, body);
}

async function wait(advanceSeconds: number): Promise<void> {
  await control('/clock', { advanceSeconds });
}

async function submit(id: string, text: string): Promise<Stripe.Dispute> {
  return stripe.disputes.update(id, { evidence: { uncategorized_text: text }, submit: true });
}

async function booked(id: string): Promise<Booked> {
  const response = await fetch(`${simulators.url}/control/books`);
  const { payments } = (await response.json()) as { payments: { disputes: Booked[] }[] };
  const found = payments.flatMap(({ disputes }) => disputes).find((candidate) => candidate.id === id);
  if (found === undefined) throw new Error(`${id} is not in the books`);
  return found;
}

async function refusal(call: Promise<unknown>): Promise<Stripe.errors.StripeError> {
  const error = await call.then(
    () => null,
    (refused: unknown) => refused,
  );
  if (!(error instanceof Stripe.errors.StripeError)) throw new Error('Stripe did not refuse');
  return error;
}

async function events(count: number): Promise<string[]> {
  for (let waited = 0; waited < 4000 && delivered.length < count; waited += 10)
    await new Promise((resolve) => setTimeout(resolve, 10));
  return delivered.map(({ type }) => type);
}

async function until<Value>(read: () => Promise<Value>, done: (value: Value) => boolean): Promise<Value> {
  let value = await read();
  for (let waited = 0; waited < 4000 && !done(value); waited += 20) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    value = await read();
  }
  return value;
}

/** A PDF with this many pages, of at least this many bytes; its pages plain, or packed into a compressed object stream. */
function pdf(pages: number, { bytes = 0, packed = false } = {}): Buffer {
  const objects = Array.from({ length: pages }, (_, page) => [page + 3, '<< /Type /Page /Parent 2 0 R >>'] as const);
  const catalog = '1 0 obj\n<< /Type /Catalog /Pages 2 0 R >>\nendobj\n2 0 obj\n<< /Type /Pages >>\nendobj\n';
  const start = Buffer.from(`%PDF-1.7\n${catalog}`);
  const end = Buffer.from(`%%EOF\n${' '.repeat(bytes)}`);
  if (!packed) return Buffer.concat([start, ...objects.map(([id, text]) => Buffer.from(`${id} 0 obj\n${text}\nendobj\n`)), end]);
  let offset = 0;
  const places = objects.map(([id, text]) => {
    const place = `${id} ${offset}`;
    offset += text.length + 1;
    return place;
  });
  const head = `${places.join(' ')} `;
  const content = deflateSync(head + objects.map(([, text]) => text).join(' '));
  const dictionary = `<< /Type /ObjStm /N ${pages} /First ${head.length} /Filter /FlateDecode /Length ${content.length} >>`;
  return Buffer.concat([
    start,
    Buffer.from(`900 0 obj\n${dictionary}\nstream\n`),
    content,
    Buffer.from('\nendstream\nendobj\n'),
    end,
  ]);
}

async function upload(data: Buffer, more: Partial<Stripe.FileCreateParams> = {}): Promise<string> {
  const file = { data, name: 'proof.pdf', type: 'application/pdf' };
  return (await stripe.files.create({ purpose: 'dispute_evidence', file, ...more })).id;
}

describe('A dispute', () => {
  it('takes the money and the fee, and is found by its id, its payment and its charge', async () => {
    const { id, paymentId, chargeId } = await dispute({ reason: 'product_not_received' });
    const seen = await stripe.disputes.retrieve(id, { expand: ['charge', 'payment_intent'] });
    expect(seen).toMatchObject({
      amount: 10_000,
      currency: 'usd',
      status: 'needs_response',
      reason: 'product_not_received',
      network_reason_code: '13.1',
      is_charge_refundable: false,
      intended_submission_method: null,
      charge: { id: chargeId, disputed: true },
      payment_intent: { id: paymentId },
      balance_transactions: [{ type: 'adjustment', amount: -10_000, fee: 1500, net: -11_500, source: id }],
      payment_method_details: {
        card: { brand: 'visa', network: 'visa', case_type: 'chargeback', network_reason_code: '13.1' },
      },
      evidence_details: { has_evidence: false, submission_count: 0, past_due: false, submission_method: 'not_submitted' },
    });
    expect((seen.evidence_details.due_by ?? 0) % DAY).toBe(DAY - 1);
    await dispute();
    const ids = async (params: Stripe.DisputeListParams) => (await stripe.disputes.list(params)).data.map((row) => row.id);
    expect(await ids({ payment_intent: paymentId })).toEqual([id]);
    expect(await ids({ charge: chargeId })).toEqual([id]);
    expect(await ids({})).toHaveLength(2);
    expect(await events(2)).toEqual(expect.arrayContaining(['charge.dispute.created', 'charge.dispute.funds_withdrawn']));
  });

  it('is answered once with what was staged, and won', async () => {
    const { id, paymentId } = await dispute();
    const receipt = await upload(pdf(2));
    await stripe.disputes.update(id, { evidence: { customer_name: 'Ada', receipt }, submit: false });
    await stripe.disputes.update(id, { evidence: { uncategorized_text: 'winning_evidence' }, submit: false });
    expect((await stripe.disputes.retrieve(id)).evidence_details).toMatchObject({ has_evidence: true, submission_count: 0 });
    const answered = await stripe.disputes.update(id, { submit: true }, { idempotencyKey: 'evidence:1' });
    expect(answered).toMatchObject({
      status: 'under_review',
      evidence: { customer_name: 'Ada', receipt },
      evidence_details: { submission_count: 1, submission_method: 'manual' },
    });
    await wait(3);
    expect(await stripe.disputes.retrieve(id)).toMatchObject({
      status: 'won',
      is_charge_refundable: true,
      balance_transactions: [{ amount: -10_000 }, { amount: 10_000, fee: 0 }],
    });
    expect(await booked(id)).toMatchObject({
      status: 'won',
      submissions: 1,
      staged: 2,
      packets: [
        {
          stage: 'chargeback',
          by: 'api',
          idempotencyKey: 'evidence:1',
          evidence: { customer_name: 'Ada', receipt, uncategorized_text: 'winning_evidence' },
          files: [{ field: 'receipt', id: receipt, name: 'proof.pdf' }],
        },
      ],
    });
    expect(await stripe.refunds.create({ payment_intent: paymentId })).toMatchObject({ status: 'succeeded' });
  });
});

describe('The bank', () => {
  it.each([
    ['winning_evidence', {}, 'won', ['funds_reinstated', 'closed'], 0],
    ['losing_evidence', {}, 'lost', ['closed'], -10_000],
    ['losing_evidence', { stage: 'inquiry' }, 'warning_closed', ['closed'], 0],
    ['winning_evidence', { stage: 'inquiry' }, 'warning_closed', ['closed'], 0],
    ['escalate_inquiry_evidence', { stage: 'inquiry' }, 'needs_response', ['updated', 'funds_withdrawn'], -10_000],
    ['something else', {}, 'under_review', [], -10_000],
    ['something else', { stage: 'inquiry' }, 'warning_under_review', [], 0],
  ])('decides on %s for %j', async (text, more, status, told, money) => {
    const { id } = await dispute(more);
    await submit(id, text);
    const before = (await stripe.events.list({ limit: 100 })).data.length;
    await wait(3);
    const seen = await stripe.disputes.retrieve(id);
    expect(seen.status).toBe(status);
    expect(seen.balance_transactions.reduce((sum, { amount }) => sum + amount, 0)).toBe(money);
    const types = (await stripe.events.list({ limit: 100 })).data.map(({ type }) => type).reverse();
    expect(types.slice(before)).toEqual(told.map((what) => `charge.dispute.${what}`));
  });

  it('decides by itself a moment after the submission, as long after as a tester says', async () => {
    const { id } = await dispute({ decisionDelayMs: 30 });
    await submit(id, 'winning_evidence');
    expect(
      await until(
        () => stripe.disputes.retrieve(id),
        ({ status }) => status === 'won',
      ),
    ).toMatchObject({ status: 'won' });
  });

  it('wants a second answer on the same case when an inquiry escalates', async () => {
    const { id } = await dispute({ stage: 'inquiry' });
    expect(await stripe.disputes.retrieve(id)).toMatchObject({
      status: 'warning_needs_response',
      is_charge_refundable: true,
      balance_transactions: [],
      payment_method_details: { card: { case_type: 'inquiry' } },
    });
    await submit(id, 'escalate_inquiry_evidence');
    await wait(3);
    expect(await stripe.disputes.retrieve(id)).toMatchObject({
      status: 'needs_response',
      is_charge_refundable: false,
      payment_method_details: { card: { case_type: 'chargeback' } },
      evidence: { uncategorized_text: null },
      evidence_details: { has_evidence: false, submission_count: 1 },
    });
    expect(await submit(id, 'losing_evidence')).toMatchObject({ evidence_details: { submission_count: 2 } });
    await wait(3);
    expect((await booked(id)).packets.map(({ stage }) => stage)).toEqual(['inquiry', 'chargeback']);
  });

  it('closes an inquiry of which nothing came for 120 days', async () => {
    const { id } = await dispute({ stage: 'inquiry' });
    await submit(id, 'we shipped it');
    await wait(119 * DAY);
    expect(await stripe.disputes.retrieve(id)).toMatchObject({ status: 'warning_under_review' });
    await wait(2 * DAY);
    expect(await stripe.disputes.retrieve(id)).toMatchObject({ status: 'warning_closed' });
  });

  it('closes an inquiry whose payment was refunded in full, and not one that was refunded in part', async () => {
    const [whole, part] = [await dispute({ stage: 'inquiry' }), await dispute({ stage: 'inquiry' })];
    await stripe.refunds.create({ payment_intent: whole.paymentId });
    await stripe.refunds.create({ payment_intent: part.paymentId, amount: 2000 });
    await wait(3);
    expect(await stripe.disputes.retrieve(whole.id)).toMatchObject({ status: 'warning_closed' });
    expect(await stripe.disputes.retrieve(part.id)).toMatchObject({ status: 'warning_needs_response' });
  });

  it('takes the whole amount of a chargeback although part was refunded during the inquiry: 120 lost on 100', async () => {
    const { id, paymentId } = await dispute({ stage: 'inquiry' });
    const refund = await stripe.refunds.create({ payment_intent: paymentId, amount: 2000 });
    await wait(300);
    await next(id, { do: 'escalate' });
    expect(await stripe.refunds.retrieve(refund.id)).toMatchObject({ status: 'succeeded' });
    const { payments } = (await (await fetch(`${simulators.url}/control/books`)).json()) as {
      payments: { movements: { type: string; amount: number }[] }[];
    };
    const moved = payments[0]?.movements.filter(({ type }) => type !== 'charge').reduce((sum, { amount }) => sum + amount, 0);
    expect(moved).toBe(-12_000);
  });

  it('stops a refund that still waits when the chargeback comes', async () => {
    const { paymentId } = await pay({ paymentMethod: 'pm_card_pendingRefund', refundDelayMs: 60_000 });
    const { disputeId } = await control<{ disputeId: string }>('/disputes', { paymentId, stage: 'inquiry' });
    const refund = await stripe.refunds.create({ payment_intent: paymentId, amount: 2000 });
    await next(disputeId, { do: 'escalate' });
    expect(await stripe.refunds.retrieve(refund.id)).toMatchObject({
      status: 'failed',
      failure_reason: 'charge_for_pending_refund_disputed',
    });
    expect(await refusal(stripe.refunds.create({ payment_intent: paymentId, amount: 2000 }))).toMatchObject({
      code: 'charge_disputed',
    });
  });

  it('calls a case lost whose due date passed without an answer, and escalates such an inquiry', async () => {
    const [chargeback, inquiry] = [await dispute({ dueInSeconds: 60 }), await dispute({ stage: 'inquiry', dueInSeconds: 60 })];
    await stripe.disputes.update(chargeback.id, { evidence: { customer_name: 'Ada' }, submit: false });
    await wait(61);
    expect(await stripe.disputes.retrieve(chargeback.id)).toMatchObject({ status: 'lost' });
    expect(await stripe.disputes.retrieve(inquiry.id)).toMatchObject({ status: 'needs_response' });
    expect(await booked(chargeback.id)).toMatchObject({ submissions: 0, packets: [] });
    await wait(20 * DAY);
    expect(await stripe.disputes.retrieve(inquiry.id)).toMatchObject({ status: 'lost' });
  });

  it('changes its mind late, and changes it back', async () => {
    const { id } = await dispute();
    const money = async () => (await stripe.disputes.retrieve(id)).balance_transactions.map(({ amount, fee }) => [amount, fee]);
    await next(id, { do: 'lose' });
    await next(id, { do: 'win' });
    expect(await stripe.disputes.retrieve(id)).toMatchObject({ status: 'won', is_charge_refundable: true });
    await next(id, { do: 'lose' });
    expect(await stripe.disputes.retrieve(id)).toMatchObject({ status: 'lost', is_charge_refundable: false });
    expect(await money()).toEqual([
      [-10_000, 1500],
      [10_000, 0],
      [-10_000, 0],
    ]);
  });

  it('gives part back on a lost case', async () => {
    const { id } = await dispute();
    await next(id, { do: 'lose', amount: 2000 });
    expect(await stripe.disputes.retrieve(id)).toMatchObject({
      status: 'lost',
      is_charge_refundable: false,
      balance_transactions: [{ amount: -10_000 }, { amount: 2000 }],
    });
    await next(id, { do: 'reinstate', amount: 500 });
    expect((await stripe.disputes.retrieve(id)).balance_transactions).toHaveLength(3);
  });

  it('hears an appeal, of which only the appeal can be answered', async () => {
    const { id } = await dispute();
    await submit(id, 'losing_evidence');
    await wait(3);
    await next(id, { do: 'appeal' });
    expect(await stripe.disputes.retrieve(id)).toMatchObject({ status: 'appeal_needs_response' });
    const other = refusal(stripe.disputes.update(id, { evidence: { uncategorized_text: 'more' } }));
    expect(await other).toMatchObject({ param: 'evidence[uncategorized_text]' });
    const card = { reason_for_filing: 'winning_evidence', supporting_files: [await upload(pdf(1))] };
    const answered = await stripe.disputes.update(id, { evidence: { appeal: { card } } });
    expect(answered).toMatchObject({
      status: 'appeal_under_review',
      evidence: { appeal: { card } },
      evidence_details: { submission_count: 2 },
    });
    await wait(3);
    expect(await stripe.disputes.retrieve(id)).toMatchObject({ status: 'won' });
    expect((await booked(id)).packets[1]).toMatchObject({ stage: 'appeal', evidence: { appeal: { card } } });
  });

  it('stops a case before it becomes a chargeback', async () => {
    const { id } = await dispute({ stage: 'inquiry' });
    await next(id, { do: 'prevent' });
    expect(await stripe.disputes.retrieve(id)).toMatchObject({ status: 'prevented', balance_transactions: [] });
  });

  it('can dispute another amount, in another currency, and a part twice', async () => {
    const { id, paymentId } = await dispute({ amount: 9000, currency: 'eur', takes: 9900 });
    expect(await stripe.disputes.retrieve(id)).toMatchObject({
      amount: 9000,
      currency: 'eur',
      balance_transactions: [{ amount: -9900, currency: 'usd', exchange_rate: 1.1 }],
    });
    await control('/disputes', { paymentId, amount: 3000 });
    expect((await stripe.disputes.list({ payment_intent: paymentId })).data).toHaveLength(2);
  });

  it.each(['lost', 'prevented', 'won', 'frozen_by_moonlight'])(
    'can open a case as %s, which nobody can answer',
    async (status) => {
      const { id } = await dispute({ status });
      expect(await stripe.disputes.retrieve(id)).toMatchObject({ status });
      expect(await refusal(submit(id, 'winning_evidence'))).toMatchObject({ statusCode: 400, code: undefined });
      expect(await refusal(stripe.disputes.close(id))).toMatchObject({ statusCode: 400, code: undefined });
    },
  );
});

describe('A submission', () => {
  it('is what an update means that does not say otherwise, even one that only changes metadata', async () => {
    const [first, second] = [await dispute(), await dispute()];
    expect(await stripe.disputes.update(first.id, { evidence: { customer_name: 'Ada' } })).toMatchObject({
      status: 'under_review',
    });
    await stripe.disputes.update(second.id, { evidence: { customer_name: 'Ada' }, submit: false });
    expect(await stripe.disputes.update(second.id, { metadata: { ours: 'dp_1' } })).toMatchObject({ status: 'under_review' });
    const { id } = await dispute();
    expect(await stripe.disputes.update(id, { metadata: { ours: 'dp_1' } })).toMatchObject({
      status: 'needs_response',
      metadata: { ours: 'dp_1' },
    });
  });

  it('is refused a second time, and so is staging after it', async () => {
    const { id } = await dispute();
    await submit(id, 'we shipped it');
    expect(await refusal(submit(id, 'and another thing'))).toMatchObject({ statusCode: 400 });
    const staging = stripe.disputes.update(id, { evidence: { customer_name: 'Ada' }, submit: false });
    expect(await refusal(staging)).toMatchObject({ statusCode: 400 });
    await next(id, { status: 'needs_response' });
    expect(await refusal(submit(id, 'and another thing'))).toMatchObject({ message: expect.stringMatching(/only once/) });
    expect(await booked(id)).toMatchObject({ submissions: 1, staged: 0 });
  });

  it.each([null, 0])('is refused where the due date is %s', async (dueInSeconds) => {
    const { id } = await dispute({ dueInSeconds });
    expect((await stripe.disputes.retrieve(id)).evidence_details.due_by).toBe(dueInSeconds);
    expect(await refusal(submit(id, 'winning_evidence'))).toMatchObject({ statusCode: 400 });
  });

  it('is refused when there is nothing to submit', async () => {
    expect(await refusal(stripe.disputes.update((await dispute()).id, { submit: true }))).toMatchObject({ param: 'evidence' });
  });

  it('comes from a colleague, or from Stripe itself at the due date unless that was declined', async () => {
    const { id } = await dispute();
    await stripe.disputes.update(id, { evidence: { customer_name: 'Ada' }, submit: false });
    await next(id, { do: 'colleague_submits' });
    expect(await booked(id)).toMatchObject({
      packets: [{ by: 'dashboard', idempotencyKey: null, evidence: { customer_name: 'Ada' } }],
    });
    const [left, declined] = [
      await dispute({ smartDisputes: true, dueInSeconds: 60 }),
      await dispute({ smartDisputes: true, dueInSeconds: 60 }),
    ];
    await stripe.disputes.update(declined.id, { intended_submission_method: 'manual', submit: false });
    await wait(61);
    expect(await stripe.disputes.retrieve(left.id)).toMatchObject({
      status: 'under_review',
      evidence_details: { submission_method: 'smart_disputes' },
    });
    expect(await stripe.disputes.retrieve(declined.id)).toMatchObject({ status: 'lost' });
    const without = stripe.disputes.update((await dispute()).id, { intended_submission_method: 'manual' });
    expect(await refusal(without)).toMatchObject({ code: 'smart_disputes_not_available' });
  });

  it('happens once for one key, also when its answer was lost or was a 500', async () => {
    const [dropped, failed] = [await dispute(), await dispute()];
    await control('/faults', { provider: 'stripe', call: 'disputes.update', fault: 'drop_answer', times: 2 });
    const drop = () =>
      stripe.disputes.update(dropped.id, { evidence: { customer_name: 'Ada' }, submit: true }, { idempotencyKey: 'one' });
    expect(await refusal(drop())).toMatchObject({ type: 'StripeConnectionError' });
    expect(await drop()).toMatchObject({ status: 'under_review' });
    await control('/faults', { provider: 'stripe', call: 'disputes.update', fault: 'status_500_saved', times: 1 });
    const fail = () =>
      stripe.disputes.update(failed.id, { evidence: { customer_name: 'Ada' }, submit: true }, { idempotencyKey: 'two' });
    expect(await refusal(fail())).toMatchObject({ statusCode: 500 });
    expect(await refusal(fail())).toMatchObject({ statusCode: 500, headers: { 'idempotent-replayed': 'true' } });
    for (const { id } of [dropped, failed]) expect(await booked(id)).toMatchObject({ submissions: 1, status: 'under_review' });
  });

  it('waits for nobody: its key is in use meanwhile, and its dispute locked', async () => {
    const { id } = await dispute();
    await control('/faults', { provider: 'stripe', call: 'disputes.update', fault: 'delay', delayMs: 300, times: 1 });
    const send = (idempotencyKey: string) =>
      stripe.disputes.update(id, { evidence: { customer_name: 'Ada' }, submit: true }, { idempotencyKey });
    const slow = send('once');
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(await refusal(send('once'))).toMatchObject({ statusCode: 409, code: 'idempotency_key_in_use' });
    expect(await refusal(send('twice'))).toMatchObject({ statusCode: 429, code: 'lock_timeout' });
    expect(await slow).toMatchObject({ status: 'under_review' });
  });
});

describe('Accepting', () => {
  it('ends a chargeback as lost, once', async () => {
    const { id } = await dispute();
    expect(await stripe.disputes.close(id)).toMatchObject({ status: 'lost' });
    expect(await refusal(stripe.disputes.close(id))).toMatchObject({ statusCode: 400, code: undefined });
    expect(await booked(id)).toMatchObject({ status: 'lost', closes: 1, submissions: 0 });
  });

  it('is no way out of an inquiry', async () => {
    expect(await refusal(stripe.disputes.close((await dispute({ stage: 'inquiry' })).id))).toMatchObject({ statusCode: 400 });
  });
});

describe('Evidence', () => {
  const long = 'x'.repeat(20_001);
  const nearly = 'x'.repeat(20_000);
  const identifiers = { customer_purchase_ip: '203.0.113.7', customer_account_id: 'ada' };

  it.each<[string, object, object]>([
    ['a field nobody knows', { surprise: 'x' }, { code: 'parameter_unknown', param: 'evidence[surprise]' }],
    ['a field of every object', { constructor: 'x' }, { code: 'parameter_unknown' }],
    ['a text that is too long', { uncategorized_text: long }, { param: 'evidence[uncategorized_text]' }],
    ['a short text that is too long', { customer_name: 'x'.repeat(5001) }, { param: 'evidence[customer_name]' }],
    [
      'more than 150,000 characters together',
      {
        ...Object.fromEntries(
          ['access_activity_log', 'cancellation_policy_disclosure', 'cancellation_rebuttal', 'product_description']
            .concat('duplicate_charge_explanation', 'refund_policy_disclosure', 'refund_refusal_explanation')
            .map((name) => [name, nearly]),
        ),
        uncategorized_text: 'x'.repeat(10_001),
      },
      { param: 'evidence' },
    ],
    ['a file that is not there', { receipt: 'file_unknown' }, { code: 'resource_missing', param: 'evidence[receipt]' }],
    ['an appeal where there is none', { appeal: { card: { reason_for_filing: 'x' } } }, { param: 'evidence[appeal]' }],
    [
      'a device id that is too short',
      { enhanced_evidence: { visa_compelling_evidence_3: { disputed_transaction: { customer_device_id: '12345678901234' } } } },
      { param: 'evidence[enhanced_evidence][visa_compelling_evidence_3][disputed_transaction][customer_device_id]' },
    ],
    [
      'a device fingerprint that is too short',
      {
        enhanced_evidence: {
          visa_compelling_evidence_3: { disputed_transaction: { customer_device_fingerprint: '1234567890123456789' } },
        },
      },
      { param: expect.stringMatching(/customer_device_fingerprint/) },
    ],
    [
      'a prior transaction without its charge',
      { enhanced_evidence: { visa_compelling_evidence_3: { prior_undisputed_transactions: [identifiers] } } },
      { code: 'parameter_missing' },
    ],
  ])('is refused whole for %s, and nothing changes', async (_, wrong, expected) => {
    const { id } = await dispute();
    await stripe.disputes.update(id, { evidence: { customer_email_address: 'ada@example.com' }, submit: false });
    const before = await stripe.disputes.retrieve(id);
    for (const submit of [false, true]) {
      const evidence = { shipping_carrier: 'UPS', ...wrong } as Stripe.DisputeUpdateParams.Evidence;
      expect(await refusal(stripe.disputes.update(id, { evidence, submit, metadata: { changed: 'yes' } }))).toMatchObject({
        statusCode: 400,
        ...expected,
      });
    }
    expect(await stripe.disputes.retrieve(id)).toEqual(before);
    expect(await booked(id)).toMatchObject({ submissions: 0, staged: 1, metadata: {} });
  });

  it('counts characters as readers do, and is emptied field by field', async () => {
    const { id } = await dispute();
    const seen = await stripe.disputes.update(id, { evidence: { uncategorized_text: '🙂'.repeat(20_000) }, submit: false });
    expect(seen.evidence_details.has_evidence).toBe(true);
    const emptied = await stripe.disputes.update(id, { evidence: { uncategorized_text: '' }, submit: false });
    expect(emptied).toMatchObject({ evidence: { uncategorized_text: null }, evidence_details: { has_evidence: false } });
  });

  it('has fewer than 50 pages in all its files, 19 at most for Mastercard, however a PDF is packed', async () => {
    const [visa, mastercard] = [await dispute(), await dispute({ brand: 'mastercard' })];
    const files: Record<string, string> = {};
    for (const packed of [false, true])
      for (const pages of [9, 10, 39, 40]) files[`${pages} ${packed}`] = await upload(pdf(pages, { packed }));
    for (const packed of [false, true]) {
      const stage = (id: string, one: number, other: number) => {
        const evidence = { receipt: files[`${one} ${packed}`] ?? '', uncategorized_file: files[`${other} ${packed}`] ?? '' };
        return stripe.disputes.update(id, { evidence, submit: false });
      };
      const tooMany = { code: 'dispute_evidence_page_limit_exceeded', statusCode: 400 };
      expect(await stage(visa.id, 39, 10)).toMatchObject({ evidence_details: { has_evidence: true } });
      expect(await refusal(stage(visa.id, 40, 10))).toMatchObject(tooMany);
      expect(await stage(mastercard.id, 9, 10)).toMatchObject({ evidence_details: { has_evidence: true } });
      expect(await refusal(stage(mastercard.id, 10, 10))).toMatchObject(tooMany);
    }
  });

  it('has files of 4.5 MB in all', async () => {
    const { id } = await dispute();
    const [receipt, other] = [await upload(pdf(1, { bytes: 2_500_000 })), await upload(pdf(1, { bytes: 2_500_000 }))];
    await stripe.disputes.update(id, { evidence: { receipt }, submit: false });
    const both = stripe.disputes.update(id, { evidence: { uncategorized_file: other }, submit: false });
    expect(await refusal(both)).toMatchObject({ param: 'evidence', message: expect.stringMatching(/4\.5 MB/) });
  });

  it('needs its network fee acknowledged in a compliance case', async () => {
    const { id } = await dispute({ caseType: 'compliance', brand: 'mastercard', reason: 'noncompliant' });
    expect(await refusal(submit(id, 'winning_evidence'))).toMatchObject({ param: expect.stringMatching(/fee_acknowledged/) });
    const enhanced_evidence = { mastercard_compliance: { fee_acknowledged: true } };
    const staged = await stripe.disputes.update(id, { evidence: { enhanced_evidence }, submit: false });
    expect(staged.evidence_details.enhanced_eligibility).toEqual({ mastercard_compliance: { status: 'fee_acknowledged' } });
    expect(await submit(id, 'winning_evidence')).toMatchObject({ status: 'under_review', evidence: { enhanced_evidence } });
    expect(await booked(id)).toMatchObject({ packets: [{ stage: 'compliance' }] });
  });

  it('under Compelling Evidence 3.0 has exactly two prior payments of 120 to 364 days before', async () => {
    const prior = async (daysAgo: number) => ({
      ...identifiers,
      charge: (await pay({ daysAgo })).chargeId,
      product_description: 'Tea',
    });
    const { id } = await dispute({ reason: 'fraudulent' });
    const answer = (...prior_undisputed_transactions: { charge: string }[]) => {
      const disputed_transaction = { ...identifiers, merchandise_or_services: 'merchandise', product_description: 'Tea' };
      const visa_compelling_evidence_3 = { disputed_transaction, prior_undisputed_transactions };
      return stripe.disputes.update(id, { evidence: { enhanced_evidence: { visa_compelling_evidence_3 } } });
    };
    const [recent, young, old, ancient] = [await prior(119), await prior(121), await prior(364), await prior(366)];
    for (const wrong of [[young], [young, old, await prior(200)], [young, young], [recent, old], [young, ancient]])
      expect(await refusal(answer(...wrong))).toMatchObject({ param: expect.stringMatching(/prior_undisputed_transactions/) });
    const other = await dispute({ reason: 'product_not_received' });
    const visa_compelling_evidence_3 = { prior_undisputed_transactions: [young, old] };
    const wrongCase = stripe.disputes.update(other.id, { evidence: { enhanced_evidence: { visa_compelling_evidence_3 } } });
    expect(await refusal(wrongCase)).toMatchObject({ message: expect.stringMatching(/not eligible/) });
    expect(await answer(young, old)).toMatchObject({
      status: 'under_review',
      evidence_details: { enhanced_eligibility: { visa_compelling_evidence_3: { status: 'qualified', required_actions: [] } } },
      evidence: { enhanced_evidence: { visa_compelling_evidence_3: { prior_undisputed_transactions: [young, old] } } },
    });
  });
});

describe('A file', () => {
  it('is uploaded once for one key, and read back', async () => {
    const file = { data: pdf(3), name: 'Rechnung "März".pdf', type: 'application/pdf' };
    const send = (data = file.data) =>
      stripe.files.create({ purpose: 'dispute_evidence', file: { ...file, data } }, { idempotencyKey: 'file:1' });
    const first = await send();
    expect(first).toMatchObject({ object: 'file', purpose: 'dispute_evidence', type: 'pdf', size: file.data.length });
    expect(await send()).toEqual(first);
    expect(await refusal(send(pdf(4)))).toMatchObject({ type: 'StripeIdempotencyError' });
    expect(await stripe.files.retrieve(first.id)).toEqual(first);
    const { files } = (await (await fetch(`${simulators.url}/control/books`)).json()) as { files: unknown[] };
    expect(files).toMatchObject([{ id: first.id, pages: 3, size: file.data.length, idempotencyKey: 'file:1' }]);
  });

  it('survives a saved 500 in the books alone', async () => {
    await control('/faults', { provider: 'stripe', call: 'files.create', fault: 'status_500_saved', times: 1 });
    expect(await refusal(upload(pdf(1)))).toMatchObject({ statusCode: 500 });
    const { files } = (await (await fetch(`${simulators.url}/control/books`)).json()) as { files: unknown[] };
    expect(files).toHaveLength(1);
  });

  it('can be a picture', async () => {
    const png = await stripe.files.create({
      purpose: 'dispute_evidence',
      file: { data: Buffer.from('\x89PNG\r\n\x1a\nrest', 'latin1'), name: 'a.png', type: 'image/png' },
    });
    expect(png.type).toBe('png');
  });

  it.each<[string, () => Partial<Stripe.FileCreateParams>, object]>([
    [
      'of no known kind',
      () => ({ file: { data: Buffer.from('hello'), name: 'a.pdf', type: 'application/pdf' } }),
      { param: 'file' },
    ],
    ['of no content', () => ({ file: { data: Buffer.alloc(0), name: 'a.pdf', type: 'application/pdf' } }), { param: 'file' }],
    [
      'of more than 5 MB',
      () => ({ file: { data: pdf(1, { bytes: 5_000_001 }), name: 'a.pdf', type: 'application/pdf' } }),
      { param: 'file', message: expect.stringMatching(/5 MB/) },
    ],
    ['for no known purpose', () => ({ purpose: 'fun' }), { param: 'purpose' }],
  ])('is refused: one %s', async (_, more, expected) => {
    expect(await refusal(upload(pdf(1), more()))).toMatchObject({ statusCode: 400, ...expected });
  });

  it('for another purpose is no evidence', async () => {
    const receipt = await upload(pdf(1), { purpose: 'identity_document' });
    const { id } = await dispute();
    const staging = stripe.disputes.update(id, { evidence: { receipt }, submit: false });
    expect(await refusal(staging)).toMatchObject({ param: 'evidence[receipt]', message: expect.stringMatching(/purpose/) });
  });

  it('is no evidence any more after nine months', async () => {
    const receipt = await upload(pdf(1));
    await wait(271 * DAY);
    const { id } = await dispute();
    expect(await refusal(stripe.disputes.update(id, { evidence: { receipt } }))).toMatchObject({ code: 'resource_missing' });
  });
});

describe('A test payment method', () => {
  it.each([
    ['pm_card_createDispute', ['fraudulent 10.4 chargeback 10000']],
    ['pm_card_createDisputeProductNotReceived', ['product_not_received 13.1 chargeback 10000']],
    ['pm_card_createDisputeInquiry', ['fraudulent 10.4 inquiry 10000']],
    ['pm_card_createMultipleDisputes', ['fraudulent 10.4 chargeback 5000', 'product_not_received 13.1 chargeback 5000']],
    ['pm_card_createCe3EligibleDispute', ['fraudulent 10.4 chargeback 10000']],
    ['pm_card_createComplianceDispute', ['noncompliant 98 compliance 10000']],
    ['pm_card_createMastercardComplianceDispute', ['noncompliant null compliance 10000']],
    ['pm_card_createAutoRepresentmentEligibleDispute', ['product_not_received 13.1 chargeback 10000']],
    ['pm_card_visa', []],
  ])('%s gets its payment into %j', async (paymentMethod, expected) => {
    const { paymentId } = await pay({ paymentMethod });
    expect((await stripe.disputes.list({ payment_intent: paymentId })).data).toEqual([]);
    await wait(1);
    const { data } = await stripe.disputes.list({ payment_intent: paymentId });
    const seen = data.map(
      (row) => `${row.reason} ${row.network_reason_code} ${row.payment_method_details?.card?.case_type} ${row.amount}`,
    );
    expect(seen.reverse()).toEqual(expected);
  });

  it('pm_card_createAutoRepresentmentEligibleDispute is answered by Stripe at its due date', async () => {
    const { paymentId } = await pay({ paymentMethod: 'pm_card_createAutoRepresentmentEligibleDispute' });
    await wait(10 * DAY);
    const [seen] = (await stripe.disputes.list({ payment_intent: paymentId })).data;
    expect(seen).toMatchObject({ status: 'under_review', evidence_details: { submission_method: 'smart_disputes' } });
  });

  it('pm_card_createIssuerFraudRecord brings a warning, which a dispute or a full refund settles', async () => {
    const [disputed, refunded] = [
      await pay({ paymentMethod: 'pm_card_createIssuerFraudRecord' }),
      await pay({ paymentMethod: 'pm_card_createIssuerFraudRecord' }),
    ];
    await wait(1);
    const of = async (payment_intent: string) => (await stripe.radar.earlyFraudWarnings.list({ payment_intent })).data[0];
    const warning = await of(disputed.paymentId);
    expect(warning).toMatchObject({ actionable: true, charge: disputed.chargeId, fraud_type: 'unauthorized_use_of_card' });
    await stripe.refunds.create({ payment_intent: refunded.paymentId, amount: 1 });
    expect(await of(refunded.paymentId)).toMatchObject({ actionable: true });
    await stripe.refunds.create({ payment_intent: refunded.paymentId });
    await control('/disputes', { paymentId: disputed.paymentId });
    for (const { paymentId } of [disputed, refunded]) expect(await of(paymentId)).toMatchObject({ actionable: false });
    expect(await stripe.radar.earlyFraudWarnings.retrieve(warning?.id ?? '')).toMatchObject({ id: warning?.id });
    const types = (await stripe.events.list({ types: ['radar.early_fraud_warning.updated'] })).data;
    expect(types).toHaveLength(2);
  });
});

describe('Webhooks', () => {
  it('tell of a case in the order of the sandbox, with what changed and whose key changed it', async () => {
    const { id } = await dispute();
    const evidence = { uncategorized_text: 'winning_evidence' };
    await stripe.disputes.update(id, { evidence }, { idempotencyKey: 'evidence:1' });
    await wait(3);
    const log = (await stripe.events.list({ limit: 100 })).data.reverse();
    expect(log.map(({ type }) => type.replace('charge.dispute.', ''))).toEqual([
      'created',
      'funds_withdrawn',
      'updated',
      'funds_reinstated',
      'closed',
    ]);
    expect(log[2]).toMatchObject({
      request: { idempotency_key: 'evidence:1' },
      data: { object: { id, status: 'under_review' }, previous_attributes: { status: 'needs_response' } },
    });
    expect(await events(5)).toHaveLength(5);
  });

  it.each([
    ['lose', ['funds_withdrawn']],
    ['double', ['created', 'created', 'funds_withdrawn']],
    ['delay', ['funds_withdrawn', 'created']],
    ['reorder', ['funds_withdrawn', 'created']],
  ])('can go wrong: %s', async (webhook, expected) => {
    await control('/faults', { provider: 'stripe', webhook, times: 1, delayMs: 300 });
    await dispute();
    const types = (await events(expected.length)).map((type) => type.replace('charge.dispute.', ''));
    expect(webhook === 'double' ? types.sort() : types).toEqual(expected);
  });
});
