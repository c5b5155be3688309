/*
 * Takes what is due and calls its provider. Safe to run again after a crash at any line, and beside others like it.
 *
 * A round claims heads of lanes, commits the beginning of each send, and lets the calls go, each at its moment and with a deadline of its
 * own; answers are recorded as they come, in batches. No transaction is open during a call: a PSP may take a minute, and a lock held that long would
 * stop every other refund of the payment.
 */
import { addPaymentRead, mayHideASend } from '#application/admission';
import { Batcher, inParts } from '#application/batcher';
import type { Book } from '#application/book';
import type { KeptCall } from '#application/kept';
import type { WorkingSet } from '#application/working-set';
import { deadline } from '#application/deadline';
import { Conflict, Unavailable } from '#application/errors';
import {
  readFirst,
  searchOf,
  type Claimed,
  type Due,
  type Endpoint,
  type Operation,
  type OperationQueue,
} from '#application/operations';
import { countSend, isSameAccount, type Pause, type SendingBounds } from '#application/sending';
import { askAboutDispute, beginAboutDisputes } from '#application/send-disputes';
import type { EvidenceFiles } from '#application/evidence-files';
import type { Providers } from '#application/providers';
import { unknown, type Answered, type RecordAnswers } from '#application/record-answers';
import type { CallContext, CallTrace, RefundProvider } from '#domain/ports/refund-provider';
import { recordReport, submit, type Refund } from '#domain/refund/refund';

export interface RunnerSettings {
  /** How many calls of a kind to one account may be under way at once: a provider that hangs holds up nobody else's. */
  readonly atOnce: number;
  readonly leaseMs: number;
  /** After this a call is over, whatever its socket does; well below the lease. */
  readonly callMs: number;
  /** How soon an answer is stored again after the database was away; a second, if not said. */
  readonly againMs?: number;
  /** How much may be sent in an hour; an account that is not named has no bound. */
  readonly bounds?: readonly SendingBounds[];
}

/** What the person on call should read. */
export interface RunnerLog {
  failed(what: string, ids: Readonly<Record<string, string | null>>, error: unknown): void;
  /** The breaker has paused an account. */
  tripped(pause: Pause): void;
}

export class RunOperations {
  /** Called when there is room for another round. */
  onRoom: () => void = () => undefined;
  private readonly inFlight = new Map<string, Operation>();
  private limitsAreSet = false;
  /** Until when calls are given out, by this process's clock; it looks again before that. */
  private pacedUntil = 0;
  private nextLook: NodeJS.Timeout | undefined;
  private readonly answers: Batcher<Answered, { recorded: true }>;

  constructor(
    private readonly queue: OperationQueue,
    private readonly book: Book,
    private readonly providers: Providers,
    private readonly files: EvidenceFiles,
    recorder: RecordAnswers,
    private readonly settings: RunnerSettings,
    private readonly log: RunnerLog,
  ) {
    const record = async (part: readonly Answered[]) => {
      await recorder.record(part);
      return part.map(() => ({ recorded: true }) as const);
    };
    this.answers = new Batcher(
      (batch) =>
        inParts(batch, record, ({ claimed, answer }, error) => {
          // The operation keeps its lease and is tried again after it: what was answered is read anew then.
          this.log.failed(
            'an answer could not be recorded',
            { operation: claimed.operation.id, refund: claimed.operation.refundId, ...idsIn(answer) },
            error,
          );
          return Promise.resolve({ recorded: true });
        }),
      // One at a time, so that what comes back meanwhile goes into the next one together.
      { most: 200, atOnce: 1 },
    );
  }

  get busy(): number {
    return this.inFlight.size;
  }

  /** A round costs the same for one as for fifty: under load it waits until there is room for some. */
  private isFull(underWay: readonly Operation[]): boolean {
    return underWay.length > this.settings.atOnce / 2;
  }

  private full(): Endpoint[] {
    return [...Map.groupBy(this.inFlight.values(), endpointOf).values()].flatMap((same) =>
      this.isFull(same) ? same.slice(0, 1) : [],
    );
  }

