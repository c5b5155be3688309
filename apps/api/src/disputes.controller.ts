import { Controller, Get, HttpCode, Param, Post, Req, Res } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import { publicDispute } from '#application/messages';
import {
  disputeCommands,
  lacksOnlyConfirmation,
  type DisputeCommand,
  type DisputeCommandType,
} from '#contracts/dispute-commands';
import type { Dispute } from '#contracts/dispute-events';
import type { DisputeHistory, DisputePage } from '#contracts/oversight';
import { DisputeViews, type DisputePlace, type DisputeView } from '#persistence/dispute-views';
import { HttpCommands } from './commands.js';
import { noCursor, readCursor, writeCursor } from './cursors.js';
import { storyOfDispute } from './history.js';
import { anyBody, Describe } from './openapi.js';
import { Refusal } from './problems.js';
import { AccountQuery, bodyOf, DisputesQuery, queryOf, timeIn, type CallerRequest } from './requests.js';

const id = { id: "The dispute, by our id or the provider's." };
const orders = ['dispute_not_found'] as const;
const decides = [
  ...orders,
  'dispute_not_open',
  'dispute_not_answerable',
  'deadline_passed',
  'already_submitted',
  'already_accepted',
] as const;

@ApiTags('Disputes')
@Controller('v1/disputes')
export class DisputesController {
  constructor(
    private readonly commands: HttpCommands,
    private readonly views: DisputeViews,
  ) {}

  @Get()
  @Describe({
    does: 'List disputes, the one that is due first in front',
    query: DisputesQuery,
    answers: [200, 'DisputePage', 'A page of disputes; those without a deadline come last.'],
  })
  async list(@Req() request: CallerRequest): Promise<DisputePage> {
    const { limit, cursor, dueBefore, ...filters } = queryOf(DisputesQuery, request);
    const before = timeIn('dueBefore', dueBefore);
    const filter = { ...filters, ...(before === undefined ? {} : { dueBefore: before }) };
    const { data, next } = await this.views.disputePage(filter, readPlace(cursor), limit);
    return { data: data.map(shown), nextCursor: next === null ? null : writePlace(next) };
  }

  @Get(':id')
  @Describe({
    does: 'Show a dispute',
    params: id,
    query: AccountQuery,
    answers: [200, 'Dispute', 'The dispute.'],
    refuses: orders,
  })
  async one(@Param('id') given: string, @Req() request: CallerRequest): Promise<Dispute> {
    return shown(await keptDispute(this.views, given, queryOf(AccountQuery, request)));
  }

  @Get(':id/history')
  @Describe({
    does: 'Tell the story of a dispute: commands, decisions, calls, webhooks, events',
    params: id,
    query: AccountQuery,
    answers: [200, 'DisputeHistory', 'The story, in order of time.'],
    refuses: orders,
  })
  async history(@Param('id') given: string, @Req() request: CallerRequest): Promise<DisputeHistory> {
    const { dispute } = await keptDispute(this.views, given, queryOf(AccountQuery, request));
    const [history, { packets }] = await Promise.all([this.views.disputeHistory(dispute.id), this.views.evidence(dispute.id)]);
    return { data: storyOfDispute(dispute, packets, history), nextCursor: null };
  }

  @Post(':id/submit')
  @HttpCode(200)
  @Describe({
    does: 'Submit the evidence of a dispute, once and for all',
    params: id,
    query: AccountQuery,
    takes: 'SubmitEvidenceBody',
    idempotencyKey: 'optional',
    answers: [200, 'Dispute', 'Decided; `decision.state` tells how far it has come, and an event when the provider has it.'],
    refuses: [...decides, 'confirmation_missing', 'evidence_changed', 'evidence_empty', 'evidence_refused'],
  })
  submit(@Param('id') given: string, @Req() request: CallerRequest, @Res({ passthrough: true }) reply: FastifyReply) {
    return this.order('redress.SubmitEvidence.v1', given, request, reply);
  }

