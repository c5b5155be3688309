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
  /** Its currency is not the payment's: nothing of that is available while it is not known in the payment's currency what was taken. */
  | 'foreign_currency'
  /** More was taken and given back than was ever captured. */
  | 'payment_overdrawn'
  /** Won, and lost after all. */
  | 'decision_reversed'
  /** Somebody else answered while we had a decision or a draft of our own. */
  | 'answered_elsewhere'
  /** It had been answered or decided, and an answer is due once more in the same stage. */
  | 'answer_due_again'
  /** The provider counted an answer after its own deadline: nobody promises that the bank gets it. */
  | 'submitted_late'
  /** The provider would not take what we sent. */
  | 'provider_refused'
  | 'outcome_unknown'
  | 'operation_parked'
  /** What was decided has not got to the provider: its deadline is near, or it is over. */
  | 'answer_not_out'
  /** A document does not get to the provider, for no reason that it gives. */
  | 'document_not_out'
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
  /** What it takes of the payment's balance, in the payment's currency: see `effectOn`. */
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
  /** Whether the last one came after the provider's deadline. */
  readonly submittedLate: boolean;
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

/** A day before the provider's deadline is ours; three days and one day before that people are reminded. */
export const usualTerms: DisputeTerms = { marginMs: 86_400_000, remindersMs: [3 * 86_400_000, 86_400_000] };

export function evolve(dispute: Dispute, event: DisputeEvent): Dispute {
  const { changes, at } = event;
  // Seen again as it was: no change that anybody should hear of.
  if (event.type === 'silent' && Object.keys(changes).every((name) => name === 'reportedAt')) return { ...dispute, ...changes };
  const updatedAt = at > dispute.updatedAt ? at : dispute.updatedAt;
  const next = { ...dispute, ...changes, version: dispute.version + 1, updatedAt };
  return { ...next, nextAlarmAt: isAwaited(next) ? next.nextAlarmAt : null };
}

/** A dispute as it begins, and what its first report shows beyond that. */
export function opened(
  found: { id: string; account: string; provider: string; paymentKey: string; report: DisputeReport },
  terms: DisputeTerms,
  at: Date,
): { readonly dispute: Dispute; readonly events: DisputeEvent[] } {
  const { report, ...identity } = found;
  const stage = report.stage ?? 'chargeback';
  const isDue = report.status === 'needs_response';
  const dispute: Dispute = {
    ...identity,
    providerDisputeId: report.providerDisputeId,
    ordinal: null,
    stage,
    ...factsOf(report, []),
    status: report.status,
    attention: null,
    alarms: 0,
    ...deadlineOf(report, 0, terms),
    round: 1,
    submissionsBefore: isDue ? report.submissions : 0,
    decision: !isDue && report.submissions > 0 ? elsewhere(report, at) : null,
    disputed: 0n,
    lost: 0n,
    attempt: 1,
    openedAt: report.openedAt,
    version: 1,
    createdAt: at,
    updatedAt: at,
  };
  const begun = isAwaited(dispute) ? dispute : { ...dispute, nextAlarmAt: null };
  const events = [...fundsEvents([], dispute.movements, at), ...endEvents(report.status, at)];
  return { dispute: begun, events: [...events, ...attentionTo(dispute, unclear(report), at)] };
}

/**
 * What a provider's report does to a dispute; an empty list when it is no news. Stage and status follow the provider whatever came before,
 * since banks move both ways; what we decided follows from how many submissions it counts.
 */
