/**
 * JavaScript rows into columns: what user functions return, what in-process sources push. Every value is checked against
 * its column; a row is taken whole or not at all. Knows nothing of operators: its caller adds the place to an error.
 */
import { describeKind, describeValue } from '../base/describe.ts';
import { MillraceError } from '../base/errors.ts';
import { valueBytesMax } from '../base/limits.ts';
import type { BlockPool } from '../ports/blocks.ts';
import { type Batch, type BatchOrigin, batch, type Column } from './batch.ts';
import { arenaBlocks } from './blocks.ts';
import { writeI64 } from './column-reader.ts';
import { decimalExpected, isDecimal, unscaledOf } from './decimal.ts';
import { type Layout, type LayoutColumn, rowtimeName, valueBytes } from './layout.ts';
import type { SlotMemory } from './memory.ts';
import { encodeUtf8, inlineBytesMax, utf8Bytes, writeShortView, writeView } from './text.ts';
import { type Fields, ticksPerMs, typeName } from './types.ts';

export interface RowWriter {
  readonly rows: number;
  /**
   * Takes a row, or answers false when the batch (its rows or its strings) is full: take `batch`, `reset`, try again.
   * A row alone in a batch is always taken: the room for strings grows as far as memory allows. `rowtimeAt`: address of
   * the 8 bytes for `$rowtime`, when the layout ends with it. `kind`: a RowKindByte, for writers with `kinds`.
   * Errors: the writer's code for a value of another type, absent, or NULL where that cannot be; `record/too-large`;
   * `memory/exhausted`. After an error the row is not in and the writer is as before.
   */
  append(row: unknown, rowtimeAt?: number, kind?: number): boolean;
  /** What was appended since `reset`; valid until the next `append` or `reset`. */
  batch(origin?: BatchOrigin | null): Batch;
  reset(): void;
  /** Rows appended from here on may be taken back. */
  mark(): void;
  /** Rows appended since `mark` are not in; `reset` in between is the caller's mistake. */
  rewind(): void;
}

export interface RowWriterOptions {
  /** Code of errors about values: whose rows are these? Default `function/bad-result`. */
  readonly code?: 'function/bad-result' | 'schema/mismatch' | 'source/bad-record';
  /** An absent column is NULL, where it can be. Default: it is an error, since it may be a misspelt name. */
  readonly absentIsNull?: boolean;
  /** Rows have kinds. */
  readonly kinds?: boolean;
  /** Where long strings go. Default: the memory's arena. */
  readonly blocks?: BlockPool;
}

/**
 * A writer of batches of up to `batchRows` rows. `layout` is that of `fields`, with `$rowtime` behind it or not. Buffers
 * are taken from the arena once.
 */
export function rowWriter(
  fields: Fields,
  layout: Layout,
  memory: SlotMemory,
  batchRows: number,
  options: RowWriterOptions = {},
): RowWriter {
  const code = options.code ?? 'function/bad-result';
  const heap = stringHeap(memory, options.blocks ?? arenaBlocks(memory.arena), batchRows);
  const leaves = layout.map((column) => leafWriter(column, memory, batchRows, heap, code));
  const hasRowtime = layout.at(-1)?.name === rowtimeName;
  const rowtime = hasRowtime ? (leaves.at(-1) as LeafWriter).values : 0;
  const cells = cellsOf(fields, leaves, options.absentIsNull ?? false, code);
  const kinds = options.kinds ? memory.arena.allocate(batchRows, 'row kinds') : 0;
  let rows = 0;
  let anyKind = false;
  let markedRows = 0;
  let markedHeap = 0;

  const tryAppend = (row: unknown): boolean => {
    const mark = heap.mark();
    try {
      if (writeCells(cells, row, rows)) return true;
    } catch (error) {
      heap.rewind(mark);
      throw error;
    }
    heap.rewind(mark);
    return false;
  };

  return {
    get rows() {
      return rows;
    },
    append(row, rowtimeAt = 0, kind = 0) {
      if (rows === batchRows) return false;
      if (typeof row !== 'object' || row === null) throw notARow(row, fields, code);
      if (!tryAppend(row)) {
        if (rows > 0) return false;
        heap.grow(longBytes(cells, row));
        if (!tryAppend(row)) throw new RangeError('a row that changes while it is read');
      }
      if (hasRowtime) copy8(memory, rowtimeAt, rowtime + rows * 8);
      if (kinds !== 0) {
        memory.u8[kinds + rows] = kind;
        anyKind ||= kind !== 0;
      }
      rows++;
      return true;
    },
    batch: (origin = null) =>
      batch(
        layout,
        rows,
        leaves.map((leaf) => leaf.column()),
        { kinds: anyKind ? kinds : 0, origin },
      ),
    reset() {
      rows = 0;
      anyKind = false;
      heap.reset();
      for (const leaf of leaves) leaf.reset();
    },
    mark() {
      markedRows = rows;
      markedHeap = heap.mark();
    },
    rewind() {
      rows = markedRows;
      // With the first row the heap may have got another block.
      if (rows === 0) heap.reset();
      else heap.rewind(markedHeap);
    },
  };
}

