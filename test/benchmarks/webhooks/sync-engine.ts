/*
 * Supabase's Stripe sync engine behind Node's own server, which takes less than the Fastify that it is published with. It writes the object
 * of each event into a table of its kind, over an older state; an event as such is not kept. Its documented options, with those that would
 * call Stripe off, without a logger, and with the ten connections that its page has; twenty or fifty brought it nothing.
 * supabase.github.io/stripe-sync-engine/typescript
 */
import { createServer } from 'node:http';
import { peer } from '../peers.js';

/** What is used here of it. */
interface SyncEngine {
  readonly StripeSync: new (config: {
    readonly poolConfig: { readonly connectionString: string; readonly max: number };
    readonly stripeSecretKey: string;
    readonly stripeWebhookSecret: string;
    /** False: the object is stored as it came, with nothing fetched around it. */
    readonly autoExpandLists: boolean;
    readonly backfillRelatedEntities: boolean;
    readonly revalidateObjectsViaStripeApi: readonly string[];
  }) => { processWebhook(payload: Buffer, signature: string | undefined): Promise<void> };
  runMigrations(config: { readonly databaseUrl: string; readonly schema: string }): Promise<void>;
}

const databaseUrl = process.env['DATABASE_URL'] ?? '';
const { StripeSync, runMigrations } = await peer<SyncEngine>('@supabase/stripe-sync-engine');
await runMigrations({ databaseUrl, schema: 'stripe' });
const sync = new StripeSync({
  poolConfig: { connectionString: databaseUrl, max: 10 },
  stripeSecretKey: 'sk_test_benchmark',
  stripeWebhookSecret: process.env['STRIPE_WEBHOOK_SECRET'] ?? '',
  autoExpandLists: false,
  backfillRelatedEntities: false,
  revalidateObjectsViaStripeApi: [],
});

const answer = JSON.stringify({ received: true });
const headers = { 'content-type': 'application/json', 'content-length': answer.length };

const server = createServer((request, response) => {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    sync.processWebhook(Buffer.concat(chunks), String(request.headers['stripe-signature'])).then(
      () => response.writeHead(200, headers).end(answer),
      (error: unknown) => response.writeHead(400).end(String(error)),
    );
  });
});
server.listen(Number(process.env['PORT']), '127.0.0.1');
process.once('SIGTERM', () => process.exit(0));
