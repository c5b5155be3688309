import { describe, expect, it } from '@jest/globals';
import {
  acknowledge,
  approve,
  cancel,
  claimed,
  discovered,
  evolve,
  recordReport,
  refundStatuses,
  reject,
  requested,
  retry,
  startOver,
  submit,
  type ActionRequired,
  type Attention,
  type Holds,
  type Refund,
  type RefundEvent,
  type RefundEventType,
  type RefundReport,
  type RefundStatus,
  type Says,
  isKnown,
  resolve,
  unpark,
} from './refund.js';

const clock = (time: string) => new Date(`2026-03-02T${time}:00Z`);
const ordered = clock('09:00');
const believed = clock('12:00');
const later = clock('12:05');
const earlier = clock('11:55');

const allSays = [
  'pending',
  'requires_action',
  'succeeded',
  'failed',
  'canceled',
  'refused',
  'absent',
  'unclear',
  'unknown',
] as const satisfies readonly Says[];

const order = {
  id: 'rf_1',
  account: 'default',
  provider: 'stripe',
  paymentKey: 'pay_1',
  namedPayment: 'pi_1',
  amount: 1000n,
  currency: 'USD',
  reason: null,
  blockCustomer: false,
  reference: null,
  note: null,
  metadata: {},
  expectedAvailable: null,
};

/** A refund of 10.00 USD as it usually is in that status: what it holds, and whether the provider has shown it to us. */
function refund(status: RefundStatus, changes: Partial<Refund> = {}): Refund {
  const shown = { providerRefundId: 're_1', providerStatus: status, reportedAt: believed };
  const usual: Record<RefundStatus, Partial<Refund>> = {
    requested: { outcome: null },
    awaiting_approval: { holds: 'reserved' },
    approved: { holds: 'reserved' },
    submitted: { holds: 'reserved' },
    outcome_unknown: { holds: 'reserved' },
    pending: { holds: 'reserved', ...shown },
    requires_action: { holds: 'reserved', ...shown },
    succeeded: { holds: 'refunded', ...shown, finalAt: believed },
    failed: { ...shown, finalAt: believed },
    reversed: { ...shown, finalAt: believed },
    canceled: { ...shown, finalAt: believed },
    rejected: { providerStatus: 'refused', reportedAt: believed, rejection: { code: 'x', detail: 'x' }, finalAt: believed },
  };
  return { ...requested(order, ordered), outcome: 'accepted', status, ...usual[status], ...changes };
}

function report(says: Says, changes: Partial<RefundReport> = {}): RefundReport {
  const exists = !['refused', 'absent', 'unknown'].includes(says);
  return {
    says,
    attempt: 1,
    providerRefundId: exists ? 're_1' : null,
    providerStatus: exists ? says : null,
    amount: exists ? 1000n : null,
    currency: exists ? 'USD' : null,
    pendingReason: null,
    failureCode: null,
    bankReference: null,
    refusal: says === 'refused' ? { code: 'charge_disputed', detail: 'The charge is disputed.', attention: false } : null,
    at: later,
    ...changes,
  };
}

const after = (before: Refund, events: readonly RefundEvent[]) => events.reduce(evolve, before);
const told = (before: Refund, ...reports: RefundReport[]) => reports.reduce((r, next) => after(r, recordReport(r, next)), before);
const types = (events: readonly RefundEvent[]) => events.map((event) => event.type);

/** Where it leads, what is announced, the room it holds afterwards, and why a person must look. */
type Cell = readonly [RefundStatus, readonly RefundEventType[], Holds, Attention | null];

