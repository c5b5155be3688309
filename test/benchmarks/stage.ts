/*
 * What benchmarks run on: a PostgreSQL that flushes to disk as in production, and a Kafka broker, both of their own and gone afterwards. Each
 * round gets a migrated database with nothing in it.
 */
import { chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Kafka, logLevel } from 'kafkajs';
import pg from 'pg';
import { mendKafkaJs } from '#messaging/kafkajs-mends';
import { migrate } from '#persistence/migrate';
import { type Child, lastLines, Obstacle, startChild } from '../../scripts/child.js';
import { startKafka } from '../../scripts/kafka.js';
import { startPostgres } from '../../scripts/postgres.js';

/** A database of one round; its connection is ours alone, for looking. */
export interface RoundDatabase {
  readonly url: string;
  readonly client: pg.Client;
  drop(): Promise<void>;
}

export class Stage {
  private count = 0;

  private constructor(
    readonly folder: string,
    readonly brokers: string,
    private readonly serverUrl: string,
    private readonly ends: readonly (() => Promise<void>)[],
  ) {}

  static async start(): Promise<Stage> {
    const folder = mkdtempSync(join(tmpdir(), 'redress-bench-'));
    chmodSync(folder, 0o755); // Root's PostgreSQL runs as another user.
    const remove = () => Promise.resolve(rmSync(folder, { recursive: true, force: true }));
    const [postgres, kafka] = await Promise.allSettled([
      startPostgres({ dir: join(folder, 'postgres') }),
      startKafka({ dir: join(folder, 'kafka') }),
    ]);
    const ends = [
      ...[postgres, kafka].flatMap((part) =>
        part.status === 'fulfilled' && 'stop' in part.value ? [part.value.stop.bind(part.value)] : [],
      ),
      remove,
    ];
    const stop = async () => {
      for (const end of ends) await end();
    };
    if (postgres.status === 'rejected' || kafka.status === 'rejected' || 'missing' in kafka.value) {
      await stop();
      if (postgres.status === 'rejected') throw postgres.reason;
      if (kafka.status === 'rejected') throw kafka.reason;
      throw new Obstacle('missing' in kafka.value ? kafka.value.missing : 'no Kafka here');
    }
    return new Stage(folder, kafka.value.brokers, postgres.value.url, ends);
  }

  async stop(): Promise<void> {
    for (const end of this.ends) await end();
  }

  async database(): Promise<RoundDatabase> {
    const name = `round_${++this.count}`;
    await this.onServer(`create database ${name}`);
    const url = new URL(this.serverUrl);
    url.pathname = `/${name}`;
    await migrate(url.href, () => undefined);
    const client = new pg.Client({ connectionString: url.href, application_name: 'benchmark' });
    client.on('error', () => undefined); // The server may end first; the next query says so.
    await client.connect();
    const drop = async () => {
      await client.end();
      await this.onServer(`drop database ${name} with (force)`);
    };
    return { url: url.href, client, drop };
  }

  /** The process id of the database server. */
  get server(): number {
    return Number.parseInt(readFileSync(join(this.folder, 'postgres', 'postmaster.pid'), 'utf8'), 10);
  }

  kafka(): Kafka {
    mendKafkaJs();
    return new Kafka({ brokers: this.brokers.split(','), clientId: 'benchmark', logLevel: logLevel.NOTHING });
  }

  process(name: string, script: string, env: Readonly<Record<string, string>>): Child {
    const { PATH, HOME, NODE_OPTIONS } = process.env;
    const shared = Object.fromEntries(Object.entries({ PATH, HOME, NODE_OPTIONS }).filter(([, value]) => value !== undefined));
    return startChild(process.execPath, [join('dist', script)], { log: this.log(name), env: { ...shared, ...env } });
  }

  /** Tries until `holds`; with the last words of the process it waits for when that takes too long. */
  async until(what: string, name: string, holds: () => Promise<boolean>, withinMs: number, everyMs = 20): Promise<void> {
    for (const end = Date.now() + withinMs; Date.now() < end; await sleep(everyMs)) if (await holds()) return;
    throw new Error(`waited in vain until ${what}; ${name} said last:\n${lastLines(this.log(name), 20)}`);
  }

  private log(name: string): string {
    return join(this.folder, `${name}.log`);
  }

  private async onServer(statement: string): Promise<void> {
    const client = new pg.Client({ connectionString: this.serverUrl });
    await client.connect();
    try {
      await client.query(statement);
    } finally {
      await client.end();
    }
  }
}
