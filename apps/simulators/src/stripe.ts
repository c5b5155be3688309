import { timingSafeEqual } from 'node:crypto';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { type Answer, bodyBytes, bodyText, delayed, give, hangUp } from './answer.js';
import type { Books, SavedAnswer, StripePayment, StripeRefund } from './books.js';
import type { Clock } from './clock.js';
import type { CallFault, Faults, Limits } from './faults.js';
import { randomLetters } from './ids.js';
import type { Cause, StripeBank } from './stripe-bank.js';
import type { StripeDisputeCalls } from './stripe-dispute-calls.js';
import { type Endpoint, type Execution, EXPAND, found, PAGE, page, TEXT } from './stripe-endpoints.js';
import { readUpload } from './stripe-files.js';
import { STRIPE_VERSION, type StripeObjects } from './stripe-objects.js';
import { Params, readForm, Refusal, type StripeObject } from './stripe-params.js';
import type { Webhooks } from './webhooks.js';

const DAY_MS = 86_400_000;
/** Keys live this long; then they are pruned, and the same key is a new request. docs.stripe.com/api/idempotent_requests */
const KEY_LIFE_MS = DAY_MS;
const EVENT_LIFE_SECONDS = 30 * 86_400;

/**
 * Stripe's API over the books. A request passes in this order: faults that never reach Stripe, the key of the account, the
 * limits, the parameters, the idempotency key, the endpoint. Only from the endpoint on is the answer saved under the key.
 */
export class StripeSimulator {
  private readonly keysInUse = new Set<string>();
  private readonly locked = new Set<string>();

  constructor(
    private readonly apiKey: string,
    private readonly books: Books,
    private readonly clock: Clock,
    private readonly bank: StripeBank,
    private readonly disputes: StripeDisputeCalls,
    private readonly objects: StripeObjects,
    private readonly webhooks: Webhooks,
    private readonly faults: Faults,
    private readonly limits: Limits,
  ) {}

  /** Also at the root, because stripe-node can be pointed at a host and a port but not at a path. */
  routes(app: FastifyInstance): void {
    for (const endpoint of [...this.endpoints(), ...this.disputes.endpoints()])
      for (const prefix of ['/stripe', ''])
        app.route({
          method: endpoint.method,
          url: `${prefix}${endpoint.path}`,
          handler: (request, reply) => this.serve(endpoint, request, reply),
        });
  }

  unknownUrl(request: FastifyRequest): Answer {
    const url = request.url.replace(/\?.*$/, '').replace(/^\/stripe/, '');
    return this.refuse(
      new Refusal(404, { message: `Unrecognized request URL (${request.method}: ${url}).` }),
      newRequestId(),
      undefined,
    );
  }

  private async serve(endpoint: Endpoint, request: FastifyRequest, reply: FastifyReply): Promise<void> {
    const fault = this.faults.takeCall('stripe', endpoint.call);
    if (fault?.fault === 'close_socket') return hangUp(reply);
    await give(reply, await this.answer(endpoint, request, fault), fault);
  }

  private async answer(endpoint: Endpoint, request: FastifyRequest, fault: CallFault | undefined): Promise<Answer> {
    const requestId = newRequestId();
    const key = endpoint.method === 'POST' ? header(request, 'idempotency-key') : undefined;
    try {
      const version = this.admit(endpoint, request, fault, key);
      const text = endpoint.method === 'POST' ? bodyText(request) : request.url.replace(/^[^?]*\??/, '');
      const upload = endpoint.uploads && (await readUpload(bodyBytes(request), header(request, 'content-type') ?? ''));
      const params = new Params(upload?.form ?? readForm(text), endpoint.fields);
      const id = (request.params as { id?: string }).id ?? '';
      const cause: Cause = { requestId, idempotencyKey: key ?? null, call: true };
      const answer = await this.once(endpoint, { params, id, cause, upload: upload?.file }, fault, requestId);
      return { ...answer, headers: { ...answer.headers, ...headers(requestId, version, key) } };
    } catch (error) {
      if (error instanceof Refusal) return this.refuse(error, requestId, key);
      throw error;
    }
  }

