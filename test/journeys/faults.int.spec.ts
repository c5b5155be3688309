/*
 * Every fault between a command and its end, at both providers: the provider's books have one refund, and ours say what became of it. Where
 * nobody can know (Zamp neither lists refunds nor answers a key twice), the refund waits for a person with the facts laid out.
 *
 * A round plays all faults on payments of their own in one running system, kills the worker once, with payments at each point between the
 * first commit and the report, and then heals. From the fault on until then the gate keeps each payment's provider out of reach.
 */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { commandId, refundIdOf } from '#application/names';
import type { Refund } from '#contracts/refund-events';
import { describeWithDatabase, describeWithKafka } from '../environment.js';
import { Gate, type FirstSend, type Webhooks } from './gate.js';
import { System, type BookedRefund } from './system.js';

jest.setTimeout(240_000);

const providers = ['stripe', 'zamp'] as const;

/** Faults of a call: those of the simulators by their name there, those of the worker by where it is killed. */
const faults: readonly Fault[] = [
  { name: 'answer dropped after the work (F19)', simulated: 'drop_answer', worked: true },
  { name: '500 saved (F20)', simulated: 'status_500_saved', worked: true },
  { name: '500 not saved', simulated: 'status_500', worked: false },
  { name: '429 (F24)', simulated: 'status_429', worked: false },
  { name: 'socket closed', simulated: 'close_socket', worked: false },
  { name: 'answer dripping for a minute (F24)', simulated: 'drip', delayMs: 60_000, worked: true },
  { name: 'delay past the deadline (F19)', simulated: 'delay', delayMs: 7_000, worked: true },
  { name: 'worker killed before the first send is committed', kill: 'before the commit', worked: false },
  { name: 'worker killed before the call', kill: 'before the call', worked: false },
  { name: 'worker killed during the call', kill: 'during the call', worked: true },
  { name: 'worker killed after the call (F22)', kill: 'after the call', worked: true },
  { name: 'worker killed after the report', kill: 'after the report', worked: true },
];

type Kill = 'before the commit' | 'before the call' | 'during the call' | 'after the call' | 'after the report';

interface Fault {
  readonly name: string;
  readonly simulated?: string;
  readonly delayMs?: number;
  readonly kill?: Kill;
  /** Whether the provider has done the work by the time all is well again. */
  readonly worked: boolean;
}

const held: Readonly<Record<Kill, FirstSend>> = {
  'before the commit': 'passes',
  'before the call': 'held',
  'during the call': 'held',
  'after the call': 'answer_held',
  'after the report': 'answer_held',
};

/** Where a refund stands in our books when the worker dies. */
const stands: Readonly<Record<Kill, RegExp>> = {
  'before the commit': /^approved, never sent$/,
  'before the call': /^submitted, sent$/,
  'during the call': /^submitted, sent$/,
  'after the call': /^submitted, sent$/,
  'after the report': /^(pending|succeeded), sent$/,
};

interface Row {
  readonly provider: (typeof providers)[number];
  readonly fault: Fault;
  readonly webhooks: Webhooks;
  /** Whether the payment was refunded before, so that our facts of it are in the copy that is put back. */
  readonly known: boolean;
  readonly commandId: string;
  readonly refundId: string;
  paymentId: string;
  stood: string;
}

function rowsOf(webhooks: Webhooks, known = false): Row[] {
  return providers.flatMap((provider) =>
    faults.map((fault) => {
      const id = randomUUID();
      const refundId = refundIdOf(commandId('default', 'kafka', '/journey', id));
      return { provider, fault, webhooks, known, commandId: id, refundId, paymentId: '', stood: '' };
    }),
  );
}

const amount = 700;
const callSeconds = 5;
const hours = 3_600;

/** One system with its gate, and what the rounds do with it. */
class Round {
  private constructor(
    readonly system: System,
    readonly gate: Gate,
    readonly rows: readonly Row[],
  ) {}

