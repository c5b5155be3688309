/*
 * Carries the event log to Kafka: each topic by itself, in the log's order, each entry at least once.
 *
 * One relay at a time has the turn for a topic. It reads a page behind the topic's cursor, sends it, and moves the cursor past what Kafka's
 * answer names. Killed in between, it sends that page again later; readers drop an id they have seen. So nothing is lost and nothing
 * overtakes, as long as two relays never write at once. A lease cannot promise that: a relay may freeze for a minute, wake up in the middle
 * of a page and go on sending what its successor sent long ago. Kafka itself keeps it out: every topic has one transactional id, and who takes
 * the turn announces itself under it, which ends whatever the one before has begun and refuses all that it still sends.
 *
 * The order is: take the turn, announce, then make sure that the turn is still ours. Were the last step missing, a relay frozen between the
 * first two would wake up, announce itself last, and shut out its rightful successor.
 *
 * What Kafka refuses is never argued with: the producer is thrown away, since kafkajs does not recover one that lost count of its
 * sequence, and a new one goes on from the cursor. docs/kafka.md has what was measured.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { Logger } from '@nestjs/common';
import type { Kafka, Producer, RecordMetadata } from 'kafkajs';
import { type EventLog, type SealedEntry, type TopicCursors } from '#application/event-log';
import type { Wake } from '#application/wake';
import { type Backoff, delayOf } from '#messaging/backoff';
import { deadLetterRecord, eventRecord, type OutgoingRecord, sizeOf } from '#messaging/event-record';
import { kafkaClient, type KafkaConnection } from '#messaging/kafka-client';

export interface EventRelayOptions {
  readonly connection: KafkaConnection;
  readonly topics: readonly string[];
  /** Entries read at once. Default 1,000. */
  readonly pageSize?: number;
  /** How long a topic waits for a relay that was killed. Default 10 s. */
  readonly leaseMs?: number;
  /** How soon an entry goes out although nobody rang. Default 1 s. */
  readonly pollMs?: number;
  readonly backoff?: Backoff;
  /** How long `stop` waits for the page in hand. Default 10 s. */
  readonly stopTimeoutMs?: number;
}

/** How a topic stands, for health and metrics. */
export interface RelayedTopic {
  readonly topic: string;
  readonly isOurs: boolean;
  /** The last position that is known to be on Kafka; 0 before the first turn. */
  readonly position: bigint;
  /** Why it waits, when it does not go on by itself. */
  readonly trouble: string | null;
}

export class EventRelay {
  private readonly logger = new Logger(EventRelay.name);
  private readonly stopping = new AbortController();
  private readonly carriers: readonly TopicCarrier[];
  private readonly running: Promise<void>[] = [];
  private stopListening: (() => void) | undefined;
  private isLooking = false;
  private isToLook = false;

  constructor(
    private readonly log: EventLog,
    cursors: TopicCursors,
    private readonly wake: Wake,
    private readonly options: EventRelayOptions,
  ) {
    const kafka = kafkaClient(options.connection, this.logger);
    const { stopping, logger } = this;
    const settings = {
      holder: randomUUID(),
      pageSize: options.pageSize ?? 1_000,
      leaseMs: options.leaseMs ?? 10_000,
      backoff: options.backoff ?? { firstMs: 200, mostMs: 10_000 },
      announce: (topic: string, leaseMs: number) => TopicSender.announce(kafka, topic, leaseMs),
    };
    this.carriers = options.topics.map(
      (topic) => new TopicCarrier(topic, { log, cursors, logger, stopping: stopping.signal, ...settings }),
    );
  }

  start(): void {
    this.stopListening = this.wake.on('sealed', () => void this.look());
    this.running.push(this.watchTheEnds(), ...this.carriers.map((carrier) => carrier.run()));
  }

  /** Ends after the page in hand, and gives the topics back. */
  async stop(): Promise<void> {
    this.stopListening?.();
    this.stopping.abort();
    for (const carrier of this.carriers) carrier.ring();
    const ended = Promise.all(this.running).then(() => true);
    const inTime = await Promise.race([ended, sleep(this.options.stopTimeoutMs ?? 10_000, false, { ref: false })]);
    if (!inTime) this.logger.warn('a page in hand did not go out in time; it will be sent again');
  }

  status(): RelayedTopic[] {
    return this.carriers.map((carrier) => carrier.status());
  }

