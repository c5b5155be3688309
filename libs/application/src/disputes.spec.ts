import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { available, overdrawn } from '#domain/payment/payment';
import { RedressInMemory } from '../../../test/fakes/redress-in-memory.js';
import type { BookedDispute, DisputeFate } from '../../../test/fakes/scripted-disputes.js';

const minute = 60_000;
const hour = 60 * minute;
const day = 24 * hour;
const hundred = { amount: 10_000n, currency: 'USD' };

let redress: RedressInMemory;
beforeEach(() => {
  redress = new RedressInMemory();
  redress.provider.pay('pi_1', hundred, { aliases: ['ch_1'] });
});
afterEach(() => redress.check());

const opened = async (more: Parameters<RedressInMemory['bank']['open']>[2] = {}, money = hundred) => {
  const booked = redress.bank.open('pi_1', money, more);
  return { booked, dispute: await redress.hearOf(booked) };
};
const answered = async ({ booked, id }: { booked: BookedDispute; id: string }) => {
  await redress.write(id, { uncategorizedText: 'The parcel came.' });
  return { booked, refused: await redress.submit(id) };
};
const outcomes = () => redress.outcomes();

describe('A dispute', () => {
  it('is read after its webhook, takes its money from the balance, and its payment is read as well', async () => {
    const { dispute } = await opened();
    expect(dispute).toMatchObject({ stage: 'chargeback', status: 'needs_response', money: 'withdrawn', disputed: 10_000n });
    expect(redress.payment('pi_1')).toMatchObject({ captured: 10_000n, disputed: 10_000n, refundable: false });
    expect(redress.toldOf(dispute.id)).toEqual(['opened', 'funds_withdrawn']);
    expect(redress.dispositions()).toEqual(['applied']);
  });

  it('whose webhook was lost is found by the sweep, in whatever page', async () => {
    await redress.process().beginSweeps();
    for (const _ of [1, 2, 3, 4, 5]) redress.bank.open('pi_1', { amount: 1_000n, currency: 'USD' });
    await redress.workFor(16 * minute);
    expect(redress.payment('pi_1').disputed).toBe(5_000n);
  });

  it('is read again while it is open, the more often the nearer its deadline', async () => {
    const { booked, dispute } = await opened();
    redress.bank.lose(booked.id);
    await redress.workFor(5 * hour, 60);
    expect(redress.dispute(booked.id)).toMatchObject({ id: dispute.id, status: 'lost', lost: 10_000n });
  });

  it('that is decided weeks after it was answered, without a webhook, is followed to its end', async () => {
    await redress.process().beginSweeps();
    const { booked, dispute } = await opened();
    await answered({ booked, id: dispute.id });
    await redress.workFor(30 * day, 120);
    expect(redress.dispute(booked.id).status).toBe('under_review');
    redress.bank.win(booked.id);
    await redress.workFor(2 * day, 40);
    expect(redress.dispute(booked.id)).toMatchObject({ status: 'won', money: 'reinstated' });
  });

  it('is read again while the bank decides, and so ends though no webhook comes', async () => {
    const { booked, dispute } = await opened();
    await answered({ booked, id: dispute.id });
    await redress.work();
    await redress.workFor(13 * hour, 30);
    expect(redress.dispute(booked.id).status).toBe('under_review');
    redress.bank.win(booked.id);
    await redress.workFor(13 * hour, 30);
    expect(redress.dispute(booked.id)).toMatchObject({ status: 'won', money: 'reinstated' });
  });

  it('that is over is still listed for a year, since banks change their minds and webhooks get lost', async () => {
    await redress.process().beginSweeps();
    const { booked } = await opened();
    redress.bank.win(booked.id);
    await redress.workFor(90 * day, 180);
    redress.bank.lose(booked.id);
    await redress.workFor(25 * hour);
    expect(redress.dispute(booked.id)).toMatchObject({ status: 'lost', money: 'withdrawn', attention: 'decision_reversed' });
    expect(redress.payment('pi_1')).toMatchObject({ lost: 10_000n, refundable: false });
  });

  it('heard of twice at once is one dispute', async () => {
    const booked = redress.bank.open('pi_1', hundred);
    await redress.notice('a', { about: 'dispute', providerDisputeId: booked.id, payment: 'pi_1' });
    await redress.notice('b', { about: 'dispute', providerDisputeId: booked.id, payment: 'pi_1' });
    await redress.work();
    expect(redress.stores.disputes.disputes.all()).toHaveLength(1);
    expect(redress.dispositions()).toEqual(['applied', 'applied']);
  });

  it('that cannot be read in a list is read by itself, and keeps no other from being seen', async () => {
    await redress.process().beginSweeps();
    redress.provider.pay('pi_2', hundred);
    const [broken, sound] = [redress.bank.open('pi_1', hundred), redress.bank.open('pi_2', hundred)];
    redress.bank.unreadable.add(broken.id);
    await redress.workFor(16 * minute);
    for (const { id } of [broken, sound]) expect(redress.dispute(id).status).toBe('needs_response');
  });

  it('that a sweep or a payment shows while its own reading is open is one dispute', async () => {
    await redress.process().beginSweeps();
    await redress.refund('pi_1', 100);
    await redress.work();
    redress.bank.nextReads('failed');
    const booked = redress.bank.open('pi_1', hundred);
    await redress.notice('a', { about: 'dispute', providerDisputeId: booked.id, payment: 'pi_1' });
    await redress.work();
    await redress.workFor(17 * minute, 60);
    expect(redress.failures).toEqual([]);
    expect(redress.dispute(booked.id)).toMatchObject({ status: 'needs_response', disputed: 10_000n });
  });

  it('that a payment shows first, while its own reading is open, is one dispute', async () => {
    redress.provider.pay('pi_2', hundred);
    const booked = redress.bank.open('pi_2', hundred);
    redress.bank.nextReads(...Array.from<DisputeFate>({ length: 3 }).fill('failed'));
    await redress.notice('a', { about: 'dispute', providerDisputeId: booked.id, payment: null });
    await redress.work();
    await redress.refund('pi_2', 100);
    await redress.workFor(hour, 60);
    expect(redress.failures).toEqual([]);
    expect(redress.dispute(booked.id)).toMatchObject({ status: 'needs_response', disputed: 10_000n });
  });

  it('that a payment shows to have escalated wants another answer, with what was written before', async () => {
    const { booked, dispute } = await opened({ stage: 'inquiry' });
    await answered({ booked, id: dispute.id });
    await redress.work();
    redress.bank.moveTo(booked.id, 'chargeback');
    await redress.notice('p', { about: 'payment', payment: 'pi_1', claim: null, readUnheard: true });
    await redress.work();
    expect(redress.failures).toEqual([]);
    expect(redress.dispute(booked.id)).toMatchObject({ stage: 'chargeback', round: 2, decision: null });
    expect(booked.held.content).toEqual({ uncategorizedText: 'The parcel came.' });
  });

  it('in another currency leaves nothing available, and a person is told', async () => {
    const { dispute } = await opened({}, { amount: 4_000n, currency: 'EUR' });
    await redress.work();
    expect(available(redress.payment('pi_1'))).toBe(0n);
    await redress.workFor(5 * hour, 60);
    expect(redress.dispute(dispute.providerDisputeId).attention).toBe('foreign_currency');
  });

  it('after a refund overdraws the payment, which is told and not refused, and the refund is the answer', async () => {
    const { booked, dispute } = await opened({ stage: 'inquiry', refundable: true });
    expect(redress.payment('pi_1').inquiries).toBe(1);
    const refund = await redress.refund('pi_1', 2_000);
    await redress.work();
    expect(redress.of(refund).status).toBe('succeeded');
    redress.bank.moveTo(booked.id, 'chargeback');
    await redress.hearOf(booked);
    expect(overdrawn(redress.payment('pi_1'))).toBe(true);
    expect(redress.dispute(booked.id).attention).toBe('payment_overdrawn');
    const draft = redress.stores.disputes.drafts.get(dispute.id);
    expect(draft?.content.refundRefusalExplanation).toContain('20.00 USD');
    expect(draft?.changes.at(-1)).toMatchObject({ by: 'redress', fields: ['refundRefusalExplanation'] });
    const again = await redress.refund('pi_1', 100);
    await redress.work();
    expect(redress.of(again)).toMatchObject({ status: 'rejected', rejection: { code: 'payment_disputed' } });
  });

  it('keeps what a person wrote where a refund would be explained', async () => {
    const { booked, dispute } = await opened({ stage: 'inquiry', refundable: true });
    await redress.write(dispute.id, { refundRefusalExplanation: 'We agreed on a partial refund.' });
    await redress.refund('pi_1', 2_000);
    await redress.work();
    redress.bank.moveTo(booked.id, 'chargeback');
    await redress.hearOf(booked);
    const draft = redress.stores.disputes.drafts.get(dispute.id);
    expect(draft?.content.refundRefusalExplanation).toBe('We agreed on a partial refund.');
  });

  it('that is won gives its money back to the balance', async () => {
    const { booked } = await opened();
    redress.bank.win(booked.id);
    await redress.hearOf(booked);
    expect(redress.payment('pi_1')).toMatchObject({ disputed: 0n, lost: 0n, refundable: true });
    expect(available(redress.payment('pi_1'))).toBe(10_000n);
  });
});

