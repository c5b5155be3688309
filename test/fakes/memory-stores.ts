/*
 * Every store in memory, with the manners of the database: transactions one after another that undo themselves when anything in them
 * throws, and the same refusals. test/contracts/stores.contract.ts holds it to PostgreSQL. Nothing here happens by itself or by chance:
 * time stands where `now` was set, and ids come from whoever makes it.
 */
import { Book } from '#application/book';
import { laneOf } from '#application/dispute-operations';
import type { DisputeWatch } from '#application/dispute-watch';
import type { EvidenceFiles } from '#application/evidence-files';
import type { DeadLetter, KeptCall, KeptCommand, KeptRefund, Want } from '#application/kept';
import { WorkingSet } from '#application/working-set';
import { Deliveries, type NewDelivery, type PendingDelivery } from '#application/deliveries';
import { Conflict, Fenced } from '#application/errors';
import {
  EventLog,
  PartitionOffsets,
  type PartitionHalt,
  TopicCursors,
  type DeadLetterRecord,
  type LogEntry,
  type LogFilter,
  type PartitionMark,
  type SealedEntry,
  type TopicTurn,
} from '#application/event-log';
import {
  isBegunFirst,
  isOpen,
  operationKinds,
  OperationQueue,
  pacing,
  type AccountLimits,
  type Due,
  type Endpoint,
  type Met,
  type Operation,
  type ParkedOperation,
} from '#application/operations';
import { covers, newHour, type Pause, type Scope, type SendingHour } from '#application/sending';
import { Wake, type Work } from '#application/wake';
import { heardOf, room, type Payment } from '#domain/payment/payment';
import type { Refund } from '#domain/refund/refund';
import { MemoryDisputes, MemoryDisputeWatch, MemoryEvidenceFiles } from './memory-disputes.js';
import { at, Rows } from './memory-rows.js';

interface Delivery extends NewDelivery {
  readonly id: string;
  readonly receivedAt: Date;
  readonly operationId: string | null;
  readonly refundId: string | null;
  readonly disputeId: string | null;
  readonly leaseUntil: Date | null;
}

interface Cursor {
  readonly position: bigint;
  readonly fence: bigint;
  readonly holder: string | null;
  readonly leaseUntil: Date | null;
}

/** One limit; times are milliseconds of real time. */
interface Limit {
  readonly rate: number;
  readonly nextAt: number;
  readonly share: number;
  readonly slowedAt: number;
  readonly limited: number;
  readonly locked: number;
}

interface Refusal extends Error {
  code?: string;
}

/** The whole database. `now` is its clock. */
export class MemoryStores {
  readonly book: Book = new MemoryBook(this);
  readonly queue: OperationQueue = new MemoryQueue(this);
  readonly log: EventLog = new MemoryLog(this);
  readonly cursors: TopicCursors = new MemoryCursors(this);
  readonly offsets: PartitionOffsets = new MemoryOffsets(this);
  readonly deliveries: Deliveries = new MemoryDeliveries(this);
  readonly wake: Wake = new MemoryWake();

