import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { DisputeProvider, DisputeSendAnswer, EvidenceOrder } from '#domain/ports/dispute-provider';
import type { CallContext, CallTrace } from '#domain/ports/refund-provider';
import { pdf, png } from '../documents.js';

/** What the provider's own books have of a dispute. */
export interface DisputeBooks {
  /** The text and the digests of the documents of each answer that the bank got, ours and others'. */
  readonly answers: readonly { readonly text: string | null; readonly digests: readonly string[] }[];
  /** How often something was put there without being submitted, and how often it was given up. */
  readonly staged: number;
  readonly closes: number;
}

/** A send, and what may happen to the next one: done and the answer lost, not done at all, failed before or after it was done, met by a limit. */
export type DisputeCall = 'upload' | 'stage' | 'submit' | 'accept';
export type DisputeFault = 'answer_lost' | 'call_lost' | 'failed' | 'done_and_failed' | 'later';

/** A provider to be held to the contract, and the hands of a tester on its other side. */
export interface DisputeBench {
  readonly provider: DisputeProvider;
  /** A dispute of 100.00 USD that waits for an answer, and its payment. */
  open(stage: 'inquiry' | 'chargeback'): Promise<{ readonly id: string; readonly payment: string }>;
  warn(): Promise<{ readonly id: string; readonly payment: string }>;
  fault(call: DisputeCall, fault: DisputeFault): Promise<void>;
  /** The next look before something is sent fails. */
  failLook(): Promise<void>;
  /** What the bank does, or somebody in the dashboard. */
  bank(id: string, does: 'escalate' | 'win' | 'lose' | 'appeal' | 'colleague_submits'): Promise<void>;
  setStatus(id: string, providerStatus: string): Promise<void>;
  books(id: string): Promise<DisputeBooks>;
  /** The digests of all documents that were uploaded. */
  uploads(): Promise<string[]>;
  readonly digestOf: (bytes: Buffer) => string;
  close(): Promise<void>;
}

