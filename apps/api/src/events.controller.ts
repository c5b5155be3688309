import { Readable } from 'node:stream';
import { Controller, Get, Req, Res } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import { readOrdinal, writeCursor } from './cursors.js';
import { Feed, structuredEvent, type FeedFilter } from './feed.js';
import { Describe } from './openapi.js';
import { EventsQuery, queryOf, StreamQuery, type CallerRequest } from './requests.js';

@ApiTags('Events')
@Controller('v1/events')
export class EventsController {
  constructor(private readonly feed: Feed) {}

  @Get()
  @Describe({
    does: 'Read what happened, in order',
    query: EventsQuery,
    answers: [200, 'EventPage', 'Events behind the cursor. A page that is not full is the end for now.'],
  })
  async list(@Req() request: CallerRequest, @Res({ passthrough: true }) reply: FastifyReply): Promise<string> {
    const query = queryOf(EventsQuery, request);
    const { entries, next } = await this.feed.page(
      readOrdinal('events', 'after', query.after) ?? 0n,
      query.limit,
      filterOf(query),
    );
    void reply.header('content-type', 'application/json');
    // Written by hand around the data's own bytes.
    return `{"data":[${entries.map(structuredEvent).join(',')}],"nextCursor":${JSON.stringify(writeCursor('events', next))}}`;
  }

  @Get('stream')
  @Describe({
    does: 'Follow what happens, as server-sent events',
    query: StreamQuery,
    answers: [200, 'FeedEvent', 'Each event with its cursor as id and its type as event; Last-Event-ID goes on behind it.'],
    media: 'text/event-stream',
  })
  stream(@Req() request: CallerRequest, @Res({ passthrough: true }) reply: FastifyReply): Readable {
    const query = queryOf(StreamQuery, request);
    const last = request.headers['last-event-id'];
    // A client that comes back has the header beside the address it began with; the header is the newer word.
    const resumed = typeof last === 'string' && last !== '' ? readOrdinal('events', 'Last-Event-ID', last) : null;
    const after = resumed ?? readOrdinal('events', 'after', query.after) ?? 0n;
    void reply
      .header('content-type', 'text/event-stream')
      .header('cache-control', 'no-cache, no-transform')
      .header('x-accel-buffering', 'no');
    // Who asks for the headers alone would leave behind a stream that nobody ends.
    if (request.method === 'HEAD') return Readable.from([]);
    return this.feed.stream(after, filterOf(query));
  }
}

function filterOf({ type, paymentId }: StreamQuery): FeedFilter {
  return { ...(type === undefined ? {} : { type }), ...(paymentId === undefined ? {} : { payment: paymentId }) };
}
