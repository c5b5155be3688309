import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Evidence, FilePlace } from '#domain/dispute/evidence';
import type { EvidenceOrder } from '#domain/ports/dispute-provider';
import type { CallContext, CallTrace } from '#domain/ports/refund-provider';
import { cutShort, hangUp, json, reset, ScriptedServer, silence, text, type Reply } from '../../../test/fakes/scripted-server.js';
import { StripeDisputes } from './stripe-disputes.js';

const now = new Date('2026-11-01T10:00:00.000Z');
const seconds = now.getTime() / 1_000;

const withdrawal = {
  id: 'txn_1',
  object: 'balance_transaction',
  amount: -10000,
  fee: 1500,
  net: -11500,
  currency: 'usd',
  created: seconds - 60,
  type: 'adjustment',
};
const card = { brand: 'visa', network: 'visa', case_type: 'chargeback', network_reason_code: '13.1' };
const details = {
  due_by: seconds + 8 * 86_400,
  has_evidence: false,
  past_due: false,
  submission_count: 0,
  submission_method: 'not_submitted',
  enhanced_eligibility: {},
};
const dispute = {
  id: 'du_1',
  object: 'dispute',
  amount: 10000,
  currency: 'usd',
  status: 'needs_response',
  reason: 'product_not_received',
  network_reason_code: '13.1',
  charge: 'ch_1',
  payment_intent: 'pi_1',
  created: seconds - 100,
  is_charge_refundable: false,
  livemode: false,
  balance_transactions: [withdrawal],
  enhanced_eligibility_types: [],
  evidence: {},
  evidence_details: details,
  payment_method_details: { type: 'card', card },
};
const inCase = (case_type: unknown, more: object = {}) => ({
  ...dispute,
  ...more,
  payment_method_details: { type: 'card', card: { ...card, case_type } },
});
const answered = {
  ...dispute,
  status: 'under_review',
  evidence_details: { ...details, submission_count: 1, submission_method: 'manual' },
};
const report = {
  providerDisputeId: 'du_1',
  payment: 'pi_1',
  stage: 'chargeback',
  status: 'needs_response',
  providerStatus: 'needs_response',
  amount: 10000n,
  currency: 'USD',
  reason: 'product_not_received',
  networkReasonCode: '13.1',
  network: 'visa',
  refundable: false,
  dueBy: new Date((seconds + 8 * 86_400) * 1_000),
  submissions: 0,
  submittedBy: null,
  submittedLate: false,
  eligibilities: [],
  movements: [
    { id: 'txn_1', kind: 'withdrawal', amount: 10000n, currency: 'USD', fee: 1500n, at: new Date((seconds - 60) * 1_000) },
  ],
  openedAt: new Date((seconds - 100) * 1_000),
  at: now,
};
const list = (data: unknown[], more = false) => ({ object: 'list', data, has_more: more, url: '/v1/disputes' });
const refusal = (error: object) => ({ error: { type: 'invalid_request_error', message: 'No.', ...error } });

const order: EvidenceOrder = {
  providerDisputeId: 'du_1',
  content: { uncategorizedText: 'The parcel came.' },
  files: [],
  emptied: [],
  submissions: 0,
  stage: 'chargeback',
};

let server: ScriptedServer;
let stripe: StripeDisputes;
beforeAll(async () => {
  server = await ScriptedServer.start();
  stripe = new StripeDisputes({
    account: 'default',
    apiKey: 'sk_test_secret',
    webhookSecrets: ['whsec_x'],
    apiBase: `${server.url}/stripe`,
  });
});
afterAll(() => server.close());

function context(deadlineMs = 5_000): CallContext & { readonly traces: CallTrace[] } {
  const traces: CallTrace[] = [];
  return { deadline: AbortSignal.timeout(deadlineMs), now, trace: (trace) => traces.push(trace), traces };
}
const requests = () => server.requests.map(({ method, path }) => `${method} ${decodeURIComponent(path)}`);
const form = (at: number) => Object.fromEntries(new URLSearchParams(server.requests[at]?.body));
const read = async (body: unknown) => {
  server.answers(json(200, body));
  return stripe.readDispute('du_1', context());
};

/** What cannot be undone: each is preceded by a look. */
const irreversible = [
  ['submitting', (call = context()) => stripe.submit(order, 'k', call), 'POST /stripe/v1/disputes/du_1'],
  ['accepting', (call = context()) => stripe.accept(order, 'k', call), 'POST /stripe/v1/disputes/du_1/close'],
] as const;
const staging = ['staging', (call = context()) => stripe.stage(order, 'k', call), 'POST /stripe/v1/disputes/du_1'] as const;
const look = 'GET /stripe/v1/disputes/du_1';

