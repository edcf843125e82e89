/**
 * What entries were when a snapshot froze them, so that they may be written while it still reads their pages: records in
 * places of the pool (drawn in core/ports/page-layout.ts), appended by the kernels that make pages writable. One log
 * for all tables of a slot; it ends when no snapshot is read any more.
 */
import { pageSize, undoBytes, undoEndAt, undoNextAt } from '../core/ports/page-layout.ts';
import type { PagePool } from './page-pool.ts';

export interface UndoLog {
  /** Its block, for the kernels. */
  readonly block: number;
  /** Room for more records; false: no place is left. */
  grow(): boolean;
  /** Forgets everything and gives the room back. */
  clear(): void;
}

export function undoLog(pool: PagePool): UndoLog {
  const { u32, arena } = pool.memory;
  const block = arena.allocate(undoBytes, 'an undo log');
  const places: number[] = [];
  const setRoom = (next: number, end: number): void => {
    u32[(block + undoNextAt) >>> 2] = next;
    u32[(block + undoEndAt) >>> 2] = end;
  };
  return {
    block,
    grow() {
      const place = pool.takePlace();
      if (place === 0) return false;
      places.push(place);
      setRoom(place, place + pageSize);
      return true;
    },
    clear() {
      for (const place of places) pool.givePlace(place);
      places.length = 0;
      setRoom(0, 0);
    },
  };
}
