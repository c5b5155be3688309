/* What the checker judges: what clients saw, and what was read afterwards from each place by itself. Plain JSON, so that a run can be kept. */

/** One try of a client. The body decides what the key stands for: another body under the same key must change nothing. */
export interface Action {
  readonly at: number;
  readonly door: 'http' | 'kafka';
  /** `order`: about a refund or a dispute that exists, whose id stands where else the payment's does. */
  readonly what: 'refund' | 'order' | 'poison';
  /** Of orders: what is to be done. */
  readonly order?: 'cancel' | 'submit' | 'accept';
  readonly key: string;
  readonly provider: 'stripe' | 'zamp';
  readonly paymentId: string;
  readonly amount: number;
  /** Sent under a key that stands for another body. */
  readonly otherBody: boolean;
  end: 'open' | 'ok' | 'failed' | 'unknown';
  /** HTTP: the status and the refund; Kafka has neither. */
  status?: number;
  refundId?: string;
}

export interface Booked {
  readonly provider: string;
  readonly paymentId: string;
  readonly amount: number;
  readonly refunds: readonly {
    readonly id: string;
    readonly amount: number;
    readonly status: string;
    readonly metadata: Readonly<Record<string, string>>;
  }[];
  readonly disputes: readonly {
    readonly id: string;
    readonly status: string;
    /** How often evidence was submitted, and how often the dispute was given up. */
    readonly submissions: number;
    readonly closes: number;
  }[];
}

export interface Evidence {
  readonly history: readonly Action[];
  readonly books: {
    readonly payments: readonly Booked[];
    readonly webhooks: readonly {
      readonly id: string;
      readonly provider: string;
      readonly type: string;
      readonly subject: string;
      readonly answers: readonly (number | string)[];
    }[];
  };
  readonly database: {
    readonly refunds: readonly {
      readonly id: string;
      readonly provider: string;
      readonly payment: string;
      readonly status: string;
      readonly attention: string | null;
      readonly amount: number | null;
      readonly origin: string;
      readonly door: string | null;
      readonly key: string | null;
      readonly provider_refund_id: string | null;
      /** Every refund at the provider that is known to belong to it. */
      readonly known: readonly string[];
    }[];
    readonly payments: readonly {
      readonly provider: string;
      readonly name: string;
      /** Whether the provider was ever asked about it: what nobody wants to refund need not be. */
      readonly read: boolean;
      readonly captured: number;
      readonly reserved: number;
      readonly refunded: number;
    }[];
    readonly disputes: readonly {
      /** The provider's id, and ours. */
      readonly id: string;
      readonly ours: string;
      readonly provider_status: string;
      readonly attention: string | null;
    }[];
    /** In the log's order. */
    readonly events: readonly LoggedEvent[];
    readonly unsealed: number;
    readonly deliveries: readonly {
      readonly notice: string | null;
      readonly disposition: string | null;
      readonly detail: string | null;
    }[];
    /** What is to be done and is not, sweeps aside. */
    readonly operations: readonly { readonly id: string; readonly kind: string; readonly state: string }[];
    readonly halted: number;
  };
  /** Each topic from its beginning, read committed, in the order of its partitions. */
  readonly topics: Readonly<Record<string, readonly Kept[]>>;
  readonly feed: readonly { readonly id: string; readonly sequence: number | null }[];
  /** Ids of what is shown to people. */
  readonly attention: readonly string[];
}

export interface LoggedEvent {
  readonly id: string;
  readonly topic: string;
  readonly type: string;
  readonly key: string | null;
  readonly sequence: number | null;
}

export interface Kept {
  readonly partition: number;
  readonly offset: number;
  readonly key: string | null;
  readonly id: string;
  readonly type: string;
  readonly sequence: number | null;
  /** Of outcomes. */
  readonly commandId?: string;
  readonly code?: string;
}
