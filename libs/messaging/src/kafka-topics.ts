import type { LoggerService } from '@nestjs/common';
import type { Admin } from 'kafkajs';
import { deadLetterTopic, topics } from '#contracts/topics';
import { kafkaClient, type KafkaConnection } from '#messaging/kafka-client';

/** A topic that must be there, and how it is made where we may make it. */
export interface TopicPlan {
  readonly name: string;
  readonly config: Readonly<Record<string, string>>;
}

const forever = { 'retention.ms': '-1' };

/**
 * The topics of Redress. Events and commands are kept for ever where we make them ourselves; elsewhere retention is the operator's, and must be
 * far longer than the longest outage: a command that is gone before it was read halts its partition.
 */
export const topicPlans: readonly TopicPlan[] = [
  { name: topics.refundCommands, config: forever },
  { name: deadLetterTopic(topics.refundCommands), config: forever },
  { name: topics.refundOutcomes, config: forever },
  { name: topics.refundEvents, config: forever },
  { name: topics.disputeCommands, config: forever },
  { name: deadLetterTopic(topics.disputeCommands), config: forever },
  { name: topics.disputeOutcomes, config: forever },
  { name: topics.disputeEvents, config: forever },
  { name: topics.refundability, config: { 'cleanup.policy': 'compact' } },
];

/** Some topics are missing, and could not be made. */
export class TopicsMissing extends Error {
  override readonly name = 'TopicsMissing';
}

/**
 * Sees that the topics are there, and makes those that are not where `create` allows it. Partitions are chosen once: the relay sends a key
 * by the number of partitions, so to raise it moves payments to other partitions (docs/kafka.md says how to).
 */
export async function ensureTopics(
  connection: KafkaConnection,
  logger: LoggerService,
  { plans, create, partitions = 8 }: { plans: readonly TopicPlan[]; create: boolean; partitions?: number },
): Promise<void> {
  const admin = kafkaClient(connection, logger).admin();
  try {
    await admin.connect();
    const missing = await missingOf(admin, plans);
    if (missing.length === 0) return;
    if (create) await make(admin, missing, partitions);
    const left = await missingOf(admin, missing);
    if (left.length > 0) {
      const names = left.map((plan) => plan.name).join(', ');
      const why = create ? 'Kafka did not let us make them' : 'making topics is switched off here';
      throw new TopicsMissing(
        `these topics are missing, and ${why}: ${names}. Make them with the same number of partitions each`,
      );
    }
  } finally {
    await admin.disconnect();
  }
}

async function missingOf(admin: Admin, plans: readonly TopicPlan[]): Promise<TopicPlan[]> {
  const there = new Set(await admin.listTopics());
  return plans.filter((plan) => !there.has(plan.name));
}

async function make(admin: Admin, plans: readonly TopicPlan[], numPartitions: number): Promise<void> {
  // One by one: another process may be making the same ones, and kafkajs drops a whole request for one topic that is there already.
  for (const { name: topic, config } of plans) {
    const configEntries = Object.entries(config).map(([name, value]) => ({ name, value }));
    // -1 for the brokers' own default, since a cluster of one cannot have three replicas.
    await admin.createTopics({ topics: [{ topic, numPartitions, replicationFactor: -1, configEntries }], waitForLeaders: true });
  }
}
