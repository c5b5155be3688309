/*
 * Stands between the service and the simulators, in both directions, so that a test decides what of a payment or a dispute gets through
 * and when. What names none that the test has spoken of passes.
 */
import { once } from 'node:events';
import { createServer, request as httpRequest, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';

/**
 * What happens to the first send about a payment or a dispute: `passes`, is held before the provider hears of it, or is held on the way back. After it the
 * payment's provider is out of reach until the gate is opened.
 */
export type FirstSend = 'passes' | 'held' | 'answer_held';

/** `late`: the provider is told to come again until the webhooks are let in. */
export type Webhooks = 'arrive' | 'lost' | 'late';

interface Plan {
  readonly first: FirstSend;
  webhooks: Webhooks;
  open: boolean;
  sends: number;
  /** The first send is where it is held, or the provider's answer to it has begun or has failed. */
  reached: boolean;
  goOn: () => void;
}

export class Gate {
  private readonly plans = new Map<string, Plan>();
  /** Whether sweeps get through: the lists of a whole account. */
  sweeps = true;
  private readonly upstream = new Set<{ destroy(): unknown }>();
  private simulators = '';
  private api = '';

  private constructor(private readonly server: Server) {
    server.on('request', (request, response) => {
      this.serve(request, response).catch(() => response.destroy());
    });
  }

  static async start(): Promise<Gate> {
    const gate = new Gate(createServer());
    gate.server.listen(0, '127.0.0.1');
    await once(gate.server, 'listening');
    return gate;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  leadTo({ simulators, api }: { simulators: string; api: string }): void {
    this.simulators = simulators;
    this.api = api;
  }

  plan(payment: string, first: FirstSend, webhooks: Webhooks): void {
    this.plans.set(payment, { first, webhooks, open: false, sends: 0, reached: false, goOn: () => undefined });
  }

  hasReached(payment: string): boolean {
    return this.planOf(payment).reached;
  }

  /** Lets what is held of the first send go on; the provider stays out of reach for anything else. */
  letGo(payment: string): void {
    this.planOf(payment).goOn();
  }

  /** Out of reach from here on, also for what has not been sent yet. */
  shut(payment: string): void {
    const plan = this.planOf(payment);
    plan.sends = Math.max(1, plan.sends);
  }

  /** All is well from here on. */
  open(payment: string): void {
    this.planOf(payment).open = true;
  }

  letWebhooksIn(payment: string): void {
    this.planOf(payment).webhooks = 'arrive';
  }

  async stop(): Promise<void> {
    for (const each of this.upstream) each.destroy();
    this.server.closeAllConnections();
    this.server.close();
    await once(this.server, 'close');
  }

  private planOf(payment: string): Plan {
    const plan = this.plans.get(payment);
    if (plan === undefined) throw new Error(`nothing is planned for ${payment}`);
    return plan;
  }

  private async serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await buffer(request);
    const url = request.url ?? '/';
    const text = `${url}\n${body.toString()}`;
    const plan = [...this.plans].find(([payment]) => text.includes(payment))?.[1];
    if (url.startsWith('/webhooks/')) {
      if (plan === undefined || plan.webhooks === 'arrive') return this.pass(`${this.api}${url}`, request, body, response);
      response.writeHead(plan.webhooks === 'lost' ? 200 : 503).end();
      return;
    }
    const target = `${this.simulators}${url}`;
    const isDecision = url.endsWith('/close') || (/\/disputes\/\w+$/.test(url) && /(^|&)submit=true(&|$)/.test(body.toString()));
    const isSend = request.method === 'POST' && (url.endsWith('/refunds') || isDecision);
    if (plan === undefined && !this.sweeps && url.includes('/v1/refunds?')) {
      response.destroy();
      return;
    }
    if (plan === undefined || (!isSend && plan.sends === 0)) return this.pass(target, request, body, response);
    if (isSend) plan.sends += 1;
    if (plan.open) return this.pass(target, request, body, response);
    if (!isSend || plan.sends > 1) {
      response.destroy();
      return;
    }
    const release = new Promise<void>((resolve) => (plan.goOn = resolve));
    if (plan.first === 'held') {
      plan.reached = true;
      await release;
    }
    const reached = async () => {
      plan.reached = true;
      if (plan.first === 'answer_held') await release;
    };
    await this.pass(target, request, body, response, reached);
  }

  /** What is under way goes on when the service has gone: a provider does not notice that nobody listens. */
  private async pass(
    target: string,
    { method, headers }: IncomingMessage,
    body: Buffer,
    response: ServerResponse,
    answered: () => Promise<void> = () => Promise.resolve(),
  ): Promise<void> {
    const onward = httpRequest(target, { method: method ?? 'GET', headers: { ...headers, connection: 'close' }, agent: false });
    this.upstream.add(onward);
    onward.end(body);
    try {
      const [answer] = (await once(onward, 'response')) as [IncomingMessage];
      await answered();
      response.on('close', () => answer.destroy());
      answer.on('error', () => response.destroy());
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
    } catch {
      await answered();
      response.destroy();
    } finally {
      this.upstream.delete(onward);
    }
  }
}
