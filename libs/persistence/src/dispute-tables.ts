import type { DataSource, QueryRunner } from 'typeorm';
import type { DisputeSet, LoadedDisputes } from '#application/dispute-set';
import { Conflict } from '#application/errors';
import type { PaidCharge, Want } from '#application/kept';
import type { Dispute, FraudWarning } from '#domain/dispute/dispute';
import { chargesIn, type Draft, type EvidenceFile, type Packet } from '#domain/dispute/evidence';
import { disputeIds, DisputeRow, DraftRow, EvidenceFileRow, PacketRow, uuidOf, WarningRow } from '#persistence/rows';
import {
  findDisputedPayments,
  loadDisputes,
  loadDrafts,
  loadFiles,
  loadPackets,
  loadWarnings,
  noteUploads,
  removeFiles,
  whenPaid,
} from '#persistence/statements';
import { columns, run, Table } from '#persistence/table';

/** What is put together and was sent for disputes; and every file of theirs, those that were taken out as well. */
export interface KeptEvidence {
  readonly drafts: readonly Draft[];
  readonly packets: readonly Packet[];
  readonly files: readonly EvidenceFile[];
  /** Of the earlier payments that the drafts name. */
  readonly charges: readonly PaidCharge[];
}

/** What the book keeps of disputes. A transaction that wants none and changes none runs none of these statements. */
export class DisputeTables {
  private readonly disputes: Table<DisputeRow>;
  private readonly drafts: Table<DraftRow>;
  private readonly files: Table<EvidenceFileRow>;
  private readonly packets: Table<PacketRow>;
  private readonly warnings: Table<WarningRow>;

  constructor(source: DataSource) {
    this.disputes = new Table(source, DisputeRow);
    this.drafts = new Table(source, DraftRow);
    this.files = new Table(source, EvidenceFileRow);
    this.packets = new Table(source, PacketRow);
    this.warnings = new Table(source, WarningRow);
  }

  /** The payments of the disputes and warnings that are wanted. */
  async paymentKeys(runner: QueryRunner, want: Want): Promise<string[]> {
    const ids = idsIn(want);
    if (ids.length === 0 && (want.providerDisputes ?? []).length === 0 && (want.warnings ?? []).length === 0) return [];
    const given = [ids, ...named(want.providerDisputes), ...named(want.warnings)];
    const { rows } = await run<{ payment_key: string }>(runner, findDisputedPayments, given);
    return rows.map((row) => row.payment_key);
  }

  /** Everything wanted of disputes; the payments with these keys are locked. */
  async load(runner: QueryRunner, want: Want, locked: ReadonlySet<string>, ofPayments: boolean): Promise<LoadedDisputes> {
    const disputes = await this.loadDisputes(runner, want, [...locked], ofPayments);
    const warnings = await this.loadWarnings(runner, want);
    for (const { paymentKey } of [...disputes, ...warnings]) {
      if (!locked.has(paymentKey)) throw new Conflict('a dispute has moved to another payment');
    }
    const { drafts, packets, charges } = await this.evidence(runner, want.evidence ?? []);
    return { disputes, warnings, drafts, packets, charges };
  }

  async evidence(runner: QueryRunner, disputeIds: readonly string[]): Promise<KeptEvidence> {
    if (disputeIds.length === 0) return { drafts: [], packets: [], files: [], charges: [] };
    const ids = [disputeIds.map(uuidOf)];
    const files = (await run(runner, loadFiles(this.files.selection), ids)).rows.map((raw) => fileOf(this.files.read(raw)));
    const drafts = (await run(runner, loadDrafts(this.drafts.selection), ids)).rows.map((raw) => this.drafts.read(raw));
    const packets = (await run(runner, loadPackets(this.packets.selection), ids)).rows.map((raw) => this.packets.read(raw));
    const kept = new Map(files.map((file) => [file.id, file]));
    return {
      files,
      charges: await this.charges(runner, drafts),
      drafts: drafts.map((draft) => ({
        ...draft,
        files: files.filter(({ disputeId, removedAt }) => disputeId === draft.disputeId && removedAt === null),
      })),
      packets: packets.map((packet) => ({
        ...packet,
        files: packet.files.map((file) => asAnswered(file, kept.get(file.id))),
      })),
    };
  }

