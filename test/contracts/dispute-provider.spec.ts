import { createHash } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import type { CallContext } from '#domain/ports/refund-provider';
import { StripeDisputes } from '#stripe/stripe-disputes';
import { DEVELOPMENT, startSimulators } from '../../apps/simulators/src/simulators.js';
import { ScriptedDisputes } from '../fakes/scripted-disputes.js';
import { disputeProviderContract, type DisputeBench, type DisputeCall, type DisputeFault } from './dispute-provider.contract.js';

const digestOf = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');

interface SimulatedBooks {
  readonly payments: readonly { readonly disputes?: readonly SimulatedDispute[] }[];
  readonly files: readonly { readonly sha256: string }[];
}
interface SimulatedDispute {
  readonly id: string;
  readonly staged: number;
  readonly closes: number;
  readonly packets: readonly {
    readonly evidence: { readonly uncategorized_text?: string };
    readonly files: readonly { readonly sha256: string }[];
  }[];
}

const calls: Record<DisputeCall, string> = {
  upload: 'files.create',
  stage: 'disputes.update',
  submit: 'disputes.update',
  accept: 'disputes.close',
};
const faults: Record<DisputeFault, string> = {
  answer_lost: 'drop_answer',
  call_lost: 'close_socket',
  failed: 'status_500',
  done_and_failed: 'status_500_saved',
  later: 'status_429',
};

/** The simulators with a tester's hands on their controls. */
async function simulated(): Promise<DisputeBench> {
  const simulators = await startSimulators();
  const { url } = simulators;
  const control = async (path: string, body: object) => {
    const response = await fetch(`${url}/control${path}`, { method: 'POST', body: JSON.stringify(body) });
    if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
    return (await response.json()) as Record<string, string>;
  };
  const pay = async () =>
    (await control('/payments', { provider: 'stripe', amount: 10_000, currency: 'USD' }))['paymentId'] ?? '';
  const books = async () => (await (await fetch(`${url}/control/books`)).json()) as SimulatedBooks;
  const { stripeApiKey: apiKey, stripeWebhookSecret } = DEVELOPMENT;
  return {
    provider: new StripeDisputes({
      account: 'default',
      apiKey,
      webhookSecrets: [stripeWebhookSecret],
      apiBase: `${url}/stripe`,
    }),
    digestOf,
    open: async (stage) => {
      const payment = await pay();
      return { id: (await control('/disputes', { paymentId: payment, stage }))['disputeId'] ?? '', payment };
    },
    warn: async () => {
      const payment = await pay();
      return { id: (await control('/warnings', { paymentId: payment }))['warningId'] ?? '', payment };
    },
    fault: async (call, fault) => {
      await control('/faults', { provider: 'stripe', call: calls[call], fault: faults[fault], times: 1 });
    },
    failLook: async () => {
      await control('/faults', { provider: 'stripe', call: 'disputes.retrieve', fault: 'status_500', times: 1 });
    },
    bank: async (id, does) => {
      await control(`/disputes/${id}`, { do: does });
    },
    setStatus: async (id, status) => {
      await control(`/disputes/${id}`, { status });
    },
    books: async (id) => {
      const dispute = (await books()).payments.flatMap(({ disputes = [] }) => disputes).find((each) => each.id === id);
      if (dispute === undefined) throw new Error(`there is no dispute ${id}`);
      const { staged, closes, packets } = dispute;
      const answers = packets.map(({ evidence, files }) => ({
        text: evidence.uncategorized_text ?? null,
        digests: files.map(({ sha256 }) => sha256),
      }));
      return { answers, staged, closes };
    },
    uploads: async () => (await books()).files.map(({ sha256 }) => sha256),
    close: () => simulators.close(),
  };
}

