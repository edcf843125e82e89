/** Examples run as a person runs them: by the command line in a process of their own, or by `run` as a stream that is drained. */
import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type Job, type JobResult, type RunOptions, run } from 'millrace';
import { onTestFinished } from 'vitest';

export const root = join(import.meta.dirname, '..', '..');
const cli = join(root, 'dist', 'cli', 'main.js');

export interface Finished {
  readonly stdout: string;
  readonly stderr: string;
}

/** A process of this Node. Rejects, with all it wrote, where it does not exit with 0. */
export async function node(args: readonly string[], cwd: string = root): Promise<Finished> {
  try {
    return await promisify(execFile)(process.execPath, args, { cwd, maxBuffer: 64 * 2 ** 20 });
  } catch (error) {
    const { code, stdout, stderr } = error as { code: unknown } & Finished;
    throw new Error(`node ${args.join(' ')} ended with ${code}\n${stdout}\n${stderr}`);
  }
}

/** `millrace run examples/NAME` on two slots, its results under `out`. */
export function millrace(
  name: string,
  out: string,
  params: Readonly<Record<string, unknown>> = {},
  options: readonly string[] = [],
): Promise<Finished> {
  const given = Object.entries({ out, ...params }).flatMap(([key, value]) => ['--param', `${key}=${value}`]);
  return node([cli, 'run', join('examples', name), '-p', '2', ...options, ...given]);
}

/** Runs a job over ended input as a stream; when every row has been read it is stopped, and what is open is closed. */
export async function drained<O>(job: Job<O>, params: RunOptions['params'], parallelism = 2): Promise<JobResult> {
  const handle = run(job as Job<never>, { parallelism, mode: 'stream', ...(params ? { params } : {}) });
  let failed = false;
  handle.result().catch(() => {
    failed = true;
  });
  while (!failed) {
    const { rowsIn, estimatedRows } = handle.metrics();
    if (estimatedRows !== null && rowsIn >= estimatedRows) break;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  if (!failed) await handle.stop({ drain: true });
  return handle.result();
}

/** A folder that goes with the test. */
export function temporary(): string {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-examples-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Rows of the jsonl files in a folder. Whole files only: one in the making is an error. */
export function rowsIn<R>(folder: string): R[] {
  return readdirSync(folder).flatMap((name) => {
    if (!name.endsWith('.jsonl')) throw new Error(`${name} is left over in ${folder}`);
    const text = readFileSync(join(folder, name), 'utf8').trimEnd();
    return text === '' ? [] : text.split('\n').map((line) => JSON.parse(line) as R);
  });
}

/** In one order, so that lists can be compared. */
export function sorted<R>(rows: readonly R[]): R[] {
  return rows
    .map((row) => [JSON.stringify(row), row] as const)
    .sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
    .map(([, row]) => row);
}
