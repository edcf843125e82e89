/**
 * The loops of aggregate.ts as WebAssembly. Every module exports `run(parameters)`; the parameter block is u32 rows,
 * u32 n, u32 entries, u32 kinds, and columns (columns.ts) from byte 64 on. Updates are branch-free but for text: a row
 * that does not count adds 0 or the code below every value.
 */
import type { AggregateCall } from '../expr/tree.ts';
import { decimalDigitsMax } from '../record/decimal.ts';
import type { StorageKind } from '../record/layout.ts';
import type { AccumulatorField, AccumulatorLayout } from './accumulators.ts';
import {
  type ColumnLocals,
  columnParameterBytes,
  openColumn,
  orBit,
  pushAddress,
  pushBit,
  pushValue,
} from './columns.ts';
import { type Code, type Import, ModuleBuilder, Op, Type } from './wasm.ts';

/** What `run` answers, or-ed. */
export const UpdateFlag = { overflow: 1, retracted: 2 } as const;

export interface Compiled {
  readonly bytes: Uint8Array;
  readonly imports: readonly string[];
}

const viewCompare: Import = { name: 'viewCompare', params: [Type.i32, Type.i32], result: Type.i32 };
/** A table copies a text for a target of its own. */
export const keepText: Import = { name: 'keepText', params: [Type.i32, Type.i32], result: null };
const decimalDivide: Import = {
  name: 'decimalDivide',
  params: [Type.i64, Type.i64, Type.i64, Type.i64],
  result: Type.i64,
};
const signBit = -(2n ** 63n);

/** Leaf columns that an update reads, ascending. */
export function usedColumns(layout: AccumulatorLayout): readonly number[] {
  const used = new Set<number>();
  for (const field of layout.fields) {
    if (field.arg !== null) used.add(field.arg);
    if (field.filter !== null) used.add(field.filter);
  }
  return [...used].sort((a, b) => a - b);
}

/** Locals of the turn of a loop over rows. */
export interface Loop {
  readonly code: Code;
  readonly k: number;
  /** Row number and entry address (accumulators' start) of turn k. */
  readonly row: number;
  readonly entry: number;
  /** 1 when the row is taken away; -1 without kinds. */
  readonly retract: number;
  /** i64, negative when a sum overflowed. */
  readonly overflow: number;
  /** 1 when MIN or MAX met a retraction. */
  readonly refused: number;
  /** Locals that hold fields while all rows go to one entry; fields that are not here are in the entry. */
  readonly cells?: ReadonlyMap<AccumulatorField, number>;
}

/** A module whose `run` turns n times; `prepare` runs once and answers the turn's body. */
export function loopOver(
  options: { rows: boolean; kinds: boolean; entries: boolean; accumulatorOffset: number },
  prepare: (loop: Loop) => () => void,
): Compiled {
  const module = new ModuleBuilder();
  const code = module.function('run', [Type.i32], Type.i32);
  const i32 = () => code.local(Type.i32);
  const [rows, n, entries, kinds, k, row, entry, retract, refused] = [
    i32(),
    i32(),
    i32(),
    i32(),
    i32(),
    i32(),
    i32(),
    i32(),
    i32(),
  ];
  const overflow = code.local(Type.i64);
  code
    .get(0)
    .load('i32', 0)
    .set(rows)
    .get(0)
    .load('i32', 4)
    .set(n)
    .get(0)
    .load('i32', 8)
    .set(entries)
    .get(0)
    .load('i32', 12)
    .set(kinds);
  const body = prepare({ code, k, row, entry, retract: options.kinds ? retract : -1, overflow, refused });
  code.get(n).if(() => {
    code.loop(() => {
      if (options.rows) code.get(rows).get(k).i32(2).op(Op.i32Shl, Op.i32Add).load('i32').set(row);
      else code.get(k).set(row);
      if (options.entries) {
        code
          .get(entries)
          .get(k)
          .i32(2)
          .op(Op.i32Shl, Op.i32Add)
          .load('i32')
          .i32(options.accumulatorOffset)
          .op(Op.i32Add)
          .set(entry);
      }
      // −U and −D are the odd kinds.
      if (options.kinds) code.get(kinds).get(row).op(Op.i32Add).load('i32u8').i32(1).op(Op.i32And).set(retract);
      body();
      code.get(k).i32(1).op(Op.i32Add).tee(k).get(n).op(Op.i32LtU).branchIf(0);
    });
  });
  code.get(overflow).i64(0n).op(Op.i64LtS).get(refused).i32(1).op(Op.i32Shl, Op.i32Or);
  return { bytes: module.bytes(), imports: module.imports };
}

