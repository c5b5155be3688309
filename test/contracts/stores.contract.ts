import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { v5 as uuid5 } from 'uuid';
import { addPaymentRead, addRefundRead, addSend } from '#application/admission';
import type { Book } from '#application/book';
import type { KeptCommand, PaymentName, Want } from '#application/kept';
import type { WorkingSet } from '#application/working-set';
import type { Deliveries, NewDelivery } from '#application/deliveries';
import { Conflict, Fenced } from '#application/errors';
import type { EventLog, PartitionMark, PartitionOffsets, TopicCursors } from '#application/event-log';
import { pacing, type Operation, type OperationQueue } from '#application/operations';
import type { Pause, ProviderAccount, Scope } from '#application/sending';
import { recordFacts } from '#domain/payment/payment';
import { requested, type Refund, type RefundEvent } from '#domain/refund/refund';

/** Every store of one service. */
export interface Stores {
  readonly book: Book;
  readonly queue: OperationQueue;
  readonly log: EventLog;
  readonly cursors: TopicCursors;
  readonly offsets: PartitionOffsets;
  readonly deliveries: Deliveries;
}

/** Stores to be held to the contract, and a hand on their clock. */
export interface StoresBench {
  readonly stores: Stores;
  /** What another process has, or this one after a restart: the same data, nothing remembered. */
  again(): Stores;
  advance(ms: number): Promise<void>;
  /** Real time goes by, as far as the limiter can tell. */
  passReal(ms: number): Promise<void>;
  dispositionOf(
    noticeId: string,
  ): Promise<{ readonly disposition: string | null; readonly detail: string | null; readonly refundId: string | null }[]>;
  close(): Promise<void>;
}

const names = '0e6f2f5a-6d0e-5ab4-9d7e-2f4b7c1d9a10';
const uuid = (text: string) => uuid5(text, names);
const refundId = (name: string) => `rf_${uuid(name).replaceAll('-', '')}`;
const cause = { causationId: 'contract' };

/** A payment as a caller names it: a charge (`ch_`) is never certainly the payment's own name. */
const payment = (name: string): PaymentName => ({
  account: 'default',
  provider: 'stripe',
  name,
  own: !name.startsWith('ch_'),
  key: uuid(`payment ${name}`),
});
const providerRefund = (id: string) => ({ account: 'default', provider: 'stripe', id });

