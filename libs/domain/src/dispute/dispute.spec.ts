import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import {
  accept,
  acknowledge,
  attentionTo,
  beginSend,
  disputeStages,
  disputeStatuses,
  evolve,
  isAwaited,
  isUndecidedAt,
  letPass,
  mayDecide,
  mayEdit,
  opened,
  recordOvertaken,
  recordRefusal,
  recordReport,
  recordTaken,
  recordUnknown,
  recordUnsent,
  relieve,
  remind,
  submit,
  takenShare,
  usualTerms,
  type Decision,
  type Dispute,
  type DisputeAttention,
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
    expect(hear(first.dispute, strange('on_mars', 2 * hour)).told).toEqual([]);
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

  it('is news in one word of what it is made of', () => {
    const eligible = (status: string) => [{ programme: 'visa_compliance', status, requiredActions: [] }];
    const first = hear(open(), report({ eligibilities: eligible('qualified'), at: after(hour) })).dispute;
    const next = hear(first, report({ eligibilities: eligible('not_qualified'), at: after(2 * hour) })).dispute;
    expect(next).toMatchObject({ version: first.version + 1, eligibilities: [{ status: 'not_qualified' }] });
  });
});

describe('The first report of a dispute', () => {
  const identity = { id: 'dp_1', account: 'default', provider: 'stripe', paymentKey: 'p' };
  const first = (said: Partial<DisputeReport>) => opened({ ...identity, report: report(said) }, terms, after(hour));

  it('is kept whole', () => {
    expect(first({ eligibilities: [] }).dispute).toEqual({
      ...identity,
      providerDisputeId: 'du_1',
      ordinal: null,
      stage: 'chargeback',
      status: 'needs_response',
      money: 'withdrawn',
      attention: null,
      providerStatus: 'needs_response',
      amount: 10_000n,
      currency: 'USD',
      reason: 'fraudulent',
      networkReasonCode: '10.4',
      network: 'visa',
      refundable: false,
      dueBy: after(8 * day),
      decideBy: after(7 * day),
      nextAlarmAt: after(4 * day),
      alarms: 0,
      round: 1,
      submissions: 0,
      submissionsBefore: 0,
      decision: null,
      eligibilities: [],
      movements: [withdrawal()],
      disputed: 0n,
      lost: 0n,
      attempt: 1,
      reportedAt: start,
      openedAt: start,
      version: 1,
      createdAt: after(hour),
      updatedAt: after(hour),
    });
  });

  it('without a stage is about a chargeback', () => {
    expect(first({ stage: null }).dispute.stage).toBe('chargeback');
  });

  it('tells what there is to tell beside that it was opened', () => {
    const told = (said: Partial<DisputeReport>) => first({ movements: [], ...said }).events;
    expect(told({})).toHaveLength(0);
    expect(told({ status: 'needs_response', movements: [withdrawal(), reinstatement(1n, after(1))] })).toEqual([
      { type: 'funds_withdrawn', at: after(hour), changes: {} },
      { type: 'funds_reinstated', at: after(hour), changes: {} },
    ]);
    for (const status of ['under_review', 'won', 'lost', 'closed', 'prevented'] as const) {
      expect(told({ status })).toEqual([{ type: status, at: after(hour), changes: {} }]);
    }
    expect(told({ status: 'unknown' })).toEqual([
      { type: 'attention_needed', at: after(hour), changes: { attention: 'unknown_provider_status' } },
    ]);
  });

  it.each([
    ['somebody at the provider', null],
    ['somebody at the provider', 'manual'],
    ['smart_disputes', 'smart_disputes'],
  ])('may show an answer of %s (%p)', (by, submittedBy) => {
    const seen = { submissions: 1, submittedBy };
    const at = after(hour);
    const theirs = { kind: 'submit', state: 'done', by, at, reason: null, version: null };
    expect(first({ ...seen, status: 'under_review' }).dispute).toMatchObject({ decision: theirs, submissionsBefore: 0 });
    // The answer to a stage before: another one is due.
    expect(first({ ...seen, status: 'needs_response' }).dispute).toMatchObject({ decision: null, submissionsBefore: 1 });
    expect(first({ status: 'under_review' }).dispute).toMatchObject({ decision: null, submissionsBefore: 0 });
  });

  it('sets alarms where an answer may be due, and nowhere else', () => {
    for (const status of disputeStatuses) {
      const isDue = status === 'needs_response' || status === 'unknown';
      expect(first({ status }).dispute.nextAlarmAt).toEqual(isDue ? after(4 * day) : null);
      expect(first({ status, dueBy: null }).dispute).toMatchObject({ nextAlarmAt: null, decideBy: null });
    }
  });

  it('goes by a day of margin and two reminders unless told otherwise', () => {
    const { dispute } = opened({ ...identity, report: report() }, usualTerms, start);
    expect(dispute).toMatchObject({ decideBy: after(7 * day), nextAlarmAt: after(4 * day) });
    expect(remind(dispute, usualTerms, after(4 * day))).toMatchObject([{ changes: { alarms: 1, nextAlarmAt: after(6 * day) } }]);
  });

  it('goes by reminders in whatever order they are given', () => {
    const { dispute } = opened({ ...identity, report: report() }, { ...terms, remindersMs: [24 * hour, 72 * hour] }, start);
    expect(dispute.nextAlarmAt).toEqual(after(4 * day));
    const bare = opened({ ...identity, report: report() }, { ...terms, remindersMs: [] }, start).dispute;
    expect(bare.nextAlarmAt).toEqual(after(7 * day));
  });
});

