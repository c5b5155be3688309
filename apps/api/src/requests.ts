/* What a request brings, read with the same rules as everything else that comes in: see libs/contracts. */
import type { FastifyRequest } from 'fastify';
import { Account, Message, OneOf, OurId, ProviderId, Text, Time, Whole, type Class } from '#contracts/fields';
import { mediaTypeOf } from '#contracts/media-type';
import { disputeEvents, disputeStages, disputeStatuses, type DisputeStage, type DisputeStatus } from '#contracts/dispute-events';
import { evidenceFileFields, type EvidenceFileField } from '#contracts/evidence';
import { dispositions, type Disposition } from '#contracts/oversight';
import { readBody, validate } from '#contracts/read-body';
import { providers, type Provider } from '#contracts/refund-commands';
import { refundEvents, refundStatuses, type RefundStatus } from '#contracts/refund-events';
import { Refusal, validationFailed } from './problems.js';

/** A request that the guard let through. */
export interface CallerRequest extends FastifyRequest {
  caller?: string;
}

/** The body of a command; `known` is what the path says already. */
export function bodyOf<T extends object>(
  kind: Class<T>,
  request: FastifyRequest,
  known: Readonly<Record<string, unknown>> = {},
): T {
  const bytes = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0);
  const { 'content-type': media = '', 'content-encoding': encoding = 'identity' } = request.headers;
  const isGiven = bytes.length > 0 || request.isMultipart();
  if (isGiven && (mediaTypeOf(media) !== 'application/json' || encoding !== 'identity'))
    throw new Refusal('unsupported_media_type');
  const read = readBody(kind, bytes, known);
  if (!read.ok) throw new Refusal(read.code, { errors: read.errors });
  return read.value;
}

/** The query as one of the classes below; whatever else is in it is refused by name. */
export function queryOf<T extends object>(kind: Class<T>, request: FastifyRequest): T {
  const given = { ...(request.query as Record<string, unknown>) };
  // A query is text; what is to be a number is one only when it is written as one.
  if (typeof given['limit'] === 'string' && /^\d{1,9}$/.test(given['limit'])) given['limit'] = Number(given['limit']);
  const read = validate(kind, given);
  if (!read.ok) throw new Refusal(read.code, { errors: read.errors });
  return read.value;
}

/** What can be an id of a delivery or a dead letter; anything else is that of none. */
export const isUuid = (text: string) => /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(text);

/** For what takes no query. */
export function noQuery(request: FastifyRequest): void {
  const names = Object.keys(request.query as object).slice(0, 50);
  if (names.length === 0) return;
  throw validationFailed(...names.map((path) => ({ path, message: `${path} is not known here: leave it out` })));
}

/** A time from a query. Its shape was checked; that there is such a day was not, and Date takes February 31st for March 3rd. */
export function timeIn(name: string, text: string | undefined): Date | undefined {
  if (text === undefined) return undefined;
  const time = new Date(text);
  if (Number.isNaN(time.getTime()) || !text.startsWith(time.toISOString().slice(0, 10)))
    throw validationFailed({ path: name, message: `${name} must be a time that exists` });
  return time;
}

/** The caller's idempotency key, if they gave one. */
export function idempotencyKey(request: FastifyRequest): string | undefined {
  const key = request.headers['idempotency-key'];
  if (key === undefined) return undefined;
  if (typeof key === 'string' && /^[\x21-\x7e]{1,255}$/.test(key)) return key;
  throw validationFailed({ path: 'Idempotency-Key', message: 'Idempotency-Key must be 1 to 255 visible ASCII characters' });
}

/** The version that the caller has looked at, from If-Match; null where they do not say, or do not mind (`*`). */
export function versionSeen(request: FastifyRequest): number | null | undefined {
  const given = request.headers['if-match'];
  if (given === undefined) return undefined;
  if (given.trim() === '*') return null;
  // Told apart from a strong one nowhere: a version is a version.
  const version = /^(?:W\/)?(?:"(\d{1,9})"|(\d{1,9}))$/.exec(given.trim());
  if (version !== null) return Number(version[1] ?? version[2]);
  throw validationFailed({ path: 'If-Match', message: 'If-Match must be one version, such as "3", or *' });
}

/** W3C trace context, if the caller sent one that can be read. Tracing is a courtesy: a broken one stops nothing. */
export function traceparent(request: FastifyRequest): string | null {
  const given = request.headers['traceparent'];
  return typeof given === 'string' && /^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/.test(given) ? given : null;
}

const Limit = () => Whole({ min: 1, max: 100, about: 'How many at most.', otherwise: 25, example: 25, optional: true });
const Cursor = (about: string) => Text({ max: 200, about, example: 'cmVmdW5kcy40Mg', optional: true });
const OfAccount = () => Account({ about: 'The configured account at the provider.', example: 'default', optional: true });
const OfPayment = () => ProviderId({ about: 'Any id of the payment.', example: 'pi_3QxYz', optional: true });

const goOn = 'The `nextCursor` of the page before.';

/** The query of a list that has no filters. */
@Message('A page of a list.')
export class PageQuery {
  @Limit()
  readonly limit: number = 25;

