/*
 * What a provider answered, however it was asked, becomes reports, and reports go through the one decision. The operation ends or runs
 * again in the same transaction, so that after a crash at any line either both happened or neither did.
 */
import { addPaymentRead, addRefundRead, admitWaiting } from '#application/admission';
import type { Book, Cause, Disposition, KeptCall, PaymentName, ProviderRefundName, Want, WorkingSet } from '#application/book';
import { discoveredId, paymentName } from '#application/names';
import { isOpen, priorities, type Claimed, type Operation } from '#application/operations';
import type { Providers } from '#application/providers';
import type { FoundRefund, NoAnswer, PaymentAnswer, ReadAnswer, SendAnswer } from '#domain/ports/refund-provider';
import { recordAbsence, recordFacts, type Payment } from '#domain/payment/payment';
import { discovered, recordReport, type Attention, type Refund, type RefundReport } from '#domain/refund/refund';

/** An operation's call that has come back, or has not in time. */
export type Answered = { readonly claimed: Claimed; readonly calls: readonly KeptCall[] } & (
  | { readonly kind: 'refund.send'; readonly answer: SendAnswer }
  | { readonly kind: 'refund.read'; readonly answer: ReadAnswer }
  | { readonly kind: 'payment.read'; readonly answer: PaymentAnswer }
);

export class RecordAnswers {
  constructor(
    private readonly book: Book,
    private readonly providers: Providers,
    private readonly chance: () => number = Math.random,
  ) {}

  async record(answers: readonly Answered[]): Promise<void> {
    await this.book.transact(this.wantFor(answers), (set) => {
      for (const answered of answers) this.recordOne(set, answered);
    });
  }

  private wantFor(answers: readonly Answered[]): Want {
    const payments: PaymentName[] = [];
    const aliases: PaymentName[] = [];
    const refunds: string[] = [];
    const providerRefunds: ProviderRefundName[] = [];
    for (const { claimed, kind, answer } of answers) {
      const { account, provider, target, refundId } = claimed.operation;
      if (refundId !== null) refunds.push(refundId);
      const want = (found: FoundRefund) => {
        if (found.refundId !== null) refunds.push(found.refundId);
        const id = found.report.providerRefundId;
        if (id !== null) providerRefunds.push({ account, provider, id });
      };
      const name = (payment: string) => paymentName(this.providers, account, provider, payment);
      if (kind === 'payment.read') {
        payments.push(name(target));
        if (answer.kind !== 'found') continue;
        payments.push(name(answer.facts.name));
        aliases.push(...answer.facts.aliases.map(name));
        answer.refunds.forEach(want);
      } else if (kind === 'refund.read') {
        providerRefunds.push({ account, provider, id: target });
        if (answer.kind !== 'found') continue;
        want(answer.refund);
        if (answer.payment !== null) payments.push(name(answer.payment));
      } else if (answer.kind === 'report' && answer.report.providerRefundId !== null) {
        providerRefunds.push({ account, provider, id: answer.report.providerRefundId });
      }
    }
    const operations = answers.map(({ claimed }) => claimed.operation.id);
    return { payments, aliases, refunds, providerRefunds, operations, waiting: true };
  }

  private recordOne(set: WorkingSet, answered: Answered): void {
    set.addCalls(answered.calls);
    const operation = set.operation(answered.claimed.operation.id);
    if (operation === undefined) throw new Error(`operation ${answered.claimed.operation.id} was not loaded`);
    const turn = new Turn(set, operation, answered.claimed.operation.fence, this.chance);
    switch (answered.kind) {
      case 'refund.send':
        return this.sent(set, turn, answered.answer);
      case 'refund.read':
        return this.read(set, turn, answered.answer);
      case 'payment.read':
        return this.paymentRead(set, turn, answered.answer);
    }
  }

  private sent(set: WorkingSet, turn: Turn, answer: SendAnswer): void {
    const { operation, cause } = turn;
    if (answer.kind !== 'report') return turn.noAnswer(answer);
    const before = set.kept(operation.target).refund;
    const after = this.believe(set, before, answer.report, cause);
    if (answer.report.says === 'unknown') {
      if (operation.tries >= triesBeforeAPersonLooks) askAPerson(set, after, 'outcome_unknown', cause);
      return turn.later('unknown');
    }
    turn.done(answer.report.says);
    followUp(set, after);
  }

