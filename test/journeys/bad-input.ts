/*
 * What nobody should send, row by row. The spec beside it sends it through the running system; here is what, and what comes of it.
 */
import { Readable } from 'node:stream';
import type { IHeaders } from 'kafkajs';

const fine = { provider: 'stripe', paymentId: 'pi_nobody', amount: 1050, currency: 'USD' };
export const json = { 'content-type': 'application/json' };

/** The fine body as JSON text, with something else in it. */
const body = (change: object) => JSON.stringify({ ...fine, ...change });
/** The same with a value that no serializer writes; `undefined` in JSON leaves a field out. */
const spelled = (field: string, value: string) => body({ [field]: '@' }).replace('"@"', value);

/** A body, the field that the answer names, and the code in structured mode where it is another one. */
export type BadBody = readonly [what: string, sent: string, path: string, inEnvelope?: 'broken_envelope'];

/** JSON that is no request for a refund: over POST /v1/refunds, its preview, and Kafka in both modes. */
export const badBodies: readonly BadBody[] = [
  ['an unknown field', body({ reverse_transfer: true }), 'reverse_transfer'],
  ['an unknown field with an empty name', body({ '': 1 }), ''],
  ['a field that would change prototypes', spelled('x', '1').replace('"x"', '"__proto__"'), '__proto__'],
  ['a field named constructor', body({ constructor: {} }), 'constructor'],
  ['no provider', body({ provider: undefined }), 'provider'],
  ['an unknown provider', body({ provider: 'paypal' }), 'provider'],
  ['a number for the payment', body({ paymentId: 5 }), 'paymentId'],
  ['a payment with a slash', body({ paymentId: 'pi/../x' }), 'paymentId'],
  ['text for an amount', body({ amount: '1050' }), 'amount'],
  ['a list for an amount', body({ amount: [1050] }), 'amount'],
  ['null for an amount', body({ amount: null }), 'amount'],
  ['an amount of zero', body({ amount: 0 }), 'amount'],
  ['an amount of minus zero', spelled('amount', '-0'), 'amount'],
  ['a negative amount', body({ amount: -1 }), 'amount'],
  ['a fractional amount', body({ amount: 10.5 }), 'amount'],
  ['an amount with a point', spelled('amount', '10.0'), 'amount'],
  ['an amount with an exponent', spelled('amount', '1E3'), 'amount'],
  ['an amount past all numbers', spelled('amount', '1e400'), 'amount'],
  ['an amount of 2^53', spelled('amount', '9007199254740992'), 'amount'],
  ['an amount of 2^53+1', spelled('amount', '9007199254740993'), 'amount'],
  ['an amount of a thousand digits', spelled('amount', '9'.repeat(1_000)), 'amount'],
  ['two amounts', body({}).replace('{', '{"amount":1,'), 'amount', 'broken_envelope'],
  ['an amount without currency', body({ currency: undefined }), 'amount'],
  ['a currency without amount', body({ amount: undefined }), 'currency'],
  ['a currency in lower case', body({ currency: 'usd' }), 'currency'],
  ['a currency of two letters', body({ currency: 'US' }), 'currency'],
  ['a number for a currency', body({ currency: 840 }), 'currency'],
  ['a negative expectation', body({ expectedAvailable: -1 }), 'expectedAvailable'],
  ['an expectation of 2^53+1', spelled('expectedAvailable', '9007199254740993'), 'expectedAvailable'],
  ['an expectation of 1e400', spelled('expectedAvailable', '1e400'), 'expectedAvailable'],
  ['an unknown reason', body({ reason: 'bored' }), 'reason'],
  ['text for a flag', body({ reason: 'fraudulent', blockCustomer: 'true' }), 'blockCustomer'],
  ['a block without fraud', body({ blockCustomer: true }), 'blockCustomer'],
  ['an over-long account', body({ account: 'a'.repeat(65) }), 'account'],
  ['an over-long payment', body({ paymentId: 'p'.repeat(256) }), 'paymentId'],
  ['an over-long reference', body({ reference: 'r'.repeat(256) }), 'reference'],
  ['an over-long note', body({ note: 'n'.repeat(1_001) }), 'note'],
  ['an over-long name in metadata', body({ metadata: { ['k'.repeat(41)]: 'v' } }), `metadata.${'k'.repeat(41)}`],
  ['an over-long value in metadata', body({ metadata: { k: 'v'.repeat(501) } }), 'metadata.k'],
  ['too much metadata', body({ metadata: Object.fromEntries(Array.from({ length: 41 }, (_, n) => [n, 'v'])) }), 'metadata'],
  ['an object in metadata', body({ metadata: { k: {} } }), 'metadata.k'],
  ['a name twice in metadata', spelled('metadata', '{"k":"v","k":"w"}'), 'metadata.k', 'broken_envelope'],
  ...['provider', 'paymentId', 'currency', 'reason', 'account', 'reference', 'note'].flatMap((path): BadBody[] => [
    [`a NUL character in ${path}`, body({ [path]: 'a\0b' }), path],
    [`half a surrogate pair in ${path}`, body({ [path]: 'a\ud83d' }), path],
  ]),
  ['a NUL character in a value of metadata', body({ metadata: { k: '\0' } }), 'metadata.k'],
  ['a NUL character in a name of metadata', body({ metadata: { 'k\0': 'v' } }), 'metadata.k\ufffd'],
  ['half a surrogate pair in a value of metadata', body({ metadata: { k: '\udc00' } }), 'metadata.k'],
  ['half a surrogate pair in a name of metadata', body({ metadata: { 'k\udc00': 'v' } }), 'metadata.k\ufffd'],
  ['half a surrogate pair in an unknown name', body({ '\ud800': 1 }), '\ufffd'],
  ['nothing', '{}', 'provider'],
  ['a list', '[]', 'body'],
  ['null', 'null', 'body'],
  ['a number', '1', 'body'],
  ['a hundred thousand brackets', '['.repeat(100_000) + ']'.repeat(100_000), 'body', 'broken_envelope'],
  [
    'objects in objects without end',
    spelled('metadata', '{"a":'.repeat(40_000) + '1' + '}'.repeat(40_000)),
    `metadata${'.a'.repeat(7)}`,
    'broken_envelope',
  ],
];