  private readonly undo: (() => void)[] = [];
  readonly payments = new Rows<Payment>(this.undo);
  /** Which payment each name leads to. */
  readonly names = new Rows<{ readonly name: string; readonly paymentKey: string }>(this.undo);
  readonly refunds = new Rows<KeptRefund>(this.undo);
  readonly providerRefunds = new Rows<string>(this.undo);
  readonly commands = new Rows<KeptCommand>(this.undo);
  readonly operations = new Rows<Operation>(this.undo);
  readonly events = new Rows<LogEntry>(this.undo);
  readonly sequences = new Rows<string>(this.undo);
  readonly marks = new Rows<bigint>(this.undo);
  readonly deadLetters = new Rows<DeadLetter>(this.undo);
  /** The pauses that stand. */
  readonly pauses = new Rows<Pause | null>(this.undo);
  readonly hours = new Rows<SendingHour>(this.undo);
  readonly deliveryRows = new Rows<Delivery>(this.undo);
  readonly limits = new Rows<Limit>(this.undo);
  /** Real time, by which calls are paced; it has nothing to do with `now`. */
  realMs = 0;
  readonly topicCursors = new Rows<Cursor>(this.undo);
  readonly halted = new Map<string, PartitionHalt>();
  readonly calls: KeptCall[] = [];
  sealed = 0;
  private ordinals = 0n;
  readonly disputes = new MemoryDisputes(
    this.undo,
    () => this.nextOrdinal(),
    (account, provider, name) => this.payments.get(this.names.get(at(account, provider, name))?.paymentKey ?? '')?.paidAt ?? null,
  );
  readonly evidenceFiles: EvidenceFiles = new MemoryEvidenceFiles(this.disputes);
  readonly watch: DisputeWatch = new MemoryDisputeWatch(this);

  constructor(
    readonly newId: () => string,
    public now: Date,
  ) {}

  /** All of it or nothing; there is no moment in between for anybody else. */
  transaction<T>(work: () => T): T {
    this.undo.length = 0;
    try {
      return work();
    } catch (error) {
      for (const takeBack of this.undo.reverse()) takeBack();
      throw error;
    } finally {
      this.undo.length = 0;
    }
  }

  /** The payments that somebody calls so, at whichever provider and account. */
  keysCalled(payment: string): Set<string> {
    return new Set(this.names.where(({ name }) => name.endsWith(at('', payment))).map(({ paymentKey }) => paymentKey));
  }

  standing(): Pause[] {
    return this.pauses.all().flatMap((pause) => pause ?? []);
  }

  nextOrdinal(): bigint {
    return ++this.ordinals;
  }

  later(ms: number): Date {
    return new Date(this.now.getTime() + ms);
  }

  isFree(leaseUntil: Date | null): boolean {
    return leaseUntil === null || leaseUntil <= this.now;
  }
}

class MemoryBook extends Book {
  constructor(private readonly stores: MemoryStores) {
    super();
  }

  async transact<T>(want: Want, decide: (set: WorkingSet) => T): Promise<T> {
    const { stores } = this;
    const { answer, set } = stores.transaction(() => {
      if (want.mark !== undefined) this.move(want.mark);
      const working = this.load(want);
      const decided = decide(working);
      working.finish();
      this.store(working, want);
      return { answer: decided, set: working };
    });
    const { log, newOperations, closedLanes, operations, endedPauses } = set.changes;
    if (log.length > 0) stores.wake.ring('unsealed');
    if (newOperations.size + closedLanes.size + operations.size + endedPauses.length > 0) stores.wake.ring('operations');
    return answer;
  }

  private move({ cluster, group, topic, partition, expected, next }: PartitionMark): void {
    const key = at(cluster, group, topic, partition);
    const known = this.stores.marks.get(key) ?? null;
    if (known !== expected) throw new Fenced(`${topic}[${partition}] was moved on from offset ${expected} by another consumer`);
    this.stores.marks.put(key, next);
  }