/** The machine once more, by hand and cell by cell, so that a slip in the code's own table cannot agree with itself. */
const machine: Record<RefundStatus, Record<Says, Cell>> = {
  requested: {
    pending: ['pending', ['pending'], 'refunded', null],
    requires_action: ['requires_action', ['requires_action'], 'refunded', null],
    succeeded: ['succeeded', ['succeeded'], 'refunded', null],
    failed: ['failed', ['failed'], 'nothing', null],
    canceled: ['canceled', ['canceled'], 'nothing', null],
    refused: ['requested', [], 'nothing', null],
    absent: ['requested', [], 'nothing', null],
    unclear: ['pending', ['pending', 'attention_needed'], 'refunded', 'unknown_provider_status'],
    unknown: ['requested', [], 'nothing', null],
  },
  awaiting_approval: {
    pending: ['pending', ['pending'], 'reserved', null],
    requires_action: ['requires_action', ['requires_action'], 'reserved', null],
    succeeded: ['succeeded', ['succeeded'], 'refunded', null],
    failed: ['failed', ['failed'], 'nothing', null],
    canceled: ['canceled', ['canceled'], 'nothing', null],
    refused: ['awaiting_approval', [], 'reserved', null],
    absent: ['awaiting_approval', [], 'reserved', null],
    unclear: ['pending', ['pending', 'attention_needed'], 'reserved', 'unknown_provider_status'],
    unknown: ['awaiting_approval', [], 'reserved', null],
  },
  approved: {
    pending: ['pending', ['pending'], 'reserved', null],
    requires_action: ['requires_action', ['requires_action'], 'reserved', null],
    succeeded: ['succeeded', ['succeeded'], 'refunded', null],
    failed: ['failed', ['failed'], 'nothing', null],
    canceled: ['canceled', ['canceled'], 'nothing', null],
    refused: ['rejected', ['rejected'], 'nothing', null],
    absent: ['approved', [], 'reserved', null],
    unclear: ['pending', ['pending', 'attention_needed'], 'reserved', 'unknown_provider_status'],
    unknown: ['outcome_unknown', ['outcome_unknown'], 'reserved', null],
  },
  submitted: {
    pending: ['pending', ['pending'], 'reserved', null],
    requires_action: ['requires_action', ['requires_action'], 'reserved', null],
    succeeded: ['succeeded', ['succeeded'], 'refunded', null],
    failed: ['failed', ['failed'], 'nothing', null],
    canceled: ['canceled', ['canceled'], 'nothing', null],
    refused: ['rejected', ['rejected'], 'nothing', null],
    absent: ['submitted', [], 'reserved', null],
    unclear: ['pending', ['pending', 'attention_needed'], 'reserved', 'unknown_provider_status'],
    unknown: ['outcome_unknown', ['outcome_unknown'], 'reserved', null],
  },
  outcome_unknown: {
    pending: ['pending', ['pending', 'outcome_resolved'], 'reserved', null],
    requires_action: ['requires_action', ['requires_action', 'outcome_resolved'], 'reserved', null],
    succeeded: ['succeeded', ['succeeded', 'outcome_resolved'], 'refunded', null],
    failed: ['failed', ['failed', 'outcome_resolved'], 'nothing', null],
    canceled: ['canceled', ['canceled', 'outcome_resolved'], 'nothing', null],
    refused: ['rejected', ['rejected', 'outcome_resolved'], 'nothing', null],
    absent: ['outcome_unknown', [], 'reserved', null],
    unclear: ['pending', ['pending', 'outcome_resolved', 'attention_needed'], 'reserved', 'unknown_provider_status'],
    unknown: ['outcome_unknown', [], 'reserved', null],
  },
  pending: {
    pending: ['pending', [], 'reserved', null],
    requires_action: ['requires_action', ['requires_action'], 'reserved', null],
    succeeded: ['succeeded', ['succeeded'], 'refunded', null],
    failed: ['failed', ['failed'], 'nothing', null],
    canceled: ['canceled', ['canceled'], 'nothing', null],
    refused: ['pending', [], 'reserved', null],
    absent: ['pending', ['attention_needed'], 'reserved', 'contradiction'],
    unclear: ['pending', ['attention_needed'], 'reserved', 'unknown_provider_status'],
    unknown: ['pending', [], 'reserved', null],
  },
  requires_action: {
    pending: ['pending', ['pending'], 'reserved', null],
    requires_action: ['requires_action', [], 'reserved', null],
    succeeded: ['succeeded', ['succeeded'], 'refunded', null],
    failed: ['failed', ['failed'], 'nothing', null],
    canceled: ['canceled', ['canceled'], 'nothing', null],
    refused: ['requires_action', [], 'reserved', null],
    absent: ['requires_action', ['attention_needed'], 'reserved', 'contradiction'],
    unclear: ['requires_action', ['attention_needed'], 'reserved', 'unknown_provider_status'],
    unknown: ['requires_action', [], 'reserved', null],
  },
  succeeded: {
    pending: ['succeeded', [], 'refunded', null],
    requires_action: ['requires_action', ['requires_action'], 'refunded', null],
    succeeded: ['succeeded', [], 'refunded', null],
    failed: ['reversed', ['reversed', 'attention_needed'], 'nothing', 'late_reversal'],
    canceled: ['reversed', ['reversed', 'attention_needed'], 'nothing', 'late_reversal'],
    refused: ['succeeded', [], 'refunded', null],
    absent: ['succeeded', ['attention_needed'], 'refunded', 'contradiction'],
    unclear: ['succeeded', ['attention_needed'], 'refunded', 'unknown_provider_status'],
    unknown: ['succeeded', [], 'refunded', null],
  },
  failed: {
    pending: ['failed', ['attention_needed'], 'refunded', 'contradiction'],
    requires_action: ['failed', ['attention_needed'], 'refunded', 'contradiction'],
    succeeded: ['failed', ['attention_needed'], 'refunded', 'contradiction'],
    failed: ['failed', [], 'nothing', null],
    canceled: ['failed', [], 'nothing', null],
    refused: ['failed', [], 'nothing', null],
    absent: ['failed', [], 'nothing', null],
    unclear: ['failed', ['attention_needed'], 'refunded', 'contradiction'],
    unknown: ['failed', [], 'nothing', null],
  },
  reversed: {
    pending: ['reversed', ['attention_needed'], 'refunded', 'contradiction'],
    requires_action: ['reversed', ['attention_needed'], 'refunded', 'contradiction'],
    succeeded: ['reversed', ['attention_needed'], 'refunded', 'contradiction'],
    failed: ['reversed', [], 'nothing', null],
    canceled: ['reversed', [], 'nothing', null],
    refused: ['reversed', [], 'nothing', null],
    absent: ['reversed', [], 'nothing', null],
    unclear: ['reversed', ['attention_needed'], 'refunded', 'contradiction'],
    unknown: ['reversed', [], 'nothing', null],
  },
  canceled: {
    pending: ['canceled', ['attention_needed'], 'refunded', 'contradiction'],
    requires_action: ['canceled', ['attention_needed'], 'refunded', 'contradiction'],
    succeeded: ['canceled', ['attention_needed'], 'refunded', 'contradiction'],
    failed: ['canceled', [], 'nothing', null],
    canceled: ['canceled', [], 'nothing', null],
    refused: ['canceled', [], 'nothing', null],
    absent: ['canceled', [], 'nothing', null],
    unclear: ['canceled', ['attention_needed'], 'refunded', 'contradiction'],
    unknown: ['canceled', [], 'nothing', null],
  },
  rejected: {
    pending: ['rejected', ['attention_needed'], 'refunded', 'contradiction'],
    requires_action: ['rejected', ['attention_needed'], 'refunded', 'contradiction'],
    succeeded: ['rejected', ['attention_needed'], 'refunded', 'contradiction'],
    failed: ['rejected', [], 'nothing', null],
    canceled: ['rejected', [], 'nothing', null],
    refused: ['rejected', [], 'nothing', null],
    absent: ['rejected', [], 'nothing', null],
    unclear: ['rejected', ['attention_needed'], 'refunded', 'contradiction'],
    unknown: ['rejected', [], 'nothing', null],
  },
};
const cells = refundStatuses.flatMap((status) => allSays.map((says) => [status, says, ...machine[status][says]] as const));

describe('A refund, told by its provider how it stands', () => {
  it.each(cells)(
    'that is %s and reported as %s is then %s (events: %p; holds %s; attention %s)',
    (status, says, to, events, holds, attention) => {
      const before = refund(status);
      const news = recordReport(before, report(says));
      expect(types(news)).toEqual(events);
      expect(after(before, news)).toMatchObject({ status: to, holds, attention, version: before.version + events.length });
    },
  );

  it.each(cells)('that is %s learns nothing from hearing %s a second time', (status, says) => {
    const once = told(refund(status), report(says));
    expect(recordReport(once, report(says))).toEqual([]);
    expect(recordReport(once, report(says, { at: clock('13:00') }))).toEqual([]);
  });

  it.each(refundStatuses)('that is %s never reserves room because of a report: what the provider has is a fact', (status) => {
    for (const says of allSays) {
      const before = refund(status);
      if (before.holds !== 'reserved') expect(told(before, report(says)).holds).not.toBe('reserved');
    }
  });
});

