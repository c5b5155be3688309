/*
 * npm test [-- what jest takes]: every test, on a real PostgreSQL and a real Kafka of its own, which are gone afterwards.
 *
 * Specs find them in TEST_DATABASE_URL and TEST_KAFKA_BROKERS (test/environment.ts). KAFKA_BROKERS and TEST_DATABASE_URL of one's own are
 * used instead. Where no Kafka can be had the rest runs, and the last lines say loudly what did not; with CI=true that is a failure.
 */
import { spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { endOf, inOneLine } from './child.js';
import { startKafka } from './kafka.js';
import { makeTemplate, startPostgres } from './postgres.js';

const folder = mkdtempSync(join(tmpdir(), 'redress-test-'));
chmodSync(folder, 0o755); // Root's PostgreSQL runs as another user.
const stops: (() => Promise<void>)[] = [];
process.on('SIGINT', () => undefined); // Ctrl-C reaches jest by itself; we end after it.

let exitCode = 1;
try {
  exitCode = await testAll();
} catch (error) {
  console.error(inOneLine(error));
}
await Promise.all(stops.map((stop) => stop()));
rmSync(folder, { recursive: true, force: true });
process.exit(exitCode); // Not by itself: when one part cannot start, the other may still be starting.

async function testAll(): Promise<number> {
  const [database, kafka] = await Promise.all([databaseServer(), kafkaBrokers()]);
  const result = join(folder, 'result.json');
  const jest = join('node_modules', 'jest', 'bin', 'jest.js');
  const flags = [
    '--experimental-vm-modules',
    '--disable-warning=ExperimentalWarning',
    jest,
    '--maxWorkers=2',
    '--json',
    `--outputFile=${result}`,
  ];
  const env = { ...process.env, TEST_DATABASE_URL: database, TEST_KAFKA_BROKERS: 'brokers' in kafka ? kafka.brokers : '' };
  const { code } = await endOf(
    spawn(process.execPath, [...flags, ...process.argv.slice(2)], { env, stdio: ['inherit', 'ignore', 'inherit'] }),
  );
  if (!existsSync(result)) return code ?? 1;

  const { suites, passed, failed } = summaryOf(result);
  if (suites.length > 0) console.error(`\nDID NOT RUN: ${suites.join(', ')}`);
  if ('missing' in kafka) console.error(`\nNOTHING THAT NEEDS KAFKA DID RUN: ${kafka.missing}`);
  const incomplete = 'missing' in kafka && process.env['CI'] === 'true';
  if (incomplete) console.error('With CI=true that is a failure.');
  console.log(`${passed} passed, ${failed + (incomplete ? 1 : 0)} failed`);
  return incomplete ? 1 : (code ?? 1);
}

async function databaseServer(): Promise<string> {
  const given = process.env['TEST_DATABASE_URL'];
  if (given !== undefined && given !== '') {
    await makeTemplate(given);
    return given;
  }
  const postgres = await startPostgres({ dir: join(folder, 'postgres'), throwaway: true });
  stops.push(() => postgres.stop());
  await makeTemplate(postgres.url);
  return postgres.url;
}

async function kafkaBrokers(): Promise<{ readonly brokers: string } | { readonly missing: string }> {
  const given = process.env['KAFKA_BROKERS'];
  if (given !== undefined && given !== '') return { brokers: given };
  const kafka = await startKafka({ dir: join(folder, 'kafka'), throwaway: true });
  if ('brokers' in kafka) stops.push(() => kafka.stop());
  return kafka;
}

type JestResult = {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly numRuntimeErrorTestSuites: number;
  readonly testResults: readonly { readonly name: string; readonly assertionResults: readonly { readonly status: string }[] }[];
};

function summaryOf(file: string): { suites: string[]; passed: number; failed: number } {
  const result = JSON.parse(readFileSync(file, 'utf8')) as JestResult;
  const skipped = result.testResults.filter(
    ({ assertionResults: tests }) => tests.length > 0 && tests.every(({ status }) => status === 'pending'),
  );
  return {
    suites: skipped.map(({ name }) => relative(process.cwd(), name)),
    passed: result.numPassedTests,
    failed: result.numFailedTests + result.numRuntimeErrorTestSuites,
  };
}
