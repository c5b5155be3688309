import type { Provider } from './books.js';

export const CALLS = {
  stripe: [
    'refunds.create',
    'refunds.retrieve',
    'refunds.list',
    'refunds.update',
    'refunds.cancel',
    'payments.retrieve',
    'balance_transactions.retrieve',
    'disputes.retrieve',
    'disputes.list',
    'disputes.update',
    'disputes.close',
    'files.create',
    'files.retrieve',
    'early_fraud_warnings.retrieve',
    'early_fraud_warnings.list',
    'events.list',
    'events.retrieve',
  ],
  zamp: ['refunds.create', 'refunds.retrieve', 'payments.retrieve'],
} as const;

/**
 * What can go wrong with a call:
 * - `drop_answer`: the work is done, the connection ends without an answer
 * - `close_socket`: the connection ends before any work
 * - `status_500`: a 500 from in front of the endpoint; nothing done, nothing saved
 * - `status_500_saved`: the work is done, the answer is a 500, and that is what the key gives from now on
 * - `status_429`: the limiter's refusal; `lock_timeout`: Stripe's other 429, the object is locked by another request
 * - `delay`: the work itself starts `delayMs` later, and the key is in use until it is done
 * - `drip`: the work is done, and the answer comes a few bytes at a time over `delayMs`
 */
export const CALL_FAULTS = [
  'drop_answer',
  'close_socket',
  'status_500',
  'status_500_saved',
  'status_429',
  'lock_timeout',
  'delay',
  'drip',
] as const;

/**
 * What can go wrong with a webhook: `lose` (never sent, nor again), `double` (sent twice), `delay` (sent `delayMs` later),
 * `reorder` (sent after the next one), `before_answer` (arrives before the answer to the call that caused it).
 */
export const WEBHOOK_FAULTS = ['lose', 'double', 'delay', 'reorder', 'before_answer'] as const;

export type CallFault = { provider: Provider; call: string; fault: (typeof CALL_FAULTS)[number]; times: number; delayMs: number };
export type WebhookFault = { provider: Provider; webhook: (typeof WEBHOOK_FAULTS)[number]; times: number; delayMs: number };

/** The faults a tester has ordered, used up in the order they were ordered. */
export class Faults {
  private calls: CallFault[] = [];
  private webhooks: WebhookFault[] = [];

  orderCall(fault: CallFault): void {
    this.calls.push(fault);
  }

  orderWebhook(fault: WebhookFault): void {
    this.webhooks.push(fault);
  }

  takeCall(provider: Provider, call: string): CallFault | undefined {
    const fault = this.calls.find((candidate) => candidate.provider === provider && candidate.call === call);
    if (fault !== undefined && --fault.times === 0) this.calls = this.calls.filter((candidate) => candidate !== fault);
    return fault;
  }

  /** `before_answer` waits for a webhook that a call causes; those that come by themselves pass it by. */
  takeWebhook(provider: Provider, causedByCall: boolean): WebhookFault | undefined {
    const fault = this.webhooks.find(
      (candidate) => candidate.provider === provider && (candidate.webhook !== 'before_answer' || causedByCall),
    );
    if (fault !== undefined && --fault.times === 0) this.webhooks = this.webhooks.filter((candidate) => candidate !== fault);
    return fault;
  }

  reset(): void {
    this.calls = [];
    this.webhooks = [];
  }
}

/** A bucket that holds one second's worth and fills evenly: a burst of that many passes, then only the rate. */
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

/** The providers' rate limits, in real time; off until a tester sets them. */
export class Limits {
  private readonly settings = new Map<Provider, { perSecond: number | null; perEndpointPerSecond: number | null }>();
  private readonly buckets = new Map<string, Bucket>();

  set(provider: Provider, perSecond: number | null, perEndpointPerSecond: number | null): void {
    this.settings.set(provider, { perSecond, perEndpointPerSecond });
    for (const name of this.buckets.keys()) if (name.startsWith(`${provider} `)) this.buckets.delete(name);
  }

  /** Which limit this call breaks, if any. An endpoint is a method and a path with its ids left out. */
  broken(provider: Provider, endpoint: string): 'endpoint-rate' | 'global-rate' | null {
    const limits = this.settings.get(provider);
    if (limits === undefined) return null;
    const { perSecond, perEndpointPerSecond } = limits;
    if (perEndpointPerSecond !== null && !this.bucket(`${provider} ${endpoint}`, perEndpointPerSecond).take())
      return 'endpoint-rate';
    if (perSecond !== null && !this.bucket(`${provider} `, perSecond).take()) return 'global-rate';
    return null;
  }

  reset(): void {
    this.settings.clear();
    this.buckets.clear();
  }

  private bucket(name: string, perSecond: number): Bucket {
    const bucket = this.buckets.get(name) ?? new Bucket(perSecond);
    this.buckets.set(name, bucket);
    return bucket;
  }
}
