/**
 * Process functions: random rows through state of every kind, timers, time to live, broadcast and connected inputs, in
 * every regime; most runs are abandoned at a snapshot and restored at another parallelism. What comes out is what a plain
 * model gives, each row once.
 */
import { prng } from '../../core/base/prng.ts';
import { processCase } from '../support/process-model.ts';
import { runJob } from '../support/run-job.ts';
import { join, statePages } from './snapshots.ts';
import type { LongSuite } from './suite.ts';

export const suite: LongSuite = {
  name: 'process',
  describe: 'process functions give what a plain model gives, also restored at another parallelism',
  cases: 3000,
  casesInCi: 120,
  async run({ cases, seed, log }) {
    const failures: string[] = [];
    const coverage: Record<string, number> = {
      whole: 0,
      restored: 0,
      rescaled: 0,
      'in the middle of firing': 0,
      'rows before': 0,
      'rows after': 0,
      'rows compared': 0,
      'pages of state': 0,
    };
    for (let i = 0; i < cases; i++) {
      try {
        await one(seed + i, coverage);
      } catch (error) {
        failures.push(`seed ${seed + i}: ${error instanceof Error ? error.stack?.slice(0, 1500) : error}`);
        if (failures.length >= 20) break;
      }
      if (i % 100 === 99) log(`process: ${i + 1} of ${cases}, ${failures.length} failures`);
    }
    return { cases, failures, coverage };
  },
};

/** One job, from its seed. Throws what is wrong. */
export async function one(seed: number, coverage: Record<string, number>): Promise<void> {
  const random = prng(seed);
  const { ends, expected } = processCase(random, [20, 300, 1500][random.below(3)]!);
  const layout = () => ({
    parallelism: 1 + random.below(4),
    batchRows: [1, 1, 7, 64, 4096][random.below(4)]!,
    memory: '320mb',
  });
  const local = { ringBytes: [32 * 1024, 256 * 1024][random.below(2)]!, poisonRows: random.below(4) === 0 };
  const [p, q] = [layout(), layout()];
  const whole = random.below(4) === 0;
  const before = await runJob(ends, p, {
    ...local,
    seed,
    ...(whole ? {} : { snapshotAtStep: 1 + random.below([20, 80, 400][random.below(3)]!), crashAfterSnapshot: true }),
  });
  const { snapshot } = before.run;
  let rows = before.rows;
  if (snapshot) {
    const after = await runJob(ends, q, { ...local, seed: seed + 1 }, snapshot);
    coverage.restored!++;
    if (p.parallelism !== q.parallelism) coverage.rescaled!++;
    coverage['pages of state']! += statePages(snapshot);
    const tasks = snapshot.parts.flatMap((part) => part.tasks);
    if (tasks.some((task) => task.ended.length > 0 && task.ended.length < task.operators.length))
      coverage['in the middle of firing']!++;
    const items = (from: ReadonlyMap<string, unknown[]>) =>
      new Map([...from].map(([name, all]) => [name, { items: all }] as const));
    const joined = join(items(before.rows), before.run.plan, snapshot, items(after.rows), coverage);
    rows = new Map([...joined].map(([name, { items: all }]) => [name, all]));
  } else coverage.whole!++;
  for (const [name, wanted] of expected) {
    const got = rows.get(name)!.map((row) => (row as { said: string }).said);
    difference(name, got, wanted);
    coverage['rows compared']! += got.length;
  }
}

/** Multisets of texts. */
function difference(output: string, got: readonly string[], wanted: readonly string[]): void {
  const counts = new Map<string, number>();
  for (const text of wanted) counts.set(text, (counts.get(text) ?? 0) + 1);
  for (const text of got) counts.set(text, (counts.get(text) ?? 0) - 1);
  const missing = [...counts].filter(([, count]) => count > 0).map(([text]) => text);
  const extra = [...counts].filter(([, count]) => count < 0).map(([text]) => text);
  if (missing.length + extra.length === 0) return;
  throw new Error(
    `output ${output}: ${missing.length} rows are missing, ${extra.length} too many; missing ${missing.slice(0, 2).join(' | ')}; too many ${extra.slice(0, 2).join(' | ')}`,
  );
}
