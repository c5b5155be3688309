import http from 'node:http';
import type { AddressInfo, Socket } from 'node:net';

/** A request as it came over the wire. */
export interface Received {
  readonly method: string;
  readonly path: string;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: string;
  /** The same as it came, for what is no text. */
  readonly bytes: Buffer;
  /** What it came through; destroyed once the connection is gone. */
  readonly socket: Socket;
}

/** What a server does with a request once it has all of it. */
export type Reply = (response: http.ServerResponse, request: Received) => void;

/** A provider's address with nobody behind it but a script: answers in the order given, the last one for ever, and counts what came. */
export class ScriptedServer {
  readonly requests: Received[] = [];
  readonly connections = new Set<Socket>();
  private replies: Reply[] = [];

  private constructor(private readonly server: http.Server) {}

  static async start(): Promise<ScriptedServer> {
    const server = http.createServer();
    const scripted = new ScriptedServer(server);
    server.on('connection', (socket) => {
      scripted.connections.add(socket);
      socket.on('close', () => scripted.connections.delete(socket));
    });
    server.on('request', (request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        const { method = '', url: path = '', headers, socket } = request;
        const bytes = Buffer.concat(chunks);
        const received = { method, path, headers, socket, bytes, body: bytes.toString('utf8') };
        scripted.requests.push(received);
        const [reply, ...rest] = scripted.replies;
        if (rest.length > 0) scripted.replies = rest;
        (reply ?? json(500, {}))(response, received);
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return scripted;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  answers(...replies: readonly Reply[]): void {
    this.replies = [...replies];
    this.requests.length = 0;
  }

  async close(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }
}

export const json =
  (status: number, body: unknown, headers: Readonly<Record<string, string>> = {}): Reply =>
  (response) => {
    response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
  };

export const text =
  (status: number, body: string, headers: Readonly<Record<string, string>> = {}): Reply =>
  (response) => {
    response.writeHead(status, headers).end(body);
  };

/** The connection is closed in an orderly way, or reset, before any answer. */
export const hangUp: Reply = (response) => response.socket?.destroy();
export const reset: Reply = (response) => response.socket?.resetAndDestroy();
export const silence: Reply = () => undefined;

/** A promise of more bytes than come. */
export const cutShort =
  (status: number, body: string): Reply =>
  (response) => {
    response.writeHead(status, { 'content-type': 'application/json', 'content-length': String(body.length) });
    response.write(body.slice(0, Math.floor(body.length / 2)), () => response.socket?.destroy());
  };

/** One byte every so often, without end: an idle time-out never sees it. */
export const drip =
  (everyMs: number): Reply =>
  (response) => {
    response.writeHead(200, { 'content-type': 'application/json' });
    response.write('{');
    const timer = setInterval(() => response.write(' '), everyMs);
    response.on('close', () => clearInterval(timer));
  };
