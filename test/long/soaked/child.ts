/** A process that runs job.ts until it is killed or told to stop (SIGTERM). Arguments: one JSON object, the options. */
import { writeSync } from 'node:fs';
import { type Job, type RunOptions, run } from 'millrace';

const options = JSON.parse(process.argv[2]!) as RunOptions;
const { default: job } = (await import('./job.ts')) as unknown as { readonly default: Job<never> };
const handle = run(job, options);
process.on('SIGTERM', () => void handle.stop());
const numbers = setInterval(() => {
  const { checkpoints, tasks, rowsIn } = handle.metrics();
  const stateBytes = Math.max(0, ...tasks.map((task) => task.stateBytes));
  writeSync(1, `${JSON.stringify({ rowsIn, stateBytes, ...checkpoints })}\n`);
}, 1000);
await handle.result();
clearInterval(numbers);
