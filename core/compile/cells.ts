/**
 * Columns of rows in entries' accumulators, and back, compiled: one loop over the rows writes or reads all columns. A cell is
 * {u32 not null, u32 zero} where its column can be NULL, then 8 bytes, or a 16-byte view whose text the table keeps. Knows
 * neither keys nor pages: entries come as addresses.
 */
import { assert } from '../base/assert.ts';
import { batchRowsMax } from '../base/limits.ts';
import type { Kernels } from '../ports/kernels.ts';
import type { AccumulatorLeaf } from '../ports/state.ts';
import type { Batch, Column } from '../record/batch.ts';
import type { Layout, StorageKind } from '../record/layout.ts';
import type { SlotMemory } from '../record/memory.ts';
import type { ResultColumn } from './aggregate.ts';
import {
  type Compiled,
  keepText,
  loopOver,
  openInputs,
  openOutputs,
  pushInputValue,
  validityOf,
} from './aggregate-code.ts';
import { instantiate, programOf } from './cache.ts';
import { columnParameterBytes, orBit, pushAddress, shapeOfColumns, writeColumnParameters } from './columns.ts';
import { type Code, Op, Type } from './wasm.ts';

/** A column in an entry. */
export interface Cell {
  /** In the batch. */
  readonly leaf: number;
  readonly storage: StorageKind;
  /** Of {not null}, from the cells' start; −1: it cannot be NULL. */
  readonly presentAt: number;
  readonly valueAt: number;
}

export interface CellLayout {
  readonly bytes: number;
  readonly cells: readonly Cell[];
}

export function cellLayout(layout: Layout, leaves: readonly number[]): CellLayout {
  let bytes = 0;
  const cells = leaves.map((leaf): Cell => {
    const { storage, nullable } = layout[leaf]!;
    const presentAt = nullable ? bytes : -1;
    const valueAt = nullable ? bytes + 8 : bytes;
    bytes = valueAt + (storage === 'view' ? 16 : 8);
    return { leaf, storage, presentAt, valueAt };
  });
  return { bytes, cells };
}

/** What the cells hold, for savepoints; they begin at `offset`. */
export function cellLeaves(layout: Layout, { cells }: CellLayout, offset: number): AccumulatorLeaf[] {
  return cells.map(({ leaf, storage, presentAt, valueAt }) => ({
    name: layout[leaf]!.name,
    type: layout[leaf]!.type,
    offset: offset + valueAt,
    coding: storage,
    ...(presentAt < 0 ? {} : { absent: [{ at: offset + presentAt, mask: 0xffffffff, when: 'zero' as const }] }),
  }));
}

export interface Cells {
  /** Row `rows`[k] goes into `entries`[k], for k < n. */
  write(batch: Batch, rows: number, n: number, entries: number): void;
  /** Cells of `entries`[k] become row k of `columns`, one per cell. */
  read(entries: number, n: number, columns: readonly ResultColumn[]): void;
}

/** `offset`: bytes from an entry's address to its cells. */
export function cellPrograms(
  layout: CellLayout,
  offset: number,
  context: { readonly memory: SlotMemory; readonly kernels: Kernels; keepText(target: number, view: number): void },
): Cells {
  const { memory, kernels } = context;
  const { cells } = layout;
  const leaves = cells.map(({ leaf }) => leaf);
  const parameters = memory.arena.allocate(64 + columnParameterBytes * cells.length, 'parameters of cells');
  const empty = memory.arena.allocate(16, 'an empty text');
  const host = { keepText: (target: number, view: number): void => context.keepText(target >>> 0, view >>> 0) };
  const variants = new Map<string, (parameters: number) => number>();
  const source = JSON.stringify([cells, offset]);
  const run = (key: string, compile: () => Compiled): void => {
    let variant = variants.get(key);
    if (variant === undefined) {
      const { bytes, imports } = programOf(`cells ${source} ${key}`, compile);
      variant = instantiate(bytes, imports, memory.memory, kernels, host).run as (parameters: number) => number;
      variants.set(key, variant);
    }
    variant(parameters);
  };
  const begin = (rows: number, n: number, entries: number): void => {
    memory.u32.set([rows, n, entries, 0, empty], parameters >>> 2);
  };
  const columnAt = (i: number): number => parameters + 64 + i * columnParameterBytes;
  return {
    write(batch, rows, n, entries) {
      begin(rows, n, entries);
      leaves.forEach((leaf, i) => {
        writeColumnParameters(memory, columnAt(i), batch.columns[leaf] as Column);
      });
      const shape = shapeOfColumns(batch, leaves);
      run(`write ${shape}`, () => compileWrite(layout, leaves, shape, offset));
    },
    read(entries, n, columns) {
      assert(n <= batchRowsMax, `${n} rows at once`);
      begin(0, n, entries);
      for (const [i, { values, validity }] of columns.entries()) {
        memory.u32[columnAt(i) >>> 2] = values;
        memory.u32[(columnAt(i) >>> 2) + 1] = validity;
        if (validity !== 0) memory.u8.fill(0, validity, validity + ((n + 7) >>> 3));
        if (cells[i]?.storage === 'bit') memory.u8.fill(0, values, values + ((n + 7) >>> 3));
      }
      run('read', () => compileRead(layout, offset));
    },
  };
}

