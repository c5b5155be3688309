/*
 * What api and worker are told by their environment. It is read once and whole before anything starts; whatever is missing or wrong is
 * said together, a line per variable, and the value of a secret is never in such a line. `.env.example` lists every variable.
 */
import { readFileSync } from 'node:fs';
import type { AdmissionSettings } from '#application/admission';
import type { DisputePolicy } from '#application/watch-deadlines';
import type { DisputeTerms } from '#domain/dispute/dispute';
import type { CallLimits } from '#domain/ports/refund-provider';
import type { ProviderAccount, SendingBounds } from '#application/sending';
import { exponentOf } from '#domain/money';
import type { KafkaConnection } from '#messaging/kafka-client';
import { isLive, type StripeAccount } from '#stripe/stripe-client';
import type { ZampAccount } from '#zamp/zamp-refunds';

export const logLevels = ['fatal', 'error', 'warn', 'info', 'debug', 'trace'] as const;
export type LogLevelName = (typeof logLevels)[number];

/** An abstract class, so that it is its own injection token. */
export abstract class Settings {
  abstract readonly databaseUrl: string;
  /** Null where there is no Kafka: then HTTP is the only door, and the log keeps what would be relayed. */
  abstract readonly kafka: KafkaConnection | null;
  abstract readonly port: number;
  abstract readonly stripeAccounts: readonly StripeAccount[];
  abstract readonly zampAccounts: readonly ZampAccount[];
  abstract readonly logLevel: LogLevelName;
  /** Null: made at the first start and kept in `dir`. */
  abstract readonly adminKey: string | null;
  /** Where a single machine keeps what it makes for itself. */
  abstract readonly dir: string;
  /** Whether the service's clock may be moved, as it may where simulators stand in for providers. */
  abstract readonly movableClock: boolean;
  abstract readonly admission: AdmissionSettings;
  /** After this a call to a provider is over, whatever its socket does. */
  abstract readonly callMs: number;
  /** How long before deadlines people are reminded, and what is decided without them. */
  abstract readonly disputes: { readonly terms: DisputeTerms; readonly policy: DisputePolicy };
  /** Of the accounts whose sending has a bound. */
  abstract readonly bounds: readonly SendingBounds[];
}

/** The start cannot go on; `lines` says why, a line per variable. */
export class WrongSettings extends Error {
  override readonly name = 'WrongSettings';

  constructor(readonly lines: readonly string[]) {
    super(lines.join('\n'));
  }
}

type Environment = Readonly<Record<string, string | undefined>>;

export function readSettings(env: Environment): Settings {
  const reading = new Reading(env);
  const accounts = reading.text('REDRESS_ACCOUNTS') === undefined ? ownAccounts(reading) : listedAccounts(reading);
  const settings: Settings = {
    databaseUrl: reading.needed(
      'DATABASE_URL',
      'the address of the PostgreSQL database, postgres://user:password@host:5432/name',
      isPostgres,
    ),
    kafka: kafka(reading),
    port: port(reading),
    ...accounts,
    logLevel: oneOf(reading, 'LOG_LEVEL', logLevels) ?? 'info',
    adminKey:
      reading.secret('ADMIN_KEY', 'a key of at least 16 visible ASCII characters', (key) => /^[\x21-\x7e]{16,}$/.test(key)) ??
      null,
    dir: reading.text('REDRESS_DIR') ?? '.redress',
    movableClock: oneOf(reading, 'MOVABLE_CLOCK', ['true', 'false']) === 'true',
    admission: { factsMaxAgeMs: 60_000 },
    callMs: callSeconds(reading) * 1_000,
    disputes: disputes(reading),
  };
  if (settings.movableClock && env['NODE_ENV'] === 'production') {
    reading.wrong('MOVABLE_CLOCK must not be true where NODE_ENV is production: leases, keys and deadlines go by that clock');
  }
  if (settings.movableClock && accounts.stripeAccounts.some(({ apiKey }) => isLiveKey(apiKey))) {
    reading.wrong('MOVABLE_CLOCK must not be true with a live Stripe key: real money goes by real time');
  }
  reading.end();
  return settings;
}

/** Reads variables and gathers what is wrong with them. A variable with nothing in it is as good as none. */
class Reading {
  private readonly lines: string[] = [];

  constructor(private readonly env: Environment) {}

  text(name: string): string | undefined {
    const value = this.env[name]?.trim();
    return value === '' ? undefined : value;
  }

  wrong(line: string): void {
    this.lines.push(line);
  }

