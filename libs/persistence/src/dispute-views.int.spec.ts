import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import type { DataSource } from 'typeorm';
import { addDisputeRead, addUpload } from '#application/dispute-operations';
import type { NewEvidenceFile, PaymentName } from '#application/kept';
import { priorities } from '#application/operations';
import { Wake } from '#application/wake';
import type { WorkingSet } from '#application/working-set';
import type { Dispute, FraudWarning } from '#domain/dispute/dispute';
import { emptyDraft, type Draft, type Packet } from '#domain/dispute/evidence';
import { recordFacts } from '#domain/payment/payment';
import { dataSource } from '#persistence/database';
import { DisputeViews, type DisputeFilter, type DisputePlace } from '#persistence/dispute-views';
import { PostgresBook } from '#persistence/postgres-book';
import { Views } from '#persistence/views';
import { describeWithDatabase, freshDatabase, type FreshDatabase } from '../../../test/environment.js';

class NoWake extends Wake {
  ring(): void {}
  on(): () => void {
    return () => undefined;
  }
}

const ours = (prefix: string) => `${prefix}_${randomUUID().replaceAll('-', '')}`;
const cause = { causationId: 'spec' };
const day = (count: number) => new Date(Date.UTC(2026, 3, count));

describeWithDatabase('Views of disputes', () => {
  let database: FreshDatabase;
  let source: DataSource;
  let book: PostgresBook;
  let views: DisputeViews;
  let all: Views;
  beforeAll(async () => {
    database = await freshDatabase();
    source = await dataSource({ url: database.url, connections: 4 }).initialize();
    book = new PostgresBook(source, new NoWake());
    views = new DisputeViews(source);
    all = new Views(source);
  });
  afterAll(async () => {
    await source.destroy();
    await database.drop();
  });

  let count = 0;
  const payment = (account = 'default'): PaymentName => {
    const name = `pi_${++count}`;
    return { account, provider: 'stripe', name, own: true, key: randomUUID() };
  };
  const opened = (set: WorkingSet, of: PaymentName, more: Partial<Dispute> = {}): Dispute => ({
    id: ours('dp'),
    account: of.account,
    provider: 'stripe',
    providerDisputeId: `du_${++count}`,
    paymentKey: set.paymentCalled(of).key,
    ordinal: null,
    stage: 'chargeback',
    status: 'needs_response',
    money: 'withdrawn',
    attention: null,
    providerStatus: 'needs_response',
    amount: 700n,
    currency: 'USD',
    reason: 'fraudulent',
    networkReasonCode: null,
    network: null,
    refundable: true,
    dueBy: null,
    decideBy: null,
    nextAlarmAt: null,
    alarms: 0,
    round: 1,
    submissions: 0,
    submissionsBefore: 0,
    decision: null,
    eligibilities: [],
    movements: [],
    disputed: 0n,
    lost: 0n,
    attempt: 1,
    reportedAt: set.now,
    openedAt: day(1),
    version: 1,
    createdAt: set.now,
    updatedAt: set.now,
    ...more,
  });
  const add = (of: PaymentName, more: Partial<Dispute> = {}): Promise<Dispute> =>
    book.transact({ payments: [of] }, (set) => {
      const facts = {
        name: of.name,
        aliases: [],
        currency: 'USD',
        captured: 5000n,
        basis: 'provider',
        paidAt: null,
        refusal: null,
      } as const;
      set.setPayment(recordFacts(set.paymentCalled(of), { ...facts, at: set.now }));
      return set.disputes.add(opened(set, of, more), [], cause);
    });
  const idsOf = (found: readonly { readonly dispute: Dispute }[]) => found.map(({ dispute }) => dispute.id);
  /** All of a list, two at a time. */
  async function through(filter: DisputeFilter): Promise<string[]> {
    const ids: string[] = [];
    for (let after: DisputePlace | null = null, pages = 0; ; pages += 1) {
      expect(pages).toBeLessThan(50);
      const { data, next } = await views.disputePage(filter, after, 2);
      ids.push(...idsOf(data));
      if (next === null) return ids;
      after = next;
    }
  }

  it('show a dispute with its payment, by our id and the provider’s', async () => {
    const of = payment();
    const dispute = await add(of);
    for (const id of [dispute.id, dispute.providerDisputeId]) {
      const view = await views.dispute(id);
      expect(view?.dispute).toEqual({ ...dispute, ordinal: expect.any(BigInt) as unknown });
      expect(view?.payment).toMatchObject({ key: of.key, name: of.name, disputed: 700n, captured: 5000n });
    }
    expect(await views.dispute(ours('dp'))).toBeNull();
    expect(await views.dispute('nonsense')).toBeNull();
  });

  it('list what is due first in front and what has no deadline last, a page at a time', async () => {
    const of = payment('ordered');
    const days = [9, null, 3, 3, 12, null, 1, null];
    const added: Dispute[] = [];
    for (const each of days) added.push(await add(of, { dueBy: each === null ? null : day(each) }));
    const time = ({ dueBy }: Dispute) => dueBy?.getTime() ?? Infinity;
    const byPlace = (a: Dispute, b: Dispute) => (time(a) === time(b) ? (a.id < b.id ? -1 : 1) : time(a) - time(b));
    const inOrder = added.toSorted(byPlace).map(({ id }) => id);
    expect(await through({ account: 'ordered' })).toEqual(inOrder);
    expect(await through({ account: 'ordered', dueBefore: day(9) })).toEqual(inOrder.slice(0, 3));
    // One that is put off while somebody pages is not shown twice.
    const first = await views.disputePage({ account: 'ordered' }, null, 4);
    expect(first.next).toEqual({ dueBy: day(9), id: inOrder[3] });
    expect(idsOf((await views.disputePage({ account: 'ordered' }, first.next, 10)).data)).toEqual(inOrder.slice(4));
  });

  it('list by each of the filters, and by several', async () => {
    const [of, other] = [payment('filtered'), payment('filtered')];
    const lost = await add(of, { status: 'lost', stage: 'appeal', reason: 'duplicate', dueBy: day(1) });
    const odd = await add(other, { status: 'unknown', attention: 'unknown_provider_status', dueBy: day(2) });
    const plain = await add(other, { stage: 'inquiry', dueBy: day(3) });
    await source.query(`insert into payment_alias values ('filtered', 'stripe', 'ch_of_filtered', $1)`, [other.key]);
    const filters: readonly (readonly [DisputeFilter, readonly Dispute[]])[] = [
      [{}, [lost, odd, plain]],
      [{ status: 'lost' }, [lost]],
      [{ status: 'needs_response' }, [plain]],
      [{ stage: 'appeal' }, [lost]],
      [{ attention: 'unknown_provider_status' }, [odd]],
      [{ reason: 'fraudulent' }, [odd, plain]],
      [{ reason: 'fraudulent', dueBefore: day(3) }, [odd]],
      [{ paymentId: other.name }, [odd, plain]],
      [{ paymentId: 'ch_of_filtered', stage: 'inquiry' }, [plain]],
      [{ paymentId: 'none' }, []],
      [{ q: odd.id }, [odd]],
      [{ q: plain.providerDisputeId }, [plain]],
      [{ q: 'ch_of_filtered' }, [odd, plain]],
      [{ q: 'none' }, []],
    ];
    for (const [filter, expected] of filters) {
      const found = await through({ account: 'filtered', ...filter });
      expect([filter, found]).toEqual([filter, expected.map(({ id }) => id)]);
    }
  });

  it('find a dispute by the key of a command about it', async () => {
    const { id } = await add(payment('keyed'));
    const key = `key-${++count}`;
    await book.transact({ disputes: [id] }, (set) => set.addCommand(commandAbout(id, key)));
    expect(await through({ account: 'keyed', q: key })).toEqual([id]);
  });

  it('show the disputes and warnings of a payment', async () => {
    const of = payment();
    const [first, second] = [await add(of), await add(of)];
    const warning = (name: string, openedAt: Date): FraudWarning => ({
      id: ours('fw'),
      account: 'default',
      provider: 'stripe',
      providerWarningId: name,
      paymentKey: of.key,
      actionable: true,
      fraudType: 'misc',
      openedAt,
      reportedAt: day(5),
    });
    const warnings = [warning('w1', day(2)), warning('w2', day(1))];
    await book.transact({ payments: [of] }, (set) => warnings.forEach((each) => set.disputes.addWarning(each, cause)));
    expect(idsOf(await views.disputesOf(of.key, 10))).toEqual([second.id, first.id]);
    expect(await views.disputesOf(of.key, 1)).toHaveLength(1);
    expect(await views.warningsOf(of.key, 10)).toEqual(warnings.toReversed());
    expect(await views.disputesOf(randomUUID(), 10)).toEqual([]);
    expect(await views.warningsOf(randomUUID(), 10)).toEqual([]);
  });

  it('show the draft, the packets and every file of a dispute, and the bytes of one', async () => {
    const { id } = await add(payment());
    expect(await views.evidence(id)).toEqual({ draft: null, packets: [], files: [], charges: [] });
    const file = (bytes: Buffer): NewEvidenceFile => ({
      id: ours('ef'),
      disputeId: id,
      place: 'receipt',
      name: 'receipt.png',
      type: 'image/png',
      size: bytes.length,
      pages: 1,
      digest: 'd',
      providerFileId: null,
      by: 'somebody',
      addedAt: day(2),
      refusedAs: null,
      removedAt: null,
      bytes,
    });
    const [kept, gone] = [file(Buffer.from([0, 255])), file(Buffer.from('gone'))];
    const { bytes: _bytes, ...known } = kept;
    const draft: Draft = { ...emptyDraft(id), content: { customerName: 'A. Nother' }, files: [known] };
    const packet: Packet = {
      disputeId: id,
      round: 1,
      version: 1,
      content: draft.content,
      files: draft.files,
      emptied: [],
      by: 'somebody',
      decidedAt: day(3),
      submittedAt: null,
    };
    await book.transact({ evidence: [id] }, (set) => {
      set.disputes.setDraft(draft);
      for (const each of [gone, kept]) set.disputes.addFile(each);
      set.disputes.removeFile(gone.id);
      set.disputes.setPacket(packet);
    });
    const seen = await views.evidence(id);
    expect(seen).toMatchObject({ draft, packets: [packet] });
    expect(seen.files.map((each) => [each.id, each.removedAt])).toEqual([
      [gone.id, expect.any(Date)],
      [kept.id, null],
    ]);
    expect(await views.evidenceFile(id, kept.id)).toEqual({ file: known, bytes: kept.bytes });
    expect((await views.evidenceFile(id, gone.id))?.bytes).toEqual(gone.bytes);
    await source.query('update evidence_file set bytes = null where removed_at is not null');
    expect(await views.evidenceFile(id, gone.id)).toMatchObject({ file: { id: gone.id }, bytes: null });
    // Not under another dispute's name.
    expect(await views.evidenceFile((await add(payment())).id, kept.id)).toBeNull();
  });

  it('tell the story of a dispute, and keep it out of its refunds’', async () => {
    const of = payment();
    const { id, providerDisputeId } = await add(of);
    const key = `key-${++count}`;
    const operations = await book.transact({ disputes: [id] }, (set) => {
      set.addCommand(commandAbout(id, key));
      const dispute = set.disputes.kept(id);
      const file = { id: ours('ef') } as Parameters<typeof addUpload>[2];
      const upload = addUpload(set, dispute, file).id;
      const about = { account: 'default', provider: 'stripe', providerDisputeId, disputeId: id, paymentKey: of.key };
      const read = addDisputeRead(set, about, set.now, priorities.poll);
      const trace = {
        call: 'files.create',
        httpStatus: 200,
        requestId: 'req_1',
        result: 'ok',
        startedAt: day(2),
        endedAt: day(2),
      };
      set.addCalls([{ operationId: upload, refundId: null, disputeId: id, paymentKey: of.key, key: 'k', attempt: 1, trace }]);
      return [upload, read];
    });
    const story = await views.disputeHistory(id);
    expect(story.commands).toMatchObject([{ key, disputeId: id }]);
    expect(story.operations.map((each) => each.id).toSorted()).toEqual(operations.toSorted());
    expect(story.calls).toMatchObject([{ call: 'files.create', requestId: 'req_1', disputeId: id }]);
    expect(story.events.map(({ type }) => type)).toEqual(['redress.dispute.opened.v1']);

    const refund = ours('rf');
    await source.query(
      `insert into refund (id, account, provider, payment_key, named_payment, status, holds, block_customer, metadata, origin, attempt, told, version, created_at, updated_at)
       values ($1, 'default', 'stripe', $2, 'x', 'requested', 'nothing', false, '{}', 'command', 1, true, 1, now(), now())`,
      [refund.slice(3), of.key],
    );
    expect(await all.history(refund)).toMatchObject({ calls: [], operations: [] });
  });

  it('put a dispute that needs a person where all such things are, and count it', async () => {
    const before = await all.backlog();
    const { id } = await add(payment(), { attention: 'decision_reversed', nextAlarmAt: day(1) });
    const after = await all.backlog();
    const more = (name: string) => (after[name] ?? 0) - (before[name] ?? 0);
    expect([more('disputes_open'), more('disputes_with_attention'), more('dispute_alarms_due')]).toEqual([1, 1, 1]);
    const attended = await all.attention(null, 5);
    expect(attended[0]).toMatchObject({ kind: 'dispute', dispute: { dispute: { id, attention: 'decision_reversed' } } });
    const last = attended[0];
    if (last === undefined) throw new Error('nothing needs a person');
    expect((await all.attention(last, 5)).map((each) => each.id)).not.toContain(last.id);
  });

  describe('with many of them', () => {
    beforeAll(async () => {
      await source.query(`
        insert into payment select md5('p' || i)::uuid, 'default', 'stripe', 'pi_many_' || i, true, '[]', 'USD', 10000, 0, 0, 0, 0, 'provider', now(), null, 0, 0, 1
        from generate_series(1, 20000) i`);
      await source.query(`insert into payment_alias select 'default', 'stripe', name, key from payment on conflict do nothing`);
      await source.query(`
        insert into dispute (id, account, provider, provider_dispute_id, payment_key, stage, status, money, provider_status, attention, reason, amount, currency, refundable, due_by,
          alarms, round, submissions, submissions_before, eligibilities, movements, disputed, lost, attempt, reported_at, opened_at, version, created_at, updated_at)
        select gen_random_uuid(), 'default', 'stripe', 'many_' || i, md5('p' || i)::uuid, 'chargeback', case when i % 100 = 0 then 'needs_response' else 'lost' end,
          'withdrawn', 'x', case when i % 500 = 0 then 'outcome_unknown' end, 'r' || i % 500, 1, 'USD', false, now() + i * interval '1 minute', 0, 1, 0, 0, '[]', '[]', 0, 1, 1,
          now(), now(), 1, now(), now() from generate_series(1, 20000) i`);
      await source.query('analyze');
    });

    it('go by an index, whatever is asked for', async () => {
      const spy = jest.spyOn(source, 'query');
      const place = { dueBy: day(1), id: ours('dp') };
      const filters: readonly DisputeFilter[] = [
        {},
        { account: 'default' },
        { status: 'needs_response' },
        { stage: 'appeal' },
        { attention: 'outcome_unknown' },
        { reason: 'r1' },
        { dueBefore: new Date() },
        { paymentId: 'pi_many_7' },
        { q: 'many_7' },
        { status: 'needs_response', stage: 'chargeback', reason: 'r1', dueBefore: new Date(), account: 'default' },
      ];
      for (const filter of filters) await views.disputePage(filter, place, 25);
      await views.dispute('many_7');
      await views.dispute(place.id);
      await views.disputesOf(randomUUID(), 10);
      await views.warningsOf(randomUUID(), 10);
      await views.evidenceFile(place.id, ours('ef'));
      await all.attention({ at: new Date(), id: randomUUID() }, 25);
      await views.disputeHistory(place.id);
      const asked = spy.mock.calls.map(([statement, parameters]) => ({ statement, parameters }));
      spy.mockRestore();
      const about = asked.filter(({ statement }) => /\b(dispute|fraud_warning|evidence_file)\b|dispute_id/.test(statement));
      expect(about.length).toBeGreaterThan(20);
      for (const { statement, parameters } of about) {
        const lines: { 'QUERY PLAN': string }[] = await source.query(`explain ${statement}`, parameters as unknown[]);
        const plan = lines.map((line) => line['QUERY PLAN']).join('\n');
        // What a page is cut from is read in its order, or is as small as what was asked for.
        const whole =
          /Seq Scan on (dispute|fraud_warning|evidence_file|command|provider_operation|provider_call|webhook_delivery)\b/;
        expect([statement, plan]).not.toEqual([statement, expect.stringMatching(whole)]);
      }
    });

    it('look at no more than a page, however many there are', async () => {
      const spy = jest.spyOn(source, 'query');
      const filters: readonly DisputeFilter[] = [{}, { status: 'needs_response' }, { stage: 'chargeback' }, { reason: 'r1' }];
      const more: readonly DisputeFilter[] = [{ attention: 'outcome_unknown' }, { paymentId: 'pi_many_7' }, { q: 'many_7' }];
      for (const filter of [...filters, ...more]) {
        spy.mockClear();
        await views.disputePage(filter, { dueBy: day(1), id: ours('dp') }, 25);
        const [statement, parameters] = spy.mock.calls[0] ?? [''];
        const explained: { 'QUERY PLAN': string }[] = await source.query(
          `explain (analyze, buffers off, timing off) ${statement}`,
          parameters as unknown[],
        );
        const read = explained
          .map((line) => line['QUERY PLAN'])
          .flatMap((line) => /actual rows=([\d.]+) loops=(\d+)/.exec(line) ?? [])
          .filter((_, index) => index % 3 === 1);
        const left = explained.filter((line) => /Rows Removed by Filter: \d{2,}/.test(line['QUERY PLAN']));
        expect([filter, left]).toEqual([filter, []]);
        expect(Math.max(...read.map(Number))).toBeLessThanOrEqual(26);
      }
      spy.mockRestore();
    });
  });

  const commandAbout = (disputeId: string, key: string) =>
    ({
      id: randomUUID(),
      account: 'default',
      door: 'http',
      source: 'spec',
      key,
      type: 'redress.LetDisputePass.v1',
      digest: 'd',
      refundId: null,
      disputeId,
      body: null,
      answer: '{}',
      receivedAt: day(1),
    }) as const;
});
