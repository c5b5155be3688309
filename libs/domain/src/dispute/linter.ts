/*
 * What is wrong with an answer to a dispute, said before the one submission is spent. An error: the provider or the network would refuse
 * it, or it would be spent in vain. A warning: a part would likely be ignored, or weakens the rest. The limits are those of
 * docs.stripe.com/disputes/best-practices, /disputes/responding and /disputes/api/visa-ce3; where two of them disagree, the narrower one
 * holds, so that what passes here is within both.
 */
import type { Dispute, Eligibility } from './dispute.js';
import {
  fileFields,
  fileTypes,
  textFields,
  type CompellingEvidence3,
  type DisputedTransaction,
  type Draft,
  type EnhancedEvidence,
  type Evidence,
  type EvidenceFile,
  type Identifiers,
  type PriorTransaction,
  type ShippingAddress,
  type TextField,
} from './evidence.js';
import { invisible, isBlank, unprintable } from './printable.js';

/** Characters are counted as UTF-16 has them, which is never less than a provider counts; MB are millions of bytes, the smaller reading. */
export const limits = {
  longText: 20_000,
  /** Not on the pages for people; their published schema has it for every field without a limit of its own. */
  shortText: 5_000,
  textTogether: 150_000,
  fileBytes: 5_000_000,
  filesBytesTogether: 4_500_000,
  /** "Fewer than 50". */
  pagesTogether: 49,
  pagesTogetherForMastercard: 19,
  deviceIdCharacters: 15,
  deviceFingerprintCharacters: 20,
  priorTransactions: 2,
  priorDays: { least: 120, most: 364 },
} as const;

/** Every finding there is: how grave it is, and what it means. Codes stay; sentences may be improved. */
export const findings = {
  evidence_empty: ['error', 'There is no evidence: an answer without any is lost.'],
  text_too_long: ['error', 'The text is too long for its field.'],
  text_too_long_together: ['error', 'All texts together are too long.'],
  text_unprintable: ['error', 'The text has characters that cannot be printed.'],
  text_invisible: [
    'warning',
    'The text has characters that cannot be seen or that only some fonts have: a bank may see other text.',
  ],
  text_blank: ['warning', 'The text has nothing in it that can be read.'],
  text_link: ['warning', 'Banks open no links: put what is behind it into the evidence.'],
  date_unreadable: ['warning', 'This is not readable as a date.'],
  email_unreadable: ['warning', 'This is not an e-mail address.'],
  ip_unreadable: ['warning', 'This is not an IP address.'],
  file_empty: ['error', 'The file is empty.'],
  file_too_big: ['error', 'The file is too big.'],
  file_type_refused: ['error', 'The file is not a PDF, JPEG or PNG.'],
  file_unreadable: ['error', 'The pages of the file cannot be counted: it is broken or locked.'],
  file_too_many_pages: ['error', 'The file alone has more pages than an answer may have.'],
  file_refused: ['error', 'The provider does not take this file: take it out, or put another one in its place.'],
  file_place_taken: ['error', 'Only one file fits here: put several documents into one.'],
  files_too_big_together: ['error', 'All files together are too big.'],
  files_too_many_pages: ['error', 'All files together have too many pages.'],
  files_too_many_pages_for_mastercard: ['error', 'Mastercard takes fewer pages than all files together have.'],
  files_maybe_too_many_pages: [
    'warning',
    'The card network is not known, and Mastercard takes fewer pages than all files together have.',
  ],
  compelling_evidence_refused: ['error', 'Compelling Evidence 3.0 is only for Visa disputes with code 10.4 that qualify.'],
  compelling_evidence_not_listed: [
    'error',
    'The provider does not list this dispute for Compelling Evidence 3.0, and refuses or ignores it.',
  ],
  compelling_evidence_left_out: [
    'warning',
    'The dispute could be answered with Compelling Evidence 3.0, which few banks can reject.',
  ],
  compelling_evidence_left_to_provider: [
    'warning',
    'This is left to what the provider says it holds, and cannot be checked here.',
  ],
  compelling_evidence_unknown_action: ['warning', 'The provider asks for something that is not known here.'],
  description_missing: ['error', 'Compelling Evidence 3.0 needs a description of what was sold in all three payments.'],
  merchandise_or_services_missing: ['error', 'Compelling Evidence 3.0 needs to know whether merchandise or services were sold.'],
  prior_transactions_not_two: ['error', 'Compelling Evidence 3.0 needs exactly two earlier payments that were not disputed.'],
  prior_charge_missing: ['error', 'The earlier payment is not named.'],
  prior_charge_repeated: ['error', 'The two earlier payments must be different ones.'],
  prior_charge_disputed: ['error', 'The disputed payment itself cannot be an earlier one.'],
  prior_charge_outside_window: [
    'error',
    'The earlier payment must be at least 120 and at most 364 days older than the disputed one.',
  ],
  prior_charge_date_unknown: [
    'warning',
    'When the earlier payment was made is not known here: it must be 120 to 364 days older.',
  ],
  device_id_too_short: ['error', 'The device id is too short.'],
  device_fingerprint_too_short: ['error', 'The device fingerprint is too short.'],
  identifiers_do_not_match: [
    'error',
    'Two identifiers must be the same to the letter in all three payments: the IP address or the device, and another one.',
  ],
  shipping_address_incomplete: [
    'warning',
    'The address does not count as an identifier while a part other than line2 is missing.',
  ],
  compliance_not_offered: ['error', 'The dispute does not fall under this compliance programme.'],
  compliance_fee_not_acknowledged: ['error', 'The network takes no answer to a compliance case before its fee is acknowledged.'],
  appeal_reason_missing: ['error', 'An appeal needs the reason why the decision is wrong.'],
  appeal_not_due: ['error', 'There is no decision to appeal against.'],
  only_appeal_due: ['error', 'Only the appeal itself can be sent now.'],
} as const satisfies Record<string, readonly ['error' | 'warning', string]>;
export type FindingCode = keyof typeof findings;