describe('What an event does to a dispute', () => {
  it('raises the version and the time, but for a reading that shows nothing new', () => {
    const before = { ...open(), updatedAt: after(hour) };
    expect(evolve(before, { type: 'silent', at: after(day), changes: { reportedAt: after(day) } })).toEqual({
      ...before,
      reportedAt: after(day),
    });
    const changed = { ...before, version: before.version + 1 };
    expect(evolve(before, { type: 'silent', at: after(day), changes: { alarms: 1 } })).toEqual({
      ...changed,
      alarms: 1,
      updatedAt: after(day),
    });
    expect(evolve(before, { type: 'won', at: start, changes: {} })).toEqual(changed);
    expect(evolve(before, { type: 'won', at: after(2 * hour), changes: { reportedAt: start } }).version).toBe(changed.version);
  });
});

const decisionOf = (kind: Decision['kind'], state: Decision['state'], version: number | null = 2): Decision => ({
  kind,
  state,
  by: 'ann',
  at: after(hour),
  reason: null,
  version,
});
const states = ['recorded', 'sending', 'outcome_unknown', 'done'] as const;

describe('A send of a decision', () => {
  const with_ = (decision: Decision | null, more: Partial<Dispute> = {}): Dispute => ({ ...open(), decision, ...more });

  it('begins once', () => {
    expect(beginSend(with_(null), after(day))).toHaveLength(0);
    expect(beginSend(with_(decisionOf('submit', 'sending')), after(day))).toHaveLength(0);
    for (const state of ['recorded', 'outcome_unknown'] as const) {
      expect(beginSend(with_(decisionOf('submit', state)), after(day))).toEqual([
        { type: 'silent', at: after(day), changes: { decision: decisionOf('submit', 'sending') } },
      ]);
    }
  });

  it('that did not go out has not begun', () => {
    expect(recordUnsent(with_(null), after(day))).toHaveLength(0);
    for (const state of states) {
      const events = recordUnsent(with_(decisionOf('submit', state)), after(day));
      if (state !== 'sending') expect(events).toHaveLength(0);
      else {
        const changes = { decision: decisionOf('submit', 'recorded') };
        expect(events).toEqual([{ type: 'silent', at: after(day), changes }]);
      }
    }
  });

  it.each([
    [false, 3],
    [true, 4],
  ])('without an answer is looked for, under a new key where it was proved to have had no effect (%p)', (anew, attempt) => {
    expect(recordUnknown(with_(null), anew, after(day))).toHaveLength(0);
    expect(recordUnknown(with_(decisionOf('submit', 'done')), anew, after(day))).toHaveLength(0);
    expect(recordUnknown(with_(decisionOf('submit', 'sending'), { attempt: 3 }), anew, after(day))).toEqual([
      { type: 'silent', at: after(day), changes: { decision: decisionOf('submit', 'outcome_unknown'), attempt } },
    ]);
  });

  it('that was refused is decided anew, under a new key, and watched as planned', () => {
    expect(recordRefusal(with_(null), after(day))).toHaveLength(0);
    expect(recordRefusal(with_(decisionOf('submit', 'done')), after(day))).toHaveLength(0);
    expect(recordRefusal(with_(decisionOf('submit', 'sending'), { attempt: 3 }), after(day))).toEqual([
      {
        type: 'attention_needed',
        at: after(day),
        changes: { decision: null, attempt: 4, nextAlarmAt: after(4 * day), attention: 'provider_refused' },
      },
    ]);
  });

  it.each([
    ['as planned', after(day), after(4 * day), after(4 * day)],
    ['at our deadline, where nothing is planned', after(day), null, after(7 * day)],
    ['a quarter of an hour later, once our deadline is over', after(7 * day), null, after(7 * day + hour / 4)],
    ['at the deadline of the provider, where that is sooner', after(8 * day - 60_000), after(8 * day), after(8 * day)],
  ])('is looked after %s', (_, at, nextAlarmAt, next) => {
    const decision = submit({ ...open(), nextAlarmAt }, { version: 2, by: 'ann' }, at);
    expect(decision).toMatchObject({ ok: true, value: [{ changes: { nextAlarmAt: next } }] });
    const accepted = accept({ ...open(), nextAlarmAt }, { reason: null, by: 'ann' }, at);
    expect(accepted).toMatchObject({ ok: true, value: [{ changes: { nextAlarmAt: next } }] });
  });

  it('is done when the provider has taken it, and told once', () => {
    const begun = with_(decisionOf('submit', 'sending'));
    const quiet = recordTaken(begun, report({ at: after(2 * hour) }), terms);
    expect(apply(begun, quiet).told).toEqual(['evidence_submitted']);
    expect(quiet.at(-1)).toEqual({
      type: 'evidence_submitted',
      at: after(2 * hour),
      changes: { decision: decisionOf('submit', 'done') },
    });
    const over = with_(decisionOf('submit', 'done'));
    expect(apply(over, recordTaken(over, report({ at: after(2 * hour) }), terms)).told).toEqual([]);
    const none = with_(null);
    expect(apply(none, recordTaken(none, report({ at: after(2 * hour) }), terms)).told).toEqual([]);
  });

  it('is taken for the round it was made in', () => {
    const begun = with_(decisionOf('submit', 'sending'), { stage: 'inquiry' });
    const { dispute } = apply(begun, recordTaken(begun, report({ submissions: 1, at: after(2 * hour) }), terms));
    expect(dispute).toMatchObject({ round: 2, decision: null });
  });

  it('that is taken is news although a later reading did not see it; one that shows nothing more is not', () => {
    const begun = with_(decisionOf('submit', 'sending'), { reportedAt: after(3 * hour) });
    const taken = report({ status: 'under_review', submissions: 1, at: after(2 * hour) });
    expect(apply(begun, recordTaken(begun, taken, terms)).dispute).toMatchObject({
      status: 'under_review',
      reportedAt: after(3 * hour),
      decision: { state: 'done' },
    });
    const same = apply(begun, recordTaken(begun, { ...taken, submissions: 0 }, terms));
    expect(same.dispute).toMatchObject({ status: 'needs_response', decision: { state: 'done' } });
  });

  describe('that came too late', () => {
    const gone = (more: Partial<DisputeReport> = {}) => report({ status: 'lost', at: after(2 * hour), ...more });
    const overtaken = (decision: Decision | null, said: DisputeReport, neverLeft: boolean) => {
      const before = with_(decision);
      return apply(before, recordOvertaken(before, said, neverLeft, terms));
    };

    it('was not our doing, where it had never left', () => {
      const { dispute, told } = overtaken(decisionOf('submit', 'sending'), gone(), true);
      expect(told).toEqual(['lost', 'attention_needed']);
      expect(dispute).toMatchObject({ decision: null, attention: 'answer_not_out' });
      const theirs = overtaken(decisionOf('submit', 'sending'), gone({ submissions: 1 }), true).dispute;
      expect(theirs).toMatchObject({ attention: 'answered_elsewhere', decision: { by: 'somebody at the provider' } });
      const before = with_(decisionOf('submit', 'sending'));
      expect(recordOvertaken(before, gone(), true, terms)[0]).toEqual({
        type: 'silent',
        at: after(2 * hour),
        changes: { decision: decisionOf('submit', 'recorded') },
      });
    });

    it('was answered elsewhere, where an older look counts an answer that a newer one has not seen', () => {
      const before = with_(decisionOf('submit', 'sending'), { reportedAt: after(3 * hour) });
      const { dispute, told } = apply(before, recordOvertaken(before, gone({ submissions: 1 }), true, terms));
      expect(dispute).toMatchObject({ decision: null, attention: 'answered_elsewhere' });
      expect(told).toEqual(['attention_needed']);
    });

    it('may have been, where it may have left', () => {
      const { dispute } = overtaken(decisionOf('submit', 'outcome_unknown'), gone({ submissions: 1 }), false);
      expect(dispute).toMatchObject({ attention: null, decision: { by: 'ann', state: 'done' } });
      const accepted = overtaken(decisionOf('accept', 'sending', null), gone(), false);
      expect(accepted.told).toEqual(['accepted', 'lost']);
      expect(overtaken(decisionOf('accept', 'sending', null), gone(), true).dispute).toMatchObject({
        decision: null,
        attention: 'answer_not_out',
      });
    });

    it('is forgotten where nothing shows what became of it', () => {
      const { dispute, told } = overtaken(decisionOf('submit', 'sending'), report({ at: after(2 * hour) }), false);
      expect(dispute).toMatchObject({ decision: null, attention: 'answer_not_out' });
      expect(told).toEqual(['attention_needed']);
    });

    it('is no news where there was none, or it was done', () => {
      expect(overtaken(null, gone(), true).told).toEqual(['lost']);
      const done = overtaken(decisionOf('submit', 'done'), gone(), true);
      expect(done.told).toEqual(['lost']);
      expect(done.dispute.decision).toEqual(decisionOf('submit', 'done'));
    });
  });
});

