import { exponentOf, toDecimal, type Money } from '#domain/money';
import {
  RefundProvider,
  type CallContext,
  type CallLimits,
  type NoAnswer,
  type PaymentAnswer,
  type ReadAnswer,
  type RefundOrderToSend,
  type SendAnswer,
} from '#domain/ports/refund-provider';
import type { Rejection } from '#domain/refund/refund';
import { err, ok, type Result } from '#domain/result';
import { factsOf, foundRefund, noRefund, proofOf, referenceOf, reportOf } from './zamp-answers.js';
import { jsonNumber, ZampWire, type ZampAnswer } from './zamp-wire.js';

/** One merchant at Zamp, and how it is reached. */
export interface ZampAccount {
  readonly account: string;
  readonly merchantId: string;
  readonly apiKey: string;
  readonly secret: string;
  /** The secret before this one, while notices signed with it may still come. */
  readonly previousSecret?: string | undefined;
  /** Given at onboarding. There is no default: a stage may be wired to real coins, and no production host is a safe guess. */
  readonly apiBase: string;
  /** Where Zamp's notices come from; empty: from anywhere. */
  readonly webhookAddresses: readonly string[];
  /** How often it may be called. */
  readonly limits?: Partial<CallLimits> | undefined;
}

/** Zamp documents no limit. This is far more than a shop gives back at its busiest, and little for whoever serves payments. */
const careful: CallLimits = { perSecond: 10, perSecondAndEndpoint: 5 };

/** A JSON number at Zamp is a float64, which keeps fifteen decimal digits whatever they are. */
const exactDigits = 15;
/** Ids are opaque, but they become part of a path. */
const isName = (name: string) => /^[\w-]{1,255}$/.test(name);

/**
 * Refunds over Zamp, which pays back in coins: nothing can be called back, nothing listed, and a repeated key is refused instead of
 * answered again. docs.roma.global/payments/refund
 */
export class ZampRefunds extends RefundProvider {
  override readonly provider = 'zamp';
  /** How long Zamp remembers a key is not documented; a network that is down is often back within the hour, and then it is for a person. */
  override readonly keyLifeMs = 3_600_000;
  override readonly account: string;
  override readonly limits: CallLimits;
  private readonly merchantId: string;
  private readonly wire: ZampWire;

  constructor(options: ZampAccount) {
    super();
    this.account = options.account;
    const { perSecond = careful.perSecond, perSecondAndEndpoint = careful.perSecondAndEndpoint } = options.limits ?? {};
    this.limits = { perSecond, perSecondAndEndpoint };
    this.merchantId = options.merchantId;
    this.wire = new ZampWire(options);
  }

  /** A session has one name. */
  override isOwnName(payment: string): boolean {
    return isName(payment);
  }

  /**
   * Which currencies Zamp takes beside AED, USD and SAR nobody has written down, and the payment has decided it already: so every
   * currency with ISO minor units is carried, as long as its decimal text survives a float64.
   */
  override canCarry(money: Money): Result<Money, Rejection> {
    const refuse = (why: string) =>
      err({ code: 'amount_not_representable', detail: `Zamp cannot carry ${money.amount} ${money.currency}: ${why}` });
    if (exponentOf(money.currency) === undefined) return refuse('its minor units are not known here.');
    if (money.amount < 1n) return refuse('it is less than the smallest unit.');
    return money.amount.toString().length > exactDigits ? refuse('it has too many digits.') : ok(money);
  }