export function compileUpdate(
  layout: AccumulatorLayout,
  used: readonly number[],
  shape: string,
  accumulatorOffset: number,
  rows: boolean,
  kinds: boolean,
): Compiled {
  return loopOver({ rows, kinds, entries: true, accumulatorOffset }, (loop) => {
    const inputs = openInputs(loop.code, 64, used, shape);
    return () => {
      const conditions = conditionsOf(loop, inputs);
      for (const field of layout.fields) {
        const { counts } = conditions(field);
        if (field.storage === 'view') updateText(loop, field, counts, () => pushInput(loop, inputs, field));
        else addTo(loop, field, field.storage, counts, () => pushInput(loop, inputs, field), false);
      }
    };
  });
}

/** Rows of one turn of `compileUpdateOne`: as many sums of doubles go on side by side, since each waits for its last. */
const lanes = 4;

/**
 * As `compileUpdate` where every row goes to one entry, whose address stands in place of `entries`: fields are in locals
 * during the call. Without row kinds and without text.
 */
export function compileUpdateOne(
  layout: AccumulatorLayout,
  used: readonly number[],
  shape: string,
  accumulatorOffset: number,
  rows: boolean,
): Compiled {
  const module = new ModuleBuilder();
  const code = module.function('run', [Type.i32], Type.i32);
  const i32 = () => code.local(Type.i32);
  const [list, n, entry, k, row] = [i32(), i32(), i32(), i32(), i32()];
  const overflow = code.local(Type.i64);
  code.get(0).load('i32', 0).set(list).get(0).load('i32', 4).set(n);
  code.get(0).load('i32', 8).i32(accumulatorOffset).op(Op.i32Add).set(entry);
  const inputs = openInputs(code, 64, used, shape);
  const whole: Loop = { code, k, row, entry, retract: -1, overflow, refused: -1 };
  const isDouble = (field: AccumulatorField): boolean => field.kind === 'sum' && field.storage === 'f64';
  const shared = new Map(layout.fields.filter((f) => !isDouble(f)).map((f) => [f, code.local(Type.i64)]));
  const lane = Array.from({ length: lanes }, (): Loop => {
    const own = layout.fields.filter(isDouble).map((f): [AccumulatorField, number] => [f, code.local(Type.f64)]);
    return { ...whole, row: code.local(Type.i32), cells: new Map([...shared, ...own]) };
  });
  for (const [field, cell] of shared) code.get(entry).load('i64', field.offset).set(cell);
  const step = (loop: Loop, i: number): void => {
    if (rows)
      code
        .get(list)
        .get(k)
        .i32(2)
        .op(Op.i32Shl, Op.i32Add)
        .load('i32', 4 * i)
        .set(loop.row);
    else code.get(k).i32(i).op(Op.i32Add).set(loop.row);
    const conditions = conditionsOf(loop, inputs);
    for (const field of layout.fields) {
      const { counts } = conditions(field);
      // Every row counts: n are added at once.
      if (field.kind === 'count' && counts < 0) continue;
      addTo(loop, field, field.storage, counts, () => pushInput(loop, inputs, field), false);
    }
  };
  const conditions = conditionsOf(whole, inputs, true);
  for (const [field, cell] of shared) {
    if (field.kind === 'count' && conditions(field).counts < 0)
      code.get(cell).get(n).op(Op.i64ExtendI32U, Op.i64Add).set(cell);
  }
  const turns = (by: number): void => {
    code.block(() => {
      code.loop(() => {
        code.get(k).i32(by).op(Op.i32Add).get(n).op(Op.i32GtU).branchIf(1);
        for (let i = 0; i < by; i++) step(lane[i] as Loop, i);
        code.get(k).i32(by).op(Op.i32Add).set(k).branch(0);
      });
    });
  };
  turns(lanes);
  turns(1);
  for (const [field, cell] of shared) code.get(entry).get(cell).store('i64', field.offset);
  for (const field of layout.fields.filter(isDouble)) {
    code.get(entry).get(entry).load('f64', field.offset);
    for (const { cells } of lane) code.get(cells?.get(field) as number).op(Op.f64Add);
    code.store('f64', field.offset);
  }
  code.get(overflow).i64(0n).op(Op.i64LtS);
  return { bytes: module.bytes(), imports: module.imports };
}

