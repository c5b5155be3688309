import { Ajv2020 } from 'ajv/dist/2020.js';
import { messageSchemas } from '#contracts/schemas';

const ajv = new Ajv2020({ allErrors: true, strictTypes: false, strictRequired: false });
const checks = new Map(Object.entries(messageSchemas()).map(([type, schema]) => [type, ajv.compile(schema)]));

/** What is wrong with a message of ours by its published JSON Schema; nothing, as a rule. */
export function problemsOf(type: string, data: unknown): string[] {
  const check = checks.get(type);
  if (check === undefined) return [`${type} has no schema`];
  return check(data) ? [] : (check.errors ?? []).map(({ instancePath, message }) => `${type}${instancePath}: ${message}`);
}