export interface Finding {
  readonly code: FindingCode;
  readonly severity: 'error' | 'warning';
  /** The field or the place of a file; a nested part by its path; `evidence` for all of it, `files` for all files. */
  readonly path: string;
  readonly message: string;
}

export type LintedDispute = Pick<Dispute, 'stage' | 'network' | 'networkReasonCode' | 'eligibilities'>;

/** What is known of the payments that evidence may name. Ids are the provider's, as `PriorTransaction.charge` has them. */
export interface KnownCharges {
  /** The disputed one, by all its names. */
  readonly disputed: readonly string[];
  /** When it was paid; null where that is not known. */
  readonly paidAt: Date | null;
  /** When others were. */
  readonly earlier: ReadonlyMap<string, Date>;
}

const nothingKnown: KnownCharges = { disputed: [], paidAt: null, earlier: new Map() };

/** Judges what would go out: see `answerFrom`. Errors first. */
export function lint(
  dispute: LintedDispute,
  answer: Pick<Draft, 'content' | 'files'>,
  known: KnownCharges = nothingKnown,
): readonly Finding[] {
  const { content, files } = answer;
  const inAppeal = dispute.stage === 'appeal';
  const found = [
    ...(saysNothing(answer) ? [finding('evidence_empty', 'evidence')] : []),
    ...textFindings(content),
    ...fileFindings(files, dispute),
    ...(inAppeal ? appealFindings(answer) : earlyAppealFindings(answer)),
    ...(inAppeal ? [] : compellingEvidenceFindings(dispute, content.enhancedEvidence?.visaCompellingEvidence3, known)),
    ...(inAppeal ? [] : complianceFindings(dispute, content.enhancedEvidence ?? {})),
  ];
  return [...found.filter(({ severity }) => severity === 'error'), ...found.filter(({ severity }) => severity === 'warning')];
}

export const hasErrors = (found: readonly Finding[]): boolean => found.some(({ severity }) => severity === 'error');

export type UploadRefusal = Extract<
  FindingCode,
  'file_empty' | 'file_too_big' | 'file_type_refused' | 'file_unreadable' | 'file_too_many_pages'
>;

/** Why one file is not taken in, or null. `type` by its content, `pages` null where they cannot be counted. */
export function uploadRefusal(file: {
  readonly size: number;
  readonly type: string | null;
  readonly pages: number | null;
}): { readonly code: UploadRefusal; readonly message: string } | null {
  const [code, detail] = refusalOf(file) ?? [];
  return code === undefined ? null : { code, message: message(code, detail) };
}

