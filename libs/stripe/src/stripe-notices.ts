import { createHmac, timingSafeEqual } from 'node:crypto';
import Stripe from 'stripe';
import {
  ProviderNotices,
  type Notice,
  type NoticeRefusal,
  type RawDelivery,
  type ReceivedNotice,
} from '#domain/ports/provider-notices';
import type { PaymentTotals } from '#domain/payment/payment';
import { err, ok, type Result } from '#domain/result';
import { fromStripe } from './stripe-amounts.js';
import { foundRefund, idOf } from './stripe-answers.js';
import { isLive, type StripeAccount } from './stripe-client.js';

/** Both ways: Stripe's library looks at age only and would take a delivery from the future. docs.stripe.com/webhooks#replay-attacks */
const toleranceMs = 300_000;

/** `charge.refund.updated` is deprecated and still sent for some payment methods. docs.stripe.com/api/events/types */
const refundEvents = new Set(['refund.created', 'refund.updated', 'refund.failed', 'charge.refund.updated']);
const paymentEvents = new Set(['charge.refunded']);
/** docs.stripe.com/api/events/types#event_types-charge.dispute.created */
const disputeEvents = new Set(
  ['created', 'updated', 'closed', 'funds_withdrawn', 'funds_reinstated'].map((what) => `charge.dispute.${what}`),
);
const warningEvents = new Set(['radar.early_fraud_warning.created', 'radar.early_fraud_warning.updated']);

/** Stripe's webhooks, snapshot and thin. docs.stripe.com/webhooks, docs.stripe.com/event-destinations */
export class StripeNotices extends ProviderNotices {
  override readonly provider = 'stripe';
  override readonly account: string;
  private readonly secrets: readonly string[];
  private readonly livemode: boolean;

  constructor({ account, apiKey, webhookSecrets }: StripeAccount) {
    super();
    const live = isLive(apiKey);
    if (!live.ok) throw new Error(`the Stripe key of account ${account} must be ${live.error}`);
    if (webhookSecrets.length === 0 || webhookSecrets.some((secret) => secret.trim() === '')) {
      throw new Error(`the Stripe account ${account} needs a webhook secret, and none may be blank`);
    }
    this.account = account;
    this.secrets = webhookSecrets;
    this.livemode = live.value;
  }

  override receive({ body, headers, receivedAt }: RawDelivery): Result<ReceivedNotice, NoticeRefusal> {
    const signature = readSignature(headers['stripe-signature']);
    if (signature === null) return err({ code: 'forged', detail: 'There is no Stripe-Signature header that can be read.' });
    if (!this.isGenuine(signature, body)) return err({ code: 'forged', detail: 'No signature is by a secret of this account.' });
    const ageMs = receivedAt.getTime() - Number(signature.time) * 1000;
    if (ageMs > toleranceMs) return err({ code: 'too_old', detail: `It was signed ${Math.round(ageMs / 1000)} s ago.` });
    if (ageMs < -toleranceMs) return err({ code: 'too_early', detail: `It was signed ${Math.round(-ageMs / 1000)} s ahead.` });
    const read = this.readEvent(body, receivedAt);
    return read ?? err({ code: 'unreadable', detail: 'The body is no event of Stripe that can be read.' });
  }

  override reread(body: Buffer, receivedAt: Date): ReceivedNotice {
    const read = this.readEvent(body, receivedAt);
    if (read?.ok) return read.value;
    return { noticeId: '', type: 'unreadable', notice: nothing('The body is no event of Stripe that can be read.') };
  }

  /** Any one of the header's `v1` by any one of our secrets: while a secret is rolled there are several of both. */
  private isGenuine({ time, v1 }: Signature, body: Buffer): boolean {
    return this.secrets.some((secret) => {
      const expected = createHmac('sha256', secret).update(`${time}.`).update(body).digest();
      return v1.some((given) => given.length === expected.length && timingSafeEqual(given, expected));
    });
  }

  private readEvent(body: Buffer, receivedAt: Date): Result<ReceivedNotice, never> | null {
    const event = record(parsed(body));
    if (event === null) return null;
    const { type, livemode } = event;
    const id = idOfChange(event);
    if (typeof id !== 'string' || id === '' || typeof type !== 'string' || typeof livemode !== 'boolean') return null;
    const notice = this.notice(event, type, livemode, receivedAt);
    return notice === null ? null : ok({ noticeId: id, type, notice });
  }

  private notice(event: Record<string, unknown>, type: string, livemode: boolean, receivedAt: Date): Notice | null {
    if (livemode !== this.livemode) return others(`it is from ${livemode ? 'live' : 'test'} mode, this account is not`);
    // Connect: something of a connected account, which is not what this account's key sees.
    if (isSaid(event['account']) || isSaid(event['context'])) return others('it is about another account at Stripe');
    switch (event['object']) {
      case 'event':
        return snapshot(event, type, receivedAt);
      case 'v2.core.event':
        return thin(event, type);
      default:
        return null;
    }
  }
}

/**
 * Whoever listens to both kinds gets each change twice. The thin event names the snapshot of the same change, so that whichever of them
 * comes second is a repeat. docs.stripe.com/api/v2/core/events/object
 */
