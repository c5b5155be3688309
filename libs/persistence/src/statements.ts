/*
 * The statements that every refund goes through, each with what it leans on. Everything takes sets; nothing scans what has ended.
 *
 * A set is looked up with `lateral (... limit 1)`: one probe of the index for each member, whatever the planner believes of the table. A
 * plain join it turns around when the table, or the part of it that an index covers, was nearly empty at its last look, and a burst then
 * pays for reading all of it with every batch. For the same reason nothing asks for an order or for each row once that it does not need:
 * an index that is read from end to end has both to offer.
 */

import { isBegunFirst, operationKinds, pacing } from '#application/operations';

/** Moves a partition on, from where this consumer believed it to be. One row by primary key. */
export const movePartition = `
  update partition_offset set next_offset = $6
  where cluster = $1 and group_id = $2 and topic = $3 and partition = $4 and next_offset = $5`;

export const beginPartition = `
  insert into partition_offset (cluster, group_id, topic, partition, next_offset) values ($1, $2, $3, $4, $5) on conflict do nothing`;

/** Names to payments. Primary key of payment_alias. */
export const findNames = `
  select given.account, given.provider, given.name, found.payment_key
  from unnest($1::text[], $2::text[], $3::text[]) as given (account, provider, name), lateral (
    select payment_key from payment_alias a where (a.account, a.provider, a.name) = (given.account, given.provider, given.name) limit 1
  ) found`;

/** Who holds references (unique index refund_reference). */
export const loadReferences = `
  select given.account, given.reference, found.id
  from unnest($1::text[], $2::text[]) as given (account, reference), lateral (
    select id from refund r
    where r.account = given.account and r.reference = given.reference and r.reference is not null and r.status <> 'rejected' limit 1
  ) found`;

/** Refunds by the provider's ids. Primary key of provider_refund. */
const byProviderId = (account: string, provider: string, id: string) => `
  select given.account, given.provider, given.id, found.refund_id
  from unnest(${account}::text[], ${provider}::text[], ${id}::text[]) as given (account, provider, id), lateral (
    select refund_id from provider_refund p where (p.account, p.provider, p.id) = (given.account, given.provider, given.id) limit 1
  ) found`;
export const loadProviderRefunds = byProviderId('$1', '$2', '$3');

/** Rows for payments that nobody had heard of, in key order, so that two batches with the same newcomers wait for each other in one direction. */
export const hearOfPayments = `
  insert into payment (key, account, provider, name, settled, aliases, captured, reserved, refunded, disputed, lost, basis, waiting, sequence, version)
  select key, account, provider, name, settled, '[]', 0, 0, 0, 0, 0, 'provider', 0, 0, 0
  from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::boolean[]) as given (key, account, provider, name, settled)
  order by key
  on conflict (key) do nothing
  returning key`;

/** The new payments' names. A name that was given to another payment in the meantime stays there. */
export const nameNewPayments = `
  insert into payment_alias (account, provider, name, payment_key)
  select account, provider, name, key from unnest($1::uuid[], $2::text[], $3::text[], $4::text[]) as given (key, account, provider, name)
  order by account, provider, name
  on conflict do nothing`;

/** Which payments are touched through refunds, provider refund ids and operations, some more than once. Primary keys throughout. */
export const findPayments = `
  select found.payment_key from (
    select unnest($1::uuid[]) union all select refund_id from (${byProviderId('$2', '$3', '$4')}) known
  ) given (id), lateral (select payment_key from refund r where r.id = given.id limit 1) found
  union all
  select found.payment_key from unnest($5::uuid[]) as given (id), lateral (
    select payment_key from provider_operation o where o.id = given.id limit 1
  ) found where found.payment_key is not null`;

/** The one lock that decisions about a payment take, in key order. */
export const loadPayments = (selection: string, locked: boolean) =>
  `select ${selection} from payment where key = any($1::uuid[]) order by key ${locked ? 'for update' : ''}`;

/**
 * Wanted refunds, by id, by the provider's id, those that wait on the payments when $6 says so (partial index refund_waiting), and those
 * that went out of them when $7 does (index refund_by_payment; the one by status would hold most refunds there are, so it is kept out).
 */
