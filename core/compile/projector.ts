/**
 * Filter and expressions over batches: compiled per shape of batch, first met, first compiled. Pass-through columns go by
 * reference, computed ones are written at the row's own number, a filter makes a selection. What depends on one
 * dictionary alone is computed per entry. Buffers are taken from the arena once. It knows no operators and no plan.
 */
import { assert } from '../base/assert.ts';
import { type ErrorCode, type ErrorWhere, MillraceError, withWhere } from '../base/errors.ts';
import { batchRowsMax } from '../base/limits.ts';
import { evaluatorOf } from '../expr/interpret.ts';
import type { Expr } from '../expr/tree.ts';
import { isUserCall, type UserFunctions } from '../expr/user-call.ts';
import type { Kernels } from '../ports/kernels.ts';
import type { Batch, Column, Dictionary } from '../record/batch.ts';
import { type Layout, storageOf, valueBytes } from '../record/layout.ts';
import type { SlotMemory } from '../record/memory.ts';
import { utf8Bytes } from '../record/text.ts';
import { instantiate, programOf } from './cache.ts';
import {
  columnParameterBytes,
  shapeNumber,
  shapeNumberColumns,
  shapeOfColumn,
  shapeOfColumns,
  writeColumnParameters,
} from './columns.ts';
import { sharesDearParts } from './cost.ts';
import { Block, type Frame, frameIn, StopReason } from './frame.ts';
import { type Hoistable, hoistables, overEntries } from './hoist.ts';
import { hostCalls, partsOf } from './host.ts';
import {
  columnPlace,
  compileFilter,
  compileProject,
  compileSelect,
  type Program,
  type ProgramInputs,
  type RowsTaken,
} from './program.ts';
import { regexProgram } from './regex-program.ts';
import { rowValues } from './row-values.ts';
import { selectionSlackBytes } from './simd-filter.ts';
import { vectorizes } from './simd-project.ts';

/** Bytes of computed text that one output batch may hold; a single value must fit. A full room ends the batch early. */
export const textRoomBytes = 256 * 1024;
/** The same for what is computed per dictionary entry; a dictionary that does not fit is computed per row. */
export const entryRoomBytes = 64 * 1024;

/** Parts that are looked up per dictionary entry, at most; further ones are computed per row. */
export const entryTablesMax = 48;

export interface ProjectorContext {
  readonly memory: SlotMemory;
  readonly kernels: Kernels;
  readonly input: Layout;
  readonly output: Layout;
  /** For errors. */
  readonly name: string;
  /** The user's functions, by id. Absent: there are none. */
  userFunction?(id: string): (...args: unknown[]) => unknown;
  /** Calls of them are counted, so that one that lasts too long is found. */
  readonly counters?: { countCall(): void };
  /** Tests set it small. */
  readonly textRoomBytes?: number;
}

export interface Projector {
  /** Takes a batch, which must stay as it is until `next` answers null. Errors: those of its expressions, with the row. */
  begin(batch: Batch): void;
  /** The next rows, or null when the batch is used up. Valid until the call after. Errors: as `begin`, `record/too-large`. */
  next(): Batch | null;
}

interface Memo {
  readonly head: number;
  readonly shape: number | string;
  readonly loaded: Loaded;
}

interface Loaded {
  run(block: number): number;
  readonly program: Program;
}

const takenNumber: Readonly<Record<RowsTaken, number>> = { single: 0, selected: 1, vectors: 2 };
/** Batches that go row by row, at most, before vectors are tried again. */
const pauseMax = 256;

