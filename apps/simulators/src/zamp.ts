import { createHash, timingSafeEqual } from 'node:crypto';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { type Answer, bodyText, delayed, give, hangUp } from './answer.js';
import type { Books, ZampRefund, ZampSession } from './books.js';
import type { Clock } from './clock.js';
import type { CallFault, CALLS, Faults, Limits } from './faults.js';
import { randomLetters } from './ids.js';
import type { Webhooks } from './webhooks.js';
import { parseExactly, toMajor, toMinor, WrittenNumber } from './zamp-decimals.js';

/** Zamp's no: a bare object with `code` and `message`. docs.roma.global/getting-started/error_codes */
class ZampRefusal extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
  ) {
    super(message);
  }
}

type Wanted = { sessionId: string; amount: number | undefined; referenceId: string; remarks: string };

export type ZampAccount = { merchantId: string; apiKey: string; secret: string };

/** What every request of a merchant carries: one constant, despite its name. docs.roma.global/getting-started/api-authentications */
export function zampRequestSignature({ apiKey, secret }: ZampAccount): string {
  return createHash('sha256').update(`${apiKey}:${secret}`).digest('base64');
}

/** `X-ZAMP-Signature` of a callback, over `<id>,<status>` and nothing else. docs.roma.global/payments/webhooks */
export function zampCallbackSignature(secret: string, message: string): string {
  return createHash('sha256').update(`${message}:${secret}`).digest('base64');
}

/**
 * Zamp's API over the books. Where its documents are silent the simulator does what is worst for a careless caller: it
 * checks no ceiling and no session status, takes a missing amount as the whole payment again, and remembers keys for ever.
 */
export class ZampSimulator {
  private readonly keysInUse = new Set<string>();
  private readonly signature: string;

  constructor(
    private readonly account: ZampAccount,
    private readonly books: Books,
    private readonly clock: Clock,
    private readonly webhooks: Webhooks,
    private readonly faults: Faults,
    private readonly limits: Limits,
  ) {
    this.signature = zampRequestSignature(account);
    clock.task('zamp.refund', (refundId) => this.advance(refundId));
    webhooks.writeWith('zamp', (id) => {
      const callback = books.zamp.callbacks.get(id);
      if (callback === undefined) return undefined;
      return { body: callback.body, headers: { 'x-zamp-signature': zampCallbackSignature(account.secret, callback.signed) } };
    });
  }

  routes(app: FastifyInstance): void {
    const route = (
      method: 'GET' | 'POST',
      path: string,
      call: (typeof CALLS)['zamp'][number],
      work: (request: FastifyRequest, fault: CallFault | undefined) => Answer | Promise<Answer>,
    ) =>
      app.route({
        method,
        url: `/zamp${path}`,
        handler: async (request, reply) => this.serve(`${method} ${path}`, call, request, reply, work),
      });
    route('POST', '/payments/v1/refunds', 'refunds.create', (request, fault) => this.createRefund(request, fault));
    route('GET', '/payments/v1/refunds/:id', 'refunds.retrieve', async (request, fault) => {
      await delayed(fault);
      return data(this.drawRefund(found(this.books.zamp.refunds.get(idOf(request)))));
    });
    route('GET', '/payments/v1/payment-sessions/:id', 'payments.retrieve', async (request, fault) => {
      await delayed(fault);
      return data(this.drawSession(found(this.books.zamp.sessions.get(idOf(request)))));
    });
  }

  unknownUrl(): Answer {
    return refusal(new ZampRefusal(404, 'RECORD_NOT_FOUND', 'There is nothing at this address'));
  }

  pay(input: Pick<ZampSession, 'amount' | 'currency' | 'status' | 'failureCode' | 'refundDelayMs' | 'merchantId'>): ZampSession {
    const id = this.newId();
    const now = this.timestamp();
    const session: ZampSession = {
      ...input,
      provider: 'zamp',
      id,
      referenceId: `order-${randomLetters(8)}`,
      createdAt: now,
      updatedAt: now,
      refunds: [],
    };
    this.books.zamp.sessions.put(id, session);
    return session;
  }

  refund(
    session: ZampSession,
    wanted: Omit<Wanted, 'sessionId'>,
    idempotencyKey: string | null,
    causedByCall: boolean,
  ): ZampRefund {
    const id = this.newId();
    const now = this.timestamp();
    const refund: ZampRefund = {
      provider: 'zamp',
      id,
      paymentId: session.id,
      amount: wanted.amount ?? session.amount,
      status: 'initiated',
      failureCode: '',
      referenceId: wanted.referenceId,
      remarks: wanted.remarks,
      idempotencyKey,
      createdAt: now,
      updatedAt: now,
    };
    this.books.zamp.refunds.put(id, refund);
    session.refunds.push(id);
    this.books.zamp.sessions.put(session.id, session);
    this.clock.later(session.refundDelayMs / 2, 'zamp.refund', id);
    this.tell(refund, causedByCall);
    return refund;
  }

