import { setTimeout as sleep } from 'node:timers/promises';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { CallFault } from './faults.js';

/** What a simulator has decided to say, before any fault gets at it. */
export type Answer = { status: number; headers: Record<string, string>; body: string };

const DRIP_EVERY_MS = 200;

/** The body as it came; each simulator reads it in its provider's own way. */
export function bodyText(request: FastifyRequest): string {
  return typeof request.body === 'string' ? request.body : '';
}

/** The body as bytes, which only uploads have. */
export function bodyBytes(request: FastifyRequest): Buffer | undefined {
  return Buffer.isBuffer(request.body) ? request.body : undefined;
}

/** Waits as long as a `delay` fault wants. Real time, and never a reason to keep the process alive. */
export async function delayed(fault: CallFault | undefined): Promise<void> {
  if (fault?.fault === 'delay') await sleep(fault.delayMs, undefined, { ref: false });
}

/** Ends the connection without a word. */
export function hangUp(reply: FastifyReply): void {
  reply.hijack();
  reply.raw.destroy();
}

/** Lets an answer go out: whole, in drips, or not at all. */
export async function give(reply: FastifyReply, answer: Answer, fault: CallFault | undefined): Promise<void> {
  if (fault?.fault === 'drop_answer') return hangUp(reply);
  if (fault?.fault === 'drip') return drip(reply, answer, fault.delayMs);
  await reply.code(answer.status).headers(answer.headers).type('application/json').send(answer.body);
}

async function drip(reply: FastifyReply, answer: Answer, overMs: number): Promise<void> {
  reply.hijack();
  const bytes = Buffer.from(answer.body);
  const size = Math.max(1, Math.ceil((bytes.length * DRIP_EVERY_MS) / Math.max(overMs, DRIP_EVERY_MS)));
  const drops = Math.ceil(bytes.length / size);
  const headers = { ...answer.headers, 'content-type': 'application/json', 'content-length': bytes.length };
  reply.raw.writeHead(answer.status, headers).flushHeaders();
  for (let drop = 0; drop < drops && !reply.raw.destroyed; drop++) {
    await sleep(overMs / drops, undefined, { ref: false });
    reply.raw.write(bytes.subarray(drop * size, (drop + 1) * size));
  }
  reply.raw.end();
}
