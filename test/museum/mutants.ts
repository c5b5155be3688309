/*
 * The incident museum: mistakes that were made elsewhere, each as the smallest change that would bring it into our code. The run applies
 * one after the other, and something must find it. Incidents are numbered as in docs/reliability.md.
 */

export interface Mutant {
  readonly id: string;
  /** The number of the incident, or null for a trap of a provider's. */
  readonly incident: number | null;
  /** What would happen, and where it did. */
  readonly what: string;
  readonly file: string;
  /** Stands there exactly once. */
  readonly from: string;
  readonly to: string;
  /** Where two guards stand for each other, both must fall. */
  readonly and?: Pick<Mutant, 'file' | 'from' | 'to'>;
  /** Compiled specs that find it, or how many seeds of the simulation must be enough. */
  readonly foundBy: { readonly specs: string } | { readonly seeds: number };
}

export const incidents: Readonly<Record<number, string>> = {
  1: 'two refunds at once exceed the payment (juspay/hyperswitch#13182)',
  2: 'a retry pays twice (medusajs/medusa#16681), or an equal refund vanishes (anolilab/lunora#727)',
  3: 'a double click pays twice (saleor/saleor-dashboard#4474)',
  4: 'after a time-out a refund is written down as failed (csob/paymentgateway#705)',
  5: '"pending" although nothing was sent (juspay/hyperswitch#9622)',
  6: "the provider's id of a refund is lost (juspay/hyperswitch#3751)",
  7: 'a finished refund is never looked at again (juspay/hyperswitch#13680)',
  8: 'a success that fails later stays a success (woocommerce-gateway-stripe#4405)',
  9: 'a refund waits for ever for a webhook that was lost (HiEventsDev/Hi.Events#1067)',
  10: 'a webhook that is faster than the answer books a second refund (antiwork/gumroad#6193)',
  11: 'refunds of the dashboard stay invisible (opencollective/opencollective#4932)',
  12: 'a failed refund uses up the balance (vendurehq/vendure#3152)',
  13: 'refund and chargeback both pay the customer (getlago/lago-api#6257)',
  16: 'a closing webhook that was lost strands a case (antiwork/gumroad#6852)',
  17: 'won turns into lost, and nothing follows (antiwork/gumroad#6832)',
};

