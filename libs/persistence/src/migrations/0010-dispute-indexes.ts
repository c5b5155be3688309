import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Indexes by dispute on tables that are in use and may be long. They are built while others go on writing, which takes no transaction
 * around it: so one that was broken off before is taken away first.
 */
export class DisputeIndexes1763800000010 implements MigrationInterface {
  readonly name = 'DisputeIndexes1763800000010';
  readonly transaction = false;

  async up(runner: QueryRunner): Promise<void> {
    // It waits for transactions that began before it, such as a backup's; nobody waits for it.
    await runner.query('set lock_timeout = 0');
    for (const [name, on] of Object.entries(indexes)) {
      await runner.query(`drop index concurrently if exists ${name}`);
      await runner.query(`create index concurrently ${name} on ${on}`);
    }
    await runner.query('reset lock_timeout');
  }

  async down(runner: QueryRunner): Promise<void> {
    for (const name of Object.keys(indexes)) await runner.query(`drop index concurrently if exists ${name}`);
  }
}

const indexes = {
  command_by_dispute: 'command (dispute_id) where dispute_id is not null',
  provider_operation_by_dispute: 'provider_operation (dispute_id) where dispute_id is not null',
  provider_operation_open_of_dispute: `provider_operation (dispute_id) where dispute_id is not null and state in ('open', 'parked')`,
  provider_call_by_dispute: 'provider_call (dispute_id) where dispute_id is not null',
  webhook_delivery_by_dispute: 'webhook_delivery (dispute_id) where dispute_id is not null',
} as const;
