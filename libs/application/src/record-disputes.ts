/*
 * What a provider answered about disputes, evidence and fraud warnings. As with refunds, every answer becomes a report, and reports go
 * through the one decision; the operation ends or runs again in the same transaction.
 */
import { addPaymentRead } from '#application/admission';
import { addDisputeRead, addStage, decisionKey } from '#application/dispute-operations';
import type { Cause, ProviderDisputeName, Want } from '#application/kept';
import { disputeId, paymentName, warningId } from '#application/names';
import { priorities, type Claimed, type Operation } from '#application/operations';
import type { Providers } from '#application/providers';
import { triesBeforeAPersonLooks, type Turn } from '#application/turn';
import type { WorkingSet } from '#application/working-set';
import {
  attentionTo,
  mayEdit,
  opened,
  recordOvertaken,
  recordRefusal,
  recordReport,
  recordTaken,
  recordUnknown,
  recordUnsent,
  relieve,
  type Dispute,
  type DisputeAttention,
  type DisputeStatus,
  type DisputeReport,
  type DisputeTerms,
} from '#domain/dispute/dispute';
import { edit, emptyDraft, isEmpty, stageable, staged } from '#domain/dispute/evidence';
import { proofOfCredit, type Credit } from '#domain/dispute/proof-of-credit';
import { overdrawn, type Payment } from '#domain/payment/payment';
import type { Refund } from '#domain/refund/refund';
import type {
  DisputeAnswer,
  DisputesAnswer,
  DisputeSendAnswer,
  UploadAnswer,
  WarningAnswer,
} from '#domain/ports/dispute-provider';

/** An answer about a dispute or a warning, by the kind of operation that asked. */
export type DisputeAnswered =
  | { readonly kind: 'dispute.read'; readonly answer: DisputeAnswer }
  | { readonly kind: 'disputes.list'; readonly answer: DisputesAnswer }
  | { readonly kind: 'warning.read'; readonly answer: WarningAnswer }
  | { readonly kind: 'evidence.upload'; readonly answer: UploadAnswer }
  | { readonly kind: 'evidence.stage' | 'dispute.submit' | 'dispute.accept'; readonly answer: DisputeSendAnswer };

export class RecordDisputes {
  constructor(
    private readonly providers: Providers,
    private readonly terms: DisputeTerms,
  ) {}

  /** What recording these needs to see. */
  wantFor(answers: readonly (DisputeAnswered & { readonly claimed: Claimed })[]): Want {
    const disputes = new Set<string>();
    // With these come the readings that are open already.
    const providerDisputes: ProviderDisputeName[] = [];
    const payments = new Map<string, ReturnType<typeof paymentName>>();
    const warnings = new Map<string, { account: string; provider: string; id: string }>();
    for (const answered of answers) {
      const { account, provider, disputeId: about, target } = answered.claimed.operation;
      if (about !== null) disputes.add(about);
      const { answer } = answered;
      if (answered.kind === 'dispute.read') disputes.add(disputeId(account, provider, target));
      if (answered.kind === 'warning.read') warnings.set(`${account}:${provider}:${target}`, { account, provider, id: target });
      if (answered.kind === 'dispute.read') providerDisputes.push({ account, provider, id: target });
      if (answer.kind === 'page') providerDisputes.push(...answer.unread.map((id) => ({ account, provider, id })));
      const reports = 'report' in answer ? [answer.report] : answer.kind === 'page' ? answer.disputes : [];
      for (const { providerDisputeId: id } of reports) {
        disputes.add(disputeId(account, provider, id));
        providerDisputes.push({ account, provider, id });
      }
      const named = [...reports, ...('warning' in answer ? [answer.warning] : [])].flatMap(({ payment }) => payment ?? []);
      for (const name of named)
        payments.set(`${account}:${provider}:${name}`, paymentName(this.providers, account, provider, name));
    }
    const ids = [...disputes];
    return {
      disputes: ids,
      providerDisputes,
      evidence: ids,
      payments: [...payments.values()],
      warnings: [...warnings.values()],
      disputesOfPayments: 'all',
    };
  }

  record(set: WorkingSet, turn: Turn, answered: DisputeAnswered): void {
    switch (answered.kind) {
      case 'dispute.read':
        return this.read(set, turn, answered.answer);
      case 'disputes.list':
        return this.listed(set, turn, answered.answer);
      case 'warning.read':
        return this.warned(set, turn, answered.answer);
      case 'evidence.upload':
        return this.uploaded(set, turn, answered.answer);
      case 'evidence.stage':
        return this.staged(set, turn, answered.answer);
      case 'dispute.submit':
      case 'dispute.accept':
        return this.decided(set, turn, answered.answer);
    }
  }

