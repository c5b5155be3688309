import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { NestFactory } from '@nestjs/core';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { readSettings } from '../../settings.js';
import { ApiModule } from '../src/api.module.js';
import { httpAdapter } from '../src/http.js';
import { openApiDocument } from '../src/openapi.js';
import { readVersion } from '../src/version.js';

/**
 * Writes docs/api/openapi.json from the controllers; with `--check` it writes nothing and fails when what is there differs. The application
 * is put together as a preview, which makes nothing of what it is made of, so no database is needed.
 * Run from the repository's root: `node dist/apps/api/scripts/generate.js [--check]`.
 */
const path = 'docs/api/openapi.json';

const settings = readSettings({ DATABASE_URL: 'postgres://nobody@localhost/nothing' });
const app = await NestFactory.create<NestFastifyApplication>(ApiModule.forRoot(settings), httpAdapter(), {
  preview: true,
  logger: false,
});
const text = `${JSON.stringify(openApiDocument(app, readVersion()), null, 2)}\n`;
const isSame = existsSync(path) && readFileSync(path, 'utf8') === text;

if (process.argv.includes('--check')) {
  if (!isSame) {
    console.error(`${path} is not what the code generates\nRun: node dist/apps/api/scripts/generate.js`);
    process.exitCode = 1;
  }
} else if (!isSame) {
  mkdirSync('docs/api', { recursive: true });
  writeFileSync(path, text);
  console.log(`wrote ${path}`);
}
