import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { DisputeStage, Eligibility } from './dispute.js';
import {
  filePlaces,
  textFields,
  type CompellingEvidence3,
  type Evidence,
  type EvidenceFile,
  type FileType,
  type PriorTransaction,
} from './evidence.js';
import { findings, hasErrors, lint, uploadRefusal, type FindingCode, type KnownCharges, type LintedDispute } from './linter.js';

const dispute = (changes: Partial<LintedDispute> = {}): LintedDispute => ({
  stage: 'chargeback',
  network: 'visa',
  networkReasonCode: '13.1',
  eligibilities: [],
  ...changes,
});

function file(changes: Partial<EvidenceFile> = {}): EvidenceFile {
  return {
    id: 'ef_1',
    disputeId: 'dp_1',
    place: 'receipt',
    name: 'receipt.pdf',
    type: 'application/pdf',
    size: 1000,
    pages: 1,
    digest: 'aa',
    providerFileId: null,
    by: 'ada',
    addedAt: new Date(0),
    refusedAs: null,
    removedAt: null,
    ...changes,
  };
}

const good: Evidence = { productDescription: 'A boat, 4 m' };
const found = (content: Evidence, files: readonly EvidenceFile[] = [], about = dispute(), known?: KnownCharges) =>
  lint(about, { content, files }, known).map(({ code, path }) => [code, path]);

describe('The table of findings', () => {
  it.each(Object.entries(findings))('has a stable code and a sentence: %s', (code, [severity, sentence]) => {
    expect(code).toMatch(/^[a-z]+(_[a-z]+)*$/);
    expect(sentence).toMatch(/^[A-Z].*\.$/);
    expect(['error', 'warning']).toContain(severity);
  });
});

describe('The linter, about texts', () => {
  it('has nothing to say about a small answer that is in order', () => {
    expect(found(good, [file()])).toEqual([]);
  });

  it.each<[string, Evidence]>([
    ['nothing', {}],
    ['blanks', { customerName: ' \n' }],
    ['characters that cannot be seen', { customerName: '\u200b\ufeff' }],
    ['a fee alone', { enhancedEvidence: { visaCompliance: { feeAcknowledged: true } } }],
  ])('calls an answer of %s empty', (_, content) => {
    expect(found(content)).toContainEqual(['evidence_empty', 'evidence']);
  });

  it('names the limit and how far it is passed', () => {
    expect(lint(dispute(), { content: { uncategorizedText: 'x'.repeat(20_312) }, files: [] })).toEqual([
      {
        code: 'text_too_long',
        severity: 'error',
        path: 'uncategorizedText',
        message: 'The text is too long for its field. It has 20,312 characters; at most 20,000 are taken.',
      },
    ]);
  });

  it.each<['productDescription' | 'customerName', number]>([
    ['productDescription', 20_000],
    ['customerName', 5000],
  ])('lets %s have %i characters and not one more', (field, most) => {
    expect(found({ [field]: 'x'.repeat(most) })).toEqual([]);
    expect(found({ [field]: 'x'.repeat(most + 1) })).toEqual([['text_too_long', field]]);
  });

  it('adds up all texts, those deep inside too', () => {
    const long = Object.fromEntries(
      [
        'accessActivityLog',
        'cancellationPolicyDisclosure',
        'cancellationRebuttal',
        'duplicateChargeExplanation',
        'productDescription',
        'refundPolicyDisclosure',
        'refundRefusalExplanation',
      ].map((field) => [field, 'x'.repeat(20_000)]),
    );
    const rest = { ...long, customerName: 'x'.repeat(5000), billingAddress: 'x'.repeat(4999) };
    expect(found({ ...rest, shippingCarrier: 'x' })).toEqual([]);
    expect(found({ ...rest, shippingCarrier: 'xx' })).toEqual([['text_too_long_together', 'evidence']]);
    const deep = { visaCompellingEvidence3: { priorUndisputedTransactions: [{ charge: 'xx' }] } };
    expect(found({ ...rest, enhancedEvidence: deep })).toContainEqual(['text_too_long_together', 'evidence']);
  });

  it.each<[string, string, FindingCode[]]>([
    ['line breaks and tabs', 'a\r\n\tb', []],
    ['accents, other scripts and emoji', 'Zoë 東京 👩‍👩‍👧', []],
    ['a zero byte', 'a\0', ['text_unprintable']],
    ['an escape', '\u001b[31m', ['text_unprintable']],
    ['half a character', 'a\ud83d', ['text_unprintable']],
    ['what is no character', 'a\uffff', ['text_unprintable']],
    ['text turned around', 'a\u202eb', ['text_invisible']],
    ['a private character', 'a\ue000', ['text_invisible']],
    ['a link', 'see https://example.com/x', ['text_link']],
    ['a link without a scheme', 'see WWW.example.com', ['text_link']],
    ['a word with dots', 'version 1.2.3 of www', []],
  ])('reads %s', (_, text, codes) => {
    expect(found({ uncategorizedText: text })).toEqual(codes.map((code) => [code, 'uncategorizedText']));
  });

  it.each([
    '2026-03-02',
    '2026-03-02T10:00:00Z',
    '2 March 2026',
    '2nd of March 2026',
    'March 2, 2026',
    'Mar 2 2026',
    'Sept. 30, 2026',
    'shipped on 02/03/2026',
    '31.12.2026',
    '12/31/2026',
    '2026-03-01 to 2026-03-05',
    '1 March 2026 - 5 March 2026',
  ])('reads "%s" as a date', (text) => {
    expect(found({ shippingDate: text, serviceDate: text })).toEqual([]);
  });

  it.each(['soon', '2026', '2026-02-30', '31/31/2026', '30 February 2026', 'March 2026', '2026-03-01 to 2026-02-31', '20260302'])(
    'does not read "%s" as a date',
    (text) => {
      expect(found({ serviceDate: text })).toEqual([['date_unreadable', 'serviceDate']]);
    },
  );

  it.each(['1.2.3.4', '255.255.255.255', '2001:db8::1', '::1', '::', '::ffff:1.2.3.4', '1:2:3:4:5:6:7:8'])(
    'knows the address %s',
    (ip) => {
      expect(found({ customerPurchaseIp: ip })).toEqual([]);
    },
  );

  it.each(['1.2.3', '256.1.1.1', 'localhost', '1:2', '1::2::3', '1:2:3:4:5:6:7:8:9', '12345::', '::1.2.3', ' 1.2.3.4'])(
    'does not take "%s" for an address',
    (ip) => {
      expect(found({ customerPurchaseIp: ip })).toEqual([['ip_unreadable', 'customerPurchaseIp']]);
    },
  );

  it('knows an e-mail address from what is none', () => {
    expect(found({ customerEmailAddress: 'grace@example.com' })).toEqual([]);
    for (const text of ['grace', 'grace@', 'a b@example.com', `${'x'.repeat(400)}@example.com`]) {
      expect(found({ customerEmailAddress: text })).toEqual([['email_unreadable', 'customerEmailAddress']]);
    }
  });
});

