/* What a person on call orders: the switch that pauses sending, parked operations, dead letters. HTTP only. */
import { Account, Flag, Inside, ListOf, Message, needs, OneOf, Text, Time, Whole, type Class } from '#contracts/fields';
import { providers, type Provider } from '#contracts/refund-commands';

const OfProvider = () =>
  OneOf(providers, { about: 'Of one provider alone. Left out: of all of them.', example: 'stripe', optional: true });
const OfAccount = () =>
  Account({
    about: "Of one account alone, by its provider's name. Left out: of all of them.",
    example: 'default',
    optional: true,
  });

/** The body of PUT /v1/sending. */
@Message('Pauses what would move money, or lets it go on: everything, that of a provider, or that of one account.', [
  needs('account', 'provider'),
])
export class SwitchSending {
  @OfProvider()
  declare readonly provider?: Provider;

  @OfAccount()
  declare readonly account?: string;

  @Flag({
    about: 'Whether this very scope is paused from now on. A pause of a wider or narrower scope stays as it is.',
    example: true,
  })
  declare readonly paused: boolean;

  @Text({ max: 500, about: 'Why, for people.', example: 'The shop sends refunds twice, ticket 17' })
  declare readonly reason: string;
}

/** What a pause is about. */
@Message('What is paused; with neither field, everything.')
export class SendingScope {
  @OneOf(providers, { about: 'The provider; null: all of them.', example: 'stripe', nullable: true })
  declare readonly provider: Provider | null;

  @Account({ about: 'The account at the provider; null: all of them.', example: 'default', nullable: true })
  declare readonly account: string | null;
}

/** A pause that stands. */
@Message('Something that is paused.')
export class SendingPause {
  @Inside(SendingScope, { about: 'What.' })
  declare readonly scope: SendingScope;

  @Text({ max: 1000, about: 'Why; of the breaker, with its figures.', example: 'The shop sends refunds twice, ticket 17' })
  declare readonly reason: string;

  @Text({ max: 255, about: 'Who did it: a caller, or the breaker.', example: 'admin' })
  declare readonly by: string;

  @Time({ about: 'Since when it is paused.', example: '2026-01-31T09:30:00.000Z' })
  declare readonly since: string;

  @Flag({ about: 'Whether the breaker did it: then a person should look.', example: false })
  declare readonly automatic: boolean;
}

/** The answer of GET and PUT /v1/sending. */
@Message('What of sending is paused now. A refund is sent only where no pause covers its account.')
export class Sending {
  @ListOf(SendingPause, { about: 'Every pause that stands; empty while all is sent.' })
  declare readonly paused: readonly SendingPause[];
}

/** The body of POST /v1/attention/operations/resume. */
@Message('Takes up parked operations: all of them, those of a provider, or those of one account.', [needs('account', 'provider')])
export class ResumeOperations {
  @OfProvider()
  declare readonly provider?: Provider;

  @OfAccount()
  declare readonly account?: string;
}

/** The answer of POST /v1/attention/operations/resume. */
@Message('How many parked operations were taken up.')
export class ResumedOperations {
  @Whole({ min: 0, about: 'They are tried now, and park again where the cause is still there.', example: 12 })
  declare readonly resumed: number;
}

/** The body of POST /v1/dead-letters/{id}/dismiss. */
@Message('Takes a dead letter off the list of what needs a person.')
export class DismissDeadLetter {
  @Text({ max: 64, about: 'The dead letter, by our id.', example: '0b1c6f0e-0000-4000-8000-000000000000' })
  declare readonly id: string;

  @Text({ max: 500, about: 'What was done about it, for people.', example: 'The shop has sent it anew as c-1842-2' })
  declare readonly reason: string;
}

/** The orders among these. */
export const ordersOnCall: readonly Class[] = [DismissDeadLetter, ResumeOperations, SwitchSending];
