/*
 * Takes topics in by batch, as a Nest transport. Stock kafkajs and Nest's own Kafka server decide where to go on by offsets that Kafka
 * keeps; here the database decides, because only it knows what is stored.
 *
 * When partitions are assigned, we ask the database for their next offsets, look whether the log still reaches them, and seek there.
 * A batch goes to its handler in slices; the handler stores a slice together with the partition's next offset in one transaction, moved by
 * compare-and-set from what this consumer loaded or wrote. A consumer that was frozen and wakes up after its partition went to another
 * one loses that comparison and stores nothing. Kafka is told offsets too, now and then, for its tools to show; they decide nothing.
 *
 * Nothing is ever skipped. What cannot be stored is tried again, at first soon, then more slowly; what fails again and again, and a log
 * that begins after or ends before the offset we need, halt that one partition until a person has looked.
 *
 * kafkajs must never see an error of ours: a TypeError from its callback ends the consumer for good, and others count against a limit that
 * only a rebalance resets. So all that leaves `consume` are kafkajs' own errors, which ask for joining the group again.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Logger } from '@nestjs/common';
import { type CustomTransportStrategy, Server } from '@nestjs/microservices';
import type { Consumer, ConsumerCrashEvent, EachBatchPayload, Kafka, KafkaMessage } from 'kafkajs';
import { isObservable, lastValueFrom } from 'rxjs';
import { Fenced, Unavailable } from '#application/errors';
import type { PartitionOffsets } from '#application/event-log';
import { type Backoff, delayOf } from '#messaging/backoff';
import { Batch, KAFKA_BATCH, KafkaBatchContext, receivedRecord } from '#messaging/kafka-batch';
import { kafkaClient, type KafkaConnection } from '#messaging/kafka-client';
import { asStored } from '#messaging/kafka-witness';

export interface KafkaBatchOptions {
  readonly connection: KafkaConnection;
  /** The name under which this cluster's offsets are stored; another name starts from the beginning of the topics. */
  readonly cluster: string;
  readonly groupId: string;
  readonly offsets: PartitionOffsets;
  /** Done before partitions are read, whenever it is looked up where they stand; while it fails they are not read. */
  readonly beforeReading?: () => Promise<void>;
  /** Partitions handled at the same time; each holds a database connection while its batch is stored. Default 4. */
  readonly concurrency?: number;
  /** Records per call of a handler. Default 500. */
  readonly maxRecords?: number;
  /** Bytes fetched per partition at once, unless a single record is larger. Default 1 MiB. */
  readonly maxBytesPerPartition?: number;
  /** How long a member that was killed or is frozen keeps its partitions. Default 30 s. */
  readonly sessionTimeoutMs?: number;
  readonly backoff?: Backoff;
  /** Failures in a row, other than `Unavailable`, after which the partition halts. Default 10. */
  readonly maxFailures?: number;
  /** How long `close` waits for the batch in hand. Default 10 s. */
  readonly closeTimeoutMs?: number;
}

/** A partition that waits for a person. */
export interface HaltedPartition {
  readonly topic: string;
  readonly partition: number;
  readonly reason: string;
}

/** `joined`: partitions can arrive. `failed`: kafkajs has given up, only a new process helps. */
export type KafkaStatus = 'connecting' | 'joined' | 'rebalancing' | 'closed' | 'failed';

export interface KafkaHealth {
  readonly status: KafkaStatus;
  readonly halted: readonly HaltedPartition[];
}

export type KafkaBatchEvents = {
  /** A partition has halted; the log says so too. */
  halted: (halted: HaltedPartition) => void;
  /** kafkajs has given up: end the process and let it be started again. */
  failed: (error: Error) => void;
};

/** `settling`: finding out where to read from. `held`: waiting before the next try. Only while `reading` are batches taken. */
type State = 'settling' | 'reading' | 'held' | 'halted';

/** One assigned partition, from one join of the group to the next. */
class Place {
  state: State = 'settling';
  /** What the database holds as far as we know: what we loaded or wrote last. */
  stored: bigint | null = null;
  /** The offset kafkajs is to fetch next; it runs ahead of `stored` over what carries no records, such as transaction markers. */
  position = 0n;
  /** Where we have asked Kafka and a gap behind it is really in the log. */
  gapAt: bigint | null = null;
  tries = 0;
  failures = 0;
  reason = '';
  timer: NodeJS.Timeout | undefined;

