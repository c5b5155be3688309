import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { Dispute, Movement } from '../dispute/dispute.js';
import { accountDispute, available, effectOn, heardOf, joined, overdrawn, type Payment } from './payment.js';

const at = new Date('2026-03-01T12:00:00.000Z');
const later = new Date('2026-03-02T12:00:00.000Z');
const move = (kind: Movement['kind'], amount: bigint, id = `${kind}-${amount}`): Movement => ({
  id,
  kind,
  amount,
  currency: 'USD',
  fee: 0n,
  at,
});

function dispute(said: Partial<Dispute> = {}): Dispute {
  return {
    id: 'dp_1',
    account: 'default',
    provider: 'stripe',
    providerDisputeId: 'du_1',
    paymentKey: 'p',
    ordinal: null,
    stage: 'chargeback',
    status: 'needs_response',
    money: 'withdrawn',
    attention: null,
    providerStatus: 'needs_response',
    amount: 10_000n,
    currency: 'USD',
    reason: 'fraudulent',
    networkReasonCode: null,
    network: null,
    refundable: false,
    dueBy: null,
    decideBy: null,
    nextAlarmAt: null,
    alarms: 0,
    round: 1,
    submissions: 0,
    submissionsBefore: 0,
    decision: null,
    eligibilities: [],
    movements: [move('withdrawal', 10_000n)],
    disputed: 0n,
    lost: 0n,
    attempt: 1,
    reportedAt: at,
    openedAt: at,
    version: 1,
    createdAt: at,
    updatedAt: at,
    ...said,
  };
}

const payment = (said: Partial<Payment> = {}): Payment => ({
  ...heardOf('p', 'default', 'stripe', 'pi_1', true),
  currency: 'USD',
  captured: 10_000n,
  readAt: at,
  ...said,
});

const counted = (of: Payment, before: Dispute | null, after: Dispute): { payment: Payment; dispute: Dispute } => {
  const dispute = { ...after, ...effectOn(after, of) };
  return { payment: accountDispute(of, before, dispute), dispute };
};

