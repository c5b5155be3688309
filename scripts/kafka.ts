/*
 * A real Apache Kafka for development and tests: one KRaft broker (or three, to see what only a cluster shows), from Maven Central where
 * there is Java 17 and Maven, else from Docker, else none, with a line that says what to install.
 *
 * The jars are fetched once into a cache outside the work tree. Topics live in the data folder and are there at the next start. A broker is
 * a child of ours in a process group of its own: Ctrl-C does not reach it before its clients are done, and it does not outlive us.
 */
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Child, lastLines, lineThatSaysWhy, Obstacle, portFor, run, signalTo, startChild } from './child.js';

/** A running cluster: its brokers as `KAFKA_BROKERS` wants them. */
export type Kafka = {
  readonly brokers: string;
  /** Resolves with the log of the first broker that ends, however it ends. */
  readonly ended: Promise<{ readonly log: string }>;
  /** Each broker by itself, for tests that have one fail; none with Docker. */
  readonly nodes: readonly KafkaNode[];
  stop(): Promise<void>;
};

export type KafkaNode = {
  readonly address: string;
  kill(): Promise<void>;
  /** On the same data and ports, after `kill`. */
  start(): Promise<void>;
};

export type KafkaOptions = {
  readonly dir: string;
  /** Of the first broker. 0, the default, takes a free one. */
  readonly port?: number;
  /** Three only with Java. */
  readonly brokers?: 1 | 3;
  /** For tests: brokers are killed instead of asked to stop. The folder is the caller's to remove. */
  readonly throwaway?: boolean;
  /** For tests: ports in front of the brokers, one each, which clients are told to come to. The brokers speak to one another beside them. */
  readonly doors?: readonly number[];
};

/** Starts Kafka on a data folder, or says what is missing on this machine. */
export async function startKafka({
  dir,
  port = 0,
  brokers = 1,
  throwaway = false,
  doors = [],
}: KafkaOptions): Promise<Kafka | { readonly missing: string }> {
  const data = resolve(dir);
  mkdirSync(data, { recursive: true });
  const source = await sourceOfKafka('broker');
  if ('missing' in source) return source;

  const ports = [await portFor('KAFKA_PORT', port)];
  while (ports.length < 3 * brokers) ports.push(await portFor('KAFKA_PORT', 0));
  const addresses = (source.from === 'docker' ? ports.slice(0, 1) : ports.slice(0, brokers))
    .map((each) => `127.0.0.1:${each}`)
    .join(',');
  const running: Broker[] = [];
  const stop = async () => {
    rmSync(addressFile(data), { force: true });
    await Promise.all(running.map(({ child }) => child.stop(throwaway ? 0 : 20_000)));
  };
  const nodes: KafkaNode[] = [];
  try {
    if (source.from === 'docker') running.push(await startContainer(ports, data));
    else {
      for (const [index, node] of (await plan(source, data, ports, doors)).entries()) {
        running.push(await startBroker(source, node, throwaway));
        nodes.push({
          address: `127.0.0.1:${ports[index]}`,
          async kill() {
            await running[index]?.child.stop(0);
          },
          async start() {
            const again = await startBroker(source, node, throwaway);
            running[index] = again;
            await ready(again);
          },
        });
      }
    }
    await Promise.all(running.map(ready));
  } catch (error) {
    await stop();
    throw error;
  }
  writeFileSync(addressFile(data), addresses);
  const ended = Promise.race(running.map(({ child, log }) => child.ended.then(() => ({ log }))));
  return { brokers: addresses, ended, nodes, stop };
}

/** Where a running cluster's address stands, for `npm run kafka`. */
export function addressFile(dir: string): string {
  return join(dir, 'address');
}

/** What Kafka can be run from on this machine. */
export type KafkaSource =
  { readonly from: 'java'; readonly java: string; readonly classPath: string } | { readonly from: 'docker' };

/** Finds Java and the jars (fetching them at the first time), else Docker, else says what to install. The tools are not in the broker's jars. */
export async function sourceOfKafka(part: 'broker' | 'tools'): Promise<KafkaSource | { readonly missing: string }> {
  const java = await findJava();
  const jars = 'missing' in java ? java : await fetchJars(part);
  if ('folder' in jars && 'java' in java) return { from: 'java', java: java.java, classPath: join(jars.folder, '*') };
  if ((await run('docker', ['version', '--format', '{{.Server.Version}}'])).code === 0) return { from: 'docker' };
  const why = 'missing' in jars ? jars.missing : '';
  return {
    missing: `no Kafka here (${why}): install Java 17+ and Maven (apt-get install openjdk-17-jre-headless maven), or start Docker, or set KAFKA_BROKERS`,
  };
}

/** The image that stands in for Java; `scripts/kafka/pom.xml` has the versions for Java. */
const image = 'apache/kafka:4.3.1';

