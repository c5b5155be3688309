import { ValidationTypes } from 'class-validator';
import { targetConstructorToSchema } from 'class-validator-jsonschema';
import * as disputeCommandsOf from '#contracts/dispute-commands';
import * as disputeEventsOf from '#contracts/dispute-events';
import * as evidenceOf from '#contracts/evidence';
import { DEFINITIONS, FIELD, isMessage, type Class, type JsonSchema } from '#contracts/fields';
import * as oversightOf from '#contracts/oversight';
import * as refundCommandsOf from '#contracts/refund-commands';
import * as refundEventsOf from '#contracts/refund-events';
import * as sendingOf from '#contracts/sending';
import { topics, type Topic } from '#contracts/topics';

const { disputeCommands } = disputeCommandsOf;
const { disputeEvents } = disputeEventsOf;
const { refundCommands } = refundCommandsOf;
const { balanceEvents, commandOutcomes, EventEnvelope, refundEvents } = refundEventsOf;

/** Every schema and document here is read off the classes' validation metadata; nothing is described or listed a second time. */
const messages: readonly Class[] = [
  refundCommandsOf,
  refundEventsOf,
  disputeCommandsOf,
  disputeEventsOf,
  evidenceOf,
  oversightOf,
  sendingOf,
].flatMap((file) => Object.values(file as Readonly<Record<string, unknown>>).filter(isMessage));

/** What comes in is closed, since an unknown field there is a mistake; what goes out is open, since consumers must tolerate new ones. */
const incoming = new Set<Class>([
  ...Object.values(refundCommands),
  ...Object.values(disputeCommands),
  ...evidenceOf.evidenceEdits,
  ...sendingOf.ordersOnCall,
]);

/** What HTTP has in its path. */
const inPath: readonly string[] = ['refundId', 'disputeId', 'id'];

type ObjectSchema = JsonSchema & { readonly properties: Record<string, JsonSchema>; readonly required?: readonly string[] };

function schemaOf(kind: Class): ObjectSchema {
  const ofField = (meta: { constraints?: unknown[] }) => meta.constraints?.[0] as ReturnType<typeof targetConstructorToSchema>;
  const schema = targetConstructorToSchema(kind, {
    skipMissingProperties: true, // "required" is then what must be defined
    additionalConverters: {
      [FIELD]: ofField,
      [ValidationTypes.IS_DEFINED]: ofField,
      [ValidationTypes.NESTED_VALIDATION]: {},
      [ValidationTypes.CUSTOM_VALIDATION]: {},
    },
  });
  return {
    title: kind.name,
    ...(incoming.has(kind) ? { additionalProperties: false } : {}),
    ...schema,
  } as unknown as ObjectSchema;
}

function schemaNamed(name: string): ObjectSchema {
  const kind = messages.find((each) => each.name === name);
  if (kind === undefined) throw new Error(`${name} is used in a message but is not in the list of messages`);
  return schemaOf(kind);
}

/** The schemas that a schema leads to, by name, itself left out. */
function definitionsOf(schema: JsonSchema, found: Record<string, JsonSchema> = {}): Record<string, JsonSchema> {
  for (const [, name] of JSON.stringify(schema).matchAll(/"#\/\$defs\/(\w+)"/g)) {
    if (name === undefined || name in found) continue;
    const next = schemaNamed(name);
    found[name] = next;
    definitionsOf(next, found);
  }
  return found;
}

/** One message as a JSON Schema that stands alone. */
export function jsonSchema(kind: Class): JsonSchema {
  const schema = schemaOf(kind);
  const definitions = definitionsOf(schema);
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    ...schema,
    ...(Object.keys(definitions).length === 0 ? {} : { $defs: definitions }),
  };
}

/** The JSON Schema of every type that travels on a topic, by `ce_type`: commands, events, outcomes. */
export function messageSchemas(): Record<string, JsonSchema> {
  const commands = { ...refundCommands, ...disputeCommands };
  const types = { ...commands, ...refundEvents, ...disputeEvents, ...balanceEvents, ...commandOutcomes };
  return Object.fromEntries(Object.entries(types).map(([type, kind]) => [type, { ...jsonSchema(kind), title: type }]));
}

/**
 * `components.schemas` for OpenAPI 3.1, whose schemas are JSON Schema 2020-12. A command about one thing is there twice: whole, as
 * on Kafka, and as `...Body` without the id that HTTP has in the path.
 */
export function openApiSchemas(): Record<string, JsonSchema> {
  return moved('#/components/schemas/', {
    ...Object.fromEntries(messages.map((kind) => [kind.name, schemaOf(kind)])),
    ...Object.fromEntries(
      [...incoming].map(schemaOf).flatMap((schema) => {
        if (!inPath.some((name) => name in schema.properties)) return [];
        const properties = Object.fromEntries(Object.entries(schema.properties).filter(([name]) => !inPath.includes(name)));
        const required = (schema.required ?? []).filter((name) => !inPath.includes(name));
        const { required: _, ...others } = schema;
        const title = `${String(schema['title'])}Body`;
        return [[title, { ...others, title, properties, ...(required.length === 0 ? {} : { required }) }]];
      }),
    ),
  });
}

function moved(prefix: string, schemas: Record<string, JsonSchema>): Record<string, JsonSchema> {
  return JSON.parse(JSON.stringify(schemas).replaceAll(`"${DEFINITIONS}`, `"${prefix}`)) as Record<string, JsonSchema>;
}