  /** A value that may be shown when it is wrong. */
  plain(name: string, should: string, test: (value: string) => boolean): string | undefined {
    const value = this.text(name);
    if (value === undefined || test(value)) return value;
    this.wrong(`${name} should be ${should}, not ${value}`);
    return undefined;
  }

  secret(name: string, should: string, test: (value: string) => boolean): string | undefined {
    const value = this.text(name);
    if (value === undefined || test(value)) return value;
    this.wrong(`${name} should be ${should}`);
    return undefined;
  }

  /** A value without which nothing starts; it may hold a password, so it is not shown. */
  needed(name: string, should: string, test: (value: string) => boolean): string {
    if (this.text(name) === undefined) this.wrong(`${name} is missing: it should be ${should}`);
    return this.secret(name, should, test) ?? '';
  }

  /** A comma list; entries are trimmed. */
  list(name: string): readonly string[] {
    return listOf(this.text(name) ?? '');
  }

  end(): void {
    if (this.lines.length > 0) throw new WrongSettings(this.lines);
  }
}

const listOf = (text: string) =>
  text
    .split(',')
    .map((entry) => entry.trim())
    .filter((entry) => entry !== '');
const isPostgres = (value: string) => /^postgres(ql)?:$/.test(URL.parse(value)?.protocol ?? '');
const isRate = (value: string) => /^\d{1,6}(\.\d{1,3})?$/.test(value) && Number(value) > 0 && Number(value) <= 100_000;
const isHttp = (value: string) => /^https?:$/.test(URL.parse(value)?.protocol ?? '');
const isLiveKey = (key: string) => {
  const live = isLive(key);
  return live.ok && live.value;
};

function oneOf<Word extends string>(reading: Reading, name: string, words: readonly Word[]): Word | undefined {
  const value = reading.plain(name, `one of ${words.join(', ')}`, (given) => words.some((word) => word === given));
  return words.find((word) => word === value);
}

function port(reading: Reading): number {
  const isPort = (value: string) => /^\d{1,5}$/.test(value) && Number(value) <= 65_535;
  return Number(reading.plain('PORT', 'a port from 0 (any free one) to 65535', isPort) ?? 3000);
}

/** Twenty at most: a call must have ended before its operation's lease does. */
function callSeconds(reading: Reading): number {
  const isWhole = (value: string) => /^\d{1,2}$/.test(value) && Number(value) >= 1 && Number(value) <= 20;
  return Number(reading.plain('PROVIDER_CALL_TIMEOUT_SECONDS', 'a whole number from 1 to 20', isWhole) ?? 20);
}

const hourMs = 3_600_000;

function disputes(reading: Reading): Settings['disputes'] {
  const isHours = (value: string) => /^\d{1,3}$/.test(value) && Number(value) <= 240;
  const margin = reading.plain('DISPUTE_MARGIN_HOURS', 'a whole number of hours from 0 to 240', isHours) ?? '24';
  const areHours = (value: string) => listOf(value).length > 0 && listOf(value).every(isHours);
  const reminders = reading.plain('DISPUTE_REMINDER_HOURS', 'a comma list of hours from 0 to 240', areHours) ?? '72,24';
  return {
    terms: { marginMs: Number(margin) * hourMs, remindersMs: listOf(reminders).map((hours) => Number(hours) * hourMs) },
    policy: {
      fileAtDeadline: oneOf(reading, 'DISPUTE_FILE_AT_DEADLINE', ['true', 'false']) === 'true',
      acceptBelow: amountsIn(reading, 'DISPUTE_ACCEPT_BELOW', 'USD:1500,EUR:1500'),
    },
  };
}

const mechanisms = ['plain', 'scram-sha-256', 'scram-sha-512'] as const;

function kafka(reading: Reading): KafkaConnection | null {
  const areBrokers = (value: string) =>
    listOf(value).length > 0 && listOf(value).every((broker) => /^[^\s:/]+:\d{1,5}$/.test(broker));
  reading.plain('KAFKA_BROKERS', 'a comma list of host:port', areBrokers);
  const ssl = oneOf(reading, 'KAFKA_SSL', ['true', 'false']) === 'true';
  const mechanism = oneOf(reading, 'KAFKA_SASL_MECHANISM', mechanisms);
  const username = reading.text('KAFKA_SASL_USERNAME');
  const password = reading.text('KAFKA_SASL_PASSWORD');
  allOrNone(reading, 'SASL', {
    KAFKA_SASL_MECHANISM: `one of ${mechanisms.join(', ')}`,
    KAFKA_SASL_USERNAME: "the user's name",
    KAFKA_SASL_PASSWORD: "the user's password",
  });
  const brokers = reading.list('KAFKA_BROKERS');
  if (brokers.length === 0) return null;
  const sasl =
    mechanism !== undefined && username !== undefined && password !== undefined ? { mechanism, username, password } : undefined;
  return {
    brokers,
    clientId: 'redress',
    ...(ssl ? { ssl } : {}),
    ...(sasl === undefined ? {} : { sasl: sasl as NonNullable<KafkaConnection['sasl']> }),
  };
}

