/** Two real threads, each routing to both and reading from both, with a checksum in every row. Runs what was built. */
import { Worker } from 'node:worker_threads';
import { expect, test } from 'vitest';
import { resetInbox } from '../../workers/exchange/context.ts';
import { planInboxes } from '../../workers/exchange/inbox.ts';
import { layoutFrom, planOf } from './house.ts';

interface Result {
  readonly sentRows: number;
  readonly received: readonly number[];
  readonly barriers: number;
  readonly parks: number;
  readonly blocked: number;
}

async function run(seed: number, ringBytes: number, batches: number, batchRows: number): Promise<Result[]> {
  const layout = layoutFrom(['i64', 'i32', 'i32', 'view']);
  const plan = planOf([2, 2], [{ from: 0, to: 1, exchange: { kind: 'hash', keys: [0] }, layout }]);
  const inboxes = planInboxes(plan, 2, { slotBytes: 1 << 20, callerBytes: 1 << 20, ringBytes });
  const memories = [0, 1].map((slot) => {
    const memory = new WebAssembly.Memory({ initial: 256, maximum: 256, shared: true });
    resetInbox(memory.buffer, inboxes.inboxes[slot]!);
    return memory;
  });
  const one = (slot: number): Promise<Result> =>
    new Promise((resolve, reject) => {
      const worker = new Worker(new URL('./stress-worker.mjs', import.meta.url), {
        workerData: { plan, inboxes, slot, memories, batches, batchRows, seed },
      });
      worker.once('message', resolve);
      worker.once('error', reject);
      worker.once('exit', (code) => reject(new Error(`seed ${seed}: slot ${slot} left with ${code}`)));
    });
  return Promise.all([one(0), one(1)]);
}

test.each([
  [1, 32 * 1024],
  [2, 64 * 1024],
  [3, 256 * 1024],
])('two threads exchange rows whole, once and in order (seed %i, rings of %i bytes)', async (seed, ringBytes) => {
  const results = await run(seed, ringBytes, 200, 500);
  for (const from of [0, 1]) {
    expect(results[0]!.received[from]! + results[1]!.received[from]!).toBe(results[from]!.sentRows);
  }
  expect(results[0]!.barriers).toBe(results[1]!.barriers);
  expect(results[0]!.barriers).toBeGreaterThan(5);
  // What was to be shown has happened: somebody slept, somebody found a ring full.
  expect(results[0]!.parks + results[1]!.parks).toBeGreaterThan(0);
  if (ringBytes === 32 * 1024) expect(results[0]!.blocked + results[1]!.blocked).toBeGreaterThan(0);
});