  static async start(rows: readonly Row[]): Promise<Round> {
    const gate = await Gate.start();
    const env = {
      STRIPE_API_BASE: `${gate.url}/stripe`,
      ZAMP_API_BASE: `${gate.url}/zamp`,
      WEBHOOK_TARGET: gate.url,
      PROVIDER_CALL_TIMEOUT_SECONDS: String(callSeconds),
    };
    const system = await System.start({ env }).catch(async (error: unknown) => {
      await gate.stop();
      throw error;
    });
    gate.leadTo(system);
    const round = new Round(system, gate, rows);
    try {
      await round.prepare();
    } catch (error) {
      await round.stop();
      throw error;
    }
    return round;
  }

  private async prepare(): Promise<void> {
    const { system, gate, rows } = this;
    await system.session((client) => client.query(holdFirstSends));
    await Promise.all(rows.map((row) => this.pay(row)));
    const known = rows.filter((row) => row.known);
    await system.send(known.map((row) => ({ ...commandOf(row, 100), id: `before-${row.commandId}` })));
    await this.until(
      'those before are done',
      `select status = 'succeeded' as holds from refund where amount = 100`,
      known.length,
    );
    for (const { paymentId, fault, webhooks } of rows) {
      gate.plan(paymentId, fault.kill === undefined ? 'passes' : held[fault.kill], webhooks);
    }
  }

  async stop(): Promise<void> {
    // What is still dripping would keep the simulators from ending.
    await this.gate.stop();
    await this.system.stop();
  }

  /** Every payment's first send meets its fault; at the end there is no worker. */
  async play(): Promise<void> {
    for (const fault of faults.filter(({ simulated }) => simulated !== undefined)) await this.playSimulated(fault);
    await this.kill();
  }

  private async playSimulated(fault: Fault): Promise<void> {
    const rows = this.rows.filter((row) => row.fault === fault);
    const { simulated, delayMs = 0 } = fault;
    for (const provider of providers) {
      const times = rows.filter((row) => row.provider === provider).length;
      await this.system.control('faults', { provider, call: 'refunds.create', fault: simulated, times, delayMs });
    }
    await this.system.send(rows.map((row) => commandOf(row)));
    await this.system.until(`${fault.name} has met its payments`, () =>
      Promise.resolve(rows.every(({ paymentId }) => this.gate.hasReached(paymentId))),
    );
  }

  private async kill(): Promise<void> {
    const at = (...points: readonly Kill[]) =>
      this.rows.filter(({ fault: { kill } }) => kill !== undefined && points.includes(kill));
    const [uncommitted, reported] = [at('before the commit'), at('after the report')];
    const called = at('before the call', 'during the call', 'after the call', 'after the report');
    await this.system.session(async (lock) => {
      await lock.query('select pg_advisory_lock(1)');
      await lock.query('insert into held_send select unnest($1::text[])', [uncommitted.map(({ paymentId }) => paymentId)]);
      await this.system.send(called.map((row) => commandOf(row)));
      await this.system.until('the calls are held', () =>
        Promise.resolve(called.every(({ paymentId }) => this.gate.hasReached(paymentId))),
      );
      await this.system.send(uncommitted.map((row) => commandOf(row)));
      const stored = `select id from refund where id = any($1::uuid[])`;
      const waiting = `select from pg_locks where locktype = 'advisory' and not granted`;
      await this.system.until('all are stored, and a first send is about to be committed', async () => {
        const ids = [uncommitted.map(({ refundId }) => uuidOf(refundId))];
        if ((await lock.query(stored, ids)).rowCount !== uncommitted.length) return false;
        return ((await lock.query(waiting)).rowCount ?? 0) > 0;
      });
      for (const { paymentId } of reported) this.gate.letGo(paymentId);
      for (let open = reported.length; open > 0;) {
        const ids = [reported.map(({ refundId }) => uuidOf(refundId))];
        open = (await lock.query(`select from refund where id = any($1::uuid[]) and status = 'submitted'`, ids)).rowCount ?? 0;
      }
      await this.system.endPart('worker-1', 'SIGKILL');
      await lock.query('delete from held_send');
    });
    const stood = await this.stand();
    for (const row of this.rows) row.stood = stood.get(row.refundId) ?? '';
    for (const { paymentId } of this.rows) this.gate.shut(paymentId);
    const during = at('during the call');
    for (const { paymentId } of during) this.gate.letGo(paymentId);
    await this.system.until('the provider has done what it was told before', async () => {
      const { payments } = await this.system.books();
      return during.every((row) => payments.some((each) => each.paymentId === row.paymentId && each.refunds.some(isOurs)));
    });
  }