  /** Everything that is answered before the request reaches its endpoint. */
  private admit(endpoint: Endpoint, request: FastifyRequest, fault: CallFault | undefined, key: string | undefined): string {
    const [scheme = '', credentials = ''] = (header(request, 'authorization') ?? '').split(' ');
    const given =
      scheme.toLowerCase() === 'basic' ? Buffer.from(credentials, 'base64').toString().replace(/:$/, '') : credentials;
    if (given === '') throw new Refusal(401, { message: 'You did not provide an API key.' });
    if (!same(given, this.apiKey)) throw new Refusal(401, { message: `Invalid API Key provided: ${given.slice(0, 8)}***` });

    const limit =
      fault?.fault === 'status_429' ? 'endpoint-rate' : this.limits.broken('stripe', `${endpoint.method} ${endpoint.path}`);
    if (limit !== null)
      throw new Refusal(
        429,
        { code: 'rate_limit', message: 'Too many requests hit the API too quickly.' },
        { 'stripe-rate-limited-reason': limit },
      );
    if (fault?.fault === 'lock_timeout') throw lockTimeout();
    if (fault?.fault === 'status_500') throw new Refusal(500, { type: 'api_error', message: 'An unknown error occurred.' });

    const version = header(request, 'stripe-version') ?? STRIPE_VERSION;
    if (!/^\d{4}-\d{2}-\d{2}(\.[a-z]+)?$/.test(version))
      throw new Refusal(400, { message: `Invalid Stripe API version: ${version}` });
    if (key !== undefined && (key === '' || key.length > 255))
      throw new Refusal(400, { type: 'idempotency_error', message: 'Idempotency keys have 1 to 255 characters.' });
    return version;
  }

  /** The idempotency rules around the endpoint. docs.stripe.com/api/idempotent_requests */
  private async once(endpoint: Endpoint, execution: Execution, fault: CallFault | undefined, requestId: string): Promise<Answer> {
    const key = execution.cause.idempotencyKey;
    if (key === null) return this.execute(endpoint, execution, fault);
    if (this.keysInUse.has(key))
      throw new Refusal(409, {
        type: 'idempotency_error',
        code: 'idempotency_key_in_use',
        message: `There is currently another in-progress request using this Idempotent Key: ${key}`,
      });
    const fingerprint = `${endpoint.method} ${endpoint.path} ${execution.id} ${execution.params.fingerprint()}`;
    const saved = this.saved(key);
    if (saved !== undefined && saved.fingerprint !== fingerprint)
      throw new Refusal(400, {
        type: 'idempotency_error',
        message: `The idempotency key '${key}' was first used with other parameters; use another key for another request.`,
      });
    if (saved !== undefined) {
      await delayed(fault);
      const replayed = { 'idempotent-replayed': 'true', 'original-request': saved.requestId };
      return { status: saved.status, headers: replayed, body: saved.body };
    }
    this.keysInUse.add(key);
    try {
      const answer = await this.execute(endpoint, execution, fault);
      const { status, body } = answer;
      this.books.stripe.keys.put(key, { fingerprint, status, body, requestId, created: this.clock.now() });
      return answer;
    } finally {
      this.keysInUse.delete(key);
    }
  }

  private saved(key: string): SavedAnswer | undefined {
    const oldest = this.clock.now() - KEY_LIFE_MS;
    for (const [id, { created }] of this.books.stripe.keys.entries()) {
      if (created > oldest) break;
      this.books.stripe.keys.delete(id);
    }
    return this.books.stripe.keys.get(key);
  }

  /** Runs the endpoint, slowly if a fault says so. A refusal of its own is an answer like any other; a lock is not. */
  private async execute(endpoint: Endpoint, execution: Execution, fault: CallFault | undefined): Promise<Answer> {
    const lock = endpoint.locks?.(execution);
    if (lock !== undefined && this.locked.has(lock)) throw lockTimeout();
    if (lock !== undefined) this.locked.add(lock);
    let answer: Answer;
    try {
      await delayed(fault);
      const object = this.objects.expand(endpoint.execute(execution), execution.params.list('expand'), this.clock.seconds());
      answer = { status: 200, headers: {}, body: JSON.stringify(object) };
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      answer = { status: error.status, headers: error.headers, body: errorBody(error) };
    } finally {
      if (lock !== undefined) this.locked.delete(lock);
    }
    await this.webhooks.beforeAnswer();
    if (fault?.fault !== 'status_500_saved') return answer;
    return {
      status: 500,
      headers: {},
      body: errorBody(new Refusal(500, { type: 'api_error', message: 'An unknown error occurred.' })),
    };
  }

  private refuse(refusal: Refusal, requestId: string, key: string | undefined): Answer {
    return {
      status: refusal.status,
      headers: { ...headers(requestId, STRIPE_VERSION, key), ...refusal.headers },
      body: errorBody(refusal),
    };
  }