/** What is not JSON, over the same doors but for the structured mode. */
export const unreadableBodies: readonly (readonly [what: string, sent: string | Buffer])[] = [
  ['broken JSON', '{"provider":'],
  ['JSON with a comment', '{} // nothing'],
  ['two bodies', '{}{}'],
  ['NaN', spelled('amount', 'NaN')],
  ['a form', 'amount=1050&currency=USD'],
  ['white space', ' \n'],
  ['a naked NUL byte', spelled('note', '"a\0b"')],
  ['a surrogate in its UTF-8', Buffer.concat([Buffer.from('{"note":"'), Buffer.from([0xed, 0xa0, 0x80]), Buffer.from('"}')])],
  ['Latin-1', Buffer.from(body({ note: 'Käse' }), 'latin1')],
];

export interface Sent {
  readonly body?: string | Buffer | (() => Readable);
  readonly headers?: Readonly<Record<string, string | string[]>>;
}

export type Call = `${'GET' | 'POST' | 'DELETE' | 'PATCH' | 'OPTIONS'} /${string}`;
/** The answer as its status, its code and, where one is named, what is wrong. */
export type BadRequest = readonly [what: string, call: Call, answer: string, sent?: Sent];

const tenMegabytes = Buffer.alloc(10_000_000, ' ');
/** As chunks, so that nobody knows beforehand how much it is. */
const inChunks = () => Readable.from(Array.from({ length: 100 }, () => tenMegabytes.subarray(0, 100_000)));
const says = (sent: Sent['body'] & {}): Sent => ({ body: sent, headers: { ...json, 'idempotency-key': 'k' } });
const keyed = (key: string | string[]): Sent => ({ body: body({}), headers: { ...json, 'idempotency-key': key } });
const typed = (type: string): Sent => ({ body: body({}), headers: { 'content-type': type, 'idempotency-key': 'k' } });
const cursor = (place: string) => Buffer.from(place).toString('base64url');

