/*
 * Whether to give money back when a bank has warned of fraud. About 80 % of such payments become disputes if nothing is done; a refund is
 * worth it up to roughly what a dispute costs, and not above 35 % more than that: docs.stripe.com/disputes/how-disputes-work
 */
import type { Dispute, Movement } from './dispute.js';

export type RefundHint = {
  readonly verdict: 'worthwhile' | 'borderline' | 'not_worthwhile' | 'unknown';
  readonly disputeFee: bigint | null;
  /** The break-even. */
  readonly upTo: bigint | null;
};

/** `left` is what a refund of all that is left would take, `disputeFee` what a dispute costs, both in the payment's currency. */
export function refundHint(left: bigint, disputeFee: bigint | null): RefundHint {
  if (disputeFee === null) return { verdict: 'unknown', disputeFee, upTo: null };
  const upTo = (disputeFee * 135n) / 100n;
  const verdict = left > upTo || left === 0n ? 'not_worthwhile' : left > disputeFee ? 'borderline' : 'worthwhile';
  return { verdict, disputeFee, upTo };
}

/** What the provider took for the newest of these disputes, where it took anything in this currency. */
export function feeSeen(disputes: readonly Pick<Dispute, 'movements'>[], currency: string): bigint | null {
  const paid = disputes
    .flatMap(({ movements }) => movements)
    .filter((movement) => movement.kind === 'withdrawal' && movement.currency === currency && movement.fee > 0n);
  const newest = paid.reduce<Movement | null>(
    (last, movement) => (last === null || movement.at > last.at ? movement : last),
    null,
  );
  return newest?.fee ?? null;
}
