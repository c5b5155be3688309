/*
 * npm run museum [-- --mutant NAME --quick --write]: puts each mutant into a copy of the service and sees that it is found, two at a time.
 * One that survives, or does not fit the code any more, fails the run. `--quick` does the incidents, as far as tests in memory find them; `--write`
 * puts what was seen into kills.json and docs/reliability.md.
 */
import { chmodSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { startKafka } from '../../scripts/kafka.js';
import { makeTemplate, startPostgres } from '../../scripts/postgres.js';
import { mutants } from './exhibits.js';
import { mutated, printOf, type Mutant } from './mutant.js';
import { keepKills, type Kill } from './kill-table.js';
import { Workshop, type Verdict } from './workshop.js';

const { values } = parseArgs({
  options: { mutant: { type: 'string', multiple: true }, quick: { type: 'boolean' }, write: { type: 'boolean' } },
});
const wanted = mutants
  .filter(({ name }) => values.mutant?.includes(name) ?? true)
  .filter(({ needs, brings }) => values.quick !== true || (needs === undefined && typeof brings === 'number'));
const folder = mkdtempSync(join(tmpdir(), 'redress-museum-'));
chmodSync(folder, 0o755); // Root's PostgreSQL runs as another user.
const stops: (() => Promise<void>)[] = [];
process.on('SIGINT', () => process.exit(130));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));

let isWell = false;
try {
  isWell = await showAll();
} catch (error) {
  console.error(error);
}
await Promise.all(stops.map((stop) => stop()));
process.exit(isWell ? 0 : 1);

async function showAll(): Promise<boolean> {
  const unknown = values.mutant?.find((name) => !mutants.some((each) => each.name === name));
  if (unknown !== undefined || wanted.length === 0) {
    console.error(unknown === undefined ? 'nothing is left to run' : `there is no mutant ${unknown}`);
    return false;
  }
  for (const mutant of wanted) mutated(mutant);
  const begun = performance.now();
  const env = await parts(wanted);
  const [one, other] = ['one', 'other'].map((name) => {
    mkdirSync(join(folder, name));
    return new Workshop(join(folder, name), env);
  }) as [Workshop, Workshop];
  if (!(await isHealthy(one, other))) return false;

  const left = [...wanted];
  const kills: Kill[] = [];
  const survivors: string[] = [];
  const work = async (workshop: Workshop) => {
    for (let mutant = left.shift(); mutant !== undefined; mutant = left.shift()) {
      const started = performance.now();
      const told = await show(workshop, mutant);
      const seconds = ((performance.now() - started) / 1_000).toFixed(0).padStart(4);
      if ('survives' in told) survivors.push(mutant.name);
      else kills.push(told);
      const { name } = mutant;
      const how = 'survives' in told ? `SURVIVES: ${told.survives}` : [told.test, told.seed].filter(Boolean).join('; seed ');
      console.log(`${'survives' in told ? 'FAILED' : 'found '} ${seconds} s  ${name}: ${how}`);
    }
  };
  await Promise.all([work(one), work(other)]);
  const seconds = ((performance.now() - begun) / 1_000).toFixed(0);
  console.log(`\n${kills.length} of ${wanted.length} mutants found in ${seconds} s`);
  if (survivors.length > 0) console.log(`These survive: ${survivors.join(', ')}`);
  if (values.write === true) keepKills(kills);
  return survivors.length === 0;
}

/** Starts what the specs of these mutants run on. */
async function parts(of: readonly Mutant[]): Promise<Record<string, string>> {
  const needs = new Set(of.map((mutant) => mutant.needs));
  const env: Record<string, string> = { TEST_DATABASE_URL: '', TEST_KAFKA_BROKERS: '' };
  if (needs.has('PostgreSQL') || needs.has('Kafka')) {
    const postgres = await startPostgres({ dir: join(folder, 'postgres'), throwaway: true });
    stops.push(() => postgres.stop());
    await makeTemplate(postgres.url);
    env['TEST_DATABASE_URL'] = postgres.url;
  }
  if (needs.has('Kafka')) {
    const kafka = await startKafka({ dir: join(folder, 'kafka'), throwaway: true });
    if (!('brokers' in kafka)) throw new Error(`there is no Kafka: ${kafka.missing}`);
    stops.push(() => kafka.stop());
    env['TEST_KAFKA_BROKERS'] = kafka.brokers;
  }
  return env;
}

/** Without a mutant all of it must pass, or a mutant would be found by what is wrong anyway. */
async function isHealthy(one: Workshop, other: Workshop): Promise<boolean> {
  const specs = [...new Set(wanted.flatMap((mutant) => mutant.specs))];
  const seeds = values.quick === true ? 0 : Math.max(0, ...wanted.map((mutant) => mutant.seeds ?? 0));
  const told = await Promise.all([specs.length > 0 ? one.test(specs) : passes(), seeds > 0 ? other.tell(seeds) : passes()]);
  const ill = told.find(({ is }) => is !== 'passed');
  if (ill !== undefined) console.error(`Without a mutant it does not pass:\n${inWords(ill)}`);
  else console.log(`Without a mutant ${specs.length} specs and ${seeds} stories pass.`);
  return ill === undefined;
}

async function show(workshop: Workshop, mutant: Mutant): Promise<Kill | { readonly survives: string }> {
  const { specs, seeds = 0, name } = mutant;
  try {
    return await workshop.with(mutant, async () => {
      const byTests = specs.length > 0 ? await workshop.test(specs) : null;
      if (byTests !== null && byTests.is !== 'found') return { survives: inWords(byTests) };
      const byStories = seeds > 0 && values.quick !== true ? await workshop.tell(seeds) : null;
      if (byStories !== null && byStories.is !== 'found') return { survives: `${seeds} stories: ${inWords(byStories)}` };
      const seed = byStories?.is === 'found' ? Number.parseInt(byStories.by, 10) : null;
      return { name, print: printOf(mutant), test: byTests?.is === 'found' ? byTests.by : null, seed };
    });
  } catch (error) {
    return { survives: String(error) };
  }
}

function inWords(verdict: Verdict): string {
  switch (verdict.is) {
    case 'passed':
      return 'all of it passes';
    case 'found':
      return verdict.by;
    case 'broken':
      return verdict.why;
  }
}

function passes(): Promise<Verdict> {
  return Promise.resolve({ is: 'passed' });
}
