/*
 * An upload of one file, as multipart/form-data: a `field` that says where it stands, and the `file`. The form is read to its end before
 * anything is judged, since a caller who is still writing when the connection closes never reads why; no more than a file may have is kept of it.
 */
import type { MultipartFile } from '@fastify/multipart';
import type { FastifyRequest } from 'fastify';
import { Message, OneOf } from '#contracts/fields';
import { evidenceFileFields, type EvidenceFileField } from '#contracts/evidence';
import { validate } from '#contracts/read-body';
import type { FieldError } from '#contracts/read-body';
import { limits } from '#domain/dispute/linter';
import { mostDiscarded } from './http.js';
import { Refusal, validationFailed } from './problems.js';

/** The form of POST /v1/disputes/{id}/evidence/files, but for the file itself. */
@Message('Where a file stands in the evidence.')
export class UploadForm {
  @OneOf(evidenceFileFields, {
    about: 'Where it stands; a file that stands there already gives way, but for `appealSupportingFiles`.',
    example: 'receipt',
  })
  declare readonly field: EvidenceFileField;
}

export interface Upload {
  readonly field: EvidenceFileField;
  /** What the caller called the file. */
  readonly name: string | undefined;
  readonly bytes: Buffer;
}

/** More parts than any form of ours has, so that each can be refused by name. */
const form = { files: 3, fields: 10, parts: 13, fieldSize: 1_000, fieldNameSize: 100, headerPairs: 20 };

export async function receiveUpload(request: FastifyRequest): Promise<Upload> {
  const { 'content-encoding': encoding = 'identity', 'content-length': length = '0' } = request.headers;
  if (!request.isMultipart() || encoding !== 'identity') {
    throw new Refusal('unsupported_media_type', { detail: 'The body must be multipart/form-data.' });
  }
  if (Number(length) > mostDiscarded) throw new Refusal('evidence_file_too_big');
  const read = await readForm(request);
  if (read.errors.length > 0) throw validationFailed(...read.errors);
  const fields = validate(UploadForm, read.fields);
  if (!fields.ok) throw new Refusal(fields.code, { errors: fields.errors });
  const [file, ...others] = read.files;
  if (file === undefined || others.length > 0) throw new Refusal('evidence_file_missing');
  if (file.isTooBig) throw new Refusal('evidence_file_too_big');
  return { field: fields.value.field, name: file.name, bytes: file.bytes };
}

interface Read {
  readonly fields: Readonly<Record<string, unknown>>;
  readonly files: readonly { readonly name: string | undefined; readonly bytes: Buffer; readonly isTooBig: boolean }[];
  readonly errors: readonly FieldError[];
}

async function readForm(request: FastifyRequest): Promise<Read> {
  const fields = new Map<string, unknown>();
  const files: Read['files'][number][] = [];
  const errors: FieldError[] = [];
  const wrong = (path: string, message: string) => void errors.push({ path, message });
  try {
    const parts = request.parts({ limits: { ...form, fileSize: limits.fileBytes } });
    for await (const part of parts) {
      const { fieldname: name } = part;
      if (part.type === 'file') {
        const bytes = await bytesOf(part);
        if (name === 'file') files.push({ name: part.filename, bytes, isTooBig: part.file.truncated });
        else wrong(name, `${name} is not known here as a file: leave it out`);
      } else if (name === 'file') wrong(name, 'file must be sent as a file, with a filename');
      else if (fields.has(name)) wrong(name, `${name} stands there twice`);
      else fields.set(name, part.value);
    }
  } catch (error) {
    throw refusalOf(error);
  }
  return { fields: Object.fromEntries(fields), files, errors };
}

async function bytesOf({ file }: MultipartFile): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of file) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

/** What the reader of forms throws: by its own code where it has one; else the form came to no end. */
function refusalOf(error: unknown): Refusal {
  const { code, message } = error as { code?: string; message?: string };
  const told = (about: string) => validationFailed({ path: 'body', message: `the body must be multipart/form-data ${about}` });
  switch (code) {
    case 'FST_PARTS_LIMIT':
    case 'FST_FILES_LIMIT':
    case 'FST_FIELDS_LIMIT':
      return told('with one field and one file, and not so many parts');
    case 'FST_PROTO_VIOLATION':
    case 'FST_INVALID_JSON_FIELD_ERROR':
      return told('with a field of text and a file');
    default:
      return message?.includes('oundary not found') === true ? told('with a boundary') : new Refusal('upload_broken_off');
  }
}