export const loadRefunds = (selection: string) => `
  select ${selection} from refund where id = any(array(
    select unnest($1::uuid[])
    union all
    select refund_id from (${byProviderId('$2', '$3', '$4')}) known
    union all
    select id from refund where $6 and payment_key = any($5::uuid[]) and status = 'requested'
    union all
    select id from refund where $7 and payment_key = any($5::uuid[]) and status || '' in ('succeeded', 'pending')
  ))`;

/** Disputes by the provider's ids. Unique index dispute_by_provider_id. */
const disputesCalled = (account: string, provider: string, id: string) => `
  select found.id, found.payment_key
  from unnest(${account}::text[], ${provider}::text[], ${id}::text[]) as given (account, provider, id), lateral (
    select id, payment_key from dispute d
    where (d.provider_dispute_id, d.account, d.provider) = (given.id, given.account, given.provider) limit 1
  ) found`;

/** Which payments are touched through disputes and warnings. Primary key of dispute, and the unique indexes by the provider's ids. */
export const findDisputedPayments = `
  select found.payment_key from unnest($1::uuid[]) as given (id), lateral (
    select payment_key from dispute d where d.id = given.id limit 1
  ) found
  union all
  select payment_key from (${disputesCalled('$2', '$3', '$4')}) known
  union all
  select found.payment_key from unnest($5::text[], $6::text[], $7::text[]) as given (account, provider, id), lateral (
    select payment_key from fraud_warning w
    where (w.provider_warning_id, w.account, w.provider) = (given.id, given.account, given.provider) limit 1
  ) found`;

/** Wanted disputes, by id, by the provider's id, and all of the payments when $6 says so (index dispute_by_payment). */
export const loadDisputes = (selection: string) => `
  select ${selection} from dispute where id = any(array(
    select unnest($1::uuid[])
    union all
    select id from (${disputesCalled('$2', '$3', '$4')}) known
    union all
    select id from dispute where $6 and payment_key = any($5::uuid[])
  )) order by ordinal`;

/** Warnings by the provider's ids. Unique index fraud_warning_by_provider_id. */
export const loadWarnings = (selection: string) => `
  select found.* from unnest($1::text[], $2::text[], $3::text[]) as given (account, provider, id), lateral (
    select ${selection} from fraud_warning
    where (provider_warning_id, account, provider) = (given.id, given.account, given.provider) limit 1
  ) found`;

/** Primary keys, and the index evidence_file_by_dispute. */
export const loadDrafts = (selection: string) => `select ${selection} from evidence_draft where dispute_id = any($1::uuid[])`;
export const loadFiles = (selection: string) =>
  `select ${selection} from evidence_file where dispute_id = any($1::uuid[]) order by ordinal`;
export const loadPackets = (selection: string) =>
  `select ${selection} from evidence_packet where dispute_id = any($1::uuid[]) order by dispute_id, round, version`;

/** When payments were paid, by what disputes' drafts call them. Primary keys. Nobody waits for whoever only looks, so it takes no lock. */
export const whenPaid = `
  select given.dispute_id, given.name, found.paid_at
  from unnest($1::uuid[], $2::text[]) as given (dispute_id, name), lateral (
    select account, provider from dispute d where d.id = given.dispute_id limit 1
  ) about, lateral (
    select payment_key from payment_alias a where (a.account, a.provider, a.name) = (about.account, about.provider, given.name) limit 1
  ) called, lateral (
    select paid_at from payment p where p.key = called.payment_key limit 1
  ) found
  where found.paid_at is not null`;

export const removeFiles = `update evidence_file set removed_at = $2 where id = any($1::uuid[]) and removed_at is null`;
export const noteUploads = `
  update evidence_file set provider_file_id = ($2::text[])[array_position($1::uuid[], id)], refused_as = ($3::text[])[array_position($1::uuid[], id)]
  where id = any($1::uuid[])`;

/** Disputes whose alarm is due (partial index dispute_alarm). */
export const dueAlarms = `
  with clocked as materialized (select service_now() as now)
  select due.id from clocked, lateral (
    select id from dispute where next_alarm_at <= clocked.now order by next_alarm_at, id limit $1
  ) due`;

/**
 * Operations by id; what is open for the refunds and disputes; open readings by the provider's names; one head per busy lane.
 * They are locked, in one order, because claiming changes them without a lock on their payment; claiming itself passes over what is locked.
 */
