import { randomUUID } from 'node:crypto';
import { Controller, Delete, Get, HttpCode, Inject, Logger, Param, Patch, Post, Req, Res } from '@nestjs/common';
import { ApiBody, ApiConsumes, ApiTags } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import { EvidenceDesk, type EvidenceAnswer, type EvidenceOrder } from '#application/evidence-desk';
import { knownCharges } from '#application/known-charges';
import { publicEvidence } from '#application/messages';
import { EditEvidence, type Evidence } from '#contracts/evidence';
import { jsonSchema } from '#contracts/schemas';
import type { Dispute } from '#domain/dispute/dispute';
import { emptyDraft, type EvidenceChanges } from '#domain/dispute/evidence';
import { DisputeViews } from '#persistence/dispute-views';
import { keptDispute } from './disputes.controller.js';
import { lookInto } from './documents.js';
import { Describe } from './openapi.js';
import { Refusal, validationFailed } from './problems.js';
import { AccountQuery, bodyOf, idempotencyKey, queryOf, RemoveFileQuery, versionSeen, type CallerRequest } from './requests.js';
import { receiveUpload, UploadForm } from './upload.js';

const id = { id: "The dispute, by our id or the provider's." };
const file = { ...id, fileId: 'The file, by our id.' };
const changes = [
  'dispute_not_found',
  'dispute_not_open',
  'dispute_not_answerable',
  'already_submitted',
  'already_accepted',
  'evidence_changed',
] as const;

/** The form of an upload, as OpenAPI has it. */
const uploadForm = () => {
  const { properties } = jsonSchema(UploadForm) as { readonly properties: Readonly<Record<string, object>> };
  const bytes = {
    type: 'string',
    contentMediaType: 'application/octet-stream',
    description: 'A PDF, JPEG or PNG of 5 MB at most.',
  };
  return { type: 'object', properties: { ...properties, file: bytes }, required: ['field', 'file'] } as const;
};

@ApiTags('Disputes')
@Controller('v1/disputes/:id/evidence')
export class EvidenceController {
  private readonly logger = new Logger('evidence');

  constructor(
    @Inject(EvidenceDesk) private readonly desk: EvidenceDesk,
    private readonly views: DisputeViews,
  ) {}

