/*
 * What nobody should send, through the running system: over HTTP, and over Kafka in both modes. Each row of bad-input.ts gets its own clear
 * answer, nothing of it is stored but that answer, and what is good goes on beside it.
 */
import { createHash, createHmac, randomUUID } from 'node:crypto';
import { request } from 'node:http';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { ConfigResourceTypes, type IHeaders, type Message } from 'kafkajs';
import { describeWithDatabase, describeWithKafka } from '../environment.js';
import { problemsOf } from '../message-schemas.js';
import {
  attributes,
  badBodies,
  badRecords,
  badRequests,
  json,
  refusals,
  unreadableBodies,
  type BadRecord,
  type Call,
  type Sent,
} from './bad-input.js';
import { System, type Seen } from './system.js';

// Each waits for real processes; how long says nothing.
jest.setTimeout(120_000);

const commands = 'refunds.commands.v1';

const tables = [
  'refund',
  'payment',
  'payment_alias',
  'provider_operation',
  'provider_call',
  'command',
  'event',
  'dead_letter',
  'webhook_delivery',
];

describeWithDatabase('Bad input, through the running system', () => {
  describeWithKafka('with a real Kafka', () => {
    let system: System;
    const known = { refund: '', webhook: '' };
    let paymentId = '';

    beforeAll(async () => {
      system = await System.start();
      ({ paymentId } = await system.pay({ provider: 'stripe', amount: 1_000_000 }));
      const { body: first } = await system.refund({
        provider: 'stripe',
        paymentId,
        amount: 1,
        currency: 'USD',
        reference: 'taken',
      });
      await system.refundThatIs('succeeded', first.id);
      known.refund = first.id;
      const delivered = async () =>
        (await system.query<{ id: string }>('select id from webhook_delivery where disposition is not null'))[0];
      await system.until('a webhook came', async () => (await delivered()) !== undefined);
      known.webhook = (await delivered())?.id ?? '';
      await system.until('the topic of commands is there', async () => {
        const admin = system.kafka().admin();
        await admin.connect();
        const topics = await admin.listTopics();
        await admin.disconnect();
        return topics.includes(`${commands}.dlq`);
      });
      await quiet();
    }, 180_000);
    afterAll(() => system?.stop(), 60_000);

    /** How many rows each table has. */
    const rows = async () => {
      const [counts] = await system.query(
        `select ${tables.map((table) => `(select count(*)::int from ${table}) as ${table}`).join(', ')}`,
      );
      return counts as Record<string, number>;
    };
    /** When nothing moves any more. */
    const quiet = async () => {
      let last = '';
      await system.until('nothing moves any more', async () => {
        const before = last;
        last = JSON.stringify(await rows());
        const [{ busy } = { busy: 1 }] = await system.query<{ busy: number }>(
          `select count(*)::int as busy from webhook_delivery where disposition is null`,
        );
        await new Promise((resolve) => setTimeout(resolve, 500));
        return busy === 0 && last === before && last === JSON.stringify(await rows());
      });
    };
    const good = (more: object = {}) => ({ provider: 'stripe', paymentId, amount: 1, currency: 'USD', ...more });

    describe('over HTTP', () => {
      let before: Record<string, number>;
      beforeAll(async () => {
        before = await rows();
      });

      const asked = (path: `/${string}`, sent: string | Buffer) =>
        send(system, `POST ${path}`, { body: sent, headers: { ...json, 'idempotency-key': randomUUID() } });

      it.each(badBodies)('a request with %s is refused, and so is its preview', async (_, sent, path) => {
        for (const answer of [await asked('/v1/refunds', sent), await asked('/v1/refunds/preview', sent)]) {
          expectProblem(answer, `400 validation_failed ${path}`);
        }
      });

      it.each(unreadableBodies)('a request that is %s is refused, and so is its preview', async (_, sent) => {
        for (const answer of [await asked('/v1/refunds', sent), await asked('/v1/refunds/preview', sent)]) {
          expectProblem(answer, '400 not_json body');
        }
      });

      it.each(badRequests)('%s: %s is answered with %s', async (_, call, expected, sent: Sent = {}) => {
        const answer = await send(
          system,
          call.replace('{refund}', known.refund).replace('{webhook}', known.webhook) as Call,
          sent,
        );
        expectProblem(answer, expected);
        if (answer.status === 401) expect(answer.headers['www-authenticate']).toBe('Bearer');
        if (answer.status === 405) expect(answer.headers['allow']).toMatch(/^[A-Z, ]+$/);
      });

      it('a NUL byte in a header is refused as no HTTP', async () => {
        const socket = connect(Number(new URL(system.api).port), '127.0.0.1');
        socket.write(`POST /v1/refunds HTTP/1.1\r\nhost: x\r\nidempotency-key: a\0b\r\n\r\n`);
        expect(await text(socket)).toMatch(
          /^HTTP\/1\.1 400 [\s\S]*x-request-id: [\s\S]*application\/problem\+json[\s\S]*"code":"bad_request"/,
        );
      });

      it('headers alone are answered like the whole, without it', async () => {
        for (const path of ['/v1/refunds', `/v1/refunds/${known.refund}`, '/v1/events', '/v1/events/stream', '/health/ready']) {
          const answer = await fetch(`${system.api}${path}`, {
            method: 'HEAD',
            headers: { authorization: `Bearer ${system.adminKey}` },
          });
          expect([path, answer.status, await answer.text()]).toEqual([path, 200, '']);
        }
      });

      it('a time before all times is a time', async () => {
        expect(await system.call('GET', '/v1/refunds?createdBefore=0000-01-01T00:00:00Z')).toMatchObject({
          status: 200,
          body: { data: [] },
        });
      });

      it('nothing of all that was stored, and a good request goes on', async () => {
        expect(await rows()).toEqual(before);
        const { status, body: asked } = await system.refund(good());
        expect(status).toBe(202);
        await system.refundThatIs('succeeded', asked.id);
      });

      it.each(refusals)(
        'a request with $what is refused with $code, and its preview says so',
        async ({ change, status, code }) => {
          const answer = await system.refund(good(change));
          // What is not known yet when it is asked is told by the refund.
          if (answer.status === 202) {
            expect((await system.refundThatIs('rejected', answer.body.id)).rejection).toMatchObject({ code });
          } else {
            expect(answer).toMatchObject({ status, body: { status, code } });
          }
          const preview = await system.call('POST', '/v1/refunds/preview', good(change));
          expect(preview).toMatchObject({ status: 200, body: { wouldBe: 'rejected', rejection: { code } } });
        },
      );

      it('the same key with another body is refused (F5)', async () => {
        const sent = randomUUID();
        await system.refund(good(), sent);
        expect(await system.refund(good({ amount: 2 }), sent)).toMatchObject({
          status: 409,
          body: { code: 'idempotency_key_reused' },
        });
      });
    });

    describe('over the doors of the providers', () => {
      const signed = (sent: string) => {
        const time = Math.floor(Date.now() / 1000);
        return `t=${time},v1=${createHmac('sha256', 'whsec_simulated').update(`${time}.${sent}`).digest('hex')}`;
      };
      const named = (id: string, type: string) => JSON.stringify({ id, type, object: 'event', livemode: false });
      const garbage: [string, `/${string}`, Record<string, string>][] = [
        ['nothing', '/webhooks/stripe', {}],
        ['{}', '/webhooks/stripe', {}],
        ['{"id":"evt_1"', '/webhooks/stripe', { 'stripe-signature': 't=1,v1=00' }],
        ['\0', '/webhooks/stripe', { 'stripe-signature': signed('\0') }],
        ['[]', '/webhooks/stripe', { 'stripe-signature': signed('[]') }],
        ['['.repeat(100_000), '/webhooks/stripe', { 'stripe-signature': signed('['.repeat(100_000)) }],
        [named('evt_\0', 'x'), '/webhooks/stripe', { 'stripe-signature': signed(named('evt_\0', 'x')) }],
        [named('evt_1', 'x\0'), '/webhooks/stripe', { 'stripe-signature': signed(named('evt_1', 'x\0')) }],
        ['{}', '/webhooks/zamp', { 'x-zamp-signature': 'x' }],
        ['\0', '/webhooks/zamp', {}],
      ];

      it('garbage is refused and counted, and its body is not kept', async () => {
        await quiet();
        const before = await rows();
        for (const [sent, path, headers] of garbage) {
          const answer = await send(system, `POST ${path}`, { body: sent, headers: { ...json, ...headers } });
          expectProblem(answer, '400 webhook_refused');
        }
        expect(await rows()).toEqual({ ...before, webhook_delivery: (before['webhook_delivery'] ?? 0) + garbage.length });
        const kept = await system.query(
          `select disposition, body from webhook_delivery order by ordinal desc limit ${garbage.length}`,
        );
        expect(kept).toEqual(garbage.map(() => ({ disposition: 'rejected', body: null })));
      });
    });

    describe('over Kafka', () => {
      it('each stands in the dead letters as it came, its sender is told, and the good ones between them go on (F7)', async () => {
        await quiet();
        const before = await rows();
        const admin = system.kafka().admin();
        await admin.connect();
        await admin.alterConfigs({
          validateOnly: false,
          resources: [
            {
              type: ConfigResourceTypes.TOPIC,
              name: commands,
              configEntries: [{ name: 'max.message.bytes', value: String(12_000_000) }],
            },
          ],
        });
        await admin.disconnect();

        // One partition has all of it: good ones before, in the middle and after.
        const goodIds = Array.from({ length: 12 }, () => randomUUID());
        const goodMessage = (id: string): Message => ({
          partition: 0,
          key: id === goodIds[0] ? null : paymentId,
          value: JSON.stringify(good()),
          headers: attributes({ ce_id: id, ce_source: '/good' }),
        });
        const bad = badRecords.map((record): Message & BadRecord => ({ partition: 0, key: 'k', ...record }));
        const every = Math.ceil(bad.length / (goodIds.length - 1));
        const messages = goodIds.flatMap((id, index) => [goodMessage(id), ...bad.slice(index * every, (index + 1) * every)]);
        const producer = system.kafka().producer();
        await producer.connect();
        let sent = 0;
        for (const some of chunks(messages)) {
          await producer.send({
            topic: commands,
            acks: -1,
            messages: some.map(
              ({ partition, key, value, headers }) => ({ partition, key: key ?? null, value, headers }) as Message,
            ),
          });
          sent += some.length;
        }
        await producer.disconnect();
        expect(sent).toBe(bad.length + goodIds.length);

        const letters = await system.seen([`${commands}.dlq`], (seen) => seen.length >= bad.length);
        const byOffset = letters.toSorted((one, other) => offsetOf(one) - offsetOf(other));
        expect(byOffset.map(({ message }, index) => letterOf(message, bad[index]?.what))).toEqual(
          bad.map((row) => expectedLetter(row, messages.indexOf(row))),
        );
        expect(byOffset.every(({ headers }) => (headers['redress_detail'] ?? '').length > 10)).toBe(true);

        const told = bad.flatMap(({ outcome }) => outcome ?? []);
        const outcomes = (await system.seen(
          ['refunds.outcomes.v1'],
          (seen) => ofThese(seen).length >= told.length + goodIds.length,
        )) as Seen[];
        const kinds = ofThese(outcomes).map(
          ({ headers, data }) => `${String(data['commandId'])} ${kindOf(headers)} ${String(data['code'] ?? '')}`,
        );
        expect(kinds.toSorted(inOrder)).toEqual(
          [
            ...goodIds.map((id) => `${id} accepted `),
            ...bad.flatMap(({ outcome, code }) => (outcome === null ? [] : [`${outcome} rejected ${code}`])),
          ].toSorted(inOrder),
        );
        for (const { headers, data } of ofThese(outcomes)) expect(problemsOf(String(headers['ce_type']), data)).toEqual([]);

        for (const { data } of ofThese(outcomes)) {
          if (data['commandSource'] === '/good') await system.refundThatIs('succeeded', String(data['refundId']));
        }
        await quiet();
        const after = await rows();
        // No payment, no command and no operation of a bad one: a refund that is asked for over Kafka remembers its command itself.
        expect(after).toMatchObject({
          refund: (before['refund'] ?? 0) + goodIds.length,
          dead_letter: (before['dead_letter'] ?? 0) + bad.length,
          payment: before['payment'],
          payment_alias: before['payment_alias'],
          command: before['command'],
        });
        const [counted] = await system.query<{ told: number; letters: number }>(
          `select count(*) filter (where topic = 'refunds.outcomes.v1' and type = 'redress.command.rejected.v1' and data like '%"/bad"%')::int as told,
             count(*) filter (where topic = $1)::int as letters from event`,
          [`${commands}.dlq`],
        );
        expect(counted).toEqual({ told: told.length, letters: bad.length });
        const [{ next_offset: next } = { next_offset: '' }] = await system.query<{ next_offset: string }>(
          'select next_offset from partition_offset where topic = $1 and partition = 0',
          [commands],
        );
        expect(Number(next)).toBe(messages.length);
      });

      it('a dead letter over HTTP names origin and reason', async () => {
        const { body: page } = await system.call<{ data: Record<string, unknown>[] }>('GET', '/v1/dead-letters?limit=100');
        expect(page.data[0]).toMatchObject({
          topic: commands,
          partition: 0,
          code: expect.any(String),
          detail: expect.any(String),
        });
      });

      it('a header without a value, from a client in Java, stops nothing', async () => {
        const headers = 'ce_specversion:1.0,ce_id:nobody,ce_source:/java,ce_type:nothing,empty:<null>';
        const properties = ['parse.key=true', 'parse.headers=true', 'null.marker=<null>'].flatMap((each) => [
          '--reader-property',
          each,
        ]);
        await system.kafkaTool('console-producer', ['--topic', commands, ...properties], `${headers}\tk\t<null>\n`);
        const java = (seen: readonly Seen[]) => seen.find((each) => each.headers['ce_id'] === 'nobody');
        const letter = java(await system.seen([`${commands}.dlq`], (seen) => java(seen) !== undefined));
        expect(letter?.message).toMatchObject({
          value: null,
          headers: { empty: Buffer.alloc(0), redress_reason: Buffer.from('empty_value') },
        });
      });

      it('what breaks a rule is an outcome, and never a dead letter', async () => {
        const before = await rows();
        const ids = refusals.map((): string => randomUUID());
        await system.send(refusals.map(({ change }, index) => ({ id: ids[index] ?? '', data: good(change), key: paymentId })));
        const unknown: string = randomUUID();
        await system.send([{ id: unknown, type: 'CancelRefund', data: { refundId: 'rf_00000000000000000000000000000000' } }]);
        const mine = (seen: readonly Seen[]) => seen.filter(({ data }) => [...ids, unknown].includes(String(data['commandId'])));
        const outcomes = mine(await system.seen(['refunds.outcomes.v1'], (seen) => mine(seen).length > ids.length));
        const code = new Map(
          outcomes.map(({ data, headers }) => [data['commandId'], `${kindOf(headers)} ${String(data['code'])}`]),
        );
        expect(refusals.map(({ what }, index) => `${what}: ${code.get(ids[index])}`)).toEqual(
          refusals.map((row) => `${row.what}: rejected ${row.code}`),
        );
        expect(code.get(unknown)).toBe('rejected refund_not_found');
        expect((await rows())['dead_letter']).toBe(before['dead_letter']);
      });
    });
  });
});

