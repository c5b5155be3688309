import type pg from 'pg';
import type { Expected } from './commands.js';

/**
 * What is wrong in the books after a round, or nothing. Each command is one refund, admitted or rejected as it must be, with one outcome;
 * an admitted one has one send waiting or under way; what a payment holds is the sum of its refunds; its events are numbered without a gap.
 */
export async function faultsOf(client: pg.Client, expected: ReadonlyMap<string, Expected>): Promise<string[]> {
  const faults: string[] = [];
  const refunds = await client.query<{
    id: string;
    name: string;
    amount: string;
    currency: string;
    status: string;
    holds: string;
  }>(
    `select refund.command ->> 'id' as id, payment.name, refund.amount, refund.currency, refund.status, refund.holds
     from refund join payment on payment.key = refund.payment_key`,
  );
  const seen = new Set<string>();
  for (const { id, name, amount, currency, status, holds } of refunds.rows) {
    const command = expected.get(id);
    if (command === undefined || seen.has(id)) faults.push(`the refund of ${id} is one too many`);
    seen.add(id);
    if (command === undefined) continue;
    if (command.paymentId !== name || command.amount !== Number(amount) || command.currency !== currency) {
      faults.push(`the refund of ${id} is ${amount} ${currency} of ${name}`);
    }
    const isAdmitted = ['approved', 'submitted', 'outcome_unknown'].includes(status) && holds === 'reserved';
    const isRejected = status === 'rejected' && holds === 'nothing';
    if (command.isAdmitted ? !isAdmitted : !isRejected) faults.push(`the refund of ${id} is ${status} and holds ${holds}`);
  }
  for (const id of expected.keys()) if (!seen.has(id)) faults.push(`${id} has no refund`);

  const admitted = Map.groupBy(
    [...expected.values()].filter((each) => each.isAdmitted),
    (each) => each.paymentId,
  );
  const payments = await client.query<{ name: string; reserved: string; sequence: string; events: string; last: string }>(
    `select name, reserved, payment.sequence, coalesce(events, 0) as events, coalesce(last, 0) as last
     from payment left join (
       select payment_key, count(*) as events, max(sequence) as last from event where sequence is not null group by payment_key
     ) told on told.payment_key = payment.key`,
  );
  for (const { name, reserved, sequence, events, last } of payments.rows) {
    const sum = (admitted.get(name) ?? []).reduce((total, { amount }) => total + amount, 0);
    if (Number(reserved) !== sum) faults.push(`${name} has ${reserved} reserved, and its refunds are ${sum}`);
    if (sequence !== events || sequence !== last)
      faults.push(`${name} has ${events} events, numbered up to ${last}, and counts ${sequence}`);
  }

  const outcomes = await client.query<{ id: string; type: string }>(
    `select causation_id as id, type from event where type in ('redress.command.accepted.v1', 'redress.command.rejected.v1')`,
  );
  const told = new Set<string>();
  for (const { id, type } of outcomes.rows) {
    if (told.has(id)) faults.push(`${id} has two outcomes`);
    told.add(id);
    if (type !== `redress.command.${expected.get(id)?.isAdmitted === true ? 'accepted' : 'rejected'}.v1`)
      faults.push(`${id} was told ${type}`);
  }
  if (told.size !== expected.size) faults.push(`${told.size} of ${expected.size} commands have an outcome`);

  const sends = await client.query<{ wrong: string }>(
    `select count(*) as wrong from refund full join (
       select target, count(*) as sends from provider_operation where kind = 'refund.send' group by target
     ) sent on sent.target = 'rf_' || replace(refund.id::text, '-', '')
     where coalesce(sends, 0) <> (refund.holds = 'reserved')::int or refund.id is null`,
  );
  if (sends.rows[0]?.wrong !== '0') faults.push(`${sends.rows[0]?.wrong} refunds do not have the one send they need`);
  return faults;
}
