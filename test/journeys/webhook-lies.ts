/* What can become of a webhook between its provider and us, each way by its name, and which disposition it must then get. */
import { createHash, createHmac } from 'node:crypto';
import { secrets, type Letter, type Provider } from './webhook-rig.js';

/** By a seed, so that whatever was chosen can be chosen again. */
export class Chance {
  constructor(private state: number) {}

  /** From 0 up to and without 1 (mulberry32). */
  next(): number {
    this.state = (this.state + 0x6d2b79f5) | 0;
    let bits = Math.imul(this.state ^ (this.state >>> 15), 1 | this.state);
    bits = (bits + Math.imul(bits ^ (bits >>> 7), 61 | bits)) ^ bits;
    return ((bits ^ (bits >>> 14)) >>> 0) / 2 ** 32;
  }

  below(end: number): number {
    return Math.floor(this.next() * end);
  }

  oneOf<T>(of: readonly T[]): T {
    const chosen = of[this.below(of.length)];
    if (chosen === undefined) throw new Error('there is nothing to choose from');
    return chosen;
  }

  happens(often: number): boolean {
    return this.next() < often;
  }

  shuffled<T>(of: readonly T[]): T[] {
    return of
      .map((each) => ({ each, place: this.next() }))
      .sort((a, b) => a.place - b.place)
      .map(({ each }) => each);
  }
}

/** What must become of a delivery. `news` is applied or stale, or a duplicate of the same notice before it. */
export type Fate = 'news' | 'rejected' | 'foreign' | 'unknown';

/** A delivery that is still to be made; its letter is written, and signed, when it goes. */
export interface Plan {
  readonly when: 'now' | 'later' | 'next day';
  readonly fate: Fate;
  readonly write: (now: Date) => Letter;
}

type Misbehaviour = (letter: Letter, chance: Chance) => readonly Plan[];

type Json = Record<string, unknown>;
const read = (letter: Letter) => JSON.parse(letter.body) as Json;
const inside = (json: Json, name: string) => json[name] as Json;
let made = 0;
/** Of events that we make up; the simulators' own ids are longer. */
const newId = () => `evt_made_up_${(made += 1)}`;

/** As Stripe would sign it at that moment; `at` in seconds. */
export function stripeHeader(body: string | Buffer, at: number, secret: string = secrets.stripe[0], scheme = 'v1'): string {
  return `t=${at},${scheme}=${createHmac('sha256', secret).update(`${at}.`).update(body).digest('hex')}`;
}

/** As Zamp signs: over the id and the status it speaks of, and nothing else. */
export function zampHeader(id: string, status: string, secret: string = secrets.zamp[0]): string {
  return createHash('sha256').update(`${id},${status}:${secret}`).digest('base64');
}

const seconds = (now: Date) => Math.floor(now.getTime() / 1000);

/** The same, signed anew: every try of Stripe's has a time of its own, Zamp's signature never changes. */
export function signed(letter: Letter, now: Date, which: 0 | 1 = 0): Letter {
  const { provider, body } = letter;
  if (provider === 'stripe') {
    return { ...letter, headers: { 'stripe-signature': stripeHeader(body, seconds(now), secrets.stripe[which]) } };
  }
  const data = inside(read(letter), 'data');
  return {
    ...letter,
    headers: { 'x-zamp-signature': zampHeader(String(data['id']), String(data['status']), secrets.zamp[which]) },
  };
}

const genuine = (letter: Letter, when: Plan['when'] = 'now'): Plan => ({
  when,
  fate: 'news',
  write: (now) => signed(letter, now),
});

/** Another body, signed as if its provider had sent it. */
function altered(letter: Letter, change: (json: Json) => Json, fate: Fate, when: Plan['when'] = 'now'): Plan {
  const body = JSON.stringify(change(read(letter)));
  return { when, fate, write: (now) => signed({ ...letter, body }, now) };
}

const refused = (write: Plan['write']): Plan => ({ when: 'now', fate: 'rejected', write });

/** With the genuine one, or instead of it. */
const besides = (letter: Letter, chance: Chance, ...others: Plan[]): Plan[] => [
  ...others,
  ...(chance.happens(0.5) ? [genuine(letter)] : []),
];

