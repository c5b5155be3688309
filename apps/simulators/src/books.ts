import { appendFile, readFile, rename, writeFile } from 'node:fs/promises';

export type Provider = 'stripe' | 'zamp';

/** Money taken at Stripe: one PaymentIntent with its one charge. `amount` is in Stripe's own smallest unit. */
export type StripePayment = {
  provider: 'stripe';
  id: string;
  chargeId: string | null;
  balanceTransactionId: string | null;
  amount: number;
  currency: string;
  status: string;
  paymentMethod: string;
  created: number;
  refunds: string[];
  /** Oldest first; absent where books were written before there were disputes. */
  disputes?: string[];
  warnings?: string[];
  /** How long after its creation a refund of a test payment method changes, in simulated milliseconds. */
  refundDelayMs: number;
  /** How long after a submission the bank decides where a test value says how, in simulated milliseconds. */
  decisionDelayMs?: number;
};

export type StripeRefund = {
  provider: 'stripe';
  id: string;
  paymentId: string;
  amount: number;
  status: 'pending' | 'requires_action' | 'succeeded' | 'failed' | 'canceled';
  reason: string | null;
  pendingReason: string | null;
  failureReason: string | null;
  /** The bank's reference (ARN), once it is known. */
  reference: string | null;
  metadata: Record<string, string>;
  instructionsEmail: string | null;
  idempotencyKey: string | null;
  balanceTransactionId: string;
  failureBalanceTransactionId: string | null;
  created: number;
};

/** A movement on our balance at Stripe. `amount` is signed: a refund is negative. */
export type BalanceTransaction = {
  id: string;
  paymentId: string;
  source: string;
  type: 'charge' | 'refund' | 'refund_failure' | 'adjustment';
  amount: number;
  fee: number;
  created: number;
  /** What reports call it, where that is not its type. */
  category?: string;
  /** What one unit of the source's currency was worth in the payment's, where the two differ. */
  exchangeRate?: number;
};

/** A file that somebody uploaded. Its bytes are not kept: what the bank would count and compare is. */
export type StripeFile = {
  id: string;
  purpose: string;
  name: string;
  type: 'pdf' | 'jpg' | 'png';
  size: number;
  pages: number;
  sha256: string;
  idempotencyKey: string | null;
  created: number;
  expiresAt: number;
};

/** What identifies a shopper in Visa's Compelling Evidence 3.0: plain texts, and an address. */
export type Identifiers = Record<string, string | Record<string, string>>;

/** Evidence under Stripe's own names. `fields` holds the plain texts and the ids of files. */
export type StripeEvidence = {
  fields: Record<string, string>;
  compellingEvidence3: { disputed: Identifiers | null; prior: Identifiers[] } | null;
  feeAcknowledged: { visa_compliance?: boolean; mastercard_compliance?: boolean };
  appeal: { reasonForFiling: string | null; supportingFiles: string[] } | null;
};

/** Evidence exactly as the bank got it. */
export type EvidencePacket = {
  stage: string;
  by: 'api' | 'dashboard' | 'smart_disputes';
  submittedAt: string;
  idempotencyKey: string | null;
  evidence: Record<string, unknown>;
  files: { field: string; id: string; sha256: string; name: string; size: number }[];
};

export type Verdict = 'win' | 'lose' | 'escalate' | 'settle';

/** A case that a shopper's bank opened. `amount` is in `currency`, which need not be the payment's. */
export type StripeDispute = {
  id: string;
  paymentId: string;
  amount: number;
  currency: string;
  /** What the bank takes when it takes all, in the payment's currency. */
  takes: number;
  reason: string;
  networkReasonCode: string | null;
  brand: string;
  caseType: string;
  /** As Stripe says it, or any word a tester chose. */
  status: string;
  /** Seconds; null or 0 where no answer is allowed. */
  dueBy: number | null;
  evidence: StripeEvidence;
  hasEvidence: boolean;
  submissionCount: number;
  submissionMethod: 'manual' | 'smart_disputes' | 'not_submitted';
  /** null: the account has no Smart Disputes for this case. */
  intendedSubmissionMethod: string | null;
  metadata: Record<string, string>;
  movements: string[];
  created: number;
  /** Counts the stages of the case, each of which takes one submission. */
  stageNumber: number;
  submittedInStage: number | null;
  /** What the bank has made up its mind to do, and when, in simulated milliseconds. */
  decision: { at: number; verdict: Verdict } | null;
  decisionDelayMs: number;
  packets: EvidencePacket[];
  staged: number;
  closes: number;
};

