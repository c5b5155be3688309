/*
 * npm start: all of Redress on one machine, with no account and nothing to configure.
 *
 * PostgreSQL, then Kafka where one can be had, then the migrations, the simulators, the api and the worker; sample payments at the
 * simulators; then addresses, a key and three commands to try. Each part runs in a process group of its own, so that Ctrl-C reaches only
 * this process, and we end them in order: first what works, then what it works on. When a part ends by itself, all end, with its last words.
 */
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { join, relative, resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { type Child, inOneLine, lastLines, Obstacle, portFor, run, running, startChild } from './child.js';
import { startKafka } from './kafka.js';
import { startPostgres } from './postgres.js';

if (existsSync('.env')) process.loadEnvFile('.env');
const dir = resolve(setting('REDRESS_DIR') ?? '.redress');

/** How to end it all, the last started first. */
const ends: (() => Promise<unknown>)[] = [];
let ending = false;

const interrupted = Promise.withResolvers<undefined>();
const broken = Promise.withResolvers<never>();
let firstSignal = 0;
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, onSignal);

let exitCode = 0;
try {
  await Promise.race([interrupted.promise, broken.promise, startAll().then(() => interrupted.promise)]);
} catch (error) {
  console.error(`\n${inOneLine(error)}`);
  exitCode = 1;
}
ending = true;
for (const end of ends.toReversed()) await end();
await Promise.all([...running].map((child) => child.stop(1000))); // What was still coming up.
process.exit(exitCode);

async function startAll(): Promise<void> {
  try {
    mkdirSync(join(dir, 'logs'), { recursive: true });
  } catch (error) {
    throw new Obstacle(
      `${dir} cannot be made: set REDRESS_DIR to a folder that can (${Error.isError(error) ? error.message : String(error)})`,
    );
  }
  await lock();
  const port = await portFor('PORT', portSetting('PORT', 3000));
  const simulated = simulatedProviders();
  const simulatorsPort =
    simulated.length > 0 ? await portFor('SIMULATORS_PORT', portSetting('SIMULATORS_PORT', 4010)) : undefined;

  const database = await databaseUrl();
  const brokers = await kafkaBrokers();
  const adminKey = setting('ADMIN_KEY') ?? keptAdminKey();
  const service = {
    ...process.env,
    ...(simulatorsPort === undefined ? {} : simulatedAccounts(simulated, simulatorsPort)),
    DATABASE_URL: database,
    KAFKA_BROKERS: brokers,
    PORT: String(port),
    ADMIN_KEY: adminKey,
  };
  await migrate(service);

  const api = `http://127.0.0.1:${port}`;
  const simulators = simulatorsPort === undefined ? undefined : `http://127.0.0.1:${simulatorsPort}`;
  if (simulators !== undefined) {
    const clock = { CLOCK_TARGET: `${api}/control/clock`, CLOCK_KEY: adminKey, SIMULATORS_DATA: join(dir, 'simulators.json') };
    const part = startPart('simulators', { ...service, ...clock, SIMULATORS_PORT: String(simulatorsPort), WEBHOOK_TARGET: api });
    await atEnd(() => part.stop(5_000));
  }
  const parts = [startPart('api', service), startPart('worker', service)];
  await atEnd(() => Promise.all(parts.map((part) => part.stop(30_000))));
  if (simulators !== undefined) await answersOk(`${simulators}/control/books`);
  await answersOk(`${api}/health/ready`);
  const samples = simulators === undefined ? {} : await samplePayments(simulators, simulated);
  tell({ api, simulators, database, brokers, samples });
  void tellEvents(api, adminKey);
}

/** A variable with nothing in it is as good as none: `.env.example` has many of those. */
function setting(name: string): string | undefined {
  const value = process.env[name]?.trim();
  return value === '' ? undefined : value;
}

function portSetting(name: string, otherwise: number): number {
  const port = Number(setting(name) ?? otherwise);
  if (Number.isInteger(port) && port >= 0 && port < 65_536) return port;
  throw new Obstacle(`${name} should be a port from 0 (any free one) to 65535, not ${setting(name) ?? ''}`);
}

