/** Buffers in the arena that grow with what they are asked for. The arena never takes back, so they grow by half again. */
import type { SlotMemory } from '../../core/record/memory.ts';

/** Kernels load up to 32 bytes past a buffer's content and store up to 32. */
export const slackBytes = 64;

export interface GrowingBuffer {
  /** Address of at least `bytes` bytes, with slack behind. What it held is gone when it moved. Errors: `memory/exhausted`. */
  ensure(bytes: number): number;
  readonly address: number;
}

export function growingBuffer(memory: SlotMemory, purpose: string): GrowingBuffer {
  let address = 0;
  let size = 0;
  return {
    ensure(bytes) {
      if (address === 0 || bytes > size) {
        const wanted = Math.max(bytes, Math.min(size * 1.5, memory.arena.freeBytes - slackBytes - 64), 1024);
        size = Math.ceil(wanted / 64) * 64;
        address = memory.arena.allocate(size + slackBytes, purpose);
      }
      return address;
    },
    get address() {
      return address;
    },
  };
}
