import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { addPaymentRead, addRefundRead } from '#application/admission';
import { Conflict } from '#application/errors';
import { pacing } from '#application/operations';
import type { Pause, ProviderAccount, Scope } from '#application/sending';
import type { WorkingSet } from '#application/working-set';
import { refundId, payment, type Scene } from './stores-scene.js';

/** What holds calls back: the limiter, and the switch. */
export function sendingContract(scene: Scene): void {
  const { fresh, transact, look, withSends, clearQueue } = scene;

  describe('The limiter', () => {
    const limitedAccounts: { account: string; provider: string }[] = [];
    /** An account with limits of its own. So few calls are allowed that the time a test takes does not matter: one in ten seconds is 0.1. */
    const account = async (perSecond: number, perSecondAndEndpoint: number): Promise<string> => {
      const named = { account: fresh('shop'), provider: 'stripe' };
      limitedAccounts.push(named);
      await scene.stores.queue.limit([{ ...named, perSecond, perSecondAndEndpoint }]);
      return named.account;
    };
    const plenty = 100_000;
    /** Readings of refunds, the oldest first. */
    const reads = async (of: string, count: number, priority = 40): Promise<void> => {
      const names = Array.from({ length: count }, () => ({ account: of, provider: 'stripe', id: fresh('re') }));
      await transact({ providerRefunds: names }, (set) =>
        names.forEach(({ id: providerRefundId, ...where }, index) => {
          const read = { ...where, providerRefundId, refundId: null, paymentKey: null };
          addRefundRead(set, read, new Date(set.now.getTime() - 60_000 + index), priority);
        }),
      );
    };
    const paymentReads = async (of: string, count: number): Promise<void> => {
      const names = Array.from({ length: count }, () => fresh('pi'));
      const payments = names.map((each) => ({ ...payment(each), account: of }));
      await transact({ payments }, (set) => payments.forEach((each) => addPaymentRead(set, set.paymentCalled(each))));
    };
    const claim = async (limit = 100) => scene.stores.queue.claim(limit, 600_000);
    const countOf = async (limit?: number) => (await claim(limit)).length;
    const endpoint = (of: string) => ({ account: of, provider: 'stripe', kind: 'refund.read' }) as const;
    const nothing = { limited: 0, locked: 0, more: 0 };
    beforeEach(clearQueue);
    afterEach(async () => {
      const all = { perSecond: plenty, perSecondAndEndpoint: plenty };
      await scene.stores.queue.limit(limitedAccounts.map((each) => ({ ...each, ...all })));
      await scene.bench.passReal(3_600_000);
    });

    it('gives out what may be called soon, each with its moment, and goes on when time has passed', async () => {
      await reads(await account(plenty, 1000 / 70), 20);
      const first = await claim();
      // A fifth of a second's worth at once, and as much as is given out ahead: one every 70 ms.
      expect(first).toHaveLength(9);
      const waits = first.map(({ inMs }) => inMs).sort((a, b) => a - b);
      expect(waits.slice(0, 3)).toEqual([0, 0, 0]);
      expect(waits.at(-1)).toBeLessThanOrEqual(pacing.aheadMs);
      for (const [index, inMs] of waits.entries()) {
        if (index > 3 && inMs > 0) expect(inMs - (waits[index - 1] ?? 0)).toBeGreaterThan(0);
      }
      await scene.bench.passReal(3_600_000);
      expect(await countOf()).toBe(9);
    });

    it('is one for all workers, loses what nobody used, and is not fooled by a clock that was moved (F32)', async () => {
      await reads(await account(plenty, 0.1), 9);
      expect(await countOf()).toBe(1);
      expect(await scene.bench.again().queue.claim(10, 600_000)).toEqual([]);
      await scene.bench.advance(300_000);
      expect(await countOf()).toBe(0);
      await scene.bench.passReal(10_000);
      expect(await scene.bench.again().queue.claim(10, 600_000)).toHaveLength(1);
      await scene.bench.passReal(3_600_000);
      expect(await countOf()).toBe(1);
    });

    it('counts all calls of an account together as well', async () => {
      const of = await account(0.1, plenty);
      await reads(of, 2);
      await paymentReads(of, 2);
      expect(await countOf()).toBe(1);
      await scene.bench.passReal(10_000);
      expect(await countOf()).toBe(1);
    });

    it('lets the urgent go first, and none be passed over for ever', async () => {
      const of = await account(0.1, plenty);
      await reads(of, 2, 40);
      await paymentReads(of, 30);
      const order: string[] = [];
      for (let turn = 0; turn < 16; turn += 1) {
        order.push(...(await claim()).map(({ kind }) => kind));
        await scene.bench.passReal(10_000);
      }
      const places = order.flatMap((kind, place) => (kind === 'refund.read' ? [place] : []));
      expect(order).toHaveLength(16);
      expect(order[0]).toBe('payment.read');
      expect(places).toHaveLength(2);
      expect((places[1] ?? 0) - (places[0] ?? 0)).toBeGreaterThanOrEqual(pacing.patience);
    });

    it('gives accounts an even share of each round, however much one has waiting', async () => {
      const [flooded, other, small] = [
        await account(plenty, plenty),
        await account(plenty, plenty),
        await account(plenty, plenty),
      ];
      await reads(flooded, 300, 20);
      await reads(other, 60, 40);
      await reads(small, 1, 40);
      const got = new Map<string, number>();
      const first = await claim(10);
      expect(first.map((each) => each.account)).toContain(small);
      const rounds = [first, await claim(10), await claim(10), await claim(7), await claim(9)].flat();
      for (const each of rounds) got.set(each.account, (got.get(each.account) ?? 0) + 1);
      const [a, b] = [got.get(flooded) ?? 0, got.get(other) ?? 0];
      // Jain's index: 1 when all have the same, 1/2 when one of two has it all.
      expect((a + b) ** 2 / (2 * (a ** 2 + b ** 2))).toBeGreaterThanOrEqual(0.95);
      expect(a + b).toBe(45);
    });

    it('leaves out what is full', async () => {
      const [full, other] = [await account(plenty, plenty), await account(plenty, plenty)];
      for (const each of [full, other]) await reads(each, 2);
      await paymentReads(full, 1);
      const claimed = await scene.stores.queue.claim(10, 600_000, [endpoint(full)]);
      expect(claimed.map((each) => `${each.account} ${each.kind}`).sort()).toEqual(
        [`${full} payment.read`, `${other} refund.read`, `${other} refund.read`].sort(),
      );
    });

    it('slows down when a limiter of the provider’s has spoken, once for all that was under way, and recovers', async () => {
      const of = await account(plenty, 0.1);
      await reads(of, 9);
      await Promise.all([1, 2, 3].map((limited) => scene.stores.queue.meet(endpoint(of), { ...nothing, limited })));
      expect(await countOf()).toBe(1);
      // 0.1 a second times 0.85 is one in 11.8 seconds.
      await scene.bench.passReal(10_800);
      expect(await countOf()).toBe(0);
      await scene.bench.passReal(800);
      expect(await countOf()).toBe(1);
      await scene.bench.passReal(60_000);
      expect(await countOf()).toBe(1);
      await scene.bench.passReal(10_000);
      expect(await countOf()).toBe(1);
    });

    it('is slower with each time that a limiter speaks, and never stands still', async () => {
      const of = await account(plenty, 0.1);
      await reads(of, 9);
      for (let spoken = 0; spoken < 20; spoken += 1) {
        await scene.stores.queue.meet(endpoint(of), { ...nothing, limited: 1 });
        await scene.bench.passReal(2_000);
      }
      expect(await countOf()).toBe(1);
      await scene.bench.passReal(20_000);
      expect(await countOf()).toBe(0);
      await scene.bench.passReal(200_000);
      expect(await countOf()).toBe(1);
    });

    it('is no slower for a lock', async () => {
      const of = await account(plenty, 0.1);
      await reads(of, 9);
      await scene.stores.queue.meet(endpoint(of), { ...nothing, locked: 3 });
      expect(await countOf()).toBe(1);
      await scene.bench.passReal(10_000);
      expect(await countOf()).toBe(1);
    });

    it('takes what a call asked for beside its own request from the next', async () => {
      const of = await account(plenty, 0.1);
      await reads(of, 9);
      expect(await countOf()).toBe(1);
      await scene.stores.queue.meet(endpoint(of), { ...nothing, more: 2 });
      await scene.bench.passReal(20_000);
      expect(await countOf()).toBe(0);
      await scene.bench.passReal(10_000);
      expect(await countOf()).toBe(1);
    });
  });

  describe('The switch', () => {
    const everything = { provider: null, account: null };
    const throwIt = (work: (set: WorkingSet) => void) => transact({ sending: 'thrown' }, work);
    const pause = (scope: Scope, more: Partial<Pause> = {}) =>
      throwIt((set) => {
        set.addPause({ ...scope, reason: 'a test', by: 'somebody', since: set.now, automatic: false, ...more });
      });
    const resume = (scope: Scope) =>
      throwIt((set) => {
        const known = set.pauses().find((each) => each.provider === scope.provider && each.account === scope.account);
        if (known === undefined) throw new Error('it is not paused');
        set.endPause(known, { reason: 'mended', by: 'somebody' });
      });
    const scopes: readonly (readonly [string, Scope])[] = [
      ['everything', everything],
      ['its provider', { provider: 'stripe', account: null }],
      ['its account', { provider: 'stripe', account: 'default' }],
    ];
    const claimed = async () => (await scene.stores.queue.claim(10, 30_000)).map(({ kind }) => kind);

    it.each(scopes)('keeps sends from being claimed while it pauses %s, and lets readings go on', async (_, scope) => {
      await clearQueue();
      const of = await withSends(refundId(fresh('a')));
      await transact({ payments: [of] }, (set) => addPaymentRead(set, set.paymentCalled(of)));
      await pause(scope);
      expect(await claimed()).toEqual(['payment.read']);
      await resume(scope);
      expect(await claimed()).toEqual(['refund.send']);
    });

    it.each([
      ['another provider', { provider: 'zamp', account: null }],
      ['another account', { provider: 'stripe', account: 'eu' }],
    ])('lets sends go while it pauses %s', async (_, scope) => {
      await clearQueue();
      await withSends(refundId(fresh('a')));
      await pause(scope);
      expect(await claimed()).toEqual(['refund.send']);
      await resume(scope);
    });

    it('shows whoever holds it what is paused, until that is ended', async () => {
      const held = () =>
        look({ sending: 'held' }, (set) => set.pauses().map(({ provider, reason, by }) => [provider, reason, by]));
      await pause({ provider: 'zamp', account: null }, { reason: 'the bank is closed' });
      await pause(everything);
      expect(new Set(await held())).toEqual(
        new Set([
          ['zamp', 'the bank is closed', 'somebody'],
          [null, 'a test', 'somebody'],
        ]),
      );
      const covering = await look(
        { sending: 'held' },
        (set) => set.pauseOf({ provider: 'zamp', account: 'default' }) !== undefined,
      );
      expect(covering).toBe(true);
      await resume(everything);
      await resume({ provider: 'zamp', account: null });
      expect(await held()).toEqual([]);
    });

    it('has one pause per scope', async () => {
      await pause(everything);
      await expect(pause(everything)).rejects.toThrow(Conflict);
      await resume(everything);
    });

    it('leaves all as it is when what threw it fails', async () => {
      const failing = throwIt((set) => {
        set.addPause({ ...everything, reason: 'a test', by: 'somebody', since: set.now, automatic: true });
        set.setHour({ ...set.hourOf(counted), sends: 5 });
        throw new Error('a bug of ours');
      });
      await expect(failing).rejects.toThrow('a bug of ours');
      expect(await look({ sending: 'held', counted: [counted] }, (set) => [set.pauses(), set.hourOf(counted).sends])).toEqual([
        [],
        0,
      ]);
    });

    const counted = { account: 'eu', provider: 'stripe' };
    it('counts what an account sends, one after the other, and nothing of another', async () => {
      const other = { account: 'us', provider: 'stripe' };
      const count = (of: ProviderAccount, amount: string) =>
        transact({ sending: 'held', counted: [of] }, (set) => {
          const hour = set.hourOf(of);
          set.setHour({ ...hour, sends: hour.sends + 1, amounts: { ...hour.amounts, USD: amount } });
        });
      await Promise.all([...Array.from({ length: 12 }, (_, each) => count(counted, String(each))), count(other, '7')]);
      const read = (set: WorkingSet) => set.hours().map(({ account, sends }) => [account, sends]);
      expect(await look({ sending: 'held', counted: [counted] }, read)).toEqual([['eu', 12]]);
      expect(new Map((await look({ sending: 'thrown' }, read)) as [string, number][])).toEqual(
        new Map([
          ['eu', 12],
          ['us', 1],
        ]),
      );
      const hour = await look({ sending: 'held', counted: [other] }, (set) => set.hourOf(other));
      expect(hour.amounts).toEqual({ USD: '7' });
    });
  });
}
