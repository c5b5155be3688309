/*
 * A story of refunds whose webhooks misbehave, all of it chosen by a seed: payments at both providers, commands, clicks in dashboards,
 * what banks say later, and what becomes of each webhook. In the end Redress must agree with the providers' books, and every delivery
 * must have the disposition that its misbehaviour deserves.
 */
import { beginSweeps } from '#application/sweeps';
import assert from 'node:assert/strict';
import { Chance, misbehaviours, noticeIdOf, type Fate, type Plan } from './webhook-lies.js';
import type { BookedRefund, Letter, Provider, Rig } from './webhook-rig.js';

/** What a bank may still say of a refund. docs.stripe.com/refunds; of Zamp's nothing comes after success that its documents name. */
const saysNext: Readonly<Record<Provider, Readonly<Record<string, readonly string[]>>>> = {
  stripe: {
    pending: ['succeeded', 'failed'],
    requires_action: ['failed', 'canceled'],
    succeeded: ['failed', 'requires_action'],
  },
  zamp: { initiated: ['in_process', 'succeeded', 'failed'], in_process: ['succeeded', 'failed'] },
};

/** What we must say of a refund that a provider says this of: a failure after a success is a reversal, if we had seen the success. */
const agrees: Readonly<Record<string, readonly string[]>> = {
  initiated: ['pending'],
  in_process: ['pending'],
  pending: ['pending'],
  requires_action: ['requires_action'],
  succeeded: ['succeeded'],
  failed: ['failed', 'reversed'],
  canceled: ['canceled', 'reversed'],
};

interface Held {
  readonly plan: Plan;
  readonly how: string;
  /** The refund it tells of, and when that was: in which round of the post. */
  readonly refund: string | null;
  readonly round: number;
}

interface Made {
  readonly how: string;
  readonly allowed: readonly string[];
}

export class Mix {
  readonly story: string[] = [];
  /** The misbehaviours that were seen, and how many refunds stood right by webhooks alone. */
  readonly ways = new Set<string>();
  rightAtOnce = 0;
  private readonly chance: Chance;
  private readonly payments: { provider: Provider; paymentId: string; chargeId: string }[] = [];
  private readonly commands: string[] = [];
  private readonly ofOthers = new Set<string>();
  private readonly held: Held[] = [];
  private readonly made: Made[] = [];
  private readonly seen = new Set<string>();
  private foreign = 0;
  private round = 0;
  /** When each refund at a provider changed last, and whether a believable word of that has reached us since. */
  private readonly changed = new Map<string, number>();
  private readonly told = new Set<string>();

  constructor(
    private readonly rig: Rig,
    readonly seed: number,
    private readonly without: ReadonlySet<string> = new Set(),
  ) {
    this.chance = new Chance(seed);
  }

  async play(): Promise<void> {
    await this.rig.reset();
    const before = (await this.rig.deliveries()).length;
    const { chance } = this;
    for (let left = 2 + chance.below(2); left > 0; left -= 1) await this.pay(chance.oneOf(['stripe', 'stripe', 'zamp']));
    for (let left = 7 + chance.below(5); left > 0; left -= 1) await this.step();
    // On the first day the last changes come by themselves, and on the second the last letters.
    for (let day = 1; day <= 2; day += 1) {
      await this.handOut('later');
      await this.rig.service.work();
      await this.pass(86_400);
    }
    await this.handOut('later');
    await this.handOut('next day');
    await this.rig.service.work();
    assert.deepEqual(this.held, [], 'every letter was delivered');
    const told = (await this.booked()).filter(({ id }) => this.told.has(id));
    await this.compare(told);
    this.rightAtOnce = told.length;
    await this.catchUp();
    await this.compare(await this.booked());
    await this.compareSums();
    this.judge((await this.rig.deliveries()).slice(before));
  }

