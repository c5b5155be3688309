import type { Identifiers, StripeDispute, StripeEvidence, StripePayment, StripeWarning } from './books.js';
import { eligibilityTypes, missingForCompelling, PLAIN_FIELDS } from './stripe-evidence.js';
import type { StripeObject } from './stripe-params.js';

/**
 * Disputes and warnings with all the fields of the newest API. Newer than Stripe's OpenAPI document: `network_reason_code` at the top,
 * `intended_submission_method`, `evidence.appeal`, `evidence_details.submission_method` and the statuses of an appeal.
 */
export function drawDispute(
  dispute: StripeDispute,
  chargeId: string | null,
  movements: StripeObject[],
  isChargeRefundable: boolean,
): StripeObject {
  return {
    id: dispute.id,
    object: 'dispute',
    amount: dispute.amount,
    balance_transactions: movements,
    charge: chargeId,
    created: dispute.created,
    currency: dispute.currency.toLowerCase(),
    enhanced_eligibility_types: eligibilityTypes(dispute),
    evidence: drawEvidence(dispute.evidence),
    evidence_details: {
      due_by: dispute.dueBy,
      enhanced_eligibility: eligibility(dispute),
      has_evidence: dispute.hasEvidence,
      past_due: false,
      submission_count: dispute.submissionCount,
      submission_method: dispute.submissionMethod,
    },
    intended_submission_method: dispute.intendedSubmissionMethod,
    is_charge_refundable: isChargeRefundable,
    livemode: false,
    metadata: dispute.metadata,
    network_reason_code: dispute.networkReasonCode,
    payment_intent: dispute.paymentId,
    payment_method_details: {
      card: {
        brand: dispute.brand,
        case_type: dispute.caseType,
        network: dispute.brand,
        network_reason_code: dispute.networkReasonCode,
      },
      type: 'card',
    },
    reason: dispute.reason,
    status: dispute.status,
  };
}

/** Evidence as Stripe shows it: every field, unset ones as null. */
export function drawEvidence(evidence: StripeEvidence): StripeObject {
  return {
    ...Object.fromEntries(PLAIN_FIELDS.map((name) => [name, evidence.fields[name] ?? null])),
    appeal: drawAppeal(evidence),
    enhanced_evidence: drawEnhanced(evidence),
  };
}

/** Only what is set, as a reader of the books wants to see what the bank got. */
export function givenEvidence(evidence: StripeEvidence): StripeObject {
  const [appeal, enhanced] = [drawAppeal(evidence), drawEnhanced(evidence)];
  return {
    ...evidence.fields,
    ...(appeal !== null && { appeal }),
    ...(Object.keys(enhanced).length > 0 && { enhanced_evidence: enhanced }),
  };
}

export function drawWarning(warning: StripeWarning, payment: StripePayment | undefined): StripeObject {
  return {
    id: warning.id,
    object: 'radar.early_fraud_warning',
    actionable: warning.actionable,
    charge: payment?.chargeId ?? null,
    created: warning.created,
    fraud_type: warning.fraudType,
    livemode: false,
    payment_intent: warning.paymentId,
  };
}

function drawAppeal({ appeal }: StripeEvidence): StripeObject | null {
  if (appeal === null) return null;
  const { reasonForFiling, supportingFiles } = appeal;
  return {
    card: { ...(reasonForFiling !== null && { reason_for_filing: reasonForFiling }), supporting_files: supportingFiles },
  };
}

function drawEnhanced({ compellingEvidence3, feeAcknowledged }: StripeEvidence): StripeObject {
  const { visa_compliance: visa, mastercard_compliance: mastercard } = feeAcknowledged;
  return {
    ...(mastercard !== undefined && { mastercard_compliance: { fee_acknowledged: mastercard } }),
    ...(compellingEvidence3 !== null && {
      visa_compelling_evidence_3: {
        disputed_transaction:
          compellingEvidence3.disputed && allIdentifiers(compellingEvidence3.disputed, ['merchandise_or_services']),
        prior_undisputed_transactions: compellingEvidence3.prior.map((one) => allIdentifiers(one, ['charge'])),
      },
    }),
    ...(visa !== undefined && { visa_compliance: { fee_acknowledged: visa } }),
  };
}

const IDENTIFIERS = [
  'customer_account_id',
  'customer_device_fingerprint',
  'customer_device_id',
  'customer_email_address',
  'customer_purchase_ip',
  'product_description',
];
const ADDRESS = ['city', 'country', 'line1', 'line2', 'postal_code', 'state'];

function allIdentifiers(given: Identifiers, more: string[]): StripeObject {
  const { shipping_address: address } = given;
  return {
    ...Object.fromEntries([...IDENTIFIERS, ...more].map((name) => [name, given[name] ?? null])),
    shipping_address:
      typeof address === 'object' ? Object.fromEntries(ADDRESS.map((name) => [name, address[name] ?? null])) : null,
  };
}

function eligibility(dispute: StripeDispute): StripeObject {
  const { evidence } = dispute;
  const drawn = eligibilityTypes(dispute).map((type) => {
    if (type === 'visa_compelling_evidence_3') {
      const missing = missingForCompelling(evidence);
      return [type, { required_actions: missing, status: missing.length === 0 ? 'qualified' : 'requires_action' }];
    }
    const acknowledged = evidence.feeAcknowledged[type as 'visa_compliance' | 'mastercard_compliance'] === true;
    return [type, { status: acknowledged ? 'fee_acknowledged' : 'requires_fee_acknowledgement' }];
  });
  return Object.fromEntries(drawn) as StripeObject;
}
