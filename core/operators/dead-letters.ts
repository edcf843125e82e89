/**
 * Records that an operator could not take, on their way to its side output `errors`; and what counts as one. A few at a
 * time: who adds one when there is no room waits until those before have been emitted.
 */
import { isMillraceError } from '../base/errors.ts';
import { deadLetterFields, deadLetterRecordMax } from '../plan/dead-letters.ts';
import type { BlockPool } from '../ports/blocks.ts';
import type { Batch } from '../record/batch.ts';
import { layoutOf } from '../record/layout.ts';
import type { SlotMemory } from '../record/memory.ts';
import { rowWriter } from '../record/row-writer.ts';

export interface DeadLetters {
  readonly count: number;
  /** No room before `reset`. */
  readonly full: boolean;
  add(position: string | null, reason: string, record: string): void;
  batch(): Batch;
  /** Those that were added are done with. */
  reset(): void;
}

const letterRows = 64;

export function deadLetters(operator: string, memory: SlotMemory, blocks?: BlockPool): DeadLetters {
  const layout = layoutOf(deadLetterFields);
  const writer = rowWriter(deadLetterFields, layout, memory, letterRows, blocks ? { blocks } : {});
  let waiting: object | null = null;
  return {
    get count() {
      return writer.rows + (waiting ? 1 : 0);
    },
    get full() {
      return waiting !== null || writer.rows === letterRows;
    },
    add(position, reason, record) {
      const letter = { operator, position, reason: shortened(reason), record: shortened(record) };
      // Strings may have filled the batch before its rows did.
      if (!writer.append(letter)) waiting = letter;
    },
    batch: () => writer.batch(),
    reset() {
      writer.reset();
      if (waiting) writer.append(waiting);
      waiting = null;
    },
  };
}

/** Not in the middle of a character. */
function shortened(text: string): string {
  if (text.length <= deadLetterRecordMax) return text;
  return `${text.slice(0, deadLetterRecordMax).replace(/[\uD800-\uDBFF]$/, '')}…`;
}

/** An error that is the record's: another record may do better. Not one of memory, of the slot, of the job's end. */
export function isPoison(error: unknown): boolean {
  return !isMillraceError(error) || !/^(memory|slot|state|job|sink|snapshot)\//.test(error.code);
}

/** Code and message, for people. */
export function reasonOf(error: unknown): string {
  if (isMillraceError(error)) return `${error.code}: ${error.message}`;
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
}
