/**
 * From the ends of a job to its plan: walks the steps behind them, makes equal ones one node, and gives names to what is
 * no JSON. Deterministic: ids depend on the order of ends and inputs alone. Must never look at a place.
 */
import { MillraceError } from '../base/errors.ts';
import type { NodeRef, Plan, PlanNode } from '../plan/nodes.ts';
import type { StateSpec } from '../plan/states.ts';
import { digestOf } from './digest.ts';
import type { ProcessContent, ProcessFunctions } from './process-step.ts';
import { withFunctionIds } from './scalar-function.ts';
import { type Step, type Tip, tipOf } from './step.ts';

/** A function of the user's. */
export interface BuiltFunction {
  readonly call: (...args: never[]) => unknown;
  /** Of its source, so that a worker can tell whether it has the same (digest.ts). */
  readonly digest: string;
}

export interface BuiltPlan {
  readonly plan: Plan;
  /** By `functionId`: `f0`, `f1`, … in the order of the plan. */
  readonly functions: ReadonlyMap<string, BuiltFunction>;
  /** By `options.resource`: `r0`, `r1`, … in the order of the plan. */
  readonly resources: ReadonlyMap<string, unknown>;
}

/** Errors: `plan/duplicate` for two writers of one file and two steps of one name. */
export function planOf(name: string, ends: ReadonlyMap<string, object>): BuiltPlan {
  const graph = new Graph();
  const outputs = [...ends].map(([output, end]) => ({ name: output, node: graph.end(output, end, tipOf(end) as Tip) }));
  const nodes = graph.nodes();
  checkNames(nodes);
  checkFiles(nodes);
  const plan = deepFreeze<Plan>({ version: 1, name, nodes, outputs });
  return { plan, functions: graph.functions, resources: graph.resources };
}

type Draft = { -readonly [K in keyof PlanNode]: PlanNode[K] };

/** Nodes by what they say and what they read. */
class Graph {
  readonly functions = new Map<string, BuiltFunction>();
  readonly resources = new Map<string, unknown>();
  readonly #drafts: Draft[] = [];
  /** By everything that makes two nodes the same. */
  readonly #byText = new Map<string, Draft>();
  readonly #bySteps = new Map<Step, Draft>();
  readonly #ends = new Map<object, string>();
  readonly #idsOfValues = new Map<unknown, string>();

  nodes(): readonly PlanNode[] {
    return this.#drafts as readonly PlanNode[];
  }

  /** The node of an end: its sink, or one that hands rows to the job's handle. An end under two names is one. */
  end(output: string, end: object, tip: Tip): string {
    const { step } = tip;
    if (step.content.kind === 'sink') {
      const known = this.#ends.get(end);
      if (known !== undefined) return known;
      const inputs = this.#refs(step.inputs);
      const id = this.#add({ ...this.#named(step), inputs, name: step.name, callSite: step.callSite }).id;
      this.#ends.set(end, id);
      return id;
    }
    const options = { output, changes: tip.mode === 'updating' };
    const connector = { kind: 'handle', label: output, options };
    return this.#add({ kind: 'sink', connector, schema: null, inputs: this.#refs([tip]), name: null, callSite: null })
      .id;
  }

  #refs(tips: readonly Tip[]): readonly NodeRef[] {
    return tips.map(({ step, port }) => ({ node: this.#nodeOf(step).id, port }));
  }

  #nodeOf(step: Step): Draft {
    const known = this.#bySteps.get(step);
    if (known) return known;
    const inputs = this.#refs(step.inputs);
    const content = this.#named(step);
    const text = JSON.stringify([content, inputs]);
    const same = this.#byText.get(text);
    const draft =
      same && (same.name === null || step.name === null || same.name === step.name)
        ? same
        : this.#add({ ...content, inputs, name: step.name, callSite: step.callSite });
    draft.name ??= step.name;
    this.#byText.set(text, draft);
    this.#bySteps.set(step, draft);
    return draft;
  }

  #add(node: Step['content'] & Pick<PlanNode, 'inputs' | 'name' | 'callSite'>): Draft {
    const draft = { id: `n${this.#drafts.length}`, ...node } as Draft;
    this.#drafts.push(draft);
    return draft;
  }

  /** The step's content with what is attached to it by name. */
  #named({ content: given, attached }: Step): Step['content'] {
    const content = withFunctionIds(given, (call) => this.#functionId(call));
    if (!attached) return content;
    if (content.kind === 'map')
      return { ...content, functionId: this.#functionId(attached.value as BuiltFunction['call']) };
    if (content.kind === 'process') return this.#namedProcess(content, attached.value as ProcessFunctions);
    if (content.kind !== 'source' && content.kind !== 'sink') return content;
    const options = { ...content.connector.options, resource: this.#resourceId(attached.value) };
    return { ...content, connector: { ...content.connector, options } };
  }

  #namedProcess(content: ProcessContent, functions: ProcessFunctions): ProcessContent {
    const state = (spec: StateSpec): StateSpec => {
      const calls = Object.entries(functions.states[spec.name] ?? {});
      return { ...spec, ...Object.fromEntries(calls.map(([member, call]) => [member, this.#functionId(call)])) };
    };
    return {
      ...content,
      ports: content.ports.map((port) => ({ ...port, handler: this.#functionId(functions.onRow[port.name]!) })),
      onTimer: functions.onTimer && this.#functionId(functions.onTimer),
      state: content.state.map(state),
    };
  }

  #functionId(call: BuiltFunction['call']): string {
    return this.#idOf(call, 'f', this.functions, { call, digest: digestOf(String(call)) });
  }

  #resourceId(value: unknown): string {
    return this.#idOf(value, 'r', this.resources, value);
  }

  #idOf<V>(value: unknown, letter: string, table: Map<string, V>, entry: V): string {
    const key = this.#idsOfValues.get(value);
    if (key !== undefined) return key;
    const id = `${letter}${table.size}`;
    table.set(id, entry);
    this.#idsOfValues.set(value, id);
    return id;
  }
}

function checkNames(nodes: readonly PlanNode[]): void {
  const byName = new Map<string, PlanNode>();
  for (const node of nodes) {
    if (node.name === null) continue;
    const other = byName.get(node.name);
    if (other) {
      throw new MillraceError(
        'plan/duplicate',
        `two steps are named '${node.name}'${places(other, node)}; a name is the id of a step's state`,
      );
    }
    byName.set(node.name, node);
  }
}

/** Two sinks into one file would each take the other's place. */
function checkFiles(nodes: readonly PlanNode[]): void {
  const byPath = new Map<string, PlanNode>();
  for (const node of nodes) {
    if (node.kind !== 'sink' || typeof node.connector.options.path !== 'string') continue;
    const { path } = node.connector.options;
    const other = byPath.get(path);
    if (other) {
      throw new MillraceError(
        'plan/duplicate',
        `two outputs write to '${path}'${places(other, node)}; unite them first, or give each its own path`,
      );
    }
    byPath.set(path, node);
  }
}

function places(...nodes: readonly PlanNode[]): string {
  const sites = nodes.map((node) => node.callSite).filter((site) => site !== null);
  return sites.length === 0 ? '' : ` (${sites.join(' and ')})`;
}

function deepFreeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null) return value;
  for (const part of Object.values(value)) deepFreeze(part);
  return Object.freeze(value);
}
