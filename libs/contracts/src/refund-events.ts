import {
  Account,
  Currency,
  Flag,
  Inside,
  ListOf,
  Message,
  OneOf,
  OurId,
  ProviderId,
  Shaped,
  Text,
  TextMap,
  Time,
  Whole,
  Words,
  type Class,
} from '#contracts/fields';
import { codeNames, type Code } from '#contracts/codes';
import { Dispute, FraudWarning } from '#contracts/dispute-events';
import { providers, refundReasons, type Provider, type RefundReason } from '#contracts/refund-commands';

/** Where a refund stands. */
export const refundStatuses = [
  'requested',
  'awaiting_approval',
  'approved',
  'submitted',
  'outcome_unknown',
  'pending',
  'requires_action',
  'succeeded',
  'failed',
  'reversed',
  'canceled',
  'rejected',
] as const;
export type RefundStatus = (typeof refundStatuses)[number];

/** Who made the refund: a command of ours, or somebody outside. */
export const refundOrigins = ['command', 'discovered'] as const;
export type RefundOrigin = (typeof refundOrigins)[number];

/** Whether a balance rests on what the provider says, or on our own records alone. */
export const balanceBases = ['provider', 'records'] as const;
export type BalanceBasis = (typeof balanceBases)[number];

/** Why a refund ended rejected. */
@Message('Why the refund was rejected.')
export class Rejection {
  @OneOf(codeNames, { about: 'A stable code.', example: 'amount_exceeds_available' })
  declare readonly code: Code;

  @Text({ max: 1000, about: 'A sentence for people.', example: 'The amount is more than what is left to refund.' })
  declare readonly detail: string;
}

/** What a customer may have to do before the money can reach them. */
export const requiredActions = ['customer_must_give_bank_details', 'customer_must_act'] as const;
export type RequiredAction = (typeof requiredActions)[number];

/** What a refund that requires action waits for. */
@Message('What the customer must do before the money can reach them.')
export class ActionRequired {
  @OneOf(requiredActions, {
    about: 'What, as a code. The provider has written to the customer; where it does not say what about, "customer_must_act".',
    example: 'customer_must_give_bank_details',
  })
  declare readonly what: RequiredAction;

  @Time({
    about: 'Until when; after that the refund fails or is canceled. Null where the provider does not say.',
    example: '2026-03-17T09:30:00.000Z',
    nullable: true,
  })
  declare readonly until: string | null;
}

/** A refund as events carry it: without the caller's note and metadata, which are free text and stay off topics. */
@Message('A refund, without what people wrote into it.')
export class RefundSummary {
  @OurId('rf', { about: 'Our id.', example: 'rf_01HZX3J9' })
  declare readonly id: string;

  @Account({ about: 'The configured account at the provider.', example: 'default' })
  declare readonly account: string;

  @OneOf(providers, { about: 'Who took the payment.', example: 'stripe' })
  declare readonly provider: Provider;

  @ProviderId({ about: 'The payment, by the id it was asked for with, or found under.', example: 'pi_3QxYz' })
  declare readonly paymentId: string;

  @OneOf(refundStatuses, { about: 'Where it stands.', example: 'succeeded' })
  declare readonly status: RefundStatus;

  @Text({
    max: 100,
    about: 'Why a person must look, as a code; null when nobody must.',
    example: 'contradiction',
    nullable: true,
  })
  declare readonly attention: string | null;

  @Whole({
    min: 1,
    of: 'minor units',
    about: 'In minor units; null until "all that is left" has been fixed.',
    example: 1050,
    nullable: true,
  })
  declare readonly amount: number | null;

  @Currency({ about: 'ISO 4217; null as long as the amount is.', example: 'USD', nullable: true })
  declare readonly currency: string | null;

  @OneOf(refundReasons, { about: "Why, in the caller's word.", example: 'requested_by_customer', nullable: true })
  declare readonly reason: RefundReason | null;

  @Text({ max: 255, about: "The caller's reference.", example: 'RMA-7', nullable: true })
  declare readonly reference: string | null;

  @OneOf(refundOrigins, { about: '"discovered": made outside, for instance in a dashboard.', example: 'command' })
  declare readonly origin: RefundOrigin;

  @Text({ max: 255, about: "The provider's id, once known.", example: 're_3QxYz', nullable: true })
  declare readonly providerRefundId: string | null;

  @Text({ max: 100, about: "The provider's own status, verbatim.", example: 'succeeded', nullable: true })
  declare readonly providerStatus: string | null;

