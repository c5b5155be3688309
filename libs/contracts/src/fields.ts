import 'reflect-metadata';
import { Type } from 'class-transformer';
import { ValidateBy, ValidateIf, ValidateNested, ValidationTypes } from 'class-validator';
import { JSONSchema } from 'class-validator-jsonschema';

/**
 * The words our messages are written in. Each says at once what a value must be, what a caller is told when it is not, and how
 * JSON Schema says the same: class-validator holds the first two, class-validator-jsonschema reads the third from its metadata.
 * So a field has one description, and HTTP, Kafka, OpenAPI, AsyncAPI and the schema files cannot drift apart.
 *
 * They are stricter than class-validator's own on purpose: null is not "left out" (an amount that a bug made null must not refund
 * all that is left), and text that PostgreSQL or a provider would choke on is refused here, not deep inside a transaction.
 */
export type JsonSchema = { readonly [keyword: string]: unknown };

/** Every class we publish; `Class<RequestRefund>` is the class itself, not an instance. */
export type Class<T extends object = object> = new () => T;

type About = {
  /** One sentence for the schemas: what it is, whose, which unit. */
  readonly about: string;
  readonly example?: unknown;
  /** What the class fills in where it is left out; said to readers only. */
  readonly otherwise?: unknown;
  readonly optional?: true;
  readonly nullable?: true;
};

/** The name of the constraint that holds a field's schema, where the field may be left out. */
export const FIELD = 'field';
/** The name of the constraint on a map's entries; its problems are told one by one, with the entry's own path. */
export const ENTRIES = 'entries';
/** The name of a constraint between two fields; its schema stands at the class. */
export const BETWEEN = 'between';

function field(must: string, test: (value: unknown) => boolean, schema: JsonSchema, about: About): PropertyDecorator {
  const told = about.nullable ? `${must}, or null` : must;
  const described = {
    ...(about.nullable ? orNull(schema) : schema),
    description: about.about,
    ...(about.otherwise === undefined ? {} : { default: about.otherwise }),
    ...(about.example === undefined ? {} : { examples: [about.example] }),
  };
  return (target, name) => {
    ValidateBy({
      // The schema's `required` is read off this very name.
      name: about.optional ? FIELD : ValidationTypes.IS_DEFINED,
      constraints: [described],
      validator: {
        validate: test,
        defaultMessage: (at) =>
          at?.value === undefined ? `$property is missing: it must be ${told}` : `$property must be ${told}`,
      },
    })(target, name);
    if (about.optional) ValidateIf((_, value) => value !== undefined)(target, name);
    if (about.nullable) ValidateIf((_, value) => value !== null)(target, name);
  };
}

function orNull(schema: JsonSchema): JsonSchema {
  const { type, enum: values } = schema;
  if (typeof type !== 'string') return { anyOf: [schema, { type: 'null' }] };
  return { ...schema, type: [type, 'null'], ...(Array.isArray(values) ? { enum: [...(values as unknown[]), null] } : {}) };
}

const STORABLE = '^[^\\u0000]*$';

/** Text that PostgreSQL can hold: no NUL, no half of a surrogate pair. (A pattern can say the first only.) */
function isStorable(value: unknown): value is string {
  return typeof value === 'string' && !value.includes('\0') && value.isWellFormed();
}

/** Counted as JSON Schema and PostgreSQL count: an emoji is one character, not two. */
function isText(value: unknown, max: number): value is string {
  return isStorable(value) && value !== '' && (value.length <= max || [...value].length <= max);
}

/** Free text of 1 to `max` characters. */
export function Text(about: About & { readonly max: number }): PropertyDecorator {
  return field(
    `text of 1 to ${about.max} characters, without NUL characters or broken surrogate pairs`,
    (value) => isText(value, about.max),
    { type: 'string', minLength: 1, maxLength: about.max, pattern: STORABLE },
    about,
  );
}

/** Why somebody decided as they did: text with something in it to read. */
export function Reason(about: About & { readonly max: number }): PropertyDecorator {
  return field(
    `text of 1 to ${about.max} characters, not of blanks alone, without NUL characters or broken surrogate pairs`,
    (value) => isText(value, about.max) && /\S/.test(value),
    { type: 'string', minLength: 1, maxLength: about.max, pattern: '^[^\\u0000]*[^\\s\\u0000][^\\u0000]*$' },
    about,
  );
}

