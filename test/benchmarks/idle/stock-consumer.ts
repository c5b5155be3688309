/* kafkajs as it comes, consuming a topic on which nothing happens. */
import { Kafka } from 'kafkajs';
import { topics } from '#contracts/topics';

const kafka = new Kafka({ clientId: 'stock', brokers: (process.env['KAFKA_BROKERS'] ?? '').split(',') });
const consumer = kafka.consumer({ groupId: 'stock' });
process.once('SIGTERM', () => void consumer.disconnect().then(() => process.exit(0)));
await consumer.connect();
await consumer.subscribe({ topics: [topics.refundCommands] });
await consumer.run({ eachMessage: () => Promise.resolve() });
