import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { UnreadableRecord } from '#application/refund-commands';
import { RedressInMemory } from '../../../test/fakes/redress-in-memory.js';

let redress: RedressInMemory;
beforeEach(() => {
  redress = new RedressInMemory();
  redress.provider.pay('pi_1', { amount: 10_000n, currency: 'USD' }, { aliases: ['ch_1'] });
});
afterEach(() => redress.check());

describe('A refund that is asked for', () => {
  it('waits until its payment has been read, is admitted, sent and told, each once', async () => {
    const id = await redress.refund('pi_1', 2500, {}, { key: 'c-first' });
    expect(redress.of(id)).toMatchObject({ status: 'requested', outcome: null });
    expect(redress.outcomes()).toEqual([]);

    await redress.work();
    expect(redress.of(id)).toMatchObject({ status: 'succeeded', amount: 2500n, providerRefundId: 're_1', attempt: 1 });
    expect(redress.payment('pi_1')).toMatchObject({ captured: 10_000n, reserved: 0n, refunded: 2500n });
    expect(redress.told(id)).toEqual(['requested', 'approved', 'submitted', 'succeeded']);
    expect(redress.outcomes()).toEqual(['c-first: accepted']);
    expect(redress.provider.calls.map(({ what }) => what)).toEqual(['readPayment', 'send']);
    expect(redress.provider.calls[1]?.key).toBe(`refund:${id}:1`);
    expect(redress.open()).toEqual([]);
  });

  it('is admitted at once where the payment is known', async () => {
    await redress.refund('pi_1', 1000);
    await redress.work();
    const id = await redress.refund('pi_1', 500);
    expect(redress.of(id).status).toBe('approved');
  });

  it('takes all that is left when no amount is named', async () => {
    await redress.refund('pi_1', 3000);
    const id = await redress.refund('pi_1', null);
    await redress.work();
    expect(redress.of(id)).toMatchObject({ status: 'succeeded', amount: 7000n, currency: 'USD' });
  });

  it.each([
    ['more than is left', { amount: 10_001, currency: 'USD' }, 'amount_exceeds_available'],
    ['another currency', { amount: 100, currency: 'EUR' }, 'currency_mismatch'],
    ['a payment that does not exist', { paymentId: 'pi_none' }, 'payment_not_found'],
    ['an expectation that is wrong', { amount: 100, currency: 'USD', expectedAvailable: 9000 }, 'expected_available_mismatch'],
  ])('is rejected for %s, and nothing is sent', async (_, more, code) => {
    const id = await redress.refund('pi_1', null, more, { key: 'c-1' });
    await redress.work();
    expect(redress.of(id)).toMatchObject({ status: 'rejected', rejection: { code }, holds: 'nothing' });
    expect(redress.outcomes()).toEqual([`c-1: rejected ${code}`]);
    expect(redress.provider.refunds).toEqual([]);
  });

  it('takes the last cent after partial refunds, whatever they were', async () => {
    for (const amount of [3333, 3333, 1]) await redress.refund('pi_1', amount);
    await redress.work();
    const rest = await redress.refund('pi_1', null);
    await redress.work();
    expect(redress.of(rest)).toMatchObject({ status: 'succeeded', amount: 3333n });
    expect(redress.payment('pi_1')).toMatchObject({ refunded: 10_000n, reserved: 0n });
    const none = await redress.refund('pi_1', null);
    await redress.work();
    expect(redress.of(none)).toMatchObject({ status: 'rejected', rejection: { code: 'nothing_left_to_refund' } });
  });

  it('reaches what was captured later', async () => {
    await redress.refund('pi_1', 10_000);
    await redress.work();
    redress.provider.capture('pi_1', 2500n);
    redress.pass(61_000);
    const more = await redress.refund('pi_1', 2000);
    await redress.work();
    expect(redress.of(more).status).toBe('succeeded');
    expect(redress.payment('pi_1')).toMatchObject({ captured: 12_500n, refunded: 12_000n });
  });

  it('is refused without a trace of a payment when no such account is configured', async () => {
    const [answer] = await redress.decide(redress.request('pi_1', 100, { provider: 'zamp' }, { key: 'c-1' }));
    expect(answer).toMatchObject({ kind: 'refused', code: 'unknown_account', refund: null });
    expect(redress.outcomes()).toEqual(['c-1: rejected unknown_account']);
    expect(redress.stores.payments.all()).toEqual([]);
  });

  it('is decided anew by the provider’s facts before it is refused by old ones', async () => {
    await redress.refund('pi_1', 9000);
    await redress.work();
    redress.provider.bankSays('re_1', 'failed');
    redress.pass(120_000);
    const id = await redress.refund('pi_1', 5000);
    expect(redress.of(id).status).toBe('requested');
    await redress.work();
    expect(redress.of(id).status).toBe('succeeded');
  });

  it('does not overtake one that waits for the same payment', async () => {
    await redress.refund('pi_1', 9000);
    await redress.work();
    redress.provider.bankSays('re_1', 'failed');
    redress.pass(120_000);
    const [first, second] = [await redress.refund('pi_1', 9500), await redress.refund('pi_1', 1000)];
    expect([first, second].map((id) => redress.of(id).status)).toEqual(['requested', 'requested']);
    await redress.work();
    expect([first, second].map((id) => redress.of(id).status)).toEqual(['succeeded', 'rejected']);
  });

  it('shares one balance whether its payment or its charge is named', async () => {
    const ids = [];
    for (let n = 0; n < 20; n += 1) ids.push(await redress.refund(n % 2 === 0 ? 'pi_1' : 'ch_1', 700));
    await redress.work();
    const ended = ids.map((id) => redress.of(id));
    expect(ended.filter(({ status }) => status === 'succeeded')).toHaveLength(14);
    expect(ended.filter(({ status }) => status === 'rejected')).toHaveLength(6);
    expect(redress.payment('ch_1')).toEqual(redress.payment('pi_1'));
    expect(redress.provider.sentBack('pi_1')).toBe(9800n);
    expect(redress.payment('pi_1')).toMatchObject({ refunded: 9800n, aliases: ['ch_1'] });
  });

  it('knows the charge of a payment that was read before', async () => {
    await redress.refund('pi_1', 700);
    await redress.work();
    const id = await redress.refund('ch_1', 700);
    expect(redress.of(id)).toMatchObject({ status: 'approved', paymentKey: redress.payment('pi_1').key });
  });
});