interface Problem {
  readonly status: number;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly problem: Readonly<Record<string, unknown>>;
}

/** As in the table: status, code and, where one is named, what is wrong. */
function expectProblem({ status, headers, problem }: Problem, expected: string): void {
  const [, code, path] = /^\d+ (\w+)(?: ([^]*))?$/.exec(expected) ?? [];
  expect(`${status} ${String(problem['code'])}`).toBe(expected.split(' ', 2).join(' '));
  expect(problem).toMatchObject({ status, code, title: expect.any(String), type: expect.any(String) });
  expect(headers['content-type']).toBe('application/problem+json');
  expect(headers['x-request-id']).toMatch(/^[\w-]{36}$/);
  if (path !== undefined) expect(problem['errors']).toContainEqual({ path, message: expect.stringMatching(/.{10}/) });
}

/** A request as it stands, also as no client that means well would make it. */
async function send(system: System, call: Call, { body: sent, headers }: Sent = {}): Promise<Problem> {
  const [method = '', path = ''] = call.split(' ');
  const all = { authorization: `Bearer ${system.adminKey}`, ...headers };
  const asking = request(`${system.api}${path}`, { method, headers: all, agent: false });
  const { promise, resolve, reject } = Promise.withResolvers<Problem>();
  asking.once('error', reject);
  asking.once('response', (answer) => {
    text(answer).then(
      (read) =>
        resolve({ status: answer.statusCode ?? 0, headers: answer.headers, problem: JSON.parse(read) as Problem['problem'] }),
      reject,
    );
  });
  if (typeof sent === 'function') sent().pipe(asking);
  else asking.end(sent);
  return promise;
}

