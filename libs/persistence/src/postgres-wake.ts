import { EventEmitter } from 'node:events';
import pg from 'pg';
import { Wake, type Work } from '#application/wake';
import { longestSilenceMs, watchedSocket } from '#persistence/watched-socket';

const channel = 'redress_work';
const listenedTo: readonly Work[] = ['operations', 'unsealed', 'sealed', 'deliveries'];

/**
 * Rings in this process at once, and in the others through NOTIFY: on a connection of its own, after the commit, and coalesced, because a
 * NOTIFY inside the business transaction takes a lock over all commits and halves the throughput. A lost ring costs one slow poll.
 */
export class PostgresWake extends Wake {
  private readonly emitter = new EventEmitter();
  private readonly unsent = new Set<Work>();
  private client: pg.Client | null = null;
  private sending = false;
  private stopped = false;
  private retry: NodeJS.Timeout | undefined;
  /** Tells our own notifications from the others'. */
  private readonly self = Math.random().toString(36).slice(2);

  constructor(
    private readonly url: string,
    private readonly silenceMs = longestSilenceMs,
  ) {
    super();
    this.emitter.setMaxListeners(0);
  }

  ring(work: Work): void {
    this.emitter.emit(work);
    this.unsent.add(work);
    void this.send();
  }

  on(work: Work, listener: () => void): () => void {
    this.emitter.on(work, listener);
    return () => this.emitter.off(work, listener);
  }

  /** Connects, and connects again whenever the connection is lost, until it is stopped. */
  async start(): Promise<void> {
    if (this.stopped) return;
    const stream = () => watchedSocket(this.silenceMs);
    const client = new pg.Client({ connectionString: this.url, application_name: 'redress wake', stream });
    client.on('notification', ({ payload }) => {
      const [from, ...works] = (payload ?? '').split(' ');
      if (from === this.self) return;
      for (const work of listenedTo) if (works.includes(work)) this.emitter.emit(work);
    });
    client.on('error', () => this.again(client));
    client.on('end', () => this.again(client));
    try {
      await client.connect();
      await client.query(`listen ${channel}`);
      this.client = client;
      // Who only listens cannot tell a quiet server from one that is gone; to ring for nothing is answered.
      const asking = setInterval(() => void this.send(), this.silenceMs / 3).unref();
      client.once('end', () => clearInterval(asking));
      // What was missed while nobody listened.
      for (const work of listenedTo) this.emitter.emit(work);
    } catch {
      // The database is away; the polls behind every loop say so, and this tries again.
      this.again(client);
    }
  }

  async stop(): Promise<void> {
    this.stopped = true;
    clearTimeout(this.retry);
    const client = this.client;
    this.client = null;
    await client?.end().catch(() => undefined);
  }

  private again(lost: pg.Client): void {
    if (this.client === lost) this.client = null;
    if (this.stopped) return;
    clearTimeout(this.retry);
    this.retry = setTimeout(() => void this.start(), 1_000);
    void lost.end().catch(() => undefined);
  }

  private async send(): Promise<void> {
    if (this.sending) return;
    this.sending = true;
    // A moment, so that what is rung in a burst goes out as one.
    await new Promise((wake) => setTimeout(wake, 5));
    const works = [...this.unsent];
    this.unsent.clear();
    await this.client?.query('select pg_notify($1, $2)', [channel, [this.self, ...works].join(' ')]).catch(() => undefined);
    this.sending = false;
    if (this.unsent.size > 0) void this.send();
  }
}
