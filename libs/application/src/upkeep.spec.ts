import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { OperationQueue } from '#application/operations';
import type { Ordered, Upkeep } from '#application/upkeep';
import { RedressInMemory } from '../../../test/fakes/redress-in-memory.js';
import type { Fate } from '../../../test/fakes/scripted-provider.js';

const hour = 3_600_000;
const stripe = { provider: 'stripe', account: null };
const person = { reason: 'a drill', by: 'admin' };

let redress: RedressInMemory;
let upkeep: Upkeep;
let orders = 0;
const order = (key = `order-${++orders}`): Ordered => ({ source: 'admin', key });
const pause = () => upkeep.throwSwitch({ ...stripe, ...person, paused: true });
const resume = () => upkeep.throwSwitch({ ...stripe, ...person, paused: false });
const sends = () => redress.provider.calls.filter(({ what }) => what === 'send').length;
const statuses = (...ids: readonly string[]) => ids.map((id) => redress.of(id).status);

beforeEach(() => {
  redress = new RedressInMemory();
  ({ upkeep } = redress.process());
  for (let each = 1; each <= 9; each += 1) redress.provider.pay(`pi_${each}`, { amount: 10_000n, currency: 'USD' });
});
afterEach(() => redress.check());

describe('While sending is paused', () => {
  it('refunds are taken on, admitted and kept waiting; nothing is sent, and nothing is forgotten', async () => {
    await pause();
    const id = await redress.refund('pi_1', 100);
    await redress.workFor(hour);
    expect(redress.of(id)).toMatchObject({ status: 'approved', holds: 'reserved', attention: null });
    expect(sends()).toBe(0);
    await resume();
    await redress.work();
    expect(statuses(id)).toEqual(['succeeded']);
    expect(redress.told(id)).toEqual(['requested', 'approved', 'submitted', 'succeeded']);
  });

  it('one can still be taken back, which gives its room back', async () => {
    await pause();
    const id = await redress.refund('pi_1', 100);
    await redress.work();
    expect(await redress.order('Cancel', id)).toBeNull();
    await resume();
    await redress.work();
    expect(statuses(id)).toEqual(['canceled']);
    expect(sends()).toBe(0);
  });

  it('what had no answer is not sent again, and is found in its payment all the same', async () => {
    redress.provider.nextSends('answer_lost');
    const id = await redress.refund('pi_1', 100);
    await redress.work();
    await pause();
    await redress.workFor(hour);
    expect(sends()).toBe(1);
    await redress.order('Sync', id);
    await redress.work();
    expect(statuses(id)).toEqual(['succeeded']);
    expect(sends()).toBe(1);
  });

  it('what was claimed just before is handed back without a try, and is there again at once when sending goes on', async () => {
    const id = await redress.refund('pi_1', 100);
    await redress.round();
    const { operations } = redress.process({ queue: new QueueThatWaits(redress.stores.queue, pause) });
    await redress.round(operations);
    expect(sends()).toBe(0);
    const [operation] = redress.stores.operations.where(({ kind }) => kind === 'refund.send');
    expect(operation).toMatchObject({ state: 'open', tries: 0, firstSentAt: null, leaseUntil: null });
    expect(redress.told(id)).toEqual(['requested', 'approved']);
    await resume();
    await redress.work();
    expect(statuses(id)).toEqual(['succeeded']);
  });

  it('says so once: the same order again changes nothing, another reason takes the place of the first', async () => {
    expect(await pause()).toMatchObject({
      changed: true,
      pauses: [{ ...stripe, reason: 'a drill', by: 'admin', automatic: false }],
    });
    expect(await pause()).toMatchObject({ changed: false, pauses: [{}] });
    redress.pass(1000);
    const since = redress.stores.standing()[0]?.since;
    const other = await upkeep.throwSwitch({ ...stripe, paused: true, reason: 'a real one', by: 'admin' });
    expect(other).toMatchObject({ changed: true, pauses: [{ reason: 'a real one', since }] });
    expect(await resume()).toEqual({ changed: true, pauses: [] });
    expect(await resume()).toEqual({ changed: false, pauses: [] });
  });

  it('a narrower resume does not lift a wider pause', async () => {
    await pause();
    expect(await upkeep.throwSwitch({ provider: 'stripe', account: 'default', ...person, paused: false })).toMatchObject({
      changed: false,
      pauses: [stripe],
    });
  });
});

