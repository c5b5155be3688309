import { Logger, Module, type DynamicModule } from '@nestjs/common';
import { Book } from '#application/book';
import { Deliveries, HandleDeliveries } from '#application/deliveries';
import { DisputeCommands } from '#application/dispute-commands';
import { DisputeWatch } from '#application/dispute-watch';
import { EvidenceFiles } from '#application/evidence-files';
import { OperationQueue } from '#application/operations';
import { Providers } from '#application/providers';
import { RecordAnswers } from '#application/record-answers';
import { RestoreWatch } from '#application/restore-watch';
import { RefundCommands } from '#application/refund-commands';
import { RunOperations } from '#application/run-operations';
import type { Pause } from '#application/sending';
import { WatchDeadlines } from '#application/watch-deadlines';
import { deadLetterTopic, topics } from '#contracts/topics';
import { MessagingModule } from '#messaging/messaging.module';
import { ServiceModule } from '../../service.module.js';
import { Settings } from '../../settings.js';
import { CommandsConsumer } from './commands.consumer.js';
import { RestoreModule } from './restore.module.js';
import { Work } from './work.js';

/** Everything that a topic of ours is relayed from. */
export const relayed = [
  topics.refundEvents,
  topics.refundOutcomes,
  topics.disputeEvents,
  topics.disputeOutcomes,
  topics.refundability,
  deadLetterTopic(topics.refundCommands),
  deadLetterTopic(topics.disputeCommands),
];

/** The lease is well above the longest call, so that a call has ended before its operation can be taken over. */
const running = { atOnce: 128, leaseMs: 30_000 };

@Module({})
export class WorkerModule {
  static forRoot(settings: Settings): DynamicModule {
    const { bounds } = settings;
    return {
      module: WorkerModule,
      imports: [ServiceModule.forRoot(settings, 16), ...kafka(settings)],
      controllers: settings.kafka === null ? [] : [CommandsConsumer],
      providers: [
        Work,
        {
          provide: RefundCommands,
          inject: [Book, Providers, Settings],
          useFactory: (book: Book, providers: Providers, { admission }: Settings) =>
            new RefundCommands(book, providers, admission),
        },
        { provide: DisputeCommands, inject: [Book], useFactory: (book: Book) => new DisputeCommands(book) },
        {
          provide: HandleDeliveries,
          inject: [Deliveries, Book, Providers],
          useFactory: (deliveries: Deliveries, book: Book, providers: Providers) =>
            new HandleDeliveries(deliveries, book, providers, logOf('Webhooks')),
        },
        {
          provide: RunOperations,
          inject: [OperationQueue, Book, Providers, EvidenceFiles, Settings],
          useFactory: (
            queue: OperationQueue,
            book: Book,
            providers: Providers,
            files: EvidenceFiles,
            { callMs, disputes }: Settings,
          ) => {
            const recorder = new RecordAnswers(book, providers, disputes.terms);
            const settings = { ...running, callMs, bounds };
            return new RunOperations(queue, book, providers, files, recorder, settings, logOf('Operations'));
          },
        },
        {
          provide: WatchDeadlines,
          inject: [DisputeWatch, Book, Settings],
          useFactory: (watch: DisputeWatch, book: Book, { disputes }: Settings) =>
            new WatchDeadlines(watch, book, disputes.terms, disputes.policy, logOf('Deadlines')),
        },
      ],
    };
  }
}

/** Without brokers Redress lives on HTTP alone: the log grows, and is relayed once there are some. */
function kafka(settings: Settings): DynamicModule[] {
  if (settings.kafka === null) return [];
  const group = { connection: settings.kafka, cluster: 'default', groupId: 'redress' };
  const restores = RestoreModule.over({ ...group, topics: [topics.refundCommands, topics.disputeCommands] });
  const useFactory = (watch: RestoreWatch) => ({
    ...group,
    createTopics: true,
    relay: relayed,
    consumer: { beforeReading: () => watch.check() },
  });
  return [restores, MessagingModule.forRootAsync({ imports: [restores], inject: [RestoreWatch], useFactory })];
}

function logOf(name: string) {
  const logger = new Logger(name);
  return {
    failed(what: string, ids: Readonly<Record<string, string | null>>, error: unknown) {
      const why = Error.isError(error) ? error.message : String(error);
      logger.error({ msg: what, ...ids, why }, Error.isError(error) ? error.stack : undefined);
    },
    tripped({ account, provider, reason }: Pause) {
      logger.error({ msg: 'the breaker has paused sending: a person must look', account, provider, why: reason });
    },
  };
}
