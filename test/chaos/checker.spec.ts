import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { check } from './checker.js';
import type { Evidence, Kept } from './evidence.js';

/* A few payments out of a run of a minute with every fault; each story doctors one thing. */
const file = join(import.meta.dirname, '..', '..', '..', 'test', 'chaos', 'recorded.json');
const recorded = () => JSON.parse(readFileSync(file, 'utf8')) as Evidence;
const events = 'refunds.events.v1';
const rulesOf = (evidence: Evidence) => [...new Set(check(evidence).map(({ rule }) => rule))];

describe('The checker of the chaos rig', () => {
  it('finds nothing in what was recorded', () => {
    const evidence = recorded();
    expect(evidence.database.refunds.length).toBeGreaterThan(5);
    expect(check(evidence)).toEqual([]);
  });

  it("finds a refund that is doubled in the provider's book", () => {
    const evidence = recorded();
    const payments = evidence.books.payments.map((payment, at) => {
      const [first] = payment.refunds;
      return at === 0 && first !== undefined
        ? { ...payment, refunds: [...payment.refunds, { ...first, id: 're_again' }] }
        : payment;
    });
    const id = payments[0]?.refunds[0]?.metadata['redress_refund'];
    const findings = check({ ...evidence, books: { ...evidence.books, payments } });
    expect(findings).toContainEqual({
      rule: 'one effect per command',
      what: expect.stringContaining(`${id} was refunded 2 times`),
    });
  });

  it("finds a refund that is missing from the provider's book", () => {
    const evidence = recorded();
    const payments = evidence.books.payments.map((payment) => ({ ...payment, refunds: [] }));
    expect(rulesOf({ ...evidence, books: { ...evidence.books, payments } })).toContain('one effect per command');
  });

  it('finds a dispute that was answered twice', () => {
    const evidence = recorded();
    const twice = { id: 'du_1', status: 'under_review', submissions: 2, closes: 0 };
    const payments = evidence.books.payments.map((payment, at) => (at === 0 ? { ...payment, disputes: [twice] } : payment));
    const findings = check({ ...evidence, books: { ...evidence.books, payments } });
    expect(findings).toContainEqual({ rule: 'one answer per dispute', what: 'du_1 was answered 2 times, and given up 0 times' });
  });

  it('finds an order over Kafka without an outcome', () => {
    const evidence = recorded();
    const rest = { provider: 'stripe', paymentId: 'du_1', amount: 0, otherBody: false } as const;
    const order = { at: 0, door: 'kafka', what: 'order', key: 'o-1', ...rest, end: 'ok' } as const;
    expect(check({ ...evidence, history: [...evidence.history, order] })).toEqual([
      { rule: 'one outcome per command', what: 'the order o-1 has 0 outcomes' },
    ]);
  });

  it('finds an order that was taken and came to nothing, and one that came to what it should not', () => {
    const evidence = recorded();
    const [dispute] = evidence.database.disputes;
    const [refund] = evidence.database.refunds;
    const rest = { at: 0, provider: 'stripe', amount: 0, otherBody: false, end: 'ok' } as const;
    const order = (what: 'submit' | 'cancel', about = '') =>
      ({ ...rest, door: 'http', what: 'order', order: what, key: `o-${what}`, paymentId: about }) as const;
    const unanswered = (status: string) => ({
      ...evidence,
      history: [...evidence.history, order('submit', dispute?.ours)],
      database: {
        ...evidence.database,
        disputes: evidence.database.disputes.map((each) => ({ ...each, provider_status: status })),
      },
      books: {
        ...evidence.books,
        payments: evidence.books.payments.map((payment) => ({
          ...payment,
          disputes: payment.disputes.map((each) => ({ ...each, status, submissions: 0, closes: 0 })),
        })),
      },
    });
    expect(check(unanswered('lost'))).toEqual([
      { rule: 'one answer per dispute', what: `the order o-submit to submit ${dispute?.id} was taken, and has come to nothing` },
    ]);
    expect(check(unanswered('won'))).toEqual([]);
    const cancel = { ...evidence, history: [...evidence.history, order('cancel', refund?.id)] };
    expect(rulesOf(cancel)).toEqual(['one effect per command']);
  });

  it('finds a genuine webhook that was rejected, unless it had grown old under a clock that jumped', () => {
    const evidence = recorded();
    const rejected = (detail: string) => ({
      ...evidence,
      database: {
        ...evidence.database,
        deliveries: [...evidence.database.deliveries, { notice: null, disposition: 'rejected', detail }],
      },
    });
    expect(rulesOf(rejected('bad_signature: No key of ours made it.'))).toEqual(['webhooks disposed of']);
    expect(rulesOf(rejected('too_old: It was signed 1336 s ago.'))).toEqual([]);
  });

  it('finds a command that was set aside, and one that was refused for a fault of ours', () => {
    const evidence = recorded();
    const [outcome] = kept(evidence, 'refunds.outcomes.v1');
    const letter = { partition: 0, offset: 0, key: 'pi_1', id: 'dl_1', type: 'x', sequence: null };
    const aside = { ...evidence.topics, 'disputes.commands.v1.dlq': [letter] };
    expect(check({ ...evidence, topics: aside })).toEqual([
      { rule: 'one outcome per command', what: 'a command of pi_1 was set aside' },
    ]);
    const outcomes = kept(evidence, 'refunds.outcomes.v1').map((each) =>
      each === outcome ? { ...each, code: 'internal' } : each,
    );
    const findings = check({ ...evidence, topics: { ...evidence.topics, 'refunds.outcomes.v1': outcomes } });
    expect(findings).toContainEqual({
      rule: 'one outcome per command',
      what: `the command ${outcome?.commandId} was refused for a fault of ours`,
    });
  });

  it('finds an event that was sent to two partitions', () => {
    const evidence = recorded();
    const findings = check(
      onTopic(evidence, ([first, ...others]) =>
        first === undefined ? [] : [first, ...others, { ...first, partition: first.partition + 1 }],
      ),
    );
    expect(findings).toEqual([{ rule: 'in order', what: expect.stringContaining('several partitions') }]);
  });

  it('finds more refunded than was captured', () => {
    const evidence = recorded();
    const payments = evidence.books.payments.map((payment) => ({ ...payment, amount: 1 }));
    expect(rulesOf({ ...evidence, books: { ...evidence.books, payments } })).toContain('no more than captured');
  });

  it('finds a book that says less than was refunded, and one that says more where no person is told', () => {
    const evidence = recorded();
    for (const by of [-1, 1]) {
      const payments = evidence.database.payments.map((payment) => ({ ...payment, refunded: payment.refunded + by }));
      expect(rulesOf({ ...evidence, database: { ...evidence.database, payments } })).toEqual(['no more than captured']);
    }
  });

  it("finds a refund from the provider's dashboard that we were told of and do not know", () => {
    const evidence = recorded();
    const made = { id: 'refund_made_outside', amount: 1, status: 'succeeded', metadata: { reference_id: '' } };
    const withIt = (answers: readonly number[]) => {
      const payments = evidence.books.payments.map((payment) =>
        payment.provider === 'zamp' ? { ...payment, refunds: [...payment.refunds, made] } : payment,
      );
      const webhook = { id: 'callback_1', provider: 'zamp', type: 'refund succeeded', subject: made.id, answers };
      return rulesOf({ ...evidence, books: { payments, webhooks: [...evidence.books.webhooks, webhook] } });
    };
    expect(withIt([200])).toEqual(['no more than captured', 'webhooks disposed of', 'statuses agree']);
    expect(withIt([])).toEqual([]);
  });

  it('finds an event that Kafka does not have', () => {
    const evidence = recorded();
    const [, dropped] = kept(evidence, events);
    const findings = check(onTopic(evidence, (records) => records.filter(({ id }) => id !== dropped?.id)));
    expect(findings).toContainEqual({ rule: 'every event on Kafka', what: expect.stringContaining(dropped?.id ?? '') });
    expect(findings.map(({ rule }) => rule)).toContain('in order');
  });

  it('finds two events that stand in the wrong order', () => {
    const evidence = recorded();
    const findings = check(
      onTopic(evidence, ([first, second, ...rest]) => {
        const isPair = first?.key === second?.key && first?.key !== null;
        expect(isPair).toBe(true);
        return [second, first, ...rest].filter((record) => record !== undefined);
      }),
    );
    expect(findings).toEqual([{ rule: 'in order', what: expect.stringContaining(events) }]);
  });

  it('passes over an event that comes twice', () => {
    const evidence = recorded();
    expect(check(onTopic(evidence, (records) => [...records, ...records]))).toEqual([]);
  });

  it('finds a command without its outcome, and one with two', () => {
    const evidence = recorded();
    const outcomes = kept(evidence, 'refunds.outcomes.v1');
    const [first] = outcomes.filter(({ type }) => !type.includes('repeated'));
    const without = outcomes.filter(({ commandId }) => commandId !== first?.commandId);
    const twice = [...outcomes, ...(first === undefined ? [] : [{ ...first, id: 'evt_second' }])];
    for (const [records, count] of [
      [without, 0],
      [twice, 2],
    ] as const) {
      const findings = check({ ...evidence, topics: { ...evidence.topics, 'refunds.outcomes.v1': records } });
      expect(findings).toContainEqual({
        rule: 'one outcome per command',
        what: `the command ${first?.commandId} has ${count} outcomes`,
      });
    }
  });

  it('finds a webhook that was answered with 2xx and is nowhere', () => {
    const evidence = recorded();
    const database = { ...evidence.database, deliveries: [] };
    expect(rulesOf({ ...evidence, database })).toEqual(['webhooks disposed of']);
  });

  it('finds a feed that is not the log', () => {
    const evidence = recorded();
    expect(rulesOf({ ...evidence, feed: evidence.feed.slice(1) })).toEqual(['feed equals log']);
  });

  it('finds a status that is not the provider’s, and work that is left', () => {
    const evidence = recorded();
    const as = (status: string) => {
      const refunds = evidence.database.refunds.map((refund) => (refund.status === 'succeeded' ? { ...refund, status } : refund));
      return rulesOf({ ...evidence, database: { ...evidence.database, refunds } });
    };
    expect(as('pending')).toContain('statuses agree');
    expect(as('submitted')).toContain('nothing open without attention');
  });
});

function kept(evidence: Evidence, topic: string): readonly Kept[] {
  return evidence.topics[topic] ?? [];
}

function onTopic(evidence: Evidence, change: (records: readonly Kept[]) => readonly Kept[]): Evidence {
  return { ...evidence, topics: { ...evidence.topics, [events]: change(kept(evidence, events)) } };
}
