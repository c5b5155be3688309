/**
 * The topics of refunds and disputes. What Redress writes about a payment has the key `<account>:<provider>:<paymentId>`, so it stays in one
 * partition and in order; the partition is chosen as Kafka's own clients do (murmur2 of the key), so a producer in any language
 * that uses the same key lands in the same one. Commands may use any key that keeps one payment together.
 */
export const topics = {
  refundCommands: 'refunds.commands.v1',
  refundOutcomes: 'refunds.outcomes.v1',
  refundEvents: 'refunds.events.v1',
  disputeCommands: 'disputes.commands.v1',
  disputeOutcomes: 'disputes.outcomes.v1',
  disputeEvents: 'disputes.events.v1',
  /** Compacted: the newest balance per payment stays. */
  refundability: 'payments.refundability.v1',
} as const;

export type Topic = (typeof topics)[keyof typeof topics];

/** Where the dead letters of a command topic go: the original key, value and headers, and headers of ours for origin and reason. */
export function deadLetterTopic(topic: Topic): string {
  return `${topic}.dlq`;
}

/** What keeps one payment together: the key of its events on Kafka and their `partitionkey`. None of the parts has a colon. */
export function paymentKey(payment: { readonly account: string; readonly provider: string; readonly paymentId: string }): string {
  return `${payment.account}:${payment.provider}:${payment.paymentId}`;
}