  private async pay(provider: Provider): Promise<void> {
    const methods = ['pm_card_visa', 'pm_card_visa', 'pm_card_pendingRefund', 'pm_card_refundFail', 'pm_bank_transfer'];
    const paymentMethod = provider === 'stripe' ? { paymentMethod: this.chance.oneOf(methods) } : {};
    this.payments.push(await this.rig.pay({ provider, ...paymentMethod }));
    this.tell(`a payment at ${provider} ${paymentMethod.paymentMethod ?? ''}`);
  }

  private async step(): Promise<void> {
    const { chance } = this;
    const what = chance.oneOf(['ask', 'ask', 'ask', 'dashboard', 'bank', 'bank', 'reference', 'pass', 'others']);
    if (what === 'ask') await this.ask();
    if (what === 'dashboard') await this.click();
    if (what === 'bank') await this.bankSays();
    if (what === 'reference') await this.reference();
    if (what === 'pass') await this.pass(chance.oneOf([20, 1_900, 4_000]));
    if (what === 'others' && !this.without.has('of another merchant')) await this.refundOfOthers();
    await this.post();
    if (chance.happens(0.3)) await this.handOut('later');
    if (chance.happens(0.7)) await this.rig.service.work();
    await this.post();
  }

  private async ask(): Promise<void> {
    const { provider, paymentId, chargeId } = this.chance.oneOf(this.payments);
    const amount = 100 + this.chance.below(2_000);
    const overtakes = this.chance.happens(0.25);
    if (overtakes) {
      await this.rig.overtakeAnswer(provider, (letter) => {
        this.note(`${subjectOf(letter)}: before the answer to our call`, 'news', letter);
        this.tell('a webhook overtakes the answer');
        this.heard(this.changes(letter), this.round);
        this.ways.add(`${provider}: before the answer`);
      });
    }
    this.commands.push(await this.rig.refund(provider, this.chance.oneOf([paymentId, chargeId]), amount));
    this.tell(`we are asked to refund ${amount} at ${provider}`);
    if (overtakes) await this.rig.service.work();
  }

  private async click(): Promise<void> {
    const { provider, paymentId } = this.chance.oneOf(this.payments);
    const amount = 100 + this.chance.below(900);
    // Stripe refuses when too little is left, and then there is nothing to tell.
    const clicked = await this.rig.control('dashboard-refunds', { paymentId, amount }).catch(() => null);
    this.tell(`somebody refunds ${amount} in the dashboard of ${provider}${clicked === null ? ', in vain' : ''}`);
  }

  private async bankSays(): Promise<void> {
    const open = (await this.rig.booked()).filter((each) => this.next(each).length > 0);
    if (open.length === 0) return;
    const refund = this.chance.oneOf(open);
    const status = this.chance.oneOf(this.next(refund));
    await this.rig.control(`refunds/${refund.id}`, { status });
    this.tell(`the bank says ${status} of a refund at ${refund.provider} that was ${refund.status}`);
  }

  private next({ id, provider, status }: BookedRefund): readonly string[] {
    return this.ofOthers.has(id) ? [] : (saysNext[provider][status] ?? []);
  }

  private async reference(): Promise<void> {
    const sent = (await this.rig.booked()).filter(({ provider, status }) => provider === 'stripe' && status === 'succeeded');
    if (sent.length === 0) return;
    await this.rig.control(`refunds/${this.chance.oneOf(sent).id}`, { reference: `7420${this.chance.below(1e9)}` });
    this.tell("a bank's reference becomes known");
  }

  private async refundOfOthers(): Promise<void> {
    const { paymentId } = await this.rig.pay({ provider: 'zamp', merchantId: 'somebody' });
    const { refundId = '' } = await this.rig.control('dashboard-refunds', { paymentId, amount: 500 });
    this.ofOthers.add(refundId);
    this.tell('another merchant refunds at zamp');
  }

  private async pass(seconds: number): Promise<void> {
    await this.rig.advance(seconds);
    this.tell(`${seconds} s go by`);
    await this.post();
  }