/**
 * One start per data folder. The lock is the port of a socket that answers with the folder's name: it ends with its process, while a
 * process id that was written down may be another's by now.
 */
async function lock(): Promise<void> {
  const file = join(dir, 'lock');
  const holder = existsSync(file) ? await answerOf(Number(readFileSync(file, 'utf8'))) : '';
  if (holder === dir) throw new Obstacle(`another npm start is running on ${dir}: stop it, or set REDRESS_DIR to another folder`);
  const server = createServer((socket) => socket.on('error', () => undefined).end(dir));
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const address = server.address();
  writeFileSync(file, typeof address === 'object' && address !== null ? String(address.port) : '');
  ends.push(() => Promise.resolve(rmSync(file, { force: true })));
}

async function answerOf(port: number): Promise<string> {
  if (!Number.isInteger(port) || port < 1 || port > 65_535) return '';
  const socket = connect(port, '127.0.0.1');
  socket.setTimeout(1000, () => socket.destroy());
  return text(socket).catch(() => '');
}

/** Registers how a part ends; one that came up while we were already ending is ended at once. */
async function atEnd(end: () => Promise<unknown>): Promise<void> {
  if (ending) await end();
  ends.push(end);
}

async function databaseUrl(): Promise<string> {
  const given = setting('DATABASE_URL');
  if (given !== undefined) return given;
  console.log('Starting PostgreSQL ...');
  const postgres = await startPostgres({ dir: join(dir, 'postgres'), port: portSetting('POSTGRES_PORT', 0) });
  await atEnd(() => postgres.stop());
  const client = new Client({ connectionString: postgres.url });
  await client.connect();
  const { rowCount } = await client.query("select from pg_database where datname = 'redress'");
  if (rowCount === 0) await client.query('create database redress');
  await client.end();
  const url = new URL(postgres.url);
  url.pathname = '/redress';
  return url.href;
}

/** The brokers, or nothing where no Kafka can be had: then Redress runs with HTTP alone. */
async function kafkaBrokers(): Promise<string> {
  const given = setting('KAFKA_BROKERS');
  if (given !== undefined) return given;
  console.log('Starting Kafka ...');
  const kafka = await startKafka({ dir: join(dir, 'kafka'), port: portSetting('KAFKA_PORT', 0) });
  if ('missing' in kafka) {
    console.log(`Running with HTTP alone: ${kafka.missing}`);
    return '';
  }
  await atEnd(() => kafka.stop());
  void kafka.ended.then(({ log }) => broken.reject(new Obstacle(lastWords('Kafka', log))));
  return kafka.brokers;
}

/** Made at the first start and kept, readable by its owner alone. */
function keptAdminKey(): string {
  const file = join(dir, 'admin-key');
  if (!existsSync(file)) writeFileSync(file, `${randomBytes(32).toString('base64url')}\n`, { mode: 0o600 });
  return readFileSync(file, 'utf8').trim();
}

type Provider = 'stripe' | 'zamp';

/** A provider is simulated as long as no account at it is configured. */
function simulatedProviders(): Provider[] {
  if (setting('REDRESS_ACCOUNTS') !== undefined) return [];
  const keys = { stripe: setting('STRIPE_API_KEY'), zamp: setting('ZAMP_API_KEY') };
  return (['stripe', 'zamp'] as const).filter((provider) => keys[provider] === undefined);
}

/** The accounts at the simulators. They hold no money, so they need no secrets. */
function simulatedAccounts(simulated: readonly Provider[], port: number): Record<string, string> {
  const stripe = {
    STRIPE_API_KEY: 'sk_test_simulated',
    STRIPE_WEBHOOK_SECRET: 'whsec_simulated',
    STRIPE_API_BASE: `http://127.0.0.1:${port}/stripe`,
  };
  const zamp = {
    ZAMP_MERCHANT_ID: 'merchant_simulated',
    ZAMP_API_KEY: 'zamp_key_simulated',
    ZAMP_SECRET: 'zamp_secret_simulated',
    ZAMP_API_BASE: `http://127.0.0.1:${port}/zamp`,
    ZAMP_WEBHOOK_ADDRESSES: '127.0.0.1',
  };
  return {
    ...(simulated.includes('stripe') ? stripe : {}),
    ...(simulated.includes('zamp') ? zamp : {}),
    // One clock for simulators and service, which a tester can move. With a real account it stays where it is.
    ...(simulated.length === 2 ? { MOVABLE_CLOCK: 'true' } : {}),
  };
}