export const loadOperations = (selection: string) => `
  select ${selection} from provider_operation where id = any(array(
    select unnest($1::uuid[])
    union all
    select id from provider_operation where refund_id = any($2::uuid[]) and state in ('open', 'parked')
    union all
    select id from provider_operation where dispute_id = any($5::uuid[]) and state in ('open', 'parked')
    union all
    select id from provider_operation where target = any($3::text[]) and lane is null and state in ('open', 'parked')
    union all
    select id from provider_operation where lane = any($4::text[]) and head and state in ('open', 'parked')
  )) order by id for update`;

/** In a lane whose head has ended the next in line becomes head (index provider_operation_lane). The lane's payment is locked. */
export const promote = `
  update provider_operation set head = true
  where id = any(array(
    select next.id from unnest($1::text[]) as ended (lane),
    lateral (
      select id, head from provider_operation where lane = ended.lane and state in ('open', 'parked') order by head desc, ordinal limit 1
    ) next
    where not next.head
  ))`;

/** What hangs on a name that turned out to be another payment's. */
export const moveRefunds = `
  with disputes as (update dispute set payment_key = $2 where payment_key = $1),
  warnings as (update fraud_warning set payment_key = $2 where payment_key = $1)
  update refund set payment_key = $2 where payment_key = $1`;
export const moveNames = `update payment_alias set payment_key = $2 where payment_key = $1`;

/** The limits of accounts, as whoever starts last has them. */
export const setLimits = `
  insert into provider_limit (account, provider, kind, rate)
  select * from unnest($1::text[], $2::text[], $3::text[], $4::float8[]) as given (account, provider, kind, rate)
  order by account, provider, kind
  on conflict (account, provider, kind) do update set rate = excluded.rate where provider_limit.rate <> excluded.rate`;

const ms = (count: number) => `interval '${count} milliseconds'`;

/** What is left of a rate now: it comes back by itself with the time. */
export const shareOfRate = `least(1, share + ${pacing.recovery} * extract(epoch from clock_timestamp() - slowed_at))`;
const pace = `interval '1 second' / (rate * ${shareOfRate})`;
/** Where giving out goes on: what was not used is lost, but for a little. */
const onwards = `greatest(next_at, clock_timestamp() - ${ms(pacing.burstMs)})`;

const isDue = `head and state = 'open' and run_at <= clocked.now and (lease_until is null or lease_until <= clocked.now)`;
const begunFirst = `provider_operation.kind in (${operationKinds
  .filter(isBegunFirst)
  .map((kind) => `'${kind}'`)
  .join(', ')})`;
const ofPart = `(account, provider, kind, priority) = (part.account, part.provider, part.kind, part.priority)`;

/**
 * Whoever begins sends holds the switch as it stands, and whoever throws it waits until none of them is left: so once it is thrown, nothing
 * more begins. It is taken before every other lock, since who waits for it may stand behind somebody who waits for who holds it.
 */
export const switchLock = {
  held: `select pg_advisory_xact_lock_shared(7291640313)`,
  thrown: `select pg_advisory_xact_lock(7291640313)`,
};

export const standingPauses = (selection: string) =>
  `select ${selection} from sending_pause where ended_at is null order by since, id`;

export const endPauses = `
  update sending_pause p set ended_at = $4, ended_by = given.by, end_reason = given.reason
  from unnest($1::uuid[], $2::text[], $3::text[]) as given (id, by, reason) where p.id = given.id`;

/**
 * What is passed over because a pause covers it, by one probe for each scope: in a claim all sends of an account at once. (Of "exists" the
 * planner would make one reading of all.)
 */
const isPaused = (of: string) => {
  const scopes = [
    'provider is null and account is null',
    `provider = ${of}.provider and account is null`,
    `provider = ${of}.provider and account = ${of}.account`,
  ];
  const probes = scopes.map((scope) => `(select id from sending_pause where ended_at is null and ${scope} limit 1)`);
  return `(${of}.kind = 'refund.send' and coalesce(${probes.join(', ')}) is not null)`;
};

