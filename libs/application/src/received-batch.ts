import type { PartitionMark } from '#application/event-log';
import type { KafkaRecord } from '#contracts/cloud-event';

/** A record as it came off a topic: bytes, believed by nobody yet. */
export interface ReceivedRecord extends KafkaRecord {
  readonly offset: bigint;
  readonly timestamp: Date;
}

/**
 * Consecutive records of one partition, to be stored in one transaction together with `mark`, or, where one of them cannot be stored, in
 * several. After each commit say so with `stored`; what was never said to be stored comes again. A batch may have gaps in its offsets.
 *
 * ```ts
 * const mark = batch.markThrough(lastOf(half).offset);
 * await transaction(half, mark);
 * batch.stored(mark);
 * ```
 */
export interface ReceivedBatch {
  readonly topic: string;
  readonly partition: number;
  /** At least one. */
  readonly records: readonly ReceivedRecord[];
  /** Moves the partition past all that is not stored yet. */
  readonly mark: PartitionMark;
  /** Moves the partition past the record at `offset` and all before it. */
  markThrough(offset: bigint): PartitionMark;
  /** The transaction with this mark is committed: the next mark expects what this one wrote. */
  stored(mark: PartitionMark): void;
}
