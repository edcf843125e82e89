/**
 * Runs a physical plan over plain rows in the plainest way, subtask by subtask, on ended input: what the plan itself
 * means, whatever the operators of the engine do. Against `reference` it shows that planning keeps the meaning.
 */
import { accumulatorLayout } from '../../core/compile/accumulators.ts';
import { interpret } from '../../core/expr/interpret.ts';
import type { Value } from '../../core/expr/value.ts';
import { rowtimeIndex } from '../../core/plan/columns.ts';
import type { ChainOperator, PhysicalNode, PhysicalPlan, SortKey } from '../../core/plan/physical.ts';
import type { DataType } from '../../core/record/types.ts';
import {
  compareValues,
  keyText,
  type Row,
  rowObject,
  rowValues,
  sessionsOf,
  windowStarts,
} from '../support/reference.ts';

type Of<K extends PhysicalNode['kind']> = Extract<PhysicalNode, { kind: K }>;
type Functions = ReadonlyMap<string, (row: never) => unknown>;

/** `rowsOf` gives a source's rows by the columns asked for. Answers rows by output name. */
export function interpretPhysical(
  plan: PhysicalPlan,
  rowsOf: (node: Of<'source'>, operator: ChainOperator) => readonly Row[],
  functions: Functions,
): Map<string, Row[]> {
  const outputs = new Map<string, Row[]>();
  /** By edge, then by subtask of the consumer. */
  const arrived = plan.edges.map((edge) =>
    Array.from({ length: plan.chains[edge.to.chain]!.parallelism }, (): Row[] => []),
  );
  for (const chain of plan.chains) {
    for (let subtask = 0; subtask < chain.parallelism; subtask++) {
      const inputs: Row[][] = chain.operators.map(() => []);
      inputs[0] = chain.inputs.flat().flatMap((edge) => arrived[edge]![subtask]!);
      chain.operators.forEach((operator, index) => {
        const { node } = operator;
        let made: readonly Row[];
        if (node.kind === 'source') made = rowsOf(node, operator).filter((_, i) => i % chain.parallelism === subtask);
        else if (node.kind === 'sink') {
          outputs.set(node.output, [...(outputs.get(node.output) ?? []), ...inputs[index]!]);
          return;
        } else if (node.kind === 'join')
          made = joined(
            node,
            chain.inputs.map((edges) => edges.flatMap((edge) => arrived[edge]![subtask]!)),
          );
        else made = evaluate(operator, inputs[index]!, functions, chain.parallelism === 1 || subtask === 0);
        for (const target of operator.targets[0]!) {
          if (target.kind === 'operator') inputs[target.index]!.push(...made);
          else send(plan, target.edge, made, subtask, arrived[target.edge]!);
        }
      });
    }
  }
  return outputs;
}

function send(plan: PhysicalPlan, edgeId: number, rows: readonly Row[], subtask: number, to: Row[][]): void {
  const { exchange } = plan.edges[edgeId]!;
  rows.forEach((row, i) => {
    switch (exchange.kind) {
      case 'forward':
        to[subtask]!.push(row);
        break;
      case 'broadcast':
        for (const inbox of to) inbox.push(row);
        break;
      case 'rebalance':
        to[(subtask + i) % to.length]!.push(row);
        break;
      case 'hash': {
        let hash = 7;
        for (const char of keyText(exchange.keys.map((key) => row[key]!)))
          hash = (hash * 31 + char.codePointAt(0)!) >>> 0;
        to[hash % to.length]!.push(row);
      }
    }
  });
}

