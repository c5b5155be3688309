import type { BalanceTransaction, Books, StripeDispute, StripeEvent, StripePayment, StripeRefund } from './books.js';
import { drawDispute } from './stripe-dispute-objects.js';
import { drawFile } from './stripe-files.js';
import { Refusal, type StripeObject } from './stripe-params.js';

/** The API version whose objects we draw, also that of the webhook endpoint. */
export const STRIPE_VERSION = '2026-10-28.endive';

/** Refunds that came to nothing: their amount can be refunded again. */
const CAME_TO_NOTHING = new Set(['failed', 'canceled']);
const DAY_SECONDS = 86_400;
/** How long a customer has to give bank details. docs.stripe.com/payments/customer-balance/refunding */
export const CUSTOMER_HAS_SECONDS = 45 * DAY_SECONDS;

/** Stripe's objects, drawn from the books with all the fields that Stripe sends for a plain card payment. */
export class StripeObjects {
  constructor(private readonly books: Books) {}

  refundsOf(payment: StripePayment): StripeRefund[] {
    return payment.refunds.map((id) => this.books.stripe.refunds.get(id)).filter((refund) => refund !== undefined);
  }

  /** How much of the charge is refunded. What failed does not count: it can be refunded again. */
  amountRefunded(payment: StripePayment): number {
    const kept = this.refundsOf(payment).filter((refund) => !CAME_TO_NOTHING.has(refund.status));
    return kept.reduce((sum, refund) => sum + refund.amount, 0);
  }

  disputesOf(payment: StripePayment): StripeDispute[] {
    return (payment.disputes ?? []).map((id) => this.books.stripe.disputes.get(id)).filter((dispute) => dispute !== undefined);
  }

  movementsOf(dispute: StripeDispute): BalanceTransaction[] {
    return dispute.movements.map((id) => this.books.stripe.movements.get(id)).filter((movement) => movement !== undefined);
  }

  /** How much of the payment's money the bank holds because of this dispute. */
  taken(dispute: StripeDispute): number {
    return this.movementsOf(dispute).reduce((sum, { amount }) => sum - amount, 0);
  }

  /** Before money moved, and again once it is back. What is lost stays unrefundable even where all of it came back. */
  isChargeRefundable(dispute: StripeDispute): boolean {
    return dispute.status !== 'lost' && this.taken(dispute) <= 0;
  }

  dispute(dispute: StripeDispute, nowSeconds: number): StripeObject {
    const chargeId = this.books.stripe.payments.get(dispute.paymentId)?.chargeId ?? null;
    const movements = this.movementsOf(dispute).map((movement) => this.balanceTransaction(movement, nowSeconds));
    return drawDispute(dispute, chargeId, movements, this.isChargeRefundable(dispute));
  }

  refund(refund: StripeRefund): StripeObject {
    const payment = this.books.stripe.payments.get(refund.paymentId);
    const failed = CAME_TO_NOTHING.has(refund.status);
    return {
      id: refund.id,
      object: 'refund',
      amount: refund.amount,
      balance_transaction: refund.balanceTransactionId,
      charge: payment?.chargeId ?? null,
      created: refund.created,
      currency: payment?.currency.toLowerCase(),
      customer: null,
      customer_account: null,
      destination_details: {
        card: {
          ...(refund.reference !== null && { reference: refund.reference }),
          reference_status: refund.reference === null ? 'pending' : 'available',
          reference_type: 'acquirer_reference_number',
          type: 'refund',
        },
        type: 'card',
      },
      ...(failed &&
        refund.failureBalanceTransactionId !== null && { failure_balance_transaction: refund.failureBalanceTransactionId }),
      ...(failed && refund.failureReason !== null && { failure_reason: refund.failureReason }),
      ...(refund.instructionsEmail !== null && { instructions_email: refund.instructionsEmail }),
      metadata: refund.metadata,
      ...(refund.status === 'requires_action' && { next_action: nextAction(refund) }),
      payment_intent: refund.paymentId,
      payment_method: payment === undefined ? null : paymentMethodId(payment),
      ...(refund.status === 'pending' && { pending_reason: refund.pendingReason ?? 'processing' }),
      reason: refund.reason,
      receipt_number: null,
      source_transfer_reversal: null,
      status: refund.status,
      transfer_reversal: null,
    };
  }

