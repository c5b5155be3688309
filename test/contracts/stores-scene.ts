import { v5 as uuid5 } from 'uuid';
import { addSend } from '#application/admission';
import type { Book } from '#application/book';
import type { Deliveries } from '#application/deliveries';
import type { DisputeWatch } from '#application/dispute-watch';
import type { EvidenceFiles } from '#application/evidence-files';
import type { EventLog, PartitionOffsets, TopicCursors } from '#application/event-log';
import type { DeliveryMark, PaymentName, Want } from '#application/kept';
import type { Operation, OperationQueue } from '#application/operations';
import type { WorkingSet } from '#application/working-set';
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
  readonly evidenceFiles: EvidenceFiles;
  readonly watch: DisputeWatch;
}

/** What became of a delivery. */
export type DeliveryEnd = Pick<DeliveryMark, 'disposition' | 'detail' | 'refundId' | 'disputeId'>;

/** Stores to be held to the contract, and a hand on their clock. */
export interface StoresBench {
  readonly stores: Stores;
  /** What another process has, or this one after a restart: the same data, nothing remembered. */
  again(): Stores;
  advance(ms: number): Promise<void>;
  /** Real time goes by, as far as the limiter can tell. */
  passReal(ms: number): Promise<void>;
  dispositionOf(noticeId: string): Promise<DeliveryEnd[]>;
  close(): Promise<void>;
}

const names = '0e6f2f5a-6d0e-5ab4-9d7e-2f4b7c1d9a10';
export const uuid = (text: string) => uuid5(text, names);
export const refundId = (name: string) => `rf_${uuid(name).replaceAll('-', '')}`;
export const cause = { causationId: 'contract' };

/** A payment as a caller names it: a charge (`ch_`) is never certainly the payment's own name. */
export const payment = (name: string): PaymentName => ({
  account: 'default',
  provider: 'stripe',
  name,
  own: !name.startsWith('ch_'),
  key: uuid(`payment ${name}`),
});
export const laterThan = (at: Date, ms: number) => new Date(at.getTime() + ms);
export const providerRefund = (id: string) => ({ account: 'default', provider: 'stripe', id });

/** What every part of the contract works with. */
export function storesScene(bench: () => StoresBench) {
  let count = 0;
  const fresh = (prefix: string) => `${prefix}_${++count}`;
  const transact = <T>(want: Want, decide: (set: WorkingSet) => T) => bench().stores.book.transact(want, decide);
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
  function capture(set: WorkingSet, of: PaymentName, captured: bigint, paidAt: Date | null = null): void {
    const facts = {
      name: of.name,
      aliases: [],
      currency: 'USD',
      captured,
      basis: 'provider',
      paidAt,
      refusal: null,
    } as const;
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
      await bench().advance(86_400_000);
      const left = await bench().stores.queue.claim(1000, 1);
      if (left.length === 0) return;
      await transact({ operations: left.map(({ id }) => id) }, (set) => {
        for (const { id } of left) set.changeOperation(id, { state: 'dropped', doneAt: set.now, leaseUntil: null });
      });
    }
  }
  return {
    get bench() {
      return bench();
    },
    get stores() {
      return bench().stores;
    },
    fresh,
    transact,
    look,
    addRefund,
    approved,
    rejected,
    succeeded,
    capture,
    withSends,
    sendsOf,
    send,
    end,
    clearQueue,
  };
}

export type Scene = ReturnType<typeof storesScene>;
