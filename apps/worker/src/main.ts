import { NestFactory } from '@nestjs/core';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { KafkaBatchServer } from '#messaging/kafka-batch.server';
import { runProcess } from '../../process.js';
import { WorkerModule } from './worker.module.js';

await runProcess('worker', async (settings, logger) => {
  const app = await NestFactory.create(WorkerModule.forRoot(settings), new FastifyAdapter(), { logger, abortOnError: false });
  if (settings.kafka === null) {
    logger.warn('no KAFKA_BROKERS: commands come over HTTP alone, and events wait in the log');
    await app.init();
  } else {
    const strategy = app.get(KafkaBatchServer);
    // kafkajs does not come back from this by itself; whoever runs us starts us again.
    strategy.on('failed', () => void app.close().finally(() => process.exit(1)));
    app.connectMicroservice({ strategy }, { inheritAppConfig: true });
    await app.init();
    await app.startAllMicroservices();
  }
  return { ready: { kafka: settings.kafka !== null }, close: () => app.close() };
});
