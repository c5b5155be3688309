/* What all views read with. */
import type { DataSource } from 'typeorm';
import { meaningOf } from '#persistence/database';
import type { Raw } from '#persistence/table';

export async function query(source: DataSource, statement: string, parameters: readonly unknown[]): Promise<Raw[]> {
  try {
    const answer = (await source.query(statement, [...parameters])) as Raw[] | [Raw[], number];
    return Array.isArray(answer[0]) ? answer[0] : (answer as Raw[]);
  } catch (error) {
    throw meaningOf(error);
  }
}

/** Conditions that are joined by "and", each with its parameters as question marks. */
export function conditions() {
  const parameters: unknown[] = [];
  const all: string[] = [];
  return {
    parameters,
    add(condition: string, ...values: unknown[]) {
      let next = 0;
      all.push(condition.replace(/\?/g, () => `$${parameters.push(values[next++])}`));
    },
    where: () => (all.length === 0 ? '' : `where ${all.join(' and ')}`),
  };
}
