/** Hashes of a batch's key columns, as the whole engine computes them. Knows nothing of where rows go. */
import type { Batch, Column, Dictionary } from '../../core/record/batch.ts';
import type { Layout } from '../../core/record/layout.ts';
import type { ExchangeContext } from './context.ts';

export class KeyHasher {
  readonly #context: ExchangeContext;
  readonly #layout: Layout;
  readonly #keys: readonly number[];
  readonly #hashes: number;
  /** By key: hashes of the dictionary last seen, where its maker computed none. */
  readonly #entryHashes: { id: number; at: number; entries: number }[];

  constructor(context: ExchangeContext, layout: Layout, keys: readonly number[]) {
    this.#context = context;
    this.#layout = layout;
    this.#keys = keys;
    this.#hashes = context.memory.arena.allocate(context.batchRows * 8, 'hashes of keys');
    this.#entryHashes = keys.map(() => ({ id: -1, at: 0, entries: 0 }));
  }

  /** Address of one u64 per selected row, until the next call. */
  hash(batch: Batch): number {
    const { kernels, hashSeed } = this.#context;
    const { selection, size } = batch;
    const out = this.#hashes;
    for (let k = 0; k < this.#keys.length; k++) {
      const { values, validity, dictionary } = batch.columns[this.#keys[k]!] as Column;
      const first = k === 0 ? 1 : 0;
      switch (this.#layout[this.#keys[k]!]!.storage) {
        case 'bit':
          kernels.hashBit(values, validity, selection, size, hashSeed, first, out);
          break;
        case 'i32':
          kernels.hashI32(values, validity, selection, size, hashSeed, first, out);
          break;
        case 'i64':
          kernels.hashI64(values, validity, selection, size, hashSeed, first, out);
          break;
        case 'f64':
          kernels.hashF64(values, validity, selection, size, hashSeed, first, out);
          break;
        case 'view':
          if (dictionary === null) kernels.hashView(values, validity, selection, size, hashSeed, first, out);
          else kernels.hashCode(values, this.#hashesOf(k, dictionary), validity, selection, size, hashSeed, first, out);
          break;
      }
    }
    return out;
  }

  #hashesOf(key: number, dictionary: Dictionary): number {
    if (dictionary.hashes !== 0) return dictionary.hashes;
    const known = this.#entryHashes[key]!;
    if (known.id === dictionary.id) return known.at;
    if (dictionary.count > known.entries) {
      known.entries = 2 ** Math.ceil(Math.log2(Math.max(256, dictionary.count)));
      known.at = this.#context.memory.arena.allocate(known.entries * 8, 'hashes of a dictionary');
    }
    this.#context.kernels.hashDictionary(dictionary.views, dictionary.count, known.at);
    known.id = dictionary.id;
    return known.at;
  }
}
