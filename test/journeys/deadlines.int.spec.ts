/*
 * Forty days of disputes, in steps of a few hours, on the one clock of service and simulators: banks open them at random, people decide on
 * some, webhooks get lost, the provider breaks, and now and then nobody is at work at all. No deadline passes in silence: each dispute
 * has a recorded decision before it, or an alarm.
 */
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import type { Dispute } from '#domain/dispute/dispute';
import { Rig } from './webhook-rig.js';

// A real adapter and simulators over HTTP for weeks of simulated time; how long it takes says nothing.
jest.setTimeout(600_000);

const hour = 3_600;
const days = 40;
const stepHours = 8;

/** The same numbers for the same seed, so that a story can be told again. */
function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

interface Opened {
  readonly disputeId: string;
  readonly dueAt: Date;
}

class Months {
  readonly opened: Opened[] = [];
  outages = 0;
  /** Steps for which nobody works yet. */
  private away = 0;

  /** A stream of chance for each, so that what one does leaves the others as they are. */
  private readonly chance: Readonly<Record<'banks' | 'breaks' | 'post' | 'people', () => number>>;

  constructor(
    private readonly rig: Rig,
    seed: number,
  ) {
    const streams = ['banks', 'breaks', 'post', 'people'] as const;
    this.chance = Object.fromEntries(streams.map((name, at) => [name, randomFrom(seed + at)])) as typeof this.chance;
  }

  async live(): Promise<void> {
    for (let step = 0; step < (days * 24) / stepHours; step += 1) {
      if (step < 60) await this.banksOpenSome();
      await this.somethingBreaks();
      await this.rig.advance(stepHours * hour);
      await this.letters();
      if (this.away > 0) {
        this.away -= 1;
        continue;
      }
      await this.rig.service.work();
      await this.peopleDecide();
      await this.rig.service.work();
    }
  }

  private async banksOpenSome(): Promise<void> {
    for (let more = Math.floor(this.chance.banks() * 8); more > 0; more -= 1) {
      const { paymentId } = await this.rig.pay({ provider: 'stripe' });
      const dueInSeconds = Math.floor((5 + this.chance.banks() * 16) * 24 * hour);
      const stage = this.chance.banks() < 0.2 ? 'inquiry' : 'chargeback';
      const { disputeId = '' } = await this.rig.control('disputes', { paymentId, stage, dueInSeconds });
      this.opened.push({ disputeId, dueAt: new Date(this.rig.service.now().getTime() + dueInSeconds * 1_000) });
    }
  }

  private async somethingBreaks(): Promise<void> {
    const what = this.chance.breaks();
    if (what < 0.06) {
      this.outages += 1;
      this.away = 1 + Math.floor(this.chance.breaks() * 3);
    } else if (what < 0.2) {
      this.outages += 1;
      const calls = ['disputes.retrieve', 'disputes.list', 'disputes.update', 'disputes.close'] as const;
      const call = calls[Math.floor(this.chance.breaks() * calls.length)];
      await this.rig.control('faults', { provider: 'stripe', call, fault: 'status_500', times: 3 });
    }
  }

  /** Half of all webhooks are lost. */
  private async letters(): Promise<void> {
    for (const letter of await this.rig.collect()) if (this.chance.post() < 0.5) await this.rig.deliver(letter);
  }

  private async peopleDecide(): Promise<void> {
    for (const { disputeId } of this.opened) {
      if (this.chance.people() > 0.02) continue;
      const dispute = await this.rig.disputeCalled(disputeId);
      if (dispute?.status !== 'needs_response' || dispute.decision !== null) continue;
      const choice = this.chance.people();
      if (choice < 0.5) await this.rig.submitSomething(dispute.id);
      else if (choice < 0.75) await this.rig.decideOn('redress.AcceptDispute.v1', { disputeId: dispute.id, confirm: true });
      else await this.rig.decideOn('redress.LetDisputePass.v1', { disputeId: dispute.id, reason: 'small' });
    }
  }
}

describe('Forty days of disputes', () => {
  let rig: Rig;
  beforeAll(async () => {
    rig = await Rig.inMemory();
    await rig.beginSweeps();
  });
  afterAll(() => rig.close());

  const seed = Number(process.env['DEADLINE_SEED'] ?? 20_261_122);

  it(`leave no deadline to pass in silence (DEADLINE_SEED=${seed} tells it again)`, async () => {
    const months = new Months(rig, seed);
    await months.live();
    const silent: string[] = [];
    const counts = { decided: 0, alarmed: 0, missed: 0 };
    for (const { disputeId, dueAt } of months.opened) {
      const dispute: Dispute | undefined = await rig.disputeCalled(disputeId);
      if (dispute === undefined) {
        silent.push(`${disputeId} is not known`);
        continue;
      }
      const told = await rig.service.told(dispute.id);
      const before = told.filter(({ at }) => at <= dueAt).map(({ type }) => type);
      // What was decided about an inquiry is over when it comes to be a chargeback, and was in time all the same.
      const isRecorded = dispute.decision !== null && dispute.decision.at <= dueAt;
      const decided = isRecorded || before.some((type) => ['let_pass', 'evidence_submitted', 'accepted'].includes(type));
      const alarmed = before.includes('deadline_approaching') || before.includes('deadline_missed');
      if (before.includes('deadline_missed')) counts.missed += 1;
      if (decided) counts.decided += 1;
      else if (alarmed) counts.alarmed += 1;
      else
        silent.push(
          `${disputeId} due ${dueAt.toISOString()}: ${told.map(({ type, at }) => `${type} ${at.toISOString()}`).join(', ')}`,
        );
    }
    process.stdout.write(
      `${months.opened.length} disputes, ${months.outages} outages: ${counts.decided} decided in time, ` +
        `${counts.alarmed} undecided with an alarm before, ${counts.missed} told as missed\n`,
    );
    expect(silent).toEqual([]);
    expect(rig.service.alarms.filter((alarm) => alarm.includes('could not be recorded'))).toEqual([]);
    expect(months.opened.length).toBeGreaterThan(200);
    expect(months.outages).toBeGreaterThan(10);
    expect(Math.min(counts.decided, counts.alarmed, counts.missed)).toBeGreaterThan(10);
  });
});
