import { readFileSync } from 'node:fs';

export const VERSION = Symbol('version');

/** The version in package.json, from which every process is started. */
export function readVersion(): string {
  return (JSON.parse(readFileSync('package.json', 'utf8')) as { version: string }).version;
}