  private load(want: Want): WorkingSet {
    const { stores } = this;
    const keys = new Set<string>();
    for (const { account, provider, name, own, key } of want.payments ?? []) {
      if (stores.names.get(at(account, provider, name)) !== undefined) continue;
      if (stores.payments.get(key) === undefined) stores.payments.add(key, heardOf(key, account, provider, name, own));
      stores.names.add(at(account, provider, name), { name: at(account, provider, name), paymentKey: key });
    }
    const names = new Map<string, string>();
    for (const { account, provider, name } of [...(want.payments ?? []), ...(want.aliases ?? [])]) {
      const known = stores.names.get(at(account, provider, name));
      if (known === undefined) continue;
      names.set(known.name, known.paymentKey);
      keys.add(known.paymentKey);
    }

    const providerRefunds = new Map<string, string>();
    for (const { account, provider, id } of want.providerRefunds ?? []) {
      const refundId = stores.providerRefunds.get(at(account, provider, id));
      if (refundId !== undefined) providerRefunds.set(at(account, provider, id), refundId);
    }
    const refundIds = new Set([...(want.refunds ?? []), ...providerRefunds.values()]);
    for (const id of refundIds) {
      const paymentKey = stores.refunds.get(id)?.refund.paymentKey;
      if (paymentKey !== undefined) keys.add(paymentKey);
    }
    const operationIds = new Set(want.operations ?? []);
    for (const id of operationIds) {
      const paymentKey = stores.operations.get(id)?.paymentKey ?? null;
      if (paymentKey !== null) keys.add(paymentKey);
    }
    for (const key of stores.disputes.paymentKeys(want)) keys.add(key);

    const payments = [...keys].sort().flatMap((key) => stores.payments.get(key) ?? []);
    const { disputesOfPayments: which } = want;
    const ofPayments = which === 'all' || (which === 'disputed' && payments.some(({ refundableAt }) => refundableAt !== null));
    const refunds = stores.refunds.where(
      ({ refund }) =>
        refundIds.has(refund.id) || (keys.has(refund.paymentKey) && isWantedOfPayment(want, ofPayments, refund.status)),
    );
    const disputed = stores.disputes.load(want, keys, ofPayments);
    const disputeIds = new Set(disputed.disputes.map(({ id }) => id));
    const lanes = new Set([...payments.map(({ key }) => `refunds:${key}`), ...[...disputeIds].map(laneOf)]);
    const loaded = new Set(refunds.map(({ refund }) => refund.id));
    const targets = new Set([
      ...payments.map((each) => at('payment.read', each.account, each.provider, each.name)),
      ...(want.providerRefunds ?? []).map((each) => at('refund.read', each.account, each.provider, each.id)),
      ...[...(want.providerDisputes ?? []), ...disputed.disputes.map((each) => ({ ...each, id: each.providerDisputeId }))].map(
        (each) => at('dispute.read', each.account, each.provider, each.id),
      ),
      ...(want.warnings ?? []).map((each) => at('warning.read', each.account, each.provider, each.id)),
    ]);
    const operations = stores.operations.where(
      (each) =>
        want.unlocked !== true &&
        (operationIds.has(each.id) ||
          (isOpen(each) &&
            ((each.refundId !== null && loaded.has(each.refundId)) ||
              (each.lane === null && targets.has(at(each.kind, each.account, each.provider, each.target))) ||
              (each.disputeId !== null && disputeIds.has(each.disputeId)) ||
              (each.head && each.lane !== null && lanes.has(each.lane))))),
    );
    const references = new Map<string, string>();
    for (const { account, reference } of want.references ?? []) {
      const holder = holderOf(stores, account, reference);
      if (holder !== undefined) references.set(at(account, reference), holder);
    }
    return new WorkingSet(
      {
        now: stores.now,
        payments,
        names,
        refunds,
        ...disputed,
        providerRefunds,
        references,
        commands: (want.commands ?? []).flatMap((id) => stores.commands.get(id) ?? []),
        operations,
        busyLanes: new Set(operations.flatMap((each) => (each.lane !== null && each.head && isOpen(each) ? [each.lane] : []))),
        deadLetters: (want.deadLetters ?? []).flatMap((id) => stores.deadLetters.get(id) ?? []),
        pauses: want.sending === undefined ? [] : stores.standing(),
        hours: this.hours(want),
      },
      stores.newId,
    );
  }

  private hours({ sending, counted = [] }: Want): SendingHour[] {
    const { hours, now } = this.stores;
    if (sending === 'thrown') return hours.all();
    return counted.map((of) => hours.get(at(of.account, of.provider)) ?? newHour(of, now));
  }

