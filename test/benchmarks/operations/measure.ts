import type { Child } from '../../../scripts/child.js';
import { cpuMsOf, cpuMsOfAll, isCounted } from '../cpu.js';
import type { Stage } from '../stage.js';

export interface Measured {
  /** Operations per second. */
  readonly rate: number;
  /** Of a core, for an operation: the process, and the database server. */
  readonly processMs: number;
  readonly serverMs: number;
}

/** From the first sight of an outcome to the sight of the last. Looking costs little at this pace, and the same with everyone. */
export async function measure(
  stage: Stage,
  who: string,
  child: Child,
  all: number,
  done: () => Promise<number>,
): Promise<Measured> {
  const used = () =>
    isCounted ? { process: cpuMsOf(child.pid), server: cpuMsOfAll(stage.server) } : { process: NaN, server: NaN };
  let begun = 0;
  let [start, end, before] = [0, 0, used()];
  await stage.until(
    `all ${all} operations have their outcome`,
    who,
    async () => {
      const now = await done();
      end = performance.now();
      if (begun === 0 && now > 0) [begun, start, before] = [now, end, used()];
      return now >= all;
    },
    600_000,
    100,
  );
  const [counted, after] = [all - begun, used()];
  return {
    rate: (1000 * counted) / (end - start),
    processMs: (after.process - before.process) / counted,
    serverMs: (after.server - before.server) / counted,
  };
}