describe('Whether a dispute can be answered', () => {
  const may = (status: Dispute['status'], more: Partial<Dispute> = {}) => mayEdit({ ...open(), status, ...more });
  const refused = (code: string) => ({ ok: false, error: { code } });

  it('goes by its status', () => {
    expect(may('needs_response')).toEqual({ ok: true, value: null });
    expect(may('unknown')).toEqual(refused('dispute_not_answerable'));
    expect(may('under_review')).toEqual(refused('already_submitted'));
    for (const status of ['won', 'lost', 'closed', 'prevented'] as const)
      expect(may(status)).toEqual(refused('dispute_not_open'));
    expect(may('needs_response', { dueBy: null })).toEqual(refused('dispute_not_answerable'));
  });

  it('goes by what was decided', () => {
    for (const status of ['needs_response', 'under_review'] as const) {
      expect(may(status, { decision: decisionOf('submit', 'recorded') })).toEqual(refused('already_submitted'));
      expect(may(status, { decision: decisionOf('accept', 'recorded') })).toEqual(refused('already_accepted'));
    }
    expect(may('needs_response', { decision: decisionOf('let_pass', 'done') })).toEqual({ ok: true, value: null });
  });

  it('ends with the last moment before its deadline, whatever is to be decided', () => {
    const [before, over] = [after(8 * day - 1), after(8 * day)];
    expect(mayDecide(open(), before)).toEqual({ ok: true, value: null });
    const late = refused('deadline_passed');
    expect(mayDecide(open(), over)).toEqual(late);
    expect(submit(open(), { version: 1, by: 'ann' }, over)).toEqual(late);
    expect(accept(open(), { reason: null, by: 'ann' }, over)).toEqual(late);
    expect(letPass(open(), { reason: 'small', by: 'ann' }, over)).toEqual(late);
    expect(mayDecide(open(report({ status: 'lost' })), over)).toEqual(refused('dispute_not_open'));
  });

  it('is written down as it was decided', () => {
    const at = after(day);
    const nextAlarmAt = after(4 * day);
    const submitted = { kind: 'submit', state: 'recorded', by: 'ann', at, reason: null, version: 7 };
    expect(submit(open(), { version: 7, by: 'ann' }, at)).toEqual({
      ok: true,
      value: [{ type: 'silent', at, changes: { decision: submitted, nextAlarmAt } }],
    });
    const accepted = { kind: 'accept', state: 'recorded', by: 'ann', at, reason: 'ours', version: null };
    expect(accept(open(), { reason: 'ours', by: 'ann' }, at)).toEqual({
      ok: true,
      value: [{ type: 'silent', at, changes: { decision: accepted, nextAlarmAt } }],
    });
    const passed = { kind: 'let_pass', state: 'done', by: 'ann', at, reason: 'small', version: null };
    expect(letPass(open(), { reason: 'small', by: 'ann' }, at)).toEqual({
      ok: true,
      value: [{ type: 'let_pass', at, changes: { decision: passed } }],
    });
  });

  it('is waited for while it is due and nothing settles it', () => {
    for (const status of disputeStatuses) {
      const isDue = status === 'needs_response' || status === 'unknown';
      expect(isAwaited({ ...open(), status })).toBe(isDue);
    }
    expect(isAwaited({ ...open(), dueBy: null })).toBe(false);
    for (const state of states) expect(isAwaited({ ...open(), decision: decisionOf('submit', state) })).toBe(state !== 'done');
  });

  it('is undecided from our own deadline on', () => {
    expect(isUndecidedAt(open(), after(7 * day - 1))).toBe(false);
    expect(isUndecidedAt(open(), after(7 * day))).toBe(true);
    expect(isUndecidedAt({ ...open(), decision: decisionOf('submit', 'recorded') }, after(7 * day))).toBe(false);
    expect(isUndecidedAt({ ...open(), decideBy: null }, after(7 * day))).toBe(false);
    expect(isUndecidedAt({ ...open(), status: 'won' }, after(7 * day))).toBe(false);
  });
});

