import { once } from 'node:events';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals';
import pg from 'pg';
import type { DataSource } from 'typeorm';
import { inParts } from '#application/batcher';
import { Unavailable } from '#application/errors';
import { commandId } from '#application/names';
import { Providers } from '#application/providers';
import { RecordAnswers } from '#application/record-answers';
import { RefundCommands, type CommandAnswer, type ReceivedCommand } from '#application/refund-commands';
import { RunOperations } from '#application/run-operations';
import { Wake } from '#application/wake';
import { topics } from '#contracts/topics';
import { dataSource } from '#persistence/database';
import { migrate } from '#persistence/migrate';
import { usualTerms } from '#domain/dispute/dispute';
import { PostgresEvidenceFiles } from '#persistence/postgres-disputes';
import { PostgresBook } from '#persistence/postgres-book';
import { PostgresLog } from '#persistence/postgres-log';
import { PostgresOperations } from '#persistence/postgres-operations';
import {
  DisputeRow,
  DraftRow,
  EvidenceFileRow,
  OperationRow,
  PacketRow,
  PaymentRow,
  RefundRow,
  WarningRow,
} from '#persistence/rows';
import {
  claimOperations,
  dueAlarms,
  endsOfTopics,
  findDisputedPayments,
  findNames,
  findPayments,
  loadDisputes,
  loadDrafts,
  loadFiles,
  loadOperations,
  loadPackets,
  loadProviderRefunds,
  loadReferences,
  loadRefunds,
  loadPayments,
  loadWarnings,
  moveRefunds,
  noteUploads,
  whenPaid,
  pageOfTopic,
  promote,
  removeFiles,
  seal,
} from '#persistence/statements';
import { Table } from '#persistence/table';
import { bareDatabase, describeWithDatabase, freshDatabase, type FreshDatabase } from '../../../test/environment.js';
import { ScriptedProvider } from '../../../test/fakes/scripted-provider.js';

// One payment's refunds go one at a time, and a loaded machine is slow.
jest.setTimeout(60_000);

class NoWake extends Wake {
  ring(): void {}
  on(): () => void {
    return () => undefined;
  }
}

