import { randomUUID } from 'node:crypto';
import type { DataSource, QueryRunner } from 'typeorm';
import { Book } from '#application/book';
import type { DeadLetter, KeptCommand, KeptRefund, Loaded, PaymentName, Want } from '#application/kept';
import { WorkingSet } from '#application/working-set';
import { Conflict, Fenced } from '#application/errors';
import type { PartitionMark } from '#application/event-log';
import { isOpen, type Operation } from '#application/operations';
import { laneOf } from '#application/dispute-operations';
import { refundIdOf } from '#application/names';
import type { Wake } from '#application/wake';
import type { Payment } from '#domain/payment/payment';
import { meaningOf } from '#persistence/database';
import { DisputeTables } from '#persistence/dispute-tables';
import {
  CallRow,
  CommandRow,
  DeadLetterRow,
  EventRow,
  OperationRow,
  PauseRow,
  PaymentAliasRow,
  PaymentRow,
  ProviderRefundRow,
  RefundRow,
  SendingHourRow,
  uuidOf,
} from '#persistence/rows';
import {
  beginHours,
  beginPartition,
  clock,
  countCertainties,
  endDeadLetters,
  endPauses,
  findNames,
  findPayments,
  hearOfPayments,
  insertEvents,
  loadDeadLetters,
  loadHours,
  loadOperations,
  loadProviderRefunds,
  loadReferences,
  loadRefunds,
  loadPayments,
  moveNames,
  movePartition,
  moveRefunds,
  nameNewPayments,
  promote,
  standingPauses,
  switchLock,
} from '#persistence/statements';
import { columns, run, Table, type Raw } from '#persistence/table';

/** The book in PostgreSQL. One transaction per batch: lock and load, decide in memory, store, commit, and only then wake who waits. */
export class PostgresBook extends Book {
  private readonly payments: Table<PaymentRow>;
  private readonly aliases: Table<PaymentAliasRow>;
  private readonly refunds: Table<RefundRow>;
  private readonly providerRefunds: Table<ProviderRefundRow>;
  private readonly commands: Table<CommandRow>;
  private readonly operations: Table<OperationRow>;
  private readonly calls: Table<CallRow>;
  private readonly events: Table<EventRow>;
  private readonly deadLetters: Table<DeadLetterRow>;
  private readonly pauses: Table<PauseRow>;
  private readonly hours: Table<SendingHourRow>;
  private readonly disputes: DisputeTables;

  constructor(
    private readonly source: DataSource,
    private readonly wake: Wake,
  ) {
    super();
    this.payments = new Table(source, PaymentRow);
    this.aliases = new Table(source, PaymentAliasRow);
    this.refunds = new Table(source, RefundRow);
    this.providerRefunds = new Table(source, ProviderRefundRow);
    this.commands = new Table(source, CommandRow);
    this.operations = new Table(source, OperationRow);
    this.calls = new Table(source, CallRow);
    this.events = new Table(source, EventRow);
    this.deadLetters = new Table(source, DeadLetterRow);
    this.pauses = new Table(source, PauseRow);
    this.hours = new Table(source, SendingHourRow);
    this.disputes = new DisputeTables(source);
  }

  async transact<T>(want: Want, decide: (set: WorkingSet) => T): Promise<T> {
    const runner = this.source.createQueryRunner();
    try {
      await runner.startTransaction();
      if (want.sending !== undefined) await run(runner, switchLock[want.sending]);
      if (want.mark !== undefined) await moveMark(runner, want.mark);
      const set = new WorkingSet(await this.load(runner, want), randomUUID);
      const answer = decide(set);
      set.finish();
      await this.store(runner, want, set);
      await runner.commitTransaction();
      this.ring(set);
      return answer;
    } catch (error) {
      // The connection may be gone already; what failed first is what matters.
      if (runner.isTransactionActive) await runner.rollbackTransaction().catch(() => undefined);
      throw meaningOf(error);
    } finally {
      await runner.release().catch(() => undefined);
    }
  }

