import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { readCloudEvent } from '#contracts/cloud-event';
import { readBody, type ReadBody } from '#contracts/read-body';
import { refundCommands, RequestRefund } from '#contracts/refund-commands';

/** Names that code written without care trips over, and those that mean something to us. */
const names = fc.oneof(
  fc.constantFrom('__proto__', 'constructor', 'prototype', 'toString', 'hasOwnProperty', 'then', 'a.b', ''),
  fc.constantFrom('provider', 'paymentId', 'amount', 'currency', 'metadata', 'note', 'reference', 'expectedAvailable', 'account'),
  fc.string({ unit: 'binary', maxLength: 5 }),
);
const texts = fc.oneof(
  fc.constantFrom('stripe', 'zamp', 'USD', 'usd', 'pi_1', '\0', '\ud800', 'x'.repeat(1_001), '9007199254740993'),
  fc.string({ unit: 'binary' }),
);
const numbers = fc.constantFrom('0', '-0', '-1', '1', '1.0', '1E3', '1e400', '9007199254740991', '9007199254740993', '0.1');
const text = (value: string) => JSON.stringify(value);

/** JSON text of any shape, with names that stand there twice and numbers that nobody should write. */
const { json } = fc.letrec<{ json: string; object: string; list: string }>((tie) => ({
  json: fc.oneof(
    { depthSize: 'small' },
    texts.map(text),
    numbers,
    fc.constantFrom('null', 'true', '{}'),
    tie('object'),
    tie('list'),
  ),
  object: fc
    .array(fc.tuple(names.map(text), fc.constantFrom(':', ' :\n'), tie('json')), { maxLength: 8 })
    .map((entries) => `{${entries.map((entry) => entry.join('')).join(',')}}`),
  list: fc.array(tie('json'), { maxLength: 4 }).map((entries) => `[${entries.join(',')}]`),
}));

/** What is fine, changed in a place or two: most of it is read, or is wrong in one way only. */
const fields = {
  provider: text('stripe'),
  paymentId: text('pi_1'),
  amount: '1050',
  currency: text('USD'),
  metadata: '{"orderId":"42"}',
};
const nearlyFine = fc
  .tuple(
    fc.dictionary(names, fc.oneof(json, texts.map(text)), { maxKeys: 2 }),
    fc.constantFrom('', ',"amount":5', ',"note":"a:b"'),
  )
  .map(([change, also]) => {
    const all = Object.entries({ ...fields, ...change }).map(([name, value]) => `${text(name)}:${value}`);
    return `{${all.join(',')}${also}}`;
  });
const bytes = fc.oneof(fc.uint8Array({ maxLength: 200 }), fc.string({ unit: 'binary' }).map(Buffer.from), json.map(Buffer.from));

function expectClear(read: ReadBody<object>): void {
  if (read.ok) return;
  expect(['not_json', 'validation_failed']).toContain(read.code);
  expect(read.errors.length).toBeGreaterThan(0);
  for (const { path, message } of read.errors) {
    expect(message.length).toBeGreaterThan(5);
    for (const told of [path, message]) expect(told.isWellFormed() && !told.includes('\0') && told.length <= 400).toBe(true);
  }
}

describe('Whatever is sent for a body', () => {
  it('is read, or refused with what is wrong with it, and changes no prototype', () => {
    fc.assert(
      fc.property(fc.oneof(bytes, nearlyFine.map(Buffer.from)), (sent) => {
        for (const kind of Object.values(refundCommands)) {
          expectClear(readBody<object>(kind, sent));
          expectClear(readBody<object>(kind, sent, { refundId: 'rf_1' }));
        }
        expect(Object.keys(Object.prototype)).toEqual([]);
        expect(({} as { amount?: unknown }).amount).toBeUndefined();
      }),
      { numRuns: 60 },
    );
  });

  it('comes out with the values that it was sent with, or not at all', () => {
    let read = 0;
    fc.assert(
      fc.property(nearlyFine, (sent) => {
        const body = readBody(RequestRefund, sent);
        if (!body.ok) return;
        read += 1;
        const { account, ...others } = body.value;
        const again = JSON.stringify({ ...others, account });
        expect(readBody(RequestRefund, again)).toEqual(body);
        expect({ account: 'default', ...(JSON.parse(sent) as object) }).toEqual({ ...body.value });
        // Each field stands in the text once, as it is.
        for (const [name, value] of Object.entries(others)) {
          expect(sent.split(`${text(name)}:${JSON.stringify(value)}`)).toHaveLength(2);
        }
      }),
      { numRuns: 500 },
    );
    expect(read).toBeGreaterThan(30);
  });
});

describe('Whatever is sent for a record', () => {
  const headerValue = fc.oneof(
    texts,
    fc.uint8Array({ maxLength: 20 }).map((value) => Buffer.from(value)),
    fc.constantFrom('1.0', 'redress.RequestRefund.v1', '2026-01-31T09:30:00Z', 'application/json', undefined),
    fc.array(texts, { maxLength: 3 }),
  );
  const headerName = fc.oneof(
    fc.constantFrom('ce_id', 'ce_source', 'ce_type', 'ce_specversion', 'ce_time', 'ce_subject', 'traceparent', 'ce___proto__'),
    names,
  );
  const known = {
    ce_specversion: '1.0',
    ce_id: 'c-1',
    ce_source: '/shop',
    ce_type: 'redress.RequestRefund.v1',
  };
  const structured = fc
    .array(
      fc.tuple(
        fc.constantFrom('id', 'source', 'type', 'specversion', 'data', 'time', 'data_base64'),
        fc.oneof(json, texts.map(text)),
      ),
    )
    .map((entries) => `{${entries.map(([name, value]) => `${text(name)}:${value}`).join(',')}}`);

  it('is read as an event, or refused with a code, and what is told of it can be stored', () => {
    let taken = 0;
    fc.assert(
      fc.property(
        fc.dictionary(headerName, headerValue, { maxKeys: 3 }),
        fc.constantFrom({ 'content-type': 'application/cloudevents+json' }, {}, known, known),
        fc.option(fc.oneof(bytes, structured.map(Buffer.from))),
        (change, base, value) => {
          const record = { key: null, value: value === null ? null : Buffer.from(value), headers: { ...base, ...change } };
          const read = readCloudEvent(record, Object.keys(refundCommands));
          const { id, source } = read.ok ? read.event : read;
          for (const told of [id, source, read.ok ? '' : read.detail]) {
            expect(told === null || (told.isWellFormed() && !told.includes('\0'))).toBe(true);
          }
          if (!read.ok) return;
          taken += 1;
          expectClear(readBody<object>(RequestRefund, read.event.data));
        },
      ),
      { numRuns: 500 },
    );
    expect(taken).toBeGreaterThan(10);
  });
});
