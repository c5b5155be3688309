import { Logger } from '@nestjs/common';
import { beforeEach, describe, expect, it } from '@jest/globals';
import { Conflict } from '#application/errors';
import type { PartitionMark } from '#application/event-log';
import { RefundCommands, type CommandAnswer, type ReceivedCommand, type UnreadableRecord } from '#application/refund-commands';
import { topics } from '#contracts/topics';
import { Batch } from '#messaging/kafka-batch';
import { RedressInMemory } from '../../../test/fakes/redress-in-memory.js';
import { CommandsConsumer } from './commands.consumer.js';

/** Has a bug that some keys run into, or others in its way. */
class Breaking extends RefundCommands {
  readonly breaks = new Map<string, Error>();

  override decide(commands: readonly (ReceivedCommand | UnreadableRecord)[], mark?: PartitionMark): Promise<CommandAnswer[]> {
    const error = commands.map((each) => ('unreadable' in each ? undefined : this.breaks.get(each.key))).find(Boolean);
    return error === undefined ? super.decide(commands, mark) : Promise.reject(error);
  }
}

const bug = new TypeError("Cannot read properties of undefined (reading 'amount')");

describe('A record that cannot be handled', () => {
  let redress: RedressInMemory;
  let commands: Breaking;
  let consumer: CommandsConsumer;
  const nexts = new Map<number, bigint>();

  beforeEach(() => {
    Logger.overrideLogger(false);
    redress = new RedressInMemory();
    redress.provider.pay('pi_1', { amount: 10_000n, currency: 'USD' });
    commands = new Breaking(redress.stores.book, redress.providers, { factsMaxAgeMs: 60_000 });
    consumer = new CommandsConsumer(commands, redress.disputes);
    nexts.clear();
  });

  /** The next records of a partition, one for each key; its offset moves as far as they are stored. */
  const take = async (partition: number, ...keys: string[]) => {
    const expected = nexts.get(partition) ?? null;
    const standing = { cluster: 'main', group: 'redress', topic: topics.refundCommands, partition, expected };
    const records = keys.map((key, index) => {
      const headers = { ce_id: key, ce_source: 'shop', ce_type: 'redress.RequestRefund.v1', ce_specversion: '1.0' };
      const all = Object.entries({ ...headers, 'content-type': 'application/json' });
      return {
        key: null,
        value: Buffer.from('{"provider":"stripe","paymentId":"pi_1","amount":1,"currency":"USD"}'),
        headers: Object.fromEntries(all.map(([name, value]) => [name, Buffer.from(value)])),
        offset: (expected ?? 0n) + BigInt(index),
        timestamp: new Date(),
      };
    });
    await consumer.aboutRefunds(new Batch(standing, records, (next) => nexts.set(partition, next)));
  };
  const letters = () => redress.stores.deadLetters.all().map(({ code, offset }) => ({ code, offset }));
  const asked = () => redress.stores.refunds.all().length;

  it('is set aside, and those around it are handled (F8)', async () => {
    commands.breaks.set('b', bug);
    await take(0, 'a', 'b', 'c');
    expect(letters()).toEqual([{ code: 'internal', offset: 1n }]);
    expect([asked(), nexts.get(0)]).toEqual([2, 3n]);
  });

  it('is for a person when it is the sixth in a row, whatever other partitions have (F8)', async () => {
    const all = ['a', 'b', 'c', 'd', 'e', 'f', 'g'];
    for (const key of all) commands.breaks.set(key, bug);
    for (const key of all.slice(0, 5)) {
      await take(0, key);
      await take(1, `good ${key}`);
    }
    await expect(take(0, 'f')).rejects.toBe(bug);
    await expect(take(0, 'f')).rejects.toBe(bug);
    expect([letters().length, asked(), nexts.get(0)]).toEqual([5, 5, 5n]);
    commands.breaks.delete('f');
    await take(0, 'f');
    await take(0, 'g');
    expect([letters().length, asked(), nexts.get(0)]).toEqual([6, 6, 7n]);
  });

  it('is not set aside when others are in its way: it comes again (F31)', async () => {
    commands.breaks.set('b', new Conflict('a deadlock'));
    await expect(take(0, 'a', 'b', 'c')).rejects.toThrow(Conflict);
    expect([letters(), asked(), nexts.get(0)]).toEqual([[], 1, 1n]);
    commands.breaks.clear();
    await take(0, 'b', 'c');
    expect([letters(), asked(), nexts.get(0)]).toEqual([[], 3, 3n]);
  }, 30_000);
});