  constructor(
    readonly topic: string,
    readonly partition: number,
  ) {}

  get name(): string {
    return nameOf(this);
  }
}

export class KafkaBatchServer extends Server<KafkaBatchEvents, KafkaStatus> implements CustomTransportStrategy {
  override readonly transportId = KAFKA_BATCH;
  /** We wait for the handler and act on its errors, so Nest need not report them. */
  override readonly propagatesEventHandlerErrors = true;
  protected override readonly logger = new Logger(KafkaBatchServer.name);

  private readonly kafka: Kafka;
  private readonly backoff: Backoff;
  private readonly closing = new AbortController();
  private readonly listeners: { [E in keyof KafkaBatchEvents]: KafkaBatchEvents[E][] } = { halted: [], failed: [] };
  private places = new Map<string, Place>();
  private consumer: Consumer | undefined;
  private current: KafkaStatus = 'connecting';
  private hints: NodeJS.Timeout | undefined;

  constructor(private readonly options: KafkaBatchOptions) {
    super();
    this.kafka = kafkaClient(options.connection, this.logger);
    this.backoff = options.backoff ?? { firstMs: 200, mostMs: 15_000 };
  }

  /** Does not wait for Kafka: a service starts without it, and takes topics in as soon as it is there. */
  listen(callback: (error?: unknown) => void): void {
    const twice = [...this.messageHandlers].find(([, handler]) => handler.next !== undefined);
    if (twice !== undefined) return callback(new Error(`two methods take ${twice[0]} by batch: only one can move its offsets`));
    if (this.messageHandlers.size > 0) void this.open();
    callback();
  }

  async close(): Promise<void> {
    this.closing.abort();
    clearInterval(this.hints);
    const left = this.consumer === undefined ? Promise.resolve(true) : this.leave(this.consumer);
    // kafkajs waits without limit for the batch in hand, and for a join under way as long as the slowest member takes.
    const inTime = await Promise.race([left, sleep(this.options.closeTimeoutMs ?? 10_000, false, { ref: false })]);
    if (!inTime) this.logger.warn('a batch in hand did not end in time; what it has not stored will come again');
    this.become('closed');
  }

  on<E extends keyof KafkaBatchEvents>(event: E, listener: KafkaBatchEvents[E]): void {
    this.listeners[event].push(listener);
  }

  unwrap<T>(): T {
    return this.consumer as T;
  }

  health(): KafkaHealth {
    const halted = [...this.places.values()].filter((place) => place.state === 'halted');
    return { status: this.current, halted: halted.map(({ topic, partition, reason }) => ({ topic, partition, reason })) };
  }

  private async open(): Promise<void> {
    const topics = [...this.messageHandlers.keys()];
    for (let tries = 0; !this.closing.signal.aborted; tries++) {
      const consumer = this.kafka.consumer({
        groupId: this.options.groupId,
        sessionTimeout: this.options.sessionTimeoutMs ?? 30_000,
        heartbeatInterval: Math.min(3_000, (this.options.sessionTimeoutMs ?? 30_000) / 3),
        maxBytesPerPartition: this.options.maxBytesPerPartition ?? 1_048_576,
        // While no partition may be read kafkajs sleeps this long before it looks again: it bounds how late we start after a join.
        maxWaitTimeInMs: 500,
        // A partition that is added is taken in this soon; kafkajs would take five minutes.
        metadataMaxAge: 30_000,
        allowAutoTopicCreation: false,
      });
      try {
        this.consumer = consumer;
        this.watch(consumer);
        await consumer.connect();
        await consumer.subscribe({ topics, fromBeginning: true });
        await consumer.run({
          autoCommit: false,
          eachBatchAutoResolve: false,
          partitionsConsumedConcurrently: this.options.concurrency ?? 4,
          eachBatch: (payload) => this.consume(payload),
        });
        this.hints = setInterval(() => void this.tellKafka(), 5_000).unref();
        return;
      } catch (error) {
        this.logger.warn(`cannot take in ${topics.join(', ')} yet: ${textOf(error)}`);
        await consumer.disconnect().catch(() => undefined);
        await this.pause(delayOf(this.backoff, tries));
      }
    }
  }

