import { Controller, Get, HttpCode, Inject, Param, Post, Req, Res } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import { publicRefund, waitsFor } from '#application/messages';
import { previewRefund } from '#application/preview';
import { Providers } from '#application/providers';
import type { Pause } from '#application/sending';
import { RequestRefund, refundCommands, type RefundCommand, type RefundCommandType } from '#contracts/refund-commands';
import type { Refund, RefundPage, RefundPreview } from '#contracts/refund-events';
import type { RefundHistory } from '#contracts/oversight';
import { Views, type RefundView } from '#persistence/views';
import { Settings } from '../../settings.js';
import { HttpCommands } from './commands.js';
import { readOrdinal, writeCursor } from './cursors.js';
import { storyOf } from './history.js';
import { anyBody, Describe } from './openapi.js';
import { Refusal } from './problems.js';
import { AccountQuery, bodyOf, idempotencyKey, noQuery, queryOf, RefundsQuery, timeIn, type CallerRequest } from './requests.js';

const id = { id: 'The refund, by our id.' };
const orders = ['refund_not_found'] as const;

@ApiTags('Refunds')
@Controller('v1/refunds')
export class RefundsController {
  constructor(
    private readonly commands: HttpCommands,
    private readonly views: Views,
    @Inject(Providers) private readonly providers: Providers,
    private readonly settings: Settings,
  ) {}

  @Post()
  @HttpCode(202)
  @Describe({
    does: 'Ask for a refund',
    takes: 'RequestRefund',
    idempotencyKey: 'required',
    answers: [202, 'Refund', 'Taken on. Events, or the refund itself, tell what becomes of it.'],
    refuses: [
      'idempotency_key_missing',
      'unknown_account',
      'reference_already_used',
      'amount_not_representable',
      'payment_not_found',
      'payment_not_captured',
      'payment_not_refundable',
      'payment_disputed',
      'amount_exceeds_available',
      'nothing_left_to_refund',
      'currency_mismatch',
      'expected_available_mismatch',
    ] as const,
  })
  async request(@Req() request: CallerRequest, @Res({ passthrough: true }) reply: FastifyReply): Promise<Refund> {
    noQuery(request);
    if (idempotencyKey(request) === undefined) throw new Refusal('idempotency_key_missing');
    const body = bodyOf(RequestRefund, request);
    const refund = await this.commands.decide({ account: body.account, type: 'redress.RequestRefund.v1', body }, request, reply);
    void reply.header('location', `/v1/refunds/${refund.id}`);
    return refund;
  }

  @Post('preview')
  @HttpCode(200)
  @Describe({
    does: 'See what would become of a refund, without any effect',
    takes: 'RequestRefund',
    answers: [200, 'RefundPreview', 'What would happen, by what is known now.'],
  })
  async preview(@Req() request: CallerRequest): Promise<RefundPreview> {
    noQuery(request);
    const body = bodyOf(RequestRefund, request);
    const [now, payment, referenceHolder] = await Promise.all([
      this.views.now(),
      this.views.payment(body.account, body.provider, body.paymentId),
      body.reference === undefined ? null : this.views.refundWithReference(body.account, body.reference),
    ]);
    return previewRefund(body, { now, payment, referenceHolder }, this.providers, this.settings.admission);
  }

  @Get()
  @Describe({ does: 'List refunds, newest first', query: RefundsQuery, answers: [200, 'RefundPage', 'A page of refunds.'] })
  async list(@Req() request: CallerRequest): Promise<RefundPage> {
    const { limit, cursor, createdAfter, createdBefore, ...filters } = queryOf(RefundsQuery, request);
    const after = timeIn('createdAfter', createdAfter);
    const before = timeIn('createdBefore', createdBefore);
    const filter = {
      ...filters,
      ...(after === undefined ? {} : { createdAfter: after }),
      ...(before === undefined ? {} : { createdBefore: before }),
    };
    const [{ data, next }, pauses] = await Promise.all([
      this.views.refundPage(filter, readOrdinal('refunds', 'cursor', cursor), limit),
      this.views.pauses(),
    ]);
    return {
      data: data.map((view) => shownRefund(view, pauses)),
      nextCursor: next === null ? null : writeCursor('refunds', next),
    };
  }

  @Get(':id')
  @Describe({ does: 'Show a refund', params: id, query: AccountQuery, answers: [200, 'Refund', 'The refund.'], refuses: orders })
  async one(@Param('id') refundId: string, @Req() request: CallerRequest): Promise<Refund> {
    return shownRefund(await this.kept(refundId, request), await this.views.pauses());
  }

  @Get(':id/history')
  @Describe({
    does: 'Tell the story of a refund: commands, decisions, calls, webhooks, events',
    params: id,
    query: AccountQuery,
    answers: [200, 'RefundHistory', 'The story, in order of time.'],
    refuses: orders,
  })
  async history(@Param('id') refundId: string, @Req() request: CallerRequest): Promise<RefundHistory> {
    const view = await this.kept(refundId, request);
    return { data: storyOf(view, await this.views.history(refundId)), nextCursor: null };
  }

