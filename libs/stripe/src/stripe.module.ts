import { Module, type DynamicModule, type FactoryProvider, type ModuleMetadata } from '@nestjs/common';
import { StripeClient, type StripeAccount } from './stripe-client.js';
import { StripeDisputes } from './stripe-disputes.js';
import { StripeNotices } from './stripe-notices.js';
import { StripeRefunds } from './stripe-refunds.js';

/** Every configured account at Stripe with its adapters, which is what the apps ask for: there may be several accounts, or none. */
export class StripeAccounts {
  readonly refunds: readonly StripeRefunds[];
  readonly disputes: readonly StripeDisputes[];
  readonly notices: readonly StripeNotices[];

  constructor(accounts: readonly StripeAccount[]) {
    const clients = accounts.map((account) => ({ account, client: new StripeClient(account) }));
    this.refunds = clients.map(({ account, client }) => new StripeRefunds(account, client));
    this.disputes = clients.map(({ account, client }) => new StripeDisputes(account, client));
    this.notices = accounts.map((account) => new StripeNotices(account));
  }
}

export interface StripeModuleOptions extends Pick<ModuleMetadata, 'imports'>, Pick<FactoryProvider, 'inject'> {
  readonly useFactory: FactoryProvider<readonly StripeAccount[] | Promise<readonly StripeAccount[]>>['useFactory'];
}

@Module({})
export class StripeModule {
  /** `StripeModule.forRootAsync({ inject: [Settings], useFactory: (settings: Settings) => settings.stripeAccounts })` */
  static forRootAsync({ imports = [], inject = [], useFactory }: StripeModuleOptions): DynamicModule {
    const accounts: FactoryProvider<StripeAccounts> = {
      provide: StripeAccounts,
      inject,
      useFactory: async (...args: unknown[]) => new StripeAccounts(await useFactory(...args)),
    };
    return { module: StripeModule, imports, providers: [accounts], exports: [StripeAccounts] };
  }
}
