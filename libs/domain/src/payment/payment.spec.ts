import { describe, expect, it } from '@jest/globals';
import { evolve, recordReport, requested, type Refund, type RefundReport, type Says } from '../refund/refund.js';
import {
  account,
  admit,
  apply,
  available,
  decide,
  heardOf,
  overdrawn,
  recordAbsence,
  recordFacts,
  room,
  type AdmissionTerms,
  type Payment,
  type PaymentFacts,
  areKnown,
} from './payment.js';

const clock = (time: string) => new Date(`2026-03-02T${time}:00Z`);
const readAt = clock('12:00');
const terms: AdmissionTerms = { now: clock('12:01'), factsMaxAgeMs: 120_000, needsApproval: false };
const tooOld: AdmissionTerms = { ...terms, now: clock('12:03') };

const facts: PaymentFacts = {
  name: 'pi_1',
  aliases: ['ch_1'],
  currency: 'USD',
  captured: 10_000n,
  basis: 'provider',
  paidAt: clock('11:00'),
  refusal: null,
  at: readAt,
};
const heard = heardOf('pay_1', 'default', 'stripe', 'pi_1', false);
const captured = (changes: Partial<Payment> = {}): Payment => ({ ...recordFacts(heard, facts), ...changes });

function order(amount: bigint | null, changes: Partial<Refund> = {}): Refund {
  const asked = {
    id: 'rf_1',
    account: 'default',
    provider: 'stripe',
    paymentKey: 'pay_1',
    namedPayment: 'pi_1',
    amount,
    currency: amount === null ? null : 'USD',
    reason: null,
    blockCustomer: false,
    reference: null,
    note: null,
    metadata: {},
    expectedAvailable: null,
  };
  return { ...requested(asked, clock('12:00')), ...changes };
}

function report(says: Says, changes: Partial<RefundReport> = {}): RefundReport {
  return {
    says,
    attempt: 1,
    providerRefundId: 're_1',
    providerStatus: says,
    amount: null,
    currency: null,
    pendingReason: null,
    failureCode: null,
    bankReference: null,
    refusal: null,
    at: clock('12:10'),
    ...changes,
  };
}

const rejectedWith = (code: string) => ({
  decided: true,
  events: [{ type: 'rejected', at: terms.now, changes: { status: 'rejected', outcome: 'rejected', rejection: { code } } }],
});
const admittedFor = (amount: bigint) => ({
  decided: true,
  events: [
    {
      type: 'approved',
      at: terms.now,
      changes: { status: 'approved', amount, currency: 'USD', holds: 'reserved', outcome: 'accepted' },
    },
  ],
});
const unread = { decided: false };

describe('What is left of a payment', () => {
  it('is what was captured less all that is spoken for', () => {
    const payment = captured({ reserved: 1000n, refunded: 2000n, disputed: 3000n, lost: 500n });
    expect(room(payment)).toBe(3500n);
    expect(available(payment)).toBe(3500n);
    expect(overdrawn(payment)).toBe(false);
  });

  it('is nothing, and not overdrawn, when exactly all is spoken for', () => {
    const payment = captured({ refunded: 10_000n });
    expect(available(payment)).toBe(0n);
    expect(overdrawn(payment)).toBe(false);
  });

  it('is never below nothing: facts that exceed the capture overdraw the payment instead', () => {
    const payment = captured({ refunded: 8000n, lost: 4000n });
    expect(room(payment)).toBe(-2000n);
    expect(available(payment)).toBe(0n);
    expect(overdrawn(payment)).toBe(true);
  });

  it('is nothing for a payment we have only heard of', () => {
    expect(available(heard)).toBe(0n);
    expect(heard).toEqual({
      key: 'pay_1',
      account: 'default',
      provider: 'stripe',
      name: 'pi_1',
      settled: false,
      aliases: [],
      currency: null,
      captured: 0n,
      reserved: 0n,
      refunded: 0n,
      disputed: 0n,
      lost: 0n,
      basis: 'provider',
      readAt: null,
      paidAt: null,
      refusal: null,
      waiting: 0,
      unknown: 0,
      inquiries: 0,
      refundable: true,
      refundableAt: null,
      sequence: 0n,
      version: 0,
    });
    expect(heard.aliases).toHaveLength(0);
  });
});

