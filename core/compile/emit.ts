/**
 * Expressions as instructions, one row at a time. Every value is something that can be pushed again and again, and maybe
 * a second such thing that says NULL. Evaluation is lazy exactly where the reference is: behind AND, OR, CASE, COALESCE
 * and IN. Equal parts of a row are computed once (`known`, scoped by branches).
 */
import { assert, unreachable } from '../base/assert.ts';
import { canFail, type FunctionName } from '../expr/functions.ts';
import type { Expr } from '../expr/tree.ts';
import { isUserCall, userArguments } from '../expr/user-call.ts';
import { valueOfLiteral } from '../expr/value.ts';
import { type StorageKind, storageOf } from '../record/layout.ts';
import { type ColumnLocals, pushAddress, pushBit, pushValue, wasmTypes } from './columns.ts';
import { inOrder } from './cost.ts';
import { castEmitter } from './emit-cast.ts';
import { functionEmitters } from './emit-functions.ts';
import { Block, type Frame, StopReason } from './frame.ts';
import { keyOf } from './hoist.ts';
import { HostAnswer, type HostNode, hostReason, partsOf } from './host.ts';
import { type Code, type Import, Op, Type } from './wasm.ts';

/** A value on demand. Pushes i32 for BOOLEAN (0 or 1), INT, DATE and text (the view's address), else i64 or f64. */
export interface Emitted {
  readonly storage: StorageKind;
  push(): void;
  /** Pushes 1 for NULL; null: it never is. */
  readonly isNull: (() => void) | null;
}

/** A column, or a table of results by dictionary code. */
export interface Source {
  readonly locals: ColumnLocals;
  readonly nullable: boolean;
  readonly coded: boolean;
}
export interface Table {
  /** The column whose codes index the table. */
  readonly codes: Source;
  readonly values: number;
  /** Bitmap local, -1: no entry's result is NULL. */
  readonly validity: number;
}

/** What a dear part came to in this row, and whether it was computed yet: locals. */
export interface Memo {
  readonly done: number;
  readonly value: number;
  /** −1: it is never NULL. */
  readonly isNull: number;
}

export interface EmitContext {
  readonly code: Code;
  /** Local of the block's address. */
  readonly block: number;
  readonly row: number;
  readonly room: number;
  readonly roomEnd: number;
  readonly frame: Frame;
  readonly columns: ReadonlyMap<number, Source>;
  /** By `keyOf`. */
  readonly tables: ReadonlyMap<string, Table>;
  readonly hostNodes: HostNode[];
  /** Dear parts that stand in several places, by `keyOf`: computed at the first that a row comes to. */
  readonly memos: ReadonlyMap<string, Memo>;
  /** Emits the end of the call at this row. */
  stop(reason: StopReason): void;
}

const hostCall: Import = { name: 'host', params: [Type.i32], result: Type.i32 };

export interface Emitter {
  readonly context: EmitContext;
  readonly code: Code;
  emit(expr: Expr): Emitted;
  /** Pushes 1 where the BOOLEAN is TRUE, 0 where it is FALSE or NULL. */
  pushTrue(expr: Expr): void;
  /** Runs what it emits in a branch of its own: nothing computed there is known outside. */
  scoped(body: () => void): void;
  /** A fresh local that holds what is on the stack. */
  keep(type: Type): number;
  /** Fails the row if the stack says so and none of the arguments is NULL. */
  failIf(args: readonly Emitted[]): void;
  /** Pushes whether any is NULL; null if none can be. */
  anyNull(args: readonly Emitted[]): (() => void) | null;
  /** Emits `body` where no argument is NULL. */
  whenPresent(isNull: (() => void) | null, body: () => void): void;
  /** Pushes the address of a place in the frame. */
  pushPlace(place: number): void;
  /** Takes the room's new start from the stack (0: full). */
  takeRoom(): void;
  /** A call of the reference implementation. */
  host(expr: Extract<Expr, { kind: 'call' | 'cast' }>, args: readonly Emitted[]): Emitted;
}

