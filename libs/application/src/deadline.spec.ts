import { createServer, get, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { afterEach, describe, expect, it } from '@jest/globals';
import { deadline } from '#application/deadline';

const servers: (Server | Worker)[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) {
    if (server instanceof Worker) await server.terminate();
    else server.close();
  }
});

describe('A deadline', () => {
  it('ends a call that has no answer', async () => {
    const server = createServer(() => undefined);
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    await expect(answerOf(port, deadline(50))).rejects.toThrow();
    server.closeAllConnections();
  });

  it('lets a process that was frozen read the answer that came meanwhile', async () => {
    const port = await serverElsewhere();
    const answer = answerOf(port, deadline(100));
    await sleep(20); // The request is on its way.
    freeze(1_500);
    expect(await answer).toBe('the answer');
  });

  it('ends the call of a process that was frozen when there is no answer even then', async () => {
    const server = createServer(() => undefined);
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const answer = answerOf(port, deadline(100));
    await sleep(20);
    freeze(1_500);
    await expect(answer).rejects.toThrow();
    server.closeAllConnections();
  });
});

/** As SIGSTOP does to a process, as far as its event loop can tell. */
function freeze(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

/** A server that goes on while this thread is frozen: it answers after 300 ms. */
async function serverElsewhere(): Promise<number> {
  const worker = new Worker(
    `const { parentPort } = require('node:worker_threads');
     const server = require('node:http').createServer((_, reply) => setTimeout(() => reply.end('the answer'), 300));
     server.listen(0, '127.0.0.1', () => parentPort.postMessage(server.address().port));`,
    { eval: true },
  );
  servers.push(worker);
  return new Promise((resolve) => worker.once('message', resolve));
}

function answerOf(port: number, signal: AbortSignal): Promise<string> {
  return new Promise((resolve, reject) => {
    get({ port, host: '127.0.0.1', signal }, (response) => void text(response).then(resolve, reject)).on('error', reject);
  });
}
