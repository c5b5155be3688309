/*
 * The plain peer: Nest on Express with `rawBody`, Stripe's own check of the signature, a look whether the event was there before, and
 * TypeORM's `save`. docs.nestjs.com/faq/raw-body, docs.stripe.com/webhooks
 */
import type { IncomingMessage } from 'node:http';
import { BadRequestException, Controller, HttpCode, Module, Post, Req, type RawBodyRequest } from '@nestjs/common';
import { NestFactory, type AbstractHttpAdapter } from '@nestjs/core';
import { InjectRepository, TypeOrmModule } from '@nestjs/typeorm';
import Stripe from 'stripe';
import { Column, CreateDateColumn, Entity, PrimaryColumn, Repository } from 'typeorm';
import { peer } from '../peers.js';

@Entity('webhook')
class Webhook {
  @PrimaryColumn() id!: string;
  @Column() type!: string;
  @Column('bytea') body!: Buffer;
  @CreateDateColumn({ type: 'timestamptz', name: 'received_at' }) receivedAt!: Date;
}

@Controller('webhooks')
class WebhooksController {
  private readonly stripe = new Stripe('sk_test_benchmark');
  private readonly secret = process.env['STRIPE_WEBHOOK_SECRET'] ?? '';

  constructor(@InjectRepository(Webhook) private readonly webhooks: Repository<Webhook>) {}

  @Post('stripe')
  @HttpCode(200)
  async receive(@Req() { rawBody: body, headers }: RawBodyRequest<IncomingMessage>): Promise<object> {
    if (body === undefined) throw new BadRequestException();
    const { id, type } = this.verified(body, String(headers['stripe-signature']));
    if (!(await this.webhooks.existsBy({ id }))) await this.webhooks.save(this.webhooks.create({ id, type, body }));
    return { received: true };
  }

  private verified(body: Buffer, signature: string): Stripe.Event {
    try {
      return this.stripe.webhooks.constructEvent(body, signature, this.secret);
    } catch (error) {
      throw new BadRequestException(String(error));
    }
  }
}

@Module({
  imports: [
    TypeOrmModule.forRoot({
      type: 'postgres',
      url: process.env['DATABASE_URL'] ?? '',
      entities: [Webhook],
      synchronize: true,
      extra: { max: 16 },
    }),
    TypeOrmModule.forFeature([Webhook]),
  ],
  controllers: [WebhooksController],
})
class NaiveModule {}

const { ExpressAdapter } = await peer<{ readonly ExpressAdapter: new () => AbstractHttpAdapter }>('@nestjs/platform-express');
const app = await NestFactory.create(NaiveModule, new ExpressAdapter(), { rawBody: true });
app.enableShutdownHooks();
await app.listen(Number(process.env['PORT']), '127.0.0.1');
