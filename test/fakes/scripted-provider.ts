import type { DisputeReport } from '#domain/dispute/dispute';
import type { Money } from '#domain/money';
import type { ListAnswer, RefundList } from '#domain/ports/refund-list';
import {
  RefundProvider,
  type CallContext,
  type FoundRefund,
  type NoAnswer,
  type PaymentAnswer,
  type ReadAnswer,
  type RefundOrderToSend,
  type SendAnswer,
} from '#domain/ports/refund-provider';
import type { RefundReport, Rejection, Says } from '#domain/refund/refund';
import { err, ok, type Result } from '#domain/result';

/**
 * What happens to a call on its way. After a lost answer the work was done, after a lost call it was not; nobody outside can tell. `failed`:
 * not done, `done_and_failed`: done, and in both its key gives that same failure as long as it is known, where keys are.
 */
export type Fate = 'answered' | 'answer_lost' | 'call_lost' | 'failed' | 'done_and_failed' | 'later' | 'locked' | 'parked';

interface BookedPayment {
  readonly name: string;
  readonly aliases: readonly string[];
  readonly currency: string;
  readonly captured: bigint;
  readonly paidAt: Date | null;
  readonly refusal: Rejection | null;
}

export interface BookedRefund {
  readonly id: string;
  readonly payment: string;
  readonly amount: bigint;
  readonly currency: string;
  readonly key: string | null;
  readonly refundId: string | null;
  readonly attempt: number;
  readonly madeAt: Date;
  says: Says;
  failureCode: string | null;
  bankReference: string | null;
}

/**
 * A provider in memory, with books of its own: what money really went out is in `refunds`, whatever the answers said. By default it is
 * like Stripe: it lists refunds and answers a repeated key with the first answer. With `lists: false` it is like Zamp, which does neither.
 */
export class ScriptedProvider extends RefundProvider implements RefundList {
  override readonly keyLifeMs = 23 * 3_600_000;
  override readonly provider: string;
  override readonly account: string;
  override readonly limits = { perSecond: 100_000, perSecondAndEndpoint: 100_000 };
  readonly refunds: BookedRefund[] = [];
  /** Every call that was made, lost ones too, in order. */
  readonly calls: {
    readonly what: 'send' | 'read' | 'readPayment' | 'list';
    readonly of: string;
    readonly key: string | null;
  }[] = [];
  /** Refunds of ours that the books refused to make, once per try. */
  readonly refusals: string[] = [];
  /** The time in which refunds are made. */
  now: () => Date = () => new Date(0);
  /** The disputes of a payment, where there is somebody who knows. */
  disputesOf: (payment: string, at: Date) => readonly DisputeReport[] = () => [];
  /** What the provider says of a refund at first. */
  firstSays: Says = 'succeeded';
  readonly lists: boolean;
  private readonly payments: BookedPayment[] = [];
  /** How long keys are known. */
  keysLiveMs = Number.POSITIVE_INFINITY;
  private readonly answers = new Map<string, RefundReport>();
  private sends: Fate[] = [];
  private reads: Fate[] = [];

  constructor(options: { readonly provider?: string; readonly account?: string; readonly lists?: boolean } = {}) {
    super();
    this.provider = options.provider ?? 'stripe';
    this.account = options.account ?? 'default';
    this.lists = options.lists ?? true;
  }

  /** A payment comes into being; one with a refusal cannot be refunded. */
  pay(
    name: string,
    { amount: captured, currency }: Money,
    more: Partial<Pick<BookedPayment, 'aliases' | 'paidAt' | 'refusal'>> = {},
  ): void {
    this.payments.push({ name, currency, captured, aliases: [], paidAt: null, refusal: null, ...more });
  }

  /** More of a payment is captured later. */
  capture(name: string, amount: bigint): void {
    const at = this.payments.findIndex((each) => each.name === name);
    const payment = this.payments[at];
    if (payment === undefined) throw new Error(`there is no payment ${name}`);
    this.payments[at] = { ...payment, captured: payment.captured + amount };
  }

  /** The fates of the next sends, or of the next readings, in order; after them all is well again. */
  nextSends(...fates: readonly Fate[]): void {
    this.sends = [...fates];
  }

  nextReads(...fates: readonly Fate[]): void {
    this.reads = [...fates];
  }

