import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, expect, it, jest } from '@jest/globals';
import type { Admin } from 'kafkajs';
import { describeWithDatabase, describeWithKafka } from '../environment.js';
import { Load, type LoadSettings } from './load.js';
import { System, type Seen } from './system.js';

/*
 * What the service stands on goes away, and comes back. One system lives through all of it, from one story to the next; only what a story
 * ends on purpose is started again.
 */

jest.setTimeout(360_000);

const commandTopic = 'refunds.commands.v1';

let system: System;
let admin: Admin;
const loads: Load[] = [];
const room = 5;

describeWithDatabase('When something is away', () => {
  describeWithKafka('under load', () => {
    beforeAll(async () => {
      system = await System.start({ workers: 1, ownPostgres: true });
      admin = system.kafka().admin();
    }, 180_000);
    afterEach(() => loads.splice(0).forEach((load) => load.abandon()));
    afterAll(() => system.stop(), 60_000);

    it('a worker that was frozen past its lease and its session has its late answer used, and nothing is done twice (F9, F23)', async () => {
      const [stripe, zamp] = await Promise.all([settledPayment('stripe'), settledPayment('zamp')]);
      for (const provider of ['stripe', 'zamp']) {
        await system.control('faults', { provider, call: 'refunds.create', fault: 'delay', delayMs: 3_000 });
      }
      const refunds = await Promise.all([ask(stripe, 'stripe'), ask(zamp, 'zamp')]);
      await Promise.all(refunds.map((id) => system.refundThatIs('submitted', id)));
      system.freeze('worker-1');
      // Only the frozen worker's answer can tell of Zamp's refund: whoever takes over gets none, and no webhook comes.
      await system.control('faults', { provider: 'zamp', call: 'refunds.create', fault: 'status_500', times: 1_000 });
      await system.control('faults', { provider: 'zamp', webhook: 'lose', times: 10 });
      await system.control('faults', { provider: 'stripe', webhook: 'lose', times: 4 });
      system.startPart('worker', 2);
      const load = await under({ door: 'kafka', perSecond: 20, payments: 20 });
      await sleep(10_000);
      await load.end();

      await takenOver(refunds);
      await system.until('the other worker has the commands', async () => (await outcomes(load)) === load.count, 90_000);
      expect((await system.refundOf(refunds[1] ?? '')).providerRefundId).toBeNull();
      system.thaw('worker-1');
      await Promise.all(refunds.map((id) => system.refundThatIs('succeeded', id)));

      for (const [index, paymentId] of [stripe, zamp].entries()) {
        const booked = await bookedOf(paymentId);
        const refund = await system.refundOf(refunds[index] ?? '');
        expect(booked.map(({ id }) => id)).toContain(refund.providerRefundId);
        expect(booked).toHaveLength(2);
        const calls = await system.query<{ result: string; http_status: number | null }>(
          `select result, http_status from provider_call where refund_id = $1 and call like 'POST %' order by ordinal`,
          [refund.id.slice(3)],
        );
        expect(calls.length).toBeGreaterThan(1);
        expect(calls).toContainEqual({ result: 'answered', http_status: 200 });
      }
      await whole(load);

      // The worker that was frozen takes part again: it is the only one now.
      expect(await system.tellToEnd('worker-2')).toEqual({ code: 0, signal: null });
      const after = await under({ door: 'kafka', perSecond: 20, payments: 20 });
      await sleep(3_000);
      await after.end();
      await whole(after);
    });

    it('PostgreSQL may be away for 20 seconds under 200 commands a second (F30, F33)', async () => {
      bothWorkers();
      const kafka = await under({ door: 'kafka', perSecond: 160, payments: 300 });
      const http = await under({ door: 'http', perSecond: 40, payments: 60 });
      await sleep(8_000);
      await system.stopPostgres();
      await sleep(10_000);
      const ended = await inTime(() => system.tellToEnd('worker-2'));
      expect(ended).toEqual({ code: 0, signal: null });
      await sleep(10_000);
      await system.startPostgres();
      await sleep(8_000);
      await Promise.all([kafka.end(), http.end()]);

      expect(http.answers.get('503, come again')).toBeGreaterThan(0);
      expect([...http.answers.keys()].filter((told) => !['202', '409', '422', '503, come again'].includes(told))).toEqual([]);
      await whole(kafka, http);
    });

    it('Kafka may be away for 60 seconds under 200 commands a second, and HTTP is served meanwhile (F12, F14, F33)', async () => {
      bothWorkers();
      const kafka = await under({ door: 'kafka', perSecond: 160, payments: 300 });
      const http = await under({ door: 'http', perSecond: 40, payments: 60 });
      await sleep(5_000);
      await system.stopKafka();
      await sleep(30_000);
      const ended = await inTime(() => system.tellToEnd('worker-2'));
      expect(ended).toEqual({ code: 0, signal: null });
      await sleep(30_000);
      await system.startKafka();
      await sleep(5_000);
      await Promise.all([kafka.end(), http.end()]);

      expect([...http.answers.keys()].filter((told) => !['202', '409', '422'].includes(told))).toEqual([]);
      await whole(kafka, http);
    });

    it("the group's offsets may be deleted in Kafka or reset to either end: the database knows where to go on (F11)", async () => {
      bothWorkers();
      const load = await under({ door: 'kafka', perSecond: 200, payments: 300 });
      const forgetting: ((group: string) => Promise<unknown>)[] = [
        (group) => admin.deleteGroups([group]),
        (groupId) => admin.resetOffsets({ groupId, topic: commandTopic, earliest: true }),
        (groupId) => admin.resetOffsets({ groupId, topic: commandTopic, earliest: false }),
      ];
      await system.tellToEnd('worker-2');
      await admin.connect();
      for (const forget of forgetting) {
        await sleep(3_000);
        await system.tellToEnd('worker-1');
        await sleep(1_000);
        await forget('redress');
        system.startPart('worker', 1);
      }
      await sleep(3_000);
      await admin.disconnect();
      await load.end();
      await whole(load);
      expect(await outcomes(load, 'repeated')).toBe(0);
    });

    it('a lock that lasts, a full disk and a partition that is added bury nothing and lose nothing (F15, F31)', async () => {
      bothWorkers();
      const load = await under({ door: 'kafka', perSecond: 50, payments: 100 });
      await sleep(2_000);
      await admin.connect();
      await admin.createPartitions({
        topicPartitions: [
          { topic: commandTopic, count: 9 },
          { topic: 'refunds.events.v1', count: 12 },
        ],
      });
      const [added] = await payments(1);
      const command = { paymentId: added ?? '', reference: randomUUID() };
      await system.until('Kafka takes records on the new partition', () => sent(command, 8), 30_000);

      // Longer than anybody waits for a lock.
      const held = system.query('begin; lock table payment in access exclusive mode; select pg_sleep(14); commit');
      await held;
      await system.query(`create function no_space() returns trigger language plpgsql as
        $$ begin raise exception 'could not extend file: No space left on device' using errcode = 'disk_full'; end $$`);
      await system.query('create trigger no_space before insert on event for each statement execute function no_space()');
      await sleep(8_000);
      await system.query('drop trigger no_space on event');
      await load.end();
      await whole(load);

      await system.until(
        'the new partition is read from its beginning',
        async () => (await outcomesOf([command.reference])) === 1,
      );
      expect(await system.query('select code from dead_letter')).toEqual([]);
    });

    it('a partition whose log begins after what was read last halts with an alarm, and goes on where a person says (F11)', async () => {
      bothWorkers();
      await Promise.all([system.tellToEnd('worker-1'), system.tellToEnd('worker-2')]);
      const [paymentId = ''] = await payments(1);
      const lost = { paymentId, reference: randomUUID() };
      const next = { paymentId, reference: randomUUID() };
      const elsewhere = { paymentId, reference: randomUUID() };
      await sent(lost, 0);
      await admin.connect();
      const end = (await admin.fetchTopicOffsets(commandTopic)).find(({ partition }) => partition === 0)?.high ?? '';
      await admin.deleteTopicRecords({ topic: commandTopic, partitions: [{ partition: 0, offset: end }] });
      await admin.disconnect();
      await sent(next, 0);
      await sent(elsewhere, 1);
      system.startPart('worker', 1);

      await system.until('the halt is seen', async () => (await halted()).length > 0);
      expect(await halted()).toEqual([`redress_partition_halted{topic="${commandTopic}",partition="0"} 1`]);
      const attention = await system.call<{ data: object[] }>('GET', '/v1/attention');
      expect(attention.body.data).toContainEqual(
        expect.objectContaining({
          kind: 'partition',
          why: expect.stringContaining(`the log begins at ${end}`),
          partition: { topic: commandTopic, partition: 0 },
        }),
      );
      expect(system.log('worker-1', 1_000)).toContain(`HALTED ${commandTopic}[0]`);
      await system.until('the other partitions go on', async () => (await outcomesOf([elsewhere.reference])) === 1);

      // docs/runbooks/halted-partition.md
      await system.tellToEnd('worker-1');
      await system.query(
        `update partition_offset set next_offset = $1
         where cluster = 'default' and group_id = 'redress' and topic = $2 and partition = 0`,
        [end, commandTopic],
      );
      system.startPart('worker', 1);
      await system.until('the partition goes on', async () => (await outcomesOf([next.reference])) === 1);
      expect(await outcomesOf([lost.reference])).toBe(0);
      expect(await halted()).toEqual([]);
    });
  });
});

