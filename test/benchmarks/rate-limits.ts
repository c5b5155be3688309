/*
 * Rate limits: what of its limits a provider's accounts get out of four worker processes, while the provider enforces them.
 *
 * Two accounts have a backlog of refunds for the same time, one may be called 25 times a second, the other 100 times. The
 * provider (operations/stub.ts) has a bucket for each that holds one second's worth and fills evenly: whoever comes first may be
 * above the limit for a second's worth. That second is not counted, so what is measured is what can be kept up. The peer is in
 * rate-limits/naive.ts.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Child } from '../../scripts/child.js';
import { atLeast, atMost, figure, type Result } from './figures.js';
import { approve, faultsOfBooks, outcomes, sentRefunds, settle } from './operations/approved.js';
import { inTurn } from './operations/in-turn.js';
import { type Call, doubleEffects, type Provider, startProvider, strangers } from './operations/provider.js';
import { type Account, fillNaive, makeNaive, naiveOutcomes, naiveRefunds } from './rate-limits/naive-queue.js';
import type { RoundDatabase, Stage } from './stage.js';

const accounts: readonly Account[] = [
  { account: 'slow', apiKey: 'sk_test_slow', perSecond: 25 },
  { account: 'fast', apiKey: 'sk_test_fast', perSecond: 100 },
];
const replicas = 4;
/** What a full bucket lets through at once. */
const burstMs = 1_000;
/** The last few wait out their pauses when there is nothing else to do, which says nothing of what can be kept up. */
const untilShare = 0.95;

export interface RateLimitSettings {
  readonly pairs: number;
  /** How long the backlog of both accounts lasts at their limits. */
  readonly seconds: number;
}

interface Kept {
  /** What each account got of its limit, in the order of `accounts`. */
  readonly shares: readonly number[];
  /** Part of all calls. */
  readonly turnedAway: number;
  /** From the first call to the last one let through. */
  readonly seconds: number;
}

export async function rateLimits(stage: Stage, { pairs, seconds }: RateLimitSettings): Promise<Result> {
  const provider = await startProvider(stage);
  const rounds = await inTurn<'ours' | 'naive', Kept>(
    pairs,
    { ours: () => ours(stage, provider, seconds), naive: () => naive(stage, provider, seconds) },
    (pair, who, { shares, turnedAway }) => {
      const each = accounts.map(({ account }, index) => `${account} ${shares[index]?.toFixed(3)}`).join(', ');
      console.error(
        `rate-limits, pair ${pair} of ${pairs}: ${who} got ${each} of the limit, ${percent(turnedAway)} of calls turned away`,
      );
    },
  );
  await provider.stop();

  const lowest = (who: 'ours' | 'naive') => figure(rounds[who].map(({ shares }) => Math.min(...shares)));
  const turnedAway = (who: 'ours' | 'naive') => figure(rounds[who].map((each) => each.turnedAway));
  const until = (who: 'ours' | 'naive') => figure(rounds[who].map((each) => each.seconds)).median.toFixed(1);
  const fairness = (who: 'ours' | 'naive') => figure(rounds[who].map(({ shares }) => jain(shares)));
  const allowed = accounts.map(({ perSecond }) => perSecond).join(' and ');
  const figures = { ours: lowest('ours'), naive: lowest('naive') };
  return {
    name: 'rate-limits',
    unit: 'what was done of what the limit allows, by the account that got less',
    figures,
    ratios: { naive: figures.ours.median / figures.naive.median },
    pairedRatios: { naive: figure(figures.ours.rounds.map((share, pair) => share / (figures.naive.rounds[pair] ?? Number.NaN))) },
    targets: [
      atLeast(figures.ours.median, 0.95, 'goodput / limit'),
      atMost(100 * turnedAway('ours').median, 1, 'percent of calls turned away'),
      atLeast(fairness('ours').median, 0.95, "Jain's fairness of accounts"),
    ],
    notes: [
      `${replicas} processes each; ${seconds} s of backlog for accounts of ${allowed} calls a second`,
      "the provider lets a second's worth through at once; neither that second of an account is counted nor its last twentieth",
      `the plain peer: ${percent(turnedAway('naive').median)} turned away, fairness ${fairness('naive').median.toFixed(3)}`,
      `until the last refund of a backlog of ${seconds} s: ours ${until('ours')} s, the plain peer ${until('naive')} s`,
      'after each round the ledger was checked: each refund made once, with ours also events and payments',
    ],
  };
}

const percent = (part: number) => `${(100 * part).toFixed(1)} %`;

