/** User functions in a thread that did not build the job: the module is imported again, and must say the same. */

import { buildPlan, isJob } from '../core/api/job.ts';
import { MillraceError } from '../core/base/errors.ts';
import type { UserFunction } from '../core/operators/operator.ts';
import { importDefault } from './job-module.ts';
import type { JobModule } from './messages.ts';

/** Errors: `job/…`; `job/differs` when a function is missing here or has another source. */
export async function loadFunctions(module: JobModule | null): Promise<ReadonlyMap<string, UserFunction>> {
  if (!module) return new Map();
  const job = await importDefault(module.url);
  if (!isJob(job)) {
    throw new MillraceError('job/no-default-export', 'the default export of the job file is not a job', {
      where: { path: module.url },
    });
  }
  const built = buildPlan(job, module.params);
  for (const [id, digest] of Object.entries(module.functions)) {
    const found = built.functions.get(id);
    if (found?.digest === digest) continue;
    throw new MillraceError(
      'job/differs',
      `the job file builds another job in a worker than where it was started: function ${id} ${found ? 'has another source' : 'is missing'} there; do not read the clock, chance or the environment while building, pass params instead`,
      { where: { path: module.url } },
    );
  }
  return new Map([...built.functions].map(([id, entry]) => [id, entry.call as UserFunction] as const));
}