describeWithDatabase('The book in PostgreSQL', () => {
  let database: FreshDatabase;
  let source: DataSource;
  let book: PostgresBook;
  let provider: ScriptedProvider;
  let providers: Providers;
  let commands: RefundCommands;
  beforeAll(async () => {
    database = await freshDatabase();
    source = await dataSource({ url: database.url, connections: 16 }).initialize();
    book = new PostgresBook(source, new NoWake());
    provider = new ScriptedProvider();
    providers = new Providers([provider], [], []);
    commands = new RefundCommands(book, providers, { factsMaxAgeMs: 3_600_000 });
  });
  afterAll(async () => {
    await source.destroy();
    await database.drop();
  });
  afterEach(() => {
    jest.restoreAllMocks();
  });

  const query = <T extends object>(statement: string, values: readonly unknown[] = []) =>
    source.query<T[]>(statement, [...values]);
  let count = 0;
  const request = (paymentId: string, amount: number): ReceivedCommand => {
    const key = `c-${++count}`;
    const uuid = commandId('default', 'kafka', 'spec', key);
    const sent = { account: 'default', door: 'kafka', source: 'spec', key, correlationId: null, traceparent: null } as const;
    const body = { account: 'default', provider: 'stripe', paymentId, amount, currency: 'USD' } as const;
    return { ...sent, uuid, type: 'redress.RequestRefund.v1', body };
  };
  const decide = (batch: readonly ReceivedCommand[]): Promise<CommandAnswer[]> =>
    inParts(
      batch,
      (part) => commands.decide(part),
      (_, error) => Promise.reject(error as Error),
    );
  /** As a caller does who is told that the service cannot take it now: two hundred at once wait for a few connections. */
  const patiently = (command: ReceivedCommand): Promise<CommandAnswer[]> =>
    decide([command]).catch((error: unknown) => {
      if (error instanceof Unavailable) return patiently(command);
      throw error;
    });
  /** A payment of 10000 that has been read, with nothing taken of it. */
  async function known(): Promise<string> {
    const name = `pi_known_${++count}`;
    provider.pay(name, { amount: 10_000n, currency: 'USD' }, { aliases: [name.replace('pi', 'ch')] });
    await decide([request(name, 20_000)]);
    await work();
    return name;
  }
  async function work(): Promise<void> {
    const failures: unknown[] = [];
    const settings = { atOnce: 100, leaseMs: 30_000, callMs: 20_000 };
    const log = { failed: (_: string, __: object, error: unknown) => void failures.push(error), tripped: () => undefined };
    const queue = new PostgresOperations(source);
    const operations = new RunOperations(
      queue,
      book,
      providers,
      new PostgresEvidenceFiles(source),
      new RecordAnswers(book, providers, usualTerms),
      settings,
      log,
    );
    for (let idle = false; !idle;) {
      while (operations.busy > 0) await sleep(5);
      idle = (await operations.round()) === 0;
    }
    expect(failures).toEqual([]);
  }

  describe('whatever SQL is written by hand', () => {
    const paymentKey = async () => {
      const name = await known();
      const [row] = await query<{ payment_key: string }>('select payment_key from payment_alias where name = $1', [name]);
      return row?.payment_key;
    };

    it.each([
      ['an update', 'update payment set reserved = 10001 where key = $1'],
      ['an update of several columns', 'update payment set refunded = 9000, reserved = 1001 where key = $1'],
      ['an update that lowers what was captured', 'update payment set captured = 500, reserved = 501 where key = $1'],
      [
        'an insert',
        `insert into payment (key, account, provider, name, settled, aliases, captured, reserved, refunded, disputed, lost, basis, waiting, sequence, version)
         select gen_random_uuid(), account, provider, name, settled, aliases, 100, 60, 41, 0, 0, basis, 0, 0, 0 from payment where key = $1`,
      ],
      ['an upsert', `insert into payment select * from payment where key = $1 on conflict (key) do update set reserved = 10001`],
    ])('takes no more room than there is: %s', async (_, statement) => {
      await expect(query(statement, [await paymentKey()])).rejects.toMatchObject({ code: '23514' });
    });

    it('takes room that is there, gives it back, and stores facts that overdraw', async () => {
      const key = await paymentKey();
      await query('update payment set reserved = 10000 where key = $1', [key]);
      await query('update payment set refunded = 9000 where key = $1', [key]);
      await query('update payment set reserved = 9999, lost = 500 where key = $1', [key]);
      await expect(query('update payment set reserved = 10000 where key = $1', [key])).rejects.toMatchObject({ code: '23514' });
    });

    it.each(['event', 'event_position'])('changes nothing that is in the log: %s', async (table) => {
      await known();
      await new PostgresLog(source).seal(1000);
      const column = table === 'event' ? 'type' : 'topic';
      const changes = [`update ${table} set ${column} = 'x'`, `delete from ${table}`, `truncate ${table} cascade`];
      for (const change of changes) await expect(query(change)).rejects.toThrow('insert-only');
    });
  });

  describe('a batch', () => {
    async function costOf(batch: readonly ReceivedCommand[]): Promise<{ transactions: number; statements: number }> {
      const spy = jest.spyOn(pg.Client.prototype, 'query');
      await commands.decide(batch);
      const statements = spy.mock.calls.length;
      spy.mockRestore();
      // Rows carry the number of the transaction that wrote them. (The server's own count would include what other suites do meanwhile.)
      const [row] = await query<{ transactions: number }>(
        `select count(distinct written)::int as transactions from (
           select xmin::text as written, named_payment as name from refund
           union all select xmin::text, name from payment
           union all select xmin::text, target from provider_operation
         ) rows where name = any($1)`,
        [batch.map(({ body }) => (body as { paymentId: string }).paymentId)],
      );
      return { transactions: row?.transactions ?? 0, statements };
    }

    it('of five hundred commands is one transaction, with the statements of a batch of one', async () => {
      const unheard = () => request(`pi_unheard_${++count}`, 100);
      const one = await costOf([unheard()]);
      const many = await costOf(Array.from({ length: 500 }, unheard));
      expect(many).toEqual(one);
      expect(many.transactions).toBe(1);
      expect(many.statements).toBeGreaterThan(8);
    });

    it('runs no statement about disputes where there are none', async () => {
      const name = await known();
      const spy = jest.spyOn(pg.Client.prototype, 'query');
      await decide([request(name, 100), request(`pi_unheard_${++count}`, 100)]);
      await work();
      const texts = (spy.mock.calls as unknown[][]).map(([given]) =>
        typeof given === 'string' ? given : (given as { text: string }).text,
      );
      spy.mockRestore();
      expect(texts.length).toBeGreaterThan(50);
      const about = /\b(from|into|update) (dispute|evidence_\w+|fraud_warning)\b/;
      // A name that turns out to be another payment's takes all along in one statement, as before.
      expect(texts.filter((text) => about.test(text) && text !== moveRefunds)).toEqual([]);
    });

    it('is lost neither in part nor as a whole when four writers meet in opposite order (F31)', async () => {
      const names = await Promise.all(Array.from({ length: 12 }, known));
      const unheard = Array.from({ length: 12 }, () => `pi_met_${++count}`);
      const all = [...names, ...unheard];
      const writer = async (order: readonly string[]) => {
        const answers: CommandAnswer[] = [];
        for (let round = 0; round < 10; round += 1) answers.push(...(await decide(order.map((name) => request(name, 1)))));
        return answers;
      };
      const orders = [all, all.toReversed(), all.toReversed(), all];
      const answers = (await Promise.all(orders.map(writer))).flat();
      expect(answers).toHaveLength(4 * 10 * 24);
      expect(answers.filter(({ kind }) => kind !== 'accepted')).toEqual([]);
      const stored = await query<{ named_payment: string; n: number }>(
        'select named_payment, count(*)::int as n from refund where named_payment = any($1) and amount = 1 group by 1',
        [all],
      );
      expect(stored.map(({ n }) => n)).toEqual(all.map(() => 40));
      const [wrong] = await query<{ n: number }>(
        `select count(*)::int as n from payment p where (reserved, waiting) <>
          (select coalesce(sum(r.amount) filter (where holds = 'reserved'), 0), count(*) filter (where status = 'requested')
           from refund r where r.payment_key = p.key)
          and p.name = any($1)`,
        [all],
      );
      expect(wrong).toEqual({ n: 0 });
    });
  });

  it('shares one payment between two hundred requests at once, half by its charge, to the last cent (F6)', async () => {
    const [pi, ch] = ['pi_hot', 'ch_hot'];
    provider.pay(pi, { amount: 10_007n, currency: 'USD' }, { aliases: [ch] });
    const requests = Array.from({ length: 200 }, (_, each) => request(each % 2 === 0 ? pi : ch, 101));
    await Promise.all(requests.map(patiently));
    await work();
    const [sums] = await query<object>(`
      select count(*) filter (where status = 'succeeded')::int as succeeded, count(*) filter (where status = 'rejected')::int as rejected
      from refund where named_payment in ('pi_hot', 'ch_hot')`);
    expect(sums).toEqual({ succeeded: 99, rejected: 101 });
    expect(provider.sentBack(pi)).toBe(9999n);
    const balances = await query<object>(
      `select p.captured, p.reserved, p.refunded, p.waiting from payment_alias a join payment p on p.key = a.payment_key
       where a.name in ('pi_hot', 'ch_hot')`,
    );
    const shared = { captured: '10007', reserved: '0', refunded: '9999', waiting: 0 };
    expect(balances).toEqual([shared, shared]);
  });

  it('never loses a claim to a decision that was made meanwhile', async () => {
    const name = await known();
    const [answer] = await decide([request(name, 100)]);
    if (answer?.kind !== 'accepted') throw new Error('it was refused');
    const refunds = [answer.refund.id];
    const queue = new PostgresOperations(source);
    const steering = book.transact({ refunds }, (set) => {
      const [send] = set.openOperations(answer.refund.id);
      if (send === undefined) throw new Error('there is nothing to send');
      return set.changeOperation(send.id, { runAt: new Date(set.now.getTime() - 1000) });
    });
    const claims = await Promise.all([steering, ...Array.from({ length: 8 }, () => queue.claim(10, 30_000))]);
    const claimed = [...claims.slice(1), await queue.claim(10, 30_000)].flat();
    expect(claimed).toHaveLength(1);
    const fences = await book.transact({ refunds }, (set) => set.openOperations(answer.refund.id).map(({ fence }) => fence));
    expect(fences).toEqual([1n]);
    await queue.release(claimed as { id: string; fence: bigint }[]);
    await work();
  });

  describe('sealing', () => {
    it('comes back for what committed late with a lower number, and leaves no gap (F18)', async () => {
      const log = new PostgresLog(source);
      const insert = `insert into event (id, topic, type, account, subject, time, data)
        values ($1, 'spec', 'redress.spec.told.v1', 'default', $1, now(), '{}')`;
      while ((await log.seal(1000)) > 0);
      const start = await log.end();
      const late = source.createQueryRunner();
      await late.startTransaction();
      await late.query(insert, ['late']);
      for (let n = 0; n < 25; n += 1) await query(insert, [`early ${n}`]);
      while ((await log.seal(10)) > 0);
      await Promise.all([log.seal(1000), log.seal(1000)]);
      expect((await log.page(start, 100, {})).map(({ subject }) => subject)).not.toContain('late');
      await late.commitTransaction();
      await late.release();

      await query(insert, ['last']);
      while ((await new PostgresLog(source).seal(1000)) > 0);
      const sealed = await log.page(start, 100, { topics: ['spec'] });
      expect(sealed.map(({ position }) => position - start)).toEqual(sealed.map((_, index) => BigInt(index + 1)));
      expect(sealed.map(({ subject }) => subject)).toEqual([
        ...Array.from({ length: 25 }, (_, n) => `early ${n}`),
        'late',
        'last',
      ]);
    });

    it('waits for a transaction that began after others that have ended, and holds a lower number than they (F18)', async () => {
      const log = new PostgresLog(source);
      const insert = `insert into event (id, topic, type, account, subject, time, data)
        values ($1, 'overtaken', 't', 'default', $1, now(), '{}')`;
      const [first, second] = [source.createQueryRunner(), source.createQueryRunner()];
      for (const runner of [first, second]) {
        await runner.startTransaction();
        await runner.query('select pg_current_xact_id()');
      }
      await second.query(insert, ['slow']);
      await first.query(insert, ['fast']);
      await first.commitTransaction();
      for (let round = 0; round < 5; round += 1) await log.seal(1000);
      await second.commitTransaction();
      await Promise.all([first.release(), second.release()]);
      for (let round = 0; round < 5; round += 1) await log.seal(1000);
      const sealed = await log.page(0n, 100, { topics: ['overtaken'] });
      expect(sealed.map(({ subject }) => subject)).toEqual(['fast', 'slow']);
    });

    it('forgets what it has sealed, so that it stays as fast as on the first day', async () => {
      const log = new PostgresLog(source);
      const left = async () => {
        await log.seal(1000);
        return (await query('select from event_seal where settled < (select max(ordinal) from event)')).length;
      };
      // Who writes elsewhere on the server, in other suites, holds it up for as long.
      for (let round = 0; round < 500 && (await left()) > 0; round += 1) await sleep(20);
      expect(await left()).toBe(0);
    });

    it('forgets it also while there is more to seal than it takes at once', async () => {
      const log = new PostgresLog(source);
      while ((await log.seal(1000)) > 0);
      await query(`insert into event (id, topic, type, account, subject, time, data)
        select 'burst ' || n, 'burst', 't', 'default', 'burst', now(), '{}' from generate_series(1, 40) n`);
      const settled = async () => BigInt((await query<{ settled: string }>('select settled from event_seal'))[0]?.settled ?? 0);
      const before = await settled();
      for (let round = 0; round < 6; round += 1) expect(await log.seal(5)).toBe(5);
      for (let round = 0; round < 500 && (await settled()) === before; round += 1) {
        await query(`insert into event (id, topic, type, account, subject, time, data)
          select 'more ' || n, 'burst', 't', 'default', 'burst', now(), '{}' from generate_series(1, 5) n`);
        expect(await log.seal(5)).toBe(5);
        await sleep(20);
      }
      expect(await settled()).toBeGreaterThan(before);
    });

    it('keeps one row for what was written and sealed at once in a topic, and reads on from any entry of it', async () => {
      const log = new PostgresLog(source);
      while ((await log.seal(1000)) > 0);
      const start = await log.end();
      await query(`with block as materialized (select nextval('event_block') << 20 as start)
        insert into event (ordinal, id, topic, type, account, subject, time, data)
        select start + n, n, case when n <= 5 then 'run a' else 'run b' end, 't', 'default', n, now(), '{}' from block, generate_series(1, 8) n`);
      expect([await log.seal(3), await log.seal(1000), await log.seal(1000)]).toEqual([3, 5, 0]);
      const rows = await query(
        'select topic, entries, (position - $1)::int as position from event_position where position > $1 order by 3',
        [start.toString()],
      );
      expect(rows).toEqual([
        { topic: 'run a', entries: 3, position: 3 },
        { topic: 'run a', entries: 2, position: 5 },
        { topic: 'run b', entries: 3, position: 8 },
      ]);
      const read = async (after: number, limit: number, topics: string[], type?: string) =>
        (await log.page(start + BigInt(after), limit, { topics, ...(type === undefined ? {} : { type }) })).map((each) => {
          expect(String(each.position - start)).toBe(each.subject);
          return Number(each.subject);
        });
      for (let after = 0; after <= 8; after += 1) {
        const [a, b] = [[1, 2, 3, 4, 5].filter((n) => n > after), [6, 7, 8].filter((n) => n > after)];
        expect(await read(after, 2, ['run a'])).toEqual(a.slice(0, 2));
        expect(await read(after, 100, ['run b'])).toEqual(b);
        expect(await read(after, 4, ['run a', 'run b'])).toEqual([...a, ...b].slice(0, 4));
        expect(await read(after, 4, ['run a', 'run b'], 't')).toEqual([...a, ...b].slice(0, 4));
      }
    });

    it('misses nothing of many writers, some of whom give up', async () => {
      const log = new PostgresLog(source);
      while ((await log.seal(1000)) > 0);
      const start = await log.end();
      let writing = true;
      const sealer = async () => {
        while (writing) await log.seal(7);
      };
      const sealers = [sealer(), sealer()];
      const kept: string[] = [];
      const writers = Array.from({ length: 6 }, async (_, writer) => {
        for (let n = 0; n < 30; n += 1) {
          const runner = source.createQueryRunner();
          await runner.startTransaction();
          await runner.query(
            `insert into event (id, topic, type, account, subject, time, data) values ($1, 'many', 't', 'default', $1, now(), '{}')`,
            [`${writer}/${n}`],
          );
          await sleep((writer * 7 + n) % 5);
          if ((writer + n) % 4 === 0) await runner.rollbackTransaction();
          else {
            await runner.commitTransaction();
            kept.push(`${writer}/${n}`);
          }
          await runner.release();
        }
      });
      await Promise.all(writers);
      writing = false;
      await Promise.all(sealers);
      while ((await log.seal(1000)) > 0);
      const sealed = await log.page(start, 1000, { topics: ['many'] });
      expect(sealed.map(({ subject }) => subject).sort()).toEqual(kept.sort());
      expect(await log.end()).toBe(start + BigInt(kept.length));
    });
  });

  describe('without its database', () => {
    it('says that it is unavailable, and works again afterwards', async () => {
      const name = await known();
      const holder = source.createQueryRunner();
      await holder.startTransaction();
      await holder.query('select 1 from payment where name = $1 for update', [name]);
      const waiting = commands.decide([request(name, 5)]).catch((error: unknown) => error);
      await sleep(200);
      await query(`select pg_terminate_backend(pid) from pg_stat_activity
        where datname = current_database() and wait_event_type = 'Lock'`);
      expect(await waiting).toBeInstanceOf(Unavailable);
      await holder.rollbackTransaction();
      await holder.release();
      expect(await decide([request(name, 5)])).toMatchObject([{ kind: 'accepted' }]);
    });

    it('says so too when nobody listens there', async () => {
      const elsewhere = await dataSource({ url: database.url, connections: 1 }).initialize();
      // The server is gone once TypeORM has seen it: its pool finds nobody at the address.
      const { master } = elsewhere.driver as unknown as { master: pg.Pool };
      (await master.connect()).release(true);
      master.options.connectionString = `postgres://postgres@127.0.0.1:${await portOfNobody()}/gone`;
      await expect(new PostgresBook(elsewhere, new NoWake()).transact({}, () => 0)).rejects.toThrow(Unavailable);
      await elsewhere.destroy();
    });
  });
});