describe('Admitting a refund', () => {
  it('waits until the provider was asked about the payment for the first time', () => {
    expect(admit(order(1000n), heard, terms)).toEqual(unread);
    expect(admit(order(null), heard, terms)).toEqual(unread);
  });

  it('takes the room that was asked for', () => {
    const payment = captured();
    const decision = admit(order(1000n), payment, terms);
    expect(decision).toMatchObject(admittedFor(1000n));
    const now = apply(payment, order(1000n), decision.decided ? decision.events : []);
    expect(now.payment).toMatchObject({ reserved: 1000n, refunded: 0n });
    expect(available(now.payment)).toBe(9000n);
  });

  it('takes the last cent, and not one more', () => {
    const payment = captured({ refunded: 9000n });
    expect(admit(order(1000n), payment, terms)).toMatchObject(admittedFor(1000n));
    expect(admit(order(1001n), payment, terms)).toMatchObject(rejectedWith('amount_exceeds_available'));
  });

  it('gives all that is left, to the cent, when no amount was asked for', () => {
    expect(admit(order(null), captured({ reserved: 1n, refunded: 3333n }), terms)).toMatchObject(admittedFor(6666n));
  });

  it('goes on with older facts while they show enough room', () => {
    expect(admit(order(1000n), captured(), tooOld)).toMatchObject({ decided: true, events: [{ type: 'approved' }] });
  });

  it.each([
    ['room is refused', order(10_001n), {}],
    ['"all that is left" is fixed', order(null), {}],
    ['"nothing is left" is said', order(1n), { refunded: 10_000n }],
    ['a refusal of the provider is repeated', order(1n), { refusal: { code: 'not_captured', detail: '' } }],
    ['another available amount than expected is said', order(1n, { expectedAvailable: 1n }), {}],
    ['another currency is refused', order(1n, { currency: 'EUR' }), {}],
  ])('asks the provider again before %s on old facts', (_, refund, changes) => {
    expect(admit(refund, captured(changes), tooOld)).toEqual(unread);
    expect(admit(refund, captured(changes), terms)).toMatchObject({ decided: true });
  });

  it('counts facts as fresh up to their last millisecond', () => {
    const at = (ms: number) => ({ ...terms, now: new Date(readAt.getTime() + ms) });
    expect(admit(order(null), captured(), at(120_000))).toMatchObject({ decided: true });
    expect(admit(order(null), captured(), at(120_001))).toEqual(unread);
  });

  it('ends in a rejection when the provider knows no such payment', () => {
    expect(admit(order(1000n), recordAbsence(heard, readAt), terms)).toMatchObject(rejectedWith('payment_not_found'));
  });

  it("repeats the provider's own reason when nothing of the payment can be refunded", () => {
    const refusal = { code: 'payment_not_captured', detail: 'The payment was never captured.' };
    expect(admit(order(1000n), captured({ refusal }), terms)).toMatchObject(rejectedWith('payment_not_captured'));
  });

  it('is not for a payment that its provider calls not refundable, whatever is left of it', () => {
    expect(admit(order(1000n), captured({ refundable: false }), terms)).toMatchObject(rejectedWith('payment_disputed'));
    expect(admit(order(1000n), captured({ refundable: true, refundableAt: readAt }), terms)).toMatchObject(admittedFor(1000n));
  });

  it.each([
    ['the refund is in another currency than the payment', order(1000n, { currency: 'EUR' }), {}, 'currency_mismatch'],
    ['nothing is left', order(1000n), { refunded: 10_000n }, 'nothing_left_to_refund'],
    ['nothing is left and all of it was asked for', order(null), { lost: 10_000n }, 'nothing_left_to_refund'],
    ['the payment is overdrawn', order(1n), { refunded: 8000n, lost: 4000n }, 'nothing_left_to_refund'],
    ['more is asked for than is left', order(5001n), { reserved: 5000n }, 'amount_exceeds_available'],
    [
      'less is left than the caller expected',
      order(1000n, { expectedAvailable: 10_000n }),
      { refunded: 1n },
      'expected_available_mismatch',
    ],
    ['more is left than the caller expected', order(1000n, { expectedAvailable: 9999n }), {}, 'expected_available_mismatch'],
  ])('refuses when %s', (_, refund, changes, code) => {
    const payment = captured(changes);
    const decision = admit(refund, payment, terms);
    expect(decision).toMatchObject(rejectedWith(code));
    expect(apply(payment, refund, decision.decided ? decision.events : []).payment).toMatchObject(changes);
  });

  it.each([
    ['what was asked for and what is there', order(5001n), { reserved: 5000n }, '5001 USD was asked for, 5000 is available.'],
    ['that nothing is left', order(1n), { lost: 10_000n }, 'Nothing is left of the 10000 USD captured.'],
    ['both currencies', order(1n, { currency: 'EUR' }), {}, 'The payment is in USD, the refund in EUR.'],
    ['that it has none', order(1n, { currency: 'EUR' }), { currency: null }, 'The payment is in , the refund in EUR.'],
    ['the dispute', order(1n), { refundable: false }, 'stripe calls pi_1 not refundable while it is disputed.'],
    ['what was expected', order(1n, { expectedAvailable: 9n }), {}, '9 USD was expected to be available, 10000 is.'],
    [
      'what must be known first',
      order(1n),
      { basis: 'records', unknown: 1 } as const,
      'What became of an earlier refund of pi_1 must be known first.',
    ],
  ])('says in its refusal %s', (_, refund, changes, detail) => {
    expect(decide(refund, captured(changes))).toMatchObject({ ok: false, error: { detail } });
  });

  it('does not ask in which currency all that is left is', () => {
    expect(decide(order(null), captured())).toEqual({ ok: true, value: { amount: 10_000n, currency: 'USD' } });
  });

  it('goes through when exactly what the caller expected is available', () => {
    expect(admit(order(1000n, { expectedAvailable: 10_000n }), captured(), terms)).toMatchObject(admittedFor(1000n));
  });

  it('does not hold another attempt to what was expected to be available back then', () => {
    const failed = order(1000n, { status: 'failed', outcome: 'accepted', expectedAvailable: 10_000n });
    expect(decide(failed, captured({ refunded: 500n }))).toEqual({ ok: true, value: { amount: 1000n, currency: 'USD' } });
  });

  it('reserves the room already while a second person has to agree', () => {
    expect(admit(order(1000n), captured(), { ...terms, needsApproval: true })).toMatchObject({
      decided: true,
      events: [{ type: 'awaiting_approval', changes: { status: 'awaiting_approval', holds: 'reserved', outcome: 'accepted' } }],
    });
  });

  it('asks nobody to approve what is refused anyway', () => {
    expect(admit(order(10_001n), captured(), { ...terms, needsApproval: true })).toMatchObject(
      rejectedWith('amount_exceeds_available'),
    );
  });

  it('happens once: a refund that was canceled or decided meanwhile stays as it is', () => {
    for (const status of ['canceled', 'succeeded'] as const) {
      const admission = admit(order(99_999n, { status }), captured(), terms);
      expect(admission).toMatchObject({ decided: true });
      expect(admission.decided && admission.events).toHaveLength(0);
    }
  });

  it('never takes a negative amount, which would make room out of nothing', () => {
    expect(() => admit(order(-1n), captured(), terms)).toThrow(RangeError);
  });
});

