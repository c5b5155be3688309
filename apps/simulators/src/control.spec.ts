import { appendFile, mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { readSettings } from './settings.js';
import { DEVELOPMENT, type RunningSimulators, startSimulators, type SimulatorOptions } from './simulators.js';

type Books = {
  payments: { paymentId: string; provider: string; amount: number; refunds: { id: string; status: string; amount: number }[] }[];
  webhooks: { type: string; status: string; answers: unknown[] }[];
};

let folder: string;
let running: RunningSimulators[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'simulators-'));
});

afterEach(async () => {
  await Promise.all(running.map((simulators) => simulators.close()));
  running = [];
  await rm(folder, { recursive: true, force: true });
});

async function start(options: SimulatorOptions = {}): Promise<RunningSimulators> {
  const simulators = await startSimulators(options);
  running.push(simulators);
  return simulators;
}

async function control<Body>({ url }: { url: string }, path: string, body: unknown): Promise<{ status: number; body: Body }> {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  const response = await fetch(`${url}/control${path}`, { method: 'POST', body: text });
  return { status: response.status, body: (await response.json()) as Body };
}

async function books({ url }: { url: string }): Promise<Books> {
  return (await (await fetch(`${url}/control/books`)).json()) as Books;
}

async function pay(simulators: { url: string }, more: object = {}): Promise<string> {
  const payment = { provider: 'stripe', amount: 5000, currency: 'USD', ...more };
  return (await control<{ paymentId: string }>(simulators, '/payments', payment)).body.paymentId;
}

async function refund({ url }: { url: string }, paymentId: string, key: string): Promise<Record<string, unknown>> {
  const response = await fetch(`${url}/v1/refunds`, {
    method: 'POST',
    headers: { authorization: `Bearer ${DEVELOPMENT.stripeApiKey}`, 'idempotency-key': key },
    body: new URLSearchParams({ payment_intent: paymentId, amount: '10' }),
  });
  return (await response.json()) as Record<string, unknown>;
}

async function until(done: () => boolean | Promise<boolean>): Promise<void> {
  for (let waited = 0; waited < 4000 && !(await done()); waited += 10) await new Promise((resolve) => setTimeout(resolve, 10));
}

