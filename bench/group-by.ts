/** Sum and count by key, 10 million rows in random order in an Arrow table on the caller's shared buffers. */
import { prng } from '../core/base/prng.ts';
import { arrowTable, count, from, sum } from '../index.ts';
import { type DataColumns, i64Column, type NumberColumn, tableOf, textColumn } from './data.ts';
import type { Bench, BenchCase, CaseOptions, Cell, Engine } from './harness.ts';
import { duckdb, loadTable, openDuck } from './rivals/duckdb.ts';
import { millrace } from './rivals/millrace.ts';
import { polars } from './rivals/polars.ts';

type Key = 'i64' | 'string' | 'dictionary';

export const groupBy: Bench = {
  name: 'group-by',
  describe: 'sum and count by key over an Arrow table, 10 M rows in random order',
  cases: [
    groupCase('10k-i64', 10_000, 'i64'),
    groupCase('1m-i64', 1_000_000, 'i64'),
    groupCase('10k-string', 10_000, 'string'),
    groupCase('1m-string', 1_000_000, 'string'),
    groupCase('10k-dictionary', 10_000, 'dictionary'),
  ],
};

function groupCase(name: string, keys: number, key: Key): BenchCase {
  return {
    name,
    rows: 10_000_000,
    bar: 'duckdb × 0.8',
    engines: (options) => engines(options, keys, key),
  };
}

/** Keys and values of `rows` rows. */
export function groupColumns(rows: number, keys: number, key: Key): DataColumns {
  const random = prng(keys);
  const v = i64Column(rows, (i) => i % 1000);
  const k =
    key === 'i64' ? i64Column(rows, () => random.below(keys)) : textColumn(rows, keys, 16, keys, key === 'dictionary');
  return { k, v };
}

async function engines({ rows, slots }: CaseOptions, keys: number, key: Key): Promise<Engine[]> {
  const columns = groupColumns(rows, keys, key);
  const table = tableOf(columns);
  const duck = await openDuck(slots);
  await loadTable(duck, 't', columns);
  const all = [
    millrace(slots, ['k', 'total', 'n'], () =>
      from(arrowTable(table))
        .groupBy('k')
        .aggregate((r) => ({ total: sum(r.v), n: count() })),
    ),
    duckdb(slots, duck, 'SELECT k, sum(v) AS total, count(*) AS n FROM t GROUP BY k'),
    await polars(slots, 'group-by', table),
  ];
  return slots === 1 ? [...all, plain(columns)] : all;
}

/** One Map, one object per group. Its thread is one, so it is timed against one slot. */
function plain({ k, v }: DataColumns): Engine {
  const values = new Int32Array((v as NumberColumn).values.buffer);
  const numbers = k!.kind === 'text' ? null : new Int32Array(k!.values.buffer);
  const texts = k!.kind === 'text' ? Array.from(k!.codes, (code) => (k!.kind === 'text' ? k!.texts[code]! : '')) : null;
  const rows = values.length / 2;
  return {
    name: 'plain-js',
    slots: 1,
    async run() {
      const groups = new Map<number | string, { total: number; n: number }>();
      for (let i = 0; i < rows; i++) {
        const key = texts === null ? numbers![i * 2]! : texts[i]!;
        const group = groups.get(key);
        if (group === undefined) groups.set(key, { total: values[i * 2]!, n: 1 });
        else {
          group.total += values[i * 2]!;
          group.n++;
        }
      }
      return groups;
    },
    rows: (groups) =>
      [...(groups as Map<Cell, { total: number; n: number }>)].map(([key, { total, n }]) => [key, total, n]),
  };
}
