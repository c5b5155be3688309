import { Column, Entity, PrimaryColumn, PrimaryGeneratedColumn } from 'typeorm';

/* Our tables as the peer's authors would have mapped them: the columns they write, with generated keys where they can. */

const amount = { from: Number, to: (value: number) => value };

@Entity('payment')
export class Payment {
  @PrimaryColumn('uuid') key!: string;
  @Column() account!: string;
  @Column() provider!: string;
  @Column() name!: string;
  @Column() currency!: string;
  @Column('bigint', { transformer: amount }) captured!: number;
  @Column('bigint', { transformer: amount }) reserved!: number;
  @Column('bigint', { transformer: amount }) refunded!: number;
  @Column('bigint', { transformer: amount }) disputed!: number;
  @Column('bigint', { transformer: amount }) lost!: number;
  @Column('bigint', { transformer: amount }) sequence!: number;
  @Column() version!: number;
}

@Entity('payment_alias')
export class PaymentAlias {
  @PrimaryColumn() account!: string;
  @PrimaryColumn() provider!: string;
  @PrimaryColumn() name!: string;
  @Column('uuid', { name: 'payment_key' }) paymentKey!: string;
}

@Entity('refund')
export class Refund {
  @PrimaryGeneratedColumn('uuid') id!: string;
  @Column() account!: string;
  @Column() provider!: string;
  @Column('uuid', { name: 'payment_key' }) paymentKey!: string;
  @Column({ name: 'named_payment' }) namedPayment!: string;
  @Column() status!: string;
  @Column('bigint', { transformer: amount }) amount!: number;
  @Column() currency!: string;
  @Column() holds!: string;
  @Column({ name: 'block_customer' }) blockCustomer!: boolean;
  @Column('jsonb') metadata!: object;
  @Column() origin!: string;
  @Column() attempt!: number;
  @Column('jsonb', { nullable: true }) rejection!: object | null;
  @Column() outcome!: string;
  @Column('jsonb') command!: object;
  @Column() told!: boolean;
  @Column() version!: number;
  @Column('timestamptz', { name: 'created_at' }) createdAt!: Date;
  @Column('timestamptz', { name: 'updated_at' }) updatedAt!: Date;
}

@Entity('event')
export class Event {
  @PrimaryGeneratedColumn({ type: 'bigint' }) ordinal!: string;
  @Column() id!: string;
  @Column() topic!: string;
  @Column() type!: string;
  @Column() account!: string;
  @Column() key!: string;
  @Column() subject!: string;
  @Column('uuid', { name: 'payment_key', nullable: true }) paymentKey!: string | null;
  @Column('bigint', { nullable: true }) sequence!: number | null;
  @Column('timestamptz') time!: Date;
  @Column({ name: 'correlation_id' }) correlationId!: string;
  @Column({ name: 'causation_id' }) causationId!: string;
  @Column('text') data!: string;
}

/** The inbox. */
@Entity('command')
export class ReceivedCommand {
  @PrimaryColumn('uuid') id!: string;
  @Column() account!: string;
  @Column() door!: string;
  @Column() source!: string;
  @Column() key!: string;
  @Column() type!: string;
  @Column() digest!: string;
  @Column('uuid', { name: 'refund_id' }) refundId!: string;
  @Column() answer!: string;
  @Column('timestamptz', { name: 'received_at' }) receivedAt!: Date;
}

@Entity('provider_operation')
export class ProviderOperation {
  @PrimaryGeneratedColumn('uuid') id!: string;
  @Column() account!: string;
  @Column() provider!: string;
  @Column() kind!: string;
  @Column() target!: string;
  @Column('uuid', { name: 'refund_id' }) refundId!: string;
  @Column('uuid', { name: 'payment_key' }) paymentKey!: string;
  @Column() lane!: string;
  @Column() head!: boolean;
  @Column() key!: string;
  @Column() attempt!: number;
  @Column() tries!: number;
  @Column('timestamptz', { name: 'run_at' }) runAt!: Date;
  @Column('smallint') priority!: number;
  @Column() state!: string;
  @Column() again!: boolean;
  @Column('bigint') fence!: number;
  @Column('timestamptz', { name: 'created_at' }) createdAt!: Date;
}

export const entities = [Payment, PaymentAlias, Refund, Event, ReceivedCommand, ProviderOperation];
