import type { Books, StripeDispute, StripePayment } from './books.js';
import type { Clock } from './clock.js';
import { randomLetters } from './ids.js';
import { drawWarning } from './stripe-dispute-objects.js';
import type { StripeDisputes } from './stripe-disputes.js';
import { type Endpoint, EXPAND, found, PAGE, page, TEXT } from './stripe-endpoints.js';
import { EVIDENCE } from './stripe-evidence.js';
import { drawFile, PURPOSES, takeIn } from './stripe-files.js';
import type { StripeObjects } from './stripe-objects.js';
import { type Params, withMetadata } from './stripe-params.js';

const METHODS = ['manual', 'prefer_manual', 'prefer_smart_disputes', 'smart_disputes'] as const;

/** Stripe's calls about disputes, evidence files and early fraud warnings. */
export class StripeDisputeCalls {
  constructor(
    private readonly books: Books,
    private readonly clock: Clock,
    private readonly objects: StripeObjects,
    private readonly disputes: StripeDisputes,
  ) {}

  endpoints(): Endpoint[] {
    const { disputes, files, payments, warnings } = this.books.stripe;
    const draw = (dispute: StripeDispute) => this.objects.dispute(dispute, this.clock.seconds());
    return [
      {
        call: 'disputes.list',
        method: 'GET',
        path: '/v1/disputes',
        fields: { ...PAGE, charge: TEXT, payment_intent: TEXT },
        execute: ({ params }) =>
          page('/v1/disputes', params, this.ofPayment(params, disputes.newestFirst()), (dispute) => dispute.id, draw),
      },
      {
        call: 'disputes.retrieve',
        method: 'GET',
        path: '/v1/disputes/:id',
        fields: EXPAND,
        execute: ({ id }) => draw(found(disputes.get(id), 'dispute', id)),
      },
      {
        call: 'disputes.update',
        method: 'POST',
        path: '/v1/disputes/:id',
        fields: {
          ...EXPAND,
          evidence: EVIDENCE,
          intended_submission_method: { is: 'text', oneOf: METHODS },
          metadata: { is: 'metadata' },
          submit: { is: 'flag' },
        },
        locks: ({ id }) => id,
        execute: ({ id, params, cause }) => {
          const dispute = found(disputes.get(id), 'dispute', id);
          const changes = params.metadata();
          const update = {
            evidence: params.hash('evidence'),
            submit: params.has('submit') ? params.flag('submit') : undefined,
            metadata: changes && withMetadata(dispute.metadata, changes),
            method: params.text('intended_submission_method'),
          };
          this.disputes.update(dispute, update, cause);
          return draw(dispute);
        },
      },
      {
        call: 'disputes.close',
        method: 'POST',
        path: '/v1/disputes/:id/close',
        fields: EXPAND,
        locks: ({ id }) => id,
        execute: ({ id, cause }) => {
          const dispute = found(disputes.get(id), 'dispute', id);
          this.disputes.close(dispute, cause);
          return draw(dispute);
        },
      },
      {
        call: 'files.create',
        method: 'POST',
        path: '/v1/files',
        fields: {
          ...EXPAND,
          file: { is: 'text', needed: true },
          file_link_data: {
            is: 'hash',
            fields: { create: { is: 'flag' }, expires_at: { is: 'integer', min: 0 }, metadata: { is: 'metadata' } },
          },
          purpose: { is: 'text', needed: true, oneOf: PURPOSES },
        },
        uploads: true,
        execute: ({ params, cause, upload }) => {
          const file = takeIn(upload, {
            id: `file_3${randomLetters(23)}`,
            purpose: params.text('purpose') ?? '',
            idempotencyKey: cause.idempotencyKey,
            created: this.clock.seconds(),
          });
          files.put(file.id, file);
          return drawFile(file);
        },
      },
      {
        call: 'files.retrieve',
        method: 'GET',
        path: '/v1/files/:id',
        fields: EXPAND,
        execute: ({ id }) => drawFile(found(files.get(id), 'file upload', id)),
      },
      {
        call: 'early_fraud_warnings.list',
        method: 'GET',
        path: '/v1/radar/early_fraud_warnings',
        fields: { ...PAGE, charge: TEXT, payment_intent: TEXT },
        execute: ({ params }) =>
          page(
            '/v1/radar/early_fraud_warnings',
            params,
            this.ofPayment(params, warnings.newestFirst()),
            (warning) => warning.id,
            (warning) => drawWarning(warning, payments.get(warning.paymentId)),
          ),
      },
      {
        call: 'early_fraud_warnings.retrieve',
        method: 'GET',
        path: '/v1/radar/early_fraud_warnings/:id',
        fields: EXPAND,
        execute: ({ id }) => {
          const warning = found(warnings.get(id), 'early fraud warning', id);
          return drawWarning(warning, payments.get(warning.paymentId));
        },
      },
    ];
  }

  private ofPayment<Row extends { paymentId: string }>(params: Params, rows: Row[]): Row[] {
    const { payments, charges } = this.books.stripe;
    const [chargeId, intentId] = [params.text('charge'), params.text('payment_intent')];
    const wanted: StripePayment[] = [];
    if (chargeId !== undefined) wanted.push(found(payments.get(charges.get(chargeId) ?? ''), 'charge', chargeId, 'charge'));
    if (intentId !== undefined) wanted.push(found(payments.get(intentId), 'payment_intent', intentId, 'payment_intent'));
    return rows.filter((row) => wanted.every((payment) => payment.id === row.paymentId));
  }
}
