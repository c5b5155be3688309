/*
 * Judges a run by what was read from each place: the clients' history, the providers' books, the database, Kafka and the feed. It imports
 * nothing of the service and knows none of its decisions, only what must be true of any service that refunds. Each finding names the rule
 * and what breaks it.
 */
import type { Action, Booked, Evidence, Kept } from './evidence.js';

export interface Finding {
  readonly rule:
    | 'one effect per command'
    | 'one answer per dispute'
    | 'no more than captured'
    | 'one outcome per command'
    | 'webhooks disposed of'
    | 'every event on Kafka'
    | 'in order'
    | 'feed equals log'
    | 'statuses agree'
    | 'nothing open without attention';
  readonly what: string;
}

export function check(evidence: Evidence): Finding[] {
  return [
    ...effects(evidence),
    ...answers(evidence),
    ...canceled(evidence),
    ...captured(evidence),
    ...outcomes(evidence),
    ...webhooks(evidence),
    ...onKafka(evidence),
    ...feed(evidence),
    ...statuses(evidence),
    ...open(evidence),
  ];
}

/** A movement of money that did not fail. */
const stands = ({ status }: { readonly status: string }) => status !== 'failed' && status !== 'canceled';

/** Which of our refunds asked for it; null for one from the dashboard. */
export function askedBy(refund: Booked['refunds'][number]): string | null {
  const { redress_refund: stripe, reference_id: zamp } = refund.metadata;
  return stripe ?? (zamp === undefined || zamp === '' ? null : (zamp.split(':')[0] ?? null));
}

function effects({ history, books, database }: Evidence): Finding[] {
  const found: Finding[] = [];
  const tell = (what: string) => void found.push({ rule: 'one effect per command', what });
  const booked = new Map<string, Booked['refunds'][number][]>();
  for (const payment of books.payments) {
    for (const refund of payment.refunds) {
      const ours = askedBy(refund);
      if (ours !== null) booked.set(ours, [...(booked.get(ours) ?? []), refund]);
    }
  }
  const refunds = new Map(database.refunds.map((refund) => [refund.id, refund]));
  for (const [id, all] of booked) {
    const standing = all.filter(stands);
    const refund = refunds.get(id);
    if (standing.length > 1) tell(`${id} was refunded ${standing.length} times: ${standing.map((each) => each.id).join(', ')}`);
    if (refund === undefined) tell(`the provider has a refund for ${id}, which we do not know`);
    for (const each of standing) {
      if (refund?.amount !== undefined && refund.amount !== each.amount)
        tell(`${id} is of ${refund.amount}, and ${each.id} of ${each.amount}`);
    }
  }
  for (const { id, origin, status } of refunds.values()) {
    const standing = (booked.get(id) ?? []).filter(stands);
    if (origin === 'command' && status === 'succeeded' && standing.length === 0)
      tell(`${id} succeeded, and the provider has none`);
  }
  const byKey = Map.groupBy(
    database.refunds.filter(({ key }) => key !== null),
    ({ door, key }) => `${door} ${key}`,
  );
  for (const [key, all] of byKey) if (all.length > 1) tell(`the command ${key} made ${all.length} refunds`);
  for (const [key, actions] of byCommand(history, 'refund')) {
    const answers = new Set(actions.flatMap(({ otherBody, refundId }) => (otherBody ? [] : (refundId ?? []))));
    if (answers.size > 1) tell(`the command ${key} was answered with ${[...answers].join(' and ')}`);
    for (const id of answers) if (!refunds.has(id)) tell(`the command ${key} was answered with ${id}, which is gone`);
    if (actions.some(({ otherBody, end }) => otherBody && end === 'ok' && !key.startsWith('kafka')))
      tell(`the command ${key} was taken again with another body`);
  }
  return found;
}

/** All disputes of a run stay in their first stage, which takes one answer: what was taken up gets there, or a person is told. */
function answers({ history, books, database, topics }: Evidence): Finding[] {
  const found: Finding[] = [];
  const tell = (what: string) => void found.push({ rule: 'one answer per dispute', what });
  const taken = takenOrders(history, topics['disputes.outcomes.v1'] ?? []);
  const ours = new Map(database.disputes.map((dispute) => [dispute.id, dispute]));
  for (const { id, submissions, closes } of books.payments.flatMap(({ disputes }) => disputes)) {
    if (submissions > 1 || closes > 1) tell(`${id} was answered ${submissions} times, and given up ${closes} times`);
    const dispute = ours.get(id);
    const order = taken.find((each) => each.paymentId === dispute?.ours && each.order !== 'cancel');
    // The bank may let us win before our answer is out.
    const isNeeded = dispute?.provider_status !== 'won';
    if (order !== undefined && submissions + closes === 0 && dispute?.attention === null && isNeeded)
      tell(`the order ${order.key} to ${order.order} ${id} was taken, and has come to nothing`);
  }
  return found;
}

