import { Logger, Module, type DynamicModule } from '@nestjs/common';
import { Book } from '#application/book';
import { PartitionOffsets } from '#application/event-log';
import { Providers } from '#application/providers';
import { RestoreWatch } from '#application/restore-watch';
import { KafkaWitness, type WitnessOptions } from '#messaging/kafka-witness';

const logger = new Logger('Restores');
const log = {
  restored: (reason: string) => {
    logger.error({
      msg: 'sending is paused until all refunds were listed anew; docs/runbooks/restored-database.md',
      why: reason,
    });
  },
  failed: (what: string, ids: object, error: unknown) => {
    logger.warn({ msg: what, ...ids, why: Error.isError(error) ? error.message : String(error) });
  },
};

/** Watches for a database that is older than it was, by what Kafka remembers. */
@Module({})
export class RestoreModule {
  static over(options: Omit<WitnessOptions, 'offsets'>): DynamicModule {
    return {
      module: RestoreModule,
      providers: [
        {
          provide: RestoreWatch,
          inject: [PartitionOffsets, Book, Providers],
          useFactory: (offsets: PartitionOffsets, book: Book, providers: Providers) =>
            new RestoreWatch(new KafkaWitness({ ...options, offsets }), book, providers, log),
        },
      ],
      exports: [RestoreWatch],
    };
  }
}
