import { Logger } from '@nestjs/common';
import type { PartitionOffsets } from '#application/event-log';
import { OffsetWitness, type Behind } from '#application/restore-watch';
import { kafkaClient, type KafkaConnection } from '#messaging/kafka-client';

export interface WitnessOptions {
  readonly connection: KafkaConnection;
  readonly cluster: string;
  readonly groupId: string;
  readonly topics: readonly string[];
  readonly offsets: PartitionOffsets;
}

/**
 * The group's offsets at Kafka decide nothing, but each carries how far the database had stored the partition then. Offsets that somebody
 * set by hand carry nothing, and say nothing.
 */
export class KafkaWitness extends OffsetWitness {
  private readonly logger = new Logger(KafkaWitness.name);

  constructor(private readonly options: WitnessOptions) {
    super();
  }

  override async behind(): Promise<Behind[]> {
    const { connection, cluster, groupId, topics, offsets } = this.options;
    const admin = kafkaClient(connection, this.logger).admin();
    try {
      await admin.connect();
      const told = await admin.fetchOffsets({ groupId, topics: [...topics] });
      const found: Behind[] = [];
      for (const { topic, partitions } of told) {
        const remembered = new Map(partitions.flatMap(({ partition, metadata }) => rememberedIn(partition, metadata)));
        if (remembered.size === 0) continue;
        // Asked after Kafka was: what is stored meanwhile makes it more, never less.
        const stored = await offsets.load(cluster, groupId, topic, [...remembered.keys()]);
        for (const [partition, offset] of remembered) {
          const held = stored.get(partition) ?? null;
          if (held === null || held < offset) found.push({ topic, partition, stored: held, remembered: offset });
        }
      }
      return found;
    } finally {
      await admin.disconnect();
    }
  }
}

/** What is told with an offset, and read back. */
export const asStored = (offset: bigint) => `stored ${offset}`;

function rememberedIn(partition: number, metadata: string | null): [number, bigint][] {
  const offset = /^stored (\d+)$/.exec(metadata ?? '')?.[1];
  return offset === undefined ? [] : [[partition, BigInt(offset)]];
}
