/* Commands over HTTP: one caller's request becomes one command, and concurrent ones share a batch, so a busy door pays one transaction for many. */
import { randomUUID } from 'node:crypto';
import { Inject, Injectable, Logger } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { Batcher, Failed, inParts } from '#application/batcher';
import { commandId } from '#application/names';
import { RefundCommands, type CommandAnswer, type ReceivedCommand } from '#application/refund-commands';
import type { RefundCommand, RefundCommandType } from '#contracts/refund-commands';
import type { Refund } from '#contracts/refund-events';
import { Refusal } from './problems.js';
import { idempotencyKey, traceparent, type CallerRequest } from './requests.js';

export interface HttpCommand {
  readonly account: string;
  readonly type: RefundCommandType;
  readonly body: RefundCommand;
}

@Injectable()
export class HttpCommands {
  private readonly logger = new Logger('commands');
  private readonly batcher: Batcher<ReceivedCommand, CommandAnswer>;

  constructor(@Inject(RefundCommands) commands: RefundCommands) {
    this.batcher = new Batcher(
      (batch) =>
        inParts<ReceivedCommand, CommandAnswer | Failed>(
          batch,
          (part) => commands.decide(part),
          (_, error) => Promise.resolve(new Failed(error)),
        ),
      { most: 200, atOnce: 2 },
    );
  }

  /** Decides a command and returns the refund, or throws the refusal; `reply` is marked when it was answered before. */
  async decide(command: HttpCommand, request: CallerRequest, reply: FastifyReply): Promise<Refund> {
    const { account, type, body } = command;
    const source = request.caller ?? '';
    const key = idempotencyKey(request) ?? randomUUID();
    const answer = await this.batcher.submit({
      uuid: commandId(account, 'http', source, key),
      door: 'http',
      correlationId: null,
      traceparent: traceparent(request),
      account,
      source,
      key,
      type,
      body,
    });
    if (answer.kind === 'buried') throw new Error('a command over HTTP is never set aside');
    const { repeated, refund } = answer;
    const code = answer.kind === 'refused' ? answer.code : undefined;
    this.logger.log({
      msg: `command ${answer.kind}`,
      type,
      refundId: refund?.id,
      code,
      repeated,
      key,
      caller: source,
      requestId: request.id,
    });
    if (repeated) void reply.header('idempotent-replayed', 'true');
    if (answer.kind === 'accepted') return answer.refund;
    const { detail } = answer;
    throw new Refusal(answer.code, { detail, ...(refund === null ? {} : { refundId: refund.id }) });
  }
}