  private async load(runner: QueryRunner, want: Want): Promise<Loaded> {
    const names = await this.names(runner, [...(want.payments ?? []), ...(want.aliases ?? [])]);
    const keys = new Set(names.values());
    const made = await this.hearOf(runner, want, names, keys);
    const ids = (want.refunds ?? []).map(uuidOf);
    const named = columns(want.providerRefunds ?? [], 3, (one) => [one.account, one.provider, one.id]);
    const operationIds = want.operations ?? [];
    if (ids.length > 0 || (want.providerRefunds ?? []).length > 0 || operationIds.length > 0) {
      const found = await run<{ payment_key: string }>(runner, findPayments, [ids, ...named, operationIds]);
      for (const { payment_key } of found.rows) keys.add(payment_key);
    }
    for (const key of await this.disputes.paymentKeys(runner, want)) keys.add(key);
    const payments = await this.loadPayments(runner, [...keys], want.unlocked !== true);
    // A name that was not settled when it was looked up may have moved to its payment while the lock was waited for.
    if (payments.some((payment) => !payment.settled && !made.has(payment.key))) {
      const again = await this.names(runner, [...(want.payments ?? []), ...(want.aliases ?? [])]);
      for (const [name, key] of names) if (again.get(name) !== key) throw new Conflict('a payment was found to be another one');
    }
    // Only now: who waited for a lock is later than who held it, and says so in what it writes.
    const now = await timeOf(runner);
    const locked = new Set(payments.map((payment) => payment.key));
    const ofPayments = want.disputesOfPayments === 'all' || (want.disputesOfPayments === 'disputed' && payments.some(isDisputed));
    const refunds = await this.loadRefunds(runner, want, ids, named, [...locked], ofPayments);
    for (const { refund } of refunds)
      if (!locked.has(refund.paymentKey)) throw new Conflict('a refund has moved to another payment');
    const disputed = await this.disputes.load(runner, want, locked, ofPayments);
    const operations = want.unlocked === true ? [] : await this.loadOperations(runner, want, { payments, refunds, ...disputed });
    return {
      now,
      payments,
      names,
      refunds,
      ...disputed,
      providerRefunds: await this.loadProviderRefunds(runner, want, named),
      references: await holdersOf(runner, want),
      commands: await this.loadCommands(runner, want),
      operations,
      busyLanes: new Set(operations.flatMap((each) => (each.lane !== null && each.head && isOpen(each) ? [each.lane] : []))),
      deadLetters: await this.loadDeadLetters(runner, want),
      ...(await this.loadSending(runner, want)),
    };
  }

  private async names(runner: QueryRunner, names: readonly PaymentName[]): Promise<Map<string, string>> {
    if (names.length === 0) return new Map();
    const found = await run<{ account: string; provider: string; name: string; payment_key: string }>(
      runner,
      findNames,
      columns(names, 3, (one) => [one.account, one.provider, one.name]),
    );
    return new Map(found.rows.map((row) => [`${row.account}:${row.provider}:${row.name}`, row.payment_key]));
  }

  /** Makes rows for payments that nobody has heard of; returns the keys made. */
  private async hearOf(runner: QueryRunner, want: Want, names: Map<string, string>, keys: Set<string>): Promise<Set<string>> {
    const unheard = new Map(
      (want.payments ?? [])
        .filter((one) => !names.has(`${one.account}:${one.provider}:${one.name}`))
        .map((one) => [one.key, one]),
    );
    if (unheard.size === 0) return new Set();
    const all = [...unheard.values()];
    const given = columns(all, 4, (one) => [one.key, one.account, one.provider, one.name]);
    const made = await run<{ key: string }>(runner, hearOfPayments, [...given, all.map((one) => one.own)]);
    await run(runner, nameNewPayments, given);
    const known = await this.names(runner, all);
    for (const one of all) {
      const name = `${one.account}:${one.provider}:${one.name}`;
      const key = known.get(name);
      if (key === undefined) throw new Conflict('a payment is being heard of elsewhere');
      names.set(name, key);
      keys.add(key);
    }
    return new Set(made.rows.map((row) => row.key));
  }

