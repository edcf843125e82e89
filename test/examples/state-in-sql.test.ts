/** examples/state-in-sql.mjs: what DuckDB answers about a savepoint is what its rows say. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { tableFromIPC } from 'apache-arrow';
import { expect, test } from 'vitest';
import { realDisk } from '../../engine/disk.ts';
import { openSavepoint } from '../../engine/savepoint.ts';
import { node, root } from './support.ts';

const golden = (job: string): string => {
  const place = join(root, 'test', 'fixtures', 'savepoints', '0.1.0', job);
  return join(place, readdirSync(place).find((name) => name.startsWith('savepoint-')) as string);
};
const script = join(root, 'examples', 'state-in-sql.mjs');

/** Cells of what console.table draws. */
const cells = (text: string): string[][] =>
  text
    .split('\n')
    .filter((line) => line.startsWith('│'))
    .slice(1)
    .map((line) =>
      line
        .split('│')
        .slice(2, -1)
        .map((cell) => cell.trim().replaceAll("'", '')),
    );

test('a question about state in SQL is answered as its rows say', async () => {
  const path = golden('list');
  const { stdout: tables } = await node([script, path]);
  const list = openSavepoint(realDisk, path).states.find(({ name }) => name === 'seen')!;
  const table = /^(\w+_seen): (\d+) rows of k Int64, index Int64, value Struct<.*>$/m.exec(tables);
  expect(Number(table?.[2]), tables).toBe(list.rows);

  const byKey = new Map<number, { rows: number; sum: number }>();
  for (const { k, value } of tableFromIPC(readFileSync(join(path, list.file)))) {
    const { rows, sum } = byKey.get(Number(k)) ?? { rows: 0, sum: 0 };
    byKey.set(Number(k), { rows: rows + 1, sum: sum + Number(value.n) });
  }
  const expected = [...byKey].sort(([a], [b]) => a - b).map(([k, { rows, sum }]) => [`${k}`, `${rows}`, `${sum}`]);
  expect(expected).toHaveLength(10);
  const sql = `SELECT k, count(*) AS rows, sum(value.n) AS total FROM ${table![1]} GROUP BY k ORDER BY k`;
  expect(cells((await node([script, path, sql])).stdout)).toEqual(expected);
});

test('what cannot be a table is named, the rest is there', async () => {
  const { stdout, stderr } = await node([script, golden('value')]);
  expect(stderr).toMatch(/digits: without value \(lists and maps stay in /);
  expect(stdout).toMatch(/greatest/);
  await expect(node([script])).rejects.toThrow('usage: node examples/state-in-sql.mjs');
});
