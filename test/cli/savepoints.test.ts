/** Savepoints of running jobs, from one to the next; what the command line shows of checkpoints and savepoints. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { tableFromIPC } from 'apache-arrow';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Project } from './support.ts';

const job = `
import { count, from, generator, job, jsonl, max, min, schema, state, sum, t, tumble } from 'millrace';
const rows = () =>
  from(generator({ rate: 50_000, columns: (g) => ({ n: g.sequence(), k: g.bigint(0, 9), at: g.time({ start: '2026-01-01T00:00:00Z', perSecond: 1000 }) }) }))
    .eventTime('at');
export default job('windows', () => ({
  windows: rows()
    .groupBy('k', tumble('1 second'))
    .aggregate((r) => ({ n: count(), total: sum(r.n), least: min(r.n), most: max(r.n) }))
    .to(jsonl('out')),
  seen: rows()
    .keyBy('k')
    .process({
      state: { seen: state.value(t.bigint()), last: state.value(t.string()) },
      output: schema({ k: t.bigint(), seen: t.bigint(), last: t.string() }),
      onRow(row, { state, emit }) {
        const seen = (state.seen.get() ?? 0) + 1;
        state.seen.set(seen);
        state.last.set('the row with number ' + row.n);
        if (seen % 100 === 0) emit({ k: row.k, seen, last: state.last.get() });
      },
    })
    .to(jsonl('seen')),
}));
`;

let project: Project;
beforeEach(() => {
  project = new Project();
  project.write('job.js', job);
});
afterEach(() => project.remove());

const until = async (done: () => boolean): Promise<void> => {
  for (let i = 0; i < 800 && !done(); i++) await new Promise((resolve) => setTimeout(resolve, 25));
  expect(done()).toBe(true);
};
const manifests = (state: string): string[] => project.names(`${state}/manifests`);
const rowsOf = (directory: string): Record<string, unknown>[] =>
  project
    .names(directory)
    .filter((name) => !name.startsWith('.'))
    .flatMap((name) => readFileSync(join(project.path, directory, name), 'utf8').split('\n'))
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Record<string, unknown>);

test('a job stopped with a savepoint goes on from it in another state directory, at another parallelism, exactly', async () => {
  const first = project.start('run', 'job.js', '-p', '2', '--state-dir', 'state', '--checkpoint', '200ms');
  await until(() => manifests('state').length >= 2);
  const inBetween = await project.run('savepoint', 'kept', '--state-dir', 'state');
  expect(inBetween).toMatchObject({ code: 0 });
  const stop = await project.run('stop', '--savepoint', 'last', '--state-dir', 'state');
  expect(stop, stop.stderr).toMatchObject({ code: 0 });
  await first.ended;
  const path = stop.stdout.trim();
  expect(path).toMatch(/last\/savepoint-windows-\d+$/);

  const list = await project.run('checkpoints', 'list', 'state');
  expect(list.code).toBe(0);
  expect(list.stdout).toContain('windows');
  const verify = await project.run('checkpoints', 'verify', 'state');
  expect(verify).toMatchObject({ code: 0 });
  expect(verify.stdout).toMatch(/(\d+) of \1 checkpoints are whole/);

  const show = await project.run('state', 'show', path);
  expect(show).toMatchObject({ code: 0 });
  for (const text of ["savepoint of 'windows'", 'slices', 'keys', 'count(*), sum(n), min(n), max(n)', 'seen, last'])
    expect(show.stdout).toContain(text);
  const { states } = JSON.parse(readFileSync(join(path, 'MANIFEST'), 'utf8').replace(/^.*\n/, '')) as {
    states: { operator: string; name: string; file: string }[];
  };
  const keys = states.find(({ name }) => name === 'keys')!;
  const one = await project.run('state', 'show', path, keys.operator);
  expect(one.stdout).toMatch(/the row with number \d+/);
  expect((await project.run('state', 'show', path, 'nobody')).stderr).toContain("'nobody' has no state");
  const table = tableFromIPC(readFileSync(join(path, keys.file)));
  const before = new Map(table.toArray().map((row) => [Number(row.k), Number(row.seen)]));
  expect(before.size).toBe(10);

  const second = project.start(
    'run',
    'job.js',
    '-p',
    '1',
    '--state-dir',
    'other',
    '--from',
    path,
    '--checkpoint',
    '200ms',
  );
  await until(() => manifests('other').some((name) => name > 'MANIFEST-00000003'));
  const again = await project.run('stop', '--savepoint', 'end', '--state-dir', 'other');
  expect(again, again.stderr).toMatchObject({ code: 0 });
  await second.ended;

  // Every window once and whole, over both runs.
  const windows = rowsOf('out');
  const names = windows.map(({ n: _, total: __, least: ___, most: ____, ...key }) => JSON.stringify(key));
  expect(new Set(names).size).toBe(names.length);
  const n = windows.reduce((sum, row) => sum + (row.n as number), 0);
  expect(n % 1000).toBe(0);
  expect(windows.reduce((sum, row) => sum + (row.total as number), 0)).toBe((n * (n - 1)) / 2);
  // Every key counted on where it was.
  const seen = rowsOf('seen');
  for (let k = 0; k < 10; k++) {
    const counts = seen
      .filter((row) => row.k === k)
      .map((row) => row.seen as number)
      .sort((a, b) => a - b);
    expect(counts).toEqual(counts.map((_, i) => 100 * (i + 1)));
    expect(counts.at(-1)).toBeGreaterThan(before.get(k)! - 100);
  }
}, 120_000);

test('damage is told, and what is no savepoint is refused without a change', async () => {
  const running = project.start('run', 'job.js', '-p', '1', '--state-dir', 'state', '--checkpoint', '200ms');
  await until(() => manifests('state').length >= 2);
  await project.run('cancel', '--state-dir', 'state');
  await running.ended;
  const [file] = project.names('state/files') as [string];
  const at = join(project.path, 'state/files', file);
  const bytes = readFileSync(at);
  bytes[bytes.length >>> 1]! ^= 1;
  writeFileSync(at, bytes);
  const verify = await project.run('checkpoints', 'verify', 'state');
  expect(verify.code).toBe(1);
  expect(verify.stdout).toContain(file);
  const refused = await project.run('run', 'job.js', '--state-dir', 'new', '--from', 'state');
  expect(refused.code).toBe(1);
  expect(refused.stderr).toContain('state/not-found');
  expect(project.names('new/files')).toEqual([]);
  for (const args of [
    ['checkpoints', 'list', 'nowhere'],
    ['state', 'show', 'nowhere'],
  ]) {
    const { code, stderr } = await project.run(...args);
    expect(code).toBe(1);
    expect(stderr).toContain('state/not-found');
  }
}, 60_000);
