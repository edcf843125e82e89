/** The laws of every physical plan; a list of what is broken. */
import type { Expr } from '../../core/expr/tree.ts';
import { rowtimeIndex } from '../../core/plan/columns.ts';
import { columnsOf } from '../../core/plan/expressions.ts';
import type { Chain, ChainOperator, PhysicalPlan } from '../../core/plan/physical.ts';
import type { SourceInfo } from '../../core/ports/connector.ts';
import { type Layout, layoutOf, storageOf } from '../../core/record/layout.ts';
import { typeName } from '../../core/record/types.ts';

export function brokenLaws(
  plan: PhysicalPlan,
  parallelism: number,
  _sources?: ReadonlyMap<string, SourceInfo>,
): string[] {
  const broken: string[] = [];
  const law = (holds: boolean, what: string): void => {
    if (!holds) broken.push(what);
  };
  const ids = plan.chains.flatMap((chain) => chain.operators.map((operator) => operator.id));
  law(new Set(ids).size === ids.length, `operator ids repeat: ${ids}`);

  for (const edge of plan.edges) {
    const at = `edge ${edge.id}`;
    law(plan.edges[edge.id] === edge, `${at} is not at its place`);
    const from = plan.chains[edge.from.chain]?.operators[edge.from.operator];
    const to = plan.chains[edge.to.chain];
    law(from !== undefined && to !== undefined, `${at} leads nowhere`);
    if (!from || !to) continue;
    law(edge.to.chain > edge.from.chain, `${at} goes back to an earlier chain`);
    law(sameLayout(from.outputs[edge.from.port]!, edge.layout), `${at} has another layout than its producer`);
    law(
      from.targets[edge.from.port]!.some((t) => t.kind === 'edge' && t.edge === edge.id),
      `${at} is no target of its producer`,
    );
    law(to.inputs[edge.to.port]?.includes(edge.id) ?? false, `${at} is no input of its consumer`);
    const keys = edge.exchange.kind === 'hash' ? edge.exchange.keys : [];
    law(
      keys.every((key) => key < edge.layout.length),
      `${at} hashes a column that is not there`,
    );
    const producers = plan.chains[edge.from.chain]!;
    if (edge.exchange.kind === 'forward')
      law(
        producers.parallelism === to.parallelism && producers.place === to.place,
        `${at} forwards to another number of subtasks`,
      );
    if (edge.exchange.kind === 'hash') law(keys.length > 0 && to.parallelism > 1, `${at} hashes for nothing`);
  }
  for (const chain of plan.chains) {
    law(plan.chains[chain.id] === chain, `chain ${chain.id} is not at its place`);
    law(
      chain.parallelism >= 1 && chain.parallelism <= parallelism,
      `chain ${chain.id} has ${chain.parallelism} subtasks`,
    );
    law(
      chain.place === 'slots' || chain.parallelism === 1,
      `chain ${chain.id} is on the caller's thread more than once`,
    );
    law(
      chain.inputs.length === 0 ? chain.operators[0]!.node.kind === 'source' : chain.inputs[0]!.length > 0,
      `chain ${chain.id} has no input`,
    );
    law(
      chain.inputs.every((ids) => ids.every((id) => sameLayout(plan.edges[id]!.layout, plan.edges[ids[0]!]!.layout))),
      `chain ${chain.id} gets rows of different layouts on one port`,
    );
    chain.operators.forEach((operator, index) => {
      broken.push(...brokenOperator(plan, chain, operator, index));
    });
  }
  return broken;
}

