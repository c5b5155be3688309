/* What people look at of disputes. Reads only; every list goes by an index and a cursor. */
import type { DataSource } from 'typeorm';
import type { PaidCharge } from '#application/kept';
import type { Dispute, FraudWarning } from '#domain/dispute/dispute';
import type { Draft, EvidenceFile, Packet } from '#domain/dispute/evidence';
import type { Payment } from '#domain/payment/payment';
import { meaningOf } from '#persistence/database';
import { DisputeTables, fileOf } from '#persistence/dispute-tables';
import { readHistory, type History } from '#persistence/history';
import { DisputeRow, EvidenceFileRow, PaymentRow, uuidOf, WarningRow } from '#persistence/rows';
import { Table, type Raw } from '#persistence/table';
import { conditions, query } from '#persistence/view-queries';

export interface DisputeView {
  readonly dispute: Dispute;
  readonly payment: Payment;
}

export interface DisputeFilter {
  readonly account?: string;
  readonly status?: string;
  readonly stage?: string;
  readonly attention?: string;
  readonly reason?: string;
  readonly dueBefore?: Date;
  /** Any name of the payment. */
  readonly paymentId?: string;
  /** Any id: ours, the provider's, the payment's, a command's key. */
  readonly q?: string;
}

/** A place in the order of deadlines. */
export type DisputePlace = Pick<Dispute, 'dueBy' | 'id'>;

export interface DisputePage {
  readonly data: readonly DisputeView[];
  /** The place to go on behind; null at the end. */
  readonly next: DisputePlace | null;
}

export interface EvidenceView {
  /** Null while nobody has begun one. */
  readonly draft: Draft | null;
  /** The first round first. */
  readonly packets: readonly Packet[];
  /** Every file there was, those that were taken out as well, in order of arrival. */
  readonly files: readonly EvidenceFile[];
  /** When the earlier payments were paid that the draft names, as far as that is known. */
  readonly charges: readonly PaidCharge[];
}

export interface FileView {
  readonly file: EvidenceFile;
  readonly bytes: Buffer | null;
}

export interface AmountAtRisk {
  readonly account: string;
  readonly provider: string;
  readonly currency: string;
  /** Minor units of all of it. */
  readonly amount: number;
  /** Of it, what nobody has decided about although it is due soon. */
  readonly undecided: number;
}

const order = `coalesce(dispute.due_by, 'infinity'), dispute.id`;

export class DisputeViews {
  private readonly tables: DisputeTables;
  private readonly disputes: Table<DisputeRow>;
  private readonly payments: Table<PaymentRow>;
  private readonly files: Table<EvidenceFileRow>;
  private readonly warnings: Table<WarningRow>;

  constructor(private readonly source: DataSource) {
    this.tables = new DisputeTables(source);
    this.disputes = new Table(source, DisputeRow);
    this.payments = new Table(source, PaymentRow);
    this.files = new Table(source, EvidenceFileRow);
    this.warnings = new Table(source, WarningRow);
  }

  /** By our id or the provider's. */
  async dispute(id: string): Promise<DisputeView | null> {
    const isOurs = /^dp_[0-9a-f]{32}$/.test(id);
    const found = await query(
      this.source,
      `select ${this.disputes.selection} from dispute where ${isOurs ? 'id' : 'provider_dispute_id'} = $1 order by ordinal limit 1`,
      [isOurs ? uuidOf(id) : id],
    );
    const [view] = await this.withPayments(found);
    return view ?? null;
  }

  /** Disputes, the one that is due first in front; those without a deadline come last. */
  async disputePage(filter: DisputeFilter, after: DisputePlace | null, limit: number): Promise<DisputePage> {
    const { where, parameters, add } = conditions();
    if (after !== null) add(`(${order}) > (coalesce(?::timestamptz, 'infinity'), ?::uuid)`, after.dueBy, uuidOf(after.id));
    if (filter.account !== undefined) add('dispute.account = ?', filter.account);
    if (filter.status !== undefined) add('dispute.status = ?', filter.status);
    if (filter.stage !== undefined) add('dispute.stage = ?', filter.stage);
    if (filter.attention !== undefined) add('dispute.attention = ?', filter.attention);
    if (filter.reason !== undefined) add('dispute.reason = ?', filter.reason);
    if (filter.dueBefore !== undefined) add(`coalesce(dispute.due_by, 'infinity') < ?`, filter.dueBefore);
    if (filter.paymentId !== undefined) {
      const keys = 'select payment_key from payment_alias where name = ?';
      add(`dispute.payment_key = any(array(${keys}))`, filter.paymentId);
    }
    if (filter.q !== undefined) {
      const { q } = filter;
      add(
        `dispute.id = any(array(
           select ?::uuid
           union all select id from dispute where provider_dispute_id = ?
           union all select d.id from payment_alias a, lateral (select id from dispute where payment_key = a.payment_key offset 0) d where a.name = ?
           union all select dispute_id from command where key = ? and dispute_id is not null))`,
        uuidOf(q),
        q,
        q,
        q,
      );
    }
    const found = await query(
      this.source,
      `select ${this.disputes.selection} from dispute ${where()} order by ${order} limit ${limit + 1}`,
      parameters,
    );
    const data = (await this.withPayments(found)).slice(0, limit);
    const last = data.at(-1)?.dispute;
    return { data, next: found.length > limit && last !== undefined ? { dueBy: last.dueBy, id: last.id } : null };
  }

