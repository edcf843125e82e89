/** Kernels of kernels/assembly/state.ts. */
// biome-ignore lint/suspicious/noEmptyInterface: filled by its owner
export interface StateKernels {}