function refusalOf({ size, type, pages }: Parameters<typeof uploadRefusal>[0]): readonly [UploadRefusal, string?] | null {
  if (!(size > 0)) return ['file_empty'];
  if (size > limits.fileBytes) return ['file_too_big', counted(size, limits.fileBytes, 'bytes')];
  if (!fileTypes.some((known) => known === type)) return ['file_type_refused'];
  if (pages === null || !Number.isSafeInteger(pages) || pages < 1) return ['file_unreadable'];
  if (pages > limits.pagesTogether) return ['file_too_many_pages', counted(pages, limits.pagesTogether, 'pages')];
  return null;
}

function finding(code: FindingCode, path: string, detail?: string): Finding {
  return { code, severity: findings[code][0], path, message: message(code, detail) };
}

const message = (code: FindingCode, detail?: string) => `${findings[code][1]}${detail === undefined ? '' : ` ${detail}`}`;

const grouped = (n: number) => n.toString().replaceAll(/(?<=\d)(?=(?:\d{3})+$)/g, ',');
const counted = (n: number, most: number, what: string) => `It has ${grouped(n)} ${what}; at most ${grouped(most)} are taken.`;

function saysNothing({ content, files }: Pick<Draft, 'content' | 'files'>): boolean {
  const { enhancedEvidence, ...rest } = content;
  const told = { ...rest, compellingEvidence: enhancedEvidence?.visaCompellingEvidence3 };
  return files.length === 0 && textsIn(told, '').every(({ text }) => isBlank(text));
}

interface Text {
  readonly path: string;
  readonly text: string;
}

/** Every text in it, however deep. */
function textsIn(part: unknown, path: string): Text[] {
  if (typeof part === 'string') return [{ path, text: part }];
  if (typeof part !== 'object' || part === null) return [];
  return Object.entries(part).flatMap(([name, inner]) => textsIn(inner, path === '' ? name : `${path}.${name}`));
}

/** Those that docs.stripe.com/api/disputes/update gives 20,000 characters. */
const longFields: ReadonlySet<string> = new Set([
  'accessActivityLog',
  'cancellationPolicyDisclosure',
  'cancellationRebuttal',
  'duplicateChargeExplanation',
  'productDescription',
  'refundPolicyDisclosure',
  'refundRefusalExplanation',
  'uncategorizedText',
  // Not stated for an appeal: taken to be like the explanations.
  'appeal.card.reasonForFiling',
] satisfies (TextField | 'appeal.card.reasonForFiling')[]);

const link = /\bhttps?:\/\/|\bwww\.[^\s.]/iu;

function textFindings(content: Evidence): Finding[] {
  const texts = textsIn(content, '');
  const together = texts.reduce((sum, { text }) => sum + text.length, 0);
  return [
    ...texts.flatMap(({ path, text }) => [
      ...tooLong(path, text),
      ...(unprintable.test(text) ? [finding('text_unprintable', path)] : []),
      ...(invisible.test(text) ? [finding('text_invisible', path)] : []),
      ...(isBlank(text) ? [finding('text_blank', path)] : []),
      ...(link.test(text) ? [finding('text_link', path)] : []),
      ...formFindings(path, text),
    ]),
    ...(together > limits.textTogether
      ? [finding('text_too_long_together', 'evidence', counted(together, limits.textTogether, 'characters'))]
      : []),
  ];
}

function tooLong(path: string, text: string): Finding[] {
  const most = longFields.has(path) ? limits.longText : limits.shortText;
  return text.length > most ? [finding('text_too_long', path, counted(text.length, most, 'characters'))] : [];
}

/** No address is longer, and the pattern is slow on what is. */
const longestEmail = 320;
const email = /^[^\s@]+@[^\s@]+\.[^\s@]+$/u;
const isEmailAddress = (text: string) => text.length <= longestEmail && email.test(text);

function formFindings(path: string, text: string): Finding[] {
  if (isBlank(text)) return [];
  if ((path === 'serviceDate' || path === 'shippingDate') && !isDate(text)) return [finding('date_unreadable', path)];
  if (path.endsWith('customerEmailAddress') && !isEmailAddress(text)) return [finding('email_unreadable', path)];
  if (path.endsWith('customerPurchaseIp') && !isIpAddress(text)) return [finding('ip_unreadable', path)];
  return [];
}

