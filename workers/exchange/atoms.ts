/**
 * The atomic operations that rings and doorbells are made of. The engine passes `atoms`, which is `Atomics` itself; the
 * exhaustive exploration (test/long/rings.ts) passes its own, which stops after each operation.
 */
export interface Atoms {
  load(words: Int32Array, index: number): number;
  store(words: Int32Array, index: number, value: number): number;
  add(words: Int32Array, index: number, value: number): number;
  or(words: Int32Array, index: number, value: number): number;
  and(words: Int32Array, index: number, value: number): number;
  notify(words: Int32Array, index: number, count?: number): number;
  waitAsync(words: Int32Array, index: number, value: number): WaitAnswer;
}
/** What Atomics.waitAsync answers. */
export type WaitAnswer =
  | { readonly async: false; readonly value: string }
  | { readonly async: true; readonly value: Promise<string> };

/** Every operation is sequentially consistent (ECMA-262, memory model). */
export const atoms: Atoms = Atomics as unknown as Atoms;
