/** Every benchmark by name; later ones add theirs. */
import { exchange } from './exchange.ts';
import { filterProject } from './filter-project.ts';
import { groupBy } from './group-by.ts';
import type { Bench } from './harness.ts';
import { kernelExchange } from './kernel-exchange.ts';
import { kernelExpr } from './kernel-expr.ts';
import { kernelParquet } from './kernel-parquet.ts';
import { kernelState } from './kernel-state.ts';
import { scaling } from './scaling.ts';
import { windows } from './window.ts';

export const benches: readonly Bench[] = [
  groupBy,
  filterProject,
  windows,
  exchange,
  scaling,
  kernelState,
  kernelExchange,
  kernelExpr,
  kernelParquet,
];
