/**
 * What is known of rows to come, and of rows that have something in common, from the sources down (docs/join-state.md): which
 * times lie behind event time, which columns never repeat, and which follow from others.
 */
import type { Expr } from '../../expr/tree.ts';
import { rowtimeIndex } from '../columns.ts';
import { timeColumn, timeColumns } from '../event-time.ts';
import { conjunctsOf } from '../expressions.ts';
import type { Rel, RelPlan } from '../rel.ts';

/** What is known of an operator's rows. */
export interface Facts {
  /** By TIMESTAMP leaf: in whole milliseconds it is not before the row's event time plus this; behind a join, not before that of rows to come. */
  readonly times: ReadonlyMap<number, number>;
  /** Leaves whose values, together, no two rows share, ever; null: none known. */
  readonly never: readonly number[] | null;
  /** No row is late: when event time has passed one of `times`, no row with that time comes any more. Absent: late ones may. */
  readonly prompt?: true;
  /** Rows that are equal in a key (any of some leaves for each part of it) are equal in other leaves. */
  readonly fixed?: { readonly key: readonly (readonly number[])[]; readonly leaves: ReadonlySet<number> };
}
/** An inner join whose rows wait for one another, and which of them meet is said by keys and the filter behind it alone. */
export function isPlainInner(node: Rel['node']): node is JoinRel {
  if (node.kind !== 'join' || node.type !== 'inner') return false;
  return node.residual === null && !node.windowEnd && !node.lookup && !node.asOf;
}
export const nothing: Facts = { times: new Map(), never: null };

/** By rel: of its rows, and, of a projection, of those of its input that its filter lets through. */
export function factsOf(plan: RelPlan): { readonly behind: readonly Facts[]; readonly within: readonly Facts[] } {
  const behind: Facts[] = [];
  const within: Facts[] = [];
  for (const rel of plan.rels) {
    const inputs = rel.inputs.map((ref) => (ref.port === 0 ? behind[ref.rel]! : nothing));
    const above = rel.inputs[0] && plan.rels[rel.inputs[0].rel]!;
    const filtered =
      rel.node.kind === 'project' && above?.node.kind === 'join' && rel.inputs[0]!.port === 0
        ? behindJoin(
            above.node,
            rel.node.filter,
            above.inputs.map((ref) => (ref.port === 0 ? behind[ref.rel]! : nothing)),
          )
        : (inputs[0] ?? nothing);
    within.push(filtered);
    const facts = factsOfRel(plan, rel, rel.node.kind === 'project' ? [filtered] : inputs);
    // Whatever lies between: it is the row's event time.
    const time = rowtimeIndex(rel.outputs[0]!);
    behind.push(time === null ? facts : { ...facts, times: new Map([...facts.times, [time, 0]]) });
  }
  return { behind, within };
}

type JoinRel = Extract<Rel['node'], { kind: 'join' }>;

/**
 * Rows of a join that passed the filter behind it, by its leaves. A time x of one side lies behind event time where a time y of the
 * other, which does in its own rows, is not above it, and rows of x's side that come are no way around that: a time of theirs
 * that lies behind event time is not above y, or x is one itself. Late rows of both sides are left out.
 */
