import { describe, expect, it } from '@jest/globals';
import Stripe from 'stripe';
import { StripeNotices } from './stripe-notices.js';

const receivedAt = new Date('2026-11-01T10:00:00.000Z');
const seconds = receivedAt.getTime() / 1000;
const account = {
  account: 'default',
  apiKey: 'sk_test_x',
  webhookSecrets: ['whsec_new', 'whsec_old'],
  apiBase: 'https://api.stripe.com',
};
const notices = new StripeNotices(account);

const refund = {
  id: 're_1',
  object: 'refund',
  amount: 1050,
  currency: 'usd',
  status: 'succeeded',
  payment_intent: 'pi_1',
  charge: 'ch_1',
  metadata: { redress_refund: 'rf_1', redress_attempt: '2' },
};
const event = (more: object = {}, object: unknown = refund) => ({
  id: 'evt_1',
  object: 'event',
  type: 'refund.updated',
  api_version: '2026-10-28.endive',
  livemode: false,
  created: seconds - 10,
  data: { object },
  ...more,
});
const thin = (more: object = {}) => ({
  id: 'evt_2',
  object: 'v2.core.event',
  type: 'v1.refund.updated',
  livemode: false,
  created: '2026-11-01T09:59:50.000Z',
  related_object: { id: 're_1', type: 'refund', url: '/v1/refunds/re_1' },
  ...more,
});

/** Signed by Stripe's own library, so that our reading is not checked against our own writing. */
const signed = (body: string, secret = 'whsec_new', timestamp = seconds) =>
  Stripe.webhooks.generateTestHeaderString({ payload: body, secret, timestamp });
const delivery = (body: string | Buffer, header: string | undefined) => ({
  body: Buffer.from(body),
  headers: { 'stripe-signature': header },
  from: null,
  receivedAt,
});
/** As Stripe writes it: the signature is over these bytes, and not over what they mean. */
const written = (value: unknown) => JSON.stringify(value, null, 2);
const receive = (value: unknown) => {
  const body = written(value);
  return notices.receive(delivery(body, signed(body)));
};

describe("A delivery in Stripe's name", () => {
  const body = written(event());

  it('is taken when it is signed with a secret of ours, and again while an old secret is being rolled (F36)', () => {
    expect(notices.receive(delivery(body, signed(body)))).toMatchObject({ ok: true, value: { noticeId: 'evt_1' } });
    expect(notices.receive(delivery(body, signed(body, 'whsec_old')))).toMatchObject({ ok: true });
    const both = `${signed(body, 'whsec_retired')},${signed(body, 'whsec_new').split(',')[1]}`;
    expect(notices.receive(delivery(body, both))).toMatchObject({ ok: true });
  });

  it.each([
    ['signed with another secret', signed(body, 'whsec_other')],
    ['not signed', undefined],
    ['signed with nothing', ''],
    ['signed in an old scheme only', signed(body).replace('v1=', 'v0=')],
    ['signed without a time', signed(body).replace(/t=\d+,/, '')],
    ['given another time than it was signed with', signed(body).replace(/t=\d+/, `t=${seconds - 1}`)],
    ['signed with half a signature', signed(body).slice(0, -32)],
    ['signed with no hexadecimal', `t=${seconds},v1=${'z'.repeat(64)}`],
  ])('is refused as forged when it is %s', (_how, header) => {
    expect(notices.receive(delivery(body, header))).toMatchObject({ ok: false, error: { code: 'forged' } });
  });

  it('is refused when any one byte of it is another', () => {
    const header = signed(body);
    for (let at = 0; at < body.length; at += 7) {
      const altered = Buffer.from(body);
      altered[at] = (altered[at] ?? 0) ^ 1;
      expect(notices.receive(delivery(altered, header))).toMatchObject({ ok: false, error: { code: 'forged' } });
    }
  });

  it.each([
    [300, { ok: true }],
    [301, { ok: false, error: { code: 'too_old' } }],
    [-300, { ok: true }],
    [-301, { ok: false, error: { code: 'too_early' } }],
  ])('that was signed %p seconds before it came: %p', (age, result) => {
    expect(notices.receive(delivery(body, signed(body, 'whsec_new', seconds - age)))).toMatchObject(result);
  });

  it.each([
    ['no JSON', 'hello'],
    ['a list', '[]'],
    ['null', 'null'],
    ['an event without an id', JSON.stringify(event({ id: undefined }))],
    ['an event without a type', JSON.stringify(event({ type: 7 }))],
    ['an event of no mode', JSON.stringify(event({ livemode: 'no' }))],
    ['another object', JSON.stringify(event({ object: 'refund' }))],
    ['a refund event without a refund', JSON.stringify(event({ data: {} }))],
    ['a refund event with something else in it', JSON.stringify(event({}, { id: 'ch_1', object: 'charge' }))],
    ['a refund event without a time', JSON.stringify(event({ created: 'now' }))],
    ['a payment event without a payment', JSON.stringify(event({ type: 'charge.refunded' }, null))],
    ['a dispute event without a dispute', JSON.stringify(event({ type: 'charge.dispute.created' }, null))],
    ['a dispute event with a refund in it', JSON.stringify(event({ type: 'charge.dispute.closed' }))],
    ['a dispute event without an id', JSON.stringify(event({ type: 'charge.dispute.closed' }, { object: 'dispute', id: '' }))],
    [
      'a warning event with a dispute in it',
      JSON.stringify(event({ type: 'radar.early_fraud_warning.created' }, { object: 'dispute', id: 'du_1' })),
    ],
    ['a thin dispute event that names none', JSON.stringify(thin({ type: 'v1.charge.dispute.created', related_object: null }))],
    [
      'a thin warning event that names none',
      JSON.stringify(thin({ type: 'v1.radar.early_fraud_warning.created', related_object: {} })),
    ],
    ['a thin refund event that names no refund', JSON.stringify(thin({ related_object: null }))],
  ])('that is genuine and yet %s cannot be read', (_what, text) => {
    expect(notices.receive(delivery(text, signed(text)))).toMatchObject({ ok: false, error: { code: 'unreadable' } });
    expect(notices.reread(Buffer.from(text), receivedAt)).toMatchObject({ type: 'unreadable', notice: { about: 'nothing' } });
  });
});

