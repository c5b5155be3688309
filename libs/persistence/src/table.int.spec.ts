import { afterAll, beforeAll, expect, it } from '@jest/globals';
import fc from 'fast-check';
import pg from 'pg';
import { arrayOf } from '#persistence/table';
import { bareDatabase, describeWithDatabase, type FreshDatabase } from '../../../test/environment.js';

describeWithDatabase('An array for PostgreSQL', () => {
  let database: FreshDatabase;
  let client: pg.Client;
  beforeAll(async () => {
    database = await bareDatabase();
    client = new pg.Client({ connectionString: database.url });
    await client.connect();
  });
  afterAll(async () => {
    await client.end();
    await database.drop();
  });

  const through = async (type: string, values: readonly unknown[]): Promise<unknown> => {
    const { rows } = await client.query<{ value: unknown }>(
      `select value from unnest($1::${type}[]) with ordinality as given (value, place) order by place`,
      [arrayOf(values, (value) => value)],
    );
    return rows.map(({ value }) => value);
  };

  it('holds any text as it is', async () => {
    const text = fc.oneof(
      fc.string({ unit: 'binary' }).map((each) => each.replaceAll('\0', '').toWellFormed()),
      fc.constantFrom('', 'null', 'NULL', '{}', '"', '\\', '\\"', ' a ', 'a,b', '\n', "'"),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(fc.option(text), { maxLength: 8 }), async (all) => {
        expect(await through('text', all)).toEqual(all);
      }),
      { numRuns: 300 },
    );
  });

  it('holds what is no text', async () => {
    const at = new Date('0099-12-31T23:59:59.999Z');
    expect(await through('timestamptz', [new Date(1_763_800_000_123), null, at, new Date(8.64e15)])).toEqual([
      new Date(1_763_800_000_123),
      null,
      at,
      new Date(8.64e15),
    ]);
    expect(await through('bytea', [Buffer.from([0, 92, 34, 255]), Buffer.alloc(0), null])).toEqual([
      Buffer.from([0, 92, 34, 255]),
      Buffer.alloc(0),
      null,
    ]);
    expect(await through('bigint', [9_007_199_254_740_993n, -1n, null])).toEqual(['9007199254740993', '-1', null]);
    expect(await through('boolean', [true, false, undefined])).toEqual([true, false, null]);
    expect(await through('jsonb', [JSON.stringify({ a: '"\\', b: [1, null] })])).toEqual([{ a: '"\\', b: [1, null] }]);
    expect(() => arrayOf([{}], (value) => value)).toThrow(TypeError);
  });
});
