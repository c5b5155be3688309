/*
 * Fastify as we want it under Nest: bodies arrive as the bytes they came in, because a signature is over bytes and because parsing would
 * round numbers before anyone could look; every request has an id that its answer carries; and what never reaches a route is answered in
 * the same shape as everything else.
 */
import { randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import multipart from '@fastify/multipart';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import { MAX_BODY_BYTES } from '#contracts/read-body';
import { problem, refusedByFastify } from './problems.js';
import { rememberRoute } from './routes.js';

const webhookLimit = 1024 * 1024;
/** How much of a body that is too large is read and thrown away. */
export const mostDiscarded = 32 * 1024 * 1024;

export function httpAdapter(): FastifyAdapter {
  const adapter = new FastifyAdapter({
    // Only what waits for nothing is closed by force: what is in hand is answered, and streams end by themselves (see feed).
    forceCloseConnections: 'idle',
    return503OnClosing: false,
    bodyLimit: webhookLimit,
    requestTimeout: 30_000,
    trustProxy: false,
    requestIdHeader: false,
    genReqId: requestId,
    routerOptions: { maxParamLength: 300 },
    frameworkErrors: (error: FastifyError, request: FastifyRequest, reply: FastifyReply) => {
      const { code, status } = refusedByFastify(error);
      void reply
        .status(status)
        .header('x-request-id', request.id)
        .header('content-type', 'application/problem+json')
        .send(Buffer.from(JSON.stringify(problem(code, { status }))));
    },
    clientErrorHandler: refuseBrokenHttp,
  });
  const instance = adapter.getInstance();
  instance.removeAllContentTypeParsers();
  instance.addContentTypeParser('*', takeBody);
  // Forms are left alone until their route reads them; every other route refuses them unread.
  void instance.register(multipart, { throwFileSizeLimit: false });
  instance.addHook('onRoute', (route) => {
    if (!route.url.startsWith('/webhooks/')) route.bodyLimit = MAX_BODY_BYTES;
    rememberRoute(instance, route.url, [route.method].flat());
  });
  // A connection that was busy when closing began stays open for its client's next request, unless somebody closes it when it rests.
  instance.addHook('preClose', (done) => {
    const sweep = setInterval(() => instance.server.closeIdleConnections(), 20);
    instance.server.once('close', () => clearInterval(sweep));
    done();
  });
  instance.addHook('onRequest', (request, reply, done) => {
    void reply.header('x-request-id', request.id);
    done();
  });
  return adapter;
}

/**
 * Takes a body as its bytes, up to the limit of its route. What is longer is read on and thrown away, within reason: who is still writing when
 * the connection closes never reads why.
 */
function takeBody(request: FastifyRequest, body: IncomingMessage, done: (error: Error | null, bytes?: Buffer) => void): void {
  const limit = request.routeOptions.bodyLimit;
  const tooLarge = () => Object.assign(new Error('the body is too large'), { statusCode: 413 });
  if (Number(request.headers['content-length'] ?? 0) > mostDiscarded) return done(tooLarge());
  let chunks: Buffer[] = [];
  let length = 0;
  const end = (error: Error | null) => {
    body.off('data', take).off('end', ended).off('error', end);
    if (error !== null) done(error);
    else done(null, Buffer.concat(chunks, length));
  };
  const ended = () => end(length > limit ? tooLarge() : null);
  const take = (chunk: Buffer) => {
    length += chunk.length;
    if (length <= limit) chunks.push(chunk);
    else chunks = [];
    if (length > mostDiscarded) end(tooLarge());
  };
  body.on('data', take).on('end', ended).on('error', end);
}

/** The caller's id for the request, where it can stand in a header and a log as it is; else one of ours. */
function requestId({ headers }: { headers: IncomingMessage['headers'] }): string {
  const given = headers['x-request-id'];
  return typeof given === 'string' && /^[\x21-\x7e]{1,200}$/.test(given) ? given : randomUUID();
}

/** What is no HTTP has no request to answer; the socket is told and closed. */
function refuseBrokenHttp(error: Error & { code?: string }, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const statuses: Record<string, number> = { ERR_HTTP_REQUEST_TIMEOUT: 408, HPE_HEADER_OVERFLOW: 431 };
  const status = statuses[error.code ?? ''] ?? 400;
  const reasons: Record<number, string> = { 400: 'Bad Request', 408: 'Request Timeout', 431: 'Request Header Fields Too Large' };
  const body = JSON.stringify(problem('bad_request', { status }));
  socket.end(
    `HTTP/1.1 ${status} ${reasons[status]}\r\nx-request-id: ${randomUUID()}\r\ncontent-type: application/problem+json\r\n` +
      `content-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
  );
}
