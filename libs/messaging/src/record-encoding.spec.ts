import { createRequire } from 'node:module';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { encodeRecord, type EncodedRecord, type PlacedRecord } from '#messaging/record-encoding';

const theirs = createRequire(import.meta.url)('kafkajs/src/protocol/recordBatch/record/v0/index.js') as (
  record: PlacedRecord,
) => EncodedRecord;

const bytes = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 200 }),
  fc.uint8Array({ maxLength: 200 }).map((each) => Buffer.from(each)),
);
const anyRecord = fc.record({
  offsetDelta: fc.nat({ max: 2 ** 30 }),
  timestampDelta: fc.oneof(
    fc.nat({ max: 1000 }),
    fc.maxSafeInteger().map((each) => Math.floor(each / 4)),
  ),
  key: fc.option(bytes),
  value: fc.option(bytes),
  headers: fc.dictionary(fc.string({ unit: 'grapheme' }), fc.oneof(bytes, fc.array(bytes, { maxLength: 3 }))),
});

describe('A record', () => {
  it('is written byte for byte as kafkajs writes it', () => {
    fc.assert(
      fc.property(anyRecord, (record) => {
        expect(encodeRecord(record).buffer.toString('hex')).toBe(theirs(record).buffer.toString('hex'));
      }),
      { numRuns: 1_000 },
    );
    const long = { value: 'x'.repeat(300_000), headers: { note: Buffer.alloc(20_000, 1) } };
    expect(encodeRecord(long).buffer.equals(theirs(long).buffer)).toBe(true);
  });
});
