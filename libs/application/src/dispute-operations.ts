/* The provider operations that disputes need. */
import type { WorkingSet } from '#application/working-set';
import { priorities, type Operation } from '#application/operations';
import type { Dispute } from '#domain/dispute/dispute';
import type { EvidenceFile } from '#domain/dispute/evidence';

/** What is sent about one dispute goes one at a time, in order: documents before the evidence that names them. */
export const laneOf = (disputeId: string) => `dispute:${disputeId}`;

const sent = ({ id, account, provider, paymentKey }: Dispute) =>
  ({ account, provider, disputeId: id, refundId: null, paymentKey, lane: laneOf(id) }) as const;

/** Hands a document to the provider; only once, whatever it is used for later. */
export function addUpload(set: WorkingSet, dispute: Dispute, file: EvidenceFile): Operation {
  return set.addOperation({
    ...sent(dispute),
    kind: 'evidence.upload',
    target: file.id,
    key: `evidence:${file.id}`,
    attempt: 1,
    runAt: set.now,
    priority: priorities.send,
  });
}

/** Has the provider hold the draft as it then stands. One that waits serves every change made before it begins. */
export function addStage(set: WorkingSet, dispute: Dispute, version: number): Operation {
  const waiting = set
    .openOperationsOfDispute(dispute.id)
    .find(
      ({ kind, leaseUntil, state }) =>
        kind === 'evidence.stage' && state === 'open' && (leaseUntil === null || leaseUntil <= set.now),
    );
  if (waiting !== undefined) return set.changeOperation(waiting.id, { attempt: version });
  return set.addOperation({
    ...sent(dispute),
    kind: 'evidence.stage',
    target: dispute.id,
    key: null,
    attempt: version,
    runAt: set.now,
    priority: priorities.poll,
  });
}

/** The key of one try. */
export const stageKey = ({ id, tries }: Operation) => `evidence:${id}:${tries}`;

/** Sends what was decided, behind whatever is being prepared for it. What was only staged need not be any more. */
export function addDecision(set: WorkingSet, dispute: Dispute): Operation {
  for (const { id, kind, leaseUntil } of set.openOperationsOfDispute(dispute.id)) {
    const isUnderWay = leaseUntil !== null && leaseUntil > set.now;
    if (kind !== 'evidence.stage' || isUnderWay) continue;
    set.changeOperation(id, { state: 'dropped', doneAt: set.now, result: 'all of it is sent now' });
  }
  return set.addOperation({
    ...sent(dispute),
    kind: dispute.decision?.kind === 'accept' ? 'dispute.accept' : 'dispute.submit',
    target: dispute.id,
    key: decisionKey(dispute),
    attempt: dispute.attempt,
    runAt: set.now,
    priority: priorities.due,
  });
}

/** The idempotency key of what is decided now: one per round, version and attempt; null where nothing is to be sent. */
export function decisionKey({ id, round, decision, attempt }: Dispute): string | null {
  if (decision === null || decision.kind === 'let_pass') return null;
  const version = decision.version === null ? '' : `:${decision.version}`;
  return `dispute:${id}:${round}:${decision.kind}${version}:${attempt}`;
}

/** Reads a dispute at its provider, at a time; one reading serves all who wait. */
export function addDisputeRead(
  set: WorkingSet,
  read: { account: string; provider: string; providerDisputeId: string; disputeId: string | null; paymentKey: string | null },
  runAt: Date,
  priority: number,
): string {
  const { account, provider, providerDisputeId: target, disputeId, paymentKey } = read;
  const wanted = {
    account,
    provider,
    kind: 'dispute.read',
    target,
    refundId: null,
    disputeId,
    paymentKey,
    runAt,
    priority,
  } as const;
  return set.addRead(wanted).id;
}

/** Reads a bank's early warning at its provider. */
export function addWarningRead(set: WorkingSet, account: string, provider: string, target: string): string {
  const nothing = { refundId: null, disputeId: null, paymentKey: null };
  const wanted = { account, provider, kind: 'warning.read', target, ...nothing } as const;
  return set.addRead({ ...wanted, runAt: set.now, priority: priorities.noticeRead }).id;
}
