/*
 * Hot: all commands are about one payment, each for a part of it, and more of them come than it has room for.
 *
 * Ours and the plain peer are those of intake, with one partition's commands, for a payment's commands are in one. (Spread over all of them
 * the peer is no faster: it waits for the row in place of its turn.) The floor changes that payment's row and nothing else, by a conditional
 * update per command. Every refund is for the same amount, so that how many must be refused does not depend on whose turn comes first.
 */
import pg from 'pg';
import { topics } from '#contracts/topics';
import { type Command, expectedOf, fill, paymentName, seedPayments } from './commands.js';
import { cpuMsOfAll, isCounted } from './cpu.js';
import { atLeast, figure, type Result } from './figures.js';
import { type Measured, naiveRound, naiveTopic, oursRound } from './intake.js';
import type { RoundDatabase, Stage } from './stage.js';

const amount = 100;
const admittedShare = 0.9;
/** One commits while the other waits for the row. More of them only wait for one another, and are slower. */
const connections = 2;
/** The peer takes a part of the commands: its rate is what counts, and it has little to gain from more of them. */
const naiveShare = 16;

export interface HotSettings {
  readonly pairs: number;
  /** Of one round of ours, and of the floor's. */
  readonly commands: number;
}

export async function hot(stage: Stage, { pairs, commands: count }: HotSettings): Promise<Result> {
  const commands = commandsOn(paymentName(0), count);
  const fewer = commands.slice(0, Math.ceil(count / naiveShare));
  const kafka = stage.kafka();
  await fill(kafka, topics.refundCommands, commands);
  await fill(kafka, naiveTopic, fewer);

  const rounds = { ours: [] as Measured[], naive: [] as Measured[], floor: [] as Measured[] };
  type Name = keyof typeof rounds;
  const names = Object.keys(rounds) as Name[];
  for (let pair = 1; pair <= pairs; pair += 1) {
    const measure: Record<Name, (database: RoundDatabase) => Promise<Measured>> = {
      ours: (database) => oursRound(stage, database, commands, expectedOf(commands, roomFor(commands))),
      naive: (database) => naiveRound(stage, kafka, database, fewer, `naive-${pair}`, expectedOf(fewer, roomFor(fewer))),
      floor: (database) => floorRound(stage, database, commands),
    };
    // In turn first, so that whatever the machine does slowly harms all alike.
    for (const name of pair % 2 === 0 ? names.toReversed() : names) {
      const database = await stage.database();
      await seedPayments(database.client, 1, roomFor(name === 'naive' ? fewer : commands));
      const measured = await measure[name](database);
      await database.drop();
      rounds[name].push(measured);
      console.error(`hot, pair ${pair} of ${pairs}: ${name} ${measured.rate.toFixed(0)} commands/s`);
    }
  }

  const rates = (name: Name) => rounds[name].map(({ rate }) => rate);
  const figures = { ours: figure(rates('ours')), naive: figure(rates('naive')), floor: figure(rates('floor')) };
  const ratio = (peer: 'naive' | 'floor') => figures.ours.median / figures[peer].median;
  const paired = (peer: 'naive' | 'floor') => figure(rates('ours').map((rate, pair) => rate / (rates(peer)[pair] ?? Number.NaN)));
  const cpu = (name: Name) => `${name} ${figure(rounds[name].map(({ cpuMs }) => cpuMs)).median.toFixed(2)} ms`;
  return {
    name: 'hot',
    unit: 'commands per second on one payment',
    figures,
    ratios: { naive: ratio('naive'), floor: ratio('floor') },
    pairedRatios: { naive: paired('naive'), floor: paired('floor') },
    targets: [atLeast(ratio('floor'), 1, 'ours / floor')],
    notes: [
      `${commands.length} commands a round, of which ${commands.length - admittedOf(commands)} find no room and are refused; the peer took ${fewer.length}`,
      'after each round the ledger was checked: refused were exactly those who must be, and with the floor exactly as many',
      'ours and the peer store a refund, its events, and a send or a refusal for each command; the floor changes one number',
      'Kafka, PostgreSQL and the measuring process share the machine',
      ...(isCounted ? [`CPU of a core per command, process and database server: ${names.map(cpu).join(', ')}`] : []),
    ],
  };
}

const commandsOn = (paymentId: string, count: number): Command[] =>
  Array.from({ length: count }, (_, at) => ({ id: `command-${at}`, paymentId, amount, currency: 'USD' }));
const admittedOf = (commands: readonly Command[]) => Math.floor(commands.length * admittedShare);
const roomFor = (commands: readonly Command[]) => amount * admittedOf(commands);

const take = {
  name: 'take',
  text: `update payment set reserved = reserved + $1
    where key = $2 and captured - reserved - refunded - disputed - lost >= $1`,
};

async function floorRound(stage: Stage, { client, url }: RoundDatabase, commands: readonly Command[]): Promise<Measured> {
  const { rows } = await client.query<{ key: string }>('select key from payment');
  const key = rows[0]?.key;
  const clients = Array.from({ length: connections }, () => new pg.Client({ connectionString: url }));
  for (const each of clients) each.on('error', () => undefined); // The query says so too.
  await Promise.all(clients.map((each) => each.connect()));
  const used = () => {
    const { user, system } = process.cpuUsage();
    return isCounted ? (user + system) / 1000 + cpuMsOfAll(stage.server) : Number.NaN;
  };
  const left = commands.values();
  let admitted = 0;
  const takeAll = async (each: pg.Client) => {
    for (const { amount: wanted } of left) {
      const { rowCount } = await each.query({ ...take, values: [wanted, key] });
      admitted += rowCount ?? 0;
    }
  };
  const usedBefore = used();
  const begun = performance.now();
  await Promise.all(clients.map(takeAll));
  const seconds = (performance.now() - begun) / 1000;
  const cpuMs = (used() - usedBefore) / commands.length;
  await Promise.all(clients.map((each) => each.end()));

  const stored = await client.query<{ reserved: string }>('select reserved from payment');
  if (admitted !== admittedOf(commands) || Number(stored.rows[0]?.reserved) !== roomFor(commands))
    throw new Error(`the floor admitted ${admitted} of ${commands.length} commands and reserved ${stored.rows[0]?.reserved}`);
  return { rate: commands.length / seconds, cpuMs };
}
