/*
 * What hurts the rig, chosen by seed. Every kind comes once, in an order the seed decides, in the first two minutes (or somewhat
 * more, where the machine is slow); after that all come again in another. Faults overlap; what one has broken is mended by itself after its time, and `heal` waits for that.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { apis, type Rig, workers } from './rig.js';
import type { Seeded } from './seeded.js';

/** By kind, with the faults each shows. */
export const kinds = {
  kill_worker: 'a worker is killed (F1, F2, F16, F22)',
  kill_api: 'an api is killed (F3)',
  freeze_worker: 'a worker is frozen past its leases and its session (F9, F17, F23)',
  freeze_api: 'an api is frozen',
  restart_worker: 'a worker is told to end (F10, F33)',
  restart_api: 'an api is told to end (F33)',
  hurry_worker: 'a worker is told to end, and told again (F33)',
  cut_postgres: 'connections to PostgreSQL are cut (F3)',
  stall_postgres: 'connections to PostgreSQL go silent (F31)',
  slow_postgres: 'PostgreSQL is far away',
  restart_postgres: 'PostgreSQL is restarted (F30)',
  use_up_connections: "PostgreSQL's connections are used up (F31)",
  cut_kafka: 'connections to Kafka are cut (F12)',
  stall_kafka: 'connections to a broker go silent (F12)',
  kill_broker: 'a broker is killed and comes back (F12)',
  cut_providers: 'connections to the providers are cut (F19)',
  stall_providers: 'connections to the providers go silent (F19, F24)',
  drop_answer: 'providers do the work and drop the answer (F19)',
  status_500_saved: 'providers do the work and save a 500 (F20)',
  status_500: 'providers answer 500',
  status_429: 'providers answer 429 (F24)',
  lose_webhooks: 'webhooks are lost',
  double_webhooks: 'webhooks come twice (F27)',
  reorder_webhooks: 'webhooks overtake (F26, F27)',
  clock_jump: 'the clock jumps ahead (F32)',
  partition_move: 'workers leave and join in turn (F10)',
} as const;

export type Kind = keyof typeof kinds;

export class Nemesis {
  /** How often each was done, from its beginning to its end. */
  readonly counts = new Map<Kind, number>();
  readonly errors: string[] = [];
  private readonly busy = new Set<string>();
  private readonly underWay = new Set<Promise<void>>();
  private over = false;

  constructor(
    private readonly rig: Rig,
    private readonly seeded: Seeded,
    private readonly say: (what: string) => void,
  ) {}

  async run(ms: number): Promise<void> {
    const all = Object.keys(kinds) as Kind[];
    let next = this.seeded.shuffled(all);
    const pauseMs = Math.min(ms, 110_000) / (all.length + 1);
    let isFirstRound = ms >= 110_000;
    for (const end = Date.now() + ms; (Date.now() < end || isFirstRound) && !this.over; await sleep(Math.max(500, pauseMs))) {
      const at = next.findIndex((kind) => this.mayBegin(kind));
      const [kind] = at < 0 ? [] : next.splice(at, 1);
      if (kind !== undefined) this.begin(kind);
      if (next.length > 0) continue;
      isFirstRound = false;
      next = this.seeded.shuffled(all);
    }
  }

  /** Begins nothing more, and waits until all is mended. */
  async heal(): Promise<void> {
    this.over = true;
    while (this.underWay.size > 0) await Promise.all(this.underWay);
    const { postgres, kafka, providers, door } = this.rig.ways;
    for (const proxy of [postgres, providers, door, ...kafka]) proxy.set('fair');
    for (const name of [...apis, ...workers]) {
      this.rig.signal(name, 'SIGCONT');
      this.rig.raise(name);
    }
  }

  private mayBegin(kind: Kind): boolean {
    const place = placeOf(kind);
    return place === null || !this.busy.has(place);
  }

  private begin(kind: Kind): void {
    const place = placeOf(kind);
    if (place !== null) this.busy.add(place);
    this.say(`nemesis: ${kinds[kind]}`);
    const work = this.does(kind)
      .then(() => void this.counts.set(kind, (this.counts.get(kind) ?? 0) + 1))
      .catch((error: unknown) => void this.errors.push(`${kind}: ${String(error)}`))
      .finally(() => {
        if (place !== null) this.busy.delete(place);
        this.underWay.delete(work);
      });
    this.underWay.add(work);
  }

