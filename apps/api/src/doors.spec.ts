import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, jest } from '@jest/globals';
import { codes, type Code } from '#contracts/codes';
import type { Views } from '#persistence/views';
import { AdminKey, keptAdminKey } from './admin-key.js';
import { readOrdinal, writeCursor } from './cursors.js';
import { HealthController } from './health.controller.js';
import type { Metrics } from './metrics.js';
import { problem, Refusal, statusOf } from './problems.js';

describe('A code', () => {
  it.each(Object.keys(codes) as Code[])('%s has a status that says who has to change something', (code) => {
    expect(problem(code, {})).toMatchObject({ status: statusOf[code], title: codes[code], code });
    expect(statusOf[code]).toBeGreaterThanOrEqual(400);
  });

  it('of a rule is 409 or 422', () => {
    const rules: Code[] = [
      'payment_not_captured',
      'amount_exceeds_available',
      'nothing_left_to_refund',
      'reference_already_used',
    ];
    expect(rules.map((code) => statusOf[code])).toEqual([409, 422, 409, 409]);
  });
});

describe('A cursor', () => {
  it('leads back to its place', () => {
    for (const place of [0n, 1n, 9_007_199_254_740_993n])
      expect(readOrdinal('refunds', 'cursor', writeCursor('refunds', place))).toBe(place);
    expect(readOrdinal('refunds', 'cursor', undefined)).toBeNull();
  });

  it.each([
    ['of another list', writeCursor('events', 1n)],
    ['made by hand', '42'],
    ['changed', `${writeCursor('refunds', 1n)}=`],
    ['of nowhere', writeCursor('refunds', '')],
    ['below the beginning', writeCursor('refunds', -1n)],
    ['beyond every number', writeCursor('refunds', '9'.repeat(30))],
    ['of no number', writeCursor('refunds', '0x10')],
  ])('%s is refused by name', (_, cursor) => {
    expect(() => readOrdinal('refunds', 'cursor', cursor)).toThrow(Refusal);
  });
});

describe('The admin key', () => {
  it('opens for itself alone', () => {
    const key = new AdminKey('correct');
    expect(['correct', 'Correct', 'correc', 'correctt', ''].map((given) => key.matches(given))).toEqual([
      true,
      false,
      false,
      false,
      false,
    ]);
  });

  it('is made once, for its owner alone, and kept', () => {
    const dir = mkdtempSync(join(tmpdir(), 'redress-key-'));
    try {
      const key = keptAdminKey(join(dir, 'data'));
      expect(Buffer.from(key, 'base64url')).toHaveLength(32);
      expect(statSync(join(dir, 'data', 'admin-key')).mode & 0o777).toBe(0o600);
      expect(keptAdminKey(join(dir, 'data'))).toBe(key);
      writeFileSync(join(dir, 'admin-key'), 'given\n');
      expect(keptAdminKey(dir)).toBe('given');
      writeFileSync(join(dir, 'admin-key'), '');
      expect(() => keptAdminKey(dir)).toThrow('is empty');
    } finally {
      rmSync(dir, { recursive: true });
    }
  });
});

describe('Readiness', () => {
  it('is refused in good time while the database keeps its connections but says nothing, and asks it once for all who ask', async () => {
    const isReady = jest.fn(() => new Promise<boolean>(() => undefined));
    const health = new HealthController({ isReady } as Partial<Views> as Views, {} as Metrics, '1.0.0');
    const asked = performance.now();
    const answers = await Promise.allSettled([health.ready(), health.ready()]);
    for (const answer of answers) expect(answer).toMatchObject({ status: 'rejected', reason: { code: 'unavailable' } });
    expect(performance.now() - asked).toBeLessThan(4_000);
    expect(isReady).toHaveBeenCalledTimes(1);
  });
});
