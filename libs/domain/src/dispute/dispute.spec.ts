import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import {
  accept,
  acknowledge,
  beginSend,
  disputeStages,
  disputeStatuses,
  evolve,
  isUndecidedAt,
  letPass,
  mayEdit,
  opened,
  recordOvertaken,
  recordRefusal,
  recordReport,
  recordTaken,
  recordUnknown,
  remind,
  submit,
  takenShare,
  type Dispute,
  type DisputeEvent,
  type DisputeReport,
  type DisputeTerms,
  type Movement,
} from './dispute.js';

const hour = 3_600_000;
const day = 24 * hour;
const start = new Date('2026-03-01T12:00:00.000Z');
const after = (ms: number) => new Date(start.getTime() + ms);
const terms: DisputeTerms = { marginMs: 24 * hour, remindersMs: [72 * hour, 24 * hour] };

const withdrawal = (amount = 10_000n, at = start): Movement => ({
  id: `txn_out_${at.getTime()}`,
  kind: 'withdrawal',
  amount,
  currency: 'USD',
  fee: 1_500n,
  at,
});
const reinstatement = (amount = 10_000n, at = start): Movement => ({
  id: `txn_back_${at.getTime()}`,
  kind: 'reinstatement',
  amount,
  currency: 'USD',
  fee: 0n,
  at,
});

const inEuro = (movement: Movement): Movement => ({ ...movement, currency: 'EUR' });

function report(said: Partial<DisputeReport> = {}): DisputeReport {
  return {
    providerDisputeId: 'du_1',
    payment: 'pi_1',
    stage: 'chargeback',
    status: 'needs_response',
    providerStatus: said.status ?? 'needs_response',
    amount: 10_000n,
    currency: 'USD',
    reason: 'fraudulent',
    networkReasonCode: '10.4',
    network: 'visa',
    refundable: false,
    dueBy: after(8 * day),
    submissions: 0,
    submittedBy: null,
    submittedLate: false,
    eligibilities: [],
    movements: [withdrawal()],
    openedAt: start,
    at: start,
    ...said,
  };
}

const inquiry = (said: Partial<DisputeReport> = {}) =>
  report({ stage: 'inquiry', providerStatus: 'warning_needs_response', movements: [], refundable: true, ...said });

function open(said: DisputeReport = report()): Dispute {
  const { dispute, events } = opened(
    { id: 'dp_1', account: 'default', provider: 'stripe', paymentKey: 'p', report: said },
    terms,
    start,
  );
  return events.reduce(evolve, dispute);
}

function hear(dispute: Dispute, said: DisputeReport): { dispute: Dispute; told: string[] } {
  return apply(dispute, recordReport(dispute, said, terms));
}

function apply(dispute: Dispute, events: readonly DisputeEvent[]): { dispute: Dispute; told: string[] } {
  return { dispute: events.reduce(evolve, dispute), told: events.map(({ type }) => type).filter((type) => type !== 'silent') };
}

function decided(dispute: Dispute, decision: ReturnType<typeof submit>): Dispute {
  if (!decision.ok) throw new Error(decision.error.code);
  return decision.value.reduce(evolve, dispute);
}

const submitted = (dispute: Dispute, at = after(hour)) => decided(dispute, submit(dispute, { version: 2, by: 'ann' }, at));
const sending = (dispute: Dispute, at = after(hour)) =>
  beginSend(submitted(dispute, at), at).reduce(evolve, submitted(dispute, at));