  private watch(consumer: Consumer): void {
    const { GROUP_JOIN, REBALANCING, START_BATCH_PROCESS, DISCONNECT, CRASH } = consumer.events;
    consumer.on(GROUP_JOIN, ({ payload }) => this.joined(payload.memberAssignment));
    consumer.on(START_BATCH_PROCESS, ({ payload }) => this.passedOver(payload));
    consumer.on(REBALANCING, () => this.become('rebalancing'));
    consumer.on(DISCONNECT, () => this.become('connecting'));
    consumer.on(CRASH, ({ payload }) => this.crashed(payload));
  }

  /**
   * kafkajs calls this before it fetches anything, and does not wait for what we do later. So everything is paused at once, and each
   * partition is read only when we know from where.
   */
  private joined(assignment: Readonly<Record<string, number[]>>): void {
    this.forgetPlaces();
    const places = Object.entries(assignment).flatMap(([topic, partitions]) => partitions.map((each) => new Place(topic, each)));
    this.places = new Map(places.map((place) => [place.name, place]));
    // A pause outlives the assignment it was made for.
    for (const topic of this.messageHandlers.keys()) this.consumer?.resume([{ topic }]);
    for (const place of places) this.stopReading(place, 'settling');
    this.become('joined');
    void this.settle(places);
  }

  /** Finds out where each place is to be read from; tries until it knows or the places are no longer ours. */
  private async settle(places: readonly Place[]): Promise<void> {
    for (let tries = 0; ; tries++) {
      const left = places.filter((place) => this.isOurs(place) && place.state === 'settling');
      if (left.length === 0) return;
      try {
        await this.options.beforeReading?.();
        for (const [topic, group] of Map.groupBy(left, (place) => place.topic)) {
          const { cluster, groupId, offsets } = this.options;
          const partitions = group.map((place) => place.partition);
          const [stored, reach] = await Promise.all([offsets.load(cluster, groupId, topic, partitions), this.reachOf(topic)]);
          const stands = group.map((place) => standing(place, stored.get(place.partition) ?? null, reach.get(place.partition)));
          // Before they are read: were this forgotten, a partition that runs would be looked after.
          const reading = stands.filter(({ why }) => why === null).map(({ place }) => place.partition);
          await offsets.goOn(cluster, groupId, topic, reading);
          for (const stand of stands) this.settleAt(stand);
        }
      } catch (error) {
        if (tries === 0) this.logger.warn(`cannot tell yet where to read ${left.map(nameOf).join(', ')} from: ${textOf(error)}`);
        await this.pause(delayOf(this.backoff, tries));
      }
    }
  }

  private settleAt({ place, stored, next, why }: Standing): void {
    if (!this.isOurs(place) || place.state !== 'settling') return;
    place.stored = stored;
    if (why !== null) return this.halt(place, why);
    place.position = next;
    place.state = 'reading';
    this.consumer?.seek({ topic: place.topic, partition: place.partition, offset: String(place.position) });
    this.consumer?.resume([{ topic: place.topic, partitions: [place.partition] }]);
  }

  private async reachOf(topic: string): Promise<Map<number, Reach>> {
    const admin = this.kafka.admin();
    try {
      await admin.connect();
      const offsets = await admin.fetchTopicOffsets(topic);
      return new Map(offsets.map(({ partition, low, high }) => [partition, { start: BigInt(low), end: BigInt(high) }]));
    } finally {
      await admin.disconnect();
    }
  }

  private async consume(payload: EachBatchPayload): Promise<void> {
    const { batch } = payload;
    const place = this.places.get(nameOf(batch));
    if (place?.state !== 'reading' || payload.isStale()) return;
    if (this.hasJumped(place, batch.firstOffset())) return this.settleAgain(place);

    const size = this.options.maxRecords ?? 500;
    for (let at = 0; at < batch.messages.length; at += size) {
      const isStored = await this.hand(place, batch.messages.slice(at, at + size));
      if (!this.isOurs(place)) return; // The group was joined anew meanwhile, and kafkajs has other books now.
      if (place.stored !== null && place.stored > place.position) {
        place.position = place.stored;
        payload.resolveOffset(String(place.stored - 1n));
      }
      if (!isStored || !payload.isRunning() || payload.isStale()) return;
      await inKafkasWords(payload.heartbeat());
    }
    place.position = BigInt(batch.lastOffset()) + 1n; // kafkajs itself has gone on past a marker at the end.
  }

