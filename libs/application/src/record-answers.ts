/*
 * What a provider answered, however it was asked, becomes reports, and reports go through the one decision. The operation ends or runs
 * again in the same transaction, so that after a crash at any line either both happened or neither did.
 */
import { addPaymentRead, addRefundRead, addSend, admitWaiting } from '#application/admission';
import type { Book } from '#application/book';
import type { Cause, KeptCall, PaymentName, ProviderDisputeName, ProviderRefundName, Want } from '#application/kept';
import { resumeAfterSweep, wantAfterSweep } from '#application/restore-watch';
import type { WorkingSet } from '#application/working-set';
import { discoveredId, disputeId, isRefundId, paymentName } from '#application/names';
import { priorities, readFirst, type Claimed } from '#application/operations';
import { RecordDisputes, type DisputeAnswered } from '#application/record-disputes';
import { askAPerson, triesBeforeAPersonLooks, Turn } from '#application/turn';
import type { Providers } from '#application/providers';
import type { ListAnswer } from '#domain/ports/refund-list';
import type { FoundRefund, PaymentAnswer, ReadAnswer, SendAnswer } from '#domain/ports/refund-provider';
import type { DisputeTerms } from '#domain/dispute/dispute';
import { recordAbsence, recordFacts, room, type Payment } from '#domain/payment/payment';
import { discovered, isKnown, recordReport, startOver, type Refund, type RefundReport } from '#domain/refund/refund';

/** An operation's call that has come back, or has not in time. */
export type Answered = { readonly claimed: Claimed; readonly calls: readonly KeptCall[] } & (RefundAnswered | DisputeAnswered);

type RefundAnswered =
  | { readonly kind: 'refund.send'; readonly answer: SendAnswer }
  | { readonly kind: 'refund.read'; readonly answer: ReadAnswer }
  | { readonly kind: 'payment.read' | 'refund.find'; readonly answer: PaymentAnswer }
  | { readonly kind: 'refunds.list'; readonly answer: ListAnswer };

const isAboutDispute = (answered: Answered): answered is Answered & DisputeAnswered => disputeKinds.has(answered.kind);
const disputeKinds: ReadonlySet<Answered['kind']> = new Set<DisputeAnswered['kind']>([
  'dispute.read',
  'disputes.list',
  'warning.read',
  'evidence.upload',
  'evidence.stage',
  'dispute.submit',
  'dispute.accept',
]);

export class RecordAnswers {
  private readonly disputes: RecordDisputes;

