import { createServer, connect, type AddressInfo, type Server, type Socket } from 'node:net';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { DataSource } from 'typeorm';
import { Unavailable } from '#application/errors';
import { dataSource, meaningOf } from '#persistence/database';
import { PostgresOffsets } from '#persistence/postgres-log';
import { PostgresWake } from '#persistence/postgres-wake';
import { describeWithDatabase, freshDatabase, type FreshDatabase } from '../../../test/environment.js';

const silenceMs = 600;
let database: FreshDatabase;
let way: Way;
let source: DataSource;

describeWithDatabase('A database that moves to another machine without a word', () => {
  beforeAll(async () => {
    database = await freshDatabase();
    way = await Way.to(database.url);
    source = await dataSource({ url: way.url, connections: 2, silenceMs }).initialize();
  });

  afterAll(async () => {
    await source.destroy();
    way.close();
    await database.drop();
  });

  it('ends the transaction that waits for it, and is used again on a new connection', async () => {
    const runner = source.createQueryRunner();
    await runner.startTransaction();
    await runner.query('select 1');
    way.lose();
    const error: unknown = await runner.query('select 2').catch(meaningOf);
    expect(error).toBeInstanceOf(Unavailable);
    await runner.release();
    expect(await source.query('select 3 as answer')).toEqual([{ answer: 3 }]);
  });

  it('is unavailable when the connection is lost between two statements', async () => {
    const runner = source.createQueryRunner();
    await runner.startTransaction();
    const [backend] = (await runner.query('select pg_backend_pid() as pid')) as { pid: number }[];
    await source.query('select pg_terminate_backend($1)', [backend?.pid]);
    await until(() => runner.isReleased);
    expect(await runner.commitTransaction().catch(meaningOf)).toBeInstanceOf(Unavailable);
  });

  it('is unavailable to those who ask on the old connections, and there again for the next', async () => {
    const offsets = new PostgresOffsets(source);
    const ask = () => offsets.load('here', 'redress', 'refunds.commands.v1', [0]);
    await Promise.all([ask(), ask()]);
    way.lose();
    for (const asked of await Promise.allSettled([ask(), ask()])) {
      expect(asked).toMatchObject({ status: 'rejected', reason: expect.any(Unavailable) });
    }
    expect([...(await ask())]).toEqual([[0, null]]);
  });

  it('is listened to again, and a quiet one stays connected', async () => {
    const listening = new PostgresWake(way.url, silenceMs);
    const ringing = new PostgresWake(database.url);
    await Promise.all([listening.start(), ringing.start()]);
    const connections = async () =>
      (await source.query(`
        select pid from pg_stat_activity where application_name = 'redress wake' and datname = current_database() order by pid`)) as unknown[];
    const before = await connections();
    await new Promise((wake) => setTimeout(wake, 3 * silenceMs));
    expect(await connections()).toEqual(before);

    way.lose();
    let rings = 0;
    listening.on('deliveries', () => (rings += 1));
    // Once when it listens again, for what it missed; then as somebody rings.
    await until(() => rings > 0);
    const missed = rings;
    ringing.ring('deliveries');
    await until(() => rings > missed);
    await Promise.all([listening.stop(), ringing.stop()]);
  });
});

/** A way to a server, on which connections can be lost without either end hearing of it. */
class Way {
  private readonly ends: Socket[] = [];
  private constructor(
    private readonly server: Server,
    readonly url: string,
  ) {}

  static async to(url: string): Promise<Way> {
    const { hostname, port } = new URL(url);
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const over = new URL(url);
    over.port = String((server.address() as AddressInfo).port);
    const way = new Way(server, over.href);
    server.on('connection', (from) => {
      const to = connect(Number(port), hostname);
      way.ends.push(from, to);
      from.pipe(to).pipe(from);
      for (const end of [from, to]) end.on('error', () => undefined);
      from.on('close', () => to.destroy());
      to.on('close', () => from.destroy());
    });
    return way;
  }

  /** What is open now carries nothing any more; new connections do. */
  lose(): void {
    for (const end of this.ends.splice(0)) end.unpipe().pause();
  }

  close(): void {
    for (const end of this.ends) end.destroy();
    this.server.close();
  }
}

async function until(isSo: () => boolean): Promise<void> {
  for (const end = Date.now() + 20_000; !isSo(); await new Promise((wake) => setTimeout(wake, 20))) {
    if (Date.now() > end) throw new Error('it did not come to that');
  }
}