  /**
   * kafkajs moves by itself in two cases: over batches that hold nothing for us, such as a transaction's markers, which is right; and to the
   * other end of the log when its offset is out of range, which loses records in silence. Both look alike here: the batch does not begin
   * where it should. So we ask Kafka and the database again, and take a gap only when it is still there after that.
   */
  private hasJumped(place: Place, first: string | null): boolean {
    if (first === null || BigInt(first) === place.position) return false;
    return BigInt(first) < place.position || place.gapAt !== place.position;
  }

  private settleAgain(place: Place, afterMs = 0): void {
    place.gapAt = place.position;
    this.stopReading(place, 'settling');
    void this.pause(afterMs).then(() => this.settle([place]));
  }

  /** Told before each batch; those without a record for us never reach `consume`. */
  private passedOver(batch: {
    topic: string;
    partition: number;
    batchSize: number;
    firstOffset: string;
    lastOffset: string;
  }): void {
    const place = this.places.get(nameOf(batch));
    if (batch.batchSize > 0 || place?.state !== 'reading') return;
    if (this.hasJumped(place, batch.firstOffset)) this.settleAgain(place);
    else place.position = BigInt(batch.lastOffset) + 1n;
  }

  /** Lets the handler store some records. What comes of it is written in the place; true when all of them are stored. */
  private async hand(place: Place, messages: readonly KafkaMessage[]): Promise<boolean> {
    const { topic, partition, stored: expected } = place;
    const { cluster, groupId: group } = this.options;
    const batch = new Batch({ cluster, group, topic, partition, expected }, messages.map(receivedRecord), (next) => {
      place.stored = next;
      place.tries = 0;
      place.failures = 0;
    });
    try {
      await this.call(batch);
      if (!batch.isStored) throw new Error('the handler ended before all of the batch was stored');
      return true;
    } catch (error) {
      if (this.isOurs(place)) this.cope(place, error);
      return false;
    }
  }

  /** Runs the handler with what Nest puts around it, and the hooks that tracing libraries set. */
  private async call(batch: Batch): Promise<void> {
    const handler = this.getHandlerByPattern(batch.topic);
    if (handler === null) throw new Error(`nothing takes ${batch.topic}`);
    const context = new KafkaBatchContext([batch]);
    await new Promise<void>((resolve, reject) => {
      this.runWithProcessingHooks(context, async (end) => {
        await settled(handler(batch, context)).finally(end).then(resolve, reject);
      });
    });
  }

  private cope(place: Place, error: unknown): void {
    if (error instanceof Fenced) {
      this.logger.warn(`${place.name} was moved by somebody else; looking where it stands now`);
      // What we stored may be gone, and then Kafka is the only one who knows.
      this.stopReading(place, 'settling');
      const afterMs = place.tries++ === 0 ? 0 : delayOf(this.backoff, place.tries);
      return void this.tellKafka().then(() => this.settleAgain(place, afterMs));
    }
    if (error instanceof Unavailable) {
      if (place.tries === 0) this.logger.warn(`${place.name} waits: ${textOf(error)}`);
      return this.hold(place);
    }
    place.failures += 1;
    const told = `${place.name} at ${place.stored ?? place.position}, failure ${place.failures} in a row: ${textOf(error)}`;
    this.logger.error(told, Error.isError(error) ? error.stack : undefined);
    if (place.failures >= (this.options.maxFailures ?? 10)) this.halt(place, `its handler keeps failing: ${textOf(error)}`);
    else this.hold(place);
  }

  /** Tries again later. Meanwhile the other partitions go on, and we stay in the group. */
  private hold(place: Place): void {
    this.stopReading(place, 'held');
    place.timer = setTimeout(
      () => {
        place.state = 'reading';
        this.consumer?.resume([{ topic: place.topic, partitions: [place.partition] }]);
      },
      delayOf(this.backoff, place.tries++),
    );
  }

  private halt(place: Place, reason: string): void {
    this.stopReading(place, 'halted');
    place.reason = reason;
    this.logger.error(`HALTED ${place.name}: ${reason}. Its records wait; see docs/kafka.md`);
    const { topic, partition } = place;
    for (const listener of this.listeners.halted) listener({ topic, partition, reason });
    void this.noteHalt(place);
  }