/** What every implementation of the port keeps, whatever is behind it. */
export function disputeProviderContract(name: string, start: () => Promise<DisputeBench>): void {
  describe(`${name}, as a provider of disputes`, () => {
    let bench: DisputeBench;
    let provider: DisputeProvider;
    beforeAll(async () => {
      bench = await start();
      provider = bench.provider;
    });
    afterAll(() => bench.close());

    let count = 0;
    const call = (): CallContext & { readonly traces: CallTrace[] } => {
      const traces: CallTrace[] = [];
      return { deadline: AbortSignal.timeout(10_000), now: new Date(), trace: (trace) => traces.push(trace), traces };
    };
    const newKey = () => `contract:${++count}`;
    const orderOf = (providerDisputeId: string, more: Partial<EvidenceOrder> = {}): EvidenceOrder => ({
      providerDisputeId,
      content: { uncategorizedText: 'The parcel came.' },
      files: [],
      emptied: [],
      submissions: 0,
      stage: 'chargeback',
      ...more,
    });
    const submit = (order: EvidenceOrder, key: string) => provider.submit(order, key, call());
    const accept = (id: string, key: string) => provider.accept({ providerDisputeId: id, stage: 'chargeback' }, key, call());
    const read = async (id: string) => {
      const answer = await provider.readDispute(id, call());
      if (answer.kind !== 'found') throw new Error(answer.kind);
      return answer.report;
    };
    const uploaded = async (bytes: Buffer, key = newKey()) => {
      const answer = await provider.upload({ name: 'document.pdf', type: 'application/pdf', bytes }, key, call());
      if (answer.kind !== 'uploaded') throw new Error(JSON.stringify(answer));
      return answer.providerFileId;
    };
    const texts = async (id: string) => (await bench.books(id)).answers.map(({ text }) => text);

    it('reads a chargeback: its payment, its money, and until when it waits', async () => {
      const { id, payment } = await bench.open('chargeback');
      const context = call();
      const answer = await provider.readDispute(id, context);
      expect(answer).toMatchObject({
        kind: 'found',
        report: {
          providerDisputeId: id,
          payment,
          stage: 'chargeback',
          status: 'needs_response',
          providerStatus: 'needs_response',
          amount: 10_000n,
          currency: 'USD',
          refundable: false,
          submissions: 0,
          submittedBy: null,
          submittedLate: false,
          movements: [{ kind: 'withdrawal', amount: 10_000n, currency: 'USD' }],
          at: context.now,
        },
      });
      const report = answer.kind === 'found' ? answer.report : null;
      expect(report?.dueBy?.getTime()).toBeGreaterThan(report?.openedAt.getTime() ?? Infinity);
      expect(report?.movements[0]?.fee).toBeGreaterThan(0n);
      expect(context.traces).toHaveLength(1);
    });

    it('reads an inquiry, which takes no money', async () => {
      const { id } = await bench.open('inquiry');
      expect(await read(id)).toMatchObject({ stage: 'inquiry', status: 'needs_response', refundable: true, movements: [] });
    });

    it('reads what the bank does, also when it changes its mind', async () => {
      const { id } = await bench.open('inquiry');
      await bench.bank(id, 'escalate');
      expect(await read(id)).toMatchObject({ stage: 'chargeback', status: 'needs_response', refundable: false });
      await bench.bank(id, 'win');
      const won = await read(id);
      expect(won).toMatchObject({ status: 'won', refundable: true });
      expect(won.movements.map(({ kind, amount }) => [kind, amount])).toEqual([
        ['withdrawal', 10_000n],
        ['reinstatement', 10_000n],
      ]);
      await bench.bank(id, 'lose');
      const lost = await read(id);
      expect(lost).toMatchObject({ status: 'lost' });
      expect(lost.movements).toHaveLength(3);
    });

    it('reads a status that nobody knows, and sends nothing to it', async () => {
      const { id } = await bench.open('chargeback');
      await bench.setStatus(id, 'on_the_moon');
      expect(await read(id)).toMatchObject({ status: 'unknown', providerStatus: 'on_the_moon' });
      expect(await submit(orderOf(id), newKey())).toMatchObject({ kind: 'unsent' });
      expect(await accept(id, newKey())).toMatchObject({ kind: 'unsent' });
      expect(await bench.books(id)).toMatchObject({ answers: [], closes: 0 });
    });

    it.each(['', '..', '../disputes', 'a b', 'x'.repeat(300), '\u0000', 'du_nobody'])(
      'does not know %j, and does not stumble over it',
      async (id) => {
        expect(await provider.readDispute(id, call())).toMatchObject({ kind: 'absent' });
        expect(await provider.readWarning(id, call())).toMatchObject({ kind: 'absent' });
        const nobody = { kind: 'refused', code: 'dispute_not_found' };
        expect(await provider.stage(orderOf(id), newKey(), call())).toMatchObject(nobody);
        expect(await submit(orderOf(id), newKey())).toMatchObject(nobody);
        expect(await accept(id, newKey())).toMatchObject(nobody);
      },
    );

    it('lists what was opened since a time, newest first, each once, page by page', async () => {
      const opened: string[] = [];
      for (let at = 0; at < 5; at++) opened.push((await bench.open(at % 2 === 0 ? 'chargeback' : 'inquiry')).id);
      const since = (await read(opened[0] ?? '')).openedAt;
      const listed: string[] = [];
      for (let after: string | null = null, more = true; more; more = after !== null) {
        const page = await provider.listDisputes(since, after, call());
        if (page.kind !== 'page') throw new Error(page.kind);
        listed.push(...page.disputes.map(({ providerDisputeId }) => providerDisputeId));
        after = page.next;
      }
      expect(new Set(listed).size).toBe(listed.length);
      expect(listed.filter((id) => opened.includes(id))).toEqual(opened.toReversed());
      const tomorrow = new Date(since.getTime() + 86_400_000);
      expect(await provider.listDisputes(tomorrow, null, call())).toEqual({ kind: 'page', disputes: [], unread: [], next: null });
    });

    it('reads an early fraud warning with its payment', async () => {
      const { id, payment } = await bench.warn();
      const context = call();
      expect(await provider.readWarning(id, context)).toMatchObject({
        kind: 'found',
        warning: { providerWarningId: id, payment, actionable: true, fraudType: 'unauthorized_use_of_card', at: context.now },
      });
    });

    it('uploads a document as it is, and the same key again makes no second one', async () => {
      const bytes = pdf(3);
      const key = newKey();
      const id = await uploaded(bytes, key);
      expect(await uploaded(bytes, key)).toBe(id);
      expect((await bench.uploads()).filter((digest) => digest === bench.digestOf(bytes))).toHaveLength(1);
      expect(await uploaded(bytes)).not.toBe(id);
    });

    it('does not know whether a document arrived when the answer is lost, and finds it under its key', async () => {
      const [bytes, key] = [pdf(4), newKey()];
      await bench.fault('upload', 'answer_lost');
      const lost = await provider.upload({ name: 'document.pdf', type: 'application/pdf', bytes }, key, call());
      expect(lost).toMatchObject({ kind: 'unknown' });
      await uploaded(bytes, key);
      expect((await bench.uploads()).filter((digest) => digest === bench.digestOf(bytes))).toHaveLength(1);
    });

    it('stages without submitting, as often as it is asked, and submits what is staged with what is said then', async () => {
      const { id } = await bench.open('chargeback');
      const document = png();
      const providerFileId = await provider.upload({ name: 'dot.png', type: 'image/png', bytes: document }, newKey(), call());
      if (providerFileId.kind !== 'uploaded') throw new Error(providerFileId.kind);
      const files = [{ place: 'receipt' as const, providerFileId: providerFileId.providerFileId }];
      const [first, second] = [orderOf(id, { content: { customerName: 'Ann Other' } }), orderOf(id, { content: {}, files })];
      expect(await provider.stage(first, newKey(), call())).toMatchObject({ kind: 'taken', report: { submissions: 0 } });
      expect(await provider.stage(second, newKey(), call())).toMatchObject({
        kind: 'taken',
        report: { status: 'needs_response', submissions: 0, submittedBy: null },
      });
      expect(await bench.books(id)).toMatchObject({ answers: [], staged: 2 });
      expect(await submit(orderOf(id, { content: { uncategorizedText: 'All of it.' } }), newKey())).toMatchObject({
        kind: 'taken',
        report: { status: 'under_review', submissions: 1, submittedBy: 'manual' },
      });
      const [answer, ...more] = (await bench.books(id)).answers;
      expect(answer).toEqual({ text: 'All of it.', digests: [bench.digestOf(document)] });
      expect(more).toEqual([]);
    });

    it('stages nothing on a dispute that has been answered', async () => {
      const { id } = await bench.open('chargeback');
      await submit(orderOf(id), newKey());
      const late = orderOf(id, { content: { uncategorizedText: 'One thing more.' } });
      expect(await provider.stage(late, newKey(), call())).toMatchObject({ kind: 'refused' });
      expect(await bench.books(id)).toMatchObject({ staged: 0 });
      expect(await texts(id)).toEqual(['The parcel came.']);
    });

    it('gives the bank no evidence that names a document it does not have', async () => {
      const { id } = await bench.open('chargeback');
      const order = orderOf(id, { files: [{ place: 'receipt', providerFileId: 'file_nobody' }] });
      expect(await provider.stage(order, newKey(), call())).toMatchObject({ kind: 'refused', code: 'evidence_refused' });
      expect(await submit(order, newKey())).toMatchObject({ kind: 'refused', code: 'evidence_refused' });
      expect(await bench.books(id)).toMatchObject({ answers: [], staged: 0 });
    });

    it('gives the bank one answer, however often it is submitted, under the same key or under others', async () => {
      const { id } = await bench.open('chargeback');
      const [order, key] = [orderOf(id), newKey()];
      expect(await submit(order, key)).toMatchObject({ kind: 'taken' });
      for (const again of [key, key, newKey()]) {
        expect(await submit(order, again)).toMatchObject({
          kind: 'overtaken',
          report: { status: 'under_review', submissions: 1 },
        });
      }
      expect(await texts(id)).toEqual(['The parcel came.']);
    });

    it('gives the bank one answer when two submit at once', async () => {
      const { id } = await bench.open('chargeback');
      const [order, key] = [orderOf(id), newKey()];
      const all = await Promise.all([submit(order, key), submit(order, key), submit(order, newKey())]);
      expect(await texts(id)).toEqual(['The parcel came.']);
      // Who came second is told how it is, or to come back; nobody is told that nothing has changed.
      for (const answer of all) expect(['taken', 'overtaken', 'later', 'unknown']).toContain(answer.kind);
      expect(all.some(({ kind }) => kind === 'taken')).toBe(true);
    });

    it.each<[DisputeFault, number]>([
      ['answer_lost', 1],
      ['call_lost', 0],
      ['failed', 0],
      ['done_and_failed', 1],
    ])('does not know the outcome of a submission that met %s, and the next look tells', async (fault, arrived) => {
      const { id } = await bench.open('chargeback');
      const [order, key] = [orderOf(id), newKey()];
      await bench.fault('submit', fault);
      expect(await submit(order, key)).toMatchObject({ kind: 'unknown' });
      expect(await texts(id)).toHaveLength(arrived);
      // A failure may be kept under its key; a look has shown that nothing arrived, so a new one may go out.
      const again = await submit(order, fault === 'failed' ? newKey() : key);
      expect(again.kind).toBe(arrived === 1 ? 'overtaken' : 'taken');
      expect(again).toMatchObject({ report: { status: 'under_review', submissions: 1 } });
      expect(await texts(id)).toEqual(['The parcel came.']);
    });

    it.each<[DisputeFault, number]>([
      ['answer_lost', 1],
      ['call_lost', 0],
      ['failed', 0],
      ['done_and_failed', 1],
    ])('does not know the outcome of an acceptance that met %s, and the next look tells', async (fault, arrived) => {
      const { id } = await bench.open('chargeback');
      const key = newKey();
      await bench.fault('accept', fault);
      expect(await accept(id, key)).toMatchObject({ kind: 'unknown' });
      expect(await bench.books(id)).toMatchObject({ closes: arrived });
      const again = await accept(id, fault === 'failed' ? newKey() : key);
      expect(again.kind).toBe(arrived === 1 ? 'overtaken' : 'taken');
      expect(again).toMatchObject({ report: { status: 'lost' } });
      expect(await bench.books(id)).toMatchObject({ closes: 1, answers: [] });
    });

    it('does not know the outcome of a staging whose answer is lost, and the same key stages nothing twice', async () => {
      const { id } = await bench.open('chargeback');
      const [order, key] = [orderOf(id), newKey()];
      await bench.fault('stage', 'answer_lost');
      expect(await provider.stage(order, key, call())).toMatchObject({ kind: 'unknown' });
      expect(await provider.stage(order, key, call())).toMatchObject({ kind: 'taken', report: { submissions: 0 } });
      expect(await bench.books(id)).toMatchObject({ staged: 1, answers: [] });
    });

    it('tells of a key that comes again how the dispute is by now', async () => {
      const { id } = await bench.open('chargeback');
      const [order, key] = [orderOf(id), newKey()];
      await provider.stage(order, key, call());
      await bench.bank(id, 'win');
      expect(await provider.stage(order, key, call())).toMatchObject({ kind: 'taken', report: { status: 'won' } });
    });

    it('does not take the key of one call for another one', async () => {
      const { id } = await bench.open('chargeback');
      const key = newKey();
      await provider.stage(orderOf(id), key, call());
      const other = orderOf(id, { content: { uncategorizedText: 'Something else.' } });
      expect(await provider.stage(other, key, call())).toMatchObject({ kind: 'unknown' });
      expect(await submit(other, key)).toMatchObject({ kind: 'unknown' });
      expect(await texts(id)).toEqual([]);
    });

    it.each(['stage', 'submit', 'accept'] as const)('asks for patience at a limit, and nothing has changed: %s', async (what) => {
      const { id } = await bench.open('chargeback');
      await bench.fault(what, 'later');
      const order = orderOf(id);
      const sent: Record<typeof what, () => Promise<DisputeSendAnswer>> = {
        stage: () => provider.stage(order, newKey(), call()),
        submit: () => submit(order, newKey()),
        accept: () => accept(id, newKey()),
      };
      expect(await sent[what]()).toMatchObject({ kind: 'later', limit: 'rate' });
      expect(await bench.books(id)).toEqual({ answers: [], staged: 0, closes: 0 });
    });

    it('sends nothing when the look before it fails', async () => {
      const { id } = await bench.open('chargeback');
      await bench.failLook();
      expect(await submit(orderOf(id), newKey())).toMatchObject({ kind: 'unsent' });
      await bench.failLook();
      expect(await accept(id, newKey())).toMatchObject({ kind: 'unsent' });
      expect(await bench.books(id)).toEqual({ answers: [], staged: 0, closes: 0 });
    });

    it('sends nothing, and reads nothing, once its deadline is over', async () => {
      const { id } = await bench.open('chargeback');
      const over = { ...call(), deadline: AbortSignal.abort() };
      const kinds = await Promise.all([
        provider.readDispute(id, over),
        provider.listDisputes(new Date(0), null, over),
        provider.readWarning('issfr_1', over),
        provider.stage(orderOf(id), newKey(), over),
        provider.submit(orderOf(id), newKey(), over),
        provider.accept({ providerDisputeId: id, stage: 'chargeback' }, newKey(), over),
        provider.upload({ name: 'document.pdf', type: 'application/pdf', bytes: pdf() }, newKey(), over),
      ]);
      expect(kinds.map(({ kind }) => kind)).toEqual(['unread', 'unread', 'unread', 'unknown', 'unsent', 'unsent', 'unknown']);
      expect(await bench.books(id)).toEqual({ answers: [], staged: 0, closes: 0 });
    });

    it('is overtaken when somebody else has answered, and the bank has one answer', async () => {
      const { id } = await bench.open('chargeback');
      await bench.bank(id, 'colleague_submits');
      expect(await submit(orderOf(id), newKey())).toMatchObject({ kind: 'overtaken', report: { submissions: 1 } });
      expect(await accept(id, newKey())).toMatchObject({ kind: 'overtaken', report: { status: 'under_review' } });
      expect(await bench.books(id)).toMatchObject({ closes: 0 });
      expect(await texts(id)).toHaveLength(1);
    });

    it.each(['win', 'lose'] as const)('is overtaken by a bank that has decided: %s', async (does) => {
      const { id } = await bench.open('chargeback');
      await bench.bank(id, does);
      expect(await submit(orderOf(id), newKey())).toMatchObject({ kind: 'overtaken' });
      expect(await accept(id, newKey())).toMatchObject({ kind: 'overtaken' });
      expect(await bench.books(id)).toMatchObject({ answers: [], closes: 0 });
    });

    it('answers each stage once: an inquiry, then the chargeback that it became', async () => {
      const { id } = await bench.open('inquiry');
      const first = orderOf(id, { stage: 'inquiry', content: { uncategorizedText: 'The first answer.' } });
      expect(await submit(first, newKey())).toMatchObject({
        kind: 'taken',
        report: { stage: 'inquiry', status: 'under_review', submissions: 1 },
      });
      await bench.bank(id, 'escalate');
      // What was meant for the inquiry is none for the chargeback, also where nothing else would keep it back.
      expect(await submit({ ...first, submissions: 1 }, newKey())).toMatchObject({ kind: 'overtaken' });
      const second = orderOf(id, { submissions: 1, content: { uncategorizedText: 'The second answer.' } });
      expect(await submit({ ...second, submissions: 0 }, newKey())).toMatchObject({ kind: 'overtaken' });
      expect(await submit(second, newKey())).toMatchObject({ kind: 'taken', report: { stage: 'chargeback', submissions: 2 } });
      expect(await texts(id)).toEqual(['The first answer.', 'The second answer.']);
    });

    it('does not give up an inquiry, and says that it did not', async () => {
      const { id } = await bench.open('inquiry');
      const order = { providerDisputeId: id, stage: 'inquiry' } as const;
      expect(await provider.accept(order, newKey(), call())).toMatchObject({ kind: 'refused', code: 'dispute_not_open' });
      expect(await read(id)).toMatchObject({ status: 'needs_response' });
      expect(await bench.books(id)).toMatchObject({ closes: 0 });
    });

    it('does not give up the chargeback that an inquiry became in the meantime', async () => {
      const { id } = await bench.open('inquiry');
      await bench.bank(id, 'escalate');
      const order = { providerDisputeId: id, stage: 'inquiry' } as const;
      expect(await provider.accept(order, newKey(), call())).toMatchObject({
        kind: 'overtaken',
        report: { stage: 'chargeback' },
      });
      expect(await bench.books(id)).toMatchObject({ closes: 0 });
    });

    it('appeals a decision with an appeal, and with nothing else', async () => {
      const { id } = await bench.open('chargeback');
      await submit(orderOf(id), newKey());
      await bench.bank(id, 'lose');
      await bench.bank(id, 'appeal');
      expect(await read(id)).toMatchObject({
        stage: 'appeal',
        status: 'needs_response',
        providerStatus: 'appeal_needs_response',
      });
      const appealed = { stage: 'appeal', submissions: 1 } as const;
      expect(await submit(orderOf(id, appealed), newKey())).toMatchObject({ kind: 'refused', code: 'evidence_refused' });
      const reason = { appeal: { card: { reasonForFiling: 'The signature was overlooked.' } } };
      const files = [{ place: 'appealSupportingFiles' as const, providerFileId: await uploaded(pdf(2)) }];
      expect(await submit(orderOf(id, { ...appealed, content: reason, files }), newKey())).toMatchObject({
        kind: 'taken',
        report: { stage: 'appeal', status: 'under_review', submissions: 2 },
      });
      expect((await bench.books(id)).answers.at(-1)?.digests).toEqual([bench.digestOf(pdf(2))]);
    });

    it('empties what was staged and is to be held no more', async () => {
      const { id } = await bench.open('chargeback');
      const receipt = { place: 'receipt' as const, providerFileId: await uploaded(pdf(5)) };
      const staged = orderOf(id, { content: { customerName: 'Ann', uncategorizedText: 'Nonsense.' }, files: [receipt] });
      await provider.stage(staged, newKey(), call());
      const order = orderOf(id, { content: { customerName: 'Ann' }, emptied: ['uncategorizedText', 'receipt'] });
      expect(await submit(order, newKey())).toMatchObject({ kind: 'taken' });
      expect((await bench.books(id)).answers).toEqual([{ text: null, digests: [] }]);
    });
  });
}
