import { describe, expect, it, jest } from '@jest/globals';
import { addRefundRead, addSend } from '#application/admission';
import type { Operation } from '#application/operations';
import type { Scope } from '#application/sending';
import { refundId, cause, providerRefund, type Scene } from './stores-scene.js';

/** What the queue of provider operations promises: lanes, leases, and readings that serve several. */
export function queueContract(scene: Scene): void {
  const { fresh, transact, look, addRefund, approved, withSends, send, end, clearQueue } = scene;

  describe('A lane', () => {
    it('lets the sends of one payment go one at a time, in order', async () => {
      await clearQueue();
      const [a, b, c] = [refundId(fresh('a')), refundId(fresh('b')), refundId(fresh('c'))];
      const of = await withSends(a, b);
      await transact({ payments: [of] }, (set) => {
        addRefund(set, of, { id: c });
        set.record(c, [approved(set)], cause);
        addSend(set, c);
      });
      for (const refund of [a, b, c]) {
        const claimed = await scene.stores.queue.claim(10, 1000);
        expect(claimed.map(({ target }) => target)).toEqual([refund]);
        await Promise.all(claimed.map(end));
      }
      expect(await scene.stores.queue.claim(10, 1000)).toEqual([]);
    });

    it('goes on when the one in front, or one in the middle, is taken away', async () => {
      const [a, b, c] = [refundId(fresh('a')), refundId(fresh('b')), refundId(fresh('c'))];
      await withSends(a, b, c);
      const drop = (operation: Operation) =>
        transact({ operations: [operation.id] }, (set) => set.changeOperation(operation.id, { state: 'dropped' }));
      await drop(await send(b));
      expect((await send(c)).head).toBe(false);
      await drop(await send(a));
      expect((await send(c)).head).toBe(true);
    });

    it('takes a newcomer in the same breath as its head leaves', async () => {
      const [a, b] = [refundId(fresh('a')), refundId(fresh('b'))];
      const of = await withSends(a);
      const first = await send(a);
      await transact({ payments: [of], operations: [first.id] }, (set) => {
        set.changeOperation(first.id, { state: 'done' });
        addRefund(set, of, { id: b });
        set.record(b, [approved(set)], cause);
        addSend(set, b);
      });
      expect(await send(b)).toMatchObject({ head: true, state: 'open' });
    });

    it('is held up by what is parked at its head', async () => {
      await clearQueue();
      const [a, b] = [refundId(fresh('a')), refundId(fresh('b'))];
      await withSends(a, b);
      const { id } = await send(a);
      await transact({ operations: [id] }, (set) => set.changeOperation(id, { state: 'parked' }));
      expect(await scene.stores.queue.claim(10, 1000)).toEqual([]);
      await transact({ operations: [id] }, (set) => set.changeOperation(id, { state: 'open' }));
      expect((await scene.stores.queue.claim(10, 1000)).map((each) => each.id)).toEqual([id]);
    });
  });

  describe('The queue', () => {
    const read = async (priority: number, inMs: number): Promise<string> => {
      const re = fresh('re');
      const target = { account: 'default', provider: 'stripe', providerRefundId: re, refundId: null, paymentKey: null };
      await transact({ providerRefunds: [providerRefund(re)] }, (set) =>
        addRefundRead(set, target, new Date(set.now.getTime() + inMs), priority),
      );
      return re;
    };
    const claimed = async (limit: number, leaseMs = 30_000) =>
      (await scene.stores.queue.claim(limit, leaseMs)).map((each) => each.target);

    it('gives what is urgent first, then what has waited longest, and nothing before its time', async () => {
      await clearQueue();
      const later = await read(10, 60_000);
      const poll = await read(40, -5_000);
      const notice = await read(30, -1_000);
      const older = await read(30, -2_000);
      expect(await claimed(2)).toEqual([older, notice]);
      expect(await claimed(10)).toEqual([poll]);
      expect(await claimed(10)).toEqual([]);
      await scene.bench.advance(60_000);
      expect(await claimed(1)).toEqual([later]);
    });

    it('hands over what was held when the lease is over, under a higher fence (F23)', async () => {
      await clearQueue();
      await read(10, 0);
      const [first] = await scene.stores.queue.claim(1, 30_000);
      await scene.bench.advance(29_000);
      expect(await claimed(1)).toEqual([]);
      await scene.bench.advance(2_000);
      const [second] = await scene.bench.again().queue.claim(1, 30_000);
      expect(second).toMatchObject({ id: first?.id, fence: (first?.fence ?? 0n) + 1n });
    });

    it.each([-1, 1])('goes by the clock of the store, and not by that of a process %d hours off (F32)', async (hours) => {
      await clearQueue();
      await read(10, 0);
      const own = jest.spyOn(Date, 'now').mockReturnValue(Date.now() + hours * 3_600_000);
      try {
        expect(await scene.stores.queue.claim(1, 30_000)).toHaveLength(1);
        await scene.bench.advance(29_000);
        expect(await claimed(1)).toEqual([]);
        await scene.bench.advance(2_000);
        expect(await claimed(1)).toHaveLength(1);
      } finally {
        own.mockRestore();
      }
    });

    it('prolongs and takes back leases of their holder only', async () => {
      await clearQueue();
      await read(10, 0);
      const [first] = await scene.stores.queue.claim(1, 30_000);
      if (first === undefined) throw new Error('nothing was claimed');
      await scene.bench.advance(20_000);
      await scene.stores.queue.renew([first], 30_000);
      await scene.bench.advance(20_000);
      expect(await claimed(1)).toEqual([]);
      await scene.bench.advance(20_000);
      const [second] = await scene.stores.queue.claim(1, 30_000);
      if (second === undefined) throw new Error('nothing was taken over');

      await scene.stores.queue.renew([first], 600_000);
      await scene.stores.queue.release([first]);
      expect(await claimed(1)).toEqual([]);
      await scene.stores.queue.release([second]);
      expect(await claimed(1)).toHaveLength(1);
      await scene.stores.queue.renew([second], 600_000);
      await scene.bench.advance(31_000);
      expect(await claimed(1)).toHaveLength(1);
    });

    it('reads once for all who ask, sooner for who is in a hurry', async () => {
      await clearQueue();
      const re = fresh('re');
      const target = { account: 'default', provider: 'stripe', providerRefundId: re, refundId: null, paymentKey: null };
      const ask = (inMs: number, priority: number) =>
        transact({ providerRefunds: [providerRefund(re)] }, (set) =>
          addRefundRead(set, target, new Date(set.now.getTime() + inMs), priority),
        );
      const id = await ask(60_000, 40);
      expect(await ask(0, 20)).toBe(id);
      expect(await ask(90_000, 40)).toBe(id);
      const [running] = await scene.stores.queue.claim(10, 30_000);
      expect(running).toMatchObject({ id, priority: 20, again: false });

      // Asked while it is under way: what it sees may be too old, so it is read once more.
      expect(await ask(0, 20)).toBe(id);
      const after = await look({ operations: [id] }, (set) => set.operation(id));
      expect(after).toMatchObject({ again: true, fence: running?.fence, leaseUntil: running?.leaseUntil });

      await transact({ operations: [id] }, (set) => set.changeOperation(id, { state: 'parked', leaseUntil: null, again: false }));
      expect(await ask(0, 20)).toBe(id);
      expect(await look({ operations: [id] }, (set) => set.operation(id))).toMatchObject({ state: 'open', again: false });

      await transact({ operations: [id] }, (set) => set.changeOperation(id, { state: 'done' }));
      expect(await ask(0, 20)).not.toBe(id);
    });
  });

  describe('What is parked', () => {
    it('is found in order of arrival, of one account or of all, until it is taken up', async () => {
      await clearQueue();
      const ids = [refundId(fresh('a')), refundId(fresh('b')), refundId(fresh('c'))];
      const operations: string[] = [];
      for (const id of ids) {
        await withSends(id);
        const { id: operation } = await send(id);
        operations.push(operation);
        await transact({ operations: [operation] }, (set) => set.changeOperation(operation, { state: 'parked' }));
      }
      const parked = async (scope: Scope, after = 0n, limit = 10) =>
        (await scene.stores.queue.parked(scope, after, limit)).filter(({ id }) => operations.includes(id));
      const all = await parked({ provider: null, account: null }, 0n, 1000);
      expect(all.map(({ id }) => id)).toEqual(operations);
      expect(all.map((each) => each.refundId)).toEqual(ids);
      expect(await parked({ provider: 'stripe', account: 'default' }, all[0]?.ordinal, 1)).toEqual(all.slice(1, 2));
      expect(await parked({ provider: 'zamp', account: null })).toEqual([]);
      expect(await parked({ provider: 'stripe', account: 'eu' })).toEqual([]);
      for (const id of operations) {
        await transact({ operations: [id] }, (set) => set.changeOperation(id, { state: 'done', doneAt: set.now }));
      }
      expect(await parked({ provider: null, account: null }, 0n, 1000)).toEqual([]);
    });
  });
}