const attentions: readonly (readonly [DisputeAttention, ended: boolean])[] = [
  ['unknown_provider_status', true],
  ['foreign_currency', true],
  ['payment_overdrawn', true],
  ['decision_reversed', true],
  ['answered_elsewhere', true],
  ['answer_due_again', true],
  ['submitted_late', true],
  ['provider_refused', true],
  ['outcome_unknown', false],
  ['operation_parked', false],
  ['answer_not_out', true],
  ['document_not_out', true],
  ['deadline_missed', true],
];

describe('Attention for a dispute', () => {
  const cleared = { type: 'attention_cleared', at: after(day), changes: { attention: null } };

  it.each(attentions)('because of %s is ended by a person who has seen it: %p', (attention, ended) => {
    const refused = { ok: false, error: { code: 'not_acknowledgeable' } };
    expect(acknowledge({ ...open(), attention }, after(day))).toEqual(ended ? { ok: true, value: [cleared] } : refused);
  });

  it('is not there to be ended where there is none', () => {
    expect(acknowledge(open(), after(day))).toEqual({ ok: false, error: { code: 'not_acknowledgeable' } });
  });

  it('is called once, and over with what it was called for', () => {
    const parked = { ...open(), attention: 'operation_parked' } as const;
    expect(attentionTo(open(), null, after(day))).toHaveLength(0);
    expect(attentionTo(parked, 'operation_parked', after(day))).toHaveLength(0);
    expect(attentionTo(parked, 'outcome_unknown', after(day))).toEqual([
      { type: 'attention_needed', at: after(day), changes: { attention: 'outcome_unknown' } },
    ]);
    expect(relieve(parked, 'operation_parked', after(day))).toEqual([cleared]);
    expect(relieve(parked, 'outcome_unknown', after(day))).toHaveLength(0);
  });

  /** What is left of it after a report of that status; the rest stays whatever comes. */
  const leaves: Partial<Record<DisputeAttention, readonly Dispute['status'][]>> = {
    unknown_provider_status: ['unknown'],
    provider_refused: ['needs_response'],
    deadline_missed: ['needs_response', 'lost', 'closed', 'prevented', 'unknown'],
    answer_not_out: ['needs_response', 'lost', 'closed', 'prevented', 'unknown'],
    outcome_unknown: ['needs_response'],
  };
  it.each(attentions)('because of %s is answered by clear news', (attention) => {
    for (const status of disputeStatuses) {
      const before = { ...open(), attention, providerStatus: status, decision: decisionOf('submit', 'sending') };
      const { dispute } = hear({ ...before, submissions: 1 }, report({ status, submissions: 1, at: after(2 * hour) }));
      const isNews = status === 'lost' || status === 'closed' || status === 'prevented';
      const left = leaves[attention]?.includes(status) ?? true;
      expect([status, dispute.attention]).toEqual([status, isNews ? 'answer_not_out' : left ? attention : null]);
    }
  });

  it('because of an unknown outcome ends with the decision it was about', () => {
    const before = { ...open(), attention: 'outcome_unknown' } as const;
    expect(hear(before, report({ at: after(hour) })).dispute.attention).toBeNull();
  });

  it.each([
    ['a strange word', {}, { status: 'unknown', providerStatus: 'x' }, 'unknown_provider_status'],
    ['the same strange word', { status: 'unknown', providerStatus: 'x' }, { status: 'unknown', providerStatus: 'x' }, null],
    ['a loss after a win', { status: 'won' }, { status: 'lost' }, 'decision_reversed'],
    ['a loss', {}, { status: 'lost' }, null],
    ['a win after a loss', { status: 'lost' }, { status: 'won' }, null],
    ['another answer that is due', { status: 'under_review' }, {}, 'answer_due_again'],
    ['another answer in another stage', { status: 'under_review', stage: 'inquiry' }, {}, null],
    ['an answer of others', {}, { status: 'under_review', submissions: 1 }, null],
    ['a late answer of others', {}, { status: 'under_review', submissions: 1, submittedLate: true }, 'submitted_late'],
    ['an end that a passed one was left to', { decision: decisionOf('let_pass', 'done') }, { status: 'lost' }, null],
    ['an end before the answer was out', { decision: decisionOf('submit', 'recorded') }, { status: 'closed' }, 'answer_not_out'],
    ['the same end again', { status: 'lost', decision: decisionOf('submit', 'recorded') }, { status: 'lost' }, null],
    ['a loss that was accepted', { decision: decisionOf('accept', 'recorded', null) }, { status: 'lost' }, null],
    ['a win before it was accepted', { decision: decisionOf('accept', 'recorded', null) }, { status: 'won' }, null],
    ['an end otherwise', { decision: decisionOf('accept', 'recorded', null) }, { status: 'prevented' }, 'answer_not_out'],
  ] as const)('is what %s is worth', (_, before, said, attention) => {
    const { dispute } = hear({ ...open(), ...before }, report({ ...said, at: after(day) } as Partial<DisputeReport>));
    expect(dispute.attention).toBe(attention);
  });
});

