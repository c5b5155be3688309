/* What a transaction loaded, as it stands after each decision; and what of it is to be stored. */
import { DisputeSet } from '#application/dispute-set';
import type { LogEntry } from '#application/event-log';
import type {
  AnsweredDeliveries,
  Cause,
  CommandOutcome,
  DeadLetter,
  DeliveryMark,
  KeptCall,
  KeptCommand,
  KeptRefund,
  Loaded,
  Origin,
  PaymentName,
  ProviderRefundName,
} from '#application/kept';
import { isOpen, type Operation, type Sweep } from '#application/operations';
import { publicDispute, publicWarning, refundSummary, refundability } from '#application/messages';
import { covers, newHour, type Pause, type ProviderAccount, type SendingHour } from '#application/sending';
import { account, joined, type Payment } from '#domain/payment/payment';
import { evolve, type Refund, type RefundEvent } from '#domain/refund/refund';
import { topics, paymentKey as kafkaKey } from '#contracts/topics';
import type { Provider } from '#contracts/refund-commands';

const nameOf = (account: string, provider: string, name: string) => `${account}:${provider}:${name}`;

/** What was loaded, as it stands after each decision. Whoever decides next in the same batch sees what the one before did. */
export class WorkingSet {
  readonly now: Date;
  private readonly payments = new Map<string, Payment>();
  private readonly names: Map<string, string>;
  private readonly refunds = new Map<string, KeptRefund>();
  private readonly byProviderId: Map<string, string>;
  private readonly references: Map<string, string>;
  private readonly commands = new Map<string, KeptCommand>();
  private readonly operations = new Map<string, Operation>();
  private readonly busyLanes: Set<string>;
  private readonly refundsOf = new Index();
  private readonly operationsOf = new Index();
  /** The reading that serves whoever asks for the same. */
  private readonly readings = new Map<string, string>();
  private readonly before = new Map<string, Payment>();
  private readonly deadLetters = new Map<string, DeadLetter>();
  private readonly standing: Pause[];
  private readonly sent = new Map<string, SendingHour>();
  readonly disputes: DisputeSet;
  /** What is to be stored. */
  readonly changes = {
    payments: new Set<string>(),
    newAliases: [] as { account: string; provider: string; name: string; paymentKey: string }[],
    moved: [] as { from: string; to: string }[],
    newRefunds: new Set<string>(),
    refunds: new Set<string>(),
    newProviderRefunds: [] as { account: string; provider: string; id: string; refundId: string; attempt: number }[],
    commands: [] as KeptCommand[],
    newOperations: new Set<string>(),
    operations: new Set<string>(),
    closedLanes: new Set<string>(),
    calls: [] as KeptCall[],
    log: [] as LogEntry[],
    deadLetters: [] as DeadLetter[],
    endedDeadLetters: [] as DeadLetter[],
    newPauses: [] as Pause[],
    endedPauses: [] as { id: string; reason: string; by: string }[],
    hours: new Set<string>(),
    deliveries: [] as DeliveryMark[],
    /** Unknown outcomes that became known, and how long that took. */
    certainties: [] as { account: string; provider: string; seconds: number }[],
    /** Deliveries that wait for an operation, and how its answer disposes of them. */
    answeredDeliveries: [] as AnsweredDeliveries[],
  };

  constructor(
    loaded: Loaded,
    private readonly newId: () => string,
  ) {
    this.now = loaded.now;
    for (const payment of loaded.payments) {
      this.payments.set(payment.key, payment);
      this.before.set(payment.key, payment);
    }
    this.names = new Map(loaded.names);
    for (const kept of loaded.refunds) this.keep(kept);
    this.byProviderId = new Map(loaded.providerRefunds);
    this.references = new Map(loaded.references);
    for (const command of loaded.commands) this.commands.set(command.id, command);
    for (const operation of loaded.operations) this.keepOperation(operation);
    this.busyLanes = new Set(loaded.busyLanes);
    for (const letter of loaded.deadLetters) this.deadLetters.set(letter.id, letter);
    this.standing = [...loaded.pauses];
    for (const hour of loaded.hours) this.sent.set(accountOf(hour), hour);
    this.disputes = new DisputeSet(loaded, {
      now: this.now,
      payment: (key) => this.payment(key),
      setPayment: (payment) => this.setPayment(payment),
      tell: (type, dispute, previousStatus, cause) => {
        const payment = this.payment(dispute.paymentKey);
        const why = type === 'attention_needed' ? { why: dispute.attention } : {};
        const data = { dispute: publicDispute(dispute, payment), previousStatus, ...why };
        const { disputeEvents: topic } = topics;
        this.logOf(payment, { topic, type: `redress.dispute.${type}.v1`, subject: dispute.id, data, cause });
      },
      tellWarning: (warning, cause) => {
        const payment = this.payment(warning.paymentKey);
        const data = { warning: publicWarning(warning, payment) };
        const { disputeEvents: topic } = topics;
        this.logOf(payment, { topic, type: 'redress.fraud_warning.received.v1', subject: warning.id, data, cause });
      },
    });
  }