function evaluate(operator: ChainOperator, rows: readonly Row[], functions: Functions, first: boolean): readonly Row[] {
  const { node } = operator;
  switch (node.kind) {
    // Whatever it lets go of can be in no result.
    case 'dynamicFilter':
    case 'watermark':
      return rows;
    case 'project': {
      const filter = node.filter && interpret(node.filter);
      const columns = node.columns.map(interpret);
      return rows.filter((row) => !filter || filter(row) === true).map((row) => columns.map((column) => column(row)));
    }
    case 'map': {
      const call = functions.get(node.functionId)!;
      const time = (row: Row): Row => (node.rowtime === null ? [] : [row[node.rowtime]!]);
      return rows.flatMap((row): Row[] => {
        const result = call(rowObject(row, node.input) as never);
        const results = node.style === 'flatMap' ? [...(result as Iterable<object>)] : [result as object];
        return results.map((object) => [...rowValues(object as Record<string, unknown>, node.output), ...time(row)]);
      });
    }
    case 'aggregate':
      return aggregate(node, rows, first);
    // On ended input every result is final.
    case 'toChangelog': {
      const end = operator.outputs[0]!.length - (rowtimeIndex(operator.outputs[0]!) === null ? 1 : 2);
      return rows.map((row) => [...row.slice(0, end), '+I', ...row.slice(end)]);
    }
    case 'fromChangelog': {
      const last = new Map<string, Row>();
      for (const row of rows) last.set(keyText(node.keys.map((key) => row[key]!)), row);
      return [...last.values()].flatMap((row) => (String(row.at(-1)).startsWith('+') ? [row.slice(0, -1)] : []));
    }
    case 'sort':
      return sorted(rows, node.by).slice(0, node.limit ?? rows.length);
    case 'limit':
      return rows.slice(0, node.rows);
    case 'topN':
      return topN(node, rows, rowtimeIndex(operator.outputs[0]!) !== null);
    default:
      throw new Error(`${node.kind} in the middle of a chain`);
  }
}

/** A join begins its chain: each port has edges of its own. */
function joined({ type, keys, output, residual }: Of<'join'>, [left, right]: readonly (readonly Row[])[]): Row[] {
  const holds = residual && interpret(residual.condition);
  const pick = (row: Row, leaves: readonly number[]): Row => leaves.map((leaf) => row[leaf]!);
  const equal = (a: Value, b: Value): boolean =>
    a !== null && b !== null && compareValues(a, b) === 0 && !Number.isNaN(a);
  const matches = (l: Row, r: Row): boolean =>
    keys[0].every((key, i) => equal(l[key]!, r[keys[1][i]!]!)) &&
    (holds === null || holds([...pick(l, residual!.leaves[0]), ...pick(r, residual!.leaves[1])]) === true);
  const nothing = output.map((leaves): Row => leaves.map(() => null));
  // By place: one row may be there twice.
  const unmet = new Set(right!.keys());
  const result: Row[] = [];
  for (const l of left!) {
    const met: Row[] = [];
    for (const [at, r] of right!.entries()) {
      if (!matches(l, r)) continue;
      met.push(r);
      unmet.delete(at);
    }
    if (type === 'semi' || type === 'anti') {
      if (met.length > 0 === (type === 'semi')) result.push(pick(l, output[0]));
      continue;
    }
    result.push(...met.map((r): Row => [...pick(l, output[0]), ...pick(r, output[1])]));
    if (met.length === 0 && (type === 'left' || type === 'full')) result.push([...pick(l, output[0]), ...nothing[1]!]);
  }
  if (type !== 'right' && type !== 'full') return result;
  return [...result, ...[...unmet].map((at): Row => [...nothing[0]!, ...pick(right![at]!, output[1])])];
}

function sorted(rows: readonly Row[], by: readonly SortKey[]): Row[] {
  return [...rows].sort((a, b) => {
    for (const { column, descending } of by) {
      const order = compareValues(a[column]!, b[column]!);
      if (order !== 0) return descending ? -order : order;
    }
    return 0;
  });
}

function grouped(rows: readonly Row[], key: (row: Row) => Row): Row[][] {
  const groups = new Map<string, Row[]>();
  for (const row of rows) groups.set(keyText(key(row)), [...(groups.get(keyText(key(row))) ?? []), row]);
  return [...groups.values()];
}

function topN(node: Of<'topN'>, rows: readonly Row[], timed: boolean): Row[] {
  return grouped(rows, (row) => node.partitionBy.map((leaf) => row[leaf]!)).flatMap((group) => {
    const order = sorted(group, node.by);
    const kept: Row[] = [];
    let rank = 0;
    let dense = 0;
    order.forEach((row, i) => {
      const tied = i > 0 && node.by.every(({ column }) => compareValues(row[column]!, order[i - 1]![column]!) === 0);
      if (!tied) {
        rank = i + 1;
        dense++;
      }
      const own = node.using === 'ROW_NUMBER' ? i + 1 : node.using === 'RANK' ? rank : dense;
      if (own > node.n) return;
      const end = timed ? row.length - 1 : row.length;
      kept.push(node.rank ? [...row.slice(0, end), BigInt(own), ...row.slice(end)] : row);
    });
    return kept;
  });
}