describe('A dispute', () => {
  it('begins with what its first report shows, and with our deadline a margin before the provider’s', () => {
    const { dispute, events } = opened(
      { id: 'dp_1', account: 'default', provider: 'stripe', paymentKey: 'p', report: report() },
      terms,
      start,
    );
    expect(dispute).toMatchObject({
      stage: 'chargeback',
      status: 'needs_response',
      money: 'withdrawn',
      decideBy: after(7 * day),
    });
    expect(dispute.nextAlarmAt).toEqual(after(4 * day));
    expect(events.map(({ type }) => type)).toEqual(['funds_withdrawn']);
  });

  it('can be lost from the beginning, and then nothing is due', () => {
    const dispute = open(report({ status: 'lost', dueBy: null }));
    expect(dispute).toMatchObject({ status: 'lost', nextAlarmAt: null, decideBy: null });
    expect(mayEdit(dispute)).toMatchObject({ ok: false, error: { code: 'dispute_not_open' } });
  });

  it.each(disputeStages.flatMap((stage) => disputeStatuses.map((status) => ({ stage, status }))))(
    'follows the provider to $stage and $status, wherever it was',
    ({ stage, status }) => {
      for (const from of disputeStatuses) {
        const before = open(report({ status: from }));
        const { dispute } = hear(before, report({ stage, status, at: after(hour) }));
        expect(dispute).toMatchObject({ stage, status, providerStatus: status });
      }
    },
  );

  it('in a status that nobody knows asks for a person, once for each new word', () => {
    const strange = (word: string, ms: number) => report({ status: 'unknown', providerStatus: word, at: after(ms) });
    const first = hear(open(), strange('on_the_moon', hour));
    expect(first.told).toEqual(['attention_needed']);
    expect(first.dispute).toMatchObject({
      status: 'unknown',
      attention: 'unknown_provider_status',
      providerStatus: 'on_the_moon',
    });
    const seen = acknowledge(first.dispute, after(hour));
    const known = decided(first.dispute, seen);
    expect(hear(known, strange('on_the_moon', 2 * hour)).told).toEqual([]);
    expect(hear(known, strange('on_mars', 2 * hour)).told).toEqual(['attention_needed']);
    expect(hear(first.dispute, report({ at: after(2 * hour) })).dispute).toMatchObject({
      status: 'needs_response',
      attention: null,
    });
  });

  it('believes no report that is older than what it knows', () => {
    const won = hear(open(), report({ status: 'won', at: after(2 * hour) })).dispute;
    expect(recordReport(won, report({ status: 'under_review', at: after(hour) }), terms)).toEqual([]);
  });

  it('seen again as it was tells nobody and keeps its version, and an older reading is still known as such', () => {
    const before = open();
    const { dispute, told } = hear(before, report({ at: after(2 * hour) }));
    expect(told).toEqual([]);
    expect(dispute.version).toBe(before.version);
    expect(recordReport(dispute, report({ status: 'lost', at: after(hour) }), terms)).toEqual([]);
  });
});

describe('An inquiry that escalates', () => {
  it('wants a second answer on the same dispute, with a new deadline and no decision yet', () => {
    const answered = apply(
      sending(open(inquiry())),
      recordTaken(sending(open(inquiry())), inquiry({ status: 'under_review', submissions: 1, at: after(2 * hour) }), terms),
    );
    expect(answered.told).toEqual(['evidence_submitted', 'under_review']);
    expect(answered.dispute.decision).toMatchObject({ kind: 'submit', state: 'done', version: 2 });

    const escalated = hear(answered.dispute, report({ submissions: 1, dueBy: after(20 * day), at: after(day) }));
    expect(escalated.told).toEqual(['stage_changed', 'funds_withdrawn']);
    expect(escalated.dispute).toMatchObject({ stage: 'chargeback', round: 2, submissionsBefore: 1, decision: null });
    expect(escalated.dispute.nextAlarmAt).toEqual(after(16 * day));
    expect(mayEdit(escalated.dispute).ok).toBe(true);

    const again = sending(escalated.dispute, after(2 * day));
    const second = apply(
      again,
      recordTaken(again, report({ status: 'under_review', submissions: 2, at: after(3 * day) }), terms),
    );
    expect(second.dispute).toMatchObject({ submissions: 2, decision: { state: 'done' } });
  });

  it('while its answer was on the way tells of that answer before the next one is due', () => {
    const { dispute, told } = hear(sending(open(inquiry())), report({ submissions: 1, at: after(day) }));
    expect(told).toEqual(['evidence_submitted', 'stage_changed', 'funds_withdrawn']);
    expect(dispute).toMatchObject({ round: 2, decision: null, submissionsBefore: 1 });
  });

  it('after it was to be let pass wants a decision anew', () => {
    const passed = decided(open(inquiry()), letPass(open(inquiry()), { reason: 'small', by: 'ann' }, start));
    expect(passed.nextAlarmAt).toBeNull();
    const { dispute } = hear(passed, report({ at: after(day) }));
    expect(dispute).toMatchObject({ decision: null, round: 2 });
    expect(dispute.nextAlarmAt).not.toBeNull();
  });
});

