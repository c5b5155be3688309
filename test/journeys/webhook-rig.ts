/*
 * Redress between the simulators and a postman who cannot be relied on. Calls, answers and webhooks are the real ones over HTTP; whatever the
 * simulators send lands with the postman, and a test says what becomes of each letter: lost, doubled, late, altered. Behind it stand the
 * stores in memory, or the running api on PostgreSQL, where letters go through the real endpoint.
 */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { randomUUID } from 'node:crypto';
import { usualTerms, type Dispute } from '#domain/dispute/dispute';
import { edit } from '#domain/dispute/evidence';
import type { Book } from '#application/book';
import { asStored, HandleDeliveries } from '#application/deliveries';
import { DisputeCommands, type DisputeCommandAnswer } from '#application/dispute-commands';
import { commandId, paymentName } from '#application/names';
import { Providers } from '#application/providers';
import { RecordAnswers } from '#application/record-answers';
import { RefundCommands, type CommandAnswer } from '#application/refund-commands';
import { RunOperations } from '#application/run-operations';
import { beginSweeps } from '#application/sweeps';
import { WatchDeadlines } from '#application/watch-deadlines';
import type { DisputeCommand, DisputeCommandType } from '#contracts/dispute-commands';
import type { RefundCommand, RefundCommandType } from '#contracts/refund-commands';
import type { Payment } from '#domain/payment/payment';
import type { Refund } from '#domain/refund/refund';
import { PostgresBook } from '#persistence/postgres-book';
import { StripeDisputes } from '#stripe/stripe-disputes';
import { StripeNotices } from '#stripe/stripe-notices';
import { StripeRefunds } from '#stripe/stripe-refunds';
import { ZampNotices } from '#zamp/zamp-notices';
import { ZampRefunds } from '#zamp/zamp-refunds';
import { DEVELOPMENT, startSimulators } from '../../apps/simulators/src/simulators.js';
import { MemoryStores } from '../fakes/memory-stores.js';
import { runningApi, Unheard } from '../running-api.js';

export type Provider = 'stripe' | 'zamp';

/** A webhook on paper: what a simulator sent, or what somebody made of it. */
export interface Letter {
  readonly provider: Provider;
  readonly body: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Where it seems to come from, where the test can choose. */
  readonly from?: string;
}

export interface Disposed {
  readonly disposition: string | null;
  readonly detail: string | null;
}

export interface BookedRefund {
  readonly id: string;
  readonly provider: Provider;
  readonly paymentId: string;
  readonly amount: number;
  readonly status: string;
  /** Ours, if it was made by us. */
  readonly refundId: string | null;
}

/** Secrets that are live at once: the simulators sign with the first, and the second is on its way out. */
export const secrets = {
  stripe: [DEVELOPMENT.stripeWebhookSecret, 'whsec_rolled_out'],
  zamp: [DEVELOPMENT.zamp.secret, 'zamp_secret_rolled_out'],
} as const;

const zampAddress = '127.0.0.1';

/** What stands behind the postman. */
interface Service {
  readonly book: Book;
  readonly providers: Providers;
  /** What was told to whoever is on call. */
  readonly alarms: string[];
  deliver(letter: Letter): Promise<number>;
  /** Works until nothing is due. */
  work(): Promise<void>;
  /** Handles what has come in while a call of ours has no answer yet. */
  workMeanwhile(): Promise<void>;
  now(): Date;
  advance(seconds: number): Promise<void>;
  deliveries(): Promise<Disposed[]>;
  /** The events of a refund or a dispute, oldest first. */
  told(subject: string): Promise<{ readonly type: string; readonly at: Date }[]>;
  close(): Promise<void>;
}

export class Rig {
  private readonly letters: Letter[] = [];
  private early: ((letter: Letter) => boolean) | null = null;
  private keys = 0;

  private constructor(
    private readonly simulators: string,
    readonly service: Service,
    private readonly postman: Server,
    private readonly commands: RefundCommands,
    private readonly disputes: DisputeCommands,
    private readonly ends: (() => Promise<unknown>)[],
  ) {}

  /** Over stores in memory: a whole story takes a fraction of a second. */
  static async inMemory(): Promise<Rig> {
    const simulators = await startSimulators();
    return Rig.over(simulators.url, inMemory(simulators.url), [() => simulators.close()]);
  }

