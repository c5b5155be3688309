/*
 * npm run simulate [-- --seeds 10000 --from 1 --steps 900 --minutes 30]: tells stories by seed on all cores, until all are told or one of
 * them is wrong. npm run simulate -- --seed 7 tells one again, line by line.
 */
import { fork } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { addTo, faults, isPair, missing, statuses } from './coverage.js';
import { simulate, tell, type Told } from './story.js';

interface Report {
  readonly seeds: number;
  readonly steps: number;
  readonly met: readonly (readonly [string, number])[];
  readonly failed: { readonly seed: number; readonly wrong: readonly string[]; readonly lines: readonly string[] } | null;
}

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '1000' },
    from: { type: 'string', default: '1' },
    seed: { type: 'string' },
    steps: { type: 'string', default: '900' },
    minutes: { type: 'string' },
  },
});
const [seeds, from, steps] = [values.seeds, values.from, values.steps].map((each) => wholeNumber(each)) as [
  number,
  number,
  number,
];
const share = process.env['SIMULATION_SHARE'];

if (values.seed !== undefined) await tellOne(wholeNumber(values.seed));
else if (share !== undefined) await tellShare(share);
else await tellAll();

function wholeNumber(text: string): number {
  if (!/^\d+$/.test(text)) {
    console.error(`"${text}" should be a whole number`);
    process.exit(1);
  }
  return Number(text);
}

async function tellOne(seed: number): Promise<void> {
  const { lines, wrong } = await tell(seed, steps);
  console.log(lines.join('\n'));
  console.log(wrong.length === 0 ? `\nSeed ${seed}: all is well.` : `\nSeed ${seed} is wrong:\n- ${wrong.join('\n- ')}`);
  process.exitCode = wrong.length === 0 ? 0 : 1;
}

/** Every n-th seed, for the process that divides them. */
async function tellShare(of: string): Promise<void> {
  const [at = 0, all = 1] = of.split('/').map(Number);
  const latest = values.minutes === undefined ? Infinity : performance.now() + wholeNumber(values.minutes) * 60_000;
  let [told, walked] = [0, 0];
  const met = new Map<string, number>();
  const report = (failed: Report['failed']) => {
    process.send?.({ seeds: told, steps: walked, met: [...met], failed } satisfies Report);
    [told, walked] = [0, 0];
    met.clear();
  };
  const ours = function* () {
    for (let seed = from + at; seed < from + seeds && performance.now() < latest; seed += all) yield seed;
  };
  const onTold = (one: Told) => {
    told += 1;
    walked += one.steps;
    addTo(met, one.met);
    if (told >= 25) report(null);
  };
  const found = await simulate(ours(), { steps, onTold });
  report(found === null ? null : { seed: found.seed, wrong: found.why, lines: found.story });
}

async function tellAll(): Promise<void> {
  const begun = performance.now();
  const met = new Map<string, number>();
  let [told, walked] = [0, 0];
  let failed: Report['failed'] = null;
  let nextWord = begun + 10_000;
  const figures = () => {
    const seconds = (performance.now() - begun) / 1_000;
    return `${told} seeds, ${walked} steps, ${Math.round(seconds)} s, ${Math.round(walked / seconds)} steps a second`;
  };
  const processes = availableParallelism();
  const all = Array.from({ length: processes }, (_, at) => {
    const env = { ...process.env, SIMULATION_SHARE: `${at}/${processes}` };
    return fork(fileURLToPath(import.meta.url), process.argv.slice(2), {
      env,
      execArgv: ['--disable-warning=ExperimentalWarning'],
    });
  });
  const codes = await Promise.all(
    all.map(
      (child) =>
        new Promise<number | null>((resolve) => {
          child.on('message', (message) => {
            const report = message as Report;
            told += report.seeds;
            walked += report.steps;
            addTo(met, report.met);
            if (report.failed !== null && failed === null) {
              failed = report.failed;
              for (const each of all) each.kill();
            }
            if (performance.now() < nextWord) return;
            nextWord += 10_000;
            console.log(figures());
          });
          child.on('exit', (code) => resolve(code));
        }),
    ),
  );
  const wrong = failed as Report['failed'];
  if (wrong !== null) {
    console.log(wrong.lines.join('\n'));
    console.log(`\nSeed ${wrong.seed} is wrong:\n- ${wrong.wrong.join('\n- ')}`);
    console.log(`Tell it again: npm run simulate -- --seed ${wrong.seed} --steps ${steps}`);
  }
  const counted = [...met].toSorted(([a], [b]) => (a < b ? -1 : 1));
  for (const [what, count] of counted) if (!isPair(what)) console.log(`${String(count).padStart(9)}  ${what}`);
  printPairs(met);
  const unmet = told >= 1_000 ? missing(met) : [];
  if (unmet.length > 0) console.log(`\nNever met: ${unmet.join(', ')}`);
  console.log(figures());
  const isBroken = wrong === null && codes.some((code) => code !== 0);
  if (isBroken) console.log('a process ended before its stories were told');
  process.exitCode = wrong === null && !isBroken && unmet.length === 0 && told > 0 ? 0 : 1;
}

/** How often each fault met each status: a line per fault, a column per status. */
function printPairs(met: ReadonlyMap<string, number>): void {
  statuses.forEach((status, index) => console.log(`${' '.repeat(36)}${String(index + 1).padStart(7)}  ${status}`));
  console.log(`${'fault'.padEnd(36)}${statuses.map((_, index) => String(index + 1).padStart(7)).join('')}`);
  for (const fault of faults) {
    const counts = statuses.map((status) => String(met.get(`${fault} x ${status}`) ?? 0).padStart(7));
    console.log(`${fault.padEnd(36)}${counts.join('')}`);
  }
}
