import assert from 'node:assert/strict';
import { setImmediate as turn } from 'node:timers/promises';
import { Book } from '#application/book';
import { HandleDeliveries } from '#application/deliveries';
import { DisputeCommands } from '#application/dispute-commands';
import { addStage } from '#application/dispute-operations';
import { EvidenceDesk } from '#application/evidence-desk';
import type { LogEntry } from '#application/event-log';
import { commandId } from '#application/names';
import { isOpen, OperationQueue } from '#application/operations';
import { Providers } from '#application/providers';
import { RecordAnswers } from '#application/record-answers';
import { RefundCommands, type CommandAnswer, type ReceivedCommand } from '#application/refund-commands';
import { RunOperations } from '#application/run-operations';
import type { Pause, SendingBounds } from '#application/sending';
import { beginSweeps } from '#application/sweeps';
import { Upkeep } from '#application/upkeep';
import type { RefundCommand, RefundCommandType } from '#contracts/refund-commands';
import { topics } from '#contracts/topics';
import { WatchDeadlines, type DisputePolicy } from '#application/watch-deadlines';
import type { DisputeCommand, DisputeCommandType } from '#contracts/dispute-commands';
import { usualTerms, type Dispute } from '#domain/dispute/dispute';
import { edit, type EvidenceChanges } from '#domain/dispute/evidence';
import type { Payment } from '#domain/payment/payment';
import { ProviderNotices, type Notice, type ReceivedNotice } from '#domain/ports/provider-notices';
import type { RefundList } from '#domain/ports/refund-list';
import type { RefundProvider } from '#domain/ports/refund-provider';
import type { Refund } from '#domain/refund/refund';
import { ok } from '#domain/result';
import { problemsOf } from '../message-schemas.js';
import { MemoryStores } from './memory-stores.js';
import { ScriptedDisputes } from './scripted-disputes.js';
import { ScriptedProvider } from './scripted-provider.js';

/** What of the outside a process uses; a test may stand in between. */
export interface Outside {
  readonly book: Book;
  readonly queue: OperationQueue;
  readonly provider: RefundProvider;
  readonly list: RefundList;
}

export interface Sent {
  readonly key?: string;
  readonly source?: string;
  readonly door?: 'http' | 'kafka';
}

const leaseMs = 30_000;

/** The whole of Redress but its doors, over stores in memory and a scripted provider. Processes die and are started at will. */
export class RedressInMemory {
  readonly stores: MemoryStores;
  readonly provider: ScriptedProvider;
  readonly bank: ScriptedDisputes;
  /** What is decided about disputes without a person; of processes that are started from then on. */
  policy: DisputePolicy = { fileAtDeadline: false, acceptBelow: {} };
  readonly tripped: Pause[] = [];
  /** Of processes that are started from then on. */
  bounds: readonly SendingBounds[] = [];
  readonly failures: { what: string; error: unknown }[] = [];
  commands: RefundCommands;
  disputes: DisputeCommands;
  private operations: RunOperations;
  private deadlines: WatchDeadlines;
  private deliveries: HandleDeliveries;
  private readonly notices = new Map<string, Notice>();
  private ids = 0;
  private keys = 0;

  constructor({ lists = true }: { readonly lists?: boolean } = {}) {
    this.provider = new ScriptedProvider({ lists });
    const newId = () => `00000000-0000-4000-8000-${String(++this.ids).padStart(12, '0')}`;
    this.stores = new MemoryStores(newId, new Date(Date.UTC(2026, 2, 2, 9)));
    this.provider.now = () => this.stores.now;
    this.bank = new ScriptedDisputes({ now: () => this.stores.now });
    this.provider.disputesOf = (payment, at) => this.bank.ofPayment(payment, at);
    const process = this.process();
    ({ commands: this.commands, disputes: this.disputes } = process);
    ({ operations: this.operations, deliveries: this.deliveries, deadlines: this.deadlines } = process);
  }

