/*
 * Stripe's smallest units are not ISO 4217's for every currency. This table is docs.stripe.com/currencies, held against ISO: a currency
 * on which the two differ and which no rule here names is refused, because being a hundred times off is the one mistake not to make.
 */
import { exponentOf, type Money } from '#domain/money';
import type { Rejection } from '#domain/refund/refund';
import { err, ok, type Result } from '#domain/result';

/** docs.stripe.com/currencies#zero-decimal: the amount is in whole units. */
const zeroDecimal = new Set('BIF CLP DJF GNF JPY KMF KRW MGA PYG RWF VND VUV XAF XOF XPF'.split(' '));
/** docs.stripe.com/currencies#three-decimal: the last digit must be 0. */
const threeDecimal = new Set('BHD JOD KWD OMR TND'.split(' '));
/** docs.stripe.com/currencies#special-cases: two digits at Stripe, always 00, none in ISO. */
const paddedToTwo = new Set('ISK UGX'.split(' '));
/** The same page's other side: ISO gives the ariary two digits, Stripe none. */
const cutToNone = new Set(['MGA']);

interface Scale {
  readonly iso: number;
  readonly stripe: number;
  /** An amount at Stripe must be a multiple of this. */
  readonly step: bigint;
}

function scaleOf(currency: string): Scale | null {
  const iso = exponentOf(currency);
  if (iso === undefined) return null;
  if (paddedToTwo.has(currency)) return { iso, stripe: 2, step: 100n };
  if (zeroDecimal.has(currency)) return iso === 0 || cutToNone.has(currency) ? { iso, stripe: 0, step: 1n } : null;
  if (threeDecimal.has(currency)) return iso === 3 ? { iso, stripe: 3, step: 10n } : null;
  return iso === 2 ? { iso, stripe: 2, step: 1n } : null;
}

/** An amount as Stripe wants it, or why Stripe cannot carry it exactly. */
export function toStripe({ amount, currency }: Money): Result<number, Rejection> {
  const scale = scaleOf(currency);
  if (scale === null)
    return err({ code: 'amount_not_representable', detail: `Stripe's units of ${currency} are not known here.` });
  const refuse = (why: string) =>
    err({ code: 'amount_not_representable', detail: `Stripe cannot carry ${amount} ${currency}: ${why}` });
  const units = rescale(amount, scale.iso, scale.stripe);
  if (units === null) return refuse('it takes whole units only.');
  if (units % scale.step !== 0n) return refuse('the last digit must be 0.');
  if (units < 1n) return refuse('it is less than the smallest unit.');
  if (units > BigInt(Number.MAX_SAFE_INTEGER)) return refuse('it is too large.');
  return ok(Number(units));
}

/** The way back; null for what cannot be said exactly in ISO's minor units, and for what is no amount. */
export function fromStripe(amount: unknown, currency: string): bigint | null {
  const scale = scaleOf(currency);
  if (scale === null || typeof amount !== 'number' || !Number.isSafeInteger(amount) || amount < 0) return null;
  return rescale(BigInt(amount), scale.stripe, scale.iso);
}

/**
 * For what must be told whatever it is, such as an amount in dispute: rounded up where ISO's minor units cannot say it exactly, and in
 * Stripe's own units where those of the currency are not known here. Null for what is no amount.
 */
export function atLeastFromStripe(amount: unknown, currency: string): bigint | null {
  if (typeof amount !== 'number' || !Number.isSafeInteger(amount) || amount < 0) return null;
  const scale = scaleOf(currency);
  if (scale === null) return BigInt(amount);
  const up = 10n ** BigInt(Math.max(0, scale.stripe - scale.iso)) - 1n;
  return ((BigInt(amount) + up) * 10n ** BigInt(scale.iso)) / 10n ** BigInt(scale.stripe);
}

function rescale(amount: bigint, from: number, to: number): bigint | null {
  if (to >= from) return amount * 10n ** BigInt(to - from);
  const unit = 10n ** BigInt(from - to);
  return amount % unit === 0n ? amount / unit : null;
}