  /** What becomes of a refund; nothing more happens to it by itself then. */
  setStatus(refund: ZampRefund, status: ZampRefund['status'], failureCode: string | null): void {
    this.clock.cancel(refund.id);
    this.change(refund, status, status === 'failed' ? (failureCode ?? 'INTERNAL_ERROR') : '');
  }

  private advance(refundId: string): void {
    const refund = this.books.zamp.refunds.get(refundId);
    const session = refund && this.books.zamp.sessions.get(refund.paymentId);
    if (refund === undefined || session === undefined) return;
    if (refund.status === 'initiated') {
      this.change(refund, 'in_process', '');
      this.clock.later(session.refundDelayMs / 2, 'zamp.refund', refundId);
    } else if (refund.status === 'in_process') this.change(refund, 'succeeded', '');
  }

  private change(refund: ZampRefund, status: ZampRefund['status'], failureCode: string): void {
    refund.status = status;
    refund.failureCode = failureCode;
    refund.updatedAt = this.timestamp();
    this.books.zamp.refunds.put(refund.id, refund);
    this.tell(refund, false);
  }

  private tell(refund: ZampRefund, causedByCall: boolean): void {
    const body = JSON.stringify({ transaction_type: 'refund', transaction_id: refund.id, data: this.drawRefund(refund) });
    // Zamp's callbacks have no id of their own; this one is only for the books.
    const id = `callback_${randomLetters(20)}`;
    this.books.zamp.callbacks.put(id, { body, signed: `${refund.id},${refund.status}` });
    this.webhooks.send('zamp', id, { type: `refund ${refund.status}`, subject: refund.id }, causedByCall);
  }

  private async serve(
    endpoint: string,
    call: (typeof CALLS)['zamp'][number],
    request: FastifyRequest,
    reply: FastifyReply,
    work: (request: FastifyRequest, fault: CallFault | undefined) => Answer | Promise<Answer>,
  ): Promise<void> {
    const fault = this.faults.takeCall('zamp', call);
    if (fault?.fault === 'close_socket') return hangUp(reply);
    let answer: Answer;
    try {
      this.admit(endpoint, request, fault);
      answer = await work(request, fault);
    } catch (error) {
      if (!(error instanceof ZampRefusal)) throw error;
      answer = refusal(error);
    }
    if (fault?.fault === 'status_500_saved') answer = refusal(internalError());
    await give(reply, answer, fault);
  }

  private admit(endpoint: string, request: FastifyRequest, fault: CallFault | undefined): void {
    const merchantId = request.headers['x-zamp-merchantid'];
    const signature = request.headers['x-zamp-signature'];
    if (merchantId === undefined) throw new ZampRefusal(400, 'MERCHANT_ID_HEADER_NOT_FOUND', 'X-ZAMP-MerchantId is missing');
    if (signature === undefined) throw new ZampRefusal(401, 'MISSING_TOKEN', 'X-ZAMP-Signature is missing');
    if (merchantId !== this.account.merchantId)
      throw new ZampRefusal(401, 'MERCHANT_ID_HEADER_NOT_FOUND', 'There is no such merchant, or it signs otherwise');
    const [given, expected] = [Buffer.from(String(signature)), Buffer.from(this.signature)];
    if (given.length !== expected.length || !timingSafeEqual(given, expected))
      throw new ZampRefusal(401, 'INVALID_TOKEN', 'X-ZAMP-Signature is not the one of this merchant');
    // Neither limits nor their answers are documented; this is what a gateway in front would say.
    if (fault?.fault === 'status_429' || this.limits.broken('zamp', endpoint) !== null)
      throw new ZampRefusal(429, 'TOO_MANY_REQUESTS', 'Too many requests');
    if (fault?.fault === 'status_500') throw internalError();
  }