function withByteAltered(letter: Letter, chance: Chance, now: Date): Letter {
  const whole = signed(letter, now);
  if (letter.provider === 'stripe') {
    const at = chance.below(letter.body.length);
    const other = letter.body[at] === '7' ? '8' : '7';
    return { ...whole, body: letter.body.slice(0, at) + other + letter.body.slice(at + 1) };
  }
  const { status } = inside(read(letter), 'data');
  return { ...whole, body: letter.body.replace(`"status":"${String(status)}"`, `"status":"${String(status).slice(0, -1)}x"`) };
}

function thin(letter: Letter, snapshot: boolean): Plan {
  const event = read(letter);
  const object = inside(inside(event, 'data'), 'object');
  const created = new Date(Number(event['created']) * 1000).toISOString();
  const related = { id: object['id'], type: object['object'], url: `/v1/${String(object['object'])}s/${String(object['id'])}` };
  const body = {
    id: newId(),
    object: 'v2.core.event',
    type: `v1.${String(event['type'])}`,
    livemode: false,
    created,
    related_object: related,
    ...(snapshot ? { snapshot_event: event['id'] } : {}),
  };
  return { when: 'now', fate: 'news', write: (now) => signed({ ...letter, body: JSON.stringify(body) }, now) };
}

const both: Readonly<Record<string, Misbehaviour>> = {
  'as it should': (letter) => [genuine(letter)],
  lost: () => [],
  doubled: (letter) => [genuine(letter), genuine(letter)],
  late: (letter) => [genuine(letter, 'later')],
  'sent again a day later': (letter) => [genuine(letter), genuine(letter, 'next day')],
  'replayed a day later': (letter) => [
    genuine(letter),
    // Stripe's signature has its time in it; Zamp's is good for ever.
    { when: 'next day', fate: letter.provider === 'stripe' ? 'rejected' : 'news', write: () => letter },
  ],
  'altered by one byte': (letter, chance) =>
    besides(
      letter,
      chance,
      refused((now) => withByteAltered(letter, chance, now)),
    ),
  'signed with another secret': (letter, chance) => {
    const header = (now: Date) =>
      letter.provider === 'stripe'
        ? { 'stripe-signature': stripeHeader(letter.body, seconds(now), 'whsec_of_somebody') }
        : { 'x-zamp-signature': zampHeader(String(inside(read(letter), 'data')['id']), 'succeeded', 'secret_of_somebody') };
    return besides(
      letter,
      chance,
      refused((now) => ({ ...letter, headers: header(now) })),
    );
  },
  unsigned: (letter, chance) =>
    besides(
      letter,
      chance,
      refused(() => ({ ...letter, headers: {} })),
    ),
  'signed with the secret that is being rolled out': (letter) => [
    { when: 'now', fate: 'news', write: (now) => signed(letter, now, 1) },
  ],
};

