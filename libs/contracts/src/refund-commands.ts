import {
  Account,
  Currency,
  Flag,
  Message,
  OneOf,
  OurId,
  ProviderId,
  Text,
  TextMap,
  Whole,
  bothOrNeither,
  notWith,
  trueOnlyWith,
  type Class,
} from '#contracts/fields';

/** The companies that we move money through. */
export const providers = ['stripe', 'zamp'] as const;
export type Provider = (typeof providers)[number];

/** Why money goes back, in the caller's word. */
export const refundReasons = ['requested_by_customer', 'duplicate', 'fraudulent', 'other'] as const;
export type RefundReason = (typeof refundReasons)[number];

/** What a person found out about a refund whose outcome nobody could tell. */
export const resolutions = ['succeeded', 'failed', 'not_created'] as const;
export type Resolution = (typeof resolutions)[number];

const RefundId = () => OurId('rf', { about: 'The refund, by our id.', example: 'rf_01HZX3J9' });

/** The body of POST /v1/refunds and of its preview, and the data of `redress.RequestRefund.v1`. */
@Message('Asks for money to be sent back to the shopper.', [
  bothOrNeither('amount', 'currency', 'to refund all that is left'),
  trueOnlyWith('blockCustomer', 'reason', 'fraudulent'),
])
export class RequestRefund {
  @Account({ about: 'The configured account at the provider.', otherwise: 'default', optional: true })
  readonly account: string = 'default';

  @OneOf(providers, { about: 'Who took the payment.', example: 'stripe' })
  declare readonly provider: Provider;

  @ProviderId({ about: 'The payment: at Stripe a PaymentIntent or a charge, at Zamp a payment session.', example: 'pi_3QxYz' })
  declare readonly paymentId: string;

  @Whole({
    min: 1,
    of: 'minor units',
    about: 'In ISO 4217 minor units (cents). Left out together with currency: all that is left when the refund is admitted.',
    example: 1050,
    optional: true,
  })
  declare readonly amount?: number;

  @Currency({ about: 'ISO 4217, and that of the payment.', example: 'USD', optional: true })
  declare readonly currency?: string;

  @OneOf(refundReasons, {
    about:
      'Why. "fraudulent" reaches Stripe only with blockCustomer, because Stripe then puts card and e-mail on its block lists.',
    example: 'requested_by_customer',
    optional: true,
  })
  declare readonly reason?: RefundReason;

  @Flag({ about: 'Also have the provider block this customer; only with reason "fraudulent".', example: false, optional: true })
  declare readonly blockCustomer?: boolean;

  @Text({ max: 255, about: 'Yours; unique per account over both doors.', example: 'RMA-7', optional: true })
  declare readonly reference?: string;

  @Text({ max: 1000, about: 'For people; never published.', example: 'Box arrived empty', optional: true })
  declare readonly note?: string;

  @TextMap({
    about: 'Names and values of yours; neither handed to a provider nor published.',
    example: { orderId: '42' },
    optional: true,
  })
  declare readonly metadata?: Readonly<Record<string, string>>;

  @Whole({
    min: 0,
    of: 'minor units',
    about: 'What you believe is left to refund, in minor units; the refund is rejected when it is not.',
    example: 5000,
    optional: true,
  })
  declare readonly expectedAvailable?: number;
}

/** A second person agrees. */
@Message('Agrees to a refund that awaits approval.')
export class ApproveRefund {
  @RefundId()
  declare readonly refundId: string;
}

/** A second person does not agree. */
@Message('Turns down a refund that awaits approval; the room it held is given back.')
export class RejectRefund {
  @RefundId()
  declare readonly refundId: string;

  @Text({ max: 500, about: 'Why, for people; never published.', example: 'The goods were kept' })
  declare readonly reason: string;
}

/** Takes a refund back before anything was sent. */
@Message('Takes back a refund that has not been sent.')
export class CancelRefund {
  @RefundId()
  declare readonly refundId: string;
}

/** Starts the next attempt of a refund that ended without effect. */
@Message('Tries a failed, canceled or reversed refund again, as a new attempt.')
export class RetryRefund {
  @RefundId()
  declare readonly refundId: string;

  @Text({ max: 500, about: 'Why, for people; never published.', example: 'The shopper has a new card', optional: true })
  declare readonly reason?: string;
}

/** Asks the provider now, instead of waiting for its word. */
@Message('Reads the refund at its provider now.')
export class SyncRefund {
  @RefundId()
  declare readonly refundId: string;
}

/** A person's word on an outcome that could not be found out. */
@Message('Settles a refund whose outcome is unknown, by what a person found out at the provider.', [
  notWith('providerRefundId', 'outcome', 'not_created'),
])
export class ResolveRefund {
  @RefundId()
  declare readonly refundId: string;

  @OneOf(resolutions, { about: 'What became of it; "not_created": the provider never had it.', example: 'succeeded' })
  declare readonly outcome: Resolution;

  @ProviderId({ about: "The provider's id of the refund, where there is one.", example: 're_3QxYz', optional: true })
  declare readonly providerRefundId?: string;

  @Text({ max: 500, about: 'How you know, for people; never published.', example: 'Confirmed by the provider by mail' })
  declare readonly reason: string;
}

/** A person has seen why a refund asks for attention. */
@Message('Ends the attention that a refund asks for, where a person has only to know of it.')
export class AcknowledgeRefund {
  @RefundId()
  declare readonly refundId: string;

  @Text({ max: 500, about: 'What was done about it, for people; never published.', example: 'The shopper was paid by transfer' })
  declare readonly reason: string;
}

/**
 * The commands that come in on `refunds.commands.v1`, by `ce_type`. Over HTTP those with a `refundId` have it in the path: the
 * door hands it to `readBody` as already known, so one class is both.
 */
export const refundCommands = {
  'redress.RequestRefund.v1': RequestRefund,
  'redress.ApproveRefund.v1': ApproveRefund,
  'redress.RejectRefund.v1': RejectRefund,
  'redress.CancelRefund.v1': CancelRefund,
  'redress.RetryRefund.v1': RetryRefund,
  'redress.SyncRefund.v1': SyncRefund,
  'redress.ResolveRefund.v1': ResolveRefund,
  'redress.AcknowledgeRefund.v1': AcknowledgeRefund,
} as const satisfies Record<string, Class>;

export type RefundCommandType = keyof typeof refundCommands;
export type RefundCommand = InstanceType<(typeof refundCommands)[RefundCommandType]>;