/** One leaf column in the making. */
interface LeafWriter {
  readonly values: number;
  /** False: no room for the string. */
  write(row: number, value: unknown): boolean;
  column(): Column;
  reset(): void;
}

/** A logical column: where its value is found in a row, and the leaf or the columns that it goes to. */
interface Cell {
  readonly name: string;
  /** The name means something on every object: only an own property is a value. */
  readonly ownOnly: boolean;
  readonly absentIsNull: boolean;
  readonly leaf: LeafWriter | null;
  readonly nested: readonly Cell[];
  readonly nullable: boolean;
  readonly bad: (value: unknown) => MillraceError;
}

function cellsOf(fields: Fields, leaves: readonly LeafWriter[], absentIsNull: boolean, code: Code): readonly Cell[] {
  let next = 0;
  const visit = (from: Fields, prefix: string): readonly Cell[] =>
    from.map((field): Cell => {
      const { name, nullable, type } = field;
      const isRow = type.kind === 'ROW';
      return {
        name,
        nullable,
        ownOnly: name in Object.prototype,
        absentIsNull: absentIsNull && nullable,
        leaf: isRow ? null : (leaves[next++] as LeafWriter),
        nested: isRow ? visit(type.fields, `${prefix}${name}.`) : [],
        bad: (value) => badValue(prefix + name, typeName(type), nullable, value, code, isRow ? 'an object' : ''),
      };
    });
  return visit(fields, '');
}

function writeCells(cells: readonly Cell[], row: object | null | unknown, at: number): boolean {
  for (const cell of cells) {
    const value = row === null ? null : cellValue(cell, row as Record<string, unknown>);
    if (cell.leaf) {
      if (!cell.leaf.write(at, value)) return false;
      continue;
    }
    if (value === null ? !cell.nullable && row !== null : typeof value !== 'object') throw cell.bad(value);
    if (!writeCells(cell.nested, value, at)) return false;
  }
  return true;
}

function cellValue(cell: Cell, row: Record<string, unknown>): unknown {
  const value = cell.ownOnly && !Object.hasOwn(row, cell.name) ? undefined : row[cell.name];
  return value === undefined && cell.absentIsNull ? null : value;
}

/** Bytes of a row's strings outside their views. */
function longBytes(cells: readonly Cell[], row: unknown): number {
  let bytes = 0;
  for (const cell of cells) {
    const value = row === null ? null : cellValue(cell, row as Record<string, unknown>);
    if (typeof value === 'string') bytes += value.length <= inlineBytesMax / 3 ? 0 : utf8Bytes(value);
    else if (cell.nested.length > 0) bytes += longBytes(cell.nested, value);
  }
  return bytes;
}

type Code = NonNullable<RowWriterOptions['code']>;

