/*
 * All of Redress in one process without I/O: two doors, workers, the stores in memory that are held to PostgreSQL's, a topic of commands
 * and two providers with books of their own. Every await of our ports is a step of the clockwork; there a process may fail, die or freeze.
 */
import { Logger } from '@nestjs/common';
import { Book } from '#application/book';
import { HandleDeliveries } from '#application/deliveries';
import { DisputeCommands, type ReceivedDisputeCommand } from '#application/dispute-commands';
import { Conflict, Fenced, Unavailable } from '#application/errors';
import type { Want } from '#application/kept';
import { EvidenceDesk } from '#application/evidence-desk';
import { OperationQueue } from '#application/operations';
import { Providers } from '#application/providers';
import type { ReceivedRecord } from '#application/received-batch';
import { RecordAnswers } from '#application/record-answers';
import { RefundCommands, type ReceivedCommand } from '#application/refund-commands';
import { RunOperations } from '#application/run-operations';
import { beginSweeps } from '#application/sweeps';
import { Upkeep } from '#application/upkeep';
import { WatchDeadlines, type DisputePolicy } from '#application/watch-deadlines';
import type { WorkingSet } from '#application/working-set';
import { deadLetterTopic, topics } from '#contracts/topics';
import { usualTerms } from '#domain/dispute/dispute';
import type { Notice } from '#domain/ports/provider-notices';
import { TopicCarrier } from '#messaging/event-relay';
import { Batch } from '#messaging/kafka-batch';
import { CommandsConsumer } from '../../apps/worker/src/commands.consumer.js';
import { MemoryStores } from '../fakes/memory-stores.js';
import { ScriptedNotices } from '../fakes/redress-in-memory.js';
import { ScriptedDisputes, type DisputeFate } from '../fakes/scripted-disputes.js';
import { ScriptedProvider, type Fate } from '../fakes/scripted-provider.js';
import { type Chance, type Clockwork, type Walker } from './clockwork.js';
import { judgeCommit } from './model.js';
import { KafkaTrouble, SimulatedKafka } from './simulated-kafka.js';

export const partitions = 3;
const leaseMs = 30_000;
const settings = { atOnce: 8, leaseMs, callMs: 20_000 };
const group = { cluster: 'default', group: 'redress' } as const;
export const taken = [topics.refundCommands, topics.disputeCommands] as const;
export type Taken = (typeof taken)[number];

/** How often what goes wrong; none of it once a story has been healed. */
export interface Troubles {
  /** A commit that is in the way of another, or of which nobody hears. */
  conflict: number;
  lostCommit: number;
  /** A call that gets lost, or its answer, or is turned away. */
  call: number;
  /** A step of Kafka's that fails, or a commit of which nobody hears. */
  kafka: number;
}

export const healthy: Troubles = { conflict: 0, lostCommit: 0, call: 0, kafka: 0 };

/** What goes out to Kafka. */
export const relayed = [
  topics.refundOutcomes,
  topics.refundEvents,
  topics.disputeOutcomes,
  topics.disputeEvents,
  topics.refundability,
  deadLetterTopic(topics.refundCommands),
  deadLetterTopic(topics.disputeCommands),
] as const;
const relay = { pageSize: 20, leaseMs: 10_000, backoff: { firstMs: 200, mostMs: 10_000 } };

/** One process of the service; as good as any other. */
export interface Process extends Walker {
  readonly commands: RefundCommands;
  readonly disputes: DisputeCommands;
  readonly desk: EvidenceDesk;
  readonly upkeep: Upkeep;
  readonly consumer: CommandsConsumer;
  readonly rounds: Readonly<
    Record<'operations' | 'renew' | 'deliveries' | 'deadlines' | 'seal' | 'sweeps', () => Promise<number>>
  >;
  readonly carriers: ReadonlyMap<string, TopicCarrier>;
  /** Rounds under way. */
  readonly busy: Set<string>;
  /** Where it believes each partition to stand; undefined before it has asked. */
  readonly stands: Map<string, bigint | null>;
}

export class World {
  readonly stores: MemoryStores;
  readonly stripe = new ScriptedProvider({ provider: 'stripe' });
  readonly zamp = new ScriptedProvider({ provider: 'zamp', lists: false });
  readonly bank: ScriptedDisputes;
  readonly notices = new Map<string, Notice>();
  readonly logs = new Map(taken.map((topic) => [topic, Array.from({ length: partitions }, (): ReceivedRecord[] => [])]));
  /** Until when, on the story's clock, a provider cannot be reached. */
  readonly awayUntil = new Map<string, number>();
  policy: DisputePolicy = { fileAtDeadline: false, acceptBelow: {} };
  readonly kafka: SimulatedKafka;
  readonly failures: string[] = [];
  /** How often each thing was met. */
  readonly met = new Map<string, number>();
  troubles: Troubles = { ...healthy };
  private ids = 0;
  private numbers = 0;

