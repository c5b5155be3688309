import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Indexes of open operations that each say what they are for. Of two that could serve a statement alike the planner may take the wrong one
 * while the table is nearly empty, and then reads it from end to end through the first burst.
 */
export class OpenOperations1763800000007 implements MigrationInterface {
  readonly name = 'OpenOperations1763800000007';

  async up(runner: QueryRunner): Promise<void> {
    for (const statement of [...dropped, ...statements('lane is not null and ', 'refund_id is not null and ')]) {
      await runner.query(statement);
    }
  }

  async down(runner: QueryRunner): Promise<void> {
    for (const statement of [...dropped, ...statements('', '')]) await runner.query(statement);
  }
}

const dropped = ['drop index provider_operation_lane', 'drop index provider_operation_open_of_refund'];

const statements = (ofLanes: string, ofRefunds: string) => [
  `create index provider_operation_lane on provider_operation (lane, ordinal) where ${ofLanes}state in ('open', 'parked')`,
  `create index provider_operation_open_of_refund on provider_operation (refund_id) where ${ofRefunds}state in ('open', 'parked')`,
];