describe('What the provider says about a payment', () => {
  it('is kept with its names, so that the charge and its PaymentIntent are one payment', () => {
    const namedByCharge = heardOf('pay_1', 'default', 'stripe', 'ch_1', false);
    const payment = recordFacts(namedByCharge, { ...facts, aliases: ['ch_2'] });
    expect(payment).toMatchObject({ name: 'pi_1', settled: true, captured: 10_000n, currency: 'USD', readAt, version: 1 });
    expect(payment.aliases).toEqual(['ch_1', 'ch_2']);
  });

  it('says when it was paid, and the last word counts', () => {
    expect(heard.paidAt).toBeNull();
    expect(captured().paidAt).toEqual(clock('11:00'));
    const later = { ...facts, paidAt: clock('12:04'), at: clock('12:05') };
    expect(recordFacts(captured(), later).paidAt).toEqual(clock('12:04'));
    expect(recordAbsence(captured(), clock('12:05')).paidAt).toEqual(clock('11:00'));
  });

  it('adds to the names that are known, each once, and never its own', () => {
    const payment = recordFacts(captured(), { ...facts, aliases: ['ch_2', 'ch_1', 'pi_1'] });
    expect(payment.aliases).toEqual(['ch_1', 'ch_2']);
  });

  it('is ignored when it is older than what is known', () => {
    const payment = captured();
    expect(recordFacts(payment, { ...facts, captured: 1n, at: clock('11:59') })).toBe(payment);
    expect(recordAbsence(payment, clock('11:59'))).toBe(payment);
  });

  it('counts when it was read in the same moment', () => {
    const payment = captured();
    expect(recordFacts(payment, { ...facts, captured: 1n })).toMatchObject({ captured: 1n, version: 2 });
    expect(recordAbsence(payment, readAt)).toMatchObject({ refusal: { code: 'payment_not_found' }, version: 2 });
  });

  it('may raise what was captured, by a later capture', () => {
    const payment = recordFacts(captured({ refunded: 10_000n }), { ...facts, captured: 15_000n, at: clock('12:05') });
    expect(available(payment)).toBe(5000n);
    expect(payment.version).toBe(2);
  });

  it('may overdraw the payment and is stored all the same', () => {
    const payment = recordFacts(captured({ refunded: 10_000n }), { ...facts, captured: 4000n, at: clock('12:05') });
    expect(payment).toMatchObject({ captured: 4000n, refunded: 10_000n });
    expect(overdrawn(payment)).toBe(true);
  });

  it('does not touch what refunds and disputes have taken', () => {
    const taken = { reserved: 1n, refunded: 2n, disputed: 3n, lost: 4n, waiting: 5, sequence: 6n };
    expect(recordFacts(captured(taken), { ...facts, at: clock('12:05') })).toMatchObject(taken);
  });

  it('can be that there is no such payment, until a later reading finds it', () => {
    const absent = recordAbsence(heard, readAt);
    const detail = 'stripe has no payment pi_1 in account default.';
    expect(absent).toMatchObject({ refusal: { code: 'payment_not_found', detail }, settled: true, readAt, version: 1 });
    expect(recordFacts(absent, { ...facts, at: clock('12:05') })).toMatchObject({ refusal: null, captured: 10_000n });
  });

  it('can be that a payment it had shown is not there: nothing more is refunded, and nobody waits for ever', () => {
    const denied = recordAbsence(captured({ refunded: 500n }), clock('12:05'));
    expect(denied).toMatchObject({ captured: 10_000n, refunded: 500n, readAt: clock('12:05') });
    expect(admit(order(1n), denied, { ...terms, now: clock('12:06') })).toMatchObject({
      decided: true,
      events: [{ type: 'rejected', changes: { rejection: { code: 'payment_not_found' } } }],
    });
  });
});

