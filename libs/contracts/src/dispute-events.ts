import {
  Account,
  Currency,
  Flag,
  Inside,
  Message,
  OneOf,
  OurId,
  ProviderId,
  Text,
  Time,
  Whole,
  type Class,
} from '#contracts/fields';
import { providers, type Provider } from '#contracts/refund-commands';

/** What kind of case it is now. */
export const disputeStages = ['inquiry', 'chargeback', 'appeal', 'compliance', 'prevention'] as const;
export type DisputeStage = (typeof disputeStages)[number];

/** Where the case stands. */
export const disputeStatuses = ['needs_response', 'under_review', 'won', 'lost', 'closed', 'prevented', 'unknown'] as const;
export type DisputeStatus = (typeof disputeStatuses)[number];

/** Where the disputed money is. */
export const disputeMoney = ['none', 'withdrawn', 'partly_reinstated', 'reinstated'] as const;
export type DisputeMoney = (typeof disputeMoney)[number];

/** What was decided about the answer that is due. */
export const decisionKinds = ['submit', 'accept', 'let_pass'] as const;
export type DecisionKind = (typeof decisionKinds)[number];

/** How far a decision has come. */
export const decisionStates = ['recorded', 'sending', 'outcome_unknown', 'done'] as const;
export type DecisionState = (typeof decisionStates)[number];

/** A decision as events carry it: without the reason that people gave. */
@Message('What was decided about the answer that is due.')
export class DisputeDecision {
  @OneOf(decisionKinds, { about: 'What.', example: 'submit' })
  declare readonly kind: DecisionKind;

  @OneOf(decisionStates, {
    about: '"recorded": not sent yet; "done": the provider has it, or nothing is to be sent.',
    example: 'done',
  })
  declare readonly state: DecisionState;

  @Text({ max: 255, about: 'Who: a caller, a policy, or somebody at the provider.', example: 'admin' })
  declare readonly by: string;

  @Time({ about: 'When.', example: '2026-03-10T09:30:00.000Z' })
  declare readonly at: string;

  @Whole({ min: 1, about: 'Of the evidence, where ours was submitted; else null.', example: 3, nullable: true })
  declare readonly version: number | null;
}

/** A dispute as events carry it and HTTP shows it; evidence and reasons of people's are read apart. */
@Message('A dispute. Stage, status and money are three axes of their own.')
export class Dispute {
  @OurId('dp', { about: 'Our id.', example: 'dp_01HZX3J9' })
  declare readonly id: string;

  @Account({ about: 'The configured account at the provider.', example: 'default' })
  declare readonly account: string;

  @OneOf(providers, { about: 'Who took the payment.', example: 'stripe' })
  declare readonly provider: Provider;

  @Text({ max: 255, about: "The provider's id.", example: 'du_1QxYz' })
  declare readonly providerDisputeId: string;

  @ProviderId({ about: 'The payment.', example: 'pi_3QxYz' })
  declare readonly paymentId: string;

  @OneOf(disputeStages, { about: 'What kind of case it is now.', example: 'chargeback' })
  declare readonly stage: DisputeStage;

  @OneOf(disputeStatuses, {
    about: 'Where the case stands. Nothing is final: won and lost can change for months.',
    example: 'needs_response',
  })
  declare readonly status: DisputeStatus;

  @OneOf(disputeMoney, { about: 'Where the disputed money is.', example: 'withdrawn' })
  declare readonly money: DisputeMoney;

  @Text({ max: 100, about: "The provider's own status, verbatim.", example: 'needs_response' })
  declare readonly providerStatus: string;

  @Text({
    max: 100,
    about: 'Why a person must look, as a code; null when nobody must.',
    example: 'deadline_missed',
    nullable: true,
  })
  declare readonly attention: string | null;

  @Whole({
    min: 0,
    of: 'minor units',
    about: "The dispute's own, in minor units; may differ from the payment's.",
    example: 10000,
  })
  declare readonly amount: number;

  @Currency({ about: "ISO 4217; may differ from the payment's.", example: 'USD' })
  declare readonly currency: string;

  @Text({ max: 255, about: "Why, in the provider's word.", example: 'product_not_received', nullable: true })
  declare readonly reason: string | null;

  @Text({ max: 50, about: "Why, in the card network's code.", example: '13.1', nullable: true })
  declare readonly networkReasonCode: string | null;

  @Text({ max: 50, about: 'The card network, where there is one.', example: 'visa', nullable: true })
  declare readonly network: string | null;

  @Time({
    about: "The provider's deadline; null when no answer is allowed.",
    example: '2026-03-17T23:59:59.000Z',
    nullable: true,
  })
  declare readonly dueBy: string | null;