  /** A dispute as the provider has it; null when it names no payment. */
  take(set: WorkingSet, account: string, provider: string, report: DisputeReport, cause: Cause): Dispute | null {
    const known = set.disputes.called({ account, provider, id: report.providerDisputeId });
    if (known !== undefined) return this.believe(set, known, (dispute) => recordReport(dispute, report, this.terms), cause);
    if (report.payment === null) return null;
    const payment = set.paymentCalled({ account, provider, name: report.payment });
    const id = disputeId(account, provider, report.providerDisputeId);
    const first = opened({ id, account, provider, paymentKey: payment.key, report }, this.terms, set.now);
    set.disputes.setDraft(emptyDraft(id));
    const dispute = set.disputes.add(first.dispute, first.events, cause);
    this.follow(set, null, dispute, payment, cause);
    return set.disputes.kept(id);
  }

  /**
   * The payment's facts are known, or have changed: what its disputes take of it is counted anew. What has gone back meanwhile belongs into
   * the answer to a claim for it, so where there is news the open ones are read again.
   */
  paymentRead(set: WorkingSet, was: Payment, isNews: boolean, cause: Cause): void {
    const paymentKey = was.key;
    set.disputes.recount(paymentKey);
    for (const dispute of set.disputes.ofPayment(paymentKey)) {
      if (was.readAt === null) this.warn(set, null, dispute, was, cause);
      if (!isNews) continue;
      const { account, provider, providerDisputeId, id } = dispute;
      const read = { account, provider, providerDisputeId, disputeId: id, paymentKey };
      if (dispute.status === 'needs_response') addDisputeRead(set, read, set.now, priorities.noticeRead);
    }
  }

  private read(set: WorkingSet, turn: Turn, answer: DisputeAnswer): void {
    const { operation, cause } = turn;
    const { account, provider, target } = operation;
    if (answer.kind === 'later' || answer.kind === 'parked') return turn.noAnswer(answer);
    if (answer.kind === 'unread') return turn.later(answer.why);
    if (answer.kind === 'absent') {
      const known = set.disputes.called({ account, provider, id: target });
      const why = answer.foreign ?? 'the provider has no such dispute';
      turn.dispose(answer.foreign === undefined ? 'unknown' : 'foreign', why, null, known?.id ?? null);
      return turn.done('absent');
    }
    const before = set.disputes.called({ account, provider, id: target });
    const dispute = this.take(set, account, provider, answer.report, cause);
    if (dispute === null) {
      turn.dispose('unknown', 'the provider names no payment for it', null);
      return turn.done('of an unknown payment');
    }
    const changed = before?.version !== dispute.version;
    turn.dispose(changed ? 'applied' : 'stale', `read at the provider: ${answer.report.providerStatus}`, null, dispute.id);
    const delay = lookAgainIn(dispute, set.now);
    if (delay !== null) return turn.again(delay, dispute.status);
    turn.done(dispute.status);
  }

  /** A page of the sweep: all that it shows of a dispute is the dispute, so it is believed at once. */
  private listed(set: WorkingSet, turn: Turn, answer: DisputesAnswer): void {
    const { operation, cause } = turn;
    if (answer.kind === 'later' || answer.kind === 'parked') return turn.noAnswer(answer);
    if (answer.kind === 'unread') return turn.unread(answer.why);
    const { account, provider } = operation;
    for (const report of answer.disputes) this.take(set, account, provider, report, cause);
    for (const providerDisputeId of answer.unread) {
      const read = { account, provider, providerDisputeId, disputeId: null, paymentKey: null };
      addDisputeRead(set, read, set.now, priorities.noticeRead);
    }
    turn.swept(answer.next);
  }

