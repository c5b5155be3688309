/* What people and consumers look at. Reads only; nothing here takes a lock, and every list goes by an index and a cursor. */
import type { DataSource } from 'typeorm';
import type { KeptRefund } from '#application/kept';
import type { PartitionHalt } from '#application/event-log';
import type { Operation } from '#application/operations';
import type { Pause } from '#application/sending';
import type { Payment } from '#domain/payment/payment';
import { DisputeViews, type DisputeView } from '#persistence/dispute-views';
import { readHistory, type History } from '#persistence/history';
import { DeadLetterRow, DeliveryRow, OperationRow, PauseRow, PaymentRow, RefundRow, uuidOf } from '#persistence/rows';
import { shareOfRate, standingPauses } from '#persistence/statements';
import { Table, type Raw } from '#persistence/table';
import { conditions, query } from '#persistence/view-queries';

export interface RefundView extends KeptRefund {
  readonly payment: Payment;
}

export interface LimitView {
  readonly account: string;
  readonly provider: string;
  /** A kind of operation, or `all` of the account. */
  readonly kind: string;
  readonly perSecond: number;
  readonly limited: number;
  readonly locked: number;
}

export interface RefundFilter {
  readonly account?: string;
  readonly status?: string;
  readonly attention?: string;
  readonly provider?: string;
  /** Any name of the payment. */
  readonly paymentId?: string;
  /** Any id: ours, the provider's, the payment's, the caller's reference or key. */
  readonly q?: string;
  readonly createdAfter?: Date;
  readonly createdBefore?: Date;
}

export interface Page<T> {
  readonly data: readonly T[];
  /** The ordinal to go on below; null at the end. */
  readonly next: bigint | null;
}

export type RefundHistory = History;

export interface Certainty {
  readonly account: string;
  readonly provider: string;
  /** In seconds; infinite for the last. */
  readonly upTo: number;
  readonly refunds: number;
  readonly seconds: number;
}

type Delivered = Omit<DeliveryRow, 'body'>;

/** Something that a person must look at, since when. */
export type Attended = { readonly at: Date; readonly id: string } & (
  | { readonly kind: 'refund'; readonly refund: RefundView }
  | { readonly kind: 'dispute'; readonly dispute: DisputeView }
  | { readonly kind: 'operation'; readonly operation: Operation }
  | { readonly kind: 'dead_letter'; readonly deadLetter: DeadLetterRow }
  | { readonly kind: 'pause'; readonly pause: Pause }
  | { readonly kind: 'partition'; readonly halt: PartitionHalt }
);

export class Views {
  private readonly refunds: Table<RefundRow>;
  private readonly payments: Table<PaymentRow>;
  private readonly operations: Table<OperationRow>;
  private readonly deliveries: Table<DeliveryRow>;
  private readonly letters: Table<DeadLetterRow>;
  private readonly pausing: Table<PauseRow>;
  private readonly disputes: DisputeViews;

  constructor(private readonly source: DataSource) {
    this.refunds = new Table(source, RefundRow);
    this.payments = new Table(source, PaymentRow);
    this.operations = new Table(source, OperationRow);
    this.deliveries = new Table(source, DeliveryRow);
    this.letters = new Table(source, DeadLetterRow);
    this.pausing = new Table(source, PauseRow);
    this.disputes = new DisputeViews(source);
  }

  async refund(id: string): Promise<RefundView | null> {
    const found = await this.query(`select ${this.refunds.selection} from refund where id = $1`, [uuidOf(id)]);
    const [view] = await this.withPayments(found);
    return view ?? null;
  }

