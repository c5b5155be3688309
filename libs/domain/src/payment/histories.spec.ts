/*
 * Random histories of one payment: orders, readings, admissions, approvals, sends, reports in any order, repeated, stale and twisted,
 * cancels, retries, refunds made outside. After every step the books are checked against what can be counted by hand.
 */
import assert from 'node:assert/strict';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import {
  approve,
  cancel,
  discovered,
  recordReport,
  refundStatuses,
  reject,
  requested,
  retry,
  submit,
  type Holds,
  type Refund,
  type RefundEvent,
  type RefundReport,
  type RefundStatus,
  type Says,
} from '../refund/refund.js';
import { ok, type Result } from '../result.js';
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
  type Payment,
} from './payment.js';

const minute = (n: number) => new Date(Date.UTC(2026, 2, 2) + n * 60_000);

const says = fc.constantFrom<Says[]>(
  'pending',
  'requires_action',
  'succeeded',
  'failed',
  'canceled',
  'refused',
  'absent',
  'unclear',
  'unknown',
);
/** Words that come without a refund at the provider. */
const nothingThere: ReadonlySet<Says> = new Set(['refused', 'absent', 'unknown']);
const unsent: ReadonlySet<RefundStatus> = new Set(['requested', 'awaiting_approval', 'approved']);
/** Which refund of the payment; taken modulo how many there are. */
const which = fc.nat({ max: 5 });
const amount = fc.bigInt({ min: 1n, max: 6000n });
/** How many minutes ago the provider was asked. */
const ago = fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, fc.integer({ min: 1, max: 8 }));

const rarely = fc.nat({ max: 6 }).map((n) => n === 0);
const a = <W extends string>(word: W) => fc.constant<W>(word);
const step = fc.oneof(
  fc.record({ do: a('order'), amount: fc.option(amount), expected: fc.option(fc.constantFrom(10_000n, 4000n), { freq: 6 }) }),
  fc.record({ do: a('read'), captured: fc.constantFrom(10_000n, 10_000n, 4000n, 12_000n), ago }),
  fc.record({ do: a('miss'), ago: fc.integer({ min: 1, max: 8 }) }),
  { weight: 4, arbitrary: fc.record({ do: a('admit'), maxAge: fc.constantFrom(1, 100), needsApproval: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom('approve', 'reject', 'cancel', 'retry'), which }) },
  { weight: 3, arbitrary: fc.record({ do: a('submit'), which }) },
  {
    weight: 8,
    arbitrary: fc.record({
      do: a('report'),
      which,
      says,
      ago,
      oldAttempt: rarely,
      /** Before the first send there is nothing to report, unless a restore from backup has set us back. */
      restored: rarely,
      id: fc.constantFrom('own', 'own', 'own', 'own', 'twin'),
      amount: fc.constantFrom('same', 'same', 'same', 'other', 'none'),
      /** Whether it carries something new beside its word. */
      more: fc.boolean(),
    }),
  },
  fc.record({ do: a('discover'), amount, says: says.filter((word) => !nothingThere.has(word)) }),
);
type Step = typeof step extends fc.Arbitrary<infer S> ? S : never;
type Report = Extract<Step, { do: 'report' }>;

/** A payment with its refunds, the reports each was given, and the minute it is. */
interface Books {
  payment: Payment;
  refunds: Refund[];
  readonly reports: Map<string, RefundReport[]>;
  now: number;
}

const opened = (): Books => ({
  payment: Object.freeze(heardOf('pay_1', 'default', 'stripe', 'pi_1', true)),
  refunds: [],
  reports: new Map(),
  now: 0,
});

const identity = (books: Books) => ({
  id: `rf_${books.refunds.length}`,
  account: 'default',
  provider: 'stripe',
  paymentKey: 'pay_1',
  namedPayment: 'pi_1',
});

/** Stores what was decided. Everything is frozen on the way, so that a function that changes what it was given throws. */
function store(books: Books, before: Refund, events: readonly RefundEvent[]): void {
  for (const event of events) Object.freeze(event.changes);
  const { payment, refund } = apply(books.payment, before, events);
  assert.equal(refund.version, before.version + events.length);
  assert.ok(refund.updatedAt >= before.updatedAt, 'time ran backwards');
  assert.ok(refund.attempt >= before.attempt, 'an attempt was forgotten');
  if (before.attention === 'contradiction') assert.equal(refund.attention, 'contradiction', 'only a person ends a contradiction');
  books.payment = Object.freeze(payment);
  books.refunds = books.refunds.map((other) => (other.id === refund.id ? Object.freeze(refund) : other));
}