  private async loadPayments(runner: QueryRunner, keys: readonly string[], locked: boolean): Promise<Payment[]> {
    if (keys.length === 0) return [];
    const { rows } = await run(runner, loadPayments(this.payments.selection, locked), [keys]);
    return rows.map((raw) => this.payments.read(raw));
  }

  private async loadRefunds(
    runner: QueryRunner,
    want: Want,
    ids: string[],
    named: string[][],
    keys: string[],
    ofPayments: boolean,
  ): Promise<KeptRefund[]> {
    const waiting = want.waiting === true && keys.length > 0;
    const gone = ofPayments && keys.length > 0;
    if (ids.length === 0 && (want.providerRefunds ?? []).length === 0 && !waiting && !gone) return [];
    const { rows } = await run(runner, loadRefunds(this.refunds.selection), [ids, ...named, keys, waiting, gone]);
    return rows.map((raw) => {
      const { command, told, ...refund } = this.refunds.read(raw);
      return { refund, origin: command, told };
    });
  }

  private async loadProviderRefunds(runner: QueryRunner, want: Want, named: string[][]): Promise<Map<string, string>> {
    if ((want.providerRefunds ?? []).length === 0) return new Map();
    const { rows } = await run<{ account: string; provider: string; id: string; refund_id: string }>(
      runner,
      loadProviderRefunds,
      named,
    );
    return new Map(rows.map((row) => [`${row.account}:${row.provider}:${row.id}`, refundIdOf(row.refund_id)]));
  }

  private async loadOperations(
    runner: QueryRunner,
    want: Want,
    { payments, refunds, disputes }: Pick<Loaded, 'payments' | 'refunds' | 'disputes'>,
  ): Promise<Operation[]> {
    const ids = want.operations ?? [];
    const named = [...(want.providerRefunds ?? []), ...(want.providerDisputes ?? []), ...(want.warnings ?? [])];
    if (ids.length === 0 && payments.length === 0 && named.length === 0) return [];
    const names = [payments.map(({ name }) => name), named.map(({ id }) => id), disputes.map((each) => each.providerDisputeId)];
    const { rows } = await run(runner, loadOperations(this.operations.selection), [
      ids,
      refunds.map(({ refund }) => uuidOf(refund.id)),
      names.flat(),
      [...payments.map(({ key }) => `refunds:${key}`), ...disputes.map(({ id }) => laneOf(id))],
      disputes.map(({ id }) => uuidOf(id)),
    ]);
    return rows.map((raw) => this.operations.read(raw));
  }

  private async loadCommands(runner: QueryRunner, want: Want): Promise<KeptCommand[]> {
    if ((want.commands ?? []).length === 0) return [];
    const { rows } = await run(runner, `select ${this.commands.selection} from command where id = any($1::uuid[])`, [
      want.commands,
    ]);
    return rows.map((raw) => this.commands.read(raw));
  }

  private async loadDeadLetters(runner: QueryRunner, want: Want): Promise<DeadLetter[]> {
    if ((want.deadLetters ?? []).length === 0) return [];
    const statement = loadDeadLetters(this.deadLetters.selection, want.unlocked !== true);
    const { rows } = await run(runner, statement, [want.deadLetters]);
    return rows.map((raw) => this.deadLetters.read(raw));
  }

  /** The pauses come last: the breaker of another worker may have thrown the switch while the hour's row was waited for. */
  private async loadSending(runner: QueryRunner, { sending, counted = [] }: Want): Promise<Pick<Loaded, 'pauses' | 'hours'>> {
    if (sending === undefined) return { pauses: [], hours: [] };
    const hours = await this.loadHours(
      runner,
      sending,
      columns(counted, 2, (one) => [one.account, one.provider]),
    );
    const { rows } = await run(runner, standingPauses(this.pauses.selection));
    return { pauses: rows.map((raw) => this.pauses.read(raw)), hours };
  }

