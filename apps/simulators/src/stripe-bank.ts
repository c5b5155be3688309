import { createHmac } from 'node:crypto';
import type { BalanceTransaction, Books, StripePayment, StripeRefund } from './books.js';
import type { Clock } from './clock.js';
import { randomLetters } from './ids.js';
import { CUSTOMER_HAS_SECONDS, STRIPE_VERSION, type StripeObjects } from './stripe-objects.js';
import { Refusal, withMetadata, type StripeObject } from './stripe-params.js';
import type { Webhooks } from './webhooks.js';

type RefundStory = { starts: StripeRefund['status']; becomes?: StripeRefund['status']; reason?: string; afterMs?: number };

/**
 * Stripe's test payment methods that we play, and what becomes of a refund of theirs: docs.stripe.com/testing#refunds. The last two are
 * names of our own, for payments whose refunds wait for the customer's bank details.
 */
export const REFUND_STORIES: Record<string, RefundStory> = {
  pm_card_visa: { starts: 'succeeded' },
  pm_card_bypassPending: { starts: 'succeeded' },
  pm_card_pendingRefund: { starts: 'pending', becomes: 'succeeded' },
  pm_card_refundFail: { starts: 'succeeded', becomes: 'failed', reason: 'expired_or_canceled_card' },
  pm_konbini: { starts: 'requires_action', becomes: 'failed', reason: 'declined', afterMs: CUSTOMER_HAS_SECONDS * 1000 },
  pm_bank_transfer: { starts: 'requires_action', becomes: 'canceled', afterMs: CUSTOMER_HAS_SECONDS * 1000 },
};

/** Which request caused a change, as events tell it: none, a call with or without a key, or a click in the dashboard. */
export type Cause = { requestId: string | null; idempotencyKey: string | null; call: boolean };

export const BY_ITSELF: Cause = { requestId: null, idempotencyKey: null, call: false };

type NewPayment = {
  amount: number;
  currency: string;
  paymentMethod: string;
  status: string;
  refundDelayMs: number;
  decisionDelayMs: number;
  /** How long ago it was made; a bank wants to see old payments beside a disputed one. */
  daysAgo?: number;
};

type NewRefund = {
  amount: number | undefined;
  reason: string | null;
  metadata: Record<string, string>;
  instructionsEmail: string | null;
};

/** docs.stripe.com/currencies#special-cases: the smallest step, in Stripe's own unit. All others go in steps of one. */
const STEPS: Record<string, number> = { ISK: 100, UGX: 100, BHD: 10, JOD: 10, KWD: 10, OMR: 10, TND: 10 };

/** `Stripe-Signature` over the seconds and the raw body. docs.stripe.com/webhooks#verify-manually */
export function stripeSignature(secret: string, seconds: number, body: string): string {
  return `t=${seconds},v1=${createHmac('sha256', secret).update(`${seconds}.${body}`).digest('hex')}`;
}

/** What Stripe and the shopper's bank do with money, and the events that tell of it. */
export class StripeBank {
  private readonly whenRefunded: ((payment: StripePayment) => void)[] = [];

  constructor(
    private readonly books: Books,
    private readonly clock: Clock,
    private readonly webhooks: Webhooks,
    private readonly objects: StripeObjects,
    webhookSecret: string,
  ) {
    clock.task('stripe.refund', (refundId) => this.runStory(refundId));
    webhooks.writeWith('stripe', (eventId) => {
      const body = books.stripe.events.get(eventId)?.body;
      return body === undefined
        ? undefined
        : { body, headers: { 'stripe-signature': stripeSignature(webhookSecret, clock.seconds(), body) } };
    });
  }

  /** Whoever else must know that a payment was refunded, right after it was. */
  onRefund(then: (payment: StripePayment) => void): void {
    this.whenRefunded.push(then);
  }

