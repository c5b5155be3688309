import { Controller, Logger } from '@nestjs/common';
import { Payload } from '@nestjs/microservices';
import { inParts } from '#application/batcher';
import { readCommand } from '#application/read-command';
import type { ReceivedBatch, ReceivedRecord } from '#application/received-batch';
import { RefundCommands, type CommandAnswer, type ReceivedCommand, type UnreadableRecord } from '#application/refund-commands';
import type { Code } from '#contracts/codes';
import { topics } from '#contracts/topics';
import { keptRecord } from '#messaging/dead-letter';
import { KafkaBatch } from '#messaging/kafka-batch';

interface Read {
  readonly record: ReceivedRecord;
  readonly command: ReceivedCommand | UnreadableRecord;
}

/** One of these is a bad record; this many in a row are our own mistake, and the partition waits for a person. */
const mostOffendersInARow = 5;

/** Refund commands from Kafka: a batch of records is one transaction, together with the partition's next offset. */
@Controller()
export class CommandsConsumer {
  private readonly logger = new Logger(CommandsConsumer.name);
  private offenders = 0;

  constructor(private readonly commands: RefundCommands) {}

  @KafkaBatch(topics.refundCommands)
  async take(@Payload() batch: ReceivedBatch): Promise<void> {
    const read = batch.records.map((record): Read => ({ record, command: readRecord(batch, record) }));
    const store = async (part: readonly Read[]): Promise<CommandAnswer[]> => {
      const last = part.at(-1);
      if (last === undefined) return [];
      const mark = batch.markThrough(last.record.offset);
      const answers = await this.commands.decide(
        part.map(({ command }) => command),
        mark,
      );
      batch.stored(mark);
      return answers;
    };
    const answers = await inParts(
      read,
      async (part) => this.fine(await store(part)),
      async (offender, error) => {
        this.offenders += 1;
        const { record } = offender;
        const at = `${batch.topic}[${batch.partition}] offset ${record.offset}`;
        this.logger.error(
          `the record at ${at} cannot be handled: ${textOf(error)}`,
          Error.isError(error) ? error.stack : undefined,
        );
        if (this.offenders > mostOffendersInARow) throw error;
        const known =
          'unreadable' in offender.command ? offender.command : { source: offender.command.source, id: offender.command.key };
        const letter = unreadable(batch, record, 'internal', textOf(error), known);
        const [answer] = await store([{ record, command: letter }]);
        if (answer === undefined) throw error;
        return answer;
      },
    );
    const count = (kind: CommandAnswer['kind']) => answers.filter((answer) => answer.kind === kind).length;
    this.logger.log(
      `${batch.topic}[${batch.partition}] through offset ${read.at(-1)?.record.offset}: ` +
        `${count('accepted')} taken, ${count('refused')} refused, ${count('buried')} to the dead letters`,
    );
  }

  private fine(answers: CommandAnswer[]): CommandAnswer[] {
    this.offenders = 0;
    return answers;
  }
}

function readRecord(batch: ReceivedBatch, record: ReceivedRecord): ReceivedCommand | UnreadableRecord {
  const read = readCommand(record, Date.now() - record.timestamp.getTime());
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

const textOf = (error: unknown) => (Error.isError(error) ? error.message : String(error));
