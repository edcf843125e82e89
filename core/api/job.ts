/**
 * A job: a name, a build function and parameters; the default export of a job module. `buildPlan` asks it for its ends
 * and makes the plan. Nothing runs here.
 */
import { describeValue } from '../base/describe.ts';
import { isMillraceError, MillraceError } from '../base/errors.ts';
import type { Fields } from '../record/types.ts';
import { type BuiltPlan, planOf } from './build.ts';
import { callerOf, callSiteText, parseFrame } from './call-site.ts';
import type { value } from './marks.ts';
import { paramsOf } from './params.ts';
import { fieldsOf, type Schema } from './schema.ts';
import { tipOf } from './step.ts';
import type { Ends } from './stream.ts';

export type { BuiltFunction, BuiltPlan } from './build.ts';
export type { End, Ends } from './stream.ts';

export interface Job<O> {
  readonly name: string;
  readonly [value]: O;
}

export interface JobOptions<P> {
  /** What `build` gets as `params`, and the command line as `--param name=value`. */
  readonly params?: Schema<P>;
  /** The file that exports the job, as a URL: `import.meta.url`. Needed only where bundling hides it. */
  readonly module?: string;
}

/**
 * A job whose `build` returns one end or a record of named ends. Workers import the module that called this to find the
 * user functions; so building must depend on `params` only, not on the clock, chance or the environment.
 */
// biome-ignore lint/complexity/noBannedTypes: `{}` is a job without parameters
export function job<const O extends Ends, P = {}>(
  name: string,
  build: (context: { readonly params: NoInfer<P> }) => O,
  options: JobOptions<P> = {},
): Job<O> {
  if (typeof name !== 'string' || name === '')
    throw new MillraceError('option/invalid', 'a job has a name: job(name, build)');
  if (typeof build !== 'function')
    throw new MillraceError('option/invalid', `job('${name}', …) takes a function that builds it`);
  const definition: JobDefinition = Object.freeze({
    name,
    build: build as JobDefinition['build'],
    params: options.params === undefined ? [] : fieldsOf(options.params),
    module: options.module ?? callerOf(job)?.file ?? null,
  });
  return Object.freeze({ name, [behind]: definition }) as unknown as Job<O>;
}

/** What is behind a `Job`. */
export interface JobDefinition {
  readonly name: string;
  readonly build: (context: { readonly params: Readonly<Record<string, unknown>> }) => Ends;
  /** Declared parameters; none: an empty list. */
  readonly params: Fields;
  /** URL or path of the file that called `job`, where workers find it again; null: unknown. */
  readonly module: string | null;
}

const behind = Symbol.for('millrace.job');

export function isJob(what: unknown): what is Job<Ends> {
  return definitionOf(what) !== null;
}

/** The definition behind a job; null for anything else. */
export function definitionOf(what: unknown): JobDefinition | null {
  return typeof what === 'object' && what !== null ? ((what as { [behind]?: JobDefinition })[behind] ?? null) : null;
}

/** A job's plan and what it names. */
export interface BuiltJob extends BuiltPlan {
  /** See `JobDefinition.module`; null also for ends that no job was made of. */
  readonly module: string | null;
}

/**
 * The plan of a job, or of ends without one. The same job and params give the same plan and function ids in every
 * process. Errors: `option/invalid` for params and ends, `job/build-failed` for what `build` itself throws.
 */
export function buildPlan(what: Job<Ends> | Ends, params: Readonly<Record<string, unknown>> = {}): BuiltJob {
  const definition = definitionOf(what);
  if (!definition) {
    if (Object.keys(params).length > 0)
      throw new MillraceError('option/invalid', 'params are for a job; this is a stream');
    return { ...planOf('job', endsOf('run', what)), module: null };
  }
  const ends = built(definition, paramsOf(definition.name, definition.params, params));
  return { ...planOf(definition.name, endsOf(`job '${definition.name}'`, ends)), module: definition.module };
}

/** What is wrong in the plan says so itself; anything else is the job's own code failing. */
function built(definition: JobDefinition, params: Readonly<Record<string, unknown>>): unknown {
  try {
    return definition.build({ params });
  } catch (error) {
    if (isMillraceError(error)) throw error;
    const said = error instanceof Error ? `${error.name}: ${error.message}` : describeValue(error);
    const site = callSiteText(error instanceof Error && error.stack ? parseFrame(error.stack) : null);
    throw new MillraceError('job/build-failed', `building job '${definition.name}' threw ${said}`, {
      cause: error,
      where: site ? { callSite: site } : {},
    });
  }
}

/** Ends by name; a single one is the output `result`. */
function endsOf(who: string, ends: unknown): ReadonlyMap<string, object> {
  if (tipOf(ends)) return new Map([['result', ends as object]]);
  if (typeof ends !== 'object' || ends === null) {
    throw new MillraceError(
      'option/invalid',
      `${who}: a stream, an output or a record of them is wanted, not ${ends === null ? 'null' : `a ${typeof ends}`}`,
    );
  }
  if (typeof (ends as { then?: unknown }).then === 'function') {
    throw new MillraceError(
      'option/invalid',
      `${who}: build returned a promise; building is synchronous, it opens nothing`,
    );
  }
  const named = new Map(Object.entries(ends));
  if (named.size === 0) throw new MillraceError('option/invalid', `${who} has no end: build returned an empty record`);
  for (const [name, end] of named) {
    if (!tipOf(end))
      throw new MillraceError('option/invalid', `${who}: the end '${name}' is neither a stream nor an output`);
  }
  return named;
}
