import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { completeness, rowOf, type Claim } from './completeness.js';
import { disputeStages } from './dispute.js';
import { filePlaces, textFields, type EnhancedEvidence, type Evidence, type EvidenceFile, type FilePlace } from './evidence.js';
import {
  networkCodes,
  productTypes,
  reasons,
  requirementsVersion,
  rows,
  type EvidenceItem,
  type ProductType,
  type RowName,
} from './requirements.js';

const file = (place: FilePlace): EvidenceFile => ({
  id: 'ef_1',
  disputeId: 'dp_1',
  place,
  name: 'x.pdf',
  type: 'application/pdf',
  size: 1,
  pages: 1,
  digest: 'aa',
  providerFileId: null,
  by: 'ada',
  addedAt: new Date(0),
  refusedAs: null,
  removedAt: null,
});

const claim = (networkReasonCode: string | null, changes: Partial<Claim> = {}): Claim => ({
  networkReasonCode,
  reason: null,
  ...changes,
});

const prior = (charge: string) => ({ charge, customerPurchaseIp: '1.2.3.4' });
const nested: Record<string, Evidence> = {
  'appeal.card.reasonForFiling': { appeal: { card: { reasonForFiling: 'x' } } },
  'enhancedEvidence.feeAcknowledged': { enhancedEvidence: { visaCompliance: { feeAcknowledged: true } } },
  'enhancedEvidence.visaCompellingEvidence3': {
    enhancedEvidence: {
      visaCompellingEvidence3: {
        disputedTransaction: { customerPurchaseIp: '1.2.3.4' },
        priorUndisputedTransactions: [prior('ch_1'), prior('ch_2')],
      },
    },
  },
};

/** An answer that has just these. */
function answer(...items: readonly EvidenceItem[]): { content: Evidence; files: EvidenceFile[] } {
  const places = filePlaces.filter((place) => items.includes(place));
  const texts = Object.fromEntries(textFields.filter((field) => items.includes(field)).map((field) => [field, 'x']));
  const enhancedEvidence = items.reduce<EnhancedEvidence>((all, item) => ({ ...all, ...nested[item]?.enhancedEvidence }), {});
  const appeal = items.includes('appeal.card.reasonForFiling') ? nested['appeal.card.reasonForFiling'] : {};
  return { content: { ...texts, enhancedEvidence, ...appeal }, files: places.map(file) };
}

const requiredBy = (...[about, given]: Parameters<typeof completeness>) =>
  completeness(about, given)
    .missing.filter(({ kind }) => kind === 'required')
    .map((line) => ('item' in line ? line.item : line.oneOf.join('|')));

describe('A claim', () => {
  it.each<[string | null, string, string | null, RowName]>([
    ['visa', '10.1', null, 'card_present_fraud'],
    ['visa', '10.3', null, 'card_present_fraud'],
    ['visa', '10.4', 'fraudulent', 'fraud_compelling_evidence'],
    ['visa', '10.5', null, 'fraud'],
    ['visa', '11.3', null, 'processing'],
    ['visa', '12.5', null, 'processing'],
    ['visa', '12.6.1', null, 'duplicate'],
    ['visa', '12.6.2', null, 'paid_by_other_means'],
    ['visa', '13.1', null, 'product_not_received'],
    ['visa', '13.2', null, 'subscription_canceled'],
    ['visa', '13.3', null, 'product_unacceptable'],
    ['visa', '13.4', null, 'product_unacceptable'],
    ['visa', '13.5', null, 'product_unacceptable'],
    ['visa', '13.6', null, 'credit_not_processed'],
    ['visa', '13.7', null, 'canceled_goods'],
    ['mastercard', '4837', null, 'fraud'],
    ['mastercard', '4863', null, 'unrecognized'],
    ['discover', '4863', null, 'processing'],
    ['mastercard', '4834', null, 'duplicate'],
    ['mastercard', '4808', null, 'processing'],
    ['mastercard', '4853', 'product_not_received', 'product_not_received'],
    ['mastercard', '4853', 'subscription_canceled', 'subscription_canceled'],
    ['mastercard', '4853', null, 'general'],
    ['mastercard', '4870', null, 'card_present_fraud'],
    ['amex', 'C08', null, 'product_not_received'],
    ['amex', 'c08', null, 'product_not_received'],
    ['amex', 'C28', null, 'subscription_canceled'],
    ['amex', 'C31', null, 'product_unacceptable'],
    ['amex', 'F29', null, 'fraud'],
    ['amex', 'P08', null, 'duplicate'],
    ['discover', 'RG', null, 'product_not_received'],
    ['discover', 'UA02', null, 'fraud'],
    ['discover', 'DP', null, 'duplicate'],
    [null, '13.1', null, 'product_not_received'],
    ['unknown', 'UA02', null, 'fraud'],
    ['visa', 'C028', 'noncompliant', 'noncompliant'],
    ['visa', '99.9', 'duplicate', 'duplicate'],
    ['jcb', '10.4', 'unrecognized', 'unrecognized'],
    ['visa', '99.9', 'something_new', 'general'],
  ])('of %s with code %s and category %s is measured by the row %s', (network, code, reason, row) => {
    expect(rowOf({ network, networkReasonCode: code, reason })).toBe(row);
  });

  it('in an appeal or a compliance case is measured by what those take', () => {
    expect(rowOf(claim('10.4', { stage: 'appeal' }))).toBe('appeal');
    expect(rowOf(claim('10.4', { stage: 'compliance' }))).toBe('noncompliant');
    expect(
      completeness(claim('10.4', { stage: 'appeal' }), answer('appeal.card.reasonForFiling', 'appealSupportingFiles')).score,
    ).toBe(100);
  });

  it.each([...reasons.keys()])('of the category %s has a row without any code', (reason) => {
    expect(rowOf({ networkReasonCode: null, reason })).toBe(reasons.get(reason));
  });
});