/** What every implementation of the stores keeps, whatever is behind it. */
export function storesContract(name: string, open: () => Promise<StoresBench>): void {
  describe(`${name}, as stores`, () => {
    let bench: StoresBench;
    let stores: Stores;
    let count = 0;
    const fresh = (prefix: string) => `${prefix}_${++count}`;
    beforeAll(async () => {
      bench = await open();
      stores = bench.stores;
    });
    afterAll(() => bench.close());

    const transact = <T>(want: Want, decide: (set: WorkingSet) => T) => stores.book.transact(want, decide);
    const look = <T>(want: Want, read: (set: WorkingSet) => T) => transact(want, read);

    function addRefund(set: WorkingSet, of: PaymentName, more: { id?: string; reference?: string } = {}): Refund {
      const id = more.id ?? refundId(fresh('refund'));
      const order = {
        id,
        account: 'default',
        provider: 'stripe',
        paymentKey: set.paymentCalled(of).key,
        namedPayment: of.name,
        amount: 1000n,
        currency: 'USD',
        reason: null,
        blockCustomer: false,
        reference: more.reference ?? null,
        note: null,
        metadata: { order: '42' },
        expectedAvailable: null,
      };
      const refund = requested(order, set.now);
      set.addRefund(refund, null, cause);
      return refund;
    }
    const approved = (set: WorkingSet): RefundEvent => ({
      type: 'approved',
      at: set.now,
      changes: { status: 'approved', holds: 'reserved', outcome: 'accepted' },
    });
    const rejected = (set: WorkingSet): RefundEvent => ({ type: 'rejected', at: set.now, changes: { status: 'rejected' } });
    const succeeded = (set: WorkingSet, providerRefundId: string): RefundEvent => ({
      type: 'succeeded',
      at: set.now,
      changes: { status: 'succeeded', holds: 'refunded', providerRefundId },
    });
    function capture(set: WorkingSet, of: PaymentName, captured: bigint): void {
      const facts = { name: of.name, aliases: [], currency: 'USD', captured, basis: 'provider', refusal: null } as const;
      set.setPayment(recordFacts(set.paymentCalled(of), { ...facts, at: set.now }));
    }
    /** A captured payment with approved refunds, whose sends stand in its lane in this order. */
    async function withSends(...refunds: readonly string[]): Promise<PaymentName> {
      const of = payment(fresh('pi'));
      await transact({ payments: [of] }, (set) => {
        capture(set, of, 100_000n);
        for (const id of refunds) {
          addRefund(set, of, { id });
          set.record(id, [approved(set)], cause);
          addSend(set, id);
        }
      });
      return of;
    }
    const sendsOf = (...refunds: readonly string[]): Promise<(Operation | undefined)[]> =>
      look({ refunds }, (set) => refunds.map((id) => set.openOperations(id)[0]));
    const send = async (refund: string): Promise<Operation> => {
      const [operation] = await sendsOf(refund);
      if (operation === undefined) throw new Error('there is no send');
      return operation;
    };
    const end = (operation: Operation) =>
      transact({ operations: [operation.id] }, (set) =>
        set.changeOperation(operation.id, { state: 'done', doneAt: set.now, leaseUntil: null }),
      );
    /** Nothing of the tests before is left to be claimed. */
    async function clearQueue(): Promise<void> {
      for (;;) {
        await bench.advance(86_400_000);
        const left = await stores.queue.claim(1000, 1);
        if (left.length === 0) return;
        await transact({ operations: left.map(({ id }) => id) }, (set) => {
          for (const { id } of left) set.changeOperation(id, { state: 'dropped', doneAt: set.now, leaseUntil: null });
        });
      }
    }

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
        while ((await stores.log.seal(1000)) > 0);
        const told = await stores.log.page(0n, 100, { payment: of.name, topics: ['refunds.events.v1'] });
        expect(told.map(({ type, sequence }) => [type, sequence])).toEqual([
          ['redress.refund.requested.v1', 1n],
          ['redress.refund.approved.v1', 2n],
          ['redress.refund.succeeded.v1', 3n],
        ]);
        const balances = await stores.log.page(0n, 100, { payment: of.name, topics: ['payments.refundability.v1'] });
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
        const offsets = await bench.again().offsets.load('here', 'redress', 'refunds.commands.v1', [1, 2]);
        expect([...offsets]).toEqual([
          [1, 25n],
          [2, null],
        ]);
        expect([...(await stores.offsets.load('elsewhere', 'redress', 'refunds.commands.v1', [1]))]).toEqual([[1, null]]);
      });

      it('that waits for a person is listed with the first moment and the last reason, until it goes on', async () => {
        const { offsets } = stores;
        const waiting = async () => (await bench.again().offsets.halts()).map(({ partition, reason }) => [partition, reason]);
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
        expect([...(await stores.offsets.load('here', 'redress', 'refunds.commands.v1', [4]))]).toEqual([[4, null]]);
        const fenced = transact({ mark: mark(4, 99n, 100n), payments: [of] }, (set) => capture(set, of, 5n));
        await expect(fenced).rejects.toThrow(Fenced);
        await expect(look({ aliases: [of] }, (set) => set.paymentCalled(of))).rejects.toThrow('was not loaded');
      });
    });

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
          const claimed = await stores.queue.claim(10, 1000);
          expect(claimed.map(({ target }) => target)).toEqual([refund]);
          await Promise.all(claimed.map(end));
        }
        expect(await stores.queue.claim(10, 1000)).toEqual([]);
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
        expect(await stores.queue.claim(10, 1000)).toEqual([]);
        await transact({ operations: [id] }, (set) => set.changeOperation(id, { state: 'open' }));
        expect((await stores.queue.claim(10, 1000)).map((each) => each.id)).toEqual([id]);
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
        (await stores.queue.claim(limit, leaseMs)).map((each) => each.target);

      it('gives what is urgent first, then what has waited longest, and nothing before its time', async () => {
        await clearQueue();
        const later = await read(10, 60_000);
        const poll = await read(40, -5_000);
        const notice = await read(30, -1_000);
        const older = await read(30, -2_000);
        expect(await claimed(2)).toEqual([older, notice]);
        expect(await claimed(10)).toEqual([poll]);
        expect(await claimed(10)).toEqual([]);
        await bench.advance(60_000);
        expect(await claimed(1)).toEqual([later]);
      });

      it('hands over what was held when the lease is over, under a higher fence', async () => {
        await clearQueue();
        await read(10, 0);
        const [first] = await stores.queue.claim(1, 30_000);
        await bench.advance(29_000);
        expect(await claimed(1)).toEqual([]);
        await bench.advance(2_000);
        const [second] = await bench.again().queue.claim(1, 30_000);
        expect(second).toMatchObject({ id: first?.id, fence: (first?.fence ?? 0n) + 1n });
      });

      it('prolongs and takes back leases of their holder only', async () => {
        await clearQueue();
        await read(10, 0);
        const [first] = await stores.queue.claim(1, 30_000);
        if (first === undefined) throw new Error('nothing was claimed');
        await bench.advance(20_000);
        await stores.queue.renew([first], 30_000);
        await bench.advance(20_000);
        expect(await claimed(1)).toEqual([]);
        await bench.advance(20_000);
        const [second] = await stores.queue.claim(1, 30_000);
        if (second === undefined) throw new Error('nothing was taken over');

        await stores.queue.renew([first], 600_000);
        await stores.queue.release([first]);
        expect(await claimed(1)).toEqual([]);
        await stores.queue.release([second]);
        expect(await claimed(1)).toHaveLength(1);
        await stores.queue.renew([second], 600_000);
        await bench.advance(31_000);
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
        const [running] = await stores.queue.claim(10, 30_000);
        expect(running).toMatchObject({ id, priority: 20, again: false });

        // Asked while it is under way: what it sees may be too old, so it is read once more.
        expect(await ask(0, 20)).toBe(id);
        const after = await look({ operations: [id] }, (set) => set.operation(id));
        expect(after).toMatchObject({ again: true, fence: running?.fence, leaseUntil: running?.leaseUntil });

        await transact({ operations: [id] }, (set) =>
          set.changeOperation(id, { state: 'parked', leaseUntil: null, again: false }),
        );
        expect(await ask(0, 20)).toBe(id);
        expect(await look({ operations: [id] }, (set) => set.operation(id))).toMatchObject({ state: 'open', again: false });

        await transact({ operations: [id] }, (set) => set.changeOperation(id, { state: 'done' }));
        expect(await ask(0, 20)).not.toBe(id);
      });
    });

    describe('The limiter', () => {
      const limitedAccounts: { account: string; provider: string }[] = [];
      /** An account with limits of its own. So few calls are allowed that the time a test takes does not matter: one in ten seconds is 0.1. */
      const account = async (perSecond: number, perSecondAndEndpoint: number): Promise<string> => {
        const named = { account: fresh('shop'), provider: 'stripe' };
        limitedAccounts.push(named);
        await stores.queue.limit([{ ...named, perSecond, perSecondAndEndpoint }]);
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
      const claim = async (limit = 100) => stores.queue.claim(limit, 600_000);
      const countOf = async (limit?: number) => (await claim(limit)).length;
      const endpoint = (of: string) => ({ account: of, provider: 'stripe', kind: 'refund.read' }) as const;
      const nothing = { limited: 0, locked: 0, more: 0 };
      beforeEach(clearQueue);
      afterEach(async () => {
        const all = { perSecond: plenty, perSecondAndEndpoint: plenty };
        await stores.queue.limit(limitedAccounts.map((each) => ({ ...each, ...all })));
        await bench.passReal(3_600_000);
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
        await bench.passReal(3_600_000);
        expect(await countOf()).toBe(9);
      });

      it('is one for all workers, loses what nobody used, and is not fooled by a clock that was moved', async () => {
        await reads(await account(plenty, 0.1), 9);
        expect(await countOf()).toBe(1);
        expect(await bench.again().queue.claim(10, 600_000)).toEqual([]);
        await bench.advance(300_000);
        expect(await countOf()).toBe(0);
        await bench.passReal(10_000);
        expect(await bench.again().queue.claim(10, 600_000)).toHaveLength(1);
        await bench.passReal(3_600_000);
        expect(await countOf()).toBe(1);
      });

      it('counts all calls of an account together as well', async () => {
        const of = await account(0.1, plenty);
        await reads(of, 2);
        await paymentReads(of, 2);
        expect(await countOf()).toBe(1);
        await bench.passReal(10_000);
        expect(await countOf()).toBe(1);
      });

      it('lets the urgent go first, and none be passed over for ever', async () => {
        const of = await account(0.1, plenty);
        await reads(of, 2, 40);
        await paymentReads(of, 30);
        const order: string[] = [];
        for (let turn = 0; turn < 16; turn += 1) {
          order.push(...(await claim()).map(({ kind }) => kind));
          await bench.passReal(10_000);
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
        const claimed = await stores.queue.claim(10, 600_000, [endpoint(full)]);
        expect(claimed.map((each) => `${each.account} ${each.kind}`).sort()).toEqual(
          [`${full} payment.read`, `${other} refund.read`, `${other} refund.read`].sort(),
        );
      });

      it('slows down when a limiter of the provider’s has spoken, once for all that was under way, and recovers', async () => {
        const of = await account(plenty, 0.1);
        await reads(of, 9);
        await Promise.all([1, 2, 3].map((limited) => stores.queue.meet(endpoint(of), { ...nothing, limited })));
        expect(await countOf()).toBe(1);
        // 0.1 a second times 0.85 is one in 11.8 seconds.
        await bench.passReal(10_800);
        expect(await countOf()).toBe(0);
        await bench.passReal(800);
        expect(await countOf()).toBe(1);
        await bench.passReal(60_000);
        expect(await countOf()).toBe(1);
        await bench.passReal(10_000);
        expect(await countOf()).toBe(1);
      });

      it('is slower with each time that a limiter speaks, and never stands still', async () => {
        const of = await account(plenty, 0.1);
        await reads(of, 9);
        for (let spoken = 0; spoken < 20; spoken += 1) {
          await stores.queue.meet(endpoint(of), { ...nothing, limited: 1 });
          await bench.passReal(2_000);
        }
        expect(await countOf()).toBe(1);
        await bench.passReal(20_000);
        expect(await countOf()).toBe(0);
        await bench.passReal(200_000);
        expect(await countOf()).toBe(1);
      });

      it('is no slower for a lock', async () => {
        const of = await account(plenty, 0.1);
        await reads(of, 9);
        await stores.queue.meet(endpoint(of), { ...nothing, locked: 3 });
        expect(await countOf()).toBe(1);
        await bench.passReal(10_000);
        expect(await countOf()).toBe(1);
      });

      it('takes what a call asked for beside its own request from the next', async () => {
        const of = await account(plenty, 0.1);
        await reads(of, 9);
        expect(await countOf()).toBe(1);
        await stores.queue.meet(endpoint(of), { ...nothing, more: 2 });
        await bench.passReal(20_000);
        expect(await countOf()).toBe(0);
        await bench.passReal(10_000);
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
      const claimed = async () => (await stores.queue.claim(10, 30_000)).map(({ kind }) => kind);

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
          (await stores.queue.parked(scope, after, limit)).filter(({ id }) => operations.includes(id));
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

    describe('The log', () => {
      const tell = async (): Promise<string> => {
        const of = payment(fresh('pi'));
        await transact({ payments: [of] }, (set) => capture(set, of, 1n));
        return of.name;
      };
      const sealAll = async () => {
        while ((await stores.log.seal(1000)) > 0);
      };
      const behind = async (position: bigint) => stores.log.page(position, 1000, {});

      it('gives committed entries their places without a gap, in the order in which they were told', async () => {
        await sealAll();
        const start = await stores.log.end();
        const told = [await tell(), await tell(), await tell()];
        expect(await behind(start)).toEqual([]);
        expect(await stores.log.seal(2)).toBe(2);
        expect((await behind(start)).map(({ subject }) => subject)).toEqual(told.slice(0, 2));
        expect(await stores.log.seal(1000)).toBe(1);
        expect(await stores.log.seal(1000)).toBe(0);
        const entries = await behind(start);
        expect(entries.map(({ subject }) => subject)).toEqual(told);
        expect(entries.map(({ position }) => position - start)).toEqual([1n, 2n, 3n]);
        expect(await stores.log.end()).toBe(start + 3n);
      });

      it('has one writer at a time, whoever seals, and goes on after a restart', async () => {
        await sealAll();
        const start = await stores.log.end();
        const told = await Promise.all(Array.from({ length: 30 }, tell));
        await Promise.all(Array.from({ length: 6 }, (_, each) => (each % 2 === 0 ? stores : bench.again()).log.seal(7)));
        const restarted = bench.again();
        while ((await restarted.log.seal(4)) > 0);
        const entries = await behind(start);
        expect(entries.map(({ position }) => position - start)).toEqual(told.map((_, index) => BigInt(index + 1)));
        expect(entries.map(({ subject }) => subject).sort()).toEqual([...told].sort());
      });

      it('is read by topic, type and payment, a page at a time', async () => {
        const of = payment(fresh('pi'));
        await sealAll();
        const start = await stores.log.end();
        await transact({ payments: [of] }, (set) => {
          capture(set, of, 9000n);
          const { id } = addRefund(set, of);
          set.record(id, [approved(set)], cause);
        });
        await tell();
        await sealAll();
        const types = async (filter: Parameters<EventLog['page']>[2], after = start, limit = 10) =>
          (await stores.log.page(after, limit, filter)).map(({ type }) => type.split('.')[2]);
        expect(await types({ topics: ['refunds.events.v1'] })).toEqual(['requested', 'approved']);
        expect(await types({ topics: ['refunds.events.v1'] }, start, 1)).toEqual(['requested']);
        expect(await types({ topics: ['refunds.events.v1'] }, start + 1n)).toEqual(['approved']);
        expect(await types({ topics: ['refunds.events.v1', 'payments.refundability.v1'] })).toHaveLength(4);
        expect(await types({ payment: of.name })).toEqual(['requested', 'approved', 'refundability_changed']);
        expect(await types({ type: 'redress.refund.approved.v1' })).toEqual(['approved']);
      });
    });

    describe('A topic', () => {
      it('is one relay’s at a time, and the next one’s when that one is gone', async () => {
        const topic = fresh('topic');
        const { cursors } = stores;
        const first = await cursors.take(topic, 'one', 10_000);
        expect(first).toEqual({ position: 0n, fence: 1n });
        expect(await cursors.take(topic, 'two', 10_000)).toBeNull();
        expect(await cursors.take(topic, 'one', 10_000)).toEqual(first);
        expect(await cursors.advance(topic, 1n, 5n)).toBe(true);

        await bench.advance(11_000);
        expect(await bench.again().cursors.take(topic, 'two', 10_000)).toEqual({ position: 5n, fence: 2n });
        // The frozen one wakes up.
        expect(await cursors.advance(topic, 1n, 9n)).toBe(false);
        await cursors.giveBack(topic, 1n);
        expect(await cursors.take(topic, 'one', 10_000)).toBeNull();

        expect(await cursors.advance(topic, 2n, 4n)).toBe(false);
        expect(await cursors.advance(topic, 2n, 7n)).toBe(true);
        await cursors.giveBack(topic, 2n);
        expect(await cursors.take(topic, 'one', 10_000)).toEqual({ position: 7n, fence: 3n });
      });

      it('has a new fence for a holder that comes back after its lease', async () => {
        const topic = fresh('topic');
        await stores.cursors.take(topic, 'one', 10_000);
        await bench.advance(11_000);
        expect(await stores.cursors.take(topic, 'one', 10_000)).toMatchObject({ fence: 2n });
      });

      it('hands out dead letters as they came, byte by byte', async () => {
        const letter = {
          topic: 'refunds.commands.v1',
          partition: 3,
          offset: 77n,
          code: 'not_json',
          detail: 'It is not JSON.',
          key: null,
          value: Buffer.from([0, 255, 10]),
          headers: {
            ce_id: Buffer.from([200, 0]),
            'twice %\0': [Buffer.from([1]), Buffer.from([2])],
            ...(JSON.parse('{"__proto__":0}') as object),
            ['__proto__']: Buffer.from('x'),
          },
        };
        const id = await transact({}, (set) => set.addDeadLetter(letter, 'refunds.commands.v1.dlq'));
        const { key, value, headers } = letter;
        expect(await stores.cursors.deadLetters([id])).toEqual([{ id, key, value, headers }]);

        const waiting = await look({ deadLetters: [id] }, (set) => set.deadLetter(id));
        expect(waiting).toMatchObject({
          ...letter,
          id,
          end: null,
          endedAt: null,
          endedBy: null,
          endDetail: null,
          refundId: null,
        });
        const how = {
          end: 'rejected',
          endedBy: 'somebody',
          endDetail: 'unknown_account',
          refundId: refundId('of a letter'),
        } as const;
        await transact({ deadLetters: [id] }, (set) => {
          if (waiting !== undefined) set.endDeadLetter(waiting, how);
        });
        const ended = await look({ deadLetters: [id, uuid('none')], unlocked: true }, (set) => [
          set.deadLetter(id),
          set.deadLetter(uuid('none')),
        ]);
        expect(ended).toEqual([expect.objectContaining({ ...letter, ...how, endedAt: expect.any(Date) as unknown }), undefined]);
        expect(await stores.cursors.deadLetters([id])).toEqual([{ id, key, value, headers }]);
      });
    });

    describe('Webhook deliveries', () => {
      const delivery = (noticeId: string, more: Partial<NewDelivery> = {}): NewDelivery => ({
        account: 'default',
        provider: 'stripe',
        noticeId,
        type: 'refund.updated',
        body: Buffer.from('{}'),
        digest: 'x',
        from: '10.0.0.1',
        disposition: null,
        detail: null,
        ...more,
      });
      const claim = async (limit = 10) => {
        const claimed = await stores.deliveries.claim(limit, 30_000);
        return claimed.map(({ noticeId, repeated }) => `${noticeId}${repeated ? ' repeated' : ''}`);
      };
      const dispose = async (noticeId: string, operationId: string | null) => {
        const [one] = (await stores.deliveries.claim(100, 30_000)).filter((each) => each.noticeId === noticeId);
        if (one === undefined) throw new Error(`there is no ${noticeId}`);
        await transact({}, (set) =>
          set.disposeDelivery({
            id: one.id,
            operationId,
            detail: null,
            refundId: null,
            disputeId: null,
            disposition: operationId === null ? 'applied' : null,
          }),
        );
      };

      it('are handled one after the other, and again when their handler died', async () => {
        const [a, b, forged] = [fresh('evt'), fresh('evt'), fresh('evt')];
        await stores.deliveries.store([delivery(a), delivery(forged, { disposition: 'rejected', body: null }), delivery(b)]);
        expect(await claim(1)).toEqual([a]);
        expect(await claim()).toEqual([b]);
        expect(await claim()).toEqual([]);
        await bench.advance(31_000);
        expect(await claim()).toEqual([a, b]);
        await bench.advance(31_000);
        for (const each of [a, b]) {
          await dispose(each, null);
          await bench.advance(31_000);
        }
        expect(await claim()).toEqual([]);
        expect(await bench.dispositionOf(a)).toEqual([{ disposition: 'applied', detail: null, refundId: null }]);
      });

      it('are known as repeats of one that came before, except of a forgery', async () => {
        const [notice, forged] = [fresh('evt'), fresh('evt')];
        await stores.deliveries.store([delivery(notice), delivery(notice), delivery(forged, { disposition: 'rejected' })]);
        await stores.deliveries.store([delivery(notice), delivery(forged), delivery(notice, { account: 'other' })]);
        expect(await claim()).toEqual([notice, `${notice} repeated`, `${notice} repeated`, forged, notice]);
      });

      it('wait for the reading that decides them', async () => {
        await bench.advance(31_000);
        await stores.deliveries.claim(100, 86_400_000);
        const [notice, other] = [fresh('evt'), fresh('evt')];
        const id = refundId(fresh('refund'));
        await stores.deliveries.store([delivery(notice), delivery(other)]);
        const operationId = uuid(fresh('operation'));
        await dispose(notice, operationId);
        await bench.advance(31_000);
        expect(await claim()).toEqual([other]);
        await transact({}, (set) =>
          set.disposeAnswered({ operationId, disposition: 'stale', detail: 'nothing new', refundId: id, disputeId: null }),
        );
        await transact({}, (set) =>
          set.disposeAnswered({ operationId, disposition: 'applied', detail: 'news', refundId: null, disputeId: null }),
        );
        expect(await bench.dispositionOf(notice)).toEqual([{ disposition: 'stale', detail: 'nothing new', refundId: id }]);
        expect(await bench.dispositionOf(other)).toEqual([{ disposition: null, detail: null, refundId: null }]);
      });
    });
  });
}