describe('The linter, about files', () => {
  it.each<[string, EvidenceFile[], string | null, [FindingCode, string][]]>([
    ['4.5 MB together', [file({ size: 4_000_000 }), file({ place: 'refundPolicy', size: 500_000 })], 'visa', []],
    [
      'a byte more',
      [file({ size: 4_000_000 }), file({ place: 'refundPolicy', size: 500_001 })],
      'visa',
      [['files_too_big_together', 'files']],
    ],
    [
      'more than 5 MB in one',
      [file({ size: 5_000_001 })],
      'visa',
      [
        ['file_too_big', 'receipt'],
        ['files_too_big_together', 'files'],
      ],
    ],
    ['49 pages', [file({ pages: 40 }), file({ place: 'refundPolicy', pages: 9 })], 'visa', []],
    ['50 pages', [file({ pages: 40 }), file({ place: 'refundPolicy', pages: 10 })], 'visa', [['files_too_many_pages', 'files']]],
    ['19 pages for Mastercard', [file({ pages: 19 })], 'mastercard', []],
    ['20 pages for Mastercard', [file({ pages: 20 })], 'mastercard', [['files_too_many_pages_for_mastercard', 'files']]],
    ['20 pages for who knows whom', [file({ pages: 20 })], null, [['files_maybe_too_many_pages', 'files']]],
    ['another type', [file({ type: 'text/html' as FileType })], 'visa', [['file_type_refused', 'receipt']]],
    ['no bytes', [file({ size: 0 })], 'visa', [['file_empty', 'receipt']]],
    [
      'what the provider refused',
      [file({ refusedAs: 'No.' }), file({ place: 'refundPolicy' })],
      'visa',
      [['file_refused', 'receipt']],
    ],
    ['two in one place', [file(), file({ id: 'ef_2' })], 'visa', [['file_place_taken', 'receipt']]],
  ])('judges %s', (_, files, network, expected) => {
    expect(found({}, files, dispute({ network }))).toEqual(expected);
  });
});