const months = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];
const monthName = String.raw`(jan|feb|mar|apr|may|jun|jul|aug|sept?|oct|nov|dec)[a-z]*`;

/**
 * Whether it has a day of the calendar in it that a person would read as one. Words around it are fine, and a span has two. The order of
 * day and month in numbers is nobody's to know, so either may make it a date.
 */
function isDate(text: string): boolean {
  const days: [year: string, month: string, day: string][] = [];
  const all = (pattern: RegExp) =>
    [...text.slice(0, limits.shortText).matchAll(pattern)].map((match) => match.slice(1).map((part) => part ?? ''));
  for (const [year = '', month = '', day = ''] of all(/(?<!\d)(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})(?!\d)/g))
    days.push([year, month, day]);
  for (const [a = '', b = '', year = ''] of all(/(?<!\d)(\d{1,2})[-/.] ?(\d{1,2})[-/.] ?(\d{4})(?!\d)/g)) {
    days.push(Number(b) > 12 ? [year, a, b] : [year, b, a]);
  }
  for (const [day = '', month = '', year = ''] of all(
    new RegExp(String.raw`(?<!\d)(\d{1,2})(?:st|nd|rd|th)?[-. ]+(?:of )?${monthName}[-., ]+(\d{4})(?!\d)`, 'gi'),
  )) {
    days.push([year, numberOf(month), day]);
  }
  for (const [month = '', day = '', year = ''] of all(
    new RegExp(String.raw`\b${monthName}\.? +(\d{1,2})(?:st|nd|rd|th)?,? +(\d{4})(?!\d)`, 'gi'),
  )) {
    days.push([year, numberOf(month), day]);
  }
  return days.length > 0 && days.every(([year, month, day]) => isDay(Number(year), Number(month), Number(day)));
}

const numberOf = (month: string) => String(months.indexOf(month.slice(0, 3).toLowerCase()) + 1);

function isDay(year: number, month: number, day: number): boolean {
  const at = new Date(Date.UTC(year, month - 1, day));
  return year >= 1900 && year < 2200 && at.getUTCMonth() === month - 1 && at.getUTCDate() === day;
}

const ip4 = /^(?:25[0-5]|2[0-4]\d|1?\d?\d)(?:\.(?:25[0-5]|2[0-4]\d|1?\d?\d)){3}$/;

function isIpAddress(text: string): boolean {
  if (ip4.test(text)) return true;
  if (!/^[\da-f:.]{2,45}$/i.test(text)) return false;
  const halves = text.split('::');
  const [head = '', tail] = halves;
  const groups = [...groupsIn(head), ...groupsIn(tail ?? '')];
  const last = groups.at(-1) ?? '';
  const withIp4 = text.endsWith(last) && ip4.test(last);
  const plain = withIp4 ? groups.slice(0, -1) : groups;
  const length = plain.length + (withIp4 ? 2 : 0);
  return (
    plain.every((group) => /^[\da-f]{1,4}$/i.test(group)) &&
    (tail === undefined ? length === 8 : halves.length === 2 && length < 8)
  );
}

const groupsIn = (half: string) => (half === '' ? [] : half.split(':'));

function fileFindings(files: readonly EvidenceFile[], { network }: LintedDispute): Finding[] {
  const bytes = files.reduce((sum, { size }) => sum + size, 0);
  const pages = files.reduce((sum, file) => sum + file.pages, 0);
  const forMastercard = counted(pages, limits.pagesTogetherForMastercard, 'pages');
  return [
    ...files.flatMap((file): Finding[] => {
      const [code, detail] = refusalOf(file) ?? refusedBefore(file) ?? [];
      return code === undefined ? [] : [finding(code, file.place, detail)];
    }),
    ...fileFields
      .filter((field) => files.filter(({ place }) => place === field).length > 1)
      .map((field) => finding('file_place_taken', field)),
    ...(bytes > limits.filesBytesTogether
      ? [finding('files_too_big_together', 'files', counted(bytes, limits.filesBytesTogether, 'bytes'))]
      : []),
    ...(pages > limits.pagesTogether
      ? [finding('files_too_many_pages', 'files', counted(pages, limits.pagesTogether, 'pages'))]
      : []),
    ...(pages > limits.pagesTogetherForMastercard && isNetwork(network, 'mastercard')
      ? [finding('files_too_many_pages_for_mastercard', 'files', forMastercard)]
      : []),
    ...(pages > limits.pagesTogetherForMastercard && !isKnown(network)
      ? [finding('files_maybe_too_many_pages', 'files', forMastercard)]
      : []),
  ];
}