describe('The breaker', () => {
  beforeEach(() => {
    redress.bounds = [{ account: 'default', provider: 'stripe', sendsPerHour: 3, amountPerHour: {} }];
    redress.restart();
  });
  const ask = (many: number) => Promise.all(Array.from({ length: many }, (_, each) => redress.refund(`pi_${each + 1}`, 100)));

  it('pauses the account at its bound, with the figures, and exactly that many have gone out', async () => {
    const ids = await ask(5);
    await redress.work();
    expect(redress.provider.refunds).toHaveLength(3);
    expect(statuses(...ids).filter((status) => status === 'approved')).toHaveLength(2);
    expect(redress.stores.standing()).toMatchObject([
      { account: 'default', provider: 'stripe', automatic: true, by: 'the breaker' },
    ]);
    expect(redress.tripped).toMatchObject([
      { reason: expect.stringMatching(/would make 4 sends since .* bound is 3 an hour/) as unknown },
    ]);
    await redress.workFor(5 * hour);
    expect(redress.provider.refunds).toHaveLength(3);
    expect(redress.tripped).toHaveLength(1);
  });

  it('gives a new hour to an account that a person has resumed', async () => {
    await ask(9);
    await redress.work();
    const goOn = () => upkeep.throwSwitch({ provider: 'stripe', account: 'default', ...person, paused: false });
    await goOn();
    await redress.work();
    expect(redress.provider.refunds).toHaveLength(6);
    await goOn();
    await goOn();
    await redress.work();
    expect(redress.provider.refunds).toHaveLength(9);
    expect(redress.stores.standing()).toEqual([]);
  });

  it('counts an attempt once, however often it is sent', async () => {
    redress.provider.nextSends(...Array.from<Fate>({ length: 6 }).fill('call_lost'));
    const [first] = await ask(1);
    await redress.workFor(10 * 60_000);
    expect(sends()).toBeGreaterThan(3);
    expect(statuses(first ?? '')).toEqual(['succeeded']);
    expect(redress.tripped).toEqual([]);
  });

  it('counts for all processes together, and over a restart', async () => {
    const others = redress.process();
    await ask(2);
    await redress.work();
    redress.restart();
    await redress.refund('pi_3', 100);
    await redress.refund('pi_4', 100);
    await redress.work(others.operations);
    expect(redress.provider.refunds).toHaveLength(3);
    expect(redress.stores.standing()).toHaveLength(1);
  });

  it('does not count what was not begun', async () => {
    const ids = await ask(2);
    const { operations } = redress.process({ queue: new QueueThatWaits(redress.stores.queue, pause) });
    await redress.work(operations);
    await resume();
    await redress.work();
    expect(statuses(...ids)).toEqual(['succeeded', 'succeeded']);
    expect(redress.stores.hours.all()).toMatchObject([{ sends: 2, amounts: { USD: '200' } }]);
  });
});

