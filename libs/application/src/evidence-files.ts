/** The bytes of evidence. The book keeps what is known about a file and never loads these. */
export abstract class EvidenceFiles {
  /** Also of a file that was taken out since, because a packet may name it; null where there is none. */
  abstract bytes(fileId: string): Promise<Buffer | null>;
}
