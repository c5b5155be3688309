/*
 * The linter against a Stripe that enforces its limits on its own: whatever packet the linter passes without an error is taken. Packets are
 * made at random, near the limits and beyond them.
 */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import fc from 'fast-check';
import type { DisputeReport } from '#domain/dispute/dispute';
import { fileFields, textFields, type Evidence, type EvidenceFile, type FilePlace } from '#domain/dispute/evidence';
import { hasErrors, lint, type KnownCharges } from '#domain/dispute/linter';
import type { CallContext } from '#domain/ports/refund-provider';
import { StripeDisputes } from '#stripe/stripe-disputes';
import { DEVELOPMENT, startSimulators } from '../../apps/simulators/src/simulators.js';
import { pdf, png } from '../documents.js';

jest.setTimeout(240_000);

const packets = 250;

interface Document {
  readonly bytes: Buffer;
  readonly type: EvidenceFile['type'];
  readonly pages: number;
  providerFileId: string;
}

const documents: readonly Document[] = [
  { bytes: pdf(1), type: 'application/pdf', pages: 1, providerFileId: '' },
  { bytes: pdf(9), type: 'application/pdf', pages: 9, providerFileId: '' },
  { bytes: pdf(19), type: 'application/pdf', pages: 19, providerFileId: '' },
  { bytes: pdf(30), type: 'application/pdf', pages: 30, providerFileId: '' },
  { bytes: pdf(1, 2_200_000), type: 'application/pdf', pages: 1, providerFileId: '' },
  { bytes: pdf(2, 4_400_000), type: 'application/pdf', pages: 2, providerFileId: '' },
  { bytes: png(), type: 'image/png', pages: 1, providerFileId: '' },
];

const text = fc.oneof(
  { weight: 20, arbitrary: fc.lorem({ maxCount: 5 }) },
  { weight: 2, arbitrary: fc.string({ maxLength: 40, unit: 'grapheme' }) },
  {
    weight: 2,
    arbitrary: fc.constantFrom('see https://example.com/proof', '2026-03-01', '203.0.113.7', 'ann@example.com', '\u0007', ''),
  },
  { weight: 1, arbitrary: fc.constantFrom(4_999, 5_000, 5_001, 19_999, 20_000, 20_001).map((length) => 'x'.repeat(length)) },
);

const texts = fc
  .uniqueArray(fc.constantFrom(...textFields), { maxLength: 8 })
  .chain((fields) =>
    fc.tuple(...fields.map(() => text)).map((values) => Object.fromEntries(fields.map((field, at) => [field, values[at] ?? '']))),
  );

const files = fc
  .uniqueArray(fc.constantFrom(...fileFields), { maxLength: 3 })
  .chain((places) =>
    fc
      .tuple(...places.map(() => fc.nat({ max: documents.length - 1 })))
      .map((chosen) => places.map((place, at) => ({ place: place as FilePlace, document: chosen[at] ?? 0 }))),
  );

const identifiers = fc.record(
  {
    customerPurchaseIp: fc.constantFrom('203.0.113.7', '203.0.113.8'),
    customerDeviceId: fc.constantFrom('device-0123456789', 'short'),
    customerDeviceFingerprint: fc.constantFrom('fingerprint-0123456789', 'short'),
    customerAccountId: fc.constantFrom('account-1', 'account-2'),
    productDescription: fc.constantFrom('Two chairs', 'A table'),
  },
  { requiredKeys: [] },
);

/** Which earlier payments are named: places in what the test has made. */
const compelling = fc.record(
  {
    disputedTransaction: fc
      .tuple(identifiers, fc.option(fc.constantFrom('merchandise' as const, 'services' as const)))
      .map(([said, what]) => ({ ...said, ...(what === null ? {} : { merchandiseOrServices: what }) })),
    prior: fc.array(fc.tuple(fc.nat({ max: 3 }), identifiers), { maxLength: 3 }),
  },
  { requiredKeys: ['prior'] },
);

const packet = fc.record({
  texts,
  files,
  brand: fc.constantFrom('visa', 'mastercard', 'amex'),
  kind: fc.constantFrom('fraud', 'not received', 'compliance', 'inquiry'),
  /** A whole and correct one, one at random, or none. */
  compelling: fc.oneof(
    { weight: 2, arbitrary: fc.constant('whole' as const) },
    { weight: 1, arbitrary: compelling },
    { weight: 5, arbitrary: fc.constant(null) },
  ),
  feeAcknowledged: fc.option(fc.boolean(), { freq: 1 }),
});
type Packet = typeof packet extends fc.Arbitrary<infer P> ? P : never;