describe('The balance of a disputed payment', () => {
  it('is lowered by a chargeback, and by no inquiry', () => {
    const inquiry = dispute({ stage: 'inquiry', movements: [], refundable: true });
    expect(available(counted(payment(), null, inquiry).payment)).toBe(10_000n);
    expect(counted(payment(), null, inquiry).payment.inquiries).toBe(1);
    expect(available(counted(payment(), null, dispute()).payment)).toBe(0n);
  });

  it('counts a chargeback as gone before its withdrawal is seen', () => {
    expect(effectOn(dispute({ movements: [] }), payment())).toEqual({ disputed: 10_000n, lost: 0n });
  });

  const statuses = ['needs_response', 'under_review', 'won', 'lost', 'closed', 'prevented', 'unknown'] as const;

  it.each(['inquiry', 'prevention', 'chargeback', 'appeal', 'compliance'] as const)(
    'is lowered by the stage of %s as long as nothing has moved, where that stage takes money and its end does not give it back',
    (stage) => {
      const takesMoney = stage === 'chargeback' || stage === 'appeal' || stage === 'compliance';
      for (const status of statuses) {
        const isOpen = status === 'needs_response' || status === 'under_review' || status === 'unknown';
        const [disputed, lost] = [takesMoney && isOpen ? 10_000n : 0n, takesMoney && status === 'lost' ? 10_000n : 0n];
        expect([status, effectOn(dispute({ stage, status, movements: [] }), payment())]).toEqual([status, { disputed, lost }]);
      }
    },
  );

  it.each(statuses)('has lost what was withdrawn for one that is %s, if it is over', (status) => {
    const isOver = status === 'lost' || status === 'closed' || status === 'prevented';
    const gone = { disputed: isOver ? 0n : 10_000n, lost: isOver ? 10_000n : 0n };
    expect(effectOn(dispute({ status }), payment())).toEqual(gone);
  });

  it('counts inquiries that are not over, and nothing else', () => {
    for (const stage of ['inquiry', 'chargeback'] as const) {
      for (const status of statuses) {
        const isOpen = status === 'needs_response' || status === 'under_review' || status === 'unknown';
        const of = counted(payment(), null, dispute({ stage, status, movements: [] }));
        expect([stage, status, of.payment.inquiries]).toEqual([stage, status, stage === 'inquiry' && isOpen ? 1 : 0]);
        const over = counted(of.payment, of.dispute, dispute({ stage, status: 'won', movements: [] }));
        expect(over.payment.inquiries).toBe(0);
      }
    }
  });

  it('rounds what is doubtful up to what is not there', () => {
    const settled = dispute({ amount: 10n, movements: [move('withdrawal', 3n), move('reinstatement', 1n)] });
    expect(effectOn(settled, payment())).toEqual({ disputed: 7n, lost: 0n });
  });

  it('is told in its own currency where that is not known yet', () => {
    expect(effectOn(dispute({ amount: 4_600n, currency: 'EUR', movements: [] }), payment({ currency: null }))).toEqual({
      disputed: 4_600n,
      lost: 0n,
    });
  });

  it('has a new version when it moves, and none when only the time of the reading does', () => {
    const first = counted(payment(), null, dispute());
    expect(first.payment).toMatchObject({ version: 1, refundableAt: at, refundable: false });
    expect(accountDispute(first.payment, first.dispute, first.dispute)).toBe(first.payment);
    const again = { ...first.dispute, reportedAt: later };
    expect(accountDispute(first.payment, first.dispute, again)).toEqual({ ...first.payment, refundableAt: later });
    const open = dispute({ refundable: true, reportedAt: later });
    expect(counted(first.payment, first.dispute, open).payment).toMatchObject({ refundable: true, version: 2 });
    const nothing = dispute({ status: 'won', movements: [], refundable: true });
    expect(counted(payment(), null, nothing).payment).toEqual(payment({ refundableAt: at }));
    const inquiry = dispute({ id: 'dp_2', stage: 'inquiry', movements: [] });
    expect(counted(first.payment, null, inquiry).payment).toMatchObject({ inquiries: 1, version: 2 });
    const lost = dispute({ id: 'dp_3', status: 'lost', movements: [move('withdrawal', 10n)], amount: 10n });
    expect(counted(first.payment, null, lost).payment).toMatchObject({ lost: 10n, version: 2 });
  });

  it('is refundable as the last one says of two that were read in one moment', () => {
    const first = counted(payment(), null, dispute());
    expect(counted(first.payment, null, dispute({ id: 'dp_2', refundable: true })).payment.refundable).toBe(true);
  });

  it('is given back by a reinstatement, wholly or by its share, and what stays away is lost', () => {
    const taken = counted(payment(), null, dispute());
    const won = dispute({
      status: 'won',
      movements: [move('withdrawal', 10_000n), move('reinstatement', 10_000n)],
      refundable: true,
    });
    expect(available(counted(taken.payment, taken.dispute, won).payment)).toBe(10_000n);
    const partly = dispute({ status: 'lost', movements: [move('withdrawal', 10_000n), move('reinstatement', 2_000n)] });
    expect(counted(taken.payment, taken.dispute, partly).payment).toMatchObject({ disputed: 0n, lost: 8_000n });
  });

  it('goes by the share where money moves in another currency of settlement', () => {
    const settled = dispute({ movements: [move('withdrawal', 9_200n), move('reinstatement', 2_300n)], status: 'lost' });
    expect(effectOn(settled, payment())).toEqual({ disputed: 0n, lost: 7_500n });
  });

  it('has nothing available while it cannot be told what a dispute in another currency takes, and else what moved', () => {
    const foreign = (movements: Movement[]) => dispute({ amount: 4_600n, currency: 'EUR', movements });
    const left = (movements: Movement[]) => available(counted(payment(), null, foreign(movements)).payment);
    expect(left([])).toBe(0n);
    expect(left([{ ...move('withdrawal', 4_000n), currency: 'GBP' }])).toBe(0n);
    expect(left([move('withdrawal', 5_000n)])).toBe(5_000n);
    expect(left([move('withdrawal', 5_000n), move('reinstatement', 2_000n)])).toBe(7_000n);
    expect(left([move('withdrawal', 5_000n), { ...move('reinstatement', 2_000n), currency: 'GBP' }])).toBe(4_000n);
  });

  it('sums disputes, and may end below nothing: 120 are lost on 100 where 20 were refunded first', () => {
    const refunded = payment({ refunded: 2_000n });
    const charged = counted(refunded, null, dispute({ status: 'lost' }));
    expect(charged.payment).toMatchObject({ lost: 10_000n, refunded: 2_000n });
    expect(overdrawn(charged.payment)).toBe(true);
    expect(available(charged.payment)).toBe(0n);
    const second = counted(
      charged.payment,
      null,
      dispute({ id: 'dp_2', amount: 3_000n, movements: [move('withdrawal', 3_000n)] }),
    );
    expect(second.payment).toMatchObject({ lost: 10_000n, disputed: 3_000n });
  });

  it('is refundable as the dispute says that was read last', () => {
    const first = counted(payment(), null, dispute({ reportedAt: later, refundable: true, status: 'won' }));
    const older = counted(first.payment, null, dispute({ id: 'dp_2', reportedAt: at, refundable: false }));
    expect(older.payment.refundable).toBe(true);
  });

  it('heard of under two names ends under one, with all of it', () => {
    const heard = counted(payment({ key: 'q', name: 'ch_1' }), null, dispute({ paymentKey: 'q' })).payment;
    const [sum, nothing] = joined(heard, payment({ refunded: 500n }));
    expect(sum).toMatchObject({ disputed: 10_000n, refunded: 500n, refundable: false });
    expect(nothing).toMatchObject({ disputed: 0n, lost: 0n, inquiries: 0 });
  });

  const nothing = { refunded: 0n, disputed: 0n, lost: 0n, waiting: 0, unknown: 0, inquiries: 0 };
  const all = { refunded: 1n, disputed: 2n, lost: 3n, waiting: 4, unknown: 5, inquiries: 6 };

  it('heard of under two names is the sum of both, and leaves nothing with the first', () => {
    const heard = payment({ key: 'q', name: 'ch_1', version: 7, ...all });
    const [sum, rest] = joined(heard, payment({ version: 1, ...all }));
    const twice = { refunded: 2n, disputed: 4n, lost: 6n, waiting: 8, unknown: 10, inquiries: 12 };
    expect(sum).toEqual(payment({ version: 2, ...twice }));
    expect(rest).toEqual({ ...heard, settled: false, ...nothing });
  });

  it.each([
    ['refunds', { refunded: 1n }, 1],
    ['disputes', { disputed: 1n }, 1],
    ['losses', { lost: 1n }, 1],
    ['inquiries', { inquiries: 1 }, 1],
    ['the last word on whether it can be refunded', { refundableAt: at }, 1],
    ['refunds that wait', { waiting: 1 }, 0],
    ['refunds of unknown outcome', { unknown: 1 }, 0],
    ['nothing', {}, 0],
  ])('heard of under two names has a new version for %s where money or what may be done with it changes', (_, said, more) => {
    expect(joined(payment(said), payment())[0].version).toBe(more);
  });

  it.each([
    [null, at, false],
    [at, null, true],
    [at, later, false],
    [later, at, true],
    [at, at, false],
    [null, null, false],
  ])('is refundable as the first name has it, heard of at %p, or the second, at %p: the first %p', (first, second, isFirst) => {
    const [sum] = joined(
      payment({ refundable: false, refundableAt: first }),
      payment({ refundable: true, refundableAt: second }),
    );
    expect(sum).toMatchObject({ refundable: !isFirst, refundableAt: isFirst ? first : second });
  });

  it('is always the sum of what its disputes take, whatever they go through', () => {
    const state = fc.record({
      which: fc.integer({ min: 0, max: 2 }),
      stage: fc.constantFrom('inquiry', 'chargeback', 'appeal') as fc.Arbitrary<Dispute['stage']>,
      status: fc.constantFrom('needs_response', 'under_review', 'won', 'lost', 'closed', 'prevented') as fc.Arbitrary<
        Dispute['status']
      >,
      amount: fc.bigInt({ min: 1n, max: 20_000n }),
      out: fc.bigInt({ min: 0n, max: 20_000n }),
      back: fc.bigInt({ min: 0n, max: 20_000n }),
    });
    fc.assert(
      fc.property(fc.array(state, { maxLength: 20 }), (states) => {
        let of = payment();
        const known = new Map<number, Dispute>();
        for (const { which, stage, status, amount, out, back } of states) {
          const movements = [
            ...(out > 0n ? [move('withdrawal', out)] : []),
            ...(out > 0n && back > 0n ? [move('reinstatement', back)] : []),
          ];
          const next = counted(of, known.get(which) ?? null, dispute({ id: `dp_${which}`, stage, status, amount, movements }));
          of = next.payment;
          known.set(which, next.dispute);
        }
        const sum = (part: 'disputed' | 'lost') => [...known.values()].reduce((total, each) => total + each[part], 0n);
        expect(of.disputed).toBe(sum('disputed'));
        expect(of.lost).toBe(sum('lost'));
        const inquiries = [...known.values()].filter(
          ({ stage, status }) => stage === 'inquiry' && (status === 'needs_response' || status === 'under_review'),
        );
        expect(of.inquiries).toBe(inquiries.length);
      }),
      { numRuns: 300 },
    );
  });
});
