/*
 * A refund: money we decide to send back for one payment. Its statuses, what a provider can report about it, and the table that says
 * where each report leads. Everything here is a plain function over plain data; times and ids come in as arguments.
 *
 * Decisions return events, each with the changes it makes; `evolve` applies them. Nothing else changes a refund.
 */
import { err, ok, type Result } from '../result.js';

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

/** Why a person must look. One at a time: the newest that matters. */
export type Attention =
  | 'contradiction'
  | 'late_reversal'
  | 'unknown_provider_status'
  | 'amount_differs'
  | 'operation_parked'
  | 'provider_refused'
  | 'outcome_unknown'
  | 'late_command';

export interface Rejection {
  readonly code: string;
  readonly detail: string;
}

/** What the customer must do before the money can reach them, and until when; null where the provider names no end. */
export interface ActionRequired {
  readonly what: 'customer_must_give_bank_details' | 'customer_must_act';
  readonly until: Date | null;
}

export interface Refund {
  readonly id: string;
  readonly account: string;
  readonly provider: string;
  /** Our row of the payment; its public name stands on the payment. */
  readonly paymentKey: string;
  /** What the caller called the payment: a PaymentIntent, a charge, a session. */
  readonly namedPayment: string;
  /** Order of arrival; decides who is first on one payment. Null until stored. */
  readonly ordinal: bigint | null;
  readonly status: RefundStatus;
  readonly attention: Attention | null;
  /** Minor units. Null until admission fixes "all that is left". */
  readonly amount: bigint | null;
  readonly currency: string | null;
  /** What this refund takes of its payment's room now: see `Holds`. */
  readonly holds: Holds;
  readonly reason: RefundReason | null;
  readonly blockCustomer: boolean;
  readonly reference: string | null;
  readonly note: string | null;
  readonly metadata: Readonly<Record<string, string>>;
  readonly expectedAvailable: bigint | null;
  readonly origin: 'command' | 'discovered';
  /** The attempt at the provider, from 1; rises only on proof that the one before had no effect. */
  readonly attempt: number;
  readonly providerRefundId: string | null;
  readonly providerStatus: string | null;
  readonly pendingReason: string | null;
  readonly failureCode: string | null;
  readonly bankReference: string | null;
  /** Only while it is `requires_action`, and where the provider says what is to be done. */
  readonly actionRequired: ActionRequired | null;
  /** When the provider was asked for what was last believed; tells a stale report from news. */
  readonly reportedAt: Date | null;
  /** Since when nobody knows whether the money has moved; null while that is known. */
  readonly unknownSince: Date | null;
  readonly rejection: Rejection | null;
  /** The command's one outcome, once it is known. */
  readonly outcome: 'accepted' | 'rejected' | null;
  readonly version: number;
  readonly createdAt: Date;
  readonly updatedAt: Date;
  readonly finalAt: Date | null;
}

export type RefundReason = 'requested_by_customer' | 'duplicate' | 'fraudulent' | 'other';

/**
 * The room a refund takes of its payment: `reserved` was decided by us and the database refuses it when there is none;
 * `refunded` is a fact of the provider's and is stored whatever it does to the balance.
 */
export type Holds = 'nothing' | 'reserved' | 'refunded';

export type RefundEventType =
  | 'requested'
  | 'awaiting_approval'
  | 'approved'
  | 'rejected'
  | 'submitted'
  | 'pending'
  | 'requires_action'
  | 'succeeded'
  | 'failed'
  | 'reversed'
  | 'canceled'
  | 'outcome_unknown'
  | 'outcome_resolved'
  | 'discovered'
  | 'reference_updated'
  | 'attention_needed'
  | 'attention_cleared';

type Changes = Partial<
  Omit<Refund, 'id' | 'account' | 'provider' | 'version' | 'createdAt' | 'updatedAt' | 'finalAt' | 'unknownSince'>
>;

