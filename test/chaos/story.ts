/* One run: load and faults, then all is healed, what is open is waited for, and the checker has its say. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Kafka, logLevel } from 'kafkajs';
import { askedBy, check, type Finding, untold } from './checker.js';
import { Clients } from './clients.js';
import type { Evidence } from './evidence.js';
import { gather } from './gather.js';
import { kinds, Nemesis } from './nemesis.js';
import { Rig } from './rig.js';
import { Seeded } from './seeded.js';

export interface StorySettings {
  readonly seed: number;
  readonly ms: number;
  readonly perSecond: number;
  /** Where the history, the report and, on a finding, all that was read are kept. */
  readonly folder: string;
  readonly say: (what: string) => void;
}

export interface Report {
  readonly seed: number;
  readonly seconds: number;
  readonly drainSeconds: number;
  /** Null where all open work ended in time. */
  readonly stuck: string | null;
  readonly findings: readonly Finding[];
  readonly injected: Readonly<Record<string, number>>;
  readonly clients: Readonly<Record<string, number>>;
  readonly figures: Readonly<Record<string, number>>;
  readonly nemesisErrors: readonly string[];
  readonly endings: readonly string[];
}

/** Within which all that is open must end: so long, and so much of the time in which it came up. */
const drainWithin = { ms: 300_000, share: 0.3 };

export async function story({ seed, ms, perSecond, folder, say }: StorySettings): Promise<Report> {
  say('Starting PostgreSQL, three Kafka brokers, the simulators, two apis and three workers ...');
  const rig = await Rig.start();
  let isFine = false;
  try {
    const clients = new Clients(rig, new Seeded(seed), seed, join(folder, `history-${seed}.jsonl`));
    const nemesis = new Nemesis(rig, new Seeded(seed ^ 0x5eed), say);
    say(`Load and faults for ${ms / 1_000} s, seed ${seed}`);
    const faults = nemesis.run(ms);
    await Promise.all([clients.run(faults, perSecond), faults]);
    say('Healing');
    await nemesis.heal();
    const begun = Date.now();
    await rig.until('the apis are ready again', () => rig.ready(), 120_000);
    await clients.end();
    const { left: stuck, asked } = await drained(rig, drainWithin.ms + drainWithin.share * ms, say);
    const drainSeconds = Math.round((Date.now() - begun) / 1_000);
    say('Reading the books, the database, Kafka and the feed');
    const evidence = await gather(rig, clients.history);
    const findings = check(evidence);
    const report: Report = {
      seed,
      seconds: ms / 1_000,
      drainSeconds,
      stuck,
      findings,
      injected: Object.fromEntries(
        Object.entries(kinds).map(([kind, name]) => [name, nemesis.counts.get(kind as keyof typeof kinds) ?? 0]),
      ),
      clients: Object.fromEntries([...clients.counts].toSorted(([a], [b]) => a.localeCompare(b))),
      figures: { ...figuresOf(evidence, rig), 'refunds that a person found out about': asked },
      nemesisErrors: nemesis.errors,
      endings: rig.endings,
    };
    isFine = findings.length === 0 && stuck === null;
    writeFileSync(join(folder, `report-${seed}.json`), JSON.stringify(report, null, 2));
    if (!isFine) writeFileSync(join(folder, `evidence-${seed}.json`), JSON.stringify(evidence));
    if (!isFine) say(`Logs and data are kept in ${rig.folder}`);
    return report;
  } finally {
    await rig.stop({ keep: !isFine });
  }
}

/**
 * Waits for open work, and has time pass so that retries, repeated webhooks and sweeps come due. After a day of it, what nobody can tell is
 * found out by a person. What is left is told.
 */
