/**
 * Values of declared types inside an entry of a group table: numbers and times in place, texts as views that the table
 * keeps. Reads and writes by address, without an object between. What does not lie so (arrays, maps, long rows) goes to
 * an ordered table instead.
 */

import { MillraceError } from '../../base/errors.ts';
import { textBytesMax } from '../../base/limits.ts';
import type { AccumulatorLeaf } from '../../ports/state.ts';
import { readI64 } from '../../record/column-reader.ts';
import { decimalDigitsMax } from '../../record/decimal.ts';
import type { SlotMemory } from '../../record/memory.ts';
import { badValue, intCodec, type Words, wordCodec } from '../../record/scalar-bytes.ts';
import { encodeUtf8, inlineBytesMax, readText, utf8Bytes, writeShortView, writeView } from '../../record/text.ts';
import type { DataType, Fields } from '../../record/types.ts';

/** Places in an entry, handed out one after the other. */
export interface EntryLayout {
  /** Answers an offset; a multiple of 8. */
  take(bytes: number): number;
  /** A view whose text the table keeps. */
  text(): number;
  /** What lies somewhere, for savepoints. */
  leaf?(leaf: AccumulatorLeaf): void;
}

/** How a value lies in an entry: `entry` is the address of its accumulators. */
export interface Slot {
  read(entry: number): unknown;
  /** Errors: `function/bad-result` for a value of another type, `record/too-large`. */
  write(entry: number, value: unknown): void;
  /** Gives back what lies elsewhere. Absent: nothing does. */
  clear?(entry: number): void;
}

export interface SlotContext {
  readonly memory: SlotMemory;
  readonly layout: EntryLayout;
  /** Keeps the text of the view at `view` for the view at `target`, giving back what that held. */
  readonly keepText: (target: number, view: number) => void;
  /** The column that a savepoint shows it in; absent: none. */
  readonly column?: { readonly name: string; readonly absent: NonNullable<AccumulatorLeaf['absent']> };
}

/** Bytes of a value in an entry at most: larger ones make every key's entry large. */
const slotBytesMax = 512;
const nullBitsMax = 32;

/** Bytes that values of a type take in an entry; null: they do not lie there. */
export function slotBytes(type: DataType): number | null {
  switch (type.kind) {
    case 'VARCHAR':
      return 16;
    case 'ROW': {
      let bytes = 8;
      let leaves = 0;
      for (const field of type.fields) {
        const own = slotBytes(field.type);
        if (own === null) return null;
        bytes += own;
        leaves++;
      }
      return bytes > slotBytesMax || leaves >= nullBitsMax ? null : bytes;
    }
    case 'DECIMAL':
      return type.precision > decimalDigitsMax ? null : 8;
    case 'BOOLEAN':
    case 'INT':
    case 'DATE':
    case 'BIGINT':
    case 'TIMESTAMP':
    case 'DOUBLE':
      return 8;
    default:
      return null;
  }
}

/** A value that may be NULL has a word of null bits before it. `name`: what errors call it. */
export function slotOf(type: DataType, nullable: boolean, name: string, context: SlotContext): Slot {
  if (type.kind === 'ROW') return rowSlot(type.fields, nullable, name, type, context);
  if (!nullable) return notNull(scalarSlot(type, name, context), name, type);
  const { memory, layout } = context;
  const nulls = layout.take(8);
  const { u32 } = memory;
  const slot = scalarSlot(type, name, within(context, '', { at: nulls, mask: 0xffffffff, when: 'set' }));
  return {
    read: (entry) => (u32[(entry + nulls) >>> 2] === 0 ? slot.read(entry) : null),
    write(entry, value) {
      if (value !== null) slot.write(entry, value);
      else slot.clear?.(entry);
      u32[(entry + nulls) >>> 2] = value === null ? 1 : 0;
    },
    ...(slot.clear ? { clear: slot.clear } : {}),
  };
}

/** The context of what lies in a value: part of its column's name, and one more reason for it to be absent. */
function within(
  context: SlotContext,
  suffix: string,
  reason: NonNullable<AccumulatorLeaf['absent']>[number],
): SlotContext {
  const { column } = context;
  if (!column) return context;
  return { ...context, column: { name: column.name + suffix, absent: [...column.absent, reason] } };
}

function notNull(slot: Slot, name: string, type: DataType): Slot {
  const { write } = slot;
  return {
    ...slot,
    write(entry, value) {
      if (value === null) throw badValue(name, type, value, 'a value: it is not declared .nullable()');
      write(entry, value);
    },
  };
}

