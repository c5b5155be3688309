import { afterAll, beforeAll, describe } from '@jest/globals';
import { bookContract } from './stores-book.contract.js';
import { disputesContract } from './stores-disputes.contract.js';
import { logContract } from './stores-log.contract.js';
import { queueContract } from './stores-queue.contract.js';
import { storesScene, type StoresBench } from './stores-scene.js';
import { sendingContract } from './stores-sending.contract.js';

/** What every implementation of the stores keeps, whatever is behind it. */
export function storesContract(name: string, open: () => Promise<StoresBench>): void {
  describe(`${name}, as stores`, () => {
    let bench: StoresBench | undefined;
    const scene = storesScene(() => {
      if (bench === undefined) throw new Error('the stores are not open yet');
      return bench;
    });
    beforeAll(async () => {
      bench = await open();
    });
    afterAll(() => bench?.close());

    bookContract(scene);
    disputesContract(scene);
    queueContract(scene);
    sendingContract(scene);
    logContract(scene);
  });
}
