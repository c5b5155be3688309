/*
 * Stripe's words and what they mean to us, as tables to hold against Stripe's pages: docs.stripe.com/refunds,
 * docs.stripe.com/error-codes, docs.stripe.com/error-low-level. Nothing outside this library knows these words.
 */
import Stripe from 'stripe';
import type { FoundRefund } from '#domain/ports/refund-provider';
import type { ActionRequired, RefundReport, Says } from '#domain/refund/refund';
import { fromStripe } from './stripe-amounts.js';

/** The names under which a refund at Stripe carries ours: our id, and which attempt of ours it is. */
export const ours = { refund: 'redress_refund', attempt: 'redress_attempt' } as const;

/** docs.stripe.com/refunds#refund-statuses. A status that is not here, and none at all, is for a person: `unclear`. */
const statuses: ReadonlyMap<unknown, Says> = new Map([
  ['pending', 'pending'],
  ['requires_action', 'requires_action'],
  ['succeeded', 'succeeded'],
  ['failed', 'failed'],
  ['canceled', 'canceled'],
]);

/** What a refusal of Stripe's says about the call that got it. */
export type Proof =
  | { readonly proves: 'refused'; readonly code: string; readonly attention: boolean }
  /** Nothing was done: the same call again later, or not before a person has mended something. */
  | { readonly proves: 'later'; readonly limit: 'rate' | 'lock' | null }
  | { readonly proves: 'parked' }
  | { readonly proves: 'unknown' };

export interface Row {
  readonly status?: number;
  readonly type?: string;
  /** Null: Stripe gave none, as for too large an amount. */
  readonly code?: string | null;
  readonly param?: string | RegExp | null;
  readonly then: Proof;
}

const unknown: Proof = { proves: 'unknown' };
const later: Proof = { proves: 'later', limit: null };
const limited: Proof = { proves: 'later', limit: 'rate' };
const locked: Proof = { proves: 'later', limit: 'lock' };
const parked: Proof = { proves: 'parked' };
export const refused = (code: string): Proof => ({ proves: 'refused', code, attention: false });
const refusedForAPerson = (code: string): Proof => ({ proves: 'refused', code, attention: true });

/** What any call can be told. In every table the first row that fits decides, and what fits no row proves nothing. */
export const anywhere: readonly Row[] = [
  // Our own first try is still under way.
  { status: 409, then: later },
  // Another request holds the charge, which is no limit. docs.stripe.com/rate-limits#object-lock-timeouts
  { code: 'lock_timeout', then: locked },
  { status: 429, code: 'rate_limit', then: limited },
  { status: 429, code: null, then: limited },
  // Whatever else a 429 may say, it is not certain that its key is unused.
  { status: 429, then: later },
  { code: 'rate_limit', then: later },
  // The key belongs to a call with other parameters, and that one may have moved money.
  { type: 'idempotency_error', then: unknown },
  { status: 401, then: parked },
  { status: 403, then: parked },
  { status: 400, code: 'livemode_mismatch', then: parked },
  { status: 400, code: 'testmode_charges_only', then: parked },
  { status: 400, code: 'secret_key_required', then: parked },
  { status: 400, code: 'account_invalid', then: parked },
];

/** What is told about a thing that is not there. */
export const notThere = (code: string): readonly Row[] => [
  { status: 404, code: 'resource_missing', then: refused(code) },
  // No such address: STRIPE_API_BASE leads elsewhere.
  { status: 404, then: parked },
  { status: 400, code: 'resource_missing', then: refused(code) },
];

/** A reading of something by its id. */
export const readings: readonly Row[] = [...anywhere, ...notThere('not_found')];

/** An order to refund. */
export const refusals: readonly Row[] = [
  ...anywhere,
  ...notThere('payment_not_found'),
  { status: 400, code: 'charge_already_refunded', then: refused('nothing_left_to_refund') },
  { status: 400, code: 'charge_disputed', then: refused('payment_disputed') },
  { status: 400, code: 'refund_disputed_payment', then: refused('payment_disputed') },
  // More than is left has no code, only the parameter; its message is not for parsing.
  { status: 400, type: 'invalid_request_error', code: null, param: 'amount', then: refused('amount_exceeds_available') },
  // Not captured, or no successful charge.
  { status: 400, type: 'invalid_request_error', code: null, param: null, then: refusedForAPerson('payment_not_refundable') },
  { status: 400, code: 'charge_not_refundable', then: refusedForAPerson('payment_not_refundable') },
  { status: 400, code: 'amount_too_large', then: refusedForAPerson('amount_not_representable') },
  { status: 400, code: 'amount_too_small', then: refusedForAPerson('amount_not_representable') },
  { status: 400, code: 'parameter_invalid_integer', param: 'amount', then: refusedForAPerson('amount_not_representable') },
  { status: 400, code: 'balance_insufficient', then: refusedForAPerson('provider_refused') },
  // Any other no to what was asked: certain, and not foreseen.
  { status: 400, type: 'invalid_request_error', then: refusedForAPerson('provider_refused') },
  { status: 402, then: refusedForAPerson('provider_refused') },
];