  /** A payment as if a shopper had made it. It sends no events: our endpoint is subscribed to refunds and disputes only. */
  pay({ daysAgo = 0, ...input }: NewPayment): StripePayment {
    const id = `pi_3${randomLetters(23)}`;
    const charged = input.status === 'succeeded' || input.status === 'requires_capture';
    const payment: StripePayment = {
      ...input,
      provider: 'stripe',
      id,
      chargeId: charged ? `ch_3${randomLetters(23)}` : null,
      balanceTransactionId: null,
      created: this.clock.seconds() - daysAgo * 86_400,
      refunds: [],
    };
    if (payment.chargeId !== null) this.books.stripe.charges.put(payment.chargeId, id);
    if (payment.chargeId !== null && input.status === 'succeeded') {
      const fee = Math.min(input.amount, Math.round(input.amount * 0.029) + 30);
      payment.balanceTransactionId = this.move(payment, payment.chargeId, 'charge', input.amount, fee);
    }
    this.books.stripe.payments.put(id, payment);
    return payment;
  }

  /** Sends money back, or refuses as stripe.com/docs/refunds and its error codes say. */
  refund(payment: StripePayment, wanted: NewRefund, cause: Cause): StripeRefund {
    const amount = this.allowed(payment, wanted.amount);
    const id = `re_3${randomLetters(23)}`;
    const refund: StripeRefund = {
      provider: 'stripe',
      id,
      paymentId: payment.id,
      amount,
      status: REFUND_STORIES[payment.paymentMethod]?.starts ?? 'succeeded',
      reason: wanted.reason,
      pendingReason: null,
      failureReason: null,
      reference: null,
      metadata: wanted.metadata,
      instructionsEmail: wanted.instructionsEmail,
      idempotencyKey: cause.idempotencyKey,
      balanceTransactionId: this.move(payment, id, 'refund', -amount, 0),
      failureBalanceTransactionId: null,
      created: this.clock.seconds(),
    };
    this.books.stripe.refunds.put(id, refund);
    payment.refunds.push(id);
    this.books.stripe.payments.put(payment.id, payment);
    const { becomes, afterMs } = REFUND_STORIES[payment.paymentMethod] ?? {};
    if (becomes !== undefined) this.clock.later(afterMs ?? payment.refundDelayMs, 'stripe.refund', id);
    this.tell('refund.created', id, this.objects.refund(refund), cause);
    this.tell('charge.refunded', payment.chargeId ?? payment.id, this.objects.charge(payment), cause);
    for (const then of this.whenRefunded) then(payment);
    return refund;
  }

  /** What the bank says later, also against what was said before. */
  setStatus(refund: StripeRefund, status: StripeRefund['status'], failureReason: string | null, cause: Cause = BY_ITSELF): void {
    this.clock.cancel(refund.id);
    if (refund.status === status) return;
    const previous = { status: refund.status };
    const nothing = status === 'failed' || status === 'canceled';
    refund.status = status;
    refund.failureReason = nothing ? (failureReason ?? (status === 'failed' ? 'unknown' : 'merchant_request')) : null;
    const payment = this.books.stripe.payments.get(refund.paymentId);
    if (nothing && refund.failureBalanceTransactionId === null && payment !== undefined)
      refund.failureBalanceTransactionId = this.move(payment, refund.id, 'refund_failure', refund.amount, 0);
    this.books.stripe.refunds.put(refund.id, refund);
    this.tell('refund.updated', refund.id, this.objects.refund(refund), cause, previous);
    if (status === 'failed') this.tell('refund.failed', refund.id, this.objects.refund(refund), cause);
  }

  /** Why it still waits. */
  setPendingReason(refund: StripeRefund, pendingReason: string): void {
    const { pending_reason: previous } = this.objects.refund(refund);
    refund.pendingReason = pendingReason;
    this.books.stripe.refunds.put(refund.id, refund);
    if (refund.status === 'pending' && previous !== pendingReason)
      this.tell('refund.updated', refund.id, this.objects.refund(refund), BY_ITSELF, { pending_reason: previous });
  }

