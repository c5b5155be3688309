/*
 * Zamp over HTTP: JSON with amounts as numbers, which must never pass through a double of ours. Out, the decimal text is built from
 * whole minor units and put into the JSON as it is; in, every number is taken as the text it was written in.
 */
import { createHash } from 'node:crypto';
import { performance } from 'node:perf_hooks';
import type { CallContext } from '#domain/ports/refund-provider';

/** What came back. An `error` is Zamp's own, with its code; `nothing` is all that cannot be trusted, whatever its status. */
export type ZampAnswer =
  | { readonly kind: 'data'; readonly data: Readonly<Record<string, unknown>> }
  | { readonly kind: 'error'; readonly status: number; readonly code: string; readonly message: string }
  | { readonly kind: 'nothing'; readonly why: string };

const largestAnswer = 1024 * 1024;

/** TypeScript's library does not know them yet; Node 24 does. github.com/tc39/proposal-json-parse-with-source */
const parseWithSource = JSON.parse as (
  text: string,
  reviver: (key: string, value: unknown, context: { readonly source?: string }) => unknown,
) => unknown;
const { rawJSON } = JSON as unknown as { readonly rawJSON: (text: string) => object };

/** A decimal that goes into a body as a JSON number, digit by digit as it stands. */
export const jsonNumber = (decimal: string): object => rawJSON(decimal);

/** Parses JSON with every number as the text it was written in; undefined for what is no JSON. */
export function parseExactly(text: string): unknown {
  try {
    return parseWithSource(text, (_key, value, { source }) => (typeof value === 'number' ? source : value));
  } catch {
    return undefined;
  }
}

export function record(value: unknown): Readonly<Record<string, unknown>> | null {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : null;
}

/** Sends requests for one merchant. */
export class ZampWire {
  private readonly base: string;
  private readonly merchantId: string;
  /** The same for every request, so it is a credential and is treated like one: never in a trace, a log or an error. */
  readonly #signature: string;

  constructor(options: {
    readonly apiBase: string;
    readonly merchantId: string;
    readonly apiKey: string;
    readonly secret: string;
  }) {
    this.base = options.apiBase.replace(/\/+$/, '');
    this.merchantId = options.merchantId;
    this.#signature = requestSignature(options.apiKey, options.secret);
  }

  get(path: string, call: CallContext): Promise<ZampAnswer> {
    return this.request('GET', path, {}, null, call);
  }

  post(path: string, body: object, key: string, call: CallContext): Promise<ZampAnswer> {
    const headers = { 'Content-Type': 'application/json', 'X-ZAMP-Idempotency-Key': key };
    return this.request('POST', path, headers, JSON.stringify(body), call);
  }

  private async request(
    method: 'GET' | 'POST',
    path: string,
    more: Readonly<Record<string, string>>,
    body: string | null,
    call: CallContext,
  ): Promise<ZampAnswer> {
    const begun = performance.now();
    const note = (httpStatus: number | null, requestId: string | null, result: string) => {
      const endedAt = new Date(call.now.getTime() + Math.round(performance.now() - begun));
      call.trace({ call: `${method} ${path}`, startedAt: call.now, endedAt, httpStatus, requestId, result });
    };
    try {
      const response = await fetch(`${this.base}${path}`, {
        method,
        headers: {
          Accept: 'application/json',
          'X-ZAMP-MerchantId': this.merchantId,
          'X-ZAMP-Signature': this.#signature,
          ...more,
        },
        body,
        // A credential must not follow a redirect to who knows where.
        redirect: 'manual',
        signal: call.deadline,
      });
      const answer = read(response.status, await textOf(response));
      note(response.status, response.headers.get('x-request-id'), answer.kind === 'nothing' ? answer.why : 'answered');
      return answer;
    } catch {
      const why = call.deadline.aborted ? 'deadline' : 'connection_lost';
      note(null, null, why);
      return { kind: 'nothing', why };
    }
  }
}

/** base64(sha256(key:secret)), by Zamp's page on authentication: a constant, not a signature of the request. */
export function requestSignature(apiKey: string, secret: string): string {
  return createHash('sha256').update(`${apiKey}:${secret}`).digest('base64');
}

async function textOf(response: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of (response.body ?? []) as AsyncIterable<Uint8Array>) {
    length += chunk.length;
    if (length > largestAnswer) throw new Error(`an answer of more than ${largestAnswer} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** Answers are wrapped in `data`, errors are bare with `code` and `message`. Anything else is somebody else's, or broken. */
function read(status: number, text: string): ZampAnswer {
  const json = record(parseExactly(text));
  if (json === null) return { kind: 'nothing', why: 'unreadable' };
  if (status >= 200 && status < 300) {
    const data = record(json['data']);
    return data === null ? { kind: 'nothing', why: 'unreadable' } : { kind: 'data', data };
  }
  const { code, message } = json;
  if (status < 400 || status >= 500 || typeof code !== 'string') return { kind: 'nothing', why: `status_${status}` };
  return { kind: 'error', status, code, message: typeof message === 'string' ? message : '' };
}
