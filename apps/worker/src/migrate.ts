import { migrate } from '#persistence/migrate';

const url = process.env['DATABASE_URL'];
if (url === undefined || !/^postgres(ql)?:\/\/[^/]/.test(url)) {
  console.error(
    'DATABASE_URL is missing or wrong: it should be the address of the PostgreSQL database, postgres://user:password@host:5432/name',
  );
  process.exit(1);
}
try {
  await migrate(url, (line) => console.log(line));
} catch (error) {
  console.error(
    `the migration failed, and what it had begun was rolled back: ${Error.isError(error) ? error.message : String(error)}`,
  );
  process.exit(1);
}