describe('A submission that the provider counts', () => {
  const seen = (decision: Decision | null, more: Partial<DisputeReport> = {}, before: Partial<Dispute> = {}) =>
    hear({ ...open(), decision, ...before }, report({ status: 'under_review', submissions: 1, at: after(2 * hour), ...more }));

  it.each([
    ['sent, said to be made by hand', decisionOf('submit', 'sending'), 'manual', true],
    ['sent', decisionOf('submit', 'outcome_unknown'), null, true],
    ['sent, said to be of Smart Disputes', decisionOf('submit', 'sending'), 'smart_disputes', false],
    ['not sent', decisionOf('submit', 'recorded'), 'manual', false],
    ['known to be taken', decisionOf('submit', 'done'), 'smart_disputes', true],
    ['made by others', decisionOf('submit', 'sending', null), 'manual', false],
    ['none', null, 'manual', false],
    ['to accept it', decisionOf('accept', 'sending', null), 'manual', false],
  ])('is ours where our answer was %s', (_, decision, submittedBy, ours) => {
    const { dispute, told } = seen(decision, { submittedBy });
    expect(dispute.decision).toMatchObject(ours ? { by: 'ann', state: 'done' } : { version: null, state: 'done' });
    expect(dispute.decision?.by === 'ann').toBe(ours);
    expect(told.includes('evidence_submitted')).toBe(decision?.state !== 'done');
    expect(dispute.attention).toBe(ours || decision === null ? null : 'answered_elsewhere');
  });

  it('that was told already is told once', () => {
    const before: Dispute = { ...open(), decision: decisionOf('submit', 'done') };
    const events = recordReport(before, report({ status: 'under_review', submissions: 1, at: after(2 * hour) }), terms);
    expect(events.map(({ type }) => type)).toEqual(['under_review']);
  });

  it('beyond the one that was taken is not ours', () => {
    const taken = { submissions: 3, submissionsBefore: 2 };
    expect(seen(decisionOf('submit', 'done'), { submissions: 4, submittedBy: 'manual' }, taken).dispute.decision).toMatchObject({
      by: 'somebody at the provider',
    });
    const first = { submissions: 2, submissionsBefore: 2 };
    expect(seen(decisionOf('submit', 'done'), { submissions: 3, submittedBy: 'manual' }, first).dispute.decision).toMatchObject({
      by: 'ann',
    });
  });

  it('does not settle what was accepted; a loss does, once it was sent', () => {
    const lost = (state: Decision['state'], status: 'lost' | 'won' = 'lost') =>
      seen(decisionOf('accept', state, null), { status, submissions: 0 });
    expect(lost('recorded').dispute.decision?.state).toBe('recorded');
    for (const state of ['sending', 'outcome_unknown'] as const) {
      expect(lost(state).told).toEqual(['accepted', 'lost']);
      expect(lost(state, 'won').dispute.decision?.state).toBe(state);
    }
    expect(lost('done').told).toEqual(['lost']);
  });
});