export function emitter(context: EmitContext): Emitter {
  const { code } = context;
  let known: Map<string, Emitted>[] = [new Map()];

  const self: Emitter = {
    context,
    code,
    emit(expr) {
      const key = keyOf(expr);
      for (const scope of known) {
        const found = scope.get(key);
        if (found) return found;
      }
      const table = context.tables.get(key);
      const memo = context.memos.get(key);
      const made = table ? fromTable(table, storageOf(expr.type)) : memo ? emitOnce(memo, expr) : emitNode(expr);
      known[0]?.set(key, made);
      return made;
    },
    pushTrue(expr) {
      if (expr.kind === 'call' && expr.fn === 'and' && !expr.args.some(canFail) && !expr.args.some(isCostly)) {
        for (const [i, arg] of expr.args.entries()) {
          self.pushTrue(arg);
          if (i > 0) code.op(Op.i32And);
        }
        return;
      }
      const value = self.emit(expr);
      value.push();
      if (value.isNull) {
        value.isNull();
        code.op(Op.i32Eqz, Op.i32And);
      }
    },
    scoped(body) {
      const outside = known;
      known = [new Map(), ...outside];
      body();
      known = outside;
    },
    keep(type) {
      const local = code.local(type);
      code.set(local);
      return local;
    },
    failIf(args) {
      const isNull = self.anyNull(args);
      if (isNull) {
        isNull();
        code.op(Op.i32Eqz, Op.i32And);
      }
      code.if(() => context.stop(StopReason.badRow));
    },
    anyNull(args) {
      const nulls = args.map((a) => a.isNull).filter((n) => n !== null);
      if (nulls.length === 0) return null;
      if (nulls.length === 1) return nulls[0] as () => void;
      for (const [i, push] of nulls.entries()) {
        push();
        if (i > 0) code.op(Op.i32Or);
      }
      const local = self.keep(Type.i32);
      return () => code.get(local);
    },
    whenPresent(isNull, body) {
      if (isNull === null) {
        body();
        return;
      }
      isNull();
      code.op(Op.i32Eqz).if(() => self.scoped(body));
    },
    pushPlace(place) {
      code.get(context.block).i32(place).op(Op.i32Add);
    },
    takeRoom() {
      const next = self.keep(Type.i32);
      code
        .get(next)
        .op(Op.i32Eqz)
        .if(() => context.stop(StopReason.roomFull));
      code.get(next).set(context.room);
    },
    host(expr, args) {
      const key = `host ${keyOf(expr)}`;
      const node: HostNode = {
        expr,
        args: context.frame.place(`${key} args`, 16 * Math.max(args.length, 1)),
        result: context.frame.place(`${key} result`, 16),
      };
      const index = context.hostNodes.push(node) - 1;
      const storage = storageOf(expr.type);
      const value = code.local(wasmTypes[storage]);
      const isNull = code.local(Type.i32);
      const argsNull = self.anyNull(args);
      code.i32(1).set(isNull);
      self.whenPresent(argsNull, () => {
        for (const [i, arg] of args.entries()) {
          code.get(context.block);
          arg.push();
          code.store(arg.storage === 'i64' || arg.storage === 'f64' ? arg.storage : 'i32', node.args + 16 * i);
        }
        code.get(context.block).get(context.room).store('i32', Block.room);
        code.i32(index).call(hostCall);
        const answer = self.keep(Type.i32);
        code
          .get(answer)
          .i32(HostAnswer.failed)
          .op(Op.i32Eq)
          .if(() => context.stop(StopReason.badRow));
        code
          .get(answer)
          .i32(HostAnswer.roomFull)
          .op(Op.i32Eq)
          .if(() => context.stop(StopReason.roomFull));
        code.get(context.block).load('i32', Block.room).set(context.room);
        if (storage === 'view') self.pushPlace(node.result);
        else code.get(context.block).load(storage === 'bit' ? 'i32' : storage, node.result);
        code.set(value).get(answer).i32(HostAnswer.null).op(Op.i32Eq).set(isNull);
      });
      // A null view must be one that can be looked at.
      if (storage === 'view') {
        self.pushPlace(node.result);
        code.set(value);
      }
      return { storage, push: () => code.get(value), isNull: () => code.get(isNull) };
    },
  };

  function emitNode(expr: Expr): Emitted {
    switch (expr.kind) {
      case 'column':
        return emitColumn(expr);
      case 'literal':
        return emitLiteral(expr);
      case 'cast': {
        const arg = self.emit(expr.arg);
        return hostReason(expr) === null ? castEmitter(self, expr, arg) : self.host(expr, [arg]);
      }
      case 'case':
        return emitCase(expr);
      case 'call':
        return emitCall(expr);
      default:
        return unreachable(expr);
    }
  }

  function emitOnce({ done, value, isNull }: Memo, expr: Expr): Emitted {
    code
      .get(done)
      .op(Op.i32Eqz)
      .if(() =>
        self.scoped(() => {
          const inside = emitNode(expr);
          inside.push();
          code.set(value);
          if (isNull >= 0) {
            if (inside.isNull) inside.isNull();
            else code.i32(0);
            code.set(isNull);
          }
          code.i32(1).set(done);
        }),
      );
    return {
      storage: storageOf(expr.type),
      push: () => code.get(value),
      isNull: isNull < 0 ? null : () => code.get(isNull),
    };
  }

  function emitColumn(expr: Extract<Expr, { kind: 'column' }>): Emitted {
    const source = context.columns.get(expr.index);
    assert(source, `column ${expr.index} is not open`);
    const storage = storageOf(expr.type);
    let isNull: (() => void) | null = null;
    let valid = -1;
    if (source.nullable) {
      pushBit(code, source.locals.validity, context.row);
      valid = self.keep(Type.i32);
      isNull = () => code.get(valid).op(Op.i32Eqz);
    }
    if (source.coded) {
      // A null row's code may be anything: it reads entry 0.
      code.get(source.locals.views);
      pushCode(source, valid);
      code.i32(4).op(Op.i32Shl, Op.i32Add);
    } else pushValue(code, source.locals, context.row, storage, false);
    const value = self.keep(wasmTypes[storage]);
    return { storage, push: () => code.get(value), isNull };
  }

  function pushCode(source: Source, valid: number): void {
    pushAddress(code, source.locals.values, context.row, 'i32');
    code.load('i32');
    if (valid >= 0) code.i32(0).get(valid).op(Op.select);
  }

  /** What was computed for the entry that the row refers to. */
  function fromTable(table: Table, storage: StorageKind): Emitted {
    const { codes } = table;
    let valid = -1;
    if (codes.nullable) {
      pushBit(code, codes.locals.validity, context.row);
      valid = self.keep(Type.i32);
    }
    pushCode(codes, valid);
    const entry = self.keep(Type.i32);
    const locals: ColumnLocals = { values: table.values, validity: table.validity, views: -1 };
    pushValue(code, locals, entry, storage, false);
    const value = self.keep(wasmTypes[storage]);
    let isNull: (() => void) | null = null;
    if (table.validity >= 0) {
      pushBit(code, table.validity, entry);
      if (valid >= 0) code.get(valid).op(Op.i32And);
      valid = self.keep(Type.i32);
    }
    if (valid >= 0) isNull = () => code.get(valid).op(Op.i32Eqz);
    return { storage, push: () => code.get(value), isNull };
  }

  function emitLiteral(expr: Extract<Expr, { kind: 'literal' }>): Emitted {
    const storage = expr.type.kind === 'INTERVAL' ? 'i64' : storageOf(expr.type);
    const value = valueOfLiteral(expr.value, expr.type);
    const isNull = value === null ? () => code.i32(1) : null;
    switch (storage) {
      case 'bit':
      case 'i32':
        return { storage, push: () => code.i32(Number(value)), isNull };
      case 'i64':
        return { storage, push: () => code.i64((value as bigint | null) ?? 0n), isNull };
      case 'f64':
        return { storage, push: () => code.f64((value as number | null) ?? 0), isNull };
      case 'view': {
        const place = context.frame.text((value as string | null) ?? '');
        return { storage, push: () => self.pushPlace(place), isNull };
      }
    }
  }

  function emitCase(expr: Extract<Expr, { kind: 'case' }>): Emitted {
    const target = mergeTarget(expr);
    const branch = (at: number): void => {
      const { when, then } = expr.branches[at] ?? { when: null, then: expr.otherwise };
      if (when === null) {
        target.set(then);
        return;
      }
      self.pushTrue(when);
      code.if(
        () => self.scoped(() => target.set(then)),
        () => self.scoped(() => branch(at + 1)),
      );
    };
    branch(0);
    return target.emitted;
  }

  /** Locals that branches write their result to. */
  function mergeTarget(expr: Expr): { emitted: Emitted; set(from: Expr): void; isNull: number } {
    const storage = storageOf(expr.type);
    const value = code.local(wasmTypes[storage]);
    const isNull = expr.nullable ? code.local(Type.i32) : -1;
    return {
      isNull,
      emitted: { storage, push: () => code.get(value), isNull: expr.nullable ? () => code.get(isNull) : null },
      set(from) {
        const result = self.emit(from);
        result.push();
        code.set(value);
        if (isNull < 0) return;
        if (result.isNull) result.isNull();
        else code.i32(0);
        code.set(isNull);
      },
    };
  }

  function emitCall(expr: Extract<Expr, { kind: 'call' }>): Emitted {
    const fn = expr.fn as FunctionName;
    switch (fn) {
      case 'and':
      case 'or':
        return emitLogic(expr, fn === 'and');
      case 'coalesce': {
        const target = mergeTarget({ ...expr, nullable: true });
        const next = (at: number): void => {
          target.set(expr.args[at] as Expr);
          if (at + 1 === expr.args.length || self.emit(expr.args[at] as Expr).isNull === null) return;
          code.get(target.isNull).if(() => self.scoped(() => next(at + 1)));
        };
        next(0);
        return expr.nullable ? target.emitted : { ...target.emitted, isNull: null };
      }
      case 'in':
        return emitIn(expr);
      case 'isNull':
      case 'isNotNull': {
        const { isNull } = self.emit(expr.args[0] as Expr);
        const push = (): void => {
          if (isNull) isNull();
          else code.i32(0);
          if (fn === 'isNotNull') code.op(Op.i32Eqz);
        };
        return { storage: 'bit', push, isNull: null };
      }
      default: {
        const args = evaluateStrict(isUserCall(expr) ? userArguments(expr) : expr.args);
        return hostReason(expr) === null ? functionEmitters[fn](self, expr, args) : self.host(expr, args);
      }
    }
  }

  /**
   * Arguments from left to right. The reference stops at the first NULL, so an argument that can raise an error is only
   * evaluated where those before it are not NULL.
   */
  function evaluateStrict(exprs: readonly Expr[]): readonly Emitted[] {
    const args: Emitted[] = [];
    for (const expr of exprs) {
      const before = canFail(expr) ? self.anyNull(args) : null;
      if (before === null) {
        args.push(self.emit(expr));
        continue;
      }
      const storage = storageOf(expr.type);
      const value = code.local(wasmTypes[storage]);
      const isNull = code.local(Type.i32);
      if (storage === 'view') {
        self.pushPlace(context.frame.text(''));
        code.set(value);
      }
      code.i32(1).set(isNull);
      self.whenPresent(before, () => {
        const inside = self.emit(expr);
        inside.push();
        code.set(value);
        if (inside.isNull) inside.isNull();
        else code.i32(0);
        code.set(isNull);
      });
      args.push({ storage, push: () => code.get(value), isNull: () => code.get(isNull) });
    }
    return args;
  }

  /** Three-valued: `decided` once an argument decides, `unknown` once one is NULL. */
  function emitLogic(expr: Extract<Expr, { kind: 'call' }>, isAnd: boolean): Emitted {
    const decided = code.local(Type.i32);
    const unknown = expr.nullable ? code.local(Type.i32) : -1;
    const take = (arg: Expr, first: boolean): void => {
      const { push, isNull } = self.emit(arg);
      push();
      if (isAnd) code.op(Op.i32Eqz);
      if (isNull) {
        isNull();
        code.op(Op.i32Eqz, Op.i32And);
      }
      if (!first) code.get(decided).op(Op.i32Or);
      code.set(decided);
      if (unknown < 0) return;
      if (isNull) isNull();
      else code.i32(0);
      if (!first) code.get(unknown).op(Op.i32Or);
      code.set(unknown);
    };
    const isCheap = (arg: Expr): boolean => context.tables.has(keyOf(arg));
    for (const [i, arg] of inOrder(expr.args, isCheap).entries()) {
      if (i > 0 && (canFail(arg) || isCostly(arg)))
        code
          .get(decided)
          .op(Op.i32Eqz)
          .if(() => self.scoped(() => take(arg, false)));
      else take(arg, i === 0);
    }
    const push = (): void => {
      code.get(decided);
      if (isAnd) code.op(Op.i32Eqz);
    };
    if (unknown < 0) return { storage: 'bit', push, isNull: null };
    return { storage: 'bit', push, isNull: () => code.get(unknown).get(decided).op(Op.i32Eqz, Op.i32And) };
  }

  function emitIn(expr: Extract<Expr, { kind: 'call' }>): Emitted {
    const subject = self.emit(expr.args[0] as Expr);
    const found = code.local(Type.i32);
    const unknown = expr.nullable ? code.local(Type.i32) : -1;
    code.i32(0).set(found);
    if (unknown >= 0) code.i32(0).set(unknown);
    const test = (arg: Expr): void => {
      const other = self.emit(arg);
      const same = functionEmitters.eq(self, { ...expr, args: [expr.args[0] as Expr, arg] }, [
        { ...subject, isNull: null },
        other,
      ]);
      same.push();
      if (other.isNull) {
        other.isNull();
        code.op(Op.i32Eqz, Op.i32And);
        if (unknown >= 0) {
          code.get(unknown);
          other.isNull();
          code.op(Op.i32Or).set(unknown);
        }
      }
      code.get(found).op(Op.i32Or).set(found);
    };
    self.whenPresent(subject.isNull, () => {
      for (const arg of expr.args.slice(1)) {
        if (canFail(arg) || isCostly(arg))
          code
            .get(found)
            .op(Op.i32Eqz)
            .if(() => self.scoped(() => test(arg)));
        else test(arg);
      }
    });
    if (unknown < 0) return { storage: 'bit', push: () => code.get(found), isNull: null };
    const isNull = (): void => {
      code.get(unknown).get(found).op(Op.i32Eqz, Op.i32And);
      if (subject.isNull) {
        subject.isNull();
        code.op(Op.i32Or);
      }
    };
    return { storage: 'bit', push: () => code.get(found), isNull };
  }

  return self;
}

/** Worth a branch to save it: anything that reads text, or leaves the loop. */
function isCostly(expr: Expr): boolean {
  if (expr.kind === 'column' || expr.kind === 'literal') return false;
  if (hostReason(expr) !== null) return true;
  const parts = partsOf(expr);
  if (
    parts.some(
      (p) => p.type.kind === 'VARCHAR' && expr.kind === 'call' && expr.fn !== 'isNull' && expr.fn !== 'isNotNull',
    )
  )
    return true;
  return parts.some(isCostly);
}
