/*
 * What evidence answers which claim: one table, by what a card network calls the claim. It was drawn up from docs.stripe.com/disputes/categories
 * and docs.stripe.com/disputes/reason-codes-defense-requirements; how much each item weighs is our own judgement, not a network's.
 * A change to the table is a new version, so that a score that was shown can be explained later.
 */
import type { FilePlace, TextField } from './evidence.js';

export const requirementsVersion = '2026-11';

export const productTypes = ['physical', 'digital', 'service'] as const;
export type ProductType = (typeof productTypes)[number];

/** A place in the evidence that can be filled; a nested one by its path. */
export type EvidenceItem =
  | TextField
  | FilePlace
  | 'appeal.card.reasonForFiling'
  | 'enhancedEvidence.visaCompellingEvidence3'
  | 'enhancedEvidence.feeAcknowledged';

/** `required`: the answer can hardly win without it. `strong`: it decides many cases. `optional`: it helps the reader. */
export const requirementKinds = ['required', 'strong', 'optional'] as const;
export type RequirementKind = (typeof requirementKinds)[number];

export interface Requirement {
  readonly kind: RequirementKind;
  /** One of them is enough. */
  readonly oneOf: readonly [EvidenceItem, ...EvidenceItem[]];
  readonly why: string;
  /** The product it is asked for; null for any. */
  readonly product: ProductType | null;
}

type Line = readonly [kind: RequirementKind, items: EvidenceItem | readonly [EvidenceItem, ...EvidenceItem[]], why: string];

const any = (...lines: readonly Line[]): readonly Requirement[] => asked(null, lines);
const of = (product: ProductType, ...lines: readonly Line[]): readonly Requirement[] => asked(product, lines);

function asked(product: ProductType | null, lines: readonly Line[]): readonly Requirement[] {
  return lines.map(([kind, items, why]) => ({ kind, oneOf: typeof items === 'string' ? [items] : items, why, product }));
}

const whatWasSold: Line = ['required', 'productDescription', 'The reviewer has only this to learn what was sold.'];
const receipt: Line = ['strong', 'receipt', 'A receipt shows the date, the amount and the goods as the customer saw them.'];
const whoBought = any(
  ['optional', 'customerName', "A name that is the cardholder's ties the purchase to the card."],
  ['optional', 'customerEmailAddress', 'An address that the customer wrote from ties messages to the purchase.'],
  ['optional', 'billingAddress', "A billing address that passed the bank's check ties the purchase to the card."],
);
const wroteToUs: Line = [
  'strong',
  'customerCommunication',
  "The customer's own words about the purchase weigh more than anything we say.",
];
const summary: Line = [
  'optional',
  'uncategorizedText',
  'A summary leads the reviewer through the documents in the order of events.',
];
const moreFiles: Line = ['optional', 'uncategorizedFile', 'A document that no other field has room for.'];

const delivered = [
  ...of(
    'physical',
    ['required', ['shippingDocumentation', 'shippingTrackingNumber'], "Only the carrier's record shows that the parcel arrived."],
    ['strong', 'shippingCarrier', "A tracking number cannot be checked without the carrier's name."],
    ['strong', 'shippingAddress', 'Delivery counts when it went to the address that the cardholder gave.'],
    ['strong', 'shippingDate', 'The date shows that it was sent after the purchase and in the promised time.'],
  ),
  ...of('digital', ['required', 'accessActivityLog', 'A log with times and IP addresses shows that it was downloaded or used.']),
  ...of(
    'service',
    ['required', 'serviceDocumentation', 'A signed order, contract or record of work shows that the service was given.'],
    ['strong', 'serviceDate', 'The date shows that the service was given when it was promised.'],
  ),
];

const proofOfDelivery: readonly [EvidenceItem, ...EvidenceItem[]] = [
  'shippingDocumentation',
  'shippingTrackingNumber',
  'accessActivityLog',
  'serviceDocumentation',
  'customerSignature',
];

const linkToCardholder: Line = [
  'required',
  [...proofOfDelivery, 'customerCommunication', 'enhancedEvidence.visaCompellingEvidence3'],
  'Something must show that the cardholder took part: use, delivery to them, their words, or payments they never questioned.',
];

