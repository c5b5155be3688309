import { Agent as HttpAgent, request as httpRequest } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Books, Delivery, Provider } from './books.js';
import type { Clock } from './clock.js';
import type { Faults } from './faults.js';

/** What goes over the wire for one attempt, signed anew each time. */
export type Letter = { body: string; headers: Record<string, string> };

/** Gaps between attempts in simulated seconds: quick while a service starts, then rarer, three days in all. */
const GAPS_SECONDS = [1, 2, 5, 15, 60, 300, 1800, 7200, 21_600, 57_600, 86_400, 86_400];
/** Few enough that calls to the api find room between them when ten thousand refunds are told of. */
const AT_ONCE = 8;
/** Long enough for the answer to the causing call to get ahead, as it mostly does. */
const HEAD_START_MS = 10;
const REORDER_AT_MOST_MS = 2000;
const ATTEMPT_TIMEOUT_MS = 10_000;

/**
 * Delivers webhooks as the providers do: in no promised order, again with growing gaps until a 2xx, each attempt signed
 * anew. Without a target nothing is delivered, and the books say nothing of webhooks.
 */
export class Webhooks {
  private readonly agents = { 'http:': new HttpAgent({ keepAlive: true }), 'https:': new HttpsAgent({ keepAlive: true }) };
  private readonly writers = new Map<Provider, (notice: string) => Letter | undefined>();
  private readonly queue: string[] = [];
  private readonly heldBack: { provider: Provider; id: string }[] = [];
  private readonly firstAttempts = new Map<string, () => void>();
  private awaited: Promise<void>[] = [];
  private target: string | undefined;
  private underWay = 0;
  private paused = false;
  private running = false;
  private pumping: NodeJS.Timeout | undefined;

  constructor(
    private readonly books: Books,
    private readonly clock: Clock,
    private readonly faults: Faults,
  ) {
    clock.task('webhook', (id) => this.enqueue(id));
  }

  /** Says how a provider's notices are written and signed. */
  writeWith(provider: Provider, writer: (notice: string) => Letter | undefined): void {
    this.writers.set(provider, writer);
  }

  /** Where webhooks go: `<target>/webhooks/<provider>`. */
  sendTo(target: string | undefined): void {
    this.target = target?.replace(/\/+$/, '');
  }

  /** Takes up what an earlier run had not finished. */
  start(): void {
    this.running = true;
    const later = this.clock.subjects();
    for (const { id, status } of this.books.deliveries.values()) if (status === 'waiting' && !later.has(id)) this.enqueue(id);
  }

  stop(): void {
    this.running = false;
    clearTimeout(this.pumping);
    this.letAnswersGo();
    this.agents['http:'].destroy();
    this.agents['https:'].destroy();
  }

  /** Holds attempts back and sees those under way end, so that none is signed at one time and checked at another. */
  async pause(): Promise<void> {
    this.paused = true;
    while (this.underWay > 0) await sleep(5);
  }

  resume(): void {
    this.paused = false;
    this.pump();
  }

  reset(): void {
    this.queue.length = 0;
    this.heldBack.length = 0;
    this.letAnswersGo();
  }

  send(provider: Provider, notice: string, about: { type: string; subject: string }, causedByCall: boolean): void {
    if (this.target === undefined) return;
    const fault = this.faults.takeWebhook(provider, causedByCall);
    const copies = fault?.webhook === 'double' ? 2 : 1;
    for (let copy = 1; copy <= copies; copy++) {
      const id = copy === 1 ? notice : `${notice} again`;
      const lost = fault?.webhook === 'lose';
      const delivery: Delivery = { ...about, id, provider, notice, status: lost ? 'lost' : 'waiting', answers: [] };
      this.books.deliveries.put(id, delivery);
      if (lost) return;
      if (fault?.webhook === 'delay') this.clock.later(fault.delayMs, 'webhook', id);
      else if (fault?.webhook === 'reorder') this.holdBack(provider, id);
      else this.enqueue(id);
      if (fault?.webhook === 'before_answer') this.awaited.push(new Promise((done) => this.firstAttempts.set(id, done)));
    }
    if (fault?.webhook !== 'reorder') this.releaseHeldBack(provider);
  }

  /** Resolves when the webhooks that must beat the answer have been tried. Ask in the same breath as the work was done. */
  async beforeAnswer(): Promise<void> {
    if (this.awaited.length === 0) return;
    const awaited = this.awaited;
    this.awaited = [];
    await Promise.all(awaited);
  }

  private letAnswersGo(): void {
    for (const go of this.firstAttempts.values()) go();
    this.firstAttempts.clear();
    this.awaited = [];
  }

  private holdBack(provider: Provider, id: string): void {
    this.heldBack.push({ provider, id });
    this.clock.later(REORDER_AT_MOST_MS, 'webhook', id);
  }

  private releaseHeldBack(provider: Provider): void {
    for (let index = this.heldBack.length - 1; index >= 0; index--) {
      const held = this.heldBack[index];
      if (held?.provider !== provider) continue;
      this.heldBack.splice(index, 1);
      this.clock.cancel(held.id);
      // Behind the one that overtakes it, and not merely beside it on another connection.
      this.clock.later(HEAD_START_MS * 10, 'webhook', held.id);
    }
  }

  private enqueue(id: string): void {
    this.queue.push(id);
    this.pumping ??= setTimeout(() => {
      this.pumping = undefined;
      this.pump();
    }, HEAD_START_MS);
  }

  private pump(): void {
    while (this.running && !this.paused && this.underWay < AT_ONCE) {
      const id = this.queue.shift();
      if (id === undefined) return;
      const delivery = this.books.deliveries.get(id);
      if (delivery === undefined || delivery.status !== 'waiting') continue;
      this.underWay += 1;
      void this.attempt(delivery).then((answer) => {
        this.underWay -= 1;
        if (this.running && this.books.deliveries.get(id) === delivery) this.note(delivery, answer);
        this.firstAttempts.get(id)?.();
        this.firstAttempts.delete(id);
        this.pump();
      });
    }
  }

  private note(delivery: Delivery, answer: number | string): void {
    delivery.answers.push(answer);
    const gap = GAPS_SECONDS[delivery.answers.length - 1];
    if (typeof answer === 'number' && answer >= 200 && answer < 300) delivery.status = 'delivered';
    else if (gap === undefined) delivery.status = 'gave_up';
    else this.clock.later(gap * 1000, 'webhook', delivery.id);
    this.books.deliveries.put(delivery.id, delivery);
  }

  /** One POST. Answers with the status, or with what went wrong on the way. */
  private async attempt(delivery: Delivery): Promise<number | string> {
    const letter = this.writers.get(delivery.provider)?.(delivery.notice);
    if (letter === undefined || this.target === undefined) return 'nothing to send, or nowhere';
    const url = new URL(`${this.target}/webhooks/${delivery.provider}`);
    const headers = {
      'content-type': 'application/json; charset=utf-8',
      'content-length': Buffer.byteLength(letter.body),
      ...letter.headers,
    };
    const secure = url.protocol === 'https:';
    const agent = secure ? this.agents['https:'] : this.agents['http:'];
    return new Promise((resolve) => {
      const request = (secure ? httpsRequest : httpRequest)(url, { method: 'POST', agent, headers, timeout: ATTEMPT_TIMEOUT_MS });
      request.on('response', (response) => {
        response.resume();
        response.on('close', () => resolve(response.statusCode ?? 0));
      });
      request.on('timeout', () => request.destroy(new Error('no answer in time')));
      request.on('error', (error) => resolve(error.message));
      request.end(letter.body);
    });
  }
}