describe('A file on arrival', () => {
  const upload = { size: 1000, type: 'application/pdf', pages: 1 };
  it.each([
    ['is taken', {}, undefined],
    ['is taken with 5 MB', { size: 5_000_000 }, undefined],
    ['is refused above 5 MB', { size: 5_000_001 }, 'file_too_big'],
    ['is refused without bytes', { size: 0 }, 'file_empty'],
    ['is refused when it is no PDF, JPEG or PNG', { type: 'image/gif' }, 'file_type_refused'],
    ['is refused when its type cannot be told', { type: null }, 'file_type_refused'],
    ['is refused when its pages cannot be counted', { pages: null }, 'file_unreadable'],
    ['is refused without pages', { pages: 0 }, 'file_unreadable'],
    ['is taken with 49 pages', { pages: 49 }, undefined],
    ['is refused with 50 pages', { pages: 50 }, 'file_too_many_pages'],
  ])('%s', (_, changes, code) => {
    expect(uploadRefusal({ ...upload, ...changes })?.code).toBe(code);
  });

  it('is refused with the limit in words', () => {
    expect(uploadRefusal({ ...upload, pages: 51 })?.message).toBe(
      'The file alone has more pages than an answer may have. It has 51 pages; at most 49 are taken.',
    );
  });
});

const evidence3 = (changes: Partial<CompellingEvidence3> = {}, disputed = {}, prior = {}): CompellingEvidence3 => {
  const same = { customerPurchaseIp: '1.2.3.4', customerAccountId: 'grace', productDescription: 'A boat' };
  return {
    disputedTransaction: { ...same, merchandiseOrServices: 'merchandise', ...disputed },
    priorUndisputedTransactions: [
      { ...same, charge: 'ch_1', ...prior },
      { ...same, charge: 'ch_2', ...prior },
    ],
    ...changes,
  };
};
const listed = (requiredActions: readonly string[], status = 'requires_action'): Eligibility => ({
  programme: 'visa_compelling_evidence_3',
  status,
  requiredActions,
});
const allActions = [
  'missing_customer_identifiers',
  'missing_disputed_transaction_description',
  'missing_merchandise_or_services',
  'missing_prior_undisputed_transaction_description',
  'missing_prior_undisputed_transactions',
];
const fraud = (changes: Partial<LintedDispute> = {}) =>
  dispute({ networkReasonCode: '10.4', eligibilities: [listed(allActions)], ...changes });
const paidAt = new Date('2026-03-02T12:00:00Z');
const daysBefore = (days: number) => new Date(paidAt.getTime() - days * 86_400_000);
const known = (first = 200, second = 300): KnownCharges => ({
  disputed: ['pi_0', 'ch_0'],
  paidAt,
  earlier: new Map([
    ['ch_1', daysBefore(first)],
    ['ch_2', daysBefore(second)],
  ]),
});
const ce3 = 'enhancedEvidence.visaCompellingEvidence3';
const foundIn = (given: CompellingEvidence3, about = fraud(), charges = known()) =>
  found({ enhancedEvidence: { visaCompellingEvidence3: given } }, [], about, charges);