  @Text({ max: 255, about: "Why it is pending, in the provider's word.", example: 'processing', nullable: true })
  declare readonly pendingReason: string | null;

  @Text({ max: 255, about: "Why it failed, in the provider's word.", example: 'expired_or_canceled_card', nullable: true })
  declare readonly failureCode: string | null;

  @Text({
    max: 255,
    about: 'What the shopper can give to their bank (an ARN, for instance).',
    example: '74208086300000000000000',
    nullable: true,
  })
  declare readonly bankReference: string | null;

  @Inside(ActionRequired, { about: 'What the customer must do, while it is requires_action.', nullable: true })
  declare readonly actionRequired: ActionRequired | null;

  @Whole({ min: 0, about: 'How many attempts were started.', example: 1 })
  declare readonly attempts: number;

  @Words({
    about:
      'What to know although it is allowed, such as "open_inquiry". Only over HTTP "sending_paused": it waits for the switch.',
    example: [],
  })
  declare readonly warnings: readonly string[];

  @Inside(Rejection, { about: 'Why, when it is rejected.', nullable: true })
  declare readonly rejection: Rejection | null;

  @Whole({ min: 1, about: 'Rises by one with every change; ignore a lower one.', example: 4 })
  declare readonly version: number;

  @Time({ about: 'When it was stored.', example: '2026-01-31T09:30:00.000Z' })
  declare readonly createdAt: string;

  @Time({ about: 'When it last changed.', example: '2026-01-31T09:31:00.000Z' })
  declare readonly updatedAt: string;

  @Time({ about: 'When it reached an end; null while it has none.', example: '2026-01-31T09:31:00.000Z', nullable: true })
  declare readonly finalAt: string | null;
}

/** A refund as HTTP shows it. */
@Message('A refund.')
export class Refund extends RefundSummary {
  @Text({ max: 1000, about: "The caller's note.", example: 'Box arrived empty', nullable: true })
  declare readonly note: string | null;

  @TextMap({ about: "The caller's names and values.", example: { orderId: '42' } })
  declare readonly metadata: Readonly<Record<string, string>>;
}

/** What is left of a payment. */
@Message('The balance of a payment.')
class Balance {
  @Account({ about: 'The configured account at the provider.', example: 'default' })
  declare readonly account: string;

  @OneOf(providers, { about: 'Who took the payment.', example: 'stripe' })
  declare readonly provider: Provider;

  @ProviderId({ about: 'The payment.', example: 'pi_3QxYz' })
  declare readonly paymentId: string;

  @Words({ about: 'Other ids of the same payment, such as its charges.', example: ['ch_3QxYz'] })
  declare readonly aliases: readonly string[];

  @Whole({ min: 0, of: 'minor units', about: 'What was taken from the shopper.', example: 10000 })
  declare readonly captured: number;

  @Whole({ min: 0, of: 'minor units', about: 'Held for refunds under way.', example: 0 })
  declare readonly reserved: number;

  @Whole({ min: 0, of: 'minor units', about: 'Sent back.', example: 1050 })
  declare readonly refunded: number;

  @Whole({ min: 0, of: 'minor units', about: 'Held by open disputes.', example: 0 })
  declare readonly disputed: number;

  @Whole({ min: 0, of: 'minor units', about: 'Gone with lost disputes.', example: 0 })
  declare readonly lost: number;

  @Whole({ min: 0, of: 'minor units', about: 'What a refund may still take.', example: 8950 })
  declare readonly available: number;

  @Flag({ about: 'More went out than came in: a person should look.', example: false })
  declare readonly overdrawn: boolean;

  @OneOf(balanceBases, {
    about: '"records": the provider cannot be listed, so this rests on what we know ourselves.',
    example: 'provider',
  })
  declare readonly basis: BalanceBasis;

  @Time({
    about: 'When the provider was last read; null when it never was.',
    example: '2026-01-31T09:30:00.000Z',
    nullable: true,
  })
  declare readonly readAt: string | null;
}

/** The data of `redress.payment.refundability_changed.v1`. */
@Message('The newest balance of a payment; all amounts in minor units of its currency.')
export class Refundability extends Balance {
  @Currency({ about: 'ISO 4217.', example: 'USD' })
  declare readonly currency: string;

  @Whole({ min: 1, about: 'Rises with every change of the payment; ignore a lower one.', example: 7 })
  declare readonly version: number;
}

