/*
 * The switch that pauses sending, and the breaker that throws it.
 *
 * A pause covers everything, a provider, or one account. What would move money is not begun while a pause covers its account; commands,
 * admission, readings and webhooks go on. Whoever begins sends holds the switch as it stands until that is committed, and whoever throws
 * it waits for them: so once it is thrown, nothing new is begun.
 *
 * The breaker counts each attempt's first send, and what it moves, in the transaction that begins it; all workers count in one row per
 * account. The send that would pass a bound is not begun: its account is paused instead, for a person to look.
 */
import { err, ok, type Result } from '#domain/result';

export interface ProviderAccount {
  readonly account: string;
  readonly provider: string;
}

/** What a pause covers; null stands for all. */
export interface Scope {
  readonly provider: string | null;
  readonly account: string | null;
}

export interface Pause extends Scope {
  readonly id: string;
  readonly reason: string;
  readonly by: string;
  readonly since: Date;
  /** Thrown by the breaker. */
  readonly automatic: boolean;
}

/** What an account has begun to send since its hour began. */
export interface SendingHour extends ProviderAccount {
  readonly since: Date;
  readonly sends: number;
  /** Minor units by currency, as text: JSON holds no bigint. */
  readonly amounts: Readonly<Record<string, string>>;
}

/** How much an account may send in an hour before a person must look. What is not named has no bound. */
export interface SendingBounds extends ProviderAccount {
  readonly sendsPerHour: number | null;
  /** Minor units by currency. */
  readonly amountPerHour: Readonly<Record<string, bigint>>;
}

export const covers = (scope: Scope, { account, provider }: ProviderAccount): boolean =>
  (scope.provider === null || scope.provider === provider) && (scope.account === null || scope.account === account);

export const isSameAccount = (one: ProviderAccount, other: ProviderAccount): boolean =>
  one.account === other.account && one.provider === other.provider;

/** The hour with one more send, or why that may not be begun. */
export function countSend(
  hour: SendingHour,
  bounds: SendingBounds,
  send: { readonly refundId: string; readonly amount: bigint; readonly currency: string },
  now: Date,
): Result<SendingHour, string> {
  const { refundId, amount, currency } = send;
  const isOver = now.getTime() - hour.since.getTime() >= 3_600_000;
  const current = isOver ? newHour(hour, now) : hour;
  const sends = current.sends + 1;
  const sum = BigInt(current.amounts[currency] ?? 0) + amount;
  const { sendsPerHour, amountPerHour } = bounds;
  const most = amountPerHour[currency];
  const since = `since ${current.since.toISOString()}, and the bound is`;
  if (sendsPerHour !== null && sends > sendsPerHour) {
    return err(`Refund ${refundId} would make ${sends} sends ${since} ${sendsPerHour} an hour.`);
  }
  if (most !== undefined && sum > most) {
    return err(`Refund ${refundId} of ${amount} would make ${sum} ${currency} in minor units ${since} ${most} an hour.`);
  }
  return ok({ ...current, sends, amounts: { ...current.amounts, [currency]: String(sum) } });
}

/** An hour begins with its first send, not with the clock's. */
export function newHour({ account, provider }: ProviderAccount, now: Date): SendingHour {
  return { account, provider, since: now, sends: 0, amounts: {} };
}