async function drained(rig: Rig, withinMs: number, say: (what: string) => void): Promise<{ left: string | null; asked: number }> {
  const end = Date.now() + withinMs;
  let left = '';
  let asked = 0;
  for (let hours = 0; Date.now() < end;) {
    const { due, waiting } = await openWork(rig);
    left = [due, waiting].filter((each) => each !== '').join(', ');
    if (left === '' && hours >= 24) return { left: null, asked };
    if (due === '') {
      if (hours >= 24) asked += await findOut(rig);
      // Every three hours: retries come due, webhooks come again, and the sweeps see what no webhook told.
      await rig.control('clock', { advanceSeconds: 3 * 3_600 });
      hours += 3;
      await sleep(4_000);
      continue;
    }
    say(`still open: ${left}`);
    await sleep(3_000);
  }
  return { left: left === '' ? null : left, asked };
}

/** What a person says of a refund that is over. */
const ended: Readonly<Record<string, string>> = { succeeded: 'succeeded', failed: 'failed', canceled: 'failed' };

/** A person looks into the provider's books and says what became of refunds of which nobody could tell. */
async function findOut(rig: Rig): Promise<number> {
  const unknown = await rig.query<{ id: string }>(
    `select 'rf_' || replace(id::text, '-', '') as id from refund where status = 'outcome_unknown' and attention = 'outcome_unknown'`,
  );
  const { payments } = (await rig.books()) as Evidence['books'];
  const booked = payments.flatMap(({ refunds }) => refunds);
  for (const { id } of unknown) {
    const theirs = booked.findLast((refund) => askedBy(refund) === id);
    const outcome = theirs === undefined ? 'not_created' : ended[theirs.status];
    if (outcome === undefined) continue; // It is still under way.
    const word = theirs === undefined ? { outcome } : { outcome, providerRefundId: theirs.id };
    await rig.call('POST', `/v1/refunds/${id}/resolve`, { ...word, reason: "Looked up in the provider's books" });
  }
  return unknown.length;
}

/** What should go on by itself, and what waits for its time or behind what does. */
async function openWork(rig: Rig): Promise<{ due: string; waiting: string }> {
  const waiting = await rig.query<{ what: string; n: number }>(
    `select 'refunds ' || status as what, count(*)::int as n from refund
       where status in ('requested', 'approved', 'submitted', 'outcome_unknown') group by 1
     union all select 'webhooks', count(*)::int from webhook_delivery where disposition is null and operation_id is not null having count(*) > 0`,
  );
  const rows = await rig.query<{ what: string; n: number }>(
    `select kind as what, count(*)::int as n from provider_operation
       where state = 'open' and head and kind not in ('refunds.list', 'disputes.list') and run_at < service_now() + interval '5 seconds' group by 1
     union all select 'webhooks', count(*)::int from webhook_delivery where disposition is null and operation_id is null having count(*) > 0
     union all select 'events to seal', left_over::int from (
       select (select count(*) from event) - (select coalesce(sum(entries), 0) from event_position) as left_over
     ) log where left_over > 0
     union all select 'events to send on ' || c.topic, sum(least(p.entries, p.position - c.position))::int from topic_cursor c
       join event_position p on p.topic = c.topic and p.position > c.position group by 1`,
  );
  const behind = await commandsBehind(rig);
  const told = (all: readonly { what: string; n: number }[]) => all.map(({ what, n }) => `${n} ${what}`).join(', ');
  return { due: told([...rows, ...(behind > 0 ? [{ what: 'commands on Kafka', n: behind }] : [])]), waiting: told(waiting) };
}

async function commandsBehind(rig: Rig): Promise<number> {
  const admin = new Kafka({ brokers: rig.places.brokers.split(','), logLevel: logLevel.NOTHING }).admin();
  await admin.connect();
  try {
    const stored = await rig.query<{ topic: string; partition: number; next: string }>(
      'select topic, partition, next_offset::text as next from partition_offset',
    );
    let behind = 0;
    for (const topic of ['refunds.commands.v1', 'disputes.commands.v1']) {
      for (const { partition, high } of await admin.fetchTopicOffsets(topic)) {
        const next = stored.find((row) => row.topic === topic && row.partition === partition)?.next ?? '0';
        behind += Math.max(0, Number(high) - Number(next));
      }
    }
    return behind;
  } finally {
    await admin.disconnect();
  }
}

