import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import type { DataSource } from 'typeorm';
import { Fenced, Unavailable } from '#application/errors';
import type { PartitionMark } from '#application/event-log';
import { commandId } from '#application/names';
import { Providers } from '#application/providers';
import { RefundCommands, type ReceivedCommand } from '#application/refund-commands';
import { dataSource } from '#persistence/database';
import { PostgresBook } from '#persistence/postgres-book';
import { PostgresOffsets } from '#persistence/postgres-log';
import { describeWithDatabase, freshDatabase, type FreshDatabase } from '../../../test/environment.js';

import { ScriptedProvider } from '../../../test/fakes/scripted-provider.js';
import { Unheard } from '../../../test/running-api.js';

/** A way to a database on which the answer to a commit can get lost. */
class Way {
  private loses = false;

  private constructor(
    readonly url: string,
    private readonly server: Server,
  ) {}

  static async to(target: string): Promise<Way> {
    const { hostname, port } = new URL(target);
    const server = createServer();
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
    const url = new URL(target);
    url.hostname = '127.0.0.1';
    url.port = String((server.address() as AddressInfo).port);
    const way = new Way(url.href, server);
    server.on('connection', (near) => way.join(near, connect(Number(port), hostname)));
    return way;
  }

  /** The next commit is carried out, and nobody hears of it. */
  loseTheNextCommit(): void {
    this.loses = true;
  }

  close(): void {
    this.server.close();
  }

  private join(near: Socket, far: Socket): void {
    let isLost = false;
    near.on('data', (sent) => {
      isLost ||= this.loses && sent.toString('latin1').includes('COMMIT');
      if (isLost) this.loses = false;
      far.write(sent);
    });
    // What the database answers now says that it has committed.
    far.on('data', (answer) => void (isLost ? near.destroy() : near.write(answer)));
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      one.on('error', () => other.destroy());
      one.on('close', () => other.destroy());
    }
  }
}

describeWithDatabase('A commit whose answer is lost', () => {
  let database: FreshDatabase;
  let way: Way;
  let source: DataSource;
  beforeAll(async () => {
    database = await freshDatabase();
    way = await Way.to(database.url);
    source = await dataSource({ url: way.url, connections: 2 }).initialize();
  });
  afterAll(async () => {
    await source.destroy();
    way.close();
    await database.drop();
  });

  it('counts as a database that is away; what comes again is known, and its partition stands behind it (F3)', async () => {
    const commands = new RefundCommands(
      new PostgresBook(source, new Unheard()),
      new Providers([new ScriptedProvider()], [], []),
      {
        factsMaxAgeMs: 60_000,
      },
    );
    const at = { cluster: 'default', group: 'redress', topic: 'refunds.commands.v1', partition: 0 };
    const mark: PartitionMark = { ...at, expected: null, next: 3n };
    const batch = [1, 2, 3].map((number): ReceivedCommand => {
      const key = `c-${number}`;
      const uuid = commandId('default', 'kafka', 'spec', key);
      const sent = { account: 'default', door: 'kafka', source: 'spec', key, correlationId: null, traceparent: null } as const;
      const body = { account: 'default', provider: 'stripe', paymentId: `pi_${number}`, amount: 500, currency: 'USD' } as const;
      return { ...sent, uuid, type: 'redress.RequestRefund.v1', body };
    });

    way.loseTheNextCommit();
    await expect(commands.decide(batch, mark)).rejects.toThrow(Unavailable);
    await expect(commands.decide(batch, mark)).rejects.toThrow(Fenced);
    const stored = await new PostgresOffsets(source).load(at.cluster, at.group, at.topic, [0]);
    expect(stored.get(0)).toBe(3n);

    await commands.decide(batch, { ...mark, expected: 3n, next: 6n });
    expect(await source.query('select count(*)::int as refunds from refund')).toEqual([{ refunds: 3 }]);
    const outcomes = "select count(*)::int as told from event where type like 'redress.command.%'";
    expect(await source.query(outcomes)).toEqual([{ told: 0 }]);
  });
});
