/** Kernels of kernels/assembly/rows.ts: rows between columns and bytes. Leaves lie as core/ports/rows-layout.ts says. */
export interface RowKernels {
  /**
   * Writes hash and key columns of rows `from` to n as keys of an ordered table, and address and bytes (0: a part is NULL or
   * NaN) to each row's entry; eight bytes are free behind each. Answers the row that found no room or is too long.
   */
  keysEncode(
    leaves: number,
    count: number,
    hashes: number,
    rows: number,
    from: number,
    n: number,
    entries: number,
    bytes: number,
    room: number,
  ): number;
  /**
   * Writes rows `from` to n that have a key and are not marked in `skip` (0: none is), numbered `number` + k behind their
   * keys, to `bytes`, and an entry for each to `puts`. `result`: the row that found no room or takes more than `most` bytes, and the entries there are.
   */
  rowsEncode(
    leaves: number,
    count: number,
    nullBytes: number,
    headBytes: number,
    rows: number,
    from: number,
    n: number,
    entries: number,
    skip: number,
    number: bigint,
    puts: number,
    bytes: number,
    room: number,
    most: number,
    result: number,
  ): void;
  /** Reads the rows at n addresses into places 0 to n of columns; views of long texts lead to the rows. */
  rowsDecode(leaves: number, count: number, nullBytes: number, headBytes: number, kept: number, n: number): void;
}