/** What accounts have sent in their hours, locked in one order; a row for whom there is none yet. */
export const beginHours = `
  insert into sending_hour (account, provider, since, sends, amounts)
  select account, provider, service_now(), 0, '{}' from unnest($1::text[], $2::text[]) as given (account, provider)
  order by account, provider on conflict do nothing`;
export const loadHours = (selection: string) => `
  select ${selection} from sending_hour where (account, provider) in (select * from unnest($1::text[], $2::text[]))
  order by account, provider for update`;

/**
 * Due heads that may be called soon, each with its moment, passing over what others hold. One statement, so that the limits are locked for
 * no longer than the server itself takes, whatever becomes of who asked; and claimers wait for each other alone, in one order.
 *
 * - `part`: each account's kinds and priorities that have open heads, by one probe of the index provider_operation_due for each.
 * - `due`: those with something due now. The index is read from the part's oldest entry up to now, so that the many readings planned for
 *   later are never looked at.
 * - `budget`: what each limit can give up to a moment ahead. What has no limit is not held up.
 * - `found`, `turned`: in an account the urgent go first, but for a kind that was passed over too long.
 * - `taken`: accounts share the round, turn by turn.
 *
 * A reading is counted as begun with that; the beginning of what cannot be undone is committed with its refund or dispute.
 *
 * What is changed is joined with a materialized set and nothing else. PostgreSQL looks again at a row that another claim has changed since
 * this one began, and a union or a lateral in that place makes it lose the change. The same set as an array keeps the planner from turning
 * the join around.
 */
export const claimOperations = (selection: string) => `
  with recursive clocked as materialized (select service_now() as now),
  part (account, provider, kind, priority) as (
    select '', '', '', 0::smallint
    union all
    select next.* from part, lateral (
      select account, provider, kind, priority from provider_operation
      where head and state = 'open' and (account, provider, kind, priority) > (part.account, part.provider, part.kind, part.priority)
      order by account, provider, kind, priority limit 1
    ) next
  ),
  due as materialized (
    select part.* from clocked, part, lateral (select from provider_operation where ${ofPart} and ${isDue} order by run_at limit 1) oldest
    where (part.account, part.provider, part.kind) not in (select * from unnest($3::text[], $4::text[], $5::text[]))
      and not ${isPaused('part')}
  ),
  held as materialized (
    select provider_limit.* from (
      select account, provider, kind from due union select account, provider, 'all' from due
    ) wanted join provider_limit using (account, provider, kind)
    order by account, provider, kind for update of provider_limit
  ),
  budget as materialized (
    select account, provider, kind, start, pace,
      greatest(0, least($1::int, 1 + floor(extract(epoch from now + ${ms(pacing.aheadMs)} - start) / extract(epoch from pace))))::int as calls,
      now - next_at as unused_for
    from held, lateral (select clock_timestamp() as now, ${onwards} as start, ${pace} as pace) counted
  ),
  found as materialized (
    select oldest.*, part.account, part.provider, part.kind, part.priority,
      own.calls as own_calls, own.start as own_start, own.pace as own_pace,
      whole.calls as whole_calls, whole.start as whole_start, whole.pace as whole_pace,
      own.unused_for > ${pacing.patience} * whole.pace as passed_over,
      row_number() over (partition by part.account, part.provider, part.kind order by part.priority, oldest.run_at, oldest.id) - 1 as place
    from clocked, due part
    left join lateral (select * from budget where (account, provider, kind) = (part.account, part.provider, part.kind) limit 1) own on true
    left join lateral (select * from budget where (account, provider, kind) = (part.account, part.provider, 'all') limit 1) whole on true
    cross join lateral (
      select id, run_at from provider_operation where ${ofPart} and ${isDue}
      order by run_at limit least($1::int, own.calls, whole.calls) for update skip locked
    ) oldest
  ),
  turned as (
    select *, row_number() over (
      partition by account, provider order by (place = 0 and passed_over) is true desc, priority, run_at, id
    ) - 1 as turn
    from found where own_calls is null or place < own_calls
  ),
  taken as materialized (
    select id, account, provider, kind, greatest(own_start + place * own_pace, whole_start + turn * whole_pace) as moment
    from turned where whole_calls is null or turn < whole_calls
    order by turn, priority, run_at, id limit $1::int
  ),
  used as materialized (
    select account, provider, kind, start + calls_made * pace as next_at
    from budget, lateral (
      select count(*) as calls_made from taken
      where (taken.account, taken.provider) = (budget.account, budget.provider) and budget.kind in (taken.kind, 'all')
    ) counted
    where calls_made > 0
  ),
  spent as (
    update provider_limit set next_at = used.next_at from used
    where (provider_limit.account, provider_limit.provider, provider_limit.kind) = (used.account, used.provider, used.kind)
  )
  update provider_operation set lease_until = clocked.now + $2 * interval '1 millisecond', fence = fence + 1,
    tries = tries + (not ${begunFirst})::int,
    first_sent_at = case when ${begunFirst} then first_sent_at else coalesce(first_sent_at, clocked.now) end,
    last_sent_at = case when ${begunFirst} then last_sent_at else clocked.now end
  from taken, clocked where provider_operation.id = taken.id and provider_operation.id = any(array(select id from taken))
  returning ${selection}, greatest(0, extract(epoch from taken.moment - clock_timestamp()) * 1000)::float8 as in_ms`;