function add(books: Books, refund: Refund, reports: RefundReport[] = []): void {
  books.payment = Object.freeze(account(books.payment, null, refund));
  books.refunds = [...books.refunds, Object.freeze(refund)];
  books.reports.set(refund.id, reports);
}

const silent = { pendingReason: null, failureCode: null, bankReference: null, refusal: null };

function reported(refund: Refund, { says, id, amount, more, ...next }: Report, at: Date): RefundReport {
  const attempt = next.oldAttempt ? Math.max(1, refund.attempt - 1) : refund.attempt;
  const exists = !nothingThere.has(says);
  const ids = { own: `re_${refund.id}_${attempt}`, twin: `re_${refund.id}_${attempt}_twin` };
  const amounts = { same: refund.amount ?? 700n, other: 4321n, none: null };
  return Object.freeze({
    ...silent,
    says,
    attempt,
    providerRefundId: exists ? ids[id] : null,
    providerStatus: exists ? says : null,
    amount: exists ? amounts[amount] : null,
    currency: exists ? 'USD' : null,
    pendingReason: says === 'pending' && more ? 'processing' : null,
    bankReference: says === 'succeeded' && more ? '746' : null,
    refusal: says === 'refused' ? { code: 'charge_disputed', detail: '', attention: more } : null,
    at,
  });
}

/** Takes room by a decision: it may only come out of what was available. */
function deciding(books: Books, decision: () => void): void {
  const before = books.payment;
  decision();
  const taken = books.payment.reserved - before.reserved;
  assert.ok(taken <= 0n || taken <= available(before), `${taken} taken of ${available(before)}`);
}

/** A person or a worker does something to one refund, as far as the rules let them. */
function act(books: Books, refund: Refund, what: 'approve' | 'reject' | 'cancel' | 'retry' | 'submit', at: Date): void {
  const answers: Record<typeof what, () => Result<RefundEvent[], unknown>> = {
    approve: () => approve(refund, at),
    reject: () => reject(refund, at),
    cancel: () => cancel(refund, at),
    submit: () => ok(submit(refund, at)),
    retry: () => (decide(refund, books.payment).ok ? retry(refund, at) : ok([])),
  };
  deciding(books, () => {
    const answer = answers[what]();
    if (answer.ok) store(books, refund, answer.value);
  });
}

function live(books: Books, next: Step): void {
  books.now += 1;
  const at = minute(books.now);
  const asked = minute(books.now - ('ago' in next ? next.ago : 0));
  const chosen = 'which' in next ? books.refunds[next.which % books.refunds.length] : undefined;
  switch (next.do) {
    case 'order': {
      const money = { amount: next.amount, currency: next.amount === null ? null : 'USD', expectedAvailable: next.expected };
      const words = { reason: null, blockCustomer: false, reference: null, note: null, metadata: {} };
      return add(books, requested({ ...identity(books), ...money, ...words }, at));
    }
    case 'read': {
      const facts = { name: 'pi_1', aliases: [], currency: 'USD', basis: 'provider', paidAt: null, refusal: null } as const;
      books.payment = Object.freeze(recordFacts(books.payment, { ...facts, captured: next.captured, at: asked }));
      return;
    }
    case 'miss':
      books.payment = Object.freeze(recordAbsence(books.payment, asked));
      return;
    case 'admit': {
      const first = books.refunds.find((refund) => refund.status === 'requested');
      if (first === undefined) return;
      const terms = { now: at, factsMaxAgeMs: next.maxAge * 60_000, needsApproval: next.needsApproval };
      return deciding(books, () => {
        const admission = admit(first, books.payment, terms);
        if (admission.decided) store(books, first, admission.events);
      });
    }
    case 'discover': {
      const who = identity(books);
      const known = { attempt: 1, providerRefundId: `re_${who.id}_1`, providerStatus: next.says, currency: 'USD' };
      const report: RefundReport = { ...silent, ...known, says: next.says, amount: next.amount, at };
      return add(books, discovered({ ...who, report }, at), [report]);
    }
    case 'report': {
      if (chosen === undefined || (unsent.has(chosen.status) && !next.restored)) return;
      const report = reported(chosen, next, asked);
      const before = books.payment.reserved;
      store(books, chosen, recordReport(chosen, report));
      // What confirms a success is not stored, so the success counts from when it was first believed.
      if (chosen.status !== 'succeeded' || report.says !== 'succeeded') books.reports.get(chosen.id)?.push(report);
      // The database refuses a decision that takes too much; a fact must always be storable, so it never reserves.
      assert.ok(books.payment.reserved <= before, 'a report has reserved room');
      for (const now of books.refunds) {
        if (now.id === chosen.id) assert.deepEqual(recordReport(now, report), [], 'the same report again was news');
      }
      return;
    }
    default:
      if (chosen !== undefined) act(books, chosen, next.do, at);
  }
}

