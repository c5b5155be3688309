import type { Books, EvidencePacket, StripeDispute, StripeEvidence, StripePayment, StripeWarning, Verdict } from './books.js';
import type { Clock } from './clock.js';
import { randomLetters } from './ids.js';
import { BY_ITSELF, type Cause, type StripeBank } from './stripe-bank.js';
import { drawWarning, givenEvidence } from './stripe-dispute-objects.js';
import { checkStaged, checkSubmitted, fileIds, isEmpty, merged, noEvidence } from './stripe-evidence.js';
import type { StripeObjects } from './stripe-objects.js';
import { type Form, Refusal, type StripeObject } from './stripe-params.js';

const DAY_SECONDS = 86_400;
/** What the bank takes on top for a chargeback, never given back. docs.stripe.com/disputes/how-disputes-work */
const DISPUTE_FEE = 1500;
/** Networks never say that an inquiry is won; it is over when nothing came of it for so long. */
const INQUIRY_LASTS_SECONDS = 120 * DAY_SECONDS;
const STORY_AFTER_MS = 500;
export const DEFAULT_DECISION_DELAY_MS = 2000;

const ANSWERABLE = new Set(['warning_needs_response', 'needs_response', 'appeal_needs_response']);
const UNDER_REVIEW: Record<string, string> = {
  warning_needs_response: 'warning_under_review',
  needs_response: 'under_review',
  appeal_needs_response: 'appeal_under_review',
};
const CLOSED = new Set(['won', 'lost', 'warning_closed']);

export type NewDispute = {
  amount?: number | undefined;
  currency?: string | undefined;
  /** What the bank takes, in the payment's currency; needed to be exact where the dispute is in another one. */
  takes?: number | undefined;
  reason?: string | undefined;
  networkReasonCode?: string | undefined;
  stage?: 'inquiry' | 'chargeback' | undefined;
  status?: string | undefined;
  /** From now on; null and 0: no answer is allowed, and that is how it is shown. */
  dueInSeconds?: number | null | undefined;
  brand?: string | undefined;
  caseType?: string | undefined;
  smartDisputes?: boolean | undefined;
  decisionDelayMs?: number | undefined;
};

type Story = { disputes: NewDispute[]; warning?: string };

/** Test payment methods that get their payment into a dispute. docs.stripe.com/testing#disputes */
export const DISPUTE_STORIES: Record<string, Story> = {
  pm_card_createDispute: { disputes: [{}] },
  pm_card_createDisputeProductNotReceived: { disputes: [{ reason: 'product_not_received' }] },
  pm_card_createDisputeInquiry: { disputes: [{ stage: 'inquiry' }] },
  pm_card_createIssuerFraudRecord: { disputes: [], warning: 'unauthorized_use_of_card' },
  pm_card_createMultipleDisputes: { disputes: [{}, { reason: 'product_not_received' }] },
  pm_card_createCe3EligibleDispute: { disputes: [{}] },
  pm_card_createComplianceDispute: { disputes: [{ reason: 'noncompliant', caseType: 'compliance' }] },
  pm_card_createMastercardComplianceDispute: {
    disputes: [{ reason: 'noncompliant', caseType: 'compliance', brand: 'mastercard' }],
  },
  pm_card_createAutoRepresentmentEligibleDispute: {
    disputes: [{ reason: 'product_not_received', smartDisputes: true }],
  },
};

/** The networks' own codes for Stripe's reasons, as far as one code stands for one reason. */
const NETWORK_CODES: Record<string, Record<string, string>> = {
  visa: {
    fraudulent: '10.4',
    duplicate: '12.6',
    product_not_received: '13.1',
    subscription_canceled: '13.2',
    product_unacceptable: '13.3',
    credit_not_processed: '13.6',
    noncompliant: '98',
  },
  mastercard: {
    fraudulent: '4837',
    duplicate: '4834',
    product_not_received: '4853',
    subscription_canceled: '4853',
    product_unacceptable: '4853',
    credit_not_processed: '4853',
  },
  amex: { fraudulent: 'F29', duplicate: 'P08', product_not_received: 'C08', credit_not_processed: 'C02' },
  discover: { fraudulent: 'UA02', duplicate: 'DP', product_not_received: 'RG', credit_not_processed: 'RN2' },
};