  /** So long after now; before it, if negative. */
  later(ms: number): Date {
    return new Date(this.now.getTime() + ms);
  }

  payment(key: string): Payment {
    const payment = this.payments.get(key);
    if (payment === undefined) throw new Error(`payment ${key} was not loaded`);
    return payment;
  }

  paymentCalled(name: { account: string; provider: string; name: string }): Payment {
    const key = this.names.get(nameOf(name.account, name.provider, name.name));
    if (key === undefined) throw new Error(`payment ${name.name} was not loaded`);
    return this.payment(key);
  }

  /** Whether anybody has heard of a payment under this name. */
  knowsPayment(name: { account: string; provider: string; name: string }): boolean {
    return this.names.has(nameOf(name.account, name.provider, name.name));
  }

  refund(id: string): Refund | undefined {
    return this.refunds.get(id)?.refund;
  }

  origin(id: string): Origin | null {
    return this.refunds.get(id)?.origin ?? null;
  }

  refundCalled(name: ProviderRefundName): Refund | undefined {
    const id = this.byProviderId.get(nameOf(name.account, name.provider, name.id));
    return id === undefined ? undefined : this.refund(id);
  }

  refundWithReference(account: string, reference: string): string | undefined {
    return this.references.get(`${account}:${reference}`);
  }

  command(id: string): KeptCommand | undefined {
    return this.commands.get(id);
  }

  operation(id: string): Operation | undefined {
    return this.operations.get(id);
  }

  /** Refunds of a payment that wait for a reading, in order of arrival. */
  waiting(paymentKey: string): Refund[] {
    return this.refundsOf
      .of(paymentKey)
      .map((id) => this.kept(id).refund)
      .filter((refund) => refund.paymentKey === paymentKey && refund.status === 'requested')
      .sort((a, b) => compareOrdinals(a.ordinal, b.ordinal));
  }

  /** Refunds of a payment that went out, oldest first; all of them where disputes of payments were wanted. */
  wentOut(paymentKey: string): Refund[] {
    return this.refundsOf
      .of(paymentKey)
      .map((id) => this.kept(id).refund)
      .filter(({ paymentKey: of, status }) => of === paymentKey && (status === 'succeeded' || status === 'pending'))
      .sort((a, b) => a.createdAt.getTime() - b.createdAt.getTime());
  }

  /** The first in a lane, where it was loaded. */
  headOf(lane: string): Operation | undefined {
    return [...this.operations.values()].find((each) => each.lane === lane && each.head && isOpen(each));
  }

  /** Open operations about a dispute. */
  openOperationsOfDispute(disputeId: string): Operation[] {
    return [...this.operations.values()].filter((each) => each.disputeId === disputeId && isOpen(each));
  }

  /** Open operations of a refund. */
  openOperations(refundId: string): Operation[] {
    return this.operationsOf
      .of(refundId)
      .flatMap((id) => this.operations.get(id) ?? [])
      .filter(isOpen);
  }

  /** Adds a refund that came in as a command or was found at the provider, and tells so. */
  addRefund(refund: Refund, origin: Origin | null, cause: Cause): void {
    const told = refund.origin === 'discovered' || this.payment(refund.paymentKey).settled;
    this.keep({ refund, origin, told });
    this.changes.newRefunds.add(refund.id);
    this.holdReference(refund);
    this.setPayment(account(this.payment(refund.paymentKey), null, refund));
    this.bindProviderId(refund, null);
    const type = refund.origin === 'discovered' ? 'discovered' : 'requested';
    if (told) this.tell(type, refund, null, cause);
  }