/** `filter`: rows where it is TRUE stay. `columns`: one expression per output leaf. */
export function projector(filter: Expr | null, columns: readonly Expr[], context: ProjectorContext): Projector {
  const { memory, kernels, input, output } = context;
  const { u8, u32, arena } = memory;
  const computed = columns.flatMap((expr, at) => (expr.kind === 'column' ? [] : [{ expr, at }]));
  const exprs = computed.map((c) => c.expr);
  const all = filter ? [filter, ...exprs] : exprs;
  const makesText = all.some(hasNewText);

  const block = arena.allocate(blockBytes(all, input.length, columns.length), `the parameters of ${context.name}`);
  const reasonWord = (block + Block.reason) >>> 2;
  const frame = frameIn(
    memory,
    block,
    columnPlace(input.length + hoistables(all).length + columns.length),
    blockBytes(all, input.length, columns.length),
  );
  const selectionBuffer = arena.allocate(batchRowsMax * 4 + selectionSlackBytes, `the selection of ${context.name}`);
  const roomBytes = context.textRoomBytes ?? textRoomBytes;
  const room = makesText ? arena.allocate(roomBytes, `text computed by ${context.name}`) : 0;
  const buffers = computed.map(({ expr }) => {
    const storage = storageOf(expr.type);
    return {
      storage,
      values: arena.allocate(valueBytes(storage, batchRowsMax), `a column computed by ${context.name}`),
      validity: arena.allocate(valueBytes('bit', batchRowsMax), `a column computed by ${context.name}`),
    };
  });
  const tables = hoistables(all)
    .slice(0, entryTablesMax)
    .map((h) => entryTable(h, context));
  const filterColumns = filter ? columnsOf([filter]) : [];
  const projectColumns = columnsOf(exprs);
  /** What the filter and the columns have in common is computed once: both in one loop. */
  const together = filter !== null && sharesDearParts(filter, exprs);
  const allColumns = together ? columnsOf(all) : [];
  const functions = userFunctionsOf(context);
  const evaluators = {
    filter: filter && evaluatorOf(filter, functions),
    columns: columns.map((expr) => evaluatorOf(expr, functions)),
  };
  const vectors = exprs.filter(vectorizes).length;
  const allVectors = vectors > 0 && vectors === exprs.length;
  const variants = new Map<string, Loaded>();
  /** The variant that fitted the batch before. */
  const last: { filter: Memo | null; project: Memo | null; select: Memo | null } = {
    filter: null,
    project: null,
    select: null,
  };
  /** Which tables this batch looks up, a bit each. */
  let tablesActive = 0;

  /** Batches in a row whose vectors were unsure, and batches that go row by row before vectors are tried again. */
  let unsure = 0;
  let pause = 0;

  let current: Batch | null = null;
  let taken: RowsTaken = 'single';
  let selection = 0;
  let size = 0;
  let at = 0;

  function variant(of: Batch, kind: keyof typeof last, indices: readonly number[], rows: RowsTaken): Loaded {
    const memo = last[kind];
    const head = takenNumber[rows] + 4 * tablesActive;
    const shape = indices.length <= shapeNumberColumns ? shapeNumber(of, indices) : shapeOfColumns(of, indices);
    if (memo !== null && memo.head === head && memo.shape === shape) return memo.loaded;
    const key = `${kind} ${head} ${shape}`;
    let loaded = variants.get(key);
    if (loaded === undefined) {
      loaded = compileVariant(of, kind, indices, rows);
      variants.set(key, loaded);
    }
    last[kind] = { head, shape, loaded };
    return loaded;
  }

  function compileVariant(of: Batch, kind: keyof typeof last, indices: readonly number[], rows: RowsTaken): Loaded {
    const inputs: ProgramInputs = {
      columns: indices.map((index) => ({ index, shape: shapeOfColumn(of.columns[index] as Column) })),
      tables: tables
        .filter((t) => t.active && indices.includes(t.column))
        .map((t) => ({ expr: t.expr, column: t.column, nullable: t.result.validity !== 0 })),
    };
    const source = kind === 'filter' ? filter : kind === 'project' ? exprs : all;
    const program = framedProgram([kind, rows, source, inputs], frame, () => {
      if (kind === 'project') return compileProject(exprs, inputs, rows, frame);
      const condition = filter as Expr;
      return kind === 'filter'
        ? compileFilter(condition, inputs, rows === 'selected', frame)
        : compileSelect(condition, exprs, inputs, rows === 'selected', frame);
    });
    return load(program, memory, kernels, block, functions);
  }

  /** Tells a program about the batch; outputs come behind columns and tables. */
  function tell(of: Batch, indices: readonly number[], start: number, end: number): number {
    let place = block + Block.columns;
    for (let i = 0; i < indices.length; i++) {
      writeColumnParameters(memory, place, of.columns[indices[i] as number] as Column);
      place += columnParameterBytes;
    }
    if (tablesActive > 0)
      for (const table of tables) {
        if (!table.active || !indices.includes(table.column)) continue;
        writeColumnParameters(memory, place, table.result);
        place += columnParameterBytes;
      }
    const word = block >>> 2;
    u32[word + Block.start / 4] = start;
    u32[word + Block.end / 4] = end;
    u32[word + Block.selection / 4] = selection;
    u32[word + Block.out / 4] = selectionBuffer;
    u32[word + Block.count / 4] = 0;
    u32[word + Block.room / 4] = room;
    u32[word + Block.roomEnd / 4] = room + (room === 0 ? 0 : roomBytes);
    return place;
  }

  function applyFilter(of: Batch): void {
    const loaded = variant(of, 'filter', filterColumns, selection === 0 ? 'single' : 'selected');
    tell(of, filterColumns, 0, size);
    const stop = loaded.run(block) >>> 0;
    const reason = u32[reasonWord] as StopReason;
    if (reason !== StopReason.done) raise(of, stop, reason, true);
    const count = u32[(block + Block.count) >>> 2] as number;
    if (count === of.rowCount) return;
    selection = selectionBuffer;
    size = count;
  }

  const rowByRow = (): RowsTaken => (selection === 0 ? 'single' : 'selected');

  /** Vectors of all rows met one, perhaps not asked for, that may fail. */
  function isUnsure(): boolean {
    if (taken !== 'vectors') return false;
    const reason = u32[reasonWord] as StopReason;
    return reason === StopReason.unsure || (reason === StopReason.badRow && selection !== 0);
  }

  function takeRows(of: Batch): RowsTaken {
    if (vectors === 0) return rowByRow();
    // Cheap arithmetic goes faster over all rows than over every third of them.
    if (selection !== 0 && !(allVectors && size * 4 > of.rowCount)) return 'selected';
    if (pause === 0) return 'vectors';
    pause--;
    return rowByRow();
  }

  /** Computes turns `from` on; answers the turn at which it stopped, and what ran. Why it did is in the block. */
  function compute(of: Batch, from: number): { readonly stop: number; readonly program: Program } {
    const loaded = together ? variant(of, 'select', allColumns, taken) : variant(of, 'project', projectColumns, taken);
    const read = together ? allColumns : projectColumns;
    let place = tell(of, read, from, taken === 'vectors' ? of.rowCount : size) >>> 2;
    for (let i = 0; i < buffers.length; i++) {
      const { storage, values, validity } = buffers[i] as (typeof buffers)[number];
      // Bits are set by or-ing.
      if (from === 0 && loaded.program.nullable[i]) u8.fill(0, validity, validity + ((of.rowCount + 7) >>> 3));
      if (from === 0 && storage === 'bit') u8.fill(0, values, values + ((of.rowCount + 7) >>> 3));
      u32[place] = values;
      u32[place + 1] = validity;
      place += columnParameterBytes / 4;
    }
    return { stop: loaded.run(block) >>> 0, program: loaded.program };
  }

  function raise(of: Batch, turn: number, reason: StopReason, filtering: boolean): never {
    const row = selection === 0 ? turn : (u32[(selection >>> 2) + turn] as number);
    const where: ErrorWhere = { operator: context.name, position: positionOf(of, row) };
    if (reason === StopReason.roomFull) {
      throw new MillraceError('record/too-large', `the text that this row computes is longer than ${roomBytes} bytes`, {
        where,
      });
    }
    const values = rowValues(memory, of, row);
    try {
      if (filtering) evaluators.filter?.(values);
      else if (!together || evaluators.filter?.(values) === true)
        for (const evaluate of evaluators.columns) evaluate(values);
    } catch (error) {
      throw withWhere(error, where, 'expr/cast' satisfies ErrorCode);
    }
    if ([...(filter ? [filter] : []), ...columns].some(callsUser)) {
      throw new MillraceError(
        'function/threw',
        'a scalar function failed for this row, and did not when it was called again; it must be deterministic',
        { where },
      );
    }
    throw new Error(
      `Millrace is wrong, not you: ${context.name} failed row ${row}, but its expressions do not. Please report it.`,
    );
  }

  function columnsMade(of: Batch, nullable: readonly boolean[]): Column[] {
    let next = 0;
    return columns.map((expr) => {
      if (expr.kind === 'column') return of.columns[expr.index] as Column;
      const { values, validity } = buffers[next] as (typeof buffers)[number];
      return { values, validity: nullable[next++] ? validity : 0, dictionary: null };
    });
  }

  /** Rows that stay, with their columns, up to where the room for text ends. */
  function nextSelected(): Batch | null {
    for (; current !== null && at < size; ) {
      const of = current;
      taken = rowByRow();
      const { stop, program } = compute(of, at);
      const count = u32[(block + Block.count) >>> 2] as number;
      const reason = u32[reasonWord] as StopReason;
      if (reason === StopReason.badRow || (reason === StopReason.roomFull && stop === at))
        raise(of, stop, reason, false);
      at = stop;
      if (count === 0) continue;
      const { rowCount, kinds, origin } = of;
      const made = columnsMade(of, program.nullable);
      return { layout: output, rowCount, columns: made, kinds, selection: selectionBuffer, size: count, origin };
    }
    current = null;
    return null;
  }

  return {
    begin(of) {
      assert(of.rowCount <= batchRowsMax, `a batch of ${of.rowCount} rows`);
      current = of;
      at = 0;
      selection = of.selection;
      size = of.size;
      if (size === 0) return;
      tablesActive = 0;
      for (const [i, table] of tables.entries()) {
        table.open((of.columns[table.column] as Column).dictionary, of.rowCount);
        if (table.active) tablesActive += 2 ** i;
      }
      if (filter && !together) applyFilter(of);
    },
    next() {
      if (together) return nextSelected();
      if (current === null || at >= size) {
        current = null;
        return null;
      }
      const of = current;
      const from = at;
      let nullable: readonly boolean[] = [];
      let stop = size;
      if (computed.length > 0) {
        if (from === 0) taken = takeRows(of);
        let loaded = compute(of, from);
        if (isUnsure()) {
          unsure++;
          pause = Math.min(2 ** unsure, pauseMax);
          taken = rowByRow();
          loaded = compute(of, from);
        } else if (taken === 'vectors') unsure = 0;
        nullable = loaded.program.nullable;
        stop = loaded.stop === of.rowCount ? size : loaded.stop;
        const reason = u32[reasonWord] as StopReason;
        if (reason === StopReason.badRow || (reason === StopReason.roomFull && stop === from))
          raise(of, stop, reason, false);
      }
      at = stop;
      const made = columnsMade(of, nullable);
      const { rowCount, kinds, origin } = of;
      if (from === 0 && stop === size)
        return { layout: output, rowCount, columns: made, kinds, selection, size, origin };
      if (selection === 0) for (let row = from; row < stop; row++) u32[(selectionBuffer >>> 2) + row] = row;
      const part = (selection === 0 ? selectionBuffer : selection) + 4 * from;
      return { layout: output, rowCount, columns: made, kinds, selection: part, size: stop - from, origin };
    },
  };
}

