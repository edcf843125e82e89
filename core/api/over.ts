/**
 * OVER as a person says it: what `.over(…)` takes, and how columns that ask for it become steps, one for each window, before
 * the projection that names them. Knows nothing of how it is computed.
 */
import { durationMs } from '../base/duration.ts';
import { MillraceError } from '../base/errors.ts';
import { mapOperands, type OverFrame, type UnboundExpr } from '../expr/tree.ts';
import type { OverNode } from '../plan/nodes.ts';
import { shown } from './checks.ts';

type NamedTree = { readonly name: string; readonly expr: UnboundExpr };
type OverContent = Omit<OverNode, 'id' | 'name' | 'callSite' | 'inputs'>;

/** What `.over(…)` was given. Errors: `option/invalid`. */
export function overOf(
  window: unknown,
  place: string,
): {
  readonly partitionBy: readonly unknown[];
  readonly orderBy: readonly unknown[];
  readonly frame: OverFrame;
  readonly made: readonly unknown[];
} {
  const wrong = (what: string): never => {
    throw new MillraceError('option/invalid', `${place} ${what}`);
  };
  if (typeof window !== 'object' || window === null || Array.isArray(window))
    wrong(`takes { partitionBy, orderBy, rows or range }, not ${shown(window)}`);
  const { partitionBy = [], orderBy = [], rows, range, ...others } = window as Record<string, unknown>;
  const [other] = Object.keys(others);
  if (other !== undefined) wrong(`knows no '${other}'; it takes partitionBy, orderBy, and rows or range`);
  if (rows !== undefined && range !== undefined) wrong('takes rows or range, not both');
  const list = (of: unknown): readonly unknown[] => (Array.isArray(of) ? of : [of]);
  const [partition, order] = [list(partitionBy), list(orderBy)];
  return { partitionBy: partition, orderBy: order, frame: frameOf(rows, range, wrong), made: [...partition, ...order] };
}

/** As SQL has it: without either, the range of all before. */
function frameOf(rows: unknown, range: unknown, wrong: (what: string) => never): OverFrame {
  if (range !== undefined) {
    if (typeof range !== 'string') return wrong(`takes a range such as '1 hour', not ${shown(range)}`);
    return { unit: 'range', preceding: durationMs(range) };
  }
  if (rows === undefined) return { unit: 'range', preceding: null };
  if (!Array.isArray(rows) || rows.length !== 2)
    return wrong(`takes rows as [from, to], such as [-9, 0], not ${shown(rows)}`);
  const [from, to] = rows as unknown[];
  if (to !== 0)
    return wrong(`takes rows up to the row itself: [${String(from)}, 0], not [${String(from)}, ${String(to)}]`);
  if (from === Number.NEGATIVE_INFINITY) return { unit: 'rows', preceding: null };
  if (!Number.isSafeInteger(from) || (from as number) > 0)
    return wrong(`takes rows from so many before: [-9, 0], or [-Infinity, 0], not [${String(from)}, 0]`);
  return { unit: 'rows', preceding: -(from as number) + 0 };
}

/** Columns without the windows they ask for, which are steps before them, and the columns that those make. */
export function splitOvers(columns: readonly NamedTree[]): {
  readonly overs: readonly OverContent[];
  readonly columns: readonly NamedTree[];
  readonly made: readonly string[];
} {
  const windows = new Map<string, { readonly content: OverContent; readonly columns: NamedTree[] }>();
  const names = new Map<string, string>();
  const columnOf = (expr: Extract<UnboundExpr, { kind: 'over' }>): UnboundExpr => {
    const { of, partitionBy, orderBy, frame } = expr;
    const key = JSON.stringify([partitionBy, orderBy, frame]);
    const known = windows.get(key) ?? {
      content: { kind: 'over', partitionBy, orderBy, frame, columns: [] },
      columns: [],
    };
    windows.set(key, known);
    const call = `${key} ${JSON.stringify(of)}`;
    const name = names.get(call) ?? `$over${names.size}`;
    if (!names.has(call)) known.columns.push({ name, expr: of });
    names.set(call, name);
    return { kind: 'column', path: [name] };
  };
  const split = columns.map(({ name, expr }) => ({ name, expr: withoutOvers(expr, columnOf) }));
  const overs = [...windows.values()].map(({ content, columns: made }) => ({ ...content, columns: made }));
  return { overs, columns: split, made: [...names.values()] };
}

function withoutOvers(
  expr: UnboundExpr,
  columnOf: (expr: Extract<UnboundExpr, { kind: 'over' }>) => UnboundExpr,
): UnboundExpr {
  if (expr.kind === 'over') return columnOf(expr);
  return mapOperands(expr, (operand) => withoutOvers(operand, columnOf));
}
