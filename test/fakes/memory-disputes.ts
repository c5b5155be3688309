/* The disputes of the stores in memory: what is kept of them, and who asks for it beside the book. */
import type { DisputeSet, LoadedDisputes } from '#application/dispute-set';
import { DisputeWatch } from '#application/dispute-watch';
import { EvidenceFiles } from '#application/evidence-files';
import type { NewEvidenceFile, PaidCharge, ProviderDisputeName, Want } from '#application/kept';
import type { Dispute, FraudWarning } from '#domain/dispute/dispute';
import { chargesIn, type Draft, type EvidenceFile, type Packet } from '#domain/dispute/evidence';
import { at, Rows } from './memory-rows.js';

export class MemoryDisputes {
  readonly disputes: Rows<Dispute>;
  /** By what their provider calls them. */
  private readonly ids: Rows<string>;
  readonly drafts: Rows<Omit<Draft, 'files'>>;
  private readonly files: Rows<NewEvidenceFile>;
  readonly packets: Rows<Packet>;
  readonly warnings: Rows<FraudWarning>;

  constructor(
    undo: (() => void)[],
    private readonly nextOrdinal: () => bigint,
    private readonly paidAt: (account: string, provider: string, name: string) => Date | null,
  ) {
    this.disputes = new Rows(undo);
    this.ids = new Rows(undo);
    this.drafts = new Rows(undo);
    this.files = new Rows(undo);
    this.packets = new Rows(undo);
    this.warnings = new Rows(undo);
  }

  /** The payments of the disputes and warnings that are wanted. */
  paymentKeys(want: Want): string[] {
    const ids = this.idsIn(want);
    return [...[...ids].flatMap((id) => this.disputes.get(id) ?? []), ...this.warningsIn(want)].map((each) => each.paymentKey);
  }

  load(want: Want, keys: ReadonlySet<string>, ofPayments: boolean): LoadedDisputes {
    const ids = this.idsIn(want);
    const evidence = new Set(want.evidence);
    return {
      disputes: this.disputes.where((dispute) => ids.has(dispute.id) || (ofPayments && keys.has(dispute.paymentKey))),
      warnings: this.warningsIn(want),
      drafts: this.drafts.where(({ disputeId }) => evidence.has(disputeId)).map((draft) => this.withFiles(draft)),
      packets: this.packets.where(({ disputeId }) => evidence.has(disputeId)).map((packet) => this.asAnswered(packet)),
      charges: this.drafts.where(({ disputeId }) => evidence.has(disputeId)).flatMap((draft) => this.charges(draft)),
    };
  }

  private charges({ disputeId, content }: Pick<Draft, 'disputeId' | 'content'>): PaidCharge[] {
    const dispute = this.disputes.get(disputeId);
    return chargesIn(content).flatMap((name) => {
      const paidAt = dispute === undefined ? null : this.paidAt(dispute.account, dispute.provider, name);
      return paidAt === null ? [] : [{ disputeId, name, paidAt }];
    });
  }

  store(set: DisputeSet, now: Date): void {
    const { changes } = set;
    for (const id of changes.newDisputes) {
      const dispute = set.kept(id);
      this.ids.add(at(dispute.account, dispute.provider, dispute.providerDisputeId), id);
      this.disputes.add(id, { ...dispute, ordinal: this.nextOrdinal() });
    }
    for (const id of changes.disputes) this.disputes.put(id, set.kept(id));
    for (const { files: _, ...draft } of set.draftsOf(changes.newDrafts)) this.drafts.add(draft.disputeId, draft);
    for (const { files: _, ...draft } of set.draftsOf(changes.drafts)) this.drafts.put(draft.disputeId, draft);
    for (const file of changes.newFiles) this.files.add(file.id, file);
    for (const id of changes.removedFiles) this.changeFile(id, ({ removedAt }) => ({ removedAt: removedAt ?? now }));
    for (const { id, ...answer } of changes.answeredFiles) this.changeFile(id, () => answer);
    for (const packet of set.packetsOf(changes.newPackets)) this.packets.add(keyOf(packet), packet);
    for (const packet of set.packetsOf(changes.packets)) this.packets.put(keyOf(packet), packet);
    for (const warning of set.warningsOf(changes.newWarnings)) this.warnings.add(nameOf(warning), warning);
    for (const warning of set.warningsOf(changes.warnings)) this.warnings.put(nameOf(warning), warning);
  }

