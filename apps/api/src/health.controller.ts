import { Controller, Get, Header, Inject, type BeforeApplicationShutdown } from '@nestjs/common';
import { ApiExcludeEndpoint, ApiTags } from '@nestjs/swagger';
import { codes, type Code } from '#contracts/codes';
import { asyncApiDocument } from '#contracts/schemas';
import type { Health } from '#contracts/oversight';
import { Views } from '#persistence/views';
import { Open } from './admin-key.js';
import { Metrics } from './metrics.js';
import { Describe } from './openapi.js';
import { Refusal, statusOf } from './problems.js';
import { VERSION } from './version.js';

const ok: Health = { status: 'ok' };

/** A database that keeps a connection but says nothing is as good as away; whoever asks has less patience than a statement. */
const patienceMs = 2_000;

/** What machines ask: whether we live, whether we can serve, and how we are. Open, since they give nothing of anybody's away. */
@Open()
@ApiTags('Health')
@Controller()
export class HealthController implements BeforeApplicationShutdown {
  private stopping = false;
  private looking: Promise<boolean> | undefined;

  constructor(
    private readonly views: Views,
    private readonly metrics: Metrics,
    @Inject(VERSION) private readonly version: string,
  ) {}

  beforeApplicationShutdown(): void {
    this.stopping = true;
  }

  @Get('health/live')
  @Describe({ does: 'Whether the process lives', answers: [200, 'Health', 'It does.'], open: true })
  live(): Health {
    return ok;
  }

  @Get('health/ready')
  @Describe({
    does: 'Whether the process can serve',
    answers: [200, 'Health', 'The database answers and is migrated.'],
    refuses: ['unavailable'],
    open: true,
  })
  async ready(): Promise<Health> {
    if (this.stopping) throw new Refusal('unavailable', { detail: 'It is stopping.' });
    const answer = await this.withPatience(this.look());
    if (answer === undefined) throw new Refusal('unavailable', { detail: 'The database does not answer.' });
    if (!answer) throw new Refusal('unavailable', { detail: 'The database is not migrated to this version.' });
    return ok;
  }

  /** All who ask wait for one look, so that asking again and again takes no more than one connection. */
  private look(): Promise<boolean> {
    this.looking ??= this.views.isReady().finally(() => (this.looking = undefined));
    return this.looking;
  }

  private async withPatience<T>(answer: Promise<T>): Promise<T | undefined> {
    const { promise: tooLong, resolve } = Promise.withResolvers<undefined>();
    const timer = setTimeout(resolve, patienceMs, undefined);
    return Promise.race([answer, tooLong]).finally(() => clearTimeout(timer));
  }

  @Get('metrics')
  @Describe({ does: 'Metrics, as Prometheus reads them', answers: [200, 'metrics', 'Text.'], media: 'text/plain', open: true })
  @Header('content-type', 'text/plain; version=0.0.4; charset=utf-8')
  scrape(): Promise<string> {
    return this.metrics.scrape();
  }

  /** Where the `type` of a problem leads. */
  @Get('docs/problems')
  @ApiExcludeEndpoint()
  @Header('content-type', 'text/html; charset=utf-8')
  problems(): string {
    const rows = Object.entries(statusOf).map(
      ([code, status]) => `<tr id="${code}"><td><code>${code}</code><td>${status}<td>${codes[code as Code]}`,
    );
    return `<!doctype html><title>Problems of Redress</title><h1>Problems</h1><table><tr><th>code<th>status<th>meaning${rows.join('')}</table>`;
  }

  @Get('asyncapi.json')
  @ApiExcludeEndpoint()
  asyncApi(): object {
    return asyncApiDocument(this.version);
  }
}
