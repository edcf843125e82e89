/** Runs a source connector the way a slot does: describe, enumerate, open each split, poll until it ends. */
import type { ConnectorSpec, Json, ReadRequest, SourceConnector, Split } from '../../core/ports/connector.ts';
import { PollStatus, type ReaderContext } from '../../core/ports/connector.ts';
import type { Batch } from '../../core/record/batch.ts';
import { type Layout, layoutOf } from '../../core/record/layout.ts';
import type { SlotMemory } from '../../core/record/memory.ts';
import type { Fields } from '../../core/record/types.ts';
import { type TestSlot, testSlot } from '../support/slot.ts';

export type Value = null | boolean | number | bigint | string;

/** The spec of a place. */
export const specOf = (kind: string, options: Record<string, unknown>, label = kind): ConnectorSpec => ({
  kind,
  label,
  options: options as Record<string, Json>,
});

export interface FakeClock {
  nowMs: number;
  wakeAt: number | null;
  wakes: number;
}

export function readerContext(
  slot: TestSlot,
  batchRows: number,
  resources: Readonly<Record<string, unknown>> = {},
  clock: FakeClock = { nowMs: 0, wakeAt: null, wakes: 0 },
): ReaderContext {
  let dictionaries = 0;
  return {
    memory: slot.memory,
    kernels: slot.kernels,
    batchRows,
    subtask: 0,
    wake: () => {
      clock.wakes++;
    },
    monotonicMs: () => clock.nowMs,
    nowMs: () => clock.nowMs,
    wakeAt: (at) => {
      clock.wakeAt = at;
    },
    resource: (id) => resources[id],
    nextDictionaryId: () => ++dictionaries,
  };
}

export interface ReadOptions {
  readonly batchRows?: number;
  readonly parallelism?: number;
  readonly fields?: Fields;
  readonly resources?: Readonly<Record<string, unknown>>;
  readonly columns?: readonly string[];
  readonly slotBytes?: number;
  /** Close and open every split again at its position after so many batches. */
  readonly reopenEvery?: number;
}

/** Every row of a source, split after split, as stored values by leaf. */
export async function readAll(
  connector: SourceConnector,
  spec: ConnectorSpec,
  options: ReadOptions = {},
): Promise<{ layout: Layout; rows: Value[][]; splits: readonly Split[]; batches: number }> {
  const resource = (id: string): unknown => options.resources?.[id];
  const info = await connector.describe(spec, resource);
  let layout = layoutOf(options.fields ?? info.fields);
  if (options.columns) layout = options.columns.map((name) => layout.find((c) => c.name === name)!);
  const request: ReadRequest = { layout, prune: [], timeColumn: null };
  const splits = await connector.enumerate(spec, request, options.parallelism ?? 1, resource);
  const slot = testSlot({ bytes: options.slotBytes ?? 32 * 1024 * 1024 });
  const reader = connector.reader(spec, request, readerContext(slot, options.batchRows ?? 4096, options.resources));
  const rows: Value[][] = [];
  let batches = 0;
  for (const split of splits) {
    reader.open(split);
    for (;;) {
      const status = reader.poll();
      if (status === PollStatus.ended) break;
      if (status === PollStatus.starved) throw new Error('a bounded source is starved');
      rows.push(...rowsOf(reader.batch, slot.memory));
      batches++;
      if (options.reopenEvery && batches % options.reopenEvery === 0) {
        const position = JSON.parse(JSON.stringify(reader.position()));
        reader.close();
        reader.open({ ...split, position });
      }
    }
  }
  reader.close();
  return { layout, rows, splits, batches };
}

/** A batch's rows as stored values: i64 as bigint, TIMESTAMP as ticks, DATE as days. Independent of the engine's own row view. */
export function rowsOf(batch: Batch, memory: SlotMemory): Value[][] {
  const rows: Value[][] = [];
  for (let k = 0; k < batch.size; k++) {
    const row = batch.selection ? memory.u32[(batch.selection >>> 2) + k] : k;
    rows.push(batch.layout.map((_, column) => valueAt(batch, column, row, memory)));
  }
  return rows;
}

function valueAt(batch: Batch, index: number, row: number, memory: SlotMemory): Value {
  const { validity, values, dictionary } = batch.columns[index];
  if (validity && !((memory.u8[validity + (row >>> 3)] >>> (row & 7)) & 1)) return null;
  switch (batch.layout[index].storage) {
    case 'bit':
      return ((memory.u8[values + (row >>> 3)] >>> (row & 7)) & 1) === 1;
    case 'i32':
      return memory.i32[(values >>> 2) + row];
    case 'i64':
      return memory.i64[(values >>> 3) + row];
    case 'f64':
      return memory.f64[(values >>> 3) + row];
    case 'view': {
      const view = dictionary ? dictionary.views + memory.u32[(values >>> 2) + row] * 16 : values + row * 16;
      const length = memory.u32[view >>> 2];
      const at = length <= 12 ? view + 4 : memory.u32[(view + 12) >>> 2];
      const bytes = Buffer.from(memory.u8.slice(at, at + length));
      if (length > 12 && memory.u32[(view + 4) >>> 2] !== bytes.readUInt32LE(0)) throw new Error('wrong view prefix');
      return bytes.toString('utf8');
    }
  }
}
