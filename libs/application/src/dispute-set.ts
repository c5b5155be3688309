/* The disputes of a working set: what was loaded of them, as it stands after each decision, and what of it is to be stored. */
import type { Cause, NewEvidenceFile, PaidCharge, ProviderDisputeName } from '#application/kept';
import { accountDispute, effectOn, type Payment } from '#domain/payment/payment';
import { evolve, type Dispute, type DisputeEvent, type DisputeEventType, type FraudWarning } from '#domain/dispute/dispute';
import type { Draft, EvidenceFile, Packet } from '#domain/dispute/evidence';

/** What disputes need of the set around them. */
export interface Around {
  readonly now: Date;
  payment(key: string): Payment;
  setPayment(payment: Payment): void;
  tell(type: DisputeEventType, dispute: Dispute, previousStatus: Dispute['status'] | null, cause: Cause): void;
  tellWarning(warning: FraudWarning, cause: Cause): void;
}

export interface LoadedDisputes {
  readonly disputes: readonly Dispute[];
  readonly drafts: readonly Draft[];
  readonly packets: readonly Packet[];
  readonly warnings: readonly FraudWarning[];
  /** Of the earlier payments that the drafts name. They come without their locks. */
  readonly charges: readonly PaidCharge[];
}

export class DisputeSet {
  private readonly disputes = new Map<string, Dispute>();
  private readonly byProviderId = new Map<string, string>();
  private readonly drafts = new Map<string, Draft>();
  private readonly packets = new Map<string, Packet>();
  private readonly warnings = new Map<string, FraudWarning>();
  private readonly charges: readonly PaidCharge[];
  /** What is to be stored. */
  readonly changes = {
    newDisputes: new Set<string>(),
    disputes: new Set<string>(),
    newDrafts: new Set<string>(),
    drafts: new Set<string>(),
    newFiles: [] as NewEvidenceFile[],
    removedFiles: [] as string[],
    /** Files that the provider has taken now, or never will. */
    answeredFiles: [] as Pick<EvidenceFile, 'id' | 'providerFileId' | 'refusedAs'>[],
    newPackets: new Set<string>(),
    packets: new Set<string>(),
    newWarnings: new Set<string>(),
    warnings: new Set<string>(),
  };

  constructor(
    loaded: LoadedDisputes,
    private readonly around: Around,
  ) {
    for (const dispute of loaded.disputes) this.keep(dispute);
    for (const draft of loaded.drafts) this.drafts.set(draft.disputeId, draft);
    for (const packet of loaded.packets) this.packets.set(packetKey(packet), packet);
    this.charges = loaded.charges;
    for (const warning of loaded.warnings) this.warnings.set(nameOf(warning, warning.providerWarningId), warning);
  }

  /** Whether there is anything to store. */
  get isChanged(): boolean {
    return Object.values(this.changes).some((each) => ('size' in each ? each.size : each.length) > 0);
  }

  get(id: string): Dispute | undefined {
    return this.disputes.get(id);
  }

  /** The dispute as it is to be stored. */
  kept(id: string): Dispute {
    const dispute = this.disputes.get(id);
    if (dispute === undefined) throw new Error(`dispute ${id} was not loaded`);
    return dispute;
  }

  called(name: ProviderDisputeName): Dispute | undefined {
    return this.disputes.get(this.byProviderId.get(nameOf(name, name.id)) ?? '');
  }

  ofPayment(paymentKey: string): Dispute[] {
    return [...this.disputes.values()].filter((dispute) => dispute.paymentKey === paymentKey);
  }

  draft(disputeId: string): Draft {
    const draft = this.drafts.get(disputeId);
    if (draft === undefined) throw new Error(`the evidence of dispute ${disputeId} was not loaded`);
    return draft;
  }

  hasDraft(disputeId: string): boolean {
    return this.drafts.has(disputeId);
  }

  /** What was or is to be sent in a round of a dispute. */
  packet(disputeId: string, round: number, version: number): Packet | undefined {
    return this.packets.get(packetKey({ disputeId, round, version }));
  }

  /** When earlier payments were paid that its draft named when it was loaded. */
  paidCharges(disputeId: string): readonly PaidCharge[] {
    return this.charges.filter((charge) => charge.disputeId === disputeId);
  }

  /** All that names files of a dispute: its draft, and its packets. */
  holdersOf(disputeId: string): (Draft | Packet)[] {
    return [this.draft(disputeId), ...this.packetsOfDispute(disputeId)];
  }

  packetsOfDispute(disputeId: string): Packet[] {
    return [...this.packets.values()].filter((packet) => packet.disputeId === disputeId);
  }

  warning(name: ProviderDisputeName): FraudWarning | undefined {
    return this.warnings.get(nameOf(name, name.id));
  }

  /** Adds a dispute that was heard of for the first time, and tells so; then whatever else it shows. */
  add(dispute: Dispute, events: readonly DisputeEvent[], cause: Cause): Dispute {
    this.keep(dispute);
    this.changes.newDisputes.add(dispute.id);
    this.count(null, dispute);
    this.around.tell('opened', this.kept(dispute.id), null, cause);
    return this.record(dispute.id, events, cause);
  }

