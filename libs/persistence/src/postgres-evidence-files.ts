import type { DataSource } from 'typeorm';
import { EvidenceFiles } from '#application/evidence-files';
import { meaningOf } from '#persistence/database';
import { uuidOf } from '#persistence/rows';

export class PostgresEvidenceFiles extends EvidenceFiles {
  constructor(private readonly source: DataSource) {
    super();
  }

  async bytes(fileId: string): Promise<Buffer | null> {
    try {
      const statement = 'select bytes from evidence_file where id = $1';
      const [found] = await this.source.query<{ bytes: Buffer }[]>(statement, [uuidOf(fileId)]);
      return found?.bytes ?? null;
    } catch (error) {
      throw meaningOf(error);
    }
  }
}