export function recordReport(dispute: Dispute, report: DisputeReport, terms: DisputeTerms): DisputeEvent[] {
  if (report.at < dispute.reportedAt || isCrossed(dispute, report)) return [];
  const { at } = report;
  // An appeal ends under the chargeback's own words.
  const isAppealOver = dispute.stage === 'appeal' && (report.status === 'won' || report.status === 'lost');
  const stage = isAppealOver ? 'appeal' : (report.stage ?? dispute.stage);
  const isMoved = stage !== dispute.stage;
  const isAskedAgain = report.status === 'needs_response' && (isMoved || wasAnswered(dispute));
  const movements = known(dispute.movements, report.movements);
  const round = isAskedAgain ? newRound(dispute, report) : {};
  const facts: Changes = { ...factsOf(report, movements), stage, status: report.status, ...round };
  // What nobody waited for has no alarm; it is waited for again.
  const isUnwatched = mayWait.has(report.status) && !isAwaited(dispute) && dispute.decision?.state !== 'done';
  const isOtherDeadline = isAskedAgain || isUnwatched || !isSameTime(report.dueBy, dispute.dueBy);
  const deadline = isOtherDeadline ? { alarms: 0, ...deadlineOf(report, 0, terms) } : {};
  const changes: Changes = { ...facts, ...deadline, attention: unended(dispute, report) };

  // An answer to the stage before comes before the news that another one is due.
  const answer = answerSeen(dispute, report, isAskedAgain);
  const told: DisputeEvent[] = isMoved ? [{ type: 'stage_changed', at, changes: {} }] : [];
  if (report.status !== dispute.status) told.push(...endEvents(report.status, at));
  told.push(...fundsEvents(dispute.movements, movements, at));
  told.push(...attentionTo({ ...dispute, ...changes }, whyAttention(dispute, report, isMoved, isAskedAgain), at));
  const [first, ...rest] = told;
  if (first !== undefined) return [...answer, { ...first, changes: { ...changes, ...first.changes } }, ...rest];
  const seen: Changes = isSame(dispute, changes) ? { reportedAt: at } : changes;
  return answer.length === 0 && at.getTime() === dispute.reportedAt.getTime() && seen !== changes
    ? []
    : [...answer, { type: 'silent', at, changes: seen }];
}

/** What our own send was answered with, where the provider took it. */
export function recordTaken(dispute: Dispute, report: DisputeReport, terms: DisputeTerms): DisputeEvent[] {
  // A reading that was asked while this was under way, and has not seen it, is not the newer one.
  const isNews = report.submissions > dispute.submissions && report.at < dispute.reportedAt;
  const events = recordReport(dispute, isNews ? { ...report, at: dispute.reportedAt } : report, terms);
  const after = events.reduce(evolve, dispute);
  if (after.decision === null || after.decision.state === 'done') return events;
  return [...events, ...done(after.decision, report.at)];
}

/**
 * Just before a send the dispute did not wait for it any more. Where it was the first send under this decision (`neverLeft`), what happened
 * was not our doing.
 */
export function recordOvertaken(
  dispute: Dispute,
  report: DisputeReport,
  neverLeft: boolean,
  terms: DisputeTerms,
): DisputeEvent[] {
  const { decision } = dispute;
  const unsent: DisputeEvent[] =
    decision === null || decision.state === 'done' || !neverLeft
      ? []
      : [{ type: 'silent', at: report.at, changes: { decision: { ...decision, state: 'recorded' } } }];
  const before = unsent.reduce(evolve, dispute);
  const events = [...unsent, ...recordReport(before, report, terms)];
  const after = events.reduce(evolve, dispute);
  if (after.decision === null || after.decision.state === 'done') return events;
  const cleared: DisputeEvent = { type: 'silent', at: report.at, changes: { decision: null } };
  const why = report.submissions > dispute.submissions ? 'answered_elsewhere' : 'answer_not_out';
  return [...events, cleared, ...attentionTo(after, why, report.at)];
}

/** A definite no to what we sent: nothing has changed there, and it is for a person to decide anew. The no is kept under the key. */
export function recordRefusal(dispute: Dispute, at: Date): DisputeEvent[] {
  const { decision, attempt } = dispute;
  if (decision === null || decision.state === 'done') return [];
  const undone: Changes = { decision: null, attempt: attempt + 1, nextAlarmAt: nextAlarm(dispute, at) };
  return [{ type: 'attention_needed', at, changes: { ...undone, attention: 'provider_refused' } }];
}

/** A send has begun; it is committed before the provider hears of it. */
export function beginSend(dispute: Dispute, at: Date): DisputeEvent[] {
  const { decision } = dispute;
  if (decision === null || decision.state === 'sending') return [];
  return [{ type: 'silent', at, changes: { decision: { ...decision, state: 'sending' } } }];
}

/** What had begun did not go out after all, and nothing of it had before: it is as if it had not begun. */
export function recordUnsent({ decision }: Dispute, at: Date): DisputeEvent[] {
  if (decision?.state !== 'sending') return [];
  return [{ type: 'silent', at, changes: { decision: { ...decision, state: 'recorded' } } }];
}

