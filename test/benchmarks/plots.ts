/* Plots as SVG: bars with their spread, and curves over time. */
import type { Curve, Figure } from './figures.js';
import { short } from './figures.js';

const width = 760;
const left = 190;
const right = 110;
const rowHeight = 26;
const plotted = width - left - right;
/** Beyond this a linear scale shows nothing of the smaller ones. */
const mostOnLinearScale = 20;

const text = (x: number, y: number, anchor: 'start' | 'middle' | 'end', what: string) =>
  `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" text-anchor="${anchor}">${what.replaceAll('&', '&amp;').replaceAll('<', '&lt;')}</text>`;

function svg(height: number, parts: readonly string[]): string {
  const style = 'font-family="sans-serif" font-size="12" fill="#24292f"';
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" ${style}>`,
    `<rect width="${width}" height="${height}" fill="#ffffff"/>`,
    ...parts,
    '</svg>\n',
  ].join('\n');
}

/** A bar to each median, a line from the smallest to the largest. */
export function bars(unit: string, figures: Readonly<Record<string, Figure>>): string {
  const rows = Object.entries(figures).filter(([, { median }]) => Number.isFinite(median));
  const largest = Math.max(...rows.map(([, { max }]) => max));
  const smallest = Math.min(...rows.map(([, { min }]) => min).filter((min) => min > 0));
  const isLog = largest / smallest > mostOnLinearScale;
  const from = isLog ? Math.log10(smallest) - 0.3 : 0;
  const to = isLog ? Math.log10(largest) : largest;
  const x = (value: number) =>
    left + (plotted * ((isLog ? Math.log10(Math.max(value, smallest / 2)) : value) - from)) / (to - from);
  const parts = rows.flatMap(([who, { median, min, max }], index) => {
    const y = 34 + index * rowHeight;
    const colour = who === 'ours' ? '#0969da' : '#8c959f';
    return [
      text(left - 8, y + 13, 'end', who),
      `<rect x="${left}" y="${y}" width="${Math.max(1, x(median) - left).toFixed(1)}" height="18" fill="${colour}"/>`,
      `<line x1="${x(min).toFixed(1)}" x2="${x(max).toFixed(1)}" y1="${y + 9}" y2="${y + 9}" stroke="#24292f"/>`,
      text(x(max) + 6, y + 13, 'start', short(median)),
    ];
  });
  return svg(44 + rows.length * rowHeight, [text(12, 20, 'start', isLog ? `${unit} (logarithmic)` : unit), ...parts]);
}

/** One value over time. */
export function line({ name, unit, points }: Curve): string {
  const [top, bottom] = [34, 230];
  const last = Math.max(...points.map(([at]) => at), 1);
  const largest = Math.max(...points.map(([, value]) => value)) * 1.1 || 1;
  const x = (at: number) => left / 2 + ((width - left) * at) / last;
  const y = (value: number) => bottom - ((bottom - top) * value) / largest;
  const path = points
    .map(([at, value], index) => `${index === 0 ? 'M' : 'L'}${x(at).toFixed(1)} ${y(value).toFixed(1)}`)
    .join(' ');
  const grid = [0, 0.25, 0.5, 0.75, 1].flatMap((part) => [
    `<line x1="${x(0)}" x2="${x(last)}" y1="${y(part * largest)}" y2="${y(part * largest)}" stroke="#d0d7de"/>`,
    text(x(0) - 6, y(part * largest) + 4, 'end', short(part * largest)),
    text(x(part * last), bottom + 18, 'middle', `${short(part * last)} s`),
  ]);
  return svg(260, [
    text(12, 20, 'start', `${name}, ${unit}`),
    ...grid,
    `<path d="${path}" fill="none" stroke="#0969da" stroke-width="1.5"/>`,
  ]);
}
