/*
 * What must be true of a story when it is over, judged from what clients did, what the providers' books say, and what was told. It knows
 * nothing of how Redress works, so that it can be read, and believed, by somebody who does not either.
 */

/** What a client did and heard: a command without an end is one of which nobody knows. */
export interface Deed {
  readonly commandId: string;
  /** The refund that it asks for; null: it is about what exists, or makes no sense. */
  readonly refundId: string | null;
  /** Where it spends the one answer to a dispute: the dispute, by the provider's id. */
  readonly answers?: string;
  readonly door: 'http' | 'kafka';
  /** What it asks for, in full. */
  readonly body: string;
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
  /** Of a refund's events: the refund as it stood then. */
  readonly refund: { readonly id: string; readonly status: string } | null;
}

export interface Kept {
  readonly id: string;
  readonly status: string;
  readonly providerRefundId: string | null;
  readonly provider: string;
  readonly payment: string;
  readonly amount: bigint | null;
  /** `command`, or how else we came to know of it. */
  readonly origin: string;
  readonly attention: string | null;
}

/** A dispute as the bank has it. */
export interface Case {
  readonly id: string;
  readonly stage: string;
  readonly status: string;
  /** The stages of the answers that came through us. */
  readonly answeredAt: readonly string[];
  /** The stages in which it was given up through us. */
  readonly givenUpAt: readonly string[];
  /** The provider's name of the payment, and how much of it the bank holds. */
  readonly payment: string;
  readonly held: bigint;
}

export interface KeptCase extends Pick<Case, 'id' | 'stage' | 'status'> {
  readonly attention: string | null;
  /** How far what we decided has come; null where nothing is decided. */
  readonly decision: string | null;
}

/** What a payment had, in its own currency. */
export interface Balance {
  readonly key: string;
  readonly captured: bigint;
  readonly reserved: bigint;
  readonly refunded: bigint;
  readonly disputed: bigint;
  readonly lost: bigint;
}

/** The events that a partition of Kafka's holds, by id, in order, with those that came again. */
export interface Partition {
  readonly topic: string;
  readonly ids: readonly string[];
}

export interface Story {
  readonly deeds: readonly Deed[];
  readonly books: readonly BookedMoney[];
  /** The refunds of ours that the providers refused to make, or that somebody looked for in their books and did not find. */
  readonly unmade: ReadonlySet<string>;
  readonly captured: ReadonlyMap<string, bigint>;
  readonly told: readonly Told[];
  readonly refunds: readonly Kept[];
  readonly published: readonly Partition[];
  readonly cases: readonly Case[];
  readonly keptCases: readonly KeptCase[];
  /** What payments have in the end, with the provider's names. */
  readonly balances: readonly (Balance & { readonly name: string })[];
  /** Whether disputes may also be answered by a policy, without anybody asking. */
  readonly hasPolicy: boolean;
  /** Messages that make no sense, letters that were kept of them, and those of them on Kafka. */
  readonly senseless: number;
  readonly letters: number;
  readonly lettersOut: number;
}