describe('Money of a dispute', () => {
  const story: readonly {
    what: string;
    movements: Movement[];
    status: Dispute['status'];
    money: Dispute['money'];
    part: bigint | null;
  }[] = [
    { what: 'has not moved', movements: [], status: 'needs_response', money: 'none', part: null },
    { what: 'is gone', movements: [withdrawal()], status: 'needs_response', money: 'withdrawn', part: 10_000n },
    { what: 'comes back with a win', movements: [withdrawal(), reinstatement()], status: 'won', money: 'reinstated', part: 0n },
    {
      what: 'is back though the rate of exchange has changed',
      movements: [inEuro(withdrawal()), inEuro(reinstatement(9_910n))],
      status: 'won',
      money: 'reinstated',
      part: 0n,
    },
    {
      what: 'comes back in part with a win',
      movements: [withdrawal(), reinstatement(4_000n)],
      status: 'won',
      money: 'partly_reinstated',
      part: 6_000n,
    },
    {
      what: 'comes back in part with a loss, where the bank accepts a credit',
      movements: [withdrawal(), reinstatement(2_000n)],
      status: 'lost',
      money: 'partly_reinstated',
      part: 8_000n,
    },
    {
      what: 'is gone again where a win turns into a loss',
      movements: [withdrawal(), reinstatement(10_000n, after(day)), withdrawal(10_000n, after(2 * day))],
      status: 'lost',
      money: 'withdrawn',
      part: 10_000n,
    },
  ];
  it.each(story)('$what', ({ movements, status, money, part }) => {
    const dispute = open(report({ movements, status }));
    expect(dispute.money).toBe(money);
    expect(takenShare(dispute)?.part ?? null).toBe(part);
  });

  it('is told of once for each movement, in whatever order reports show them', () => {
    const first = hear(
      open(),
      report({ movements: [withdrawal(), reinstatement(10_000n, after(day))], status: 'won', at: after(day) }),
    );
    expect(first.told).toEqual(['won', 'funds_reinstated']);
    const again = hear(
      first.dispute,
      report({ movements: [reinstatement(10_000n, after(day))], status: 'won', at: after(2 * day) }),
    );
    expect(again.told).toEqual([]);
    expect(again.dispute.movements).toHaveLength(2);
  });

  it('won and then lost asks for a person; lost and then won does not', () => {
    const won = hear(open(), report({ status: 'won', at: after(day) })).dispute;
    const lost = hear(won, report({ status: 'lost', at: after(2 * day) }));
    expect(lost.told).toEqual(['lost', 'attention_needed']);
    expect(lost.dispute.attention).toBe('decision_reversed');
    const acknowledged = decided(lost.dispute, acknowledge(lost.dispute, after(2 * day)));
    expect(hear(acknowledged, report({ status: 'won', at: after(3 * day) })).told).toEqual(['won']);
  });
});

describe('An appeal', () => {
  it('is due after a loss, and ends as an appeal', () => {
    const lost = hear(open(), report({ status: 'lost', submissions: 1, at: after(day) })).dispute;
    const due = report({
      stage: 'appeal',
      status: 'needs_response',
      providerStatus: 'appeal_needs_response',
      submissions: 1,
      at: after(2 * day),
    });
    const appeal = hear(lost, due);
    expect(appeal.told).toEqual(['stage_changed']);
    expect(appeal.dispute).toMatchObject({ stage: 'appeal', decision: null, round: 2 });
    const end = hear(appeal.dispute, report({ status: 'won', submissions: 2, submittedBy: 'manual', at: after(30 * day) }));
    expect(end.dispute).toMatchObject({ stage: 'appeal', status: 'won' });
  });
});