export function compileMerge(
  layout: AccumulatorLayout,
  shape: string,
  accumulatorOffset: number,
  rows: boolean,
): Compiled {
  return loopOver({ rows, kinds: false, entries: true, accumulatorOffset }, (loop) => {
    const indices = layout.fields.map((_, i) => i);
    const inputs = openInputs(loop.code, 64, indices, shape);
    return () => {
      for (const [i, field] of layout.fields.entries()) {
        const input = inputs.get(i) as Input;
        const counts = input.nullable ? validityOf(loop, input) : -1;
        const storage =
          field.kind === 'count'
            ? 'i64'
            : field.kind === 'sum'
              ? field.storage === 'f64'
                ? 'f64'
                : 'i64'
              : (field.storage as StorageKind);
        const push = () => pushValue(loop.code, input.locals, loop.row, storage, input.coded);
        if (storage === 'view') updateText(loop, field, counts, push);
        else addTo(loop, field, storage, counts, push, true);
      }
    };
  });
}

export function compileMergeEntries(layout: AccumulatorLayout, accumulatorOffset: number): Compiled {
  // `rows` is the list of source entries: the row number is the source's address.
  return loopOver({ rows: true, kinds: false, entries: true, accumulatorOffset }, (loop) => {
    const { code } = loop;
    const from = code.local(Type.i32);
    return () => {
      code.get(loop.row).i32(accumulatorOffset).op(Op.i32Add).set(from);
      for (const field of layout.fields) {
        const { offset } = field;
        if (field.storage === 'view') {
          const has = code.local(Type.i32);
          code.get(from).load('i32', offset).set(has);
          updateText(loop, field, has, () =>
            code
              .get(from)
              .i32(offset + 8)
              .op(Op.i32Add),
          );
        } else if (field.kind === 'min' || field.kind === 'max') {
          // Already in code.
          keepLarger(loop, field, () => code.get(from).load('i64', offset));
        } else {
          const storage = field.storage === 'f64' ? 'f64' : 'i64';
          addTo(loop, field, storage, -1, () => code.get(from).load(storage, offset), true);
        }
      }
    };
  });
}

export function compileFinish(
  layout: AccumulatorLayout,
  calls: readonly AggregateCall[],
  asked: string,
  accumulatorOffset: number,
): Compiled {
  return loopOver({ rows: false, kinds: false, entries: true, accumulatorOffset }, (loop) => {
    const outputs = openOutputs(loop.code, asked);
    return () => {
      for (const [i, call] of calls.entries()) {
        const { count, value } = layout.calls[i] as { count: number; value: number };
        const counted = layout.fields[count] as AccumulatorField;
        const field = layout.fields[value] as AccumulatorField;
        const output = outputs[i] as Output;
        const { code } = loop;
        if (call.fn === 'avg' && call.type.kind === 'DECIMAL') {
          // No average has more digits ahead of the point than its argument: it is never outside.
          const up = call.type.scale - (call.argType as typeof call.type).scale;
          pushAddress(code, output.values, loop.row, 'i64');
          code
            .get(loop.entry)
            .load('i64', field.offset)
            .i64(10n ** BigInt(up))
            .i64(1n);
          code.get(loop.entry).load('i64', counted.offset).call(decimalDivide).store('i64');
        } else if (call.fn === 'avg') {
          pushAddress(code, output.values, loop.row, 'f64');
          if (field.storage === 'f64') code.get(loop.entry).load('f64', field.offset);
          else code.get(loop.entry).load('i64', field.offset).op(Op.f64ConvertI64S);
          code.get(loop.entry).load('i64', counted.offset).op(Op.f64ConvertI64S, Op.f64Div).store('f64');
        } else writeField(loop, field, output);
        if (output.nullable) {
          const valid = code.local(Type.i32);
          code.get(loop.entry).load('i64', counted.offset).i64(0n).op(Op.i64Ne).set(valid);
          if (call.fn === 'count') code.i32(1).set(valid);
          orBit(code, output.validity, loop.row, valid, output.scratch);
        }
      }
    };
  });
}

