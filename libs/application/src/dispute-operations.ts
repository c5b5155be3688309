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
  // Its key is spent once it was used: whatever is staged then is another call.
  if (waiting !== undefined && waiting.tries === 0) {
    return set.changeOperation(waiting.id, { key: stageKey(dispute, version), attempt: version });
  }
  return set.addOperation({
    ...sent(dispute),
    kind: 'evidence.stage',
    target: dispute.id,
    key: stageKey(dispute, version),
    attempt: version,
    runAt: set.now,
    priority: priorities.poll,
  });
}

const stageKey = ({ id }: Dispute, version: number) => `dispute:${id}:stage:${version}`;

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
