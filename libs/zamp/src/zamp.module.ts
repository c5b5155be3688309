import { Module, type DynamicModule, type FactoryProvider, type ModuleMetadata } from '@nestjs/common';
import { ZampNotices } from './zamp-notices.js';
import { ZampRefunds, type ZampAccount } from './zamp-refunds.js';

/** Every configured account at Zamp with its adapters, which is what the apps ask for: there may be several accounts, or none. */
export class ZampAccounts {
  readonly refunds: readonly ZampRefunds[];
  readonly notices: readonly ZampNotices[];

  constructor(accounts: readonly ZampAccount[]) {
    this.refunds = accounts.map((account) => new ZampRefunds(account));
    this.notices = accounts.map((account) => new ZampNotices(account));
  }
}

export interface ZampModuleOptions extends Pick<ModuleMetadata, 'imports'>, Pick<FactoryProvider, 'inject'> {
  readonly useFactory: FactoryProvider<readonly ZampAccount[] | Promise<readonly ZampAccount[]>>['useFactory'];
}

@Module({})
export class ZampModule {
  /** `ZampModule.forRootAsync({ inject: [Settings], useFactory: (settings: Settings) => settings.zampAccounts })` */
  static forRootAsync({ imports = [], inject = [], useFactory }: ZampModuleOptions): DynamicModule {
    const accounts: FactoryProvider<ZampAccounts> = {
      provide: ZampAccounts,
      inject,
      useFactory: async (...args: unknown[]) => new ZampAccounts(await useFactory(...args)),
    };
    return { module: ZampModule, imports, providers: [accounts], exports: [ZampAccounts] };
  }
}
