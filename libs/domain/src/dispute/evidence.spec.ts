import { describe, expect, it } from '@jest/globals';
import {
  addFile,
  answerFrom,
  edit,
  emptyDraft,
  isEmpty,
  removeFile,
  staged,
  type Draft,
  type EvidenceChanges,
  type EvidenceFile,
} from './evidence.js';

const clock = (minute: number) => new Date(Date.UTC(2026, 2, 2, 9, minute));
const empty = emptyDraft('dp_1');

function file(id: string, changes: Partial<EvidenceFile> = {}): EvidenceFile {
  return {
    id,
    disputeId: 'dp_1',
    place: 'receipt',
    name: 'receipt.pdf',
    type: 'application/pdf',
    size: 1000,
    pages: 1,
    digest: 'aa',
    providerFileId: null,
    by: 'ada',
    addedAt: clock(1),
    refusedAs: null,
    removedAt: null,
    ...changes,
  };
}

/** What a change that must go well makes of the draft. */
function value<T>(result: { ok: true; value: T } | { ok: false; error: unknown }): T {
  if (!result.ok) throw new Error(JSON.stringify(result.error));
  return result.value;
}
const edited = (draft: Draft, changes: EvidenceChanges, by = 'ada') => value(edit(draft, changes, null, by, clock(5)));
const withFile = (draft: Draft, added: EvidenceFile) => value(addFile(draft, added, null));

describe('A draft of evidence', () => {
  it('begins empty, as version 1', () => {
    expect(empty).toMatchObject({ version: 1, content: {}, files: [], changes: [], stagedVersion: 0, staged: [] });
    expect(isEmpty(empty)).toBe(true);
  });

  it('takes in what is named, keeps what is not, and says who changed what', () => {
    const first = edited(empty, { customerName: 'Grace', productDescription: 'A boat' });
    const second = edited(first, { productDescription: 'A big boat' }, 'bob');
    expect(second.content).toEqual({ customerName: 'Grace', productDescription: 'A big boat' });
    expect(second.version).toBe(3);
    expect(second.changes).toEqual([
      { version: 2, fields: ['customerName', 'productDescription'], by: 'ada', at: clock(5) },
      { version: 3, fields: ['productDescription'], by: 'bob', at: clock(5) },
    ]);
  });

  it.each([null, ''])('loses a field that is set to %p', (nothing) => {
    const draft = edited(edited(empty, { customerName: 'Grace' }), { customerName: nothing });
    expect(draft.content).toEqual({});
    expect(draft.version).toBe(3);
    expect(isEmpty(draft)).toBe(true);
  });

  it.each<[string, EvidenceChanges]>([
    ['the same text', { customerName: 'Grace' }],
    ['nothing', {}],
    ['a field that was not there, taken out', { receipt: null } as EvidenceChanges],
    ['a programme that was not there, taken out', { enhancedEvidence: { visaCompliance: null } }],
    [
      'the same parts in another order, as a database may give them back',
      {
        enhancedEvidence: {
          visaCompellingEvidence3: { disputedTransaction: { customerPurchaseIp: '1.2.3.4', customerAccountId: 'a' } },
        },
      },
    ],
  ])('stays as it is when it is given %s', (_, changes) => {
    const draft = edited(empty, {
      customerName: 'Grace',
      enhancedEvidence: {
        visaCompellingEvidence3: { disputedTransaction: { customerAccountId: 'a', customerPurchaseIp: '1.2.3.4' } },
      },
    });
    expect(edited(draft, changes)).toBe(draft);
  });

  it('is not edited by somebody who looked at an older version, and says who changed what since', () => {
    const first = edited(empty, { customerName: 'Grace' });
    const second = edited(first, { customerName: 'Ada' }, 'bob');
    const error = {
      code: 'evidence_changed',
      version: 3,
      changes: [{ version: 3, fields: ['customerName'], by: 'bob', at: clock(5) }],
    };
    expect(edit(second, { customerName: 'Eve' }, 2, 'eve', clock(6))).toEqual({ ok: false, error });
    expect(addFile(second, file('ef_1'), 2)).toEqual({ ok: false, error });
    expect(removeFile(withFile(second, file('ef_1')), 'ef_1', 3, 'eve', clock(6))).toMatchObject({
      ok: false,
      error: { code: 'evidence_changed', version: 4, changes: [{ fields: ['receipt'] }] },
    });
    expect(edit(second, { customerName: 'Eve' }, 3, 'eve', clock(6))).toMatchObject({ ok: true, value: { version: 4 } });
  });

  it('keeps one programme when another one is put in or taken out, and names it by its path', () => {
    const acknowledged = edited(empty, { enhancedEvidence: { visaCompliance: { feeAcknowledged: true } } });
    const both = edited(acknowledged, { enhancedEvidence: { visaCompellingEvidence3: {} } });
    expect(both.content).toEqual({
      enhancedEvidence: { visaCompliance: { feeAcknowledged: true }, visaCompellingEvidence3: {} },
    });
    expect(both.changes.at(-1)?.fields).toEqual(['enhancedEvidence.visaCompellingEvidence3']);
    const one = edited(both, { enhancedEvidence: { visaCompellingEvidence3: null } });
    expect(one.content).toEqual(acknowledged.content);
    expect(edited(one, { enhancedEvidence: { visaCompliance: null } }).content).toEqual({});
  });

  it('loses all programmes at once', () => {
    const draft = edited(empty, {
      enhancedEvidence: { visaCompliance: { feeAcknowledged: true }, mastercardCompliance: { feeAcknowledged: true } },
    });
    const gone = edited(draft, { enhancedEvidence: null });
    expect(isEmpty(gone)).toBe(true);
    expect(gone.changes.at(-1)?.fields).toEqual(['enhancedEvidence.visaCompliance', 'enhancedEvidence.mastercardCompliance']);
  });
});

