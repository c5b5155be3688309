import type { MigrationInterface, QueryRunner } from 'typeorm';

/** The switch that pauses sending, what the breaker counts, and how a dead letter was ended. */
export class Sending1763800000004 implements MigrationInterface {
  readonly name = 'Sending1763800000004';

  async up(runner: QueryRunner): Promise<void> {
    for (const statement of statements) await runner.query(statement);
  }

  down(): Promise<void> {
    throw new Error('money is not migrated backwards: restore a backup instead');
  }
}

const statements = [
  // Null stands for all. What has ended stays, to say who did what and why.
  `create table sending_pause (
     id uuid primary key,
     provider text,
     account text,
     reason text not null,
     by text not null,
     since timestamptz not null,
     automatic boolean not null,
     ended_at timestamptz,
     ended_by text,
     end_reason text,
     check (account is null or provider is not null)
   )`,
  `create unique index sending_pause_standing on sending_pause (provider, account) nulls not distinct where ended_at is null`,

  // One row per account, so that all workers count in one place.
  `create table sending_hour (
     account text not null,
     provider text not null,
     since timestamptz not null,
     sends integer not null,
     amounts jsonb not null,
     primary key (account, provider)
   ) with (fillfactor = 50)`,

  `alter table dead_letter
     add column "end" text check ("end" in ('accepted', 'rejected', 'dismissed')),
     add column ended_at timestamptz,
     add column ended_by text,
     add column end_detail text,
     add column refund_id uuid`,
  `drop index dead_letter_by_time`,
  `create index dead_letter_waiting on dead_letter (at, id) where "end" is null`,
];