function idOfChange({ id, object, snapshot_event: snapshot }: Record<string, unknown>): unknown {
  return object === 'v2.core.event' && typeof snapshot === 'string' && snapshot !== '' ? snapshot : id;
}

/**
 * An endpoint keeps the API version it was made with, and a notice is written in that one. Its fields mean what we think they mean only
 * where it has the major version of our own calls; any other notice claims nothing and is read back. docs.stripe.com/api/versioning
 */
function speaksOurVersion({ api_version: version }: Record<string, unknown>): boolean {
  return typeof version === 'string' && version.endsWith(`.${Stripe.MAJOR_API_VERSION}`);
}

/** A snapshot carries the object as it was when the event was made. Null: it is about something of ours and cannot be read. */
function snapshot(event: Record<string, unknown>, type: string, receivedAt: Date): Notice | null {
  const object = record(record(event['data'])?.['object']);
  if (refundEvents.has(type)) {
    // What it shows was so when it was made: a delivery that was tried again for days must not pass as news.
    const made = typeof event['created'] === 'number' ? new Date(event['created'] * 1000) : null;
    if (made === null || Number.isNaN(made.getTime())) return null;
    const providerRefundId = idOf(object);
    if (object?.['object'] !== 'refund' || providerRefundId === null || providerRefundId === '') return null;
    const found = foundRefund(object, made < receivedAt ? made : receivedAt);
    const claim = speaksOurVersion(event) ? (found?.report ?? null) : null;
    return { about: 'refund', providerRefundId, refundId: found?.refundId ?? null, payment: found?.payment ?? null, claim };
  }
  if (paymentEvents.has(type)) {
    const payment = idOf(object?.['payment_intent']) ?? idOf(object);
    return payment === null ? null : aboutPayment(payment, speaksOurVersion(event) ? totalsOf(object) : null);
  }
  const isDispute = disputeEvents.has(type);
  if (isDispute || warningEvents.has(type)) {
    if (object?.['object'] !== (isDispute ? 'dispute' : 'radar.early_fraud_warning')) return null;
    const payment = idOf(object['payment_intent']) ?? idOf(object['charge']);
    return isDispute ? aboutDispute(idOf(object), payment) : aboutWarning(idOf(object), payment);
  }
  return notActedOn(type);
}

/** A charge's own sums; they include what others refunded, and not what has failed since. docs.stripe.com/api/charges/object */
function totalsOf(charge: Record<string, unknown> | null): PaymentTotals | null {
  const currency = String(charge?.['currency']).toUpperCase();
  const [captured, refunded] = [charge?.['amount_captured'], charge?.['amount_refunded']].map((amount) =>
    typeof amount === 'number' && Number.isSafeInteger(amount) ? fromStripe(amount, currency) : null,
  );
  return captured == null || refunded == null ? null : { currency, captured, refunded };
}

/** A thin event only names the object, under the same names with `v1.` before them; it has to be read back. */
function thin(event: Record<string, unknown>, type: string): Notice | null {
  const name = type.startsWith('v1.') ? type.slice('v1.'.length) : '';
  const related = idOf(event['related_object']);
  if (refundEvents.has(name)) {
    return related === null ? null : { about: 'refund', providerRefundId: related, refundId: null, payment: null, claim: null };
  }
  if (paymentEvents.has(name)) return related === null ? null : aboutPayment(related, null);
  if (disputeEvents.has(name)) return aboutDispute(related, null);
  if (warningEvents.has(name)) return aboutWarning(related, null);
  return notActedOn(type);
}

interface Signature {
  /** As it stands in the header, since that is what was signed. */
  readonly time: string;
  readonly v1: readonly Buffer[];
}

function readSignature(header: string | undefined): Signature | null {
  const parts = (header ?? '').split(',').map((part) => part.trim().split('=', 2));
  const time = parts.find(([name]) => name === 't')?.[1] ?? '';
  const v1 = parts.flatMap(([name, value = '']) =>
    name === 'v1' && /^[0-9a-f]{64}$/.test(value) ? [Buffer.from(value, 'hex')] : [],
  );
  return /^\d{1,12}$/.test(time) && v1.length > 0 ? { time, v1 } : null;
}

const aboutPayment = (payment: string, claim: PaymentTotals | null): Notice => ({
  about: 'payment',
  payment,
  claim,
  readUnheard: true,
});
const aboutDispute = (id: string | null, payment: string | null): Notice | null =>
  id === null || id === '' ? null : { about: 'dispute', providerDisputeId: id, payment };
const aboutWarning = (id: string | null, payment: string | null): Notice | null =>
  id === null || id === '' ? null : { about: 'warning', providerWarningId: id, payment };
const others = (why: string): Notice => ({ about: 'others', why });
const nothing = (why: string): Notice => ({ about: 'nothing', why });
const notActedOn = (type: string): Notice => nothing(`Nothing is done about ${type}.`);
const isSaid = (value: unknown) => value !== undefined && value !== null && value !== '';

function parsed(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'));
  } catch {
    return null;
  }
}

function record(value: unknown): Record<string, unknown> | null {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : null;
}
