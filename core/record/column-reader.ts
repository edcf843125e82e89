/**
 * Random access to one leaf column, as JavaScript sees its values (docs/types.md): what row views, sinks and errors read
 * through. The way to read is chosen once, by type; strings are decoded when asked for, once per dictionary entry.
 */
import { MillraceError } from '../base/errors.ts';
import type { Column } from './batch.ts';
import { type Decimal, decimalOf } from './decimal.ts';
import type { LayoutColumn } from './layout.ts';
import type { SlotMemory } from './memory.ts';
import { readText } from './text.ts';
import { ticksPerMs, typeName } from './types.ts';

/** A leaf's value: NULL is null, BIGINT a number that is exact (or a bigint where the type asks for it), times Dates. */
export type LeafValue = null | boolean | number | bigint | string | Date | Decimal;

export interface ColumnReader {
  /** Reads `column` from now on: a column of the reader's layout column, in the reader's memory. */
  open(column: Column): void;
  isNull(row: number): boolean;
  /** Errors: `value/unsafe-integer` for what a number, or a Date, cannot hold exactly. */
  value(row: number): LeafValue;
}

/** A reader of columns that are laid out as `of`. */
export function columnReader(of: LayoutColumn, memory: SlotMemory): ColumnReader {
  const { u8 } = memory;
  const notNull = valueReader(of, memory);
  let validity = 0;
  const isNull = (row: number): boolean =>
    validity !== 0 && ((u8[validity + (row >>> 3)] as number) & (1 << (row & 7))) === 0;
  return {
    open(column) {
      validity = column.validity;
      notNull.open(column);
    },
    isNull,
    value: (row) => (isNull(row) ? null : notNull.value(row)),
  };
}

/** Whether row `row` of a column with that validity bitmap (0: no nulls) has a value. */
export function isValid(memory: SlotMemory, validity: number, row: number): boolean {
  return validity === 0 || ((memory.u8[validity + (row >>> 3)] as number) & (1 << (row & 7))) !== 0;
}

/** The i64 at `address` as the nearest double; exact up to 2^53. */
export function readI64(memory: SlotMemory, address: number): number {
  return (memory.i32[(address + 4) >>> 2] as number) * 4294967296 + (memory.u32[address >>> 2] as number);
}

/** Writes a safe integer as i64. */
export function writeI64(memory: SlotMemory, address: number, value: number): void {
  const high = Math.floor(value / 4294967296);
  memory.i32[(address + 4) >>> 2] = high;
  memory.u32[address >>> 2] = value - high * 4294967296;
}

/** Whole milliseconds (floored) of the ticks stored at `address`, `ticks` of them to a millisecond. */
export function readTimeMs(memory: SlotMemory, address: number, ticks: number): number {
  const stored = readI64(memory, address);
  if (ticks === 1) return stored;
  if (Number.isSafeInteger(stored)) return Math.floor(stored / ticks);
  return flooredMs(memory.i64[address >>> 3] as bigint, BigInt(ticks));
}

type ValueReader = Pick<ColumnReader, 'open' | 'value'>;

function valueReader(of: LayoutColumn, memory: SlotMemory): ValueReader {
  const { u8, u32, i32, i64, f64 } = memory;
  let values = 0;
  const open = (column: Column): void => {
    values = column.values;
  };
  const { type } = of;
  switch (type.kind) {
    case 'BOOLEAN':
      return { open, value: (row) => ((u8[values + (row >>> 3)] as number) & (1 << (row & 7))) !== 0 };
    case 'DOUBLE':
      return { open, value: (row) => f64[(values >>> 3) + row] as number };
    case 'DATE':
      return {
        open,
        value: (row) => {
          const days = i32[(values >>> 2) + row] as number;
          if (Math.abs(days) > dateDaysMax) throw beyondDate(of, BigInt(days));
          return new Date(days * 86_400_000);
        },
      };
    case 'BIGINT':
      if (type.asBigInt) return { open, value: (row) => i64[(values >>> 3) + row] as bigint };
      return {
        open,
        value: (row) => {
          const at = (values >>> 2) + row * 2;
          const value = (i32[at + 1] as number) * 4294967296 + (u32[at] as number);
          if (!Number.isSafeInteger(value)) throw unsafeInteger(of, i64[(values >>> 3) + row] as bigint);
          return value;
        },
      };
    case 'DECIMAL':
      return { open, value: (row) => decimalOf(i64[(values >>> 3) + row] as bigint, type.scale) };
    case 'TIMESTAMP': {
      const ticks = ticksPerMs(type.precision);
      return {
        open,
        value: (row) => {
          const ms = readTimeMs(memory, values + row * 8, ticks);
          if (!(Math.abs(ms) <= dateMsMax)) throw beyondDate(of, i64[(values >>> 3) + row] as bigint);
          return new Date(ms);
        },
      };
    }
    case 'VARCHAR':
      return textReader(memory);
    default:
      return { open, value: (row) => i32[(values >>> 2) + row] as number };
  }
}

function textReader(memory: SlotMemory): ValueReader {
  const { u32 } = memory;
  let values = 0;
  let views = 0;
  let dictionaryId = -1;
  let decoded: string[] = [];
  return {
    open(column) {
      values = column.values;
      views = column.dictionary ? column.dictionary.views : 0;
      if (!column.dictionary || column.dictionary.id === dictionaryId) return;
      dictionaryId = column.dictionary.id;
      decoded = [];
    },
    value(row) {
      if (views === 0) return readText(memory, values + row * 16);
      const code = u32[(values >>> 2) + row] as number;
      let text = decoded[code];
      if (text === undefined) {
        text = readText(memory, views + code * 16);
        decoded[code] = text;
      }
      return text;
    },
  };
}

/** What ECMAScript's Date can hold: 10^8 days on both sides of the epoch. */
const dateMsMax = 8.64e15;
const dateDaysMax = 1e8;

function flooredMs(stored: bigint, ticks: bigint): number {
  const whole = stored / ticks;
  return Number(stored < 0n && whole * ticks !== stored ? whole - 1n : whole);
}

function unsafeInteger(of: LayoutColumn, value: bigint): MillraceError {
  return new MillraceError(
    'value/unsafe-integer',
    `column '${of.name}' holds ${value}, which a JavaScript number cannot hold exactly; declare it t.bigint().asBigInt() to get a bigint`,
  );
}

function beyondDate(of: LayoutColumn, stored: bigint): MillraceError {
  return new MillraceError(
    'value/unsafe-integer',
    `column '${of.name}' of type ${typeName(of.type)} holds ${stored}, which lies beyond what a Date can hold; cast it to BIGINT to read it`,
  );
}
