/** What becomes of a record that cannot be worked on: the rows of the side output `errors`. */
import type { Fields } from '../record/types.ts';
import type { Schema } from './columns.ts';
import type { PlanNode } from './nodes.ts';

/** What an operator does with such a record; absent in a node: the job fails. */
export type OnError = 'skip' | 'side';

/** One row for each. */
export const deadLetterFields: Fields = [
  /** Name of the operator that could not take it. */
  { name: 'operator', type: { kind: 'VARCHAR' }, nullable: false },
  /** Where the record came from: `in.jsonl, line 12, byte 4711`; NULL where nobody knows any more. */
  { name: 'position', type: { kind: 'VARCHAR' }, nullable: true },
  /** Code and message of the error. */
  { name: 'reason', type: { kind: 'VARCHAR' }, nullable: false },
  /** The record, shortened: a line as it stands in the file, a row as text. */
  { name: 'record', type: { kind: 'VARCHAR' }, nullable: false },
];

/** They have no event time: a record that could not be read has told none. */
export const deadLetterSchema: Schema = { fields: deadLetterFields, time: false };

/** Characters of a record at most. */
export const deadLetterRecordMax = 1024;

/** The policy of a node that has one. */
export function onErrorOf(node: PlanNode): OnError | null {
  if (node.kind === 'map' || node.kind === 'process') return node.onError ?? null;
  const given = node.kind === 'source' ? node.connector.options.onError : null;
  return given === 'skip' || given === 'side' ? given : null;
}
