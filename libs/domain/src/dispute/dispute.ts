/*
 * A dispute: the case that a shopper's bank opens about a payment. Three axes that never mix: its stage, its status, and where its money
 * is. The provider's own status stays beside them verbatim. Everything here is a plain function over plain data.
 *
 * The bank decides and the provider reports; we decide one thing per round, that is per answer that is due: to submit evidence, to
 * accept the loss, or to let it pass. Nothing is final: won and lost move both ways for months, and the money follows its own movements.
 */
import { err, ok, type Result } from '../result.js';

export const disputeStages = ['inquiry', 'chargeback', 'appeal', 'compliance', 'prevention'] as const;
export type DisputeStage = (typeof disputeStages)[number];

export const disputeStatuses = ['needs_response', 'under_review', 'won', 'lost', 'closed', 'prevented', 'unknown'] as const;
export type DisputeStatus = (typeof disputeStatuses)[number];

/** Where the disputed money is: with us, taken, partly or wholly given back. */
export const disputeMoney = ['none', 'withdrawn', 'partly_reinstated', 'reinstated'] as const;
export type DisputeMoney = (typeof disputeMoney)[number];

/** Why a person must look. One at a time: the newest that matters. */
export type DisputeAttention =
  | 'unknown_provider_status'
  /** Its currency is not the payment's: nothing of the payment is available until a person has looked. */
  | 'foreign_currency'
  /** More was taken and given back than was ever captured. */
  | 'payment_overdrawn'
  /** Won, and lost after all. */
  | 'decision_reversed'
  /** Somebody else answered while we had a decision or a draft of our own. */
  | 'answered_elsewhere'
  /** The provider would not take what we sent. */
  | 'provider_refused'
  | 'outcome_unknown'
  | 'operation_parked'
  | 'deadline_missed';

/** A movement on our balance at the provider, in the currency of settlement. The direction is in the word. */
export interface Movement {
  /** The provider's id of it. */
  readonly id: string;
  readonly kind: 'withdrawal' | 'reinstatement';
  /** Minor units, without the fee. */
  readonly amount: bigint;
  readonly currency: string;
  /** What the provider took for it; negative when it gave that back. */
  readonly fee: bigint;
  readonly at: Date;
}

/** A programme of a card network that a dispute may fall under, and what it still wants. */
export interface Eligibility {
  readonly programme: 'visa_compelling_evidence_3' | 'visa_compliance' | 'mastercard_compliance' | (string & {});
  /** The provider's word. */
  readonly status: string | null;
  readonly requiredActions: readonly string[];
}

export const decisionKinds = ['submit', 'accept', 'let_pass'] as const;
export type DecisionKind = (typeof decisionKinds)[number];

/**
 * What was decided about the answer that is due, and how far it has come. `recorded`: stored, not sent yet. `sending`: the first send is
 * committed. `outcome_unknown`: a send ended without an answer that can be trusted. `done`: the provider has it, or nothing is to be sent.
 */
export interface Decision {
  readonly kind: DecisionKind;
  readonly state: 'recorded' | 'sending' | 'outcome_unknown' | 'done';
  readonly by: string;
  readonly at: Date;
  /** With `let_pass`, and where a policy decided. Free text of people's, so never published. */
  readonly reason: string | null;
  /** With `submit`: the draft's version that goes out; null when somebody else submitted. */
  readonly version: number | null;
}

