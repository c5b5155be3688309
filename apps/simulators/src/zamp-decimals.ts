/** Zamp's currencies, all with two decimals. docs.roma.global/payments/initiate */
export const ZAMP_CURRENCIES = ['AED', 'USD', 'SAR'];

/** JSON as Node reads and writes it, with the parts for exact numbers that TypeScript's library does not know yet. */
const exact = JSON as unknown as {
  parse(text: string, reviver: (name: string, value: unknown, context: { source?: string }) => unknown): unknown;
  rawJSON(text: string): object;
};

/** A JSON number kept as it was written. */
export class WrittenNumber {
  constructor(readonly text: string) {}
}

/** Reads JSON without turning its numbers into floats. */
export function parseExactly(text: string): unknown {
  return exact.parse(text, (_, value, { source }) =>
    typeof value === 'number' ? new WrittenNumber(source ?? String(value)) : value,
  );
}

/** Minor units as a JSON number in major units: 1999 is written `19.99`, 1000 is `10`. */
export function toMajor(minor: number): object {
  const digits = String(minor).padStart(3, '0');
  const decimals = digits.slice(-2).replace(/0+$/, '');
  return exact.rawJSON(digits.slice(0, -2) + (decimals === '' ? '' : `.${decimals}`));
}

/** A decimal as written in major units, in minor units; null if it is not a positive amount of whole minor units. */
export function toMinor(text: string): number | null {
  const [, whole = '', decimals = ''] = /^(\d+)(?:\.(\d+?)0*)?$/.exec(text) ?? [];
  if (whole === '' || decimals.length > 2) return decimals === '0' ? toMinor(whole) : null;
  const minor = Number(whole + decimals.padEnd(2, '0'));
  return minor > 0 && Number.isSafeInteger(minor) ? minor : null;
}