const fraud = [
  ...any(
    linkToCardholder,
    whatWasSold,
    [
      'strong',
      'customerPurchaseIp',
      'An IP address near the cardholder, or seen with them before, speaks against a stolen card.',
    ],
    wroteToUs,
    ['strong', 'billingAddress', "A billing address that passed the bank's check ties the purchase to the card."],
    ['optional', 'customerEmailAddress', 'An address that the customer used before ties them to the purchase.'],
    ['optional', 'customerName', "A name that is the cardholder's ties the purchase to the card."],
    ['optional', 'receipt', 'A receipt shows the date, the amount and the goods as the customer saw them.'],
    ['optional', 'uncategorizedText', 'Results of 3-D Secure, address and code checks belong here.'],
  ),
  ...of(
    'physical',
    [
      'strong',
      ['shippingDocumentation', 'shippingTrackingNumber'],
      "Delivery to the cardholder's address speaks against a stranger.",
    ],
    ['strong', 'shippingAddress', "The same address as the card's speaks against a stranger."],
  ),
  ...of('digital', ['strong', 'accessActivityLog', "Use from the cardholder's own devices speaks against a stranger."]),
  ...of('service', ['strong', ['serviceDocumentation', 'customerSignature'], 'A signed record shows who received the service.']),
];

const cardPresentFraud = any(
  ['required', ['receipt', 'customerSignature'], "The terminal's receipt shows that chip, PIN or signature was checked."],
  whatWasSold,
  ['strong', 'customerSignature', "A signature that is the cardholder's shows who was there."],
  wroteToUs,
  ['optional', 'customerName', "A name that is the cardholder's ties the purchase to the card."],
  summary,
);

const compellingEvidence = any([
  'strong',
  'enhancedEvidence.visaCompellingEvidence3',
  'Two earlier payments from the same customer that nobody disputed move the liability to the bank.',
]);

const notReceived = [
  ...any(
    ['required', proofOfDelivery, 'The claim is that nothing came: something must show that it did.'],
    whatWasSold,
    wroteToUs,
    ['optional', 'receipt', 'A receipt shows what was promised, and when.'],
  ),
  ...delivered,
  ...of('physical', ['optional', 'customerSignature', 'A signature on delivery names who took it.']),
  ...whoBought,
  ...any(summary),
];

const unacceptable = [
  ...any(
    ['required', 'productDescription', 'What was promised, to be held against what the customer says came.'],
    [
      'required',
      ['customerCommunication', 'refundRefusalExplanation'],
      'The claim must be answered: what was offered to mend it, or why it is not so.',
    ],
    ['strong', ['refundPolicy', 'refundPolicyDisclosure'], 'Terms that the customer accepted decide whether a refund was owed.'],
    ['strong', 'refundPolicyDisclosure', 'Terms count only where the customer saw them before paying.'],
    receipt,
  ),
  ...of(
    'physical',
    [
      'strong',
      ['shippingDocumentation', 'shippingTrackingNumber'],
      "The carrier's record shows when it came, and that nothing came back.",
    ],
    ['optional', 'uncategorizedFile', 'Pictures show the goods as they were sent.'],
  ),
  ...of('digital', ['strong', 'accessActivityLog', 'Use after the complaint speaks against goods that do not work.']),
  ...of('service', ['strong', 'serviceDocumentation', 'A record of the work shows what was given, and that it was accepted.']),
  ...any(summary),
];

const creditNotProcessed = [
  ...any(
    [
      'required',
      'refundRefusalExplanation',
      'Either the credit is named with its date and reference, or the reason why none is owed.',
    ],
    [
      'required',
      ['refundPolicy', 'refundPolicyDisclosure', 'customerCommunication', 'uncategorizedFile'],
      'A statement of ours needs a document: the terms, the messages, or the record of the refund.',
    ],
    ['strong', 'refundPolicy', 'Terms decide whether a refund was owed.'],
    ['strong', 'refundPolicyDisclosure', 'Terms count only where the customer saw them before paying.'],
    wroteToUs,
    ['optional', 'productDescription', 'The reviewer learns what was sold.'],
    ['optional', 'receipt', 'A receipt shows the terms and the amount as the customer saw them.'],
  ),
  ...of('physical', ['optional', ['shippingDocumentation', 'shippingTrackingNumber'], 'The goods came and were not sent back.']),
  ...of('digital', ['optional', 'accessActivityLog', 'It was used, so it was not given back.']),
  ...of('service', ['optional', 'serviceDocumentation', 'It was given, so there is nothing to refund.']),
  ...any(summary),
];

