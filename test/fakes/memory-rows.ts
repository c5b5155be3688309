import { Conflict } from '#application/errors';

export const at = (...parts: readonly (string | number)[]) => parts.join(':');

/** A table whose changes can be taken back. Rows stay in the order in which they came. */
export class Rows<T> {
  private readonly rows = new Map<string, T>();

  constructor(private readonly undo: (() => void)[]) {}

  get(key: string): T | undefined {
    return this.rows.get(key);
  }

  put(key: string, row: T): void {
    const before = this.rows.get(key);
    this.undo.push(() => (before === undefined ? this.rows.delete(key) : this.rows.set(key, before)));
    this.rows.set(key, row);
  }

  /** What is there already is in the way, as with a primary key. */
  add(key: string, row: T): void {
    if (this.rows.has(key)) throw new Conflict(`${key} is there already`);
    this.put(key, row);
  }

  all(): T[] {
    return [...this.rows.values()];
  }

  where(wanted: (row: T) => boolean): T[] {
    return this.all().filter(wanted);
  }
}