  async disputesOf(paymentKey: string, limit: number): Promise<DisputeView[]> {
    const found = await query(
      this.source,
      `select ${this.disputes.selection} from dispute where payment_key = $1 order by ordinal desc limit ${limit}`,
      [paymentKey],
    );
    return this.withPayments(found);
  }

  /** Some disputes of an account, of the latest deadlines: what disputes cost of late can be read off them. */
  async lateInOrder(account: string, limit: number): Promise<Dispute[]> {
    const last = `coalesce(dispute.due_by, 'infinity') desc, dispute.id desc`;
    const found = await query(
      this.source,
      `select ${this.disputes.selection} from dispute where account = $1 order by ${last} limit ${limit}`,
      [account],
    );
    return found.map((raw) => this.disputes.read(raw));
  }

  /** What open chargebacks hold, and what of it is due within 72 hours with nothing decided; by account, provider and currency. */
  async atRisk(): Promise<readonly AmountAtRisk[]> {
    const found = await query(
      this.source,
      `with clocked as materialized (select service_now() as now),
            awaited as (
              select account, provider, currency, amount, due_by, status, decision from dispute
              where status in ('needs_response', 'under_review', 'unknown') and stage <> 'inquiry'
              order by coalesce(due_by, 'infinity') limit 10000)
       select account, provider, currency, sum(amount) as amount,
         coalesce(sum(amount) filter (where status = 'needs_response' and decision is null and due_by < clocked.now + interval '72 hours'), 0) as undecided
       from awaited, clocked group by 1, 2, 3`,
      [],
    );
    return found.map((raw) => ({
      account: String(raw['account']),
      provider: String(raw['provider']),
      currency: String(raw['currency']),
      amount: Number(raw['amount']),
      undecided: Number(raw['undecided']),
    }));
  }

  /** Warnings of fraud that came for a payment, oldest first. */
  async warningsOf(paymentKey: string, limit: number): Promise<FraudWarning[]> {
    const found = await query(
      this.source,
      `select ${this.warnings.selection} from fraud_warning where payment_key = $1 order by opened_at, id limit ${limit}`,
      [paymentKey],
    );
    return found.map((raw) => this.warnings.read(raw));
  }

  /** As it stood at one moment: whoever looks at a version sees the files of that version. */
  async evidence(disputeId: string): Promise<EvidenceView> {
    const runner = this.source.createQueryRunner();
    try {
      await runner.startTransaction('REPEATABLE READ');
      const { drafts, packets, files, charges } = await this.tables.evidence(runner, [disputeId]);
      await runner.commitTransaction();
      return { draft: drafts[0] ?? null, packets, files, charges };
    } catch (error) {
      if (runner.isTransactionActive) await runner.rollbackTransaction().catch(() => undefined);
      throw meaningOf(error);
    } finally {
      await runner.release().catch(() => undefined);
    }
  }

  /** A file of a dispute, also one that was taken out, with its bytes; those are null once they were erased. */
  async evidenceFile(disputeId: string, fileId: string): Promise<FileView | null> {
    const [raw] = await query(
      this.source,
      `select ${this.files.selection}, bytes from evidence_file where id = $1 and dispute_id = $2`,
      [uuidOf(fileId), uuidOf(disputeId)],
    );
    return raw === undefined ? null : { file: fileOf(this.files.read(raw)), bytes: raw['bytes'] as Buffer | null };
  }

  /** Everything that led to where a dispute stands, and everything that came of it. */
  async disputeHistory(id: string): Promise<History> {
    return readHistory(this.source, id, {
      commands: 'dispute_id = $1',
      operations: ['dispute_id = $1'],
      calls: ['dispute_id = $1'],
      deliveries: 'dispute_id = $1',
    });
  }

  /** Rows of disputes with the payments they are about, in the same order. */
  async withPayments(found: readonly Raw[]): Promise<DisputeView[]> {
    if (found.length === 0) return [];
    const disputes = found.map((raw) => this.disputes.read(raw));
    const keys = [...new Set(disputes.map(({ paymentKey }) => paymentKey))];
    const paid = await query(this.source, `select ${this.payments.selection} from payment where key = any($1::uuid[])`, [keys]);
    const payments = new Map(paid.map((raw) => this.payments.read(raw)).map((payment) => [payment.key, payment]));
    return disputes.flatMap((dispute) => {
      const payment = payments.get(dispute.paymentKey);
      return payment === undefined ? [] : [{ dispute, payment }];
    });
  }

  /** By ids as the database has them. */
  async withIds(uuids: readonly string[]): Promise<DisputeView[]> {
    const statement = `select ${this.disputes.selection} from dispute where id = any($1::uuid[])`;
    return this.withPayments(await query(this.source, statement, [uuids]));
  }
}