  /** Somebody refunds in the provider's dashboard. */
  refundOutside(payment: string, amount: bigint): BookedRefund {
    const booked = this.named(payment);
    if (booked === undefined) throw new Error(`there is no payment ${payment}`);
    return this.book(booked, amount, { key: null, refundId: null, attempt: 1 });
  }

  /** The bank says later what became of a refund. */
  bankSays(id: string, says: Says, more: { readonly failureCode?: string; readonly bankReference?: string } = {}): void {
    const refund = this.refunds.find((each) => each.id === id);
    if (refund === undefined) throw new Error(`there is no refund ${id}`);
    refund.says = says;
    refund.failureCode = more.failureCode ?? null;
    refund.bankReference = more.bankReference ?? refund.bankReference;
  }

  /** What has gone back of a payment and stayed there. */
  sentBack(payment: string): bigint {
    const name = this.named(payment)?.name;
    const stayed = this.refunds.filter((each) => each.payment === name && each.says !== 'failed' && each.says !== 'canceled');
    return stayed.reduce((sum, each) => sum + each.amount, 0n);
  }

  override isOwnName(payment: string): boolean {
    return !payment.startsWith('ch_');
  }

  override canCarry(money: Money): Result<Money, Rejection> {
    if (money.amount > 0n) return ok(money);
    return err({ code: 'amount_not_representable', detail: 'Nothing cannot be sent.' });
  }

  override async send(order: RefundOrderToSend, key: string, call: CallContext): Promise<SendAnswer> {
    this.calls.push({ what: 'send', of: order.refundId, key });
    const unknown: SendAnswer = { kind: 'report', report: reportOf(null, 'unknown', order.attempt, call.now) };
    const fate = this.fate(this.sends.shift(), 'send', call);
    const refusal = notDone[fate];
    if (refusal !== undefined) return refusal;
    if (fate === 'call_lost' || (fate === 'failed' && !this.lists)) return unknown;
    const before = this.answers.get(key);
    if (before !== undefined && call.now.getTime() - before.at.getTime() > this.keysLiveMs) this.answers.delete(key);
    if (fate === 'failed' || fate === 'done_and_failed') {
      if (this.answers.has(key)) return unknown;
      if (fate === 'done_and_failed') this.carryOut(order, key, call.now);
      this.answers.set(key, reportOf(null, 'unknown', order.attempt, call.now));
      return unknown;
    }
    if (this.answers.has(key) && !this.lists)
      return fate === 'answer_lost' ? unknown : { kind: 'spent', why: 'the key was used before' };
    const report = this.carryOut(order, key, call.now);
    return fate === 'answer_lost' ? unknown : { kind: 'report', report };
  }

  override async read(providerRefundId: string, call: CallContext): Promise<ReadAnswer> {
    this.calls.push({ what: 'read', of: providerRefundId, key: null });
    const fate = this.fate(this.reads.shift(), 'read', call);
    const refusal = notDone[fate];
    if (refusal !== undefined) return refusal;
    if (fate !== 'answered') return { kind: 'unread', why: fate };
    const refund = this.refunds.find((each) => each.id === providerRefundId);
    if (refund === undefined) return { kind: 'absent', at: call.now };
    return { kind: 'found', refund: found(refund, call.now), payment: refund.payment };
  }

  override async readPayment(payment: string, call: CallContext): Promise<PaymentAnswer> {
    this.calls.push({ what: 'readPayment', of: payment, key: null });
    const fate = this.fate(this.reads.shift(), 'readPayment', call);
    const refusal = notDone[fate];
    if (refusal !== undefined) return refusal;
    if (fate !== 'answered') return { kind: 'unread', why: fate };
    const booked = this.named(payment);
    if (booked === undefined) return { kind: 'absent', at: call.now };
    const facts = { ...booked, basis: this.lists ? 'provider' : 'records', at: call.now } as const;
    const refunds = this.refunds.filter((each) => this.lists && each.payment === booked.name);
    const disputes = this.disputesOf(booked.name, call.now);
    const answer = { kind: 'found', facts, refunds: refunds.map((each) => found(each, call.now)) } as const;
    return disputes.length === 0 ? answer : { ...answer, disputes };
  }

