/*
 * Kafka's produce request without compression (kafka.apache.org/protocol, Produce, and documentation, Record Batch), written into one buffer of
 * the right size. kafkajs makes a buffer for each header, and copies everything seven times on its way out, which costs a busy relay more than
 * everything else that it does.
 */

type Bytes = Buffer | string | null | undefined;

interface Message {
  readonly key?: Bytes;
  readonly value?: Bytes;
  readonly headers?: Readonly<Record<string, Bytes | readonly Bytes[]>>;
  /** Milliseconds. */
  readonly timestamp?: string | number | null;
}

interface PartitionData {
  readonly partition: number;
  readonly firstSequence?: number;
  readonly messages: readonly Message[];
}

/** What kafkajs gives to whoever makes the request. */
export interface ProduceRequest {
  readonly acks: number;
  readonly timeout: number;
  readonly transactionalId?: string | null;
  /** A number, a text of digits, or kafkajs' own Long. */
  readonly producerId?: unknown;
  readonly producerEpoch?: number;
  readonly compression?: number;
  readonly topicData: readonly { readonly topic: string; readonly partitions: readonly PartitionData[] }[];
}

export function produceRequest(request: ProduceRequest) {
  return {
    apiKey: 0,
    apiVersion: 3,
    apiName: 'Produce',
    expectResponse: () => request.acks !== 0,
    encode: () => {
      const buffer = encode(request);
      // As much of kafkajs' encoder as it takes of a request.
      return Promise.resolve({ buf: buffer, buffer });
    },
  };
}

/** What stands before a batch's records, and where in it its checksum begins to count. */
const batchHead = 61;
const checkedFrom = 21;

function encode({ acks, timeout, transactionalId, producerId = -1, producerEpoch = 0, topicData }: ProduceRequest): Buffer {
  const topics = topicData.map(({ topic, partitions }) => ({ topic, batches: partitions.map(measured) }));
  let size = 2 + Buffer.byteLength(transactionalId ?? '') + 2 + 4 + 4;
  for (const { topic, batches } of topics) {
    size += 2 + Buffer.byteLength(topic) + 4;
    for (const batch of batches) size += 8 + batch.size;
  }
  const buffer = Buffer.allocUnsafe(size);
  let at = writeText(buffer, 0, transactionalId ?? null);
  at = buffer.writeInt16BE(acks, at);
  at = buffer.writeInt32BE(timeout, at);
  at = buffer.writeInt32BE(topics.length, at);
  const producer = { id: BigInt(String(producerId)), epoch: producerEpoch, isTransactional: Boolean(transactionalId) };
  for (const { topic, batches } of topics) {
    at = writeText(buffer, at, topic);
    at = buffer.writeInt32BE(batches.length, at);
    for (const batch of batches) {
      at = buffer.writeInt32BE(batch.partition, at);
      at = buffer.writeInt32BE(batch.size, at);
      at = writeBatch(buffer, at, batch, producer);
    }
  }
  return buffer;
}

interface Batch {
  readonly partition: number;
  readonly firstSequence: number;
  readonly firstTimestamp: number;
  readonly maxTimestamp: number;
  readonly records: readonly Placed[];
  readonly size: number;
}

interface Placed {
  readonly message: Message;
  readonly timestampDelta: number;
  readonly headers: readonly (readonly [name: string, value: Bytes])[];
  /** Without the length that stands before it. */
  readonly size: number;
}

function measured({ partition, firstSequence = 0, messages }: PartitionData): Batch {
  const now = Date.now();
  // As kafkajs does: by their texts, which is by time as long as they have as many digits.
  const given = messages.flatMap(({ timestamp }) => timestamp ?? []).sort((a, b) => (String(a) < String(b) ? -1 : 1));
  const [firstTimestamp, maxTimestamp] = [Number(given[0] ?? now), Number(given.at(-1) ?? now)];
  let size = batchHead;
  const records = messages.map((message, offsetDelta): Placed => {
    const timestampDelta = Number(message.timestamp || now) - firstTimestamp;
    const headers = headersOf(message);
    const { key, value } = message;
    let length =
      1 + sizeOf(timestampDelta) + sizeOf(offsetDelta) + sizeOfBytes(key) + sizeOfBytes(value) + sizeOf(headers.length);
    for (const [name, each] of headers) length += sizeOfBytes(name) + sizeOfBytes(each);
    size += sizeOf(length) + length;
    return { message, timestampDelta, headers, size: length };
  });
  return { partition: Number(partition), firstSequence, firstTimestamp, maxTimestamp, records, size };
}

function headersOf({ headers = {} }: Message): (readonly [name: string, value: Bytes])[] {
  const named: (readonly [name: string, value: Bytes])[] = [];
  for (const name of Object.keys(headers)) {
    const given = headers[name];
    if (Array.isArray(given)) for (const each of given as readonly Bytes[]) named.push([name, each]);
    else named.push([name, given as Bytes]);
  }
  return named;
}