  private read(set: WorkingSet, turn: Turn, answer: ReadAnswer): void {
    const { operation, cause } = turn;
    const { account, provider, target } = operation;
    if (answer.kind === 'later' || answer.kind === 'parked') return turn.noAnswer(answer);
    if (answer.kind === 'unread') return turn.later(answer.why);
    if (answer.kind === 'absent') {
      const known = set.refundCalled({ account, provider, id: target });
      if (known !== undefined) this.believe(set, known, absent(known, answer.at), cause);
      turn.disposeAbsent(answer.foreign, 'the provider has no such refund', known?.id ?? null);
      return turn.done('absent');
    }
    const known = this.ours(set, account, provider, answer.refund);
    const payment = known !== undefined ? set.payment(known.paymentKey) : this.paymentOf(set, account, provider, answer.payment);
    if (payment === null) {
      turn.dispose('unknown', 'the provider names no payment for it', null);
      return turn.done('of an unknown payment');
    }
    const refund = this.take(set, payment, answer.refund, cause);
    // Found at a payment that was never looked at: what was captured, and what else went back, is not known yet.
    if (payment.readAt === null) addPaymentRead(set, payment);
    const now = set.kept(refund.id).refund;
    turn.dispose(refund.changed ? 'applied' : 'stale', `read at the provider: ${seen(answer.refund.report)}`, refund.id);
    if (isOpenAtProvider(now)) return turn.again(pollDelay(now, set.now), now.status);
    turn.done(answer.refund.report.says);
  }

  private paymentRead(set: WorkingSet, turn: Turn, answer: PaymentAnswer): void {
    const { operation, cause } = turn;
    const { account, provider, target } = operation;
    if (answer.kind === 'later' || answer.kind === 'parked') return turn.noAnswer(answer);
    if (answer.kind === 'unread') return turn.later(answer.why);
    const heard = set.paymentCalled({ account, provider, name: target });
    if (answer.kind === 'absent') {
      set.setPayment(recordAbsence(heard, answer.at));
      admitWaiting(set, heard.key, cause, this.providers);
      turn.disposeAbsent(answer.foreign, 'the provider has no such payment', null);
      return turn.done('absent');
    }
    const { facts } = answer;
    const own = paymentName(this.providers, account, provider, facts.name);
    const payment = set.settle(heard, own, facts.aliases);
    set.setPayment(recordFacts(payment, facts));
    let changed = payment.captured !== facts.captured || payment.refusal?.code !== facts.refusal?.code;
    for (const found of answer.refunds) changed = this.take(set, set.payment(payment.key), found, cause).changed || changed;
    admitWaiting(set, payment.key, cause, this.providers);
    turn.dispose(changed ? 'applied' : 'stale', `the payment was read${changed ? '' : ', and is as it was known'}`, null);
    turn.done('found');
  }

  /** A refund as the provider has it: ours by its metadata or id, or else somebody else's, which counts all the same. */
  private take(set: WorkingSet, payment: Payment, found: FoundRefund, cause: Cause): { id: string; changed: boolean } {
    const known = this.ours(set, payment.account, payment.provider, found);
    if (known !== undefined) {
      const after = this.believe(set, known, found.report, cause);
      followUp(set, after);
      return { id: known.id, changed: after !== known };
    }
    const providerRefundId = found.report.providerRefundId;
    if (providerRefundId === null) throw new Error(`a refund of payment ${payment.name} was found without an id`);
    const { account, provider } = payment;
    const id = discoveredId(account, provider, providerRefundId);
    const refund = discovered(
      { id, account, provider, paymentKey: payment.key, namedPayment: payment.name, report: found.report },
      set.now,
    );
    set.addRefund(refund, null, cause);
    followUp(set, refund);
    return { id, changed: true };
  }

  private ours(set: WorkingSet, account: string, provider: string, found: FoundRefund): Refund | undefined {
    const named = found.refundId === null ? undefined : set.refund(found.refundId);
    if (named?.account === account && named.provider === provider) return named;
    const id = found.report.providerRefundId;
    return id === null ? undefined : set.refundCalled({ account, provider, id });
  }

