/* What people and services may do to a refund that exists: approve, reject, cancel, retry, have it read, say what became of it, acknowledge. */
import { addRefundRead, addSend, addPaymentRead } from '#application/admission';
import type { Cause } from '#application/kept';
import type { WorkingSet } from '#application/working-set';
import { priorities, type Operation } from '#application/operations';
import type { Code } from '#contracts/codes';
import type { RefundCommand, RefundCommandType, ResolveRefund } from '#contracts/refund-commands';
import { relieve } from '#domain/dispute/dispute';
import { available, isBlocked, room } from '#domain/payment/payment';
import {
  acknowledge,
  approve,
  cancel,
  reject,
  resolve,
  retry,
  unpark,
  type Refund,
  type RefundEvent,
} from '#domain/refund/refund';
import { err, ok, type Result } from '#domain/result';

type Steered = Result<null, { readonly code: Code; readonly detail?: string }>;

const done: Steered = ok(null);

export function steer(set: WorkingSet, refund: Refund, type: RefundCommandType, body: RefundCommand, cause: Cause): Steered {
  const act = (decision: Result<RefundEvent[], { code: Code }>): Steered => {
    if (!decision.ok) return err({ code: decision.error.code });
    set.record(refund.id, decision.value, cause);
    return done;
  };
  switch (type) {
    case 'redress.ApproveRefund.v1': {
      const approved = act(approve(refund, set.now));
      if (approved.ok) addSend(set, refund.id);
      return approved;
    }
    case 'redress.RejectRefund.v1':
      return act(reject(refund, set.now));
    case 'redress.CancelRefund.v1': {
      const send = set.openOperations(refund.id).find((operation) => operation.kind === 'refund.send');
      if (send !== undefined && send.firstSentAt !== null) return err({ code: 'not_cancelable' });
      const canceled = act(cancel(refund, set.now));
      if (canceled.ok && send !== undefined)
        set.changeOperation(send.id, { state: 'dropped', doneAt: set.now, result: 'canceled' });
      return canceled;
    }
    case 'redress.RetryRefund.v1': {
      const payment = set.payment(refund.paymentKey);
      const decision = retry(refund, set.now);
      if (decision.ok && isBlocked(payment)) return err({ code: 'outcome_unknown_blocks_payment' });
      if (decision.ok && (refund.amount ?? 0n) > room(payment)) {
        const detail = `${refund.amount} ${refund.currency} is needed, ${available(payment)} is available.`;
        return err({ code: 'amount_exceeds_available', detail });
      }
      const retried = act(decision);
      if (retried.ok) addSend(set, refund.id);
      return retried;
    }
    case 'redress.SyncRefund.v1':
      read(set, refund, cause);
      return done;
    case 'redress.ResolveRefund.v1': {
      const { outcome, providerRefundId } = body as ResolveRefund;
      const { account, provider } = refund;
      const holder = providerRefundId === undefined ? undefined : set.refundCalled({ account, provider, id: providerRefundId });
      if (holder !== undefined && holder.id !== refund.id) {
        return err({ code: 'not_resolvable', detail: `${providerRefundId} is what became of refund ${holder.id}.` });
      }
      const isOut = set
        .openOperations(refund.id)
        .some(({ lane, leaseUntil }) => lane !== null && leaseUntil !== null && leaseUntil > set.now);
      if (isOut && outcome !== 'succeeded') {
        return err({ code: 'not_resolvable', detail: 'It is being sent or looked for just now; say so again in a minute.' });
      }
      const resolved = act(resolve(refund, { outcome, providerRefundId: providerRefundId ?? null }, set.now));
      if (resolved.ok) {
        for (const operation of set.openOperations(refund.id)) {
          set.changeOperation(operation.id, { state: 'dropped', doneAt: set.now, result: 'resolved by a person' });
        }
      }
      return resolved;
    }
    case 'redress.AcknowledgeRefund.v1':
      return act(acknowledge(refund, set.now));
    case 'redress.RequestRefund.v1':
      throw new Error('a request is no order about an existing refund');
  }
}

/** Asks the provider now: what has an id there is read by it; what has none is sent again under its key, or found in its payment. */
function read(set: WorkingSet, refund: Refund, cause: Cause): void {
  const { account, provider, id: refundId, paymentKey, providerRefundId } = refund;
  for (const operation of set.openOperations(refundId)) {
    // Lists that are to prove something must be some time apart.
    const isSpaced = operation.kind === 'refund.find' && operation.state === 'open';
    if (!isSpaced) takeUp(set, operation, cause);
  }
  if (providerRefundId !== null) {
    addRefundRead(set, { account, provider, providerRefundId, refundId, paymentKey }, set.now, priorities.waitingRead);
  } else {
    addPaymentRead(set, set.payment(paymentKey));
  }
}

/** An operation is tried now, also one that was parked: its refund asks for no attention until it parks again. */
export function takeUp(set: WorkingSet, { id, refundId, disputeId }: Operation, cause: Cause): void {
  set.changeOperation(id, { state: 'open', runAt: set.now });
  const refund = refundId === null ? undefined : set.refund(refundId);
  if (refund !== undefined) set.record(refund.id, unpark(refund, set.now), cause);
  const dispute = disputeId === null ? undefined : set.disputes.get(disputeId);
  if (dispute !== undefined) set.disputes.record(dispute.id, relieve(dispute, 'operation_parked', set.now), cause);
}
