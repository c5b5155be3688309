import type Stripe from 'stripe';
import type { DisputeReport } from '#domain/dispute/dispute';
import {
  DisputeProvider,
  type DisputeAnswer,
  type DisputesAnswer,
  type DisputeSendAnswer,
  type EvidenceOrder,
  type FileToUpload,
  type UploadAnswer,
  type WarningAnswer,
} from '#domain/ports/dispute-provider';
import type { CallContext } from '#domain/ports/refund-provider';
import { idOf, inWords, proofOf, type Row } from './stripe-answers.js';
import { entriesOf, isName, pageSize, StripeClient, Unreadable, type StripeAccount } from './stripe-client.js';
import { disputeRefusals, foundDispute, foundWarning, uploadRefusals } from './stripe-dispute-answers.js';
import { evidenceFor } from './stripe-evidence.js';

/** Disputes over Stripe. docs.stripe.com/disputes/api, docs.stripe.com/api/disputes */
export class StripeDisputes extends DisputeProvider {
  override readonly provider = 'stripe';
  override readonly account: string;
  private readonly stripe: Stripe;

  constructor(
    account: StripeAccount,
    private readonly client = new StripeClient(account),
  ) {
    super();
    this.account = client.account;
    this.stripe = client.api;
  }

  override readDispute(providerDisputeId: string, call: CallContext): Promise<DisputeAnswer> {
    return this.client.reading<DisputeAnswer>(providerDisputeId, call, async () => {
      return { kind: 'found', report: await this.retrieved(providerDisputeId, call) };
    });
  }

  override async listDisputes(since: Date, after: string | null, call: CallContext): Promise<DisputesAnswer> {
    const answer = await this.client.reading<DisputesAnswer>('disputes', call, async () => {
      const page = await this.stripe.disputes.list({
        created: { gte: Math.floor(since.getTime() / 1_000) },
        limit: pageSize,
        ...(after === null ? {} : { starting_after: after }),
      });
      // One that cannot be read must not keep all others from being seen.
      const { entries, next } = entriesOf(page, (each) => foundDispute(each, call.now) ?? disputeIdIn(each));
      const disputes = entries.filter((each) => typeof each !== 'string');
      const unread = entries.filter((each) => typeof each === 'string');
      return { kind: 'page', disputes, unread, next };
    });
    return answer.kind === 'absent' ? { kind: 'unread', why: 'the list was not found' } : answer;
  }

  override readWarning(providerWarningId: string, call: CallContext): Promise<WarningAnswer> {
    return this.client.reading<WarningAnswer>(providerWarningId, call, async () => {
      const warning = foundWarning(await this.stripe.radar.earlyFraudWarnings.retrieve(providerWarningId), call.now);
      if (warning === null) throw new Unreadable('the answer is no early fraud warning');
      return { kind: 'found', warning };
    });
  }

  /** The file stands in the dispute by its id, so it is of no use to anybody before the evidence names it. docs.stripe.com/file-upload */
  override upload({ name, type, bytes }: FileToUpload, key: string, call: CallContext): Promise<UploadAnswer> {
    return this.sending<UploadAnswer>(uploadRefusals, call, async () => {
      const file = await this.stripe.files.create(
        { purpose: 'dispute_evidence', file: { data: bytes, name, type } },
        { idempotencyKey: key, maxNetworkRetries: 0 },
      );
      const isFile = file.object === 'file' && typeof file.id === 'string' && isName(file.id);
      return isFile ? { kind: 'uploaded', providerFileId: file.id } : { kind: 'unknown', why: 'the answer is no file' };
    });
  }

  /** An update without `submit: false` would submit, once and for all. docs.stripe.com/api/disputes/update#update_dispute-submit */
  override stage(order: EvidenceOrder, key: string, call: CallContext): Promise<DisputeSendAnswer> {
    const { providerDisputeId: id } = order;
    if (!isName(id)) return Promise.resolve(noDispute);
    return this.sending<DisputeSendAnswer>(disputeRefusals, call, () =>
      this.taken(this.stripe.disputes.update(id, { evidence: evidenceFor(order), submit: false }, options(key)), call),
    );
  }

  override submit(order: EvidenceOrder, key: string, call: CallContext): Promise<DisputeSendAnswer> {
    return this.afterALook(order, call, () =>
      this.stripe.disputes.update(order.providerDisputeId, { evidence: evidenceFor(order), submit: true }, options(key)),
    );
  }

