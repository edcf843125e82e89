/**
 * The `print` sink: rows for people, on the caller's standard output. Options: `format` ('table', the
 * default, 'changelog' or 'jsonl'), `limit` (rows
 * shown at most in a table, default 100), `sort` ([{ column, descending }]: order in which an updating table is shown).
 *
 * A table of final rows is drawn when the input ends; of rows without end, each is a line as it comes. A table of
 * updating rows is redrawn in place on a terminal, a few times a second; elsewhere their changes are lines. When
 * standard output is closed (`| head`) the job ends with `sink/closed`.
 */
import { grouped } from '../../core/base/describe.ts';
import { MillraceError } from '../../core/base/errors.ts';
import type { ConnectorSpec, SinkConnector, SinkWriter, WriterContext } from '../../core/ports/connector.ts';
import { type Batch, RowKindByte, rowKindNames } from '../../core/record/batch.ts';
import type { Fields } from '../../core/record/types.ts';
import { systemError } from '../files/output.ts';
import { rowEncoder } from '../jsonl/encode.ts';
import { batchBytes } from '../rows/bytes.ts';
import type { ByteSink } from '../text/write.ts';
import { alignsRight, rowCells } from './cells.ts';
import { currentRows, type SortBy } from './current.ts';
import { alignedLines, boxedTable, type TableHead } from './table.ts';
import { type Terminal, terminalOf } from './terminal.ts';

const formats = ['table', 'changelog', 'jsonl'] as const;
type Format = (typeof formats)[number];

export const printSink: SinkConnector = {
  kind: 'print',
  describe(spec) {
    const { format } = spec.options;
    if (format !== undefined && format !== null && !formats.includes(format as Format)) {
      throw new MillraceError('option/invalid', `print: format '${String(format)}' is none of ${formats.join(', ')}`);
    }
    return { accepts: 'all', parallelismMax: 1, place: 'caller' };
  },
  writer: (spec, fields, context) => printWriter(spec, fields, context, terminalOf(process.stdout)),
};

/** One row as text. */
interface Shown {
  readonly kind: number;
  readonly cells: readonly string[];
}
/** A way of showing rows; `text` of several lines at once goes out whole. */
interface Printer {
  rows(rows: readonly Shown[]): void;
  end(): void;
  close(): void;
}

/** The writer over any terminal: tests bring their own. */
export function printWriter(
  spec: ConnectorSpec,
  fields: Fields,
  context: WriterContext,
  terminal: Terminal,
): SinkWriter {
  const { layout, memory } = context;
  const head: TableHead = { names: layout.map((c) => c.name), right: layout.map(alignsRight) };
  const cellsOf = rowCells(layout, memory);
  const printer = printerOf(spec, context, head, terminal);
  const lines = spec.options.format === 'jsonl' ? jsonLines(fields, context, terminal) : null;
  terminal.onClosed(() => context.wake());
  let bytes = 0;
  let failed = false;
  const guard = (): void => {
    if (!terminal.closed) return;
    failed = true;
    if (terminal.failure) throw systemError(terminal.failure, 'standard output');
    throw new MillraceError('sink/closed', 'standard output was closed by who read it');
  };
  return {
    write(batch) {
      guard();
      if (lines) lines(batch);
      else printer.rows(shownRows(batch, cellsOf, memory.u8, memory.u32));
      bytes += batchBytes(batch);
      guard();
      return true;
    },
    flush() {},
    finish() {
      guard();
      if (!lines) printer.end();
      guard();
    },
    close() {
      if (!failed) printer.close();
      terminal.close();
    },
    get bytes() {
      return bytes;
    },
  };
}

function shownRows(
  batch: Batch,
  cellsOf: (batch: Batch, row: number) => string[],
  u8: Uint8Array,
  u32: Uint32Array,
): readonly Shown[] {
  return Array.from({ length: batch.size }, (_, k) => {
    const row = batch.selection === 0 ? k : u32[(batch.selection >>> 2) + k]!;
    return { kind: batch.kinds === 0 ? RowKindByte.insert : u8[batch.kinds + row]!, cells: cellsOf(batch, row) };
  });
}