describe('A decision', () => {
  it('to submit cannot be made twice, not after the deadline, and not where no answer is taken', () => {
    const dispute = open();
    expect(submit(submitted(dispute), { version: 2, by: 'bob' }, after(hour))).toMatchObject({
      error: { code: 'already_submitted' },
    });
    expect(accept(submitted(dispute), { reason: null, by: 'bob' }, after(hour))).toMatchObject({
      error: { code: 'already_submitted' },
    });
    expect(submit(dispute, { version: 2, by: 'bob' }, after(8 * day))).toMatchObject({ error: { code: 'deadline_passed' } });
    expect(submit(open(report({ dueBy: null })), { version: 2, by: 'bob' }, start)).toMatchObject({
      error: { code: 'dispute_not_answerable' },
    });
    for (const status of ['won', 'lost', 'closed', 'prevented'] as const) {
      expect(submit(open(report({ status })), { version: 2, by: 'bob' }, start)).toMatchObject({
        error: { code: 'dispute_not_open' },
      });
    }
    const accepted = decided(dispute, accept(dispute, { reason: null, by: 'ann' }, start));
    expect(submit(accepted, { version: 2, by: 'bob' }, start)).toMatchObject({ error: { code: 'already_accepted' } });
  });

  it('to accept is not for an inquiry, which would settle nothing', () => {
    expect(accept(open(inquiry()), { reason: null, by: 'ann' }, start)).toMatchObject({
      error: { code: 'inquiry_not_acceptable' },
    });
  });

  it('to let it pass can be thought better of until the deadline', () => {
    const passed = decided(open(), letPass(open(), { reason: 'small', by: 'ann' }, start));
    expect(passed).toMatchObject({ decision: { kind: 'let_pass', state: 'done' }, nextAlarmAt: null });
    const better = submitted(passed);
    expect(better.decision).toMatchObject({ kind: 'submit', state: 'recorded' });
    expect(better.nextAlarmAt).not.toBeNull();
  });

  it('that a colleague or Smart Disputes was faster with is theirs', () => {
    const seen = report({ status: 'under_review', submissions: 1, submittedBy: 'smart_disputes', at: after(2 * hour) });
    const waiting = hear(open(), seen);
    expect(waiting.told).toEqual(['evidence_submitted', 'under_review']);
    expect(waiting.dispute.decision).toMatchObject({ kind: 'submit', state: 'done', by: 'smart_disputes', version: null });

    const recorded = hear(submitted(open()), seen);
    expect(recorded.told).toEqual(['evidence_submitted', 'under_review', 'attention_needed']);
    expect(recorded.dispute.attention).toBe('answered_elsewhere');

    const begun = sending(open());
    const overtaken = apply(begun, recordOvertaken(begun, seen, true, terms));
    expect(overtaken.dispute).toMatchObject({
      attention: 'answered_elsewhere',
      decision: { by: 'smart_disputes', version: null },
    });
  });

  it('whose send was lost before Smart Disputes answered is theirs', () => {
    const unknown = recordUnknown(sending(open()), false, after(hour)).reduce(evolve, sending(open()));
    const seen = report({ status: 'under_review', submissions: 1, submittedBy: 'smart_disputes', at: after(2 * hour) });
    expect(hear(unknown, seen).dispute).toMatchObject({ attention: 'answered_elsewhere', decision: { version: null } });
  });

  it('is ours although a reading that was asked meanwhile has not seen it, whichever comes first', () => {
    const taken = report({ status: 'under_review', submissions: 1, submittedBy: 'manual', at: after(2 * hour) });
    const meanwhile = report({ at: after(2 * hour + 1) });
    const next = report({ status: 'under_review', submissions: 1, submittedBy: 'manual', at: after(3 * hour) });
    const first = hear(sending(open()), meanwhile).dispute;
    const one = hear(recordTaken(first, taken, terms).reduce(evolve, first), next);
    const then = recordTaken(sending(open()), taken, terms).reduce(evolve, sending(open()));
    const other = hear(hear(then, meanwhile).dispute, next);
    for (const { dispute } of [one, other]) {
      expect(dispute).toMatchObject({ round: 1, status: 'under_review', attention: null, decision: { by: 'ann', version: 2 } });
    }
  });

  it('whose answer was lost is found by the next look', () => {
    const unknown = recordUnknown(sending(open()), false, after(hour)).reduce(evolve, sending(open()));
    expect(unknown.decision?.state).toBe('outcome_unknown');
    const seen = report({ status: 'under_review', submissions: 1, submittedBy: 'manual', at: after(2 * hour) });
    const found = apply(unknown, recordOvertaken(unknown, seen, false, terms));
    expect(found.told).toEqual(['evidence_submitted', 'under_review']);
    expect(found.dispute).toMatchObject({ attention: null, decision: { by: 'ann', version: 2, state: 'done' } });
  });

  it('to accept is done when the provider calls it lost', () => {
    const decision = decided(open(), accept(open(), { reason: 'ours', by: 'ann' }, start));
    const begun = beginSend(decision, start).reduce(evolve, decision);
    const { dispute, told } = apply(begun, recordTaken(begun, report({ status: 'lost', at: after(hour) }), terms));
    expect(told).toEqual(['accepted', 'lost']);
    expect(dispute.decision).toMatchObject({ kind: 'accept', state: 'done' });
  });

  it('that the provider refuses is to be made anew', () => {
    const begun = sending(open());
    const { dispute, told } = apply(begun, recordRefusal(begun, after(hour)));
    expect(told).toEqual(['attention_needed']);
    expect(dispute).toMatchObject({ decision: null, attention: 'provider_refused' });
    expect(mayEdit(dispute).ok).toBe(true);
  });

  it('about a dispute that ended before it was sent is no decision any more', () => {
    const begun = sending(open());
    const { dispute } = apply(begun, recordOvertaken(begun, report({ status: 'lost', at: after(hour) }), true, terms));
    expect(dispute).toMatchObject({ status: 'lost', decision: null, attention: 'answer_not_out' });
  });
});