/** A balance as HTTP shows it. */
@Message('The balance of a payment, in minor units of its currency.')
export class PaymentBalance extends Balance {
  @Currency({ about: 'ISO 4217; null until the provider was read for the first time.', example: 'USD', nullable: true })
  declare readonly currency: string | null;
}

/** Whether giving money back at once costs less than the dispute that a bank's warning announces. */
export const refundVerdicts = ['worthwhile', 'borderline', 'not_worthwhile', 'unknown'] as const;
export type RefundVerdict = (typeof refundVerdicts)[number];

/** What to weigh when a bank has warned of fraud. */
@Message(
  'Whether to refund what a bank has warned of. About 80 % of such payments become disputes where nothing is done; a refund is worth it up to roughly what a dispute costs, and not above 35 % more than that.',
)
export class RefundHint {
  @OneOf(refundVerdicts, {
    about: '"borderline": more than a dispute costs, by 35 % at the most. "unknown": no dispute has shown yet what one costs.',
    example: 'worthwhile',
  })
  declare readonly verdict: RefundVerdict;

  @Whole({
    min: 0,
    of: 'minor units',
    about: "What the provider took for the newest dispute of this account, in minor units of the payment's currency.",
    example: 1500,
    nullable: true,
  })
  declare readonly disputeFee: number | null;

  @Whole({
    min: 0,
    of: 'minor units',
    about: 'The break-even: 35 % more than that fee, in minor units.',
    example: 2025,
    nullable: true,
  })
  declare readonly upTo: number | null;
}

/** A bank's early warning as HTTP shows it. */
@Message('A bank has warned that the payment may be fraud.')
export class ShownFraudWarning extends FraudWarning {
  @Inside(RefundHint, { about: 'Whether to refund now; null where nothing can be done any more.', nullable: true })
  declare readonly refundHint: RefundHint | null;
}

/** A payment as HTTP shows it. */
@Message('A payment: its balance in minor units of its currency, its refunds, its disputes, and what banks have warned of.')
export class Payment extends PaymentBalance {
  @ListOf(Refund, { about: 'Its refunds, newest first.' })
  declare readonly refunds: readonly Refund[];

  @ListOf(Dispute, { about: 'Its disputes, newest first.' })
  declare readonly disputes: readonly Dispute[];

  @ListOf(ShownFraudWarning, { about: "Banks' early warnings of fraud, newest first." })
  declare readonly fraudWarnings: readonly ShownFraudWarning[];

  @Words({
    about:
      'What to know although it is allowed: "open_inquiry", "overdrawn"; and why nothing can be refunded, such as "payment_disputed".',
    example: [],
  })
  declare readonly warnings: readonly string[];
}

/** What a refund would come to if it were asked for now. */
export const previews = ['admitted', 'rejected', 'payment_is_read_first'] as const;
export type Preview = (typeof previews)[number];

/** The answer of POST /v1/refunds/preview. */
@Message('What would happen to a refund, by what is known now. Nothing was stored and nothing is promised.')
export class RefundPreview {
  @OneOf(previews, {
    about:
      '"payment_is_read_first": what is known of the payment does not decide it, so the refund would be taken on and decided by a reading.',
    example: 'admitted',
  })
  declare readonly wouldBe: Preview;

  @Inside(Rejection, { about: 'Why, when it would be rejected.', nullable: true })
  declare readonly rejection: Rejection | null;

  @Whole({
    min: 1,
    of: 'minor units',
    about: 'What would go back, in minor units; null where that is not known yet.',
    example: 1050,
    nullable: true,
  })
  declare readonly amount: number | null;

  @Currency({ about: 'ISO 4217; null as long as the amount is.', example: 'USD', nullable: true })
  declare readonly currency: string | null;

  @Whole({
    min: 0,
    of: 'minor units',
    about: 'What would be left to refund after it, when it would be admitted.',
    example: 7900,
    nullable: true,
  })
  declare readonly availableAfter: number | null;

  @Inside(PaymentBalance, { about: 'The balance it was decided on; null when nobody has read the payment yet.', nullable: true })
  declare readonly payment: PaymentBalance | null;

  @Words({ about: 'What to know although it is allowed, such as "overdrawn".', example: [] })
  declare readonly warnings: readonly string[];
}

/** The data of every refund event: where the refund stands now, and where it came from. */
@Message('A refund after the change, and its status before.')
export class RefundChanged {
  @Inside(RefundSummary, { about: 'The refund after the change.' })
  declare readonly refund: RefundSummary;

