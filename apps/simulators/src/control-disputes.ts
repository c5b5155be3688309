import type { Books, StripeDispute, StripePayment } from './books.js';
import { BadControl, type Body } from './control-body.js';
import { randomLetters } from './ids.js';
import type { StripeDisputes } from './stripe-disputes.js';
import { Refusal } from './stripe-params.js';

const STAGES = ['inquiry', 'chargeback'] as const;
const BRANDS = ['visa', 'mastercard', 'amex', 'discover', 'diners', 'jcb', 'unionpay', 'cartes_bancaires'] as const;
const FRAUD_TYPES = [
  'card_never_received',
  'fraudulent_card_application',
  'made_with_counterfeit_card',
  'made_with_lost_card',
  'made_with_stolen_card',
  'misc',
  'unauthorized_use_of_card',
] as const;
const STEPS = [
  'escalate',
  'win',
  'lose',
  'reinstate',
  'withdraw',
  'appeal',
  'prevent',
  'smart_dispute',
  'colleague_submits',
] as const;
const LONGEST_DUE_SECONDS = 10 * 365 * 86_400;

/** What testers do to disputes: open them, say what the bank or Stripe does next, and read what became of them. */
export class ControlDisputes {
  constructor(
    private readonly books: Books,
    private readonly disputes: StripeDisputes,
  ) {}

  open(body: Body): unknown {
    const payment = this.disputable(body.text('paymentId'));
    const wanted = {
      amount: body.optionalInteger('amount', 1),
      currency: body.optionalCurrency('currency'),
      takes: body.optionalInteger('takes', 1),
      reason: body.optionalText('reason'),
      networkReasonCode: body.optionalText('networkReasonCode'),
      stage: body.optionalOneOf('stage', STAGES),
      status: body.optionalText('status'),
      dueInSeconds: body.optionalIntegerOrNull('dueInSeconds', 0, LONGEST_DUE_SECONDS),
      brand: body.optionalOneOf('brand', BRANDS),
      caseType: body.optionalText('caseType'),
      smartDisputes: body.optionalFlag('smartDisputes'),
      decisionDelayMs: body.optionalInteger('decisionDelayMs', 0),
    };
    body.nothingElse();
    if (wanted.stage === 'chargeback' && wanted.status?.startsWith('warning_') === true)
      throw new BadControl(`status: ${wanted.status} is an inquiry's; leave stage out or say stage: inquiry`);
    return { disputeId: this.disputes.open(payment, wanted).id };
  }

  move(body: Body, id: string): unknown {
    const dispute = this.books.stripe.disputes.get(id);
    if (dispute === undefined) throw new BadControl(`There is no dispute ${id}; POST /control/disputes opens one`, 404);
    const step = body.optionalOneOf('do', STEPS);
    const amount = body.optionalInteger('amount', 1);
    const status = body.optionalText('status');
    const dueInSeconds = body.optionalIntegerOrNull('dueInSeconds', 0, LONGEST_DUE_SECONDS);
    body.nothingElse();
    if (step === undefined && status === undefined) throw new BadControl(`do: one of ${STEPS.join(', ')} is needed, or a status`);
    if (amount !== undefined && !['win', 'lose', 'reinstate', 'withdraw'].includes(step ?? ''))
      throw new BadControl('amount: only win, lose, reinstate and withdraw take one');
    if (dueInSeconds !== undefined && step !== 'escalate' && step !== 'appeal')
      throw new BadControl('dueInSeconds: only escalate and appeal ask for another answer');
    if (step !== undefined) this.take(step, dispute, amount, dueInSeconds);
    if (status !== undefined) this.disputes.setStatus(dispute, status);
    return { disputeId: id, status: dispute.status };
  }

  warn(body: Body): unknown {
    const payment = this.disputable(body.text('paymentId'));
    const fraudType = body.optionalOneOf('fraudType', FRAUD_TYPES) ?? 'unauthorized_use_of_card';
    body.nothingElse();
    return { warningId: this.disputes.warn(payment, fraudType).id };
  }

