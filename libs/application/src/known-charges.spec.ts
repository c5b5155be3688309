import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { EvidenceAnswer } from '#application/evidence-desk';
import type { PriorTransaction } from '#domain/dispute/evidence';
import { RedressInMemory } from '../../../test/fakes/redress-in-memory.js';

const day = 86_400_000;
const money = { amount: 10_000n, currency: 'USD' };
const path = 'enhancedEvidence.visaCompellingEvidence3.priorUndisputedTransactions';
const same = { customerAccountId: 'a-1', customerPurchaseIp: '203.0.113.7', productDescription: 'A chair' };
const eligibilities = [{ programme: 'visa_compelling_evidence_3', status: 'requires_action', requiredActions: [] }] as const;

let redress: RedressInMemory;
let daysAgo: (days: number) => Date;
beforeEach(() => {
  redress = new RedressInMemory();
  daysAgo = (days) => redress.stores.later(-days * day);
  redress.provider.pay('pi_1', money, { aliases: ['ch_1'], paidAt: daysAgo(0) });
  for (const days of [100, 200, 300]) {
    redress.provider.pay(`pi_${days}`, money, { aliases: [`ch_${days}`], paidAt: daysAgo(days) });
  }
});
afterEach(() => redress.check());

const opened = () => redress.hearOf(redress.bank.open('pi_1', money, { networkReasonCode: '10.4', eligibilities }));
let keys = 0;
/** An edit at the desk, as over HTTP. */
const name = (disputeId: string, ...charges: readonly string[]): Promise<EvidenceAnswer> => {
  const order = { account: 'default', provider: 'stripe', disputeId, source: 'ann', isOwnKey: true, seen: null };
  const priorUndisputedTransactions = charges.map((charge): PriorTransaction => ({ ...same, charge }));
  const disputedTransaction = { ...same, merchandiseOrServices: 'merchandise' } as const;
  const visaCompellingEvidence3 = { disputedTransaction, priorUndisputedTransactions };
  return redress.process().desk.edit({ enhancedEvidence: { visaCompellingEvidence3 } }, { ...order, key: `k-${(keys += 1)}` });
};
const findings = (answer: EvidenceAnswer) =>
  answer.kind === 'accepted'
    ? answer.evidence.findings.map(({ code, path: at }) => [code, at.replace(`${path}.`, '')])
    : [answer.code];
const readings = () => redress.provider.calls.filter(({ what }) => what === 'readPayment').map(({ of }) => of);

describe('An earlier payment that the evidence names', () => {
  it('is read, and then known to be 100 days older, so that the answer is not spent on it', async () => {
    const { id } = await opened();
    const unread = await name(id, 'ch_100', 'ch_200');
    expect(findings(unread)).toEqual([
      ['prior_charge_date_unknown', '0.charge'],
      ['prior_charge_date_unknown', '1.charge'],
    ]);
    await redress.work();
    expect(await redress.submit(id)).toBe('evidence_refused');
    expect(await redress.decideOn('redress.SubmitEvidence.v1', { disputeId: id, confirm: true, version: 2 })).toBe(
      'evidence_refused',
    );
    const told = redress.stores.commands.all().map(({ answer }) => JSON.parse(answer) as { detail?: string });
    expect(told.at(-1)?.detail).toContain(
      'at least 120 and at most 364 days older than the disputed one. It is 100.0 days older.',
    );
  });

  it('that is 200 days older lets the answer go out', async () => {
    const { id, providerDisputeId } = await opened();
    await name(id, 'ch_200', 'ch_300');
    await redress.work();
    expect(await redress.submit(id)).toBeNull();
    await redress.work();
    expect(redress.dispute(providerDisputeId).decision).toMatchObject({ state: 'done' });
  });

  it('is judged at once where it is known, by whichever name, and not read again', async () => {
    const { id } = await opened();
    await name(id, 'ch_100', 'pi_200');
    await redress.work();
    const before = readings();
    expect(before.toSorted()).toEqual(['ch_100', 'pi_1', 'pi_200']);
    expect(findings(await name(id, 'pi_200', 'pi_100'))).toEqual([['prior_charge_outside_window', '1.charge']]);
    expect(findings(await name(id, 'ch_200', 'ch_1'))).toEqual([['prior_charge_disputed', '1.charge']]);
    await redress.work();
    expect(readings()).toEqual(before);
  });

  it('is judged by a draft that goes out by itself, too', async () => {
    redress.policy = { fileAtDeadline: true, acceptBelow: {} };
    redress.restart();
    const { id, providerDisputeId } = await opened();
    await name(id, 'ch_100', 'ch_200');
    await redress.workFor(8 * day, 40);
    expect(redress.dispute(providerDisputeId).decision).toBeNull();
    expect(redress.toldOf(id)).toContain('deadline_missed');
  });

  it('stays unknown where the provider knows none such, which is a warning', async () => {
    const { id } = await opened();
    await name(id, 'ch_200', 'ch_nobodys');
    await redress.work();
    expect(findings(await name(id, 'ch_300', 'ch_nobodys'))).toEqual([
      ['prior_charge_date_unknown', '0.charge'],
      ['prior_charge_date_unknown', '1.charge'],
    ]);
    expect(await redress.submit(id)).toBeNull();
  });

  it('is one of two at the most, however many are named', async () => {
    const { id } = await opened();
    const before = readings();
    await name(id, ...Array.from({ length: 500 }, (_, n) => `ch_x${n}`));
    await redress.work();
    expect(readings().slice(before.length)).toEqual(['ch_x0', 'ch_x1']);
  });

  it('that can be the name of none is not looked for', async () => {
    const { id } = await opened();
    const before = readings();
    await name(id, 'ch_200/refunds', ' ');
    await redress.work();
    expect(readings()).toEqual(before);
  });

  it('has the disputed one read anew where its day is not known, as it was before days were kept', async () => {
    const { id } = await opened();
    const { paymentKey } = redress.dispute('du_1');
    await redress.stores.book.transact({ disputes: [id] }, (set) => set.setPayment({ ...set.payment(paymentKey), paidAt: null }));
    await name(id, 'ch_200', 'ch_300');
    expect(redress.open()).toContain('payment.read pi_1 open');
    await redress.work();
    expect(redress.payment('pi_1').paidAt).toEqual(daysAgo(0));
    expect(await redress.submit(id)).toBeNull();
  });
});