/** A refund whose cancellation was taken is canceled, and has moved no money. */
function canceled({ history, books, database, topics }: Evidence): Finding[] {
  const statusOf = new Map(database.refunds.map(({ id, status }) => [id, status]));
  const moved = new Set(books.payments.flatMap(({ refunds }) => refunds.filter(stands).map(askedBy)));
  return takenOrders(history, topics['refunds.outcomes.v1'] ?? [])
    .filter(({ order, paymentId: id }) => order === 'cancel' && (statusOf.get(id) !== 'canceled' || moved.has(id)))
    .map(({ key, paymentId: id }) => ({
      rule: 'one effect per command',
      what: `${id} was canceled by ${key}, is ${statusOf.get(id)}, and ${moved.has(id) ? 'has' : 'has not'} moved money`,
    }));
}

/** What HTTP answered with 2xx, and what Kafka told as accepted. */
function takenOrders(history: readonly Action[], outcomes: readonly Kept[]): Action[] {
  const accepted = new Set(outcomes.filter(({ type }) => type.endsWith('.accepted.v1')).map(({ commandId }) => commandId));
  return history.filter(({ what, door, key, end }) => what === 'order' && (door === 'kafka' ? accepted.has(key) : end === 'ok'));
}

function byCommand(history: readonly Action[], what: Action['what']): Map<string, Action[]> {
  return Map.groupBy(
    history.filter((action) => action.what === what),
    ({ door, key }) => `${door} ${key}`,
  );
}

/**
 * Refunds that nobody could know of: Zamp has no list of refunds, so one from its dashboard whose every callback was lost is not to be found.
 */
export function untold(books: Evidence['books']): Set<string> {
  const heard = books.webhooks
    .filter(({ answers }) => answers.some((answer) => typeof answer === 'number' && answer >= 200 && answer < 300))
    .map(({ subject }) => subject);
  const made = books.payments.flatMap(({ provider, refunds }) =>
    provider === 'zamp' ? refunds.filter((refund) => askedBy(refund) === null).map(({ id }) => id) : [],
  );
  return new Set(made.filter((id) => !heard.includes(id)));
}

/** Why a person is told of a refund of which we cannot say what became of it. All other reasons tell what is known. */
const doubts: ReadonlySet<string> = new Set(['outcome_unknown', 'contradiction', 'operation_parked', 'late_command']);

function captured({ books, database }: Evidence): Finding[] {
  const found: Finding[] = [];
  const tell = (what: string) => void found.push({ rule: 'no more than captured', what });
  const silent = untold(books);
  const ours = new Map(database.payments.map((payment) => [`${payment.provider} ${payment.name}`, payment]));
  for (const { provider, paymentId, amount, refunds } of books.payments) {
    const sum = (all: readonly { readonly amount: number }[]) => all.reduce((total, each) => total + each.amount, 0);
    const decided = sum(refunds.filter((refund) => stands(refund) && askedBy(refund) !== null));
    if (decided > amount) tell(`${paymentId} captured ${amount}, and we refunded ${decided}`);
    const payment = ours.get(`${provider} ${paymentId}`);
    if (payment === undefined || !payment.read) continue;
    const refunded = sum(refunds.filter((refund) => stands(refund) && !silent.has(refund.id)));
    if (payment.captured !== amount) tell(`${paymentId} captured ${amount}, and our book says ${payment.captured}`);
    const { refunded: booked, reserved } = payment;
    const told = `${refunded} of ${paymentId} was refunded, and our book says ${booked} and ${reserved} held`;
    // Never less than there is. More only where a person is told: what is in doubt stays taken until he has spoken.
    const isInDoubt = database.refunds.some(({ payment: name, attention }) => name === paymentId && doubts.has(attention ?? ''));
    if (booked + reserved < refunded || (booked + reserved > refunded && !isInDoubt)) tell(told);
  }
  return found;
}

