import { Controller, Get, HttpCode, Param, Post, Req } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import { Deliveries } from '#application/deliveries';
import { publicRefund } from '#application/messages';
import type { Code } from '#contracts/codes';
import type { Provider } from '#contracts/refund-commands';
import type {
  AttentionItem,
  AttentionPage,
  DeadLetter,
  DeadLetterPage,
  WebhookDelivery,
  WebhookDeliveryPage,
} from '#contracts/oversight';
import { Views, type Attended } from '#persistence/views';
import type { DeadLetterRow, DeliveryRow } from '#persistence/rows';
import { noCursor, readCursor, readOrdinal, writeCursor } from './cursors.js';
import { Describe } from './openapi.js';
import { Refusal } from './problems.js';
import { PageQuery, queryOf, WebhooksQuery, type CallerRequest } from './requests.js';

const isUuid = (text: string) => /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(text);

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
    answers: [200, 'WebhookDelivery', 'The delivery.'],
    refuses: ['not_found'],
  })
  async webhook(@Param('id') id: string): Promise<WebhookDelivery> {
    const row = isUuid(id) ? await this.views.delivery(id) : null;
    if (row === null) throw new Refusal('not_found');
    return { ...delivery(row), body: row.body === null ? null : row.body.toString('utf8') };
  }

  @ApiTags('Webhooks')
  @Post('webhooks/:id/replay')
  @HttpCode(202)
  @Describe({
    does: 'Have a webhook handled once more',
    params: { id: 'The delivery, by our id.' },
    answers: [202, 'WebhookDelivery', 'It waits again, and gets its disposition anew.'],
    refuses: ['not_found', 'not_replayable'],
  })
  async replay(@Param('id') id: string): Promise<WebhookDelivery> {
    const replayed = isUuid(id) && (await this.deliveries.replay(id));
    const row = isUuid(id) ? await this.views.delivery(id) : null;
    if (row === null) throw new Refusal('not_found');
    if (!replayed) throw new Refusal('not_replayable');
    return delivery(row);
  }

  @ApiTags('Dead letters')
  @Get('dead-letters')
  @Describe({ does: 'List dead letters, newest first', query: PageQuery, answers: [200, 'DeadLetterPage', 'A page of them.'] })
  async deadLetters(@Req() request: CallerRequest): Promise<DeadLetterPage> {
    const { limit, cursor } = queryOf(PageQuery, request);
    const { data, next } = await this.views.deadLetterPage(readOrdinal('dead-letters', 'cursor', cursor), limit);
    return { data: data.map(deadLetter), nextCursor: next === null ? null : writeCursor('dead-letters', next) };
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
    case 'operation': {
      const { id, account, provider, kind, target, refundId, tries, result } = attended.operation;
      const operation = { id, account, provider: provider as Provider, operation: kind, target, refundId, tries };
      return { kind: 'operation', at, why: result ?? 'parked', operation };
    }
    case 'dead_letter':
      return { kind: 'dead_letter', at, why: attended.deadLetter.code, deadLetter: deadLetter(attended.deadLetter) };
    case 'partition': {
      const { topic, partition, reason } = attended.halt;
      return { kind: 'partition', at, why: reason, partition: { topic, partition } };
    }
  }
}

function delivery(row: Omit<DeliveryRow, 'body'>): WebhookDelivery {
  const { id, account, provider, noticeId, type, disposition, detail, refundId, digest, sentFrom, receivedAt, handledAt } = row;
  return {
    id,
    account,
    provider: provider as Provider,
    noticeId,
    type,
    disposition,
    detail,
    refundId,
    digest,
    from: sentFrom,
    receivedAt: receivedAt.toISOString(),
    handledAt: handledAt === null ? null : handledAt.toISOString(),
  };
}

function deadLetter({ id, topic, partition, offset, code, detail, at }: DeadLetterRow): DeadLetter {
  return { id, topic, partition, offset: Number(offset), code: code as Code, detail, at: at.toISOString() };
}