/** What only HTTP can get wrong. `{refund}` and `{webhook}` stand for the ids of some that exist. */
export const badRequests: readonly BadRequest[] = [
  ['no idempotency key', 'POST /v1/refunds', '400 idempotency_key_missing', { body: body({}), headers: json }],
  ['an empty idempotency key', 'POST /v1/refunds', '400 validation_failed Idempotency-Key', keyed('')],
  ['an over-long idempotency key', 'POST /v1/refunds', '400 validation_failed Idempotency-Key', keyed('k'.repeat(256))],
  ['an idempotency key with a space', 'POST /v1/refunds', '400 validation_failed Idempotency-Key', keyed('a b')],
  ['an idempotency key in Latin-1', 'POST /v1/refunds', '400 validation_failed Idempotency-Key', keyed('schlüssel')],
  ['two idempotency keys', 'POST /v1/refunds', '400 validation_failed Idempotency-Key', keyed(['a', 'b'])],
  [
    'a bad key for an order',
    'POST /v1/refunds/{refund}/sync',
    '400 validation_failed Idempotency-Key',
    { headers: { 'idempotency-key': 'a b' } },
  ],

  ['plain text', 'POST /v1/refunds', '415 unsupported_media_type', typed('text/plain')],
  ['a form', 'POST /v1/refunds', '415 unsupported_media_type', typed('application/x-www-form-urlencoded')],
  ['no content type', 'POST /v1/refunds', '415 unsupported_media_type', { body: body({}), headers: { 'idempotency-key': 'k' } }],
  ['a content type that is none', 'POST /v1/refunds', '415 unsupported_media_type', typed('json')],
  ['JSON in Latin-1', 'POST /v1/refunds', '415 unsupported_media_type', typed('application/json; charset=iso-8859-1')],
  ['JSON in UTF-16', 'POST /v1/refunds', '415 unsupported_media_type', typed('application/json;charset="utf-16"')],
  [
    'a compressed body',
    'POST /v1/refunds',
    '415 unsupported_media_type',
    { body: body({}), headers: { ...keyed('k').headers, 'content-encoding': 'gzip' } },
  ],
  ['plain text for a preview', 'POST /v1/refunds/preview', '415 unsupported_media_type', typed('text/plain')],
  ['plain text for an order', 'POST /v1/refunds/{refund}/retry', '415 unsupported_media_type', typed('text/plain')],
  ['plain text for a replay', 'POST /v1/webhooks/{webhook}/replay', '415 unsupported_media_type', typed('text/plain')],

  ['a request of 10 MB', 'POST /v1/refunds', '413 body_too_large', says(tenMegabytes)],
  ['a request of 10 MB in chunks', 'POST /v1/refunds', '413 body_too_large', says(inChunks)],
  ['a preview of 10 MB', 'POST /v1/refunds/preview', '413 body_too_large', says(inChunks)],
  ['an order of 10 MB', 'POST /v1/refunds/{refund}/sync', '413 body_too_large', says(tenMegabytes)],
  ['a replay of 10 MB', 'POST /v1/webhooks/{webhook}/replay', '413 body_too_large', says(tenMegabytes)],
  ['a webhook of 10 MB', 'POST /webhooks/stripe', '413 body_too_large', says(tenMegabytes)],
  ['a webhook of 10 MB in chunks', 'POST /webhooks/zamp', '413 body_too_large', says(inChunks)],

  ['a query for a request', 'POST /v1/refunds?dryRun=true', '400 validation_failed dryRun', says(body({}))],
  ['a query for a preview', 'POST /v1/refunds/preview?account=x', '400 validation_failed account', says(body({}))],
  ['no body', 'POST /v1/refunds', '400 not_json body', { headers: { 'idempotency-key': 'k' } }],
  ['an order with an unknown field', 'POST /v1/refunds/{refund}/approve', '400 validation_failed amount', says('{"amount":1}')],
  ['a taking back with an unknown field', 'POST /v1/refunds/{refund}/cancel', '400 validation_failed why', says('{"why":"x"}')],
  ['a reading with an unknown field', 'POST /v1/refunds/{refund}/sync', '400 validation_failed force', says('{"force":true}')],
  [
    'an order that names its refund twice',
    'POST /v1/refunds/{refund}/retry',
    '400 validation_failed refundId',
    says('{"refundId":"rf_1"}'),
  ],
  [
    'an order with two reasons',
    'POST /v1/refunds/{refund}/retry',
    '400 validation_failed reason',
    says('{"reason":"a","reason":"b"}'),
  ],
  ['an order with a list', 'POST /v1/refunds/{refund}/approve', '400 validation_failed body', says('[]')],
  ['a rejection without a reason', 'POST /v1/refunds/{refund}/reject', '400 validation_failed reason'],
  [
    'a rejection with a NUL character',
    'POST /v1/refunds/{refund}/reject',
    '400 validation_failed reason',
    says('{"reason":"\\u0000"}'),
  ],
  [
    'an over-long reason',
    'POST /v1/refunds/{refund}/retry',
    '400 validation_failed reason',
    says(`{"reason":"${'r'.repeat(501)}"}`),
  ],
  [
    'an unknown outcome',
    'POST /v1/refunds/{refund}/resolve',
    '400 validation_failed outcome',
    says('{"outcome":"lost","reason":"x"}'),
  ],
  ['an order with an unknown query', 'POST /v1/refunds/{refund}/sync?force=1', '400 validation_failed force'],
  ['a replay with an unknown field', 'POST /v1/webhooks/{webhook}/replay', '400 validation_failed force', says('{"force":true}')],
  ['a replay with broken JSON', 'POST /v1/webhooks/{webhook}/replay', '400 not_json body', says('{')],
  ['a replay with an unknown query', 'POST /v1/webhooks/{webhook}/replay?all=1', '400 validation_failed all'],
  ['a clock that goes back', 'POST /control/clock', '400 validation_failed advanceSeconds', says('{"advanceSeconds":-1}')],
  [
    'a clock that goes 1e400 ahead',
    'POST /control/clock',
    '400 validation_failed advanceSeconds',
    says('{"advanceSeconds":1e400}'),
  ],

  ['an unknown query for one refund', 'GET /v1/refunds/{refund}?expand=payment', '400 validation_failed expand'],
  ['an unknown query for a history', 'GET /v1/refunds/{refund}/history?limit=5', '400 validation_failed limit'],
  ['an unknown query for a payment', 'GET /v1/payments/stripe/pi_1?currency=USD', '400 validation_failed currency'],
  ['an unknown query for one webhook', 'GET /v1/webhooks/{webhook}?full', '400 validation_failed full'],
  ['an account that is none', 'GET /v1/refunds/{refund}?account=A%00', '400 validation_failed account'],
  ["another account than the refund's", 'GET /v1/refunds/{refund}?account=other', '404 refund_not_found'],
  ["another account than the webhook's", 'GET /v1/webhooks/{webhook}?account=other', '404 not_found'],
  ['a limit of 0', 'GET /v1/refunds?limit=0', '400 validation_failed limit'],
  ['a limit of 101', 'GET /v1/events?limit=101', '400 validation_failed limit'],
  ['a limit of abc', 'GET /v1/webhooks?limit=abc', '400 validation_failed limit'],
  ['a limit of 1.5', 'GET /v1/attention?limit=1.5', '400 validation_failed limit'],
  ['a limit of -1', 'GET /v1/dead-letters?limit=-1', '400 validation_failed limit'],
  ['a limit of nothing', 'GET /v1/refunds?limit=', '400 validation_failed limit'],
  ['two limits', 'GET /v1/refunds?limit=1&limit=2', '400 validation_failed limit'],
  ['a filter that is none', 'GET /v1/refunds?colour=red', '400 validation_failed colour'],
  ['a filter named __proto__', 'GET /v1/refunds?__proto__=1', '400 validation_failed __proto__'],
  ['a filter named constructor', 'GET /v1/refunds?constructor=1', '400 validation_failed constructor'],
  ['a status that is none', 'GET /v1/refunds?status=done', '400 validation_failed status'],
  ['a search with a NUL character', 'GET /v1/refunds?q=%00', '400 validation_failed q'],
  ['an over-long search', `GET /v1/refunds?q=${'q'.repeat(256)}`, '400 validation_failed q'],
  ['a search for two things', 'GET /v1/refunds?q=a&q=b', '400 validation_failed q'],
  ['a day that is none', 'GET /v1/refunds?createdAfter=2026-02-31T00:00:00Z', '400 validation_failed createdAfter'],
  ['a time without a zone', 'GET /v1/refunds?createdBefore=2026-02-01T00:00:00', '400 validation_failed createdBefore'],
  ['a cursor that is none', 'GET /v1/refunds?cursor=nonsense', '400 validation_failed cursor'],
  ['a cursor with a NUL character', 'GET /v1/refunds?cursor=%00', '400 validation_failed cursor'],
  ['an over-long cursor', `GET /v1/webhooks?cursor=${'A'.repeat(201)}`, '400 validation_failed cursor'],
  ["another list's cursor", `GET /v1/refunds?cursor=${cursor('events.1')}`, '400 validation_failed cursor'],
  ['a cursor that somebody built', `GET /v1/refunds?cursor=${cursor('refunds.1e9')}`, '400 validation_failed cursor'],
  ['a moment that somebody built', `GET /v1/attention?cursor=${cursor('attention.1_x')}`, '400 validation_failed cursor'],
  ['a place in the feed that is none', 'GET /v1/events?after=0', '400 validation_failed after'],
  ['a type of event that is none', 'GET /v1/events?type=redress.refund.eaten.v1', '400 validation_failed type'],
  [
    'a last id that is none',
    'GET /v1/events/stream',
    '400 validation_failed Last-Event-ID',
    { headers: { 'last-event-id': 'x' } },
  ],

  ['an id that is none', 'GET /v1/refunds/nonsense', '404 refund_not_found'],
  ['an id with a NUL character', 'GET /v1/refunds/rf_%00', '404 refund_not_found'],
  ['an id that no id is as long as', `GET /v1/refunds/${'x'.repeat(5_000)}`, '404 not_found'],
  ['an order about an id that is none', 'POST /v1/refunds/rf_%00/cancel', '404 refund_not_found'],
  ['a path that cannot be decoded', 'GET /v1/refunds/%zz', '400 bad_request'],
  ['a path that is not UTF-8', 'GET /v1/refunds/%ff', '400 bad_request'],
  ['an unknown provider in the path', 'GET /v1/payments/paypal/pi_1', '404 not_found'],
  ['a payment with a NUL character in the path', 'GET /v1/payments/stripe/pi%00', '404 not_found'],
  ['an over-long payment in the path', `GET /v1/payments/stripe/${'p'.repeat(256)}`, '404 not_found'],
  ['a webhook that is none', 'GET /v1/webhooks/1', '404 not_found'],
  ['a replay of a webhook that is none', 'POST /v1/webhooks/%00/replay', '404 not_found'],
  ['an account that nobody configured', 'POST /webhooks/stripe/%00', '404 not_found', says('{}')],

  ['no authorization', 'POST /v1/refunds', '401 unauthorized', { body: body({}), headers: { ...json, authorization: '' } }],
  [
    'a wrong key',
    'POST /v1/refunds',
    '401 unauthorized',
    { body: body({}), headers: { ...json, authorization: 'Bearer wrong' } },
  ],
  ['a wrong key and bad input', 'GET /v1/refunds?limit=0', '401 unauthorized', { headers: { authorization: 'Basic YTpi' } }],
  ['an address that nobody has', 'GET /v1/nothing', '404 not_found'],
  ['another version', 'POST /v2/refunds', '404 not_found', says(body({}))],
  ['a method that the list does not take', 'DELETE /v1/refunds', '405 method_not_allowed'],
  ['a method that one refund does not take', 'PATCH /v1/refunds/{refund}', '405 method_not_allowed', says('{}')],
  ['a webhook that is read', 'GET /webhooks/stripe', '405 method_not_allowed'],
  ['OPTIONS', 'OPTIONS /v1/refunds', '405 method_not_allowed'],
];

