/*
 * Commands about refunds, from either door: load what they touch, decide each in order of arrival, store it all in one transaction.
 * No provider is called here. A refund whose payment we know well enough is admitted or refused at once; otherwise it waits as
 * `requested`, and the reading of the payment decides (see record-answers).
 */
import type { Book } from '#application/book';
import type { Cause, Origin, PaymentName, ProviderRefundName, Want } from '#application/kept';
import type { WorkingSet } from '#application/working-set';
import { paymentKey as kafkaKey, topics } from '#contracts/topics';
import { codes, type Code } from '#contracts/codes';
import {
  providers,
  type RefundCommand,
  type RefundCommandType,
  type RequestRefund,
  type ResolveRefund,
} from '#contracts/refund-commands';
import type { Refund as PublicRefund } from '#contracts/refund-events';
import type { PartitionMark } from '#application/event-log';
import { admitOrWait, rejection, type AdmissionSettings } from '#application/admission';
import { digestOf, paymentName, refundIdOf } from '#application/names';
import { publicRefund } from '#application/messages';
import type { Providers } from '#application/providers';
import { steer } from '#application/steering';
import { claimed, requested, type Refund } from '#domain/refund/refund';

/** Who sent a command, and where it came in. */
export interface CommandHead {
  /** From `commandId`. */
  readonly uuid: string;
  readonly account: string;
  readonly door: 'http' | 'kafka';
  readonly source: string;
  readonly key: string;
  readonly correlationId: string | null;
  readonly traceparent: string | null;
  /** How long ago it was sent, where the door can tell. */
  readonly ageMs?: number;
}

/** A command about refunds that could be read. */
export interface ReceivedCommand extends CommandHead {
  readonly type: RefundCommandType;
  readonly body: RefundCommand;
}

/** A record that is no command: its bytes go to the dead letters, and where it can be told who sent it, its sender hears of it. */
export interface UnreadableRecord {
  readonly unreadable: true;
  readonly code: Code;
  readonly detail: string;
  readonly topic: string;
  readonly partition: number;
  readonly offset: bigint;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers: Readonly<Record<string, Buffer | readonly Buffer[]>>;
  readonly source: string | null;
  readonly id: string | null;
}

/** What a command came to, as both doors answer it. */
export type CommandAnswer = Decided | { readonly kind: 'buried'; readonly deadLetterId: string };

type Decided =
  | { readonly kind: 'accepted'; readonly refund: PublicRefund; readonly repeated: boolean }
  | {
      readonly kind: 'refused';
      readonly code: Code;
      readonly detail: string;
      readonly refund: PublicRefund | null;
      readonly repeated: boolean;
    };

export class RefundCommands {
  constructor(
    private readonly book: Book,
    private readonly providers: Providers,
    private readonly settings: AdmissionSettings,
  ) {}

  /** Decides a batch in one transaction; `mark` moves the partition it came from along with it. */
  async decide(commands: readonly (ReceivedCommand | UnreadableRecord)[], mark?: PartitionMark): Promise<CommandAnswer[]> {
    const want = this.wantFor(commands);
    return this.book.transact(mark === undefined ? want : { ...want, mark }, (set) =>
      commands.map((command) => ('unreadable' in command ? bury(set, command) : this.decideIn(set, command))),
    );
  }

  /** What a transaction must load to decide these. */
  wantFor(commands: readonly (ReceivedCommand | UnreadableRecord)[]): Want {
    const payments: PaymentName[] = [];
    const refunds: string[] = [];
    const references: { account: string; reference: string }[] = [];
    const providerRefunds: ProviderRefundName[] = [];
    const ids: string[] = [];
    for (const command of commands) {
      if ('unreadable' in command) continue;
      const { account } = command;
      ids.push(command.uuid);
      if (command.type !== 'redress.RequestRefund.v1') {
        const { refundId, providerRefundId: id } = command.body as ResolveRefund;
        refunds.push(refundId);
        if (id !== undefined) providerRefunds.push(...providers.map((provider) => ({ account, provider, id })));
        continue;
      }
      const body = command.body as RequestRefund;
      refunds.push(refundIdOf(command.uuid));
      if (this.providers.refundsOf(account, body.provider) === undefined) continue;
      payments.push(paymentName(this.providers, command.account, body.provider, body.paymentId));
      if (body.reference !== undefined) references.push({ account: command.account, reference: body.reference });
    }
    return { payments, refunds, providerRefunds, references, commands: ids };
  }

