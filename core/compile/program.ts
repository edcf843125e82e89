/**
 * The two loops of a projection: `compileFilter` writes the numbers of the rows that stay, `compileProject` writes one
 * value per row and output, at the row's own number. Variants differ by what columns look like (`shape`) and by whether
 * rows come as a selection.
 */
import type { Expr } from '../expr/tree.ts';
import { type StorageKind, storageOf } from '../record/layout.ts';
import {
  type ColumnLocals,
  type ColumnShape,
  columnParameterBytes,
  openColumn,
  orBit,
  pushAddress,
  wasmTypes,
} from './columns.ts';
import { repeatedParts } from './cost.ts';
import { type EmitContext, type Emitter, emitter, type Memo, type Source, type Table } from './emit.ts';
import { Block, type Frame, StopReason } from './frame.ts';
import { keyOf } from './hoist.ts';
import type { HostNode } from './host.ts';
import { emitVectorFilter, splitFilter } from './simd-filter.ts';
import { emitVectorProject, vectorizes } from './simd-project.ts';
import { type Code, ModuleBuilder, Op, Type } from './wasm.ts';

/** What a program reads: leaf columns, and tables of results per dictionary code, each with its place in the block. */
export interface ProgramInputs {
  readonly columns: readonly { readonly index: number; readonly shape: ColumnShape }[];
  readonly tables: readonly { readonly expr: Expr; readonly column: number; readonly nullable: boolean }[];
}

export interface Program {
  readonly bytes: Uint8Array;
  readonly imports: readonly string[];
  readonly hostNodes: readonly HostNode[];
  /** Per output: whether it writes a validity bitmap. */
  readonly nullable: readonly boolean[];
}

/** Places in the block: columns first, then tables, then outputs. */
export const columnPlace = (i: number): number => Block.columns + i * columnParameterBytes;

/** Keeps rows where the condition is TRUE. `selected`: rows come as a selection, which may be overwritten. */
export function compileFilter(condition: Expr, inputs: ProgramInputs, selected: boolean, frame: Frame): Program {
  return compile([condition], inputs, selected, frame, (loop, emit) => {
    const { code } = loop;
    const out = code.local(Type.i32);
    code.get(loop.block).load('i32', Block.out).set(out);
    const vector = selected ? null : splitFilter(condition);
    const append = (push: () => void): void => {
      // Written whatever the answer: the next row overwrites it.
      push();
      const stays = emit.keep(Type.i32);
      code.get(out).get(loop.count).i32(2).op(Op.i32Shl, Op.i32Add).get(loop.row).store('i32');
      code.get(loop.count).get(stays).op(Op.i32Add).set(loop.count);
    };
    if (vector !== null) emitVectorFilter(loop, vector.conditions, out, frame);
    return { resetRoom: true, body: () => append(() => emit.pushTrue(condition)), nullable: [] };
  });
}

/** How a projection takes its rows: as a selection, one after the other, or several to an instruction where it can. */
export type RowsTaken = 'selected' | 'single' | 'vectors';

/** Computes `exprs` for every row. Outputs' places follow the inputs'. */
export function compileProject(exprs: readonly Expr[], inputs: ProgramInputs, taken: RowsTaken, frame: Frame): Program {
  return compile(exprs, inputs, taken === 'selected', frame, (loop, emit) => {
    const { code } = loop;
    const { outputs, nullable, write } = openOutputs(loop, emit, exprs, inputs, frame);
    const vectors =
      taken === 'vectors' ? exprs.flatMap((expr, i) => (vectorizes(expr) ? [{ expr, locals: outputs[i]! }] : [])) : [];
    const vectorEnd = vectors.length > 0 ? emitVectorProject(loop, vectors) : -1;
    // Rows left over, fewer than eight, go the scalar way.
    if (vectors.length === exprs.length && vectorEnd >= 0) code.get(vectorEnd).set(loop.turn);
    const body = (): void => {
      for (const [i, expr] of exprs.entries()) {
        if (vectors.some((v) => v.expr === expr)) {
          code
            .get(loop.row)
            .get(vectorEnd)
            .op(Op.i32GeU)
            .if(() => emit.scoped(() => write(expr, i)));
        } else write(expr, i);
      }
    };
    return { resetRoom: !exprs.some((e) => e.type.kind === 'VARCHAR'), body, nullable };
  });
}

/**
 * Both in one loop: a row that stays has its columns computed at once, so that what the condition and they have in common is
 * computed once. Numbers of the rows that stay are written as by `compileFilter`.
 */
export function compileSelect(
  condition: Expr,
  exprs: readonly Expr[],
  inputs: ProgramInputs,
  selected: boolean,
  frame: Frame,
): Program {
  return compile([condition, ...exprs], inputs, selected, frame, (loop, emit) => {
    const { code } = loop;
    const out = code.local(Type.i32);
    const before = code.local(Type.i32);
    code.get(loop.block).load('i32', Block.out).set(out);
    const { nullable, write } = openOutputs(loop, emit, exprs, inputs, frame);
    const body = (): void => {
      code.get(loop.room).set(before);
      emit.pushTrue(condition);
      code.if(
        () =>
          emit.scoped(() => {
            for (const [i, expr] of exprs.entries()) write(expr, i);
            code.get(out).get(loop.count).i32(2).op(Op.i32Shl, Op.i32Add).get(loop.row).store('i32');
            code.get(loop.count).i32(1).op(Op.i32Add).set(loop.count);
          }),
        // The text of a row that goes makes room again.
        () => code.get(before).set(loop.room),
      );
    };
    return { resetRoom: false, body, nullable };
  });
}

