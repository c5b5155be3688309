/*
 * Webhooks get lost, and nobody tells us of that. So what was refunded and disputed in an account is listed at its provider on a schedule,
 * and fed as reports: often for what is new, once a day for everything that a bank may still change.
 */
import { v5 as uuid5 } from 'uuid';
import type { Book } from '#application/book';
import { REDRESS } from '#application/names';
import { priorities, type Sweep } from '#application/operations';
import type { Providers } from '#application/providers';
import type { WorkingSet } from '#application/working-set';

const minute = 60_000;
const hour = 60 * minute;
const day = 24 * hour;

interface Plan {
  readonly kind: 'refunds.list' | 'disputes.list';
  readonly everyMs: number;
  /** How far back every walk goes; null: to an hour before the one before it began, since providers' clocks count whole seconds and lists lag. */
  readonly reachMs: number | null;
}

/** Refunds come back for up to thirty days. docs.stripe.com/refunds#failed-refunds */
const plans: Readonly<Record<string, Plan>> = {
  recent: { kind: 'refunds.list', everyMs: 15 * minute, reachMs: null },
  month: { kind: 'refunds.list', everyMs: day, reachMs: 35 * day },
  disputes: { kind: 'disputes.list', everyMs: 15 * minute, reachMs: null },
  // A case takes two to three months, a late decision longer. docs.stripe.com/disputes/how-disputes-work
  'all disputes': { kind: 'disputes.list', everyMs: day, reachMs: 400 * day },
};

function planOf(name: string): Plan {
  const plan = plans[name];
  if (plan === undefined) throw new Error(`there is no sweep "${name}"`);
  return plan;
}

/** The walk after one that has come to its end. */
export function nextSweep(name: string, done: Sweep, now: Date): Sweep {
  const { everyMs, reachMs } = planOf(name);
  const begunAt = now.getTime() + everyMs;
  const since = reachMs === null ? Date.parse(done.begunAt) - hour : begunAt - reachMs;
  return { since: new Date(since).toISOString(), begunAt: new Date(begunAt).toISOString(), after: null };
}

/** Sees to it that every account that can be listed is swept. Safe to call by every worker at every start. */
export async function beginSweeps(book: Book, { lists, disputing }: Providers): Promise<void> {
  const listed = { 'refunds.list': lists, 'disputes.list': disputing };
  const wanted = Object.entries(plans).flatMap(([name, { kind }]) =>
    listed[kind].map(({ account, provider }) => ({
      id: sweepId(account, provider, name),
      account,
      provider,
      name,
      kind,
    })),
  );
  await book.transact({ operations: wanted.map(({ id }) => id) }, (set) => {
    for (const { id, account, provider, name } of wanted) {
      if (set.operation(id) === undefined) sweepNow(set, account, provider, name);
    }
  });
}

export const sweepId = (account: string, provider: string, name: string): string =>
  uuid5(JSON.stringify([account, provider, 'sweep', name]), REDRESS);

/** Begins a walk now, the first one or one anew: whoever is in the midst of the one before steers it no more. */
export function sweepNow(set: WorkingSet, account: string, provider: string, name: string): void {
  const { kind, reachMs } = planOf(name);
  const sweep = { since: set.later(-(reachMs ?? day)).toISOString(), begunAt: set.now.toISOString(), after: null };
  const id = sweepId(account, provider, name);
  const known = set.operation(id);
  if (known !== undefined) {
    set.changeOperation(id, { sweep, state: 'open', fence: known.fence + 1n, leaseUntil: null, runAt: set.now, tries: 0 });
    return;
  }
  const nothing = { refundId: null, paymentKey: null, lane: null, key: null, attempt: 0 };
  const read = { account, provider, kind, target: name, runAt: set.now, priority: priorities.poll } as const;
  set.addOperation({ ...read, ...nothing }, { id, sweep });
}
