import { describe, expect, it } from '@jest/globals';
import { readDisputeCommand } from '#application/read-command';

const read = (type: string, data: object) => {
  const headers = { ce_id: 'c-1', ce_source: 'shop', ce_type: `redress.${type}.v1`, ce_specversion: '1.0' };
  const all = { ...headers, 'content-type': 'application/json' };
  const record = {
    key: null,
    value: Buffer.from(JSON.stringify(data)),
    headers: Object.fromEntries(Object.entries(all).map(([name, value]) => [name, Buffer.from(value)])),
  };
  return readDisputeCommand(record, 0);
};
const disputeId = 'dp_1';

describe('A command about a dispute, over Kafka', () => {
  it.each([
    ['SubmitEvidence', { disputeId, version: 3 }],
    ['AcceptDispute', { disputeId, reason: 'small' }],
  ])('%s without its confirmation is read as one that is not confirmed', (type, data) => {
    expect(read(type, data)).toMatchObject({ ok: true, value: { body: { ...data, confirm: false } } });
    expect(read(type, { ...data, confirm: false })).toMatchObject({ ok: true, value: { body: { confirm: false } } });
    expect(read(type, { ...data, confirm: true })).toMatchObject({ ok: true, value: { body: { confirm: true } } });
  });

  it.each([
    ['SubmitEvidence', { disputeId }, 'version is missing'],
    ['SubmitEvidence', { disputeId, version: 3, confirm: 'yes' }, 'confirm must be true or false'],
    ['SubmitEvidence', { disputeId, version: 3, confirm: null }, 'confirm must be true or false'],
    ['AcceptDispute', { disputeId, other: 1 }, 'other is not known here'],
    ['LetDisputePass', { disputeId }, 'reason is missing'],
    ['LetDisputePass', { disputeId, reason: ' \t\u00a0' }, 'not of blanks alone'],
  ])('%s of %j is no command', (type, data, why) => {
    const detail = expect.stringContaining(why) as unknown;
    expect(read(type, data)).toMatchObject({ ok: false, error: { code: 'validation_failed', detail, id: 'c-1' } });
  });
});
