/** The database cannot be used now. Nothing was stored; the same call may succeed later. */
export class Unavailable extends Error {
  override readonly name = 'Unavailable';
}

/** Somebody else holds what we believed to hold: a partition, a topic, an operation. Nothing was stored. */
export class Fenced extends Error {
  override readonly name = 'Fenced';
}

/** Another transaction was in the way; the whole batch may be tried again at once. */
export class Conflict extends Error {
  override readonly name = 'Conflict';
}
