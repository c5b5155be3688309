import { Controller, Get, HttpCode, Param, Post, Req } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import { Deliveries } from '#application/deliveries';
import { publicDispute, publicPause, publicRefund } from '#application/messages';
import { publicDeadLetter } from '#application/upkeep';
import type { Provider } from '#contracts/refund-commands';
import type { AttentionItem, AttentionPage, DeadLetterPage, WebhookDelivery, WebhookDeliveryPage } from '#contracts/oversight';
import { Views, type Attended } from '#persistence/views';
import type { DeliveryRow } from '#persistence/rows';
import { noCursor, readCursor, readOrdinal, writeCursor } from './cursors.js';
import { Describe } from './openapi.js';
import { Refusal } from './problems.js';
import {
  AccountQuery,
  bodyOf,
  isUuid,
  PageQuery,
  queryOf,
  ReplayWebhook,
  WebhooksQuery,
  type CallerRequest,
} from './requests.js';

/** What came in from providers and what needs a person. */
@Controller('v1')
export class OversightController {
  constructor(
    private readonly views: Views,
    private readonly deliveries: Deliveries,
  ) {}

  @ApiTags('Attention')
  @Get('attention')
  @Describe({
    does: 'List what needs a person, newest first',
    query: PageQuery,
    answers: [200, 'AttentionPage', 'A page of it.'],
  })
  async attention(@Req() request: CallerRequest): Promise<AttentionPage> {
    const { limit, cursor } = queryOf(PageQuery, request);
    const found = await this.views.attention(readMoment(cursor), limit + 1);
    const data = found.slice(0, limit);
    const last = found.length > limit ? data.at(-1) : undefined;
    return {
      data: data.map(attentionItem),
      nextCursor: last === undefined ? null : writeCursor('attention', `${last.at.getTime()}_${last.id}`),
    };
  }

  @ApiTags('Webhooks')
  @Get('webhooks')
  @Describe({
    does: 'List webhooks received, newest first',
    query: WebhooksQuery,
    answers: [200, 'WebhookDeliveryPage', 'A page of them.'],
  })
  async webhooks(@Req() request: CallerRequest): Promise<WebhookDeliveryPage> {
    const { limit, cursor, ...filter } = queryOf(WebhooksQuery, request);
    const { data, next } = await this.views.deliveryPage(filter, readOrdinal('webhooks', 'cursor', cursor), limit);
    return { data: data.map(delivery), nextCursor: next === null ? null : writeCursor('webhooks', next) };
  }

  @ApiTags('Webhooks')
  @Get('webhooks/:id')
  @Describe({
    does: 'Show a webhook with its body',
    params: { id: 'The delivery, by our id.' },
    query: AccountQuery,
    answers: [200, 'WebhookDelivery', 'The delivery.'],
    refuses: ['not_found'],
  })
  async webhook(@Param('id') id: string, @Req() request: CallerRequest): Promise<WebhookDelivery> {
    const row = await this.kept(id, request);
    return { ...delivery(row), body: row.body === null ? null : row.body.toString('utf8') };
  }

  @ApiTags('Webhooks')
  @Post('webhooks/:id/replay')
  @HttpCode(202)
  @Describe({
    does: 'Have a webhook handled once more',
    params: { id: 'The delivery, by our id.' },
    query: AccountQuery,
    answers: [202, 'WebhookDelivery', 'It waits again, and gets its disposition anew.'],
    refuses: ['not_found', 'not_replayable', 'not_json', 'validation_failed', 'unsupported_media_type', 'body_too_large'],
  })
  async replay(@Param('id') id: string, @Req() request: CallerRequest): Promise<WebhookDelivery> {
    await this.kept(id, request);
    bodyOf(ReplayWebhook, request, { id });
    if (!(await this.deliveries.replay(id))) throw new Refusal('not_replayable');
    return delivery(await this.kept(id, request));
  }

  /** A caller who names another account does not mean this delivery. */
  private async kept(id: string, request: CallerRequest): Promise<DeliveryRow> {
    const { account } = queryOf(AccountQuery, request);
    const row = isUuid(id) ? await this.views.delivery(id) : null;
    if (row === null || (account !== undefined && account !== row.account)) throw new Refusal('not_found');
    return row;
  }

  @ApiTags('Dead letters')
  @Get('dead-letters')
  @Describe({ does: 'List dead letters, newest first', query: PageQuery, answers: [200, 'DeadLetterPage', 'A page of them.'] })
  async deadLetters(@Req() request: CallerRequest): Promise<DeadLetterPage> {
    const { limit, cursor } = queryOf(PageQuery, request);
    const { data, next } = await this.views.deadLetterPage(readOrdinal('dead-letters', 'cursor', cursor), limit);
    return { data: data.map(publicDeadLetter), nextCursor: next === null ? null : writeCursor('dead-letters', next) };
  }
}

function readMoment(cursor: string | undefined): { at: Date; id: string } | null {
  const place = readCursor('attention', 'cursor', cursor);
  if (place === null) return null;
  const [time = '', id = ''] = place.split('_');
  if (!/^\d{1,15}$/.test(time) || !isUuid(id)) throw noCursor('cursor');
  return { at: new Date(Number(time)), id };
}

function attentionItem(attended: Attended): AttentionItem {
  const at = attended.at.toISOString();
  switch (attended.kind) {
    case 'refund': {
      const { refund, payment } = attended.refund;
      return { kind: 'refund', at, why: refund.attention ?? 'settled just now', refund: publicRefund(refund, payment) };
    }
    case 'dispute': {
      const { dispute, payment } = attended.dispute;
      return { kind: 'dispute', at, why: dispute.attention ?? 'settled just now', dispute: publicDispute(dispute, payment) };
    }
    case 'operation': {
      const { id, account, provider, kind, target, refundId, disputeId, tries, result } = attended.operation;
      const operation = { id, account, provider: provider as Provider, operation: kind, target, refundId, disputeId, tries };
      return { kind: 'operation', at, why: result ?? 'parked', operation };
    }
    case 'dead_letter':
      return { kind: 'dead_letter', at, why: attended.deadLetter.code, deadLetter: publicDeadLetter(attended.deadLetter) };
    case 'pause':
      return { kind: 'pause', at, why: attended.pause.reason, pause: publicPause(attended.pause) };
    case 'partition': {
      const { topic, partition, reason } = attended.halt;
      return { kind: 'partition', at, why: reason, partition: { topic, partition } };
    }
  }
}

function delivery(row: Omit<DeliveryRow, 'body'>): WebhookDelivery {
  const {
    id,
    account,
    provider,
    noticeId,
    type,
    disposition,
    detail,
    refundId,
    disputeId,
    digest,
    sentFrom,
    receivedAt,
    handledAt,
  } = row;
  return {
    id,
    account,
    provider: provider as Provider,
    noticeId,
    type,
    disposition,
    detail,
    refundId,
    disputeId,
    digest,
    from: sentFrom,
    receivedAt: receivedAt.toISOString(),
    handledAt: handledAt === null ? null : handledAt.toISOString(),
  };
}