describe('A reading that crossed an answer', () => {
  const taken = { ...open(), submissions: 1, reportedAt: after(hour), status: 'under_review' } as const;
  const crossed = (ms: number, said: Partial<DisputeReport> = {}, before: Partial<Dispute> = {}) =>
    recordReport({ ...taken, ...before }, report({ at: after(hour + ms), ...said }), terms);

  it('has not seen it, for two minutes', () => {
    expect(crossed(119_999)).toHaveLength(0);
    expect(crossed(120_000)).not.toHaveLength(0);
    expect(crossed(1, { submissions: 1 })).not.toHaveLength(0);
    expect(crossed(1, { stage: 'appeal' })).not.toHaveLength(0);
    expect(crossed(1, { stage: null })).toHaveLength(0);
  });

  it('has not seen that it was accepted', () => {
    const given = { status: 'lost', submissions: 0, decision: decisionOf('accept', 'done', null) } as const;
    expect(crossed(1, {}, given)).toHaveLength(0);
    expect(crossed(1, { status: 'unknown' }, given)).not.toHaveLength(0);
    expect(crossed(1, { dueBy: after(9 * day) }, given)).not.toHaveLength(0);
    expect(crossed(1, {}, { ...given, status: 'won' })).not.toHaveLength(0);
    expect(crossed(1, {}, { ...given, decision: decisionOf('accept', 'sending', null) })).not.toHaveLength(0);
    expect(crossed(1, {}, { ...given, decision: decisionOf('submit', 'done') })).not.toHaveLength(0);
    expect(crossed(1, {}, { ...given, decision: null })).not.toHaveLength(0);
  });
});

