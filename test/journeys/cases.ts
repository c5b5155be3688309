/* Disputes in a running system, as the people who work on them see them; and what banks do to them. */
import { createHash } from 'node:crypto';
import type { Dispute } from '#contracts/dispute-events';
import type { Answer, System } from './system.js';

/** A dispute as the simulators book it. */
export interface BookedDispute {
  readonly id: string;
  readonly status: string;
  readonly submissions: number;
  readonly closes: number;
  readonly packets: readonly { readonly evidence: Readonly<Record<string, unknown>>; readonly idempotencyKey: string | null }[];
}

/** Evidence as `GET …/evidence` shows it, as far as stories look at it. */
export interface ShownEvidence {
  readonly version: number;
  readonly evidence: Readonly<Record<string, unknown>>;
  readonly files: readonly { readonly id: string; readonly field: string; readonly name: string; readonly pages: number }[];
  readonly changes: readonly { readonly version: number; readonly fields: readonly string[]; readonly by: string }[];
  readonly score: { readonly score: number };
  readonly findings: readonly { readonly code: string; readonly severity: string; readonly path: string }[];
  readonly packets: readonly {
    readonly version: number;
    readonly evidence: Readonly<Record<string, unknown>>;
    readonly files: readonly { readonly field: string; readonly digest: string }[];
    readonly submittedAt: string | null;
  }[];
}

export class Cases {
  constructor(private readonly system: System) {}

  /** A dispute that a bank opens on a payment of its own, or on a given one; known to us once its webhook came. */
  async open(
    more: object = {},
    paid: { paymentId: string } | null = null,
  ): Promise<{ paymentId: string; disputeId: string; id: string }> {
    const { paymentId } = paid ?? (await this.system.pay({ provider: 'stripe', amount: 10_000 }));
    const { disputeId } = (await this.system.control('disputes', { paymentId, ...more })) as { disputeId: string };
    return { paymentId, disputeId, id: await this.known(disputeId) };
  }

  /** Our id of a dispute, once we have heard of it. */
  async known(disputeId: string): Promise<string> {
    let id: string | undefined;
    await this.system.until(`dispute ${disputeId} is known`, async () => (id = (await this.called(disputeId))?.id) !== undefined);
    return id ?? '';
  }

  async called(disputeId: string): Promise<Dispute | undefined> {
    const { body } = await this.system.call<{ data: Dispute[] }>('GET', `/v1/disputes?q=${disputeId}`);
    return body.data.find(({ providerDisputeId }) => providerDisputeId === disputeId);
  }

  async of(id: string): Promise<Dispute> {
    return (await this.system.call<Dispute>('GET', `/v1/disputes/${id}`)).body;
  }

  /** A dispute once it is so. */
  async that(what: string, id: string, holds: (dispute: Dispute) => boolean, withinMs?: number): Promise<Dispute> {
    let last: Dispute | undefined;
    await this.system.until(`dispute ${id} ${what}`, async () => holds((last = await this.of(id))), withinMs);
    if (last === undefined) throw new Error(`dispute ${id} was never read`);
    return last;
  }

  thatIs(status: string, id: string): Promise<Dispute> {
    return this.that(`is ${status}`, id, (dispute) => dispute.status === status);
  }

  /** What the bank or Stripe does next. */
  async bank(disputeId: string, does: string, more: object = {}): Promise<void> {
    await this.system.control(`disputes/${disputeId}`, { do: does, ...more });
  }

  async evidence(id: string): Promise<ShownEvidence> {
    return (await this.system.call<ShownEvidence>('GET', `/v1/disputes/${id}/evidence`)).body;
  }

  /** Changes the evidence as it stands now. */
  async write(id: string, changes: object): Promise<Answer<ShownEvidence>> {
    const { version } = await this.evidence(id);
    return this.system.call<ShownEvidence>('PATCH', `/v1/disputes/${id}/evidence`, changes, { 'if-match': String(version) });
  }

  async upload(id: string, field: string, bytes: Buffer, name = 'document.pdf', type = 'application/pdf'): Promise<Answer> {
    const form = new FormData();
    form.set('field', field);
    form.set('file', new Blob([new Uint8Array(bytes)], { type }), name);
    const answer = await fetch(`${this.system.api}/v1/disputes/${id}/evidence/files`, {
      method: 'POST',
      headers: { authorization: `Bearer ${this.system.adminKey}` },
      body: form,
    });
    return { status: answer.status, headers: answer.headers, body: await answer.json() };
  }

  /** Submits what the evidence says now. */
  async submit(id: string): Promise<Answer<Dispute>> {
    const { version } = await this.evidence(id);
    return this.system.call<Dispute>('POST', `/v1/disputes/${id}/submit`, { confirm: true, version });
  }

  accept(id: string): Promise<Answer<Dispute>> {
    return this.system.call<Dispute>('POST', `/v1/disputes/${id}/accept`, { confirm: true });
  }

  async booked(disputeId: string): Promise<BookedDispute> {
    const { payments } = (await this.system.books()) as unknown as { payments: { disputes: BookedDispute[] }[] };
    const found = payments.flatMap(({ disputes }) => disputes).find(({ id }) => id === disputeId);
    if (found === undefined) throw new Error(`the simulators have no dispute ${disputeId}`);
    return found;
  }

  /** The types of a dispute's events, oldest first. */
  async told(id: string, paymentId: string): Promise<string[]> {
    const { body } = await this.system.call<{ data: { type: string; subject: string }[] }>(
      'GET',
      `/v1/events?paymentId=${paymentId}&limit=100`,
    );
    return body.data
      .filter(({ subject }) => subject === id)
      .map(({ type }) => type.replace(/^redress\.dispute\.(\w+)\.v1$/, '$1'));
  }
}

export const digestOf = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');