  /** A process of its own, as good as any other. */
  process(outside: Partial<Outside> = {}) {
    const { stores, provider: scripted } = this;
    const here = { book: stores.book, queue: stores.queue, provider: scripted, list: scripted };
    const { book, queue, provider, list } = { ...here, ...outside };
    const providers = this.providersOver(provider, list);
    const log = {
      failed: (what: string, _: object, error: unknown) => void this.failures.push({ what, error }),
      tripped: (pause: Pause) => void this.tripped.push(pause),
    };
    const settings = { atOnce: 64, leaseMs, callMs: 20_000, againMs: 1, bounds: this.bounds };
    const recorder = new RecordAnswers(book, providers, usualTerms, () => 0.5);
    const commands = new RefundCommands(book, providers, { factsMaxAgeMs: 60_000 });
    const disputes = new DisputeCommands(book);
    return {
      commands,
      disputes,
      desk: new EvidenceDesk(book, providers),
      deadlines: new WatchDeadlines(this.stores.watch, book, usualTerms, this.policy, log),
      upkeep: new Upkeep(book, queue, commands, disputes),
      operations: new RunOperations(queue, book, providers, this.stores.evidenceFiles, recorder, settings, log),
      deliveries: new HandleDeliveries(this.stores.deliveries, book, providers, log),
      beginSweeps: () => beginSweeps(book, providers),
    };
  }

  /** What the processes speak to. */
  get providers(): Providers {
    return this.providersOver(this.provider, this.provider);
  }

  private providersOver(provider: RefundProvider, list: RefundList): Providers {
    const { lists } = this.provider;
    return new Providers([provider], [new ScriptedNotices(this.notices)], lists ? [list] : [], lists ? [this.bank] : []);
  }

  /** The process is gone, and another one takes its place once the leases are over. */
  restart(): void {
    const process = this.process();
    ({ commands: this.commands, disputes: this.disputes } = process);
    ({ operations: this.operations, deliveries: this.deliveries, deadlines: this.deadlines } = process);
    this.pass(leaseMs + 1);
  }

  pass(ms: number): void {
    this.stores.now = this.stores.later(ms);
    this.stores.realMs += ms;
  }

  command(type: RefundCommandType, body: object, { key, source = 'shop', door = 'kafka' }: Sent = {}): ReceivedCommand {
    const id = key ?? `c-${++this.keys}`;
    const command = { account: 'default', ...body } as unknown as RefundCommand;
    const uuid = commandId('default', door, source, id);
    const sent = { account: 'default', door, source, key: id, type, correlationId: null, traceparent: null };
    return { ...sent, uuid, body: type === 'redress.RequestRefund.v1' ? command : (body as RefundCommand) };
  }

  request(paymentId: string, amount: number | null, more: object = {}, sent: Sent = {}): ReceivedCommand {
    const money = amount === null ? {} : { amount, currency: 'USD' };
    return this.command('redress.RequestRefund.v1', { provider: 'stripe', paymentId, ...money, ...more }, sent);
  }

  async decide(...commands: readonly ReceivedCommand[]): Promise<CommandAnswer[]> {
    return this.commands.decide(commands);
  }

  /** Asks for a refund and returns its id. */
  async refund(paymentId: string, amount: number | null, more: object = {}, sent: Sent = {}): Promise<string> {
    const [answer] = await this.decide(this.request(paymentId, amount, more, sent));
    assert(answer?.kind !== 'buried' && answer?.refund != null);
    return answer.refund.id;
  }

  /** An order about a refund; the code it was refused with, or null. */
  async order(what: string, refundId: string, more: object = {}): Promise<string | null> {
    const [answer] = await this.decide(this.command(`redress.${what}Refund.v1` as RefundCommandType, { refundId, ...more }));
    return answer?.kind === 'refused' ? answer.code : null;
  }

  /** One round of operations, and all that their calls lead to. */
  async round(operations = this.operations): Promise<number> {
    const taken = await operations.round();
    for (let waited = 0; operations.busy > 0; waited += 1) {
      assert(waited < 10_000, 'a call does not end');
      await turn();
    }
    return taken;
  }

  /** Works until nothing is due. */
  async work(operations = this.operations): Promise<void> {
    for (;;) {
      const handled = (await this.deliveries.round(100)) + (await this.deadlines.round(100));
      if ((await this.round(operations)) + handled === 0) return;
    }
  }

  /** Works while time goes by. */
  async workFor(ms: number, steps = 20): Promise<void> {
    for (let step = 0; step < steps; step += 1) {
      await this.work();
      this.pass(ms / steps);
    }
    await this.work();
  }

  /** A webhook comes in and is stored. */
  async notice(noticeId: string, notice: Notice): Promise<void> {
    this.notices.set(noticeId, notice);
    const body = Buffer.from(noticeId);
    const rest = { type: 'refund.updated', digest: 'x', from: null, disposition: null, detail: null };
    await this.stores.deliveries.store([{ account: 'default', provider: 'stripe', noticeId, body, ...rest }]);
  }

