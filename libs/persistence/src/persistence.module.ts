import {
  Inject,
  Module,
  type DynamicModule,
  type FactoryProvider,
  type ModuleMetadata,
  type OnApplicationBootstrap,
  type OnApplicationShutdown,
} from '@nestjs/common';
import { getDataSourceToken, TypeOrmModule } from '@nestjs/typeorm';
import { DataSource } from 'typeorm';
import { Book } from '#application/book';
import { Deliveries } from '#application/deliveries';
import { DisputeWatch } from '#application/dispute-watch';
import { EventLog, PartitionOffsets, TopicCursors } from '#application/event-log';
import { EvidenceFiles } from '#application/evidence-files';
import { OperationQueue } from '#application/operations';
import { Wake } from '#application/wake';
import { dataSource, meaningOf, type DatabaseSettings } from '#persistence/database';
import { PostgresBook } from '#persistence/postgres-book';
import { PostgresDeliveries } from '#persistence/postgres-deliveries';
import { PostgresDisputeWatch, PostgresEvidenceFiles } from '#persistence/postgres-disputes';
import { PostgresCursors, PostgresLog, PostgresOffsets } from '#persistence/postgres-log';
import { PostgresOperations } from '#persistence/postgres-operations';
import { PostgresWake } from '#persistence/postgres-wake';
import { Views } from '#persistence/views';

export interface PersistenceOptions extends Pick<ModuleMetadata, 'imports'> {
  readonly inject?: FactoryProvider['inject'];
  readonly useFactory: (...injected: never[]) => DatabaseSettings;
}

const SETTINGS = Symbol('database settings');

/** The application's stores over PostgreSQL. The tables must be there: `npm run migrate` makes them. */
@Module({})
export class PersistenceModule implements OnApplicationBootstrap, OnApplicationShutdown {
  constructor(@Inject(Wake) private readonly wake: PostgresWake) {}

  /** Not waited for: while the database is away, wakes come late and nothing else. */
  onApplicationBootstrap(): void {
    void this.wake.start();
  }

  async onApplicationShutdown(): Promise<void> {
    await this.wake.stop();
  }

  static forRootAsync({ imports = [], inject = [], useFactory }: PersistenceOptions): DynamicModule {
    const settings: FactoryProvider = { provide: SETTINGS, inject, useFactory: useFactory as FactoryProvider['useFactory'] };
    const source = getDataSourceToken();
    const over = (provide: FactoryProvider['provide'], make: (from: DataSource, wake: Wake) => object): FactoryProvider => ({
      provide,
      inject: [source, Wake],
      useFactory: make,
    });
    const stores = [
      { provide: Wake, inject: [SETTINGS], useFactory: ({ url }: DatabaseSettings) => new PostgresWake(url) },
      over(Book, (from, wake) => new PostgresBook(from, wake)),
      over(OperationQueue, (from) => new PostgresOperations(from)),
      over(EventLog, (from) => new PostgresLog(from)),
      over(TopicCursors, (from) => new PostgresCursors(from)),
      over(PartitionOffsets, (from) => new PostgresOffsets(from)),
      over(Deliveries, (from, wake) => new PostgresDeliveries(from, wake)),
      over(EvidenceFiles, (from) => new PostgresEvidenceFiles(from)),
      over(DisputeWatch, (from) => new PostgresDisputeWatch(from)),
      over(Views, (from) => new Views(from)),
    ];
    return {
      module: PersistenceModule,
      global: true,
      imports: [
        ...imports,
        TypeOrmModule.forRootAsync({
          imports,
          inject,
          useFactory: (...injected: unknown[]) =>
            dataSource((useFactory as (...args: unknown[]) => DatabaseSettings)(...injected)).options,
          dataSourceFactory: async (options) => {
            if (options === undefined) throw new Error('the database is not configured');
            return new DataSource(options).initialize().catch((error: unknown) => {
              throw meaningOf(error);
            });
          },
        }),
      ],
      providers: [settings, ...stores],
      exports: stores.map(({ provide }) => provide),
    };
  }
}
