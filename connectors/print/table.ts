/** Rows of text as a table: boxed when all of it is known, as aligned lines while rows still come. Knows no columns' types. */
import Table from 'cli-table3';

export interface TableHead {
  readonly names: readonly string[];
  readonly right: readonly boolean[];
}

/** A box of `rows` under their head, as lines. */
export function boxedTable({ names, right }: TableHead, rows: readonly (readonly string[])[]): string {
  const table = new Table({
    head: [...names],
    colAligns: right.map((r) => (r ? 'right' : 'left')),
    style: { head: [], border: [], compact: true },
  });
  for (const row of rows) table.push(row.map((cell) => shorten(cell)));
  return table.toString();
}

/** Lines whose column widths the first rows decide; a longer cell pushes its line's rest to the right. */
export function alignedLines({ names, right }: TableHead): {
  head(first: readonly (readonly string[])[]): string;
  line(row: readonly string[]): string;
} {
  let widths: number[] = [];
  const line = (row: readonly string[]): string =>
    row
      .map((cell, i) => (right[i] ? shorten(cell).padStart(widths[i]!) : shorten(cell).padEnd(widths[i]!)))
      .join('  ')
      .trimEnd();
  return {
    head(first) {
      widths = names.map((name, i) =>
        first.reduce((most, row) => Math.max(most, shorten(row[i]!).length), name.length),
      );
      return `${line(names)}\n${widths.map((width) => '─'.repeat(width)).join('  ')}`;
    },
    line,
  };
}

const cellCharactersMax = 80;
const shorten = (cell: string): string =>
  cell.length > cellCharactersMax ? `${cell.slice(0, cellCharactersMax - 1)}…` : cell;