describe('A file of a draft', () => {
  it('takes the place of the one that was there', () => {
    const draft = withFile(
      withFile(withFile(empty, file('ef_1')), file('ef_2', { place: 'refundPolicy' })),
      file('ef_3', { by: 'bob' }),
    );
    expect(draft.files.map(({ id }) => id)).toEqual(['ef_2', 'ef_3']);
    expect(draft.changes.at(-1)).toEqual({ version: 4, fields: ['receipt'], by: 'bob', at: clock(1) });
  });

  it('stands beside others in an appeal', () => {
    const place = 'appealSupportingFiles';
    expect(withFile(withFile(empty, file('ef_1', { place })), file('ef_2', { place })).files).toHaveLength(2);
  });

  it('changes nothing when it comes again, whatever version was looked at', () => {
    const draft = withFile(empty, file('ef_1'));
    expect(value(addFile(draft, file('ef_1'), 1))).toBe(draft);
  });

  it('is taken out, and is not found a second time', () => {
    const draft = withFile(empty, file('ef_1'));
    const without = value(removeFile(draft, 'ef_1', 2, 'bob', clock(3)));
    expect(without.files).toEqual([]);
    expect(without.changes.at(-1)).toEqual({ version: 3, fields: ['receipt'], by: 'bob', at: clock(3) });
    expect(removeFile(without, 'ef_1', 2, 'bob', clock(3))).toEqual({ ok: false, error: { code: 'evidence_file_not_found' } });
  });
});

describe('What the provider is told to hold no more', () => {
  const full = withFile(edited(empty, { customerName: 'Grace', productDescription: 'A boat' }), file('ef_1'));
  const held = staged(full, full.version, answerFrom(full, false), 'held');

  it('is nothing while nothing was staged: what it filled in by itself stays', () => {
    expect(answerFrom(edited(full, { customerName: null }), false).emptied).toEqual([]);
  });

  it('is a text and a file that were staged and are in the draft no more', () => {
    expect(held).toMatchObject({ stagedVersion: 3, staged: ['customerName', 'productDescription', 'receipt'] });
    const less = value(removeFile(edited(held, { customerName: null }), 'ef_1', null, 'bob', clock(3)));
    expect(answerFrom(less, false).emptied).toEqual(['customerName', 'receipt']);
  });

  it('is not what was written and taken out again between two stagings', () => {
    const draft = edited(edited(held, { customerPurchaseIp: '1.2.3.4' }), { customerPurchaseIp: null });
    expect(answerFrom(draft, false).emptied).toEqual([]);
  });

  it('is a programme or an appeal that was staged', () => {
    const draft = edited(empty, { enhancedEvidence: { visaCompliance: { feeAcknowledged: true } } });
    const gone = edited(staged(draft, 2, answerFrom(draft, false), 'held'), { enhancedEvidence: null });
    expect(answerFrom(gone, false).emptied).toEqual(['enhancedEvidence']);
  });

  it('is told once: what was emptied there is held no more', () => {
    const less = edited(held, { customerName: null });
    const again = staged(less, less.version, answerFrom(less, false), 'held');
    expect(again.staged).toEqual(['productDescription', 'receipt']);
    expect(answerFrom(again, false).emptied).toEqual([]);
  });

  it('is told again when nobody knows whether it arrived', () => {
    const less = edited(held, { customerName: null });
    const unclear = staged(less, less.version, answerFrom(less, false), 'unclear');
    expect(unclear.stagedVersion).toBe(held.stagedVersion);
    expect(answerFrom(unclear, false).emptied).toEqual(['customerName']);
  });

  it('takes what was edited meanwhile into account', () => {
    const sent = answerFrom(full, false);
    const meanwhile = edited(full, { customerName: null });
    expect(answerFrom(staged(meanwhile, full.version, sent, 'held'), false).emptied).toEqual(['customerName']);
  });
});

describe('What goes out of a draft', () => {
  const appeal = { card: { reasonForFiling: 'The parcel was signed for.' } };
  const draft = withFile(
    withFile(edited(empty, { customerName: 'Grace', appeal }), file('ef_1')),
    file('ef_2', { place: 'appealSupportingFiles' }),
  );

  it('is the appeal alone in an appeal: what earlier rounds said is not sent again', () => {
    const held = staged(draft, 2, answerFrom(draft, false), 'held');
    const later = edited(held, { customerName: null });
    expect(answerFrom(later, true)).toEqual({ content: { appeal }, files: [draft.files[1]], emptied: [] });
    expect(answerFrom(edited(later, { appeal: null }), true)).toMatchObject({ content: {}, emptied: ['appeal'] });
  });

  it('is all of it otherwise, an appeal written too early included, so that it is found', () => {
    expect(answerFrom(draft, false)).toMatchObject({ content: { customerName: 'Grace', appeal }, files: draft.files });
  });
});
