/** Writes rows into a sink the way a slot does. */
import type { WriterContext } from '../../core/ports/connector.ts';
import type { Batch } from '../../core/record/batch.ts';
import { layoutOf } from '../../core/record/layout.ts';
import { rowWriter } from '../../core/record/row-writer.ts';
import type { Fields } from '../../core/record/types.ts';
import type { TestSlot } from '../support/slot.ts';

export interface WriterOptions {
  readonly resources?: Readonly<Record<string, unknown>>;
  readonly updating?: boolean;
  readonly bounded?: boolean;
  readonly subtask?: number;
  readonly parallelism?: number;
  readonly attemptId?: string;
  readonly wake?: () => void;
}

export function writerContext(slot: TestSlot, fields: Fields, options: WriterOptions = {}): WriterContext {
  return {
    memory: slot.memory,
    kernels: slot.kernels,
    layout: layoutOf(fields),
    batchRows: 4096,
    subtask: options.subtask ?? 0,
    parallelism: options.parallelism ?? 1,
    resource: (id) => options.resources?.[id],
    wake: options.wake ?? (() => {}),
    attemptId: options.attemptId ?? 'a1',
    ...(options.updating === undefined ? {} : { updating: options.updating }),
    ...(options.bounded === undefined ? {} : { bounded: options.bounded }),
  };
}

/** Rows as batches of at most `batchRows`; with `kinds` (RowKindBytes) when given; `select`: rows that stay in. */
export function* batchesOf(
  slot: TestSlot,
  fields: Fields,
  rows: readonly object[],
  options: { batchRows?: number; kinds?: readonly number[]; select?: (row: number) => boolean } = {},
): Generator<Batch> {
  const batchRows = options.batchRows ?? 4096;
  const writer = rowWriter(fields, layoutOf(fields), slot.memory, batchRows, { kinds: options.kinds !== undefined });
  const selection = slot.memory.arena.allocate(batchRows * 4, 'selection');
  let first = 0;
  const done = (): Batch => {
    const whole = writer.batch();
    if (!options.select) return whole;
    let size = 0;
    for (let i = 0; i < whole.rowCount; i++) {
      if (options.select(first + i)) slot.memory.u32[(selection >>> 2) + size++] = i;
    }
    return { ...whole, selection, size };
  };
  for (let i = 0; i < rows.length; ) {
    if (writer.append(rows[i], 0, options.kinds?.[i] ?? 0)) {
      i++;
      continue;
    }
    yield done();
    first = i;
    writer.reset();
  }
  if (writer.rows > 0) yield done();
}
