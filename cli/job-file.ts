/** A job file named on the command line, imported. Its parameters are texts, which the job reads as what it declared. */
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type Ends, isJob, type Job } from '../core/api/job.ts';
import { MillraceError } from '../core/base/errors.ts';
import { importDefault } from '../engine/job-module.ts';

export interface JobFileOptions {
  readonly param: Readonly<Record<string, string>>;
}

/** Errors: `job/…`. */
export async function importJob(
  file: string,
  options: JobFileOptions,
): Promise<{ job: Job<Ends>; params: Readonly<Record<string, string>> }> {
  const path = resolve(file);
  const found = await importDefault(pathToFileURL(path).href);
  if (!isJob(found)) {
    throw new MillraceError(
      'job/no-default-export',
      'the default export of the job file is not a job; write `export default job(name, () => …)`',
      { where: { path } },
    );
  }
  return { job: found, params: options.param };
}
