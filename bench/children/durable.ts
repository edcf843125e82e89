/**
 * `durable.js STATE_DIR SLOTS KEYS`: the job of durable-job.ts until its parent kills it. To the parent: `{ row }` with the
 * first row out, `{ rows, stateBytes }` twice a second, `{ checkpoint }` for each that is durable.
 */
import { run } from '../../index.ts';
import durable from './durable-job.ts';

const [stateDir, slots, keys] = process.argv.slice(2) as [string, string, string];
const handle = run(durable, {
  parallelism: Number(slots),
  memory: '4gb',
  stateDir,
  checkpoint: { every: '2 seconds' },
  params: { keys: Number(keys) },
});
let last: number | null = null;
setInterval(() => {
  const { rowsIn, checkpoints, tasks } = handle.metrics();
  const stateBytes = tasks.reduce((sum, task) => Math.max(sum, task.stateBytes), 0) * Number(slots);
  process.send!({ rows: rowsIn, stateBytes });
  if (checkpoints && checkpoints.lastId !== last) {
    last = checkpoints.lastId;
    process.send!({ checkpoint: last, restoredFrom: checkpoints.restoredFrom });
  }
}, 50);
let first = true;
for await (const { n, times } of handle) {
  if (first) process.send!({ row: { n, times } });
  first = false;
}
