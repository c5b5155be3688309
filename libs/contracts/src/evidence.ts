/* Evidence as it is edited and shown. HTTP only: it is personal data, so nothing of it is ever on a topic. */
import { Flag, Inside, ListOf, Message, OneOf, OurId, Text, Time, Whole, Words, type Class } from '#contracts/fields';

/** Where a file of evidence may stand. An appeal takes several, everything else one. */
export const evidenceFileFields = [
  'cancellationPolicy',
  'customerCommunication',
  'customerSignature',
  'duplicateChargeDocumentation',
  'receipt',
  'refundPolicy',
  'serviceDocumentation',
  'shippingDocumentation',
  'uncategorizedFile',
  'appealSupportingFiles',
] as const;
export type EvidenceFileField = (typeof evidenceFileFields)[number];

/** What a file of evidence may be, by its content. */
export const evidenceFileTypes = ['application/pdf', 'image/jpeg', 'image/png'] as const;
export type EvidenceFileType = (typeof evidenceFileTypes)[number];

/** Stripe's own limit for what is argued or documented, and for all else that of its published schema. */
const longText = 20_000;
const shortText = 5_000;

const Long = (about: string, example: string) => Text({ max: longText, about, example, optional: true, nullable: true });
const Short = (about: string, example: string) => Text({ max: shortText, about, example, optional: true, nullable: true });
const Part = (about: string, example: string, max = 500) => Text({ max, about, example, optional: true });

/** An address, for Compelling Evidence 3.0. */
@Message('An address. It counts as an identifier only when it is complete but for `line2`.')
export class EvidenceAddress {
  @Part('The city.', 'Springfield')
  declare readonly city?: string;

  @Part('The country, by two letters.', 'US')
  declare readonly country?: string;

  @Part('Street and number.', '1 Main Street')
  declare readonly line1?: string;

  @Part('Apartment or floor.', 'Apt. 2')
  declare readonly line2?: string;

  @Part('The postal code.', '62701')
  declare readonly postalCode?: string;

  @Part('The state or province.', 'IL')
  declare readonly state?: string;
}

/** What identifies a customer. */
class Identifiers {
  @Part("The customer's account with you.", 'ann-17', shortText)
  declare readonly customerAccountId?: string;

  @Part('A fingerprint of the device, 20 characters or more.', '9f86d081884c7d659a2feaa0', shortText)
  declare readonly customerDeviceFingerprint?: string;

  @Part("The device's own id, 15 characters or more.", '490154203237518', shortText)
  declare readonly customerDeviceId?: string;

  @Part("The customer's e-mail address.", 'ann@example.com', shortText)
  declare readonly customerEmailAddress?: string;

  @Part('The IP address of the purchase.', '203.0.113.7', shortText)
  declare readonly customerPurchaseIp?: string;

  @Text({ max: longText, about: 'What was sold.', example: 'Two oak chairs', optional: true })
  declare readonly productDescription?: string;

  @Inside(EvidenceAddress, { about: 'Where it went.', optional: true })
  declare readonly shippingAddress?: EvidenceAddress;
}

/** The payment that is disputed. */
@Message('What identifies the customer of the disputed payment.')
export class DisputedTransaction extends Identifiers {
  @OneOf(['merchandise', 'services'], { about: 'What kind of thing was sold.', example: 'merchandise', optional: true })
  declare readonly merchandiseOrServices?: 'merchandise' | 'services';
}

/** An earlier payment of the same customer. */
@Message('What identifies the customer of an earlier payment that was not disputed.')
export class PriorTransaction extends Identifiers {
  @Text({ max: 255, about: "The provider's id of its charge.", example: 'ch_3PxYz' })
  declare readonly charge: string;
}

/** Visa's Compelling Evidence 3.0. */
@Message(
  "Visa's Compelling Evidence 3.0: the disputed payment, and exactly two earlier ones, 120 to 364 days older, by the same customer.",
)
export class CompellingEvidence3 {
  @Inside(DisputedTransaction, { about: 'The disputed payment.', optional: true })
  declare readonly disputedTransaction?: DisputedTransaction;

  @ListOf(PriorTransaction, { about: 'The two earlier payments.', optional: true })
  declare readonly priorUndisputedTransactions?: readonly PriorTransaction[];
}

