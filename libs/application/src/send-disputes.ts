/* What is sent and read about disputes: how each operation begins, and the call it makes. */
import type { Book } from '#application/book';
import { decisionKey, stageKey } from '#application/dispute-operations';
import type { EvidenceFiles } from '#application/evidence-files';
import { isBegunFirst, type Claimed, type Operation } from '#application/operations';
import type { DisputeAnswered } from '#application/record-disputes';
import type { WorkingSet } from '#application/working-set';
import { beginSend, mayEdit, recordRefusal, type Dispute } from '#domain/dispute/dispute';
import { stageable, staged as markStaged, type Draft, type EvidenceFile, type Packet } from '#domain/dispute/evidence';
import type { DisputeProvider, EvidenceOrder } from '#domain/ports/dispute-provider';
import type { CallContext } from '#domain/ports/refund-provider';

/** Begins what goes out about disputes, each as things stand now; what is not to be sent any more is left out. */
export async function beginAboutDisputes(book: Book, due: readonly Operation[]): Promise<(Claimed | null)[]> {
  if (due.length === 0) return [];
  const disputes = due.flatMap(({ disputeId }) => disputeId ?? []);
  return book.transact({ operations: due.map(({ id }) => id), disputes, evidence: disputes }, (set) =>
    due.map((claimed) => begin(set, claimed)),
  );
}

function begin(set: WorkingSet, claimed: Operation): Claimed | null {
  const operation = set.operation(claimed.id);
  if (operation === undefined || operation.state !== 'open' || operation.fence !== claimed.fence) return null;
  const dispute = set.disputes.kept(operation.disputeId ?? '');
  const evidence = whatToSend(set, operation, dispute);
  if (typeof evidence === 'string') {
    set.changeOperation(operation.id, { state: 'dropped', doneAt: set.now, leaseUntil: null, result: evidence });
    return null;
  }
  const payment = set.payment(dispute.paymentKey);
  if (!isBegunFirst(operation.kind))
    return { operation: stagedNow(set, operation, dispute, evidence), refund: null, payment, dispute, evidence };
  const cause = { causationId: operation.id };
  const missing = evidence?.files.find(({ providerFileId }) => providerFileId === null);
  if (missing !== undefined) {
    const result = `the provider does not have ${missing.name}`;
    set.changeOperation(operation.id, { state: 'dropped', doneAt: set.now, leaseUntil: null, result });
    set.disputes.record(dispute.id, recordRefusal(dispute, set.now), cause);
    return null;
  }
  const begun = { tries: operation.tries + 1, firstSentAt: operation.firstSentAt ?? set.now, lastSentAt: set.now };
  const sending = set.disputes.record(dispute.id, beginSend(dispute, set.now), cause);
  return { operation: set.changeOperation(operation.id, begun), refund: null, payment, dispute: sending, evidence };
}

/** The draft or the packet that goes out; null for what goes without; or in words why nothing does. */
function whatToSend(set: WorkingSet, operation: Operation, dispute: Dispute): Draft | Packet | null | string {
  switch (operation.kind) {
    case 'evidence.upload': {
      const holder = set.disputes.holdersOf(dispute.id).find((each) => fileOf(each, operation.target) !== undefined);
      if (holder === undefined) return 'the file was taken out again';
      return fileOf(holder, operation.target)?.providerFileId === null ? holder : 'the provider has it';
    }
    case 'evidence.stage':
      return mayEdit(dispute).ok ? set.disputes.draft(dispute.id) : `the dispute is ${dispute.status}`;
    case 'dispute.submit':
    case 'dispute.accept': {
      if (decisionKey(dispute) !== operation.key) return 'it was decided otherwise';
      if (dispute.decision?.state === 'done') return 'it is done';
      if (dispute.decision?.kind === 'accept') return null;
      const packet = set.disputes.packet(dispute.id, dispute.round, dispute.decision?.version ?? 0);
      if (packet === undefined) throw new Error(`dispute ${dispute.id} has no packet of version ${dispute.decision?.version}`);
      return packet;
    }
    default:
      throw new Error(`${operation.kind} sends nothing about a dispute`);
  }
}

/** The draft goes out as it stands now, under a key of its own each time: to hold the same twice does no harm. */
function stagedNow(set: WorkingSet, operation: Operation, dispute: Dispute, evidence: Draft | Packet | null): Operation {
  if (evidence === null || !('staged' in evidence) || operation.kind !== 'evidence.stage') return operation;
  // From here on the provider may hold it.
  set.disputes.setDraft(markStaged(evidence, evidence.version, stageable(evidence, dispute.stage === 'appeal'), 'unclear'));
  return set.changeOperation(operation.id, { attempt: evidence.version, key: stageKey(operation) });
}

type DisputeKind = DisputeAnswered['kind'];
type SentKind = 'evidence.upload' | 'evidence.stage' | 'dispute.submit' | 'dispute.accept';
type Sent = Claimed & { readonly operation: Operation & { readonly kind: SentKind } };

/** The one call of an operation about a dispute. */
export async function askAboutDispute(
  provider: DisputeProvider,
  files: EvidenceFiles,
  claimed: Claimed & { readonly operation: Operation & { readonly kind: DisputeKind } },
  call: CallContext,
): Promise<DisputeAnswered> {
  const { operation } = claimed;
  const { kind, target, sweep } = operation;
  switch (kind) {
    case 'dispute.read':
      return { kind, answer: await provider.readDispute(target, call) };
    case 'warning.read':
      return { kind, answer: await provider.readWarning(target, call) };
    case 'disputes.list': {
      const since = new Date(sweep?.since ?? operation.createdAt);
      return { kind, answer: await provider.listDisputes(since, sweep?.after ?? null, call) };
    }
    case 'evidence.upload':
    case 'evidence.stage':
    case 'dispute.submit':
    case 'dispute.accept':
      return send(provider, files, { ...claimed, operation: { ...operation, kind } }, call);
  }
}

async function send(
  provider: DisputeProvider,
  files: EvidenceFiles,
  { operation, dispute, evidence }: Sent,
  call: CallContext,
): Promise<DisputeAnswered> {
  const { kind, target } = operation;
  if (dispute === null || operation.key === null) throw new Error(`operation ${operation.id} sends nothing`);
  if (kind === 'dispute.accept') return { kind, answer: await provider.accept(dispute, operation.key, call) };
  if (evidence === null) throw new Error(`operation ${operation.id} sends no evidence`);
  if (kind === 'evidence.upload') {
    const file = fileOf(evidence, target);
    const bytes = await files.bytes(target);
    if (file === undefined || bytes === null) {
      return { kind, answer: { kind: 'refused', code: 'evidence_file_not_found', detail: 'Its bytes were erased.' } };
    }
    return { kind, answer: await provider.upload({ name: file.name, type: file.type, bytes }, operation.key, call) };
  }
  const order = orderOf(dispute, evidence);
  if (kind === 'evidence.stage') return { kind, answer: await provider.stage(order, operation.key, call) };
  return { kind, answer: await provider.submit(order, operation.key, call) };
}

function orderOf({ providerDisputeId, submissions, stage }: Dispute, evidence: Draft | Packet): EvidenceOrder {
  const { content, files, emptied } = 'staged' in evidence ? stageable(evidence, stage === 'appeal') : evidence;
  const there = files.flatMap(({ place, providerFileId }) => (providerFileId === null ? [] : [{ place, providerFileId }]));
  return { providerDisputeId, submissions, stage, content, files: there, emptied };
}

const fileOf = ({ files }: Draft | Packet, id: string): EvidenceFile | undefined => files.find((file) => file.id === id);