describe('Operations that a bad key has parked', () => {
  beforeEach(async () => {
    redress.provider.nextSends('parked', 'parked', 'parked');
  });

  it('are all taken up by one order, and their refunds ask for nothing more', async () => {
    const ids = [await redress.refund('pi_1', 100), await redress.refund('pi_2', 100), await redress.refund('pi_3', 100)];
    await redress.work();
    expect(ids.map((id) => redress.of(id).attention)).toEqual(['operation_parked', 'operation_parked', 'operation_parked']);
    const ordered = order();
    expect(await upkeep.resume(stripe, ordered)).toMatchObject({ value: { answer: { resumed: 3 }, repeated: false } });
    expect(ids.map((id) => redress.of(id).attention)).toEqual([null, null, null]);
    expect(redress.told(ids[0] ?? '').at(-1)).toBe('attention_cleared');
    await redress.work();
    expect(statuses(...ids)).toEqual(['succeeded', 'succeeded', 'succeeded']);

    expect(await upkeep.resume(stripe, ordered)).toMatchObject({ value: { answer: { resumed: 3 }, repeated: true } });
    expect(await upkeep.resume(stripe, order())).toMatchObject({ value: { answer: { resumed: 0 } } });
    expect(await upkeep.resume({ provider: null, account: null }, ordered)).toEqual({
      ok: false,
      error: { code: 'idempotency_key_reused' },
    });
  });

  it('park again where the cause is still there, and ask for attention again', async () => {
    const id = await redress.refund('pi_1', 100);
    await redress.work();
    await upkeep.resume(stripe, order());
    await redress.work();
    expect(redress.of(id)).toMatchObject({ status: 'submitted', attention: 'operation_parked' });
    expect(redress.told(id).filter((type) => type === 'attention_needed')).toHaveLength(2);
  });

  it('of another account stay where they are', async () => {
    await redress.refund('pi_1', 100);
    await redress.work();
    expect(await upkeep.resume({ provider: 'stripe', account: 'eu' }, order())).toMatchObject({
      value: { answer: { resumed: 0 } },
    });
    expect(redress.open()).toHaveLength(1);
  });

  it('wait for the switch as well', async () => {
    await redress.refund('pi_1', 100);
    await redress.work();
    await pause();
    await upkeep.resume(stripe, order());
    await redress.work();
    expect(sends()).toBe(1);
    await resume();
    await redress.work();
    expect(sends()).toBe(2);
  });

  it('can be acknowledged, and stay parked', async () => {
    const id = await redress.refund('pi_1', 100);
    await redress.work();
    expect(await redress.order('Acknowledge', id, { reason: 'the key is on its way' })).toBeNull();
    expect(await redress.order('Acknowledge', id, { reason: 'the key is on its way' })).toBe('not_acknowledgeable');
    expect(redress.of(id)).toMatchObject({ status: 'submitted', attention: null, holds: 'reserved' });
    expect(redress.told(id).at(-1)).toBe('attention_cleared');
    expect(redress.open()).toEqual([`refund.send ${id} parked`]);
  });
});