  /** Rings where there is something new, by one small question for all topics; whoever rings meanwhile has it asked once more. */
  private async look(): Promise<void> {
    this.isToLook = true;
    if (this.isLooking) return;
    this.isLooking = true;
    try {
      while (this.isToLook) {
        this.isToLook = false;
        const ends = await this.log.ends(this.options.topics);
        for (const carrier of this.carriers) carrier.lookAt(ends);
      }
    } catch {
      // The database is away: the carriers meet that too, and say so.
    } finally {
      this.isLooking = false;
    }
  }

  /** A ring may be lost, or come from a process that cannot reach this one. */
  private async watchTheEnds(): Promise<void> {
    while (!this.stopping.signal.aborted) {
      await this.look();
      await sleep(this.options.pollMs ?? 1_000, undefined, { signal: this.stopping.signal }).catch(() => undefined);
    }
  }
}

/** What a page goes out by. Whoever announces one has shut out every earlier one of its topic. */
export interface PageSender {
  readonly partitions: number;
  /** All of them or, to whoever reads committed records only, none. */
  send(records: readonly OutgoingRecord[]): Promise<void>;
  close(): Promise<void>;
}

interface Surroundings {
  readonly log: EventLog;
  readonly cursors: TopicCursors;
  readonly announce: (topic: string, leaseMs: number) => Promise<PageSender>;
  readonly logger: Logger;
  readonly stopping: AbortSignal;
  readonly holder: string;
  readonly pageSize: number;
  readonly leaseMs: number;
  readonly backoff: Backoff;
}

/** A transaction costs the brokers the same for one record as for a thousand: what trickles in is gathered for a moment, a rush for longer. */
const gatherMs = { 'short page': 10, 'half a page': 100 };

type Carried = 'full page' | keyof typeof gatherMs | 'nothing';

/** Our turn at a topic: the producer that shut out the one before, and how far we are. */
interface Turn {
  readonly fence: bigint;
  readonly sender: PageSender;
  position: bigint;
  takenAt: number;
}

/** Carries one topic, with at most one send under way. */
export class TopicCarrier {
  private readonly bell = new Bell();
  private turn: Turn | undefined;
  private ahead: { readonly after: bigint; readonly page: Promise<readonly SealedEntry[]> } | undefined;
  private position = 0n;
  private trouble: string | null = null;

  constructor(
    private readonly topic: string,
    private readonly around: Surroundings,
  ) {}

  ring(): void {
    this.bell.ring();
  }

  /** Rings when its topic ends behind what it has carried. */
  lookAt(ends: ReadonlyMap<string, bigint>): void {
    if ((ends.get(this.topic) ?? 0n) > this.position) this.bell.ring();
  }

  status(): RelayedTopic {
    return { topic: this.topic, isOurs: this.turn !== undefined, position: this.position, trouble: this.trouble };
  }

  async run(): Promise<void> {
    const { stopping, leaseMs, backoff, logger } = this.around;
    for (let tries = 0; !stopping.aborted;) {
      try {
        const carried = await this.round();
        // Somebody else's: no ring concerns us, only the end of their lease.
        if (carried === 'not ours') await sleep(leaseMs / 2, undefined, { signal: stopping }).catch(() => undefined);
        if (carried === 'nothing') await this.bell.rung(leaseMs / 3);
        if (carried === 'short page' || carried === 'half a page') await sleep(gatherMs[carried]);
        tries = 0;
      } catch {
        if (tries === 0) logger.warn(`${this.topic} waits at ${this.position}: ${this.trouble}`);
        await sleep(delayOf(backoff, tries++), undefined, { signal: stopping }).catch(() => undefined);
      }
    }
    await this.giveBack();
  }

  /** Takes the turn or keeps it, and carries a page. What fails on the way costs the turn. */
  async round(): Promise<Carried | 'not ours'> {
    try {
      this.turn = await this.keepTurn();
      const carried = this.turn === undefined ? 'not ours' : await this.carryPage(this.turn);
      this.trouble = null;
      return carried;
    } catch (error) {
      await this.dropTurn();
      this.trouble = textOf(error);
      throw error;
    }
  }

