/*
 * Relay: events per second from a log that nobody has sealed yet to records on Kafka that readers of committed ones see.
 *
 * Ours is the worker as it ships, with nothing else to do. The floor is the slower of its two ends: the same pages read by bare pg, and the same
 * bytes produced by Kafka's own performance tool.
 *
 * The clock runs from the first page that is seen on Kafka, which is not counted, to the last.
 */
import { spawnSync } from 'node:child_process';
import type { Kafka } from 'kafkajs';
import pg from 'pg';
import { Obstacle } from '../../scripts/child.js';
import { sourceOfKafka } from '../../scripts/kafka.js';
import { pageOfTopic, seal, takeSeal } from '#persistence/statements';
import { cpuMsOf, isCounted } from './cpu.js';
import { atLeast, figure, type Result } from './figures.js';
import { endsOf, faultsOnTopic, fillLog, partitions, perPayment, topic } from './relay/events.js';
import type { RoundDatabase, Stage } from './stage.js';

const pageSize = 1_000;
/** A record with key and headers, as `eventRecord` makes them. */
const recordBytes = 1_050;
const floorTopic = 'floor.events.v1';

export interface RelaySettings {
  readonly pairs: number;
  readonly events: number;
}

export async function relay(stage: Stage, { pairs, events }: RelaySettings): Promise<Result> {
  if (events % perPayment !== 0) throw new Obstacle(`relay takes events by the ${perPayment}`);
  const kafka = stage.kafka();
  const rates = { ours: [] as number[], reading: [] as number[], producing: [] as number[] };
  const cpu: number[] = [];
  const rounds = {
    ours: async (database: RoundDatabase) => {
      const { rate, cpuMs } = await ours(stage, kafka, database, events);
      cpu.push(cpuMs);
      return rate;
    },
    reading: (database: RoundDatabase) => reading(database, events),
    producing: () => producing(stage, events),
  };
  const names = Object.keys(rates) as (keyof typeof rates)[];
  for (let pair = 1; pair <= pairs; pair += 1) {
    for (const name of pair % 2 === 0 ? names.toReversed() : names) {
      const database = await stage.database();
      if (name !== 'producing') await fillLog(database.client, events);
      const rate = await rounds[name](database);
      await database.drop();
      rates[name].push(rate);
      console.error(`relay, pair ${pair} of ${pairs}: ${name} ${rate.toFixed(0)} events/s`);
    }
  }
  const floors = rates.reading.map((read, pair) => Math.min(read, rates.producing[pair] ?? Number.NaN));
  const figures = {
    ours: figure(rates.ours),
    floor: figure(floors),
    reading: figure(rates.reading),
    producing: figure(rates.producing),
  };
  const ratio = figures.ours.median / figures.floor.median;
  return {
    name: 'relay',
    unit: 'events per second, from unsealed to committed on Kafka',
    figures,
    ratios: { floor: ratio },
    pairedRatios: { floor: figure(rates.ours.map((rate, pair) => rate / (floors[pair] ?? Number.NaN))) },
    targets: [atLeast(ratio, 0.7, 'ours / floor')],
    notes: [
      `${events} events of about ${recordBytes} bytes with key and headers, of ${events / perPayment} payments, to ${partitions} partitions`,
      'after each round of ours the topic was read by who sees committed records only: each event was there once, each payment’s in order',
      'floor: the slower of reading (the same pages by bare pg, sealed meanwhile) and producing (Kafka’s own performance tool, acks from all)',
      ...(isCounted
        ? [`of a core, the worker took ${figure(cpu).median.toFixed(3)} ms for an event, database and Kafka not counted`]
        : []),
    ],
  };
}

