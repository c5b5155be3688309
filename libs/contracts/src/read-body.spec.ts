import { describe, expect, it } from '@jest/globals';
import type { Class } from '#contracts/fields';
import { readBody } from '#contracts/read-body';
import { ApproveRefund, RejectRefund, RequestRefund, ResolveRefund, RetryRefund } from '#contracts/refund-commands';

const full = {
  provider: 'stripe',
  paymentId: 'pi_3QxYz',
  amount: 1050,
  currency: 'USD',
  reason: 'requested_by_customer',
  reference: 'RMA-7',
  note: 'Box arrived empty',
  metadata: { orderId: '42' },
  expectedAvailable: 5000,
};

/** The body as JSON text; `without` names fields to leave out. */
function body(change: object = {}, without: readonly string[] = []): string {
  return JSON.stringify(Object.fromEntries(Object.entries({ ...full, ...change }).filter(([name]) => !without.includes(name))));
}

function errorsOf(kind: Class, text: string | Uint8Array, known?: Record<string, unknown>): Record<string, string> {
  const read = readBody(kind, text, known);
  return read.ok ? {} : Object.fromEntries(read.errors.map(({ path, message }) => [path, message]));
}

const units = 'a whole number of minor units in plain digits';
const amount = { amount: `amount must be ${units}, 1 to 9007199254740991` };
const text = (field: string, max: number) => ({
  [field]: `${field} must be text of 1 to ${max} characters, without NUL characters or broken surrogate pairs`,
});
const paymentId = { paymentId: 'paymentId must be an id of 1 to 255 letters, digits and . _ ~ -' };
const currency = { currency: 'currency must be an ISO 4217 code of three upper-case letters, such as USD' };
const entryName = (name: string) => ({
  [`metadata.${name}`]: `${name} must have a name of 1 to 40 characters, without square brackets, not starting with redress_`,
});
const entryValue = (name: string) => ({ [`metadata.${name}`]: `${name} must be text of 1 to 500 characters` });