const canceledTerms: readonly Line[] = [
  [
    'required',
    'cancellationRebuttal',
    'The claim is that it was cancelled: say whether and when it was, and what the payment is for.',
  ],
  ['required', ['cancellationPolicy', 'cancellationPolicyDisclosure'], 'Terms decide whether and when it could be cancelled.'],
  ['strong', 'cancellationPolicyDisclosure', 'Terms count only where the customer saw them before paying.'],
  wroteToUs,
];

const subscriptionCanceled = [
  ...any(
    ...canceledTerms,
    [
      'strong',
      ['accessActivityLog', 'serviceDocumentation', 'shippingDocumentation', 'shippingTrackingNumber'],
      'Use or delivery after the day of cancelling shows that it went on.',
    ],
    whatWasSold,
    ['optional', 'receipt', 'Receipts of earlier periods show what was agreed.'],
    ['optional', 'customerSignature', 'A signed contract shows that the customer agreed to be charged again.'],
    summary,
  ),
  ...of('digital', [
    'optional',
    'customerPurchaseIp',
    'The same address at sign-up and in the log ties the use to the customer.',
  ]),
  ...of('service', ['optional', 'serviceDate', 'The date shows which period the payment is for.']),
];

const canceledGoods = [
  ...any(
    [
      'required',
      ['cancellationRebuttal', 'refundRefusalExplanation'],
      'The claim is that it was cancelled or sent back: say why nothing is owed, or name the credit.',
    ],
    [
      'required',
      ['cancellationPolicy', 'refundPolicy', 'cancellationPolicyDisclosure', 'refundPolicyDisclosure'],
      'Terms decide whether it could be cancelled.',
    ],
    [
      'strong',
      ['cancellationPolicyDisclosure', 'refundPolicyDisclosure'],
      'Terms count only where the customer saw them before paying.',
    ],
    wroteToUs,
    whatWasSold,
    receipt,
  ),
  ...of('physical', ['strong', ['shippingDocumentation', 'shippingTrackingNumber'], 'The goods came and were not sent back.']),
  ...of('digital', ['strong', 'accessActivityLog', 'It was used after the day of cancelling.']),
  ...of('service', [
    'strong',
    ['serviceDocumentation', 'serviceDate'],
    'It was given, or kept free, on the day that was booked.',
  ]),
  ...any(summary),
];

const duplicate = [
  ...any(
    ['required', 'duplicateChargeExplanation', 'The claim is that it was paid twice: say how the two payments differ.'],
    ['required', ['duplicateChargeId', 'duplicateChargeDocumentation'], 'The other payment must be named to be compared.'],
    ['strong', 'duplicateChargeDocumentation', 'A receipt of the other payment beside this one shows two purchases.'],
    receipt,
    [
      'strong',
      ['refundRefusalExplanation', 'customerCommunication'],
      'Where one of the two was refunded, the credit settles it.',
    ],
    ['optional', 'productDescription', 'The reviewer learns what this payment was for.'],
    summary,
  ),
  ...of(
    'physical',
    ['strong', ['shippingDocumentation', 'shippingTrackingNumber'], 'Two parcels are two purchases.'],
    ['optional', 'shippingDate', 'Different dates tell two parcels apart.'],
  ),
  ...of('digital', ['strong', 'accessActivityLog', 'Two uses are two purchases.']),
  ...of('service', ['strong', ['serviceDocumentation', 'serviceDate'], 'Two dates are two purchases.']),
];

const paidOtherwise = any(
  [
    'required',
    ['duplicateChargeExplanation', 'uncategorizedText'],
    'The claim is that it was paid in another way: say what the other payment was for.',
  ],
  [
    'required',
    ['receipt', 'duplicateChargeDocumentation', 'uncategorizedFile'],
    'A statement of ours needs a document: a receipt or the books of both payments.',
  ],
  ['strong', 'duplicateChargeDocumentation', 'A receipt of the other payment beside this one shows two purchases.'],
  wroteToUs,
  ['optional', 'productDescription', 'The reviewer learns what this payment was for.'],
);