/** What each topic carries, seen from Redress, and what keys its records. */
const channels: readonly {
  topic: Topic;
  action: 'send' | 'receive';
  about: string;
  key: JsonSchema;
  types: Record<string, Class>;
}[] = [
  {
    topic: topics.refundCommands,
    action: 'receive',
    about: 'Commands about refunds. ce_source and ce_id together are the idempotency key.',
    key: { type: 'string', description: 'Any key that keeps one payment together.' },
    types: refundCommands,
  },
  {
    topic: topics.refundOutcomes,
    action: 'send',
    about: 'Exactly one outcome per command; a repeated command gets its first outcome again.',
    key: keyOfOutcome(),
    types: commandOutcomes,
  },
  {
    topic: topics.refundEvents,
    action: 'send',
    about: 'What happened to refunds, in order per payment.',
    key: keyOfPayment(),
    types: refundEvents,
  },
  {
    topic: topics.disputeCommands,
    action: 'receive',
    about: 'Commands about disputes. ce_source and ce_id together are the idempotency key.',
    key: { type: 'string', description: 'Any key that keeps one payment together.' },
    types: disputeCommands,
  },
  {
    topic: topics.disputeOutcomes,
    action: 'send',
    about: 'Exactly one outcome per command about a dispute; a repeated command gets its first outcome again.',
    key: keyOfOutcome(),
    types: commandOutcomes,
  },
  {
    topic: topics.disputeEvents,
    action: 'send',
    about: 'What happened to disputes, and what banks warned of, in order per payment.',
    key: keyOfPayment(),
    types: disputeEvents,
  },
  {
    topic: topics.refundability,
    action: 'send',
    about: 'Compacted: the newest balance of every payment.',
    key: keyOfPayment(),
    types: balanceEvents,
  },
];

function keyOfPayment(): JsonSchema {
  return { type: 'string', description: '<account>:<provider>:<paymentId>', examples: ['default:stripe:pi_3QxYz'] };
}

function keyOfOutcome(): JsonSchema {
  return {
    type: 'string',
    description: '<account>:<provider>:<paymentId>; where no payment is known, <ce_source>:<ce_id> of the command',
  };
}

/** The AsyncAPI 3.0 document of our topics. */
export function asyncApiDocument(version: string): JsonSchema {
  const all = channels.flatMap(({ types }) => Object.values(types));
  const definitions = Object.assign(
    {},
    ...all.map((kind) => ({ [kind.name]: schemaOf(kind), ...definitionsOf(schemaOf(kind)) })),
  ) as Record<string, JsonSchema>;
  return {
    asyncapi: '3.0.0',
    info: {
      title: 'Redress',
      version,
      description:
        'Refunds and disputes over payment providers. Every record is a CloudEvent 1.0: binary mode is written, structured mode is read as well. ' +
        'Consumers tolerate unknown fields and words, drop a repeated id, and ignore a lower sequence or version.',
    },
    defaultContentType: 'application/json',
    channels: Object.fromEntries(
      channels.map(({ topic, about, types }) => [
        topic,
        {
          address: topic,
          description: about,
          messages: Object.fromEntries(Object.keys(types).map((type) => [type, { $ref: `#/components/messages/${type}` }])),
          bindings: {
            kafka: {
              topic,
              ...(topic === topics.refundability ? { topicConfiguration: { 'cleanup.policy': ['compact'] } } : {}),
            },
          },
        },
      ]),
    ),
    operations: Object.fromEntries(
      channels.map(({ topic, action, about }) => [
        `${action}-${topic}`,
        { action, channel: { $ref: `#/channels/${topic}` }, summary: about, bindings: { kafka: {} } },
      ]),
    ),
    components: {
      messages: Object.fromEntries(
        channels.flatMap(({ types, key, action }) =>
          Object.entries(types).map(([type, kind]) => [
            type,
            {
              name: type,
              title: type,
              summary: schemaOf(kind)['description'],
              contentType: 'application/json',
              headers: headersOf(type, action),
              payload: {
                schemaFormat: 'application/schema+json;version=draft-2020-12',
                schema: { $ref: `#/components/schemas/${kind.name}` },
              },
              bindings: { kafka: { key } },
            },
          ]),
        ),
      ),
      schemas: moved('#/components/schemas/', definitions),
    },
  };
}

/** The attributes of the envelope as headers; of a command we need fewer, and take any text for ids. */
function headersOf(type: string, action: 'send' | 'receive'): JsonSchema {
  const envelope = schemaOf(EventEnvelope);
  const asked = ['id', 'source', 'type', 'specversion'];
  const names = Object.keys(envelope.properties).filter((name) => name !== 'datacontenttype');
  const kept = action === 'send' ? names : [...asked, 'time', 'subject', 'correlationid', 'traceparent'];
  const required = action === 'send' ? (envelope.required ?? []).filter((name) => names.includes(name)) : asked;
  const header = (name: string): JsonSchema => {
    if (name === 'type') return { type: 'string', const: type };
    if (action === 'receive' && name !== 'specversion') return { type: 'string', minLength: 1, maxLength: 255 };
    return envelope.properties[name] ?? {};
  };
  return {
    type: 'object',
    properties: {
      ...Object.fromEntries(kept.map((name) => [`ce_${name}`, header(name)])),
      'content-type': { type: 'string', const: 'application/json' },
    },
    required: required.map((name) => `ce_${name}`),
  };
}