/** What a call that threw has proved. Only Stripe's own word below 500 proves anything: an answer of 500 may have moved money. */
export function proofOf(error: unknown, rows: readonly Row[]): Proof {
  if (!(error instanceof Stripe.errors.StripeError) || error.statusCode === undefined || error.statusCode >= 500) return unknown;
  const facts = { status: error.statusCode, type: error.rawType, code: error.code ?? null, param: error.param ?? null };
  const fits = (row: Row) =>
    (row.status === undefined || row.status === facts.status) &&
    (row.type === undefined || row.type === facts.type) &&
    (row.code === undefined || row.code === facts.code) &&
    (row.param === undefined || isParam(row.param, facts.param));
  return rows.find(fits)?.then ?? unknown;
}

const isParam = (wanted: string | RegExp | null, given: string | null): boolean =>
  wanted instanceof RegExp ? given !== null && wanted.test(given) : wanted === given;

/** How a failed call is told to a person. Stripe's sentences on credentials quote part of the key, so those stay out. */
export function inWords(error: unknown): string {
  if (!(error instanceof Stripe.errors.StripeError)) return 'no answer of Stripe';
  if (error.statusCode === undefined) return error.detail instanceof Error ? error.detail.message : 'no answer of Stripe';
  const name = `${error.statusCode} ${error.code ?? error.rawType ?? error.type}`;
  return error.statusCode === 401 || error.statusCode === 403 ? name : `${name}: ${error.message}`;
}

/** A refund as Stripe shows it, whichever way it came: an answer, a list, a webhook. Null when it is none. */
export function foundRefund(value: unknown, at: Date): (FoundRefund & { readonly payment: string | null }) | null {
  if (!isRefund(value)) return null;
  const { metadata } = value;
  const currency = value.currency.toUpperCase();
  const amount = fromStripe(value.amount, currency);
  const attempt = /^[1-9]\d{0,5}$/.exec(metadata?.[ours.attempt] ?? '');
  const refundId = attempt === null ? null : (metadata?.[ours.refund] ?? null);
  return {
    refundId,
    payment: idOf(value.payment_intent) ?? idOf(value.charge),
    report: {
      // An amount that cannot be said in minor units must not pass as one that was not told.
      says: amount === null ? 'unclear' : (statuses.get(value.status) ?? 'unclear'),
      attempt: refundId === null ? 1 : Number(metadata?.[ours.attempt]),
      providerRefundId: value.id,
      providerStatus: value.status,
      amount,
      currency,
      pendingReason: value.pending_reason ?? null,
      failureCode: value.failure_reason ?? null,
      bankReference: bankReference(value),
      ...(value.status === 'requires_action' ? { actionRequired: actionRequired(value) } : {}),
      refusal: null,
      at,
    },
  };
}

/** The report of an attempt that made no refund we know of. */
export function noRefund(
  says: 'refused' | 'unknown',
  attempt: number,
  at: Date,
  refusal: RefundReport['refusal'] = null,
): RefundReport {
  return {
    says,
    attempt,
    refusal,
    at,
    providerRefundId: null,
    providerStatus: null,
    amount: null,
    currency: null,
    pendingReason: null,
    failureCode: null,
    bankReference: null,
  };
}

/** Where Stripe puts an id or, expanded, the object. */
export function idOf(value: unknown): string | null {
  if (typeof value === 'string') return value;
  return typeof value === 'object' && value !== null && 'id' in value && typeof value.id === 'string' ? value.id : null;
}

function isRefund(value: unknown): value is Stripe.Refund {
  if (typeof value !== 'object' || value === null) return false;
  const { object, id, currency, status } = value as Partial<Record<keyof Stripe.Refund, unknown>>;
  const named = typeof id === 'string' && id !== '';
  return object === 'refund' && named && typeof currency === 'string' && (status === null || typeof status === 'string');
}

/**
 * Stripe has written to the customer and waits for their bank details until a day that it names. To whom it wrote stays with Stripe: that
 * is personal data. docs.stripe.com/refunds, docs.stripe.com/api/refunds/object
 */
function actionRequired({ next_action: next }: Stripe.Refund): ActionRequired {
  const until: unknown = next?.display_details?.expires_at;
  return {
    what: next?.display_details?.email_sent === undefined ? 'customer_must_act' : 'customer_must_give_bank_details',
    until: typeof until === 'number' && until > 0 && until < 1e11 ? new Date(until * 1000) : null,
  };
}

/** The reference by which the shopper's bank finds the money (for cards an ARN); each payment method has a place of its own for it. */
function bankReference({ destination_details: destination }: Stripe.Refund): string | null {
  if (typeof destination !== 'object' || destination === null) return null;
  const method = (destination as unknown as Record<string, unknown>)[destination.type];
  if (typeof method !== 'object' || method === null || !('reference' in method)) return null;
  return typeof method.reference === 'string' && method.reference !== '' ? method.reference : null;
}
