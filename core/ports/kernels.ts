/**
 * The fixed kernels as core sees them: the exports of the engine's .wasm, instantiated over one slot's memory. All
 * arguments are u32 addresses or counts in bytes/rows; i64 crosses as bigint. An address that comes back may be negative
 * in JavaScript: use `>>> 0`. A kernel never traps on data, allocates nothing and calls nothing.
 *
 * Row selection: where a kernel takes `rows` and `n`, it works on row `rows[k]` for k < n, or on row k when `rows` is 0.
 * Per-row results (hashes, entries) are written densely, at k. The families are declared beside their TypeScript owners
 * and joined here.
 */
import type { BoundKernels } from './kernels-bounds.ts';
import type { ColumnKernels } from './kernels-columns.ts';
import type { DecimalKernels } from './kernels-decimal.ts';
import type { ExchangeKernels } from './kernels-exchange.ts';
import type { GenerateKernels } from './kernels-generate.ts';
import type { HashKernels } from './kernels-hash.ts';
import type { JsonKernels } from './kernels-json.ts';
import type { OrderedKernels } from './kernels-ordered.ts';
import type { RowKernels } from './kernels-rows.ts';
import type { SortKernels } from './kernels-sort.ts';
import type { StateKernels } from './kernels-state.ts';
import type { StringKernels } from './kernels-string.ts';
import type { TimeKernels } from './kernels-time.ts';

export interface Kernels
  extends BoundKernels,
    ColumnKernels,
    DecimalKernels,
    HashKernels,
    JsonKernels,
    ExchangeKernels,
    GenerateKernels,
    StateKernels,
    OrderedKernels,
    RowKernels,
    SortKernels,
    StringKernels,
    TimeKernels {}