function leafWriter(
  column: LayoutColumn,
  memory: SlotMemory,
  batchRows: number,
  heap: StringHeap,
  code: Code,
): LeafWriter {
  const { arena, u8 } = memory;
  const room = valueBytes(column.storage, batchRows);
  const values = arena.allocate(room, `column '${column.name}'`);
  const validity = column.nullable ? arena.allocate(valueBytes('bit', batchRows), `column '${column.name}'`) : 0;
  const put = valueWriter(column, memory, values, heap, code);
  const clear = valueClearer(column, memory, values);
  let nulls = false;
  return {
    values,
    write(row, value) {
      if (value !== null) {
        if (validity !== 0) u8[validity + (row >>> 3)] = (u8[validity + (row >>> 3)] as number) | (1 << (row & 7));
        return put(row, value);
      }
      if (validity === 0) throw badValue(column.name, typeName(column.type), false, value, code, '');
      u8[validity + (row >>> 3)] = (u8[validity + (row >>> 3)] as number) & ~(1 << (row & 7));
      clear(row);
      nulls = true;
      return true;
    },
    column: () => ({ validity: nulls ? validity : 0, values, dictionary: null }),
    reset() {
      nulls = false;
    },
  };
}

function valueClearer(column: LayoutColumn, memory: SlotMemory, values: number): (row: number) => void {
  const { u32, u8 } = memory;
  if (column.storage === 'bit') {
    return (row) => {
      u8[values + (row >>> 3)] = (u8[values + (row >>> 3)] as number) & ~(1 << (row & 7));
    };
  }
  const words = valueBytes(column.storage, 1) >>> 2;
  return (row) => {
    const at = (values >>> 2) + row * words;
    for (let i = 0; i < words; i++) u32[at + i] = 0;
  };
}

/** Writes a value that is not null; false when it is a string that finds no room. */
function valueWriter(
  column: LayoutColumn,
  memory: SlotMemory,
  values: number,
  heap: StringHeap,
  code: Code,
): (row: number, value: unknown) => boolean {
  const { u8, i32, i64, f64 } = memory;
  const { type } = column;
  const bad = (value: unknown, expected: string): MillraceError =>
    badValue(column.name, typeName(type), column.nullable, value, code, expected);
  switch (type.kind) {
    case 'BOOLEAN':
      return (row, value) => {
        if (typeof value !== 'boolean') throw bad(value, 'true or false');
        const at = values + (row >>> 3);
        u8[at] = value ? (u8[at] as number) | (1 << (row & 7)) : (u8[at] as number) & ~(1 << (row & 7));
        return true;
      };
    case 'INT':
      return (row, value) => {
        if (typeof value !== 'number' || (value | 0) !== value)
          throw bad(value, 'a whole number from -2^31 to 2^31 - 1');
        i32[(values >>> 2) + row] = value;
        return true;
      };
    case 'BIGINT':
      return (row, value) => {
        if (typeof value === 'number' && Number.isSafeInteger(value)) writeI64(memory, values + row * 8, value);
        else if (typeof value === 'bigint' && BigInt.asIntN(64, value) === value) i64[(values >>> 3) + row] = value;
        else throw bad(value, 'a whole number below 2^53, or a bigint of 64 bits');
        return true;
      };
    case 'DECIMAL':
      return (row, value) => {
        const unscaled = isDecimal(value) ? unscaledOf(value, type.precision, type.scale) : null;
        if (unscaled === null) throw bad(value, decimalExpected(type.precision, type.scale));
        i64[(values >>> 3) + row] = unscaled;
        return true;
      };
    case 'DOUBLE':
      return (row, value) => {
        if (typeof value !== 'number') throw bad(value, 'a number');
        f64[(values >>> 3) + row] = value;
        return true;
      };
    case 'DATE':
      return (row, value) => {
        const days = value instanceof Date ? Math.floor(value.getTime() / 86_400_000) : Number.NaN;
        if (Number.isNaN(days)) throw bad(value, 'a valid Date');
        i32[(values >>> 2) + row] = days;
        return true;
      };
    case 'TIMESTAMP': {
      const ticks = ticksPerMs(type.precision);
      return (row, value) => {
        const ms = value instanceof Date ? value.getTime() : Number.NaN;
        if (Number.isNaN(ms)) throw bad(value, 'a valid Date');
        if (Number.isSafeInteger(ms * ticks)) {
          writeI64(memory, values + row * 8, ms * ticks);
          return true;
        }
        const stored = BigInt(ms) * BigInt(ticks);
        if (BigInt.asIntN(64, stored) !== stored) throw bad(value, 'a time within 64 bits of its precision');
        i64[(values >>> 3) + row] = stored;
        return true;
      };
    }
    case 'VARCHAR':
      return (row, value) => {
        if (typeof value !== 'string') throw bad(value, 'a string');
        return heap.write(values + row * 16, value, column.name);
      };
    default:
      throw new MillraceError('plan/unsupported', `rows with columns of type ${typeName(type)} cannot be written yet`);
  }
}