  /** Applies events to a refund and its payment, and tells them in the log. */
  record(refundId: string, events: readonly RefundEvent[], cause: Cause): Refund {
    const kept = this.kept(refundId);
    const start = kept.refund;
    if (events.length === 0) return start;
    if (!kept.told) this.tell('requested', start, null, cause);
    let refund = start;
    for (const event of events) {
      refund = evolve(refund, { ...event, at: this.now });
      this.tell(event.type, refund, start.status, cause);
    }
    if (start.unknownSince !== null && refund.unknownSince === null) {
      const seconds = (this.now.getTime() - start.unknownSince.getTime()) / 1_000;
      this.changes.certainties.push({ account: refund.account, provider: refund.provider, seconds });
    }
    this.keep({ ...kept, refund, told: true });
    this.holdReference(refund);
    this.setPayment(account(this.payment(refund.paymentKey), start, refund));
    this.bindProviderId(refund, start.providerRefundId);
    if (!this.changes.newRefunds.has(refundId)) this.changes.refunds.add(refundId);
    if (start.outcome === null && refund.outcome !== null) this.tellOutcome(refund);
    return refund;
  }

  /** The command of a refund that was met at the provider first. */
  claim(refundId: string, events: readonly RefundEvent[], origin: Origin, cause: Cause): void {
    this.keep({ ...this.kept(refundId), origin });
    this.record(refundId, events, cause);
  }

  /** The command behind a refund came again. It gets the first outcome again, now or as soon as there is one. */
  repeat(refundId: string): void {
    const kept = this.refunds.get(refundId);
    if (kept?.origin?.door !== 'kafka') return;
    if (kept.refund.outcome !== null) {
      this.logOutcome(kept.refund, kept.origin, 'repeated');
      return;
    }
    this.keep({ ...kept, origin: { ...kept.origin, repeats: kept.origin.repeats + 1 } });
    if (!this.changes.newRefunds.has(refundId)) this.changes.refunds.add(refundId);
  }

  setPayment(payment: Payment): void {
    if (this.payments.get(payment.key) === payment) return;
    this.payments.set(payment.key, payment);
    this.changes.payments.add(payment.key);
  }

  /** The payment under its own name, with all that was heard of it under others. Returns the payment to go on with. */
  settle(heard: Payment, own: PaymentName, aliases: readonly string[]): Payment {
    const { account: at, provider } = heard;
    const { key } = this.paymentCalled(own);
    for (const name of [heard.name, ...aliases]) {
      const known = this.names.get(nameOf(at, provider, name));
      if (known === key) continue;
      if (known !== undefined) this.merge(this.payment(known), key);
      else this.changes.newAliases.push({ account: at, provider, name, paymentKey: key });
      this.names.set(nameOf(at, provider, name), key);
    }
    return this.payment(key);
  }

  /** What was heard under a name that is another payment's. Nothing was reserved there: that takes facts, and they settle the name. */
  private merge(heard: Payment, into: string): void {
    if (heard.reserved > 0n) throw new Error(`payment ${heard.name} holds room and cannot be another one`);
    for (const id of this.refundsOf.of(heard.key)) {
      const kept = this.kept(id);
      if (kept.refund.paymentKey === heard.key) this.keep({ ...kept, refund: { ...kept.refund, paymentKey: into } });
    }
    this.disputes.move(heard.key, into);
    const [sums, nothing] = joined(heard, this.payment(into));
    this.setPayment(sums);
    this.setPayment(nothing);
    this.changes.moved.push({ from: heard.key, to: into });
  }

  addCommand(command: KeptCommand): void {
    this.commands.set(command.id, command);
    this.changes.commands.push(command);
  }