  /** Takes what is due and may be called soon, up to what may still be under way, and starts it. Returns how many were taken. */
  async round(): Promise<number> {
    if (!this.limitsAreSet) await this.queue.limit(this.providers.limits());
    this.limitsAreSet = true;
    const started = performance.now();
    const due = await this.queue.claim(this.settings.atOnce / 2, this.settings.leaseMs, this.full());
    const claimed = performance.now();
    this.lookAgain(claimed, due);
    if (due.length === 0) return 0;
    const moments = new Map(due.map(({ id, inMs }) => [id, claimed + inMs]));
    const begun = await this.beginAll(due).catch(async (error: unknown) => {
      await this.queue.release(due).catch(() => undefined);
      throw error;
    });
    for (const each of begun) {
      if (each === null) continue;
      const { operation } = each;
      this.inFlight.set(operation.id, operation);
      const moment = moments.get(operation.id) ?? claimed;
      void this.callAt(moment, started + this.settings.leaseMs / 2, each).finally(() => this.ended(operation));
    }
    return due.length;
  }

  private ended(operation: Operation): void {
    const underWay = [...this.inFlight.values()].filter((each) => endpointOf(each) === endpointOf(operation));
    this.inFlight.delete(operation.id);
    if (this.isFull(underWay) && !this.isFull(underWay.slice(1))) this.onRoom();
  }

  /** Whoever was given the last moments there were comes back before they are over, so that none is missed while there is work. */
  private lookAgain(now: number, due: readonly Due[]): void {
    for (const { inMs } of due) if (inMs > 0) this.pacedUntil = Math.max(this.pacedUntil, now + inMs);
    clearTimeout(this.nextLook);
    if (this.pacedUntil <= now) return;
    this.nextLook = setTimeout(() => this.onRoom(), Math.max(soonestLookMs, (this.pacedUntil - now) / 2));
    this.nextLook.unref();
  }

  /** Keeps the leases of what is still under way. */
  async renew(): Promise<void> {
    if (this.inFlight.size > 0) await this.queue.renew([...this.inFlight.values()], this.settings.leaseMs);
  }

  private beginAll(due: readonly Operation[]): Promise<(Claimed | null)[]> {
    return inParts(
      due,
      (part) => this.begin(part),
      ({ id: operation, refundId: refund }, error) => {
        this.log.failed('an operation cannot begin; it comes up again after its lease', { operation, refund }, error);
        return Promise.resolve(null);
      },
    );
  }

  /**
   * Committed before the provider hears of it: from here on the money may have moved, and a restart must ask before it sends.
   * What was canceled, answered or taken over in the meantime is left out.
   */
  private async begin(due: readonly Operation[]): Promise<(Claimed | null)[]> {
    const sends = due.filter(({ kind }) => kind === 'refund.send');
    const aboutDisputes = due.filter(({ kind, lane }) => kind !== 'refund.send' && kind !== 'refund.find' && lane !== null);
    const others = due.filter((operation) => !sends.includes(operation) && !aboutDisputes.includes(operation));
    const reads = others.map((operation) => ({ operation, refund: null, payment: null, dispute: null, evidence: null }));
    return [...(await this.beginSends(sends)), ...(await beginAboutDisputes(this.book, aboutDisputes)), ...reads];
  }

  private async beginSends(sends: readonly Operation[]): Promise<(Claimed | null)[]> {
    if (sends.length === 0) return [];
    const counted = (this.settings.bounds ?? []).filter((bounds) => sends.some((each) => isSameAccount(bounds, each)));
    const want = { operations: sends.map(({ id }) => id), refunds: sends.map(({ target }) => target), counted } as const;
    const { begun, tripped } = await this.book.transact({ ...want, sending: 'held' }, (set) => ({
      begun: sends.map((claimed) => this.beginSend(set, claimed)),
      tripped: set.changes.newPauses,
    }));
    for (const pause of tripped) this.log.tripped(pause);
    return begun;
  }

