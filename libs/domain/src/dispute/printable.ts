/* Which text can be read by a person at a bank, who sees it printed or on a screen that we do not know. */

/** Controls but for line breaks and tabs, halves of characters, and code points that never are one: no bank's form has them. */
export const unprintable = /(?![\t\n\r])[\p{Cc}\p{Cs}\p{Noncharacter_Code_Point}]/u;

/** Characters that take no room or turn the direction of reading, but for those that join letters; and private ones that only one font has. */
export const invisible = /(?![\u200c\u200d])[\p{Cf}\p{Co}\p{Zl}\p{Zp}]/u;

/** Nothing that could be read. */
export const isBlank = (text: string | undefined): boolean => text === undefined || !/[^\s\p{C}]/u.test(text);

/** The text without what cannot be printed, on one line, and cut to a length. */
export function oneLine(text: string, most: number): string {
  const plain = text
    .replaceAll(/[\p{C}\p{Z}]+/gu, ' ')
    .trim()
    .slice(0, most);
  // A cut may go through a character.
  return plain.replace(/[\ud800-\udbff]$/u, '');
}
