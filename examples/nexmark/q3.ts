/**
 * Nexmark q3, local items: who sells in Oregon, Idaho or California in category 10, and which auctions.
 *
 *   npx millrace run examples/nexmark/q3.ts --param events=100000
 */
import { from, job, print, schema, t } from 'millrace';
import { type Nexmark, nexmark } from 'millrace/connectors/nexmark';

export const query = ({ persons, auctions }: Nexmark<number>) =>
  from(auctions)
    .filter((a) => a.category.eq(10))
    .join(
      from(persons).filter((p) => p.state.in(['OR', 'ID', 'CA'])),
      (a, p) => a.seller.eq(p.id),
    )
    .select((a, p) => ({ name: p.name, city: p.city, state: p.state, id: a.id }));

export default job('nexmark-q3', ({ params }) => query(nexmark({ events: params.events ?? 1_000_000 })).to(print()), {
  params: schema({ events: t.bigint().nullable() }),
});