export interface RefundEvent {
  readonly type: RefundEventType;
  readonly at: Date;
  readonly changes: Changes;
}

const finalStatuses: ReadonlySet<RefundStatus> = new Set(['succeeded', 'failed', 'reversed', 'canceled', 'rejected']);

/** What an event does to a refund. A report bears the time of asking, which may lie before our last change. */
export function evolve(refund: Refund, event: RefundEvent): Refund {
  const updatedAt = event.at > refund.updatedAt ? event.at : refund.updatedAt;
  const next = { ...refund, ...event.changes, version: refund.version + 1, updatedAt };
  if (next.status === refund.status) return next;
  return {
    ...next,
    unknownSince: next.status === 'outcome_unknown' ? event.at : null,
    finalAt: finalStatuses.has(next.status) ? event.at : null,
  };
}

/** The order to refund, as it came in through either door. */
export interface RefundOrder {
  readonly id: string;
  readonly account: string;
  readonly provider: string;
  readonly paymentKey: string;
  readonly namedPayment: string;
  /** Null with a null currency: all that is left when it is admitted. */
  readonly amount: bigint | null;
  readonly currency: string | null;
  readonly reason: RefundReason | null;
  readonly blockCustomer: boolean;
  readonly reference: string | null;
  readonly note: string | null;
  readonly metadata: Readonly<Record<string, string>>;
  readonly expectedAvailable: bigint | null;
}

/** An attempt of which no provider has said anything. */
const unreported = {
  providerRefundId: null,
  providerStatus: null,
  pendingReason: null,
  failureCode: null,
  bankReference: null,
  actionRequired: null,
  reportedAt: null,
} as const;

/** A refund as it begins, before anything was decided about it. */
export function requested(order: RefundOrder, at: Date): Refund {
  return {
    ...order,
    ordinal: null,
    status: 'requested',
    attention: null,
    holds: 'nothing',
    origin: 'command',
    attempt: 1,
    ...unreported,
    unknownSince: null,
    rejection: null,
    outcome: null,
    version: 1,
    createdAt: at,
    updatedAt: at,
    finalAt: null,
  };
}

/** A refund that somebody else made at the provider: counted, followed, never sent by us. */
export function discovered(
  found: { id: string; account: string; provider: string; paymentKey: string; namedPayment: string; report: RefundReport },
  at: Date,
): Refund {
  const { report, ...identity } = found;
  const start = requested(
    {
      ...identity,
      amount: report.amount,
      currency: report.currency,
      reason: null,
      blockCustomer: false,
      reference: null,
      note: null,
      metadata: {},
      expectedAvailable: null,
    },
    at,
  );
  const status = discoveredAs[report.says];
  return {
    ...start,
    origin: 'discovered',
    status,
    attention: report.says === 'unclear' ? 'unknown_provider_status' : null,
    holds: status === 'failed' || status === 'canceled' ? 'nothing' : 'refunded',
    ...facts(report),
    unknownSince: status === 'outcome_unknown' ? at : null,
    finalAt: finalStatuses.has(status) ? at : null,
  };
}

/** What a provider says about one attempt. Adapters translate their own words into these; an answer we cannot trust is `unknown`. */
export type Says =
  | 'pending'
  | 'requires_action'
  | 'succeeded'
  | 'failed'
  | 'canceled'
  /** A definite no: this attempt created nothing. */
  | 'refused'
  /** A complete reading shows no such refund. */
  | 'absent'
  /** The provider has it, in a status this version does not know. */
  | 'unclear'
  /** No answer that can be trusted: the money may have moved. */
  | 'unknown';

