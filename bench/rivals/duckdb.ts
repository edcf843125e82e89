/**
 * DuckDB as a rival: threads = slots, its table loaded before, its result kept as it materialises it. Rows become
 * JavaScript values only to be compared.
 */
import {
  BIGINT,
  DOUBLE,
  type DuckDBConnection,
  DuckDBDataChunk,
  DuckDBInstance,
  type DuckDBMaterializedResult,
  type DuckDBType,
  DuckDBTypeId,
  INTEGER,
} from '@duckdb/node-api';
import type { DataColumn, DataColumns } from '../data.ts';
import type { Cell, Engine } from '../harness.ts';

export interface Duck {
  readonly connection: DuckDBConnection;
  close(): void;
}

export async function openDuck(threads: number): Promise<Duck> {
  const instance = await DuckDBInstance.create(':memory:');
  const connection = await instance.connect();
  await connection.run(`SET threads = ${threads}`);
  await connection.run('SET preserve_insertion_order = false');
  return {
    connection,
    close() {
      connection.closeSync();
      instance.closeSync();
    },
  };
}

/** Loads columns as the table `name`; texts of a dictionary become an ENUM, its nearest kin. */
export async function loadTable({ connection }: Duck, name: string, columns: DataColumns): Promise<void> {
  const entries = Object.entries(columns);
  const types = entries.map(([, column]) => loadType(column));
  const raw = entries.map(([column], i) => `"${column}" ${types[i]}`).join(', ');
  await connection.run(`CREATE TEMP TABLE raw (${raw})`);
  const appender = await connection.createAppender('raw', 'main', 'temp');
  const rows = lengthOf(entries[0]![1]);
  for (let from = 0; from < rows; from += chunkRows) {
    const count = Math.min(chunkRows, rows - from);
    const chunk = DuckDBDataChunk.create(types, count);
    for (const [i, [, column]] of entries.entries()) {
      const values = column.kind === 'text' ? column.codes : column.values;
      // The vector's own memory, filled at once: setting values one by one takes minutes.
      const vector = chunk.getColumnVector(i) as unknown as { readonly items: typeof values; flush(): void };
      vector.items.set(values.subarray(from, from + count) as never);
      vector.flush();
    }
    appender.appendDataChunk(chunk);
  }
  appender.closeSync();
  const selected = entries.map(([column, of]) =>
    of.kind === 'text'
      ? textOf(column, of)
      : of.kind === 'time'
        ? `make_timestamp("${column}" * 1000) AS "${column}"`
        : `"${column}"`,
  );
  for (const [column, of] of entries) {
    if (of.kind === 'text' && of.dictionary)
      await connection.run(`CREATE TYPE "enum_${column}" AS ENUM (SELECT unnest(${textsOf(of.texts)}))`);
  }
  await connection.run(`CREATE TABLE "${name}" AS SELECT ${selected.join(', ')} FROM raw`);
  await connection.run('DROP TABLE raw');
}

const chunkRows = 2048;

function loadType({ kind }: DataColumn): DuckDBType {
  return kind === 'f64' ? DOUBLE : kind === 'i32' || kind === 'text' ? INTEGER : BIGINT;
}

const lengthOf = (column: DataColumn): number => (column.kind === 'text' ? column.codes : column.values).length;
const textsOf = (texts: readonly string[]): string => `[${texts.map((text) => `'${text}'`).join(',')}]`;

function textOf(column: string, { texts, dictionary }: { texts: readonly string[]; dictionary: boolean }): string {
  const digits = texts[0]!.length - 1;
  const text = `'k' || lpad("${column}"::VARCHAR, ${digits}, '0')`;
  return `(${text})${dictionary ? `::"enum_${column}"` : ''} AS "${column}"`;
}

/** A query over tables that are loaded. The engine closes `duck`. */
export function duckdb(slots: number, duck: Duck, sql: string): Engine {
  return {
    name: 'duckdb',
    slots,
    run: () => duck.connection.run(sql),
    rows: async (result) => duckRows(result as DuckDBMaterializedResult),
    close: () => duck.close(),
  };
}

export async function duckRows(result: DuckDBMaterializedResult): Promise<Cell[][]> {
  const types = result.columnTypes();
  const rows = await result.getRows();
  return rows.map((row) => row.map((value, i) => cellOf(value, types[i]!)));
}

/** Times as milliseconds. */
function cellOf(value: unknown, type: DuckDBType): Cell {
  if (type.typeId === DuckDBTypeId.TIMESTAMP && value !== null)
    return Number((value as { micros: bigint }).micros / 1000n);
  return value as Cell;
}
