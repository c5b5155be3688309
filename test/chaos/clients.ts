/*
 * The clients of the rig: services that send commands over both doors, people at the desk and in the providers' dashboards, and banks. What
 * each did of commands is written down as it began and as it ended; the checker has no other knowledge of what was meant.
 */
import { appendFileSync, rmSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { Kafka, logLevel, type Message, type Producer } from 'kafkajs';
import { mendKafkaJs } from '#messaging/kafkajs-mends';
import type { Action } from './evidence.js';
import type { Rig } from './rig.js';
import type { Seeded } from './seeded.js';

interface Payment {
  readonly provider: 'stripe' | 'zamp';
  readonly paymentId: string;
}

/** What a key stands for. */
type Command = Pick<Action, 'door' | 'key' | 'amount'> & Payment;

type Order = NonNullable<Action['order']>;

/** What orders are on Kafka. */
const orders: Readonly<Record<Order, { readonly topic: string; readonly type: string }>> = {
  cancel: { topic: 'refunds.commands.v1', type: 'redress.CancelRefund.v1' },
  submit: { topic: 'disputes.commands.v1', type: 'redress.SubmitEvidence.v1' },
  accept: { topic: 'disputes.commands.v1', type: 'redress.AcceptDispute.v1' },
};

export class Clients {
  readonly history: Action[] = [];
  readonly counts = new Map<string, number>();
  private readonly hot: Payment[] = [];
  private readonly commands: Command[] = [];
  private readonly refunds: string[] = [];
  private readonly disputes: { disputeId: string; isAnswered: boolean }[] = [];
  private readonly underWay = new Set<Promise<unknown>>();
  private producer: Producer | undefined;
  private made = 0;

  constructor(
    private readonly rig: Rig,
    private readonly seeded: Seeded,
    private readonly seed: number,
    private readonly file: string,
  ) {
    rmSync(file, { force: true });
  }

  /** Asks for work until `over` is fulfilled. */
  async run(over: Promise<unknown>, perSecond: number): Promise<void> {
    let isOver = false;
    void over.finally(() => (isOver = true));
    for (let at = 0; at < 6; at += 1) this.hot.push(await this.pay(at % 3 === 2 ? 'zamp' : 'stripe', 40_000));
    const begun = Date.now();
    for (let acts = 0; !isOver; await sleep(50)) {
      for (const due = ((Date.now() - begun) / 1_000) * perSecond; acts < due; acts += 1) this.begin();
    }
  }

  /** Waits until every client has its answer, or has given up. */
  async end(): Promise<void> {
    while (this.underWay.size > 0) await Promise.all(this.underWay);
    await this.producer?.disconnect().catch(() => undefined);
  }

  private begin(): void {
    if (this.underWay.size > 150) return this.count('left out, since too much was under way');
    const work = this.act()
      .catch((error: unknown) =>
        this.count(
          `not done: ${String(error)
            .replace(/\/\w+_\w+/, '/…')
            .slice(0, 120)}`,
        ),
      )
      .finally(() => this.underWay.delete(work));
    this.underWay.add(work);
  }

  private async act(): Promise<void> {
    const { seeded } = this;
    const dice = seeded.next();
    if (dice < 0.01) return this.poison();
    if (dice < 0.62) return this.command();
    if (dice < 0.76) return this.repeat();
    if (dice < 0.8) return this.otherBody();
    if (dice < 0.82) return this.cancel();
    if (dice < 0.84) return this.cancelOverKafka();
    if (dice < 0.88) return this.dashboard();
    if (dice < 0.92) return this.dispute();
    if (dice < 0.97) return this.onDispute();
    return this.bankReturns();
  }

  private count(what: string): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + 1);
  }

  private async pay(provider: 'stripe' | 'zamp', amount: number, more: object = {}): Promise<Payment> {
    const { paymentId } = await this.rig.control('payments', { provider, amount, currency: 'USD', ...more });
    return { provider, paymentId: String(paymentId) };
  }

  private async command(): Promise<void> {
    const { seeded } = this;
    const door = seeded.next() < 0.5 ? 'http' : 'kafka';
    const key = `${this.seed}-${this.made++}`;
    const amount = seeded.whole(1, 30) * 100;
    const provider = seeded.next() < 0.65 ? 'stripe' : 'zamp';
    const method =
      provider === 'zamp'
        ? {}
        : { paymentMethod: seeded.oneOf(['pm_card_visa', 'pm_card_visa', 'pm_card_refundFail', 'pm_card_pendingRefund']) };
    const isHot = seeded.next() < 0.4;
    const isTwice = seeded.next() < 0.15;
    const payment = isHot ? seeded.oneOf(this.hot) : await this.pay(provider, 5_000, method);
    const command: Command = { door, key, amount, ...payment };
    this.commands.push(command);
    // A sender that must not lose one sends until it has an answer.
    const insist = async () => {
      for (let tries = 0; tries < 30; tries += 1, await sleep(1_000)) if ((await this.send(command, false)) !== 'unknown') return;
    };
    await Promise.all(isTwice ? [insist(), insist()] : [insist()]);
  }

  private async repeat(): Promise<void> {
    if (this.commands.length === 0) return;
    this.count('commands repeated');
    await this.send(this.seeded.oneOf(this.commands.slice(-200)), false);
  }

  private async otherBody(): Promise<void> {
    // Only where the first one is known to stand: else this one might be the first.
    const known = new Set(
      this.history.flatMap(({ door, key, end, otherBody }) => (end === 'ok' && !otherBody ? `${door} ${key}` : [])),
    );
    const taken = this.commands.filter(({ door, key }) => known.has(`${door} ${key}`));
    if (taken.length === 0) return;
    this.count('keys used with another body');
    await this.send({ ...this.seeded.oneOf(taken.slice(-100)), amount: 7 }, true);
  }

  /** A record that nobody can read, among those that can be: its payment's commands share its partition. */
  private async poison(): Promise<void> {
    const { provider, paymentId } = this.seeded.oneOf(this.hot);
    const key = `${this.seed}-p${this.made++}`;
    const action: Action = {
      at: Date.now(),
      door: 'kafka',
      what: 'poison',
      key,
      provider,
      paymentId,
      amount: 0,
      otherBody: false,
      end: 'open',
    };
    this.note(action);
    const sent = this.produce({ key, value: '{"provider": "stripe", "paymentId"', headers: headersOf(key) });
    action.end = await sent.then(
      () => 'ok' as const,
      () => 'unknown' as const,
    );
    this.count(`poison records ${action.end} (F7)`);
    this.note(action);
  }

  private async send(command: Command, otherBody: boolean): Promise<Action['end']> {
    const { door, key, provider, paymentId, amount } = command;
    const action: Action = { at: Date.now(), door, what: 'refund', key, provider, paymentId, amount, otherBody, end: 'open' };
    this.note(action);
    const body = { provider, paymentId, amount, currency: 'USD' };
    try {
      if (door === 'kafka') {
        await this.overKafka(command, body);
        action.end = 'ok';
      } else {
        const answer = await this.rig.call('POST', '/v1/refunds', body, { 'idempotency-key': key });
        this.count(`HTTP ${answer.status}`);
        action.status = answer.status;
        const isTaken = answer.status === 202;
        if (isTaken) {
          action.refundId = String(answer.body['id']);
          if (!this.refunds.includes(action.refundId)) this.refunds.push(action.refundId);
        }
        action.end = isTaken ? 'ok' : answer.status < 500 && answer.status !== 429 ? 'failed' : 'unknown';
      }
    } catch {
      action.end = 'unknown';
    }
    this.count(`commands over ${door} ${action.end}`);
    this.note(action);
    return action.end;
  }

  private overKafka({ key, paymentId }: Command, body: object): Promise<void> {
    return this.produce({ key: paymentId, value: JSON.stringify(body), headers: headersOf(key) });
  }

  private async produce(message: Message, topic = 'refunds.commands.v1'): Promise<void> {
    this.producer ??= await this.connected();
    const producer = this.producer;
    try {
      // When others give a producer up in the midst of a send, kafkajs never says what became of it. And what it answers with nothing was
      // not sent: it has taken one broker for another.
      const sent = producer.send({ topic, acks: -1, timeout: 10_000, messages: [message] }).then(({ length }) => length > 0);
      if (!(await Promise.race([sent, sleep(60_000, false, { ref: false })]))) throw new Error('nobody knows what became of it');
    } catch (error) {
      if (this.producer === producer) {
        this.producer = undefined;
        void producer.disconnect().catch(() => undefined);
      }
      throw error;
    }
  }

  private async connected(): Promise<Producer> {
    mendKafkaJs(); // Else its idle connections take a core that the rig needs.
    const brokers = this.rig.ways.kafka.map(({ port }) => `127.0.0.1:${port}`);
    const kafka = new Kafka({
      brokers,
      clientId: 'chaos',
      logLevel: logLevel.NOTHING,
      requestTimeout: 10_000,
      retry: { retries: 2 },
    });
    const producer = kafka.producer({ allowAutoTopicCreation: false });
    await producer.connect();
    return producer;
  }

  private async cancel(): Promise<void> {
    if (this.refunds.length === 0) return;
    const id = this.seeded.oneOf(this.refunds.slice(-20));
    await this.orderOverHttp('cancel', id, `/v1/refunds/${id}/cancel`, {});
  }

  private async cancelOverKafka(): Promise<void> {
    if (this.refunds.length === 0) return;
    const refundId = this.seeded.oneOf(this.refunds.slice(-20));
    await this.order('cancel', refundId, { refundId });
  }

  /** About what exists, over HTTP; the status of its answer. */
  private async orderOverHttp(order: Order, about: string, path: string, body: object): Promise<number | null> {
    const action = this.begun('http', order, about);
    try {
      const { status } = await this.rig.call('POST', path, body, { 'idempotency-key': action.key });
      action.status = status;
      action.end = status < 300 ? 'ok' : status < 500 && status !== 429 ? 'failed' : 'unknown';
    } catch {
      action.end = 'unknown';
    }
    this.count(`${order} over http ${action.status ?? 'without an answer'}`);
    this.note(action);
    return action.status ?? null;
  }

  private begun(door: 'http' | 'kafka', order: Order, about: string): Action {
    const rest = { provider: 'stripe', paymentId: about, amount: 0, otherBody: false } as const;
    const key = `${this.seed}-o${this.made++}`;
    const action: Action = { at: Date.now(), door, what: 'order', order, key, ...rest, end: 'open' };
    this.note(action);
    return action;
  }

  /** About what exists, over Kafka. */
  private async order(order: Order, about: string, body: object): Promise<void> {
    const action = this.begun('kafka', order, about);
    const { topic, type } = orders[order];
    const sent = this.produce({ key: about, value: JSON.stringify(body), headers: headersOf(action.key, type) }, topic);
    action.end = await sent.then(
      () => 'ok' as const,
      () => 'unknown' as const,
    );
    this.count(`${order} over kafka ${action.end}`);
    this.note(action);
  }

  private async dashboard(): Promise<void> {
    const payment = this.seeded.next() < 0.5 ? this.seeded.oneOf(this.hot) : await this.pay('stripe', 5_000);
    await this.rig.control('dashboard-refunds', { paymentId: payment.paymentId, amount: this.seeded.whole(1, 9) * 50 });
    this.count('refunds from the dashboard (F28)');
  }

  private async dispute(): Promise<void> {
    const isHot = this.seeded.next() < 0.2;
    const { paymentId } = isHot
      ? this.seeded.oneOf(this.hot.filter(({ provider }) => provider === 'stripe'))
      : await this.pay('stripe', 8_000);
    const { disputeId } = await this.rig.control('disputes', { paymentId, amount: 900, reason: 'product_not_received' });
    this.disputes.push({ disputeId: String(disputeId), isAnswered: false });
    this.count('disputes opened (F29)');
  }

  private async onDispute(): Promise<void> {
    if (this.disputes.length === 0) return;
    const dispute = this.seeded.oneOf(this.disputes);
    const act = this.seeded.oneOf(['win', 'lose', 'answer', 'answer', 'accept'] as const);
    if (act === 'win' || act === 'lose') {
      await this.rig.control(`disputes/${dispute.disputeId}`, { do: act });
      this.count(`disputes: the bank says ${act}`);
      return;
    }
    const found = await this.read(`/v1/disputes?q=${dispute.disputeId}`);
    const [ours] = found['data'] as { id: string }[];
    if (ours === undefined || dispute.isAnswered) return;
    const isOverKafka = this.seeded.next() < 0.5;
    if (act === 'accept' && isOverKafka) return this.order('accept', ours.id, { disputeId: ours.id, confirm: true });
    if (act === 'accept') {
      await this.orderOverHttp('accept', ours.id, `/v1/disputes/${ours.id}/accept`, { confirm: true });
      return;
    }
    const shown = await this.read(`/v1/disputes/${ours.id}/evidence`);
    const text = this.seeded.oneOf(['winning_evidence', 'losing_evidence', 'We sent it.']);
    await this.rig.call(
      'PATCH',
      `/v1/disputes/${ours.id}/evidence`,
      { uncategorizedText: text },
      { 'if-match': String(shown['version']) },
    );
    const { version } = await this.read(`/v1/disputes/${ours.id}/evidence`);
    if (isOverKafka) return this.order('submit', ours.id, { disputeId: ours.id, confirm: true, version });
    const status = await this.orderOverHttp('submit', ours.id, `/v1/disputes/${ours.id}/submit`, { confirm: true, version });
    if (status === 200) dispute.isAnswered = true;
  }

  /** The bank sends money back weeks later. */
  private async bankReturns(): Promise<void> {
    if (this.refunds.length === 0) return;
    const refund = await this.read(`/v1/refunds/${this.seeded.oneOf(this.refunds.slice(-60))}`);
    if (refund['provider'] !== 'stripe' || refund['status'] !== 'succeeded') return;
    await this.rig.control(`refunds/${String(refund['providerRefundId'])}`, {
      status: 'failed',
      failureReason: 'lost_or_stolen_card',
    });
    this.count('refunds that the bank returned (F25)');
  }

  private async read(path: string): Promise<Readonly<Record<string, unknown>>> {
    const { status, body } = await this.rig.call('GET', path);
    if (status !== 200) throw new Error(`could not be read: ${status}`);
    return body;
  }

  private note(action: Action): void {
    if (action.end === 'open') this.history.push(action);
    appendFileSync(this.file, `${JSON.stringify({ ...action, now: Date.now() })}\n`);
  }
}

function headersOf(id: string, type = 'redress.RequestRefund.v1'): Record<string, string> {
  return {
    ce_specversion: '1.0',
    ce_id: id,
    ce_source: '/chaos',
    ce_type: type,
    'content-type': 'application/json',
  };
}
