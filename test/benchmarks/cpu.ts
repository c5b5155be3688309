/* What processes have used of a core, as Linux counts it: in ticks of 10 ms. Elsewhere nothing says so without a program of its own. */
import { readdirSync, readFileSync } from 'node:fs';

export const isCounted = process.platform === 'linux';

/** Milliseconds of user and system time so far. */
export function cpuMsOf(pid: number): number {
  const { user, system } = statOf(pid);
  return user + system;
}

/** The same of a process with all its children, those that have ended included. */
export function cpuMsOfAll(parent: number): number {
  const own = statOf(parent);
  const children = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((name) => statOf(Number(name)))
    .filter((stat) => stat.parent === parent);
  return [...children, own].reduce((sum, { user, system }) => sum + user + system, own.ended);
}

function statOf(pid: number) {
  let text = '';
  try {
    text = readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch {
    // It has ended meanwhile, and its parent has its time.
  }
  // The program's name in brackets may hold spaces; what follows it begins with the third field.
  const fields = text
    .replace(/^.*\) /s, '')
    .split(' ')
    .map(Number);
  const ms = (field: number) => 10 * (fields[field - 3] ?? 0);
  return { parent: fields[1] ?? 0, user: ms(14), system: ms(15), ended: ms(16) + ms(17) };
}