  /** Marks the send as begun, and its refund as submitted; null when it must not be sent any more, or not now. */
  private beginSend(set: WorkingSet, claimed: Operation): Claimed | null {
    const operation = set.operation(claimed.id);
    if (operation === undefined || operation.state !== 'open' || operation.fence !== claimed.fence) return null;
    // A round that begins again has made a search of it before.
    if (operation.kind !== claimed.kind) return null;
    const cause = { causationId: operation.id };
    const before = set.kept(operation.target).refund;
    const sendable = before.status === 'approved' || before.status === 'submitted' || before.status === 'outcome_unknown';
    if (!sendable || before.attempt !== operation.attempt || before.attention === 'contradiction') {
      const result = `the refund is ${before.status}`;
      set.changeOperation(operation.id, { state: 'dropped', doneAt: set.now, leaseUntil: null, result });
      return null;
    }
    const { now } = set;
    const payment = set.payment(before.paymentKey);
    if (operation.firstSentAt === null && mayHideASend(payment, this.providers, now)) {
      if (!set.isBeingRead(payment)) addPaymentRead(set, payment);
      // That reading takes it up again.
      set.changeOperation(operation.id, { leaseUntil: null, runAt: set.later(300_000), result: readFirst });
      return null;
    }
    if (this.isForgotten(operation, now) || mayHideASend(payment, this.providers, now)) {
      const result = 'its key may be forgotten by the provider';
      set.changeOperation(operation.id, { ...searchOf(payment), runAt: now, result });
      set.record(before.id, recordReport(before, unknown(before, now)), cause);
      return null;
    }
    if (!this.maySend(set, operation, before)) {
      set.changeOperation(operation.id, { leaseUntil: null });
      return null;
    }
    const refund = set.record(before.id, submit(before, now), cause);
    const begun = { tries: operation.tries + 1, firstSentAt: operation.firstSentAt ?? now, lastSentAt: now };
    const begunNow = set.changeOperation(operation.id, begun);
    return { operation: begunNow, refund, payment: set.payment(payment.key), dispute: null, evidence: null };
  }

  /** Whether the switch lets it go. An attempt is counted once, with its first send; the one too many throws the switch. */
  private maySend(set: WorkingSet, operation: Operation, refund: Refund): boolean {
    if (set.pauseOf(operation) !== undefined) return false;
    const bounds = this.settings.bounds?.find((each) => isSameAccount(each, operation));
    if (bounds === undefined || operation.tries > 0) return true;
    const { id: refundId, amount, currency } = refund;
    if (amount === null || currency === null) throw new Error(`refund ${refundId} is sent without an amount`);
    const hour = countSend(set.hourOf(operation), bounds, { refundId, amount, currency }, set.now);
    if (hour.ok) {
      set.setHour(hour.value);
      return true;
    }
    const { account, provider } = operation;
    set.addPause({ account, provider, reason: hour.error, by: 'the breaker', since: set.now, automatic: true });
    return false;
  }

  /** A key that its provider may have forgotten would move the money again. */
  private isForgotten({ account, provider, firstSentAt }: Operation, now: Date): boolean {
    const lifeMs = this.providers.refundsOf(account, provider)?.keyLifeMs ?? Number.POSITIVE_INFINITY;
    return firstSentAt !== null && now.getTime() - firstSentAt.getTime() > lifeMs;
  }

  /** Waits for its moment. Frozen in between or before: by now others may have taken over, answered, and ended it all. */
  private async callAt(moment: number, latest: number, claimed: Claimed): Promise<void> {
    const begun = performance.now();
    if (moment > begun) await new Promise((wake) => setTimeout(wake, moment - begun));
    const waitedMs = moment > begun ? Math.floor(performance.now() - begun) : 0;
    if (performance.now() <= latest) await this.call(claimed, waitedMs);
  }

  private async call(claimed: Claimed, waitedMs: number): Promise<void> {
    const { operation } = claimed;
    const { id, refundId, disputeId } = operation;
    const calls: KeptCall[] = [];
    const { paymentKey, key, attempt } = operation;
    const trace = (each: CallTrace) =>
      calls.push({ operationId: id, refundId, disputeId, paymentKey, key, attempt, trace: each });
    // The beginning was committed with the service's clock; what is asked now is as old as that and the wait for its moment.
    const now = new Date((operation.lastSentAt ?? operation.createdAt).getTime() + waitedMs);
    const context: CallContext = { deadline: deadline(this.settings.callMs), now, trace };
    try {
      await this.keep({ ...(await this.ask(claimed, context)), claimed, calls });
    } catch (error) {
      const what = 'a provider operation broke off; it will be tried again after its lease';
      this.log.failed(what, { operation: id, refund: refundId, dispute: disputeId }, error);
    }
  }

