/* A look into a document before it is kept: what it is by its content, whatever it is called, and how many pages it has. */
import { createHash } from 'node:crypto';
import { Worker } from 'node:worker_threads';
import { fileTypeFromBuffer } from 'file-type';
import type { ReceivedFile } from '#application/evidence-desk';
import { fileTypes, type FilePlace, type FileType } from '#domain/dispute/evidence';
import { limits } from '#domain/dispute/linter';
import { FewAtOnce } from './few-at-once.js';
import type { Counted } from './pdf-pages.js';
import { Refusal } from './problems.js';

/** Longer, and with more memory, than any document takes that has fewer pages than evidence may have. */
const patienceMs = 10_000;
const memory = { maxOldGenerationSizeMb: 256 };
/** Each takes a processor and its memory, however many come in; the others wait for their turn, as long as several documents take. */
const threads = new FewAtOnce(2, 3 * patienceMs);

/** Refuses what no bank could open. */
export async function lookInto(bytes: Buffer, place: FilePlace, declaredName: string | undefined): Promise<ReceivedFile> {
  if (bytes.length === 0) throw new Refusal('evidence_file_unreadable', { detail: 'The file is empty.' });
  const found = await fileTypeFromBuffer(bytes);
  const type = fileTypes.find((each) => each === found?.mime);
  if (type === undefined) {
    const what = found === undefined ? 'of no known type' : `${found.mime} by its content`;
    throw new Refusal('evidence_file_type', { detail: `The file is ${what}; it must be a PDF, a JPEG or a PNG.` });
  }
  const pages = await pagesOf(bytes, type);
  if (pages > limits.pagesTogether) {
    throw new Refusal('evidence_file_pages', {
      detail: `The file has ${pages} pages; all files together may have ${limits.pagesTogether} at the most.`,
    });
  }
  const digest = createHash('sha256').update(bytes).digest('hex');
  return { place, name: nameOf(declaredName, type), type, size: bytes.length, pages, digest, bytes };
}

async function pagesOf(bytes: Buffer, type: FileType): Promise<number> {
  if (type !== 'application/pdf') {
    if (!isWholeImage(bytes, type)) throw new Refusal('evidence_file_unreadable', { detail: 'The picture breaks off.' });
    return 1;
  }
  const counted = await threads.run(() => countPages(bytes));
  if (counted === null) throw new Refusal('unavailable', { detail: 'Too many files are being looked into; try again.' });
  if ('pages' in counted) return counted.pages;
  const why = counted.why === 'locked' ? 'The PDF is locked with a password.' : 'The PDF is broken.';
  throw new Refusal('evidence_file_unreadable', { detail: why });
}

/** Whether its end is there, as its format marks it. */
function isWholeImage(bytes: Buffer, type: FileType): boolean {
  return type === 'image/png' ? bytes.includes('IEND', 0, 'latin1') : bytes.lastIndexOf(Buffer.from([0xff, 0xd9])) > 0;
}

async function countPages(bytes: Buffer): Promise<Counted> {
  const thread = new Worker(new URL('pdf-pages.js', import.meta.url), {
    workerData: Uint8Array.from(bytes),
    resourceLimits: memory,
  });
  const ended = new Promise<Counted>((resolve) => {
    const broken = () => resolve({ why: 'broken' });
    thread.once('message', resolve).once('error', broken).once('exit', broken);
    setTimeout(broken, patienceMs).unref();
  });
  try {
    return await ended;
  } finally {
    // It is gone before the next one begins.
    await thread.terminate();
  }
}

const endings: Record<FileType, string> = { 'application/pdf': 'pdf', 'image/jpeg': 'jpg', 'image/png': 'png' };

/** What the caller called it, as far as it can be shown; it decides nothing. */
function nameOf(declared: string | undefined, type: FileType): string {
  // As forms write a quotation mark: https://html.spec.whatwg.org/#multipart-form-data
  const base = (declared ?? '').replaceAll('%22', '"').split(/[/\\]/).at(-1) ?? '';
  const shown = [...base.toWellFormed().replace(/[\p{Cc}\p{Cf}]/gu, '')].slice(-255).join('').trim();
  return shown === '' ? `document.${endings[type]}` : shown;
}