  private store(set: WorkingSet, { unlocked }: Want): void {
    const { stores } = this;
    const { changes } = set;
    const changed = changes.payments.size + changes.operations.size + changes.newOperations.size > 0 || set.disputes.isChanged;
    if (unlocked === true && changed) {
      throw new Error('what was loaded without its lock was changed');
    }
    for (const key of changes.payments) this.storePayment(set.payment(key));
    for (const { account, provider, name, paymentKey } of changes.newAliases) {
      const full = at(account, provider, name);
      if (stores.names.get(full) === undefined) stores.names.add(full, { name: full, paymentKey });
    }
    for (const { from, to } of changes.moved) this.moveAll(from, to);
    for (const id of changes.newRefunds) {
      const kept = set.kept(id);
      this.storeRefund({ ...kept, refund: { ...kept.refund, ordinal: stores.nextOrdinal() } }, 'new');
    }
    for (const id of changes.refunds) this.storeRefund(set.kept(id), 'known');
    for (const { account, provider, id, refundId } of changes.newProviderRefunds) {
      stores.providerRefunds.add(at(account, provider, id), refundId);
    }
    stores.disputes.store(set.disputes, stores.now);
    for (const command of changes.commands) stores.commands.add(command.id, command);
    for (const id of changes.operations) this.storeOperation(set, id);
    for (const id of changes.newOperations) this.storeOperation(set, id);
    for (const lane of changes.closedLanes) this.promote(lane);
    stores.calls.push(...changes.calls);
    for (const letter of changes.deadLetters) stores.deadLetters.add(letter.id, letter);
    for (const letter of changes.endedDeadLetters) stores.deadLetters.put(letter.id, letter);
    for (const { id } of changes.endedPauses) stores.pauses.put(id, null);
    for (const pause of changes.newPauses) this.storePause(pause);
    for (const hour of set.hours())
      if (changes.hours.has(at(hour.account, hour.provider))) stores.hours.put(at(hour.account, hour.provider), hour);
    this.dispose(set);
    for (const entry of changes.log) this.tell(entry);
  }

  /** Decisions take room and never more than there is; facts are stored whatever they do. */
  private storePayment(payment: Payment): void {
    const before = this.stores.payments.get(payment.key);
    if (payment.reserved > (before?.reserved ?? 0n) && room(payment) < 0n) {
      const refusal: Refusal = new Error(`payment ${payment.name} has no room`);
      refusal.code = '23514';
      throw refusal;
    }
    this.stores.payments.put(payment.key, payment);
  }

  private storePause(pause: Pause): void {
    const { provider, account } = pause;
    if (this.stores.standing().some((each) => each.provider === provider && each.account === account)) {
      throw new Conflict('the same is paused already');
    }
    this.stores.pauses.add(pause.id, pause);
  }

  private moveAll(from: string, to: string): void {
    const { disputes, refunds, names } = this.stores;
    disputes.move(from, to);
    for (const kept of refunds.where(({ refund }) => refund.paymentKey === from)) {
      refunds.put(kept.refund.id, { ...kept, refund: { ...kept.refund, paymentKey: to } });
    }
    for (const { name } of names.where(({ paymentKey }) => paymentKey === from)) names.put(name, { name, paymentKey: to });
  }

  private storeRefund(kept: KeptRefund, which: 'new' | 'known'): void {
    const { id, account, reference, status } = kept.refund;
    if (reference !== null && status !== 'rejected') {
      const holder = holderOf(this.stores, account, reference);
      if (holder !== undefined && holder !== id) throw new Conflict(`reference ${reference} is ${holder}'s`);
    }
    if (which === 'new') this.stores.refunds.add(id, kept);
    else this.stores.refunds.put(id, kept);
  }

