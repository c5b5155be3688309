import type { DisputeReport, DisputeStage, DisputeStatus, Eligibility, Movement } from '#domain/dispute/dispute';
import { filePlaces, type Evidence, type EvidenceName, type FilePlace } from '#domain/dispute/evidence';
import type { Money } from '#domain/money';
import {
  DisputeProvider,
  type DisputeAnswer,
  type DisputesAnswer,
  type DisputeSendAnswer,
  type EvidenceOrder,
  type FileToUpload,
  type UploadAnswer,
  type WarningAnswer,
} from '#domain/ports/dispute-provider';
import type { CallContext, NoAnswer } from '#domain/ports/refund-provider';

/**
 * What happens to a call on its way. After a lost answer the work was done, after a lost call it was not; nobody outside can tell. `failed`:
 * not done, `done_and_failed`: done, and in both its key gives that same failure for ever. `refused`: a definite no. The others: turned
 * away, nothing was done.
 */
export type DisputeFate =
  'answered' | 'answer_lost' | 'call_lost' | 'failed' | 'done_and_failed' | 'refused' | 'later' | 'locked' | 'parked';

/** What the provider holds, and what went to the bank. */
export interface HeldEvidence {
  readonly content: Evidence;
  readonly files: EvidenceOrder['files'];
}

export interface BookedAnswer extends HeldEvidence {
  readonly stage: DisputeStage;
  /** Null: not through us. */
  readonly key: string | null;
  readonly by: string;
  readonly at: Date;
}

export interface BookedDispute {
  readonly id: string;
  readonly payment: string;
  readonly openedAt: Date;
  readonly amount: bigint;
  readonly currency: string;
  readonly reason: string | null;
  readonly networkReasonCode: string | null;
  readonly network: string | null;
  readonly eligibilities: readonly Eligibility[];
  stage: DisputeStage;
  status: DisputeStatus;
  providerStatus: string;
  dueBy: Date | null;
  refundable: boolean;
  held: HeldEvidence;
  /** How often evidence was put here without being submitted. */
  staged: number;
  /** The stages in which it was given up through us. */
  readonly closedAt: DisputeStage[];
  readonly answers: BookedAnswer[];
  readonly movements: Movement[];
}

export interface BookedWarning {
  readonly id: string;
  readonly payment: string;
  readonly fraudType: string;
  readonly openedAt: Date;
  actionable: boolean;
}

type Opening = Partial<
  Pick<BookedDispute, 'stage' | 'dueBy' | 'reason' | 'networkReasonCode' | 'network' | 'eligibilities' | 'refundable'>
>;

const day = 86_400_000;
const fee = 1500n;

/**
 * A provider of disputes in memory, with books of its own: what the bank really got is in `answers`, whatever our calls were told. Like
 * Stripe it looks before it sends what cannot be undone, keeps the first answer under its key, and takes one answer per stage.
 */
export class ScriptedDisputes extends DisputeProvider {
  override readonly provider: string;
  override readonly account: string;
  readonly disputes: BookedDispute[] = [];
  readonly warnings: BookedWarning[] = [];
  /** Ids of disputes that cannot be read in a list. */
  readonly unreadable = new Set<string>();
  readonly files: (FileToUpload & { readonly id: string; readonly key: string })[] = [];
  /** Every call that was made, lost ones too, in order; a look before a send is not one of its own. */
  readonly calls: { readonly what: Call; readonly of: string; readonly key: string | null }[] = [];
  /** Happens once, after the next look and before what it was for is sent: somebody is faster. */
  betweenLookAndSend: (() => void) | null = null;
  private readonly now: () => Date;
  private readonly kept = new Map<string, { readonly what: string; readonly outcome: Outcome }>();
  private sends: DisputeFate[] = [];
  private reads: DisputeFate[] = [];
  private looks: DisputeFate[] = [];
  private movements = 0;

  constructor(options: { readonly now: () => Date; readonly provider?: string; readonly account?: string }) {
    super();
    this.now = options.now;
    this.provider = options.provider ?? 'stripe';
    this.account = options.account ?? 'default';
  }

