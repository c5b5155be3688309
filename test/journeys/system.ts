/*
 * All of Redress as real processes, for stories that go through it: a PostgreSQL database and a Kafka broker of its own, the simulators,
 * the api and a worker. Its folder and everything that runs are gone when it stops.
 */
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { Kafka, logLevel, type IHeaders, type KafkaMessage } from 'kafkajs';
import pg from 'pg';
import type { Refund } from '#contracts/refund-events';
import { mendKafkaJs } from '#messaging/kafkajs-mends';
import { lastLines, portFor, run, startChild, type Child, type Ending } from '../../scripts/child.js';
import { startKafka, type Kafka as KafkaServer } from '../../scripts/kafka.js';
import { startPostgres, type Postgres } from '../../scripts/postgres.js';
import { freshDatabase } from '../environment.js';

/** An HTTP answer, read. */
export interface Answer<T = unknown> {
  readonly status: number;
  readonly headers: Headers;
  readonly body: T;
}

export interface BookedRefund {
  readonly id: string;
  readonly amount: number;
  readonly status: string;
  readonly idempotencyKey: string | null;
  readonly metadata: Readonly<Record<string, string>>;
}

export interface Books {
  readonly payments: readonly {
    provider: string;
    paymentId: string;
    chargeId?: string;
    amount: number;
    refunds: readonly BookedRefund[];
  }[];
}

/** A record as a consumer sees it. */
export interface Seen {
  readonly topic: string;
  readonly partition: number;
  readonly key: string | null;
  readonly headers: Readonly<Record<string, string>>;
  readonly value: string;
  /** The value, where it is JSON. */
  readonly data: Readonly<Record<string, unknown>>;
  /** As it came. */
  readonly message: KafkaMessage;
}

export interface SystemOptions {
  readonly workers?: number;
  /** A PostgreSQL server of its own, which can be stopped; else a database on the shared one. */
  readonly ownPostgres?: boolean;
  readonly env?: Readonly<Record<string, string>>;
}

/** What the system runs on, as long as it runs. */
interface Servers {
  kafka: KafkaServer;
  postgres: Postgres | null;
}

export class System {
  private readonly parts = new Map<string, Child>();

  private constructor(
    readonly folder: string,
    readonly api: string,
    readonly simulators: string,
    readonly brokers: string,
    readonly database: string,
    private readonly env: NodeJS.ProcessEnv,
    readonly adminKey: string,
    private readonly ends: (() => Promise<unknown>)[],
    private readonly workers: number,
    private readonly servers: Servers,
  ) {}

  static async start({ workers = 1, ownPostgres = false, env = {} }: SystemOptions = {}): Promise<System> {
    const folder = mkdtempSync(join(tmpdir(), 'redress-journey-'));
    chmodSync(folder, 0o755);
    const ends: (() => Promise<unknown>)[] = [];
    const [postgres, kafka] = await Promise.all([
      ownPostgres ? startPostgres({ dir: join(folder, 'postgres') }) : null,
      startKafka({ dir: join(folder, 'kafka'), throwaway: true }),
    ]);
    if ('missing' in kafka) throw new Error(`no Kafka for this story: ${kafka.missing}`);
    const servers: Servers = { kafka, postgres };
    ends.push(
      () => servers.postgres?.stop() ?? Promise.resolve(),
      () => servers.kafka.stop(),
    );
    const database = postgres === null ? await freshDatabase() : await migrated(postgres.url);
    ends.push(() => database.drop());
    const [port, simulatorsPort] = [await portFor('PORT', 0), await portFor('SIMULATORS_PORT', 0)];
    const api = `http://127.0.0.1:${port}`;
    const simulators = `http://127.0.0.1:${simulatorsPort}`;
    const adminKey = randomUUID();
    const accounts = {
      STRIPE_API_KEY: 'sk_test_simulated',
      STRIPE_WEBHOOK_SECRET: 'whsec_simulated',
      STRIPE_API_BASE: `${simulators}/stripe`,
      ZAMP_MERCHANT_ID: 'merchant_simulated',
      ZAMP_API_KEY: 'zamp_key_simulated',
      ZAMP_SECRET: 'zamp_secret_simulated',
      ZAMP_API_BASE: `${simulators}/zamp`,
      ZAMP_WEBHOOK_ADDRESSES: '127.0.0.1',
    };
    // Nothing holds the workers back, nor the simulators: a story about limits sets both.
    const unlimited = {
      STRIPE_CALLS_PER_SECOND: '100000',
      STRIPE_CALLS_PER_SECOND_AND_ENDPOINT: '100000',
      ZAMP_CALLS_PER_SECOND: '100000',
      ZAMP_CALLS_PER_SECOND_AND_ENDPOINT: '100000',
    };
    const all = {
      PATH: process.env['PATH'],
      HOME: process.env['HOME'],
      ...accounts,
      ...unlimited,
      DATABASE_URL: database.url,
      KAFKA_BROKERS: kafka.brokers,
      PORT: String(port),
      SIMULATORS_PORT: String(simulatorsPort),
      ADMIN_KEY: adminKey,
      REDRESS_DIR: folder,
      MOVABLE_CLOCK: 'true',
      WEBHOOK_TARGET: api,
      CLOCK_TARGET: `${api}/control/clock`,
      CLOCK_KEY: adminKey,
      ...env,
    };
    const system = new System(folder, api, simulators, kafka.brokers, database.url, all, adminKey, ends, workers, servers);
    try {
      await system.startParts();
    } catch (error) {
      await system.stop();
      throw error;
    }
    return system;
  }