  private storeOperation(set: WorkingSet, id: string): void {
    const operation = set.operation(id);
    if (operation === undefined) throw new Error(`operation ${id} was not loaded`);
    const inTheWay = this.stores.operations.where(
      (other) =>
        other.id !== id &&
        isOpen(operation) &&
        isOpen(other) &&
        (operation.lane === null
          ? other.lane === null && at(other.kind, other.account, other.provider, other.target) === targetOf(operation)
          : other.lane === operation.lane && other.head && operation.head),
    );
    if (inTheWay.length > 0) throw new Conflict(`operation ${id} comes beside another`);
    this.stores.operations.put(id, operation);
  }

  /** Operations keep the order in which they came, so the next in line is the first that is open. */
  private promote(lane: string): void {
    const [next, ...others] = this.stores.operations.where((each) => each.lane === lane && isOpen(each));
    if (next === undefined || [next, ...others].some((each) => each.head)) return;
    this.stores.operations.put(next.id, { ...next, head: true });
  }

  private dispose(set: WorkingSet): void {
    const { deliveryRows } = this.stores;
    for (const mark of set.changes.deliveries) {
      const known = deliveryRows.get(mark.id);
      if (known !== undefined) deliveryRows.put(mark.id, { ...known, ...mark, leaseUntil: null });
    }
    for (const { operationId, disposition, detail, refundId, disputeId } of set.changes.answeredDeliveries) {
      for (const known of deliveryRows.where((each) => each.operationId === operationId && each.disposition === null)) {
        const about = { refundId: known.refundId ?? refundId, disputeId: known.disputeId ?? disputeId };
        deliveryRows.put(known.id, { ...known, disposition, detail, ...about });
      }
    }
  }

  private tell(entry: LogEntry): void {
    const { paymentKey, sequence } = entry;
    if (paymentKey !== null && sequence !== null) this.stores.sequences.add(at(paymentKey, String(sequence)), entry.id);
    this.stores.events.put(entry.id, entry);
  }
}

/** What of a payment's refunds comes along: those that wait for it, and those that went out of it. */
function isWantedOfPayment({ waiting }: Want, ofPayments: boolean, status: Refund['status']): boolean {
  if (status === 'requested') return waiting === true;
  return ofPayments && (status === 'succeeded' || status === 'pending');
}

const targetOf = (operation: Operation) => at(operation.kind, operation.account, operation.provider, operation.target);

function holderOf(stores: MemoryStores, account: string, reference: string): string | undefined {
  return stores.refunds.where(
    ({ refund }) => refund.account === account && refund.reference === reference && refund.status !== 'rejected',
  )[0]?.refund.id;
}

const accountOf = ({ account, provider }: Endpoint) => at(account, provider, 'all');
const endpointOf = ({ account, provider, kind }: Endpoint) => at(account, provider, kind);
const urgentFirst = (a: Operation, b: Operation) => a.priority - b.priority || a.runAt.getTime() - b.runAt.getTime();

class MemoryQueue extends OperationQueue {
  constructor(private readonly stores: MemoryStores) {
    super();
  }

  async limit(accounts: readonly AccountLimits[]): Promise<void> {
    const { limits, realMs } = this.stores;
    const unused = { nextAt: realMs - 3_600_000, share: 1, slowedAt: realMs - 3_600_000, limited: 0, locked: 0 };
    for (const { account, provider, perSecond, perSecondAndEndpoint, kinds = operationKinds } of accounts) {
      for (const kind of ['all', ...kinds]) {
        const key = at(account, provider, kind);
        const rate = kind === 'all' ? perSecond : perSecondAndEndpoint;
        limits.put(key, { ...(limits.get(key) ?? unused), rate });
      }
    }
  }