  constructor(
    readonly clockwork: Clockwork,
    readonly startedAt: number,
  ) {
    Logger.overrideLogger(false);
    const newId = () => `00000000-0000-4000-8000-${String(++this.ids).padStart(12, '0')}`;
    this.stores = new MemoryStores(newId, new Date(startedAt));
    for (const provider of [this.stripe, this.zamp]) provider.now = () => this.stores.now;
    this.stripe.keysLiveMs = 24 * 3_600_000;
    this.bank = new ScriptedDisputes({ now: () => this.stores.now });
    this.kafka = new SimulatedKafka(this);
    this.stripe.disputesOf = (payment, at) => this.bank.ofPayment(payment, at);
  }

  get chance(): Chance {
    return this.clockwork.chance;
  }

  count(what: string): void {
    this.met.set(what, (this.met.get(what) ?? 0) + 1);
  }

  /** Something went wrong: counted by itself, and with every status that a refund or a dispute has at that moment. */
  fault(what: string): void {
    this.count(what);
    const refunds = this.stores.refunds.all().map(({ refund }) => refund.status);
    const disputes = this.stores.disputes.disputes.all().map(({ status }) => `dispute ${status}`);
    for (const status of new Set([...refunds, ...disputes])) this.count(`${what} x ${status}`);
  }

  async pass(ms: number): Promise<void> {
    const before = this.stores.now.getTime();
    this.stores.now = this.stores.later(ms);
    for (const { madeAt, refundId } of this.stripe.refunds) {
      const forgottenAt = madeAt.getTime() + this.stripe.keysLiveMs;
      if (refundId !== null && forgottenAt > before && forgottenAt <= this.stores.now.getTime() && !this.isKnown(refundId))
        this.fault('key: is forgotten unanswered');
    }
    this.stores.realMs += ms;
    await this.clockwork.pass(ms);
  }

  /** Whether our book knows of a refund at its provider. */
  isKnown(refundId: string): boolean {
    return this.stores.refunds.all().some(({ refund }) => refund.id === refundId && refund.providerRefundId !== null);
  }

  start(kind: string): Process {
    const walker = { name: `${kind}-${(this.numbers += 1)}`, isDead: false, isFrozen: false };
    const book = new SteppingBook(this, walker);
    const queue = new SteppingQueue(this, walker);
    const stripe = stepping(this, walker, this.stripe, ['send', 'read', 'readPayment', 'listRefunds']);
    const zamp = stepping(this, walker, this.zamp, ['send', 'read', 'readPayment']);
    const bank = stepping(this, walker, this.bank, [
      'readDispute',
      'listDisputes',
      'upload',
      'stage',
      'submit',
      'accept',
      'readWarning',
    ]);
    const notices = [new ScriptedNotices(this.notices), new ScriptedNotices(this.notices, 'zamp')];
    const providers = new Providers([stripe, zamp], notices, [stripe], [bank]);
    const log = {
      failed: (what: string, ids: object, error: unknown) => {
        this.count(`told: ${what}`);
        const isOnlySlow = what.includes('gets nowhere after');
        if (!isOnlySlow && !isExpected(error))
          this.failures.push(`${walker.name}: ${what} ${JSON.stringify(ids)}: ${String(error)}`);
      },
      tripped: () => undefined,
    };
    const recorder = new RecordAnswers(book, providers, usualTerms, () => this.chance.next());
    const commands = new RefundCommands(book, providers, { factsMaxAgeMs: 60_000 });
    const disputes = new DisputeCommands(book);
    const operations = new RunOperations(queue, book, providers, this.stores.evidenceFiles, recorder, settings, log);
    const waiting = walked(this, walker, this.stores.deliveries, ['claim']);
    const deliveries = new HandleDeliveries(waiting, book, providers, log);
    const due = walked(this, walker, this.stores.watch, ['due']);
    const deadlines = new WatchDeadlines(due, book, usualTerms, this.policy, log);
    const events = walked(this, walker, this.stores.log, ['seal', 'page']);
    const carrying = {
      ...relay,
      log: events,
      cursors: walked(this, walker, this.stores.cursors, ['take', 'advance', 'giveBack', 'deadLetters']),
      announce: (topic: string) => this.kafka.announce(walker, topic),
      logger: new Logger(walker.name),
      stopping: new AbortController().signal,
      holder: walker.name,
    };
    const carriers = kind === 'worker' ? relayed.map((topic) => [topic, new TopicCarrier(topic, carrying)] as const) : [];
    return Object.assign(walker, {
      commands,
      disputes,
      desk: new EvidenceDesk(book, providers),
      upkeep: new Upkeep(book, queue, commands, disputes),
      consumer: new CommandsConsumer(commands, disputes),
      rounds: {
        operations: () => operations.round(),
        renew: () => operations.renew().then(() => 0),
        deliveries: () => deliveries.round(20),
        deadlines: () => deadlines.round(20),
        seal: () => events.seal(50),
        sweeps: () => beginSweeps(book, providers).then(() => 0),
      },
      carriers: new Map(carriers),
      busy: new Set<string>(),
      stands: new Map<string, bigint | null>(),
    });
  }