  /** Adds a send; behind what its lane already holds. */
  addOperation(wanted: WantedOperation, more: { readonly id: string; readonly sweep: Sweep } | null = null): Operation {
    const { lane } = wanted;
    const added: Operation = {
      disputeId: null,
      ...wanted,
      id: more?.id ?? this.newId(),
      sweep: more?.sweep ?? null,
      head: lane === null || !this.busyLanes.has(lane),
      tries: 0,
      firstSentAt: null,
      lastSentAt: null,
      state: 'open',
      again: false,
      listings: 0,
      refusal: null,
      result: null,
      fence: 0n,
      leaseUntil: null,
      createdAt: this.now,
      doneAt: null,
    };
    if (lane !== null) this.busyLanes.add(lane);
    this.keepOperation(added);
    this.changes.newOperations.add(added.id);
    return added;
  }

  /** Adds a reading. One that waits already serves the newcomer too: sooner, or once more when it is under way. */
  addRead(read: Omit<WantedOperation, 'lane' | 'key' | 'attempt'>): Operation {
    const open = this.operations.get(this.readings.get(readingOf(read)) ?? '');
    if (open === undefined || !isOpen(open)) return this.addOperation({ ...read, lane: null, key: null, attempt: 0 });
    // A poll that is due later needs no second look: the reading under way plans it by what it sees.
    const tooOld = open.leaseUntil !== null && open.leaseUntil > this.now && read.runAt <= this.now;
    return this.changeOperation(open.id, {
      state: 'open',
      runAt: open.runAt < read.runAt ? open.runAt : read.runAt,
      priority: Math.min(open.priority, read.priority),
      again: open.again || tooOld,
      refundId: open.refundId ?? read.refundId,
      disputeId: open.disputeId ?? read.disputeId ?? null,
      paymentKey: open.paymentKey ?? read.paymentKey,
    });
  }

  /** Whether a reading of the payment is planned, under way, or parked. */
  isBeingRead({ account, provider, name: target }: Payment): boolean {
    const reading = this.operations.get(this.readings.get(readingOf({ account, provider, kind: 'payment.read', target })) ?? '');
    return reading !== undefined && isOpen(reading);
  }

  changeOperation(id: string, change: Partial<Operation>): Operation {
    const operation = this.operations.get(id);
    if (operation === undefined) throw new Error(`operation ${id} was not loaded`);
    const changed = { ...operation, ...change };
    this.keepOperation(changed);
    if (!this.changes.newOperations.has(id)) this.changes.operations.add(id);
    if (changed.lane !== null && operation.state !== changed.state && (changed.state === 'done' || changed.state === 'dropped')) {
      this.changes.closedLanes.add(changed.lane);
    }
    return changed;
  }

  addCalls(calls: readonly KeptCall[]): void {
    this.changes.calls.push(...calls);
  }

  /** The pauses that stand; known with `sending` only. */
  pauses(): readonly Pause[] {
    return this.standing;
  }

  pauseOf(of: ProviderAccount): Pause | undefined {
    return this.standing.find((pause) => covers(pause, of));
  }

  addPause(wanted: Omit<Pause, 'id'>): Pause {
    const pause = { ...wanted, id: this.newId() };
    this.standing.push(pause);
    this.changes.newPauses.push(pause);
    return pause;
  }

  endPause({ id }: Pause, why: { readonly reason: string; readonly by: string }): void {
    this.standing.splice(
      this.standing.findIndex((pause) => pause.id === id),
      1,
    );
    this.changes.endedPauses.push({ id, ...why });
  }

  /** What was sent in each account's hour: of all with the switch `thrown`, else of those that were wanted as counted. */
  hours(): readonly SendingHour[] {
    return [...this.sent.values()];
  }

  hourOf(of: ProviderAccount): SendingHour {
    return this.sent.get(accountOf(of)) ?? newHour(of, this.now);
  }

  setHour(hour: SendingHour): void {
    this.sent.set(accountOf(hour), hour);
    this.changes.hours.add(accountOf(hour));
  }

  deadLetter(id: string): DeadLetter | undefined {
    return this.deadLetters.get(id);
  }

  endDeadLetter(letter: DeadLetter, how: Pick<DeadLetter, 'end' | 'endedBy' | 'endDetail' | 'refundId'>): DeadLetter {
    const ended = { ...letter, ...how, endedAt: this.now };
    this.deadLetters.set(letter.id, ended);
    this.changes.endedDeadLetters.push(ended);
    return ended;
  }