const ofStripe: Readonly<Record<string, Misbehaviour>> = {
  'told twice, as two events': (letter, chance) => [
    genuine(letter),
    altered(letter, (event) => ({ ...event, id: newId() }), 'news', chance.oneOf(['now', 'later'])),
  ],
  'thin and as a snapshot': (letter, chance) => chance.shuffled([genuine(letter), thin(letter, true)]),
  'thin alone': (letter) => [thin(letter, false)],
  'of the other mode': (letter, chance) =>
    besides(
      letter,
      chance,
      altered(letter, (event) => ({ ...event, id: newId(), livemode: true }), 'foreign'),
    ),
  'of another account': (letter, chance) =>
    besides(
      letter,
      chance,
      altered(letter, (event) => ({ ...event, id: newId(), account: 'acct_of_somebody' }), 'foreign'),
    ),
  'with an old time-stamp': (letter, chance) =>
    besides(
      letter,
      chance,
      refused((now) => ({ ...letter, headers: { 'stripe-signature': stripeHeader(letter.body, seconds(now) - 301) } })),
    ),
  'from the future': (letter, chance) =>
    besides(
      letter,
      chance,
      refused((now) => ({ ...letter, headers: { 'stripe-signature': stripeHeader(letter.body, seconds(now) + 310) } })),
    ),
  'with an old time-stamp within what is allowed': (letter) => [
    {
      when: 'now',
      fate: 'news',
      write: (now) => ({ ...letter, headers: { 'stripe-signature': stripeHeader(letter.body, seconds(now) - 290) } }),
    },
  ],
  'with several signatures': (letter) => [
    {
      when: 'now',
      fate: 'news',
      write: (now) => {
        const [time, ours] = stripeHeader(letter.body, seconds(now)).split(',');
        return { ...letter, headers: { 'stripe-signature': `${time},v1=${'0'.repeat(64)},${ours},v0=${'1'.repeat(64)}` } };
      },
    },
  ],
  'signed in the old scheme only': (letter, chance) =>
    besides(
      letter,
      chance,
      refused((now) => ({
        ...letter,
        headers: { 'stripe-signature': stripeHeader(letter.body, seconds(now), secrets.stripe[0], 'v0') },
      })),
    ),
  'in the words of another API version': (letter) => {
    const older = (event: Json) => {
      const object = inside(inside(event, 'data'), 'object');
      const { payment_intent: _intent, destination_details: _destination, amount_captured: _captured, ...rest } = object;
      const refunds = { object: 'list', data: [], has_more: true };
      return {
        ...event,
        api_version: '2020-03-02',
        data: { object: object['object'] === 'charge' ? { ...rest, refunds } : rest },
      };
    };
    return [altered(letter, older, 'news')];
  },
  'about a refund that is nowhere': (letter) => {
    const object = { id: 're_nowhere', object: 'refund', amount: 1, currency: 'usd', status: 'succeeded', metadata: {} };
    const nowhere = (event: Json) => ({ ...event, id: newId(), type: 'refund.updated', data: { object } });
    return [genuine(letter), altered(letter, nowhere, 'unknown')];
  },
  'about a payment that is nowhere': (letter) => {
    const object = { id: 'ch_nowhere', object: 'charge', payment_intent: 'pi_nowhere' };
    const nowhere = (event: Json) => ({ ...event, id: newId(), type: 'charge.refunded', data: { object } });
    return [genuine(letter), altered(letter, nowhere, 'unknown')];
  },
  'beside one of a type that we do not know': (letter) => [
    genuine(letter),
    altered(letter, (event) => ({ ...event, id: newId(), type: 'refund.polished' }), 'unknown'),
  ],
};

const lying = (change: Json): Misbehaviour => {
  return (letter) => [altered(letter, (notice) => ({ ...notice, data: { ...inside(notice, 'data'), ...change } }), 'news')];
};

const ofZamp: Readonly<Record<string, Misbehaviour>> = {
  'with another amount': lying({ amount: 1_000_000 }),
  'with another session': lying({ payment_session_id: 'somebody_elses' }),
  'with another reference': lying({ reference_id: 'rf_00000000000000000000000000000000' }),
  'with another merchant': lying({ merchant_id: 'somebody' }),
  'about a refund that is nowhere': (letter) => [
    genuine(letter),
    altered(letter, (notice) => about(notice, newId(), 'refund'), 'unknown'),
  ],
  'about a session that nobody asked for': (letter) => [
    genuine(letter),
    altered(letter, (notice) => about(notice, newId(), 'payment_session'), 'unknown'),
  ],
  'of a type that we do not know': (letter) => [
    genuine(letter),
    { ...altered(letter, (notice) => ({ ...notice, transaction_type: 'payout' }), 'rejected') },
  ],
};

const about = (notice: Json, id: string, type: string): Json => ({
  transaction_type: type,
  transaction_id: id,
  data: { ...inside(notice, 'data'), id },
});

export const misbehaviours: Readonly<Record<Provider, Readonly<Record<string, Misbehaviour>>>> = {
  stripe: { ...both, ...ofStripe },
  zamp: { ...both, ...ofZamp },
};

/** What makes two deliveries one notice. */
export function noticeIdOf({ provider, body }: Letter): string {
  const json = JSON.parse(body) as Json;
  if (provider === 'stripe') return `stripe ${String(json['snapshot_event'] ?? json['id'])}`;
  return `zamp ${String(json['transaction_type'])} ${String(json['transaction_id'])} ${String(inside(json, 'data')['status'])}`;
}
