import { describe, expect, it } from '@jest/globals';
import type { NewDelivery } from '#application/deliveries';
import type { EventLog } from '#application/event-log';
import { uuid, refundId, cause, payment, type Scene } from './stores-scene.js';

/** What goes out and what came in: the log, the topics, and deliveries of webhooks. */
export function logContract(scene: Scene): void {
  const { fresh, transact, look, addRefund, approved, capture } = scene;

  describe('The log', () => {
    const tell = async (): Promise<string> => {
      const of = payment(fresh('pi'));
      await transact({ payments: [of] }, (set) => capture(set, of, 1n));
      return of.name;
    };
    const sealAll = async () => {
      while ((await scene.stores.log.seal(1000)) > 0);
    };
    const behind = async (position: bigint) => scene.stores.log.page(position, 1000, {});

    it('gives committed entries their places without a gap, in the order in which they were told', async () => {
      await sealAll();
      const start = await scene.stores.log.end();
      const told = [await tell(), await tell(), await tell()];
      expect(await behind(start)).toEqual([]);
      expect(await scene.stores.log.seal(2)).toBe(2);
      expect((await behind(start)).map(({ subject }) => subject)).toEqual(told.slice(0, 2));
      expect(await scene.stores.log.seal(1000)).toBe(1);
      expect(await scene.stores.log.seal(1000)).toBe(0);
      const entries = await behind(start);
      expect(entries.map(({ subject }) => subject)).toEqual(told);
      expect(entries.map(({ position }) => position - start)).toEqual([1n, 2n, 3n]);
      expect(await scene.stores.log.end()).toBe(start + 3n);
    });

    it('has one writer at a time, whoever seals, and goes on after a restart', async () => {
      await sealAll();
      const start = await scene.stores.log.end();
      const told = await Promise.all(Array.from({ length: 30 }, tell));
      await Promise.all(
        Array.from({ length: 6 }, (_, each) => (each % 2 === 0 ? scene.stores : scene.bench.again()).log.seal(7)),
      );
      const restarted = scene.bench.again();
      while ((await restarted.log.seal(4)) > 0);
      const entries = await behind(start);
      expect(entries.map(({ position }) => position - start)).toEqual(told.map((_, index) => BigInt(index + 1)));
      expect(entries.map(({ subject }) => subject).sort()).toEqual([...told].sort());
    });

    it('is read by topic, type and payment, a page at a time', async () => {
      const of = payment(fresh('pi'));
      await sealAll();
      const start = await scene.stores.log.end();
      await transact({ payments: [of] }, (set) => {
        capture(set, of, 9000n);
        const { id } = addRefund(set, of);
        set.record(id, [approved(set)], cause);
      });
      await tell();
      await sealAll();
      const types = async (filter: Parameters<EventLog['page']>[2], after = start, limit = 10) =>
        (await scene.stores.log.page(after, limit, filter)).map(({ type }) => type.split('.')[2]);
      expect(await types({ topics: ['refunds.events.v1'] })).toEqual(['requested', 'approved']);
      expect(await types({ topics: ['refunds.events.v1'] }, start, 1)).toEqual(['requested']);
      expect(await types({ topics: ['refunds.events.v1'] }, start + 1n)).toEqual(['approved']);
      expect(await types({ topics: ['refunds.events.v1', 'payments.refundability.v1'] })).toHaveLength(4);
      expect(await types({ payment: of.name })).toEqual(['requested', 'approved', 'refundability_changed']);
      expect(await types({ type: 'redress.refund.approved.v1' })).toEqual(['approved']);
      const last = (await types({ topics: ['refunds.events.v1'] })).length;
      const [end] = (await scene.stores.log.page(start, 10, { topics: ['refunds.events.v1'] })).slice(last - 1);
      expect(await scene.stores.log.ends(['refunds.events.v1', 'nobody.writes.here'])).toEqual(
        new Map([
          ['refunds.events.v1', end?.position],
          ['nobody.writes.here', 0n],
        ]),
      );
    });
  });

  describe('A topic', () => {
    it('is one relay’s at a time, and the next one’s when that one is gone', async () => {
      const topic = fresh('topic');
      const { cursors } = scene.stores;
      const first = await cursors.take(topic, 'one', 10_000);
      expect(first).toEqual({ position: 0n, fence: 1n });
      expect(await cursors.take(topic, 'two', 10_000)).toBeNull();
      expect(await cursors.take(topic, 'one', 10_000)).toEqual(first);
      expect(await cursors.advance(topic, 1n, 5n)).toBe(true);

      await scene.bench.advance(11_000);
      expect(await scene.bench.again().cursors.take(topic, 'two', 10_000)).toEqual({ position: 5n, fence: 2n });
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
      await scene.stores.cursors.take(topic, 'one', 10_000);
      await scene.bench.advance(11_000);
      expect(await scene.stores.cursors.take(topic, 'one', 10_000)).toMatchObject({ fence: 2n });
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
      expect(await scene.stores.cursors.deadLetters([id])).toEqual([{ id, key, value, headers }]);

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
      expect(await scene.stores.cursors.deadLetters([id])).toEqual([{ id, key, value, headers }]);
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
      const claimed = await scene.stores.deliveries.claim(limit, 30_000);
      return claimed.map(({ noticeId, repeated }) => `${noticeId}${repeated ? ' repeated' : ''}`);
    };
    const dispose = async (noticeId: string, operationId: string | null) => {
      const [one] = (await scene.stores.deliveries.claim(100, 30_000)).filter((each) => each.noticeId === noticeId);
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
      await scene.stores.deliveries.store([delivery(a), delivery(forged, { disposition: 'rejected', body: null }), delivery(b)]);
      expect(await claim(1)).toEqual([a]);
      expect(await claim()).toEqual([b]);
      expect(await claim()).toEqual([]);
      await scene.bench.advance(31_000);
      expect(await claim()).toEqual([a, b]);
      await scene.bench.advance(31_000);
      for (const each of [a, b]) {
        await dispose(each, null);
        await scene.bench.advance(31_000);
      }
      expect(await claim()).toEqual([]);
      expect(await scene.bench.dispositionOf(a)).toEqual([
        { disposition: 'applied', detail: null, refundId: null, disputeId: null },
      ]);
    });

    it('are known as repeats of one that came before, except of a forgery', async () => {
      const [notice, forged] = [fresh('evt'), fresh('evt')];
      await scene.stores.deliveries.store([delivery(notice), delivery(notice), delivery(forged, { disposition: 'rejected' })]);
      await scene.stores.deliveries.store([delivery(notice), delivery(forged), delivery(notice, { account: 'other' })]);
      expect(await claim()).toEqual([notice, `${notice} repeated`, `${notice} repeated`, forged, notice]);
    });

    it('wait for the reading that decides them', async () => {
      await scene.bench.advance(31_000);
      await scene.stores.deliveries.claim(100, 86_400_000);
      const [notice, other] = [fresh('evt'), fresh('evt')];
      const id = refundId(fresh('refund'));
      await scene.stores.deliveries.store([delivery(notice), delivery(other)]);
      const operationId = uuid(fresh('operation'));
      await dispose(notice, operationId);
      await scene.bench.advance(31_000);
      expect(await claim()).toEqual([other]);
      await transact({}, (set) =>
        set.disposeAnswered({ operationId, disposition: 'stale', detail: 'nothing new', refundId: id, disputeId: null }),
      );
      await transact({}, (set) =>
        set.disposeAnswered({ operationId, disposition: 'applied', detail: 'news', refundId: null, disputeId: null }),
      );
      expect(await scene.bench.dispositionOf(notice)).toEqual([
        { disposition: 'stale', detail: 'nothing new', refundId: id, disputeId: null },
      ]);
      expect(await scene.bench.dispositionOf(other)).toEqual([
        { disposition: null, detail: null, refundId: null, disputeId: null },
      ]);
    });
  });
}
