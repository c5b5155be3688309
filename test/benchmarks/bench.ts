/*
 * npm run bench [-- NAME ...] [--json] [--write]: some benchmarks or all, beside their peers in the same run, on a real PostgreSQL and a real
 * Kafka of their own.
 *
 * Progress goes to stderr, the result to stdout; --write keeps it in docs/performance/ and puts it into docs/performance.md. Ends with 1 when
 * the books were wrong after a round or a target was missed.
 */
import { parseArgs } from 'node:util';
import { inOneLine, Obstacle, running } from '../../scripts/child.js';
import { isMet, type Result, tell } from './figures.js';
import { hot } from './hot.js';
import { idle } from './idle.js';
import { intake } from './intake.js';
import { operations } from './operations.js';
import { rateLimits } from './rate-limits.js';
import { recovery } from './recovery.js';
import { relay } from './relay.js';
import { keep, writeDocument } from './report.js';
import { Stage } from './stage.js';
import { startUp } from './start-up.js';
import { webhooks } from './webhooks.js';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    json: { type: 'boolean', default: false },
    write: { type: 'boolean', default: false },
    pairs: { type: 'string' },
    commands: { type: 'string' },
    seconds: { type: 'string' },
  },
});

const benchmarks: Readonly<Record<string, (stage: Stage) => Promise<Result>>> = {
  intake: (stage) => intake(stage, { pairs: whole('pairs', 5), commands: whole('commands', 200_000) }),
  hot: (stage) => hot(stage, { pairs: whole('pairs', 5), commands: whole('commands', 20_000) }),
  webhooks: (stage) => webhooks(stage, { pairs: whole('pairs', 5), deliveries: whole('commands', 20_000) }),
  relay: (stage) => relay(stage, { pairs: whole('pairs', 5), events: whole('commands', 200_000) }),
  operations: (stage) => operations(stage, { pairs: whole('pairs', 5), operations: whole('commands', 10_000) }),
  'rate-limits': (stage) => rateLimits(stage, { pairs: whole('pairs', 5), seconds: whole('seconds', 30) }),
  recovery: (stage) => recovery(stage, { pairs: whole('pairs', 5), operations: whole('commands', 6_000) }),
  'start-up': (stage) => startUp(stage, { pairs: whole('pairs', 5) }),
  idle: (stage) => idle(stage, { seconds: whole('seconds', 60) }),
};

const interrupted = Promise.withResolvers<never>();
interrupted.promise.catch(() => undefined); // While all is still starting nobody listens.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
  process.on(signal, () => interrupted.reject(new Obstacle('stopped')));

let exitCode = 1;
try {
  const names = positionals.length === 0 ? Object.keys(benchmarks) : positionals;
  const unknown = names.find((name) => benchmarks[name] === undefined);
  if (unknown !== undefined) throw new Obstacle(`there is no benchmark "${unknown}": ${Object.keys(benchmarks).join(', ')}`);
  const results: Result[] = [];
  for (const name of names) {
    const result = await run(name);
    results.push(result);
    if (values.write) await keep(result);
  }
  if (values.write) await writeDocument(Object.keys(benchmarks));
  if (values.json) {
    const [first] = results;
    const object =
      results.length === 1 ? first : { benchmarks: Object.fromEntries(results.map((result) => [result.name, result])) };
    console.log(JSON.stringify(object, null, 2));
  } else console.log(results.map(tell).join('\n\n'));
  exitCode = results.every(isMet) ? 0 : 1;
} catch (error) {
  console.error(inOneLine(error));
}
process.exit(exitCode);

/** On a stage of its own: what one benchmark leaves in a topic would be work for the next. */
async function run(name: string): Promise<Result> {
  console.error('Starting PostgreSQL and Kafka ...');
  const stage = await Stage.start();
  try {
    const result = await Promise.race([interrupted.promise, benchmarks[name]?.(stage)]);
    if (result === undefined) throw new Error(`benchmark ${name} has no result`);
    return result;
  } finally {
    await Promise.all([...running].map((child) => child.stop(1_000)));
    await stage.stop();
  }
}

function whole(name: 'pairs' | 'commands' | 'seconds', otherwise: number): number {
  const value = Number(values[name] ?? otherwise);
  if (Number.isInteger(value) && value > 0) return value;
  throw new Obstacle(`--${name} should be a whole number above 0, not ${values[name]}`);
}