  private paymentOf(set: WorkingSet, account: string, provider: string, name: string | null): Payment | null {
    return name === null ? null : set.paymentCalled({ account, provider, name });
  }

  private believe(set: WorkingSet, refund: Refund, report: RefundReport, cause: Cause): Refund {
    const after = set.record(refund.id, recordReport(refund, report), cause);
    // What the provider has, or what has ended, must not be sent again: the key may be forgotten by then.
    const sendable = after.status === 'approved' || after.status === 'submitted' || after.status === 'outcome_unknown';
    for (const send of set.openOperations(refund.id)) {
      if (send.kind === 'refund.send' && !sendable)
        set.changeOperation(send.id, { state: 'done', doneAt: set.now, result: report.says });
    }
    return after;
  }
}

/** One operation's own columns, steered only by who still holds it: a late answer is believed, but moves no operation that was taken over. */
class Turn {
  readonly cause: Cause;
  private readonly held: boolean;

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
    if (answer.kind === 'later') return this.later(answer.why);
    if (!this.held || !isOpen(this.operation)) return;
    this.change({ state: 'parked', leaseUntil: null, result: answer.why });
    const { refundId, kind } = this.operation;
    const refund = refundId === null || kind !== 'refund.send' ? undefined : this.set.refund(refundId);
    if (refund !== undefined) askAPerson(this.set, refund, 'operation_parked', this.cause);
  }

  /** Deliveries that waited for this reading. When it is to be repeated, or was taken over, the next one disposes of them. */
  dispose(disposition: Disposition, detail: string, refundId: string | null): void {
    const operationId = this.operation.id;
    if (this.held && !this.operation.again) this.set.disposeAnswered({ operationId, disposition, detail, refundId });
  }

  /** What a notice is about is not there for us; of a refund that we know that is news. */
  disposeAbsent(foreign: string | undefined, absent: string, refundId: string | null): void {
    if (foreign !== undefined) this.dispose('foreign', foreign, refundId);
    else this.dispose(refundId === null ? 'unknown' : 'applied', absent, refundId);
  }

  private change(change: Partial<Operation>): void {
    if (this.held) this.set.changeOperation(this.operation.id, change);
  }
}

const second = 1_000;
const hour = 3_600 * second;

/** Some two minutes. What nobody can tell by then is tried on, and shown to a person as well. */
const triesBeforeAPersonLooks = 8;

/** Says why a person should look, unless something says so already. */
export function askAPerson(set: WorkingSet, refund: Refund, attention: Attention, cause: Cause): void {
  if (refund.attention !== null) return;
  set.record(refund.id, [{ type: 'attention_needed', at: set.now, changes: { attention } }], cause);
}

const isOpenAtProvider = (refund: Refund) =>
  refund.providerRefundId !== null && (refund.status === 'pending' || refund.status === 'requires_action');

/** A refund that the provider has not finished is polled, in case its webhook is lost: soon at first, then ever more slowly. */
function pollDelay(refund: Refund, now: Date): number {
  const age = now.getTime() - refund.updatedAt.getTime();
  return Math.min(6 * hour, Math.max(15 * second, age));
}

function followUp(set: WorkingSet, refund: Refund): void {
  if (!isOpenAtProvider(refund) || refund.providerRefundId === null) return;
  const { account, provider, providerRefundId, id: refundId, paymentKey } = refund;
  const runAt = new Date(set.now.getTime() + pollDelay(refund, set.now));
  addRefundRead(set, { account, provider, providerRefundId, refundId, paymentKey }, runAt, priorities.poll);
}

const seen = ({ says, providerStatus }: RefundReport) => providerStatus ?? says;

function absent(refund: Refund, at: Date): RefundReport {
  const { attempt, providerRefundId } = refund;
  const nothing = {
    providerStatus: null,
    amount: null,
    currency: null,
    pendingReason: null,
    failureCode: null,
    bankReference: null,
    refusal: null,
  };
  return { says: 'absent', attempt, providerRefundId, ...nothing, at };
}
