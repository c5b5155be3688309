/** What waits for work: provider operations, entries to seal, entries to relay, deliveries to handle. */
export type Work = 'operations' | 'unsealed' | 'sealed' | 'deliveries';

/** Tells loops that there is something to do, in this process at once and in the others soon. Losing a call costs only time: every loop also looks by itself. */
export abstract class Wake {
  abstract ring(work: Work): void;
  /** Calls `listener` whenever `work` is rung, until the returned function is called. */
  abstract on(work: Work, listener: () => void): () => void;
}
