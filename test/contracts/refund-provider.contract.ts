import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { CallContext, CallTrace, RefundOrderToSend, RefundProvider, SendAnswer } from '#domain/ports/refund-provider';

/** A provider to be held to the contract, and the hands of a tester on its other side. */
export interface Bench {
  readonly provider: RefundProvider;
  /** In a currency that the provider takes, with two decimals. */
  readonly currency: string;
  /** A payment of which everything is captured, or one of which nothing is. */
  pay(amount: bigint): Promise<string>;
  payLater(amount: bigint): Promise<string>;
  /** What happens to the next send: done and the answer lost, not done at all, met by a limit. */
  loseAnswer(): Promise<void>;
  loseCall(): Promise<void>;
  limit(): Promise<void>;
  /** What the bank says of a refund later. */
  bankSays(providerRefundId: string, status: 'succeeded' | 'failed'): Promise<void>;
  /** What the provider's own books have for a payment: the amount of each refund that did not fail. */
  books(payment: string): Promise<bigint[]>;
  close(): Promise<void>;
}

/** What every implementation of the port keeps, whatever is behind it. */
export function refundProviderContract(name: string, open: () => Promise<Bench>): void {
  describe(`${name}, as a provider of refunds`, () => {
    let bench: Bench;
    let provider: RefundProvider;
    beforeAll(async () => {
      bench = await open();
      provider = bench.provider;
    });
    afterAll(() => bench.close());

    let count = 0;
    const call = (): CallContext & { readonly traces: CallTrace[] } => {
      const traces: CallTrace[] = [];
      return { deadline: AbortSignal.timeout(10_000), now: new Date(), trace: (trace) => traces.push(trace), traces };
    };
    const orderOf = (payment: string, amount: bigint): RefundOrderToSend => ({
      refundId: `rf_contract_${++count}`,
      attempt: 1,
      payment,
      money: { amount, currency: bench.currency },
      reason: 'requested_by_customer',
      blockCustomer: false,
      repeated: false,
    });
    const keyOf = ({ refundId, attempt }: RefundOrderToSend) => `refund:${refundId}:${attempt}`;
    const send = (order: RefundOrderToSend) => provider.send(order, keyOf(order), call());
    const reported = (answer: SendAnswer) => {
      if (answer.kind !== 'report') throw new Error(`${answer.kind}: ${answer.why}`);
      return answer.report;
    };
    const sent = async (order: RefundOrderToSend) => {
      const { providerRefundId } = reported(await send(order));
      if (providerRefundId === null) throw new Error('nothing was sent');
      return providerRefundId;
    };

    it('sends a refund, and finds it again as ours, to the last minor unit', async () => {
      const payment = await bench.pay(10000n);
      const order = orderOf(payment, 1999n);
      const context = call();
      const report = reported(await provider.send(order, keyOf(order), context));
      expect(report).toMatchObject({ attempt: 1, amount: 1999n, currency: bench.currency, refusal: null, at: context.now });
      expect(['pending', 'succeeded']).toContain(report.says);
      expect(context.traces).toHaveLength(1);
      expect(await bench.books(payment)).toEqual([1999n]);

      const read = await provider.read(report.providerRefundId ?? '', call());
      expect(read).toMatchObject({
        kind: 'found',
        payment,
        refund: { refundId: order.refundId, report: { attempt: 1, amount: 1999n, currency: bench.currency } },
      });
    });

    it('moves the money of one key once, however often it is sent', async () => {
      const payment = await bench.pay(10000n);
      const order = orderOf(payment, 1000n);
      const first = await sent(order);
      for (let again = 0; again < 3; again++) {
        const answer = await send({ ...order, repeated: true });
        // Who gives the first answer again says the same; who does not says that the key is spent.
        if (answer.kind !== 'spent') expect(reported(answer).providerRefundId).toBe(first);
      }
      expect(await bench.books(payment)).toEqual([1000n]);
    });

    it('moves the money of two keys twice, also when nothing else differs', async () => {
      const payment = await bench.pay(10000n);
      const ids = [await sent(orderOf(payment, 1000n)), await sent(orderOf(payment, 1000n))];
      expect(new Set(ids).size).toBe(2);
      expect(await bench.books(payment)).toEqual([1000n, 1000n]);
    });

    it('does not know the outcome when the answer is lost, and never calls it a failure afterwards', async () => {
      const payment = await bench.pay(1000n);
      const order = orderOf(payment, 1000n);
      await bench.loseAnswer();
      expect(reported(await send(order))).toMatchObject({ says: 'unknown', providerRefundId: null, refusal: null });
      expect(await bench.books(payment)).toEqual([1000n]);
      // The whole payment has gone back: "nothing left" would be true, and wrong to believe.
      const again = await send({ ...order, repeated: true });
      if (again.kind !== 'spent') expect(['pending', 'succeeded', 'unknown']).toContain(reported(again).says);
      expect(await bench.books(payment)).toEqual([1000n]);
    });

    it('does not know the outcome when the call is lost, and sends it when it is made again', async () => {
      const payment = await bench.pay(1000n);
      const order = orderOf(payment, 1000n);
      await bench.loseCall();
      expect(reported(await send(order))).toMatchObject({ says: 'unknown' });
      expect(await bench.books(payment)).toEqual([]);
      expect(['pending', 'succeeded']).toContain(reported(await send({ ...order, repeated: true })).says);
      expect(await bench.books(payment)).toEqual([1000n]);
    });

    it('asks for patience at a limit, and nothing has moved', async () => {
      const payment = await bench.pay(1000n);
      await bench.limit();
      expect(await send(orderOf(payment, 1000n))).toMatchObject({ kind: 'later' });
      expect(await bench.books(payment)).toEqual([]);
    });

    it('does not know the outcome of a call whose deadline is over', async () => {
      const payment = await bench.pay(1000n);
      const order = orderOf(payment, 1000n);
      const over = { ...call(), deadline: AbortSignal.abort() };
      expect(reported(await provider.send(order, keyOf(order), over))).toMatchObject({ says: 'unknown' });
      expect(await provider.read('re_1', over)).toMatchObject({ kind: 'unread' });
      expect(await provider.readPayment(payment, over)).toMatchObject({ kind: 'unread' });
    });

    it('refuses a payment that does not exist, and does not find it', async () => {
      expect(reported(await send(orderOf('pi_nobody', 1000n)))).toMatchObject({
        says: 'refused',
        providerRefundId: null,
        refusal: { code: 'payment_not_found' },
      });
      expect(await provider.readPayment('pi_nobody', call())).toMatchObject({ kind: 'absent' });
      expect(await provider.read('re_nobody', call())).toMatchObject({ kind: 'absent' });
    });

    it.each(['', '..', '../refunds', 'a b', 'x'.repeat(300), '\u0000'])('does not stumble over the name %j', async (name) => {
      expect(await provider.readPayment(name, call())).toMatchObject({ kind: 'absent' });
      expect(await provider.read(name, call())).toMatchObject({ kind: 'absent' });
    });

    it('tells what was captured of a payment, and the refunds it can list', async () => {
      const payment = await bench.pay(10000n);
      const order = orderOf(payment, 1000n);
      await sent(order);
      const answer = await provider.readPayment(payment, call());
      expect(answer).toMatchObject({
        kind: 'found',
        facts: { name: payment, currency: bench.currency, captured: 10000n, refusal: null },
      });
      if (answer.kind !== 'found') return;
      const listed = answer.facts.basis === 'provider' ? [order.refundId] : [];
      expect(answer.refunds.map(({ refundId }) => refundId)).toEqual(listed);
    });

    it('tells why a payment that was not captured cannot be refunded', async () => {
      const payment = await bench.payLater(1000n);
      expect(await provider.readPayment(payment, call())).toMatchObject({
        kind: 'found',
        facts: { refusal: { code: 'payment_not_captured' } },
      });
    });

    it.each(['succeeded', 'failed'] as const)('tells what the bank says later: %s', async (status) => {
      const id = await sent(orderOf(await bench.pay(1000n), 1000n));
      await bench.bankSays(id, status);
      expect(await provider.read(id, call())).toMatchObject({ kind: 'found', refund: { report: { says: status } } });
    });

    it('carries what it says it carries, and says so when it does not', () => {
      expect(provider.canCarry({ amount: 1050n, currency: bench.currency })).toMatchObject({ ok: true });
      expect(provider.canCarry({ amount: 0n, currency: bench.currency })).toMatchObject({
        ok: false,
        error: { code: 'amount_not_representable' },
      });
    });
  });
}