interface ProducerMark {
  readonly id: bigint;
  readonly epoch: number;
  readonly isTransactional: boolean;
}

function writeBatch(buffer: Buffer, start: number, batch: Batch, producer: ProducerMark): number {
  const { records, size } = batch;
  let at = buffer.writeBigInt64BE(0n, start);
  at = buffer.writeInt32BE(size - 12, at);
  at = buffer.writeInt32BE(0, at); // The leader's epoch, which it fills in itself.
  at = buffer.writeInt8(2, at); // The format's version.
  at = buffer.writeInt32BE(0, at); // The checksum, below.
  at = buffer.writeInt16BE(producer.isTransactional ? 16 : 0, at);
  at = buffer.writeInt32BE(records.length - 1, at);
  at = buffer.writeBigInt64BE(BigInt(batch.firstTimestamp), at);
  at = buffer.writeBigInt64BE(BigInt(batch.maxTimestamp), at);
  at = buffer.writeBigInt64BE(producer.id, at);
  at = buffer.writeInt16BE(producer.epoch, at);
  at = buffer.writeInt32BE(batch.firstSequence, at);
  at = buffer.writeInt32BE(records.length, at);
  for (const [offsetDelta, { message, timestampDelta, headers, size: length }] of records.entries()) {
    at = write(buffer, at, length);
    buffer[at] = 0; // Attributes, of which there are none.
    at = write(buffer, at + 1, timestampDelta);
    at = write(buffer, at, offsetDelta);
    at = writeBytes(buffer, at, message.key);
    at = writeBytes(buffer, at, message.value);
    at = write(buffer, at, headers.length);
    for (const [name, each] of headers) at = writeBytes(buffer, writeBytes(buffer, at, name), each);
  }
  buffer.writeUInt32BE(crc32c(buffer, start + checkedFrom, at), start + checkedFrom - 4);
  return at;
}

function writeText(buffer: Buffer, at: number, text: string | null): number {
  if (text === null) return buffer.writeInt16BE(-1, at);
  const start = buffer.writeInt16BE(Buffer.byteLength(text), at);
  return start + buffer.write(text, start);
}

/** Seven bits a byte, the sign in the lowest bit. */
const zigzag = (value: number) => (value < 0 ? -2 * value - 1 : 2 * value);

function sizeOf(value: number): number {
  let size = 1;
  for (let left = zigzag(value); left >= 128; left = Math.floor(left / 128)) size += 1;
  return size;
}

function write(buffer: Buffer, at: number, value: number): number {
  let left = zigzag(value);
  let next = at;
  for (; left >= 128; left = Math.floor(left / 128)) buffer[next++] = (left % 128) | 128;
  buffer[next++] = left;
  return next;
}

function sizeOfBytes(bytes: Bytes): number {
  if (bytes === null || bytes === undefined) return sizeOf(-1);
  const length = Buffer.byteLength(bytes);
  return sizeOf(length) + length;
}

function writeBytes(buffer: Buffer, at: number, bytes: Bytes): number {
  if (bytes === null || bytes === undefined) return write(buffer, at, -1);
  if (typeof bytes === 'string') {
    const start = write(buffer, at, Buffer.byteLength(bytes));
    return start + buffer.write(bytes, start);
  }
  const start = write(buffer, at, bytes.length);
  return start + bytes.copy(buffer, start);
}

/** For each of eight bytes at once what it does to the checksum, by how far it stands before the end of the eight. */
const table = new Int32Array(8 * 256);
for (let byte = 0; byte < 256; byte += 1) {
  let crc = byte;
  for (let bit = 0; bit < 8; bit += 1) crc = (crc & 1) === 0 ? crc >>> 1 : (crc >>> 1) ^ 0x82f63b78;
  table[byte] = crc;
}
for (let at = 256; at < table.length; at += 1) {
  const before = table[at - 256] ?? 0;
  table[at] = (before >>> 8) ^ (table[before & 255] ?? 0);
}

function crc32c(bytes: Buffer, from: number, to: number): number {
  const of = (place: number, byte: number) => table[256 * place + (byte & 255)] as number;
  let crc = -1;
  let at = from;
  for (; at + 8 <= to; at += 8) {
    const low = crc ^ bytes.readInt32LE(at);
    const high = bytes.readInt32LE(at + 4);
    crc =
      of(7, low) ^
      of(6, low >>> 8) ^
      of(5, low >>> 16) ^
      of(4, low >>> 24) ^
      of(3, high) ^
      of(2, high >>> 8) ^
      of(1, high >>> 16) ^
      of(0, high >>> 24);
  }
  for (; at < to; at += 1) crc = (crc >>> 8) ^ of(0, crc ^ (bytes[at] as number));
  return ~crc >>> 0;
}
