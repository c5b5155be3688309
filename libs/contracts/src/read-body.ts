import { plainToInstance } from 'class-transformer';
import { validateSync, type ValidationError, type ValidatorOptions } from 'class-validator';
import { ENTRIES, entryProblems, type Class } from '#contracts/fields';

/** What is wrong with one field; `path` is dotted, and `body` where it is the body itself. */
export type FieldError = { readonly path: string; readonly message: string };

export type ReadBody<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly code: 'not_json' | 'validation_failed'; readonly errors: readonly FieldError[] };

/** How class-validator is to look at any of our bodies; Nest's ValidationPipe takes the same. */
export const validatorOptions = {
  whitelist: true,
  forbidNonWhitelisted: true,
  forbidUnknownValues: true,
} as const satisfies ValidatorOptions;

/** Deeper than any body of ours, and far less than what makes a recursion fail. */
const MAX_DEPTH = 8;

const utf8 = new TextDecoder('utf-8', { fatal: true });

/**
 * Reads one body from its bytes, for both doors. Stricter than JSON.parse with a ValidationPipe behind it, where money could change
 * on the way in: broken UTF-8 is not mended, a number that JavaScript would round is refused, and names such as `constructor`,
 * which class-transformer drops and class-validator's whitelist lets through, are refused as well.
 *
 * `known` is what the door knows without the body, such as the refund that a path names; then the body may be empty.
 */
export function readBody<T extends object>(
  kind: Class<T>,
  body: string | Uint8Array,
  known: Readonly<Record<string, unknown>> = {},
): ReadBody<T> {
  const names = Object.keys(known);
  if (body.length === 0 && names.length > 0) return validate(kind, known);

  const parsed = parse(body);
  if (!parsed.ok) return refuse('not_json', [{ path: 'body', message: parsed.message }]);
  if (typeof parsed.value !== 'object' || parsed.value === null || Array.isArray(parsed.value)) {
    return refuse('validation_failed', [{ path: 'body', message: 'the body must be a JSON object' }]);
  }

  const problems: FieldError[] = [];
  inspect(parsed.value, '', 1, problems);
  for (const name of names.filter((each) => Object.hasOwn(parsed.value as object, each))) {
    problems.push({ path: name, message: `${name} is in the path: leave it out of the body` });
  }
  return problems.length > 0 ? refuse('validation_failed', problems) : validate(kind, { ...parsed.value, ...known });
}

/** The same for data that is an object already; for what JSON text alone shows, see `readBody`. */
export function validate<T extends object>(kind: Class<T>, data: object): ReadBody<T> {
  const value = plainToInstance(kind, data);
  const errors = validateSync(value, validatorOptions);
  return errors.length > 0 ? refuse('validation_failed', fieldErrors(errors)) : { ok: true, value };
}

/** class-validator's tree as a flat list; also for the `exceptionFactory` of Nest's ValidationPipe, so that both doors say the same. */
export function fieldErrors(errors: readonly ValidationError[], parent = ''): FieldError[] {
  return errors.flatMap((error) => {
    const path = join(parent, error.property);
    const own = Object.entries(error.constraints ?? {}).flatMap(([name, message]): FieldError[] => {
      if (name === 'whitelistValidation') return [{ path, message: `${error.property} is not known here: leave it out` }];
      if (name === 'nestedValidation') {
        // A field of its own has said so by its own rule; an entry of a list has none.
        return Object.keys(error.constraints ?? {}).length > 1 ? [] : [{ path, message: `${error.property} must be an object` }];
      }
      if (name !== ENTRIES) return [{ path, message }];
      return entryProblems(error.value).map((entry) => ({
        path: join(path, entry.name),
        message: `${entry.name} must ${entry.must}`,
      }));
    });
    return [...own, ...fieldErrors(error.children ?? [], path)];
  });
}

/** Bounds what a body can make us say, in number and length, and keeps it storable: the names in it are the sender's. */
function refuse(code: 'not_json' | 'validation_failed', errors: readonly FieldError[]) {
  const told = errors.slice(0, 50).map(({ path, message }) => ({ path: printable(path), message: printable(message) }));
  return { ok: false, code, errors: told } as const;
}

function printable(text: string): string {
  return text.slice(0, 400).replaceAll('\0', '\ufffd').toWellFormed();
}

function join(parent: string, name: string): string {
  return parent === '' ? name : `${parent}.${name}`;
}

/** Stands in the parsed body for a number that JavaScript would have changed. */
const inexact = Symbol('inexact');

/** A number that may not survive is rare, and so is text that looks like one; only then is the slower reading paid for. */
const maybeInexact = /\d{16}|\d[.eE]/;

type Parsed = { ok: true; value: unknown } | { ok: false; message: string };

function parse(body: string | Uint8Array): Parsed {
  let text: string;
  try {
    text = typeof body === 'string' ? body : utf8.decode(body);
  } catch {
    return { ok: false, message: 'the body must be UTF-8' };
  }
  try {
    const value: unknown = JSON.parse(text);
    if (!maybeInexact.test(text) || isDeep(value, 1)) return { ok: true, value };
    return { ok: true, value: JSON.parse(text, keepExact) };
  } catch {
    return { ok: false, message: text.trim() === '' ? 'the body is empty: it must be a JSON object' : 'the body must be JSON' };
  }
}

/** Leaves whole numbers written in digits; 9007199254740993 and 10.00000000000000000001 would turn into neighbours of themselves. */
function keepExact(_: string, value: unknown, context?: { source?: string }): unknown {
  if (typeof value !== 'number') return value;
  return Number.isSafeInteger(value) && /^-?\d+(\.0+)?$/.test(context?.source ?? '') ? value : inexact;
}

function isDeep(value: unknown, depth: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return depth > MAX_DEPTH || Object.values(value).some((each) => isDeep(each, depth + 1));
}

function inspect(value: unknown, path: string, depth: number, problems: FieldError[]): void {
  if (value === inexact) {
    problems.push({
      path,
      message: `${lastOf(path)} holds a number that cannot be kept exactly: write a whole number in plain digits, up to ${Number.MAX_SAFE_INTEGER}`,
    });
  }
  if (typeof value !== 'object' || value === null) return;
  if (depth > MAX_DEPTH) {
    problems.push({ path, message: `the body must not be nested deeper than ${MAX_DEPTH} levels` });
    return;
  }
  for (const [name, each] of Object.entries(value)) {
    const at = join(path, name);
    if (name in Object.prototype) problems.push({ path: at, message: `${name} is not a name that can be used` });
    else inspect(each, at, depth + 1, problems);
  }
}

function lastOf(path: string): string {
  return path.slice(path.lastIndexOf('.') + 1);
}
