import { validationFailed } from './problems.js';

/** The lists that are read page by page; a cursor of one is no cursor of another. */
export type PagedList = 'refunds' | 'disputes' | 'events' | 'webhooks' | 'dead-letters' | 'attention';

/** A place in a list, opaque to callers: what is in it may change, and nobody should build one. */
export function writeCursor(list: PagedList, place: bigint | string): string {
  return Buffer.from(`${list}.${place}`).toString('base64url');
}

/** The place in a cursor that a caller gave as query parameter `name`; null where there was none. */
export function readCursor(list: PagedList, name: string, cursor: string | undefined): string | null {
  if (cursor === undefined) return null;
  const [from, ...place] = Buffer.from(cursor, 'base64url').toString('utf8').split('.');
  const found = place.join('.');
  if (from !== list || found === '' || writeCursor(list, found) !== cursor) throw noCursor(name);
  return found;
}

/** The same for lists that are counted through. */
export function readOrdinal(list: PagedList, name: string, cursor: string | undefined): bigint | null {
  const place = readCursor(list, name, cursor);
  if (place === null) return null;
  if (!/^(0|[1-9]\d{0,17})$/.test(place)) throw noCursor(name);
  return BigInt(place);
}

export function noCursor(name: string) {
  return validationFailed({ path: name, message: `${name} must be a cursor that this list gave` });
}
