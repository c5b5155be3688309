import { Socket } from 'node:net';

/** The server ends a statement after 30 s, and so every silence; and an unused connection is closed long before. */
export const longestSilenceMs = 35_000;

/**
 * A socket that ends when nothing has come or gone for so long: then its server is frozen, or its address has moved to another one, and
 * nobody will ever say so. (pg's own `query_timeout` hands the connection back in the middle of its transaction, with the answer still due;
 * Node has no TCP_USER_TIMEOUT.) Whoever waits for an answer gets an error as of any lost connection.
 */
export function watchedSocket(silenceMs: number): Socket {
  const socket = new Socket();
  const silence = () => Object.assign(new Error(`the database said nothing for ${silenceMs} ms`), { code: 'ETIMEDOUT' });
  return socket.setTimeout(silenceMs, () => socket.destroy(silence()));
}