  /** A key that was used is refused, never answered again; without a key nothing is checked. Refused requests use none up. */
  private async createRefund(request: FastifyRequest, fault: CallFault | undefined): Promise<Answer> {
    const header = request.headers['x-zamp-idempotency-key'];
    const key = typeof header === 'string' && header !== '' ? header : null;
    if (key !== null && (this.keysInUse.has(key) || this.books.zamp.keys.get(key)))
      throw new ZampRefusal(400, 'IDEMPOTENCY_FAILURE', 'The idempotency key has been used');
    const wanted = readWanted(bodyText(request));
    const session = found(this.books.zamp.sessions.get(wanted.sessionId));
    if (key !== null) this.keysInUse.add(key);
    try {
      await delayed(fault);
      const refund = this.refund(session, wanted, key, true);
      if (key !== null) this.books.zamp.keys.put(key, true);
      const { payment_session_id: sessionId, ...drawn } = this.drawRefund(refund);
      // The documents call this field the session's reference here, and the merchant's own in GET.
      const answer = data({ ...drawn, reference_id: sessionId });
      await this.webhooks.beforeAnswer();
      return answer;
    } finally {
      if (key !== null) this.keysInUse.delete(key);
    }
  }

  private drawRefund(refund: ZampRefund): Record<string, unknown> {
    const session = this.books.zamp.sessions.get(refund.paymentId);
    return {
      id: refund.id,
      merchant_id: session?.merchantId ?? this.account.merchantId,
      payment_session_id: refund.paymentId,
      reference_id: refund.referenceId,
      amount: toMajor(refund.amount),
      currency_code: session?.currency,
      remarks: refund.remarks,
      status: refund.status,
      failure_code: refund.failureCode,
      created_at: refund.createdAt,
      updated_at: refund.updatedAt,
    };
  }

  private drawSession(session: ZampSession): Record<string, unknown> {
    return {
      id: session.id,
      reference_id: session.referenceId,
      merchant_id: session.merchantId ?? this.account.merchantId,
      status: session.status,
      failure_code: session.failureCode,
      amount: toMajor(session.amount),
      source_currency: session.currency,
      source_account: '0x000000000000000000000000000000000000dEaD',
      payment_option_id: 'simulated_wallet',
      payment_option_code: 'AnyWallet',
      success_redirect_url: 'https://shop.example/paid',
      failure_redirect_url: 'https://shop.example/not-paid',
      risk_score: 'lowRisk',
      created_at: session.createdAt,
      updated_at: session.updatedAt,
    };
  }

  /** Like the samples: a short random part and the month and day. */
  private newId(): string {
    const [, month, day] = new Date(this.clock.now()).toISOString().slice(0, 10).split('-');
    return `${randomLetters(12)}_${month}_${day}`;
  }

  /** To the nanosecond, as Zamp writes it; our clock knows only the first three digits of them. */
  private timestamp(): string {
    const nanoseconds = String(process.hrtime.bigint() % 1_000_000n).padStart(6, '0');
    return new Date(this.clock.now()).toISOString().replace('Z', `${nanoseconds}Z`);
  }
}

function readWanted(text: string): Wanted {
  let body: unknown;
  try {
    body = parseExactly(text);
  } catch {
    throw new ZampRefusal(400, 'VALIDATION_FAILED', 'The body is not JSON');
  }
  if (typeof body !== 'object' || body === null || Array.isArray(body))
    throw new ZampRefusal(400, 'VALIDATION_FAILED', 'The body is not an object');
  const { payment_session_id: sessionId, amount, reference_id: referenceId = '', remarks = '' } = body as Record<string, unknown>;
  if (typeof sessionId !== 'string' || sessionId === '')
    throw new ZampRefusal(400, 'VALIDATION_FAILED', 'payment_session_id is required');
  if (typeof referenceId !== 'string') throw new ZampRefusal(400, 'VALIDATION_FAILED', 'reference_id must be a string');
  if (typeof remarks !== 'string') throw new ZampRefusal(400, 'VALIDATION_FAILED', 'remarks must be a string');
  if (amount === undefined) return { sessionId, amount, referenceId, remarks };
  const minor = amount instanceof WrittenNumber ? toMinor(amount.text) : null;
  if (minor === null)
    throw new ZampRefusal(400, 'VALIDATION_FAILED', 'amount must be a positive number with at most two decimals');
  return { sessionId, amount: minor, referenceId, remarks };
}

function found<Row>(row: Row | undefined): Row {
  if (row === undefined) throw new ZampRefusal(404, 'RECORD_NOT_FOUND', 'There is no such record');
  return row;
}

function idOf(request: FastifyRequest): string {
  return (request.params as { id: string }).id;
}

function internalError(): ZampRefusal {
  return new ZampRefusal(500, 'INTERNAL_ERROR', 'Something went wrong');
}

function data(inside: Record<string, unknown>): Answer {
  return { status: 200, headers: {}, body: JSON.stringify({ data: inside }) };
}

function refusal({ status, code, message }: ZampRefusal): Answer {
  return { status, headers: {}, body: JSON.stringify({ code, message }) };
}