describe('A dispute is read from Stripe', () => {
  it('with all that Stripe says of it', async () => {
    server.answers(json(200, dispute, { 'request-id': 'req_1' }));
    const call = context();
    await expect(stripe.readDispute('du_1', call)).resolves.toEqual({ kind: 'found', report });
    expect(requests()).toEqual([look]);
    expect(call.traces).toMatchObject([{ call: 'GET /v1/disputes/du_1', requestId: 'req_1', result: 'answered' }]);
  });

  it.each([
    ['warning_needs_response', 'inquiry', 'needs_response'],
    ['warning_under_review', 'inquiry', 'under_review'],
    ['warning_closed', 'inquiry', 'closed'],
    ['needs_response', 'chargeback', 'needs_response'],
    ['under_review', 'chargeback', 'under_review'],
    ['appeal_needs_response', 'appeal', 'needs_response'],
    ['appeal_under_review', 'appeal', 'under_review'],
    ['won', 'chargeback', 'won'],
    ['lost', 'chargeback', 'lost'],
    ['prevented', 'prevention', 'prevented'],
    ['on_the_moon', 'chargeback', 'unknown'],
    ['', 'chargeback', 'unknown'],
  ])('%p of a chargeback is stage %s, status %s', async (status, stage, ours) => {
    const found = { stage, status: ours, providerStatus: status };
    await expect(read({ ...dispute, status })).resolves.toMatchObject({ kind: 'found', report: found });
  });

  it.each([
    ['needs_response', 'chargeback', 'chargeback'],
    ['needs_response', 'compliance', 'compliance'],
    ['needs_response', 'resolution', 'prevention'],
    ['needs_response', 'block', 'prevention'],
    ['needs_response', 'never_heard_of', 'chargeback'],
    ['needs_response', undefined, 'chargeback'],
    ['under_review', 'compliance', 'compliance'],
    ['under_review', undefined, 'chargeback'],
    ['won', 'compliance', 'compliance'],
    ['needs_response', 'inquiry', 'chargeback'],
    ['lost', 'inquiry', null],
    ['lost', 'block', 'prevention'],
    ['won', 'never_heard_of', null],
    ['lost', undefined, null],
    ['on_the_moon', 'compliance', 'compliance'],
    ['warning_on_the_moon', 'inquiry', 'inquiry'],
    ['on_the_moon', undefined, null],
    ['warning_needs_response', 'chargeback', 'inquiry'],
    ['appeal_needs_response', 'compliance', 'appeal'],
    ['prevented', 'chargeback', 'prevention'],
  ])('%s in a case of type %p is of the stage %p', async (status, caseType, stage) => {
    await expect(read(inCase(caseType, { status }))).resolves.toMatchObject({ report: { stage } });
  });

  it.each([
    ['klarna', { type: 'klarna', klarna: { reason_code: 'x' } }],
    ['nothing that is told', undefined],
    ['null', null],
  ])('that was paid with %s, as a chargeback', async (_what, payment_method_details) => {
    const paidOtherwise = { ...dispute, payment_method_details, network_reason_code: undefined };
    await expect(read(paidOtherwise)).resolves.toMatchObject({
      report: { stage: 'chargeback', network: null, networkReasonCode: null },
    });
  });

  it.each([
    ['at a time', seconds + 60, new Date((seconds + 60) * 1_000)],
    ['never, by null', null, null],
    ['never, by 0', 0, null],
    ['never, by nothing', undefined, null],
  ])('that is due %s', async (_when, due_by, dueBy) => {
    await expect(read({ ...dispute, evidence_details: { ...details, due_by } })).resolves.toMatchObject({ report: { dueBy } });
  });

  it.each([
    ['its PaymentIntent', { payment_intent: 'pi_1' }, 'pi_1'],
    ['its PaymentIntent, sent along whole', { payment_intent: { id: 'pi_1', object: 'payment_intent' } }, 'pi_1'],
    ['its charge, where there is no PaymentIntent', { payment_intent: null }, 'ch_1'],
    ['no payment, where it names none', { payment_intent: null, charge: null }, null],
  ])('of %s', async (_what, named, payment) => {
    await expect(read({ ...dispute, ...named })).resolves.toMatchObject({ report: { payment } });
  });

  it.each([
    ['manual', 'manual'],
    ['smart_disputes', 'smart_disputes'],
    ['by_pigeon', 'by_pigeon'],
    ['not_submitted', null],
    [undefined, null],
  ])('with who submitted last: %p is %p', async (submission_method, submittedBy) => {
    const evidence_details = { ...details, submission_count: 2, submission_method };
    await expect(read({ ...dispute, evidence_details })).resolves.toMatchObject({ report: { submissions: 2, submittedBy } });
  });

  it.each([true, false])('with whether that came after the deadline: %p', async (past_due) => {
    const evidence_details = { ...details, submission_count: 1, past_due };
    await expect(read({ ...dispute, evidence_details })).resolves.toMatchObject({ report: { submittedLate: past_due } });
  });

  it("with the network's code where the card has it, and its network where only the brand is told", async () => {
    const details = { type: 'card', card: { brand: 'mastercard', case_type: 'chargeback', network_reason_code: '4853' } };
    const older = { ...dispute, network_reason_code: undefined, payment_method_details: details };
    await expect(read(older)).resolves.toMatchObject({ report: { network: 'mastercard', networkReasonCode: '4853' } });
  });

  it('with what it may be answered under', async () => {
    const enhanced_eligibility = {
      visa_compelling_evidence_3: { status: 'requires_action', required_actions: ['missing_customer_identifiers'] },
      visa_compliance: { status: 'requires_fee_acknowledgement' },
      of_next_year: 'yes',
    };
    const enhanced_eligibility_types = ['visa_compelling_evidence_3', 'mastercard_compliance'];
    const evidence_details = { ...details, enhanced_eligibility };
    await expect(read({ ...dispute, enhanced_eligibility_types, evidence_details })).resolves.toMatchObject({
      report: {
        eligibilities: [
          {
            programme: 'visa_compelling_evidence_3',
            status: 'requires_action',
            requiredActions: ['missing_customer_identifiers'],
          },
          { programme: 'mastercard_compliance', status: null, requiredActions: [] },
          { programme: 'visa_compliance', status: 'requires_fee_acknowledgement', requiredActions: [] },
          { programme: 'of_next_year', status: null, requiredActions: [] },
        ],
      },
    });
  });

  it.each([
    ['nothing has moved', [], []],
    ['it came back, with the fee', [{ ...withdrawal, amount: 10000, fee: -1500 }], [['reinstatement', 10000n, 'USD', -1500n]]],
    [
      'it was taken in another currency than it is disputed in',
      [{ ...withdrawal, amount: -9313, fee: 2000, currency: 'eur' }],
      [['withdrawal', 9313n, 'EUR', 2000n]],
    ],
    ['a part came back', [withdrawal, { ...withdrawal, id: 'txn_2', amount: 2000, fee: 0 }], [['withdrawal', 10000n, 'USD', 1500n], ['reinstatement', 2000n, 'USD', 0n]]], // prettier-ignore
    ['it settles in whole yen', [{ ...withdrawal, amount: -500, currency: 'jpy' }], [['withdrawal', 500n, 'JPY', 1500n]]],
    ['it settles in krónur', [{ ...withdrawal, amount: -50000, fee: 0, currency: 'isk' }], [['withdrawal', 500n, 'ISK', 0n]]],
    ['only a fee was taken', [{ ...withdrawal, amount: 0 }], []],
    ['no fee is told', [{ ...withdrawal, fee: undefined }], [['withdrawal', 10000n, 'USD', 0n]]],
  ])('with its money when %s', async (_when, balance_transactions, moved) => {
    const answer = await read({ ...dispute, balance_transactions });
    const movements = answer.kind === 'found' ? answer.report.movements : [];
    expect(movements.map(({ kind, amount, currency, fee }) => [kind, amount, currency, fee])).toEqual(moved);
  });

  it.each([
    ['in whole krónur', 50000, 'isk', 500n],
    ['rounded up where minor units cannot say it exactly', 50001, 'isk', 501n],
    ['in units of the provider where those of the currency are not known', 12345, 'xxy', 12345n],
    ['in a currency that ISO divides and Stripe does not', 7, 'mga', 700n],
    ['of nothing', 0, 'usd', 0n],
  ])('with its amount %s', async (_how, amount, currency, told) => {
    await expect(read({ ...dispute, amount, currency })).resolves.toMatchObject({
      kind: 'found',
      report: { amount: told, currency: currency.toUpperCase(), status: 'needs_response' },
    });
  });

  it.each([
    ['another object', { ...dispute, object: 'charge' }],
    ['no id', { ...dispute, id: undefined }],
    ['no status', { ...dispute, status: null }],
    ['no currency', { ...dispute, currency: undefined }],
    ['no amount', { ...dispute, amount: undefined }],
    ['an amount that is none', { ...dispute, amount: '100' }],
    ['half an amount', { ...dispute, amount: 0.5 }],
    ['no time', { ...dispute, created: undefined }],
    ['no count of submissions', { ...dispute, evidence_details: { ...details, submission_count: undefined } }],
    ['no details', { ...dispute, evidence_details: null }],
    ['no list of movements', { ...dispute, balance_transactions: undefined }],
    ['a movement that is only named', { ...dispute, balance_transactions: ['txn_1'] }],
    ['a movement without an amount', { ...dispute, balance_transactions: [{ ...withdrawal, amount: null }] }],
    ['a movement without a time', { ...dispute, balance_transactions: [{ ...withdrawal, created: null }] }],
  ])('and is not known when the answer has %s', async (_what, body) => {
    await expect(read(body)).resolves.toMatchObject({ kind: 'unread' });
  });

  it.each([
    [404, { code: 'resource_missing', param: 'dispute' }, 'absent'],
    [404, {}, 'parked'],
    [401, {}, 'parked'],
    [403, {}, 'parked'],
    [409, { type: 'idempotency_error' }, 'later'],
    [429, { code: 'rate_limit' }, 'later'],
    [429, { code: 'lock_timeout' }, 'later'],
    [500, { type: 'api_error' }, 'unread'],
    [400, { code: 'never_heard_of' }, 'unread'],
  ])('%p %p: %s', async (status, error, kind) => {
    server.answers(json(status, refusal(error)));
    await expect(stripe.readDispute('du_1', context())).resolves.toMatchObject({ kind });
    await expect(stripe.readWarning('issfr_1', context())).resolves.toMatchObject({ kind });
  });

  it.each(['', '..', '../charges', 'du_1?expand[]=charge', 'du 1', '\u0000'])(
    'and %p is nothing that Stripe could have',
    async (name) => {
      server.answers(json(200, dispute));
      await expect(stripe.readDispute(name, context())).resolves.toEqual({ kind: 'absent', at: now });
      await expect(stripe.readWarning(name, context())).resolves.toEqual({ kind: 'absent', at: now });
      const named = { ...order, providerDisputeId: name };
      for (const answer of [
        stripe.stage(named, 'k', context()),
        stripe.submit(named, 'k', context()),
        stripe.accept(named, 'k', context()),
      ])
        await expect(answer).resolves.toMatchObject({ kind: 'refused', code: 'dispute_not_found' });
      expect(server.requests).toHaveLength(0);
    },
  );
});