  private warned(set: WorkingSet, turn: Turn, answer: WarningAnswer): void {
    const { operation, cause } = turn;
    const { account, provider } = operation;
    if (answer.kind === 'later' || answer.kind === 'parked') return turn.noAnswer(answer);
    if (answer.kind === 'unread') return turn.later(answer.why);
    if (answer.kind === 'absent' || answer.warning.payment === null) {
      const foreign = answer.kind === 'absent' ? answer.foreign : undefined;
      turn.dispose(
        foreign === undefined ? 'unknown' : 'foreign',
        foreign ?? 'the provider has no such warning of a payment',
        null,
      );
      return turn.done('absent');
    }
    const { warning } = answer;
    const payment = set.paymentCalled({ account, provider, name: warning.payment ?? '' });
    const { providerWarningId, actionable, fraudType, openedAt, at } = warning;
    const known = set.disputes.warning({ account, provider, id: providerWarningId });
    const id = known?.id ?? warningId(account, provider, providerWarningId);
    const isNews = known === undefined || (known.reportedAt <= at && known.actionable !== actionable);
    if (isNews) {
      const kept = { id, account, provider, providerWarningId, paymentKey: payment.key };
      set.disputes.addWarning({ ...kept, actionable, fraudType, openedAt, reportedAt: at }, cause);
      if (payment.readAt === null) addPaymentRead(set, payment);
    }
    turn.dispose(isNews ? 'applied' : 'stale', 'the warning was read at the provider', null);
    turn.done(fraudType);
  }

  private uploaded(set: WorkingSet, turn: Turn, answer: UploadAnswer): void {
    const { operation, cause } = turn;
    if (answer.kind === 'later' || answer.kind === 'parked') return turn.noAnswer(answer);
    const dispute = set.disputes.kept(operation.disputeId ?? '');
    if (answer.kind === 'unknown') {
      // An error that is kept under a key would hold up the answer behind it; a document that is there twice does no harm.
      if (operation.tries % looksBeforeANewKey === 0)
        turn.carryOn({ key: `evidence:${operation.target}:${operation.tries}`, attempt: 1 });
      if (operation.tries >= triesBeforeAPersonLooks && dispute.attention === null) {
        set.disputes.record(dispute.id, attentionTo(dispute, 'document_not_out', set.now), cause);
      }
      return turn.later(answer.why);
    }
    if (answer.kind === 'uploaded') {
      set.disputes.uploaded(dispute.id, operation.target, answer.providerFileId);
      set.disputes.record(dispute.id, relieve(dispute, 'document_not_out', set.now), cause);
      if (mayEdit(dispute).ok) addStage(set, dispute, set.disputes.draft(dispute.id).version);
      return turn.done('uploaded');
    }
    set.disputes.refused(dispute.id, operation.target, answer.detail);
    set.disputes.record(dispute.id, attentionTo(dispute, 'provider_refused', set.now), cause);
    turn.done(`${answer.code}: ${answer.detail}`);
  }

  private staged(set: WorkingSet, turn: Turn, answer: DisputeSendAnswer): void {
    const { operation, cause } = turn;
    if (answer.kind === 'later' || answer.kind === 'parked') return turn.noAnswer(answer);
    if (answer.kind === 'unknown' || answer.kind === 'unsent') return turn.later(answer.why);
    const dispute = set.disputes.kept(operation.disputeId ?? '');
    // It stands in the history; what the linter says of the draft tells why before it is submitted.
    if (answer.kind === 'refused') return turn.done(`${answer.code}: ${answer.detail}`);
    this.believe(set, dispute, (before) => recordReport(before, answer.report, this.terms), cause);
    if (answer.kind === 'taken') {
      const draft = set.disputes.draft(dispute.id);
      const held = stageable(draft, dispute.stage === 'appeal');
      // Where the draft has changed since it went out, it stays unclear what else the provider holds, as it was said when that began.
      const isSame = draft.version === operation.attempt;
      const known = isSame ? staged(draft, operation.attempt, held, 'held') : draft;
      set.disputes.setDraft({ ...known, stagedVersion: Math.max(draft.stagedVersion, operation.attempt) });
      set.disputes.record(dispute.id, [{ type: 'evidence_staged', at: set.now, changes: {} }], cause);
    }
    turn.done(answer.kind);
  }

