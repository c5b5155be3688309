/*
 * Commands about disputes, from either door: load what they touch, decide each in order of arrival, store it all in one transaction. No
 * provider is called here: what is decided goes out by an operation, which reads the dispute again before it sends.
 */
import type { Book } from '#application/book';
import {
  acknowledgeDispute,
  decideToAccept,
  decideToLetPass,
  decideToSubmit,
  readNow,
  type DecidedOn,
} from '#application/dispute-decisions';
import type { PartitionMark } from '#application/event-log';
import type { Want } from '#application/kept';
import { publicDispute } from '#application/messages';
import { digestOf } from '#application/names';
import { bury, type CommandHead, type UnreadableRecord } from '#application/refund-commands';
import type { WorkingSet } from '#application/working-set';
import { codes, type Code } from '#contracts/codes';
import type {
  AcceptDispute,
  DisputeCommand,
  DisputeCommandType,
  LetDisputePass,
  SubmitEvidence,
} from '#contracts/dispute-commands';
import type { Dispute as PublicDispute } from '#contracts/dispute-events';
import { paymentKey as kafkaKey, topics } from '#contracts/topics';
import type { Dispute } from '#domain/dispute/dispute';
import { err } from '#domain/result';

/** A command about a dispute that could be read, with who sent it. */
export interface ReceivedDisputeCommand extends CommandHead {
  readonly type: DisputeCommandType;
  readonly body: DisputeCommand;
}

type Decided =
  | { readonly kind: 'accepted'; readonly dispute: PublicDispute; readonly repeated: boolean }
  | {
      readonly kind: 'refused';
      readonly code: Code;
      readonly detail: string;
      readonly dispute: PublicDispute | null;
      readonly repeated: boolean;
    };

/** What a command came to, as both doors answer it. */
export type DisputeCommandAnswer = Decided | { readonly kind: 'buried'; readonly deadLetterId: string };

export class DisputeCommands {
  constructor(private readonly book: Book) {}

  /** Decides a batch in one transaction; `mark` moves the partition it came from along with it. */
  async decide(
    commands: readonly (ReceivedDisputeCommand | UnreadableRecord)[],
    mark?: PartitionMark,
  ): Promise<DisputeCommandAnswer[]> {
    const want = this.wantFor(commands);
    return this.book.transact(mark === undefined ? want : { ...want, mark }, (set) =>
      commands.map((command) => ('unreadable' in command ? bury(set, command) : this.decideIn(set, command))),
    );
  }

  /** What a transaction must load to decide these. */
  wantFor(commands: readonly (ReceivedDisputeCommand | UnreadableRecord)[]): Want {
    const read = commands.flatMap((command) => ('unreadable' in command ? [] : [command]));
    const about = (some: readonly ReceivedDisputeCommand[]) => some.map(({ body }) => body.disputeId);
    const submitted = read.filter(({ type }) => type === 'redress.SubmitEvidence.v1');
    return { disputes: about(read), evidence: about(submitted), commands: read.map(({ uuid }) => uuid) };
  }

  /** Decides a command in a transaction that does more than that. */
  decideIn(set: WorkingSet, command: ReceivedDisputeCommand): Decided {
    const { type, body } = command;
    const digest = digestOf({ type, ...body });
    const first = set.command(command.uuid);
    if (first !== undefined) {
      if (first.digest !== digest) {
        const refusal = refuse('idempotency_key_reused', null);
        return tellOutcome(set, command, refusal, 'rejected');
      }
      return { ...tellOutcome(set, command, JSON.parse(first.answer) as Decided, 'repeated'), repeated: true };
    }
    const answer = this.act(set, command);
    set.addCommand({
      id: command.uuid,
      account: command.account,
      door: command.door,
      source: command.source,
      key: command.key,
      type,
      digest,
      refundId: null,
      disputeId: answer.dispute?.id ?? null,
      body,
      answer: JSON.stringify(answer),
      receivedAt: set.now,
    });
    return tellOutcome(set, command, answer, answer.kind === 'accepted' ? 'accepted' : 'rejected');
  }

  private act(set: WorkingSet, command: ReceivedDisputeCommand): Decided {
    const { disputeId } = command.body;
    const dispute = set.disputes.get(disputeId);
    if (dispute === undefined) return refuse('dispute_not_found', null, `There is no dispute ${disputeId}.`);
    const decided = decideOn(set, dispute, command);
    const after = set.disputes.kept(disputeId);
    const shown = publicDispute(after, set.payment(after.paymentKey));
    if (decided.ok) return { kind: 'accepted', dispute: shown, repeated: false };
    const { code, detail } = decided.error;
    const isAboutState = code !== 'confirmation_missing' && code !== 'evidence_empty' && code !== 'inquiry_not_acceptable';
    return refuse(
      code,
      shown,
      detail ?? (isAboutState ? `${codes[code]} It is ${dispute.stage}, ${dispute.status}.` : codes[code]),
    );
  }
}

function decideOn(set: WorkingSet, dispute: Dispute, command: ReceivedDisputeCommand): DecidedOn {
  const { type, source: by, key } = command;
  const cause = { causationId: key };
  switch (type) {
    case 'redress.SubmitEvidence.v1': {
      const { confirm, version } = command.body as SubmitEvidence;
      return confirm ? decideToSubmit(set, dispute, version, by, cause) : err({ code: 'confirmation_missing' });
    }
    case 'redress.AcceptDispute.v1': {
      const { confirm, reason = null } = command.body as AcceptDispute;
      return confirm ? decideToAccept(set, dispute, { reason, by }, cause) : err({ code: 'confirmation_missing' });
    }
    case 'redress.LetDisputePass.v1':
      return decideToLetPass(set, dispute, { reason: (command.body as LetDisputePass).reason, by }, cause);
    case 'redress.SyncDispute.v1':
      return readNow(set, dispute, cause);
    case 'redress.AcknowledgeDispute.v1':
      return acknowledgeDispute(set, dispute, cause);
  }
}

function refuse(code: Code, dispute: PublicDispute | null, detail: string = codes[code]): Decided {
  return { kind: 'refused', code, detail, dispute, repeated: false };
}

function tellOutcome(
  set: WorkingSet,
  command: ReceivedDisputeCommand,
  answer: Decided,
  kind: 'accepted' | 'rejected' | 'repeated',
): Decided {
  if (command.door !== 'kafka') return answer;
  const { account, source, key: id, correlationId, traceparent } = command;
  const { dispute } = answer;
  set.tellCommandOutcome(
    { account, source, id, correlationId, traceparent },
    {
      kind,
      topic: topics.disputeOutcomes,
      key: dispute === null ? `${source}:${id}` : kafkaKey(dispute),
      ...(dispute === null ? {} : { disputeId: dispute.id }),
      // Who changed the evidence is for whoever asked over HTTP.
      ...(answer.kind === 'refused'
        ? { code: answer.code, detail: answer.code === 'evidence_changed' ? codes[answer.code] : answer.detail }
        : {}),
      first: answer.kind === 'accepted' ? 'accepted' : 'rejected',
    },
  );
  return answer;
}
