/*
 * The plain peer: what most people would write with Nest for this. Its own Kafka transport, a handler per message, a validated body, and
 * TypeORM's `save` for each entity in a transaction, on the same tables. It makes the same checks. It neither seals nor relays events.
 * (Express would serve its HTTP; commands from Kafka never pass there.)
 */
import { Module, ValidationPipe } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Transport, type MicroserviceOptions } from '@nestjs/microservices';
import { TypeOrmModule } from '@nestjs/typeorm';
import { entities } from './entities.js';
import { RefundsController, RefundsService } from './refunds.js';

@Module({
  imports: [TypeOrmModule.forRoot({ type: 'postgres', url: process.env['DATABASE_URL'] ?? '', entities, extra: { max: 16 } })],
  controllers: [RefundsController],
  providers: [RefundsService],
})
class NaiveModule {}

const app = await NestFactory.createMicroservice<MicroserviceOptions>(NaiveModule, {
  transport: Transport.KAFKA,
  options: {
    client: { clientId: 'naive', brokers: (process.env['KAFKA_BROKERS'] ?? '').split(',') },
    consumer: { groupId: process.env['GROUP'] ?? 'naive' },
    subscribe: { fromBeginning: true },
    // One after another is the default, and several times slower.
    run: { partitionsConsumedConcurrently: Number(process.env['PARTITIONS_AT_ONCE'] ?? 8) },
  },
});
app.useGlobalPipes(new ValidationPipe({ transform: true }));
app.enableShutdownHooks();
await app.listen();