  async claim(limit: number, leaseMs: number, full: readonly Endpoint[] = []): Promise<Due[]> {
    const { stores } = this;
    const left = new Set(full.map(endpointOf));
    const due = stores.operations
      .where((each) => each.head && each.state === 'open' && each.runAt <= stores.now && stores.isFree(each.leaseUntil))
      .filter((each) => !left.has(endpointOf(each)))
      .filter((each) => each.kind !== 'refund.send' || !stores.standing().some((pause) => covers(pause, each)))
      .sort(urgentFirst);
    const taken = [...Map.groupBy(due, accountOf).values()]
      .flatMap((ofAccount) => this.turnsOf(ofAccount))
      .sort((a, b) => a.turn - b.turn || urgentFirst(a.operation, b.operation))
      .slice(0, limit);
    for (const named of [accountOf, endpointOf]) {
      for (const [name, { length }] of Map.groupBy(taken, ({ operation }) => named(operation))) this.spend(name, length);
    }
    return taken
      .map(({ operation, atMs }) => ({ ...this.take(operation, leaseMs), inMs: Math.max(0, atMs - stores.realMs) }))
      .sort(urgentFirst);
  }

  /** What one account may call soon: the urgent first, but for a kind that was passed over too long. */
  private turnsOf(ofAccount: readonly Operation[]) {
    const [whole] = ofAccount.map((each) => this.budget(accountOf(each)));
    if (whole === undefined) return [];
    const possible = [...Map.groupBy(ofAccount, endpointOf)].flatMap(([endpoint, same]) => {
      const own = this.budget(endpoint);
      const passedOver = own.nextAt < this.stores.realMs - pacing.patience * whole.paceMs;
      return same.slice(0, own.calls).map((operation, place) => {
        return { operation, first: passedOver && place === 0, atMs: own.startMs + place * own.paceMs };
      });
    });
    return possible
      .sort((a, b) => Number(b.first) - Number(a.first) || urgentFirst(a.operation, b.operation))
      .slice(0, whole.calls)
      .map(({ operation, atMs }, turn) => ({ operation, turn, atMs: Math.max(atMs, whole.startMs + turn * whole.paceMs) }));
  }

  /** What a limit can give up to a moment ahead; what has none is not held up. */
  private budget(name: string) {
    const { limits, realMs } = this.stores;
    const limit = limits.get(name);
    if (limit === undefined) return { calls: Infinity, startMs: -Infinity, paceMs: 0, nextAt: Infinity };
    const paceMs = 1_000 / (limit.rate * this.shareOf(limit));
    const startMs = Math.max(limit.nextAt, realMs - pacing.burstMs);
    const calls = Math.max(0, 1 + Math.floor((realMs + pacing.aheadMs - startMs) / paceMs));
    return { calls, startMs, paceMs, nextAt: limit.nextAt };
  }

  private spend(name: string, calls: number): void {
    const { startMs, paceMs } = this.budget(name);
    const limit = this.stores.limits.get(name);
    if (limit !== undefined) this.stores.limits.put(name, { ...limit, nextAt: startMs + calls * paceMs });
  }

  private shareOf({ share, slowedAt }: Limit): number {
    return Math.min(1, share + (pacing.recovery * (this.stores.realMs - slowedAt)) / 1_000);
  }

  private take(operation: Operation, leaseMs: number): Operation {
    const { stores } = this;
    const { now } = stores;
    const { kind, tries, firstSentAt } = operation;
    const begun = isBegunFirst(kind) ? {} : { tries: tries + 1, firstSentAt: firstSentAt ?? now, lastSentAt: now };
    const claimed = { ...operation, ...begun, fence: operation.fence + 1n, leaseUntil: stores.later(leaseMs) };
    stores.operations.put(operation.id, claimed);
    return claimed;
  }

  async meet(endpoint: Endpoint, { limited, locked, more }: Met): Promise<void> {
    const { limits, realMs } = this.stores;
    this.spend(accountOf(endpoint), more);
    this.spend(endpointOf(endpoint), more);
    const limit = limits.get(endpointOf(endpoint));
    if (limit === undefined) return;
    const slows = limited > 0 && limit.slowedAt < realMs - pacing.deafMs;
    const slower = { share: Math.max(pacing.slowest, pacing.slower * this.shareOf(limit)), slowedAt: realMs };
    const counted = { limited: limit.limited + limited, locked: limit.locked + locked };
    limits.put(endpointOf(endpoint), { ...limit, ...counted, ...(slows ? slower : {}) });
  }

