import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { createRequire } from 'node:module';
import { setTimeout as sleep } from 'node:timers/promises';
import { Logger } from '@nestjs/common';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it, jest } from '@jest/globals';
import { type Admin, type Consumer, Kafka, type KafkaMessage, logLevel } from 'kafkajs';
import {
  type DeadLetterRecord,
  EventLog,
  type LogFilter,
  type SealedEntry,
  TopicCursors,
  type TopicTurn,
} from '#application/event-log';
import { Wake, type Work } from '#application/wake';
import { EventRelay, type EventRelayOptions } from '#messaging/event-relay';
import { describeWithKafka, kafkaBrokers } from '../../../test/environment.js';

jest.setTimeout(30_000); // Joining a group takes a second, and seconds more on a busy machine.

const require = createRequire(import.meta.url);
const { prototype: brokers } = require('kafkajs/src/broker/index.js') as {
  prototype: { produce: (records: object) => Promise<unknown> };
};
const { createErrorFromCode } = require('kafkajs/src/protocol/error.js') as { createErrorFromCode: (code: number) => Error };

class Log extends EventLog {
  readonly entries: SealedEntry[] = [];
  readonly reads: string[] = [];

  add(topic: string, key: string | null, data: string, subject = 'rf_1'): void {
    const position = BigInt(this.entries.length + 1);
    const time = new Date('2026-01-31T09:31:00Z');
    const ids = { id: `evt_${position}`, account: 'default', correlationId: null, causationId: null, traceparent: null };
    const type = 'redress.refund.pending.v1';
    this.entries.push({ ...ids, position, topic, key, type, subject, paymentKey: key, sequence: position, time, data });
  }

  seal(): Promise<number> {
    return Promise.resolve(0);
  }

  page(after: bigint, limit: number, { topics = [] }: LogFilter): Promise<SealedEntry[]> {
    const behind = this.entries.filter((entry) => entry.position > after && topics.includes(entry.topic));
    return Promise.resolve(behind.slice(0, limit));
  }

  end(): Promise<bigint> {
    return Promise.resolve(BigInt(this.entries.length));
  }

  ends(topics: readonly string[]): Promise<Map<string, bigint>> {
    const last = (topic: string) => this.entries.findLast((entry) => entry.topic === topic)?.position ?? 0n;
    return Promise.resolve(new Map(topics.map((topic) => [topic, last(topic)])));
  }
}

class Cursors extends TopicCursors {
  position = 0n;
  fence = 0n;
  holder: string | null = null;
  readonly letters: DeadLetterRecord[] = [];
  readonly advances: bigint[] = [];
  /** A chance to do something between a relay's steps. */
  beforeAdvance: () => Promise<void> | void = () => undefined;

  take(_topic: string, holder: string, _leaseMs: number): Promise<TopicTurn | null> {
    if (this.holder !== null && this.holder !== holder) return Promise.resolve(null);
    if (this.holder === null) this.fence += 1n;
    this.holder = holder;
    return Promise.resolve({ position: this.position, fence: this.fence });
  }

  async advance(_topic: string, fence: bigint, position: bigint): Promise<boolean> {
    await this.beforeAdvance();
    if (fence !== this.fence) return false;
    this.position = position;
    this.advances.push(position);
    return true;
  }

  giveBack(_topic: string, fence: bigint): Promise<void> {
    if (fence === this.fence) this.holder = null;
    return Promise.resolve();
  }

  deadLetters(ids: readonly string[]): Promise<DeadLetterRecord[]> {
    return Promise.resolve(this.letters.filter((letter) => ids.includes(letter.id)));
  }
}

class Bells extends Wake {
  private readonly listeners = new Set<() => void>();

  ring(_work: Work): void {
    for (const listener of this.listeners) listener();
  }

  on(_work: Work, listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }
}