export interface BadRecord {
  readonly what: string;
  readonly key?: string | null;
  readonly value: string | Buffer | null;
  readonly headers: IHeaders;
  readonly code: string;
  /** The id under which its sender is told, where it can be read. */
  readonly outcome: string | null;
  /** Too long for the dead letters: its digest is there in its place. */
  readonly leftOut?: 'value' | 'key,value,headers';
}

let records = 0;
export const attributes = (change: IHeaders = {}): IHeaders & { ce_id: string } => {
  const all = {
    ce_specversion: '1.0',
    ce_id: `bad-${(records += 1)}`,
    ce_source: '/bad',
    ce_type: 'redress.RequestRefund.v1',
    ...json,
    ...change,
  };
  // An attribute that is undefined is not there.
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined)) as IHeaders & { ce_id: string };
};

/** A record in binary mode with something wrong; its sender is told, unless the row says otherwise. */
function binary(what: string, code: string, { value = body({}), headers = {}, ...more }: Partial<BadRecord>): BadRecord {
  const all = attributes(headers);
  return { what, value, headers: all, code, outcome: all.ce_id, ...more };
}

const structuredHeaders = { 'content-type': 'application/cloudevents+json; charset=utf-8' };
const envelope = (change: object = {}) =>
  ({
    specversion: '1.0',
    id: `bad-${(records += 1)}`,
    source: '/bad',
    type: 'redress.RequestRefund.v1',
    data: fine,
    ...change,
  }) as const;

