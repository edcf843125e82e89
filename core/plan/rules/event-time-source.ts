/**
 * Watermarks are made in the source where only projections and filters lie between: per split, with what is known of
 * splits nobody has read. Where rows without a time may have been filtered out first, the operator stays.
 */
import type { WatermarkSpec } from '../physical.ts';
import { type RelPlan, type RelRef, rewrite } from '../rel.ts';

export function eventTimeSource(plan: RelPlan): RelPlan {
  /** By source: what it will make. The first one decides; others keep their operator. */
  const made = new Map<number, WatermarkSpec>();
  const gone = new Set<number>();
  plan.rels.forEach((rel, index) => {
    if (rel.node.kind !== 'watermark') return;
    const { watermark } = rel.node;
    const origin = originOf(plan, rel.inputs[0]!, watermark.column);
    if (origin === null) return;
    const spec = { ...watermark, column: origin.leaf };
    const source = plan.rels[origin.source]!.node;
    const own = made.get(origin.source) ?? (source.kind === 'source' ? source.watermark : null);
    if (own && JSON.stringify(own) !== JSON.stringify(spec)) return;
    made.set(origin.source, spec);
    gone.add(index);
  });
  if (gone.size === 0) return plan;
  return rewrite(plan, (rel, builder, index) => {
    if (gone.has(index)) return rel.inputs[0]!;
    const watermark = made.get(index);
    if (rel.node.kind !== 'source' || !watermark) return builder.add(rel);
    const { request } = rel.node;
    const timeColumn = request.layout[watermark.column]!.name;
    return builder.add({ ...rel, node: { ...rel.node, watermark, request: { ...request, timeColumn } } });
  });
}

/** The source leaf that is read as event time; null where something else lies between. */
function originOf(plan: RelPlan, from: RelRef, leaf: number): { source: number; leaf: number } | null {
  let at = from;
  let column = leaf;
  let filtered = false;
  for (;;) {
    const { node, inputs } = plan.rels[at.rel]!;
    if (node.kind === 'source') {
      return filtered && node.request.layout[column]!.nullable ? null : { source: at.rel, leaf: column };
    }
    if (node.kind !== 'project') return null;
    filtered ||= node.filter !== null;
    const expr = node.columns[column]!;
    const time = expr.kind === 'cast' && expr.type.kind === 'TIMESTAMP' ? expr.arg : expr;
    if (time.kind !== 'column' || time.type.kind !== 'TIMESTAMP') return null;
    column = time.index;
    at = inputs[0]!;
  }
}
