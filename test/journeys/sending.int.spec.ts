import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, expect, it, jest } from '@jest/globals';
import { describeWithDatabase, describeWithKafka } from '../environment.js';
import { System } from './system.js';

// Each waits for real processes; how long says nothing.
jest.setTimeout(120_000);

interface Sending {
  readonly paused: readonly { scope: object; reason: string; by: string; automatic: boolean }[];
}

/** Sends in an hour. */
const bound = 10;

let system: System;
const paused = async () => (await system.call<Sending>('GET', '/v1/sending')).body.paused;
const put = (body: object) => system.call<Sending>('PUT', '/v1/sending', body);
const pay = () => system.pay({ provider: 'stripe', amount: 10_000 });
const ask = (paymentId: string) => system.refund({ provider: 'stripe', paymentId, amount: 500, currency: 'USD' });
const attention = async () =>
  (await system.call<{ data: { kind: string; deadLetter?: { id: string } }[] }>('GET', '/v1/attention')).body.data;
const booked = async () => (await system.books()).payments.flatMap(({ refunds }) => refunds);

describeWithDatabase('Sending, through the running system', () => {
  describeWithKafka('with a real Kafka', () => {
    beforeAll(async () => {
      system = await System.start({ env: { BREAKER_SENDS_PER_HOUR: String(bound) } });
    }, 120_000);
    afterAll(() => system.stop(), 60_000);
    // Resuming gives a new hour.
    beforeEach(async () => {
      await put({ paused: true, reason: 'a new story' });
      await put({ paused: false, reason: 'a new story' });
    });

    it('waits while it is paused, though refunds are taken on over both doors, and goes on by itself when it is resumed', async () => {
      expect(await put({ paused: true, reason: 'a drill' })).toMatchObject({
        status: 200,
        body: { paused: [{ reason: 'a drill' }] },
      });
      const [overHttp, overKafka] = [await pay(), await pay()];
      const asked = await ask(overHttp.paymentId);
      expect(asked.status).toBe(202);
      const id = randomUUID();
      await system.send([{ id, data: { provider: 'stripe', paymentId: overKafka.paymentId, amount: 700, currency: 'USD' } }]);
      const outcomes = await system.seen(['refunds.outcomes.v1'], (seen) => seen.some(({ data }) => data['commandId'] === id));
      const refundId = String(outcomes.find(({ data }) => data['commandId'] === id)?.data['refundId']);
      for (const each of [asked.body.id, refundId]) {
        expect(await system.refundThatIs('approved', each)).toMatchObject({ warnings: ['sending_paused'] });
      }
      // A worker that comes up now finds the switch as it stands.
      await system.stopParts();
      await system.startParts();
      expect(await paused()).toMatchObject([{ reason: 'a drill' }]);
      const reading = await ask((await pay()).paymentId);
      await system.refundThatIs('approved', reading.body.id);
      expect(await booked()).toEqual([]);

      await put({ paused: false, reason: 'the drill is over' });
      for (const each of [asked.body.id, refundId, reading.body.id]) await system.refundThatIs('succeeded', each);
      expect(await booked()).toHaveLength(3);
    });

    it('stops by itself at the bound of the breaker, with two workers, and exactly that much stands in the books', async () => {
      const before = (await booked()).length;
      system.startPart('worker', 2);
      await put({ paused: true, reason: 'until all are there' });
      const asked = await Promise.all(Array.from({ length: 30 }, async () => ask((await pay()).paymentId)));
      for (const { body } of asked) await system.refundThatIs('approved', body.id);
      await put({ paused: false, reason: 'all are there' });
      await system.until('the breaker has paused the account', async () => (await paused()).length > 0);
      await system.until('what was begun is done', async () => {
        const all = await Promise.all(asked.map(({ body }) => system.refundOf(body.id)));
        return all.every(({ status }) => status === 'succeeded' || status === 'approved');
      });
      expect(await paused()).toMatchObject([
        { scope: { provider: 'stripe', account: 'default' }, automatic: true, by: 'the breaker' },
      ]);
      expect((await attention()).map(({ kind }) => kind)).toContain('pause');
      expect((await booked()).length - before).toBe(bound);

      await put({ provider: 'stripe', account: 'default', paused: false, reason: 'a sale' });
      await system.until('all is sent, a bound at a time', async () => {
        const [pause] = await paused();
        if (pause !== undefined) await put({ provider: 'stripe', account: 'default', paused: false, reason: 'a sale' });
        const all = await Promise.all(asked.map(({ body }) => system.refundOf(body.id)));
        return all.every(({ status }) => status === 'succeeded');
      });
      const sent = await booked();
      expect(sent.length - before).toBe(30);
      expect(new Set(sent.map(({ idempotencyKey }) => idempotencyKey)).size).toBe(sent.length);
    });

    it('hands a dead letter back, and its sender hears what became of it', async () => {
      const { paymentId } = await pay();
      const id = randomUUID();
      await system.send([{ id, data: { provider: 'stripe', paymentId, amount: '700', currency: 'USD' } }]);
      let letter: string | undefined;
      await system.until('it is set aside', async () => {
        letter = (await attention()).find(({ kind }) => kind === 'dead_letter')?.deadLetter?.id;
        return letter !== undefined;
      });
      const again = await system.call<{ code: string }>('POST', `/v1/dead-letters/${letter}/redrive`);
      expect(again).toMatchObject({ status: 422, body: { code: 'not_redrivable' } });
      // As a fault of our own would have left it: the record itself is fine.
      await system.query(`update dead_letter set value = convert_to($1, 'UTF8') where id = $2`, [
        JSON.stringify({ provider: 'stripe', paymentId, amount: 700, currency: 'USD' }),
        letter,
      ]);
      const redriven = await system.call<{ end: string; refundId: string }>('POST', `/v1/dead-letters/${letter}/redrive`);
      expect(redriven).toMatchObject({ status: 200, body: { end: 'accepted' } });
      await system.refundThatIs('succeeded', redriven.body.refundId);
      const mine = (seen: { data: Readonly<Record<string, unknown>> }[]) => seen.filter(({ data }) => data['commandId'] === id);
      const outcomes = await system.seen(['refunds.outcomes.v1'], (seen) => mine([...seen]).length > 1);
      // One is keyed by its sender, the other by its payment: between partitions there is no order.
      expect(new Set(mine(outcomes).map(({ data }) => data['refundId']))).toEqual(new Set([undefined, redriven.body.refundId]));
      expect((await attention()).filter(({ kind }) => kind === 'dead_letter')).toEqual([]);
    });

    it('parks what a bad key cannot send, and with a good one goes on by one order', async () => {
      const before = (await booked()).length;
      await system.endPart('worker-1', 'SIGTERM');
      await system.endPart('worker-2', 'SIGTERM');
      system.startPart('worker', 1, { STRIPE_API_KEY: 'sk_test_wrong' });
      const parked = async () => (await attention()).filter(({ kind }) => kind === 'operation').length;
      const asked = [await ask((await pay()).paymentId), await ask((await pay()).paymentId)];
      await system.until('both are parked', async () => (await parked()) === 2);

      await system.endPart('worker-1', 'SIGTERM');
      system.startPart('worker');
      const resumed = await system.call('POST', '/v1/attention/operations/resume', { provider: 'stripe', account: 'default' });
      expect(resumed).toMatchObject({ status: 200, body: { resumed: 2 } });
      for (const { body } of asked) expect(await system.refundThatIs('succeeded', body.id)).toMatchObject({ attention: null });
      expect((await booked()).length - before).toBe(2);
      expect(await attention()).toEqual([]);
    });
  });
});
