import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { kinds } from './nemesis.js';
import { crashes, type Report, story, tell, unmet } from './story.js';
import { describeWithThreeBrokers } from './three-brokers.js';

/* Two minutes of what `npm run chaos` does for as long as one likes: every kind of fault at least once. */

jest.setTimeout(60_000);

describeWithThreeBrokers('Two minutes under every fault', () => {
  let report: Report;
  const folder = mkdtempSync(join(tmpdir(), 'redress-chaos-report-'));

  beforeAll(async () => {
    report = await story({ seed: 7, ms: 120_000, perSecond: 6, folder, say: () => undefined });
    process.stderr.write(`${tell(report)}\n`);
  }, 900_000);
  afterAll(() => {
    if (report.findings.length === 0) rmSync(folder, { recursive: true });
  });

  describe('injected', () => {
    it.each(Object.values(kinds))('%s', (kind) => {
      expect(report.injected[kind]).toBeGreaterThan(0);
    });
  });

  it('leave nothing lost, nothing doubled, nothing out of order, by what each place says', () => {
    expect(report.findings).toEqual([]);
  });

  it('are injected as meant, amid work of every kind, and no process ends for them', () => {
    expect([...unmet(report), ...crashes(report)]).toEqual([]);
  });

  it('leave nothing open without a person being told', () => {
    expect(report.stuck).toBeNull();
  });
});
