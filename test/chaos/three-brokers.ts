import { describe, it } from '@jest/globals';
import { sourceOfKafka } from '../../scripts/kafka.js';
import { describeWithKafka } from '../environment.js';

/** A suite that starts three brokers of its own, which takes Java: a Kafka in a container, or one of somebody else's, is one broker. */
export const describeWithThreeBrokers = await choose();

async function choose(): Promise<(name: string, body: () => void) => void> {
  if ((process.env['TEST_KAFKA_BROKERS'] ?? '') === '') return describeWithKafka;
  const source = await sourceOfKafka('broker');
  if ('from' in source && source.from === 'java') return describeWithKafka;
  const why = 'missing' in source ? source.missing : 'three brokers need Java 17+ and Maven';
  return (name, body) => {
    console.warn(`DID NOT RUN: ${name} (${why})`);
    if (process.env['CI'] !== 'true') describe.skip(name, body);
    else describe(name, () => it('did not run (three brokers)', () => Promise.reject(new Error(why))));
  };
}