describe('The disputes of an account', () => {
  const since = new Date('2026-10-01T00:00:00.900Z');

  it('are listed from a second on, a hundred to a page, newest first', async () => {
    server.answers(json(200, list([dispute, { ...dispute, id: 'du_0', status: 'lost' }], true)), json(200, list([])));
    await expect(stripe.listDisputes(since, null, context())).resolves.toMatchObject({
      kind: 'page',
      disputes: [report, { providerDisputeId: 'du_0', status: 'lost' }],
      next: 'du_0',
    });
    await expect(stripe.listDisputes(since, 'du_0', context())).resolves.toEqual({
      kind: 'page',
      disputes: [],
      unread: [],
      next: null,
    });
    const from = Math.floor(since.getTime() / 1_000);
    expect(requests()).toEqual([
      `GET /stripe/v1/disputes?created[gte]=${from}&limit=100`,
      `GET /stripe/v1/disputes?created[gte]=${from}&limit=100&starting_after=du_0`,
    ]);
  });

  it('are known although one of them cannot be read there; that one by its id', async () => {
    const broken = { ...dispute, id: 'du_0', balance_transactions: 'none' };
    server.answers(json(200, list([dispute, broken], true)));
    await expect(stripe.listDisputes(since, null, context())).resolves.toMatchObject({
      kind: 'page',
      disputes: [report],
      unread: ['du_0'],
      next: 'du_0',
    });
  });

  it.each([
    ['it has something else in it', json(200, list([dispute, { object: 'charge', id: 'ch_1' }])), 'unread'],
    ['it promises more and gives nothing', json(200, list([], true)), 'unread'],
    ['it is no list', json(200, dispute), 'unread'],
    ['it is not there', json(404, refusal({ code: 'resource_missing', param: 'starting_after' })), 'unread'],
    ['Stripe fails', json(500, refusal({ type: 'api_error' })), 'unread'],
    ['Stripe is asked too often', json(429, refusal({ code: 'rate_limit' })), 'later'],
    ['the key is wrong', json(401, refusal({})), 'parked'],
  ])('are not known when of a page %s', async (_what, reply, kind) => {
    server.answers(reply);
    await expect(stripe.listDisputes(since, null, context())).resolves.toMatchObject({ kind });
  });
});

