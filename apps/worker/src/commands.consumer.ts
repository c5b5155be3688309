import { Controller, Logger } from '@nestjs/common';
import { Payload } from '@nestjs/microservices';
import { inParts } from '#application/batcher';
import { DisputeCommands, type DisputeCommandAnswer, type ReceivedDisputeCommand } from '#application/dispute-commands';
import { Conflict } from '#application/errors';
import type { PartitionMark } from '#application/event-log';
import { readDisputeCommand, readRefundCommand, type NoCommand } from '#application/read-command';
import type { ReceivedBatch, ReceivedRecord } from '#application/received-batch';
import { RefundCommands, type CommandAnswer, type ReceivedCommand, type UnreadableRecord } from '#application/refund-commands';
import type { Code } from '#contracts/codes';
import { topics } from '#contracts/topics';
import type { Result } from '#domain/result';
import { keptRecord } from '#messaging/dead-letter';
import { KafkaBatch } from '#messaging/kafka-batch';

interface Read<C> {
  readonly record: ReceivedRecord;
  readonly command: C | UnreadableRecord;
}

/** What one topic's commands are read by and decided by. */
interface Desk<C> {
  read(record: ReceivedRecord, ageMs: number): Result<C, NoCommand>;
  decide(commands: readonly (C | UnreadableRecord)[], mark: PartitionMark): Promise<Answer[]>;
}

type Answer = CommandAnswer | DisputeCommandAnswer;

/** One of these is a bad record; this many in a row are our own mistake, and the partition waits for a person. */
const mostOffendersInARow = 5;

/** Commands from Kafka: a batch of records is one transaction, together with the partition's next offset. */
@Controller()
export class CommandsConsumer {
  private readonly logger = new Logger(CommandsConsumer.name);
  /** How many in a row, by topic and partition. */
  private readonly offenders = new Map<string, number>();

  constructor(
    private readonly refunds: RefundCommands,
    private readonly disputes: DisputeCommands,
  ) {}

  @KafkaBatch(topics.refundCommands)
  aboutRefunds(@Payload() batch: ReceivedBatch): Promise<void> {
    const { refunds } = this;
    return this.take<ReceivedCommand>(batch, {
      read: readRefundCommand,
      decide: (commands, mark) => refunds.decide(commands, mark),
    });
  }

  @KafkaBatch(topics.disputeCommands)
  aboutDisputes(@Payload() batch: ReceivedBatch): Promise<void> {
    const { disputes } = this;
    return this.take<ReceivedDisputeCommand>(batch, {
      read: readDisputeCommand,
      decide: (commands, mark) => disputes.decide(commands, mark),
    });
  }

  private async take<C extends ReceivedCommand | ReceivedDisputeCommand>(batch: ReceivedBatch, desk: Desk<C>): Promise<void> {
    const read = batch.records.map((record): Read<C> => ({ record, command: readRecord(batch, record, desk) }));
    const store = async (part: readonly Read<C>[]): Promise<Answer[]> => {
      const last = part.at(-1);
      if (last === undefined) return [];
      const mark = batch.markThrough(last.record.offset);
      const answers = await desk.decide(
        part.map(({ command }) => command),
        mark,
      );
      batch.stored(mark);
      return answers;
    };
    const answers = await inParts(
      read,
      async (part) => this.fine(batch, await store(part)),
      async (offender, error) => {
        // Whoever was in the way is no fault of the record's: all of it comes again, and halts where that does not end.
        if (error instanceof Conflict) throw error;
        const offenders = (this.offenders.get(placeOf(batch)) ?? 0) + 1;
        this.offenders.set(placeOf(batch), offenders);
        const { record } = offender;
        this.logger.error(
          `the record at ${placeOf(batch)} offset ${record.offset} cannot be handled: ${textOf(error)}`,
          Error.isError(error) ? error.stack : undefined,
        );
        if (offenders > mostOffendersInARow) throw error;
        const known =
          'unreadable' in offender.command ? offender.command : { source: offender.command.source, id: offender.command.key };
        const letter = unreadable(batch, record, 'internal', textOf(error), known);
        const [answer] = await store([{ record, command: letter }]);
        if (answer === undefined) throw error;
        return answer;
      },
    );
    const count = (kind: Answer['kind']) => answers.filter((answer) => answer.kind === kind).length;
    this.logger.log(
      `${placeOf(batch)} through offset ${read.at(-1)?.record.offset}: ` +
        `${count('accepted')} taken, ${count('refused')} refused, ${count('buried')} to the dead letters`,
    );
  }

  private fine(batch: ReceivedBatch, answers: Answer[]): Answer[] {
    this.offenders.delete(placeOf(batch));
    return answers;
  }
}

function readRecord<C>(batch: ReceivedBatch, record: ReceivedRecord, desk: Desk<C>): C | UnreadableRecord {
  const read = desk.read(record, Date.now() - record.timestamp.getTime());
  return read.ok ? read.value : unreadable(batch, record, read.error.code, read.error.detail, read.error);
}

function unreadable(
  batch: ReceivedBatch,
  record: ReceivedRecord,
  code: Code,
  detail: string,
  known: { readonly id: string | null; readonly source: string | null },
): UnreadableRecord {
  const { topic, partition } = batch;
  const { source, id } = known;
  // It may quote what somebody sent, and is stored as text.
  const told = detail.slice(0, 1_000).replaceAll('\0', '\ufffd').toWellFormed();
  const kept = keptRecord(record, batch, { code, detail: told });
  return { unreadable: true, code, detail: told, topic, partition, offset: record.offset, ...kept, source, id };
}

const placeOf = ({ topic, partition }: ReceivedBatch) => `${topic}[${partition}]`;

const textOf = (error: unknown) => (Error.isError(error) ? error.message : String(error));
