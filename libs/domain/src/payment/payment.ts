/*
 * A payment as far as giving it back is concerned: what was captured, what is spoken for, and so what is left to refund.
 *
 * Two kinds of change meet here and are kept apart. Decisions take room (`reserved`) and never more than is available; the database
 * refuses it as well. Facts of the provider are stored whatever they do, so a payment can be overdrawn: that is told, never refused.
 */
import { takenShare, type Dispute } from '../dispute/dispute.js';
import { money, type Money } from '../money.js';
import { evolve, type Refund, type RefundEvent, type Rejection } from '../refund/refund.js';
import { err, ok, type Result } from '../result.js';

export interface Payment {
  /** Our key of the row; the name below is the public one. */
  readonly key: string;
  readonly account: string;
  readonly provider: string;
  /** The payment's own name at its provider (a PaymentIntent, a session), or the caller's word for it until it is settled. */
  readonly name: string;
  /** Whether the name is known to be the payment's own: a charge may turn out to belong to a PaymentIntent. */
  readonly settled: boolean;
  readonly aliases: readonly string[];
  readonly currency: string | null;
  readonly captured: bigint;
  readonly reserved: bigint;
  readonly refunded: bigint;
  readonly disputed: bigint;
  readonly lost: bigint;
  /** Whether the provider's own list stands behind the figures, or only our records (Zamp cannot be listed). */
  readonly basis: 'provider' | 'records';
  /** When the provider was last asked about the payment; null before the first reading. */
  readonly readAt: Date | null;
  /** When the customer paid, by the provider's clock; null where that is not known. */
  readonly paidAt: Date | null;
  /** Why the provider's facts allow no refund at all, if so. */
  readonly refusal: Rejection | null;
  /** Refunds that wait for a reading; whoever comes later waits behind them. */
  readonly waiting: number;
  /** Refunds of it whose outcome is unknown. Where nothing can be listed they keep every other one out. */
  readonly unknown: number;
  /** Disputes of it that are inquiries and not over: what is refunded now can be lost twice. */
  readonly inquiries: number;
  /** Whether the provider lets it be refunded, as the dispute that was read last has it. */
  readonly refundable: boolean;
  /** When that was asked; null while no dispute was read. */
  readonly refundableAt: Date | null;
  /** The last event's number, gap-free per payment. */
  readonly sequence: bigint;
  /** Rises with every change of the balance. */
  readonly version: number;
}

/** A payment we have only heard the name of. */
export function heardOf(key: string, account: string, provider: string, name: string, settled: boolean): Payment {
  return {
    key,
    account,
    provider,
    name,
    settled,
    aliases: [],
    currency: null,
    captured: 0n,
    reserved: 0n,
    refunded: 0n,
    disputed: 0n,
    lost: 0n,
    basis: 'provider',
    readAt: null,
    paidAt: null,
    refusal: null,
    waiting: 0,
    unknown: 0,
    inquiries: 0,
    refundable: true,
    refundableAt: null,
    sequence: 0n,
    version: 0,
  };
}

/** Captured less all that is spoken for; negative when facts have overdrawn the payment. */
export function room(payment: Payment): bigint {
  return payment.captured - payment.reserved - payment.refunded - payment.disputed - payment.lost;
}

export function available(payment: Payment): bigint {
  const left = room(payment);
  return left > 0n ? left : 0n;
}

export const overdrawn = (payment: Payment): boolean => room(payment) < 0n;

/** What a provider says about a payment when it is read. */
export interface PaymentFacts {
  readonly name: string;
  /** Other names of the same payment, the charges of a PaymentIntent. */
  readonly aliases: readonly string[];
  readonly currency: string;
  readonly captured: bigint;
  readonly basis: 'provider' | 'records';
  /** When the customer paid; null where the provider does not say, or nothing was taken yet. */
  readonly paidAt: Date | null;
  /** Why nothing of it can be refunded now (not captured, being returned by the provider), or null. */
  readonly refusal: Rejection | null;
  readonly at: Date;
}

export function recordFacts(payment: Payment, facts: PaymentFacts): Payment {
  if (payment.readAt !== null && facts.at < payment.readAt) return payment;
  const { name, currency, captured, basis, paidAt, refusal } = facts;
  return {
    ...payment,
    name,
    settled: true,
    // What a caller called it stays a way to find it.
    aliases: [...new Set([...payment.aliases, payment.name, ...facts.aliases])].filter((alias) => alias !== name),
    currency,
    captured,
    basis,
    paidAt,
    refusal,
    readAt: facts.at,
    version: payment.version + 1,
  };
}

/** What a provider says in sum about a payment, in minor units. */
export interface PaymentTotals {
  readonly currency: string;
  readonly captured: bigint;
  readonly refunded: bigint;
}

