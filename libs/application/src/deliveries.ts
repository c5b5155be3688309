/*
 * Webhooks: verified and stored as they come, answered, then handled here. A notice is a hint. Where it says what we know already it ends
 * there; where it says something new, the provider is read, and that reading decides and gives the delivery its disposition.
 */
import { createHash } from 'node:crypto';
import { addPaymentRead, addRefundRead } from '#application/admission';
import { inParts } from '#application/batcher';
import { addDisputeRead, addWarningRead } from '#application/dispute-operations';
import type { Book } from '#application/book';
import type { Disposition, PaymentName, ProviderDisputeName, ProviderRefundName, Want } from '#application/kept';
import type { WorkingSet } from '#application/working-set';
import { paymentName } from '#application/names';
import { priorities } from '#application/operations';
import type { Providers } from '#application/providers';
import type { Notice, NoticeRefusal, ProviderNotices, RawDelivery, ReceivedNotice } from '#domain/ports/provider-notices';
import { areKnown } from '#domain/payment/payment';
import { isKnown, type Refund } from '#domain/refund/refund';
import { err } from '#domain/result';

/** A delivery as it came. Of one that was refused, only the digest of its body is kept. */
export interface NewDelivery {
  readonly account: string;
  readonly provider: string;
  readonly noticeId: string | null;
  readonly type: string | null;
  readonly body: Buffer | null;
  readonly digest: string;
  readonly from: string | null;
  readonly disposition: Disposition | null;
  readonly detail: string | null;
}

/** A delivery as it is to be stored: once it is believed with its body, else with a digest of that and why it is refused. */
export function asStored(
  notices: ProviderNotices,
  raw: RawDelivery,
): { readonly delivery: NewDelivery; readonly refusal: NoticeRefusal | null } {
  const { account, provider } = notices;
  const digest = createHash('sha256').update(raw.body).digest('hex');
  const known = { account, provider, digest, from: raw.from };
  const received = keepable(notices.receive(raw));
  if (received.ok) {
    const { noticeId, type } = received.value;
    return { refusal: null, delivery: { ...known, noticeId, type, body: raw.body, disposition: null, detail: null } };
  }
  const refusal = received.error;
  const detail = `${refusal.code}: ${refusal.detail}`;
  return { refusal, delivery: { ...known, noticeId: null, type: null, body: null, disposition: 'rejected', detail } };
}

/** Text with a NUL character cannot be stored. */
function keepable(received: ReturnType<ProviderNotices['receive']>): ReturnType<ProviderNotices['receive']> {
  const isNamed = !received.ok || !`${received.value.noticeId}${received.value.type}`.includes('\0');
  return isNamed ? received : err({ code: 'unreadable', detail: 'There is a NUL character in its id or its type.' });
}

/** A stored delivery that nobody has handled yet. */
export interface PendingDelivery {
  readonly id: string;
  readonly account: string;
  readonly provider: string;
  readonly noticeId: string;
  readonly body: Buffer;
  readonly receivedAt: Date;
  /** Whether the same notice was delivered before. */
  readonly repeated: boolean;
}

/** Where deliveries wait. */
export abstract class Deliveries {
  /** Stores in one transaction; once it returns, the provider may be told that we have them. */
  abstract store(deliveries: readonly NewDelivery[]): Promise<void>;
  /** Takes what is not handled, for a while, oldest first. */
  abstract claim(limit: number, leaseMs: number): Promise<PendingDelivery[]>;
  /** Has a delivery handled once more, as if it had not been; false when its body was not kept. */
  abstract replay(id: string): Promise<boolean>;
}

export interface DeliveryLog {
  failed(what: string, ids: Readonly<Record<string, string | null>>, error: unknown): void;
}

const leaseMs = 30_000;

export class HandleDeliveries {
  constructor(
    private readonly deliveries: Deliveries,
    private readonly book: Book,
    private readonly providers: Providers,
    private readonly log: DeliveryLog,
  ) {}

  /** Handles what waits, up to `limit`; returns how many there were. */
  async round(limit: number): Promise<number> {
    const claimed = await this.deliveries.claim(limit, leaseMs);
    if (claimed.length === 0) return 0;
    await inParts(
      claimed,
      async (part) => {
        await this.handle(part.map((delivery) => ({ delivery, received: this.reread(delivery) })));
        return part;
      },
      (delivery, error) => {
        // It stays unhandled and comes up again after its lease; whoever is on call sees it every time.
        this.log.failed('a delivery could not be handled', { delivery: delivery.id, notice: delivery.noticeId }, error);
        return Promise.resolve(delivery);
      },
    );
    return claimed.length;
  }

  private reread(delivery: PendingDelivery): ReceivedNotice | null {
    return this.providers.noticesOf(delivery.account, delivery.provider)?.reread(delivery.body, delivery.receivedAt) ?? null;
  }

  /** Most notices say what is known, so a look without locks disposes of them; the payments of the others are locked then. */
  private async handle(part: readonly Received[]): Promise<void> {
    const news = await this.book.transact({ ...this.wantFor(part), unlocked: true }, (set) =>
      part.filter((one) => !disposeKnown(set, one)),
    );
    if (news.length === 0) return;
    await this.book.transact(this.wantFor(news), (set) => {
      for (const one of news) if (!disposeKnown(set, one)) haveRead(set, one);
    });
  }

