/**
 * Functions that are not compiled: the loop calls out to the reference implementation per row. `compiles` says which, so
 * that explain can show it. ASCII text in LOWER and UPPER stays inside; other alphabets come here row by row.
 */

import type { FunctionName } from '../expr/functions.ts';
import { castOrNull, evaluateCall, evaluateCast } from '../expr/interpret.ts';
import type { Expr } from '../expr/tree.ts';
import { isUserCall, type UserFunctions, userArguments, userCaller, userFunctionName } from '../expr/user-call.ts';
import type { Value } from '../expr/value.ts';
import { storageOf } from '../record/layout.ts';
import type { SlotMemory } from '../record/memory.ts';
import { encodeUtf8, readText, utf8Bytes, writeView } from '../record/text.ts';
import { type DataType, typeName } from '../record/types.ts';
import { dateFormatProgram } from './date-format-program.ts';
import { doubleDigitsMax } from './emit-decimal.ts';
import { Block } from './frame.ts';

type Called = Extract<Expr, { kind: 'call' | 'cast' }>;

export const HostAnswer = { value: 0, null: 1, failed: 2, roomFull: 3 } as const;

/** A call that leaves the loop: its arguments' and its result's places in the block. */
export interface HostNode {
  readonly expr: Called;
  /** One 16-byte place per argument: the value, or the u32 address of a view. */
  readonly args: number;
  readonly result: number;
}

const argumentsOf = (expr: Called): readonly Expr[] =>
  expr.kind === 'cast' ? [expr.arg] : isUserCall(expr) ? userArguments(expr) : expr.args;

/** Why this call itself runs in JavaScript, or null. */
export function hostReason(expr: Expr): string | null {
  if (expr.kind === 'cast') {
    const [from, to] = [expr.arg.type.kind, expr.type.kind];
    const text =
      to === 'VARCHAR' && (from === 'DOUBLE' || from === 'DECIMAL' || from === 'DATE' || from === 'TIMESTAMP');
    const parsed =
      from === 'VARCHAR' &&
      (to === 'DOUBLE' || to === 'DECIMAL' || to === 'DATE' || to === 'TIMESTAMP' || to === 'BOOLEAN');
    // Digits of a double are JavaScript's to find; nor is a quotient of two that were rounded the nearest double.
    const digits =
      (from === 'DOUBLE' && to === 'DECIMAL') ||
      (expr.arg.type.kind === 'DECIMAL' && to === 'DOUBLE' && expr.arg.type.precision > doubleDigitsMax);
    return text || parsed || digits
      ? `CAST(${typeName(expr.arg.type)} AS ${typeName(expr.type)}) runs in JavaScript`
      : null;
  }
  if (expr.kind !== 'call') return null;
  if (isUserCall(expr)) return `${userFunctionName(expr)} is a JavaScript function, called row by row`;
  if (expr.fn === 'dateFormat' && dateFormatProgram((expr.args[1] as { value: string }).value) === null)
    return 'DATE_FORMAT with names of months, of days or of half days runs in JavaScript';
  if (expr.fn === 'round' && expr.args.length > 1 && expr.type.kind !== 'DECIMAL')
    return 'ROUND to digits runs in JavaScript';
  return null;
}

/** True, or which part of the expression runs in JavaScript per row (per dictionary entry where the column has one). */
export function compiles(expr: Expr): true | { readonly reason: string } {
  const reason = hostReason(expr);
  if (reason !== null) return { reason };
  for (const part of partsOf(expr)) {
    const inside = compiles(part);
    if (inside !== true) return inside;
  }
  return true;
}

export function partsOf(expr: Expr): readonly Expr[] {
  switch (expr.kind) {
    case 'call':
    case 'cast':
      return argumentsOf(expr);
    case 'case':
      return [...expr.branches.flatMap((b) => [b.when, b.then]), expr.otherwise];
    default:
      return [];
  }
}

/** The import that host calls reach: reads arguments from the block, answers how it went. */
export function hostCalls(
  memory: SlotMemory,
  block: number,
  nodes: readonly HostNode[],
  functions: UserFunctions | null,
): (node: number) => number {
  const typesOf = nodes.map(({ expr }) => argumentsOf(expr).map((a) => a.type));
  const users = nodes.map(({ expr }) =>
    expr.kind === 'call' && isUserCall(expr) ? userCaller(expr, functions) : null,
  );
  const readers = nodes.map(({ expr, args }) =>
    argumentsOf(expr).map((arg, i) => readerOf(memory, arg, block + args + 16 * i)),
  );
  /** Of the call at hand: nobody keeps them. */
  const valuesOf = readers.map((read) => read.map((): Exclude<Value, null> => 0));
  return (index) => {
    const node = nodes[index] as HostNode;
    const types = typesOf[index] as readonly DataType[];
    const user = users[index] ?? null;
    const read = readers[index] as readonly Read[];
    const values = valuesOf[index] as Exclude<Value, null>[];
    for (let i = 0; i < read.length; i++) values[i] = (read[i] as Read)();
    let result: Value;
    try {
      if (user !== null) result = user(values);
      else if (node.expr.kind === 'call')
        result = evaluateCall(node.expr.fn as FunctionName, values, types, node.expr.type);
      else if (node.expr.safe)
        result = castOrNull(values[0] as Exclude<Value, null>, node.expr.arg.type, node.expr.type);
      else result = evaluateCast(values[0] as Exclude<Value, null>, node.expr.arg.type, node.expr.type);
    } catch {
      // The row is evaluated again for the message.
      return HostAnswer.failed;
    }
    if (result === null) return HostAnswer.null;
    return writeValue(memory, block, node.result, result, storageOf(node.expr.type))
      ? HostAnswer.value
      : HostAnswer.roomFull;
  };
}

type Read = () => Exclude<Value, null>;

/** Reads an argument from its place; a literal text is known (literals of other types are written as texts, too). */
function readerOf(memory: SlotMemory, arg: Expr, at: number): Read {
  if (arg.kind === 'literal' && arg.type.kind === 'VARCHAR' && typeof arg.value === 'string') {
    const text = arg.value;
    return () => text;
  }
  switch (storageOf(arg.type)) {
    case 'bit':
      return () => memory.i32[at >>> 2] !== 0;
    case 'i32':
      return () => memory.i32[at >>> 2] as number;
    case 'i64':
      return () => memory.i64[at >>> 3] as bigint;
    case 'f64':
      return () => memory.f64[at >>> 3] as number;
    case 'view':
      return () => readText(memory, memory.u32[at >>> 2] as number);
  }
}

/** False when the room is full. */
function writeValue(
  memory: SlotMemory,
  block: number,
  at: number,
  value: Exclude<Value, null>,
  storage: ReturnType<typeof storageOf>,
): boolean {
  switch (storage) {
    case 'bit':
    case 'i32':
      memory.i32[(block + at) >>> 2] = Number(value);
      return true;
    case 'i64':
      memory.i64[(block + at) >>> 3] = value as bigint;
      return true;
    case 'f64':
      memory.f64[(block + at) >>> 3] = value as number;
      return true;
    case 'view': {
      const room = memory.u32[(block + Block.room) >>> 2] as number;
      const end = memory.u32[(block + Block.roomEnd) >>> 2] as number;
      const bytes = utf8Bytes(value as string);
      if (end - room < bytes) return false;
      encodeUtf8(value as string, memory.u8, room, bytes);
      writeView(memory, block + at, room, bytes);
      // Short text was copied into the view.
      if (bytes > 12) memory.u32[(block + Block.room) >>> 2] = room + bytes;
      return true;
    }
  }
}
