/* What kafkajs 2.2.4 invites to. docs/kafka.md */
import type { Mutant } from './mutant.js';

const server = 'libs/messaging/src/kafka-batch.server';
const relay = 'libs/messaging/src/event-relay';
const taking: Pick<Mutant, 'file' | 'specs' | 'needs'> = { file: `${server}.ts`, specs: [`${server}.int.spec`], needs: 'Kafka' };
const sending: Pick<Mutant, 'file' | 'specs' | 'needs'> = { file: `${relay}.ts`, specs: [`${relay}.int.spec`], needs: 'Kafka' };

export const kafkaMutants: readonly Mutant[] = [
  {
    name: 'kafka-chooses-the-partition',
    brings: 'K1',
    then: 'a record may be sent to two partitions, or to none',
    file: 'libs/messaging/src/event-record.ts',
    find: 'return { partition: partitionOf(key, partitions), key, value, headers };',
    put: 'return { partition: undefined as never, key, value, headers };',
    specs: ['libs/messaging/src/event-record.spec'],
  },
  {
    ...sending,
    name: 'kafka-silence-is-consent',
    brings: 'K1',
    then: 'the cursor passes records that no broker has taken',
    find: 'if (missed !== undefined) throw',
    put: 'if (missed !== undefined && records.length === 0) throw',
  },
  {
    name: 'kafka-timer-at-rest',
    brings: 'K2',
    then: 'four percent of a core are gone for each connection',
    file: 'libs/messaging/src/kafkajs-mends.ts',
    find: 'if (this.pending.length > 0) arm.call(this);',
    put: 'arm.call(this);',
    specs: ['libs/messaging/src/kafkajs-mends.spec'],
  },
  {
    ...sending,
    name: 'kafka-same-producer-again',
    brings: 'K3',
    then: 'a producer that was refused once goes on being refused',
    find: '      await this.dropTurn();\n      this.trouble = textOf(error);',
    put: '      this.trouble = textOf(error);',
  },
  {
    ...taking,
    name: 'kafka-hears-of-our-errors',
    brings: 'K4',
    then: 'a record that fails a few times ends the consumer',
    find: '      if (this.isOurs(place)) this.cope(place, error);\n      return false;',
    put: '      throw error;',
  },
  {
    ...taking,
    name: 'kafka-gives-up-in-silence',
    brings: 'K5',
    then: 'a consumer that has ended for good goes on looking alive',
    find: "    this.become('failed');\n",
    put: '',
  },
  {
    ...taking,
    name: 'kafka-jumps-unseen',
    brings: 'K6',
    then: 'what the log has lost is passed over as if it had never been',
    find: 'stored !== null && stored < start\n',
    put: 'stored !== null && start < 0n\n',
  },
  {
    ...taking,
    name: 'kafka-one-after-another',
    brings: 'K8',
    then: 'a slow partition holds up all others',
    find: 'partitionsConsumedConcurrently: this.options.concurrency ?? 4',
    put: 'partitionsConsumedConcurrently: 1',
  },
  {
    name: 'kafka-woken-and-writing',
    brings: 'K9',
    then: 'a consumer that was frozen stores what another one has stored',
    file: 'libs/persistence/src/statements.ts',
    find: ' and partition = $4 and next_offset = $5`',
    put: ' and partition = $4 and $5::bigint is not null`',
    specs: ['test/contracts/postgres-stores.int.spec'],
    needs: 'PostgreSQL',
  },
  {
    ...taking,
    name: 'kafka-waits-for-ever-to-stop',
    brings: 'K11',
    then: 'a deployment hangs on a batch that does not end',
    find: 'await Promise.race([left, sleep(this.options.closeTimeoutMs ?? 10_000, false, { ref: false })]);',
    put: 'await left;',
  },
  {
    ...taking,
    name: 'kafka-told-before-it-is-stored',
    brings: 'K12',
    then: 'a handler that stored half of a batch has the other half passed over',
    find: "      if (!batch.isStored) throw new Error('the handler ended before all of the batch was stored');\n",
    put: '',
  },
  {
    name: 'kafka-rounded',
    brings: 'K14',
    then: '9007199254740993 is refunded as 9007199254740991, which every check takes for exact',
    file: 'libs/contracts/src/read-body.ts',
    find: "(context?.source ?? '') ? value : notPlain;",
    put: "(context?.source ?? '') ? value : Number(value) > 2 ** 53 - 1 ? 2 ** 53 - 1 : notPlain;",
    specs: ['libs/contracts/src/read-body.spec'],
  },
];
