/*
 * All of Redress as it would run in earnest, on one machine: two apis, three workers, a PostgreSQL, three Kafka brokers, the simulators, and
 * a proxy of ours on every way between them. The simulators are never hurt: their books are the truth that ours are held against.
 */
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { type Child, lastLines, Obstacle, portFor, run, signalTo, startChild } from '../../scripts/child.js';
import { type Kafka, startKafka } from '../../scripts/kafka.js';
import { type Postgres, startPostgres } from '../../scripts/postgres.js';
import { Proxy } from './proxy.js';

export const apis = ['api-1', 'api-2'] as const;
export const workers = ['worker-1', 'worker-2', 'worker-3'] as const;

/** Where things are, past the proxies. */
interface Places {
  readonly database: string;
  readonly brokers: string;
  readonly simulators: string;
  readonly apiPorts: readonly number[];
}

export interface Ways {
  readonly postgres: Proxy;
  readonly kafka: readonly Proxy[];
  readonly providers: Proxy;
  readonly door: Proxy;
}

const adminKey = 'an-admin-key-of-the-chaos-rig';

export class Rig {
  private readonly parts = new Map<string, Child>();
  private readonly down = new Set<string>();
  private stopping = false;
  /** Parts that ended though nobody told them to. */
  /** Parts that ended without being told to, each with its last word. */
  readonly endings: string[] = [];

  private constructor(
    readonly folder: string,
    readonly places: Places,
    readonly ways: Ways,
    readonly kafka: Kafka,
    private postgres: Postgres,
    private readonly env: NodeJS.ProcessEnv,
  ) {}

  static async start(): Promise<Rig> {
    const folder = mkdtempSync(join(tmpdir(), 'redress-chaos-'));
    chmodSync(folder, 0o755);
    const [way, toProviders, door, ...toKafka] = await Promise.all(Array.from({ length: 6 }, () => Proxy.start()));
    if (way === undefined || toProviders === undefined || door === undefined) throw new Error('no proxies');
    const ways: Ways = { postgres: way, kafka: toKafka, providers: toProviders, door };
    const [postgres, kafka] = await Promise.all([
      startPostgres({ dir: join(folder, 'postgres') }),
      startKafka({ dir: join(folder, 'kafka'), brokers: 3, throwaway: true, doors: toKafka.map(({ port }) => port) }),
    ]);
    if ('missing' in kafka || kafka.nodes.length < 3) {
      await postgres.stop();
      throw new Obstacle('missing' in kafka ? kafka.missing : 'three brokers need Java 17+ and Maven');
    }
    const [first, second, ofSimulators] = [
      await portFor('PORT', 0),
      await portFor('PORT', 0),
      await portFor('SIMULATORS_PORT', 0),
    ];
    way.leadTo(Number(new URL(postgres.url).port));
    toProviders.leadTo(ofSimulators);
    door.leadTo(first, second);
    for (const [index, proxy] of toKafka.entries()) proxy.leadTo(Number(kafka.nodes[index]?.address.split(':')[1]));
    const throughProxy = new URL(postgres.url);
    throughProxy.port = String(way.port);
    const provider = `http://127.0.0.1:${toProviders.port}`;
    const doorUrl = `http://127.0.0.1:${door.port}`;
    const env = {
      PATH: process.env['PATH'],
      HOME: process.env['HOME'],
      STRIPE_API_KEY: 'sk_test_simulated',
      STRIPE_WEBHOOK_SECRET: 'whsec_simulated',
      STRIPE_API_BASE: `${provider}/stripe`,
      ZAMP_MERCHANT_ID: 'merchant_simulated',
      ZAMP_API_KEY: 'zamp_key_simulated',
      ZAMP_SECRET: 'zamp_secret_simulated',
      ZAMP_API_BASE: `${provider}/zamp`,
      ZAMP_WEBHOOK_ADDRESSES: '127.0.0.1',
      PROVIDER_CALL_TIMEOUT_SECONDS: '5',
      // A run lives through days: what polls in them must not wait for limits that are made for days.
      STRIPE_CALLS_PER_SECOND: '100',
      STRIPE_CALLS_PER_SECOND_AND_ENDPOINT: '100',
      ZAMP_CALLS_PER_SECOND: '100',
      ZAMP_CALLS_PER_SECOND_AND_ENDPOINT: '100',
      DATABASE_URL: throughProxy.href,
      KAFKA_BROKERS: toKafka.map(({ port }) => `127.0.0.1:${port}`).join(','),
      SIMULATORS_PORT: String(ofSimulators),
      SIMULATORS_DATA: join(folder, 'simulators.json'),
      ADMIN_KEY: adminKey,
      REDRESS_DIR: folder,
      MOVABLE_CLOCK: 'true',
      WEBHOOK_TARGET: doorUrl,
      CLOCK_TARGET: `${doorUrl}/control/clock`,
      CLOCK_KEY: adminKey,
    };
    const places = {
      database: postgres.url,
      brokers: kafka.brokers,
      simulators: `http://127.0.0.1:${ofSimulators}`,
      apiPorts: [first, second],
    };
    const rig = new Rig(folder, places, ways, kafka, postgres, env);
    try {
      const migrated = await run(process.execPath, ['dist/apps/worker/src/migrate.js'], {
        env: { ...process.env, DATABASE_URL: postgres.url },
      });
      if (migrated.code !== 0) throw new Error(`the migrations do not run:\n${migrated.stdout}${migrated.stderr}`);
      rig.startPart('simulators');
      for (const name of [...apis, ...workers]) rig.startPart(name);
      await rig.until('all apis are ready', () => rig.ready(), 120_000);
      await rig.until('the simulators answer', async () => (await rig.books().catch(() => null)) !== null);
    } catch (error) {
      await rig.stop();
      throw error;
    }
    return rig;
  }

