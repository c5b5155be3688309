import { refundKinds, type AccountLimits } from '#application/operations';
import type { DisputeProvider } from '#domain/ports/dispute-provider';
import type { ProviderNotices } from '#domain/ports/provider-notices';
import type { RefundList } from '#domain/ports/refund-list';
import type { RefundProvider } from '#domain/ports/refund-provider';

/** The configured accounts, and what speaks to each. */
export class Providers {
  private readonly refunds: ReadonlyMap<string, RefundProvider>;
  private readonly notices: ReadonlyMap<string, ProviderNotices>;
  private readonly listed: ReadonlyMap<string, RefundList>;
  private readonly disputes: ReadonlyMap<string, DisputeProvider>;

  constructor(
    refunds: readonly RefundProvider[],
    notices: readonly ProviderNotices[],
    readonly lists: readonly RefundList[],
    readonly disputing: readonly DisputeProvider[] = [],
  ) {
    const byName = <T extends { provider: string; account: string }>(all: readonly T[]) =>
      new Map(all.map((one) => [`${one.account}:${one.provider}`, one]));
    this.refunds = byName(refunds);
    this.notices = byName(notices);
    this.listed = byName(lists);
    this.disputes = byName(disputing);
  }

  /** What refunds can be sent through. */
  get accounts(): { readonly account: string; readonly provider: string }[] {
    return [...this.refunds.values()].map(({ account, provider }) => ({ account, provider }));
  }

  /** How often each account may be called. */
  limits(): AccountLimits[] {
    return [...this.refunds.values()].map(({ account, provider, limits }) => ({
      account,
      provider,
      ...limits,
      ...(this.disputesOf(account, provider) === undefined ? { kinds: refundKinds } : {}),
    }));
  }

  refundsOf(account: string, provider: string): RefundProvider | undefined {
    return this.refunds.get(`${account}:${provider}`);
  }

  /** Undefined where nothing can be listed. */
  listOf(account: string, provider: string): RefundList | undefined {
    return this.listed.get(`${account}:${provider}`);
  }

  /** Undefined where the provider has no disputes. */
  disputesOf(account: string, provider: string): DisputeProvider | undefined {
    return this.disputes.get(`${account}:${provider}`);
  }

  noticesOf(account: string, provider: string): ProviderNotices | undefined {
    return this.notices.get(`${account}:${provider}`);
  }
}
