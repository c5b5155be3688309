/*
 * Recovery: how long what a killed replica held lies there until another one takes it up.
 *
 * Three processes send refunds at half of what they can, to a provider that takes 50 ms; then one of them is killed. Ours are
 * workers as they ship, whose operations are leased; peers are in recovery/contenders.ts. Time runs from the kill until the last
 * of what it held was taken by somebody else, as the tables tell, and the load goes on meanwhile. Nothing may be done twice: the
 * provider's book has one refund for each.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { type Child, signalTo } from '../../scripts/child.js';
import { atMost, figure, type Result } from './figures.js';
import { inTurn } from './operations/in-turn.js';
import { doubleEffects, type Provider, startProvider, strangers } from './operations/provider.js';
import { installPeers } from './peers.js';
import { type Contender, graphile, type Held, type Make, ours, pgBoss } from './recovery/contenders.js';
import type { RoundDatabase, Stage } from './stage.js';

const replicas = ['replica-1', 'replica-2', 'replica-3'] as const;
const victim = replicas[2];
const delayMs = 50;
/** As worker.module.ts has it. */
const leaseMs = 30_000;
/** How long the replicas send before one of them is killed. */
const beforeMs = 8_000;
/** Whoever holds something for longer than this after the kill is the one that was killed. */
const longestHoldMs = 3_000;
/** At half load a replica may have nothing in hand just then. */
const mostTries = 5;
/** Refunds come in this often. */
const feedMs = 20;
/** How long anybody is waited for. */
const patienceMs = 60_000;

export interface RecoverySettings {
  readonly pairs: number;
  /** By how many it is estimated what three replicas can take. */
  readonly operations: number;
}

interface Recovered {
  readonly orphans: number;
  /** Not taken up while they were waited for. */
  readonly left: number;
  /** From the kill until the last was taken up; as long as they were waited for, where some are left. */
  readonly seconds: number;
  readonly doubleEffects: number;
}

const contenders = { ours, 'pg-boss': pgBoss, graphile } satisfies Record<string, Make>;
type Who = keyof typeof contenders;

export async function recovery(stage: Stage, { pairs, operations: count }: RecoverySettings): Promise<Result> {
  await installPeers();
  const provider = await startProvider(stage);
  const load = {} as Record<Who, number>;
  for (const who of Object.keys(contenders) as Who[]) {
    load[who] = (await withContender(stage, provider, who, (contender) => capacity(stage, contender, count))) / 2;
    console.error(`recovery: ${who} is given ${load[who].toFixed(0)} refunds/s, half of what three replicas take`);
  }
  const of = (who: Who) => async () => {
    for (let tries = 1; tries <= mostTries; tries += 1) {
      const came = await withContender(stage, provider, who, (contender, database) =>
        round(stage, provider, contender, database, who, load[who]),
      );
      if (came.orphans > 0) return came;
      console.error(`recovery: the replica of ${who} held nothing when it was killed; once more`);
    }
    throw new Error(`the replica of ${who} held nothing in ${mostTries} rounds`);
  };
  const rounds = await inTurn<Who, Recovered>(
    pairs,
    { ours: of('ours'), 'pg-boss': of('pg-boss'), graphile: of('graphile') },
    (pair, who, { orphans, left, seconds }) => {
      console.error(
        `recovery, pair ${pair} of ${pairs}: ${who} took up ${orphans - left} of ${orphans} in ${seconds.toFixed(1)} s`,
      );
    },
  );
  await provider.stop();

  const seconds = (who: Who) => figure(rounds[who].map((each) => each.seconds));
  const total = (who: Who, what: 'orphans' | 'left' | 'doubleEffects') => rounds[who].reduce((sum, each) => sum + each[what], 0);
  const figures = { ours: seconds('ours'), 'pg-boss': seconds('pg-boss'), graphile: seconds('graphile') };
  return {
    name: 'recovery',
    unit: 'seconds from the kill of one of three replicas until the last of what it held is taken up',
    figures,
    ratios: { 'pg-boss': figures.ours.median / figures['pg-boss'].median },
    targets: [
      atMost((1000 * figures.ours.median) / leaseMs, 1.3, 'time to the last orphan taken up / lease'),
      atMost(total('ours', 'doubleEffects'), 0, 'double effects'),
    ],
    notes: [
      `lease of ${leaseMs / 1000} s; orphans: ${total('ours', 'orphans')} of ours, ${total('pg-boss', 'orphans')} of pg-boss`,
      'pg-boss at the shortest that it takes: a heartbeat of 10 s, looked after every second',
      `graphile-worker: ${total('graphile', 'left')} of ${total('graphile', 'orphans')} orphaned jobs were not taken up in the ` +
        `${patienceMs / 1000} s that they were waited for, which its figure is; its locks expire after 4 hours`,
      `half load: ${(Object.entries(load) as [Who, number][]).map(([who, rate]) => `${who} ${rate.toFixed(0)}/s`).join(', ')}`,
      'after each round the ledger was checked: with ours and pg-boss all have one refund at the provider and one outcome',
      `refunds made twice: pg-boss ${total('pg-boss', 'doubleEffects')}, graphile-worker ${total('graphile', 'doubleEffects')}`,
    ],
  };
}

