/* For now one key opens everything. It is compared in constant time, and made by us where nobody gives one. */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Injectable, SetMetadata, type CanActivate, type ExecutionContext } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import { Refusal } from './problems.js';
import type { CallerRequest } from './requests.js';

const OPEN = Symbol('open');

/** Anybody may call this: it gives nothing away, or checks its callers in another way. */
export const Open = (): MethodDecorator & ClassDecorator => SetMetadata(OPEN, true);

/** The key as it is kept in memory: only its digest, which has the same length whatever a caller sends. */
export class AdminKey {
  readonly #digest: Buffer;

  constructor(key: string) {
    this.#digest = digestOf(key);
  }

  matches(given: string): boolean {
    return timingSafeEqual(digestOf(given), this.#digest);
  }
}

@Injectable()
export class AdminKeyGuard implements CanActivate {
  constructor(
    private readonly key: AdminKey,
    private readonly reflector: Reflector,
  ) {}

  canActivate(context: ExecutionContext): boolean {
    if (this.reflector.getAllAndOverride<boolean | undefined>(OPEN, [context.getHandler(), context.getClass()]) === true)
      return true;
    const request = context.switchToHttp().getRequest<CallerRequest>();
    const given = /^Bearer +(\S+)$/i.exec(request.headers.authorization ?? '')?.[1];
    if (given === undefined || !this.key.matches(given)) throw new Refusal('unauthorized');
    request.caller = 'admin';
    return true;
  }
}

/** The key kept in `dir`, made when there is none. Processes that start at the same time come to the same key: the first file stays. */
export function keptAdminKey(dir: string): string {
  const file = join(dir, 'admin-key');
  mkdirSync(dir, { recursive: true });
  const mine = `${file}.${randomBytes(6).toString('hex')}`;
  writeFileSync(mine, `${randomBytes(32).toString('base64url')}\n`, { mode: 0o600, flag: 'wx' });
  try {
    linkSync(mine, file);
  } catch (error) {
    if ((error as { code?: unknown }).code !== 'EEXIST') throw error;
  } finally {
    rmSync(mine);
  }
  const key = readFileSync(file, 'utf8').trim();
  if (key === '') throw new Error(`${file} is empty: delete it, or set ADMIN_KEY`);
  return key;
}

function digestOf(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