describe('A reading of the provider that is older than what is believed already', () => {
  const shown = refundStatuses.filter((status) => refund(status).reportedAt !== null);
  const exceptions: Partial<Record<RefundStatus, Partial<Record<Says, Cell>>>> = {
    // It had succeeded before it failed: the readings only came in the other order.
    failed: { succeeded: ['reversed', ['reversed', 'attention_needed'], 'nothing', 'late_reversal'] },
    canceled: { succeeded: ['reversed', ['reversed', 'attention_needed'], 'nothing', 'late_reversal'] },
    // We said that nothing was ever made, and something was.
    rejected: {
      pending: ['rejected', ['attention_needed'], 'refunded', 'contradiction'],
      requires_action: ['rejected', ['attention_needed'], 'refunded', 'contradiction'],
      succeeded: ['rejected', ['attention_needed'], 'refunded', 'contradiction'],
      unclear: ['rejected', ['attention_needed'], 'refunded', 'contradiction'],
    },
  };
  const stale = shown.flatMap((status) => allSays.map((says) => [status, says, exceptions[status]?.[says]] as const));

  it.each(stale.filter(([, , cell]) => cell === undefined))(
    'is no news to a refund that is %s, though it says %s',
    (status, says) => {
      expect(recordReport(refund(status), report(says, { at: earlier }))).toEqual([]);
    },
  );

  it.each(stale.filter(([, , cell]) => cell !== undefined))(
    'still matters to a refund that is %s when it says %s',
    (status, says, cell) => {
      const before = refund(status);
      const news = recordReport(before, report(says, { at: earlier }));
      const [to, events, holds, attention] = cell ?? [];
      expect(types(news)).toEqual(events);
      const now = after(before, news);
      expect(now).toMatchObject({ status: to, holds, attention });
      expect(recordReport(now, report(says, { at: earlier }))).toEqual([]);
    },
  );

  it('leads to the same end whether the answer or the failure comes first', () => {
    const answer = report('succeeded', { at: earlier });
    const failure = report('failed');
    const inOrder = told(refund('submitted'), answer, failure);
    const crossed = told(refund('submitted'), failure, answer);
    expect(inOrder).toMatchObject({ status: 'reversed', holds: 'nothing', attention: 'late_reversal' });
    expect(crossed).toMatchObject({ status: 'reversed', holds: 'nothing', attention: 'late_reversal' });
  });

  it('shows money behind a refused second attempt: for a person, with the room taken', () => {
    const refusedAgain = refund('failed', { attempt: 2, providerRefundId: null });
    const shows = report('succeeded', { attempt: 2, providerRefundId: 're_2', at: earlier });
    const now = told(refusedAgain, shows);
    expect(now).toMatchObject({ status: 'failed', attention: 'contradiction', holds: 'refunded', providerRefundId: 're_2' });
    expect(recordReport(now, shows)).toEqual([]);
  });

  it('does not turn the clock of the refund back', () => {
    const before = refund('failed', { updatedAt: later });
    expect(told(before, report('succeeded', { at: earlier })).updatedAt).toEqual(later);
  });
});

describe("A report about another of the provider's refunds", () => {
  const alive: readonly Says[] = ['pending', 'requires_action', 'succeeded', 'unclear'];

  it.each(cells)('an old attempt, while the new one is %s: %s', (status, says) => {
    const before = refund(status, { attempt: 2, providerRefundId: 're_2' });
    const now = told(before, report(says));
    if (!alive.includes(says)) return expect(now).toEqual(before);
    // Two attempts may both pay: a person looks, the room stays taken, and what we know of the new one is not overwritten.
    const { holds, attempt, providerRefundId, providerStatus } = before;
    expect(now).toMatchObject({ status, attention: 'contradiction', attempt, providerRefundId, providerStatus });
    expect(now.holds).toBe(holds === 'nothing' ? 'refunded' : holds);
    expect(recordReport(now, report(says))).toEqual([]);
  });

  it('is a contradiction when one attempt has made two refunds there', () => {
    const now = told(refund('succeeded'), report('succeeded', { providerRefundId: 're_twin' }));
    expect(now).toMatchObject({ status: 'succeeded', providerRefundId: 're_1', attention: 'contradiction', holds: 'refunded' });
  });

  it('is nothing to us when the twin has failed', () => {
    expect(recordReport(refund('succeeded'), report('failed', { providerRefundId: 're_twin' }))).toEqual([]);
  });

  it('keeps the room taken when the new attempt is refused after the old one has shown money', () => {
    const retried = refund('submitted', { attempt: 2 });
    const now = told(retried, report('succeeded'), report('refused', { attempt: 2 }));
    expect(now).toMatchObject({ status: 'failed', attention: 'contradiction', holds: 'reserved' });
    expect(retry(now, later)).toEqual({ ok: false, error: { code: 'not_retryable', status: 'failed' } });
  });

  it('keeps the room taken when the new attempt is canceled, fails or is reversed after the old one has shown money', () => {
    const doubted = (status: RefundStatus) => told(refund(status, { attempt: 2, providerRefundId: null }), report('succeeded'));
    const canceled = cancel(doubted('approved'), later);
    expect(canceled).toMatchObject({ ok: true, value: [{ changes: { holds: 'reserved', attention: 'contradiction' } }] });
    const second = { attempt: 2, providerRefundId: 're_2' };
    expect(told(doubted('submitted'), report('failed', second))).toMatchObject({ holds: 'reserved', attention: 'contradiction' });
    expect(told(doubted('succeeded'), report('failed', second))).toMatchObject({
      status: 'reversed',
      holds: 'refunded',
      attention: 'contradiction',
    });
  });

  it('is believed when it is a later attempt, which a restore from backup made us forget', () => {
    const now = told(refund('approved'), report('succeeded', { attempt: 2, providerRefundId: 're_2' }));
    expect(now).toMatchObject({ status: 'succeeded', attempt: 2, providerRefundId: 're_2' });
    // The failure of the first attempt, read afterwards, gives no room back.
    expect(told(now, report('failed', { at: clock('13:00') }))).toEqual(now);
  });

  it('is a contradiction, once, when a forgotten later attempt has paid for a refund that we hold failed', () => {
    const paid = report('succeeded', { attempt: 2, providerRefundId: 're_2' });
    const now = told(refund('failed'), paid);
    expect(now).toMatchObject({ status: 'failed', attention: 'contradiction', holds: 'refunded', attempt: 2 });
    expect(recordReport(now, paid)).toEqual([]);
  });
});