  /** The bank's reference is known now. Announced twice, by the current event and by the deprecated one, as in the sandbox. */
  setReference(refund: StripeRefund, reference: string): void {
    const { destination_details: previous } = this.objects.refund(refund);
    refund.reference = reference;
    this.books.stripe.refunds.put(refund.id, refund);
    for (const type of ['refund.updated', 'charge.refund.updated'])
      this.tell(type, refund.id, this.objects.refund(refund), BY_ITSELF, { destination_details: previous });
  }

  setMetadata(refund: StripeRefund, changes: Record<string, string> | 'unset all', cause: Cause): void {
    const previous = refund.metadata;
    refund.metadata = withMetadata(previous, changes);
    this.books.stripe.refunds.put(refund.id, refund);
    this.tell('refund.updated', refund.id, this.objects.refund(refund), cause, { metadata: previous });
  }

  private runStory(refundId: string): void {
    const refund = this.books.stripe.refunds.get(refundId);
    const payment = refund && this.books.stripe.payments.get(refund.paymentId);
    const { becomes, reason = null } = (payment && REFUND_STORIES[payment.paymentMethod]) ?? {};
    if (refund !== undefined && becomes !== undefined) this.setStatus(refund, becomes, reason);
  }

  private allowed(payment: StripePayment, wanted: number | undefined): number {
    const { chargeId, status, amount } = payment;
    if (chargeId === null)
      throw new Refusal(400, { message: `This PaymentIntent (${payment.id}) has no successful charge to refund.` });
    if (status !== 'succeeded')
      throw new Refusal(400, { message: `Charge ${chargeId} was not captured; cancel its PaymentIntent instead.` });
    if (this.objects.disputesOf(payment).some((dispute) => !this.objects.isChargeRefundable(dispute)))
      throw new Refusal(400, {
        code: 'charge_disputed',
        message: `Charge ${chargeId} has been charged back; it can only be refunded if the dispute is won.`,
      });
    const left = amount - this.objects.amountRefunded(payment);
    if (left <= 0)
      throw new Refusal(400, { code: 'charge_already_refunded', message: `Charge ${chargeId} has already been refunded.` });
    if (wanted === undefined) return left;
    if (wanted > left)
      throw new Refusal(400, { param: 'amount', message: `Refund amount ${wanted} is more than the unrefunded ${left}.` });
    const step = STEPS[payment.currency] ?? 1;
    if (wanted % step !== 0)
      throw new Refusal(400, { param: 'amount', message: `Amounts in ${payment.currency} must be divisible by ${step}.` });
    return wanted;
  }

  /** Writes down that money moved on our balance. */
  move(
    payment: StripePayment,
    source: string,
    type: BalanceTransaction['type'],
    amount: number,
    fee: number,
    more: Pick<BalanceTransaction, 'category' | 'exchangeRate'> = {},
  ): string {
    const id = `txn_3${randomLetters(23)}`;
    const created = this.clock.seconds();
    this.books.stripe.movements.put(id, { id, paymentId: payment.id, source, type, amount, fee, created, ...more });
    return id;
  }

  /** Makes an event of what happened and sends it. */
  tell(type: string, subject: string, object: StripeObject, cause: Cause, previous?: StripeObject): void {
    const id = `evt_3${randomLetters(23)}`;
    const created = this.clock.seconds();
    const body = JSON.stringify({
      id,
      object: 'event',
      api_version: STRIPE_VERSION,
      created,
      data: { object, ...(previous !== undefined && { previous_attributes: previous }) },
      livemode: false,
      pending_webhooks: 1,
      request: { id: cause.requestId, idempotency_key: cause.idempotencyKey },
      type,
    });
    this.books.stripe.events.put(id, { id, type, body, created });
    this.webhooks.send('stripe', id, { type, subject }, cause.call);
  }
}
