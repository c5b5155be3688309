import { existsSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { incidents, mutants, traps } from './exhibits.js';
import { documentNow, keptKills, notSeen } from './kill-table.js';
import { compiled, mutated } from './mutant.js';

describe('The museum', () => {
  it.each(mutants.map((mutant) => [mutant.name, mutant] as const))('has a mutant %s that fits the code', (_, mutant) => {
    expect(() => compiled(mutant)).not.toThrow();
    expect(mutant.specs.filter((spec) => !existsSync(`${spec}.ts`))).toEqual([]);
  });

  it('does not take a mutant that fits nowhere, or twice', () => {
    const [mutant] = mutants;
    if (mutant === undefined) throw new Error('there is none');
    expect(() => mutated({ ...mutant, find: 'what stands nowhere' })).toThrow('no longer fits');
    expect(() => mutated({ ...mutant, find: 'const' })).toThrow('no longer fits');
  });

  it('has a mutant for every incident, and for every trap that our code guards against', () => {
    const shown = new Set(mutants.map(({ brings }) => String(brings)));
    const bare = Object.keys(incidents).filter((number) => !shown.has(number));
    const unshown = Object.entries(traps).filter(([sign, { unguarded }]) => (unguarded === undefined) !== shown.has(sign));
    expect([...bare, ...unshown.map(([sign]) => sign)]).toEqual([]);
    expect(new Set(mutants.map(({ name }) => name)).size).toBe(mutants.length);
    expect([...shown].filter((brings) => !(brings in incidents) && !(brings in traps))).toEqual([]);
  });

  it('has seen each of them found as it stands now, and the document says so', () => {
    expect(notSeen(keptKills())).toEqual([]);
    const { is, shouldBe } = documentNow();
    expect(is).toBe(shouldBe);
  });
});
