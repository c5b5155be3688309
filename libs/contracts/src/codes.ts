/** Why a Kafka record is not a CloudEvent that we take. */
export const envelopeCodes = {
  empty_value: 'The record has no value.',
  missing_ce_id: 'The record has no ce_id, or an empty one.',
  missing_ce_source: 'The record has no ce_source, or an empty one.',
  missing_ce_type: 'The record has no ce_type, or an empty one.',
  wrong_ce_specversion: 'ce_specversion must be there and be 1.0.',
  wrong_ce_type: 'This ce_type is not taken on this topic.',
  wrong_ce_time: 'ce_time must be a time as in RFC 3339.',
  wrong_attribute: 'An attribute is longer than 255 characters, is not UTF-8, has a NUL character, or stands there twice.',
  wrong_content_type: 'The content-type must be application/json, or application/cloudevents+json for structured mode.',
  broken_envelope: 'The value is not one JSON object that can be read in one way only, as structured mode needs it.',
  missing_data: 'The event has no data.',
} as const;

export type EnvelopeCode = keyof typeof envelopeCodes;

/**
 * Every reason for which Redress says no, with the sentence that a person reads. The codes are published: they stay as they are,
 * new ones may come. Which HTTP status a code has is the HTTP door's business.
 */
export const codes = {
  // The rules refuse. The same code stands in a rejected refund, in a command's outcome and in the HTTP answer.
  payment_not_found: 'The provider does not know this payment.',
  payment_not_captured: 'The payment has not been captured, so there is nothing to send back yet.',
  payment_not_refundable: 'The payment cannot be refunded.',
  payment_disputed: 'The payment is disputed, so the provider lets nothing of it be sent back now.',
  amount_exceeds_available: 'The amount is more than what is left to refund.',
  nothing_left_to_refund: 'Nothing is left to refund on this payment.',
  currency_mismatch: 'The currency is not that of the payment.',
  amount_not_representable: 'The provider cannot carry this amount in this currency.',
  expected_available_mismatch: 'What is left to refund is not what the caller expected.',
  reference_already_used: 'Another refund of this account has this reference.',
  unknown_account: 'No such account is configured for this provider.',
  outcome_unknown_blocks_payment: 'An earlier refund of this payment has an unknown outcome; it must be settled first.',
  provider_refused: 'The provider refused the refund, and no money moved.',
  approval_refused: 'A second person turned the refund down.',
  approval_expired: 'Nobody approved the refund in time.',

  // An order about a refund that does not fit where it stands.
  refund_not_found: 'There is no such refund.',
  not_awaiting_approval: 'The refund does not await approval.',
  own_approval: 'Whoever asked for a refund cannot approve it.',
  not_cancelable: 'The refund can no longer be taken back.',
  not_retryable: 'The refund did not end without effect, so it cannot be tried again.',
  not_resolvable: 'The outcome of the refund is not unknown.',
  not_acknowledgeable: 'It asks for no attention, or for one that only a decision ends.',

  // An order about a dispute that does not fit where it stands.
  dispute_not_found: 'There is no such dispute.',
  confirmation_missing: 'It cannot be taken back, so confirm must be true.',
  dispute_not_open: 'The dispute does not wait for an answer.',
  dispute_not_answerable: 'The provider takes no answer to this dispute.',
  deadline_passed: "The provider's deadline has passed.",
  already_submitted: 'The evidence of this stage has been submitted, or is on its way.',
  already_accepted: 'The dispute has been accepted, or is about to be.',
  inquiry_not_acceptable: 'An inquiry cannot be accepted: answer it, let it pass, or refund the payment.',
  evidence_changed: 'The evidence has changed since the version that was looked at.',
  evidence_empty: 'There is no evidence to submit.',
  evidence_refused: 'The provider or the card network would refuse the evidence as it is.',
  evidence_file_not_found: 'There is no such file in the evidence.',
  evidence_file_too_big: 'A file of evidence has 5 MB at the most.',
  evidence_file_type: 'A file of evidence must be a PDF, a JPEG or a PNG, whatever it is called.',
  evidence_file_unreadable: 'The file is broken and cannot be read.',
  evidence_file_pages: 'A file of evidence must have fewer than 50 pages.',
  evidence_file_missing: 'The request has no file, or more than one.',
  upload_broken_off: 'The upload broke off; nothing of it was kept.',
  if_match_missing: 'The request needs an If-Match header with the version of the evidence it changes.',

  // The same key, another body; over both doors.
  idempotency_key_reused: 'This idempotency key was used before with other content.',
  idempotency_key_missing: 'The request needs an Idempotency-Key header.',

  // The message cannot be read.
  not_json: 'The body is not JSON.',
  validation_failed: 'Some fields are missing, wrong or unknown.',
  unsupported_media_type: 'The body is of a media type that is not taken here.',
  body_too_large: 'The body is too large.',
  ...envelopeCodes,

  // Webhooks.
  webhook_refused: 'The webhook cannot be believed.',
  not_replayable: 'The delivery was refused when it came, so its body was not kept.',

  // Dead letters.
  not_redrivable: 'The dead letter still cannot be read as a command.',

  // The request as such.
  bad_request: 'The request cannot be read as HTTP.',
  unauthorized: 'The request carries no valid key.',
  forbidden: 'The key does not allow this.',
  not_found: 'There is nothing at this address.',
  method_not_allowed: 'The address does not take this method.',
  too_many_requests: 'Too many requests; wait and try again.',
  unavailable: 'The service cannot take this now; try again.',
  internal: 'Something went wrong on our side.',
} as const;

export type Code = keyof typeof codes;

/** The codes as a list, for schemas. */
export const codeNames = Object.keys(codes) as Code[];