describe('A tester', () => {
  it('makes one payment or very many', async () => {
    const simulators = await start();
    await pay(simulators, { provider: 'zamp', currency: 'USD' });
    const many = await control<{ payments: { paymentId: string; chargeId: string }[] }>(simulators, '/payments', {
      provider: 'stripe',
      amount: 100,
      currency: 'eur',
      count: 1000,
    });
    expect(new Set(many.body.payments.map(({ paymentId }) => paymentId)).size).toBe(1000);
    expect((await books(simulators)).payments).toHaveLength(1001);
  });

  it('sees what every payment came to', async () => {
    const simulators = await start();
    const paymentId = await pay(simulators);
    const { id } = await refund(simulators, paymentId, 'refund:1:1');
    const { payments } = await books(simulators);
    expect(payments).toMatchObject([
      {
        provider: 'stripe',
        paymentId,
        amount: 5000,
        refunds: [{ id, amount: 10, status: 'succeeded', idempotencyKey: 'refund:1:1', metadata: {} }],
        disputes: [],
        movements: [
          { type: 'charge', amount: 5000 },
          { type: 'refund', amount: -10, source: id },
        ],
      },
    ]);
  });

  it.each([
    ['/payments', '{', /not JSON/],
    ['/payments', {}, /provider is missing/],
    ['/payments', { provider: 'paypal' }, /provider: one of stripe, zamp/],
    ['/payments', { provider: 'stripe', amount: 1.5, currency: 'USD' }, /amount: an integer/],
    ['/payments', { provider: 'stripe', amount: 1, currency: 'DOLLAR' }, /currency: /],
    ['/payments', { provider: 'stripe', amount: 1, currency: 'USD', paymentMethod: 'pm_card_createHavoc' }, /paymentMethod: /],
    ['/payments', { provider: 'stripe', amount: 1, currency: 'USD', colour: 'red' }, /colour: not known/],
    ['/payments', { provider: 'zamp', amount: 1, currency: 'JPY' }, /currency: Zamp takes/],
    ['/dashboard-refunds', { paymentId: 'unknown', amount: 1 }, /no payment/],
    ['/refunds/unknown', { status: 'failed' }, /no refund/],
    ['/faults', { provider: 'zamp', call: 'refunds.list', fault: 'delay' }, /call: one of/],
    ['/faults', { provider: 'stripe', call: 'refunds.create', fault: 'gremlins' }, /fault: one of/],
    ['/faults', { provider: 'stripe', webhook: 'eat' }, /webhook: one of/],
    ['/faults', { provider: 'stripe', webhook: 'lose', times: 0 }, /times: an integer/],
    ['/limits', { provider: 'stripe', perSecond: -1 }, /perSecond: an integer/],
    ['/webhooks', { target: 'ftp://x' }, /target: /],
    ['/clock', { advanceSeconds: -1 }, /advanceSeconds: an integer/],
    ['/disputes', {}, /paymentId is missing/],
    ['/disputes', { paymentId: 'unknown' }, /no payment unknown; POST .* makes one/],
    ['/disputes/unknown', { do: 'win' }, /no dispute unknown; POST .* opens one/],
    ['/warnings', { paymentId: 'unknown' }, /no payment/],
    ['/no-such-call', {}, /no such control call/],
  ])('is told what is wrong with %s %j', async (path, body, words) => {
    const { status, body: answer } = await control<{ error: string }>(await start(), path, body);
    expect(status).toBeGreaterThanOrEqual(400);
    expect(answer.error).toMatch(words);
  });

  it.each([
    ['/disputes', { amount: 0 }, /amount: an integer from 1/],
    ['/disputes', { currency: 'DOLLAR' }, /currency: a currency code/],
    ['/disputes', { stage: 'tea' }, /stage: one of inquiry, chargeback/],
    ['/disputes', { stage: 'chargeback', status: 'warning_needs_response' }, /status: .* stage: inquiry/],
    ['/disputes', { brand: 'vsia' }, /brand: one of visa, mastercard/],
    ['/disputes', { dueInSeconds: -1 }, /dueInSeconds: an integer from 0/],
    ['/disputes', { smartDisputes: 'yes' }, /smartDisputes: true or false/],
    ['/disputes', { colour: 'red' }, /colour: not known/],
    ['/warnings', { fraudType: 'magic' }, /fraudType: one of/],
    ['/disputes/:id', {}, /do: one of escalate, .* is needed, or a status/],
    ['/disputes/:id', { do: 'dance' }, /do: one of escalate/],
    ['/disputes/:id', { do: 'prevent', amount: 1 }, /amount: only win, lose/],
    ['/disputes/:id', { do: 'win', dueInSeconds: 60 }, /dueInSeconds: only escalate and appeal/],
    ['/disputes/:id', { do: 'escalate' }, /only an inquiry escalates, and this dispute is needs_response/],
    ['/disputes/:id', { do: 'appeal' }, /an appeal follows under_review or lost/],
    ['/disputes/:id', { do: 'withdraw' }, /all money of this dispute is out already/],
  ])('is told what is wrong with %s for a payment that is there: %j', async (path, body, words) => {
    const simulators = await start();
    const paymentId = await pay(simulators);
    const opened = await control<{ disputeId: string }>(simulators, '/disputes', { paymentId });
    const asked = path.endsWith('/:id') ? body : { paymentId, ...body };
    const before = await books(simulators);
    const answer = await control<{ error: string }>(simulators, path.replace(':id', opened.body.disputeId), asked);
    expect(answer).toMatchObject({ status: 400, body: { error: expect.stringMatching(words) } });
    expect(await books(simulators)).toEqual(before);
  });

  it.each([
    [{ status: 'requires_capture' }, /only a captured payment/],
    [{ provider: 'zamp' }, /Zamp has no disputes/],
  ])('cannot have a payment disputed that no bank would dispute: %j', async (payment, words) => {
    const simulators = await start();
    const answer = await control<{ error: string }>(simulators, '/disputes', { paymentId: await pay(simulators, payment) });
    expect(answer).toMatchObject({ status: 400, body: { error: expect.stringMatching(words) } });
  });

  it('sees what became of disputes and warnings', async () => {
    const simulators = await start();
    const paymentId = await pay(simulators);
    await control(simulators, '/warnings', { paymentId });
    const { body } = await control<{ disputeId: string }>(simulators, '/disputes', { paymentId, amount: 3000 });
    const moved = await control(simulators, `/disputes/${body.disputeId}`, { do: 'colleague_submits', status: 'moonlit' });
    expect(moved).toMatchObject({ status: 200, body: { disputeId: body.disputeId, status: 'moonlit' } });
    expect((await books(simulators)).payments).toMatchObject([
      {
        disputes: [
          {
            id: body.disputeId,
            amount: 3000,
            currency: 'USD',
            status: 'moonlit',
            submissions: 1,
            staged: 0,
            closes: 0,
            packets: [{ stage: 'chargeback', by: 'dashboard', idempotencyKey: null, files: [] }],
          },
        ],
        warnings: [{ fraudType: 'unauthorized_use_of_card', actionable: false }],
        movements: [
          { type: 'charge', amount: 5000 },
          { type: 'adjustment', amount: -3000, fee: 1500, source: body.disputeId },
        ],
      },
    ]);
  });

  it('cannot refund more than there is, not even in the dashboard', async () => {
    const simulators = await start();
    const answer = await control<{ error: string }>(simulators, '/dashboard-refunds', {
      paymentId: await pay(simulators),
      amount: 5001,
    });
    expect(answer).toMatchObject({ status: 400, body: { error: expect.stringMatching(/unrefunded/) } });
  });

  it('starts over with empty books and nothing ordered', async () => {
    const simulators = await start({ dataFile: join(folder, 'books') });
    await refund(simulators, await pay(simulators), 'once');
    await control(simulators, '/faults', { provider: 'stripe', call: 'refunds.create', fault: 'status_500', times: 9 });
    await control(simulators, '/reset', {});
    expect(await books(simulators)).toEqual({ payments: [], files: [], webhooks: [] });
    expect(await refund(simulators, await pay(simulators), 'once')).toMatchObject({ object: 'refund' });
  });
});

