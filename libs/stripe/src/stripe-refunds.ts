import Stripe from 'stripe';
import type { DisputeReport } from '#domain/dispute/dispute';
import type { Money } from '#domain/money';
import type { PaymentFacts } from '#domain/payment/payment';
import type { ListAnswer, ListedRefund, RefundList } from '#domain/ports/refund-list';
import {
  RefundProvider,
  type CallContext,
  type CallLimits,
  type FoundRefund,
  type PaymentAnswer,
  type ReadAnswer,
  type RefundOrderToSend,
  type SendAnswer,
} from '#domain/ports/refund-provider';
import type { Rejection } from '#domain/refund/refund';
import { ok, type Result } from '#domain/result';
import { fromStripe, toStripe } from './stripe-amounts.js';
import { foundRefund, idOf, inWords, noRefund, ours, proofOf, refusals } from './stripe-answers.js';
import { allOf, entriesOf, pageSize, StripeClient, Unreadable, type StripeAccount } from './stripe-client.js';
import { foundDispute } from './stripe-dispute-answers.js';

const reasons = ['requested_by_customer', 'duplicate', 'fraudulent'] as const;

/** Refunds over Stripe. docs.stripe.com/refunds, docs.stripe.com/api/refunds */
export class StripeRefunds extends RefundProvider implements RefundList {
  override readonly provider = 'stripe';
  /** Stripe keeps a key for a day at least. docs.stripe.com/api/idempotent_requests */
  override readonly keyLifeMs = 23 * 3_600_000;
  override readonly account: string;
  override readonly limits: CallLimits;
  private readonly stripe: Stripe;

  constructor(
    account: StripeAccount,
    private readonly client = new StripeClient(account),
  ) {
    super();
    this.account = client.account;
    this.limits = client.limits;
    this.stripe = client.api;
  }

  override isOwnName(payment: string): boolean {
    return /^pi_[A-Za-z0-9]+$/.test(payment);
  }

  override canCarry(money: Money): Result<Money, Rejection> {
    const units = toStripe(money);
    return units.ok ? ok(money) : units;
  }

  override send(order: RefundOrderToSend, key: string, call: CallContext): Promise<SendAnswer> {
    const units = toStripe(order.money);
    if (!units.ok) {
      const refusal = { ...units.error, attention: true };
      return Promise.resolve({ kind: 'report', report: noRefund('refused', order.attempt, call.now, refusal) });
    }
    return this.client.during(call, async (): Promise<SendAnswer> => {
      try {
        const made = await this.stripe.refunds.create(
          {
            ...named(order.payment),
            amount: units.value,
            ...reasonFor(order),
            metadata: { [ours.refund]: order.refundId, [ours.attempt]: String(order.attempt) },
          },
          { idempotencyKey: key, maxNetworkRetries: 0 },
        );
        const found = foundRefund(await this.asItIsNow(made), call.now);
        const report =
          found === null ? noRefund('unknown', order.attempt, call.now) : { ...found.report, attempt: order.attempt };
        return { kind: 'report', report };
      } catch (error) {
        return this.afterRefusal(error, order, call);
      }
    });
  }

  /** A repeated key brings back the first answer, word for word and up to a day old; what became of the refund since stands in the refund. */
  private async asItIsNow(made: Stripe.Response<Stripe.Refund>): Promise<Stripe.Refund> {
    if (made.lastResponse.headers['idempotent-replayed'] !== 'true') return made;
    // Read in vain, the first answer still proves that the refund is there; its webhook or a poll brings the rest.
    return this.stripe.refunds.retrieve(made.id).catch(() => made);
  }

