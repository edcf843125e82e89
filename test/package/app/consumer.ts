// What a person's compiler sees of the package: it must know the columns, and refuse what is not there.
import { collect, count, from, type JobHandle, job, jsonl, type RowOf, run, schema, t, tumble } from 'millrace';
import { upper } from 'millrace/functions';

const click = schema({ page: t.string(), at: t.timestamp(3), ms: t.bigint().nullable() });
const row: RowOf<typeof click> = { page: 'a', at: new Date(0), ms: null };

const clicks = from(jsonl('clicks.jsonl', { schema: click }));
const pages = clicks
  .eventTime('at', { outOfOrderness: '1 second' })
  .with((c) => ({ page: upper(c.page) }))
  .groupBy('page', tumble('1 minute'))
  .aggregate((c) => ({ clicks: count(), slow: count().filter(c.ms.gt(100)) }));
const clickRates = job('click-rates', () => pages);

export async function slowest(): Promise<number> {
  const handle: JobHandle<typeof pages> = run(clickRates, { parallelism: 2, memory: '256mb' });
  let most = 0;
  for await (const { page, window, slow } of handle) if (page !== row.page && window.end > row.at) most += slow;
  const all: { page: string; at: Date; ms: number | null }[] = await collect(clicks);
  return most + all.length;
}

// @ts-expect-error: there is no such column
clicks.groupBy('pgae');
// @ts-expect-error: a text is no number
clicks.filter((c) => c.page.gt(5));
