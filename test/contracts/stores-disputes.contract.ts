import { describe, expect, it } from '@jest/globals';
import { addPaymentRead, addSend } from '#application/admission';
import { addDecision, addDisputeRead, addStage, addUpload, addWarningRead } from '#application/dispute-operations';
import { Conflict } from '#application/errors';
import type { NewEvidenceFile, PaymentName } from '#application/kept';
import { priorities, type Operation } from '#application/operations';
import type { WorkingSet } from '#application/working-set';
import type { Dispute, FraudWarning } from '#domain/dispute/dispute';
import { emptyDraft, type Draft, type EvidenceFile, type FilePlace, type Packet } from '#domain/dispute/evidence';
import { cause, laterThan, payment, providerRefund, refundId, uuid, type Scene } from './stores-scene.js';

const idWith = (prefix: string, name: string) => `${prefix}_${uuid(name).replaceAll('-', '')}`;
const disputeId = (name: string) => idWith('dp', name);
const called = (id: string) => ({ account: 'default', provider: 'stripe', id });
const day = (count: number) => new Date(Date.UTC(2026, 3, count));

/** What the stores promise of disputes, their evidence, and warnings of fraud. */
export function disputesContract(scene: Scene): void {
  const { fresh, transact, look, addRefund, approved, succeeded, capture, withSends, clearQueue } = scene;

  /** An inquiry at its beginning, which takes nothing of its payment. */
  function inquiry(set: WorkingSet, of: PaymentName, more: Partial<Dispute> = {}): Dispute {
    const name = fresh('dispute');
    return {
      id: disputeId(name),
      account: 'default',
      provider: 'stripe',
      providerDisputeId: name,
      paymentKey: set.paymentCalled(of).key,
      ordinal: null,
      stage: 'inquiry',
      status: 'needs_response',
      money: 'none',
      attention: null,
      providerStatus: 'warning_needs_response',
      amount: 700n,
      currency: 'USD',
      reason: null,
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
    };
  }
  /** One that has come a long way: no field of it is empty. */
  const chargeback = (set: WorkingSet, of: PaymentName): Dispute =>
    inquiry(set, of, {
      stage: 'chargeback',
      money: 'partly_reinstated',
      attention: 'outcome_unknown',
      providerStatus: 'needs_response',
      reason: 'product_not_received',
      networkReasonCode: '13.1',
      network: 'visa',
      refundable: false,
      dueBy: day(20),
      decideBy: day(19),
      nextAlarmAt: day(16),
      alarms: 1,
      round: 2,
      submissions: 3,
      submissionsBefore: 2,
      decision: { kind: 'submit', state: 'sending', by: 'somebody', at: day(5), reason: 'it was delivered', version: 4 },
      eligibilities: [{ programme: 'visa_compliance', status: null, requiredActions: ['fee_acknowledged'] }],
      movements: [
        { id: 'txn_1', kind: 'withdrawal', amount: 9_007_199_254_740_993n, currency: 'JPY', fee: 1500n, at: day(2) },
        { id: 'txn_2', kind: 'reinstatement', amount: 9_007_199_254_740_992n, currency: 'JPY', fee: -1500n, at: day(3) },
      ],
      attempt: 2,
      reportedAt: day(4),
    });
  /** A payment of 5000 with a dispute. */
  async function disputed(make: (set: WorkingSet, of: PaymentName) => Dispute = inquiry) {
    const of = payment(fresh('pi'));
    const dispute = await transact({ payments: [of] }, (set) => {
      capture(set, of, 5000n);
      return set.disputes.add(make(set, of), [], cause);
    });
    return { of, dispute, id: dispute.id, name: called(dispute.providerDisputeId) };
  }
  const read = (id: string) => look({ disputes: [id] }, (set) => set.disputes.get(id));

  function file(dispute: string, place: FilePlace, bytes: Buffer, more: Partial<NewEvidenceFile> = {}): NewEvidenceFile {
    const name = fresh('file');
    return {
      id: idWith('ef', name),
      disputeId: dispute,
      place,
      name: `${name}.pdf`,
      type: 'application/pdf',
      size: bytes.length,
      pages: 2,
      digest: 'd',
      providerFileId: null,
      by: 'somebody',
      addedAt: day(6),
      refusedAs: null,
      removedAt: null,
      bytes,
      ...more,
    };
  }
  /** What is known of it beside its bytes. */
  function known({ bytes, ...rest }: NewEvidenceFile): EvidenceFile {
    expect(rest.size).toBe(bytes.length);
    return rest;
  }
  const draftOf = (id: string, more: Partial<Draft> = {}): Draft => ({
    ...emptyDraft(id),
    version: 3,
    content: { productDescription: 'a “bicycle”\n', enhancedEvidence: { visaCompliance: { feeAcknowledged: true } } },
    changes: [
      { version: 2, fields: ['productDescription'], by: 'somebody', at: day(6) },
      { version: 3, fields: ['receipt', 'enhancedEvidence.visaCompliance'], by: 'else', at: day(7) },
    ],
    stagedVersion: 2,
    staged: ['customerName'],
    ...more,
  });
  const packetOf = ({ disputeId: of, version, content, files }: Draft, round = 1): Packet => ({
    disputeId: of,
    round,
    version,
    content,
    files,
    emptied: ['customerName'],
    by: 'somebody',
    decidedAt: day(8),
    submittedAt: null,
  });
  const evidenceOf = (id: string) => look({ evidence: [id] }, (set) => set.disputes.draft(id));

  describe('A dispute', () => {
    it.each([
      ['of which little is known', inquiry],
      ['that has come a long way', chargeback],
    ])('%s is found with every field, and with its payment, by our id and by the provider’s', async (_, make) => {
      const { of, dispute, id, name } = await disputed(make);
      for (const want of [{ disputes: [id] }, { providerDisputes: [name] }, { evidence: [id] }]) {
        const kept = await look(want, (set) => ({ dispute: set.disputes.called(name), payment: set.payment(of.key) }));
        expect(kept.dispute).toEqual({ ...dispute, ordinal: expect.any(BigInt) as unknown });
        const { refundable, reportedAt: refundableAt } = dispute;
        const inquiries = dispute.stage === 'inquiry' ? 1 : 0;
        expect(kept.payment).toMatchObject({ disputed: dispute.disputed, lost: 0n, inquiries, refundable, refundableAt });
      }
    });

    it('is not there for whoever asks for another one, be it under the same name elsewhere', async () => {
      const { name } = await disputed();
      const others = [called(fresh('dispute')), { ...name, account: 'eu' }, { ...name, provider: 'zamp' }];
      const found = await look({ disputes: [disputeId('none'), name.id], evidence: ['x'], providerDisputes: others }, (set) =>
        [...others, called('none')].map((each) => set.disputes.called(each)),
      );
      expect(found).toEqual([undefined, undefined, undefined, undefined]);
    });

    it('is stored as it changes, with its payment, after all that others changed meanwhile', async () => {
      const { of, id, name } = await disputed();
      const wants = [{ disputes: [id] }, { providerDisputes: [name] }, { payments: [of], disputesOfPayments: 'all' } as const];
      const change = (turn: number) =>
        transact(wants[turn % 3] ?? {}, (set) => {
          const { alarms } = set.disputes.kept(id);
          set.disputes.record(id, [{ type: 'silent', at: set.now, changes: { alarms: alarms + 1 } }], cause);
        });
      await Promise.all(Array.from({ length: 12 }, (_, turn) => change(turn)));
      await transact({ disputes: [id] }, (set) =>
        set.disputes.record(
          id,
          [{ type: 'stage_changed', at: set.now, changes: { stage: 'chargeback', money: 'withdrawn' } }],
          cause,
        ),
      );
      expect(await read(id)).toMatchObject({ alarms: 12, version: 14, stage: 'chargeback', disputed: 700n });
      const after = await look({ payments: [of] }, (set) => set.paymentCalled(of));
      expect(after).toMatchObject({ disputed: 700n, inquiries: 0, sequence: 2n });
    });

    it('is one for whoever adds it, however many hear of it at once', async () => {
      const [intent, charge] = [payment(fresh('pi')), payment(fresh('ch'))];
      const providerDisputeId = fresh('dispute');
      // Under two names of its payment, two may hear of it that do not wait for each other; so may two that did not look.
      const hear = (of: PaymentName, id: string) =>
        transact({ payments: [of] }, (set) => {
          capture(set, of, 1n);
          set.disputes.add(inquiry(set, of, { id: disputeId(id), providerDisputeId }), [], cause);
        });
      const ways = [hear(intent, 'one'), hear(charge, 'another')];
      const both = await Promise.allSettled(ways);
      expect(both.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
      const [lost] = both.flatMap((each) => (each.status === 'rejected' ? [each.reason as unknown] : []));
      expect(lost).toBeInstanceOf(Conflict);
      await expect(hear(intent, 'a third')).rejects.toThrow(Conflict);
      const [one, other] = await look({ payments: [intent, charge] }, (set) =>
        [intent, charge].map((of) => set.paymentCalled(of)),
      );
      expect(new Set([one?.captured, other?.captured])).toEqual(new Set([0n, 1n]));
      const again = await look({ providerDisputes: [called(providerDisputeId)] }, (set) =>
        set.disputes.called(called(providerDisputeId)),
      );
      expect([disputeId('one'), disputeId('another')]).toContain(again?.id);
    });

    it('comes with all others of its payment and the refunds that went out of it, where that is wanted', async () => {
      const { of, id } = await disputed();
      const second = await transact({ payments: [of] }, (set) => set.disputes.add(inquiry(set, of), [], cause).id);
      const [gone, onItsWay, waiting, refused] = ['gone', 'going', 'waiting', 'refused'].map((each) => refundId(fresh(each)));
      if (gone === undefined || onItsWay === undefined || waiting === undefined || refused === undefined) throw new Error();
      await transact({ payments: [of] }, (set) => {
        for (const each of [gone, onItsWay, waiting, refused]) addRefund(set, of, { id: each });
        set.record(gone, [succeeded(set, fresh('re'))], cause);
        const pending = { status: 'pending', holds: 'refunded', providerRefundId: fresh('re') } as const;
        set.record(onItsWay, [{ type: 'pending', at: set.now, changes: pending }], cause);
        set.record(refused, [{ type: 'rejected', at: set.now, changes: { status: 'rejected' } }], cause);
      });
      const found = (set: WorkingSet) => ({
        disputes: set.disputes.ofPayment(of.key).map((each) => each.id),
        refunds: [gone, onItsWay, waiting, refused].filter((each) => set.refund(each) !== undefined),
      });
      const all = { disputes: [id, second], refunds: [gone, onItsWay] };
      for (const which of ['all', 'disputed'] as const) {
        expect(await look({ payments: [of], disputesOfPayments: which }, found)).toEqual(all);
        expect(await look({ disputes: [second], disputesOfPayments: which, unlocked: true }, found)).toEqual(all);
      }
      const withWaiting = await look({ payments: [of], disputesOfPayments: 'all', waiting: true }, found);
      expect(withWaiting).toEqual({ ...all, refunds: [gone, onItsWay, waiting] });
      expect(await look({ payments: [of] }, found)).toEqual({ disputes: [], refunds: [] });

      const quiet = await withSends(refundId(fresh('quiet')));
      const paid = refundId(fresh('paid'));
      await transact({ payments: [quiet] }, (set) => {
        addRefund(set, quiet, { id: paid });
        set.record(paid, [succeeded(set, fresh('re'))], cause);
      });
      const seen = (which: 'all' | 'disputed') =>
        look({ payments: [quiet], disputesOfPayments: which }, (set) => set.refund(paid) !== undefined);
      expect([await seen('all'), await seen('disputed')]).toEqual([true, false]);
    });

    it('is not changed by whoever only looked, and nothing of it is stored when a decision throws', async () => {
      const { of, id } = await disputed();
      const change = (set: WorkingSet) =>
        set.disputes.record(id, [{ type: 'silent', at: set.now, changes: { alarms: 9 } }], cause);
      await expect(transact({ disputes: [id], unlocked: true }, change)).rejects.toThrow('without its lock');
      const unlocked = { payments: [of], disputes: [id], unlocked: true };
      await expect(transact(unlocked, (set) => set.disputes.setDraft(draftOf(id)))).rejects.toThrow('without its lock');
      const bytes = Buffer.from('x');
      const failing = transact({ evidence: [id] }, (set) => {
        change(set);
        set.disputes.setDraft(draftOf(id));
        set.disputes.addFile(file(id, 'receipt', bytes, { id: idWith('ef', `of ${id}`) }));
        throw new Error('a bug of ours');
      });
      await expect(failing).rejects.toThrow('a bug of ours');
      const after = await look({ evidence: [id] }, (set) => [set.disputes.kept(id).alarms, set.disputes.hasDraft(id)]);
      expect(after).toEqual([0, false]);
      expect(await scene.stores.evidenceFiles.bytes(idWith('ef', `of ${id}`))).toBeNull();
    });

    it('goes along with a charge that turns out to be part of a payment, loaded or not, and so do warnings', async () => {
      const [intent, charge] = [payment(fresh('pi')), payment(fresh('ch'))];
      const ids = await transact({ payments: [intent, charge] }, (set) => {
        capture(set, intent, 5000n);
        const added = [charge, charge, intent].map((of) => set.disputes.add(inquiry(set, of), [], cause).id);
        set.disputes.addWarning(warning(set, charge, 'w1'), cause);
        set.disputes.addWarning(warning(set, charge, 'w2'), cause);
        return added;
      });
      const [loaded = '', notLoaded = '', there = ''] = ids;
      const seen = called(`w1 ${charge.name}`);
      await transact({ payments: [charge, intent], disputes: [loaded], warnings: [seen] }, (set) => {
        set.settle(set.paymentCalled(charge), intent, [charge.name]);
        const changed = set.disputes.warning(seen);
        if (changed !== undefined) set.disputes.addWarning({ ...changed, actionable: false }, cause);
        set.disputes.record(loaded, [{ type: 'silent', at: set.now, changes: { alarms: 1 } }], cause);
        const more = inquiry(set, intent, { id: disputeId(`after ${loaded}`) });
        set.disputes.add(more, [], cause);
      });
      const wanted = { payments: [charge], disputesOfPayments: 'all', warnings: [seen, called(`w2 ${charge.name}`)] } as const;
      const after = await look(wanted, (set) => ({
        disputes: set.disputes.ofPayment(intent.key).map((each) => each.id),
        warnings: wanted.warnings.map((each) => set.disputes.warning(each)?.paymentKey),
        inquiries: set.paymentCalled(charge).inquiries,
      }));
      expect(new Set(after.disputes)).toEqual(new Set([loaded, notLoaded, there, disputeId(`after ${loaded}`)]));
      expect(after).toMatchObject({ warnings: [intent.key, intent.key], inquiries: 4 });
    });
  });

  describe('Evidence', () => {
    it('is kept in versions, with who changed what, and comes only where it is wanted', async () => {
      const { id } = await disputed();
      await transact({ evidence: [id] }, (set) => {
        expect(set.disputes.hasDraft(id)).toBe(false);
        set.disputes.setDraft(draftOf(id));
      });
      expect(await evidenceOf(id)).toEqual(draftOf(id));
      const next = draftOf(id, { version: 4, content: { customerName: 'A. Nother' }, changes: [], stagedVersion: 3, staged: [] });
      await transact({ evidence: [id] }, (set) => set.disputes.setDraft(next));
      expect(await evidenceOf(id)).toEqual(next);
      expect(await look({ disputes: [id] }, (set) => set.disputes.hasDraft(id))).toBe(false);
    });

    it('comes with when the earlier payments were paid that its draft names, by whichever name, where that is known', async () => {
      const { id } = await disputed();
      const [paid, undated, elsewhere] = [payment(fresh('pi')), payment(fresh('pi')), payment(fresh('pi'))];
      const charge = fresh('ch');
      await transact({ payments: [paid, undated, { ...elsewhere, account: 'eu' }] }, (set) => {
        capture(set, paid, 5000n, day(2));
        capture(set, undated, 5000n);
        set.settle(set.paymentCalled(paid), paid, [charge]);
        set.setPayment({ ...set.paymentCalled({ ...elsewhere, account: 'eu' }), paidAt: day(3) });
      });
      const priors = [paid.name, ` ${charge} `, undated.name, elsewhere.name, fresh('unheard'), ''].map((each) => ({
        charge: each,
      }));
      const content = { enhancedEvidence: { visaCompellingEvidence3: { priorUndisputedTransactions: priors } } };
      const charges = (want: object) => look(want, (set) => set.disputes.paidCharges(id));
      await transact({ evidence: [id] }, (set) => set.disputes.setDraft(draftOf(id, { content })));
      expect(await charges({ evidence: [id] })).toEqual([
        { disputeId: id, name: paid.name, paidAt: day(2) },
        { disputeId: id, name: charge, paidAt: day(2) },
      ]);
      expect(await charges({ disputes: [id] })).toEqual([]);
      // Looked up by whoever does not wait for their locks.
      expect(await look({ evidence: [id], payments: [paid] }, (set) => set.paymentCalled(paid).paidAt)).toEqual(day(2));
    });

    it('has one draft per dispute, and one writer at a time', async () => {
      const { of, id } = await disputed();
      const begin = (want: object) => transact(want, (set) => set.disputes.setDraft(draftOf(id)));
      await begin({ disputes: [id] });
      await expect(begin({ payments: [of] })).rejects.toThrow(Conflict);
      const edit = () =>
        transact({ evidence: [id] }, (set) => {
          const draft = set.disputes.draft(id);
          set.disputes.setDraft({ ...draft, version: draft.version + 1 });
        });
      await Promise.all(Array.from({ length: 8 }, edit));
      expect((await evidenceOf(id)).version).toBe(11);
    });

    it('has its files in order of arrival, without their bytes, and the bytes for who asks for them', async () => {
      const { id } = await disputed();
      const every = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
      const large = Buffer.alloc(5_000_000, 'pdf');
      const [first, second, third] = [file(id, 'receipt', every), file(id, 'receipt', large), file(id, 'refundPolicy', every)];
      await transact({ evidence: [id] }, (set) => {
        set.disputes.setDraft(draftOf(id, { files: [known(first)] }));
        set.disputes.addFile(first);
      });
      await transact({ evidence: [id] }, (set) => {
        const draft = set.disputes.draft(id);
        expect(draft.files).toEqual([known(first)]);
        set.disputes.setDraft({ ...draft, files: [known(second), known(third)] });
        set.disputes.removeFile(first.id);
        set.disputes.addFile(second);
        set.disputes.addFile(third);
      });
      expect((await evidenceOf(id)).files).toEqual([known(second), known(third)]);
      const { evidenceFiles } = scene.bench.again();
      // One that was taken out stays for the packets that name it.
      expect(await evidenceFiles.bytes(first.id)).toEqual(every);
      expect((await evidenceFiles.bytes(second.id))?.equals(large)).toBe(true);
      expect(await evidenceFiles.bytes(idWith('ef', 'none'))).toBeNull();
      expect(await evidenceFiles.bytes('nonsense')).toBeNull();
    });

    it('stays in a packet as it was decided, whatever becomes of the draft, but for what its sending adds', async () => {
      const { id } = await disputed();
      const [kept, replaced] = [file(id, 'receipt', Buffer.from('a')), file(id, 'refundPolicy', Buffer.from('b'))];
      const draft = draftOf(id, { files: [kept, replaced].map(known) });
      const packet = packetOf(draft);
      await transact({ evidence: [id] }, (set) => {
        set.disputes.setDraft(draft);
        for (const each of [kept, replaced]) set.disputes.addFile(each);
        set.disputes.setPacket(packet);
      });
      await transact({ evidence: [id] }, (set) => {
        set.disputes.setDraft({ ...draft, version: 4, content: {}, files: [known(kept)] });
        set.disputes.removeFile(replaced.id);
      });
      const packetNow = () => look({ evidence: [id] }, (set) => set.disputes.packet(id, 1, 3));
      expect(await packetNow()).toEqual(packet);

      // Now the provider has a file, and later all of it.
      await transact({ evidence: [id] }, (set) => set.disputes.uploaded(id, kept.id, 'file_1'));
      const files = [{ ...known(kept), providerFileId: 'file_1' }, known(replaced)];
      expect(await packetNow()).toEqual({ ...packet, files });
      expect((await evidenceOf(id)).files).toEqual(files.slice(0, 1));
      // Of the other it will hear nothing more.
      await transact({ evidence: [id] }, (set) => {
        set.disputes.refused(id, replaced.id, 'It is not a “PDF”.');
        set.disputes.refused(id, kept.id, 'Too late.');
      });
      files[1] = { ...known(replaced), refusedAs: 'It is not a “PDF”.' };
      expect(await packetNow()).toEqual({ ...packet, files });
      const second = packetOf({ ...draft, version: 9, files }, 2);
      await transact({ evidence: [id] }, (set) => {
        set.disputes.setPacket({ ...packet, files, submittedAt: day(9) });
        set.disputes.setPacket(second);
      });
      const both = await look({ evidence: [id] }, (set) => [set.disputes.packet(id, 1, 3), set.disputes.packet(id, 2, 9)]);
      expect(both).toEqual([{ ...packet, files, submittedAt: day(9) }, second]);
      // One who did not see it cannot send another one in its place.
      await expect(transact({ disputes: [id] }, (set) => set.disputes.setPacket(second))).rejects.toThrow(Conflict);
    });
  });

  function warning(set: WorkingSet, of: PaymentName, name: string): FraudWarning {
    return {
      id: idWith('fw', `${name} ${of.name}`),
      account: 'default',
      provider: 'stripe',
      providerWarningId: `${name} ${of.name}`,
      paymentKey: set.paymentCalled(of).key,
      actionable: true,
      fraudType: 'made_with_stolen_card',
      openedAt: day(1),
      reportedAt: day(2),
    };
  }

  describe('A warning of fraud', () => {
    it('is kept once, found by the provider’s id with its payment, and changed', async () => {
      const of = payment(fresh('pi'));
      const name = called(`w ${of.name}`);
      const add = () => transact({ payments: [of] }, (set) => set.disputes.addWarning(warning(set, of, 'w'), cause));
      await add();
      await expect(add()).rejects.toThrow(Conflict);
      const kept = (set: WorkingSet) => [set.disputes.warning(name), set.payment(of.key).name] as const;
      const [first, paid] = await look({ warnings: [name, { ...name, account: 'eu' }] }, kept);
      expect(first).toEqual(await look({ payments: [of] }, (set) => warning(set, of, 'w')));
      expect(paid).toBe(of.name);
      await transact({ warnings: [name] }, (set) => {
        const [before] = kept(set);
        if (before !== undefined) set.disputes.addWarning({ ...before, actionable: false, reportedAt: day(3) }, cause);
      });
      expect((await look({ warnings: [name] }, kept))[0]).toEqual({ ...first, actionable: false, reportedAt: day(3) });
    });
  });

  describe('A dispute’s lane', () => {
    const claim = async () => scene.stores.queue.claim(10, 30_000);
    const kinds = (claimed: readonly Operation[]) => claimed.map(({ kind }) => kind).sort();
    const decided = { kind: 'submit', state: 'recorded', by: 'somebody', at: day(5), reason: null, version: 3 } as const;
    /** A dispute with a document to upload, a draft to stage and a decision to send, in this order. */
    async function busy() {
      const { of, id } = await disputed((set, at) => inquiry(set, at, { decision: decided }));
      await transact({ disputes: [id] }, (set) => {
        const dispute = set.disputes.kept(id);
        addUpload(set, dispute, known(file(id, 'receipt', Buffer.from('a'))));
        addStage(set, dispute, 3);
      });
      return { of, id };
    }
    const done = (operation: Operation) =>
      transact({ operations: [operation.id] }, (set) => set.changeOperation(operation.id, { state: 'done', doneAt: set.now }));

    it('goes on beside the refunds of its payment, and both one at a time', async () => {
      await clearQueue();
      const { of, id } = await busy();
      const [a, b] = [refundId(fresh('a')), refundId(fresh('b'))];
      await transact({ payments: [of] }, (set) => {
        for (const each of [a, b]) {
          addRefund(set, of, { id: each });
          set.record(each, [approved(set)], cause);
          addSend(set, each);
        }
      });
      const first = await claim();
      expect(kinds(first)).toEqual(['evidence.upload', 'refund.send']);
      expect(first.find(({ kind }) => kind === 'evidence.upload')).toMatchObject({ disputeId: id, refundId: null, head: true });
      expect(await claim()).toEqual([]);
      for (const each of first) await done(each);
      const second = await claim();
      expect(kinds(second)).toEqual(['evidence.stage', 'refund.send']);
      for (const each of second) await done(each);
      expect(await claim()).toEqual([]);
    });

    it('is seen by whoever decides about the dispute, however it was asked for', async () => {
      await clearQueue();
      const { of, id } = await busy();
      const open = (set: WorkingSet) =>
        set
          .openOperationsOfDispute(id)
          .map(({ kind }) => kind)
          .sort();
      const both = ['evidence.stage', 'evidence.upload'];
      expect(await look({ disputes: [id] }, open)).toEqual(both);
      expect(await look({ evidence: [id] }, open)).toEqual(both);
      expect(await look({ payments: [of], disputesOfPayments: 'disputed' }, open)).toEqual(both);
      expect(await look({ payments: [of] }, open)).toEqual([]);
      expect(await look({ disputes: [id] }, (set) => set.headOf(`dispute:${id}`)?.kind)).toBe('evidence.upload');
      // What is only staged is dropped for what is sent; that waits for the document.
      await transact({ disputes: [id] }, (set) => addDecision(set, set.disputes.kept(id)));
      const [upload] = await claim();
      expect(upload?.kind).toBe('evidence.upload');
      if (upload !== undefined) await done(upload);
      expect(kinds(await claim())).toEqual(['dispute.submit']);
    });

    it.each([
      ['dispute.submit', 'submit'],
      ['dispute.accept', 'accept'],
    ] as const)('has %s begun by who runs it, not by its claim, and no pause in its way', async (kind, decision) => {
      await clearQueue();
      const { of, id } = await disputed((set, at) => inquiry(set, at, { decision: { ...decided, kind: decision } }));
      await transact({ payments: [of], disputes: [id], sending: 'thrown' }, (set) => {
        addDecision(set, set.disputes.kept(id));
        set.addPause({ provider: null, account: null, reason: 'a test', by: 'somebody', since: set.now, automatic: false });
      });
      const [claimed] = await claim();
      await transact({ sending: 'thrown' }, (set) => {
        for (const pause of set.pauses()) set.endPause(pause, { reason: 'mended', by: 'somebody' });
      });
      expect(claimed).toMatchObject({ kind, disputeId: id, tries: 0, firstSentAt: null, lastSentAt: null, fence: 1n });
    });

    it('has its preparations counted as begun with their claim', async () => {
      await clearQueue();
      await busy();
      const [upload] = await claim();
      expect(upload).toMatchObject({
        kind: 'evidence.upload',
        tries: 1,
        firstSentAt: expect.any(Date),
        lastSentAt: expect.any(Date),
      });
      if (upload !== undefined) await done(upload);
      expect(await claim()).toMatchObject([{ kind: 'evidence.stage', tries: 1 }]);
    });

    it('tells what is parked in it by its dispute', async () => {
      await clearQueue();
      const { id } = await busy();
      const [upload] = await claim();
      await transact({ operations: [upload?.id ?? ''] }, (set) => set.changeOperation(upload?.id ?? '', { state: 'parked' }));
      const parked = await scene.stores.queue.parked({ provider: null, account: null }, 0n, 1000);
      expect(parked.filter((each) => each.id === upload?.id)).toMatchObject([{ refundId: null, disputeId: id }]);
      await transact({ operations: [upload?.id ?? ''] }, (set) => set.changeOperation(upload?.id ?? '', { state: 'dropped' }));
    });
  });

  describe('A reading of a dispute', () => {
    it('serves all who ask for it, known or not, by whichever id', async () => {
      await clearQueue();
      const providerDisputeId = fresh('dispute');
      const name = called(providerDisputeId);
      const unknown = { account: 'default', provider: 'stripe', providerDisputeId, disputeId: null, paymentKey: null };
      const first = await transact({ providerDisputes: [name] }, (set) =>
        addDisputeRead(set, unknown, laterThan(set.now, 60_000), priorities.poll),
      );
      const of = payment(fresh('pi'));
      const id = await transact(
        { payments: [of] },
        (set) => set.disputes.add(inquiry(set, of, { providerDisputeId }), [], cause).id,
      );
      for (const want of [
        { providerDisputes: [name] },
        { disputes: [id] },
        { payments: [of], disputesOfPayments: 'all' } as const,
      ]) {
        const again = await transact(want, (set) => {
          const { paymentKey } = set.disputes.kept(id);
          return addDisputeRead(set, { ...unknown, disputeId: id, paymentKey }, set.now, priorities.noticeRead);
        });
        expect(again).toBe(first);
      }
      expect(await scene.stores.queue.claim(10, 1000)).toMatchObject([
        { id: first, disputeId: id, paymentKey: of.key, tries: 1 },
      ]);
      // Without a name to look under, a second reading is refused, and its want tried again.
      const blind = transact({}, (set) => addDisputeRead(set, unknown, set.now, priorities.poll));
      await expect(blind).rejects.toThrow(Conflict);
    });

    it('stands beside readings of other things that are called the same', async () => {
      const same = fresh('same');
      const of = payment(same);
      const wanted = {
        payments: [of],
        providerDisputes: [called(same)],
        warnings: [called(same)],
        providerRefunds: [providerRefund(same)],
      };
      const add = () =>
        transact(wanted, (set) => {
          const unknown = { account: 'default', provider: 'stripe', providerDisputeId: same, disputeId: null, paymentKey: null };
          const dispute = addDisputeRead(set, unknown, set.now, priorities.poll);
          return [dispute, addWarningRead(set, 'default', 'stripe', same), addPaymentRead(set, set.paymentCalled(of))];
        });
      const first = await add();
      expect(new Set(first).size).toBe(3);
      expect(await add()).toEqual(first);
    });
  });

  describe('Alarms', () => {
    it('are due at their time, the one that has waited longest first, until they are put off or cleared', async () => {
      const clock = await look({}, (set) => set.now);
      const make = async (inMs: number | null) => {
        const at = inMs === null ? null : laterThan(clock, inMs);
        return (await disputed((set, of) => inquiry(set, of, { nextAlarmAt: at }))).id;
      };
      const [later, earlier] = [await make(60_000), await make(30_000)];
      const [never, farOff] = [await make(null), await make(86_400_000)];
      const ours = [later, earlier, never, farOff];
      const due = async (limit = 1000) => (await scene.stores.watch.due(limit)).filter((id) => ours.includes(id));
      expect(await due()).toEqual([]);
      await scene.bench.advance(61_000);
      expect(await due()).toEqual([earlier, later]);
      expect(await scene.bench.again().watch.due(1)).toHaveLength(1);
      const put = (id: string, nextAlarmAt: Date | null) =>
        transact({ disputes: [id] }, (set) =>
          set.disputes.record(id, [{ type: 'silent', at: set.now, changes: { nextAlarmAt } }], cause),
        );
      await put(earlier, laterThan(clock, 86_400_000));
      expect(await due()).toEqual([later]);
      await put(later, null);
      expect(await due()).toEqual([]);
      for (const id of [earlier, farOff]) await put(id, null);
    });
  });

  describe('What names a dispute', () => {
    it('keeps it: a command, and a delivery with the answer to it', async () => {
      const { id } = await disputed();
      const key = fresh('command');
      const command = {
        id: uuid(key),
        account: 'default',
        door: 'http',
        source: 'shop',
        key,
        type: 'redress.LetDisputePass.v1',
        digest: 'd',
        refundId: null,
        disputeId: id,
        body: { reason: 'too small' },
        answer: '{}',
        receivedAt: day(1),
      } as const;
      await transact({ disputes: [id] }, (set) => set.addCommand(command));
      expect(await look({ commands: [command.id] }, (set) => set.command(command.id))).toEqual(command);

      const [known, unknown] = [fresh('evt'), fresh('evt')];
      const stored = {
        account: 'default',
        provider: 'stripe',
        type: 't',
        body: Buffer.from('{}'),
        digest: 'x',
        from: null,
      } as const;
      await scene.bench.advance(31_000);
      await scene.stores.deliveries.claim(100, 86_400_000);
      await scene.stores.deliveries.store(
        [known, unknown].map((noticeId) => ({ ...stored, noticeId, disposition: null, detail: null })),
      );
      const [one, other] = await scene.stores.deliveries.claim(2, 30_000);
      const operationId = uuid(fresh('operation'));
      await transact({}, (set) => {
        const mark = { detail: null, refundId: null } as const;
        set.disposeDelivery({ ...mark, id: one?.id ?? '', disposition: 'stale', operationId: null, disputeId: id });
        set.disposeDelivery({ ...mark, id: other?.id ?? '', disposition: null, operationId, disputeId: null });
        set.disposeAnswered({ operationId, disposition: 'applied', detail: 'news', refundId: null, disputeId: id });
      });
      const ends = [await scene.bench.dispositionOf(known), await scene.bench.dispositionOf(unknown)];
      expect(ends.flat()).toEqual([
        { disposition: 'stale', detail: null, refundId: null, disputeId: id },
        { disposition: 'applied', detail: 'news', refundId: null, disputeId: id },
      ]);
    });
  });
}
