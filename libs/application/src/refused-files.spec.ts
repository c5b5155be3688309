import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { EvidenceOrder, ReceivedFile } from '#application/evidence-desk';
import { RedressInMemory } from '../../../test/fakes/redress-in-memory.js';

const receipt: ReceivedFile = {
  place: 'receipt',
  name: 'receipt.pdf',
  type: 'application/pdf',
  size: 3,
  pages: 1,
  digest: 'abc',
  bytes: Buffer.from('pdf'),
};
const hundred = { amount: 10_000n, currency: 'USD' };

let redress: RedressInMemory;
let keys = 0;
beforeEach(() => {
  redress = new RedressInMemory();
  redress.provider.pay('pi_1', hundred);
});
afterEach(() => redress.check());

const order = (disputeId: string): EvidenceOrder => {
  const key = `k-${(keys += 1)}`;
  return { account: 'default', provider: 'stripe', disputeId, source: 'ann', key, isOwnKey: true, seen: null };
};
/** A document that the provider takes for good not. */
const refused = async () => {
  const booked = redress.bank.open('pi_1', hundred);
  const { id } = await redress.hearOf(booked);
  await redress.write(id, { uncategorizedText: 'The parcel came.' });
  await redress.work();
  redress.bank.nextSends('refused');
  const added = await redress.process().desk.addFile(receipt, order(id));
  await redress.work();
  return { id, booked, fileId: added.kind === 'accepted' ? (added.fileId ?? '') : '' };
};

describe('A document that the provider refused', () => {
  it('is named, and keeps the answer back before it is decided', async () => {
    const { id, booked } = await refused();
    expect(redress.dispute(booked.id).attention).toBe('provider_refused');
    const edited = await redress.process().desk.edit({ customerName: 'Ann' }, order(id));
    expect(edited).toMatchObject({
      evidence: {
        findings: [{ code: 'file_refused', severity: 'error', path: 'receipt', message: expect.stringContaining('receipt.pdf') }],
      },
    });
    expect(await redress.submit(id)).toBe('evidence_refused');
    expect(redress.dispute(booked.id).decision).toBeNull();
    const [told] = redress.stores.commands.all().slice(-1);
    expect(JSON.parse(told?.answer ?? '')).toMatchObject({
      detail: expect.stringContaining('take it out, or put another one in its place'),
    });
  });

  it('is out of the way once it is taken out', async () => {
    const { id, booked, fileId } = await refused();
    await redress.process().desk.removeFile(fileId, order(id));
    expect(await redress.submit(id)).toBeNull();
    await redress.work();
    expect(booked.answers).toMatchObject([{ files: [] }]);
  });

  it('is out of the way once another one has its place, be it the same again', async () => {
    const { id, booked } = await refused();
    await redress.process().desk.addFile(receipt, order(id));
    await redress.work();
    expect(await redress.submit(id)).toBeNull();
    await redress.work();
    expect(booked.answers).toMatchObject([{ files: [{ place: 'receipt' }] }]);
  });
});
