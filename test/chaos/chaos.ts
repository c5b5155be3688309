/*
 * npm run chaos -- --seed 7 --minutes 10: real processes under faults, and a checker afterwards. Ends with 1 when an invariant is broken.
 *
 * Progress goes to stderr, the report to stdout; it and the clients' history are kept in .redress/chaos (`--folder`), and after a finding all
 * that was read. The seed decides what is done and when it begins; what the machine makes of it is not in its hand.
 */
import { mkdirSync } from 'node:fs';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { inOneLine, Obstacle, running } from '../../scripts/child.js';
import { crashes, story, tell, unmet } from './story.js';

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '7' },
    minutes: { type: 'string', default: '10' },
    'per-second': { type: 'string', default: '8' },
    folder: { type: 'string', default: '.redress/chaos' },
  },
});

const interrupted = Promise.withResolvers<never>();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
  process.on(signal, () => interrupted.reject(new Obstacle('stopped')));

let exitCode = 1;
const begun = Date.now();
try {
  const folder = resolve(values.folder);
  mkdirSync(folder, { recursive: true });
  const say = (what: string) => console.error(`${String(Math.round((Date.now() - begun) / 1_000)).padStart(5)} s  ${what}`);
  const settings = { seed: above0('seed'), ms: above0('minutes') * 60_000, perSecond: above0('per-second'), folder, say };
  const report = await Promise.race([interrupted.promise, story(settings)]);
  console.log(tell(report));
  const wrong = [...report.findings, ...unmet(report), ...crashes(report)];
  exitCode = wrong.length === 0 && report.stuck === null ? 0 : 1;
} catch (error) {
  console.error(inOneLine(error));
}
await Promise.all([...running].map((child) => child.stop(1_000)));
process.exit(exitCode);

function above0(name: 'seed' | 'minutes' | 'per-second'): number {
  const value = Number(values[name]);
  if (Number.isFinite(value) && value > 0) return value;
  throw new Obstacle(`--${name} should be a number above 0, not ${values[name]}`);
}