export function compileExport(layout: AccumulatorLayout, asked: string, accumulatorOffset: number): Compiled {
  return loopOver({ rows: false, kinds: false, entries: true, accumulatorOffset }, (loop) => {
    const outputs = openOutputs(loop.code, asked);
    return () => {
      for (const [i, field] of layout.fields.entries()) {
        const output = outputs[i] as Output;
        writeField(loop, field, output);
        if (output.nullable) {
          const valid = loop.code.local(Type.i32);
          pushHas(loop, layout, field);
          loop.code.set(valid);
          orBit(loop.code, output.validity, loop.row, valid, output.scratch);
        }
      }
    };
  });
}

export function compileRowsToPartials(
  layout: AccumulatorLayout,
  used: readonly number[],
  shape: string,
  asked: string,
  rows: boolean,
  kinds: boolean,
): Compiled {
  return loopOver({ rows, kinds, entries: false, accumulatorOffset: 0 }, (loop) => {
    const { code } = loop;
    const outputs = openOutputs(code, asked);
    const inputs = openInputs(code, 64 + asked.length * columnParameterBytes, used, shape);
    const at = { ...loop, row: loop.k };
    return () => {
      const conditions = conditionsOf(loop, inputs);
      for (const [i, field] of layout.fields.entries()) {
        const output = outputs[i] as Output;
        const { counts } = conditions(field);
        if (field.kind === 'count' || field.kind === 'sum') {
          const storage = field.storage === 'f64' ? 'f64' : 'i64';
          const value = code.local(storage === 'f64' ? Type.f64 : Type.i64);
          if (field.kind === 'count') code.i64(1n).set(value);
          else {
            pushInput(loop, inputs, field);
            if (field.storage === 'i32') code.op(Op.i64ExtendI32S);
            code.set(value);
          }
          const zero = () => (storage === 'f64' ? code.f64(0) : code.i64(0n));
          if (counts >= 0) {
            code.get(value);
            zero();
            code.get(counts).op(Op.select).set(value);
          }
          if (loop.retract >= 0) {
            if (storage === 'f64') code.get(value).op(Op.f64Neg);
            else code.i64(0n).get(value).op(Op.i64Sub);
            code.get(value).get(loop.retract).op(Op.select).set(value);
          }
          pushAddress(code, output.values, at.row, storage);
          code.get(value).store(storage);
          if (output.nullable) setBit(loop, output, at.row, -1);
          continue;
        }
        if (loop.retract >= 0) code.get(loop.refused).get(loop.retract).op(Op.i32Or).set(loop.refused);
        const write = () => {
          if (field.storage === 'bit') {
            const bit = code.local(Type.i32);
            pushInput(loop, inputs, field);
            code.set(bit);
            orBit(code, output.values, at.row, bit, output.scratch);
          } else if (field.storage === 'view') {
            pushAddress(code, output.values, at.row, 'view');
            pushInput(loop, inputs, field);
            code.loadVector().storeVector();
          } else {
            pushAddress(code, output.values, at.row, field.storage as 'i32');
            pushInput(loop, inputs, field);
            code.store(field.storage as 'i32');
          }
        };
        if (counts >= 0)
          code.get(counts).if(write, field.storage === 'view' ? () => clearView(loop, output, at.row) : undefined);
        else write();
        if (output.nullable) setBit(loop, output, at.row, counts);
      }
    };
  });
}

// ── inputs ──

export interface Input {
  readonly locals: ColumnLocals;
  readonly nullable: boolean;
  readonly coded: boolean;
}

export function openInputs(
  code: Code,
  at: number,
  indices: readonly number[],
  shape: string,
): ReadonlyMap<number, Input> {
  return new Map(
    indices.map((index, i) => {
      const key = shape[i] as string;
      const of = { nullable: key === 'V' || key === 'D', coded: key === 'd' || key === 'D' };
      return [index, { locals: openColumn(code, 0, at + i * columnParameterBytes, of), ...of }];
    }),
  );
}