describe('An early fraud warning', () => {
  const warning = {
    id: 'issfr_1',
    object: 'radar.early_fraud_warning',
    actionable: true,
    charge: 'ch_1',
    payment_intent: 'pi_1',
    created: seconds - 5,
    fraud_type: 'made_with_stolen_card',
    livemode: false,
  };

  it('is read with its payment', async () => {
    server.answers(json(200, warning), json(200, { ...warning, payment_intent: undefined, actionable: false }));
    await expect(stripe.readWarning('issfr_1', context())).resolves.toEqual({
      kind: 'found',
      warning: {
        providerWarningId: 'issfr_1',
        payment: 'pi_1',
        actionable: true,
        fraudType: 'made_with_stolen_card',
        openedAt: new Date((seconds - 5) * 1_000),
        at: now,
      },
    });
    await expect(stripe.readWarning('issfr_1', context())).resolves.toMatchObject({
      warning: { payment: 'ch_1', actionable: false },
    });
    expect(requests()[0]).toBe('GET /stripe/v1/radar/early_fraud_warnings/issfr_1');
  });

  it.each([
    ['another object', { ...warning, object: 'dispute' }],
    ['no id', { ...warning, id: 7 }],
    ['no time', { ...warning, created: null }],
  ])('is not known when the answer has %s', async (_what, body) => {
    server.answers(json(200, body));
    await expect(stripe.readWarning('issfr_1', context())).resolves.toMatchObject({ kind: 'unread' });
  });
});

