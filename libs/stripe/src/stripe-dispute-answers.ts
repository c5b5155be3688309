/*
 * Stripe's words about disputes and what they mean to us, as tables to hold against docs.stripe.com/api/disputes/object,
 * docs.stripe.com/disputes/how-disputes-work and docs.stripe.com/error-codes. Nothing outside this library knows these words.
 */
import type { DisputeReport, DisputeStage, DisputeStatus, Eligibility, Movement } from '#domain/dispute/dispute';
import type { WarningReport } from '#domain/ports/dispute-provider';
import { atLeastFromStripe } from './stripe-amounts.js';
import { anywhere, idOf, notThere, refused, type Row } from './stripe-answers.js';

interface Meaning {
  readonly status: DisputeStatus;
  /** As the type of the case says, where that is more than an inquiry; else `case`: a chargeback, `ended`: null. `typed`: as it says, or null. */
  readonly stage: DisputeStage | 'case' | 'ended' | 'typed';
}

/** A status that is not here is for a person: `unknown`. docs.stripe.com/api/disputes/object#dispute_object-status */
export const statuses: ReadonlyMap<unknown, Meaning> = new Map<unknown, Meaning>([
  ['warning_needs_response', { status: 'needs_response', stage: 'inquiry' }],
  ['warning_under_review', { status: 'under_review', stage: 'inquiry' }],
  ['warning_closed', { status: 'closed', stage: 'inquiry' }],
  ['needs_response', { status: 'needs_response', stage: 'case' }],
  ['under_review', { status: 'under_review', stage: 'case' }],
  ['appeal_needs_response', { status: 'needs_response', stage: 'appeal' }],
  ['appeal_under_review', { status: 'under_review', stage: 'appeal' }],
  // An appeal ends in these too, and nothing in them tells; who has seen the appeal knows.
  ['won', { status: 'won', stage: 'ended' }],
  ['lost', { status: 'lost', stage: 'ended' }],
  ['prevented', { status: 'prevented', stage: 'prevention' }],
]);
const unheardOf: Meaning = { status: 'unknown', stage: 'typed' };

/** docs.stripe.com/api/disputes/object#dispute_object-payment_method_details-card-case_type. Only cards have one. */
export const caseTypes: ReadonlyMap<unknown, DisputeStage> = new Map<unknown, DisputeStage>([
  ['inquiry', 'inquiry'],
  ['chargeback', 'chargeback'],
  ['compliance', 'compliance'],
  ['block', 'prevention'],
  ['resolution', 'prevention'],
]);

