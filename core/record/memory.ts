/**
 * A slot's memory as JavaScript sees it: one WebAssembly.Memory that never grows, typed views over it, and an arena for
 * what lives as long as the deployment. Addresses are byte offsets, 0 means "none", at most 2^32 - 1.
 */
import { MillraceError } from '../base/errors.ts';

export interface SlotMemory {
  readonly memory: WebAssembly.Memory;
  readonly buffer: ArrayBufferLike;
  readonly u8: Uint8Array;
  readonly i32: Int32Array;
  readonly u32: Uint32Array;
  readonly i64: BigInt64Array;
  readonly u64: BigUint64Array;
  readonly f64: Float64Array;
  /** What lives as long as the deployment: operators' buffers, parameter blocks. */
  readonly arena: Arena;
}

/** Bump allocation, 64-byte aligned, zeroed once when the slot is deployed, never freed singly. */
export interface Arena {
  /** Errors: `memory/exhausted`, naming `purpose`. */
  allocate(bytes: number, purpose: string): number;
  readonly usedBytes: number;
  readonly freeBytes: number;
}

export function alignUp(value: number, alignment: number): number {
  return Math.ceil(value / alignment) * alignment;
}

/** An arena over [from, to). `from` must not be 0: address 0 means "none". */
export function arena(from: number, to: number): Arena {
  let next = alignUp(from, 64);
  const start = next;
  return {
    allocate(bytes, purpose) {
      const at = next;
      if (at + bytes > to) {
        throw new MillraceError(
          'memory/exhausted',
          `no room for ${purpose}: ${bytes} bytes asked, ${to - at} of ${to - start} left in the slot's scratch area; raise 'memory' or lower 'parallelism'`,
        );
      }
      next = alignUp(at + bytes, 64);
      return at;
    },
    get usedBytes() {
      return next - start;
    },
    get freeBytes() {
      return to - next;
    },
  };
}

/** Views over `memory`, with an arena in [arenaFrom, arenaTo). */
export function slotMemory(memory: WebAssembly.Memory, arenaFrom: number, arenaTo: number): SlotMemory {
  const buffer = memory.buffer;
  return {
    memory,
    buffer,
    u8: new Uint8Array(buffer),
    i32: new Int32Array(buffer),
    u32: new Uint32Array(buffer),
    i64: new BigInt64Array(buffer),
    u64: new BigUint64Array(buffer),
    f64: new Float64Array(buffer),
    arena: arena(arenaFrom, arenaTo),
  };
}
