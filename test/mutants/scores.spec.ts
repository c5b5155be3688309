import { describe, expect, it } from '@jest/globals';
import { scoresOf, survivorsOf, tableOf } from './scores.js';

const at = { start: { line: 1 } };
const mutants = (...statuses: string[]) => ({
  source: 'if (a > b) return;',
  mutants: statuses.map((status) => ({ status, mutatorName: 'EqualityOperator', replacement: 'a\n  >= b', location: at })),
});

describe('The score of changes to the money core', () => {
  const report = {
    files: {
      'b.ts': mutants('Killed', 'Survived', 'NoCoverage', 'CompileError', 'Ignored'),
      'a.ts': mutants('Killed', 'Timeout', 'Killed', 'RuntimeError'),
    },
  };

  it('counts what was found against what survived or no test ran into, and nothing else', () => {
    expect(scoresOf(report)).toMatchObject({
      found: 4,
      survived: 2,
      percent: 66.7,
      files: [
        { file: 'a.ts', found: 3, survived: 0, percent: 100 },
        { file: 'b.ts', found: 1, survived: 2, percent: 33.3 },
      ],
    });
  });

  it('comes with what was not found', () => {
    const line = 'b.ts:1 EqualityOperator: if (a > b) return; => a >= b';
    expect(survivorsOf(report)).toEqual([line, line]);
  });

  it('is a table with a line per file and one for all', () => {
    expect(tableOf(scoresOf(report)).split('\n').slice(2)).toEqual([
      '| `a.ts` | 3 | 3 | 0 | 100 % |',
      '| `b.ts` | 3 | 1 | 2 | 33.3 % |',
      '| all | 6 | 4 | 2 | 66.7 % |',
    ]);
  });
});