  /** Over the running api and PostgreSQL. */
  static async overHttp(): Promise<Rig> {
    const api = await runningApi({
      MOVABLE_CLOCK: 'true',
      STRIPE_WEBHOOK_SECRET: secrets.stripe.join(','),
      ZAMP_SECRET: secrets.zamp.join(','),
      ZAMP_WEBHOOK_ADDRESSES: zampAddress,
    });
    return Rig.over(api.simulators, overHttp(api), []);
  }

  private static async over(simulators: string, service: Service, ends: (() => Promise<unknown>)[]): Promise<Rig> {
    const postman = createServer();
    const commands = new RefundCommands(service.book, service.providers, { factsMaxAgeMs: 60_000 });
    const disputes = new DisputeCommands(service.book);
    const rig = new Rig(simulators, service, postman, commands, disputes, [() => service.close(), ...ends]);
    postman.on('request', (request, reply) => {
      void (async () => {
        const provider = request.url === '/webhooks/zamp' ? 'zamp' : 'stripe';
        const [name, value] = Object.entries(request.headers).find(([each]) => each.endsWith('-signature')) ?? ['', ''];
        await rig.receive({ provider, body: await text(request), headers: { [name]: String(value) } });
        reply.writeHead(200).end();
      })();
    });
    await new Promise<void>((done) => postman.listen(0, '127.0.0.1', done));
    await rig.control('webhooks', { target: `http://127.0.0.1:${(postman.address() as AddressInfo).port}` });
    return rig;
  }

  async close(): Promise<void> {
    this.postman.close();
    this.postman.closeAllConnections();
    for (const end of this.ends) await end();
  }

  /** Empty books at the providers; our own keep what they have. */
  async reset(): Promise<void> {
    this.early = null;
    await this.control('reset', {});
    this.letters.length = 0;
  }

  private async receive(letter: Letter): Promise<void> {
    if (this.early?.(letter) !== true) {
      this.letters.push(letter);
      return;
    }
    this.early = null;
    await this.deliver(letter);
    await this.service.workMeanwhile();
  }

  /** The next such letter that a call of ours causes is here, and handled, before that call has its answer. */
  async overtakeAnswer(provider: Provider, overtaken: (letter: Letter) => void): Promise<void> {
    const first = provider === 'stripe' ? /"type":"refund.created"/ : /"status":"initiated"/;
    this.early = (letter) => {
      const isIt = letter.provider === provider && first.test(letter.body);
      if (isIt) overtaken(letter);
      return isIt;
    };
    await this.control('faults', { provider, webhook: 'before_answer' });
  }

  /** The letters that have come since the last time, in an order that does not depend on the network. */
  async collect(): Promise<Letter[]> {
    for (;;) {
      const books = (await (await fetch(`${this.simulators}/control/books`)).json()) as { webhooks: { status: string }[] };
      if (books.webhooks.every(({ status }) => status !== 'waiting')) break;
      await sleep(3);
    }
    return this.letters.splice(0).sort((a, b) => (sortedBy(a) < sortedBy(b) ? -1 : 1));
  }

  /** The letters, delivered as they came. */
  async passOn(): Promise<void> {
    for (const letter of await this.collect()) await this.deliver(letter);
  }

  deliver(letter: Letter): Promise<number> {
    return this.service.deliver(letter);
  }