/**
 * The bank's side of disputes: a case opens, takes money, waits for its answer until its due date, is looked at and decided, and
 * may be taken up again. What happens next and when is always derived from the case as it stands (`plan`), so that a step that
 * overtakes another leaves nothing of the old plan behind.
 */
export class StripeDisputes {
  constructor(
    private readonly books: Books,
    private readonly clock: Clock,
    private readonly bank: StripeBank,
    private readonly objects: StripeObjects,
  ) {
    clock.task('stripe.dispute.due', (id) => this.withDispute(id, (dispute) => this.duePassed(dispute)));
    clock.task('stripe.dispute.decide', (id) => this.withDispute(id, (dispute) => this.decide(dispute)));
    clock.task('stripe.dispute.expire', (id) =>
      this.withDispute(id, (dispute) => this.end(dispute, 'warning_closed', BY_ITSELF)),
    );
    clock.task('stripe.dispute.story', (paymentId) => this.tellStory(paymentId));
    bank.onRefund((payment) => this.refunded(payment));
  }

  /** What the payment's test method makes of it, shortly after it was made. */
  expect(payment: StripePayment): void {
    if (DISPUTE_STORIES[payment.paymentMethod] !== undefined && payment.status === 'succeeded')
      this.clock.later(STORY_AFTER_MS, 'stripe.dispute.story', payment.id);
  }

  open(payment: StripePayment, wanted: NewDispute): StripeDispute {
    const inquiry = wanted.stage === 'inquiry' || wanted.status?.startsWith('warning_') === true;
    const status = wanted.status ?? (inquiry ? 'warning_needs_response' : 'needs_response');
    const brand = wanted.brand ?? 'visa';
    const codes = NETWORK_CODES[brand] ?? {};
    const [byCode] = Object.entries(codes).find(([, code]) => code === wanted.networkReasonCode) ?? [];
    const reason = wanted.reason ?? byCode ?? (wanted.networkReasonCode === undefined ? 'fraudulent' : 'general');
    const amount = wanted.amount ?? payment.amount;
    const currency = wanted.currency ?? payment.currency;
    const prevented = status === 'prevented';
    const dispute: StripeDispute = {
      id: `du_3${randomLetters(23)}`,
      paymentId: payment.id,
      amount,
      currency,
      takes: wanted.takes ?? (currency === payment.currency ? amount : payment.amount),
      reason,
      networkReasonCode: wanted.networkReasonCode ?? codes[reason] ?? null,
      brand,
      caseType: wanted.caseType ?? (prevented ? 'block' : inquiry ? 'inquiry' : 'chargeback'),
      status,
      dueBy: this.dueBy(status, wanted.dueInSeconds),
      evidence: noEvidence(),
      hasEvidence: false,
      submissionCount: 0,
      submissionMethod: 'not_submitted',
      intendedSubmissionMethod: wanted.smartDisputes === true ? 'prefer_manual' : null,
      metadata: {},
      movements: [],
      created: this.clock.seconds(),
      stageNumber: 1,
      submittedInStage: null,
      decision: null,
      decisionDelayMs: wanted.decisionDelayMs ?? payment.decisionDelayMs ?? DEFAULT_DECISION_DELAY_MS,
      packets: [],
      staged: 0,
      closes: 0,
    };
    payment.disputes = [...(payment.disputes ?? []), dispute.id];
    this.books.stripe.payments.put(payment.id, payment);
    this.keep(dispute);
    const takes = !inquiry && !prevented;
    if (takes) this.move(dispute, -dispute.takes, DISPUTE_FEE);
    const taken = this.draw(dispute);
    if (takes && status === 'won') this.move(dispute, dispute.takes, 0);
    this.tell('created', dispute, BY_ITSELF);
    if (takes) this.bank.tell('charge.dispute.funds_withdrawn', dispute.id, taken, BY_ITSELF);
    if (takes && status === 'won') this.tell('funds_reinstated', dispute, BY_ITSELF);
    if (takes) this.failPendingRefunds(payment);
    this.settleWarnings(payment);
    return dispute;
  }

