/** A job file named on the command line, imported and with its parameters read. */
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { definitionOf, type Ends, type Job } from '../core/api/job.ts';
import { MillraceError } from '../core/base/errors.ts';
import type { Field } from '../core/record/types.ts';
import { importDefault } from '../engine/job-module.ts';

export interface JobFileOptions {
  readonly param: Readonly<Record<string, string>>;
}

/** Errors: `job/…`; `option/invalid` for a parameter that the job does not have or that does not fit its type. */
export async function importJob(
  file: string,
  options: JobFileOptions,
): Promise<{ job: Job<Ends>; params: Record<string, unknown> }> {
  const path = resolve(file);
  const found = await importDefault(pathToFileURL(path).href);
  const definition = definitionOf(found);
  if (!definition) {
    throw new MillraceError(
      'job/no-default-export',
      'the default export of the job file is not a job; write `export default job(name, () => …)`',
      { where: { path } },
    );
  }
  const params: Record<string, unknown> = {};
  for (const [name, text] of Object.entries(options.param)) {
    const field = definition.params.find((candidate) => candidate.name === name);
    if (!field) {
      const known = definition.params.map((candidate) => candidate.name).join(', ');
      throw new MillraceError(
        'option/invalid',
        `the job has no parameter '${name}'; ${known === '' ? 'it has none' : `it has ${known}`}`,
      );
    }
    params[name] = read(field, text);
  }
  return { job: found as Job<Ends>, params };
}

function read(field: Field, text: string): unknown {
  const wrong = (expected: string): MillraceError =>
    new MillraceError('option/invalid', `parameter '${field.name}' is ${expected}, not '${text}'`);
  switch (field.type.kind) {
    case 'BOOLEAN':
      if (text !== 'true' && text !== 'false') throw wrong('true or false');
      return text === 'true';
    case 'INT':
    case 'BIGINT':
      if (!/^-?\d+$/.test(text)) throw wrong('a whole number');
      return field.type.kind === 'BIGINT' && field.type.asBigInt ? BigInt(text) : Number(text);
    case 'DOUBLE':
      if (text.trim() === '' || Number.isNaN(Number(text))) throw wrong('a number');
      return Number(text);
    case 'DATE':
    case 'TIMESTAMP': {
      const date = new Date(text);
      if (Number.isNaN(date.getTime())) throw wrong('a time as in 2026-01-31T12:00:00Z');
      return date;
    }
    default:
      return text;
  }
}