async function migrate(env: NodeJS.ProcessEnv): Promise<void> {
  const { code, stdout, stderr } = await run(process.execPath, ['dist/apps/worker/src/migrate.js'], { env });
  if (code !== 0) throw new Obstacle(`the migrations did not run:\n${(stdout + stderr).trim()}`);
}

function startPart(name: string, env: NodeJS.ProcessEnv): Child {
  const log = join(dir, 'logs', `${name}.log`);
  rmSync(log, { force: true });
  const child = startChild(process.execPath, [`dist/apps/${name}/src/main.js`], { log, env });
  void child.ended.then(() => broken.reject(new Obstacle(lastWords(name, log))));
  return child;
}

function lastWords(name: string, log: string): string {
  return `${name} ended by itself. Its last words, from ${relative('', log)}:\n${lastLines(log, 10)}`;
}

async function answersOk(url: string): Promise<void> {
  for (const end = Date.now() + 120_000; Date.now() < end; await sleep(100)) {
    const answer = await fetch(url).catch(() => undefined);
    if (answer?.status === 200) return;
  }
  throw new Obstacle(`${url} did not answer 200 in two minutes; ${relative('', join(dir, 'logs'))} may say why`);
}

/** What there is to try things on, made once per data folder. */
type Samples = Partial<Record<'stripe' | 'stripeSlow' | 'zamp', string>>;

async function samplePayments(simulators: string, simulated: readonly Provider[]): Promise<Samples> {
  const file = join(dir, 'samples.json');
  if (existsSync(file)) return JSON.parse(readFileSync(file, 'utf8')) as Samples;
  const pay = async (payment: object): Promise<string> => {
    const headers = { 'content-type': 'application/json' };
    const answer = await fetch(`${simulators}/control/payments`, { method: 'POST', headers, body: JSON.stringify(payment) });
    if (!answer.ok) throw new Error(`the simulators refused a sample payment: ${await answer.text()}`);
    return ((await answer.json()) as { paymentId: string }).paymentId;
  };
  const stripe = { provider: 'stripe', amount: 100_000, currency: 'USD' };
  const samples: Samples = {
    ...(simulated.includes('stripe')
      ? {
          stripe: await pay({ ...stripe, paymentMethod: 'pm_card_visa' }),
          stripeSlow: await pay({ ...stripe, paymentMethod: 'pm_card_pendingRefund' }),
        }
      : {}),
    ...(simulated.includes('zamp') ? { zamp: await pay({ provider: 'zamp', amount: 100_000, currency: 'AED' }) } : {}),
  };
  writeFileSync(file, JSON.stringify(samples));
  return samples;
}

type Running = {
  readonly api: string;
  readonly simulators: string | undefined;
  readonly database: string;
  readonly brokers: string;
  readonly samples: Samples;
};

