/*
 * What must be true of a story when it is over, judged from what clients did, what the providers' books say, and what was told. It knows
 * nothing of how Redress works, so that it can be read, and believed, by somebody who does not either.
 */

/** What a client did and heard: a command without an end is one of which nobody knows. */
export interface Deed {
  readonly commandId: string;
  readonly refundId: string;
  readonly door: 'http' | 'kafka';
  readonly did: 'invoked' | 'ok' | 'refused' | 'unknown';
}

export interface BookedMoney {
  readonly provider: string;
  readonly id: string;
  /** The refund of ours that the provider's books name; null: somebody else's. */
  readonly refundId: string | null;
  readonly payment: string;
  readonly amount: bigint;
  readonly stands: boolean;
  readonly says: string;
}

export interface Told {
  readonly id: string;
  readonly topic: string;
  readonly type: string;
  /** The refund or dispute it is about. */
  readonly subject: string;
  readonly payment: string | null;
  readonly sequence: bigint | null;
  /** Of outcomes: the command. */
  readonly commandId: string | null;
  /** Of outcomes: why it was rejected. */
  readonly code: string | null;
}

export interface Kept {
  readonly id: string;
  readonly status: string;
  readonly providerRefundId: string | null;
  readonly provider: string;
  readonly payment: string;
  /** `command`, or how else we came to know of it. */
  readonly origin: string;
  readonly attention: string | null;
}

/** A dispute as the provider has it, and as we say. */
export interface Case {
  readonly id: string;
  readonly says: string;
  readonly ours: string | null;
}

export interface Story {
  readonly deeds: readonly Deed[];
  readonly books: readonly BookedMoney[];
  readonly captured: ReadonlyMap<string, bigint>;
  readonly told: readonly Told[];
  readonly refunds: readonly Kept[];
  readonly disputes: readonly Case[];
}

/** What is wrong, in words; nothing where all is well. */
export function judge({ deeds, books, captured, told, refunds, disputes }: Story): string[] {
  const wrong: string[] = [];
  const standing = books.filter(({ stands }) => stands);

  // One effect: whatever was sent how often, one movement per refund that did not fail.
  for (const [refundId, moved] of groups(standing, (each) => each.refundId)) {
    if (moved.length > 1)
      wrong.push(`${refundId} has moved money ${moved.length} times: ${moved.map(({ id }) => id).join(', ')}`);
  }
  // Nothing was moved that nobody asked for.
  const asked = new Set(deeds.map(({ refundId }) => refundId));
  for (const { id, refundId } of books) if (refundId !== null && !asked.has(refundId)) wrong.push(`nobody asked for ${id}`);
  // Never more than there was.
  for (const [payment, moved] of groups(standing, (each) => each.payment)) {
    const sum = moved.reduce((total, { amount }) => total + amount, 0n);
    if (sum > (captured.get(payment) ?? 0n)) wrong.push(`${sum} went back of ${payment}`);
  }
  // Each command that came over Kafka has one outcome, and repeats of it.
  const outcomes = groups(
    // Another body under the same key is another command.
    told.filter(({ type, code }) => /\.command\.(accepted|rejected)\./.test(type) && code !== 'idempotency_key_reused'),
    (each) => each.commandId,
  );
  const invoked = new Set(
    deeds.filter(({ door, did }) => door === 'kafka' && did === 'invoked').map(({ commandId }) => commandId),
  );
  for (const commandId of invoked) {
    const count = outcomes.get(commandId)?.length ?? 0;
    if (count !== 1) wrong.push(`command ${commandId} has ${count} outcomes`);
  }
  // Who was told that it was taken on finds a refund.
  const kept = new Map(refunds.map((each) => [each.id, each]));
  for (const { refundId, did } of deeds)
    if (did === 'ok' && !kept.has(refundId)) wrong.push(`${refundId} was taken on, and is not there`);
  // The events of a payment are numbered from 1 on, in order, each once.
  if (new Set(told.map(({ id }) => id)).size !== told.length) wrong.push('an event was told twice');
  for (const [payment, events] of groups(told, (each) => (each.sequence === null ? null : each.payment))) {
    const gap = events.findIndex(({ sequence }, index) => sequence !== BigInt(index + 1));
    if (gap >= 0) wrong.push(`event ${gap + 1} of payment ${payment} has the number ${events[gap]?.sequence}`);
  }
  // What the provider says is what we say, where it can be known.
  const byProviderId = new Map(refunds.map((each) => [`${each.provider} ${each.providerRefundId}`, each]));
  for (const { provider, id, says, stands } of books) {
    const ours = byProviderId.get(`${provider} ${id}`);
    // Zamp cannot be listed, and what has come to nothing need not be heard of.
    const isHeardOf = ours !== undefined || provider !== 'stripe' || !stands;
    const agrees = ours === undefined || ours.attention !== null || (agreeing[says] ?? []).includes(ours.status);
    if (!isHeardOf || !agrees)
      wrong.push(`${provider} says of ${id} that it is ${says}, and we say ${ours?.status ?? 'nothing'}`);
  }
  for (const { id, says, ours } of disputes) {
    if (ours !== says) wrong.push(`the bank says of ${id} that it is ${says}, and we say ${ours ?? 'nothing'}`);
  }
  // The unknown is never written down as a failure.
  const failed = new Set(books.flatMap(({ refundId, stands }) => (refundId === null || stands ? [] : [refundId])));
  for (const { type, subject } of told) {
    if (type === 'redress.refund.failed.v1' && kept.get(subject)?.origin === 'command' && !failed.has(subject))
      wrong.push(`${subject} was told as failed, and nobody had said so`);
  }
  // Nothing is stuck in silence; what waits behind one that asks for a person, waits for that person as well.
  const asks = new Set(refunds.flatMap(({ payment, attention }) => (attention === null ? [] : [payment])));
  for (const { id, status, payment } of refunds) {
    if (!final.has(status) && !asks.has(payment)) wrong.push(`${id} is ${status}, and asks for nobody`);
  }
  return wrong;
}

const agreeing: Readonly<Record<string, readonly string[]>> = {
  succeeded: ['succeeded'],
  failed: ['failed', 'reversed'],
  canceled: ['canceled', 'reversed'],
};

const final: ReadonlySet<string> = new Set(['succeeded', 'failed', 'canceled', 'rejected', 'reversed', 'awaiting_approval']);

function groups<T>(all: readonly T[], key: (each: T) => string | null): Map<string, T[]> {
  const found = new Map<string, T[]>();
  for (const each of all) {
    const name = key(each);
    if (name !== null) found.set(name, [...(found.get(name) ?? []), each]);
  }
  return found;
}
