/**
 * Memories of slots, kept for reuse for a short while: touching fresh pages costs more than most jobs, and holding them
 * for ever costs the machine. What is not taken again within `keepMs` is let go.
 */
import { MillraceError } from '../core/base/errors.ts';
import type { MemoryMap } from './memory-map.ts';

export class MemoryPool {
  readonly #free: { readonly memory: WebAssembly.Memory; readonly map: MemoryMap }[] = [];
  #timer: NodeJS.Timeout | null = null;
  readonly #onTrim: () => void;

  constructor(onTrim: () => void = () => {}) {
    this.#onTrim = onTrim;
  }

  /** A memory for `map`: a fresh one, or one that had the same map before, so that what is to be zero is known. */
  take(map: MemoryMap): WebAssembly.Memory {
    const at = this.#free.findIndex(({ map: of }) => of.bytes === map.bytes && of.inboxTo === map.inboxTo);
    return at >= 0 ? this.#free.splice(at, 1)[0]!.memory : createMemory(map.bytes);
  }

  give(memory: WebAssembly.Memory, map: MemoryMap, reusable: boolean): void {
    if (!reusable) return;
    this.#free.push({ memory, map });
    if (this.#timer) clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#free.length = 0;
      this.#timer = null;
      this.#onTrim();
    }, keepMs);
    this.#timer.unref();
  }
}

const keepMs = 3000;

/** Errors: `memory/unavailable` where the address space is limited. */
export function createMemory(bytes: number): WebAssembly.Memory {
  const pages = bytes / 65_536;
  try {
    return new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
  } catch (cause) {
    throw new MillraceError(
      'memory/unavailable',
      `the system refused a shared memory of ${Math.floor(bytes / 2 ** 20)} MB; lower 'memory', or raise the limit on address space (ulimit -v)`,
      { cause },
    );
  }
}