function structured(
  what: string,
  code: string,
  change: object,
  more: Partial<BadRecord> & { as?: (text: string) => string } = {},
): BadRecord {
  const { id, ...others } = envelope(change);
  const { as = (text: string) => text, ...rest } = more;
  return { what, value: as(JSON.stringify({ ...others, id })), headers: structuredHeaders, code, outcome: id, ...rest };
}

const untold = { outcome: null };
const order = (type: string, value: object) => ({ value: JSON.stringify(value), headers: { ce_type: `redress.${type}.v1` } });

/** What only Kafka can get wrong. */
export const badRecords: readonly BadRecord[] = [
  { what: 'no key, no headers', key: null, value: body({}), headers: {}, code: 'missing_ce_id', ...untold },
  { what: 'nothing at all', key: null, value: null, headers: {}, code: 'empty_value', ...untold },
  binary('no key and a wrong type', 'wrong_ce_type', { key: null, headers: { ce_type: 'redress.MakeCoffee.v1' } }),
  binary('a null value', 'empty_value', { value: null }),
  binary('an empty value', 'empty_value', { value: '' }),
  binary('binary rubbish', 'not_json', { value: Buffer.from([0, 1, 2, 0xff, 0xfe, 0x80, 0]) }),
  binary('no ce_id', 'missing_ce_id', { headers: { ce_id: undefined }, ...untold }),
  binary('an empty ce_id', 'missing_ce_id', { headers: { ce_id: '' }, ...untold }),
  binary('an over-long ce_id', 'wrong_attribute', { headers: { ce_id: 'i'.repeat(256) }, ...untold }),
  binary('a NUL character in ce_id', 'wrong_attribute', { headers: { ce_id: 'a\0b' }, ...untold }),
  binary('a ce_id that is not UTF-8', 'wrong_attribute', { headers: { ce_id: Buffer.from([0xed, 0xa0, 0x80]) }, ...untold }),
  binary('two ce_id', 'wrong_attribute', { headers: { ce_id: ['a', 'b'] }, ...untold }),
  binary('no ce_source', 'missing_ce_source', { headers: { ce_source: undefined }, ...untold }),
  binary('an over-long ce_source', 'wrong_attribute', { headers: { ce_source: 's'.repeat(256) }, ...untold }),
  binary('a NUL character in ce_source', 'wrong_attribute', { headers: { ce_source: '\0' }, ...untold }),
  binary('a NUL character in ce_subject', 'wrong_attribute', { headers: { ce_subject: 'a\0b' } }),
  binary('an over-long ce_subject', 'wrong_attribute', { headers: { ce_subject: 's'.repeat(256) } }),
  binary('a NUL character in ce_correlationid', 'wrong_attribute', { headers: { ce_correlationid: '\0' } }),
  binary('no ce_type', 'missing_ce_type', { headers: { ce_type: undefined } }),
  binary('a type of the future', 'wrong_ce_type', { headers: { ce_type: 'redress.RequestRefund.v2' } }),
  binary('a type that is every object', 'wrong_ce_type', { headers: { ce_type: 'constructor' } }),
  binary('no version of CloudEvents', 'wrong_ce_specversion', { headers: { ce_specversion: undefined } }),
  binary('another version of CloudEvents', 'wrong_ce_specversion', { headers: { ce_specversion: '0.3' } }),
  binary('a time that is none', 'wrong_ce_time', { headers: { ce_time: 'yesterday' } }),
  binary('another content type', 'wrong_content_type', { headers: { 'content-type': 'application/avro' } }),
  binary('another charset', 'wrong_content_type', { headers: { 'content-type': 'application/json; charset=latin1' } }),
  binary('a content type that is not UTF-8', 'wrong_content_type', { headers: { 'content-type': Buffer.from([0xff]) } }),
  binary('a header that comes three times', 'empty_value', { value: '', headers: { hop: ['a', Buffer.from([0xff, 0]), ''] } }),
  binary('headers with the strangest names', 'empty_value', {
    value: '',
    headers: { 'n\0': 'x', 'a%20b': 'y', '💸': 'z', '': 'w', constructor: 'c', toString: ['d', 'e'] } as unknown as IHeaders,
  }),
  binary('an order without its refund', 'validation_failed', order('ApproveRefund', {})),
  binary('an order about an id that is none', 'validation_failed', order('CancelRefund', { refundId: 'rf_\0' })),
  binary('an order with an unknown field', 'validation_failed', order('SyncRefund', { refundId: 'rf_1', force: true })),
  binary('a rejection without a reason', 'validation_failed', order('RejectRefund', { refundId: 'rf_1' })),
  binary('more than any command', 'body_too_large', { value: body({}).padEnd(256 * 1024 + 1) }),
  binary('5 MB', 'body_too_large', { value: body({ note: 'n'.repeat(5_000_000) }), leftOut: 'value' }),
  binary('a key and headers of 2 MB', 'empty_value', {
    value: null,
    key: 'k'.repeat(1_000_000),
    headers: { big: 'h'.repeat(1_000_000) },
    leftOut: 'key,value,headers',
  }),

  { what: 'a broken envelope', value: '{"id":"bad', headers: structuredHeaders, code: 'broken_envelope', ...untold },
  { what: 'an envelope that is a list', value: '[{}]', headers: structuredHeaders, code: 'broken_envelope', ...untold },
  { what: 'an envelope that is empty', value: '{}', headers: structuredHeaders, code: 'missing_ce_id', ...untold },
  {
    what: 'an envelope that is not UTF-8',
    value: Buffer.from([0x7b, 0xff, 0x7d]),
    headers: structuredHeaders,
    code: 'broken_envelope',
    ...untold,
  },
  { what: 'an envelope of brackets', value: '['.repeat(100_000), headers: structuredHeaders, code: 'broken_envelope', ...untold },
  {
    what: 'a batch of events',
    value: '[]',
    headers: { 'content-type': 'application/cloudevents-batch+json' },
    code: 'wrong_content_type',
    ...untold,
  },
  structured('an id that is a number', 'wrong_attribute', { id: 7 }, untold),
  structured('an id with half a surrogate pair', 'wrong_attribute', { id: '\ud800' }, untold),
  structured('an envelope with two ids', 'wrong_attribute', {}, { as: (text) => text.replace('{', '{"id":"other",'), ...untold }),
  structured('an envelope without data', 'missing_data', { data: undefined }),
  structured('an envelope with data twice', 'broken_envelope', {}, { as: (text) => text.replace('{', '{"data":{},') }),
  structured('an envelope with two kinds of data', 'broken_envelope', { data_base64: 'e30=' }),
  structured('base64 that is none', 'broken_envelope', { data: undefined, data_base64: '{}' }),
  structured('data in XML', 'wrong_content_type', { datacontenttype: 'text/xml', data: '<refund/>' }),
  structured('text for data', 'validation_failed', { data: '{}' }),
  structured('null for data', 'validation_failed', { data: null }),
  structured('an envelope with a wrong type', 'wrong_ce_type', { type: 'redress.MakeCoffee.v1' }),
  structured('a version that is a number', 'wrong_ce_specversion', { specversion: 1 }),
  structured('an envelope of 5 MB', 'body_too_large', { data: { note: 'n'.repeat(5_000_000) } }, { leftOut: 'value' }),

  // The bodies from above, in both modes.
  ...unreadableBodies.map(([what, value]) => binary(what, 'not_json', { value })),
  ...badBodies.map(([what, value]) => binary(what, 'validation_failed', { value })),
  ...badBodies.map(([what, value, , code = 'validation_failed']) =>
    // What is nested too deep for anybody hides its id as well.
    structured(
      `${what}, in an envelope`,
      code,
      { data: '@' },
      { as: (around) => around.replace('"@"', () => value), ...(value.length > 100_000 ? untold : {}) },
    ),
  ),
];

