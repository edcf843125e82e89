/** `millrace state show`: what a savepoint holds: sizes, keys, a sample. */
import Table from 'cli-table3';
import { MillraceError } from '../core/base/errors.ts';
import { typeName } from '../core/record/types.ts';
import { type SavepointInfo, savepointOf } from '../engine/inspect.ts';
import { write } from './output.ts';
import { bytes } from './report.ts';

const sampleRows = 5;
const cellMax = 40;
const plain = { style: { head: [], border: [] } };

export async function showCommand(directory: string, operator: string | undefined): Promise<void> {
  const info = savepointOf(directory);
  const { savepoint } = info;
  const { jobName, checkpointId, timestampMs, parallelism } = savepoint;
  await write(
    `savepoint of '${jobName}' at checkpoint ${checkpointId}, taken ${new Date(timestampMs).toISOString()} with ${parallelism} slots\n`,
  );
  const operators = [...new Set(savepoint.values.map((one) => one.operator))];
  if (operator === undefined) await write(overview(info));
  else if (operators.includes(operator)) await showOperator(info, operator);
  else {
    throw new MillraceError(
      'state/not-found',
      `operator '${operator}' has no state in ${directory}; there is state of ${operators.map((id) => `'${id}'`).join(', ') || 'none'}`,
    );
  }
}

function overview({ savepoint }: SavepointInfo): string {
  if (savepoint.states.length === 0) return 'it holds no tables of state\n';
  const table = new Table({ head: ['operator', 'state', 'rows', 'bytes', 'columns'], ...plain });
  for (const { operator, name, rows, bytes: size, columns } of savepoint.states) {
    const named = columns.filter((column) => !column.name.startsWith('$')).map((column) => column.name);
    table.push([operator, name, rows, bytes(size), cut(named.join(', '), 60)]);
  }
  return `${table.toString()}\n`;
}

async function showOperator(info: SavepointInfo, operator: string): Promise<void> {
  for (const state of info.savepoint.states) {
    if (state.operator !== operator) continue;
    if (process.stderr.isTTY) process.stderr.write(`reading ${bytes(state.bytes)}…\r`);
    const { columns, rows } = info.sample(state, sampleRows);
    if (process.stderr.isTTY) process.stderr.write('\x1b[K');
    const slices = state.slices === null ? '' : `, ${state.slices.length} slices`;
    const table = new Table({ head: columns.map((column) => `${column.name}\n${typeText(column.type)}`), ...plain });
    for (const row of rows) table.push(row.map(cell));
    await write(
      `\n${state.name}: ${state.rows} rows, ${bytes(state.bytes)}${slices} (${state.file})\n${table.toString()}\n`,
    );
    if (state.rows > rows.length) await write(`… ${state.rows - rows.length} more\n`);
  }
  for (const { operator: of, keyGroups, text } of info.savepoint.values) {
    if (of === operator) await write(`key groups ${keyGroups[0]} to ${keyGroups[1] - 1}: ${cut(text, 200)}\n`);
  }
}

const typeText = (type: { readonly kind: string }): string =>
  type.kind === 'HASH' || type.kind === 'BINARY' ? type.kind : typeName(type as Parameters<typeof typeName>[0]);

const cut = (text: string, most: number): string => (text.length > most ? `${text.slice(0, most - 1)}…` : text);

function cell(value: unknown): string {
  if (value === null) return 'NULL';
  if (value instanceof Uint8Array) return cut(Buffer.from(value).toString('hex'), cellMax);
  if (typeof value === 'object') {
    const given = value instanceof Map ? Object.fromEntries(value) : value;
    return cut(
      JSON.stringify(given, (_, member) => (typeof member === 'bigint' ? `${member}` : member)),
      cellMax,
    );
  }
  // Control characters would draw where they are not wanted.
  return cut(String(value).replaceAll(/\p{Cc}/gu, '·'), cellMax);
}
