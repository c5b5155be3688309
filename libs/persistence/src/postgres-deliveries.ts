import { randomUUID } from 'node:crypto';
import type { DataSource } from 'typeorm';
import { Deliveries, type NewDelivery, type PendingDelivery } from '#application/deliveries';
import type { Wake } from '#application/wake';
import { meaningOf } from '#persistence/database';
import { DeliveryRow } from '#persistence/rows';
import { Table, type Raw } from '#persistence/table';

/** Webhook deliveries, stored as they came before anyone looks into them. */
export class PostgresDeliveries extends Deliveries {
  private readonly deliveries: Table<DeliveryRow>;

  constructor(
    private readonly source: DataSource,
    private readonly wake: Wake,
  ) {
    super();
    this.deliveries = new Table(source, DeliveryRow);
  }

  async store(deliveries: readonly NewDelivery[]): Promise<void> {
    const runner = this.source.createQueryRunner();
    try {
      const [{ now }] = (await runner.query('select service_now() as now')) as [{ now: Date }];
      await this.deliveries.insert(
        runner,
        deliveries.map(({ from, ...delivery }) => ({
          ...delivery,
          id: randomUUID(),
          ordinal: 0n,
          sentFrom: from,
          receivedAt: now,
          operationId: null,
          refundId: null,
          disputeId: null,
          leaseUntil: null,
          handledAt: delivery.disposition === null ? null : now,
        })),
      );
    } catch (error) {
      throw meaningOf(error);
    } finally {
      await runner.release().catch(() => undefined);
    }
    if (deliveries.some((delivery) => delivery.disposition === null)) this.wake.ring('deliveries');
  }

  async claim(limit: number, leaseMs: number): Promise<PendingDelivery[]> {
    try {
      const [found] = (await this.source.query(
        `with due as (
           select id from webhook_delivery
           where disposition is null and operation_id is null and (lease_until is null or lease_until <= service_now())
           order by ordinal limit $1 for update skip locked
         )
         update webhook_delivery d set lease_until = service_now() + $2 * interval '1 millisecond'
         from due where d.id = due.id
         returning d.id, d.ordinal, d.account, d.provider, d.notice_id, d.body, d.received_at,
           exists (
             select 1 from webhook_delivery b
             where b.account = d.account and b.provider = d.provider and b.notice_id = d.notice_id and b.ordinal < d.ordinal
               and b.disposition is distinct from 'rejected'
           ) as repeated`,
        [limit, leaseMs],
      )) as [Raw[], number];
      return found
        .sort((a, b) => (BigInt(String(a['ordinal'])) < BigInt(String(b['ordinal'])) ? -1 : 1))
        .map((raw) => ({
          id: String(raw['id']),
          account: String(raw['account']),
          provider: String(raw['provider']),
          noticeId: String(raw['notice_id']),
          body: raw['body'] as Buffer,
          receivedAt: raw['received_at'] as Date,
          repeated: raw['repeated'] === true,
        }));
    } catch (error) {
      throw meaningOf(error);
    }
  }

  async replay(id: string): Promise<boolean> {
    try {
      const [found] = (await this.source.query(
        `update webhook_delivery
         set disposition = null, detail = null, operation_id = null, lease_until = null, handled_at = null
         where id = $1 and body is not null
         returning id`,
        [id],
      )) as [Raw[], number];
      if (found.length > 0) this.wake.ring('deliveries');
      return found.length > 0;
    } catch (error) {
      throw meaningOf(error);
    }
  }
}