  aboutRefund(providerRefundId: string, more: { refundId?: string; payment?: string } = {}): Notice & { about: 'refund' } {
    return { about: 'refund', providerRefundId, refundId: more.refundId ?? null, payment: more.payment ?? null, claim: null };
  }

  dispositions(): (string | null)[] {
    return this.stores.deliveryRows.all().map(({ disposition }) => disposition);
  }

  of(id: string): Refund {
    const kept = this.stores.refunds.get(id);
    assert(kept !== undefined, `there is no refund ${id}`);
    return kept.refund;
  }

  all(): Refund[] {
    return this.stores.refunds.all().map(({ refund }) => refund);
  }

  payment(name: string): Payment {
    const known = this.stores.names.get(`default:stripe:${name}`);
    const payment = this.stores.payments.get(known?.paymentKey ?? '');
    assert(payment !== undefined, `there is no payment ${name}`);
    return payment;
  }

  /** Our dispute that the provider calls so. */
  dispute(providerDisputeId: string): Dispute {
    const dispute = this.stores.disputes.disputes.all().find((each) => each.providerDisputeId === providerDisputeId);
    assert(dispute !== undefined, `there is no dispute ${providerDisputeId}`);
    return dispute;
  }

  /** A dispute of the provider's is read, as after its webhook; ours, then. */
  async hearOf({ id: providerDisputeId, payment }: { id: string; payment: string }): Promise<Dispute> {
    await this.notice(`n-${++this.keys}`, { about: 'dispute', providerDisputeId, payment });
    await this.work();
    return this.dispute(providerDisputeId);
  }

  /** Writes into the evidence of a dispute; the version it has then. */
  write(disputeId: string, changes: EvidenceChanges): Promise<number> {
    return this.stores.book.transact({ disputes: [disputeId], evidence: [disputeId] }, (set) => {
      const edited = edit(set.disputes.draft(disputeId), changes, null, 'ann', set.now);
      assert(edited.ok);
      set.disputes.setDraft(edited.value);
      addStage(set, set.disputes.kept(disputeId), edited.value.version);
      return edited.value.version;
    });
  }

  /** Adds a document to the evidence of a dispute, as its receipt. */
  async attach(disputeId: string, name: string): Promise<void> {
    const bytes = Buffer.from(name);
    const file = { place: 'receipt', name, type: 'application/pdf', size: bytes.length, pages: 1, digest: name, bytes } as const;
    const key = `f-${++this.keys}`;
    const order = { account: 'default', provider: 'stripe', disputeId, source: 'ann', key, isOwnKey: true, seen: null };
    const answer = await new EvidenceDesk(this.stores.book, this.providers).addFile(file, order);
    assert(answer.kind === 'accepted');
  }

  /** A command about a dispute, as over Kafka; the code it was refused with, or null. */
  async decideOn(type: DisputeCommandType, body: object, { key, source = 'shop' }: Sent = {}): Promise<string | null> {
    const id = key ?? `c-${++this.keys}`;
    const sent = { account: 'default', door: 'kafka', source, key: id, correlationId: null, traceparent: null } as const;
    const uuid = commandId('default', 'kafka', source, id);
    const [answer] = await this.disputes.decide([{ ...sent, uuid, type, body: body as DisputeCommand }]);
    assert(answer !== undefined && answer.kind !== 'buried');
    return answer.kind === 'refused' ? answer.code : null;
  }

  /** Submits the evidence as it stands. */
  async submit(disputeId: string, sent: Sent = {}): Promise<string | null> {
    const version = await this.write(disputeId, {});
    return this.decideOn('redress.SubmitEvidence.v1', { disputeId, confirm: true, version }, sent);
  }

  /** What was told about a dispute, in order. */
  toldOf(id: string): string[] {
    return this.stores.events
      .where((entry) => entry.subject === id && entry.topic === topics.disputeEvents)
      .map(({ type }) => type.replace('redress.dispute.', '').replace('.v1', ''));
  }

  /** What was told about a refund, in order. */
  told(id: string): string[] {
    return this.stores.events
      .where((entry) => entry.subject === id && entry.topic === topics.refundEvents)
      .map(({ type }) => type.replace('redress.refund.', '').replace('.v1', ''));
  }

