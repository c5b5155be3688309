import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Disputes with their evidence, and warnings of fraud. It only adds, so that the version before may go on beside it; the indexes that
 * tables in use want for this come with the next migration, which keeps nobody waiting.
 */
export class Disputes1763800000009 implements MigrationInterface {
  readonly name = 'Disputes1763800000009';

  async up(runner: QueryRunner): Promise<void> {
    for (const statement of statements) await runner.query(statement);
  }

  down(): Promise<void> {
    throw new Error('money is not migrated backwards: restore a backup instead');
  }
}

/** Disputes go by their deadline; those without one come last. */
const inOrder = `coalesce(due_by, 'infinity'), id`;

const statements = [
  // Rows that are there have the default, so none is looked at.
  `alter table payment
     add column inquiries integer not null default 0,
     add column refundable boolean not null default true,
     add column refundable_at timestamptz,
     add constraint payment_inquiries_check check (inquiries >= 0) not valid`,

  `create table dispute (
     id uuid primary key,
     ordinal bigint generated always as identity,
     account text not null,
     provider text not null,
     provider_dispute_id text not null,
     payment_key uuid not null references payment,
     stage text not null,
     status text not null,
     money text not null,
     attention text,
     provider_status text not null,
     amount bigint not null check (amount >= 0),
     currency text not null,
     reason text,
     network_reason_code text,
     network text,
     refundable boolean not null,
     due_by timestamptz,
     decide_by timestamptz,
     next_alarm_at timestamptz,
     alarms integer not null,
     round integer not null check (round >= 1),
     submissions integer not null,
     submissions_before integer not null,
     decision jsonb,
     eligibilities jsonb not null,
     movements jsonb not null,
     disputed bigint not null check (disputed >= 0),
     lost bigint not null check (lost >= 0),
     attempt integer not null,
     reported_at timestamptz not null,
     opened_at timestamptz not null,
     version integer not null,
     created_at timestamptz not null,
     updated_at timestamptz not null
   ) with (fillfactor = 80)`,
  // One dispute at the provider is one of ours, whoever hears of it first. Its id comes first, because people look for that alone.
  `create unique index dispute_by_provider_id on dispute (provider_dispute_id, account, provider)`,
  `create index dispute_by_payment on dispute (payment_key, ordinal)`,
  `create index dispute_by_due on dispute (${inOrder})`,
  `create index dispute_open on dispute (${inOrder}) where status in ('needs_response', 'under_review', 'unknown')`,
  `create index dispute_by_account on dispute (account, ${inOrder})`,
  `create index dispute_by_status on dispute (status, ${inOrder})`,
  `create index dispute_by_stage on dispute (stage, ${inOrder})`,
  `create index dispute_by_reason on dispute (reason, ${inOrder}) where reason is not null`,
  `create index dispute_by_attention on dispute (attention, ${inOrder}) where attention is not null`,
  `create index dispute_attended on dispute (updated_at, id) where attention is not null`,
  `create index dispute_alarm on dispute (next_alarm_at, id) where next_alarm_at is not null`,

  `create table evidence_draft (
     dispute_id uuid primary key references dispute,
     version integer not null check (version >= 1),
     content jsonb not null,
     changes jsonb not null,
     staged_version integer not null,
     staged jsonb not null
   ) with (fillfactor = 80)`,

  `create table evidence_file (
     id uuid primary key,
     ordinal bigint generated always as identity,
     dispute_id uuid not null references dispute,
     place text not null,
     name text not null,
     type text not null,
     size integer not null check (size = octet_length(bytes)),
     pages integer not null,
     digest text not null,
     provider_file_id text,
     by text not null,
     added_at timestamptz not null,
     removed_at timestamptz,
     bytes bytea
   )`,
  `comment on column evidence_file.bytes is 'null once they were erased'`,
  // Documents and pictures are compressed already.
  `alter table evidence_file alter column bytes set storage external`,
  `create index evidence_file_by_dispute on evidence_file (dispute_id, ordinal)`,

  `create table evidence_packet (
     dispute_id uuid not null references dispute,
     round integer not null,
     version integer not null,
     content jsonb not null,
     files jsonb not null,
     emptied jsonb not null,
     by text not null,
     decided_at timestamptz not null,
     submitted_at timestamptz,
     primary key (dispute_id, round, version)
   )`,

  `create table fraud_warning (
     id uuid primary key,
     account text not null,
     provider text not null,
     provider_warning_id text not null,
     payment_key uuid not null references payment,
     actionable boolean not null,
     fraud_type text not null,
     opened_at timestamptz not null,
     reported_at timestamptz not null
   )`,
  `create unique index fraud_warning_by_provider_id on fraud_warning (provider_warning_id, account, provider)`,
  `create index fraud_warning_by_payment on fraud_warning (payment_key, opened_at, id)`,

  `alter table command add column dispute_id uuid`,
  `alter table provider_operation add column dispute_id uuid`,
  `alter table provider_call add column dispute_id uuid`,
  `alter table webhook_delivery add column dispute_id uuid`,
];
