/** Runs the Parquet source without an engine: one memory, one reader, rows as JavaScript values. */
import { readFileSync } from 'node:fs';
import { parquetSource } from '../../connectors/parquet/source.ts';
import { PollStatus, type PruneCondition, type ReaderContext, type Split } from '../../core/ports/connector.ts';
import type { Kernels } from '../../core/ports/kernels.ts';
import type { Batch } from '../../core/record/batch.ts';
import { type Layout, layoutOf } from '../../core/record/layout.ts';
import { type SlotMemory, slotMemory } from '../../core/record/memory.ts';
import type { Fields } from '../../core/record/types.ts';

const kernelsModule = new WebAssembly.Module(readFileSync(new URL('../../dist/kernels/kernels.wasm', import.meta.url)));

export function testMemory(megabytes = 256): { memory: SlotMemory; kernels: Kernels } {
  const pages = megabytes * 16;
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
  const instance = new WebAssembly.Instance(kernelsModule, { env: { memory } });
  return { memory: slotMemory(memory, 1024, pages * 65536), kernels: instance.exports as unknown as Kernels };
}

export function testContext(batchRows = 4096, megabytes = 256): ReaderContext {
  const { memory, kernels } = testMemory(megabytes);
  let id = 0;
  return {
    memory,
    kernels,
    batchRows,
    subtask: 0,
    wake: () => {},
    monotonicMs: () => performance.now(),
    nowMs: () => Date.now(),
    wakeAt: () => {},
    resource: () => undefined,
    nextDictionaryId: () => ++id,
  };
}

export type Value = null | boolean | number | bigint | string;

/** One value of a batch: bigint for i64. */
export function valueAt(memory: SlotMemory, batch: Batch, column: number, row: number): Value {
  const { validity, values, dictionary } = batch.columns[column] as Batch['columns'][number];
  const { u8, i32, u32, i64, f64 } = memory;
  if (validity !== 0 && (((u8[validity + (row >>> 3)] as number) >>> (row & 7)) & 1) === 0) return null;
  switch (batch.layout[column]?.storage) {
    case 'bit':
      return (((u8[values + (row >>> 3)] as number) >>> (row & 7)) & 1) === 1;
    case 'i32':
      return i32[(values >>> 2) + row] as number;
    case 'i64':
      return i64[(values >>> 3) + row] as bigint;
    case 'f64':
      return f64[(values >>> 3) + row] as number;
    default: {
      const view =
        dictionary === null ? values + 16 * row : dictionary.views + 16 * (u32[(values >>> 2) + row] as number);
      const length = u32[view >>> 2] as number;
      const from = length > 12 ? (u32[(view >>> 2) + 3] as number) : view + 4;
      return Buffer.from(u8.subarray(from, from + length)).toString('utf8');
    }
  }
}

export interface ReadOptions {
  /** Declared columns; default: the file's own. */
  readonly fields?: Fields;
  readonly columns?: readonly string[];
  readonly batchRows?: number;
  readonly megabytes?: number;
  readonly prune?: readonly PruneCondition[];
  readonly timeColumn?: string | null;
}

export interface ReadResult {
  readonly layout: Layout;
  readonly splits: readonly Split[];
  readonly rows: Value[][];
  /** Rows that came with a dictionary, by column. */
  readonly coded: number[];
  readonly batches: number;
}

/** Reads everything that `path` names. */
export async function readAll(path: string, options: ReadOptions = {}): Promise<ReadResult> {
  const spec = { kind: 'parquet', label: path, options: { path } };
  const info = await parquetSource.describe(spec, () => undefined);
  const fields = (options.fields ?? info.fields).filter((f) => options.columns?.includes(f.name) ?? true);
  const layout = layoutOf(fields);
  const request = { layout, prune: options.prune ?? [], timeColumn: options.timeColumn ?? null };
  const splits = await parquetSource.enumerate(spec, request, 1, () => undefined);
  const context = testContext(options.batchRows, options.megabytes);
  const reader = parquetSource.reader(spec, request, context);
  const rows: Value[][] = [];
  const coded = layout.map(() => 0);
  let batches = 0;
  try {
    for (const split of splits) {
      reader.open(split);
      while (reader.poll() === PollStatus.moved) {
        const { batch } = reader;
        batches += 1;
        for (let row = 0; row < batch.rowCount; row++) {
          rows.push(layout.map((_, column) => valueAt(context.memory, batch, column, row)));
        }
        for (const [i, column] of batch.columns.entries()) {
          if (column.dictionary !== null) coded[i] = (coded[i] as number) + batch.rowCount;
        }
      }
    }
  } finally {
    reader.close();
  }
  return { layout, splits, rows, coded, batches };
}