async function scripted(): Promise<DisputeBench> {
  const provider = new ScriptedDisputes({ now: () => new Date() });
  let payments = 0;
  const digests = (files: readonly { readonly providerFileId: string }[]) =>
    files.map(({ providerFileId }) => {
      const file = provider.files.find(({ id }) => id === providerFileId);
      return file === undefined ? 'unknown' : digestOf(file.bytes);
    });
  return {
    provider,
    digestOf,
    open: async (stage) => {
      const payment = `pi_${++payments}`;
      return { id: provider.open(payment, { amount: 10_000n, currency: 'USD' }, { stage }).id, payment };
    },
    warn: async () => {
      const payment = `pi_${++payments}`;
      return { id: provider.warn(payment).id, payment };
    },
    fault: async (_call, fault) => provider.nextSends(fault),
    failLook: async () => provider.nextLooks('failed'),
    bank: async (id, does) => {
      if (does === 'escalate') provider.moveTo(id, 'chargeback');
      if (does === 'appeal') provider.moveTo(id, 'appeal');
      if (does === 'win') provider.win(id);
      if (does === 'lose') provider.lose(id);
      if (does === 'colleague_submits') provider.answerElsewhere(id);
    },
    setStatus: async (id, word) => provider.becomes(id, 'unknown', word),
    books: async (id) => {
      const { answers, staged, closedAt } = provider.booked(id);
      const shown = answers.map(({ content, files }) => ({ text: content.uncategorizedText ?? null, digests: digests(files) }));
      return { answers: shown, staged, closes: closedAt.length };
    },
    uploads: async () => provider.files.map(({ bytes }) => digestOf(bytes)),
    close: async () => undefined,
  };
}

disputeProviderContract('The Stripe adapter over the simulator', simulated);
disputeProviderContract('The scripted provider', scripted);

describe('The scripted provider of disputes', () => {
  const now = new Date('2026-11-01T10:00:00.000Z');
  const call: CallContext = { deadline: new AbortController().signal, now, trace: () => undefined };
  const content = { uncategorizedText: 'Ours.' };
  const orderOf = (id: string) =>
    ({ providerDisputeId: id, content, files: [], emptied: [], submissions: 0, stage: 'chargeback' }) as const;

  it('has somebody be faster between the look and the send, once', async () => {
    const provider = new ScriptedDisputes({ now: () => now });
    const { id } = provider.open('pi_1', { amount: 100n, currency: 'USD' });
    provider.betweenLookAndSend = () => provider.answerElsewhere(id, 'smart_disputes');
    await expect(provider.submit(orderOf(id), 'k', call)).resolves.toMatchObject({
      kind: 'overtaken',
      report: { submissions: 1, submittedBy: 'smart_disputes' },
    });
    expect(provider.booked(id).answers).toMatchObject([{ key: null, by: 'smart_disputes', at: now }]);
    expect(provider.betweenLookAndSend).toBeNull();
  });

  it('keeps a failure under its key, and a refusal', async () => {
    const provider = new ScriptedDisputes({ now: () => now });
    const { id } = provider.open('pi_1', { amount: 100n, currency: 'USD' });
    provider.nextSends('failed', 'answered', 'refused');
    await expect(provider.submit(orderOf(id), 'k1', call)).resolves.toMatchObject({ kind: 'unknown' });
    await expect(provider.submit(orderOf(id), 'k1', call)).resolves.toMatchObject({ kind: 'unknown' });
    await expect(provider.submit(orderOf(id), 'k2', call)).resolves.toMatchObject({ kind: 'refused', code: 'provider_refused' });
    await expect(provider.submit(orderOf(id), 'k2', call)).resolves.toMatchObject({ kind: 'refused' });
    await expect(provider.submit(orderOf(id), 'k3', call)).resolves.toMatchObject({ kind: 'taken' });
    expect(provider.calls.map(({ key }) => key)).toEqual(['k1', 'k1', 'k2', 'k2', 'k3']);
  });

  it('tells no more than a call shows when one is lost, limited or parked', async () => {
    const provider = new ScriptedDisputes({ now: () => now });
    const { id } = provider.open('pi_1', { amount: 100n, currency: 'USD' });
    provider.nextReads('call_lost', 'later', 'locked', 'parked');
    const kinds: string[] = [];
    for (let at = 0; at < 5; at++) kinds.push((await provider.readDispute(id, call)).kind);
    expect(kinds).toEqual(['unread', 'later', 'later', 'parked', 'found']);
  });
});