function outcomes({ history, database, topics }: Evidence): Finding[] {
  const found: Finding[] = [];
  const tell = (what: string) => void found.push({ rule: 'one outcome per command', what });
  const told = firstOnly([...(topics['refunds.outcomes.v1'] ?? []), ...(topics['disputes.outcomes.v1'] ?? [])]);
  const decided = told.filter(
    // Another body under a known key has a refusal of its own, and is no second word on the first.
    ({ type, code }) => /\.(accepted|rejected)\.v1$/.test(type) && code !== 'idempotency_key_reused',
  );
  const letters = new Set(['refunds', 'disputes'].flatMap((of) => topics[`${of}.commands.v1.dlq`] ?? []).map(({ key }) => key));
  const poison = new Set(history.flatMap(({ what, key }) => (what === 'poison' ? key : [])));
  for (const { what, key, end } of history)
    if (what === 'poison' && end === 'ok' && !letters.has(key)) tell(`the unreadable record ${key} is no dead letter`);
  // A command that is set aside is lost, though its sender is told.
  for (const key of letters) if (key === null || !poison.has(key)) tell(`a command of ${key} was set aside`);
  for (const { commandId, code } of told)
    if (code === 'internal') tell(`the command ${commandId} was refused for a fault of ours`);
  const byCommandId = Map.groupBy(decided, ({ commandId }) => commandId ?? '');
  for (const { key, end } of history.filter(({ what, door }) => what === 'order' && door === 'kafka')) {
    const count = byCommandId.get(key)?.length ?? 0;
    if (count > 1 || (end === 'ok' && count === 0)) tell(`the order ${key} has ${count} outcomes`);
  }
  for (const [command, actions] of byCommand(history, 'refund')) {
    const [door = '', key = ''] = command.split(' ');
    const isTaken = actions.some(({ end, otherBody }) => end === 'ok' && !otherBody);
    if (door === 'kafka') {
      const count = byCommandId.get(key)?.length ?? 0;
      const isReused = actions.some(({ end, otherBody }) => end === 'ok' && otherBody);
      if (isReused && !told.some(({ commandId, code }) => commandId === key && code === 'idempotency_key_reused'))
        tell(`the command ${key} came again with another body, and nobody was told`);
      if (count > 1 || (isTaken && count === 0)) tell(`the command ${key} has ${count} outcomes`);
      continue;
    }
    const statuses = new Set(
      actions.flatMap(({ otherBody, end, status }) => (otherBody || end === 'unknown' ? [] : (status ?? []))),
    );
    if (statuses.size > 1) tell(`the command ${key} was answered with ${[...statuses].join(' and ')}`);
    if (isTaken && !database.refunds.some((refund) => refund.door === 'http' && refund.key === key))
      tell(`the command ${key} was taken and has no refund`);
  }
  return found;
}

function webhooks({ books, database }: Evidence): Finding[] {
  const found: Finding[] = [];
  const tell = (what: string) => void found.push({ rule: 'webhooks disposed of', what });
  const kept = new Set(database.deliveries.filter(({ disposition }) => disposition !== null).map(({ notice }) => notice));
  for (const { id, provider, type, subject, answers } of books.webhooks) {
    if (!answers.some((answer) => typeof answer === 'number' && answer >= 200 && answer < 300)) continue;
    // Zamp's callbacks have no id: what they are about, and what they say of it, names them.
    const notice = provider === 'stripe' ? id.split(' ')[0] : type.replace(' ', `:${subject}:`);
    if (!kept.has(notice ?? '')) tell(`the webhook ${id} about ${subject} was answered with 2xx, and has no disposition`);
  }
  for (const { notice, disposition, detail } of database.deliveries) {
    if (disposition === null) tell(`the webhook ${notice} waits`);
    // While one is on its way the clock may jump; it is signed anew for the next try.
    if (disposition === 'rejected' && !detail?.startsWith('too_old'))
      tell(`the webhook ${notice} is genuine and was rejected: ${detail}`);
  }
  return found;
}

function firstOnly(records: readonly Kept[]): Kept[] {
  const seen = new Set<string>();
  return records.filter(({ id }) => !seen.has(id) && seen.add(id) !== undefined);
}

/** The newest only, on a compacted topic. */
const compacted = 'payments.refundability.v1';