describe('The table', () => {
  it.each(Object.entries(rows))('gives each item of the row %s a reason in words, and asks for something first', (_, row) => {
    expect(row.some(({ kind, product }) => kind === 'required' && product === null)).toBe(true);
    for (const { why } of row) expect(why).toMatch(/^[A-Z].{15,}\.$/);
  });

  it('asks for no item twice alone, for any product', () => {
    for (const [name, row] of Object.entries(rows)) {
      for (const productType of [null, ...productTypes]) {
        const alone = row.filter(({ oneOf, product }) => oneOf.length === 1 && (product === null || product === productType));
        const items = alone.map(({ oneOf }) => oneOf[0]);
        expect([name, productType, items.filter((item, n) => items.indexOf(item) < n)]).toEqual([name, productType, []]);
      }
    }
  });

  it('leads every code to a row', () => {
    for (const [network, codes] of networkCodes) {
      for (const code of codes.keys()) expect(rows).toHaveProperty(rowOf({ network, networkReasonCode: code, reason: null }));
    }
  });
});

describe('The score', () => {
  it('is 0 for nothing and 100 for everything, for every row and product', () => {
    const everything = answer(...textFields, ...filePlaces, ...(Object.keys(nested) as EvidenceItem[]));
    for (const reason of [null, ...reasons.keys()]) {
      for (const productType of [null, ...productTypes]) {
        expect(completeness({ networkReasonCode: null, reason, productType }, answer()).score).toBe(0);
        expect(completeness({ networkReasonCode: null, reason, productType }, everything)).toMatchObject({
          score: 100,
          missing: [],
        });
      }
    }
  });

  /** By hand: required 6, strong 3, optional 1, rounded down. */
  it.each<[string, ProductType | null, EvidenceItem[], number, string[]]>([
    ['10.4', null, ['productDescription', 'customerCommunication'], 53, []],
    ['10.4', 'digital', ['accessActivityLog', 'productDescription'], 48, []],
    ['13.1', 'physical', ['shippingDocumentation', 'productDescription', 'shippingCarrier'], 58, []],
    ['13.1', 'physical', ['accessActivityLog'], 16, ['productDescription', 'shippingDocumentation|shippingTrackingNumber']],
    ['13.1', 'service', ['productDescription', 'serviceDocumentation', 'serviceDate'], 72, []],
    ['13.6', null, ['refundRefusalExplanation', 'refundPolicy'], 62, []],
    ['4834', null, ['duplicateChargeExplanation'], 26, ['duplicateChargeId|duplicateChargeDocumentation']],
    ['C28', null, ['cancellationRebuttal', 'cancellationPolicy', 'productDescription'], 60, []],
    [
      'RG',
      'physical',
      ['shippingTrackingNumber', 'shippingCarrier', 'shippingAddress', 'shippingDate', 'productDescription'],
      75,
      [],
    ],
  ])('for code %s and product %s with %j is %i', (code, productType, items, score, missing) => {
    const about = claim(code, { productType });
    expect(completeness(about, answer(...items)).score).toBe(score);
    expect(requiredBy(about, answer(...items))).toEqual(missing);
  });

  it('shows each item with its reason, and what is missing with the gravest first', () => {
    const result = completeness(claim('12.6.1'), answer('receipt'));
    expect(result).toMatchObject({ version: requirementsVersion, row: 'duplicate', productType: null });
    expect(result.items).toContainEqual({
      item: 'receipt',
      kind: 'strong',
      given: true,
      why: 'A receipt shows the date, the amount and the goods as the customer saw them.',
    });
    expect(result.missing[1]).toEqual({
      oneOf: ['duplicateChargeId', 'duplicateChargeDocumentation'],
      kind: 'required',
      given: false,
      why: 'The other payment must be named to be compared.',
    });
    expect(result.missing.map(({ kind }) => kind)).toEqual(['required', 'required', 'strong', 'strong', 'optional', 'optional']);
  });

  it('does not count a text that says nothing', () => {
    expect(completeness(claim('13.1'), { content: { productDescription: ' \n' }, files: [] }).score).toBe(0);
  });

  it('counts Compelling Evidence 3.0 only with both earlier payments and something that identifies the customer', () => {
    const given = (n: number) => ({
      content: {
        enhancedEvidence: {
          visaCompellingEvidence3: {
            disputedTransaction: { customerPurchaseIp: '1.2.3.4' },
            priorUndisputedTransactions: ['ch_1', 'ch_2', 'ch_3'].slice(0, n).map(prior),
          },
        },
      },
      files: [],
    });
    const scores = [0, 1, 2, 3].map((n) => completeness(claim('10.4'), given(n)).score);
    expect(scores).toEqual([0, 0, scores[2], scores[2]]);
    expect(scores[2]).toBeGreaterThan(25);
  });

  it('finds out from the evidence what was sold, where nobody says it and it does not count for less', () => {
    const parcel = answer('shippingTrackingNumber', 'shippingCarrier', 'shippingAddress', 'shippingDate', 'productDescription');
    expect(completeness(claim('13.1'), parcel)).toMatchObject({ productType: 'physical', score: 75 });
    const sparse = answer('shippingTrackingNumber', 'productDescription', 'customerCommunication', 'receipt');
    expect(completeness(claim('13.1'), sparse)).toMatchObject({ productType: null, score: 80 });
    expect(completeness(claim('13.1', { productType: 'physical' }), sparse)).toMatchObject({
      productType: 'physical',
      score: 61,
    });
    expect(completeness(claim('13.1', { productType: 'digital' }), parcel)).toMatchObject({ productType: 'digital' });
  });

  const items: readonly EvidenceItem[] = [...textFields, ...filePlaces, ...(Object.keys(nested) as EvidenceItem[])];
  const anyCode = fc.oneof(
    fc.constantFrom(...[...networkCodes.values()].flatMap((codes) => [...codes.keys()])),
    fc.constantFrom(null, '__proto__', 'constructor'),
    fc.string(),
  );
  const anyClaim: fc.Arbitrary<Claim> = fc.record({
    network: fc.constantFrom(...networkCodes.keys(), null, 'unknown', 'jcb', '__proto__'),
    networkReasonCode: anyCode,
    reason: fc.oneof(fc.constantFrom(...reasons.keys(), null, 'toString'), fc.string()),
    stage: fc.constantFrom(...disputeStages),
    productType: fc.constantFrom(null, ...productTypes),
  });

  it('never falls when evidence is added', () => {
    fc.assert(
      fc.property(anyClaim, fc.shuffledSubarray([...items]), (about, order) => {
        const scores = order.map((_, n) => completeness(about, answer(...order.slice(0, n + 1))).score);
        expect(scores).toEqual(scores.toSorted((a, b) => a - b));
        for (const score of scores) expect(Number.isInteger(score) && score >= 0 && score <= 100).toBe(true);
      }),
      { numRuns: 1500 },
    );
  });

  it('never fails, whatever the texts say', () => {
    const texts = fc.record(Object.fromEntries(textFields.map((field) => [field, fc.string({ unit: 'binary' })])), {
      requiredKeys: [],
    });
    const places = fc.array(fc.constantFrom(...filePlaces));
    fc.assert(
      fc.property(anyClaim, texts, places, (about, content, given) => {
        expect(completeness(about, { content, files: given.map(file) }).version).toBe(requirementsVersion);
      }),
    );
  });
});
