/* What people look into: the story of a refund or a dispute, the event feed, webhooks received, dead letters, and what needs a person. HTTP only. */
import { AnyObject, Inside, ListOf, Message, OneOf, OurId, Text, Time, Whole } from '#contracts/fields';
import { codeNames, type Code } from '#contracts/codes';
import { Dispute } from '#contracts/dispute-events';
import { EventEnvelope, Refund } from '#contracts/refund-events';
import { providers, type Provider } from '#contracts/refund-commands';
import { SendingPause } from '#contracts/sending';

/** What became of a webhook delivery. */
export const dispositions = ['applied', 'duplicate', 'stale', 'foreign', 'unknown', 'rejected'] as const;
export type Disposition = (typeof dispositions)[number];

const Cursor = () =>
  Text({ max: 1000, about: 'Give it as `cursor` to go on; null at the end.', example: 'cmVmdW5kcy40Mg', nullable: true });

/** What kinds of things make up a story. */
export const historyKinds = ['command', 'decision', 'operation', 'call', 'webhook', 'event'] as const;
export type HistoryKind = (typeof historyKinds)[number];

/** One step of a story. Which ids it has depends on its kind. */
@Message('One step of the story of a refund or a dispute.')
export class HistoryEntry {
  @Time({ about: 'When.', example: '2026-01-31T09:30:00.000Z' })
  declare readonly at: string;

  @OneOf(historyKinds, {
    about:
      'What: somebody ordered something, the rules decided it, work for the provider was written down, the provider was called, it sent a webhook, or an event was told.',
    example: 'call',
  })
  declare readonly kind: HistoryKind;

  @Text({ max: 1000, about: 'In words.', example: 'POST /v1/refunds answered 200' })
  declare readonly summary: string;

  @OneOf(['http', 'kafka'], { about: 'Where a command came in.', example: 'http', optional: true })
  declare readonly door?: 'http' | 'kafka';

  @Text({ max: 255, about: 'Who sent a command.', example: 'admin', optional: true })
  declare readonly source?: string;

  @Text({
    max: 255,
    about: "A command's idempotency key or ce_id; an operation's and a call's key at the provider.",
    example: 'refund:rf_01HZX3J9:1',
    optional: true,
  })
  declare readonly key?: string;

  @OneOf(codeNames, { about: 'Why a decision was a refusal.', example: 'amount_exceeds_available', optional: true })
  declare readonly code?: Code;

  @Text({
    max: 255,
    about: 'The provider operation, also of a call and of a webhook that waits for a reading.',
    example: '0b1c',
    optional: true,
  })
  declare readonly operationId?: string;

  @Whole({ min: 0, about: 'The attempt that an operation or a call belongs to.', example: 1, optional: true })
  declare readonly attempt?: number;

  @Time({
    about: 'When the first call of an operation began: of what is sent, the first send.',
    example: '2026-01-31T09:30:00.000Z',
    optional: true,
  })
  declare readonly firstCallAt?: string;

  @Time({ about: 'When its last call began, a send or a reading.', example: '2026-01-31T09:35:00.000Z', optional: true })
  declare readonly lastCallAt?: string;

  @Text({ max: 255, about: "The provider's id of a call.", example: 'req_3QxYz', optional: true })
  declare readonly requestId?: string;

  @Whole({ min: 100, about: "The provider's HTTP status.", example: 200, optional: true })
  declare readonly httpStatus?: number;

  @Text({ max: 255, about: 'A webhook, by our id.', example: '0b1c', optional: true })
  declare readonly deliveryId?: string;

  @Text({ max: 255, about: "A webhook, by the provider's id.", example: 'evt_3QxYz', optional: true })
  declare readonly noticeId?: string;

  @OneOf(dispositions, { about: 'What became of a webhook; not there while it waits.', example: 'applied', optional: true })
  declare readonly disposition?: Disposition;

  @OurId('evt', { about: 'An event, also the one that told a decision.', example: 'evt_01HZX3K2', optional: true })
  declare readonly eventId?: string;

  @Text({ max: 255, about: 'What caused an event: a command key or an operation.', example: 'c-1842', optional: true })
  declare readonly causationId?: string;

  @Text({ max: 255, about: 'The topic of an event.', example: 'refunds.events.v1', optional: true })
  declare readonly topic?: string;

  @Whole({ min: 1, about: 'The place of an event in the log; not there until it is sealed.', example: 42, optional: true })
  declare readonly position?: number;
}

/** The answer of GET /v1/refunds/{id}/history. */
@Message('The story of a refund, in order of time.')
export class RefundHistory {
  @ListOf(HistoryEntry, { about: 'What happened, from the first command on.' })
  declare readonly data: readonly HistoryEntry[];

  @Cursor()
  declare readonly nextCursor: string | null;
}

/** The answer of GET /v1/disputes/{id}/history. */
@Message('The story of a dispute, in order of time.')
export class DisputeHistory {
  @ListOf(HistoryEntry, { about: 'What happened, from the first word of it on.' })
  declare readonly data: readonly HistoryEntry[];