  warn(payment: StripePayment, fraudType: string): StripeWarning {
    const id = `issfr_3${randomLetters(23)}`;
    const actionable = this.isActionable(payment);
    const warning = { id, paymentId: payment.id, fraudType, actionable, created: this.clock.seconds() };
    this.books.stripe.warnings.put(id, warning);
    payment.warnings = [...(payment.warnings ?? []), id];
    this.books.stripe.payments.put(payment.id, payment);
    this.bank.tell('radar.early_fraud_warning.created', id, drawWarning(warning, payment), BY_ITSELF);
    return warning;
  }

  /** `POST /v1/disputes/{id}`. Everything is checked before anything changes. */
  update(
    dispute: StripeDispute,
    { evidence, submit, metadata, method }: DisputeUpdate,
    cause: Cause,
    by: EvidencePacket['by'] = 'api',
  ): void {
    if (evidence !== undefined) this.refuseUnlessAnswerable(dispute, evidence);
    if (method !== undefined && dispute.intendedSubmissionMethod === null)
      throw new Refusal(400, {
        code: 'smart_disputes_not_available',
        param: 'intended_submission_method',
        message: 'Smart Disputes is not available for this dispute.',
      });
    const next = evidence === undefined ? dispute.evidence : merged(dispute.evidence, evidence);
    if (evidence !== undefined) checkStaged(this.books, dispute, next, this.clock.seconds());
    // An update that does not say `submit: false` sends what is staged, even one that only changes metadata.
    const answers = evidence !== undefined || (!isEmpty(next) && canAnswer(dispute));
    const submits = submit === true || (submit === undefined && answers);
    if (submits) this.refuseSubmission(dispute, next);
    this.change(dispute, cause, () => {
      if (metadata !== undefined) dispute.metadata = metadata;
      if (method !== undefined) dispute.intendedSubmissionMethod = method;
      if (evidence !== undefined) {
        dispute.evidence = next;
        dispute.hasEvidence = !isEmpty(next);
        if (!submits) dispute.staged += 1;
      }
      if (submits) this.submit(dispute, by, cause);
    });
  }

  /** `POST /v1/disputes/{id}/close`: we accept it. */
  close(dispute: StripeDispute, cause: Cause): void {
    if (dispute.status.startsWith('warning_'))
      throw new Refusal(400, { message: 'An inquiry cannot be accepted: answer it, or refund the payment in full.' });
    if (!ANSWERABLE.has(dispute.status)) throw new Refusal(400, { message: notOpen(dispute) });
    dispute.closes += 1;
    this.end(dispute, 'lost', cause);
  }

  /** Stripe answers by itself. */
  smartDispute(dispute: StripeDispute): void {
    this.refuseUnlessOpen(dispute);
    this.change(dispute, BY_ITSELF, () => {
      dispute.evidence = merged(dispute.evidence, { product_description: 'Collected by Smart Disputes.' });
      dispute.hasEvidence = true;
      this.submit(dispute, 'smart_disputes', BY_ITSELF);
    });
  }

  /** A person clicks "submit" in the dashboard, with what is staged and a sentence of their own. */
  colleagueSubmits(dispute: StripeDispute, cause: Cause): void {
    const text = dispute.evidence.fields['uncategorized_text'] ?? 'Answered in the dashboard.';
    const evidence: Form =
      dispute.status === 'appeal_needs_response'
        ? { appeal: { card: { reason_for_filing: dispute.evidence.appeal?.reasonForFiling ?? text } } }
        : { uncategorized_text: text };
    this.update(dispute, { evidence, submit: true }, cause, 'dashboard');
  }

  /** The inquiry becomes a chargeback: the same case, money taken, and an answer wanted again. */
  escalate(dispute: StripeDispute, dueInSeconds?: number | null): void {
    this.change(dispute, BY_ITSELF, () => {
      dispute.status = 'needs_response';
      dispute.caseType = 'chargeback';
      this.nextStage(dispute, dueInSeconds);
      this.move(dispute, -dispute.takes, DISPUTE_FEE);
    });
    this.tell('funds_withdrawn', dispute, BY_ITSELF);
    const payment = this.books.stripe.payments.get(dispute.paymentId);
    if (payment !== undefined) this.failPendingRefunds(payment);
  }

  /** The first decision was against us, and can be appealed. */
  appeal(dispute: StripeDispute, dueInSeconds?: number | null): void {
    this.change(dispute, BY_ITSELF, () => {
      dispute.status = 'appeal_needs_response';
      this.nextStage(dispute, dueInSeconds);
    });
  }

