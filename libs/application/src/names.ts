import { createHash } from 'node:crypto';
import { v5 as uuid5 } from 'uuid';
import type { PaymentName } from '#application/kept';
import type { Providers } from '#application/providers';

/** The name space of every id we derive. Changing it would give redelivered commands new ids, and so new provider keys. */
export const REDRESS = '6f0c8a52-8f7e-5a0e-9d55-0d3f5a1c7b11';

/**
 * A command's id, from who sent it and the key they gave it; a requested refund has the same. A redelivery, even after a restore from
 * backup, comes out the same and so reaches the provider under the same idempotency key.
 */
export function commandId(account: string, door: 'http' | 'kafka', source: string, key: string): string {
  return uuid5(JSON.stringify([account, door, source, key]), REDRESS);
}

export const refundIdOf = (uuid: string): string => `rf_${uuid.replaceAll('-', '')}`;

export const isRefundId = (text: string): boolean => /^rf_[0-9a-f]{32}$/.test(text);

/** The id of a refund that was found at a provider. */
export function discoveredId(account: string, provider: string, providerRefundId: string): string {
  return refundIdOf(uuid5(JSON.stringify([account, provider, providerRefundId]), REDRESS));
}

/** A dispute's id, from the provider's: whoever hears of it first makes the same. */
export function disputeId(account: string, provider: string, providerDisputeId: string): string {
  return ourId('dp', [account, provider, 'dispute', providerDisputeId]);
}

/** The id of an early fraud warning. */
export function warningId(account: string, provider: string, providerWarningId: string): string {
  return ourId('fw', [account, provider, 'warning', providerWarningId]);
}

/** The id of a document, from the request that brought it and what is in it: the same upload again is the same file. */
export function evidenceFileId(requestId: string, digest: string): string {
  return ourId('ef', [requestId, digest]);
}

const ourId = (prefix: string, name: readonly string[]) =>
  `${prefix}_${uuid5(JSON.stringify(name), REDRESS).replaceAll('-', '')}`;

/** A payment as a caller or a provider names it, ready to be wanted from the book. */
export function paymentName(providers: Providers, account: string, provider: string, name: string): PaymentName {
  const own = providers.refundsOf(account, provider)?.isOwnName(name) ?? false;
  return { account, provider, name, own, key: uuid5(JSON.stringify([account, provider, 'payment', name]), REDRESS) };
}

/** Of a command's content, whatever order its fields came in. */
export function digestOf(content: object): string {
  return createHash('sha256')
    .update(JSON.stringify(sorted(content)))
    .digest('base64url');
}

function sorted(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(sorted);
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, each]) => each !== undefined)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, each]) => [name, sorted(each)]),
  );
}
