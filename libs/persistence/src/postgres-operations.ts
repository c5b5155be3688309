import type { DataSource } from 'typeorm';
import {
  operationKinds,
  OperationQueue,
  type AccountLimits,
  type Due,
  type Endpoint,
  type Met,
  type ParkedOperation,
} from '#application/operations';
import type { Scope } from '#application/sending';
import { meaningOf } from '#persistence/database';
import { OperationRow, disputeIds, refundIds } from '#persistence/rows';
import { claimOperations, meetLimits, parkedOperations, setLimits } from '#persistence/statements';
import { run, Table, type Raw } from '#persistence/table';

/** What another transaction has locked is being ended or steered by it, and is passed over: waiting for it could end in a deadlock. */
const stillHeld = `
  select o.id from unnest($1::uuid[], $2::bigint[]) as given (id, fence) join provider_operation o using (id, fence)
  where o.state = 'open' order by o.id for update of o skip locked`;

/** The queue side of provider_operation. Leases go by the database's clock. */
export class PostgresOperations extends OperationQueue {
  private readonly operations: Table<OperationRow>;

  constructor(private readonly source: DataSource) {
    super();
    this.operations = new Table(source, OperationRow);
  }

  async limit(accounts: readonly AccountLimits[]): Promise<void> {
    const limits = accounts.flatMap(({ account, provider, perSecond, perSecondAndEndpoint, kinds = operationKinds }) => [
      { account, provider, kind: 'all', rate: perSecond },
      ...kinds.map((kind) => ({ account, provider, kind, rate: perSecondAndEndpoint })),
    ]);
    await this.query(setLimits, [...columns(limits), limits.map(({ rate }) => rate)]);
  }

  async claim(limit: number, leaseMs: number, full: readonly Endpoint[] = []): Promise<Due[]> {
    const rows = await this.query(claimOperations(this.operations.selection), [limit, leaseMs, ...columns(full)]);
    return rows
      .map((raw) => ({ ...this.operations.read(raw), inMs: Number(raw['in_ms']) }))
      .sort((a, b) => a.priority - b.priority || a.runAt.getTime() - b.runAt.getTime());
  }

  async meet({ account, provider, kind }: Endpoint, { limited, locked, more }: Met): Promise<void> {
    await this.query(meetLimits, [account, provider, kind, limited, locked, more]);
  }

  async renew(held: readonly { id: string; fence: bigint }[], leaseMs: number): Promise<void> {
    await this.query(
      `update provider_operation o set lease_until = service_now() + $3 * interval '1 millisecond'
       from (${stillHeld}) held where o.id = held.id and o.lease_until is not null`,
      [held.map(({ id }) => id), held.map(({ fence }) => fence.toString()), leaseMs],
    );
  }

  async release(held: readonly { id: string; fence: bigint }[]): Promise<void> {
    await this.query(
      `update provider_operation o set lease_until = null
       from (${stillHeld}) held where o.id = held.id`,
      [held.map(({ id }) => id), held.map(({ fence }) => fence.toString())],
    );
  }

  async parked({ provider, account }: Scope, after: bigint, limit: number): Promise<ParkedOperation[]> {
    const rows = await this.query(parkedOperations, [provider, account, after.toString(), limit]);
    return rows.map((raw) => ({
      id: String(raw['id']),
      refundId: refundIds.from(raw['refund_id']) as string | null,
      disputeId: disputeIds.from(raw['dispute_id']) as string | null,
      ordinal: BigInt(String(raw['ordinal'])),
    }));
  }

  private async query(statement: string, parameters: readonly unknown[]): Promise<Raw[]> {
    const runner = this.source.createQueryRunner();
    try {
      return (await run(runner, statement, parameters)).rows;
    } catch (error) {
      throw meaningOf(error);
    } finally {
      await runner.release().catch(() => undefined);
    }
  }
}

function columns(all: readonly { account: string; provider: string; kind: string }[]): string[][] {
  return [all.map((each) => each.account), all.map((each) => each.provider), all.map((each) => each.kind)];
}