  charge(payment: StripePayment): StripeObject {
    const refunded = this.amountRefunded(payment);
    const captured = payment.status === 'succeeded';
    return {
      id: payment.chargeId,
      object: 'charge',
      amount: payment.amount,
      amount_captured: captured ? payment.amount : 0,
      amount_refunded: refunded,
      application: null,
      application_fee: null,
      application_fee_amount: null,
      balance_transaction: payment.balanceTransactionId,
      billing_details: {
        address: { city: null, country: null, line1: null, line2: null, postal_code: null, state: null },
        email: null,
        name: null,
        phone: null,
        tax_id: null,
      },
      calculated_statement_descriptor: 'REDRESS SIMULATOR',
      captured,
      created: payment.created,
      currency: payment.currency.toLowerCase(),
      customer: null,
      description: null,
      disputed: (payment.disputes ?? []).length > 0,
      failure_balance_transaction: null,
      failure_code: null,
      failure_message: null,
      fraud_details: {},
      livemode: false,
      metadata: {},
      on_behalf_of: null,
      outcome: {
        advice_code: null,
        network_advice_code: null,
        network_decline_code: null,
        network_status: 'approved_by_network',
        reason: null,
        risk_level: 'normal',
        risk_score: 12,
        seller_message: 'Payment complete.',
        type: 'authorized',
      },
      paid: true,
      payment_intent: payment.id,
      payment_method: paymentMethodId(payment),
      payment_method_details: { card: card(payment), type: 'card' },
      radar_options: {},
      receipt_email: null,
      receipt_number: null,
      receipt_url: null,
      refunded: captured && refunded >= payment.amount,
      review: null,
      shipping: null,
      source_transfer: null,
      statement_descriptor: null,
      statement_descriptor_suffix: null,
      status: 'succeeded',
      transfer_data: null,
      transfer_group: null,
    };
  }

  paymentIntent(payment: StripePayment): StripeObject {
    const captured = payment.status === 'succeeded';
    return {
      id: payment.id,
      object: 'payment_intent',
      amount: payment.amount,
      amount_capturable: payment.status === 'requires_capture' ? payment.amount : 0,
      amount_details: { tip: {} },
      amount_received: captured ? payment.amount : 0,
      application: null,
      application_fee_amount: null,
      automatic_payment_methods: null,
      canceled_at: payment.status === 'canceled' ? payment.created : null,
      cancellation_reason: null,
      capture_method: payment.status === 'requires_capture' ? 'manual' : 'automatic',
      client_secret: `${payment.id}_secret_simulated`,
      confirmation_method: 'automatic',
      created: payment.created,
      currency: payment.currency.toLowerCase(),
      customer: null,
      customer_account: null,
      description: null,
      excluded_payment_method_types: null,
      last_payment_error: null,
      latest_charge: payment.chargeId,
      livemode: false,
      metadata: {},
      next_action: null,
      on_behalf_of: null,
      payment_method: paymentMethodId(payment),
      payment_method_configuration_details: null,
      payment_method_options: {
        card: { installments: null, mandate_options: null, network: null, request_three_d_secure: 'automatic' },
      },
      payment_method_types: ['card'],
      processing: null,
      receipt_email: null,
      review: null,
      setup_future_usage: null,
      shipping: null,
      statement_descriptor: null,
      statement_descriptor_suffix: null,
      status: payment.status,
      transfer_data: null,
      transfer_group: null,
    };
  }

  balanceTransaction(movement: BalanceTransaction, nowSeconds: number): StripeObject {
    const payment = this.books.stripe.payments.get(movement.paymentId);
    const currency = payment?.currency.toLowerCase();
    // A charge settles two days later, unless its test card says "straight to the available balance".
    const waits = movement.type === 'charge' && payment?.paymentMethod !== 'pm_card_bypassPending';
    const availableOn = movement.created + (waits ? 2 * DAY_SECONDS : 0);
    const what = movement.type === 'adjustment' ? 'Dispute fee' : 'Stripe processing fees';
    const fee = { amount: movement.fee, application: null, currency, description: what, type: 'stripe_fee' };
    return {
      id: movement.id,
      object: 'balance_transaction',
      amount: movement.amount,
      available_on: availableOn,
      balance_type: 'payments',
      created: movement.created,
      currency,
      description: null,
      exchange_rate: movement.exchangeRate ?? null,
      fee: movement.fee,
      fee_details: movement.fee === 0 ? [] : [fee],
      net: movement.amount - movement.fee,
      reporting_category: movement.category ?? movement.type,
      source: movement.source,
      status: availableOn <= nowSeconds ? 'available' : 'pending',
      type: movement.type,
    };
  }

  event(event: StripeEvent): StripeObject {
    const delivery = this.books.deliveries.get(event.id);
    return { ...(JSON.parse(event.body) as StripeObject), pending_webhooks: delivery?.status === 'waiting' ? 1 : 0 };
  }

  list(url: string, page: StripeObject[], hasMore: boolean): StripeObject {
    return { object: 'list', data: page, has_more: hasMore, url };
  }

