import type { SimulatorOptions } from './simulators.js';

/** Reads the environment; a wrong value stops the start with the variable's name and what it should be. */
export function readSettings(env: Record<string, string | undefined>): SimulatorOptions {
  const text = (name: string): string | undefined => env[name]?.trim() || undefined;
  const address = (name: string): string | undefined => {
    const value = text(name);
    if (value === undefined) return undefined;
    if (!/^https?:$/.test(URL.parse(value)?.protocol ?? '')) throw new Error(`${name} should be an http address, not ${value}`);
    return value;
  };
  const port = Number(text('SIMULATORS_PORT') ?? 4010);
  if (!Number.isInteger(port) || port < 0 || port > 65_535)
    throw new Error(`SIMULATORS_PORT should be a port from 0 (any free one) to 65535, not ${text('SIMULATORS_PORT')}`);

  const host = text('SIMULATORS_HOST') ?? '127.0.0.1';

  // The service takes a list while a secret is rolled; whoever signs uses the first.
  const stripeWebhookSecret = text('STRIPE_WEBHOOK_SECRET')?.split(',')[0]?.trim();
  const [webhookTarget, clockTarget] = [address('WEBHOOK_TARGET'), address('CLOCK_TARGET')];
  const clockKey = text('CLOCK_KEY');
  if (clockTarget !== undefined && clockKey === undefined) throw new Error('CLOCK_KEY should be the key for CLOCK_TARGET');
  const [stripeApiKey, dataFile] = [text('STRIPE_API_KEY'), text('SIMULATORS_DATA')];
  const [merchantId, apiKey, secret] = [text('ZAMP_MERCHANT_ID'), text('ZAMP_API_KEY'), text('ZAMP_SECRET')];
  return {
    port,
    host,
    ...(webhookTarget !== undefined && { webhookTarget }),
    ...(stripeApiKey !== undefined && { stripeApiKey }),
    ...(stripeWebhookSecret !== undefined && { stripeWebhookSecret }),
    ...(dataFile !== undefined && { dataFile }),
    zamp: {
      ...(merchantId !== undefined && { merchantId }),
      ...(apiKey !== undefined && { apiKey }),
      ...(secret !== undefined && { secret }),
    },
    ...(clockTarget !== undefined && clockKey !== undefined && { serviceClock: { url: clockTarget, key: clockKey } }),
  };
}
