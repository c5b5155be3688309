/*
 * How api and worker live as processes: settings first, then the start, a line when ready, and on a signal an orderly end within a
 * deadline. A start that fails says why in one line and ends with 1.
 */
import { ConsoleLogger, type LoggerService, type LogLevel } from '@nestjs/common';
import { readSettings, type LogLevelName, type Settings, WrongSettings } from './settings.js';

/** A started process. */
export interface Running {
  /** What is said beside "ready": the port, for instance. */
  readonly ready: Readonly<Record<string, unknown>>;
  /** Stops taking, finishes what is in hand, closes what is open. */
  close(): Promise<void>;
}

// The worker lets provider calls come back for 15 s and the last batches of Kafka for 10 s; below the 30 s that most platforms allow.
const closeMs = 28_000;

/** Runs one of our processes until a signal; a second signal ends it at once. */
export async function runProcess(
  name: string,
  start: (settings: Settings, logger: LoggerService) => Promise<Running>,
): Promise<void> {
  let logger = new JsonLines('info');
  let running: Running | undefined;
  let ending = false;
  const end = async (signal: string) => {
    if (ending || running === undefined) process.exit(ending ? 1 : 0);
    ending = true;
    logger.log({ msg: `${name} stopping`, signal });
    const late = setTimeout(() => {
      logger.fatal({ msg: `${name} did not stop in ${closeMs / 1000} s` });
      process.exit(1);
    }, closeMs);
    await running.close();
    clearTimeout(late);
    logger.log({ msg: `${name} stopped` });
    process.exit(0);
  };
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      end(signal).catch((error: unknown) => {
        logger.fatal({ msg: `${name} did not stop cleanly`, why: messageOf(error) });
        process.exit(1);
      });
    });
  }
  try {
    const settings = readSettings(process.env);
    logger = new JsonLines(settings.logLevel);
    running = await start(settings, logger);
    logger.log({ msg: `${name} ready`, ...running.ready });
  } catch (error) {
    if (error instanceof WrongSettings) for (const line of error.lines) console.error(line);
    else console.error(`${name} did not start: ${whyNotStarted(error)}`);
    process.exit(1);
  }
}

function whyNotStarted(error: unknown): string {
  const { code, port } = error as { code?: unknown; port?: unknown };
  if (code === 'EADDRINUSE') return `port ${String(port)} is in use: set PORT to another one, or to 0 for a free one`;
  return messageOf(error);
}

/** Some errors of the network have no message of their own but those inside them. */
function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const inner = error instanceof AggregateError ? error.errors.map(messageOf).join(', ') : '';
  return error.message || inner || error.name;
}

/** What Nest says while it puts itself together; of use only to whoever looks for a fault there. */
const construction = new Set([
  'InstanceLoader',
  'RoutesResolver',
  'RouterExplorer',
  'NestFactory',
  'NestApplication',
  'NestMicroservice',
]);

const waiting = { stdout: '', stderr: '' };

/** Lines of one turn of the event loop are written together: a write each would cost a webhook as much as its signature. */
function write(to: keyof typeof waiting, line: string): void {
  if (waiting.stdout === '' && waiting.stderr === '') setImmediate(flush);
  waiting[to] += `${line}\n`;
}

function flush(): void {
  for (const to of ['stdout', 'stderr'] as const) {
    const lines = waiting[to];
    waiting[to] = '';
    if (lines !== '') process[to].write(lines);
  }
}

const nestLevels: Readonly<Record<LogLevelName, LogLevel>> = {
  fatal: 'fatal',
  error: 'error',
  warn: 'warn',
  info: 'log',
  debug: 'debug',
  trace: 'verbose',
};

const levels = Object.fromEntries(Object.entries(nestLevels).map(([name, nest]) => [nest, name]));

/** One JSON object a line: `logger.log({ msg: 'refund accepted', refundId })`. Nobody writes bodies or secrets into it. */
export class JsonLines extends ConsoleLogger {
  constructor(level: LogLevelName) {
    const names = Object.keys(nestLevels) as LogLevelName[];
    super({ json: true, colors: false, logLevels: names.slice(0, names.indexOf(level) + 1).map((name) => nestLevels[name]) });
    if (!process.listeners('exit').includes(flush)) process.on('exit', flush);
  }

  override log(message: unknown, ...rest: unknown[]): void {
    const context = rest.at(-1);
    if (typeof context === 'string' && construction.has(context)) this.debug(message, ...rest);
    else super.log(message, ...rest);
  }

  override error(message: unknown, ...rest: unknown[]): void {
    const context = rest.at(-1);
    // Thrown to us as well, and said once there.
    if (context === 'NestApplication' || context === 'ExceptionHandler') this.debug(message, ...rest);
    else super.error(message, ...rest);
  }

  protected override printAsJson(...[message, options]: Parameters<ConsoleLogger['printAsJson']>): void {
    write(options.writeStreamType ?? 'stdout', this.stringifyJsonLogObject(this.getJsonLogObject(message, options)));
  }

  protected override getJsonLogObject(
    ...[message, options]: Parameters<ConsoleLogger['getJsonLogObject']>
  ): ReturnType<ConsoleLogger['getJsonLogObject']> {
    const level = levels[options.logLevel] ?? 'info';
    const said = typeof message === 'object' && message !== null ? message : { msg: String(message) };
    const line = {
      time: new Date().toISOString(),
      level,
      ...(options.context === undefined || options.context === '' ? {} : { from: options.context }),
      ...said,
      ...(options.errorStack === undefined ? {} : { stack: options.errorStack }),
    };
    return line as unknown as ReturnType<ConsoleLogger['getJsonLogObject']>;
  }
}
