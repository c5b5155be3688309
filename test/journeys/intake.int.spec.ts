/* A worker that dies while it takes commands in, and commands that come several times at once. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, it, jest } from '@jest/globals';
import { describeWithDatabase, describeWithKafka } from '../environment.js';
import { System, type Seen } from './system.js';

// Each waits for real processes; how long says nothing.
jest.setTimeout(120_000);

const commandsAtOnce = 20;

describeWithDatabase('Commands that are taken in', () => {
  describeWithKafka('with a real Kafka', () => {
    let system: System;
    beforeAll(async () => {
      system = await System.start();
    }, 120_000);
    afterAll(() => system.stop(), 60_000);

    const commandsFor = async (count: number) => {
      const commands = [];
      for (let each = 0; each < count; each += 1) {
        const { paymentId } = await system.pay({ provider: 'stripe', amount: 10_000 });
        commands.push({ id: randomUUID(), data: { provider: 'stripe', paymentId, amount: 500, currency: 'USD' } });
      }
      return commands;
    };
    const outcomesOf = (ids: readonly string[], seen: readonly Seen[]) =>
      seen.filter(({ data }) => ids.includes(String(data['commandId'])));
    const stored = async () =>
      (await system.query<{ count: number }>('select count(*)::int as count from refund'))[0]?.count ?? 0;

    /** Each command has one outcome, and its payment one refund. */
    async function expectOneEach(commands: Awaited<ReturnType<typeof commandsFor>>): Promise<void> {
      const ids = commands.map(({ id }) => id);
      const seen = await system.seen(['refunds.outcomes.v1'], (all) => outcomesOf(ids, all).length >= ids.length);
      const outcomes = outcomesOf(ids, seen);
      expect(new Set(outcomes.map(({ data }) => data['commandId']))).toEqual(new Set(ids));
      expect(outcomes).toHaveLength(ids.length);
      for (const { data } of outcomes) await system.refundThatIs('succeeded', String(data['refundId']));
      const named = new Set(commands.map(({ data }) => data.paymentId));
      const { payments } = await system.books();
      const refunds = payments.filter(({ paymentId }) => named.has(paymentId)).map((payment) => payment.refunds.length);
      expect(refunds).toEqual(commands.map(() => 1));
    }

    it('come again when the worker is killed before they are committed (F1)', async () => {
      const commands = await commandsFor(commandsAtOnce);
      await system.session(async (client) => {
        await client.query('begin');
        await client.query('lock table refund in share mode');
        await system.send(commands);
        const waiting = `select 1 from pg_stat_activity where wait_event_type = 'Lock' and query like '%into refund%'`;
        await system.until('the worker waits to store them', async () => (await system.query(waiting)).length > 0);
        await system.endPart('worker-1', 'SIGKILL');
        await client.query('rollback');
      });
      system.startPart('worker');
      await expectOneEach(commands);
    });

    it('are done once when the worker is killed after they were committed, before Kafka has heard of it (F2)', async () => {
      const commands = await commandsFor(commandsAtOnce);
      const before = await stored();
      await system.send(commands);
      await system.until('they are stored', async () => (await stored()) >= before + commandsAtOnce);
      await system.endPart('worker-1', 'SIGKILL');
      // As if the offset had not been stored with them either: all that there ever was comes again.
      await system.query('delete from partition_offset');
      system.startPart('worker');
      await system.until('all is read again', async () => {
        const [read] = await system.query<{ sum: number }>(
          'select coalesce(sum(next_offset), 0)::int as sum from partition_offset',
        );
        return (read?.sum ?? 0) >= 2 * commandsAtOnce;
      });
      // To be older than Kafka remembers is what a restore looks like.
      await system.call('PUT', '/v1/sending', { provider: 'zamp', account: 'default', paused: false, reason: 'a drill' });
      for (const { data } of commands) {
        await system.until(`${data.paymentId} is refunded`, async () =>
          (await system.books()).payments.some(({ paymentId, refunds }) => paymentId === data.paymentId && refunds.length === 1),
        );
      }
      const { payments } = await system.books();
      expect(Math.max(...payments.map(({ refunds }) => refunds.length))).toBe(1);
    });

    it('are one, though one comes under eight keys at once (F4)', async () => {
      const [command] = await commandsFor(1);
      if (command === undefined) throw new Error('there is no command');
      await system.send(Array.from({ length: 8 }, (_, key) => ({ ...command, key: `key-${key}` })));
      const all = await system.seen(['refunds.outcomes.v1'], (seen) => outcomesOf([command.id], seen).length >= 8);
      const outcomes = outcomesOf([command.id], all).map(({ headers }) => headers['ce_type']);
      expect(outcomes.toSorted((a, b) => String(a).localeCompare(String(b)))).toEqual([
        'redress.command.accepted.v1',
        ...Array.from({ length: 7 }, () => 'redress.command.repeated.v1'),
      ]);
      const { payments } = await system.books();
      expect(payments.find(({ paymentId }) => paymentId === command.data.paymentId)?.refunds).toHaveLength(1);
    });
  });
});