function printerOf(spec: ConnectorSpec, context: WriterContext, head: TableHead, terminal: Terminal): Printer {
  const { options } = spec;
  const updating = context.updating === true;
  const asked = (options.format as Format | null | undefined) ?? 'table';
  // Without a terminal a table cannot be redrawn: its changes are shown as they come.
  const format = asked === 'table' && updating && !terminal.isTty ? 'changelog' : asked;
  const limit = typeof options.limit === 'number' ? options.limit : 100;
  if (format === 'changelog') return changelog(head, terminal);
  if (updating) return updatingTable(head, terminal, limit, (options.sort ?? []) as unknown as readonly SortBy[]);
  return context.bounded === false ? growingTable(head, terminal) : finalTable(head, terminal, limit);
}

function changelog(head: TableHead, terminal: Terminal): Printer {
  const lines = alignedLines({ names: ['', ...head.names], right: [false, ...head.right] });
  let begun = false;
  return {
    rows(rows) {
      const cells = rows.map((row) => [rowKindNames[row.kind]!, ...row.cells]);
      let text = begun || rows.length === 0 ? '' : `${lines.head(cells)}\n`;
      begun ||= rows.length > 0;
      for (const row of cells) text += `${lines.line(row)}\n`;
      terminal.write(text);
    },
    end() {},
    close() {},
  };
}

/** As the jsonl sink writes them. */
function jsonLines(fields: Fields, context: WriterContext, terminal: Terminal): (batch: Batch) => void {
  const encoder = rowEncoder(fields, context.memory, context.updating === true);
  const out: ByteSink = {
    buffer: new Uint8Array(64 * 1024),
    at: 0,
    drain() {
      terminal.write(Buffer.from(this.buffer.subarray(0, this.at)));
      this.at = 0;
    },
  };
  return (batch) => {
    encoder.encode(batch, out);
    out.drain();
  };
}

function finalTable(head: TableHead, terminal: Terminal, limit: number): Printer {
  const kept: (readonly string[])[] = [];
  let count = 0;
  return {
    rows(rows) {
      count += rows.length;
      for (let i = 0; i < rows.length && kept.length < limit; i++) kept.push(rows[i]!.cells);
    },
    end() {
      terminal.write(`${boxedTable(head, kept)}\n${countLine(kept.length, count)}\n`);
    },
    close() {},
  };
}

function growingTable(head: TableHead, terminal: Terminal): Printer {
  const lines = alignedLines(head);
  let count = 0;
  return {
    rows(rows) {
      const cells = rows.map((row) => row.cells);
      let text = count > 0 || rows.length === 0 ? '' : `${lines.head(cells)}\n`;
      for (const row of cells) text += `${lines.line(row)}\n`;
      count += rows.length;
      terminal.write(text);
    },
    end() {
      terminal.write(`${countLine(count, count)}\n`);
    },
    close() {},
  };
}

const redrawMs = 100;

function updatingTable(head: TableHead, terminal: Terminal, limit: number, sort: readonly SortBy[]): Printer {
  const current = currentRows(head.names, sort);
  let timer: NodeJS.Timeout | null = null;
  let drawnLines = 0;
  const draw = (): void => {
    timer = null;
    const shown = Math.max(1, Math.min(limit, terminal.isTty ? terminal.rows - 6 : limit));
    const text = `${boxedTable(head, current.first(shown))}\n${countLine(Math.min(shown, current.size), current.size)}\n`;
    terminal.write((drawnLines === 0 ? '' : `\u001b[${drawnLines}A\u001b[0J`) + text);
    if (terminal.isTty) drawnLines = text.split('\n').length - 1;
  };
  const stop = (): void => {
    if (timer) clearTimeout(timer);
    timer = null;
  };
  return {
    rows(rows) {
      for (const row of rows) current.apply(row.kind, row.cells);
      if (terminal.isTty && !timer) timer = setTimeout(draw, redrawMs);
    },
    end() {
      stop();
      draw();
    },
    close: stop,
  };
}

function countLine(shown: number, count: number): string {
  const rows = `${grouped(count)} row${count === 1 ? '' : 's'}`;
  return shown < count ? `${rows}, the first ${grouped(shown)} shown` : rows;
}
