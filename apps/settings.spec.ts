import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { readSettings, WrongSettings } from './settings.js';

const database = { DATABASE_URL: 'postgres://redress:hush@db:5432/redress' };
const stripe = { STRIPE_API_KEY: 'sk_test_1', STRIPE_WEBHOOK_SECRET: 'whsec_1' };
const zamp = { ZAMP_API_BASE: 'https://zamp.test', ZAMP_MERCHANT_ID: 'm', ZAMP_API_KEY: 'k', ZAMP_SECRET: 's' };

function linesOf(env: Readonly<Record<string, string>>): readonly string[] {
  try {
    readSettings(env);
    return [];
  } catch (error) {
    if (error instanceof WrongSettings) return error.lines;
    throw error;
  }
}

describe('The settings', () => {
  it('need a database and nothing else', () => {
    expect(readSettings(database)).toEqual({
      databaseUrl: database.DATABASE_URL,
      kafka: null,
      port: 3000,
      stripeAccounts: [],
      zampAccounts: [],
      logLevel: 'info',
      adminKey: null,
      dir: '.redress',
      movableClock: false,
      admission: { factsMaxAgeMs: 60_000 },
      callMs: 20_000,
      disputes: {
        terms: { marginMs: 86_400_000, remindersMs: [259_200_000, 86_400_000] },
        policy: { fileAtDeadline: false, acceptBelow: {} },
      },
      bounds: [],
    });
  });

  it('hold everything that can be set', () => {
    const settings = readSettings({
      ...database,
      ...stripe,
      ...zamp,
      PORT: ' 0 ',
      LOG_LEVEL: 'debug',
      ADMIN_KEY: 'sixteen-or-more-characters',
      REDRESS_DIR: '/data',
      KAFKA_BROKERS: 'a:9092, b:9093',
      KAFKA_SSL: 'true',
      KAFKA_SASL_MECHANISM: 'scram-sha-512',
      KAFKA_SASL_USERNAME: 'u',
      KAFKA_SASL_PASSWORD: 'p',
      STRIPE_WEBHOOK_SECRET: 'whsec_new, whsec_old',
      STRIPE_API_BASE: 'http://127.0.0.1:4010/stripe',
      STRIPE_CALLS_PER_SECOND_AND_ENDPOINT: '20',
      ZAMP_CALLS_PER_SECOND: '0.5',
      ZAMP_SECRET: 'new,old',
      ZAMP_WEBHOOK_ADDRESSES: '1.2.3.4,5.6.7.8',
      MOVABLE_CLOCK: 'true',
      PROVIDER_CALL_TIMEOUT_SECONDS: '5',
      DISPUTE_MARGIN_HOURS: '12',
      DISPUTE_REMINDER_HOURS: '96, 48, 6',
      DISPUTE_FILE_AT_DEADLINE: 'true',
      DISPUTE_ACCEPT_BELOW: 'USD:1500, JPY:2000',
      BREAKER_SENDS_PER_HOUR: '2000',
      BREAKER_AMOUNT_PER_HOUR: 'USD:5000000, JPY:1',
    });
    expect(settings.bounds).toEqual(
      ['stripe', 'zamp'].map((provider) => ({
        account: 'default',
        provider,
        sendsPerHour: 2000,
        amountPerHour: { USD: 5_000_000n, JPY: 1n },
      })),
    );
    expect(settings).toMatchObject({
      callMs: 5_000,
      disputes: {
        terms: { marginMs: 43_200_000, remindersMs: [345_600_000, 172_800_000, 21_600_000] },
        policy: { fileAtDeadline: true, acceptBelow: { USD: 1500n, JPY: 2000n } },
      },
      port: 0,
      logLevel: 'debug',
      adminKey: 'sixteen-or-more-characters',
      dir: '/data',
      movableClock: true,
    });
    expect(settings.kafka).toEqual({
      brokers: ['a:9092', 'b:9093'],
      clientId: 'redress',
      ssl: true,
      sasl: { mechanism: 'scram-sha-512', username: 'u', password: 'p' },
    });
    expect(settings.stripeAccounts).toEqual([
      {
        account: 'default',
        apiKey: 'sk_test_1',
        webhookSecrets: ['whsec_new', 'whsec_old'],
        apiBase: 'http://127.0.0.1:4010/stripe',
        limits: { perSecondAndEndpoint: 20 },
      },
    ]);
    expect(settings.zampAccounts).toMatchObject([
      { secret: 'new', previousSecret: 'old', webhookAddresses: ['1.2.3.4', '5.6.7.8'], limits: { perSecond: 0.5 } },
    ]);
  });

  it.each([
    [{}, 'DATABASE_URL is missing: it should be the address of the PostgreSQL database, postgres://user:password@host:5432/name'],
    [
      { DATABASE_URL: ' ' },
      'DATABASE_URL is missing: it should be the address of the PostgreSQL database, postgres://user:password@host:5432/name',
    ],
    [
      { DATABASE_URL: 'mysql://root:hush@db' },
      'DATABASE_URL should be the address of the PostgreSQL database, postgres://user:password@host:5432/name',
    ],
    [{ ...database, PORT: '65536' }, 'PORT should be a port from 0 (any free one) to 65535, not 65536'],
    [{ ...database, PORT: 'http' }, 'PORT should be a port from 0 (any free one) to 65535, not http'],
    [{ ...database, LOG_LEVEL: 'loud' }, 'LOG_LEVEL should be one of fatal, error, warn, info, debug, trace, not loud'],
    [{ ...database, KAFKA_BROKERS: 'kafka' }, 'KAFKA_BROKERS should be a comma list of host:port, not kafka'],
    [{ ...database, KAFKA_SSL: 'yes' }, 'KAFKA_SSL should be one of true, false, not yes'],
    [
      { ...database, KAFKA_SASL_MECHANISM: 'plain', KAFKA_SASL_USERNAME: 'u' },
      "KAFKA_SASL_PASSWORD is missing while other settings of SASL are set: it should be the user's password",
    ],
    [{ ...database, ADMIN_KEY: 'short' }, 'ADMIN_KEY should be a key of at least 16 visible ASCII characters'],
    [
      { ...database, STRIPE_API_KEY: 'sk_test_1' },
      'STRIPE_WEBHOOK_SECRET is missing while other settings of Stripe are set: it should be the signing secret of the webhook endpoint, whsec_...; a comma list while it is rolled',
    ],
    [
      { ...database, ...stripe, STRIPE_API_KEY: 'pk_live_hush' },
      'STRIPE_API_KEY should be a secret or restricted key of Stripe: sk_test_..., sk_live_..., rk_test_... or rk_live_...',
    ],
    [{ ...database, ...stripe, STRIPE_API_BASE: 'stripe' }, 'STRIPE_API_BASE should be an http or https address, not stripe'],
    [
      { ...database, ...zamp, ZAMP_API_BASE: '' },
      "ZAMP_API_BASE is missing while other settings of Zamp are set: it should be the address of Zamp's API, given at onboarding",
    ],
    [
      { ...database, ...zamp, ZAMP_SECRET: 'a,b,hush' },
      'ZAMP_SECRET should be the secret that Zamp gave; while it is rolled the new one, a comma, the one before',
    ],
    [
      { ...database, ...stripe, STRIPE_CALLS_PER_SECOND: '0' },
      'STRIPE_CALLS_PER_SECOND should be a number of calls above 0, up to 100000, not 0',
    ],
    [
      { ...database, DISPUTE_MARGIN_HOURS: '1 day' },
      'DISPUTE_MARGIN_HOURS should be a whole number of hours from 0 to 240, not 1 day',
    ],
    [
      { ...database, DISPUTE_REMINDER_HOURS: '72,soon' },
      'DISPUTE_REMINDER_HOURS should be a comma list of hours from 0 to 240, not 72,soon',
    ],
    [
      { ...database, DISPUTE_ACCEPT_BELOW: 'USD:15.00' },
      'DISPUTE_ACCEPT_BELOW should be currencies with minor units from 1, as in USD:1500,EUR:1500, not USD:15.00',
    ],
    [{ ...database, DISPUTE_FILE_AT_DEADLINE: 'yes' }, 'DISPUTE_FILE_AT_DEADLINE should be one of true, false, not yes'],
    [{ ...database, BREAKER_SENDS_PER_HOUR: '0' }, 'BREAKER_SENDS_PER_HOUR should be a whole number from 1, not 0'],
    [
      { ...database, BREAKER_AMOUNT_PER_HOUR: 'UDS:100' },
      'BREAKER_AMOUNT_PER_HOUR should be currencies with minor units from 1, as in USD:5000000,EUR:4000000, not UDS:100',
    ],
    [
      { ...database, BREAKER_AMOUNT_PER_HOUR: 'USD:10.50' },
      'BREAKER_AMOUNT_PER_HOUR should be currencies with minor units from 1, as in USD:5000000,EUR:4000000, not USD:10.50',
    ],
    [{ ...database, MOVABLE_CLOCK: '1' }, 'MOVABLE_CLOCK should be one of true, false, not 1'],
    [
      { ...database, MOVABLE_CLOCK: 'true', NODE_ENV: 'production' },
      'MOVABLE_CLOCK must not be true where NODE_ENV is production: leases, keys and deadlines go by that clock',
    ],
    [
      { ...database, ...stripe, MOVABLE_CLOCK: 'true', STRIPE_API_KEY: 'rk_live_hush' },
      'MOVABLE_CLOCK must not be true with a live Stripe key: real money goes by real time',
    ],
    [
      { ...database, REDRESS_ACCOUNTS: '/nowhere.json' },
      'REDRESS_ACCOUNTS should be a JSON file with a list of accounts, not /nowhere.json',
    ],
  ])('given as %j are refused: %s', (env, line) => {
    expect(linesOf(env)).toEqual([line]);
    expect(line).not.toContain('hush');
  });

  it('are refused all at once', () => {
    expect(linesOf({ PORT: '-1', STRIPE_API_KEY: 'sk_test_1', ZAMP_API_KEY: 'k' })).toHaveLength(6);
  });
});

