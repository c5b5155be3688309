import { randomFillSync } from 'node:crypto';

const LETTERS = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const pool = Buffer.alloc(8192);
let used = pool.length;

/** `length` letters and digits that were never handed out before. Pooled, since asking for random bytes is a system call. */
export function randomLetters(length: number): string {
  let letters = '';
  while (letters.length < length) {
    if (used === pool.length) {
      randomFillSync(pool);
      used = 0;
    }
    letters += LETTERS.charAt((pool[used++] ?? 0) % LETTERS.length);
  }
  return letters;
}
