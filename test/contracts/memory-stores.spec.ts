import { randomUUID } from 'node:crypto';
import { MemoryStores } from '../fakes/memory-stores.js';
import { storesContract } from './stores.contract.js';

storesContract('The memory', () => {
  const stores = new MemoryStores(randomUUID, new Date(Date.UTC(2026, 2, 2)));
  return Promise.resolve({
    stores,
    again: () => stores,
    advance: async (ms) => {
      stores.now = new Date(stores.now.getTime() + ms);
    },
    passReal: async (ms) => {
      stores.realMs += ms;
    },
    dispositionOf: async (noticeId) =>
      stores.deliveryRows
        .where((each) => each.noticeId === noticeId)
        .map(({ disposition, detail, refundId, disputeId }) => ({ disposition, detail, refundId, disputeId })),
    close: async () => undefined,
  });
});
