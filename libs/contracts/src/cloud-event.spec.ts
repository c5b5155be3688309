import { describe, expect, it } from '@jest/globals';
import { readCloudEvent, writeBinary, writeStructured, type KafkaRecord } from '#contracts/cloud-event';
import { readBody } from '#contracts/read-body';
import { refundCommands, RequestRefund } from '#contracts/refund-commands';
import { refundEvents, type EventEnvelope } from '#contracts/refund-events';
import { paymentKey } from '#contracts/topics';

const commandTypes = Object.keys(refundCommands);
const data = '{"provider":"stripe","paymentId":"pi_1"}';
const headers = {
  ce_specversion: '1.0',
  ce_id: 'c-1',
  ce_source: '/shop',
  ce_type: 'redress.RequestRefund.v1',
  'content-type': 'application/json; charset=utf-8',
};
const envelope = { specversion: '1.0', id: 'c-1', source: '/shop', type: 'redress.RequestRefund.v1' };

function record(change: Partial<KafkaRecord> & { header?: KafkaRecord['headers'] } = {}): KafkaRecord {
  const { header, ...others } = change;
  return { key: null, value: Buffer.from(data), headers: { ...headers, ...header }, ...others };
}

function structuredRecord(value: unknown): KafkaRecord {
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return { key: null, value: Buffer.from(text), headers: { 'content-type': 'application/cloudevents+json; charset=UTF-8' } };
}

describe('A command on Kafka', () => {
  it('is read in binary mode, whether its headers came as text, bytes or a list of one', () => {
    const sent = record({
      header: {
        ce_id: Buffer.from('c-1'),
        ce_source: ['/shop'],
        ce_time: '2026-01-31T10:30:00+01:00',
        ce_subject: 'pi_1',
        ce_correlationid: 'order-7',
        traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01',
        something: undefined,
      },
    });
    const read = readCloudEvent(sent, commandTypes);
    expect(read).toEqual({
      ok: true,
      event: {
        id: 'c-1',
        source: '/shop',
        type: 'redress.RequestRefund.v1',
        subject: 'pi_1',
        time: new Date('2026-01-31T09:30:00Z'),
        traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01',
        correlationid: 'order-7',
        data: Buffer.from(data),
      },
    });
  });

  it('needs no content-type in binary mode, since ClientKafka sends none', () => {
    expect(readCloudEvent(record({ header: { 'content-type': undefined } }), commandTypes)).toMatchObject({ ok: true });
  });

  it('is read in structured mode, with or without base64', () => {
    expect(readCloudEvent(structuredRecord({ ...envelope, data: { provider: 'stripe' } }), commandTypes)).toMatchObject({
      ok: true,
      event: { id: 'c-1', source: '/shop', time: null, data: '{"provider":"stripe"}' },
    });
    const bytes = readCloudEvent(
      structuredRecord({ ...envelope, data_base64: Buffer.from(data).toString('base64') }),
      commandTypes,
    );
    expect(bytes).toMatchObject({ ok: true, event: { data: Buffer.from(data) } });
  });

  it('keeps every digit of its amount in structured mode, so that a rounded one is refused all the same', () => {
    const text = `{"specversion":"1.0","id":"c-1","source":"/shop","type":"redress.RequestRefund.v1","data":{"expectedAvailable":9007199254740993}}`;
    const read = readCloudEvent(structuredRecord(text), commandTypes);
    expect(read).toMatchObject({ ok: true, event: { data: '{"expectedAvailable":9007199254740993}' } });
    const body = read.ok && readBody(RequestRefund, read.event.data);
    expect(body && !body.ok && body.errors.map(({ path }) => path)).toContain('expectedAvailable');
  });

  it('goes on without its trace when the trace is broken', () => {
    expect(readCloudEvent(record({ header: { ce_traceparent: 'nonsense' } }), commandTypes)).toMatchObject({
      event: { traceparent: null },
    });
  });

  it.each<[string, KafkaRecord, string]>([
    ['has no value', record({ value: null }), 'empty_value'],
    ['has an empty value', record({ value: Buffer.alloc(0) }), 'empty_value'],
    ['has no ce_id', record({ header: { ce_id: undefined } }), 'missing_ce_id'],
    ['has an empty ce_id', record({ header: { ce_id: '' } }), 'missing_ce_id'],
    ['has no headers at all', record({ headers: {} }), 'missing_ce_id'],
    ['has no ce_source', record({ header: { ce_source: undefined } }), 'missing_ce_source'],
    ['has no ce_type', record({ header: { ce_type: undefined } }), 'missing_ce_type'],
    ['has no version', record({ header: { ce_specversion: undefined } }), 'wrong_ce_specversion'],
    ['has another version', record({ header: { ce_specversion: '0.3' } }), 'wrong_ce_specversion'],
    ['is no command of ours', record({ header: { ce_type: 'redress.MakeCoffee.v1' } }), 'wrong_ce_type'],
    ['names what every object has', record({ header: { ce_type: 'constructor' } }), 'wrong_ce_type'],
    ['has a time that is none', record({ header: { ce_time: 'yesterday' } }), 'wrong_ce_time'],
    ['has two ids', record({ header: { ce_id: ['a', 'b'] } }), 'wrong_attribute'],
    ['has an id of 256 characters', record({ header: { ce_id: 'i'.repeat(256) } }), 'wrong_attribute'],
    ['has an id that is not UTF-8', record({ header: { ce_id: Buffer.from([0xff]) } }), 'wrong_attribute'],
    ['has a NUL character in its source', record({ header: { ce_source: 'a\0b' } }), 'wrong_attribute'],
    [
      'is in another charset',
      record({ header: { 'content-type': 'application/json; charset=iso-8859-1' } }),
      'wrong_content_type',
    ],
    ['is longer than any command', record({ value: Buffer.alloc(256 * 1024 + 1, ' ') }), 'body_too_large'],
    ['is Avro', record({ header: { 'content-type': 'application/avro' } }), 'wrong_content_type'],
    ['is a batch of events', record({ header: { 'content-type': 'application/cloudevents-batch+json' } }), 'wrong_content_type'],
    ['is structured, but not JSON', structuredRecord('{"id":'), 'broken_envelope'],
    ['is structured, but a list', structuredRecord([envelope]), 'broken_envelope'],
    ['is structured, but nested without end', structuredRecord('['.repeat(100_000) + ']'.repeat(100_000)), 'broken_envelope'],
    ['is structured, with an id that is a number', structuredRecord({ ...envelope, id: 7, data: {} }), 'wrong_attribute'],
    [
      'is structured, with data in XML',
      structuredRecord({ ...envelope, datacontenttype: 'text/xml', data: '<a/>' }),
      'wrong_content_type',
    ],
    ['is structured, without data', structuredRecord(envelope), 'missing_data'],
    [
      'is structured, with a number for the type of its data',
      structuredRecord({ ...envelope, datacontenttype: 1, data: {} }),
      'wrong_content_type',
    ],
    [
      'is structured, with data in two places',
      structuredRecord({ ...envelope, data: {}, data_base64: 'e30=' }),
      'broken_envelope',
    ],
    ['is structured, with base64 that is none', structuredRecord({ ...envelope, data_base64: '{}' }), 'broken_envelope'],
    [
      'is structured, with two ids',
      structuredRecord(JSON.stringify(envelope).replace('{', '{"data":{},"id":"c-0",')),
      'wrong_attribute',
    ],
    [
      'is structured, with two times',
      structuredRecord(
        JSON.stringify(envelope).replace('{', '{"data":{},"time":"2026-01-31T09:30:00Z","time":"2026-01-31T09:30:00Z",'),
      ),
      'wrong_ce_time',
    ],
    [
      'is structured, with data twice',
      structuredRecord(JSON.stringify(envelope).replace('{', '{"data":{},"data":{},')),
      'broken_envelope',
    ],
    [
      'is structured, with two amounts in its data',
      structuredRecord(JSON.stringify(envelope).replace('{', '{"data":{"amount":1,"amount":2},')),
      'broken_envelope',
    ],
  ])('is set aside when it %s', (_, sent, code) => {
    expect(readCloudEvent(sent, commandTypes)).toMatchObject({ ok: false, code });
  });

  it('is not told apart by an id of which there are two', () => {
    const twice = JSON.stringify(envelope).replace('{', '{"data":{},"id":"c-0",');
    expect(readCloudEvent(structuredRecord(twice), commandTypes)).toMatchObject({ id: null, source: '/shop' });
  });

  it('is told apart by id and source even when it is refused', () => {
    expect(readCloudEvent(record({ header: { ce_type: 'redress.MakeCoffee.v1' } }), commandTypes)).toMatchObject({
      id: 'c-1',
      source: '/shop',
    });
    expect(readCloudEvent(record({ value: null, header: { ce_source: undefined } }), commandTypes)).toMatchObject({
      id: 'c-1',
      source: null,
    });
  });
});

