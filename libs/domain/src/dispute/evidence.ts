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

/** Everything that evidence has a name for, and that a provider can be told to hold no more. */
export const evidenceNames = [...textFields, ...filePlaces, 'enhancedEvidence', 'appeal'] as const;
export type EvidenceName = (typeof evidenceNames)[number];

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
  /** Why the provider will never take it, in its words; null where it did not say so. */
  readonly refusedAs: string | null;
  readonly by: string;
  readonly addedAt: Date;
  /** A file that was taken out, or gave way to another one, stays for the packets that name it. */
  readonly removedAt: Date | null;
}

/** The earlier payments that evidence rests on, as the provider calls them. */
export function chargesIn({ enhancedEvidence }: EvidenceChanges): string[] {
  const priors = enhancedEvidence?.visaCompellingEvidence3?.priorUndisputedTransactions ?? [];
  return [...new Set(priors.map(({ charge }) => charge.trim()))].filter((charge) => charge !== '');
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
  /** What the provider holds of ours, or may hold where a send had no clear outcome. What it filled in by itself is not in here. */
  readonly staged: readonly EvidenceName[];
}

/** The one answer to a stage of a dispute, exactly as it is sent and was sent. */
export interface Packet {
  readonly disputeId: string;
  readonly round: number;
  /** The draft's. */
  readonly version: number;
  readonly content: Evidence;
  readonly files: readonly EvidenceFile[];
  readonly emptied: readonly EvidenceName[];
  readonly by: string;
  readonly decidedAt: Date;
  /** When the provider had it; null as long as that is not known. */
  readonly submittedAt: Date | null;
}

/** A draft as it begins. */
export function emptyDraft(disputeId: string): Draft {
  return { disputeId, version: 1, content: {}, files: [], changes: [], stagedVersion: 0, staged: [] };
}

/** What is to be changed: a value is put in, null takes one out, what is not named stays. A programme is put in or taken out whole. */
export type EvidenceChanges = { readonly [field in Exclude<keyof Evidence, 'enhancedEvidence'>]?: Evidence[field] | null } & {
  readonly enhancedEvidence?: { readonly [programme in keyof EnhancedEvidence]?: EnhancedEvidence[programme] | null } | null;
};

export type DraftError =
  /** Somebody changed the draft since it was looked at; this is what was changed since. */
  | { readonly code: 'evidence_changed'; readonly version: number; readonly changes: readonly DraftChange[] }
  | { readonly code: 'evidence_file_not_found' };
export type DraftRefusal = DraftError['code'];

/** The next version of a draft, or the same where nothing changes. `seen` is the version that was looked at; null goes ahead whatever it is. */
export function edit(
  draft: Draft,
  changes: EvidenceChanges,
  seen: number | null,
  by: string,
  at: Date,
): Result<Draft, DraftError> {
  if (isOutdated(draft, seen)) return err(outdated(draft, seen));
  const { enhancedEvidence: before, ...restBefore } = draft.content;
  const { enhancedEvidence: given, ...restGiven } = changes;
  const rest = merge(restBefore, restGiven);
  const enhancedEvidence = given === null ? {} : merge(before ?? {}, given ?? {});
  const content: Evidence = { ...rest, ...(Object.keys(enhancedEvidence).length === 0 ? {} : { enhancedEvidence }) };
  const fields = [
    ...differences(restBefore, rest),
    ...differences(before ?? {}, enhancedEvidence).map((programme) => `enhancedEvidence.${programme}`),
  ];
  return ok(fields.length === 0 ? draft : { ...next(draft, fields, by, at), content });
}

/** Puts a file in; one that had its place gives way, but for the files of an appeal. The same file again changes nothing. */
export function addFile(draft: Draft, file: EvidenceFile, seen: number | null): Result<Draft, DraftError> {
  if (draft.files.some(({ id }) => id === file.id)) return ok(draft);
  if (isOutdated(draft, seen)) return err(outdated(draft, seen));
  const kept = draft.files.filter(({ place }) => place !== file.place || place === 'appealSupportingFiles');
  return ok({ ...next(draft, [file.place], file.by, file.addedAt), files: [...kept, file] });
}

export function removeFile(draft: Draft, fileId: string, seen: number | null, by: string, at: Date): Result<Draft, DraftError> {
  const file = draft.files.find(({ id }) => id === fileId);
  if (file === undefined) return err({ code: 'evidence_file_not_found' });
  if (isOutdated(draft, seen)) return err(outdated(draft, seen));
  return ok({ ...next(draft, [file.place], by, at), files: draft.files.filter(({ id }) => id !== fileId) });
}

