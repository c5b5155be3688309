/*
 * A database that was put back to a copy, or whose standby took over without the last seconds, has forgotten what was sent since. Kafka
 * remembers one thing: how far our commands were stored. Where it remembers more than the database holds, sending is paused, account by
 * account: until a sweep that began after that has listed all there is, where a provider can be listed, and else until a person says so.
 */
import type { Book } from '#application/book';
import type { Want } from '#application/kept';
import type { Operation } from '#application/operations';
import type { Providers } from '#application/providers';
import { sweepId, sweepNow } from '#application/sweeps';
import type { WorkingSet } from '#application/working-set';

/** A partition of commands that was stored further than the database holds; null where it holds nothing of it. */
export interface Behind {
  readonly topic: string;
  readonly partition: number;
  readonly stored: bigint | null;
  readonly remembered: bigint;
}

/** What is remembered outside the database of how far commands were stored. */
export abstract class OffsetWitness {
  abstract behind(): Promise<Behind[]>;
}

/** Which sweep sees every refund that can still be in doubt. */
const wholeSweep = 'month';
const watch = 'the restore watch';

export class RestoreWatch {
  private first: Promise<void> | undefined;

  constructor(
    private readonly witness: OffsetWitness,
    private readonly book: Book,
    private readonly providers: Providers,
    private readonly log: { restored(reason: string): void; failed(what: string, ids: object, error: unknown): void },
  ) {}

  /** Looks, and pauses sending where the database is behind. */
  async check(): Promise<void> {
    const [one] = await this.witness.behind();
    if (one === undefined) return;
    const { topic, partition, stored, remembered } = one;
    const reason =
      `The database is older than it was: of ${topic}[${partition}] it holds the commands up to offset ${stored ?? 'none'}, ` +
      `and they were stored up to ${remembered}.`;
    if (await pauseAfterRestore(this.book, this.providers, reason)) this.log.restored(reason);
  }

  /** Nothing is sent before the first look; where Kafka cannot be asked for `mostMs`, sending does not wait for it. */
  checked(mostMs: number): Promise<void> {
    this.first ??= Promise.race([
      this.check().catch((error: unknown) =>
        this.log.failed('nobody could be asked whether the database is an older copy', {}, error),
      ),
      new Promise<void>((wake) => setTimeout(wake, mostMs).unref()),
    ]);
    return this.first;
  }
}

/** Pauses every account that is not paused already, and has those that can be listed swept at once. False where all stood so. */
export function pauseAfterRestore(book: Book, providers: Providers, reason: string): Promise<boolean> {
  const { accounts } = providers;
  const operations = accounts.map(({ account, provider }) => sweepId(account, provider, wholeSweep));
  return book.transact({ sending: 'thrown', operations }, (set) => {
    const open = accounts.filter((one) => !set.pauses().some((pause) => isOf(pause, one)));
    for (const { account, provider } of open) {
      set.addPause({ account, provider, reason, by: watch, since: set.now, automatic: true });
      if (providers.listOf(account, provider) !== undefined) sweepNow(set, account, provider, wholeSweep);
    }
    return open.length > 0;
  });
}

/** What the end of a walk needs to see, where it may end a pause. */
export const wantAfterSweep = ({ target }: Operation): Want => (target === wholeSweep ? { sending: 'thrown' } : {});

/** A walk through everything has ended: an account that was paused for it before it began may send again. */
export function resumeAfterSweep(set: WorkingSet, { account, provider, target, sweep }: Operation): void {
  if (target !== wholeSweep || sweep === null) return;
  const pause = set.pauses().find((each) => each.by === watch && isOf(each, { account, provider }));
  if (pause === undefined || Date.parse(sweep.begunAt) < pause.since.getTime()) return;
  set.endPause(pause, { by: watch, reason: 'Everything there was listed anew.' });
}

const isOf = (
  pause: { readonly account: string | null; readonly provider: string | null },
  { account, provider }: { readonly account: string; readonly provider: string },
) => pause.account === account && pause.provider === provider;