  async renew(held: readonly { id: string; fence: bigint }[], leaseMs: number): Promise<void> {
    for (const each of this.stillHeld(held)) {
      if (each.leaseUntil !== null) this.stores.operations.put(each.id, { ...each, leaseUntil: this.stores.later(leaseMs) });
    }
  }

  async release(held: readonly { id: string; fence: bigint }[]): Promise<void> {
    for (const each of this.stillHeld(held)) this.stores.operations.put(each.id, { ...each, leaseUntil: null });
  }

  async parked(scope: Scope, after: bigint, limit: number): Promise<ParkedOperation[]> {
    return this.stores.operations
      .all()
      .map((each, index) => ({ ...each, ordinal: BigInt(index + 1) }))
      .filter((each) => each.state === 'parked' && each.ordinal > after && covers(scope, each))
      .slice(0, limit);
  }

  private stillHeld(held: readonly { id: string; fence: bigint }[]): Operation[] {
    return held.flatMap(({ id, fence }) => {
      const known = this.stores.operations.get(id);
      return known?.fence === fence && known.state === 'open' ? [known] : [];
    });
  }
}

class MemoryLog extends EventLog {
  constructor(private readonly stores: MemoryStores) {
    super();
  }

  async seal(limit: number): Promise<number> {
    const sealed = Math.min(limit, this.stores.events.all().length - this.stores.sealed);
    this.stores.sealed += sealed;
    return sealed;
  }

  async page(after: bigint, limit: number, { topics, type, payment }: LogFilter): Promise<SealedEntry[]> {
    return this.stores.events
      .all()
      .slice(0, this.stores.sealed)
      .map((entry, index) => ({ ...entry, position: BigInt(index + 1) }))
      .filter((entry) => entry.position > after)
      .filter((entry) => topics === undefined || topics.includes(entry.topic))
      .filter((entry) => type === undefined || entry.type === type)
      .filter((entry) => payment === undefined || this.stores.keysCalled(payment).has(entry.paymentKey ?? ''))
      .slice(0, limit);
  }

  async end(): Promise<bigint> {
    return BigInt(this.stores.sealed);
  }

  async ends(topics: readonly string[]): Promise<Map<string, bigint>> {
    const sealed = this.stores.events.all().slice(0, this.stores.sealed);
    return new Map(topics.map((topic) => [topic, BigInt(sealed.findLastIndex((entry) => entry.topic === topic) + 1)]));
  }
}

class MemoryCursors extends TopicCursors {
  constructor(private readonly stores: MemoryStores) {
    super();
  }

  async take(topic: string, holder: string, leaseMs: number): Promise<TopicTurn | null> {
    const { stores } = this;
    const known = stores.topicCursors.get(topic) ?? { position: 0n, fence: 0n, holder: null, leaseUntil: null };
    const mine = known.holder === holder;
    const over = stores.isFree(known.leaseUntil);
    if (known.holder !== null && !mine && !over) return null;
    const fence = mine && !over ? known.fence : known.fence + 1n;
    stores.topicCursors.put(topic, { position: known.position, fence, holder, leaseUntil: stores.later(leaseMs) });
    return { position: known.position, fence };
  }

  async advance(topic: string, fence: bigint, position: bigint): Promise<boolean> {
    const known = this.stores.topicCursors.get(topic);
    if (known === undefined || known.fence !== fence || known.position > position) return false;
    this.stores.topicCursors.put(topic, { ...known, position });
    return true;
  }

  async giveBack(topic: string, fence: bigint): Promise<void> {
    const known = this.stores.topicCursors.get(topic);
    if (known?.fence === fence) this.stores.topicCursors.put(topic, { ...known, holder: null, leaseUntil: null });
  }

