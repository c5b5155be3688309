/*
 * Evidence: what we submit to win a dispute. A draft is worked on in versions until one of them is submitted; what was submitted is a
 * packet and stays as it was sent. The fields are those that card networks ask for, by the names of docs.stripe.com/api/disputes/evidence_object.
 */
import { err, ok, type Result } from '../result.js';

/** Text that a person writes or an order system fills in. */
export const textFields = [
  'accessActivityLog',
  'billingAddress',
  'cancellationPolicyDisclosure',
  'cancellationRebuttal',
  'customerEmailAddress',
  'customerName',
  'customerPurchaseIp',
  'duplicateChargeExplanation',
  'duplicateChargeId',
  'productDescription',
  'refundPolicyDisclosure',
  'refundRefusalExplanation',
  'serviceDate',
  'shippingAddress',
  'shippingCarrier',
  'shippingDate',
  'shippingTrackingNumber',
  'uncategorizedText',
] as const;
export type TextField = (typeof textFields)[number];

/** A document of each kind, at most one; several go into one file. */
export const fileFields = [
  'cancellationPolicy',
  'customerCommunication',
  'customerSignature',
  'duplicateChargeDocumentation',
  'receipt',
  'refundPolicy',
  'serviceDocumentation',
  'shippingDocumentation',
  'uncategorizedFile',
] as const;

/** Where a file stands in the evidence. An appeal takes several. */
export const filePlaces = [...fileFields, 'appealSupportingFiles'] as const;
export type FilePlace = (typeof filePlaces)[number];

export const fileTypes = ['application/pdf', 'image/jpeg', 'image/png'] as const;
export type FileType = (typeof fileTypes)[number];

/** What identifies the customer of a payment, for Visa's Compelling Evidence 3.0. */
export interface Identifiers {
  readonly customerAccountId?: string;
  readonly customerDeviceFingerprint?: string;
  readonly customerDeviceId?: string;
  readonly customerEmailAddress?: string;
  readonly customerPurchaseIp?: string;
  readonly productDescription?: string;
  readonly shippingAddress?: ShippingAddress;
}

export interface ShippingAddress {
  readonly city?: string;
  readonly country?: string;
  readonly line1?: string;
  readonly line2?: string;
  readonly postalCode?: string;
  readonly state?: string;
}

export interface DisputedTransaction extends Identifiers {
  readonly merchandiseOrServices?: 'merchandise' | 'services';
}

export interface PriorTransaction extends Identifiers {
  /** The provider's id of the earlier charge. */
  readonly charge: string;
}

export interface CompellingEvidence3 {
  readonly disputedTransaction?: DisputedTransaction;
  readonly priorUndisputedTransactions?: readonly PriorTransaction[];
}

export interface EnhancedEvidence {
  readonly visaCompellingEvidence3?: CompellingEvidence3;
  readonly visaCompliance?: { readonly feeAcknowledged: boolean };
  readonly mastercardCompliance?: { readonly feeAcknowledged: boolean };
}

/** All of a draft but its files. */
export type Evidence = { readonly [field in TextField]?: string } & {
  readonly enhancedEvidence?: EnhancedEvidence;
  /** Why the decision is wrong; only in an appeal. */
  readonly appeal?: { readonly card: { readonly reasonForFiling: string } };
};

/** A document of the draft. Its bytes are kept apart. */
export interface EvidenceFile {
  /** `ef_` and 32 hex digits. */
  readonly id: string;
  readonly disputeId: string;
  readonly place: FilePlace;
  readonly name: string;
  readonly type: FileType;
  /** Bytes. */
  readonly size: number;
  /** An image is one. */
  readonly pages: number;
  /** SHA-256 in hex. */
  readonly digest: string;
  /** The provider's id of it, once it is there. */
  readonly providerFileId: string | null;
  readonly by: string;
  readonly addedAt: Date;
  /** A file that was taken out, or gave way to another one, stays for the packets that name it. */
  readonly removedAt: Date | null;
}

/** Who changed what in one version of a draft. */
export interface DraftChange {
  readonly version: number;
  /** Names of fields and places; a nested part by its path, such as `enhancedEvidence.visaCompliance`. */
  readonly fields: readonly string[];
  readonly by: string;
  readonly at: Date;
}

