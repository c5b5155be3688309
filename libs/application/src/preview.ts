/* What would become of a refund, by the very functions that would decide it, and without a trace. */
import type { AdmissionSettings } from '#application/admission';
import { balance, paymentWarnings, publicRejection } from '#application/messages';
import type { Providers } from '#application/providers';
import { codes } from '#contracts/codes';
import type { RequestRefund } from '#contracts/refund-commands';
import type { RefundPreview } from '#contracts/refund-events';
import type { Money } from '#domain/money';
import { admit, available, type Payment } from '#domain/payment/payment';
import { requested, type Rejection } from '#domain/refund/refund';

/** What the decision rests on, as it stands now. */
export interface PreviewFacts {
  readonly now: Date;
  readonly payment: Payment | null;
  /** The refund that has the reference already, if any. */
  readonly referenceHolder: string | null;
}

/** In the same order as a request is decided: see refund-commands and admission. */
export function previewRefund(
  body: RequestRefund,
  facts: PreviewFacts,
  providers: Providers,
  settings: AdmissionSettings,
): RefundPreview {
  const { payment, now, referenceHolder } = facts;
  const provider = providers.refundsOf(body.account, body.provider);
  if (provider === undefined) return preview(payment, refused('unknown_account'));
  if (referenceHolder !== null) return preview(payment, refused('reference_already_used'));
  const asked =
    body.amount === undefined || body.currency === undefined ? null : { amount: BigInt(body.amount), currency: body.currency };
  const carried = asked === null ? null : provider.canCarry(asked);
  if (carried !== null && !carried.ok) return preview(payment, carried.error);
  if (payment === null || payment.waiting > 0) return preview(payment, asked);

  const refund = requested(
    {
      id: '',
      account: body.account,
      provider: body.provider,
      paymentKey: payment.key,
      namedPayment: body.paymentId,
      amount: asked?.amount ?? null,
      currency: asked?.currency ?? null,
      reason: body.reason ?? null,
      blockCustomer: body.blockCustomer ?? false,
      reference: body.reference ?? null,
      note: null,
      metadata: {},
      expectedAvailable: body.expectedAvailable === undefined ? null : BigInt(body.expectedAvailable),
    },
    now,
  );
  const admission = admit(refund, payment, { now, factsMaxAgeMs: settings.factsMaxAgeMs, needsApproval: false });
  if (!admission.decided) return preview(payment, asked);
  const { rejection, amount, currency } = admission.events[0]?.changes ?? {};
  if (rejection != null) return preview(payment, rejection);
  if (amount == null || currency == null) return preview(payment, asked);
  const possible = provider.canCarry({ amount, currency });
  return possible.ok ? preview(payment, { amount, currency }, 'admitted') : preview(payment, possible.error);
}

function refused(code: 'unknown_account' | 'reference_already_used'): Rejection {
  return { code, detail: codes[code] };
}

function preview(payment: Payment | null, found: Money | Rejection | null, admitted?: 'admitted'): RefundPreview {
  const rejection = found !== null && 'code' in found ? found : null;
  const money = found !== null && 'amount' in found ? found : null;
  const wouldBe = rejection === null ? (admitted ?? 'payment_is_read_first') : 'rejected';
  const isKnown = payment !== null && payment.readAt !== null;
  return {
    wouldBe,
    rejection: rejection === null ? null : publicRejection(rejection),
    amount: money === null ? null : Number(money.amount),
    currency: money?.currency ?? null,
    availableAfter:
      wouldBe === 'admitted' && payment !== null && money !== null ? Number(available(payment) - money.amount) : null,
    payment: isKnown ? balance(payment) : null,
    warnings: isKnown ? paymentWarnings(payment) : [],
  };
}