function pushInput(loop: Loop, inputs: ReadonlyMap<number, Input>, field: AccumulatorField): void {
  if (field.arg === null) return;
  const input = inputs.get(field.arg) as Input;
  pushValue(loop.code, input.locals, loop.row, field.storage as StorageKind, input.coded);
}

/** Leaves the row's value, a view's address, of an input on the stack. */
export function pushInputValue(loop: Loop, input: Input, storage: StorageKind): void {
  pushValue(loop.code, input.locals, loop.row, storage, input.coded);
}

export function validityOf(loop: Loop, input: Input): number {
  const local = loop.code.local(Type.i32);
  pushBit(loop.code, input.locals.validity, loop.row);
  loop.code.set(local);
  return local;
}

/**
 * Per field: a local that is 1 when the row counts for it, -1 when every row does. Equal conditions share a local.
 * `askOnly` emits nothing: 0 stands for the local.
 */
function conditionsOf(
  loop: Loop,
  inputs: ReadonlyMap<number, Input>,
  askOnly = false,
): (field: AccumulatorField) => { readonly counts: number } {
  const known = new Map<string, number>();
  return (field) => {
    const argNullable = field.arg !== null && (inputs.get(field.arg) as Input).nullable;
    const key = `${field.filter}/${argNullable ? field.arg : ''}`;
    let counts = known.get(key);
    if (counts === undefined) {
      counts = -1;
      if (askOnly) return { counts: field.filter !== null || argNullable ? 0 : -1 };
      if (field.filter !== null || argNullable) {
        const { code } = loop;
        let terms = 0;
        const and = () => {
          if (terms++ > 0) code.op(Op.i32And);
        };
        if (field.filter !== null) {
          const filter = inputs.get(field.filter) as Input;
          pushBit(code, filter.locals.values, loop.row);
          and();
          if (filter.nullable) {
            pushBit(code, filter.locals.validity, loop.row);
            and();
          }
        }
        if (argNullable) {
          pushBit(code, (inputs.get(field.arg as number) as Input).locals.validity, loop.row);
          and();
        }
        counts = code.local(Type.i32);
        code.set(counts);
      }
      known.set(key, counts);
    }
    return { counts };
  };
}

// ── accumulators ──

const cellAccess = (field: AccumulatorField): 'i64' | 'f64' =>
  field.kind === 'sum' && field.storage === 'f64' ? 'f64' : 'i64';

function pushCell(loop: Loop, field: AccumulatorField): void {
  const cell = loop.cells?.get(field);
  if (cell === undefined) loop.code.get(loop.entry).load(cellAccess(field), field.offset);
  else loop.code.get(cell);
}

function storeCell(loop: Loop, field: AccumulatorField, push: () => void): void {
  const cell = loop.cells?.get(field);
  if (cell === undefined) {
    loop.code.get(loop.entry);
    push();
    loop.code.store(cellAccess(field), field.offset);
    return;
  }
  push();
  loop.code.set(cell);
}

