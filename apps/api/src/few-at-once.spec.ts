import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from '@jest/globals';
import { FewAtOnce } from './few-at-once.js';

describe('Few at once', () => {
  it('are so many at the most, and the others in order of arrival', async () => {
    const few = new FewAtOnce(2, 5_000);
    const begun: number[] = [];
    let [underWay, most] = [0, 0];
    const work = async (which: number) => {
      begun.push(which);
      most = Math.max(most, (underWay += 1));
      await sleep(5);
      underWay -= 1;
      return which;
    };
    const all = [1, 2, 3, 4, 5, 6, 7];
    expect(await Promise.all(all.map((which) => few.run(() => work(which))))).toEqual(all);
    expect([begun, most]).toEqual([all, 2]);
  });

  it('make room whatever becomes of them', async () => {
    const few = new FewAtOnce(1, 5_000);
    await expect(few.run(() => Promise.reject(new Error('broken')))).rejects.toThrow('broken');
    expect(await few.run(() => Promise.resolve('done'))).toBe('done');
  });

  it('wait for their turn no longer than they may, and do not hold up who comes after', async () => {
    const few = new FewAtOnce(1, 20);
    let finish = (): void => undefined;
    const long = few.run(() => new Promise<string>((resolve) => (finish = () => resolve('long'))));
    expect(await few.run(() => Promise.resolve('late'))).toBeNull();
    finish();
    expect(await long).toBe('long');
    expect(await few.run(() => Promise.resolve('next'))).toBe('next');
  });
});