/** A bank's early word that a payment may be fraud. */
export type StripeWarning = { id: string; paymentId: string; fraudType: string; actionable: boolean; created: number };

/** A Stripe event as it was rendered when it happened; `body` never changes afterwards, as at Stripe. */
export type StripeEvent = { id: string; type: string; body: string; created: number };

/** The first answer to an idempotency key, kept to be given again. */
export type SavedAnswer = { fingerprint: string; status: number; body: string; requestId: string; created: number };

export type ZampSession = {
  provider: 'zamp';
  id: string;
  /** Whose it is, when it is another merchant's. */
  merchantId?: string;
  referenceId: string;
  amount: number;
  currency: string;
  status: string;
  failureCode: string;
  createdAt: string;
  updatedAt: string;
  refunds: string[];
  refundDelayMs: number;
};

export type ZampRefund = {
  provider: 'zamp';
  id: string;
  paymentId: string;
  amount: number;
  status: 'initiated' | 'in_process' | 'succeeded' | 'failed';
  failureCode: string;
  referenceId: string;
  remarks: string;
  idempotencyKey: string | null;
  createdAt: string;
  updatedAt: string;
};

/** A Zamp callback as it was rendered; `signed` is the id and status that its signature covers. */
export type ZampCallback = { body: string; signed: string };

/** One webhook on its way. `notice` is the Stripe event or Zamp callback it carries, `subject` what that is about. */
export type Delivery = {
  id: string;
  provider: Provider;
  notice: string;
  type: string;
  subject: string;
  status: 'waiting' | 'delivered' | 'lost' | 'gave_up';
  answers: (number | string)[];
};

/** Something that happens by itself at a moment of simulated time. */
export type Due = { at: number; task: string; subject: string };

/** Rows by id in the order they were first written, which for everything here is the order of time. */
export class Table<Row> {
  private readonly rows = new Map<string, Row>();

  constructor(private readonly written: (id: string) => void) {}

  get size(): number {
    return this.rows.size;
  }

  get(id: string): Row | undefined {
    return this.rows.get(id);
  }

  /** A row changed in place must be put again, or the change is not kept across a restart. */
  put(id: string, row: Row): void {
    this.rows.set(id, row);
    this.written(id);
  }

  delete(id: string): void {
    if (this.rows.delete(id)) this.written(id);
  }

  entries(): MapIterator<[string, Row]> {
    return this.rows.entries();
  }

  values(): MapIterator<Row> {
    return this.rows.values();
  }

  newestFirst(): Row[] {
    return [...this.rows.values()].reverse();
  }
}

const WRITE_EVERY_MS = 100;

/**
 * Everything the two providers know. With a file it outlives the process: each changed row is appended as one JSON line
 * shortly after the change, so keeping ten thousand refunds costs no pause, and a line torn by a crash is simply the last
 * one and is left out. The file is written anew, and put in place by a rename, at each start.
 */
export class Books {
  private readonly unwritten = new Map<string, () => string>();
  private readonly tables = new Map<string, { load(id: string, row: unknown): void; lines(): string[]; clear(): void }>();
  private timer: NodeJS.Timeout | undefined;
  private writing: Promise<void> = Promise.resolve();
  private journal: string | undefined;

