import { DEVELOPMENT, startSimulators } from '../../apps/simulators/src/simulators.js';
import { StripeRefunds } from '#stripe/stripe-refunds';
import { ZampRefunds } from '#zamp/zamp-refunds';
import { ScriptedProvider } from '../fakes/scripted-provider.js';
import { refundProviderContract, type Bench } from './refund-provider.contract.js';

interface Books {
  readonly payments: readonly { paymentId: string; refunds: readonly { amount: number; status: string }[] }[];
}

/** The simulators with a tester's hands on their controls. */
async function simulated(provider: 'stripe' | 'zamp', unpaid: string, make: (url: string) => Bench['provider']): Promise<Bench> {
  const simulators = await startSimulators();
  const { url } = simulators;
  const control = async (path: string, body: object) => {
    const response = await fetch(`${url}/control${path}`, { method: 'POST', body: JSON.stringify({ provider, ...body }) });
    if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
    return (await response.json()) as { paymentId: string };
  };
  const pay = async (amount: bigint, more: object) =>
    (await control('/payments', { amount: Number(amount), currency: 'USD', ...more })).paymentId;
  const fault = async (kind: string) => {
    await control('/faults', { call: 'refunds.create', fault: kind, times: 1 });
  };
  return {
    provider: make(url),
    currency: 'USD',
    close: () => simulators.close(),
    pay: (amount) => pay(amount, {}),
    payLater: (amount) => pay(amount, { status: unpaid }),
    loseAnswer: () => fault('drop_answer'),
    loseCall: () => fault('close_socket'),
    limit: () => fault('status_429'),
    bankSays: async (id, status) => {
      await control(`/refunds/${id}`, { provider: undefined, status });
    },
    books: async (payment) => {
      const { payments } = (await (await fetch(`${url}/control/books`)).json()) as Books;
      const { refunds = [] } = payments.find(({ paymentId }) => paymentId === payment) ?? {};
      return refunds.filter(({ status }) => status !== 'failed').map(({ amount }) => BigInt(amount));
    },
  };
}

const { stripeApiKey: apiKey, stripeWebhookSecret, zamp } = DEVELOPMENT;

refundProviderContract('The Stripe adapter over the simulator', () =>
  simulated('stripe', 'requires_capture', (url) => {
    return new StripeRefunds({ account: 'default', apiKey, webhookSecrets: [stripeWebhookSecret], apiBase: `${url}/stripe` });
  }),
);

refundProviderContract('The Zamp adapter over the simulator', () =>
  simulated('zamp', 'in_process', (url) => {
    return new ZampRefunds({ account: 'default', ...zamp, apiBase: `${url}/zamp`, webhookAddresses: [] });
  }),
);

function scripted(lists: boolean): Promise<Bench> {
  const provider = new ScriptedProvider({ lists });
  let payments = 0;
  const pay = async (amount: bigint, refusal?: { code: string; detail: string }) => {
    const name = `pi_${++payments}`;
    provider.pay(name, { amount, currency: 'USD' }, refusal === undefined ? {} : { refusal });
    return name;
  };
  return Promise.resolve({
    provider,
    currency: 'USD',
    pay: (amount) => pay(amount),
    payLater: (amount) => pay(amount, { code: 'payment_not_captured', detail: 'Nothing was captured.' }),
    loseAnswer: async () => provider.nextSends('answer_lost'),
    loseCall: async () => provider.nextSends('call_lost'),
    limit: async () => provider.nextSends('later'),
    bankSays: async (id, status) => provider.bankSays(id, status),
    books: async (payment) => provider.refunds.filter((each) => each.payment === payment).map(({ amount }) => amount),
    close: async () => undefined,
  });
}

refundProviderContract('The scripted provider that lists refunds', () => scripted(true));
refundProviderContract('The scripted provider that cannot list', () => scripted(false));
