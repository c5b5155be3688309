import { afterAll, beforeAll, expect, it, jest } from '@jest/globals';
import { pdf, png } from '../documents.js';
import { describeWithDatabase, describeWithKafka } from '../environment.js';
import { Cases, digestOf } from './cases.js';
import { System } from './system.js';

// Each waits for real processes; how long says nothing.
jest.setTimeout(120_000);

const day = 24 * 3_600;

interface Balance {
  readonly refunded: number;
  readonly disputed: number;
  readonly lost: number;
  readonly available: number;
  readonly overdrawn: boolean;
  readonly warnings: readonly string[];
  readonly disputes: readonly { readonly id: string }[];
}

describeWithDatabase('A dispute', () => {
  describeWithKafka('through the running system', () => {
    let system: System;
    let cases: Cases;
    beforeAll(async () => {
      system = await System.start();
      cases = new Cases(system);
    }, 120_000);
    afterAll(() => system.stop(), 60_000);

    const balanceOf = async (paymentId: string) => (await system.call<Balance>('GET', `/v1/payments/stripe/${paymentId}`)).body;
    const balanceThat = async (what: string, paymentId: string, holds: (balance: Balance) => boolean) => {
      await system.until(`the balance of ${paymentId} ${what}`, async () => holds(await balanceOf(paymentId)));
      return balanceOf(paymentId);
    };

    it('is there soon after its webhook, with its stage, status, money and deadline, and its payment has nothing left', async () => {
      const { paymentId } = await system.pay({ provider: 'stripe', amount: 10_000 });
      const { disputeId, id } = await cases.open({ reason: 'product_not_received', networkReasonCode: '13.1' }, { paymentId });
      const dispute = await cases.of(id);
      expect(dispute).toMatchObject({
        providerDisputeId: disputeId,
        paymentId,
        stage: 'chargeback',
        status: 'needs_response',
        money: 'withdrawn',
        providerStatus: 'needs_response',
        amount: 10_000,
        currency: 'USD',
        reason: 'product_not_received',
        networkReasonCode: '13.1',
        submissions: 0,
        decision: null,
        refundable: false,
      });
      expect(Date.parse(dispute.dueBy ?? '') - Date.parse(dispute.decideBy ?? '')).toBe(day * 1_000);
      expect(await balanceThat('has nothing left', paymentId, ({ available }) => available === 0)).toMatchObject({
        disputed: 10_000,
      });
      const { body: page } = await system.call<{ data: { id: string; dueBy: string | null }[] }>('GET', '/v1/disputes?limit=100');
      const due = page.data.flatMap(({ dueBy }) => dueBy ?? []);
      expect(due).toEqual([...due].sort());
      expect(page.data.map((each) => each.id)).toContain(id);
    });

    it('is shown how soon after the bank opened it', async () => {
      const tookMs: number[] = [];
      for (let one = 0; one < 10; one += 1) {
        const { paymentId } = await system.pay({ provider: 'stripe', amount: 10_000 });
        const begun = performance.now();
        const { disputeId } = (await system.control('disputes', { paymentId })) as { disputeId: string };
        while ((await cases.called(disputeId)) === undefined) await new Promise((wake) => setTimeout(wake, 5));
        tookMs.push(Math.round(performance.now() - begun));
      }
      tookMs.sort((a, b) => a - b);
      process.stdout.write(`a dispute was shown ${tookMs[5]} ms after the bank opened it (${tookMs[0]} to ${tookMs[9]})\n`);
      expect(tookMs).toHaveLength(10);
    });

    it('whose webhooks are lost is found by the next sweep', async () => {
      const { paymentId } = await system.pay({ provider: 'stripe', amount: 10_000 });
      await system.control('faults', { provider: 'stripe', webhook: 'lose', times: 2 });
      const { disputeId } = (await system.control('disputes', { paymentId })) as { disputeId: string };
      expect(await cases.called(disputeId)).toBeUndefined();
      await system.pass(16 * 60);
      expect(await cases.of(await cases.known(disputeId))).toMatchObject({ status: 'needs_response', money: 'withdrawn' });
    });

    it('is answered once, with what was staged in several steps, and won', async () => {
      const { paymentId, disputeId, id } = await cases.open({ networkReasonCode: '13.1', reason: 'product_not_received' });
      const [receipt, label] = [pdf(2), png()];
      const first = await cases.evidence(id);
      await cases.write(id, { customerName: 'Ann Other', productDescription: 'Two chairs' });
      expect((await cases.upload(id, 'receipt', receipt, 'receipt.pdf')).status).toBe(201);
      expect((await cases.upload(id, 'shippingDocumentation', label, 'label.png', 'image/png')).status).toBe(201);
      await cases.write(id, { shippingTrackingNumber: '1Z999', shippingCarrier: 'UPS', uncategorizedText: 'winning_evidence' });
      const shown = await cases.evidence(id);
      expect(shown.score.score).toBeGreaterThan(first.score.score);
      expect(shown.findings.filter(({ severity }) => severity === 'error')).toEqual([]);
      expect(shown.files).toMatchObject([
        { field: 'receipt', name: 'receipt.pdf', pages: 2 },
        { field: 'shippingDocumentation', name: 'label.png', pages: 1 },
      ]);

      expect(await cases.submit(id)).toMatchObject({ status: 200, body: { decision: { kind: 'submit' } } });
      const won = await cases.thatIs('won', id);
      expect(won).toMatchObject({
        money: 'reinstated',
        submissions: 1,
        decision: { kind: 'submit', state: 'done' },
        refundable: true,
      });
      const booked = await cases.booked(disputeId);
      const { packets } = await cases.evidence(id);
      expect(booked).toMatchObject({ status: 'won', submissions: 1 });
      expect(booked.packets).toHaveLength(1);
      expect(packets).toHaveLength(1);
      expect(packets[0]).toMatchObject({
        evidence: {
          customerName: 'Ann Other',
          productDescription: 'Two chairs',
          shippingTrackingNumber: '1Z999',
          shippingCarrier: 'UPS',
          uncategorizedText: 'winning_evidence',
        },
        files: [{ digest: digestOf(receipt) }, { digest: digestOf(label) }],
      });
      expect(packets[0]?.submittedAt).not.toBeNull();
      expect(booked.packets[0]?.evidence).toMatchObject({
        customer_name: 'Ann Other',
        product_description: 'Two chairs',
        shipping_tracking_number: '1Z999',
        shipping_carrier: 'UPS',
        uncategorized_text: 'winning_evidence',
      });
      await balanceThat('is whole again', paymentId, ({ available }) => available === 10_000);
      expect(await cases.told(id, paymentId)).toEqual(
        expect.arrayContaining([
          'opened',
          'funds_withdrawn',
          'evidence_staged',
          'evidence_submitted',
          'under_review',
          'won',
          'funds_reinstated',
        ]),
      );
    });

    it('with losing evidence is lost, and accepted it is lost', async () => {
      const { id, paymentId } = await cases.open();
      await cases.write(id, { uncategorizedText: 'losing_evidence' });
      await cases.submit(id);
      expect(await cases.thatIs('lost', id)).toMatchObject({ money: 'withdrawn' });
      expect(await balanceOf(paymentId)).toMatchObject({ lost: 10_000, disputed: 0, available: 0 });

      const given = await cases.open();
      expect(await cases.accept(given.id)).toMatchObject({ status: 200, body: { decision: { kind: 'accept' } } });
      const accepted = await cases.thatIs('lost', given.id);
      expect(accepted.decision).toMatchObject({ kind: 'accept', state: 'done' });
      expect(await cases.booked(given.disputeId)).toMatchObject({ submissions: 0, closes: 1 });
      expect(await cases.told(given.id, given.paymentId)).toContain('accepted');
    });

    it('that escalates from an inquiry wants, and takes, a second answer', async () => {
      const { paymentId, disputeId, id } = await cases.open({ stage: 'inquiry' });
      expect(await cases.of(id)).toMatchObject({ stage: 'inquiry', money: 'none', refundable: true });
      expect(await balanceThat('is untouched', paymentId, ({ available }) => available === 10_000)).toMatchObject({
        disputed: 0,
      });
      await cases.write(id, { uncategorizedText: 'The first answer.' });
      await cases.submit(id);
      await cases.that('is answered', id, ({ status, submissions }) => status === 'under_review' && submissions === 1);

      await cases.bank(disputeId, 'escalate');
      const second = await cases.that('is a chargeback', id, ({ stage }) => stage === 'chargeback');
      expect(second).toMatchObject({ status: 'needs_response', money: 'withdrawn', decision: null, submissions: 1 });
      await balanceThat('has nothing left', paymentId, ({ available }) => available === 0);
      await cases.write(id, { uncategorizedText: 'winning_evidence' });
      expect((await cases.submit(id)).status).toBe(200);
      expect(await cases.thatIs('won', id)).toMatchObject({ money: 'reinstated', submissions: 2 });
      const { packets } = await cases.evidence(id);
      expect(packets.map(({ evidence }) => evidence['uncategorizedText'])).toEqual(['The first answer.', 'winning_evidence']);
    });

    it('that comes as lost is lost from the beginning, and nothing can be answered', async () => {
      const { paymentId, id } = await cases.open({ status: 'lost' });
      expect(await cases.of(id)).toMatchObject({ status: 'lost', dueBy: null, decideBy: null });
      await balanceThat('has lost all', paymentId, ({ lost }) => lost === 10_000);
      expect(await cases.submit(id)).toMatchObject({ status: 409, body: { code: 'dispute_not_open' } });
    });

    it('can be won long after it was lost', async () => {
      const { paymentId, disputeId, id } = await cases.open();
      await cases.bank(disputeId, 'lose');
      await cases.thatIs('lost', id);
      await cases.bank(disputeId, 'win');
      const won = await cases.that('is won and paid back', id, ({ status, money }) => status === 'won' && money === 'reinstated');
      expect(won.attention).toBeNull();
      await balanceThat('is whole again', paymentId, ({ available }) => available === 10_000);
    });

    it('can be lost after it was won, and a person is told; the money follows', async () => {
      const { paymentId, disputeId, id } = await cases.open();
      await cases.bank(disputeId, 'win');
      await cases.that('is won', id, ({ status, money }) => status === 'won' && money === 'reinstated');
      await cases.bank(disputeId, 'lose');
      const lost = await cases.that('is lost again', id, ({ status, money }) => status === 'lost' && money === 'withdrawn');
      expect(lost.attention).toBe('decision_reversed');
      await balanceThat('has lost it', paymentId, (balance) => balance.lost === 10_000);
      const queue = await system.call<{ data: { kind: string; dispute?: { id: string } }[] }>('GET', '/v1/attention?limit=100');
      expect(queue.body.data.some(({ dispute }) => dispute?.id === id)).toBe(true);
    });

    it('that is lost with a part given back takes only the rest', async () => {
      const { paymentId, disputeId, id } = await cases.open();
      await cases.bank(disputeId, 'lose');
      await cases.bank(disputeId, 'reinstate', { amount: 2_000 });
      await cases.that('is partly paid back', id, ({ status, money }) => status === 'lost' && money === 'partly_reinstated');
      expect(await balanceThat('has the part', paymentId, ({ lost }) => lost === 8_000)).toMatchObject({ disputed: 0 });
    });

    it('can be appealed, and is won as an appeal', async () => {
      const { disputeId, id } = await cases.open();
      await cases.write(id, { uncategorizedText: 'losing_evidence' });
      await cases.submit(id);
      await cases.thatIs('lost', id);
      await cases.bank(disputeId, 'appeal');
      const due = await cases.that('is an appeal', id, ({ stage }) => stage === 'appeal');
      expect(due).toMatchObject({ status: 'needs_response', decision: null });
      await cases.write(id, { appeal: { card: { reasonForFiling: 'The signature was overlooked.' } } });
      expect((await cases.submit(id)).status).toBe(200);
      await cases.that('is appealed', id, ({ status, submissions }) => status === 'under_review' && submissions === 2);
      await cases.bank(disputeId, 'win');
      expect(await cases.thatIs('won', id)).toMatchObject({ stage: 'appeal' });
    });

    it('beside another one on the same payment has its own deadline, and both count', async () => {
      const { paymentId, id: first } = await cases.open({ amount: 4_000 });
      const { id: second } = await cases.open({ amount: 3_000, dueInSeconds: 3 * day }, { paymentId });
      const [one, other] = [await cases.of(first), await cases.of(second)];
      expect(one.dueBy).not.toBe(other.dueBy);
      const balance = await balanceThat('counts both', paymentId, ({ disputed }) => disputed === 7_000);
      expect(balance.disputes.map(({ id }) => id).sort()).toEqual([first, second].sort());
    });

    it('that a colleague answered in the dashboard is not answered again', async () => {
      const { disputeId, id } = await cases.open();
      await cases.write(id, { uncategorizedText: 'Ours.' });
      await system.control('faults', { provider: 'stripe', webhook: 'lose', times: 2 });
      await cases.bank(disputeId, 'colleague_submits');
      await cases.submit(id);
      const answered = await cases.that('is theirs', id, ({ submissions }) => submissions === 1);
      expect(answered).toMatchObject({ attention: 'answered_elsewhere', decision: { kind: 'submit', version: null } });
      expect((await cases.booked(disputeId)).submissions).toBe(1);
    });

    it('in a status that nobody knows waits for a person, and nothing breaks', async () => {
      const { id } = await cases.open({ status: 'on_the_moon' });
      expect(await cases.of(id)).toMatchObject({
        status: 'unknown',
        providerStatus: 'on_the_moon',
        attention: 'unknown_provider_status',
      });
      expect(await cases.submit(id)).toMatchObject({ status: 409, body: { code: 'dispute_not_answerable' } });
    });

    it('that begins as an inquiry, is refunded in part and then charged back in full loses 120 of 100, and the refund is the answer (F29)', async () => {
      const { paymentId, disputeId, id } = await cases.open({ stage: 'inquiry' });
      const asked = await system.refund({ provider: 'stripe', paymentId, amount: 2_000, currency: 'USD' });
      expect(asked).toMatchObject({ status: 202 });
      const refund = await system.refundThatIs('succeeded', asked.body.id);
      expect(refund.warnings).toEqual(['open_inquiry']);

      await cases.bank(disputeId, 'escalate');
      await cases.that('is a chargeback', id, ({ stage }) => stage === 'chargeback');
      const balance = await balanceThat('is overdrawn', paymentId, ({ overdrawn }) => overdrawn);
      expect(balance).toMatchObject({ refunded: 2_000, disputed: 10_000, available: 0 });
      const { payments } = (await system.books()) as unknown as {
        payments: { paymentId: string; movements?: { type: string; amount: number }[] }[];
      };
      const moved = payments.find((payment) => payment.paymentId === paymentId)?.movements ?? [];
      const gone = moved.filter(({ amount }) => amount < 0).reduce((sum, { amount }) => sum - amount, 0);
      expect(gone).toBe(12_000);
      const { evidence } = await cases.evidence(id);
      expect(evidence['refundRefusalExplanation']).toContain(refund.providerRefundId ?? 'none');
      expect(evidence['refundRefusalExplanation']).toContain('20.00 USD');

      const refused = await system.refund({ provider: 'stripe', paymentId, amount: 500, currency: 'USD' });
      const code =
        refused.status === 202
          ? (await system.refundThatIs('rejected', refused.body.id)).rejection?.code
          : (refused.body as unknown as { code: string }).code;
      expect(code).toBe('payment_disputed');
    });

    it('whose deadline nears is told of, and its missed deadline waits for a person, while there is still time', async () => {
      const silent = await cases.open({ dueInSeconds: 5 * day });
      const passed = await cases.open({ dueInSeconds: 5 * day });
      const { status } = await system.call('POST', `/v1/disputes/${passed.id}/let-pass`, { reason: 'Less than an answer costs' });
      expect(status).toBe(200);
      const told = (of: { id: string; paymentId: string }) => cases.told(of.id, of.paymentId);
      await system.pass(1.5 * day);
      await system.until('it is reminded', async () => (await told(silent)).includes('deadline_approaching'));
      await system.pass(3 * day);
      await system.until('it is missed', async () => (await told(silent)).includes('deadline_missed'));
      const missed = await cases.of(silent.id);
      expect(missed).toMatchObject({ status: 'needs_response', attention: 'deadline_missed', decision: null });
      expect(Date.parse(missed.dueBy ?? '')).toBeGreaterThan(Date.now() + 4.5 * day * 1_000);
      expect(await told(passed)).not.toContain('deadline_approaching');
      expect(await cases.of(passed.id)).toMatchObject({ attention: null, decision: { kind: 'let_pass', state: 'done' } });
      await cases.write(silent.id, { uncategorizedText: 'winning_evidence' });
      expect((await cases.submit(silent.id)).status).toBe(200);
      await cases.thatIs('won', silent.id);
    });

    it('is decided over Kafka too, with one outcome for each command', async () => {
      const { paymentId, id } = await cases.open();
      await cases.write(id, { uncategorizedText: 'winning_evidence' });
      const { version } = await cases.evidence(id);
      const [unsure, data] = [
        { disputeId: id, version },
        { disputeId: id, confirm: true, version },
      ];
      await system.send(
        [
          { id: 'unsure-1', data: unsure, type: 'SubmitEvidence', key: paymentId },
          { id: 'unsure-2', data: { ...unsure, confirm: false }, type: 'SubmitEvidence', key: paymentId },
        ],
        'disputes.commands.v1',
      );
      await system.send([{ id: 'submit-1', data, type: 'SubmitEvidence', key: paymentId }], 'disputes.commands.v1');
      await cases.thatIs('won', id);
      await system.send([{ id: 'submit-1', data, type: 'SubmitEvidence', key: paymentId }], 'disputes.commands.v1');
      const outcomes = await system.seen(['disputes.outcomes.v1'], (seen) => seen.length >= 4);
      expect(outcomes.map(({ headers, data: said }) => [headers['ce_type'], said['disputeId'], said['code']])).toEqual([
        ['redress.command.rejected.v1', id, 'confirmation_missing'],
        ['redress.command.rejected.v1', id, 'confirmation_missing'],
        ['redress.command.accepted.v1', id, undefined],
        ['redress.command.repeated.v1', id, undefined],
      ]);
    });
  });
});