describe('A command that comes again', () => {
  it('is one refund when both come in one batch, and the second hears the first outcome after it', async () => {
    const command = redress.request('pi_1', 100, {}, { key: 'c-1' });
    const answers = await redress.decide(command, command);
    expect(answers).toMatchObject([{ repeated: false }, { repeated: true }]);
    await redress.work();
    expect(redress.all()).toHaveLength(1);
    expect(redress.outcomes()).toEqual(['c-1: accepted', 'c-1: repeated accepted']);
  });

  it('is one refund when it comes before, during and after', async () => {
    const command = redress.request('pi_1', 20_000, {}, { key: 'c-1' });
    await redress.decide(command);
    await redress.decide(command);
    expect(redress.outcomes()).toEqual([]);
    await redress.work();
    await redress.decide(command);
    const repeated = 'c-1: repeated rejected amount_exceeds_available';
    expect(redress.outcomes()).toEqual(['c-1: rejected amount_exceeds_available', repeated, repeated]);
    expect(redress.all()).toHaveLength(1);
  });

  it('gets the very first answer over HTTP, however far the refund is by now', async () => {
    const command = redress.request('pi_1', 100, {}, { door: 'http' });
    const [first] = await redress.decide(command);
    await redress.work();
    const [again] = await redress.decide(command);
    expect(again).toEqual({ ...first, repeated: true });
    expect(again).toMatchObject({ refund: { status: 'requested' } });
    expect(redress.provider.refunds).toHaveLength(1);
    expect(redress.outcomes()).toEqual([]);
  });

  it.each(['http', 'kafka'] as const)(
    'is refused with another body under the same key, and the first one stays good: %s',
    async (door) => {
      const sent = { key: 'c-1', door };
      const first = redress.request('pi_1', 100, {}, sent);
      const other = redress.request('pi_1', 200, {}, sent);
      await redress.decide(first);
      expect(await redress.decide(other)).toMatchObject([{ kind: 'refused', code: 'idempotency_key_reused', refund: null }]);
      expect(await redress.decide(first)).toMatchObject([{ kind: 'accepted', repeated: true }]);
      expect(await redress.decide(other)).toMatchObject([{ kind: 'refused', code: 'idempotency_key_reused' }]);
      await redress.work();
      expect(redress.provider.refunds.map(({ amount }) => amount)).toEqual([100n]);
      const reused = 'c-1: rejected idempotency_key_reused';
      expect(redress.outcomes()).toEqual(door === 'http' ? [] : [reused, reused, 'c-1: accepted', 'c-1: repeated accepted']);
    },
  );

  it('is another command when another sender uses the same key', async () => {
    await redress.decide(redress.request('pi_1', 100, {}, { key: 'c-1', source: 'shop' }));
    await redress.decide(redress.request('pi_1', 100, {}, { key: 'c-1', source: 'support' }));
    await redress.work();
    expect(redress.provider.refunds).toHaveLength(2);
  });

  it('gets its refusal again where no refund keeps it', async () => {
    const command = redress.request('pi_1', 100, { provider: 'zamp' }, { key: 'c-1' });
    await redress.decide(command);
    expect(await redress.decide(command)).toMatchObject([{ kind: 'refused', code: 'unknown_account', repeated: true }]);
    expect(redress.outcomes()).toEqual(['c-1: rejected unknown_account', 'c-1: repeated rejected unknown_account']);
  });
});