/** A send ended without an answer that can be trusted. With `anew` the next one goes under a new key: this one was proved to have no effect. */
export function recordUnknown(dispute: Dispute, anew: boolean, at: Date): DisputeEvent[] {
  const { decision, attempt } = dispute;
  if (decision === null || decision.state === 'done') return [];
  const changes = { decision: { ...decision, state: 'outcome_unknown' }, attempt: attempt + (anew ? 1 : 0) } as const;
  return [{ type: 'silent', at, changes }];
}

export type DisputeRefusal =
  | 'dispute_not_open'
  | 'dispute_not_answerable'
  | 'deadline_passed'
  | 'already_submitted'
  | 'already_accepted'
  | 'inquiry_not_acceptable'
  | 'not_acknowledgeable';

type Decided = Result<DisputeEvent[], { readonly code: DisputeRefusal }>;

/** Whether there is an answer to work on. */
export function mayEdit(dispute: Dispute): Result<null, { readonly code: DisputeRefusal }> {
  if (dispute.status === 'unknown') return err({ code: 'dispute_not_answerable' });
  if (dispute.status !== 'needs_response' && dispute.status !== 'under_review') return err({ code: 'dispute_not_open' });
  if (dispute.decision?.kind === 'submit') return err({ code: 'already_submitted' });
  if (dispute.decision?.kind === 'accept') return err({ code: 'already_accepted' });
  if (dispute.status === 'under_review') return err({ code: 'already_submitted' });
  return dispute.dueBy === null ? err({ code: 'dispute_not_answerable' }) : ok(null);
}

/** Whether it can still be answered now. */
export function mayDecide(dispute: Dispute, now: Date): Result<null, { readonly code: DisputeRefusal }> {
  const open = mayEdit(dispute);
  if (!open.ok) return open;
  return dispute.dueBy !== null && now >= dispute.dueBy ? err({ code: 'deadline_passed' }) : open;
}

/** Submits a version of the draft: decided here, sent by an operation. */
export function submit(dispute: Dispute, how: { readonly version: number; readonly by: string }, at: Date): Decided {
  const may = mayDecide(dispute, at);
  if (!may.ok) return may;
  const decision = { kind: 'submit', state: 'recorded', by: how.by, at, reason: null, version: how.version } as const;
  return ok([{ type: 'silent', at, changes: { decision, nextAlarmAt: nextAlarm(dispute, at) } }]);
}

/** Only what has taken money can be given up: an inquiry that is not answered may become a chargeback. */
export function accept(dispute: Dispute, how: { readonly reason: string | null; readonly by: string }, at: Date): Decided {
  const may = mayDecide(dispute, at);
  if (!may.ok) return may;
  if (dispute.stage === 'inquiry') return err({ code: 'inquiry_not_acceptable' });
  const decision = { kind: 'accept', state: 'recorded', by: how.by, at, reason: how.reason, version: null } as const;
  return ok([{ type: 'silent', at, changes: { decision, nextAlarmAt: nextAlarm(dispute, at) } }]);
}

/** Nothing is sent: only that somebody decided so. Until the deadline it can be answered after all. */
export function letPass(dispute: Dispute, how: { readonly reason: string; readonly by: string }, at: Date): Decided {
  const may = mayDecide(dispute, at);
  if (!may.ok) return may;
  const decision = { kind: 'let_pass', state: 'done', by: how.by, at, reason: how.reason, version: null } as const;
  return ok([{ type: 'let_pass', at, changes: { decision } }]);
}

/** A person has seen why it asks for attention. */
export function acknowledge(dispute: Dispute, at: Date): Decided {
  const { attention } = dispute;
  const ends = attention !== null && attention !== 'outcome_unknown' && attention !== 'operation_parked';
  return ends ? ok([{ type: 'attention_cleared', at, changes: { attention: null } }]) : err({ code: 'not_acknowledgeable' });
}

/** Says why a person should look, unless it says so already. */
export function attentionTo(dispute: Dispute, why: DisputeAttention | null, at: Date): DisputeEvent[] {
  return why === null || dispute.attention === why ? [] : [{ type: 'attention_needed', at, changes: { attention: why } }];
}

