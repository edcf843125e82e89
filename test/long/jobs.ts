/**
 * Random jobs through the whole engine, in every regime, against the reference: on one thread and with threads, at
 * parallelism 1, 2 and 3, batches of 1, 7 and 4,096 rows, rings that fill, ended and as a stream.
 */
import { prng } from '../../core/base/prng.ts';
import { randomJob } from '../support/random-plan.ts';
import { type ReferenceOutput, reference, rowsDifference } from '../support/reference.ts';
import {
  folded,
  inMilliseconds,
  inOrder,
  type ReceivedByOutput,
  runPlan,
  runPlanLocally,
} from '../support/run-plan.ts';
import type { LongSuite } from './suite.ts';

export const suite: LongSuite = {
  name: 'jobs',
  describe: 'random jobs in every regime give what a plain interpreter of their plan gives',
  cases: 3000,
  casesInCi: 120,
  async run({ cases, seed, log }) {
    const failures: string[] = [];
    const coverage = { local: 0, threaded: 0, stream: 0, bounded: 0, 'rows compared': 0 };
    for (let i = 0; i < cases; i++) {
      const caseSeed = seed + i;
      try {
        await one(caseSeed, coverage);
      } catch (error) {
        failures.push(`seed ${caseSeed}: ${error instanceof Error ? error.stack?.slice(0, 1500) : error}`);
        if (failures.length >= 20) break;
      }
      if (i % 100 === 99) log(`jobs: ${i + 1} of ${cases}, ${failures.length} failures`);
    }
    return { cases, failures, coverage };
  },
};

/** One job, from its seed. Throws what is wrong. */
export async function one(seed: number, coverage: Record<string, number>): Promise<void> {
  const random = prng(seed);
  const stream = random.below(3) === 0;
  const job = inMilliseconds(randomJob(random, { rowsMax: 400, places: ['caller'], unbounded: stream }));
  const expected = reference(job);
  const parallelism = 1 + random.below(3);
  const batchRows = [1, 7, 4096][random.below(3)]!;
  const layout = { parallelism, batchRows, memory: '256mb', ...(stream ? { mode: 'stream' as const } : {}) };
  const threaded = random.below(10) === 0;
  let received: ReceivedByOutput;
  if (threaded) received = await runPlan(job, layout);
  else {
    const ringBytes = [32 * 1024, 1024 * 1024][random.below(2)]!;
    const done = await runPlanLocally(job, layout, { seed, ringBytes, drainWhenIdle: stream });
    received = done.received;
    // What was late is not in the answer.
    if (done.run.numbers.lateRows > 0) return;
  }
  coverage[threaded ? 'threaded' : 'local']!++;
  coverage[stream ? 'stream' : 'bounded']!++;
  for (const output of expected)
    coverage['rows compared']! += compare({ ...output, ordered: output.ordered && !stream }, received);
}

export function compare(output: ReferenceOutput, received: ReceivedByOutput): number {
  if (output.ambiguous) return 0;
  const { items } = received.get(output.name)!;
  const rows = output.ordered ? inOrder(items, output.fields) : folded(items, output.fields);
  const difference = rowsDifference(rows, output.rows, { ordered: output.ordered });
  if (difference) throw new Error(`output ${output.name}: ${difference}`);
  return rows.length;
}
