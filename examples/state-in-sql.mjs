// The state of a job, asked in SQL. A savepoint is a directory of typed Arrow files, one per state; here they become tables
// of DuckDB, by way of this engine's own parquet sink (DuckDB reads Arrow files itself only with an extension from the net).
//
//   npx millrace run examples/fraud.ts --state-dir state/fraud --param rate=2000
//   npx millrace savepoint saved --state-dir state/fraud                            answers SAVEPOINT
//   node examples/state-in-sql.mjs SAVEPOINT                                        which tables there are
//   node examples/state-in-sql.mjs SAVEPOINT "SELECT card, count(*) AS payments, round(sum(value), 2) AS spent
//     FROM scoring_recent GROUP BY card ORDER BY spent DESC LIMIT 5"                the cards that spend most at the moment
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { DataType, tableFromIPC } from 'apache-arrow';
import { arrowTable, from, parquet, run } from 'millrace';

const [savepoint, sql] = process.argv.slice(2);
if (savepoint === undefined) {
  console.error('usage: node examples/state-in-sql.mjs SAVEPOINT [SQL]');
  process.exit(2);
}
const folder = mkdtempSync(join(tmpdir(), 'millrace-state-'));
try {
  const duckdb = await (await DuckDBInstance.create(':memory:')).connect();
  for (const file of readdirSync(savepoint).filter((name) => name.endsWith('.arrow'))) {
    // '2-scoring-recent.arrow' is the state 'recent' of the operator 'scoring'.
    const name = file.slice(file.indexOf('-') + 1, -'.arrow'.length).replaceAll(/\W/g, '_');
    const state = tableFromIPC(readFileSync(join(savepoint, file)));
    const fields = state.schema.fields.filter((field) => !field.name.startsWith('$'));
    const plain = fields.filter(({ type }) => !DataType.isList(type) && !DataType.isMap(type));
    if (plain.length < fields.length) {
      const left = fields.filter((field) => !plain.includes(field));
      console.error(`${name}: without ${left.map((field) => field.name).join(', ')} (lists and maps stay in ${file})`);
    }
    const columns = state.select(plain.map((field) => field.name));
    const out = join(folder, name);
    await run(from(arrowTable(columns)).to(parquet(out)), { parallelism: 1 }).result();
    await duckdb.run(`CREATE VIEW "${name}" AS FROM read_parquet('${out}/*.parquet')`);
    if (sql === undefined) console.log(`${name}: ${state.numRows} rows of ${plain.map(described).join(', ')}`);
  }
  if (sql !== undefined) {
    const answer = await duckdb.runAndReadAll(sql);
    console.table(answer.getRowObjectsJson());
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}

function described({ name, type }) {
  return `${name} ${type}`;
}
