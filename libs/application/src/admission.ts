import type { Cause } from '#application/kept';
import type { WorkingSet } from '#application/working-set';
import { priorities } from '#application/operations';
import type { Providers } from '#application/providers';
import { admit, type Payment } from '#domain/payment/payment';
import type { Refund, RefundEvent, Rejection } from '#domain/refund/refund';

export interface AdmissionSettings {
  /** Facts of a payment older than this are read anew before room is refused. */
  readonly factsMaxAgeMs: number;
}

/**
 * Admits or refuses a refund that has just come in, or has its payment read first. Whoever waits already goes first. A command that comes
 * late may have been obeyed before, in books that a restore took back: then the payment's list shows it.
 */
export function admitOrWait(
  set: WorkingSet,
  refundId: string,
  cause: Cause,
  providers: Providers,
  settings: AdmissionSettings,
): void {
  const refund = set.kept(refundId).refund;
  const payment = set.payment(refund.paymentKey);
  const others = payment.waiting > 1;
  const isLate = set.origin(refundId)?.late ?? false;
  const mustRead = others || isLate || mayHideASend(payment, providers, set.now);
  if (mustRead || !decideNow(set, refund, payment, cause, providers, settings.factsMaxAgeMs)) addPaymentRead(set, payment);
}

/**
 * Books that a restore took back do not know what was sent after they were copied, and a key that was used then may be forgotten by now.
 * What was sent since the payment was last read is safe under its key as long as that lives; after that only another reading shows it.
 */
export function mayHideASend(payment: Payment, providers: Providers, now: Date): boolean {
  if (payment.readAt === null || payment.basis === 'records') return false;
  const lifeMs = providers.refundsOf(payment.account, payment.provider)?.keyLifeMs ?? Number.POSITIVE_INFINITY;
  return now.getTime() - payment.readAt.getTime() > lifeMs;
}

/** Decides all that waited for a reading of the payment, in order of arrival. */
export function admitWaiting(set: WorkingSet, paymentKey: string, cause: Cause, providers: Providers): void {
  for (const refund of set.waiting(paymentKey)) {
    decideNow(set, refund, set.payment(paymentKey), cause, providers, Number.POSITIVE_INFINITY);
  }
}

function decideNow(
  set: WorkingSet,
  refund: Refund,
  payment: Payment,
  cause: Cause,
  providers: Providers,
  factsMaxAgeMs: number,
): boolean {
  // Where nothing can be listed, only a person can tell whether a late command was obeyed before.
  const needsApproval = (set.origin(refund.id)?.late ?? false) && payment.basis === 'records';
  const admission = admit(refund, payment, { now: set.now, factsMaxAgeMs, needsApproval });
  if (!admission.decided) return false;
  const after = set.record(refund.id, carried(refund, admission.events, providers), cause);
  if (after.status === 'approved') addSend(set, after.id);
  if (after.status === 'awaiting_approval') {
    set.record(after.id, [{ type: 'attention_needed', at: set.now, changes: { attention: 'late_command' } }], cause);
  }
  return true;
}

/** "All that is left" has an amount only now, and the provider may not be able to carry it. */
function carried(refund: Refund, events: readonly RefundEvent[], providers: Providers): readonly RefundEvent[] {
  const [event] = events;
  const { amount, currency } = event?.changes ?? {};
  if (event === undefined || amount == null || currency == null) return events;
  const possible = providers.refundsOf(refund.account, refund.provider)?.canCarry({ amount, currency });
  return possible === undefined || possible.ok ? events : [rejection(possible.error, event.at)];
}

export function rejection(rejected: Rejection, at: Date): RefundEvent {
  return { type: 'rejected', at, changes: { status: 'rejected', rejection: rejected, outcome: 'rejected' } };
}

/** The provider operation that an approved refund needs; behind the payment's other sends. */
export function addSend(set: WorkingSet, refundId: string): void {
  const refund = set.kept(refundId).refund;
  set.addOperation({
    account: refund.account,
    provider: refund.provider,
    kind: 'refund.send',
    target: refund.id,
    refundId: refund.id,
    paymentKey: refund.paymentKey,
    lane: `refunds:${refund.paymentKey}`,
    key: `refund:${refund.id}:${refund.attempt}`,
    attempt: refund.attempt,
    runAt: set.now,
    priority: priorities.send,
  });
}

/** Reads the payment at its provider; one reading serves all who wait. */
export function addPaymentRead(set: WorkingSet, payment: Payment): string {
  return set.addRead({
    account: payment.account,
    provider: payment.provider,
    kind: 'payment.read',
    target: payment.name,
    refundId: null,
    paymentKey: payment.key,
    runAt: set.now,
    priority: priorities.waitingRead,
  }).id;
}

/** Reads one refund at its provider, at a time. */
export function addRefundRead(
  set: WorkingSet,
  read: { account: string; provider: string; providerRefundId: string; refundId: string | null; paymentKey: string | null },
  runAt: Date,
  priority: number,
): string {
  const { account, provider, providerRefundId, refundId, paymentKey } = read;
  return set.addRead({ account, provider, kind: 'refund.read', target: providerRefundId, refundId, paymentKey, runAt, priority })
    .id;
}