  @Post(':id/approve')
  @HttpCode(200)
  @Describe({
    does: 'Agree to a refund that awaits approval',
    params: id,
    query: AccountQuery,
    idempotencyKey: 'optional',
    answers: [200, 'Refund', 'The refund as it is now.'],
    refuses: [...orders, 'not_awaiting_approval', 'own_approval', ...anyBody],
  })
  approve(@Param('id') refundId: string, @Req() request: CallerRequest, @Res({ passthrough: true }) reply: FastifyReply) {
    return this.order('redress.ApproveRefund.v1', refundId, request, reply);
  }

  @Post(':id/reject')
  @HttpCode(200)
  @Describe({
    does: 'Turn down a refund that awaits approval',
    params: id,
    query: AccountQuery,
    takes: 'RejectRefundBody',
    idempotencyKey: 'optional',
    answers: [200, 'Refund', 'The refund as it is now.'],
    refuses: [...orders, 'not_awaiting_approval'],
  })
  reject(@Param('id') refundId: string, @Req() request: CallerRequest, @Res({ passthrough: true }) reply: FastifyReply) {
    return this.order('redress.RejectRefund.v1', refundId, request, reply);
  }

  @Post(':id/cancel')
  @HttpCode(200)
  @Describe({
    does: 'Take back a refund that has not been sent',
    params: id,
    query: AccountQuery,
    idempotencyKey: 'optional',
    answers: [200, 'Refund', 'The refund as it is now.'],
    refuses: [...orders, 'not_cancelable', ...anyBody],
  })
  cancel(@Param('id') refundId: string, @Req() request: CallerRequest, @Res({ passthrough: true }) reply: FastifyReply) {
    return this.order('redress.CancelRefund.v1', refundId, request, reply);
  }

  @Post(':id/retry')
  @HttpCode(200)
  @Describe({
    does: 'Try a refund that ended without effect once more, as a new attempt',
    params: id,
    query: AccountQuery,
    takes: 'RetryRefundBody',
    idempotencyKey: 'optional',
    answers: [200, 'Refund', 'The refund as it is now.'],
    refuses: [...orders, 'not_retryable', 'amount_exceeds_available'],
  })
  retry(@Param('id') refundId: string, @Req() request: CallerRequest, @Res({ passthrough: true }) reply: FastifyReply) {
    return this.order('redress.RetryRefund.v1', refundId, request, reply);
  }

  @Post(':id/sync')
  @HttpCode(200)
  @Describe({
    does: 'Have a refund read at its provider now',
    params: id,
    query: AccountQuery,
    idempotencyKey: 'optional',
    answers: [200, 'Refund', 'The refund as it is now; what the reading shows comes later.'],
    refuses: [...orders, ...anyBody],
  })
  sync(@Param('id') refundId: string, @Req() request: CallerRequest, @Res({ passthrough: true }) reply: FastifyReply) {
    return this.order('redress.SyncRefund.v1', refundId, request, reply);
  }

  @Post(':id/resolve')
  @HttpCode(200)
  @Describe({
    does: 'Say what became of a refund whose outcome nobody could tell',
    params: id,
    query: AccountQuery,
    takes: 'ResolveRefundBody',
    idempotencyKey: 'optional',
    answers: [200, 'Refund', 'The refund as it is now.'],
    refuses: [...orders, 'not_resolvable'],
  })
  resolve(@Param('id') refundId: string, @Req() request: CallerRequest, @Res({ passthrough: true }) reply: FastifyReply) {
    return this.order('redress.ResolveRefund.v1', refundId, request, reply);
  }

  @Post(':id/acknowledge')
  @HttpCode(200)
  @Describe({
    does: 'Say that what a refund asks attention for has been seen to',
    params: id,
    query: AccountQuery,
    takes: 'AcknowledgeRefundBody',
    idempotencyKey: 'optional',
    answers: [200, 'Refund', 'The refund as it is now.'],
    refuses: [...orders, 'not_acknowledgeable'],
  })
  acknowledge(@Param('id') refundId: string, @Req() request: CallerRequest, @Res({ passthrough: true }) reply: FastifyReply) {
    return this.order('redress.AcknowledgeRefund.v1', refundId, request, reply);
  }

  /** An order about a refund that exists; its account is the refund's own. */
  private async order(type: RefundCommandType, refundId: string, request: CallerRequest, reply: FastifyReply): Promise<Refund> {
    const { refund } = await this.kept(refundId, request);
    const body = bodyOf<RefundCommand>(refundCommands[type], request, { refundId });
    return this.commands.decide({ account: refund.account, type, body }, request, reply);
  }

  /** A caller who names another account does not mean this refund. */
  private async kept(refundId: string, request: CallerRequest): Promise<RefundView> {
    const { account } = queryOf(AccountQuery, request);
    const view = await this.views.refund(refundId);
    if (view === null || (account !== undefined && account !== view.refund.account)) throw new Refusal('refund_not_found');
    return view;
  }
}

/** A refund with what it waits for. */
export function shownRefund({ refund, payment }: RefundView, pauses: readonly Pause[]): Refund {
  return publicRefund(refund, payment, waitsFor(refund, pauses));
}
