import pg from 'pg';
import { DataSource, DefaultNamingStrategy, QueryRunnerAlreadyReleasedError } from 'typeorm';
import { Conflict, Fenced, Unavailable } from '#application/errors';
import { rows } from '#persistence/rows';
import { longestSilenceMs, watchedSocket } from '#persistence/watched-socket';
import { TheBook1763800000000 } from '#persistence/migrations/0001-the-book';
import { FindingOut1763800000002 } from '#persistence/migrations/0002-finding-out';
import { Limits1763800000003 } from '#persistence/migrations/0003-limits';
import { Sending1763800000004 } from '#persistence/migrations/0004-sending';
import { ActionRequired1763800000006 } from '#persistence/migrations/0006-action-required';
import { OpenOperations1763800000007 } from '#persistence/migrations/0007-open-operations';
import { HaltedPartitions1763800000008 } from '#persistence/migrations/0008-halted-partitions';
import { Disputes1763800000009 } from '#persistence/migrations/0009-disputes';
import { DisputeIndexes1763800000010 } from '#persistence/migrations/0010-dispute-indexes';
import { KnownCharges1763800000011 } from '#persistence/migrations/0011-known-charges';
import { RunsOfTheLog1763800000012 } from '#persistence/migrations/0012-runs-of-the-log';

/**
 * Heard by somebody from its first moment on. Between the login and whoever asked for the connection nobody listens, neither the pool nor
 * TypeORM: an end that comes in the same packet would be nobody's, and would take the process with it. Whoever uses it next is told.
 */
class HeardClient extends pg.Client {
  constructor(config?: string | pg.ClientConfig) {
    super(config);
    this.on('error', () => undefined);
  }
}

class SnakeCase extends DefaultNamingStrategy {
  override columnName(property: string, given: string | undefined): string {
    return given ?? property.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
  }
}

export interface DatabaseSettings {
  readonly url: string;
  /** Connections of this process. */
  readonly connections: number;
  /** After how much silence a connection is given up; 0 for never. Default 35 s, longer than any statement of ours may take. */
  readonly silenceMs?: number;
}

/**
 * Connections, entities and migrations; nothing is ever synchronized. Queries are not logged, because TypeORM would log their parameters,
 * and with them what people wrote.
 */
export function dataSource({ url, connections, silenceMs = longestSilenceMs }: DatabaseSettings): DataSource {
  return new DataSource({
    type: 'postgres',
    url,
    entities: rows,
    migrations: [
      TheBook1763800000000,
      FindingOut1763800000002,
      Limits1763800000003,
      Sending1763800000004,
      ActionRequired1763800000006,
      OpenOperations1763800000007,
      HaltedPartitions1763800000008,
      Disputes1763800000009,
      DisputeIndexes1763800000010,
      KnownCharges1763800000011,
      RunsOfTheLog1763800000012,
    ],
    migrationsTransactionMode: 'each',
    migrationsTableName: 'migration',
    namingStrategy: new SnakeCase(),
    synchronize: false,
    logging: false,
    applicationName: 'redress',
    extra: {
      max: connections,
      Client: HeardClient,
      connectionTimeoutMillis: 5_000,
      stream: () => watchedSocket(silenceMs),
      // Session settings of every connection. Nothing of ours takes long, and whoever waits longer should hear of it. And every statement
      // goes by keys, in sets whose size the planner cannot know: it is to use the indexes from the first row on, and not to find later
      // that it settled on reading whole tables while they were small.
      options:
        `-c statement_timeout=${silenceMs === 0 ? 0 : 30_000} -c lock_timeout=10000 -c idle_in_transaction_session_timeout=30000 -c timezone=UTC ` +
        '-c plan_cache_mode=force_generic_plan -c jit=off -c enable_seqscan=off -c enable_hashjoin=off -c enable_mergejoin=off -c enable_material=off',
    },
  });
}

const inTheWay = new Set(['40001', '40P01', '23505']);
/**
 * Classes and codes that say nothing of what was to be stored: no connection, no login, no resources, a stand-by that only reads, a schema
 * of another version, time-outs (of a statement 57014, of a lock 55P03). Taken for a bad record, each would bury good ones.
 */
const away = /^(08|28|3D|42|53|57|58|XX|25006|25P03|55P03)/;
const network = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
]);

/** What an error of the database means to a use case: try the batch again, wait, or look at what was to be stored. */
export function meaningOf(error: unknown): unknown {
  if (error instanceof Conflict || error instanceof Fenced || error instanceof Unavailable) return error;
  // TypeORM lets go of a connection that is lost between two statements, and the next statement hears only of that.
  if (error instanceof QueryRunnerAlreadyReleasedError) {
    return new Unavailable('the connection to the database was lost in a transaction', { cause: error });
  }
  const { code, message } = coded(error);
  if (inTheWay.has(code)) return new Conflict(`another transaction was in the way (${code})`, { cause: error });
  if (
    away.test(code) ||
    network.has(code) ||
    (code === '' && /connection|timeout ex(ceeded|pired)|terminated|not queryable|end on the pool/i.test(message))
  ) {
    return new Unavailable(`the database cannot be used now (${code || message})`, { cause: error });
  }
  return error;
}

function coded(error: unknown): { code: string; message: string } {
  if (typeof error !== 'object' || error === null) return { code: '', message: String(error) };
  const { code, message } = error as { code?: unknown; message?: unknown };
  return { code: typeof code === 'string' ? code : '', message: typeof message === 'string' ? message : '' };
}