describe('Attention', () => {
  it('is answered by clear news', () => {
    for (const attention of ['operation_parked', 'outcome_unknown', 'unknown_provider_status'] as const) {
      expect(told(refund('submitted', { attention }), report('succeeded')).attention).toBeNull();
    }
  });

  it.each(['contradiction', 'amount_differs'] as const)('for %s is ended by a person only', (attention) => {
    const before = refund('pending', { attention });
    expect(told(before, report('requires_action')).attention).toBe(attention);
    expect(told(before, report('succeeded')).attention).toBe(attention);
    expect(told(before, report('failed')).attention).toBe(attention);
  });

  it('for a contradiction is not replaced by a lesser one', () => {
    const before = refund('succeeded', { attention: 'contradiction' });
    expect(told(before, report('unclear'))).toMatchObject({ attention: 'contradiction', providerStatus: 'unclear' });
    expect(told(before, report('failed'))).toMatchObject({ status: 'reversed', attention: 'contradiction', holds: 'refunded' });
  });

  it('for a late reversal replaces the one for a differing amount', () => {
    expect(told(refund('succeeded', { attention: 'amount_differs' }), report('failed')).attention).toBe('late_reversal');
  });

  it('for a contradiction is not called again when the refund moves on', () => {
    const before = refund('succeeded', { attention: 'contradiction' });
    expect(recordReport(before, report('failed'))).toHaveLength(1);
  });

  it('for an unknown word is called again when the refund moves on with one', () => {
    const before = refund('submitted', { attention: 'unknown_provider_status' });
    expect(told(before, report('unclear')).attention).toBe('unknown_provider_status');
  });

  it('stays for an unknown provider status until the refund moves: somebody should have seen the word', () => {
    const now = told(refund('pending'), report('unclear', { providerStatus: 'frozen' }));
    expect(now).toMatchObject({ attention: 'unknown_provider_status', providerStatus: 'frozen' });
    expect(told(now, report('pending')).attention).toBe('unknown_provider_status');
    expect(told(now, report('succeeded')).attention).toBeNull();
  });

  it('is called again when the provider uses yet another unknown word', () => {
    const now = told(refund('pending'), report('unclear', { providerStatus: 'frozen' }));
    expect(types(recordReport(now, report('unclear', { providerStatus: 'thawed' })))).toEqual(['attention_needed']);
  });
});

describe("The provider's amount", () => {
  it.each([
    ['another amount', { amount: 999n }],
    ['another currency', { currency: 'EUR' }],
  ])('with %s moves the refund and calls a person; our own amount stays', (_, differing) => {
    const events = recordReport(refund('submitted'), report('pending', differing));
    expect(types(events)).toEqual(['pending', 'attention_needed']);
    const now = after(refund('submitted'), events);
    expect(now).toMatchObject({ amount: 1000n, currency: 'USD', attention: 'amount_differs' });
    // Said once, kept until a person ends it.
    const next = recordReport(now, report('succeeded', differing));
    expect(types(next)).toEqual(['succeeded']);
    expect(after(now, next).attention).toBe('amount_differs');
  });

  it.each([
    ['no amount', { amount: null, currency: null }],
    ['the same amount without a currency', { currency: null }],
  ])('is no difference when it says %s', (_, silent) => {
    expect(told(refund('submitted'), report('succeeded', silent)).attention).toBeNull();
  });

  it('becomes the amount of a refund of "all that is left" that a restore put back before its admission', () => {
    const everything = refund('requested', { amount: null, currency: null });
    const now = told(everything, report('pending', { amount: 2500n }));
    expect(now).toMatchObject({ amount: 2500n, currency: 'USD', holds: 'refunded', outcome: 'accepted', attention: null });
  });

  it('is not known yet when only its currency is', () => {
    const everything = refund('submitted', { amount: null, currency: null });
    const pending = refund('pending', { amount: null, currency: null });
    expect(recordReport(pending, report('pending', { amount: null }))).toHaveLength(0);
    expect(told(everything, report('succeeded', { amount: null }))).toMatchObject({ amount: null, currency: null });
  });

  it('is taken over also when it becomes known only later', () => {
    const everything = refund('requested', { amount: null, currency: null });
    const now = told(everything, report('pending', { amount: null, currency: null }), report('pending', { amount: 2500n }));
    expect(now).toMatchObject({ status: 'pending', amount: 2500n, currency: 'USD' });
  });
});