  /** Notes what nothing that goes wrong in a story explains. */
  failed(what: string, error: unknown): void {
    if (!isExpected(error)) this.failures.push(`${what}: ${String(error)}`);
  }

  /** A round of one of its loops, beside whatever else is under way. */
  begin(process: Process, name: keyof Process['rounds']): void {
    this.run(process, name, () => process.rounds[name]().then((done) => (done > 0 ? 'something' : 'nothing')));
  }

  /** Its relay looks at a topic. */
  carry(process: Process, topic: string): void {
    const carrier = process.carriers.get(topic);
    if (carrier !== undefined) this.run(process, 'relay', () => carrier.round(), `relay ${topic}`);
  }

  private run(process: Process, name: string, round: () => Promise<string>, place = name): void {
    if (process.busy.has(place)) return;
    process.busy.add(place);
    const ended = (told: string) => {
      process.busy.delete(place);
      this.count(told);
    };
    void round().then(
      (done) => ended(`${name}: ${done}`),
      (error: unknown) => {
        this.failed(`${process.name}: ${name}`, error);
        ended(`${name}: failed`);
      },
    );
  }

  /** It takes a batch of a partition in, be that its own or no longer. */
  take(process: Process, topic: Taken, partition: number): void {
    const place = `${topic}[${partition}]`;
    if (process.busy.has(place)) return;
    process.busy.add(place);
    void this.takeIn(process, topic, partition, place).then(
      () => process.busy.delete(place),
      (error: unknown) => {
        process.busy.delete(place);
        // It asks anew where the partition stands.
        process.stands.delete(place);
        this.fault(error instanceof Fenced ? 'intake: fenced' : 'intake: failed');
        this.failed(`${process.name}: intake`, error);
      },
    );
  }

  private async takeIn(process: Process, topic: Taken, partition: number, place: string): Promise<void> {
    if (!process.stands.has(place)) {
      await this.clockwork.at(process, `asks where ${place} stands`);
      const stored = await this.stores.offsets.load(group.cluster, group.group, topic, [partition]);
      process.stands.set(place, stored.get(partition) ?? null);
    }
    const expected = process.stands.get(place) ?? null;
    const all = this.logs.get(topic)?.[partition] ?? [];
    const from = Number(expected ?? 0n);
    const records = all.slice(from, from + 1 + this.chance.upTo(6));
    if (records.length === 0) return;
    const standing = { ...group, topic, partition, expected };
    const batch = new Batch(standing, records, (next) => void process.stands.set(place, next));
    if (topic === topics.refundCommands) await process.consumer.aboutRefunds(batch);
    else await process.consumer.aboutDisputes(batch);
  }

  /** Commands over HTTP. */
  ask(process: Process, command: ReceivedCommand) {
    return process.commands.decide([command]);
  }

  askAboutDispute(process: Process, command: ReceivedDisputeCommand) {
    return process.disputes.decide([command]);
  }

  /** What a commit has changed is judged at once. */
  judged<T>(commit: () => Promise<T>): Promise<T> {
    const before = new Map(this.stores.payments.all().map((payment) => [payment.key, payment]));
    const answered = commit();
    // Nothing in memory is waited for, so that here the commit is done, and nothing else is.
    const held = this.stores.refunds.all().map(({ refund }) => refund);
    this.failures.push(...judgeCommit(before, this.stores.payments.all(), held));
    return answered;
  }

  /** Something comes back from the provider: a webhook is stored, whoever handles it. */
  async deliver(provider: string, noticeId: string, notice: Notice): Promise<void> {
    this.notices.set(noticeId, notice);
    const rest = { type: 'notice', digest: noticeId, from: null, disposition: null, detail: null };
    await this.stores.deliveries.store([{ account: 'default', provider, noticeId, body: Buffer.from(noticeId), ...rest }]);
  }
}

const isExpected = (error: unknown) =>
  [Conflict, Unavailable, Fenced, KafkaTrouble].some((expected) => error instanceof expected);