describe('A dead letter', () => {
  const command = { provider: 'stripe', paymentId: 'pi_1', amount: 100, currency: 'USD' };
  async function letter(value: Buffer | null, headers: Readonly<Record<string, string>> = {}): Promise<string> {
    const own = { ce_id: 'c-1', ce_source: '/shop', ce_type: 'redress.RequestRefund.v1', ce_specversion: '1.0', ...headers };
    const record = {
      topic: 'refunds.commands.v1',
      partition: 0,
      offset: 7n,
      key: null,
      value,
      code: 'internal',
      detail: 'a bug',
    };
    const bytes = Object.fromEntries(Object.entries(own).map(([name, text]) => [name, Buffer.from(text)]));
    return redress.stores.book.transact({}, (set) => set.addDeadLetter({ ...record, headers: bytes }, 'refunds.commands.v1.dlq'));
  }
  const whole = () => letter(Buffer.from(JSON.stringify(command)));

  it('goes again as if it had come again: one refund, one outcome, and it is off the list', async () => {
    const id = await whole();
    const ordered = order();
    const first = await upkeep.redrive(id, ordered);
    const refundId = redress.all()[0]?.id;
    expect(first).toMatchObject({
      value: { answer: { id, end: 'accepted', endedBy: 'admin', endDetail: null, refundId }, repeated: false },
    });
    await redress.work();
    expect(redress.all()).toMatchObject([{ status: 'succeeded', amount: 100n }]);
    expect(redress.outcomes()).toEqual(['c-1: accepted']);

    expect(await upkeep.redrive(id, ordered)).toMatchObject({ value: { answer: { end: 'accepted' }, repeated: true } });
    expect(await upkeep.redrive(id, order())).toMatchObject({ value: { answer: { end: 'accepted', refundId } } });
    expect(redress.all()).toHaveLength(1);
    expect(redress.outcomes()).toEqual(['c-1: accepted']);
  });

  it('is the same command as the one its sender has sent again meanwhile', async () => {
    const id = await whole();
    const sent = await redress.refund('pi_1', 100, {}, { key: 'c-1', source: '/shop' });
    expect(await upkeep.redrive(id, order())).toMatchObject({ value: { answer: { end: 'accepted', refundId: sent } } });
    await redress.work();
    expect(redress.all()).toHaveLength(1);
    expect(redress.outcomes()).toEqual(['c-1: accepted', 'c-1: repeated accepted']);
  });

  it('ends rejected where the rules refuse its command', async () => {
    const id = await letter(Buffer.from(JSON.stringify({ ...command, account: 'elsewhere' })));
    expect(await upkeep.redrive(id, order())).toMatchObject({
      value: { answer: { end: 'rejected', endDetail: expect.stringMatching(/^unknown_account: /) as unknown, refundId: null } },
    });
    expect(redress.outcomes()).toEqual(['c-1: rejected unknown_account']);
  });

  it.each([
    ['is no JSON', Buffer.from('{'), {}, /^not_json: /],
    ['is empty', null, {}, /^empty_value: /],
    ['names no type that we take', Buffer.from('{}'), { ce_type: 'shop.Order' }, /^wrong_ce_type: /],
    ['lacks a field', Buffer.from('{"provider":"stripe"}'), {}, /^validation_failed: .*paymentId/],
    ['was too long to be kept', null, { redress_left_out: 'value' }, /bytes are at refunds\.commands\.v1\[0\] offset 7/],
  ])('that %s stays as it is', async (_, value, headers, detail) => {
    const id = await letter(value, headers);
    expect(await upkeep.redrive(id, order('again'))).toEqual({
      ok: false,
      error: { code: 'not_redrivable', detail: expect.stringMatching(detail) as unknown },
    });
    expect(redress.stores.deadLetters.get(id)).toMatchObject({ end: null });
    expect(redress.outcomes()).toEqual([]);
    expect(await upkeep.dismiss(id, 'it was a test of the shop', order('again'))).toMatchObject({
      value: { answer: { end: 'dismissed', endDetail: 'it was a test of the shop' } },
    });
  });

  it('that was dismissed can still go again; one that went stays so', async () => {
    const id = await whole();
    await upkeep.dismiss(id, 'not wanted', order());
    expect(await upkeep.dismiss(id, 'not wanted at all', order())).toMatchObject({
      value: { answer: { endDetail: 'not wanted' } },
    });
    expect(await upkeep.redrive(id, order())).toMatchObject({ value: { answer: { end: 'accepted' } } });
    expect(await upkeep.dismiss(id, 'not wanted', order())).toMatchObject({ value: { answer: { end: 'accepted' } } });
  });

  it('that lay there for days is a late command: its payment is read before it is obeyed', async () => {
    await redress.refund('pi_1', 1);
    await redress.work();
    const id = await whole();
    redress.pass(72 * hour);
    await upkeep.redrive(id, order());
    expect(redress.stores.refunds.all().map(({ origin }) => origin?.late)).toEqual([false, true]);
  });

  it('that nobody knows is not found', async () => {
    expect(await upkeep.redrive('00000000-0000-4000-8000-00000000ffff', order())).toEqual({
      ok: false,
      error: { code: 'not_found' },
    });
    expect(await upkeep.dismiss('00000000-0000-4000-8000-00000000ffff', 'x', order())).toEqual({
      ok: false,
      error: { code: 'not_found' },
    });
  });
});

/** Something happens between a claim and what comes of it, once. */
class QueueThatWaits extends OperationQueue {
  private waited = false;

  constructor(
    private readonly queue: OperationQueue,
    private readonly meanwhile: () => Promise<unknown>,
  ) {
    super();
  }

  override claim: OperationQueue['claim'] = async (...which) => {
    const claimed = await this.queue.claim(...which);
    if (!this.waited && claimed.some(({ kind }) => kind === 'refund.send')) {
      this.waited = true;
      await this.meanwhile();
    }
    return claimed;
  };
  override limit: OperationQueue['limit'] = (accounts) => this.queue.limit(accounts);
  override meet: OperationQueue['meet'] = (endpoint, met) => this.queue.meet(endpoint, met);
  override renew: OperationQueue['renew'] = (...held) => this.queue.renew(...held);
  override release: OperationQueue['release'] = (...held) => this.queue.release(...held);
  override parked: OperationQueue['parked'] = (...which) => this.queue.parked(...which);
}
