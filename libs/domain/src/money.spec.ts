import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { exponentOf, fromDecimal, money, toDecimal } from './money.js';

const amounts = fc.bigInt({ min: 0n, max: 10n ** 24n });
const exponents = fc.integer({ min: 0, max: 4 });

describe('Money', () => {
  it('is never negative', () => {
    expect(() => money(-1n, 'USD')).toThrow(new RangeError('money is never negative, got -1 USD'));
    expect(money(0n, 'USD')).toEqual({ amount: 0n, currency: 'USD' });
  });

  it.each(['XXQ', 'usd', '', 'constructor', 'toString', '__proto__'])('knows no minor digits of "%s"', (currency) => {
    expect(exponentOf(currency)).toBeUndefined();
  });

  it('knows the minor digits of the dollar', () => {
    expect(exponentOf('USD')).toBe(2);
  });
});

describe('Minor units as decimal text', () => {
  it.each([
    [0n, 2, '0.00'],
    [5n, 2, '0.05'],
    [1999n, 2, '19.99'],
    [1000n, 2, '10.00'],
    [5n, 3, '0.005'],
    [10005n, 3, '10.005'],
    [500n, 0, '500'],
    [0n, 0, '0'],
    [9007199254740993n, 2, '90071992547409.93'],
  ])('%p with %i digits are %s', (amount, exponent, text) => {
    expect(toDecimal(amount, exponent)).toBe(text);
  });

  it('are refused below zero, because no text of ours may turn money around', () => {
    expect(() => toDecimal(-5n, 2)).toThrow(new RangeError('money is never negative, got -5'));
  });
});

describe('Decimal text as minor units', () => {
  it.each([
    ['19.99', 2, 1999n], // 19.99 * 100 is 1998.9999999999998
    ['1.005', 3, 1005n],
    ['0.1', 2, 10n],
    ['12', 2, 1200n],
    ['12.3', 2, 1230n],
    ['12.30', 2, 1230n],
    ['12.300', 2, 1230n],
    ['500', 0, 500n],
    ['500.00', 0, 500n],
    ['0', 2, 0n],
    ['007.50', 2, 750n],
    ['1e2', 2, 10000n],
    ['1.2e1', 2, 1200n],
    ['1.5E+3', 0, 1500n],
    ['1e10', 0, 10000000000n],
    ['1999e-2', 2, 1999n],
    ['90071992547409.93', 2, 9007199254740993n],
  ])('reads %s with %i digits as %p', (text, exponent, amount) => {
    expect(fromDecimal(text, exponent)).toEqual({ ok: true, value: amount });
  });

  it.each(['19.999', '0.001', '1e-3', '12.340000000000001'])('refuses %s, which two digits cannot hold', (text) => {
    expect(fromDecimal(text, 2)).toEqual({ ok: false, error: { code: 'too_precise' } });
  });

  it.each([
    '',
    ' ',
    '.',
    '1.',
    '.5',
    '-1',
    '+1',
    '-0',
    '0x10',
    '0b1',
    '1_000',
    '1,000.00',
    '1,50',
    '1 ',
    ' 1',
    '1\n',
    '1n',
    'NaN',
    'Infinity',
    '1e',
    'e5',
    '1e1.5',
    '1.2.3',
    '١٢',
    '1e999',
    '1'.repeat(31),
    `0.${'1'.repeat(31)}`,
  ])('refuses %p, which is no amount', (text) => {
    expect(fromDecimal(text, 2)).toEqual({ ok: false, error: { code: 'not_a_decimal' } });
  });

  it('gives back what was written, whatever the amount and its digits', () => {
    fc.assert(
      fc.property(amounts, exponents, (amount, exponent) => {
        expect(fromDecimal(toDecimal(amount, exponent), exponent)).toEqual({ ok: true, value: amount });
      }),
    );
  });

  it('reads the same from a number that was written with an exponent or with zeros behind', () => {
    fc.assert(
      fc.property(amounts, exponents, fc.integer({ min: 1, max: 5 }), (amount, exponent, zeros) => {
        const value = { ok: true, value: amount };
        const text = toDecimal(amount, exponent);
        expect(fromDecimal(`${amount}e-${exponent}`, exponent)).toEqual(value);
        expect(fromDecimal(`${text}${exponent === 0 ? '.' : ''}${'0'.repeat(zeros)}`, exponent)).toEqual(value);
      }),
    );
  });

  it('reads every amount of cents that JSON wrote as a number, where multiplying would lose some', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 1_000_000_000 }), (cents) => {
        expect(fromDecimal(JSON.stringify(cents / 100), 2)).toEqual({ ok: true, value: BigInt(cents) });
      }),
    );
  });

  it('never throws, and never gives a negative amount', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.stringMatching(/^-?\d*\.?\d*([eE][+-]?\d{0,3})?$/)), exponents, (text, exponent) => {
        const result = fromDecimal(text, exponent);
        if (result.ok) expect(result.value >= 0n).toBe(true);
      }),
    );
  });
});
