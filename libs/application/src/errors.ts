/** Something we need is not there right now (the database, as a rule): nothing was done, keep everything and try again later. */
export class Unavailable extends Error {
  override readonly name = 'Unavailable';
}

/** Somebody else moved what we thought was ours (a compare-and-set was lost): nothing was done, look anew before going on. */
export class Fenced extends Error {
  override readonly name = 'Fenced';
}
