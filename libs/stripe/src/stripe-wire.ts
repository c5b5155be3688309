/*
 * One call is one request. The SDK sends a request again when a connection is closed under it, even with its retries off
 * (stripe/stripe-node, RequestSender `_shouldRetry`), its time-out starts anew with every byte, it takes a 502 with some other server's
 * JSON for an answer of Stripe's, and it knows no AbortSignal. So the SDK keeps words and types, and the sending is done here:
 * an answer counts only when all of it came, in Stripe's own form; the deadline destroys the socket whatever it is doing; and every
 * failure reaches the SDK under a name that it does not try again. `stripe-wire.spec.ts` counts the requests.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import http from 'node:http';
import https from 'node:https';
import { performance } from 'node:perf_hooks';
import type Stripe from 'stripe';
import type { CallContext } from '#domain/ports/refund-provider';

/** How a request ended that brought no answer of Stripe's. Has no `code` of its own on purpose: the SDK would retry by it. */
export class NoStripeAnswer extends Error {
  constructor(
    readonly how: 'deadline' | 'connection_lost' | 'unreadable',
    cause?: unknown,
  ) {
    super(how, { cause });
  }
}

const largestAnswer = 16 * 1024 * 1024;
/** Shorter than a server or anything on the way leaves an unused connection open, so that a request seldom meets a closed one. */
const idleConnectionMs = 4_000;

interface Answer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly text: string;
}

/** The SDK's HTTP client, with the deadline and the tracer of the call it works for. */
export class StripeWire implements Stripe.HttpClient {
  private readonly calls = new AsyncLocalStorage<{ readonly call: CallContext; readonly begun: number }>();
  private readonly plain = new http.Agent({ keepAlive: true, timeout: idleConnectionMs });
  private readonly secure = new https.Agent({ keepAlive: true, timeout: idleConnectionMs });

  /** `prefix` comes before Stripe's own paths, for a stand-in that serves more than one provider. */
  constructor(private readonly prefix: string) {}

  /** Every request made inside `work`, however deep in the SDK, belongs to `call`. */
  during<T>(call: CallContext, work: () => Promise<T>): Promise<T> {
    return this.calls.run({ call, begun: performance.now() }, work);
  }

  getClientName(): string {
    return 'redress';
  }

  async makeRequest(
    host: string,
    port: string | number,
    path: string,
    method: string,
    headers: object,
    body: string | Uint8Array | null,
    protocol: string,
  ): Promise<Stripe.HttpClientResponse> {
    const current = this.calls.getStore();
    if (current === undefined) throw new Error('a request to Stripe outside of a call');
    const { call, begun } = current;
    const clock = () => new Date(call.now.getTime() + Math.round(performance.now() - begun));
    const startedAt = clock();
    const note = (httpStatus: number | null, requestId: string | null, result: string) => {
      const [bare = path] = path.split('?');
      call.trace({ call: `${method} ${bare}`, startedAt, endedAt: clock(), httpStatus, requestId, result });
    };

    const request = {
      host,
      port,
      method,
      path: `${this.prefix}${path}`,
      headers: { ...headers },
      signal: call.deadline,
    };
    let answer: Answer;
    try {
      answer = await (protocol === 'http'
        ? send(http.request({ ...request, agent: this.plain }), body)
        : send(https.request({ ...request, agent: this.secure }), body));
    } catch (cause) {
      const how = call.deadline.aborted ? 'deadline' : 'connection_lost';
      note(null, null, how);
      throw new NoStripeAnswer(how, cause);
    }

    const requestId = answer.headers['request-id'];
    const json = stripesOwn(answer);
    const result = json === null ? 'unreadable' : isLock(answer, json) ? 'locked' : 'answered';
    note(answer.status, typeof requestId === 'string' ? requestId : null, result);
    if (json === null) throw new NoStripeAnswer('unreadable');
    return {
      getStatusCode: () => answer.status,
      getHeaders: () => answer.headers as Record<string, string>,
      getRawResponse: () => ({ headers: answer.headers }),
      toStream: () => {
        throw new Error('answers are read whole');
      },
      toJSON: () => Promise.resolve(json),
    };
  }
}

/** Settles once: with the whole answer, or with whatever ended it before. */
function send(request: http.ClientRequest, body: string | Uint8Array | null): Promise<Answer> {
  return new Promise((resolve, reject) => {
    request.on('error', reject);
    request.on('response', (response) => {
      const chunks: Buffer[] = [];
      let length = 0;
      response.on('error', reject);
      response.on('data', (chunk: Buffer) => {
        chunks.push(chunk);
        length += chunk.length;
        if (length > largestAnswer) request.destroy(new Error(`an answer of more than ${largestAnswer} bytes`));
      });
      response.on('end', () => {
        resolve({ status: response.statusCode ?? 0, headers: response.headers, text: Buffer.concat(chunks).toString('utf8') });
      });
      response.on('close', () => reject(new Error('the answer broke off')));
    });
    request.end(body ?? '');
  });
}

/** Stripe's other 429: no limiter names itself, but another request has the object. docs.stripe.com/rate-limits */
function isLock({ status, headers }: Answer, json: object): boolean {
  const limiter = headers['stripe-rate-limited-reason'];
  return status === 429 && limiter === undefined && (json as { error?: { code?: unknown } }).error?.code === 'lock_timeout';
}

/** The JSON of an answer that has Stripe's form: an object after success, an error with its type otherwise; else null. */
function stripesOwn({ status, text }: Answer): object | null {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return null;
  }
  if (typeof json !== 'object' || json === null) return null;
  const failure = 'error' in json ? json.error : null;
  if (status >= 200 && status < 300) return 'object' in json && failure === null ? json : null;
  return typeof failure === 'object' && failure !== null && 'type' in failure ? json : null;
}
