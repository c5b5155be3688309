/**
 * Ends a call after `ms`. A process that was frozen finds two things when it wakes up: that the time is over, and that the answer came long
 * ago. Timers go first, so the answer would be thrown away unread; it may hold the only refund id there is.
 */
export function deadline(ms: number): AbortSignal {
  const controller = new AbortController();
  const end = () => controller.abort(new Error(`no answer within ${ms} ms`));
  const begun = performance.now();
  const over = () => {
    const wasFrozen = performance.now() - begun > ms + graceMs;
    if (wasFrozen) setTimeout(end, graceMs).unref();
    else end();
  };
  setTimeout(over, ms).unref();
  return controller.signal;
}

/** As long as it takes to read what has arrived already. */
const graceMs = 1_000;
