/*
 * Three processes of each, and where one can see in its tables who holds what: every row has a token that changes when somebody
 * else takes it.
 */
import pg from 'pg';
import type { Child } from '../../../scripts/child.js';
import { approve, faultsOfBooks, outcomes, sentRefunds } from '../operations/approved.js';
import { faultsOfPeer, makeJobs, makeTables, peerOutcomes, peerRefunds } from '../operations/job.js';
import type { Provider } from '../operations/provider.js';
import { bossQueue, graphileQueue, type Queue } from '../operations/queues.js';
import type { RoundDatabase, Stage } from '../stage.js';

/** Something that is held or was. */
export interface Held {
  readonly id: string;
  /** Another one once somebody else has taken it. */
  readonly token: string;
  /** When work on it began last. */
  readonly takenAt: Date;
  readonly isOver: boolean;
}

export interface Contender {
  start(replica: string): Child;
  /** Puts in more refunds to send. */
  add(count: number): Promise<void>;
  outcomes(): Promise<number>;
  refunds(): Promise<Set<string>>;
  /** All that anybody holds now. */
  held(): Promise<Held[]>;
  /** The same later; what is not there any more is over. */
  look(ids: readonly string[]): Promise<Held[]>;
  faults(): Promise<string[]>;
  close(): Promise<void>;
}

export type Make = (stage: Stage, provider: Provider, database: RoundDatabase) => Promise<Contender>;

/** By this name its connections are told from the others'. */
const named = (url: string, replica: string) => `${url}?application_name=${replica}`;

const ring = `select pg_notify('redress_work', 'benchmark operations')`;

export const ours: Make = async (stage, provider, { client, url }) => {
  let portion = 0;
  const feeding = await connected(url);
  const columns = `id::text, fence::text as token, coalesce(last_sent_at, created_at) as "takenAt", state <> 'open' as "isOver"`;
  return {
    start: (replica) =>
      stage.process(replica, 'apps/worker/src/main.js', {
        DATABASE_URL: named(url, replica),
        KAFKA_BROKERS: stage.brokers,
        STRIPE_API_KEY: 'sk_test_benchmark',
        STRIPE_WEBHOOK_SECRET: 'whsec_benchmark',
        STRIPE_API_BASE: provider.url,
        STRIPE_CALLS_PER_SECOND: '100000',
        STRIPE_CALLS_PER_SECOND_AND_ENDPOINT: '100000',
      }),
    async add(count) {
      await approve(feeding, { prefix: `portion${(portion += 1)}x`, count });
      await feeding.query(ring); // As whoever takes commands in does after the commit.
    },
    outcomes: () => outcomes(client),
    refunds: () => sentRefunds(client),
    held: () =>
      rowsOf(
        client,
        `select ${columns} from provider_operation where kind = 'refund.send' and state = 'open' and lease_until > service_now()`,
      ),
    look: (ids) => rowsOf(client, `select ${columns} from provider_operation where id = any($1::uuid[])`, [ids]),
    faults: () => faultsOfBooks(client),
    close: () => feeding.end(),
  };
};

/** Without its batching it holds no more than it works on. */
export const graphile: Make = async (stage, provider, database) => {
  const columns = `id::text, locked_at || ' ' || locked_by as token, locked_at as "takenAt", false as "isOver"`;
  const jobs = 'graphile_worker._private_jobs';
  return {
    ...(await peer(stage, provider, database, 'graphile', await graphileQueue(database.url), {})),
    held: () => rowsOf(database.client, `select ${columns} from ${jobs} where locked_at is not null`),
    look: (ids) =>
      rowsOf(database.client, `select ${columns} from ${jobs} where id = any($1::bigint[]) and locked_at is not null`, [ids]),
  };
};

/** Heartbeats of ten seconds are the shortest that it takes. */
export const pgBoss: Make = async (stage, provider, database) => {
  const began = `coalesce(started_on, 'epoch')`;
  const columns = `id::text, ${began}::text as token, ${began} as "takenAt", state = 'completed' as "isOver"`;
  const queue = await bossQueue(database.url, { heartbeatSeconds: 10 });
  return {
    ...(await peer(stage, provider, database, 'pg-boss', queue, { WATCHFUL: 'true' })),
    held: () => rowsOf(database.client, `select ${columns} from pgboss.job where state = 'active'`),
    look: (ids) => rowsOf(database.client, `select ${columns} from pgboss.job where id = any($1::uuid[])`, [ids]),
  };
};

async function peer(
  stage: Stage,
  provider: Provider,
  { client, url }: RoundDatabase,
  script: string,
  queue: Queue,
  env: Readonly<Record<string, string>>,
): Promise<Omit<Contender, 'held' | 'look'>> {
  let portion = 0;
  const feeding = await connected(url);
  await makeTables(client);
  return {
    start: (replica) =>
      stage.process(replica, `test/benchmarks/operations/${script}.js`, {
        DATABASE_URL: named(url, replica),
        PROVIDER_URL: provider.url,
        ...env,
      }),
    add: async (count) => queue.add(await makeJobs(feeding, `portion${(portion += 1)}x`, count)),
    outcomes: () => peerOutcomes(client),
    refunds: () => peerRefunds(client),
    faults: () => faultsOfPeer(client),
    async close() {
      await queue.close();
      await feeding.end();
    },
  };
}

/** A connection beside the one for looking. */
async function connected(url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url, application_name: 'feeding' });
  client.on('error', () => undefined); // The next query says so too.
  await client.connect();
  return client;
}

async function rowsOf(client: pg.Client, statement: string, values: readonly unknown[] = []): Promise<Held[]> {
  return (await client.query<Held>(statement, [...values])).rows;
}
