import type { ConnectionOptions } from 'node:tls';
import type { LoggerService } from '@nestjs/common';
import { Kafka, type KafkaConfig, type logCreator, logLevel, type SASLOptions } from 'kafkajs';
import { mendKafkaJs } from '#messaging/kafkajs-mends';

/** How to reach a Kafka cluster. */
export interface KafkaConnection {
  readonly brokers: readonly string[];
  /** Shows up in the brokers' logs and quotas. */
  readonly clientId: string;
  readonly ssl?: boolean | ConnectionOptions;
  readonly sasl?: SASLOptions;
}

/**
 * A kafkajs client that rests when it has nothing to do and writes to Nest's log. Retries are short, here and in the producers: whoever
 * uses the client goes on for ever in a loop of its own, where it can be stopped and can say what it waits for.
 */
export function kafkaClient({ brokers, clientId, ssl, sasl }: KafkaConnection, logger: LoggerService): Kafka {
  mendKafkaJs();
  const config: KafkaConfig = {
    brokers: [...brokers],
    clientId,
    ...(ssl === undefined ? {} : { ssl }),
    ...(sasl === undefined ? {} : { sasl }),
    connectionTimeout: 3_000,
    retry: { initialRetryTime: 100, maxRetryTime: 2_000, retries: 5 },
    logLevel: logLevel.WARN,
    logCreator: writeTo(logger),
  };
  return new Kafka(config);
}

/** Said by kafkajs in the normal course of things: a transaction that starts while the one before is being closed, our choices of retries and partitions. */
const notWorthALine = [
  'another concurrent operation on the same transaction was ongoing',
  'Limiting retries for the idempotent producer',
  'switched default partitioner',
];

/**
 * What kafkajs calls an error it mostly tries again by itself. What does not get better reaches our own loops, and they say it. While a
 * broker is away every attempt says the same, so it is written twice a minute.
 */
function writeTo(logger: LoggerService): logCreator {
  const saidAt = new Map<string, number>();
  return () =>
    ({ namespace, log: { message, error, broker } }) => {
      const text = [namespace, message, error, broker].filter((part) => typeof part === 'string' && part !== '').join(': ');
      if (notWorthALine.some((each) => text.includes(each)) || Date.now() - (saidAt.get(text) ?? 0) < 30_000) return;
      if (saidAt.size > 100) saidAt.clear();
      saidAt.set(text, Date.now());
      logger.warn(text);
    };
}