  /** What the simulators have sent meanwhile meets its fate. */
  private async post(): Promise<void> {
    const plans: Held[] = [];
    this.round += 1;
    for (const letter of await this.rig.collect()) {
      const refund = this.changes(letter);
      const ways = Object.entries(misbehaviours[letter.provider]).filter(([how]) => !this.without.has(how));
      const [how, misbehave] = this.chance.oneOf(ways);
      const planned = misbehave(letter, this.chance);
      this.ways.add(`${letter.provider}: ${how}`);
      // Zamp lists nothing: what somebody else made there is known by its webhooks or not at all.
      const only =
        letter.provider === 'zamp' && !planned.some(({ fate }) => fate === 'news') && /"reference_id":""/.test(letter.body);
      const [, asItShould] = ways[0] ?? [];
      const all = only ? [...planned, ...(asItShould?.(letter, this.chance) ?? [])] : planned;
      this.tell(`${subjectOf(letter)}: ${how}${only ? ', but once more' : ''}`);
      plans.push(...all.map((plan) => ({ plan, how: `${subjectOf(letter)}: ${how}`, refund, round: this.round })));
    }
    for (const each of this.chance.shuffled(plans)) {
      if (each.plan.when === 'now') await this.deliver(each);
      else this.held.push(each);
    }
  }

  private async handOut(when: Plan['when']): Promise<void> {
    for (const each of this.chance.shuffled(this.held.splice(0))) {
      if (each.plan.when === when) await this.deliver(each);
      else this.held.push(each);
    }
  }

  /** A letter that is on its way tells of a change; what was heard before is old. */
  private changes(letter: Letter): string | null {
    const { transaction_id: zamp, data } = JSON.parse(letter.body) as {
      transaction_id?: string;
      data: { object?: { id: string; object: string } };
    };
    const refund = zamp ?? (data.object?.object === 'refund' ? data.object.id : null);
    if (refund === null) return null;
    this.changed.set(refund, this.round);
    this.told.delete(refund);
    return refund;
  }

  private heard(refund: string | null, round: number): void {
    if (refund !== null && this.changed.get(refund) === round) this.told.add(refund);
  }

  private async deliver({ plan, how, refund, round }: Held): Promise<void> {
    const letter = plan.write(this.rig.service.now());
    this.note(how, plan.fate, letter);
    const status = await this.rig.deliver(letter);
    assert.equal(status, plan.fate === 'rejected' ? 400 : 200, `${how}: answered ${status}`);
    if (plan.fate === 'news') this.heard(refund, round);
  }

  private note(how: string, fate: Fate, letter: Letter): void {
    this.made.push({ how, allowed: this.allowed(fate, letter) });
  }

  private allowed(fate: Fate, letter: Letter): readonly string[] {
    if (fate !== 'news') return [fate];
    const id = noticeIdOf(letter);
    if (this.seen.has(id)) return ['duplicate'];
    this.seen.add(id);
    if (![...this.ofOthers].some((each) => letter.body.includes(each))) return ['applied', 'stale'];
    this.foreign += 1;
    return ['foreign'];
  }

  /** What lost webhooks would have told is learned by looking: accounts are swept, and where nothing can be listed refunds are asked after. */
  private async catchUp(): Promise<void> {
    const { service } = this.rig;
    await beginSweeps(service.book, service.providers);
    await this.rig.advance(16 * 60);
    await service.work();
    for (const { id, provider } of await this.rig.booked()) {
      const known = provider === 'zamp' ? await this.rig.called(provider, id) : undefined;
      if (known !== undefined) await this.rig.sync(known.id);
    }
    await service.work();
  }

  private async booked(): Promise<BookedRefund[]> {
    return (await this.rig.booked()).filter(({ id }) => !this.ofOthers.has(id));
  }