  override async send(order: RefundOrderToSend, key: string, call: CallContext): Promise<SendAnswer> {
    const { attempt, money } = order;
    const exponent = exponentOf(money.currency);
    const carried = this.canCarry(money);
    if (!carried.ok || exponent === undefined) {
      const refusal = carried.ok ? null : { ...carried.error, attention: true };
      return { kind: 'report', report: noRefund('refused', attempt, call.now, refusal) };
    }
    // Always with the amount: what "the whole amount" means after a partial refund is not documented. Never with free text.
    const body = {
      payment_session_id: order.payment,
      amount: jsonNumber(toDecimal(money.amount, exponent)),
      reference_id: referenceOf(order.refundId, attempt),
    };
    const answer = await this.wire.post('/payments/v1/refunds', body, key, call);
    const unknown: SendAnswer = { kind: 'report', report: noRefund('unknown', attempt, call.now) };
    switch (answer.kind) {
      case 'data': {
        const report = reportOf(answer.data, attempt, call.now);
        // The documents show a session's id in its place once: such an answer has not told us the refund's.
        return report === null || report.providerRefundId === order.payment ? unknown : { kind: 'report', report };
      }
      case 'nothing':
        return unknown;
      case 'error': {
        const proof = proofOf(answer, order.repeated);
        if (proof.proves === 'spent') return { kind: 'spent', why: inWords(answer) };
        if (proof.proves === 'unknown') return unknown;
        if (proof.proves !== 'refused') return notDone(proof.proves, answer);
        const refusal = { code: proof.code, detail: inWords(answer), attention: proof.attention };
        return { kind: 'report', report: noRefund('refused', attempt, call.now, refusal) };
      }
    }
  }

  override async read(providerRefundId: string, call: CallContext): Promise<ReadAnswer> {
    if (!isName(providerRefundId)) return { kind: 'absent', at: call.now };
    const answer = await this.wire.get(`/payments/v1/refunds/${providerRefundId}`, call);
    if (answer.kind !== 'data') return notRead(answer, call.now);
    const refund = foundRefund(answer.data, call.now);
    if (refund?.report.providerRefundId !== providerRefundId) return { kind: 'unread', why: 'the answer is not that refund' };
    if (!this.isOurs(answer.data['merchant_id']))
      return { kind: 'absent', at: call.now, foreign: 'the refund is of another merchant' };
    const session = answer.data['payment_session_id'];
    return { kind: 'found', refund, payment: typeof session === 'string' && session !== '' ? session : null };
  }

  override async readPayment(payment: string, call: CallContext): Promise<PaymentAnswer> {
    if (!isName(payment)) return { kind: 'absent', at: call.now };
    const answer = await this.wire.get(`/payments/v1/payment-sessions/${payment}`, call);
    if (answer.kind !== 'data') return notRead(answer, call.now);
    const facts = factsOf(answer.data, call.now);
    if (facts?.name !== payment) return { kind: 'unread', why: 'the answer is not that session' };
    if (!this.isOurs(answer.data['merchant_id']))
      return { kind: 'absent', at: call.now, foreign: 'the session is of another merchant' };
    return { kind: 'found', facts, refunds: [] };
  }

  /** The documents show a merchant's id with and without a prefix, so either may end in the other. */
  private isOurs(merchant: unknown): boolean {
    if (typeof merchant !== 'string' || merchant === '') return true;
    return merchant.endsWith(this.merchantId) || this.merchantId.endsWith(merchant);
  }
}

/** Reading again does no harm, so here only "no such record" and what a person must mend are told apart. */
function notRead(answer: Exclude<ZampAnswer, { kind: 'data' }>, at: Date) {
  if (answer.kind === 'nothing') return { kind: 'unread', why: answer.why } as const;
  const proof = proofOf(answer, false);
  if (proof.proves === 'refused' && proof.code === 'payment_not_found') return { kind: 'absent', at } as const;
  if (proof.proves === 'later' || proof.proves === 'parked') return notDone(proof.proves, answer);
  return { kind: 'unread', why: inWords(answer) } as const;
}

/** That nothing was done with the key of a call that came too often is not documented, so a 429 of Zamp's slows us down and proves no more. */
function notDone(proves: 'later' | 'parked', answer: Extract<ZampAnswer, { kind: 'error' }>): NoAnswer {
  const why = inWords(answer);
  return proves === 'later' ? { kind: 'later', limit: null, why } : { kind: 'parked', why };
}

function inWords({ status, code, message }: Extract<ZampAnswer, { kind: 'error' }>): string {
  return status === 401 || status === 403 || message === '' ? `${status} ${code}` : `${status} ${code}: ${message}`;
}