  /** Refunds, newest first. */
  async refundPage(filter: RefundFilter, before: bigint | null, limit: number): Promise<Page<RefundView>> {
    const { where, parameters, add } = conditions();
    if (before !== null) add('refund.ordinal < ?', before.toString());
    if (filter.account !== undefined) add('refund.account = ?', filter.account);
    if (filter.status !== undefined) add('refund.status = ?', filter.status);
    if (filter.attention !== undefined) add('refund.attention = ?', filter.attention);
    if (filter.provider !== undefined) add('refund.provider = ?', filter.provider);
    if (filter.createdAfter !== undefined) add('refund.created_at >= ?', filter.createdAfter);
    if (filter.createdBefore !== undefined) add('refund.created_at < ?', filter.createdBefore);
    if (filter.paymentId !== undefined) {
      add('refund.payment_key in (select payment_key from payment_alias where name = ?)', filter.paymentId);
    }
    if (filter.q !== undefined) {
      add(
        `refund.id in (
           select id from refund where id = ?::uuid
           union select refund_id from provider_refund where id = ?
           union select r.id from payment_alias a join refund r on r.payment_key = a.payment_key where a.name = ?
           union select id from refund where reference = ?
           union select refund_id from command where key = ? and refund_id is not null)`,
        uuidOf(filter.q),
        filter.q,
        filter.q,
        filter.q,
        filter.q,
      );
    }
    const found = await this.query(
      `select ${this.refunds.selection} from refund ${where()} order by refund.ordinal desc limit ${limit + 1}`,
      parameters,
    );
    return page(await this.withPayments(found), limit, ({ refund }) => refund.ordinal);
  }

  async payment(account: string, provider: string, name: string): Promise<Payment | null> {
    const found = await this.query(
      `select ${this.payments.selection} from payment
       where key = (select payment_key from payment_alias where account = $1 and provider = $2 and name = $3)`,
      [account, provider, name],
    );
    const [raw] = found;
    return raw === undefined ? null : this.payments.read(raw);
  }

  /** The refund that a reference stands for. */
  async refundWithReference(account: string, reference: string): Promise<string | null> {
    const [raw] = await this.query(
      `select ${this.refunds.selection} from refund where account = $1 and reference = $2 and status <> 'rejected'`,
      [account, reference],
    );
    return raw === undefined ? null : this.refunds.read(raw).id;
  }

  async refundsOf(paymentKey: string, limit: number): Promise<RefundView[]> {
    const found = await this.query(
      `select ${this.refunds.selection} from refund where payment_key = $1 order by ordinal desc limit ${limit}`,
      [paymentKey],
    );
    return this.withPayments(found);
  }

  /** Everything that led to where a refund stands, and everything that came of it. */
  async history(id: string): Promise<History> {
    const itsPayment = 'payment_key = (select payment_key from refund where id = $1)';
    return readHistory(this.source, id, {
      commands: 'refund_id = $1',
      operations: ['refund_id = $1', `kind = 'payment.read' and ${itsPayment}`],
      calls: ['refund_id = $1', `refund_id is null and dispute_id is null and ${itsPayment}`],
      deliveries: 'refund_id = $1',
    });
  }

  /** Webhook deliveries, newest first, without their bodies. */
  async deliveryPage(
    filter: { disposition?: string; provider?: string },
    before: bigint | null,
    limit: number,
  ): Promise<Page<Delivered>> {
    const { where, parameters, add } = conditions();
    if (before !== null) add('ordinal < ?', before.toString());
    if (filter.disposition !== undefined) add('disposition = ?', filter.disposition);
    if (filter.provider !== undefined) add('provider = ?', filter.provider);
    const found = await this.query(
      `select ${this.deliveries.selection} from webhook_delivery ${where()} order by ordinal desc limit ${limit + 1}`,
      parameters,
    );
    return page(
      found.map((raw) => this.deliveries.read(raw)),
      limit,
      ({ ordinal }) => ordinal,
    );
  }

  async delivery(id: string): Promise<DeliveryRow | null> {
    const [raw] = await this.query(`select ${this.deliveries.selection} from webhook_delivery where id = $1`, [id]);
    return raw === undefined ? null : this.deliveries.read(raw);
  }

  /** Dead letters, newest first. */
  async deadLetterPage(before: bigint | null, limit: number): Promise<Page<DeadLetterRow>> {
    const { where, parameters, add } = conditions();
    if (before !== null) add('ordinal < ?', before.toString());
    const found = await this.query(
      `select ${this.letters.selection} from dead_letter ${where()} order by ordinal desc limit ${limit + 1}`,
      parameters,
    );
    return page(
      found.map((raw) => this.letters.read(raw)),
      limit,
      ({ ordinal }) => ordinal,
    );
  }

  /** What is paused now. */
  async pauses(): Promise<Pause[]> {
    return (await this.query(standingPauses(this.pausing.selection), [])).map((raw) => this.pausing.read(raw));
  }