  /** What hangs on a name that turned out to be another payment's. */
  move(from: string, to: string): void {
    for (const dispute of this.disputes.where(({ paymentKey }) => paymentKey === from)) {
      this.disputes.put(dispute.id, { ...dispute, paymentKey: to });
    }
    for (const warning of this.warnings.where(({ paymentKey }) => paymentKey === from)) {
      this.warnings.put(nameOf(warning), { ...warning, paymentKey: to });
    }
  }

  bytes(fileId: string): Buffer | null {
    return this.files.get(fileId)?.bytes ?? null;
  }

  private idsIn({ disputes = [], evidence = [], providerDisputes = [] }: Want): ReadonlySet<string> {
    return new Set([
      ...disputes,
      ...evidence,
      ...providerDisputes.flatMap((name) => this.ids.get(at(name.account, name.provider, name.id)) ?? []),
    ]);
  }

  private warningsIn({ warnings = [] }: Want): FraudWarning[] {
    const names = new Set(warnings.map(({ account, provider, id }: ProviderDisputeName) => at(account, provider, id)));
    return this.warnings.where((warning) => names.has(nameOf(warning)));
  }

  private withFiles(draft: Omit<Draft, 'files'>): Draft {
    const files = this.files.where(({ disputeId, removedAt }) => disputeId === draft.disputeId && removedAt === null);
    return { ...draft, files: files.map(known) };
  }

  /** What the provider said to a file is kept with the file alone. */
  private asAnswered(packet: Packet): Packet {
    const answered = (file: EvidenceFile): EvidenceFile => {
      const { providerFileId, refusedAs } = this.files.get(file.id) ?? file;
      return { ...file, providerFileId, refusedAs };
    };
    return { ...packet, files: packet.files.map(answered) };
  }

  private changeFile(id: string, change: (file: NewEvidenceFile) => Partial<NewEvidenceFile>): void {
    const file = this.files.get(id);
    if (file !== undefined) this.files.put(id, { ...file, ...change(file) });
  }
}

/** What is known about a file, without its bytes. */
function known(file: NewEvidenceFile): EvidenceFile {
  const { id, disputeId, place, name, type, size, pages, digest, providerFileId, refusedAs, by, addedAt, removedAt } = file;
  return { id, disputeId, place, name, type, size, pages, digest, providerFileId, refusedAs, by, addedAt, removedAt };
}

const keyOf = ({ disputeId, round, version }: Packet) => at(disputeId, round, version);
const nameOf = ({ account, provider, providerWarningId }: FraudWarning) => at(account, provider, providerWarningId);

export class MemoryEvidenceFiles extends EvidenceFiles {
  constructor(private readonly disputes: MemoryDisputes) {
    super();
  }

  async bytes(fileId: string): Promise<Buffer | null> {
    return this.disputes.bytes(fileId);
  }
}

export class MemoryDisputeWatch extends DisputeWatch {
  constructor(private readonly stores: { readonly disputes: MemoryDisputes; readonly now: Date }) {
    super();
  }

  async due(limit: number): Promise<string[]> {
    const { disputes, now } = this.stores;
    return disputes.disputes
      .all()
      .flatMap(({ id, nextAlarmAt }) => (nextAlarmAt !== null && nextAlarmAt <= now ? [{ id, at: nextAlarmAt.getTime() }] : []))
      .sort((a, b) => a.at - b.at || (a.id < b.id ? -1 : 1))
      .slice(0, limit)
      .map(({ id }) => id);
  }
}
