import { readFile } from 'node:fs/promises';
import { Ajv, type ValidateFunction } from 'ajv';

type Schema = { [keyword: string]: unknown };
type Operation = {
  parameters?: { name: string; in: string }[];
  requestBody?: { content: Record<string, { schema: { properties?: Record<string, Schema> } }> };
  responses: Record<string, { content: { 'application/json': { schema: Schema } } }>;
};
type Document = {
  info: { version: string };
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, Schema> };
};

/**
 * Holds what somebody says in Stripe's name against Stripe's own OpenAPI document. Stricter than the document: a field
 * that it does not list is a finding too, since an invented field is how a stand-in starts to lie.
 */
export class StripeOpenApi {
  private readonly ajv = new Ajv({ strict: false, allErrors: true, validateFormats: false, inlineRefs: false });
  private readonly compiled = new Map<string, ValidateFunction>();

  private constructor(private readonly document: Document) {
    this.ajv.addSchema({ components: { schemas: asJsonSchemas(document.components.schemas) } }, 'stripe');
  }

  static async read(path: string): Promise<StripeOpenApi> {
    return new StripeOpenApi(JSON.parse(await readFile(path, 'utf8')) as Document);
  }

  /** The API version that the document describes. */
  get version(): string {
    return this.document.info.version;
  }

  /** What is wrong with an answer to this call: nothing, if the list is empty. */
  findingsInAnswer(method: string, path: string, status: number, body: unknown): string[] {
    const { template, operation } = this.operation(method, path);
    if (operation === undefined) return [`Stripe has no ${method} ${path}`];
    const answer = status === 200 ? '200' : 'default';
    const schema = operation.responses[answer]?.content['application/json'].schema;
    if (schema === undefined) return [`Stripe describes no ${answer} answer to ${method} ${template}`];
    return this.findings(`${method} ${template} ${answer}`, () => asJsonSchema(schema), body);
  }

  /** The names that Stripe takes with this call, in its query or its form, or inside one hash of its form. */
  parametersOf(method: string, path: string, hash?: string): string[] {
    const { operation } = this.operation(method, path);
    const forms = Object.values(operation?.requestBody?.content ?? {});
    if (hash !== undefined)
      return forms.flatMap(({ schema }) => Object.keys((schema.properties?.[hash]?.['properties'] as object | undefined) ?? {}));
    const inForm = forms.flatMap(({ schema }) => Object.keys(schema.properties ?? {}));
    const inQuery = (operation?.parameters ?? []).filter((parameter) => parameter.in === 'query').map(({ name }) => name);
    return [...inForm, ...inQuery];
  }

  /** What is wrong with an object that says of itself what it is, as in an event's `data.object`. */
  findingsInObject(object: { object: string }): string[] {
    return this.findings(object.object, () => ({ $ref: `stripe#/components/schemas/${object.object}` }), object);
  }

  private operation(method: string, path: string): { template: string; operation: Operation | undefined } {
    const template = Object.keys(this.document.paths).find((candidate) => matches(candidate, path)) ?? '';
    return { template, operation: this.document.paths[template]?.[method.toLowerCase()] };
  }

  private findings(name: string, schema: () => Schema, value: unknown): string[] {
    const validate = this.compiled.get(name) ?? this.ajv.compile(schema());
    this.compiled.set(name, validate);
    if (validate(value)) return [];
    return (validate.errors ?? []).map(
      ({ instancePath, message, params }) => `${name}${instancePath}: ${message} ${JSON.stringify(params)}`,
    );
  }
}

function matches(template: string, path: string): boolean {
  const [left, right] = [template.split('/'), path.split('/')];
  return left.length === right.length && left.every((part, index) => part.startsWith('{') || part === right[index]);
}

function asJsonSchemas(schemas: Record<string, Schema>): Record<string, Schema> {
  return Object.fromEntries(Object.entries(schemas).map(([name, schema]) => [name, asJsonSchema(schema)]));
}

/** OpenAPI 3.0's dialect in JSON Schema's words, closed against unlisted fields. */
function asJsonSchema(schema: Schema): Schema {
  const { nullable, $ref, properties, items, anyOf, additionalProperties, ...rest } = schema;
  const plain: Schema = {};
  // Stripe marks enums that its own answers leave at times; only the type holds then.
  const open = rest['x-stripeBypassValidation'] === true;
  for (const keyword of ['type', 'required', 'maxLength', 'pattern', ...(open ? [] : ['enum'])])
    if (rest[keyword] !== undefined) plain[keyword] = rest[keyword];
  if (typeof $ref === 'string') plain['$ref'] = `stripe${$ref}`;
  if (properties !== undefined) plain['properties'] = asJsonSchemas(properties as Record<string, Schema>);
  if (items !== undefined) plain['items'] = asJsonSchema(items as Schema);
  if (anyOf !== undefined) plain['anyOf'] = (anyOf as Schema[]).map(asJsonSchema);
  if (typeof additionalProperties === 'object') plain['additionalProperties'] = asJsonSchema(additionalProperties as Schema);
  else if (properties !== undefined) plain['additionalProperties'] = additionalProperties === true;
  return nullable === true ? { anyOf: [plain, { type: 'null' }] } : plain;
}