  /** The bank gives us right, also long after it had not. An inquiry is never won, only over. */
  win(dispute: StripeDispute, amount?: number): void {
    if (dispute.status.startsWith('warning_')) return this.end(dispute, 'warning_closed', BY_ITSELF);
    dispute.status = 'won';
    this.reinstate(dispute, amount);
    this.end(dispute, 'won', BY_ITSELF);
  }

  /** The bank gives the shopper right, also long after it had not; `back` of what it took comes back nevertheless. */
  lose(dispute: StripeDispute, back?: number): void {
    if (dispute.status.startsWith('warning_')) return this.end(dispute, 'warning_closed', BY_ITSELF);
    dispute.status = 'lost';
    if (this.taken(dispute) <= 0) this.withdraw(dispute);
    if (back !== undefined) this.reinstate(dispute, back);
    this.end(dispute, 'lost', BY_ITSELF);
  }

  /** A prevention programme stopped it. Which events tell of that is not documented; only the least of them is sent. */
  prevent(dispute: StripeDispute): void {
    this.change(dispute, BY_ITSELF, () => {
      dispute.status = 'prevented';
      dispute.decision = null;
    });
  }

  /** How much of the payment's money is out because of this dispute. */
  taken(dispute: StripeDispute): number {
    return this.objects.taken(dispute);
  }

  /** Money comes back: all of it that is out, or `amount`. */
  reinstate(dispute: StripeDispute, amount: number = this.taken(dispute)): void {
    if (amount <= 0) return;
    this.move(dispute, amount, 0);
    this.tell('funds_reinstated', dispute, BY_ITSELF);
  }

  withdraw(dispute: StripeDispute, amount: number = dispute.takes - this.taken(dispute)): void {
    if (amount <= 0) return;
    const first = dispute.movements.length === 0;
    this.move(dispute, -amount, first ? DISPUTE_FEE : 0);
    this.tell('funds_withdrawn', dispute, BY_ITSELF);
    const payment = this.books.stripe.payments.get(dispute.paymentId);
    if (payment !== undefined) this.failPendingRefunds(payment);
  }

  /** Any word a tester likes. */
  setStatus(dispute: StripeDispute, status: string): void {
    if (CLOSED.has(status)) return this.end(dispute, status, BY_ITSELF);
    this.change(dispute, BY_ITSELF, () => (dispute.status = status));
  }

  private submit(dispute: StripeDispute, by: EvidencePacket['by'], cause: Cause): void {
    const stage = stageOf(dispute);
    dispute.packets.push({
      stage,
      by,
      submittedAt: new Date(this.clock.now()).toISOString(),
      idempotencyKey: cause.idempotencyKey,
      evidence: givenEvidence(dispute.evidence),
      files: fileIds(dispute.evidence).flatMap(({ field, id }) => {
        const file = this.books.stripe.files.get(id);
        return file === undefined ? [] : [{ field, id, sha256: file.sha256, name: file.name, size: file.size }];
      }),
    });
    dispute.submissionCount += 1;
    dispute.submissionMethod = by === 'smart_disputes' ? by : 'manual';
    dispute.submittedInStage = dispute.stageNumber;
    dispute.status = UNDER_REVIEW[dispute.status] ?? dispute.status;
    const verdict = verdictOn(stage, dispute.evidence);
    dispute.decision = verdict && { at: this.clock.now() + dispute.decisionDelayMs, verdict };
  }

  private refuseUnlessOpen(dispute: StripeDispute): void {
    if (!ANSWERABLE.has(dispute.status)) throw new Refusal(400, { message: notOpen(dispute) });
    if (dispute.submittedInStage === dispute.stageNumber)
      throw new Refusal(400, { message: 'Evidence for this dispute has already been submitted; it can be submitted only once.' });
  }

