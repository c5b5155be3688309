import { plainToInstance } from 'class-transformer';
import { validateSync, type ValidationError, type ValidatorOptions } from 'class-validator';
import { ENTRIES, entryProblems, type Class } from '#contracts/fields';
import { repeatedNames } from '#contracts/repeated-names';

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

/** More than any body of ours takes, over either door. */
export const MAX_BODY_BYTES = 256 * 1024;

/** Deeper than any body of ours, and far less than what makes a recursion fail. */
const MAX_DEPTH = 8;

const utf8 = new TextDecoder('utf-8', { fatal: true });

/**
 * Reads one body from its bytes, for both doors. Stricter than JSON.parse with a ValidationPipe behind it, where money could change
 * on the way in: broken UTF-8 is not mended, only whole numbers in plain digits are numbers, a name that stands twice is refused, and
 * so are names such as `constructor`, which class-transformer drops and class-validator's whitelist lets through.
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
  const count = inspect(parsed.value, '', 1, problems);
  if (problems.length === 0 && hasMoreColonsThan(count, parsed.text)) {
    for (const path of repeatedNames(parsed.text)) {
      problems.push({ path: path.join('.'), message: `${path.at(-1)} stands there twice` });
    }
  }
  for (const name of names.filter((each) => Object.hasOwn(parsed.value as object, each))) {
    problems.push({ path: name, message: `${name} is in the path: leave it out of the body` });
  }
  return problems.length > 0 ? refuse('validation_failed', problems) : validate(kind, { ...parsed.value, ...known });
}

/** The same for data that is an object already; for what JSON text alone shows, see `readBody`. */
export function validate<T extends object>(kind: Class<T>, data: object): ReadBody<T> {
  const unusable = Object.keys(data).filter((name) => name in Object.prototype);
  if (unusable.length > 0) return refuse('validation_failed', unusable.map(cannotBeUsed));
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

/** A sender's text in a message of ours. */
export function printable(text: string): string {
  return text.slice(0, 400).replaceAll('\0', '\ufffd').toWellFormed();
}

function join(parent: string, name: string): string {
  return parent === '' ? name : `${parent}.${name}`;
}

/** Stands in the parsed body for a number that is not written in plain digits or that JavaScript would round: no field takes it. */
const notPlain = Symbol('not a plain number');

/** Such a number is rare, and so is text that looks like one; only then is the slower reading paid for. */
const maybeNotPlain = /\d{16}|\d[.eE]/;

type Parsed = { ok: true; value: unknown; text: string } | { ok: false; message: string };

function parse(body: string | Uint8Array): Parsed {
  let text: string;
  try {
    text = typeof body === 'string' ? body : utf8.decode(body);
  } catch {
    return { ok: false, message: 'the body must be UTF-8' };
  }
  try {
    const value: unknown = JSON.parse(text);
    if (!maybeNotPlain.test(text) || isDeep(value, 1)) return { ok: true, value, text };
    return { ok: true, value: JSON.parse(text, keepPlain), text };
  } catch {
    return { ok: false, message: text.trim() === '' ? 'the body is empty: it must be a JSON object' : 'the body must be JSON' };
  }
}

/** 9007199254740993 would turn into a neighbour of itself, and who writes 10.00 means ten dollars where we would read ten cents. */
function keepPlain(_: string, value: unknown, context?: { source?: string }): unknown {
  if (typeof value !== 'number') return value;
  return Number.isSafeInteger(value) && /^-?\d+$/.test(context?.source ?? '') ? value : notPlain;
}

function isDeep(value: unknown, depth: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return depth > MAX_DEPTH || Object.values(value).some((each) => isDeep(each, depth + 1));
}

function cannotBeUsed(path: string): FieldError {
  return { path, message: `${path.slice(path.lastIndexOf('.') + 1)} is not a name that can be used` };
}

/** What validation cannot say well; returns how many names there are. */
function inspect(value: unknown, path: string, depth: number, problems: FieldError[]): number {
  if (typeof value !== 'object' || value === null) return 0;
  if (depth > MAX_DEPTH) {
    problems.push({ path, message: `the body must not be nested deeper than ${MAX_DEPTH} levels` });
    return 0;
  }
  let count = 0;
  for (const [name, each] of Object.entries(value)) {
    const at = join(path, name);
    if (name in Object.prototype) problems.push(cannotBeUsed(at));
    else count += inspect(each, at, depth + 1, problems);
    if (!Array.isArray(value)) count += 1;
  }
  return count;
}

/** Each name in JSON text has a colon behind it, so with no more colons than names none stands twice: most bodies need no closer look. */
function hasMoreColonsThan(names: number, text: string): boolean {
  let colons = 0;
  for (let at = text.indexOf(':'); at >= 0; at = text.indexOf(':', at + 1)) colons += 1;
  return colons > names;
}
