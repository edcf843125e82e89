/** What joins have in common: which rows come out alone, the condition beside equal keys, and when there is room to write. */
import { orderedPagesPerCall, pageCopiesMax } from '../../base/limits.ts';
import { type Projector, projector } from '../../compile/projector.ts';
import type { JoinType } from '../../plan/nodes.ts';
import type { JoinResidual } from '../../plan/physical.ts';
import type { OperatorState, OrderedTable } from '../../ports/state.ts';
import type { Batch } from '../../record/batch.ts';
import type { ByteSource } from '../../record/bytes.ts';
import type { Layout } from '../../record/layout.ts';
import type { OperatorContext } from '../operator.ts';
import { JoinRows, type SideLeaves } from './rows.ts';

/** What comes out of a side's rows alone: those without a match, those with one, none. By side. */
export const alone: { readonly [T in JoinType]: readonly [Alone, Alone] } = {
  inner: ['never', 'never'],
  left: ['unmatched', 'never'],
  right: ['never', 'unmatched'],
  full: ['unmatched', 'unmatched'],
  semi: ['matched', 'never'],
  anti: ['unmatched', 'never'],
};
export type Alone = 'never' | 'matched' | 'unmatched';

/** The condition beside equal keys, compiled, over one row of each side. */
export interface Residual {
  begin(batch: Batch, port: number): void;
  holds(row: number, kept: ByteSource): boolean;
}

export function residualOf(
  { condition, leaves }: JoinResidual,
  context: OperatorContext,
  sides: readonly [SideLeaves, SideLeaves],
): Residual {
  const layout: Layout = [0, 1].flatMap((side) => leaves[side]!.map((leaf) => context.inputs[side]![leaf]!));
  const rows = new JoinRows(layout, sides, 1, context);
  const filter: Projector = projector(condition, [], { ...context, input: layout, output: [] });
  return {
    begin: (batch, port) => rows.begin(batch, port),
    holds(row, kept) {
      rows.add(row, kept, 0);
      filter.begin(rows.take());
      const passed = filter.next() !== null;
      rows.reset();
      return passed;
    },
  };
}

/** While a snapshot is read, writes copy pages: a row must not run out of them in its middle, a step not copy very many. */
export function* waitForRoom(state: OperatorState, tables: readonly OrderedTable[]): Generator<void> {
  if (tables.reduce((copies, table) => copies + table.copies, 0) >= pageCopiesMax) {
    for (const table of tables) table.copies = 0;
    yield;
  }
  while (state.reading && state.freePages < pagesAhead) yield;
}

/** Pages that must be free before a row is begun while a snapshot is read. */
const pagesAhead = 4 * orderedPagesPerCall + pageCopiesMax;