  private refuseUnlessAnswerable(dispute: StripeDispute, evidence: Form): void {
    this.refuseUnlessOpen(dispute);
    const { status, dueBy } = dispute;
    if (dueBy === null || dueBy === 0)
      throw new Refusal(400, { message: 'The bank accepts no evidence for this dispute.', param: 'evidence' });
    if (dueBy <= this.clock.seconds())
      throw new Refusal(400, { message: 'The due date for evidence has passed.', param: 'evidence' });
    const appealing = status === 'appeal_needs_response';
    for (const name of Object.keys(evidence))
      if ((name === 'appeal') !== appealing)
        throw new Refusal(400, {
          param: `evidence[${name}]`,
          message: appealing ? 'While an appeal is open only evidence[appeal] can change.' : 'There is no appeal to answer.',
        });
  }

  private refuseSubmission(dispute: StripeDispute, evidence: StripeEvidence): void {
    this.refuseUnlessAnswerable(dispute, {});
    if (isEmpty(evidence)) throw new Refusal(400, { message: 'There is no evidence to submit.', param: 'evidence' });
    checkStaged(this.books, dispute, evidence, this.clock.seconds());
    checkSubmitted(this.books, dispute, evidence);
  }

  private duePassed(dispute: StripeDispute): void {
    const smart = dispute.intendedSubmissionMethod !== null && dispute.intendedSubmissionMethod !== 'manual';
    if (smart && dispute.status === 'needs_response') return this.smartDispute(dispute);
    if (dispute.status === 'warning_needs_response') this.escalate(dispute);
    else this.end(dispute, 'lost', BY_ITSELF);
  }

  private decide(dispute: StripeDispute): void {
    const verdict = dispute.decision?.verdict;
    dispute.decision = null;
    if (verdict === 'win') this.win(dispute);
    if (verdict === 'lose') this.lose(dispute);
    if (verdict === 'escalate') this.escalate(dispute);
    if (verdict === 'settle') this.end(dispute, 'warning_closed', BY_ITSELF);
  }

  /** A closed case announces itself with `closed` alone, as in the sandbox. */
  private end(dispute: StripeDispute, status: string, cause: Cause): void {
    dispute.status = status;
    dispute.decision = null;
    this.keep(dispute);
    this.tell('closed', dispute, cause);
  }

  private nextStage(dispute: StripeDispute, dueInSeconds: number | null | undefined): void {
    dispute.stageNumber += 1;
    dispute.evidence = noEvidence();
    dispute.hasEvidence = false;
    dispute.decision = null;
    dispute.dueBy = this.dueBy(dispute.status, dueInSeconds);
  }

  /** A full refund settles an inquiry; a partial one does not. */
  private refunded(payment: StripePayment): void {
    if (this.objects.amountRefunded(payment) >= payment.amount)
      for (const dispute of this.objects.disputesOf(payment))
        if (dispute.status.startsWith('warning_') && dispute.status !== 'warning_closed') {
          dispute.decision = { at: this.clock.now() + dispute.decisionDelayMs, verdict: 'settle' };
          this.keep(dispute);
        }
    this.settleWarnings(payment);
  }

  private failPendingRefunds(payment: StripePayment): void {
    for (const refund of this.objects.refundsOf(payment))
      if (refund.status === 'pending') this.bank.setStatus(refund, 'failed', 'charge_for_pending_refund_disputed');
  }

  private isActionable(payment: StripePayment): boolean {
    return (payment.disputes ?? []).length === 0 && this.objects.amountRefunded(payment) < payment.amount;
  }

  private settleWarnings(payment: StripePayment): void {
    if (this.isActionable(payment)) return;
    for (const id of payment.warnings ?? []) {
      const warning = this.books.stripe.warnings.get(id);
      if (warning?.actionable !== true) continue;
      warning.actionable = false;
      this.books.stripe.warnings.put(id, warning);
      const previous = { actionable: true };
      this.bank.tell('radar.early_fraud_warning.updated', id, drawWarning(warning, payment), BY_ITSELF, previous);
    }
  }

  private tellStory(paymentId: string): void {
    const payment = this.books.stripe.payments.get(paymentId);
    const story = payment && DISPUTE_STORIES[payment.paymentMethod];
    if (payment === undefined || story === undefined) return;
    if (story.warning !== undefined) this.warn(payment, story.warning);
    // Several disputes share the payment between them.
    const share = Math.max(1, Math.floor(payment.amount / Math.max(1, story.disputes.length)));
    for (const [place, wanted] of story.disputes.entries()) {
      const rest = Math.max(1, payment.amount - share * (story.disputes.length - 1));
      this.open(payment, { ...wanted, amount: place === 0 ? rest : share });
    }
  }

