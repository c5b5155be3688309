/*
 * The book: state, events, provider operations and marks of handled messages, changed together or not at all.
 *
 * A use case says what it wants loaded; the book locks and loads that in the one lock order (partition offset, payments by key, then what
 * hangs on them), hands out a working set, and stores what was changed in it, all in one transaction. Decisions happen in memory between
 * load and store, so a batch of five hundred costs the same few statements as a batch of one.
 */
import type { Want } from '#application/kept';
import type { WorkingSet } from '#application/working-set';

/** One transaction over the book. Throws `Conflict` when it can be tried again at once, `Unavailable` when the database is away, `Fenced` when the mark was moved by somebody else. */
export abstract class Book {
  abstract transact<T>(want: Want, decide: (set: WorkingSet) => T): Promise<T>;
}