  private wantFor(part: readonly Received[]): Want {
    const payments: PaymentName[] = [];
    const aliases: PaymentName[] = [];
    const refunds: string[] = [];
    const providerRefunds: ProviderRefundName[] = [];
    const providerDisputes: ProviderDisputeName[] = [];
    const warnings: ProviderDisputeName[] = [];
    for (const { delivery, received } of part) {
      const { account, provider } = delivery;
      const notice = received?.notice;
      if (notice === undefined || notice.about === 'nothing' || notice.about === 'others') continue;
      if (notice.about === 'dispute') {
        providerDisputes.push({ account, provider, id: notice.providerDisputeId });
        continue;
      }
      if (notice.about === 'warning') {
        warnings.push({ account, provider, id: notice.providerWarningId });
        continue;
      }
      const name = notice.payment === null ? [] : [paymentName(this.providers, account, provider, notice.payment)];
      if (notice.about === 'payment' && !notice.readUnheard) aliases.push(...name);
      else payments.push(...name);
      if (notice.about !== 'refund') continue;
      providerRefunds.push({ account, provider, id: notice.providerRefundId });
      if (notice.refundId !== null) refunds.push(notice.refundId);
    }
    return { payments, aliases, refunds, providerRefunds, providerDisputes, warnings };
  }
}

interface Received {
  readonly delivery: PendingDelivery;
  /** Null where no account of ours is called so. */
  readonly received: ReceivedNotice | null;
}

/** Ends a delivery that tells nothing new; false when the provider must be read. */
function disposeKnown(set: WorkingSet, { delivery, received }: Received): boolean {
  const { id, account, provider } = delivery;
  const dispose = (disposition: Disposition, detail: string, refundId: string | null = null, disputeId: string | null = null) => {
    set.disposeDelivery({ id, disposition, detail, operationId: null, refundId, disputeId });
    return true;
  };
  if (received === null) return dispose('foreign', `no account "${account}" is configured for ${provider}`);
  if (delivery.repeated) return dispose('duplicate', 'the same notice was delivered before');
  const { notice } = received;
  switch (notice.about) {
    case 'nothing':
      return dispose('unknown', notice.why);
    case 'others':
      return dispose('foreign', notice.why);
    case 'payment': {
      const name = { account, provider, name: notice.payment };
      if (!notice.readUnheard && !set.knowsPayment(name)) return dispose('unknown', 'no refund was asked of that payment');
      const payment = set.paymentCalled(name);
      return notice.claim !== null && areKnown(payment, notice.claim) && dispose('stale', 'its totals are known already');
    }
    case 'dispute':
    case 'warning':
      return false;
    case 'refund': {
      const { claim } = notice;
      const refund = refundOf(set, delivery, notice);
      if (claim === null || refund === undefined || !isKnown(refund, claim)) return false;
      return dispose('stale', `${claim.providerStatus ?? claim.says} is known already`, refund.id);
    }
  }
}

/** Has the provider read; that reading decides, and disposes of the delivery. */
function haveRead(set: WorkingSet, { delivery, received }: Received): void {
  const { id, account, provider } = delivery;
  const notice = received?.notice;
  if (notice === undefined || notice.about === 'nothing' || notice.about === 'others') return;
  const awaitReading = (operationId: string, refundId: string | null, disputeId: string | null = null) =>
    set.disposeDelivery({ id, disposition: null, detail: null, operationId, refundId, disputeId });

  if (notice.about === 'dispute') {
    const { providerDisputeId } = notice;
    const dispute = set.disputes.called({ account, provider, id: providerDisputeId });
    const [disputeId, paymentKey] = [dispute?.id ?? null, dispute?.paymentKey ?? null];
    const read = { account, provider, providerDisputeId, disputeId, paymentKey };
    return awaitReading(addDisputeRead(set, read, set.now, priorities.noticeRead), null, disputeId);
  }
  if (notice.about === 'warning') return awaitReading(addWarningRead(set, account, provider, notice.providerWarningId), null);

  const refund = notice.about === 'refund' ? refundOf(set, delivery, notice) : undefined;
  if (notice.about === 'refund' && (refund !== undefined || notice.payment === null)) {
    const { providerRefundId } = notice;
    const [refundId, paymentKey] = [refund?.id ?? null, refund?.paymentKey ?? null];
    return awaitReading(
      addRefundRead(set, { account, provider, providerRefundId, refundId, paymentKey }, set.now, priorities.noticeRead),
      refundId,
    );
  }
  // A refund that is not ours as far as we know: the whole payment is read, so that what others made of it counts at once.
  awaitReading(addPaymentRead(set, set.paymentCalled({ account, provider, name: notice.payment ?? '' })), null);
}

function refundOf(
  set: WorkingSet,
  { account, provider }: PendingDelivery,
  notice: Notice & { about: 'refund' },
): Refund | undefined {
  const named = notice.refundId === null ? undefined : set.refund(notice.refundId);
  const called = set.refundCalled({ account, provider, id: notice.providerRefundId });
  return called ?? (named?.account === account && named.provider === provider ? named : undefined);
}
