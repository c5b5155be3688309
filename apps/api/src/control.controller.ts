import { Controller, HttpCode, Post, Req } from '@nestjs/common';
import { ApiExcludeController } from '@nestjs/swagger';
import { Wake } from '#application/wake';
import { Message, Whole } from '#contracts/fields';
import { Views } from '#persistence/views';
import { bodyOf, type CallerRequest } from './requests.js';

/** The body of POST /control/clock. */
@Message('How far the clock goes ahead.')
export class AdvanceClock {
  @Whole({ min: 0, max: 315_576_000, of: 'seconds', about: 'Up to ten years; never back.', example: 3600 })
  declare readonly advanceSeconds: number;
}

/** Only there with MOVABLE_CLOCK: simulators and service are moved together. */
@ApiExcludeController()
@Controller('control')
export class ControlController {
  constructor(
    private readonly views: Views,
    private readonly wake: Wake,
  ) {}

  @Post('clock')
  @HttpCode(200)
  async clock(@Req() request: CallerRequest): Promise<{ now: string }> {
    const { advanceSeconds } = bodyOf(AdvanceClock, request);
    const now = await this.views.advanceClock(advanceSeconds);
    // What was to happen later may be due now.
    for (const work of ['operations', 'deliveries', 'unsealed', 'sealed'] as const) this.wake.ring(work);
    return { now: now.toISOString() };
  }
}
