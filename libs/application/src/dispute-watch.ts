/** Finds the disputes for which a reminder, a policy or a missed deadline is due. */
export abstract class DisputeWatch {
  /** Up to `limit` ids, by the database's clock, the longest due first. */
  abstract due(limit: number): Promise<string[]>;
}
