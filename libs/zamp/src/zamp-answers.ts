/*
 * Zamp's words and what they mean to us, as tables to hold against docs.roma.global/payments (refund, get-refund, get-payment-session)
 * and docs.roma.global/getting-started/error_codes. Nothing outside this library knows these words.
 */
import { exponentOf, fromDecimal } from '#domain/money';
import type { PaymentFacts } from '#domain/payment/payment';
import type { FoundRefund } from '#domain/ports/refund-provider';
import type { RefundReport, Rejection, Says } from '#domain/refund/refund';

type Data = Readonly<Record<string, unknown>>;

/** A status that is not here is for a person: `unclear`. */
const statuses: ReadonlyMap<unknown, Says> = new Map([
  ['initiated', 'pending'],
  ['in_process', 'pending'],
  ['succeeded', 'succeeded'],
  ['failed', 'failed'],
]);

/** What an error of Zamp's says about the call that got it. */
export type Proof =
  | { readonly proves: 'refused'; readonly code: string; readonly attention: boolean }
  /** `spent`: the key was used before, and what came of it is not told. */
  | { readonly proves: 'later' | 'parked' | 'unknown' | 'spent' };

interface Row {
  readonly status?: number;
  readonly code?: string;
  readonly then: Proof;
}

const unknown: Proof = { proves: 'unknown' };
const spent: Proof = { proves: 'spent' };
const later: Proof = { proves: 'later' };
const parked: Proof = { proves: 'parked' };
const refused = (code: string): Proof => ({ proves: 'refused', code, attention: true });

/**
 * The first row that fits decides; codes come before statuses, since the documents give one code two statuses. Only what is documented
 * as a refusal is one: coins cannot be called back, so an error that nobody has described proves nothing and goes to a person.
 */
export const errors: readonly Row[] = [
  // A key that was used before is refused, and the first answer is not given again: that refund may well exist.
  { code: 'IDEMPOTENCY_FAILURE', then: spent },
  { code: 'ALREADY_PROCESSED', then: spent },
  { code: 'MERCHANT_ID_HEADER_NOT_FOUND', then: parked },
  { code: 'MISSING_TOKEN', then: parked },
  { code: 'INVALID_TOKEN', then: parked },
  { status: 401, then: parked },
  { code: 'KYB_NOT_INITIATED', then: parked },
  { code: 'KYB_PENDING', then: parked },
  { status: 403, then: parked },
  { status: 400, code: 'VALIDATION_FAILED', then: refused('provider_refused') },
  { status: 400, code: 'INVALID_PARAMETERS', then: refused('provider_refused') },
  { status: 404, code: 'RECORD_NOT_FOUND', then: refused('payment_not_found') },
  // Described for payouts only.
  { status: 400, code: 'INSUFFICIENT_BALANCE', then: refused('provider_refused') },
  { status: 400, code: 'AMOUNT_NOT_WITHIN_LIMITS', then: refused('amount_not_representable') },
  // The first of Zamp's "unexpected" ones; another try, and it waits for a person: see `proofOf`.
  { code: 'FAILED_TO_GET_MERCHANT_CONFIG', then: later },
  // Not documented, but what it means is older than Zamp.
  { status: 429, then: later },
];

/** What a failed call has proved. A refusal of a repeated call tells nothing about the call before it, whose answer was lost. */
export function proofOf(error: { readonly status: number; readonly code: string }, repeated: boolean): Proof {
  const fits = (row: Row) =>
    (row.status === undefined || row.status === error.status) && (row.code === undefined || row.code === error.code);
  const proof = errors.find(fits)?.then ?? unknown;
  if (repeated && error.code === 'FAILED_TO_GET_MERCHANT_CONFIG') return parked;
  return repeated && proof.proves === 'refused' ? unknown : proof;
}

