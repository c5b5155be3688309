/* A dispute over a payment that was refunded, wholly or in part: the credit is the answer to it. Facts only, no promises. */
import { exponentOf, toDecimal } from '../money.js';
import { oneLine } from './printable.js';

/** A refund of the disputed payment that went out. */
export interface Credit {
  readonly providerRefundId: string;
  /** The provider says that it arrived, or that it is on its way. */
  readonly status: 'succeeded' | 'pending';
  /** Minor units. */
  readonly amount: bigint;
  readonly currency: string;
  readonly at: Date | null;
  /** By which the shopper's bank finds it, where that is known: for cards usually an acquirer reference number. */
  readonly bankReference: string | null;
}

export interface DisputedAmount {
  readonly amount: bigint;
  readonly currency: string;
  readonly openedAt: Date | null;
}

/** More than that would not fit into the field, and no reviewer reads it; the sum is of all of them. */
const mostListed = 50;

/** The text for `refundRefusalExplanation`, or null where nothing was refunded. Oldest refunds first. */
export function proofOfCredit(disputed: DisputedAmount, credits: readonly Credit[]): string | null {
  const real = [
    ...new Map(credits.filter(({ amount }) => amount > 0n).map((credit) => [credit.providerRefundId, credit])).values(),
  ];
  if (real.length === 0) return null;
  const byDate = real.toSorted((a, b) => timeOf(a.at) - timeOf(b.at));
  const more = byDate.length - mostListed;
  return [
    `This payment was refunded in ${real.length === 1 ? 'one refund' : `${real.length} refunds`}:`,
    ...byDate.slice(0, mostListed).map((credit) => `- ${described(credit, disputed.openedAt)}`),
    ...(more > 0 ? [`- and ${more} more, counted in the total.`] : []),
    ...totals(real),
    coverage(disputed, real),
  ].join('\n');
}

/** Cards have one of 23 digits; other references are not to be called that. */
const isArn = /^\d{23}$/;

function described({ amount, currency, at, providerRefundId, status, bankReference }: Credit, openedAt: Date | null): string {
  const reference = oneLine(bankReference ?? '', 100);
  const parts = [
    isTime(at) ? `${amountOf(amount, currency)} on ${dayOf(at)} (UTC)` : `${amountOf(amount, currency)}, date not known`,
    ...(isTime(at) && isTime(openedAt)
      ? [at < openedAt ? 'before this dispute was opened' : 'after this dispute was opened']
      : []),
    `refund ${oneLine(providerRefundId, 100)}`,
    ...(reference === '' ? [] : [`${isArn.test(reference) ? 'acquirer reference number (ARN)' : 'bank reference'} ${reference}`]),
  ];
  return `${parts.join(', ')}${status === 'pending' ? '; sent and not yet confirmed by the bank' : ''}.`;
}

function totals(credits: readonly Credit[]): string[] {
  const currencies = [...new Set(credits.map(({ currency }) => currency))];
  return currencies.map((currency) => {
    const own = credits.filter((credit) => credit.currency === currency);
    const pending = sum(own.filter(({ status }) => status === 'pending'));
    const unconfirmed = pending > 0n ? `, of which ${amountOf(pending, currency)} is not yet confirmed by the bank` : '';
    return `Total refunded: ${amountOf(sum(own), currency)}${unconfirmed}.`;
  });
}

function coverage(disputed: DisputedAmount, credits: readonly Credit[]): string {
  const amount = disputed.amount > 0n ? disputed.amount : 0n;
  const all = amountOf(amount, disputed.currency);
  const own = credits.filter(({ currency }) => currency === disputed.currency);
  if (own.length === 0) return `The disputed amount is ${all}. The refunds were made in another currency.`;
  const credited = sum(own);
  if (credited >= amount) return `The disputed amount is ${all}. The refunds cover all of it.`;
  const rest = amountOf(amount - credited, disputed.currency);
  return `The disputed amount is ${all}. The refunds cover ${amountOf(credited, disputed.currency)} of it; ${rest} was not refunded.`;
}

const sum = (credits: readonly Credit[]) => credits.reduce((total, { amount }) => total + amount, 0n);

function amountOf(amount: bigint, currency: string): string {
  const exponent = exponentOf(currency);
  const code = oneLine(currency, 10);
  return exponent === undefined ? `${amount} in the smallest unit of ${code}` : `${toDecimal(amount, exponent)} ${code}`;
}

const isTime = (at: Date | null): at is Date => at !== null && !Number.isNaN(at.getTime());
/** What has no date comes last. */
const timeOf = (at: Date | null) => (isTime(at) ? at.getTime() : Number.MAX_SAFE_INTEGER);

const months = [
  'January',
  'February',
  'March',
  'April',
  'May',
  'June',
  'July',
  'August',
  'September',
  'October',
  'November',
  'December',
];

const dayOf = (at: Date) => `${at.getUTCDate()} ${months[at.getUTCMonth()]} ${at.getUTCFullYear()}`;