  /** The api, the workers and the simulators; again after `stopParts`. */
  async startParts(withWorkers = true): Promise<void> {
    this.startPart('simulators');
    this.startPart('api');
    for (let worker = 1; withWorkers && worker <= this.workers; worker += 1) this.startPart('worker', worker);
    await this.until('the api is ready', async () => (await fetch(`${this.api}/health/ready`).catch(() => null))?.status === 200);
    await this.until(
      'the simulators answer',
      async () => (await fetch(`${this.simulators}/control/books`).catch(() => null))?.status === 200,
    );
  }

  startPart(name: 'api' | 'worker' | 'simulators', number = 1, more: NodeJS.ProcessEnv = {}): void {
    const log = join(this.folder, `${name}-${number}.log`);
    const data = name === 'simulators' ? { SIMULATORS_DATA: join(this.folder, 'simulators.json') } : {};
    const env = { ...this.env, ...data, ...more };
    this.parts.set(`${name}-${number}`, startChild(process.execPath, [`dist/apps/${name}/src/main.js`], { log, env }));
  }

  /** Stops the service and the simulators with SIGTERM; the database and Kafka stay. */
  async stopParts(): Promise<void> {
    const stopping = [...this.parts.values()].map((part) => part.stop(20_000));
    this.parts.clear();
    await Promise.all(stopping);
  }

  /** Ends one part and waits until it has: `worker-1`, `api-1`. */
  async endPart(name: string, signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    const part = this.parts.get(name);
    if (part === undefined) throw new Error(`${name} does not run`);
    this.parts.delete(name);
    if (signal === 'SIGTERM') await part.stop(20_000);
    else {
      process.kill(part.pid, signal);
      await part.ended;
    }
  }

  /** Keeps a copy of the database as it is. The parts must be stopped. */
  async snapshot(): Promise<void> {
    const { pathname } = new URL(this.database);
    const copy = `${pathname.slice(1)}_copy`;
    await this.onServer(`create database ${copy} template ${pathname.slice(1)} strategy file_copy`);
    this.ends.push(() => this.onServer(`drop database ${copy} with (force)`));
  }

  /** Puts the database back to its copy; only time goes on. The parts must be stopped. */
  async restore(): Promise<void> {
    const name = new URL(this.database).pathname.slice(1);
    const [clock] = await this.query<{ advanced: string }>('select advanced::text from clock');
    await this.onServer(`drop database ${name} with (force)`);
    await this.onServer(`create database ${name} template ${name}_copy strategy file_copy`);
    await this.query('update clock set advanced = $1::interval', [clock?.advanced]);
  }

  /** Has the commands that are on Kafka passed over. The workers must be stopped. */
  async skipCommands(): Promise<void> {
    const admin = this.kafka().admin();
    await admin.connect();
    try {
      for (const { partition, offset } of await admin.fetchTopicOffsets('refunds.commands.v1')) {
        await this.query(
          `insert into partition_offset values ('default', 'redress', 'refunds.commands.v1', $1, $2)
           on conflict (cluster, group_id, topic, partition) do update set next_offset = excluded.next_offset`,
          [partition, offset],
        );
      }
    } finally {
      await admin.disconnect();
    }
  }

