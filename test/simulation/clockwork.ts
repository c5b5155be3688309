/*
 * What makes a story repeat itself: one stream of chance, one clock that only the story moves, and a place at every awaited step where it
 * is decided by chance who goes on. While a story runs, the timers and the clock of this process are the story's.
 */
import { setImmediate as turn } from 'node:timers/promises';

export class Chance {
  private state: number;

  constructor(readonly seed: number) {
    this.state = (Math.imul(seed, 2_654_435_761) ^ 0x9e3779b9) >>> 0;
  }

  /** From 0 up to but not including 1. */
  next(): number {
    this.state = (this.state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(this.state ^ (this.state >>> 15), this.state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  upTo(count: number): number {
    return Math.floor(this.next() * count);
  }

  one<T>(of: readonly T[]): T {
    const chosen = of[this.upTo(of.length)];
    if (chosen === undefined) throw new Error('there is nothing to choose from');
    return chosen;
  }

  isIn(share: number): boolean {
    return this.next() < share;
  }
}

interface Timer {
  readonly atMs: number;
  readonly ring: () => void;
}

/** Somebody whose steps are decided about: a process of the service. */
export interface Walker {
  readonly name: string;
  isDead: boolean;
  isFrozen: boolean;
}

interface Step {
  readonly walker: Walker;
  readonly what: string;
  readonly goOn: () => void;
}

export class Clockwork {
  /** Since the story began. */
  ms = 0;
  /** How far the processes' own clocks are off the database's. */
  skewMs = 0;
  private readonly timers = new Map<number, Timer>();
  private count = 0;
  private steps: Step[] = [];
  private readonly put: (() => void)[] = [];

  constructor(readonly chance: Chance) {}

  /** The process' own timers and clock are the story's until `release`. */
  take(startedAt: number): void {
    const replace = <O extends object, K extends keyof O>(owner: O, name: K, own: O[K]) => {
      const before = owner[name];
      this.put.push(() => void (owner[name] = before));
      owner[name] = own;
    };
    const set = (ring: () => void, delayMs = 0) => {
      const id = (this.count += 1);
      this.timers.set(id, { atMs: this.ms + Math.max(0, delayMs), ring });
      return { id, unref: () => undefined, ref: () => undefined, hasRef: () => false };
    };
    const clear = (timer?: { id?: number }) => void this.timers.delete(timer?.id ?? 0);
    replace(globalThis, 'setTimeout', set as unknown as typeof setTimeout);
    replace(globalThis, 'clearTimeout', clear as unknown as typeof clearTimeout);
    replace(performance, 'now', () => this.ms);
    replace(Date, 'now', () => startedAt + this.ms + this.skewMs);
    replace(Math, 'random', () => this.chance.next());
  }

  release(): void {
    for (const back of this.put.splice(0).reverse()) back();
  }

  /** A place where others may come first. Whoever has died by then never goes on. */
  at(walker: Walker, what: string): Promise<void> {
    return new Promise((goOn) => {
      if (!walker.isDead) this.steps.push({ walker, what, goOn });
    });
  }

  /** One of those who wait goes on; what it was about to do, or null where nobody can. */
  async next(): Promise<string | null> {
    this.steps = this.steps.filter(({ walker }) => !walker.isDead);
    const able = this.steps.filter(({ walker }) => !walker.isFrozen);
    if (able.length === 0) return null;
    const step = this.chance.one(able);
    this.steps.splice(this.steps.indexOf(step), 1);
    step.goOn();
    await turn();
    return `${step.walker.name}: ${step.what}`;
  }

  /** Time goes by, and the timers in it ring. */
  async pass(ms: number): Promise<void> {
    const until = this.ms + ms;
    for (;;) {
      const due = [...this.timers].filter(([, { atMs }]) => atMs <= until).sort(([, a], [, b]) => a.atMs - b.atMs)[0];
      if (due === undefined) break;
      const [id, { atMs, ring }] = due;
      this.timers.delete(id);
      this.ms = Math.max(this.ms, atMs);
      ring();
      await turn();
    }
    this.ms = until;
  }

  get waiting(): number {
    return this.steps.filter(({ walker }) => !walker.isDead).length;
  }
}
