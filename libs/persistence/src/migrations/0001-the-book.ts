import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Everything a refund needs: payments and their room, refunds, provider operations, the log, and the marks of what was handled. */
export class TheBook1763800000000 implements MigrationInterface {
  readonly name = 'TheBook1763800000000';

  async up(runner: QueryRunner): Promise<void> {
    for (const statement of statements) await runner.query(statement);
  }

  down(): Promise<void> {
    throw new Error('money is not migrated backwards: restore a backup instead');
  }
}

const statements = [
  // One clock for leases, the age of keys, and times of events. It is moved only where simulators stand in for providers.
  `create table clock (one boolean primary key default true check (one), advanced interval not null default '0')`,
  `insert into clock default values`,
  `create function service_now() returns timestamptz language sql volatile as
     $$ select date_trunc('milliseconds', clock_timestamp() + advanced) from clock $$`,

  `create table payment (
     key uuid primary key,
     account text not null,
     provider text not null,
     name text not null,
     settled boolean not null,
     aliases jsonb not null,
     currency text,
     captured bigint not null check (captured >= 0),
     reserved bigint not null check (reserved >= 0),
     refunded bigint not null check (refunded >= 0),
     disputed bigint not null check (disputed >= 0),
     lost bigint not null check (lost >= 0),
     basis text not null,
     read_at timestamptz,
     refusal jsonb,
     waiting integer not null check (waiting >= 0),
     sequence bigint not null,
     version integer not null
   ) with (fillfactor = 80)`,

  // Decisions take room, and never more than there is: not even those written by hand. Facts are stored whatever they do.
  `create function refuse_more_than_available() returns trigger language plpgsql as $$
   begin
     if tg_op = 'UPDATE' and new.reserved <= old.reserved then return new; end if;
     if new.reserved > 0 and new.captured - new.reserved - new.refunded - new.disputed - new.lost < 0 then
       raise exception 'payment % has no room: captured %, reserved %, refunded %, disputed %, lost %',
         new.name, new.captured, new.reserved, new.refunded, new.disputed, new.lost
         using errcode = 'check_violation', constraint = 'room_is_never_taken_beyond_what_is_available';
     end if;
     return new;
   end $$`,
  `create trigger room_is_never_taken_beyond_what_is_available before insert or update of reserved on payment
     for each row execute function refuse_more_than_available()`,

  `create table payment_alias (
     account text not null,
     provider text not null,
     name text not null,
     payment_key uuid not null references payment,
     primary key (account, provider, name)
   )`,
  `create index payment_alias_by_payment on payment_alias (payment_key)`,

  `create table refund (
     id uuid primary key,
     ordinal bigint generated always as identity,
     account text not null,
     provider text not null,
     payment_key uuid not null references payment,
     named_payment text not null,
     status text not null,
     attention text,
     amount bigint check (amount > 0),
     currency text,
     holds text not null check (holds in ('nothing', 'reserved', 'refunded')),
     reason text,
     block_customer boolean not null,
     reference text,
     note text,
     metadata jsonb not null,
     expected_available bigint,
     origin text not null,
     attempt integer not null check (attempt >= 1),
     provider_refund_id text,
     provider_status text,
     pending_reason text,
     failure_code text,
     bank_reference text,
     reported_at timestamptz,
     rejection jsonb,
     outcome text,
     command jsonb,
     told boolean not null,
     version integer not null,
     created_at timestamptz not null,
     updated_at timestamptz not null,
     final_at timestamptz
   ) with (fillfactor = 80)`,
  `create unique index refund_by_ordinal on refund (ordinal)`,
  `create index refund_by_payment on refund (payment_key, ordinal)`,
  `create index refund_waiting on refund (payment_key, ordinal) where status = 'requested'`,
  `create unique index refund_reference on refund (account, reference) where reference is not null and status <> 'rejected'`,
  `create index refund_by_status on refund (status, ordinal)`,
  `create index refund_by_provider on refund (provider, ordinal)`,
  `create index refund_by_attention on refund (ordinal) where attention is not null`,

  // One refund at the provider is one refund of ours, in whatever order we hear of it.
  `create table provider_refund (
     account text not null,
     provider text not null,
     id text not null,
     refund_id uuid not null references refund,
     attempt integer not null,
     primary key (account, provider, id)
   )`,
  `create index provider_refund_by_refund on provider_refund (refund_id)`,

  `create table command (
     id uuid primary key,
     account text not null,
     door text not null,
     source text not null,
     key text not null,
     type text not null,
     digest text not null,
     refund_id uuid,
     body jsonb,
     answer text not null,
     received_at timestamptz not null
   )`,
  `create index command_by_refund on command (refund_id) where refund_id is not null`,

  `create table provider_operation (
     id uuid primary key,
     ordinal bigint generated always as identity,
     account text not null,
     provider text not null,
     kind text not null,
     target text not null,
     refund_id uuid,
     payment_key uuid,
     lane text,
     head boolean not null,
     key text,
     attempt integer not null,
     tries integer not null,
     first_sent_at timestamptz,
     last_sent_at timestamptz,
     run_at timestamptz not null,
     priority smallint not null,
     state text not null check (state in ('open', 'parked', 'done', 'dropped')),
     again boolean not null,
     result text,
     fence bigint not null,
     lease_until timestamptz,
     created_at timestamptz not null,
     done_at timestamptz,
     check (lease_until is null or head)
   ) with (fillfactor = 70)`,
  // One head per lane, and only heads are leased: so one leased operation per lane.
  `create unique index provider_operation_head on provider_operation (lane) where head and state in ('open', 'parked')`,
  `create index provider_operation_lane on provider_operation (lane, ordinal) where state in ('open', 'parked')`,
  `create index provider_operation_due on provider_operation (priority, run_at) where head and state = 'open'`,
  `create unique index provider_operation_read on provider_operation (target, kind, provider, account) where lane is null and state in ('open', 'parked')`,
  `create index provider_operation_by_refund on provider_operation (refund_id)`,
  `create index provider_operation_open_of_refund on provider_operation (refund_id) where state in ('open', 'parked')`,
  `create index provider_operation_parked on provider_operation (ordinal) where state = 'parked'`,

  `create table provider_call (
     ordinal bigint generated always as identity primary key,
     operation_id uuid not null,
     refund_id uuid,
     payment_key uuid,
     key text,
     attempt integer not null,
     call text not null,
     http_status integer,
     request_id text,
     result text not null,
     started_at timestamptz not null,
     ended_at timestamptz not null
   )`,
  `create index provider_call_by_refund on provider_call (refund_id) where refund_id is not null`,
  `create index provider_call_by_payment on provider_call (payment_key) where payment_key is not null`,

  `create table event (
     ordinal bigint generated always as identity primary key,
     id text not null,
     topic text not null,
     type text not null,
     account text not null,
     key text,
     subject text not null,
     payment_key uuid,
     sequence bigint,
     time timestamptz not null,
     correlation_id text,
     causation_id text,
     traceparent text,
     data text not null
   )`,
  `create unique index event_sequence on event (payment_key, sequence) where sequence is not null`,
  `create index event_by_subject on event (subject, ordinal)`,

  `create table event_position (
     position bigint primary key,
     ordinal bigint not null unique,
     topic text not null
   )`,
  `create index event_position_by_topic on event_position (topic, position)`,

  // What happened stays as it was written.
  `create function refuse_change() returns trigger language plpgsql as
     $$ begin raise exception 'the event log is insert-only' using errcode = 'insufficient_privilege'; end $$`,
  `create trigger insert_only before update or delete or truncate on event for each statement execute function refuse_change()`,
  `create trigger insert_only before update or delete or truncate on event_position for each statement execute function refuse_change()`,

  // The sealing writer's own row: whoever updates it is the one. All entries up to "settled" are sealed, or never will be.
  `create table event_seal (
     one boolean primary key default true check (one),
     position bigint not null,
     newest bigint not null,
     settled bigint not null,
     candidate bigint not null,
     candidate_xid xid8 not null
   )`,
  `insert into event_seal values (true, 0, 0, 0, 0, '0')`,

  `create table topic_cursor (
     topic text primary key,
     position bigint not null,
     fence bigint not null,
     holder text,
     lease_until timestamptz
   )`,

  `create table partition_offset (
     cluster text not null,
     group_id text not null,
     topic text not null,
     partition integer not null,
     next_offset bigint not null,
     primary key (cluster, group_id, topic, partition)
   )`,

  `create table dead_letter (
     id uuid primary key,
     ordinal bigint generated always as identity,
     topic text not null,
     partition integer not null,
     "offset" bigint not null,
     key bytea,
     value bytea,
     headers jsonb not null,
     code text not null,
     detail text not null,
     at timestamptz not null
   )`,
  `create unique index dead_letter_by_ordinal on dead_letter (ordinal)`,
  `create index dead_letter_by_time on dead_letter (at, id)`,

  `create table webhook_delivery (
     id uuid primary key,
     ordinal bigint generated always as identity,
     account text not null,
     provider text not null,
     notice_id text,
     type text,
     body bytea,
     digest text not null,
     sent_from text,
     received_at timestamptz not null,
     disposition text,
     detail text,
     operation_id uuid,
     refund_id uuid,
     lease_until timestamptz,
     handled_at timestamptz
   )`,
  `create unique index webhook_delivery_by_ordinal on webhook_delivery (ordinal)`,
  `create index webhook_delivery_notice on webhook_delivery (account, provider, notice_id, ordinal) where notice_id is not null`,
  `create index webhook_delivery_pending on webhook_delivery (ordinal) where disposition is null and operation_id is null`,
  `create index webhook_delivery_waiting on webhook_delivery (operation_id) where disposition is null and operation_id is not null`,
  `create index webhook_delivery_by_refund on webhook_delivery (refund_id) where refund_id is not null`,
];
