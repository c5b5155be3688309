/* The story of a refund, told from everything that was kept: who ordered what, what the rules made of it, what was said to the provider and by it. */
import type { Code } from '#contracts/codes';
import type { HistoryEntry } from '#contracts/oversight';
import type { RefundChanged } from '#contracts/refund-events';
import type { RefundHistory, RefundView } from '#persistence/views';

/** Within a millisecond causes come before what they cause. */
const order = { command: 0, webhook: 1, call: 2, decision: 3, event: 3, operation: 4 } as const satisfies Record<
  HistoryEntry['kind'],
  number
>;

/** What only our rules, or a person, decide; every other event is told because a provider reported something. */
const decisions: ReadonlySet<string> = new Set(['awaiting_approval', 'approved', 'rejected', 'canceled']);

export function storyOf(view: RefundView, history: RefundHistory): HistoryEntry[] {
  const entries = [...orders(view, history), ...told(history), ...work(history), ...calls(history), ...webhooks(history)];
  // Equal ones stay as they are: each kind comes in the order in which it was stored.
  return entries.sort((a, b) => (a.at === b.at ? order[a.kind] - order[b.kind] : a.at < b.at ? -1 : 1));
}

function* orders({ refund, origin }: RefundView, { commands }: RefundHistory): Generator<HistoryEntry> {
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
  for (const { receivedAt, type, door, source, key, answer } of commands) {
    const { code } = JSON.parse(answer) as { code?: Code };
    const name = type.split('.')[1] ?? type;
    const refused = code === undefined ? '' : `, refused: ${code}`;
    yield {
      at: receivedAt.toISOString(),
      kind: 'command',
      summary: `${name} from ${source} over ${door === 'http' ? 'HTTP' : 'Kafka'}${refused}`,
      door,
      source,
      key,
      ...(code === undefined ? {} : { code }),
    };
  }
}

function* told({ events }: RefundHistory): Generator<HistoryEntry> {
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

function* work({ operations }: RefundHistory): Generator<HistoryEntry> {
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

function* calls(history: RefundHistory): Generator<HistoryEntry> {
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

function* webhooks({ deliveries }: RefundHistory): Generator<HistoryEntry> {
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
