import { Module, type DynamicModule } from '@nestjs/common';
import { APP_FILTER, APP_GUARD } from '@nestjs/core';
import { Book } from '#application/book';
import { DisputeCommands } from '#application/dispute-commands';
import { EvidenceDesk } from '#application/evidence-desk';
import { EventLog } from '#application/event-log';
import { Providers } from '#application/providers';
import { OperationQueue } from '#application/operations';
import { RefundCommands } from '#application/refund-commands';
import { Upkeep } from '#application/upkeep';
import { Wake } from '#application/wake';
import { ServiceModule } from '../../service.module.js';
import { Settings } from '../../settings.js';
import { AdminKey, AdminKeyGuard, keptAdminKey } from './admin-key.js';
import { HttpCommands } from './commands.js';
import { ControlController } from './control.controller.js';
import { DisputesController } from './disputes.controller.js';
import { EventsController } from './events.controller.js';
import { EvidenceController } from './evidence.controller.js';
import { Feed, type StreamTimes } from './feed.js';
import { HealthController } from './health.controller.js';
import { Metrics } from './metrics.js';
import { OversightController } from './oversight.controller.js';
import { ProblemFilter } from './problems.js';
import { PaymentsController } from './payments.controller.js';
import { RefundsController } from './refunds.controller.js';
import { readVersion, VERSION } from './version.js';
import { SendingController } from './sending.controller.js';
import { UpkeepController } from './upkeep.controller.js';
import { WebhooksController } from './webhooks.controller.js';

/** Two batches of commands, two of webhooks, and some for those who look. */
const connections = 12;

const streamTimes: StreamTimes = { pollMs: 5_000, heartbeatMs: 15_000, patienceMs: 60_000 };

/** The HTTP door: commands, what people and consumers read, and the providers' webhooks. */
@Module({})
export class ApiModule {
  static forRoot(settings: Settings): DynamicModule {
    return {
      module: ApiModule,
      imports: [ServiceModule.forRoot(settings, connections)],
      controllers: [
        RefundsController,
        PaymentsController,
        DisputesController,
        EvidenceController,
        EventsController,
        OversightController,
        SendingController,
        UpkeepController,
        WebhooksController,
        HealthController,
        ...(settings.movableClock ? [ControlController] : []),
      ],
      providers: [
        { provide: VERSION, useFactory: readVersion },
        { provide: AdminKey, useFactory: () => new AdminKey(settings.adminKey ?? keptAdminKey(settings.dir)) },
        {
          provide: RefundCommands,
          inject: [Book, Providers],
          useFactory: (book: Book, providers: Providers) => new RefundCommands(book, providers, settings.admission),
        },
        {
          provide: Upkeep,
          inject: [Book, OperationQueue, RefundCommands, DisputeCommands],
          useFactory: (book: Book, queue: OperationQueue, refunds: RefundCommands, disputes: DisputeCommands) =>
            new Upkeep(book, queue, refunds, disputes),
        },
        { provide: DisputeCommands, inject: [Book], useFactory: (book: Book) => new DisputeCommands(book) },
        {
          provide: EvidenceDesk,
          inject: [Book, Providers],
          useFactory: (book: Book, providers: Providers) => new EvidenceDesk(book, providers),
        },
        { provide: Feed, inject: [EventLog, Wake], useFactory: (log: EventLog, wake: Wake) => new Feed(log, wake, streamTimes) },
        HttpCommands,
        Metrics,
        { provide: APP_GUARD, useClass: AdminKeyGuard },
        { provide: APP_FILTER, useClass: ProblemFilter },
      ],
    };
  }
}
