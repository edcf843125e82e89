/** The Parquet kernels (kernels/assembly/parquet.ts), loaded once a thread, instantiated over a slot's memory. */
import { readFileSync } from 'node:fs';
import type { SlotMemory } from '../../core/record/memory.ts';

export interface ParquetKernels {
  zstdContextBytes(): number;
  zstdBegin(context: number, src: number, srcBytes: number, dst: number, dstBytes: number): void;
  zstdStep(context: number, budget: number): number;
  zstdPosition(context: number): number;
  blocksBegin(context: number, src: number, srcBytes: number, dst: number, dstBytes: number): void;
  blocksPosition(context: number): number;
  snappyLength(context: number): bigint;
  snappyStep(context: number, budget: number): number;
  snappyTableBytes(): number;
  snappyCompress(src: number, n: number, table: number, dst: number): number;
  lz4Step(context: number, budget: number): number;
  hybridBegin(cursor: number, src: number, end: number, width: number): void;
  hybridValues(cursor: number, n: number, limit: number, out: number): number;
  hybridBits(cursor: number, n: number, max: number, bitmap: number): number;
  unpackBigEndian(src: number, n: number, width: number, out: number): void;
  copyBits(src: number, from: number, n: number, bitmap: number): void;
  castValues(kind: number, src: number, n: number, parameter: bigint, out: number): number;
  gather32(indices: number, n: number, table: number, out: number): void;
  gather64(indices: number, n: number, table: number, out: number): void;
  gather128(indices: number, n: number, table: number, out: number): void;
  spread32(values: number, bitmap: number, n: number, count: number): void;
  spread64(values: number, bitmap: number, n: number, count: number): void;
  spread128(values: number, bitmap: number, n: number, count: number): void;
  spreadBits(values: number, bitmap: number, n: number, count: number): void;
  plainViews(src: number, end: number, n: number, utf8: number, out: number): number;
  fixedViews(src: number, n: number, width: number, utf8: number, out: number): number;
  uuidViews(src: number, n: number, text: number, out: number): void;
  viewsToFixed(views: number, n: number, width: number, out: number): number;
  unsplit(src: number, n: number, width: number, out: number): void;
  deltaIntegers(src: number, end: number, room: number, wide: number, scratch: number, out: number): number;
  lengthViews(src: number, end: number, lengths: number, n: number, utf8: number, out: number): number;
  prefixBytes(prefixes: number, suffixes: number, n: number, suffixRoom: number): bigint;
  prefixViews(
    src: number,
    prefixes: number,
    suffixes: number,
    n: number,
    utf8: number,
    bytes: number,
    out: number,
  ): number;
}

let module: WebAssembly.Module | null = null;

export function parquetKernels(memory: SlotMemory): ParquetKernels {
  module ??= new WebAssembly.Module(readFileSync(wasmUrl()));
  const instance = new WebAssembly.Instance(module, { env: { memory: memory.memory } });
  return instance.exports as unknown as ParquetKernels;
}

/** Beside the built package, or in its dist/ when the sources run. */
function wasmUrl(): URL {
  const source = import.meta.url.endsWith('.ts');
  return new URL(source ? '../../dist/kernels/parquet.wasm' : '../../kernels/parquet.wasm', import.meta.url);
}