  /** The provider can be reached again. */
  heal(rows: readonly Row[] = this.rows): void {
    for (const { paymentId } of rows) this.gate.open(paymentId);
  }

  letWebhooksIn(rows: readonly Row[]): void {
    for (const { paymentId } of rows) this.gate.letWebhooksIn(paymentId);
  }

  /** The database as it was copied, and every part on it but the worker. Nobody notices: what is shown holds without a pause as well. */
  async restore(): Promise<void> {
    await this.system.stopParts();
    await this.system.forgetGroup();
    await this.system.restore();
    await this.system.startParts(false);
  }

  sendAgain(sentAt?: Date): Promise<void> {
    return this.system.send(this.rows.map((row) => ({ ...commandOf(row), ...(sentAt === undefined ? {} : { sentAt }) })));
  }

  /** Lets time go by until every refund has ended or waits for a person; what never does, its own test shows. */
  async settle(rows: readonly Row[] = this.rows): Promise<void> {
    const settled = `
      select status = 'succeeded' or (attention is not null and not exists (
        select from provider_operation o where o.refund_id = refund.id and o.state = 'open'
      )) as holds from refund where id = any($1::uuid[])`;
    const ids = [rows.map(({ refundId }) => uuidOf(refundId))];
    for (let step = 0; step < 30; step += 1) {
      const isSettled = await this.until('', settled, rows.length, ids, 1_500).then(
        () => true,
        () => false,
      );
      if (isSettled) return;
      await this.system.pass(step === 0 ? 31 : 301);
    }
  }

  /** How many records a statement finds to hold. */
  async until(what: string, statement: string, all: number, parameters: unknown[] = [], withinMs = 60_000): Promise<void> {
    const holds = async () => {
      const found = await this.system.query<{ holds: boolean }>(statement, parameters);
      return found.filter((each) => each.holds).length >= all;
    };
    await this.system.until(what, holds, withinMs);
  }

  private async pay(row: Row): Promise<void> {
    // A refund that is pending first, where no webhook tells when it no longer is.
    const paymentMethod = row.webhooks === 'lost' ? 'pm_card_pendingRefund' : 'pm_card_visa';
    const { provider } = row;
    const paid = await this.system.pay({ provider, amount: 10_000, ...(provider === 'stripe' ? { paymentMethod } : {}) });
    row.paymentId = paid.paymentId;
  }

  private async stand(): Promise<Map<string, string>> {
    const found = await this.system.query<{ id: string; stands: string }>(
      `select r.id, r.status || case when o.first_sent_at is null then ', never sent' else ', sent' end as stands
       from refund r join provider_operation o on o.refund_id = r.id and o.key is not null`,
    );
    return new Map(found.map(({ id, stands: where }) => [refundIdOf(id), where]));
  }
}

/** Holds the transaction that commits the first send of chosen payments, as long as somebody else has lock 1. */
const holdFirstSends = `
  create table held_send (payment text);
  create function hold_first_send() returns trigger language plpgsql as $$
  begin
    if old.first_sent_at is null and new.first_sent_at is not null
      and exists (select from held_send join payment on payment.name = held_send.payment where payment.key = new.payment_key)
    then
      perform pg_advisory_xact_lock(1);
    end if;
    return new;
  end $$;
  create trigger hold_first_send before update on provider_operation for each row when (new.kind = 'refund.send')
    execute function hold_first_send();`;