const callsUser = (expr: Expr): boolean => isUserCall(expr) || partsOf(expr).some(callsUser);

function userFunctionsOf({ userFunction, counters }: ProjectorContext): UserFunctions | null {
  if (userFunction === undefined) return null;
  return (id) => {
    const call = userFunction(id);
    if (counters === undefined) return call;
    return (...args) => {
      const result = call(...args);
      counters.countCall();
      return result;
    };
  };
}

/** The program that was compiled from `source` in a frame like this one; what it stands on is written anew. */
function framedProgram(source: unknown, frame: Frame, compile: () => Program): Program {
  const before = frame.asked.length;
  const { program, asked } = programOf(`${JSON.stringify(source)} ${frame.state}`, () => ({
    program: compile(),
    asked: frame.asked.slice(before),
  }));
  for (const of of asked) frame.again(of);
  return program;
}

function load(
  program: Program,
  memory: SlotMemory,
  kernels: Kernels,
  block: number,
  functions: UserFunctions | null = null,
): Loaded {
  const host = { host: hostCalls(memory, block, program.hostNodes, functions) };
  return {
    program,
    run: instantiate(program.bytes, program.imports, memory.memory, kernels, host).run as Loaded['run'],
  };
}

/** Results of an expression per entry of the dictionary that was opened last. */
interface EntryTable extends Hoistable {
  /** Whether this batch looks results up. */
  readonly active: boolean;
  readonly result: Column;
  open(dictionary: Dictionary | null, rowCount: number): void;
}

