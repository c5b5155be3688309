import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Logger } from '@nestjs/common';
import { afterAll, beforeAll, expect, it, jest } from '@jest/globals';
import { Kafka, logLevel } from 'kafkajs';
import { EventLog, type SealedEntry, TopicCursors, type TopicTurn } from '#application/event-log';
import { Wake } from '#application/wake';
import { EventRelay } from '#messaging/event-relay';
import { type Kafka as Cluster, startKafka } from '../../scripts/kafka.js';
import { Proxy } from './proxy.js';
import { describeWithThreeBrokers } from './three-brokers.js';

/*
 * kafkajs chooses the partitions of unkeyed records anew at each try, and leaves out the brokers that have answered already. So when one
 * broker of three is away for a moment, records move from its partitions to those of a broker that is not asked again: the send succeeds,
 * and they are nowhere; others come twice. It takes three brokers to see it.
 */

jest.setTimeout(180_000);

const sends = 10;
const atOnce = 100;

class Entries extends EventLog {
  readonly all: SealedEntry[] = [];

  add(topic: string, key: string, subject: string): void {
    const position = BigInt(this.all.length + 1);
    const none = { correlationId: null, causationId: null, traceparent: null };
    const type = 'redress.refund.pending.v1';
    const time = new Date('2026-01-31T09:31:00Z');
    const data = JSON.stringify(subject);
    this.all.push({
      ...none,
      id: subject,
      account: 'default',
      position,
      topic,
      key,
      type,
      subject,
      paymentKey: key,
      sequence: position,
      time,
      data,
    });
  }

  seal(): Promise<number> {
    return Promise.resolve(0);
  }

  page(after: bigint, limit: number): Promise<SealedEntry[]> {
    return Promise.resolve(this.all.filter(({ position }) => position > after).slice(0, limit));
  }

  end(): Promise<bigint> {
    return Promise.resolve(BigInt(this.all.length));
  }

  ends(topics: readonly string[]): Promise<Map<string, bigint>> {
    const last = (topic: string) => this.all.findLast((entry) => entry.topic === topic)?.position ?? 0n;
    return Promise.resolve(new Map(topics.map((topic) => [topic, last(topic)])));
  }
}

class OneCursor extends TopicCursors {
  position = 0n;

  take(): Promise<TopicTurn | null> {
    return Promise.resolve({ position: this.position, fence: 1n });
  }

  advance(_topic: string, _fence: bigint, position: bigint): Promise<boolean> {
    this.position = position;
    return Promise.resolve(true);
  }

  giveBack(): Promise<void> {
    return Promise.resolve();
  }

  deadLetters(): Promise<[]> {
    return Promise.resolve([]);
  }
}

class NoBells extends Wake {
  ring(): void {
    // The relay asks by itself.
  }

  on(): () => void {
    return () => undefined;
  }
}

