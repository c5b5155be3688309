/*
 * The deliveries of a round: events as Stripe writes and signs them, each about a refund of its own, one delivery in five a repeat. Requests
 * are written and signed before the clock starts.
 */
import { createHmac } from 'node:crypto';
import { generator } from '../commands.js';

export const secret = 'whsec_benchmark';
export const path = '/webhooks/stripe';

export interface Delivery {
  readonly eventId: string;
  readonly refundId: string;
  readonly amount: number;
  readonly body: Buffer;
}

const duplicateShare = 0.2;
/** A repeat comes because an answer was late or lost, and not beside the delivery that it repeats. */
const soonestRepeat = 200;

/** Always the same ones. */
export function deliveriesFor(count: number): Delivery[] {
  const random = generator(20_251_123);
  const deliveries: Delivery[] = [];
  while (deliveries.length < count) {
    const earlier = deliveries[Math.floor(random() * (deliveries.length - soonestRepeat))];
    if (earlier !== undefined && random() < duplicateShare) deliveries.push(earlier);
    else deliveries.push(delivery(String(deliveries.length).padStart(8, '0'), 100 + Math.floor(random() * 900)));
  }
  return deliveries;
}

/** The bytes of the request, signed now: a signature is good for five minutes. docs.stripe.com/webhooks#verify-manually */
export function requestOf({ body }: Delivery): Buffer {
  const time = Math.floor(Date.now() / 1000);
  const signature = createHmac('sha256', secret).update(`${time}.`).update(body).digest('hex');
  const head =
    `POST ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: Stripe/1.0 (+https://stripe.com/docs/webhooks)\r\nAccept: */*; q=0.5\r\n` +
    `Content-Type: application/json; charset=utf-8\r\nContent-Length: ${body.length}\r\nStripe-Signature: t=${time},v1=${signature}\r\n\r\n`;
  return Buffer.concat([Buffer.from(head), body]);
}

/** The refund has got its reference. Two spaces deep, as Stripe writes; 1.4 kB. docs.stripe.com/api/events/object, /api/refunds/object */
function delivery(number: string, amount: number): Delivery {
  const eventId = `evt_1SWbenchRedress0${number}`;
  const refundId = `re_3SWbenchRedress0${number}`;
  const created = Math.floor(Date.now() / 1000) - 60;
  const event = {
    id: eventId,
    object: 'event',
    api_version: '2026-10-28.endive',
    created,
    data: {
      object: {
        id: refundId,
        object: 'refund',
        amount,
        balance_transaction: `txn_3SWbenchRedress0${number}`,
        charge: `ch_3SWbenchRedress0${number}`,
        created: created - 3600,
        currency: 'usd',
        destination_details: {
          card: {
            reference: `7412852${number}`,
            reference_status: 'available',
            reference_type: 'acquirer_reference_number',
            type: 'refund',
          },
          type: 'card',
        },
        metadata: { order: `A-2026-${number}`, redress_attempt: '1', redress_refund: `rf_${number.padStart(32, '0')}` },
        payment_intent: `pi_3SWbenchRedress0${number}`,
        reason: 'requested_by_customer',
        receipt_number: null,
        source_transfer_reversal: null,
        status: 'succeeded',
        transfer_reversal: null,
      },
      previous_attributes: {
        destination_details: { card: { reference: null, reference_status: 'pending' } },
      },
    },
    livemode: false,
    pending_webhooks: 1,
    request: { id: null, idempotency_key: null },
    type: 'refund.updated',
  };
  return { eventId, refundId, amount, body: Buffer.from(JSON.stringify(event, null, 2)) };
}