function rowSlot(fields: Fields, nullable: boolean, name: string, type: DataType, context: SlotContext): Slot {
  const { memory, layout } = context;
  const { u32 } = memory;
  const nulls = layout.take(8);
  const self = within(context, '', { at: nulls, mask: 0x80000000, when: 'set' });
  const slots = fields.map((field, i) => {
    const own = within(self, `.${field.name}`, { at: nulls, mask: 1 << i, when: 'set' });
    return field.type.kind === 'ROW'
      ? slotOf(field.type, field.nullable, `${name}.${field.name}`, own)
      : scalarSlot(field.type, `${name}.${field.name}`, own);
  });
  const clears = slots.filter((slot) => slot.clear);
  const clear = (entry: number): void => {
    for (const slot of clears) slot.clear?.(entry);
  };
  /** The row itself. */
  const selfBit = 2 ** 31;
  return {
    read(entry) {
      const bits = u32[(entry + nulls) >>> 2] as number;
      if (bits >= selfBit) return null;
      const row: Record<string, unknown> = {};
      for (let i = 0; i < slots.length; i++) {
        const value = (bits & (1 << i)) !== 0 ? null : (slots[i] as Slot).read(entry);
        const { name: field } = fields[i] as Fields[number];
        if (field === '__proto__')
          Object.defineProperty(row, field, { value, writable: true, enumerable: true, configurable: true });
        else row[field] = value;
      }
      return row;
    },
    write(entry, value) {
      if (value === null && nullable) {
        clear(entry);
        u32[(entry + nulls) >>> 2] = selfBit;
        return;
      }
      if (typeof value !== 'object' || value === null) throw badValue(name, type, value, 'an object');
      let bits = 0;
      for (let i = 0; i < slots.length; i++) {
        const field = fields[i] as Fields[number];
        const known = !(field.name in Object.prototype) || Object.hasOwn(value, field.name);
        const given = known ? (value as Record<string, unknown>)[field.name] : undefined;
        const slot = slots[i] as Slot;
        if (given !== null || field.type.kind === 'ROW') slot.write(entry, given);
        else if (!field.nullable)
          throw badValue(`${name}.${field.name}`, field.type, given, 'a value: it is not declared .nullable()');
        else {
          slot.clear?.(entry);
          bits |= 1 << i;
        }
      }
      u32[(entry + nulls) >>> 2] = bits;
    },
    ...(clears.length > 0 ? { clear } : {}),
  };
}

function scalarSlot(type: DataType, name: string, { memory, layout, keepText, column }: SlotContext): Slot {
  const { u32, i32, f64 } = memory;
  const described = (offset: number, coding: AccumulatorLeaf['coding']): number => {
    if (column) layout.leaf?.({ ...column, type, offset, coding });
    return offset;
  };
  switch (type.kind) {
    case 'VARCHAR':
      return textSlot(type, name, memory, described(layout.text(), 'view'), keepText);
    case 'BOOLEAN': {
      const at = described(layout.take(8), 'bit');
      return {
        read: (entry) => u32[(entry + at) >>> 2] !== 0,
        write(entry, value) {
          if (typeof value !== 'boolean') throw badValue(name, type, value, 'true or false');
          u32[(entry + at) >>> 2] = value ? 1 : 0;
        },
      };
    }
    case 'DOUBLE': {
      const at = described(layout.take(8), 'f64');
      return {
        read: (entry) => f64[(entry + at) >>> 3] as number,
        write(entry, value) {
          if (typeof value !== 'number') throw badValue(name, type, value, 'a number');
          f64[(entry + at) >>> 3] = value;
        },
      };
    }
  }
  const at = layout.take(8);
  const int = intCodec(type, name);
  if (int) {
    described(at, 'i32');
    return {
      read: (entry) => int.value(i32[(entry + at) >>> 2] as number),
      write(entry, value) {
        i32[(entry + at) >>> 2] = int.of(value);
      },
    };
  }
  const words = wordCodec(type, name);
  if (words) {
    described(at, 'i64');
    const plain = type.kind === 'BIGINT' && !type.asBigInt;
    return {
      read(entry) {
        if (plain) {
          const value = readI64(memory, entry + at);
          if (Number.isSafeInteger(value)) return value;
        }
        return words.join(i32[(entry + at + 4) >>> 2] as number, u32[(entry + at) >>> 2] as number);
      },
      write(entry, value) {
        words.split(value, halves);
        i32[(entry + at) >>> 2] = halves.low;
        i32[(entry + at + 4) >>> 2] = halves.high;
      },
    };
  }
  throw new RangeError(`no slot for a ${type.kind}`);
}

function textSlot(
  type: DataType,
  name: string,
  memory: SlotMemory,
  at: number,
  keepText: SlotContext['keepText'],
): Slot {
  const { u8, u32 } = memory;
  /** A view, and the bytes of a text behind it. */
  const scratch = memory.arena.allocate(16 + textBytesMax, name);
  const empty = memory.arena.allocate(16, name);
  const clear = (entry: number): void => {
    if ((u32[(entry + at) >>> 2] as number) > inlineBytesMax) keepText(entry + at, empty);
  };
  return {
    read: (entry) => readText(memory, entry + at),
    write(entry, value) {
      if (typeof value !== 'string') throw badValue(name, type, value, 'a string');
      const target = entry + at;
      if (value.length <= inlineBytesMax && writeShortView(memory, scratch, value)) {
        if ((u32[target >>> 2] as number) > inlineBytesMax) keepText(target, scratch);
        else for (let i = 0; i < 4; i++) u32[(target >>> 2) + i] = u32[(scratch >>> 2) + i] as number;
        return;
      }
      const bytes = utf8Bytes(value);
      if (bytes > textBytesMax) {
        throw new MillraceError(
          'record/too-large',
          `${name} would hold a text of ${bytes} bytes, at most ${textBytesMax} are kept in a value; keep it in a list or a map, which take longer ones`,
        );
      }
      encodeUtf8(value, u8, scratch + 16, textBytesMax);
      writeView(memory, scratch, scratch + 16, bytes);
      keepText(target, scratch);
    },
    clear,
  };
}

const halves: Words = { high: 0, low: 0 };
