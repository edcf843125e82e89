/**
 * Operators that reduce their input do so twice when their rows must cross an exchange: once where the rows are, once
 * where they meet. Sorts, limits and rankings reduce (or at least order) on ended input; aggregates also per window.
 */
import type { Layout } from '../../record/layout.ts';
import type { PhysicalNode } from '../physical.ts';
import type { Rel } from '../rel.ts';

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
      if (!context.bounded) return null;
      return half({ ...node, phase: 'partial', rank: false }, { ...node, phase: 'final' }, input);
    default:
      return null;
  }
}