  @OneOf(refundStatuses, { about: 'Its status before; null when it is new.', example: 'pending', nullable: true })
  declare readonly previousStatus: RefundStatus | null;
}

/** The data of `redress.refund.attention_needed.v1`. */
@Message('A refund that a person must look at.')
export class RefundAttentionNeeded extends RefundChanged {
  @Text({ max: 100, about: 'Why, as a code.', example: 'contradiction' })
  declare readonly why: string;
}

/** Every event on `refunds.events.v1`, by type. */
export const refundEvents = {
  'redress.refund.requested.v1': RefundChanged,
  'redress.refund.awaiting_approval.v1': RefundChanged,
  'redress.refund.approved.v1': RefundChanged,
  'redress.refund.rejected.v1': RefundChanged,
  'redress.refund.submitted.v1': RefundChanged,
  'redress.refund.pending.v1': RefundChanged,
  'redress.refund.requires_action.v1': RefundChanged,
  'redress.refund.succeeded.v1': RefundChanged,
  'redress.refund.failed.v1': RefundChanged,
  'redress.refund.reversed.v1': RefundChanged,
  'redress.refund.canceled.v1': RefundChanged,
  'redress.refund.outcome_unknown.v1': RefundChanged,
  'redress.refund.outcome_resolved.v1': RefundChanged,
  'redress.refund.discovered.v1': RefundChanged,
  'redress.refund.reference_updated.v1': RefundChanged,
  'redress.refund.attention_needed.v1': RefundAttentionNeeded,
  'redress.refund.attention_cleared.v1': RefundChanged,
} as const satisfies Record<string, Class>;
export type RefundEventType = keyof typeof refundEvents;

/** What is on `payments.refundability.v1`. */
export const balanceEvents = { 'redress.payment.refundability_changed.v1': Refundability } as const satisfies Record<
  string,
  Class
>;

/** The data of `redress.command.accepted.v1`: the command was taken on; what becomes of it, events tell. */
@Message('The command was accepted.')
export class CommandAccepted {
  @Text({ max: 255, about: "The command's ce_source.", example: '/shop/orders' })
  declare readonly commandSource: string;

  @Text({ max: 255, about: "The command's ce_id.", example: 'c-1842' })
  declare readonly commandId: string;

  @OurId('rf', { about: 'The refund it made or concerns.', example: 'rf_01HZX3J9', optional: true })
  declare readonly refundId?: string;

  @OurId('dp', { about: 'The dispute it concerns.', example: 'dp_01HZX3J9', optional: true })
  declare readonly disputeId?: string;
}

/** The data of `redress.command.rejected.v1`: nothing was or will be done. */
@Message('The command was rejected.')
export class CommandRejected extends CommandAccepted {
  @OneOf(codeNames, { about: 'Why, as a stable code.', example: 'amount_exceeds_available' })
  declare readonly code: Code;

  @Text({ max: 1000, about: 'Why, as a sentence.', example: 'The amount is more than what is left to refund.', optional: true })
  declare readonly detail?: string;
}

/** How the first delivery of a command ended. */
@Message('The first outcome of a command that came again.')
export class FirstOutcome {
  @OneOf(['accepted', 'rejected'], { about: 'What it was.', example: 'accepted' })
  declare readonly outcome: 'accepted' | 'rejected';

  @OneOf(codeNames, { about: 'Why, when it was rejected.', example: 'amount_exceeds_available', optional: true })
  declare readonly code?: Code;

  @Text({ max: 1000, about: 'Why, as a sentence.', example: 'The amount is more than what is left to refund.', optional: true })
  declare readonly detail?: string;
}

/** The data of `redress.command.repeated.v1`: seen before, so nothing was done again. */
@Message('The command came again; its first outcome stands.')
export class CommandRepeated extends CommandAccepted {
  @Inside(FirstOutcome, { about: 'What it was answered the first time.' })
  declare readonly first: FirstOutcome;
}

/** Every message on an outcomes topic, by type; exactly one per delivery of a command. */
export const commandOutcomes = {
  'redress.command.accepted.v1': CommandAccepted,
  'redress.command.rejected.v1': CommandRejected,
  'redress.command.repeated.v1': CommandRepeated,
} as const satisfies Record<string, Class>;

/** The attributes of a CloudEvent of ours; in the feed they stand beside `data`, on Kafka they are headers. */
@Message('An event of ours: CloudEvents 1.0 with the extensions partitioning, sequence and distributed tracing.')
export class EventEnvelope {
  @OneOf(['1.0'], { about: 'Of CloudEvents.', example: '1.0' })
  declare readonly specversion: '1.0';