describeWithKafka('The relay', () => {
  const kafka = new Kafka({ brokers: kafkaBrokers(), clientId: 'spec', logLevel: logLevel.NOTHING });
  let admin: Admin;
  let topic: string;
  let log: Log;
  let cursors: Cursors;
  let wake: Bells;
  const relays: EventRelay[] = [];
  const consumers: Consumer[] = [];

  beforeAll(async () => {
    Logger.overrideLogger(false);
    admin = kafka.admin();
    await admin.connect();
  });

  afterAll(() => admin.disconnect());

  beforeEach(async () => {
    topic = `spec-out-${randomUUID()}`;
    await admin.createTopics({ topics: [{ topic, numPartitions: 4 }], waitForLeaders: true });
    log = new Log();
    cursors = new Cursors();
    wake = new Bells();
  });

  afterEach(async () => {
    await Promise.all([...relays.splice(0).map((each) => each.stop()), ...consumers.splice(0).map((each) => each.disconnect())]);
  });

  it('carries every entry once and in order per key, over pages, and its cursor ends behind the last', async () => {
    for (let each = 0; each < 2_500; each++) log.add(topic, `default:stripe:pi_${each % 7}`, JSON.stringify({ each }));
    const seen = await listen();
    start({ pageSize: 300 });
    await until(() => seen.length === 2_500);
    for (let key = 0; key < 7; key++) {
      const ofKey = seen.filter((message) => String(message.key) === `default:stripe:pi_${key}`).map(numberOf);
      expect(ofKey).toEqual(Array.from({ length: ofKey.length }, (_, each) => each * 7 + key));
    }
    await until(() => cursors.position === 2_500n);
  });

  it('sends at once when it is rung, and soon when a ring was lost', async () => {
    const seen = await listen();
    const [relay] = [start({ pollMs: 60_000 })];
    await until(() => relay.status()[0]?.isOurs === true);
    await sleep(200);
    log.add(topic, 'k', '{"each":0}');
    wake.ring('sealed');
    await until(() => seen.length === 1, 2_000);

    await relay.stop();
    relays.splice(0);
    start({ pollMs: 100 });
    log.add(topic, 'k', '{"each":1}');
    await until(() => seen.length === 2, 5_000);
  });

  it('sends a page again when it ended between sending and moving the cursor, and nothing gets lost or overtaken (F16)', async () => {
    for (let each = 0; each < 20; each++) log.add(topic, 'k', JSON.stringify({ each }));
    const seen = await listen();
    cursors.beforeAdvance = () => {
      cursors.beforeAdvance = () => undefined;
      throw new Error('killed');
    };
    start({ pageSize: 10 });
    await until(() => cursors.position === 20n);
    await until(() => seen.length === 30);
    const first = Array.from({ length: 10 }, (_, each) => each);
    expect(seen.map(numberOf)).toEqual([...first, ...first, ...first.map((each) => each + 10)]);
  });

  it('is shut out when it freezes before it sends and a successor takes over (F17)', async () => {
    for (let each = 0; each < 5; each++) log.add(topic, 'k', JSON.stringify({ each }));
    const seen = await listen();
    // The first relay has read its page, and freezes there.
    const { promise: thaw, resolve: wakeUp } = Promise.withResolvers<void>();
    const { promise: frozen, resolve: freeze } = Promise.withResolvers<void>();
    const slow = new Log();
    slow.entries.push(...log.entries);
    slow.page = async (...args) => {
      const page = await Log.prototype.page.apply(slow, args);
      freeze();
      await thaw;
      return page;
    };
    const first = start({}, slow);
    await frozen;
    cursors.holder = null; // Its lease is over.
    start();
    await until(() => seen.length === 5);
    log.add(topic, 'k', '{"each":5}');
    wake.ring('sealed');
    await until(() => seen.length === 6);

    wakeUp();
    await until(() => first.status()[0]?.trouble !== null || first.status()[0]?.isOurs === false);
    await sleep(1_000);
    expect(seen.map(numberOf)).toEqual([0, 1, 2, 3, 4, 5]);
    expect(cursors.position).toBe(6n);
  });

  it('does not shut out its successor when it freezes before it announces itself (F17)', async () => {
    for (let each = 0; each < 5; each++) log.add(topic, 'k', JSON.stringify({ each }));
    const seen = await listen();
    // The first relay's turn is over by the time it looks for the second time.
    const take = cursors.take.bind(cursors);
    let takes = 0;
    cursors.take = async (name, holder, leaseMs) => {
      const turn = await take(name, holder, leaseMs);
      if (++takes === 1) {
        cursors.holder = 'the successor';
        cursors.fence += 1n;
        cursors.position = 3n;
      }
      return turn;
    };
    const relay = start({ leaseMs: 1_000 });
    await sleep(1_500);
    expect(seen).toEqual([]);
    expect(relay.status()[0]?.isOurs).toBe(false);
    cursors.holder = null;
    await until(() => seen.length === 2);
    expect(seen.map(numberOf)).toEqual([3, 4]);
  });

  it.each([
    ['forget what they know of a producer', 59],
    ['miss a sequence number', 45],
  ])('goes on with a new producer when brokers %s (F13)', async (_, code) => {
    log.add(topic, 'k', '{"each":0}');
    const seen = await listen();
    start();
    await until(() => seen.length === 1);
    const refused = jest.spyOn(brokers, 'produce').mockRejectedValueOnce(createErrorFromCode(code));
    for (let each = 1; each < 5; each++) log.add(topic, 'k', JSON.stringify({ each }));
    wake.ring('sealed');
    await until(() => cursors.position === 5n);
    await until(() => seen.length === 5);
    expect(refused).toHaveBeenCalled();
    refused.mockRestore();
    expect(seen.map(numberOf)).toEqual([0, 1, 2, 3, 4]);
  });

  it('does not wait for ever for a call that kafkajs has forgotten', async () => {
    log.add(topic, 'k', '{"each":0}');
    const seen = await listen();
    start({ leaseMs: 400 });
    await until(() => seen.length === 1);
    const forgotten = jest.spyOn(brokers, 'produce').mockReturnValueOnce(new Promise(() => undefined));
    log.add(topic, 'k', '{"each":1}');
    wake.ring('sealed');
    await until(() => cursors.position === 2n);
    await until(() => seen.length === 2);
    expect(forgotten).toHaveBeenCalled();
    forgotten.mockRestore();
  });

  it('does not move its cursor past a partition that Kafka did not answer for (F12)', async () => {
    for (let each = 0; each < 50; each++) log.add(topic, `k${each}`, JSON.stringify({ each }));
    const relay = start();
    await until(() => cursors.position === 50n);
    const { carriers } = relay as unknown as { carriers: { turn: { sender: { partitions: number } } }[] };
    const sender = carriers[0]?.turn.sender;
    // As if partitions were gone: kafkajs finds no leader for them, leaves their records out, and reports success.
    if (sender !== undefined) sender.partitions = 9;
    for (let each = 50; each < 100; each++) log.add(topic, `k${each}`, JSON.stringify({ each }));
    const seen = await listen();
    wake.ring('sealed');
    await until(() => cursors.position === 100n);
    await until(() => new Set(seen.map(numberOf)).size === 100);
  });

  it('passes by the entries of other topics', async () => {
    log.add('another', 'k', '{}');
    log.add(topic, 'k', '{"each":1}');
    log.add('another', 'k', '{}');
    const seen = await listen();
    start();
    await until(() => cursors.position === 2n);
    await until(() => seen.length === 1);
  });

  it('carries dead letters with the bytes they came with', async () => {
    cursors.letters.push({ id: 'dl_1', key: null, value: Buffer.from([0xff, 0]), headers: { reason: Buffer.from('not_json') } });
    log.add(topic, null, '{}', 'dl_1');
    const seen = await listen();
    start();
    await until(() => seen.length === 1);
    expect(seen[0]).toMatchObject({ key: null, value: Buffer.from([0xff, 0]), headers: { reason: Buffer.from('not_json') } });
  });

  it('sends a page of large entries that together are more than Kafka takes at once', async () => {
    for (let each = 0; each < 12; each++) log.add(topic, 'k', JSON.stringify({ each, filling: 'x'.repeat(300_000) }));
    const seen = await listen();
    start();
    await until(() => seen.length === 12);
    expect(seen.map(numberOf)).toEqual(Array.from({ length: 12 }, (_, each) => each));
  });

  it('gives its topics back when it is stopped, so that the next one begins at once', async () => {
    log.add(topic, 'k', '{"each":0}');
    const relay = start();
    await until(() => cursors.position === 1n);
    await relay.stop();
    expect(cursors.holder).toBeNull();
  });

  it("sends what Kafka's own console consumer prints, with key and headers", async () => {
    log.add(topic, 'default:stripe:pi_1', '{"each":0}');
    start();
    await until(() => cursors.position === 1n);
    const shown = ['print.key=true', 'print.headers=true'].flatMap((each) => ['--property', each]);
    const printed = await consoleConsumer(['--topic', topic, '--from-beginning', '--max-messages', '1', ...shown]);
    expect(printed).toContain('ce_id:evt_1');
    expect(printed).toContain('ce_type:redress.refund.pending.v1');
    expect(printed).toContain('default:stripe:pi_1\t{"each":0}');
  }, 60_000);

  function start(options: Partial<EventRelayOptions> = {}, from = log): EventRelay {
    const connection = { brokers: kafkaBrokers(), clientId: 'spec' };
    const backoff = { firstMs: 20, mostMs: 200 };
    const relay = new EventRelay(from, cursors, wake, { connection, topics: [topic], pollMs: 100, backoff, ...options });
    relays.push(relay);
    relay.start();
    return relay;
  }

  /** What a reader of committed records sees, in the order it comes. */
  async function listen(): Promise<KafkaMessage[]> {
    const seen: KafkaMessage[] = [];
    const consumer = kafka.consumer({ groupId: `spec-${randomUUID()}`, maxWaitTimeInMs: 100 });
    consumers.push(consumer);
    await consumer.connect();
    await consumer.subscribe({ topic, fromBeginning: true });
    await consumer.run({ eachMessage: ({ message }) => Promise.resolve(void seen.push(message)) });
    return seen;
  }
});

function consoleConsumer(options: readonly string[]): Promise<string> {
  const env = { ...process.env, KAFKA_BROKERS: kafkaBrokers().join(',') };
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  execFile(process.execPath, ['dist/scripts/kafka-tool.js', 'console-consumer', ...options], { env }, (error, stdout) =>
    error === null ? resolve(stdout) : reject(error),
  );
  return promise;
}

function numberOf(message: KafkaMessage): number {
  return (JSON.parse(String(message.value)) as { each: number }).each;
}

async function until(isSo: () => boolean, withinMs = 12_000): Promise<void> {
  const deadline = Date.now() + withinMs;
  while (!isSo()) {
    if (Date.now() > deadline) throw new Error('it did not come to that');
    await sleep(20);
  }
}
