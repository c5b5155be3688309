/*
 * What is known of the earlier payments that an answer to a dispute names, for the linter: when each was paid. What is not known is read
 * at the provider as any payment is, once a draft names it; until then the linter says so.
 */
import { addPaymentRead } from '#application/admission';
import type { PaidCharge, PaymentName } from '#application/kept';
import { paymentName } from '#application/names';
import type { Providers } from '#application/providers';
import type { WorkingSet } from '#application/working-set';
import type { Dispute } from '#domain/dispute/dispute';
import { chargesIn, type EvidenceChanges } from '#domain/dispute/evidence';
import { limits, type KnownCharges } from '#domain/dispute/linter';
import type { Payment } from '#domain/payment/payment';

export function knownCharges({ name, aliases, paidAt }: Payment, paid: readonly PaidCharge[]): KnownCharges {
  return { disputed: [name, ...aliases], paidAt, earlier: new Map(paid.map((each) => [each.name, each.paidAt])) };
}

/** The same in a transaction: of the kept draft, and of whatever else is loaded. */
export function knownChargesIn(
  set: WorkingSet,
  { id, account, provider, paymentKey }: Dispute,
  answer: EvidenceChanges,
): KnownCharges {
  const loaded = chargesIn(answer).flatMap((name): PaidCharge[] => {
    const of = { account, provider, name };
    const paidAt = set.knowsPayment(of) ? set.paymentCalled(of).paidAt : null;
    return paidAt === null ? [] : [{ disputeId: id, name, paidAt }];
  });
  return knownCharges(set.payment(paymentKey), [...set.disputes.paidCharges(id), ...loaded]);
}

/**
 * The payments that a change names, ready to be wanted from the book: as many as an answer can rest on, since each is read at the provider
 * where it is not known. What can be the name of none is left out.
 */
export function paymentsNamed(providers: Providers, account: string, provider: string, changes: EvidenceChanges): PaymentName[] {
  const names = chargesIn(changes).filter((name) => /^[0-9A-Za-z._~-]{1,255}$/.test(name));
  return names.slice(0, limits.priorTransactions).map((name) => paymentName(providers, account, provider, name));
}

/** Has read what a change names and nobody knows the day of; the disputed payment too, from which the days are counted. */
export function readUnknownCharges(set: WorkingSet, { account, provider, paymentKey }: Dispute, changes: EvidenceChanges): void {
  const names = chargesIn(changes).map((name) => ({ account, provider, name }));
  if (names.length === 0) return;
  const named = names.filter((name) => set.knowsPayment(name)).map((name) => set.paymentCalled(name).key);
  for (const key of new Set([paymentKey, ...named])) {
    const payment = set.payment(key);
    if (payment.paidAt === null) addPaymentRead(set, payment);
  }
}
