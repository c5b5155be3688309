/*
 * Webhooks from the providers: verified on the bytes as they came, stored, answered; handled later, by the worker. Once we have answered
 * 200 the provider forgets, so nothing is answered before it is stored. One that is refused leaves a row with its digest and no more.
 */
import { createHash } from 'node:crypto';
import { Controller, HttpCode, Inject, Logger, Param, Post, Req } from '@nestjs/common';
import { ApiExcludeController } from '@nestjs/swagger';
import type { FastifyRequest } from 'fastify';
import { Batcher, Failed, inParts } from '#application/batcher';
import { Deliveries, type NewDelivery } from '#application/deliveries';
import { Providers } from '#application/providers';
import type { NoticeRefusal, ReceivedNotice } from '#domain/ports/provider-notices';
import { err, type Result } from '#domain/result';
import { Views } from '#persistence/views';
import { Settings } from '../../settings.js';
import { Open } from './admin-key.js';
import { Refusal } from './problems.js';

const stored = { received: true } as const;

@Open()
@ApiExcludeController()
@Controller('webhooks')
export class WebhooksController {
  private readonly logger = new Logger('webhooks');
  private readonly batcher: Batcher<NewDelivery, typeof stored>;

  constructor(
    @Inject(Providers) private readonly providers: Providers,
    deliveries: Deliveries,
    private readonly views: Views,
    private readonly settings: Settings,
  ) {
    const store = async (part: readonly NewDelivery[]) => {
      await deliveries.store(part);
      return part.map(() => stored);
    };
    this.batcher = new Batcher(
      (batch) => inParts<NewDelivery, typeof stored | Failed>(batch, store, (_, error) => Promise.resolve(new Failed(error))),
      { most: 200, atOnce: 2 },
    );
  }

  @Post('stripe')
  @HttpCode(200)
  stripe(@Req() request: FastifyRequest) {
    return this.receive('stripe', 'default', request);
  }

  @Post('stripe/:account')
  @HttpCode(200)
  stripeAccount(@Param('account') account: string, @Req() request: FastifyRequest) {
    return this.receive('stripe', account, request);
  }

  @Post('zamp')
  @HttpCode(200)
  zamp(@Req() request: FastifyRequest) {
    return this.receive('zamp', 'default', request);
  }

  @Post('zamp/:account')
  @HttpCode(200)
  zampAccount(@Param('account') account: string, @Req() request: FastifyRequest) {
    return this.receive('zamp', account, request);
  }

  private async receive(provider: string, account: string, request: FastifyRequest): Promise<typeof stored> {
    const notices = this.providers.noticesOf(account, provider);
    if (notices === undefined) throw new Refusal('not_found');
    const body = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0);
    const headers = Object.fromEntries(Object.entries(request.headers).map(([name, value]) => [name, [value].flat()[0]]));
    const digest = createHash('sha256').update(body).digest('hex');
    const from = request.ip;
    const received = keepable(notices.receive({ body, headers, from, receivedAt: await this.now() }));
    const about = { account, provider, digest, requestId: request.id };
    if (!received.ok) {
      const { code, detail } = received.error;
      const told = `${code}: ${detail}`;
      await this.batcher.submit({
        account,
        provider,
        noticeId: null,
        type: null,
        body: null,
        digest,
        from,
        disposition: 'rejected',
        detail: told,
      });
      this.logger.warn({ msg: 'webhook refused', why: code, ...about });
      throw new Refusal('webhook_refused', { detail });
    }
    const { noticeId, type } = received.value;
    await this.batcher.submit({ account, provider, noticeId, type, body, digest, from, disposition: null, detail: null });
    this.logger.log({ msg: 'webhook stored', noticeId, type, ...about });
    return stored;
  }

  /** By the clock that simulators are moved with, where there are some; a signature's age is told by it. */
  private async now(): Promise<Date> {
    return this.settings.movableClock ? this.views.now() : new Date();
  }
}

/** PostgreSQL's text has no NUL characters: what is named with one would be sent again and again. */
function keepable(received: Result<ReceivedNotice, NoticeRefusal>): Result<ReceivedNotice, NoticeRefusal> {
  const isNamed = !received.ok || !`${received.value.noticeId}${received.value.type}`.includes('\0');
  return isNamed ? received : err({ code: 'unreadable', detail: 'There is a NUL character in its id or its type.' });
}
