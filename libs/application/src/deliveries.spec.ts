import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Book } from '#application/book';
import { RedressInMemory } from '../../../test/fakes/redress-in-memory.js';

let redress: RedressInMemory;
beforeEach(() => {
  redress = new RedressInMemory();
  redress.provider.pay('pi_1', { amount: 10_000n, currency: 'USD' }, { aliases: ['ch_1'] });
});
afterEach(() => redress.check());

/** A refund of 100 that the bank is still busy with. */
async function pending(): Promise<string> {
  redress.provider.firstSays = 'pending';
  const id = await redress.refund('pi_1', 100);
  await redress.work();
  return id;
}

describe('A webhook', () => {
  it('makes us read what it is about, and is applied when that is news', async () => {
    const id = await pending();
    redress.provider.bankSays('re_1', 'succeeded');
    await redress.notice('evt_1', redress.aboutRefund('re_1', { refundId: id, payment: 'pi_1' }));
    await redress.work();
    expect(redress.of(id).status).toBe('succeeded');
    expect(redress.dispositions()).toEqual(['applied']);
    expect(redress.open()).toEqual([]);
  });

  it('that is delivered a hundred times is read for once', async () => {
    const id = await pending();
    redress.provider.bankSays('re_1', 'succeeded');
    for (let n = 0; n < 100; n += 1) await redress.notice('evt_1', redress.aboutRefund('re_1', { refundId: id }));
    const before = redress.provider.calls.length;
    await redress.work();
    expect(redress.provider.calls).toHaveLength(before + 1);
    expect(redress.dispositions()).toEqual(['applied', ...Array.from({ length: 99 }, () => 'duplicate')]);
  });

  it('that says what is known already ends there', async () => {
    const id = await pending();
    const claim = { ...(await reportOf('re_1')), at: redress.stores.now };
    const notice = redress.aboutRefund('re_1', { refundId: id });
    await redress.notice('evt_1', { ...notice, claim });
    const before = redress.provider.calls.length;
    await redress.work();
    expect(redress.provider.calls).toHaveLength(before);
    expect(redress.dispositions()).toEqual(['stale']);
  });

  it('that overtakes the answer to our own call comes to the same end', async () => {
    const id = await redress.refund('pi_1', 100);
    await redress.round();
    redress.provider.nextSends('answer_lost');
    await redress.round();
    await redress.notice('evt_1', redress.aboutRefund('re_1', { refundId: id, payment: 'pi_1' }));
    await redress.work();
    expect(redress.of(id)).toMatchObject({ status: 'succeeded', providerRefundId: 're_1' });
    expect(redress.payment('pi_1')).toMatchObject({ reserved: 0n, refunded: 100n });
    await redress.workFor(60_000);
    expect(redress.all()).toHaveLength(1);
    expect(redress.provider.sentBack('pi_1')).toBe(100n);
    expect(redress.open()).toEqual([]);
  });

  it.each([
    ['names the payment', { payment: 'pi_1' }],
    ['names its charge', { payment: 'ch_1' }],
    ['names no payment', {}],
  ])('of a refund that somebody made outside, and %s, makes it known and counts it', async (_, more) => {
    redress.provider.refundOutside('pi_1', 4000n);
    await redress.notice('evt_1', redress.aboutRefund('re_1', more));
    await redress.work();
    const [found, ...others] = redress.all();
    expect(others).toEqual([]);
    expect(found).toMatchObject({ origin: 'discovered', status: 'succeeded', amount: 4000n });
    expect(redress.told(found?.id ?? '')).toEqual(['discovered']);
    expect(redress.payment('pi_1')).toMatchObject({ captured: 10_000n, refunded: 4000n, currency: 'USD' });
    expect(redress.dispositions()).toEqual(['applied']);
  });

  it('of a refund made outside while ours holds the room overdraws the payment, and nothing is refused', async () => {
    const id = await redress.refund('pi_1', 8000);
    await redress.round();
    redress.provider.nextSends('call_lost');
    await redress.round();
    redress.provider.refundOutside('pi_1', 5000n);
    await redress.notice('evt_1', redress.aboutRefund('re_1', { payment: 'pi_1' }));
    await redress.work();
    expect(redress.payment('pi_1')).toMatchObject({ reserved: 8000n, refunded: 5000n });
    await redress.workFor(60_000);
    expect(redress.of(id)).toMatchObject({ status: 'rejected', holds: 'nothing' });
    expect(redress.payment('pi_1')).toMatchObject({ reserved: 0n, refunded: 5000n });
  });

  it('of a refund that comes back weeks later gives the room back and asks for a person', async () => {
    const id = await redress.refund('pi_1', 100);
    await redress.work();
    redress.pass(20 * 86_400_000);
    redress.provider.bankSays('re_1', 'failed', { failureCode: 'expired_or_canceled_card' });
    await redress.notice('evt_1', redress.aboutRefund('re_1', { refundId: id }));
    await redress.work();
    expect(redress.of(id)).toMatchObject({ status: 'reversed', attention: 'late_reversal', holds: 'nothing' });
    expect(redress.payment('pi_1').refunded).toBe(0n);
  });

  it('of a refund that the provider does not know is unknown', async () => {
    await redress.notice('evt_1', redress.aboutRefund('re_none'));
    await redress.work();
    expect(redress.dispositions()).toEqual(['unknown']);
    expect(redress.stores.deliveryRows.all()[0]).toMatchObject({ detail: 'the provider has no such refund' });
    expect(redress.all()).toEqual([]);
  });

  it('of another account or mode at the provider is foreign, and nothing is read for it', async () => {
    await redress.notice('evt_1', { about: 'others', why: 'it is from live mode' });
    await redress.work();
    expect(redress.dispositions()).toEqual(['foreign']);
    expect(redress.provider.calls).toEqual([]);
  });

  it('about a payment that nobody heard of is read only where the reading would show refunds', async () => {
    await redress.notice('evt_1', { about: 'payment', payment: 'pi_1', claim: null, readUnheard: false });
    await redress.work();
    expect(redress.dispositions()).toEqual(['unknown']);
    expect(redress.provider.calls).toEqual([]);
    expect(redress.stores.payments.all()).toEqual([]);
    await redress.notice('evt_2', { about: 'payment', payment: 'pi_1', claim: null, readUnheard: true });
    await redress.work();
    expect(redress.dispositions()).toEqual(['unknown', 'applied']);
    expect(redress.payment('pi_1')).toMatchObject({ captured: 10_000n });
  });

  it('of an account that is not ours is foreign', async () => {
    const delivery = { account: 'other', provider: 'stripe', noticeId: 'evt_1', type: 't', body: Buffer.from('{}'), digest: 'x' };
    await redress.stores.deliveries.store([{ ...delivery, from: null, disposition: null, detail: null }]);
    await redress.work();
    expect(redress.dispositions()).toEqual(['foreign']);
  });

  it('that cannot be handled stays, and does not hold up the others', async () => {
    const id = await pending();
    redress.provider.bankSays('re_1', 'succeeded');
    const broken = { account: 'default', provider: 'stripe', noticeId: 'evt_0', type: 't', body: Buffer.from('{'), digest: 'x' };
    await redress.stores.deliveries.store([{ ...broken, from: null, disposition: null, detail: null }]);
    await redress.notice('evt_1', redress.aboutRefund('re_1', { refundId: id }));
    await redress.work();
    expect(redress.dispositions()).toEqual([null, 'applied']);
    expect(redress.failures.map(({ what }) => what)).toEqual(['a delivery could not be handled']);
  });

  it('that comes after a reading’s lease is not answered by what that reading saw', async () => {
    const id = await pending();
    await redress.order('Sync', id);
    let saw: () => void = () => undefined;
    const slow = redress.process({
      book: new LateBook(redress.stores.book, () => new Promise<void>((go) => (saw = go))),
    });
    await slow.operations.round();
    await turn();
    redress.pass(31_000);
    redress.provider.bankSays('re_1', 'succeeded');
    await redress.notice('evt_1', redress.aboutRefund('re_1', { refundId: id }));
    await slow.deliveries.round(10);
    const [taken] = await redress.stores.queue.claim(1, 30_000);
    expect(taken?.kind).toBe('refund.read');
    saw();
    await redress.round(slow.operations);
    expect(redress.dispositions()).toEqual([null]);
    redress.restart();
    await redress.work();
    expect(redress.dispositions()).toEqual(['applied']);
    expect(redress.of(id).status).toBe('succeeded');
  });

  it('that comes while its refund is being read is answered by a later reading', async () => {
    const id = await pending();
    await redress.order('Sync', id);
    const [reading] = await redress.stores.queue.claim(1, 30_000);
    expect(reading?.kind).toBe('refund.read');
    redress.provider.bankSays('re_1', 'succeeded');
    await redress.notice('evt_1', redress.aboutRefund('re_1', { refundId: id }));
    await redress.work();
    expect(redress.dispositions()).toEqual([null]);
    redress.restart();
    await redress.work();
    expect(redress.of(id).status).toBe('succeeded');
    expect(redress.dispositions().filter((each) => each === null)).toEqual([]);
  });
});

/** Records answers only when it is let. */
class LateBook extends Book {
  constructor(
    private readonly book: Book,
    private readonly wait: () => Promise<void>,
  ) {
    super();
  }

  override transact: Book['transact'] = async (want, decide) => {
    if (want.waiting === true) await this.wait();
    return this.book.transact(want, decide);
  };
}

async function reportOf(providerRefundId: string) {
  const now = redress.stores.now;
  const call = { deadline: new AbortController().signal, now, trace: () => undefined };
  const answer = await redress.provider.read(providerRefundId, call);
  if (answer.kind !== 'found') throw new Error('it is not there');
  return answer.refund.report;
}
