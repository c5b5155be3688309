import { describe, expect, it } from '@jest/globals';
import { atLeastFromStripe, fromStripe, toStripe } from './stripe-amounts.js';

describe("An amount at Stripe has Stripe's own units", () => {
  it.each([
    ['USD', 1050n, 1050],
    ['AED', 1999n, 1999],
    ['HUF', 12345n, 12345],
    ['JPY', 500n, 500],
    ['KWD', 10000n, 10000],
    ['KWD', 10010n, 10010],
    ['ISK', 10n, 1000],
    ['UGX', 7n, 700],
    ['MGA', 1000n, 10],
    ['XOF', 250n, 250],
  ])('%s %p goes out as %p and comes back the same', (currency, amount, units) => {
    expect(toStripe({ amount, currency })).toEqual({ ok: true, value: units });
    expect(fromStripe(units, currency)).toBe(amount);
  });

  it.each([
    ['10.005 KWD, because the last digit must be 0', 'KWD', 10005n],
    ['10.50 MGA, because Stripe takes whole ariary', 'MGA', 1050n],
    ['nothing at all', 'USD', 0n],
    ['more than a JavaScript number can hold', 'USD', 2n ** 53n],
    ['a currency that ISO does not have', 'XXY', 100n],
    ['a currency on which Stripe and ISO differ and no rule says how', 'CLF', 10000n],
    ['dinars of which Stripe does not say that it has three digits', 'IQD', 1000n],
  ])('refuses %s', (_why, currency, amount) => {
    expect(toStripe({ amount, currency })).toMatchObject({ ok: false, error: { code: 'amount_not_representable' } });
  });

  it.each([
    ['10.50 ISK, which cannot be', 1050, 'ISK'],
    ['a fraction', 10.5, 'USD'],
    ['less than nothing', -1, 'USD'],
    ['text', '100', 'USD'],
    ['more than a JavaScript number can hold', 2 ** 53, 'USD'],
    ['an unknown currency', 100, 'XXY'],
  ])('does not read %s as an amount', (_why, units, currency) => {
    expect(fromStripe(units, currency)).toBeNull();
  });

  it.each([
    ['exactly, where it can be said', 'USD', 1050, 1050n],
    ['exactly, where the two have other units', 'MGA', 10, 1000n],
    ['exactly, in whole krónur', 'ISK', 1000, 10n],
    ['rounded up, with a part of a króna', 'ISK', 1001, 11n],
    ['as nothing', 'ISK', 0, 0n],
    ["in the provider's units, of a currency that ISO does not have", 'XXY', 1050, 1050n],
    ["in the provider's units, where nobody knows how they differ", 'CLF', 1050, 1050n],
  ])('is told %s, when it must be told at any rate', (_how, currency, units, amount) => {
    expect(atLeastFromStripe(units, currency)).toBe(amount);
  });

  it.each([10.5, -1, '100', null, undefined, 2 ** 53, Number.NaN])('%p is no amount, whatever must be told', (units) => {
    expect(atLeastFromStripe(units, 'USD')).toBeNull();
    expect(atLeastFromStripe(units, 'XXY')).toBeNull();
  });
});
