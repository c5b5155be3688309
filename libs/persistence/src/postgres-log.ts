import type { DataSource } from 'typeorm';
import {
  EventLog,
  PartitionOffsets,
  TopicCursors,
  type DeadLetterRecord,
  type LogFilter,
  type PartitionHalt,
  type SealedEntry,
  type TopicTurn,
} from '#application/event-log';
import { meaningOf } from '#persistence/database';
import { DeadLetterRow, EventRow } from '#persistence/rows';
import { endsOfTopics, entriesOf, pageOfTopic, seal, takeSeal } from '#persistence/statements';
import { run, Table, type Raw } from '#persistence/table';

/** The log: inserted by the book, given positions here, read by position. */
export class PostgresLog extends EventLog {
  private readonly events: Table<EventRow>;

  constructor(private readonly source: DataSource) {
    super();
    this.events = new Table(source, EventRow);
  }

  async seal(limit: number): Promise<number> {
    const runner = this.source.createQueryRunner();
    try {
      await runner.startTransaction();
      // Two statements: what the last writer sealed is visible only to a statement that begins after it let go.
      const [taken] = (await run<{ settled: string }>(runner, takeSeal)).rows;
      const sealed = taken === undefined ? [] : (await run<{ entries: string }>(runner, seal, [limit, taken.settled])).rows;
      await runner.commitTransaction();
      return Number(sealed[0]?.entries ?? 0);
    } catch (error) {
      if (runner.isTransactionActive) await runner.rollbackTransaction().catch(() => undefined);
      throw meaningOf(error);
    } finally {
      await runner.release().catch(() => undefined);
    }
  }

  async page(after: bigint, limit: number, filter: LogFilter): Promise<SealedEntry[]> {
    const { topics, type, payment } = filter;
    const [topic] = topics ?? [];
    if (topic !== undefined && topics?.length === 1 && type === undefined && payment === undefined) {
      return this.read(pageOfTopic(this.events.selection), [topic, after.toString(), limit]);
    }
    const conditions: string[] = [];
    const parameters: unknown[] = [after.toString(), limit];
    const where = (condition: string, value: unknown) => conditions.push(condition.replace('?', `$${parameters.push(value)}`));
    if (topics !== undefined) where('event.topic = any(?::text[])', topics);
    if (type !== undefined) where('event.type = ?', type);
    if (payment !== undefined)
      where('event.payment_key = any(array(select payment_key from payment_alias where name = ?))', payment);
    return this.read(
      `select event.* from event_position p, lateral (${entriesOf(this.events.selection, '$1::bigint')}) event
       where ${['p.position > $1', ...conditions].join(' and ')} order by p.position, event.position limit $2`,
      parameters,
    );
  }

  async end(): Promise<bigint> {
    const [row] = await query<{ position: string }>(this.source, 'select position from event_seal', []);
    return BigInt(row?.position ?? 0);
  }

  async ends(topics: readonly string[]): Promise<Map<string, bigint>> {
    const found = await query<{ topic: string; position: string | null }>(this.source, endsOfTopics, [topics]);
    return new Map(found.map(({ topic, position }) => [topic, BigInt(position ?? 0)]));
  }

  private async read(statement: string, parameters: readonly unknown[]): Promise<SealedEntry[]> {
    const found = await query<Raw>(this.source, statement, parameters);
    return found.map((raw) => ({ ...this.events.read(raw), position: BigInt(String(raw['position'])) }));
  }
}

/** Each topic's place in the log, held by one relay at a time. */
export class PostgresCursors extends TopicCursors {
  private readonly letters: Table<DeadLetterRow>;

  constructor(private readonly source: DataSource) {
    super();
    this.letters = new Table(source, DeadLetterRow);
  }

  async take(topic: string, holder: string, leaseMs: number): Promise<TopicTurn | null> {
    await query(this.source, 'insert into topic_cursor (topic, position, fence) values ($1, 0, 0) on conflict do nothing', [
      topic,
    ]);
    const { records } = await change<{ position: string; fence: string }>(
      this.source,
      `update topic_cursor set
         fence = case when holder is not distinct from $2 and lease_until > service_now() then fence else fence + 1 end,
         holder = $2, lease_until = service_now() + $3 * interval '1 millisecond'
       where topic = $1 and (holder is null or holder = $2 or lease_until is null or lease_until <= service_now())
       returning position, fence`,
      [topic, holder, leaseMs],
    );
    const [turn] = records;
    return turn === undefined ? null : { position: BigInt(turn.position), fence: BigInt(turn.fence) };
  }

  async advance(topic: string, fence: bigint, position: bigint): Promise<boolean> {
    const { affected } = await change(
      this.source,
      'update topic_cursor set position = $3 where topic = $1 and fence = $2 and position <= $3',
      [topic, fence.toString(), position.toString()],
    );
    return affected === 1;
  }

  async giveBack(topic: string, fence: bigint): Promise<void> {
    await change(this.source, 'update topic_cursor set holder = null, lease_until = null where topic = $1 and fence = $2', [
      topic,
      fence.toString(),
    ]);
  }

  async deadLetters(ids: readonly string[]): Promise<DeadLetterRecord[]> {
    const found = await query<Raw>(this.source, `select ${this.letters.selection} from dead_letter where id = any($1::uuid[])`, [
      ids,
    ]);
    return found.map((raw) => this.letters.read(raw)).map(({ id, key, value, headers }) => ({ id, key, value, headers }));
  }
}

/** Where each partition's consumer stands. */
export class PostgresOffsets extends PartitionOffsets {
  constructor(private readonly source: DataSource) {
    super();
  }

  async load(cluster: string, group: string, topic: string, partitions: readonly number[]): Promise<Map<number, bigint | null>> {
    const found = await query<{ partition: number; next_offset: string }>(
      this.source,
      'select partition, next_offset from partition_offset where cluster = $1 and group_id = $2 and topic = $3 and partition = any($4::int[])',
      [cluster, group, topic, partitions],
    );
    const stored = new Map(found.map((row) => [row.partition, BigInt(row.next_offset)]));
    return new Map(partitions.map((partition) => [partition, stored.get(partition) ?? null]));
  }

  async halt(cluster: string, group: string, topic: string, partition: number, reason: string): Promise<void> {
    await query(
      this.source,
      `insert into partition_halt (id, cluster, group_id, topic, partition, reason, since)
       values (gen_random_uuid(), $1, $2, $3, $4, $5, service_now())
       on conflict (cluster, group_id, topic, partition) do update set reason = excluded.reason`,
      [cluster, group, topic, partition, reason],
    );
  }

  async goOn(cluster: string, group: string, topic: string, partitions: readonly number[]): Promise<void> {
    await query(
      this.source,
      'delete from partition_halt where cluster = $1 and group_id = $2 and topic = $3 and partition = any($4::int[])',
      [cluster, group, topic, partitions],
    );
  }

  async halts(): Promise<PartitionHalt[]> {
    return query<PartitionHalt>(
      this.source,
      'select id, cluster, group_id as "group", topic, partition, reason, since from partition_halt order by topic, partition',
      [],
    );
  }
}

async function query<T>(source: DataSource, statement: string, parameters: readonly unknown[]): Promise<T[]> {
  try {
    return (await source.query(statement, [...parameters])) as T[];
  } catch (error) {
    throw meaningOf(error);
  }
}

/** An update, with its rows and how many they were. */
async function change<T>(
  source: DataSource,
  statement: string,
  parameters: readonly unknown[],
): Promise<{ records: T[]; affected: number }> {
  const [records, affected] = (await query(source, statement, parameters)) as unknown as [T[], number];
  return { records, affected };
}