describe('The clock', () => {
  it('runs what falls due on the way, each thing at its own moment', async () => {
    const simulators = await start();
    const paymentId = await pay(simulators, { paymentMethod: 'pm_card_refundFail', refundDelayMs: 3_600_000 });
    const { id } = await refund(simulators, paymentId, 'once');
    const before = Date.now();
    const { body } = await control<{ now: string }>(simulators, '/clock', { advanceSeconds: 7200 });
    expect(Date.parse(body.now) - before).toBeGreaterThanOrEqual(7_200_000);
    expect((await books(simulators)).payments[0]?.refunds).toMatchObject([{ id, status: 'failed' }]);
    const response = await fetch(`${simulators.url}/v1/events?type=refund.failed`, {
      headers: { authorization: 'Bearer sk_test_simulated' },
    });
    const { data } = (await response.json()) as { data: { created: number }[] };
    expect(Math.abs((data[0]?.created ?? 0) - (before / 1000 + 3600))).toBeLessThan(5);
  });

  it('moves the service along, and stays where it is if the service refuses', async () => {
    const asked: { authorization: string | undefined; body: string }[] = [];
    let status = 200;
    const service = await serve((authorization, body) => {
      asked.push({ authorization, body });
      return status;
    });
    const simulators = await start({ serviceClock: { url: service.url, key: 'clock-key' } });
    expect(await control(simulators, '/clock', { advanceSeconds: 60 })).toMatchObject({ status: 200 });
    expect(asked).toEqual([{ authorization: 'Bearer clock-key', body: '{"advanceSeconds":60}' }]);
    status = 403;
    expect(await control(simulators, '/clock', { advanceSeconds: 3600 })).toMatchObject({ status: 502 });
    status = 200;
    const { body } = await control<{ now: string }>(simulators, '/clock', { advanceSeconds: 0 });
    expect(Date.parse(body.now) - Date.now()).toBeLessThan(120_000);
    await service.close();
  });
});

