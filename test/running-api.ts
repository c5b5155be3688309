/*
 * The api as a process would start it, on a database of its own and with simulators as providers; and the worker's use cases, run by hand, so
 * that a spec says when things move on. Every answer is held to the OpenAPI document that the api itself serves.
 */
import { createHash, createHmac, randomUUID } from 'node:crypto';
import { Ajv2020, type ErrorObject } from 'ajv/dist/2020.js';
import formats from 'ajv-formats';
import type { DataSource } from 'typeorm';
import { HandleDeliveries } from '#application/deliveries';
import { Providers } from '#application/providers';
import { RecordAnswers } from '#application/record-answers';
import { RunOperations } from '#application/run-operations';
import { Wake } from '#application/wake';
import { dataSource } from '#persistence/database';
import { usualTerms } from '#domain/dispute/dispute';
import { PostgresEvidenceFiles } from '#persistence/postgres-disputes';
import { PostgresBook } from '#persistence/postgres-book';
import { PostgresDeliveries } from '#persistence/postgres-deliveries';
import { PostgresLog } from '#persistence/postgres-log';
import { PostgresOperations } from '#persistence/postgres-operations';
import { StripeDisputes } from '#stripe/stripe-disputes';
import { StripeNotices } from '#stripe/stripe-notices';
import { StripeRefunds } from '#stripe/stripe-refunds';
import { ZampNotices } from '#zamp/zamp-notices';
import { ZampRefunds } from '#zamp/zamp-refunds';
import { startApi } from '../apps/api/src/api.js';
import { readSettings, type Settings } from '../apps/settings.js';
import { DEVELOPMENT, startSimulators } from '../apps/simulators/src/simulators.js';
import { freshDatabase } from './environment.js';

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  readonly body: Body;
  /** What the body lists, where it is a list. */
  readonly data: readonly Body[];
}

export type Body = Readonly<Record<string, unknown>>;

export interface Call {
  readonly body?: unknown;
  /** Sent as it is, in place of JSON. */
  readonly raw?: string | Uint8Array<ArrayBuffer> | FormData;
  readonly headers?: Readonly<Record<string, string>>;
  readonly key?: string;
}

export type RunningApi = Awaited<ReturnType<typeof runningApi>>;

