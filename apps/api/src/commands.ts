/* Commands that come in over HTTP. Those that arrive together are decided together, in one batch, so a busy door pays one transaction for many. */
import { randomUUID } from 'node:crypto';
import { Inject, Injectable, Logger } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { Batcher, Failed, inParts } from '#application/batcher';
import { DisputeCommands, type DisputeCommandAnswer, type ReceivedDisputeCommand } from '#application/dispute-commands';
import { commandId } from '#application/names';
import { RefundCommands, type CommandAnswer, type CommandHead, type ReceivedCommand } from '#application/refund-commands';
import type { DisputeCommand, DisputeCommandType } from '#contracts/dispute-commands';
import type { Dispute } from '#contracts/dispute-events';
import type { RefundCommand, RefundCommandType } from '#contracts/refund-commands';
import type { Refund } from '#contracts/refund-events';
import { Refusal } from './problems.js';
import { idempotencyKey, traceparent, type CallerRequest } from './requests.js';

export interface HttpCommand {
  readonly account: string;
  readonly type: RefundCommandType;
  readonly body: RefundCommand;
}

export interface HttpDisputeCommand {
  readonly account: string;
  readonly type: DisputeCommandType;
  readonly body: DisputeCommand;
}

@Injectable()
export class HttpCommands {
  private readonly logger = new Logger('commands');
  private readonly refunds: Batcher<ReceivedCommand, CommandAnswer>;
  private readonly disputes: Batcher<ReceivedDisputeCommand, DisputeCommandAnswer>;

  constructor(@Inject(RefundCommands) refunds: RefundCommands, @Inject(DisputeCommands) disputes: DisputeCommands) {
    this.refunds = batched((part) => refunds.decide(part));
    this.disputes = batched((part) => disputes.decide(part));
  }

  /** Decides a command and returns the refund, or throws the refusal; `reply` is marked when it was answered before. */
  async decide({ account, type, body }: HttpCommand, request: CallerRequest, reply: FastifyReply): Promise<Refund> {
    const head = headOf(account, request);
    const answer = await this.refunds.submit({ ...head, type, body });
    if (answer.kind === 'buried') throw neverBuried();
    this.tell({ ...answer, refundId: answer.refund?.id }, type, head, request, reply);
    if (answer.kind === 'accepted') return answer.refund;
    const { code, detail, refund } = answer;
    throw new Refusal(code, { detail, ...(refund === null ? {} : { refundId: refund.id }) });
  }

  /** The same for a command about a dispute. */
  async decideOnDispute(command: HttpDisputeCommand, request: CallerRequest, reply: FastifyReply): Promise<Dispute> {
    const { account, type, body } = command;
    const head = headOf(account, request);
    const answer = await this.disputes.submit({ ...head, type, body });
    if (answer.kind === 'buried') throw neverBuried();
    this.tell({ ...answer, disputeId: answer.dispute?.id }, type, head, request, reply);
    if (answer.kind === 'accepted') return answer.dispute;
    const { code, detail, dispute } = answer;
    throw new Refusal(code, { detail, ...(dispute === null ? {} : { disputeId: dispute.id }) });
  }

  private tell(answer: Told, type: string, { key, source }: CommandHead, request: CallerRequest, reply: FastifyReply): void {
    const { kind, code, repeated, refundId, disputeId } = answer;
    const about = disputeId === undefined ? { refundId } : { disputeId };
    this.logger.log({ msg: `command ${kind}`, type, ...about, code, repeated, key, caller: source, requestId: request.id });
    if (repeated) void reply.header('idempotent-replayed', 'true');
  }
}

interface Told {
  readonly kind: 'accepted' | 'refused';
  readonly code?: string;
  readonly repeated: boolean;
  readonly refundId?: string | undefined;
  readonly disputeId?: string | undefined;
}

function batched<C, A extends object>(decide: (part: readonly C[]) => Promise<A[]>): Batcher<C, A> {
  return new Batcher((batch) => inParts<C, A | Failed>(batch, decide, (_, error) => Promise.resolve(new Failed(error))), {
    most: 200,
    atOnce: 2,
  });
}

function headOf(account: string, request: CallerRequest): CommandHead {
  const source = request.caller ?? '';
  const key = idempotencyKey(request) ?? randomUUID();
  const uuid = commandId(account, 'http', source, key);
  return { uuid, door: 'http', correlationId: null, traceparent: traceparent(request), account, source, key };
}

const neverBuried = () => new Error('a command over HTTP is never set aside');
