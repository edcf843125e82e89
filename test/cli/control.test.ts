/** `millrace stop`, `savepoint` and `cancel` reach a running job by its state directory; signals end it resumable. */
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Project } from './support.ts';

/** Windows over a sequence, so that every row's part in the files is known. */
const job = `
import { count, from, generator, job, jsonl, sum, tumble } from 'millrace';
export default job('windows', () =>
  from(generator({ rate: 50_000, columns: (g) => ({ n: g.sequence(), k: g.bigint(0, 9), at: g.time({ start: '2026-01-01T00:00:00Z', perSecond: 1000 }) }) }))
    .eventTime('at')
    .groupBy('k', tumble('1 second'))
    .aggregate((r) => ({ n: count(), total: sum(r.n) }))
    .to(jsonl('out')));
`;

let project: Project;
beforeEach(() => {
  project = new Project();
  project.write('job.js', job);
});
afterEach(() => project.remove());

const until = async (done: () => boolean): Promise<void> => {
  for (let i = 0; i < 400 && !done(); i++) await new Promise((resolve) => setTimeout(resolve, 25));
  expect(done()).toBe(true);
};
const manifests = (): string[] => project.names('state/manifests');

/**
 * Every window that is there stands once, and holds each of its numbers once: window w those from 1000 w on. The last ones
 * may have been closed before all their rows had come. Answers how many windows there are.
 */
function checkWindows(openAtTheEnd = 0): number {
  const windows = new Map<string, { n: number; total: number; keys: Set<number> }>();
  const lines = project
    .names('out')
    .filter((name) => !name.startsWith('.'))
    .flatMap((name) => readFileSync(join(project.path, 'out', name), 'utf8').split('\n'))
    .filter((line) => line !== '');
  for (const line of lines) {
    const { k, n, total, ...window } = JSON.parse(line) as { k: number; n: number; total: number };
    const key = JSON.stringify(window);
    const found = windows.get(key) ?? { n: 0, total: 0, keys: new Set() };
    expect(found.keys.has(k), `twice: ${line}`).toBe(false);
    found.keys.add(k);
    windows.set(key, { n: found.n + n, total: found.total + total, keys: found.keys });
  }
  const whole = [...windows.keys()].sort().slice(0, windows.size - openAtTheEnd);
  whole.forEach((key, w) => {
    const first = 1000 * w;
    expect([windows.get(key)!.n, windows.get(key)!.total], key).toEqual([1000, 1000 * first + 499_500]);
  });
  return windows.size;
}

describe('a running job', () => {
  test('is stopped behind a last checkpoint, and goes on from there', async () => {
    const first = project.start('run', 'job.js', '-p', '2', '--state-dir', 'state', '--checkpoint', '200ms');
    await until(() => manifests().length >= 2);
    expect(statSync(join(project.path, 'state', 'control.sock')).mode & 0o777).toBe(0o600);
    const stop = await project.run('stop', '--state-dir', 'state');
    expect(stop.stderr).toContain('stopped with checkpoint');
    expect(stop.code).toBe(0);
    const ended = await first.ended;
    expect(ended.code).toBe(0);
    expect(ended.stderr).toContain('run it again with --state-dir');
    expect(project.names('state')).not.toContain('control.sock');
    const before = checkWindows();
    const second = project.start('run', 'job.js', '-p', '1', '--state-dir', 'state', '--checkpoint', '200ms');
    const had = manifests().at(-1)!;
    await until(() => (manifests().at(-1) ?? '') > had);
    const drained = await project.run('stop', '--drain', '--state-dir', 'state');
    expect(drained.code).toBe(0);
    const over = await second.ended;
    expect(over.code).toBe(0);
    expect(over.stderr).toContain('went on from');
    expect(project.names('out').filter((name) => name.startsWith('.'))).toEqual([]);
    expect(checkWindows(20)).toBeGreaterThan(before);
  }, 60_000);

  test('that gets SIGTERM ends behind a last checkpoint, and its exit code says so', async () => {
    const running = project.start('run', 'job.js', '-p', '2', '--state-dir', 'state', '--checkpoint', 'never');
    await until(() => project.names('state').includes('control.sock'));
    await new Promise((resolve) => setTimeout(resolve, 500));
    running.child.kill('SIGTERM');
    const ended = await running.ended;
    expect(ended.code).toBe(143);
    expect(ended.stderr).toContain('stopped with checkpoint 1');
    expect(manifests()).toHaveLength(1);
    checkWindows();
  }, 60_000);

  test('is cancelled where it is; another one is refused its directory meanwhile', async () => {
    const running = project.start('run', 'job.js', '-p', '2', '--state-dir', 'state', '--checkpoint', '200ms');
    await until(() => manifests().length >= 2);
    const other = await project.run('run', 'job.js', '--state-dir', 'state');
    expect(other.code).toBe(1);
    expect(other.stderr).toContain('state/locked');
    const cancel = await project.run('cancel', '--state-dir', 'state');
    expect(cancel.code).toBe(0);
    const ended = await running.ended;
    expect(ended.code).toBe(1);
    expect(ended.stderr).toContain('job/cancelled');
    checkWindows();
  }, 60_000);
});

test('where no job runs, the commands say so', async () => {
  for (const args of [['stop'], ['cancel'], ['savepoint', 'there']]) {
    const { code, stderr } = await project.run(...args, '--state-dir', 'nowhere');
    expect(code).toBe(1);
    expect(stderr).toContain('job/not-running');
    expect(stderr).toContain('nowhere');
  }
});
