import { codes, type EnvelopeCode } from '#contracts/codes';
import { mediaTypeOf } from '#contracts/media-type';
import { MAX_BODY_BYTES, printable } from '#contracts/read-body';
import type { EventEnvelope } from '#contracts/refund-events';
import { repeatedNames } from '#contracts/repeated-names';

/**
 * CloudEvents 1.0 on Kafka (github.com/cloudevents/spec, kafka-protocol-binding.md): in binary mode the attributes are headers named
 * `ce_...` and the value is the data; in structured mode the value is one JSON object with attributes and data, and the
 * content-type says so. Commands are read in both; what we write is binary on Kafka and structured in the feed, around the very
 * same text of the data.
 */
export type KafkaRecord = {
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers: Readonly<Record<string, Buffer | string | readonly (Buffer | string)[] | undefined>>;
};

/** A command's envelope. `data` is JSON text, not parsed: `readBody` must see each number as it was written. */
export type IncomingEvent = {
  readonly id: string;
  readonly source: string;
  readonly type: string;
  readonly subject: string | null;
  readonly time: Date | null;
  readonly traceparent: string | null;
  readonly correlationid: string | null;
  readonly data: string | Uint8Array;
};

/** A refusal names what could still be read of id and source, since a command that can be told apart gets its outcome all the same. */
export type ReadEvent<T extends string> =
  | { readonly ok: true; readonly event: IncomingEvent & { readonly type: T } }
  | {
      readonly ok: false;
      readonly code: EnvelopeCode | 'body_too_large';
      readonly detail: string;
      readonly id: string | null;
      readonly source: string | null;
    };

/** Reads one record, in either mode; `types` are those that the topic takes. */
export function readCloudEvent<T extends string>(record: KafkaRecord, types: readonly T[]): ReadEvent<T> {
  const contentType = attribute(record.headers['content-type']);
  const media = typeof contentType === 'string' ? (mediaTypeOf(contentType) ?? wrong) : contentType;
  const isStructured = media === 'application/cloudevents+json';
  const envelope = isStructured ? structured(record.value) : binary(record);

  const read = (name: string) => attribute(envelope?.attributes[name]);
  const id = read('id');
  const source = read('source');
  const type = read('type');
  const refuse = (code: EnvelopeCode | 'body_too_large', about?: string): ReadEvent<T> => ({
    ok: false,
    code,
    detail: about === undefined ? codes[code] : `${codes[code]} (${about})`,
    id: textOrNull(id),
    source: textOrNull(source),
  });

  if (record.value === null || record.value.length === 0) return refuse('empty_value');
  if (record.value.length > MAX_BODY_BYTES) return refuse('body_too_large', `more than ${MAX_BODY_BYTES} bytes`);
  if (media !== undefined && !isStructured && media !== 'application/json') return refuse('wrong_content_type');
  if (envelope === undefined) return refuse('broken_envelope');
  if (id === undefined || id === '') return refuse('missing_ce_id');
  if (source === undefined || source === '') return refuse('missing_ce_source');
  if (type === undefined || type === '') return refuse('missing_ce_type');
  if (read('specversion') !== '1.0') return refuse('wrong_ce_specversion');

  const subject = read('subject');
  const correlationid = read('correlationid');
  for (const [name, value] of Object.entries({ id, source, type, subject, correlationid })) {
    if (value === wrong) return refuse('wrong_attribute', name);
  }
  const taken = types.find((each) => each === type);
  if (taken === undefined) return refuse('wrong_ce_type');
  const time = read('time');
  if (time !== undefined && !isTime(time)) return refuse('wrong_ce_time');
  if (envelope.ambiguous !== undefined) return refuse('broken_envelope', envelope.ambiguous);
  const { dataType } = envelope;
  if (dataType !== undefined && (typeof dataType !== 'string' || mediaTypeOf(dataType) !== 'application/json'))
    return refuse('wrong_content_type', 'datacontenttype');
  if (envelope.data === undefined) return refuse('missing_data');

  const traceparent = textOrNull(read('traceparent') ?? attribute(record.headers['traceparent']));
  return {
    ok: true,
    event: {
      id: String(id),
      source: String(source),
      type: taken,
      subject: textOrNull(subject),
      time: time === undefined ? null : new Date(time),
      // Tracing is a courtesy: a broken trace never stops a refund.
      traceparent: traceparent !== null && TRACEPARENT.test(traceparent) ? traceparent : null,
      correlationid: textOrNull(correlationid),
      data: envelope.data,
    },
  };
}

