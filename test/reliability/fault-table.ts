/*
 * The faults that Redress must survive, and what shows that it does: tests and steps of the chaos rig carry the numbers at the end of their
 * names, as in "(F9, F23)". A fault without one fails whoever makes the table.
 */
import { globSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';

interface Fault {
  readonly what: string;
  readonly holds: string;
  /** Why nothing shows it yet. */
  readonly waitsFor?: string;
}

const oneEffect = 'one movement of money per command';
const noLoss = 'every command has its outcome';

export const faults: Readonly<Record<string, Fault>> = {
  F1: { what: 'the worker is killed before commands are committed', holds: `${noLoss}: they come again` },
  F2: { what: 'it is killed after the commit, before Kafka is told', holds: 'what comes again changes nothing' },
  F3: { what: 'the connection breaks during a commit that was carried out', holds: `${noLoss}, and nothing is set aside` },
  F4: { what: 'the same command comes several times at once, on several partitions', holds: oneEffect },
  F5: { what: 'the same key comes with another body', holds: 'refused, and kept as that' },
  F6: { what: 'partial refunds race for the last cents', holds: 'never more than is available' },
  F7: { what: 'records that nobody can read, among good ones', holds: 'they stand in the dead letters, the good ones go on' },
  F8: { what: 'a bug in the handling of a record', holds: 'the record is set aside; many in a row halt the partition, loudly' },
  F9: { what: 'a consumer freezes past its session and wakes up', holds: 'it stores nothing any more' },
  F10: { what: 'partitions move between consumers in mid-batch', holds: `${noLoss}, ${oneEffect}` },
  F11: {
    what: "the group's offsets are lost, or out of range",
    holds: 'the database knows where to go on, or the partition halts',
  },
  F12: { what: 'a broker dies while events are sent', holds: 'every event reaches Kafka' },
  F13: { what: 'the brokers refuse a producer', holds: 'a new one goes on from the cursor' },
  F14: { what: 'Kafka is away', holds: 'HTTP and webhooks go on; the log keeps the events' },
  F15: { what: 'partitions are added', holds: 'they are read; order per payment holds' },
  F16: { what: 'the relay dies between sending and its cursor', holds: 'repeats, and nothing else' },
  F17: { what: 'two relays take themselves for the one', holds: 'the older one is shut out; order holds' },
  F18: { what: 'a transaction commits late, with a lower number', holds: 'it is published' },
  F19: { what: 'a call times out after the refund was made', holds: oneEffect },
  F20: { what: 'the provider saves an error under the key', holds: oneEffect },
  F21: {
    what: 'a provider is out of reach until its keys are forgotten',
    holds: `${oneEffect}: found in its list, or a person is asked`,
  },
  F22: { what: 'the worker dies between the answer and its report', holds: 'another one takes over' },
  F23: { what: 'a worker freezes past its lease and comes back with an answer', holds: 'the answer is used, and steers nothing' },
  F24: { what: 'limits, dripping and broken answers', holds: 'all of it ends, once' },
  F25: { what: 'a success fails weeks later', holds: 'reversed, with its room free again' },
  F26: { what: 'a webhook is faster than our own answer', holds: 'the end is the same' },
  F27: { what: 'webhooks doubled, reordered, replayed, forged, altered', holds: 'repeats change nothing, forgeries are refused' },
  F28: { what: 'refunds from the dashboard of the provider', holds: 'they are seen, and count' },
  F29: { what: 'a dispute while a refund is under way', holds: 'the payment is overdrawn, and that is told' },
  F30: {
    what: 'PostgreSQL restarts, or a standby takes over without the last of it',
    holds: 'nothing is sent before the books were compared',
  },
  F31: { what: 'locks, deadlocks, a full disk, no connections', holds: 'the batch is tried again; nothing is set aside' },
  F32: { what: 'clocks jump, and differ between machines', holds: "leases go by the database's clock" },
  F33: { what: 'SIGTERM in the midst of everything', holds: 'what is in hand is finished, or comes again' },
  F34: {
    what: 'old and new versions side by side while a migration runs',
    holds: 'nothing is lost',
    waitsFor: 'rolling migrations, which are not promised yet',
  },
  F35: { what: 'one caller floods', holds: 'others are served', waitsFor: 'limits per caller, which there are none of yet' },
  F36: { what: 'an old and a new webhook secret are both in use', holds: 'no genuine delivery is refused' },
  F37: {
    what: 'somebody alters the audit trail',
    holds: 'it shows',
    waitsFor: 'the chain of hashes over the log, which there is none of yet',
  },
};

interface Shown {
  readonly file: string;
  readonly name: string;
}

/** What the names of tests say they show, by fault. */
function shownBy(): Map<string, Shown[]> {
  const shown = new Map<string, Shown[]>();
  const named = /(['"`])((?:(?!\1).)+?) \((F\d+(?:, F\d+)*)\)\1/g;
  for (const file of globSync(['{apps,libs,test}/**/*.{spec,contract}.ts', 'test/chaos/nemesis.ts']).toSorted()) {
    for (const [, , name = '', numbers = ''] of readFileSync(file, 'utf8').matchAll(named)) {
      for (const number of numbers.split(', ')) shown.set(number, [...(shown.get(number) ?? []), { file, name }]);
    }
  }
  return shown;
}

/** The table as it stands in docs/reliability.md. */
export function faultTable(): string {
  const shown = shownBy();
  const unheardOf = [...shown.keys()].filter((number) => faults[number] === undefined);
  const bare = Object.entries(faults).filter(([number, { waitsFor }]) => waitsFor === undefined && !shown.has(number));
  if (unheardOf.length > 0) throw new Error(`tests name faults that there are none of: ${unheardOf.join(', ')}`);
  if (bare.length > 0) throw new Error(`no test names ${bare.map(([number, { what }]) => `${number} (${what})`).join(', ')}`);
  const rows = Object.entries(faults).map(([number, { what, holds, waitsFor }]) => {
    const by = (shown.get(number) ?? []).map(({ file, name }) => `${name} (\`${basename(file)}\`)`);
    return [number, what, holds, waitsFor === undefined ? by.join('; ') : `waits for ${waitsFor}`];
  });
  return table(['', 'fault', 'holds', 'shown by'], rows);
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

/** A document with what stands between its marks put anew. */
export function between(document: string, mark: string, text: string): string {
  const [open, close] = [`<!-- ${mark} -->`, `<!-- /${mark} -->`];
  const [from, to] = [document.indexOf(open), document.indexOf(close)];
  if (from < 0 || to < from) throw new Error(`the marks ${open} and ${close} are not there`);
  return `${document.slice(0, from + open.length)}\n\n${text}\n\n${document.slice(to)}`;
}
