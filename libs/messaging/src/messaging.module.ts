import { setTimeout as sleep } from 'node:timers/promises';
import {
  type BeforeApplicationShutdown,
  type DynamicModule,
  type FactoryProvider,
  Inject,
  Logger,
  Module,
  type ModuleMetadata,
  type OnApplicationBootstrap,
} from '@nestjs/common';
import { EventLog, PartitionOffsets, TopicCursors } from '#application/event-log';
import { Wake } from '#application/wake';
import { delayOf } from '#messaging/backoff';
import { EventRelay, type EventRelayOptions } from '#messaging/event-relay';
import { KafkaBatchServer, type KafkaBatchOptions } from '#messaging/kafka-batch.server';
import type { KafkaConnection } from '#messaging/kafka-client';
import { ensureTopics, topicPlans } from '#messaging/kafka-topics';

export interface MessagingOptions {
  readonly connection: KafkaConnection;
  /** The name under which this cluster's offsets are stored. */
  readonly cluster: string;
  readonly groupId: string;
  /** Make topics that are missing, with 8 partitions each. Else it is said which are missing. */
  readonly createTopics: boolean;
  /** Topics of the event log to carry to Kafka; all that we write, as a rule. */
  readonly relay: readonly string[];
  readonly consumer?: Omit<KafkaBatchOptions, 'connection' | 'cluster' | 'groupId' | 'offsets'>;
  readonly relaying?: Omit<EventRelayOptions, 'connection' | 'topics'>;
}

export const MESSAGING_OPTIONS = Symbol('messaging-options');

type AsyncOptions = Pick<ModuleMetadata, 'imports'> & Pick<FactoryProvider<MessagingOptions>, 'inject' | 'useFactory'>;

/**
 * Kafka for a Nest application. `imports` must bring the ports: EventLog, TopicCursors, PartitionOffsets and Wake.
 *
 * ```ts
 * MessagingModule.forRootAsync({ imports: [PersistenceModule], inject: [Config], useFactory: (config: Config) => ({ … }) })
 * // main.ts, in this order: handlers must not run before the application is up
 * app.connectMicroservice({ strategy: app.get(KafkaBatchServer) }, { inheritAppConfig: true });
 * await app.listen(port);
 * await app.startAllMicroservices();
 * ```
 */
@Module({})
export class MessagingModule implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private readonly logger = new Logger(MessagingModule.name);
  private readonly stopping = new AbortController();

  constructor(
    @Inject(MESSAGING_OPTIONS) private readonly options: MessagingOptions,
    @Inject(EventRelay) private readonly relay: EventRelay,
  ) {}

  static forRootAsync({ imports = [], inject = [], useFactory }: AsyncOptions): DynamicModule {
    return {
      module: MessagingModule,
      imports,
      providers: [
        { provide: MESSAGING_OPTIONS, inject, useFactory },
        {
          provide: KafkaBatchServer,
          inject: [MESSAGING_OPTIONS, PartitionOffsets],
          useFactory: ({ connection, cluster, groupId, consumer }: MessagingOptions, offsets: PartitionOffsets) =>
            new KafkaBatchServer({ connection, cluster, groupId, offsets, ...consumer }),
        },
        {
          provide: EventRelay,
          inject: [MESSAGING_OPTIONS, EventLog, TopicCursors, Wake],
          useFactory: ({ connection, relay, relaying }: MessagingOptions, log: EventLog, cursors: TopicCursors, wake: Wake) =>
            new EventRelay(log, cursors, wake, { connection, topics: relay, ...relaying }),
        },
      ],
      exports: [KafkaBatchServer, EventRelay],
    };
  }

  /** Kafka may come later than we do: consumer and relay wait for it, each by itself. */
  onApplicationBootstrap(): void {
    void this.seeToTopics();
    this.relay.start();
  }

  /** Before the transports close and long before the database does: an event that is committed meanwhile goes out at the next start. */
  async beforeApplicationShutdown(): Promise<void> {
    this.stopping.abort();
    await this.relay.stop();
  }

  private async seeToTopics(): Promise<void> {
    const { connection, createTopics: create } = this.options;
    let told = '';
    for (let tries = 0; !this.stopping.signal.aborted; tries++) {
      try {
        return await ensureTopics(connection, this.logger, { plans: topicPlans, create });
      } catch (error) {
        const reason = Error.isError(error) ? error.message : String(error);
        if (reason !== told) this.logger.error(reason);
        told = reason;
        const delayMs = delayOf({ firstMs: 500, mostMs: 30_000 }, tries);
        await sleep(delayMs, undefined, { signal: this.stopping.signal }).catch(() => undefined);
      }
    }
  }
}