  async deadLetters(ids: readonly string[]): Promise<DeadLetterRecord[]> {
    return ids.flatMap((id) => {
      const letter = this.stores.deadLetters.get(id);
      return letter === undefined ? [] : [{ id, key: letter.key, value: letter.value, headers: letter.headers }];
    });
  }
}

class MemoryOffsets extends PartitionOffsets {
  constructor(private readonly stores: MemoryStores) {
    super();
  }

  async load(cluster: string, group: string, topic: string, partitions: readonly number[]): Promise<Map<number, bigint | null>> {
    return new Map(partitions.map((each) => [each, this.stores.marks.get(at(cluster, group, topic, each)) ?? null]));
  }

  async halt(cluster: string, group: string, topic: string, partition: number, reason: string): Promise<void> {
    const key = at(cluster, group, topic, partition);
    const { id, since } = this.stores.halted.get(key) ?? { id: this.stores.newId(), since: this.stores.now };
    this.stores.halted.set(key, { id, cluster, group, topic, partition, reason, since });
  }

  async goOn(cluster: string, group: string, topic: string, partitions: readonly number[]): Promise<void> {
    for (const partition of partitions) this.stores.halted.delete(at(cluster, group, topic, partition));
  }

  async halts(): Promise<PartitionHalt[]> {
    return [...this.stores.halted.values()].sort((a, b) =>
      a.topic < b.topic ? -1 : a.topic > b.topic ? 1 : a.partition - b.partition,
    );
  }
}

class MemoryDeliveries extends Deliveries {
  constructor(private readonly stores: MemoryStores) {
    super();
  }

  async store(deliveries: readonly NewDelivery[]): Promise<void> {
    for (const delivery of deliveries) {
      const id = this.stores.newId();
      const rest = { receivedAt: this.stores.now, operationId: null, refundId: null, disputeId: null, leaseUntil: null };
      this.stores.deliveryRows.put(id, { ...delivery, id, ...rest });
    }
    if (deliveries.some(({ disposition }) => disposition === null)) this.stores.wake.ring('deliveries');
  }

  async claim(limit: number, leaseMs: number): Promise<PendingDelivery[]> {
    const { stores } = this;
    const all = stores.deliveryRows.all();
    return all
      .filter((each) => each.disposition === null && each.operationId === null && stores.isFree(each.leaseUntil))
      .slice(0, limit)
      .map((each) => {
        stores.deliveryRows.put(each.id, { ...each, leaseUntil: stores.later(leaseMs) });
        const repeated = all
          .slice(0, all.indexOf(each))
          .some((other) => sameNotice(each, other) && other.disposition !== 'rejected');
        const { id, account, provider, receivedAt } = each;
        return { id, account, provider, receivedAt, noticeId: each.noticeId ?? '', body: each.body ?? Buffer.alloc(0), repeated };
      });
  }

  async replay(id: string): Promise<boolean> {
    const { stores } = this;
    const known = stores.deliveryRows.get(id);
    if (known === undefined || known.body === null) return false;
    stores.deliveryRows.put(id, { ...known, disposition: null, detail: null, operationId: null, leaseUntil: null });
    stores.wake.ring('deliveries');
    return true;
  }
}

function sameNotice(a: NewDelivery, b: NewDelivery): boolean {
  return a.account === b.account && a.provider === b.provider && a.noticeId === b.noticeId;
}

class MemoryWake extends Wake {
  private readonly listeners = new Map<Work, Set<() => void>>();

  ring(work: Work): void {
    for (const listener of this.listeners.get(work) ?? []) listener();
  }

  on(work: Work, listener: () => void): () => void {
    const known = this.listeners.get(work) ?? new Set();
    this.listeners.set(work, known.add(listener));
    return () => known.delete(listener);
  }
}