export interface Dispute {
  readonly id: string;
  readonly account: string;
  readonly provider: string;
  readonly providerDisputeId: string;
  /** Our row of the payment; its public name stands on the payment. */
  readonly paymentKey: string;
  /** Order of arrival. Null until stored. */
  readonly ordinal: bigint | null;
  readonly stage: DisputeStage;
  readonly status: DisputeStatus;
  readonly money: DisputeMoney;
  readonly attention: DisputeAttention | null;
  readonly providerStatus: string;
  /** The dispute's own, in minor units; may be more or less than the payment's, and of another currency. */
  readonly amount: bigint;
  readonly currency: string;
  readonly reason: string | null;
  readonly networkReasonCode: string | null;
  readonly network: string | null;
  /** Whether the provider lets the payment be refunded, as last read with this dispute. */
  readonly refundable: boolean;
  /** The provider's deadline; null when no answer is allowed. */
  readonly dueBy: Date | null;
  /** Ours, a margin before it. */
  readonly decideBy: Date | null;
  /** When somebody is to be reminded, or a policy to act; null when nothing is to come. */
  readonly nextAlarmAt: Date | null;
  /** How many of the alarms before the deadline were given, the missed deadline included. */
  readonly alarms: number;
  /** Which answer is due or was due: 1, and one more each time the provider wants another one. */
  readonly round: number;
  /** How many submissions the provider has counted, and how many when this round began. */
  readonly submissions: number;
  readonly submissionsBefore: number;
  readonly decision: Decision | null;
  readonly eligibilities: readonly Eligibility[];
  readonly movements: readonly Movement[];
  /** What it takes of the payment's balance, in the payment's currency. */
  readonly disputed: bigint;
  readonly lost: bigint;
  /** How often our send was given a new key, on proof that the one before had no effect. */
  readonly attempt: number;
  /** When the provider was asked for what was last believed; tells a stale report from news. */
  readonly reportedAt: Date;
  /** At the provider. */
  readonly openedAt: Date;
  readonly version: number;
  readonly createdAt: Date;
  readonly updatedAt: Date;
}

/** One reading of the provider's truth about a dispute, whichever way it came. */
export interface DisputeReport {
  readonly providerDisputeId: string;
  /** The payment it names, by the name that is the payment's own where there is one. */
  readonly payment: string | null;
  /** Null where the provider's status does not tell it: then the stage stays. */
  readonly stage: DisputeStage | null;
  readonly status: DisputeStatus;
  readonly providerStatus: string;
  readonly amount: bigint;
  readonly currency: string;
  readonly reason: string | null;
  readonly networkReasonCode: string | null;
  readonly network: string | null;
  readonly refundable: boolean;
  readonly dueBy: Date | null;
  readonly submissions: number;
  /** Who submitted last, in the provider's word (`manual`, `smart_disputes`), where it says. */
  readonly submittedBy: string | null;
  readonly eligibilities: readonly Eligibility[];
  readonly movements: readonly Movement[];
  readonly openedAt: Date;
  /** When the provider was asked. */
  readonly at: Date;
}

export type DisputeEventType =
  | 'opened'
  | 'stage_changed'
  | 'evidence_staged'
  | 'evidence_submitted'
  | 'accepted'
  | 'let_pass'
  | 'under_review'
  | 'won'
  | 'lost'
  | 'closed'
  | 'prevented'
  | 'funds_withdrawn'
  | 'funds_reinstated'
  | 'deadline_approaching'
  | 'deadline_missed'
  | 'attention_needed'
  | 'attention_cleared';

type Changes = Partial<
  Omit<Dispute, 'id' | 'account' | 'provider' | 'providerDisputeId' | 'version' | 'createdAt' | 'updatedAt' | 'openedAt'>
>;

/** `silent`: a change that is stored and told to nobody, such as a send that has begun. */
export interface DisputeEvent {
  readonly type: DisputeEventType | 'silent';
  readonly at: Date;
  readonly changes: Changes;
}

/** A bank's warning that a payment may be fraud, before any dispute. docs.stripe.com/disputes/how-disputes-work#early-fraud-warnings */
export interface FraudWarning {
  readonly id: string;
  readonly account: string;
  readonly provider: string;
  readonly providerWarningId: string;
  readonly paymentKey: string;
  /** Whether something can still be done: not disputed, and not refunded whole. */
  readonly actionable: boolean;
  readonly fraudType: string;
  readonly openedAt: Date;
  readonly reportedAt: Date;
}

export interface DisputeTerms {
  /** How long before the provider's deadline ours is. */
  readonly marginMs: number;
  /** How long before our deadline people are reminded, the longest first. */
  readonly remindersMs: readonly number[];
}

export function evolve(dispute: Dispute, event: DisputeEvent): Dispute {
  const updatedAt = event.at > dispute.updatedAt ? event.at : dispute.updatedAt;
  return { ...dispute, ...event.changes, version: dispute.version + 1, updatedAt };
}
