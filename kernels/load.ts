/**
 * Brings the fixed kernels into a slot: compiles the engine's .wasm once per thread and instantiates it over the slot's
 * memory. Knows the file and the import, nothing of what the kernels do.
 */
import { existsSync, readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type { Kernels } from '../core/ports/kernels.ts';
import type { SlotMemory } from '../core/record/memory.ts';

const engineKernels = 'kernels.wasm';
const modules = new Map<string, WebAssembly.Module>();
/** By memory: kernels keep nothing of their own, so a memory that is used again has them already. */
const instances = new WeakMap<WebAssembly.Memory, Map<string, Record<string, unknown>>>();

/** The kernels over one slot's memory. Errors: an `Error` when the package was not built. */
export function loadKernels(memory: SlotMemory): Kernels {
  return instantiate(engineKernels, memory) as unknown as Kernels;
}

/**
 * Compiles the engine's kernels for this thread, on V8's own threads: a thread that has other work does not do it itself.
 * Without it the first `loadKernels` compiles. Errors: an `Error` when the package was not built.
 */
export async function compileKernels(): Promise<void> {
  if (!modules.has(engineKernels))
    modules.set(engineKernels, await WebAssembly.compile(await readFile(find(engineKernels))));
}

/** The exports of `dist/kernels/<file>`, instantiated once over the slot's memory; compiled once per thread. */
export function instantiate(file: string, memory: SlotMemory): Record<string, unknown> {
  let module = modules.get(file);
  if (module === undefined) {
    module = new WebAssembly.Module(readFileSync(find(file)));
    modules.set(file, module);
  }
  const known = instances.get(memory.memory) ?? new Map<string, Record<string, unknown>>();
  instances.set(memory.memory, known);
  const found = known.get(file) ?? new WebAssembly.Instance(module, { env: { memory: memory.memory } }).exports;
  known.set(file, found);
  return found;
}

/** Beside this file when it runs from dist/kernels; in the build output, for the source tree and for bundled threads. */
function find(file: string): string {
  for (const place of [`./${file}`, `../dist/kernels/${file}`, `../../kernels/${file}`]) {
    const path = fileURLToPath(new URL(place, import.meta.url));
    if (existsSync(path)) return path;
  }
  throw new Error(`${file} is missing: run 'npm run build' first`);
}
