import { describe, expect, it } from '@jest/globals';
import { addPaymentRead } from '#application/admission';
import { Conflict, Fenced } from '#application/errors';
import type { PartitionMark } from '#application/event-log';
import type { Want, KeptCommand } from '#application/kept';
import { uuid, refundId, cause, payment, providerRefund, type Scene } from './stores-scene.js';

/** What the book promises of payments, refunds, commands and partitions. */
export function bookContract(scene: Scene): void {
  const { fresh, transact, look, addRefund, approved, rejected, succeeded, capture } = scene;

  describe('The book', () => {
    it('makes one row of a payment that nobody had heard of, and finds it again', async () => {
      const of = payment(fresh('pi'));
      const first = await look({ payments: [of] }, (set) => set.paymentCalled(of));
      expect(first).toMatchObject({ key: of.key, name: of.name, settled: true, captured: 0n, readAt: null, version: 0 });
      expect(await look({ payments: [of, of] }, (set) => set.paymentCalled(of))).toEqual(first);
      const charge = payment(fresh('ch'));
      expect(await look({ payments: [charge] }, (set) => set.paymentCalled(charge))).toMatchObject({ settled: false });
    });

    it('looks an alias up without making a payment of it', async () => {
      const charge = payment(fresh('ch'));
      const other = payment(fresh('pi'));
      await look({ payments: [other], aliases: [charge] }, () => undefined);
      await expect(look({ aliases: [charge] }, (set) => set.paymentCalled(charge))).rejects.toThrow('was not loaded');
    });

    it('keeps every field of a refund and of its payment, and finds them by any id', async () => {
      const of = payment(fresh('pi'));
      const id = refundId(fresh('refund'));
      const re = fresh('re');
      const want = { payments: [of], refunds: [id], providerRefunds: [providerRefund(re)] };
      const written = await transact(want, (set) => {
        capture(set, of, 5000n);
        addRefund(set, of, { id, reference: fresh('RMA') });
        set.record(id, [approved(set)], cause);
        const after = set.record(id, [succeeded(set, re)], cause);
        return { refund: after, payment: set.paymentCalled(of) };
      });
      expect(written.payment).toMatchObject({ captured: 5000n, reserved: 0n, refunded: 1000n, sequence: 3n });

      for (const by of [{ refunds: [id] }, { providerRefunds: [providerRefund(re)] }]) {
        const read = await look(by, (set) => ({ refund: set.kept(id).refund, payment: set.payment(of.key) }));
        expect(read.payment).toEqual(written.payment);
        expect(read.refund).toEqual({ ...written.refund, ordinal: read.refund.ordinal });
        expect(read.refund.ordinal).toBeGreaterThan(0n);
      }
      expect(await look({ providerRefunds: [providerRefund(re)] }, (set) => set.refundCalled(providerRefund(re))?.id)).toBe(id);
    });

    it('lets nobody change what was only looked at, and waits for nobody', async () => {
      const of = payment(fresh('pi'));
      await transact({ payments: [of] }, (set) => capture(set, of, 5000n));
      const want = { payments: [of], unlocked: true };
      expect(await look(want, (set) => set.paymentCalled(of).captured)).toBe(5000n);
      await expect(transact(want, (set) => capture(set, of, 1n))).rejects.toThrow('without its lock');
      expect(await look(want, (set) => set.paymentCalled(of).captured)).toBe(5000n);
    });

    it('stores nothing when a decision throws', async () => {
      const [known, unheard] = [payment(fresh('pi')), payment(fresh('pi'))];
      const id = refundId(fresh('refund'));
      await look({ payments: [known] }, () => undefined);
      const failing = transact({ payments: [known, unheard] }, (set) => {
        capture(set, known, 5000n);
        addRefund(set, known, { id });
        throw new Error('a bug of ours');
      });
      await expect(failing).rejects.toThrow('a bug of ours');
      const after = await look({ payments: [known], refunds: [id], aliases: [unheard] }, (set) => ({
        captured: set.paymentCalled(known).captured,
        refund: set.refund(id),
      }));
      expect(after).toEqual({ captured: 0n, refund: undefined });
      await expect(look({ aliases: [unheard] }, (set) => set.paymentCalled(unheard))).rejects.toThrow('was not loaded');
    });

    it('refuses room that is not there, with all that came along', async () => {
      const [of, other] = [payment(fresh('pi')), payment(fresh('pi'))];
      const id = refundId(fresh('refund'));
      const taking = transact({ payments: [of, other] }, (set) => {
        capture(set, other, 700n);
        capture(set, of, 999n);
        addRefund(set, of, { id });
        set.record(id, [approved(set)], cause);
      });
      await expect(taking).rejects.toMatchObject({ code: '23514' });
      const after = await look({ payments: [of, other], refunds: [id] }, (set) => [
        set.paymentCalled(other).captured,
        set.refund(id),
      ]);
      expect(after).toEqual([0n, undefined]);
    });

    it('stores what the provider did, however little is left', async () => {
      const of = payment(fresh('pi'));
      const [ours, theirs] = [refundId(fresh('refund')), refundId(fresh('refund'))];
      await transact({ payments: [of] }, (set) => {
        capture(set, of, 1500n);
        addRefund(set, of, { id: ours });
        set.record(ours, [approved(set)], cause);
      });
      await transact({ payments: [of] }, (set) => {
        addRefund(set, of, { id: theirs });
        set.record(theirs, [succeeded(set, fresh('re'))], cause);
      });
      const after = await look({ payments: [of] }, (set) => set.paymentCalled(of));
      expect(after).toMatchObject({ captured: 1500n, reserved: 1000n, refunded: 1000n });
    });

    it('keeps what a customer must do for a refund, and until when', async () => {
      const of = payment(fresh('pi'));
      const [until, forever] = [refundId(fresh('refund')), refundId(fresh('refund'))];
      const what = 'customer_must_give_bank_details';
      const day = new Date(Date.UTC(2026, 5, 1));
      await transact({ payments: [of] }, (set) => {
        for (const [id, end] of [[until, day] as const, [forever, null] as const]) {
          addRefund(set, of, { id });
          const changes = { status: 'requires_action', holds: 'refunded', actionRequired: { what, until: end } } as const;
          set.record(id, [{ type: 'requires_action', at: set.now, changes }], cause);
        }
      });
      const kept = await look({ refunds: [until, forever] }, (set) =>
        [until, forever].map((id) => set.refund(id)?.actionRequired),
      );
      expect(kept).toEqual([
        { what, until: day },
        { what, until: null },
      ]);
    });

    it('has one refund per reference and account, until that one is rejected', async () => {
      const of = payment(fresh('pi'));
      const reference = fresh('RMA');
      const first = refundId(fresh('refund'));
      await transact({ payments: [of] }, (set) => addRefund(set, of, { id: first, reference }));
      const wanted = { payments: [of], references: [{ account: 'default', reference }] };
      expect(await look(wanted, (set) => set.refundWithReference('default', reference))).toBe(first);
      // Two that do not see each other.
      await expect(transact({ payments: [of] }, (set) => addRefund(set, of, { reference }))).rejects.toThrow(Conflict);

      await transact({ refunds: [first] }, (set) => set.record(first, [rejected(set)], cause));
      expect(await look(wanted, (set) => set.refundWithReference('default', reference))).toBeUndefined();
      const second = await transact(wanted, (set) => addRefund(set, of, { reference }));
      expect(await look(wanted, (set) => set.refundWithReference('default', reference))).toBe(second.id);
    });

    it("has one refund per id of the provider's", async () => {
      const of = payment(fresh('pi'));
      const re = fresh('re');
      const add = (want: Want) =>
        transact(want, (set) => {
          const { id } = addRefund(set, of);
          set.record(id, [succeeded(set, re)], cause);
          return id;
        });
      const first = await add({ payments: [of] });
      await expect(add({ payments: [of] })).rejects.toThrow(Conflict);
      // Who looks first leaves it to its owner.
      await add({ payments: [of], providerRefunds: [providerRefund(re)] });
      const owner = await look({ providerRefunds: [providerRefund(re)] }, (set) => set.refundCalled(providerRefund(re))?.id);
      expect(owner).toBe(first);
    });

    it('keeps the first answer to a command, and takes none twice', async () => {
      const of = payment(fresh('pi'));
      const command = (id: string): KeptCommand => ({
        id: uuid(id),
        account: 'default',
        door: 'http',
        source: 'shop',
        key: id,
        digest: 'd',
        refundId: null,
        disputeId: null,
        type: 'redress.RequestRefund.v1',
        body: null,
        answer: '{"kind":"refused"}',
        receivedAt: new Date(0),
      });
      const id = fresh('command');
      await transact({ payments: [of] }, (set) => set.addCommand(command(id)));
      expect(await look({ commands: [uuid(id), uuid(fresh('command'))] }, (set) => set.command(uuid(id)))).toEqual({
        ...command(id),
        answer: expect.stringMatching(/^\{"kind": ?"refused"\}$/) as unknown,
      });
      const twice = transact({ payments: [of] }, (set) => {
        capture(set, of, 1n);
        set.addCommand(command(id));
      });
      await expect(twice).rejects.toThrow(Conflict);
      expect(await look({ payments: [of] }, (set) => set.paymentCalled(of).captured)).toBe(0n);
    });

    it('loads what waits for a payment, in order of arrival', async () => {
      const of = payment(fresh('pi'));
      const ids = ['first', 'second', 'third', 'fourth'].map((each) => refundId(fresh(each)));
      const [first = '', second = '', third = '', fourth = ''] = ids;
      await transact({ payments: [of] }, (set) => [first, second].forEach((id) => addRefund(set, of, { id })));
      await transact({ payments: [of] }, (set) => [third, fourth].forEach((id) => addRefund(set, of, { id })));
      await transact({ refunds: [second] }, (set) => set.record(second, [rejected(set)], cause));
      const waiting = await look({ payments: [of], waiting: true }, (set) => set.waiting(of.key).map(({ id }) => id));
      expect(waiting).toEqual([first, third, fourth]);
      expect(await look({ payments: [of] }, (set) => set.paymentCalled(of).waiting)).toBe(3);
    });

    it('gives each payment events numbered without a gap', async () => {
      const of = payment(fresh('pi'));
      const id = refundId(fresh('refund'));
      await transact({ payments: [of] }, (set) => {
        capture(set, of, 5000n);
        addRefund(set, of, { id });
      });
      await transact({ refunds: [id] }, (set) => set.record(id, [approved(set)], cause));
      await transact({ refunds: [id] }, (set) => set.record(id, [succeeded(set, fresh('re'))], cause));
      while ((await scene.stores.log.seal(1000)) > 0);
      const told = await scene.stores.log.page(0n, 100, { payment: of.name, topics: ['refunds.events.v1'] });
      expect(told.map(({ type, sequence }) => [type, sequence])).toEqual([
        ['redress.refund.requested.v1', 1n],
        ['redress.refund.approved.v1', 2n],
        ['redress.refund.succeeded.v1', 3n],
      ]);
      const balances = await scene.stores.log.page(0n, 100, { payment: of.name, topics: ['payments.refundability.v1'] });
      expect(balances.map(({ data }) => (JSON.parse(data) as { available: number }).available)).toEqual([5000, 4000, 4000]);
    });
  });

  describe('A charge that turns out to be part of a payment', () => {
    async function merged() {
      const [intent, charge, older] = [payment(fresh('pi')), payment(fresh('ch')), payment(fresh('ch'))];
      const [byIntent, byCharge, byOlder, gone] = ['a', 'b', 'c', 'd'].map((each) => refundId(fresh(each)));
      if (byIntent === undefined || byCharge === undefined || byOlder === undefined || gone === undefined) throw new Error();
      await transact({ payments: [intent] }, (set) => addRefund(set, intent, { id: byIntent }));
      await transact({ payments: [charge, older] }, (set) => {
        addRefund(set, charge, { id: byCharge });
        addRefund(set, charge, { id: gone });
        addRefund(set, older, { id: byOlder });
        addPaymentRead(set, set.paymentCalled(charge));
      });
      await transact({ refunds: [gone] }, (set) => set.record(gone, [rejected(set)], cause));
      await transact({ payments: [charge, intent], aliases: [older], waiting: true }, (set) => {
        set.settle(set.paymentCalled(charge), intent, [charge.name, older.name]);
      });
      return { intent, charge, older, byIntent, byCharge, byOlder, gone };
    }

    it('brings along all that was heard under its name, and stays a name of the payment', async () => {
      const { intent, charge, older, byIntent, byCharge, byOlder, gone } = await merged();
      const want = { payments: [charge, older], refunds: [gone], waiting: true };
      const after = await look(want, (set) => ({
        names: [set.paymentCalled(charge).key, set.paymentCalled(older).key],
        waiting: set.waiting(intent.key).map(({ id }) => id),
        gone: set.refund(gone)?.paymentKey,
        count: set.paymentCalled(charge).waiting,
      }));
      expect(after.names).toEqual([intent.key, intent.key]);
      expect(after.waiting).toEqual([byIntent, byCharge, byOlder]);
      expect(after).toMatchObject({ gone: intent.key, count: 3 });
    });

    it('is learned from a reading before anybody asks for it', async () => {
      const [intent, charge] = [payment(fresh('pi')), payment(fresh('ch'))];
      await transact({ payments: [intent], aliases: [charge] }, (set) => {
        set.settle(set.paymentCalled(intent), intent, [charge.name]);
      });
      expect(await look({ payments: [charge] }, (set) => set.paymentCalled(charge).key)).toBe(intent.key);
    });
  });

  describe('A partition', () => {
    const mark = (partition: number, expected: bigint | null, next: bigint): PartitionMark => ({
      cluster: 'here',
      group: 'redress',
      topic: 'refunds.commands.v1',
      partition,
      expected,
      next,
    });
    const moved = (...marks: readonly PartitionMark[]) =>
      marks.reduce((before, each) => before.then(() => transact({ mark: each }, () => undefined)), Promise.resolve(undefined));

    it('moves on from where its consumer believed it to be, and from nowhere else', async () => {
      await moved(mark(1, null, 10n), mark(1, 10n, 25n));
      await expect(moved(mark(1, 10n, 30n))).rejects.toThrow(Fenced);
      await expect(moved(mark(1, null, 30n))).rejects.toThrow(Fenced);
      await expect(moved(mark(2, 5n, 30n))).rejects.toThrow(Fenced);
      const offsets = await scene.bench.again().offsets.load('here', 'redress', 'refunds.commands.v1', [1, 2]);
      expect([...offsets]).toEqual([
        [1, 25n],
        [2, null],
      ]);
      expect([...(await scene.stores.offsets.load('elsewhere', 'redress', 'refunds.commands.v1', [1]))]).toEqual([[1, null]]);
    });

    it('that waits for a person is listed with the first moment and the last reason, until it goes on', async () => {
      const { offsets } = scene.stores;
      const waiting = async () => (await scene.bench.again().offsets.halts()).map(({ partition, reason }) => [partition, reason]);
      await offsets.halt('here', 'redress', 'refunds.commands.v1', 6, 'its handler keeps failing');
      await offsets.halt('here', 'redress', 'refunds.commands.v1', 5, 'the log begins at 40');
      const [first] = await offsets.halts();
      expect(first).toMatchObject({ cluster: 'here', group: 'redress', topic: 'refunds.commands.v1', since: expect.any(Date) });
      await offsets.halt('here', 'redress', 'refunds.commands.v1', 5, 'the log begins at 50');
      expect(await waiting()).toEqual([
        [5, 'the log begins at 50'],
        [6, 'its handler keeps failing'],
      ]);
      expect((await offsets.halts())[0]).toMatchObject({ id: first?.id, since: first?.since });
      await offsets.goOn('elsewhere', 'redress', 'refunds.commands.v1', [5, 6]);
      await offsets.goOn('here', 'redress', 'refunds.commands.v1', [5, 7]);
      expect(await waiting()).toEqual([[6, 'its handler keeps failing']]);
      await offsets.goOn('here', 'redress', 'refunds.commands.v1', [6]);
      expect(await waiting()).toEqual([]);
    });

    it('lets one of two consumers through', async () => {
      await moved(mark(3, null, 10n));
      const both = await Promise.allSettled([moved(mark(3, 10n, 20n)), moved(mark(3, 10n, 21n))]);
      expect(both.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    });

    it('stays where it is when its batch is not stored, and nothing of a fenced batch is', async () => {
      const of = payment(fresh('pi'));
      const failing = transact({ mark: mark(4, null, 10n) }, () => {
        throw new Error('a bug of ours');
      });
      await expect(failing).rejects.toThrow('a bug of ours');
      expect([...(await scene.stores.offsets.load('here', 'redress', 'refunds.commands.v1', [4]))]).toEqual([[4, null]]);
      const fenced = transact({ mark: mark(4, 99n, 100n), payments: [of] }, (set) => capture(set, of, 5n));
      await expect(fenced).rejects.toThrow(Fenced);
      await expect(look({ aliases: [of] }, (set) => set.paymentCalled(of))).rejects.toThrow('was not loaded');
    });
  });
}