/** Of variables that belong together, some are set: the others are missing. Returns whether any is set. */
function allOrNone(
  reading: Reading,
  what: string,
  should: Readonly<Record<string, string>>,
  alsoCounts: readonly string[] = [],
): boolean {
  const names = Object.keys(should);
  if ([...names, ...alsoCounts].every((name) => reading.text(name) === undefined)) return false;
  for (const name of names) {
    if (reading.text(name) === undefined)
      reading.wrong(`${name} is missing while other settings of ${what} are set: it should be ${should[name]}`);
  }
  return true;
}

type Accounts = Pick<Settings, 'stripeAccounts' | 'zampAccounts' | 'bounds'>;

const should = {
  stripeKey: 'a secret or restricted key of Stripe: sk_test_..., sk_live_..., rk_test_... or rk_live_...',
  webhookSecrets: 'the signing secret of the webhook endpoint, whsec_...; a comma list while it is rolled',
  address: 'an http or https address',
  zampBase: "the address of Zamp's API, given at onboarding",
  merchant: 'the merchant id that Zamp gave',
  zampKey: 'the API key that Zamp gave',
  zampSecret: 'the secret that Zamp gave; while it is rolled the new one, a comma, the one before',
  rate: 'a number of calls above 0, up to 100000',
  bound: 'a whole number from 1',
  amounts: 'currencies with minor units from 1',
} as const;

/** One account per provider, called `default`. */
function ownAccounts(reading: Reading): Accounts {
  const account = 'default';
  const stripe = allOrNone(
    reading,
    'Stripe',
    { STRIPE_API_KEY: should.stripeKey, STRIPE_WEBHOOK_SECRET: should.webhookSecrets },
    ['STRIPE_API_BASE'],
  );
  const zamp = allOrNone(
    reading,
    'Zamp',
    {
      ZAMP_API_BASE: should.zampBase,
      ZAMP_MERCHANT_ID: should.merchant,
      ZAMP_API_KEY: should.zampKey,
      ZAMP_SECRET: should.zampSecret,
    },
    ['ZAMP_WEBHOOK_ADDRESSES'],
  );
  const apiKey = reading.secret('STRIPE_API_KEY', should.stripeKey, (key) => isLive(key).ok) ?? '';
  const stripeBase = reading.plain('STRIPE_API_BASE', should.address, isHttp) ?? 'https://api.stripe.com';
  const zampBase = reading.plain('ZAMP_API_BASE', should.address, isHttp) ?? '';
  reading.secret('ZAMP_SECRET', should.zampSecret, (value) => [1, 2].includes(listOf(value).length));
  const [secret = '', previousSecret] = reading.list('ZAMP_SECRET');
  const webhookAddresses = reading.list('ZAMP_WEBHOOK_ADDRESSES');
  const merchantId = reading.text('ZAMP_MERCHANT_ID') ?? '';
  const limits = (provider: 'STRIPE' | 'ZAMP') => {
    const rate = (name: string) => asNumber(reading.plain(`${provider}_${name}`, should.rate, isRate));
    return limitsOf(rate('CALLS_PER_SECOND'), rate('CALLS_PER_SECOND_AND_ENDPOINT'));
  };
  const [stripeLimits, zampLimits] = [limits('STRIPE'), limits('ZAMP')];
  const zampKey = reading.text('ZAMP_API_KEY') ?? '';
  const configured = [...(stripe ? ['stripe'] : []), ...(zamp ? ['zamp'] : [])].map((provider) => ({ account, provider }));
  return {
    stripeAccounts: stripe
      ? [{ account, apiKey, webhookSecrets: reading.list('STRIPE_WEBHOOK_SECRET'), apiBase: stripeBase, limits: stripeLimits }]
      : [],
    zampAccounts: zamp
      ? [
          {
            account,
            merchantId,
            apiKey: zampKey,
            secret,
            previousSecret,
            apiBase: zampBase,
            webhookAddresses,
            limits: zampLimits,
          },
        ]
      : [],
    bounds: bounded(configured, breaker(reading)),
  };
}

