import { afterAll, beforeAll, expect, it, jest } from '@jest/globals';
import type { DataSource } from 'typeorm';
import { pacing } from '#application/operations';
import { dataSource } from '#persistence/database';
import { PostgresOperations } from '#persistence/postgres-operations';
import { describeWithDatabase, freshDatabase, type FreshDatabase } from '../../../test/environment.js';

jest.setTimeout(60_000);

const rate = 40;
const kinds = ['payment.read', 'refund.read'] as const;

describeWithDatabase('Several workers that claim at once', () => {
  let database: FreshDatabase;
  let sources: DataSource[];
  let workers: PostgresOperations[];
  beforeAll(async () => {
    database = await freshDatabase();
    sources = await Promise.all(Array.from({ length: 4 }, () => dataSource({ url: database.url, connections: 3 }).initialize()));
    workers = sources.map((source) => new PostgresOperations(source));
  });
  afterAll(async () => {
    await Promise.all(sources.map((source) => source.destroy()));
    await database.drop();
  });

  async function backlog(account: string, count: number): Promise<void> {
    await sources[0]?.query(
      `insert into provider_operation (id, account, provider, kind, target, head, attempt, tries, run_at, priority, state, again, fence, created_at)
       select gen_random_uuid(), $1, 'stripe', kind, $1 || kind || i, true, 1, 0, service_now(), 20, 'open', false, 0, service_now()
       from generate_series(1, $2::int) i, unnest($3::text[]) kind`,
      [account, count, kinds],
    );
  }

  it('take no more together than there may be, miss little of it, and take nothing twice', async () => {
    const accounts = ['one', 'two', 'three'];
    for (const account of accounts) await backlog(account, 500);
    const limits = accounts.map((account) => ({
      account,
      provider: 'stripe',
      perSecond: 1.5 * rate,
      perSecondAndEndpoint: rate,
    }));
    await Promise.all(workers.map((worker) => worker.limit(limits)));
    const taken: { id: string; endpoint: string; account: string }[] = [];
    const begun = performance.now();
    const passed = () => performance.now() - begun;
    const calls = { limited: 0, locked: 1, more: 0 };
    await Promise.all(
      workers.map(async (worker) => {
        while (passed() < 3_000) {
          const due = await worker.claim(50, 30_000);
          for (const { id, account, kind } of due) taken.push({ id, account, endpoint: `${account} ${kind}` });
          // Answers are told beside it, and steering goes on.
          for (const each of due.slice(0, 1)) await worker.meet(each, calls);
          await worker.renew(due, 30_000);
        }
      }),
    );
    const most = (perSecond: number) => 1 + (perSecond * (passed() + pacing.burstMs + pacing.aheadMs)) / 1_000;
    expect(new Set(taken.map(({ id }) => id)).size).toBe(taken.length);
    for (const account of accounts) {
      const ofAccount = taken.filter((each) => each.account === account);
      expect(ofAccount.length).toBeLessThanOrEqual(most(1.5 * rate));
      expect(ofAccount.length).toBeGreaterThan(1.5 * rate * 3 * 0.9);
      for (const [, ofEndpoint] of Map.groupBy(ofAccount, ({ endpoint }) => endpoint)) {
        expect(ofEndpoint.length).toBeLessThanOrEqual(most(rate));
      }
    }
  });

  it('hold nobody up by a transaction that has an operation, and pass it over', async () => {
    await backlog('busy', 2);
    const [source, worker] = [sources[0], workers[1]];
    if (source === undefined || worker === undefined) throw new Error('there is no worker');
    const others = ['one', 'two', 'three'].flatMap((account) => kinds.map((kind) => ({ account, provider: 'stripe', kind })));
    const business = source.createQueryRunner();
    await business.startTransaction();
    const [held] = (await business.query(
      `select id from provider_operation where account = 'busy' order by id limit 1 for update`,
    )) as {
      id: string;
    }[];
    const due = await worker.claim(50, 30_000, others);
    expect(due).toHaveLength(3);
    expect(due.map(({ id }) => id)).not.toContain(held?.id);
    await business.commitTransaction();
    await business.release();
    expect((await worker.claim(50, 30_000, others)).map(({ id }) => id)).toEqual([held?.id]);
  });

  it('do not hold up what belongs to no configured account, so that it is seen and parked', async () => {
    await backlog('forgotten', 30);
    const others = ['one', 'two', 'three'].flatMap((account) => kinds.map((kind) => ({ account, provider: 'stripe', kind })));
    const due = await workers[0]?.claim(100, 30_000, others);
    expect(due?.filter(({ account, inMs }) => account === 'forgotten' && inMs === 0)).toHaveLength(60);
  });
});
