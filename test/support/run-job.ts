/** Runs a job as a person writes it on one thread, and gives what its ends received, by name. */
import { handleResource } from '../../connectors/rows/callback.ts';
// Loaders of TypeScript may stumble over modules that are first imported twice at once.
import '../../connectors/rows/collection.ts';
import { buildPlan } from '../../core/api/job.ts';
import type { Ends } from '../../core/api/stream.ts';
import { boundedQueue } from '../../core/base/queue.ts';
import type { UserFunction } from '../../core/operators/operator.ts';
import { type LocalJob, type LocalOptions, type LocalRun, runLocal } from '../../engine/local.ts';
import { checkOptions, type LayoutOptions } from '../../engine/options.ts';
import type { Snapshot } from '../../engine/running-job.ts';

export interface JobRun {
  /** Rows by output (`result` where there is one end). */
  readonly rows: ReadonlyMap<string, unknown[]>;
  readonly run: LocalRun;
}

export async function runJob(
  ends: Ends,
  options: LayoutOptions = {},
  local: Partial<LocalOptions> = {},
  restore: Snapshot | null = null,
): Promise<JobRun> {
  const built = buildPlan(ends);
  const names = built.plan.outputs.map(({ name }) => name);
  const queues = new Map(names.map((name) => [name, boundedQueue<unknown>(64)] as const));
  const rows = new Map(names.map((name) => [name, [] as unknown[]] as const));
  const reading = [...queues].map(async ([name, queue]) => {
    try {
      for await (const row of queue) rows.get(name)!.push(row);
    } catch {
      // The job's error is told by its run.
    }
  });
  const run = await runLocal(
    {
      plan: built.plan,
      options: checkOptions({ parallelism: 1, memory: '256mb', ...options }),
      module: null,
      functions: new Map([...built.functions].map(([id, { call }]) => [id, call as UserFunction] as const)),
      resources: new Map([
        ...built.resources,
        ...[...queues].map(([name, queue]) => [handleResource(name), queue] as const),
      ]),
      ends: queues,
      restore,
    },
    { seed: 1, ...local },
  );
  await Promise.all(reading);
  return { rows, run };
}

/** Turns of a job on one thread until `until` says so, or it has ended. Idle time passes. */
export async function drive(job: LocalJob, until: () => boolean = () => false): Promise<void> {
  for (let idle = 0; job.outcome === null && !until(); ) {
    if (job.turn()) {
      idle = 0;
      if (job.steps % 16 === 0) await new Promise((resolve) => setImmediate(resolve));
    } else {
      if (++idle > idleTurnsMax) throw new Error(`nothing moves: ${JSON.stringify(job.notices)}`);
      await job.settle();
      job.clock.advance(1);
    }
  }
}
const idleTurnsMax = 5000;