/** One reading of the provider's truth, whichever way it came: our call's answer, a webhook, a poll, a sweep. */
export interface RefundReport {
  readonly says: Says;
  readonly attempt: number;
  readonly providerRefundId: string | null;
  /** The provider's own word, verbatim. */
  readonly providerStatus: string | null;
  /** Minor units, as the provider has it; null when it did not say. */
  readonly amount: bigint | null;
  readonly currency: string | null;
  readonly pendingReason: string | null;
  readonly failureCode: string | null;
  readonly bankReference: string | null;
  /** With `requires_action`. */
  readonly actionRequired?: ActionRequired | null;
  /** With `refused`: our stable code and the provider's words. `attention` when the refusal was not expected. */
  readonly refusal: { readonly code: string; readonly detail: string; readonly attention: boolean } | null;
  /** When the provider was asked. */
  readonly at: Date;
}

type Move = RefundStatus | 'same' | 'contradiction' | 'unclear';

const taken = {
  pending: 'pending',
  requires_action: 'requires_action',
  succeeded: 'succeeded',
  failed: 'failed',
  canceled: 'canceled',
  refused: 'rejected',
  // The provider has it: nothing of it may be sent or canceled here any more. A person is told what it said.
  unclear: 'pending',
} as const;

// Its room is free again, so whatever the provider still holds for it is for a person. Readings that crossed are sorted out before.
const over = {
  pending: 'contradiction',
  requires_action: 'contradiction',
  succeeded: 'contradiction',
  failed: 'same',
  canceled: 'same',
  refused: 'same',
  absent: 'same',
  unclear: 'contradiction',
  unknown: 'same',
} as const;

/**
 * The whole machine: where the refund stands, what the provider says, where it goes. Read it beside docs.stripe.com/refunds.
 * Before the first send a report is possible too: after a restore from backup the provider knows more than we do.
 */
export const meaning: Readonly<Record<RefundStatus, Readonly<Record<Says, Move>>>> = {
  requested: { ...taken, refused: 'same', absent: 'same', unknown: 'same' },
  awaiting_approval: { ...taken, refused: 'same', absent: 'same', unknown: 'same' },
  approved: { ...taken, absent: 'same', unknown: 'outcome_unknown' },
  submitted: { ...taken, absent: 'same', unknown: 'outcome_unknown' },
  outcome_unknown: { ...taken, absent: 'same', unknown: 'same' },
  pending: { ...taken, pending: 'same', refused: 'same', absent: 'contradiction', unclear: 'unclear', unknown: 'same' },
  requires_action: {
    ...taken,
    requires_action: 'same',
    refused: 'same',
    absent: 'contradiction',
    unclear: 'unclear',
    unknown: 'same',
  },
  // The shopper's bank may send the money back weeks later, or ask for other details: docs.stripe.com/refunds#failed-refunds
  succeeded: {
    pending: 'same',
    requires_action: 'requires_action',
    succeeded: 'same',
    failed: 'reversed',
    canceled: 'reversed',
    refused: 'same',
    absent: 'contradiction',
    unclear: 'unclear',
    unknown: 'same',
  },
  failed: over,
  canceled: over,
  reversed: over,
  rejected: over,
};

const discoveredAs: Readonly<Record<Says, RefundStatus>> = {
  pending: 'pending',
  requires_action: 'requires_action',
  succeeded: 'succeeded',
  failed: 'failed',
  canceled: 'canceled',
  refused: 'failed',
  absent: 'failed',
  unclear: 'pending',
  unknown: 'outcome_unknown',
};

/**
 * The room a status takes. A refund that was sent once keeps counting as refunded while the bank asks for new details.
 * Under a contradiction nothing is given back: the payment must not be refunded a second time before a person has looked.
 */
function holdsIn(status: RefundStatus, refund: Refund): Holds {
  if (status === 'succeeded') return 'refunded';
  if (finalStatuses.has(status)) return refund.attention === 'contradiction' ? refund.holds : 'nothing';
  // What the provider already has is a fact: it was never ours to reserve.
  return refund.holds === 'nothing' ? 'refunded' : refund.holds;
}

