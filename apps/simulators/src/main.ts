import { readSettings } from './settings.js';
import { startSimulators } from './simulators.js';

/** The simulators as a process: settings from the environment, one line when ready, a clean end on a signal. */
async function main(): Promise<void> {
  const simulators = await startSimulators(readSettings(process.env));
  console.log(JSON.stringify({ level: 'info', msg: 'simulators ready', port: simulators.port, url: simulators.url }));
  for (const signal of ['SIGTERM', 'SIGINT'] as const)
    process.once(signal, () => {
      // A drip or a delay that a tester ordered must not hold up the end.
      void simulators.close().finally(() => process.exit(0));
    });
}

main().catch((error: NodeJS.ErrnoException) => {
  const why = error.code === 'EADDRINUSE' ? `SIMULATORS_PORT ${process.env['SIMULATORS_PORT'] ?? 4010} is in use` : error.message;
  console.error(JSON.stringify({ level: 'fatal', msg: 'simulators did not start', why }));
  process.exit(1);
});
