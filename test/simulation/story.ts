/*
 * A story from one seed: clients ask, repeat and cancel over both doors, banks and dashboards do as they like, webhooks get lost, and the
 * processes fail at any step. Then all is healed, and what is open must come to its end.
 */
import { commandId, refundIdOf } from '#application/names';
import type { ReceivedCommand } from '#application/refund-commands';
import type { RefundCommand, RefundCommandType } from '#contracts/refund-commands';
import type { Notice } from '#domain/ports/provider-notices';
import type { BookedRefund, ScriptedProvider } from '../fakes/scripted-provider.js';
import { Chance, Clockwork } from './clockwork.js';
import { judge, type Deed, type Story } from './model.js';
import { healthy, partitions, World, type Process } from './world.js';

const startedAt = Date.UTC(2026, 2, 2, 9);
const second = 1_000;
const minute = 60 * second;
const hour = 60 * minute;
const day = 24 * hour;

export interface Told {
  readonly seed: number;
  /** Line by line what happened. */
  readonly lines: readonly string[];
  /** What was wrong at its end. */
  readonly wrong: readonly string[];
  readonly steps: number;
  readonly met: ReadonlyMap<string, number>;
}

interface Sent {
  readonly door: 'http' | 'kafka';
  readonly key: string;
  readonly body: object;
}

interface Letter {
  readonly provider: string;
  readonly id: string;
  readonly notice: Notice;
}

/** Tells the story of a seed, and judges it. */
export async function tell(seed: number, steps = 900): Promise<Told> {
  const clockwork = new Clockwork(new Chance(seed));
  clockwork.take(startedAt);
  try {
    return await new Teller(seed, clockwork).tell(steps);
  } finally {
    clockwork.release();
  }
}

class Teller {
  private readonly world: World;
  private readonly chance: Chance;
  private readonly lines: string[] = [];
  private readonly deeds: Deed[] = [];
  private readonly sent: Sent[] = [];
  private readonly captured = new Map<string, bigint>();
  private readonly letters: Letter[] = [];
  private readonly seen = new Map<string, string>();
  private processes: Process[] = [];
  private keys = 0;
  private post = 0;
  private steps = 0;

  constructor(
    private readonly seed: number,
    private readonly clockwork: Clockwork,
  ) {
    this.world = new World(clockwork, startedAt);
    this.chance = clockwork.chance;
  }

  async tell(steps: number): Promise<Told> {
    this.open();
    this.world.troubles = { conflict: 0.04, lostCommit: 0.03, call: 0.2 };
    for (let step = 0; step < steps; step += 1) await this.step();
    await this.heal();
    const wrong = [...(await this.end()), ...this.world.failures.map((each) => `unexpected: ${each}`)];
    return { seed: this.seed, lines: this.lines, wrong, steps: this.steps, met: this.world.met };
  }

  private open(): void {
    const { stripe, zamp } = this.world;
    const pay = (provider: ScriptedProvider, name: string, aliases: string[] = []) => {
      const amount = 2_000n + BigInt(this.chance.upTo(10_000));
      provider.pay(name, { amount, currency: 'USD' }, { aliases });
      this.captured.set(name, amount);
    };
    for (const n of [1, 2, 3]) pay(stripe, `pi_${n}`, [`ch_${n}`]);
    for (const n of [1, 2]) pay(zamp, `ps_${n}`);
    this.processes = ['api', 'api', 'worker', 'worker'].map((kind) => this.world.start(kind));
  }

  private async step(): Promise<void> {
    this.steps += 1;
    const { chance } = this;
    const what = chance.next();
    if (what < 0.62) await this.goOn();
    else if (what < 0.82) this.beginSomething();
    else if (what < 0.88) this.client();
    else if (what < 0.92) await this.time();
    else if (what < 0.955) await this.mail();
    else if (what < 0.97) this.bank();
    else if (what < 0.98) this.die();
    else if (what < 0.987) this.freezeOrThaw();
    else if (what < 0.991) this.dashboard();
    else this.dispute();
    this.watch();
  }

  private say(line: string): void {
    this.lines.push(`${String(Math.round(this.clockwork.ms))} ${line}`);
  }

  private async goOn(): Promise<void> {
    const went = await this.clockwork.next();
    if (went !== null) this.say(went);
  }

  private get workers(): Process[] {
    return this.processes.filter(({ name, isDead }) => name.startsWith('worker') && !isDead);
  }

