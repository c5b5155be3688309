import { existsSync, globSync, rmSync } from 'node:fs';
import { join } from 'node:path';

/*
 * Part of `npm run build`. tsc leaves what it once wrote when the source has gone, and a deleted spec in dist would still run.
 */
const dist = join(import.meta.dirname, '..');
for (const written of globSync('{apps,libs,scripts,test}/**/*.js', { cwd: dist })) {
  const base = written.slice(0, -'.js'.length);
  if (existsSync(join(dist, '..', `${base}.ts`))) continue;
  for (const kind of ['.js', '.js.map', '.d.ts']) rmSync(join(dist, `${base}${kind}`), { force: true });
}