const refusedBefore = ({ name, refusedAs }: EvidenceFile): readonly ['file_refused', string] | null =>
  refusedAs === null ? null : ['file_refused', `It is ${name}, and the provider says: ${refusedAs}`];

const isNetwork = (network: string | null, name: string) => network?.toLowerCase() === name;
const isKnown = (network: string | null): network is string => network !== null && !isNetwork(network, 'unknown');

/** docs.stripe.com/disputes/arbitration: with an appeal due, other evidence is refused. */
function appealFindings({ content, files }: Pick<Draft, 'content' | 'files'>): Finding[] {
  const others = [...textFields, 'enhancedEvidence' as const].filter((name) => content[name] !== undefined);
  const otherFiles = files.filter(({ place }) => place !== 'appealSupportingFiles');
  return [
    ...(isBlank(content.appeal?.card.reasonForFiling) ? [finding('appeal_reason_missing', 'appeal.card.reasonForFiling')] : []),
    ...others.map((name) => finding('only_appeal_due', name)),
    ...otherFiles.map(({ place }) => finding('only_appeal_due', place)),
  ];
}

function earlyAppealFindings({ content, files }: Pick<Draft, 'content' | 'files'>): Finding[] {
  return [
    ...(content.appeal === undefined ? [] : [finding('appeal_not_due', 'appeal')]),
    ...(files.some(({ place }) => place === 'appealSupportingFiles') ? [finding('appeal_not_due', 'appealSupportingFiles')] : []),
  ];
}

/*
 * Visa's Compelling Evidence 3.0, as docs.stripe.com/disputes/api/visa-ce3 has it. Three things are not certain. The window is 120-364
 * days there and was 120-365 before; from which hour days are counted is said nowhere; so a payment must be within it by every count.
 * Whether `line2` and `state` of an address may be missing is not said: `state` may not here. Whether a part that is not sent leaves
 * what the provider has filled in by itself is not said either: where the provider does not ask for a part, leaving it out is a warning.
 */
const evidencePath = 'enhancedEvidence.visaCompellingEvidence3';

const requiredActions = [
  'missing_customer_identifiers',
  'missing_disputed_transaction_description',
  'missing_merchandise_or_services',
  'missing_prior_undisputed_transaction_description',
  'missing_prior_undisputed_transactions',
] as const;
type RequiredAction = (typeof requiredActions)[number];

function compellingEvidenceFindings(
  dispute: LintedDispute,
  given: CompellingEvidence3 | undefined,
  known: KnownCharges,
): Finding[] {
  const eligibility = dispute.eligibilities.find(({ programme }) => programme === 'visa_compelling_evidence_3');
  const couldQualify = eligibility !== undefined && eligibility.status !== 'not_qualified';
  if (given === undefined) {
    const asked = eligibility?.requiredActions ?? [];
    const isOpen = couldQualify && asked.length > 0;
    return isOpen ? [finding('compelling_evidence_left_out', evidencePath, `The provider asks for: ${asked.join(', ')}.`)] : [];
  }
  const { network, networkReasonCode: code } = dispute;
  const isForeign = (isKnown(network) && !isNetwork(network, 'visa')) || (code !== null && code !== '10.4');
  if (isForeign || eligibility?.status === 'not_qualified' || (eligibility === undefined && code === null)) {
    return [finding('compelling_evidence_refused', evidencePath)];
  }
  const { disputedTransaction = {}, priorUndisputedTransactions: priors } = given;
  return [
    ...(eligibility === undefined ? [finding('compelling_evidence_not_listed', evidencePath)] : []),
    ...unknownActions(eligibility),
    ...disputedFindings(disputedTransaction, eligibility),
    ...priorFindings(priors, eligibility, known),
    ...identifierFindings(disputedTransaction, priors, eligibility),
  ];
}

const unknownActions = (eligibility: Eligibility | undefined) =>
  (eligibility?.requiredActions ?? [])
    .filter((action) => !requiredActions.some((name) => name === action))
    .map((action) => finding('compelling_evidence_unknown_action', evidencePath, `It says: ${action}.`));

