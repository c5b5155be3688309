import type { Books, Identifiers, StripeDispute, StripeEvidence, StripeFile } from './books.js';
import { type Field, type Fields, type Form, Refusal, texts } from './stripe-params.js';

/**
 * What Stripe takes as evidence, and where it says no. Written from Stripe's documents alone: whoever checks evidence before it is
 * sent finds out here whether the check was right.
 */

/** Values are ids of uploaded files. */
export const FILE_FIELDS = [
  'cancellation_policy',
  'customer_communication',
  'customer_signature',
  'duplicate_charge_documentation',
  'receipt',
  'refund_policy',
  'service_documentation',
  'shipping_documentation',
  'uncategorized_file',
] as const;
const LONG_TEXTS = [
  'access_activity_log',
  'cancellation_policy_disclosure',
  'cancellation_rebuttal',
  'duplicate_charge_explanation',
  'product_description',
  'refund_policy_disclosure',
  'refund_refusal_explanation',
  'uncategorized_text',
] as const;
const SHORT_TEXTS = [
  'billing_address',
  'customer_email_address',
  'customer_name',
  'customer_purchase_ip',
  'duplicate_charge_id',
  'service_date',
  'shipping_address',
  'shipping_carrier',
  'shipping_date',
  'shipping_tracking_number',
] as const;
export const PLAIN_FIELDS: readonly string[] = [...FILE_FIELDS, ...LONG_TEXTS, ...SHORT_TEXTS].sort();

const MOST_CHARACTERS = 150_000;
/** "4.5 MB" read as millions: who relies on more may be refused by the real one. docs.stripe.com/disputes/best-practices */
const MOST_BYTES = 4_500_000;
const FEWER_PAGES_THAN = 50;
const MOST_PAGES_MASTERCARD = 19;
const DAY_SECONDS = 86_400;
const PRIOR_AT_LEAST_DAYS = 120;
const PRIOR_AT_MOST_DAYS = 364;

const OPTIONAL: Field = { is: 'text', emptyUnsets: true };
const IDENTIFIERS: Fields = {
  customer_account_id: OPTIONAL,
  customer_device_fingerprint: { is: 'text', emptyUnsets: true, atLeast: 20 },
  customer_device_id: { is: 'text', emptyUnsets: true, atLeast: 15 },
  customer_email_address: OPTIONAL,
  customer_purchase_ip: OPTIONAL,
  product_description: OPTIONAL,
  shipping_address: {
    is: 'hash',
    fields: { city: OPTIONAL, country: OPTIONAL, line1: OPTIONAL, line2: OPTIONAL, postal_code: OPTIONAL, state: OPTIONAL },
  },
};
const ACKNOWLEDGEMENT: Field = { is: 'hash', fields: { fee_acknowledged: { is: 'flag' } } };

/** The `evidence` of an update. An empty text unsets its field. */
export const EVIDENCE: Field = {
  is: 'hash',
  fields: {
    ...named(FILE_FIELDS, OPTIONAL),
    ...named(LONG_TEXTS, { is: 'text', emptyUnsets: true, atMost: 20_000 }),
    ...named(SHORT_TEXTS, OPTIONAL),
    enhanced_evidence: {
      is: 'hash',
      emptyUnsets: true,
      fields: {
        mastercard_compliance: ACKNOWLEDGEMENT,
        visa_compliance: ACKNOWLEDGEMENT,
        visa_compelling_evidence_3: {
          is: 'hash',
          fields: {
            disputed_transaction: {
              is: 'hash',
              fields: { ...IDENTIFIERS, merchandise_or_services: { is: 'text', oneOf: ['merchandise', 'services'] } },
            },
            prior_undisputed_transactions: { is: 'hashes', fields: { ...IDENTIFIERS, charge: { is: 'text', needed: true } } },
          },
        },
      },
    },
    appeal: {
      is: 'hash',
      emptyUnsets: true,
      fields: {
        card: {
          is: 'hash',
          emptyUnsets: true,
          fields: {
            reason_for_filing: { is: 'text', emptyUnsets: true, atMost: 20_000 },
            supporting_files: { is: 'list', emptyUnsets: true },
          },
        },
      },
    },
  },
};

export function noEvidence(): StripeEvidence {
  return { fields: {}, compellingEvidence3: null, feeAcknowledged: {}, appeal: null };
}

export function isEmpty({ fields, compellingEvidence3, feeAcknowledged, appeal }: StripeEvidence): boolean {
  const nothing = Object.keys(fields).length === 0 && Object.keys(feeAcknowledged).length === 0;
  return nothing && compellingEvidence3 === null && appeal === null;
}