  /** Our one answer to the bank, or our giving up: it arrived, was overtaken, was refused, or nobody knows. */
  private decided(set: WorkingSet, turn: Turn, answer: DisputeSendAnswer): void {
    const { operation, cause } = turn;
    const dispute = set.disputes.kept(operation.disputeId ?? '');
    const isCurrent = decisionKey(dispute) === operation.key;
    // What was turned away has not begun the life of its key.
    const neverLeft = operation.firstSentAt?.getTime() === operation.lastSentAt?.getTime();
    const isUnsent = answer.kind === 'unsent' || answer.kind === 'parked' || (answer.kind === 'later' && answer.limit === 'rate');
    if (isUnsent && neverLeft && isCurrent && turn.held) set.disputes.record(dispute.id, recordUnsent(dispute, set.now), cause);
    if (answer.kind === 'unsent') return turn.unsent(answer.why);
    if (answer.kind === 'later' || answer.kind === 'parked') return turn.noAnswer(answer);
    if (answer.kind === 'taken' || answer.kind === 'overtaken') {
      this.believe(
        set,
        dispute,
        (before) => {
          if (!isCurrent) return recordReport(before, answer.report, this.terms);
          return answer.kind === 'taken'
            ? recordTaken(before, answer.report, this.terms)
            : recordOvertaken(before, answer.report, neverLeft, this.terms);
        },
        cause,
      );
      return turn.done(answer.kind);
    }
    if (!isCurrent) return turn.done('its decision is over');
    if (answer.kind === 'refused') {
      if (turn.held) set.disputes.record(dispute.id, recordRefusal(dispute, set.now), cause);
      return turn.done(`${answer.code}: ${answer.detail}`);
    }
    this.unknown(set, turn, dispute, answer.why);
  }

  /**
   * The same key again, each time after a look whether it arrived. An error that is kept under a key comes back for a day: after several
   * looks in vain, some minutes after the first send, a new key is used, since none of them showed an answer and the bank takes one.
   */
  private unknown(set: WorkingSet, turn: Turn, dispute: Dispute, why: string): void {
    const { operation, cause } = turn;
    const sinceMs = set.now.getTime() - (operation.firstSentAt ?? set.now).getTime();
    const anew = turn.held && operation.tries % looksBeforeANewKey === 0 && sinceMs >= 2 * minute;
    const after = set.disputes.record(dispute.id, recordUnknown(dispute, anew, set.now), cause);
    if (anew) turn.carryOn({ key: decisionKey(after), attempt: after.attempt });
    if (operation.tries >= triesBeforeAPersonLooks && after.attention === null) {
      set.disputes.record(after.id, attentionTo(after, 'outcome_unknown', set.now), cause);
    }
    turn.later(why);
  }

  private believe(
    set: WorkingSet,
    dispute: Dispute,
    decide: (dispute: Dispute) => ReturnType<typeof recordReport>,
    cause: Cause,
  ): Dispute {
    const payment = set.payment(dispute.paymentKey);
    const after = set.disputes.record(dispute.id, decide(dispute), cause);
    this.follow(set, dispute, after, payment, cause);
    return set.disputes.kept(dispute.id);
  }

  /** What follows from a change, beside what the rules of the dispute itself say. */
  private follow(set: WorkingSet, before: Dispute | null, after: Dispute, payment: Payment, cause: Cause): void {
    const isSubmitted = before?.decision?.state !== 'done' && after.decision?.state === 'done' && after.decision.version !== null;
    const packet = isSubmitted ? set.disputes.packet(after.id, after.round, after.decision?.version ?? 0) : undefined;
    if (packet?.submittedAt === null) set.disputes.setPacket({ ...packet, submittedAt: set.now });
    if (before !== null && after.round > before.round) {
      const [draft, answered] = [set.disputes.draft(after.id), before.decision?.version ?? null];
      // The provider holds nothing for the new stage yet.
      set.disputes.setDraft({ ...draft, stagedVersion: 0 });
      if (!isEmpty(draft) && mayEdit(after).ok) addStage(set, after, draft.version);
      const sent = answered === null ? undefined : set.disputes.packet(after.id, before.round, answered);
      if (sent?.submittedAt === null && after.submissions > before.submissions) {
        set.disputes.setPacket({ ...sent, submittedAt: set.now });
      }
    }
    this.callOff(set, after, cause);
    this.warn(set, before, after, payment, cause);
    prefill(set, after);
    const delay = lookAgainIn(after, set.now);
    // Of a case that is over the payment is read when somebody asks for a refund of it.
    if (delay === null) return;
    if (payment.readAt === null) addPaymentRead(set, payment);
    const { account, provider, providerDisputeId, id, paymentKey } = after;
    const read = { account, provider, providerDisputeId, disputeId: id, paymentKey };
    addDisputeRead(set, read, set.later(delay), priorities.poll);
  }

