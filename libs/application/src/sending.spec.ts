import { describe, expect, it } from '@jest/globals';
import { countSend, covers, newHour, type SendingBounds, type SendingHour } from '#application/sending';

const start = new Date('2026-03-02T09:30:00.000Z');
const after = (minutes: number) => new Date(start.getTime() + minutes * 60_000);
const of = { account: 'default', provider: 'stripe' };
const bounds: SendingBounds = { ...of, sendsPerHour: 3, amountPerHour: { USD: 1_000n } };

/** Sends of so many USD cents one after the other, until one is refused: how many went, and why no more. */
function sendAll(amounts: readonly bigint[], { from = newHour(of, start), at = start, currency = 'USD' } = {}) {
  let hour: SendingHour = from;
  for (const [sent, amount] of amounts.entries()) {
    const counted = countSend(hour, bounds, { refundId: `rf_${sent + 1}`, amount, currency }, at);
    if (!counted.ok) return { sent, why: counted.error, hour };
    hour = counted.value;
  }
  return { sent: amounts.length, why: null, hour };
}

describe('The breaker', () => {
  it('lets as many go as the bound says, and not one more', () => {
    expect(sendAll([1n, 1n, 1n]).why).toBeNull();
    expect(sendAll([1n, 1n, 1n, 1n])).toMatchObject({
      sent: 3,
      why: 'Refund rf_4 would make 4 sends since 2026-03-02T09:30:00.000Z, and the bound is 3 an hour.',
    });
  });

  it('lets as much go as the bound of its currency says, and not one minor unit more', () => {
    expect(sendAll([600n, 400n])).toMatchObject({ why: null, hour: { sends: 2, amounts: { USD: '1000' } } });
    expect(sendAll([600n, 401n])).toMatchObject({
      sent: 1,
      why: 'Refund rf_2 of 401 would make 1001 USD in minor units since 2026-03-02T09:30:00.000Z, and the bound is 1000 an hour.',
    });
  });

  it('has no bound for a currency that none is named for, but counts it', () => {
    expect(sendAll([10n ** 15n], { currency: 'JPY' })).toMatchObject({
      why: null,
      hour: { amounts: { JPY: '1000000000000000' } },
    });
  });

  it('begins a new hour with the first send after the one before is over', () => {
    const { hour } = sendAll([1n, 1n, 999n - 1n]);
    expect(sendAll([1n], { from: hour, at: after(59) }).sent).toBe(0);
    expect(sendAll([1n], { from: hour, at: after(60) })).toMatchObject({
      hour: { since: after(60), sends: 1, amounts: { USD: '1' } },
    });
  });

  it('counts nothing of what it does not let go', () => {
    const before = sendAll([600n, 600n]).hour;
    expect(before).toMatchObject({ sends: 1, amounts: { USD: '600' } });
    expect(sendAll([400n], { from: before }).why).toBeNull();
  });
});

describe('A pause', () => {
  it.each([
    [null, null, true],
    ['stripe', null, true],
    ['stripe', 'default', true],
    ['zamp', null, false],
    ['stripe', 'eu', false],
  ])('of provider %s and account %s covers the account default at stripe: %s', (provider, account, covered) => {
    expect(covers({ provider, account }, of)).toBe(covered);
  });
});
