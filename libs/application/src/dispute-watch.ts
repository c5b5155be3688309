/** Who wakes up about deadlines. */
export abstract class DisputeWatch {
  /** Ids of disputes whose alarm is due, the one that has waited longest first. */
  abstract due(limit: number): Promise<string[]>;
}
