/** What DuckDB reads from the same file, in the harness' terms. */
import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api';
import { type Field, type Fields, typeName } from '../../core/record/types.ts';
import type { Value } from './harness.ts';

let connection: Promise<DuckDBConnection> | null = null;

export function duckdb(): Promise<DuckDBConnection> {
  connection ??= DuckDBInstance.create(':memory:', { threads: '1' }).then(async (instance) => {
    const made = await instance.connect();
    await made.run("SET TimeZone = 'UTC'");
    return made;
  });
  return connection;
}

export async function duckdbRows(path: string, fields: Fields): Promise<Value[][]> {
  const columns = leavesOf(fields, '').map(({ path: expression, type }) => {
    switch (type.kind) {
      case 'BIGINT':
      case 'BOOLEAN':
      case 'DOUBLE':
      case 'VARCHAR':
        return `(${expression})::${type.kind}`;
      case 'INT':
        return `(${expression})::INTEGER`;
      case 'DATE':
        return `date_diff('day', DATE '1970-01-01', ${expression})::INTEGER`;
      case 'TIMESTAMP':
        return type.precision <= 3 ? `epoch_ms(${expression})` : `epoch_us(${expression})`;
      default:
        throw new Error(`no oracle for ${typeName(type)}`);
    }
  });
  const reader = await (await duckdb()).runAndReadAll(`SELECT ${columns.join(', ')} FROM read_parquet('${path}')`);
  return reader.getRows() as Value[][];
}

function leavesOf(fields: Fields, prefix: string): { path: string; type: Field['type'] }[] {
  return fields.flatMap((field) => {
    const path = `${prefix}"${field.name}"`;
    return field.type.kind === 'ROW' ? leavesOf(field.type.fields, `${path}.`) : [{ path, type: field.type }];
  });
}
