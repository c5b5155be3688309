/* The story of a refund or a dispute, told from everything that was kept: who ordered what, what the rules made of it, what was said to the provider and by it. */
import type { Code } from '#contracts/codes';
import type { DisputeChanged } from '#contracts/dispute-events';
import type { HistoryEntry } from '#contracts/oversight';
import type { RefundChanged } from '#contracts/refund-events';
import type { Decision, Dispute } from '#domain/dispute/dispute';
import type { Packet } from '#domain/dispute/evidence';
import type { History } from '#persistence/history';
import type { RefundView } from '#persistence/views';

/** Within a millisecond causes come before what they cause. */
const order = { command: 0, webhook: 1, call: 2, decision: 3, event: 3, operation: 4 } as const satisfies Record<
  HistoryEntry['kind'],
  number
>;

/** What only our rules, or a person, decide; every other event is told because a provider reported something. */
const decisions: ReadonlySet<string> = new Set(['awaiting_approval', 'approved', 'rejected', 'canceled']);

export function storyOf(view: RefundView, history: History): HistoryEntry[] {
  return inOrder([...orders(view, history), ...told(history), ...outside(history)]);
}

export function storyOfDispute(dispute: Dispute, packets: readonly Packet[], history: History): HistoryEntry[] {
  return inOrder([...commandsOf(history), ...decided(dispute, packets), ...toldOfDispute(history), ...outside(history)]);
}

function* outside(history: History): Generator<HistoryEntry> {
  yield* work(history);
  yield* calls(history);
  yield* webhooks(history);
}

function inOrder(entries: HistoryEntry[]): HistoryEntry[] {
  // Equal ones stay as they are: each kind comes in the order in which it was stored.
  return entries.sort((a, b) => (a.at === b.at ? order[a.kind] - order[b.kind] : a.at < b.at ? -1 : 1));
}

function* orders({ refund, origin }: RefundView, history: History): Generator<HistoryEntry> {
  // A request over Kafka is kept with the refund it made.
  if (origin?.door === 'kafka') {
    const { source, id: key } = origin;
    yield {
      at: refund.createdAt.toISOString(),
      kind: 'command',
      summary: `RequestRefund from ${source} over Kafka`,
      door: 'kafka',
      source,
      key,
    };
  }
  yield* commandsOf(history);
}

function* commandsOf({ commands }: History): Generator<HistoryEntry> {
  for (const { receivedAt, type, door, source, key, answer, body } of commands) {
    const { code } = JSON.parse(answer) as { code?: Code };
    const name = type.split('.')[1] ?? type;
    const refused = code === undefined ? '' : `, refused: ${code}`;
    yield {
      at: receivedAt.toISOString(),
      kind: 'command',
      summary: `${name} from ${source} over ${door === 'http' ? 'HTTP' : 'Kafka'}${fieldsIn(body)}${refused}`.slice(0, 1000),
      door,
      source,
      key,
      ...(code === undefined ? {} : { code }),
    };
  }
}

/** What of the evidence was changed; never what it says. */
function fieldsIn(body: object | null): string {
  const { fields } = (body ?? {}) as { fields?: unknown };
  return Array.isArray(fields) && fields.length > 0 ? `: ${fields.join(', ')}` : '';
}

function* told({ events }: History): Generator<HistoryEntry> {
  for (const { time, type, id: eventId, topic, position, causationId, data } of events) {
    const at = time.toISOString();
    const name = type.split('.')[2] ?? type;
    const cause = causationId === null ? {} : { causationId };
    const { refund, previousStatus } = JSON.parse(data) as Partial<RefundChanged>;
    if (decisions.has(name) && refund !== undefined) {
      const { rejection, amount, currency } = refund;
      const why =
        rejection === null ? (amount === null ? '' : `: ${amount} ${currency}`) : `: ${rejection.code}. ${rejection.detail}`;
      const code = rejection === null ? {} : { code: rejection.code };
      yield { at, kind: 'decision', summary: `${name}${why}`.slice(0, 1000), ...code, eventId, ...cause };
    }
    const moved =
      refund === undefined || previousStatus == null || previousStatus === refund.status
        ? ''
        : ` (${previousStatus} to ${refund.status})`;
    yield {
      at,
      kind: 'event',
      summary: `${type}${moved}${refund === undefined ? '' : inWords(name, refund)}`.slice(0, 1000),
      eventId,
      topic,
      ...(position === null ? {} : { position: Number(position) }),
      ...cause,
    };
  }
}

/** What a support agent tells the customer. */
function inWords(event: string, refund: RefundChanged['refund']): string {
  const because = (code: string | null) => (code === null ? '' : ` (${code})`);
  const { pendingReason, failureCode, bankReference, attention, actionRequired } = refund;
  const until = actionRequired?.until == null ? '' : `, until ${actionRequired.until}`;
  switch (event) {
    case 'outcome_unknown':
      return ': no answer that can be trusted came back, so the money may have moved; it is being found out';
    case 'outcome_resolved':
      return ': it is known now what became of it';
    case 'pending':
      return `: the provider has it and has not finished${because(pendingReason)}`;
    case 'requires_action':
      return `: the provider waits for the customer${because(actionRequired?.what ?? null)}${until}`;
    case 'succeeded':
      return ': the money is on its way to the customer';
    case 'failed':
      return `: nothing went out, its room is free again${because(failureCode)}`;
    case 'canceled':
      return `: nothing goes out any more, its room is free again${because(failureCode)}`;
    case 'reversed':
      return `: the bank sent the money back to us, its room is free again${because(failureCode)}`;
    case 'reference_updated':
      return `: the customer's bank finds it by ${bankReference ?? refund.providerRefundId ?? 'its id'}`;
    case 'discovered':
      return ': somebody made it at the provider';
    case 'attention_needed':
      return `: a person must look${because(attention)}`;
    default:
      return '';
  }
}