  @Time({ about: 'Our own, a margin before it.', example: '2026-03-16T23:59:59.000Z', nullable: true })
  declare readonly decideBy: string | null;

  @Whole({ min: 0, about: 'How many answers the provider has received.', example: 0 })
  declare readonly submissions: number;

  @Inside(DisputeDecision, { about: 'About the answer that is due now; null while nothing is decided.', nullable: true })
  declare readonly decision: DisputeDecision | null;

  @Flag({ about: 'Whether the provider lets the payment be refunded meanwhile.', example: false })
  declare readonly refundable: boolean;

  @Whole({ min: 1, about: 'Rises with every change; ignore a lower one.', example: 3 })
  declare readonly version: number;

  @Time({ about: 'When the case was opened at the provider.', example: '2026-03-09T10:00:00.000Z' })
  declare readonly openedAt: string;

  @Time({ about: 'When we heard of it.', example: '2026-03-09T10:00:01.000Z' })
  declare readonly createdAt: string;

  @Time({ about: 'Of the last change.', example: '2026-03-09T10:00:01.000Z' })
  declare readonly updatedAt: string;
}

/** The data of every dispute event: where the dispute stands now, and where it came from. */
@Message('A dispute after the change, and its status before.')
export class DisputeChanged {
  @Inside(Dispute, { about: 'The dispute after the change.' })
  declare readonly dispute: Dispute;

  @OneOf(disputeStatuses, { about: 'Its status before; null when it is new.', example: 'needs_response', nullable: true })
  declare readonly previousStatus: DisputeStatus | null;
}

/** The data of `redress.dispute.attention_needed.v1`. */
@Message('A dispute that a person must look at.')
export class DisputeAttentionNeeded extends DisputeChanged {
  @Text({ max: 100, about: 'Why, as a code.', example: 'deadline_missed' })
  declare readonly why: string;
}

/** A bank's early warning, as events carry it. */
@Message("A bank's warning that a payment may be fraud, before any dispute.")
export class FraudWarning {
  @OurId('fw', { about: 'Our id.', example: 'fw_01HZX3J9' })
  declare readonly id: string;

  @Account({ about: 'The configured account at the provider.', example: 'default' })
  declare readonly account: string;

  @OneOf(providers, { about: 'Who took the payment.', example: 'stripe' })
  declare readonly provider: Provider;

  @Text({ max: 255, about: "The provider's id.", example: 'issfr_1QxYz' })
  declare readonly providerWarningId: string;

  @ProviderId({ about: 'The payment.', example: 'pi_3QxYz' })
  declare readonly paymentId: string;

  @Flag({ about: 'Whether something can still be done: not disputed, and not refunded whole.', example: true })
  declare readonly actionable: boolean;

  @Text({ max: 255, about: "What kind of fraud, in the provider's word.", example: 'unauthorized_use_of_card' })
  declare readonly fraudType: string;

  @Time({ about: 'When the bank warned.', example: '2026-03-09T10:00:00.000Z' })
  declare readonly openedAt: string;
}

/** The data of `redress.fraud_warning.received.v1`. */
@Message('A bank has warned of fraud.')
export class FraudWarningReceived {
  @Inside(FraudWarning, { about: 'The warning.' })
  declare readonly warning: FraudWarning;
}

/** Every event on `disputes.events.v1`, by type. */
export const disputeEvents = {
  'redress.dispute.opened.v1': DisputeChanged,
  'redress.dispute.stage_changed.v1': DisputeChanged,
  'redress.dispute.evidence_staged.v1': DisputeChanged,
  'redress.dispute.evidence_submitted.v1': DisputeChanged,
  'redress.dispute.accepted.v1': DisputeChanged,
  'redress.dispute.let_pass.v1': DisputeChanged,
  'redress.dispute.under_review.v1': DisputeChanged,
  'redress.dispute.won.v1': DisputeChanged,
  'redress.dispute.lost.v1': DisputeChanged,
  'redress.dispute.closed.v1': DisputeChanged,
  'redress.dispute.prevented.v1': DisputeChanged,
  'redress.dispute.funds_withdrawn.v1': DisputeChanged,
  'redress.dispute.funds_reinstated.v1': DisputeChanged,
  'redress.dispute.deadline_approaching.v1': DisputeChanged,
  'redress.dispute.deadline_missed.v1': DisputeChanged,
  'redress.dispute.attention_needed.v1': DisputeAttentionNeeded,
  'redress.dispute.attention_cleared.v1': DisputeChanged,
  'redress.fraud_warning.received.v1': FraudWarningReceived,
} as const satisfies Record<string, Class>;
export type DisputeEventType = keyof typeof disputeEvents;