/** A port that was free a moment ago. */
async function portOfNobody(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  if (typeof address !== 'object' || address === null) throw new Error('there is no free port');
  return address.port;
}

describeWithDatabase('Migrations', () => {
  it('run once when six replicas start at the same time', async () => {
    const database = await bareDatabase();
    const told: string[] = [];
    await Promise.all(Array.from({ length: 6 }, () => migrate(database.url, (line) => void told.push(line))));
    expect(told.filter((line) => line.startsWith('migrated'))).toHaveLength(1);
    expect(told.filter((line) => line === 'the database is up to date')).toHaveLength(5);
    const source = await dataSource({ url: database.url, connections: 1 }).initialize();
    expect(await source.query('select count(*)::int as n from migration')).toEqual([{ n: source.migrations.length }]);
    await source.destroy();
    await database.drop();
  });

  it('build their indexes again where that was broken off', async () => {
    const database = await bareDatabase();
    await migrate(database.url, () => undefined);
    const source = await dataSource({ url: database.url, connections: 1 }).initialize();
    const indexes = async () => {
      const found: { name: string; valid: boolean }[] = await source.query(
        `select indexrelid::regclass::text as name, indisvalid as valid from pg_index where indexrelid::regclass::text like '%of_dispute' or indexrelid::regclass::text like '%by_dispute' order by 1`,
      );
      return found;
    };
    const all = await indexes();
    expect(all.length).toBeGreaterThan(5);
    // As a crash leaves it: one that was built, one that is good for nothing, and the others missing.
    await source.query(`delete from migration where name like 'DisputeIndexes%'`);
    await source.query(
      `update pg_index set indisvalid = false where indexrelid = 'provider_operation_open_of_dispute'::regclass`,
    );
    await source.query('drop index provider_call_by_dispute, webhook_delivery_by_dispute');
    expect(await indexes()).not.toEqual(all);
    await migrate(database.url, () => undefined);
    expect(await indexes()).toEqual(all);
    expect(all.every(({ valid }) => valid)).toBe(true);
    await source.destroy();
    await database.drop();
  });
});