/** Columns that a loop writes, and how: a value at the row's own number. */
function openOutputs(
  loop: RowLoop,
  emit: Emitter,
  exprs: readonly Expr[],
  inputs: ProgramInputs,
  frame: Frame,
): { outputs: readonly ColumnLocals[]; nullable: boolean[]; write(expr: Expr, i: number): void } {
  const { code } = loop;
  const first = inputs.columns.length + inputs.tables.length;
  const outputs = exprs.map((_, i) =>
    openColumn(code, loop.block, columnPlace(first + i), { nullable: true, coded: false }),
  );
  const scratch = code.local(Type.i32);
  const nullable: boolean[] = [];
  const write = (expr: Expr, i: number): void => {
    const { values, validity } = outputs[i] as (typeof outputs)[number];
    const storage = storageOf(expr.type);
    const value = emit.emit(expr);
    nullable[i] = value.isNull !== null;
    if (value.isNull === null) {
      writeValue(code, emit, storage, values, loop.row, () => value.push(), scratch);
      return;
    }
    value.isNull();
    code.op(Op.i32Eqz);
    const valid = emit.keep(Type.i32);
    orBit(code, validity, loop.row, valid, scratch);
    const push = (): void => {
      value.push();
      if (storage !== 'view') return;
      // A null slot refers to nothing.
      emit.pushPlace(frame.text(''));
      code.get(valid).op(Op.select);
    };
    writeValue(code, emit, storage, values, loop.row, push, scratch);
  };
  return { outputs, nullable, write };
}

/** What a loop is made of; locals by number. */
export interface RowLoop {
  readonly code: Code;
  readonly block: number;
  /** Turn: the row, or its place in the selection. */
  readonly turn: number;
  readonly end: number;
  readonly row: number;
  readonly count: number;
  readonly room: number;
  readonly columns: ReadonlyMap<number, Source>;
  /** Emits an end of the call at this turn. */
  stop(reason: StopReason): void;
}

function compile(
  exprs: readonly Expr[],
  inputs: ProgramInputs,
  selected: boolean,
  frame: Frame,
  prepare: (loop: RowLoop, emit: Emitter) => { body: () => void; resetRoom: boolean; nullable: readonly boolean[] },
): Program {
  const module = new ModuleBuilder();
  const code = module.function('run', [Type.i32], Type.i32);
  const local = (): number => code.local(Type.i32);
  const [turn, end, row, count, room, roomEnd, fresh, selection] = [
    local(),
    local(),
    local(),
    local(),
    local(),
    local(),
    local(),
    local(),
  ];
  const read = (place: number, into: number): void => {
    code.get(0).load('i32', place).set(into);
  };
  read(Block.start, turn);
  read(Block.end, end);
  read(Block.count, count);
  read(Block.room, room);
  read(Block.roomEnd, roomEnd);
  read(Block.selection, selection);
  code.get(room).set(fresh);

  const columns = new Map<number, Source>(
    inputs.columns.map(({ index, shape }, i) => [
      index,
      { locals: openColumn(code, 0, columnPlace(i), shape), ...shape },
    ]),
  );
  const tables = new Map<string, Table>(
    inputs.tables.map(({ expr, column, nullable }, i) => {
      const locals = openColumn(code, 0, columnPlace(inputs.columns.length + i), { nullable, coded: false });
      return [keyOf(expr), { codes: columns.get(column) as Source, values: locals.values, validity: locals.validity }];
    }),
  );
  const hostNodes: HostNode[] = [];
  const memos = new Map<string, Memo>(
    repeatedParts(exprs).map((expr) => [
      keyOf(expr),
      {
        done: code.local(Type.i32),
        value: code.local(wasmTypes[storageOf(expr.type)]),
        isNull: expr.nullable ? code.local(Type.i32) : -1,
      },
    ]),
  );
  const finish = (reason: StopReason): void => {
    code.get(0).get(count).store('i32', Block.count);
    code.get(0).get(room).store('i32', Block.room);
    code.get(0).i32(reason).store('i32', Block.reason);
  };
  const stop = (reason: StopReason): void => {
    finish(reason);
    code.get(turn).op(Op.return);
  };
  const context: EmitContext = {
    code,
    block: 0,
    row,
    room,
    roomEnd,
    frame,
    columns,
    tables,
    hostNodes,
    memos,
    stop,
  };
  const emit = emitter(context);
  const { body, resetRoom, nullable } = prepare({ code, block: 0, turn, end, row, count, room, columns, stop }, emit);
  code
    .get(turn)
    .get(end)
    .op(Op.i32LtU)
    .if(() => {
      code.loop(() => {
        if (selected) code.get(selection).get(turn).i32(2).op(Op.i32Shl, Op.i32Add).load('i32').set(row);
        else code.get(turn).set(row);
        if (resetRoom) code.get(fresh).set(room);
        for (const { done } of memos.values()) code.i32(0).set(done);
        emit.scoped(body);
        code.get(turn).i32(1).op(Op.i32Add).tee(turn).get(end).op(Op.i32LtU).branchIf(0);
      });
    });
  finish(StopReason.done);
  code.get(end);
  return { bytes: module.bytes(), imports: module.imports, hostNodes, nullable };
}

function writeValue(
  code: Code,
  emit: Emitter,
  storage: StorageKind,
  values: number,
  row: number,
  push: () => void,
  scratch: number,
): void {
  if (storage === 'bit') {
    push();
    orBit(code, values, row, emit.keep(Type.i32), scratch);
    return;
  }
  pushAddress(code, values, row, storage);
  push();
  if (storage === 'view') code.loadVector().storeVector();
  else code.store(storage);
}
