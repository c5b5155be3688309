import type { MigrationInterface, QueryRunner } from 'typeorm';

/** What it takes to find out what became of a lost attempt, and to sweep an account. */
export class FindingOut1763800000002 implements MigrationInterface {
  readonly name = 'FindingOut1763800000002';

  async up(runner: QueryRunner): Promise<void> {
    for (const statement of statements) await runner.query(statement);
  }

  down(): Promise<void> {
    throw new Error('money is not migrated backwards: restore a backup instead');
  }
}

const statements = [
  `alter table payment add column unknown integer not null default 0 check (unknown >= 0)`,
  `alter table refund add column unknown_since timestamptz`,
  `update refund set unknown_since = updated_at where status = 'outcome_unknown'`,
  `update payment set unknown = u.unknown
     from (select payment_key, count(*) as unknown from refund where status = 'outcome_unknown' group by payment_key) u where key = u.payment_key`,
  `alter table provider_operation add column listings integer not null default 0, add column refusal jsonb, add column sweep jsonb`,

  // How long unknown outcomes took to become known: how many, by upper bounds in seconds; "seconds" is their sum.
  `create table certainty (
     account text not null,
     provider text not null,
     up_to double precision not null,
     refunds bigint not null,
     seconds double precision not null,
     primary key (account, provider, up_to)
   )`,
];
