import { NestFactory } from '@nestjs/core';
import type { LoggerService } from '@nestjs/common';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { SwaggerModule } from '@nestjs/swagger';
import type { Running } from '../../process.js';
import type { Settings } from '../../settings.js';
import { ApiModule } from './api.module.js';
import { httpAdapter } from './http.js';
import { openApiDocument } from './openapi.js';
import { readVersion } from './version.js';

/** Starts the api on its port; it answers when the promise resolves. */
export async function startApi(settings: Settings, logger: LoggerService | false): Promise<Running & { readonly port: number }> {
  const app = await NestFactory.create<NestFastifyApplication>(ApiModule.forRoot(settings), httpAdapter(), {
    logger,
    bodyParser: false,
    abortOnError: false,
  });
  try {
    // Built when it is first asked for: a start does not wait for it.
    const document = () => openApiDocument(app, readVersion());
    SwaggerModule.setup('docs', app, document, { jsonDocumentUrl: 'openapi.json', raw: ['json'] });
    await app.listen(settings.port, '0.0.0.0');
  } catch (error) {
    await app.close();
    throw error;
  }
  const port = Number(new URL(await app.getUrl()).port);
  return { port, ready: { port }, close: () => app.close() };
}