describe('Details of a report', () => {
  it("keeps the bank's reference when it comes, and tells it once", () => {
    const arrived = report('succeeded', { bankReference: '74627888888888888888888' });
    const events = recordReport(refund('succeeded'), arrived);
    expect(types(events)).toEqual(['reference_updated']);
    const now = after(refund('succeeded'), events);
    expect(now).toMatchObject({ status: 'succeeded', bankReference: '74627888888888888888888', reportedAt: later });
    expect(recordReport(now, arrived)).toEqual([]);
  });

  it("does not tell of the bank's reference when a report is silent about it", () => {
    expect(recordReport(refund('succeeded', { bankReference: '746' }), report('succeeded'))).toHaveLength(0);
  });

  it("does not forget the bank's reference when a later report is silent about it", () => {
    const now = told(refund('succeeded', { bankReference: '746' }), report('failed'));
    expect(now.bankReference).toBe('746');
  });

  const until = (hour: string): ActionRequired => ({ what: 'customer_must_give_bank_details', until: clock(hour) });

  it('keeps what the customer must do and until when, tells it when that changes, and forgets it once it is done', () => {
    const asked = told(refund('submitted'), report('requires_action', { actionRequired: until('20:00') }));
    expect(asked).toMatchObject({ status: 'requires_action', actionRequired: until('20:00') });
    expect(recordReport(asked, report('requires_action', { actionRequired: until('20:00') }))).toEqual([]);
    const longer = report('requires_action', { actionRequired: until('21:00') });
    expect(types(recordReport(asked, longer))).toEqual(['requires_action']);
    expect(told(asked, longer).actionRequired).toEqual(until('21:00'));
    for (const says of ['pending', 'succeeded', 'failed', 'canceled'] as const) {
      expect(told(asked, report(says))).toMatchObject({ status: says, actionRequired: null });
    }
  });

  it("keeps the provider's refund id when the first report lacked it", () => {
    const now = told(refund('pending', { providerRefundId: null }), report('pending'));
    expect(now.providerRefundId).toBe('re_1');
  });

  it.each(['pending', 'requires_action'] as const)('tells when the reason of a refund that is %s changes', (status) => {
    const waiting = report(status, { pendingReason: 'insufficient_funds' });
    const events = recordReport(refund(status), waiting);
    expect(types(events)).toEqual([status]);
    const now = after(refund(status), events);
    expect(now).toMatchObject({ status, pendingReason: 'insufficient_funds', holds: 'reserved' });
    expect(recordReport(now, waiting)).toEqual([]);
    expect(told(now, report('succeeded')).pendingReason).toBeNull();
  });

  it('keeps what the provider said of a failure, verbatim', () => {
    const failure = report('failed', { failureCode: 'lost_or_stolen_card', providerStatus: 'failed' });
    expect(told(refund('pending'), failure)).toMatchObject({ failureCode: 'lost_or_stolen_card', providerStatus: 'failed' });
  });

  it("keeps the provider's refund id when a later report lacks it", () => {
    expect(told(refund('pending'), report('requires_action', { providerRefundId: null })).providerRefundId).toBe('re_1');
  });

  it('tells when a refund that waits has another failure to it', () => {
    expect(types(recordReport(refund('pending'), report('pending', { failureCode: 'expired_card' })))).toEqual(['pending']);
  });

  it.each(['succeeded', 'failed'] as const)('tells nothing of other reasons once it has %s', (status) => {
    const changed = report(status, { pendingReason: 'x', failureCode: 'y' });
    expect(recordReport(refund(status), changed)).toEqual([]);
  });

  it('asks the customer for nothing while it is pending, whatever the report goes on to say', () => {
    const asking = report('pending', { actionRequired: until('20:00') });
    expect(told(refund('submitted'), asking).actionRequired).toBeNull();
  });

  it('are none in an outcome that is unknown: what was known stays', () => {
    const changes = { status: 'outcome_unknown' };
    expect(recordReport(refund('submitted'), report('unknown'))).toEqual([{ type: 'outcome_unknown', at: later, changes }]);
  });

  it('answer the command of a refund that the provider shows before it was admitted', () => {
    expect(requested(order, ordered)).toMatchObject({ status: 'requested', outcome: null });
    expect(told(refund('requested'), report('pending')).outcome).toBe('accepted');
  });

  it('answers no command for a refund that somebody else made', () => {
    const dashboard = refund('pending', { origin: 'discovered', outcome: null });
    expect(told(dashboard, report('succeeded')).outcome).toBeNull();
  });
});

describe("The provider's refusal", () => {
  it('of the first attempt rejects the refund with its code and words', () => {
    expect(told(refund('submitted'), report('refused'))).toMatchObject({
      status: 'rejected',
      holds: 'nothing',
      rejection: { code: 'charge_disputed', detail: 'The charge is disputed.' },
      outcome: 'accepted',
      finalAt: later,
    });
  });

  it('of a later attempt leaves a failed refund that can be tried again', () => {
    const now = told(refund('submitted', { attempt: 2 }), report('refused', { attempt: 2 }));
    expect(now).toMatchObject({ status: 'failed', holds: 'nothing', failureCode: 'charge_disputed', rejection: null });
    expect(retry(now, later)).toMatchObject({ ok: true });
  });

  it('calls a person when it was not expected', () => {
    const refusal = { code: 'provider_refused', detail: 'Something new.', attention: true };
    const events = recordReport(refund('submitted'), report('refused', { refusal }));
    expect(types(events)).toEqual(['rejected', 'attention_needed']);
    expect(after(refund('submitted'), events).attention).toBe('provider_refused');
  });

  it('calls a person when it came without a reason', () => {
    const now = told(refund('submitted'), report('refused', { refusal: null }));
    expect(now).toMatchObject({
      status: 'rejected',
      rejection: { code: 'provider_refused', detail: 'The provider refused without a reason.' },
      attention: 'provider_refused',
    });
  });
});

describe('Approving and rejecting', () => {
  it('lets a second person approve a refund that waits for it, keeping its room', () => {
    const decision = approve(refund('awaiting_approval'), later);
    expect(decision.ok && after(refund('awaiting_approval'), decision.value)).toMatchObject({
      status: 'approved',
      holds: 'reserved',
    });
  });

  it('ends the attention for a late command, and no other', () => {
    const approved = (attention: Attention) => approve(refund('awaiting_approval', { attention }), later);
    const value = (attention: Attention | null) => [{ type: 'approved', at: later, changes: { status: 'approved', attention } }];
    expect(approved('late_command')).toEqual({ ok: true, value: value(null) });
    expect(approved('amount_differs')).toEqual({ ok: true, value: value('amount_differs') });
  });

  it('is told as such', () => {
    expect(reject(refund('awaiting_approval'), later)).toMatchObject({ ok: true, value: [{ type: 'rejected' }] });
    expect(cancel(refund('awaiting_approval'), later)).toMatchObject({ ok: true, value: [{ type: 'canceled' }] });
  });

  it('gives the room back when the second person says no', () => {
    const decision = reject(refund('awaiting_approval'), later);
    expect(decision.ok && after(refund('awaiting_approval'), decision.value)).toMatchObject({
      status: 'rejected',
      holds: 'nothing',
      rejection: { code: 'approval_refused', detail: 'A second person turned the refund down.' },
      outcome: 'accepted',
      finalAt: later,
    });
  });

  it.each(refundStatuses.filter((status) => status !== 'awaiting_approval'))('is refused for a refund that is %s', (status) => {
    const refusal = { ok: false, error: { code: 'not_awaiting_approval', status } };
    expect(approve(refund(status), later)).toEqual(refusal);
    expect(reject(refund(status), later)).toEqual(refusal);
  });
});

