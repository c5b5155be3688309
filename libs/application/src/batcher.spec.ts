import { describe, expect, it } from '@jest/globals';
import { Batcher, Failed, inParts } from '#application/batcher';
import { Conflict, Fenced, Unavailable } from '#application/errors';

describe('A batcher', () => {
  it('lets what comes in together go together, and what comes meanwhile wait for the next', async () => {
    const batches: string[][] = [];
    const batcher = new Batcher(
      async (items: readonly string[]) => {
        batches.push([...items]);
        await new Promise((wake) => setTimeout(wake, 5));
        return items.map((item) => ({ item }));
      },
      { most: 3, atOnce: 1 },
    );
    const answers = ['a', 'b', 'c', 'd', 'e'].map((item) => batcher.submit(item));
    expect(await Promise.all(answers)).toEqual(['a', 'b', 'c', 'd', 'e'].map((item) => ({ item })));
    expect(batches).toEqual([
      ['a', 'b', 'c'],
      ['d', 'e'],
    ]);
  });

  it('tells each of its own failure, and all of a common one', async () => {
    const batcher = new Batcher<string, { item: string }>(
      (items) =>
        items.includes('all')
          ? Promise.reject(new Error('common'))
          : Promise.resolve(items.map((item) => (item === 'bad' ? new Failed(new Error('its own')) : { item }))),
      { most: 10, atOnce: 1 },
    );
    const [good, bad] = await Promise.allSettled([batcher.submit('good'), batcher.submit('bad')]);
    expect(good).toMatchObject({ status: 'fulfilled', value: { item: 'good' } });
    expect(bad).toMatchObject({ status: 'rejected', reason: { message: 'its own' } });
    const common = await Promise.allSettled([batcher.submit('all'), batcher.submit('good')]);
    expect(common.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
  });
});

describe('A batch with something in it that cannot be stored', () => {
  const run = async (poison: readonly number[]) => {
    const stored: number[] = [];
    const offenders: number[] = [];
    const answers = await inParts(
      Array.from({ length: 20 }, (_, index) => index),
      async (part) => {
        if (part.some((item) => poison.includes(item))) throw new TypeError('a bug of ours');
        stored.push(...part);
        return part.map((item) => `stored ${item}`);
      },
      async (item) => {
        offenders.push(item);
        return `offender ${item}`;
      },
    );
    return { stored, offenders, answers };
  };

  it('stores the others in order and finds the offenders, one by one', async () => {
    const { stored, offenders, answers } = await run([7, 19]);
    expect(offenders).toEqual([7, 19]);
    expect(stored).toEqual([0, 1, 2, 3, 4, 5, 6, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18]);
    expect(answers).toEqual(Array.from({ length: 20 }, (_, n) => `${offenders.includes(n) ? 'offender' : 'stored'} ${n}`));
  });

  it('is tried again as a whole when another was in the way', async () => {
    let tries = 0;
    const work = async (part: readonly number[]) => {
      tries += 1;
      if (tries < 4) throw new Conflict('another was in the way');
      return part;
    };
    expect(await inParts([1, 2, 3], work, () => Promise.reject(new Error('nobody offends')))).toEqual([1, 2, 3]);
    expect(tries).toBe(4);
  });

  it.each([new Unavailable('away'), new Fenced('taken over')])(
    'is nobody’s fault when nothing can be stored at all: $name',
    async (error) => {
      const offended = inParts(
        [1, 2, 3],
        () => Promise.reject(error),
        () => Promise.resolve(0),
      );
      await expect(offended).rejects.toBe(error);
    },
  );
});
