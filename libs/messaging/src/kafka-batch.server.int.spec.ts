import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { createRequire } from 'node:module';
import { setTimeout as sleep } from 'node:timers/promises';
import { type CanActivate, Controller, type ExecutionContext, type INestMicroservice, Logger, UseGuards } from '@nestjs/common';
import { ClientKafka, Ctx, Payload } from '@nestjs/microservices';
import { Test } from '@nestjs/testing';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it, jest } from '@jest/globals';
import { type Admin, Kafka, logLevel, type Producer } from 'kafkajs';
import { lastValueFrom } from 'rxjs';
import { Fenced, Unavailable } from '#application/errors';
import { type PartitionHalt, type PartitionMark, PartitionOffsets } from '#application/event-log';
import type { ReceivedBatch, ReceivedRecord } from '#application/received-batch';
import { readCloudEvent } from '#contracts/cloud-event';
import { KafkaBatch, KafkaBatchContext } from '#messaging/kafka-batch';
import { KafkaBatchServer, type KafkaBatchOptions } from '#messaging/kafka-batch.server';
import { describeWithKafka, kafkaBrokers } from '../../../test/environment.js';

jest.setTimeout(30_000); // Joining a group takes a second, and seconds more on a busy machine.

/** What a database does for a batch: records and the partition's offset together or not at all. */
class Store extends PartitionOffsets {
  readonly next = new Map<number, bigint>();
  readonly records: ReceivedRecord[] = [];
  readonly sizes: number[] = [];
  waiting: PartitionHalt[] = [];
  isAway = false;

  load(_cluster: string, _group: string, _topic: string, partitions: readonly number[]): Promise<Map<number, bigint | null>> {
    if (this.isAway) return Promise.reject(new Unavailable('the database is away'));
    return Promise.resolve(new Map(partitions.map((each) => [each, this.next.get(each) ?? null])));
  }

  halt(cluster: string, group: string, on: string, partition: number, reason: string): Promise<void> {
    if (this.isAway) return Promise.reject(new Unavailable('the database is away'));
    this.waiting.push({ id: String(partition), cluster, group, topic: on, partition, reason, since: new Date() });
    return Promise.resolve();
  }

  goOn(_cluster: string, _group: string, on: string, partitions: readonly number[]): Promise<void> {
    this.waiting = this.waiting.filter(({ topic: of, partition }) => of !== on || !partitions.includes(partition));
    return Promise.resolve();
  }

  halts(): Promise<PartitionHalt[]> {
    return Promise.resolve(this.waiting);
  }

  save(records: readonly ReceivedRecord[], mark: PartitionMark): void {
    if (this.isAway) throw new Unavailable('the database is away');
    if ((this.next.get(mark.partition) ?? null) !== mark.expected) throw new Fenced(`expected ${mark.expected}`);
    this.next.set(mark.partition, mark.next);
    this.records.push(...records);
    this.sizes.push(records.length);
  }

  values(): string[] {
    return this.records.map((record) => String(record.value));
  }
}

let topic: string;
let handle: (batch: ReceivedBatch) => void | Promise<void>;
let store: Store;
let admin: Admin;
let producer: Producer;
const running: INestMicroservice[] = [];

