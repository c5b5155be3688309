import type { FastifyInstance } from 'fastify';
import { type Answer, bodyText } from './answer.js';
import type { Books, StripePayment, StripeRefund, ZampRefund, ZampSession } from './books.js';
import type { Clock } from './clock.js';
import { BadControl, Body } from './control-body.js';
import { ControlDisputes } from './control-disputes.js';
import { CALL_FAULTS, CALLS, type Faults, type Limits, WEBHOOK_FAULTS } from './faults.js';
import { randomLetters } from './ids.js';
import { REFUND_STORIES, type StripeBank } from './stripe-bank.js';
import { DEFAULT_DECISION_DELAY_MS, DISPUTE_STORIES, type StripeDisputes } from './stripe-disputes.js';
import { Refusal } from './stripe-params.js';
import type { Webhooks } from './webhooks.js';
import type { ZampSimulator } from './zamp.js';
import { ZAMP_CURRENCIES } from './zamp-decimals.js';

const PROVIDERS = ['stripe', 'zamp'] as const;
const STRIPE_STATUSES = [
  'succeeded',
  'requires_capture',
  'requires_payment_method',
  'requires_confirmation',
  'requires_action',
  'processing',
  'canceled',
] as const;
const PAYMENT_METHODS = [...Object.keys(REFUND_STORIES), ...Object.keys(DISPUTE_STORIES)];
const ZAMP_STATUSES = ['succeeded', 'initiated', 'in_process', 'failed', 'cancelled'] as const;
const STRIPE_REFUND_STATUSES = ['pending', 'requires_action', 'succeeded', 'failed', 'canceled'] as const;
const ZAMP_REFUND_STATUSES = ['initiated', 'in_process', 'succeeded', 'failed'] as const;
const DEFAULT_REFUND_DELAY_MS = 1000;
const MOST_PAYMENTS_AT_ONCE = 100_000;
const TEN_YEARS_SECONDS = 10 * 365 * 86_400;

/** Moves the service's clock along with ours. */
export type MoveService = (advanceSeconds: number) => Promise<void>;

type Parts = {
  books: Books;
  clock: Clock;
  faults: Faults;
  limits: Limits;
  webhooks: Webhooks;
  bank: StripeBank;
  disputes: StripeDisputes;
  zamp: ZampSimulator;
  moveService: MoveService | undefined;
};

/** What testers do to the simulators. Nothing here exists at a real provider. Amounts are in the provider's smallest unit. */
export class Control {
  private readonly disputes: ControlDisputes;

  constructor(private readonly parts: Parts) {
    this.disputes = new ControlDisputes(parts.books, parts.disputes);
  }

  routes(app: FastifyInstance): void {
    const post = (path: string, work: (body: Body, id: string) => unknown) =>
      app.post(`/control${path}`, async (request, reply) => {
        const { status, body } = await answer(() =>
          work(new Body(bodyText(request)), (request.params as { id?: string }).id ?? ''),
        );
        await reply.code(status).type('application/json').send(body);
      });
    post('/payments', (body) => this.pay(body));
    post('/dashboard-refunds', (body) => this.dashboardRefund(body));
    post('/refunds/:id', (body, id) => this.decideRefund(body, id));
    post('/faults', (body) => this.orderFault(body));
    post('/limits', (body) => this.setLimits(body));
    post('/webhooks', (body) => this.aimWebhooks(body));
    post('/clock', (body) => this.moveClock(body));
    post('/reset', () => this.reset());
    post('/disputes', (body) => this.disputes.open(body));
    post('/disputes/:id', (body, id) => this.disputes.move(body, id));
    post('/warnings', (body) => this.disputes.warn(body));
    app.get('/control/books', async (_, reply) => reply.type('application/json').send(JSON.stringify(this.books())));
  }

  unknownUrl(): Answer {
    return {
      status: 404,
      headers: {},
      body: JSON.stringify({ error: 'There is no such control call; interfaces.md lists them' }),
    };
  }

  private pay(body: Body): unknown {
    const provider = body.oneOf('provider', PROVIDERS);
    const make = provider === 'stripe' ? this.stripePayment(body) : this.zampPayment(body);
    const count = body.optionalInteger('count', 1, MOST_PAYMENTS_AT_ONCE);
    body.nothingElse();
    return count === undefined ? make() : { payments: Array.from({ length: count }, make) };
  }

