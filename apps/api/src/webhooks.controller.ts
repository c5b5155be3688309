/*
 * Webhooks from the providers: verified on the bytes as they came, stored, answered; handled later, by the worker. Once we have answered
 * 200 the provider forgets, so nothing is answered before it is stored. One that is refused leaves a row with its digest and no more.
 */
import { Controller, HttpCode, Inject, Logger, Param, Post, Req } from '@nestjs/common';
import { ApiExcludeController } from '@nestjs/swagger';
import type { FastifyRequest } from 'fastify';
import { Batcher, Failed, inParts } from '#application/batcher';
import { asStored, Deliveries, type NewDelivery } from '#application/deliveries';
import { Providers } from '#application/providers';
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
    const raw = { body, headers, from: request.ip, receivedAt: await this.now() };
    const { delivery, refusal } = asStored(notices, raw);
    await this.batcher.submit(delivery);
    const { noticeId, type, digest } = delivery;
    const about = { account, provider, digest, requestId: request.id };
    if (refusal !== null) {
      this.logger.warn({ msg: 'webhook refused', why: refusal.code, ...about });
      throw new Refusal('webhook_refused', { detail: refusal.detail });
    }
    this.logger.log({ msg: 'webhook stored', noticeId, type, ...about });
    return stored;
  }

  /** By the clock that simulators are moved with, where there are some; a signature's age is told by it. */
  private async now(): Promise<Date> {
    return this.settings.movableClock ? this.views.now() : new Date();
  }
}
