/*
 * How complete an answer is: a score from 0 to 100, and in words what is missing. It measures an answer against a table; it is no chance
 * of winning. Adding evidence never lowers it.
 */
import type { DisputeStage } from './dispute.js';
import type { Draft, Evidence, Identifiers } from './evidence.js';
import { isBlank } from './printable.js';
import {
  networkCodes,
  reasons,
  requirementKinds,
  requirementsVersion,
  rows,
  type EvidenceItem,
  type ProductType,
  type Requirement,
  type RequirementKind,
  type RowName,
} from './requirements.js';

/** One line of the score: `item` where there is one way to meet it, `oneOf` where there are several. */
export type CompletenessItem = {
  readonly kind: RequirementKind;
  readonly given: boolean;
  readonly why: string;
} & ({ readonly item: EvidenceItem } | { readonly oneOf: readonly EvidenceItem[] });

export interface Completeness {
  readonly score: number;
  /** Of the table. */
  readonly version: string;
  /** The row of the table that it was measured by. */
  readonly row: RowName;
  /** The product it was measured by; null where only what applies to any product counts. */
  readonly productType: ProductType | null;
  readonly items: readonly CompletenessItem[];
  /** What is not given, what matters most first. */
  readonly missing: readonly CompletenessItem[];
}

export interface Claim {
  readonly network?: string | null;
  readonly networkReasonCode: string | null;
  readonly reason: string | null;
  readonly stage?: DisputeStage;
  /** What was sold. Where it is not said, what the evidence is about tells. */
  readonly productType?: ProductType | null;
}

const weights: Record<RequirementKind, number> = { required: 6, strong: 3, optional: 1 };

export function completeness(claim: Claim, answer: Pick<Draft, 'content' | 'files'>): Completeness {
  const row = rowOf(claim);
  const given = itemsIn(answer);
  // A product that shows itself by new evidence asks for more. The best of what may have been sold counts, or that would lower the score.
  const [first, ...others] = possibleProducts(claim, given).map((productType) => measured(row, productType, given));
  if (first === undefined) throw new Error('a claim is always about some product, be it unknown');
  return others.reduce((best, other) => (other.score >= best.score ? other : best), first);
}

/** The row for a claim: by the network's code, else by the provider's category, else what helps anywhere. */
export function rowOf({ network, networkReasonCode, reason, stage }: Claim): RowName {
  if (stage === 'appeal') return 'appeal';
  if (stage === 'compliance') return 'noncompliant';
  const byReason = reasons.get(reason ?? '');
  // The fee and the rule decide there, whatever code the network gives it.
  if (byReason === 'noncompliant') return byReason;
  const meaning = meaningOf(network ?? null, networkReasonCode);
  return meaning === undefined || meaning === 'by_reason' ? (byReason ?? 'general') : meaning;
}

function meaningOf(network: string | null, code: string | null) {
  if (code === null) return undefined;
  const wanted = code.trim().toUpperCase();
  if (network !== null && network !== 'unknown') return networkCodes.get(network.toLowerCase())?.get(wanted);
  // Few codes are used by two networks.
  return [...networkCodes.values()].map((codes) => codes.get(wanted)).find((meaning) => meaning !== undefined);
}

function measured(row: RowName, productType: ProductType | null, given: ReadonlySet<EvidenceItem>): Completeness {
  const asked: readonly Requirement[] = rows[row].filter(({ product }) => product === null || product === productType);
  const isMet = ({ oneOf }: Requirement) => oneOf.some((item) => given.has(item));
  const weight = (requirements: readonly Requirement[]) => requirements.reduce((sum, { kind }) => sum + weights[kind], 0);
  const items = asked.map((requirement): CompletenessItem => {
    const { kind, oneOf, why } = requirement;
    const line = { kind, given: isMet(requirement), why };
    return oneOf.length === 1 ? { item: oneOf[0], ...line } : { oneOf, ...line };
  });
  return {
    score: Math.floor((100 * weight(asked.filter(isMet))) / weight(asked)),
    version: requirementsVersion,
    row,
    productType,
    items,
    missing: requirementKinds.flatMap((kind) => items.filter((item) => item.kind === kind && !item.given)),
  };
}

const signs: Record<ProductType, readonly EvidenceItem[]> = {
  physical: ['shippingAddress', 'shippingCarrier', 'shippingDate', 'shippingTrackingNumber', 'shippingDocumentation'],
  digital: ['accessActivityLog'],
  service: ['serviceDate', 'serviceDocumentation'],
};

function possibleProducts({ productType }: Claim, given: ReadonlySet<EvidenceItem>): readonly (ProductType | null)[] {
  if (productType !== undefined && productType !== null) return [productType];
  const shown = (['physical', 'digital', 'service'] as const).filter((product) => signs[product].some((item) => given.has(item)));
  return [null, ...shown];
}

function itemsIn({ content, files }: Pick<Draft, 'content' | 'files'>): ReadonlySet<EvidenceItem> {
  const { enhancedEvidence, appeal, ...texts } = content;
  const items = new Set<EvidenceItem>(files.map(({ place }) => place));
  for (const [field, text] of Object.entries(texts)) if (!isBlank(text)) items.add(field as keyof typeof texts);
  if (!isBlank(appeal?.card.reasonForFiling)) items.add('appeal.card.reasonForFiling');
  if (hasCompellingEvidence(enhancedEvidence)) items.add('enhancedEvidence.visaCompellingEvidence3');
  const fees = [enhancedEvidence?.visaCompliance, enhancedEvidence?.mastercardCompliance];
  if (fees.some((fee) => fee?.feeAcknowledged === true)) items.add('enhancedEvidence.feeAcknowledged');
  return items;
}

/** Whether it is there, not whether it is right: that is the linter's to say, and more of it must not count for less. */
function hasCompellingEvidence(enhanced: Evidence['enhancedEvidence']): boolean {
  const { disputedTransaction, priorUndisputedTransactions } = enhanced?.visaCompellingEvidence3 ?? {};
  const priors = (priorUndisputedTransactions ?? []).filter((prior) => !isBlank(prior.charge) && identifies(prior));
  return disputedTransaction !== undefined && identifies(disputedTransaction) && priors.length >= 2;
}

const identifies = (by: Identifiers): boolean =>
  [by.customerPurchaseIp, by.customerDeviceId, by.customerDeviceFingerprint].some((text) => !isBlank(text));