function bothWorkers(): void {
  for (const number of [1, 2]) if (!system.runs(`worker-${number}`)) system.startPart('worker', number);
}

/** Payments at Stripe with room for a few refunds of the load; whatever comes after those is rejected. */
async function payments(count: number): Promise<string[]> {
  const made = (await system.control('payments', { provider: 'stripe', amount: room * 100, currency: 'USD', count })) as {
    payments: { paymentId: string }[];
  };
  return made.payments.map(({ paymentId }) => paymentId);
}

async function under(settings: Omit<LoadSettings, 'payments'> & { payments: number }): Promise<Load> {
  const load = new Load(system, { ...settings, payments: await payments(settings.payments) });
  loads.push(load);
  return load;
}

/** A payment that was read and refunded once, so that the next refund is sent at once. */
async function settledPayment(provider: string): Promise<string> {
  const { paymentId } = await system.pay({ provider, amount: 10_000 });
  await system.refundThatIs('succeeded', await ask(paymentId, provider));
  return paymentId;
}

async function ask(paymentId: string, provider: string): Promise<string> {
  return (await system.refund({ provider, paymentId, amount: 100, currency: 'USD' })).body.id;
}

async function bookedOf(paymentId: string) {
  return (await system.books()).payments.find((payment) => payment.paymentId === paymentId)?.refunds ?? [];
}