describe('After a restart', () => {
  it('the books, the keys, the clock and what was to happen are still there', async () => {
    const dataFile = join(folder, 'books');
    const first = await startSimulators({ dataFile });
    const paymentId = await pay(first, { paymentMethod: 'pm_card_pendingRefund', refundDelayMs: 3_600_000 });
    const { id } = await refund(first, paymentId, 'once');
    await control(first, '/clock', { advanceSeconds: 1800 });
    await first.close();

    const second = await start({ dataFile });
    expect(await refund(second, paymentId, 'once')).toMatchObject({ id });
    expect((await books(second)).payments).toMatchObject([{ paymentId, refunds: [{ id, status: 'pending' }] }]);
    const { body } = await control<{ now: string }>(second, '/clock', { advanceSeconds: 1800 });
    expect(Date.parse(body.now) - Date.now()).toBeGreaterThan(3_500_000);
    expect((await books(second)).payments).toMatchObject([{ refunds: [{ id, status: 'succeeded' }] }]);
  });

  it('disputes are still there, and what was to become of them', async () => {
    const dataFile = join(folder, 'books');
    const first = await startSimulators({ dataFile });
    const paymentId = await pay(first);
    const { body } = await control<{ disputeId: string }>(first, '/disputes', { paymentId, dueInSeconds: 3600 });
    await pay(first, { paymentMethod: 'pm_card_createDisputeInquiry' });
    await first.close();

    const second = await start({ dataFile });
    await control(second, '/clock', { advanceSeconds: 3601 });
    expect((await books(second)).payments).toMatchObject([
      { disputes: [{ id: body.disputeId, status: 'lost' }] },
      { disputes: [{ status: 'warning_needs_response' }] },
    ]);
  });

  it('webhooks that nobody had taken are delivered', async () => {
    const dataFile = join(folder, 'books');
    const first = await startSimulators({ dataFile, webhookTarget: 'http://127.0.0.1:9' });
    await refund(first, await pay(first), 'once');
    await until(async () => (await books(first)).webhooks.every(({ answers }) => answers.length > 0));
    await first.close();

    const taken: string[] = [];
    const service = await serve((_, body) => {
      taken.push((JSON.parse(body) as { type: string }).type);
      return 200;
    });
    const second = await start({ dataFile, webhookTarget: service.url });
    await until(() => taken.length === 2);
    expect(taken.sort()).toEqual(['charge.refunded', 'refund.created']);
    await until(async () => (await books(second)).webhooks.every(({ status }) => status === 'delivered'));
    expect((await books(second)).webhooks).toMatchObject([{ status: 'delivered' }, { status: 'delivered' }]);
    await service.close();
  });

  it('a last line torn by a crash is left out, and a file of somebody else is not touched', async () => {
    const dataFile = join(folder, 'books');
    const first = await startSimulators({ dataFile });
    const paymentId = await pay(first);
    await first.close();
    await appendFile(dataFile, '["stripe.payments","pi_3torn",{"provider":"str');
    expect((await books(await start({ dataFile }))).payments).toMatchObject([{ paymentId }]);
    await expect(startSimulators({ dataFile: join(import.meta.dirname, 'control.spec.js') })).rejects.toThrow(
      /not one of the simulators' own/,
    );
  });
});

describe('The settings', () => {
  it('have values for development', () => {
    expect(readSettings({})).toEqual({ port: 4010, host: '127.0.0.1', zamp: {} });
  });

  it.each([
    [{ SIMULATORS_PORT: 'http' }, /SIMULATORS_PORT should be a port/],
    [{ WEBHOOK_TARGET: 'localhost' }, /WEBHOOK_TARGET should be an http address/],
    [{ CLOCK_TARGET: 'http://127.0.0.1:3000/clock' }, /CLOCK_KEY should be/],
  ])('name the variable that is wrong: %j', (env, words) => {
    expect(() => readSettings(env)).toThrow(words);
  });

  it('listen where they are told to, so that other containers reach them', async () => {
    expect(readSettings({ SIMULATORS_HOST: '0.0.0.0' })).toMatchObject({ host: '0.0.0.0' });
    // An address for documentation, which no machine has (RFC 5737).
    await expect(startSimulators({ host: '192.0.2.1' })).rejects.toMatchObject({ code: 'EADDRNOTAVAIL' });
  });

  it('sign with the first of several webhook secrets', () => {
    expect(readSettings({ STRIPE_WEBHOOK_SECRET: 'whsec_new, whsec_old' })).toMatchObject({ stripeWebhookSecret: 'whsec_new' });
  });
});

async function serve(
  answer: (authorization: string | undefined, body: string) => number,
): Promise<{ url: string; close(): Promise<void> }> {
  const server: Server = createServer((request, response) => {
    let body = '';
    request.on('data', (part) => (body += String(part)));
    request.on('end', () => response.writeHead(answer(request.headers.authorization, body)).end());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
