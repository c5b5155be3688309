/* The OpenAPI document: paths from the controllers, schemas from the messages of libs/contracts. Nothing is described a second time. */
import { applyDecorators, type INestApplication } from '@nestjs/common';
import {
  ApiBody,
  ApiHeader,
  ApiOperation,
  ApiParam,
  ApiQuery,
  ApiResponse,
  DocumentBuilder,
  SwaggerModule,
  type OpenAPIObject,
} from '@nestjs/swagger';
import { codes, type Code } from '#contracts/codes';
import type { Class, JsonSchema } from '#contracts/fields';
import { jsonSchema, openApiSchemas } from '#contracts/schemas';
import { statusOf } from './problems.js';

interface Described {
  /** In one line. */
  readonly does: string;
  /** The message in its body, by the name of its schema. */
  readonly takes?: string;
  readonly query?: Class;
  readonly params?: Readonly<Record<string, string>>;
  /** Its status and the message it answers with; other media types are named. */
  readonly answers: readonly [status: number, schema: string | null, about: string];
  readonly media?: string;
  /** Codes of its own; those that everything may answer with come by themselves. */
  readonly refuses?: readonly Code[];
  readonly idempotencyKey?: 'required' | 'optional';
  /** The version that the caller has looked at. */
  readonly ifMatch?: 'required' | 'optional';
  readonly open?: true;
}

/** What is refused where no body is needed and one came. */
export const anyBody = ['not_json', 'unsupported_media_type', 'body_too_large'] as const satisfies readonly Code[];

const $ref = (schema: string) => ({ $ref: `#/components/schemas/${schema}` });

/** Describes one operation. */
export function Describe(operation: Described): MethodDecorator {
  const {
    does,
    takes,
    query,
    params = {},
    answers,
    media = 'application/json',
    refuses = [],
    idempotencyKey,
    ifMatch,
    open,
  } = operation;
  const [status, schema, about] = answers;
  const everywhere: readonly Code[] =
    open === true ? ['bad_request', 'internal'] : ['bad_request', 'unauthorized', 'internal', 'unavailable'];
  const ofQuery: readonly Code[] = query === undefined ? [] : ['validation_failed'];
  const ofBody: readonly Code[] = takes === undefined ? [] : ['validation_failed', ...anyBody];
  const ofKey: readonly Code[] = idempotencyKey === undefined ? [] : ['validation_failed', 'idempotency_key_reused'];
  const ofMatch: readonly Code[] = ifMatch === undefined ? [] : ['validation_failed'];
  const refusals = new Set([...everywhere, ...ofQuery, ...ofBody, ...ofKey, ...ofMatch, ...refuses]);
  return applyDecorators(
    ApiOperation({ summary: does, ...(open === true ? { security: [] } : {}) }),
    ...(takes === undefined ? [] : [ApiBody({ required: true, schema: $ref(takes) })]),
    ...Object.entries(params).map(([name, told]) => ApiParam({ name, description: told, schema: { type: 'string' } })),
    ...parametersOf(query),
    ...(idempotencyKey === undefined
      ? []
      : [
          ApiHeader({
            name: 'Idempotency-Key',
            required: idempotencyKey === 'required',
            description: 'The same key and content again gets the same answer, marked with Idempotent-Replayed: true.',
            schema: { type: 'string', minLength: 1, maxLength: 255, pattern: '^[!-~]+$' },
          }),
        ]),
    ...(ifMatch === undefined
      ? []
      : [
          ApiHeader({
            name: 'If-Match',
            required: ifMatch === 'required',
            description: 'The version that was looked at; refused when somebody has changed it since, with who changed what.',
            schema: { type: 'string', examples: ['"3"', '3'] } as never,
          }),
        ]),
    ApiResponse({
      status,
      description: about,
      ...(schema === null
        ? {}
        : { content: { [media]: { schema: media === 'application/json' ? $ref(schema) : { type: 'string' } } } }),
    }),
    ...problemsOf([...refusals]),
  );
}

function parametersOf(query: Class | undefined): MethodDecorator[] {
  if (query === undefined) return [];
  const { properties } = jsonSchema(query) as { readonly properties?: Readonly<Record<string, JsonSchema>> };
  return Object.entries(properties ?? {}).map(([name, { description, ...schema }]) =>
    ApiQuery({ name, required: false, description: String(description), schema }),
  );
}

/** One answer per status, naming the codes it may carry. */
function problemsOf(refusals: readonly Code[]): MethodDecorator[] {
  const byStatus = Map.groupBy(refusals, (code) => statusOf[code]);
  return [...byStatus]
    .toSorted(([one], [other]) => one - other)
    .map(([status, of]) =>
      ApiResponse({
        status,
        description: of.map((code) => `\`${code}\`: ${codes[code]}`).join(' '),
        content: { 'application/problem+json': { schema: $ref('Problem') } },
      }),
    );
}

/** The document of this version. The application may be a preview: nothing of it runs. */
export function openApiDocument(app: INestApplication, version: string): OpenAPIObject {
  const base = new DocumentBuilder()
    .setOpenAPIVersion('3.1.0')
    .setTitle('Redress')
    .setDescription(
      'Gives money back over payment providers. Amounts are whole minor units of ISO 4217 beside their currency, times RFC 3339 in UTC. ' +
        'Errors are problem+json (RFC 9457) with a stable code. Every answer carries x-request-id.',
    )
    .setVersion(version)
    .addBearerAuth({ type: 'http', scheme: 'bearer', description: 'The admin key.' })
    .addSecurityRequirements('bearer')
    .build();
  const document = SwaggerModule.createDocument(app, base, { operationIdFactory: (_, method) => method });
  const schemas = openApiSchemas() as NonNullable<OpenAPIObject['components']>['schemas'];
  return { ...document, components: { ...document.components, ...(schemas === undefined ? {} : { schemas }) } };
}