describe('Evidence goes to Stripe', () => {
  const staged = async (more: Partial<EvidenceOrder>) => {
    server.answers(json(200, dispute));
    await stripe.stage({ ...order, content: {}, ...more }, 'k', context());
    const { submit, ...fields } = form(0);
    expect(submit).toBe('false');
    return fields;
  };

  it.each([
    ['accessActivityLog', 'access_activity_log'],
    ['billingAddress', 'billing_address'],
    ['cancellationPolicyDisclosure', 'cancellation_policy_disclosure'],
    ['cancellationRebuttal', 'cancellation_rebuttal'],
    ['customerEmailAddress', 'customer_email_address'],
    ['customerName', 'customer_name'],
    ['customerPurchaseIp', 'customer_purchase_ip'],
    ['duplicateChargeExplanation', 'duplicate_charge_explanation'],
    ['duplicateChargeId', 'duplicate_charge_id'],
    ['productDescription', 'product_description'],
    ['refundPolicyDisclosure', 'refund_policy_disclosure'],
    ['refundRefusalExplanation', 'refund_refusal_explanation'],
    ['serviceDate', 'service_date'],
    ['shippingAddress', 'shipping_address'],
    ['shippingCarrier', 'shipping_carrier'],
    ['shippingDate', 'shipping_date'],
    ['shippingTrackingNumber', 'shipping_tracking_number'],
    ['uncategorizedText', 'uncategorized_text'],
  ] as const)('with the text of %s as %s, and empty where it is to be held no more', async (name, theirs) => {
    const said = 'Ünïcode & \n100 %';
    expect(await staged({ content: { [name]: said } as Evidence })).toEqual({ [`evidence[${theirs}]`]: said });
    expect(await staged({ emptied: [name] })).toEqual({ [`evidence[${theirs}]`]: '' });
  });

  it.each([
    ['cancellationPolicy', 'cancellation_policy'],
    ['customerCommunication', 'customer_communication'],
    ['customerSignature', 'customer_signature'],
    ['duplicateChargeDocumentation', 'duplicate_charge_documentation'],
    ['receipt', 'receipt'],
    ['refundPolicy', 'refund_policy'],
    ['serviceDocumentation', 'service_documentation'],
    ['shippingDocumentation', 'shipping_documentation'],
    ['uncategorizedFile', 'uncategorized_file'],
  ] as const)('with the file at %s as %s, and empty where it is to be held no more', async (place, theirs) => {
    const file = { place, providerFileId: 'file_1' };
    expect(await staged({ files: [file] })).toEqual({ [`evidence[${theirs}]`]: 'file_1' });
    expect(await staged({ emptied: [place] })).toEqual({ [`evidence[${theirs}]`]: '' });
  });

  it('with the two earlier payments of Compelling Evidence 3.0', async () => {
    const same = {
      customerAccountId: 'ann',
      customerDeviceFingerprint: 'f'.repeat(20),
      customerDeviceId: 'd'.repeat(15),
      customerEmailAddress: 'ann@example.com',
      customerPurchaseIp: '203.0.113.7',
      productDescription: 'Two chairs',
      shippingAddress: { city: 'Linz', country: 'AT', line1: 'Hauptplatz 1', line2: 'Tür 2', postalCode: '4020', state: 'OÖ' },
    };
    const visaCompellingEvidence3 = {
      disputedTransaction: { ...same, merchandiseOrServices: 'merchandise' as const },
      priorUndisputedTransactions: [
        { ...same, charge: 'ch_a' },
        { charge: 'ch_b', customerPurchaseIp: '203.0.113.8' },
      ],
    };
    const there = 'evidence[enhanced_evidence][visa_compelling_evidence_3]';
    const sameAt = (at: string) => ({
      [`${there}${at}[customer_account_id]`]: 'ann',
      [`${there}${at}[customer_device_fingerprint]`]: 'f'.repeat(20),
      [`${there}${at}[customer_device_id]`]: 'd'.repeat(15),
      [`${there}${at}[customer_email_address]`]: 'ann@example.com',
      [`${there}${at}[customer_purchase_ip]`]: '203.0.113.7',
      [`${there}${at}[product_description]`]: 'Two chairs',
      [`${there}${at}[shipping_address][city]`]: 'Linz',
      [`${there}${at}[shipping_address][country]`]: 'AT',
      [`${there}${at}[shipping_address][line1]`]: 'Hauptplatz 1',
      [`${there}${at}[shipping_address][line2]`]: 'Tür 2',
      [`${there}${at}[shipping_address][postal_code]`]: '4020',
      [`${there}${at}[shipping_address][state]`]: 'OÖ',
    });
    expect(await staged({ content: { enhancedEvidence: { visaCompellingEvidence3 } } })).toEqual({
      ...sameAt('[disputed_transaction]'),
      [`${there}[disputed_transaction][merchandise_or_services]`]: 'merchandise',
      ...sameAt('[prior_undisputed_transactions][0]'),
      [`${there}[prior_undisputed_transactions][0][charge]`]: 'ch_a',
      [`${there}[prior_undisputed_transactions][1][charge]`]: 'ch_b',
      [`${there}[prior_undisputed_transactions][1][customer_purchase_ip]`]: '203.0.113.8',
    });
  });

  it.each([
    ['visaCompliance', 'visa_compliance', true],
    ['mastercardCompliance', 'mastercard_compliance', true],
    ['visaCompliance', 'visa_compliance', false],
  ])('with the fee of %s acknowledged as %s: %p', async (programme, theirs, feeAcknowledged) => {
    expect(await staged({ content: { enhancedEvidence: { [programme]: { feeAcknowledged } } } })).toEqual({
      [`evidence[enhanced_evidence][${theirs}][fee_acknowledged]`]: String(feeAcknowledged),
    });
  });

  const supporting = ['file_1', 'file_2'].map((providerFileId) => ({ place: 'appealSupportingFiles' as const, providerFileId }));
  const appeal = { card: { reasonForFiling: 'The signature was overlooked.' } };
  const reason = { 'evidence[appeal][card][reason_for_filing]': 'The signature was overlooked.' };
  const documents = {
    'evidence[appeal][card][supporting_files][0]': 'file_1',
    'evidence[appeal][card][supporting_files][1]': 'file_2',
  };
  it.each<[string, Partial<EvidenceOrder>, object]>([
    ['an appeal and its documents', { content: { appeal }, files: supporting }, { ...reason, ...documents }],
    ['an appeal without documents', { content: { appeal } }, reason],
    ['the documents of an appeal alone', { files: supporting }, documents],
    [
      'an appeal whose documents were taken out again',
      { content: { appeal }, emptied: ['appealSupportingFiles'] },
      { ...reason, 'evidence[appeal][card][supporting_files]': '' },
    ],
    [
      'the documents of an appeal whose reason was taken out again',
      { files: supporting, emptied: ['appeal'] },
      { 'evidence[appeal][card][reason_for_filing]': '', ...documents },
    ],
    ['an appeal taken out again', { emptied: ['appeal'] }, { 'evidence[appeal]': '' }],
    [
      'an appeal taken out again with its documents',
      { emptied: ['appeal', 'appealSupportingFiles'] },
      { 'evidence[appeal]': '' },
    ],
    ['documents taken out again', { emptied: ['appealSupportingFiles'] }, { 'evidence[appeal][card][supporting_files]': '' }],
    ['programmes of networks taken out again', { emptied: ['enhancedEvidence'] }, { 'evidence[enhanced_evidence]': '' }],
    ['nothing at all', {}, {}],
  ])('with %s', async (_what, more, fields) => {
    expect(await staged(more)).toEqual(fields);
  });

  it('with a value where there is one, whatever else is said of its name', async () => {
    const files = [{ place: 'receipt' as FilePlace, providerFileId: 'file_1' }];
    expect(await staged({ files, emptied: ['receipt'] })).toEqual({ 'evidence[receipt]': 'file_1' });
    const content = { customerName: 'Ann' };
    expect(await staged({ content, emptied: ['customerName'] })).toEqual({ 'evidence[customer_name]': 'Ann' });
  });
});

