import { Logger } from '@nestjs/common';
import { Unavailable } from '#application/errors';
import type { Wake, Work } from '#application/wake';

export interface LoopSettings {
  readonly name: string;
  /** Does what there is to do and says how much it was; it is called again at once until that is nothing. */
  readonly round: () => Promise<number>;
  /** What wakes the loop. */
  readonly on: Work | null;
  /** How soon it looks although nobody rang. */
  readonly pollMs: number;
}

/** Runs rounds until it is stopped. What fails is tried again, ever more slowly, and said once until it works again. */
export class Loop {
  private readonly logger = new Logger('Loop');
  private readonly ended: Promise<void>;
  private stopped = false;
  private rung = false;
  private wakeUp: () => void = () => undefined;
  private readonly silence: () => void;

  constructor(
    private readonly settings: LoopSettings,
    wake: Wake,
  ) {
    this.silence = settings.on === null ? () => undefined : wake.on(settings.on, () => this.ring());
    this.ended = this.run();
  }

  /** Ends after the round in hand. */
  async stop(): Promise<void> {
    this.stopped = true;
    this.silence();
    this.wakeUp();
    await this.ended;
  }

  /** There may be something to do. */
  ring(): void {
    this.rung = true;
    this.wakeUp();
  }

  private async run(): Promise<void> {
    for (let failures = 0; !this.stopped;) {
      this.rung = false;
      try {
        const done = await this.settings.round();
        if (failures > 0) this.logger.log(`${this.settings.name} goes on`);
        failures = 0;
        if (done === 0 && !this.rung) await this.rest(this.settings.pollMs);
      } catch (error) {
        if (failures === 0) this.tell(error);
        failures += 1;
        this.rung = false;
        await this.rest(Math.min(10_000, 250 * 2 ** failures));
      }
    }
  }

  private tell(error: unknown): void {
    const reason = Error.isError(error) ? error.message : String(error);
    if (error instanceof Unavailable) this.logger.warn(`${this.settings.name} waits: ${reason}`);
    else
      this.logger.error(
        `${this.settings.name} failed and is tried again: ${reason}`,
        Error.isError(error) ? error.stack : undefined,
      );
  }

  private async rest(ms: number): Promise<void> {
    if (this.stopped) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, ms);
    this.wakeUp = resolve;
    await promise;
    clearTimeout(timer);
  }
}
