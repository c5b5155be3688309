/* One operation's turn: how its answer ends it, or when it comes back. */
import type { Cause, Disposition } from '#application/kept';
import { isBegunFirst, isOpen, searchOf, type Operation, type Refusal } from '#application/operations';
import { nextSweep } from '#application/sweeps';
import type { WorkingSet } from '#application/working-set';
import { attentionTo } from '#domain/dispute/dispute';
import type { NoAnswer } from '#domain/ports/refund-provider';
import type { Attention, Refund } from '#domain/refund/refund';

/** One operation's own columns, steered only by who still holds it: a late answer is believed, but moves no operation that was taken over. */
export class Turn {
  readonly cause: Cause;
  /** Whether this worker still steers the operation. */
  readonly held: boolean;

  constructor(
    private readonly set: WorkingSet,
    readonly operation: Operation,
    fence: bigint,
    private readonly chance: () => number,
  ) {
    this.cause = { causationId: operation.id };
    this.held = operation.fence === fence;
  }

  done(result: string): void {
    if (this.set.operation(this.operation.id)?.state === 'done') return this.change({ leaseUntil: null });
    // Asked for once more while this reading was under way: what it saw may be older than the question.
    if (this.operation.again) return this.change({ again: false, leaseUntil: null, runAt: this.set.now, result });
    this.change({ state: 'done', doneAt: this.set.now, leaseUntil: null, result });
  }

  again(delayMs: number, result: string): void {
    const later = this.operation.again ? this.set.now : new Date(this.set.now.getTime() + delayMs);
    this.change({ again: false, leaseUntil: null, runAt: later, result });
  }

  /**
   * Half a second doubling to five minutes, with the last third left to chance so that what failed together does not return together.
   */
  later(result: string): void {
    const delay = Math.min(300 * second, 500 * 2 ** Math.min(this.operation.tries, 12));
    this.again(delay * (0.67 + this.chance() * 0.33), result);
  }

  noAnswer(answer: NoAnswer): void {
    if (answer.kind === 'later' && answer.limit !== 'rate') return this.later(answer.why);
    this.notBegun();
    if (answer.kind === 'parked') return this.park(answer.why, 'operation_parked');
    // How fast to come back after a limit is the limiter's affair, for the account as a whole.
    this.again(second * (0.5 + this.chance()), answer.why);
  }

  /** Nothing was sent, for want of a look before. */
  unsent(why: string): void {
    this.notBegun();
    this.later(why);
  }

  /** Nothing was done with the key; where no earlier send is in doubt, its life has not begun. */
  private notBegun(): void {
    const { firstSentAt, lastSentAt, kind } = this.operation;
    if (isBegunFirst(kind) && firstSentAt?.getTime() === lastSentAt?.getTime()) this.change({ firstSentAt: null });
  }

  /** Nothing is sent under its key any more: the same operation looks for what became of it. */
  findOut(why: string, delayMs: number): void {
    if (this.operation.kind === 'refund.send') this.turnInto({ result: why, runAt: this.set.later(delayMs) });
  }

  /** The provider saw less room than we did: the payment is read, and what it then shows decides. */
  judgeAgain(refusal: Refusal): void {
    if (this.operation.kind === 'refund.send') this.turnInto({ result: refusal.code, refusal, runAt: this.set.now });
  }

  lookAgain(listings: number, delayMs: number): void {
    this.change({ listings });
    this.again(delayMs, `looked for, and not found ${listings} times since its key is over`);
  }

  leaveToAPerson(why: string): void {
    this.park(why, 'outcome_unknown');
  }

  /** A page that cannot be had time and again may begin where nothing is any more: the walk begins anew. */
  unread(why: string): void {
    const { sweep, tries } = this.operation;
    if (sweep !== null && tries % triesBeforeAPersonLooks === 0) this.change({ sweep: { ...sweep, after: null } });
    this.later(why);
  }

  /** The next page now; after the last one the next sweep, from a little before this one began. */
  swept(next: string | null): void {
    const { sweep, target } = this.operation;
    if (sweep === null || !this.held) return;
    if (next !== null) {
      this.change({ sweep: { ...sweep, after: next }, tries: 0 });
      return this.again(0, 'under way');
    }
    const following = nextSweep(target, sweep, this.set.now);
    this.change({ sweep: following, tries: 0 });
    this.again(Date.parse(following.begunAt) - this.set.now.getTime(), 'through');
  }

  private turnInto(change: Partial<Operation>): void {
    const refund = this.set.kept(this.operation.target).refund;
    this.change({ ...searchOf(this.set.payment(refund.paymentKey)), ...change });
  }

  private park(why: string, attention: Attention): void {
    if (!this.held || !isOpen(this.operation)) return;
    this.change({ state: 'parked', leaseUntil: null, result: why });
    const { refundId, disputeId, lane } = this.operation;
    const refund = refundId === null || lane === null ? undefined : this.set.refund(refundId);
    if (refund !== undefined) askAPerson(this.set, refund, attention, this.cause);
    const dispute = disputeId === null || lane === null ? undefined : this.set.disputes.get(disputeId);
    if (dispute?.attention === null) {
      this.set.disputes.record(dispute.id, attentionTo(dispute, 'operation_parked', this.set.now), this.cause);
    }
  }

  /** Deliveries that waited for this reading. When it is to be repeated, or was taken over, the next one disposes of them. */
  dispose(disposition: Disposition, detail: string, refundId: string | null, disputeId: string | null = null): void {
    const operationId = this.operation.id;
    if (this.held && !this.operation.again) this.set.disposeAnswered({ operationId, disposition, detail, refundId, disputeId });
  }

  /** What a notice is about is not there for us; of a refund that we know that is news. */
  disposeAbsent(foreign: string | undefined, absent: string, refundId: string | null): void {
    if (foreign !== undefined) this.dispose('foreign', foreign, refundId);
    else this.dispose(refundId === null ? 'unknown' : 'applied', absent, refundId);
  }

  /** Columns of its own that the decision it sends has changed. */
  carryOn(change: Pick<Operation, 'key' | 'attempt'>): void {
    this.change(change);
  }

  private change(change: Partial<Operation>): void {
    if (this.held) this.set.changeOperation(this.operation.id, change);
  }
}

const second = 1_000;

/** Some two minutes. What nobody can tell by then is tried on, and shown to a person as well. */
export const triesBeforeAPersonLooks = 8;

/** Says why a person should look, unless something says so already. */
export function askAPerson(set: WorkingSet, refund: Refund, attention: Attention, cause: Cause): void {
  if (refund.attention !== null) return;
  set.record(refund.id, [{ type: 'attention_needed', at: set.now, changes: { attention } }], cause);
}