describe('The linter, about Compelling Evidence 3.0', () => {
  it('has nothing to say when all is there', () => {
    expect(foundIn(evidence3())).toEqual([]);
  });

  it.each<[string, LintedDispute]>([
    ['another code', fraud({ networkReasonCode: '13.1' })],
    ['another network', fraud({ network: 'mastercard' })],
    ['a dispute that does not qualify', fraud({ eligibilities: [listed([], 'not_qualified')] })],
    ['a dispute of which nothing is known', fraud({ networkReasonCode: null, eligibilities: [] })],
  ])('refuses it for %s', (_, about) => {
    expect(foundIn(evidence3(), about)).toEqual([['compelling_evidence_refused', ce3]]);
  });

  it('refuses it where the provider does not list the dispute', () => {
    expect(foundIn(evidence3(), fraud({ eligibilities: [] }))).toEqual([['compelling_evidence_not_listed', ce3]]);
  });

  it('warns when it is left out though it is asked for, and not when the provider has all', () => {
    expect(found(good, [], fraud())).toEqual([['compelling_evidence_left_out', ce3]]);
    expect(found(good, [], fraud({ eligibilities: [listed([], 'qualified')] }))).toEqual([]);
    expect(found(good, [], fraud({ eligibilities: [listed([], 'not_qualified')] }))).toEqual([]);
  });

  it('wants all that the provider asks for', () => {
    expect(foundIn({})).toEqual([
      ['evidence_empty', 'evidence'],
      ['description_missing', `${ce3}.disputedTransaction.productDescription`],
      ['merchandise_or_services_missing', `${ce3}.disputedTransaction.merchandiseOrServices`],
      ['description_missing', `${ce3}.priorUndisputedTransactions`],
      ['prior_transactions_not_two', `${ce3}.priorUndisputedTransactions`],
      ['identifiers_do_not_match', ce3],
    ]);
  });

  it.each<[string, CompellingEvidence3, string, string]>([
    [
      'missing_disputed_transaction_description',
      evidence3({}, { productDescription: ' ' }),
      'description_missing',
      'disputedTransaction.productDescription',
    ],
    [
      'missing_merchandise_or_services',
      evidence3({}, { merchandiseOrServices: undefined }),
      'merchandise_or_services_missing',
      'disputedTransaction.merchandiseOrServices',
    ],
    [
      'missing_customer_identifiers',
      evidence3(
        {},
        { customerPurchaseIp: undefined, customerAccountId: undefined },
        { customerPurchaseIp: undefined, customerAccountId: undefined },
      ),
      'identifiers_do_not_match',
      '',
    ],
  ])('leaves it to the provider where that does not say %s', (action, given, code, path) => {
    const at = path === '' ? ce3 : `${ce3}.${path}`;
    const blank = path.endsWith('productDescription') ? [['text_blank', at]] : [];
    expect(foundIn(given, fraud({ eligibilities: [listed([action])] }))).toEqual([[code, at], ...blank]);
    expect(foundIn(given, fraud({ eligibilities: [listed([])] }))).toEqual([
      ...blank,
      ['compelling_evidence_left_to_provider', at],
    ]);
  });

  it('leaves the earlier payments to the provider where it does not ask for them, but not their descriptions', () => {
    const { disputedTransaction = {} } = evidence3({}, { customerPurchaseIp: undefined, customerAccountId: undefined });
    const priors = `${ce3}.priorUndisputedTransactions`;
    expect(foundIn({ disputedTransaction }, fraud({ eligibilities: [listed([])] }))).toEqual([
      ['compelling_evidence_left_to_provider', priors],
      ['compelling_evidence_left_to_provider', ce3],
    ]);
    const asked = fraud({ eligibilities: [listed(['missing_prior_undisputed_transaction_description'])] });
    expect(foundIn({ disputedTransaction }, asked)).toContainEqual(['description_missing', priors]);
  });

  it('says so when the provider asks for something new', () => {
    const about = fraud({ eligibilities: [listed(['missing_moon_phase'])] });
    expect(foundIn(evidence3(), about)).toEqual([['compelling_evidence_unknown_action', ce3]]);
  });

  it.each<[string, readonly PriorTransaction[], [string, string]]>([
    ['one', [{ charge: 'ch_1' }], ['prior_transactions_not_two', '']],
    ['three', [{ charge: 'ch_1' }, { charge: 'ch_2' }, { charge: 'ch_3' }], ['prior_transactions_not_two', '']],
    ['a nameless one', [{ charge: 'ch_1' }, { charge: ' ' }], ['prior_charge_missing', '.1.charge']],
    ['the same one twice', [{ charge: 'ch_1' }, { charge: 'ch_1' }], ['prior_charge_repeated', '.1.charge']],
    ['the disputed one', [{ charge: 'ch_0' }, { charge: 'ch_1' }], ['prior_charge_disputed', '.0.charge']],
    ['the disputed one by another name', [{ charge: 'ch_1' }, { charge: 'pi_0' }], ['prior_charge_disputed', '.1.charge']],
    ['one that is not described', [{ charge: 'ch_1' }, { charge: 'ch_2' }], ['description_missing', '.1.productDescription']],
  ])('does not take %s as the earlier payments', (_, priorUndisputedTransactions, [code, path]) => {
    expect(foundIn(evidence3({ priorUndisputedTransactions }))).toContainEqual([
      code,
      `${ce3}.priorUndisputedTransactions${path}`,
    ]);
  });

  it.each<[number, boolean]>([
    [119.99, false],
    [120, true],
    [364, true],
    [364.01, false],
    [365, false],
    [-200, false],
  ])('takes an earlier payment of %d days before: %p', (days, isTaken) => {
    const path = `${ce3}.priorUndisputedTransactions.1.charge`;
    expect(foundIn(evidence3(), fraud(), known(200, days))).toEqual(isTaken ? [] : [['prior_charge_outside_window', path]]);
  });

  it.each<[string, KnownCharges]>([
    ['the disputed payment', { ...known(), paidAt: null }],
    ['the earlier payments', { ...known(), earlier: new Map() }],
    ['anything, but for a date that is none', { ...known(), paidAt: new Date(Number.NaN) }],
  ])('warns when it does not know the date of %s', (_, charges) => {
    expect(foundIn(evidence3(), fraud(), charges)).toEqual(
      [0, 1].map((n) => ['prior_charge_date_unknown', `${ce3}.priorUndisputedTransactions.${n}.charge`]),
    );
  });

  const address = { line1: '1 Main St', city: 'Austin', state: 'TX', postalCode: '78701', country: 'US' };
  it.each<[string, object, boolean]>([
    ['IP and account', { customerPurchaseIp: '1.2.3.4', customerAccountId: 'a' }, true],
    ['IP and e-mail', { customerPurchaseIp: '1.2.3.4', customerEmailAddress: 'a@b.example' }, true],
    ['IP and address', { customerPurchaseIp: '1.2.3.4', shippingAddress: address }, true],
    ['IP and device id', { customerPurchaseIp: '1.2.3.4', customerDeviceId: '123456789012345' }, true],
    ['fingerprint and account', { customerDeviceFingerprint: 'x'.repeat(20), customerAccountId: 'a' }, true],
    [
      'device id and fingerprint, which is one device',
      { customerDeviceId: 'y'.repeat(15), customerDeviceFingerprint: 'x'.repeat(20) },
      false,
    ],
    ['IP alone', { customerPurchaseIp: '1.2.3.4' }, false],
    [
      'account, e-mail and address',
      { customerAccountId: 'a', customerEmailAddress: 'a@b.example', shippingAddress: address },
      false,
    ],
    ['account and what is no IP', { customerAccountId: 'a', customerPurchaseIp: 'unknown' }, false],
    ['IP and part of an address', { customerPurchaseIp: '1.2.3.4', shippingAddress: { ...address, state: '' } }, false],
  ])('counts %s in all three payments as enough: %s', (_, identifiers, isEnough) => {
    const nobody = { customerPurchaseIp: undefined, customerAccountId: undefined };
    const codes = foundIn(evidence3({}, { ...nobody, ...identifiers }, { ...nobody, ...identifiers })).map(([code]) => code);
    expect(codes.includes('identifiers_do_not_match')).toBe(!isEnough);
  });

  it('wants them to be the same to the letter in all three', () => {
    expect(foundIn(evidence3({}, { customerAccountId: 'Grace' }))).toEqual([['identifiers_do_not_match', ce3]]);
  });

  it('wants a device id of 15 and a fingerprint of 20 characters, and a whole address', () => {
    const short = {
      customerDeviceId: '12345678901234',
      customerDeviceFingerprint: 'x'.repeat(19),
      shippingAddress: { city: 'Austin' },
    };
    expect(foundIn(evidence3({}, short))).toEqual([
      ['device_id_too_short', `${ce3}.disputedTransaction.customerDeviceId`],
      ['device_fingerprint_too_short', `${ce3}.disputedTransaction.customerDeviceFingerprint`],
      ['shipping_address_incomplete', `${ce3}.disputedTransaction.shippingAddress`],
    ]);
  });
});

