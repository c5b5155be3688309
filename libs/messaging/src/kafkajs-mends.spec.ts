import { createRequire } from 'node:module';
import { beforeAll, describe, expect, it } from '@jest/globals';
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