  private async does(kind: Kind): Promise<void> {
    const { rig, seeded } = this;
    const { postgres, kafka, providers } = rig.ways;
    const worker = this.free(workers);
    const api = this.free(apis);
    const during = async (
      proxies: readonly { set(weather: 'cut' | 'stalled' | 'fair', ms?: number): void }[],
      weather: 'cut' | 'stalled',
      ms: number,
    ) => {
      for (const proxy of proxies) proxy.set(weather);
      await sleep(ms);
      for (const proxy of proxies) proxy.set('fair');
    };
    switch (kind) {
      case 'kill_worker':
        return this.holding(worker, () => this.again(worker, 'SIGKILL', seeded.whole(500, 3_000)));
      case 'kill_api':
        return this.holding(api, () => this.again(api, 'SIGKILL', seeded.whole(500, 3_000)));
      case 'restart_worker':
        return this.holding(worker, () => this.again(worker, 'SIGTERM', 500));
      case 'restart_api':
        return this.holding(api, () => this.again(api, 'SIGTERM', 500));
      case 'hurry_worker':
        return this.holding(worker, async () => {
          const ended = this.rig.endPart(worker, 'SIGTERM');
          await sleep(seeded.whole(0, 1_000));
          this.rig.signal(worker, 'SIGTERM');
          await ended;
          await sleep(500);
          this.rig.raise(worker);
        });
      case 'freeze_worker':
        return this.holding(worker, () => this.frozen(worker, seeded.whole(36_000, 42_000)));
      case 'freeze_api':
        return this.holding(api, () => this.frozen(api, seeded.whole(4_000, 12_000)));
      case 'partition_move': {
        for (const each of seeded.shuffled(workers)) {
          if (!this.busy.has(each)) await this.holding(each, () => this.again(each, 'SIGTERM', 1_000));
        }
        return;
      }
      case 'cut_postgres':
        return during([postgres], 'cut', seeded.whole(200, 4_000));
      case 'stall_postgres':
        return during([postgres], 'stalled', seeded.whole(3_000, 9_000));
      case 'slow_postgres':
        postgres.set('fair', 25);
        await sleep(6_000);
        postgres.set('fair');
        return;
      case 'restart_postgres':
        return rig.restartPostgres(seeded.whole(500, 4_000));
      case 'use_up_connections':
        return this.useUp(seeded.whole(4_000, 9_000));
      case 'cut_kafka':
        return during(kafka, 'cut', seeded.whole(500, 6_000));
      case 'stall_kafka':
        return during([seeded.oneOf(kafka)], 'stalled', seeded.whole(5_000, 12_000));
      case 'kill_broker': {
        const node = seeded.oneOf(rig.kafka.nodes);
        await node.kill();
        await sleep(seeded.whole(3_000, 10_000));
        return node.start();
      }
      case 'cut_providers':
        return during([providers], 'cut', seeded.whole(500, 6_000));
      case 'stall_providers':
        return during([providers], 'stalled', seeded.whole(3_000, 9_000));
      case 'drop_answer':
      case 'status_500_saved':
      case 'status_500':
      case 'status_429':
        for (const provider of ['stripe', 'zamp'])
          await rig.control('faults', { provider, call: 'refunds.create', fault: kind, times: seeded.whole(2, 5) });
        return;
      case 'lose_webhooks':
      case 'double_webhooks':
      case 'reorder_webhooks':
        for (const provider of ['stripe', 'zamp'])
          await rig.control('faults', { provider, webhook: kind.split('_')[0], times: seeded.whole(3, 8) });
        return;
      case 'clock_jump': {
        const advanceSeconds = seeded.whole(60, 3_600);
        // The service moves first, over a door that may be shut just now.
        for (let tries = 0; tries < 20; tries += 1, await sleep(1_000)) {
          const moved = await rig.control('clock', { advanceSeconds }).then(
            () => true,
            () => false,
          );
          if (moved) return;
        }
        throw new Error('the service did not move its clock');
      }
    }
  }

  private free<T extends string>(names: readonly T[]): T {
    const free = names.filter((name) => !this.busy.has(name));
    return this.seeded.oneOf(free.length === 0 ? names : free);
  }

  private async holding(name: string, work: () => Promise<void>): Promise<void> {
    while (this.busy.has(name)) await sleep(200);
    this.busy.add(name);
    try {
      await work();
    } finally {
      this.busy.delete(name);
    }
  }

  private async again(name: string, signal: 'SIGTERM' | 'SIGKILL', downMs: number): Promise<void> {
    await this.rig.endPart(name, signal);
    await sleep(downMs);
    this.rig.raise(name);
  }

  private async frozen(name: string, ms: number): Promise<void> {
    this.rig.signal(name, 'SIGSTOP');
    await sleep(ms);
    this.rig.signal(name, 'SIGCONT');
  }

  private async useUp(ms: number): Promise<void> {
    const taken: pg.Client[] = [];
    try {
      for (let count = 0; count < 120; count += 1) {
        const client = new pg.Client({ connectionString: this.rig.places.database });
        client.on('error', () => undefined);
        const connected = await client.connect().then(
          () => true,
          () => false,
        );
        if (!connected) break;
        taken.push(client);
      }
      await sleep(ms);
    } finally {
      await Promise.all(taken.map((client) => client.end().catch(() => undefined)));
    }
  }
}

/** What only one fault at a time may touch. */
function placeOf(kind: Kind): string | null {
  if (kind.endsWith('postgres') || kind === 'use_up_connections') return 'postgres';
  if (kind.endsWith('kafka') || kind === 'kill_broker') return 'kafka';
  if (kind.endsWith('providers')) return 'providers';
  return kind === 'clock_jump' || kind === 'partition_move' ? kind : null;
}
