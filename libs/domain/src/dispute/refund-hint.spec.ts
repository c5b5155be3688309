import { describe, expect, it } from '@jest/globals';
import type { Movement } from './dispute.js';
import { feeSeen, refundHint } from './refund-hint.js';

describe("A refund on a bank's warning", () => {
  it.each([
    [1n, 'worthwhile'],
    [1_500n, 'worthwhile'],
    [1_501n, 'borderline'],
    [2_025n, 'borderline'],
    [2_026n, 'not_worthwhile'],
    [0n, 'not_worthwhile'],
  ])('of %s where a dispute costs 1500 is %s', (left, verdict) => {
    expect(refundHint(left, 1_500n)).toEqual({ verdict, disputeFee: 1_500n, upTo: 2_025n });
  });

  it('cannot be weighed before any dispute has cost something', () => {
    expect(refundHint(100n, null)).toEqual({ verdict: 'unknown', disputeFee: null, upTo: null });
  });
});

describe('What a dispute costs', () => {
  const movement = (day: number, fee: bigint, more: Partial<Movement> = {}): Movement => {
    return {
      id: `txn_${day}`,
      kind: 'withdrawal',
      amount: 100n,
      currency: 'USD',
      fee,
      at: new Date(Date.UTC(2026, 2, day)),
      ...more,
    };
  };

  it('is what was taken for the newest one, in the currency that is asked for', () => {
    const disputes = [
      { movements: [movement(3, 2_000n), movement(9, 1_500n, { kind: 'reinstatement' })] },
      { movements: [movement(1, 1_500n), movement(8, 1_900n, { currency: 'EUR' }), movement(7, 0n)] },
    ];
    expect(feeSeen(disputes, 'USD')).toBe(2_000n);
    expect(feeSeen(disputes, 'EUR')).toBe(1_900n);
    expect(feeSeen(disputes, 'JPY')).toBeNull();
  });
});
