import { randomUUID } from 'node:crypto';
import { describe, it } from '@jest/globals';
import { Client } from 'pg';

/*
 * The real parts that specs run on. `npm test` starts them and says here where they are; jest alone has none, and then suites that need one
 * say that they did not run (with CI=true they fail).
 */

/** A suite on real PostgreSQL. */
export const describeWithDatabase = describeWith('TEST_DATABASE_URL', 'PostgreSQL');

/** A suite on real Kafka. Its brokers are in `kafkaBrokers()`; topics and groups carry names of the suite's own, for others use them too. */
export const describeWithKafka = describeWith('TEST_KAFKA_BROKERS', 'Kafka');

/** A database of one's own. */
export type FreshDatabase = { readonly url: string; drop(): Promise<void> };

/** A migrated, empty database for one spec file: a copy of the template that `npm test` made. */
export function freshDatabase(): Promise<FreshDatabase> {
  return createDatabase('template redress_template strategy file_copy');
}

/** A database with nothing in it, for specs about migrations. */
export function bareDatabase(): Promise<FreshDatabase> {
  return createDatabase('template template0');
}

/** The brokers that `describeWithKafka` promises, as kafkajs takes them. */
export function kafkaBrokers(): string[] {
  return (process.env['TEST_KAFKA_BROKERS'] ?? '').split(',');
}

async function createDatabase(from: string): Promise<FreshDatabase> {
  const name = `spec_${randomUUID().replaceAll('-', '')}`;
  await onServer(`create database ${name} ${from}`);
  const url = new URL(process.env['TEST_DATABASE_URL'] ?? '');
  url.pathname = `/${name}`;
  return { url: url.href, drop: () => onServer(`drop database ${name} with (force)`) };
}

async function onServer(statement: string): Promise<void> {
  const client = new Client({ connectionString: process.env['TEST_DATABASE_URL'] });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}

function describeWith(variable: string, part: string): (name: string, body: () => void) => void {
  const isThere = (process.env[variable] ?? '') !== '';
  if (isThere) return describe;
  return (name, body) => {
    const why = `needs ${part}: run it with npm test`;
    console.warn(`DID NOT RUN: ${name} (${why})`);
    if (process.env['CI'] !== 'true') describe.skip(name, body);
    else describe(name, () => it(`did not run (${part})`, () => Promise.reject(new Error(why))));
  };
}