  private stripePayment(body: Body): () => unknown {
    const input = {
      amount: body.integer('amount', 1),
      currency: body.currency('currency'),
      paymentMethod: body.optionalOneOf('paymentMethod', PAYMENT_METHODS) ?? 'pm_card_visa',
      status: body.optionalOneOf('status', STRIPE_STATUSES) ?? 'succeeded',
      refundDelayMs: body.optionalInteger('refundDelayMs', 0) ?? DEFAULT_REFUND_DELAY_MS,
      decisionDelayMs: body.optionalInteger('decisionDelayMs', 0) ?? DEFAULT_DECISION_DELAY_MS,
      daysAgo: body.optionalInteger('daysAgo', 0, 3650) ?? 0,
    };
    return () => {
      const payment = this.parts.bank.pay(input);
      this.parts.disputes.expect(payment);
      const { id, chargeId } = payment;
      return { provider: 'stripe', paymentId: id, ...(chargeId !== null && { chargeId }) };
    };
  }

  private zampPayment(body: Body): () => unknown {
    const status = body.optionalOneOf('status', ZAMP_STATUSES) ?? 'succeeded';
    const failureCode = body.optionalText('failureCode');
    const merchantId = body.optionalText('merchantId');
    const input = {
      ...(merchantId !== undefined && { merchantId }),
      amount: body.integer('amount', 1),
      currency: body.currency('currency'),
      status,
      failureCode: failureCode ?? { failed: 'PAYMENT_TIMEOUT', cancelled: 'PAYMENT_SESSION_CANCELLED' }[status as string] ?? '',
      refundDelayMs: body.optionalInteger('refundDelayMs', 0) ?? DEFAULT_REFUND_DELAY_MS,
    };
    if (!ZAMP_CURRENCIES.includes(input.currency)) throw new BadControl(`currency: Zamp takes ${ZAMP_CURRENCIES.join(', ')}`);
    return () => ({ provider: 'zamp', paymentId: this.parts.zamp.pay(input).id });
  }

  private dashboardRefund(body: Body): unknown {
    const paymentId = body.text('paymentId');
    const amount = body.integer('amount', 1);
    body.nothingElse();
    const { books, bank, zamp } = this.parts;
    const session = books.zamp.sessions.get(paymentId);
    if (session !== undefined)
      return { refundId: zamp.refund(session, { amount, referenceId: '', remarks: 'from the dashboard' }, null, false).id };
    const { payments, charges } = books.stripe;
    const payment = payments.get(paymentId) ?? payments.get(charges.get(paymentId) ?? '');
    if (payment === undefined) throw new BadControl(`paymentId: there is no payment ${paymentId}`, 404);
    const click = { requestId: `req_${randomLetters(14)}`, idempotencyKey: null, call: false };
    try {
      return { refundId: bank.refund(payment, { amount, reason: null, metadata: {}, instructionsEmail: null }, click).id };
    } catch (error) {
      throw error instanceof Refusal ? new BadControl(error.message) : error;
    }
  }

  private decideRefund(body: Body, id: string): unknown {
    const { books, bank, zamp } = this.parts;
    const refund: StripeRefund | ZampRefund | undefined = books.stripe.refunds.get(id) ?? books.zamp.refunds.get(id);
    if (refund === undefined) throw new BadControl(`There is no refund ${id}`, 404);
    const failureReason = body.optionalText('failureReason') ?? null;
    if (refund.provider === 'zamp') {
      const status = body.oneOf('status', ZAMP_REFUND_STATUSES);
      body.nothingElse();
      zamp.setStatus(refund, status, failureReason);
    } else {
      const status = body.optionalOneOf('status', STRIPE_REFUND_STATUSES);
      const reference = body.optionalText('reference');
      const pendingReason = body.optionalOneOf('pendingReason', ['processing', 'insufficient_funds', 'charge_pending']);
      body.nothingElse();
      if (status === undefined && reference === undefined && pendingReason === undefined)
        throw new BadControl('status, reference or pendingReason is needed');
      if (pendingReason !== undefined) bank.setPendingReason(refund, pendingReason);
      if (status !== undefined) bank.setStatus(refund, status, failureReason);
      if (reference !== undefined) bank.setReference(refund, reference);
    }
    return { refundId: id, status: refund.status };
  }

