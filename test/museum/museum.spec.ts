import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { incidents, mutants } from './mutants.js';

describe('The museum', () => {
  it.each(mutants.map((mutant) => [mutant.id, mutant] as const))('can put %s into the code of today', (_, mutant) => {
    for (const { file, from, to } of mutant.and === undefined ? [mutant] : [mutant, mutant.and]) {
      expect(readFileSync(file, 'utf8').split(from)).toHaveLength(2);
      expect(to).not.toBe(from);
    }
  });

  it('has a mutant for each incident, and each mutant in its table', () => {
    const shown = new Set(mutants.map(({ incident }) => incident));
    expect(Object.keys(incidents).filter((number) => !shown.has(Number(number)))).toEqual([]);
    const document = readFileSync('docs/reliability.md', 'utf8');
    for (const { what } of mutants) expect(document).toContain(`| ${what} |`);
  });
});
