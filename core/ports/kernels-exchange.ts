/** Kernels of kernels/assembly/exchange.ts. */
// biome-ignore lint/suspicious/noEmptyInterface: filled by its owner
export interface ExchangeKernels {}
