import type { DisputeReport, DisputeStage } from '../dispute/dispute.js';
import type { Evidence, EvidenceName, FilePlace, FileType } from '../dispute/evidence.js';
import type { CallContext, NoAnswer } from './refund-provider.js';

/** No trustworthy answer; reading again does no harm. */
interface Unread {
  readonly kind: 'unread';
  readonly why: string;
}

export type DisputeAnswer =
  | { readonly kind: 'found'; readonly report: DisputeReport }
  /** The provider knows no such dispute, or shows it as somebody else's: `foreign` says whose. */
  | { readonly kind: 'absent'; readonly at: Date; readonly foreign?: string }
  | Unread
  | NoAnswer;

export type DisputesAnswer =
  /** `next`: where the following page begins; null at the end. */
  | {
      readonly kind: 'page';
      readonly disputes: readonly DisputeReport[];
      /** Ids of those that could not be read in the list. */
      readonly unread: readonly string[];
      readonly next: string | null;
    }
  | Unread
  | NoAnswer;

/** A bank's early warning as it is read. */
export interface WarningReport {
  readonly providerWarningId: string;
  readonly payment: string | null;
  readonly actionable: boolean;
  readonly fraudType: string;
  readonly openedAt: Date;
  readonly at: Date;
}

export type WarningAnswer =
  | { readonly kind: 'found'; readonly warning: WarningReport }
  | { readonly kind: 'absent'; readonly at: Date; readonly foreign?: string }
  | Unread
  | NoAnswer;

/** What is sent about a dispute came to. */
export type DisputeSendAnswer =
  /** The provider took it; this is the dispute since then. */
  | { readonly kind: 'taken'; readonly report: DisputeReport }
  /** Read just before, the dispute did not wait for this any more, so nothing was sent. */
  | { readonly kind: 'overtaken'; readonly report: DisputeReport }
  /** A definite no, and nothing has changed. */
  | { readonly kind: 'refused'; readonly code: string; readonly detail: string }
  /** No answer that can be trusted: it may have arrived. */
  | { readonly kind: 'unknown'; readonly why: string }
  /** Nothing was sent: read just before, the dispute told nothing, or nothing that anybody understands. */
  | { readonly kind: 'unsent'; readonly why: string }
  | NoAnswer;

export type UploadAnswer =
  | { readonly kind: 'uploaded'; readonly providerFileId: string }
  | { readonly kind: 'refused'; readonly code: string; readonly detail: string }
  | { readonly kind: 'unknown'; readonly why: string }
  | NoAnswer;

export interface FileToUpload {
  readonly name: string;
  readonly type: FileType;
  readonly bytes: Buffer;
}

/** What is staged or submitted. */
export interface EvidenceOrder {
  readonly providerDisputeId: string;
  readonly content: Evidence;
  readonly files: readonly { readonly place: FilePlace; readonly providerFileId: string }[];
  /** What the provider was given before and is to hold no more. */
  readonly emptied: readonly EvidenceName[];
  /** How many submissions the provider had counted when this was decided: with more, somebody has answered. */
  readonly submissions: number;
  /** The stage it was decided in: an answer to an inquiry is none to the chargeback that it became. */
  readonly stage: DisputeStage;
}

/**
 * A PSP whose disputes we can follow and answer, for one account. Nothing here throws for what a PSP or a network does. Keys are
 * idempotency keys; what cannot be undone is read again at the provider before it is sent, each time.
 */
export abstract class DisputeProvider {
  abstract readonly provider: string;
  abstract readonly account: string;
  abstract readDispute(providerDisputeId: string, call: CallContext): Promise<DisputeAnswer>;
  /** One page of the disputes opened since then, in all statuses, newest first, behind `after`. */
  abstract listDisputes(since: Date, after: string | null, call: CallContext): Promise<DisputesAnswer>;
  abstract readWarning(providerWarningId: string, call: CallContext): Promise<WarningAnswer>;
  /** Hands over a document; the same `key` again hands over nothing a second time. */
  abstract upload(file: FileToUpload, key: string, call: CallContext): Promise<UploadAnswer>;
  /** Has the provider hold the evidence without submitting it. */
  abstract stage(order: EvidenceOrder, key: string, call: CallContext): Promise<DisputeSendAnswer>;
  /** Submits, once and for all, unless it has been answered, does not wait for an answer any more, or has come to another stage. */
  abstract submit(order: EvidenceOrder, key: string, call: CallContext): Promise<DisputeSendAnswer>;
  /** Gives the dispute up, unless it does not wait for an answer any more, or has come to another stage. */
  abstract accept(
    order: Pick<EvidenceOrder, 'providerDisputeId' | 'stage'>,
    key: string,
    call: CallContext,
  ): Promise<DisputeSendAnswer>;
}
