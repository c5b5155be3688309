/*
 * The clock beside every open dispute. People are reminded before our deadline; when it comes and nobody has decided, a policy decides
 * if there is one, and else it is told as missed, while the margin to the provider's own deadline still lasts.
 */
import { inParts } from '#application/batcher';
import type { Book } from '#application/book';
import { decideToAccept, decideToSubmit } from '#application/dispute-decisions';
import type { DisputeWatch } from '#application/dispute-watch';
import type { WorkingSet } from '#application/working-set';
import { isUndecidedAt, remind, type Dispute, type DisputeTerms } from '#domain/dispute/dispute';

/** What is decided without a person when our deadline comes. */
export interface DisputePolicy {
  /** File the draft as it is, where nothing in it would be refused. */
  readonly fileAtDeadline: boolean;
  /** By currency, in minor units: less than this is accepted. Goes before filing. */
  readonly acceptBelow: Readonly<Record<string, bigint>>;
}

export interface WatchLog {
  failed(what: string, ids: Readonly<Record<string, string | null>>, error: unknown): void;
}

const causedBy = { causationId: null };

export class WatchDeadlines {
  constructor(
    private readonly watch: DisputeWatch,
    private readonly book: Book,
    private readonly terms: DisputeTerms,
    private readonly policy: DisputePolicy,
    private readonly log: WatchLog,
  ) {}

  /** Handles what is due, up to `limit`; returns how many there were. */
  async round(limit: number): Promise<number> {
    const due = await this.watch.due(limit);
    if (due.length === 0) return 0;
    await inParts(
      due,
      async (part) => {
        await this.book.transact({ disputes: part, evidence: part }, (set) => {
          for (const id of part) this.look(set, set.disputes.kept(id));
        });
        return part;
      },
      (dispute, error) => {
        this.log.failed('the deadline of a dispute could not be watched', { dispute }, error);
        return Promise.resolve(dispute);
      },
    );
    return due.length;
  }

  private look(set: WorkingSet, dispute: Dispute): void {
    // What the provider refused once it refuses again: that is for a person.
    if (isUndecidedAt(dispute, set.now) && dispute.attention !== 'provider_refused') this.decide(set, dispute);
    const now = set.disputes.kept(dispute.id);
    set.disputes.record(now.id, remind(now, this.terms, set.now), causedBy);
  }

  private decide(set: WorkingSet, dispute: Dispute): void {
    const { fileAtDeadline, acceptBelow } = this.policy;
    const by = 'policy';
    const bound = acceptBelow[dispute.currency];
    if (bound !== undefined && dispute.amount < bound) {
      const reason = `Less than ${bound} minor units of ${dispute.currency} is accepted.`;
      if (decideToAccept(set, dispute, { reason, by }, causedBy).ok) return;
    }
    if (fileAtDeadline) decideToSubmit(set, dispute, set.disputes.draft(dispute.id).version, by, causedBy);
  }
}
