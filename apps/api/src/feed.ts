/*
 * The log over HTTP: page by page, and as a stream that goes on. Both show the events of the topics of events, as CloudEvents in structured
 * mode around the very bytes that went to Kafka.
 *
 * A stream is a loop: read a page behind the last place, write it, and where there was no more wait until something is sealed. It reads
 * only as fast as its reader takes it, so a reader may start from the beginning of a long log; who takes nothing for a minute is dropped.
 */
import { Readable } from 'node:stream';
import { Injectable, type BeforeApplicationShutdown } from '@nestjs/common';
import { EventLog, type LogFilter, type SealedEntry } from '#application/event-log';
import { Wake } from '#application/wake';
import { writeStructured } from '#contracts/cloud-event';
import { topics } from '#contracts/topics';
import { writeCursor } from './cursors.js';

/** Topics that carry events; outcomes and balances are their receivers' business. */
const eventTopics = [topics.refundEvents, topics.disputeEvents];

const pageOfStream = 100;

export interface StreamTimes {
  /** A stream also looks by itself, in case a wake was lost. */
  readonly pollMs: number;
  /** A comment after this long, so that whatever stands between keeps the connection. */
  readonly heartbeatMs: number;
  /** How long a reader may take nothing. */
  readonly patienceMs: number;
}

export type FeedFilter = Pick<LogFilter, 'type' | 'payment'>;

export interface FeedPage {
  readonly entries: readonly SealedEntry[];
  /** Where to go on: behind all that was looked at, also what the filter left out. */
  readonly next: bigint;
}

@Injectable()
export class Feed implements BeforeApplicationShutdown {
  private readonly reading = new Map<string, Promise<FeedPage>>();
  private readonly streams = new Set<AbortController>();

  constructor(
    private readonly log: EventLog,
    private readonly wake: Wake,
    private readonly times: StreamTimes,
  ) {}

  async page(after: bigint, limit: number, filter: FeedFilter): Promise<FeedPage> {
    // Before the page: what is sealed in between is behind this end, and comes with the next one.
    const end = await this.log.end();
    const entries = await this.log.page(after, limit, { ...filter, topics: eventTopics });
    const last = entries.at(-1)?.position ?? after;
    const next = entries.length < limit && end > last ? end : last;
    return { entries, next };
  }

  /** The events behind `after`, and those to come, until the reader goes or the process ends. */
  stream(after: bigint, filter: FeedFilter): Readable {
    const stop = new AbortController();
    this.streams.add(stop);
    const readable = Readable.from(
      this.patiently(this.follow(after, filter, stop.signal), () => readable.destroy()),
      {
        objectMode: false,
        highWaterMark: 64 * 1024,
      },
    );
    readable.once('close', () => {
      this.streams.delete(stop);
      stop.abort();
    });
    return readable;
  }

  /** Streams end with what they have written, so that their readers see an orderly end and come back with their last id. */
  beforeApplicationShutdown(): void {
    for (const stop of this.streams) stop.abort();
  }

  private async *follow(from: bigint, filter: FeedFilter, stop: AbortSignal): AsyncGenerator<string> {
    // The first bytes at once: some clients call a stream open only then.
    yield 'retry: 2000\n\n';
    let after = from;
    let rung = false;
    let ring = () => undefined as void;
    const off = this.wake.on('sealed', () => {
      rung = true;
      ring();
    });
    try {
      let quietMs = 0;
      while (!stop.aborted) {
        rung = false;
        const { entries, next } = await this.sharedPage(after, filter);
        after = next;
        if (entries.length > 0) {
          quietMs = 0;
          yield entries.map((entry) => serverSentEvent(entry)).join('');
        }
        if (entries.length === pageOfStream || rung || stop.aborted) continue;
        const waited = performance.now();
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, Math.min(this.times.pollMs, this.times.heartbeatMs - quietMs));
          ring = () => {
            clearTimeout(timer);
            resolve();
          };
          stop.addEventListener('abort', ring, { once: true });
        });
        stop.removeEventListener('abort', ring);
        quietMs += performance.now() - waited;
        if (quietMs >= this.times.heartbeatMs) {
          quietMs = 0;
          yield ': still here\n\n';
        }
      }
    } finally {
      off();
    }
  }

  /** Readers that have come as far wake up together; one query serves them all. */
  private sharedPage(after: bigint, filter: FeedFilter): Promise<FeedPage> {
    const key = JSON.stringify([String(after), filter.type, filter.payment]);
    const known = this.reading.get(key);
    if (known !== undefined) return known;
    const page = this.page(after, pageOfStream, filter).finally(() => this.reading.delete(key));
    this.reading.set(key, page);
    return page;
  }

  /** Calls `stuck` when what was handed out is not taken for too long: the next piece is asked for only when there is room for it. */
  private async *patiently(pieces: AsyncIterable<string>, stuck: () => void): AsyncGenerator<string> {
    for await (const piece of pieces) {
      const patience = setTimeout(stuck, this.times.patienceMs);
      try {
        yield piece;
      } finally {
        clearTimeout(patience);
      }
    }
  }
}

/** An entry as one JSON object, with its data as it was stored. */
export function structuredEvent(entry: SealedEntry): string {
  const { sequence, correlationId, causationId, traceparent } = entry;
  return writeStructured(
    {
      specversion: '1.0',
      id: entry.id,
      source: `/redress/${entry.account}`,
      type: entry.type,
      subject: entry.subject,
      time: entry.time.toISOString(),
      datacontenttype: 'application/json',
      partitionkey: entry.key ?? '',
      ...(sequence === null ? {} : { sequence: String(sequence) }),
      ...(correlationId === null ? {} : { correlationid: correlationId }),
      ...(causationId === null ? {} : { causationid: causationId }),
      ...(traceparent === null ? {} : { traceparent }),
    },
    entry.data,
  );
}

/** JSON text has no line breaks, so one `data` line holds it. */
function serverSentEvent(entry: SealedEntry): string {
  return `id: ${writeCursor('events', entry.position)}\nevent: ${entry.type}\ndata: ${structuredEvent(entry)}\n\n`;
}
