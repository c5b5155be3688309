/*
 * The tables as TypeORM knows them. Rows have the fields of what they keep, so that mapping is almost nothing: our ids lose their prefix
 * (`rf_` and 32 hex digits are a uuid), bigints come and go as bigint, and what has no table of its own is jsonb.
 */
import { Column, Entity, PrimaryColumn, type ColumnOptions, type ValueTransformer } from 'typeorm';
import type { DeadLetter, Disposition, Origin } from '#application/kept';
import type { OperationKind, Refusal, Sweep } from '#application/operations';
import type { LetterEnd } from '#contracts/oversight';
import type {
  Decision,
  DisputeAttention,
  DisputeMoney,
  DisputeStage,
  DisputeStatus,
  Eligibility,
  Movement,
} from '#domain/dispute/dispute';
import type { DraftChange, Evidence, EvidenceFile, FilePlace, FileType, EvidenceName } from '#domain/dispute/evidence';
import type { ActionRequired, Attention, Holds, RefundReason, RefundStatus, Rejection } from '#domain/refund/refund';

const bigints: ValueTransformer = {
  to: (value?: bigint | null) => value?.toString() ?? null,
  from: (value: string | null) => (value === null ? null : BigInt(value)),
};

/** `rf_0123...` outside, a uuid inside: half the size in every index. */
const idsWith = (prefix: string): ValueTransformer => ({
  to: (id?: string | null) => (id == null ? null : uuidOf(id)),
  from: (uuid: string | null) => (uuid === null ? null : `${prefix}_${uuid.replaceAll('-', '')}`),
});
export const refundIds = idsWith('rf');
export const disputeIds = idsWith('dp');
export const warningIds = idsWith('fw');
export const fileIds = idsWith('ef');

/** As JSON holds it: there are no bigints and no times. */
type AsJson<T> = { readonly [key in keyof T]: T[key] extends bigint | Date ? string : T[key] };

const movements: ValueTransformer = {
  to: (all: readonly Movement[]): AsJson<Movement>[] =>
    all.map(({ amount, fee, at, ...rest }) => ({ ...rest, amount: String(amount), fee: String(fee), at: at.toISOString() })),
  from: (kept: readonly AsJson<Movement>[]): Movement[] =>
    kept.map(({ amount, fee, at, ...rest }) => ({ ...rest, amount: BigInt(amount), fee: BigInt(fee), at: new Date(at) })),
};

const decisions: ValueTransformer = {
  to: (decision?: Decision | null) => decision ?? null,
  from: (kept: AsJson<Decision> | null): Decision | null => (kept === null ? null : { ...kept, at: new Date(kept.at) }),
};

const draftChanges: ValueTransformer = {
  to: (all: readonly DraftChange[]) => all,
  from: (kept: readonly AsJson<DraftChange>[]): DraftChange[] => kept.map((each) => ({ ...each, at: new Date(each.at) })),
};

const sentFiles: ValueTransformer = {
  to: (all: readonly EvidenceFile[]) => all,
  from: (kept: readonly (Omit<EvidenceFile, 'addedAt' | 'removedAt'> & { addedAt: string; removedAt: string | null })[]) =>
    kept.map(({ addedAt, removedAt, ...file }): EvidenceFile => ({
      ...file,
      addedAt: new Date(addedAt),
      removedAt: removedAt === null ? null : new Date(removedAt),
    })),
};

/** JSON has no times. */
const actions: ValueTransformer = {
  to: (action?: ActionRequired | null) => action ?? null,
  from: (stored: { what: ActionRequired['what']; until: string | null } | null): ActionRequired | null =>
    stored === null ? null : { what: stored.what, until: stored.until === null ? null : new Date(stored.until) },
};

