import type { CallContext, FoundRefund, NoAnswer } from './refund-provider.js';

/** A refund in a list of its whole account, with the payment it names. */
export interface ListedRefund extends FoundRefund {
  readonly payment: string | null;
}

export type ListAnswer =
  /** `next`: where the following page begins; null at the end. */
  | { readonly kind: 'page'; readonly refunds: readonly ListedRefund[]; readonly next: string | null }
  | { readonly kind: 'unread'; readonly why: string }
  | NoAnswer;

/** A provider that can list what was refunded in an account, whoever did it. */
export abstract class RefundList {
  abstract readonly provider: string;
  abstract readonly account: string;
  /** One page of the refunds made since then, in all statuses, newest first, behind `after`. */
  abstract listRefunds(since: Date, after: string | null, call: CallContext): Promise<ListAnswer>;
}
