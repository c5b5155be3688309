import type { IHeaders } from 'kafkajs';
import { writeBinary } from '#contracts/cloud-event';
import type { DeadLetterRecord, SealedEntry } from '#application/event-log';
import { partitionOf } from '#messaging/partitioner';

/** A record as it goes to Kafka, with the partition already chosen. */
export interface OutgoingRecord {
  readonly partition: number;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers: IHeaders;
}

/** An entry of the log as a CloudEvent in binary mode; its data goes out byte for byte as it is stored. */
export function eventRecord(entry: SealedEntry & { readonly key: string }, partitions: number): OutgoingRecord {
  const { key, value, headers } = writeBinary(
    {
      specversion: '1.0',
      id: entry.id,
      source: `/redress/${entry.account}`,
      type: entry.type,
      subject: entry.subject,
      time: entry.time.toISOString(),
      datacontenttype: 'application/json',
      partitionkey: entry.key,
      ...(entry.sequence === null ? {} : { sequence: String(entry.sequence) }),
      ...(entry.correlationId === null ? {} : { correlationid: entry.correlationId }),
      ...(entry.causationId === null ? {} : { causationid: entry.causationId }),
      ...(entry.traceparent === null ? {} : { traceparent: entry.traceparent }),
    },
    entry.data,
  );
  return { partition: partitionOf(key, partitions), key, value, headers };
}

/** A dead letter with the bytes it came with. One without a key goes where its id leads, so that a repeat lands beside the first. */
export function deadLetterRecord({ id, key, value, headers }: DeadLetterRecord, partitions: number): OutgoingRecord {
  const named = Object.entries(headers).map(([name, given]) => [name, Buffer.isBuffer(given) ? given : [...given]]);
  return {
    partition: partitionOf(key ?? Buffer.from(id), partitions),
    key,
    value,
    headers: Object.fromEntries(named) as IHeaders,
  };
}

/** What a record takes on the wire, near enough to keep a request below Kafka's limit. */
export function sizeOf({ key, value, headers }: Pick<OutgoingRecord, 'key' | 'value' | 'headers'>): number {
  let size = (key?.length ?? 0) + (value?.length ?? 0) + 20;
  for (const [name, given] of Object.entries(headers)) {
    const values = Array.isArray(given) ? given : [given ?? ''];
    for (const each of values) size += Buffer.byteLength(name) + Buffer.byteLength(each) + 8;
  }
  return size;
}
