// The engine's fixed kernels: every file here is one family. Built to one .wasm over the slot's imported memory.
// Kernels allocate nothing, keep no globals, call nothing outside and never trap on data (DESIGN: calling convention).
export * from './time';
export * from './generate';
export * from './hash';
export * from './columns';
export * from './state';
export {
  orderedFind, orderedPlace, orderedPut, orderedPutOne, orderedGet, orderedDelete, orderedRemoveAt, orderedTake, orderedClear, orderedInsertAt,
  orderedHalf, orderedSplit, orderedMerge, orderedKeyAt, orderedExport, orderedImport, orderedSeek, orderedStep, orderedBack,
} from './ordered';
export * from './ordered-probe';
export * from './rows';
export * from './bounds';
export * from './recall';
export * from './string';
export { regexView, splitView } from './regex';
export * from './calendar';
export * from './decimal';
export * from './exchange';
export * from './sort';
export * from './window';
export * from './json';