describe('Totals in a notice', () => {
  const known = {
    ...heardOf('k', 'default', 'stripe', 'pi_1', true),
    currency: 'USD',
    captured: 1000n,
    refunded: 300n,
    readAt: new Date(),
  };
  const totals = (refunded: bigint, captured = 1000n) => ({ currency: 'USD', captured, refunded });

  it('tell nothing new when they are what we count, or less', () => {
    expect([areKnown(known, totals(300n)), areKnown(known, totals(100n))]).toEqual([true, true]);
  });

  it('tell something new when more was refunded or captured than we know of, or when nothing was ever read', () => {
    expect([areKnown(known, totals(301n)), areKnown(known, totals(300n, 1001n))]).toEqual([false, false]);
    expect(areKnown({ ...known, readAt: null }, totals(300n))).toBe(false);
    expect(areKnown(known, { ...totals(300n), currency: 'EUR' })).toBe(false);
  });
});

describe("The payment's figures follow its refunds", () => {
  const approved = order(1000n, { status: 'approved', holds: 'reserved', outcome: 'accepted' });
  const begun = captured({ reserved: 1000n });
  const follow = (payment: Payment, refund: Refund, ...reports: RefundReport[]) =>
    reports.reduce((now, next) => apply(now.payment, now.refund, recordReport(now.refund, next)), { payment, refund });

  it.each<[Says, bigint, bigint]>([
    ['pending', 1000n, 0n],
    ['requires_action', 1000n, 0n],
    ['succeeded', 0n, 1000n],
    ['failed', 0n, 0n],
    ['canceled', 0n, 0n],
    ['refused', 0n, 0n],
    ['absent', 1000n, 0n],
    ['unclear', 1000n, 0n],
    ['unknown', 1000n, 0n],
  ])('when a sent one is reported as %s: %p reserved and %p refunded', (says, reserved, refunded) => {
    expect(follow(begun, approved, report(says)).payment).toMatchObject({ reserved, refunded });
  });

  it('when a success bounces weeks later, its room is free again', () => {
    const { payment } = follow(begun, approved, report('succeeded'), report('failed', { at: clock('12:20') }));
    expect(payment).toMatchObject({ reserved: 0n, refunded: 0n, version: begun.version + 2 });
    expect(available(payment)).toBe(10_000n);
  });

  it('when the provider shows money behind a refund that had failed, the room is taken again', () => {
    const { payment } = follow(begun, approved, report('failed'), report('succeeded', { at: clock('12:20') }));
    expect(payment).toMatchObject({ reserved: 0n, refunded: 1000n });
  });

  it('when somebody else refunds at the provider while ours is reserved, even if that overdraws it', () => {
    const theirs = order(9500n, { id: 'rf_2', origin: 'discovered', status: 'succeeded', holds: 'refunded' });
    const payment = account(begun, null, theirs);
    expect(payment).toMatchObject({ reserved: 1000n, refunded: 9500n });
    expect(overdrawn(payment)).toBe(true);
  });

  it('counting those that wait for a reading, without a new version while no money moves', () => {
    const waiting = account(captured(), null, order(1000n));
    expect(waiting).toMatchObject({ waiting: 1, reserved: 0n, version: captured().version });
    const rejected = evolve(order(1000n), { type: 'rejected', at: readAt, changes: { status: 'rejected' } });
    expect(account(waiting, order(1000n), rejected)).toMatchObject({ waiting: 0, version: captured().version });
    expect(account(waiting, order(1000n), approved)).toMatchObject({
      waiting: 0,
      reserved: 1000n,
      version: captured().version + 1,
    });
  });

  it('and stay the same object when nothing changed', () => {
    expect(account(begun, approved, approved)).toBe(begun);
  });

  it('and are given back for the amount that was held, when "all that is left" was canceled', () => {
    const everything = order(null);
    const decision = admit(everything, captured(), terms);
    const taken = apply(captured(), everything, decision.decided ? decision.events : []);
    expect(taken.payment.reserved).toBe(10_000n);
    const back = apply(taken.payment, taken.refund, [
      { type: 'canceled', at: terms.now, changes: { status: 'canceled', holds: 'nothing' } },
    ]);
    expect(back.payment.reserved).toBe(0n);
  });
});

describe('An unknown outcome', () => {
  const lost = order(1000n, { id: 'rf_2', status: 'outcome_unknown', holds: 'reserved' });

  it('is counted while it lasts', () => {
    const before = account(captured(), null, lost);
    expect(before.unknown).toBe(1);
    expect(account(before, lost, { ...lost, status: 'succeeded', holds: 'refunded' }).unknown).toBe(0);
  });

  it('is counted, without a new version, when it takes no room that was not taken before', () => {
    const sent = { ...lost, status: 'submitted' } as const;
    const payment = account(captured(), null, sent);
    expect(account(payment, sent, lost)).toEqual({ ...payment, unknown: 1 });
    expect(account(account(payment, sent, lost), lost, sent)).toEqual(payment);
  });

  it('keeps other refunds out where nothing can be listed, and nowhere else', () => {
    expect(decide(order(500n), { ...account(captured(), null, lost), basis: 'records' })).toMatchObject({
      ok: false,
      error: { code: 'outcome_unknown_blocks_payment' },
    });
    expect(decide(order(500n), account(captured(), null, lost))).toMatchObject({ ok: true });
    expect(decide(order(500n), captured({ basis: 'records' }))).toMatchObject({ ok: true });
  });
});
