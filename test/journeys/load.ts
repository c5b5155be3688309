import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Producer } from 'kafkajs';
import type { System } from './system.js';

/** One command of the load, told by its reference. */
interface Command {
  readonly paymentId: string;
  readonly reference: string;
}

export interface LoadSettings {
  readonly door: 'kafka' | 'http';
  readonly perSecond: number;
  readonly payments: readonly string[];
}

/**
 * A sender that keeps its pace whatever happens: commands in turn for each of some payments, a payment's in their order. What is not taken is
 * sent again until it is, over Kafka and over HTTP, as a sender does that must not lose one.
 */
export class Load {
  /** What was meant for each payment, in order. */
  readonly sent = new Map<string, string[]>();
  /** How HTTP answered, and how often. */
  readonly answers = new Map<string, number>();
  readonly door: LoadSettings['door'];
  private readonly run = randomUUID().slice(0, 8);
  private readonly waiting: Command[] = [];
  private readonly ended: Promise<unknown>;
  private over = false;
  private isAbandoned = false;
  private made = 0;

  constructor(
    private readonly system: System,
    private readonly settings: LoadSettings,
  ) {
    this.door = settings.door;
    for (const paymentId of settings.payments) this.sent.set(paymentId, []);
    this.ended = Promise.all([this.make(), settings.door === 'kafka' ? this.overKafka() : this.overHttp()]);
  }

  get count(): number {
    return this.made;
  }

  /** Makes no more, and waits until what was made is taken. */
  async end(): Promise<void> {
    this.over = true;
    await this.ended;
  }

  /** Lets go of everything, for a story that has failed. */
  abandon(): void {
    this.over = true;
    this.isAbandoned = true;
    this.waiting.length = 0;
  }

  private async make(): Promise<void> {
    const { perSecond, payments } = this.settings;
    for (const begun = performance.now(); !this.over; await sleep(25)) {
      const due = Math.floor(((performance.now() - begun) / 1_000) * perSecond);
      for (; this.made < due; this.made += 1) {
        const paymentId = payments[this.made % payments.length] ?? '';
        const command = { paymentId, reference: `${this.run}-${this.made}` };
        this.sent.get(paymentId)?.push(command.reference);
        this.waiting.push(command);
      }
    }
  }

  private get isDone(): boolean {
    return this.over && this.waiting.length === 0;
  }

  /** One send at a time, and none before the one before it was acknowledged: so the order of each payment holds across tries. */
  private async overKafka(): Promise<void> {
    let producer: Producer | undefined;
    while (!this.isDone) {
      const commands = this.waiting.slice(0, 500);
      try {
        producer ??= await this.producer();
        const messages = commands.map(({ paymentId, reference }) => ({
          key: paymentId,
          value: JSON.stringify(bodyOf({ paymentId, reference })),
          headers: { ce_specversion: '1.0', ce_id: reference, ce_source: '/load', ce_type: 'redress.RequestRefund.v1' },
        }));
        if (messages.length > 0) await producer.send({ topic: 'refunds.commands.v1', acks: -1, messages });
        this.waiting.splice(0, commands.length);
        await sleep(50);
      } catch {
        await producer?.disconnect().catch(() => undefined);
        producer = undefined;
        await sleep(500);
      }
    }
    await producer?.disconnect();
  }

  private async producer(): Promise<Producer> {
    const producer = this.system.kafka().producer({ idempotent: true, maxInFlightRequests: 1, retry: { retries: 1 } });
    await producer.connect();
    return producer;
  }

  /** Each payment's commands one after the other. */
  private async overHttp(): Promise<void> {
    const lanes = new Map<string, Promise<void>>();
    for (; !this.isDone; await sleep(25)) {
      for (const command of this.waiting.splice(0)) {
        const before = lanes.get(command.paymentId) ?? Promise.resolve();
        lanes.set(
          command.paymentId,
          before.then(() => this.ask(command)),
        );
      }
    }
    await Promise.all(lanes.values());
  }

  private async ask(command: Command): Promise<void> {
    while (!this.isAbandoned) {
      const answer = await this.system.refund(bodyOf(command), command.reference).catch(() => null);
      const again = answer?.headers.get('retry-after');
      const told = `${answer?.status ?? 'no answer'}${typeof again === 'string' ? ', come again' : ''}`;
      this.answers.set(told, (this.answers.get(told) ?? 0) + 1);
      if (answer !== null && answer.status < 500) return;
      await sleep(500);
    }
  }
}

function bodyOf({ paymentId, reference }: Command): object {
  return { provider: 'stripe', paymentId, amount: 100, currency: 'USD', reference };
}
