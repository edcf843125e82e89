/**
 * Threads that die, run out of memory or never come back, and functions that throw, in a job with a state directory: each is
 * contained and named, the job is restarted from its last checkpoint as often as its strategy says and no more, and its
 * files hold every row once.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type RunOptions, run } from 'millrace';
import { describe, expect, test } from 'vitest';
import faltering, { keys, rows } from './jobs/faltering.ts';
import { expectHealth, failureOf, testDirectory } from './support.ts';

const directory = testDirectory();

const options = (place: string, how: string, times: number, attempts: number): RunOptions => ({
  parallelism: 2,
  memory: '256mb',
  batchRows: 64,
  params: { how, times, place },
  stateDir: join(place, 'state'),
  checkpoint: { every: '30 ms' },
  callTimeout: '400 ms',
  restart: { strategy: 'fixedDelay', attempts, delay: '10 ms' },
});

const marks = (place: string): number => readFileSync(join(place, 'marks'), 'utf8').length;

interface Line {
  readonly n: number;
  readonly k: number;
  readonly count: number;
}

/** The files hold each row once, and each key's count went on where it was. */
function expectEverythingOnce(place: string): void {
  const out = join(place, 'out');
  const lines = (existsSync(out) ? readdirSync(out) : [])
    .filter((name) => !name.startsWith('.'))
    .flatMap((name) => readFileSync(join(out, name), 'utf8').split('\n'))
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Line);
  expect(lines.map(({ n }) => n).sort((a, b) => a - b)).toEqual(Array.from({ length: rows }, (_, n) => n));
  for (let k = 0; k < keys; k++) {
    const counts = lines.filter((line) => line.k === k).map(({ count }) => count);
    expect(counts.sort((a, b) => a - b)).toEqual(Array.from({ length: counts.length }, (_, i) => i + 1));
  }
}

const named: Readonly<Record<string, { readonly code: string; readonly message: RegExp }>> = {
  throws: { code: 'function/threw', message: /RangeError: not \d+/ },
  exits: { code: 'slot/died', message: /the thread of slot \d died in a function of operator 'culprit'/ },
  loops: { code: 'function/endless', message: /'culprit' has not come back for 400 ms/ },
  hoards: { code: 'slot/died', message: /'culprit': its JavaScript heap has no more than \d+ MB/ },
};

describe('a function that', () => {
  for (const how of ['throws', 'exits', 'loops']) {
    test(`${how} twice: the job goes on from its last checkpoint, and its files hold every row once`, async () => {
      const place = mkdtempSync(join(directory, `${how}-`));
      const handle = run(faltering, options(place, how, 2, 3));
      await handle.result();
      expect(marks(place)).toBe(2);
      expect(handle.metrics().checkpoints).toMatchObject({ restarts: 2, restoredFrom: expect.any(Number) });
      expectEverythingOnce(place);
      await expectHealth();
    });

    test(`${how} every time: restarted as often as was said, then named; run again it gets through`, async () => {
      const place = mkdtempSync(join(directory, `${how}-`));
      const error = await failureOf(run(faltering, options(place, how, 1000, 1)).result());
      expect(marks(place)).toBe(2);
      expect(error.code).toBe(named[how]!.code);
      expect(error.message).toMatch(named[how]!.message);
      expect(error.message).toContain('(the job is not restarted: it was restarted once already)');
      expect(error.where).toMatchObject({ operator: 'culprit', callSite: expect.stringContaining('faltering.ts') });
      await run(faltering, options(place, how, 0, 1)).result();
      expectEverythingOnce(place);
      await expectHealth();
    });
  }

  test('fills the JavaScript heap every time: its threads end, not the process; restarted once, named, and run again it gets through', () => {
    const place = mkdtempSync(join(directory, 'hoards-'));
    const script = `
      import { run } from 'millrace';
      const { default: job } = await import('jiti').then(({ createJiti }) =>
        createJiti(process.cwd() + '/', { nativeModules: ['millrace'] }).import('./test/errors/jobs/faltering.ts'));
      const failed = await run(job, ${JSON.stringify({ ...options(place, 'hoards', 1000, 1), callTimeout: '1 minute' })})
        .result().catch((error) => error);
      await run(job, ${JSON.stringify(options(place, 'hoards', 0, 1))}).result();
      console.log(JSON.stringify({ code: failed.code, message: failed.message, where: failed.where }));`;
    const child = spawnSync(process.execPath, ['--max-old-space-size=64', '--input-type=module', '--eval', script], {
      cwd: fileURLToPath(new URL('../..', import.meta.url)),
      encoding: 'utf8',
    });
    expect(child.stderr).toBe('');
    const said = JSON.parse(child.stdout);
    expect(said).toMatchObject({
      code: 'slot/died',
      message: expect.stringMatching(named.hoards!.message),
      where: { operator: 'culprit' },
    });
    expect(said.message).toContain('the job is not restarted: it was restarted once already');
    // One or two threads in each of two attempts.
    expect(marks(place)).toBeGreaterThanOrEqual(2);
    expect(marks(place)).toBeLessThanOrEqual(4);
    expectEverythingOnce(place);
  });
});
