import type { Result } from '../result.js';
import type { PaymentTotals } from '../payment/payment.js';
import type { RefundReport } from '../refund/refund.js';

/** What a provider's webhook is about, as far as it can be told without believing it. */
export type Notice =
  | {
      readonly about: 'refund';
      readonly providerRefundId: string;
      /** Ours, if the notice carries it; the payment it names, if any. */
      readonly refundId: string | null;
      readonly payment: string | null;
      /** What the notice claims, if it claims anything. Believed only where it says what is known already; else it is read back. */
      readonly claim: RefundReport | null;
    }
  | {
      readonly about: 'payment';
      readonly payment: string;
      /** Where the notice tells the payment's totals: what tells nothing new is not read back. */
      readonly claim: PaymentTotals | null;
      /** Whether a payment nobody has heard of is read as well, because the reading would show what others refunded of it. */
      readonly readUnheard: boolean;
    }
  /** A dispute, or a bank's early warning of fraud. It claims nothing: whatever it says is read back. */
  | { readonly about: 'dispute'; readonly providerDisputeId: string; readonly payment: string | null }
  | { readonly about: 'warning'; readonly providerWarningId: string; readonly payment: string | null }
  /** Genuine, and of another account or mode: nothing that this account could read. */
  | { readonly about: 'others'; readonly why: string }
  /** Genuine, and nothing we act on. */
  | { readonly about: 'nothing'; readonly why: string };

export interface ReceivedNotice {
  /** The same for every repeat of one notice: the id of Stripe's (snapshot) event; Zamp's type, id and status. */
  readonly noticeId: string;
  /** The provider's word for what happened, for the list of deliveries. */
  readonly type: string;
  readonly notice: Notice;
}

export interface RawDelivery {
  readonly body: Buffer;
  readonly headers: Readonly<Record<string, string | undefined>>;
  /** The peer's address. */
  readonly from: string | null;
  readonly receivedAt: Date;
}

export interface NoticeRefusal {
  readonly code: 'forged' | 'too_old' | 'too_early' | 'unreadable' | 'foreign_address';
  readonly detail: string;
}

/** Reads a provider's webhooks for one account: what is genuine, and what it is about. Pure computation, no calls. */
export abstract class ProviderNotices {
  abstract readonly provider: string;
  abstract readonly account: string;
  /** Verifies on the raw bytes as they came, then reads. */
  abstract receive(delivery: RawDelivery): Result<ReceivedNotice, NoticeRefusal>;
  /** Reads again what was verified when it came. */
  abstract reread(body: Buffer, receivedAt: Date): ReceivedNotice;
}
