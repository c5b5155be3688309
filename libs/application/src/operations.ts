import type { Scope } from '#application/sending';
import type { Dispute } from '#domain/dispute/dispute';
import type { Draft, Packet } from '#domain/dispute/evidence';
import type { Payment } from '#domain/payment/payment';
import type { CallLimits } from '#domain/ports/refund-provider';
import type { Refund, RefundReport } from '#domain/refund/refund';

/**
 * `refund.send` moves money. A send that must not be repeated becomes `refund.find`: it keeps its lane, and reads what became of its
 * attempt. Of a dispute, `evidence.upload` and `evidence.stage` prepare what `dispute.submit` and `dispute.accept` then do once and for
 * all; all four stand in the dispute's lane. The others only look; lists are sweeps over an account. Each kind is one endpoint at its
 * provider, or has its share of one.
 */
export const operationKinds = [
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
export type OperationKind = (typeof operationKinds)[number];

/**
 * One thing to send to or read from a provider: evidence, recovery point and queue in a row. The refunds of one payment stand in one lane,
 * and what is sent about one dispute in another; each goes one at a time. Reads have no lane and are coalesced by what they read.
 */
export interface Operation {
  readonly id: string;
  readonly account: string;
  readonly provider: string;
  readonly kind: OperationKind;
  /** What is sent or read: our refund's, dispute's or file's id; the provider's id of a refund, dispute or warning; the payment's name; or which sweep. */
  readonly target: string;
  readonly refundId: string | null;
  readonly disputeId: string | null;
  readonly paymentKey: string | null;
  readonly lane: string | null;
  /** First of its lane; only heads are claimed. Always true outside lanes. */
  readonly head: boolean;
  /** The idempotency key, stored before its first use. */
  readonly key: string | null;
  /** The attempt of the refund or the decision that this sends. */
  readonly attempt: number;
  /** Calls begun. */
  readonly tries: number;
  readonly firstSentAt: Date | null;
  readonly lastSentAt: Date | null;
  readonly runAt: Date;
  /** Lower goes first: see `priorities`. */
  readonly priority: number;
  readonly state: 'open' | 'parked' | 'done' | 'dropped';
  /** Asked for again while a reading was under way, so that one reading is not enough. */
  readonly again: boolean;
  /** Complete lists in which a lost attempt was looked for in vain, since its key can no longer be used. */
  readonly listings: number;
  /** The provider's no that is to be judged again with fresh facts. */
  readonly refusal: Refusal | null;
  /** How far a sweep has come. */
  readonly sweep: Sweep | null;
  /** How it ended or why it waits, in a word and a sentence. */
  readonly result: string | null;
  /** Rises with every claim; who holds an older one may no longer steer the operation. */
  readonly fence: bigint;
  readonly leaseUntil: Date | null;
  readonly createdAt: Date;
  readonly doneAt: Date | null;
}

export type Refusal = NonNullable<RefundReport['refusal']>;

/** A walk over an account's refunds made since then. Times are RFC 3339. */
export interface Sweep {
  readonly since: string;
  readonly begunAt: string;
  /** Where the next page begins; null at the first. */
  readonly after: string | null;
}

/** What cannot be undone: its beginning is committed on its own before the provider hears of it. */
export const isBegunFirst = (kind: OperationKind): boolean =>
  kind === 'refund.send' || kind === 'dispute.submit' || kind === 'dispute.accept';

/** Whether it is still to be done, be it after a person has mended what keeps it. */
export const isOpen = (operation: Operation): boolean => operation.state === 'open' || operation.state === 'parked';

/** Why a send waits whose payment was not read for so long that it may hide an earlier one. */
export const readFirst = 'its payment is read first';

/** What turns a send that must not be repeated into the search for what became of it. */
export const searchOf = (payment: Payment) =>
  ({ kind: 'refund.find', target: payment.name, leaseUntil: null, priority: priorities.waitingRead }) as const;

/** Who goes first when more is due than can be called: what has a deadline, then sends, what waits for an answer, and polls. */
export const priorities = { due: 5, send: 10, waitingRead: 20, noticeRead: 30, poll: 40 } as const;

/** An operation whose call has begun; with what it sends as that stood then. */
export interface Claimed {
  readonly operation: Operation;
  readonly refund: Refund | null;
  readonly payment: Payment | null;
  /** Of an operation about a dispute: its evidence is the packet where it submits, else the draft. */
  readonly dispute: Dispute | null;
  readonly evidence: Packet | Draft | null;
}

export interface ParkedOperation extends Pick<Operation, 'id' | 'refundId' | 'disputeId'> {
  readonly ordinal: bigint;
}

/** An operation that was claimed, and how soon it may be called. */
export interface Due extends Operation {
  readonly inMs: number;
}

/** What shares one limit of its own: the operations of one kind for one account. */
export type Endpoint = Pick<Operation, 'account' | 'provider' | 'kind'>;

export interface AccountLimits extends CallLimits {
  readonly account: string;
  readonly provider: string;
  /** What its provider can be asked; everything, if not said. */
  readonly kinds?: readonly OperationKind[];
}

/** What is asked of a provider that has no disputes. */
export const refundKinds: readonly OperationKind[] = [
  'refund.send',
  'refund.find',
  'refund.read',
  'payment.read',
  'refunds.list',
];

/** What an operation's requests met with, as far as it concerns the limiter. */
export interface Met {
  /** Requests that a limiter of the provider's turned away. */
  readonly limited: number;
  /** Requests that found their object locked: no limit, and no reason to be slower. */
  readonly locked: number;
  /** Requests beside the one that was claimed, such as further pages. */
  readonly more: number;
}

/**
 * How calls are spread, in real time: pacing has nothing to do with the clock that leases and events go by, and which tests move.
 * docs/decisions/0013 says why these.
 */
export const pacing = {
  /** Calls are given out this far ahead, each with its moment. */
  aheadMs: 400,
  /** This much of what was not used may be caught up at once. */
  burstMs: 200,
  /** What is left of the rate after a limiter of the provider's has spoken, at most once per `deafMs`: what was under way is no news. */
  slower: 0.85,
  deafMs: 1_000,
  slowest: 0.05,
  /** This part of the full rate comes back with each second. */
  recovery: 0.03,
  /** A kind of operation that got nothing while its account made so many calls is served once before the more urgent. */
  patience: 10,
} as const;

/**
 * The queue side of the operations table, and the limiter in front of the providers, which all workers share. Claiming takes no other
 * locks than the limits and the rows themselves, and skips what others hold.
 */
export abstract class OperationQueue {
  /** Sets how often accounts may be called. What belongs to no such account is not held up. */
  abstract limit(accounts: readonly AccountLimits[]): Promise<void>;
  /**
   * Takes up to `limit` due heads for `leaseMs`, by the database's clock, and only as many as may be called soon. Accounts share a round
   * evenly; within an account goes first what is urgent. `full` is left out, and so are sends that a pause covers. Readings are counted as
   * begun with that.
   */
  abstract claim(limit: number, leaseMs: number, full?: readonly Endpoint[]): Promise<Due[]>;
  /** Slows an endpoint down where a limiter has spoken, and counts what else its calls met with. */
  abstract meet(endpoint: Endpoint, met: Met): Promise<void>;
  /** Keeps what is still in flight; what was taken over meanwhile is not renewed. */
  abstract renew(held: readonly { id: string; fence: bigint }[], leaseMs: number): Promise<void>;
  /** Hands back what was claimed and not begun. */
  abstract release(held: readonly { id: string; fence: bigint }[]): Promise<void>;
  /** Parked operations in order of arrival, behind `after`. */
  abstract parked(scope: Scope, after: bigint, limit: number): Promise<ParkedOperation[]>;
}