describe('Submitting', () => {
  it.each(refundStatuses)('a refund that is %s', (status) => {
    const events = submit(refund(status), later);
    expect(events).toHaveLength(status === 'approved' ? 1 : 0);
    expect(types(events)).toEqual(status === 'approved' ? ['submitted'] : []);
    if (status === 'approved') expect(after(refund(status), events)).toMatchObject({ status: 'submitted', holds: 'reserved' });
  });
});

describe('Canceling', () => {
  const unsent: readonly RefundStatus[] = ['requested', 'awaiting_approval', 'approved'];

  it.each(unsent)('a refund that is %s gives its room back', (status) => {
    const decision = cancel(refund(status, { attention: 'operation_parked' }), later);
    expect(decision.ok && after(refund(status), decision.value)).toMatchObject({
      status: 'canceled',
      holds: 'nothing',
      outcome: 'accepted',
      attention: null,
      finalAt: later,
    });
  });

  it.each(refundStatuses.filter((status) => !unsent.includes(status)))('is refused for a refund that is %s', (status) => {
    expect(cancel(refund(status), later)).toEqual({ ok: false, error: { code: 'not_cancelable', status } });
  });

  it('is contradicted when the provider has the refund all the same', () => {
    const decision = cancel(refund('approved'), later);
    const canceled = after(refund('approved'), decision.ok ? decision.value : []);
    expect(told(canceled, report('succeeded', { at: earlier }))).toMatchObject({ attention: 'contradiction', holds: 'refunded' });
  });
});

describe('Retrying', () => {
  const retryable: readonly RefundStatus[] = ['failed', 'reversed', 'canceled'];

  it.each(retryable)('a refund that is %s starts a new attempt with a clean slate', (status) => {
    const before = refund(status, {
      attention: 'late_reversal',
      failureCode: 'declined',
      bankReference: '746',
      pendingReason: 'x',
    });
    const decision = retry(before, later);
    expect(decision.ok && types(decision.value)).toEqual(['approved']);
    expect(decision.ok && after(before, decision.value)).toMatchObject({
      status: 'approved',
      attempt: 2,
      holds: 'reserved',
      attention: null,
      providerRefundId: null,
      providerStatus: null,
      pendingReason: null,
      failureCode: null,
      bankReference: null,
      reportedAt: null,
      finalAt: null,
      amount: 1000n,
    });
  });

  it.each(refundStatuses.filter((status) => !retryable.includes(status)))('is refused for a refund that is %s', (status) => {
    expect(retry(refund(status), later)).toEqual({ ok: false, error: { code: 'not_retryable', status } });
  });

  it('keeps the attempt when we had canceled it before anything was sent', () => {
    const canceled = refund('canceled', { providerRefundId: null, providerStatus: null, reportedAt: null });
    expect(retry(canceled, later)).toMatchObject({ ok: true, value: [{ changes: { attempt: 1 } }] });
  });

  it('takes a new attempt when a person has found out that nothing came of the one before', () => {
    const failed = refund('failed', { providerRefundId: null, providerStatus: null, reportedAt: null });
    expect(retry(failed, later)).toMatchObject({ ok: true, value: [{ changes: { attempt: 2 } }] });
  });

  it('takes a new attempt when the provider canceled, even if it did not say its id', () => {
    const canceled = refund('canceled', { providerRefundId: null });
    expect(retry(canceled, later)).toMatchObject({ ok: true, value: [{ changes: { attempt: 2 } }] });
  });

  it.each([
    ['somebody else made it', { origin: 'discovered' as const }],
    ['its amount was never known', { amount: null }],
    ['the provider contradicts itself about it', { attention: 'contradiction' as const }],
  ])('is refused when %s', (_, changes) => {
    expect(retry(refund('failed', changes), later)).toEqual({ ok: false, error: { code: 'not_retryable', status: 'failed' } });
  });
});

describe('Starting over, once it is proved that an attempt had no effect', () => {
  it.each(['submitted', 'outcome_unknown'] as const)(
    'keeps the room of a refund that is %s and takes the next attempt',
    (status) => {
      const before = refund(status, { attention: status === 'outcome_unknown' ? status : null, providerRefundId: null });
      expect(after(before, startOver(before, later))).toMatchObject({
        status: 'approved',
        attempt: 2,
        holds: 'reserved',
        attention: null,
        unknownSince: null,
        providerRefundId: null,
      });
    },
  );

  it('says that an unknown outcome is known now', () => {
    expect(types(startOver(refund('outcome_unknown'), later))).toEqual(['approved', 'outcome_resolved']);
    expect(types(startOver(refund('submitted'), later))).toEqual(['approved']);
  });

  it('is not for a refund of which the provider contradicts itself', () => {
    expect(startOver(refund('outcome_unknown', { attention: 'contradiction' }), later)).toHaveLength(0);
  });

  it.each(refundStatuses.filter((status) => status !== 'submitted' && status !== 'outcome_unknown'))(
    'is not for a refund that is %s',
    (status) => expect(startOver(refund(status), later)).toEqual([]),
  );

  it('is a contradiction, with the room kept, should the earlier attempt show money after all', () => {
    const before = refund('outcome_unknown', { providerRefundId: null });
    const again = after(before, startOver(before, later));
    const shown = after(again, recordReport(again, report('succeeded', { attempt: 1, providerRefundId: 're_old' })));
    expect(shown).toMatchObject({ status: 'approved', attention: 'contradiction', holds: 'reserved' });
  });
});

