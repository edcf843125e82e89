/** A block pool over an arena: what is given back is kept by size class and taken again, the arena itself never shrinks. */
import type { BlockPool } from '../ports/blocks.ts';
import type { Arena } from './memory.ts';

export function arenaBlocks(arena: Arena): BlockPool {
  const free = new Map<number, number[]>();
  return {
    take(bytes) {
      const size = sizeClass(bytes);
      const known = free.get(size)?.pop();
      if (known !== undefined) return known;
      return arena.freeBytes < size ? 0 : arena.allocate(size, 'blocks');
    },
    give(address, bytes) {
      const size = sizeClass(bytes);
      const list = free.get(size);
      if (list) list.push(address);
      else free.set(size, [address]);
    },
  };
}

/** The next power of two up to 64 KB, the next multiple of 64 KB above. */
function sizeClass(bytes: number): number {
  if (bytes > 65_536) return Math.ceil(bytes / 65_536) * 65_536;
  let size = 64;
  while (size < bytes) size *= 2;
  return size;
}