describe('Staging', () => {
  it('is one call that submits nothing', async () => {
    server.answers(json(200, { ...dispute, evidence_details: { ...details, has_evidence: true } }));
    const call = context();
    await expect(stripe.stage(order, 'stage:1', call)).resolves.toEqual({ kind: 'taken', report });
    expect(requests()).toEqual([staging[2]]);
    expect(form(0)).toEqual({ 'evidence[uncategorized_text]': 'The parcel came.', submit: 'false' });
    expect(server.requests[0]?.headers).toMatchObject({ 'idempotency-key': 'stage:1' });
    expect(call.traces).toMatchObject([{ call: 'POST /v1/disputes/du_1', result: 'answered' }]);
  });

  it('is refused when the dispute does not wait any more', async () => {
    server.answers(json(400, refusal({})));
    await expect(staging[1]()).resolves.toMatchObject({ kind: 'refused', code: 'dispute_not_open' });
    expect(requests()).toEqual([staging[2]]);
  });
});

describe('What cannot be undone is preceded by a look:', () => {
  it('submitting, which says so', async () => {
    server.answers(json(200, dispute), json(200, answered));
    const call = context();
    await expect(stripe.submit(order, 'submit:1', call)).resolves.toMatchObject({
      kind: 'taken',
      report: { status: 'under_review', submissions: 1, submittedBy: 'manual', at: now },
    });
    expect(requests()).toEqual([look, irreversible[0][2]]);
    expect(form(1)).toEqual({ 'evidence[uncategorized_text]': 'The parcel came.', submit: 'true' });
    expect(server.requests[0]?.headers).not.toHaveProperty('idempotency-key');
    expect(server.requests[1]?.headers).toMatchObject({ 'idempotency-key': 'submit:1' });
    expect(call.traces.map((trace) => trace.call)).toEqual(['GET /v1/disputes/du_1', 'POST /v1/disputes/du_1']);
  });

  it('accepting', async () => {
    server.answers(json(200, dispute), json(200, { ...dispute, status: 'lost' }));
    await expect(stripe.accept(order, 'accept:1', context())).resolves.toMatchObject({
      kind: 'taken',
      report: { status: 'lost', providerStatus: 'lost' },
    });
    expect(requests()).toEqual([look, irreversible[1][2]]);
    expect(server.requests[1]).toMatchObject({ body: '', headers: { 'idempotency-key': 'accept:1' } });
  });

  describe.each(irreversible)('%s', (_what, send, post) => {
    it.each([
      ['somebody has answered', answered],
      ['it is won', { ...dispute, status: 'won' }],
      ['it is lost', { ...dispute, status: 'lost' }],
      ['it was prevented', { ...dispute, status: 'prevented' }],
      ['it is an inquiry', { ...dispute, status: 'warning_needs_response' }],
      ['it is an appeal by now', { ...dispute, status: 'appeal_needs_response' }],
      ['it has another type of case', inCase('compliance')],
    ])('is overtaken, and nothing is sent, when %s', async (_why, body) => {
      server.answers(json(200, body));
      await expect(send()).resolves.toMatchObject({ kind: 'overtaken', report: { providerStatus: body.status, at: now } });
      expect(requests()).toEqual([look]);
    });

    it.each<[string, Reply, object]>([
      ['fails', json(500, refusal({ type: 'api_error' })), { kind: 'unsent' }],
      ['breaks off', hangUp, { kind: 'unsent' }],
      ['is no dispute', json(200, { object: 'charge', id: 'ch_1' }), { kind: 'unsent' }],
      ['shows a status nobody knows', json(200, { ...dispute, status: 'on_the_moon' }), { kind: 'unsent' }],
      ['comes too soon', json(429, refusal({ code: 'rate_limit' })), { kind: 'later', limit: 'rate' }],
      ['meets a lock', json(429, refusal({ code: 'lock_timeout' })), { kind: 'later', limit: 'lock' }],
      ['meets a wrong key', json(401, refusal({})), { kind: 'parked' }],
      ['finds no such dispute', json(404, refusal({ code: 'resource_missing' })), { kind: 'refused', code: 'dispute_not_found' }],
    ])('is not sent when the look %s', async (_what, reply, answer) => {
      server.answers(reply);
      await expect(send()).resolves.toMatchObject(answer);
      expect(requests()).toEqual([look]);
    });

    it.each<[string, Reply, object]>([
      ['it was answered in between', json(200, answered), { kind: 'overtaken', report: { submissions: 1 } }],
      ['it still waits', json(200, dispute), { kind: 'refused', code: 'dispute_not_open' }],
      ['it cannot be told', json(500, refusal({ type: 'api_error' })), { kind: 'unknown' }],
    ])('refused as not open is looked at again: %s', async (_what, reply, answer) => {
      server.answers(json(200, dispute), json(400, refusal({})), reply);
      await expect(send()).resolves.toMatchObject(answer);
      expect(requests()).toEqual([look, post, look]);
    });

    it('is not made at all once its deadline is over', async () => {
      server.answers(json(200, dispute));
      await expect(send({ ...context(), deadline: AbortSignal.abort() })).resolves.toMatchObject({ kind: 'unsent' });
      expect(server.requests).toHaveLength(0);
    });

    it('ends at its deadline, outcome unknown, when Stripe does not answer', async () => {
      server.answers(json(200, dispute), silence);
      const call = context(300);
      await expect(send(call)).resolves.toMatchObject({ kind: 'unknown' });
      expect(call.traces).toMatchObject([{ result: 'answered' }, { httpStatus: null, result: 'deadline' }]);
    });
  });

  it('submitting is overtaken when more submissions are counted, though an answer is still due', async () => {
    server.answers(json(200, { ...answered, status: 'needs_response' }));
    await expect(stripe.submit(order, 'k', context())).resolves.toMatchObject({ kind: 'overtaken', report: { submissions: 1 } });
    expect(requests()).toEqual([look]);
  });

  it('submitting goes out where as many submissions are counted as there were', async () => {
    const second = { ...dispute, evidence_details: { ...details, submission_count: 1 } };
    server.answers(json(200, second), json(200, { ...answered, evidence_details: { ...details, submission_count: 2 } }));
    await expect(stripe.submit({ ...order, submissions: 1 }, 'k', context())).resolves.toMatchObject({
      kind: 'taken',
      report: { submissions: 2 },
    });
  });

  it('submitting in an inquiry and in an appeal, each in its own stage', async () => {
    for (const [status, stage] of [
      ['warning_needs_response', 'inquiry'],
      ['appeal_needs_response', 'appeal'],
    ] as const) {
      server.answers(json(200, { ...dispute, status }), json(200, answered));
      await expect(stripe.submit({ ...order, stage }, 'k', context())).resolves.toMatchObject({ kind: 'taken' });
    }
  });
});