describe('A command for a refund that its provider has shown before', () => {
  const { id, account, provider, paymentKey, namedPayment } = order;
  const met = discovered({ id, account, provider, paymentKey, namedPayment, report: report('succeeded') }, later);

  it('takes the refund over as its own, with its words, and sends nothing', () => {
    const mine = after(met, claimed(met, { ...order, reference: 'RMA-1' }, later));
    expect(mine).toMatchObject({
      origin: 'command',
      outcome: 'accepted',
      reference: 'RMA-1',
      status: 'succeeded',
      holds: 'refunded',
    });
    expect(mine).toMatchObject({ amount: met.amount, attention: null });
  });

  it.each([
    ['amount', { amount: 999n }],
    ['currency', { currency: 'EUR' }],
  ])('calls a person when the %s is another one', (_, differing) => {
    const events = claimed(met, { ...order, ...differing }, later);
    expect(types(events)).toEqual(['requested', 'attention_needed']);
    expect(after(met, events)).toMatchObject({ attention: 'amount_differs', amount: 1000n, currency: 'USD' });
  });

  it('calls nobody when all that was left was ordered', () => {
    expect(types(claimed(met, { ...order, amount: null, currency: null }, later))).toEqual(['requested']);
  });
});

describe('The time since when an outcome is unknown', () => {
  it('begins with the first word of it, survives more of the same, and ends with certainty', () => {
    const submitted = refund('submitted', { providerRefundId: null });
    const lost = after(submitted, recordReport(submitted, report('unknown', { providerRefundId: null, at: later })));
    expect(lost.unknownSince).toEqual(later);
    expect(after(lost, recordReport(lost, report('succeeded'))).unknownSince).toBeNull();
  });
});

describe('A refund that somebody else made at the provider', () => {
  const found = (says: Says) => {
    const { id, account, provider, paymentKey, namedPayment } = order;
    return discovered({ id, account, provider, paymentKey, namedPayment, report: report(says) }, later);
  };

  it.each<[Says, RefundStatus, Holds, Attention | null, boolean]>([
    ['pending', 'pending', 'refunded', null, false],
    ['requires_action', 'requires_action', 'refunded', null, false],
    ['succeeded', 'succeeded', 'refunded', null, true],
    ['failed', 'failed', 'nothing', null, true],
    ['canceled', 'canceled', 'nothing', null, true],
    ['refused', 'failed', 'nothing', null, true],
    ['absent', 'failed', 'nothing', null, true],
    ['unclear', 'pending', 'refunded', 'unknown_provider_status', false],
    ['unknown', 'outcome_unknown', 'refunded', null, false],
  ])('and that is reported as %s is %s and holds %s (attention %s, final: %s)', (says, status, holds, attention, final) => {
    expect(found(says)).toMatchObject({
      status,
      holds,
      attention,
      finalAt: final ? later : null,
      outcome: null,
      origin: 'discovered',
    });
  });

  it('has the amount, id and time of the report', () => {
    expect(found('succeeded')).toMatchObject({
      amount: 1000n,
      currency: 'USD',
      providerRefundId: 're_1',
      reportedAt: later,
      attempt: 1,
      blockCustomer: false,
    });
  });

  it('has an outcome that is unknown since it was found, where it is', () => {
    expect(found('unknown').unknownSince).toEqual(later);
    expect(found('succeeded').unknownSince).toBeNull();
  });

  it('is followed like any other: a bounce gives the room back', () => {
    expect(told(found('succeeded'), report('failed', { at: clock('13:00') }))).toMatchObject({
      status: 'reversed',
      holds: 'nothing',
    });
  });
});

describe('What a notice claims', () => {
  const action = (day: number) => ({ what: 'customer_must_give_bank_details', until: new Date(Date.UTC(2026, 5, day)) }) as const;
  const waiting = (day: number) => refund('requires_action', { actionRequired: action(day) });
  const claimed = (day: number) => report('requires_action', { actionRequired: action(day) });
  const other = (day: number | null): ActionRequired => ({
    what: 'customer_must_act',
    until: day === null ? null : new Date(Date.UTC(2026, 5, day)),
  });
  const endless = refund('requires_action', { actionRequired: other(null) });
  const referenced = refund('succeeded', { bankReference: '742' });
  it.each([
    ['the status we hold', refund('succeeded'), report('succeeded'), true],
    ['that it was pending, of a refund that has gone on', refund('reversed'), report('pending'), true],
    ['the same status, older than what we believe', refund('pending'), report('pending', { at: ordered }), true],
    ['a failure after success, by a clock that is behind ours', refund('succeeded'), report('failed', { at: ordered }), false],
    ['success after it had failed', refund('failed'), report('succeeded'), false],
    ['that it is pending again, asking for details', refund('succeeded'), report('requires_action'), false],
    ['a reference that we do not have', refund('succeeded'), report('succeeded', { bankReference: '742' }), false],
    ['another reason for waiting', refund('pending'), report('pending', { pendingReason: 'insufficient_funds' }), false],
    ['the status we hold, of another refund', refund('succeeded'), report('succeeded', { providerRefundId: 're_2' }), false],
    ['another day until which the customer may act', waiting(9), claimed(10), false],
    ['the day that we know', waiting(9), claimed(9), true],
    ['no word of what the customer must do, where we know', waiting(9), report('requires_action'), true],
    ['something else that the customer must do', waiting(9), report('requires_action', { actionRequired: other(9) }), false],
    ['the same without a day, as we know it', endless, report('requires_action', { actionRequired: other(null) }), true],
    ['a day where we know of none', endless, report('requires_action', { actionRequired: other(9) }), false],
    ['no day where we know of one', waiting(9), report('requires_action', { actionRequired: other(null) }), false],
    ['the reference that we have', referenced, report('succeeded', { bankReference: '742' }), true],
    ['no reference where we have one', referenced, report('succeeded'), true],
    ['another reference than the one that we have', referenced, report('succeeded', { bankReference: '743' }), false],
    ['that it was pending, of a refund that has succeeded', refund('succeeded'), report('pending'), true],
    ['that it was pending, of a refund that has failed', refund('failed'), report('pending'), true],
    ['that it was pending, of a refund that was canceled', refund('canceled'), report('pending'), true],
    ['something of a refund whose id we never learned', refund('submitted'), report('pending'), false],
  ])('tells whether it must be read back: %s', (_what, known, claim, isOld) => {
    expect(isKnown(known, claim)).toBe(isOld);
  });
});