/** Where in the parameters the address of an empty view stands. */
const emptyAt = 16;

function compileWrite({ cells }: CellLayout, leaves: readonly number[], shape: string, offset: number): Compiled {
  return loopOver({ rows: true, kinds: false, entries: true, accumulatorOffset: offset }, (loop) => {
    const { code, entry } = loop;
    const inputs = openInputs(code, 64, leaves, shape);
    const view = code.local(Type.i32);
    return () => {
      for (const cell of cells) {
        const input = inputs.get(cell.leaf)!;
        const put = (): void => {
          if (cell.storage === 'view') {
            pushInputValue(loop, input, 'view');
            code.set(view);
            putView(code, entry, cell.valueAt, view);
            return;
          }
          code.get(entry);
          pushInputValue(loop, input, cell.storage);
          const stored = cell.storage === 'i64' || cell.storage === 'f64' ? cell.storage : 'i32';
          code.store(stored, cell.valueAt);
        };
        if (cell.presentAt < 0) {
          put();
          continue;
        }
        const has = input.nullable ? validityOf(loop, input) : code.local(Type.i32);
        if (!input.nullable) code.i32(1).set(has);
        code.get(entry).get(has).store('i32', cell.presentAt);
        code.get(has).if(
          put,
          cell.storage === 'view'
            ? () => {
                code.get(0).load('i32', emptyAt).set(view);
                putView(code, entry, cell.valueAt, view);
              }
            : undefined,
        );
      }
    };
  });
}

/** The table keeps long texts, and is told of those that are replaced; short ones are stored. */
function putView(code: Code, entry: number, at: number, view: number): void {
  code.get(view).load('i32').i32(12).op(Op.i32GtU);
  code.get(entry).load('i32', at).i32(12).op(Op.i32GtU, Op.i32Or);
  code.if(
    () => code.get(entry).i32(at).op(Op.i32Add).get(view).call(keepText),
    () => code.get(entry).get(view).loadVector().storeVector(at),
  );
}

function compileRead({ cells }: CellLayout, offset: number): Compiled {
  return loopOver({ rows: false, kinds: false, entries: true, accumulatorOffset: offset }, (loop) => {
    const { code, entry, row } = loop;
    const outputs = openOutputs(code, cells.map(({ presentAt }) => (presentAt < 0 ? 'v' : 'V')).join(''));
    const bit = code.local(Type.i32);
    return () => {
      for (const [i, { storage, presentAt, valueAt }] of cells.entries()) {
        const output = outputs[i]!;
        if (storage === 'bit') {
          code.get(entry).load('i32', valueAt).set(bit);
          orBit(code, output.values, row, bit, output.scratch);
        } else {
          pushAddress(code, output.values, row, storage);
          if (storage === 'view') code.get(entry).loadVector(valueAt).storeVector();
          else code.get(entry).load(storage, valueAt).store(storage);
        }
        if (presentAt < 0) continue;
        code.get(entry).load('i32', presentAt).set(bit);
        orBit(code, output.validity, row, bit, output.scratch);
      }
    };
  });
}
