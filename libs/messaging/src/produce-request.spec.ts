import { createRequire } from 'node:module';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import fc from 'fast-check';
import { produceRequest, type ProduceRequest } from '#messaging/produce-request';

type Made = ReturnType<typeof produceRequest>;
const theirs = createRequire(import.meta.url)('kafkajs/src/protocol/requests/produce/v3/request.js') as (
  request: ProduceRequest,
) => Made;

const bytes = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 200 }),
  fc.uint8Array({ maxLength: 200 }).map((each) => Buffer.from(each)),
);
const message = fc.record(
  {
    key: fc.option(bytes),
    value: fc.option(bytes),
    headers: fc.dictionary(fc.string({ unit: 'grapheme' }), fc.oneof(bytes, fc.array(bytes, { maxLength: 3 }))),
    timestamp: fc.oneof(fc.integer({ min: 1_600_000_000_000, max: 1_900_000_000_000 }).map(String), fc.constant(null)),
  },
  { requiredKeys: ['key', 'value'] },
);
const partition = fc.record(
  {
    partition: fc.nat({ max: 1_000 }),
    firstSequence: fc.nat({ max: 2 ** 31 - 1 }),
    messages: fc.array(message, { minLength: 1, maxLength: 12 }),
  },
  { requiredKeys: ['partition', 'messages'] },
);
const anyRequest: fc.Arbitrary<ProduceRequest> = fc.record(
  {
    acks: fc.constantFrom(-1, 0, 1),
    timeout: fc.nat({ max: 100_000 }),
    transactionalId: fc.option(fc.string({ unit: 'grapheme', minLength: 1 })),
    producerId: fc.oneof(fc.nat(), fc.bigInt({ min: 0n, max: 2n ** 63n - 1n }).map(String)),
    producerEpoch: fc.nat({ max: 32_767 }),
    topicData: fc.array(
      fc.record({ topic: fc.string({ unit: 'grapheme' }), partitions: fc.array(partition, { maxLength: 4 }) }),
      {
        maxLength: 3,
      },
    ),
  },
  { requiredKeys: ['acks', 'timeout', 'topicData'] },
);

describe('A produce request', () => {
  beforeEach(() => {
    jest.spyOn(Date, 'now').mockReturnValue(1_763_800_000_123);
  });
  afterEach(() => {
    jest.restoreAllMocks();
  });

  it('is written byte for byte as kafkajs writes it', async () => {
    await fc.assert(
      fc.asyncProperty(anyRequest, async (request) => {
        const [ours, other] = [produceRequest(request), theirs(request)];
        const [mine, their] = await Promise.all([ours.encode(), other.encode()]);
        expect(mine.buffer.toString('hex')).toBe(their.buffer.toString('hex'));
        expect({ ...ours, encode: null, expectResponse: ours.expectResponse() }).toEqual({
          ...other,
          encode: null,
          expectResponse: other.expectResponse(),
        });
      }),
      { numRuns: 500 },
    );
  });

  it('is as long as a page of the relay may make it', async () => {
    const long = { key: 'k', value: 'x'.repeat(30_000), headers: { note: Buffer.alloc(20_000, 1), ce_id: 'y'.repeat(127) } };
    const messages = Array.from({ length: 200 }, () => long);
    const request = { acks: -1, timeout: 1, topicData: [{ topic: 't', partitions: [{ partition: 0, messages }] }] };
    const [mine, their] = await Promise.all([produceRequest(request).encode(), theirs(request).encode()]);
    expect(mine.buffer.equals(their.buffer)).toBe(true);
  });
});
