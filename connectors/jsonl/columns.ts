/**
 * The columns that a reader of JSON lines fills, in slot memory, together with the block through which the kernel knows
 * them (drawn above kernels/assembly/json.ts). Rows that the kernel left are stored here value by value.
 */
import type { JsonKernels } from '../../core/ports/kernels-json.ts';
import type { Column } from '../../core/record/batch.ts';
import { valueBytes } from '../../core/record/layout.ts';
import type { SlotMemory } from '../../core/record/memory.ts';
import { decodeUtf8, encodeUtf8, utf8Bytes, writeView } from '../../core/record/text.ts';
import { ticksPerMs } from '../../core/record/types.ts';
import type { JsonLeaf, Stored } from './values.ts';

export const ScanStop = { done: 0, full: 1, refused: 2 } as const;

export interface JsonColumns {
  /** Rows so far. */
  readonly rows: number;
  /** Where the next line begins. */
  at: number;
  /** Forgets the rows. */
  reset(): void;
  /** Runs the kernel from `at` until `stop`. A refused line begins at `at`. */
  scan(stop: number): number;
  /** Adds a row of stored values; texts are written to `text` on, where at least `textRoom` bytes are. */
  append(values: readonly Stored[], text: number, textRoom: number): boolean;
  /** The columns, with the numbers that the kernel left. */
  columns(): readonly Column[];
}

/** Bytes that the kernel may read behind the last line. */
export const readAhead = (leaves: readonly JsonLeaf[]): number =>
  64 + Math.max(...leaves.map((leaf) => leaf.path[0]!.length * 3), 0);

const columnBytes = 64;
const contextBytes = 64;
const kinds = { bit: 0, i32: 1, i64: 2, f64: 3, view: 4 } as const;
const kindDate = 5;
const kindTime = 6;
const kindRefused = 7;
const kindDecimal = 8;

export function jsonColumns(
  leaves: readonly JsonLeaf[],
  memory: SlotMemory,
  kernels: JsonKernels,
  batchRows: number,
): JsonColumns {
  const { arena, u8, u32, i32, i64, f64 } = memory;
  const values = leaves.map(({ column }) =>
    arena.allocate(valueBytes(column.storage, batchRows), `column '${column.name}'`),
  );
  const validity = leaves.map(({ column }) =>
    column.nullable ? arena.allocate(valueBytes('bit', batchRows), `column '${column.name}'`) : 0,
  );
  const known = kernelColumns(leaves);
  const table = arena.allocate(Math.max(1, known.length) * columnBytes, 'JSON columns');
  const deferredMax = batchRows + known.length;
  const deferred = arena.allocate(deferredMax * 16, 'numbers of JSON');
  const context = arena.allocate(contextBytes, 'JSON scan');
  const word = context >>> 2;
  u8.fill(0, context, context + contextBytes);
  u8.fill(0, table, table + known.length * columnBytes);
  for (const [i, entry] of known.entries()) writeEntry(memory, table + i * columnBytes, entry, values, validity);
  u32[word + 3] = batchRows;
  u32[word + 4] = table;
  u32[word + 5] = known.length;
  u32[word + 7] = deferred;
  u32[word + 9] = deferredMax;
  /** Of columns that only this side writes. */
  const nulls = new Uint8Array(leaves.length);

  /** Number(text) is right to the last bit; the kernel only makes what is exact. */
  const settleDeferred = (): void => {
    const count = u32[word + 8]!;
    for (let k = 0; k < count; k++) {
      const at = (deferred >>> 2) + k * 4;
      const leaf = known[u32[at + 1]!]!.leaf;
      const from = u32[at + 2]!;
      f64[(values[leaf]! >>> 3) + u32[at]!] = Number(decodeUtf8(u8, from, from + u32[at + 3]!));
    }
    u32[word + 8] = 0;
  };

  const setValid = (leaf: number, row: number, valid: boolean): void => {
    const bits = validity[leaf]!;
    if (bits === 0) return;
    const at = bits + (row >>> 3);
    u8[at] = valid ? u8[at]! | (1 << (row & 7)) : u8[at]! & ~(1 << (row & 7));
    if (!valid) nulls[leaf] = 1;
  };

  return {
    get rows() {
      return u32[word + 2]!;
    },
    get at() {
      return u32[word]!;
    },
    set at(address) {
      u32[word] = address;
    },
    reset() {
      u32[word + 2] = 0;
      u32[word + 8] = 0;
      nulls.fill(0);
      for (let i = 0; i < known.length; i++) u32[((table + i * columnBytes) >>> 2) + 6] = 0;
    },
    scan(stop) {
      u32[word + 1] = stop;
      return kernels.jsonScan(context);
    },
    append(row, text, textRoom) {
      const at = u32[word + 2]!;
      let bytes = 0;
      for (const value of row) if (typeof value === 'string') bytes += utf8Bytes(value);
      if (bytes > textRoom) return false;
      let next = text;
      for (let leaf = 0; leaf < row.length; leaf++) {
        const value = row[leaf]!;
        setValid(leaf, at, value !== null);
        const base = values[leaf]!;
        switch (leaves[leaf]!.column.storage) {
          case 'bit': {
            const byte = base + (at >>> 3);
            u8[byte] = value ? u8[byte]! | (1 << (at & 7)) : u8[byte]! & ~(1 << (at & 7));
            break;
          }
          case 'i32':
            i32[(base >>> 2) + at] = Number(value);
            break;
          case 'i64':
            i64[(base >>> 3) + at] = (value as bigint | null) ?? 0n;
            break;
          case 'f64':
            f64[(base >>> 3) + at] = Number(value);
            break;
          case 'view': {
            const length = value === null ? 0 : encodeUtf8(value as string, u8, next, text + textRoom - next);
            writeView(memory, base + at * 16, next, length);
            next += length;
          }
        }
      }
      u32[word + 2] = at + 1;
      return true;
    },
    columns() {
      settleDeferred();
      for (const [i, { leaf }] of known.entries()) {
        if (u32[((table + i * columnBytes) >>> 2) + 6] !== 0) nulls[leaf] = 1;
      }
      return leaves.map((_, leaf) => ({
        validity: nulls[leaf] ? validity[leaf]! : 0,
        values: values[leaf]!,
        dictionary: null,
      }));
    },
  };
}

