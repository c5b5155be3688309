/* Evidence as Stripe takes it, to hold against docs.stripe.com/api/disputes/evidence_object and docs.stripe.com/api/disputes/update. */
import type Stripe from 'stripe';
import {
  fileFields,
  textFields,
  type DisputedTransaction,
  type EnhancedEvidence,
  type FilePlace,
  type PriorTransaction,
  type ShippingAddress,
  type TextField,
} from '#domain/dispute/evidence';
import type { EvidenceOrder } from '#domain/ports/dispute-provider';

type GivenEvidence = Stripe.DisputeUpdateParams.Evidence;
type GivenEnhanced = Stripe.DisputeUpdateParams.Evidence.EnhancedEvidence;
type GivenDisputed = Stripe.DisputeUpdateParams.Evidence.EnhancedEvidence.VisaCompellingEvidence3.DisputedTransaction;
type GivenPrior = Stripe.DisputeUpdateParams.Evidence.EnhancedEvidence.VisaCompellingEvidence3.PriorUndisputedTransaction;

/** How Stripe says that a field is to hold nothing. */
const none = '' as const;

const textNames = {
  accessActivityLog: 'access_activity_log',
  billingAddress: 'billing_address',
  cancellationPolicyDisclosure: 'cancellation_policy_disclosure',
  cancellationRebuttal: 'cancellation_rebuttal',
  customerEmailAddress: 'customer_email_address',
  customerName: 'customer_name',
  customerPurchaseIp: 'customer_purchase_ip',
  duplicateChargeExplanation: 'duplicate_charge_explanation',
  duplicateChargeId: 'duplicate_charge_id',
  productDescription: 'product_description',
  refundPolicyDisclosure: 'refund_policy_disclosure',
  refundRefusalExplanation: 'refund_refusal_explanation',
  serviceDate: 'service_date',
  shippingAddress: 'shipping_address',
  shippingCarrier: 'shipping_carrier',
  shippingDate: 'shipping_date',
  shippingTrackingNumber: 'shipping_tracking_number',
  uncategorizedText: 'uncategorized_text',
} as const satisfies Record<TextField, keyof GivenEvidence>;

const fileNames = {
  cancellationPolicy: 'cancellation_policy',
  customerCommunication: 'customer_communication',
  customerSignature: 'customer_signature',
  duplicateChargeDocumentation: 'duplicate_charge_documentation',
  receipt: 'receipt',
  refundPolicy: 'refund_policy',
  serviceDocumentation: 'service_documentation',
  shippingDocumentation: 'shipping_documentation',
  uncategorizedFile: 'uncategorized_file',
} as const satisfies Record<Exclude<FilePlace, 'appealSupportingFiles'>, keyof GivenEvidence>;

/** Evidence as Stripe takes it. What is to be held no more goes as an empty text; what is not named stays as Stripe has it. */
export function evidenceFor({ content, files, emptied }: Pick<EvidenceOrder, 'content' | 'files' | 'emptied'>): GivenEvidence {
  const given: GivenEvidence = {};
  for (const name of textFields) {
    const text = content[name] ?? (emptied.includes(name) ? none : undefined);
    if (text !== undefined) given[textNames[name]] = text;
  }
  for (const name of fileFields) {
    const file = files.find(({ place }) => place === name)?.providerFileId ?? (emptied.includes(name) ? none : undefined);
    if (file !== undefined) given[fileNames[name]] = file;
  }
  const enhanced = content.enhancedEvidence;
  if (enhanced !== undefined) given.enhanced_evidence = enhancedFor(enhanced);
  else if (emptied.includes('enhancedEvidence')) given.enhanced_evidence = none;
  const appeal = appealFor(content.appeal, files, emptied);
  if (appeal !== undefined) given.appeal = appeal;
  return given;
}

function appealFor(
  appeal: EvidenceOrder['content']['appeal'],
  files: EvidenceOrder['files'],
  emptied: EvidenceOrder['emptied'],
): GivenEvidence['appeal'] {
  const supporting = files.flatMap(({ place, providerFileId }) => (place === 'appealSupportingFiles' ? [providerFileId] : []));
  if (appeal === undefined && supporting.length === 0 && emptied.includes('appeal')) return none;
  const card = said({
    reason_for_filing: appeal?.card.reasonForFiling ?? (emptied.includes('appeal') ? none : undefined),
    supporting_files: supporting.length > 0 ? supporting : emptied.includes('appealSupportingFiles') ? none : undefined,
  });
  return Object.keys(card).length === 0 ? undefined : { card };
}

/**
 * An empty text unsets all programmes together; for one of them none is documented, so one that is taken out while another stays remains
 * with Stripe as it was held. (No dispute falls under two.) docs.stripe.com/api/disputes/update#update_dispute-evidence-enhanced_evidence
 */
function enhancedFor({ visaCompellingEvidence3: ce3, visaCompliance, mastercardCompliance }: EnhancedEvidence): GivenEnhanced {
  const { disputedTransaction: disputed, priorUndisputedTransactions: prior } = ce3 ?? {};
  const compelling = {
    ...(disputed === undefined ? {} : { disputed_transaction: disputedFor(disputed) }),
    ...(prior === undefined ? {} : { prior_undisputed_transactions: prior.map(priorFor) }),
  };
  return {
    ...(ce3 === undefined ? {} : { visa_compelling_evidence_3: compelling }),
    ...(visaCompliance === undefined ? {} : { visa_compliance: { fee_acknowledged: visaCompliance.feeAcknowledged } }),
    ...(mastercardCompliance === undefined
      ? {}
      : { mastercard_compliance: { fee_acknowledged: mastercardCompliance.feeAcknowledged } }),
  };
}

function disputedFor(transaction: DisputedTransaction): GivenDisputed {
  const { merchandiseOrServices } = transaction;
  return {
    ...identifiersFor(transaction),
    ...(merchandiseOrServices === undefined ? {} : { merchandise_or_services: merchandiseOrServices }),
  };
}

const priorFor = (transaction: PriorTransaction): GivenPrior => ({
  ...identifiersFor(transaction),
  charge: transaction.charge,
});

function identifiersFor(of: DisputedTransaction | PriorTransaction) {
  const { shippingAddress } = of;
  return said({
    customer_account_id: of.customerAccountId,
    customer_device_fingerprint: of.customerDeviceFingerprint,
    customer_device_id: of.customerDeviceId,
    customer_email_address: of.customerEmailAddress,
    customer_purchase_ip: of.customerPurchaseIp,
    product_description: of.productDescription,
    shipping_address: shippingAddress && addressFor(shippingAddress),
  });
}

const addressFor = ({ city, country, line1, line2, postalCode, state }: ShippingAddress) =>
  said({ city, country, line1, line2, postal_code: postalCode, state });

/** Without what is not there. */
function said<T extends object>(all: T): { [name in keyof T]?: Exclude<T[name], undefined> } {
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined)) as {
    [name in keyof T]?: Exclude<T[name], undefined>;
  };
}