  addDeadLetter(letter: NewDeadLetter, dlqTopic: string): string {
    const id = this.newId();
    const waiting = { end: null, endedAt: null, endedBy: null, endDetail: null, refundId: null };
    this.changes.deadLetters.push({ ...letter, ...waiting, id, at: this.now });
    this.log({ topic: dlqTopic, type: 'redress.dead_letter.v1', account: 'default', key: null, subject: id, data: '{}' });
    return id;
  }

  disposeDelivery(mark: DeliveryMark): void {
    this.changes.deliveries.push(mark);
  }

  disposeAnswered(answered: AnsweredDeliveries): void {
    this.changes.answeredDeliveries.push(answered);
  }

  /** A command's one outcome when no refund of ours carries it. */
  tellCommandOutcome(
    command: { account: string; source: string; id: string; correlationId: string | null; traceparent: string | null },
    outcome: CommandOutcome,
  ): void {
    const { code, detail, refundId, disputeId } = outcome;
    const about = { ...(refundId === undefined ? {} : { refundId }), ...(disputeId === undefined ? {} : { disputeId }) };
    const known = { commandSource: command.source, commandId: command.id, ...about };
    const why = { ...(code === undefined ? {} : { code }), ...(detail === undefined ? {} : { detail }) };
    const data = outcome.kind === 'repeated' ? { ...known, first: { outcome: outcome.first, ...why } } : { ...known, ...why };
    this.log({
      topic: outcome.topic ?? topics.refundOutcomes,
      type: `redress.command.${outcome.kind}.v1`,
      account: command.account,
      key: outcome.key,
      subject: refundId ?? disputeId ?? command.id,
      correlationId: command.correlationId ?? command.id,
      causationId: command.id,
      traceparent: command.traceparent,
      data: JSON.stringify(data),
    });
  }

  /** Adds the balances that changed to the log, and brings together what goes to one topic; the book calls it last. */
  finish(): void {
    for (const key of this.changes.payments) {
      const payment = this.payment(key);
      const news = refundability(payment);
      if (news === null || payment.version === this.before.get(key)?.version) continue;
      this.log({
        topic: topics.refundability,
        type: 'redress.payment.refundability_changed.v1',
        account: payment.account,
        key: keyOf(payment),
        subject: payment.name,
        paymentKey: payment.key,
        data: JSON.stringify(news),
      });
    }
    // A payment's story stays in its order whatever topics it goes to; the rest has an order within its topic alone.
    const byTopic = Map.groupBy(this.changes.log, ({ sequence, topic }) => (sequence === null ? topic : 'stories'));
    const stories = byTopic.get('stories') ?? [];
    byTopic.delete('stories');
    this.changes.log = [...stories, ...[...byTopic.values()].flat()];
  }

  /** The kept refund as it is to be stored. */
  kept(refundId: string): KeptRefund {
    const kept = this.refunds.get(refundId);
    if (kept === undefined) throw new Error(`refund ${refundId} was not loaded`);
    return kept;
  }

  private tell(type: RefundEvent['type'], refund: Refund, previousStatus: Refund['status'] | null, cause: Cause): void {
    const payment = this.payment(refund.paymentKey);
    const origin = this.origin(refund.id);
    const data = {
      refund: refundSummary(refund, payment),
      previousStatus,
      ...(type === 'attention_needed' ? { why: refund.attention } : {}),
    };
    this.logOf(payment, {
      topic: topics.refundEvents,
      type: `redress.refund.${type}.v1`,
      subject: refund.id,
      data,
      cause,
      correlationId: origin?.correlationId ?? origin?.id ?? refund.id,
      traceparent: origin?.traceparent ?? null,
    });
  }

  /** An event of a payment's story, with the payment's next number. */
  private logOf(payment: Payment, { data, cause, ...entry }: PaymentEvent): void {
    const sequence = payment.sequence + 1n;
    this.setPayment({ ...payment, sequence });
    this.log({
      account: payment.account,
      key: keyOf(payment),
      paymentKey: payment.key,
      sequence,
      correlationId: entry.subject,
      causationId: cause.causationId,
      ...entry,
      data: JSON.stringify(data),
    });
  }

  private tellOutcome(refund: Refund): void {
    const origin = this.origin(refund.id);
    if (origin?.door !== 'kafka') return;
    this.logOutcome(refund, origin, refund.outcome ?? 'accepted');
    for (let repeat = 0; repeat < origin.repeats; repeat += 1) this.logOutcome(refund, origin, 'repeated');
  }

