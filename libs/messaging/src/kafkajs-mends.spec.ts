import { createRequire } from 'node:module';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { type FetchedMessage, hideAborted, mendKafkaJs } from '#messaging/kafkajs-mends';

const require = createRequire(import.meta.url);

/** As much of kafkajs' queue as the mend touches: one request may be in flight. */
interface Queue {
  throttleCheckTimeoutId: NodeJS.Timeout | null;
  scheduleCheckPendingRequests(): void;
  push(request: object): void;
  destroy(): void;
}
type QueueClass = new (options: object) => Queue;

describe('A connection to Kafka', () => {
  let RequestQueue: QueueClass;

  beforeAll(() => {
    mendKafkaJs();
    RequestQueue = require('kafkajs/src/network/requestQueue/index.js') as QueueClass;
  });

  it('has no timer running while nothing waits, and one when something does', () => {
    const queue = new RequestQueue({
      maxInFlightRequests: 1,
      requestTimeout: 1_000,
      enforceRequestTimeout: false,
      clientId: 'spec',
      broker: 'nowhere:9092',
      logger: { debug: () => undefined, error: () => undefined },
      isConnected: () => true,
    });

    try {
      queue.push(request(1));
      queue.scheduleCheckPendingRequests();
      expect(queue.throttleCheckTimeoutId).toBeNull();

      queue.push(request(2));
      queue.scheduleCheckPendingRequests();
      expect(queue.throttleCheckTimeoutId).not.toBeNull();
    } finally {
      queue.destroy();
    }
  });
});

describe('What waits for Kafka', () => {
  let server: Server;
  let sockets: Socket[];

  beforeAll(() => mendKafkaJs());
  beforeEach(async () => {
    sockets = [];
    server = createServer((socket) => sockets.push(socket.on('error', () => undefined)));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  });
  afterEach(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });

  const connection = (more: object = {}) => connectionTo((server.address() as AddressInfo).port, more);

  it('does so no longer when the connection closes, at whichever step of sending that is (F12)', async () => {
    for (let steps = 0; steps < 40; steps += 1) {
      const client = connection({ requestTimeout: 60_000 });
      await client.connect();
      const sent = client.send(anyRequest).then(
        () => 'answered',
        () => 'refused',
      );
      for (let step = 0; step < steps; step += 1) await Promise.resolve();
      const closed = client.disconnect();
      for (let step = 0; step < 10; step += 1) await Promise.resolve();
      await new Promise((resolve) => setTimeout(resolve, 2));
      for (const socket of sockets) socket.end();
      await expect(Promise.all([sent, closed])).resolves.toEqual(['refused', true]);
    }
  });

  it('does so no longer than a request may take when nobody answers, and the connection can be used again (F31)', async () => {
    const client = connection({ enforceRequestTimeout: false });
    await client.connect();
    await expect(client.send(anyRequest)).rejects.toThrow('did not end within 300 ms');
    await client.connect();
    const sent = client.send(anyRequest);
    while ((sockets.at(-1)?.bytesRead ?? 0) === 0) await new Promise((resolve) => setTimeout(resolve, 2));
    sockets.at(-1)?.write(answer);
    await expect(sent).resolves.toEqual({ said: 'yes' });
    await client.disconnect();
  });

  it('does so no longer than a request may take when the broker falls silent amid the login', async () => {
    const client = connection();
    await client.connect();
    const login = client.sendAuthRequest({ request: { encode: () => Promise.resolve(Buffer.from('hello')) }, response: {} });
    await expect(login).rejects.toThrow();
  });
});

describe('Records that were aborted', () => {
  it('are hidden when transactions overlap and the later one ends first', () => {
    const messages = [data(0, 'a'), data(1, 'b'), ends(2, 'b'), data(3, 'a'), data(4, 'b'), ends(5, 'a'), data(6, 'a')];
    const aborted = [
      { producerId: 'b', firstOffset: '1' },
      { producerId: 'a', firstOffset: '0' },
    ];
    hideAborted({ messages, abortedTransactions: aborted });
    expect(shown(messages)).toEqual(['4', '6']);
  });

  it('are hidden when the fetch begins inside of several transactions', () => {
    const messages = [data(10, 'b'), data(11, 'a'), ends(12, 'a'), ends(13, 'b'), data(14, 'c')];
    const aborted = [
      { producerId: 'a', firstOffset: '3' },
      { producerId: 'b', firstOffset: '4' },
    ];
    hideAborted({ messages, abortedTransactions: aborted });
    expect(shown(messages)).toEqual(['14']);
  });
});