  private endpoints(): Endpoint[] {
    const { payments, charges, refunds, movements, events } = this.books.stripe;
    return [
      {
        call: 'refunds.create',
        method: 'POST',
        path: '/v1/refunds',
        fields: {
          ...EXPAND,
          amount: { is: 'integer', min: 1 },
          charge: TEXT,
          currency: TEXT,
          customer: TEXT,
          instructions_email: TEXT,
          metadata: { is: 'metadata' },
          origin: { is: 'text', oneOf: ['customer_balance'] },
          payment_intent: TEXT,
          reason: { is: 'text', oneOf: ['duplicate', 'fraudulent', 'requested_by_customer'] },
          refund_application_fee: { is: 'flag' },
          reverse_transfer: { is: 'flag' },
        },
        locks: ({ params }) => params.text('payment_intent') ?? charges.get(params.text('charge') ?? ''),
        execute: ({ params, cause }) => this.objects.refund(this.createRefund(params, cause)),
      },
      {
        call: 'refunds.list',
        method: 'GET',
        path: '/v1/refunds',
        fields: { ...PAGE, charge: TEXT, payment_intent: TEXT },
        execute: ({ params }) => this.listRefunds(params),
      },
      {
        call: 'refunds.retrieve',
        method: 'GET',
        path: '/v1/refunds/:id',
        fields: EXPAND,
        execute: ({ id }) => this.objects.refund(found(refunds.get(id), 'refund', id)),
      },
      {
        call: 'refunds.update',
        method: 'POST',
        path: '/v1/refunds/:id',
        fields: { ...EXPAND, metadata: { is: 'metadata' } },
        execute: ({ id, params, cause }) => {
          const refund = found(refunds.get(id), 'refund', id);
          const changes = params.metadata();
          if (changes !== undefined) this.bank.setMetadata(refund, changes, cause);
          return this.objects.refund(refund);
        },
      },
      {
        call: 'refunds.cancel',
        method: 'POST',
        path: '/v1/refunds/:id/cancel',
        fields: EXPAND,
        execute: ({ id, cause }) => this.endRefund(id, 'canceled', cause),
      },
      {
        call: 'refunds.cancel',
        method: 'POST',
        path: '/v1/test_helpers/refunds/:id/expire',
        fields: EXPAND,
        execute: ({ id, cause }) => this.endRefund(id, 'failed', cause),
      },
      {
        call: 'payments.retrieve',
        method: 'GET',
        path: '/v1/payment_intents/:id',
        fields: { ...EXPAND, client_secret: TEXT },
        execute: ({ id }) => this.objects.paymentIntent(found(payments.get(id), 'payment_intent', id, 'intent')),
      },
      {
        call: 'payments.retrieve',
        method: 'GET',
        path: '/v1/charges/:id',
        fields: EXPAND,
        execute: ({ id }) => this.objects.charge(found(payments.get(charges.get(id) ?? ''), 'charge', id)),
      },
      {
        call: 'payments.retrieve',
        method: 'GET',
        path: '/v1/charges',
        fields: { ...PAGE, customer: TEXT, payment_intent: TEXT, transfer_group: TEXT },
        execute: ({ params }) => this.listCharges(params),
      },
      {
        call: 'balance_transactions.retrieve',
        method: 'GET',
        path: '/v1/balance_transactions/:id',
        fields: EXPAND,
        execute: ({ id }) =>
          this.objects.balanceTransaction(found(movements.get(id), 'balance transaction', id), this.clock.seconds()),
      },
      {
        call: 'events.list',
        method: 'GET',
        path: '/v1/events',
        fields: { ...PAGE, delivery_success: { is: 'flag' }, type: TEXT, types: { is: 'list' } },
        execute: ({ params }) => this.listEvents(params),
      },
      {
        call: 'events.retrieve',
        method: 'GET',
        path: '/v1/events/:id',
        fields: EXPAND,
        execute: ({ id }) => this.objects.event(found(events.get(id), 'event', id)),
      },
    ];
  }

  private createRefund(params: Params, cause: Cause): StripeRefund {
    for (const name of ['reverse_transfer', 'refund_application_fee'])
      if (params.flag(name))
        throw new Refusal(400, { param: name, message: 'Only the application that made the charge can do this.' });
    if (params.has('origin')) throw new Refusal(400, { param: 'origin', message: 'This account has no customer balances.' });
    const metadata = params.metadata();
    return this.bank.refund(
      this.paymentToRefund(params.text('payment_intent'), params.text('charge')),
      {
        amount: params.integer('amount'),
        reason: params.text('reason') ?? null,
        metadata: metadata === undefined || metadata === 'unset all' ? {} : metadata,
        instructionsEmail: params.text('instructions_email') ?? null,
      },
      cause,
    );
  }