describe('A report', () => {
  it('of the same moment is no news; a later one is only a later one', () => {
    expect(recordReport(open(), report(), terms)).toHaveLength(0);
    expect(recordReport(open(), report({ at: after(1) }), terms)).toEqual([
      { type: 'silent', at: after(1), changes: { reportedAt: after(1) } },
    ]);
    expect(recordReport({ ...open(), reportedAt: after(2) }, report({ at: after(1) }), terms)).toHaveLength(0);
    expect(recordReport(open(), report({ reason: 'duplicate' }), terms)).toMatchObject([
      { type: 'silent', changes: { reason: 'duplicate' } },
    ]);
  });

  it.each([
    ['amount', { amount: 9_000n }],
    ['currency', { currency: 'EUR' }],
    ['reason', { reason: 'duplicate' }],
    ['networkReasonCode', { networkReasonCode: '13.1' }],
    ['network', { network: 'mastercard' }],
    ['refundable', { refundable: true }],
    ['providerStatus', { providerStatus: 'needs_another_response' }],
    ['eligibilities', { eligibilities: [{ programme: 'visa_compliance', status: null, requiredActions: [] }] }],
  ] as const)('keeps a new %s, and tells nobody', (name, said) => {
    const { dispute, told } = hear(open(), report({ ...said, at: after(hour) }));
    expect(dispute[name]).toEqual((said as Partial<Dispute>)[name]);
    expect(told).toEqual([]);
    expect(dispute.version).toBe(open().version + 1);
  });

  it('tells of a new stage, a new status and money in that order, with what changed in the first', () => {
    const said = report({
      stage: 'appeal',
      status: 'won',
      movements: [withdrawal(), reinstatement(1n, after(1))],
      at: after(day),
    });
    const events = recordReport(open(), said, terms);
    expect(events.map(({ type }) => type)).toEqual(['stage_changed', 'won', 'funds_reinstated']);
    expect(events[0]?.changes).toMatchObject({ stage: 'appeal', status: 'won', money: 'partly_reinstated' });
    expect(events.slice(1).map(({ changes }) => changes)).toEqual([{}, {}]);
  });

  it('of a stage that the provider does not name leaves it as it was', () => {
    const appeal = { ...open(), stage: 'appeal' } as const;
    expect(hear(appeal, report({ stage: null, at: after(hour) })).dispute.stage).toBe('appeal');
    for (const status of ['won', 'lost'] as const) {
      expect(hear(appeal, report({ status, at: after(hour) })).dispute.stage).toBe('appeal');
      expect(hear(open(), report({ stage: 'inquiry', status, at: after(hour) })).dispute.stage).toBe('inquiry');
    }
    expect(hear(appeal, report({ status: 'under_review', at: after(hour) })).dispute.stage).toBe('chargeback');
  });

  it('that an answer is due again begins a round with keys of its own', () => {
    const answered = {
      ...open(),
      status: 'under_review',
      decision: decisionOf('submit', 'done'),
      attempt: 3,
      alarms: 2,
    } as const;
    const { dispute } = hear(answered, report({ submissions: 1, at: after(day) }));
    expect(dispute).toMatchObject({ round: 2, submissionsBefore: 1, decision: null, attempt: 1, alarms: 0 });
    expect(hear(open(), report({ at: after(day) })).dispute).toMatchObject({ round: 1, attempt: 1 });
  });

  it('after a word that nobody knows is of the same round, unless it had been answered', () => {
    const strange = { ...open(), status: 'unknown' } as const;
    const round = (decision: Decision | null) => hear({ ...strange, decision }, report({ at: after(day) })).dispute.round;
    expect(round(null)).toBe(1);
    expect(round(decisionOf('let_pass', 'done'))).toBe(1);
    expect(round(decisionOf('submit', 'sending'))).toBe(1);
    expect(round(decisionOf('submit', 'done'))).toBe(2);
    expect(round(decisionOf('accept', 'done', null))).toBe(2);
  });

  it('sets alarms again where an answer is due that nothing watches', () => {
    const unwatched = { ...open(), status: 'under_review', nextAlarmAt: null, alarms: 2 } as const;
    expect(hear(unwatched, report({ status: 'unknown', at: after(day) })).dispute).toMatchObject({
      nextAlarmAt: after(4 * day),
      alarms: 0,
    });
    expect(
      hear({ ...unwatched, decision: decisionOf('submit', 'done') }, report({ status: 'unknown', at: after(day) })).dispute,
    ).toMatchObject({ nextAlarmAt: null, alarms: 2 });
    expect(hear(unwatched, report({ status: 'won', at: after(day) })).dispute).toMatchObject({ nextAlarmAt: null, alarms: 2 });
    expect(hear({ ...open(), alarms: 2 }, report({ at: after(day) })).dispute).toMatchObject({ alarms: 2 });
  });

  it('sets alarms anew with a deadline that comes, moves or goes', () => {
    const none = open(report({ dueBy: null }));
    expect(none).toMatchObject({ decideBy: null, nextAlarmAt: null });
    expect(hear(none, report({ at: after(hour) })).dispute).toMatchObject({
      decideBy: after(7 * day),
      nextAlarmAt: after(4 * day),
    });
    expect(hear({ ...open(), alarms: 1 }, report({ dueBy: null, at: after(hour) })).dispute).toMatchObject({
      dueBy: null,
      decideBy: null,
      nextAlarmAt: null,
      alarms: 0,
    });
  });

  it('puts movements in the order in which they happened', () => {
    const [first, second] = [withdrawal(1n, after(1)), reinstatement(1n, after(2))];
    const { dispute } = hear(open(report({ movements: [second] })), report({ movements: [first], at: after(hour) }));
    expect(dispute.movements).toEqual([first, second]);
  });
});

