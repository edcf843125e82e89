/** Kernels of kernels/assembly/string.ts. */
// biome-ignore lint/suspicious/noEmptyInterface: filled by its owner
export interface StringKernels {}