  /** Applies events to a dispute and its payment, and tells them in the log. */
  record(id: string, events: readonly DisputeEvent[], cause: Cause): Dispute {
    const start = this.kept(id);
    if (events.length === 0) return start;
    for (const event of events) {
      const before = this.kept(id);
      this.keep(evolve(before, { ...event, at: this.around.now }));
      this.count(before, this.kept(id));
      if (event.type !== 'silent') this.around.tell(event.type, this.kept(id), start.status, cause);
    }
    if (!this.changes.newDisputes.has(id)) this.changes.disputes.add(id);
    return this.kept(id);
  }

  /** After the payment's own facts have changed: what its disputes take of it, anew. */
  recount(paymentKey: string): void {
    for (const dispute of this.ofPayment(paymentKey)) {
      const effect = effectOn(dispute, this.around.payment(paymentKey));
      if (effect.disputed === dispute.disputed && effect.lost === dispute.lost) continue;
      this.count(dispute, dispute);
      if (!this.changes.newDisputes.has(dispute.id)) this.changes.disputes.add(dispute.id);
    }
  }

  /** Disputes and warnings of a name that turned out to be another payment's. */
  move(from: string, to: string): void {
    for (const dispute of this.ofPayment(from)) this.keep({ ...dispute, paymentKey: to });
    for (const [name, warning] of this.warnings) {
      if (warning.paymentKey === from) this.warnings.set(name, { ...warning, paymentKey: to });
    }
  }

  setDraft(draft: Draft): void {
    if (this.drafts.get(draft.disputeId) === draft) return;
    const isNew = !this.drafts.has(draft.disputeId);
    this.drafts.set(draft.disputeId, draft);
    if (isNew) this.changes.newDrafts.add(draft.disputeId);
    else if (!this.changes.newDrafts.has(draft.disputeId)) this.changes.drafts.add(draft.disputeId);
  }

  addFile(file: NewEvidenceFile): void {
    this.changes.newFiles.push(file);
  }

  removeFile(id: string): void {
    this.changes.removedFiles.push(id);
  }

  /** A file is at the provider now; in the draft and in every packet that names it. */
  uploaded(disputeId: string, fileId: string, providerFileId: string): void {
    this.answered(disputeId, { id: fileId, providerFileId, refusedAs: null });
  }

  /** The provider will never take a file; unless it has, and another call is answered late. */
  refused(disputeId: string, fileId: string, why: string): void {
    const holders = this.hasDraft(disputeId) ? this.holdersOf(disputeId) : this.packetsOfDispute(disputeId);
    const isThere = holders.some(({ files }) => files.some(({ id, providerFileId }) => id === fileId && providerFileId !== null));
    if (isThere) return;
    this.answered(disputeId, { id: fileId, providerFileId: null, refusedAs: why });
  }

  private answered(disputeId: string, answer: Pick<EvidenceFile, 'id' | 'providerFileId' | 'refusedAs'>): void {
    this.changes.answeredFiles.push(answer);
    const known = <T extends Pick<Draft, 'files'>>(holder: T): T => ({
      ...holder,
      files: holder.files.map((file) => (file.id === answer.id ? { ...file, ...answer } : file)),
    });
    const draft = this.drafts.get(disputeId);
    if (draft !== undefined) this.drafts.set(disputeId, known(draft));
    for (const [key, packet] of this.packets) if (packet.disputeId === disputeId) this.packets.set(key, known(packet));
  }

  setPacket(packet: Packet): void {
    const key = packetKey(packet);
    const isNew = !this.packets.has(key);
    this.packets.set(key, packet);
    if (isNew) this.changes.newPackets.add(key);
    else if (!this.changes.newPackets.has(key)) this.changes.packets.add(key);
  }

  addWarning(warning: FraudWarning, cause: Cause): void {
    const name = nameOf(warning, warning.providerWarningId);
    const isNew = !this.warnings.has(name);
    this.warnings.set(name, warning);
    if (isNew) this.changes.newWarnings.add(name);
    else if (!this.changes.newWarnings.has(name)) this.changes.warnings.add(name);
    if (isNew) this.around.tellWarning(warning, cause);
  }

  /** What is to be stored, by the names in `changes`. */
  draftsOf(ids: ReadonlySet<string>): Draft[] {
    return [...ids].map((id) => this.draft(id));
  }

  packetsOf(keys: ReadonlySet<string>): Packet[] {
    return [...keys].flatMap((key) => this.packets.get(key) ?? []);
  }

  warningsOf(names: ReadonlySet<string>): FraudWarning[] {
    return [...names].flatMap((name) => this.warnings.get(name) ?? []);
  }

  /** Settles what a dispute takes of its payment, and the payment with it. */
  private count(before: Dispute | null, after: Dispute): void {
    const payment = this.around.payment(after.paymentKey);
    const counted = { ...after, ...effectOn(after, payment) };
    this.keep(counted);
    this.around.setPayment(accountDispute(payment, before, counted));
  }

  private keep(dispute: Dispute): void {
    this.disputes.set(dispute.id, dispute);
    this.byProviderId.set(nameOf(dispute, dispute.providerDisputeId), dispute.id);
  }
}

const nameOf = ({ account, provider }: { account: string; provider: string }, id: string) => `${account}:${provider}:${id}`;
const packetKey = ({ disputeId, round, version }: Pick<Packet, 'disputeId' | 'round' | 'version'>) =>
  `${disputeId}:${round}:${version}`;