  /** A bank opens a dispute. A chargeback takes the money at once, an inquiry takes none. */
  open(payment: string, { amount, currency }: Money, more: Opening = {}): BookedDispute {
    const { stage = 'chargeback' } = more;
    const dispute: BookedDispute = {
      id: `du_${this.disputes.length + 1}`,
      payment,
      amount,
      currency,
      openedAt: this.now(),
      stage,
      status: 'needs_response',
      providerStatus: wordFor('needs_response', stage),
      dueBy: more.dueBy === undefined ? this.inDays(8) : more.dueBy,
      reason: more.reason ?? 'fraudulent',
      networkReasonCode: more.networkReasonCode ?? null,
      network: more.network ?? 'visa',
      eligibilities: more.eligibilities ?? [],
      refundable: more.refundable ?? stage === 'inquiry',
      held: { content: {}, files: [] },
      staged: 0,
      closedAt: [],
      answers: [],
      movements: [],
    };
    this.disputes.push(dispute);
    if (stage !== 'inquiry' && stage !== 'prevention') this.take(dispute);
    return dispute;
  }

  warn(payment: string, fraudType = 'unauthorized_use_of_card'): BookedWarning {
    const warning = { id: `issfr_${this.warnings.length + 1}`, payment, fraudType, openedAt: this.now(), actionable: true };
    this.warnings.push(warning);
    return warning;
  }

  /** An inquiry becomes a chargeback, or a decision can be appealed: money as there, and another answer is due. */
  moveTo(id: string, stage: 'chargeback' | 'appeal', dueBy: Date = this.inDays(8)): void {
    const dispute = this.booked(id);
    if (dispute.stage === 'inquiry' && outstanding(dispute) === 0n) this.take(dispute);
    Object.assign(dispute, { stage, dueBy, held: { content: {}, files: [] } });
    this.becomes(id, 'needs_response');
  }

  /** The bank decides, also long after it had decided otherwise. */
  win(id: string): void {
    this.giveBack(id);
    this.becomes(id, 'won');
  }

  lose(id: string): void {
    const dispute = this.booked(id);
    if (outstanding(dispute) === 0n) this.take(dispute);
    this.becomes(id, 'lost');
  }

  /** Money comes back: all that is out, or a part. */
  giveBack(id: string, amount: bigint = outstanding(this.booked(id))): void {
    if (amount > 0n) this.move(this.booked(id), 'reinstatement', amount, 0n);
  }

  /** A status that came about somehow; by default in the provider's own word for it. */
  becomes(id: string, status: DisputeStatus, providerStatus?: string): void {
    const dispute = this.booked(id);
    dispute.status = status;
    dispute.providerStatus = providerStatus ?? wordFor(status, dispute.stage);
    dispute.refundable = status === 'won' || dispute.stage === 'inquiry';
  }

  /** Somebody else answers: a colleague in the dashboard, or the provider by itself. */
  answerElsewhere(id: string, by: 'manual' | 'smart_disputes' = 'manual'): void {
    const dispute = this.booked(id);
    this.answer(dispute, { content: { uncategorizedText: 'Not through us.' }, files: [] }, null, by);
  }

  /** The fates of the next sends (uploads too), of the next readings, or of the looks before sends; after them all is well again. */
  nextSends(...fates: readonly DisputeFate[]): void {
    this.sends = [...fates];
  }

  nextReads(...fates: readonly DisputeFate[]): void {
    this.reads = [...fates];
  }

  nextLooks(...fates: readonly DisputeFate[]): void {
    this.looks = [...fates];
  }

  booked(id: string): BookedDispute {
    const dispute = this.disputes.find((each) => each.id === id);
    if (dispute === undefined) throw new Error(`there is no dispute ${id}`);
    return dispute;
  }

  /** What a reading of a payment shows of its disputes. */
  ofPayment(payment: string, at: Date): DisputeReport[] {
    return this.disputes.filter((each) => each.payment === payment).map((each) => reportOf(each, at));
  }

  override async readDispute(providerDisputeId: string, call: CallContext): Promise<DisputeAnswer> {
    this.calls.push({ what: 'readDispute', of: providerDisputeId, key: null });
    return this.read(this.reads.shift(), 'readDispute', call, () => this.shown(providerDisputeId, call));
  }

