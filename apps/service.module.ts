import { Module, type DynamicModule } from '@nestjs/common';
import { Providers } from '#application/providers';
import { PersistenceModule } from '#persistence/persistence.module';
import { StripeAccounts, StripeModule } from '#stripe/stripe.module';
import { ZampAccounts, ZampModule } from '#zamp/zamp.module';
import { Settings } from './settings.js';

/** What api and worker both stand on: settings, stores, and the configured accounts at each provider. The one place that names concrete adapters. */
@Module({})
export class ServiceModule {
  static forRoot(settings: Settings, connections: number): DynamicModule {
    return {
      module: ServiceModule,
      global: true,
      imports: [
        PersistenceModule.forRootAsync({ useFactory: () => ({ url: settings.databaseUrl, connections }) }),
        StripeModule.forRootAsync({ useFactory: () => settings.stripeAccounts }),
        ZampModule.forRootAsync({ useFactory: () => settings.zampAccounts }),
      ],
      providers: [
        { provide: Settings, useValue: settings },
        {
          provide: Providers,
          inject: [StripeAccounts, ZampAccounts],
          useFactory: (stripe: StripeAccounts, zamp: ZampAccounts) =>
            new Providers(
              [...stripe.refunds, ...zamp.refunds],
              [...stripe.notices, ...zamp.notices],
              stripe.refunds,
              stripe.disputes,
            ),
        },
      ],
      exports: [Settings, Providers],
    };
  }
}
