import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { OffsetWitness, RestoreWatch, type Behind } from '#application/restore-watch';
import { RedressInMemory } from '../../../test/fakes/redress-in-memory.js';

const minute = 60_000;
const hundred = { amount: 10_000n, currency: 'USD' };
const behind: Behind = { topic: 'refunds.commands.v1', partition: 3, stored: 4n, remembered: 9n };

class Told extends OffsetWitness {
  all: Behind[] = [behind];
  fails = false;

  override behind(): Promise<Behind[]> {
    return this.fails ? Promise.reject(new Error('nobody is there')) : Promise.resolve(this.all);
  }
}

describe('A database that is older than Kafka remembers it', () => {
  let redress: RedressInMemory;
  let told: Told;
  const said: string[] = [];
  const watch = () => {
    const log = { restored: (why: string) => said.push(why), failed: (what: string) => said.push(what) };
    return new RestoreWatch(told, redress.stores.book, redress.providers, log);
  };
  const begin = (lists: boolean) => {
    redress = new RedressInMemory({ lists });
    redress.provider.pay('pi_1', hundred);
  };
  beforeEach(() => {
    told = new Told();
    said.length = 0;
    begin(true);
  });
  afterEach(() => redress.check());

  it('sends nothing until a sweep that began after that has listed everything', async () => {
    await redress.process().beginSweeps();
    await redress.work();
    await watch().check();
    expect(redress.stores.standing()).toMatchObject([{ provider: 'stripe', account: 'default', automatic: true }]);
    const refund = await redress.refund('pi_1', 500);
    redress.provider.nextReads('call_lost', 'call_lost');
    await redress.work();
    expect(redress.of(refund).status).not.toBe('succeeded');
    await redress.workFor(5 * minute);
    expect(redress.stores.standing()).toEqual([]);
    expect(redress.of(refund).status).toBe('succeeded');
  });

  it('is paused once, however often it is seen, and not where somebody has paused it already', async () => {
    await watch().check();
    await watch().check();
    expect(redress.stores.standing()).toHaveLength(1);
    expect(said).toEqual([expect.stringContaining('commands up to offset 4, and they were stored up to 9')]);
  });

  it('waits for a person where nothing can be listed', async () => {
    begin(false);
    await watch().check();
    const refund = await redress.refund('pi_1', 500);
    await redress.workFor(60 * minute);
    expect(redress.stores.standing()).toHaveLength(1);
    expect(redress.of(refund).status).toBe('approved');
  });

  it('is asked for before anything is sent, and not for ever', async () => {
    told.all = [];
    await watch().checked(1_000);
    expect(redress.stores.standing()).toEqual([]);
    told.fails = true;
    await watch().checked(1_000);
    expect(said).toEqual(['nobody could be asked whether the database is an older copy']);
  });
});
