import { createServer, type Server } from 'node:net';
import { once } from 'node:events';
import { afterEach, describe, expect, it } from '@jest/globals';
import { dataSource } from '#persistence/database';

let server: Server | undefined;
afterEach(() => {
  server?.close();
});

const message = (type: string, body: Buffer): Buffer => {
  const head = Buffer.alloc(5);
  head.write(type, 0, 'latin1');
  head.writeInt32BE(body.length + 4, 1);
  return Buffer.concat([head, body]);
};
const loggedIn = message('R', Buffer.from([0, 0, 0, 0]));
const ready = message('Z', Buffer.from('I'));
const ended = message('E', Buffer.from('SFATAL\0VFATAL\0C57P01\0Mterminating connection due to administrator command\0\0'));

describe('A connection to PostgreSQL', () => {
  it('that ends in the packet in which it begins costs the process nothing but the connection (F30)', async () => {
    let count = 0;
    server = createServer((socket) => {
      socket.on('error', () => undefined);
      socket.once('data', () => {
        count += 1;
        socket.end(Buffer.concat([loggedIn, ready, ended]));
      });
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('it does not listen');
    const url = `postgresql://nobody@127.0.0.1:${address.port}/redress`;
    await expect(dataSource({ url, connections: 1 }).initialize()).rejects.toThrow(/connection|terminat|queryable/i);
    expect(count).toBeGreaterThan(0);
  });
});
