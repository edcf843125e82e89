/** A slot for tests: one shared memory of a fixed size with the built kernels over it. Needs `npm run build` once. */
import type { Kernels } from '../../core/ports/kernels.ts';
import { type SlotMemory, slotMemory } from '../../core/record/memory.ts';
import { loadKernels } from '../../kernels/load.ts';

export interface TestSlot {
  readonly memory: SlotMemory;
  readonly kernels: Kernels;
  /** What lies behind the arena, free for a page pool. */
  readonly poolFrom: number;
  readonly poolTo: number;
}

/** `bytes` in all (default 16 MB); the arena has all of it but the last `poolBytes` (default none). */
export function testSlot(options: { readonly bytes?: number; readonly poolBytes?: number } = {}): TestSlot {
  const pages = Math.ceil((options.bytes ?? 16 * 1024 * 1024) / 65_536);
  const poolTo = Math.min(pages * 65_536, 0xffff_0000);
  const poolFrom = poolTo - (options.poolBytes ?? 0);
  const memory = slotMemory(new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true }), 1024, poolFrom);
  return { memory, kernels: loadKernels(memory), poolFrom, poolTo };
}