describe('A request for a refund', () => {
  it('is read as it was sent, with the default account', () => {
    expect(readBody(RequestRefund, body())).toEqual({ ok: true, value: { ...full, account: 'default' } });
    expect(readBody(RequestRefund, Buffer.from(body()))).toEqual(readBody(RequestRefund, body()));
  });

  it('may leave out amount and currency together, to refund all that is left', () => {
    expect(readBody(RequestRefund, body({}, ['amount', 'currency']))).toMatchObject({ ok: true });
  });

  it.each<[string, string | Uint8Array, Record<string, string>]>([
    ['names no provider', body({}, ['provider']), { provider: 'provider is missing: it must be one of stripe, zamp' }],
    ['names an unknown provider', body({ provider: 'paypal' }), { provider: 'provider must be one of stripe, zamp' }],
    ['names the provider in a list', body({ provider: ['stripe'] }), { provider: 'provider must be one of stripe, zamp' }],
    [
      'names no payment',
      body({}, ['paymentId']),
      { paymentId: 'paymentId is missing: it must be an id of 1 to 255 letters, digits and . _ ~ -' },
    ],
    ['has an empty payment id', body({ paymentId: '' }), paymentId],
    ['has a payment id with a colon, which would break our keys', body({ paymentId: 'pi:1' }), paymentId],
    ['has a payment id with a line break at its end', body({ paymentId: 'pi_1\n' }), paymentId],
    ['has a payment id of 256 characters', body({ paymentId: 'p'.repeat(256) }), paymentId],
    ['has an amount as text', body({ amount: '10' }), amount],
    ['has an amount of null, which is not "all that is left"', body({ amount: null }), amount],
    ['has an amount of zero', body({ amount: 0 }), amount],
    ['has a negative amount', body({ amount: -1 }), amount],
    ['has half a cent', body({ amount: 10.5 }), amount],
    ['writes ten dollars where it means ten cents', body().replace('1050', '10.00'), amount],
    ['has an amount with an exponent', body().replace('1050', '1E3'), amount],
    [
      'expects what JavaScript would round',
      body().replace('5000', '9007199254740993'),
      { expectedAvailable: `expectedAvailable must be ${units}, 0 to 9007199254740991` },
    ],
    ['has a fraction for a note', body().replace('"Box arrived empty"', '1.5'), text('note', 1000)],
    ['has two amounts', body().replace('"amount"', '"amount":1,"amount"'), { amount: 'amount stands there twice' }],
    ['spells the second amount otherwise', body().replace('{', '{"\\u0061mount" :1,'), { amount: 'amount stands there twice' }],
    [
      'has a name twice inside its metadata',
      body().replace('"orderId"', '"orderId":"41","orderId"'),
      { 'metadata.orderId': 'orderId stands there twice' },
    ],
    ['has an amount of true', body({ amount: true }), amount],
    ['has an amount of 2^53', body({ amount: 2 ** 53 }), amount],
    ['has an amount that JavaScript would round', body().replace('1050', '9007199254740993'), amount],
    ['has an amount whose fraction JavaScript would drop', body().replace('1050', '10.00000000000000000001'), amount],
    ['has an amount past all numbers', body().replace('1050', '1e400'), amount],
    ['has a currency in lower case', body({ currency: 'usd' }), currency],
    ['has a currency of four letters', body({ currency: 'USDT' }), currency],
    [
      'has an amount without currency',
      body({}, ['currency']),
      {
        amount: 'amount needs currency beside it: give both, or neither to refund all that is left',
      },
    ],
    [
      'has a currency without amount',
      body({}, ['amount']),
      {
        currency: 'currency needs amount beside it: give both, or neither to refund all that is left',
      },
    ],
    [
      'has a reason of its own',
      body({ reason: 'bored' }),
      {
        reason: 'reason must be one of requested_by_customer, duplicate, fraudulent, other',
      },
    ],
    [
      'blocks the customer though it is no fraud',
      body({ blockCustomer: true }),
      {
        blockCustomer: 'blockCustomer may be true only where reason is fraudulent',
      },
    ],
    [
      'says blockCustomer as text',
      body({ reason: 'fraudulent', blockCustomer: 'true' }),
      { blockCustomer: 'blockCustomer must be true or false' },
    ],
    ['has an empty reference', body({ reference: '' }), text('reference', 255)],
    ['has a reference of 256 characters', body({ reference: 'r'.repeat(256) }), text('reference', 255)],
    ['has a NUL character in its note', body({ note: 'a\0b' }), text('note', 1000)],
    ['has half a surrogate pair in its note', body({ note: 'a\ud83d' }), text('note', 1000)],
    ['has a list for metadata', body({ metadata: [] }), { metadata: 'metadata must be an object of at most 40 names with text' }],
    [
      'has 41 names in its metadata',
      body({ metadata: Object.fromEntries(Array.from({ length: 41 }, (_, n) => [`k${n}`, 'v'])) }),
      {
        metadata: 'metadata must be an object of at most 40 names with text',
      },
    ],
    ['has a number in its metadata', body({ metadata: { orderId: 42 } }), entryValue('orderId')],
    ['has text of 501 characters in its metadata', body({ metadata: { orderId: 'x'.repeat(501) } }), entryValue('orderId')],
    ['has square brackets in a name', body({ metadata: { 'a[b]': 'x', fine: 'y' } }), entryName('a[b]')],
    ['takes a name of ours in its metadata', body({ metadata: { redress_id: 'x' } }), entryName('redress_id')],
    [
      'expects less than nothing to be left',
      body({ expectedAvailable: -1 }),
      {
        expectedAvailable: `expectedAvailable must be ${units}, 0 to 9007199254740991`,
      },
    ],
    [
      'has an account with a colon',
      body({ account: 'a:b' }),
      {
        account: 'account must be the name of an account: 1 to 64 of a-z, 0-9, _ and -, not starting with _ or -',
      },
    ],
    [
      "has one of Stripe Connect's fields",
      body({ reverse_transfer: true }),
      { reverse_transfer: 'reverse_transfer is not known here: leave it out' },
    ],
    [
      'hides a field behind a name that every object has',
      body({ hasOwnProperty: 1 }),
      {
        hasOwnProperty: 'hasOwnProperty is not a name that can be used',
      },
    ],
    [
      'would change the prototype',
      `{"__proto__":{"amount":1},${body().slice(1)}`,
      { ['__proto__']: '__proto__ is not a name that can be used' },
    ],
    [
      'has a metadata name that would be dropped',
      body({ metadata: JSON.parse('{"constructor":"x"}') as object }),
      {
        'metadata.constructor': 'constructor is not a name that can be used',
      },
    ],
    [
      'is nested without end',
      body().replace('"42"', '{"a":'.repeat(5000) + '1' + '}'.repeat(5000)),
      {
        'metadata.orderId.a.a.a.a.a.a': 'the body must not be nested deeper than 8 levels',
      },
    ],
    ['is a list', '[]', { body: 'the body must be a JSON object' }],
    ['is null', 'null', { body: 'the body must be a JSON object' }],
    ['is cut off', '{"provider":', { body: 'the body must be JSON' }],
    ['is empty', '', { body: 'the body is empty: it must be a JSON object' }],
    ['is not UTF-8', Buffer.from([0x7b, 0xff, 0x7d]), { body: 'the body must be UTF-8' }],
  ])('is refused when it %s', (_, sent, told) => {
    expect(errorsOf(RequestRefund, sent)).toEqual(told);
  });

  it('hears of everything that is wrong at once', () => {
    const told = errorsOf(RequestRefund, body({ amount: '10', currency: 'usd', extra: 1, metadata: { a: 1, b: 2 } }));
    expect(Object.keys(told).sort()).toEqual(['amount', 'currency', 'extra', 'metadata.a', 'metadata.b']);
  });

  it('hears of it in text that can be stored, and of no more than fifty things', () => {
    expect(errorsOf(RequestRefund, body().replace('"note"', '"no\\u0000te\\ud800"'))).toEqual({
      'no\ufffdte\ufffd': 'no\ufffdte\ufffd is not known here: leave it out',
    });
    const many = Object.fromEntries(Array.from({ length: 1000 }, (_, n) => [`${n}`.padStart(3000, 'x'), 1]));
    const read = readBody(RequestRefund, body(many));
    expect(read.ok ? [] : read.errors).toHaveLength(50);
    expect(JSON.stringify(read).length).toBeLessThan(50_000);
  });

  it('counts an emoji as one character', () => {
    expect(readBody(RequestRefund, body({ reference: '💸'.repeat(255) }))).toMatchObject({ ok: true });
    expect(errorsOf(RequestRefund, body({ reference: '💸'.repeat(256) }))).toEqual(text('reference', 255));
  });

  it('has its largest amount kept exactly', () => {
    expect(readBody(RequestRefund, body({ amount: 9007199254740991 }))).toMatchObject({
      ok: true,
      value: { amount: 9007199254740991 },
    });
  });

  it('may have colons, quotes and backslashes in its text, and names of one object in another', () => {
    const note = '10:30 "amount": 1, "amount": 2 \\';
    const metadata = { amount: '\\"', note: '{"a":1,"a":2}', 'a:b': ':' };
    expect(readBody(RequestRefund, body({ note, metadata }))).toMatchObject({ ok: true, value: { note, metadata } });
  });
});