class SteppingBook extends Book {
  constructor(
    private readonly world: World,
    private readonly walker: Walker,
  ) {
    super();
  }

  async transact<T>(want: Want, decide: (set: WorkingSet) => T): Promise<T> {
    const { clockwork, chance, troubles, stores } = this.world;
    await clockwork.at(this.walker, 'commits');
    if (chance.isIn(troubles.conflict)) {
      this.world.fault('trouble: conflict');
      throw new Conflict('by chance');
    }
    const answer = await this.world.judged(() => stores.book.transact(want, decide));
    const isLost = chance.isIn(troubles.lostCommit);
    await clockwork.at(this.walker, 'has committed');
    if (isLost) {
      this.world.fault('trouble: lost commit');
      throw new Unavailable('by chance, after the commit');
    }
    return answer;
  }
}

class SteppingQueue extends OperationQueue {
  constructor(
    private readonly world: World,
    private readonly walker: Walker,
  ) {
    super();
  }

  override async limit(...given: Parameters<OperationQueue['limit']>): Promise<void> {
    await this.world.stores.queue.limit(...given);
  }

  override async claim(...given: Parameters<OperationQueue['claim']>) {
    await this.step('claims');
    const due = await this.world.stores.queue.claim(...given);
    await this.step('has claimed');
    return due;
  }

  override async meet(...given: Parameters<OperationQueue['meet']>): Promise<void> {
    await this.step('tells the limiter');
    await this.world.stores.queue.meet(...given);
  }

  override async renew(...given: Parameters<OperationQueue['renew']>): Promise<void> {
    await this.step('renews its leases');
    await this.world.stores.queue.renew(...given);
  }

  override async release(...given: Parameters<OperationQueue['release']>): Promise<void> {
    await this.step('hands back');
    await this.world.stores.queue.release(...given);
  }

  override async parked(...given: Parameters<OperationQueue['parked']>) {
    await this.step('looks for what is parked');
    return this.world.stores.queue.parked(...given);
  }

  private step(what: string): Promise<void> {
    return this.world.clockwork.at(this.walker, what);
  }
}

/** A port whose calls take two steps, one before the work and one after it; in between its process may die. */
function walked<P extends object>(world: World, walker: Walker, port: P, calls: readonly (string & keyof P)[]): P {
  const own = Object.create(port) as P;
  for (const name of calls) {
    const call = async (...given: unknown[]): Promise<unknown> => {
      await world.clockwork.at(walker, `${name} begins`);
      const answered = await (port[name] as (...args: unknown[]) => Promise<unknown>).apply(port, given);
      await world.clockwork.at(walker, `${name} has ended`);
      return answered;
    };
    Object.defineProperty(own, name, { value: call });
  }
  return own;
}

const fates: readonly Fate[] = ['answer_lost', 'call_lost', 'later', 'locked', 'parked'];
const sendFates: readonly Fate[] = [...fates, 'failed', 'done_and_failed', 'answer_lost'];
const disputeFates: readonly DisputeFate[] = [
  'answer_lost',
  'call_lost',
  'failed',
  'done_and_failed',
  'later',
  'locked',
  'parked',
];
const sends: ReadonlySet<string> = new Set(['send', 'upload', 'stage', 'submit', 'accept']);

/** A provider whose calls take two steps, one on the way and one back, and may get lost on either. */
function stepping<P extends ScriptedProvider | ScriptedDisputes>(
  world: World,
  walker: Walker,
  provider: P,
  calls: readonly (string & keyof P)[],
): P {
  const own = Object.create(provider) as P;
  for (const name of calls) {
    const call = async (...given: unknown[]): Promise<unknown> => {
      await world.clockwork.at(walker, `calls ${provider.provider}, ${name}`);
      const isAway = world.clockwork.ms < (world.awayUntil.get(provider.provider) ?? 0);
      const isOff = world.chance.isIn(world.troubles.call);
      const possible = 'disputes' in provider ? disputeFates : name === 'send' ? sendFates : fates;
      const fate = isAway ? 'call_lost' : !isOff ? 'answered' : world.chance.one<Fate | DisputeFate>(possible);
      const target = provider as ScriptedProvider;
      if (sends.has(name)) target.nextSends(fate as Fate);
      else target.nextReads(fate as Fate);
      if (fate === 'answered') world.count(`${name}: ${fate}`);
      else world.fault(`${name}: ${fate}`);
      const answered = (provider[name] as (...args: unknown[]) => Promise<unknown>).apply(provider, given);
      await world.clockwork.at(walker, `hears from ${provider.provider}, ${name}`);
      return answered;
    };
    Object.defineProperty(own, name, { value: call });
  }
  return own;
}