/** The fee of a compliance programme. */
@Message('Whether the fee that the network asks for an answer is acknowledged.')
export class ComplianceFee {
  @Flag({ about: 'Without true nothing can be submitted. The fee is given back on a win.', example: true })
  declare readonly feeAcknowledged: boolean;
}

/** What some programmes of card networks take beyond the usual fields. */
@Message('What programmes of the card networks take. Each is put in whole; null takes it out.')
export class EnhancedEvidence {
  @Inside(CompellingEvidence3, { about: 'For Visa disputes with code 10.4 that qualify.', optional: true, nullable: true })
  declare readonly visaCompellingEvidence3?: CompellingEvidence3 | null;

  @Inside(ComplianceFee, { about: 'For compliance cases of Visa.', optional: true, nullable: true })
  declare readonly visaCompliance?: ComplianceFee | null;

  @Inside(ComplianceFee, { about: 'For compliance cases of Mastercard.', optional: true, nullable: true })
  declare readonly mastercardCompliance?: ComplianceFee | null;
}

/** What is said in an appeal over a card payment. */
@Message('What is said in an appeal over a card payment.')
export class CardAppeal {
  @Text({ max: longText, about: 'Why the decision is wrong.', example: 'The signature on the receipt was overlooked.' })
  declare readonly reasonForFiling: string;
}

/** An appeal against a decision. */
@Message('An appeal; it is all that is sent in one. Its files stand in `appealSupportingFiles`.')
export class Appeal {
  @Inside(CardAppeal, { about: 'Over a card payment.' })
  declare readonly card: CardAppeal;
}

/** All of the evidence but its files, by Stripe's names in camelCase. */
@Message('Evidence without its files. Only what is there stands in it when it is shown.')
export class EvidenceContent {
  @Long('What the customer did with what they bought: times, IP addresses.', '2026-03-01 09:30 203.0.113.7 downloaded')
  declare readonly accessActivityLog?: string | null;

  @Short('The billing address that the customer gave.', '1 Main Street, Springfield')
  declare readonly billingAddress?: string | null;

  @Long('How the customer was shown the rules for cancelling.', 'Above the button that places the order.')
  declare readonly cancellationPolicyDisclosure?: string | null;

  @Long('Why it was not canceled.', 'Nobody asked for that before the dispute.')
  declare readonly cancellationRebuttal?: string | null;

  @Short("The customer's e-mail address.", 'ann@example.com')
  declare readonly customerEmailAddress?: string | null;

  @Short("The customer's name.", 'Ann Other')
  declare readonly customerName?: string | null;

  @Short('The IP address that the purchase was made from.', '203.0.113.7')
  declare readonly customerPurchaseIp?: string | null;

  @Long('How this payment differs from the one it is said to repeat.', 'The other one was for another order.')
  declare readonly duplicateChargeExplanation?: string | null;

  @Short("The provider's id of the charge that this one is said to repeat.", 'ch_3QxYz')
  declare readonly duplicateChargeId?: string | null;

  @Long('What was sold.', 'Two oak chairs')
  declare readonly productDescription?: string | null;

  @Long('How the customer was shown the rules for refunds.', 'On the page before paying.')
  declare readonly refundPolicyDisclosure?: string | null;

  @Long('Why there is no refund, or that there was one.', 'This payment was refunded in one refund.')
  declare readonly refundRefusalExplanation?: string | null;

  @Short('When the service was given.', '2026-03-01')
  declare readonly serviceDate?: string | null;

  @Short('Where it was shipped.', '1 Main Street, Springfield')
  declare readonly shippingAddress?: string | null;

  @Short('Who carried it.', 'UPS')
  declare readonly shippingCarrier?: string | null;

  @Short('When it was shipped.', '2026-03-01')
  declare readonly shippingDate?: string | null;

  @Short('By which the carrier finds it.', '1Z999AA10123456784')
  declare readonly shippingTrackingNumber?: string | null;

  @Long('Whatever else the bank should know.', 'The customer wrote on 3 March that the chairs were fine.')
  declare readonly uncategorizedText?: string | null;

