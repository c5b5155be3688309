/*
 * What a person on call orders that is about no single refund: the switch, parked operations, dead letters. Each takes the same road as
 * everything else: the book loads, the rules decide, one transaction stores. An order is kept with its answer, as commands are, so that it
 * can be repeated.
 */
import { inParts } from '#application/batcher';
import type { Book } from '#application/book';
import type { DeadLetter, Want } from '#application/kept';
import type { WorkingSet } from '#application/working-set';
import { commandId, digestOf } from '#application/names';
import type { OperationQueue, ParkedOperation } from '#application/operations';
import { DisputeCommands, type ReceivedDisputeCommand } from '#application/dispute-commands';
import { readDisputeCommand, readRefundCommand } from '#application/read-command';
import type { ReceivedCommand, RefundCommands } from '#application/refund-commands';
import { covers, newHour, type Pause, type Scope } from '#application/sending';
import { takeUp } from '#application/steering';
import type { Code } from '#contracts/codes';
import { disputeCommands } from '#contracts/dispute-commands';
import { topics } from '#contracts/topics';
import type { DeadLetter as PublicDeadLetter } from '#contracts/oversight';
import { err, ok, type Result } from '#domain/result';

export interface SwitchOrder extends Scope {
  readonly paused: boolean;
  readonly reason: string;
  readonly by: string;
}

/** Who orders, and under which idempotency key. */
export interface Ordered {
  readonly source: string;
  readonly key: string;
}

interface Order extends Ordered {
  readonly id: string;
  readonly type: string;
  readonly body: object;
}

type Refused = { readonly code: Code; readonly detail?: string };
/** The answer, or why not; `repeated` when it was given before. */
export type Answer<T> = Result<{ readonly answer: T; readonly repeated: boolean }, Refused>;

/** How many parked operations share a transaction. */
const partSize = 500;

export class Upkeep {
  constructor(
    private readonly book: Book,
    private readonly queue: OperationQueue,
    private readonly commands: RefundCommands,
    private readonly disputes: DisputeCommands,
  ) {}

  /**
   * Pauses or resumes one scope, and returns every pause that stands then. What stands so already is left as it is. Resuming gives the
   * scope's accounts a new hour: a person has looked.
   */
  throwSwitch({ provider, account, paused, reason, by }: SwitchOrder): Promise<{ changed: boolean; pauses: readonly Pause[] }> {
    return this.transact({ sending: 'thrown' }, (set) => {
      const known = set.pauses().find((pause) => pause.provider === provider && pause.account === account);
      const same = paused ? known?.reason === reason && known.by === by && !known.automatic : known === undefined;
      if (same) return { changed: false, pauses: set.pauses() };
      if (known !== undefined) set.endPause(known, { reason, by });
      // Another reason takes the place of the one before, in the name of who gave it.
      if (paused) set.addPause({ provider, account, reason, by, since: known?.since ?? set.now, automatic: false });
      else for (const hour of set.hours()) if (covers({ provider, account }, hour)) set.setHour(newHour(hour, set.now));
      return { changed: true, pauses: set.pauses() };
    });
  }

  /**
   * Takes up every operation that was parked when this began, in parts. Where it breaks off, the same order again goes on with what is
   * left, and answers how many that were.
   */
  async resume({ provider, account }: Scope, ordered: Ordered): Promise<Answer<{ resumed: number }>> {
    const order = orderOf('redress.ResumeOperations.v1', { provider, account }, ordered);
    const seen = await this.book.transact({ commands: [order.id], unlocked: true }, (set) => seenBefore(set, order));
    if (seen !== null) return seen as Answer<{ resumed: number }>;
    let resumed = 0;
    for (let after = 0n; ;) {
      const parked = await this.queue.parked({ provider, account }, after, partSize);
      const last = parked.at(-1);
      if (last === undefined) break;
      const taken = await inParts(
        parked,
        (part) => this.takeUpAll(part, order.key),
        (_, error) => Promise.reject(error as Error),
      );
      resumed += taken.filter((each) => each).length;
      after = last.ordinal;
    }
    return this.carryOut(order, {}, () => ok({ resumed }));
  }

  private takeUpAll(part: readonly ParkedOperation[], key: string): Promise<boolean[]> {
    const want = {
      operations: part.map(({ id }) => id),
      refunds: part.flatMap(({ refundId }) => refundId ?? []),
      disputes: part.flatMap(({ disputeId }) => disputeId ?? []),
    };
    return this.book.transact(want, (set) =>
      part.map(({ id }) => {
        const operation = set.operation(id);
        if (operation?.state !== 'parked') return false;
        takeUp(set, operation, { causationId: key });
        return true;
      }),
    );
  }

  /** Reads a dead letter once more and decides its command, as if it came again. One that still cannot be read stays as it is. */
  async redrive(id: string, ordered: Ordered): Promise<Answer<PublicDeadLetter>> {
    const order = orderOf('redress.RedriveDeadLetter.v1', { id }, ordered);
    const command = await this.book.transact({ deadLetters: [id], unlocked: true }, (set) => readLetter(set, id));
    const want = command.ok ? this.wantFor(command.value) : {};
    return this.carryOut(order, { ...want, deadLetters: [id] }, (set) => {
      const letter = set.deadLetter(id);
      if (letter === undefined) return err({ code: 'not_found' });
      if (letter.end === 'accepted' || letter.end === 'rejected') return ok(publicDeadLetter(letter));
      if (!command.ok) return command;
      const decided = isAboutDispute(command.value)
        ? this.disputes.decideIn(set, command.value)
        : this.commands.decideIn(set, command.value);
      const refundId = 'refund' in decided ? (decided.refund?.id ?? null) : null;
      const how =
        decided.kind === 'accepted'
          ? ({ end: 'accepted', endDetail: null } as const)
          : ({ end: 'rejected', endDetail: `${decided.code}: ${decided.detail}` } as const);
      const ended = set.endDeadLetter(letter, { ...how, endedBy: ordered.source, refundId });
      return ok(publicDeadLetter(ended));
    });
  }

