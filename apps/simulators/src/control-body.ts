/** A tester's mistake, told as plainly as possible. */
export class BadControl extends Error {
  constructor(
    message: string,
    readonly status = 400,
  ) {
    super(message);
  }
}

/** A control call's body, read field by field; what nobody read is a mistake. */
export class Body {
  private readonly fields: Record<string, unknown>;
  private readonly read = new Set<string>();

  constructor(text: string) {
    let parsed: unknown;
    try {
      parsed = JSON.parse(text === '' ? '{}' : text);
    } catch {
      throw new BadControl('The body is not JSON');
    }
    if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed))
      throw new BadControl('The body is not a JSON object');
    this.fields = parsed as Record<string, unknown>;
  }

  text(name: string): string {
    return this.needed(name, this.optionalText(name));
  }

  optionalText(name: string): string | undefined {
    const value = this.take(name);
    if (value !== undefined && (typeof value !== 'string' || value === '')) throw new BadControl(`${name}: a text is expected`);
    return value;
  }

  integer(name: string, min: number, max?: number): number {
    return this.needed(name, this.optionalInteger(name, min, max));
  }

  optionalInteger(name: string, min: number, max: number = Number.MAX_SAFE_INTEGER): number | undefined {
    const value = this.take(name);
    if (value === undefined) return undefined;
    if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < min || value > max)
      throw new BadControl(`${name}: an integer from ${min} to ${max} is expected`);
    return value;
  }

  /** An integer, or null where null says something else than nothing said. */
  optionalIntegerOrNull(name: string, min: number, max?: number): number | null | undefined {
    const value = this.optionalInteger(name, min, max);
    return value === undefined && this.fields[name] === null ? null : value;
  }

  optionalFlag(name: string): boolean | undefined {
    const value = this.take(name);
    if (value !== undefined && typeof value !== 'boolean') throw new BadControl(`${name}: true or false is expected`);
    return value;
  }

  oneOf<Word extends string>(name: string, words: readonly Word[]): Word {
    return this.needed(name, this.optionalOneOf(name, words));
  }

  optionalOneOf<Word extends string>(name: string, words: readonly Word[]): Word | undefined {
    const value = this.take(name);
    if (value === undefined) return undefined;
    const word = words.find((candidate) => candidate === value);
    if (word === undefined) throw new BadControl(`${name}: one of ${words.join(', ')} is expected`);
    return word;
  }

  currency(name: string): string {
    return this.needed(name, this.optionalCurrency(name));
  }

  optionalCurrency(name: string): string | undefined {
    const value = this.optionalText(name)?.toUpperCase();
    if (value === undefined) return undefined;
    if (!/^[A-Z]{3}$/.test(value)) throw new BadControl(`${name}: a currency code of three letters is expected`);
    return value;
  }

  nothingElse(): void {
    const unread = Object.keys(this.fields).filter((name) => !this.read.has(name));
    if (unread.length > 0) throw new BadControl(`${unread.join(', ')}: not known here`);
  }

  private take(name: string): unknown {
    this.read.add(name);
    return this.fields[name] ?? undefined;
  }

  private needed<Value>(name: string, value: Value | undefined): Value {
    if (value === undefined) throw new BadControl(`${name} is missing`);
    return value;
  }
}
