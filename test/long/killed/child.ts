/**
 * One life of a process that runs an example with a state directory. It says on standard output where it is: `begun`,
 * `deployed CHECKPOINT` when slots run what was restored, `rows` when the first new row was read, `through`. Arguments:
 * one JSON object.
 */
import { writeSync } from 'node:fs';
import { type Job, type RunOptions, run } from 'millrace';

const { example, options } = JSON.parse(process.argv[2]!) as { readonly example: string; readonly options: RunOptions };
const say = (line: string): void => void writeSync(1, `${line}\n`);

say('begun');
const { default: job } = (await import(`../../../examples/${example}.ts`)) as { readonly default: Job<never> };
const handle = run(job, options);
let deployed = false;
const watch = setInterval(() => {
  const { tasks, rowsIn, checkpoints } = handle.metrics();
  if (!deployed && tasks.length > 0) {
    deployed = true;
    say(`deployed ${checkpoints?.restoredFrom ?? 'anew'}`);
  }
  if (rowsIn === 0) return;
  say('rows');
  clearInterval(watch);
}, 1);
await handle.result();
clearInterval(watch);
say('through');