describeWithKafka('A topic that is taken in by batch', () => {
  const kafka = new Kafka({ brokers: kafkaBrokers(), clientId: 'spec', logLevel: logLevel.NOTHING });

  beforeAll(async () => {
    Logger.overrideLogger(false);
    admin = kafka.admin();
    producer = kafka.producer({ idempotent: true, maxInFlightRequests: 1 });
    await Promise.all([admin.connect(), producer.connect()]);
  });

  afterAll(async () => {
    await Promise.all([admin.disconnect(), producer.disconnect()]);
  });

  beforeEach(async () => {
    topic = `spec-in-${randomUUID()}`;
    await admin.createTopics({ topics: [{ topic, numPartitions: 4 }], waitForLeaders: true });
    store = new Store();
    handle = (batch) => {
      store.save(batch.records, batch.mark);
      batch.stored(batch.mark);
    };
  });

  afterEach(async () => {
    // Topics stay: a kafkajs client that once knew a topic can do nothing any more when that is deleted.
    await Promise.all(running.splice(0).map((each) => each.close()));
  });

  it('arrives in order, in batches no larger than asked for, with raw bytes', async () => {
    const values = Array.from({ length: 1_200 }, (_, each) => `value ${each}`);
    await send(...values);
    await start({ maxRecords: 500 });
    await until(() => store.records.length === 1_200);
    expect(store.values()).toEqual(values);
    expect(Math.max(...store.sizes)).toBeLessThanOrEqual(500);
    expect(store.next.get(0)).toBe(1_200n);

    await producer.send({
      topic,
      messages: [{ key: null, value: null, partition: 0, headers: { raw: Buffer.from([0xff, 0]) } }],
    });
    await until(() => store.records.length === 1_201);
    expect(store.records.at(-1)).toMatchObject({
      offset: 1_200n,
      key: null,
      value: null,
      headers: { raw: Buffer.from([0xff, 0]) },
    });
  });

  it.each([
    ['before', '0'],
    ['behind', '9'],
  ])("goes on where the database says, also when Kafka's own offset is %s that", async (_, offset) => {
    await send(...'abcdefghij');
    const groupId = `group-${randomUUID()}`;
    await admin.setOffsets({ groupId, topic, partitions: [{ partition: 0, offset }] });
    store.next.set(0, 6n);
    await start({ groupId });
    await until(() => store.records.length === 4);
    expect(store.values()).toEqual([...'ghij']);
  });

  it('is stored in parts when the handler takes it apart', async () => {
    await send(...'abcd');
    handle = (batch) => {
      for (const record of batch.records) {
        const mark = batch.markThrough(record.offset);
        store.save([record], mark);
        batch.stored(mark);
      }
    };
    await start();
    await until(() => store.records.length === 4);
    expect(store.sizes).toEqual([1, 1, 1, 1]);
  });

  it('is read past the markers that transactions leave, without what was aborted', async () => {
    const transactional = kafka.producer({ transactionalId: `spec-${topic}`, idempotent: true, retry: { initialRetryTime: 5 } });
    await transactional.connect();
    const steps: [string, boolean][] = [
      ['a', true],
      ['never', false],
      ['b', true],
    ];
    await start();
    for (const [value, isMeant] of steps) {
      const transaction = await transactional.transaction();
      await transaction.send({ topic, messages: [{ value, partition: 0 }] });
      await (isMeant ? transaction.commit() : transaction.abort());
      await sleep(300); // So that markers arrive alone, too.
    }
    await transactional.disconnect();
    await send('c');
    await until(() => store.records.length === 3);
    expect(store.values()).toEqual(['a', 'b', 'c']);
    expect(store.next.get(0)).toBe(7n);
  });

  it('is read without what overlapping transactions have aborted', async () => {
    const [one, other] = ['one', 'other'].map((each) =>
      kafka.producer({ transactionalId: `${each}-${topic}`, idempotent: true, retry: { initialRetryTime: 5 } }),
    );
    if (one === undefined || other === undefined) throw new Error('two producers');
    await Promise.all([one.connect(), other.connect()]);
    const [first, second] = [await one.transaction(), await other.transaction()];
    await first.send({ topic, messages: [{ value: 'never', partition: 0 }] });
    await second.send({ topic, messages: [{ value: 'never', partition: 0 }] });
    await second.abort();
    await first.send({ topic, messages: [{ value: 'never', partition: 0 }] });
    await first.abort();
    await Promise.all([one.disconnect(), other.disconnect()]);
    await send('a');
    await start();
    await until(() => store.records.length >= 1);
    await sleep(300);
    expect(store.values()).toEqual(['a']);
  });

  it('is looked up anew when somebody else has moved it, and goes on from there (F9)', async () => {
    await send('a', 'b');
    await start();
    await until(() => store.records.length === 2);
    store.next.set(0, 3n); // Another consumer that thinks the partition is its own has stored "c".
    await send('c', 'd');
    await until(() => store.records.length === 3);
    expect(store.values()).toEqual(['a', 'b', 'd']);
  });

  it('waits while the database is away, loses nothing, and stays in the group', async () => {
    const server = await start({ sessionTimeoutMs: 6_000 });
    await until(() => server.health().status === 'joined');
    store.isAway = true;
    await send('a', 'b');
    await sleep(7_000);
    expect(server.health()).toEqual({ status: 'joined', halted: [] });
    expect(store.records).toEqual([]);
    store.isAway = false;
    await until(() => store.records.length === 2);
    expect(store.values()).toEqual(['a', 'b']);
  }, 30_000);

  it('waits for a database that was away when the partition came', async () => {
    store.isAway = true;
    await send('a');
    await start();
    await sleep(1_500);
    store.isAway = false;
    await until(() => store.records.length === 1);
  });

  it('is tried again after a bug in the handler, and goes on when it is over (F8)', async () => {
    let failures = 0;
    const { handle: whole } = { handle };
    handle = (batch) => {
      if (++failures <= 3) throw new TypeError('undefined is not a function');
      return whole(batch);
    };
    const server = await start();
    await send('a', 'b');
    await until(() => store.records.length === 2);
    expect(failures).toBe(4);
    expect(server.health()).toEqual({ status: 'joined', halted: [] });
  });

  it('halts a partition whose handler never succeeds, says so, and goes on with the others (F8)', async () => {
    const { handle: whole } = { handle };
    handle = (batch) => {
      if (batch.partition === 0) throw new TypeError('undefined is not a function');
      return whole(batch);
    };
    const server = await start({ maxFailures: 3 });
    const told: unknown[] = [];
    server.on('halted', (halted) => told.push(halted));
    await producer.send({ topic, messages: [{ value: 'bad', partition: 0 }] });
    await until(() => server.health().halted.length === 1);
    expect(told).toEqual([{ topic, partition: 0, reason: expect.stringContaining('undefined is not a function') as unknown }]);
    await producer.send({ topic, messages: [{ value: 'good', partition: 1 }] });
    await until(() => store.values().includes('good'));
    expect(store.next.get(0)).toBeUndefined();
  });

  it('goes on in its other partitions while a handler is slow with one', async () => {
    const { promise: slow, resolve: free } = Promise.withResolvers<void>();
    handle = async (batch) => {
      if (batch.partition === 0) await slow;
      store.save(batch.records, batch.mark);
      batch.stored(batch.mark);
    };
    await start();
    await send('slow');
    await producer.send({ topic, messages: [1, 2, 3].map((partition) => ({ value: `quick ${partition}`, partition })) });
    await until(() => store.records.length === 3);
    expect(store.next.has(0)).toBe(false);
    free();
    await until(() => store.records.length === 4);
  });

  it('is not passed over when a handler returns before all is stored', async () => {
    await send('a', 'b', 'c');
    let calls = 0;
    handle = (batch) => {
      calls += 1;
      const mark = batch.markThrough(batch.records[0]?.offset ?? 0n);
      store.save(batch.records.slice(0, 1), mark);
      batch.stored(mark);
    };
    await start({ maxRecords: 2 });
    await until(() => store.next.get(0) === 3n);
    expect(store.values()).toEqual(['a', 'b', 'c']);
    expect(calls).toBe(3);
  });

  it('halts when the log begins after the next offset', async () => {
    await send(...'abcdef');
    await deleteBefore('4');
    store.next.set(0, 2n);
    const server = await start();
    await until(() => server.health().halted.length === 1);
    expect(server.health().halted[0]?.reason).toContain('the log begins at 4');
    expect(store.records).toEqual([]);
    await until(() => store.waiting.length === 1);
    expect(store.waiting).toMatchObject([{ topic, partition: 0, reason: expect.stringContaining('the log begins at 4') }]);

    // A person has looked, and says from where on.
    await running.splice(0)[0]?.close();
    store.next.set(0, 4n);
    await start();
    await until(() => store.records.length === 2);
    expect(store.values()).toEqual(['e', 'f']);
    expect(store.waiting).toEqual([]);
  });

  it('notes that it has halted although the database is away just then', async () => {
    await send('a');
    const server = await start({ maxFailures: 2 });
    handle = () => {
      throw new Error('a bug of ours');
    };
    const { promise: halted, resolve } = Promise.withResolvers<void>();
    server.on('halted', () => {
      store.isAway = true;
      resolve();
    });
    await send('b');
    await halted;
    await sleep(100);
    expect(store.waiting).toEqual([]);
    store.isAway = false;
    await until(() => store.waiting.length === 1);
    expect(store.waiting[0]?.reason).toContain('a bug of ours');
  });

  it('halts when the log ends before the next offset', async () => {
    await send('a', 'b');
    store.next.set(0, 40n);
    const server = await start();
    await until(() => server.health().halted.length === 1);
    expect(server.health().halted[0]?.reason).toContain('the log ends at 2');
  });

  it('halts when records are deleted that it had not come to, while it runs', async () => {
    const server = await start();
    await send('a');
    await until(() => store.records.length === 1);
    store.isAway = true;
    await send('b', 'c', 'd');
    await sleep(500);
    await deleteBefore('3');
    store.isAway = false;
    await until(() => server.health().halted.length === 1);
    expect(store.values()).not.toContain('d');
  });

  it('leaves nothing half done when its consumer is closed in the middle of a batch', async () => {
    await send(...'abcdef');
    const { promise: begun, resolve: begin } = Promise.withResolvers<void>();
    const { handle: whole } = { handle };
    handle = async (batch) => {
      begin();
      await sleep(800);
      await whole(batch);
    };
    await start({ maxRecords: 2 });
    await begun;
    await running.splice(0)[0]?.close();
    expect(store.values()).toEqual(['a', 'b']);
    expect(store.next.get(0)).toBe(2n);

    handle = whole;
    await start();
    await until(() => store.records.length === 6);
    expect(store.values()).toEqual([...'abcdef']);
  });

  it('does not wait for ever for a handler that hangs when it is closed (F33)', async () => {
    await send('a');
    const { promise: begun, resolve: begin } = Promise.withResolvers<void>();
    const { promise: never, resolve: free } = Promise.withResolvers<void>();
    handle = () => {
      begin();
      return never;
    };
    await start({ closeTimeoutMs: 300 });
    await begun;
    const startedAt = Date.now();
    await running.splice(0)[0]?.close();
    expect(Date.now() - startedAt).toBeLessThan(1_500);
    free();
    await sleep(200);
  });

  it('is given up loudly when kafkajs gives up', async () => {
    const { prototype } = createRequire(import.meta.url)('kafkajs/src/consumer/runner.js') as {
      prototype: { fetch: (node: string) => Promise<unknown> };
    };
    const bug = new TypeError("Cannot read properties of undefined (reading 'topic')");
    const fetch = jest.spyOn(prototype, 'fetch').mockRejectedValue(bug);
    const server = await start();
    const heard: unknown[] = [];
    server.on('failed', (error) => heard.push(error));
    await until(() => heard.length > 0);
    fetch.mockRestore();
    expect(heard).toEqual([bug]);
    await send('nobody takes this any more');
    await sleep(500);
    expect(server.health().status).toBe('failed');
    expect(store.records).toEqual([]);
  });

  it('is shared between two consumers, each record stored once (F10)', async () => {
    const groupId = `group-${randomUUID()}`;
    await start({ groupId });
    const batch = (from: number) =>
      Array.from({ length: 400 }, (_, each) => ({ value: String(from + each), partition: each % 4 }));
    await producer.send({ topic, messages: batch(0) });
    await start({ groupId });
    await producer.send({ topic, messages: batch(400) });
    await until(() => store.records.length >= 800);
    await sleep(500);
    expect(new Set(store.values()).size).toBe(800);
    expect(store.records.length).toBe(800);
  }, 40_000);

  it("takes a command from Nest's own Kafka client", async () => {
    await start();
    const client = new ClientKafka({
      client: { brokers: kafkaBrokers(), clientId: 'spec-shop', logLevel: logLevel.NOTHING },
      producerOnlyMode: true,
    });
    await client.connect();
    const command = { provider: 'stripe', paymentId: 'pi_1', amount: 1050, currency: 'USD' };
    const headers = {
      ce_id: 'c-1',
      ce_source: '/shop',
      ce_type: 'redress.RequestRefund.v1',
      ce_specversion: '1.0',
      'content-type': 'application/json',
    };
    await lastValueFrom(client.emit(topic, { key: 'pi_1', value: JSON.stringify(command), headers }));
    await client.close();
    await until(() => store.records.length === 1);
    const [record] = store.records;
    const read = record === undefined ? undefined : readCloudEvent(record, ['redress.RequestRefund.v1']);
    expect(read).toMatchObject({ ok: true, event: { id: 'c-1', source: '/shop', type: 'redress.RequestRefund.v1' } });
    expect(String(record?.value)).toBe(JSON.stringify(command));
  });
});