const unrecognized = [
  ...any(
    whatWasSold,
    [
      'required',
      ['receipt', 'customerCommunication', ...proofOfDelivery],
      'The cardholder must be able to recognise the purchase.',
    ],
    receipt,
    wroteToUs,
    ['strong', 'customerName', "A name that is the cardholder's helps them remember."],
    ['strong', 'billingAddress', "A billing address that passed the bank's check ties the purchase to the card."],
    ['optional', 'customerEmailAddress', 'An address that the customer used before ties them to the purchase.'],
    ['optional', 'customerPurchaseIp', 'An IP address near the cardholder ties them to the purchase.'],
    summary,
  ),
  ...of('physical', ['strong', 'shippingAddress', "The cardholder's own address ties them to the parcel."]),
  ...of('digital', ['strong', 'accessActivityLog', "Use from the cardholder's own devices ties them to the purchase."]),
  ...of('service', ['strong', ['serviceDocumentation', 'serviceDate'], 'The day and place help the cardholder remember.']),
];

/** Authorization and clearing: the bank can look most of it up, so records count and stories do not. */
const processing = any(
  ['required', 'uncategorizedText', 'Say what was authorized and taken, when, and for which amount and currency.'],
  [
    'required',
    ['receipt', 'uncategorizedFile', 'customerSignature'],
    'The record of the payment proves date, amount and approval.',
  ],
  ['strong', 'receipt', 'A receipt shows the amount and currency that the customer agreed to.'],
  ['optional', 'customerCommunication', "The customer's consent to the amount, where it changed."],
  ['optional', 'productDescription', 'The reviewer learns what was sold.'],
);

const general = [
  ...any(
    whatWasSold,
    [
      'required',
      ['receipt', 'customerCommunication', 'uncategorizedText', 'uncategorizedFile', ...proofOfDelivery],
      'At least one thing must answer what the customer says.',
    ],
    receipt,
    wroteToUs,
    ...([
      ['optional', ['refundPolicy', 'cancellationPolicy'], 'Terms decide what is owed.'],
      ['optional', 'customerSignature', 'A signature shows that the customer agreed.'],
    ] satisfies readonly Line[]),
    summary,
    moreFiles,
  ),
  ...whoBought,
  ...delivered.map((line) => (line.kind === 'required' ? { ...line, kind: 'strong' as const } : line)),
];

const noncompliant = any(
  ['required', 'enhancedEvidence.feeAcknowledged', 'The network takes no answer before its fee is acknowledged.'],
  ['required', 'uncategorizedText', 'Answer the rule that the bank says was broken, and how it was kept.'],
  ['strong', ['uncategorizedFile', 'receipt', 'serviceDocumentation', 'customerCommunication'], 'Records carry the answer.'],
  ['optional', 'productDescription', 'The reviewer learns what was sold.'],
);

const appeal = any(
  ['required', 'appeal.card.reasonForFiling', 'The first decision stands unless it is said why it is wrong.'],
  ['strong', 'appealSupportingFiles', 'What the first reviewer did not have is what can change the decision.'],
);

/** The rows by name. The name is shown with a score. */
export const rows = {
  fraud,
  fraud_compelling_evidence: [...fraud, ...compellingEvidence],
  card_present_fraud: cardPresentFraud,
  product_not_received: notReceived,
  product_unacceptable: unacceptable,
  credit_not_processed: creditNotProcessed,
  subscription_canceled: subscriptionCanceled,
  canceled_goods: canceledGoods,
  duplicate,
  paid_by_other_means: paidOtherwise,
  unrecognized,
  processing,
  noncompliant,
  general,
  appeal,
} satisfies Record<string, readonly Requirement[]>;
export type RowName = keyof typeof rows;

/** `by_reason`: a code that covers many claims; the provider's category tells which. */
export type CodeMeaning = RowName | 'by_reason';

const all = (meaning: CodeMeaning, ...codes: readonly string[]) => codes.map((code) => [code, meaning] as const);