/** What is not given is an error, unless the provider looked at the dispute and does not ask for it. */
function notGiven(code: FindingCode, path: string, action: RequiredAction, eligibility: Eligibility | undefined): Finding {
  const isAsked = eligibility === undefined || eligibility.requiredActions.includes(action);
  return isAsked ? finding(code, path) : finding('compelling_evidence_left_to_provider', path);
}

const disputedPath = `${evidencePath}.disputedTransaction`;
const priorsPath = `${evidencePath}.priorUndisputedTransactions`;

function disputedFindings(disputed: DisputedTransaction, eligibility: Eligibility | undefined): Finding[] {
  const { productDescription, merchandiseOrServices } = disputed;
  const description = 'missing_disputed_transaction_description';
  return [
    ...(isBlank(productDescription)
      ? [notGiven('description_missing', `${disputedPath}.productDescription`, description, eligibility)]
      : []),
    ...(merchandiseOrServices === undefined
      ? [
          notGiven(
            'merchandise_or_services_missing',
            `${disputedPath}.merchandiseOrServices`,
            'missing_merchandise_or_services',
            eligibility,
          ),
        ]
      : []),
  ];
}

function priorFindings(
  priors: readonly PriorTransaction[] | undefined,
  eligibility: Eligibility | undefined,
  known: KnownCharges,
): Finding[] {
  const description = 'missing_prior_undisputed_transaction_description';
  if (priors === undefined) {
    // A description can only be sent with the payment that it belongs to.
    const left = eligibility?.requiredActions.includes(description) === true ? [finding('description_missing', priorsPath)] : [];
    return [...left, notGiven('prior_transactions_not_two', priorsPath, 'missing_prior_undisputed_transactions', eligibility)];
  }
  const charges = priors.map(({ charge }) => charge.trim());
  return [
    ...(priors.length === limits.priorTransactions
      ? []
      : [finding('prior_transactions_not_two', priorsPath, `It has ${priors.length}.`)]),
    ...priors.flatMap(({ productDescription }, n) =>
      isBlank(productDescription)
        ? [notGiven('description_missing', `${priorsPath}.${n}.productDescription`, description, eligibility)]
        : [],
    ),
    ...charges.flatMap((charge, n) => {
      const path = `${priorsPath}.${n}.charge`;
      if (isBlank(charge)) return [finding('prior_charge_missing', path)];
      if (charges.indexOf(charge) < n) return [finding('prior_charge_repeated', path)];
      if (known.disputed.includes(charge)) return [finding('prior_charge_disputed', path)];
      return windowFindings(path, known.paidAt, known.earlier.get(charge) ?? null);
    }),
  ];
}

const dayMs = 24 * 60 * 60 * 1000;

/** Whole days of time: who is within the window by this count is within it by calendar days too, in any time zone. */
function windowFindings(path: string, paidAt: Date | null, earlierAt: Date | null): Finding[] {
  const days = ((paidAt?.getTime() ?? Number.NaN) - (earlierAt?.getTime() ?? Number.NaN)) / dayMs;
  if (Number.isNaN(days)) return [finding('prior_charge_date_unknown', path)];
  const { least, most } = limits.priorDays;
  return days >= least && days <= most
    ? []
    : [finding('prior_charge_outside_window', path, `It is ${days.toFixed(1)} days older.`)];
}

function identifierFindings(
  disputed: DisputedTransaction,
  priors: readonly PriorTransaction[] | undefined,
  eligibility: Eligibility | undefined,
): Finding[] {
  const places: readonly (readonly [string, Identifiers])[] = [
    [disputedPath, disputed],
    ...(priors ?? []).map((prior, n) => [`${priorsPath}.${n}`, prior] as const),
  ];
  const all = places.map(([, identifiers]) => identifiers);
  const nobodyNamed = all.every((identifiers) => Object.values(elements).every((read) => read(identifiers) === null));
  const forms = places.flatMap(([path, { customerDeviceId, customerDeviceFingerprint, shippingAddress }]) => [
    ...tooShort('device_id_too_short', `${path}.customerDeviceId`, customerDeviceId, limits.deviceIdCharacters),
    ...tooShort(
      'device_fingerprint_too_short',
      `${path}.customerDeviceFingerprint`,
      customerDeviceFingerprint,
      limits.deviceFingerprintCharacters,
    ),
    ...(shippingAddress !== undefined && addressIn(shippingAddress) === null
      ? [finding('shipping_address_incomplete', `${path}.shippingAddress`)]
      : []),
  ]);
  if (nobodyNamed) {
    const path = evidencePath;
    return [...forms, notGiven('identifiers_do_not_match', path, 'missing_customer_identifiers', eligibility)];
  }
  return [...forms, ...(identifiersMatch(all) ? [] : [finding('identifiers_do_not_match', evidencePath)])];
}