  private async afterRefusal(error: unknown, order: RefundOrderToSend, call: CallContext): Promise<SendAnswer> {
    const proof = proofOf(error, refusals);
    switch (proof.proves) {
      case 'unknown':
        return { kind: 'report', report: noRefund('unknown', order.attempt, call.now) };
      case 'later':
        return { kind: 'later', limit: proof.limit, why: inWords(error) };
      case 'parked':
        return { kind: 'parked', why: inWords(error) };
      case 'refused': {
        const refusal = { code: proof.code, detail: inWords(error), attention: proof.attention };
        // Where the payment itself is gone the wrong account is asked, and what the first call did is not to be seen there.
        const isBlind = order.repeated && proof.code === 'payment_not_found';
        if (isBlind) return { kind: 'report', report: noRefund('unknown', order.attempt, call.now) };
        const made = order.repeated ? await this.madeBefore(order, call) : null;
        return { kind: 'report', report: made ?? noRefund('refused', order.attempt, call.now, refusal) };
      }
    }
  }

  /**
   * Stripe forgets a key after a day at the earliest, and then a refund that we made ourselves is why there is "nothing left". So a
   * refusal of a repeated call counts only when the payment's list, in all statuses, has no refund of this attempt.
   */
  private async madeBefore(order: RefundOrderToSend, call: CallContext) {
    try {
      const refunds = await this.refundsOf(named(order.payment), call.now);
      const mine = refunds.find(({ refundId, report }) => refundId === order.refundId && report.attempt === order.attempt);
      return mine?.report ?? null;
    } catch {
      return noRefund('unknown', order.attempt, call.now);
    }
  }

  override read(providerRefundId: string, call: CallContext): Promise<ReadAnswer> {
    return this.client.reading<ReadAnswer>(providerRefundId, call, async () => {
      const found = foundRefund(await this.stripe.refunds.retrieve(providerRefundId), call.now);
      if (found === null) throw new Unreadable('the answer is no refund');
      const { report, refundId, payment } = found;
      return { kind: 'found', refund: { report, refundId }, payment };
    });
  }

  override readPayment(payment: string, call: CallContext): Promise<PaymentAnswer> {
    return this.client.reading<PaymentAnswer>(payment, call, async () => {
      const { intent, charge } = payment.startsWith('pi_') ? await this.byIntent(payment) : await this.byCharge(payment);
      const facts = factsOf(intent, charge, call.now);
      if (charge === null) return { kind: 'found', facts, refunds: [] };
      const of = intent === null ? { charge: charge.id } : { payment_intent: intent.id };
      const refunds = await this.refundsOf(of, call.now, charge.refunds);
      // It stays true for ever, so a payment that was never disputed costs no call for this.
      return charge.disputed
        ? { kind: 'found', facts, refunds, disputes: await this.disputesOf(of, call.now) }
        : { kind: 'found', facts, refunds };
    });
  }

  async listRefunds(since: Date, after: string | null, call: CallContext): Promise<ListAnswer> {
    const answer = await this.client.reading<ListAnswer>('refunds', call, async () => {
      const created = { gte: Math.floor(since.getTime() / 1_000) };
      const page = await this.stripe.refunds.list({
        created,
        limit: pageSize,
        ...(after === null ? {} : { starting_after: after }),
      });
      const { entries, next } = entriesOf<ListedRefund>(page, (each) => foundRefund(each, call.now));
      return { kind: 'page', refunds: entries, next };
    });
    return answer.kind === 'absent' ? { kind: 'unread', why: 'the list was not found' } : answer;
  }

  private async byIntent(id: string): Promise<{ intent: Intent; charge: Stripe.Charge | null }> {
    const intent = await this.stripe.paymentIntents.retrieve(id, { expand: ['latest_charge.refunds'] });
    const charge = intent.latest_charge;
    if (intent.object !== 'payment_intent' || typeof charge === 'string') throw new Unreadable('the answer is no payment');
    return { intent, charge };
  }

  private async byCharge(id: string): Promise<{ intent: Intent | null; charge: Stripe.Charge }> {
    const charge = await this.stripe.charges.retrieve(id, { expand: ['refunds'] });
    if (charge.object !== 'charge') throw new Unreadable('the answer is no charge');
    const intent = idOf(charge.payment_intent);
    return { intent: intent === null ? null : { id: intent, status: 'succeeded' }, charge };
  }

