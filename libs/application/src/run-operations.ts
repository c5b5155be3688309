/*
 * Takes what is due and calls its provider. Safe to run again after a crash at any line, and beside others like it.
 *
 * A round claims heads of lanes, commits the beginning of each send, and lets the calls go, each with a deadline of its own; answers are
 * recorded as they come, in batches. No transaction is open during a call: a PSP may take a minute, and a lock held that long would
 * stop every other refund of the payment.
 */
import { Batcher, inParts } from '#application/batcher';
import type { Book, KeptCall, WorkingSet } from '#application/book';
import { deadline } from '#application/deadline';
import { Unavailable } from '#application/errors';
import { searchOf, type Claimed, type Operation, type OperationQueue } from '#application/operations';
import type { Providers } from '#application/providers';
import { unknown, type Answered, type RecordAnswers } from '#application/record-answers';
import type { CallContext, CallTrace, RefundProvider } from '#domain/ports/refund-provider';
import { recordReport, submit } from '#domain/refund/refund';

export interface RunnerSettings {
  /** How many calls may be under way at once. */
  readonly atOnce: number;
  readonly leaseMs: number;
  /** After this a call is over, whatever its socket does; well below the lease. */
  readonly callMs: number;
  /** How soon an answer is stored again after the database was away; a second, if not said. */
  readonly againMs?: number;
}

/** What the person on call should read. */
export interface RunnerLog {
  failed(what: string, ids: Readonly<Record<string, string | null>>, error: unknown): void;
}

export class RunOperations {
  /** Called when there is room for another round. */
  onRoom: () => void = () => undefined;
  private readonly inFlight = new Map<string, Operation>();
  private readonly answers: Batcher<Answered, { recorded: true }>;

  constructor(
    private readonly queue: OperationQueue,
    private readonly book: Book,
    private readonly providers: Providers,
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
        inParts(batch, record, ({ claimed }, error) => {
          // The operation keeps its lease and is tried again after it: what was answered is read anew then.
          this.log.failed(
            'an answer could not be recorded',
            { operation: claimed.operation.id, refund: claimed.operation.refundId },
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
  private get hasRoom(): boolean {
    return this.settings.atOnce - this.inFlight.size >= this.settings.atOnce / 4;
  }

  /** Takes what is due, up to what may still be under way, and starts it. Returns how many were taken. */
  async round(): Promise<number> {
    if (!this.hasRoom) return 0;
    const free = this.settings.atOnce - this.inFlight.size;
    const started = performance.now();
    const due = await this.queue.claim(free, this.settings.leaseMs);
    if (due.length === 0) return 0;
    const begun = await this.beginAll(due).catch(async (error: unknown) => {
      await this.queue.release(due).catch(() => undefined);
      throw error;
    });
    // Frozen in between: by now others may have taken over, answered, and ended it all.
    if (performance.now() - started > this.settings.leaseMs / 2) return due.length;
    for (const claimed of begun) {
      if (claimed === null) continue;
      this.inFlight.set(claimed.operation.id, claimed.operation);
      void this.call(claimed).finally(() => {
        this.inFlight.delete(claimed.operation.id);
        if (this.hasRoom) this.onRoom();
      });
    }
    return due.length;
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
    const want = { operations: sends.map(({ id }) => id), refunds: sends.map(({ target }) => target) };
    const begun =
      sends.length === 0 ? [] : await this.book.transact(want, (set) => sends.map((claimed) => this.beginSend(set, claimed)));
    const reads = due.filter(({ kind }) => kind !== 'refund.send');
    return [...begun, ...reads.map((operation) => ({ operation, refund: null, payment: null }))];
  }

  /** Marks the send as begun, and its refund as submitted; null when it must not be sent any more. */
  private beginSend(set: WorkingSet, claimed: Operation): Claimed | null {
    const operation = set.operation(claimed.id);
    if (operation === undefined || operation.state !== 'open' || operation.fence !== claimed.fence) return null;
    const cause = { causationId: operation.id };
    const refund = set.record(operation.target, submit(set.kept(operation.target).refund, set.now), cause);
    const sendable = refund.status === 'submitted' || refund.status === 'outcome_unknown';
    if (!sendable || refund.attempt !== operation.attempt || refund.attention === 'contradiction') {
      const result = `the refund is ${refund.status}`;
      set.changeOperation(operation.id, { state: 'dropped', doneAt: set.now, leaseUntil: null, result });
      return null;
    }
    const { now } = set;
    const payment = set.payment(refund.paymentKey);
    if (this.isForgotten(operation, now)) {
      const result = 'its key may be forgotten by the provider';
      set.changeOperation(operation.id, { ...searchOf(payment), runAt: now, result });
      set.record(refund.id, recordReport(refund, unknown(refund, now)), cause);
      return null;
    }
    const begun = { tries: operation.tries + 1, firstSentAt: operation.firstSentAt ?? now, lastSentAt: now };
    return { operation: set.changeOperation(operation.id, begun), refund, payment };
  }

  /** A key that its provider may have forgotten would move the money again. */
  private isForgotten({ account, provider, firstSentAt }: Operation, now: Date): boolean {
    const lifeMs = this.providers.refundsOf(account, provider)?.keyLifeMs ?? Number.POSITIVE_INFINITY;
    return firstSentAt !== null && now.getTime() - firstSentAt.getTime() > lifeMs;
  }

  private async call(claimed: Claimed): Promise<void> {
    const { operation } = claimed;
    const { id, account, provider, kind, refundId, target } = operation;
    const calls: KeptCall[] = [];
    const { paymentKey, key, attempt } = operation;
    const trace = (each: CallTrace) => calls.push({ operationId: id, refundId, paymentKey, key, attempt, trace: each });
    // The beginning was committed with the service's clock; what is asked now is as old as that.
    const context: CallContext = {
      deadline: deadline(this.settings.callMs),
      now: operation.lastSentAt ?? operation.createdAt,
      trace,
    };
    const adapter = this.providers.refundsOf(account, provider);
    try {
      if (adapter === undefined) {
        const answer = { kind: 'parked', why: `no account "${account}" is configured for ${provider}` } as const;
        await this.keep({ kind, claimed, calls, answer });
      } else if (kind === 'refund.send') {
        await this.keep({ kind, claimed, calls, answer: await send(adapter, claimed, context) });
      } else if (kind === 'refund.read') {
        await this.keep({ kind, claimed, calls, answer: await adapter.read(target, context) });
      } else if (kind === 'refunds.list') {
        const list = this.providers.listOf(account, provider);
        if (list === undefined) throw new Error(`${provider} cannot be listed`);
        const { since, after } = operation.sweep ?? { since: operation.createdAt, after: null };
        await this.keep({ kind, claimed, calls, answer: await list.listRefunds(new Date(since), after, context) });
      } else {
        await this.keep({ kind, claimed, calls, answer: await adapter.readPayment(target, context) });
      }
    } catch (error) {
      const what = 'a provider operation broke off; it will be tried again after its lease';
      this.log.failed(what, { operation: id, refund: refundId }, error);
    }
  }

  /** An answer may hold the only refund id there is, so it is not let go of while the database is away. */
  private async keep(answered: Answered): Promise<void> {
    for (;;) {
      try {
        await this.answers.submit(answered);
        return;
      } catch (error) {
        if (!(error instanceof Unavailable)) throw error;
        const { id: operation, refundId: refund } = answered.claimed.operation;
        this.log.failed('an answer waits for the database', { operation, refund }, error);
        await new Promise((wake) => setTimeout(wake, this.settings.againMs ?? 1_000));
      }
    }
  }
}

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
