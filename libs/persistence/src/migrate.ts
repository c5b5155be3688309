import pg from 'pg';
import { dataSource } from '#persistence/database';

const lockKey = 7_291_640_312;

/**
 * Brings the database to this version. Several replicas may call it at once: one migrates, the others wait for it.
 * They wait by asking again, never in `pg_advisory_lock`: a waiting statement holds a snapshot, and `create index concurrently` would wait
 * for that for ever. The lock goes with its connection, so a killed migration frees it.
 */
export async function migrate(url: string, tell: (line: string) => void): Promise<void> {
  const gate = new pg.Client({ connectionString: url, application_name: 'redress migration' });
  await gate.connect();
  try {
    let waited = false;
    for (;;) {
      const { rows } = await gate.query<{ locked: boolean }>('select pg_try_advisory_lock($1) as locked', [lockKey]);
      if (rows[0]?.locked === true) break;
      if (!waited) tell('another replica is migrating; waiting for it');
      waited = true;
      await new Promise((wake) => setTimeout(wake, 200));
    }
    // A migration may take as long as it takes.
    const source = dataSource({ url, connections: 1, silenceMs: 0 });
    await source.initialize();
    try {
      const done = await source.runMigrations();
      tell(done.length === 0 ? 'the database is up to date' : `migrated: ${done.map((migration) => migration.name).join(', ')}`);
    } finally {
      await source.destroy();
    }
  } finally {
    await gate.end();
  }
}
