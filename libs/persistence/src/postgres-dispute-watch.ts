import type { DataSource } from 'typeorm';
import { DisputeWatch } from '#application/dispute-watch';
import { meaningOf } from '#persistence/database';
import { disputeIds } from '#persistence/rows';
import { dueAlarms } from '#persistence/statements';

export class PostgresDisputeWatch extends DisputeWatch {
  constructor(private readonly source: DataSource) {
    super();
  }

  async due(limit: number): Promise<string[]> {
    try {
      const found = await this.source.query<{ id: string }[]>(dueAlarms, [limit]);
      return found.map(({ id }) => disputeIds.from(id) as string);
    } catch (error) {
      throw meaningOf(error);
    }
  }
}
