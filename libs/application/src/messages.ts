/* How what we hold becomes what we publish: the shapes of libs/contracts, with numbers for amounts and text for times. */
import { covers, type Pause } from '#application/sending';
import type {
  ActionRequired as PublicAction,
  PaymentBalance,
  Refund as PublicRefund,
  RefundSummary,
  Refundability,
  Rejection as PublicRejection,
  ShownFraudWarning,
} from '#contracts/refund-events';
import type { SendingPause } from '#contracts/sending';
import type { Provider } from '#contracts/refund-commands';
import type { Code } from '#contracts/codes';
import type { Dispute as PublicDispute, FraudWarning as PublicWarning } from '#contracts/dispute-events';
import type { Evidence as PublicEvidence, EvidenceFile as PublicFile, EvidenceItem } from '#contracts/evidence';
import { available, overdrawn, type Payment } from '#domain/payment/payment';
import { completeness, type CompletenessItem } from '#domain/dispute/completeness';
import type { Dispute, FraudWarning } from '#domain/dispute/dispute';
import { answerFrom, type Draft, type EvidenceFile, type Packet } from '#domain/dispute/evidence';
import { lint, type KnownCharges } from '#domain/dispute/linter';
import { refundHint } from '#domain/dispute/refund-hint';
import type { ActionRequired, Refund, Rejection } from '#domain/refund/refund';

const whole = (amount: bigint | null) => (amount === null ? null : Number(amount));
const time = (at: Date | null) => (at === null ? null : at.toISOString());

/** A refund as events carry it. */
export function refundSummary(refund: Refund, payment: Payment): RefundSummary {
  return {
    id: refund.id,
    account: refund.account,
    provider: refund.provider as Provider,
    paymentId: payment.name,
    status: refund.status,
    attention: refund.attention,
    amount: whole(refund.amount),
    currency: refund.currency,
    reason: refund.reason,
    reference: refund.reference,
    origin: refund.origin,
    providerRefundId: refund.providerRefundId,
    providerStatus: refund.providerStatus,
    pendingReason: refund.pendingReason,
    failureCode: refund.failureCode,
    bankReference: refund.bankReference,
    actionRequired: publicAction(refund.actionRequired),
    attempts: refund.origin === 'discovered' ? 0 : refund.attempt,
    warnings: warningsOf(payment),
    rejection: refund.rejection === null ? null : publicRejection(refund.rejection),
    version: refund.version,
    createdAt: refund.createdAt.toISOString(),
    updatedAt: refund.updatedAt.toISOString(),
    finalAt: time(refund.finalAt),
  };
}

/** What to know about a refund of this payment although it is allowed: an inquiry may become a chargeback of what was given back. */
function warningsOf(payment: Payment): readonly string[] {
  return payment.inquiries > 0 ? ['open_inquiry'] : [];
}

/** What to know about a payment, and why nothing of it can be refunded where that is so. */
export function paymentWarnings(payment: Payment): readonly string[] {
  const { readAt, refusal, refundable } = payment;
  const all = [
    ...warningsOf(payment),
    ...(readAt !== null && overdrawn(payment) ? ['overdrawn'] : []),
    ...(refusal === null ? [] : [refusal.code]),
    ...(refundable ? [] : ['payment_disputed']),
  ];
  return [...new Set(all)];
}

/** A dispute as events carry it and HTTP shows it. */
export function publicDispute(dispute: Dispute, payment: Payment): PublicDispute {
  const { decision } = dispute;
  return {
    id: dispute.id,
    account: dispute.account,
    provider: dispute.provider as Provider,
    providerDisputeId: dispute.providerDisputeId,
    paymentId: payment.name,
    stage: dispute.stage,
    status: dispute.status,
    money: dispute.money,
    providerStatus: dispute.providerStatus,
    attention: dispute.attention,
    amount: Number(dispute.amount),
    currency: dispute.currency,
    reason: dispute.reason,
    networkReasonCode: dispute.networkReasonCode,
    network: dispute.network,
    dueBy: time(dispute.dueBy),
    decideBy: time(dispute.decideBy),
    submissions: dispute.submissions,
    decision:
      decision === null
        ? null
        : {
            kind: decision.kind,
            state: decision.state,
            by: decision.by,
            at: decision.at.toISOString(),
            version: decision.version,
          },
    refundable: dispute.refundable,
    version: dispute.version,
    openedAt: dispute.openedAt.toISOString(),
    createdAt: dispute.createdAt.toISOString(),
    updatedAt: dispute.updatedAt.toISOString(),
  };
}