  startPart(name: string): void {
    const log = join(this.folder, `${name}.log`);
    const kind = name.split('-')[0] ?? '';
    const port = kind === 'api' ? { PORT: String(this.places.apiPorts[Number(name.split('-')[1]) - 1]) } : {};
    const part = startChild(process.execPath, [`dist/apps/${kind}/src/main.js`], { log, env: { ...this.env, ...port } });
    this.parts.set(name, part);
    void part.ended.then(async () => {
      if (this.parts.get(name) !== part) return;
      this.parts.delete(name);
      if (this.stopping || this.down.has(name)) return;
      this.endings.push(`${name} ended by itself: ${this.log(name, 20)}`);
      await sleep(1_000);
      if (!this.stopping && !this.parts.has(name) && !this.down.has(name)) this.startPart(name);
    });
  }

  /** Ends a part on purpose; it stays down until `startPart`. */
  async endPart(name: string, signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    this.down.add(name);
    const part = this.parts.get(name);
    if (signal === 'SIGTERM') await part?.stop(40_000);
    else if (part !== undefined) {
      signalTo(part.pid, 'SIGKILL');
      await part.ended;
    }
    this.parts.delete(name);
  }

  raise(name: string): void {
    this.down.delete(name);
    if (!this.parts.has(name)) this.startPart(name);
  }

  signal(name: string, signal: 'SIGSTOP' | 'SIGCONT' | 'SIGTERM'): void {
    const part = this.parts.get(name);
    if (part !== undefined) signalTo(part.pid, signal);
  }

  async restartPostgres(downMs: number): Promise<void> {
    await this.postgres.stop();
    await sleep(downMs);
    const { port } = new URL(this.places.database);
    this.postgres = await startPostgres({ dir: join(this.folder, 'postgres'), port: Number(port) });
  }

  async ready(): Promise<boolean> {
    const answers = await Promise.all(
      this.places.apiPorts.map((port) => fetch(`http://127.0.0.1:${port}/health/ready`).catch(() => null)),
    );
    return answers.every((answer) => answer?.status === 200);
  }

  /** Over the door, as callers come; whatever goes wrong on the way throws. */
  async call(
    method: string,
    path: string,
    body?: unknown,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<{ status: number; body: Readonly<Record<string, unknown>>; headers: Headers }> {
    const answer = await fetch(`http://127.0.0.1:${this.ways.door.port}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${adminKey}`,
        connection: 'close',
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      signal: AbortSignal.timeout(15_000),
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    return { status: answer.status, headers: answer.headers, body: (await answer.json()) as Record<string, unknown> };
  }

  async control(call: string, body: object): Promise<Readonly<Record<string, unknown>>> {
    const answer = await fetch(`${this.places.simulators}/control/${call}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    const read = (await answer.json()) as Record<string, unknown>;
    if (!answer.ok) throw new Error(`the simulators refused ${call}: ${JSON.stringify(read)}`);
    return read;
  }

  async books(): Promise<unknown> {
    return (await fetch(`${this.places.simulators}/control/books`)).json();
  }

  async query<T extends pg.QueryResultRow>(statement: string): Promise<T[]> {
    const client = new pg.Client({ connectionString: this.places.database });
    await client.connect();
    try {
      return (await client.query<T>(statement)).rows;
    } finally {
      await client.end();
    }
  }

  log(name: string, lines = 20): string {
    return lastLines(join(this.folder, `${name}.log`), lines);
  }

  async until(what: string, holds: () => Promise<boolean>, withinMs = 60_000): Promise<void> {
    for (const end = Date.now() + withinMs; Date.now() < end; await sleep(250)) if (await holds()) return;
    throw new Error(
      `waited in vain until ${what}\n${[...this.parts.keys()].map((name) => `--- ${name}\n${this.log(name, 8)}`).join('\n')}`,
    );
  }

  async stop({ keep = false } = {}): Promise<void> {
    this.stopping = true;
    for (const [name, part] of this.parts) {
      this.signal(name, 'SIGCONT');
      signalTo(part.pid, 'SIGKILL');
    }
    await Promise.all([...this.parts.values()].map((part) => part.ended));
    await Promise.all([this.kafka.stop(), this.postgres.stop()]);
    await Promise.all([this.ways.postgres, this.ways.providers, this.ways.door, ...this.ways.kafka].map((proxy) => proxy.stop()));
    if (!keep) rmSync(this.folder, { recursive: true, force: true });
  }
}
