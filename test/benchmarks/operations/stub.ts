/*
 * A provider that answers `refunds.create` as Stripe does, at once or after a while, and keeps a book of every call: a key that
 * was used before brings back the first refund, and makes no second one. An API key may have a limit, above which calls get a
 * 429.
 *
 * What an account is also swept for is there, and empty.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Call, Rules } from './provider.js';

interface Refund {
  readonly id: string;
  readonly text: string;
}

let rules: Rules = { delayMs: 0, perSecond: {} };
let calls: Call[] = [];
const byKey = new Map<string, Refund>();
const byId = new Map<string, Refund>();
const buckets = new Map<string, Bucket>();

/** Holds one second's worth and fills evenly, as Stripe's limiters do: stripe.com/blog/rate-limiters. */
class Bucket {
  private tokens: number;
  private filledAt = performance.now();

  constructor(private readonly perSecond: number) {
    this.tokens = perSecond;
  }

  take(): boolean {
    const now = performance.now();
    this.tokens = Math.min(this.perSecond, this.tokens + ((now - this.filledAt) / 1000) * this.perSecond);
    this.filledAt = now;
    if (this.tokens < 1) return false;
    this.tokens -= 1;
    return true;
  }
}

function begin(wanted: Rules): void {
  rules = wanted;
  calls = [];
  byKey.clear();
  byId.clear();
  buckets.clear();
  for (const [apiKey, perSecond] of Object.entries(wanted.perSecond)) buckets.set(apiKey, new Bucket(perSecond));
}

async function createRefund(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const form = new URLSearchParams(await textOf(request));
  const key = String(request.headers['idempotency-key']);
  const apiKey = String(request.headers.authorization).replace('Bearer ', '');
  const refund = form.get('metadata[redress_refund]') ?? '';
  const isAllowed = buckets.get(apiKey)?.take() ?? true;
  calls.push({ key, refund, apiKey, atMs: performance.now(), status: isAllowed ? 200 : 429 });
  if (!isAllowed) return give(response, 429, tooMany, { 'stripe-rate-limited-reason': 'endpoint-rate' });
  const before = byKey.get(key);
  const made = before ?? make(key, form, refund);
  if (rules.delayMs > 0) await sleep(rules.delayMs);
  give(response, 200, made.text, before === undefined ? {} : { 'idempotent-replayed': 'true' });
}

function make(key: string, form: URLSearchParams, refund: string): Refund {
  const id = `re_${byKey.size + 1}`;
  const text = JSON.stringify({
    id,
    object: 'refund',
    amount: Number(form.get('amount')),
    balance_transaction: `txn_${id}`,
    charge: `ch_${id}`,
    created: Math.floor(Date.now() / 1000),
    currency: 'usd',
    destination_details: { card: { reference_status: 'pending', reference_type: 'acquirer_reference_number' }, type: 'card' },
    metadata: { redress_refund: refund, redress_attempt: form.get('metadata[redress_attempt]') },
    payment_intent: form.get('payment_intent'),
    reason: form.get('reason'),
    receipt_number: null,
    source_transfer_reversal: null,
    status: 'succeeded',
    transfer_reversal: null,
  });
  const made = { id, text };
  byKey.set(key, made);
  byId.set(id, made);
  return made;
}

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const [path = ''] = (request.url ?? '').split('?');
  const route = `${request.method} ${path}`;
  if (route === 'POST /v1/refunds') return createRefund(request, response);
  const refund = byId.get(path.replace('/v1/refunds/', ''));
  if (request.method === 'GET' && refund !== undefined) return give(response, 200, refund.text);
  if (route === 'GET /v1/refunds' || route === 'GET /v1/disputes') {
    return give(response, 200, JSON.stringify({ object: 'list', data: [], has_more: false, url: path }));
  }
  if (route === 'POST /begin') {
    begin(JSON.parse(await textOf(request)) as Rules);
    return give(response, 200, '{}');
  }
  if (route === 'GET /calls') return give(response, 200, JSON.stringify(calls));
  give(response, 404, JSON.stringify({ error: { type: 'invalid_request_error', message: `nothing at ${route}` } }));
}

const tooMany = JSON.stringify({
  error: { type: 'invalid_request_error', code: 'rate_limit', message: 'Too many requests hit the API too quickly.' },
});

function give(response: ServerResponse, status: number, text: string, headers: Readonly<Record<string, string>> = {}): void {
  response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(text),
    'request-id': `req_${calls.length}`,
    ...headers,
  });
  response.end(text);
}

function textOf(request: IncomingMessage): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    request.setEncoding('utf8').on('data', (part: string) => (text += part));
    request.on('end', () => resolve(text)).on('error', reject);
  });
}

const server = createServer((request, response) => {
  answer(request, response).catch(() => response.destroy());
});
// Longer than any client keeps a connection: nobody meets one that is being closed.
server.keepAliveTimeout = 120_000;
server.listen(Number(process.env['PORT']), '127.0.0.1');