/** The sends have been begun a second time, by whoever holds them now. */
async function takenOver(refunds: readonly string[]): Promise<void> {
  const ids = refunds.map((id) => id.slice(3));
  const again = async () => {
    const [found] = await system.query<{ n: number }>(
      `select count(*)::int as n from provider_operation where refund_id = any($1::uuid[]) and kind = 'refund.send' and tries > 1`,
      [ids],
    );
    return found?.n === ids.length;
  };
  await system.until('the other worker has taken the sends over', again, 90_000);
}

/** How many commands of the load have their outcome, or are told of as repeated. */
function outcomes(load: Load, kind: 'decided' | 'repeated' = 'decided'): Promise<number> {
  return outcomesOf([...load.sent.values()].flat(), kind);
}

async function outcomesOf(commands: readonly string[], kind: 'decided' | 'repeated' = 'decided'): Promise<number> {
  const types = kind === 'repeated' ? ['repeated'] : ['accepted', 'rejected'];
  const [found] = await system.query<{ n: number }>(
    `select count(*)::int as n from event where topic = 'refunds.outcomes.v1' and type = any($2::text[])
     and data::jsonb ->> 'commandId' = any($1::text[])`,
    [commands, types.map((type) => `redress.command.${type}.v1`)],
  );
  return found?.n ?? 0;
}

/** Sends one command to one partition. */
async function sent({ paymentId, reference }: { paymentId: string; reference: string }, partition: number): Promise<boolean> {
  const producer = system.kafka().producer();
  await producer.connect();
  const value = JSON.stringify({ provider: 'stripe', paymentId, amount: 100, currency: 'USD', reference });
  const headers = { ce_specversion: '1.0', ce_id: reference, ce_source: '/load', ce_type: 'redress.RequestRefund.v1' };
  const answer = await producer.send({
    topic: commandTopic,
    acks: -1,
    messages: [{ key: paymentId, value, headers, partition }],
  });
  await producer.disconnect();
  return answer.length === 1;
}

