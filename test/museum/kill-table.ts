/* What the last whole run saw, kept beside the mutants, and the table made of it. */
import { readFileSync, writeFileSync } from 'node:fs';
import { between } from '../reliability/fault-table.js';
import { incidents, mutants, traps } from './exhibits.js';
import { printOf, type Mutant } from './mutant.js';

/** How a mutant was found: by the first test that failed, by the first seed whose story was wrong, or by both. */
export interface Kill {
  readonly name: string;
  readonly print: string;
  readonly test: string | null;
  readonly seed: number | null;
}

const file = 'test/museum/kills.json';
const document = 'docs/reliability.md';

export const keptKills = (): Kill[] => JSON.parse(readFileSync(file, 'utf8')) as Kill[];

/** Takes over what was seen; a mutant that was not run stays as it was, one that is no more is forgotten. */
export function keepKills(seen: readonly Kill[]): void {
  const all = new Map([...keptKills(), ...seen].map((kill) => [kill.name, kill]));
  const kept = mutants.flatMap(({ name }) => all.get(name) ?? []);
  writeFileSync(file, `${JSON.stringify(kept, null, 2)}\n`);
  writeFileSync(document, between(readFileSync(document, 'utf8'), 'museum', killTable(kept)));
}

/** Mutants that were not found as they stand now: new ones, and such as have changed since. */
export function notSeen(kills: readonly Kill[]): string[] {
  return mutants
    .filter((mutant) => kills.find(({ name }) => name === mutant.name)?.print !== printOf(mutant))
    .map(({ name }) => name);
}

export function killTable(kills: readonly Kill[]): string {
  const rows = mutants.flatMap((mutant) => {
    const kill = kills.find(({ name }) => name === mutant.name);
    return kill === undefined
      ? []
      : [[`\`${mutant.name}\``, origin(mutant), mutant.then, kill.test ?? '', String(kill.seed ?? '')]];
  });
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|').replaceAll('\n', ' ')).join(' | ')} |`;
  const head = ['mutant', 'incident or trap', 'what would happen', 'found by', 'found at seed'];
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

function origin({ brings }: Mutant): string {
  if (typeof brings === 'string') return `${brings}: ${traps[brings]?.trap}`;
  const incident = incidents[brings];
  const [repository, number] = incident?.thread.split('#') ?? [];
  return `${brings}: ${incident?.what} ([${incident?.thread}](https://github.com/${repository}/issues/${number}))`;
}

/** The document with the table as the kept kills have it. */
export const documentNow = (): { readonly is: string; readonly shouldBe: string } => {
  const is = readFileSync(document, 'utf8');
  return { is, shouldBe: between(is, 'museum', killTable(keptKills())) };
};
