/* The causal story of a refund or a dispute. */
import type { DataSource } from 'typeorm';
import type { Operation } from '#application/operations';
import { CallRow, CommandRow, DeliveryRow, EventRow, OperationRow, uuidOf } from '#persistence/rows';
import { Table } from '#persistence/table';
import { positionOf } from '#persistence/statements';
import { query } from '#persistence/view-queries';

export interface History {
  readonly commands: readonly CommandRow[];
  readonly operations: readonly Operation[];
  readonly calls: readonly CallRow[];
  readonly deliveries: readonly DeliveryRow[];
  readonly events: readonly (EventRow & { position: bigint | null })[];
}

/** What belongs to it, as conditions on each table with the uuid as $1; several are looked up one by one, each by its index. */
export interface Belongings {
  readonly commands: string;
  readonly operations: readonly string[];
  readonly calls: readonly string[];
  readonly deliveries: string;
}

const most = 500;

export async function readHistory(source: DataSource, id: string, of: Belongings): Promise<History> {
  const [commandTable, operationTable, callTable] = [
    new Table(source, CommandRow),
    new Table(source, OperationRow),
    new Table(source, CallRow),
  ];
  const [deliveryTable, eventTable] = [new Table(source, DeliveryRow), new Table(source, EventRow)];
  const all = (selection: string, table: string, conditions: readonly string[]) =>
    conditions.map((each) => `select ${selection} from ${table} where ${each}`).join(' union all ');
  const uuid = [uuidOf(id)];
  const [commands, operations, calls, deliveries, events] = await Promise.all([
    query(source, `select ${commandTable.selection} from command where ${of.commands} order by received_at limit ${most}`, uuid),
    query(source, `${all(operationTable.selection, 'provider_operation', of.operations)} order by ordinal limit ${most}`, uuid),
    query(source, `${all(callTable.selection, 'provider_call', of.calls)} order by ordinal limit ${most}`, uuid),
    query(
      source,
      `select ${deliveryTable.selection} from webhook_delivery where ${of.deliveries} order by ordinal limit ${most}`,
      uuid,
    ),
    query(
      source,
      `select ${eventTable.selection}, ${positionOf('event')} as position from event
       where subject = $1 order by ordinal limit ${most}`,
      [id],
    ),
  ]);
  return {
    commands: commands.map((raw) => commandTable.read(raw)),
    operations: operations.map((raw) => operationTable.read(raw)),
    calls: calls.map((raw) => callTable.read(raw)),
    deliveries: deliveries.map((raw) => deliveryTable.read(raw)),
    events: events.map((raw) => ({
      ...eventTable.read(raw),
      position: raw['position'] === null ? null : BigInt(String(raw['position'])),
    })),
  };
}