/** The provider holds a refund that has paid or may yet pay. */
const alive: ReadonlySet<Says> = new Set(['pending', 'requires_action', 'succeeded', 'unclear']);

/** What a provider's report does to a refund; an empty list when it is no news. */
export function recordReport(refund: Refund, report: RefundReport): RefundEvent[] {
  // What another of the provider's refunds does is no word on ours, unless it holds money too: then both may pay.
  if (isAnother(refund, report)) return alive.has(report.says) ? attention(refund, report, 'contradiction') : [];
  if (refund.reportedAt !== null && report.at < refund.reportedAt) return late(refund, report);
  const move = meaning[refund.status][report.says];
  switch (move) {
    case 'same':
      return details(refund, report);
    case 'contradiction':
      return attention(refund, report, 'contradiction');
    case 'unclear':
      // The same word again is no news: a person may have acknowledged it.
      return report.providerStatus === refund.providerStatus ? [] : attention(refund, report, 'unknown_provider_status');
    case 'outcome_unknown':
      return [{ type: move, at: report.at, changes: { status: move } }];
    case 'rejected':
      return refusedByProvider(refund, report);
    default:
      return moved(refund, report, move);
  }
}

/**
 * Whether a notice claims only what is known already, so that nothing needs to be read. A claim may be old, and its time is the provider's:
 * it is compared with where the refund stands and never taken for a report.
 */
export function isKnown(refund: Refund, claim: RefundReport): boolean {
  if (claim.providerRefundId !== refund.providerRefundId) return false;
  // Whatever has come further was pending once.
  if (claim.says === 'pending' && pastPending.has(refund.status)) return true;
  const told = (now: string | null, before: string | null) => now === null || now === before;
  return (
    claim.says === refund.status &&
    told(claim.bankReference, refund.bankReference) &&
    told(claim.pendingReason, refund.pendingReason) &&
    (claim.actionRequired == null || sameAction(claim.actionRequired, refund.actionRequired)) &&
    told(claim.failureCode, refund.failureCode)
  );
}

function sameAction(one: ActionRequired | null, other: ActionRequired | null): boolean {
  return one?.what === other?.what && one?.until?.getTime() === other?.until?.getTime();
}

const pastPending: ReadonlySet<RefundStatus> = new Set(['succeeded', 'failed', 'reversed', 'canceled']);

/** Whether it speaks of another refund than the one we follow: an earlier attempt's, or a second one made for this attempt. */
function isAnother(refund: Refund, report: RefundReport): boolean {
  if (report.attempt !== refund.attempt) return report.attempt < refund.attempt;
  const [ours, theirs] = [refund.providerRefundId, report.providerRefundId];
  return ours !== null && theirs !== null && ours !== theirs;
}

/** Older than what we believe, so no news of how it stands; but it may show what we had said was never there, or what came before. */
function late(refund: Refund, report: RefundReport): RefundEvent[] {
  if (meaning[refund.status] !== over || !alive.has(report.says) || refund.attention === 'contradiction') return [];
  if (refund.providerRefundId === null) return attention(refund, report, 'contradiction');
  if (refund.status === 'reversed' || report.says !== 'succeeded') return [];
  // Two readings crossed: it had succeeded before it failed.
  return [
    { type: 'reversed', at: report.at, changes: { status: 'reversed' } },
    ...attentionTo(refund, 'late_reversal', report.at),
  ];
}

function moved(refund: Refund, report: RefundReport, to: RefundStatus): RefundEvent[] {
  const at = report.at;
  const settled: Changes = { status: to, holds: holdsIn(to, refund), attention: unended(refund) };
  const events: RefundEvent[] = [{ type: to, at, changes: { ...facts(report), ...fixed(refund, report), ...settled } }];
  if (refund.status === 'outcome_unknown') events.push({ type: 'outcome_resolved', at, changes: {} });
  if (to === 'reversed') return [...events, ...attentionTo(refund, 'late_reversal', at)];
  if (report.says === 'unclear') return [...events, ...attentionTo(refund, 'unknown_provider_status', at)];
  if (differs(refund, report)) return [...events, ...attentionTo(refund, 'amount_differs', at)];
  return events;
}

