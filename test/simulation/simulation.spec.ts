import { describe, expect, it } from '@jest/globals';
import { addTo } from './coverage.js';
import { judge, judgeCommit, type Story } from './model.js';
import { tell } from './story.js';

const seeds = 200;

describe('A story', () => {
  it('is the same for the same seed, to the letter', async () => {
    const [one, again, another] = [await tell(7), await tell(7), await tell(8)];
    expect(again.lines.join('\n')).toBe(one.lines.join('\n'));
    expect(one.lines.length).toBeGreaterThan(200);
    expect(another.lines.join('\n')).not.toBe(one.lines.join('\n'));
  });

  it(`ends well, for each of ${seeds} seeds, whatever breaks on the way (F9, F10, F16, F19, F22, F23, F25, F26, F27, F28, F29)`, async () => {
    const met = new Map<string, number>();
    const wrong: string[] = [];
    for (let seed = 1; seed <= seeds; seed += 1) {
      const told = await tell(seed, 250);
      addTo(met, told.met);
      wrong.push(...told.wrong.map((each) => `seed ${seed}: ${each}`));
    }
    expect(wrong).toEqual([]);
    for (const what of [
      'process: killed',
      'process: frozen',
      'trouble: lost commit',
      'send: answer_lost',
      'bank: succeeded then failed',
    ]) {
      expect([what, met.get(what) ?? 0]).not.toEqual([what, 0]);
    }
  }, 180_000);
});

describe('Judgement of a commit', () => {
  const balance = { key: 'p', captured: 100n, reserved: 60n, refunded: 0n, disputed: 0n, lost: 0n };
  const holding = (amount: bigint) => ({ paymentKey: 'p', holds: 'reserved', amount });
  const before = new Map([['p', balance]]);

  it('finds nothing wrong where room is taken that is there, or facts leave none', () => {
    expect(judgeCommit(before, [{ ...balance, reserved: 100n }], [holding(100n)])).toEqual([]);
    expect(judgeCommit(before, [{ ...balance, disputed: 100n }], [holding(60n)])).toEqual([]);
  });

  it('finds room that is not there, and reserves that no refund holds', () => {
    expect(judgeCommit(before, [{ ...balance, reserved: 101n }], [holding(101n)])).toEqual([
      'room of payment p was taken that is not there: -1',
    ]);
    expect(judgeCommit(before, [{ ...balance, reserved: 59n }], [holding(60n)])).toEqual([
      'payment p has 59 reserved, and its refunds hold 60',
    ]);
  });
});

