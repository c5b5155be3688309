import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, it, jest } from '@jest/globals';
import { ClientKafka } from '@nestjs/microservices';
import { firstValueFrom } from 'rxjs';
import type { Refund } from '#contracts/refund-events';
import { describeWithDatabase, describeWithKafka } from '../environment.js';
import { problemsOf } from '../message-schemas.js';
import { System, type Seen } from './system.js';

// Each waits for real processes; how long says nothing.
jest.setTimeout(120_000);

const eventTopics = ['refunds.events.v1', 'refunds.outcomes.v1', 'payments.refundability.v1'];

describeWithDatabase('A refund, through the running system', () => {
  describeWithKafka('with a real Kafka', () => {
    let system: System;
    beforeAll(async () => {
      system = await System.start();
    }, 120_000);
    afterAll(() => system.stop(), 60_000);

    it('succeeds at Stripe by its webhook, and every step is told', async () => {
      const { paymentId } = await system.pay({ provider: 'stripe', amount: 10_000, paymentMethod: 'pm_card_pendingRefund' });
      const asked = await system.refund({
        provider: 'stripe',
        paymentId,
        amount: 1_050,
        currency: 'USD',
        note: 'Box arrived empty',
      });
      expect(asked).toMatchObject({ status: 202, body: { status: 'requested', paymentId, amount: 1_050, currency: 'USD' } });

      const done = await system.refundThatIs('succeeded', asked.body.id);
      expect(done).toMatchObject({
        providerRefundId: expect.stringMatching(/^p?y?re?_/),
        attempts: 1,
        finalAt: expect.any(String),
      });
      const payment = await system.call('GET', `/v1/payments/stripe/${paymentId}`);
      expect(payment.body).toMatchObject({ captured: 10_000, reserved: 0, refunded: 1_050, available: 8_950, basis: 'provider' });

      const told = await eventsOf(system, asked.body.id, 'succeeded');
      expect(told.map(({ headers }) => headers['ce_type'])).toEqual(
        ['requested', 'approved', 'submitted', 'pending', 'succeeded'].map((type) => `redress.refund.${type}.v1`),
      );
      expect(told.every(({ key }) => key === `default:stripe:${paymentId}`)).toBe(true);
      expect(told.map(({ headers }) => Number(headers['ce_sequence']))).toEqual([1, 2, 3, 4, 5]);
      expect(JSON.stringify(told)).not.toContain('Box arrived empty');
    });

    it('succeeds at Zamp by its callback, with the exact decimals', async () => {
      const { paymentId } = await system.pay({ provider: 'zamp', amount: 5_000, currency: 'AED' });
      const asked = await system.refund({ provider: 'zamp', paymentId, amount: 1_999, currency: 'AED' });
      expect(asked.status).toBe(202);
      await system.refundThatIs('succeeded', asked.body.id);
      const booked = (await system.books()).payments.find((payment) => payment.paymentId === paymentId);
      expect(booked?.refunds).toMatchObject([{ amount: 1_999, status: 'succeeded' }]);
      const payment = await system.call('GET', `/v1/payments/zamp/${paymentId}`);
      expect(payment.body).toMatchObject({ available: 3_001, basis: 'records' });
    });

    it("is asked for with Kafka's own console producer and told to its console consumer, keyed and in order", async () => {
      const { paymentId } = await system.pay({ provider: 'stripe', amount: 10_000 });
      const id = randomUUID();
      const headers = `ce_specversion:1.0,ce_id:${id},ce_source:/terminal,ce_type:redress.RequestRefund.v1,content-type:application/json`;
      const body = JSON.stringify({ provider: 'stripe', paymentId, amount: 500, currency: 'USD' });
      const parse = ['--reader-property', 'parse.key=true', '--reader-property', 'parse.headers=true'];
      await system.kafkaTool(
        'console-producer',
        ['--topic', 'refunds.commands.v1', ...parse],
        `${headers}\t${paymentId}\t${body}\n`,
      );
      const outcome = await outcomeOf(system, id);
      expect(outcome.headers['ce_type']).toBe('redress.command.accepted.v1');
      await system.refundThatIs('succeeded', String(outcome.data['refundId']));
      await eventsOf(system, String(outcome.data['refundId']), 'succeeded');

      const printed = await system.kafkaTool(
        'console-consumer',
        [
          ['--topic', 'refunds.events.v1', '--from-beginning', '--timeout-ms', '15000'],
          ['--formatter-property', 'print.key=true', '--formatter-property', 'print.headers=true'],
        ].flat(),
      );
      const lines = printed.split('\n').filter((line) => line.includes(`default:stripe:${paymentId}`));
      expect(lines.map((line) => /ce_type:redress\.refund\.(\w+)\.v1/.exec(line)?.[1])).toEqual([
        'requested',
        'approved',
        'submitted',
        'succeeded',
      ]);
    });

    it('is asked for with a plain Nest client, `ClientKafka.emit`', async () => {
      const { paymentId } = await system.pay({ provider: 'stripe', amount: 10_000 });
      const id = randomUUID();
      const client = new ClientKafka({
        client: { clientId: 'a-shop', brokers: system.brokers.split(',') },
        producerOnlyMode: true,
      });
      await client.connect();
      const headers = { ce_specversion: '1.0', ce_id: id, ce_source: '/shop', ce_type: 'redress.RequestRefund.v1' };
      const value = { provider: 'stripe', paymentId, amount: 700, currency: 'USD' };
      await firstValueFrom(client.emit('refunds.commands.v1', { key: paymentId, headers, value }));
      await client.close();
      const outcome = await outcomeOf(system, id);
      expect(outcome).toMatchObject({ data: { commandSource: '/shop', commandId: id } });
      await system.refundThatIs('succeeded', String(outcome.data['refundId']));
    });

    it('is one refund when the same key comes twice, and when it comes fifty times at once (F4)', async () => {
      const { paymentId } = await system.pay({ provider: 'stripe', amount: 10_000 });
      const body = { provider: 'stripe', paymentId, amount: 100, currency: 'USD' };
      const key = randomUUID();
      const answers = await Promise.all(Array.from({ length: 50 }, () => system.refund(body, key)));
      expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([202]));
      expect(new Set(answers.map((answer) => answer.body.id)).size).toBe(1);
      expect(answers.filter(({ headers }) => headers.get('idempotent-replayed') === 'true')).toHaveLength(49);
      const [first] = answers;
      const again = await system.refund(body, key);
      expect(again.body).toEqual(first?.body);

      const other = await system.call('POST', '/v1/refunds', { ...body, amount: 101 }, { 'idempotency-key': key });
      expect(other).toMatchObject({ status: 409, body: { code: 'idempotency_key_reused' } });
      await system.refundThatIs('succeeded', again.body.id);
      expect(await sent(system, paymentId)).toHaveLength(1);
    });

    it('never takes more than the payment has, by whichever of its names two hundred requests at once call it (F6)', async () => {
      const { paymentId, chargeId } = await system.pay({ provider: 'stripe', amount: 10_000 });
      const ask = (name: string) => system.refund({ provider: 'stripe', paymentId: name, amount: 99, currency: 'USD' });
      const asked = await Promise.all(Array.from({ length: 200 }, (_, index) => ask(index % 2 === 0 ? paymentId : chargeId)));
      await system.until('all are decided and done', async () => {
        const { body } = await system.call<{ reserved: number; refunded: number }>('GET', `/v1/payments/stripe/${chargeId}`);
        return body.reserved === 0 && body.refunded === 9_999;
      });
      const ended = await Promise.all(asked.map(({ body }) => system.refundOf(refundId(body))));
      expect(ended.filter(({ status }) => status === 'succeeded')).toHaveLength(101);
      expect(ended.filter(({ rejection }) => rejection?.code === 'amount_exceeds_available')).toHaveLength(99);
      const booked = await sent(system, paymentId);
      expect(booked.reduce((sum, { amount }) => sum + amount, 0)).toBe(9_999);
      const rows = await system
        .query('update payment set reserved = reserved + 2 where name = $1', [paymentId])
        .catch((error: Error) => error.message);
      expect(rows).toMatch(/has no room/);
    });

    it('is there again after a restart', async () => {
      const { paymentId } = await system.pay({ provider: 'stripe', amount: 10_000, paymentMethod: 'pm_card_pendingRefund' });
      const asked = await system.refund({ provider: 'stripe', paymentId });
      await system.stopParts();
      await system.startParts();
      const done = await system.refundThatIs('succeeded', asked.body.id);
      expect(done.amount).toBe(10_000);
      expect(await sent(system, paymentId)).toHaveLength(1);
    });

    it('is told on Kafka in messages that all fit their schemas, gap-free per payment, and the feed says the same', async () => {
      const last = (await system.call<{ data: { id: string }[] }>('GET', '/v1/events?limit=100')).body.data.length;
      expect(last).toBeGreaterThan(20);
      const seen = await system
        .seen(eventTopics, (records) => records.length >= 500, 20_000)
        .catch(() => system.seen(eventTopics, (records) => records.length > 100));
      expect(seen.flatMap(({ headers, data }) => problemsOf(headers['ce_type'] ?? '', data))).toEqual([]);
      const perPayment = Map.groupBy(
        seen.filter(({ topic }) => topic === 'refunds.events.v1'),
        ({ key }) => key,
      );
      for (const [, events] of perPayment) {
        expect(events.map(({ headers }) => Number(headers['ce_sequence']))).toEqual(events.map((_, index) => index + 1));
      }
    });
  });
});

function refundId(body: Refund | { refundId?: string }): string {
  return 'id' in body ? body.id : String(body.refundId);
}

async function sent(system: System, paymentId: string) {
  return (await system.books()).payments.find((payment) => payment.paymentId === paymentId)?.refunds ?? [];
}

async function eventsOf(system: System, id: string, last: string): Promise<Seen[]> {
  const of = (seen: readonly Seen[]) => seen.filter(({ headers }) => headers['ce_subject'] === id);
  const seen = await system.seen(['refunds.events.v1'], (all) =>
    of(all).some(({ headers }) => headers['ce_type'] === `redress.refund.${last}.v1`),
  );
  return of(seen);
}

async function outcomeOf(system: System, commandId: string): Promise<Seen> {
  const of = (seen: readonly Seen[]) => seen.filter(({ data }) => data['commandId'] === commandId);
  const outcomes = of(await system.seen(['refunds.outcomes.v1'], (all) => of(all).length > 0));
  expect(outcomes).toHaveLength(1);
  const [outcome] = outcomes;
  if (outcome === undefined) throw new Error('an outcome was seen and lost');
  return outcome;
}