/** What a person was asked for is over by itself. */
export function relieve(dispute: Dispute, of: DisputeAttention, at: Date): DisputeEvent[] {
  return dispute.attention === of ? [{ type: 'attention_cleared', at, changes: { attention: null } }] : [];
}

/** Whether an answer is still due that nobody has settled; one that is on its way is not settled. */
export function isAwaited({ status, dueBy, decision }: Dispute): boolean {
  return mayWait.has(status) && dueBy !== null && decision?.state !== 'done';
}

/** Whether our own deadline has come and nothing was decided: the moment for a policy, or else for an alarm. */
export function isUndecidedAt(dispute: Dispute, now: Date): boolean {
  return isAwaited(dispute) && dispute.decision === null && dispute.decideBy !== null && now >= dispute.decideBy;
}

/** The reminders that have become due, as one event: before our deadline, at it, and at the provider's while nothing has got there. */
export function remind(dispute: Dispute, terms: DisputeTerms, now: Date): DisputeEvent[] {
  const { dueBy, decision, nextAlarmAt } = dispute;
  if (nextAlarmAt === null || nextAlarmAt > now) return [];
  const times = alarmTimes(dueBy, terms);
  const alarms = times.filter((time) => time <= now.getTime()).length;
  const [next = null] = times.slice(alarms).map((time) => new Date(time));
  const changes = { alarms, nextAlarmAt: next };
  if (dispute.decideBy === null || now < dispute.decideBy) return [{ type: 'deadline_approaching', at: now, changes }];
  const isOver = dueBy !== null && now >= dueBy;
  if (decision !== null && !isOver) {
    const patience = new Date(Math.min(decision.at.getTime() + patienceMs, next?.getTime() ?? now.getTime()));
    if (patience > now) return [{ type: 'silent', at: now, changes: { alarms, nextAlarmAt: patience } }];
    return [{ type: 'deadline_approaching', at: now, changes }, ...attentionTo(dispute, 'answer_not_out', now)];
  }
  // Told when our own deadline passed, it is not told again when the provider's does.
  if (isOver && dispute.attention === 'deadline_missed') return [{ type: 'silent', at: now, changes }];
  // What the provider refused is why it was missed.
  const why = dispute.attention === 'provider_refused' ? null : 'deadline_missed';
  return [{ type: 'deadline_missed', at: now, changes }, ...attentionTo(dispute, why, now)];
}

/** How much of what a dispute is about is gone: a part of a whole, both in the currency of the movements. Null while nothing has moved. */
export function takenShare({
  movements,
  status,
  currency,
}: Pick<Dispute, 'movements' | 'status' | 'currency'>): { part: bigint; whole: bigint } | null {
  const of = (kind: Movement['kind']) => movements.filter((movement) => movement.kind === kind);
  const sum = (some: readonly Movement[]) => some.reduce((total, { amount }) => total + amount, 0n);
  const [out, back] = [of('withdrawal'), of('reinstatement')];
  // Each time it is decided anew the whole of it may be withdrawn again.
  const whole = out.reduce((most, { amount }) => (amount > most ? amount : most), 0n);
  if (whole === 0n) return null;
  // Exchanged on both ways, what is given back at a win is whole although it is not the same sum; much less is a part all the same.
  const isExchanged = out.some((movement) => movement.currency !== currency);
  const isSettled = status === 'won' && isExchanged && back.length >= out.length && sum(back) * 10n >= sum(out) * 9n;
  const left = isSettled ? 0n : sum(out) - sum(back);
  return { part: left <= 0n ? 0n : left > whole ? whole : left, whole };
}

function moneyOf(dispute: Pick<Dispute, 'movements' | 'status' | 'currency'>): DisputeMoney {
  const share = takenShare(dispute);
  if (share === null) return 'none';
  if (share.part === 0n) return 'reinstated';
  return share.part === share.whole ? 'withdrawn' : 'partly_reinstated';
}

/** What a report says by itself, whatever was known. */
function factsOf(report: DisputeReport, before: readonly Movement[]) {
  const { providerStatus, amount, currency, reason, networkReasonCode, network, refundable, dueBy, submissions, eligibilities } =
    report;
  const movements = known(before, report.movements);
  const money = moneyOf({ movements, status: report.status, currency });
  const said = { providerStatus, amount, currency, reason, networkReasonCode, network, refundable, dueBy };
  return { ...said, submissions, eligibilities, movements, money, reportedAt: report.at };
}

