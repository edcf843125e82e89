/**
 * `run`, `collect` and `explain`: a job becomes a plan here, on the caller's thread, and is handed to the coordinator.
 * What is no JSON (rows, iterables, callbacks) stays on this thread, which is a participant of the job where the plan
 * needs it.
 */
import { pathToFileURL } from 'node:url';
import { handleResource } from '../connectors/rows/callback.ts';
import { type BuiltJob, buildPlan, type Ends, type Job } from '../core/api/job.ts';
import type { StreamOf } from '../core/api/modes.ts';
import type { JobHandle, RunOptions } from '../core/api/run.ts';
import { MillraceError, reviveError } from '../core/base/errors.ts';
import type { UserFunction } from '../core/operators/operator.ts';
import type { Plan } from '../core/plan/nodes.ts';
import { coordinator } from './caller.ts';
import { jobHandle } from './handle.ts';
import type { JobModule } from './messages.ts';
import { checkOptions } from './options.ts';
import { settleResources } from './resources.ts';
import { endQueue, RunningJob, type Snapshot, type Submission } from './running-job.ts';

/**
 * Starts a job, or a pipeline that needs no module. Errors in the plan and while it runs come by the handle: `result()`
 * rejects and iteration throws. Errors at once: `option/invalid`, `job/needs-module`, and what building the job throws.
 */
export function run<const O extends Ends>(what: Job<O> | O, options: RunOptions = {}): JobHandle<O> {
  return jobHandle<O>(startJob(what as Job<Ends> | Ends, options), options.signal ?? null);
}

/** All rows of a bounded stream. */
export async function collect<R>(stream: StreamOf<R, 'bounded'>, options: RunOptions = {}): Promise<R[]> {
  const rows: R[] = [];
  const handle = run(stream as unknown as Ends, options);
  for await (const row of handle as unknown as AsyncIterable<R>) rows.push(row);
  await handle.result();
  return rows;
}

/** The plan as text: logical, rewritten, chains, edges, traits, what is compiled. Reads metadata of sources, starts no job. */
export async function explain(what: Job<Ends> | Ends, options: RunOptions = {}): Promise<string> {
  const submission = submit(what, options, null);
  const { plan, shared } = await settleResources(submission.plan, submission.resources);
  const answer = await coordinator().explain({ plan, options: submission.options, resources: shared });
  if (answer.error) throw reviveError(answer.error);
  return answer.text ?? '';
}

/** A started job behind its handle. `restore`: state to begin from. */
export function startJob(what: Job<Ends> | Ends, options: RunOptions, restore: Snapshot | null = null): RunningJob {
  return new RunningJob(submit(what, options, restore));
}

export function submit(what: Job<Ends> | Ends, options: RunOptions, restore: Snapshot | null): Submission {
  const checked = checkOptions(options);
  const built = buildPlan(what, options.params ?? {});
  const queues = new Map(openEnds(built.plan).map((name) => [name, endQueue()] as const));
  const receivers = [...queues].map(([name, queue]): [string, unknown] => [handleResource(name), queue]);
  return {
    plan: built.plan,
    options: checked,
    module: moduleOf(built, options),
    functions: new Map(
      [...built.functions].map(([id, entry]): [string, UserFunction] => [id, entry.call as UserFunction]),
    ),
    resources: new Map<string, unknown>([...built.resources, ...receivers]),
    ends: queues,
    restore,
  };
}

/** Names of the ends without a sink: their rows go to the handle. */
function openEnds(plan: Plan): string[] {
  return plan.nodes.flatMap((node) =>
    node.kind === 'sink' && node.connector.kind === 'handle' ? [String(node.connector.options.output)] : [],
  );
}

/** Slots must import the module only when there are functions to collect from it. */
function moduleOf(built: BuiltJob, options: RunOptions): JobModule | null {
  if (built.functions.size === 0) return null;
  if (built.module === null) {
    throw new MillraceError(
      'job/needs-module',
      'the pipeline has JavaScript functions (map, flatMap, mapBatch, process, scalarFunction), which every slot imports from a job module: put it in a file that ends with `export default job(name, () => …)` and run that job',
    );
  }
  return {
    url: built.module.includes('://') ? built.module : pathToFileURL(built.module).href,
    params: options.params ?? {},
    functions: Object.fromEntries([...built.functions].map(([id, entry]) => [id, entry.digest])),
  };
}
