import { createHash } from 'node:crypto';
import type { ReceivedRecord } from '#application/received-batch';
import { sizeOf } from '#messaging/event-record';

/** What is kept of a record that was set aside. */
export interface KeptRecord {
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers: Record<string, Buffer | Buffer[]>;
}

/**
 * What a topic takes that nobody configured, less what Kafka puts around a record. Commands may come from a topic that takes more, and
 * compressed ones grow; a dead letter that no topic takes would hold up all behind it.
 */
const MOST_BYTES = 1_048_576 - 1_024;

/**
 * A record with its bytes and, as headers beside its own, origin and reason. One that is too long for its topic leaves out its value, and
 * where key and headers alone are too long those as well; then digest and length say which bytes they were, and the origin where they stand.
 */
export function keptRecord(
  { key, value, headers, offset }: ReceivedRecord,
  from: { readonly topic: string; readonly partition: number },
  why: { readonly code: string; readonly detail: string },
): KeptRecord {
  const told = {
    redress_topic: Buffer.from(from.topic),
    redress_partition: Buffer.from(String(from.partition)),
    redress_offset: Buffer.from(String(offset)),
    redress_reason: Buffer.from(why.code),
    redress_detail: Buffer.from(why.detail),
  };
  const whole = { key, value, headers: { ...bytesOf(headers), ...told } };
  if (fits(whole)) return whole;

  const about = {
    redress_left_out: Buffer.from('value'),
    redress_value_bytes: Buffer.from(String(value?.length ?? 0)),
    redress_value_sha256: Buffer.from(
      createHash('sha256')
        .update(value ?? '')
        .digest('hex'),
    ),
  };
  const withoutValue = { key, value: null, headers: { ...whole.headers, ...about } };
  if (fits(withoutValue)) return withoutValue;
  return { key: null, value: null, headers: { ...told, ...about, redress_left_out: Buffer.from('key,value,headers') } };
}

function fits(record: KeptRecord): boolean {
  return sizeOf(record) <= MOST_BYTES;
}

/** Each header with all its values. One without a value becomes an empty one: kafkajs reads such a header and cannot write it. */
function bytesOf(headers: ReceivedRecord['headers']): Record<string, Buffer | Buffer[]> {
  const named = Object.entries(headers).map(([name, given]): [string, Buffer | Buffer[]] => {
    // Of a header named as what every object has, such as `constructor`, kafkajs makes a list that begins with that.
    const values = [given].flat().flatMap((each) => {
      if (each === null || each === undefined) return [Buffer.alloc(0)];
      return typeof each === 'string' || Buffer.isBuffer(each) ? [Buffer.from(each)] : [];
    });
    const [first = Buffer.alloc(0), ...others] = values;
    return [name, others.length === 0 ? first : values];
  });
  return Object.fromEntries(named);
}