async function halted(): Promise<string[]> {
  const metrics = await (await fetch(`${system.api}/metrics`)).text();
  return metrics.split('\n').filter((line) => line.startsWith('redress_partition_halted{'));
}

async function inTime<T>(work: () => Promise<T>): Promise<T> {
  const begun = performance.now();
  const done = await work();
  expect(performance.now() - begun).toBeLessThan(29_000);
  return done;
}

/** Nothing lost, nothing twice, order kept: in our book, in the provider's, and on Kafka. */
async function whole(...loads: readonly Load[]): Promise<void> {
  const meant = new Map(loads.flatMap((load) => [...load.sent]));
  const all = [...meant.values()].flat();
  await system.until(
    'every command is decided and every refund at its end',
    async () => {
      await sleep(1_000); // The question is a large one.
      const [found] = await system.query<{ n: number }>(
        `select count(*)::int as n from refund where reference = any($1::text[]) and status in ('succeeded', 'rejected')`,
        [all],
      );
      return found?.n === all.length;
    },
    200_000,
  );

  // Each payment's commands were decided in the order they were sent, each once, and for what there is.
  const rows = await system.query<{ payment: string; reference: string; status: string; provider_refund_id: string | null }>(
    `select named_payment as payment, reference, status, provider_refund_id from refund where reference = any($1::text[]) order by ordinal`,
    [all],
  );
  const ofPayment = Map.groupBy(rows, ({ payment }) => payment);
  for (const [payment, references] of meant) {
    const refunds = ofPayment.get(payment) ?? [];
    expect(refunds.map(({ reference }) => reference)).toEqual(references);
    expect(refunds.map(({ status }) => status)).toEqual(references.map((_, at) => (at < room ? 'succeeded' : 'rejected')));
  }

  // At the provider each was made once.
  const books = new Map((await system.books()).payments.map((payment) => [payment.paymentId, payment.refunds]));
  for (const [payment] of meant) {
    const ours = (ofPayment.get(payment) ?? []).flatMap(({ provider_refund_id: id }) => id ?? []);
    expect((books.get(payment) ?? []).map(({ id }) => id)).toEqual(ours);
  }

  // One outcome for each command over Kafka; repeats are told as such.
  const kafka = loads.filter((load) => load.door === 'kafka').flatMap((load) => [...load.sent.values()].flat());
  expect(await outcomesOf(kafka)).toBe(kafka.length);

  // Told on Kafka: gap-free, and in order for whoever drops what he has seen.
  await relayed();
  const ids = new Set(rows.map(({ payment }) => `default:stripe:${payment}`));
  const sequences = await system.query<{ name: string; last: string }>(
    `select name, sequence as last from payment where name = any($1::text[])`,
    [[...meant.keys()]],
  );
  const total = sequences.reduce((sum, { last }) => sum + Number(last), 0);
  const fresh = firstSeen(ids);
  await system
    .seen(['refunds.events.v1'], (records) => fresh(records).length >= total, 60_000)
    .then((records) => {
      for (const [, events] of Map.groupBy(fresh(records), ({ key }) => key)) {
        expect(events.map(({ headers }) => Number(headers['ce_sequence']))).toEqual(events.map((_, index) => index + 1));
      }
      expect(fresh(records)).toHaveLength(total);
    });
}

/** What is left of the records of some payments when those are dropped that were seen before. */
function firstSeen(keys: ReadonlySet<string>): (records: readonly Seen[]) => Seen[] {
  return (records) => {
    const ids = new Set<string>();
    return records.filter(({ key, headers: { ce_id: id = '' } }) => {
      if (key === null || !keys.has(key) || ids.has(id)) return false;
      ids.add(id);
      return true;
    });
  };
}

/** All that is in the log is on Kafka. */
async function relayed(): Promise<void> {
  const behind = async () => {
    const rows = await system.query(
      `select 1 from topic_cursor c where position < (select max(position) from event_position p where p.topic = c.topic)
       union all select 1 from event_seal where settled < (select max(ordinal) from event)`,
    );
    return rows.length === 0;
  };
  await system.until('the log is on Kafka', behind, 90_000);
}