  @Post(':id/accept')
  @HttpCode(200)
  @Describe({
    does: 'Accept a dispute as lost, once and for all',
    params: id,
    query: AccountQuery,
    takes: 'AcceptDisputeBody',
    idempotencyKey: 'optional',
    answers: [200, 'Dispute', 'Decided; an event tells when the provider has it.'],
    refuses: [...decides, 'confirmation_missing'],
  })
  accept(@Param('id') given: string, @Req() request: CallerRequest, @Res({ passthrough: true }) reply: FastifyReply) {
    return this.order('redress.AcceptDispute.v1', given, request, reply);
  }

  @Post(':id/let-pass')
  @HttpCode(200)
  @Describe({
    does: 'Record the decision to let the deadline of a dispute pass',
    params: id,
    query: AccountQuery,
    takes: 'LetDisputePassBody',
    idempotencyKey: 'optional',
    answers: [200, 'Dispute', 'The dispute as it is now. Nothing is sent; until the deadline it can be answered after all.'],
    refuses: decides,
  })
  letPass(@Param('id') given: string, @Req() request: CallerRequest, @Res({ passthrough: true }) reply: FastifyReply) {
    return this.order('redress.LetDisputePass.v1', given, request, reply);
  }

  @Post(':id/sync')
  @HttpCode(200)
  @Describe({
    does: 'Have a dispute read at its provider now',
    params: id,
    query: AccountQuery,
    idempotencyKey: 'optional',
    answers: [200, 'Dispute', 'The dispute as it is now; what the reading shows comes later.'],
    refuses: [...orders, ...anyBody],
  })
  sync(@Param('id') given: string, @Req() request: CallerRequest, @Res({ passthrough: true }) reply: FastifyReply) {
    return this.order('redress.SyncDispute.v1', given, request, reply);
  }

  @Post(':id/acknowledge')
  @HttpCode(200)
  @Describe({
    does: 'Say that what a dispute asks attention for has been seen to',
    params: id,
    query: AccountQuery,
    takes: 'AcknowledgeDisputeBody',
    idempotencyKey: 'optional',
    answers: [200, 'Dispute', 'The dispute as it is now.'],
    refuses: [...orders, 'not_acknowledgeable'],
  })
  acknowledge(@Param('id') given: string, @Req() request: CallerRequest, @Res({ passthrough: true }) reply: FastifyReply) {
    return this.order('redress.AcknowledgeDispute.v1', given, request, reply);
  }

  /** An order about a dispute that exists; its account is the dispute's own. */
  private async order(type: DisputeCommandType, given: string, request: CallerRequest, reply: FastifyReply): Promise<Dispute> {
    const { dispute } = await keptDispute(this.views, given, queryOf(AccountQuery, request));
    const body = confirmed(() => bodyOf<DisputeCommand>(disputeCommands[type], request, { disputeId: dispute.id }));
    return this.commands.decideOnDispute({ account: dispute.account, type, body }, request, reply);
  }
}

/** A caller who names another account does not mean this dispute; and what can be no id is the id of none. */
export async function keptDispute(
  views: DisputeViews,
  given: string,
  { account }: { readonly account?: string },
): Promise<DisputeView> {
  const view = /^[\w-]{1,255}$/.test(given) ? await views.dispute(given) : null;
  if (view === null || (account !== undefined && account !== view.dispute.account)) throw new Refusal('dispute_not_found');
  return view;
}

const shown = ({ dispute, payment }: DisputeView): Dispute => publicDispute(dispute, payment);

/** Whoever leaves only the confirmation out is asked for just that. */
function confirmed<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    const isAllThatIsMissing =
      error instanceof Refusal && error.code === 'validation_failed' && lacksOnlyConfirmation(error.more.errors ?? []);
    throw isAllThatIsMissing ? new Refusal('confirmation_missing', error.more) : error;
  }
}

function writePlace({ dueBy, id: disputeId }: DisputePlace): string {
  return writeCursor('disputes', `${dueBy === null ? 'never' : dueBy.getTime()}_${disputeId}`);
}

function readPlace(cursor: string | undefined): DisputePlace | null {
  const place = readCursor('disputes', 'cursor', cursor);
  if (place === null) return null;
  const found = /^(never|\d{1,15})_(dp_[0-9a-f]{32})$/.exec(place);
  const [, due = '', disputeId = ''] = found ?? [];
  if (found === null) throw noCursor('cursor');
  return { dueBy: due === 'never' ? null : new Date(Number(due)), id: disputeId };
}