  private async loadHours(runner: QueryRunner, sending: 'held' | 'thrown', accounts: string[][]): Promise<SendingHourRow[]> {
    const read = ({ rows }: { readonly rows: Raw[] }) => rows.map((raw) => this.hours.read(raw));
    if (sending === 'thrown') return read(await run(runner, `select ${this.hours.selection} from sending_hour`));
    if (accounts[0]?.length === 0) return [];
    await run(runner, beginHours, accounts);
    return read(await run(runner, loadHours(this.hours.selection), accounts));
  }

  private async storeSending(runner: QueryRunner, set: WorkingSet): Promise<void> {
    const { newPauses, endedPauses, hours } = set.changes;
    if (endedPauses.length > 0) {
      const given = [endedPauses.map(({ id }) => id), endedPauses.map(({ by }) => by), endedPauses.map(({ reason }) => reason)];
      await run(runner, endPauses, [...given, set.now]);
    }
    await this.pauses.insert(runner, newPauses);
    await this.hours.update(
      runner,
      set.hours().filter(({ account, provider }) => hours.has(`${account}:${provider}`)),
    );
  }

  private async store(runner: QueryRunner, want: Want, set: WorkingSet): Promise<void> {
    const { changes } = set;
    const changed = changes.payments.size + changes.operations.size + changes.newOperations.size > 0 || set.disputes.isChanged;
    if (want.unlocked === true && changed) {
      throw new Error('what was loaded without its lock was changed');
    }
    // The database refuses room that is not there whatever the order of these; payments come first because others refer to them.
    await this.payments.update(
      runner,
      [...changes.payments].map((key) => set.payment(key)),
    );
    await this.aliases.insert(runner, changes.newAliases, 'on conflict do nothing');
    for (const { from, to } of changes.moved) {
      await run(runner, moveRefunds, [from, to]);
      await run(runner, moveNames, [from, to]);
    }
    const row = (id: string): RefundRow => {
      const { refund, origin, told } = set.kept(id);
      return { ...refund, command: origin, told };
    };
    await this.refunds.insert(runner, [...changes.newRefunds].map(row));
    await this.refunds.update(runner, [...changes.refunds].map(row));
    await this.providerRefunds.insert(runner, changes.newProviderRefunds);
    await this.disputes.store(runner, set.disputes, set.now);
    await this.commands.insert(runner, changes.commands);
    const operations = (ids: ReadonlySet<string>) =>
      [...ids].flatMap((id) => set.operation(id) ?? []).map((each) => ({ ...each, ordinal: null }));
    await this.operations.update(runner, operations(changes.operations));
    await this.operations.insert(runner, operations(changes.newOperations));
    if (changes.closedLanes.size > 0) await run(runner, promote, [[...changes.closedLanes]]);
    await this.calls.insert(
      runner,
      changes.calls.map(({ trace, ...call }) => ({ ...call, ...trace, ordinal: 0n })),
    );
    await this.deadLetters.insert(
      runner,
      changes.deadLetters.map((letter) => ({ ...letter, ordinal: 0n })),
    );
    await endLetters(runner, set);
    await this.storeSending(runner, set);
    await disposeDeliveries(runner, set);
    if (changes.certainties.length > 0) {
      const { certainties } = changes;
      const given = [certainties.map((one) => one.account), certainties.map((one) => one.provider)];
      await run(runner, countCertainties, [...given, certainties.map((one) => one.seconds)]);
    }
    // Last, so that this transaction has its number before its entries have theirs: see `seal`.
    await this.events.insertBy(
      runner,
      insertEvents,
      changes.log.map((entry) => ({ ...entry, ordinal: 0n })),
    );
  }

  private ring({ changes }: WorkingSet): void {
    if (changes.log.length > 0) this.wake.ring('unsealed');
    if (
      changes.newOperations.size > 0 ||
      changes.closedLanes.size > 0 ||
      changes.operations.size > 0 ||
      changes.endedPauses.length > 0
    )
      this.wake.ring('operations');
  }
}

