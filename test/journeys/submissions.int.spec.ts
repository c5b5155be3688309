/*
 * The one answer to a bank, and giving a case up, under every fault between the decision and its end: the provider's books have exactly one
 * of it. A round plays all faults on disputes of their own in one running system, kills the worker once with disputes at each point
 * between the commit and the report, and then heals. From the fault on until then the gate keeps each dispute out of reach.
 */
import { afterAll, beforeAll, expect, it, jest } from '@jest/globals';
import { describeWithDatabase, describeWithKafka } from '../environment.js';
import { Cases } from './cases.js';
import { Gate, type FirstSend } from './gate.js';
import { System } from './system.js';

jest.setTimeout(240_000);

type Kill = 'before the commit' | 'before the call' | 'during the call' | 'after the call' | 'after the report';

interface Fault {
  readonly name: string;
  readonly simulated?: string;
  readonly delayMs?: number;
  readonly kill?: Kill;
}

const faults: readonly Fault[] = [
  { name: 'answer dropped after the work', simulated: 'drop_answer' },
  { name: '500 saved', simulated: 'status_500_saved' },
  { name: '500 not saved', simulated: 'status_500' },
  { name: '429', simulated: 'status_429' },
  { name: 'socket closed', simulated: 'close_socket' },
  { name: 'answer dripping for a minute', simulated: 'drip', delayMs: 60_000 },
  { name: 'delay past the deadline of the call', simulated: 'delay', delayMs: 7_000 },
  { name: 'worker killed before the first send is committed', kill: 'before the commit' },
  { name: 'worker killed before the call', kill: 'before the call' },
  { name: 'worker killed during the call', kill: 'during the call' },
  { name: 'worker killed after the call', kill: 'after the call' },
  { name: 'worker killed after the report', kill: 'after the report' },
];

const held: Readonly<Record<Kill, FirstSend>> = {
  'before the commit': 'passes',
  'before the call': 'held',
  'during the call': 'held',
  'after the call': 'answer_held',
  'after the report': 'answer_held',
};

const actions = ['submit', 'accept'] as const;
type Action = (typeof actions)[number];

interface Row {
  readonly action: Action;
  readonly fault: Fault;
  disputeId: string;
  paymentId: string;
  id: string;
}

const rows: readonly Row[] = actions.flatMap((action) =>
  faults.map((fault) => ({ action, fault, disputeId: '', paymentId: '', id: '' })),
);