  readonly stripe = {
    payments: this.table<StripePayment>('stripe.payments'),
    charges: this.table<string>('stripe.charges'),
    refunds: this.table<StripeRefund>('stripe.refunds'),
    movements: this.table<BalanceTransaction>('stripe.movements'),
    disputes: this.table<StripeDispute>('stripe.disputes'),
    files: this.table<StripeFile>('stripe.files'),
    warnings: this.table<StripeWarning>('stripe.warnings'),
    events: this.table<StripeEvent>('stripe.events'),
    keys: this.table<SavedAnswer>('stripe.keys'),
  };
  readonly zamp = {
    sessions: this.table<ZampSession>('zamp.sessions'),
    refunds: this.table<ZampRefund>('zamp.refunds'),
    callbacks: this.table<ZampCallback>('zamp.callbacks'),
    keys: this.table<true>('zamp.keys'),
  };
  readonly deliveries = this.table<Delivery>('deliveries');
  readonly due = this.table<Due>('due');
  /** Milliseconds by which simulated time is ahead, under the one id `offset`. */
  readonly clock = this.table<number>('clock');

  constructor(private readonly file?: string) {}

  /** Reads what an earlier run left. Writes nothing: a second start on a busy port must not touch the first one's file. */
  async load(): Promise<void> {
    if (this.file === undefined) return;
    const text = await readFile(this.file, 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return '';
      throw error;
    });
    const lines = text.split('\n');
    for (const [index, line] of lines.entries()) {
      if (line === '') continue;
      try {
        const [table, id, row] = JSON.parse(line) as [string, string, unknown];
        this.tables.get(table)?.load(id, row);
      } catch (error) {
        if (index < lines.length - 1)
          throw new Error(`${this.file} line ${index + 1} is not one of the simulators' own`, { cause: error });
      }
    }
    this.unwritten.clear();
  }

  /** From here on changes are kept. */
  async keep(): Promise<void> {
    if (this.file === undefined) return;
    await this.rewrite(this.file).catch((error: Error) => {
      throw new Error(`the books cannot be kept in ${this.file}: ${error.message}`, { cause: error });
    });
    this.journal = this.file;
    this.scheduleWrite();
  }

  /** Empties the books, except for the clock, which only ever goes forward. */
  async reset(): Promise<void> {
    for (const [name, table] of this.tables) if (name !== 'clock') table.clear();
    this.unwritten.clear();
    if (this.journal !== undefined) {
      const file = this.journal;
      this.writing = this.writing.then(() => this.rewrite(file));
      await this.writing;
    }
  }

  async close(): Promise<void> {
    clearTimeout(this.timer);
    await this.writing;
    await this.write();
  }

  private table<Row>(name: string): Table<Row> {
    const table: Table<Row> = new Table<Row>((id) => this.changed(name, id, () => table.get(id)));
    this.tables.set(name, {
      load: (id, row) => (row === null ? table.delete(id) : table.put(id, row as Row)),
      lines: () => [...table.entries()].map(([id, row]) => JSON.stringify([name, id, row])),
      clear: () => [...table.entries()].forEach(([id]) => table.delete(id)),
    });
    return table;
  }

  private changed(table: string, id: string, row: () => unknown): void {
    if (this.file === undefined) return;
    this.unwritten.set(`${table}\n${id}`, () => JSON.stringify([table, id, row() ?? null]));
    this.scheduleWrite();
  }

  private scheduleWrite(): void {
    if (this.journal === undefined || this.timer !== undefined || this.unwritten.size === 0) return;
    this.timer = setTimeout(() => {
      this.timer = undefined;
      this.writing = this.writing.then(() => this.write());
    }, WRITE_EVERY_MS);
  }

  private async write(): Promise<void> {
    if (this.journal === undefined || this.unwritten.size === 0) return;
    const lines = [...this.unwritten.values()].map((line) => line());
    this.unwritten.clear();
    await appendFile(this.journal, `${lines.join('\n')}\n`).catch((error: Error) => {
      console.error(JSON.stringify({ level: 'error', msg: 'simulators could not write their books', error: error.message }));
    });
  }

  private async rewrite(file: string): Promise<void> {
    const fresh = `${file}.new`;
    const lines = [...this.tables.values()].flatMap((table) => table.lines());
    await writeFile(fresh, lines.map((line) => `${line}\n`).join(''));
    await rename(fresh, file);
  }
}
