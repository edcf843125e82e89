/** Blocks of any size over a slot's page pool, in whole pages; what is given back is taken again by size. */
import type { BlockPool } from '../core/ports/blocks.ts';
import { pageSize } from '../core/ports/page-layout.ts';
import type { PagePool } from '../state/page-pool.ts';

export function blocksOver(pool: PagePool): BlockPool {
  const free = new Map<number, number[]>();
  return {
    take(bytes) {
      const pages = Math.max(1, Math.ceil(bytes / pageSize));
      return free.get(pages)?.pop() ?? pool.takeRun(pages);
    },
    give(address, bytes) {
      const pages = Math.max(1, Math.ceil(bytes / pageSize));
      const list = free.get(pages);
      if (list) list.push(address);
      else free.set(pages, [address]);
    },
  };
}
