import { Conflict, Fenced, Unavailable } from '#application/errors';

/*
 * Everything here is decided in batches; a single thing is a batch of one. The batcher lets what arrives at the same time share one:
 * while a batch is under way the next one gathers, so an idle service answers at once and a busy one pays one transaction for many.
 */

/** One item's failure among the others' results. */
export class Failed {
  constructor(readonly error: unknown) {}
}

interface Waiting<T, R> {
  readonly item: T;
  readonly resolve: (result: R) => void;
  readonly reject: (error: unknown) => void;
}

export interface BatchSettings {
  readonly most: number;
  readonly atOnce: number;
}

/** Gathers single items into batches for `work`, which answers in the order of its items; a `Failed` is one item's own failure. */
export class Batcher<T, R extends object> {
  private readonly queue: Waiting<T, R>[] = [];
  private running = 0;

  constructor(
    private readonly work: (items: readonly T[]) => Promise<readonly (R | Failed)[]>,
    private readonly settings: BatchSettings,
  ) {}

  submit(item: T): Promise<R> {
    return new Promise((resolve, reject) => {
      this.queue.push({ item, resolve, reject });
      // Later in this turn of the loop, so that what comes in together goes together.
      queueMicrotask(() => void this.next());
    });
  }

  private async next(): Promise<void> {
    if (this.running >= this.settings.atOnce || this.queue.length === 0) return;
    this.running += 1;
    const batch = this.queue.splice(0, this.settings.most);
    try {
      const results = await this.work(batch.map((waiting) => waiting.item));
      batch.forEach((waiting, index) => {
        const result = results[index];
        if (result instanceof Failed) waiting.reject(result.error);
        else if (result === undefined) waiting.reject(new Error('the batch answered with too few results'));
        else waiting.resolve(result);
      });
    } catch (error) {
      for (const waiting of batch) waiting.reject(error);
    } finally {
      this.running -= 1;
      void this.next();
    }
  }
}

const attempts = 8;

/**
 * Runs a batch, again as a whole when another transaction was in the way, and in halves when something in it cannot be stored at all,
 * until the offender stands alone: that one goes to `offender`. Parts run in order, so a partition's offset can move with each.
 * When the database is away, or somebody else holds the partition, that is thrown.
 */
export async function inParts<T, R>(
  items: readonly T[],
  work: (part: readonly T[]) => Promise<readonly R[]>,
  offender: (item: T, error: unknown) => Promise<R>,
): Promise<R[]> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return [...(await work(items))];
    } catch (error) {
      if (error instanceof Unavailable || error instanceof Fenced) throw error;
      if (error instanceof Conflict && attempt < attempts) {
        await new Promise((wake) => setTimeout(wake, Math.random() * 5 * 2 ** attempt));
        continue;
      }
      const [only] = items;
      if (items.length === 1 && only !== undefined) return [await offender(only, error)];
      const middle = items.length >> 1;
      const first = await inParts(items.slice(0, middle), work, offender);
      return [...first, ...(await inParts(items.slice(middle), work, offender))];
    }
  }
}