describe('The linter, about compliance programmes', () => {
  const of = (programme: string, status = 'requires_fee_acknowledgement'): Eligibility => ({
    programme,
    status,
    requiredActions: [],
  });
  const fee = (visa?: boolean, mastercard?: boolean): Evidence => ({
    ...good,
    enhancedEvidence: {
      ...(visa === undefined ? {} : { visaCompliance: { feeAcknowledged: visa } }),
      ...(mastercard === undefined ? {} : { mastercardCompliance: { feeAcknowledged: mastercard } }),
    },
  });
  const visa = dispute({ stage: 'compliance', eligibilities: [of('visa_compliance')] });
  const notAcknowledged = ['compliance_fee_not_acknowledged', 'enhancedEvidence.visaCompliance'];

  it.each<[string, Evidence, LintedDispute, string[][]]>([
    ['an acknowledged fee', fee(true), visa, []],
    ['a fee that is not mentioned', good, visa, [notAcknowledged]],
    ['a fee that is not acknowledged', fee(false), visa, [notAcknowledged]],
    ['a fee that was acknowledged before', good, dispute({ eligibilities: [of('visa_compliance', 'fee_acknowledged')] }), []],
    ['a fee taken back', fee(false), dispute({ eligibilities: [of('visa_compliance', 'fee_acknowledged')] }), [notAcknowledged]],
    [
      'the other network’s fee',
      fee(undefined, true),
      visa,
      [['compliance_not_offered', 'enhancedEvidence.mastercardCompliance'], notAcknowledged],
    ],
    ['a fee where none is asked', fee(true), dispute(), [['compliance_not_offered', 'enhancedEvidence.visaCompliance']]],
    ['a case whose programme is not said', good, dispute({ stage: 'compliance' }), [notAcknowledged]],
    ['a case whose programme is not said, acknowledged', fee(true), dispute({ stage: 'compliance' }), []],
    ['a case of an unknown network, acknowledged', fee(undefined, true), dispute({ stage: 'compliance', network: null }), []],
  ])('judges %s', (_, content, about, expected) => {
    expect(found(content, [], about)).toEqual(expected);
  });
});

