/*
 * Evidence as people put it together: text, and documents. Each change is one transaction on the book, decided by the rules of a draft; an
 * operation gives the provider the new draft to hold, later. A change is kept as commands are, with its answer, so that it can be repeated.
 */
import type { Book } from '#application/book';
import { whoChanged } from '#application/dispute-decisions';
import { addStage, addUpload } from '#application/dispute-operations';
import type { NewEvidenceFile, PaymentName } from '#application/kept';
import { knownChargesIn, paymentsNamed, readUnknownCharges } from '#application/known-charges';
import { publicEvidence } from '#application/messages';
import { commandId, digestOf, evidenceFileId } from '#application/names';
import type { Providers } from '#application/providers';
import type { WorkingSet } from '#application/working-set';
import { codes, type Code } from '#contracts/codes';
import type { Evidence as PublicEvidence } from '#contracts/evidence';
import { mayDecide, type Dispute } from '#domain/dispute/dispute';
import {
  addFile,
  edit,
  emptyDraft,
  removeFile,
  type Draft,
  type DraftError,
  type EvidenceChanges,
  type EvidenceFile,
} from '#domain/dispute/evidence';
import { type Result } from '#domain/result';

/** Who changes the evidence of which dispute. */
export interface EvidenceOrder {
  readonly account: string;
  readonly provider: string;
  readonly disputeId: string;
  readonly source: string;
  /** The caller's idempotency key, or one made for them: then nobody can ask again, and the answer is not kept. */
  readonly key: string;
  readonly isOwnKey: boolean;
  /** The version that was looked at; null goes ahead whatever it is. */
  readonly seen: number | null;
}

/** A document, after a look into it. */
export type ReceivedFile = Pick<NewEvidenceFile, 'place' | 'name' | 'type' | 'size' | 'pages' | 'digest' | 'bytes'>;

export type EvidenceAnswer =
  | { readonly kind: 'accepted'; readonly evidence: PublicEvidence; readonly fileId: string | null; readonly repeated: boolean }
  | { readonly kind: 'refused'; readonly code: Code; readonly detail: string; readonly repeated: boolean };

/** The answer as it is kept. */
type Kept =
  | { readonly kind: 'accepted'; readonly evidence: PublicEvidence | null; readonly fileId: string | null }
  | { readonly kind: 'refused'; readonly code: Code; readonly detail: string };

interface Change {
  readonly type: string;
  /** Tells a repeat from a key that is used twice. */
  readonly content: object;
  /** What of it is kept with the command, for the history: none of the evidence itself. */
  readonly told: object;
  readonly fileId: string | null;
  /** Earlier payments that it names. */
  readonly payments?: readonly PaymentName[];
  decide(draft: Draft, at: Date): Result<Draft, DraftError>;
  /** What the change takes besides the draft. */
  follow(set: WorkingSet, dispute: Dispute, before: Draft, after: Draft): void;
}

export class EvidenceDesk {
  constructor(
    private readonly book: Book,
    private readonly providers: Providers,
  ) {}

  edit(changes: EvidenceChanges, order: EvidenceOrder): Promise<EvidenceAnswer> {
    return this.carryOut(order, {
      type: 'redress.EditEvidence.v1',
      content: changes,
      told: { fields: Object.keys(changes) },
      fileId: null,
      payments: paymentsNamed(this.providers, order.account, order.provider, changes),
      decide: (draft, at) => edit(draft, changes, order.seen, order.source, at),
      follow: (set, dispute) => readUnknownCharges(set, dispute, changes),
    });
  }

  addFile({ bytes, ...about }: ReceivedFile, order: EvidenceOrder): Promise<EvidenceAnswer> {
    const { place, name, digest } = about;
    const { disputeId, source: by } = order;
    const id = evidenceFileId(uuidOf(order), digest);
    const fileAt = (addedAt: Date): EvidenceFile => {
      return { ...about, id, disputeId, providerFileId: null, refusedAs: null, by, addedAt, removedAt: null };
    };
    return this.carryOut(order, {
      type: 'redress.AddEvidenceFile.v1',
      content: { place, name, digest },
      told: { fields: [place], fileId: id },
      fileId: id,
      decide: (draft, at) => addFile(draft, fileAt(at), order.seen),
      follow: (set, dispute, before, after) => {
        const file = fileAt(set.now);
        set.disputes.addFile({ ...file, bytes });
        const gone = before.files.filter((each) => !after.files.some((kept) => kept.id === each.id));
        for (const each of gone) set.disputes.removeFile(each.id);
        addUpload(set, dispute, file);
      },
    });
  }