  /**
   * What needs a person, newest first, behind `before`. Partial orders are merged, each already cut to a page, so that the
   * cost is that of a page whatever there is behind it.
   */
  async attention(before: { readonly at: Date; readonly id: string } | null, limit: number): Promise<Attended[]> {
    const source = (kind: string, table: string, at: string, where: string) =>
      `(select '${kind}' as kind, id, ${at} as at from ${table}
        where ${where} and ($1::timestamptz is null or (${at}, id) < ($1, $2::uuid)) order by ${at} desc, id desc limit ${limit})`;
    const found = await this.query(
      `${source('refund', 'refund', 'updated_at', 'attention is not null')}
       union all ${source('dispute', 'dispute', 'updated_at', 'attention is not null')}
       union all ${source('operation', 'provider_operation', 'coalesce(last_sent_at, created_at)', "state = 'parked'")}
       union all ${source('dead_letter', 'dead_letter', 'at', '"end" is null')}
       union all ${source('pause', 'sending_pause', 'since', 'automatic and ended_at is null')}
       union all ${source('partition', 'partition_halt', 'since', 'true')}
       order by at desc, id desc limit ${limit}`,
      [before?.at ?? null, before?.id ?? null],
    );
    const ids = (kind: string) => found.filter((raw) => raw['kind'] === kind).map((raw) => String(raw['id']));
    const rows = (selection: string, table: string, kind: string) =>
      this.query(`select ${selection} from ${table} where id = any($1::uuid[])`, [ids(kind)]);
    const [refunds, disputes, operations, letters, pauses, halts] = await Promise.all([
      rows(this.refunds.selection, 'refund', 'refund').then((raw) => this.withPayments(raw)),
      this.disputes.withIds(ids('dispute')),
      rows(this.operations.selection, 'provider_operation', 'operation'),
      rows(this.letters.selection, 'dead_letter', 'dead_letter'),
      rows(this.pausing.selection, 'sending_pause', 'pause'),
      rows('id, cluster, group_id as "group", topic, partition, reason, since', 'partition_halt', 'partition'),
    ]);
    const byId = new Map<string, (at: Date, id: string) => Attended>();
    for (const view of refunds) byId.set(uuidOf(view.refund.id), (at, id) => ({ kind: 'refund', at, id, refund: view }));
    for (const view of disputes) byId.set(uuidOf(view.dispute.id), (at, id) => ({ kind: 'dispute', at, id, dispute: view }));
    for (const raw of operations) {
      const operation = this.operations.read(raw);
      byId.set(operation.id, (at, id) => ({ kind: 'operation', at, id, operation }));
    }
    for (const raw of letters) {
      const deadLetter = this.letters.read(raw);
      byId.set(deadLetter.id, (at, id) => ({ kind: 'dead_letter', at, id, deadLetter }));
    }
    for (const raw of pauses) {
      const pause = this.pausing.read(raw);
      byId.set(pause.id, (at, id) => ({ kind: 'pause', at, id, pause }));
    }
    for (const raw of halts) {
      const halt = raw as unknown as PartitionHalt;
      byId.set(halt.id, (at, id) => ({ kind: 'partition', at, id, halt }));
    }
    return found.flatMap((raw) => byId.get(String(raw['id']))?.(raw['at'] as Date, String(raw['id'])) ?? []);
  }

  /** Moves the service's clock, for tests and simulators; returns its new time. */
  async advanceClock(seconds: number): Promise<Date> {
    await this.query(`update clock set advanced = advanced + $1 * interval '1 second'`, [seconds]);
    const [raw] = await this.query('select service_now() as now', []);
    return raw?.['now'] as Date;
  }

  /** The service's time. */
  async now(): Promise<Date> {
    const [raw] = await this.query('select service_now() as now', []);
    return raw?.['now'] as Date;
  }

  /** Whether the database answers and has every migration that this version knows. */
  async isReady(): Promise<boolean> {
    const [there] = await this.query(`select to_regclass('migration') is not null as there`, []);
    if (there?.['there'] !== true) return false;
    const done = new Set((await this.query('select name from migration', [])).map((raw) => raw['name']));
    return this.source.migrations.every(({ name }) => done.has(name));
  }

