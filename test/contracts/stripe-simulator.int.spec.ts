import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { DEVELOPMENT, type RunningSimulators, startSimulators } from '../../apps/simulators/src/simulators.js';
import { stripeMock } from '../../scripts/stripe-mock.js';
import { StripeOpenApi } from './stripe-openapi.js';

type Answer = { status: number; body: { [field: string]: unknown }; findings: string[] };
type Event = { type: string; object: string; data: { object: { object: string } } };

const mock = await stripeMock();

if ('missing' in mock)
  describe("The Stripe simulator, held against Stripe's own OpenAPI document", () => {
    it('did not run', () => {
      process.stderr.write(`\n*** The Stripe simulator was NOT held against Stripe's OpenAPI document: ${mock.missing} ***\n\n`);
      expect(process.env['CI'] === 'true' ? mock.missing : null).toBeNull();
    });
  });
else
  describe("The Stripe simulator, held against Stripe's own OpenAPI document", () => {
    let stripe: StripeOpenApi;
    let simulators: RunningSimulators;
    let service: Server;
    const events: Event[] = [];
    const calls = new Set<string>();

    beforeAll(async () => {
      stripe = await StripeOpenApi.read(mock.openApiPath);
      // A charge leads to nearly every object there is; compiling them all takes seconds, and only this once.
      stripe.findingsInObject({ object: 'charge' });
      service = createServer((request, response) => {
        let body = '';
        request.on('data', (part) => (body += String(part)));
        request.on('end', () => {
          events.push(JSON.parse(body) as Event);
          response.end();
        });
      });
      await new Promise<void>((resolve) => service.listen(0, '127.0.0.1', resolve));
      const { port } = service.address() as AddressInfo;
      simulators = await startSimulators({ webhookTarget: `http://127.0.0.1:${port}` });
    }, 60_000);

    afterAll(async () => {
      await simulators.close();
      service.closeAllConnections();
      service.close();
    });

    it('is checked against the newest document there is', () => {
      // The document follows the API by weeks. Fields and statuses newer than it are listed in the simulator's sources.
      expect(stripe.version).toBe('2026-08-26.dahlia');
    });

    it('would notice a field that Stripe does not have, one that is missing and one of another kind', () => {
      const movement = { id: 'txn_1', object: 'balance_transaction', amount: '1' };
      const findings = stripe.findingsInObject({ ...movement, surprise: 1 } as { object: string }).join('\n');
      expect(findings).toMatch(/surprise/);
      expect(findings).toMatch(/available_on/);
      expect(findings).toMatch(/amount: must be integer/);
    });

    it('draws a payment and its charge as Stripe does, plain and with everything expanded', async () => {
      const { paymentId, chargeId } = await pay();
      await call('POST', '/v1/refunds', { payment_intent: paymentId, amount: '100' });
      const charge = 'expand[]=latest_charge.refunds&expand[]=latest_charge.balance_transaction';
      for (const query of ['', `?${charge}`]) await call('GET', `/v1/payment_intents/${paymentId}${query}`);
      for (const query of ['', '?expand[]=refunds&expand[]=balance_transaction&expand[]=payment_intent'])
        await call('GET', `/v1/charges/${chargeId}${query}`);
      await call('GET', `/v1/charges?payment_intent=${paymentId}&expand[]=data.refunds`);
    });

    it.each(['succeeded', 'requires_capture', 'requires_payment_method', 'processing', 'canceled'])(
      'draws a payment that is %s as Stripe does',
      async (status) => {
        const { paymentId, chargeId } = await pay({ status });
        expect(await call('GET', `/v1/payment_intents/${paymentId}`)).toMatchObject({ status: 200, body: { status } });
        if (chargeId !== undefined) await call('GET', `/v1/charges/${chargeId}`);
      },
    );

    it.each(['succeeded', 'pending', 'requires_action', 'failed', 'canceled'])(
      'draws a refund that is %s as Stripe does',
      async (status) => {
        const { paymentId } = await pay();
        const { body } = await call('POST', '/v1/refunds', { payment_intent: paymentId, 'metadata[ours]': 'rf_1' });
        const id = String(body['id']);
        await control(`/refunds/${id}`, { status, reference: 'ARN-1' });
        const expanded = ['charge', 'payment_intent', 'balance_transaction'].map((field) => `expand[]=${field}`).join('&');
        expect(await call('GET', `/v1/refunds/${id}?${expanded}`)).toMatchObject({ status: 200, body: { status } });
        const movement = body['balance_transaction'];
        await call('GET', `/v1/balance_transactions/${String(movement)}?expand[]=source`);
      },
    );

    it('answers an update and a cancellation as Stripe does', async () => {
      const { paymentId } = await pay();
      const { body } = await call('POST', '/v1/refunds', { payment_intent: paymentId });
      await call('POST', `/v1/refunds/${String(body['id'])}`, { 'metadata[ours]': 'rf_2' });
      expect(await call('POST', `/v1/refunds/${String(body['id'])}/cancel`)).toMatchObject({ status: 400 });
      await control(`/refunds/${String(body['id'])}`, { status: 'requires_action' });
      expect(await call('POST', `/v1/refunds/${String(body['id'])}/cancel`)).toMatchObject({
        status: 200,
        body: { status: 'canceled' },
      });
      await control(`/refunds/${String(body['id'])}`, { status: 'requires_action' });
      const expired = await call('POST', `/v1/test_helpers/refunds/${String(body['id'])}/expire`);
      expect(expired).toMatchObject({ status: 200, body: { status: 'failed' } });
    });

    it('lists refunds and events as Stripe does', async () => {
      const { paymentId } = await pay();
      for (let part = 0; part < 3; part++) await call('POST', '/v1/refunds', { payment_intent: paymentId, amount: '10' });
      const { body } = await call('GET', `/v1/refunds?payment_intent=${paymentId}&limit=2`);
      expect(body).toMatchObject({ has_more: true, data: [{ amount: 10 }, { amount: 10 }] });
      const { body: log } = await call('GET', '/v1/events?type=refund.created&limit=2');
      await call('GET', `/v1/events/${(log as { data: { id: string }[] }).data[0]?.id}`);
    });

    it('words its errors as Stripe does', async () => {
      const { paymentId, chargeId } = await pay();
      const wrong: [Record<string, string>, number][] = [
        [{}, 400],
        [{ charge: 'ch_unknown' }, 404],
        [{ charge: String(chargeId), amount: '0' }, 400],
        [{ charge: String(chargeId), amount: '999999' }, 400],
        [{ charge: String(chargeId), surprise: '1' }, 400],
      ];
      for (const [form, status] of wrong) expect(await call('POST', '/v1/refunds', form)).toMatchObject({ status });
      for (const fault of ['status_500', 'status_500_saved', 'status_429', 'lock_timeout']) {
        await control('/faults', { provider: 'stripe', call: 'refunds.create', fault, times: 1 });
        await call('POST', '/v1/refunds', { payment_intent: paymentId, amount: '1' });
      }
    });

    it('knows every parameter that Stripe takes, also where it cannot act on it', async () => {
      const { paymentId, chargeId } = await pay();
      const { body } = await call('POST', '/v1/refunds', { payment_intent: paymentId, amount: '10' });
      const refund = `/v1/refunds/${String(body['id'])}`;
      expect(stripe.parametersOf('POST', '/v1/refunds')).toContain('payment_intent');
      expect(stripe.parametersOf('GET', refund)).toEqual(['expand']);
      const reads = [
        '/v1/refunds',
        refund,
        '/v1/charges',
        `/v1/charges/${chargeId}`,
        `/v1/payment_intents/${paymentId}`,
        '/v1/events',
      ];
      const offered = [
        ...reads.map((path) => ['GET', path]),
        ...['/v1/refunds', refund, `${refund}/cancel`].map((path) => ['POST', path]),
      ];
      for (const [method = '', path = ''] of offered)
        for (const name of stripe.parametersOf(method, path)) {
          const { body: answer } = await (method === 'GET'
            ? call('GET', `${path}?${name}=1`)
            : call('POST', path, { [name]: '1' }));
          expect(answer).not.toMatchObject({ error: { code: 'parameter_unknown' } });
        }
    });

    it('sends events whose envelope and object are as Stripe describes them', async () => {
      const { paymentId } = await pay({ paymentMethod: 'pm_card_refundFail', refundDelayMs: 1 });
      await call('POST', '/v1/refunds', { payment_intent: paymentId });
      await until(() => events.some(({ type }) => type === 'refund.failed'));
      const types = new Set(events.map(({ type }) => type));
      const expected = ['refund.created', 'charge.refunded', 'refund.updated', 'refund.failed', 'charge.refund.updated'];
      expect([...types].sort()).toEqual(expected.sort());
      const findings = events.flatMap((event) => [
        ...stripe.findingsInObject(event),
        ...stripe.findingsInObject(event.data.object),
      ]);
      expect(findings).toEqual([]);
    });

    it('has had every call checked that it offers', () => {
      expect([...calls].sort()).toEqual([
        'GET /v1/balance_transactions/{id}',
        'GET /v1/charges',
        'GET /v1/charges/{id}',
        'GET /v1/events',
        'GET /v1/events/{id}',
        'GET /v1/payment_intents/{id}',
        'GET /v1/refunds',
        'GET /v1/refunds/{id}',
        'POST /v1/refunds',
        'POST /v1/refunds/{id}',
        'POST /v1/refunds/{id}/cancel',
        'POST /v1/test_helpers/refunds/{id}/expire',
      ]);
    });

    async function call(method: string, url: string, form?: Record<string, string>): Promise<Answer> {
      const response = await fetch(`${simulators.url}/stripe${url}`, {
        method,
        headers: { authorization: `Bearer ${DEVELOPMENT.stripeApiKey}` },
        ...(form !== undefined && { body: new URLSearchParams(form) }),
      });
      const body = (await response.json()) as Answer['body'];
      const path = url.replace(/\?.*/, '');
      calls.add(`${method} ${path.replace(/\/[a-z]+_3\w+/, '/{id}')}`);
      const findings = stripe.findingsInAnswer(method, path, response.status, body);
      expect(findings).toEqual([]);
      return { status: response.status, body, findings };
    }

    async function pay(more: object = {}): Promise<{ paymentId: string; chargeId?: string }> {
      return control('/payments', { provider: 'stripe', amount: 5000, currency: 'USD', ...more });
    }

    async function control<Body>(path: string, body: object): Promise<Body> {
      const response = await fetch(`${simulators.url}/control${path}`, { method: 'POST', body: JSON.stringify(body) });
      expect(response.status).toBe(200);
      return (await response.json()) as Body;
    }

    async function until(done: () => boolean): Promise<void> {
      for (let waited = 0; waited < 5000 && !done(); waited += 20) await new Promise((resolve) => setTimeout(resolve, 20));
    }
  });