/** Adds what `push` leaves (of `storage`) to the field. `partial`: counts are added as values, too. */
function addTo(
  loop: Loop,
  field: AccumulatorField,
  storage: StorageKind | null,
  counts: number,
  push: () => void,
  partial: boolean,
): void {
  const { code } = loop;
  if (field.kind === 'count' && !partial) {
    storeCell(loop, field, () => {
      pushCell(loop, field);
      if (counts < 0) code.i64(1n);
      else code.get(counts).op(Op.i64ExtendI32U);
      if (loop.retract >= 0) {
        const by = code.local(Type.i64);
        code.set(by).get(by).i64(0n).get(by).op(Op.i64Sub).get(loop.retract).op(Op.i32Eqz, Op.select);
      }
      code.op(Op.i64Add);
    });
    return;
  }
  if (field.kind === 'min' || field.kind === 'max') {
    if (loop.retract >= 0) code.get(loop.refused).get(loop.retract).op(Op.i32Or).set(loop.refused);
    keepLarger(loop, field, () => {
      push();
      encode(code, storage as StorageKind);
      if (field.kind === 'min') code.i64(-1n).op(Op.i64Xor);
      if (counts >= 0) code.i64(0n).get(counts).op(Op.select);
    });
    return;
  }
  if (storage === 'f64') {
    const value = code.local(Type.f64);
    push();
    if (counts >= 0) code.f64(0).get(counts).op(Op.select);
    if (loop.retract >= 0) code.set(value).get(value).op(Op.f64Neg).get(value).get(loop.retract).op(Op.select);
    code.set(value);
    storeCell(loop, field, () => {
      pushCell(loop, field);
      code.get(value).op(Op.f64Add);
    });
    return;
  }
  const [before, value, after] = [code.local(Type.i64), code.local(Type.i64), code.local(Type.i64)];
  push();
  if (storage === 'i32') code.op(Op.i64ExtendI32S);
  if (counts >= 0) code.i64(0n).get(counts).op(Op.select);
  code.set(value);
  pushCell(loop, field);
  code.set(before);
  const noteOverflow = (): void => {
    code.op(Op.i64And).get(loop.overflow).op(Op.i64Or).set(loop.overflow);
  };
  const add = () => {
    code.get(before).get(value).op(Op.i64Add).set(after);
    // Both operands differ in sign from the result.
    code.get(before).get(after).op(Op.i64Xor).get(value).get(after).op(Op.i64Xor);
    noteOverflow();
  };
  const subtract = () => {
    code.get(before).get(value).op(Op.i64Sub).set(after);
    code.get(before).get(value).op(Op.i64Xor).get(before).get(after).op(Op.i64Xor);
    noteOverflow();
  };
  if (loop.retract < 0) add();
  else code.get(loop.retract).if(subtract, add);
  if (field.kind === 'sum' && field.type.kind === 'DECIMAL') {
    // More than 18 digits: the sign bit says so, as above.
    const most = 10n ** BigInt(decimalDigitsMax) - 1n;
    code
      .get(after)
      .i64(most)
      .op(Op.i64Add)
      .i64(2n * most)
      .op(Op.i64GtU, Op.i64ExtendI32U)
      .i64(63n)
      .op(Op.i64Shl)
      .get(loop.overflow)
      .op(Op.i64Or)
      .set(loop.overflow);
  }
  storeCell(loop, field, () => code.get(after));
}

function keepLarger(loop: Loop, field: AccumulatorField, push: () => void): void {
  const { code } = loop;
  const [had, next] = [code.local(Type.i64), code.local(Type.i64)];
  push();
  code.set(next);
  pushCell(loop, field);
  code.set(had);
  storeCell(loop, field, () => code.get(next).get(had).get(next).get(had).op(Op.i64GtU, Op.select));
}

/** From the stack's value to its order-preserving code. */
function encode(code: Code, storage: StorageKind): void {
  if (storage === 'f64') {
    const value = code.local(Type.f64);
    const bits = code.local(Type.i64);
    code
      .set(value)
      .get(value)
      .op(Op.i64ReinterpretF64)
      .i64(0x7ff8000000000000n)
      .get(value)
      .get(value)
      .op(Op.f64Eq, Op.select)
      .set(bits);
    code.get(bits).get(bits).i64(63n).op(Op.i64ShrS).i64(signBit).op(Op.i64Or, Op.i64Xor);
    return;
  }
  if (storage !== 'i64') code.op(Op.i64ExtendI32S);
  code.i64(signBit).op(Op.i64Xor);
}

function decode(code: Code, storage: StorageKind): void {
  if (storage === 'f64') {
    const bits = code.local(Type.i64);
    code
      .set(bits)
      .get(bits)
      .get(bits)
      .i64(63n)
      .op(Op.i64ShrU)
      .i64(1n)
      .op(Op.i64Sub)
      .i64(signBit)
      .op(Op.i64Or, Op.i64Xor, Op.f64ReinterpretI64);
    return;
  }
  code.i64(signBit).op(Op.i64Xor);
  if (storage !== 'i64') code.op(Op.i32WrapI64);
}