/** Text of a given shape; `must` says the shape in words. */
export function Shaped(about: About & { readonly pattern: RegExp; readonly must: string }): PropertyDecorator {
  return field(
    about.must,
    (value) => typeof value === 'string' && about.pattern.test(value),
    { type: 'string', pattern: about.pattern.source },
    about,
  );
}

/** One of our own ids, such as `rf_...`. */
export function OurId(prefix: string, about: About): PropertyDecorator {
  return Shaped({ ...about, pattern: new RegExp(`^${prefix}_[0-9A-Za-z-]{1,64}$`), must: `one of our ids, ${prefix}_...` });
}

/** A configured account at a provider. It is part of keys that are joined with colons, so it has none. */
export function Account(about: About): PropertyDecorator {
  return Shaped({
    ...about,
    pattern: /^[a-z0-9][a-z0-9_-]{0,63}$/,
    must: 'the name of an account: 1 to 64 of a-z, 0-9, _ and -, not starting with _ or -',
  });
}

/** An id at a provider: characters that stand in a URL's path as they are, so also free of colons. */
export function ProviderId(about: About): PropertyDecorator {
  return Shaped({ ...about, pattern: /^[0-9A-Za-z._~-]{1,255}$/, must: 'an id of 1 to 255 letters, digits and . _ ~ -' });
}

/** ISO 4217, upper case. Whether the code exists and has minor units is for the domain to say. */
export function Currency(about: About): PropertyDecorator {
  return Shaped({ ...about, pattern: /^[A-Z]{3}$/, must: 'an ISO 4217 code of three upper-case letters, such as USD' });
}

/** A moment, RFC 3339 in UTC. */
export function Time(about: About): PropertyDecorator {
  return Shaped({
    ...about,
    pattern: /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,9})?Z$/,
    must: 'a time in UTC such as 2026-01-31T09:30:00.000Z',
  });
}

/** One of a closed list of words. */
export function OneOf(words: readonly string[], about: About): PropertyDecorator {
  return field(
    `one of ${words.join(', ')}`,
    (value) => typeof value === 'string' && words.includes(value),
    { type: 'string', enum: [...words] },
    about,
  );
}

/** A whole number that JavaScript holds exactly; `readBody` sees to it that it was also written as one. */
export function Whole(about: About & { readonly min: number; readonly max?: number; readonly of?: string }): PropertyDecorator {
  const { min, max = Number.MAX_SAFE_INTEGER, of } = about;
  return field(
    `a whole number${of === undefined ? '' : ` of ${of}`} in plain digits, ${min} to ${max}`,
    (value) => Number.isSafeInteger(value) && Number(value) >= min && Number(value) <= max,
    { type: 'integer', minimum: min, maximum: max },
    about,
  );
}

/** true or false; not "true", not 1. */
export function Flag(about: About): PropertyDecorator {
  return field('true or false', (value) => typeof value === 'boolean', { type: 'boolean' }, about);
}

/** Names and values of the caller's own: Stripe's limits (docs.stripe.com/metadata), less the room that our own entries need. */
const entries = { most: 40, name: 40, value: 500, reserved: 'redress_' } as const;

/** What is wrong with a map of the caller's, entry by entry. */
export function entryProblems(map: unknown): { name: string; must: string }[] {
  if (!isObject(map)) return [];
  return Object.entries(map).flatMap(([name, value]) => {
    if (!isText(name, entries.name) || /[[\]]/.test(name) || name.startsWith(entries.reserved)) {
      return [
        {
          name,
          must: `have a name of 1 to ${entries.name} characters, without square brackets, not starting with ${entries.reserved}`,
        },
      ];
    }
    if (!isText(value, entries.value)) return [{ name, must: `be text of 1 to ${entries.value} characters` }];
    return [];
  });
}

/** A map of text to text, kept and handed back as given. */
export function TextMap(about: About): PropertyDecorator {
  const isMap = field(
    `an object of at most ${entries.most} names with text`,
    (value) => isObject(value) && Object.keys(value).length <= entries.most,
    {
      type: 'object',
      maxProperties: entries.most,
      propertyNames: {
        type: 'string',
        minLength: 1,
        maxLength: entries.name,
        pattern: `^(?!${entries.reserved})[^\\[\\]\\u0000]*$`,
      },
      additionalProperties: { type: 'string', minLength: 1, maxLength: entries.value, pattern: STORABLE },
    },
    about,
  );
  return (target, name) => {
    isMap(target, name);
    ValidateBy({ name: ENTRIES, validator: { validate: (value) => entryProblems(value).length === 0 } })(target, name);
  };
}

