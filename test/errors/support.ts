/** Failures as tests look at them. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { collect, collection, type Ends, from, MillraceError, type RunOptions, run } from 'millrace';
import { afterAll, expect } from 'vitest';

/** The error that `work` fails with, which is one of ours. */
export async function failureOf(work: Promise<unknown> | (() => Promise<unknown>)): Promise<MillraceError> {
  try {
    await (typeof work === 'function' ? work() : work);
  } catch (error) {
    expect(error).toBeInstanceOf(MillraceError);
    return error as MillraceError;
  }
  throw new Error('it did not fail');
}

/** The error that a job ends with, in one slot unless said. */
export const failureOfJob = (what: Ends, options: RunOptions = {}): Promise<MillraceError> =>
  failureOf(async () => run(what, { parallelism: 1, ...options }).result());

/** Other jobs of this process run, and rightly. */
export async function expectHealth(): Promise<void> {
  expect(await collect(from(collection([{ a: 1 }, { a: 2 }])), { parallelism: 1 })).toEqual([{ a: 1 }, { a: 2 }]);
}

/** A directory that goes with the file's tests. */
export function testDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-errors-'));
  afterAll(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}
