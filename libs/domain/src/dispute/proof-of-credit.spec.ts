import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { lint } from './linter.js';
import { proofOfCredit, type Credit } from './proof-of-credit.js';

const credit = (changes: Partial<Credit> = {}): Credit => ({
  providerRefundId: 're_1',
  status: 'succeeded',
  amount: 2000n,
  currency: 'USD',
  at: new Date('2026-03-02T23:59:59Z'),
  bankReference: null,
  ...changes,
});
const disputed = { amount: 10_000n, currency: 'USD', openedAt: new Date('2026-03-05T10:00:00Z') };

describe('The proof of credit', () => {
  it('is nothing where nothing was refunded', () => {
    expect(proofOfCredit(disputed, [])).toBeNull();
    expect(proofOfCredit(disputed, [credit({ amount: 0n })])).toBeNull();
  });

  it('says what was refunded, when, under which reference, and what of the disputed amount that is', () => {
    expect(proofOfCredit(disputed, [credit({ bankReference: '74537606063000123456789' })])).toBe(
      [
        'This payment was refunded in one refund:',
        '- 20.00 USD on 2 March 2026 (UTC), before this dispute was opened, refund re_1, acquirer reference number (ARN) 74537606063000123456789.',
        'Total refunded: 20.00 USD.',
        'The disputed amount is 100.00 USD. The refunds cover 20.00 USD of it; 80.00 USD was not refunded.',
      ].join('\n'),
    );
  });

  it('tells what is on its way from what has arrived, oldest first', () => {
    const text = proofOfCredit(disputed, [
      credit({
        providerRefundId: 're_2',
        status: 'pending',
        amount: 8000n,
        at: new Date('2026-03-06T00:00:00Z'),
        bankReference: 'trace 7',
      }),
      credit(),
    ]);
    expect(text).toBe(
      [
        'This payment was refunded in 2 refunds:',
        '- 20.00 USD on 2 March 2026 (UTC), before this dispute was opened, refund re_1.',
        '- 80.00 USD on 6 March 2026 (UTC), after this dispute was opened, refund re_2, bank reference trace 7; sent and not yet confirmed by the bank.',
        'Total refunded: 100.00 USD, of which 80.00 USD is not yet confirmed by the bank.',
        'The disputed amount is 100.00 USD. The refunds cover all of it.',
      ].join('\n'),
    );
  });

  it.each([
    ['JPY', 500n, '500 JPY'],
    ['KWD', 1500n, '1.500 KWD'],
    ['XXQ', 7n, '7 in the smallest unit of XXQ'],
  ])('writes amounts of %s as people do', (currency, amount, words) => {
    const text = proofOfCredit({ amount, currency, openedAt: null }, [credit({ amount, currency, at: null })]);
    expect(text).toContain(`- ${words}, date not known, refund re_1.`);
    expect(text).toContain(`The disputed amount is ${words}. The refunds cover all of it.`);
  });

  it('claims no share of a dispute in another currency', () => {
    const text = proofOfCredit({ ...disputed, currency: 'EUR' }, [credit()]);
    expect(text).toContain('Total refunded: 20.00 USD.');
    expect(text).toContain('The disputed amount is 100.00 EUR. The refunds were made in another currency.');
  });

  it('counts a refund once that is named twice', () => {
    expect(proofOfCredit(disputed, [credit(), credit()])).toContain('Total refunded: 20.00 USD.');
  });

  it('fits into its field, however many refunds there were', () => {
    const many = Array.from({ length: 500 }, (_, n) => credit({ providerRefundId: `re_${n}`, amount: 1n }));
    const text = proofOfCredit(disputed, many) ?? '';
    expect(text).toContain('- and 450 more, counted in the total.');
    expect(text).toContain('Total refunded: 5.00 USD.');
    expect(text.length).toBeLessThan(20_000);
  });

  it('never fails, and has nothing in it that the linter refuses', () => {
    const text = fc.string({ unit: 'binary', maxLength: 300 });
    const at = fc.option(fc.date({ noInvalidDate: false }));
    const credits = fc.array(
      fc.record({
        providerRefundId: text,
        status: fc.constantFrom('succeeded' as const, 'pending' as const),
        amount: fc.bigInt(-100n, 10n ** 20n),
        currency: fc.oneof(fc.constantFrom('USD', 'JPY'), text),
        at,
        bankReference: fc.option(text),
      }),
      { maxLength: 60 },
    );
    const about = fc.record({ amount: fc.bigInt(-100n, 10n ** 20n), currency: fc.oneof(fc.constant('USD'), text), openedAt: at });
    const dispute = { stage: 'chargeback', network: 'visa', networkReasonCode: '13.6', eligibilities: [] } as const;
    fc.assert(
      fc.property(about, credits, (of, given) => {
        const proof = proofOfCredit(of, given);
        if (proof === null) return;
        const found = lint(dispute, { content: { refundRefusalExplanation: proof }, files: [] });
        expect(found.filter(({ code }) => code !== 'text_link')).toEqual([]);
      }),
    );
  });
});