  /** Stripe's sandbox: the end of the UTC day eight days later. */
  private dueBy(status: string, inSeconds: number | null | undefined): number | null {
    if (inSeconds === null || inSeconds === 0) return inSeconds;
    if (inSeconds !== undefined) return this.clock.seconds() + inSeconds;
    if (CLOSED.has(status) || status === 'prevented') return 0;
    return (Math.floor(this.clock.seconds() / DAY_SECONDS) + 9) * DAY_SECONDS - 1;
  }

  private move(dispute: StripeDispute, amount: number, fee: number): void {
    const payment = this.books.stripe.payments.get(dispute.paymentId);
    if (payment === undefined) return;
    const category = amount < 0 ? 'dispute' : 'dispute_reversal';
    const foreign = dispute.currency !== payment.currency;
    const exchangeRate = Math.round((dispute.takes / dispute.amount) * 1e6) / 1e6;
    const more = { category, ...(foreign && { exchangeRate }) };
    dispute.movements.push(this.bank.move(payment, dispute.id, 'adjustment', amount, fee, more));
    this.keep(dispute);
  }

  /** Carries out a change and tells of it with what was different before; without a difference there is nothing to tell. */
  private change(dispute: StripeDispute, cause: Cause, work: () => void): void {
    const before = this.draw(dispute);
    work();
    this.keep(dispute);
    const after = this.draw(dispute);
    const previous = Object.entries(before).filter(([name, value]) => JSON.stringify(value) !== JSON.stringify(after[name]));
    if (previous.length > 0) this.tell('updated', dispute, cause, Object.fromEntries(previous));
  }

  private keep(dispute: StripeDispute): void {
    this.books.stripe.disputes.put(dispute.id, dispute);
    this.plan(dispute);
  }

  private plan({ id, status, dueBy, decision, created }: StripeDispute): void {
    this.clock.cancel(id);
    const at = (ms: number, task: string) => this.clock.later(Math.max(0, ms - this.clock.now()), task, id);
    if (decision !== null) at(decision.at, 'stripe.dispute.decide');
    if (ANSWERABLE.has(status) && dueBy !== null && dueBy !== 0) at(dueBy * 1000, 'stripe.dispute.due');
    if (status === 'warning_needs_response' || status === 'warning_under_review')
      at((created + INQUIRY_LASTS_SECONDS) * 1000, 'stripe.dispute.expire');
  }

  private draw(dispute: StripeDispute): StripeObject {
    return this.objects.dispute(dispute, this.clock.seconds());
  }

  private tell(what: string, dispute: StripeDispute, cause: Cause, previous?: StripeObject): void {
    this.bank.tell(`charge.dispute.${what}`, dispute.id, this.draw(dispute), cause, previous);
  }

  private withDispute(id: string, work: (dispute: StripeDispute) => void): void {
    const dispute = this.books.stripe.disputes.get(id);
    if (dispute !== undefined) work(dispute);
  }
}

export type DisputeUpdate = {
  evidence?: Form | undefined;
  /** Left out, it is true. */
  submit?: boolean | undefined;
  metadata?: Record<string, string> | undefined;
  method?: string | undefined;
};

function notOpen({ status }: StripeDispute): string {
  if (CLOSED.has(status)) return 'This dispute is already closed.';
  return `This dispute is ${status}; it can neither be answered nor closed now.`;
}

function canAnswer({ status, submittedInStage, stageNumber }: StripeDispute): boolean {
  return ANSWERABLE.has(status) && submittedInStage !== stageNumber;
}

function stageOf({ status, caseType }: StripeDispute): string {
  if (status.startsWith('appeal_')) return 'appeal';
  if (status.startsWith('warning_')) return 'inquiry';
  return caseType;
}

/** The test values that decide a case. docs.stripe.com/testing#evidence */
function verdictOn(stage: string, { fields, appeal }: StripeEvidence): Verdict | null {
  const text = stage === 'appeal' ? appeal?.reasonForFiling : fields['uncategorized_text'];
  if (text === 'winning_evidence') return 'win';
  if (text === 'losing_evidence') return 'lose';
  return text === 'escalate_inquiry_evidence' && stage === 'inquiry' ? 'escalate' : null;
}