describeWithKafka("Kafka's own programs", () => {
  beforeAll(async () => {
    Logger.overrideLogger(false);
    const kafka = new Kafka({ brokers: kafkaBrokers(), clientId: 'spec', logLevel: logLevel.NOTHING });
    admin = kafka.admin();
    await admin.connect();
    topic = `spec-tools-${randomUUID()}`;
    await admin.createTopics({ topics: [{ topic, numPartitions: 4 }], waitForLeaders: true });
    await admin.disconnect();
    store = new Store();
    handle = (batch) => {
      store.save(batch.records, batch.mark);
      batch.stored(batch.mark);
    };
  });

  afterAll(() => Promise.all(running.splice(0).map((each) => each.close())));

  it('can send a command that is read as a CloudEvent', async () => {
    await start();
    const headers = 'ce_specversion:1.0,ce_id:c-7,ce_source:/shop,ce_type:redress.RequestRefund.v1,content-type:application/json';
    const value = '{"provider":"stripe","paymentId":"pi_1"}';
    const options = ['parse.headers=true', 'parse.key=true'].flatMap((each) => ['--property', each]);
    await kafkaTool('console-producer', ['--topic', topic, ...options], `${headers}\tpi_1\t${value}\n`);
    await until(() => store.records.length === 1);
    const [record] = store.records;
    const read = record === undefined ? undefined : readCloudEvent(record, ['redress.RequestRefund.v1']);
    expect(read).toMatchObject({ ok: true, event: { id: 'c-7', source: '/shop' } });
    expect([String(record?.key), String(record?.value)]).toEqual(['pi_1', value]);
  }, 60_000);
});