  /** Decides a command in a transaction that does more than that. */
  decideIn(set: WorkingSet, command: ReceivedCommand): Decided {
    const digest = digestOf({ type: command.type, ...command.body });
    const isRequest = command.type === 'redress.RequestRefund.v1';
    const seen = this.seen(set, command, isRequest, digest);
    if (seen !== null) return seen;
    const answer = isRequest ? this.request(set, command, digest) : this.steer(set, command);
    // Over Kafka a requested refund itself remembers its command, and tells the outcome once it is known.
    if (command.door === 'kafka' && isRequest && answer.refund !== null) return answer;
    set.addCommand({
      id: command.uuid,
      account: command.account,
      door: command.door,
      source: command.source,
      key: command.key,
      type: command.type,
      digest,
      refundId: answer.refund?.id ?? null,
      disputeId: null,
      body: isRequest ? null : command.body,
      answer: JSON.stringify(answer),
      receivedAt: set.now,
    });
    if (command.door === 'kafka') tellOutcome(set, command, answer, answer.kind === 'accepted' ? 'accepted' : 'rejected');
    return answer;
  }

  /** The first answer again; with other content under the same key, a refusal; null for a command that is new. */
  private seen(set: WorkingSet, command: ReceivedCommand, isRequest: boolean, digest: string): Decided | null {
    const first = set.command(command.uuid);
    // Where the command has no row of its own, or has lost it, its refund stands for it.
    const refund = isRequest ? set.refund(refundIdOf(command.uuid)) : undefined;
    const known = first?.digest ?? (refund === undefined ? undefined : set.origin(refund.id)?.digest);
    if (known === undefined) return null;
    if (known !== digest) {
      const refusal = refuse('idempotency_key_reused', null);
      if (command.door === 'kafka') tellOutcome(set, command, refusal, 'rejected');
      return refusal;
    }
    if (first === undefined && refund !== undefined) {
      set.repeat(refund.id);
      return { ...answerFor(set, refund), repeated: true };
    }
    const answer = JSON.parse(first?.answer ?? '') as Decided;
    if (command.door === 'kafka') tellOutcome(set, command, answer, 'repeated');
    return { ...answer, repeated: true };
  }

  private request(set: WorkingSet, command: ReceivedCommand, digest: string): Decided {
    const body = command.body as RequestRefund;
    const { account } = command;
    const provider = this.providers.refundsOf(account, body.provider);
    if (provider === undefined)
      return refuse('unknown_account', null, `No account "${account}" is configured for ${body.provider}.`);

    const id = refundIdOf(command.uuid);
    const payment = set.paymentCalled({ account, provider: body.provider, name: body.paymentId });
    const order = {
      id,
      account,
      provider: body.provider,
      paymentKey: payment.key,
      namedPayment: body.paymentId,
      amount: body.amount === undefined ? null : BigInt(body.amount),
      currency: body.currency ?? null,
      reason: body.reason ?? null,
      blockCustomer: body.blockCustomer ?? false,
      reference: body.reference ?? null,
      note: body.note ?? null,
      metadata: body.metadata ?? {},
      expectedAvailable: body.expectedAvailable === undefined ? null : BigInt(body.expectedAvailable),
    };
    const origin: Origin = {
      door: command.door,
      source: command.source,
      id: command.key,
      digest,
      correlationId: command.correlationId,
      traceparent: command.traceparent,
      repeats: 0,
      late: (command.ageMs ?? 0) > provider.keyLifeMs,
    };
    const cause: Cause = { causationId: command.key };
    const holder = body.reference === undefined ? undefined : set.refundWithReference(account, body.reference);
    const met = set.refund(id);
    if (met !== undefined) {
      set.claim(id, claimed(met, order, set.now), origin, cause);
      return answerFor(set, set.kept(id).refund);
    }
    set.addRefund(requested(order, set.now), origin, cause);
    if (holder !== undefined) {
      const detail = `Refund ${holder} of this account has the reference ${body.reference}.`;
      set.record(id, [rejection({ code: 'reference_already_used', detail }, set.now)], cause);
    } else {
      const money = order.amount === null || order.currency === null ? null : { amount: order.amount, currency: order.currency };
      const carried = money === null ? null : provider.canCarry(money);
      if (carried !== null && !carried.ok) set.record(id, [rejection(carried.error, set.now)], cause);
      else admitOrWait(set, id, cause, this.providers, this.settings);
    }
    return answerFor(set, set.kept(id).refund);
  }