describe('An answer', () => {
  it('goes out once, as it stood, after it was staged', async () => {
    const { booked, dispute } = await opened();
    await redress.write(dispute.id, { uncategorizedText: 'First.' });
    await redress.work();
    expect(booked.staged).toBe(1);
    expect(booked.held.content.uncategorizedText).toBe('First.');
    await redress.write(dispute.id, { uncategorizedText: 'The parcel came.' });
    expect(await redress.submit(dispute.id)).toBeNull();
    await redress.work();
    expect(booked.answers).toMatchObject([{ content: { uncategorizedText: 'The parcel came.' } }]);
    expect(redress.dispute(booked.id)).toMatchObject({ status: 'under_review', decision: { state: 'done', version: 3 } });
    const [packet] = redress.stores.disputes.packets.all();
    expect(packet).toMatchObject({ content: { uncategorizedText: 'The parcel came.' }, submittedAt: expect.any(Date) });
    expect(redress.toldOf(dispute.id)).toEqual([
      'opened',
      'funds_withdrawn',
      'evidence_staged',
      'evidence_submitted',
      'under_review',
    ]);
  });

  it.each<{ fate: DisputeFate }>([
    { fate: 'answer_lost' },
    { fate: 'call_lost' },
    { fate: 'done_and_failed' },
    { fate: 'later' },
    { fate: 'locked' },
  ])('reaches the bank once although its call was $fate', async ({ fate }) => {
    const { booked, dispute } = await opened();
    await redress.write(dispute.id, { uncategorizedText: 'The parcel came.' });
    await redress.work();
    redress.bank.nextSends(fate);
    await redress.submit(dispute.id);
    await redress.workFor(2 * minute);
    expect(booked.answers).toHaveLength(1);
    expect(redress.dispute(booked.id)).toMatchObject({ decision: { by: 'shop', state: 'done' }, attention: null });
  });

  it('whose key keeps an error goes out under a new key, after several looks in vain', async () => {
    const { booked, dispute } = await opened();
    await redress.write(dispute.id, { uncategorizedText: 'The parcel came.' });
    await redress.work();
    redress.bank.nextSends('failed');
    await redress.submit(dispute.id);
    await redress.workFor(30 * minute, 200);
    expect(booked.answers).toHaveLength(1);
    const keys = redress.bank.calls.filter(({ what }) => what === 'submit').map(({ key }) => key);
    expect(new Set(keys).size).toBe(2);
    expect(redress.dispute(booked.id)).toMatchObject({ attempt: 2, decision: { state: 'done' } });
  });

  it('that gets nowhere is shown to a person, and tried on', async () => {
    const { booked, dispute } = await opened();
    await redress.write(dispute.id, { uncategorizedText: 'The parcel came.' });
    await redress.work();
    redress.bank.nextSends(...Array.from<DisputeFate>({ length: 12 }).fill('call_lost'));
    await redress.submit(dispute.id);
    await redress.workFor(20 * minute, 200);
    expect(redress.dispute(booked.id).attention).toBe('outcome_unknown');
    await redress.workFor(2 * hour, 200);
    expect(booked.answers).toHaveLength(1);
    expect(redress.dispute(booked.id)).toMatchObject({ attention: null, decision: { state: 'done' } });
  });

  it('survives the death of its process at any moment', async () => {
    const { booked, dispute } = await opened();
    await answered({ booked, id: dispute.id });
    await redress.process().operations.round();
    redress.restart();
    await redress.workFor(2 * minute);
    expect(booked.answers).toHaveLength(1);
    expect(redress.dispute(booked.id).decision).toMatchObject({ state: 'done' });
  });

  it('that a colleague gave a moment before is theirs', async () => {
    const { booked, dispute } = await opened();
    redress.bank.answerElsewhere(booked.id);
    await answered({ booked, id: dispute.id });
    await redress.work();
    expect(booked.answers.map(({ by }) => by)).toEqual(['manual']);
    expect(redress.dispute(booked.id)).toMatchObject({ attention: 'answered_elsewhere', decision: { version: null } });
  });

  it('given between our look and our call is theirs too', async () => {
    const { booked, dispute } = await opened();
    await redress.write(dispute.id, { uncategorizedText: 'The parcel came.' });
    await redress.work();
    redress.bank.betweenLookAndSend = () => redress.bank.answerElsewhere(booked.id, 'smart_disputes');
    await redress.submit(dispute.id);
    await redress.work();
    expect(booked.answers).toHaveLength(1);
    expect(redress.dispute(booked.id).decision).toMatchObject({ by: 'smart_disputes', version: null });
  });

  it('is not held up by a document whose upload fails under its key', async () => {
    const { booked, dispute } = await opened();
    redress.bank.nextSends('failed');
    await redress.attach(dispute.id, 'receipt.pdf');
    await redress.submit(dispute.id);
    await redress.workFor(30 * minute, 200);
    expect(redress.bank.files.map(({ name }) => name)).toEqual(['receipt.pdf']);
    expect(booked.answers).toMatchObject([{ files: [{ place: 'receipt' }] }]);
  });

  it('has each document with the provider as soon as it is there, also behind what was written before', async () => {
    const { booked, dispute } = await opened();
    await redress.write(dispute.id, { uncategorizedText: 'The parcel came.' });
    await redress.attach(dispute.id, 'receipt.pdf');
    await redress.work();
    expect(booked.held).toMatchObject({ content: { uncategorizedText: 'The parcel came.' }, files: [{ place: 'receipt' }] });
  });

  it('waits while nobody knows what the provider says of the dispute, and goes out when that is over', async () => {
    const { booked, dispute } = await opened();
    await redress.write(dispute.id, { uncategorizedText: 'The parcel came.' });
    await redress.work();
    redress.bank.becomes(booked.id, 'unknown', 'on_the_moon');
    await redress.submit(dispute.id);
    await redress.hearOf(booked);
    await redress.workFor(hour, 60);
    expect(redress.dispute(booked.id)).toMatchObject({ attention: 'unknown_provider_status', decision: { kind: 'submit' } });
    expect(booked.answers).toHaveLength(0);
    redress.bank.becomes(booked.id, 'needs_response');
    await redress.workFor(hour, 60);
    expect(booked.answers.map(({ key }) => key === null)).toEqual([false]);
    expect(redress.dispute(booked.id)).toMatchObject({ attention: null, decision: { by: 'shop', state: 'done' } });
  });

  it('of a colleague, given while our look led nowhere, is theirs', async () => {
    const { booked, dispute } = await opened();
    await redress.write(dispute.id, { uncategorizedText: 'The parcel came.' });
    await redress.work();
    redress.bank.nextLooks('failed', 'failed');
    await redress.submit(dispute.id);
    await redress.work();
    redress.bank.answerElsewhere(booked.id);
    await redress.workFor(minute);
    expect(redress.dispute(booked.id)).toMatchObject({ attention: 'answered_elsewhere', decision: { version: null } });
  });

  it('that cannot get out is told when our deadline comes, and again when the dispute is lost', async () => {
    const { booked, dispute } = await opened();
    await redress.write(dispute.id, { uncategorizedText: 'The parcel came.' });
    await redress.work();
    redress.bank.nextSends(...Array.from<DisputeFate>({ length: 5_000 }).fill('call_lost'));
    await redress.submit(dispute.id);
    await redress.workFor(7 * day + hour, 300);
    expect(redress.dispute(booked.id)).toMatchObject({ attention: 'answer_not_out', decision: { state: 'outcome_unknown' } });
    redress.bank.lose(booked.id);
    await redress.workFor(day, 100);
    expect(booked.answers).toHaveLength(0);
    expect(redress.dispute(booked.id)).toMatchObject({ status: 'lost', attention: 'answer_not_out' });
    expect(redress.toldOf(dispute.id)).toContain('attention_needed');
  });

  it('to an inquiry that has become a chargeback meanwhile is not spent on that', async () => {
    const { booked, dispute } = await opened({ stage: 'inquiry' });
    await redress.write(dispute.id, { uncategorizedText: 'The parcel came.' });
    await redress.work();
    redress.bank.moveTo(booked.id, 'chargeback');
    await redress.submit(dispute.id);
    await redress.work();
    expect(booked.answers).toHaveLength(0);
    expect(redress.dispute(booked.id)).toMatchObject({ stage: 'chargeback', decision: null, round: 2 });
  });

  it('that the provider refuses leaves the decision open', async () => {
    const { booked, dispute } = await opened();
    await redress.write(dispute.id, { uncategorizedText: 'The parcel came.' });
    await redress.work();
    redress.bank.nextSends('refused');
    await redress.submit(dispute.id);
    await redress.work();
    expect(redress.dispute(booked.id)).toMatchObject({ decision: null, attention: 'provider_refused' });
    expect(await redress.submit(dispute.id)).toBeNull();
    await redress.work();
    expect(booked.answers).toHaveLength(1);
  });

  it('is refused up front where nothing could come of it', async () => {
    const { booked, dispute } = await opened();
    const { id: disputeId } = dispute;
    const submit = (body: object) => redress.decideOn('redress.SubmitEvidence.v1', { disputeId, confirm: true, ...body });
    expect(await submit({ confirm: false, version: 1 })).toBe('confirmation_missing');
    expect(await submit({ version: 7 })).toBe('evidence_changed');
    expect(await submit({ version: 1 })).toBe('evidence_empty');
    expect(await submit({ disputeId: 'dp_0', version: 1 })).toBe('dispute_not_found');
    const version = await redress.write(disputeId, { uncategorizedText: 'x'.repeat(20_001) });
    expect(await submit({ version })).toBe('evidence_refused');
    const better = await redress.write(disputeId, { uncategorizedText: 'Short.' });
    expect(await submit({ version: better })).toBeNull();
    expect(await submit({ version: better })).toBe('already_submitted');
    await redress.work();
    redress.bank.lose(booked.id);
    await redress.hearOf(booked);
    expect(await submit({ version: better })).toBe('dispute_not_open');
  });

  it('written with a part of an appeal too early, and without it after all, goes out', async () => {
    const { booked, dispute } = await opened();
    await redress.write(dispute.id, {
      appeal: { card: { reasonForFiling: 'Too early.' } },
      uncategorizedText: 'The parcel came.',
    });
    await redress.work();
    expect(booked.held.content.appeal).toBeUndefined();
    expect(await redress.submit(dispute.id)).toBe('evidence_refused');
    await redress.write(dispute.id, { appeal: null });
    await redress.work();
    expect(await redress.submit(dispute.id)).toBeNull();
    await redress.work();
    expect(booked.answers).toHaveLength(1);
  });

  it('is given to the provider to hold again when another stage begins', async () => {
    const { booked, dispute } = await opened({ stage: 'inquiry' });
    await redress.write(dispute.id, { uncategorizedText: 'The parcel came.' });
    await redress.work();
    redress.bank.moveTo(booked.id, 'chargeback');
    await redress.hearOf(booked);
    await redress.work();
    expect(booked.staged).toBe(2);
  });

  it('has one outcome for its command, and the same again for a repeat', async () => {
    const { dispute } = await opened();
    const version = await redress.write(dispute.id, { uncategorizedText: 'Short.' });
    const body = { disputeId: dispute.id, confirm: true, version };
    expect(await redress.decideOn('redress.SubmitEvidence.v1', body, { key: 'one' })).toBeNull();
    expect(await redress.decideOn('redress.SubmitEvidence.v1', body, { key: 'one' })).toBeNull();
    expect(await redress.decideOn('redress.SubmitEvidence.v1', { ...body, version: 9 }, { key: 'one' })).toBe(
      'idempotency_key_reused',
    );
    const told = redress.stores.events
      .where(({ topic }) => topic === 'disputes.outcomes.v1')
      .map(({ type }) => type.split('.')[2]);
    expect(told).toEqual(['accepted', 'repeated', 'rejected']);
    expect(outcomes()).toEqual([]);
  });
});