describe('A reference', () => {
  it('belongs to one refund over both doors, and whoever comes later is told whose it is', async () => {
    const first = await redress.refund('pi_1', 100, { reference: 'RMA-7' }, { door: 'http' });
    const requests = ['kafka', 'http', 'kafka'].map((door) =>
      redress.request('pi_1', 100, { reference: 'RMA-7' }, { door: door as 'http' | 'kafka' }),
    );
    for (const answer of await redress.decide(...requests)) {
      expect(answer).toMatchObject({ kind: 'refused', code: 'reference_already_used', detail: expect.stringContaining(first) });
    }
    await redress.work();
    expect(redress.provider.refunds).toHaveLength(1);
  });

  it('is free again when its refund was rejected, in the same batch as in the next', async () => {
    await redress.refund('pi_1', 1);
    await redress.work();
    const much = redress.request('pi_1', 99_999, { reference: 'RMA-7' });
    const [, second] = await redress.decide(much, redress.request('pi_1', 100, { reference: 'RMA-7' }));
    expect(second).toMatchObject({ kind: 'accepted' });
    const [third] = await redress.decide(redress.request('pi_1', 100, { reference: 'RMA-7' }));
    expect(third).toMatchObject({ kind: 'refused', code: 'reference_already_used' });
  });
});

describe('A batch', () => {
  it('comes to what its commands come to one after the other', async () => {
    const singly = new RedressInMemory();
    singly.provider.pay('pi_1', { amount: 10_000n, currency: 'USD' }, { aliases: ['ch_1'] });
    const commands = [
      redress.request('pi_1', 4000, { reference: 'A' }),
      redress.request('ch_1', 4000, { reference: 'A' }),
      redress.request('ch_1', 3000, { reference: 'B' }),
      redress.request('pi_1', null),
      redress.request('pi_2', 5),
      redress.request('pi_1', 1, { provider: 'zamp' }),
      redress.request('pi_1', 3000, { reference: 'B' }, { key: 'c-3' }),
    ];
    const together = await redress.decide(...commands);
    const alone = [];
    for (const command of commands) alone.push(...(await singly.decide(command)));
    expect(together).toEqual(alone);
    await Promise.all([redress.work(), singly.work()]);
    const ends = (all: RedressInMemory) =>
      all.all().map(({ id, status, amount, rejection }) => ({ id, status, amount, rejection }));
    expect(ends(redress)).toEqual(ends(singly));
    expect(redress.outcomes().sort()).toEqual(singly.outcomes().sort());
    singly.check();
  });

  it('buries what cannot be read, and its sender hears of it', async () => {
    const bytes: UnreadableRecord = {
      topic: 'refunds.commands.v1',
      partition: 0,
      offset: 5n,
      key: null,
      value: Buffer.from('{'),
      headers: {},
      unreadable: true,
      code: 'not_json',
      detail: 'It is not JSON.',
      source: 'shop',
      id: 'c-0',
    };
    const answers = await redress.commands.decide([bytes, redress.request('pi_1', 100, {}, { key: 'c-1' })]);
    expect(answers).toMatchObject([{ kind: 'buried' }, { kind: 'accepted' }]);
    await redress.work();
    expect(redress.outcomes()).toEqual(['c-0: rejected not_json', 'c-1: accepted']);
    expect(redress.stores.deadLetters.all()).toMatchObject([{ value: bytes.value, offset: 5n, code: 'not_json' }]);
  });
});

