/*
 * Webhooks: verified and stored as they come, answered, then handled here. A notice is a hint. Where it says what we know already it ends
 * there; where it says something new, the provider is read, and that reading decides and gives the delivery its disposition.
 */
import { addPaymentRead, addRefundRead } from '#application/admission';
import { inParts } from '#application/batcher';
import type { Book, Disposition, PaymentName, ProviderRefundName, WorkingSet } from '#application/book';
import { paymentName } from '#application/names';
import { priorities } from '#application/operations';
import type { Providers } from '#application/providers';
import type { Notice, ReceivedNotice } from '#domain/ports/provider-notices';
import { areKnown } from '#domain/payment/payment';
import { isKnown } from '#domain/refund/refund';

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

  private async handle(part: readonly { delivery: PendingDelivery; received: ReceivedNotice | null }[]): Promise<void> {
    const payments: PaymentName[] = [];
    const refunds: string[] = [];
    const providerRefunds: ProviderRefundName[] = [];
    for (const { delivery, received } of part) {
      const { account, provider } = delivery;
      const notice = received?.notice;
      if (notice === undefined || notice.about === 'nothing') continue;
      if (notice.payment !== null) payments.push(paymentName(this.providers, account, provider, notice.payment));
      if (notice.about !== 'refund') continue;
      providerRefunds.push({ account, provider, id: notice.providerRefundId });
      if (notice.refundId !== null) refunds.push(notice.refundId);
    }
    await this.book.transact({ payments, refunds, providerRefunds }, (set) => {
      for (const { delivery, received } of part) handleOne(set, delivery, received);
    });
  }
}

function handleOne(set: WorkingSet, delivery: PendingDelivery, received: ReceivedNotice | null): void {
  const { id, account, provider } = delivery;
  const dispose = (disposition: Disposition, detail: string | null, refundId: string | null = null) =>
    set.disposeDelivery({ id, disposition, detail, operationId: null, refundId });
  const awaitReading = (operationId: string, refundId: string | null) =>
    set.disposeDelivery({ id, disposition: null, detail: null, operationId, refundId });

  if (received === null) return dispose('foreign', `no account "${account}" is configured for ${provider}`);
  if (delivery.repeated) return dispose('duplicate', 'the same notice was delivered before');
  const { notice } = received;
  switch (notice.about) {
    case 'nothing':
      return dispose('unknown', notice.why);
    case 'payment': {
      const payment = set.paymentCalled({ account, provider, name: notice.payment });
      if (notice.claim !== null && areKnown(payment, notice.claim)) return dispose('stale', 'its totals are known already');
      return awaitReading(addPaymentRead(set, payment), null);
    }
    case 'refund':
      return aboutRefund(set, { account, provider }, notice, dispose, awaitReading);
  }
}

function aboutRefund(
  set: WorkingSet,
  at: { account: string; provider: string },
  notice: Notice & { about: 'refund' },
  dispose: (disposition: Disposition, detail: string | null, refundId: string | null) => void,
  awaitReading: (operationId: string, refundId: string | null) => void,
): void {
  const { providerRefundId, claim, payment } = notice;
  const named = notice.refundId === null ? undefined : set.refund(notice.refundId);
  const known =
    set.refundCalled({ ...at, id: providerRefundId }) ??
    (named?.account === at.account && named.provider === at.provider ? named : undefined);
  if (known !== undefined) {
    if (claim !== null && isKnown(known, claim)) {
      return dispose('stale', `${claim.providerStatus ?? claim.says} is known already`, known.id);
    }
    const read = { ...at, providerRefundId, refundId: known.id, paymentKey: known.paymentKey };
    return awaitReading(addRefundRead(set, read, set.now, priorities.noticeRead), known.id);
  }
  // Not ours as far as we know: the whole payment is read where it is named, so that what others made of it counts at once.
  if (payment !== null) return awaitReading(addPaymentRead(set, set.paymentCalled({ ...at, name: payment })), null);
  awaitReading(
    addRefundRead(set, { ...at, providerRefundId, refundId: null, paymentKey: null }, set.now, priorities.noticeRead),
    null,
  );
}