function onKafka({ database, topics }: Evidence): Finding[] {
  const found: Finding[] = [];
  const tell = (rule: Finding['rule'], what: string) => void found.push({ rule, what });
  const logged = Map.groupBy(database.events, ({ topic }) => topic);
  if (database.unsealed > 0) tell('every event on Kafka', `${database.unsealed} events are not sealed`);
  for (const topic of new Set([...logged.keys(), ...Object.keys(topics)])) {
    if (topic.endsWith('.dlq') || topic.includes('.commands.')) continue;
    const fresh = firstOnly(topics[topic] ?? []);
    const there = new Set(fresh.map(({ id }) => id));
    const known = new Set((logged.get(topic) ?? []).map(({ id }) => id));
    for (const { id, type, key } of logged.get(topic) ?? [])
      if (!there.has(id) && topic !== compacted) tell('every event on Kafka', `${type} ${id} of ${key} is not on ${topic}`);
    for (const { id } of fresh) if (!known.has(id)) tell('every event on Kafka', `${id} is on ${topic} and not in the log`);
    for (const [key, records] of Map.groupBy(topics[topic] ?? [], (record) => record.key))
      if (new Set(records.map(({ partition }) => partition)).size > 1)
        tell('in order', `${key} is on several partitions of ${topic}`);
    for (const [key, records] of Map.groupBy(fresh, (record) => record.key)) {
      const backwards = records.findIndex(({ sequence }, at) => {
        const before = records[at - 1]?.sequence ?? null;
        return sequence !== null && before !== null && sequence <= before;
      });
      if (backwards > 0) tell('in order', `${key} on ${topic}: ${records.map(({ sequence }) => sequence).join(', ')}`);
    }
  }
  // The number belongs to the payment, across the topics that tell of it.
  const numbered = Object.entries(topics).flatMap(([topic, records]) => (/events/.test(topic) ? firstOnly(records) : []));
  for (const [key, records] of Map.groupBy(numbered, (record) => record.key)) {
    const numbers = records.flatMap(({ sequence }) => sequence ?? []).toSorted((a, b) => a - b);
    if (numbers.some((number, at) => number !== at + 1)) tell('in order', `${key} has gaps: ${numbers.join(', ')}`);
  }
  return found;
}

function feed({ database, feed: shown }: Evidence): Finding[] {
  const logged = database.events.filter(({ topic }) => /\.events\./.test(topic)).map(({ id }) => id);
  const ids = shown.map(({ id }) => id);
  const at = Array.from({ length: Math.max(ids.length, logged.length) }, (_, index) => index).find(
    (index) => ids[index] !== logged[index],
  );
  if (at === undefined) return [];
  return [
    {
      rule: 'feed equals log',
      what: `at ${at} the feed has ${ids[at]} and the log ${logged[at]}; ${ids.length} and ${logged.length} in all`,
    },
  ];
}

/** What the provider's word may be where we say so. */
const agreeing: Readonly<Record<string, readonly string[]>> = {
  succeeded: ['succeeded'],
  pending: ['pending', 'initiated', 'in_process'],
  requires_action: ['requires_action'],
  failed: ['failed', 'canceled'],
  reversed: ['failed', 'canceled'],
};

function statuses({ books, database }: Evidence): Finding[] {
  const found: Finding[] = [];
  const tell = (what: string) => void found.push({ rule: 'statuses agree', what });
  const booked = new Map(books.payments.flatMap(({ refunds }) => refunds.map((refund) => [refund.id, refund] as const)));
  const known = new Set<string>();
  for (const { id, status, attention, provider_refund_id: theirs, known: all } of database.refunds) {
    for (const each of all) known.add(each);
    if (theirs === null) continue;
    known.add(theirs);
    const refund = booked.get(theirs);
    if (refund === undefined) tell(`${id} is ${theirs} at the provider, who does not know it`);
    else if (!(agreeing[status] ?? []).includes(refund.status) && !doubts.has(attention ?? ''))
      tell(`${id} is ${status}, and at the provider ${theirs} is ${refund.status}`);
  }
  const silent = untold(books);
  for (const [id, { status }] of booked)
    if (!known.has(id) && !silent.has(id)) tell(`the provider's ${status} refund ${id} is in no book of ours`);
  const disputes = new Map(database.disputes.map((dispute) => [dispute.id, dispute]));
  for (const { id, status } of books.payments.flatMap((payment) => payment.disputes)) {
    const ours = disputes.get(id);
    if (ours?.provider_status !== status)
      tell(`the dispute ${id} is ${status}, and we say ${ours?.provider_status ?? 'nothing'}`);
  }
  return found;
}

function open({ history, database, attention }: Evidence): Finding[] {
  const found: Finding[] = [];
  const tell = (what: string) => void found.push({ rule: 'nothing open without attention', what });
  const shown = new Set(attention);
  for (const { id, status, attention: why } of database.refunds) {
    const isOpen = ['requested', 'approved', 'submitted', 'outcome_unknown'].includes(status);
    if (isOpen) tell(`${id} is ${status}`);
    if (why !== null && !shown.has(id)) tell(`${id} needs attention (${why}), and is not shown`);
  }
  for (const { id, kind, state } of database.operations) if (!shown.has(id)) tell(`${kind} ${id} is ${state}`);
  if (database.halted > 0) tell(`${database.halted} partitions are halted`);
  for (const { key, end } of history) if (end === 'open') tell(`the client's command ${key} never ended`);
  return found;
}