/** What only a person can end; every other attention is answered by clear news. */
function unended(refund: Refund): Attention | null {
  return refund.attention === 'contradiction' || refund.attention === 'amount_differs' ? refund.attention : null;
}

/** Nothing outranks a contradiction: it keeps the room taken and stops another attempt. */
function attentionTo(refund: Refund, why: Attention, at: Date): RefundEvent[] {
  const known = refund.attention === 'contradiction' || (why === 'amount_differs' && refund.attention === why);
  return known ? [] : [{ type: 'attention_needed', at, changes: { attention: why } }];
}

/** After a restore the provider's refund may be met before "all that is left" was fixed: then its amount is the amount. */
function fixed(refund: Refund, report: RefundReport): Changes {
  // What others made at the provider answers no command.
  const outcome = refund.origin === 'command' ? (refund.outcome ?? 'accepted') : null;
  return refund.amount === null && report.amount !== null
    ? { amount: report.amount, currency: report.currency ?? refund.currency, outcome }
    : { outcome };
}

function differs(refund: Refund, report: RefundReport): boolean {
  if (report.amount === null || refund.amount === null) return false;
  return report.amount !== refund.amount || (report.currency !== null && report.currency !== refund.currency);
}

function refusedByProvider(refund: Refund, report: RefundReport): RefundEvent[] {
  const at = report.at;
  const refusal = report.refusal ?? {
    code: 'provider_refused',
    detail: 'The provider refused without a reason.',
    attention: true,
  };
  // A later attempt that is refused leaves a refund that has failed before: it can be tried again, a rejected one cannot.
  const type = report.attempt === 1 ? 'rejected' : 'failed';
  const changes: Changes = {
    ...facts(report),
    status: type,
    holds: holdsIn(type, refund),
    attention: unended(refund),
    ...(type === 'rejected' ? { rejection: { code: refusal.code, detail: refusal.detail } } : { failureCode: refusal.code }),
  };
  const events: RefundEvent[] = [{ type, at, changes }];
  if (refund.status === 'outcome_unknown') events.push({ type: 'outcome_resolved', at, changes: {} });
  return refusal.attention ? [...events, ...attentionTo(refund, 'provider_refused', at)] : events;
}

/** The same status, but something to keep: the bank's reference, a reason for waiting, the provider's id, the amount. */
function details(refund: Refund, report: RefundReport): RefundEvent[] {
  if (report.says !== refund.status) return [];
  const news: Changes = { ...facts(report), ...fixed(refund, report) };
  const learned = (now: string | null, before: string | null) => now !== null && now !== before;
  const waits = refund.status === 'pending' || refund.status === 'requires_action';
  const reasonChanged =
    report.pendingReason !== refund.pendingReason ||
    report.failureCode !== refund.failureCode ||
    !sameAction(actionIn(report), refund.actionRequired);
  if (learned(report.bankReference, refund.bankReference) || learned(report.providerRefundId, refund.providerRefundId)) {
    return [{ type: 'reference_updated', at: report.at, changes: news }];
  }
  if ((waits && reasonChanged) || (refund.amount === null && report.amount !== null)) {
    return [{ type: refund.status, at: report.at, changes: news }];
  }
  return [];
}

/** A person must look. What the provider holds for a refund whose room was free takes that room again meanwhile. */
function attention(refund: Refund, report: RefundReport, why: Attention): RefundEvent[] {
  const changes: Changes = {
    attention: refund.attention === 'contradiction' ? refund.attention : why,
    holds: refund.holds === 'nothing' && alive.has(report.says) ? 'refunded' : refund.holds,
    // The words of another refund would hide ours.
    ...(isAnother(refund, report)
      ? {}
      : {
          attempt: report.attempt,
          providerRefundId: report.providerRefundId ?? refund.providerRefundId,
          providerStatus: report.providerStatus,
        }),
  };
  const known = Object.entries(changes).every(([name, value]) => refund[name as keyof Refund] === value);
  return known ? [] : [{ type: 'attention_needed', at: report.at, changes }];
}