function kafkaTool(name: string, options: readonly string[], input = ''): Promise<string> {
  const env = { ...process.env, KAFKA_BROKERS: kafkaBrokers().join(',') };
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const child = execFile(process.execPath, ['dist/scripts/kafka-tool.js', name, ...options], { env }, (error, stdout) =>
    error === null ? resolve(stdout) : reject(error),
  );
  child.stdin?.end(input);
  return promise;
}

async function start(options: Partial<KafkaBatchOptions> = {}): Promise<KafkaBatchServer> {
  const server = new KafkaBatchServer({
    connection: { brokers: kafkaBrokers(), clientId: 'spec' },
    cluster: 'main',
    groupId: `group-${randomUUID()}`,
    offsets: store,
    backoff: { firstMs: 20, mostMs: 200 },
    ...options,
  });

  class SeesContext implements CanActivate {
    canActivate(context: ExecutionContext): boolean {
      const from = context.switchToRpc().getContext<KafkaBatchContext>();
      return context.getType() === 'rpc' && from.getTopic() === topic && from.getPartition() >= 0;
    }
  }

  @Controller()
  @UseGuards(SeesContext)
  class Commands {
    @KafkaBatch(topic)
    async take(@Payload() batch: ReceivedBatch, @Ctx() context: KafkaBatchContext): Promise<void> {
      if (context.getTopic() !== batch.topic) throw new Error('a batch of another topic');
      await handle(batch);
    }
  }

  const module = await Test.createTestingModule({ controllers: [Commands] }).compile();
  const app = module.createNestMicroservice({ strategy: server, logger: false });
  running.push(app);
  await app.listen();
  return server;
}

async function send(...values: string[]): Promise<void> {
  await producer.send({ topic, messages: values.map((value) => ({ value, partition: 0 })) });
}

async function deleteBefore(offset: string): Promise<void> {
  await admin.fetchTopicOffsets(topic); // kafkajs deletes only from topics it has met.
  await admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset }] });
}

async function until(isSo: () => boolean): Promise<void> {
  const deadline = Date.now() + 12_000;
  while (!isSo()) {
    if (Date.now() > deadline) throw new Error(`it did not come to that; stored: ${store.values().slice(0, 20).join(' ')}`);
    await sleep(20);
  }
}
