import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { type Child, startChild } from '../scripts/child.js';

/* Slow for one reason: what does not end is waited for as long as in production. */

jest.setTimeout(60_000);

describe('A process that is told to end', () => {
  const folder = mkdtempSync(join(tmpdir(), 'redress-process-'));
  const children = new Map<string, Child>();
  const logOf = (name: string) => readFileSync(join(folder, `${name}.log`), 'utf8');
  const said = async (name: string, what: string) => {
    while (!logOf(name).includes(what)) await sleep(20);
  };

  /** One whose end takes so long. */
  const start = async (name: string, closeMs: number) => {
    const program = `
      const { runProcess } = await import(${JSON.stringify(new URL('process.js', import.meta.url).href)});
      const close = () => new Promise((resolve) => setTimeout(resolve, ${closeMs}));
      await runProcess('it', async () => ({ ready: {}, close }));
      setInterval(() => undefined, 1_000);`;
    const env = { DATABASE_URL: 'postgres://nobody@127.0.0.1:1/none', ADMIN_KEY: 'a-key-for-a-spec', PORT: '0' };
    const options = { log: join(folder, `${name}.log`), env };
    children.set(name, startChild(process.execPath, ['--input-type=module', '--eval', program], options));
    await said(name, 'it ready');
  };
  const tell = (name: string) => process.kill(children.get(name)?.pid ?? 0, 'SIGTERM');
  const ending = (name: string) => children.get(name)?.ended;

  beforeAll(() => Promise.all([start('quick', 300), start('hurried', 600_000), start('slow', 600_000)]));
  afterAll(async () => {
    await Promise.all([...children.values()].map((child) => child.stop(0)));
    rmSync(folder, { recursive: true });
  });

  it('finishes what is in hand first (F33)', async () => {
    tell('quick');
    expect(await ending('quick')).toEqual({ code: 0, signal: null });
    expect(logOf('quick')).toContain('it stopped');
  });

  it('ends at once when it is told twice (F33)', async () => {
    tell('hurried');
    await said('hurried', 'it stopping');
    tell('hurried');
    expect(await ending('hurried')).toEqual({ code: 1, signal: null });
    expect(logOf('hurried')).not.toContain('did not stop');
  });

  it('does not outstay its platform, and says so (F33)', async () => {
    tell('slow');
    expect(await ending('slow')).toEqual({ code: 1, signal: null });
    expect(logOf('slow')).toContain('it did not stop in 28 s');
  });
});
