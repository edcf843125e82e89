/**
 * Compiled programs of this thread by what they were compiled from, and modules by their bytes: equal plans, operators
 * and variants share one, and a job that runs again compiles nothing. Bounded: what was used least recently goes.
 */
import { MillraceError } from '../base/errors.ts';
import type { Kernels } from '../ports/kernels.ts';

/** Modules kept at most, each 0.2 to 10 KB of bytes and some tens of KB of code. */
export const modulesMax = 512;

const modules = new Map<string, { readonly bytes: Uint8Array; readonly module: WebAssembly.Module }>();

/** The module of these bytes. */
export function moduleOf(bytes: Uint8Array): WebAssembly.Module {
  const key = hashOf(bytes);
  const known = modules.get(key);
  if (known !== undefined && sameBytes(known.bytes, bytes)) {
    keep(modules, key, known);
    return known.module;
  }
  const module = new WebAssembly.Module(bytes);
  keep(modules, key, { bytes, module });
  return module;
}

const programs = new Map<string, unknown>();

/** What `compile` made for this key before, or makes now. The key must say all that it depends on. */
export function programOf<T>(key: string, compile: () => T): T {
  const program = (programs.get(key) as T | undefined) ?? compile();
  keep(programs, key, program);
  return program;
}

/** Puts it behind all others; the first goes when there are too many. */
function keep<T>(among: Map<string, T>, key: string, value: T): void {
  among.delete(key);
  among.set(key, value);
  if (among.size > modulesMax) among.delete(among.keys().next().value as string);
}

export const modulesCached = (): number => modules.size;

export type HostFunction = (...args: never[]) => unknown;

/** Its exports over a slot's memory; `imports` names kernels, `host` adds what is no kernel. */
export function instantiate(
  bytes: Uint8Array,
  imports: readonly string[],
  memory: WebAssembly.Memory,
  kernels: Kernels,
  host: Readonly<Record<string, HostFunction>> = {},
): Record<string, unknown> {
  const env: Record<string, WebAssembly.Memory | HostFunction> = { memory };
  for (const name of imports) {
    const kernel = host[name] ?? (kernels as unknown as Record<string, HostFunction>)[name];
    if (kernel === undefined)
      throw new MillraceError('plan/unsupported', `the kernels that are loaded lack ${name}; build the package again`);
    env[name] = kernel;
  }
  return new WebAssembly.Instance(moduleOf(bytes), { env }).exports;
}

/** FNV-1a, two lanes of 32 bits, and the length. */
function hashOf(bytes: Uint8Array): string {
  let a = 0x811c9dc5;
  let b = 0x9747b28c;
  for (let i = 0; i < bytes.length; i++) {
    a = Math.imul(a ^ (bytes[i] as number), 0x01000193);
    b = Math.imul(b ^ (bytes[i] as number), 0x85ebca6b) ^ (b >>> 13);
  }
  return `${a >>> 0}.${b >>> 0}.${bytes.length}`;
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