const uuidOf = (refundId: string) => refundId.slice('rf_'.length);

function commandOf({ provider, paymentId, commandId: id }: Row, sum = amount) {
  return { id, key: paymentId, data: { provider, paymentId, amount: sum, currency: 'USD' } };
}

const isOurs = (refund: BookedRefund) => refund.amount === amount;

/** What the provider has of a row's refund, whatever became of it. */
async function bookedOf({ system }: Round, { paymentId }: Row): Promise<BookedRefund[]> {
  const payment = (await system.books()).payments.find((each) => each.paymentId === paymentId);
  return (payment?.refunds ?? []).filter(isOurs);
}

/** One refund in the provider's books, and ours says the same of it. */
async function expectOneRefund(round: Round, row: Row): Promise<void> {
  const [booked, ...more] = await bookedOf(round, row);
  const refund = await round.system.refundOf(row.refundId);
  expect({ refund: refund.status, attention: refund.attention, booked: booked?.status, more }).toEqual({
    refund: 'succeeded',
    attention: null,
    booked: 'succeeded',
    more: [],
  });
  expect(refund).toMatchObject({ amount, currency: 'USD', origin: 'command', providerRefundId: booked?.id });
}

/** Nobody can know: a person is shown all that is known, and nothing more is sent. */
async function expectAPersonIsAsked(round: Round, row: Row, status: string, attention: string): Promise<void> {
  const booked = await bookedOf(round, row);
  expect(booked.length).toBeLessThanOrEqual(1);
  const refund = await round.system.refundOf(row.refundId);
  expect({ refund: refund.status, attention: refund.attention }).toEqual({ refund: status, attention });
  const item = (await attentionIn(round)).find((each) => each.refund?.id === row.refundId);
  expect(item).toMatchObject({ why: attention, refund: { paymentId: row.paymentId, amount, currency: 'USD', provider: 'zamp' } });
  if (status !== 'outcome_unknown') return;

  const key = `refund:${row.refundId}:1`;
  const { data } = (await round.system.call<{ data: Story[] }>('GET', `/v1/refunds/${row.refundId}/history`)).body;
  const operations = data.filter((entry) => entry.kind === 'operation' && entry.key === key);
  expect(operations).toEqual([
    expect.objectContaining({
      summary: expect.stringMatching(/^refund\.find of \S+: parked after \d+ calls?, /),
      firstCallAt: expect.any(String),
      lastCallAt: expect.any(String),
    }),
  ]);
  expect(data).toContainEqual(expect.objectContaining({ kind: 'command', key: row.commandId }));
  expect(data.filter((entry) => entry.kind === 'call' && entry.key === key).length).toBeGreaterThan(0);
}

interface Story {
  readonly kind: string;
  readonly key?: string;
  readonly summary: string;
}

async function attentionIn({ system }: Round): Promise<{ why: string; refund?: Refund }[]> {
  const items: { why: string; refund?: Refund }[] = [];
  for (let cursor: string | null = ''; cursor !== null;) {
    const page: { data: typeof items; nextCursor: string | null } = (
      await system.call<{ data: typeof items; nextCursor: string | null }>('GET', `/v1/attention?limit=100${cursor}`)
    ).body;
    items.push(...page.data);
    cursor = page.nextCursor === null ? null : `&cursor=${encodeURIComponent(page.nextCursor)}`;
  }
  return items;
}