  @Inside(EnhancedEvidence, { about: 'For programmes of the card networks.', optional: true, nullable: true })
  declare readonly enhancedEvidence?: EnhancedEvidence | null;

  @Inside(Appeal, { about: 'Only in an appeal.', optional: true, nullable: true })
  declare readonly appeal?: Appeal | null;
}

/** The body of PATCH /v1/disputes/{id}/evidence. */
@Message('Changes evidence: what is given is put in, null takes out, what is not named stays.')
export class EditEvidence extends EvidenceContent {}

/** A document of the evidence. */
@Message('A file of the evidence. Its bytes are read from its own address.')
export class EvidenceFile {
  @OurId('ef', { about: 'Our id.', example: 'ef_01HZX3J9' })
  declare readonly id: string;

  @OneOf(evidenceFileFields, { about: 'Where it stands.', example: 'receipt' })
  declare readonly field: EvidenceFileField;

  @Text({ max: 255, about: 'What it was called when it came; shown, and believed in nothing.', example: 'receipt.pdf' })
  declare readonly name: string;

  @OneOf(evidenceFileTypes, { about: 'What it is, by its content.', example: 'application/pdf' })
  declare readonly type: EvidenceFileType;

  @Whole({ min: 0, of: 'bytes', about: 'In bytes.', example: 48_213 })
  declare readonly size: number;

  @Whole({ min: 0, about: 'An image is one.', example: 2 })
  declare readonly pages: number;

  @Text({ max: 64, about: 'SHA-256 of its bytes, as hexadecimal digits.', example: 'e3b0c442' })
  declare readonly digest: string;

  @Text({ max: 255, about: "The provider's id; null until it is there.", example: 'file_1QxYz', nullable: true })
  declare readonly providerFileId: string | null;

  @Text({ max: 255, about: 'Who put it in.', example: 'admin' })
  declare readonly by: string;

  @Time({ about: 'When.', example: '2026-03-10T09:30:00.000Z' })
  declare readonly addedAt: string;
}

/** Who changed what. */
@Message('Who changed what, in one version of the evidence.')
export class EvidenceChange {
  @Whole({ min: 1, about: 'The version that it made.', example: 3 })
  declare readonly version: number;

  @Words({ about: 'Names of fields; a nested one by its path.', example: ['productDescription'] })
  declare readonly fields: readonly string[];

  @Text({ max: 255, about: 'Who.', example: 'admin' })
  declare readonly by: string;

  @Time({ about: 'When.', example: '2026-03-10T09:30:00.000Z' })
  declare readonly at: string;
}

/** How much an item matters. */
export const evidenceItemKinds = ['required', 'strong', 'optional'] as const;
export type EvidenceItemKind = (typeof evidenceItemKinds)[number];

/** One line of the score. */
@Message('Something that answers the claim, and whether it is there.')
export class EvidenceItem {
  @OneOf(evidenceItemKinds, {
    about: '"required": it can hardly be won without; "strong": it decides many cases; "optional": it helps the reader.',
    example: 'required',
  })
  declare readonly kind: EvidenceItemKind;

  @Words({ about: 'The fields that meet it; one of them is enough.', example: ['productDescription'] })
  declare readonly oneOf: readonly string[];

  @Flag({ about: 'Whether one of them is there.', example: false })
  declare readonly given: boolean;

  @Text({ max: 1000, about: 'Why it matters.', example: 'The reviewer has only this to learn what was sold.' })
  declare readonly why: string;
}

/** How complete the evidence is. */
@Message('How complete the evidence is, by what the claim asks for. It is no chance of winning; more evidence never lowers it.')
export class EvidenceScore {
  @Whole({ min: 0, max: 100, about: 'From 0 to 100.', example: 64 })
  declare readonly score: number;

  @Text({ max: 100, about: 'Of the table that it is measured by.', example: '2026-11' })
  declare readonly version: string;

  @Text({ max: 100, about: "The table's row: what kind of claim it is.", example: 'product_not_received' })
  declare readonly row: string;

  @Text({
    max: 100,
    about: 'The kind of product that it is measured by, as the evidence shows it; null where it shows none.',
    example: 'physical',
    nullable: true,
  })
  declare readonly productType: string | null;

