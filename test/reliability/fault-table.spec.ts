import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { between, faults, faultTable } from './fault-table.js';

describe('The table of faults', () => {
  it('has a row for each of them, and stands in the document as the names of tests have it', () => {
    const table = faultTable();
    for (const number of Object.keys(faults)) expect(table).toContain(`\n| ${number} |`);
    const document = readFileSync('docs/reliability.md', 'utf8');
    expect(between(document, 'faults', table)).toBe(document);
  });

  it('is put between its marks, and nowhere else', () => {
    expect(between('a <!-- x -->old<!-- /x --> b', 'x', 'new')).toBe('a <!-- x -->\n\nnew\n\n<!-- /x --> b');
    expect(() => between('a <!-- x --> b', 'x', 'new')).toThrow('are not there');
  });
});
