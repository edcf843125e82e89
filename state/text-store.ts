/**
 * Texts that accumulators refer to by address (MIN and MAX of VARCHAR): blocks of a power of two bytes, carved out of
 * places of the pool. A text never moves while anything refers to it, so entries may. One store per table: dropping the
 * table gives all its places back.
 */
import { MillraceError } from '../core/base/errors.ts';
import { textBytesOf } from '../core/base/limits.ts';
import { pageSize } from '../core/ports/page-layout.ts';
import type { SlotMemory } from '../core/record/memory.ts';
import type { PagePool } from './page-pool.ts';

export interface TextStore {
  /** Copies `length` > 12 bytes at `text` and writes a view of the copy at `target`; what `target` held is replaced. */
  keep(target: number, text: number, length: number): void;
  /** The text that `target` holds has no owner any more: as if it were replaced by none. */
  drop(target: number): void;
  /** Texts that were replaced may be used again, unless a snapshot may still read them. */
  reclaim(): void;
  /** A snapshot reads the texts until `thaw`. */
  freeze(): void;
  thaw(): void;
  /** Gives back everything, at the latest when a snapshot lets it. */
  dispose(): void;
}

const smallest = 16;
const classOf = (length: number): number => Math.max(0, 32 - Math.clz32(length - 1) - 4);

/** `texts`: how many an entry has. */
export function textStore(memory: SlotMemory, pool: PagePool, table: string, texts: number): TextStore {
  const { u8, u32 } = memory;
  const most = textBytesOf(texts);
  const places: number[] = [];
  /** Addresses of free blocks by size class. */
  const free: number[][] = [];
  /** Replaced texts: address, class. */
  const replaced: number[] = [];
  /** Free blocks of a size class from which on it is looked for places that have nothing else. */
  const swept: number[] = [];
  let frozen = false;
  let disposed = false;

  const carve = (size: number): number[] => {
    const place = pool.takePlace();
    if (place === 0) {
      throw new MillraceError(
        'memory/exhausted',
        `no page is left for the texts of table '${table}'; raise 'memory', or lower what the state must hold`,
      );
    }
    places.push(place);
    const blocks: number[] = [];
    for (let at = place + pageSize - size; at >= place; at -= size) blocks.push(at);
    return blocks;
  };
  /** Gives back places whose blocks are all free. */
  const sweep = (index: number): void => {
    const blocks = free[index] as number[];
    const perPlace = pageSize / (smallest << index);
    const counts = new Map<number, number>();
    for (const block of blocks) {
      const place = block - (block % pageSize);
      counts.set(place, (counts.get(place) ?? 0) + 1);
    }
    const isEmpty = (place: number): boolean => counts.get(place) === perPlace;
    free[index] = blocks.filter((block) => !isEmpty(block - (block % pageSize)));
    let kept = 0;
    for (const place of places) {
      if (isEmpty(place)) pool.givePlace(place);
      else places[kept++] = place;
    }
    places.length = kept;
    swept[index] = 2 * (free[index] as number[]).length + 4 * perPlace;
  };
  const giveAll = (): void => {
    for (const place of places) pool.givePlace(place);
    places.length = 0;
  };

  const drop = (target: number): void => {
    const word = target >>> 2;
    const length = u32[word] as number;
    if (length > 12 && u32[word + 3] !== 0) replaced.push(u32[word + 3] as number, classOf(length));
  };

  return {
    drop,
    keep(target, text, length) {
      if (length > most) {
        const each = texts > 1 ? ` of each of the ${texts} texts that belong together` : '';
        throw new MillraceError(
          'record/too-large',
          `table '${table}' would keep a text of ${length} bytes, at most ${most} are kept${each}; keep a SUBSTRING of it`,
        );
      }
      drop(target);
      const word = target >>> 2;
      const index = classOf(length);
      let blocks = free[index];
      if (blocks === undefined || blocks.length === 0) {
        blocks = carve(smallest << index);
        free[index] = blocks;
      }
      const to = blocks.pop() as number;
      u8.copyWithin(to, text, text + length);
      u32[word] = length;
      u32[word + 1] = u32[to >>> 2] as number;
      u32[word + 2] = 0;
      u32[word + 3] = to;
    },
    reclaim() {
      if (frozen) return;
      while (replaced.length > 0) {
        const index = replaced.pop() as number;
        const blocks = free[index] as number[];
        blocks.push(replaced.pop() as number);
        swept[index] ??= (4 * pageSize) / (smallest << index);
        if (blocks.length > (swept[index] as number)) sweep(index);
      }
    },
    freeze() {
      frozen = true;
    },
    thaw() {
      frozen = false;
      if (disposed) giveAll();
    },
    dispose() {
      disposed = true;
      if (!frozen) giveAll();
    },
  };
}