describe('A person says what became of a refund that nobody could tell the end of', () => {
  const found = (outcome: 'succeeded' | 'failed' | 'not_created', providerRefundId: string | null = null) => ({
    outcome,
    providerRefundId,
  });

  it.each([
    ['succeeded', found('succeeded', 're_9'), 'succeeded', 'refunded', 're_9'],
    ['failed', found('failed', 're_9'), 'failed', 'nothing', 're_9'],
    ['was never created', found('not_created'), 'failed', 'nothing', null],
  ] as const)('it %s', (_what, finding, status, holds, providerRefundId) => {
    const decision = resolve(refund('outcome_unknown'), finding, later);
    expect(decision.ok && types(decision.value)).toEqual([status, 'outcome_resolved']);
    expect(decision.ok && after(refund('outcome_unknown'), decision.value)).toMatchObject({
      status,
      holds,
      providerRefundId,
      attention: null,
    });
  });

  it.each([
    ['a command', { origin: 'command', outcome: null }, 'accepted'],
    ['a command that has its answer', { origin: 'command', outcome: 'accepted' }, 'accepted'],
    ['nobody, where others made it', { origin: 'discovered', outcome: null }, null],
  ] as const)('and so answers %s', (_, changes, outcome) => {
    expect(resolve(refund('outcome_unknown', changes), found('succeeded'), later)).toMatchObject({
      value: [{ changes: { outcome } }, {}],
    });
  });

  it('and keeps the id that was known, unless nothing was created', () => {
    const known = refund('outcome_unknown', { providerRefundId: 're_1' });
    expect(resolve(known, found('succeeded'), later)).toMatchObject({ value: [{ changes: { providerRefundId: 're_1' } }, {}] });
    expect(resolve(known, found('not_created', 're_9'), later)).toMatchObject({
      value: [{ changes: { providerRefundId: null } }, {}],
    });
  });

  it('and so ends a contradiction, with its room', () => {
    const contradicted = told(refund('failed'), report('succeeded'));
    expect(contradicted).toMatchObject({ attention: 'contradiction', holds: 'refunded' });
    const decision = resolve(contradicted, found('failed'), later);
    expect(decision.ok && after(contradicted, decision.value)).toMatchObject({
      status: 'failed',
      holds: 'nothing',
      attention: null,
    });
  });

  it.each(refundStatuses.filter((status) => status !== 'outcome_unknown'))('but not of one that is plainly %s', (status) => {
    expect(resolve(refund(status), found('succeeded'), later)).toEqual({ ok: false, error: { code: 'not_resolvable', status } });
  });
});

const attentions: readonly (readonly [Attention, ended: boolean])[] = [
  ['amount_differs', true],
  ['late_reversal', true],
  ['provider_refused', true],
  ['unknown_provider_status', true],
  ['operation_parked', true],
  ['contradiction', false],
  ['outcome_unknown', false],
  ['late_command', false],
];

describe('A person acknowledges what a refund asks attention for', () => {
  it.each(attentions)('which for %s ends it: %p', (attention, ended) => {
    for (const status of refundStatuses) {
      const before = refund(status, { attention });
      const decision = acknowledge(before, later);
      if (!ended) expect(decision).toEqual({ ok: false, error: { code: 'not_acknowledgeable', status } });
      else {
        expect(decision.ok && after(before, decision.value)).toEqual({
          ...before,
          attention: null,
          version: before.version + 1,
          updatedAt: later,
        });
        expect(decision.ok && types(decision.value)).toEqual(['attention_cleared']);
      }
    }
  });

  it.each(refundStatuses)('which is refused where a %s refund asks for none', (status) => {
    expect(acknowledge(refund(status), later)).toEqual({ ok: false, error: { code: 'not_acknowledgeable', status } });
  });

  it('and is not called again for the word of the provider that was acknowledged, but for the next one', () => {
    const seen = told(refund('pending'), report('unclear', { providerStatus: 'frozen' }));
    const decision = acknowledge(seen, later);
    const now = decision.ok ? after(seen, decision.value) : seen;
    expect(recordReport(now, report('unclear', { providerStatus: 'frozen', at: clock('13:00') }))).toEqual([]);
    expect(types(recordReport(now, report('unclear', { providerStatus: 'thawed' })))).toEqual(['attention_needed']);
  });

  it('and is called again when the money moves in an amount that was not asked for', () => {
    const seen = told(refund('submitted'), report('pending', { amount: 900n }));
    const decision = acknowledge(seen, later);
    const now = decision.ok ? after(seen, decision.value) : seen;
    expect(told(now, report('succeeded', { amount: 900n })).attention).toBe('amount_differs');
  });
});

describe('What had parked the operation of a refund is mended', () => {
  it.each(attentions)('and attention for %s is cleared only if it was for that', (attention) => {
    const before = refund('submitted', { attention });
    const now = after(before, unpark(before, later));
    expect(unpark(before, later)).toHaveLength(attention === 'operation_parked' ? 1 : 0);
    expect(now.attention).toBe(attention === 'operation_parked' ? null : attention);
  });
});

describe('What an event does to a refund', () => {
  it('raises the version by one and notes the time', () => {
    const before = refund('approved');
    const now = evolve(before, { type: 'submitted', at: later, changes: { status: 'submitted' } });
    expect(now).toEqual({ ...before, status: 'submitted', version: before.version + 1, updatedAt: later });
  });

  it.each(refundStatuses.filter((status) => status !== 'requested'))('sets when it became final, if %s is final', (status) => {
    const final = ['succeeded', 'failed', 'reversed', 'canceled', 'rejected'].includes(status);
    expect(evolve(refund('requested'), { type: status, at: later, changes: { status } }).finalAt).toEqual(final ? later : null);
  });

  it('keeps the time of its end while only details change, and clears it when it goes on', () => {
    const referenced = told(refund('succeeded'), report('succeeded', { bankReference: '746' }));
    expect(referenced.finalAt).toEqual(believed);
    expect(told(referenced, report('requires_action')).finalAt).toBeNull();
    expect(told(referenced, report('failed')).finalAt).toEqual(later);
  });

  it('leaves the refund it was given as it was', () => {
    const frozen = Object.freeze(refund('pending'));
    expect(told(frozen, report('succeeded'))).not.toBe(frozen);
  });
});