/** Movements are only ever added. */
function known(before: readonly Movement[], now: readonly Movement[]): readonly Movement[] {
  const all = new Map([...before, ...now].map((movement) => [movement.id, movement]));
  return [...all.values()].sort((a, b) => a.at.getTime() - b.at.getTime());
}

/** Whether it was asked before an answer that is known, and so has not seen it. */
function isCrossed(dispute: Dispute, { at, stage, status, dueBy, submissions }: DisputeReport): boolean {
  const isLater = at.getTime() - dispute.reportedAt.getTime() >= crossingMs;
  if (isLater || (stage !== null && stage !== dispute.stage)) return false;
  if (submissions < dispute.submissions) return true;
  const { decision } = dispute;
  const isGivenUp = decision?.kind === 'accept' && decision.state === 'done' && dispute.status === 'lost';
  return isGivenUp && status === 'needs_response' && isSameTime(dueBy, dispute.dueBy);
}

const isSameTime = (one: Date | null, other: Date | null) => one?.getTime() === other?.getTime();

function newRound(dispute: Dispute, report: DisputeReport): Changes {
  return { round: dispute.round + 1, submissionsBefore: report.submissions, decision: null, attempt: 1 };
}

/** What the provider's count says about our decision: it is there, or somebody else was faster. */
function answerSeen(dispute: Dispute, report: DisputeReport, isAskedAgain: boolean): DisputeEvent[] {
  const { decision } = dispute;
  if (report.submissions > dispute.submissions) {
    if (isByUs(dispute, report)) return decision?.state === 'done' || decision === null ? [] : done(decision, report.at);
    return [{ type: 'evidence_submitted', at: report.at, changes: { decision: elsewhere(report, report.at) } }];
  }
  const isLeft = decision?.kind === 'accept' && (decision.state === 'sending' || decision.state === 'outcome_unknown');
  return isLeft && !isAskedAgain && report.status === 'lost' ? done(decision, report.at) : [];
}

/** Whether the submission that a report counts and we had not seen is our own: it was under way, or is known to have been taken. */
function isByUs({ decision, submissionsBefore }: Dispute, { submissions, submittedBy }: DisputeReport): boolean {
  if (decision?.kind !== 'submit' || decision.version === null || decision.state === 'recorded') return false;
  if (decision.state === 'done') return submissions <= submissionsBefore + 1;
  return submittedBy === null || submittedBy === 'manual';
}

/** Whether nothing was due any more, so that what is due now is another answer. What nobody understands does not tell. */
function wasAnswered({ status, decision }: Dispute): boolean {
  if (status === 'unknown') return decision?.state === 'done' && decision.kind !== 'let_pass';
  return status !== 'needs_response';
}

function done(decision: Decision, at: Date): DisputeEvent[] {
  const type = decision.kind === 'submit' ? 'evidence_submitted' : 'accepted';
  return [{ type, at, changes: { decision: { ...decision, state: 'done' } } }];
}

/** An answer that was not ours. */
function elsewhere(report: DisputeReport, at: Date): Decision {
  const by = report.submittedBy === null || report.submittedBy === 'manual' ? 'somebody at the provider' : report.submittedBy;
  return { kind: 'submit', state: 'done', by, at, reason: null, version: null };
}

/** How long a decision that was taken after our own deadline may be on its way before it is told. */
const patienceMs = 15 * 60_000;

/** How long ago at most a reading was asked that an answer of ours has overtaken: a call's time, and the wait for it. */
const crossingMs = 120_000;

/** What nobody understands may wait for an answer as well. */
const mayWait: ReadonlySet<DisputeStatus> = new Set(['needs_response', 'unknown']);

/** How a dispute ends that nobody answered. */
const endsWithout: ReadonlySet<DisputeStatus> = new Set(['lost', 'closed', 'prevented']);

const ends: ReadonlySet<DisputeStatus> = new Set(['under_review', 'won', 'lost', 'closed', 'prevented']);