  /** docs.stripe.com/api/disputes/close */
  override accept(
    order: Pick<EvidenceOrder, 'providerDisputeId' | 'stage'>,
    key: string,
    call: CallContext,
  ): Promise<DisputeSendAnswer> {
    const { providerDisputeId, stage } = order;
    return this.afterALook({ providerDisputeId, stage }, call, () =>
      this.stripe.disputes.close(providerDisputeId, {}, options(key)),
    );
  }

  /** What cannot be undone: the dispute is read, and nothing is sent unless it still waits for just this. */
  private async afterALook(
    order: Awaited,
    call: CallContext,
    send: () => Promise<Stripe.Response<Stripe.Dispute>>,
  ): Promise<DisputeSendAnswer> {
    const before = await this.readDispute(order.providerDisputeId, call);
    switch (before.kind) {
      case 'absent':
        return noDispute;
      case 'unread':
        return { kind: 'unsent', why: `read before it is sent: ${before.why}` };
      case 'later':
      case 'parked':
        return before;
      case 'found':
    }
    const { status, providerStatus } = before.report;
    if (status === 'unknown') return { kind: 'unsent', why: `nobody knows what ${providerStatus} means` };
    if (!isAwaited(before.report, order)) return { kind: 'overtaken', report: before.report };
    const answer = await this.sending<DisputeSendAnswer>(disputeRefusals, call, () => this.taken(send(), call));
    if (answer.kind !== 'refused' || answer.code !== 'dispute_not_open') return answer;
    // Between our look and our call somebody may have answered, or an earlier call of ours was slower than we thought.
    const after = await this.readDispute(order.providerDisputeId, call);
    if (after.kind !== 'found') return { kind: 'unknown', why: `${answer.detail}, and it could not be read since` };
    return isAwaited(after.report, order) ? answer : { kind: 'overtaken', report: after.report };
  }

  /** A repeated key brings back the first answer, up to a day old; what became of the dispute since stands in the dispute. */
  private async taken(sent: Promise<Stripe.Response<Stripe.Dispute>>, call: CallContext): Promise<DisputeSendAnswer> {
    const dispute = await sent;
    const report = reportOf(dispute, call.now);
    if (dispute.lastResponse.headers['idempotent-replayed'] !== 'true') return { kind: 'taken', report };
    const now = await this.readDispute(report.providerDisputeId, call);
    if (now.kind === 'found') return { kind: 'taken', report: now.report };
    return { kind: 'unknown', why: 'it was taken before, and could not be read since' };
  }

  /** Never throws: what proves nothing is `unknown`. */
  private async sending<A>(rows: readonly Row[], call: CallContext, work: () => Promise<A>): Promise<A | NotTaken> {
    try {
      return await this.client.during(call, work);
    } catch (error) {
      if (error instanceof Unreadable) return { kind: 'unknown', why: error.message };
      const proof = proofOf(error, rows);
      switch (proof.proves) {
        case 'unknown':
          return { kind: 'unknown', why: inWords(error) };
        case 'later':
          return { kind: 'later', limit: proof.limit, why: inWords(error) };
        case 'parked':
          return { kind: 'parked', why: inWords(error) };
        case 'refused':
          return { kind: 'refused', code: proof.code, detail: inWords(error) };
      }
    }
  }

  private async retrieved(id: string, call: CallContext): Promise<DisputeReport> {
    return reportOf(await this.stripe.disputes.retrieve(id), call.now);
  }
}

type NotTaken = Extract<UploadAnswer, { kind: 'refused' | 'unknown' | 'later' | 'parked' }>;
type Awaited = Pick<EvidenceOrder, 'providerDisputeId' | 'stage'> & Partial<Pick<EvidenceOrder, 'submissions'>>;

/** The id of what is a dispute, whatever else it has in it. */
const disputeIdIn = (each: unknown) => ((each as { object?: unknown } | null)?.object === 'dispute' ? idOf(each) : null);

const noDispute: DisputeSendAnswer = { kind: 'refused', code: 'dispute_not_found', detail: 'Stripe has no such dispute.' };
const options = (key: string) => ({ idempotencyKey: key, maxNetworkRetries: 0 });

function reportOf(dispute: unknown, at: Date): DisputeReport {
  const report = foundDispute(dispute, at);
  if (report === null) throw new Unreadable('the answer is no dispute');
  return report;
}

/** Whether a dispute still waits for what was decided: an answer is due, in the same stage, and nobody has given one since. */
function isAwaited(report: DisputeReport, { stage, submissions }: Awaited): boolean {
  return (
    report.status === 'needs_response' && report.stage === stage && report.submissions <= (submissions ?? report.submissions)
  );
}