describe.each([staging, ...irreversible])('What an answer proves about %s:', (_what, send, post) => {
  /** Staging has no look before it. */
  const lookedAt: readonly Reply[] = send === staging[1] ? [] : [json(200, dispute)];
  const answers = (reply: Reply, ...after: readonly Reply[]) => server.answers(...lookedAt, reply, ...after);

  it.each([
    [400, { code: 'resource_missing', param: 'evidence[receipt]' }, 'evidence_refused'],
    [404, { code: 'resource_missing', param: 'evidence[appeal][card][supporting_files]' }, 'evidence_refused'],
    [404, { code: 'resource_missing', param: 'dispute' }, 'dispute_not_found'],
    [404, { code: 'resource_missing' }, 'dispute_not_found'],
    [400, { code: 'resource_missing', param: 'id' }, 'dispute_not_found'],
    [400, { code: 'dispute_evidence_page_limit_exceeded' }, 'evidence_refused'],
    [400, { param: 'evidence' }, 'evidence_refused'],
    [400, { param: 'evidence[uncategorized_text]' }, 'evidence_refused'],
    [400, { code: 'parameter_invalid_empty', param: 'evidence[receipt]' }, 'evidence_refused'],
    [400, { param: 'evidence_of_something_else' }, 'provider_refused'],
    [400, { code: 'never_heard_of' }, 'provider_refused'],
    [400, { code: 'parameter_unknown', param: 'hat' }, 'provider_refused'],
    [402, { type: 'card_error', code: 'card_declined' }, 'provider_refused'],
  ])('%p %p: nothing has changed (%s)', async (status, error, code) => {
    answers(json(status, refusal(error)));
    await expect(send()).resolves.toMatchObject({ kind: 'refused', code, detail: expect.stringContaining(String(status)) });
    expect(server.requests).toHaveLength(lookedAt.length + 1);
  });

  it.each([
    [409, { type: 'idempotency_error', code: 'idempotency_key_in_use' }, null],
    [429, { code: 'rate_limit' }, 'rate'],
    [429, {}, 'rate'],
    [429, { code: 'lock_timeout' }, 'lock'],
    [429, { code: 'never_heard_of' }, null],
  ])('%p %p: the same again, later (limit: %p)', async (status, error, limit) => {
    answers(json(status, refusal(error)));
    await expect(send()).resolves.toMatchObject({ kind: 'later', limit });
  });

  it.each([
    [401, {}],
    [403, { code: 'more_permissions_required' }],
    [400, { code: 'livemode_mismatch' }],
    [404, {}],
  ])('%p %p: it waits until a person has mended the account, and no key is shown', async (status, error) => {
    answers(json(status, refusal({ message: status === 401 ? 'Invalid API Key: sk_test_***et' : 'No.', ...error })));
    const answer = await send();
    expect(answer).toMatchObject({ kind: 'parked' });
    expect(answer.kind === 'parked' && answer.why).not.toContain('sk_');
  });

  it.each<[string, Reply]>([
    ['Stripe answers 500', json(500, refusal({ type: 'api_error' }))],
    ['Stripe answers the same 500 again', json(500, refusal({ type: 'api_error' }), { 'idempotent-replayed': 'true' })],
    ['Stripe answers 503 and names a refusal', json(503, refusal({ code: 'resource_missing' }))],
    ['Stripe answers 424', json(424, refusal({ type: 'api_error' }))],
    ['the key belongs to another call', json(400, refusal({ type: 'idempotency_error' }))],
    ['a gateway answers 502 with a page', text(502, '<html>bad gateway</html>')],
    ['the answer is no JSON', text(200, 'hello')],
    ['the answer breaks off', cutShort(200, JSON.stringify(answered))],
    ['the answer is no dispute', json(200, { object: 'charge', id: 'ch_1' })],
    ['the answer is half a dispute', json(200, { ...answered, evidence_details: {} })],
    ['the connection is closed', hangUp],
    ['the connection is reset', reset],
  ])('nothing, when %s: one request, outcome unknown', async (_when, reply) => {
    answers(reply);
    await expect(send()).resolves.toMatchObject({ kind: 'unknown' });
    expect(requests().filter((each) => each === post)).toHaveLength(1);
    expect(server.requests).toHaveLength(lookedAt.length + 1);
  });

  const replayed = json(200, dispute, { 'idempotent-replayed': 'true' });

  it('that it was done, by an answer of then: what became of the dispute since is read', async () => {
    answers(replayed, json(200, { ...answered, status: 'won' }));
    await expect(send()).resolves.toMatchObject({ kind: 'taken', report: { status: 'won', submissions: 1 } });
    expect(requests().slice(-2)).toEqual([post, look]);
  });

  it('nothing about today, by an answer of then that nothing can be read after', async () => {
    answers(replayed, json(500, refusal({ type: 'api_error' })));
    await expect(send()).resolves.toMatchObject({ kind: 'unknown' });
  });
});

