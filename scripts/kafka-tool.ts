import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { endOf, inOneLine, Obstacle } from './child.js';
import { addressFile, containerFor, sourceOfKafka } from './kafka.js';

/*
 * npm run --silent kafka -- console-producer --topic refunds.commands.v1 ...
 *
 * Kafka's own command-line programs, from the same place as the broker, against KAFKA_BROKERS or the broker that `npm start` runs. Options
 * after the name are Kafka's own.
 */
const tools: Readonly<Record<string, string>> = {
  'console-producer': 'org.apache.kafka.tools.ConsoleProducer',
  'console-consumer': 'org.apache.kafka.tools.consumer.ConsoleConsumer',
  topics: 'org.apache.kafka.tools.TopicCommand',
  'consumer-groups': 'org.apache.kafka.tools.consumer.group.ConsumerGroupCommand',
  'get-offsets': 'org.apache.kafka.tools.GetOffsetShell',
};

if (existsSync('.env')) process.loadEnvFile('.env');
try {
  process.exitCode = await runTool(process.argv[2] ?? '', process.argv.slice(3));
} catch (error) {
  console.error(inOneLine(error));
  process.exitCode = 1;
}

async function runTool(name: string, options: readonly string[]): Promise<number> {
  const main = tools[name];
  if (main === undefined) throw new Obstacle(`which of Kafka's programs? ${Object.keys(tools).join(', ')}`);
  const brokers = brokersNow();
  const given = options.includes('--bootstrap-server') ? options : ['--bootstrap-server', brokers, ...options];
  const source = await sourceOfKafka('tools');
  if ('missing' in source) throw new Obstacle(source.missing);
  const [command, ...args] =
    source.from === 'docker'
      ? ['docker', 'exec', '-i', containerFor(brokers.split(':')[1] ?? ''), `/opt/kafka/bin/kafka-${name}.sh`, ...given]
      : [source.java, '-Xmx128m', '-XX:TieredStopAtLevel=1', '-cp', source.classPath, main, ...given];
  const { code } = await endOf(spawn(command ?? '', args, { stdio: 'inherit' }));
  return code ?? 1;
}

function brokersNow(): string {
  const file = addressFile(join(process.env['REDRESS_DIR'] || '.redress', 'kafka'));
  const brokers = process.env['KAFKA_BROKERS'] || (existsSync(file) ? readFileSync(file, 'utf8') : '');
  if (brokers === '') throw new Obstacle('no Kafka is running here: `npm start` runs one, or set KAFKA_BROKERS');
  return brokers;
}