describe('A packet that the linter passes', () => {
  let simulators: Awaited<ReturnType<typeof startSimulators>>;
  let provider: StripeDisputes;
  /** Charges of earlier payments: too young, twice within the window, too old. */
  const earlier: { charge: string; paidAt: Date }[] = [];
  let now = new Date();

  const control = async (call: string, body: object) => {
    const answer = await fetch(`${simulators.url}/control/${call}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    const read = (await answer.json()) as Record<string, string>;
    if (!answer.ok) throw new Error(`${call}: ${JSON.stringify(read)}`);
    return read;
  };
  const pay = () => control('payments', { provider: 'stripe', amount: 10_000, currency: 'USD' });
  const pass = async (days: number) => {
    await control('clock', { advanceSeconds: days * 86_400 });
    now = new Date(now.getTime() + days * 86_400_000);
  };
  const call = (): CallContext => ({ deadline: AbortSignal.timeout(20_000), now, trace: () => undefined });

  beforeAll(async () => {
    simulators = await startSimulators();
    provider = new StripeDisputes({
      account: 'default',
      apiKey: DEVELOPMENT.stripeApiKey,
      webhookSecrets: [DEVELOPMENT.stripeWebhookSecret],
      apiBase: `${simulators.url}/stripe`,
    });
    for (const days of [200, 50, 130]) {
      earlier.push({ charge: (await pay())['chargeId'] ?? '', paidAt: now });
      await pass(days);
    }
    earlier.push({ charge: (await pay())['chargeId'] ?? '', paidAt: now });
    await pass(20);
    for (const document of documents) {
      const name = document.type === 'image/png' ? 'dot.png' : 'document.pdf';
      const answer = await provider.upload({ name, type: document.type, bytes: document.bytes }, randomUUID(), call());
      if (answer.kind !== 'uploaded') throw new Error(JSON.stringify(answer));
      document.providerFileId = answer.providerFileId;
    }
  });
  afterAll(() => simulators.close());

  async function disputeFor({ brand, kind }: Packet): Promise<{ report: DisputeReport; charge: string }> {
    const { paymentId, chargeId = '' } = await pay();
    const opened = await control('disputes', {
      paymentId,
      brand,
      ...(kind === 'fraud' ? { reason: 'fraudulent', networkReasonCode: brand === 'visa' ? '10.4' : '4837' } : {}),
      ...(kind === 'not received' ? { reason: 'product_not_received', networkReasonCode: '13.1' } : {}),
      ...(kind === 'compliance' ? { caseType: 'compliance' } : {}),
      ...(kind === 'inquiry' ? { stage: 'inquiry' } : {}),
    });
    const read = await provider.readDispute(opened['disputeId'] ?? '', call());
    if (read.kind !== 'found') throw new Error(JSON.stringify(read));
    return { report: read.report, charge: chargeId };
  }

  function contentOf(made: Packet): Evidence {
    const { brand, compelling: chosen, feeAcknowledged } = made;
    const same = { customerPurchaseIp: '203.0.113.7', customerAccountId: 'account-1', productDescription: 'Two chairs' };
    const whole = {
      disputedTransaction: { ...same, merchandiseOrServices: 'merchandise' as const },
      priorUndisputedTransactions: [1, 2].map((at) => ({ ...same, charge: earlier[at]?.charge ?? '' })),
    };
    const given =
      chosen === null || chosen === 'whole'
        ? chosen
        : {
            ...(chosen.disputedTransaction === undefined ? {} : { disputedTransaction: chosen.disputedTransaction }),
            priorUndisputedTransactions: chosen.prior.map(([at, said]) => ({ ...said, charge: earlier[at]?.charge ?? '' })),
          };
    const programme = brand === 'mastercard' ? 'mastercardCompliance' : 'visaCompliance';
    const enhancedEvidence = {
      ...(given === null ? {} : { visaCompellingEvidence3: given === 'whole' ? whole : given }),
      ...(feeAcknowledged === null ? {} : { [programme]: { feeAcknowledged } }),
    };
    const written = Object.fromEntries(Object.entries(made.texts).filter(([, value]) => value !== ''));
    return { ...written, ...(Object.keys(enhancedEvidence).length === 0 ? {} : { enhancedEvidence }) };
  }

  const fileAt = (place: FilePlace, { bytes, type, pages, providerFileId }: Document): EvidenceFile => ({
    id: `ef_${place}`,
    disputeId: 'dp_1',
    place,
    name: 'document',
    type,
    size: bytes.length,
    pages,
    digest: '',
    providerFileId,
    by: 'spec',
    addedAt: now,
    refusedAs: null,
    removedAt: null,
  });

  it('is taken, and much of what it does not pass would have been refused', async () => {
    const counts = { passed: 0, refused: 0, spared: 0 };
    await fc.assert(
      fc.asyncProperty(packet, async (made) => {
        const { report, charge } = await disputeFor(made);
        const content = contentOf(made);
        const placed = made.files.flatMap(({ place, document }) => {
          const chosen = documents[document];
          return chosen === undefined ? [] : [fileAt(place, chosen)];
        });
        const known: KnownCharges = {
          disputed: [charge],
          paidAt: now,
          earlier: new Map(earlier.map((one) => [one.charge, one.paidAt])),
        };
        const stage = report.stage ?? 'chargeback';
        const found = lint({ ...report, stage }, { content, files: placed }, known);
        const order = {
          providerDisputeId: report.providerDisputeId,
          content,
          files: placed.map(({ place, providerFileId }) => ({ place, providerFileId: providerFileId ?? '' })),
          emptied: [],
          submissions: report.submissions,
          stage,
        };
        const answer = await provider.submit(order, randomUUID(), call());
        if (hasErrors(found)) {
          if (answer.kind === 'refused') counts.refused += 1;
          else counts.spared += 1;
          return;
        }
        counts.passed += 1;
        expect(answer).toMatchObject({ kind: 'taken', report: { submissions: 1 } });
      }),
      { numRuns: packets },
    );
    process.stdout.write(
      `${packets} packets: ${counts.passed} passed and all taken; ${counts.refused} not passed and refused, ${counts.spared} not passed and taken\n`,
    );
    expect(counts.passed).toBeGreaterThan(packets / 20);
    expect(counts.refused).toBeGreaterThan(packets / 20);
  });
});
