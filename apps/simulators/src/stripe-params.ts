/** A form with brackets, unfolded: `metadata[a]=1` is `{metadata: {a: '1'}}`, lists have their indices as names. */
export type Form = { [name: string]: string | Form };

/** What Stripe answers with, and what its events carry. */
export type StripeObject = { [field: string]: unknown };

/** Stripe's no: what stands in `error` beside a status. docs.stripe.com/api/errors */
export class Refusal extends Error {
  constructor(
    readonly status: number,
    readonly error: { type?: string; code?: string; param?: string; message: string },
    readonly headers: Record<string, string> = {},
  ) {
    super(error.message);
  }
}

/** What an endpoint accepts under a name. */
export type Field =
  | { is: 'text'; oneOf?: readonly string[]; atLeast?: number; atMost?: number; emptyUnsets?: true; needed?: true }
  | { is: 'integer'; min: number; max?: number }
  | { is: 'flag' }
  | { is: 'metadata' }
  | { is: 'list'; emptyUnsets?: true }
  | { is: 'range' }
  | { is: 'hash'; fields: Fields; emptyUnsets?: true }
  | { is: 'hashes'; fields: Fields };

export type Fields = { readonly [name: string]: Field };

export type Range = { gt?: number; gte?: number; lt?: number; lte?: number };

/** Reads `a=1&b[c]=2&d[]=3`, as body or as query. */
export function readForm(text: string): Form {
  return unfold(new URLSearchParams(text));
}

/** Names with brackets as nested forms. */
export function unfold(pairs: Iterable<[string, string]>): Form {
  const form: Form = newForm();
  for (const [name, value] of pairs) {
    const path = name.split('[').map((part, depth) => (depth === 0 ? part : part.replace(/\]$/, '')));
    let at = form;
    for (const [depth, part] of path.entries()) {
      const key = part === '' ? String(Object.keys(at).length) : part;
      if (depth === path.length - 1) at[key] = value;
      else {
        const next = at[key];
        at = typeof next === 'object' ? next : (at[key] = newForm());
      }
    }
  }
  return form;
}

function newForm(): Form {
  return Object.create(null) as Form;
}

/** A form held against what the endpoint accepts. Everything refused here is refused before the endpoint executes. */
export class Params {
  constructor(
    private readonly form: Form,
    fields: Fields,
  ) {
    checkAll(form, fields, (name) => name);
  }

  has(name: string): boolean {
    return this.form[name] !== undefined;
  }

  text(name: string): string | undefined {
    const value = this.form[name];
    return typeof value === 'string' ? value : undefined;
  }

  integer(name: string): number | undefined {
    const value = this.text(name);
    return value === undefined ? undefined : Number(value);
  }

  flag(name: string): boolean {
    return this.text(name) === 'true';
  }

  list(name: string): string[] {
    return texts(this.form[name]);
  }

  hash(name: string): Form | undefined {
    const value = this.form[name];
    return typeof value === 'object' ? value : undefined;
  }

  /** Metadata as sent: an empty value unsets its name, and an empty string in place of the map unsets all. */
  metadata(): Record<string, string> | 'unset all' | undefined {
    const value = this.form['metadata'];
    if (value === undefined) return undefined;
    return typeof value === 'string' ? 'unset all' : (Object.fromEntries(Object.entries(value)) as Record<string, string>);
  }

  range(name: string): Range {
    const value = this.form[name];
    if (value === undefined) return {};
    if (typeof value === 'string') return { gte: Number(value), lte: Number(value) };
    return Object.fromEntries(Object.entries(value).map(([bound, at]) => [bound, Number(at)]));
  }

  /** The same parameters always give the same string, in whatever order they were sent. */
  fingerprint(): string {
    return JSON.stringify(sorted(this.form));
  }
}

/** The texts of a list, in its order. */
export function texts(list: string | Form | undefined): string[] {
  return typeof list === 'object' ? Object.values(list).filter((item) => typeof item === 'string') : [];
}

function sorted(form: Form): unknown[] {
  return Object.keys(form)
    .sort()
    .map((name) => {
      const value = form[name];
      return [name, typeof value === 'object' ? sorted(value) : value];
    });
}

function checkAll(form: Form, fields: Fields, nameOf: (name: string) => string): void {
  for (const [name, value] of Object.entries(form)) {
    const field = Object.hasOwn(fields, name) ? fields[name] : undefined;
    if (field === undefined) throw invalid(nameOf(name), `Received unknown parameter: ${nameOf(name)}`, 'parameter_unknown');
    check(nameOf(name), value, field);
  }
  for (const [name, field] of Object.entries(fields))
    if (field.is === 'text' && field.needed && form[name] === undefined)
      throw invalid(nameOf(name), `Missing required param: ${nameOf(name)}.`, 'parameter_missing');
}