  private beginSomething(): void {
    const able = this.workers.filter(({ isFrozen }) => !isFrozen);
    if (able.length === 0) return;
    const process = this.chance.one(able);
    const what = this.chance.one(['operations', 'operations', 'operations', 'deliveries', 'deadlines', 'seal', 'take'] as const);
    if (what === 'take') this.world.take(process, this.chance.upTo(partitions));
    else this.world.begin(process, what);
  }

  private client(): void {
    const { chance } = this;
    const kind = chance.next();
    const before = this.sent.length > 0 ? chance.one(this.sent) : null;
    if (before !== null && kind < 0.2) return this.send({ ...before });
    if (before !== null && kind < 0.25) return this.send({ ...before, body: { ...before.body, amount: 7, currency: 'USD' } });
    if (before !== null && kind < 0.42) return this.order(chance.one(['Cancel', 'Retry', 'Sync', 'Approve']), before);
    const [provider, paymentId] = chance.one([
      ['stripe', 'pi_1'],
      ['stripe', 'pi_1'],
      ['stripe', 'ch_1'],
      ['stripe', 'pi_2'],
      ['stripe', 'ch_3'],
      ['zamp', 'ps_1'],
      ['zamp', 'ps_1'],
      ['zamp', 'ps_2'],
    ] as const);
    const money = chance.isIn(0.1) ? {} : { amount: 1 + chance.upTo(1_500), currency: 'USD' };
    const body = { account: 'default', provider, paymentId, ...money };
    this.send({ door: chance.one(['http', 'kafka']), key: `k-${(this.keys += 1)}`, body });
  }

  private send(sent: Sent): void {
    const { door, key, body } = sent;
    const uuid = commandId('default', door, 'shop', key);
    const deed = { commandId: key, refundId: refundIdOf(uuid), door };
    const isFirst = !this.sent.some((each) => each.key === key);
    if (isFirst) this.sent.push(sent);
    this.say(`client: ${door} ${key} ${JSON.stringify(body)}`);
    this.deeds.push({ ...deed, did: 'invoked' });
    if (door === 'kafka') return this.append(key, body);
    this.ask(
      { type: 'redress.RequestRefund.v1', uuid, key, body: body as RefundCommand, ...byShop },
      (did) => void this.deeds.push({ ...deed, did }),
    );
  }

  private order(what: string, { door, key }: Sent): void {
    const refundId = refundIdOf(commandId('default', door, 'shop', key));
    const own = `o-${(this.keys += 1)}`;
    this.say(`client: ${what} ${key}`);
    const type = `redress.${what}Refund.v1` as RefundCommandType;
    const uuid = commandId('default', 'http', 'shop', own);
    this.ask({ type, uuid, key: own, body: { refundId } as RefundCommand, ...byShop }, () => undefined);
  }

  private ask(command: ReceivedCommand, heard: (did: 'ok' | 'refused' | 'unknown') => void): void {
    const doors = this.processes.filter(({ name, isDead, isFrozen }) => name.startsWith('api') && !isDead && !isFrozen);
    if (doors.length === 0) return heard('unknown');
    this.world.ask(this.chance.one(doors), command).then(
      ([answer]) => {
        this.world.count(`answer: ${answer?.kind === 'refused' ? answer.code : answer?.kind}`);
        this.say(`client: heard of ${command.key}: ${answer?.kind}`);
        heard(answer?.kind === 'accepted' ? 'ok' : 'refused');
      },
      () => heard('unknown'),
    );
  }