async function ours(
  stage: Stage,
  kafka: Kafka,
  database: RoundDatabase,
  events: number,
): Promise<{ rate: number; cpuMs: number }> {
  const from = await endsOf(kafka);
  const worker = stage.process('ours', 'apps/worker/src/main.js', {
    DATABASE_URL: database.url,
    KAFKA_BROKERS: stage.brokers,
    STRIPE_API_KEY: 'sk_test_benchmark',
    STRIPE_WEBHOOK_SECRET: 'whsec_benchmark',
    STRIPE_API_BASE: 'http://127.0.0.1:9',
  });
  try {
    let begun = 0;
    let [start, end, usedBefore] = [0, 0, 0];
    await stage.until(
      'all events are on Kafka',
      'ours',
      async () => {
        const { rows } = await database.client.query<{ position: string }>(
          'select position from topic_cursor where topic = $1 and position > 0',
          [topic],
        );
        const now = Number(rows[0]?.position ?? 0);
        end = performance.now();
        if (begun === 0 && now > 0) [begun, start, usedBefore] = [now, end, isCounted ? cpuMsOf(worker.pid) : 0];
        return now >= events;
      },
      600_000,
      10,
    );
    const cpuMs = isCounted ? (cpuMsOf(worker.pid) - usedBefore) / (events - begun) : Number.NaN;
    const faults = await faultsOnTopic(kafka, from, events);
    if (faults.length > 0) throw new Error(`the relay left ${faults.length} faults: ${faults.slice(0, 5).join('; ')}`);
    return { rate: (1_000 * (events - begun)) / (end - start), cpuMs };
  } finally {
    await worker.stop(30_000);
  }
}

/** Seals as the product does, and reads the pages as they become there; nothing is done with them. */
async function reading(database: RoundDatabase, events: number): Promise<number> {
  const [sealer, reader] = [new pg.Client({ connectionString: database.url }), new pg.Client({ connectionString: database.url })];
  await Promise.all([sealer.connect(), reader.connect()]);
  const statement = pageOfTopic(
    'event.id, event.type, event.account, event.key, event.subject, event.sequence, event.time, event.correlation_id, event.causation_id, event.traceparent, event.data',
  );
  const started = performance.now();
  const sealing = (async () => {
    for (let sealed = 0; sealed < events;) {
      await sealer.query('begin');
      const { rows } = await sealer.query<{ settled: string }>(takeSeal);
      const done = await sealer.query<{ entries: string }>({ name: 'seal', text: seal, values: [pageSize, rows[0]?.settled] });
      await sealer.query('commit');
      sealed += Number(done.rows[0]?.entries ?? 0);
    }
  })();
  let position = '0';
  for (let read = 0; read < events;) {
    const { rows } = await reader.query<{ position: string }>({
      name: 'page',
      text: statement,
      values: [topic, position, pageSize],
    });
    read += rows.length;
    position = rows.at(-1)?.position ?? position;
  }
  const seconds = (performance.now() - started) / 1_000;
  await sealing;
  await Promise.all([sealer.end(), reader.end()]);
  return events / seconds;
}

/** Records of the same size, by Kafka's own producer at the settings that its documentation gives for throughput. */
async function producing(stage: Stage, events: number): Promise<number> {
  const admin = stage.kafka().admin();
  await admin.connect();
  await admin.createTopics({ topics: [{ topic: floorTopic, numPartitions: partitions }], waitForLeaders: true });
  await admin.disconnect();
  const source = await sourceOfKafka('tools');
  if ('missing' in source || source.from === 'docker')
    throw new Obstacle('relay needs Java 17+ and Maven for the tool of its floor');
  const options = [
    '--topic',
    floorTopic,
    '--num-records',
    String(events),
    '--record-size',
    String(recordBytes),
    '--throughput',
    '-1',
  ];
  const settings = [`bootstrap.servers=${stage.brokers}`, 'acks=all', 'batch.size=262144', 'linger.ms=10'];
  const tool = [
    '-cp',
    source.classPath,
    'org.apache.kafka.tools.ProducerPerformance',
    ...options,
    '--producer-props',
    ...settings,
  ];
  const { stdout, stderr } = spawnSync(source.java, ['-Xmx512m', ...tool], { encoding: 'utf8' });
  const rate = Number(/([\d.]+) records\/sec[^\n]*\n?$/.exec(stdout.trim())?.[1]);
  if (!(rate > 0)) throw new Error(`Kafka's performance tool said:\n${stdout}${stderr}`);
  return rate;
}