/** Big ones go alone, as a producer would have it. */
function* chunks(messages: readonly Message[]): Generator<Message[]> {
  let some: Message[] = [];
  for (const message of messages) {
    const isBig = (message.value?.length ?? 0) > 1_000_000;
    if (some.length > 0 && (isBig || some.length === 50)) {
      yield some;
      some = [];
    }
    some.push(message);
    if (isBig) {
      yield some;
      some = [];
    }
  }
  if (some.length > 0) yield some;
}

const ofThese = (seen: readonly Seen[]) =>
  seen.filter(({ data }) => data['commandSource'] === '/good' || data['commandSource'] === '/bad');
const inOrder = (one: string, other: string) => (one < other ? -1 : one > other ? 1 : 0);
const kindOf = (headers: Seen['headers']) => String(headers['ce_type']).split('.')[2];
const offsetOf = ({ headers }: Seen) => Number(headers['redress_offset']);

/** A dead letter as one compares it: short, and to the byte. */
function letterOf({ key, value, headers = {} }: { key: Buffer | null; value: Buffer | null; headers?: IHeaders }, what = '') {
  const own = Object.entries(headers).filter(([name]) => !name.startsWith('redress_'));
  const { redress_detail: _, ...told } = Object.fromEntries(
    Object.entries(headers)
      .filter(([name]) => name.startsWith('redress_'))
      .map(([name, text]) => [name, String(text)]),
  );
  return { what, key: digestOf(key), value: digestOf(value), headers: headersOf(Object.fromEntries(own)), ...told };
}

