/** `millrace explain`. */
import { explain } from '../engine/run.ts';
import { importJob, type JobFileOptions } from './job-file.ts';
import { write } from './output.ts';

export interface ExplainOptions extends JobFileOptions {
  readonly parallelism?: number;
  readonly stream?: boolean;
}

export async function explainCommand(file: string, options: ExplainOptions): Promise<void> {
  const { job, params } = await importJob(file, options);
  const { parallelism, stream } = options;
  const text = await explain(job, {
    params,
    ...(parallelism === undefined ? {} : { parallelism }),
    ...(stream ? { mode: 'stream' as const } : {}),
  });
  await write(text.endsWith('\n') ? text : `${text}\n`);
}