  @Cursor()
  declare readonly nextCursor: string | null;
}

/** A page of disputes. */
@Message('A page of disputes: what is due first comes first, what is not due any more last.')
export class DisputePage {
  @ListOf(Dispute, { about: 'The disputes of this page.' })
  declare readonly data: readonly Dispute[];

  @Cursor()
  declare readonly nextCursor: string | null;
}

/** An event as the feed and the stream show it: CloudEvents structured mode. */
@Message('An event with its data.')
export class FeedEvent extends EventEnvelope {
  @AnyObject({ about: 'As the schema of its type says.' })
  declare readonly data: object;
}

/** The answer of GET /v1/events. */
@Message('A page of events, in the order of the log.')
export class EventPage {
  @ListOf(FeedEvent, { about: 'The events of this page.' })
  declare readonly data: readonly FeedEvent[];

  @Text({ max: 1000, about: 'Give it as `after` to go on, now or later; never null.', example: 'ZXZlbnRzLjQy' })
  declare readonly nextCursor: string;
}

/** A webhook as it was received. */
@Message('A webhook as it was received, and what became of it.')
export class WebhookDelivery {
  @Text({ max: 64, about: 'Our id.', example: '0b1c6f0e-0000-4000-8000-000000000000' })
  declare readonly id: string;

  @Text({ max: 64, about: 'The configured account at the provider.', example: 'default' })
  declare readonly account: string;

  @OneOf(providers, { about: 'Who sent it, or is said to have.', example: 'stripe' })
  declare readonly provider: Provider;

  @Text({ max: 255, about: "The provider's id of it; null when it was refused.", example: 'evt_3QxYz', nullable: true })
  declare readonly noticeId: string | null;

  @Text({ max: 255, about: "What it is about, in the provider's word.", example: 'refund.updated', nullable: true })
  declare readonly type: string | null;

  @OneOf(dispositions, { about: 'What became of it; null while it waits.', example: 'applied', nullable: true })
  declare readonly disposition: Disposition | null;

  @Text({ max: 1000, about: 'The disposition in words.', example: 'succeeded is known already', nullable: true })
  declare readonly detail: string | null;

  @OurId('rf', { about: 'The refund it is about, where that is known.', example: 'rf_01HZX3J9', nullable: true })
  declare readonly refundId: string | null;

  @OurId('dp', { about: 'The dispute it is about, where that is known.', example: null, nullable: true })
  declare readonly disputeId: string | null;

  @Text({ max: 64, about: 'SHA-256 of its body, as hexadecimal digits.', example: 'e3b0c442' })
  declare readonly digest: string;

  @Text({ max: 255, about: 'The address it came from.', example: '3.18.12.63', nullable: true })
  declare readonly from: string | null;

  @Time({ about: 'When it came.', example: '2026-01-31T09:30:00.000Z' })
  declare readonly receivedAt: string;

  @Time({ about: 'When its disposition was known.', example: '2026-01-31T09:30:01.000Z', nullable: true })
  declare readonly handledAt: string | null;

  @Text({
    max: 2_000_000,
    about: 'What it said; only where one delivery is asked for, and never of one that was refused.',
    example: '{}',
    optional: true,
    nullable: true,
  })
  declare readonly body?: string | null;
}

/** A page of webhooks. */
@Message('A page of webhooks received, newest first.')
export class WebhookDeliveryPage {
  @ListOf(WebhookDelivery, { about: 'The deliveries of this page, without their bodies.' })
  declare readonly data: readonly WebhookDelivery[];

  @Cursor()
  declare readonly nextCursor: string | null;
}

/** How a dead letter leaves the list of what needs a person. */
export const lettersEnds = ['accepted', 'rejected', 'dismissed'] as const;
export type LetterEnd = (typeof lettersEnds)[number];

/** A record that could not be taken as a command. */
@Message('A record from Kafka that was set aside, with the reason.')
export class DeadLetter {
  @Text({ max: 64, about: 'Our id.', example: '0b1c6f0e-0000-4000-8000-000000000000' })
  declare readonly id: string;

  @Text({ max: 255, about: 'The topic it came from.', example: 'refunds.commands.v1' })
  declare readonly topic: string;

  @Whole({ min: 0, about: 'Its partition.', example: 0 })
  declare readonly partition: number;

  @Whole({ min: 0, about: 'Its offset.', example: 42 })
  declare readonly offset: number;

  @OneOf(codeNames, { about: 'Why, as a stable code.', example: 'not_json' })
  declare readonly code: Code;

  @Text({ max: 1000, about: 'Why, in words.', example: 'The body is not JSON.' })
  declare readonly detail: string;

  @Time({ about: 'When it was set aside.', example: '2026-01-31T09:30:00.000Z' })
  declare readonly at: string;