const isDisputed = ({ refundableAt }: Payment) => refundableAt !== null;

async function timeOf(runner: QueryRunner): Promise<Date> {
  const { rows } = await run<{ now: Date }>(runner, clock);
  const [row] = rows;
  if (row === undefined) throw new Error('the clock does not answer');
  return row.now;
}

async function moveMark(runner: QueryRunner, mark: PartitionMark): Promise<void> {
  const { cluster, group, topic, partition, expected, next } = mark;
  const at = [cluster, group, topic, partition];
  const { rowCount } = await (expected === null
    ? run(runner, beginPartition, [...at, next.toString()])
    : run(runner, movePartition, [...at, expected.toString(), next.toString()]));
  if (rowCount !== 1) throw new Fenced(`${topic}[${partition}] was moved on from offset ${expected} by another consumer`);
}

async function holdersOf(runner: QueryRunner, want: Want): Promise<Map<string, string>> {
  const references = want.references ?? [];
  if (references.length === 0) return new Map();
  const { rows } = await run<{ account: string; reference: string; id: string }>(runner, loadReferences, [
    references.map((one) => one.account),
    references.map((one) => one.reference),
  ]);
  return new Map(rows.map((row) => [`${row.account}:${row.reference}`, refundIdOf(row.id)]));
}

const maybeUuid = (id: string | null) => (id === null ? null : uuidOf(id));

async function disposeDeliveries(runner: QueryRunner, set: WorkingSet): Promise<void> {
  const { deliveries, answeredDeliveries } = set.changes;
  if (deliveries.length > 0) {
    await run(
      runner,
      `update webhook_delivery d set disposition = given.disposition, detail = given.detail, operation_id = given.operation_id,
         refund_id = given.refund_id, dispute_id = given.dispute_id, lease_until = null,
         handled_at = case when given.disposition is null then null else $7::timestamptz end
       from unnest($1::uuid[], $2::text[], $3::text[], $4::uuid[], $5::uuid[], $6::uuid[])
         as given (id, disposition, detail, operation_id, refund_id, dispute_id)
       where d.id = given.id`,
      [
        deliveries.map((each) => each.id),
        deliveries.map((each) => each.disposition),
        deliveries.map((each) => each.detail),
        deliveries.map((each) => each.operationId),
        deliveries.map((each) => maybeUuid(each.refundId)),
        deliveries.map((each) => maybeUuid(each.disputeId)),
        set.now,
      ],
    );
  }
  if (answeredDeliveries.length > 0) {
    await run(
      runner,
      `update webhook_delivery d set disposition = given.disposition, detail = given.detail,
         refund_id = coalesce(d.refund_id, given.refund_id), dispute_id = coalesce(d.dispute_id, given.dispute_id), handled_at = $6
       from unnest($1::uuid[], $2::text[], $3::text[], $4::uuid[], $5::uuid[])
         as given (operation_id, disposition, detail, refund_id, dispute_id)
       where d.operation_id = given.operation_id and d.disposition is null`,
      [
        answeredDeliveries.map((each) => each.operationId),
        answeredDeliveries.map((each) => each.disposition),
        answeredDeliveries.map((each) => each.detail),
        answeredDeliveries.map((each) => maybeUuid(each.refundId)),
        answeredDeliveries.map((each) => maybeUuid(each.disputeId)),
        set.now,
      ],
    );
  }
}

async function endLetters(runner: QueryRunner, { changes: { endedDeadLetters: ended }, now }: WorkingSet): Promise<void> {
  if (ended.length === 0) return;
  await run(runner, endDeadLetters, [
    ended.map(({ id }) => id),
    ended.map(({ end }) => end),
    ended.map(({ endedBy }) => endedBy),
    ended.map(({ endDetail }) => endDetail),
    ended.map(({ refundId }) => maybeUuid(refundId)),
    now,
  ]);
}