async function withContender<T>(
  stage: Stage,
  provider: Provider,
  who: Who,
  work: (contender: Contender, database: RoundDatabase) => Promise<T>,
): Promise<T> {
  const database = await stage.database();
  await provider.begin({ delayMs });
  const contender = await contenders[who](stage, provider, database);
  const came = await work(contender, database);
  await contender.close();
  await database.drop();
  return came;
}

/** Refunds a second that three replicas do of a backlog, once they have warmed up. */
async function capacity(stage: Stage, contender: Contender, count: number): Promise<number> {
  await contender.add(count);
  const children = replicas.map((replica) => contender.start(replica));
  try {
    let [from, fromMs, to, toMs] = [0, 0, 0, 0];
    const isDone = async () => {
      [to, toMs] = [await contender.outcomes(), performance.now()];
      if (from === 0 && to >= count / 3) [from, fromMs] = [to, toMs];
      return to >= count;
    };
    await stage.until(`all ${count} have their outcome`, victim, isDone, 300_000, 100);
    return (1000 * (to - from)) / (toMs - fromMs);
  } finally {
    await stopAll(children);
  }
}

async function round(
  stage: Stage,
  provider: Provider,
  contender: Contender,
  database: RoundDatabase,
  who: Who,
  perSecond: number,
): Promise<Recovered> {
  const children = replicas.map((replica) => contender.start(replica));
  try {
    const feed = new Feed(contender, perSecond);
    await sleep(beforeMs);
    const killed = children.at(-1);
    if (killed === undefined || !signalTo(killed.pid, 'SIGKILL')) throw new Error(`${victim} has ended by itself`);
    const killedAt = Date.now();
    await killed.ended;
    // What its connections had still to do is done by then.
    await stage.until('its connections are gone', victim, () => isGone(database), 20_000);
    const recovered = await takenUp(contender, await contender.held(), killedAt);
    await feed.stop();
    const stays = who === 'graphile' ? recovered.left : 0;
    const areDone = async () => (await contender.outcomes()) >= feed.added - stays;
    await stage.until('all have their outcome', replicas[0], areDone, 120_000, 250);
    return { ...recovered, doubleEffects: await check(provider, contender, who) };
  } finally {
    await stopAll(children);
  }
}

async function isGone({ client }: RoundDatabase): Promise<boolean> {
  const { rows } = await client.query('select from pg_stat_activity where application_name = $1', [victim]);
  return rows.length === 0;
}

/** Waits until all that is still held by the killed one is taken by somebody else. */
async function takenUp(contender: Contender, held: readonly Held[], killedAt: number): Promise<Omit<Recovered, 'doubleEffects'>> {
  const tokens = new Map(held.map(({ id, token }) => [id, token]));
  const taken = new Map<string, number>();
  while (tokens.size > 0 && Date.now() < killedAt + patienceMs) {
    await sleep(100);
    const seen = new Map((await contender.look([...tokens.keys()])).map((each) => [each.id, each]));
    for (const [id, token] of tokens) {
      const now = seen.get(id);
      const isStill = now?.token === token && !now.isOver;
      const isJustTaken = now !== undefined && now.token !== token && now.takenAt.getTime() < killedAt;
      if (isStill || isJustTaken) continue;
      const isAnothers = now === undefined ? Date.now() > killedAt + longestHoldMs : now.token !== token;
      if (isAnothers) taken.set(id, now?.takenAt.getTime() ?? Date.now());
      tokens.delete(id);
    }
  }
  const orphans = taken.size + tokens.size;
  const tookMs = tokens.size > 0 ? patienceMs : Math.max(0, ...taken.values()) - killedAt;
  return { orphans, left: tokens.size, seconds: tookMs / 1000 };
}

/** How many refunds were made twice; anything else that is wrong ends the run. */
async function check(provider: Provider, contender: Contender, who: Who): Promise<number> {
  const calls = await provider.calls();
  // What graphile-worker leaves locked is never done here, and was told of.
  const faults = who === 'graphile' ? [] : [...(await contender.faults()), ...strangers(calls, await contender.refunds())];
  if (faults.length > 0) throw new Error(`${who} left ${faults.length} faults in the books: ${faults.slice(0, 5).join('; ')}`);
  return doubleEffects(calls).length;
}

async function stopAll(children: readonly Child[]): Promise<void> {
  await Promise.all(children.map((child) => child.stop(30_000)));
}

/** Puts in refunds at an even pace. */
class Feed {
  added = 0;
  private stopped = false;
  private readonly ended: Promise<void>;

  constructor(
    private readonly contender: Contender,
    private readonly perSecond: number,
  ) {
    this.ended = this.run();
    this.ended.catch(() => undefined); // Whoever stops it hears of it.
  }

  async stop(): Promise<void> {
    this.stopped = true;
    await this.ended;
  }

  private async run(): Promise<void> {
    for (const from = performance.now(); !this.stopped; await sleep(feedMs)) {
      const due = Math.floor(((performance.now() - from) / 1000) * this.perSecond) - this.added;
      if (due === 0) continue;
      await this.contender.add(due);
      this.added += due;
    }
  }
}
