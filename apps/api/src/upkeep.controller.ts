import { randomUUID } from 'node:crypto';
import { Controller, HttpCode, Inject, Logger, Param, Post, Req, Res } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import { Upkeep, type Answer, type Ordered } from '#application/upkeep';
import type { DeadLetter } from '#contracts/oversight';
import { DismissDeadLetter, ResumeOperations, type ResumedOperations } from '#contracts/sending';
import { Describe } from './openapi.js';
import { Refusal } from './problems.js';
import { bodyOf, idempotencyKey, isUuid, RedriveDeadLetter, type CallerRequest } from './requests.js';

const id = { id: 'The dead letter, by our id.' };

/** What a person on call does about parked operations and dead letters. */
@Controller('v1')
export class UpkeepController {
  private readonly logger = new Logger('upkeep');

  constructor(@Inject(Upkeep) private readonly upkeep: Upkeep) {}

  @ApiTags('Attention')
  @Post('attention/operations/resume')
  @HttpCode(200)
  @Describe({
    does: 'Take up parked operations, once what had parked them is mended',
    takes: 'ResumeOperations',
    idempotencyKey: 'optional',
    answers: [200, 'ResumedOperations', 'How many.'],
  })
  async resume(@Req() request: CallerRequest, @Res({ passthrough: true }) reply: FastifyReply): Promise<ResumedOperations> {
    const { provider = null, account = null } = bodyOf(ResumeOperations, request);
    return this.answer({ msg: 'operations resumed', provider, account }, request, reply, (by) =>
      this.upkeep.resume({ provider, account }, by),
    );
  }

  @ApiTags('Dead letters')
  @Post('dead-letters/:id/redrive')
  @HttpCode(200)
  @Describe({
    does: 'Hand a dead letter back to the road on which it came',
    params: id,
    idempotencyKey: 'optional',
    answers: [200, 'DeadLetter', 'It was read and decided; `end` says how. One that went before stays as it is.'],
    refuses: ['not_found', 'not_redrivable', 'not_json', 'unsupported_media_type', 'body_too_large'],
  })
  redrive(
    @Param('id') letterId: string,
    @Req() request: CallerRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<DeadLetter> {
    if (!isUuid(letterId)) throw new Refusal('not_found');
    bodyOf(RedriveDeadLetter, request, { id: letterId });
    return this.answer({ msg: 'dead letter redriven', deadLetter: letterId }, request, reply, (by) =>
      this.upkeep.redrive(letterId, by),
    );
  }

  @ApiTags('Dead letters')
  @Post('dead-letters/:id/dismiss')
  @HttpCode(200)
  @Describe({
    does: 'Take a dead letter off the list of what needs a person',
    params: id,
    takes: 'DismissDeadLetterBody',
    idempotencyKey: 'optional',
    answers: [200, 'DeadLetter', 'Nothing is done with it. One that was ended before stays as it is.'],
    refuses: ['not_found'],
  })
  dismiss(
    @Param('id') letterId: string,
    @Req() request: CallerRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<DeadLetter> {
    if (!isUuid(letterId)) throw new Refusal('not_found');
    const { reason } = bodyOf(DismissDeadLetter, request, { id: letterId });
    return this.answer({ msg: 'dead letter dismissed', deadLetter: letterId }, request, reply, (by) =>
      this.upkeep.dismiss(letterId, reason, by),
    );
  }

  private async answer<T extends object>(
    about: Readonly<Record<string, string | null>>,
    request: CallerRequest,
    reply: FastifyReply,
    carryOut: (by: Ordered) => Promise<Answer<T>>,
  ): Promise<T> {
    const by = { source: request.caller ?? '', key: idempotencyKey(request) ?? randomUUID() };
    const answer = await carryOut(by);
    if (!answer.ok) {
      const { code, detail } = answer.error;
      throw new Refusal(code, detail === undefined ? {} : { detail });
    }
    const { repeated, answer: shown } = answer.value;
    if (repeated) void reply.header('idempotent-replayed', 'true');
    else this.logger.log({ ...about, caller: by.source, key: by.key, requestId: request.id });
    return shown;
  }
}
