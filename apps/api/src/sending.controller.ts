import { Controller, Get, Inject, Logger, Put, Req } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import { publicPause } from '#application/messages';
import { Upkeep } from '#application/upkeep';
import { SwitchSending, type Sending } from '#contracts/sending';
import { Views } from '#persistence/views';
import { Describe } from './openapi.js';
import { bodyOf, type CallerRequest } from './requests.js';

/** The switch that pauses what would move money. */
@ApiTags('Sending')
@Controller('v1/sending')
export class SendingController {
  private readonly logger = new Logger('sending');

  constructor(
    @Inject(Upkeep) private readonly upkeep: Upkeep,
    private readonly views: Views,
  ) {}

  @Get()
  @Describe({ does: 'Show what of sending is paused', answers: [200, 'Sending', 'Every pause that stands.'] })
  async show(): Promise<Sending> {
    return { paused: (await this.views.pauses()).map(publicPause) };
  }

  @Put()
  @Describe({
    does: 'Pause sending, or let it go on',
    takes: 'SwitchSending',
    answers: [
      200,
      'Sending',
      'Every pause that stands now. Once a pause is answered nothing new is begun; calls under way come to their end.',
    ],
  })
  async throw(@Req() request: CallerRequest): Promise<Sending> {
    const { provider = null, account = null, paused, reason } = bodyOf(SwitchSending, request);
    const by = request.caller ?? '';
    const { changed, pauses } = await this.upkeep.throwSwitch({ provider, account, paused, reason, by });
    const msg = `sending ${paused ? 'paused' : 'resumed'}`;
    if (changed) this.logger.warn({ msg, provider, account, by, requestId: request.id });
    return { paused: pauses.map(publicPause) };
  }
}
