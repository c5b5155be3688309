import { exponents } from './currencies.js';
import { err, ok, type Result } from './result.js';

/** Whole minor units of an ISO 4217 currency; never negative, because the direction is in the word (refund, withdrawal). */
export interface Money {
  readonly amount: bigint;
  readonly currency: string;
}

export function money(amount: bigint, currency: string): Money {
  if (amount < 0n) throw new RangeError(`money is never negative, got ${amount} ${currency}`);
  return { amount, currency };
}

/** Minor digits of a currency by ISO 4217, or undefined when the list does not have it. Providers differ for some: see their libraries. */
export function exponentOf(currency: string): number | undefined {
  return Object.hasOwn(exponents, currency) ? exponents[currency] : undefined;
}

/** Major units as exact decimal text: 1999 minor units with exponent 2 are "19.99", 5 with 3 are "0.005". */
export function toDecimal(amount: bigint, exponent: number): string {
  if (amount < 0n) throw new RangeError(`money is never negative, got ${amount}`);
  const digits = amount.toString().padStart(exponent + 1, '0');
  return exponent === 0 ? digits : `${digits.slice(0, -exponent)}.${digits.slice(-exponent)}`;
}

/** The way back from decimal text, as providers write it (12, 12.3, 12.30, 1.2e1). More digits than the currency has are refused, unless zeros. */
export function fromDecimal(text: string, exponent: number): Result<bigint, { code: 'not_a_decimal' | 'too_precise' }> {
  const match = /^(\d{1,30})(?:\.(\d{1,30}))?(?:[eE]([+-]?\d{1,2}))?$/.exec(text);
  if (match === null) return err({ code: 'not_a_decimal' });
  const [, whole = '', fraction = '', power = '0'] = match;
  const places = exponent + Number(power) - fraction.length;
  const digits = BigInt(whole + fraction);
  if (places >= 0) return ok(digits * 10n ** BigInt(places));
  const unit = 10n ** BigInt(-places);
  return digits % unit === 0n ? ok(digits / unit) : err({ code: 'too_precise' });
}
