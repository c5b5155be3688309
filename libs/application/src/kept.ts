/* What the book keeps besides payments and refunds themselves, what a use case can want of it, and what it then hands out. */
import type { DeadLetterRecord, PartitionMark } from '#application/event-log';
import type { Operation } from '#application/operations';
import type { Pause, ProviderAccount, SendingHour } from '#application/sending';
import type { Topic } from '#contracts/topics';
import type { CallTrace } from '#domain/ports/refund-provider';
import type { Dispute, FraudWarning } from '#domain/dispute/dispute';
import type { Draft, EvidenceFile, Packet } from '#domain/dispute/evidence';
import type { Payment } from '#domain/payment/payment';
import type { Refund } from '#domain/refund/refund';

/** A payment as somebody calls it. */
export interface PaymentName {
  readonly account: string;
  readonly provider: string;
  readonly name: string;
  /** Whether the name is certainly the payment's own. */
  readonly own: boolean;
  /** The key of the row to make when nobody has heard of the payment. */
  readonly key: string;
}

export interface ProviderRefundName {
  readonly account: string;
  readonly provider: string;
  readonly id: string;
}

/** A dispute as its provider calls it. */
export interface ProviderDisputeName {
  readonly account: string;
  readonly provider: string;
  readonly id: string;
}

/** What a use case needs to see, and so to lock. Payments of named refunds and disputes come along by themselves. */
export interface Want {
  readonly mark?: PartitionMark;
  readonly commands?: readonly string[];
  readonly payments?: readonly PaymentName[];
  /** Names that may lead to a payment already; nothing is made where they do not. */
  readonly aliases?: readonly PaymentName[];
  readonly refunds?: readonly string[];
  readonly providerRefunds?: readonly ProviderRefundName[];
  /** By our ids. */
  readonly disputes?: readonly string[];
  readonly providerDisputes?: readonly ProviderDisputeName[];
  /**
   * Also all disputes of the payments that are loaded, and the refunds that went out of those payments, since what is shown of one may
   * change the others; with `disputed` only where a payment is known to have a dispute.
   */
  readonly disputesOfPayments?: 'all' | 'disputed';
  /** Disputes, by our ids, whose drafts and packets are wanted too, and when the earlier payments were paid that the drafts name. */
  readonly evidence?: readonly string[];
  /** Fraud warnings, by the provider's ids. */
  readonly warnings?: readonly ProviderDisputeName[];
  readonly references?: readonly { readonly account: string; readonly reference: string }[];
  readonly operations?: readonly string[];
  readonly deliveries?: readonly string[];
  readonly deadLetters?: readonly string[];
  /** The switch: `held` as it stands until the end, by whoever begins sends; `thrown` once none of them is left. */
  readonly sending?: 'held' | 'thrown';
  /** With `held`: the accounts whose sends are counted. */
  readonly counted?: readonly ProviderAccount[];
  /** Also the refunds that wait for a reading of the payments wanted. */
  readonly waiting?: boolean;
  /** Only to look: payments and refunds come without their locks and must not be changed. Nobody waits for whoever only looks. */
  readonly unlocked?: boolean;
}

/** The command a refund came from; null for one that was discovered. */
export interface Origin {
  readonly door: 'http' | 'kafka';
  /** The caller, or `ce_source`. */
  readonly source: string;
  /** The idempotency key, or `ce_id`. */
  readonly id: string;
  /** Of the content, to tell a repeat from a key used twice. */
  readonly digest: string;
  readonly correlationId: string | null;
  readonly traceparent: string | null;
  /** Repeats of the command that wait for its first outcome. */
  readonly repeats: number;
  /** Came so long after it was sent that its provider may have forgotten the key of an earlier delivery. */
  readonly late: boolean;
}

/** A refund with where it came from. */
export interface KeptRefund {
  readonly refund: Refund;
  readonly origin: Origin | null;
  /** Whether the log has its beginning: not before its payment's own name is known, because events go by that name. */
  readonly told: boolean;
}

