/*
 * A record as it stands in a batch on the wire (kafka.apache.org/documentation/#record), written into one buffer of the right size. kafkajs
 * makes a buffer for each of its headers and copies them together, which costs a busy relay more than everything else that it does.
 */

type Bytes = Buffer | string | null | undefined;

export interface PlacedRecord {
  readonly offsetDelta?: number;
  readonly timestampDelta?: number;
  readonly key?: Bytes;
  readonly value?: Bytes;
  readonly headers?: Readonly<Record<string, Bytes | readonly Bytes[]>>;
}

/** As much of kafkajs' encoder as a batch takes of its records. */
export interface EncodedRecord {
  readonly buf: Buffer;
  readonly buffer: Buffer;
}

export function encodeRecord({ offsetDelta = 0, timestampDelta = 0, key, value, headers = {} }: PlacedRecord): EncodedRecord {
  const named: (readonly [name: string, value: Bytes])[] = [];
  for (const name of Object.keys(headers)) {
    const given = headers[name];
    if (Array.isArray(given)) for (const each of given as readonly Bytes[]) named.push([name, each]);
    else named.push([name, given as Bytes]);
  }
  let size = 1 + sizeOf(timestampDelta) + sizeOf(offsetDelta) + sizeOfBytes(key) + sizeOfBytes(value) + sizeOf(named.length);
  for (const [name, each] of named) size += sizeOfBytes(name) + sizeOfBytes(each);

  const buffer = Buffer.allocUnsafe(sizeOf(size) + size);
  let at = write(buffer, 0, size);
  buffer[at] = 0; // Attributes, of which there are none.
  at = write(buffer, at + 1, timestampDelta);
  at = write(buffer, at, offsetDelta);
  at = writeBytes(buffer, at, key);
  at = writeBytes(buffer, at, value);
  at = write(buffer, at, named.length);
  for (const [name, each] of named) at = writeBytes(buffer, writeBytes(buffer, at, name), each);
  return { buf: buffer, buffer };
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