/** What is wrong, in words; nothing where all is well. */
export function judge(story: Story): string[] {
  const { deeds, books, captured, told, refunds, published } = story;
  const kept = new Map(refunds.map((each) => [each.id, each]));
  const wrong: string[] = [];
  const standing = books.filter(({ stands }) => stands);

  // One effect: whatever was sent how often, one movement per refund that did not fail.
  for (const [refundId, moved] of groups(standing, (each) => each.refundId)) {
    if (moved.length > 1)
      wrong.push(`${refundId} has moved money ${moved.length} times: ${moved.map(({ id }) => id).join(', ')}`);
  }
  // Nothing was moved that nobody asked for.
  const asked = new Set(deeds.map(({ refundId }) => refundId));
  for (const { id, refundId, amount } of books) {
    if (refundId === null) continue;
    if (!asked.has(refundId)) wrong.push(`nobody asked for ${id}`);
    const ours = kept.get(refundId);
    if (ours?.amount !== amount) wrong.push(`${id} is of ${amount}, and ${refundId} of ${ours?.amount}`);
  }
  // Never more than there was, by what we decided: what others send back in the dashboard we may hear of too late.
  for (const [payment, moved] of groups(standing, (each) => (each.refundId === null ? null : each.payment))) {
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
  // Who asks again over HTTP hears the same again; what is asked for under a key that stands for something else is another command.
  const answers = groups(deeds, ({ door, commandId, body }) => (door === 'http' ? `${commandId} ${body}` : null));
  for (const [command, heard] of answers) {
    const did = new Set(heard.map((each) => each.did));
    if (did.has('ok') && did.has('refused')) wrong.push(`${command} was taken on and refused`);
  }
  // Who was told that it was taken on finds a refund.
  for (const { refundId, did } of deeds)
    if (did === 'ok' && refundId !== null && !kept.has(refundId)) wrong.push(`${refundId} was taken on, and is not there`);
  // What makes no sense is set aside, each once, and told.
  if (story.letters !== story.senseless) wrong.push(`${story.senseless} messages made no sense, ${story.letters} were set aside`);
  if (story.lettersOut !== story.letters) wrong.push(`${story.letters} were set aside, and ${story.lettersOut} told on Kafka`);
  // What was told last of a refund is what we say.
  const lastTold = new Map(told.flatMap(({ refund }) => (refund === null ? [] : [[refund.id, refund.status] as const])));
  for (const { id, status } of refunds)
    if (lastTold.get(id) !== status) wrong.push(`${id} is ${status}, and was last told as ${lastTold.get(id)}`);
  wrong.push(...judgeDisputes(story), ...judgeBalances(story));
  // The events of a payment are numbered from 1 on, in order, each once.
  if (new Set(told.map(({ id }) => id)).size !== told.length) wrong.push('an event was told twice');
  for (const [payment, events] of groups(told, (each) => (each.sequence === null ? null : each.payment))) {
    const gap = events.findIndex(({ sequence }, index) => sequence !== BigInt(index + 1));
    if (gap >= 0) wrong.push(`event ${gap + 1} of payment ${payment} has the number ${events[gap]?.sequence}`);
  }
  // On Kafka is all of it; whoever drops what came before has each topic's events of a payment in their order, in one partition.
  const byId = new Map(told.map((each) => [each.id, each]));
  const onKafka = published.flatMap(({ topic, ids }, partition) =>
    [...new Set(ids)].map((id) => ({ topic, partition, id, event: byId.get(id) })),
  );
  for (const { topic, id, event } of onKafka) if (event?.topic !== topic) wrong.push(`${id} was never told on ${topic}`);
  const arrived = groups(onKafka, ({ id }) => id);
  for (const { id, topic } of told) {
    const times = arrived.get(id)?.length ?? 0;
    if (!topic.endsWith('.dlq') && times !== 1) wrong.push(`${id} is in ${times} partitions of ${topic}`);
  }
  const inTurn = ({ topic, event }: (typeof onKafka)[number]) =>
    event === undefined || event.sequence === null ? null : `${topic} of payment ${event.payment}`;
  for (const [name, events] of groups(onKafka, inTurn)) {
    const numbers = events.map(({ event }) => event?.sequence ?? 0n);
    if (numbers.some((number, index) => index > 0 && number <= (numbers[index - 1] ?? 0n)))
      wrong.push(`${name} came in the order ${numbers.join(', ')}`);
  }
  // What the provider says is what we say, where it can be known.
  const byProviderId = new Map(refunds.map((each) => [`${each.provider} ${each.providerRefundId}`, each]));
  for (const { provider, id, refundId, says, stands } of books) {
    const named = refundId !== null && stands ? kept.get(refundId) : undefined;
    const ours = byProviderId.get(`${provider} ${id}`) ?? named;
    // Zamp cannot be listed, and what has come to nothing need not be heard of.
    const isHeardOf = ours !== undefined || provider !== 'stripe' || !stands;
    const agrees = ours === undefined || isInDoubt(ours) || (agreeing[says] ?? []).includes(ours.status);
    if (!isHeardOf || !agrees)
      wrong.push(`${provider} says of ${id} that it is ${says}, and we say ${ours?.status ?? 'nothing'}`);
  }
  // The unknown is never written down as a failure.
  const failed = new Set(books.flatMap(({ refundId, stands }) => (refundId === null || stands ? [] : [refundId])));
  for (const { type, subject } of told) {
    if (
      type === 'redress.refund.failed.v1' &&
      kept.get(subject)?.origin === 'command' &&
      !failed.has(subject) &&
      !story.unmade.has(subject)
    )
      wrong.push(`${subject} was told as failed, and nobody had said so`);
  }
  // Nothing is stuck in silence; what waits behind one that asks for a person, waits for that person as well.
  const asks = new Set(refunds.flatMap((each) => (isInDoubt(each) ? [each.payment] : [])));
  for (const { id, status, payment } of refunds) {
    if (!final.has(status) && !asks.has(payment)) wrong.push(`${id} is ${status}, and asks for nobody`);
  }
  return wrong;
}

/** One answer per stage at most, and only where somebody asked for it; what the bank says is what we say. */
function judgeDisputes({ cases, keptCases, deeds, hasPolicy }: Story): string[] {
  const wrong: string[] = [];
  const asked = new Set(deeds.map(({ answers }) => answers));
  const kept = new Map(keptCases.map((each) => [each.id, each]));
  for (const { id, stage, status, answeredAt, givenUpAt } of cases) {
    if ([answeredAt, givenUpAt].some((stages) => new Set(stages).size !== stages.length)) wrong.push(`${id} was answered twice`);
    if (answeredAt.length + givenUpAt.length > 0 && !asked.has(id) && !hasPolicy) wrong.push(`nobody asked to answer ${id}`);
    const ours = kept.get(id);
    if (ours?.stage !== stage || ours.status !== status)
      wrong.push(`the bank says of ${id} that it is ${stage}, ${status}, and we say ${ours?.stage}, ${ours?.status}`);
    const { decision = null, attention = null } = ours ?? {};
    const isOut = decision === null || decision === 'done' || status !== 'needs_response';
    if (!isOut && attention === null) wrong.push(`what was decided about ${id} is ${decision}, and asks for nobody`);
  }
  return wrong;
}

/** Whether a person is asked what became of it. What else people are told of is known. */
const doubts: ReadonlySet<string> = new Set(['outcome_unknown', 'contradiction', 'operation_parked', 'late_command']);
const isInDoubt = ({ attention }: Kept): boolean => attention !== null && doubts.has(attention);

/** In the end nothing is held for what is over, and what went back and what banks hold is in the balance. */
function judgeBalances({ balances, refunds, cases, books }: Story): string[] {
  const wrong: string[] = [];
  const known = new Set(refunds.map(({ provider, providerRefundId }) => `${provider} ${providerRefundId}`));
  for (const { key, name, reserved, refunded, disputed, lost } of balances) {
    const held = cases.reduce((sum, each) => (each.payment === name ? sum + each.held : sum), 0n);
    if (disputed + lost !== held) wrong.push(`banks hold ${held} of ${name}, and we say ${disputed} and ${lost}`);
    const ours = refunds.filter(({ payment }) => payment === key);
    if (ours.some((each) => isInDoubt(each) || each.status === 'awaiting_approval' || !final.has(each.status))) continue;
    const back = books
      .filter(({ payment, says }) => payment === name && says === 'succeeded')
      // Of a refund in the dashboard of one who lists nothing, only a webhook can tell.
      .filter(({ provider, id }) => provider === 'stripe' || known.has(`${provider} ${id}`))
      .reduce((sum, { amount }) => sum + amount, 0n);
    if (refunded !== back) wrong.push(`${back} of ${name} went back, and its balance says ${refunded}`);
    if (reserved !== 0n) wrong.push(`all refunds of ${name} are over, and ${reserved} are reserved`);
  }
  return wrong;
}

/** Of each commit: room is taken only where there is some, and what is reserved is what refunds hold. */
export function judgeCommit(
  before: ReadonlyMap<string, Balance>,
  after: readonly Balance[],
  refunds: readonly { readonly paymentKey: string; readonly holds: string; readonly amount: bigint | null }[],
): string[] {
  return after.flatMap((balance) => {
    const { key, captured, reserved, refunded, disputed, lost } = balance;
    if (before.get(key) === balance) return [];
    const left = captured - reserved - refunded - disputed - lost;
    const isTaken = reserved > (before.get(key)?.reserved ?? 0n);
    const held = refunds.filter((each) => each.paymentKey === key && each.holds === 'reserved');
    const sum = held.reduce((total, { amount }) => total + (amount ?? 0n), 0n);
    return [
      ...(isTaken && left < 0n ? [`room of payment ${key} was taken that is not there: ${left}`] : []),
      ...(sum === reserved ? [] : [`payment ${key} has ${reserved} reserved, and its refunds hold ${sum}`]),
    ];
  });
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