  /** In pages of two, so that walks have several. */
  override async listDisputes(since: Date, after: string | null, call: CallContext): Promise<DisputesAnswer> {
    this.calls.push({ what: 'listDisputes', of: since.toISOString(), key: null });
    return this.read<DisputesAnswer>(this.reads.shift(), 'listDisputes', call, () => {
      const newest = this.disputes.filter(({ openedAt }) => openedAt >= since).toReversed();
      const rest = after === null ? newest : newest.slice(newest.findIndex(({ id }) => id === after) + 1);
      const page = rest.slice(0, 2);
      const disputes = page.filter(({ id }) => !this.unreadable.has(id)).map((each) => reportOf(each, call.now));
      const unread = page.flatMap(({ id }) => (this.unreadable.has(id) ? [id] : []));
      return { kind: 'page', disputes, unread, next: rest.length > 2 ? (rest[1]?.id ?? null) : null };
    });
  }

  override async readWarning(providerWarningId: string, call: CallContext): Promise<WarningAnswer> {
    this.calls.push({ what: 'readWarning', of: providerWarningId, key: null });
    return this.read<WarningAnswer>(this.reads.shift(), 'readWarning', call, () => {
      const warning = this.warnings.find(({ id }) => id === providerWarningId);
      if (warning === undefined) return { kind: 'absent', at: call.now };
      const { id: providerId, ...rest } = warning;
      return { kind: 'found', warning: { providerWarningId: providerId, ...rest, at: call.now } };
    });
  }

  override async upload(file: FileToUpload, key: string, call: CallContext): Promise<UploadAnswer> {
    this.calls.push({ what: 'upload', of: file.name, key });
    const content = `upload ${file.name} ${file.type} ${file.bytes.toString('base64')}`;
    const outcome = this.send('upload', key, content, call, (): Outcome => {
      const id = `file_${this.files.length + 1}`;
      this.files.push({ ...file, id, key });
      return { kind: 'done', made: id };
    });
    return outcome.kind === 'done' ? { kind: 'uploaded', providerFileId: outcome.made } : outcome;
  }

  override async stage(order: EvidenceOrder, key: string, call: CallContext): Promise<DisputeSendAnswer> {
    this.calls.push({ what: 'stage', of: order.providerDisputeId, key });
    return this.carriedOut('stage', order, key, call, (dispute) => {
      const refusal = this.why(dispute, order);
      if (refusal !== null) return refusal;
      dispute.held = heldAfter(dispute.held, order);
      dispute.staged += 1;
      return done;
    });
  }

  override async submit(order: EvidenceOrder, key: string, call: CallContext): Promise<DisputeSendAnswer> {
    this.calls.push({ what: 'submit', of: order.providerDisputeId, key });
    return this.afterALook('submit', order, order.submissions, key, call, (dispute) => {
      const refusal = this.why(dispute, order);
      if (refusal !== null) return refusal;
      const evidence = heldAfter(dispute.held, order);
      if (isNothing(evidence)) return refused('evidence_refused');
      this.answer(dispute, evidence, key, 'manual');
      return done;
    });
  }

  override async accept(
    order: Pick<EvidenceOrder, 'providerDisputeId' | 'stage'>,
    key: string,
    call: CallContext,
  ): Promise<DisputeSendAnswer> {
    this.calls.push({ what: 'accept', of: order.providerDisputeId, key });
    const { providerDisputeId, stage } = order;
    return this.afterALook('accept', { providerDisputeId, stage }, null, key, call, (dispute) => {
      // An inquiry cannot be accepted: it is answered, or the payment refunded.
      if (dispute.status !== 'needs_response' || dispute.stage === 'inquiry') return refused('dispute_not_open');
      dispute.closedAt.push(dispute.stage);
      this.becomes(dispute.id, 'lost');
      return done;
    });
  }