/** The uuid in one of our ids; an id that is none of ours becomes the nil uuid, which nothing has. */
export function uuidOf(id: string): string {
  const hex = /^[a-z]+_([0-9a-f]{32})$/.exec(id)?.[1];
  if (hex === undefined) return '00000000-0000-0000-0000-000000000000';
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

/** Headers as jsonb can hold them: values in base64, and names without the characters that it does not take, such as NUL. */
const headers: ValueTransformer = {
  to: (given: DeadLetter['headers']) => {
    const text = (value: Buffer) => value.toString('base64');
    return Object.fromEntries(
      Object.entries(given).map(([name, value]) => [
        encodeURIComponent(name),
        Buffer.isBuffer(value) ? text(value) : value.map(text),
      ]),
    );
  },
  from: (kept: Readonly<Record<string, string | readonly string[]>>): DeadLetter['headers'] => {
    const bytes = (value: string) => Buffer.from(value, 'base64');
    return Object.fromEntries(
      Object.entries(kept).map(([name, value]) => [
        decodeURIComponent(name),
        typeof value === 'string' ? bytes(value) : value.map(bytes),
      ]),
    );
  },
};

const Text = (options: ColumnOptions = {}) => Column({ type: 'text', ...options });
const MaybeText = () => Text({ nullable: true });
const Big = (options: ColumnOptions = {}) => Column({ type: 'bigint', transformer: bigints, ...options });
const Int = () => Column({ type: 'integer' });
const Bool = () => Column({ type: 'boolean' });
const Uuid = () => Column({ type: 'uuid', nullable: true });
const DisputeId = () => Column({ type: 'uuid', nullable: true, transformer: disputeIds });
const Json = (options: ColumnOptions = {}) => Column({ type: 'jsonb', ...options });
const Time = () => Column({ type: 'timestamptz' });
const MaybeTime = () => Column({ type: 'timestamptz', nullable: true });
/** Given by the database in order of arrival; never written by us. */
const Ordinal = () => Column({ type: 'bigint', transformer: bigints, insert: false, update: false });

@Entity('payment')
export class PaymentRow {
  @PrimaryColumn({ type: 'uuid' }) key!: string;
  @Text() account!: string;
  @Text() provider!: string;
  @Text() name!: string;
  @Bool() settled!: boolean;
  @Json() aliases!: readonly string[];
  @MaybeText() currency!: string | null;
  @Big() captured!: bigint;
  @Big() reserved!: bigint;
  @Big() refunded!: bigint;
  @Big() disputed!: bigint;
  @Big() lost!: bigint;
  @Text() basis!: 'provider' | 'records';
  @MaybeTime() readAt!: Date | null;
  @MaybeTime() paidAt!: Date | null;
  @Json({ nullable: true }) refusal!: Rejection | null;
  @Int() waiting!: number;
  @Int() unknown!: number;
  @Int() inquiries!: number;
  @Bool() refundable!: boolean;
  @MaybeTime() refundableAt!: Date | null;
  @Big() sequence!: bigint;
  @Int() version!: number;
}

@Entity('payment_alias')
export class PaymentAliasRow {
  @PrimaryColumn({ type: 'text' }) account!: string;
  @PrimaryColumn({ type: 'text' }) provider!: string;
  @PrimaryColumn({ type: 'text' }) name!: string;
  @Column({ type: 'uuid' }) paymentKey!: string;
}

@Entity('refund')
export class RefundRow {
  @PrimaryColumn({ type: 'uuid', transformer: refundIds }) id!: string;
  @Ordinal() ordinal!: bigint | null;
  @Text() account!: string;
  @Text() provider!: string;
  @Column({ type: 'uuid' }) paymentKey!: string;
  @Text() namedPayment!: string;
  @Text() status!: RefundStatus;
  @MaybeText() attention!: Attention | null;
  @Big({ nullable: true }) amount!: bigint | null;
  @MaybeText() currency!: string | null;
  @Text() holds!: Holds;
  @MaybeText() reason!: RefundReason | null;
  @Bool() blockCustomer!: boolean;
  @MaybeText() reference!: string | null;
  @MaybeText() note!: string | null;
  @Json() metadata!: Readonly<Record<string, string>>;
  @Big({ nullable: true }) expectedAvailable!: bigint | null;
  @Text() origin!: 'command' | 'discovered';
  @Int() attempt!: number;
  @MaybeText() providerRefundId!: string | null;
  @MaybeText() providerStatus!: string | null;
  @MaybeText() pendingReason!: string | null;
  @MaybeText() failureCode!: string | null;
  @MaybeText() bankReference!: string | null;
  @Json({ nullable: true, transformer: actions }) actionRequired!: ActionRequired | null;
  @MaybeTime() reportedAt!: Date | null;
  @MaybeTime() unknownSince!: Date | null;
  @Json({ nullable: true }) rejection!: Rejection | null;
  @MaybeText() outcome!: 'accepted' | 'rejected' | null;
  @Json({ nullable: true }) command!: Origin | null;
  @Bool() told!: boolean;
  @Int() version!: number;
  @Time() createdAt!: Date;
  @Time() updatedAt!: Date;
  @MaybeTime() finalAt!: Date | null;
}

@Entity('provider_refund')
export class ProviderRefundRow {
  @PrimaryColumn({ type: 'text' }) account!: string;
  @PrimaryColumn({ type: 'text' }) provider!: string;
  @PrimaryColumn({ type: 'text' }) id!: string;
  @Column({ type: 'uuid', transformer: refundIds }) refundId!: string;
  @Int() attempt!: number;
}

@Entity('dispute')
export class DisputeRow {
  @PrimaryColumn({ type: 'uuid', transformer: disputeIds }) id!: string;
  @Ordinal() ordinal!: bigint | null;
  @Text() account!: string;
  @Text() provider!: string;
  @Text() providerDisputeId!: string;
  @Column({ type: 'uuid' }) paymentKey!: string;
  @Text() stage!: DisputeStage;
  @Text() status!: DisputeStatus;
  @Text() money!: DisputeMoney;
  @MaybeText() attention!: DisputeAttention | null;
  @Text() providerStatus!: string;
  @Big() amount!: bigint;
  @Text() currency!: string;
  @MaybeText() reason!: string | null;
  @MaybeText() networkReasonCode!: string | null;
  @MaybeText() network!: string | null;
  @Bool() refundable!: boolean;
  @MaybeTime() dueBy!: Date | null;
  @MaybeTime() decideBy!: Date | null;
  @MaybeTime() nextAlarmAt!: Date | null;
  @Int() alarms!: number;
  @Int() round!: number;
  @Int() submissions!: number;
  @Int() submissionsBefore!: number;
  @Json({ nullable: true, transformer: decisions }) decision!: Decision | null;
  @Json() eligibilities!: readonly Eligibility[];
  @Json({ transformer: movements }) movements!: readonly Movement[];
  @Big() disputed!: bigint;
  @Big() lost!: bigint;
  @Int() attempt!: number;
  @Time() reportedAt!: Date;
  @Time() openedAt!: Date;
  @Int() version!: number;
  @Time() createdAt!: Date;
  @Time() updatedAt!: Date;
}

@Entity('evidence_draft')
export class DraftRow {
  @PrimaryColumn({ type: 'uuid', transformer: disputeIds }) disputeId!: string;
  @Int() version!: number;
  @Json() content!: Evidence;
  @Json({ transformer: draftChanges }) changes!: readonly DraftChange[];
  @Int() stagedVersion!: number;
  @Json() staged!: readonly EvidenceName[];
}

@Entity('evidence_file')
export class EvidenceFileRow {
  @PrimaryColumn({ type: 'uuid', transformer: fileIds }) id!: string;
  @Ordinal() ordinal!: bigint;
  @Column({ type: 'uuid', transformer: disputeIds }) disputeId!: string;
  @Text() place!: FilePlace;
  @Text() name!: string;
  @Text() type!: FileType;
  @Int() size!: number;
  @Int() pages!: number;
  @Text() digest!: string;
  @MaybeText() providerFileId!: string | null;
  @MaybeText() refusedAs!: string | null;
  @Text() by!: string;
  @Time() addedAt!: Date;
  @MaybeTime() removedAt!: Date | null;
  /** Written with the row, and read by whoever wants nothing else: all that is loaded of a file is what is known about it. */
  @Column({ type: 'bytea', nullable: true, select: false }) bytes!: Buffer;
}

@Entity('evidence_packet')
export class PacketRow {
  @PrimaryColumn({ type: 'uuid', transformer: disputeIds }) disputeId!: string;
  @PrimaryColumn({ type: 'integer' }) round!: number;
  @PrimaryColumn({ type: 'integer' }) version!: number;
  @Json() content!: Evidence;
  /** As they stood when it was decided; what the provider calls them is kept with the files alone. */
  @Json({ transformer: sentFiles }) files!: readonly EvidenceFile[];
  @Json() emptied!: readonly EvidenceName[];
  @Text() by!: string;
  @Time() decidedAt!: Date;
  @MaybeTime() submittedAt!: Date | null;
}

@Entity('fraud_warning')
export class WarningRow {
  @PrimaryColumn({ type: 'uuid', transformer: warningIds }) id!: string;
  @Text() account!: string;
  @Text() provider!: string;
  @Text() providerWarningId!: string;
  @Column({ type: 'uuid' }) paymentKey!: string;
  @Bool() actionable!: boolean;
  @Text() fraudType!: string;
  @Time() openedAt!: Date;
  @Time() reportedAt!: Date;
}

@Entity('command')
export class CommandRow {
  @PrimaryColumn({ type: 'uuid' }) id!: string;
  @Text() account!: string;
  @Text() door!: 'http' | 'kafka';
  @Text() source!: string;
  @Text() key!: string;
  @Text() type!: string;
  @Text() digest!: string;
  @Column({ type: 'uuid', nullable: true, transformer: refundIds }) refundId!: string | null;
  @DisputeId() disputeId!: string | null;
  @Json({ nullable: true }) body!: object | null;
  /** JSON as text: a repeated command gets the very same bytes. */
  @Text() answer!: string;
  @Time() receivedAt!: Date;
}

@Entity('provider_operation')
export class OperationRow {
  @PrimaryColumn({ type: 'uuid' }) id!: string;
  @Ordinal() ordinal!: bigint | null;
  @Text() account!: string;
  @Text() provider!: string;
  @Text() kind!: OperationKind;
  @Text() target!: string;
  @Column({ type: 'uuid', nullable: true, transformer: refundIds }) refundId!: string | null;
  @DisputeId() disputeId!: string | null;
  @Uuid() paymentKey!: string | null;
  @MaybeText() lane!: string | null;
  @Bool() head!: boolean;
  @MaybeText() key!: string | null;
  @Int() attempt!: number;
  @Int() tries!: number;
  @MaybeTime() firstSentAt!: Date | null;
  @MaybeTime() lastSentAt!: Date | null;
  @Time() runAt!: Date;
  @Column({ type: 'smallint' }) priority!: number;
  @Text() state!: 'open' | 'parked' | 'done' | 'dropped';
  @Bool() again!: boolean;
  @Int() listings!: number;
  @Json({ nullable: true }) refusal!: Refusal | null;
  @Json({ nullable: true }) sweep!: Sweep | null;
  @MaybeText() result!: string | null;
  @Big() fence!: bigint;
  @MaybeTime() leaseUntil!: Date | null;
  @Time() createdAt!: Date;
  @MaybeTime() doneAt!: Date | null;
}

@Entity('provider_call')
export class CallRow {
  @PrimaryColumn({ type: 'bigint', transformer: bigints, insert: false, update: false }) ordinal!: bigint;
  @Column({ type: 'uuid' }) operationId!: string;
  @Column({ type: 'uuid', nullable: true, transformer: refundIds }) refundId!: string | null;
  @DisputeId() disputeId!: string | null;
  @Uuid() paymentKey!: string | null;
  @MaybeText() key!: string | null;
  @Int() attempt!: number;
  @Text() call!: string;
  @Column({ type: 'integer', nullable: true }) httpStatus!: number | null;
  @MaybeText() requestId!: string | null;
  @Text() result!: string;
  @Time() startedAt!: Date;
  @Time() endedAt!: Date;
}

@Entity('event')
export class EventRow {
  @PrimaryColumn({ type: 'bigint', transformer: bigints, insert: false, update: false }) ordinal!: bigint;
  @Text() id!: string;
  @Text() topic!: string;
  @Text() type!: string;
  @Text() account!: string;
  @MaybeText() key!: string | null;
  @Text() subject!: string;
  @Uuid() paymentKey!: string | null;
  @Big({ nullable: true }) sequence!: bigint | null;
  @Time() time!: Date;
  @MaybeText() correlationId!: string | null;
  @MaybeText() causationId!: string | null;
  @MaybeText() traceparent!: string | null;
  @Text() data!: string;
}

@Entity('dead_letter')
export class DeadLetterRow {
  @PrimaryColumn({ type: 'uuid' }) id!: string;
  @Ordinal() ordinal!: bigint;
  @Text() topic!: string;
  @Int() partition!: number;
  @Big() offset!: bigint;
  @Column({ type: 'bytea', nullable: true }) key!: Buffer | null;
  @Column({ type: 'bytea', nullable: true }) value!: Buffer | null;
  @Json({ transformer: headers }) headers!: DeadLetter['headers'];
  @Text() code!: string;
  @Text() detail!: string;
  @Time() at!: Date;
  @MaybeText() end!: LetterEnd | null;
  @MaybeTime() endedAt!: Date | null;
  @MaybeText() endedBy!: string | null;
  @MaybeText() endDetail!: string | null;
  @Column({ type: 'uuid', nullable: true, transformer: refundIds }) refundId!: string | null;
}

@Entity('sending_pause')
export class PauseRow {
  @PrimaryColumn({ type: 'uuid' }) id!: string;
  @MaybeText() provider!: string | null;
  @MaybeText() account!: string | null;
  @Text() reason!: string;
  @Text() by!: string;
  @Time() since!: Date;
  @Bool() automatic!: boolean;
}

@Entity('sending_hour')
export class SendingHourRow {
  @PrimaryColumn({ type: 'text' }) account!: string;
  @PrimaryColumn({ type: 'text' }) provider!: string;
  @Time() since!: Date;
  @Int() sends!: number;
  @Json() amounts!: Readonly<Record<string, string>>;
}

@Entity('webhook_delivery')
export class DeliveryRow {
  @PrimaryColumn({ type: 'uuid' }) id!: string;
  @Ordinal() ordinal!: bigint;
  @Text() account!: string;
  @Text() provider!: string;
  @MaybeText() noticeId!: string | null;
  @MaybeText() type!: string | null;
  @Column({ type: 'bytea', nullable: true }) body!: Buffer | null;
  @Text() digest!: string;
  @MaybeText() sentFrom!: string | null;
  @Time() receivedAt!: Date;
  @MaybeText() disposition!: Disposition | null;
  @MaybeText() detail!: string | null;
  @Uuid() operationId!: string | null;
  @Column({ type: 'uuid', nullable: true, transformer: refundIds }) refundId!: string | null;
  @DisputeId() disputeId!: string | null;
  @MaybeTime() leaseUntil!: Date | null;
  @MaybeTime() handledAt!: Date | null;
}

export const rows = [
  PaymentRow,
  PaymentAliasRow,
  RefundRow,
  ProviderRefundRow,
  DisputeRow,
  DraftRow,
  EvidenceFileRow,
  PacketRow,
  WarningRow,
  CommandRow,
  OperationRow,
  CallRow,
  EventRow,
  DeadLetterRow,
  PauseRow,
  SendingHourRow,
  DeliveryRow,
];
