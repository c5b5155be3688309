import { Module, type DynamicModule, type FactoryProvider, type ModuleMetadata } from '@nestjs/common';
import { StripeNotices } from './stripe-notices.js';
import { StripeRefunds, type StripeAccount } from './stripe-refunds.js';

/** Every configured account at Stripe with its adapters, which is what the apps ask for: there may be several accounts, or none. */
export class StripeAccounts {
  readonly refunds: readonly StripeRefunds[];
  readonly notices: readonly StripeNotices[];

  constructor(accounts: readonly StripeAccount[]) {
    this.refunds = accounts.map((account) => new StripeRefunds(account));
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