  constructor(
    private readonly book: Book,
    private readonly providers: Providers,
    terms: DisputeTerms,
    private readonly chance: () => number = Math.random,
  ) {
    this.disputes = new RecordDisputes(providers, terms);
  }

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
    let afterSweep: Want = {};
    const aboutDisputes = answers.filter(isAboutDispute);
    const providerDisputes: ProviderDisputeName[] = [];
    const evidence: string[] = [];
    let disputesOfPayments: Want['disputesOfPayments'];
    for (const answered of answers) {
      if (isAboutDispute(answered)) continue;
      const { claimed, kind, answer } = answered;
      const { account, provider, target, refundId } = claimed.operation;
      if (refundId !== null) refunds.push(refundId);
      const want = (found: FoundRefund) => {
        if (found.refundId !== null) refunds.push(found.refundId);
        const id = found.report.providerRefundId;
        if (id !== null) providerRefunds.push({ account, provider, id });
      };
      const name = (payment: string) => paymentName(this.providers, account, provider, payment);
      if (kind === 'refunds.list') {
        if (answer.kind !== 'page') continue;
        if (answer.next === null) afterSweep = { ...afterSweep, ...wantAfterSweep(claimed.operation) };
        answer.refunds.forEach(want);
        payments.push(...answer.refunds.flatMap(({ payment }) => (payment === null ? [] : [name(payment)])));
      } else if (kind === 'payment.read' || kind === 'refund.find') {
        payments.push(name(target));
        if (answer.kind !== 'found') continue;
        disputesOfPayments = answer.disputes === undefined ? (disputesOfPayments ?? 'disputed') : 'all';
        payments.push(name(answer.facts.name));
        aliases.push(...answer.facts.aliases.map(name));
        for (const { providerDisputeId: id } of answer.disputes ?? []) {
          providerDisputes.push({ account, provider, id });
          evidence.push(disputeId(account, provider, id));
        }
        payments.push(...(answer.disputes ?? []).flatMap(({ payment }) => (payment === null ? [] : [name(payment)])));
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
    const ofPayments = disputesOfPayments === undefined ? {} : { disputesOfPayments };
    const want: Want = {
      payments,
      aliases,
      refunds,
      providerRefunds,
      operations,
      waiting: true,
      ...afterSweep,
      providerDisputes,
      evidence,
      ...ofPayments,
    };
    if (aboutDisputes.length === 0) return want;
    const more = this.disputes.wantFor(aboutDisputes);
    return {
      ...want,
      ...more,
      payments: [...payments, ...(more.payments ?? [])],
      providerDisputes: [...providerDisputes, ...(more.providerDisputes ?? [])],
      evidence: [...evidence, ...(more.evidence ?? [])],
    };
  }

  private recordOne(set: WorkingSet, answered: Answered): void {
    set.addCalls(answered.calls);
    const operation = set.operation(answered.claimed.operation.id);
    if (operation === undefined) throw new Error(`operation ${answered.claimed.operation.id} was not loaded`);
    const turn = new Turn(set, operation, answered.claimed.operation.fence, this.chance);
    if (isAboutDispute(answered)) return this.disputes.record(set, turn, answered);
    switch (answered.kind) {
      case 'refund.send':
        return this.sent(set, turn, answered.answer);
      case 'refund.read':
        return this.read(set, turn, answered.answer);
      case 'payment.read':
        return this.paymentRead(set, turn, answered.answer);
      case 'refund.find':
        return this.searched(set, turn, answered.answer);
      case 'refunds.list':
        return this.listed(set, turn, answered.answer);
    }
  }

  private sent(set: WorkingSet, turn: Turn, answer: SendAnswer): void {
    const { operation, cause } = turn;
    if (answer.kind === 'later' || answer.kind === 'parked') return turn.noAnswer(answer);
    const before = set.kept(operation.refundId ?? operation.target).refund;
    if (answer.kind === 'spent') {
      this.believe(set, before, unknown(before, set.now), cause);
      // Its webhook is probably on the way. A key that was spent before its first use is a matter for a person at once.
      return turn.findOut(answer.why, operation.tries > 1 ? 5 * minute : 0);
    }
    const { refusal, says } = answer.report;
    const payment = set.payment(before.paymentKey);
    if (refusal !== null && overAmount.has(refusal.code) && before.attempt === 1 && payment.basis === 'provider') {
      return turn.judgeAgain(refusal);
    }
    const after = this.believe(set, before, answer.report, cause);
    // A dispute that we have not heard of yet.
    if (refusal?.code === 'payment_disputed') addPaymentRead(set, payment);
    if (says === 'unknown') {
      if (operation.tries >= triesBeforeAPersonLooks) askAPerson(set, after, 'outcome_unknown', cause);
      // The same key may bring the same broken answer for a day (a saved 500), while the payment's list shows what there is.
      if (operation.tries > 1 && payment.basis === 'provider') addPaymentRead(set, payment);
      return turn.later('unknown');
    }
    turn.done(says);
    this.followUp(set, after);
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
    turn.dispose(refund.changed ? 'applied' : 'stale', `read at the provider: ${seen(answer.refund.report)}`, refund.id);
    const now = set.kept(refund.id).refund;
    const delay = this.lookAgainIn(now, set.now);
    if (delay !== null) return turn.again(delay, now.status);
    turn.done(answer.refund.report.says);
  }

  private paymentRead(set: WorkingSet, turn: Turn, answer: PaymentAnswer): void {
    if (answer.kind === 'later' || answer.kind === 'parked') return turn.noAnswer(answer);
    if (answer.kind === 'unread') return turn.later(answer.why);
    const { changed } = this.readInto(set, turn, answer);
    if (answer.kind === 'absent') turn.disposeAbsent(answer.foreign, 'the provider has no such payment', null);
    else turn.dispose(changed ? 'applied' : 'stale', `the payment was read${changed ? '' : ', and is as it was known'}`, null);
    turn.done(answer.kind);
  }

  /** What a reading shows of a payment and its refunds; then whoever waited for it is decided. */
  private readInto(set: WorkingSet, turn: Turn, answer: Read): { payment: Payment; changed: boolean } {
    const { operation, cause } = turn;
    const { account, provider, target } = operation;
    const heard = set.paymentCalled({ account, provider, name: target });
    if (answer.kind === 'absent') {
      set.setPayment(recordAbsence(heard, answer.at));
      admitWaiting(set, heard.key, cause, this.providers);
      return { payment: set.payment(heard.key), changed: true };
    }
    const { facts } = answer;
    const payment = set.settle(heard, paymentName(this.providers, account, provider, facts.name), facts.aliases);
    set.setPayment(recordFacts(payment, facts));
    let changed = payment.captured !== facts.captured || payment.refusal?.code !== facts.refusal?.code;
    for (const found of answer.refunds) changed = this.take(set, set.payment(payment.key), found, cause).changed || changed;
    for (const report of answer.disputes ?? []) this.disputes.take(set, account, provider, report, cause);
    this.disputes.paymentRead(set, payment, changed, cause);
    admitWaiting(set, payment.key, cause, this.providers);
    const next = set.headOf(`refunds:${payment.key}`);
    if (next?.result === readFirst) set.changeOperation(next.id, { runAt: set.now });
    return { payment: set.payment(payment.key), changed };
  }

  /**
   * A reading for an attempt that must not be sent again. What it shows is believed. What it does not show proves the attempt was without
   * effect when the provider had refused it, or when its key is over and several complete lists, some time apart, have nothing of it.
   */
  private searched(set: WorkingSet, turn: Turn, answer: PaymentAnswer): void {
    const { operation, cause } = turn;
    if (answer.kind === 'later' || answer.kind === 'parked') return turn.noAnswer(answer);
    if (answer.kind === 'unread') return turn.later(answer.why);
    const { payment } = this.readInto(set, turn, answer);
    const refund = set.kept(operation.refundId ?? '').refund;
    const lost = refund.status === 'submitted' || refund.status === 'outcome_unknown';
    if (!lost || refund.attempt !== operation.attempt) return turn.done(refund.status);
    if (refund.attention === 'contradiction') return turn.leaveToAPerson('another attempt of it shows money');
    const { refusal } = operation;
    if (refusal !== null) {
      turn.done(refusal.code);
      if (answer.kind === 'found' && room(payment) >= 0n && payment.refusal === null) return this.sendAnew(set, turn, refund);
      this.believe(set, refund, { ...unknown(refund, set.now), says: 'refused', refusal }, cause);
      return;
    }
    if (answer.kind === 'absent' || answer.facts.basis !== 'provider') {
      const isListed = this.providers.listOf(operation.account, operation.provider) !== undefined;
      return turn.leaveToAPerson(isListed ? 'the payment is not there any more' : 'nothing can be listed that would show it');
    }
    const keyLifeMs = this.providers.refundsOf(operation.account, operation.provider)?.keyLifeMs ?? Number.POSITIVE_INFINITY;
    const isOver = set.now.getTime() - (operation.firstSentAt ?? set.now).getTime() > keyLifeMs + hour;
    const listings = operation.listings + (isOver ? 1 : 0);
    if (listings < listingsThatProve) return turn.lookAgain(listings, 10 * minute);
    turn.done(`${listings} complete lists do not show it`);
    this.sendAnew(set, turn, refund);
  }

  /** Not for a worker whose operation was taken over: whoever holds it does so. */
  private sendAnew(set: WorkingSet, turn: Turn, refund: Refund): void {
    if (!turn.held) return;
    set.record(refund.id, startOver(refund, set.now), turn.cause);
    addSend(set, refund.id);
  }

  /** A page of the sweep. What we know of is believed at once; for what we do not, its whole payment is read. */
  private listed(set: WorkingSet, turn: Turn, answer: ListAnswer): void {
    const { operation, cause } = turn;
    const { account, provider } = operation;
    if (answer.kind === 'later' || answer.kind === 'parked') return turn.noAnswer(answer);
    if (answer.kind === 'unread') return turn.unread(answer.why);
    for (const found of answer.refunds) {
      const known = this.ours(set, account, provider, found);
      if (known === undefined) {
        const payment = this.paymentOf(set, account, provider, found.payment);
        if (payment !== null) addPaymentRead(set, payment);
      } else if (!isKnown(known, found.report)) {
        this.followUp(set, this.believe(set, known, found.report, cause));
      }
    }
    if (answer.next === null && turn.held) resumeAfterSweep(set, operation);
    turn.swept(answer.next);
  }

  /** A refund as the provider has it: ours by its metadata or id, or else somebody else's, which counts all the same. */
  private take(set: WorkingSet, payment: Payment, found: FoundRefund, cause: Cause): { id: string; changed: boolean } {
    const known = this.ours(set, payment.account, payment.provider, found);
    if (known !== undefined) {
      const after = this.believe(set, known, found.report, cause);
      this.followUp(set, after);
      return { id: known.id, changed: after !== known };
    }
    const providerRefundId = found.report.providerRefundId;
    if (providerRefundId === null) throw new Error(`a refund of payment ${payment.name} was found without an id`);
    const { account, provider } = payment;
    // One that names ours may be ours from before a restore: the command will come again, and must find it under the id it makes.
    const id =
      found.refundId !== null && isRefundId(found.refundId) ? found.refundId : discoveredId(account, provider, providerRefundId);
    const refund = discovered(
      { id, account, provider, paymentKey: payment.key, namedPayment: payment.name, report: found.report },
      set.now,
    );
    set.addRefund(refund, null, cause);
    this.followUp(set, refund);
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
      if (send.lane !== null && !sendable) set.changeOperation(send.id, { state: 'done', doneAt: set.now, result: report.says });
    }
    return after;
  }

