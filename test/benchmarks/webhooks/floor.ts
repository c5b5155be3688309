/*
 * What can be done at best for each delivery by itself: Node's own server, the signature, one row of the same table by a prepared statement.
 * More or fewer connections than ten bring it nothing.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingMessage } from 'node:http';
import pg from 'pg';

const secret = process.env['STRIPE_WEBHOOK_SECRET'] ?? '';
const pool = new pg.Pool({ connectionString: process.env['DATABASE_URL'], max: 10 });
const statement = {
  name: 'store',
  text: `insert into webhook_delivery (id, account, provider, notice_id, type, body, digest, received_at)
    values (gen_random_uuid(), 'default', 'stripe', $1, $2, $3, '', now())`,
};

const answer = JSON.stringify({ received: true });
const headers = { 'content-type': 'application/json', 'content-length': answer.length };

const server = createServer((request, response) => {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    store(request, Buffer.concat(chunks)).then(
      (isStored) => response.writeHead(isStored ? 200 : 400, headers).end(answer),
      () => response.writeHead(503).end(),
    );
  });
});
server.listen(Number(process.env['PORT']), '127.0.0.1');
process.once('SIGTERM', () => process.exit(0));

async function store(request: IncomingMessage, body: Buffer): Promise<boolean> {
  const [, time = '', given = ''] = /^t=(\d+),v1=([0-9a-f]{64})$/.exec(String(request.headers['stripe-signature'])) ?? [];
  const expected = createHmac('sha256', secret).update(`${time}.`).update(body).digest();
  if (given === '' || !timingSafeEqual(expected, Buffer.from(given, 'hex'))) return false;
  const { id, type } = JSON.parse(body.toString()) as { readonly id: string; readonly type: string };
  await pool.query({ ...statement, values: [id, type, body] });
  return true;
}