export function publicWarning(warning: FraudWarning, payment: Payment): PublicWarning {
  const { id, account, providerWarningId, actionable, fraudType, openedAt } = warning;
  const provider = warning.provider as Provider;
  return {
    id,
    account,
    provider,
    providerWarningId,
    paymentId: payment.name,
    actionable,
    fraudType,
    openedAt: openedAt.toISOString(),
  };
}

/** A warning as HTTP shows it; `disputeFee` is what a dispute costs in the payment's currency, where that is known. */
export function shownWarning(warning: FraudWarning, payment: Payment, disputeFee: bigint | null): ShownFraudWarning {
  const { verdict, disputeFee: fee, upTo } = refundHint(available(payment), disputeFee);
  const hint = { verdict, disputeFee: whole(fee), upTo: whole(upTo) };
  return { ...publicWarning(warning, payment), refundHint: warning.actionable ? hint : null };
}

/** The evidence of a dispute. Score and findings are of what would go out now. */
export function publicEvidence(dispute: Dispute, draft: Draft, packets: readonly Packet[], known: KnownCharges): PublicEvidence {
  const answer = answerFrom(draft, dispute.stage === 'appeal');
  const { score, version, row, productType, items, missing } = completeness(dispute, answer);
  return {
    disputeId: dispute.id,
    version: draft.version,
    evidence: draft.content,
    files: draft.files.map(publicFile),
    changes: draft.changes.map(({ at, ...change }) => ({ ...change, at: at.toISOString() })),
    score: { score, version, row, productType, items: items.map(publicItem), missing: missing.map(publicItem) },
    findings: lint(dispute, answer, known),
    stagedVersion: draft.stagedVersion,
    staged: draft.staged,
    packets: packets.map(({ round, version: sent, content, files, emptied, by, decidedAt, submittedAt }) => ({
      round,
      version: sent,
      evidence: content,
      files: files.map(publicFile),
      emptied,
      by,
      decidedAt: decidedAt.toISOString(),
      submittedAt: time(submittedAt),
    })),
  };
}

export function publicFile({
  id,
  place,
  name,
  type,
  size,
  pages,
  digest,
  providerFileId,
  by,
  addedAt,
}: EvidenceFile): PublicFile {
  return { id, field: place, name, type, size, pages, digest, providerFileId, by, addedAt: addedAt.toISOString() };
}

const publicItem = (line: CompletenessItem): EvidenceItem => {
  const { kind, given, why } = line;
  return { kind, oneOf: 'item' in line ? [line.item] : line.oneOf, given, why };
};

function publicAction(action: ActionRequired | null): PublicAction | null {
  return action === null ? null : { what: action.what, until: time(action.until) };
}

export function publicRejection({ code, detail }: Rejection): PublicRejection {
  return { code: code as Code, detail };
}

/** A refund as HTTP shows it, with what people wrote into it. */
export function publicRefund(refund: Refund, payment: Payment, warnings: readonly string[] = []): PublicRefund {
  const summary = refundSummary(refund, payment);
  return { ...summary, warnings: [...summary.warnings, ...warnings], note: refund.note, metadata: refund.metadata };
}

/** What is left of a payment. The currency is unknown until the provider has been read. */
export function balance(payment: Payment): PaymentBalance {
  return {
    account: payment.account,
    provider: payment.provider as Provider,
    paymentId: payment.name,
    aliases: payment.aliases,
    currency: payment.currency,
    captured: Number(payment.captured),
    reserved: Number(payment.reserved),
    refunded: Number(payment.refunded),
    disputed: Number(payment.disputed),
    lost: Number(payment.lost),
    available: Number(available(payment)),
    // What was captured is not known before the first reading.
    overdrawn: payment.readAt !== null && overdrawn(payment),
    basis: payment.basis,
    readAt: time(payment.readAt),
  };
}

/** The newest balance, for the compacted topic; null while there is nothing to say. */
export function refundability(payment: Payment): Refundability | null {
  if (payment.currency === null || payment.version === 0) return null;
  return { ...balance(payment), currency: payment.currency, version: payment.version };
}

/** What a refund that has still to be sent should be known to wait for. */
export function waitsFor({ account, provider, status }: Refund, pauses: readonly Pause[]): readonly string[] {
  const isToBeSent = status === 'approved' || status === 'submitted' || status === 'outcome_unknown';
  return isToBeSent && pauses.some((pause) => covers(pause, { account, provider })) ? ['sending_paused'] : [];
}

export function publicPause({ provider, account, reason, by, since, automatic }: Pause): SendingPause {
  return { scope: { provider: provider as Provider | null, account }, reason, by, since: since.toISOString(), automatic };
}