  /** A payment's cases for the books, each with every packet the bank got. */
  ofPayment(payment: StripePayment): { disputes: unknown[]; warnings: unknown[] } {
    const { disputes, warnings } = this.books.stripe;
    return {
      disputes: (payment.disputes ?? []).flatMap((id) => {
        const dispute = disputes.get(id);
        if (dispute === undefined) return [];
        const { amount, currency, status, submissionCount, staged, closes, packets, metadata } = dispute;
        return [{ id, amount, currency, status, submissions: submissionCount, staged, closes, packets, metadata }];
      }),
      warnings: (payment.warnings ?? []).flatMap((id) => {
        const warning = warnings.get(id);
        return warning === undefined ? [] : [{ id, fraudType: warning.fraudType, actionable: warning.actionable }];
      }),
    };
  }

  files(): unknown[] {
    return [...this.books.stripe.files.values()].map(({ id, purpose, name, type, size, pages, sha256, idempotencyKey }) => ({
      id,
      purpose,
      name,
      type,
      size,
      pages,
      sha256,
      idempotencyKey,
    }));
  }

  private take(
    step: (typeof STEPS)[number],
    dispute: StripeDispute,
    amount: number | undefined,
    dueInSeconds: number | null | undefined,
  ): void {
    const { status } = dispute;
    const inquiry = status.startsWith('warning_');
    switch (step) {
      case 'escalate':
        if (!inquiry) throw new BadControl(`do: only an inquiry escalates, and this dispute is ${status}`);
        return this.disputes.escalate(dispute, dueInSeconds);
      case 'appeal':
        if (status !== 'under_review' && status !== 'lost')
          throw new BadControl(`do: an appeal follows under_review or lost, and this dispute is ${status}`);
        return this.disputes.appeal(dispute, dueInSeconds);
      case 'win':
        if (status === 'won') throw new BadControl('do: this dispute is won already');
        return this.disputes.win(dispute, amount);
      case 'lose':
        if (status === 'lost' && amount === undefined)
          throw new BadControl('do: this dispute is lost already; reinstate moves money');
        return this.disputes.lose(dispute, amount);
      case 'prevent':
        return this.disputes.prevent(dispute);
      case 'reinstate':
        if (amount === undefined && this.disputes.taken(dispute) <= 0)
          throw new BadControl('do: no money of this dispute is out');
        return this.disputes.reinstate(dispute, amount);
      case 'withdraw':
        if (amount === undefined && this.disputes.taken(dispute) >= dispute.takes)
          throw new BadControl('do: all money of this dispute is out already; an amount takes more');
        return this.disputes.withdraw(dispute, amount);
      case 'smart_dispute':
        return this.asABank(() => this.disputes.smartDispute(dispute));
      case 'colleague_submits':
        return this.asABank(() =>
          this.disputes.colleagueSubmits(dispute, { requestId: `req_${randomLetters(14)}`, idempotencyKey: null, call: false }),
        );
    }
  }

  /** What Stripe would refuse anybody, a tester hears in Stripe's words. */
  private asABank(work: () => void): void {
    try {
      work();
    } catch (error) {
      throw error instanceof Refusal ? new BadControl(error.message) : error;
    }
  }

  private disputable(paymentId: string): StripePayment {
    const { payments, charges } = this.books.stripe;
    const payment = payments.get(paymentId) ?? payments.get(charges.get(paymentId) ?? '');
    if (payment === undefined && this.books.zamp.sessions.get(paymentId) !== undefined)
      throw new BadControl('paymentId: Zamp has no disputes; take a payment of Stripe');
    if (payment === undefined)
      throw new BadControl(`paymentId: there is no payment ${paymentId}; POST /control/payments makes one`, 404);
    if (payment.status !== 'succeeded')
      throw new BadControl(`paymentId: only a captured payment can be disputed, and this one is ${payment.status}`);
    return payment;
  }
}