  private orderFault(body: Body): unknown {
    const provider = body.oneOf('provider', PROVIDERS);
    const times = body.optionalInteger('times', 1) ?? 1;
    const webhook = body.optionalOneOf('webhook', WEBHOOK_FAULTS);
    if (webhook !== undefined) {
      const delayMs = body.optionalInteger('delayMs', 0) ?? 5000;
      body.nothingElse();
      this.parts.faults.orderWebhook({ provider, webhook, times, delayMs });
    } else {
      const call = body.oneOf('call', CALLS[provider]);
      const fault = body.oneOf('fault', CALL_FAULTS);
      const delayMs = body.optionalInteger('delayMs', 0) ?? 60_000;
      body.nothingElse();
      if (fault === 'lock_timeout' && provider !== 'stripe') throw new BadControl('fault: only Stripe has lock_timeout');
      this.parts.faults.orderCall({ provider, call, fault, times, delayMs });
    }
    return { ordered: times };
  }

  private setLimits(body: Body): unknown {
    const provider = body.oneOf('provider', PROVIDERS);
    const perSecond = body.optionalInteger('perSecond', 1) ?? null;
    const perEndpointPerSecond = body.optionalInteger('perEndpointPerSecond', 1) ?? null;
    body.nothingElse();
    this.parts.limits.set(provider, perSecond, perEndpointPerSecond);
    return { provider, perSecond, perEndpointPerSecond };
  }

  private aimWebhooks(body: Body): unknown {
    const target = body.text('target');
    body.nothingElse();
    if (!/^https?:$/.test(URL.parse(target)?.protocol ?? ''))
      throw new BadControl('target: an http address such as http://127.0.0.1:3000');
    this.parts.webhooks.sendTo(target);
    return { target };
  }

  /** The service first: should it refuse, the two clocks still agree. */
  private async moveClock(body: Body): Promise<unknown> {
    const advanceSeconds = body.integer('advanceSeconds', 0, TEN_YEARS_SECONDS);
    body.nothingElse();
    const { clock, webhooks, moveService } = this.parts;
    await webhooks.pause();
    try {
      await moveService?.(advanceSeconds);
      clock.advance(advanceSeconds * 1000);
    } catch (error) {
      throw new BadControl(`The service did not move its clock, so the simulators did not either: ${String(error)}`, 502);
    } finally {
      webhooks.resume();
    }
    return { now: new Date(clock.now()).toISOString() };
  }

  private async reset(): Promise<unknown> {
    const { books, clock, faults, limits, webhooks } = this.parts;
    faults.reset();
    limits.reset();
    webhooks.reset();
    clock.reset();
    await books.reset();
    return {};
  }

  private books(): unknown {
    const { stripe, zamp, deliveries } = this.parts.books;
    const movementsOf = Map.groupBy(stripe.movements.values(), (movement) => movement.paymentId);
    const ofStripe = (payment: StripePayment) => ({
      provider: 'stripe',
      paymentId: payment.id,
      ...(payment.chargeId !== null && { chargeId: payment.chargeId }),
      amount: payment.amount,
      refunds: payment.refunds.flatMap((id) => {
        const refund = stripe.refunds.get(id);
        if (refund === undefined) return [];
        const { amount, status, idempotencyKey, metadata } = refund;
        return [{ id, amount, status, idempotencyKey, metadata }];
      }),
      ...this.disputes.ofPayment(payment),
      movements: (movementsOf.get(payment.id) ?? []).map(({ id, type, source, amount, fee }) => ({
        id,
        type,
        source,
        amount,
        fee,
      })),
    });
    const ofZamp = (session: ZampSession) => ({
      provider: 'zamp',
      paymentId: session.id,
      amount: session.amount,
      refunds: session.refunds.flatMap((id) => {
        const refund = zamp.refunds.get(id);
        if (refund === undefined) return [];
        const { amount, status, idempotencyKey, referenceId, remarks } = refund;
        return [{ id, amount, status, idempotencyKey, metadata: { reference_id: referenceId, remarks } }];
      }),
      disputes: [],
      movements: [],
    });
    return {
      payments: [...stripe.payments.values().map(ofStripe), ...zamp.sessions.values().map(ofZamp)],
      files: this.disputes.files(),
      webhooks: [...deliveries.values()].map(({ id, provider, type, subject, status, answers }) => ({
        id,
        provider,
        type,
        subject,
        status,
        answers,
      })),
    };
  }
}

async function answer(work: () => unknown): Promise<{ status: number; body: string }> {
  try {
    return { status: 200, body: JSON.stringify(await work()) };
  } catch (error) {
    if (!(error instanceof BadControl)) throw error;
    return { status: error.status, body: JSON.stringify({ error: error.message }) };
  }
}
