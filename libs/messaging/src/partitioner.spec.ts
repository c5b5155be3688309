import { describe, expect, it } from '@jest/globals';
import { Partitioners } from 'kafkajs';
import { partitionOf } from '#messaging/partitioner';

describe('The partition of a key', () => {
  // The hashes are those of Kafka's own UtilsTest; 2^31 partitions leave them whole but for the sign.
  it.each([
    ['21', -973932308],
    ['foobar', -790332482],
    ['a-little-bit-long-string', -985981536],
    ['a-little-bit-longer-string', -1486304829],
    ['lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8', -58897971],
    ['abc', 479470107],
  ])("is the one that Kafka's own clients choose: %s", (key, hash) => {
    expect(partitionOf(Buffer.from(key), 2 ** 31)).toBe(hash & 0x7fffffff);
  });

  it('is the one that kafkajs chooses, for keys as ours are and for any bytes', () => {
    const theirs = Partitioners.DefaultPartitioner();
    const partitionMetadata = Array.from({ length: 8 }, (_, partitionId) => ({
      partitionId,
      leader: 1,
      partitionErrorCode: 0,
      replicas: [1],
      isr: [1],
    }));
    for (let each = 0; each < 2_000; each++) {
      const key =
        each % 2 === 0 ? Buffer.from(`default:stripe:pi_${each}é`) : Buffer.from([each, 255, each >> 3, 128, 0].slice(each % 5));
      expect(partitionOf(key, 8)).toBe(theirs({ topic: 'refunds.events.v1', partitionMetadata, message: { key, value: '' } }));
    }
  });
});
