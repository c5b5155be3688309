import type { Books, Due } from './books.js';

const LONGEST_TIMER_MS = 2 ** 31 - 1;

/**
 * Simulated time: the machine's, plus what testers have moved it ahead. What is to happen later is written down as data
 * (a task's name and its subject), so that it survives a restart, and a jump runs it in order at its own moments.
 */
export class Clock {
  private readonly tasks = new Map<string, (subject: string) => void>();
  private readonly waiting: { id: string; due: Due }[] = [];
  private standingAt: number | undefined;
  private lastId = 0;
  private timer: NodeJS.Timeout | undefined;
  private running = false;

  constructor(private readonly books: Books) {}

  /** Milliseconds since 1970. */
  now(): number {
    return this.standingAt ?? Date.now() + (this.books.clock.get('offset') ?? 0);
  }

  /** Seconds since 1970, as Stripe counts. */
  seconds(): number {
    return Math.floor(this.now() / 1000);
  }

  /** Says what a task does; every task must be known before `start`. */
  task(name: string, run: (subject: string) => void): void {
    this.tasks.set(name, run);
  }

  start(): void {
    for (const [id, due] of this.books.due.entries()) {
      this.insert(id, due);
      this.lastId = Math.max(this.lastId, Number(id));
    }
    this.running = true;
    this.wait();
  }

  stop(): void {
    this.running = false;
    clearTimeout(this.timer);
  }

  later(ms: number, task: string, subject: string): void {
    const id = String(++this.lastId);
    const due = { at: this.now() + ms, task, subject };
    this.books.due.put(id, due);
    this.insert(id, due);
    if (this.waiting[0]?.id === id) this.wait();
  }

  /** Forgets what was to happen to a subject. */
  cancel(subject: string): void {
    for (let index = this.waiting.length - 1; index >= 0; index--) {
      const entry = this.waiting[index];
      if (entry?.due.subject !== subject) continue;
      this.waiting.splice(index, 1);
      this.books.due.delete(entry.id);
    }
  }

  /** The subjects to which something is still to happen. */
  subjects(): Set<string> {
    return new Set(this.waiting.map((entry) => entry.due.subject));
  }

  /** Moves time ahead; what falls due on the way happens at its own moment, so time-stamps are as if one had waited. */
  advance(ms: number): void {
    const target = this.now() + ms;
    this.runUntil(target);
    this.books.clock.put('offset', (this.books.clock.get('offset') ?? 0) + ms);
    this.wait();
  }

  /** Forgets everything that was to happen, after the books were emptied. */
  reset(): void {
    this.waiting.length = 0;
    clearTimeout(this.timer);
  }

  private runUntil(target: number): void {
    for (let next = this.waiting[0]; next !== undefined && next.due.at <= target; next = this.waiting[0]) {
      this.waiting.shift();
      this.books.due.delete(next.id);
      this.standingAt = next.due.at;
      try {
        this.tasks.get(next.due.task)?.(next.due.subject);
      } finally {
        this.standingAt = undefined;
      }
    }
  }

  private insert(id: string, due: Due): void {
    const before = this.waiting.findLastIndex((entry) => entry.due.at <= due.at);
    this.waiting.splice(before + 1, 0, { id, due });
  }

  private wait(): void {
    clearTimeout(this.timer);
    const [next] = this.waiting;
    if (!this.running || next === undefined) return;
    const ms = Math.min(Math.max(next.due.at - this.now(), 0), LONGEST_TIMER_MS);
    this.timer = setTimeout(() => {
      this.runUntil(this.now());
      this.wait();
    }, ms);
  }
}