function brokenOperator(plan: PhysicalPlan, chain: Chain, operator: ChainOperator, index: number): string[] {
  const broken: string[] = [];
  const at = `operator ${index} (${operator.node.kind}, ${operator.name}) of chain ${chain.id}`;
  const law = (holds: boolean, what: string): void => {
    if (!holds) broken.push(`${at}: ${what}`);
  };
  const producers = chain.operators.flatMap((producer, i) =>
    producer.targets.flatMap((targets, port) =>
      targets
        .filter((t) => t.kind === 'operator' && t.index === index)
        .map(() => ({ producer: i, layout: producer.outputs[port]! })),
    ),
  );
  law(index === 0 ? producers.length === 0 : producers.length === 1, `has ${producers.length} producers in its chain`);
  law(
    producers.every((p) => p.producer < index),
    'stands before its producer',
  );
  const input: Layout =
    index === 0
      ? chain.inputs[0]?.[0] === undefined
        ? []
        : plan.edges[chain.inputs[0][0]]!.layout
      : (producers[0]?.layout ?? []);
  const output = operator.outputs[0]!;
  law(operator.targets.length === operator.outputs.length, 'has not a list of targets for each output');
  law(
    operator.node.kind === 'sink' || operator.targets[0]!.length + (operator.targets[1]?.length ?? 0) > 0,
    'its rows go nowhere',
  );
  for (const layout of operator.outputs) {
    law(layout.length > 0, 'gives rows without columns');
    law(
      layout.every((leaf) => leaf.storage === storageOf(leaf.type)),
      'a column has the storage of another type',
    );
    law(
      new Set(layout.map((leaf) => leaf.name)).size === layout.length,
      `names of columns repeat: ${layout.map((leaf) => leaf.name)}`,
    );
    law(
      layout.findIndex((leaf) => leaf.name === '$rowtime') === (rowtimeIndex(layout) ?? -1),
      'event time is not its last column',
    );
  }
  const inside = (leaf: number): boolean => Number.isInteger(leaf) && leaf >= 0 && leaf < input.length;
  const { node } = operator;
  switch (node.kind) {
    case 'source':
      law(sameLayout(node.request.layout, output), 'gives other columns than it reads');
      law(
        node.watermark === null || output[node.watermark.column]?.type.kind === 'TIMESTAMP',
        'event time is no TIMESTAMP',
      );
      law((node.watermark === null) === (node.request.timeColumn === null), 'the reader is not told of the event time');
      break;
    case 'watermark':
      law(inside(node.watermark.column), 'event time is not there');
      law(sameLayout(input, output), 'changes columns');
      break;
    case 'dynamicFilter':
      law([...node.keys, node.call.arg ?? -1, node.time].every(inside), 'reads a column that is not there');
      law(sameLayout(input, output), 'changes columns');
      break;
    case 'project':
      law(node.columns.length === output.length, 'has not an expression for each column');
      law([...columnsOf(node.filter, ...node.columns)].every(inside), 'reads a column that is not there');
      law(
        node.columns.every((c, i) => typeName(c.type) === typeName(output[i]!.type) || bothTimes(c, output[i]!.type)),
        'gives another type than it says',
      );
      law(
        [node.filter, ...node.columns].every((expr) => expr === null || typesAgree(expr, input)),
        'a column has another type than where it comes from',
      );
      break;
    case 'map':
      law(
        sameLayout(layoutOf(node.input), input.slice(0, rowtimeIndex(input) ?? input.length)),
        'the function sees other columns',
      );
      law(
        sameLayout(layoutOf(node.output), output.slice(0, rowtimeIndex(output) ?? output.length)),
        'the function gives other columns',
      );
      law((node.rowtime === null) === (rowtimeIndex(output) === null), 'event time is lost or made up');
      law(node.rowtime === null || node.rowtime === rowtimeIndex(input), 'event time is not there');
      break;
    case 'aggregate': {
      const reads = [...node.keys, ...(node.time === null ? [] : [node.time])];
      const calls =
        node.phase === 'final'
          ? []
          : node.calls.flatMap((call) => [call.arg, call.filter]).filter((leaf) => leaf !== null);
      law([...reads, ...calls].every(inside), 'reads a column that is not there');
      law((node.window === null) === (node.time === null), 'window and time do not go together');
      if (node.phase !== 'partial') {
        law(
          output.length === node.keys.length + (node.window ? 3 : 0) + node.calls.length,
          'gives other columns than keys and calls',
        );
        law(
          operator.outputs.length > 1 === (node.window !== null && node.phase === 'single'),
          'has other side outputs than late rows',
        );
        if (operator.outputs.length > 1)
          law(sameLayout(operator.outputs[1]!, input), 'late rows do not leave as they came');
        law(isHashed(plan, chain, index, node.keys), 'equal keys may be in two subtasks');
      }
      break;
    }
    case 'join': {
      law(index === 0 && chain.inputs.length === 2, 'has not two inputs of its own');
      for (const side of [0, 1] as const) {
        const layout = plan.edges[chain.inputs[side]![0]!]!.layout;
        const reads = [...node.keys[side], ...node.output[side], ...(node.residual?.leaves[side] ?? [])];
        law(
          reads.every((leaf) => leaf >= 0 && leaf < layout.length),
          `reads a column that is not there, of side ${side}`,
        );
        law(isHashed(plan, chain, index, node.keys[side], side), `equal keys of side ${side} may be in two subtasks`);
        law(
          node.keys[side].every((key, i) => {
            const other = plan.edges[chain.inputs[0]![0]!]!.layout[node.keys[0][i]!]!;
            return typeName(layout[key]!.type) === typeName(other.type);
          }),
          'keys are of two types',
        );
      }
      law(output.length === node.output[0].length + node.output[1].length, 'gives other columns than both sides');
      break;
    }
    case 'sort':
      law(
        node.by.every((key) => inside(key.column)),
        'reads a column that is not there',
      );
      law(sameLayout(input, output), 'changes columns');
      if (node.phase !== 'partial') law(chain.parallelism === 1, 'sorts in several subtasks');
      break;
    case 'limit':
      law(sameLayout(input, output), 'changes columns');
      if (node.phase !== 'partial') law(chain.parallelism === 1, 'limits in several subtasks');
      break;
    case 'topN':
      law([...node.partitionBy, ...node.by.map((key) => key.column)].every(inside), 'reads a column that is not there');
      law(output.length === input.length + (node.rank ? 1 : 0), 'has not its input and a rank');
      if (node.phase !== 'partial')
        law(isHashed(plan, chain, index, node.partitionBy), 'equal keys may be in two subtasks');
      break;
    case 'sink':
      law(sameLayout(layoutOf(node.fields), input), `gets ${names(input)}, writes ${names(layoutOf(node.fields))}`);
      break;
  }
  return broken;
}

