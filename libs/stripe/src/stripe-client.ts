import Stripe from 'stripe';
import type { CallContext, CallLimits, NoAnswer } from '#domain/ports/refund-provider';
import { err, ok, type Result } from '#domain/result';
import { inWords, proofOf, readings } from './stripe-answers.js';
import { StripeWire } from './stripe-wire.js';

/** One account at Stripe, and how it is reached. */
export interface StripeAccount {
  readonly account: string;
  readonly apiKey: string;
  /** Several while a secret is being rolled. */
  readonly webhookSecrets: readonly string[];
  /** https://api.stripe.com, or a stand-in; its path comes before Stripe's own. */
  readonly apiBase: string;
  /** How often it may be called, where that is not what Stripe allows by default. */
  readonly limits?: Partial<CallLimits> | undefined;
}

/** An answer that Stripe's documentation does not allow for. */
export class Unreadable extends Error {}

/** No answer about a thing that was to be read, or no such thing. */
export type NotRead = { kind: 'absent'; at: Date } | { kind: 'unread'; why: string } | NoAnswer;

export const pageSize = 100;
/** docs.stripe.com/rate-limits */
const allowed = { live: 100, sandbox: 25, perEndpoint: 25 } as const;

/** The way to one account, with its connections and its limits: whatever speaks to the account speaks through the same one. */
export class StripeClient {
  readonly account: string;
  readonly limits: CallLimits;
  readonly api: Stripe;
  private readonly wire: StripeWire;

  constructor({ account, apiKey, apiBase, limits }: StripeAccount) {
    this.account = account;
    const { protocol, hostname, port, pathname } = new URL(apiBase);
    const live = isLive(apiKey);
    // A stand-in has no sandbox: it is to be like the real thing.
    const isSandbox = hostname === 'api.stripe.com' && !(live.ok && live.value);
    const perSecond = isSandbox ? allowed.sandbox : allowed.live;
    this.limits = {
      perSecond: limits?.perSecond ?? perSecond,
      perSecondAndEndpoint: limits?.perSecondAndEndpoint ?? allowed.perEndpoint,
    };
    const secure = protocol === 'https:';
    this.wire = new StripeWire(pathname.replace(/\/+$/, ''));
    // Stripe takes files at a host of their own; a stand-in takes them where it takes everything. The library knows the one from the other.
    this.api = new Stripe(apiKey, {
      protocol: secure ? 'https' : 'http',
      host: hostname,
      port: port === '' ? (secure ? 443 : 80) : Number(port),
      httpClient: this.wire,
      maxNetworkRetries: 0,
      telemetry: false,
    });
  }

  /** Every request made inside `work` belongs to `call`. */
  during<T>(call: CallContext, work: () => Promise<T>): Promise<T> {
    return this.wire.during(call, work);
  }

  /** Reads what is called so at Stripe. Does not throw for what Stripe or the network does. */
  async reading<A>(name: string, call: CallContext, work: () => Promise<A>): Promise<A | NotRead> {
    if (!isName(name)) return { kind: 'absent', at: call.now };
    try {
      return await this.during(call, work);
    } catch (error) {
      return notRead(error, call.now);
    }
  }
}

/** A name becomes part of a path, and nothing of Stripe's has any other characters. */
export const isName = (name: string): boolean => /^\w{1,255}$/.test(name);

function notRead(error: unknown, at: Date): NotRead {
  if (error instanceof Unreadable) return { kind: 'unread', why: error.message };
  const proof = proofOf(error, readings);
  if (proof.proves === 'later') return { kind: 'later', limit: proof.limit, why: inWords(error) };
  if (proof.proves === 'parked') return { kind: 'parked', why: inWords(error) };
  return proof.proves === 'refused' ? { kind: 'absent', at } : { kind: 'unread', why: inWords(error) };
}

/** The entries of a page, each read, and where the next page begins; null at the end. */
export function entriesOf<T>(page: Stripe.ApiList<{ id: string }>, read: (entry: unknown) => T | null): Page<T> {
  if (!Array.isArray(page.data)) throw new Unreadable('the answer is no list');
  const entries = page.data.map((entry) => {
    const found = read(entry);
    if (found === null) throw new Unreadable('the list has something else in it');
    return found;
  });
  const last = page.data.at(-1);
  if (page.has_more && last === undefined) throw new Unreadable('the list promises more and gives nothing');
  return { entries, next: page.has_more ? (last?.id ?? null) : null };
}

interface Page<T> {
  readonly entries: readonly T[];
  readonly next: string | null;
}

/** All entries of a list. Newest first, so whatever is made meanwhile does not shift the pages. */
export async function allOf<T>(
  first: Stripe.ApiList<{ id: string }>,
  pageBehind: (after: string) => Promise<Stripe.ApiList<{ id: string }>>,
  read: (entry: unknown) => T | null,
): Promise<T[]> {
  const all: T[] = [];
  let page = entriesOf(first, read);
  for (;;) {
    all.push(...page.entries);
    if (page.next === null) return all;
    page = entriesOf(await pageBehind(page.next), read);
  }
}

/** A key tells its mode, which decides whose webhooks are ours; anything else is no key for this. docs.stripe.com/keys */
export function isLive(apiKey: string): Result<boolean, string> {
  const mode = /^(?:sk|rk)_(live|test)_/.exec(apiKey)?.[1];
  return mode === undefined
    ? err('a secret or restricted key: sk_live_..., sk_test_..., rk_live_... or rk_test_...')
    : ok(mode === 'live');
}