/** A list of words, such as warnings; new ones may come, so it is not closed. */
export function Words(about: About): PropertyDecorator {
  return field(
    'a list of text',
    (value) => Array.isArray(value) && value.every((word) => isText(word, 255)),
    { type: 'array', items: { type: 'string', minLength: 1, maxLength: 255, pattern: STORABLE } },
    about,
  );
}

/** Another of our messages inside this one. */
export function Inside(kind: Class, about: About): PropertyDecorator {
  const isOne = field('an object', isObject, reference(kind), about);
  return (target, name) => {
    isOne(target, name);
    ValidateNested()(target, name);
    Type(() => kind)(target, name);
  };
}

/** An object that is described elsewhere. */
export function AnyObject(about: About): PropertyDecorator {
  return field('an object', isObject, { type: 'object' }, about);
}

/** A list of another of our messages. */
export function ListOf(kind: Class, about: About): PropertyDecorator {
  const isList = field('a list', Array.isArray, { type: 'array', items: reference(kind) }, about);
  return (target, name) => {
    isList(target, name);
    ValidateNested()(target, name);
    Type(() => kind)(target, name);
  };
}

/** Where a schema finds another; the generated files and documents each put their own place in front. */
export const DEFINITIONS = '#/$defs/';

function reference(kind: Class): JsonSchema {
  return { $ref: `${DEFINITIONS}${kind.name}` };
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A rule between two fields of one message, told at the field that is there. */
export type Between = {
  readonly fields: readonly string[];
  readonly holds: (body: Readonly<Record<string, unknown>>) => boolean;
  readonly told: (field: string) => string;
  readonly schema: JsonSchema;
};

/** Either both are given or neither; `because` says what leaving both out means. */
export function bothOrNeither(one: string, other: string, because: string): Between {
  return {
    fields: [one, other],
    holds: (body) => (body[one] === undefined) === (body[other] === undefined),
    told: (given) => `${given} needs ${given === one ? other : one} beside it: give both, or neither ${because}`,
    schema: { dependentRequired: { [one]: [other], [other]: [one] } },
  };
}

/** `one` means nothing without `other`. */
export function needs(one: string, other: string): Between {
  return {
    fields: [one],
    holds: (body) => body[one] === undefined || body[other] !== undefined,
    told: () => `${one} needs ${other} beside it`,
    schema: { dependentRequired: { [one]: [other] } },
  };
}

/** `field` may be true only while `other` has this very value. */
export function trueOnlyWith(field: string, other: string, value: string): Between {
  return {
    fields: [field],
    holds: (body) => body[field] !== true || body[other] === value,
    told: () => `${field} may be true only where ${other} is ${value}`,
    schema: {
      anyOf: [{ properties: { [field]: { const: false } } }, { required: [other], properties: { [other]: { const: value } } }],
    },
  };
}

/** `field` has no place where `other` has this value. */
export function notWith(field: string, other: string, value: string): Between {
  return {
    fields: [field],
    holds: (body) => body[other] !== value,
    told: () => `${field} cannot be given where ${other} is ${value}`,
    schema: { not: { required: [field, other], properties: { [other]: { const: value } } } },
  };
}

/** Every class that was marked so. */
const marked = new Set<unknown>();

export const isMessage = (value: unknown): value is Class => marked.has(value);

/** Marks a class as one of our messages: what it is for, and the one rule between its fields where it has one or more. */
export function Message(about: string, between: readonly Between[] = []): ClassDecorator {
  return (kind) => {
    marked.add(kind);
    for (const rule of between) {
      for (const name of rule.fields) {
        ValidateBy({
          name: BETWEEN,
          validator: {
            validate: (_, at) => rule.holds((at?.object ?? {}) as Record<string, unknown>),
            defaultMessage: () => rule.told(name),
          },
        })(kind.prototype as object, name);
      }
    }
    const conditions = between.map((rule) => rule.schema);
    JSONSchema({ description: about, ...(conditions.length === 0 ? {} : { allOf: conditions }) })(kind);
  };
}