export const mutants: readonly Mutant[] = [
  {
    id: 'no-bound',
    incident: 1,
    what: 'admission does not look at what is left',
    file: 'libs/domain/src/payment/payment.ts',
    from: "  if (amount > left) return refuse('amount_exceeds_available'",
    to: "  if (amount < 0n) return refuse('amount_exceeds_available'",
    foundBy: { seeds: 50 },
  },
  {
    id: 'new-key-per-try',
    incident: 2,
    what: 'each try goes out under a key of its own',
    file: 'libs/application/src/run-operations.ts',
    from: '  return adapter.send(order, operation.key, context);',
    to: '  return adapter.send(order, `${operation.key}:${operation.tries}`, context);',
    foundBy: { seeds: 50 },
  },
  {
    id: 'key-of-the-amount',
    incident: 2,
    what: 'the key is made of payment and amount',
    file: 'libs/application/src/admission.ts',
    from: '    key: `refund:${refund.id}:${refund.attempt}`,',
    to: '    key: `refund:${refund.paymentKey}:${refund.amount}`,',
    foundBy: { specs: 'libs/application/src/run-operations' },
  },
  {
    id: 'ids-made-anew',
    incident: 3,
    what: 'a command that comes again has another id',
    file: 'libs/application/src/names.ts',
    from: '  return uuid5(JSON.stringify([account, door, source, key]), REDRESS);',
    to: '  return uuid5(JSON.stringify([account, door, source, key, Date.now()]), REDRESS);',
    foundBy: { seeds: 50 },
  },
  {
    id: 'unknown-is-failed',
    incident: 4,
    what: 'a send without an answer is written down as failed',
    file: 'libs/domain/src/refund/refund.ts',
    from: "  submitted: { ...taken, absent: 'same', unknown: 'outcome_unknown' },",
    to: "  submitted: { ...taken, absent: 'same', unknown: 'failed' },",
    foundBy: { seeds: 50 },
  },
  {
    id: 'five-hundred-is-no',
    incident: 4,
    what: "Stripe's 500 is taken for a refusal",
    file: 'libs/stripe/src/stripe-answers.ts',
    from: 'error.statusCode === undefined || error.statusCode >= 500) return unknown;',
    to: "error.statusCode === undefined || error.statusCode >= 500) return refused('provider_refused');",
    foundBy: { specs: 'libs/stripe/src/stripe-refunds' },
  },
  {
    id: 'pending-before-it-is-sent',
    incident: 5,
    what: 'a refund whose send begins is called pending',
    file: 'libs/domain/src/refund/refund.ts',
    from: "changes: { status: 'submitted' } }] : [];",
    to: "changes: { status: 'pending' } }] : [];",
    foundBy: { specs: 'libs/domain/src/refund/refund.spec' },
  },
  {
    id: 'id-not-kept',
    incident: 6,
    what: 'the id in an answer is not kept',
    file: 'libs/domain/src/refund/refund.ts',
    from: '    ...(report.providerRefundId === null ? {} : { providerRefundId: report.providerRefundId }),',
    to: '',
    foundBy: { seeds: 50 },
  },
  {
    id: 'finished-is-finished',
    incident: 7,
    what: 'sweeps pass over refunds that have succeeded',
    file: 'libs/application/src/record-answers.ts',
    from: '      } else if (!isKnown(known, found.report)) {',
    to: "      } else if (known.status !== 'succeeded' && !isKnown(known, found.report)) {",
    foundBy: { seeds: 400 },
  },
  {
    id: 'no-reversal',
    incident: 8,
    what: 'a failure after a success is no news',
    file: 'libs/domain/src/refund/refund.ts',
    from: "    failed: 'reversed',\n",
    to: "    failed: 'same',\n",
    foundBy: { seeds: 50 },
  },
  {
    id: 'nobody-polls',
    incident: 9,
    what: 'what is pending is not read again',
    file: 'libs/application/src/record-answers.ts',
    from: "    if (refund.status === 'pending' || refund.status === 'requires_action') return",
    to: "    if (refund.status === 'requested') return",
    foundBy: { specs: 'libs/application/src/(run-operations|deliveries)' },
  },
  {
    id: 'not-ours',
    incident: 10,
    what: 'a refund at the provider is not recognised by the id of ours that it carries',
    file: 'libs/application/src/record-answers.ts',
    from: '    if (named?.account === account && named.provider === provider) return named;',
    to: '    if (named === null) return named;',
    foundBy: { seeds: 50 },
  },
  {
    id: 'sweeps-know-all',
    incident: 11,
    what: 'sweeps pass over refunds that nobody asked for',
    file: 'libs/application/src/record-answers.ts',
    from: '        if (payment !== null) addPaymentRead(set, payment);\n      } else if',
    to: '        if (payment === undefined) addPaymentRead(set, payment);\n      } else if',
    foundBy: { seeds: 400 },
  },
  {
    id: 'failed-holds',
    incident: 12,
    what: 'a refund that failed keeps its room',
    file: 'libs/domain/src/refund/refund.ts',
    from: "      return refund.attention === 'contradiction' ? refund.holds : 'nothing';",
    to: '      return refund.holds;',
    foundBy: { specs: 'libs/domain/src/(refund|payment)' },
  },
  {
    id: 'disputes-take-nothing',
    incident: 13,
    what: 'what a bank took can be refunded as well',
    file: 'libs/domain/src/payment/payment.ts',
    from: 'payment.refunded - payment.disputed - payment.lost;',
    to: 'payment.refunded;',
    foundBy: { specs: 'libs/domain/src/payment' },
  },
  {
    id: 'cases-not-looked-at',
    incident: 16,
    what: 'a case that is under review is not read again, and sweeps see new ones only',
    file: 'libs/application/src/record-disputes.ts',
    from: "  if (dispute.status === 'under_review') return 12 * hour;",
    to: "  if (dispute.status === 'under_review') return null;",
    and: {
      file: 'libs/application/src/sweeps.ts',
      from: "  'all disputes': { kind: 'disputes.list', everyMs: day, reachMs: 400 * day },",
      to: "  'all disputes': { kind: 'disputes.list', everyMs: day, reachMs: 1 },",
    },
    foundBy: { specs: 'libs/application/src/disputes' },
  },
  {
    id: 'won-is-won',
    incident: 17,
    what: 'nothing is believed of a dispute once it is won',
    file: 'libs/domain/src/dispute/dispute.ts',
    from: '  if (report.at < dispute.reportedAt || isCrossed(dispute, report)) return [];',
    to: "  if (report.at < dispute.reportedAt || isCrossed(dispute, report) || dispute.status === 'won') return [];",
    foundBy: { specs: 'libs/domain/src/dispute/dispute.spec' },
  },
  {
    id: 'limits-are-refusals',
    incident: null,
    what: "a limiter's 429 fails the refund",
    file: 'libs/stripe/src/stripe-answers.ts',
    from: '  { status: 429, code: null, then: limited },',
    to: "  { status: 429, code: null, then: refused('provider_refused') },",
    foundBy: { specs: 'libs/stripe/src/stripe-refunds' },
  },
  {
    id: 'staging-submits',
    incident: null,
    what: 'evidence is submitted, once and for all, when it is only staged',
    file: 'libs/stripe/src/stripe-disputes.ts',
    from: '{ evidence: evidenceFor(order), submit: false }',
    to: '{ evidence: evidenceFor(order) }',
    foundBy: { specs: 'libs/stripe/src/stripe-disputes' },
  },
  {
    id: 'a-fraction-of-the-krona',
    incident: null,
    what: 'ISK and UGX go out without the two decimals that Stripe counts in: a hundred times too little',
    file: 'libs/stripe/src/stripe-amounts.ts',
    from: "const paddedToTwo = new Set('ISK UGX'.split(' '));",
    to: 'const paddedToTwo = new Set<string>([]);',
    foundBy: { specs: 'libs/stripe/src/stripe-amounts' },
  },
  {
    id: 'old-webhooks',
    incident: null,
    what: 'a webhook that was signed long ago is taken once more',
    file: 'libs/stripe/src/stripe-notices.ts',
    from: '    if (ageMs > toleranceMs)',
    to: '    if (ageMs > 1_000 * toleranceMs)',
    foundBy: { specs: 'libs/stripe/src/stripe-notices' },
  },
  {
    id: 'spent-is-refused',
    incident: null,
    what: "Zamp's word for a key that was used is taken for the refund's end",
    file: 'libs/application/src/record-answers.ts',
    from: '      return turn.findOut(answer.why, operation.tries > 1 ? 5 * minute : 0);',
    to: '      return turn.done(answer.why);',
    foundBy: { seeds: 100 },
  },
  {
    id: 'whoever-answers-steers',
    incident: null,
    what: 'a worker that was frozen past its lease steers the operation that another one has taken over',
    file: 'libs/application/src/turn.ts',
    from: '    this.held = operation.fence === fence;',
    to: '    this.held = fence >= 0n;',
    foundBy: { specs: 'libs/application/src/run-operations' },
  },
];
