/*
 * Keep-alive connections that post what is written already, one request at a time on each. Node's own client takes 80 µs of a core for each
 * request, as much as the fastest of the servers; on a shared machine that would bring all of them closer together. This takes 20.
 */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

export interface Sent {
  readonly seconds: number;
  /** Of each request from its first byte out to its answer's last byte in. */
  readonly answerMs: Float64Array;
}

export class Connections {
  private constructor(private readonly all: readonly Connection[]) {}

  static async open(port: number, count: number): Promise<Connections> {
    return new Connections(await Promise.all(Array.from({ length: count }, () => Connection.open(port))));
  }

  /** Whoever is free takes the next; resolves when all are answered. Anything but 2xx is an error. */
  async send(requests: readonly Buffer[]): Promise<Sent> {
    const answerMs = new Float64Array(requests.length);
    const begun = performance.now();
    let next = 0;
    const sendNext = async (connection: Connection) => {
      for (let at = next++; at < requests.length; at = next++) {
        const from = performance.now();
        await connection.post(requests[at] ?? Buffer.alloc(0));
        answerMs[at] = performance.now() - from;
      }
    };
    await Promise.all(this.all.map(sendNext));
    return { seconds: (performance.now() - begun) / 1000, answerMs };
  }

  close(): void {
    for (const connection of this.all) connection.close();
  }
}

class Connection {
  private answer = '';
  private waiting: PromiseWithResolvers<void> | undefined;

  private constructor(private readonly socket: Socket) {
    socket.setNoDelay(true).setEncoding('latin1');
    socket.on('data', (text: string) => this.take(text));
    socket.on('error', (error) => this.waiting?.reject(error));
    socket.on('close', () => this.waiting?.reject(new Error('the server closed the connection')));
  }

  static async open(port: number): Promise<Connection> {
    const socket = connect(port, '127.0.0.1');
    await once(socket, 'connect');
    return new Connection(socket);
  }

  post(request: Buffer): Promise<void> {
    this.waiting = Promise.withResolvers();
    this.socket.write(request);
    return this.waiting.promise;
  }

  close(): void {
    this.waiting = undefined;
    this.socket.destroy();
  }

  private take(text: string): void {
    this.answer += text;
    const headEnd = this.answer.indexOf('\r\n\r\n');
    if (headEnd < 0) return;
    const length = /^content-length: *(\d+)/im.exec(this.answer)?.[1];
    if (length === undefined) return this.waiting?.reject(new Error(`an answer of unknown length: ${this.answer}`));
    if (this.answer.length < headEnd + 4 + Number(length)) return;
    const { answer } = this;
    this.answer = '';
    if (answer.startsWith('HTTP/1.1 2')) this.waiting?.resolve();
    else this.waiting?.reject(new Error(`not taken: ${answer}`));
  }
}