/** docs.stripe.com/disputes/categories, by the network's name as the provider says it. */
export const networkCodes: ReadonlyMap<string, ReadonlyMap<string, CodeMeaning>> = new Map([
  [
    'visa',
    new Map([
      ...all('card_present_fraud', '10.1', '10.2', '10.3'),
      ...all('fraud_compelling_evidence', '10.4'),
      ...all('fraud', '10.5', '33'),
      ...all('processing', '11.1', '11.2', '11.3', '12.1', '12.2', '12.3', '12.4', '12.5', '12.7'),
      ...all('duplicate', '12.6', '12.6.1'),
      ...all('paid_by_other_means', '12.6.2'),
      ...all('product_not_received', '13.1', '13.9'),
      ...all('subscription_canceled', '13.2'),
      ...all('product_unacceptable', '13.3', '13.4', '13.5'),
      ...all('credit_not_processed', '13.6'),
      ...all('canceled_goods', '13.7'),
      ...all('processing', '13.8'),
    ]),
  ],
  [
    'mastercard',
    new Map([
      ...all('fraud', '4837', '4849', '4840'),
      ...all('card_present_fraud', '4870', '4871'),
      ...all('unrecognized', '4863'),
      ...all('processing', '4807', '4808', '4812', '4831', '4842', '4846', '4850'),
      ...all('duplicate', '4834'),
      ...all('subscription_canceled', '4841'),
      ...all('by_reason', '4853', '4854'),
      ...all('product_not_received', '4855'),
      ...all('canceled_goods', '4859'),
      ...all('credit_not_processed', '4860'),
    ]),
  ],
  [
    'amex',
    new Map([
      ...all('processing', 'A01', 'A02', 'A08', 'P01', 'P03', 'P04', 'P05', 'P07', 'P22', 'P23', 'M01', 'M10'),
      ...all('credit_not_processed', 'C02', 'C05'),
      ...all('canceled_goods', 'C04', 'C18'),
      ...all('product_not_received', 'C08'),
      ...all('paid_by_other_means', 'C14'),
      ...all('subscription_canceled', 'C28'),
      ...all('product_unacceptable', 'C31', 'C32'),
      ...all('fraud', 'F14', 'F24', 'F29', 'FR2', 'FR4', 'FR6'),
      ...all('card_present_fraud', 'F10', 'F22', 'F30', 'F31'),
      ...all('duplicate', 'P08'),
      ...all('by_reason', 'M49', 'R03', 'R13'),
    ]),
  ],
  [
    'discover',
    new Map([
      ...all('unrecognized', 'AA', '4752'),
      ...all('subscription_canceled', 'AP', '4541'),
      ...all('processing', 'AT', 'AW', 'CD', 'DA', 'EX', 'IN', 'LP', 'NA', '4542', '4550', '4586', '4753', '4863'),
      ...all('canceled_goods', 'CR'),
      ...all('duplicate', 'DP', '4534'),
      ...all('paid_by_other_means', 'PM', '4865'),
      ...all('product_not_received', 'RG', 'NF', '4755', '4864'),
      ...all('product_unacceptable', 'RM', '4553'),
      ...all('credit_not_processed', 'RN', 'RN2', '8002'),
      ...all('card_present_fraud', 'UA01', 'UA05', 'UA06', '4866', '4867', '7010'),
      ...all('fraud', 'UA02', 'UA10', 'UA11', '7030'),
      ...all('by_reason', 'NC', '4762'),
    ]),
  ],
]);

/** The provider's categories: docs.stripe.com/api/disputes/object#dispute_object-reason */
export const reasons: ReadonlyMap<string, RowName> = new Map([
  ['fraudulent', 'fraud'],
  ['unrecognized', 'unrecognized'],
  ['product_not_received', 'product_not_received'],
  ['product_unacceptable', 'product_unacceptable'],
  ['credit_not_processed', 'credit_not_processed'],
  ['subscription_canceled', 'subscription_canceled'],
  ['duplicate', 'duplicate'],
  ['noncompliant', 'noncompliant'],
  ['debit_not_authorized', 'fraud'],
  ['bank_cannot_process', 'processing'],
  ['check_returned', 'processing'],
  ['incorrect_account_details', 'processing'],
  ['insufficient_funds', 'processing'],
  ['customer_initiated', 'general'],
  ['general', 'general'],
]);