function data(offset: number, producerId: string): FetchedMessage {
  return { offset: String(offset), key: null, isControlRecord: false, batchContext: { producerId, inTransaction: true } };
}

function ends(offset: number, producerId: string): FetchedMessage {
  return { ...data(offset, producerId), key: Buffer.from([0, 0, 0, 0]), isControlRecord: true };
}

function shown(messages: readonly FetchedMessage[]): string[] {
  return messages.filter((message) => !message.isControlRecord).map((message) => message.offset);
}

function request(correlationId: number): object {
  const entry = { correlationId, resolve: () => undefined, reject: () => undefined };
  return { entry, expectResponse: true, requestTimeout: 1_000, sendRequest: () => undefined };
}

interface Connection {
  connect(): Promise<unknown>;
  disconnect(): Promise<unknown>;
  send(request: object): Promise<unknown>;
  sendAuthRequest(request: object): Promise<unknown>;
}

function connectionTo(port: number, more: object): Connection {
  const Class = require('kafkajs/src/network/connection.js') as new (options: object) => Connection;
  const socketFactory = (require('kafkajs/src/network/socketFactory.js') as () => object)();
  const silent = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };
  const logger = { ...silent, namespace: () => silent };
  return new Class({ host: '127.0.0.1', port, logger, socketFactory, connectionTimeout: 100, requestTimeout: 100, ...more });
}

const Encoder = require('kafkajs/src/protocol/encoder.js') as new () => object;

const anyRequest = {
  request: { apiKey: 18, apiName: 'ApiVersions', apiVersion: 0, encode: () => Promise.resolve(new Encoder()) },
  response: { decode: () => Promise.resolve({}), parse: () => Promise.resolve({ said: 'yes' }) },
};

/** Four bytes of size, and the id of the second request. */
const answer = Buffer.from([0, 0, 0, 4, 0, 0, 0, 1]);

/** As much of kafkajs' books about brokers as the case below touches. */
interface Brokers {
  brokers: Record<string, { nodeId: number; connectionPool: { host: string } }>;
  seedBroker: object | undefined;
  removeBroker(at: { host: string; port: number }): void;
  refreshMetadata(topics: string[]): Promise<void>;
}

describe('A producer that sends several things at once', () => {
  it('takes one broker for another when a connection closes while it looks up the cluster: its answers must be looked at', async () => {
    const BrokerPool = require('kafkajs/src/cluster/brokerPool.js') as new (options: object) => Brokers;
    const logger = { namespace: () => logger, debug: () => undefined };
    const build = (at: object) => Promise.resolve(at);
    const pool = new BrokerPool({ connectionPoolBuilder: { build }, logger, metadataMaxAge: 1e6, retry: { retries: 0 } });
    const known = [1, 2, 3].map((nodeId) => ({ nodeId, host: `broker-${nodeId}`, port: 9092 }));
    const broker = ({ nodeId, host, port }: (typeof known)[number]) => ({
      nodeId,
      connectionPool: { host, port },
      isConnected: () => true,
      disconnect: () => Promise.resolve(),
      metadata() {
        pool.removeBroker({ host: 'broker-1', port: 9092 }); // As another send does whose connection has closed.
        return Promise.resolve({ brokers: known, topicMetadata: [] });
      },
    });
    pool.brokers = Object.fromEntries(known.map((each) => [each.nodeId, broker(each)]));
    pool.seedBroker = pool.brokers[1];

    await pool.refreshMetadata(['topic']);

    const [mistaken] = Object.entries(pool.brokers).filter(([key, { nodeId }]) => key !== String(nodeId));
    expect(mistaken?.[1]).toMatchObject({ nodeId: 1, connectionPool: { host: `broker-${mistaken?.[0]}` } });
  });
});