describe('The linter, about appeals', () => {
  const appeal = { card: { reasonForFiling: 'It was signed for.' } };
  const due = dispute({ stage: 'appeal' });

  it('wants a reason, and nothing else', () => {
    expect(found({ appeal }, [file({ place: 'appealSupportingFiles' }), file({ place: 'appealSupportingFiles' })], due)).toEqual(
      [],
    );
    expect(found({ appeal: { card: { reasonForFiling: ' ' } } }, [file({ place: 'appealSupportingFiles' })], due)).toEqual([
      ['appeal_reason_missing', 'appeal.card.reasonForFiling'],
      ['text_blank', 'appeal.card.reasonForFiling'],
    ]);
    expect(found({ appeal, ...good, enhancedEvidence: {} }, [file()], due)).toEqual([
      ['only_appeal_due', 'productDescription'],
      ['only_appeal_due', 'enhancedEvidence'],
      ['only_appeal_due', 'receipt'],
    ]);
  });

  it('takes none where none is due', () => {
    expect(found({ appeal, ...good }, [file({ place: 'appealSupportingFiles' })])).toEqual([
      ['appeal_not_due', 'appeal'],
      ['appeal_not_due', 'appealSupportingFiles'],
    ]);
  });
});

const often = <T>(usual: fc.Arbitrary<T>, rare: fc.Arbitrary<T>) =>
  fc.oneof({ weight: 7, arbitrary: usual }, { weight: 1, arbitrary: rare });
const anyText: fc.Arbitrary<string> = often(
  fc.string({ maxLength: 12 }),
  fc.oneof(
    fc.string({ unit: 'binary', maxLength: 40 }),
    fc.constantFrom('', ' ', 'a\ud800', '1.2.3.4', 'https://x.example', '2026-03-02', '__proto__'),
    fc.constantFrom(4999, 5000, 5001, 19_999, 20_000, 20_001).map((n) => 'x'.repeat(n)),
  ),
);
const ids = {
  customerAccountId: fc.constantFrom('grace', 'ada'),
  customerDeviceFingerprint: fc.constantFrom('x'.repeat(20), 'x'.repeat(19)),
  customerDeviceId: fc.constantFrom('y'.repeat(15), 'y'.repeat(14)),
  customerEmailAddress: fc.constantFrom('a@b.example', 'x'),
  customerPurchaseIp: fc.constantFrom('1.2.3.4', '1.2.3.4', '::1', 'x'),
  productDescription: often(fc.constant('A boat'), anyText),
};
const noKeys = { requiredKeys: [] };
const anyCe3 = fc.record(
  {
    disputedTransaction: fc.record(
      { ...ids, merchandiseOrServices: fc.constantFrom('merchandise' as const, 'services' as const) },
      noKeys,
    ),
    priorUndisputedTransactions: fc.array(
      fc.record({ ...ids, charge: fc.constantFrom('ch_0', 'ch_1', 'ch_2', 'ch_3', '') }, { requiredKeys: ['charge'] }),
      { minLength: 1, maxLength: 3 },
    ),
  },
  noKeys,
);
/** Mostly right, so that many a packet passes: the same in all three payments, but for a part that one of them lacks or has otherwise. */
const likelyCe3: fc.Arbitrary<CompellingEvidence3> = fc
  .record({
    same: fc.record(ids, noKeys),
    odd: often(fc.constant({}), fc.record(ids, noKeys)),
    charges: often<readonly string[]>(
      fc.constantFrom<string[][]>(['ch_1', 'ch_2'], ['ch_1', 'ch_3']),
      fc.constantFrom<string[][]>(['ch_2', 'ch_2'], ['ch_0', 'ch_1'], ['ch_1']),
    ),
    merchandiseOrServices: fc.constantFrom('merchandise' as const, 'services' as const),
  })
  .map(({ same, odd, charges, merchandiseOrServices }) => ({
    disputedTransaction: { ...same, merchandiseOrServices },
    priorUndisputedTransactions: charges.map((charge, n) => ({ ...same, ...(n === 0 ? odd : {}), charge })),
  }));
