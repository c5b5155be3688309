import type { CALLS } from './faults.js';
import type { Cause } from './stripe-bank.js';
import type { Upload } from './stripe-files.js';
import { type Field, type Fields, type Params, type Range, Refusal, type StripeObject } from './stripe-params.js';

/** One admitted request on its way through its endpoint. */
export type Execution = { params: Params; id: string; cause: Cause; upload: Upload | undefined };

/** One of Stripe's calls: what it takes, and what it does. */
export type Endpoint = {
  call: (typeof CALLS)['stripe'][number];
  method: 'GET' | 'POST';
  path: string;
  fields: Fields;
  /** Takes a file in a multipart body, under the name `file`. */
  uploads?: true;
  /** What the endpoint needs for itself alone; a second request for it meanwhile gets `lock_timeout`. */
  locks?: (execution: Execution) => string | undefined;
  execute: (execution: Execution) => StripeObject;
};

export const TEXT: Field = { is: 'text' };
export const EXPAND: Fields = { expand: { is: 'list' } };
export const PAGE: Fields = {
  ...EXPAND,
  created: { is: 'range' },
  ending_before: TEXT,
  limit: { is: 'integer', min: 1, max: 100 },
  starting_after: TEXT,
};

/** The row, or Stripe's word that there is none. */
export function found<Row>(row: Row | undefined, what: string, id: string, param = 'id'): Row {
  if (row === undefined) throw new Refusal(404, { code: 'resource_missing', param, message: `No such ${what}: '${id}'` });
  return row;
}

/** One page of rows that come newest first. docs.stripe.com/api/pagination */
export function page<Row extends { created: number }>(
  url: string,
  params: Params,
  rows: Row[],
  idOf: (row: Row) => string,
  draw: (row: Row) => StripeObject,
): StripeObject {
  const limit = params.integer('limit') ?? 10;
  const wanted = rows.filter((row) => within(row.created, params.range('created')));
  const place = (name: string) => {
    const id = params.text(name);
    if (id === undefined) return undefined;
    const index = wanted.findIndex((row) => idOf(row) === id);
    if (index < 0) throw new Refusal(404, { code: 'resource_missing', param: name, message: `No such object: '${id}'` });
    return index;
  };
  const after = place('starting_after');
  const before = place('ending_before');
  const from = before === undefined ? (after ?? -1) + 1 : Math.max(0, before - limit);
  const rowsOfPage = wanted.slice(from, before ?? from + limit);
  const hasMore = before === undefined ? from + limit < wanted.length : from > 0;
  return { object: 'list', data: rowsOfPage.map(draw), has_more: hasMore, url };
}

function within(seconds: number, { gt, gte, lt, lte }: Range): boolean {
  return (
    !(gt !== undefined && seconds <= gt) &&
    !(gte !== undefined && seconds < gte) &&
    !(lt !== undefined && seconds >= lt) &&
    !(lte !== undefined && seconds > lte)
  );
}