describe("A webhook of Stripe's", () => {
  it.each(['refund.created', 'refund.updated', 'refund.failed', 'charge.refund.updated'])('%s is about its refund', (type) => {
    const read = receive(event({ type }));
    expect(read).toEqual({
      ok: true,
      value: {
        noticeId: 'evt_1',
        type,
        notice: {
          about: 'refund',
          providerRefundId: 're_1',
          refundId: 'rf_1',
          payment: 'pi_1',
          claim: {
            says: 'succeeded',
            attempt: 2,
            providerRefundId: 're_1',
            providerStatus: 'succeeded',
            amount: 1050n,
            currency: 'USD',
            pendingReason: null,
            failureCode: null,
            bankReference: null,
            refusal: null,
            at: new Date((seconds - 10) * 1000),
          },
        },
      },
    });
    expect(read.ok && notices.reread(Buffer.from(JSON.stringify(event({ type }))), receivedAt)).toEqual(read.ok && read.value);
  });

  it.each([
    ['of an API version with other shapes', { api_version: '2025-08-27.basil' }, refund],
    ['of a version from before they had names', { api_version: '2022-11-15' }, refund],
    ['that tells no version', { api_version: null }, refund],
    ['with half a refund in it', {}, { id: 're_1', object: 'refund', payment_intent: 'pi_1' }],
  ])('%s claims nothing, and is read back', (_what, more, object) => {
    expect(receive(event(more, object))).toMatchObject({
      ok: true,
      value: { notice: { about: 'refund', providerRefundId: 're_1', claim: null } },
    });
  });

  it('of a later version with the same shapes claims as much as ever', () => {
    expect(receive(event({ api_version: '2026-12-30.endive' }))).toMatchObject({
      value: { notice: { claim: { says: 'succeeded' } } },
    });
  });

  it.each([
    ['its charge, where it names no PaymentIntent', { charge: 'ch_1' }, 'ch_1'],
    ['no payment, where it names none', {}, null],
  ])('names %s', (_what, named, payment) => {
    const old = { ...refund, payment_intent: undefined, charge: undefined, ...named };
    expect(receive(event({}, old))).toMatchObject({ value: { notice: { payment } } });
  });

  it('claims no amount that is not there', () => {
    expect(receive(event({}, { ...refund, amount: undefined }))).toMatchObject({
      value: { notice: { claim: { says: 'unclear', amount: null } } },
    });
  });

  it('tells what a customer must do and until when, and not to whom Stripe wrote about it', () => {
    const display_details = {
      email_sent: { email_sent_at: seconds, email_sent_to: 'shopper@example.com' },
      expires_at: seconds + 100,
    };
    const next_action = { type: 'display_details', display_details };
    const waiting = receive(event({}, { ...refund, status: 'requires_action', next_action }));
    const until = new Date((seconds + 100) * 1000);
    const actionRequired = { what: 'customer_must_give_bank_details', until };
    expect(waiting).toMatchObject({ value: { notice: { claim: { says: 'requires_action', actionRequired } } } });
    expect(
      waiting.ok && waiting.value.notice.about === 'refund' && Object.values(waiting.value.notice.claim ?? {}),
    ).not.toContain('shopper@example.com');
    expect(receive(event({}, { ...refund, status: 'requires_action' }))).toMatchObject({
      value: { notice: { claim: { actionRequired: { what: 'customer_must_act', until: null } } } },
    });
  });

  it('claims a refund to be as it was when the event was made, never as in the future', () => {
    expect(receive(event({ created: seconds + 100 }))).toMatchObject({ value: { notice: { claim: { at: receivedAt } } } });
  });

  it('claims nothing clear about a refund in a status that is not known', () => {
    expect(receive(event({}, { ...refund, status: 'postponed' }))).toMatchObject({
      value: { notice: { claim: { says: 'unclear' } } },
    });
  });

  it('about a refund that somebody else made has no id of ours', () => {
    expect(receive(event({}, { ...refund, metadata: {} }))).toMatchObject({
      value: { notice: { refundId: null, payment: 'pi_1' } },
    });
  });

  it('charge.refunded is about the payment only, because it does not tell how each refund is', () => {
    const type = 'charge.refunded';
    const charge = { id: 'ch_1', object: 'charge', payment_intent: 'pi_1' };
    expect(receive(event({ type }, charge))).toMatchObject({ value: { notice: { about: 'payment', payment: 'pi_1' } } });
    expect(receive(event({ type }, { ...charge, payment_intent: null }))).toMatchObject({
      value: { notice: { payment: 'ch_1' } },
    });
  });

  it.each(['v1.refund.created', 'v1.refund.updated', 'v1.refund.failed', 'v1.charge.refund.updated'])(
    '%s, a thin one, names its refund and claims nothing',
    (type) => {
      expect(receive(thin({ type }))).toMatchObject({
        value: {
          noticeId: 'evt_2',
          type,
          notice: { about: 'refund', providerRefundId: 're_1', refundId: null, payment: null, claim: null },
        },
      });
    },
  );

  it('comes as one notice where both kinds are sent: a thin one is known by the id of its snapshot', () => {
    expect(receive(thin({ snapshot_event: 'evt_1' }))).toMatchObject({ value: { noticeId: 'evt_1', type: 'v1.refund.updated' } });
  });

  it('v1.charge.refunded, a thin one, is about the payment', () => {
    const related_object = { id: 'ch_1', type: 'charge', url: '/v1/charges/ch_1' };
    expect(receive(thin({ type: 'v1.charge.refunded', related_object }))).toMatchObject({
      value: { notice: { about: 'payment', payment: 'ch_1' } },
    });
  });

  const disputeEvents = ['created', 'updated', 'closed', 'funds_withdrawn', 'funds_reinstated'].map(
    (what) => `charge.dispute.${what}`,
  );
  const warningEvents = ['created', 'updated'].map((what) => `radar.early_fraud_warning.${what}`);
  const dispute = { id: 'du_1', object: 'dispute', status: 'lost', payment_intent: 'pi_1', charge: 'ch_1' };
  const warning = { id: 'issfr_1', object: 'radar.early_fraud_warning', payment_intent: 'pi_1', charge: 'ch_1' };

  it.each(disputeEvents)('%s is about its dispute, and claims nothing', (type) => {
    const read = receive(event({ type }, dispute));
    const notice = { about: 'dispute', providerDisputeId: 'du_1', payment: 'pi_1' };
    expect(read).toEqual({ ok: true, value: { noticeId: 'evt_1', type, notice } });
    expect(notices.reread(Buffer.from(JSON.stringify(event({ type }, dispute))), receivedAt)).toEqual(read.ok && read.value);
  });

  it.each(warningEvents)('%s is about its warning, and claims nothing', (type) => {
    const notice = { about: 'warning', providerWarningId: 'issfr_1', payment: 'pi_1' };
    expect(receive(event({ type }, warning))).toEqual({ ok: true, value: { noticeId: 'evt_1', type, notice } });
  });

  it('about a dispute or a warning is read back whatever version it is written in', () => {
    for (const api_version of ['2022-11-15', '2025-08-27.basil', null]) {
      expect(receive(event({ type: 'charge.dispute.updated', api_version }, dispute))).toMatchObject({
        value: { notice: { about: 'dispute', providerDisputeId: 'du_1' } },
      });
    }
  });

  it.each([
    ['its charge, where there is no PaymentIntent', { payment_intent: null }, 'ch_1'],
    ['no payment, where it names none', { payment_intent: null, charge: null }, null],
    ['a payment that was sent along whole', { payment_intent: { id: 'pi_2', object: 'payment_intent' } }, 'pi_2'],
  ])('about a dispute or a warning names %s', (_what, named, payment) => {
    expect(receive(event({ type: 'charge.dispute.created' }, { ...dispute, ...named }))).toMatchObject({
      value: { notice: { payment } },
    });
    expect(receive(event({ type: 'radar.early_fraud_warning.created' }, { ...warning, ...named }))).toMatchObject({
      value: { notice: { payment } },
    });
  });

  it.each(disputeEvents.map((type) => `v1.${type}`))('%s, a thin one, names its dispute', (type) => {
    const related_object = { id: 'du_1', type: 'dispute', url: '/v1/disputes/du_1' };
    const notice = { about: 'dispute', providerDisputeId: 'du_1', payment: null };
    expect(receive(thin({ type, related_object }))).toMatchObject({ ok: true, value: { noticeId: 'evt_2', type, notice } });
  });

  it.each(warningEvents.map((type) => `v1.${type}`))('%s, a thin one, names its warning', (type) => {
    const related_object = { id: 'issfr_1', type: 'radar.early_fraud_warning', url: '/v1/radar/early_fraud_warnings/issfr_1' };
    const notice = { about: 'warning', providerWarningId: 'issfr_1', payment: null };
    expect(receive(thin({ type, related_object }))).toMatchObject({ ok: true, value: { noticeId: 'evt_2', type, notice } });
  });

  it.each([
    ['of a type that is not acted on', event({ type: 'payment_intent.succeeded' }, {})],
    ["of a dispute over a card of the account's own", event({ type: 'issuing_dispute.created' }, { id: 'idp_1' })],
    ['of a dispute by a name that does not exist', event({ type: 'dispute.created' }, dispute)],
    ['of a type that nobody knew', event({ type: 'refund.polished' })],
    ['of a thin type that is not acted on', thin({ type: 'v2.core.account.created' })],
  ])('%s is about nothing we act on', (_what, value) => {
    expect(receive(value)).toMatchObject({ ok: true, value: { notice: { about: 'nothing' } } });
  });

  it.each([
    ['from live mode, to a test account', event({ livemode: true })],
    ['from live mode, thin', thin({ livemode: true })],
    ['about a connected account', event({ account: 'acct_1' })],
    ['about a connected account, thin', thin({ context: 'acct_1' })],
  ])('%s is about others', (_what, value) => {
    expect(receive(value)).toMatchObject({ ok: true, value: { notice: { about: 'others' } } });
  });

  it('from test mode is about others to a live account', () => {
    const body = written(event());
    const live = new StripeNotices({ ...account, apiKey: 'rk_live_x' });
    expect(live.receive(delivery(body, signed(body)))).toMatchObject({ value: { notice: { about: 'others' } } });
  });
});

describe("An account's webhooks", () => {
  it.each([
    ['a key of no mode', { apiKey: 'hello' }],
    ['no secret', { webhookSecrets: [] }],
    ['a blank secret, which anybody could sign with', { webhookSecrets: ['whsec_new', ' '] }],
  ])('are not set up with %s', (_what, wrong) => {
    expect(() => new StripeNotices({ ...account, ...wrong })).toThrow('account default');
  });
});
