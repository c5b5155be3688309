interface Open {
  /** The names so far; null in a list. */
  readonly names: Set<string> | null;
  /** Where we are in it: the name last seen, or how many entries came before. */
  at: string | number;
}

/**
 * The paths at which a name stands a second time in the same object of JSON text. JSON.parse would take the last one without a word, others
 * take the first: one text, two amounts. The text must be JSON, that is, JSON.parse must have taken it.
 */
export function repeatedNames(text: string): string[][] {
  const found: string[][] = [];
  const open: Open[] = [];
  for (let at = 0; at < text.length; at += 1) {
    const inner = open.at(-1);
    switch (text.charAt(at)) {
      case '{':
        open.push({ names: new Set(), at: '' });
        break;
      case '[':
        open.push({ names: null, at: 0 });
        break;
      case '}':
      case ']':
        open.pop();
        break;
      case ',':
        if (typeof inner?.at === 'number') inner.at += 1;
        break;
      case '"': {
        const end = endOfString(text, at);
        if (inner?.names != null && isName(text, end)) {
          const name = JSON.parse(text.slice(at, end)) as string;
          inner.at = name;
          if (inner.names.has(name)) found.push(open.map((each) => String(each.at)));
          inner.names.add(name);
        }
        at = end - 1;
        break;
      }
    }
  }
  return found;
}

/** Behind the closing quote; one with an odd number of backslashes before it does not close. */
function endOfString(text: string, start: number): number {
  for (let end = text.indexOf('"', start + 1); ; end = text.indexOf('"', end + 1)) {
    let first = end;
    while (text[first - 1] === '\\') first -= 1;
    if ((end - first) % 2 === 0) return end + 1;
  }
}

/** In JSON a string before a colon is a name, and nothing else is. */
function isName(text: string, end: number): boolean {
  let next = end;
  while (' \t\n\r'.includes(text[next] ?? '-')) next += 1;
  return text[next] === ':';
}
