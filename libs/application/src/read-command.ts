import { commandId } from '#application/names';
import type { ReceivedCommand } from '#application/refund-commands';
import { readCloudEvent, type KafkaRecord } from '#contracts/cloud-event';
import type { Code } from '#contracts/codes';
import type { Class } from '#contracts/fields';
import { readBody } from '#contracts/read-body';
import { refundCommands, type RefundCommand, type RefundCommandType } from '#contracts/refund-commands';
import { err, ok, type Result } from '#domain/result';

/** Why a record is no command, with what could still be read of who sent it. */
export interface NoCommand {
  readonly code: Code;
  readonly detail: string;
  readonly id: string | null;
  readonly source: string | null;
}

const types = Object.keys(refundCommands) as RefundCommandType[];

/** Reads a record of the commands topic, whether it has just come or lay among the dead letters. */
export function readCommand(record: KafkaRecord, ageMs: number): Result<ReceivedCommand, NoCommand> {
  const envelope = readCloudEvent(record, types);
  if (!envelope.ok) return err(envelope);
  const { id: key, source, type, data, correlationid: correlationId, traceparent } = envelope.event;
  const read = readBody<RefundCommand>(refundCommands[type] as Class<RefundCommand>, data);
  if (!read.ok) {
    const detail = read.errors.map((error) => error.message).join('; ');
    return err({ code: read.code, detail, id: key, source });
  }
  const body = read.value;
  const account = 'account' in body ? body.account : 'default';
  const uuid = commandId(account, 'kafka', source, key);
  return ok({ uuid, account, door: 'kafka', source, key, type, body, correlationId, traceparent, ageMs });
}
