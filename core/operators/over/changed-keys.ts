/** Keys of the rows that a batch has brought or taken, in order: at most a batch's, on the JavaScript heap. */
import { batchRowsMax, orderedKeyBytesMax } from '../../base/limits.ts';
import type { OrderedCursor } from '../../ports/state.ts';
import type { ByteSink } from '../../record/bytes.ts';
import type { OperatorContext } from '../operator.ts';
import { keyTailBytes } from './rows.ts';

/** A key, copied to where cursors can be brought to it. One object, used again. */
export interface ChangedKey {
  address: number;
  bytes: number;
  partitionBytes: number;
}

export class ChangedKeys {
  size = 0;
  readonly #context: OperatorContext;
  #bytes = new Uint8Array(64 * 1024);
  #used = 0;
  readonly #starts = new Uint32Array(batchRowsMax + 1);
  readonly #partitions = new Uint16Array(batchRowsMax);
  #order: number[] = [];
  readonly #shown: ChangedKey;

  constructor(context: OperatorContext) {
    this.#context = context;
    const address = context.memory.arena.allocate(orderedKeyBytesMax, `a key of ${context.name}`);
    this.#shown = { address, bytes: 0, partitionBytes: 0 };
  }

  clear(): void {
    this.size = 0;
    this.#used = 0;
  }

  add(key: ByteSink, partitionBytes: number): void {
    const bytes = key.at - key.from;
    if (this.#used + bytes > this.#bytes.length) {
      const grown = new Uint8Array(2 * this.#bytes.length + bytes);
      grown.set(this.#bytes.subarray(0, this.#used));
      this.#bytes = grown;
    }
    for (let i = 0; i < bytes; i++) this.#bytes[this.#used + i] = key.u8[key.from + i] as number;
    this.#starts[this.size] = this.#used;
    this.#partitions[this.size++] = partitionBytes;
    this.#used += bytes;
    this.#starts[this.size] = this.#used;
  }

  sort(): void {
    this.#order = Array.from({ length: this.size }, (_, i) => i).sort((a, b) => this.#compareTwo(a, b));
  }

  /** The `i`th in order; valid until the next call. */
  at(i: number): ChangedKey {
    const [from, to] = this.#range(i);
    this.#context.memory.u8.set(this.#bytes.subarray(from, to), this.#shown.address);
    this.#shown.bytes = to - from;
    this.#shown.partitionBytes = this.#partitions[this.#order[i] as number] as number;
    return this.#shown;
  }

  isOfPartition(i: number, of: number): boolean {
    const [a, b] = [this.#order[i] as number, this.#order[of] as number];
    const bytes = this.#partitions[b] as number;
    if (this.#partitions[a] !== bytes) return false;
    const [from, other] = [this.#starts[a] as number, this.#starts[b] as number];
    for (let k = bytes - 1; k >= 0; k--) if (this.#bytes[from + k] !== this.#bytes[other + k]) return false;
    return true;
  }

  /** Below 0 where the `i`th is before the key of a cursor, 0 where it is that. */
  compare(i: number, { key, keyBytes }: OrderedCursor): number {
    const [from, to] = this.#range(i);
    return compareBytes(this.#bytes, from, to, this.#context.memory.u8, key, key + keyBytes);
  }

  /** As `compare`, for places in the order: peers are in the same. */
  comparePlace(i: number, { key, keyBytes }: OrderedCursor): number {
    const [from, to] = this.#range(i);
    const { u8 } = this.#context.memory;
    return compareBytes(this.#bytes, from, to - keyTailBytes, u8, key, key + keyBytes - keyTailBytes);
  }

  #range(i: number): readonly [number, number] {
    const own = this.#order[i] as number;
    return [this.#starts[own] as number, this.#starts[own + 1] as number];
  }

  #compareTwo(a: number, b: number): number {
    const [from, to] = [this.#starts[a] as number, this.#starts[a + 1] as number];
    const [other, end] = [this.#starts[b] as number, this.#starts[b + 1] as number];
    return compareBytes(this.#bytes, from, to, this.#bytes, other, end) || a - b;
  }
}

function compareBytes(a: Uint8Array, from: number, to: number, b: Uint8Array, other: number, end: number): number {
  const common = Math.min(to - from, end - other);
  for (let i = 0; i < common; i++) {
    const order = (a[from + i] as number) - (b[other + i] as number);
    if (order !== 0) return order;
  }
  return to - from - (end - other);
}
