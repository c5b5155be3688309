import { applyDecorators, type ArgumentsHost, Catch, type RpcExceptionFilter, UseFilters } from '@nestjs/common';
import { BaseRpcContext, EventPattern } from '@nestjs/microservices';
import type { KafkaMessage } from 'kafkajs';
import { type Observable, throwError } from 'rxjs';
import type { PartitionMark } from '#application/event-log';
import type { ReceivedBatch, ReceivedRecord } from '#application/received-batch';

/** Only handlers that carry this symbol are given to `KafkaBatchServer`. */
export const KAFKA_BATCH = Symbol('kafka-batch');

/** Hands errors to the transport as they are; Nest's own filter would turn each into "Internal server error" before anyone could act on it. */
@Catch()
class HandsOnErrors implements RpcExceptionFilter {
  catch(error: unknown, _host: ArgumentsHost): Observable<never> {
    return throwError(() => error);
  }
}

/**
 * Marks the method of a controller that takes a topic by batch. It gets a `ReceivedBatch` and, if it asks with `@Ctx()`, a
 * `KafkaBatchContext`; guards, interceptors and pipes run once per batch. It returns when all of the batch is stored, and throws
 * `Unavailable` when nothing can be stored now, `Fenced` when somebody else has moved the partition. A filter of your own goes above it.
 *
 * Write the parameter's type with `import type`, or Nest's ValidationPipe takes the batch for a body.
 */
export function KafkaBatch(topic: string): MethodDecorator {
  return applyDecorators(EventPattern(topic, KAFKA_BATCH) as MethodDecorator, UseFilters(HandsOnErrors));
}

/** Where a batch comes from, for guards, interceptors and filters. */
export class KafkaBatchContext extends BaseRpcContext<[ReceivedBatch]> {
  getTopic(): string {
    return this.args[0].topic;
  }

  getPartition(): number {
    return this.args[0].partition;
  }
}

/** Which partition a batch moves, and from where: its own part of a `PartitionMark`. */
export type Standing = Omit<PartitionMark, 'next'>;

/** The records of one call of a handler, and how far of them is stored. */
export class Batch implements ReceivedBatch {
  private expected: bigint | null;

  constructor(
    private readonly standing: Standing,
    readonly records: readonly ReceivedRecord[],
    private readonly onStored: (next: bigint) => void,
  ) {
    this.expected = standing.expected;
  }

  get topic(): string {
    return this.standing.topic;
  }

  get partition(): number {
    return this.standing.partition;
  }

  get mark(): PartitionMark {
    return this.markThrough(this.last);
  }

  markThrough(offset: bigint): PartitionMark {
    const next = offset + 1n;
    if (offset > this.last || next <= (this.expected ?? -1n)) {
      throw new Error(
        `offset ${offset} is not among what is left of this batch: ${this.expected ?? 'its start'} to ${this.last}`,
      );
    }
    return { ...this.standing, expected: this.expected, next };
  }

  stored(mark: PartitionMark): void {
    if (mark.expected !== this.expected) throw new Error('marks of a batch are stored in the order they were made');
    this.expected = mark.next;
    this.onStored(mark.next);
  }

  get isStored(): boolean {
    return this.expected === this.last + 1n;
  }

  private get last(): bigint {
    const record = this.records.at(-1);
    if (record === undefined) throw new Error('a batch has at least one record');
    return record.offset;
  }
}

export function receivedRecord(message: KafkaMessage): ReceivedRecord {
  return {
    offset: BigInt(message.offset),
    timestamp: new Date(Number(message.timestamp)),
    key: message.key,
    value: message.value,
    headers: message.headers ?? {},
  };
}