  /** How much waits, for the metrics. Partial indexes hold just that. */
  async backlog(): Promise<Readonly<Record<string, number>>> {
    const [raw] = await this.query(
      `with clocked as materialized (select service_now() as now)
       select
         (select count(*) from (select 1 from provider_operation where head and state = 'open' and run_at <= service_now() limit 10000) due) as operations_due,
         (select count(*) from (select 1 from provider_operation where state = 'parked' limit 10000) parked) as operations_parked,
         (select count(*) from (select 1 from webhook_delivery where disposition is null and operation_id is null limit 10000) pending) as deliveries_pending,
         (select count(*) from (select 1 from refund where attention is not null limit 10000) looked) as refunds_with_attention,
         (select count(*) from (select 1 from refund where status = 'outcome_unknown' limit 10000) lost) as refunds_unknown,
         (select count(*) from (select 1 from dispute where status in ('needs_response', 'under_review', 'unknown') limit 10000) awaited) as disputes_open,
         (select count(*) from clocked, lateral (
            select 1 from dispute
            where status in ('needs_response', 'under_review', 'unknown') and status = 'needs_response'
              and coalesce(due_by, 'infinity') < clocked.now + interval '72 hours' limit 10000) due) as disputes_due_soon,
         (select count(*) from (select 1 from dispute where attention is not null limit 10000) attended) as disputes_with_attention,
         (select count(*) from clocked, lateral (select 1 from dispute where next_alarm_at <= clocked.now limit 10000) late) as dispute_alarms_due,
         (select count(*) from (select 1 from dead_letter where "end" is null limit 10000) waiting) as dead_letters,
         (select count(*) from sending_pause where ended_at is null) as sending_paused,
         (select position from event_seal) as log_position`,
      [],
    );
    return Object.fromEntries(Object.entries(raw ?? {}).map(([name, value]) => [name, Number(value)]));
  }

  /** How long unknown outcomes took to become known: per account and provider, how many within each bound and their seconds in all. */
  async certainties(): Promise<readonly Certainty[]> {
    const found = await this.query('select account, provider, up_to, refunds, seconds from certainty order by 1, 2, 3', []);
    return found.map((raw) => ({
      account: String(raw['account']),
      provider: String(raw['provider']),
      upTo: Number(raw['up_to']),
      refunds: Number(raw['refunds']),
      seconds: Number(raw['seconds']),
    }));
  }

  /** How fast each endpoint of each account may be called now, and how often the provider turned calls away since the beginning. */
  async limits(): Promise<readonly LimitView[]> {
    const found = await this.query(
      `select account, provider, kind, rate * ${shareOfRate} as per_second, limited, locked from provider_limit`,
      [],
    );
    return found.map((raw) => ({
      account: String(raw['account']),
      provider: String(raw['provider']),
      kind: String(raw['kind']),
      perSecond: Number(raw['per_second']),
      limited: Number(raw['limited']),
      locked: Number(raw['locked']),
    }));
  }

  /** How far each topic has been relayed. */
  async cursors(): Promise<ReadonlyMap<string, number>> {
    const found = await this.query('select topic, position from topic_cursor', []);
    return new Map(found.map((raw) => [String(raw['topic']), Number(raw['position'])]));
  }

  private async withPayments(found: readonly Raw[]): Promise<RefundView[]> {
    if (found.length === 0) return [];
    const kept = found.map((raw) => this.refunds.read(raw));
    const keys = [...new Set(kept.map((row) => row.paymentKey))];
    const paid = await this.query(`select ${this.payments.selection} from payment where key = any($1::uuid[])`, [keys]);
    const payments = new Map(paid.map((raw) => this.payments.read(raw)).map((payment) => [payment.key, payment]));
    return kept.flatMap(({ command, told, ...refund }) => {
      const payment = payments.get(refund.paymentKey);
      return payment === undefined ? [] : [{ refund, origin: command, told, payment }];
    });
  }

  private query(statement: string, parameters: readonly unknown[]): Promise<Raw[]> {
    return query(this.source, statement, parameters);
  }
}

function page<T>(found: readonly T[], limit: number, ordinal: (one: T) => bigint | null): Page<T> {
  const data = found.slice(0, limit);
  const last = data.at(-1);
  return { data, next: found.length > limit && last !== undefined ? ordinal(last) : null };
}