describe('Several accounts', () => {
  const dir = join(tmpdir(), 'redress-accounts-');
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(dir);
  });
  afterAll(() => rmSync(folder, { recursive: true }));
  const given = (content: unknown, env: Readonly<Record<string, string>> = {}) => {
    const file = join(folder, 'accounts.json');
    writeFileSync(file, typeof content === 'string' ? content : JSON.stringify(content));
    return { ...database, ...env, REDRESS_ACCOUNTS: file };
  };
  const eu = { provider: 'stripe', account: 'eu', apiKey: 'sk_live_hush', webhookSecrets: ['whsec_hush'] };

  it('stand in a file', () => {
    const another = { provider: 'zamp', account: 'eu', merchantId: 'm', apiKey: 'k', secret: 's', apiBase: 'https://zamp.test' };
    const us = { ...eu, account: 'us', callsPerSecond: 80, callsPerSecondAndEndpoint: 12.5 };
    const { stripeAccounts, zampAccounts } = readSettings(given([eu, us, another]));
    expect(stripeAccounts.map(({ account, apiBase }) => [account, apiBase])).toEqual([
      ['eu', 'https://api.stripe.com'],
      ['us', 'https://api.stripe.com'],
    ]);
    expect(stripeAccounts.map(({ limits }) => limits)).toEqual([{}, { perSecond: 80, perSecondAndEndpoint: 12.5 }]);
    expect(zampAccounts).toMatchObject([{ account: 'eu', webhookAddresses: [] }]);
  });

  it.each([
    ['no list', {}, /^REDRESS_ACCOUNTS should be a JSON file with a list of accounts/],
    ['no JSON', '[', /^REDRESS_ACCOUNTS should be a JSON file with a list of accounts/],
    ['another provider', [{ ...eu, provider: 'paypal' }], /^REDRESS_ACCOUNTS, entry 1: provider should be stripe or zamp/],
    ['a name with a colon', [{ ...eu, account: 'e:u' }], /^REDRESS_ACCOUNTS, entry 1: account should be 1 to 64/],
    ['an account twice', [eu, eu], /^REDRESS_ACCOUNTS, entry 2: stripe has another account "eu" already$/],
    ['a bound in text', [{ ...eu, sendsPerHour: '5' }], /^REDRESS_ACCOUNTS, entry 1: sendsPerHour should be a whole number/],
    ['a bound in no currency', [{ ...eu, amountPerHour: { UDS: 5 } }], /^REDRESS_ACCOUNTS, entry 1: amountPerHour should be/],
    ['no secret', [{ ...eu, webhookSecrets: [] }], /^REDRESS_ACCOUNTS, entry 1: webhookSecrets should be a list of at least one/],
    [
      'a limit in words',
      [{ ...eu, callsPerSecond: '80' }],
      /^REDRESS_ACCOUNTS, entry 1: callsPerSecond should be a number of calls/,
    ],
    ['a field too many', [{ ...eu, webhookSecret: 'whsec_hush' }], /^REDRESS_ACCOUNTS, entry 1: webhookSecret is not known here/],
  ])('are refused for %s', (_, content, line) => {
    const lines = linesOf(given(content));
    expect(lines).toContainEqual(expect.stringMatching(line));
    expect(lines.join()).not.toContain('hush');
  });

  it('have bounds of their own, or else those of the environment', () => {
    const us = { ...eu, account: 'us', sendsPerHour: 5, amountPerHour: { USD: 100 } };
    const { bounds } = readSettings(given([eu, us], { BREAKER_SENDS_PER_HOUR: '7' }));
    expect(bounds).toEqual([
      { provider: 'stripe', account: 'eu', sendsPerHour: 7, amountPerHour: {} },
      { provider: 'stripe', account: 'us', sendsPerHour: 5, amountPerHour: { USD: 100n } },
    ]);
    expect(readSettings(given([eu])).bounds).toEqual([]);
  });

  it('stand beside no account of the environment', () => {
    expect(linesOf(given([eu], { ZAMP_SECRET: 's' }))).toEqual([
      'ZAMP_SECRET should not be set beside REDRESS_ACCOUNTS: the file has every account',
    ]);
  });

  it('of live money keep the clock where it is', () => {
    expect(linesOf(given([eu], { MOVABLE_CLOCK: 'true' }))).toEqual([
      'MOVABLE_CLOCK must not be true with a live Stripe key: real money goes by real time',
    ]);
  });
});
