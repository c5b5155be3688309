/** The bytes of evidence, which the book keeps and never loads. */
export abstract class EvidenceFiles {
  /** Null when there is no such file. */
  abstract bytes(fileId: string): Promise<Buffer | null>;
}
