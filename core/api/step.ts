/**
 * What stands behind a stream: one step and, through its inputs, all before it. Frozen; a step knows its inputs and
 * nothing of what reads it. build.ts turns the steps that a job's ends need into a plan.
 */
import type { OrderKey, PlanNode } from '../plan/nodes.ts';
import type { Fields } from '../record/types.ts';
import type { Mode } from './modes.ts';

/** A plan node without its place in a plan. */
export type StepContent = PlanNode extends infer N
  ? N extends PlanNode
    ? Omit<N, 'id' | 'name' | 'callSite' | 'inputs'>
    : never
  : never;

export interface Step {
  readonly content: StepContent;
  readonly inputs: readonly Tip[];
  readonly name: string | null;
  readonly callSite: string | null;
  /** What is no JSON: a map's function, a process's functions by path, or a place's resource. The plan will name it. */
  readonly attached: { readonly value: unknown } | null;
}

/** What is known of a column while building: enough for `...row` and for the mode of what is grouped by it. */
export interface KnownColumn {
  readonly name: string;
  readonly isWindow: boolean;
}

/** One output of a step: where a stream's rows come from. */
export interface Tip {
  readonly step: Step;
  readonly port: number;
  readonly mode: Mode;
  /** null: only the place itself knows them. */
  readonly columns: readonly KnownColumn[] | null;
}

/** The columns of a declared schema. */
export function knownColumns(fields: Fields): readonly KnownColumn[] {
  return fields.map(({ name, type }) => ({
    name,
    isWindow:
      type.kind === 'ROW' && ['start', 'end'].every((bound) => type.fields.some((field) => field.name === bound)),
  }));
}

/** Whether a column holds windows; of an unknown one its name tells, as for the compiler. */
export function isWindowColumn(columns: Tip['columns'], name: string): boolean {
  return columns === null ? name === 'window' : columns.some((column) => column.name === name && column.isWindow);
}

/** New columns go to the end, those of a name that is there in its place. */
export function placed(columns: readonly KnownColumn[], added: readonly KnownColumn[]): readonly KnownColumn[] {
  const byName = new Map([...columns, ...added].map((column) => [column.name, column]));
  return [...byName.values()];
}

/** The order that a step gave its rows and later ones kept, as far as it is known: how a table of them is best shown. */
export function orderBehind({ content, inputs }: Step): readonly OrderKey[] {
  switch (content.kind) {
    case 'topN':
      return [...content.partitionBy.map((column) => ({ column, descending: false })), ...content.by];
    case 'sort':
      return content.by;
    case 'filter':
    case 'limit':
    case 'project':
      return inputs[0] ? orderBehind(inputs[0].step) : [];
    default:
      return [];
  }
}

const behind = Symbol.for('millrace.stream');
/** What a stream or an output has behind it. */
export interface Behind {
  readonly [behind]: Tip;
}

export function tipOf(value: unknown): Tip | null {
  return typeof value === 'object' && value !== null ? ((value as Partial<Behind>)[behind] ?? null) : null;
}

export function withTip<V extends object>(value: V, tip: Tip): V & Behind {
  return Object.assign(value, { [behind]: Object.freeze(tip) });
}