/** What goes out in one answer. */
export type Answer = Pick<Packet, 'content' | 'files' | 'emptied'>;

/**
 * What of a draft goes out now. A provider takes nothing but the appeal in an appeal, so what was written for the rounds before it stays
 * in the draft and is not sent. Outside an appeal all of it goes, so that an appeal written too early is found rather than dropped.
 * `emptied` names only what the provider was given by us: emptying a field that it filled in by itself would lose evidence.
 */
export function answerFrom(draft: Draft, isAppeal: boolean): Answer {
  const { content, files } = draft;
  const present = namesIn({ content, files });
  const emptied = draft.staged.filter((name) => !present.includes(name));
  // Even empty, a part of an appeal is refused where there is none.
  if (!isAppeal) return { content, files, emptied: emptied.filter((name) => !isOfAppeal(name)) };
  return {
    content: content.appeal === undefined ? {} : { appeal: content.appeal },
    files: files.filter(({ place }) => place === 'appealSupportingFiles'),
    emptied: emptied.filter(isOfAppeal),
  };
}

/** What of a draft the provider is given to hold: what it takes now, and of documents those that it has. */
export function stageable(draft: Draft, isAppeal: boolean): Answer {
  const { content, files, emptied } = answerFrom(draft, isAppeal);
  const there = files.filter(({ providerFileId }) => providerFileId !== null);
  if (isAppeal) return { content, files: there, emptied };
  const { appeal: _appeal, ...rest } = content;
  return { content: rest, files: there.filter(({ place }) => !isOfAppeal(place)), emptied };
}

const isOfAppeal = (name: EvidenceName) => name === 'appeal' || name === 'appealSupportingFiles';

/** The draft after an answer was given to the provider to hold; `unclear` when it may hold that or what it held before. */
export function staged(draft: Draft, version: number, answer: Answer, outcome: 'held' | 'unclear'): Draft {
  const given = namesIn(answer);
  if (outcome === 'unclear') return { ...draft, staged: inOrder([...draft.staged, ...given]) };
  const held = draft.staged.filter((name) => !answer.emptied.includes(name));
  return { ...draft, stagedVersion: Math.max(draft.stagedVersion, version), staged: inOrder([...held, ...given]) };
}

export const isEmpty = ({ content, files }: Pick<Draft, 'content' | 'files'>): boolean =>
  Object.keys(content).length === 0 && files.length === 0;

const isOutdated = (draft: Draft, seen: number | null) => seen !== null && seen !== draft.version;

const outdated = (draft: Draft, seen: number | null): DraftError => ({
  code: 'evidence_changed',
  version: draft.version,
  changes: draft.changes.filter(({ version }) => version > (seen ?? 0)),
});

function next(draft: Draft, fields: readonly string[], by: string, at: Date): Draft {
  const version = draft.version + 1;
  return { ...draft, version, changes: [...draft.changes, { version, fields, by, at }] };
}

/** Null and the empty text take out. */
function merge<T extends object>(before: T, given: { readonly [field in keyof T]?: T[field] | null | undefined }): T {
  const changed = Object.entries(given).filter(([, value]) => value !== undefined);
  const all = Object.entries({ ...before, ...Object.fromEntries(changed) });
  return Object.fromEntries(all.filter(([, value]) => value !== null && value !== '')) as T;
}

function differences(before: object, after: object): string[] {
  const a: ReadonlyMap<string, unknown> = new Map(Object.entries(before));
  const b: ReadonlyMap<string, unknown> = new Map(Object.entries(after));
  return [...new Set([...a.keys(), ...b.keys()])].filter((name) => inWords(a.get(name)) !== inWords(b.get(name)));
}

/** As text that does not depend on the order of keys: a database may give them back in another one. */
const inWords = (value: unknown): string | undefined =>
  JSON.stringify(value, (_, part: unknown) =>
    typeof part === 'object' && part !== null && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  );

const namesIn = ({ content, files }: Pick<Draft, 'content' | 'files'>): EvidenceName[] => {
  const names = new Set<string>([...Object.keys(content), ...files.map(({ place }) => place)]);
  return evidenceNames.filter((name) => names.has(name));
};

const inOrder = (names: readonly EvidenceName[]): EvidenceName[] => evidenceNames.filter((name) => names.includes(name));