  async control(call: string, body: object): Promise<Readonly<Record<string, string>>> {
    const answer = await fetch(`${this.simulators}/control/${call}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    const read = (await answer.json()) as Record<string, string>;
    if (!answer.ok) throw new Error(`the simulators refused ${call} ${JSON.stringify(body)}: ${JSON.stringify(read)}`);
    return read;
  }

  /** A payment whose refunds change only when the test moves the clock or says so. */
  async pay(payment: { provider: Provider; amount?: number; paymentMethod?: string; merchantId?: string }) {
    const { paymentId = '', chargeId } = await this.control('payments', {
      amount: 10_000,
      currency: 'USD',
      refundDelayMs: 3_600_000,
      ...payment,
    });
    return { provider: payment.provider, paymentId, chargeId: chargeId ?? paymentId };
  }

  /** A command, as if over Kafka. */
  async order(type: RefundCommandType, body: object): Promise<CommandAnswer> {
    const [answer] = await this.commands.decide([
      { ...this.sender(), type, body: { account: 'default', ...body } as unknown as RefundCommand },
    ]);
    if (answer === undefined) throw new Error('a command has no answer');
    return answer;
  }

  private sender() {
    const key = `k-${(this.keys += 1)}-${randomUUID()}`;
    const uuid = commandId('default', 'kafka', '/rig', key);
    return { uuid, account: 'default', door: 'kafka', source: '/rig', key, correlationId: null, traceparent: null } as const;
  }

  /** A command about a dispute, as if over Kafka. */
  async decideOn(type: DisputeCommandType, body: object): Promise<DisputeCommandAnswer> {
    const [answer] = await this.disputes.decide([{ ...this.sender(), type, body: body as DisputeCommand }]);
    if (answer === undefined) throw new Error('a command has no answer');
    return answer;
  }

  /** Evidence of one sentence, submitted at once. */
  async submitSomething(id: string): Promise<DisputeCommandAnswer> {
    const version = await this.service.book.transact({ disputes: [id], evidence: [id] }, (set) => {
      const edited = edit(set.disputes.draft(id), { uncategorizedText: 'The parcel came.' }, null, 'rig', set.now);
      if (!edited.ok) throw new Error(edited.error.code);
      set.disputes.setDraft(edited.value);
      return edited.value.version;
    });
    return this.decideOn('redress.SubmitEvidence.v1', { disputeId: id, confirm: true, version });
  }

  /** The dispute that has the provider's id. */
  disputeCalled(id: string): Promise<Dispute | undefined> {
    const name = { account: 'default', provider: 'stripe', id };
    return this.service.book.transact({ providerDisputes: [name] }, (set) => set.disputes.called(name));
  }

  beginSweeps(): Promise<void> {
    return beginSweeps(this.service.book, this.service.providers);
  }

  async refund(provider: Provider, paymentId: string, amount: number): Promise<string> {
    const answer = await this.order('redress.RequestRefund.v1', { provider, paymentId, amount, currency: 'USD' });
    if (answer.kind === 'buried' || answer.refund == null) throw new Error(`there is no refund of ${paymentId}`);
    return answer.refund.id;
  }

  /** Time goes by, for the simulators and for us. */
  async advance(seconds: number): Promise<void> {
    await this.service.advance(seconds);
    await this.control('clock', { advanceSeconds: seconds });
  }

  async booked(): Promise<BookedRefund[]> {
    const { payments } = (await (await fetch(`${this.simulators}/control/books`)).json()) as {
      payments: {
        provider: Provider;
        paymentId: string;
        refunds: { id: string; amount: number; status: string; metadata: Record<string, string> }[];
      }[];
    };
    return payments.flatMap(({ provider, paymentId, refunds }) =>
      refunds.map(({ id, amount, status, metadata }) => {
        const named = metadata['redress_refund'] ?? metadata['reference_id'] ?? '';
        return { id, provider, paymentId, amount, status, refundId: named === '' ? null : named };
      }),
    );
  }

  /** Our own refund, by our id. */
  of(id: string): Promise<Refund | undefined> {
    return this.service.book.transact({ refunds: [id] }, (set) => set.refund(id));
  }

  /** Whatever refund of ours has the provider's id. */
  called(provider: Provider, id: string): Promise<Refund | undefined> {
    const name = { account: 'default', provider, id };
    return this.service.book.transact({ providerRefunds: [name] }, (set) => set.refundCalled(name));
  }

  payment(provider: Provider, name: string): Promise<Payment> {
    const wanted = paymentName(this.service.providers, 'default', provider, name);
    return this.service.book.transact({ payments: [wanted] }, (set) => set.paymentCalled(wanted));
  }

  /** The payment is read once more, as whoever looks through the provider's books from time to time has it done. */
  async sync(refundId: string): Promise<void> {
    await this.order('redress.SyncRefund.v1', { refundId });
  }

  /** What became of each delivery, in order of arrival. */
  deliveries(): Promise<Disposed[]> {
    return this.service.deliveries();
  }
}

function sortedBy({ provider, body }: Letter): string {
  const { type, data } = JSON.parse(body) as {
    type?: string;
    data: { object?: { amount?: number }; amount?: number; status?: string };
  };
  return `${provider} ${type ?? data.status} ${data.object?.amount ?? data.amount}`;
}

/** `redress.dispute.won.v1` without what all of them have. */
const bare = (type: string) => type.replace(/^redress\.(?:dispute|refund)\.(\w+)\.v1$/, '$1');

function inMemory(simulators: string): Service {
  let ids = 0;
  let offset = 0;
  const alarms: string[] = [];
  const newId = () => `00000000-0000-4000-8000-${String(++ids).padStart(12, '0')}`;
  const stores = new MemoryStores(newId, new Date());
  const tick = () => {
    stores.realMs = performance.now();
    return (stores.now = new Date(Date.now() + offset));
  };
  // No limits: what waits for its moment would look like what waits for nothing.
  const limits = { perSecond: 100_000, perSecondAndEndpoint: 100_000 };
  const stripe = {
    account: 'default',
    apiKey: DEVELOPMENT.stripeApiKey,
    webhookSecrets: secrets.stripe,
    apiBase: `${simulators}/stripe`,
    limits,
  };
  const { merchantId, apiKey } = DEVELOPMENT.zamp;
  const [secret, previousSecret] = secrets.zamp;
  const merchant = { account: 'default', merchantId, apiKey, secret, previousSecret };
  const zamp = { ...merchant, apiBase: `${simulators}/zamp`, webhookAddresses: [zampAddress], limits };
  const notices = { stripe: new StripeNotices(stripe), zamp: new ZampNotices(zamp) };
  const overStripe = new StripeRefunds(stripe);
  const providers = new Providers(
    [overStripe, new ZampRefunds(zamp)],
    Object.values(notices),
    [overStripe],
    [new StripeDisputes(stripe)],
  );
  const log = {
    tripped: () => undefined,
    failed: (what: string, _: object, error: unknown) => void alarms.push(`${what}: ${String(error)}`),
  };
  const recorder = new RecordAnswers(stores.book, providers, usualTerms, () => 0.5);
  const settings = { atOnce: 20, leaseMs: 30_000, callMs: 10_000, againMs: 1 };
  const operations = new RunOperations(stores.queue, stores.book, providers, stores.evidenceFiles, recorder, settings, log);
  const handle = new HandleDeliveries(stores.deliveries, stores.book, providers, log);
  const nothingByItself = { fileAtDeadline: false, acceptBelow: {} };
  const deadlines = new WatchDeadlines(stores.watch, stores.book, usualTerms, nothingByItself, log);
  const round = async () => {
    tick();
    return (await handle.round(100)) + (await operations.round()) + (await deadlines.round(100));
  };
  const until = async (busy: number) => {
    while (operations.busy > busy) await sleep(1);
    tick();
  };
  return {
    book: stores.book,
    providers,
    alarms,
    deliver: async ({ provider, body, headers, from = zampAddress }) => {
      const raw = { body: Buffer.from(body), headers, from, receivedAt: tick() };
      const { delivery, refusal } = asStored(notices[provider], raw);
      await stores.deliveries.store([delivery]);
      return refusal === null ? 200 : 400;
    },
    work: async () => {
      while ((await round()) > 0) await until(0);
    },
    workMeanwhile: async () => {
      const { busy } = operations;
      await round();
      await until(busy);
    },
    now: () => new Date(Date.now() + offset),
    advance: async (seconds) => {
      offset += seconds * 1000;
      tick();
    },
    deliveries: async () => stores.deliveryRows.all().map(({ disposition, detail }) => ({ disposition, detail })),
    told: async (id) =>
      stores.events.where(({ subject }) => subject === id).map(({ type, time: at }) => ({ type: bare(type), at })),
    close: async () => undefined,
  };
}

function overHttp(api: Awaited<ReturnType<typeof runningApi>>): Service {
  let offset = 0;
  return {
    book: new PostgresBook(api.source, new Unheard()),
    providers: api.providers,
    alarms: [],
    deliver: async ({ provider, body, headers }) => {
      const sent = { authorization: '', 'content-type': 'application/json; charset=utf-8', ...headers };
      return (await api.call('POST', `/webhooks/${provider}`, { raw: body, headers: sent })).status;
    },
    work: api.work,
    // Its worker is one that waits for its calls; what has come in is stored, and handled right after the answer.
    workMeanwhile: async () => undefined,
    now: () => new Date(Date.now() + offset),
    advance: async (seconds) => {
      offset += seconds * 1000;
      await api.call('POST', '/control/clock', { body: { advanceSeconds: seconds } });
    },
    deliveries: () => api.source.query('select disposition, detail from webhook_delivery order by ordinal'),
    told: async (id) => {
      const statement = 'select type, time as at from event where subject = $1 order by ordinal';
      const found = (await api.source.query(statement, [id])) as { type: string; at: Date }[];
      return found.map(({ type, at }) => ({ type: bare(type), at }));
    },
    close: () => api.close(),
  };
}