function entryTable(of: Hoistable, context: ProjectorContext): EntryTable {
  const { memory, kernels } = context;
  const { u8, u32, arena } = memory;
  const expr = overEntries(of.expr);
  const purpose = `dictionary entries of ${context.name}`;
  const bytes = blockBytes([expr], 1, 1);
  const block = arena.allocate(bytes, purpose);
  const frame: Frame = frameIn(memory, block, columnPlace(2), bytes);
  const storage = storageOf(expr.type);
  const values = arena.allocate(valueBytes(storage, batchRowsMax), purpose);
  const validity = arena.allocate(valueBytes('bit', batchRowsMax), purpose);
  const room = hasNewText(expr) ? arena.allocate(entryRoomBytes, purpose) : 0;
  let loaded: Loaded | null = null;
  let known: Dictionary | null = null;
  let fits = false;
  let active = false;
  let result: Column = { values, validity, dictionary: null };

  const compute = (dictionary: Dictionary): boolean => {
    loaded ??= load(
      framedProgram(['entries', expr], frame, () =>
        compileProject(
          [expr],
          { columns: [{ index: 0, shape: { nullable: false, coded: false } }], tables: [] },
          'single',
          frame,
        ),
      ),
      memory,
      kernels,
      block,
    );
    result = { values, validity: loaded.program.nullable[0] ? validity : 0, dictionary: null };
    u8.fill(0, validity, validity + valueBytes('bit', dictionary.count));
    if (storage === 'bit') u8.fill(0, values, values + valueBytes('bit', dictionary.count));
    writeColumnParameters(memory, block + columnPlace(0), { values: dictionary.views, validity: 0, dictionary: null });
    writeColumnParameters(memory, block + columnPlace(1), { values, validity, dictionary: null });
    const word = block >>> 2;
    u32[word + Block.start / 4] = 0;
    u32[word + Block.end / 4] = dictionary.count;
    u32[word + Block.room / 4] = room;
    u32[word + Block.roomEnd / 4] = room + (room === 0 ? 0 : entryRoomBytes);
    return loaded.run(block) >>> 0 === dictionary.count;
  };

  return {
    ...of,
    get active() {
      return active;
    },
    get result() {
      return result;
    },
    open(dictionary, rowCount) {
      active = false;
      if (dictionary === null || dictionary.count > batchRowsMax) return;
      const same =
        known !== null &&
        known.id === dictionary.id &&
        known.views === dictionary.views &&
        known.count === dictionary.count;
      // Worth it when it saves work in this batch already, or was done before.
      if (!same && (dictionary.count === 0 || dictionary.count > rowCount)) return;
      if (!same) {
        fits = compute(dictionary);
        known = dictionary;
      }
      active = fits;
    },
  };
}

