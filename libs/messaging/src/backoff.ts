/** How long to wait before trying again: doubles from `firstMs` to `mostMs`, with a spread so that partitions do not come back all at once. */
export interface Backoff {
  readonly firstMs: number;
  readonly mostMs: number;
}

export function delayOf({ firstMs, mostMs }: Backoff, triesBefore: number): number {
  return Math.min(mostMs, firstMs * 2 ** Math.min(triesBefore, 20)) * (0.8 + 0.4 * Math.random());
}
