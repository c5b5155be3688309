/* What has hurt others, and for each what would let it happen here. */
import { incidentMutants } from './incident-mutants.js';
import { kafkaMutants } from './kafka-mutants.js';
import type { Mutant } from './mutant.js';
import { stripeMutants } from './stripe-mutants.js';
import { zampMutants } from './zamp-mutants.js';

interface Incident {
  readonly what: string;
  /** Where people told of it. */
  readonly thread: string;
}

interface Trap {
  readonly trap: string;
  /** Why no change of our code would let us fall into it. */
  readonly unguarded?: string;
}

export const incidents: Readonly<Record<number, Incident>> = {
  1: { what: 'two refunds at once exceed the payment', thread: 'juspay/hyperswitch#13182' },
  2: { what: 'a retry pays twice, or an honest second refund vanishes', thread: 'medusajs/medusa#16681' },
  3: { what: 'a double click, or two agents at once', thread: 'saleor/saleor-dashboard#4474' },
  4: { what: 'after a time-out nobody can tell whether the refund exists', thread: 'csob/paymentgateway#705' },
  5: { what: 'pending, although nothing was ever sent', thread: 'juspay/hyperswitch#9622' },
  6: { what: "the provider's refund id is lost after a time-out", thread: 'juspay/hyperswitch#3751' },
  7: { what: 'a finished refund is not looked at again', thread: 'juspay/hyperswitch#13680' },
  8: { what: 'a refund fails later, and stays refunded here', thread: 'woocommerce/woocommerce-gateway-stripe#4405' },
  9: { what: 'stuck for ever, because the wrong event was awaited', thread: 'HiEventsDev/Hi.Events#1067' },
  10: { what: 'a webhook overtakes the answer, and the refund is booked twice', thread: 'antiwork/gumroad#6193' },
  11: { what: "refunds made in the provider's dashboard stay invisible", thread: 'opencollective/opencollective#4932' },
  12: { what: 'a failed refund uses up the balance, or blocks another try', thread: 'vendurehq/vendure#3152' },
  13: { what: 'refund and chargeback both pay the customer', thread: 'juspay/hyperswitch-control-center#4109' },
  16: { what: 'a missed closing webhook strands the case for ever', thread: 'antiwork/gumroad#6852' },
  17: { what: 'won turns into lost, and the money does not follow', thread: 'antiwork/gumroad#6832' },
};

export const traps: Readonly<Record<string, Trap>> = {
  S1: { trap: 'a call under a key that Stripe has forgotten is another refund' },
  S2: { trap: 'stripe-node sends again after a closed connection, with its retries off' },
  S3: { trap: 'a 500 may have moved the money' },
  S4: { trap: 'a refusal is kept under its key for a day' },
  S5: { trap: 'a 409 is our own first try, still under way' },
  S6: { trap: 'succeeded is not the end' },
  S7: { trap: 'pending is not done' },
  S8: { trap: 'a webhook comes before our own commit' },
  S9: { trap: 'a payment has more than one refund' },
  S10: { trap: 'a refund from the dashboard lowers what is left' },
  S11: { trap: 'charge.refunded says nothing of each refund' },
  S12: { trap: 'events come out of order, and twice' },
  S13: { trap: 'an endpoint speaks the API version it was made with' },
  S14: { trap: 'there is no event dispute.created' },
  S15: { trap: 'whether a disputed charge can be refunded only is_charge_refundable tells' },
  S16: { trap: 'a chargeback after a refund is answered with the proof of credit' },
  S17: { trap: 'an update of a dispute without submit: false is final' },
  S18: { trap: 'evidence is submitted once in a stage, and once more in the next' },
  S19: { trap: 'has_evidence does not mean submitted' },
  S20: { trap: 'due_by may be null or 0' },
  S21: { trap: 'somebody else may have answered' },
  S22: { trap: 'won and lost are not the end' },
  S23: { trap: 'statuses come up that nobody knows' },
  S24: { trap: "a dispute's currency need not be the payment's" },
  S25: { trap: 'the limits of evidence hold for all files together' },
  S26: { trap: "the reason fraudulent blocks the customer's card" },
  S27: { trap: "Stripe's smallest units are not ISO's for every currency" },
  S28: { trap: 'a signature is over the raw body, and over a time that must be near' },
  S29: { trap: 'what was not captured cannot be refunded' },
  S30: {
    trap: 'a bank debit can be refunded and returned at once',
    unguarded: 'nobody can prevent it, as Stripe says itself',
  },
  Z1: { trap: 'a try without its key is another refund' },
  Z2: { trap: 'a repeated key is refused, although the refund was made' },
  Z3: { trap: 'what is lost cannot be looked up' },
  Z4: { trap: 'a signed notice may be false but for its id and status' },
  Z5: { trap: 'notices have no id of their own' },
  Z6: { trap: 'an old notice is good for ever' },
  Z7: { trap: 'the signature is no HMAC' },
  Z8: {
    trap: 'whether a refund notice is signed with its own id is not documented',
    unguarded: 'it is to be seen on stage; one function picks what is signed',
  },
  Z9: { trap: 'without an amount the whole is refunded' },
  Z10: { trap: 'amounts are in major units' },
  Z11: { trap: 'amounts are floats' },
  Z12: { trap: 'Zamp returns failed sessions by itself' },
  Z13: { trap: 'Zamp checks no sum of partial refunds' },
  Z14: { trap: 'the signature header is the credential' },
  Z15: { trap: 'an empty failure code is none' },
  Z16: { trap: 'there is another Zamp, with pages of its own', unguarded: 'nothing of it was used' },
  Z17: { trap: 'a stage may be wired to real coins', unguarded: 'no host is built in: see apps/settings.spec.ts' },
  Z18: { trap: 'Zamp has no disputes', unguarded: 'nothing implements the port over it' },
  K1: { trap: 'kafkajs loses unkeyed records when it tries again' },
  K2: { trap: 'a connection at rest burns a core' },
  K3: { trap: 'a producer that lost count of its sequence does not recover' },
  K4: { trap: 'errors out of the callback end the consumer some day' },
  K5: { trap: 'a consumer that has given up says so to nobody' },
  K6: { trap: 'an offset out of range leads to the other end of the log' },
  K7: {
    trap: 'a slow partition holds up the others of its broker',
    unguarded: 'no handler calls a provider, and the rules of imports see to that',
  },
  K8: { trap: 'partitions are handled one after another' },
  K9: { trap: 'a frozen consumer goes on working' },
  K10: { trap: 'every rebalance stops all', unguarded: 'kafkajs has no other assigner' },
  K11: { trap: 'stopping waits without limit' },
  K12: { trap: 'an offset is told to Kafka before its work is stored' },
  K13: { trap: 'only gzip is built in', unguarded: 'which codec is agreed on, per topic, is for whoever runs it' },
  K14: { trap: 'amounts above 2^53 are rounded' },
  K15: { trap: 'a request that is written while its connection closes is forgotten' },
};

export const mutants: readonly Mutant[] = [...incidentMutants, ...stripeMutants, ...zampMutants, ...kafkaMutants];
