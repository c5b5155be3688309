/** All that contenders came to, round by round. */
export type Rounds<Who extends string, T> = Readonly<Record<Who, readonly T[]>>;

/** Every contender has a round in each pair; the order is turned every time, so that what is slow for a while harms all alike. */
export async function inTurn<Who extends string, T>(
  pairs: number,
  contenders: Readonly<Record<Who, () => Promise<T>>>,
  tell: (pair: number, who: Who, came: T) => void,
): Promise<Rounds<Who, T>> {
  const names = Object.keys(contenders) as Who[];
  const rounds = Object.fromEntries(names.map((who) => [who, [] as T[]])) as Record<Who, T[]>;
  for (let pair = 1; pair <= pairs; pair += 1) {
    for (const who of pair % 2 === 0 ? names.toReversed() : names) {
      const came = await contenders[who]();
      rounds[who].push(came);
      tell(pair, who, came);
    }
  }
  return rounds;
}