function expectedLetter({ what, key, value, headers, code, leftOut }: Message & BadRecord, offset: number) {
  const bytes = (given: string | Buffer | null | undefined) => (given == null ? null : Buffer.from(given));
  const digest = createHash('sha256')
    .update(bytes(value) ?? '')
    .digest('hex');
  const all = leftOut === 'key,value,headers';
  return {
    what,
    key: all ? digestOf(null) : digestOf(bytes(key as string | null)),
    value: leftOut === undefined ? digestOf(bytes(value)) : digestOf(null),
    headers: all ? [] : headersOf(headers),
    redress_topic: commands,
    redress_partition: '0',
    redress_offset: String(offset),
    redress_reason: code,
    ...(leftOut === undefined
      ? {}
      : { redress_left_out: leftOut, redress_value_bytes: String(bytes(value)?.length ?? 0), redress_value_sha256: digest }),
  };
}

/** Each value of each header in hex, in the order of their names; equal names stay in their order. */
function headersOf(headers: IHeaders): string[] {
  return (
    Object.entries(headers)
      .flatMap(([name, given]) => [given].flat().map((value) => [name, value ?? ''] as const))
      // Where every object has the name of a header, kafkajs takes what that is for its first value.
      .filter(([, value]) => typeof value !== 'function')
      .toSorted(([one], [other]) => inOrder(one, other))
      .map(([name, value]) => `${JSON.stringify(name)} ${Buffer.from(value).toString('hex')}`)
  );
}

function digestOf(bytes: Buffer | null): string {
  return bytes === null ? 'null' : `${bytes.length} bytes, ${createHash('md5').update(bytes).digest('hex')}`;
}