/** What is staged, with what an update says laid over it, field by field. */
export function merged(staged: StripeEvidence, update: Form): StripeEvidence {
  const plain = Object.entries(update).filter(([name]) => PLAIN_FIELDS.includes(name)) as [string, string][];
  const fields = withoutEmpty({ ...staged.fields, ...Object.fromEntries(plain) });
  const result = { ...staged, fields };
  const enhanced = update['enhanced_evidence'];
  if (enhanced === '') Object.assign(result, { compellingEvidence3: null, feeAcknowledged: {} });
  if (typeof enhanced === 'object') {
    result.feeAcknowledged = { ...staged.feeAcknowledged };
    for (const programme of ['visa_compliance', 'mastercard_compliance'] as const) {
      const said = inside(enhanced[programme])['fee_acknowledged'];
      if (typeof said === 'string') result.feeAcknowledged[programme] = said === 'true';
    }
    const compelling = enhanced['visa_compelling_evidence_3'];
    if (typeof compelling === 'object') result.compellingEvidence3 = mergedCompelling(staged, compelling);
  }
  if ('appeal' in update) result.appeal = mergedAppeal(staged, update['appeal']);
  return result;
}

function mergedCompelling(staged: StripeEvidence, update: Form): StripeEvidence['compellingEvidence3'] {
  const { disputed = null, prior = [] } = staged.compellingEvidence3 ?? {};
  const [said, priors] = [update['disputed_transaction'], update['prior_undisputed_transactions']];
  return {
    disputed: typeof said === 'object' ? identifiers({ ...disputed, ...said }) : disputed,
    prior: typeof priors === 'object' ? Object.values(priors).map((one) => identifiers(inside(one))) : prior,
  };
}

function mergedAppeal(staged: StripeEvidence, update: Form | string | undefined): StripeEvidence['appeal'] {
  const card = inside(update)['card'];
  if (typeof card !== 'object') return null;
  const { reasonForFiling = null, supportingFiles = [] } = staged.appeal ?? {};
  const reason = card['reason_for_filing'];
  return {
    reasonForFiling: typeof reason === 'string' ? reason || null : reasonForFiling,
    supportingFiles: 'supporting_files' in card ? texts(card['supporting_files']) : supportingFiles,
  };
}

/** The ids of all files in it, with the field that names each. */
export function fileIds({ fields, appeal }: StripeEvidence): { field: string; id: string }[] {
  const plain = FILE_FIELDS.flatMap((field) => {
    const id = fields[field];
    return id === undefined ? [] : [{ field: field as string, id }];
  });
  return [...plain, ...(appeal?.supportingFiles ?? []).map((id) => ({ field: 'appeal.card.supporting_files', id }))];
}

/** Refuses what Stripe does not even stage. */
export function checkStaged(books: Books, dispute: StripeDispute, evidence: StripeEvidence, nowSeconds: number): void {
  const characters = [...allText(evidence)].length;
  if (characters > MOST_CHARACTERS)
    throw refused('evidence', `All evidence together is limited to ${MOST_CHARACTERS} characters; this has ${characters}.`);
  const files = fileIds(evidence).map(({ field, id }) => usableFile(books.stripe.files.get(id), field, id, nowSeconds));
  const bytes = files.reduce((sum, { size }) => sum + size, 0);
  if (bytes > MOST_BYTES) throw refused('evidence', `All files together are limited to 4.5 MB; these have ${bytes} bytes.`);
  const pages = files.reduce((sum, file) => sum + file.pages, 0);
  const mastercard = dispute.brand === 'mastercard';
  if (mastercard ? pages > MOST_PAGES_MASTERCARD : pages >= FEWER_PAGES_THAN)
    throw new Refusal(400, {
      code: 'dispute_evidence_page_limit_exceeded',
      param: 'evidence',
      message: `The files have ${pages} pages together; ${mastercard ? 'Mastercard takes 19 at most' : 'banks take fewer than 50'}.`,
    });
}

function usableFile(file: StripeFile | undefined, field: string, id: string, nowSeconds: number): StripeFile {
  const param = `evidence[${field.replaceAll('.', '][')}]`;
  if (file === undefined || file.expiresAt <= nowSeconds)
    throw new Refusal(400, { code: 'resource_missing', param, message: `No such file upload: '${id}'` });
  if (file.purpose !== 'dispute_evidence')
    throw refused(param, `The file ${id} was uploaded for ${file.purpose}; evidence needs the purpose dispute_evidence.`);
  return file;
}

/** Refuses what Stripe stages but does not send to the bank. */
export function checkSubmitted(books: Books, dispute: StripeDispute, evidence: StripeEvidence): void {
  if (dispute.caseType === 'compliance') {
    const programme = `${dispute.brand === 'mastercard' ? 'mastercard' : 'visa'}_compliance` as const;
    if (evidence.feeAcknowledged[programme] !== true)
      throw refused(
        `evidence[enhanced_evidence][${programme}][fee_acknowledged]`,
        'Countering a compliance dispute costs a network fee; it must be acknowledged first.',
      );
  }
  if (evidence.compellingEvidence3 !== null) checkCompelling(books, dispute, evidence.compellingEvidence3.prior);
}

