/**
 * From what a person gives `process` to a step: checks its parts, takes the functions out of it. Knows neither streams'
 * methods nor what a plan becomes.
 */
import { describeKind } from '../base/describe.ts';
import { MillraceError } from '../base/errors.ts';
import { processStatesMax } from '../base/limits.ts';
import type { StateSpec } from '../plan/states.ts';
import { policyOf } from './checks.ts';
import { fieldsOf, type Schema } from './schema.ts';
import { declaredOf } from './state.ts';
import type { StepContent } from './step.ts';

export type ProcessContent = Extract<StepContent, { kind: 'process' }>;
type Fn = (...args: never[]) => unknown;

/** Functions of a process step; build.ts gives them ids. */
export interface ProcessFunctions {
  /** By input name. */
  readonly onRow: Readonly<Record<string, Fn>>;
  readonly onTimer: Fn | null;
  /** By state, then by the member of its spec. */
  readonly states: Readonly<Record<string, Readonly<Record<string, Fn>>>>;
}

/** An input as the step names it. */
export interface NamedInput {
  readonly name: string;
  /** null: broadcast. */
  readonly keys: readonly string[] | null;
}

const members = ['output', 'side', 'state', 'broadcastState', 'operatorState', 'onRow', 'onTimer', 'onError'];

/** Tables that the operator keeps beside those of states, which are named as the states are. */
const ownTables = /^(keys|fired|parallelism|timers|ttl)(\.|$)/;

/** Errors: `option/invalid`. */
export function processStep(
  given: unknown,
  inputs: readonly NamedInput[],
  single: boolean,
): { content: ProcessContent; functions: ProcessFunctions } {
  if (typeof given !== 'object' || given === null)
    throw new MillraceError('option/invalid', `process takes { output, state, onRow, … }, not ${describeKind(given)}`);
  const fn = given as Readonly<Record<string, unknown>>;
  const unknown = Object.keys(fn).find((name) => !members.includes(name));
  if (unknown !== undefined)
    throw new MillraceError('option/invalid', `process: there is no '${unknown}'; it takes ${members.join(', ')}`);
  const state = statesOf('state', fn.state);
  const broadcast = statesOf('broadcastState', fn.broadcastState);
  for (const { name, ttl, kind } of broadcast.specs) {
    if (ttl !== null)
      throw new MillraceError(
        'option/invalid',
        `broadcast state '${name}' has a ttl; what is broadcast stays until it is deleted`,
      );
    if (kind !== 'map' && kind !== 'value')
      throw new MillraceError(
        'option/invalid',
        `broadcast state '${name}' is a ${kind} state; it may be a map or a value`,
      );
    if (state.specs.some((spec) => spec.name === name))
      throw new MillraceError(
        'option/invalid',
        `'${name}' is both a state and a broadcast state; give one another name`,
      );
  }
  const operator = statesOf('operatorState', fn.operatorState);
  for (const { name, kind } of operator.specs) {
    if (kind !== 'split' && kind !== 'union')
      throw new MillraceError(
        'option/invalid',
        `operator state '${name}' is a ${kind} state; it is declared by state.split(type) or state.union(type)`,
      );
    if ([...state.specs, ...broadcast.specs].some((spec) => spec.name === name))
      throw new MillraceError(
        'option/invalid',
        `'${name}' is an operator state and another state; give one another name`,
      );
  }
  const tables = [...state.specs.filter(({ kind }) => kind === 'list' || kind === 'map'), ...broadcast.specs];
  const taken = [...tables, ...operator.specs].find(({ name }) => ownTables.test(name));
  if (taken)
    throw new MillraceError(
      'option/invalid',
      `a ${taken.kind} state may not be named '${taken.name}', under which a process function keeps a table of its own; give it another name`,
    );
  const stray = state.specs.find(({ kind }) => kind === 'split' || kind === 'union');
  if (stray)
    throw new MillraceError(
      'option/invalid',
      `state '${stray.name}' is a ${stray.kind} state, which belongs to a subtask and not to a key; declare it in operatorState`,
    );
  if (state.specs.length > processStatesMax) {
    throw new MillraceError(
      'option/invalid',
      `process has ${state.specs.length} states, at most ${processStatesMax} are supported; put values that go together into one of a schema`,
    );
  }
  const side = Object.entries(record('side', fn.side)).map(([name, schema]) => ({
    name,
    schema: fieldsOf(schema as Schema<unknown>),
  }));
  const { onTimer = null } = fn;
  if (onTimer !== null && typeof onTimer !== 'function')
    throw new MillraceError('option/invalid', `process: onTimer must be a function, not ${describeKind(onTimer)}`);
  const onError = policyOf('process', fn.onError);
  if (onError === 'side' && side.some(({ name }) => name === 'errors'))
    throw new MillraceError(
      'option/invalid',
      "process: onError: 'side' gives a side output 'errors', and side declares another of that name; give that another",
    );
  const onRow = handlersOf(fn.onRow, inputs, single);
  const content: ProcessContent = {
    kind: 'process',
    ports: inputs.map(({ name, keys }) => ({ name, keys, handler: '' })),
    output: fn.output === undefined ? null : fieldsOf(fn.output as Schema<unknown>),
    side,
    state: state.specs,
    broadcastState: broadcast.specs,
    ...(operator.specs.length === 0 ? {} : { operatorState: operator.specs }),
    onTimer: onTimer === null ? null : '',
    ...(onError === 'fail' ? {} : { onError }),
  };
  return { content, functions: { onRow, onTimer: onTimer as Fn | null, states: state.functions } };
}

function statesOf(what: string, given: unknown): { specs: StateSpec[]; functions: ProcessFunctions['states'] } {
  const declared = Object.entries(record(what, given)).map(([name, decl]) => ({ name, ...declaredOf(name, decl) }));
  return {
    specs: declared.map(({ name, spec }) => ({ name, ...spec }) as StateSpec),
    functions: Object.fromEntries(declared.map(({ name, functions }) => [name, functions])),
  };
}

function record(what: string, given: unknown): object {
  if (given === undefined) return {};
  if (typeof given === 'object' && given !== null && !Array.isArray(given)) return given;
  throw new MillraceError('option/invalid', `process: ${what} is a record by name, not ${describeKind(given)}`);
}

function handlersOf(given: unknown, inputs: readonly NamedInput[], single: boolean): ProcessFunctions['onRow'] {
  if (single) {
    if (typeof given !== 'function')
      throw new MillraceError('option/invalid', `process: onRow must be a function, not ${describeKind(given)}`);
    return { [inputs[0]!.name]: given as Fn };
  }
  const handlers = record('onRow', given) as Readonly<Record<string, unknown>>;
  const names = inputs.map(({ name }) => name);
  const extra = Object.keys(handlers).find((name) => !names.includes(name));
  if (extra !== undefined)
    throw new MillraceError(
      'option/invalid',
      `process: onRow.${extra} is for no input; inputs are ${names.join(', ')}`,
    );
  for (const name of names) {
    if (typeof handlers[name] !== 'function')
      throw new MillraceError(
        'option/invalid',
        `process: onRow.${name} must be a function, not ${describeKind(handlers[name])}`,
      );
  }
  return handlers as ProcessFunctions['onRow'];
}
