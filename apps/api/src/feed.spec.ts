import { once } from 'node:events';
import { Writable } from 'node:stream';
import { describe, expect, it } from '@jest/globals';
import { EventLog, type SealedEntry } from '#application/event-log';
import { Wake } from '#application/wake';
import { Feed } from './feed.js';

/** A log that has `length` events. */
class LongLog extends EventLog {
  pages = 0;
  constructor(private readonly length: bigint) {
    super();
  }
  override seal(): Promise<number> {
    return Promise.resolve(0);
  }
  override end(): Promise<bigint> {
    return Promise.resolve(this.length);
  }
  override ends(topics: readonly string[]): Promise<Map<string, bigint>> {
    return Promise.resolve(new Map(topics.map((topic) => [topic, this.length])));
  }
  override page(after: bigint, limit: number): Promise<SealedEntry[]> {
    this.pages += 1;
    const left = Number(this.length - after);
    return Promise.resolve(Array.from({ length: Math.min(limit, left) }, (_, index) => entry(after + BigInt(index + 1))));
  }
}

class Silence extends Wake {
  override ring(): void {}
  override on(): () => void {
    return () => undefined;
  }
}

function entry(position: bigint): SealedEntry {
  const nothing = { paymentKey: null, sequence: null, correlationId: null, causationId: null, traceparent: null };
  const known = {
    topic: 'refunds.events.v1',
    type: 'redress.refund.requested.v1',
    account: 'default',
    key: 'default:stripe:pi_1',
  };
  return { ...nothing, ...known, position, id: `evt_${position}`, subject: 'rf_1', time: new Date(0), data: '{}' };
}

const times = { pollMs: 10, heartbeatMs: 50, patienceMs: 100 };

describe('A stream', () => {
  it('lets its reader know that it is still there', async () => {
    const stream = new Feed(new LongLog(0n), new Silence(), times).stream(0n, {});
    let read = '';
    stream.on('data', (bytes: Buffer) => (read += bytes.toString()));
    await new Promise((wait) => setTimeout(wait, 200));
    stream.destroy();
    expect(read).toMatch(/^retry: 2000\n\n(: still here\n\n)+$/);
  });

  it('reads no faster than it is read, and drops a reader that takes nothing', async () => {
    const log = new LongLog(1_000_000n);
    const stream = new Feed(log, new Silence(), times).stream(0n, {});
    stream.pipe(new Writable({ write: () => undefined }));
    await once(stream, 'close');
    expect(log.pages).toBeLessThan(20);
  }, 5_000);

  it('keeps a reader that is slow, but reads', async () => {
    const patience = { ...times, patienceMs: 500 };
    const stream = new Feed(new LongLog(2_000n), new Silence(), patience).stream(0n, {});
    let ids = 0;
    const reader = new Writable({
      write: (bytes: Buffer, _, done) => {
        ids += bytes.toString().match(/^id: /gm)?.length ?? 0;
        setTimeout(done, 60);
      },
    });
    stream.pipe(reader);
    for (let tries = 0; ids < 2_000 && tries < 100; tries += 1) await new Promise((wait) => setTimeout(wait, 50));
    stream.destroy();
    expect(ids).toBe(2_000);
  }, 10_000);
});