/** Whether totals hold nothing that we have not counted: no more captured, and no more refunded than by the refunds we know. */
export function areKnown(payment: Payment, totals: PaymentTotals): boolean {
  const { readAt, currency, captured, refunded } = payment;
  return readAt !== null && currency === totals.currency && captured >= totals.captured && refunded >= totals.refunded;
}

/** The provider knows no such payment, or denies one it had shown: nothing can be refunded, until a later reading finds it. */
export function recordAbsence(payment: Payment, at: Date): Payment {
  if (payment.readAt !== null && at < payment.readAt) return payment;
  const refusal = {
    code: 'payment_not_found',
    detail: `${payment.provider} has no payment ${payment.name} in account ${payment.account}.`,
  };
  return { ...payment, settled: true, refusal, readAt: at, version: payment.version + 1 };
}

/** The payment's figures after one of its refunds changed; `before` is null for a refund that is new to us. */
export function account(payment: Payment, before: Refund | null, after: Refund): Payment {
  const held = (refund: Refund | null, as: Refund['holds']) => (refund?.holds === as ? (refund.amount ?? 0n) : 0n);
  const stands = (refund: Refund | null, status: Refund['status']) => (refund?.status === status ? 1 : 0);
  const reserved = held(after, 'reserved') - held(before, 'reserved');
  const refunded = held(after, 'refunded') - held(before, 'refunded');
  const waiting = payment.waiting + stands(after, 'requested') - stands(before, 'requested');
  const unknown = payment.unknown + stands(after, 'outcome_unknown') - stands(before, 'outcome_unknown');
  const moved = reserved !== 0n || refunded !== 0n;
  if (!moved && waiting === payment.waiting && unknown === payment.unknown) return payment;
  return {
    ...payment,
    reserved: payment.reserved + reserved,
    refunded: payment.refunded + refunded,
    waiting,
    unknown,
    version: payment.version + (moved ? 1 : 0),
  };
}

/**
 * What a dispute takes of its payment, in the payment's currency: the share of it that was withdrawn and not given back. Money that must
 * be on its way out counts as gone. A dispute in another currency takes what moved, where that was in the payment's, and else all there is,
 * since its share of the payment cannot be told.
 */
export function effectOn(dispute: Dispute, payment: Payment): { disputed: bigint; lost: bigint } {
  const isForeign = payment.currency !== null && dispute.currency !== payment.currency;
  const moved = takenShare(dispute);
  const isMovedHere = moved !== null && dispute.movements.every(({ currency }) => currency === payment.currency);
  const taken = isForeign && isMovedHere ? moved.part : shareTaken(dispute, isForeign ? payment.captured : dispute.amount);
  const isOver = dispute.status === 'lost' || dispute.status === 'closed' || dispute.status === 'prevented';
  return isOver ? { disputed: 0n, lost: taken } : { disputed: taken, lost: 0n };
}

function shareTaken(dispute: Dispute, whole: bigint): bigint {
  const share = takenShare(dispute);
  // Rounded up: what is doubtful is not there to be refunded.
  if (share !== null) return (whole * share.part + share.whole - 1n) / share.whole;
  const { stage, status } = dispute;
  const takesMoney = stage === 'chargeback' || stage === 'appeal' || stage === 'compliance';
  const isTaken = status === 'needs_response' || status === 'under_review' || status === 'lost' || status === 'unknown';
  return takesMoney && isTaken ? whole : 0n;
}

/** The payment's figures after one of its disputes changed; `before` is null for a dispute that is new to us. */
export function accountDispute(payment: Payment, before: Dispute | null, after: Dispute): Payment {
  const disputed = payment.disputed + after.disputed - (before?.disputed ?? 0n);
  const lost = payment.lost + after.lost - (before?.lost ?? 0n);
  const inquiries = payment.inquiries + (isInquiry(after) ? 1 : 0) - (before !== null && isInquiry(before) ? 1 : 0);
  const isNews = payment.refundableAt === null || after.reportedAt >= payment.refundableAt;
  const refundable = isNews ? after.refundable : payment.refundable;
  const refundableAt = isNews ? after.reportedAt : payment.refundableAt;
  const moved =
    disputed !== payment.disputed ||
    lost !== payment.lost ||
    inquiries !== payment.inquiries ||
    refundable !== payment.refundable;
  if (!moved && refundableAt?.getTime() === payment.refundableAt?.getTime()) return payment;
  const version = payment.version + (moved ? 1 : 0);
  return { ...payment, disputed, lost, inquiries, refundable, refundableAt, version };
}

const isInquiry = ({ stage, status }: Dispute) =>
  stage === 'inquiry' && (status === 'needs_response' || status === 'under_review' || status === 'unknown');

