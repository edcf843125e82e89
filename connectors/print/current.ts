/** The rows that stand after a changelog's changes so far, in the order they came or in a given one. */

export interface SortBy {
  readonly column: string;
  readonly descending: boolean;
}

export interface CurrentRows {
  /** `kind`: a RowKindByte; kinds 0 and 2 add a row, 1 and 3 take one away. Adding may come before the taking it answers. */
  apply(kind: number, cells: readonly string[]): void;
  readonly size: number;
  first(limit: number): readonly (readonly string[])[];
}

export function currentRows(names: readonly string[], sort: readonly SortBy[]): CurrentRows {
  const rows = new Map<string, { readonly cells: readonly string[]; count: number }>();
  const by = sort.flatMap(({ column, descending }) => {
    const index = names.indexOf(column);
    return index < 0 ? [] : [{ index, sign: descending ? -1 : 1 }];
  });
  let size = 0;
  return {
    apply(kind, cells) {
      const key = JSON.stringify(cells);
      const change = (kind & 1) === 0 ? 1 : -1;
      const row = rows.get(key);
      size += change;
      if (!row) rows.set(key, { cells, count: change });
      else {
        row.count += change;
        if (row.count === 0) rows.delete(key);
      }
    },
    get size() {
      return Math.max(0, size);
    },
    first(limit) {
      const all: (readonly string[])[] = [];
      for (const { cells, count } of rows.values()) for (let i = 0; i < count; i++) all.push(cells);
      if (by.length > 0) {
        all.sort((a, b) => {
          for (const { index, sign } of by) {
            const order = compare(a[index]!, b[index]!);
            if (order !== 0) return order * sign;
          }
          return 0;
        });
      }
      return all.slice(0, limit);
    },
  };
}

/** Numbers by value, the rest by text; NULL first, as the engine orders it. */
function compare(a: string, b: string): number {
  if (a === b) return 0;
  if (a === 'NULL') return -1;
  if (b === 'NULL') return 1;
  const x = Number(a);
  const y = Number(b);
  if (!Number.isNaN(x) && !Number.isNaN(y) && x !== y) return x - y;
  return a < b ? -1 : 1;
}
