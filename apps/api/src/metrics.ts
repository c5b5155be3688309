import { Injectable } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import type { FastifyAdapter } from '@nestjs/platform-fastify';
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import { PartitionOffsets } from '#application/event-log';
import { DisputeViews } from '#persistence/dispute-views';
import { Views, type Certainty } from '#persistence/views';

/** How the process is, what HTTP takes, and how much waits. */
@Injectable()
export class Metrics {
  private readonly registry = new Registry();
  private readonly durations = new Histogram({
    name: 'redress_http_request_duration_seconds',
    help: 'Time to answer, by route, method and status',
    labelNames: ['method', 'route', 'status'] as const,
    buckets: [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
    registers: [this.registry],
  });
  private readonly backlog = new Gauge({
    name: 'redress_backlog',
    help: 'How much waits: due and parked provider operations, deliveries not handled, refunds with attention or of an unknown outcome, disputes that are open, wait for an answer that is due within 72 hours, or have attention, dead letters (counted up to 10000), and pauses of sending',
    labelNames: ['of'] as const,
    registers: [this.registry],
  });
  private readonly atRisk = new Gauge({
    name: 'redress_disputed_amount',
    help: 'What open chargebacks are about, in minor units: all of it, and what nobody has decided about although it is due within 72 hours',
    labelNames: ['provider', 'account', 'currency', 'of'] as const,
    registers: [this.registry],
  });
  private readonly position = new Gauge({
    name: 'redress_log_position',
    help: 'The last sealed position of the log, and how far each topic was relayed',
    labelNames: ['topic'] as const,
    registers: [this.registry],
  });
  private readonly halted = new Gauge({
    name: 'redress_partition_halted',
    help: '1 for each Kafka partition that waits for a person',
    labelNames: ['topic', 'partition'] as const,
    registers: [this.registry],
  });
  private certainties: readonly Certainty[] = [];
  private readonly rates = new Gauge({
    name: 'redress_provider_calls_per_second',
    help: 'How many calls a second a provider may get now: in all, and of each kind. Below its setting after a limiter has spoken',
    labelNames: ['provider', 'account', 'kind'] as const,
    registers: [this.registry],
  });
  private readonly turnedAway = new Counter({
    name: 'redress_provider_calls_turned_away_total',
    help: 'Calls answered 429, by the limiter of the provider, or by a lock of another request on the same object',
    labelNames: ['provider', 'account', 'kind', 'by'] as const,
    registers: [this.registry],
  });
  private readonly database = new Gauge({
    name: 'redress_database_up',
    help: 'Whether the database answered this scrape',
    registers: [this.registry],
  });

  constructor(
    private readonly views: Views,
    private readonly disputes: DisputeViews,
    private readonly offsets: PartitionOffsets,
    host: HttpAdapterHost<FastifyAdapter>,
  ) {
    collectDefaultMetrics({ register: this.registry });
    host.httpAdapter.getInstance().addHook('onResponse', (request, reply, done) => {
      // The template, never the path: ids in labels would make a series each.
      const route = request.routeOptions.url ?? 'none';
      this.durations.observe({ method: request.method, route, status: String(reply.statusCode) }, reply.elapsedTime / 1000);
      done();
    });
  }

  async scrape(): Promise<string> {
    try {
      const { views } = this;
      const looks = [views.backlog(), views.cursors(), views.limits(), views.certainties(), this.offsets.halts()] as const;
      const [{ log_position: end = 0, ...waiting }, cursors, limits, certainties, halts] = await Promise.all(looks);
      this.certainties = certainties;
      for (const [of, count] of Object.entries(waiting)) this.backlog.set({ of }, count);
      this.position.set({ topic: 'all' }, end);
      for (const [topic, at] of cursors) this.position.set({ topic }, at);
      this.turnedAway.reset();
      for (const { provider, account, kind, perSecond, limited, locked } of limits) {
        this.rates.set({ provider, account, kind }, perSecond);
        if (kind === 'all') continue;
        this.turnedAway.inc({ provider, account, kind, by: 'limiter' }, limited);
        this.turnedAway.inc({ provider, account, kind, by: 'lock' }, locked);
      }
      this.atRisk.reset();
      for (const { provider, account, currency, amount, undecided } of await this.disputes.atRisk()) {
        this.atRisk.set({ provider, account, currency, of: 'open' }, amount);
        this.atRisk.set({ provider, account, currency, of: 'undecided' }, undecided);
      }
      this.halted.reset();
      for (const { topic, partition } of halts) this.halted.set({ topic, partition }, 1);
      this.database.set(1);
    } catch {
      // What was last known would pass for what is.
      this.backlog.reset();
      this.position.reset();
      this.rates.reset();
      this.turnedAway.reset();
      this.halted.reset();
      this.atRisk.reset();
      this.database.set(0);
    }
    return (await this.registry.metrics()) + timeToCertainty(this.certainties);
  }
}

/** Counted by all workers in the database, so it is no histogram of this process. */
function timeToCertainty(certainties: readonly Certainty[]): string {
  const name = 'redress_time_to_certainty_seconds';
  const lines = [`# HELP ${name} How long refunds of an unknown outcome stayed so`, `# TYPE ${name} histogram`];
  const of = Map.groupBy(certainties, ({ account, provider }) => `account="${account}",provider="${provider}"`);
  for (const [labels, bounds] of of) {
    let [refunds, seconds] = [0, 0];
    for (const bound of bounds) {
      refunds += bound.refunds;
      seconds += bound.seconds;
      if (Number.isFinite(bound.upTo)) lines.push(`${name}_bucket{${labels},le="${bound.upTo}"} ${refunds}`);
    }
    lines.push(`${name}_bucket{${labels},le="+Inf"} ${refunds}`);
    lines.push(`${name}_sum{${labels}} ${seconds}`, `${name}_count{${labels}} ${refunds}`);
  }
  return `${lines.join('\n')}\n`;
}
