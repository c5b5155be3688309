/* What a run of many stories must have met, or it has shown less than it seems to. */

const named = (what: string, each: readonly string[]) => each.map((name) => `${what}: ${name}`);

const reading = ['answer_lost', 'call_lost', 'later', 'locked', 'parked'];
const failing = [...reading, 'failed', 'done_and_failed'];

/** What goes wrong around refunds and disputes; each must have met each of the statuses below. */
export const faults: readonly string[] = [
  ...named('send', failing),
  ...['read', 'readPayment', 'listRefunds'].flatMap((call) => named(call, reading)),
  ...['readDispute', 'listDisputes'].flatMap((call) => named(call, failing)),
  ...named('trouble', ['conflict', 'lost commit', 'away', 'away for days', 'clock of the processes', 'clock of the database']),
  ...named('process', ['killed', 'frozen']),
  ...named('intake', ['fenced', 'failed']),
  ...named('kafka', ['announce failed', 'write failed', 'commit failed', 'commit answer lost', 'fenced']),
  ...named('webhook', ['is lost', 'comes twice', 'comes before the answer', 'overtakes another']),
  'key: is forgotten unanswered',
  ...named('bank', ['pending then succeeded', 'pending then failed', 'pending then canceled', 'succeeded then failed']),
  ...named('bank', ['requires_action then succeeded', 'requires_action then failed', 'requires_action then canceled']),
  'dashboard: refund',
  ...named('dispute', ['opens', 'answers', 'wins', 'loses', 'escalates']),
];

const openStatuses = ['requested', 'approved', 'submitted', 'outcome_unknown', 'pending', 'requires_action'];
const refundStatuses = [...openStatuses, 'succeeded', 'failed', 'canceled', 'rejected', 'reversed'];
const disputeStatuses = ['needs_response', 'under_review', 'won', 'lost'];
export const statuses: readonly string[] = [...refundStatuses, ...disputeStatuses.map((each) => `dispute ${each}`)];
const pairs = faults.flatMap((fault) => statuses.map((status) => `${fault} x ${status}`));
export const isPair = (what: string): boolean => what.includes(' x ');

const moments: readonly string[] = [
  ...['send', 'read', 'readPayment', 'listRefunds', 'readDispute', 'listDisputes'].map((call) => `${call}: answered`),
  ...['upload', 'stage', 'submit'].flatMap((call) => named(call, ['answered', ...failing])),
  ...named('accept', ['answered', 'answer_lost', 'call_lost']),
  'process: thawed',
  'webhook: arrives',
  ...named('nonsense', ['not JSON', 'not as agreed', 'nothing']),
  ...['inquiry', 'chargeback'].flatMap((stage) => disputeStatuses.map((status) => `dispute: ${stage} ${status}`)),
  ...['needs_response', 'won', 'lost'].map((status) => `dispute: appeal ${status}`),
  ...named('refund', ['succeeded', 'failed', 'canceled', 'rejected', 'reversed', 'outcome_unknown', 'awaiting_approval']),
  ...named('attention', ['outcome_unknown', 'late_reversal']),
  ...named('answer', ['accepted', 'idempotency_key_reused', 'amount_exceeds_available', 'not_cancelable', 'not_retryable']),
  ...named('decision', ['submit done', 'accept done', 'let_pass done']),
  ...named('dispute attention', ['payment_overdrawn', 'answered_elsewhere', 'decision_reversed', 'deadline_missed']),
  ...named('on call', ['pauses', 'resumes', 'takes up', 'redrives', 'dismisses', 'found out, not_created']),
  ...['refund.send', 'refund.read', 'refund.find', 'payment.read', 'dispute.read'].map((kind) => `operation: ${kind} done`),
  ...['evidence.upload', 'evidence.stage', 'dispute.submit', 'dispute.accept'].map((kind) => `operation: ${kind} done`),
  ...['refunds.list', 'disputes.list'].map((kind) => `operation: ${kind} open`),
  'operation: refund.find parked',
  'operation: refund.send dropped',
];

export const mustBeMet: readonly string[] = [...faults, ...moments, ...pairs];

export const missing = (met: ReadonlyMap<string, number>): string[] => mustBeMet.filter((each) => !met.has(each));

export function addTo(sum: Map<string, number>, more: Iterable<readonly [string, number]>): void {
  for (const [what, count] of more) sum.set(what, (sum.get(what) ?? 0) + count);
}