  private paymentToRefund(intentId: string | undefined, chargeId: string | undefined): StripePayment {
    const { payments, charges } = this.books.stripe;
    if (intentId === undefined && chargeId === undefined)
      throw new Refusal(400, { message: 'One of these parameters is needed: payment_intent, charge.' });
    const byIntent = intentId && found(payments.get(intentId), 'payment_intent', intentId, 'payment_intent');
    const byCharge = chargeId && found(payments.get(charges.get(chargeId) ?? ''), 'charge', chargeId);
    if (byIntent && byCharge && byIntent !== byCharge)
      throw new Refusal(400, { param: 'charge', message: 'The charge does not belong to the PaymentIntent.' });
    return found(byIntent || byCharge || undefined, 'charge', chargeId ?? '');
  }

  private endRefund(id: string, status: 'canceled' | 'failed', cause: Cause): StripeObject {
    const refund = found(this.books.stripe.refunds.get(id), 'refund', id);
    if (refund.status !== 'requires_action')
      throw new Refusal(400, { message: `Refund ${id} is ${refund.status}; only one that requires action can be ended.` });
    this.bank.setStatus(refund, status, status === 'canceled' ? 'merchant_request' : 'unknown', cause);
    return this.objects.refund(refund);
  }

  private listRefunds(params: Params): StripeObject {
    const { payments, charges, refunds } = this.books.stripe;
    const chargeId = params.text('charge');
    const intentId = params.text('payment_intent');
    const byCharge = chargeId && found(payments.get(charges.get(chargeId) ?? ''), 'charge', chargeId, 'charge');
    const byIntent = intentId && found(payments.get(intentId), 'payment_intent', intentId, 'payment_intent');
    const payment = byCharge || byIntent;
    const rows = payment ? this.objects.refundsOf(payment).reverse() : refunds.newestFirst();
    const wanted = byIntent ? rows.filter((refund) => refund.paymentId === byIntent.id) : rows;
    return page(
      '/v1/refunds',
      params,
      wanted,
      (refund) => refund.id,
      (refund) => this.objects.refund(refund),
    );
  }

  private listCharges(params: Params): StripeObject {
    const { payments } = this.books.stripe;
    const intentId = params.text('payment_intent');
    const rows = intentId === undefined ? payments.newestFirst() : [payments.get(intentId)].filter((row) => row !== undefined);
    // Nobody here is a customer or part of a transfer group.
    const charged = params.has('customer') || params.has('transfer_group') ? [] : rows.filter((row) => row.chargeId !== null);
    return page(
      '/v1/charges',
      params,
      charged,
      (row) => row.chargeId ?? '',
      (row) => this.objects.charge(row),
    );
  }

  private listEvents(params: Params): StripeObject {
    const { events } = this.books.stripe;
    const types = [...params.list('types'), ...(params.has('type') ? [params.text('type')] : [])];
    if (params.list('types').length > 20) throw new Refusal(400, { param: 'types', message: 'At most 20 types.' });
    const oldest = this.clock.seconds() - EVENT_LIFE_SECONDS;
    const rows = events
      .newestFirst()
      .filter((event) => event.created > oldest && (types.length === 0 || types.includes(event.type)));
    const delivered = (id: string) => (this.books.deliveries.get(id)?.status ?? 'delivered') === 'delivered';
    const wanted = params.has('delivery_success')
      ? rows.filter(({ id }) => delivered(id) === params.flag('delivery_success'))
      : rows;
    return page(
      '/v1/events',
      params,
      wanted,
      (event) => event.id,
      (event) => this.objects.event(event),
    );
  }
}

function lockTimeout(): Refusal {
  return new Refusal(429, {
    code: 'lock_timeout',
    message: 'This object cannot be accessed right now: another request is using it.',
  });
}

function errorBody({ error }: Refusal): string {
  const { type = 'invalid_request_error', code, ...rest } = error;
  return JSON.stringify({
    error: { ...(code && { code, doc_url: `https://stripe.com/docs/error-codes/${code.replaceAll('_', '-')}` }), ...rest, type },
  });
}

function headers(requestId: string, version: string, key: string | undefined): Record<string, string> {
  return { 'request-id': requestId, 'stripe-version': version, ...(key !== undefined && { 'idempotency-key': key }) };
}

function header(request: FastifyRequest, name: string): string | undefined {
  const value = request.headers[name];
  return Array.isArray(value) ? value.join(', ') : value;
}

function newRequestId(): string {
  return `req_${randomLetters(14)}`;
}

function same(given: string, expected: string): boolean {
  const [a, b] = [Buffer.from(given), Buffer.from(expected)];
  return a.length === b.length && timingSafeEqual(a, b);
}