describe('Giving a dispute up', () => {
  it('is done once, and told', async () => {
    const { booked, dispute } = await opened();
    redress.bank.nextSends('answer_lost');
    expect(await redress.decideOn('redress.AcceptDispute.v1', { disputeId: dispute.id, confirm: true })).toBeNull();
    await redress.workFor(2 * minute);
    expect(booked.closedAt).toEqual(['chargeback']);
    expect(redress.dispute(booked.id)).toMatchObject({ status: 'lost', decision: { kind: 'accept', state: 'done' } });
    expect(redress.toldOf(dispute.id)).toEqual(['opened', 'funds_withdrawn', 'accepted', 'lost']);
  });

  it('waits where the account cannot be called, and goes on when somebody has mended it', async () => {
    const { booked, dispute } = await opened();
    redress.bank.nextSends('parked');
    await redress.decideOn('redress.AcceptDispute.v1', { disputeId: dispute.id, confirm: true });
    await redress.work();
    expect(redress.dispute(booked.id).attention).toBe('operation_parked');
    await redress.decideOn('redress.SyncDispute.v1', { disputeId: dispute.id });
    await redress.work();
    expect(redress.dispute(booked.id)).toMatchObject({ attention: null, decision: { state: 'done' } });
  });
});

describe('A deadline', () => {
  it('is told of before it comes, and when it was missed', async () => {
    const { dispute } = await opened();
    await redress.workFor(7 * day + hour, 200);
    expect(redress.toldOf(dispute.id)).toEqual([
      'opened',
      'funds_withdrawn',
      'deadline_approaching',
      'deadline_approaching',
      'deadline_missed',
      'attention_needed',
    ]);
  });

  it('is let pass on purpose, and then nobody is reminded', async () => {
    const { dispute } = await opened();
    expect(await redress.decideOn('redress.LetDisputePass.v1', { disputeId: dispute.id, reason: 'small' })).toBeNull();
    await redress.workFor(7 * day + hour, 100);
    expect(redress.toldOf(dispute.id)).toEqual(['opened', 'funds_withdrawn', 'let_pass']);
  });

  it('comes, and a policy files the evidence as it stands', async () => {
    redress.policy = { fileAtDeadline: true, acceptBelow: {} };
    redress.restart();
    const { booked, dispute } = await opened();
    await redress.write(dispute.id, { uncategorizedText: 'The parcel came.' });
    await redress.workFor(7 * day + hour, 200);
    expect(booked.answers).toHaveLength(1);
    expect(redress.dispute(booked.id).decision).toMatchObject({ kind: 'submit', by: 'policy', state: 'done' });
    expect(redress.toldOf(dispute.id)).not.toContain('deadline_missed');
  });

  it('comes, and what a policy cannot file is told as missed', async () => {
    redress.policy = { fileAtDeadline: true, acceptBelow: {} };
    redress.restart();
    const { booked, dispute } = await opened();
    await redress.workFor(7 * day + hour, 200);
    expect(booked.answers).toHaveLength(0);
    expect(redress.toldOf(dispute.id)).toContain('deadline_missed');
  });

  it('comes, and a policy accepts what is small', async () => {
    redress.policy = { fileAtDeadline: true, acceptBelow: { USD: 10_001n } };
    redress.restart();
    const { booked, dispute } = await opened();
    await redress.write(dispute.id, { uncategorizedText: 'The parcel came.' });
    await redress.workFor(7 * day + hour, 200);
    expect(booked).toMatchObject({ closedAt: ['chargeback'], status: 'lost' });
    expect(redress.dispute(booked.id).decision).toMatchObject({ kind: 'accept', by: 'policy' });
  });
});