function facts(report: RefundReport): Changes {
  return {
    ...(report.providerRefundId === null ? {} : { providerRefundId: report.providerRefundId }),
    ...(report.bankReference === null ? {} : { bankReference: report.bankReference }),
    // A later attempt than ours is one that a restore made us forget: its key is used, and reports of the earlier ones are old.
    attempt: report.attempt,
    providerStatus: report.providerStatus,
    pendingReason: report.pendingReason,
    failureCode: report.failureCode,
    actionRequired: actionIn(report),
    reportedAt: report.at,
  };
}

function actionIn({ says, actionRequired }: RefundReport): ActionRequired | null {
  return says === 'requires_action' ? (actionRequired ?? null) : null;
}

export interface RefundRefusal {
  readonly code: 'not_awaiting_approval' | 'not_cancelable' | 'not_retryable' | 'not_resolvable' | 'not_acknowledgeable';
  readonly status: RefundStatus;
}

/** The first send is committed: from here on the money may have moved. */
export function submit(refund: Refund, at: Date): RefundEvent[] {
  return refund.status === 'approved' ? [{ type: 'submitted', at, changes: { status: 'submitted' } }] : [];
}

export function approve(refund: Refund, at: Date): Result<RefundEvent[], RefundRefusal> {
  if (refund.status !== 'awaiting_approval') return err({ code: 'not_awaiting_approval', status: refund.status });
  const attention = refund.attention === 'late_command' ? null : refund.attention;
  return ok([{ type: 'approved', at, changes: { status: 'approved', attention } }]);
}

/** A second person says no; the room is given back. */
export function reject(refund: Refund, at: Date): Result<RefundEvent[], RefundRefusal> {
  if (refund.status !== 'awaiting_approval') return err({ code: 'not_awaiting_approval', status: refund.status });
  const rejection = { code: 'approval_refused', detail: 'A second person turned the refund down.' };
  const changes: Changes = { status: 'rejected', holds: holdsIn('rejected', refund), attention: unended(refund), rejection };
  return ok([{ type: 'rejected', at, changes }]);
}

/**
 * Only what no provider has heard of can be canceled by us; the caller takes the operation away under the same lock.
 * Nothing here cancels at a provider: Stripe does so only for refunds that wait for the customer, Zamp never.
 */
export function cancel(refund: Refund, at: Date): Result<RefundEvent[], RefundRefusal> {
  switch (refund.status) {
    case 'requested':
    case 'awaiting_approval':
    case 'approved': {
      const outcome = refund.outcome ?? 'accepted';
      const changes: Changes = { status: 'canceled', holds: holdsIn('canceled', refund), attention: unended(refund), outcome };
      return ok([{ type: 'canceled', at, changes }]);
    }
    default:
      return err({ code: 'not_cancelable', status: refund.status });
  }
}

/** Another attempt on purpose, with a new key. Room is taken anew by the caller's admission. */
export function retry(refund: Refund, at: Date): Result<RefundEvent[], RefundRefusal> {
  const possible = refund.status === 'failed' || refund.status === 'reversed' || refund.status === 'canceled';
  if (!possible || refund.origin === 'discovered' || refund.amount === null || refund.attention === 'contradiction') {
    return err({ code: 'not_retryable', status: refund.status });
  }
  // Canceled by us before anything was sent: the key of this attempt was never used.
  const unused = refund.reportedAt === null && refund.status === 'canceled';
  return ok([anew(unused ? refund.attempt : refund.attempt + 1, at)]);
}

