import type { AccountLimits } from '#application/operations';
import type { ProviderNotices } from '#domain/ports/provider-notices';
import type { RefundProvider } from '#domain/ports/refund-provider';

/** The configured accounts, and what speaks to each. */
export class Providers {
  private readonly refunds: ReadonlyMap<string, RefundProvider>;
  private readonly notices: ReadonlyMap<string, ProviderNotices>;

  constructor(refunds: readonly RefundProvider[], notices: readonly ProviderNotices[]) {
    const byName = <T extends { provider: string; account: string }>(all: readonly T[]) =>
      new Map(all.map((one) => [`${one.account}:${one.provider}`, one]));
    this.refunds = byName(refunds);
    this.notices = byName(notices);
  }

  /** How often each account may be called. */
  limits(): AccountLimits[] {
    return [...this.refunds.values()].map(({ account, provider, limits }) => ({ account, provider, ...limits }));
  }

  refundsOf(account: string, provider: string): RefundProvider | undefined {
    return this.refunds.get(`${account}:${provider}`);
  }

  noticesOf(account: string, provider: string): ProviderNotices | undefined {
    return this.notices.get(`${account}:${provider}`);
  }
}
