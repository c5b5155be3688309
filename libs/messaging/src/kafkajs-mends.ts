/*
 * Four faults of kafkajs 2.2.4 that we cannot live with, mended in its classes before the first client is made. Written for one version:
 * with another, look whether they are still needed.
 */
import { createRequire } from 'node:module';
import { produceRequest, type ProduceRequest } from '#messaging/produce-request';

const require = createRequire(import.meta.url);
let mended = false;

export function mendKafkaJs(): void {
  if (mended) return;
  const { version } = require('kafkajs/package.json') as { version: string };
  if (version !== '2.2.4')
    throw new Error(`kafkajs-mends.ts mends kafkajs 2.2.4, and this is ${version}: see whether it still needs it`);
  mendIdleTimer();
  mendAbortedRecords();
  mendForgottenRequests();
  mendProduceRequest();
  mended = true;
}

type RequestQueue = { pending: unknown[]; scheduleCheckPendingRequests: (this: RequestQueue) => void };

/**
 * kafkajs arms a timer after every answer, even when no request waits, with a delay below zero: one connection at rest burns four percent of
 * a core (github.com/tulios/kafkajs/issues/1751). Here it is armed only when something waits; a throttled request waits in the queue before
 * that, so throttling goes on working.
 */
function mendIdleTimer(): void {
  const { prototype } = require('kafkajs/src/network/requestQueue/index.js') as { prototype: RequestQueue };
  const arm = prototype.scheduleCheckPendingRequests;
  prototype.scheduleCheckPendingRequests = function (this: RequestQueue) {
    if (this.pending.length > 0) arm.call(this);
  };
}

type Fetched = { responses: { partitions: FetchedPartition[] }[] };
type Broker = { fetch: (this: Broker, request: object) => Promise<Fetched> };

/** What a fetch brings of one partition. */
export interface FetchedPartition {
  messages: FetchedMessage[];
  /** In the order in which they were aborted, which is not that of their first offsets. */
  abortedTransactions?: { producerId: string; firstOffset: string }[] | null;
}

export interface FetchedMessage {
  readonly offset: string;
  readonly key: Buffer | null;
  isControlRecord: boolean;
  readonly batchContext: { readonly producerId: string; readonly inTransaction: boolean };
}

/**
 * kafkajs takes the aborted transactions of a fetch to be sorted by first offset, and to begin one at a time. Neither holds when producers'
 * transactions overlap or a fetch begins inside them, and then it hands out records that were aborted: a command that its sender took back
 * would be carried out. Here they are found first, and marked as what kafkajs passes over for good: control records.
 */
function mendAbortedRecords(): void {
  const { prototype } = require('kafkajs/src/broker/index.js') as { prototype: Broker };
  const fetch = prototype.fetch;
  prototype.fetch = async function (this: Broker, request: object) {
    const fetched = await fetch.call(this, request);
    for (const { partitions } of fetched.responses) partitions.forEach(hideAborted);
    return fetched;
  };
}

export function hideAborted(partition: FetchedPartition): void {
  const waiting = (partition.abortedTransactions ?? [])
    .map(({ producerId, firstOffset }) => ({ producerId, first: BigInt(firstOffset) }))
    .sort((one, other) => Number(one.first - other.first));
  if (waiting.length === 0) return;

  const aborted = new Set<string>();
  for (const message of partition.messages) {
    const { producerId, inTransaction } = message.batchContext;
    while (waiting[0] !== undefined && waiting[0].first <= BigInt(message.offset)) aborted.add(waiting.shift()?.producerId ?? '');
    if (message.isControlRecord) {
      if (message.key?.readInt16BE(2) === 0) aborted.delete(producerId); // A version, then the kind: 0 ends an aborted transaction.
    } else if (inTransaction && aborted.has(producerId)) message.isControlRecord = true;
  }
  partition.abortedTransactions = [];
}

/** kafkajs takes what writes its requests from this module when it sends for the first time; later versions of the request are made by it too. */
function mendProduceRequest(): void {
  const path = require.resolve('kafkajs/src/protocol/requests/produce/v3/request.js');
  const theirs = require(path) as typeof produceRequest;
  const loaded = require.cache[path];
  if (loaded === undefined) throw new Error('kafkajs-mends.ts does not find what writes produce requests in kafkajs 2.2.4');
  loaded.exports = (request: ProduceRequest) => ((request.compression ?? 0) === 0 ? produceRequest(request) : theirs(request));
}

interface Connection {
  readonly broker: string;
  readonly connectionTimeout: number;
  readonly requestTimeout: number;
  readonly socket?: { destroy: (error: Error) => void };
  readonly authHandlers: { onError: () => void } | null;
  readonly requestQueue: { rejectAll: (error: Error) => void };
  disconnect(this: Connection): Promise<unknown>;
  sendAuthRequest(this: Connection, request: object): Promise<unknown>;
  send(this: Connection, request: { readonly requestTimeout?: number | null }): Promise<unknown>;
}

type TimeoutError = new (message: string, details: object) => Error;

/**
 * kafkajs sees to it that a request ends while its connection is open. One that is written in the moment in which it closes is watched by
 * nobody; nor is a login at a broker that falls silent. Whoever waits for one of these waits for ever, and a consumer, a producer or an admin of
 * kafkajs waits for all of them: it stands still without a word. Here each ends in time, with an error that makes kafkajs try again, and the
 * connection is made anew.
 */
function mendForgottenRequests(): void {
  const { prototype } = require('kafkajs/src/network/connection.js') as { prototype: Connection };
  const { KafkaJSRequestTimeoutError } = require('kafkajs/src/errors.js') as { KafkaJSRequestTimeoutError: TimeoutError };
  const { disconnect, sendAuthRequest, send } = prototype;

  const inTime = async <T>(connection: Connection, what: string, ms: number, work: Promise<T>): Promise<T> => {
    const { promise: late, reject } = Promise.withResolvers<never>();
    const timer = setTimeout(() => {
      const details = { broker: connection.broker };
      const error = new KafkaJSRequestTimeoutError(`${what} at ${connection.broker} did not end within ${ms} ms`, details);
      reject(error);
      connection.authHandlers?.onError();
      connection.requestQueue.rejectAll(error);
      connection.socket?.destroy(error);
    }, ms);
    return Promise.race([work, late]).finally(() => clearTimeout(timer));
  };

  prototype.sendAuthRequest = function (request) {
    return inTime(this, 'a login', this.requestTimeout, sendAuthRequest.call(this, request));
  };
  prototype.send = function (request) {
    const ms = Math.max(this.requestTimeout, request.requestTimeout ?? 0) + 2 * this.connectionTimeout;
    return inTime(this, 'a request', ms, send.call(this, request));
  };
  prototype.disconnect = async function () {
    const isDone = await disconnect.call(this);
    const details = { broker: this.broker };
    this.requestQueue.rejectAll(new KafkaJSRequestTimeoutError(`the connection to ${this.broker} closed`, details));
    return isDone;
  };
}