const providerVariables = ['STRIPE_API_KEY', 'STRIPE_WEBHOOK_SECRET', 'STRIPE_API_BASE', 'ZAMP_API_BASE', 'ZAMP_MERCHANT_ID']
  .concat(['ZAMP_API_KEY', 'ZAMP_SECRET', 'ZAMP_WEBHOOK_ADDRESSES'])
  .concat(['STRIPE_CALLS_PER_SECOND', 'STRIPE_CALLS_PER_SECOND_AND_ENDPOINT'])
  .concat(['ZAMP_CALLS_PER_SECOND', 'ZAMP_CALLS_PER_SECOND_AND_ENDPOINT']);
type Bounds = Omit<SendingBounds, keyof ProviderAccount>;

const isBound = (value: unknown): value is number => Number.isSafeInteger(value) && Number(value) >= 1;

/** What may be sent in an hour by each account that says nothing of its own. */
function breaker(reading: Reading): Bounds {
  const sends = reading.plain('BREAKER_SENDS_PER_HOUR', should.bound, (value) => isBound(wholeOf(value)));
  return {
    sendsPerHour: wholeOf(sends) ?? null,
    amountPerHour: amountsIn(reading, 'BREAKER_AMOUNT_PER_HOUR', 'USD:5000000,EUR:4000000'),
  };
}

const wholeOf = (text: string | undefined) => (text !== undefined && /^\d{1,16}$/.test(text) ? Number(text) : undefined);

/** A comma list of currencies with minor units. */
function amountsIn(reading: Reading, name: string, example: string): Readonly<Record<string, bigint>> {
  const pairsOf = (text: string) =>
    listOf(text).map((pair): [string, number | undefined] => [pair.slice(0, 3), wholeOf(/^[A-Z]{3}:(.+)$/.exec(pair)?.[1])]);
  const isGiven = (value: string) => areAmounts(Object.fromEntries(pairsOf(value)));
  const amounts = reading.plain(name, `${should.amounts}, as in ${example}`, isGiven);
  const given = Object.fromEntries(amounts === undefined ? [] : pairsOf(amounts));
  return areAmounts(given) ? bigints(given) : {};
}

/** A currency that does not exist bounds nothing, so it is a mistake. */
function areAmounts(value: unknown): value is Readonly<Record<string, number>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  return Object.entries(value).every(([currency, amount]) => exponentOf(currency) !== undefined && isBound(amount));
}

const bigints = (amounts: Readonly<Record<string, number>>) =>
  Object.fromEntries(Object.entries(amounts).map(([currency, amount]) => [currency, BigInt(amount)]));

function bounded(accounts: readonly (ProviderAccount & Partial<Bounds>)[], others: Bounds): SendingBounds[] {
  return accounts
    .map((account) => ({ ...others, ...account }))
    .filter(({ sendsPerHour, amountPerHour }) => sendsPerHour !== null || Object.keys(amountPerHour).length > 0);
}

/**
 * Several accounts, from a file:
 *
 * ```json
 * [{ "provider": "stripe", "account": "eu", "apiKey": "sk_live_...", "webhookSecrets": ["whsec_..."] },
 *  { "provider": "zamp", "account": "eu", "merchantId": "...", "apiKey": "...", "secret": "...", "apiBase": "https://...",
 *    "sendsPerHour": 500, "amountPerHour": { "USD": 5000000 } }]
 * ```
 */
function listedAccounts(reading: Reading): Accounts {
  for (const name of providerVariables.filter((each) => reading.text(each) !== undefined)) {
    reading.wrong(`${name} should not be set beside REDRESS_ACCOUNTS: the file has every account`);
  }
  const file = reading.text('REDRESS_ACCOUNTS') ?? '';
  const nothing = { stripeAccounts: [], zampAccounts: [], bounds: [] };
  const content = jsonOf(file);
  if (!Array.isArray(content) || content.length === 0) {
    reading.wrong(`REDRESS_ACCOUNTS should be a JSON file with a list of accounts, not ${file}`);
    return nothing;
  }
  const stripeAccounts: StripeAccount[] = [];
  const zampAccounts: ZampAccount[] = [];
  const bounds: (ProviderAccount & Partial<Bounds>)[] = [];
  const names = new Set<string>();
  content.forEach((value: unknown, index) => {
    const entry = new Entry(value, (line) => reading.wrong(`REDRESS_ACCOUNTS, entry ${index + 1}: ${line}`));
    const provider = entry.text('provider', 'stripe or zamp', (text) => text === 'stripe' || text === 'zamp');
    const account = entry.text('account', '1 to 64 of a-z, 0-9, _ and -, not starting with _ or -', (text) =>
      /^[a-z0-9][a-z0-9_-]{0,63}$/.test(text),
    );
    if (names.has(`${provider}:${account}`)) entry.wrong(`${provider} has another account "${account}" already`);
    names.add(`${provider}:${account}`);
    if (provider === 'stripe') stripeAccounts.push(stripeEntry(entry, account));
    if (provider === 'zamp') zampAccounts.push(zampEntry(entry, account));
    bounds.push({ provider, account, ...boundsEntry(entry) });
    entry.nothingElse();
  });
  return { stripeAccounts, zampAccounts, bounds: bounded(bounds, breaker(reading)) };
}

