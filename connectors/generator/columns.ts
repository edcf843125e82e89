/**
 * One generated column in slot memory: its buffers, and how rows [n, n + count) get into them. One call of a kernel per
 * column and run of rows; nothing here runs per row.
 */
import type { Kernels } from '../../core/ports/kernels.ts';
import type { Column } from '../../core/record/batch.ts';
import { type LayoutColumn, valueBytes } from '../../core/record/layout.ts';
import type { SlotMemory } from '../../core/record/memory.ts';
import { ticksPerMs } from '../../core/record/types.ts';
import type { GeneratorColumn } from './options.ts';

export interface ColumnMaker {
  readonly column: Column;
  /** Writes rows n … n + count − 1 of the table to rows `at` … of the batch. */
  fill(at: number, n: bigint, count: number): void;
}

/** What a column needs of its surroundings. */
export interface MakerContext {
  readonly memory: SlotMemory;
  readonly kernels: Kernels;
  readonly batchRows: number;
  readonly seed: number;
  readonly rowsPerSecond: number | null;
  /** Wall-clock milliseconds at which row 0 was due. */
  readonly startedAtMs: number;
}

/** The seed of a column: FNV-1a of its name, mixed with the source's. */
export function columnSeed(seed: number, name: string, purpose: string): bigint {
  let hash = 0xcbf29ce484222325n ^ BigInt(Math.trunc(seed));
  for (const byte of Buffer.from(`${purpose}\0${name}`)) {
    hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * 0x100000001b3n);
  }
  return BigInt.asUintN(64, hash * 0x9e3779b97f4a7c15n);
}

/** `threshold` of generateBits for a probability. */
export const bitThreshold = (probability: number): bigint => BigInt(Math.round(probability * 2 ** 53));

export function columnMaker(of: GeneratorColumn, layout: LayoutColumn, context: MakerContext): ColumnMaker {
  const { memory, kernels, batchRows } = context;
  const name = `generated column ${of.name}`;
  const values = memory.arena.allocate(valueBytes(layout.storage, batchRows), name);
  const fill = filler(of, layout, values, context);
  const nulls = of.nulls ?? 0;
  if (nulls === 0) return { column: { validity: 0, values, dictionary: null }, fill };
  const validity = memory.arena.allocate(valueBytes('bit', batchRows), name);
  const seed = columnSeed(context.seed, of.name, 'null');
  const threshold = bitThreshold(1 - nulls);
  return {
    column: { validity, values, dictionary: null },
    fill(at, n, count) {
      fill(at, n, count);
      kernels.generateBits(validity, at, count, seed, n, threshold);
    },
  };
}

function filler(of: GeneratorColumn, layout: LayoutColumn, values: number, context: MakerContext): ColumnMaker['fill'] {
  const { kernels } = context;
  const seed = columnSeed(context.seed, of.name, 'value');
  switch (of.kind) {
    case 'sequence': {
      const from = BigInt(of.from);
      const step = BigInt(of.step);
      return layout.storage === 'i32'
        ? (at, n, count) => kernels.generateSequence32(values + at * 4, count, from + n * step, step)
        : (at, n, count) => kernels.generateSequence64(values + at * 8, count, from + n * step, step);
    }
    case 'int': {
      const min = BigInt(of.min);
      const range = BigInt(of.max) - min + 1n;
      return layout.storage === 'i32'
        ? (at, n, count) => kernels.generateInt32(values + at * 4, count, seed, n, min, range)
        : (at, n, count) => kernels.generateInt64(values + at * 8, count, seed, n, min, range);
    }
    case 'double':
      return (at, n, count) => kernels.generateF64(values + at * 8, count, seed, n, of.min, of.max - of.min);
    case 'boolean': {
      const threshold = bitThreshold(of.probability);
      return (at, n, count) => kernels.generateBits(values, at, count, seed, n, threshold);
    }
    case 'text':
      return textFiller(of, seed, values, context);
    case 'time': {
      const ticks = ticksPerMs(of.precision);
      const start = BigInt(of.start) * BigInt(ticks);
      const disorder = BigInt(of.disorderMs * ticks);
      const step = of.stepMs * ticks;
      return (at, n, count) => kernels.generateTime(values + at * 8, count, seed, n, start, step, disorder);
    }
    case 'due': {
      const ticks = ticksPerMs(of.precision);
      const start = BigInt(Math.floor(context.startedAtMs * ticks));
      const step = (1000 * ticks) / context.rowsPerSecond!;
      return (at, n, count) => kernels.generateTime(values + at * 8, count, seed, n, start, step, 1n);
    }
    case 'constant':
      fillConstant(of.value, layout, values, context);
      return () => {};
  }
}

function textFiller(
  of: GeneratorColumn & { kind: 'text' },
  seed: bigint,
  values: number,
  { kernels, memory, batchRows }: MakerContext,
): ColumnMaker['fill'] {
  const { length, distinct } = of;
  const prefix = Buffer.from(of.prefix);
  const template = Buffer.alloc(length, '0');
  template.set(prefix);
  const digits = Math.min(length - prefix.length, 10);
  const range = BigInt(distinct);
  const inline = length <= 12;
  const texts = inline ? 0 : memory.arena.allocate(batchRows * length, `texts of generated column ${of.name}`);
  for (let row = 0; row < batchRows; row++) writeView(memory, values + row * 16, template, texts + row * length);
  return inline
    ? (at, n, count) =>
        kernels.generateText(values + at * 16 + 4 + length, 16, digits, count, seed, n, range, 0, length)
    : (at, n, count) =>
        kernels.generateText(
          texts + (at + 1) * length,
          length,
          digits,
          count,
          seed,
          n,
          range,
          values + at * 16,
          length,
        );
}

/** Writes a view of `text`; beyond 12 bytes the text goes to `address`. */
function writeView(memory: SlotMemory, view: number, text: Uint8Array, address: number): void {
  memory.u32[view >>> 2] = text.length;
  if (text.length <= 12) {
    memory.u8.fill(0, view + 4, view + 16);
    memory.u8.set(text, view + 4);
    return;
  }
  memory.u8.set(text.subarray(0, 4), view + 4);
  memory.u32[(view + 8) >>> 2] = 0;
  memory.u32[(view + 12) >>> 2] = address;
  memory.u8.set(text, address);
}

function fillConstant(
  value: boolean | number | string,
  layout: LayoutColumn,
  values: number,
  { memory, batchRows }: MakerContext,
): void {
  switch (layout.storage) {
    case 'bit':
      memory.u8.fill(value ? 0xff : 0, values, values + valueBytes('bit', batchRows));
      return;
    case 'i32':
      memory.i32.fill(Number(value), values >>> 2, (values >>> 2) + batchRows);
      return;
    case 'i64':
      memory.i64.fill(BigInt(value as number | string), values >>> 3, (values >>> 3) + batchRows);
      return;
    case 'f64':
      memory.f64.fill(Number(value), values >>> 3, (values >>> 3) + batchRows);
      return;
    case 'view': {
      const text = Buffer.from(String(value));
      const address = text.length > 12 ? memory.arena.allocate(text.length, 'a constant text') : 0;
      for (let row = 0; row < batchRows; row++) writeView(memory, values + row * 16, text, address);
    }
  }
}