/** How an attempt is named in `reference_id`, the one place that Zamp has for it: our id, from the second attempt on with its number. */
export const referenceOf = (refundId: string, attempt: number): string => (attempt === 1 ? refundId : `${refundId}:${attempt}`);

function named(reference: unknown): { readonly refundId: string | null; readonly attempt: number } {
  const match = /^(rf_[\w-]{1,60})(?::([1-9]\d{0,5}))?$/.exec(typeof reference === 'string' ? reference : '');
  return { refundId: match?.[1] ?? null, attempt: Number(match?.[2] ?? 1) };
}

/** A refund as Zamp shows it when it is read. Null when it is none. */
export function foundRefund(data: Data, at: Date): FoundRefund | null {
  const { refundId, attempt } = named(data['reference_id']);
  const report = reportOf(data, attempt, at);
  return report === null ? null : { report, refundId };
}

/** One attempt as Zamp shows it. In the answer to a POST `reference_id` may be the session's, so the attempt comes from the caller. */
export function reportOf(data: Data, attempt: number, at: Date): RefundReport | null {
  const id = text(data['id']);
  const status = text(data['status']);
  if (id === null || status === null) return null;
  const currency = text(data['currency_code'])?.toUpperCase() ?? null;
  const said = text(data['amount']);
  const amount = said === null || currency === null ? null : minorUnits(said, currency);
  return {
    // An amount that cannot be said in minor units must not pass as one that was not told.
    says: said !== null && amount === null ? 'unclear' : (statuses.get(status) ?? 'unclear'),
    attempt,
    providerRefundId: id,
    providerStatus: status,
    amount,
    currency,
    pendingReason: null,
    // An empty string is Zamp's "none".
    failureCode: text(data['failure_code']),
    bankReference: null,
    refusal: null,
    at,
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

/** Zamp sends the money of these back by itself; a refund of ours would be the second. docs.roma.global/payments/payment-session-failure-code */
const returnedByZamp = new Set(['PAYMENT_TIMEOUT', 'PAYMENT_AMOUNT_MISMATCH', 'USER_HIGH_RISK', 'PAYMENT_SESSION_EXPIRED']);

/** A session as a payment. Zamp lists no refunds and shows no remainder, so the balance rests on our own records. */
export function factsOf(data: Data, at: Date): PaymentFacts | null {
  const name = text(data['id']);
  const status = text(data['status']);
  const currency = text(data['source_currency'])?.toUpperCase() ?? null;
  const said = text(data['amount']);
  if (name === null || status === null || currency === null || said === null) return null;
  const amount = minorUnits(said, currency);
  // Of a session it is documented when it was begun, not when it was paid.
  const facts = { name, aliases: [], currency, basis: 'records', paidAt: null, at } as const;
  if (status !== 'succeeded') return { ...facts, captured: 0n, refusal: refusalOf(name, status, text(data['failure_code'])) };
  if (amount !== null) return { ...facts, captured: amount, refusal: null };
  const detail = `${said} ${currency} of ${name} cannot be said in whole minor units.`;
  return { ...facts, captured: 0n, refusal: { code: 'payment_not_refundable', detail } };
}

function refusalOf(session: string, status: string, failure: string | null): Rejection {
  switch (status) {
    case 'initiated':
    case 'in_process':
      return { code: 'payment_not_captured', detail: `${session} is ${status}: nothing has been paid yet.` };
    default: {
      const why = failure === null ? status : `${status} (${failure})`;
      const returned = failure !== null && returnedByZamp.has(failure) ? ' Zamp returns whatever arrived by itself.' : '';
      return { code: 'payment_not_refundable', detail: `${session} is ${why}.${returned}` };
    }
  }
}

function minorUnits(decimal: string, currency: string): bigint | null {
  const exponent = exponentOf(currency);
  if (exponent === undefined) return null;
  const units = fromDecimal(decimal, exponent);
  return units.ok ? units.value : null;
}

function text(value: unknown): string | null {
  return typeof value === 'string' && value !== '' ? value : null;
}