  private wantFor(command: ReceivedCommand | ReceivedDisputeCommand): Want {
    return isAboutDispute(command) ? this.disputes.wantFor([command]) : this.commands.wantFor([command]);
  }

  /** Nothing is done with it any more; it can still be redriven. */
  dismiss(id: string, reason: string, ordered: Ordered): Promise<Answer<PublicDeadLetter>> {
    const order = orderOf('redress.DismissDeadLetter.v1', { id, reason }, ordered);
    return this.carryOut(order, { deadLetters: [id] }, (set) => {
      const letter = set.deadLetter(id);
      if (letter === undefined) return err({ code: 'not_found' });
      if (letter.end !== null) return ok(publicDeadLetter(letter));
      const how = { end: 'dismissed', endDetail: reason, endedBy: ordered.source, refundId: null } as const;
      return ok(publicDeadLetter(set.endDeadLetter(letter, how)));
    });
  }

  /** Decides an order once; what it answered is kept, and a refusal is not: the same order may be possible later. */
  private carryOut<T extends object>(
    order: Order,
    want: Want,
    decide: (set: WorkingSet) => Result<T, Refused>,
  ): Promise<Answer<T>> {
    return this.transact({ ...want, commands: [...(want.commands ?? []), order.id] }, (set): Answer<T> => {
      const seen = seenBefore(set, order);
      if (seen !== null) return seen as Answer<T>;
      const decided = decide(set);
      if (!decided.ok) return decided;
      const { id, source, key, type, body } = order;
      set.addCommand({
        id,
        account: 'default',
        door: 'http',
        source,
        key,
        type,
        digest: digestOf({ type, ...body }),
        refundId: 'refundId' in decided.value ? (decided.value.refundId as string | null) : null,
        disputeId: null,
        body,
        answer: JSON.stringify(decided.value),
        receivedAt: set.now,
      });
      return ok({ answer: decided.value, repeated: false });
    });
  }

  /** Once more where another transaction was in the way. */
  private async transact<T>(want: Want, decide: (set: WorkingSet) => T): Promise<T> {
    const [answer] = await inParts(
      [want],
      async () => [{ decided: await this.book.transact(want, decide) }],
      (_, error) => Promise.reject(error as Error),
    );
    if (answer === undefined) throw new Error('a transaction ended without an answer');
    return answer.decided;
  }
}

const isAboutDispute = (command: ReceivedCommand | ReceivedDisputeCommand): command is ReceivedDisputeCommand =>
  command.type in disputeCommands;

function orderOf(type: string, body: object, { source, key }: Ordered): Order {
  return { id: commandId('default', 'http', source, key), type, body, source, key };
}

function seenBefore(set: WorkingSet, { id, type, body }: Order): Answer<unknown> | null {
  const first = set.command(id);
  if (first === undefined) return null;
  if (first.digest !== digestOf({ type, ...body })) return err({ code: 'idempotency_key_reused' });
  return ok({ answer: JSON.parse(first.answer) as unknown, repeated: true });
}

function readLetter(set: WorkingSet, id: string): Result<ReceivedCommand | ReceivedDisputeCommand, Refused> {
  const letter = set.deadLetter(id);
  if (letter === undefined) return err({ code: 'not_found' });
  if (wasLeftOut(letter)) {
    const { topic, partition, offset } = letter;
    return err({
      code: 'not_redrivable',
      detail: `It was too long to be kept; its bytes are at ${topic}[${partition}] offset ${offset}.`,
    });
  }
  // It was sent before it was set aside, so it is at least as old as that.
  const ageMs = set.now.getTime() - letter.at.getTime();
  const isOfDisputes = letter.topic === topics.disputeCommands;
  const read = isOfDisputes ? readDisputeCommand(letter, ageMs) : readRefundCommand(letter, ageMs);
  return read.ok ? read : err({ code: 'not_redrivable', detail: `${read.error.code}: ${read.error.detail}` });
}

/** A record that was too long for the dead letters' topic has no value there, and says so in a header. */
const wasLeftOut = ({ value, headers }: DeadLetter) => value === null && 'redress_left_out' in headers;

/** A dead letter without its bytes: whoever may see those reads its topic. */
export function publicDeadLetter(letter: Omit<DeadLetter, 'key' | 'value' | 'headers'>): PublicDeadLetter {
  const { id, topic, partition, offset, code, detail, at, end, endedAt, endedBy, endDetail, refundId } = letter;
  const origin = { id, topic, partition, offset: Number(offset), code: code as Code, detail: detail.slice(0, 1000) };
  return {
    ...origin,
    at: at.toISOString(),
    end,
    endedAt: endedAt?.toISOString() ?? null,
    endedBy,
    endDetail: endDetail?.slice(0, 1000) ?? null,
    refundId,
  };
}