describeWithDatabase('An answer to a bank', () => {
  describeWithKafka('through a running system that breaks', () => {
    let system: System;
    let gate: Gate;
    let cases: Cases;

    const at = (...points: readonly Kill[]) => rows.filter(({ fault: { kill } }) => kill !== undefined && points.includes(kill));
    const uuids = (some: readonly Row[]) => some.map(({ id }) => id.slice('dp_'.length));
    const decide = async ({ action, id }: Row) => {
      const answer = await (action === 'submit' ? cases.submit(id) : cases.accept(id));
      expect(answer).toMatchObject({ status: 200, body: { decision: { kind: action } } });
    };

    beforeAll(async () => {
      gate = await Gate.start();
      const env = { STRIPE_API_BASE: `${gate.url}/stripe`, WEBHOOK_TARGET: gate.url, PROVIDER_CALL_TIMEOUT_SECONDS: '5' };
      system = await System.start({ env });
      cases = new Cases(system);
      gate.leadTo(system);
      await system.session((client) => client.query(holdFirstSends));
      await Promise.all(rows.map(prepare));
      await quiet();
      for (const { disputeId, fault } of rows) {
        gate.plan(disputeId, fault.kill === undefined ? 'passes' : held[fault.kill], 'lost');
      }
      for (const fault of faults.filter(({ simulated }) => simulated !== undefined)) await simulate(fault);
      await kill();
      for (const { disputeId } of rows) gate.open(disputeId);
      system.startPart('worker');
      await settle();
    }, 400_000);
    afterAll(async () => {
      await gate.stop();
      await system.stop();
    }, 60_000);

    async function prepare(row: Row): Promise<void> {
      const { paymentId, disputeId, id } = await cases.open();
      Object.assign(row, { paymentId, disputeId, id });
      if (row.action === 'submit') await cases.write(id, { uncategorizedText: 'What was sold, and that it came.' });
    }

    /** What is staged beforehand has gone out. */
    const quiet = () =>
      system.until('nothing is under way', async () => {
        const [open] = await system.query<{ open: number }>(
          `select count(*)::int as open from provider_operation where state = 'open' and lane is not null`,
        );
        return open?.open === 0;
      });

    async function simulate(fault: Fault): Promise<void> {
      const { simulated, delayMs = 0 } = fault;
      for (const row of rows.filter((each) => each.fault === fault)) {
        const call = row.action === 'submit' ? 'disputes.update' : 'disputes.close';
        await system.control('faults', { provider: 'stripe', call, fault: simulated, times: 1, delayMs });
        await decide(row);
        await system.until(`${fault.name} has met its dispute`, () => Promise.resolve(gate.hasReached(row.disputeId)));
      }
    }

    /** Disputes stand at each point when the worker dies. */
    async function kill(): Promise<void> {
      const [uncommitted, reported] = [at('before the commit'), at('after the report')];
      const called = at('before the call', 'during the call', 'after the call', 'after the report');
      await system.session(async (lock) => {
        await lock.query('select pg_advisory_lock(1)');
        await lock.query('insert into held_send select unnest($1::uuid[])', [uuids(uncommitted)]);
        await Promise.all(called.map(decide));
        await system.until('the calls are held', () =>
          Promise.resolve(called.every(({ disputeId }) => gate.hasReached(disputeId))),
        );
        await Promise.all(uncommitted.map(decide));
        const waiting = `select count(*)::int as waiting from pg_locks where locktype = 'advisory' and not granted`;
        await system.until('the first sends are about to be committed', async () => {
          return ((await lock.query<{ waiting: number }>(waiting)).rows[0]?.waiting ?? 0) > 0;
        });
        for (const { disputeId } of reported) gate.letGo(disputeId);
        await system.until('their reports are in', async () => {
          const done = await lock.query(`select from dispute where id = any($1::uuid[]) and decision ->> 'state' = 'done'`, [
            uuids(reported),
          ]);
          return done.rowCount === reported.length;
        });
        await system.endPart('worker-1', 'SIGKILL');
        await lock.query('delete from held_send');
      });
      for (const { disputeId } of at('during the call')) gate.letGo(disputeId);
    }

    /** Lets time go by until every decision has come to its end; what never does, its own test shows. */
    async function settle(): Promise<void> {
      for (let step = 0; step < 20; step += 1) {
        const [open] = await system.query<{ open: number }>(
          `select count(*)::int as open from dispute where id = any($1::uuid[]) and decision ->> 'state' is distinct from 'done'`,
          [uuids(rows)],
        );
        if (open?.open === 0) return;
        await new Promise((wake) => setTimeout(wake, 2_000));
        await system.pass(step === 0 ? 31 : 61);
      }
    }

    it.each(rows.map((row) => ({ row, what: `${row.action}: ${row.fault.name}` })))('$what: exactly one', async ({ row }) => {
      const booked = await cases.booked(row.disputeId);
      const counts = { submissions: booked.submissions, packets: booked.packets.length, closes: booked.closes };
      const isSubmit = row.action === 'submit';
      expect(counts).toEqual({ submissions: isSubmit ? 1 : 0, packets: isSubmit ? 1 : 0, closes: isSubmit ? 0 : 1 });
      const dispute = await cases.of(row.id);
      expect(dispute).toMatchObject({ decision: { kind: row.action, state: 'done' }, attention: null });
      const told = await cases.told(row.id, row.paymentId);
      expect(told.filter((type) => type === (isSubmit ? 'evidence_submitted' : 'accepted'))).toHaveLength(1);
      if (!isSubmit) return;
      const { packets } = await cases.evidence(row.id);
      expect(packets).toMatchObject([{ submittedAt: expect.any(String) }]);
    });

    it('of twenty people who submit at once goes out once, and nineteen are told so', async () => {
      const { id, disputeId } = await cases.open();
      await cases.write(id, { uncategorizedText: 'From all of us.' });
      const { version } = await cases.evidence(id);
      const body = { confirm: true, version };
      const answers = await Promise.all(
        Array.from({ length: 20 }, () => system.call<{ code?: string }>('POST', `/v1/disputes/${id}/submit`, body)),
      );
      expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
      expect(answers.filter(({ status, body: { code } }) => status === 409 && code === 'already_submitted')).toHaveLength(19);
      await cases.that('is submitted', id, ({ decision }) => decision?.state === 'done');
      expect((await cases.booked(disputeId)).packets).toHaveLength(1);
    });

    it('of two people who want different things goes out as the first one wanted', async () => {
      const { id, disputeId } = await cases.open();
      await cases.write(id, { uncategorizedText: 'Fight.' });
      const [one, other] = await Promise.all([cases.submit(id), cases.accept(id)]);
      expect(new Set([one.status, other.status])).toEqual(new Set([200, 409]));
      await cases.that('is decided', id, ({ decision }) => decision?.state === 'done');
      const { packets, closes } = await cases.booked(disputeId);
      expect(packets.length + closes).toBe(1);
    });

    it('that somebody has changed meanwhile does not go out', async () => {
      const { id, disputeId } = await cases.open();
      await cases.write(id, { uncategorizedText: 'First.' });
      const { version } = await cases.evidence(id);
      await cases.write(id, { uncategorizedText: 'Second.' });
      const stale = await system.call<{ code: string; detail: string }>('POST', `/v1/disputes/${id}/submit`, {
        confirm: true,
        version,
      });
      expect(stale).toMatchObject({
        status: 412,
        body: { code: 'evidence_changed', detail: expect.stringContaining('uncategorizedText') },
      });
      expect((await cases.booked(disputeId)).packets).toHaveLength(0);
    });
  });
});

/** Holds the transaction that commits the first send about chosen disputes, as long as somebody else has lock 1. */
const holdFirstSends = `
  create table held_send (dispute_id uuid);
  create function hold_first_send() returns trigger language plpgsql as $$
  begin
    if old.first_sent_at is null and new.first_sent_at is not null
      and exists (select from held_send where held_send.dispute_id = new.dispute_id)
    then
      perform pg_advisory_xact_lock(1);
    end if;
    return new;
  end $$;
  create trigger hold_first_send before update on provider_operation for each row
    when (new.kind in ('dispute.submit', 'dispute.accept')) execute function hold_first_send();`;
