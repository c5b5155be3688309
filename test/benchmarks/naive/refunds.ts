import { createHash, randomUUID } from 'node:crypto';
import { Controller, Injectable } from '@nestjs/common';
import { Ctx, EventPattern, KafkaContext, Payload } from '@nestjs/microservices';
import { IsIn, IsInt, IsNotEmpty, IsOptional, IsString, Length, Min } from 'class-validator';
import { DataSource, In, type EntityManager } from 'typeorm';
import { v5 as uuid5 } from 'uuid';
import { Event, Payment, PaymentAlias, ProviderOperation, ReceivedCommand, Refund } from './entities.js';

const commandIds = '2f1c6a0e-6f0a-4a55-9a0e-0b5d3d9a7c11';

export class RequestRefund {
  @IsOptional() @IsString() account = 'default';
  @IsIn(['stripe', 'zamp']) provider!: string;
  @IsString() @IsNotEmpty() paymentId!: string;
  @IsInt() @Min(1) amount!: number;
  @IsString() @Length(3, 3) currency!: string;
}

interface Sender {
  readonly id: string;
  readonly source: string;
  readonly type: string;
}

@Injectable()
export class RefundsService {
  constructor(private readonly dataSource: DataSource) {}

  async request(command: RequestRefund, sender: Sender): Promise<void> {
    const commandId = uuid5(`${command.account}:${sender.source}:${sender.id}`, commandIds);
    await this.dataSource.transaction(async (manager) => {
      if (await manager.existsBy(ReceivedCommand, { id: commandId })) return;
      const payment = await lockedPayment(manager, command);
      const rejection = rejectionOf(command, payment);
      const now = new Date();
      const refund = await saveRefund(manager, command, sender, payment, rejection, now);
      await manager.save(eventsOf(refund, sender, payment, now));
      if (rejection === null) {
        await saveOperation(manager, refund, now);
        payment.reserved += refund.amount;
        payment.version += 1;
      }
      payment.sequence += 2;
      await manager.save(payment);
      await manager.save(
        manager.create(ReceivedCommand, {
          id: commandId,
          account: command.account,
          door: 'kafka',
          source: sender.source,
          key: sender.id,
          type: sender.type,
          digest: createHash('sha256').update(JSON.stringify(command)).digest('base64url'),
          refundId: refund.id,
          answer: JSON.stringify({ status: refund.status }),
          receivedAt: now,
        }),
      );
    });
  }
}

@Controller()
export class RefundsController {
  constructor(private readonly refunds: RefundsService) {}

  @(EventPattern(process.env['TOPIC'] ?? 'refunds.commands.v1') as MethodDecorator)
  async requested(@Payload() command: RequestRefund, @Ctx() context: KafkaContext): Promise<void> {
    const headers = context.getMessage().headers ?? {};
    const header = (name: string) => String(headers[name]);
    await this.refunds.request(command, { id: header('ce_id'), source: header('ce_source'), type: header('ce_type') });
  }
}

async function lockedPayment(manager: EntityManager, { account, provider, paymentId }: RequestRefund): Promise<Payment> {
  const { paymentKey: key } = await manager.findOneByOrFail(PaymentAlias, { account, provider, name: paymentId });
  return manager.findOneOrFail(Payment, { where: { key }, lock: { mode: 'pessimistic_write' } });
}

function rejectionOf(command: RequestRefund, payment: Payment): { code: string; detail: string } | null {
  const available = payment.captured - payment.reserved - payment.refunded - payment.disputed - payment.lost;
  if (command.currency !== payment.currency) {
    return { code: 'currency_mismatch', detail: `The payment is in ${payment.currency}, the refund in ${command.currency}.` };
  }
  if (command.amount > available) {
    return { code: 'amount_exceeds_available', detail: `${command.amount} was asked for, ${available} is available.` };
  }
  return null;
}

function saveRefund(
  manager: EntityManager,
  command: RequestRefund,
  sender: Sender,
  payment: Payment,
  rejection: object | null,
  now: Date,
): Promise<Refund> {
  const isAdmitted = rejection === null;
  return manager.save(
    manager.create(Refund, {
      account: command.account,
      provider: command.provider,
      paymentKey: payment.key,
      namedPayment: command.paymentId,
      status: isAdmitted ? 'approved' : 'rejected',
      amount: command.amount,
      currency: command.currency,
      holds: isAdmitted ? 'reserved' : 'nothing',
      blockCustomer: false,
      metadata: {},
      origin: 'command',
      attempt: 1,
      rejection,
      outcome: isAdmitted ? 'accepted' : 'rejected',
      command: { door: 'kafka', ...sender },
      told: true,
      version: 2,
      createdAt: now,
      updatedAt: now,
    }),
  );
}

/** Two events of the payment's story, and the command's outcome. */
function eventsOf(refund: Refund, sender: Sender, payment: Payment, time: Date): Event[] {
  const data = JSON.stringify({ refund });
  const shared = {
    account: refund.account,
    key: `${payment.account}:${payment.provider}:${payment.name}`,
    subject: publicId(refund),
    time,
    correlationId: sender.id,
    causationId: sender.id,
    data,
  };
  const story = { ...shared, topic: 'refunds.events.v1', paymentKey: payment.key };
  const events: Omit<Event, 'ordinal' | 'id'>[] = [
    { ...story, type: 'redress.refund.requested.v1', sequence: payment.sequence + 1 },
    { ...story, type: `redress.refund.${refund.status}.v1`, sequence: payment.sequence + 2 },
    { ...shared, topic: 'refunds.outcomes.v1', type: `redress.command.${refund.outcome}.v1`, paymentKey: null, sequence: null },
  ];
  return events.map((event) => Object.assign(new Event(), event, { id: `evt_${randomUUID()}` }));
}

async function saveOperation(manager: EntityManager, refund: Refund, now: Date): Promise<void> {
  const lane = `refunds:${refund.paymentKey}`;
  const isBusy = await manager.existsBy(ProviderOperation, { lane, state: In(['open', 'parked']) });
  await manager.save(
    manager.create(ProviderOperation, {
      account: refund.account,
      provider: refund.provider,
      kind: 'refund.send',
      target: publicId(refund),
      refundId: refund.id,
      paymentKey: refund.paymentKey,
      lane,
      head: !isBusy,
      key: `refund:${publicId(refund)}:1`,
      attempt: 1,
      tries: 0,
      runAt: now,
      priority: 10,
      state: 'open',
      again: false,
      fence: 0,
      createdAt: now,
    }),
  );
}

const publicId = ({ id }: Refund) => `rf_${id.replaceAll('-', '')}`;