  private async compare(booked: readonly BookedRefund[]): Promise<void> {
    for (const { id, provider, amount, status, refundId } of booked) {
      const known = await this.rig.called(provider, id);
      assert(known !== undefined, `refund ${id} of ${amount} at ${provider} is not known to us`);
      const what = `refund ${id} at ${provider} is ${status} there and ${known.status} here`;
      assert(agrees[status]?.includes(known.status), what);
      assert.equal(known.amount, BigInt(amount), what);
      assert.equal(known.origin, refundId === null ? 'discovered' : 'command', what);
      if (refundId !== null) assert.equal(known.id, refundId, what);
      assert(known.attention === null || known.attention === 'late_reversal', `${what}, with ${known.attention}`);
      assert.equal(known.actionRequired !== null, known.status === 'requires_action', what);
    }
  }

  private async compareSums(): Promise<void> {
    const booked = await this.booked();
    for (const id of this.ofOthers) assert.equal(await this.rig.called('zamp', id), undefined, 'a refund of others became ours');
    for (const command of this.commands) {
      const mine = booked.filter(({ refundId }) => refundId === command);
      const status = (await this.rig.of(command))?.status;
      assert.equal(
        mine.length,
        status === 'rejected' ? 0 : 1,
        `a command whose refund is ${status} moved money ${mine.length} times`,
      );
    }
    for (const { provider, paymentId } of this.payments) {
      const out = booked.filter((each) => each.paymentId === paymentId && !['failed', 'canceled'].includes(each.status));
      const { captured, reserved, refunded, waiting, readAt } = await this.rig.payment(provider, paymentId);
      const sum = out.reduce((total, { amount }) => total + BigInt(amount), 0n);
      // Nobody asked for anything of a payment that was never read.
      const paid = readAt === null ? 0n : 10_000n;
      assert.deepEqual({ captured, out: reserved + refunded, waiting }, { captured: paid, out: sum, waiting: 0 }, paymentId);
    }
  }

  private judge(deliveries: readonly { disposition: string | null; detail: string | null }[]): void {
    assert.equal(deliveries.length, this.made.length, 'as many deliveries are kept as were made');
    for (const [index, { how, allowed }] of this.made.entries()) {
      const { disposition = null, detail = null } = deliveries[index] ?? {};
      assert(allowed.includes(String(disposition)), `${how}: ${disposition} (${detail}) instead of ${allowed.join(' or ')}`);
      assert(detail !== null && detail !== '', `${how}: ${disposition} without a word`);
    }
    const { alarms } = this.rig.service;
    const unexpected = alarms.filter((each) => !each.includes('of another merchant'));
    assert.deepEqual(unexpected, [], 'nobody had to be called');
    assert(
      alarms.length >= (this.foreign > 0 && !this.without.has('of another merchant') ? 1 : 0),
      'somebody was told of the foreign ones',
    );
    alarms.length = 0;
  }

  private tell(line: string): void {
    this.story.push(line);
  }
}

function subjectOf({ provider, body }: Letter): string {
  const {
    type,
    transaction_type: zamp,
    data,
  } = JSON.parse(body) as { type?: string; transaction_type?: string; data?: { status?: string } };
  return `${provider} ${type ?? `${zamp} ${data?.status}`}`;
}

/** All misbehaviours by the names that `ways` has them under. */
export const allWays = Object.entries(misbehaviours).flatMap(([provider, ways]) =>
  Object.keys(ways).map((how) => `${provider}: ${how}`),
);

/** Plays a mix; what goes wrong is told with the seed that brings it back, and with the story so far. */
export async function playMix(rig: Rig, seed: number, without?: ReadonlySet<string>): Promise<Mix> {
  const mix = new Mix(rig, seed, without);
  try {
    await mix.play();
    return mix;
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    const story = mix.story.map((line) => `  ${line}`).join('\n');
    throw new Error(`WEBHOOK_SEED=${seed} brings this back: ${why}\n${story}`, { cause: error });
  }
}
