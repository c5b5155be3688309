import { createRequire } from 'node:module';

type RequestQueue = { pending: unknown[]; scheduleCheckPendingRequests(): void };

const require = createRequire(import.meta.url);
let mended = false;

/**
 * kafkajs 2.2.4 arms a timer after every answer, even when no request waits, with a delay below zero: one connection at rest burns four
 * percent of a core (github.com/tulios/kafkajs/issues/1751). Here the timer is armed only when something waits; a throttled request waits
 * in the queue before it is armed, so throttling goes on working. Call it before the first client is made.
 *
 * Written for one version: with another, look whether it is still needed.
 */
export function mendIdleTimer(): void {
  if (mended) return;
  const { version } = require('kafkajs/package.json') as { version: string };
  if (version !== '2.2.4')
    throw new Error(`kafkajs-idle.ts mends kafkajs 2.2.4, and this is ${version}: see whether it still needs it`);
  const { prototype } = require('kafkajs/src/network/requestQueue/index.js') as { prototype: RequestQueue };
  const arm = prototype.scheduleCheckPendingRequests;
  prototype.scheduleCheckPendingRequests = function (this: RequestQueue) {
    if (this.pending.length > 0) arm.call(this);
  };
  mended = true;
}