export async function runningApi(env: Readonly<Record<string, string>> = {}) {
  const database = await freshDatabase();
  const simulators = await startSimulators();
  const settings = readSettings({
    DATABASE_URL: database.url,
    PORT: '0',
    ADMIN_KEY: 'a-key-for-this-spec-alone',
    STRIPE_API_KEY: DEVELOPMENT.stripeApiKey,
    STRIPE_WEBHOOK_SECRET: DEVELOPMENT.stripeWebhookSecret,
    STRIPE_API_BASE: `${simulators.url}/stripe`,
    ZAMP_MERCHANT_ID: DEVELOPMENT.zamp.merchantId,
    ZAMP_API_KEY: DEVELOPMENT.zamp.apiKey,
    ZAMP_SECRET: DEVELOPMENT.zamp.secret,
    ZAMP_API_BASE: `${simulators.url}/zamp`,
    ...env,
  });
  const api = await startApi(settings, false);
  const url = `http://127.0.0.1:${api.port}`;
  const source = await dataSource({ url: database.url, connections: 4 }).initialize();
  const worker = workerOver(source, settings);
  const documented = new Documented(await (await fetch(`${url}/openapi.json`)).json());

  const call = async (method: string, path: string, { body, raw, headers = {}, key }: Call = {}): Promise<Answer> => {
    const response = await fetch(`${url}${path}`, {
      method,
      headers: {
        authorization: 'Bearer a-key-for-this-spec-alone',
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...(key === undefined ? {} : { 'idempotency-key': key }),
        ...headers,
      },
      ...(raw !== undefined ? { body: raw } : body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    const media = response.headers.get('content-type') ?? '';
    const parsed = media.includes('json') ? (JSON.parse(text) as Body) : ({} as Body);
    if (media.includes('json')) documented.check(method, path, response.status, parsed);
    const { data } = parsed;
    return {
      status: response.status,
      headers: response.headers,
      text,
      body: parsed,
      data: Array.isArray(data) ? (data as Body[]) : [],
    };
  };

  const control = async (path: string, body: object): Promise<unknown> => {
    const answer = await fetch(`${simulators.url}/control/${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    if (!answer.ok) throw new Error(`control/${path} answered ${answer.status}: ${await answer.text()}`);
    return answer.json();
  };
  const pay = async (payment: Readonly<Record<string, unknown>> = {}) =>
    (await control('payments', {
      provider: 'stripe',
      amount: 10_000,
      currency: 'USD',
      paymentMethod: 'pm_card_visa',
      ...payment,
    })) as { paymentId: string; chargeId: string };
  /** A webhook of Stripe's. */
  const notify = (type: string, object: object) => {
    const created = Math.floor(Date.now() / 1000);
    const raw = JSON.stringify({ id: `evt_${randomUUID()}`, object: 'event', type, livemode: false, created, data: { object } });
    const digest = createHmac('sha256', DEVELOPMENT.stripeWebhookSecret).update(`${created}.${raw}`).digest('hex');
    const headers = { authorization: '', 'content-type': 'application/json', 'stripe-signature': `t=${created},v1=${digest}` };
    return call('POST', '/webhooks/stripe', { raw, headers });
  };

  return {
    url,
    simulators: simulators.url,
    control,
    notify,
    source,
    call,
    get: (path: string, more?: Call) => call('GET', path, more),
    post: (path: string, body?: unknown, more?: Call) => call('POST', path, { ...(body === undefined ? {} : { body }), ...more }),
    /** A captured payment at a provider. */
    pay,
    /** A dispute that a bank opens, once we have heard of it. */
    dispute: async (more: object = {}, payment: Readonly<Record<string, unknown>> = {}) => {
      const { paymentId } = 'paymentId' in more ? (more as { paymentId: string }) : await pay(payment);
      const { disputeId } = (await control('disputes', { paymentId, ...more })) as { disputeId: string };
      await notify('charge.dispute.created', { id: disputeId, object: 'dispute' });
      await worker.work();
      const { body } = await call('GET', `/v1/disputes/${disputeId}`);
      return { id: String(body['id']), disputeId, paymentId, body };
    },
    work: worker.work,
    providers: worker.providers,
    /** A digest of all rows of all tables, to see that nothing changed. */
    contents: () => contents(source),
    /** As far as the api can tell, the database has gone. */
    loseDatabase: () => database.drop(),
    close: async () => {
      if (!source.isInitialized) return;
      await api.close();
      await simulators.close();
      await source.destroy();
      await database.drop().catch(() => undefined);
    },
  };
}

/** Does everything that is due, until nothing is: provider operations, deliveries, sealing. */
function workerOver(source: DataSource, { stripeAccounts: stripe, zampAccounts: zamp, bounds }: Settings) {
  const overStripe = stripe.map((account) => new StripeRefunds(account));
  const providers = new Providers(
    [...overStripe, ...zamp.map((account) => new ZampRefunds(account))],
    [...stripe.map((account) => new StripeNotices(account)), ...zamp.map((account) => new ZampNotices(account))],
    overStripe,
    stripe.map((account) => new StripeDisputes(account)),
  );
  const book = new PostgresBook(source, new Unheard());
  const log = {
    failed(what: string, ids: object, error: unknown): void {
      throw new Error(`${what} ${JSON.stringify(ids)}`, { cause: error });
    },
    tripped: () => undefined,
  };
  const settings = { atOnce: 20, leaseMs: 30_000, callMs: 10_000, bounds };
  const run = new RunOperations(
    new PostgresOperations(source),
    book,
    providers,
    new PostgresEvidenceFiles(source),
    new RecordAnswers(book, providers, usualTerms),
    settings,
    log,
  );
  const handle = new HandleDeliveries(new PostgresDeliveries(source, new Unheard()), book, providers, log);
  const events = new PostgresLog(source);
  const work = async () => {
    for (let did = 1; did > 0;) {
      did = await run.round();
      while (run.busy > 0) await new Promise((tick) => setTimeout(tick, 5));
      did += await handle.round(100);
    }
    while ((await events.seal(500)) > 0);
    await source.query(`select pg_notify('redress_work', 'spec sealed')`);
  };
  return { work, providers };
}

/** Specs call the worker themselves. */
export class Unheard extends Wake {
  override ring(): void {}
  override on(): () => void {
    return () => undefined;
  }
}

async function contents(source: DataSource): Promise<string> {
  const tables = (await source.query("select tablename from pg_tables where schemaname = 'public' order by 1")) as {
    tablename: string;
  }[];
  const hash = createHash('sha256');
  for (const { tablename } of tables) {
    const [row] = (await source.query(`select md5(string_agg(t::text, '|' order by t::text)) as rows from "${tablename}" t`)) as [
      object,
    ];
    hash.update(`${tablename}${JSON.stringify(row)}`);
  }
  return hash.digest('hex');
}

type Operation = { readonly responses: Readonly<Record<string, { readonly content?: Readonly<Record<string, object>> }>> };
type OpenApi = {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: { readonly schemas: object };
};

/** Holds answers to the OpenAPI document: a status that is not in it, or a body that is not as it says, fails the spec. */
class Documented {
  private readonly ajv = new Ajv2020({ strict: false, allErrors: true });
  private readonly document: OpenApi;

  constructor(document: unknown) {
    this.document = document as OpenApi;
    formats.default(this.ajv);
    this.ajv.addSchema({ $id: 'openapi', components: this.document.components });
  }

  check(method: string, path: string, status: number, body: unknown): void {
    const bare = path.split('?', 1)[0] ?? '';
    const templates = Object.keys(this.document.paths).filter((each) =>
      new RegExp(`^${each.replace(/\{\w+\}/g, '[^/]+')}$`).test(bare),
    );
    const template = templates.find((each) => each === bare) ?? templates[0];
    const operation = template === undefined ? undefined : this.document.paths[template]?.[method.toLowerCase()];
    const isProblem = status >= 400;
    if (operation !== undefined && operation.responses[String(status)] === undefined) {
      throw new Error(`${method} ${path} answered ${status}, which is not documented: ${JSON.stringify(body)}`);
    }
    const [content] = Object.values(operation?.responses[String(status)]?.content ?? {}) as { schema?: { $ref?: string } }[];
    const ref = content?.schema?.$ref ?? (isProblem ? '#/components/schemas/Problem' : undefined);
    if (ref === undefined) return;
    const validate = this.ajv.getSchema(`openapi${ref}`);
    if (validate === undefined) throw new Error(`there is no schema ${ref}`);
    if (validate(body) !== true) throw new Error(`${method} ${path} ${status} is not a ${ref}: ${told(validate.errors)}`);
  }
}

function told(errors: readonly ErrorObject[] | null | undefined): string {
  return (errors ?? []).map(({ instancePath, message }) => `${instancePath} ${message}`).join('; ');
}
