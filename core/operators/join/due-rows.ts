/**
 * When rows of another table are due: their keys in the order of a time. Knows nothing of what is due.
 *
 *   key    time · the row's key
 */
import { orderedKeyBytesMax } from '../../base/limits.ts';
import type { OrderedCursor, OrderedTable } from '../../ports/state.ts';
import { type ByteSink, byteSink } from '../../record/bytes.ts';
import { type KeyPart, keyNumberAt, writeKeyNumber } from '../../record/key-bytes.ts';
import { type OperatorContext, watermarkMax } from '../operator.ts';

export class DueRows {
  readonly table: OrderedTable;
  readonly #context: OperatorContext;
  readonly #cursor: OrderedCursor;
  readonly #key: ByteSink;
  readonly #bound: ByteSink;

  /** `keyParts`: of the rows' keys, which begin with their hash. */
  constructor(name: string, keyParts: readonly KeyPart[], context: OperatorContext) {
    const { memory, state } = context;
    const most = orderedKeyBytesMax;
    const take = (bytes: number): number => memory.arena.allocate(bytes, context.name);
    this.#context = context;
    this.#key = byteSink(memory, take(most), most, most, `a key of ${context.name}`);
    this.#bound = byteSink(memory, take(8), 8, 8, `a time of ${context.name}`);
    this.table = state.ordered({
      name,
      keyGroupAt: 8,
      key: [{ name: '$due', type: { kind: 'TIMESTAMP', precision: 3 }, nullable: false }, ...keyParts],
      value: [],
    });
    this.#cursor = this.table.cursor();
  }

  /** The row of that key is due at `timeMs`. Errors: `record/too-large`. */
  put(timeMs: number, key: number, keyBytes: number): void {
    const to = this.#key;
    to.reset();
    writeKeyNumber(timeMs, to);
    to.grow(keyBytes);
    to.u8.set(this.#context.memory.u8.subarray(key, key + keyBytes), to.at);
    to.at += keyBytes;
    this.table.put(to.from, to.at - to.from, 0, 0);
  }

  /** Before those that are due at `timeMs`; `watermarkMax`: all. */
  rewind(timeMs: number): void {
    this.#bound.reset();
    if (timeMs < watermarkMax) writeKeyNumber(timeMs + 1, this.#bound);
    this.#cursor.range(0, 0, this.#bound.from, this.#bound.at - this.#bound.from);
  }

  next(): boolean {
    return this.#cursor.next();
  }

  get timeMs(): number {
    return keyNumberAt(this.#context.memory.u8, this.#cursor.key);
  }

  /** The key of the current row. */
  get key(): number {
    return this.#cursor.key + 8;
  }
  get keyBytes(): number {
    return this.#cursor.keyBytes - 8;
  }

  deleteCurrent(): void {
    this.#cursor.delete();
  }
}
