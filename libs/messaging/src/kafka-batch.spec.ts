import { describe, expect, it } from '@jest/globals';
import { Batch } from '#messaging/kafka-batch';

const standing = { cluster: 'main', group: 'redress', topic: 'refunds.commands.v1', partition: 2, expected: 10n };

describe('A batch', () => {
  it('is stored whole with one mark, from where its consumer stood to behind its last record', () => {
    const { batch, storedNext } = batchOf([10n, 11n, 14n]);
    expect(batch.mark).toEqual({ ...standing, next: 15n });
    batch.stored(batch.mark);
    expect(storedNext).toEqual([15n]);
    expect(batch.isStored).toBe(true);
  });

  it('can be stored in parts, each of which expects what the one before wrote', () => {
    const { batch, storedNext } = batchOf([10n, 11n, 14n]);
    batch.stored(batch.markThrough(10n));
    expect(batch.isStored).toBe(false);
    expect(batch.mark).toEqual({ ...standing, expected: 11n, next: 15n });
    batch.stored(batch.mark);
    expect(storedNext).toEqual([11n, 15n]);
  });

  it('does not let a mark pass its last record, go back, or be stored twice', () => {
    const { batch } = batchOf([10n, 11n, 14n]);
    expect(() => batch.markThrough(15n)).toThrow('not among what is left');
    const mark = batch.markThrough(11n);
    batch.stored(mark);
    expect(() => batch.markThrough(11n)).toThrow('not among what is left');
    expect(() => batch.stored(mark)).toThrow('in the order');
  });
});

function batchOf(offsets: readonly bigint[]) {
  const storedNext: bigint[] = [];
  const records = offsets.map((offset) => ({ offset, timestamp: new Date(0), key: null, value: null, headers: {} }));
  return { batch: new Batch(standing, records, (next) => storedNext.push(next)), storedNext };
}
