import { createHash } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import type { ReceivedRecord } from '#application/received-batch';
import { keptRecord } from '#messaging/dead-letter';
import { deadLetterRecord } from '#messaging/event-record';

const why = { code: 'not_json', detail: 'The body is not JSON.' };
const from = { topic: 'refunds.commands.v1', partition: 3 };
const told = {
  redress_topic: Buffer.from('refunds.commands.v1'),
  redress_partition: Buffer.from('3'),
  redress_offset: Buffer.from('77'),
  redress_reason: Buffer.from('not_json'),
  redress_detail: Buffer.from('The body is not JSON.'),
};
const record = (change: Partial<ReceivedRecord>): ReceivedRecord => ({
  offset: 77n,
  timestamp: new Date(0),
  key: Buffer.from('k'),
  value: Buffer.from([0, 255]),
  headers: {},
  ...change,
});

describe('A record that is set aside', () => {
  it('keeps its bytes, and has origin and reason beside its own headers', () => {
    const kept = keptRecord(record({ headers: { ce_id: Buffer.from([200, 0]), also: 'text' } }), from, why);
    expect(kept).toEqual({
      key: Buffer.from('k'),
      value: Buffer.from([0, 255]),
      headers: { ce_id: Buffer.from([200, 0]), also: Buffer.from('text'), ...told },
    });
  });

  it('keeps a key and a value that are null', () => {
    expect(keptRecord(record({ key: null, value: null }), from, why)).toMatchObject({ key: null, value: null });
  });

  it('keeps a header that stands there several times, one that is empty, and those with the strangest names', () => {
    // As kafkajs reads them: what every object has comes first in the list.
    const strange = JSON.parse('{"__proto__":null}') as object;
    const read = { a: [Buffer.from('1'), Buffer.from('2')], b: null, constructor: [Object, Buffer.from('3')], ...strange };
    const { headers } = keptRecord(record({ headers: read as unknown as ReceivedRecord['headers'] }), from, why);
    const written = deadLetterRecord({ id: 'dl', key: null, value: null, headers }, 8).headers;
    expect(Object.entries(written)).toEqual([
      ['a', [Buffer.from('1'), Buffer.from('2')]],
      ['b', Buffer.alloc(0)],
      ['constructor', Buffer.from('3')],
      ['__proto__', Buffer.alloc(0)],
      ...Object.entries(told),
    ]);
  });

  it('leaves out its value when no topic takes it, with digest, length and origin in its place', () => {
    const value = Buffer.alloc(1_048_576, 7);
    const kept = keptRecord(record({ value, headers: { ce_id: Buffer.from('c-1') } }), from, why);
    expect(kept).toEqual({
      key: Buffer.from('k'),
      value: null,
      headers: {
        ce_id: Buffer.from('c-1'),
        ...told,
        redress_left_out: Buffer.from('value'),
        redress_value_bytes: Buffer.from('1048576'),
        redress_value_sha256: Buffer.from(createHash('sha256').update(value).digest('hex')),
      },
    });
    expect(keptRecord(record({ value: value.subarray(4_096) }), from, why).value).toHaveLength(1_044_480);
  });

  it('leaves out key and headers as well when those alone are too long', () => {
    const kept = keptRecord(record({ headers: { big: [Buffer.alloc(600_000), Buffer.alloc(600_000)] } }), from, why);
    expect(kept).toMatchObject({ key: null, value: null });
    expect(Object.keys(kept.headers).every((name) => name.startsWith('redress_'))).toBe(true);
    expect(kept.headers['redress_left_out']).toEqual(Buffer.from('key,value,headers'));
  });
});
