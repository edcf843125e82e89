import * as arrow from 'apache-arrow'; import fs from 'node:fs'; import pl from 'nodejs-polars';
const t = arrow.tableFromArrays({a: Int32Array.of(1,2,3)});
fs.writeFileSync('/tmp/h3a.arrow', arrow.tableToIPC(t,'file'));
try { console.log(pl.readIPC('/tmp/h3a.arrow').height) } catch (e) { console.log('file:', e.message) }
const schema = new arrow.Schema([new arrow.Field('a', new arrow.Int64(), true), new arrow.Field('s', new arrow.Utf8(), true)]);
for (const meta of [false, true]) for (const kinds of [['a'],['a','s']]) {
  const sc = new arrow.Schema(schema.fields.filter(f=>kinds.includes(f.name)), meta ? new Map([['x','y']]) : undefined);
  const w = new arrow.RecordBatchFileWriter();
  w.reset(undefined, sc);
  const ch=[]; if (kinds.includes('a')) ch.push(arrow.makeData({type:new arrow.Int64(), length:2, nullCount:0, data: BigInt64Array.of(1n,2n)}));
  if (kinds.includes('s')) ch.push(arrow.makeData({type:new arrow.Utf8(), length:2, nullCount:0, valueOffsets: Int32Array.of(0,1,3), data: new TextEncoder().encode('abc')}));
  const b = new arrow.RecordBatch(sc, arrow.makeData({type:new arrow.Struct(sc.fields), length:2, nullCount:0, children: ch}));
  w.write(b); w.finish();
  fs.writeFileSync('/tmp/h3b.arrow', w.toUint8Array(true));
  try { console.log(meta, kinds, pl.readIPC('/tmp/h3b.arrow').height) } catch (e) { console.log(meta, kinds, e.message) }
}
