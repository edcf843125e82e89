/**
 * Operators that reduce their input do so twice when their rows must cross an exchange: once where the rows are, once
 * where they meet. Sorts, limits and rankings reduce (or at least order) on ended input; aggregates also per window.
 */
import { partialLayout } from '../../compile/accumulators.ts';
import type { Layout, LayoutColumn } from '../../record/layout.ts';
import type { PhysicalNode } from '../physical.ts';
import type { Rel } from '../rel.ts';

/** Between the halves of a windowed aggregate: the end of the slice that a partial result is of, in milliseconds. */
const sliceEnd: LayoutColumn = { name: '$slice', type: { kind: 'BIGINT' }, nullable: false, storage: 'i64' };

type Placeable = Rel & { readonly node: PhysicalNode };

export interface SplitContext {
  readonly bounded: boolean;
  /** Somebody reads the late rows: they must leave as they came, so nothing may be reduced before. */
  readonly sideUsed: boolean;
}

/** Null: nothing is gained, or nothing may be split. The final half keeps the identity of the operator. */
export function splitPhases(
  rel: Placeable,
  input: Layout,
  context: SplitContext,
): { partial: Placeable; final: Placeable } | null {
  const { node } = rel;
  const half = (
    partial: PhysicalNode,
    final: PhysicalNode,
    between: Layout,
  ): { partial: Placeable; final: Placeable } => ({
    partial: { ...rel, node: partial, outputs: [between], role: 'partial' },
    final: { ...rel, node: final },
  });
  switch (node.kind) {
    case 'sort':
    case 'limit':
      return half({ ...node, phase: 'partial' }, { ...node, phase: 'final' }, input);
    case 'topN':
      // On unbounded input the ranking changes, and a ranking cannot take changes.
      if (!context.bounded || node.keep) return null;
      return half({ ...node, phase: 'partial', rank: false }, { ...node, phase: 'final' }, input);
    case 'aggregate': {
      // Without a window an unbounded aggregate corrects its results row by row; holding rows back would only delay that.
      if (context.sideUsed || !(context.bounded || node.window)) return null;
      // Where a session ends depends on rows that are elsewhere; when a row arrives is said where it is kept.
      if (node.window?.kind === 'session' || node.window?.time === 'processing') return null;
      // Which values a group has had is known where all its rows meet.
      if (node.calls.some((call) => call.distinct)) return null;
      const keys = node.keys.map((key) => input[key]!);
      const between = [...keys, ...(node.window ? [sliceEnd] : []), ...partialLayout(node.calls)];
      const final = {
        ...node,
        phase: 'final',
        keys: keys.map((_, i) => i),
        time: node.window ? keys.length : null,
      } as const;
      const { partial, final: last } = half({ ...node, phase: 'partial' }, final, between);
      // What came late is known only where partial results meet, and they are not rows as they came.
      return { partial, final: { ...last, outputs: rel.outputs.slice(0, 1) } };
    }
    default:
      return null;
  }
}