/**
 * What the calls of an endpoint met with: further requests are paid for afterwards, and a limiter that has spoken ($4) slows the endpoint
 * down, once for all that was under way together. The account's own row is locked in claiming's order.
 */
export const meetLimits = `
  with held as materialized (
    select account, provider, kind, $4::int > 0 and kind <> 'all' and slowed_at < clock_timestamp() - ${ms(pacing.deafMs)} as slows
    from provider_limit where account = $1 and provider = $2 and kind in ($3, 'all') order by account, provider, kind for update
  )
  update provider_limit l set
    next_at = ${onwards} + $6::int * ${pace},
    limited = limited + case l.kind when 'all' then 0 else $4::int end,
    locked = locked + case l.kind when 'all' then 0 else $5::int end,
    share = case when slows then greatest(${pacing.slowest}, ${pacing.slower} * ${shareOfRate}) else share end,
    slowed_at = case when slows then clock_timestamp() else slowed_at end
  from held
  where (l.account, l.provider, l.kind) = (held.account, held.provider, held.kind)`;

/** Parked operations in order of arrival (index provider_operation_parked). */
export const parkedOperations = `
  select id, refund_id, dispute_id, ordinal from provider_operation
  where state = 'parked' and ordinal > $3 and provider = coalesce($1, provider) and account = coalesce($2, account)
  order by ordinal limit $4`;

/** Dead letters, locked until their end is stored. */
export const loadDeadLetters = (selection: string, locked: boolean) =>
  `select ${selection} from dead_letter where id = any($1::uuid[]) order by id ${locked ? 'for update' : ''}`;

export const endDeadLetters = `
  update dead_letter l set "end" = given."end", ended_at = $6, ended_by = given.by, end_detail = given.detail, refund_id = given.refund_id
  from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::uuid[]) as given (id, "end", by, detail, refund_id) where l.id = given.id`;

/** Counts how long unknown outcomes took to become known: by bounds in seconds, of which the last has no end. */
export const countCertainties = `
  insert into certainty (account, provider, up_to, refunds, seconds)
  select account, provider, (select min(bound) from unnest(array[1, 5, 30, 120, 600, 3600, 86400, 'infinity'::float8]) as bounds (bound) where seconds <= bound) as up_to,
    count(*), sum(seconds)
  from unnest($1::text[], $2::text[], $3::float8[]) as given (account, provider, seconds)
  group by 1, 2, 3 order by 1, 2, 3
  on conflict (account, provider, up_to) do update set refunds = certainty.refunds + excluded.refunds, seconds = certainty.seconds + excluded.seconds`;

/** The service's time; and the transaction has its number from here on, which sealing counts on. */
export const clock = `select service_now() as now, pg_current_xact_id() as number`;

/** One sealing writer at a time: whoever finds the row held leaves it to the holder. */
export const takeSeal = `select settled from event_seal for update skip locked`;

/**
 * Entries of one transaction are numbered in one block, in their order; so what it wrote to a topic at once is a run of numbers. Numbers end
 * far below a block's end: a transaction writes some thousands.
 */