/** `flights.parquet, row group 3, row 17`, counted from 0. */
function positionOf(of: Batch, row: number): string {
  return of.origin ? `${of.origin.source}, row ${of.origin.firstRow + row}` : `row ${row} of a batch of ${of.rowCount}`;
}

function columnsOf(exprs: readonly Expr[]): readonly number[] {
  const found = new Set<number>();
  const visit = (expr: Expr): void => {
    if (expr.kind === 'column') found.add(expr.index);
    else for (const part of partsOf(expr)) visit(part);
  };
  for (const expr of exprs) visit(expr);
  return [...found].sort((a, b) => a - b);
}

/** Whether it makes text that stands nowhere yet. */
function hasNewText(expr: Expr): boolean {
  return (
    ((expr.kind === 'call' || expr.kind === 'cast') && expr.type.kind === 'VARCHAR') || partsOf(expr).some(hasNewText)
  );
}

function regexBytes(expr: Extract<Expr, { kind: 'call' }>): number {
  const [, pattern, group] = expr.args.map((arg) => (arg as { value: unknown }).value) as [unknown, string, number];
  const { content, scratchBytes } = regexProgram(pattern, group);
  return content.length + scratchBytes + 64;
}

/** Room for the columns and for every place that the expressions' code may ask for, generously. */
function blockBytes(exprs: readonly Expr[], inputs: number, outputs: number): number {
  let nodes = 0;
  let bytes = 0;
  const visit = (expr: Expr): void => {
    nodes++;
    if (expr.kind === 'literal' && typeof expr.value === 'string') bytes += 8 * utf8Bytes(expr.value);
    if (expr.kind === 'call' && expr.fn === 'regexpExtract') bytes += regexBytes(expr);
    for (const part of partsOf(expr)) visit(part);
  };
  for (const expr of exprs) visit(expr);
  return columnPlace(inputs + outputs + nodes) + 512 + nodes * 224 + bytes;
}