  private afterALook(
    what: Call,
    order: Pick<EvidenceOrder, 'providerDisputeId' | 'stage'>,
    submissions: number | null,
    key: string,
    call: CallContext,
    work: (dispute: BookedDispute) => Outcome,
  ): DisputeSendAnswer {
    const isAwaited = ({ status, stage, answers }: BookedDispute) =>
      status === 'needs_response' && stage === order.stage && answers.length <= (submissions ?? answers.length);
    const overtaken = (dispute: BookedDispute): DisputeSendAnswer => ({
      kind: 'overtaken',
      report: reportOf(dispute, call.now),
    });
    const looked = this.read(this.looks.shift(), 'look', call, () => this.shown(order.providerDisputeId, call));
    if (looked.kind === 'later' || looked.kind === 'parked') return looked;
    if (looked.kind === 'unread') return { kind: 'unsent', why: looked.why };
    if (looked.kind === 'absent') return refused('dispute_not_found');
    const dispute = this.booked(order.providerDisputeId);
    if (dispute.status === 'unknown') return { kind: 'unsent', why: `nobody knows what ${dispute.providerStatus} means` };
    if (!isAwaited(dispute)) return overtaken(dispute);
    const [faster] = [this.betweenLookAndSend, (this.betweenLookAndSend = null)];
    faster?.();
    const answer = this.carriedOut(what, order, key, call, work);
    const isLate = answer.kind === 'refused' && answer.code === 'dispute_not_open' && !isAwaited(dispute);
    return isLate ? overtaken(dispute) : answer;
  }

  private carriedOut(
    what: Call,
    order: Pick<EvidenceOrder, 'providerDisputeId'>,
    key: string,
    call: CallContext,
    work: (dispute: BookedDispute) => Outcome,
  ): DisputeSendAnswer {
    const content = `${what} ${JSON.stringify(order)}`;
    const dispute = this.disputes.find(({ id }) => id === order.providerDisputeId);
    const outcome = this.send(what, key, content, call, () =>
      dispute === undefined ? refused('dispute_not_found') : work(dispute),
    );
    // A key that comes again is told that it was done; the dispute itself is told as it is by now.
    if (outcome.kind !== 'done') return outcome;
    return { kind: 'taken', report: reportOf(this.booked(order.providerDisputeId), call.now) };
  }

  private read<A>(scripted: DisputeFate | undefined, what: string, call: CallContext, work: () => A): A | Unread | NoAnswer {
    const fate = trace(scripted, what, call);
    const turnedAway = notDone[fate];
    if (turnedAway !== undefined) return turnedAway;
    return fate === 'answered' ? work() : { kind: 'unread', why: fate };
  }

  private shown(id: string, call: CallContext): DisputeAnswer {
    const dispute = this.disputes.find((each) => each.id === id);
    return dispute === undefined ? { kind: 'absent', at: call.now } : { kind: 'found', report: reportOf(dispute, call.now) };
  }

  private send(what: Call, key: string, content: string, call: CallContext, work: () => Outcome): Outcome | NoAnswer {
    const fate = trace(this.sends.shift(), what, call);
    const turnedAway = notDone[fate];
    if (turnedAway !== undefined) return turnedAway;
    if (fate === 'call_lost') return { kind: 'unknown', why: fate };
    const before = this.kept.get(key);
    if (before !== undefined && before.what !== content) return { kind: 'unknown', why: 'the key belongs to another call' };
    const outcome = before?.outcome ?? this.outcomeOf(fate, work);
    this.kept.set(key, { what: content, outcome });
    return fate === 'answer_lost' ? { kind: 'unknown', why: fate } : outcome;
  }

  private outcomeOf(fate: DisputeFate, work: () => Outcome): Outcome {
    if (fate === 'refused') return refused('provider_refused');
    const outcome = fate === 'failed' ? null : work();
    return outcome === null || fate === 'done_and_failed' ? { kind: 'unknown', why: '500, says the script' } : outcome;
  }

  private why(dispute: BookedDispute, { content, files }: EvidenceOrder): Outcome | null {
    if (dispute.status !== 'needs_response' || dispute.dueBy === null) return refused('dispute_not_open');
    const names = [...Object.keys(content), ...files.map(({ place }) => place)];
    const isOfAppeal = (name: string) => name === 'appeal' || name === 'appealSupportingFiles';
    if (names.some((name) => isOfAppeal(name) !== (dispute.stage === 'appeal'))) return refused('evidence_refused');
    const isThere = files.every(({ providerFileId }) => this.files.some(({ id }) => id === providerFileId));
    return isThere ? null : refused('evidence_refused');
  }

