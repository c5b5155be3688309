/* A Nest application on Fastify with one route and nothing else: what any service of this kind costs when idle. */
import { Controller, Get, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter } from '@nestjs/platform-fastify';

@Controller()
class EmptyController {
  @Get()
  answer(): string {
    return 'ok';
  }
}

@Module({ controllers: [EmptyController] })
class BareModule {}

const app = await NestFactory.create(BareModule, new FastifyAdapter());
app.enableShutdownHooks();
await app.listen(Number(process.env['PORT']), '127.0.0.1');
