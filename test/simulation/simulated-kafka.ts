/*
 * Kafka as far as the relay knows it: topics of partitions, and transactions under an id that whoever announces itself last alone may use.
 * A send takes several steps; at each the broker may be away, and its answer may be lost after the work was done.
 */
import type { PageSender } from '#messaging/event-relay';
import type { OutgoingRecord } from '#messaging/event-record';
import type { Chance, Clockwork, Walker } from './clockwork.js';

/** What Kafka or the way to it did to a call; whoever meets it begins anew. */
export class KafkaTrouble extends Error {}

interface Transaction {
  end: 'committed' | 'aborted' | null;
}

interface Written {
  readonly record: OutgoingRecord;
  readonly by: Transaction;
}

export interface Around {
  readonly clockwork: Clockwork;
  readonly chance: Chance;
  readonly troubles: { readonly kafka: number };
  fault(what: string): void;
}

export const partitionsOut = 4;

export class SimulatedKafka {
  private readonly logs = new Map<string, Written[][]>();
  private readonly epochs = new Map<string, number>();
  private readonly open = new Map<string, Transaction>();

  constructor(private readonly around: Around) {}

  /** As the topic's only sender from here on: what the one before has begun is aborted, and nothing more of it is taken. */
  async announce(walker: Walker, topic: string): Promise<PageSender> {
    await this.step(walker, `announces itself for ${topic}`);
    this.meet('announce');
    const epoch = (this.epochs.get(topic) ?? 0) + 1;
    this.epochs.set(topic, epoch);
    this.endOpen(topic, 'aborted');
    await this.step(walker, `has announced itself for ${topic}`);
    return {
      partitions: partitionsOut,
      send: (records) => this.send(walker, topic, epoch, records),
      close: () => Promise.resolve(),
    };
  }

  /** What somebody who reads committed records only finds in a partition, in order: nothing behind a transaction that is not over. */
  committed(topic: string): OutgoingRecord[][] {
    return (this.logs.get(topic) ?? []).map((log) => {
      const end = log.findIndex(({ by }) => by.end === null);
      const stable = end < 0 ? log : log.slice(0, end);
      return stable.flatMap(({ record, by }) => (by.end === 'committed' ? [record] : []));
    });
  }

  get topics(): string[] {
    return [...this.logs.keys()];
  }

  private async send(walker: Walker, topic: string, epoch: number, records: readonly OutgoingRecord[]): Promise<void> {
    for (const group of Map.groupBy(records, ({ partition }) => partition).values()) {
      await this.step(walker, `writes to ${topic}`);
      this.fence(topic, epoch);
      this.meet('write');
      const by = this.open.get(topic) ?? { end: null };
      this.open.set(topic, by);
      for (const record of group) this.logOf(topic, record.partition).push({ record, by });
    }
    await this.step(walker, `commits to ${topic}`);
    this.fence(topic, epoch);
    this.meet('commit');
    this.endOpen(topic, 'committed');
    await this.step(walker, `has committed to ${topic}`);
    if (this.around.chance.isIn(this.around.troubles.kafka)) {
      this.around.fault('kafka: commit answer lost');
      throw new KafkaTrouble('no answer to a commit that was done');
    }
  }

  private fence(topic: string, epoch: number): void {
    if (this.epochs.get(topic) === epoch) return;
    this.around.fault('kafka: fenced');
    throw new KafkaTrouble('somebody else has announced itself');
  }

  private meet(what: string): void {
    if (!this.around.chance.isIn(this.around.troubles.kafka)) return;
    this.around.fault(`kafka: ${what} failed`);
    throw new KafkaTrouble(`${what} failed`);
  }

  private endOpen(topic: string, end: 'committed' | 'aborted'): void {
    const transaction = this.open.get(topic);
    if (transaction !== undefined) transaction.end = end;
    this.open.delete(topic);
  }

  private logOf(topic: string, partition: number): Written[] {
    const logs = this.logs.get(topic) ?? Array.from({ length: partitionsOut }, () => []);
    this.logs.set(topic, logs);
    const log = logs[partition];
    if (log === undefined) throw new Error(`${topic} has no partition ${partition}`);
    return log;
  }

  private step(walker: Walker, what: string): Promise<void> {
    return this.around.clockwork.at(walker, what);
  }
}