  removeFile(fileId: string, order: EvidenceOrder): Promise<EvidenceAnswer> {
    return this.carryOut(order, {
      type: 'redress.RemoveEvidenceFile.v1',
      content: { fileId },
      told: { fileId },
      fileId: null,
      decide: (draft, at) => removeFile(draft, fileId, order.seen, order.source, at),
      follow: (set) => set.disputes.removeFile(fileId),
    });
  }

  private carryOut(order: EvidenceOrder, change: Change): Promise<EvidenceAnswer> {
    const { account, disputeId, source, key, isOwnKey } = order;
    const id = uuidOf(order);
    const { type, content, payments = [] } = change;
    const digest = digestOf({ type, disputeId, content });
    const want = { disputes: [disputeId], evidence: [disputeId], commands: [id], payments };
    return this.book.transact(want, (set) => {
      const first = set.command(id);
      if (first !== undefined) return repeat(first, digest);
      const answer = apply(set, order, change);
      // Nothing was done, and the same key may go on once its caller has seen what changed.
      if (answer.kind === 'refused' && answer.code === 'evidence_changed') return answer;
      const kept: Kept = answer.kind === 'accepted' && !isOwnKey ? { ...answer, evidence: null } : answer;
      set.addCommand({
        id,
        account,
        door: 'http',
        source,
        key,
        type,
        digest,
        refundId: null,
        disputeId: set.disputes.get(disputeId)?.id ?? null,
        body: change.told,
        answer: JSON.stringify(kept),
        receivedAt: set.now,
      });
      return answer;
    });
  }
}

function repeat(first: { readonly digest: string; readonly answer: string }, digest: string): EvidenceAnswer {
  if (first.digest !== digest) return refuse('idempotency_key_reused');
  const kept = JSON.parse(first.answer) as Kept;
  if (kept.kind === 'refused') return { ...kept, repeated: true };
  if (kept.evidence === null) throw new Error('a key that nobody was given came again');
  return { ...kept, evidence: kept.evidence, repeated: true };
}

function apply(set: WorkingSet, { disputeId, seen }: EvidenceOrder, change: Change): EvidenceAnswer {
  const dispute = set.disputes.get(disputeId);
  if (dispute === undefined) return refuse('dispute_not_found', `There is no dispute ${disputeId}.`);
  const may = mayDecide(dispute, set.now);
  if (!may.ok) return refuse(may.error.code, `${codes[may.error.code]} It is ${dispute.stage}, ${dispute.status}.`);
  if (!set.disputes.hasDraft(disputeId)) set.disputes.setDraft(emptyDraft(disputeId));
  const before = set.disputes.draft(disputeId);
  const decided = change.decide(before, set.now);
  if (!decided.ok) {
    const { error } = decided;
    if (error.code !== 'evidence_changed') return refuse(error.code);
    return refuse(error.code, whoChanged(error.version, error.changes, seen ?? 0));
  }
  const after = decided.value;
  if (after !== before) {
    set.disputes.setDraft(after);
    change.follow(set, dispute, before, after);
    addStage(set, dispute, after.version);
  }
  const packets = set.disputes.packetsOfDispute(disputeId);
  const evidence = publicEvidence(dispute, after, packets, knownChargesIn(set, dispute, after.content));
  return { kind: 'accepted', evidence, fileId: change.fileId, repeated: false };
}

function refuse(code: Code, detail: string = codes[code]): EvidenceAnswer {
  return { kind: 'refused', code, detail, repeated: false };
}

const uuidOf = ({ account, source, key }: EvidenceOrder) => commandId(account, 'http', source, key);