describe('A warning of fraud', () => {
  it('is kept and told once, and followed', async () => {
    const warning = redress.bank.warn('pi_1');
    const heard = { about: 'warning', providerWarningId: warning.id, payment: 'pi_1' } as const;
    await redress.notice('a', heard);
    await redress.work();
    warning.actionable = false;
    redress.pass(minute);
    await redress.notice('b', heard);
    await redress.work();
    expect(redress.stores.disputes.warnings.all()).toMatchObject([{ providerWarningId: warning.id, actionable: false }]);
    const told = redress.stores.events.where(({ type }) => type === 'redress.fraud_warning.received.v1');
    expect(told).toHaveLength(1);
    expect(redress.dispositions()).toEqual(['applied', 'applied']);
  });
});

describe('What never left us', () => {
  it('is not credited to us when a colleague answers meanwhile, though the webhook is faster than our next look', async () => {
    const { booked, dispute } = await opened();
    await redress.write(dispute.id, { uncategorizedText: 'The parcel came.' });
    await redress.work();
    redress.bank.nextLooks('failed', 'failed');
    await redress.submit(dispute.id);
    await redress.work();
    redress.bank.answerElsewhere(booked.id);
    await redress.hearOf(booked);
    await redress.workFor(hour, 60);
    expect(booked.answers.map(({ key }) => key)).toEqual([null]);
    expect(redress.dispute(booked.id)).toMatchObject({ attention: 'answered_elsewhere', decision: { version: null } });
  });

  it('is not credited to us when a colleague answers while it is parked', async () => {
    const { booked, dispute } = await opened();
    await redress.write(dispute.id, { uncategorizedText: 'The parcel came.' });
    await redress.work();
    redress.bank.nextLooks('parked');
    await redress.submit(dispute.id);
    await redress.work();
    expect(redress.dispute(booked.id).attention).toBe('operation_parked');
    redress.bank.answerElsewhere(booked.id);
    await redress.hearOf(booked);
    await redress.workFor(hour, 60);
    expect(redress.dispute(booked.id)).toMatchObject({ decision: { version: null } });
  });

  it('asks for a person when the dispute is over, who can end that', async () => {
    const { booked, dispute } = await opened();
    await redress.write(dispute.id, { uncategorizedText: 'The parcel came.' });
    await redress.work();
    redress.bank.nextLooks('parked');
    await redress.submit(dispute.id);
    await redress.work();
    redress.bank.lose(booked.id);
    await redress.hearOf(booked);
    await redress.workFor(hour, 60);
    const refused = await redress.decideOn('redress.AcknowledgeDispute.v1', { disputeId: dispute.id });
    await redress.decideOn('redress.SyncDispute.v1', { disputeId: dispute.id });
    await redress.workFor(hour, 60);
    expect([refused, redress.dispute(booked.id).attention, redress.open()]).toEqual([null, null, []]);
  });

  it('is told once, where it is a document', async () => {
    const { dispute } = await opened();
    redress.bank.nextSends(...Array.from<DisputeFate>({ length: 5_000 }).fill('call_lost'));
    await redress.attach(dispute.id, 'receipt.pdf');
    await redress.workFor(3 * day, 800);
    const told = redress.toldOf(dispute.id).filter((type) => type === 'attention_needed');
    expect(told).toHaveLength(1);
  });

  it('keeps nobody busy, decided shortly before our deadline', async () => {
    const { booked, dispute } = await opened();
    await redress.write(dispute.id, { uncategorizedText: 'The parcel came.' });
    await redress.work();
    await redress.workFor(7 * day - 2 * minute, 200);
    redress.bank.nextSends(...Array.from<DisputeFate>({ length: 500 }).fill('call_lost'));
    await redress.submit(dispute.id);
    redress.pass(2 * minute);
    const before = redress.dispute(booked.id).version;
    for (let round = 0; round < 50; round += 1) await redress.process().deadlines.round(100);
    expect(redress.dispute(booked.id).version - before).toBeLessThan(3);
  });
  it('asks for nobody any more, where it only prepared an answer and the dispute is over', async () => {
    const { booked, dispute } = await opened();
    redress.bank.nextSends('parked');
    await redress.write(dispute.id, { uncategorizedText: 'The parcel came.' });
    await redress.work();
    expect(redress.dispute(booked.id).attention).toBe('operation_parked');
    redress.bank.lose(booked.id);
    await redress.hearOf(booked);
    await redress.decideOn('redress.SyncDispute.v1', { disputeId: dispute.id });
    await redress.workFor(hour, 60);
    expect([redress.dispute(booked.id).attention, redress.open()]).toEqual([null, []]);
  });

  it('is not filed by a policy once more after the provider has refused it', async () => {
    redress.policy = { fileAtDeadline: true, acceptBelow: {} };
    redress.restart();
    const { dispute } = await opened();
    await redress.write(dispute.id, { uncategorizedText: 'The parcel came.' });
    await redress.work();
    await redress.workFor(7 * day - minute, 100);
    redress.bank.nextSends(...Array.from<DisputeFate>({ length: 500 }).fill('refused'));
    await redress.workFor(day, 200);
    const sent = redress.bank.calls.filter(({ what }) => what === 'submit').length;
    const told = redress.toldOf(dispute.id);
    expect([sent, told.filter((each) => each === 'attention_needed').length, told.includes('deadline_missed')]).toEqual([
      1,
      1,
      true,
    ]);
  });

  it('is logged, where the look before it fails for days', async () => {
    const { dispute } = await opened();
    await redress.write(dispute.id, { uncategorizedText: 'The parcel came.' });
    await redress.work();
    redress.bank.nextLooks(...Array.from<DisputeFate>({ length: 5_000 }).fill('failed'));
    await redress.submit(dispute.id);
    await redress.workFor(5 * day, 500);
    expect(redress.failures.length).toBeGreaterThan(0);
  });

  it('takes no money of an inquiry under a word that nobody knows', async () => {
    const { booked } = await opened({ stage: 'inquiry' });
    redress.bank.becomes(booked.id, 'unknown', 'x');
    await redress.hearOf(booked);
    expect(redress.payment('pi_1').disputed).toBe(0n);
  });
  it('is no acceptance, though the bank closes the dispute', async () => {
    const { booked, dispute } = await opened();
    redress.bank.nextLooks(...Array.from<DisputeFate>({ length: 50 }).fill('failed'));
    await redress.decideOn('redress.AcceptDispute.v1', { disputeId: dispute.id, confirm: true });
    await redress.work();
    redress.bank.lose(booked.id);
    await redress.hearOf(booked);
    await redress.workFor(hour, 60);
    expect([booked.closedAt, redress.toldOf(dispute.id).includes('accepted')]).toEqual([[], false]);
  });
  it('asks for nobody when the dispute is won without it', async () => {
    const { booked, dispute } = await opened();
    await redress.write(dispute.id, { uncategorizedText: 'The parcel came.' });
    await redress.work();
    redress.bank.nextSends(...Array.from<DisputeFate>({ length: 50 }).fill('call_lost'));
    await redress.submit(dispute.id);
    await redress.work();
    redress.bank.win(booked.id);
    for (let n = 0; n < 5; n += 1) await redress.hearOf(booked);
    expect(redress.toldOf(dispute.id).filter((type) => type === 'attention_needed')).toEqual([]);
  });

  it('is no packet that was submitted', async () => {
    const { booked, dispute } = await opened();
    await redress.write(dispute.id, { uncategorizedText: 'The parcel came.' });
    await redress.work();
    redress.bank.nextLooks('failed');
    await redress.submit(dispute.id);
    await redress.work();
    redress.bank.answerElsewhere(booked.id);
    await redress.hearOf(booked);
    await redress.workFor(minute);
    const packets = redress.stores.disputes.packets.all();
    expect(packets.map(({ submittedAt }) => submittedAt)).toEqual([null]);
  });
});