/** A command other than a request over Kafka, as it was answered the first time. */
export interface KeptCommand {
  readonly id: string;
  readonly account: string;
  readonly door: 'http' | 'kafka';
  readonly source: string;
  readonly key: string;
  readonly type: string;
  readonly digest: string;
  readonly refundId: string | null;
  readonly disputeId: string | null;
  /** What it said, where no refund keeps that. Free text of people's, so never published. */
  readonly body: object | null;
  /** The answer as given, as JSON. */
  readonly answer: string;
  readonly receivedAt: Date;
}

export type Disposition = 'applied' | 'duplicate' | 'stale' | 'foreign' | 'unknown' | 'rejected';

/** What became of a webhook delivery; `operationId` while a reading decides it. */
export interface DeliveryMark {
  readonly id: string;
  readonly disposition: Disposition | null;
  readonly detail: string | null;
  readonly operationId: string | null;
  readonly refundId: string | null;
  readonly disputeId: string | null;
}

/** What became of all deliveries that waited for one reading. */
export interface AnsweredDeliveries {
  readonly operationId: string;
  readonly disposition: Disposition;
  readonly detail: string;
  readonly refundId: string | null;
  readonly disputeId: string | null;
}

/** A dead letter as it is stored. */
export interface DeadLetter extends DeadLetterRecord {
  readonly topic: string;
  readonly partition: number;
  readonly offset: bigint;
  readonly code: string;
  readonly detail: string;
  readonly at: Date;
  /** How a person ended it: its command went again and was accepted or rejected, or the letter was dismissed. Null while it waits. */
  readonly end: 'accepted' | 'rejected' | 'dismissed' | null;
  readonly endedAt: Date | null;
  readonly endedBy: string | null;
  /** Why: the reason given, or that of the rejection. */
  readonly endDetail: string | null;
  readonly refundId: string | null;
}

/** When an earlier payment that the draft of a dispute names was paid. */
export interface PaidCharge {
  readonly disputeId: string;
  /** As the draft has it. */
  readonly name: string;
  readonly paidAt: Date;
}

/** What led to a change; goes into its events. */
export interface Cause {
  readonly causationId: string | null;
}

/** What the book loaded. Refunds and operations come with their payments' locks held. */
export interface Loaded {
  readonly now: Date;
  readonly payments: readonly Payment[];
  /** Which row each name led to, by `account:provider:name`. */
  readonly names: ReadonlyMap<string, string>;
  readonly refunds: readonly KeptRefund[];
  /** Provider refund ids that belong to a refund, by `account:provider:id`. */
  readonly providerRefunds: ReadonlyMap<string, string>;
  readonly disputes: readonly Dispute[];
  readonly drafts: readonly Draft[];
  readonly packets: readonly Packet[];
  readonly warnings: readonly FraudWarning[];
  readonly charges: readonly PaidCharge[];
  readonly references: ReadonlyMap<string, string>;
  readonly commands: readonly KeptCommand[];
  readonly operations: readonly Operation[];
  /** Lanes in which something is open. */
  readonly busyLanes: ReadonlySet<string>;
  readonly deadLetters: readonly DeadLetter[];
  readonly pauses: readonly Pause[];
  readonly hours: readonly SendingHour[];
}

/** A file of evidence with its bytes, on its way in. */
export interface NewEvidenceFile extends EvidenceFile {
  readonly bytes: Buffer;
}

/** A call to a provider, kept with its operation. */
export interface KeptCall {
  readonly operationId: string;
  readonly refundId: string | null;
  readonly disputeId: string | null;
  readonly paymentKey: string | null;
  readonly key: string | null;
  readonly attempt: number;
  readonly trace: CallTrace;
}

export interface CommandOutcome {
  readonly kind: 'accepted' | 'rejected' | 'repeated';
  /** Where it is told, when that is not the topic of refunds' outcomes. */
  readonly topic?: Topic;
  /** Kafka key: of the payment where one is known. */
  readonly key: string;
  readonly refundId?: string;
  readonly disputeId?: string;
  readonly code?: string;
  readonly detail?: string;
  /** With `repeated`: what the first outcome was. */
  readonly first?: 'accepted' | 'rejected';
}
