/* Every way in which HTTP says no: `application/problem+json` (RFC 9457) with a stable code, and never a word about our insides. */
import { STATUS_CODES } from 'node:http';
import { Catch, HttpException, Logger, type ArgumentsHost, type ExceptionFilter } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Conflict, Unavailable } from '#application/errors';
import { codes, type Code } from '#contracts/codes';
import type { FieldError } from '#contracts/read-body';
import type { Problem } from '#contracts/refund-events';
import { allowedMethods } from './routes.js';

/** A new code does not compile until it is answered here. 409: another state would allow it; 422: nothing but another request would. */
export const statusOf = {
  payment_not_found: 422,
  payment_not_captured: 409,
  payment_not_refundable: 409,
  payment_disputed: 409,
  amount_exceeds_available: 422,
  nothing_left_to_refund: 409,
  currency_mismatch: 422,
  amount_not_representable: 422,
  expected_available_mismatch: 409,
  reference_already_used: 409,
  unknown_account: 422,
  outcome_unknown_blocks_payment: 409,
  provider_refused: 422,
  approval_refused: 409,
  approval_expired: 409,
  refund_not_found: 404,
  not_awaiting_approval: 409,
  own_approval: 403,
  not_cancelable: 409,
  not_retryable: 409,
  not_resolvable: 409,
  not_acknowledgeable: 409,
  dispute_not_found: 404,
  confirmation_missing: 400,
  dispute_not_open: 409,
  dispute_not_answerable: 409,
  deadline_passed: 409,
  already_submitted: 409,
  already_accepted: 409,
  inquiry_not_acceptable: 409,
  evidence_changed: 412,
  evidence_empty: 409,
  evidence_refused: 422,
  evidence_file_not_found: 404,
  evidence_file_too_big: 413,
  evidence_file_type: 415,
  evidence_file_unreadable: 422,
  evidence_file_pages: 422,
  evidence_file_missing: 400,
  upload_broken_off: 400,
  if_match_missing: 428,
  idempotency_key_reused: 409,
  idempotency_key_missing: 400,
  not_json: 400,
  validation_failed: 400,
  unsupported_media_type: 415,
  body_too_large: 413,
  empty_value: 400,
  missing_ce_id: 400,
  missing_ce_source: 400,
  missing_ce_type: 400,
  wrong_ce_specversion: 400,
  wrong_ce_type: 400,
  wrong_ce_time: 400,
  wrong_attribute: 400,
  wrong_content_type: 400,
  broken_envelope: 400,
  missing_data: 400,
  webhook_refused: 400,
  not_replayable: 409,
  not_redrivable: 422,
  bad_request: 400,
  unauthorized: 401,
  forbidden: 403,
  not_found: 404,
  method_not_allowed: 405,
  too_many_requests: 429,
  unavailable: 503,
  internal: 500,
} as const satisfies Record<Code, number>;

interface More {
  readonly detail?: string;
  readonly errors?: readonly FieldError[];
  readonly refundId?: string;
  readonly disputeId?: string;
  /** Where HTTP itself tells more apart than the code. */
  readonly status?: number;
}

/** Thrown by a door to answer no. */
export class Refusal extends Error {
  override readonly name = 'Refusal';

  constructor(
    readonly code: Code,
    readonly more: More = {},
  ) {
    super(code);
  }
}

export function validationFailed(...errors: readonly FieldError[]): Refusal {
  return new Refusal('validation_failed', { errors });
}

export function problem(code: Code, { detail, errors, refundId, disputeId, status }: More, instance?: string): Problem {
  return {
    type: `/docs/problems#${code}`,
    title: codes[code],
    status: status ?? statusOf[code],
    ...(detail === undefined || detail === codes[code] ? {} : { detail: detail.slice(0, 1000) }),
    code,
    ...(errors === undefined ? {} : { errors }),
    ...(instance === undefined ? {} : { instance: instance.slice(0, 1000) }),
    ...(refundId === undefined ? {} : { refundId }),
    ...(disputeId === undefined ? {} : { disputeId }),
  };
}

/** Seconds after which a caller may hope for better. */
const retryAfter = '2';

/** Answers everything that was thrown. What nobody foresaw is logged whole, and told as `internal`. */
@Catch()
export class ProblemFilter implements ExceptionFilter {
  private readonly logger = new Logger('problems');

  catch(error: unknown, host: ArgumentsHost): void {
    const http = host.switchToHttp();
    const request = http.getRequest<FastifyRequest>();
    const reply = http.getResponse<FastifyReply>();
    const refusal = this.refusalOf(error, request);
    // A stream that broke has sent its headers long ago.
    if (reply.sent || reply.raw.headersSent) return;
    const path = request.url.split('?', 1)[0] ?? request.url;
    const body = problem(refusal.code, refusal.more, path);
    if (body.status === 503) void reply.header('retry-after', retryAfter);
    if (body.status === 401) void reply.header('www-authenticate', 'Bearer');
    if (body.status === 405) void reply.header('allow', allowedMethods(request).join(', '));
    // As bytes, else Fastify adds a charset, which this media type does not have.
    void reply
      .status(body.status)
      .header('content-type', 'application/problem+json')
      .send(Buffer.from(JSON.stringify(body)));
  }

  private refusalOf(error: unknown, request: FastifyRequest): Refusal {
    if (error instanceof Refusal) return error;
    if (error instanceof Unavailable || error instanceof Conflict) {
      this.logger.warn({ msg: 'a request could not be served now', requestId: request.id, why: error.message });
      return new Refusal('unavailable');
    }
    const status = error instanceof HttpException ? error.getStatus() : statusIn(error);
    if (status === 404 && request.is404 && allowedMethods(request).length > 0) return new Refusal('method_not_allowed');
    const code = codeOf[status];
    if (code !== undefined) return new Refusal(code, code === 'bad_request' ? { status } : {});
    this.logger.error({ msg: 'a request failed', requestId: request.id, route: request.routeOptions.url, stack: stackOf(error) });
    return new Refusal('internal');
  }
}

/** What Fastify and Nest refuse by themselves, before any of our code. */
const codeOf: Readonly<Record<number, Code>> = {
  400: 'bad_request',
  401: 'unauthorized',
  403: 'forbidden',
  404: 'not_found',
  405: 'method_not_allowed',
  408: 'bad_request',
  413: 'body_too_large',
  414: 'not_found', // A path parameter longer than any id.
  415: 'unsupported_media_type',
  429: 'too_many_requests',
  431: 'bad_request',
  503: 'unavailable',
};

/** The code of what was refused before there was a route, for the places where no filter reaches. */
export function refusedByFastify(error: { readonly statusCode?: number }): { code: Code; status: number } {
  const status = error.statusCode ?? 400;
  const code = codeOf[status] ?? 'bad_request';
  return { code, status: code === 'bad_request' ? status : statusOf[code] };
}

function statusIn(error: unknown): number {
  const status = (error as { statusCode?: unknown } | null | undefined)?.statusCode;
  return typeof status === 'number' && STATUS_CODES[status] !== undefined ? status : 500;
}

/** Without the parameters that an error of the database may carry: they are what people wrote. */
function stackOf(error: unknown): string {
  return Error.isError(error) ? (error.stack ?? error.message) : String(error);
}