/** Whether the provider has shown this refund as paid, and never as failed or canceled since. */
function paid(reports: readonly RefundReport[]): boolean {
  const undone = (success: RefundReport) =>
    reports.some(
      (other) =>
        (other.says === 'failed' || other.says === 'canceled') &&
        other.attempt === success.attempt &&
        other.at >= success.at &&
        other.providerRefundId === success.providerRefundId,
    );
  return reports.some((report) => report.says === 'succeeded' && !undone(report));
}

function check({ payment, refunds, reports }: Books): void {
  const sum = (holds: Holds) =>
    refunds.filter((refund) => refund.holds === holds).reduce((total, refund) => total + (refund.amount ?? 0n), 0n);
  assert.equal(payment.reserved, sum('reserved'));
  assert.equal(payment.refunded, sum('refunded'));
  assert.equal(payment.waiting, refunds.filter((refund) => refund.status === 'requested').length);
  for (const { id, status, holds, attention, finalAt } of refunds) {
    const over = ['failed', 'reversed', 'canceled', 'rejected'].includes(status);
    assert.equal(finalAt !== null, over || status === 'succeeded');
    // What is under way or done holds its room; what has ended without money does not, unless a person must look.
    if (!over && status !== 'requested') assert.notEqual(holds, 'nothing', `${status} holds nothing`);
    if (over && attention !== 'contradiction') assert.equal(holds, 'nothing', `${status} holds ${holds}`);
    if (paid(reports.get(id) ?? [])) assert.notEqual(holds, 'nothing', `${status}, but money has left`);
  }
}

function play(steps: readonly Step[], each: (books: Books) => void): void {
  const books = opened();
  live(books, { do: 'read', captured: 10_000n, ago: 0 });
  for (const next of steps) {
    const before = books.payment;
    live(books, next);
    const now = books.payment;
    const changed = (['captured', 'reserved', 'refunded'] as const).some((figure) => now[figure] !== before[figure]);
    assert.ok(now.version >= before.version + (changed ? 1 : 0), 'figures changed without a new version');
    each(books);
  }
}

const history = fc.array(step, { minLength: 1, maxLength: 60, size: 'max' });

describe('A payment, through any history of refunds', () => {
  it('has books that agree with its refunds, gives no room twice, and never loses sight of money that has left', () => {
    fc.assert(
      fc.property(history, (steps) => play(steps, check)),
      { numRuns: 1000 },
    );
  });

  it('is overdrawn by the provider only, never by what we decide', () => {
    // Left out: what others refund, what a capture loses, and reports of money where we had none reserved.
    const ours = (next: Step) =>
      next.do === 'report' ? next.says === 'failed' : next.do === 'read' ? next.captured === 10_000n : next.do !== 'discover';
    fc.assert(
      fc.property(history, (steps) => play(steps.filter(ours), ({ payment }) => assert.ok(!overdrawn(payment)))),
      { numRuns: 300 },
    );
  });

  it('meets every status and every attention of the rules, else these histories would prove little', () => {
    const met = new Set<string>();
    for (const steps of fc.sample(history, { numRuns: 300, seed: 2026 })) {
      play(steps, ({ refunds }) => refunds.forEach(({ status, attention }) => met.add(status).add(`attention: ${attention}`)));
    }
    const attentions = [null, 'contradiction', 'late_reversal', 'unknown_provider_status', 'amount_differs', 'provider_refused'];
    expect([...met].sort()).toEqual([...refundStatuses, ...attentions.map((why) => `attention: ${why}`)].sort());
  });
});
