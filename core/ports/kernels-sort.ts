/** Kernels of kernels/assembly/sort.ts. */
// biome-ignore lint/suspicious/noEmptyInterface: filled by its owner
export interface SortKernels {}