function checkCompelling(books: Books, dispute: StripeDispute, prior: Identifiers[]): void {
  const programme = 'evidence[enhanced_evidence][visa_compelling_evidence_3]';
  if (!eligibilityTypes(dispute).includes('visa_compelling_evidence_3'))
    throw refused(programme, 'This dispute is not eligible for Visa Compelling Evidence 3.0.');
  const param = `${programme}[prior_undisputed_transactions]`;
  if (prior.length !== 2) throw refused(param, `Exactly two prior undisputed transactions are needed; ${prior.length} given.`);
  const { payments, charges } = books.stripe;
  const disputed = payments.get(dispute.paymentId);
  const [first, second] = prior.map(({ charge }) => String(charge));
  if (first === second) throw refused(param, 'The two prior undisputed transactions must differ.');
  for (const [index, chargeId] of [first, second].entries()) {
    // Charges from before these books began cannot be checked.
    const payment = payments.get(charges.get(chargeId ?? '') ?? '');
    if (payment === undefined || disputed === undefined) continue;
    const at = `${param}[${index}][charge]`;
    if (payment === disputed || (payment.disputes ?? []).length > 0) throw refused(at, `Charge ${chargeId} is disputed itself.`);
    const days = Math.floor((disputed.created - payment.created) / DAY_SECONDS);
    if (days < PRIOR_AT_LEAST_DAYS || days > PRIOR_AT_MOST_DAYS)
      throw refused(at, `Charge ${chargeId} was made ${days} days before the disputed one; 120 to 364 are needed.`);
  }
}

/** The programmes of the networks that this dispute can be answered under. Of an inquiry too: Stripe's own example is one. */
export function eligibilityTypes({ brand, caseType, networkReasonCode }: StripeDispute): string[] {
  const compliance = brand === 'mastercard' ? 'mastercard_compliance' : 'visa_compliance';
  return [
    ...(caseType === 'compliance' ? [compliance] : []),
    ...(brand === 'visa' && networkReasonCode === '10.4' ? ['visa_compelling_evidence_3'] : []),
  ];
}

/** What Compelling Evidence 3.0 still lacks, in Stripe's words. */
export function missingForCompelling({ compellingEvidence3 }: StripeEvidence): string[] {
  const { disputed, prior } = compellingEvidence3 ?? { disputed: null, prior: [] };
  const has = (one: Identifiers | null, name: string) => one !== null && one[name] !== undefined;
  // Two identifiers the same in all three, one of them the address or the device on the network.
  const shared = [
    'customer_purchase_ip',
    'customer_device_id',
    'customer_device_fingerprint',
    'customer_account_id',
    'shipping_address',
  ];
  const same = shared.filter(
    (name) => has(disputed, name) && prior.every((one) => JSON.stringify(one[name]) === JSON.stringify(disputed?.[name])),
  );
  const identified = same.length >= 2 && same.some((name) => shared.indexOf(name) < 3);
  return [
    ...(prior.length === 0 || !identified ? ['missing_customer_identifiers'] : []),
    ...(has(disputed, 'product_description') ? [] : ['missing_disputed_transaction_description']),
    ...(has(disputed, 'merchandise_or_services') ? [] : ['missing_merchandise_or_services']),
    ...(prior.every((one) => has(one, 'product_description')) ? [] : ['missing_prior_undisputed_transaction_description']),
    ...(prior.length === 2 ? [] : ['missing_prior_undisputed_transactions']),
  ];
}

function allText({ fields, compellingEvidence3, appeal }: StripeEvidence): string {
  const plain = Object.entries(fields).filter(([name]) => !(FILE_FIELDS as readonly string[]).includes(name));
  const nested = [compellingEvidence3?.disputed ?? {}, ...(compellingEvidence3?.prior ?? [])].flatMap((one) =>
    Object.values(one).flatMap((value) => (typeof value === 'string' ? [value] : Object.values(value))),
  );
  return [...plain.map(([, text]) => text), ...nested, appeal?.reasonForFiling ?? ''].join('');
}

function identifiers(form: Form | Identifiers): Identifiers {
  const entries = Object.entries(form).map(([name, value]) => [
    name,
    typeof value === 'string' ? value : withoutEmpty(value as Record<string, string>),
  ]);
  return Object.fromEntries(entries.filter(([, value]) => value !== '')) as Identifiers;
}

function withoutEmpty(fields: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== ''));
}

function inside(value: Form | string | undefined): Form {
  return typeof value === 'object' ? value : {};
}

function named(names: readonly string[], field: Field): Fields {
  return Object.fromEntries(names.map((name) => [name, field]));
}

function refused(param: string, message: string): Refusal {
  return new Refusal(400, { param, message });
}