/** Follows the keys up to the exchange that must have brought equal ones together. */
function isHashed(plan: PhysicalPlan, chain: Chain, index: number, keys: readonly number[], port = 0): boolean {
  if (chain.parallelism === 1) return true;
  if (keys.length === 0) return false;
  if (index === 0) {
    return (chain.inputs[port] ?? []).every((id) => {
      const edge = plan.edges[id]!;
      if (edge.exchange.kind === 'hash') return JSON.stringify(edge.exchange.keys) === JSON.stringify(keys);
      if (edge.exchange.kind !== 'forward' || edge.from.port !== 0) return false;
      return isHashedBehind(plan, plan.chains[edge.from.chain]!, edge.from.operator, keys);
    });
  }
  const producer = chain.operators.findIndex((o) =>
    o.targets[0]!.some((t) => t.kind === 'operator' && t.index === index),
  );
  return producer >= 0 && isHashedBehind(plan, chain, producer, keys);
}

/** The same for keys of an operator's output. */
function isHashedBehind(plan: PhysicalPlan, chain: Chain, index: number, keys: readonly number[]): boolean {
  const { node } = chain.operators[index]!;
  if (node.kind === 'join') {
    const side = node.type === 'right' ? 1 : 0;
    const leaves = keys.map((key) => node.output[side][key - (side === 0 ? 0 : node.output[0].length)] ?? -1);
    return node.type !== 'full' && isHashed(plan, chain, index, leaves, side);
  }
  const above = keys.map((key): number | null => {
    switch (node.kind) {
      case 'project': {
        const column = node.columns[key]!;
        return column.kind === 'column' ? column.index : null;
      }
      case 'aggregate':
        return node.phase === 'partial' ? null : (node.keys[key] ?? null);
      case 'topN':
      case 'watermark':
      case 'dynamicFilter':
        return key;
      default:
        return null;
    }
  });
  return above.every((key) => key !== null) && isHashed(plan, chain, index, above as number[]);
}

function typesAgree(expr: Expr, input: Layout): boolean {
  if (expr.kind === 'column') return typeName(expr.type) === typeName(input[expr.index]!.type);
  const operands =
    expr.kind === 'call'
      ? expr.args
      : expr.kind === 'cast'
        ? [expr.arg]
        : expr.kind === 'case'
          ? [...expr.branches.flatMap((b) => [b.when, b.then]), expr.otherwise]
          : [];
  return operands.every((operand) => typesAgree(operand, input));
}

function bothTimes(expr: Expr, type: { kind: string; precision?: number }): boolean {
  return (
    expr.type.kind === 'TIMESTAMP' &&
    type.kind === 'TIMESTAMP' &&
    expr.type.precision <= 3 &&
    (type.precision ?? 9) <= 3
  );
}

function sameLayout(a: Layout, b: Layout): boolean {
  return (
    a.length === b.length &&
    a.every(
      (leaf, i) =>
        leaf.name === b[i]!.name &&
        leaf.storage === b[i]!.storage &&
        typeName(leaf.type) === typeName(b[i]!.type) &&
        leaf.nullable === b[i]!.nullable,
    )
  );
}

const names = (layout: Layout): string =>
  layout.map((leaf) => `${leaf.name} ${typeName(leaf.type)}${leaf.nullable ? '' : ' NOT NULL'}`).join(', ');