  /** The one call of an operation. */
  private async ask(claimed: Claimed, context: CallContext): Promise<Asked> {
    const { operation } = claimed;
    const { account, provider, kind, target } = operation;
    const refunds = this.providers.refundsOf(account, provider);
    if (refunds === undefined) return { kind, answer: unconfigured(operation) };
    const since = new Date(operation.sweep?.since ?? operation.createdAt);
    const after = operation.sweep?.after ?? null;
    switch (kind) {
      case 'refund.send':
        return { kind, answer: await send(refunds, claimed, context) };
      case 'refund.read':
        return { kind, answer: this.heeded(operation, await refunds.read(target, context)) };
      case 'payment.read':
      case 'refund.find':
        return { kind, answer: this.heeded(operation, await refunds.readPayment(target, context)) };
      case 'refunds.list': {
        const list = this.providers.listOf(account, provider);
        if (list === undefined) return { kind, answer: unconfigured(operation) };
        return { kind, answer: await list.listRefunds(since, after, context) };
      }
      default: {
        const disputes = this.providers.disputesOf(account, provider);
        if (disputes === undefined) return { kind, answer: unconfigured(operation) };
        const asked = await askAboutDispute(disputes, this.files, { ...claimed, operation: { ...operation, kind } }, context);
        if (asked.kind === 'dispute.read' || asked.kind === 'warning.read') this.heeded(operation, asked.answer);
        return asked;
      }
    }
  }

  /** Tells the limiter, before the answer is kept, so that what is claimed next knows it. Lost, it costs a few calls too many. */
  private async meet(operation: Operation, calls: readonly KeptCall[]): Promise<void> {
    const refused = calls.filter(({ trace }) => trace.httpStatus === 429);
    const locked = refused.filter(({ trace }) => trace.result === 'locked').length;
    const met = { locked, limited: refused.length - locked, more: Math.max(0, calls.length - 1) };
    if (refused.length + met.more > 0) await this.queue.meet(operation, met).catch(() => undefined);
  }

  /** Somebody may be trying out ids on us, or an account is set up with another one's: either way a person should hear of it. */
  private heeded<A extends { readonly kind: string; readonly foreign?: string }>(
    { id: operation, target }: Operation,
    answer: A,
  ): A {
    if (answer.kind === 'absent' && answer.foreign !== undefined) {
      this.log.failed(
        'a reading led to what is not ours; nothing of it is believed',
        { operation, target },
        new Error(answer.foreign),
      );
    }
    return answer;
  }

  /** What gets nowhere is tried on; whoever is on call hears of it now and then. */
  private warn({ claimed: { operation }, answer }: Answered): void {
    const { id, refundId: refund, kind, target, tries } = operation;
    const isStuck = answer.kind === 'unread' || answer.kind === 'unsent' || (answer.kind === 'later' && answer.limit !== 'rate');
    if (!isStuck || tries === 0 || tries % 8 !== 0) return;
    this.log.failed(`${kind} gets nowhere after ${tries} calls`, { operation: id, refund, target }, new Error(answer.why));
  }

  /** An answer may hold the only refund id there is, so it is not let go of while the database is away. */
  private async keep(answered: Answered): Promise<void> {
    await this.meet(answered.claimed.operation, answered.calls);
    this.warn(answered);
    for (;;) {
      try {
        await this.answers.submit(answered);
        return;
      } catch (error) {
        if (!(error instanceof Unavailable || error instanceof Conflict)) throw error;
        const { id: operation, refundId: refund } = answered.claimed.operation;
        this.log.failed('an answer waits for the database', { operation, refund }, error);
        await new Promise((wake) => setTimeout(wake, this.settings.againMs ?? 1_000));
      }
    }
  }
}

const soonestLookMs = 20;
const endpointOf = ({ account, provider, kind }: Endpoint) => `${account}:${provider}:${kind}`;

/** What would be lost with an answer. */
function idsIn(answer: Answered['answer']): Readonly<Record<string, string | null>> {
  if (answer.kind !== 'report') return {};
  const { providerRefundId, says } = answer.report;
  return { providerRefund: providerRefundId, says };
}

type Asked = Answered extends infer A ? (A extends Answered ? Omit<A, 'claimed' | 'calls'> : never) : never;

const unconfigured = ({ account, provider }: Operation) =>
  ({ kind: 'parked', why: `no account "${account}" is configured for this at ${provider}` }) as const;

async function send(
  adapter: RefundProvider,
  claimed: Claimed,
  context: CallContext,
): Promise<(Answered & { kind: 'refund.send' })['answer']> {
  const { operation, refund, payment } = claimed;
  if (refund === null || payment === null || refund.amount === null || refund.currency === null || operation.key === null) {
    throw new Error(`operation ${operation.id} sends a refund without an amount or a key`);
  }
  const order = {
    refundId: refund.id,
    attempt: refund.attempt,
    payment: payment.name,
    money: { amount: refund.amount, currency: refund.currency },
    reason: refund.reason,
    blockCustomer: refund.blockCustomer,
    repeated: operation.firstSentAt?.getTime() !== operation.lastSentAt?.getTime(),
  };
  return adapter.send(order, operation.key, context);
}