describe('An order about a refund', () => {
  it('cancels what nobody has heard of, whether it waits or is admitted', async () => {
    const waits = await redress.refund('ch_1', 100, {}, { key: 'c-waits' });
    expect(await redress.order('Cancel', waits)).toBeNull();
    expect(redress.of(waits).status).toBe('canceled');
    await redress.work();

    const admitted = await redress.refund('pi_1', 100);
    expect(await redress.order('Cancel', admitted)).toBeNull();
    await redress.work();
    expect(redress.of(admitted)).toMatchObject({ status: 'canceled', holds: 'nothing' });
    expect(redress.provider.refunds).toEqual([]);
    expect(redress.outcomes()).toContain('c-waits: accepted');
  });

  it('cancels nothing that may have been sent', async () => {
    redress.provider.nextSends('call_lost');
    const id = await redress.refund('pi_1', 100);
    await redress.work();
    expect(redress.of(id).status).toBe('outcome_unknown');
    expect(await redress.order('Cancel', id)).toBe('not_cancelable');
    expect(redress.open()).toEqual([`refund.send ${id} open`]);
  });

  it('does not send what was canceled between its claim and its first call', async () => {
    await redress.refund('pi_1', 1);
    await redress.work();
    const id = await redress.refund('pi_1', 100);
    const [claimed] = await redress.stores.queue.claim(1, 30_000);
    expect(claimed?.target).toBe(id);
    await redress.order('Cancel', id);
    redress.restart();
    await redress.work();
    expect(redress.provider.refunds.map(({ refundId }) => refundId)).not.toContain(id);
  });

  it('tries again what has failed, under a key of its own, and takes room anew', async () => {
    redress.provider.firstSays = 'failed';
    const id = await redress.refund('pi_1', 8000);
    await redress.work();
    expect(redress.of(id)).toMatchObject({ status: 'failed', holds: 'nothing' });
    redress.provider.firstSays = 'succeeded';
    expect(await redress.order('Retry', id, { reason: 'another card' })).toBeNull();
    expect(redress.payment('pi_1').reserved).toBe(8000n);
    await redress.work();
    expect(redress.of(id)).toMatchObject({ status: 'succeeded', attempt: 2 });
    expect(redress.provider.refunds.map(({ key, says }) => [key, says])).toEqual([
      [`refund:${id}:1`, 'failed'],
      [`refund:${id}:2`, 'succeeded'],
    ]);
    expect(await redress.order('Retry', id)).toBe('not_retryable');
  });

  it('tries nothing again for which there is no room any more', async () => {
    redress.provider.firstSays = 'failed';
    const id = await redress.refund('pi_1', 8000);
    await redress.work();
    redress.provider.firstSays = 'succeeded';
    await redress.refund('pi_1', 5000);
    await redress.work();
    expect(await redress.order('Retry', id)).toBe('amount_exceeds_available');
    expect(redress.payment('pi_1')).toMatchObject({ reserved: 0n, refunded: 5000n });
  });

  it('asks the provider now how a refund stands', async () => {
    redress.provider.firstSays = 'pending';
    const id = await redress.refund('pi_1', 100);
    await redress.work();
    redress.provider.bankSays('re_1', 'succeeded');
    expect(await redress.order('Sync', id)).toBeNull();
    await redress.work();
    expect(redress.of(id).status).toBe('succeeded');
    expect(redress.open()).toEqual([]);
  });

  it('ends an unknown outcome by a person’s word, and frees the lane', async () => {
    redress.provider.nextSends('call_lost');
    const [id, behind] = [await redress.refund('pi_1', 6000), await redress.refund('pi_1', 3000)];
    await redress.work();
    expect(await redress.order('Resolve', id, { outcome: 'not_created', reason: 'they say so' })).toBeNull();
    expect(redress.of(id)).toMatchObject({ status: 'failed', holds: 'nothing', attention: null });
    await redress.work();
    expect(redress.of(behind).status).toBe('succeeded');
    expect(redress.provider.sentBack('pi_1')).toBe(3000n);
  });

  it('takes no word that names another refund’s id', async () => {
    await redress.refund('pi_1', 100);
    redress.provider.nextSends('answered', 'call_lost');
    const id = await redress.refund('pi_1', 200);
    await redress.work();
    const word = { outcome: 'succeeded', providerRefundId: 're_1', reason: 'I saw it' };
    expect(await redress.order('Resolve', id, word)).toBe('not_resolvable');
    expect(redress.of(id).status).toBe('outcome_unknown');
  });

  it('is refused when there is no such refund', async () => {
    expect(await redress.order('Cancel', 'rf_00000000000000000000000000000000')).toBe('refund_not_found');
  });
});
