import { createRequire } from 'node:module';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { mendIdleTimer } from '#messaging/kafkajs-idle';

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
    mendIdleTimer();
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

function request(correlationId: number): object {
  const entry = { correlationId, resolve: () => undefined, reject: () => undefined };
  return { entry, expectResponse: true, requestTimeout: 1_000, sendRequest: () => undefined };
}
