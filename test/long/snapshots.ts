/**
 * Snapshots of running jobs: taken at a random moment of a random job, abandoned there, and restored at another
 * parallelism. What came before the barrier and what comes after the restore is what an uninterrupted run gives.
 */
import { type Prng, prng } from '../../core/base/prng.ts';
import type { PhysicalPlan } from '../../core/plan/physical.ts';
import type { Snapshot } from '../../engine/running-job.ts';
import { randomJob } from '../support/random-plan.ts';
import { reference } from '../support/reference.ts';
import { inMilliseconds, type ReceivedByOutput, runPlanLocally } from '../support/run-plan.ts';
import { compare } from './jobs.ts';
import type { LongSuite } from './suite.ts';

const parallelisms = [1, 2, 3, 5];

export const suite: LongSuite = {
  name: 'snapshots',
  describe: 'jobs restored from a snapshot at another parallelism give what an uninterrupted run gives',
  cases: 2000,
  casesInCi: 100,
  async run({ cases, seed, log }) {
    const failures: string[] = [];
    const coverage: Record<string, number> = {
      restored: 0,
      rescaled: 0,
      'too near the end': 0,
      'rows before': 0,
      'rows after': 0,
      'pages of state': 0,
      'with ended tasks': 0,
    };
    for (let i = 0; i < cases; i++) {
      try {
        await one(seed + i, coverage);
      } catch (error) {
        failures.push(`seed ${seed + i}: ${error instanceof Error ? error.stack?.slice(0, 1500) : error}`);
        if (failures.length >= 20) break;
      }
      if (i % 100 === 99) log(`snapshots: ${i + 1} of ${cases}, ${failures.length} failures`);
    }
    return { cases, failures, coverage };
  },
};

export async function one(seed: number, coverage: Record<string, number>): Promise<void> {
  const random = prng(seed);
  const stream = random.below(2) === 0;
  const job = inMilliseconds(randomJob(random, { rowsMax: 400, places: ['caller'], unbounded: stream }));
  const expected = reference(job);
  const layoutAt = (parallelism: number) => ({
    parallelism,
    batchRows: [1, 7, 64][random.below(3)]!,
    memory: '320mb',
    ...(stream ? { mode: 'stream' as const } : {}),
  });
  const p = oneOf(random, parallelisms);
  const q = oneOf(random, parallelisms);
  const local = { ringBytes: 32 * 1024, drainWhenIdle: stream };
  const layout = layoutAt(p);
  // Ends are short: every third moment is drawn from the last steps of a run that was measured first.
  const late = random.below(3) === 0;
  const steps = late ? (await runPlanLocally(job, layout, { ...local, seed })).run.steps : 400;
  const before = await runPlanLocally(job, layout, {
    ...local,
    seed,
    snapshotAtStep: late ? Math.max(1, steps - random.below(40)) : 1 + random.below(steps),
    crashAfterSnapshot: true,
  });
  if (!before.run.snapshot) {
    coverage['too near the end']!++;
    return;
  }
  const after = await runPlanLocally(job, layoutAt(q), { ...local, seed: seed + 1 }, before.run.snapshot);
  if (after.run.numbers.lateRows + before.run.numbers.lateRows > 0) return;
  coverage.restored!++;
  if (p !== q) coverage.rescaled!++;
  coverage['pages of state']! += statePages(before.run.snapshot);
  const tasks = before.run.snapshot.parts.flatMap((part) => part.tasks);
  if (tasks.some((task) => task.ended.length === task.operators.length)) coverage['with ended tasks']!++;
  const joined = join(before.received, before.run.plan, before.run.snapshot, after.received, coverage);
  for (const output of expected) compare({ ...output, ordered: output.ordered && !stream }, joined);
}

/** Rows that the first run gave before the barrier, then those of the second. */
export function join(
  first: ReceivedByOutput,
  plan: PhysicalPlan,
  snapshot: Snapshot,
  second: ReceivedByOutput,
  coverage: Record<string, number>,
): ReceivedByOutput {
  const written = new Map<string, number>();
  for (const part of snapshot.parts) {
    for (const task of part.tasks)
      for (const [operator, rows] of task.written) written.set(operator, (written.get(operator) ?? 0) + rows);
  }
  const joined = new Map<string, { items: unknown[] }>();
  for (const { node, id } of plan.chains.flatMap((chain) => chain.operators)) {
    if (node.kind !== 'sink') continue;
    const kept = first.get(node.output)!.items.slice(0, written.get(id) ?? 0);
    const more = second.get(node.output)!.items;
    coverage['rows before']! += kept.length;
    coverage['rows after']! += more.length;
    joined.set(node.output, { items: [...kept, ...more] });
  }
  return joined;
}

export function statePages(snapshot: Snapshot): number {
  let chunks = 0;
  for (const part of snapshot.parts) {
    for (const task of part.tasks) {
      for (const state of task.state.values()) {
        for (const table of (state as { tables: { chunks: unknown[] }[] }).tables) chunks += table.chunks.length;
      }
    }
  }
  return chunks;
}

const oneOf = <T>(random: Prng, from: readonly T[]): T => from[random.below(from.length)]!;
