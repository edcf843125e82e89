/**
 * What will run and why, for people: the plan as written, as rewritten, its chains and edges, what is known of the rows,
 * and what is compiled to WebAssembly and what is not. Aligned text without colours, and the same as JSON.
 */
import { repeatedParts } from '../compile/cost.ts';
import { compiles } from '../compile/host.ts';
import { exprText } from '../expr/print.ts';
import type { Expr } from '../expr/tree.ts';
import type { SourceInfo } from '../ports/connector.ts';
import type { Layout } from '../record/layout.ts';
import { operatorName } from './chains.ts';
import type { Regime } from './checks.ts';
import { describeOperator, exchangeText, layoutText } from './describe.ts';
import type { PlacedRel } from './distribute.ts';
import { fieldsText, nodeName } from './names.ts';
import type { Plan } from './nodes.ts';
import type { Chain, ChainOperator, PhysicalPlan } from './physical.ts';
import type { Rel, RelPlan } from './rel.ts';
import type { Schemas } from './schema.ts';
import { changeKinds, type Traits, traitsText } from './traits.ts';

export interface Explained {
  readonly text: string;
  readonly json: ExplainedJson;
}

export interface ExplainedJson {
  readonly name: string;
  readonly parallelism: number;
  readonly bounded: boolean;
  /** Why it is bounded or not. */
  readonly regime: string;
  readonly logical: readonly {
    id: string;
    name: string;
    callSite: string | null;
    inputs: readonly string[];
    fields: string;
  }[];
  /** What the rules did, in order. */
  readonly rules: readonly string[];
  readonly rewritten: readonly {
    id: string;
    inputs: readonly string[];
    does: readonly string[];
    traits: string;
    state: string | null;
  }[];
  readonly chains: readonly {
    id: number;
    place: string;
    parallelism: number;
    operators: readonly {
      id: string;
      name: string;
      callSite: string | null;
      does: readonly string[];
      to: readonly string[];
    }[];
  }[];
  readonly edges: readonly {
    id: number;
    from: number;
    to: number;
    exchange: string;
    /** Row kinds that may cross. */
    kinds: string;
    columns: string;
  }[];
  /** Every expression that does something, and why it is not compiled where it is not. */
  readonly expressions: readonly { operator: string; text: string; compiled: boolean; why: string | null }[];
  /** Steps that several read, and parts of expressions that stand in several places: each is done once. */
  readonly shared: readonly string[];
  readonly notes: readonly string[];
}

export interface ExplainInput {
  readonly plan: Plan;
  readonly schemas: Schemas;
  readonly regime: Regime;
  readonly rewritten: RelPlan;
  readonly traits: readonly Traits[];
  readonly applied: readonly string[];
  readonly placed: readonly PlacedRel[];
  readonly physical: PhysicalPlan;
  readonly parallelism: number;
  readonly sources: ReadonlyMap<string, SourceInfo>;
  readonly warnings: readonly string[];
}

/** Made when it is asked for: planning pays nothing for it. */
export function explain(input: ExplainInput): Explained {
  let json: ExplainedJson | null = null;
  const made = (): ExplainedJson => {
    json ??= explainJson(input);
    return json;
  };
  return {
    get json() {
      return made();
    },
    get text() {
      return explainText(made());
    },
  };
}