/** Of all that a round has left behind. */
async function expectNothingIsLeft({ system, rows }: Round, healed: readonly Row[] = rows): Promise<void> {
  const outcomes = await system.query(
    `select data::jsonb ->> 'commandId' as command, count(*)::int as outcomes from event
     where topic = 'refunds.outcomes.v1' and type in ('redress.command.accepted.v1', 'redress.command.rejected.v1') group by 1`,
  );
  const ours = new Set(rows.map((row) => row.commandId));
  expect(outcomes.filter((each) => ours.has(String(each['command'])))).toHaveLength(rows.length);
  expect(outcomes.filter((each) => each['outcomes'] !== 1)).toEqual([]);

  const gaps = await system.query(
    `select payment_key, array_agg(sequence order by sequence) as sequences from event where sequence is not null
     group by payment_key having max(sequence) <> count(*) or min(sequence) <> 1`,
  );
  expect(gaps).toEqual([]);

  const open = await system.query(
    `select o.kind, o.state, o.result, r.status, r.attention from provider_operation o
     join payment p on p.key = o.payment_key left join refund r on r.id = o.refund_id
     where p.name = any($1::text[])
       and (o.state = 'open' and o.kind in ('refund.send', 'refund.find', 'payment.read') or o.state = 'parked' and r.attention is null)`,
    [healed.map(({ paymentId }) => paymentId)],
  );
  expect(open).toEqual([]);
}

/** What has been told of commands on Kafka, over all restores: never two different outcomes. */
async function expectOneWord({ system, rows }: Round): Promise<void> {
  const ours = new Set(rows.map((row) => row.commandId));
  const told = new Map<string, Set<string>>();
  await system.seen(['refunds.outcomes.v1'], (seen) => {
    for (const { headers, data } of seen) {
      const command = String(data['commandId']);
      const type = headers['ce_type'] ?? '';
      if (ours.has(command) && !type.includes('repeated')) told.set(command, (told.get(command) ?? new Set()).add(type));
    }
    return told.size === ours.size;
  });
  expect([...told.values()].filter((types) => types.size !== 1)).toEqual([]);
}

const titled = (rows: readonly Row[]): [string, string, Row][] =>
  rows.map((row) => [row.provider === 'stripe' ? 'Stripe' : 'Zamp', row.fault.name, row]);

