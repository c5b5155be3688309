import type { MigrationInterface, QueryRunner } from 'typeorm';

/** What a customer must do for a refund, and until when. */
export class ActionRequired1763800000006 implements MigrationInterface {
  readonly name = 'ActionRequired1763800000006';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query('alter table refund add column action_required jsonb');
  }

  down(): Promise<void> {
    throw new Error('money is not migrated backwards: restore a backup instead');
  }
}
