/*
 * A TCP proxy between a client and what it stands on, for faults of the network: connections that are cut, that go silent, that take long.
 */
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

/** `cut`: connections end at once, and no new one is taken. `stalled`: they stay open, and nothing passes. */
export type Weather = 'fair' | 'cut' | 'stalled';

export class Proxy {
  private readonly links = new Set<readonly [Socket, Socket]>();
  private targets: readonly number[] = [];
  private turn = 0;
  private weather: Weather = 'fair';
  private delayMs = 0;

  private constructor(private readonly server: Server) {
    server.on('connection', (client) => this.serve(client));
  }

  static async start(): Promise<Proxy> {
    const server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new Proxy(server);
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  /** Local ports, taken in turns. */
  leadTo(...targets: readonly number[]): void {
    this.targets = targets;
  }

  /** Everything at rest passes again; each piece of either direction takes `delayMs`. */
  set(weather: Weather, delayMs = 0): void {
    this.weather = weather;
    this.delayMs = delayMs;
    for (const link of this.links) {
      for (const socket of link) {
        if (weather === 'cut') socket.resetAndDestroy();
        else if (weather === 'stalled') socket.pause();
        else socket.resume();
      }
    }
  }

  async stop(): Promise<void> {
    this.set('cut');
    this.server.close();
    await once(this.server, 'close');
  }

  private serve(client: Socket): void {
    client.on('error', () => client.destroy());
    const target = this.targets[this.turn++ % this.targets.length];
    if (target === undefined || this.weather === 'cut') {
      client.resetAndDestroy();
      return;
    }
    const server = connect(target, '127.0.0.1');
    const link = [client, server] as const;
    this.links.add(link);
    this.carry(client, server);
    this.carry(server, client);
    const end = () => {
      this.links.delete(link);
      client.destroy();
      server.destroy();
    };
    client.once('close', end);
    server.once('close', end).once('error', end);
    if (this.weather === 'stalled') for (const socket of link) socket.pause();
  }

  private carry(from: Socket, to: Socket): void {
    // One after the other, so that a shorter delay never overtakes a longer one.
    let last: Promise<unknown> = Promise.resolve();
    let waiting = 0;
    const pass = (act: () => void) => {
      if (this.delayMs === 0 && waiting === 0) {
        act();
        return;
      }
      waiting += 1;
      const due = new Promise((resolve) => setTimeout(resolve, this.delayMs));
      last = Promise.all([last, due]).then(() => {
        waiting -= 1;
        act();
      });
    };
    from.setNoDelay(true);
    from.on('data', (piece) => pass(() => void (to.destroyed || to.write(piece))));
    from.on('end', () => pass(() => to.end()));
  }
}