/** Outcomes and balances have no sequence: they are no step in a payment's story. */
export type OutgoingAttributes = Omit<EventEnvelope, 'sequence'> & Partial<Pick<EventEnvelope, 'sequence'>>;

/** An event of ours for Kafka, in binary mode. `data` is its JSON text, stored once and never serialized anew. */
export function writeBinary(
  attributes: OutgoingAttributes,
  data: string,
): { key: Buffer; value: Buffer; headers: Record<string, string> } {
  const { datacontenttype, ...others } = attributes;
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(others)) if (value !== undefined) headers[`ce_${name}`] = value;
  headers['content-type'] = datacontenttype;
  return { key: Buffer.from(attributes.partitionkey), value: Buffer.from(data), headers };
}

/** The same event as one JSON object, for the feed and the live stream; the data's text stands in it unchanged. */
export function writeStructured(attributes: EventEnvelope, data: string): string {
  return `${JSON.stringify(attributes).slice(0, -1)},"data":${data}}`;
}

const TRACEPARENT = /^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/;
const RFC3339 = /^\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d+)?([Zz]|[+-]\d{2}:\d{2})$/;
const MAX_LENGTH = 255;

type Envelope = {
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly data: string | Uint8Array | undefined;
  readonly dataType?: unknown;
  /** Why it cannot be told what the data is. */
  readonly ambiguous?: string;
};

/** Stands for an attribute that is there but cannot be kept. */
const wrong = Symbol('wrong');
const utf8 = new TextDecoder('utf-8', { fatal: true });

function attribute(value: unknown): string | typeof wrong | undefined {
  if (value === undefined || value === null) return undefined;
  if (Array.isArray(value)) return value.length === 1 ? attribute(value[0]) : wrong;
  const text = value instanceof Uint8Array ? decoded(value) : value;
  if (typeof text !== 'string' || text.length > MAX_LENGTH || text.includes('\0') || !text.isWellFormed()) return wrong;
  return text;
}

function decoded(bytes: Uint8Array): string | undefined {
  try {
    return utf8.decode(bytes);
  } catch {
    return undefined;
  }
}

function textOrNull(value: string | typeof wrong | undefined): string | null {
  return typeof value === 'string' && value !== '' ? value : null;
}

function isTime(value: string | typeof wrong): value is string {
  return value !== wrong && RFC3339.test(value) && !Number.isNaN(Date.parse(value));
}

function binary(record: KafkaRecord): Envelope {
  const named = Object.entries(record.headers).filter(([name]) => name.startsWith('ce_'));
  return {
    attributes: Object.fromEntries(named.map(([name, value]) => [name.slice(3), value])),
    data: record.value ?? undefined,
  };
}

function structured(value: Buffer | null): Envelope | undefined {
  const text = value === null ? undefined : decoded(value);
  if (text === undefined) return undefined;
  try {
    // Every number stays as it was written, so that the data's text is what the sender meant.
    const parsed: unknown = JSON.parse(text, (_, each: unknown, context?: { source: string }) =>
      typeof each === 'number' && context !== undefined ? rawJSON(context.source) : each,
    );
    if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) return undefined;
    const { data, data_base64: base64, datacontenttype: dataType, ...attributes } = parsed as Record<string, unknown>;
    const repeated = repeatedNames(text);
    // Which of two ids is meant cannot be told, so there is none.
    for (const [name = ''] of repeated) attributes[name] = wrong;
    const ambiguous = ambiguityOf(data, base64, repeated);
    return {
      attributes,
      data: data !== undefined ? JSON.stringify(data) : typeof base64 === 'string' ? Buffer.from(base64, 'base64') : undefined,
      ...(dataType === undefined || dataType === null ? {} : { dataType }),
      ...(ambiguous === undefined ? {} : { ambiguous }),
    };
  } catch {
    return undefined; // Not JSON, or nested deeper than a recursion can go.
  }
}

/** What JSON.parse and Buffer.from pass over without a word, and what can be read in two ways. */
function ambiguityOf(data: unknown, base64: unknown, repeated: readonly string[][]): string | undefined {
  const twice = repeated.find(([name]) => name === 'data' || name === 'data_base64' || name === 'datacontenttype');
  if (twice !== undefined) return `${printable(twice.join('.'))} stands there twice`;
  if (data !== undefined && base64 !== undefined) return 'both data and data_base64 are there';
  if (typeof base64 === 'string' && Buffer.from(base64, 'base64').toString('base64') !== base64)
    return 'data_base64 is not base64';
  return undefined;
}

/** In Node since 22, not yet in TypeScript's library: github.com/tc39/proposal-json-parse-with-source */
const { rawJSON } = JSON as unknown as { rawJSON(source: string): unknown };
