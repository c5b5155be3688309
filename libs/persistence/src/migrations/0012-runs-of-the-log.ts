import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Entries that one transaction wrote to one topic get one row of positions instead of one each. An entry's number is its transaction's block
 * and its place in there, so that what was written together stays together. Versions before this one would take such a row for one entry:
 * none of them may run any more.
 */
export class RunsOfTheLog1763800000012 implements MigrationInterface {
  readonly name = 'RunsOfTheLog1763800000012';

  async up(runner: QueryRunner): Promise<void> {
    for (const statement of statements) await runner.query(statement);
  }

  down(): Promise<void> {
    throw new Error('money is not migrated backwards: restore a backup instead');
  }
}

const statements = [
  `create sequence event_block`,
  `alter table event alter ordinal drop identity`,
  `select setval('event_block', (coalesce(max(ordinal), 0) >> 20) + 1) from event`,
  // Who writes by hand takes a block for each entry.
  `alter table event alter ordinal set default nextval('event_block') << 20`,
  // A row stands for so many entries, of which "position" and "ordinal" are the last one's.
  `alter table event_position add column entries integer not null default 1 check (entries > 0)`,
];