describe('An event of ours', () => {
  const attributes: EventEnvelope = {
    specversion: '1.0',
    id: 'evt_1',
    source: '/redress/default',
    type: 'redress.refund.succeeded.v1',
    subject: 'rf_1',
    time: '2026-01-31T09:31:00.000Z',
    datacontenttype: 'application/json',
    partitionkey: paymentKey({ account: 'default', provider: 'stripe', paymentId: 'pi_1' }),
    sequence: '7',
    correlationid: 'c-1',
    traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01',
  };
  const told = '{"refund":{"id":"rf_1","amount":9007199254740991},"previousStatus":"pending"}';

  it('is keyed by its payment and carries its attributes as headers', () => {
    const { key, headers: written } = writeBinary(attributes, told);
    expect(key.toString()).toBe('default:stripe:pi_1');
    expect(written).toMatchObject({
      ce_id: 'evt_1',
      ce_sequence: '7',
      ce_partitionkey: 'default:stripe:pi_1',
      'content-type': 'application/json',
    });
    expect(written).not.toHaveProperty('ce_causationid');
  });

  it('reads the same in both modes, its data to the byte', () => {
    const binary = writeBinary(attributes, told);
    const structured = structuredRecord(writeStructured(attributes, told));
    const [one, other] = [binary, structured].map((each) => readCloudEvent(each, Object.keys(refundEvents)));
    expect(one).toMatchObject({ ok: true, event: { id: 'evt_1', correlationid: 'c-1', data: Buffer.from(told) } });
    expect(other).toMatchObject({ ok: true, event: { id: 'evt_1', correlationid: 'c-1', data: told } });
    expect(writeStructured(attributes, told)).toContain(`"data":${told}}`);
  });
});