function explainJson(input: ExplainInput): ExplainedJson {
  const { plan, schemas, regime, rewritten, traits, applied, physical } = input;
  const relName = (ref: { rel: number; port: number }): string => `r${ref.rel}${ref.port === 0 ? '' : `.late`}`;
  return {
    name: plan.name,
    parallelism: input.parallelism,
    bounded: regime.bounded,
    regime: regime.why,
    logical: plan.nodes.map((node) => ({
      id: node.id,
      name: nodeName(node),
      callSite: node.callSite,
      inputs: node.inputs.map((ref) => `${ref.node}${ref.port === 0 ? '' : '.late'}`),
      fields: fieldsText(schemas.get(node.id)![0]!.fields),
    })),
    rules: applied,
    rewritten: rewritten.rels.map((rel, i) => ({
      id: `r${i}`,
      inputs: rel.inputs.map(relName),
      does: describeOperator(rel.node, inputLayout(rewritten.rels, rel), rel.outputs[0]!),
      traits: traitsText(traits[i]!, rel),
      state: traits[i]!.state,
    })),
    chains: physical.chains.map((chain) => ({
      id: chain.id,
      place: chain.place === 'caller' ? "the caller's thread" : 'slots',
      parallelism: chain.parallelism,
      operators: chain.operators.map((operator, i) => ({
        id: operator.id,
        name: operator.name,
        callSite: operator.callSite,
        does: describeOperator(operator.node, operatorInput(physical, chain, i), operator.outputs[0]!),
        to: operator.targets.flatMap((targets, port) =>
          targets.map(
            (to) =>
              `${port === 0 ? '' : 'late rows '}${to.kind === 'edge' ? `edge ${to.edge}` : `operator ${to.index}`}`,
          ),
        ),
      })),
    })),
    edges: physical.edges.map((edge) => ({
      id: edge.id,
      from: edge.from.chain,
      to: edge.to.chain,
      exchange: exchangeText(edge.exchange, edge.layout, physical.chains[edge.to.chain]!.parallelism),
      kinds: edge.updating ? (edge.withoutBefore ? changeKinds.after : changeKinds.all) : changeKinds.insert,
      columns: layoutText(edge.layout),
    })),
    expressions: physical.chains.flatMap((chain) =>
      chain.operators.flatMap((operator, i) => expressionsOf(operator, operatorInput(physical, chain, i))),
    ),
    shared: [...sharedSteps(rewritten), ...sharedParts(physical)],
    notes: [
      ...input.warnings.map((warning) => `warning: ${warning}`),
      ...plan.nodes.flatMap((node) =>
        node.kind === 'source'
          ? (input.sources.get(node.id)?.notes ?? []).map((note) => `${nodeName(node)}: ${note}`)
          : [],
      ),
    ],
  };
}

function sharedSteps({ rels }: RelPlan): string[] {
  return rels.flatMap((rel, i) => {
    const readers = rels.flatMap(({ inputs }, at) =>
      inputs.some((ref) => ref.rel === i && ref.port === 0) ? [at] : [],
    );
    return readers.length < 2
      ? []
      : [`r${i}, ${operatorName(rel)}: read by ${readers.map((at) => `r${at}`).join(', ')}`];
  });
}

function sharedParts(physical: PhysicalPlan): string[] {
  return physical.chains.flatMap((chain) =>
    chain.operators.flatMap(({ node, name }, i) =>
      node.kind === 'project'
        ? repeatedParts([...(node.filter ? [node.filter] : []), ...node.columns]).map(
            (part) => `${name}: ${exprText(part, operatorInput(physical, chain, i))}, once a row at most`,
          )
        : [],
    ),
  );
}

function inputLayout(rels: readonly Rel[], rel: Rel): Layout {
  const ref = rel.inputs[0];
  return ref ? rels[ref.rel]!.outputs[ref.port]! : rel.outputs[0]!;
}

/** What operator `index` of a chain gets: from the edge, or from the operator that has it among its targets. */
function operatorInput(physical: PhysicalPlan, chain: Chain, index: number): Layout {
  const edge = index === 0 ? chain.inputs[0]?.[0] : undefined;
  if (edge !== undefined) return physical.edges[edge]!.layout;
  for (const operator of chain.operators) {
    const port = operator.targets.findIndex((targets) =>
      targets.some((to) => to.kind === 'operator' && to.index === index),
    );
    if (port >= 0) return operator.outputs[port]!;
  }
  return chain.operators[index]!.outputs[0]!;
}

