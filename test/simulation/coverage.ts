/* What a run of many stories must have met, or it has shown less than it seems to. */

const calls = ['send', 'read', 'readPayment', 'listRefunds'].flatMap((call) =>
  ['answered', 'answer_lost', 'call_lost', 'later', 'locked'].map((fate) => `${call}: ${fate}`),
);
const disputeCalls = ['readDispute', 'listDisputes'].flatMap((call) =>
  ['answered', 'answer_lost', 'call_lost', 'failed', 'later', 'locked'].map((fate) => `${call}: ${fate}`),
);

export const mustBeMet: readonly string[] = [
  ...calls,
  ...disputeCalls,
  ...['conflict', 'lost commit'].map((each) => `trouble: ${each}`),
  ...['killed', 'frozen', 'thawed'].map((each) => `process: ${each}`),
  ...['arrives', 'is lost', 'comes twice'].map((each) => `webhook: ${each}`),
  ...['pending then succeeded', 'pending then failed', 'succeeded then failed'].map((each) => `bank: ${each}`),
  ...['opens', 'answers', 'wins', 'loses', 'escalates'].map((each) => `dispute: ${each}`),
  ...['inquiry', 'chargeback'].flatMap((stage) =>
    ['needs_response', 'under_review', 'won', 'lost'].map((status) => `dispute: ${stage} ${status}`),
  ),
  ...['succeeded', 'failed', 'canceled', 'rejected', 'reversed', 'outcome_unknown'].map((each) => `refund: ${each}`),
  ...['outcome_unknown', 'late_reversal'].map((each) => `attention: ${each}`),
  ...['accepted', 'repeated', 'idempotency_key_reused', 'amount_exceeds_available', 'not_cancelable'].map(
    (each) => `answer: ${each}`,
  ),
  'dashboard: refund',
  'intake: fenced',
  'operation: refund.find done',
  'operation: refund.find parked',
];

export const missing = (met: ReadonlyMap<string, number>): string[] => mustBeMet.filter((each) => !met.has(each));

export function addTo(sum: Map<string, number>, more: Iterable<readonly [string, number]>): void {
  for (const [what, count] of more) sum.set(what, (sum.get(what) ?? 0) + count);
}