  @Get()
  @Describe({
    does: 'Show the evidence of a dispute: what is put together, its score, what is wrong with it, and what was sent',
    params: id,
    query: AccountQuery,
    answers: [200, 'Evidence', 'The evidence; its version is also the ETag.'],
    refuses: ['dispute_not_found'],
  })
  async show(
    @Param('id') given: string,
    @Req() request: CallerRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<Evidence> {
    const { dispute, payment } = await keptDispute(this.views, given, queryOf(AccountQuery, request));
    const { draft, packets, charges } = await this.views.evidence(dispute.id);
    const known = knownCharges(payment, charges);
    return tagged(publicEvidence(dispute, draft ?? emptyDraft(dispute.id), packets, known), reply);
  }

  @Patch()
  @Describe({
    does: 'Change what the evidence says: what is given is put in, null takes out, what is not named stays',
    params: id,
    query: AccountQuery,
    takes: 'EditEvidence',
    ifMatch: 'required',
    idempotencyKey: 'optional',
    answers: [200, 'Evidence', 'The evidence as it is now.'],
    refuses: [...changes, 'if_match_missing'],
  })
  async edit(
    @Param('id') given: string,
    @Req() request: CallerRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<Evidence> {
    const { dispute } = await keptDispute(this.views, given, queryOf(AccountQuery, request));
    const seen = versionSeen(request);
    if (seen === undefined) throw new Refusal('if_match_missing');
    const body = plain(bodyOf(EditEvidence, request));
    return this.answer('edited', await this.desk.edit(body, orderOf(dispute, request, seen)), dispute, request, reply);
  }

  @Post('files')
  @HttpCode(201)
  @ApiConsumes('multipart/form-data')
  @ApiBody({ required: true, schema: uploadForm() as never })
  @Describe({
    does: 'Put a file into the evidence',
    params: id,
    query: AccountQuery,
    ifMatch: 'optional',
    idempotencyKey: 'optional',
    answers: [201, 'Evidence', 'The evidence as it is now. Location has the address of the file.'],
    refuses: [
      ...changes,
      'validation_failed',
      'unsupported_media_type',
      'evidence_file_missing',
      'evidence_file_too_big',
      'evidence_file_type',
      'evidence_file_unreadable',
      'evidence_file_pages',
      'upload_broken_off',
    ],
  })
  async addFile(
    @Param('id') given: string,
    @Req() request: CallerRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<Evidence> {
    // Read whatever else is wrong, so that whoever sends it reads why.
    const { field, name, bytes } = await receiveUpload(request);
    const { dispute } = await keptDispute(this.views, given, queryOf(AccountQuery, request));
    const order = orderOf(dispute, request, versionSeen(request) ?? null);
    const answer = await this.desk.addFile(await lookInto(bytes, field, name), order);
    if (answer.kind === 'accepted' && answer.fileId !== null) {
      void reply.header('location', `/v1/disputes/${dispute.id}/evidence/files/${answer.fileId}`);
    }
    return this.answer('file added', answer, dispute, request, reply);
  }

  @Delete('files')
  @Describe({
    does: 'Take a file out of the evidence, by its id or by the field it stands in',
    params: id,
    query: RemoveFileQuery,
    ifMatch: 'optional',
    idempotencyKey: 'optional',
    answers: [200, 'Evidence', 'The evidence as it is now.'],
    refuses: [...changes, 'evidence_file_not_found'],
  })
  async removeOne(
    @Param('id') given: string,
    @Req() request: CallerRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<Evidence> {
    const query = queryOf(RemoveFileQuery, request);
    const { id: fileId, field } = query;
    const { dispute } = await keptDispute(this.views, given, query);
    if (fileId !== undefined && field === undefined) return this.remove(dispute, fileId, request, reply);
    if (field === undefined || fileId !== undefined) {
      throw validationFailed({ path: 'id', message: 'id or field must be given, and not both' });
    }
    const { draft } = await this.views.evidence(dispute.id);
    const [there, ...others] = draft?.files.filter(({ place }) => place === field) ?? [];
    if (there === undefined) throw new Refusal('evidence_file_not_found', { disputeId: dispute.id });
    if (others.length > 0) throw validationFailed({ path: 'id', message: `id must be given: ${field} has more than one file` });
    return this.remove(dispute, there.id, request, reply);
  }

  @Delete('files/:fileId')
  @Describe({
    does: 'Take a file out of the evidence',
    params: file,
    query: AccountQuery,
    ifMatch: 'optional',
    idempotencyKey: 'optional',
    answers: [200, 'Evidence', 'The evidence as it is now.'],
    refuses: [...changes, 'evidence_file_not_found'],
  })
  async removeFile(
    @Param('id') given: string,
    @Param('fileId') fileId: string,
    @Req() request: CallerRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<Evidence> {
    const { dispute } = await keptDispute(this.views, given, queryOf(AccountQuery, request));
    return this.remove(dispute, fileId, request, reply);
  }

  @Get('files/:fileId')
  @Describe({
    does: 'Read a file of the evidence, also one that was taken out since',
    params: file,
    query: AccountQuery,
    media: 'application/octet-stream',
    answers: [200, 'bytes', 'Its bytes, under its own media type: application/pdf, image/jpeg or image/png.'],
    refuses: ['dispute_not_found', 'evidence_file_not_found'],
  })
  async read(
    @Param('id') given: string,
    @Param('fileId') fileId: string,
    @Req() request: CallerRequest,
    @Res() reply: FastifyReply,
  ) {
    const { dispute } = await keptDispute(this.views, given, queryOf(AccountQuery, request));
    const found = await this.views.evidenceFile(dispute.id, fileId);
    if (found?.bytes == null) throw new Refusal('evidence_file_not_found', { disputeId: dispute.id });
    const { name, type, digest } = found.file;
    // A customer's document: saved rather than opened, run by no browser, kept by no cache.
    await reply
      .header('content-type', type)
      .header('content-disposition', attachment(name))
      .header('x-content-type-options', 'nosniff')
      .header('content-security-policy', "default-src 'none'; sandbox")
      .header('cache-control', 'private, no-store')
      .header('etag', `"${digest}"`)
      .send(found.bytes);
  }

  private async remove(dispute: Dispute, fileId: string, request: CallerRequest, reply: FastifyReply): Promise<Evidence> {
    const order = orderOf(dispute, request, versionSeen(request) ?? null);
    return this.answer('file removed', await this.desk.removeFile(fileId, order), dispute, request, reply);
  }

  private answer(
    what: string,
    answer: EvidenceAnswer,
    { id: disputeId }: Dispute,
    request: CallerRequest,
    reply: FastifyReply,
  ): Evidence {
    const { kind, repeated } = answer;
    const code = answer.kind === 'refused' ? answer.code : undefined;
    const version = answer.kind === 'accepted' ? answer.evidence.version : undefined;
    const told = { kind, disputeId, version, code, repeated, caller: request.caller, requestId: request.id };
    this.logger.log({ msg: `evidence: ${what}`, ...told });
    if (repeated) void reply.header('idempotent-replayed', 'true');
    if (answer.kind === 'refused') throw new Refusal(answer.code, { detail: answer.detail, disputeId });
    return tagged(answer.evidence, reply);
  }
}

function orderOf({ id: disputeId, account, provider }: Dispute, request: CallerRequest, seen: number | null): EvidenceOrder {
  const given = idempotencyKey(request);
  return {
    account,
    provider,
    disputeId,
    source: request.caller ?? '',
    key: given ?? randomUUID(),
    isOwnKey: given !== undefined,
    seen,
  };
}

function tagged(evidence: Evidence, reply: FastifyReply): Evidence {
  void reply.header('etag', `"${evidence.version}"`);
  return evidence;
}

/** Without the classes that validated it. */
const plain = (body: EditEvidence) => JSON.parse(JSON.stringify(body)) as EvidenceChanges;

/** RFC 6266, with the name for those who read no UTF-8 as well. */
function attachment(name: string): string {
  const ascii = name.replace(/[^\x20-\x7e]|["\\%]/g, '_');
  const encoded = encodeURIComponent(name.toWellFormed()).replace(
    /['()*]/g,
    (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`,
  );
  return `attachment; filename="${ascii}"; filename*=UTF-8''${encoded}`;
}
