/**
 * The Nexmark kernels (kernels/assembly/nexmark.ts), loaded once a thread, instantiated over a slot's memory. Each fills
 * `count` rows from `row` of a kind on, of which there are `per` in 50 events behind the first `skip`.
 */
import { readFileSync } from 'node:fs';
import type { SlotMemory } from '../../core/record/memory.ts';

/** `out`, `count`, `row`, `per`, `skip`. */
type Run = [out: number, count: number, row: bigint, per: bigint, skip: bigint];

export interface NexmarkKernels {
  ids(out: number, count: number, row: bigint, base: bigint): void;
  uniform(...run: [...Run, seed: bigint, min: bigint, range: bigint]): void;
  bidAuctions(...run: [...Run, seed: bigint, ratio: bigint]): void;
  persons(...run: [...Run, seed: bigint, ratio: bigint, hot: bigint]): void;
  prices(...run: [...Run, seed: bigint, powers: number, more: number, moreSeed: bigint]): void;
  times(
    ...run: [...Run, start: bigint, step: number, seed: bigint, disorder: bigint, life: bigint, lifeSeed: bigint]
  ): void;
  words(...run: [...Run, lengths: bigint, letters: bigint, max: bigint, texts: number]): void;
  picks(...run: [...Run, seed: bigint, table: number, entries: bigint, texts: number]): void;
  channels(...run: [...Run, seed: bigint, table: number, cold: bigint, texts: number]): void;
  channelTable(table: number, count: number, scratch: number): void;
  urlTable(
    table: number,
    count: number,
    seed: bigint,
    letters: bigint,
    head: number,
    tail: number,
    idHead: number,
    texts: number,
  ): void;
  emails(...run: [...Run, lengths: bigint, letters: bigint, texts: number]): void;
  cards(...run: [...Run, seed: bigint, texts: number]): void;
  letterPool(to: number, bytes: number, seed: bigint): void;
  bidExtras(...run: [...Run, seed: bigint, average: number, pool: number, texts: number]): void;
  auctionExtras(
    ...run: [...Run, seed: bigint, average: number, pool: number, texts: number, names: bigint, descriptions: bigint]
  ): void;
  personExtras(
    ...run: [
      ...Run,
      seed: bigint,
      average: number,
      pool: number,
      texts: number,
      names: bigint,
      nameTable: number,
      nameEntries: bigint,
      emails: bigint,
      cities: bigint,
      cityTable: number,
      cityEntries: bigint,
    ]
  ): void;
}

let module: WebAssembly.Module | null = null;

export function nexmarkKernels(memory: SlotMemory): NexmarkKernels {
  module ??= new WebAssembly.Module(readFileSync(wasmUrl()));
  const instance = new WebAssembly.Instance(module, { env: { memory: memory.memory } });
  return instance.exports as unknown as NexmarkKernels;
}

/** Beside the built package, or in its dist/ when the sources run. */
function wasmUrl(): URL {
  const source = import.meta.url.endsWith('.ts');
  return new URL(source ? '../../dist/kernels/nexmark.wasm' : '../../kernels/nexmark.wasm', import.meta.url);
}