  @ListOf(EvidenceItem, { about: 'All that the claim asks for.' })
  declare readonly items: readonly EvidenceItem[];

  @ListOf(EvidenceItem, { about: 'What is not there, what matters most first.' })
  declare readonly missing: readonly EvidenceItem[];
}

/** Something that is wrong with the evidence. */
@Message('Something that the provider or the network would refuse (an error), or ignore (a warning).')
export class EvidenceFinding {
  @Text({ max: 100, about: 'What, as a stable code.', example: 'text_link' })
  declare readonly code: string;

  @OneOf(['error', 'warning'], { about: 'An error keeps the evidence from being submitted.', example: 'warning' })
  declare readonly severity: 'error' | 'warning';

  @Text({
    max: 1000,
    about: 'The field; `evidence` for all of it, `files` for all files.',
    example: 'uncategorizedText',
  })
  declare readonly path: string;

  @Text({ max: 2000, about: 'In words.', example: 'Banks open no links: put what is behind it into the evidence.' })
  declare readonly message: string;
}

/** An answer as it was sent. */
@Message('One answer to a stage of the dispute, exactly as it was sent or is to be sent.')
export class EvidencePacket {
  @Whole({ min: 1, about: 'Which answer of the dispute: the first, the second after an escalation.', example: 1 })
  declare readonly round: number;

  @Whole({ min: 1, about: 'The version of the evidence that went out.', example: 3 })
  declare readonly version: number;

  @Inside(EvidenceContent, { about: 'What was said.' })
  declare readonly evidence: EvidenceContent;

  @ListOf(EvidenceFile, { about: 'The files that went with it.' })
  declare readonly files: readonly EvidenceFile[];

  @Words({ about: 'Fields that the provider was told to hold no more.', example: [] })
  declare readonly emptied: readonly string[];

  @Text({ max: 255, about: 'Who decided to submit it: a caller, or a policy.', example: 'admin' })
  declare readonly by: string;

  @Time({ about: 'When that was decided.', example: '2026-03-10T09:30:00.000Z' })
  declare readonly decidedAt: string;

  @Time({ about: 'When the provider had it; null while that is not known.', example: '2026-03-10T09:30:02.000Z', nullable: true })
  declare readonly submittedAt: string | null;
}

/** The answer of GET and PATCH /v1/disputes/{id}/evidence, and of what is done to its files. */
@Message('The evidence of a dispute: what is being put together, how good it is, and what was sent.')
export class Evidence {
  @OurId('dp', { about: 'The dispute.', example: 'dp_01HZX3J9' })
  declare readonly disputeId: string;

  @Whole({ min: 1, about: 'Rises with every change; also the ETag.', example: 3 })
  declare readonly version: number;

  @Inside(EvidenceContent, { about: 'What is to be said.' })
  declare readonly evidence: EvidenceContent;

  @ListOf(EvidenceFile, { about: 'The files that are to go with it, in the order in which they came.' })
  declare readonly files: readonly EvidenceFile[];

  @ListOf(EvidenceChange, { about: 'Who changed what, oldest first.' })
  declare readonly changes: readonly EvidenceChange[];

  @Inside(EvidenceScore, { about: 'How complete it is.' })
  declare readonly score: EvidenceScore;

  @ListOf(EvidenceFinding, { about: 'What is wrong with it, errors first. The same rules decide when it is submitted.' })
  declare readonly findings: readonly EvidenceFinding[];

  @Whole({
    min: 0,
    about: 'The version that the provider was last given to hold, without submitting it; 0 for none.',
    example: 3,
  })
  declare readonly stagedVersion: number;

  @Words({ about: 'What of ours the provider holds, or may hold, by field.', example: ['productDescription'] })
  declare readonly staged: readonly string[];

  @ListOf(EvidencePacket, { about: 'The answers as they were sent, oldest first.' })
  declare readonly packets: readonly EvidencePacket[];
}

/** What of evidence comes in, with what is inside it. */
export const evidenceEdits: readonly Class[] = [
  EditEvidence,
  EnhancedEvidence,
  CompellingEvidence3,
  DisputedTransaction,
  PriorTransaction,
  EvidenceAddress,
  ComplianceFee,
  Appeal,
  CardAppeal,
];