  private logOutcome(refund: Refund, origin: Origin, kind: CommandOutcome['kind']): void {
    const rejected = refund.outcome === 'rejected' ? refund.rejection : null;
    this.tellCommandOutcome(
      { ...origin, account: refund.account },
      {
        kind,
        key: keyOf(this.payment(refund.paymentKey)),
        refundId: refund.id,
        ...(rejected === null ? {} : { code: rejected.code, detail: rejected.detail }),
        first: refund.outcome ?? 'accepted',
      },
    );
  }

  private log(entry: Pick<LogEntry, 'topic' | 'type' | 'account' | 'key' | 'subject' | 'data'> & Partial<LogEntry>): void {
    this.changes.log.push({
      id: `evt_${this.newId().replaceAll('-', '')}`,
      paymentKey: null,
      sequence: null,
      time: this.now,
      correlationId: null,
      causationId: null,
      traceparent: null,
      ...entry,
    });
  }

  private keep(kept: KeptRefund): void {
    this.refunds.set(kept.refund.id, kept);
    this.refundsOf.add(kept.refund.paymentKey, kept.refund.id);
  }

  private keepOperation(operation: Operation): void {
    this.operations.set(operation.id, operation);
    if (operation.refundId !== null) this.operationsOf.add(operation.refundId, operation.id);
    if (operation.lane === null && isOpen(operation)) this.readings.set(readingOf(operation), operation.id);
  }

  /** A reference is its first holder's, until that one is rejected. */
  private holdReference({ id, account: at, reference, status }: Refund): void {
    if (reference === null) return;
    const name = `${at}:${reference}`;
    const holder = this.references.get(name);
    if (holder === undefined && status !== 'rejected') this.references.set(name, id);
    if (holder === id && status === 'rejected') this.references.delete(name);
  }

  /** One refund at the provider is one of ours: whoever has the id keeps it. */
  private bindProviderId(refund: Refund, before: string | null): void {
    const { account: at, provider, providerRefundId: id } = refund;
    if (id === null || id === before || this.byProviderId.has(nameOf(at, provider, id))) return;
    this.byProviderId.set(nameOf(at, provider, id), refund.id);
    this.changes.newProviderRefunds.push({ account: at, provider, id, refundId: refund.id, attempt: refund.attempt });
  }
}

type NewDeadLetter = Omit<DeadLetter, 'id' | 'at' | 'end' | 'endedAt' | 'endedBy' | 'endDetail' | 'refundId'>;

type WantedOperation = Pick<
  Operation,
  'account' | 'provider' | 'kind' | 'target' | 'refundId' | 'paymentKey' | 'lane' | 'key' | 'attempt' | 'runAt' | 'priority'
> &
  Partial<Pick<Operation, 'disputeId'>>;

type PaymentEvent = Pick<LogEntry, 'topic' | 'type' | 'subject'> &
  Partial<Pick<LogEntry, 'correlationId' | 'traceparent'>> & { readonly cause: Cause; readonly data: object };

/** Ids by what they belong to, in order of arrival. What has left since is for the asker to see. */
class Index {
  private readonly ids = new Map<string, Set<string>>();

  add(owner: string, id: string): void {
    const known = this.ids.get(owner);
    if (known === undefined) this.ids.set(owner, new Set([id]));
    else known.add(id);
  }

  of(owner: string): string[] {
    return [...(this.ids.get(owner) ?? [])];
  }
}

const accountOf = ({ account: at, provider }: ProviderAccount) => `${at}:${provider}`;

const readingOf = ({ account: at, provider, kind, target }: Pick<Operation, 'account' | 'provider' | 'kind' | 'target'>) =>
  `${kind}:${nameOf(at, provider, target)}`;

function keyOf(payment: Payment): string {
  return kafkaKey({ account: payment.account, provider: payment.provider as Provider, paymentId: payment.name });
}

function compareOrdinals(a: bigint | null, b: bigint | null): number {
  if (a === b) return 0;
  if (a === null) return 1;
  if (b === null) return -1;
  return a < b ? -1 : 1;
}
