import type { DataSource } from 'typeorm';
import { DisputeWatch } from '#application/dispute-watch';
import { EvidenceFiles } from '#application/evidence-files';
import { meaningOf } from '#persistence/database';
import { disputeIds, uuidOf } from '#persistence/rows';
import { dueAlarms } from '#persistence/statements';
import type { Raw } from '#persistence/table';

export class PostgresEvidenceFiles extends EvidenceFiles {
  constructor(private readonly source: DataSource) {
    super();
  }

  async bytes(fileId: string): Promise<Buffer | null> {
    const [found] = await query(this.source, 'select bytes from evidence_file where id = $1', [uuidOf(fileId)]);
    return found === undefined ? null : (found['bytes'] as Buffer | null);
  }
}

export class PostgresDisputeWatch extends DisputeWatch {
  constructor(private readonly source: DataSource) {
    super();
  }

  async due(limit: number): Promise<string[]> {
    return (await query(this.source, dueAlarms, [limit])).map(({ id }) => disputeIds.from(id) as string);
  }
}

async function query(source: DataSource, statement: string, values: readonly unknown[]): Promise<Raw[]> {
  try {
    return (await source.query(statement, [...values])) as Raw[];
  } catch (error) {
    throw meaningOf(error);
  }
}