function tooShort(code: FindingCode, path: string, text: string | undefined, least: number): Finding[] {
  if (isBlank(text) || (text ?? '').trim().length >= least) return [];
  return [finding(code, path, `It must have at least ${least} characters.`)];
}

/** What can be the same in all three payments; null where it is not given. Compared to the letter: how banks compare is not known. */
const elements = {
  ip: ({ customerPurchaseIp: ip }: Identifiers) => (ip !== undefined && isIpAddress(ip) ? ip : null),
  deviceId: ({ customerDeviceId }: Identifiers) => filled(customerDeviceId),
  deviceFingerprint: ({ customerDeviceFingerprint }: Identifiers) => filled(customerDeviceFingerprint),
  account: ({ customerAccountId }: Identifiers) => filled(customerAccountId),
  email: ({ customerEmailAddress }: Identifiers) => filled(customerEmailAddress),
  address: ({ shippingAddress }: Identifiers) => (shippingAddress === undefined ? null : addressIn(shippingAddress)),
} satisfies Record<string, (identifiers: Identifiers) => string | null>;

const filled = (text: string | undefined) => (text === undefined || isBlank(text) ? null : text);

function addressIn({ city, country, line1, line2, postalCode, state }: ShippingAddress): string | null {
  const parts = [city, country, line1, postalCode, state];
  return parts.some((part) => isBlank(part)) ? null : JSON.stringify([...parts, line2 ?? '']);
}

/** The IP address or the device, and one more. An id and a fingerprint are one device, not two elements. */
function identifiersMatch([disputed, ...priors]: readonly Identifiers[]): boolean {
  const isSame = (read: (identifiers: Identifiers) => string | null) => {
    const value = read(disputed ?? {});
    return value !== null && priors.length > 0 && priors.every((prior) => read(prior) === value);
  };
  const device = isSame(elements.deviceId) || isSame(elements.deviceFingerprint);
  const main = [isSame(elements.ip), device].filter(Boolean).length;
  const others = [elements.account, elements.email, elements.address].filter(isSame).length;
  return main > 0 && main + others >= 2;
}

const programmes = [
  { programme: 'visa_compliance', part: 'visaCompliance', network: 'visa' },
  { programme: 'mastercard_compliance', part: 'mastercardCompliance', network: 'mastercard' },
] as const;

/** Answering such a case costs a fee that is acknowledged with the answer: docs.stripe.com/disputes/api/visa-compliance */
function complianceFindings(dispute: LintedDispute, given: EnhancedEvidence): Finding[] {
  const listed = programmes.filter(({ programme }) => dispute.eligibilities.some((entry) => entry.programme === programme));
  // A compliance case whose programme the provider does not name is its network's.
  const guessed = programmes.filter(({ network }) => !isKnown(dispute.network) || isNetwork(dispute.network, network));
  const offered = listed.length > 0 ? listed : dispute.stage === 'compliance' ? guessed : [];
  const isAcknowledged = ({ programme, part }: (typeof programmes)[number]) => {
    const entries = dispute.eligibilities.filter((entry) => entry.programme === programme);
    return given[part]?.feeAcknowledged ?? (entries.length > 0 && entries.every(({ status }) => status === 'fee_acknowledged'));
  };
  const isEnough = listed.length > 0 ? offered.every(isAcknowledged) : offered.length === 0 || offered.some(isAcknowledged);
  return [
    ...programmes
      .filter(({ part }) => given[part] !== undefined && !offered.some((programme) => programme.part === part))
      .map(({ part }) => finding('compliance_not_offered', `enhancedEvidence.${part}`)),
    ...offered
      .filter((programme) => !isAcknowledged(programme) && (!isEnough || given[programme.part] !== undefined))
      .map(({ part }) => finding('compliance_fee_not_acknowledged', `enhancedEvidence.${part}`)),
  ];
}