/** Every answer that was decided on, and what else is decided about the one that is due. */
function* decided(dispute: Dispute, packets: readonly Packet[]): Generator<HistoryEntry> {
  for (const { decidedAt, by, version, round } of packets) {
    const summary = `submit version ${version} of the evidence, decided by ${by}${round === 1 ? '' : ` (answer ${round})`}`;
    yield { at: decidedAt.toISOString(), kind: 'decision', summary };
  }
  const { decision } = dispute;
  if (decision === null || (decision.kind === 'submit' && decision.version !== null)) return;
  yield { at: decision.at.toISOString(), kind: 'decision', summary: inDecision(decision).slice(0, 1000) };
}

function inDecision({ kind, by, reason }: Decision): string {
  const because = reason === null ? '' : `: ${reason}`;
  if (kind === 'submit') return `answered by ${by}`;
  return `${kind === 'accept' ? 'accept the loss' : 'let the deadline pass'}, decided by ${by}${because}`;
}

function* toldOfDispute({ events }: History): Generator<HistoryEntry> {
  for (const { time, type, id: eventId, topic, position, causationId, data } of events) {
    const { dispute, previousStatus } = JSON.parse(data) as DisputeChanged;
    const moved = previousStatus === null || previousStatus === dispute.status ? '' : ` (${previousStatus} to ${dispute.status})`;
    yield {
      at: time.toISOString(),
      kind: 'event',
      summary: `${type}${moved}${disputeInWords(type.split('.')[2] ?? type, dispute)}`.slice(0, 1000),
      eventId,
      topic,
      ...(position === null ? {} : { position: Number(position) }),
      ...(causationId === null ? {} : { causationId }),
    };
  }
}

/** What a case worker tells a colleague. */
function disputeInWords(event: string, dispute: DisputeChanged['dispute']): string {
  const { stage, amount, currency, reason, dueBy, decideBy, attention, money, decision } = dispute;
  const due = dueBy === null ? 'no answer is allowed' : `an answer is due by ${dueBy}`;
  switch (event) {
    case 'opened':
      return `: the bank questions ${amount} ${currency}${reason === null ? '' : ` (${reason})`}; ${due}`;
    case 'stage_changed':
      return `: it is ${stage === 'inquiry' || stage === 'appeal' ? 'an' : 'a'} ${stage} now; ${due}`;
    case 'evidence_staged':
      return ': the provider holds the evidence, not submitted yet';
    case 'evidence_submitted':
      return decision?.version === null ? `: ${decision.by} has answered` : ': the provider has the answer';
    case 'accepted':
      return ': it is given up, and the provider knows';
    case 'let_pass':
      return `: nobody means to answer; until ${dueBy ?? 'the deadline'} that can change`;
    case 'under_review':
      return ': the bank is looking at it';
    case 'won':
      return ': decided for us';
    case 'lost':
      return ': decided against us';
    case 'closed':
      return ': over without a decision';
    case 'prevented':
      return ': stopped before it became a chargeback';
    case 'funds_withdrawn':
      return ': the money was taken from us';
    case 'funds_reinstated':
      return `: money came back to us (${money})`;
    case 'deadline_approaching':
      return `: it is to be decided by ${decideBy ?? 'its deadline'}`;
    case 'deadline_missed':
      return `: our own deadline has passed and nobody has decided; ${due}`;
    case 'attention_needed':
      return `: a person must look${attention === null ? '' : ` (${attention})`}`;
    default:
      return '';
  }
}

function* work({ operations }: History): Generator<HistoryEntry> {
  for (const operation of operations) {
    const { createdAt, kind, target, id: operationId, key, attempt, state, tries, result, firstSentAt, lastSentAt } = operation;
    const now = `${state} after ${tries} ${tries === 1 ? 'call' : 'calls'}${result === null ? '' : `, ${result}`}`;
    yield {
      at: createdAt.toISOString(),
      kind: 'operation',
      summary: `${kind} of ${target}: ${now}`.slice(0, 1000),
      operationId,
      attempt,
      ...(key === null ? {} : { key }),
      ...(firstSentAt === null ? {} : { firstCallAt: firstSentAt.toISOString() }),
      ...(lastSentAt === null ? {} : { lastCallAt: lastSentAt.toISOString() }),
    };
  }
}

function* calls(history: History): Generator<HistoryEntry> {
  for (const { startedAt, endedAt, call, httpStatus, requestId, result, operationId, key, attempt } of history.calls) {
    const ms = endedAt.getTime() - startedAt.getTime();
    yield {
      at: startedAt.toISOString(),
      kind: 'call',
      summary: `${call}: ${result}${httpStatus === null ? '' : ` ${httpStatus}`} in ${ms} ms`.slice(0, 1000),
      operationId,
      attempt,
      ...(key === null ? {} : { key }),
      ...(requestId === null ? {} : { requestId }),
      ...(httpStatus === null ? {} : { httpStatus }),
    };
  }
}

function* webhooks({ deliveries }: History): Generator<HistoryEntry> {
  for (const { receivedAt, provider, type, id: deliveryId, noticeId, disposition, detail, operationId } of deliveries) {
    const became = disposition === null ? 'waits' : `${disposition}${detail === null ? '' : `: ${detail}`}`;
    yield {
      at: receivedAt.toISOString(),
      kind: 'webhook',
      summary: `${provider} sent ${type ?? 'something'}; ${became}`.slice(0, 1000),
      deliveryId,
      ...(noticeId === null ? {} : { noticeId }),
      ...(disposition === null ? {} : { disposition }),
      ...(operationId === null ? {} : { operationId }),
    };
  }
}