/** The container that serves a port, so that the tools find it by its address alone. */
export function containerFor(port: number | string): string {
  return `redress-kafka-${port}`;
}

async function findJava(): Promise<{ readonly java: string } | { readonly missing: string }> {
  const home = process.env['JAVA_HOME'];
  const java = home !== undefined && existsSync(join(home, 'bin', 'java')) ? join(home, 'bin', 'java') : 'java';
  const { code, stdout, stderr } = await run(java, ['-version']);
  if (code !== 0) return { missing: 'there is no Java' };
  const version = /version "(\d+)/.exec(stdout + stderr)?.[1] ?? '0';
  return Number(version) >= 17 ? { java } : { missing: `Java is ${version === '1' ? '8' : version}` };
}

async function fetchJars(part: 'broker' | 'tools'): Promise<{ readonly folder: string } | { readonly missing: string }> {
  const pom = join(import.meta.dirname, '..', '..', 'scripts', 'kafka', 'pom.xml');
  const edition = createHash('sha256').update(readFileSync(pom)).digest('hex').slice(0, 8);
  const cache = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'redress');
  const folder = join(cache, `kafka-${part}-${edition}`);
  if (existsSync(folder)) return { folder };
  if ((await run('mvn', ['-v'])).code !== 0) return { missing: 'there is no Maven' };

  mkdirSync(cache, { recursive: true });
  const fresh = mkdtempSync(`${folder}.`);
  console.error(`Fetching Apache Kafka (${part}, about 40 MB, once) from Maven Central into ${folder}`);
  const goal = ['dependency:copy-dependencies', `-DoutputDirectory=${fresh}`];
  const fetched = await run('mvn', ['-q', '-B', '-C', '-Dstyle.color=never', '-f', pom, '-P', part, ...goal]);
  if (fetched.code === 0 && !existsSync(folder)) renameSync(fresh, folder);
  rmSync(fresh, { recursive: true, force: true }); // Fetched in vain when another start was faster.
  if (fetched.code === 0) return { folder };
  return { missing: `Maven could not fetch it: ${/\[ERROR\] (.*)/.exec(fetched.stdout)?.[1] ?? 'it does not say why'}` };
}

type Node = { readonly name: string; readonly folder: string; readonly settings: Readonly<Record<string, string | number>> };

type Broker = { readonly child: Child; readonly log: string };

/** Every node is broker and controller. The controllers' ports may differ from one start to the next: nothing but these settings names them. */
async function plan(
  source: KafkaSource & { from: 'java' },
  data: string,
  ports: readonly number[],
  doors: readonly number[],
): Promise<Node[]> {
  const count = ports.length / 3;
  const nodes = ports.slice(0, count).map((port, index): Node => {
    const folder = join(data, `broker-${index + 1}`);
    const voters = ports.slice(count, 2 * count).map((controller, voter) => `${voter + 1}@127.0.0.1:${controller}`);
    const controller = `CONTROLLER://127.0.0.1:${ports[count + index] ?? 0}`;
    const inside = `INSIDE://127.0.0.1:${ports[2 * count + index] ?? 0}`;
    return {
      name: `broker-${index + 1}`,
      folder,
      settings: {
        ...kraft(index + 1, voters.join(','), count),
        listeners: `PLAINTEXT://127.0.0.1:${port},${inside},${controller}`,
        'advertised.listeners': `PLAINTEXT://127.0.0.1:${doors[index] ?? port},${inside}`,
        'inter.broker.listener.name': 'INSIDE',
        'listener.security.protocol.map': 'PLAINTEXT:PLAINTEXT,INSIDE:PLAINTEXT,CONTROLLER:PLAINTEXT',
        'log.dirs': join(folder, 'log'),
      },
    };
  });
  for (const node of nodes) {
    mkdirSync(node.folder, { recursive: true });
    await stopLeftover(node);
    writeFileSync(settingsFile(node), toProperties(node.settings));
    if (!existsSync(join(node.folder, 'formatted'))) await format(source, node, clusterId(data));
  }
  return nodes;
}

/** What Java and Docker set alike. Topics are made by those who own them: an automatic one would have the wrong number of partitions. */
function kraft(id: number, voters: string, count: number): Record<string, string | number> {
  return {
    'process.roles': 'broker,controller',
    'node.id': id,
    'controller.quorum.voters': voters,
    'controller.listener.names': 'CONTROLLER',
    'auto.create.topics.enable': 'false',
    'default.replication.factor': count,
    'min.insync.replicas': Math.min(count, 2),
    'offsets.topic.replication.factor': count,
    'offsets.topic.num.partitions': 4,
    'transaction.state.log.replication.factor': count,
    'transaction.state.log.min.isr': Math.min(count, 2),
    'transaction.state.log.num.partitions': 4,
    'share.coordinator.state.topic.replication.factor': count,
    'share.coordinator.state.topic.min.isr': Math.min(count, 2),
    'group.initial.rebalance.delay.ms': 0,
  };
}