describe('A reminder', () => {
  const due = (more: Partial<Dispute>, now: Date) => remind({ ...open(), ...more }, terms, now);

  it('comes when it is due, and says when the next one is', () => {
    expect(due({ nextAlarmAt: null }, after(9 * day))).toHaveLength(0);
    expect(due({}, after(4 * day - 1))).toHaveLength(0);
    const at = after(4 * day);
    expect(due({}, at)).toEqual([{ type: 'deadline_approaching', at, changes: { alarms: 1, nextAlarmAt: after(6 * day) } }]);
    const last = after(7 * day - 1);
    expect(due({}, last)).toEqual([
      { type: 'deadline_approaching', at: last, changes: { alarms: 2, nextAlarmAt: after(7 * day) } },
    ]);
  });

  it('is that it was missed from our deadline on, where nothing was decided', () => {
    const at = after(7 * day);
    expect(due({}, at)).toEqual([
      { type: 'deadline_missed', at, changes: { alarms: 3, nextAlarmAt: after(8 * day) } },
      { type: 'attention_needed', at, changes: { attention: 'deadline_missed' } },
    ]);
    expect(due({ attention: 'provider_refused' }, at)).toHaveLength(1);
    expect(due({ decideBy: null }, at)).toMatchObject([{ type: 'deadline_approaching' }]);
  });

  it('is not told again at the deadline of the provider', () => {
    const at = after(8 * day);
    expect(due({ attention: 'deadline_missed' }, at)).toEqual([
      { type: 'silent', at, changes: { alarms: 4, nextAlarmAt: null } },
    ]);
    expect(due({ attention: 'deadline_missed' }, after(7 * day))).toMatchObject([{ type: 'deadline_missed' }]);
    expect(due({}, at)).toMatchObject([{ type: 'deadline_missed' }, { type: 'attention_needed' }]);
  });

  it('waits a quarter of an hour for what was decided after our deadline', () => {
    const decided = (at: Date) => ({ decision: { ...decisionOf('submit', 'sending'), at } });
    const at = after(7 * day + hour);
    expect(due(decided(after(7 * day + hour - 60_000)), at)).toEqual([
      { type: 'silent', at, changes: { alarms: 3, nextAlarmAt: after(7 * day + hour + 14 * 60_000) } },
    ]);
    expect(due(decided(after(7 * day + hour - 15 * 60_000)), at)).toEqual([
      { type: 'deadline_approaching', at, changes: { alarms: 3, nextAlarmAt: after(8 * day) } },
      { type: 'attention_needed', at, changes: { attention: 'answer_not_out' } },
    ]);
    const near = after(8 * day - 60_000);
    expect(due(decided(near), near)).toEqual([{ type: 'silent', at: near, changes: { alarms: 3, nextAlarmAt: after(8 * day) } }]);
    expect(due(decided(after(8 * day)), after(8 * day))).toMatchObject([
      { type: 'deadline_missed' },
      { type: 'attention_needed' },
    ]);
  });
});

describe('The share of a dispute that is gone', () => {
  const share = (movements: Movement[], status: Dispute['status'] = 'needs_response', currency = 'USD') =>
    takenShare({ movements, status, currency });

  it('is none while nothing has moved', () => {
    expect(share([])).toBeNull();
    expect(share([reinstatement(5n)])).toBeNull();
    expect(share([withdrawal(0n)])).toBeNull();
  });

  it('is what was withdrawn and not given back, of the most that was withdrawn at once', () => {
    expect(share([withdrawal(10n)])).toEqual({ part: 10n, whole: 10n });
    expect(share([withdrawal(10n), reinstatement(4n)])).toEqual({ part: 6n, whole: 10n });
    expect(share([withdrawal(10n), reinstatement(12n)])).toEqual({ part: 0n, whole: 10n });
    expect(share([withdrawal(8n), withdrawal(10n, after(1)), withdrawal(9n, after(2))])).toEqual({ part: 10n, whole: 10n });
  });

  it.each([
    ['a win in another currency, for nine tenths or more', [1_000n, 900n], 'won', 'EUR', 0n],
    ['a win in another currency, for less', [1_000n, 899n], 'won', 'EUR', 101n],
    ['a win in its own currency', [1_000n, 900n], 'won', 'USD', 100n],
    ['no win', [1_000n, 900n], 'lost', 'EUR', 100n],
  ] as const)('is settled by %s, or not', (_, [out, back], status, currency, part) => {
    expect(share([withdrawal(out), reinstatement(back)], status, currency)).toEqual({ part, whole: 1_000n });
  });

  it('is settled by nothing that was given back less often than it was taken', () => {
    const twice = [withdrawal(1_000n), withdrawal(1_000n, after(1))];
    expect(share([...twice, reinstatement(1_900n, after(2))], 'won', 'EUR')).toEqual({ part: 100n, whole: 1_000n });
    const both = [reinstatement(950n, after(2)), reinstatement(950n, after(3))];
    expect(share([...twice, ...both], 'won', 'EUR')).toEqual({ part: 0n, whole: 1_000n });
    const one = [inEuro(withdrawal(1_000n)), withdrawal(1_000n, after(1))];
    expect(share([...one, ...both], 'won', 'EUR')).toEqual({ part: 0n, whole: 1_000n });
  });
});