/** What the kernel looks for: a name and the leaf it fills, or a name whose value only this side can read. */
interface KernelColumn {
  readonly name: Buffer;
  readonly kind: number;
  readonly leaf: number;
  readonly unit: number;
}

function kernelColumns(leaves: readonly JsonLeaf[]): readonly KernelColumn[] {
  const known = new Map<string, KernelColumn>();
  leaves.forEach(({ column, path }, leaf) => {
    const name = path[0]!;
    const bytes = Buffer.from(name);
    const { type, storage } = column;
    // Names that JSON would escape, that come twice, or that lead into objects, are left to this side.
    const plain = path.length === 1 && !known.has(name) && bytes.every((b) => b >= 0x20 && b !== 0x22 && b !== 0x5c);
    const kind = !plain
      ? kindRefused
      : type.kind === 'DATE'
        ? kindDate
        : type.kind === 'TIMESTAMP'
          ? kindTime
          : type.kind === 'DECIMAL'
            ? kindDecimal
            : kinds[storage];
    const unit =
      type.kind === 'TIMESTAMP' ? ticksPerMs(type.precision) : type.kind === 'DECIMAL' ? digitsWord(type) : 1;
    known.set(name, { name: bytes, kind, leaf, unit });
  });
  return [...known.values()];
}

/** Precision and scale of a DECIMAL as the kernel takes them. */
const digitsWord = ({ precision, scale }: { precision: number; scale: number }): number => (precision << 8) | scale;

function writeEntry(
  memory: SlotMemory,
  at: number,
  entry: KernelColumn,
  values: readonly number[],
  validity: readonly number[],
): void {
  const { u8, u32, u64, arena } = memory;
  const { name, kind, leaf, unit } = entry;
  const text = arena.allocate(Math.max(8, name.length), 'a JSON name');
  u8.set(name, text);
  const word = at >>> 2;
  u32[word] = text;
  u32[word + 1] = name.length;
  u32[word + 2] = kind;
  u32[word + 3] = values[leaf]!;
  u32[word + 4] = validity[leaf]!;
  u32[word + 5] = unit;
  const mask = name.length >= 8 ? 0xffff_ffff_ffff_ffffn : (1n << BigInt(name.length * 8)) - 1n;
  u64[(at + 48) >>> 3] = mask;
  u64[(at + 40) >>> 3] = u64[text >>> 3]! & mask;
}
