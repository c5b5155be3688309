import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';

type Ended = { code: number | null; lines: { msg: string; why?: string; port?: number }[] };

function run(env: Record<string, string>, whenReady: (port: number, stop: () => void) => void): Promise<Ended> {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'main.js')], { env: { PATH: process.env['PATH'], ...env } });
  let text = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (part) => {
      text += String(part);
      const [, port] = /simulators ready","port":(\d+)/.exec(text) ?? [];
      if (port !== undefined) whenReady(Number(port), () => child.kill('SIGTERM'));
    });
  return new Promise((resolve) => {
    child.on('close', (code) =>
      resolve({
        code,
        lines: text
          .trim()
          .split('\n')
          .map((line) => JSON.parse(line) as Ended['lines'][0]),
      }),
    );
  });
}

describe('The simulators as a process', () => {
  it('say one line when they are ready, answer, and end cleanly when told to', async () => {
    let books: Promise<unknown> | undefined;
    const { code, lines } = await run({ SIMULATORS_PORT: '0' }, (port, stop) => {
      books = fetch(`http://127.0.0.1:${port}/control/books`)
        .then((response) => response.json())
        .finally(stop);
    });
    expect(await books).toEqual({ payments: [], files: [], webhooks: [] });
    expect(lines).toMatchObject([{ msg: 'simulators ready' }]);
    expect(code).toBe(0);
  });

  it('name the setting that is wrong, and a port that is busy', async () => {
    const wrong = await run({ SIMULATORS_PORT: 'four' }, (_, stop) => stop());
    expect(wrong).toMatchObject({ code: 1, lines: [{ why: expect.stringContaining('SIMULATORS_PORT should be a port') }] });
    let second: Promise<Ended> | undefined;
    await run({ SIMULATORS_PORT: '0' }, (port, stop) => {
      second = run({ SIMULATORS_PORT: String(port) }, (_, stopSecond) => stopSecond()).finally(stop);
    });
    expect(await second).toMatchObject({ code: 1, lines: [{ why: expect.stringMatching(/SIMULATORS_PORT \d+ is in use/) }] });
  });

  it('say which file cannot be written', async () => {
    const ended = await run({ SIMULATORS_PORT: '0', SIMULATORS_DATA: '/nowhere/books' }, (_, stop) => stop());
    expect(ended).toMatchObject({ code: 1, lines: [{ why: expect.stringContaining('/nowhere/books') }] });
  });
});