  /** The outcomes of commands, as `key: accepted` or `key: rejected code`. */
  outcomes(): string[] {
    return this.stores.events
      .where(({ topic }) => topic === topics.refundOutcomes)
      .map((entry) => {
        const data = dataOf(entry) as { commandId: string; code?: string; first?: { outcome: string; code?: string } };
        const kind = entry.type.split('.')[2];
        const why = [data.code, data.first?.outcome, data.first?.code].filter((each) => each !== undefined);
        return [`${data.commandId}: ${kind}`, ...why].join(' ');
      });
  }

  open(): string[] {
    return this.stores.operations.where(isOpen).map(({ kind, target, state }) => `${kind} ${target} ${state}`);
  }

  /** What must be true at every moment, whatever has happened. */
  check(): void {
    const entries = this.stores.events.all();
    for (const entry of entries) {
      if (entry.type !== 'redress.dead_letter.v1') assert.deepEqual(problemsOf(entry.type, dataOf(entry)), []);
    }
    for (const payment of this.stores.payments.all()) {
      const mine = entries.filter((entry) => entry.paymentKey === payment.key);
      const numbers = mine.flatMap(({ sequence }) => sequence ?? []);
      assert.deepEqual(
        numbers,
        numbers.map((_, index) => BigInt(index + 1)),
      );
      assert.equal(payment.sequence, BigInt(numbers.length));
      const versions = mine
        .filter(({ topic }) => topic === topics.refundability)
        .map((each) => (dataOf(each) as { version: number }).version);
      assert.deepEqual(
        versions,
        [...new Set(versions)].sort((a, b) => a - b),
        'versions rise',
      );

      const refunds = this.all().filter(({ paymentKey }) => paymentKey === payment.key);
      const held = (as: Refund['holds']) =>
        refunds.filter(({ holds }) => holds === as).reduce((sum, { amount }) => sum + (amount ?? 0n), 0n);
      assert.equal(payment.reserved, held('reserved'), 'reserved is the sum over refunds');
      assert.equal(payment.refunded, held('refunded'), 'refunded is the sum over refunds');
      const standing = (status: Refund['status']) => refunds.filter((refund) => refund.status === status).length;
      assert.equal(payment.waiting, standing('requested'));
      assert.equal(payment.unknown, standing('outcome_unknown'));

      const disputes = this.stores.disputes.disputes.all().filter(({ paymentKey }) => paymentKey === payment.key);
      const taken = (what: 'disputed' | 'lost') => disputes.reduce((sum, dispute) => sum + dispute[what], 0n);
      assert.equal(payment.disputed, taken('disputed'), 'disputed is the sum over disputes');
      assert.equal(payment.lost, taken('lost'), 'lost is the sum over disputes');
      const open = disputes.filter(({ status }) => ['needs_response', 'under_review', 'unknown'].includes(status));
      assert.equal(payment.inquiries, open.filter(({ stage }) => stage === 'inquiry').length);
    }
    for (const refund of this.all()) {
      const told = entries.filter(({ subject, topic }) => subject === refund.id && topic === topics.refundEvents);
      const versions = told.map((entry) => (dataOf(entry) as { refund: { version: number } }).refund.version);
      assert.deepEqual(
        versions,
        [...versions].sort((a, b) => a - b),
        'versions of a refund never fall',
      );
      if (versions.length > 0) assert.equal(versions.at(-1), refund.version, 'the last event shows the refund as it stands');
    }
    // One effect: what moved at the provider under our keys is at most one refund per attempt.
    const keys = this.provider.refunds.flatMap(({ key }) => key ?? []);
    assert.equal(new Set(keys).size, keys.length, 'one refund per key');
  }
}

const dataOf = (entry: LogEntry) => JSON.parse(entry.data) as object;

/** Notices by their ids; any other body is broken. */
export class ScriptedNotices extends ProviderNotices {
  override readonly account = 'default';

  constructor(
    private readonly notices: ReadonlyMap<string, Notice>,
    override readonly provider = 'stripe',
  ) {
    super();
  }

  override receive({ body, receivedAt }: { body: Buffer; receivedAt: Date }) {
    return ok(this.reread(body, receivedAt));
  }

  override reread(body: Buffer, _receivedAt: Date): ReceivedNotice {
    const noticeId = body.toString();
    const notice = this.notices.get(noticeId);
    assert(notice !== undefined, 'the body is broken');
    return { noticeId, type: 'refund.updated', notice };
  }
}
