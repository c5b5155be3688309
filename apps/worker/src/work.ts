import { setTimeout as sleep } from 'node:timers/promises';
import { Injectable, Logger, Optional, type BeforeApplicationShutdown, type OnApplicationBootstrap } from '@nestjs/common';
import { Book } from '#application/book';
import { HandleDeliveries } from '#application/deliveries';
import { EventLog } from '#application/event-log';
import { RestoreWatch } from '#application/restore-watch';
import { RunOperations } from '#application/run-operations';
import { Providers } from '#application/providers';
import { beginSweeps } from '#application/sweeps';
import { WatchDeadlines } from '#application/watch-deadlines';
import { Wake } from '#application/wake';
import { Loop } from './loop.js';

const drainMs = 15_000;
/** How long Kafka is asked at the start, before anything is sent, whether the database is an older copy. */
const longestLookMs = 15_000;

/** Everything the worker does by itself: it seals the log, handles webhooks, and calls providers. Kafka has its own module. */
@Injectable()
export class Work implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private readonly logger = new Logger(Work.name);
  private loops: Loop[] = [];
  private renewing: Loop | undefined;

  constructor(
    private readonly wake: Wake,
    private readonly log: EventLog,
    private readonly deliveries: HandleDeliveries,
    private readonly operations: RunOperations,
    private readonly deadlines: WatchDeadlines,
    private readonly book: Book,
    private readonly providers: Providers,
    @Optional() private readonly restores: RestoreWatch | null,
  ) {}

  onApplicationBootstrap(): void {
    const seal = async () => {
      const sealed = await this.log.seal(2_000);
      if (sealed > 0) this.wake.ring('sealed');
      return sealed;
    };
    const run = async () => {
      await this.restores?.checked(longestLookMs);
      return this.operations.round();
    };
    const operations = new Loop({ name: 'running provider operations', round: run, on: 'operations', pollMs: 500 }, this.wake);
    this.operations.onRoom = () => operations.ring();
    this.loops = [
      new Loop({ name: 'sealing the log', round: seal, on: 'unsealed', pollMs: 1_000 }, this.wake),
      new Loop(
        { name: 'handling webhooks', round: () => this.deliveries.round(200), on: 'deliveries', pollMs: 2_000 },
        this.wake,
      ),
      operations,
      new Loop({ name: 'watching deadlines', round: () => this.deadlines.round(100), on: null, pollMs: 2_000 }, this.wake),
    ];
    // Another worker may begin them at the same moment; whoever comes second finds them there.
    let begun = false;
    const begin = async () => {
      if (!begun) await beginSweeps(this.book, this.providers);
      begun = true;
      return 0;
    };
    this.loops.push(new Loop({ name: 'beginning sweeps', round: begin, on: null, pollMs: 3_600_000 }, this.wake));
    const renew = () => this.operations.renew().then(() => 0);
    this.renewing = new Loop({ name: 'renewing leases', round: renew, on: null, pollMs: 10_000 }, this.wake);
  }

  /** Takes nothing new, lets the calls under way come back, and leaves the rest to whoever takes over its lease. */
  async beforeApplicationShutdown(): Promise<void> {
    const [sealing, ...others] = this.loops;
    await Promise.all(others.map((loop) => loop.stop()));
    for (let waited = 0; this.operations.busy > 0 && waited < drainMs; waited += 50) await sleep(50);
    if (this.operations.busy > 0) {
      this.logger.warn(`${this.operations.busy} provider calls did not come back in time; they are taken over after their lease`);
    }
    await this.renewing?.stop();
    await sealing?.stop();
  }
}