function stripeEntry(entry: Entry, account: string): StripeAccount {
  return {
    account,
    apiKey: entry.text('apiKey', should.stripeKey, (key) => isLive(key).ok),
    webhookSecrets: entry.texts('webhookSecrets', 'a list of at least one signing secret', 1),
    apiBase: entry.maybe('apiBase', should.address, isHttp) ?? 'https://api.stripe.com',
    limits: entryLimits(entry),
  };
}

function zampEntry(entry: Entry, account: string): ZampAccount {
  const isThere = () => true;
  return {
    account,
    merchantId: entry.text('merchantId', should.merchant, isThere),
    apiKey: entry.text('apiKey', should.zampKey, isThere),
    secret: entry.text('secret', 'the secret that Zamp gave', isThere),
    previousSecret: entry.maybe('previousSecret', 'the secret before this one', isThere),
    apiBase: entry.text('apiBase', should.zampBase, isHttp),
    webhookAddresses: entry.texts('webhookAddresses', 'a list of addresses', 0),
    limits: entryLimits(entry),
  };
}

function entryLimits(entry: Entry): Partial<CallLimits> {
  const isNumber = (value: unknown): value is number => typeof value === 'number' && isRate(String(value));
  const rate = (name: string) => entry.value(name, should.rate, isNumber);
  return limitsOf(rate('callsPerSecond'), rate('callsPerSecondAndEndpoint'));
}

/** What is not set is the provider's own. */
function limitsOf(perSecond: number | undefined, perSecondAndEndpoint: number | undefined): Partial<CallLimits> {
  return {
    ...(perSecond === undefined ? {} : { perSecond }),
    ...(perSecondAndEndpoint === undefined ? {} : { perSecondAndEndpoint }),
  };
}

const asNumber = (text: string | undefined) => (text === undefined ? undefined : Number(text));

function boundsEntry(entry: Entry): Partial<Bounds> {
  const sendsPerHour = entry.value('sendsPerHour', should.bound, isBound);
  const amountPerHour = entry.value('amountPerHour', `an object of ${should.amounts}`, areAmounts);
  return {
    ...(sendsPerHour === undefined ? {} : { sendsPerHour }),
    ...(amountPerHour === undefined ? {} : { amountPerHour: bigints(amountPerHour) }),
  };
}

/** One account of the file; what is wrong is told by field, and no value is. */
class Entry {
  private readonly fields: Readonly<Record<string, unknown>>;
  private readonly known = new Set<string>();

  constructor(
    value: unknown,
    readonly wrong: (line: string) => void,
  ) {
    this.fields = typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  }

  text(name: string, what: string, test: (text: string) => boolean): string {
    const value = this.maybe(name, what, test);
    if (this.fields[name] === undefined) this.wrong(`${name} is missing: it should be ${what}`);
    return value ?? '';
  }

  maybe(name: string, what: string, test: (text: string) => boolean): string | undefined {
    this.known.add(name);
    const value = this.fields[name];
    if (value === undefined) return undefined;
    if (typeof value === 'string' && value.trim() !== '' && test(value)) return value;
    this.wrong(`${name} should be ${what}`);
    return undefined;
  }

  value<T>(name: string, what: string, test: (value: unknown) => value is T): T | undefined {
    this.known.add(name);
    const value = this.fields[name];
    if (value === undefined || test(value)) return value;
    this.wrong(`${name} should be ${what}`);
    return undefined;
  }

  texts(name: string, what: string, least: number): readonly string[] {
    this.known.add(name);
    const value = this.fields[name] ?? [];
    if (Array.isArray(value) && value.length >= least && value.every((each) => typeof each === 'string' && each.trim() !== '')) {
      return value as string[];
    }
    this.wrong(`${name} should be ${what}`);
    return [];
  }

  nothingElse(): void {
    for (const name of Object.keys(this.fields)) if (!this.known.has(name)) this.wrong(`${name} is not known here: leave it out`);
  }
}

function jsonOf(file: string): unknown {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return undefined;
  }
}
