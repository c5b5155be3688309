/* What was seen: kept in docs/performance/ as it was measured, with plots, and docs/performance.md made of it anew. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus, totalmem } from 'node:os';
import { join } from 'node:path';
import { format, resolveConfig } from 'prettier';
import { between } from '../reliability/fault-table.js';
import { type Figure, type Result, short } from './figures.js';
import { bars, line } from './plots.js';

const folder = join('docs', 'performance');
const document = join('docs', 'performance.md');

interface Seen {
  readonly day: string;
  readonly machine: string;
  readonly result: Result;
}

const fileOf = (name: string, kind: string) => join(folder, `${name}.${kind}`);

export async function keep(result: Result): Promise<void> {
  const memory = Math.round(totalmem() / 2 ** 30);
  const machine = `${availableParallelism()} cores (${cpus()[0]?.model.trim() ?? 'of some kind'}), ${memory} GiB, Node ${process.version.slice(1)}`;
  const seen: Seen = { day: new Date().toISOString().slice(0, 10), machine, result };
  mkdirSync(folder, { recursive: true });
  await write(fileOf(result.name, 'json'), JSON.stringify(seen));
  writeFileSync(fileOf(result.name, 'svg'), bars(result.unit, result.figures));
  for (const curve of result.curves ?? []) writeFileSync(fileOf(curveName(result, curve.name), 'svg'), line(curve));
}

const curveName = ({ name }: Result, curve: string) => `${name}-${curve.replaceAll(/[^a-z0-9]+/gi, '-').toLowerCase()}`;

/** Every benchmark that has its marks in the document, from what was last kept of it. */
export async function writeDocument(names: readonly string[]): Promise<void> {
  const all = names.map((name) => ({ name, seen: read(name) }));
  let text = readFileSync(document, 'utf8');
  text = between(text, 'seen', overview(all));
  for (const { name, seen } of all) {
    text = between(text, name, seen === null ? 'Not measured yet.' : section(seen));
  }
  await write(document, text);
}

/** As everything here is formatted. */
async function write(file: string, text: string): Promise<void> {
  writeFileSync(file, await format(text, { ...(await resolveConfig(file)), filepath: file }));
}

function read(name: string): Seen | null {
  const file = fileOf(name, 'json');
  return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as Seen) : null;
}

function overview(all: readonly { readonly name: string; readonly seen: Seen | null }[]): string {
  const rows = all.flatMap(({ name, seen }) => {
    if (seen === null) return [`| [${name}](#${name}) | | | not measured yet |`];
    const { figures, targets, unit } = seen.result;
    const [first] = Object.values(figures);
    const ours = figures['ours'] ?? first;
    return targets.map(({ text, isMet }, index) => {
      const what = index === 0 ? `[${name}](#${name}) | ${ours === undefined ? '' : `${short(ours.median)} ${unit}`}` : ' | ';
      return `| ${what} | ${text} | ${isMet ? 'met' : '**missed**'} |`;
    });
  });
  return ['| benchmark | ours, median | target: what was seen | |', '| --- | --- | --- | --- |', ...rows].join('\n');
}

function section({ day, machine, result }: Seen): string {
  const { name, unit, figures, ratios, pairedRatios, targets, notes, curves = [] } = result;
  const spread = ({ min, max }: Figure) => `${short(min)} to ${short(max)}`;
  const rows = Object.entries(figures).map(([who, each]) => {
    const ratio = ratios[who];
    const paired = pairedRatios?.[who];
    const told = ratio === undefined ? '' : `${short(ratio)}${paired === undefined ? '' : ` (by pairs ${spread(paired)})`}`;
    return `| \`${who}\` | ${short(each.median)} | ${spread(each)} | ${told} |`;
  });
  return [
    `Seen on ${day}, ${machine}: ${unit}.`,
    ['| who | median | smallest to largest | ours to it |', '| --- | ---: | --- | --- |', ...rows].join('\n'),
    `![${name}](performance/${name}.svg)`,
    ...curves.map((curve) => `![${curve.name}](performance/${curveName(result, curve.name)}.svg)`),
    targets.map(({ text, isMet }) => `- ${isMet ? 'met' : '**missed**'}: ${text}`).join('\n'),
    notes.map((note) => `- ${note}`).join('\n'),
  ].join('\n\n');
}
