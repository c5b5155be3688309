import type { ReceivedDisputeCommand } from '#application/dispute-commands';
import { commandId } from '#application/names';
import type { CommandHead, ReceivedCommand } from '#application/refund-commands';
import { readCloudEvent, type KafkaRecord } from '#contracts/cloud-event';
import type { Code } from '#contracts/codes';
import { disputeCommands, lacksOnlyConfirmation } from '#contracts/dispute-commands';
import type { Class } from '#contracts/fields';
import { readBody } from '#contracts/read-body';
import { refundCommands } from '#contracts/refund-commands';
import { err, ok, type Result } from '#domain/result';

/** Why a record is no command, with what could still be read of who sent it. */
export interface NoCommand {
  readonly code: Code;
  readonly detail: string;
  readonly id: string | null;
  readonly source: string | null;
}

/** Reads a record of the topic of refunds' commands, whether it has just come or lay among the dead letters. */
export function readRefundCommand(record: KafkaRecord, ageMs: number): Result<ReceivedCommand, NoCommand> {
  return read(record, ageMs, refundCommands) as Result<ReceivedCommand, NoCommand>;
}

/** The same of the topic of disputes' commands. */
export function readDisputeCommand(record: KafkaRecord, ageMs: number): Result<ReceivedDisputeCommand, NoCommand> {
  return read(record, ageMs, disputeCommands) as Result<ReceivedDisputeCommand, NoCommand>;
}

function read(
  record: KafkaRecord,
  ageMs: number,
  commands: Readonly<Record<string, Class>>,
): Result<CommandHead & { readonly type: string; readonly body: object }, NoCommand> {
  const envelope = readCloudEvent(record, Object.keys(commands));
  if (!envelope.ok) return err(envelope);
  const { id: key, source, type, data, correlationid: correlationId, traceparent } = envelope.event;
  const definition = commands[type];
  if (definition === undefined) throw new Error(`there is no command ${type}`);
  const whole = readBody(definition, data);
  // A record without it can be decided: its sender hears that it was not confirmed, and nobody has to look at a dead letter.
  const isUnconfirmed = !whole.ok && lacksOnlyConfirmation(whole.errors);
  const parsed = isUnconfirmed ? readBody(definition, data, { confirm: false }) : whole;
  if (!parsed.ok) {
    const detail = parsed.errors.map((error) => error.message).join('; ');
    return err({ code: parsed.code, detail, id: key, source });
  }
  const body = parsed.value;
  const account = 'account' in body ? String(body.account) : 'default';
  const uuid = commandId(account, 'kafka', source, key);
  return ok({ uuid, account, door: 'kafka', source, key, type, body, correlationId, traceparent, ageMs });
}