  @Cursor(goOn)
  declare readonly cursor?: string;
}

/** The query of GET /v1/refunds. */
@Message('Which refunds.')
export class RefundsQuery extends PageQuery {
  @OneOf(refundStatuses, { about: 'Where it stands.', example: 'pending', optional: true })
  declare readonly status?: RefundStatus;

  @Text({ max: 100, about: 'Why a person must look, as a code.', example: 'late_reversal', optional: true })
  declare readonly attention?: string;

  @OneOf(providers, { about: 'Who took the payment.', example: 'stripe', optional: true })
  declare readonly provider?: Provider;

  @OfAccount()
  declare readonly account?: string;

  @OfPayment()
  declare readonly paymentId?: string;

  @Text({
    max: 255,
    about: "Any id: ours, the provider's, the payment's, your reference or idempotency key.",
    example: 're_3QxYz',
    optional: true,
  })
  declare readonly q?: string;

  @Time({ about: 'Only what was stored then or later.', example: '2026-01-31T09:30:00Z', optional: true })
  declare readonly createdAfter?: string;

  @Time({ about: 'Only what was stored before.', example: '2026-02-01T00:00:00Z', optional: true })
  declare readonly createdBefore?: string;
}

/** The query of GET /v1/disputes. */
@Message('Which disputes.')
export class DisputesQuery extends PageQuery {
  @OneOf(disputeStatuses, { about: 'Where the case stands.', example: 'needs_response', optional: true })
  declare readonly status?: DisputeStatus;

  @OneOf(disputeStages, { about: 'What kind of case it is now.', example: 'chargeback', optional: true })
  declare readonly stage?: DisputeStage;

  @Text({ max: 100, about: 'Why a person must look, as a code.', example: 'deadline_missed', optional: true })
  declare readonly attention?: string;

  @Text({ max: 255, about: "Why it was opened, in the provider's word.", example: 'product_not_received', optional: true })
  declare readonly reason?: string;

  @Time({ about: "Only what the provider's deadline comes earlier for.", example: '2026-03-17T00:00:00Z', optional: true })
  declare readonly dueBefore?: string;

  @OfAccount()
  declare readonly account?: string;

  @OfPayment()
  declare readonly paymentId?: string;

  @Text({
    max: 255,
    about: "Any id: ours, the provider's, the payment's, the idempotency key of a command about it.",
    example: 'du_1QxYz',
    optional: true,
  })
  declare readonly q?: string;
}

/** The path of GET /v1/payments: what cannot be a payment's name is the name of none. */
@Message('Which payment.')
export class PaymentPath {
  @OneOf(providers, { about: 'Who took the payment.', example: 'stripe' })
  declare readonly provider: Provider;

  @ProviderId({ about: 'Any id of the payment.', example: 'pi_3QxYz' })
  declare readonly paymentId: string;
}

/** The query of what concerns one account. */
@Message('Which account.')
export class AccountQuery {
  @OfAccount()
  declare readonly account?: string;
}

/** The query of DELETE /v1/disputes/{id}/evidence/files. */
@Message('Which file.')
export class RemoveFileQuery extends AccountQuery {
  @OurId('ef', { about: 'The file, by our id.', example: 'ef_01HZX3J9', optional: true })
  declare readonly id?: string;

  @OneOf(evidenceFileFields, {
    about: 'Or the field that it stands in, where there is one file alone.',
    example: 'receipt',
    optional: true,
  })
  declare readonly field?: EvidenceFileField;
}

/** POST /v1/dead-letters/{id}/redrive: the path says it all. */
@Message('Hands a dead letter back to the road on which it came.')
export class RedriveDeadLetter {
  @Text({ max: 36, about: 'The dead letter, by our id.', example: '0b1c6f0e-0000-4000-8000-000000000000' })
  declare readonly id: string;
}

/** POST /v1/webhooks/{id}/replay: the path says it all. */
@Message('Has a webhook handled once more.')
export class ReplayWebhook {
  @Text({ max: 36, about: 'The delivery, by our id.', example: '0b1c6f0e-0000-4000-8000-000000000000' })
  declare readonly id: string;
}

/** The query of GET /v1/events/stream. */
@Message('Which events.')
export class StreamQuery {
  @Cursor('The `nextCursor` of a page, or the id of an event of the stream. Left out: from the beginning.')
  declare readonly after?: string;

  @OneOf([...Object.keys(refundEvents), ...Object.keys(disputeEvents)], {
    about: 'Only this type.',
    example: 'redress.refund.succeeded.v1',
    optional: true,
  })
  declare readonly type?: string;

  @OfPayment()
  declare readonly paymentId?: string;
}

/** The query of GET /v1/events. */
@Message('Which events, and how many.')
export class EventsQuery extends StreamQuery {
  @Limit()
  readonly limit: number = 25;
}

/** The query of GET /v1/webhooks. */
@Message('Which webhooks.')
export class WebhooksQuery extends PageQuery {
  @OneOf(dispositions, { about: 'What became of it.', example: 'rejected', optional: true })
  declare readonly disposition?: Disposition;

  @OneOf(providers, { about: 'Who sent it.', example: 'stripe', optional: true })
  declare readonly provider?: Provider;
}