  @OurId('evt', { about: 'Drop an event whose id you have seen.', example: 'evt_01HZX3K2' })
  declare readonly id: string;

  @Text({ max: 255, about: 'Which Redress, which account.', example: '/redress/default' })
  declare readonly source: string;

  @Shaped({
    pattern: /^redress\.[a-z_]+\.[a-z_]+\.v\d+$/,
    must: 'a type of ours',
    about: 'What happened.',
    example: 'redress.refund.succeeded.v1',
  })
  declare readonly type: string;

  @Text({ max: 255, about: 'Our id of what it happened to.', example: 'rf_01HZX3J9' })
  declare readonly subject: string;

  @Time({ about: "When, by the database's clock.", example: '2026-01-31T09:31:00.000Z' })
  declare readonly time: string;

  @OneOf(['application/json'], { about: 'Of data.', example: 'application/json' })
  declare readonly datacontenttype: 'application/json';

  @Text({
    max: 512,
    about: "Kafka's key: account, provider and payment; of an outcome without a payment, the command's source and id.",
    example: 'default:stripe:pi_3QxYz',
  })
  declare readonly partitionkey: string;

  @Shaped({
    pattern: /^\d{1,19}$/,
    must: 'a whole number as text',
    about:
      "The payment's own count of events; ignore one that is lower than what you have seen. Outcomes and balances have none.",
    example: '7',
    optional: true,
  })
  declare readonly sequence?: string;

  @Text({
    max: 255,
    about: 'What began it all: the same for everything that came of one command.',
    example: 'c-1842',
    optional: true,
  })
  declare readonly correlationid?: string;

  @Text({ max: 255, about: 'What led to this event directly.', example: 'evt_01HZX3K1', optional: true })
  declare readonly causationid?: string;

  @Shaped({
    pattern: /^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/,
    must: 'a W3C traceparent',
    about: 'W3C trace context.',
    example: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01',
    optional: true,
  })
  declare readonly traceparent?: string;
}

/** One field that is wrong. */
@Message('One field that is missing, wrong or unknown.')
export class ProblemField {
  @Text({ max: 1000, about: 'Dotted path in the body; "body" for the body itself.', example: 'metadata.orderId' })
  declare readonly path: string;

  @Text({ max: 1000, about: 'What it must be.', example: 'amount must be a whole number of minor units, 1 to 9007199254740991' })
  declare readonly message: string;
}

/** RFC 9457, `application/problem+json`. */
@Message('What is wrong with a request.')
export class Problem {
  @Text({ max: 255, about: 'Where this kind of problem is explained.', example: '/docs/problems#validation_failed' })
  declare readonly type: string;

  @Text({ max: 255, about: 'The kind of problem, in words.', example: 'Some fields are missing, wrong or unknown.' })
  declare readonly title: string;

  @Whole({ min: 400, about: 'The HTTP status.', example: 400 })
  declare readonly status: number;

  @Text({
    max: 1000,
    about: 'This very problem, in words.',
    example: 'amount must be a whole number of minor units',
    optional: true,
  })
  declare readonly detail?: string;

  @OneOf(codeNames, { about: 'A stable code to act on.', example: 'validation_failed' })
  declare readonly code: Code;

  @ListOf(ProblemField, { about: 'For bad input, what is wrong with which field.', optional: true })
  declare readonly errors?: readonly ProblemField[];

  @Text({ max: 1000, about: 'The path that was asked for.', example: '/v1/refunds', optional: true })
  declare readonly instance?: string;

  @OurId('rf', {
    about: 'The refund that was refused or is in the way, where there is one.',
    example: 'rf_01HZX3J9',
    optional: true,
  })
  declare readonly refundId?: string;

  @OurId('dp', {
    about: 'The dispute that was refused or concerned, where there is one.',
    example: 'dp_01HZX3J9',
    optional: true,
  })
  declare readonly disputeId?: string;
}

/** A page of refunds. */
@Message('A page of refunds, newest first.')
export class RefundPage {
  @ListOf(Refund, { about: 'The refunds of this page.' })
  declare readonly data: readonly Refund[];

  @Text({ max: 1000, about: 'Give it as `cursor` to go on; null at the end.', example: 'eyJhZnRlciI6NDJ9', nullable: true })
  declare readonly nextCursor: string | null;
}