  private async keepTurn(): Promise<Turn | undefined> {
    const { cursors, holder, leaseMs, announce } = this.around;
    if (this.turn !== undefined && Date.now() - this.turn.takenAt < leaseMs / 3) return this.turn;

    const takenAt = Date.now();
    const taken = await cursors.take(this.topic, holder, leaseMs);
    if (taken !== null && taken.fence === this.turn?.fence) {
      this.turn.takenAt = takenAt;
      return this.turn;
    }
    await this.dropTurn();
    if (taken === null) return undefined;

    const sender = await announce(this.topic, leaseMs);
    const confirmed = await cursors.take(this.topic, holder, leaseMs);
    if (confirmed === null || confirmed.fence !== taken.fence) {
      await sender.close();
      return undefined;
    }
    this.position = confirmed.position;
    return { fence: confirmed.fence, sender, position: confirmed.position, takenAt };
  }

  private async carryPage(turn: Turn): Promise<Carried> {
    const { pageSize } = this.around;
    const page = await this.pageBehind(turn.position);
    if (page.length === 0) return 'nothing';
    for (const { records, last } of chunks(await this.recordsOf(page, turn.sender.partitions))) {
      await turn.sender.send(records);
      if (!(await this.around.cursors.advance(this.topic, turn.fence, last))) {
        await this.dropTurn();
        return 'full page';
      }
      turn.position = last;
      this.position = last;
    }
    if (page.length === pageSize) return 'full page';
    return page.length < pageSize / 5 ? 'short page' : 'half a page';
  }

  /** Behind a full page there is more, as a rule: it is read while that one goes out. */
  private async pageBehind(position: bigint): Promise<readonly SealedEntry[]> {
    const { log, pageSize } = this.around;
    const read = (after: bigint) => ({ after, page: log.page(after, pageSize, { topics: [this.topic] }) });
    const { page: reading } = this.ahead?.after === position ? this.ahead : read(position);
    this.ahead = undefined;
    const page = await reading;
    const last = page.at(-1);
    if (page.length === pageSize && last !== undefined) {
      this.ahead = read(last.position);
      this.ahead.page.catch(() => undefined); // Whoever takes it is told.
    }
    return page;
  }

  private async recordsOf(page: readonly SealedEntry[], partitions: number): Promise<Placed[]> {
    const letters = page.filter((entry) => entry.key === null).map((entry) => entry.subject);
    const found = letters.length === 0 ? [] : await this.around.cursors.deadLetters(letters);
    const byId = new Map(found.map((letter) => [letter.id, letter]));
    return page.map((entry) => {
      if (isKeyed(entry)) return { position: entry.position, record: eventRecord(entry, partitions) };
      const letter = byId.get(entry.subject);
      if (letter === undefined) throw new Error(`dead letter ${entry.subject} is in the log and nowhere else`);
      return { position: entry.position, record: deadLetterRecord(letter, partitions) };
    });
  }

  private async dropTurn(): Promise<void> {
    const sender = this.turn?.sender;
    this.turn = undefined;
    await sender?.close();
  }

  private async giveBack(): Promise<void> {
    const { turn } = this;
    await this.dropTurn();
    // Without it the next relay waits for the lease to end; worth no more than one try.
    if (turn !== undefined) await this.around.cursors.giveBack(this.topic, turn.fence).catch(() => undefined);
  }
}

/**
 * How many leases a call to kafkajs may last, with all that kafkajs tries again by itself. What lasts longer is given up, and the next producer
 * shuts out this one.
 */
const leasesPerCall = 6;

/** A producer that has shut out every earlier one of its topic. */
class TopicSender implements PageSender {
  private constructor(
    private readonly producer: Producer,
    private readonly topic: string,
    private readonly callMs: number,
    /** Which broker each partition was led by when we announced ourselves. */
    private readonly leaders: ReadonlyMap<number, number>,
    readonly partitions: number,
  ) {}

  static async announce(kafka: Kafka, topic: string, leaseMs: number): Promise<TopicSender> {
    const callMs = leasesPerCall * leaseMs;
    const leaders = await within(callMs, leadersOf(kafka, topic));
    const producer = kafka.producer({
      transactionalId: `redress-relay-${topic}`,
      idempotent: true,
      maxInFlightRequests: 1,
      // A transaction that nobody ends holds up those who read committed records only.
      transactionTimeout: Math.max(10_000, 2 * leaseMs),
      allowAutoTopicCreation: false,
      // Kafka answers "concurrent transactions" until the markers of the one before are written: some milliseconds, not kafkajs' 300. No more
      // tries than that takes; what lasts longer is for a new producer.
      retry: { initialRetryTime: 5, multiplier: 1.5, maxRetryTime: 500, retries: 10 },
    });
    const sender = new TopicSender(producer, topic, callMs, leaders, leaders.size);
    const announced = producer
      .connect()
      // kafkajs announces a producer at its first transaction. An empty one costs nothing more.
      .then(() => producer.transaction())
      .then((transaction) => transaction.abort());
    try {
      await within(callMs, announced);
      return sender;
    } catch (error) {
      await sender.close();
      throw error;
    }
  }

