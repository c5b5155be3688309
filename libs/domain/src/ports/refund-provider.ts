import type { DisputeReport } from '../dispute/dispute.js';
import type { Money } from '../money.js';
import type { PaymentFacts } from '../payment/payment.js';
import type { RefundReport } from '../refund/refund.js';
import type { Rejection } from '../refund/refund.js';
import type { Result } from '../result.js';

/** What a provider is told to send: one attempt of one refund. */
export interface RefundOrderToSend {
  readonly refundId: string;
  readonly attempt: number;
  /** The payment's own name at the provider. */
  readonly payment: string;
  readonly money: Money;
  readonly reason: string | null;
  /** Only then does "fraudulent" reach Stripe, because there it also blocks the customer. */
  readonly blockCustomer: boolean;
  /** True when this very call was made before: its earlier answer may be lost, so a refusal proves less. */
  readonly repeated: boolean;
}

/** One call to a provider as it is kept for the refund's history. Never holds a body or a credential. */
export interface CallTrace {
  readonly call: string;
  readonly startedAt: Date;
  readonly endedAt: Date;
  readonly httpStatus: number | null;
  readonly requestId: string | null;
  /** One word on how it ended: `answered`, `locked` for a 429 that is no limit (see `NoAnswer`), or why there is no answer. */
  readonly result: string;
}

/** The provider took no notice of the call and says so, or cannot be called with what is configured. Nothing moved. */
export type NoAnswer =
  /**
   * The same call again, later. `rate`: the limiter turned it away before anything was done with its key. `lock`: another request has the
   * object. Null: our own first try may still be under way, or nobody has documented what it means.
   */
  | { readonly kind: 'later'; readonly limit: 'rate' | 'lock' | null; readonly why: string }
  /** Credentials or the account's set-up: waits until a person has mended it. */
  | { readonly kind: 'parked'; readonly why: string };

export type SendAnswer =
  | { readonly kind: 'report'; readonly report: RefundReport }
  /** The key was used before and its first answer is not given again: the money may have moved, and to send again teaches nothing. */
  | { readonly kind: 'spent'; readonly why: string }
  | NoAnswer;

/** A refund as the provider has it, with whatever of ours it carries. */
export interface FoundRefund {
  readonly report: RefundReport;
  /** Our refund's id when the provider's record names it, else null: made outside. */
  readonly refundId: string | null;
}

/** The provider knows no such thing, or shows it as somebody else's: `foreign` says whose. To us it is not there either way. */
interface Absent {
  readonly kind: 'absent';
  readonly at: Date;
  readonly foreign?: string;
}

export type ReadAnswer =
  | { readonly kind: 'found'; readonly refund: FoundRefund; readonly payment: string | null }
  | Absent
  /** No trustworthy answer; reading again does no harm. */
  | { readonly kind: 'unread'; readonly why: string }
  | NoAnswer;

export type PaymentAnswer =
  /** `refunds` is the complete list where `facts.basis` is `provider`; empty where the provider has no list. */
  | {
      readonly kind: 'found';
      readonly facts: PaymentFacts;
      readonly refunds: readonly FoundRefund[];
      /** All of the payment's disputes; left out where there was no reason to ask. */
      readonly disputes?: readonly DisputeReport[];
    }
  | Absent
  | { readonly kind: 'unread'; readonly why: string }
  | NoAnswer;

/** Where a call leaves its traces; one logical call may be several requests. */
export type Tracer = (trace: CallTrace) => void;

/** How often an account may be called. */
export interface CallLimits {
  readonly perSecond: number;
  readonly perSecondAndEndpoint: number;
}

export interface CallContext {
  /** Ends the call for good, whatever the socket is doing. */
  readonly deadline: AbortSignal;
  /** The time of asking, by the one clock of the service; goes into what is reported. */
  readonly now: Date;
  readonly trace: Tracer;
}

/**
 * A PSP we can send money back through, for one account. An abstract class, so that it is its own injection token.
 * Nothing here throws for what a PSP or a network does: an answer that cannot be trusted is `unknown` (sending) or `unread` (reading).
 */
export abstract class RefundProvider {
  /** `stripe`, `zamp`. */
  abstract readonly provider: string;
  abstract readonly account: string;
  /** How long after its first use a key still names the same call there, with a margin. Later nothing is sent under it. */
  abstract readonly keyLifeMs: number;
  abstract readonly limits: CallLimits;
  /** Whether a name that a caller gave is certainly the payment's own, so that nothing needs to be read to know it. */
  abstract isOwnName(payment: string): boolean;
  /** Whether the provider can carry the amount exactly; refused before anything is promised. */
  abstract canCarry(money: Money): Result<Money, Rejection>;
  /** Sends one attempt; the same `key` again must not move money twice. */
  abstract send(order: RefundOrderToSend, key: string, call: CallContext): Promise<SendAnswer>;
  /** What the PSP knows now of one refund, by its own id there. */
  abstract read(providerRefundId: string, call: CallContext): Promise<ReadAnswer>;
  /** The payment, and all refunds of it that the provider can list. */
  abstract readPayment(payment: string, call: CallContext): Promise<PaymentAnswer>;
}