  /** Where people look who do not read logs: tries until it is written or the place is no longer ours. */
  private async noteHalt(place: Place): Promise<void> {
    const { cluster, groupId, offsets } = this.options;
    for (let tries = 0; this.isOurs(place) && place.state === 'halted' && !this.closing.signal.aborted; tries++) {
      try {
        return await offsets.halt(cluster, groupId, place.topic, place.partition, place.reason);
      } catch {
        await this.pause(delayOf(this.backoff, tries));
      }
    }
  }

  private stopReading(place: Place, state: Exclude<State, 'reading'>): void {
    place.state = state;
    this.consumer?.pause([{ topic: place.topic, partitions: [place.partition] }]);
  }

  private isOurs(place: Place): boolean {
    return this.places.get(place.name) === place;
  }

  private forgetPlaces(): void {
    for (const place of this.places.values()) clearTimeout(place.timer);
    this.places = new Map();
  }

  private crashed({ error, restart }: ConsumerCrashEvent['payload']): void {
    if (restart || this.closing.signal.aborted) return this.become('connecting');
    this.become('failed');
    this.logger.error(`kafkajs has given up: ${textOf(error)}`, error.stack);
    for (const listener of this.listeners.failed) listener(error);
  }

  /** For the lag that Kafka's tools show, and to see a database that is older than it was: we never start from it. */
  private async tellKafka(): Promise<void> {
    const offsets = [...this.places.values()]
      .filter((place) => place.stored !== null)
      .map(({ topic, partition, position, stored }) => ({
        topic,
        partition,
        offset: String(position),
        metadata: asStored(stored ?? 0n),
      }));
    if (offsets.length > 0) await this.consumer?.commitOffsets(offsets).catch(() => undefined);
  }

  private async leave(consumer: Consumer): Promise<true> {
    await Promise.race([this.tellKafka(), sleep(1_000, undefined, { ref: false })]);
    this.forgetPlaces(); // The batch in hand ends with the slice under way.
    await consumer.disconnect().catch((error: unknown) => this.logger.warn(`left the group untidily: ${textOf(error)}`));
    return true;
  }

  private become(status: KafkaStatus): void {
    if (this.current === 'failed' && status !== 'closed') return;
    this.current = status;
    this._status$.next(status);
  }

  private pause(ms: number): Promise<void> {
    return sleep(ms, undefined, { signal: this.closing.signal }).catch(() => undefined);
  }
}

/** Where a partition's log begins, and where its next record will stand. */
interface Reach {
  readonly start: bigint;
  readonly end: bigint;
}

/** Where a place is to be read from, or why it cannot be. */
interface Standing {
  readonly place: Place;
  readonly stored: bigint | null;
  readonly next: bigint;
  readonly why: string | null;
}

function standing(place: Place, stored: bigint | null, log: Reach | undefined): Standing {
  if (log === undefined) throw new Error(`Kafka does not say where the log of ${place.name} begins and ends`);
  const { start, end } = log;
  const gone =
    stored !== null && stored < start
      ? `the next offset is ${stored}, and the log begins at ${start}: what lies between is gone`
      : null;
  const cut =
    stored !== null && stored > end
      ? `the next offset is ${stored}, and the log ends at ${end}: it was cut off, or the topic made anew`
      : null;
  return { place, stored, next: stored ?? start, why: gone ?? cut };
}

function nameOf({ topic, partition }: { topic: string; partition: number }): string {
  return `${topic}[${partition}]`;
}

/** A handler answers with a value, or through Nest's interceptors and filters with a stream, which may also be empty. */
async function settled(answer: unknown): Promise<void> {
  const value = await answer;
  if (isObservable(value)) await lastValueFrom(value, { defaultValue: undefined });
}

/** kafkajs' own errors make it join again, or try again. So does a plain one, while a TypeError would end it. */
async function inKafkasWords(work: Promise<void>): Promise<void> {
  try {
    await work;
  } catch (error) {
    throw Error.isError(error) && error.name.startsWith('KafkaJS') ? error : new Error(textOf(error), { cause: error });
  }
}

function textOf(error: unknown): string {
  return Error.isError(error) ? error.message : String(error);
}