function endEvents(status: DisputeStatus, at: Date): DisputeEvent[] {
  return ends.has(status) ? [{ type: status as DisputeEventType, at, changes: {} }] : [];
}

function fundsEvents(before: readonly Movement[], after: readonly Movement[], at: Date): DisputeEvent[] {
  const seen = new Set(before.map(({ id }) => id));
  return after
    .filter(({ id }) => !seen.has(id))
    .map(({ kind }) => ({ type: kind === 'withdrawal' ? 'funds_withdrawn' : 'funds_reinstated', at, changes: {} }) as const);
}

const unclear = (report: DisputeReport): DisputeAttention | null =>
  report.status === 'unknown' ? 'unknown_provider_status' : null;

function whyAttention(dispute: Dispute, report: DisputeReport, isMoved: boolean, isAskedAgain: boolean): DisputeAttention | null {
  if (report.status === 'unknown') return report.providerStatus === dispute.providerStatus ? null : 'unknown_provider_status';
  if (dispute.status === 'won' && report.status === 'lost') return 'decision_reversed';
  if (isAskedAgain && !isMoved) return 'answer_due_again';
  const { decision } = dispute;
  if (report.submissions > dispute.submissions) {
    if (decision !== null && !isAskedAgain && !isByUs(dispute, report)) return 'answered_elsewhere';
    return report.submittedLate ? 'submitted_late' : null;
  }
  const isGivenUp = decision?.kind === 'accept' && report.status === 'lost';
  const isUndone = decision !== null && decision.state !== 'done' && !isGivenUp;
  const isNews = report.status !== dispute.status;
  return isNews && isUndone && endsWithout.has(report.status) ? 'answer_not_out' : null;
}

/** Attention that clear news answers; the rest is for a person to end. */
function unended({ attention, decision }: Dispute, report: DisputeReport): DisputeAttention | null {
  if (attention === 'unknown_provider_status') return report.status === 'unknown' ? attention : null;
  // What was refused or missed has been made good elsewhere, or by another try.
  const isAnswered = report.status === 'under_review' || report.status === 'won';
  if (attention === 'deadline_missed' || attention === 'answer_not_out') return isAnswered ? null : attention;
  if (attention === 'provider_refused') return report.status === 'needs_response' ? attention : null;
  if (attention === 'outcome_unknown') return decision === null || report.status !== 'needs_response' ? null : attention;
  return attention;
}

function deadlineOf(report: DisputeReport, alarms: number, terms: DisputeTerms) {
  const { dueBy } = report;
  const next = alarmTimes(dueBy, terms)[alarms];
  return {
    decideBy: dueBy === null ? null : new Date(dueBy.getTime() - terms.marginMs),
    nextAlarmAt: next === undefined ? null : new Date(next),
  };
}

/** When to remind, the soonest first; the last ones are our deadline itself, and the provider's. */
function alarmTimes(dueBy: Date | null, { marginMs, remindersMs }: DisputeTerms): number[] {
  if (dueBy === null) return [];
  const decideBy = dueBy.getTime() - marginMs;
  return [...remindersMs]
    .sort((a, b) => b - a)
    .map((ms) => decideBy - ms)
    .concat(decideBy, dueBy.getTime());
}

/** When to look again whether what was decided has got out: as planned, and soon where our own deadline is over. */
function nextAlarm({ decideBy, dueBy, nextAlarmAt }: Dispute, at: Date): Date | null {
  if (decideBy === null || dueBy === null || at < decideBy) return nextAlarmAt ?? decideBy;
  return new Date(Math.min(at.getTime() + patienceMs, dueBy.getTime()));
}

function isSame(dispute: Dispute, changes: Changes): boolean {
  const { reportedAt: _, ...facts } = changes;
  return Object.entries(facts).every(([name, value]) => inWords(value) === inWords(dispute[name as keyof Dispute]));
}

/** As text that does not depend on the order of keys: a database may give them back in another one. */
const inWords = (value: unknown): string | undefined =>
  JSON.stringify(value, (_, part: unknown) => {
    if (typeof part === 'bigint') return `${part}n`;
    if (typeof part !== 'object' || part === null || Array.isArray(part)) return part;
    return Object.fromEntries(Object.entries(part).toSorted(([a], [b]) => (a < b ? -1 : 1)));
  });