  @OneOf(lettersEnds, {
    about:
      'How a person ended it: it went again and its command was accepted or rejected, or it was dismissed; null while it waits.',
    example: null,
    nullable: true,
  })
  declare readonly end: LetterEnd | null;

  @Time({ about: 'When it was ended.', example: null, nullable: true })
  declare readonly endedAt: string | null;

  @Text({ max: 255, about: 'Who ended it.', example: null, nullable: true })
  declare readonly endedBy: string | null;

  @Text({ max: 1000, about: 'The reason given, or why its command was rejected.', example: null, nullable: true })
  declare readonly endDetail: string | null;

  @OurId('rf', { about: 'The refund that its command made or concerns.', example: null, nullable: true })
  declare readonly refundId: string | null;
}

/** A page of dead letters. */
@Message('A page of dead letters, newest first.')
export class DeadLetterPage {
  @ListOf(DeadLetter, { about: 'The dead letters of this page.' })
  declare readonly data: readonly DeadLetter[];

  @Cursor()
  declare readonly nextCursor: string | null;
}

/** What can be parked. */
export const parkableOperations = [
  'refund.send',
  'refund.find',
  'refund.read',
  'payment.read',
  'refunds.list',
  'dispute.read',
  'disputes.list',
  'warning.read',
  'evidence.upload',
  'evidence.stage',
  'dispute.submit',
  'dispute.accept',
] as const;
export type ParkableOperation = (typeof parkableOperations)[number];

/** A provider operation that goes on only when a person has mended something. */
@Message('A provider operation that waits for a person.')
export class ParkedOperation {
  @Text({ max: 64, about: 'Our id.', example: '0b1c6f0e-0000-4000-8000-000000000000' })
  declare readonly id: string;

  @Text({ max: 64, about: 'The configured account at the provider.', example: 'default' })
  declare readonly account: string;

  @OneOf(providers, { about: 'Where it goes.', example: 'stripe' })
  declare readonly provider: Provider;

  @OneOf(parkableOperations, {
    about: 'What it does. `refund.send` moves money; `dispute.submit` and `dispute.accept` cannot be taken back either.',
    example: 'refund.send',
  })
  declare readonly operation: ParkableOperation;

  @Text({ max: 255, about: 'What it sends or reads.', example: 'rf_01HZX3J9' })
  declare readonly target: string;

  @OurId('rf', { about: 'The refund it belongs to, where it has one.', example: 'rf_01HZX3J9', nullable: true })
  declare readonly refundId: string | null;

  @OurId('dp', { about: 'The dispute it belongs to, where it has one.', example: null, nullable: true })
  declare readonly disputeId: string | null;

  @Whole({ min: 0, about: 'How many calls were begun.', example: 1 })
  declare readonly tries: number;
}

/** A Kafka partition whose commands wait. */
@Message('A Kafka partition whose commands wait for a person.')
export class HaltedPartition {
  @Text({ max: 249, about: 'The topic.', example: 'refunds.commands.v1' })
  declare readonly topic: string;

  @Whole({ min: 0, about: 'The partition.', example: 3 })
  declare readonly partition: number;
}

/** One thing that a person must look at. */
@Message('Something that a person must look at.')
export class AttentionItem {
  @OneOf(['refund', 'dispute', 'operation', 'dead_letter', 'pause', 'partition'], {
    about: 'What it is; the field of that name has it. A pause is there when the breaker made it.',
    example: 'refund',
  })
  declare readonly kind: 'refund' | 'dispute' | 'operation' | 'dead_letter' | 'pause' | 'partition';

  @Time({ about: 'Since when.', example: '2026-01-31T09:30:00.000Z' })
  declare readonly at: string;

  @Text({ max: 1000, about: 'Why, as a code or in words.', example: 'late_reversal' })
  declare readonly why: string;

  @Inside(Refund, { about: 'The refund.', optional: true })
  declare readonly refund?: Refund;

  @Inside(Dispute, { about: 'The dispute.', optional: true })
  declare readonly dispute?: Dispute;

  @Inside(ParkedOperation, { about: 'The operation.', optional: true })
  declare readonly operation?: ParkedOperation;

  @Inside(DeadLetter, { about: 'The dead letter.', optional: true })
  declare readonly deadLetter?: DeadLetter;

  @Inside(SendingPause, { about: 'The pause.', optional: true })
  declare readonly pause?: SendingPause;

  @Inside(HaltedPartition, { about: 'The partition.', optional: true })
  declare readonly partition?: HaltedPartition;
}

/** A page of what needs a person. */
@Message('A page of what needs a person, newest first.')
export class AttentionPage {
  @ListOf(AttentionItem, { about: 'The items of this page.' })
  declare readonly data: readonly AttentionItem[];

  @Cursor()
  declare readonly nextCursor: string | null;
}

/** Whether a process is well. */
@Message('Whether this process is well.')
export class Health {
  @OneOf(['ok'], { about: 'Anything else is a problem with status 503.', example: 'ok' })
  declare readonly status: 'ok';
}
