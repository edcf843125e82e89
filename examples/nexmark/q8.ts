/**
 * Nexmark q8, monitor new users: persons who registered and opened an auction within the same ten seconds.
 *
 *   npx millrace run examples/nexmark/q8.ts --param events=1000000
 */
import { count, from, job, print, schema, t, tumble } from 'millrace';
import { type Nexmark, nexmark } from 'millrace/connectors/nexmark';

export const query = ({ persons, auctions }: Nexmark<number>) =>
  from(persons)
    .groupBy('id', 'name', tumble('10 seconds'))
    .aggregate(() => ({ registrations: count() }))
    .join(
      from(auctions)
        .groupBy('seller', tumble('10 seconds'))
        .aggregate(() => ({ opened: count() })),
      (p, a) => p.id.eq(a.seller).and(p.window.start.eq(a.window.start)).and(p.window.end.eq(a.window.end)),
    )
    .select((p) => ({ id: p.id, name: p.name, stime: p.window.start }));

export default job('nexmark-q8', ({ params }) => query(nexmark({ events: params.events ?? 1_000_000 })).to(print()), {
  params: schema({ events: t.bigint().nullable() }),
});
