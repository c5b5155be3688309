import { fastify, type FastifyRequest } from 'fastify';
import { Books } from './books.js';
import { Clock } from './clock.js';
import { Control, type MoveService } from './control.js';
import { Faults, Limits } from './faults.js';
import { StripeBank } from './stripe-bank.js';
import { StripeDisputeCalls } from './stripe-dispute-calls.js';
import { StripeDisputes } from './stripe-disputes.js';
import { StripeObjects } from './stripe-objects.js';
import { StripeSimulator } from './stripe.js';
import { Webhooks } from './webhooks.js';
import { type ZampAccount, ZampSimulator } from './zamp.js';

/** How the simulators are set up; everything left out has a value for development. */
export type SimulatorOptions = {
  /** 0, the default, takes a free one. */
  port?: number;
  /** The address to listen on. 127.0.0.1, the default, is this machine alone; in a container it is 0.0.0.0, for the other containers. */
  host?: string;
  /** The service to which webhooks go. Without one none are sent until `POST /control/webhooks` names it. */
  webhookTarget?: string;
  stripeApiKey?: string;
  stripeWebhookSecret?: string;
  zamp?: Partial<ZampAccount>;
  /** A file that keeps the books across restarts. */
  dataFile?: string;
  /** The service's own clock, moved along by `POST /control/clock`. */
  serviceClock?: { url: string; key: string };
};

/** What the service must be configured with to talk to simulators that were given nothing else. */
export const DEVELOPMENT = {
  stripeApiKey: 'sk_test_simulated',
  stripeWebhookSecret: 'whsec_simulated',
  zamp: { merchantId: 'merchant_simulated', apiKey: 'zamp_key_simulated', secret: 'zamp_secret_simulated' },
};

const SERVICE_TIMEOUT_MS = 10_000;

export type RunningSimulators = { url: string; port: number; close(): Promise<void> };

/** Starts both providers on one port; ready when the promise resolves. */
export async function startSimulators(options: SimulatorOptions = {}): Promise<RunningSimulators> {
  const books = new Books(options.dataFile);
  await books.load();
  const clock = new Clock(books);
  const faults = new Faults();
  const limits = new Limits();
  const webhooks = new Webhooks(books, clock, faults);
  const objects = new StripeObjects(books);
  const bank = new StripeBank(books, clock, webhooks, objects, options.stripeWebhookSecret ?? DEVELOPMENT.stripeWebhookSecret);
  const stripeApiKey = options.stripeApiKey ?? DEVELOPMENT.stripeApiKey;
  const disputes = new StripeDisputes(books, clock, bank, objects);
  const disputeCalls = new StripeDisputeCalls(books, clock, objects, disputes);
  const stripe = new StripeSimulator(stripeApiKey, books, clock, bank, disputeCalls, objects, webhooks, faults, limits);
  const account = { ...DEVELOPMENT.zamp, ...options.zamp };
  const zamp = new ZampSimulator(account, books, clock, webhooks, faults, limits);
  const moveService = options.serviceClock && serviceMover(options.serviceClock);
  const control = new Control({ books, clock, faults, limits, webhooks, bank, disputes, zamp, moveService });

  const app = fastify({ forceCloseConnections: true, bodyLimit: 32 * 1024 * 1024 });
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', { parseAs: 'string' }, (_, body, done) => done(null, body));
  app.addContentTypeParser('multipart/form-data', { parseAs: 'buffer' }, (_, body, done) => done(null, body));
  stripe.routes(app);
  zamp.routes(app);
  control.routes(app);
  app.setNotFoundHandler(async (request, reply) => {
    const { status, headers, body } = unknownUrl(request);
    await reply.code(status).headers(headers).type('application/json').send(body);
  });
  const unknownUrl = (request: FastifyRequest) => {
    if (request.url.startsWith('/zamp/')) return zamp.unknownUrl();
    return request.url.startsWith('/control') ? control.unknownUrl() : stripe.unknownUrl(request);
  };

  webhooks.sendTo(options.webhookTarget);

  const url = await app.listen({ host: options.host ?? '127.0.0.1', port: options.port ?? 0 });
  await books.keep();
  clock.start();
  webhooks.start();
  return {
    url,
    port: Number(new URL(url).port),
    close: async () => {
      clock.stop();
      webhooks.stop();
      await app.close();
      await books.close();
    },
  };
}

function serviceMover({ url, key }: { url: string; key: string }): MoveService {
  return async (advanceSeconds) => {
    const response = await fetch(url, {
      method: 'POST',
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      body: JSON.stringify({ advanceSeconds }),
      signal: AbortSignal.timeout(SERVICE_TIMEOUT_MS),
    });
    if (!response.ok) throw new Error(`${url} answered ${response.status}`);
    await response.body?.cancel();
  };
}
