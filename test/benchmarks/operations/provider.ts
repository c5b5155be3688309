/* The provider that is called in benchmarks of operations: stub.ts in a process of its own. */
import { portFor } from '../../../scripts/child.js';
import type { Stage } from '../stage.js';

export interface Rules {
  /** How long an answer takes. The refund is there from the moment of the call. */
  readonly delayMs: number;
  /** By API key; one that is not named has no limit. */
  readonly perSecond: Readonly<Record<string, number>>;
}

/** A call of `refunds.create`. */
export interface Call {
  readonly key: string;
  /** Whose refund it is to be, as the call says. */
  readonly refund: string;
  readonly apiKey: string;
  readonly atMs: number;
  readonly status: number;
}

export interface Provider {
  readonly url: string;
  /** Forgets everything, and goes by these rules. */
  begin(rules?: Partial<Rules>): Promise<void>;
  /** All calls since then, in order. */
  calls(): Promise<Call[]>;
  stop(): Promise<void>;
}

export async function startProvider(stage: Stage): Promise<Provider> {
  const port = await portFor('PORT', 0);
  const url = `http://127.0.0.1:${port}`;
  const child = stage.process('provider', 'test/benchmarks/operations/stub.js', { PORT: String(port) });
  const answers = async () => (await fetch(`${url}/calls`).catch(() => null))?.status === 200;
  await stage.until('the provider answers', 'provider', answers, 30_000);
  return {
    url,
    async begin(rules = {}) {
      await fetch(`${url}/begin`, { method: 'POST', body: JSON.stringify({ delayMs: 0, perSecond: {}, ...rules }) });
    },
    async calls() {
      return (await (await fetch(`${url}/calls`)).json()) as Call[];
    },
    async stop() {
      await child.stop(1_000);
    },
  };
}

/** What is wrong with the calls when each refund was to be made by one call with one key, or nothing. */
export function faultsOfCalls(calls: readonly Call[], refunds: ReadonlySet<string>): string[] {
  const keys = Map.groupBy(calls, ({ key }) => key);
  return [
    ...[...keys].flatMap(([key, same]) => (same.length === 1 ? [] : [`${key} was called ${same.length} times`])),
    ...doubleEffects(calls),
    ...strangers(calls, refunds),
  ];
}

/** Refunds that were made more than once: under different keys, since the same one makes nothing more. */
export function doubleEffects(calls: readonly Call[]): string[] {
  const made = Map.groupBy(
    calls.filter(({ status }) => status === 200),
    ({ refund }) => refund,
  );
  return [...made].flatMap(([refund, same]) => {
    const { size } = new Set(same.map(({ key }) => key));
    return size === 1 ? [] : [`${refund} was made ${size} times`];
  });
}

/** Refunds that nobody wanted, and those that were wanted and not made. */
export function strangers(calls: readonly Call[], refunds: ReadonlySet<string>): string[] {
  const made = new Set(calls.flatMap(({ refund, status }) => (status === 200 ? [refund] : [])));
  return [
    ...[...made].flatMap((refund) => (refunds.has(refund) ? [] : [`nobody wanted ${refund}`])),
    ...[...refunds].flatMap((refund) => (made.has(refund) ? [] : [`${refund} was not made`])),
  ];
}
