import { PostgresBook } from '#persistence/postgres-book';
import { disputeIds, refundIds } from '#persistence/rows';
import { PostgresDisputeWatch, PostgresEvidenceFiles } from '#persistence/postgres-disputes';
import { PostgresDeliveries } from '#persistence/postgres-deliveries';
import { PostgresCursors, PostgresLog, PostgresOffsets } from '#persistence/postgres-log';
import { PostgresOperations } from '#persistence/postgres-operations';
import { dataSource } from '#persistence/database';
import { Wake } from '#application/wake';
import { describeWithDatabase, freshDatabase } from '../environment.js';
import type { DeliveryEnd, Stores } from './stores-scene.js';
import { storesContract } from './stores.contract.js';

/** Nobody waits here. */
class NoWake extends Wake {
  ring(): void {}
  on(): () => void {
    return () => undefined;
  }
}

describeWithDatabase('PostgreSQL and the contract', () => {
  storesContract('PostgreSQL', async () => {
    const database = await freshDatabase();
    const source = await dataSource({ url: database.url, connections: 8 }).initialize();
    const over = (): Stores => ({
      book: new PostgresBook(source, new NoWake()),
      queue: new PostgresOperations(source),
      log: new PostgresLog(source),
      cursors: new PostgresCursors(source),
      offsets: new PostgresOffsets(source),
      deliveries: new PostgresDeliveries(source, new NoWake()),
      evidenceFiles: new PostgresEvidenceFiles(source),
      watch: new PostgresDisputeWatch(source),
    });
    return {
      stores: over(),
      again: over,
      advance: async (ms) => {
        await source.query(`update clock set advanced = advanced + $1 * interval '1 millisecond'`, [ms]);
      },
      // Real time cannot be moved, but what was noted by it can.
      passReal: async (ms) => {
        await source.query(
          `update provider_limit set next_at = next_at - $1 * interval '1 millisecond', slowed_at = slowed_at - $1 * interval '1 millisecond'`,
          [ms],
        );
      },
      dispositionOf: async (noticeId) => {
        const found = await source.query<(Omit<DeliveryEnd, 'refundId' | 'disputeId'> & { refund: string; dispute: string })[]>(
          `select disposition, detail, refund_id as refund, dispute_id as dispute from webhook_delivery
           where notice_id = $1 order by ordinal`,
          [noticeId],
        );
        return found.map(({ refund, dispute, ...end }) => ({
          ...end,
          refundId: refundIds.from(refund) as string | null,
          disputeId: disputeIds.from(dispute) as string | null,
        }));
      },
      close: async () => {
        await source.destroy();
        await database.drop();
      },
    };
  });
});