function figuresOf({ history, books, database, topics, feed, attention }: Evidence, rig: Rig): Record<string, number> {
  const sent = Object.values(topics).flat();
  return {
    'tries of clients': history.length,
    commands: new Set(history.map(({ door, key }) => `${door} ${key}`)).size,
    'tries of unknown end': history.filter(({ end }) => end === 'unknown').length,
    payments: books.payments.length,
    'refunds at the providers': books.payments.reduce((sum, { refunds }) => sum + refunds.length, 0),
    "refunds in Zamp's dashboard that no callback told of": untold(books).size,
    'refunds that a person is told of': database.refunds.filter((refund) => refund.attention !== null).length,
    'refunds in our book': database.refunds.length,
    'refunds succeeded': database.refunds.filter(({ status }) => status === 'succeeded').length,
    'refunds rejected': database.refunds.filter(({ status }) => status === 'rejected').length,
    disputes: database.disputes.length,
    'answers to disputes': books.payments.flatMap(({ disputes }) => disputes).filter((each) => each.submissions + each.closes > 0)
      .length,
    'webhooks sent': books.webhooks.length,
    'webhooks kept': database.deliveries.length,
    'events in the log': database.events.length,
    'records on Kafka': sent.length,
    'records that came more than once': sent.length - new Set(sent.map(({ id }) => id)).size,
    'events in the feed': feed.length,
    'shown to people': attention.length,
    'processes that ended by themselves': rig.endings.length,
  };
}

/** What makes a run no proof: faults that were not injected as meant, and work that was hardly asked for, where it was long enough. */
export function unmet({ seconds, injected, clients, figures, nemesisErrors }: Report): string[] {
  if (seconds < 120) return [];
  const never = Object.keys(injected).filter((kind) => injected[kind] === 0);
  const asked = ['commands over http ok', 'commands over kafka ok', 'commands repeated', 'disputes opened (F29)'];
  const few = (figures['refunds succeeded'] ?? 0) * 5 < (figures['commands'] ?? 0) ? ['a refund for every fifth command'] : [];
  const answers = figures['answers to disputes'] === 0 ? ['an answer to a dispute'] : [];
  return [...never, ...asked.filter((what) => (clients[what] ?? 0) === 0), ...few, ...answers, ...nemesisErrors];
}

/** Of processes that ended by themselves, those that did not mean to: one that kafkajs has left without a consumer does. */
export function crashes({ endings }: Report): string[] {
  return endings.filter((ending) => !ending.includes('kafkajs has given up'));
}

export function tell(report: Report): string {
  const never = unmet(report);
  const lines = (all: Readonly<Record<string, number>>) =>
    Object.entries(all)
      .map(([what, n]) => `  ${String(n).padStart(6)}  ${what}`)
      .join('\n');
  const total = Object.values(report.injected).reduce((sum, n) => sum + n, 0);
  const verdict =
    report.findings.length === 0 && report.stuck === null
      ? 'zero lost, zero doubled, zero out of order, zero stuck'
      : `${report.findings.length} findings${report.stuck === null ? '' : `; still open: ${report.stuck}`}`;
  return [
    `seed ${report.seed}, ${report.seconds} s, drained in ${report.drainSeconds} s: ${verdict}`,
    `\ninjected and healed: ${total}\n${lines(report.injected)}`,
    `\nclients\n${lines(report.clients)}`,
    `\nfigures\n${lines(report.figures)}`,
    ...never.map((what) => `\nNOT AS MEANT: ${what}`),
    ...report.endings.map((ending) => `\n${ending}`),
    ...report.findings.slice(0, 40).map(({ rule, what }) => `\nBROKEN ${rule}: ${what}`),
  ].join('\n');
}