  /** What nobody waits for any more is not sent; what is under way ends by its own answer. */
  private callOff(set: WorkingSet, dispute: Dispute, cause: Cause): void {
    for (const operation of set.openOperationsOfDispute(dispute.id)) {
      if (operation.lane === null || isUnderWay(operation, set.now)) continue;
      const isDecision = operation.kind === 'dispute.submit' || operation.kind === 'dispute.accept';
      const isOver = isDecision
        ? operation.key !== decisionKey(dispute) || isSettled.has(dispute.status)
        : operation.kind === 'evidence.stage' && !mayEdit(dispute).ok;
      if (!isOver) continue;
      const result = `the dispute is ${dispute.status}`;
      set.changeOperation(operation.id, { state: 'dropped', doneAt: set.now, leaseUntil: null, result });
      const now = set.disputes.kept(dispute.id);
      if (operation.state === 'parked') set.disputes.record(dispute.id, relieve(now, 'operation_parked', set.now), cause);
    }
  }

  /** What a person should hear of once, when it comes to be so. */
  private warn(set: WorkingSet, before: Dispute | null, after: Dispute, was: Payment, cause: Cause): void {
    const payment = set.payment(after.paymentKey);
    const takes = (dispute: Dispute | null) => dispute !== null && dispute.disputed + dispute.lost > 0n;
    const isForeign = payment.currency !== null && payment.currency !== after.currency;
    const now = set.disputes.kept(after.id);
    if (now.attention !== null && !givesWay.has(now.attention)) return;
    if (isForeign && takes(after) && !takes(before)) {
      set.disputes.record(after.id, attentionTo(now, 'foreign_currency', set.now), cause);
    } else if (overdrawn(payment) && !(overdrawn(was) && was.readAt !== null) && payment.readAt !== null) {
      set.disputes.record(after.id, attentionTo(now, 'payment_overdrawn', set.now), cause);
    }
  }
}

/** Money that went back already is the answer to a claim for it: said in the draft, as long as nobody has said anything there. */
export function prefill(set: WorkingSet, dispute: Dispute): void {
  if (!mayEdit(dispute).ok || !set.disputes.hasDraft(dispute.id)) return;
  const draft = set.disputes.draft(dispute.id);
  const last = draft.changes.findLast(({ fields }) => fields.includes('refundRefusalExplanation'));
  const isOurs = last === undefined ? draft.content.refundRefusalExplanation === undefined : last.by === prefiller;
  const text = isOurs ? proofOfCredit(dispute, set.wentOut(dispute.paymentKey).flatMap(creditOf)) : null;
  if (text === null || text === draft.content.refundRefusalExplanation) return;
  const edited = edit(draft, { refundRefusalExplanation: text }, null, prefiller, set.now);
  if (edited.ok) set.disputes.setDraft(edited.value);
}

const prefiller = 'redress';

function creditOf({ providerRefundId, status, amount, currency, createdAt: at, bankReference }: Refund): Credit[] {
  if (providerRefundId === null || amount === null || currency === null) return [];
  return status === 'succeeded' || status === 'pending'
    ? [{ providerRefundId, status, amount, currency, at, bankReference }]
    : [];
}

/** When an open dispute is read again in case a webhook is lost: the more often the nearer its deadline. The sweep sees what changes later. */
function lookAgainIn(dispute: Dispute, now: Date): number | null {
  if (dispute.status === 'under_review') return 12 * hour;
  if (dispute.status !== 'needs_response' && dispute.status !== 'unknown') return null;
  const leftMs = dispute.dueBy === null ? Number.POSITIVE_INFINITY : dispute.dueBy.getTime() - now.getTime();
  // Just after the deadline the provider closes it.
  if (leftMs > 0) return leftMs > 72 * hour ? 4 * hour : Math.min(hour, leftMs + minute);
  return dispute.status === 'unknown' ? 12 * hour : hour;
}

/** Nothing is to be sent about it any more. */
const isSettled: ReadonlySet<DisputeStatus> = new Set(['under_review', 'won', 'lost', 'closed', 'prevented']);

/** What is less than that a balance is not what it was believed to be. */
const givesWay: ReadonlySet<DisputeAttention> = new Set(['provider_refused', 'answered_elsewhere', 'answer_due_again']);

const isUnderWay = ({ leaseUntil }: Operation, now: Date) => leaseUntil !== null && leaseUntil > now;

const minute = 60_000;
const hour = 60 * minute;
const looksBeforeANewKey = 4;