describe('An order about one refund', () => {
  it('names the refund in its data when it comes over Kafka', () => {
    expect(readBody(ApproveRefund, '{"refundId":"rf_1a"}')).toEqual({ ok: true, value: { refundId: 'rf_1a' } });
    expect(errorsOf(ApproveRefund, '{}')).toEqual({ refundId: 'refundId is missing: it must be one of our ids, rf_...' });
    expect(errorsOf(ApproveRefund, '{"refundId":"dp_1"}')).toEqual({ refundId: 'refundId must be one of our ids, rf_...' });
  });

  it('has it from the path over HTTP, where a body may then be missing', () => {
    expect(readBody(ApproveRefund, '', { refundId: 'rf_1a' })).toEqual({ ok: true, value: { refundId: 'rf_1a' } });
    expect(readBody(RetryRefund, '{"reason":"new card"}', { refundId: 'rf_1a' })).toMatchObject({
      value: { refundId: 'rf_1a', reason: 'new card' },
    });
    expect(errorsOf(ApproveRefund, '{"refundId":"rf_2"}', { refundId: 'rf_1a' })).toEqual({
      refundId: 'refundId is in the path: leave it out of the body',
    });
    expect(errorsOf(RejectRefund, '', { refundId: 'rf_1a' })).toEqual({
      reason: 'reason is missing: it must be text of 1 to 500 characters, without NUL characters or broken surrogate pairs',
    });
  });

  it("does not carry a provider's id for a refund that was never created", () => {
    const order = { refundId: 'rf_1a', outcome: 'not_created', reason: 'asked Zamp' };
    expect(readBody(ResolveRefund, JSON.stringify(order))).toMatchObject({ ok: true });
    expect(errorsOf(ResolveRefund, JSON.stringify({ ...order, providerRefundId: 're_1' }))).toEqual({
      providerRefundId: 'providerRefundId cannot be given where outcome is not_created',
    });
  });
});
