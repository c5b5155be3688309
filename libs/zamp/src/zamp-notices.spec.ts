import { createHmac } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import { noticeDigest, ZampNotices } from './zamp-notices.js';

const receivedAt = new Date('2026-11-01T10:00:00.000Z');
const account = {
  account: 'default',
  merchantId: 'm_1',
  apiKey: 'zamp_test_key',
  secret: 'zamp_test_secret',
  previousSecret: 'old_secret',
  apiBase: 'https://zamp.test',
  webhookAddresses: ['34.87.148.68'],
};
const notices = new ZampNotices(account);
const notice = (type: string, id: string, status: string, more: object = {}) =>
  JSON.stringify({ transaction_type: type, transaction_id: id, data: { id, status, amount: 10, ...more } });
const sign = (id: string, status: string, secret = 'zamp_test_secret') => noticeDigest({ id, status }, secret).toString('base64');
const receive = (body: string, signature: string | undefined, from: string | null = '34.87.148.68') =>
  notices.receive({ body: Buffer.from(body), headers: { 'x-zamp-signature': signature }, from, receivedAt });

describe("A notice in Zamp's name", () => {
  const body = notice('refund', 'rf_demo_0001', 'succeeded');
  const signature = '3APzqCGa8wW7RCFOEGDmXGkPye+/4A06eGRaCKxaHQw=';

  it('is taken when it is signed as Zamp signs', () => {
    expect(receive(body, signature)).toEqual({
      ok: true,
      value: {
        noticeId: 'refund:rf_demo_0001:succeeded',
        type: 'refund.succeeded',
        notice: { about: 'refund', providerRefundId: 'rf_demo_0001', refundId: null, payment: null, claim: null },
      },
    });
    expect(
      receive(notice('payment_session', 'ps_demo_0001', 'initiated'), 'ylbDmfs79PuND8KonWUIeMTgMgAgNKO3Q0klv0r/IUQ='),
    ).toEqual({
      ok: true,
      value: {
        noticeId: 'payment_session:ps_demo_0001:initiated',
        type: 'payment_session.initiated',
        notice: { about: 'payment', payment: 'ps_demo_0001', claim: null, readUnheard: false },
      },
    });
  });

  it('is taken with the secret before this one, while it is being replaced (F36)', () => {
    expect(receive(body, sign('rf_demo_0001', 'succeeded', 'old_secret'))).toMatchObject({ ok: true });
    const { previousSecret: _previous, ...now } = account;
    const strict = new ZampNotices(now);
    const headers = { 'x-zamp-signature': sign('rf_demo_0001', 'succeeded', 'old_secret') };
    const delivery = { body: Buffer.from(body), headers, from: '34.87.148.68', receivedAt };
    expect(strict.receive(delivery)).toMatchObject({ ok: false, error: { code: 'forged' } });
  });

  it('is the same notice when it is sent again, whatever else has changed in it', () => {
    const again = notice('refund', 'rf_demo_0001', 'succeeded', { amount: 1000, reference_id: 'rf_other', updated_at: 'later' });
    expect(receive(again, signature)).toEqual(receive(body, signature));
  });

  it.each([
    ['amount', { amount: 99999 }],
    ['currency', { currency_code: 'SAR' }],
    ['session', { payment_session_id: 'ps_other' }],
    ['reference', { reference_id: 'rf_other' }],
    ['merchant', { merchant_id: 'm_other' }],
    ['reason', { failure_code: 'INTERNAL_ERROR' }],
  ])('tells nothing but an id when its %s, which is not signed, was altered', (_what, lie) => {
    const given = receive(notice('refund', 'rf_demo_0001', 'succeeded', lie), signature);
    expect(given).toEqual(receive(body, signature));
    expect(given).toMatchObject({ value: { notice: { payment: null, refundId: null, claim: null } } });
  });

  it('with a status that has been passed since is believed no more than any other', () => {
    const old = receive(notice('refund', 'rf_demo_0001', 'in_process'), sign('rf_demo_0001', 'in_process'));
    expect(old).toMatchObject({
      value: { noticeId: 'refund:rf_demo_0001:in_process', notice: { about: 'refund', claim: null } },
    });
  });

  it.each([
    ['signed with another secret', sign('rf_demo_0001', 'succeeded', 'guess')],
    ['signed for another status', sign('rf_demo_0001', 'failed')],
    ['signed for another refund', sign('rf_demo_0002', 'succeeded')],
    ['not signed', undefined],
    ['signed with nothing', ''],
    ['signed in hexadecimal', noticeDigest({ id: 'rf_demo_0001', status: 'succeeded' }, 'zamp_test_secret').toString('hex')],
    ['signed by HMAC', createHmac('sha256', 'zamp_test_secret').update('rf_demo_0001,succeeded').digest('base64')],
    ['signed short', signature.slice(0, -4)],
    ['altered by one character', signature.replace('3A', '3B')],
  ])('is refused as forged when it is %s', (_how, given) => {
    expect(receive(body, given)).toMatchObject({ ok: false, error: { code: 'forged' } });
  });

  it.each([
    ['another address', '10.0.0.1'],
    ['nowhere', null],
    ['an address that only begins like it', '34.87.148.680'],
  ])('is refused when it comes from %s', (_where, from) => {
    expect(receive(body, signature, from)).toMatchObject({ ok: false, error: { code: 'foreign_address' } });
  });

  it('is taken from an address written the other way, and from anywhere when none is configured', () => {
    expect(receive(body, signature, '::ffff:34.87.148.68')).toMatchObject({ ok: true });
    const open = new ZampNotices({ ...account, webhookAddresses: [] });
    const delivery = { body: Buffer.from(body), headers: { 'x-zamp-signature': signature }, from: null, receivedAt };
    expect(open.receive(delivery)).toMatchObject({ ok: true });
  });

  it.each([
    ['no JSON', 'hello'],
    ['a list', '[]'],
    ['of an unknown kind', notice('payout', 'rf_demo_0001', 'succeeded')],
    [
      'about two things at once',
      JSON.stringify({ transaction_type: 'refund', transaction_id: 'other', data: { id: 'rf_demo_0001', status: 'succeeded' } }),
    ],
    ['without data', JSON.stringify({ transaction_type: 'refund', transaction_id: 'rf_demo_0001' })],
    ['without an id', notice('refund', '', 'succeeded')],
    [
      'with a number for an id',
      JSON.stringify({ transaction_type: 'refund', transaction_id: 7, data: { id: 7, status: 'succeeded' } }),
    ],
    ['without a status', notice('refund', 'rf_demo_0001', '')],
  ])('cannot be read when it is %s', (_what, text) => {
    expect(receive(text, signature)).toMatchObject({ ok: false, error: { code: 'unreadable' } });
    expect(notices.reread(Buffer.from(text))).toMatchObject({ type: 'unreadable', notice: { about: 'nothing' } });
  });

  it('is read again as it was read first', () => {
    const first = receive(body, signature);
    expect(first.ok && first.value).toEqual(notices.reread(Buffer.from(body)));
  });
});

describe('A merchant at Zamp', () => {
  it('shows none of its secrets when it is written down', () => {
    expect(JSON.stringify(notices)).not.toMatch(/secret/);
  });
});