describe('A deadline', () => {
  it('is approached, approached and missed, each once', () => {
    let dispute = open();
    const at = (ms: number) => {
      const { dispute: next, told } = apply(dispute, remind(dispute, terms, after(ms)));
      dispute = next;
      return told;
    };
    expect(at(3 * day)).toEqual([]);
    expect(at(4 * day)).toEqual(['deadline_approaching']);
    expect(at(4 * day + hour)).toEqual([]);
    expect(at(6 * day)).toEqual(['deadline_approaching']);
    expect(isUndecidedAt(dispute, after(7 * day))).toBe(true);
    expect(at(7 * day)).toEqual(['deadline_missed', 'attention_needed']);
    expect(at(9 * day)).toEqual([]);
  });

  it('that is near from the beginning is told at once, and once', () => {
    const late = open(report({ dueBy: after(30 * hour) }));
    const { dispute, told } = apply(late, remind(late, terms, after(1)));
    expect(told).toEqual(['deadline_approaching']);
    expect(dispute.nextAlarmAt).toEqual(after(6 * hour));
  });

  it('is told as long as an answer is only on its way', () => {
    const { told } = apply(sending(open()), remind(sending(open()), terms, after(7 * day)));
    expect(told).toEqual(['deadline_approaching', 'attention_needed']);
  });

  it('that passes at the provider while our answer has not got there is told as missed', () => {
    const waiting = apply(sending(open()), remind(sending(open()), terms, after(7 * day))).dispute;
    expect(waiting).toMatchObject({ attention: 'answer_not_out', nextAlarmAt: after(8 * day) });
    expect(apply(waiting, remind(waiting, terms, after(8 * day))).told).toEqual(['deadline_missed', 'attention_needed']);
    const lost = hear(sending(open()), report({ status: 'lost', at: after(8 * day) }));
    expect(lost.told).toEqual(['lost', 'attention_needed']);
    expect(lost.dispute.attention).toBe('answer_not_out');
  });

  it('after which something was decided is given a quarter of an hour before it is told that nothing has got out', () => {
    const late = after(7 * day + hour);
    const decided = submit(apply(open(), remind(open(), terms, late)).dispute, { version: 2, by: 'policy' }, late);
    if (!decided.ok) throw new Error(decided.error.code);
    const missed = apply(open(), remind(open(), terms, late)).dispute;
    const dispute = decided.value.reduce(evolve, missed);
    expect(dispute.nextAlarmAt).toEqual(after(7 * day + hour + hour / 4));
    expect(remind(dispute, terms, after(7 * day + hour + hour / 4)).map(({ type }) => type)).toContain('attention_needed');
    const atOnce = { ...dispute, nextAlarmAt: late };
    expect(remind(atOnce, terms, late)).toMatchObject([{ type: 'silent', changes: { nextAlarmAt: dispute.nextAlarmAt } }]);
  });

  it('is watched again when the provider refuses what was sent', () => {
    const at = after(7 * day + hour);
    const begun = { ...sending(open()), nextAlarmAt: null, attention: 'provider_refused' } as const;
    const { dispute, told } = apply(begun, recordRefusal(begun, at));
    expect(told).toEqual(['attention_needed']);
    expect(dispute).toMatchObject({ decision: null, nextAlarmAt: after(7 * day + hour + hour / 4) });
    expect(recordRefusal(recordTaken(begun, report({ submissions: 1 }), terms).reduce(evolve, begun), at)).toEqual([]);
  });

  it('that an answer came after is told', () => {
    const late = report({
      status: 'under_review',
      submissions: 1,
      submittedBy: 'manual',
      submittedLate: true,
      at: after(9 * day),
    });
    expect(hear(sending(open()), late).dispute).toMatchObject({ attention: 'submitted_late', decision: { state: 'done' } });
  });

  it('of another answer is watched although nobody knew the word in between', () => {
    const begun = recordTaken(sending(open()), report({ status: 'under_review', submissions: 1, at: after(hour) }), terms).reduce(
      evolve,
      sending(open()),
    );
    const strange = hear(begun, report({ status: 'unknown', submissions: 1, providerStatus: 'x', at: after(2 * hour) })).dispute;
    const again = hear(strange, report({ submissions: 1, at: after(3 * hour) })).dispute;
    expect(again).toMatchObject({ round: 2, decision: null, attention: 'answer_due_again' });
    expect(again.nextAlarmAt).not.toBeNull();
  });

  it('outlives a word that nobody knows', () => {
    const strange = hear(open(), report({ status: 'unknown', providerStatus: 'on_the_moon', at: after(hour) })).dispute;
    expect(strange.nextAlarmAt).toEqual(after(4 * day));
    const back = hear(strange, report({ at: after(2 * hour) })).dispute;
    expect(back).toMatchObject({ nextAlarmAt: after(4 * day), round: 1 });
  });

  it('is quiet once the provider has the answer', () => {
    const begun = sending(open());
    const done = apply(
      begun,
      recordTaken(begun, report({ status: 'under_review', submissions: 1, at: after(2 * hour) }), terms),
    ).dispute;
    expect(done.nextAlarmAt).toBeNull();
  });

  it('that the provider moves begins anew', () => {
    const reminded = apply(open(), remind(open(), terms, after(4 * day))).dispute;
    const { dispute } = hear(reminded, report({ dueBy: after(20 * day), at: after(5 * day) }));
    expect(dispute).toMatchObject({ alarms: 0, decideBy: after(19 * day), nextAlarmAt: after(16 * day) });
  });
});

