/** What both kinds of top n share: what is asked for, and how results carry their rank. */
import { MillraceError } from '../../base/errors.ts';
import type { PhysicalNode } from '../../plan/physical.ts';
import { type Batch, batch as batchOf } from '../../record/batch.ts';
import { rowtimeName } from '../../record/layout.ts';
import type { OperatorContext } from '../operator.ts';

/** What is asked for, without how. */
export type Ranking = Omit<Extract<PhysicalNode, { kind: 'topN' }>, 'kind' | 'phase'>;

/** Codes of rank functions in kernels/assembly/sort.ts. */
export const rankCodes = { ROW_NUMBER: 0, RANK: 1, DENSE_RANK: 2 } as const;

/** `rows` with the BIGINTs at `ranks` as their last column (before `$rowtime`), where the operator's output has one. */
export function withRank(rows: Batch, context: OperatorContext, ranks: number): Batch {
  const layout = context.outputs[0] ?? [];
  if (layout.length === rows.layout.length) return rows;
  const at = rows.layout.at(-1)?.name === rowtimeName ? rows.layout.length - 1 : rows.layout.length;
  const rank = { validity: 0, values: ranks, dictionary: null };
  const columns = [...rows.columns.slice(0, at), rank, ...rows.columns.slice(at)];
  return batchOf(layout, rows.rowCount, columns, { kinds: rows.kinds });
}

/** The planner refuses updating input; a row that takes another away here would be a wrong result. */
export function refuseChanges(batch: Batch, operator: string): void {
  if (batch.kinds === 0) return;
  throw new MillraceError(
    'plan/changelog',
    'this operator takes rows that are only added, and its input changes rows; aggregate without early results, or rank final rows',
    { where: { operator } },
  );
}
