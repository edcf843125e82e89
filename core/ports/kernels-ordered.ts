/**
 * Kernels of kernels/assembly/ordered.ts, over the nodes of core/ports/ordered-layout.ts. `tree` is the address of a
 * table's block. Those that answer an entry stopped before it when it is less than n: why stands in the block, and they
 * are called again from there once the cause is gone.
 */
export interface OrderedKernels {
  /** The leaf where a key is or would be (address; 0: the tree is empty); place, value and way stand in the block. */
  orderedFind(tree: number, key: number, keyBytes: number, chunk: number): number;
  /** Inserts or replaces entries; stops at full or frozen leaves, long values, and what is too large. */
  orderedPut(tree: number, entries: number, from: number, n: number): number;
  /** One chunk of one key; `valueBytes` with bit 15. Answers 1: done, or 0: see the reason. */
  orderedPutOne(tree: number, key: number, keyBytes: number, chunk: number, value: number, valueBytes: number): number;
  /** Writes value address (0: none) and value bytes of entries; answers the entry it stopped at, whose value is long. */
  orderedGet(tree: number, entries: number, n: number): number;
  /** Deletes entries; at `orderedSmall` the one before the answer is gone and its leaf wants care. */
  orderedDelete(tree: number, entries: number, from: number, n: number): number;
  /**
   * Copies the first entries of a leaf, from `first` on, with a key below `bound`: up to `max`, to `entries`, their bytes
   * from `bytes` on. Answers how many; the reason says long or room when the next one is that.
   */
  orderedTake(
    tree: number,
    leaf: number,
    bound: number,
    boundBytes: number,
    max: number,
    entries: number,
    bytes: number,
    room: number,
  ): number;
  /** The first place of a leaf whose key is not below `key`. */
  orderedPlace(leaf: number, key: number, keyBytes: number): number;
  /** An empty node. */
  orderedClear(node: number, id: number, level: number): void;
  /** Inserts a slot into a node that has room. */
  orderedInsertAt(
    tree: number,
    node: number,
    place: number,
    key: number,
    keyBytes: number,
    chunk: number,
    value: number,
    valueBytes: number,
  ): void;
  /** Takes slots [from, to) out of a node; answers how many of them were keys. */
  orderedRemoveAt(node: number, from: number, to: number): number;
  /** Moves slots from place `at` on to the empty node `to`. */
  orderedSplit(tree: number, from: number, to: number, at: number): void;
  /** Where a node is best divided: with half of its bytes before. */
  orderedHalf(node: number): number;
  /** Appends all slots of `right` to `left`, which has room; the first of an inner node under the key that divided them. */
  orderedMerge(tree: number, left: number, right: number, key: number, keyBytes: number, chunk: number): void;
  /** Copies the key at a place; answers its bytes. */
  orderedKeyAt(node: number, place: number, to: number): number;
  /** A leaf as a block of a snapshot; answers its bytes, fewer than a page's. */
  orderedExport(leaf: number, to: number): number;
  /**
   * Puts the entries of a block, from byte `from` to `end`, whose key group (at offset `groupAt` of the key; −1: all) is in
   * [groupFrom, groupTo). Answers the byte it stopped at.
   */
  orderedImport(
    tree: number,
    block: number,
    from: number,
    end: number,
    groupAt: number,
    groupFrom: number,
    groupTo: number,
  ): number;
  /** The entries whose keys begin with those of `entries`, up to n; see kernels/assembly/ordered-probe.ts. Answers 1 when done. */
  orderedProbe(tree: number, entries: number, n: number, probe: number): number;
  /** Brings a cursor to the first key not below its own, or, `after` 1, behind it. Answers whether there is one before its end. */
  orderedSeek(tree: number, cursor: number, after: number): number;
  /** Brings a cursor, in a table that was not written since, to the next key. */
  orderedStep(tree: number, cursor: number): number;
  /** Brings a cursor's key back to the `steps`th key before it, or to the first not below `floor`; it stays where there is none. Answers how many steps those are. */
  orderedBack(tree: number, cursor: number, steps: number, floor: number, floorBytes: number): number;
}