describe('Whatever a provider reports', () => {
  const movement = fc.record({
    id: fc.constantFrom('a', 'b', 'c'),
    kind: fc.constantFrom('withdrawal' as const, 'reinstatement' as const),
    amount: fc.bigInt({ min: 0n, max: 20_000n }),
    currency: fc.constant('USD'),
    fee: fc.constant(0n),
    at: fc.constant(start),
  });
  const anyReport = fc.record({
    stage: fc.constantFrom(null, ...disputeStages),
    status: fc.constantFrom(...disputeStatuses),
    dueBy: fc.option(fc.integer({ min: 0, max: 30 }).map((days) => after(days * day))),
    submissions: fc.integer({ min: 0, max: 3 }),
    movements: fc.array(movement, { maxLength: 3 }),
    afterHours: fc.integer({ min: 0, max: 500 }),
  });

  it('is taken in: no order of reports throws, versions rise, and nothing waits for an alarm that has been settled', () => {
    fc.assert(
      fc.property(fc.array(anyReport, { minLength: 1, maxLength: 12 }), (reports) => {
        let dispute = open();
        for (const { afterHours, ...said } of reports) {
          const next = hear(dispute, report({ ...said, at: after(afterHours * hour) })).dispute;
          expect(next.version).toBeGreaterThanOrEqual(dispute.version);
          expect(next.round).toBeGreaterThanOrEqual(dispute.round);
          if (next.nextAlarmAt !== null) expect(['needs_response', 'unknown']).toContain(next.status);
          const share = takenShare(next);
          if (share !== null) expect(share.part >= 0n && share.part <= share.whole).toBe(true);
          dispute = next;
        }
      }),
      { numRuns: 500 },
    );
  });
});