function updateText(loop: Loop, field: AccumulatorField, counts: number, push: () => void): void {
  const { code, entry } = loop;
  const { offset } = field;
  const view = code.local(Type.i32);
  if (loop.retract >= 0) code.get(loop.refused).get(loop.retract).op(Op.i32Or).set(loop.refused);
  const update = () => {
    push();
    code.set(view);
    // Kept when it is the first or beats what is there.
    const better = code.local(Type.i32);
    code.i32(1).set(better);
    code
      .get(entry)
      .load('i32', offset)
      .if(() => {
        code
          .get(view)
          .get(entry)
          .i32(offset + 8)
          .op(Op.i32Add)
          .call(viewCompare)
          .i32(0);
        code.op(field.kind === 'min' ? Op.i32LtS : Op.i32GtS).set(better);
      });
    code.get(better).if(() => {
      code.get(entry).i32(1).store('i32', offset);
      code
        .get(view)
        .load('i32')
        .i32(12)
        .op(Op.i32GtU)
        // Also where a long one is replaced, whose room is the table's again.
        .get(entry)
        .load('i32', offset + 8)
        .i32(12)
        .op(Op.i32GtU, Op.i32Or)
        .if(
          () =>
            code
              .get(entry)
              .i32(offset + 8)
              .op(Op.i32Add)
              .get(view)
              .call(keepText),
          () =>
            code
              .get(entry)
              .get(view)
              .loadVector()
              .storeVector(offset + 8),
        );
    });
  };
  if (counts < 0) update();
  else code.get(counts).if(update);
}

// ── results ──

export interface Output {
  readonly values: number;
  readonly validity: number;
  readonly nullable: boolean;
  readonly scratch: number;
}

export function openOutputs(code: Code, asked: string): readonly Output[] {
  return [...asked].map((key, i) => {
    const nullable = key === 'V';
    const locals = openColumn(code, 0, 64 + i * columnParameterBytes, { nullable, coded: false });
    return { values: locals.values, validity: locals.validity, nullable, scratch: code.local(Type.i32) };
  });
}

/** Leaves 1 when the field holds something. */
function pushHas(loop: Loop, layout: AccumulatorLayout, field: AccumulatorField): void {
  const { code, entry } = loop;
  if (field.kind === 'count' || field.kind === 'sum') code.i32(1);
  else if (field.storage === 'view') code.get(entry).load('i32', field.offset);
  else {
    // The count that the call shares: of this argument, or of rows.
    const counted = layout.calls.find((c) => layout.fields[c.value] === field) as { count: number };
    code
      .get(entry)
      .load('i64', (layout.fields[counted.count] as AccumulatorField).offset)
      .i64(0n)
      .op(Op.i64Ne);
  }
}

function writeField(loop: Loop, field: AccumulatorField, output: Output): void {
  const { code, entry, row } = loop;
  const coded = field.kind === 'min' || field.kind === 'max';
  const storage: StorageKind = coded ? (field.storage as StorageKind) : field.storage === 'f64' ? 'f64' : 'i64';
  if (storage === 'view') {
    pushAddress(code, output.values, row, 'view');
    code
      .get(entry)
      .loadVector(field.offset + 8)
      .storeVector();
    return;
  }
  const push = () => {
    code.get(entry).load(coded ? 'i64' : (storage as 'i64'), field.offset);
    if (!coded) return;
    if (field.kind === 'min') code.i64(-1n).op(Op.i64Xor);
    decode(code, storage);
  };
  if (storage === 'bit') {
    const bit = code.local(Type.i32);
    push();
    code.i32(1).op(Op.i32And).set(bit);
    orBit(code, output.values, row, bit, output.scratch);
    return;
  }
  pushAddress(code, output.values, row, storage);
  push();
  code.store(storage);
}

function setBit(loop: Loop, output: Output, row: number, bit: number): void {
  const { code } = loop;
  let local = bit;
  if (local < 0) {
    local = code.local(Type.i32);
    code.i32(1).set(local);
  }
  orBit(code, output.validity, row, local, output.scratch);
}

/** The empty text, so that a null slot refers to nothing. */
function clearView(loop: Loop, output: Output, row: number): void {
  const { code } = loop;
  pushAddress(code, output.values, row, 'view');
  code.i64(0n).store('i64');
  pushAddress(code, output.values, row, 'view');
  code.i64(0n).store('i64', 8);
}
