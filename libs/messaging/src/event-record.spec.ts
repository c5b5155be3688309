import { describe, expect, it } from '@jest/globals';
import type { SealedEntry } from '#application/event-log';
import { readCloudEvent } from '#contracts/cloud-event';
import { deadLetterRecord, eventRecord } from '#messaging/event-record';
import { partitionOf } from '#messaging/partitioner';

const key = 'default:stripe:pi_1';
const entry: SealedEntry & { key: string } = {
  position: 7n,
  id: 'evt_1',
  topic: 'refunds.events.v1',
  type: 'redress.refund.succeeded.v1',
  account: 'default',
  key,
  subject: 'rf_1',
  paymentKey: key,
  sequence: 3n,
  time: new Date('2026-01-31T09:31:00.000Z'),
  correlationId: 'c-1842',
  causationId: null,
  traceparent: null,
  data: '{"refund": {"amount":9007199254740991}}',
};

describe('An entry of the log on Kafka', () => {
  it('is a CloudEvent in binary mode, with its data byte for byte', () => {
    const record = eventRecord(entry, 8);
    expect(record.headers).toEqual({
      ce_specversion: '1.0',
      ce_id: 'evt_1',
      ce_source: '/redress/default',
      ce_type: 'redress.refund.succeeded.v1',
      ce_subject: 'rf_1',
      ce_time: '2026-01-31T09:31:00.000Z',
      ce_partitionkey: key,
      ce_sequence: '3',
      ce_correlationid: 'c-1842',
      'content-type': 'application/json',
    });
    expect(record.value?.toString()).toBe(entry.data);
    expect(record.key?.toString()).toBe(key);
    expect(record.partition).toBe(partitionOf(Buffer.from(key), 8));
  });

  it('can be read by whoever reads CloudEvents', () => {
    const { headers, value } = eventRecord(entry, 8);
    const read = readCloudEvent({ key: Buffer.from(key), value, headers }, [entry.type]);
    expect(read).toMatchObject({
      ok: true,
      event: { id: 'evt_1', source: '/redress/default', subject: 'rf_1', time: entry.time },
    });
  });

  it('has no sequence when it is no step in the story of a payment', () => {
    expect(eventRecord({ ...entry, sequence: null }, 8).headers).not.toHaveProperty('ce_sequence');
  });
});

describe('A dead letter on Kafka', () => {
  it('has the bytes it came with, be they null', () => {
    const headers = { ce_id: Buffer.from([0xff]), 'redress-reason': Buffer.from('empty_value') };
    const record = deadLetterRecord({ id: 'dl_1', key: null, value: null, headers }, 8);
    expect(record).toEqual({ partition: partitionOf(Buffer.from('dl_1'), 8), key: null, value: null, headers });
  });
});