  private followUp(set: WorkingSet, refund: Refund): void {
    const delay = this.lookAgainIn(refund, set.now);
    if (delay === null || refund.providerRefundId === null) return;
    const { account, provider, providerRefundId, id: refundId, paymentKey } = refund;
    const runAt = new Date(set.now.getTime() + delay);
    addRefundRead(set, { account, provider, providerRefundId, refundId, paymentKey }, runAt, priorities.poll);
  }

  /**
   * When a refund is to be read again in case a webhook is lost: soon at first, then ever more slowly, while the provider has not finished.
   * One that has succeeded can still come back for a month; the sweep sees that where refunds can be listed, elsewhere it is read by its id.
   */
  private lookAgainIn(refund: Refund, now: Date): number | null {
    if (refund.providerRefundId === null) return null;
    const age = now.getTime() - refund.updatedAt.getTime();
    if (refund.status === 'pending' || refund.status === 'requires_action') return Math.min(6 * hour, Math.max(15 * second, age));
    const isSwept = this.providers.listOf(refund.account, refund.provider) !== undefined;
    return refund.status === 'succeeded' && !isSwept && age < 35 * day ? Math.max(day, age) : null;
  }
}

const second = 1_000;
const minute = 60 * second;
const hour = 60 * minute;
const day = 24 * hour;

/** How many complete lists without an attempt prove that it had no effect. */
const listingsThatProve = 3;

/** The provider saw less to refund than we did. */
const overAmount: ReadonlySet<string> = new Set(['amount_exceeds_available', 'nothing_left_to_refund']);

type Read = Extract<PaymentAnswer, { kind: 'found' | 'absent' }>;

const seen = ({ says, providerStatus }: RefundReport) => providerStatus ?? says;

function absent(refund: Refund, at: Date): RefundReport {
  return { ...unknown(refund, at), says: 'absent', providerRefundId: refund.providerRefundId };
}

/** That nobody can tell what became of the attempt. */
export function unknown(refund: Refund, at: Date): RefundReport {
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
  return { says: 'unknown', attempt, providerRefundId, ...nothing, at };
}
