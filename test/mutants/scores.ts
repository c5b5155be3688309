/* What Stryker's report says, as figures and as a table. Its format: github.com/stryker-mutator/mutation-testing-elements */

export interface MutationReport {
  readonly files: Readonly<
    Record<
      string,
      {
        readonly source: string;
        readonly mutants: readonly {
          readonly status: string;
          readonly mutatorName: string;
          readonly replacement?: string;
          readonly location: { readonly start: { readonly line: number } };
        }[];
      }
    >
  >;
}

interface Counts {
  readonly found: number;
  readonly survived: number;
}

export interface Scores extends Counts {
  readonly percent: number;
  readonly files: readonly ({ readonly file: string; readonly percent: number } & Counts)[];
}

const detected: ReadonlySet<string> = new Set(['Killed', 'Timeout']);
const undetected: ReadonlySet<string> = new Set(['Survived', 'NoCoverage']);

/** Changes that do not compile or cannot be run, or that are left out on purpose, count for nothing. */
export function scoresOf({ files }: MutationReport): Scores {
  const each = Object.entries(files)
    .map(([file, { mutants }]) => {
      const count = (of: ReadonlySet<string>) => mutants.filter(({ status }) => of.has(status)).length;
      const counts = { found: count(detected), survived: count(undetected) };
      return { file, ...counts, percent: percentOf(counts) };
    })
    .toSorted((a, b) => (a.file < b.file ? -1 : 1));
  const sum = (of: keyof Counts) => each.reduce((total, counts) => total + counts[of], 0);
  const all = { found: sum('found'), survived: sum('survived') };
  return { ...all, percent: percentOf(all), files: each };
}

function percentOf({ found, survived }: Counts): number {
  return found + survived === 0 ? 100 : Math.round((1_000 * found) / (found + survived)) / 10;
}

/** A line for each change that no test found: where, what was there, and what was put instead. */
export function survivorsOf({ files }: MutationReport): string[] {
  return Object.entries(files).flatMap(([file, { source, mutants }]) => {
    const lines = source.split('\n');
    return mutants
      .filter(({ status }) => undetected.has(status))
      .map(({ location: { start }, mutatorName, replacement = '' }) => {
        return `${file}:${start.line} ${mutatorName}: ${lines[start.line - 1]?.trim()} => ${replacement.replaceAll(/\s+/g, ' ')}`;
      });
  });
}

export function tableOf({ files, ...all }: Scores): string {
  const row = (name: string, { found, survived, percent }: Counts & { readonly percent: number }) =>
    `| ${name} | ${found + survived} | ${found} | ${survived} | ${percent} % |`;
  return [
    '| file | changes | found | survived | score |',
    '| --- | ---: | ---: | ---: | ---: |',
    ...files.map((each) => row(`\`${each.file}\``, each)),
    row('all', all),
  ].join('\n');
}