const fee = fc.record({ feeAcknowledged: fc.boolean() });
const anyContent: fc.Arbitrary<Evidence> = fc
  .record({
    texts: fc.record(Object.fromEntries(textFields.map((field) => [field, anyText])), noKeys),
    enhanced: fc.option(
      fc.record(
        {
          visaCompellingEvidence3: fc.oneof(anyCe3, likelyCe3),
          visaCompliance: fee,
          mastercardCompliance: fee,
        },
        noKeys,
      ),
      { freq: 1 },
    ),
    reasonForFiling: fc.option(anyText, { freq: 1 }),
    isAlone: fc.boolean(),
  })
  .map(({ texts, enhanced, reasonForFiling, isAlone }) => ({
    ...(isAlone ? {} : texts),
    ...(enhanced === null || isAlone ? {} : { enhancedEvidence: enhanced }),
    ...(reasonForFiling === null ? {} : { appeal: { card: { reasonForFiling } } }),
  }));
const anyFiles = fc.array(
  fc
    .record({
      place: fc.constantFrom(...filePlaces),
      size: often(fc.integer({ min: 1, max: 1_000_000 }), fc.constantFrom(0, -1, 4_500_000, 4_500_001, 5_000_001)),
      pages: often(fc.integer({ min: 1, max: 8 }), fc.constantFrom(0, 19, 20, 49, 50, Number.NaN)),
      type: often<string>(fc.constantFrom('application/pdf', 'image/jpeg', 'image/png'), fc.constant('text/html')),
    })
    .map(({ type, ...rest }) => file({ ...rest, type: type as FileType })),
  { maxLength: 6 },
);
const anyDispute: fc.Arbitrary<LintedDispute> = fc.record({
  stage: fc.constantFrom<DisputeStage[]>(
    'inquiry',
    'chargeback',
    'chargeback',
    'chargeback',
    'appeal',
    'appeal',
    'compliance',
    'prevention',
  ),
  network: fc.constantFrom('visa', 'visa', 'mastercard', 'amex', 'unknown', null, '__proto__'),
  networkReasonCode: fc.constantFrom('10.4', '10.4', '13.1', '4853', null, 'constructor'),
  eligibilities: fc.array(
    fc.record({
      programme: fc.constantFrom(
        'visa_compelling_evidence_3',
        'visa_compelling_evidence_3',
        'visa_compliance',
        'mastercard_compliance',
        'x',
      ),
      status: fc.constantFrom(
        'qualified',
        'requires_action',
        'not_qualified',
        'requires_fee_acknowledgement',
        'fee_acknowledged',
        null,
      ),
      requiredActions: fc.constantFrom([], allActions, ['missing_customer_identifiers'], ['missing_moon_phase']),
    }),
    { maxLength: 2 },
  ),
});
const anyKnown: fc.Arbitrary<KnownCharges> = fc.constantFrom(known(), known(), known(119, 365), {
  ...known(),
  earlier: new Map(),
});

