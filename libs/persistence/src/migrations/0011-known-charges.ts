import type { MigrationInterface, QueryRunner } from 'typeorm';

/** When a payment was paid, and why its provider takes a document for good not. Both only add, so that the version before may go on. */
export class KnownCharges1763800000011 implements MigrationInterface {
  readonly name = 'KnownCharges1763800000011';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query('alter table payment add column paid_at timestamptz');
    await runner.query('alter table evidence_file add column refused_as text');
  }

  down(): Promise<void> {
    throw new Error('money is not migrated backwards: restore a backup instead');
  }
}
