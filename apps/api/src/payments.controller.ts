import { Controller, Get, Param, Req } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import { balance, paymentWarnings, publicDispute, shownWarning } from '#application/messages';
import { validate } from '#contracts/read-body';
import type { Payment } from '#contracts/refund-events';
import { feeSeen } from '#domain/dispute/refund-hint';
import { DisputeViews } from '#persistence/dispute-views';
import { Views } from '#persistence/views';
import { Describe } from './openapi.js';
import { Refusal } from './problems.js';
import { shownRefund } from './refunds.controller.js';
import { AccountQuery, PaymentPath, queryOf, type CallerRequest } from './requests.js';

/** Of each kind; more are in the lists. */
const most = 100;

@ApiTags('Payments')
@Controller('v1/payments')
export class PaymentsController {
  constructor(
    private readonly views: Views,
    private readonly disputes: DisputeViews,
  ) {}

  @Get(':provider/:paymentId')
  @Describe({
    does: 'Show a payment: its balance, its refunds, its disputes, and what banks have warned of',
    params: { provider: 'Who took it: stripe or zamp.', paymentId: 'Any id of the payment.' },
    query: AccountQuery,
    answers: [200, 'Payment', 'The payment, with up to a hundred of its refunds and disputes; more are in the lists of those.'],
    refuses: ['not_found'],
  })
  async one(
    @Param('provider') provider: string,
    @Param('paymentId') paymentId: string,
    @Req() request: CallerRequest,
  ): Promise<Payment> {
    const { account = 'default' } = queryOf(AccountQuery, request);
    const couldBe = validate(PaymentPath, { provider, paymentId }).ok;
    const payment = couldBe ? await this.views.payment(account, provider, paymentId) : null;
    if (payment === null) {
      const detail = 'Nobody has asked for a refund of such a payment here, and no bank has questioned it.';
      throw new Refusal('not_found', { detail });
    }
    const [refunds, pauses, disputes, warnings] = await Promise.all([
      this.views.refundsOf(payment.key, most),
      this.views.pauses(),
      this.disputes.disputesOf(payment.key, most),
      this.disputes.warningsOf(payment.key, most),
    ]);
    const isToBeWeighed = payment.currency !== null && warnings.some(({ actionable }) => actionable);
    const seen = isToBeWeighed ? await this.disputes.lateInOrder(payment.account, 50) : [];
    const fee = payment.currency === null ? null : feeSeen(seen, payment.currency);
    return {
      ...balance(payment),
      refunds: refunds.map((view) => shownRefund(view, pauses)),
      disputes: disputes.map(({ dispute }) => publicDispute(dispute, payment)),
      fraudWarnings: warnings.map((warning) => shownWarning(warning, payment, fee)).toReversed(),
      warnings: paymentWarnings(payment),
    };
  }
}
