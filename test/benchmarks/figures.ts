/** A figure that was taken several times. */
export interface Figure {
  readonly median: number;
  readonly min: number;
  readonly max: number;
  readonly rounds: readonly number[];
}

export function figure(rounds: readonly number[]): Figure {
  const sorted = [...rounds].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const high = sorted[middle] ?? Number.NaN;
  const low = sorted.length % 2 === 0 ? (sorted[middle - 1] ?? high) : high;
  return { median: (low + high) / 2, min: sorted[0] ?? Number.NaN, max: sorted.at(-1) ?? Number.NaN, rounds };
}

/** What a figure or a ratio should come to, and whether it did. */
export interface Target {
  readonly text: string;
  readonly isMet: boolean;
}

/** `atLeast(ratio, 15, 'ours / naive')`, and so on: the target in words, with what was seen. */
export const atLeast = (seen: number, wanted: number, of: string): Target => ({
  text: `${of} at least ${wanted}: ${short(seen)}`,
  isMet: seen >= wanted,
});
export const atMost = (seen: number, wanted: number, of: string): Target => ({
  text: `${of} at most ${wanted}: ${short(seen)}`,
  isMet: seen <= wanted,
});

/** What a figure does over time. */
export interface Curve {
  readonly name: string;
  readonly unit: string;
  /** Seconds from the start, and the value then. */
  readonly points: readonly (readonly [at: number, value: number])[];
}

/** What a benchmark came to. */
export interface Result {
  readonly name: string;
  readonly unit: string;
  /** By whom it was measured of: `ours`, and each peer's name. */
  readonly figures: Readonly<Record<string, Figure>>;
  /** Ours to each peer's, by medians. */
  readonly ratios: Readonly<Record<string, number>>;
  /** The same round by round, where rounds come in pairs. */
  readonly pairedRatios?: Readonly<Record<string, Figure>>;
  readonly targets: readonly Target[];
  readonly curves?: readonly Curve[];
  /** What one must know to read the figures. */
  readonly notes: readonly string[];
}

export function tell({ name, unit, figures, ratios, pairedRatios, targets, notes }: Result): string {
  const of = ({ median, min, max }: Figure) => `${short(median).padStart(9)}   (${short(min)} to ${short(max)})`;
  const lines = [
    `${name}: ${unit}, median (smallest to largest of ${figures['ours']?.rounds.length ?? 0})`,
    ...Object.entries(figures).map(([who, each]) => `  ${who.padEnd(14)} ${of(each)}`),
    ...Object.entries(ratios).map(([who, ratio]) => {
      const paired = pairedRatios?.[who];
      return `  ours / ${who.padEnd(7)} ${short(ratio).padStart(9)}${paired === undefined ? '' : `   by pairs ${of(paired).trim()}`}`;
    }),
    ...targets.map(({ text, isMet }) => `  ${isMet ? 'met   ' : 'MISSED'} ${text}`),
    ...notes.map((note) => `  - ${note}`),
  ];
  return lines.join('\n');
}

export const isMet = ({ targets }: Result) => targets.every((target) => target.isMet);

export function short(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3);
}