  /** A person's or a service's order about a refund that exists. */
  private steer(set: WorkingSet, command: ReceivedCommand): Decided {
    const { refundId } = command.body as { refundId: string };
    const refund = set.refund(refundId);
    if (refund === undefined) {
      return refuse('refund_not_found', null, `There is no refund ${refundId}.`);
    }
    const decision = steer(set, refund, command.type, command.body, { causationId: command.key });
    const after = set.kept(refundId).refund;
    const shown = publicRefund(after, set.payment(after.paymentKey));
    return decision.ok
      ? { kind: 'accepted', refund: shown, repeated: false }
      : refuse(decision.error.code, shown, decision.error.detail ?? `${codes[decision.error.code]} It is ${refund.status}.`);
  }
}

function answerFor(set: WorkingSet, refund: Refund): Decided {
  const shown = publicRefund(refund, set.payment(refund.paymentKey));
  if (refund.outcome !== 'rejected' || refund.rejection === null) return { kind: 'accepted', refund: shown, repeated: false };
  return refuse(refund.rejection.code as Code, shown, refund.rejection.detail);
}

function refuse(code: Code, refund: PublicRefund | null, detail: string = codes[code]): Decided {
  return { kind: 'refused', code, detail, refund, repeated: false };
}

function tellOutcome(
  set: WorkingSet,
  command: ReceivedCommand,
  answer: Decided,
  kind: 'accepted' | 'rejected' | 'repeated',
): void {
  const { refund } = answer;
  set.tellCommandOutcome(
    {
      account: command.account,
      source: command.source,
      id: command.key,
      correlationId: command.correlationId,
      traceparent: command.traceparent,
    },
    {
      kind,
      key: refund === null ? `${command.source}:${command.key}` : kafkaKey(refund),
      ...(refund === null ? {} : { refundId: refund.id }),
      ...(answer.kind === 'refused' ? { code: answer.code, detail: answer.detail } : {}),
      first: answer.kind === 'accepted' ? 'accepted' : 'rejected',
    },
  );
}

/** Sets a record aside with its bytes; its sender, where it can be told, hears that it was rejected. */
export function bury(set: WorkingSet, record: UnreadableRecord): { readonly kind: 'buried'; readonly deadLetterId: string } {
  const { topic, partition, offset, key, value, headers, code, detail, source, id } = record;
  const deadLetterId = set.addDeadLetter({ topic, partition, offset, key, value, headers, code, detail }, `${topic}.dlq`);
  if (source !== null && id !== null) {
    set.tellCommandOutcome(
      { account: 'default', source, id, correlationId: null, traceparent: null },
      { kind: 'rejected', topic: outcomesOf(topic), key: `${source}:${id}`, code, detail },
    );
  }
  return { kind: 'buried', deadLetterId };
}

const outcomesOf = (topic: string) => (topic === topics.disputeCommands ? topics.disputeOutcomes : topics.refundOutcomes);
