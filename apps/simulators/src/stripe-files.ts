import { createHash } from 'node:crypto';
import { inflateSync } from 'node:zlib';
import type { StripeFile } from './books.js';
import { type Form, Refusal, unfold, type StripeObject } from './stripe-params.js';

/** docs.stripe.com/file-upload. Megabytes are read as millions: a file that relies on more may be refused by the real one. */
const LARGEST_UPLOAD_BYTES = 5_000_000;
const KEPT_SECONDS = 270 * 86_400;

export const PURPOSES = [
  'account_requirement',
  'additional_verification',
  'business_icon',
  'business_logo',
  'customer_signature',
  'dispute_evidence',
  'identity_document',
  'issuing_regulatory_reporting',
  'pci_document',
  'platform_terms_of_service',
  'tax_document_user_upload',
  'terminal_android_apk',
  'terminal_reader_splashscreen',
  'terminal_wifi_certificate',
  'terminal_wifi_private_key',
] as const;

/** What came under the name `file`. */
export type Upload = { name: string; bytes: Buffer; sha256: string };

/** Reads a multipart body. In the form the file stands as its hash, so that an idempotency key covers its content too. */
export async function readUpload(
  body: Buffer | undefined,
  contentType: string,
): Promise<{ form: Form; file: Upload | undefined }> {
  if (body === undefined)
    throw new Refusal(400, { message: 'Files are uploaded as multipart/form-data.', param: 'file', code: 'parameter_missing' });
  const parts = await new Response(new Uint8Array(body), { headers: { 'content-type': contentType } }).formData().catch(() => {
    throw new Refusal(400, { message: 'The body is not the multipart/form-data that its headers announce.' });
  });
  const pairs: [string, string][] = [];
  let file: Upload | undefined;
  for (const [name, part] of parts.entries()) {
    if (typeof part === 'string') {
      if (name === 'file') throw new Refusal(400, { message: 'Invalid file: it needs a file name.', param: 'file' });
      pairs.push([name, part]);
      continue;
    }
    const bytes = Buffer.from(await part.arrayBuffer());
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    if (name === 'file') file = { name: part.name, bytes, sha256 };
    pairs.push([name, `${part.name} ${sha256}`]);
  }
  return { form: unfold(pairs), file };
}

/** Takes a file in, or refuses it as Stripe would. */
export function takeIn(
  upload: Upload | undefined,
  { id, purpose, idempotencyKey, created }: { id: string; purpose: string; idempotencyKey: string | null; created: number },
): StripeFile {
  const refuse = (message: string) => new Refusal(400, { message, param: 'file' });
  if (upload === undefined) throw refuse('Missing required param: file.');
  const { name, bytes, sha256 } = upload;
  if (bytes.length === 0) throw refuse('The file is empty.');
  if (bytes.length > LARGEST_UPLOAD_BYTES) throw refuse(`The file is larger than 5 MB: ${bytes.length} bytes.`);
  const type = kindOf(bytes);
  if (type === undefined) throw refuse('Only PDF, JPEG and PNG files can be uploaded; this is neither by its content.');
  const expiresAt = created + KEPT_SECONDS;
  const pages = type === 'pdf' ? pagesOf(bytes) : 1;
  return { id, purpose, name, type, size: bytes.length, pages, sha256, idempotencyKey, created, expiresAt };
}

export function drawFile(file: StripeFile): StripeObject {
  return {
    id: file.id,
    object: 'file',
    created: file.created,
    expires_at: file.expiresAt,
    filename: file.name,
    links: { object: 'list', data: [], has_more: false, url: `/v1/file_links?file=${file.id}` },
    purpose: file.purpose,
    size: file.size,
    title: null,
    type: file.type,
    url: `https://files.stripe.com/v1/files/${file.id}/contents`,
  };
}

function kindOf(bytes: Buffer): StripeFile['type'] | undefined {
  const starts = (text: string) => bytes.subarray(0, text.length).toString('latin1') === text;
  if (starts('%PDF-')) return 'pdf';
  if (starts('\xff\xd8\xff')) return 'jpg';
  return starts('\x89PNG\r\n\x1a\n') ? 'png' : undefined;
}

/**
 * How many pages a PDF has: its objects of the type `Page`, each object counted once, since a PDF that was saved again holds
 * some twice, and also those packed into object streams. Not by a library, so as not to agree with one by its mistakes.
 */
export function pagesOf(bytes: Buffer): number {
  const text = bytes.toString('latin1');
  const pages = new Set<string>();
  for (const { 0: head, 1: number = '', index } of text.matchAll(/(\d+)[ \t\r\n]+\d+[ \t\r\n]+obj\b/g)) {
    const from = index + head.length;
    const end = text.indexOf('endobj', from);
    const object = text.slice(from, end < 0 ? text.length : end);
    const stream = object.indexOf('stream');
    const dictionary = stream < 0 ? object : object.slice(0, stream);
    if (isPage(dictionary)) pages.add(number);
    else if (stream >= 0 && /\/Type\s*\/ObjStm\b/.test(dictionary))
      for (const packed of pagesInStream(dictionary, bytes, from + stream)) pages.add(packed);
  }
  return Math.max(1, pages.size);
}

function isPage(dictionary: string): boolean {
  return /\/Type\s*\/Page(?![A-Za-z])/.test(dictionary);
}

/** An object stream: `N` pairs of object number and offset, then the objects. Compressed with deflate, or not at all. */
function pagesInStream(dictionary: string, bytes: Buffer, stream: number): string[] {
  const start = stream + 'stream'.length + (bytes[stream + 'stream'.length] === 13 ? 2 : 1);
  const end = bytes.indexOf('endstream', start, 'latin1');
  const raw = bytes.subarray(start, end < 0 ? bytes.length : end);
  let content: string;
  try {
    content = (dictionary.includes('/FlateDecode') ? inflateSync(raw, { maxOutputLength: 50_000_000 }) : raw).toString('latin1');
  } catch {
    return [];
  }
  const first = Number(/\/First\s+(\d+)/.exec(dictionary)?.[1] ?? 0);
  const header = content.slice(0, first).trim().split(/\s+/);
  const objects = Array.from({ length: Math.floor(header.length / 2) }, (_, place) => ({
    number: header[place * 2] ?? '',
    from: first + Number(header[place * 2 + 1]),
  }));
  return objects
    .filter(({ from }, place) => isPage(content.slice(from, objects[place + 1]?.from ?? content.length)))
    .map(({ number }) => number);
}