describeWithThreeBrokers('When one broker of three is away for a moment', () => {
  let folder: string;
  let cluster: Cluster;
  let doors: Proxy[];
  let kafka: Kafka;

  beforeAll(async () => {
    Logger.overrideLogger(false);
    folder = mkdtempSync(join(tmpdir(), 'redress-lost-'));
    chmodSync(folder, 0o755);
    doors = await Promise.all([Proxy.start(), Proxy.start(), Proxy.start()]);
    const started = await startKafka({ dir: folder, brokers: 3, throwaway: true, doors: doors.map(({ port }) => port) });
    if ('missing' in started) throw new Error(started.missing);
    cluster = started;
    for (const [index, door] of doors.entries()) door.leadTo(Number(cluster.nodes[index]?.address.split(':')[1]));
    const brokers = doors.map(({ port }) => `127.0.0.1:${port}`);
    kafka = new Kafka({ brokers, clientId: 'spec', logLevel: logLevel.NOTHING, retry: { initialRetryTime: 200, retries: 15 } });
  }, 150_000);

  afterAll(async () => {
    await Promise.all(doors.map((door) => door.stop()));
    await cluster.stop();
    rmSync(folder, { recursive: true, force: true });
  }, 60_000);

  it('plain kafkajs says that unkeyed records were sent which are nowhere, and sends others twice (F12)', async () => {
    const topic = 'plain';
    const door = await topicOnAll(topic);
    const producer = kafka.producer({ allowAutoTopicCreation: false });
    await producer.connect();
    let acknowledged = 0;
    for (let send = 0; send < sends; send += 1) {
      const messages = Array.from({ length: atOnce }, (_, at) => ({ value: `${send}-${at}` }));
      if (send === 0) await producer.send({ topic, messages: [{ value: 'the first, for connections' }] });
      const back = away(door);
      await producer.send({ topic, acks: -1, messages });
      acknowledged += atOnce;
      await back;
    }
    await producer.disconnect();

    const found = (await readAll(topic)).map(({ value }) => value).filter((value) => /^\d+-\d+$/.test(value));
    const lost = acknowledged - new Set(found).size;
    const twice = found.length - new Set(found).size;
    process.stderr.write(`plain kafkajs: ${acknowledged} acknowledged, ${lost} of them nowhere, ${twice} twice\n`);
    expect(lost).toBeGreaterThan(0);
    expect(twice).toBeGreaterThan(0);
  });

  it('the relay loses nothing, repeats nothing to those who read committed records, and keeps the order (F12)', async () => {
    const topic = 'relayed';
    const door = await topicOnAll(topic);
    const log = new Entries();
    const cursor = new OneCursor();
    const brokers = doors.map(({ port }) => `127.0.0.1:${port}`);
    const connection = { brokers, clientId: 'relay' };
    const relay = new EventRelay(log, cursor, new NoBells(), { connection, topics: [topic], pollMs: 50, leaseMs: 3_000 });
    relay.start();
    try {
      for (let send = 0; send < sends; send += 1) {
        const back = away(door);
        for (let at = 0; at < atOnce; at += 1) log.add(topic, `default:stripe:pi_${at % 20}`, `${send}-${at}`);
        await back;
        await sleep(300);
      }
      for (let tries = 0; cursor.position < BigInt(log.all.length) && tries < 600; tries += 1) await sleep(100);
    } finally {
      await relay.stop();
    }

    const found = await readAll(topic);
    const fresh = found.filter(({ id }, at) => found.findIndex((other) => other.id === id) === at);
    process.stderr.write(`the relay: ${log.all.length} sent, ${fresh.length} found, ${found.length - fresh.length} twice\n`);
    expect(cursor.position).toBe(BigInt(sends * atOnce));
    expect(new Set(found.map(({ id }) => id)).size).toBe(sends * atOnce);
    for (const [key, records] of Map.groupBy(fresh, (record) => record.key)) {
      expect(records.map(({ id }) => id)).toEqual(log.all.filter((entry) => entry.key === key).map(({ id }) => id));
    }
  });

  /** A topic led by all three, and the door of one leader that is not the only way in. */
  async function topicOnAll(topic: string): Promise<Proxy> {
    const admin = kafka.admin();
    await admin.connect();
    const replicaAssignment = [0, 1, 2].map((partition) => ({
      partition,
      replicas: [partition + 1, ((partition + 1) % 3) + 1, ((partition + 2) % 3) + 1],
    }));
    await admin.createTopics({ topics: [{ topic, replicaAssignment }], waitForLeaders: true });
    await admin.disconnect();
    const [, , third] = doors;
    if (third === undefined) throw new Error('there are three doors');
    return third;
  }

  /** Nobody reaches the broker for a moment; it does not know, and leads on. */
  async function away(door: Proxy): Promise<void> {
    door.set('cut');
    await sleep(400);
    door.set('fair');
  }

  async function readAll(topic: string): Promise<{ value: string; key: string | null; id: string }[]> {
    const records: { value: string; key: string | null; id: string }[] = [];
    const consumer = kafka.consumer({ groupId: `reads-${topic}`, maxWaitTimeInMs: 100 });
    await consumer.connect();
    await consumer.subscribe({ topic, fromBeginning: true });
    await consumer.run({
      partitionsConsumedConcurrently: 1,
      eachMessage: ({ message: { value, key, headers } }) => {
        records.push({ value: String(value), key: key?.toString() ?? null, id: String(headers?.['ce_id']) });
        return Promise.resolve();
      },
    });
    // All is there before reading begins: what grows no more for a while has been read.
    for (let quiet = 0, count = -1; quiet < 40; await sleep(100)) {
      quiet = records.length === count && count > 0 ? quiet + 1 : 0;
      count = records.length;
    }
    await consumer.disconnect();
    return records;
  }
});