const evidence = /^evidence(\[|$)/;

/** An update of a dispute, or its closing. */
export const disputeRefusals: readonly Row[] = [
  ...anywhere,
  // A file that is not there stands under the field that names it, a dispute under `id`, an earlier charge under its own.
  { status: 404, code: 'resource_missing', param: evidence, then: refused('evidence_refused') },
  { status: 400, code: 'resource_missing', param: evidence, then: refused('evidence_refused') },
  ...notThere('dispute_not_found'),
  { status: 400, code: 'dispute_evidence_page_limit_exceeded', then: refused('evidence_refused') },
  { status: 400, type: 'invalid_request_error', param: evidence, then: refused('evidence_refused') },
  // Answered already, closed, or an inquiry that was to be accepted.
  { status: 400, type: 'invalid_request_error', code: null, param: null, then: refused('dispute_not_open') },
  // Any other no to what was asked: certain, and not foreseen.
  { status: 400, type: 'invalid_request_error', then: refused('provider_refused') },
  { status: 402, then: refused('provider_refused') },
];

/** An upload. docs.stripe.com/file-upload */
export const uploadRefusals: readonly Row[] = [
  ...anywhere,
  { status: 404, then: { proves: 'parked' } },
  { status: 400, type: 'invalid_request_error', then: refused('evidence_file_refused') },
  { status: 402, then: refused('provider_refused') },
  { status: 413, then: refused('evidence_file_refused') },
];

/** A dispute as Stripe shows it, in an answer or in a list. Null when it is none. */
export function foundDispute(value: unknown, at: Date): DisputeReport | null {
  const dispute = record(value);
  const details = record(dispute?.['evidence_details']);
  if (dispute?.['object'] !== 'dispute' || details === null) return null;
  const { id, status, currency: written } = dispute;
  if (typeof id !== 'string' || id === '' || typeof status !== 'string' || typeof written !== 'string') return null;
  const currency = written.toUpperCase();
  const amount = atLeastFromStripe(dispute['amount'], currency);
  const openedAt = timeOf(dispute['created']);
  const submissions = details['submission_count'];
  const movements = movementsOf(dispute['balance_transactions']);
  // Whether somebody has answered before us hangs on this number, so it is never guessed.
  if (typeof submissions !== 'number' || !Number.isSafeInteger(submissions)) return null;
  if (amount === null || openedAt === null || movements === null) return null;
  const meaning = statuses.get(status) ?? unheardOf;
  const card = record(record(dispute['payment_method_details'])?.['card']);
  return {
    providerDisputeId: id,
    payment: idOf(dispute['payment_intent']) ?? idOf(dispute['charge']),
    stage: stageOf(meaning, card?.['case_type']),
    status: meaning.status,
    providerStatus: status,
    amount,
    currency,
    reason: textOf(dispute['reason']),
    networkReasonCode: textOf(dispute['network_reason_code']) ?? textOf(card?.['network_reason_code']),
    network: textOf(card?.['network']) ?? textOf(card?.['brand']),
    refundable: dispute['is_charge_refundable'] === true,
    dueBy: timeOf(details['due_by']),
    submissions,
    submittedBy: details['submission_method'] === 'not_submitted' ? null : textOf(details['submission_method']),
    submittedLate: details['past_due'] === true,
    eligibilities: eligibilitiesOf(dispute['enhanced_eligibility_types'], details['enhanced_eligibility']),
    movements,
    openedAt,
    at,
  };
}

function stageOf({ stage }: Meaning, caseType: unknown): DisputeStage | null {
  if (stage !== 'case' && stage !== 'ended' && stage !== 'typed') return stage;
  const said = caseTypes.get(caseType);
  if (stage === 'typed') return said ?? null;
  // An inquiry has statuses of its own: under another one it has become more, whatever the type of the case still says.
  return said === undefined || said === 'inquiry' ? (stage === 'case' ? 'chargeback' : null) : said;
}

/**
 * In the currency in which Stripe settles with us, which need not be the dispute's. What moves nothing is no movement, and one that cannot
 * be read leaves the whole dispute unread: half of its money would be wrong. docs.stripe.com/api/balance_transactions/object
 */
function movementsOf(value: unknown): Movement[] | null {
  if (!Array.isArray(value)) return null;
  const movements: Movement[] = [];
  for (const each of value) {
    const moved = record(each);
    const [id, written, at] = [textOf(moved?.['id']), textOf(moved?.['currency']), timeOf(moved?.['created'])];
    if (id === null || written === null || at === null) return null;
    const currency = written.toUpperCase();
    const [amount, fee] = [signed(moved?.['amount'], currency), signed(moved?.['fee'] ?? 0, currency)];
    if (amount === null || fee === null) return null;
    const kind = amount < 0n ? 'withdrawal' : 'reinstatement';
    if (amount !== 0n) movements.push({ id, kind, amount: amount < 0n ? -amount : amount, currency, fee, at });
  }
  return movements;
}

function signed(amount: unknown, currency: string): bigint | null {
  if (typeof amount !== 'number') return null;
  const size = atLeastFromStripe(Math.abs(amount), currency);
  return size !== null && amount < 0 ? -size : size;
}

/** What the dispute may be answered under, by name, with what Stripe says about each. */
function eligibilitiesOf(types: unknown, details: unknown): Eligibility[] {
  const said = record(details) ?? {};
  const named = Array.isArray(types) ? types.filter((type) => typeof type === 'string') : [];
  return [...new Set([...named, ...Object.keys(said)])].map((programme) => {
    const { status, required_actions: actions } = record(said[programme]) ?? {};
    const requiredActions = Array.isArray(actions) ? actions.filter((action) => typeof action === 'string') : [];
    return { programme, status: textOf(status), requiredActions };
  });
}

/** docs.stripe.com/api/radar/early_fraud_warnings/object */
export function foundWarning(value: unknown, at: Date): WarningReport | null {
  const warning = record(value);
  const [id, openedAt] = [textOf(warning?.['id']), timeOf(warning?.['created'])];
  if (warning?.['object'] !== 'radar.early_fraud_warning' || id === null || openedAt === null) return null;
  return {
    providerWarningId: id,
    payment: idOf(warning['payment_intent']) ?? idOf(warning['charge']),
    actionable: warning['actionable'] === true,
    fraudType: textOf(warning['fraud_type']) ?? 'unknown',
    openedAt,
    at,
  };
}

/** Seconds of Stripe's. Null and 0 say that there is no such time. */
function timeOf(seconds: unknown): Date | null {
  return typeof seconds === 'number' && seconds > 0 && seconds < 1e11 ? new Date(seconds * 1000) : null;
}

const textOf = (value: unknown): string | null => (typeof value === 'string' && value !== '' ? value : null);

function record(value: unknown): Record<string, unknown> | null {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : null;
}