/** What is being put together for a dispute. One per dispute: its versions go on rising when a second answer becomes due. */
export interface Draft {
  readonly disputeId: string;
  readonly version: number;
  readonly content: Evidence;
  /** Those that are in it. */
  readonly files: readonly EvidenceFile[];
  /** Oldest first. */
  readonly changes: readonly DraftChange[];
  /** The version that the provider was last given to hold, without submitting it; 0 for none. */
  readonly stagedVersion: number;
  /** Fields that were staged there and are in the draft no more: they must be emptied there. */
  readonly emptied: readonly TextField[];
}

/** The one answer to a stage of a dispute, exactly as it is sent and was sent. */
export interface Packet {
  readonly disputeId: string;
  readonly round: number;
  /** The draft's. */
  readonly version: number;
  readonly content: Evidence;
  readonly files: readonly EvidenceFile[];
  readonly emptied: readonly TextField[];
  readonly by: string;
  readonly decidedAt: Date;
  /** When the provider had it; null as long as that is not known. */
  readonly submittedAt: Date | null;
}

/** A draft as it begins. */
export function emptyDraft(disputeId: string): Draft {
  return { disputeId, version: 1, content: {}, files: [], changes: [], stagedVersion: 0, emptied: [] };
}

/** What is to be changed: a value is put in, null takes one out, what is not named stays. */
export type EvidenceChanges = { readonly [field in keyof Evidence]?: Evidence[field] | null };

export type DraftRefusal = 'evidence_changed' | 'evidence_file_not_found';

/** The next version of a draft. `seen` is the version that was looked at; null when the writer goes ahead whatever it is. */
export function edit(
  draft: Draft,
  changes: EvidenceChanges,
  seen: number | null,
  by: string,
  at: Date,
): Result<Draft, { code: DraftRefusal }> {
  if (seen !== null && seen !== draft.version) return err({ code: 'evidence_changed' });
  const given = Object.entries(changes).filter(([, value]) => value !== undefined);
  const merged = Object.fromEntries(
    Object.entries({ ...draft.content, ...Object.fromEntries(given) }).filter(([, value]) => value !== null && value !== ''),
  ) as Evidence;
  const fields = given.map(([name]) => name).filter((name) => !isSame(draft.content, merged, name as keyof Evidence));
  if (fields.length === 0) return ok(draft);
  const gone = textFields.filter((name) => draft.content[name] !== undefined && merged[name] === undefined);
  const emptied = [...new Set([...draft.emptied, ...gone])].filter((name) => merged[name] === undefined);
  return ok({ ...next(draft, fields, by, at), content: merged, emptied });
}

/** Puts a file in; one that had its place gives way, but for the files of an appeal. */
export function addFile(draft: Draft, file: EvidenceFile, seen: number | null): Result<Draft, { code: DraftRefusal }> {
  if (seen !== null && seen !== draft.version) return err({ code: 'evidence_changed' });
  const kept = draft.files.filter(({ place }) => place !== file.place || place === 'appealSupportingFiles');
  return ok({ ...next(draft, [file.place], file.by, file.addedAt), files: [...kept, file] });
}

export function removeFile(
  draft: Draft,
  fileId: string,
  seen: number | null,
  by: string,
  at: Date,
): Result<Draft, { code: DraftRefusal }> {
  const file = draft.files.find(({ id }) => id === fileId);
  if (file === undefined) return err({ code: 'evidence_file_not_found' });
  if (seen !== null && seen !== draft.version) return err({ code: 'evidence_changed' });
  return ok({ ...next(draft, [file.place], by, at), files: draft.files.filter(({ id }) => id !== fileId) });
}

function next(draft: Draft, fields: readonly string[], by: string, at: Date): Draft {
  const version = draft.version + 1;
  return { ...draft, version, changes: [...draft.changes, { version, fields, by, at }] };
}

const isSame = (a: Evidence, b: Evidence, name: keyof Evidence) => JSON.stringify(a[name]) === JSON.stringify(b[name]);

export const isEmpty = ({ content, files }: Pick<Draft, 'content' | 'files'>): boolean =>
  Object.keys(content).length === 0 && files.length === 0;
