import { beforeEach, describe, expect, it } from '@jest/globals';
import { EvidenceDesk, type EvidenceOrder, type ReceivedFile } from '#application/evidence-desk';
import { disputeId, paymentName } from '#application/names';
import { Providers } from '#application/providers';
import { opened, submit, usualTerms, type DisputeReport } from '#domain/dispute/dispute';
import { emptyDraft } from '#domain/dispute/evidence';
import { MemoryStores } from '../../../test/fakes/memory-stores.js';

const id = disputeId('default', 'stripe', 'du_1');
const at = new Date(Date.UTC(2026, 2, 2, 9));
const report: DisputeReport = {
  providerDisputeId: 'du_1',
  payment: 'pi_1',
  stage: 'chargeback',
  status: 'needs_response',
  providerStatus: 'needs_response',
  amount: 10_000n,
  currency: 'USD',
  reason: 'product_not_received',
  networkReasonCode: '13.1',
  network: 'visa',
  refundable: false,
  dueBy: new Date(Date.UTC(2026, 2, 10)),
  submissions: 0,
  submittedBy: null,
  submittedLate: false,
  eligibilities: [],
  movements: [],
  openedAt: at,
  at,
};

const file: ReceivedFile = {
  place: 'receipt',
  name: 'receipt.pdf',
  type: 'application/pdf',
  size: 3,
  pages: 1,
  digest: 'abc',
  bytes: Buffer.from('pdf'),
};

describe('At the desk for evidence', () => {
  let stores: MemoryStores;
  let desk: EvidenceDesk;
  let keys = 0;
  const by = (order: Partial<EvidenceOrder> = {}): EvidenceOrder => {
    return {
      account: 'default',
      provider: 'stripe',
      disputeId: id,
      source: 'ann',
      key: `k-${(keys += 1)}`,
      isOwnKey: true,
      seen: null,
      ...order,
    };
  };
  const open = () =>
    stores.operations.where(({ state }) => state === 'open').map(({ kind, key, attempt }) => ({ kind, key, attempt }));

  beforeEach(async () => {
    let ids = 0;
    stores = new MemoryStores(() => `00000000-0000-4000-8000-${String((ids += 1)).padStart(12, '0')}`, at);
    desk = new EvidenceDesk(stores.book, new Providers([], [], []));
    const name = paymentName(new Providers([], [], []), 'default', 'stripe', 'pi_1');
    await stores.book.transact({ payments: [name], disputes: [id], evidence: [id] }, (set) => {
      const { key: paymentKey } = set.paymentCalled(name);
      const { dispute, events } = opened({ id, account: 'default', provider: 'stripe', paymentKey, report }, usualTerms, at);
      set.disputes.setDraft(emptyDraft(id));
      set.disputes.add(dispute, events, { causationId: null });
    });
  });

  it('an edit makes the next version, and has the provider hold it', async () => {
    const answer = await desk.edit({ customerName: 'Ann' }, by({ seen: 1 }));
    expect(answer).toMatchObject({
      kind: 'accepted',
      evidence: { version: 2, evidence: { customerName: 'Ann' }, changes: [{ version: 2, by: 'ann', fields: ['customerName'] }] },
    });
    expect(open()).toEqual([{ kind: 'evidence.stage', key: null, attempt: 2 }]);
    await desk.edit({ customerName: 'Bob' }, by());
    expect(open()).toEqual([{ kind: 'evidence.stage', key: null, attempt: 3 }]);
  });

  it('an edit that changes nothing makes no version and no work', async () => {
    expect(await desk.edit({ customerName: null }, by())).toMatchObject({ kind: 'accepted', evidence: { version: 1 } });
    expect(open()).toEqual([]);
  });

  it('a file is handed to the provider before the evidence that names it', async () => {
    const answer = await desk.addFile(file, by());
    expect(answer).toMatchObject({ kind: 'accepted', evidence: { version: 2, files: [{ field: 'receipt', by: 'ann' }] } });
    const fileId = answer.kind === 'accepted' ? (answer.fileId ?? '') : '';
    expect(open().map(({ kind }) => kind)).toEqual(['evidence.upload', 'evidence.stage']);
    expect(await stores.evidenceFiles.bytes(fileId)).toEqual(file.bytes);
    expect(await desk.removeFile(fileId, by())).toMatchObject({ kind: 'accepted', evidence: { version: 3, files: [] } });
    expect(await desk.removeFile(fileId, by())).toMatchObject({ kind: 'refused', code: 'evidence_file_not_found' });
    expect(await stores.evidenceFiles.bytes(fileId)).toEqual(file.bytes);
  });

  it('whoever comes late is told who changed what, and may go on under the same key', async () => {
    await desk.edit({ customerName: 'Ann' }, by());
    const late = by({ source: 'bob', seen: 1 });
    expect(await desk.edit({ customerName: 'Bob' }, late)).toMatchObject({
      kind: 'refused',
      code: 'evidence_changed',
      detail: expect.stringContaining('ann changed customerName in version 2'),
    });
    expect(await desk.edit({ customerName: 'Bob' }, { ...late, seen: 2 })).toMatchObject({ kind: 'accepted', repeated: false });
  });

  it('a repeat is answered as the first time, whatever came in between', async () => {
    const [edit, add] = [by({ seen: 1 }), by()];
    const first = await desk.edit({ customerName: 'Ann' }, edit);
    const added = await desk.addFile(file, add);
    await desk.edit({ customerName: 'Carol' }, by());
    expect(await desk.edit({ customerName: 'Ann' }, edit)).toEqual({ ...first, repeated: true });
    expect(await desk.addFile(file, add)).toEqual({ ...added, repeated: true });
    expect(await desk.edit({ customerName: 'Dora' }, edit)).toMatchObject({ kind: 'refused', code: 'idempotency_key_reused' });
    expect(await desk.addFile({ ...file, digest: 'other' }, add)).toMatchObject({ code: 'idempotency_key_reused' });
  });

  it('evidence is kept with a command only where somebody can ask for its answer again', async () => {
    const kept = () => JSON.stringify(stores.commands.where(() => true));
    await desk.edit({ customerName: 'Ann Other' }, by({ isOwnKey: false }));
    expect(kept()).not.toContain('Ann Other');
    expect(kept()).toContain('customerName');
    await desk.edit({ customerName: 'Ann Mother' }, by());
    expect(kept()).toContain('Ann Mother');
  });

  it('nothing is changed once it is decided, and nothing of a dispute that is not there', async () => {
    await desk.edit({ customerName: 'Ann' }, by());
    await stores.book.transact({ disputes: [id] }, (set) => {
      const decided = submit(set.disputes.kept(id), { version: 2, by: 'ann' }, set.now);
      set.disputes.record(id, decided.ok ? decided.value : [], { causationId: null });
    });
    for (const answer of [
      await desk.edit({ customerName: 'Bob' }, by()),
      await desk.addFile(file, by()),
      await desk.removeFile('ef_x', by()),
    ]) {
      expect(answer).toMatchObject({ kind: 'refused', code: 'already_submitted' });
    }
    const nowhere = disputeId('default', 'stripe', 'du_2');
    expect(await desk.edit({}, by({ disputeId: nowhere }))).toMatchObject({ kind: 'refused', code: 'dispute_not_found' });
  });
});
