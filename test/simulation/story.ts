/*
 * A story from one seed: clients ask, repeat and cancel over both doors, banks and dashboards do as they like, webhooks get lost, and the
 * processes fail at any step. Then all is healed, and what is open must come to its end.
 */
import { commandId, disputeId, refundIdOf } from '#application/names';
import type { ReceivedCommand } from '#application/refund-commands';
import type { DisputeCommand, DisputeCommandType } from '#contracts/dispute-commands';
import type { RefundCommand, RefundCommandType } from '#contracts/refund-commands';
import { topics } from '#contracts/topics';
import type { Notice } from '#domain/ports/provider-notices';
import { outstanding } from '../fakes/scripted-disputes.js';
import type { BookedRefund, ScriptedProvider } from '../fakes/scripted-provider.js';
import { Chance, Clockwork } from './clockwork.js';
import { judge, type Deed, type Story } from './model.js';
import { healthy, partitions, relayed, taken, World, type Process, type Taken } from './world.js';

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
  /** How many came into being before it. */
  readonly number: number;
  /** The provider's object whose change it tells of. */
  readonly about: string;
  readonly notice: Notice;
}

export interface Found {
  readonly seed: number;
  readonly story: readonly string[];
  readonly why: readonly string[];
}

/** Tells a story for each seed, one after the other; the first that is wrong, or null. */
export async function simulate(
  seeds: Iterable<number>,
  { steps, onTold }: { readonly steps?: number; readonly onTold?: (told: Told) => void } = {},
): Promise<Found | null> {
  for (const seed of seeds) {
    const told = await tell(seed, steps);
    onTold?.(told);
    if (told.wrong.length > 0) return { seed, story: told.lines, why: told.wrong };
  }
  return null;
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
  private readonly notThere = new Set<string>();
  private processes: Process[] = [];
  private keys = 0;
  private letterCount = 0;
  private senseless = 0;
  private steps = 0;

  constructor(
    private readonly seed: number,
    private readonly clockwork: Clockwork,
  ) {
    this.world = new World(clockwork, startedAt);
    this.chance = clockwork.chance;
  }

  async tell(steps: number): Promise<Told> {
    await this.open();
    this.world.troubles = { conflict: 0.04, lostCommit: 0.03, call: 0.2, kafka: 0.05 };
    for (let step = 0; step < steps; step += 1) await this.step();
    await this.heal();
    const wrong = [...(await this.end()), ...this.world.failures.map((each) => `unexpected: ${each}`)];
    return { seed: this.seed, lines: this.lines, wrong, steps: this.steps, met: this.world.met };
  }

  private async open(): Promise<void> {
    const { stripe, zamp } = this.world;
    const pay = (provider: ScriptedProvider, name: string, aliases: string[] = []) => {
      const amount = 2_000n + BigInt(this.chance.upTo(10_000));
      provider.pay(name, { amount, currency: 'USD' }, { aliases });
      this.captured.set(name, amount);
    };
    for (const n of [1, 2, 3]) pay(stripe, `pi_${n}`, [`ch_${n}`]);
    for (const n of [1, 2]) pay(zamp, `ps_${n}`);
    const files = this.chance.isIn(0.3);
    this.world.policy = { fileAtDeadline: files, acceptBelow: this.chance.isIn(0.2) ? { USD: 4_000n } : {} };
    this.processes = ['api', 'api', 'worker', 'worker'].map((kind) => this.world.start(kind));
  }

  private async step(): Promise<void> {
    this.steps += 1;
    const { chance } = this;
    const what = chance.next();
    if (what < 0.59) await this.goOn();
    else if (what < 0.79) this.beginSomething();
    else if (what < 0.84) this.client();
    else if (what < 0.88) await this.time();
    else if (what < 0.91) await this.mail();
    else if (what < 0.922) this.bank();
    else if (what < 0.93) this.die();
    else if (what < 0.94) this.freezeOrThaw();
    else if (what < 0.944) this.dashboard();
    else if (what < 0.958) this.dispute();
    else if (what < 0.993) this.answer();
    else if (what < 0.997) this.onCall();
    else this.trouble();
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
    const what = this.chance.one(rounds);
    if (what === 'carry') this.world.carry(process, this.chance.one(relayed));
    else if (what === 'take') this.world.take(process, this.chance.one(taken), this.chance.upTo(partitions));
    else this.world.begin(process, what);
  }

  private client(): void {
    const { chance } = this;
    const kind = chance.next();
    const before = this.sent.length > 0 ? chance.one(this.sent) : null;
    if (before !== null && kind < 0.2) return this.send({ ...before });
    if (before !== null && kind < 0.25) return this.send({ ...before, body: { ...before.body, amount: 7, currency: 'USD' } });
    if (before !== null && kind < 0.42) return this.order(chance.one(['Cancel', 'Retry', 'Sync', 'Approve', 'Reject']), before);
    if (kind < 0.45) return this.nonsense();
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
    // Often the same amount: two honest refunds that look alike.
    const amount = chance.isIn(0.3) ? 250 : 1 + chance.upTo(1_500);
    const money = chance.isIn(0.1) ? {} : { amount, currency: 'USD' };
    const body = { account: 'default', provider, paymentId, ...money };
    this.send({ door: chance.one(['http', 'kafka']), key: `k-${(this.keys += 1)}`, body });
  }

  private send(sent: Sent): void {
    const { door, key, body } = sent;
    const uuid = commandId('default', door, 'shop', key);
    const deed = { commandId: key, refundId: refundIdOf(uuid), door, body: JSON.stringify(body) };
    const isFirst = !this.sent.some((each) => each.key === key);
    if (isFirst) this.sent.push(sent);
    this.say(`client: ${door} ${key} ${JSON.stringify(body)}`);
    this.deeds.push({ ...deed, did: 'invoked' });
    if (door === 'kafka') return this.append(topics.refundCommands, 'redress.RequestRefund.v1', key, body);
    this.ask(
      { type: 'redress.RequestRefund.v1', uuid, key, body: body as RefundCommand, ...byShop },
      (did) => void this.deeds.push({ ...deed, did }),
    );
  }

  /** About a refund that somebody asked for. */
  private order(what: string, { door: askedAt, key: asked }: Sent): void {
    const refundId = refundIdOf(commandId('default', askedAt, 'shop', asked));
    const key = `o-${(this.keys += 1)}`;
    const door = this.chance.one(['http', 'kafka'] as const);
    this.say(`client: ${what} ${asked} by ${door} ${key}`);
    const type = `redress.${what}Refund.v1` as RefundCommandType;
    const body = { refundId, ...(what === 'Reject' ? { reason: 'Not this one' } : {}) };
    const deed = { commandId: key, refundId: null, door, body: JSON.stringify(body) };
    this.deeds.push({ ...deed, did: 'invoked' });
    if (door === 'kafka') return this.append(topics.refundCommands, type, key, body);
    const uuid = commandId('default', 'http', 'shop', key);
    const heard = (did: 'ok' | 'refused' | 'unknown') => void this.deeds.push({ ...deed, did });
    this.ask({ type, uuid, key, body: body as RefundCommand, ...byShop }, heard);
  }

  private someDoor(): Process | null {
    const doors = this.processes.filter(({ name, isDead, isFrozen }) => name.startsWith('api') && !isDead && !isFrozen);
    return doors.length === 0 ? null : this.chance.one(doors);
  }

  private ask(command: ReceivedCommand, heard: (did: 'ok' | 'refused' | 'unknown') => void): void {
    const door = this.someDoor();
    if (door === null) return heard('unknown');
    this.world.ask(door, command).then(
      ([answer]) => {
        this.world.count(`answer: ${answer?.kind === 'refused' ? answer.code : answer?.kind}`);
        this.say(`client: heard of ${command.key}: ${answer?.kind}`);
        heard(answer?.kind === 'accepted' ? 'ok' : 'refused');
      },
      (error: unknown) => {
        this.world.failed(`client: ${command.key}`, error);
        heard('unknown');
      },
    );
  }

  /** What cannot be a command, be it that nobody can tell whose it is. */
  private nonsense(): void {
    const key = `x-${(this.keys += 1)}`;
    const kind = this.chance.one(['not JSON', 'not as agreed', 'nothing'] as const);
    this.say(`client: ${kind} ${key}`);
    this.world.count(`nonsense: ${kind}`);
    this.senseless += 1;
    if (kind !== 'nothing') this.deeds.push({ commandId: key, refundId: null, door: 'kafka', body: kind, did: 'invoked' });
    const topic = this.chance.one(taken);
    const type = topic === topics.refundCommands ? 'redress.RequestRefund.v1' : 'redress.LetDisputePass.v1';
    if (kind === 'nothing') this.write(topic, null, {});
    else if (kind === 'not JSON') this.write(topic, Buffer.from('{"amount":'), headersOf(type, key));
    else this.append(topic, type, key, { amount: -1 });
  }

  private append(topic: Taken, type: string, key: string, body: object): void {
    this.write(topic, Buffer.from(JSON.stringify(body)), headersOf(type, key));
  }

  private write(topic: Taken, value: Buffer | null, headers: Record<string, Buffer>): void {
    const partition = this.world.logs.get(topic)?.[this.chance.upTo(partitions)];
    partition?.push({ key: null, value, headers, offset: BigInt(partition.length), timestamp: new Date(this.world.stores.now) });
  }

  /** Somebody works on a dispute that we know of: writes, submits, gives up. */
  private answer(): void {
    const { world, chance } = this;
    const { disputes } = world.bank;
    if (disputes.length === 0) return;
    const { id } = chance.one(disputes);
    const ours = disputeId('default', 'stripe', id);
    const key = `d-${(this.keys += 1)}`;
    const what = chance.one(['edits', 'edits', 'files', 'files', 'Submit', 'Submit', 'Submit', 'Submit', ...rarely] as const);
    this.say(`desk: ${what} ${id} by ${key}`);
    if (what === 'edits' || what === 'files') {
      const door = this.someDoor();
      if (door === null) return;
      const order = { account: 'default', provider: 'stripe', disputeId: ours, source: 'ann', key, isOwnKey: true, seen: null };
      const bytes = Buffer.from(key);
      const file = {
        place: 'receipt',
        name: key,
        type: 'application/pdf',
        size: bytes.length,
        pages: 1,
        digest: key,
        bytes,
      } as const;
      const done = what === 'files' ? door.desk.addFile(file, order) : door.desk.edit({ uncategorizedText: key }, order);
      return void done.then(
        (answer) => this.world.count(`desk: ${what}, ${answer.kind}`),
        (error: unknown) => this.world.failed(`desk: ${what}`, error),
      );
    }
    const version = world.stores.disputes.drafts.get(ours)?.version ?? 1;
    const more = {
      Submit: { confirm: true, version },
      Accept: { confirm: true },
      LetPass: { reason: 'Not worth it' },
      Sync: {},
      Acknowledge: { reason: 'Seen' },
    }[what];
    const type = disputeTypes[what];
    const door = chance.one(['http', 'kafka'] as const);
    const body = { disputeId: ours, ...more };
    const spends = what === 'Submit' || what === 'Accept' ? { answers: id } : {};
    const deed = { commandId: key, refundId: null, door, body: JSON.stringify(body), ...spends };
    this.deeds.push({ ...deed, did: 'invoked' });
    if (door === 'kafka') return this.append(topics.disputeCommands, type, key, body);
    const process = this.someDoor();
    if (process === null) return;
    const uuid = commandId('default', 'http', 'shop', key);
    world.askAboutDispute(process, { type, uuid, key, body: body as DisputeCommand, ...byShop }).then(
      ([answer]) => {
        world.count(`desk: ${what}, ${answer?.kind === 'refused' ? answer.code : answer?.kind}`);
        this.deeds.push({ ...deed, did: answer?.kind === 'accepted' ? 'ok' : 'refused' });
      },
      (error: unknown) => {
        world.failed(`desk: ${what}`, error);
        this.deeds.push({ ...deed, did: 'unknown' });
      },
    );
  }

  /** Whoever is on call throws the switch, has parked operations taken up, looks at dead letters. */
  private onCall(): void {
    const door = this.someDoor();
    if (door === null) return;
    const what = this.chance.one(['pauses', 'resumes', 'takes up', 'redrives', 'dismisses'] as const);
    const provider = this.chance.one(['stripe', 'zamp', null]);
    const letters = this.world.stores.deadLetters.all();
    this.say(`on call: ${what} ${provider ?? 'all'}`);
    const ordered = { source: 'ann', key: `u-${(this.keys += 1)}` };
    const heard = () => this.world.count(`on call: ${what}`);
    const work = async (): Promise<unknown> => {
      if (what === 'takes up') return door.upkeep.resume({ provider, account: null }, ordered);
      if (what === 'pauses' || what === 'resumes') {
        const paused = what === 'pauses';
        return door.upkeep.throwSwitch({ provider, account: null, paused, reason: 'A look', by: 'ann' });
      }
      if (letters.length === 0) return null;
      const { id } = this.chance.one(letters);
      return what === 'redrives' ? door.upkeep.redrive(id, ordered) : door.upkeep.dismiss(id, 'Seen', ordered);
    };
    work().then(heard, (error: unknown) => this.world.failed(`on call: ${what}`, error));
  }

  /** Something around us: a provider out of reach, clocks that jump. */
  private trouble(): void {
    const { world, chance, clockwork } = this;
    const days = chance.isIn(0.1) ? (['away for days'] as const) : [];
    const what = chance.one([...days, 'away', 'clock of the processes', 'clock of the database'] as const);
    const provider = chance.one(['stripe', 'zamp']);
    this.say(`trouble: ${what}, ${provider}`);
    world.fault(`trouble: ${what}`);
    if (what === 'away') world.awayUntil.set(provider, clockwork.ms + chance.upTo(hour));
    else if (what === 'away for days') world.awayUntil.set(provider, clockwork.ms + 30 * hour);
    else if (what === 'clock of the processes') clockwork.skewMs = chance.one([-hour, 0, hour]);
    else world.stores.now = world.stores.later(chance.upTo(hour));
  }

  private async time(): Promise<void> {
    const kind = this.chance.next();
    const isUnanswered = this.world.stripe.refunds.some(({ refundId }) => refundId !== null && !this.world.isKnown(refundId));
    const isLong = kind > (isUnanswered ? 0.9 : 0.99);
    const ms = this.chance.next() * (kind < 0.7 ? 2 * second : isLong ? 30 * hour : kind < 0.95 ? 2 * minute : 2 * hour);
    this.say(`time: ${Math.round(ms)} ms`);
    await this.world.pass(Math.round(ms));
  }

  /** What has changed at the providers makes letters. */
  private watch(): void {
    const { stripe, zamp, bank } = this.world;
    for (const provider of [stripe, zamp]) {
      for (const { id, says, refundId, payment } of provider.refunds) {
        const notice = { about: 'refund', providerRefundId: id, refundId, payment, claim: null } as const;
        this.post(provider.provider, `${provider.provider} ${id}`, says, notice);
      }
    }
    for (const { id, payment, status, stage, movements, answers } of bank.disputes) {
      const state = `${status} ${stage} ${movements.length} ${answers.length}`;
      this.post('stripe', id, state, { about: 'dispute', providerDisputeId: id, payment });
    }
  }

  private post(provider: string, about: string, state: string, notice: Notice): void {
    if (this.seen.get(about) === state) return;
    this.seen.set(about, state);
    const number = (this.letterCount += 1);
    this.letters.push({ provider, id: `n-${number}`, number, about, notice });
  }

  private async mail(lossless = false): Promise<void> {
    const [letter] = this.letters.splice(this.chance.upTo(this.letters.length), 1);
    if (letter === undefined) return;
    const fate = lossless ? 'arrives' : this.chance.one(['arrives', 'arrives', 'is lost', 'comes twice'] as const);
    if (fate === 'arrives') this.world.count(`webhook: ${fate}`);
    else this.world.fault(`webhook: ${fate}`);
    this.say(`webhook ${letter.id} of ${letter.provider} ${fate}`);
    if (fate === 'is lost') return;
    const { notice } = letter;
    if (notice.about === 'refund' && notice.refundId !== null && !this.world.isKnown(notice.refundId))
      this.world.fault('webhook: comes before the answer');
    if (this.letters.some((other) => other.about === letter.about && other.number < letter.number))
      this.world.fault('webhook: overtakes another');
    await this.world.deliver(letter.provider, letter.id, letter.notice);
    if (fate === 'comes twice') this.letters.push(letter);
  }

  private bank(): void {
    const { stripe, zamp } = this.world;
    stripe.firstSays = this.chance.one(['succeeded', 'pending', 'requires_action']);
    zamp.firstSays = this.chance.one(['succeeded', 'pending']);
    const [provider, refund] = this.chance.one([
      [stripe, this.some(stripe.refunds)],
      [zamp, this.some(zamp.refunds)],
    ] as const);
    if (refund === undefined || refund.says === 'failed' || refund.says === 'canceled') return;
    const open = provider === stripe ? (['succeeded', 'failed', 'canceled'] as const) : (['succeeded', 'failed'] as const);
    const says = refund.says === 'succeeded' ? 'failed' : this.chance.one(open);
    // Zamp's successes are final.
    if (refund.says === 'succeeded' && provider === zamp) return;
    this.world.fault(`bank: ${refund.says} then ${says}`);
    this.say(`bank: ${provider.provider} ${refund.id} ${says}`);
    provider.bankSays(refund.id, says);
  }

  private some(refunds: readonly BookedRefund[]): BookedRefund | undefined {
    return refunds.length === 0 ? undefined : this.chance.one(refunds);
  }

  private die(): void {
    const victim = this.chance.one(this.processes);
    this.world.fault('process: killed');
    this.say(`${victim.name} is killed`);
    victim.isDead = true;
    const another = this.world.start(victim.name.split('-')[0] ?? 'worker');
    this.processes = this.processes.map((each) => (each === victim ? another : each));
  }

  private freezeOrThaw(): void {
    const frozen = this.processes.filter(({ isFrozen }) => isFrozen);
    const victim = this.chance.one(frozen.length > 0 && this.chance.isIn(0.6) ? frozen : this.processes);
    victim.isFrozen = !victim.isFrozen;
    if (victim.isFrozen) this.world.fault('process: frozen');
    else this.world.count('process: thawed');
    this.say(`${victim.name} ${victim.isFrozen ? 'freezes' : 'goes on'}`);
  }

  private dashboard(): void {
    const payment = this.chance.one(['pi_1', 'pi_2', 'pi_3']);
    const left = (this.captured.get(payment) ?? 0n) - this.world.stripe.sentBack(payment);
    const amount = BigInt(1 + this.chance.upTo(500));
    if (amount > left) return;
    this.world.fault('dashboard: refund');
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
      const dueBy = this.world.stores.later((1 + this.chance.upTo(8 * 24)) * hour);
      bank.open(payment, money, { stage: this.chance.one(['inquiry', 'chargeback']), dueBy });
    } else if (open === undefined) return;
    else if (what === 'answers' && open.status === 'needs_response') bank.answerElsewhere(open.id);
    else if (what === 'wins') bank.win(open.id);
    else if (what === 'loses') bank.lose(open.id);
    else if (what === 'escalates' && open.stage === 'inquiry') bank.moveTo(open.id, 'chargeback');
    else if (what === 'escalates' && open.stage === 'chargeback' && open.status === 'lost') bank.moveTo(open.id, 'appeal');
    else return;
    this.world.fault(`dispute: ${what}`);
    this.say(`bank: a dispute ${what}`);
  }

  /** No more trouble: everything works, arrives and gets decided. */
  private async heal(): Promise<void> {
    const { world } = this;
    world.troubles = { ...healthy };
    this.say('all is healed');
    world.awayUntil.clear();
    this.clockwork.skewMs = 0;
    for (const process of this.processes) process.isFrozen = false;
    if (this.chance.isIn(0.5)) {
      for (const process of this.processes) process.isDead = true;
      this.processes = this.processes.map(({ name }) => world.start(name.split('-')[0] ?? 'worker'));
    }
    // What was asked for before comes first, tries that wait for their moment too, or it would undo what follows.
    for (const waits of [0, minute]) {
      await world.pass(waits);
      while ((await this.clockwork.next()) !== null) this.steps += 1;
    }
    await this.cleanUp();
    for (const provider of [world.stripe, world.zamp]) {
      provider.firstSays = 'succeeded';
      for (const { id, says } of provider.refunds)
        if (says === 'pending' || says === 'requires_action') provider.bankSays(id, 'succeeded');
    }
    this.watch();
    while (this.letters.length > 0) await this.mail(true);
    await this.settle();
    if (!this.chance.isIn(0.5)) return;
    await this.findOut();
    await this.settle();
  }

  /** What nobody can tell is found out by people, who look at the provider's books. */
  private async findOut(): Promise<void> {
    const { stores, stripe, zamp } = this.world;
    const door = this.someDoor();
    if (door === null) throw new Error('there is no door');
    for (const { refund } of stores.refunds.where((each) => each.refund.attention === 'outcome_unknown')) {
      const { refunds } = refund.provider === 'stripe' ? stripe : zamp;
      const booked = refunds.findLast((each) => each.refundId === refund.id && each.attempt === refund.attempt);
      const isPaid = booked?.says === 'succeeded';
      const found = booked === undefined ? 'not_created' : isPaid ? 'succeeded' : 'failed';
      if (booked === undefined) this.notThere.add(refund.id);
      const named = booked === undefined ? {} : { providerRefundId: booked.id };
      this.say(`on call: ${refund.id} is ${found}`);
      this.world.count(`on call: found out, ${found}`);
      const key = `f-${(this.keys += 1)}`;
      const body = { refundId: refund.id, outcome: found, reason: 'A look at the books', ...named } as RefundCommand;
      const uuid = commandId('default', 'http', 'shop', key);
      this.ask({ type: 'redress.ResolveRefund.v1', uuid, key, body, ...byShop }, () => undefined);
    }
    while ((await this.clockwork.next()) !== null) this.steps += 1;
  }

  /** Goes on until nothing has come to pass for longer than any sweep waits. */
  private async settle(): Promise<void> {
    const { world } = this;
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

  /** Whoever is on call lets everything go on. */
  private async cleanUp(): Promise<void> {
    const door = this.someDoor();
    if (door === null) throw new Error('there is no door');
    const { upkeep } = door;
    const account = null;
    const work = [null, 'stripe', 'zamp'].map(async (provider) => {
      await upkeep.throwSwitch({ provider, account, paused: false, reason: 'Healed', by: 'ann' });
      await upkeep.resume({ provider, account }, { source: 'ann', key: `u-${(this.keys += 1)}` });
    });
    const ended = Promise.all(work).then(() => true);
    while ((await this.clockwork.next()) !== null);
    await ended;
    for (const worker of this.workers) this.world.begin(worker, 'sweeps');
  }

  /** Everything that can be done now; false where that was nothing. */
  private async round(): Promise<boolean> {
    let went = 0;
    for (const worker of this.workers) {
      for (const name of ['operations', 'renew', 'deliveries', 'deadlines', 'seal'] as const) this.world.begin(worker, name);
      for (const topic of relayed) if (!this.isCarried(topic)) this.world.carry(worker, topic);
      for (const topic of taken)
        for (let partition = 0; partition < partitions; partition += 1) this.world.take(worker, topic, partition);
    }
    const before = this.world.stores.events.all().length;
    while ((await this.clockwork.next()) !== null) went += 1;
    this.steps += went;
    this.watch();
    while (this.letters.length > 0) await this.mail(true);
    return this.world.stores.events.all().length > before;
  }

  private isSettled(): boolean {
    const isRead = this.unread().length === 0;
    const { stores } = this.world;
    const isSealed = stores.events.all().length === stores.sealed;
    // A policy may have decided a moment ago.
    const isAnswered = stores.disputes.disputes
      .all()
      .every(
        ({ status, attention, decision }) =>
          status !== 'needs_response' || attention !== null || (decision?.state ?? 'done') === 'done',
      );
    return isRead && isSealed && isAnswered && relayed.every((topic) => this.isCarried(topic));
  }

  private isCarried(topic: string): boolean {
    const carried = Number(this.world.stores.topicCursors.get(topic)?.position ?? 0n);
    return !this.world.stores.events.all().some((entry, index) => index >= carried && entry.topic === topic);
  }

  private unread(): string[] {
    return [...this.world.logs].flatMap(([topic, partitioned]) =>
      partitioned.flatMap((records, partition) => {
        const next = this.world.stores.marks.get(`default:redress:${topic}:${partition}`) ?? 0n;
        return next < BigInt(records.length) ? [`${topic}[${partition}] was not read to its end`] : [];
      }),
    );
  }

  private async end(): Promise<string[]> {
    const { world } = this;
    const { stores, stripe, zamp } = world;
    const sealed = await stores.log.page(0n, Number.MAX_SAFE_INTEGER, {});
    const told = sealed.map(({ id, topic, type, subject, paymentKey: payment, sequence, data }) => {
      const { commandId: command = null, code = null, refund = null } = JSON.parse(data) as Data;
      return { id, topic, type, subject, payment, sequence, commandId: command, code, refund };
    });
    const books = [stripe, zamp].flatMap(({ provider, refunds }) =>
      refunds.map(({ id, refundId, payment, amount, says }) => {
        return { provider, id, refundId, payment, amount, says, stands: says !== 'failed' && says !== 'canceled' };
      }),
    );
    const refunds = stores.refunds.all().map(({ refund }) => {
      const { id, status, providerRefundId, provider, paymentKey: payment, amount, origin, attention } = refund;
      world.count(`refund: ${status}`);
      if (attention !== null) world.count(`attention: ${attention}`);
      return { id, status, providerRefundId, provider, payment, amount, origin, attention };
    });
    for (const { stage, status } of stores.disputes.disputes.all()) world.count(`dispute: ${stage} ${status}`);
    for (const { kind, state } of stores.operations.all()) world.count(`operation: ${kind} ${state}`);
    const events = relayed.filter((topic) => !topic.endsWith('.dlq'));
    const published = events.flatMap((topic) =>
      world.kafka.committed(topic).map((records) => ({
        topic,
        ids: records.flatMap(({ headers }) => (headers['ce_id'] === undefined ? [] : [String(headers['ce_id'])])),
      })),
    );
    const cases = world.bank.disputes.map((dispute) => {
      const { id, stage, status, answers, closedAt, payment } = dispute;
      const ours = answers.filter(({ key }) => key !== null);
      return {
        id,
        stage,
        status,
        answeredAt: ours.map((each) => each.stage),
        givenUpAt: closedAt,
        payment,
        held: outstanding(dispute),
      };
    });
    const keptCases = stores.disputes.disputes.all().map(({ providerDisputeId, stage, status, attention, decision }) => {
      if (decision !== null) world.count(`decision: ${decision.kind} ${decision.state}`);
      if (attention !== null) world.count(`dispute attention: ${attention}`);
      return { id: providerDisputeId, stage, status, attention, decision: decision?.state ?? null };
    });
    const lettersOut = relayed
      .filter((topic) => topic.endsWith('.dlq'))
      .flatMap((topic) =>
        world.kafka
          .committed(topic)
          .flatMap((records) =>
            records.map(({ headers }) =>
              ['topic', 'partition', 'offset'].map((each) => String(headers[`redress_${each}`])).join(),
            ),
          ),
      );
    const { policy } = world;
    const story: Story = {
      deeds: this.deeds,
      books,
      unmade: new Set([...stripe.refusals, ...zamp.refusals, ...this.notThere]),
      captured: this.captured,
      told,
      refunds,
      published,
      cases,
      keptCases,
      balances: stores.payments.all(),
      hasPolicy: policy.fileAtDeadline || Object.keys(policy.acceptBelow).length > 0,
      senseless: this.senseless,
      letters: stores.deadLetters.all().length,
      lettersOut: new Set(lettersOut).size,
    };
    return [...judge(story), ...this.unread()];
  }
}

const rounds = [
  'operations',
  'operations',
  'operations',
  'renew',
  'deliveries',
  'deadlines',
  'seal',
  'take',
  'take',
  'sweeps',
  'carry',
  'carry',
] as const;

const rarely = ['Accept', 'LetPass', 'Sync', 'Acknowledge'] as const;
const disputeTypes = {
  Submit: 'redress.SubmitEvidence.v1',
  Accept: 'redress.AcceptDispute.v1',
  LetPass: 'redress.LetDisputePass.v1',
  Sync: 'redress.SyncDispute.v1',
  Acknowledge: 'redress.AcknowledgeDispute.v1',
} as const satisfies Record<string, DisputeCommandType>;

interface Data {
  readonly commandId?: string;
  readonly code?: string;
  readonly refund?: { readonly id: string; readonly status: string };
}

function headersOf(type: string, key: string): Record<string, Buffer> {
  const headers = { ce_specversion: '1.0', ce_id: key, ce_source: 'shop', ce_type: type, 'content-type': 'application/json' };
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, Buffer.from(value)]));
}

const byShop = { account: 'default', door: 'http', source: 'shop', correlationId: null, traceparent: null } as const;