function behindJoin({ bounds, output, keys }: JoinRel, filter: Expr | null, sides: readonly Facts[]): Facts {
  if (!bounds) return nothing;
  const first = output[0].length;
  const sideOf = (leaf: number): 0 | 1 => (leaf < first ? 0 : 1);
  const placeOf = (side: number, leaf: number): number => {
    const at = output[side]!.indexOf(leaf);
    return at < 0 ? -1 : at + (side === 0 ? 0 : first);
  };
  const ownTime = (leaf: number): number | undefined => {
    const side = sideOf(leaf);
    return bounds.late[side] ? sides[side]!.times.get(output[side]![leaf - (side === 0 ? 0 : first)]!) : undefined;
  };
  const ordered: (readonly [number, number])[] = [];
  for (const condition of conjunctsOf(filter)) {
    if (condition.kind !== 'call' || condition.args.length !== 2) continue;
    const [a, b] = condition.args.map(timeColumn) as [number | null, number | null];
    if (a === null || b === null || sideOf(a) === sideOf(b)) continue;
    if (['lt', 'lte', 'eq'].includes(condition.fn)) ordered.push([a, b]);
    if (['gt', 'gte', 'eq'].includes(condition.fn)) ordered.push([b, a]);
  }
  const times = new Map<number, number>();
  for (const [y, x] of ordered) {
    const its = ownTime(y);
    if (its === undefined || !bounds.late[sideOf(x)]) continue;
    const below = ordered.filter(([, high]) => high === y).map(([low]) => ownTime(low));
    const own = Math.max(...[ownTime(x), ...below].map((shift) => shift ?? Number.NEGATIVE_INFINITY));
    if (own === Number.NEGATIVE_INFINITY) continue;
    times.set(x, Math.max(times.get(x) ?? Number.NEGATIVE_INFINITY, Math.min(its, own)));
  }
  const side = bounds.once[0] ? 0 : 1;
  const { never } = sides[side]!;
  if (!bounds.once[side] || never === null) return { times, never: null, prompt: true };
  // A part of the key is also what it is equal to.
  const key = never.map((leaf) => {
    const at = keys[side]!.indexOf(leaf);
    return [placeOf(side, leaf), placeOf(1 - side, keys[1 - side]![at]!)].filter((place) => place >= 0);
  });
  const leaves = new Set(output[side]!.map((_, i) => i + (side === 0 ? 0 : first)));
  return { times, never: null, prompt: true, fixed: { key, leaves } };
}

function factsOfRel(plan: RelPlan, { node, inputs: refs, outputs }: Rel, inputs: readonly Facts[]): Facts {
  const [input = nothing] = inputs;
  switch (node.kind) {
    case 'source':
      return { times: new Map(), never: node.neverRepeats ?? null };
    case 'dynamicFilter':
      return input;
    case 'watermark':
      return {
        never: input.never,
        times: new Map([...timeColumns(plan, refs[0]!, node.watermark.column)].map((leaf) => [leaf, 0])),
      };
    case 'project':
      return projected(node.columns, input);
    case 'union': {
      const times = new Map<number, number>();
      for (const [leaf, plusMs] of input.times) {
        const each = inputs.map((one) => one.times.get(leaf));
        if (!each.includes(undefined)) times.set(leaf, Math.min(plusMs, ...(each as number[])));
      }
      return { times, never: null, ...(inputs.every(({ prompt }) => prompt) ? { prompt: true as const } : {}) };
    }
    case 'aggregate': {
      // A window's row has the last millisecond of the window as its event time.
      const { window, keys, allowedLatenessMs } = node;
      const time = rowtimeIndex(outputs[0]!);
      if (!window || allowedLatenessMs > 0 || time === null || window.kind === 'session') return nothing;
      return {
        times: new Map([
          [keys.length, 1 - window.sizeMs],
          [keys.length + 1, 1],
          [time, 0],
        ]),
        never: null,
        prompt: true,
      };
    }
    default:
      return nothing;
  }
}

function projected(columns: readonly Expr[], input: Facts): Facts {
  const times = new Map<number, number>();
  const places = new Map<number, number[]>();
  columns.forEach((expr, i) => {
    const from = timeColumn(expr);
    const known = from === null ? undefined : input.times.get(from);
    if (known !== undefined) times.set(i, known);
    if (expr.kind === 'column') places.set(expr.index, [...(places.get(expr.index) ?? []), i]);
  });
  const never = input.never?.every((leaf) => places.has(leaf))
    ? input.never.map((leaf) => places.get(leaf)![0]!)
    : null;
  const known = { times, never, ...(input.prompt ? { prompt: true as const } : {}) };
  if (!input.fixed) return known;
  const key = input.fixed.key.map((leaves) => leaves.flatMap((leaf) => places.get(leaf) ?? []));
  const leaves = new Set([...input.fixed.leaves].flatMap((leaf) => places.get(leaf) ?? []));
  return { ...known, ...(key.every((part) => part.length > 0) ? { fixed: { key, leaves } } : {}) };
}