function aggregate(node: Of<'aggregate'>, rows: readonly Row[], first: boolean): Row[] {
  const layout = accumulatorLayout(node.calls);
  const { window } = node;
  const keyOf = (row: Row): Row => node.keys.map((key) => row[key]!);
  const sessions =
    window?.kind === 'session'
      ? sessionsOf(
          rows,
          (row) => keyText(keyOf(row)),
          (row) => row[node.time!] as bigint,
          window,
        )
      : null;
  // Every row as its key, its window (or slice), and its accumulators.
  type Partial = { key: Row; end: bigint | null; fields: Row };
  const partials = rows.flatMap((row): Partial[] => {
    const fields =
      node.phase === 'final'
        ? row.slice(node.keys.length + (window ? 1 : 0))
        : layout.fields.map((field) => {
            if (field.filter !== null && row[field.filter] !== true) return field.kind === 'count' ? 0n : null;
            if (field.kind === 'count') return field.arg === null || row[field.arg] !== null ? 1n : 0n;
            const value = row[field.arg!]!;
            return field.kind === 'sum' && typeof value === 'number' && field.type.kind === 'INT'
              ? BigInt(value)
              : value;
          });
    const key = keyOf(row);
    if (!window) return [{ key, end: null, fields }];
    const time = row[node.time!] as bigint;
    if (sessions) {
      const [start, end] = sessions.get(row)!;
      return [{ key: [...key, start], end, fields }];
    }
    if (window.kind === 'session') throw new Error('a session is not split');
    if (node.phase === 'partial') {
      const slice = window.kind === 'tumble' ? window.sizeMs : greatestDivisor(window.sizeMs, window.slideMs);
      const [start] = windowStarts(time, { kind: 'tumble', sizeMs: slice, offsetMs: window.offsetMs });
      return [{ key, end: start! + BigInt(slice), fields }];
    }
    const inside = node.phase === 'final' ? time - 1n : time;
    return windowStarts(inside, window).map((start) => ({ key, end: start + BigInt(window.sizeMs), fields }));
  });
  const groups = new Map<string, Partial>();
  for (const partial of partials) {
    const text = keyText([...partial.key, partial.end]);
    const known = groups.get(text);
    groups.set(
      text,
      known
        ? {
            ...known,
            fields: known.fields.map((value, i) => merged(layout.fields[i]!.kind, value, partial.fields[i]!)),
          }
        : partial,
    );
  }
  // A group of all rows is there even if no row is; its empty accumulators are nothing yet.
  if (node.keys.length === 0 && !window && groups.size === 0 && first)
    groups.set('', { key: [], end: null, fields: layout.fields.map((f) => (f.kind === 'count' ? 0n : null)) });
  return [...groups.values()].map(({ key, end, fields }): Row => {
    // A sum of nothing is 0 in an accumulator; whether it counts, the count says.
    if (node.phase === 'partial')
      return [
        ...key,
        ...(end === null ? [] : [end]),
        ...fields.map((value, i) =>
          layout.fields[i]!.kind === 'sum' && value === null ? zeroOf(layout.fields[i]!.type) : value,
        ),
      ];
    const results = node.calls.map((call, i): Value => {
      const { count, value } = layout.calls[i]!;
      if (call.fn === 'count') return fields[count]!;
      if (fields[count] === 0n) return null;
      return call.fn === 'avg' ? Number(fields[value]) / Number(fields[count]) : fields[value]!;
    });
    if (end === null || !window) return [...key, ...results];
    if (window.kind === 'session') return [...key, end, ...results, end - 1n];
    return [...key, end - BigInt(window.sizeMs), end, ...results, end - 1n];
  });
}

function zeroOf(type: DataType): Value {
  return type.kind === 'DOUBLE' ? 0 : 0n;
}

function merged(kind: string, a: Value, b: Value): Value {
  if (a === null || b === null) return a === null ? b : a;
  if (kind === 'count' || kind === 'sum')
    return typeof a === 'bigint' ? a + (b as bigint) : (a as number) + (b as number);
  const order = compareValues(a, b);
  return (kind === 'min') === order <= 0 ? a : b;
}

function greatestDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestDivisor(b, a % b);
}
