/**
 * What an output of a job under test received, as one sees it who reads each result once. Rows that came after the last
 * checkpoint are taken back by a crash, and come again; those of them that were read are not given a second time. Knows
 * rows, not where they come from.
 */
export class Received {
  #unread: unknown[] = [];
  /** Of `#unread`: what a checkpoint covers. */
  #kept = 0;
  /** Read since the last checkpoint. */
  #read: string[] = [];
  /** Read before a crash, and expected to come again: how often each. */
  readonly #again = new Map<string, number>();

  add(row: unknown): void {
    const text = textOf(row);
    const times = this.#again.get(text) ?? 0;
    if (times === 0) {
      this.#unread.push(row);
      return;
    }
    this.#again.set(text, times - 1);
    this.#read.push(text);
  }

  read(): unknown[] {
    const rows = this.#unread;
    for (let i = this.#kept; i < rows.length; i++) this.#read.push(textOf(rows[i]));
    this.#unread = [];
    this.#kept = 0;
    return rows;
  }

  checkpointed(): void {
    this.#kept = this.#unread.length;
    this.#read = [];
    this.#again.clear();
  }

  crashed(): void {
    this.#unread.length = this.#kept;
    for (const text of this.#read) this.#again.set(text, (this.#again.get(text) ?? 0) + 1);
    this.#read = [];
  }
}

/** Equal rows have equal texts. */
function textOf(value: unknown): string {
  return JSON.stringify(value, (_key, part: unknown) => {
    if (typeof part === 'bigint') return `${part}n`;
    if (part instanceof Map) return [...part];
    if (part instanceof Uint8Array) return [...part];
    return typeof part === 'number' && !Number.isFinite(part) ? String(part) : part;
  });
}
