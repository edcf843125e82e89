import { fileURLToPath } from 'node:url';
import { DuckDBInstance } from '@duckdb/node-api';
import { expect, test } from 'vitest';
import { parquetSource } from '../../connectors/parquet/source.ts';
import { PollStatus } from '../../core/ports/connector.ts';
import { layoutOf } from '../../core/record/layout.ts';
import { testContext } from './harness.ts';

const path = fileURLToPath(new URL('../../node_modules/vega-datasets/data/flights-3m.parquet', import.meta.url));
const spec = { kind: 'parquet', label: 'flights-3m.parquet', options: { path } };

/** Sums of value × (row number mod 1009), so that a swapped or shifted row shows. */
async function duckdbSums(): Promise<bigint[]> {
  const connection = await (await DuckDBInstance.create(':memory:')).connect();
  const code = (name: string) => `(ord(${name}[1]) * 65536 + ord(${name}[2]) * 256 + ord(${name}[3]))::HUGEINT`;
  const weight = '(file_row_number % 1009)';
  const rows = await connection.runAndReadAll(`
    SELECT count(*)::HUGEINT, sum(epoch_us(date)::HUGEINT * ${weight})::HUGEINT, sum(delay::HUGEINT * ${weight})::HUGEINT,
      sum(distance::HUGEINT * ${weight})::HUGEINT, sum(${code('origin')} * ${weight})::HUGEINT,
      sum(${code('destination')} * ${weight})::HUGEINT, (sum(length(origin)) + sum(length(destination)))::HUGEINT
    FROM read_parquet('${path}', file_row_number = true)`);
  return rows.getRows()[0] as bigint[];
}

test('three million flights equal what DuckDB reads, every value at its row, strings as dictionary codes', async () => {
  const { fields } = await parquetSource.describe(spec, () => undefined);
  const request = { layout: layoutOf(fields), prune: [], timeColumn: 'date' };
  const splits = await parquetSource.enumerate(spec, request, 2, () => undefined);
  expect(splits.length).toBe(11);
  expect(splits.map((split) => split.minimum).every((minimum) => /^\d{15}$/.test(minimum ?? ''))).toBe(true);
  const context = testContext(4096, 64);
  const { i64, u32, u8 } = context.memory;
  const reader = parquetSource.reader(spec, request, context);
  const sums = [0n, 0n, 0n, 0n, 0n, 0n, 0n];
  let row = 0;
  for (const split of splits) {
    reader.open(split);
    while (reader.poll() === PollStatus.moved) {
      if (reader.batch.rowCount === 0) continue;
      const { batch } = reader;
      for (const [c, column] of batch.columns.entries()) {
        expect(column.validity).toBe(0);
        expect(column.dictionary !== null).toBe(c >= 3);
        // Doubles hold these sums of one batch exactly but for the timestamps.
        let sum = 0;
        let big = 0n;
        let lengths = 0;
        for (let i = 0; i < batch.rowCount; i++) {
          const weight = (row + i) % 1009;
          if (c === 0) big += (i64[(column.values >>> 3) + i] as bigint) * BigInt(weight);
          else if (c < 3) sum += Number(i64[(column.values >>> 3) + i]) * weight;
          else {
            const view = (column.dictionary?.views ?? 0) + 16 * (u32[(column.values >>> 2) + i] as number);
            const [a, b, d] = u8.subarray(view + 4, view + 7) as unknown as [number, number, number];
            sum += (a * 65536 + b * 256 + d) * weight;
            lengths += u32[view >>> 2] as number;
          }
        }
        sums[c + 1] = (sums[c + 1] as bigint) + big + BigInt(sum);
        sums[6] = (sums[6] as bigint) + BigInt(lengths);
      }
      row += batch.rowCount;
    }
  }
  reader.close();
  sums[0] = BigInt(row);
  expect(sums).toEqual(await duckdbSums());
});