/** Bytes of a batch's long strings: one block that is reused, and replaced when a single row wants more. */
interface StringHeap {
  mark(): number;
  rewind(mark: number): void;
  /** False: no room left. */
  write(view: number, text: string, column: string): boolean;
  grow(bytes: number): void;
  reset(): void;
}

function stringHeap(memory: SlotMemory, blocks: BlockPool, batchRows: number): StringHeap {
  const usual = Math.min(heapBytesMax, Math.max(heapBytesMin, batchRows * 64));
  const short = memory.arena.allocate(inlineBytesMax, 'a short string');
  let from = 0;
  let next = 0;
  let end = 0;
  const replace = (bytes: number): void => {
    if (from !== 0) blocks.give(from, end - from);
    from = 0;
    next = 0;
    end = 0;
    const block = blocks.take(bytes);
    if (block === 0) {
      throw new MillraceError(
        'memory/exhausted',
        `no room for a row with ${bytes} bytes of strings; raise 'memory' or lower 'parallelism'`,
      );
    }
    from = block;
    next = block;
    end = block + bytes;
  };
  return {
    mark: () => next,
    rewind(mark) {
      next = Math.max(mark, from);
    },
    write(view, text, column) {
      if (writeShortView(memory, view, text)) return true;
      if (text.length * 3 <= inlineBytesMax) {
        writeView(memory, view, short, encodeUtf8(text, memory.u8, short, inlineBytesMax));
        return true;
      }
      if (text.length * 3 > end - next) {
        const bytes = utf8Bytes(text);
        if (bytes > valueBytesMax) throw tooLarge(column, bytes);
        if (bytes > end - next) {
          if (from !== 0 || bytes > usual) return false;
          replace(usual);
        }
      }
      const bytes = encodeUtf8(text, memory.u8, next, end - next);
      if (bytes > valueBytesMax) throw tooLarge(column, bytes);
      writeView(memory, view, next, bytes);
      if (bytes > inlineBytesMax) next += bytes;
      return true;
    },
    grow: (bytes) => replace(Math.max(bytes, usual)),
    reset() {
      if (end - from > heapBytesMax) {
        blocks.give(from, end - from);
        from = 0;
        end = 0;
      }
      next = from;
    },
  };
}

const heapBytesMin = 4 * 1024;
const heapBytesMax = 256 * 1024;

function copy8(memory: SlotMemory, from: number, to: number): void {
  memory.u32[to >>> 2] = memory.u32[from >>> 2] as number;
  memory.u32[(to + 4) >>> 2] = memory.u32[(from + 4) >>> 2] as number;
}

function badValue(
  column: string,
  type: string,
  nullable: boolean,
  value: unknown,
  code: Code,
  expected: string,
): MillraceError {
  if (value === undefined) {
    return new MillraceError(
      code,
      `column '${column}' is missing in a row; NULL is written null${nullable ? '' : ', but it is not nullable'}`,
    );
  }
  if (value === null) {
    return new MillraceError(
      code,
      `column '${column}' (${type}) is null, but declared not null; declare it .nullable()`,
    );
  }
  return new MillraceError(
    code,
    `column '${column}' (${type}) expects ${expected}, got ${describeValue(value)}, ${describeKind(value)}`,
  );
}

function notARow(value: unknown, fields: Fields, code: Code): MillraceError {
  const names = fields.map((field) => field.name).join(', ');
  return new MillraceError(code, `expected an object with the columns ${names}, got ${describeKind(value)}`);
}

function tooLarge(column: string, bytes: number): MillraceError {
  return new MillraceError(
    'record/too-large',
    `a value of column '${column}' has ${bytes} bytes; a value may have at most ${valueBytesMax}`,
  );
}