  private answer(dispute: BookedDispute, evidence: HeldEvidence, key: string | null, by: string): void {
    const { stage } = dispute;
    dispute.held = evidence;
    dispute.answers.push({ ...evidence, stage, key, by, at: this.now() });
    this.becomes(dispute.id, 'under_review');
  }

  private take(dispute: BookedDispute): void {
    this.move(dispute, 'withdrawal', dispute.amount, dispute.movements.length === 0 ? fee : 0n);
  }

  private move({ movements, currency }: BookedDispute, kind: Movement['kind'], amount: bigint, paid: bigint): void {
    movements.push({ id: `txn_${++this.movements}`, kind, amount, currency, fee: paid, at: this.now() });
  }

  private inDays(days: number): Date {
    return new Date(this.now().getTime() + days * day);
  }
}

type Call = 'readDispute' | 'listDisputes' | 'readWarning' | 'upload' | 'stage' | 'submit' | 'accept';

type Outcome =
  | { readonly kind: 'done'; readonly made: string }
  | { readonly kind: 'refused'; readonly code: string; readonly detail: string }
  | { readonly kind: 'unknown'; readonly why: string };
type Unread = { readonly kind: 'unread'; readonly why: string };

const done: Outcome = { kind: 'done', made: '' };
const refused = (code: string) => ({ kind: 'refused', code, detail: `${code}, says the script` }) as const;

/** What the provider says to calls that it does not carry out. */
const notDone: Partial<Record<DisputeFate, NoAnswer>> = {
  later: { kind: 'later', limit: 'rate', why: 'by the script' },
  locked: { kind: 'later', limit: 'lock', why: 'by the script' },
  parked: { kind: 'parked', why: 'by the script' },
};

function trace(scripted: DisputeFate | undefined, what: string, call: CallContext): DisputeFate {
  const fate = call.deadline.aborted ? 'call_lost' : (scripted ?? 'answered');
  const isLost = fate === 'answer_lost' || fate === 'call_lost';
  const statuses = {
    answered: 200,
    refused: 400,
    failed: 500,
    done_and_failed: 500,
    later: 429,
    locked: 429,
    parked: 401,
  } as const;
  const httpStatus = isLost ? null : statuses[fate];
  const result = isLost ? 'connection_lost' : fate === 'locked' ? fate : 'answered';
  call.trace({ call: what, startedAt: call.now, endedAt: call.now, httpStatus, requestId: null, result });
  return fate;
}

function reportOf(dispute: BookedDispute, at: Date): DisputeReport {
  const { id, answers, held: _held, staged: _staged, closedAt: _closedAt, movements, ...shown } = dispute;
  return {
    ...shown,
    providerDisputeId: id,
    submissions: answers.length,
    submittedBy: answers.at(-1)?.by ?? null,
    submittedLate: false,
    movements: [...movements],
    at,
  };
}

/** What the provider holds after an update: what is named is put over what was there, what is emptied goes, the rest stays. */
function heldAfter(before: HeldEvidence, { content, files, emptied }: EvidenceOrder): HeldEvidence {
  const isGone = (name: string) => emptied.includes(name as EvidenceName);
  const texts = Object.entries(before.content).filter(([name]) => !isGone(name));
  const replaced = new Set<FilePlace>(files.map(({ place }) => place));
  const kept = before.files.filter(({ place }) => !replaced.has(place) && !isGone(place));
  const inOrder = [...kept, ...files].sort((a, b) => filePlaces.indexOf(a.place) - filePlaces.indexOf(b.place));
  return { content: { ...Object.fromEntries(texts), ...content }, files: inOrder };
}

const isNothing = ({ content, files }: HeldEvidence) => Object.keys(content).length === 0 && files.length === 0;

/** How much of a dispute's money the bank holds. */
export function outstanding({ movements }: BookedDispute): bigint {
  return movements.reduce((sum, { kind, amount }) => (kind === 'withdrawal' ? sum + amount : sum - amount), 0n);
}

/** The provider's own word for a status, as Stripe's are. */
function wordFor(status: DisputeStatus, stage: DisputeStage): string {
  if (status === 'closed') return 'warning_closed';
  const isOpen = status === 'needs_response' || status === 'under_review';
  if (isOpen && stage === 'inquiry') return `warning_${status}`;
  return isOpen && stage === 'appeal' ? `appeal_${status}` : status;
}