/** Stripe's limits once more, written down apart from the linter's own. */
function staysWithinLimits(about: LintedDispute, content: Evidence, files: readonly EvidenceFile[], charges: KnownCharges): void {
  const texts: string[] = [];
  JSON.stringify(content, (_, part: unknown) => {
    if (typeof part === 'string') texts.push(part);
    return part;
  });
  expect(texts.join('').length).toBeLessThanOrEqual(150_000);
  expect(Math.max(0, ...texts.map((text) => [...text].length))).toBeLessThanOrEqual(20_000);
  for (const text of texts) {
    expect(Buffer.from(text).toString()).toBe(text); // no half characters
    expect([...text].every((character) => character >= ' ' || '\t\n\r'.includes(character))).toBe(true);
  }
  expect(texts.length + files.length).toBeGreaterThan(0);
  expect(files.reduce((sum, { size }) => sum + size, 0)).toBeLessThanOrEqual(4_500_000);
  const pages = files.reduce((sum, file) => sum + file.pages, 0);
  expect(pages).toBeLessThan(about.network === 'mastercard' ? 20 : 50);
  for (const { type, size } of files) {
    expect(['application/pdf', 'image/jpeg', 'image/png']).toContain(type);
    expect(size).toBeGreaterThan(0);
    expect(size).toBeLessThanOrEqual(5_000_000);
  }
  const places = files.map(({ place }) => place).filter((place) => place !== 'appealSupportingFiles');
  expect(new Set(places).size).toBe(places.length);
  if (about.stage === 'appeal') {
    expect(Object.keys(content)).toEqual(['appeal']);
    expect(content.appeal?.card.reasonForFiling.trim()).not.toBe('');
    expect(places).toEqual([]);
  } else {
    expect(content.appeal).toBeUndefined();
    expect(places.length).toBe(files.length);
  }
  const compliance = about.eligibilities.filter(({ programme }) => programme.endsWith('_compliance'));
  for (const { programme, status } of about.stage === 'appeal' ? [] : compliance) {
    const part = programme === 'visa_compliance' ? 'visaCompliance' : 'mastercardCompliance';
    expect(content.enhancedEvidence?.[part]?.feeAcknowledged ?? status === 'fee_acknowledged').toBe(true);
  }
  const given = content.enhancedEvidence?.visaCompellingEvidence3;
  if (given === undefined) return;
  expect(about.networkReasonCode ?? '10.4').toBe('10.4');
  expect(['visa', 'unknown', null]).toContain(about.network);
  const { disputedTransaction: disputed, priorUndisputedTransactions: priors } = given;
  for (const one of [disputed, ...(priors ?? [])]) {
    expect(one?.customerDeviceId?.length ?? 15).toBeGreaterThanOrEqual(15);
    expect(one?.customerDeviceFingerprint?.length ?? 20).toBeGreaterThanOrEqual(20);
  }
  const asks = (action: string) => {
    const eligibility = about.eligibilities.find(({ programme }) => programme === 'visa_compelling_evidence_3');
    return eligibility?.requiredActions.includes(action) ?? true;
  };
  if (asks('missing_merchandise_or_services')) expect(disputed?.merchandiseOrServices).toBeDefined();
  if (asks('missing_disputed_transaction_description')) expect(disputed?.productDescription?.trim()).toBeTruthy();
  if (asks('missing_prior_undisputed_transaction_description')) {
    expect(priors?.every(({ productDescription }) => productDescription?.trim())).toBe(true);
  }
  if (asks('missing_prior_undisputed_transactions')) expect(priors).toBeDefined();
  if (priors === undefined) return;
  expect(new Set(priors.map(({ charge }) => charge)).size).toBe(2);
  expect(priors).toHaveLength(2);
  for (const { charge } of priors) {
    expect(['', 'ch_0']).not.toContain(charge);
    const at = charges.earlier.get(charge);
    if (at === undefined) continue;
    const days = (paidAt.getTime() - at.getTime()) / 86_400_000;
    expect(days).toBeGreaterThanOrEqual(120);
    expect(days).toBeLessThanOrEqual(364);
  }
  if (!asks('missing_customer_identifiers')) return;
  const isSame = (name: keyof typeof ids) => {
    const value = disputed?.[name];
    return value !== undefined && priors.every((prior) => prior[name] === value);
  };
  const main = [isSame('customerPurchaseIp'), isSame('customerDeviceId') || isSame('customerDeviceFingerprint')].filter(Boolean);
  const secondary = [isSame('customerEmailAddress'), isSame('customerAccountId')].filter(Boolean);
  expect(main.length).toBeGreaterThan(0);
  expect(main.length + secondary.length).toBeGreaterThanOrEqual(2);
}

function judge(about: LintedDispute, content: Evidence, files: readonly EvidenceFile[], charges: KnownCharges): boolean {
  const all = lint(about, { content, files }, charges);
  for (const { code, severity, message } of all) {
    expect(severity).toBe(findings[code][0]);
    expect(message.startsWith(findings[code][1])).toBe(true);
  }
  if (hasErrors(all)) return false;
  staysWithinLimits(about, content, files, charges);
  return true;
}

describe('Any packet', () => {
  it('is judged without failing, and what has no error is within every limit', () => {
    let passed = 0;
    fc.assert(
      fc.property(anyDispute, anyContent, anyFiles, anyKnown, (about, content, files, charges) => {
        if (judge(about, content, files, charges)) passed += 1;
      }),
      { numRuns: 1500 },
    );
    // Were nearly all refused, this would prove little.
    expect(passed).toBeGreaterThan(50);
  });

  it('is so with Compelling Evidence 3.0 that is right, or nearly', () => {
    let passed = 0;
    const eligibilities = fc.constantFrom(
      [],
      [listed(allActions)],
      [listed([])],
      [listed(allActions.slice(0, 1))],
      [listed(allActions.slice(3))],
    );
    fc.assert(
      fc.property(eligibilities, fc.oneof(likelyCe3, anyCe3), anyKnown, (given, visaCompellingEvidence3, charges) => {
        const content = { ...good, enhancedEvidence: { visaCompellingEvidence3 } };
        if (judge(fraud({ eligibilities: given }), content, [], charges)) passed += 1;
      }),
      { numRuns: 1500 },
    );
    expect(passed).toBeGreaterThan(50);
  });
});