/** It is proved that the attempt under way had no effect: the next one goes out under a key of its own, in the room that is still held. */
export function startOver(refund: Refund, at: Date): RefundEvent[] {
  if (refund.status !== 'submitted' && refund.status !== 'outcome_unknown') return [];
  if (refund.attention === 'contradiction') return [];
  const again = anew(refund.attempt + 1, at);
  return refund.status === 'outcome_unknown' ? [again, { type: 'outcome_resolved', at, changes: {} }] : [again];
}

function anew(attempt: number, at: Date): RefundEvent {
  const changes: Changes = {
    status: 'approved',
    holds: 'reserved',
    attention: null,
    attempt,
    ...unreported,
  };
  return { type: 'approved', at, changes };
}

/**
 * A command came for a refund that its provider had shown us before: our books had lost it (a restore from backup), and its id and so its key
 * are the same. The money has its refund; what the order says beside that is taken over.
 */
export function claimed(refund: Refund, order: RefundOrder, at: Date): RefundEvent[] {
  const { reason, blockCustomer, reference, note, metadata, expectedAvailable } = order;
  const words: Changes = { reason, blockCustomer, reference, note, metadata, expectedAvailable };
  const changes: Changes = { ...words, origin: 'command', outcome: 'accepted' };
  const told: RefundEvent = { type: 'requested', at, changes };
  const same = order.amount === null || (order.amount === refund.amount && order.currency === refund.currency);
  return same ? [told] : [told, ...attentionTo(refund, 'amount_differs', at)];
}

/** What a person found out at the provider about a refund that nobody could tell the end of. */
export interface Finding {
  readonly outcome: 'succeeded' | 'failed' | 'not_created';
  readonly providerRefundId: string | null;
}

/**
 * A person's word on an unknown outcome, or on a contradiction. It ends the attention; money that is out counts, money that is not gives
 * its room back. A refund that was never created can be tried again, as after any failure.
 */
export function resolve(refund: Refund, found: Finding, at: Date): Result<RefundEvent[], RefundRefusal> {
  const { status, providerRefundId } = refund;
  if (status !== 'outcome_unknown' && refund.attention !== 'contradiction') return err({ code: 'not_resolvable', status });
  const paid = found.outcome === 'succeeded';
  const to = paid ? 'succeeded' : 'failed';
  const changes: Changes = {
    status: to,
    holds: paid ? 'refunded' : 'nothing',
    attention: null,
    outcome: refund.outcome ?? (refund.origin === 'command' ? 'accepted' : null),
    providerRefundId: found.outcome === 'not_created' ? null : (found.providerRefundId ?? providerRefundId),
    failureCode: paid ? null : found.outcome,
    actionRequired: null,
  };
  return ok([
    { type: to, at, changes },
    { type: 'outcome_resolved', at, changes: {} },
  ]);
}

/** What a person has only to know of. Each of the others is ended by a decision: `resolve`, or a word on the approval. */
const acknowledgeable: ReadonlySet<Attention | null> = new Set([
  'amount_differs',
  'late_reversal',
  'provider_refused',
  'unknown_provider_status',
  'operation_parked',
]);

/** A person has seen why the refund asks for attention, and has done what there was to do. Nothing but the attention changes. */
export function acknowledge(refund: Refund, at: Date): Result<RefundEvent[], RefundRefusal> {
  if (!acknowledgeable.has(refund.attention)) return err({ code: 'not_acknowledgeable', status: refund.status });
  return ok([cleared(at)]);
}

/** What had parked its operation is said to be mended: it is tried again, and asks for attention again if it is not. */
export function unpark(refund: Refund, at: Date): RefundEvent[] {
  return refund.attention === 'operation_parked' ? [cleared(at)] : [];
}

const cleared = (at: Date): RefundEvent => ({ type: 'attention_cleared', at, changes: { attention: null } });