describeWithDatabase('A hot statement', () => {
  let database: FreshDatabase;
  let source: DataSource;
  const plans: Record<string, string> = {};

  beforeAll(async () => {
    database = await freshDatabase();
    source = await dataSource({ url: database.url, connections: 2 }).initialize();
    const [operations, refunds, payments] = [
      new Table(source, OperationRow),
      new Table(source, RefundRow),
      new Table(source, PaymentRow),
    ];
    const [disputes, drafts, files] = [
      new Table(source, DisputeRow),
      new Table(source, DraftRow),
      new Table(source, EvidenceFileRow),
    ];
    const [packets, warnings] = [new Table(source, PacketRow), new Table(source, WarningRow)];
    const hot = {
      findNames,
      findPayments,
      loadPayments: loadPayments(payments.selection, true),
      loadRefunds: loadRefunds(refunds.selection),
      loadProviderRefunds,
      loadReferences,
      loadOperations: loadOperations(operations.selection),
      promote,
      seal,
      claimOperations: claimOperations(operations.selection),
      pageOfTopic: pageOfTopic('event.id'),
      endsOfTopics,
      findDisputedPayments,
      loadDisputes: loadDisputes(disputes.selection),
      loadWarnings: loadWarnings(warnings.selection),
      loadDrafts: loadDrafts(drafts.selection),
      loadFiles: loadFiles(files.selection),
      loadPackets: loadPackets(packets.selection),
      removeFiles,
      noteUploads,
      whenPaid,
      moveRefunds,
      dueAlarms,
    };
    const explain = async (when: string) => {
      for (const [name, statement] of Object.entries(hot)) {
        const lines: { 'QUERY PLAN': string }[] = await source.query(`explain (generic_plan) ${statement}`);
        plans[`${name}, ${when}`] = lines.map((line) => line['QUERY PLAN']).join('\n');
      }
    };
    await explain('when the tables are new');
    await source.query('vacuum analyze');
    await explain('when they were empty at the last look');
    await fill(source, 1, 40);
    await source.query('analyze');
    await explain('when they were small at the last look');
    await fill(source, 41, 20_000);
    await explain('when they have grown since');
    await source.query('analyze');
    await explain('when they are large');
  }, 60_000);
  afterAll(async () => {
    await source.destroy();
    await database.drop();
  });

  it.each(['new', 'empty at the last look', 'small at the last look', 'grown since', 'large'])(
    'goes by an index alone: when the tables are %s',
    (when) => {
      const seen = Object.entries(plans).filter(([name]) => name.endsWith(when));
      expect(seen).toHaveLength(23);
      for (const [name, plan] of seen) {
        // The clock and the seal are tables of one row; what was just sealed, claimed or promoted is small by its nature.
        const reading = plan.split('\n').filter((line) => /Seq Scan/.test(line) && !/on (clock|event_seal)/.test(line));
        expect([name, reading]).toEqual([name, []]);
        if (name.startsWith('seal')) continue; // The writer's one row meets the result's one row.
        // Claiming joins with what it changes (see there): rows that were just looked up by their keys.
        if (!name.startsWith('claim')) expect([name, plan]).not.toEqual([name, expect.stringMatching(/Join Filter/)]);
        // An index that is read from end to end is a scan as well; a limit for each account and kind are few.
        const lines = plan.split('\n');
        const whole = lines.filter((line, at) => /Index (Only )?Scan/.test(line) && !/Index Cond/.test(lines[at + 1] ?? ''));
        expect([name, whole.filter((line) => !/on provider_limit/.test(line)), plan]).toEqual([name, [], plan]);
      }
    },
  );

  /** As many rows as after a while; the newest tenth still open. */
  async function fill(into: DataSource, from: number, to: number): Promise<void> {
    const numbers = `generate_series(${from}, ${to}) i`;
    const name = (prefix: string) => `md5('${prefix}' || i)::uuid`;
    await into.query(
      `insert into payment select ${name('p')}, 'default', 'stripe', 'pi_' || i, true, '[]', 'USD', 10000, 0, 0, 0, 0, 'provider', now(), null, 0, 0, 1 from ${numbers}`,
    );
    await into.query(`insert into payment_alias select 'default', 'stripe', 'pi_' || i, ${name('p')} from ${numbers}`);
    await into.query(`
      insert into refund (id, account, provider, payment_key, named_payment, status, holds, block_customer, reference, metadata, origin, attempt, told, version, created_at, updated_at)
      select ${name('r')}, 'default', 'stripe', ${name('p')}, 'pi_' || i, case when i % 10 = 0 then 'requested' else 'succeeded' end,
        'nothing', false, 'ref-' || i, '{}', 'command', 1, true, 1, now(), now() from ${numbers}`);
    await into.query(`
      insert into dispute (id, account, provider, provider_dispute_id, payment_key, stage, status, money, provider_status, amount, currency, refundable, due_by,
        next_alarm_at, alarms, round, submissions, submissions_before, eligibilities, movements, disputed, lost, attempt, reported_at, opened_at, version, created_at, updated_at)
      select ${name('d')}, 'default', 'stripe', 'dp_' || i, ${name('p')}, 'chargeback', case when i % 10 = 0 then 'needs_response' else 'lost' end,
        'withdrawn', 'x', 1, 'USD', false, now() + i * interval '1 minute', case when i % 10 = 0 then now() end, 0, 1, 0, 0, '[]', '[]', 0, 1, 1,
        now(), now(), 1, now(), now() from ${numbers}`);
    await into.query(`insert into evidence_draft select ${name('d')}, 1, '{}', '[]', 0, '[]' from ${numbers}`);
    await into.query(`
      insert into evidence_file (id, dispute_id, place, name, type, size, pages, digest, by, added_at, bytes)
      select ${name('f')}, ${name('d')}, 'receipt', 'n', 'image/png', 1, 1, 'd', 'b', now(), 'x' from ${numbers}`);
    await into.query(
      `insert into evidence_packet select ${name('d')}, 1, 1, '{}', '[]', '[]', 'b', now(), now() from ${numbers}`,
    );
    await into.query(`
      insert into fraud_warning select ${name('w')}, 'default', 'stripe', 'issfr_' || i, ${name('p')}, true, 'x', now(), now() from ${numbers}`);
    await into.query(`insert into provider_refund select 'default', 'stripe', 're_' || i, ${name('r')}, 1 from ${numbers}`);
    await into.query(`
      insert into provider_operation (id, account, provider, kind, target, refund_id, payment_key, lane, head, attempt, tries, run_at, priority, state, again, fence, created_at)
      select gen_random_uuid(), 'default', 'stripe', kind, 't' || i, ${name('r')}, ${name('p')},
        case when kind = 'refund.send' then 'refunds:' || ${name('p')} end, true, 1, 0, now(), 10,
        case when i % 10 = 0 then 'open' else 'done' end, false, 0, now() from ${numbers}, unnest(array['refund.send', 'refund.read']) kind`);
    await into.query(
      `insert into provider_limit (account, provider, kind, rate) select 'shop_' || i, 'stripe', 'all', 100 from ${numbers}`,
    );
    await into.query(`
      insert into event (id, topic, type, account, subject, time, data)
      select 'evt_' || i, '${topics.refundEvents}', 't', 'default', 's', now(), '{}' from ${numbers}`);
    await into.query(
      'insert into event_position (position, ordinal, topic) select ordinal, ordinal, topic from event on conflict do nothing',
    );
  }
});