function check(name: string, value: string | Form, field: Field): void {
  if (value === '' && 'emptyUnsets' in field) return;
  switch (field.is) {
    case 'metadata':
      return checkMetadata(value);
    case 'list':
      if (typeof value === 'string') throw invalid(name, 'Invalid array', undefined);
      return;
    case 'range':
      return checkRange(name, value);
    case 'hash':
      if (typeof value === 'string') throw invalid(name, 'Invalid hash', undefined);
      return checkAll(value, field.fields, (inner) => `${name}[${inner}]`);
    case 'hashes':
      if (typeof value === 'string') throw invalid(name, 'Invalid array', undefined);
      for (const [index, item] of Object.entries(value)) check(`${name}[${index}]`, item, { is: 'hash', fields: field.fields });
      return;
    default:
  }
  if (typeof value === 'object') throw invalid(name, 'Invalid string: a single value is expected', undefined);
  if (value === '') throw invalid(name, `An empty string was passed for '${name}'`, 'parameter_invalid_empty');
  if (field.is === 'integer') checkInteger(name, value, field);
  if (field.is === 'flag' && value !== 'true' && value !== 'false') throw invalid(name, `Invalid boolean: ${value}`, undefined);
  if (field.is === 'text' && field.oneOf !== undefined && !field.oneOf.includes(value))
    throw invalid(name, `Invalid ${name}: must be one of ${field.oneOf.join(', ')}`, undefined);
  if (field.is === 'text') checkLength(name, value, field);
}

/** Characters as a reader counts them, not the halves that JavaScript counts. */
function checkLength(name: string, value: string, { atLeast = 0, atMost = 5000 }: { atLeast?: number; atMost?: number }): void {
  const length = [...value].length;
  if (length > atMost) throw invalid(name, `Invalid string: longer than ${atMost} characters`, undefined);
  if (length < atLeast) throw invalid(name, `Invalid string: shorter than ${atLeast} characters`, undefined);
}

function checkInteger(name: string, value: string, { min, max = Number.MAX_SAFE_INTEGER }: { min: number; max?: number }): void {
  if (!/^-?\d+$/.test(value)) throw invalid(name, `Invalid integer: ${value}`, 'parameter_invalid_integer');
  if (Number(value) < min || Number(value) > max)
    throw invalid(name, `This value must be between ${min} and ${max}: ${value}`, 'parameter_invalid_integer');
}

function checkRange(name: string, value: string | Form): void {
  const bounds = typeof value === 'string' ? { gte: value } : value;
  for (const [bound, at] of Object.entries(bounds)) {
    if (!['gt', 'gte', 'lt', 'lte'].includes(bound))
      throw invalid(`${name}[${bound}]`, `Received unknown parameter: ${name}[${bound}]`, 'parameter_unknown');
    if (typeof at !== 'string') throw invalid(name, 'Invalid timestamp', undefined);
    checkInteger(`${name}[${bound}]`, at, { min: 0 });
  }
}

/** Metadata after an update: name by name, and an empty value unsets its name. */
export function withMetadata(
  before: Record<string, string>,
  changes: Record<string, string> | 'unset all',
): Record<string, string> {
  const after = changes === 'unset all' ? {} : { ...before, ...changes };
  return Object.fromEntries(Object.entries(after).filter(([, value]) => value !== ''));
}

/** docs.stripe.com/metadata */
function checkMetadata(value: string | Form): void {
  if (value === '') return;
  if (typeof value === 'string') throw invalid('metadata', 'Invalid hash', undefined);
  const entries = Object.entries(value);
  if (entries.length > 50) throw invalid('metadata', 'Metadata can have up to 50 keys', undefined);
  for (const [key, text] of entries) {
    const param = `metadata[${key}]`;
    if (typeof text !== 'string') throw invalid(param, 'Metadata values are strings', undefined);
    if (key.length > 40) throw invalid(param, 'Metadata keys can have up to 40 characters', undefined);
    if (text.length > 500) throw invalid(param, 'Metadata values can have up to 500 characters', undefined);
  }
}

function invalid(param: string, message: string, code: string | undefined): Refusal {
  return new Refusal(400, { param, message, ...(code !== undefined && { code }) });
}