  async store(runner: QueryRunner, set: DisputeSet, now: Date): Promise<void> {
    const { changes } = set;
    const rows = (ids: ReadonlySet<string>) => [...ids].map((id) => set.kept(id));
    await this.disputes.insert(runner, rows(changes.newDisputes));
    await this.disputes.update(runner, rows(changes.disputes));
    await this.drafts.insert(runner, set.draftsOf(changes.newDrafts));
    await this.drafts.update(runner, set.draftsOf(changes.drafts));
    await this.files.insert(
      runner,
      changes.newFiles.map((file) => ({ ...file, ordinal: 0n })),
    );
    if (changes.removedFiles.length > 0) await run(runner, removeFiles, [changes.removedFiles.map(uuidOf), now]);
    if (changes.answeredFiles.length > 0) {
      const { answeredFiles: all } = changes;
      const ids = all.map(({ id }) => uuidOf(id));
      await run(runner, noteUploads, [ids, all.map((each) => each.providerFileId), all.map((each) => each.refusedAs)]);
    }
    await this.packets.insert(runner, set.packetsOf(changes.newPackets));
    await this.packets.update(runner, set.packetsOf(changes.packets));
    await this.warnings.insert(runner, set.warningsOf(changes.newWarnings));
    await this.warnings.update(runner, set.warningsOf(changes.warnings));
  }

  private async loadDisputes(runner: QueryRunner, want: Want, keys: readonly string[], ofPayments: boolean): Promise<Dispute[]> {
    const ids = idsIn(want);
    if (ids.length === 0 && (want.providerDisputes ?? []).length === 0 && !ofPayments) return [];
    const given = [ids, ...named(want.providerDisputes), keys, ofPayments];
    const { rows } = await run(runner, loadDisputes(this.disputes.selection), given);
    return rows.map((raw) => this.disputes.read(raw));
  }

  private async charges(runner: QueryRunner, drafts: readonly Pick<Draft, 'disputeId' | 'content'>[]): Promise<PaidCharge[]> {
    const named = drafts.flatMap(({ disputeId, content }) => chargesIn(content).map((name) => ({ disputeId, name })));
    if (named.length === 0) return [];
    const given = [named.map(({ disputeId }) => uuidOf(disputeId)), named.map(({ name }) => name)];
    const { rows } = await run<{ dispute_id: string; name: string; paid_at: Date }>(runner, whenPaid, given);
    return rows.map((row) => ({ disputeId: String(disputeIds.from(row.dispute_id)), name: row.name, paidAt: row.paid_at }));
  }

  private async loadWarnings(runner: QueryRunner, { warnings = [] }: Want): Promise<FraudWarning[]> {
    if (warnings.length === 0) return [];
    const { rows } = await run(runner, loadWarnings(this.warnings.selection), named(warnings));
    return rows.map((raw) => this.warnings.read(raw));
  }
}

/** What the provider said to a file is kept with the file alone. */
function asAnswered(file: EvidenceFile, kept: EvidenceFile | undefined): EvidenceFile {
  const { providerFileId, refusedAs } = kept ?? file;
  return { ...file, providerFileId, refusedAs };
}

/** What is known about a file, without its bytes. */
export function fileOf(row: EvidenceFileRow): EvidenceFile {
  const { id, disputeId, place, name, type, size, pages, digest, providerFileId, refusedAs, by, addedAt, removedAt } = row;
  return { id, disputeId, place, name, type, size, pages, digest, providerFileId, refusedAs, by, addedAt, removedAt };
}

const idsIn = ({ disputes = [], evidence = [] }: Want) => [...disputes, ...evidence].map(uuidOf);

const named = (all: Want['warnings'] = []) => columns(all, 3, (one) => [one.account, one.provider, one.id]);
