import { describe, expect, it } from '@jest/globals';
import { Ajv2020 } from 'ajv/dist/2020.js';
import fc from 'fast-check';
import type { Class } from '#contracts/fields';
import { AcceptDispute, disputeCommands, LetDisputePass, SubmitEvidence } from '#contracts/dispute-commands';
import { Dispute, disputeEvents } from '#contracts/dispute-events';
import { EditEvidence, Evidence } from '#contracts/evidence';
import { AttentionItem, DisputePage } from '#contracts/oversight';
import { validate } from '#contracts/read-body';
import { providers, refundCommands, refundReasons, RequestRefund, ResolveRefund } from '#contracts/refund-commands';
import {
  balanceEvents,
  commandOutcomes,
  EventEnvelope,
  Payment,
  Problem,
  Refund,
  refundEvents,
  RefundPage,
} from '#contracts/refund-events';
import { asyncApiDocument, jsonSchema, messageSchemas, openApiSchemas } from '#contracts/schemas';

const ajv = new Ajv2020({ strict: true, strictTypes: false, strictRequired: false, allErrors: true });

function bothSay(kind: Class, body: object): { class: boolean; schema: boolean } {
  return { class: validate(kind, body).ok, schema: schemaOf(kind)(body) };
}
const compiled = new Map<Class, (body: object) => boolean>();
function schemaOf(kind: Class): (body: object) => boolean {
  const known = compiled.get(kind) ?? ajv.compile(jsonSchema(kind));
  compiled.set(kind, known);
  return known;
}

const refund = {
  id: 'rf_1',
  account: 'default',
  provider: 'stripe',
  paymentId: 'pi_3Q',
  status: 'succeeded',
  attention: null,
  amount: 1050,
  currency: 'USD',
  reason: 'requested_by_customer',
  reference: 'RMA-7',
  origin: 'command',
  providerRefundId: 're_1',
  providerStatus: 'succeeded',
  pendingReason: null,
  failureCode: null,
  bankReference: null,
  actionRequired: null,
  attempts: 1,
  warnings: [],
  rejection: null,
  version: 4,
  createdAt: '2026-01-31T09:30:00.000Z',
  updatedAt: '2026-01-31T09:31:00.000Z',
  finalAt: '2026-01-31T09:31:00.000Z',
};
const shownRefund = { ...refund, note: '...', metadata: {} };
const balance = {
  account: 'default',
  provider: 'stripe',
  paymentId: 'pi_3Q',
  aliases: ['ch_3Q'],
  currency: 'USD',
  captured: 10000,
  reserved: 0,
  refunded: 1050,
  disputed: 0,
  lost: 0,
  available: 8950,
  overdrawn: false,
  basis: 'provider',
  readAt: '2026-01-31T09:30:00.000Z',
};
const dispute = {
  id: 'dp_1',
  account: 'default',
  provider: 'stripe',
  providerDisputeId: 'du_1',
  paymentId: 'pi_3Q',
  stage: 'chargeback',
  status: 'needs_response',
  money: 'withdrawn',
  providerStatus: 'needs_response',
  attention: null,
  amount: 10000,
  currency: 'USD',
  reason: 'product_not_received',
  networkReasonCode: '13.1',
  network: 'visa',
  dueBy: '2026-03-17T23:59:59.000Z',
  decideBy: '2026-03-16T23:59:59.000Z',
  submissions: 0,
  decision: null,
  refundable: false,
  version: 3,
  openedAt: '2026-03-09T10:00:00.000Z',
  createdAt: '2026-03-09T10:00:01.000Z',
  updatedAt: '2026-03-09T10:00:01.000Z',
};
const warning = {
  id: 'fw_1',
  account: 'default',
  provider: 'stripe',
  providerWarningId: 'issfr_1',
  paymentId: 'pi_3Q',
  actionable: true,
  fraudType: 'unauthorized_use_of_card',
  openedAt: '2026-03-09T10:00:00.000Z',
};
const decision = { kind: 'submit', state: 'done', by: 'admin', at: '2026-03-10T09:30:00.000Z', version: 3 };
const file = {
  id: 'ef_1',
  field: 'receipt',
  name: 'receipt.pdf',
  type: 'application/pdf',
  size: 48213,
  pages: 2,
  digest: 'e3b0c442',
  providerFileId: null,
  by: 'admin',
  addedAt: '2026-03-10T09:30:00.000Z',
};
const item = { kind: 'required', oneOf: ['productDescription'], given: false, why: 'Only this tells what was sold.' };
const evidence = {
  disputeId: 'dp_1',
  version: 3,
  evidence: { customerName: 'Ann Other', enhancedEvidence: { visaCompliance: { feeAcknowledged: true } } },
  files: [file],
  changes: [{ version: 2, fields: ['customerName'], by: 'admin', at: '2026-03-10T09:30:00.000Z' }],
  score: { score: 64, version: '2026-11', row: 'product_not_received', productType: null, items: [item], missing: [item] },
  findings: [{ code: 'text_link', severity: 'warning', path: 'uncategorizedText', message: 'Banks open no links.' }],
  stagedVersion: 2,
  staged: ['customerName'],
  packets: [
    {
      round: 1,
      version: 2,
      evidence: {},
      files: [file],
      emptied: [],
      by: 'admin',
      decidedAt: '2026-03-10T09:30:00.000Z',
      submittedAt: null,
    },
  ],
};
const command = { commandSource: '/shop', commandId: 'c-1' };