/** Exactly three commands, which work as they are printed. */
function tell({ api, simulators, database, brokers, samples }: Running): void {
  const folder = setting('REDRESS_DIR');
  const keyFile = join(relative('', dir), 'admin-key');
  const key = setting('ADMIN_KEY') === undefined ? `$(cat ${keyFile})` : '$ADMIN_KEY';
  const today = Date.now().toString(36); // Another start, another refund; the same line twice, the same refund.
  const refund = (provider: Provider, paymentId: string, amount: number, currency: string) =>
    JSON.stringify({ provider, paymentId, amount, currency });
  const post = (body: string, name: string) =>
    `curl -sS ${api}/v1/refunds -H "authorization: Bearer ${key}" -H 'content-type: application/json' -H 'idempotency-key: ${name}-${today}' -d '${body}'`;
  const headers = `ce_specversion:1.0,ce_id:${today},ce_source:/terminal,ce_type:redress.RequestRefund.v1,content-type:application/json`;
  // Another terminal knows nothing of what was set in this one.
  const given = setting('KAFKA_BROKERS') === undefined ? undefined : `KAFKA_BROKERS='${brokers}' `;
  const where = given ?? (folder === undefined ? '' : `REDRESS_DIR='${folder}' `);
  const paymentId = samples.stripe ?? 'pi_of_yours';
  const overKafka = `printf '%s\\t%s\\t%s\\n' '${headers}' '${paymentId}' '${refund('stripe', paymentId, 500, 'USD')}' |
    ${where}npm run --silent kafka -- console-producer --topic refunds.commands.v1 --reader-property parse.key=true --reader-property parse.headers=true`;
  const feed = `curl -sS "${api}/v1/events?limit=20" -H "authorization: Bearer ${key}"`;

  console.log(`
Redress is ready.

  api          ${api}   (docs at ${api}/docs)
  simulators   ${simulators ?? 'none: both providers are configured'}
  PostgreSQL   ${database}
  Kafka        ${brokers === '' ? 'none' : brokers}
  admin key    ${setting('ADMIN_KEY') === undefined ? `${keptAdminKey()}   (kept in ${keyFile})` : 'as in ADMIN_KEY'}
  logs         ${join(relative('', dir), 'logs')}

Try, in another terminal:

  1. A refund through Stripe, which takes a moment to succeed:
  ${post(refund('stripe', samples.stripeSlow ?? 'pi_of_yours', 1050, 'USD'), 'stripe')}

  2. A refund through Zamp:
  ${post(refund('zamp', samples.zamp ?? 'session_of_yours', 1999, 'AED'), 'zamp')}

  3. ${brokers === '' ? 'What happened so far:' : 'A refund asked for over Kafka:'}
  ${brokers === '' ? feed : overKafka}

Ctrl-C stops everything; the data stays in ${relative('', dir)}.
`);
}

/** A line for each event from now on, so that one sees a refund go its way. A stream that breaks is taken up where it broke. */
async function tellEvents(api: string, adminKey: string): Promise<void> {
  const since = new Date();
  let lastId: string | undefined;
  for (; !ending; await sleep(1000)) {
    const headers = { authorization: `Bearer ${adminKey}`, ...(lastId === undefined ? {} : { 'last-event-id': lastId }) };
    try {
      const { body } = await fetch(`${api}/v1/events/stream`, { headers });
      let rest = '';
      for await (const part of body?.pipeThrough(new TextDecoderStream()) ?? []) {
        const lines = (rest + part).split('\n');
        rest = lines.pop() ?? '';
        for (const line of lines) {
          if (line.startsWith('id:')) lastId = line.slice(3).trim();
          if (line.startsWith('data:')) tellEvent(JSON.parse(line.slice(5)) as EventInFeed, since);
        }
      }
    } catch {
      continue; // The api may be restarting; if it ended, that is told elsewhere.
    }
  }
}

type EventInFeed = {
  readonly type: string;
  readonly time: string;
  readonly subject: string;
  readonly data?: { readonly refund?: { readonly amount: number | null; readonly currency: string | null } };
};

function tellEvent({ type, time, subject, data }: EventInFeed, since: Date): void {
  if (new Date(time) < since) return;
  const money = data?.refund?.amount == null ? '' : `  ${data.refund.amount} ${data.refund.currency ?? ''} in minor units`;
  console.log(`${time.slice(11, 19)}  ${type.replace(/^redress[.]|[.]v1$/g, '').padEnd(24)} ${subject}${money}`);
}

function onSignal(): void {
  if (firstSignal === 0) {
    firstSignal = Date.now();
    console.log('\nStopping (Ctrl-C again to hurry) ...');
    interrupted.resolve(undefined);
  } else if (Date.now() - firstSignal > 1000) {
    // Sooner it is npm, handing on the signal that the terminal has already sent to all of us.
    for (const child of running) void child.stop(0);
  }
}
