import type { MigrationInterface, QueryRunner } from 'typeorm';

/** How often providers may be called, shared by all workers; and an index by which each account's queue is read by itself. */
export class Limits1763800000003 implements MigrationInterface {
  readonly name = 'Limits1763800000003';

  async up(runner: QueryRunner): Promise<void> {
    for (const statement of statements) await runner.query(statement);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('drop table provider_limit');
    await runner.query('drop index provider_operation_due');
    await runner.query(
      `create index provider_operation_due on provider_operation (priority, run_at) where head and state = 'open'`,
    );
  }
}

const statements = [
  // A row for each kind of operation of an account, and one for all of the account.
  `create table provider_limit (
     account text not null,
     provider text not null,
     kind text not null,
     rate double precision not null check (rate > 0 and rate <= 1000000),
     next_at timestamptz not null default 'epoch',
     share double precision not null default 1 check (share > 0 and share <= 1),
     slowed_at timestamptz not null default 'epoch',
     limited bigint not null default 0,
     locked bigint not null default 0,
     primary key (account, provider, kind)
   ) with (fillfactor = 50)`,
  `comment on column provider_limit.next_at is 'when the next call is free, by the real clock'`,
  `comment on column provider_limit.share is 'what was left of the rate when a limiter of the provider''s last spoke, at slowed_at'`,

  `drop index provider_operation_due`,
  `create index provider_operation_due on provider_operation (account, provider, kind, priority, run_at) where head and state = 'open'`,
];