  /** Has Kafka forget how far the workers had stored their commands. The workers must be stopped. */
  async forgetGroup(): Promise<void> {
    const admin = this.kafka().admin();
    await admin.connect();
    try {
      await admin.deleteGroups(['redress']);
    } finally {
      await admin.disconnect();
    }
  }

  /** Moves the one clock ahead, the service's and the simulators'. */
  async pass(seconds: number): Promise<void> {
    await this.control('clock', { advanceSeconds: seconds });
  }

  async stop(): Promise<void> {
    await this.stopParts();
    for (const end of this.ends.toReversed()) await end();
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** What a part logged last, for the message of a test that fails. */
  log(name: string, lines = 20): string {
    return lastLines(join(this.folder, `${name}.log`), lines);
  }

  async call<T = unknown>(
    method: string,
    path: string,
    body?: unknown,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<Answer<T>> {
    const answer = await fetch(`${this.api}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${this.adminKey}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    return { status: answer.status, headers: answer.headers, body: (await answer.json()) as T };
  }

  /** Asks for a refund over HTTP, under a key of its own unless one is given. */
  refund(body: object, key: string = randomUUID()): Promise<Answer<Refund>> {
    return this.call<Refund>('POST', '/v1/refunds', body, { 'idempotency-key': key });
  }

  async refundOf(id: string): Promise<Refund> {
    return (await this.call<Refund>('GET', `/v1/refunds/${id}`)).body;
  }

  /** A refund once it stands somewhere in particular. */
  async refundThatIs(status: string, id: string): Promise<Refund> {
    let last: Refund | undefined;
    await this.until(`refund ${id} is ${status}`, async () => (last = await this.refundOf(id)).status === status);
    if (last === undefined) throw new Error(`refund ${id} was never read`);
    return last;
  }

  /** A payment at a simulator. */
  async pay(payment: object): Promise<{ paymentId: string; chargeId: string }> {
    return (await this.control('payments', { currency: 'USD', ...payment })) as { paymentId: string; chargeId: string };
  }

  async control(call: string, body: object): Promise<unknown> {
    const answer = await fetch(`${this.simulators}/control/${call}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    const read: unknown = await answer.json();
    if (!answer.ok) throw new Error(`the simulators refused ${call}: ${JSON.stringify(read)}`);
    return read;
  }

  async books(): Promise<Books> {
    return (await (await fetch(`${this.simulators}/control/books`)).json()) as Books;
  }

  query<T extends pg.QueryResultRow>(statement: string, parameters: unknown[] = []): Promise<T[]> {
    return this.session((client) => client.query<T>(statement, parameters).then(({ rows }) => rows));
  }

  /** Work on a connection of its own. */
  async session<T>(work: (client: pg.Client) => Promise<T>, url: string = this.database): Promise<T> {
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    try {
      return await work(client);
    } finally {
      await client.end();
    }
  }

  private async onServer(statement: string): Promise<void> {
    const url = new URL(this.database);
    url.pathname = '/postgres';
    await this.session((client) => client.query(statement), url.href);
  }

  kafka(): Kafka {
    mendKafkaJs();
    return new Kafka({ brokers: this.brokers.split(','), clientId: 'journey', logLevel: logLevel.NOTHING });
  }

  /** Sends commands as another service would: CloudEvents in binary mode. */
  async send(
    commands: readonly { id: string; data: object; key?: string; type?: string; sentAt?: Date }[],
    topic = 'refunds.commands.v1',
  ): Promise<void> {
    const producer = this.kafka().producer();
    await producer.connect();
    try {
      for (let at = 0; at < commands.length; at += 1_000) {
        const messages = commands.slice(at, at + 1_000).map(({ id, data, key = id, type = 'RequestRefund', sentAt }) => ({
          key,
          ...(sentAt === undefined ? {} : { timestamp: String(sentAt.getTime()) }),
          value: JSON.stringify(data),
          headers: {
            ce_specversion: '1.0',
            ce_id: id,
            ce_source: '/journey',
            ce_type: `redress.${type}.v1`,
            'content-type': 'application/json',
          },
        }));
        await producer.send({ topic, acks: -1, messages });
      }
    } finally {
      await producer.disconnect();
    }
  }

  /** Everything on some topics from their beginning, until `enough` says so. */
  async seen(topics: readonly string[], enough: (seen: readonly Seen[]) => boolean, withinMs = 60_000): Promise<Seen[]> {
    const consumer = this.kafka().consumer({ groupId: `journey-${randomUUID()}`, maxWaitTimeInMs: 200 });
    const seen: Seen[] = [];
    await consumer.connect();
    try {
      // A worker that has just started is still making its topics.
      const subscribed = () =>
        consumer.subscribe({ topics: [...topics], fromBeginning: true }).then(
          () => true,
          () => false,
        );
      await this.until(`${topics.join(', ')} are there`, subscribed);
      await consumer.run({
        eachBatchAutoResolve: true,
        eachBatch: ({ batch }) => {
          for (const message of batch.messages) seen.push(read(batch.topic, batch.partition, message));
          return Promise.resolve();
        },
      });
      await this.until('enough was seen on Kafka', () => Promise.resolve(enough(seen)), withinMs);
      return seen;
    } finally {
      await consumer.disconnect();
    }
  }

  /** Kafka's own command-line programs, as `npm run kafka` starts them; what they print. */
  async kafkaTool(name: string, options: readonly string[], input = ''): Promise<string> {
    const env = { ...this.env, KAFKA_BROKERS: this.brokers };
    const tool = spawn(process.execPath, ['dist/scripts/kafka-tool.js', name, ...options], {
      env,
      stdio: ['pipe', 'pipe', 'ignore'],
    });
    tool.stdin.end(input);
    return text(tool.stdout);
  }

  /** A part stands still, as with its machine or in a long pause, and its connections stay open. */
  freeze(name: string): void {
    process.kill(this.part(name).pid, 'SIGSTOP');
  }

  thaw(name: string): void {
    process.kill(this.part(name).pid, 'SIGCONT');
  }

  /** Tells a part to end, as whoever runs it does, and waits as long as that does; how it ended. */
  async tellToEnd(name: string): Promise<Ending> {
    const ending = await this.part(name).stop(30_000);
    this.parts.delete(name);
    return ending;
  }

  async stopPostgres(): Promise<void> {
    await this.servers.postgres?.stop();
  }

  /** On the same data and port. */
  async startPostgres(): Promise<void> {
    const { port } = new URL(this.database);
    this.servers.postgres = await startPostgres({ dir: join(this.folder, 'postgres'), port: Number(port) });
  }

  /** Kills the broker. */
  async stopKafka(): Promise<void> {
    await this.servers.kafka.stop();
  }

  /** On the same data and port. */
  async startKafka(): Promise<void> {
    const port = Number(this.brokers.split(':')[1]);
    const kafka = await startKafka({ dir: join(this.folder, 'kafka'), port, throwaway: true });
    if ('missing' in kafka) throw new Error(`Kafka was there and is not: ${kafka.missing}`);
    this.servers.kafka = kafka;
  }

  runs(name: string): boolean {
    return this.parts.has(name);
  }

  private part(name: string): Child {
    const part = this.parts.get(name);
    if (part === undefined) throw new Error(`${name} does not run`);
    return part;
  }

  async until(what: string, holds: () => Promise<boolean>, withinMs = 60_000): Promise<void> {
    for (const end = Date.now() + withinMs; Date.now() < end; await sleep(100)) {
      if (await holds()) return;
    }
    const logs = [...this.parts.keys()].map((name) => `--- ${name}\n${this.log(name)}`).join('\n');
    throw new Error(`waited in vain until ${what}\n${logs}`);
  }
}

async function migrated(url: string): Promise<{ url: string; drop: () => Promise<void> }> {
  const { code, stdout, stderr } = await run(process.execPath, ['dist/apps/worker/src/migrate.js'], {
    env: { ...process.env, DATABASE_URL: url },
  });
  if (code !== 0) throw new Error(`the migrations do not run:\n${stdout}${stderr}`);
  return { url, drop: () => Promise.resolve() };
}

function read(topic: string, partition: number, message: KafkaMessage): Seen {
  const value = message.value?.toString() ?? '';
  return {
    topic,
    partition,
    key: message.key?.toString() ?? null,
    headers: texts(message.headers ?? {}),
    value,
    data: parsed(value),
    message,
  };
}

function texts(headers: IHeaders): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, String(value)]));
}

function parsed(value: string): Record<string, unknown> {
  try {
    return JSON.parse(value) as Record<string, unknown>;
  } catch {
    return {};
  }
}