describeWithDatabase('The fault matrix', () => {
  describeWithKafka('on real processes', () => {
    describe('without more trouble', () => {
      const [lost, arriving] = [rowsOf('lost'), rowsOf('arrive')];
      let round: Round;
      beforeAll(async () => {
        round = await Round.start([...lost, ...arriving]);
        await round.play();
        round.heal();
        round.system.startPart('worker');
        await round.settle();
      }, 240_000);
      afterAll(() => round.stop(), 60_000);

      it.each(titled(lost.filter(({ fault }) => fault.kill !== undefined)))(
        '%s, %s: that is where it was',
        (_, __, { fault, stood }) => {
          expect(stood).toMatch(stands[fault.kill ?? 'before the call']);
        },
      );

      it.each(titled(arriving))('%s, %s: one refund', (_, __, row) => expectOneRefund(round, row));

      it.each(titled(lost))('%s, %s, its webhooks lost: one refund, or a person where nobody can know', (_, __, row) => {
        const { provider, fault } = row;
        const isKnown = provider === 'stripe' || !fault.worked || fault.kill === 'after the report';
        return isKnown ? expectOneRefund(round, row) : expectAPersonIsAsked(round, row, 'outcome_unknown', 'outcome_unknown');
      });

      it('leaves every command with one outcome, no gap, and nothing undone', () => expectNothingIsLeft(round));
    });

    describe('when thirty hours pass before the next attempt (F21)', () => {
      const rows = rowsOf('lost');
      let round: Round;
      beforeAll(async () => {
        round = await Round.start(rows);
        await round.play();
        await round.system.pass(30 * hours);
        round.heal();
        round.system.startPart('worker');
        await round.settle();
      }, 240_000);
      afterAll(() => round.stop(), 60_000);

      it.each(titled(rows))('%s, %s: one refund, or a person where nobody can know', (_, __, row) => {
        const { provider, fault } = row;
        const isKnown = provider === 'stripe' || fault.kill === 'before the commit' || fault.kill === 'after the report';
        return isKnown ? expectOneRefund(round, row) : expectAPersonIsAsked(round, row, 'outcome_unknown', 'outcome_unknown');
      });

      it('leaves every command with one outcome, no gap, and nothing undone', () => expectNothingIsLeft(round));
    });

    describe('when the database is put back to a copy from before the command', () => {
      const [again, metFirst, later] = [rowsOf('lost', true), rowsOf('late'), rowsOf('lost', true)];
      const rows = [...again, ...metFirst, ...later];
      let round: Round;
      beforeAll(async () => {
        round = await Round.start(rows);
        await round.system.stopParts();
        await round.system.snapshot();
        await round.system.startParts();
        await round.play();
      }, 240_000);
      afterAll(() => round.stop(), 60_000);

      const expectEnd = (row: Row) => {
        const isKnown = row.provider === 'stripe' || !row.fault.worked || row.webhooks === 'late';
        return isKnown ? expectOneRefund(round, row) : expectAPersonIsAsked(round, row, 'outcome_unknown', 'outcome_unknown');
      };

      describe('and the command comes again', () => {
        beforeAll(async () => {
          await round.restore();
          round.heal([...again, ...metFirst]);
          round.letWebhooksIn(metFirst);
          // Without Kafka: webhooks show what there is before any command does.
          round.system.startPart('worker', 1, { KAFKA_BROKERS: '' });
          const worked = metFirst.filter(({ fault }) => fault.worked);
          const met = `select origin = 'discovered' as holds from refund where id = any($1::uuid[])`;
          await round.system.pass(61);
          await round.system.pass(301);
          await round.until('webhooks have shown them', met, worked.length, [worked.map(({ refundId }) => uuidOf(refundId))]);
          await round.system.endPart('worker-1', 'SIGTERM');
          await round.sendAgain();
          round.system.startPart('worker');
          await round.settle([...again, ...metFirst]);
        }, 240_000);

        it.each(titled(again))('%s, %s: one refund, or a person where nobody can know', (_, __, row) => expectEnd(row));
        it.each(titled(metFirst))('%s, %s, its webhook first: one refund', (_, __, row) => expectEnd(row));
        it('leaves every command with one outcome, no gap, and nothing undone', () =>
          expectNothingIsLeft(round, [...again, ...metFirst]));
      });

      describe('and the command comes again thirty hours later', () => {
        beforeAll(async () => {
          await round.restore();
          await round.system.pass(30 * hours);
          round.heal();
          // A sweep at the start would be faster than Kafka, and is not to be what it rests on.
          round.gate.sweeps = false;
          await round.sendAgain();
          round.system.startPart('worker');
          await round.settle();
          round.gate.sweeps = true;
        }, 240_000);

        it.each(titled(later))('%s, %s: one refund, or a person where nobody can know', (_, __, row) => expectEnd(row));
        it('leaves every command with one outcome, no gap, and nothing undone', () => expectNothingIsLeft(round));
      });

      describe('and the command is found again thirty hours old', () => {
        beforeAll(async () => {
          await round.restore();
          // As after a loss of the topic: what its senders send again is all there is, and says how old it is.
          await round.system.skipCommands();
          await round.sendAgain(new Date(Date.now() - 30 * hours * 1_000));
          round.system.startPart('worker');
          await round.settle();
        }, 240_000);

        it.each(titled(rows))('%s, %s: one refund, or a person is asked before anything is sent', (_, __, row) =>
          row.provider === 'stripe'
            ? expectOneRefund(round, row)
            : expectAPersonIsAsked(round, row, 'awaiting_approval', 'late_command'),
        );
        it('leaves every command with one outcome, no gap, and nothing undone', () => expectNothingIsLeft(round));
        it('has told one outcome of every command, however often', () => expectOneWord(round));
      });
    });
  });
});