  send(records: readonly OutgoingRecord[]): Promise<void> {
    return within(this.callMs, this.sendAll(records));
  }

  private async sendAll(records: readonly OutgoingRecord[]): Promise<void> {
    const transaction = await this.producer.transaction();
    // One broker at a time: when one of several refuses, kafkajs tries all of them again without waiting for those still under way.
    const answer: RecordMetadata[] = [];
    for (const group of Map.groupBy(records, (record) => this.leaders.get(record.partition)).values()) {
      const messages = group.map((record) => ({ ...record }));
      answer.push(...(await transaction.send({ topic: this.topic, acks: -1, messages })));
    }
    // kafkajs leaves out a partition it has no leader for, and says nothing; and after a broker came back it may send again what was accepted.
    // In both cases what was sent so far is aborted, by the producer that follows this one.
    const answered = new Set(answer.filter((each) => each.errorCode === 0).map((each) => each.partition));
    const missed = records.find((record) => !answered.has(record.partition));
    if (missed !== undefined) throw new Error(`Kafka did not answer for partition ${missed.partition} of ${this.topic}`);
    if (answer.length > answered.size) throw new Error(`a part of the page went to ${this.topic} twice`);
    await transaction.commit();
  }

  async close(): Promise<void> {
    await within(this.callMs, this.producer.disconnect()).catch(() => undefined);
  }
}

function within<T>(ms: number, call: Promise<T>): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error(`kafkajs did not answer within ${ms} ms`)), ms);
  return Promise.race([call, late]).finally(() => clearTimeout(timer));
}

async function leadersOf(kafka: Kafka, topic: string): Promise<Map<number, number>> {
  const admin = kafka.admin();
  try {
    await admin.connect();
    const { topics } = await admin.fetchTopicMetadata({ topics: [topic] });
    const leaders = new Map(topics[0]?.partitions.map(({ partitionId, leader }) => [partitionId, leader]));
    if (leaders.size === 0) throw new Error(`Kafka knows no partitions of ${topic}`);
    return leaders;
  } finally {
    await admin.disconnect();
  }
}

/** A record and where it stands in the log. */
interface Placed {
  readonly position: bigint;
  readonly record: OutgoingRecord;
}

/** A partition takes about a megabyte at once. */
const maxBytes = 900_000;

function* chunks(placed: readonly Placed[]): Generator<{ records: OutgoingRecord[]; last: bigint }> {
  let records: OutgoingRecord[] = [];
  const bytes = new Map<number, number>();
  let last = 0n;
  for (const { position, record } of placed) {
    const size = sizeOf(record);
    const before = bytes.get(record.partition) ?? 0;
    if (before > 0 && before + size > maxBytes) {
      yield { records, last };
      records = [];
      bytes.clear();
    }
    records.push(record);
    bytes.set(record.partition, (bytes.get(record.partition) ?? 0) + size);
    last = position;
  }
  if (records.length > 0) yield { records, last };
}

/** Rings that come while nobody listens are heard by the next who does, once. */
class Bell {
  private wasRung = false;
  private listener: (() => void) | undefined;

  ring(): void {
    this.wasRung = true;
    this.listener?.();
  }

  async rung(withinMs: number): Promise<void> {
    if (!this.wasRung) {
      const { promise, resolve } = Promise.withResolvers<void>();
      const timer = setTimeout(resolve, withinMs);
      this.listener = resolve;
      await promise;
      clearTimeout(timer);
      this.listener = undefined;
    }
    this.wasRung = false;
  }
}

function isKeyed(entry: SealedEntry): entry is SealedEntry & { readonly key: string } {
  return entry.key !== null;
}

function textOf(error: unknown): string {
  return Error.isError(error) ? error.message : String(error);
}