function expressionsOf(operator: ChainOperator, input: Layout): ExplainedJson['expressions'] {
  const { node } = operator;
  const functions =
    node.kind === 'map'
      ? [node.functionId]
      : node.kind === 'process'
        ? [...node.ports.map(({ handler }) => handler), ...(node.onTimer === null ? [] : [node.onTimer])]
        : [];
  if (functions.length > 0) {
    return functions.map((text) => ({
      operator: operator.name,
      text,
      compiled: false,
      why: 'a JavaScript function',
    }));
  }
  if (node.kind === 'join' && node.residual !== null) {
    const { condition, text } = node.residual;
    const answer = compiles(condition);
    return [{ operator: operator.name, text, compiled: answer === true, why: answer === true ? null : answer.reason }];
  }
  if (node.kind !== 'project') return [];
  const computed: Expr[] = [
    ...(node.filter ? [node.filter] : []),
    ...node.columns.filter((column) => column.kind !== 'column'),
  ];
  return computed.map((expr) => {
    const answer = compiles(expr);
    return {
      operator: operator.name,
      text: exprText(expr, input),
      compiled: answer === true,
      why: answer === true ? null : answer.reason,
    };
  });
}

function explainText(of: ExplainedJson): string {
  const slots = `${of.parallelism} slot${of.parallelism === 1 ? '' : 's'}`;
  const lines = [`${of.name}: ${of.bounded ? 'bounded' : 'unbounded'} (${of.regime}), ${slots}`];
  const section = (title: string, body: readonly string[]): void => {
    if (body.length > 0) lines.push('', title, ...body.map((line) => `  ${line}`.trimEnd()));
  };
  section('Logical plan', [
    ...aligned(
      of.logical.map((n) => [n.id, n.inputs.length > 0 ? `← ${n.inputs.join(', ')}` : '', n.name, n.callSite ?? '']),
    ),
    '',
    ...aligned(of.logical.map((n) => [n.id, n.fields])),
  ]);
  section('Rules applied', of.rules);
  const rewritten = of.rewritten.map((r) => [r.id, r.inputs.length > 0 ? `← ${r.inputs.join(', ')}` : '']);
  section(
    'Rewritten plan',
    blocks(
      rewritten,
      of.rewritten.map((r) => [...r.does, `· ${r.traits}`, ...(r.state ? [`· keeps ${r.state}`] : [])]),
    ),
  );
  section(
    'Chains',
    of.chains.flatMap((chain) => {
      const heads = chain.operators.map((_, i) => [String(i)]);
      const bodies = chain.operators.map((o) => [
        `${o.does[0]}   [${o.id}]${o.callSite ? `   ${o.callSite}` : ''}`,
        ...o.does.slice(1),
        ...(o.to.length > 0 ? [`→ ${o.to.join(', ')}`] : []),
      ]);
      const subtasks = `${chain.parallelism} subtask${chain.parallelism === 1 ? '' : 's'} in ${chain.place}`;
      const title = `chain ${chain.id}: ${chain.place === 'slots' ? subtasks : `on ${chain.place}`}`;
      return [title, ...blocks(heads, bodies).map((line) => `  ${line}`)];
    }),
  );
  section(
    'Edges',
    aligned(of.edges.map((e) => [`edge ${e.id}`, `chain ${e.from} → ${e.to}`, e.exchange, e.kinds, e.columns])),
  );
  section(
    'Expressions',
    aligned(
      of.expressions.map((e) => [
        e.compiled ? 'compiled' : 'not compiled',
        e.operator,
        e.text,
        e.why === null ? '' : `because: ${e.why}`,
      ]),
    ),
  );
  section('Shared', of.shared);
  section('Notes', of.notes);
  return `${lines.join('\n')}\n`;
}

/** Columns of equal width, two spaces apart. */
function aligned(rows: readonly (readonly string[])[]): string[] {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [i, cell] of row.entries()) widths[i] = Math.max(widths[i] ?? 0, cell.length);
  }
  return rows.map((row) =>
    row
      .map((cell, i) => cell.padEnd(widths[i]!))
      .join('  ')
      .trimEnd(),
  );
}

/** Heads in a column, bodies of several lines beside them. */
function blocks(heads: readonly (readonly string[])[], bodies: readonly (readonly string[])[]): string[] {
  const left = aligned(heads);
  const width = Math.max(0, ...left.map((line) => line.length));
  return bodies.flatMap((body, i) =>
    body.map((line, k) => `${(k === 0 ? left[i]! : '').padEnd(width)}  ${k === 0 ? '' : '  '}${line}`),
  );
}