export interface Refusal {
  readonly what: string;
  readonly change: object;
  readonly status: number;
  readonly code: string;
}

/** What can be read and breaks a rule: an outcome over Kafka, and never a dead letter. */
export const refusals: readonly Refusal[] = [
  { what: "another currency than the payment's", change: { currency: 'EUR' }, status: 422, code: 'currency_mismatch' },
  { what: 'a currency that is none', change: { currency: 'QQQ' }, status: 422, code: 'amount_not_representable' },
  { what: 'a currency without minor units', change: { currency: 'XAU' }, status: 422, code: 'amount_not_representable' },
  { what: 'more than there is', change: { amount: 1_000_001 }, status: 422, code: 'amount_exceeds_available' },
  { what: 'the largest amount', change: { amount: 9_007_199_254_740_991 }, status: 422, code: 'amount_exceeds_available' },
  {
    what: 'an expectation that does not hold',
    change: { expectedAvailable: 1 },
    status: 409,
    code: 'expected_available_mismatch',
  },
  { what: 'a reference that is taken', change: { reference: 'taken' }, status: 409, code: 'reference_already_used' },
  { what: 'an account that nobody configured', change: { account: 'other' }, status: 422, code: 'unknown_account' },
  {
    what: 'a payment that the provider does not know',
    change: { paymentId: 'pi_nobody' },
    status: 422,
    code: 'payment_not_found',
  },
];