describe('A document', () => {
  /** Every byte there is, and the ends of lines that multipart itself is made of. */
  const bytes = Buffer.concat([
    Buffer.from(Array.from({ length: 256 }, (_, at) => at)),
    Buffer.from('\r\n--\r\n\0\xff', 'latin1'),
  ]);
  const document = { name: 'Beleg "42" ä.pdf', type: 'application/pdf', bytes } as const;
  const file = { id: 'file_1', object: 'file', purpose: 'dispute_evidence' };
  const upload = (call = context()) => stripe.upload(document, 'upload:1', call);

  it('is uploaded byte by byte, for evidence, under its key', async () => {
    server.answers(json(200, file));
    const call = context();
    await expect(upload(call)).resolves.toEqual({ kind: 'uploaded', providerFileId: 'file_1' });
    expect(requests()).toEqual(['POST /stripe/v1/files']);
    const [request] = server.requests;
    const headers = request?.headers ?? {};
    expect(headers).toMatchObject({ 'idempotency-key': 'upload:1', authorization: 'Bearer sk_test_secret' });
    expect(Number(headers['content-length'])).toBe(request?.bytes.length);
    // Read by somebody else's reader, so that our writing is not checked against itself.
    const body = new Uint8Array(request?.bytes ?? []);
    const received = await new Response(body, { headers: { 'content-type': headers['content-type'] ?? '' } }).formData();
    expect([...received.keys()].sort()).toEqual(['file', 'purpose']);
    expect(received.get('purpose')).toBe('dispute_evidence');
    const sent = received.get('file');
    if (!(sent instanceof File)) throw new Error('no file was sent');
    expect(Buffer.from(await sent.arrayBuffer())).toEqual(bytes);
    expect(sent.name).toBe('Beleg "42" ä.pdf');
    expect(sent.type).toBe('application/pdf');
    expect(call.traces).toMatchObject([{ call: 'POST /v1/files', httpStatus: 200, result: 'answered' }]);
  });

  it('of five megabytes arrives whole', async () => {
    server.answers(json(200, file));
    const large = Buffer.alloc(5_000_000, 0xa5);
    await expect(stripe.upload({ ...document, bytes: large }, 'k', context())).resolves.toMatchObject({ kind: 'uploaded' });
    expect(server.requests[0]?.bytes.includes(large)).toBe(true);
  });

  it('is the same file when its key is sent again', async () => {
    server.answers(json(200, file, { 'idempotent-replayed': 'true' }));
    await expect(upload()).resolves.toEqual({ kind: 'uploaded', providerFileId: 'file_1' });
    expect(server.requests).toHaveLength(1);
  });

  it.each<[string, Reply, object]>([
    ['is not accepted', json(400, refusal({ param: 'file' })), { kind: 'refused', code: 'evidence_file_refused' }],
    ['is too large', json(413, refusal({})), { kind: 'refused', code: 'evidence_file_refused' }],
    ['is not paid for', json(402, refusal({ type: 'card_error' })), { kind: 'refused', code: 'provider_refused' }],
    ['comes too soon', json(429, refusal({ code: 'rate_limit' })), { kind: 'later', limit: 'rate' }],
    ['is under way already', json(409, refusal({ type: 'idempotency_error' })), { kind: 'later', limit: null }],
    ['has the key of another one', json(400, refusal({ type: 'idempotency_error' })), { kind: 'unknown' }],
    ['meets a wrong key', json(401, refusal({})), { kind: 'parked' }],
    ['finds no such address', json(404, refusal({})), { kind: 'parked' }],
    ['meets a failure', json(500, refusal({ type: 'api_error' })), { kind: 'unknown' }],
    ['is answered by a gateway', text(413, '<html>too large</html>'), { kind: 'unknown' }],
    ['is answered with something else', json(200, dispute), { kind: 'unknown' }],
    ['is answered without an id', json(200, { object: 'file' }), { kind: 'unknown' }],
    ['loses its answer', hangUp, { kind: 'unknown' }],
  ])('that %s', async (_what, reply, answer) => {
    server.answers(reply);
    await expect(upload()).resolves.toMatchObject(answer);
    expect(server.requests).toHaveLength(1);
  });
});