  private append(key: string, body: object): void {
    const headers = {
      ce_specversion: '1.0',
      ce_id: key,
      ce_source: 'shop',
      ce_type: 'redress.RequestRefund.v1',
      'content-type': 'application/json',
    };
    const partition = this.world.log[this.chance.upTo(partitions)];
    partition?.push({
      key: null,
      value: Buffer.from(JSON.stringify(body)),
      headers: Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, Buffer.from(value)])),
      offset: BigInt(partition.length),
      timestamp: new Date(this.world.stores.now),
    });
  }

  private async time(): Promise<void> {
    const kind = this.chance.next();
    const ms = this.chance.next() * (kind < 0.7 ? 2 * second : kind < 0.95 ? 2 * minute : kind < 0.99 ? 2 * hour : 30 * hour);
    this.say(`time: ${Math.round(ms)} ms`);
    await this.world.pass(Math.round(ms));
  }

  /** What has changed at the providers makes letters. */
  private watch(): void {
    const { stripe, zamp, bank } = this.world;
    for (const provider of [stripe, zamp]) {
      for (const { id, says, refundId, payment } of provider.refunds) {
        const notice = { about: 'refund', providerRefundId: id, refundId, payment, claim: null } as const;
        this.write(provider.provider, `${provider.provider} ${id}`, says, notice);
      }
    }
    for (const { id, payment, status, stage, movements, answers } of bank.disputes) {
      const state = `${status} ${stage} ${movements.length} ${answers.length}`;
      this.write('stripe', id, state, { about: 'dispute', providerDisputeId: id, payment });
    }
  }

  private write(provider: string, about: string, state: string, notice: Notice): void {
    if (this.seen.get(about) === state) return;
    this.seen.set(about, state);
    this.letters.push({ provider, id: `n-${(this.post += 1)}`, notice });
  }

  private async mail(lossless = false): Promise<void> {
    const [letter] = this.letters.splice(this.chance.upTo(this.letters.length), 1);
    if (letter === undefined) return;
    const fate = lossless ? 'arrives' : this.chance.one(['arrives', 'arrives', 'is lost', 'comes twice'] as const);
    this.world.count(`webhook: ${fate}`);
    this.say(`webhook ${letter.id} of ${letter.provider} ${fate}`);
    if (fate === 'is lost') return;
    await this.world.deliver(letter.provider, letter.id, letter.notice);
    if (fate === 'comes twice') this.letters.push(letter);
  }

  private bank(): void {
    const { stripe, zamp } = this.world;
    stripe.firstSays = this.chance.one(['succeeded', 'pending']);
    zamp.firstSays = this.chance.one(['succeeded', 'pending']);
    const [provider, refund] = this.chance.one([
      [stripe, this.some(stripe.refunds)],
      [zamp, this.some(zamp.refunds)],
    ] as const);
    if (refund === undefined || refund.says === 'failed') return;
    const says = refund.says === 'pending' ? this.chance.one(['succeeded', 'failed'] as const) : 'failed';
    // Zamp's successes are final.
    if (refund.says === 'succeeded' && provider === zamp) return;
    this.world.count(`bank: ${refund.says} then ${says}`);
    this.say(`bank: ${provider.provider} ${refund.id} ${says}`);
    provider.bankSays(refund.id, says);
  }

  private some(refunds: readonly BookedRefund[]): BookedRefund | undefined {
    return refunds.length === 0 ? undefined : this.chance.one(refunds);
  }

  private die(): void {
    const victim = this.chance.one(this.processes);
    this.world.count('process: killed');
    this.say(`${victim.name} is killed`);
    victim.isDead = true;
    const another = this.world.start(victim.name.split('-')[0] ?? 'worker');
    this.processes = this.processes.map((each) => (each === victim ? another : each));
  }

  private freezeOrThaw(): void {
    const victim = this.chance.one(this.processes);
    victim.isFrozen = !victim.isFrozen;
    this.world.count(victim.isFrozen ? 'process: frozen' : 'process: thawed');
    this.say(`${victim.name} ${victim.isFrozen ? 'freezes' : 'goes on'}`);
  }

  private dashboard(): void {
    const payment = this.chance.one(['pi_1', 'pi_2', 'pi_3']);
    const left = (this.captured.get(payment) ?? 0n) - this.world.stripe.sentBack(payment);
    const amount = BigInt(1 + this.chance.upTo(500));
    if (amount > left) return;
    this.world.count('dashboard: refund');
    this.say(`dashboard: ${amount} of ${payment}`);
    this.world.stripe.refundOutside(payment, amount);
  }

  private dispute(): void {
    const { bank } = this.world;
    const open = bank.disputes.length > 0 ? this.chance.one(bank.disputes) : undefined;
    const what = this.chance.one(['opens', 'opens', 'answers', 'wins', 'loses', 'escalates'] as const);
    if (what === 'opens' && bank.disputes.length < 3) {
      const payment = this.chance.one(['pi_2', 'pi_3']);
      const money = { amount: this.captured.get(payment) ?? 0n, currency: 'USD' };
      bank.open(payment, money, { stage: this.chance.one(['inquiry', 'chargeback']) });
    } else if (open === undefined) return;
    else if (what === 'answers' && open.status === 'needs_response') bank.answerElsewhere(open.id);
    else if (what === 'wins') bank.win(open.id);
    else if (what === 'loses') bank.lose(open.id);
    else if (what === 'escalates' && open.stage === 'inquiry') bank.moveTo(open.id, 'chargeback');
    else return;
    this.world.count(`dispute: ${what}`);
    this.say(`bank: a dispute ${what}`);
  }

  /** No more trouble: everything works, arrives and gets decided. */
  private async heal(): Promise<void> {
    const { world } = this;
    world.troubles = { ...healthy };
    this.say('all is healed');
    for (const process of this.processes) process.isFrozen = false;
    for (const provider of [world.stripe, world.zamp]) {
      provider.firstSays = 'succeeded';
      for (const { id, says } of provider.refunds) if (says === 'pending') provider.bankSays(id, 'succeeded');
    }
    this.watch();
    while (this.letters.length > 0) await this.mail(true);
    const until = this.clockwork.ms + 4 * day;
    // A sweep that sees all, and whatever follows from it.
    let quietMs = 0;
    while (this.clockwork.ms < until && (quietMs < 36 * hour || !this.isSettled())) {
      const isBusy = await this.round();
      const ms = isBusy ? second : Math.min(2 * hour, Math.max(10 * minute, quietMs / 4));
      quietMs = isBusy ? quietMs : quietMs + ms;
      await world.pass(ms);
    }
  }

  /** Everything that can be done now; false where that was nothing. */
  private async round(): Promise<boolean> {
    let went = 0;
    for (const worker of this.workers) {
      for (const name of ['operations', 'deliveries', 'deadlines', 'seal'] as const) this.world.begin(worker, name);
      for (let partition = 0; partition < partitions; partition += 1) this.world.take(worker, partition);
    }
    const before = this.world.stores.events.all().length;
    while ((await this.clockwork.next()) !== null) went += 1;
    this.steps += went;
    this.watch();
    while (this.letters.length > 0) await this.mail(true);
    return this.world.stores.events.all().length > before;
  }

  private isSettled(): boolean {
    const isRead = this.world.log.every((records, partition) => (this.consumed(partition) ?? 0n) >= BigInt(records.length));
    return isRead && this.world.stores.events.all().length === this.world.stores.sealed;
  }

  private consumed(partition: number): bigint | null {
    return this.world.stores.marks.get(`default:redress:refunds.commands.v1:${partition}`) ?? null;
  }

  private async end(): Promise<string[]> {
    const { world } = this;
    const { stores, stripe, zamp } = world;
    const sealed = await stores.log.page(0n, Number.MAX_SAFE_INTEGER, {});
    const told = sealed.map(({ id, topic, type, subject, paymentKey: payment, sequence, data }) => {
      const { commandId: command = null, code = null } = JSON.parse(data) as { commandId?: string; code?: string };
      return { id, topic, type, subject, payment, sequence, commandId: command, code };
    });
    const books = [stripe, zamp].flatMap(({ provider, refunds }) =>
      refunds.map(({ id, refundId, payment, amount, says }) => {
        return { provider, id, refundId, payment, amount, says, stands: says !== 'failed' && says !== 'canceled' };
      }),
    );
    const refunds = stores.refunds.all().map(({ refund }) => {
      const { id, status, providerRefundId, provider, paymentKey: payment, origin, attention } = refund;
      world.count(`refund: ${status}`);
      if (attention !== null) world.count(`attention: ${attention}`);
      return { id, status, providerRefundId, provider, payment, origin, attention };
    });
    for (const { stage, status } of stores.disputes.disputes.all()) world.count(`dispute: ${stage} ${status}`);
    for (const { kind, state } of stores.operations.all()) world.count(`operation: ${kind} ${state}`);
    const unread = world.log.flatMap((records, partition) =>
      (this.consumed(partition) ?? 0n) < BigInt(records.length) ? [`partition ${partition} was not read to its end`] : [],
    );
    const ours = new Map(stores.disputes.disputes.all().map((each) => [each.providerDisputeId, each.status]));
    const disputes = world.bank.disputes.map(({ id, status: says }) => ({ id, says, ours: ours.get(id) ?? null }));
    const buried = stores.deadLetters.all().map(({ code, detail }) => `a command stands in the dead letters: ${code} ${detail}`);
    const story: Story = { deeds: this.deeds, books, captured: this.captured, told, refunds, disputes };
    return [...judge(story), ...unread, ...buried];
  }
}

const byShop = { account: 'default', door: 'http', source: 'shop', correlationId: null, traceparent: null } as const;