describe('What was told already', () => {
  it('leaves no alarm in the past, where an answer was decided shortly before our deadline', () => {
    const at = after(7 * day - 5 * 60_000);
    const decided = submit(open(), { version: 2, by: 'ann' }, at);
    if (!decided.ok) throw new Error(decided.error.code);
    const dispute = beginSend(decided.value.reduce(evolve, open()), at).reduce(evolve, decided.value.reduce(evolve, open()));
    const now = after(7 * day);
    const due = { ...dispute, nextAlarmAt: now };
    const next = apply(due, remind(due, terms, now)).dispute;
    expect(next.nextAlarmAt?.getTime()).toBeGreaterThan(now.getTime());
  });

  it('stays acknowledged', () => {
    const lost = hear(sending(open()), report({ status: 'lost', at: after(8 * day) })).dispute;
    const quiet = apply(lost, (acknowledge(lost, after(8 * day)) as unknown as { value: DisputeEvent[] }).value).dispute;
    expect(quiet.attention).toBeNull();
    const again = hear(quiet, report({ status: 'lost', at: after(9 * day) }));
    expect(again.told).toEqual([]);
  });

  it('is no news when it is won', () => {
    const won = hear(sending(open()), report({ status: 'won', at: after(hour) })).dispute;
    const two = hear(won, report({ status: 'won', at: after(2 * hour) }));
    expect(two.told).toEqual([]);
    expect(two.dispute.version).toBe(won.version);
  });

  it('is no news under review', () => {
    const seen = hear(sending(open()), report({ status: 'under_review', at: after(hour) })).dispute;
    const two = hear(seen, report({ status: 'under_review', at: after(13 * hour) }));
    expect(two.told).toEqual([]);
  });

  it('is watched again when it is due after a word that nobody knows', () => {
    const reviewed = hear(open(), report({ status: 'under_review', at: after(hour) })).dispute;
    const strange = hear(reviewed, report({ status: 'unknown', providerStatus: 'x', at: after(2 * hour) })).dispute;
    const back = hear(strange, report({ at: after(3 * hour) })).dispute;
    expect(back.nextAlarmAt).not.toBeNull();
  });

  it('is not undone by a reading that crossed an acceptance', () => {
    const begun = beginSend(
      { ...open(), decision: { kind: 'accept', state: 'recorded', by: 'a', at: start, reason: null, version: null } },
      start,
    ).reduce(evolve, {
      ...open(),
      decision: { kind: 'accept', state: 'recorded', by: 'a', at: start, reason: null, version: null },
    } as Dispute);
    const gone = recordTaken(begun, report({ status: 'lost', at: after(2 * hour) }), terms).reduce(evolve, begun);
    expect(gone.decision).toMatchObject({ kind: 'accept', state: 'done' });
    const meanwhile = hear(gone, report({ at: after(2 * hour + 1) })).dispute;
    expect(meanwhile).toMatchObject({ attention: null, round: 1 });
  });

  it('is no bound for the chargeback, if its submissions are counted anew', () => {
    const inquiry = hear(open(), report({ status: 'under_review', stage: 'inquiry', submissions: 1, at: after(hour) })).dispute;
    const next = hear(inquiry, report({ submissions: 0, at: after(30 * day), dueBy: after(38 * day) })).dispute;
    expect(next).toMatchObject({ status: 'needs_response', stage: 'chargeback' });
  });

  it('is no news in another order of keys', () => {
    const eligibility = { programme: 'visa_compliance', status: 'qualified', requiredActions: [] };
    const first = hear(open(), report({ eligibilities: [eligibility], at: after(hour) })).dispute;
    const { programme, status, requiredActions } = eligibility;
    const again = hear(first, report({ eligibilities: [{ requiredActions, status, programme }], at: after(2 * hour) }));
    expect(again.dispute.version).toBe(first.version);
  });
});