/** 1 where all got the same part of their limits, 1 / n where one got all. */
function jain(shares: readonly number[]): number {
  const sum = shares.reduce((total, share) => total + share, 0);
  return sum ** 2 / (shares.length * shares.reduce((total, share) => total + share ** 2, 0));
}

async function ours(stage: Stage, provider: Provider, seconds: number): Promise<Kept> {
  const file = join(stage.folder, 'accounts.json');
  const listed = accounts.map(({ account, apiKey, perSecond }) => ({
    provider: 'stripe',
    account,
    apiKey,
    webhookSecrets: ['whsec_benchmark'],
    apiBase: provider.url,
    callsPerSecond: perSecond,
    callsPerSecondAndEndpoint: perSecond,
  }));
  writeFileSync(file, JSON.stringify(listed));
  const database = await stage.database();
  const { client, url } = database;
  for (const { account, perSecond } of accounts) await approve(client, { prefix: account, count: perSecond * seconds, account });
  const env = { DATABASE_URL: url, KAFKA_BROKERS: stage.brokers, REDRESS_ACCOUNTS: file };
  const kept = await round(stage, provider, database, seconds, {
    who: 'ours',
    start: (number) => stage.process(`ours-${number}`, 'apps/worker/src/main.js', env),
    outcomes: () => outcomes(client),
    faults: async (calls) => [...(await faultsOfBooks(client)), ...strangers(calls, await sentRefunds(client))],
  });
  await database.drop();
  return kept;
}

async function naive(stage: Stage, provider: Provider, seconds: number): Promise<Kept> {
  const database = await stage.database();
  const { client, url } = database;
  await makeNaive(client);
  for (const account of accounts) await fillNaive(client, account, account.perSecond * seconds);
  const env = { DATABASE_URL: url, PROVIDER_URL: provider.url, ACCOUNTS: JSON.stringify(accounts) };
  const kept = await round(stage, provider, database, seconds, {
    who: 'naive',
    start: (number) => stage.process(`naive-${number}`, 'test/benchmarks/rate-limits/naive.js', env),
    outcomes: () => naiveOutcomes(client),
    faults: async (calls) => strangers(calls, await naiveRefunds(client)),
  });
  await database.drop();
  return kept;
}

interface Contender {
  readonly who: 'ours' | 'naive';
  start(number: number): Child;
  outcomes(): Promise<number>;
  /** What is wrong in its books, or nothing. */
  faults(calls: readonly Call[]): Promise<readonly string[]>;
}

async function round(
  stage: Stage,
  provider: Provider,
  { client }: RoundDatabase,
  seconds: number,
  contender: Contender,
): Promise<Kept> {
  await settle(client);
  await provider.begin({ perSecond: Object.fromEntries(accounts.map(({ apiKey, perSecond }) => [apiKey, perSecond])) });
  const children = Array.from({ length: replicas }, (_, index) => contender.start(index + 1));
  try {
    const all = accounts.reduce((sum, { perSecond }) => sum + perSecond * seconds, 0);
    const areDone = async () => (await contender.outcomes()) === all;
    await stage.until(`all ${all} refunds have their outcome`, `${contender.who}-1`, areDone, 60_000 + 10_000 * seconds, 250);
  } finally {
    await Promise.all(children.map((child) => child.stop(30_000)));
  }
  const calls = await provider.calls();
  const faults = [...(await contender.faults(calls)), ...doubleEffects(calls), ...twice(calls)];
  if (faults.length > 0)
    throw new Error(`${contender.who} left ${faults.length} faults in the books: ${faults.slice(0, 5).join('; ')}`);
  return {
    shares: accounts.map(({ apiKey, perSecond }) => rateOf(calls, apiKey) / perSecond),
    turnedAway: calls.filter(({ status }) => status === 429).length / calls.length,
    seconds: ((calls.findLast(({ status }) => status === 200)?.atMs ?? 0) - (calls[0]?.atMs ?? 0)) / 1000,
  };
}

/** Nothing that was done is asked for again. */
function twice(calls: readonly Call[]): string[] {
  const made = Map.groupBy(
    calls.filter(({ status }) => status === 200),
    ({ key }) => key,
  );
  return [...made].flatMap(([key, same]) => (same.length === 1 ? [] : [`${key} was answered ${same.length} times`]));
}

/** Calls a second that were let through, from where the burst is over to where little of the backlog is left. */
function rateOf(calls: readonly Call[], apiKey: string): number {
  const at = calls.flatMap((call) => (call.apiKey === apiKey && call.status === 200 ? [call.atMs] : []));
  const [from, to] = [(at[0] ?? 0) + burstMs, at[Math.ceil(untilShare * at.length) - 1] ?? 0];
  return (1000 * at.filter((ms) => ms > from && ms <= to).length) / (to - from);
}