  /** All refunds of a payment, in all statuses. */
  private async refundsOf(of: PaymentFilter, at: Date, begun?: Stripe.ApiList<Stripe.Refund> | null): Promise<FoundRefund[]> {
    const page = (more: { starting_after?: string } = {}) => this.stripe.refunds.list({ ...of, limit: pageSize, ...more });
    return allOf(
      begun ?? (await page()),
      (after) => page({ starting_after: after }),
      (each): FoundRefund | null => {
        const refund = foundRefund(each, at);
        return refund && { report: refund.report, refundId: refund.refundId };
      },
    );
  }

  /** All disputes of a payment, in all statuses. */
  private async disputesOf(of: PaymentFilter, at: Date): Promise<DisputeReport[]> {
    const page = (more: { starting_after?: string } = {}) => this.stripe.disputes.list({ ...of, limit: pageSize, ...more });
    return allOf(
      await page(),
      (after) => page({ starting_after: after }),
      (each) => foundDispute(each, at),
    );
  }
}

type PaymentFilter = { payment_intent: string } | { charge: string };
type Intent = Pick<Stripe.PaymentIntent, 'id' | 'status'> & { readonly currency?: string };

const named = (payment: string) => (payment.startsWith('pi_') ? { payment_intent: payment } : { charge: payment });

/** Stripe takes three reasons, and `fraudulent` is more than a label: it blocks the customer's card and e-mail. docs.stripe.com/refunds */
function reasonFor({ reason, blockCustomer }: RefundOrderToSend): { reason?: (typeof reasons)[number] } {
  const known = reasons.find((each) => each === reason);
  return known === undefined || (known === 'fraudulent' && !blockCustomer) ? {} : { reason: known };
}

function factsOf(intent: Intent | null, charge: Stripe.Charge | null, at: Date): PaymentFacts {
  const name = intent?.id ?? charge?.id;
  const currency = (charge?.currency ?? intent?.currency)?.toUpperCase();
  if (name === undefined || currency === undefined) throw new Unreadable('the payment has no currency');
  const captured = charge === null ? 0n : fromStripe(charge.amount_captured, currency);
  return {
    name,
    currency,
    at,
    basis: 'provider',
    aliases: charge === null || charge.id === name ? [] : [charge.id],
    captured: captured ?? 0n,
    paidAt: charge?.captured === true && charge.status === 'succeeded' ? timeOf(charge.created) : null,
    refusal: captured === null ? notOurUnits(currency) : refusalOf(intent, charge),
  };
}

/** Stripe counts in seconds; and a charge tells when it was made, not when it was captured. */
const timeOf = (seconds: unknown) =>
  typeof seconds === 'number' && seconds > 0 && seconds < 1e11 ? new Date(seconds * 1_000) : null;

/** Why nothing of the payment can be refunded now. docs.stripe.com/payments/paymentintents/lifecycle */
function refusalOf(intent: Intent | null, charge: Stripe.Charge | null): Rejection | null {
  const what = intent?.id ?? charge?.id;
  if (intent?.status === 'canceled') return { code: 'payment_not_refundable', detail: `${what} was canceled.` };
  if (charge?.status === 'failed') return { code: 'payment_not_refundable', detail: `${what} has failed.` };
  if (charge === null || !charge.captured) {
    return {
      code: 'payment_not_captured',
      detail: `Nothing of ${what} has been captured. Cancel the payment instead of refunding it.`,
    };
  }
  if (charge.status !== 'succeeded' || intent?.status === 'requires_capture' || intent?.status === 'processing') {
    return { code: 'payment_not_captured', detail: `${what} has not succeeded yet.` };
  }
  // Connect: without `reverse_transfer` the whole refund would be the platform's loss, and who bears it is not ours to guess.
  if (isSplit(charge)) return { code: 'payment_not_refundable', detail: `Part of ${what} went to a connected account.` };
  return null;
}

const isSplit = (charge: Stripe.Charge) => (charge.transfer_data ?? null) !== null;

const notOurUnits = (currency: string): Rejection => ({
  code: 'amount_not_representable',
  detail: `The captured amount in ${currency} cannot be read exactly.`,
});
