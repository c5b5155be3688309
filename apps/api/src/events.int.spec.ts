import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { describeWithDatabase } from '../../../test/environment.js';
import { runningApi, type RunningApi } from '../../../test/running-api.js';

let api: RunningApi;
const readers = new Set<AbortController>();
const begin = async () => {
  api = await runningApi();
};
const end = async () => {
  for (const reader of readers) reader.abort();
  await api?.close();
};
const refund = async (paymentId: string, key: string) => {
  const { body } = await api.post('/v1/refunds', { provider: 'stripe', paymentId, amount: 100, currency: 'USD' }, { key });
  await api.work();
  return String(body['id']);
};

type Received = { id: string; event: string; data: { id: string; type: string; subject: string; sequence: string } };

/** Reads a stream as an EventSource would. */
function follow(query = '', headers: Record<string, string> = {}) {
  const stop = new AbortController();
  readers.add(stop);
  const events: Received[] = [];
  const ended = (async () => {
    const response = await fetch(`${api.url}/v1/events/stream${query}`, {
      headers: { authorization: 'Bearer a-key-for-this-spec-alone', ...headers },
      signal: stop.signal,
    });
    expect(response.headers.get('content-type')).toContain('text/event-stream');
    let rest = '';
    const decoder = new TextDecoder();
    for await (const bytes of response.body ?? []) {
      const blocks = (rest + decoder.decode(bytes as Uint8Array, { stream: true })).split('\n\n');
      rest = blocks.pop() ?? '';
      for (const block of blocks.filter((each) => each.startsWith('id: '))) {
        const [id = '', event = '', data = ''] = block.split('\n').map((line) => line.slice(line.indexOf(': ') + 2));
        events.push({ id, event, data: JSON.parse(data) as Received['data'] });
      }
    }
    return 'ended by the server';
  })().catch((error: unknown) => String(error));
  const until = async (count: number) => {
    for (let tries = 0; events.length < count && tries < 400; tries += 1) await sleep(25);
    return events;
  };
  return { events, until, ended, stop: () => stop.abort() };
}

describeWithDatabase('The event feed', () => {
  beforeEach(begin, 60_000);
  afterEach(end);

  it('is read page by page to its end, and on from there when more has happened', async () => {
    const { paymentId } = await api.pay();
    expect((await api.get('/v1/events')).body).toMatchObject({ data: { length: 0 }, nextCursor: expect.any(String) });
    const first = await refund(paymentId, 'one');
    const types: string[] = [];
    let after = '';
    for (let pages = 0; pages < 20; pages += 1) {
      const { body, data } = await api.get(`/v1/events?limit=2${after === '' ? '' : `&after=${after}`}`);
      after = String(body['nextCursor']);
      types.push(...data.map(({ type }) => String(type)));
      if (data.length < 2) break;
    }
    expect(types).toEqual(['requested', 'approved', 'submitted', 'succeeded'].map((name) => `redress.refund.${name}.v1`));
    expect((await api.get(`/v1/events?after=${after}`)).data).toHaveLength(0);

    const second = await refund(paymentId, 'two');
    const { data } = await api.get(`/v1/events?after=${after}`);
    expect(data.map(({ subject, sequence }) => [String(subject), String(sequence)])).toEqual(
      [5, 6, 7, 8].map((sequence) => [second, String(sequence)]),
    );
    expect(second).not.toBe(first);
  });

  it('is narrowed to a type or a payment, and its cursor passes what was left out', async () => {
    const { paymentId, chargeId } = await api.pay();
    const { paymentId: other } = await api.pay();
    const mine = await refund(paymentId, 'mine');
    await refund(other, 'other');
    const ended = await api.get('/v1/events?type=redress.refund.succeeded.v1');
    expect(ended.data).toHaveLength(2);
    const ofCharge = await api.get(`/v1/events?paymentId=${chargeId}`);
    expect(ofCharge.data.map(({ subject }) => String(subject))).toEqual([mine, mine, mine, mine]);
    expect(ofCharge.body['nextCursor']).toBe(ended.body['nextCursor']);
    expect((await api.get('/v1/events?paymentId=pi_nobody')).data).toHaveLength(0);
  });

  it.each([
    ['limit=0', 'limit'],
    ['after=1', 'after'],
    ['type=refund', 'type'],
    ['since=now', 'since'],
  ])('refuses %s by name', async (query, path) => {
    expect(await api.get(`/v1/events?${query}`)).toMatchObject({ status: 400, body: { errors: [{ path }] } });
  });
});

describeWithDatabase('The event stream', () => {
  beforeEach(begin, 60_000);
  afterEach(end);

  it('brings what was and what comes, and goes on behind the last id that a reader saw', async () => {
    const { paymentId } = await api.pay();
    await refund(paymentId, 'one');
    const reader = follow();
    expect(await reader.until(4)).toHaveLength(4);
    await refund(paymentId, 'two');
    const seen = await reader.until(8);
    expect(seen.map(({ data }) => data.sequence)).toEqual(['1', '2', '3', '4', '5', '6', '7', '8']);
    expect(seen.every(({ event, data }) => event === data.type)).toBe(true);

    const again = follow('', { 'last-event-id': seen[5]?.id ?? '' });
    expect((await again.until(2)).map(({ data }) => data.sequence)).toEqual(['7', '8']);
    const feed = await api.get('/v1/events?limit=100');
    expect(seen.map(({ data }) => data)).toEqual(feed.data);
  }, 30_000);

  it('is narrowed as the feed is', async () => {
    const { paymentId } = await api.pay();
    const reader = follow('?type=redress.refund.succeeded.v1');
    await refund(paymentId, 'one');
    expect(await reader.until(1)).toHaveLength(1);
  }, 30_000);

  it('refuses a last id that is none', async () => {
    const answer = await api.get('/v1/events/stream', { headers: { 'last-event-id': '42' } });
    expect(answer).toMatchObject({ status: 400, body: { errors: [{ path: 'Last-Event-ID' }] } });
  });

  it('ends in good order when the process does', async () => {
    const reader = follow();
    await sleep(200);
    const started = performance.now();
    await api.close();
    expect(await reader.ended).toBe('ended by the server');
    expect(performance.now() - started).toBeLessThan(3_000);
  }, 30_000);
});