export const insertEvents = (names: string, given: string) => `
  with block as materialized (select nextval('event_block') << 20 as start)
  insert into event (ordinal, ${names})
  select block.start + place, ${names} from block, ${given} with ordinality as given (${names}, place)`;

/**
 * Gives positions to committed entries that have none, a row for each run of numbers in one topic. What is above "settled" ($2) is looked at,
 * between the runs that are known there: few, because it follows closely.
 *
 * What an earlier round has seen becomes the candidate, together with this round's own transaction number. Whoever may still hold an entry
 * at or below it took that entry's number before the earlier round looked, and its own transaction's number before that (the clock is read
 * before the log is written, see `clock`): a lower one than this round's. Once nothing below runs any more, the candidate is settled.
 * (The upper end of a snapshot would not do for that number: it is one past what has ended, and others above it may be running.)
 */
export const seal = `
  with writer as (select position from event_seal),
  known as materialized (select ordinal - entries as before, ordinal as last from event_position where ordinal > $2),
  gap as (
    select lag(last, 1, $2::bigint) over (order by last) as after, before from known
    union all
    select coalesce(max(last), $2::bigint), 9223372036854775807 from known
  ),
  fresh as materialized (
    select e.ordinal, e.topic from gap, lateral (
      select ordinal, topic from event where ordinal > gap.after and ordinal <= gap.before order by ordinal limit $1
    ) e
    where gap.after < gap.before
    order by e.ordinal limit $1
  ),
  runs as (
    select max(ordinal) as ordinal, topic, count(*) as entries
    from (select ordinal, topic, ordinal - row_number() over (partition by topic order by ordinal) as start from fresh) numbered
    group by topic, start
  ),
  sealed as (
    insert into event_position (position, ordinal, topic, entries)
    select w.position + sum(entries) over (order by ordinal), ordinal, topic, entries from runs, writer w order by ordinal
    returning ordinal, entries
  ),
  result as (
    select coalesce(sum(entries), 0)::bigint as entries, max(ordinal) as last,
      pg_snapshot_xmin(pg_current_snapshot()) as oldest, pg_current_xact_id() as own
    from sealed
  ),
  moved as (
    update event_seal s set
      position = s.position + r.entries,
      newest = greatest(s.newest, r.last),
      settled = case when r.oldest >= s.candidate_xid and (r.entries < $1 or r.last >= s.candidate) then s.candidate else s.settled end,
      -- A number above our own is from before a restore, and so are all who could hold one below it.
      candidate = case when r.oldest >= s.candidate_xid or s.candidate_xid > r.own then s.newest else s.candidate end,
      candidate_xid = case when r.oldest >= s.candidate_xid or s.candidate_xid > r.own then r.own else s.candidate_xid end
    from result r
    where r.entries > 0 or s.newest > s.settled
    returning s.position
  )
  select entries from result`;

/** What a run of positions `p` holds behind a position, in order: it is its last entry's that is kept. */
export const entriesOf = (selection: string, after: string) => `
  select p.position - p.ordinal + event.ordinal as position, ${selection} from event
  where event.ordinal > greatest(p.ordinal - p.entries, p.ordinal - p.position + ${after}) and event.ordinal <= p.ordinal
  order by event.ordinal`;

/** Entries of a topic behind a position, in order (index event_position_by_topic). */
export const pageOfTopic = (selection: string) => `
  select entry.* from event_position p, lateral (${entriesOf(selection, '$2::bigint')}) entry
  where p.topic = $1 and p.position > $2 order by p.position, entry.position limit $3`;

/** Where topics end (index event_position_by_topic). By the topic alone the planner may read the log backwards until it meets a quiet one. */
export const endsOfTopics = `
  select given.topic, case when last.topic = given.topic then last.position end as position
  from unnest($1::text[]) as given (topic) left join lateral (
    select topic, position from event_position p where (p.topic, p.position) <= (given.topic, 9223372036854775807)
    order by p.topic desc, p.position desc limit 1
  ) last on true`;

/** Where an event stands, null before it is sealed (unique index on event_position (ordinal)). */
export const positionOf = (event: string) => `(
  select case when p.ordinal - p.entries < ${event}.ordinal then p.position - p.ordinal + ${event}.ordinal end
  from event_position p where p.ordinal >= ${event}.ordinal order by p.ordinal limit 1
)`;
