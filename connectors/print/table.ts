/**
 * Rows of text as a table: boxed when all of it is known, as aligned lines while rows still come. Knows no columns' types.
 * Loading and driving a library for it took a fifth of the calling thread's time in a job of half a second.
 */
export interface TableHead {
  readonly names: readonly string[];
  readonly right: readonly boolean[];
}

/** A box of `rows` under their head, as lines. */
export function boxedTable({ names, right }: TableHead, rows: readonly (readonly string[])[]): string {
  const widths = columnWidths(names, rows);
  const rule = (left: string, between: string, end: string): string =>
    left + widths.map((width) => '─'.repeat(width + 2)).join(between) + end;
  const line = (row: readonly string[]): string => `│ ${padded(row, widths, right).join(' │ ')} │`;
  return [rule('┌', '┬', '┐'), line(names), rule('├', '┼', '┤'), ...rows.map(line), rule('└', '┴', '┘')].join('\n');
}

/** Lines whose column widths the first rows decide; a longer cell pushes its line's rest to the right. */
export function alignedLines({ names, right }: TableHead): {
  head(first: readonly (readonly string[])[]): string;
  line(row: readonly string[]): string;
} {
  let widths: readonly number[] = [];
  const line = (row: readonly string[]): string => padded(row, widths, right).join('  ').trimEnd();
  return {
    head(first) {
      widths = columnWidths(names, first);
      return `${line(names)}\n${widths.map((width) => '─'.repeat(width)).join('  ')}`;
    },
    line,
  };
}

function columnWidths(names: readonly string[], rows: readonly (readonly string[])[]): number[] {
  return names.map((name, i) =>
    rows.reduce((most, row) => Math.max(most, shownWidth(shorten(row[i]!))), shownWidth(name)),
  );
}

function padded(row: readonly string[], widths: readonly number[], right: readonly boolean[]): string[] {
  return row.map((long, i) => {
    const cell = shorten(long);
    const blanks = ' '.repeat(Math.max(0, widths[i]! - shownWidth(cell)));
    return right[i] ? blanks + cell : cell + blanks;
  });
}

const cellCharactersMax = 80;
const shorten = (cell: string): string =>
  cell.length > cellCharactersMax ? `${cell.slice(0, cellCharactersMax - 1)}…` : cell;

/** Columns that a text takes on a terminal: marks that combine take none, East Asian letters and emoji two. */
function shownWidth(text: string): number {
  if (plain.test(text)) return text.length;
  let width = 0;
  for (const character of text) width += combining.test(character) ? 0 : wide.test(character) ? 2 : 1;
  return width;
}

const plain = /^[\x20-\x7e…]*$/;
/** Marks, variation selectors among them, and what only joins or parts. */
const combining = /^\p{Mark}$|^\p{Format}$|^\u200b$/u;
const wide =
  /^[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff01-\uff60\uffe0-\uffe6\u{20000}-\u{3fffd}\p{Emoji_Presentation}]$/u;