  /** In pages of two, so that walks have several. */
  async listRefunds(since: Date, after: string | null, call: CallContext): Promise<ListAnswer> {
    this.calls.push({ what: 'list', of: since.toISOString(), key: null });
    const fate = this.fate(this.reads.shift(), 'list', call);
    const refusal = notDone[fate];
    if (refusal !== undefined) return refusal;
    if (fate !== 'answered') return { kind: 'unread', why: fate };
    const newest = this.refunds.filter((each) => each.madeAt >= since).toReversed();
    const rest = after === null ? newest : newest.slice(newest.findIndex(({ id }) => id === after) + 1);
    const refunds = rest.slice(0, 2).map((each) => ({ ...found(each, call.now), payment: each.payment }));
    return { kind: 'page', refunds, next: rest.length > 2 ? (rest[1]?.id ?? null) : null };
  }

  private fate(scripted: Fate | undefined, what: string, call: CallContext): Fate {
    const fate = call.deadline.aborted ? 'call_lost' : (scripted ?? 'answered');
    const answered = fate === 'answered' || fate in notDone;
    const statuses = { answered: 200, failed: 500, done_and_failed: 500, later: 429, locked: 429, parked: 401 } as const;
    const isLost = fate === 'answer_lost' || fate === 'call_lost';
    const httpStatus = isLost ? null : statuses[fate];
    const result = fate === 'locked' ? fate : answered ? 'answered' : 'connection_lost';
    call.trace({ call: what, startedAt: call.now, endedAt: call.now, httpStatus, requestId: null, result });
    return fate;
  }

  private carryOut(order: RefundOrderToSend, key: string, at: Date): RefundReport {
    const before = this.answers.get(key);
    if (before !== undefined) return { ...before, at };
    const payment = this.named(order.payment);
    const refuse = (code: string) =>
      reportOf(null, 'refused', order.attempt, at, { code, detail: `${code}, says the script`, attention: false });
    let report: RefundReport;
    if (payment === undefined) report = refuse('payment_not_found');
    else if (payment.refusal !== null) report = refuse('payment_not_refundable');
    else if (payment.currency !== order.money.currency) report = refuse('provider_refused');
    else {
      const left = payment.captured - this.sentBack(payment.name);
      // Where nothing is listed nobody counts either: Zamp pays what it is told to.
      if (this.lists && left === 0n) report = refuse('nothing_left_to_refund');
      else if (this.lists && order.money.amount > left) report = refuse('amount_exceeds_available');
      else {
        const refund = this.book(payment, order.money.amount, { key, refundId: order.refundId, attempt: order.attempt });
        report = found(refund, at).report;
      }
    }
    if (report.refusal !== null) this.refusals.push(order.refundId);
    this.answers.set(key, report);
    return report;
  }

  private book(payment: BookedPayment, amount: bigint, by: Pick<BookedRefund, 'key' | 'refundId' | 'attempt'>): BookedRefund {
    const id = `re_${this.refunds.length + 1}`;
    const { name, currency } = payment;
    const refund = {
      id,
      payment: name,
      amount,
      currency,
      ...by,
      madeAt: this.now(),
      says: this.firstSays,
      failureCode: null,
      bankReference: null,
    };
    this.refunds.push(refund);
    return refund;
  }

  private named(payment: string): BookedPayment | undefined {
    return this.payments.find(({ name, aliases }) => name === payment || aliases.includes(payment));
  }
}

/** What the provider says to calls that it does not carry out. */
const notDone: Partial<Record<Fate, NoAnswer>> = {
  later: { kind: 'later', limit: 'rate', why: 'by the script' },
  locked: { kind: 'later', limit: 'lock', why: 'by the script' },
  parked: { kind: 'parked', why: 'by the script' },
};

function found(refund: BookedRefund, at: Date): FoundRefund {
  return { refundId: refund.refundId, report: reportOf(refund, refund.says, refund.attempt, at) };
}

function reportOf(
  refund: BookedRefund | null,
  says: Says,
  attempt: number,
  at: Date,
  refusal: RefundReport['refusal'] = null,
): RefundReport {
  return {
    says,
    attempt,
    at,
    refusal,
    providerRefundId: refund?.id ?? null,
    providerStatus: refund === null ? null : says,
    amount: refund?.amount ?? null,
    currency: refund?.currency ?? null,
    pendingReason: null,
    failureCode: refund?.failureCode ?? null,
    bankReference: refund?.bankReference ?? null,
  };
}
