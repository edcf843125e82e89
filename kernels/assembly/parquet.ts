// Kernels of the Parquet reader, in a module of their own: only slots that read Parquet load them. They work in the
// slot's memory, allocate nothing, keep no globals and no static data, and never trap on data.
export { copyBits, hybridBegin, hybridBits, hybridValues, unpackBigEndian } from './parquet/hybrid';
export * from './parquet/blocks';
export * from './parquet/delta';
export * from './parquet/plain';
export * from './parquet/zstd';
export * from './parquet/snappy-compress';
