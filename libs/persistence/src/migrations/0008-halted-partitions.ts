import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Partitions that wait for a person; a row goes when its partition is read again. */
export class HaltedPartitions1763800000008 implements MigrationInterface {
  readonly name = 'HaltedPartitions1763800000008';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`create table partition_halt (
      id uuid primary key,
      cluster text not null,
      group_id text not null,
      topic text not null,
      partition integer not null,
      reason text not null,
      since timestamptz not null,
      unique (cluster, group_id, topic, partition)
    )`);
  }

  down(): Promise<void> {
    throw new Error('money is not migrated backwards: restore a backup instead');
  }
}