function settingsFile(node: Node): string {
  return join(node.folder, 'server.properties');
}

function toProperties(settings: Node['settings']): string {
  return Object.entries(settings)
    .map(([name, value]) => `${name}=${value}\n`)
    .join('');
}

function clusterId(data: string): string {
  const file = join(data, 'cluster-id');
  // Sixteen bytes; the first makes it begin with a letter, for Kafka's tool takes a leading dash for an option.
  if (!existsSync(file)) writeFileSync(file, Buffer.concat([Buffer.from('D'), randomBytes(15)]).toString('base64url'));
  return readFileSync(file, 'utf8');
}

async function format(source: KafkaSource & { from: 'java' }, node: Node, cluster: string): Promise<void> {
  rmSync(join(node.folder, 'log'), { recursive: true, force: true }); // Half of one, from a start that was killed.
  const tool = ['-Xmx128m', '-XX:TieredStopAtLevel=1', '-cp', source.classPath, 'kafka.tools.StorageTool'];
  const formatted = await run(source.java, [...tool, 'format', '-t', cluster, '-c', settingsFile(node)]);
  if (formatted.code !== 0) throw obstacle(`cannot format ${node.folder}`, formatted.stderr || formatted.stdout);
  writeFileSync(join(node.folder, 'formatted'), '');
}

async function startBroker(source: KafkaSource & { from: 'java' }, node: Node, throwaway: boolean): Promise<Broker> {
  const log = join(node.folder, 'server.log');
  rmSync(log, { force: true });
  const logging = `-Dlog4j2.configurationFile=${join(import.meta.dirname, '..', '..', 'scripts', 'kafka', 'log4j2.properties')}`;
  const tuning = ['-Xmx384m', '-XX:+UseSerialGC', ...(throwaway ? ['-XX:TieredStopAtLevel=1'] : [])];
  const child = startChild(source.java, [...tuning, logging, '-cp', source.classPath, 'kafka.Kafka', settingsFile(node)], {
    log,
  });
  writeFileSync(join(node.folder, 'pid'), String(child.pid));
  return { child, log };
}

/** A broker of a start that was killed is told to stop by its watcher, but may need its time. The settings file in its command line proves it ours. */
async function stopLeftover(node: Node): Promise<void> {
  const file = join(node.folder, 'pid');
  const pid = existsSync(file) ? Number(readFileSync(file, 'utf8')) : 0;
  const alive = async () =>
    pid > 0 && (await run('ps', ['-ww', '-o', 'args=', '-p', String(pid)])).stdout.includes(settingsFile(node));
  if (!(await alive())) return;
  signalTo(pid, 'SIGTERM');
  for (const end = Date.now() + 20_000; Date.now() < end && (await alive());) await sleep(100);
  if (await alive()) signalTo(pid, 'SIGKILL');
  while (await alive()) await sleep(50);
}

async function startContainer(ports: readonly number[], data: string): Promise<Broker> {
  const [port = 0, controller = 0] = ports;
  const name = containerFor(port);
  const log = join(data, 'server.log');
  rmSync(log, { force: true });
  await run('docker', ['rm', '-f', name]);
  const settings = {
    ...kraft(1, `1@127.0.0.1:${controller}`, 1),
    listeners: `PLAINTEXT://:${port},CONTROLLER://127.0.0.1:${controller}`,
    'advertised.listeners': `PLAINTEXT://127.0.0.1:${port}`,
    'log.dirs': '/var/lib/kafka/data',
  };
  const env = Object.entries(settings).flatMap(([key, value]) => [
    '-e',
    `KAFKA_${key.toUpperCase().replaceAll('.', '_')}=${value}`,
  ]);
  const volume = `redress-kafka-${createHash('sha256').update(data).digest('hex').slice(0, 12)}:/var/lib/kafka/data`;
  const flags = ['--rm', '--name', name, '-p', `127.0.0.1:${port}:${port}`, '-v', volume, '-e', `CLUSTER_ID=${clusterId(data)}`];
  return { child: startChild('docker', ['run', ...flags, ...env, image], { log }), log };
}

async function ready({ child, log }: Broker): Promise<void> {
  let ended = false;
  void child.ended.then(() => (ended = true));
  for (const end = Date.now() + 120_000; Date.now() < end; await sleep(50)) {
    const printed = existsSync(log) ? readFileSync(log, 'utf8') : '';
    if (printed.includes('Kafka Server started')) return;
    if (ended) throw obstacle('ended while starting', lastLines(log, 200));
  }
  throw obstacle('did not come up in two minutes', lastLines(log, 200));
}

function obstacle(what: string, output: string): Obstacle {
  return new Obstacle(`Kafka ${what}: ${lineThatSaysWhy(output, /Exception: |Error: | ERROR /)}`);
}
