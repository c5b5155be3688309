import { Flag, Message, OurId, Reason, Text, Whole, type Class } from '#contracts/fields';

const DisputeId = () => OurId('dp', { about: 'The dispute, by our id.', example: 'dp_01HZX3J9' });

/** Spends the one answer that a stage of a dispute allows. */
@Message('Submits the evidence of a dispute as it stands in the given version. It cannot be taken back.')
export class SubmitEvidence {
  @DisputeId()
  declare readonly disputeId: string;

  @Flag({ about: 'Must be true: what is submitted cannot be changed any more.', example: true })
  declare readonly confirm: boolean;

  @Whole({ min: 1, about: 'The version of the evidence that was looked at; refused when it has changed since.', example: 3 })
  declare readonly version: number;
}

/** Gives a dispute up. */
@Message('Accepts a dispute as lost. It cannot be taken back.')
export class AcceptDispute {
  @DisputeId()
  declare readonly disputeId: string;

  @Flag({ about: 'Must be true: the money is given up for good.', example: true })
  declare readonly confirm: boolean;

  @Text({ max: 500, about: 'Why, for people; never published.', example: 'The parcel never left the house', optional: true })
  declare readonly reason?: string;
}

/** Records that nobody means to answer. */
@Message(
  'Records the decision to let the deadline of a dispute pass. Nothing is sent; until the deadline it can be answered after all.',
)
export class LetDisputePass {
  @DisputeId()
  declare readonly disputeId: string;

  @Reason({ max: 500, about: 'Why, for people; never published.', example: 'Less than an answer costs' })
  declare readonly reason: string;
}

/** Asks the provider now, instead of waiting for its word. */
@Message('Reads the dispute at its provider now.')
export class SyncDispute {
  @DisputeId()
  declare readonly disputeId: string;
}

/** A person has seen why a dispute asks for attention. */
@Message('Ends the attention that a dispute asks for, where a person has only to know of it.')
export class AcknowledgeDispute {
  @DisputeId()
  declare readonly disputeId: string;

  @Text({ max: 500, about: 'What was done about it, for people; never published.', example: 'Asked the bank by telephone' })
  declare readonly reason: string;
}

/** Whether all that is wrong with a body is that it leaves the confirmation out: then its sender is told just that. */
export const lacksOnlyConfirmation = (errors: readonly { readonly path: string; readonly message: string }[]): boolean =>
  errors.length > 0 && errors.every(({ path, message }) => path === 'confirm' && message.startsWith('confirm is missing'));

/** The commands that come in on `disputes.commands.v1`, by `ce_type`. Over HTTP the dispute stands in the path. */
export const disputeCommands = {
  'redress.SubmitEvidence.v1': SubmitEvidence,
  'redress.AcceptDispute.v1': AcceptDispute,
  'redress.LetDisputePass.v1': LetDisputePass,
  'redress.SyncDispute.v1': SyncDispute,
  'redress.AcknowledgeDispute.v1': AcknowledgeDispute,
} as const satisfies Record<string, Class>;

export type DisputeCommandType = keyof typeof disputeCommands;
export type DisputeCommand = InstanceType<(typeof disputeCommands)[DisputeCommandType]>;