describe('What we publish', () => {
  it.each<[string, Class, object]>([
    ['a refund', Refund, shownRefund],
    [
      'a refund of all that is left, not yet fixed',
      Refund,
      { ...shownRefund, amount: null, currency: null, reason: null, finalAt: null },
    ],
    ['a rejected refund', Refund, { ...shownRefund, rejection: { code: 'currency_mismatch', detail: 'The payment is in EUR.' } }],
    ['a page of refunds', RefundPage, { data: [shownRefund], nextCursor: null }],
    [
      'a payment',
      Payment,
      {
        ...balance,
        refunds: [shownRefund],
        disputes: [dispute],
        fraudWarnings: [
          { ...warning, refundHint: { verdict: 'worthwhile', disputeFee: 1500, upTo: 2025 } },
          { ...warning, actionable: false, refundHint: null },
        ],
        warnings: ['open_inquiry'],
      },
    ],
    ['a dispute', Dispute, dispute],
    ['a dispute that was answered', Dispute, { ...dispute, decision, dueBy: null, decideBy: null, network: null }],
    ['a page of disputes', DisputePage, { data: [dispute], nextCursor: null }],
    ['evidence', Evidence, evidence],
    ['a dispute with attention', AttentionItem, { kind: 'dispute', at: warning.openedAt, why: 'deadline_missed', dispute }],
    ['a change of a dispute', disputeEvents['redress.dispute.won.v1'], { dispute, previousStatus: 'under_review' }],
    [
      'a dispute that a person must look at',
      disputeEvents['redress.dispute.attention_needed.v1'],
      { dispute, previousStatus: 'won', why: 'decision_reversed' },
    ],
    ['a warning of fraud', disputeEvents['redress.fraud_warning.received.v1'], { warning }],
    ['an accepted command about a dispute', commandOutcomes['redress.command.accepted.v1'], { ...command, disputeId: 'dp_1' }],
    ['a balance', balanceEvents['redress.payment.refundability_changed.v1'], { ...balance, version: 7 }],
    ['a change of a refund', refundEvents['redress.refund.succeeded.v1'], { refund, previousStatus: 'pending' }],
    ['a new refund', refundEvents['redress.refund.requested.v1'], { refund, previousStatus: null }],
    ['an accepted command', commandOutcomes['redress.command.accepted.v1'], { ...command, refundId: 'rf_1' }],
    [
      'a rejected command',
      commandOutcomes['redress.command.rejected.v1'],
      { ...command, code: 'payment_not_found', detail: 'No such payment.' },
    ],
    [
      'a repeated command',
      commandOutcomes['redress.command.repeated.v1'],
      {
        ...command,
        refundId: 'rf_1',
        first: { outcome: 'accepted' },
      },
    ],
    [
      'a problem',
      Problem,
      {
        type: '/docs/problems#validation_failed',
        title: 'Some fields are missing, wrong or unknown.',
        status: 400,
        code: 'validation_failed',
        errors: [{ path: 'amount', message: 'amount must be a whole number' }],
        instance: '/v1/refunds',
      },
    ],
  ])('%s is valid by its class and by its schema', (_, kind, body) => {
    expect(bothSay(kind, body)).toEqual({ class: true, schema: true });
  });

  it('has an envelope with the attributes of CloudEvents', () => {
    const attributes = {
      specversion: '1.0',
      id: 'evt_1',
      source: '/redress/default',
      type: 'redress.refund.succeeded.v1',
      subject: 'rf_1',
      time: '2026-01-31T09:31:00.000Z',
      datacontenttype: 'application/json',
      partitionkey: 'default:stripe:pi_3Q',
      sequence: '7',
    };
    expect(bothSay(EventEnvelope, attributes)).toEqual({ class: true, schema: true });
  });

  it('names the place of what is wrong inside', () => {
    const broken = { refund: { ...refund, status: 'lost', rejection: { code: 'nope', detail: 'x' } }, previousStatus: null };
    const read = validate(refundEvents['redress.refund.failed.v1'], broken);
    expect(read.ok ? [] : read.errors.map(({ path }) => path)).toEqual(['refund.status', 'refund.rejection.code']);
    expect(schemaOf(refundEvents['redress.refund.failed.v1'])(broken)).toBe(false);
    expect(validate(RefundPage, { data: [shownRefund, 'rf_2', { ...shownRefund, version: 0 }], nextCursor: null })).toMatchObject(
      {
        errors: [{ path: 'data.1', message: '1 must be an object' }, { path: 'data.2.version' }],
      },
    );
  });

  it('never has note or metadata in an event', () => {
    const events = Object.entries(messageSchemas()).filter(([type]) => type.startsWith('redress.refund.'));
    expect(events.length).toBe(17);
    for (const [, schema] of events) expect(JSON.stringify(schema)).not.toMatch(/"(note|metadata)":\{/);
  });

  it('never has evidence, or a reason that people gave, in an event about a dispute', () => {
    const events = Object.entries(messageSchemas()).filter(([type]) => /^redress\.(dispute|fraud_warning)\./.test(type));
    expect(events).toHaveLength(Object.keys(disputeEvents).length);
    for (const [, schema] of events) {
      expect(JSON.stringify(schema)).not.toMatch(/"(evidence|customerName|uncategorizedText|name|digest)":\{/);
    }
    const { DisputeDecision } = openApiSchemas();
    expect(Object.keys((DisputeDecision?.['properties'] ?? {}) as object)).toEqual(['kind', 'state', 'by', 'at', 'version']);
  });

  it('compiles as JSON Schema 2020-12, and its examples are valid', () => {
    for (const schema of Object.values(messageSchemas())) expect(() => ajv.compile(schema)).not.toThrow();
    for (const schema of Object.values(openApiSchemas())) {
      for (const property of Object.values(schema['properties'] as Record<string, { examples?: unknown[]; $ref?: string }>)) {
        if (property.$ref !== undefined || JSON.stringify(property).includes('#/components')) continue;
        for (const example of property.examples ?? [])
          expect({ property, valid: ajv.compile(property)(example) }).toEqual({ property, valid: true });
      }
    }
  });

  it('describes orders over HTTP without the refund or dispute that the path names', () => {
    const schemas = openApiSchemas();
    expect(schemas['RejectRefundBody']).toMatchObject({ required: ['reason'], additionalProperties: false });
    expect(schemas['ApproveRefundBody']).toMatchObject({ properties: {} });
    expect(schemas['ApproveRefundBody']).not.toHaveProperty('required');
    expect(schemas).not.toHaveProperty('RequestRefundBody');
    expect(schemas['SubmitEvidenceBody']).toMatchObject({ required: ['confirm', 'version'], additionalProperties: false });
    expect(schemas['SubmitEvidenceBody']?.['properties']).not.toHaveProperty('disputeId');
    expect(schemas['EditEvidence']).toMatchObject({ additionalProperties: false });
    expect(schemas['EditEvidence']).not.toHaveProperty('required');
    expect(schemas['RefundPage']).toMatchObject({ properties: { data: { items: { $ref: '#/components/schemas/Refund' } } } });
  });

  it('has in AsyncAPI every topic and a message for every type, and no reference that leads nowhere', () => {
    const document = asyncApiDocument('1.2.3');
    expect(Object.keys(document['channels'] as object)).toEqual([
      'refunds.commands.v1',
      'refunds.outcomes.v1',
      'refunds.events.v1',
      'disputes.commands.v1',
      'disputes.outcomes.v1',
      'disputes.events.v1',
      'payments.refundability.v1',
    ]);
    expect(Object.keys((document['components'] as { messages: object }).messages).sort()).toEqual(
      Object.keys(messageSchemas()).sort(),
    );
    for (const [, pointer] of JSON.stringify(document).matchAll(/"\$ref":"#\/([^"]+)"/g)) {
      const found = String(pointer)
        .split('/')
        .reduce<unknown>((at, name) => (at as Record<string, unknown> | undefined)?.[name], document);
      expect({ pointer, found: typeof found }).toEqual({ pointer, found: 'object' });
    }
  });
});

describe('A class and its schema', () => {
  const text = (maxLength: number) => fc.string({ unit: 'grapheme', minLength: 1, maxLength: Math.min(maxLength, 60) });
  const idText = fc.stringMatching(/^[0-9A-Za-z._~-]{1,255}$/);
  const required = { provider: fc.constantFrom(...providers), paymentId: idText };
  const optional = {
    account: fc.stringMatching(/^[a-z0-9][a-z0-9_-]{0,63}$/),
    reason: fc.constantFrom(...refundReasons),
    blockCustomer: fc.constant(false),
    reference: text(255),
    note: text(1000),
    metadata: fc.dictionary(
      fc.stringMatching(/^[a-zA-Z][a-zA-Z0-9 ._-]{0,30}$/).filter((name) => !(name in Object.prototype)),
      text(500),
      { maxKeys: 40 },
    ),
    expectedAvailable: fc.maxSafeNat(),
  };
  const money = fc.option(
    fc.record({ amount: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }), currency: fc.stringMatching(/^[A-Z]{3}$/) }),
    {
      nil: {},
    },
  );
  const anything = fc.record({ ...required, ...optional }, { requiredKeys: ['provider', 'paymentId'] });
  const request = fc.tuple(anything, money).map(([fields, sum]) => ({ ...fields, ...sum }));

  it('take the same requests', () => {
    fc.assert(
      fc.property(request, (body) => {
        expect(bothSay(RequestRefund, body)).toEqual({ class: true, schema: true });
      }),
    );
  });

  const values = fc.oneof(
    fc.constantFrom<unknown>(
      null,
      '',
      0,
      -1,
      1.5,
      2 ** 53,
      true,
      [],
      {},
      'usd',
      'USD',
      'a\0b',
      'a:b',
      'fraudulent',
      { 'a[b]': 'x' },
      { a: 1 },
      { redress_a: 'x' },
    ),
    fc.jsonValue({ maxDepth: 2 }),
    fc.string({ minLength: 900, maxLength: 1100 }),
  );
  const fields = fc.constantFrom(
    'account',
    'provider',
    'paymentId',
    'amount',
    'currency',
    'reason',
    'blockCustomer',
    'reference',
    'note',
    'metadata',
    'expectedAvailable',
    'other',
  );

  it('refuse the same requests, whatever one field turns into or whichever is left out', () => {
    let refused = 0;
    fc.assert(
      fc.property(request, fields, fc.option(values, { nil: undefined }), (body, field, value) => {
        const { [field]: _, ...others } = body as Record<string, unknown>;
        const changed = value === undefined ? others : { ...others, [field]: value };
        fc.pre(!/"(__proto__|constructor|toString|valueOf|hasOwnProperty)"/.test(JSON.stringify(changed)));
        const said = bothSay(RequestRefund, changed);
        if (!said.class) refused += 1;
        expect({ changed, ...said }).toEqual({ changed, class: said.class, schema: said.class });
      }),
      { numRuns: 1000 },
    );
    expect(refused).toBeGreaterThan(300);
  });

  it.each<[string, Class, object]>([
    ['amount without currency', RequestRefund, { provider: 'stripe', paymentId: 'pi_1', amount: 1 }],
    ['currency without amount', RequestRefund, { provider: 'stripe', paymentId: 'pi_1', currency: 'USD' }],
    ['a block without fraud', RequestRefund, { provider: 'stripe', paymentId: 'pi_1', blockCustomer: true }],
    [
      'an id of a refund never created',
      ResolveRefund,
      { refundId: 'rf_1', outcome: 'not_created', providerRefundId: 're_1', reason: 'x' },
    ],
    ['an order that names no refund', ResolveRefund, { outcome: 'failed', reason: 'x' }],
  ])('both refuse %s', (_, kind, body) => {
    expect(bothSay(kind, body)).toEqual({ class: false, schema: false });
  });

  const long = 'x'.repeat(20_000);
  it.each<[string, object]>([
    ['nothing', {}],
    ['text, and text taken out', { customerName: 'Ann Other', shippingCarrier: null }],
    ['as much as a long field takes', { uncategorizedText: long }],
    [
      'a programme, and one taken out',
      { enhancedEvidence: { visaCompliance: { feeAcknowledged: true }, mastercardCompliance: null } },
    ],
    ['all programmes taken out', { enhancedEvidence: null }],
    ['an appeal', { appeal: { card: { reasonForFiling: 'The signature was overlooked.' } } }],
    [
      'compelling evidence',
      {
        enhancedEvidence: {
          visaCompellingEvidence3: {
            disputedTransaction: {
              merchandiseOrServices: 'merchandise',
              shippingAddress: { city: 'Springfield', country: 'US' },
            },
            priorUndisputedTransactions: [{ charge: 'ch_1', customerPurchaseIp: '203.0.113.7' }, { charge: 'ch_2' }],
          },
        },
      },
    ],
  ])('take %s as a change of evidence', (_, body) => {
    expect(bothSay(EditEvidence, body)).toEqual({ class: true, schema: true });
  });

  it.each<[string, object, string]>([
    ['an unknown field', { colour: 'red' }, 'colour'],
    ['a file field', { receipt: 'file_1' }, 'receipt'],
    ['no text', { customerName: '' }, 'customerName'],
    ['a number', { customerName: 7 }, 'customerName'],
    ['more than a long field takes', { uncategorizedText: `${long}x` }, 'uncategorizedText'],
    ['more than a short field takes', { customerName: 'x'.repeat(5_001) }, 'customerName'],
    ['an unknown programme', { enhancedEvidence: { amex: {} } }, 'enhancedEvidence.amex'],
    ['a fee that is neither', { enhancedEvidence: { visaCompliance: {} } }, 'enhancedEvidence.visaCompliance.feeAcknowledged'],
    ['an appeal without a reason', { appeal: { card: {} } }, 'appeal.card.reasonForFiling'],
    ['an appeal over nothing', { appeal: {} }, 'appeal.card'],
    [
      'an earlier payment without its charge',
      { enhancedEvidence: { visaCompellingEvidence3: { priorUndisputedTransactions: [{ customerPurchaseIp: '203.0.113.7' }] } } },
      'enhancedEvidence.visaCompellingEvidence3.priorUndisputedTransactions.0.charge',
    ],
    [
      'an unknown part of an address',
      { enhancedEvidence: { visaCompellingEvidence3: { disputedTransaction: { shippingAddress: { street: 'x' } } } } },
      'enhancedEvidence.visaCompellingEvidence3.disputedTransaction.shippingAddress.street',
    ],
  ])('refuse %s as a change of evidence, by its path', (_, body, path) => {
    expect(bothSay(EditEvidence, body)).toEqual({ class: false, schema: false });
    const read = validate(EditEvidence, body);
    expect(read.ok ? [] : read.errors).toMatchObject([{ path }]);
  });

  it.each<[string, Class, object]>([
    ['a submission without a version', SubmitEvidence, { disputeId: 'dp_1', confirm: true }],
    ['a submission that is not confirmed by true or false', SubmitEvidence, { disputeId: 'dp_1', confirm: 'true', version: 1 }],
    ['an acceptance of no dispute', AcceptDispute, { confirm: true }],
    ['a deadline let pass without a reason', LetDisputePass, { disputeId: 'dp_1' }],
    ['a deadline let pass for a reason of blanks', LetDisputePass, { disputeId: 'dp_1', reason: ' \t\n\u00a0' }],
  ])('both refuse %s', (_, kind, body) => {
    expect(bothSay(kind, body)).toEqual({ class: false, schema: false });
  });

  it('are closed for commands and open for what we tell', () => {
    for (const kind of [...Object.values(refundCommands), ...Object.values(disputeCommands)])
      expect(jsonSchema(kind)).toHaveProperty('additionalProperties', false);
    expect(jsonSchema(Refund)).not.toHaveProperty('additionalProperties');
  });
});
