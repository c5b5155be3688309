import { createHash, timingSafeEqual } from 'node:crypto';
import {
  ProviderNotices,
  type Notice,
  type NoticeRefusal,
  type RawDelivery,
  type ReceivedNotice,
} from '#domain/ports/provider-notices';
import { err, ok, type Result } from '#domain/result';
import type { ZampAccount } from './zamp-refunds.js';
import { record } from './zamp-wire.js';

/**
 * Zamp's callbacks. The signature covers the id and the status of what it is about and nothing else, has no time in it and so is good
 * for ever: a notice is a hint to read, and nothing else of it is used. docs.roma.global/payments/webhooks
 */
export class ZampNotices extends ProviderNotices {
  override readonly provider = 'zamp';
  override readonly account: string;
  private readonly addresses: ReadonlySet<string>;
  readonly #secrets: readonly string[];

  constructor({ account, secret, previousSecret, webhookAddresses }: ZampAccount) {
    super();
    this.account = account;
    this.addresses = new Set(webhookAddresses);
    this.#secrets = previousSecret === undefined ? [secret] : [secret, previousSecret];
  }

  override receive({ body, headers, from }: RawDelivery): Result<ReceivedNotice, NoticeRefusal> {
    if (this.addresses.size > 0 && !this.addresses.has(plainAddress(from))) {
      return err({ code: 'foreign_address', detail: `It came from ${from ?? 'nowhere'}, which is none of Zamp's addresses.` });
    }
    const event = readEvent(body);
    if (event === null) return err({ code: 'unreadable', detail: 'The body is no notice of Zamp that can be read.' });
    if (!this.isGenuine(event, headers['x-zamp-signature'])) {
      return err({ code: 'forged', detail: 'The signature is by no secret of this account.' });
    }
    return ok(received(event));
  }

  override reread(body: Buffer): ReceivedNotice {
    const event = readEvent(body);
    if (event !== null) return received(event);
    const why = 'The body is no notice of Zamp that can be read.';
    return { noticeId: '', type: 'unreadable', notice: { about: 'nothing', why } };
  }

  private isGenuine(event: Event, header: string | undefined): boolean {
    if (header === undefined || !/^[A-Za-z0-9+/]{43}=$/.test(header)) return false;
    const given = Buffer.from(header, 'base64');
    return this.#secrets.some((secret) => timingSafeEqual(given, noticeDigest(event, secret)));
  }
}

interface Event {
  readonly type: 'payment_session' | 'refund';
  readonly id: string;
  readonly status: string;
}

/**
 * What a notice is signed over. For refunds the page does not say whose id and status are meant; by analogy with Zamp's payouts they
 * are the refund's own. To be seen on stage before going live.
 */
function signedText({ id, status }: Pick<Event, 'id' | 'status'>): string {
  return `${id},${status}`;
}

/** sha256(message:secret): a plain digest, not an HMAC. */
export function noticeDigest(event: Pick<Event, 'id' | 'status'>, secret: string): Buffer {
  return createHash('sha256')
    .update(`${signedText(event)}:${secret}`)
    .digest();
}

function readEvent(body: Buffer): Event | null {
  const json = record(parsed(body));
  const data = record(json?.['data']);
  if (json === null || data === null) return null;
  const { transaction_type: type, transaction_id: id } = json;
  const { status } = data;
  if (type !== 'payment_session' && type !== 'refund') return null;
  if (typeof id !== 'string' || id === '' || data['id'] !== id || typeof status !== 'string' || status === '') return null;
  return { type, id, status };
}

function parsed(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'));
  } catch {
    return null;
  }
}

function received(event: Event): ReceivedNotice {
  const { type, id, status } = event;
  return { noticeId: `${type}:${id}:${status}`, type: `${type}.${status}`, notice: noticeOf(event) };
}

/**
 * A notice claims nothing that could be believed: an old one can be sent again by anybody, and its status may have been passed since.
 * A session of which nothing was asked is not read: Zamp lists no refunds, so there would be nothing to see.
 */
function noticeOf({ type, id }: Event): Notice {
  if (type === 'payment_session') return { about: 'payment', payment: id, claim: null, readUnheard: false };
  return { about: 'refund', providerRefundId: id, refundId: null, payment: null, claim: null };
}

/** A socket that speaks both protocols names an IPv4 peer as ::ffff:1.2.3.4. */
function plainAddress(from: string | null): string {
  return (from ?? '').replace(/^::ffff:(?=\d+\.)/i, '');
}