describe('Judgement', () => {
  const command = { commandId: 'c-1', refundId: 'rf_1', door: 'kafka', body: 'refund' } as const;
  const outcome = {
    topic: 'o',
    type: 'redress.command.accepted.v1',
    subject: 'c-1',
    payment: null,
    sequence: null,
    commandId: 'c-1',
    code: null,
    refund: null,
  };
  const event = (id: string, sequence: bigint) => {
    const about = { topic: 'e', type: 'redress.refund.requested.v1', subject: 'rf_1', payment: 'p' };
    return { id, ...about, sequence, commandId: null, code: null, refund: { id: 'rf_1', status: 'succeeded' } };
  };
  const moved = { provider: 'stripe', refundId: 'rf_1', payment: 'pi_1', amount: 60n, stands: true, says: 'succeeded' };
  const sound: Story = {
    deeds: [
      { ...command, did: 'invoked' },
      { ...command, did: 'ok' },
      { commandId: 'c-2', refundId: null, answers: 'du_1', door: 'http', body: 'submit', did: 'ok' },
    ],
    books: [{ ...moved, id: 're_1' }],
    unmade: new Set(),
    captured: new Map([['pi_1', 100n]]),
    told: [{ ...outcome, id: 'o-1' }, event('e-1', 1n), event('e-2', 2n)],
    refunds: [
      {
        id: 'rf_1',
        status: 'succeeded',
        providerRefundId: 're_1',
        provider: 'stripe',
        payment: 'p',
        amount: 60n,
        origin: 'command',
        attention: null,
      },
    ],
    published: [
      { topic: 'o', ids: ['o-1'] },
      { topic: 'e', ids: ['e-1', 'e-2', 'e-1'] },
    ],
    cases: [
      {
        id: 'du_1',
        stage: 'chargeback',
        status: 'under_review',
        answeredAt: ['chargeback'],
        givenUpAt: [],
        payment: 'pi_1',
        held: 40n,
      },
    ],
    keptCases: [{ id: 'du_1', stage: 'chargeback', status: 'under_review', attention: null, decision: 'done' }],
    balances: [{ key: 'p', name: 'pi_1', captured: 100n, reserved: 0n, refunded: 60n, disputed: 40n, lost: 0n }],
    hasPolicy: false,
    senseless: 1,
    letters: 1,
    lettersOut: 1,
  };
  const [refund] = sound.refunds;
  const [dispute] = sound.cases;
  const [balance] = sound.balances;
  const balanceOf = (doctored: object) => ({ balances: balance === undefined ? [] : [{ ...balance, ...doctored }] });
  const caseOf = (doctored: object) => ({ cases: dispute === undefined ? [] : [{ ...dispute, ...doctored }] });
  const onKafka = (...ids: string[]) => ({
    published: [
      { topic: 'o', ids: ['o-1'] },
      { topic: 'e', ids },
    ],
  });

  it('finds nothing wrong where nothing is', () => {
    expect(judge(sound)).toEqual([]);
  });

  it.each<[string, Partial<Story>, string]>([
    ['a refund that was made twice', { books: [...sound.books, { ...moved, id: 're_2' }] }, 'rf_1 has moved money 2 times'],
    ['money that nobody asked for', { books: [{ ...moved, id: 're_1', refundId: 'rf_9' }] }, 'nobody asked for re_1'],
    ['more than there was', { captured: new Map([['pi_1', 59n]]) }, '60 went back of pi_1'],
    [
      'an event that is missing',
      { told: [{ ...outcome, id: 'o-1' }, event('e-2', 2n)] },
      'event 1 of payment p has the number 2',
    ],
    [
      'two events that changed places',
      { told: [{ ...outcome, id: 'o-1' }, event('e-2', 2n), event('e-1', 1n)] },
      'event 1 of payment p has the number 2',
    ],
    ['an outcome that is missing', { told: [event('e-1', 1n)] }, 'command c-1 has 0 outcomes'],
    [
      'a second outcome',
      {
        told: [
          { ...outcome, id: 'o-1' },
          { ...outcome, id: 'o-2' },
        ],
      },
      'command c-1 has 2 outcomes',
    ],
    ['an event that is not on Kafka', onKafka('e-1'), 'e-2 is in 0 partitions of e'],
    ['two events that changed places on Kafka', onKafka('e-2', 'e-1'), 'e of payment p came in the order 2, 1'],
    ['an event on Kafka that nobody told', onKafka('e-1', 'e-2', 'e-9'), 'e-9 was never told on e'],
    ['a status of which nobody heard', { told: sound.told.slice(0, 1) }, 'rf_1 is succeeded, and was last told as undefined'],
    ['a dispute that was answered twice', caseOf({ answeredAt: ['chargeback', 'chargeback'] }), 'du_1 was answered twice'],
    ['an answer that nobody asked for', { deeds: sound.deeds.slice(0, 2) }, 'nobody asked to answer du_1'],
    ['what the bank denies', caseOf({ status: 'lost' }), 'the bank says of du_1 that it is chargeback, lost'],
    ['room that is kept for what is over', balanceOf({ reserved: 1n }), 'all refunds of pi_1 are over, and 1 are reserved'],
    ['a balance without what went back', balanceOf({ refunded: 0n }), '60 of pi_1 went back, and its balance says 0'],
    ['a balance without what a bank took', balanceOf({ disputed: 0n }), 'banks hold 40 of pi_1, and we say 0 and 0'],
    ['a letter that is lost', { letters: 0 }, '1 messages made no sense, 0 were set aside'],
    ['a letter that is not told', { lettersOut: 0 }, '1 were set aside, and 0 told on Kafka'],
    [
      'a failure that nobody spoke of',
      { told: [...sound.told, { ...event('e-3', 3n), type: 'redress.refund.failed.v1' }] },
      'rf_1 was told as failed, and nobody had said so',
    ],
    ['a refund that was promised and is not there', { refunds: [] }, 'rf_1 was taken on, and is not there'],
    ['what the provider denies', { books: [{ ...moved, id: 're_1', says: 'failed' }] }, 'says of re_1 that it is failed'],
    ['another amount than was asked for', { books: [{ ...moved, id: 're_1', amount: 50n }] }, 're_1 is of 50, and rf_1 of 60'],
    [
      'two answers to one command over HTTP',
      { deeds: [...sound.deeds, { commandId: 'c-2', refundId: null, door: 'http', body: 'submit', did: 'refused' }] },
      'c-2 submit was taken on and refused',
    ],
    [
      'what is stuck in silence',
      { books: [], refunds: refund === undefined ? [] : [{ ...refund, status: 'submitted' }] },
      'rf_1 is submitted, and asks for nobody',
    ],
  ])('finds %s', (_, doctored, why) => {
    expect(judge({ ...sound, ...doctored }).join('; ')).toContain(why);
  });
});