  /** Replaces ids by objects along each dotted path, through lists too. docs.stripe.com/api/expanding_objects */
  expand(object: StripeObject, paths: string[], nowSeconds: number): StripeObject {
    for (const path of paths) {
      const steps = path.split('.');
      if (steps.length > 4) throw cannotExpand(path);
      this.expandAlong(object, steps, path, nowSeconds);
    }
    return object;
  }

  private expandAlong(object: StripeObject, [step, ...rest]: string[], path: string, nowSeconds: number): void {
    if (step === undefined) return;
    if (step === 'refunds' && object['object'] === 'charge') object['refunds'] ??= this.newestRefunds(object);
    let value = object[step];
    if (value === null) return;
    if (typeof value === 'string') {
      value = this.byId(value, nowSeconds);
      object[step] = value;
    }
    if (typeof value !== 'object' || value === null) throw cannotExpand(path);
    const inside = value as StripeObject;
    if (Array.isArray(value)) for (const item of value as StripeObject[]) this.expandAlong(item, rest, path, nowSeconds);
    else if (rest.length > 0) this.expandAlong(inside, rest, path, nowSeconds);
    else if (inside['object'] === undefined) throw cannotExpand(path);
  }

  private newestRefunds(charge: StripeObject): StripeObject {
    const payment = this.books.stripe.payments.get(String(charge['payment_intent']));
    const refunds = payment === undefined ? [] : this.refundsOf(payment).reverse();
    const page = refunds.slice(0, 10).map((refund) => this.refund(refund));
    return this.list(`/v1/charges/${String(charge['id'])}/refunds`, page, refunds.length > 10);
  }

  private byId(id: string, nowSeconds: number): StripeObject | undefined {
    const { payments, charges, refunds, movements, disputes, files } = this.books.stripe;
    const payment = payments.get(id);
    if (payment !== undefined) return this.paymentIntent(payment);
    const charged = payments.get(charges.get(id) ?? '');
    if (charged !== undefined) return this.charge(charged);
    const refund = refunds.get(id);
    if (refund !== undefined) return this.refund(refund);
    const dispute = disputes.get(id);
    if (dispute !== undefined) return this.dispute(dispute, nowSeconds);
    const file = files.get(id);
    if (file !== undefined) return drawFile(file);
    const movement = movements.get(id);
    return movement === undefined ? undefined : this.balanceTransaction(movement, nowSeconds);
  }
}

function cannotExpand(path: string): Refusal {
  return new Refusal(400, { message: `This property cannot be expanded (${path}).`, param: 'expand' });
}

function nextAction(refund: StripeRefund): StripeObject {
  return {
    display_details: {
      email_sent: { email_sent_at: refund.created, email_sent_to: refund.instructionsEmail ?? 'shopper@example.com' },
      expires_at: refund.created + CUSTOMER_HAS_SECONDS,
    },
    type: 'display_details',
  };
}

function paymentMethodId(payment: StripePayment): string {
  return payment.id.replace('pi_', 'pm_');
}

/** The last digits of Stripe's test cards: docs.stripe.com/testing */
const LAST4: Record<string, string> = {
  pm_card_refundFail: '5126',
  pm_card_pendingRefund: '7726',
  pm_card_bypassPending: '0077',
  pm_card_createDispute: '0259',
  pm_card_createDisputeProductNotReceived: '2685',
  pm_card_createDisputeInquiry: '1976',
  pm_card_createIssuerFraudRecord: '5423',
  pm_card_createMultipleDisputes: '0079',
  pm_card_createCe3EligibleDispute: '0038',
  pm_card_createComplianceDispute: '0779',
  pm_card_createMastercardComplianceDispute: '0002',
  pm_card_createAutoRepresentmentEligibleDispute: '0043',
};

function card(payment: StripePayment): StripeObject {
  const brand = payment.paymentMethod === 'pm_card_createMastercardComplianceDispute' ? 'mastercard' : 'visa';
  return {
    amount_authorized: payment.amount,
    authorization_code: '314159',
    brand,
    checks: { address_line1_check: null, address_postal_code_check: null, cvc_check: 'pass' },
    country: 'US',
    exp_month: 12,
    exp_year: 2034,
    extended_authorization: { status: 'disabled' },
    fingerprint: 'SimulatedCardPrint',
    funding: 'credit',
    incremental_authorization: { status: 'unavailable' },
    installments: null,
    last4: LAST4[payment.paymentMethod] ?? '4242',
    mandate: null,
    multicapture: { status: 'unavailable' },
    network: brand,
    network_token: { used: false },
    network_transaction_id: '314159265358979',
    overcapture: { maximum_amount_capturable: payment.amount, status: 'unavailable' },
    regulated_status: 'unregulated',
    three_d_secure: null,
    transaction_link_id: null,
    wallet: null,
  };
}