/** What was heard of one payment under two names: all of it with the second, and the first with nothing left. */
export function joined(heard: Payment, into: Payment): readonly [Payment, Payment] {
  const isNews = heard.refundableAt !== null && (into.refundableAt === null || heard.refundableAt > into.refundableAt);
  const sums = {
    waiting: into.waiting + heard.waiting,
    refunded: into.refunded + heard.refunded,
    unknown: into.unknown + heard.unknown,
    disputed: into.disputed + heard.disputed,
    lost: into.lost + heard.lost,
    inquiries: into.inquiries + heard.inquiries,
    refundable: isNews ? heard.refundable : into.refundable,
    refundableAt: isNews ? heard.refundableAt : into.refundableAt,
  };
  const moved = heard.refunded !== 0n || heard.disputed !== 0n || heard.lost !== 0n || heard.inquiries !== 0 || isNews;
  const nothing = { settled: false, waiting: 0, refunded: 0n, unknown: 0, disputed: 0n, lost: 0n, inquiries: 0 } as const;
  return [
    { ...into, ...sums, version: into.version + (moved ? 1 : 0) },
    { ...heard, ...nothing },
  ];
}

/** What admission needs to know besides the refund and its payment. */
export interface AdmissionTerms {
  readonly now: Date;
  /** Facts older than this are read anew before room is refused, and before "all that is left" is fixed. */
  readonly factsMaxAgeMs: number;
  /** Whether a second person must agree. */
  readonly needsApproval: boolean;
}

export type Admission =
  /** The provider must be asked first. */
  { readonly decided: false } | { readonly decided: true; readonly events: RefundEvent[] };

/**
 * Admits or refuses a requested refund. Admission fixes the amount and reserves the room; a refusal names its code.
 * Whoever calls this holds the payment's lock and goes by order of arrival.
 */
export function admit(refund: Refund, payment: Payment, terms: AdmissionTerms): Admission {
  const { now } = terms;
  // Decided before, or canceled while the payment was read.
  if (refund.status !== 'requested') return { decided: true, events: [] };
  if (payment.readAt === null) return { decided: false };
  const fresh = now.getTime() - payment.readAt.getTime() <= terms.factsMaxAgeMs;
  const decision = decide(refund, payment);
  const everything = refund.amount === null;
  if (!fresh && (!decision.ok || everything)) return { decided: false };
  if (!decision.ok) {
    return {
      decided: true,
      events: [{ type: 'rejected', at: now, changes: { status: 'rejected', rejection: decision.error, outcome: 'rejected' } }],
    };
  }
  const status = terms.needsApproval ? 'awaiting_approval' : 'approved';
  return {
    decided: true,
    events: [{ type: status, at: now, changes: { status, ...decision.value, holds: 'reserved', outcome: 'accepted' } }],
  };
}

/** Where nothing can be listed, two equal refunds of one payment could not be told apart while one of them is unknown. */
export const isBlocked = (payment: Payment): boolean => payment.basis === 'records' && payment.unknown > 0;

/** What the rules say with the facts as they stand: the amount that is admitted, or why not. */
export function decide(refund: Refund, payment: Payment): Result<Money, Rejection> {
  const refuse = (code: string, detail: string) => err({ code, detail });
  if (payment.refusal !== null) return err(payment.refusal);
  if (!payment.refundable)
    return refuse('payment_disputed', `${payment.provider} calls ${payment.name} not refundable while it is disputed.`);
  if (isBlocked(payment)) {
    return refuse('outcome_unknown_blocks_payment', `What became of an earlier refund of ${payment.name} must be known first.`);
  }
  const currency = payment.currency ?? '';
  const left = available(payment);
  if (refund.currency !== null && refund.currency !== currency) {
    return refuse('currency_mismatch', `The payment is in ${currency}, the refund in ${refund.currency}.`);
  }
  if (left === 0n) return refuse('nothing_left_to_refund', `Nothing is left of the ${payment.captured} ${currency} captured.`);
  // What the caller expected was true when it was admitted; another attempt later is not held to it.
  if (refund.outcome === null && refund.expectedAvailable !== null && refund.expectedAvailable !== left) {
    return refuse(
      'expected_available_mismatch',
      `${refund.expectedAvailable} ${currency} was expected to be available, ${left} is.`,
    );
  }
  const amount = refund.amount ?? left;
  if (amount > left) return refuse('amount_exceeds_available', `${amount} ${currency} was asked for, ${left} is available.`);
  return ok(money(amount, currency));
}

/** Applies events to a refund and its payment together, so that the figures can never drift from the refunds they are made of. */
export function apply(payment: Payment, before: Refund, events: readonly RefundEvent[]): { payment: Payment; refund: Refund } {
  const refund = events.reduce(evolve, before);
  return { payment: account(payment, before, refund), refund };
}
