/** `millrace bench nexmark` and `millrace nexmark`, as processes. */
import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { root } from './support.ts';

const cli = join(root, 'dist', 'cli', 'main.js');
const millrace = async (...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> => {
  try {
    return { code: 0, ...(await promisify(execFile)(process.execPath, [cli, ...args], { cwd: root })) };
  } catch (error) {
    return error as { code: number; stdout: string; stderr: string };
  }
};
const bench = (...args: string[]) => millrace('bench', 'nexmark', '--events', '20k', '--json', ...args);

test('a query has one digest, whatever the parallelism and the mode', async () => {
  const runs = await Promise.all([
    bench('--query', 'q17', '-p', '1'),
    bench('--query', 'q17', '-p', '2', '--stream'),
    bench('--query', 'q17', '-p', '2', '--whole'),
    bench('--query', 'q17', '-p', '2', '--checkpoint', '10s'),
    bench('--query', 'q17', '-p', '1', '--seed', '1'),
  ]);
  const told = runs.map(({ stdout, stderr }) => (stdout === '' ? stderr : JSON.parse(stdout)));
  expect(told[0]).toMatchObject({ query: 'q17', mode: 'bounded', parallelism: 1, events: 20_000, lateRows: 0 });
  const digests = told.map(({ digest }) => digest);
  expect(digests[0]).toMatch(/^[0-9a-f]{16}-\d+$/);
  expect(digests.slice(1, 4)).toEqual([digests[0], digests[0], digests[0]]);
  expect(digests[4]).not.toBe(digests[0]);
}, 120_000);

test('windows that closed are told; a query with a JavaScript function runs in every slot', async () => {
  const runs = await Promise.all([
    bench('--query', 'q7', '-p', '1', '--rate', '500'),
    bench('--query', 'q11', '-p', '2', '--rate', '500', '--stream'),
    bench('--query', 'q14', '-p', '1'),
    bench('--query', 'q14', '-p', '2', '--stream', '--whole'),
  ]);
  const told = runs.map(({ stdout, stderr }) => (stdout === '' ? stderr : JSON.parse(stdout)));
  // 40 seconds of event time, in windows of ten.
  expect(told[0]).toMatchObject({ windowsClosed: 4 });
  expect(told[1].windowsClosed).toBe(Number(told[1].digest.split('-')[1]));
  expect(told[3]).toMatchObject({ windowsClosed: 0, digest: told[2].digest });
}, 120_000);

test('files where the query writes files; no digest where none is wanted', async () => {
  const runs = await Promise.all([
    bench('--query', 'q10', '-p', '2', '--stream', '--whole'),
    bench('--query', 'q2', '-p', '1', '--no-digest', '--whole'),
    bench('--query', 'q2', '-p', '1'),
    // Beside the events it reads a file, of which nobody knows how many rows it has.
    bench('--query', 'q13', '-p', '2', '--stream'),
  ]);
  const told = runs.map(({ stdout, stderr }) => (stdout === '' ? stderr : JSON.parse(stdout)));
  expect(told[0]).toMatchObject({ rowsOut: 18_400, digest: null });
  expect(told[3]).toMatchObject({ rowsOut: 18_400 });
  expect(told[1]).toMatchObject({ rowsOut: told[2].rowsOut, digest: null });
}, 120_000);

test('the events as files', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-events-'));
  try {
    const { stdout } = await millrace('nexmark', folder, '--events', '1k', '--format', 'jsonl', '-p', '2');
    expect(stdout).toBe(`1000 events in ${folder}\n`);
    const lines = (of: string): string[] =>
      readdirSync(join(folder, of)).flatMap((name) =>
        readFileSync(join(folder, of, name), 'utf8')
          .trim()
          .split('\n'),
      );
    expect(['person', 'auction', 'bid'].map((of) => lines(of).length)).toEqual([20, 60, 920]);
    const ids = lines('auction').map((line) => JSON.parse(line).id);
    expect(ids.sort()).toEqual(Array.from({ length: 60 }, (_, i) => 1000 + i));
    const separated = join(folder, 'separated');
    await millrace('nexmark', separated, '--events', '1k', '--format', 'csv', '-p', '2');
    const sameIds = readdirSync(join(separated, 'auction')).flatMap((name) =>
      [...readFileSync(join(separated, 'auction', name), 'utf8').matchAll(/^(\d+),/gm)].map(([, id]) => Number(id)),
    );
    expect(sameIds.sort()).toEqual(ids);
  } finally {
    rmSync(folder, { recursive: true });
  }
}, 60_000);

test('what cannot be is said', async () => {
  const [query, suite, both, events] = await Promise.all([
    bench('--query', 'q99'),
    millrace('bench', 'flights', '--query', 'q5'),
    bench('--query', 'q5', '--stream', '--bounded'),
    millrace('nexmark', 'x', '--events', 'many'),
  ]);
  expect(query!.stderr).toMatch(/there is no query 'q99'/);
  expect(suite!.stderr).toMatch(/there is no benchmark 'flights' here/);
  expect(both!.stderr).toMatch(/--stream or --bounded, not both/);
  expect(events!.stderr).toMatch(/must be a number, as in '20m'/);
  for (const { code } of [query!, suite!, both!, events!]) expect(code).toBe(1);
}, 60_000);
