/* What people, services and policies decide about a dispute: to submit, to accept, to let it pass, to have it read, to acknowledge. */
import { addDecision, addDisputeRead } from '#application/dispute-operations';
import type { Cause } from '#application/kept';
import { knownChargesIn } from '#application/known-charges';
import { priorities } from '#application/operations';
import { takeUp } from '#application/steering';
import type { WorkingSet } from '#application/working-set';
import type { Code } from '#contracts/codes';
import { accept, acknowledge, letPass, mayDecide, submit, type Dispute, type DisputeEvent } from '#domain/dispute/dispute';
import { answerFrom, isEmpty, type DraftChange } from '#domain/dispute/evidence';
import { lint, type Finding } from '#domain/dispute/linter';
import { err, ok, type Result } from '#domain/result';

export interface DecisionRefusal {
  readonly code: Code;
  readonly detail?: string;
  /** With `evidence_refused`: what the provider or the network would refuse. */
  readonly findings?: readonly Finding[];
}

export type DecidedOn = Result<null, DecisionRefusal>;

/** Submits a version of the evidence, if it is the newest and nothing in it would be refused. The packet is kept as it goes out. */
export function decideToSubmit(set: WorkingSet, dispute: Dispute, version: number, by: string, cause: Cause): DecidedOn {
  const may = mayDecide(dispute, set.now);
  if (!may.ok) return may;
  const draft = set.disputes.draft(dispute.id);
  if (draft.version !== version) {
    return err({ code: 'evidence_changed', detail: whoChanged(draft.version, draft.changes, version) });
  }
  if (isEmpty(draft)) return err({ code: 'evidence_empty' });
  const answer = answerFrom(draft, dispute.stage === 'appeal');
  const errors = lint(dispute, answer, knownChargesIn(set, dispute, answer.content)).filter(
    ({ severity }) => severity === 'error',
  );
  if (errors.length > 0) {
    const detail = errors.map(({ path, message }) => `${path}: ${message}`).join(' ');
    return err({ code: 'evidence_refused', detail, findings: errors });
  }
  const decision = submit(dispute, { version, by }, set.now);
  if (!decision.ok) return decision;
  const sent = set.disputes.record(dispute.id, decision.value, cause);
  const packet = { disputeId: dispute.id, round: dispute.round, version, ...answer, by, decidedAt: set.now, submittedAt: null };
  set.disputes.setPacket(packet);
  addDecision(set, sent);
  return ok(null);
}

export function decideToAccept(
  set: WorkingSet,
  dispute: Dispute,
  how: { reason: string | null; by: string },
  cause: Cause,
): DecidedOn {
  const decided = act(set, dispute, accept(dispute, how, set.now), cause);
  if (decided.ok) addDecision(set, set.disputes.kept(dispute.id));
  return decided;
}

export function decideToLetPass(set: WorkingSet, dispute: Dispute, how: { reason: string; by: string }, cause: Cause): DecidedOn {
  return act(set, dispute, letPass(dispute, how, set.now), cause);
}

export function acknowledgeDispute(set: WorkingSet, dispute: Dispute, cause: Cause): DecidedOn {
  return act(set, dispute, acknowledge(dispute, set.now), cause);
}

/** Asks the provider now; what was parked about the dispute is taken up again. */
export function readNow(set: WorkingSet, dispute: Dispute, cause: Cause): DecidedOn {
  for (const operation of set.openOperationsOfDispute(dispute.id)) takeUp(set, operation, cause);
  const { account, provider, providerDisputeId, id: disputeId, paymentKey } = dispute;
  addDisputeRead(set, { account, provider, providerDisputeId, disputeId, paymentKey }, set.now, priorities.waitingRead);
  return ok(null);
}

function act(set: WorkingSet, dispute: Dispute, decided: Result<DisputeEvent[], { code: Code }>, cause: Cause): DecidedOn {
  if (!decided.ok) return err({ code: decided.error.code });
  set.disputes.record(dispute.id, decided.value, cause);
  return ok(null);
}

/** In words, for whoever looked at an older version. */
export function whoChanged(now: number, changes: readonly DraftChange[], seen: number): string {
  const since = changes
    .filter(({ version }) => version > seen)
    .map(({ version, by, fields, at }) => `${by} changed ${fields.join(', ')} in version ${version} (${at.toISOString()})`);
  return [`It is at version ${now}, not ${seen}.`, ...since.map((each) => `${each}.`)].join(' ');
}
