/*
 * The log of what happened. Rows are only ever inserted, in the transaction that made them true; the sealing writer gives committed rows
 * their gap-free position afterwards, and everybody reads by position: each Kafka topic, the HTTP feed, the live stream.
 */

/** One entry of the log: an event, an outcome, a balance, or a pointer to a dead letter. */
export interface LogEntry {
  readonly id: string;
  /** The Kafka topic it belongs to; the feed shows the topics that carry events. */
  readonly topic: string;
  readonly type: string;
  readonly account: string;
  /** Kafka key and CloudEvents partition key; null only for dead letters. */
  readonly key: string | null;
  readonly subject: string;
  readonly paymentKey: string | null;
  /** The payment's own number of this event; null for what is no event of a payment's story. */
  readonly sequence: bigint | null;
  readonly time: Date;
  readonly correlationId: string | null;
  readonly causationId: string | null;
  readonly traceparent: string | null;
  /** JSON as text, so that every reader passes on the same bytes. */
  readonly data: string;
}

export interface SealedEntry extends LogEntry {
  readonly position: bigint;
}

export interface LogFilter {
  readonly topics?: readonly string[];
  readonly type?: string;
  /** Any name of a payment, at whichever provider and account. */
  readonly payment?: string;
}

export abstract class EventLog {
  /** Gives positions to up to `limit` committed entries, in order; returns how many. One writer at a time, whoever calls. */
  abstract seal(limit: number): Promise<number>;
  /** Entries behind `after`, in order. */
  abstract page(after: bigint, limit: number, filter: LogFilter): Promise<SealedEntry[]>;
  /** The last sealed position. */
  abstract end(): Promise<bigint>;
  /** The last sealed position in each of these topics, 0 where there is none. */
  abstract ends(topics: readonly string[]): Promise<ReadonlyMap<string, bigint>>;
}

/** A dead letter as it is relayed: the bytes as they came, or their digest and where they stand when they are too long. */
export interface DeadLetterRecord {
  readonly id: string;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  /** A header may stand there several times. */
  readonly headers: Readonly<Record<string, Buffer | readonly Buffer[]>>;
}

/** A topic's place in the log, and who may write to the topic. */
export interface TopicTurn {
  readonly position: bigint;
  readonly fence: bigint;
}

export abstract class TopicCursors {
  /** Takes or keeps the topic for `leaseMs`; null when another relay holds it. The fence rises when the holder changes. */
  abstract take(topic: string, holder: string, leaseMs: number): Promise<TopicTurn | null>;
  /** Moves the cursor, unless the turn is over; then false, and nothing moved. */
  abstract advance(topic: string, fence: bigint, position: bigint): Promise<boolean>;
  /** Gives the topic back, so that the next relay need not wait for the lease to end. */
  abstract giveBack(topic: string, fence: bigint): Promise<void>;
  abstract deadLetters(ids: readonly string[]): Promise<DeadLetterRecord[]>;
}

/** A partition that waits for a person. */
export interface PartitionHalt {
  readonly id: string;
  readonly cluster: string;
  readonly group: string;
  readonly topic: string;
  readonly partition: number;
  readonly reason: string;
  readonly since: Date;
}

/** Where each partition's consumer stands. It is moved only inside a batch's transaction, see `PartitionMark`. */
export abstract class PartitionOffsets {
  /** The next offset per partition, null where nothing was ever stored. */
  abstract load(
    cluster: string,
    group: string,
    topic: string,
    partitions: readonly number[],
  ): Promise<Map<number, bigint | null>>;
  /** Notes that a partition waits for a person, where people look. */
  abstract halt(cluster: string, group: string, topic: string, partition: number, reason: string): Promise<void>;
  /** Notes that partitions are read again. */
  abstract goOn(cluster: string, group: string, topic: string, partitions: readonly number[]): Promise<void>;
  /** All that wait, of every cluster and group. */
  abstract halts(): Promise<PartitionHalt[]>;
}

/** Moves a partition from the offset that this consumer loaded or wrote last; someone else's move in between refuses the batch. */
export interface PartitionMark {
  readonly cluster: string;
  readonly group: string;
  readonly topic: string;
  readonly partition: number;
  readonly expected: bigint | null;
  readonly next: bigint;
}
